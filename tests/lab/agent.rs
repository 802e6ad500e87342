//! The agent's two servers, as facts/ecs.md B.1, B.2 and C.4 have them: introspection on 51678, credentials on 51679.
//!
//! The lab writes what the agent knows to a file, which is read again for each request:
//! `{"cluster", "instance", "tasks": [{"arn", "family", "revision", "role", "credentials", "containers": [{"id", "name", "docker_name",
//! "image"}]}]}`.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::http::{Answer, Request, listen};

/// The access key id of whoever asks for the credentials of a task. No value that a scanner would take for a real one.
pub const TASK_KEY: &str = "CANARYTASKROLEKEYID";
const SECRET: &str = "canary-secret-of-the-task-role";
const TOKEN: &str = "canary-token-of-the-task-role";

/// Serves until the lab closes the standard input. Without an audit log, as an agent whose port 51679 another program took before it.
pub fn serve(state: &str, audit_log: Option<&str>) {
    let introspection = TcpListener::bind(("0.0.0.0", 51678)).unwrap();
    let credentials = TcpListener::bind(("127.0.0.1", 51679)).unwrap();
    let (first, second, audit) = (PathBuf::from(state), PathBuf::from(state), audit_log.map(|path| Mutex::new(PathBuf::from(path))));
    listen(introspection, move |request| introspect(&read(&first), request));
    listen(credentials, move |request| {
        let Some(audit) = &audit else { return Answer::text(404, "nothing of the kind\n") };
        let state = read(&second);
        let (answer, task) = hand_out(&state, request);
        if request.path.starts_with("/v1/credentials") || request.path.starts_with("/v2/credentials") {
            // One writer at a time, as the agent has it.
            note(&audit.lock().unwrap(), &state, request, answer.status, task.as_deref());
        }
        answer
    });
    println!("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn read(state: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(state).unwrap()).unwrap()
}

fn introspect(state: &Value, request: &Request) -> Answer {
    match request.path.as_str() {
        "/v1/metadata" => Answer::json(
            200,
            &json!({
                "Cluster": state["cluster"],
                "ContainerInstanceArn": state["instance"],
                "Version": "Amazon ECS Agent - v1.105.1 (*deadbeef)",
            }),
        ),
        "/v1/tasks" => tasks(state, request.parameter("taskarn"), request.parameter("dockerid")),
        "/license" => Answer::text(200, "Apache License, Version 2.0\n"),
        _ => Answer::json(200, &json!({"AvailableCommands": ["/v1/metadata", "/v1/tasks", "/license"]})),
    }
}

fn tasks(state: &Value, arn: Option<&str>, id: Option<&str>) -> Answer {
    let all: Vec<Value> = state["tasks"].as_array().unwrap().iter().map(task).collect();
    let has = |task: &Value, id: &str| task["Containers"].as_array().unwrap().iter().any(|container| container["DockerId"] == id);
    let found = match (arn, id) {
        (None, None) => return Answer::json(200, &json!({ "Tasks": all })),
        (Some(_), Some(_)) => None,
        (Some(arn), None) => all.iter().find(|task| task["Arn"] == arn),
        (None, Some(id)) => all.iter().find(|task| has(task, id)),
    };
    let nothing = json!({"Arn": "", "KnownStatus": "", "Family": "", "Version": "", "Containers": null});
    match found {
        Some(task) => Answer::json(200, task),
        None => Answer::json(if arn.is_some() && id.is_some() { 400 } else { 404 }, &nothing),
    }
}

/// A task without its role and without its network mode: the agent tells neither.
fn task(task: &Value) -> Value {
    let container = |container: &Value| {
        json!({
            "DockerId": container["id"],
            "DockerName": container["docker_name"],
            "Name": container["name"],
            "Image": container["image"],
            "ImageID": "",
            "Volumes": [],
        })
    };
    json!({
        "Arn": task["arn"],
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "Family": task["family"],
        "Version": task["revision"],
        "Containers": task["containers"].as_array().unwrap().iter().map(container).collect::<Vec<_>>(),
    })
}

/// The answer, and the task whose credentials they are.
fn hand_out(state: &Value, request: &Request) -> (Answer, Option<String>) {
    let (version, id) = match request.path.as_str() {
        "/v1/credentials" => ("V1", request.parameter("id").unwrap_or_default()),
        path => match path.strip_prefix("/v2/credentials") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => ("V2", rest.trim_start_matches('/')),
            _ => return (Answer::text(404, "404 page not found\n"), None),
        },
    };
    let refuse = |code: &str, why: &str| {
        let message = format!("Credentials{version}Request: {why}");
        Answer::json(400, &json!({"code": code, "message": message, "HTTPErrorCode": 400}))
    };
    if id.is_empty() {
        return (refuse("NoIdInRequest", "No Credential ID in the request"), None);
    }
    let Some(task) = state["tasks"].as_array().unwrap().iter().find(|task| task["credentials"] == id) else {
        return (refuse("InvalidIdInRequest", "Credentials not found"), None);
    };
    let document = json!({
        "RoleArn": task["role"],
        "AccessKeyId": TASK_KEY,
        "SecretAccessKey": SECRET,
        "Token": TOKEN,
        "Expiration": utc(SystemTime::now() + Duration::from_secs(6 * 60 * 60)),
    });
    (Answer::json(200, &document), task["arn"].as_str().map(ToOwned::to_owned))
}

fn note(audit_log: &Path, state: &Value, request: &Request, status: u16, task: Option<&str>) {
    // The id of the credentials is never written.
    let path = if request.path.starts_with("/v2/credentials/") { "/v2/credentials" } else { &request.path };
    let agent = request.header("user-agent").unwrap_or_default();
    let common = format!("{} {status} {} \"{path}\" \"{agent}\" {}", utc(SystemTime::now()), request.from, task.unwrap_or("-"));
    // The line of an error ends after the sixth field, with a blank.
    let rest = task.map(|_| format!("GetCredentials 2 {} {}", text(&state["cluster"]), text(&state["instance"])));
    let mut file = OpenOptions::new().create(true).append(true).open(audit_log).unwrap();
    writeln!(file, "{common} {}", rest.unwrap_or_default()).unwrap();
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A moment as RFC 3339 in UTC, to the second.
pub fn utc(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of year 0, in eras of 400 years: the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let day = of_year - (153 * march + 2) / 5 + 1;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}
