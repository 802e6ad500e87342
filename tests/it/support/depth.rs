//! How much a run of the tests tries: every behaviour once, or everything.
//!
//! `cargo test` is quick: what tries each of hundreds of things takes some of them, chosen by a seed that it prints.
//! `XDEPLOY_TESTS=full cargo test` tries all; that is what the gate runs. `XDEPLOY_TEST_SEED=N` repeats a choice.

use std::env;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The variable that sets the seed.
pub const SEED: &str = "XDEPLOY_TEST_SEED";

/// Says whether everything is to be tried.
///
/// # Panics
/// `XDEPLOY_TESTS` is neither `quick` nor `full`: a misspelt one would pass for a full run.
pub fn full() -> bool {
    match env::var("XDEPLOY_TESTS").as_deref() {
        Err(_) | Ok("" | "quick") => false,
        Ok("full") => true,
        Ok(other) => panic!("XDEPLOY_TESTS is `{other}`: it may be `quick` or `full`"),
    }
}

/// The seed of this run's choices.
pub fn seed() -> u64 {
    static CHOSEN: OnceLock<u64> = OnceLock::new();

    *CHOSEN.get_or_init(|| match env::var(SEED) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{SEED} is `{text}`: {error}")),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(),
    })
}

/// Chance that can be repeated (SplitMix64).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// A number below the bound, which isn't zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

/// Gives all in a full run, and so many of them, in their order, in a quick one.
pub fn sampled<T>(what: &str, all: Vec<T>, quick: usize) -> Vec<T> {
    if full() || all.len() <= quick {
        return all;
    }
    let seed = seed();
    println!("{what}: {quick} of {} ({SEED}={seed})", all.len());
    chosen(all, quick, seed)
}

fn chosen<T>(all: Vec<T>, count: usize, seed: u64) -> Vec<T> {
    let (mut chance, mut left, mut wanted) = (Chance::new(seed), all.len(), count);
    all.into_iter()
        .filter(|_| {
            let taken = chance.below(left) < wanted;
            left -= 1;
            wanted -= usize::from(taken);
            taken
        })
        .collect()
}

#[test]
fn a_choice_has_its_size_and_order_and_in_the_end_leaves_nothing_out() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let some = chosen((0..50).collect(), 7, seed);
        assert!(some.len() == 7 && some.is_sorted(), "{some:?}");
        assert_eq!(some, chosen((0..50).collect(), 7, seed));
        seen.extend(some);
    }
    assert_eq!(seen.len(), 50);
}
