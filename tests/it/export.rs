//! `xdeploy export`: a plan as text, and what comes of it where it is run.

use crate::rehearsed_stops::{at_once, difference};
use crate::support::scene::Scene;
use crate::support::script::{self, End, Ran};
use crate::support::served::Served;
use crate::support::stage::HOME;
use serde_json::{Value, json};
use xdeploy::deploy::plan::Plan;
use xdeploy::export::{Format, of_plan};
use xdeploy::model::{Policies, Side};

fn planned(scene: &Scene) -> Plan {
    at_once(async {
        let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
        scene.plan(&accounts).await.unwrap()
    })
}

fn script_of(plan: &Plan, side: Option<Side>) -> String {
    let sheets = of_plan(plan, side, Format::Awscli).unwrap();
    let [sheet] = sheets.as_slice() else { panic!("{sheets:#?}") };
    script::shellcheck(&sheet.text);
    // The profiles of scenes have other names than those of what is served.
    sheet.text.clone()
}

const PROFILES: [(&str, &str); 2] = [("DEV_PROFILE", "dev"), ("PROD_PROFILE", "prod")];

fn run(served: &Served, text: &str, variables: &[(&str, &str)], end: End) -> Ran {
    script::run(&served.command(&[]), text, &[&PROFILES[..], variables].concat(), end)
}

fn scenes() -> [(&'static str, Scene); 4] {
    [
        ("new", at_once(Scene::fresh(HOME, Policies::Article))),
        ("least privilege", at_once(Scene::fresh(HOME, Policies::LeastPrivilege))),
        ("two regions", at_once(Scene::fresh("eu-west-1", Policies::Article))),
        ("adopting", at_once(Scene::adopting())),
    ]
}

/// The same scene with its accounts behind a port.
fn serve(scene: &Scene) -> (Scene, Served) {
    let copy = scene.fork();
    let served = Served::of(copy.rehearsal.clone());
    (copy, served)
}

/// What XML says, however it is written.
fn said(node: roxmltree::Node<'_, '_>) -> Value {
    let mut children: Vec<Value> = node.children().filter(roxmltree::Node::is_element).map(said).collect();
    children.sort_by_key(ToString::to_string);
    json!({"name": node.tag_name().name(), "text": node.text().map(str::trim).unwrap_or_default(), "children": children})
}

/// The state of a scene, with what notifications say in the place of their text.
fn state(scene: &Scene) -> Value {
    let mut state = scene.state();
    for bucket in state["buckets"].as_object_mut().unwrap().values_mut() {
        if let Some(text) = bucket["notification"].as_str().filter(|text| !text.is_empty()) {
            bucket["notification"] = said(roxmltree::Document::parse(text).unwrap().root_element());
        }
    }
    state
}

fn state_that_setup_gives(scene: &Scene) -> Value {
    let copy = scene.fork();
    at_once(async { copy.set_up(&copy.rehearsal.line()).await.unwrap() });
    state(&copy)
}

#[test]
fn the_script_gives_the_state_that_setup_gives_and_again_changes_nothing() {
    for (name, scene) in scenes() {
        let expected = state_that_setup_gives(&scene);
        let text = script_of(&planned(&scene), None);
        std::fs::write(format!("/tmp/script-{}.sh", name.replace(' ', "-")), &text).unwrap();
        let (copy, served) = serve(&scene);
        let started = std::time::Instant::now();
        let ran = run(&served, &text, &[], End::Never).success();
        println!("{name}: {} calls of the AWS CLI in {:.1?}", ran.calls, started.elapsed());
        assert_eq!(difference(&expected, &state(&copy)), "", "{name}");
        assert!(planned(&copy).is_empty(), "{name}: {:#?}", planned(&copy).writes());
        let before = copy.rehearsal.dump();
        run(&served, &text, &[], End::Never).success();
        assert_eq!(difference(&before, &copy.rehearsal.dump()), "", "{name}, the second time");
    }
}
