//! What a test needs of the machine, and what becomes of it where that is missing.

use crate::support::{emulators, script, tools};
use libtest_mimic::{Completion, Failed, Trial};
use std::env;
use std::path::PathBuf;
use std::sync::Mutex;
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

fn judged(name: String, needs: &[Need], test: fn()) -> Result<Completion, Failed> {
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
pub fn tell_slowest() {
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
