//! What the program is made of and what makes it: cargo-deny on the dependencies, zizmor and actionlint on workflows.

use crate::needs::{TOOLS, trial_where_there_is};
use crate::support::tools::{self, tools};
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

fn cargo_deny(args: &[&str]) -> Output {
    let mut command = Command::new(tools().join("cargo-deny"));
    command.args(["--config", ".ci/deny.toml"]).args(args).current_dir(PROJECT).stdin(Stdio::null());
    command.output().unwrap()
}

fn is_fine(output: &Output) {
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

fn dependencies_come_from_one_registry_once_each_and_may_be_used() {
    is_fine(&cargo_deny(&["--offline", "--locked", "check", "-D", "warnings", "licenses", "bans", "sources"]));
}

/// Gives what is missing: the database lies in a repository, which not every machine reaches.
fn no_database() -> Option<String> {
    let reached = tools::missing().is_none() && cargo_deny(&["fetch", "db"]).status.success();
    (!reached).then(|| "the database of RustSec's advisories, which isn't reached from here".to_owned())
}

fn no_dependency_has_an_advisory() {
    is_fine(&cargo_deny(&["--locked", "check", "--disable-fetch", "-D", "warnings", "advisories"]));
}

/// The workflows of the repository, and those that the program writes.
fn workflows(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(Path::new(PROJECT).join(".github/workflows"))
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    found.sort();
    let digest = "0123456789abcdef".repeat(4);
    for (name, more) in [("compiled.yml", &[][..]), ("released.yml", &["--sha256", &digest])] {
        let said = ["--region", "us-east-1", "--input-bucket", "in-bucket", "--output-bucket", "out-bucket"];
        let output = Command::new(env!("CARGO_BIN_EXE_xdeploy")).args(["ci", "github"]).args(said).args(more).env_clear().output().unwrap();
        is_fine(&output);
        let path = folder.join(name);
        fs::write(&path, output.stdout).unwrap();
        found.push(path);
    }
    found
}

fn zizmor_finds_nothing_in_workflows() {
    let dir = tempfile::tempdir().unwrap();
    is_fine(&Command::new(tools().join("zizmor")).args(["--offline", "--no-progress"]).args(workflows(dir.path())).output().unwrap());
}

fn actionlint_finds_nothing_in_workflows() {
    let dir = tempfile::tempdir().unwrap();
    // Its own search of the path finds shellcheck beside it.
    let path = format!("{}:{}", tools().display(), std::env::var("PATH").unwrap());
    is_fine(&Command::new(tools().join("actionlint")).args(workflows(dir.path())).env("PATH", path).output().unwrap());
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let mut all = trials![TOOLS;
        dependencies_come_from_one_registry_once_each_and_may_be_used,
        zizmor_finds_nothing_in_workflows,
        actionlint_finds_nothing_in_workflows,
    ];
    all.push(trial_where_there_is("supply_chain::no_dependency_has_an_advisory", &[no_database], TOOLS, no_dependency_has_an_advisory));
    all
}
