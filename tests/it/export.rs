//! `xdeploy export`: a plan as text, and what comes of it where it is run.

use crate::rehearsed_stops::{at_once, difference, side_by_side};
use crate::reports;
use crate::support::Bed;
use crate::support::scene::{self, ARTIFACTS, PIPELINE, SERVICE_ROLE, Scene};
use crate::support::script::{self, End, Ran};
use crate::support::served::Served;
use crate::support::stage::HOME;
use serde_json::{Value, json};
use xdeploy::deploy::plan::Plan;
use xdeploy::export::{Format, of_plan};
use xdeploy::model::{Policies, Side, quoted};

pub fn planned(scene: &Scene) -> Plan {
    at_once(async {
        let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
        scene.plan(&accounts).await.unwrap()
    })
}

fn script_of(plan: &Plan, side: Option<Side>) -> String {
    let sheets = of_plan(plan, side, Format::Awscli).unwrap();
    let [sheet] = sheets.as_slice() else { panic!("{sheets:#?}") };
    script::shellcheck(&sheet.text);
    sheet.text.clone()
}

/// The profiles of scenes have other names than those of what is served.
const PROFILES: [(&str, &str); 2] = [("DEV_PROFILE", "dev"), ("PROD_PROFILE", "prod")];

fn run(served: &Served, text: &str, variables: &[(&str, &str)], end: End) -> Ran {
    script::run(&served.command(&[]), text, &[&PROFILES[..], variables].concat(), end)
}

pub fn scenes() -> [(&'static str, Scene); 4] {
    [
        ("new", at_once(Scene::fresh(HOME, Policies::Article))),
        ("least privilege", at_once(Scene::fresh(HOME, Policies::LeastPrivilege))),
        ("two regions", at_once(Scene::fresh("eu-west-1", Policies::Article))),
        ("adopting", at_once(Scene::adopting())),
    ]
}

/// Text that shells, templates and JSON each read in a way of their own.
pub const STRANGE: &str = "it's ${*} ${aws:username} %{if} $HOME `id` \"\\n\" $(id) <JSON>";

/// Adopts a bucket whose policy holds strange text.
pub fn strange() -> Scene {
    let scene = at_once(Scene::adopting());
    at_once(async {
        let dev = scene.accounts(&scene.rehearsal.line()).await.unwrap().dev;
        let statement = json!({"Sid": "Strange", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{ARTIFACTS}/${{aws:username}}/*"), "Condition": {"StringEquals": {"aws:UserAgent": STRANGE}}});
        let policy = scene::document(json!([statement]));
        dev.s3(HOME).put_bucket_policy().bucket(ARTIFACTS).policy(policy).send().await.unwrap();
    });
    scene
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
    for (name, scene) in scenes().into_iter().chain([("strange", strange())]) {
        let expected = state_that_setup_gives(&scene);
        let text = script_of(&planned(&scene), None);
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

/// Stops a script at a call, runs it again and compares.
fn stopped(name: &str, scene: &Scene, text: &str, expected: &Value, end: End) -> Result<(), String> {
    let (copy, served) = serve(scene);
    let first = run(&served, text, &[], end);
    if first.code == Some(0) {
        return Err(format!("{name}: {end:?} was never reached"));
    }
    let again = run(&served, text, &[], End::Never);
    if again.code != Some(0) {
        return Err(format!("{name}, after {end:?}: {}", again.stderr));
    }
    let found = state(&copy);
    if found == *expected { Ok(()) } else { Err(format!("{name}, after {end:?}: {}", difference(expected, &found))) }
}

#[test]
fn a_script_that_was_ended_anywhere_is_finished_by_running_it_again() {
    for (name, scene) in [("two regions", at_once(Scene::fresh("eu-west-1", Policies::Article))), ("adopting", at_once(Scene::adopting()))]
    {
        let expected = state_that_setup_gives(&scene);
        let text = script_of(&planned(&scene), None);
        let (_, served) = serve(&scene);
        let calls = run(&served, &text, &[], End::Never).success().calls;
        // A run takes seconds: a few of all the stops, and unanswered ones, which are the harder.
        let stride = calls / STOPS;
        let ends: Vec<End> =
            (0..STOPS).map(|number| number * stride + 1).flat_map(|at| [End::Before(at), End::After(at + stride / 2)]).collect();
        let wrong = side_by_side(&ends, |end| stopped(name, &scene, &text, &expected, *end));
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// How many calls of a script are tried to end it at.
const STOPS: usize = 5;

/// Changes one document, with the mark `Mine` in it.
async fn change(what: &str, accounts: &xdeploy::aws::Accounts) {
    let (dev, prod) = (&accounts.dev, &accounts.prod);
    let mine = |members: Value| {
        let mut statement = json!({"Sid": "Mine", "Effect": "Allow", "Action": "*", "Resource": "*"});
        statement.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        scene::document(json!([statement]))
    };
    let root = json!({"AWS": dev.iam_arn("root")});
    match what {
        "policy of key" => {
            let id = dev.kms(HOME).describe_key().key_id("alias/s3deploykey").send().await.unwrap();
            let put = dev.kms(HOME).put_key_policy().key_id(id.key_metadata().unwrap().key_id());
            put.policy(mine(json!({"Principal": root, "Action": "kms:*"}))).send().await.map(drop).unwrap();
        }
        "policy of bucket" => {
            let policy = mine(json!({"Principal": root, "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{ARTIFACTS}/*")}));
            dev.s3(HOME).put_bucket_policy().bucket(ARTIFACTS).policy(policy).send().await.map(drop).unwrap();
        }
        "trust policy of role" => {
            let trust = json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "Mine", "Effect": "Allow", "Principal": {"AWS": prod.iam_arn("root")}, "Action": "sts:AssumeRole"}]});
            let update = prod.iam().update_assume_role_policy().role_name("prods3role");
            update.policy_document(trust.to_string()).send().await.map(drop).unwrap();
        }
        "policy arn:" => {
            let make = dev.iam().create_policy_version().policy_arn(dev.iam_arn("policy/assumeprods3role"));
            make.policy_document(mine(json!({}))).set_as_default(true).send().await.map(drop).unwrap();
        }
        "policy xdeploy-" => {
            let put = dev.iam().put_role_policy().role_name(SERVICE_ROLE).policy_name(format!("xdeploy-{PIPELINE}"));
            put.policy_document(mine(json!({}))).send().await.map(drop).unwrap();
        }
        "notification configuration" => {
            use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
            let queue = QueueConfiguration::builder().id("Mine").events(Event::S3ObjectRemovedDelete);
            let queue = queue.queue_arn(format!("arn:aws:sqs:{HOME}:{}:mine", dev.id)).build().unwrap();
            let put = dev.s3(HOME).put_bucket_notification_configuration().bucket("in-bucket").skip_destination_validation(true);
            let put = put.notification_configuration(NotificationConfiguration::builder().queue_configurations(queue).build());
            put.send().await.map(drop).unwrap();
        }
        "pipeline" => {
            let got = dev.codepipeline(HOME).get_pipeline().name(PIPELINE).send().await.unwrap();
            let mut declared = got.pipeline().unwrap().clone();
            declared.stages[1].actions[0].namespace = Some("Mine".to_owned());
            dev.codepipeline(HOME).update_pipeline().pipeline(declared).send().await.map(drop).unwrap();
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_document_that_has_moved_stops_the_script_and_stays() {
    let scene = at_once(Scene::adopting());
    let text = script_of(&planned(&scene), None);
    let documents = [
        "policy of key",
        "policy of bucket",
        "trust policy of role",
        "policy arn:",
        "policy xdeploy-",
        "notification configuration",
        "pipeline",
    ];
    let wrong = side_by_side(&documents, |what| {
        let (copy, served) = serve(&scene);
        at_once(async { change(what, &copy.accounts(&copy.rehearsal.line()).await.unwrap()).await });
        let ran = run(&served, &text, &[], End::Never);
        let said = ran.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        let told = said.contains(what) && said.ends_with(" has changed since the plan was made; nothing was written to it");
        let kept = state(&copy).to_string().contains("\"Mine\"");
        if ran.code == Some(1) && told && kept { Ok(()) } else { Err(format!("{what}: {:?}, kept {kept}\n{}", ran.code, ran.stderr)) }
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_side_runs_its_own_script_and_both_come_to_what_setup_gives() {
    for (name, scene) in [("new", scenes()[0].1.fork()), ("two regions", scenes()[2].1.fork())] {
        let expected = state_that_setup_gives(&scene);
        let plan = planned(&scene);
        let [dev, prod] = [Side::Dev, Side::Prod].map(|side| script_of(&plan, Some(side)));
        assert!(!dev.contains("PROD_PROFILE") && !prod.contains("DEV_PROFILE"));
        let (copy, served) = serve(&scene);
        // Production needs the key, and says so before it writes anything.
        let early = run(&served, &prod, &[], End::Never);
        assert_eq!(early.code, Some(1));
        assert!(early.stderr.starts_with("error: KEY_ARN_US_EAST_1 is not set\n"), "{}", early.stderr);
        assert_eq!(state(&copy), state(&scene), "{name}");
        // All but the pipeline, whose creation looks whether production's role can be assumed.
        let half = run(&served, &dev, &[], End::Never);
        assert_eq!(half.code, Some(1), "{}", half.stderr);
        assert!(half.stderr.contains("is not authorized to perform AssumeRole on role"), "{}", half.stderr);
        let told: Vec<(&str, &str)> = half.stdout.lines().filter_map(|line| line.split_once('=')).collect();
        run(&served, &prod, &told, End::Never).success();
        run(&served, &dev, &[], End::Never).success();
        assert_eq!(difference(&expected, &state(&copy)), "", "{name}");
        run(&served, &prod, &told, End::Never).success();
        assert_eq!(difference(&expected, &state(&copy)), "", "{name}, production again");
    }
}

#[test]
fn a_script_goes_only_to_the_accounts_that_it_was_made_for() {
    let scene = at_once(Scene::fresh(HOME, Policies::Article));
    let text = script_of(&planned(&scene), None);
    let (copy, served) = serve(&scene);
    let before = copy.rehearsal.dump();
    let ran = run(&served, &text, &[("PROD_PROFILE", "dev")], End::Never);
    assert_eq!(ran.code, Some(1));
    let said = "error: PROD_PROFILE is account \"111111111111\", and the plan was made for 222222222222\n";
    assert!(ran.stderr.starts_with(said), "{}", ran.stderr);
    assert_eq!(copy.rehearsal.dump(), before);
    // Without a profile the AWS CLI decides who calls: here nobody.
    let ran = run(&served, &text, &[("PROD_PROFILE", "")], End::Never);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("error: who PROD_PROFILE is could not be found out\n"), "{}", ran.stderr);
}

#[test]
fn on_the_emulators_the_script_gives_what_setup_gives() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let asked = ["--input-bucket", &input, "--output-bucket", &output];
    let text = bed.run(&[&["export", "--format", "awscli"], &asked[..]].concat()).success().stdout.clone();
    script::shellcheck(&text);
    let command = bed.command(&[]);
    script::run(&command, &text, &[], End::Never).success();
    let said = bed.run(&[&["setup", "--yes"], &asked[..]].concat()).success();
    assert!(said.stdout.contains("No changes."), "{}", said.report());
    let before = bed.dump();
    script::run(&command, &text, &[], End::Never).success();
    assert_eq!(bed.dump(), before);
}

#[test]
fn a_script_makes_buckets_and_uploads_the_artifact_once() {
    let served = Served::new();
    std::fs::write(served.dir.path().join("it's site.zip"), sample()).unwrap();
    let asked = [&["plan"], &reports::BUCKETS[..], &["--create-buckets", "--artifact", "it's site.zip", "--out", "p"]].concat();
    served.run(&asked);
    let text = String::from_utf8(served.command(&["export", "--format", "awscli", "--plan", "p"]).output().unwrap().stdout).unwrap();
    script::shellcheck(&text);
    let ran = script::run(&served.command(&[]), &text, &[], End::Never);
    // The file is named as the plan's maker named it, from their folder.
    assert_eq!(ran.code, Some(1));
    let whole = text.replace("'it'\\''s site.zip'", &quoted(&served.dir.path().join("it's site.zip").display().to_string()));
    assert_ne!(whole, text);
    script::run(&served.command(&[]), &whole, &[], End::Never).success();
    let said = served.run(&[&["setup", "--yes"], &reports::BUCKETS[..], &["--artifact", "it's site.zip"]].concat());
    assert!(said.contains("No changes."), "{said}");
    let before = served.rehearsal.dump();
    script::run(&served.command(&[]), &whole, &[], End::Never).success();
    assert_eq!(difference(&before, &served.rehearsal.dump()), "");
    std::fs::write(served.dir.path().join("it's site.zip"), "another").unwrap();
    let ran = script::run(&served.command(&[]), &whole, &[], End::Never);
    assert!(ran.code == Some(1) && ran.stderr.contains("has changed since the plan was made"), "{}", ran.stderr);
}

fn sample() -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("index.html", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(b"<h1>hello</h1>").unwrap();
    zip.finish().unwrap().into_inner()
}
