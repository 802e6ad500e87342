//! The published schemas, and the documents of the real commands.

use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Asserts that a log is valid SARIF, by the schema as the package that ships it has it.
pub fn valid_sarif(log: &Value) {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output =
        Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--offline", "--manifest-path", manifest]).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == "serde-sarif").unwrap();
    let folder = PathBuf::from(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned();
    let text = std::fs::read_to_string(folder.join("src/schema.json")).unwrap();
    // The published pattern of a language has a stray bracket, which only JavaScript's older expressions take.
    assert_valid(&serde_json::from_str(&text.replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$")).unwrap(), log);
}

#[track_caller]
pub fn assert_valid(schema: &Value, document: &Value) {
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, Vec::<String>::new());
}
