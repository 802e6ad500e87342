//! The published schemas, and the documents of the real commands.

use crate::support::served;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// This machine's platform: of others, not every package is there.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// Asserts that a log is valid SARIF, by the schema as the package that ships it has it.
pub fn valid_sarif(log: &Value) {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", &host(), "--manifest-path", manifest])
        .output()
        .unwrap();
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

/// The schema of a document with nothing beside what it names: a key that is printed and not described is a mistake of ours, while
/// whoever reads the document may meet more.
pub fn strict(name: &str) -> Value {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(members) => {
                if members.contains_key("properties") && !members.contains_key("additionalProperties") {
                    members.insert("additionalProperties".to_owned(), false.into());
                }
                members.values_mut().for_each(close);
            }
            Value::Array(list) => list.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut schema = xdeploy::report::schema(name).unwrap_or_else(|| panic!("no schema of {name}"));
    close(&mut schema);
    schema
}

/// Asserts that a document is as its schema says, and gives the name of that.
#[track_caller]
pub fn fits(document: &Value) -> String {
    let name = document["schema"].as_str().unwrap().strip_prefix("xdeploy.").unwrap().strip_suffix("/1").unwrap().to_owned();
    assert_valid(&strict(&name), document);
    name
}

fn alone(args: &[&str], input: &str) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
    command.args(args).current_dir(dir.path()).env_clear().env("HOME", dir.path());
    let pipe = std::process::Stdio::piped;
    let mut child = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn what_asks_aws_prints_what_its_schema_says() {
    let served = served::served();
    let json = |args: &[&str], code: i32| -> Value {
        let output = served.try_run(&[args, &["--output", "json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let deployed = |args: &[&str], code: i32| json(&served::with(args), code);
    assert_eq!(fits(&json(&["who-am-i"], 0)), "who-am-i");
    assert_eq!(fits(&deployed(&["setup", "--no-input"], 3)), "error");
    assert_eq!(fits(&deployed(&["verify"], 1)), "error");
    assert_eq!(fits(&deployed(&["setup", "--dry-run"], 0)), "setup");
    assert_eq!(fits(&deployed(&["plan", "--out", "p"], 0)), "plan");
    let saved: Value = serde_json::from_str(&std::fs::read_to_string(served.dir.path().join("p")).unwrap()).unwrap();
    assert_eq!(fits(&saved), "plan");
    for format in ["awscli", "terraform"] {
        assert_eq!(fits(&json(&["export", "--plan", "p", "--format", format], 0)), "export");
    }
    assert_eq!(fits(&json(&["apply", "p"], 0)), "apply");
    assert_eq!(fits(&deployed(&["setup", "--yes", "--policies", "least-privilege"], 0)), "setup");
    assert_eq!(fits(&deployed(&["verify", "--second-opinion"], 0)), "verify");
    assert_eq!(fits(&json(&["release", "--sample", "--start-after", "0s"], 0)), "release");
    assert_eq!(fits(&json(&["release", "--sample", "--start-after", "0s", "--no-wait"], 0)), "release");
    served::remove_policy(&served, "devkmss3access");
    assert_eq!(fits(&deployed(&["verify"], 1)), "verify");
    // The last run was green; the next one wouldn't be.
    let explained = json(&["explain", "--pipeline", "crossaccountdeploy"], 0);
    assert_eq!((fits(&explained).as_str(), &explained["causes"][0]["link"]["name"]), ("explain", &"deploy-read".into()));
    let failed = served.try_run(&["release", "--sample", "--start-after", "0s", "--report", "json=r.json"]);
    assert_eq!(failed.status.code(), Some(1));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(served.dir.path().join("r.json")).unwrap()).unwrap();
    assert_eq!((fits(&report).as_str(), &report["error"]["exit"]), ("release", &1.into()));
    let explained = json(&["explain", "--pipeline", "crossaccountdeploy"], 0);
    assert_eq!((fits(&explained).as_str(), &explained["causes"][0]["link"]["verdict"]), ("explain", &"denied".into()));
    assert_eq!(fits(&deployed(&["teardown", "--confirm", "crossaccountdeploy"], 0)), "teardown");
}

#[test]
fn what_asks_nobody_prints_what_its_schema_says() {
    for (args, code) in [
        (&["rehearse"][..], 0),
        (&["rehearse", "--break", "deploy-read", "--fix"], 0),
        (&["rehearse", "--break", "deploy-read"], 1),
        (&["rehearse", "--break", "list"], 0),
        (&["permissions", "--command", "setup", "--side", "dev", "--input-bucket", "in-bucket", "--output-bucket", "out-bucket"], 0),
        (&["ci", "github", "--region", "us-east-1"], 0),
        (&["ci", "gitlab", "--region", "us-east-1", "--roles"], 0),
        (&["ecs-check", "--root", "."], 5),
        (&["ecs-check", "--explain-error", "User: arn:aws:sts::111111111111:assumed-role/r/i-0123456789abcdef0 is not authorized"], 0),
        (&["ecs-check", "--explain-error", "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied"], 5),
        (&["explain", "XD-CP-006"], 0),
        (&["explain", "XD-ECS-010"], 0),
        (&["explain", "XD-DRIFT-005"], 0),
        (&["explain", "XD-CALL-001"], 0),
        (&["explain", "deploy-decrypt"], 0),
        (&["explain", "deploy-decrpyt"], 64),
        (&["schema"], 0),
        (&["completions", "zsh"], 0),
        (&["man"], 0),
        (&["man", "pages"], 0),
        (&["plan"], 64),
        (&["plan", "--no-such-flag"], 64),
    ] {
        let (exit, text) = alone(&[args, &["--output", "json"]].concat(), "");
        assert_eq!(exit, code, "{args:?}\n{text}");
        fits(&serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}\n{text}")));
    }
}

#[test]
fn what_is_pasted_is_explained_as_its_schema_says() {
    for (message, code) in [
        ("The object with key 'site.zip' does not exist.", 0),
        ("User: arn:aws:sts::111111111111:assumed-role/r/i-0123456789abcdef0 is not authorized to perform: s3:GetObject", 0),
        ("the cat sat on the keyboard", 5),
    ] {
        let (exit, text) = alone(&["explain", "-", "--output", "json"], message);
        assert_eq!((exit, fits(&serde_json::from_str(&text).unwrap()).as_str()), (code, "explain"), "{message}\n{text}");
    }
}

#[test]
fn every_line_of_simulate_is_as_its_schema_says() {
    let statement = |effect: &str, more: &str| {
        format!(
            "{{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"{effect}\", \"Action\": \"*\", \"Resource\": \"*\"{more}}}]}}"
        )
    };
    let request = |policy: &str| {
        format!(
            "{{\"principal\": \"arn:aws:iam::111111111111:user/u\", \"resourceAccount\": \"111111111111\", \"unknownContext\": [\"aws:SourceVpc\"], \"action\": \"s3:GetObject\", \"resource\": \"arn:aws:s3:::b/k\", \"identityPolicies\": [{policy}]}}\n"
        )
    };
    let unknown = statement("Allow", ", \"Condition\": {\"StringEquals\": {\"aws:SourceVpc\": \"v\"}}");
    let lines =
        [request(&statement("Allow", "")), request(&statement("Deny", "")), request(&unknown), request("{}"), "nonsense\n".to_owned()];
    let (_, text) = alone(&["simulate"], &lines.concat());
    let schema = strict("simulate");
    let mut decisions: Vec<String> = Vec::new();
    for line in text.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_valid(&schema, &answer);
        decisions.push(answer["decision"].as_str().unwrap().to_owned());
    }
    assert_eq!(decisions.len(), 5, "{text}");
    assert_eq!(decisions, ["allowed", "explicitly-denied", "unknown", "error", "error"], "{text}");
}

#[test]
fn every_schema_is_one_and_stands_alone() {
    let mut listed = Vec::new();
    for (name, _) in xdeploy::report::schemas() {
        listed.push(name.to_owned());
        let schema = xdeploy::report::schema(name).unwrap();
        assert!(jsonschema::meta::is_valid(&schema), "{name}");
        jsonschema::validator_for(&schema).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let (code, text) = alone(&["schema", name], "");
        assert_eq!((code, serde_json::from_str::<Value>(&text).unwrap()), (0, schema));
    }
    // Each file has a place in the list.
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/schemas")).unwrap();
    let mut files: Vec<String> = folder.map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
    files.retain(|name| name != "common");
    files.sort();
    listed.sort();
    assert_eq!(files, listed);
    // Each document that the program prints has a schema.
    let mut without = Vec::new();
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let named = text.split("\"xdeploy.").skip(1).filter_map(|rest| rest.split_once("/1\"")).map(|(name, _)| name);
        let name = |name: &&str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        without.extend(named.filter(name).filter(|name| !listed.iter().any(|known| known == name)).map(str::to_owned));
    }
    assert_eq!(without, Vec::<String>::new());
    let (code, text) = alone(&["schema", "verfy", "--output", "json"], "");
    assert_eq!(code, 64);
    assert!(text.contains("did you mean `verify`?"), "{text}");
}

/// The settings file that the README shows has every key, is what its schema says, and the program reads it.
#[test]
fn the_settings_file_is_as_its_schema_says() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let table: toml::Table = text.parse().unwrap();
    let file = serde_json::to_value(&table).unwrap();
    let schema = xdeploy::report::schema("config").unwrap();
    assert_valid(&schema, &file);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
    for (pointer, part) in
        [("", ""), ("/properties/pipeline", "/pipeline"), ("/properties/dev", "/dev"), ("/properties/target/items", "/target/0")]
    {
        assert_eq!(keys(&schema.pointer(&format!("{pointer}/properties")).unwrap().clone()), keys(file.pointer(part).unwrap()), "{part}");
    }
    let mut odd = file;
    odd["dev"]["prfile"] = "x".into();
    assert!(!jsonschema::validator_for(&schema).unwrap().is_valid(&odd));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("xdeploy.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
    let output = command
        .args(["rehearse", "--dry-run", "--create-buckets"])
        .current_dir(dir.path())
        .env_clear()
        .env("HOME", dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The schemas are good for something: what isn't described, and what is missing, doesn't pass.
#[test]
fn a_document_with_another_key_or_without_one_is_refused() {
    let (_, text) = alone(&["rehearse", "--output", "json"], "");
    let whole: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&strict("rehearse")).unwrap();
    assert!(validator.is_valid(&whole));
    let mut more = whole.clone();
    more["setup"]["proof"]["links"][0]["surprise"] = 1.into();
    assert!(!validator.is_valid(&more));
    let mut less = whole;
    less["setup"]["plan"].as_object_mut().unwrap().remove("kept");
    assert!(!validator.is_valid(&less));
}
