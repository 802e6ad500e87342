//! A set-up that was stopped anywhere is finished by running it again: every call, every way of stopping.

use crate::support::compare::difference;
use crate::support::depth;
use crate::support::running::{at_once, side_by_side};
use crate::support::scene::Scene;
use crate::support::stage::HOME;
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use xdeploy::error::Kind;
use xdeploy::model::Policies;
use xdeploy::rehearsal::Fault;

/// How many stops of a set-up a quick run tries.
const QUICK: usize = 25;

const FAULTS: [Fault; 6] = [Fault::Throttled, Fault::Failed, Fault::ResetBefore, Fault::ResetAfter, Fault::GoneBefore, Fault::GoneAfter];

/// What became of a run.
enum Ended {
    Done,
    Failed,
    Gone,
}

/// Stops a set-up at a call, runs it again and compares.
async fn stopped_at(scene: &Scene, number: usize, fault: Fault, expected: &Value) -> Result<Ended, String> {
    let scene = scene.fork();
    let line = scene.rehearsal.line().fault(number, fault);
    let ended = tokio::select! {
        biased;
        () = line.gone() => Ended::Gone,
        run = scene.set_up(&line) => match run {
            Ok(()) => Ended::Done,
            Err(error) if error.kind == Kind::Internal || error.hints.is_empty() => return Err(format!("{error:#?}")),
            Err(_) => Ended::Failed,
        },
    };
    if !matches!(ended, Ended::Done) {
        scene.set_up(&scene.rehearsal.line()).await.map_err(|error| format!("the second run: {error:#?}"))?;
    }
    let found = scene.state();
    if found == *expected { Ok(ended) } else { Err(format!("another end:\n{}", difference(expected, &found))) }
}

/// Stops a set-up everywhere; says how often.
fn stopped_everywhere(name: &str, scene: impl Future<Output = Scene>) -> usize {
    let started = Instant::now();
    let scene = at_once(scene);
    let (calls, expected) = at_once(end_of(&scene));
    let stops: Vec<(usize, Fault)> = (1..=calls.len()).flat_map(|number| FAULTS.map(|fault| (number, fault))).collect();
    let stops = depth::sampled(name, stops, QUICK);
    let (done, failed, gone) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = side_by_side(&stops, |(number, fault)| {
        let ended = at_once(stopped_at(&scene, *number, *fault, &expected));
        let count = match ended.map_err(|why| format!("{fault:?} at call {number}, {}: {why}", calls[number - 1]))? {
            Ended::Done => &done,
            Ended::Failed => &failed,
            Ended::Gone => &gone,
        };
        count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let (done, failed, gone) = (done.into_inner(), failed.into_inner(), gone.into_inner());
    println!(
        "{name}: {} calls, {} stops in {:.1?}: {done} went on, {failed} failed, {gone} were gone, {} wrong",
        calls.len(),
        stops.len(),
        started.elapsed(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{} of {} stops went wrong:\n{}", wrong.len(), stops.len(), wrong.join("\n"));
    // Two of the faults end the process. Three fail what has no token, so that nobody repeats it; everything else is repeated.
    let without_token = |call: &str| call.starts_with("kms:CreateKey") || call.starts_with("codepipeline:CreatePipeline");
    let ends = |fault: Fault| matches!(fault, Fault::GoneBefore | Fault::GoneAfter);
    let fails = |number: usize, fault: Fault| without_token(&calls[number - 1]) && !ends(fault) && !matches!(fault, Fault::Throttled);
    let expected_gone = stops.iter().filter(|(_, fault)| ends(*fault)).count();
    let expected_failed = stops.iter().filter(|(number, fault)| fails(*number, *fault)).count();
    assert_eq!((gone, failed), (expected_gone, expected_failed));
    assert_eq!(done + failed + gone, stops.len());
    stops.len()
}

/// The calls of a set-up that nobody disturbs, and its end.
pub async fn end_of(scene: &Scene) -> (Vec<String>, Value) {
    let scene = scene.fork();
    let line = scene.rehearsal.line();
    scene.set_up(&line).await.unwrap();
    let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
    let again = scene.plan(&accounts).await.unwrap();
    assert!(again.is_empty(), "{:#?}", again.writes());
    (line.calls(), scene.state())
}

#[test]
fn a_new_setup_stopped_anywhere_is_finished_by_the_next_run() {
    let stops = stopped_everywhere("new", Scene::fresh(HOME, Policies::Article));
    assert!(stops > if depth::full() { 250 } else { QUICK - 1 }, "{stops}");
}

#[test]
fn an_adoption_stopped_anywhere_is_finished_by_the_next_run() {
    let stops = stopped_everywhere("adopting", Scene::adopting());
    assert!(stops > if depth::full() { 250 } else { QUICK - 1 }, "{stops}");
}

#[test]
fn a_setup_across_regions_stopped_anywhere_is_finished_by_the_next_run() {
    let stops = stopped_everywhere("cross-region", Scene::fresh("eu-west-1", Policies::LeastPrivilege));
    assert!(stops > if depth::full() { 250 } else { QUICK - 1 }, "{stops}");
}
