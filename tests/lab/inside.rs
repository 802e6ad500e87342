//! `ecs-check` from inside a container's network and process namespace, as on Fargate: it finds out by itself where it is.

use std::process::Command;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::lab::{Lab, with_third};
use crate::needs;
use crate::rows::healthy;

pub fn trials() -> Vec<Trial> {
    vec![needs::trial("inside::it_judges_its_own_container", &[], || with_third(it_judges_its_own_container))]
}

/// Runs it below a shell that has some variables; `before` runs in that shell first.
fn inside(lab: &Lab, app: &str, variables: &[&str], before: &str) -> Value {
    // The namespaces are the container's and one of its own; the files are this machine's.
    let mut command = Command::new("nsenter");
    command.arg(lab.network_of(lab.app(app).pid)).args(["unshare", "--pid", "--fork", "--mount-proc", "env", "-i", "PATH=/usr/bin:/bin"]);
    command.args(variables).args(["/bin/sh", "-c", &format!("{before}\n{} ecs-check --output json; true", env!("CARGO_BIN_EXE_xdeploy"))]);
    said(&mut command)
}

fn said(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("canary"), "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn outcome(said: &Value, id: &str) -> String {
    let found = said["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == id);
    found.unwrap_or_else(|| panic!("{id}: {said:#}"))["outcome"].as_str().unwrap().to_owned()
}

fn it_judges_its_own_container(lab: &mut Lab) {
    const ROLE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/canary-id";
    const METADATA: &str = "ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/x";
    lab.reset();
    healthy(lab);
    let fine = inside(lab, "bridge", &[ROLE, METADATA], "");
    assert_eq!((&fine["host"]["inTask"], outcome(&fine, "XD-ECS-080").as_str()), (&Value::Bool(true), "pass"), "{fine:#}");
    assert_eq!(fine["containers"][0]["verdict"]["identity"], "task-role", "{fine:#}");
    let cleared = inside(lab, "bridge", &[ROLE, METADATA], "env -i PATH=/bin sleep 60 &");
    assert_eq!(outcome(&cleared, "XD-ECS-060"), "fail", "{cleared:#}");
    let without = inside(lab, "bridge", &[METADATA], "");
    assert_eq!(without["containers"][0]["verdict"]["identity"], "instance-role", "{without:#}");
    let keys = inside(lab, "host", &[ROLE, METADATA, "AWS_ACCESS_KEY_ID=canary"], "");
    assert_eq!(keys["containers"][0]["verdict"]["identity"], "other-credentials", "{keys:#}");
    lab.reset();
    let broken = inside(lab, "awsvpc", &[ROLE, METADATA], "");
    assert_eq!((outcome(&broken, "XD-ECS-080").as_str(), &broken["exitCode"]), ("fail", &serde_json::json!(1)), "{broken:#}");
}
