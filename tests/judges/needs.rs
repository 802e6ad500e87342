//! What a test needs of the machine, and what becomes of it where that is missing.

use crate::support::{depth, emulators, script, tools};
use libtest_mimic::{Completion, Failed, Trial};
use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Something that a test needs: gives what is missing.
pub type Need = fn() -> Option<String>;

/// Rust alone.
pub const NOTHING: &[Need] = &[];
/// ministack and moto, which pip installs.
pub const EMULATORS: &[Need] = &[emulators::missing];
/// Somebody who types at a terminal: a script of python's own library.
pub const TERMINAL: &[Need] = &[|| program("python3", "python3")];
/// The real AWS CLI in shell scripts.
pub const AWS_CLI: &[Need] = &[|| program("bash", "bash"), || program("jq", "jq"), script::missing, emulators::missing];
/// cfn-lint, and CloudFormation of ministack.
pub const CLOUDFORMATION: &[Need] = &[|| program("bash", "bash"), || program("jq", "jq"), tools::missing, emulators::missing];
/// shellcheck and cfn-lint.
pub const TOOLS: &[Need] = &[tools::missing];

/// Makes a test of the judges: skipped, with what the machine lacks; a failure instead with `XDEPLOY_JUDGES=must`.
pub fn trial(name: &str, needs: &'static [Need], test: fn()) -> Trial {
    let name = name.split_once("::").map_or(name, |(_, name)| name).to_owned();
    Trial::ignorable_test(name.clone(), move || judged(name, needs, test))
}

/// The same, but skipped in the gate as well where there is not what no package registry has.
pub fn trial_where_there_is(name: &'static str, special: &'static [Need], needs: &'static [Need], test: fn()) -> Trial {
    Trial::ignorable_test(name, move || {
        let missing: Vec<String> = special.iter().filter_map(|need| need()).collect();
        if !missing.is_empty() {
            return Ok(Completion::ignored_with(format!("needs {}", missing.join(", "))));
        }
        judged(name.to_owned(), needs, test)
    })
}

/// Somebody names the tests that are to run.
pub static NAMED: AtomicBool = AtomicBool::new(false);

/// Files of which a quick run takes some tests: on other emulators they try what the rest tries on ours.
const SAMPLED: [&str; 13] = [
    "adoption",
    "article",
    "errors",
    "export",
    "export_cloudformation",
    "one_account",
    "played",
    "policies",
    "proof",
    "requests",
    "settling",
    "stops",
    "teardown",
];

/// Makes sure that each name of [`SLOW`] is a test's: a test that was renamed would be quick again without a word.
///
/// # Panics
/// One isn't.
pub fn check_slow(trials: &[Trial]) {
    for name in SLOW {
        assert!(trials.iter().any(|trial| trial.name() == name), "there is no test {name}");
    }
}

/// Says whether a quick run takes the test: one of ten of those files, others with each seed.
fn is_of_the_sample(name: &str) -> bool {
    let file = name.split("::").next().unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    (name, depth::seed()).hash(&mut hasher);
    !SAMPLED.contains(&file) || hasher.finish().is_multiple_of(10)
}

/// What takes a minute, and tries what others try too: by other people's programs, at every moment, or in every way.
const SLOW: [&str; 11] = [
    "agreement::the_emulators_and_the_rehearsal_agree_but_for_what_is_listed",
    "errors::a_denied_write_says_what_to_allow",
    "export::a_script_makes_buckets_and_uploads_the_artifact_once",
    "export::a_script_that_was_ended_anywhere_is_finished_by_running_it_again",
    "export::each_side_runs_its_own_script_and_both_come_to_what_setup_gives",
    "export::the_script_gives_the_state_that_setup_gives_and_again_changes_nothing",
    "policies::a_set_up_goes_from_each_style_to_the_other_and_back",
    "teardown::a_teardown_of_an_adoption_that_was_killed_is_finished_by_running_it_again",
    "teardown::a_teardown_that_was_killed_is_finished_by_running_it_again",
    "teardown::two_pipelines_that_share_key_and_artifact_bucket_are_torn_down_in_either_order",
    "terraform::the_provider_makes_what_setup_makes_and_then_finds_nothing_to_change",
];

fn judged(name: String, needs: &[Need], test: fn()) -> Result<Completion, Failed> {
    if !depth::full() && !NAMED.load(Ordering::SeqCst) && env::var_os("XDEPLOY_JUDGES").is_none() {
        if SLOW.contains(&name.as_str()) {
            return Ok(Completion::ignored_with("takes long: XDEPLOY_TESTS=full tries it"));
        }
        if !is_of_the_sample(&name) {
            let why = format!("not in the sample of {}={}: XDEPLOY_TESTS=full tries it", depth::SEED, depth::seed());
            return Ok(Completion::ignored_with(why));
        }
    }
    let missing: Vec<String> = needs.iter().filter_map(|need| need()).collect();
    if missing.is_empty() {
        let started = Instant::now();
        test();
        TIMES.lock().unwrap().push((started.elapsed(), name));
        return Ok(Completion::Completed);
    }
    let reason = format!("needs {}", missing.join(", "));
    if env::var("XDEPLOY_JUDGES").is_ok_and(|value| value == "must") {
        return Err(Failed::from(reason));
    }
    Ok(Completion::ignored_with(reason))
}

/// How long each test took.
static TIMES: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

/// Prints the slowest tests of the run.
pub fn print_slowest() {
    let mut times = std::mem::take(&mut *TIMES.lock().unwrap());
    times.sort_by(|one, other| other.cmp(one));
    println!("the slowest:");
    for (time, name) in times.iter().take(10) {
        println!("{:>7.1} s {name}", time.as_secs_f64());
    }
}

/// Gives what is missing if there is no such program.
pub fn program(name: &str, package: &str) -> Option<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let there = env::split_paths(&path).map(|folder: PathBuf| folder.join(name)).any(|file| file.is_file());
    (!there).then(|| format!("{name} (package {package})"))
}
