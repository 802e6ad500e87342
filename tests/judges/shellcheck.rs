//! shellcheck on the scripts of the generated CI jobs.

use crate::needs::TOOLS;
use crate::support::{scripts, tools};
use libtest_mimic::Trial;
use std::fs;
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

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![TOOLS;
        shellcheck_finds_nothing,
    ]
}
