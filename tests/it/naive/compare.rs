//! The product's evaluator and the naive one on random requests: they agree on all.

use crate::support::depth;
use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use super::evaluator::{self, Decision};
use super::generator::{self, Random};

type Judge = fn(&Value) -> Value;

/// The evaluator under test.
const PRODUCT: Option<Judge> = Some(xdeploy::policy::simulate);

const REQUESTS: usize = 20_000;
const SEED: u64 = 20_261_122;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What is wrong with a verdict, if anything. With two and more unknown keys the product may say `unknown` where all values
/// come to the same; with one it is exact.
fn disagreement(judge: Judge, request: &Value, expected: Decision) -> Option<String> {
    let verdict = judge(request);
    let said = verdict["decision"].as_str().unwrap_or("no decision");
    let unknown_keys = evaluator::texts(&request["unknownContext"]).iter().filter(|key| evaluator::mentions(request, key)).count();
    let careful = said == "unknown" && unknown_keys > 1;
    (said != expected.name() && !careful).then(|| format!("says {said}, expected {}: {verdict}", expected.name()))
}

fn still_disagrees(judge: Judge, request: &Value) -> bool {
    generator::settled(request).is_ok_and(|expected| disagreement(judge, request, expected).is_some())
}

#[test]
fn both_evaluators_agree_on_random_requests() {
    let seed = setting("NAIVE_SEED", SEED);
    let requests = if depth::full() { REQUESTS } else { REQUESTS / 10 };
    let count = usize::try_from(setting("NAIVE_REQUESTS", requests as u64)).unwrap();
    println!("seed {seed} (NAIVE_SEED), {count} requests (NAIVE_REQUESTS)");
    let mut random = Random::new(seed);
    let mut shares: BTreeMap<Decision, usize> = BTreeMap::new();
    let (mut agreed, mut thrown_away, mut failures) = (0, 0, Vec::new());
    let started = Instant::now();
    for id in 0..count {
        let (request, expected, open) = generator::request(&mut random, id);
        *shares.entry(expected).or_default() += 1;
        thrown_away += open;
        let Some(judge) = PRODUCT else { continue };
        match disagreement(judge, &request, expected) {
            None => agreed += 1,
            Some(_) if failures.len() >= 5 => failures.push(String::new()),
            Some(_) => {
                let smallest = generator::shrink(&request, &|smaller| still_disagrees(judge, smaller));
                let why = generator::settled(&smallest).ok().and_then(|expected| disagreement(judge, &smallest, expected));
                failures.push(format!("{}\n{smallest:#}\n", why.unwrap_or_default()));
            }
        }
    }
    println!("{agreed} of {count} agreed; {thrown_away} thrown away as open questions; {:.1} s", started.elapsed().as_secs_f64());
    for decision in Decision::ALL {
        let share = shares.get(&decision).copied().unwrap_or_default() as f64 * 100.0 / count as f64;
        println!("{:>18}: {share:.1} %", decision.name());
        assert!(share >= 3.0, "too few requests are {}: {share:.1} %", decision.name());
    }
    let shown: Vec<&String> = failures.iter().filter(|failure| !failure.is_empty()).collect();
    assert!(
        failures.is_empty(),
        "seed {seed}: {} of {count} disagree; the first, shrunk:\n{}",
        failures.len(),
        shown.into_iter().cloned().collect::<Vec<_>>().join("\n")
    );
}

/// A judge that forgets boundaries is found out, and the case it fails on is small.
#[test]
fn a_wrong_evaluator_is_found_and_its_case_shrunk() {
    fn forgets_boundaries(request: &Value) -> Value {
        let mut request = request.clone();
        request.as_object_mut().unwrap().shift_remove("permissionBoundaries");
        json!({"id": request["id"], "decision": evaluator::decide(&request).name()})
    }
    let mut random = Random::new(7);
    let found = (0..2_000)
        .map(|id| generator::request(&mut random, id))
        .find(|(request, expected, _)| disagreement(forgets_boundaries, request, *expected).is_some());
    let (request, ..) = found.expect("two thousand requests have a boundary that matters");
    let smallest = generator::shrink(&request, &|smaller| still_disagrees(forgets_boundaries, smaller));
    assert!(still_disagrees(forgets_boundaries, &smallest));
    assert!(!smallest["permissionBoundaries"].is_null(), "{smallest:#}");
    assert!(evaluator::documents(&smallest).iter().flat_map(|(_, document)| evaluator::statements(document)).count() <= 4, "{smallest:#}");
}

#[test]
fn a_seed_gives_the_same_requests_again() {
    let of = |seed| {
        let mut random = Random::new(seed);
        (0..20).map(|id| generator::request(&mut random, id).0).collect::<Vec<_>>()
    };
    assert_eq!(of(3), of(3));
    assert_ne!(of(3), of(4));
}
