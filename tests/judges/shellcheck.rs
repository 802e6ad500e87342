//! shellcheck on the scripts of the generated CI jobs and on our own.

use crate::needs::TOOLS;
use crate::support::{scripts, tools};
use libtest_mimic::Trial;
use std::fs;
use std::path::Path;
use std::process::Command;
use yaml_rust2::{Yaml, YamlLoader};

/// The workflow that the program writes for a service.
fn workflow(service: &str) -> Yaml {
    let output = Command::new(env!("CARGO_BIN_EXE_xdeploy"))
        .args(["ci", service, "--region", "us-east-1", "--input-bucket", "in-bucket", "--output-bucket", "out-bucket"])
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    YamlLoader::load_from_str(&String::from_utf8(output.stdout).unwrap()).unwrap().remove(0)
}

fn shellcheck_finds_nothing() {
    let mut found = Vec::new();
    for service in ["github", "gitlab"] {
        scripts(&workflow(service), &mut found);
    }
    assert!(found.len() > 12, "{found:#?}");
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(tools().join("shellcheck"));
    command.args(["--shell", "bash"]);
    for (number, script) in found.iter().enumerate() {
        assert!(!script.contains("${{"), "an expression in a script is an injection: {script}");
        let path = dir.path().join(format!("{number}.sh"));
        fs::write(&path, script).unwrap();
        command.arg(path);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The scripts of the gate, of a release and of the action.
fn shellcheck_finds_nothing_in_our_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let release = fs::read_dir(root.join(".ci/release")).unwrap().map(|entry| entry.unwrap().path());
    let all = release.chain([root.join(".ci/run"), root.join(".github/actions/setup/setup.sh")]);
    let scripts: Vec<_> = all.filter(|path| fs::read_to_string(path).unwrap().lines().next().is_some_and(is_of_a_shell)).collect();
    assert!(scripts.len() > 8, "{scripts:?}");
    let output = Command::new(tools().join("shellcheck")).args(scripts).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn is_of_a_shell(first: &str) -> bool {
    first.starts_with("#!") && first.ends_with("sh")
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![TOOLS;
        shellcheck_finds_nothing,
        shellcheck_finds_nothing_in_our_own,
    ]
}
