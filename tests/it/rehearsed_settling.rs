//! A set-up where users, roles, policies and keys are seen by others only some calls after they were made.

use crate::rehearsed_stops::end_of;
use crate::support::compare::difference;
use crate::support::depth;
use crate::support::running::{at_once, side_by_side};
use crate::support::scene::Scene;
use crate::support::stage::HOME;
use serde_json::Value;
use xdeploy::model::Policies;

async fn settles(scene: &Scene, calls: u64, expected: &Value) -> Result<usize, String> {
    let mut scene = scene.fork();
    scene.rehearsal = scene.rehearsal.settle(calls);
    let line = scene.rehearsal.line();
    scene.set_up(&line).await.map_err(|error| format!("settled after {calls}: {error:#?}"))?;
    let found = scene.state();
    let same = found == *expected;
    if same { Ok(line.calls().len()) } else { Err(format!("settled after {calls}: {}", difference(expected, &found))) }
}

#[test]
fn a_setup_waits_until_what_it_made_is_seen() {
    let scenes = [
        ("new", at_once(Scene::fresh(HOME, Policies::Article))),
        ("cross-region", at_once(Scene::fresh("eu-west-1", Policies::LeastPrivilege))),
        ("adopting", at_once(Scene::adopting())),
    ];
    for (name, scene) in scenes {
        let (calls, expected) = at_once(end_of(&scene));
        let most = std::sync::atomic::AtomicUsize::new(0);
        let all: Vec<u64> = depth::sampled(name, (1..=20).collect(), 3);
        let wrong = side_by_side(&all, |settle| {
            let made = at_once(settles(&scene, *settle, &expected))?;
            most.fetch_max(made, std::sync::atomic::Ordering::SeqCst);
            Ok(())
        });
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
        let most = most.into_inner();
        println!("{name}: {} calls where all is seen at once, up to {most} where it settles late", calls.len());
        assert!(most > calls.len(), "{name}: nothing was waited for");
    }
}
