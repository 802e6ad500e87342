//! What a test needs of the machine, and what becomes of it where that is missing.

use crate::support::{emulators, script, tools};
use libtest_mimic::{Completion, Failed, Trial};
use std::env;
use std::path::PathBuf;

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
    let name = name.split_once("::").map_or(name, |(_, name)| name);
    Trial::ignorable_test(name, move || {
        let missing: Vec<String> = needs.iter().filter_map(|need| need()).collect();
        if missing.is_empty() {
            test();
            return Ok(Completion::Completed);
        }
        let reason = format!("needs {}", missing.join(", "));
        if env::var("XDEPLOY_JUDGES").is_ok_and(|value| value == "must") {
            return Err(Failed::from(reason));
        }
        Ok(Completion::ignored_with(reason))
    })
}

/// Gives what is missing if there is no such program.
pub fn program(name: &str, package: &str) -> Option<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let there = env::split_paths(&path).map(|folder: PathBuf| folder.join(name)).any(|file| file.is_file());
    (!there).then(|| format!("{name} (package {package})"))
}
