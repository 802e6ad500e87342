//! A run that was stopped anywhere is finished by running it again.

use crate::needs::EMULATORS;
use crate::support::{Action, Bed, Killed, When, depth};
use crate::worlds;
use libtest_mimic::Trial;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

type World = fn(&Bed) -> Vec<String>;

fn refs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Everything that both accounts hold, the same in every bed.
fn state(bed: &Bed) -> String {
    bed.normalise(&serde_json::to_string_pretty(&bed.dump()).unwrap())
}

/// The state after a run that nobody disturbed, and the number of its calls up to the last write: what follows only reads.
fn undisturbed(world: World) -> (String, usize) {
    let bed = Bed::new();
    let args = world(&bed);
    bed.run(&refs(&args)).success();
    let last = bed.proxy.requests().iter().rposition(|request| request.is_write).unwrap();
    (state(&bed), last)
}

/// Stops a run at the n-th call (`Before`: at the n-th write), runs it again and compares; says what
/// was stopped at, or `None` if the run makes fewer calls.
fn stop_at(world: World, n: usize, when: When, expected: &str) -> Option<Result<String, String>> {
    let bed = Bed::new();
    let args = world(&bed);
    let killed = match when {
        When::After => bed.run_killed_at(&refs(&args), n, when),
        When::Before => bed.run_killed_at_write(&refs(&args), n, when),
    };
    let Killed::At(request) = killed else { return None };
    let place = format!("{when:?} call {n}, {}:{}", request.service, request.operation);
    let again = bed.run(&refs(&args));
    if again.status != 0 {
        let report = again.report();
        return Some(Err(format!("{place}: the second run ended with {}\n{report}", again.status)));
    }
    let found = state(&bed);
    if found != expected {
        return Some(Err(format!("{place}: another end state\n{}", difference(expected, &found))));
    }
    Some(Ok(format!("{}:{}", request.service, request.operation)))
}

/// The lines that only one of the two has.
fn difference(expected: &str, found: &str) -> String {
    let mut count: BTreeMap<&str, i32> = BTreeMap::new();
    for line in expected.lines() {
        *count.entry(line).or_default() -= 1;
    }
    for line in found.lines() {
        *count.entry(line).or_default() += 1;
    }
    let lines = count.iter().filter(|(_, count)| **count != 0);
    lines.map(|(line, count)| format!("{} {line}\n", if *count < 0 { '-' } else { '+' })).collect()
}

/// How far apart the places are that a quick run stops at.
const STRIDE: usize = 12;
/// How far in a full one.
const STRIDE_IN_FULL: usize = 4;

fn every_stop(name: &str, world: World) {
    let started = Instant::now();
    let (expected, last) = undisturbed(world);
    let keys = expected.matches("\"rotation_period_in_days\"").count();
    assert_eq!(keys, 1, "one key, not {keys}");
    let tried = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    // Some of the places, from another one on in each run: all of them are tried on the rehearsal (`rehearsed_stops`).
    let stride = if depth::full() { STRIDE_IN_FULL } else { STRIDE };
    let first = usize::try_from(depth::seed()).unwrap_or_default() % stride;
    println!("{name}: each {stride}. place ({}={})", depth::SEED, depth::seed());
    for when in [When::After, When::Before] {
        let (next, over) = (AtomicUsize::new(first), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        let n = next.fetch_add(stride, Ordering::SeqCst);
                        // Calls that run side by side don't always come in one order.
                        if when == When::After && n > last + 3 {
                            break;
                        }
                        match stop_at(world, n, when, &expected) {
                            None => over.store(true, Ordering::SeqCst),
                            Some(Ok(_)) => {
                                tried.fetch_add(1, Ordering::SeqCst);
                            }
                            Some(Err(what)) => wrong.lock().unwrap().push(what),
                        }
                    }
                });
            }
        });
    }
    let tried = tried.into_inner();
    println!("{name}: stopped at {tried} places in {:.0?}", started.elapsed());
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} stops went wrong:\n{}", wrong.len(), tried + wrong.len(), wrong.join("\n"));
    assert!(tried > 40 / stride, "only {tried} stops");
}

fn a_new_setup_killed_anywhere_is_finished_by_the_next_run() {
    every_stop("new set-up", worlds::empty);
}

fn an_adoption_killed_anywhere_is_finished_by_the_next_run() {
    every_stop("adoption", worlds::console);
}

/// Holds a call back until it is let go.
fn hold(bed: &Bed, operation: &'static str) -> std::sync::Arc<AtomicBool> {
    let go = std::sync::Arc::new(AtomicBool::new(false));
    let waiting = std::sync::Arc::clone(&go);
    bed.proxy.on_request(move |request| {
        while request.is(operation) && !waiting.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        Action::Forward
    });
    go
}

fn an_interrupted_apply_finishes_the_call_under_way_and_goes_on_next_time() {
    let (expected, _) = undisturbed(worlds::empty);
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    let go = hold(&bed, "CreateKey");
    let running = bed.spawn(&bed.args(&refs(&args)).iter().map(String::as_str).collect::<Vec<_>>());
    bed.proxy.wait_until(Duration::from_secs(20), |calls| calls.iter().any(|call| call.is("CreateKey")));
    // What needs no key goes on meanwhile, until nothing but the key is waited for.
    let mut seen = 0;
    while seen != bed.proxy.requests().len() {
        seen = bed.proxy.requests().len();
        thread::sleep(Duration::from_millis(1_500));
    }
    running.signal("INT");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !running.stderr().contains("interrupted") && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    let before = bed.proxy.writes().len();
    go.store(true, Ordering::SeqCst);
    let output = running.wait().code(130);
    assert!(output.stderr.contains("interrupted: finishing the calls under way (once more to stop at once)"), "{}", output.report());
    assert!(output.stderr.contains("error: interrupted after "), "{}", output.report());
    assert!(output.stderr.contains("hint: run the same command again"), "{}", output.report());
    let created = bed.proxy.calls("CreateKey");
    assert!(created.len() == 1 && created[0].status == 200 && created[0].finished.is_some(), "{}", output.calls);
    assert_eq!(bed.proxy.writes().len(), before, "a write was started after the interruption\n{}", output.calls);
    bed.proxy.clear_hook();
    bed.run(&refs(&args)).success();
    let found = state(&bed);
    assert_eq!(found, expected, "{}", difference(&expected, &found));
}

fn a_second_interruption_stops_at_once() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    bed.proxy.on_request(|request| if request.is("CreateKey") { Action::HangBefore } else { Action::Forward });
    let running = bed.spawn(&bed.args(&refs(&args)).iter().map(String::as_str).collect::<Vec<_>>());
    bed.proxy.wait_until(Duration::from_secs(20), |calls| calls.iter().any(|call| call.is("CreateKey")));
    running.signal("INT");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !running.stderr().contains("interrupted") && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    running.signal("INT");
    let output = running.wait().code(130);
    assert!(output.stderr.contains("error: interrupted"), "{}", output.report());
}

fn an_interruption_while_reading_ends_the_run_at_once() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    bed.proxy.on_request(|request| if request.is("GetPipeline") { Action::HangBefore } else { Action::Forward });
    let running = bed.spawn(&bed.args(&refs(&args)).iter().map(String::as_str).collect::<Vec<_>>());
    bed.proxy.wait_until(Duration::from_secs(20), |calls| calls.iter().any(|call| call.is("GetPipeline")));
    let started = Instant::now();
    running.signal("INT");
    let output = running.wait().code(130);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(output.stderr.contains("error: interrupted"), "{}", output.report());
    assert!(bed.proxy.writes().is_empty());
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        a_new_setup_killed_anywhere_is_finished_by_the_next_run,
        an_adoption_killed_anywhere_is_finished_by_the_next_run,
        an_interrupted_apply_finishes_the_call_under_way_and_goes_on_next_time,
        a_second_interruption_stops_at_once,
        an_interruption_while_reading_ends_the_run_at_once,
    ]
}
