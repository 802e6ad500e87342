//! A folder that somebody else made, and containers that lie: nothing outside is read, and nothing takes for ever.

use super::tree::{API, Kind, METRICS, Tree, WEB, id};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const CANARY: &str = "[canary-profile]\naws_access_key_id = canary\n";

/// Runs the program on a folder, for ten seconds at the most.
fn run(folder: &Path) -> Output {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "10", env!("CARGO_BIN_EXE_xdeploy"), "ecs-check", "--output", "json", "--root"]).arg(folder);
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).output().unwrap()
}

fn said(folder: &Path) -> Value {
    let output = run(folder);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| code < 124), "it didn't end: {text}");
    assert!(!text.contains("canary"), "{text}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn identity<'v>(said: &'v Value, name: &str) -> &'v str {
    let containers = said["containers"].as_array().unwrap();
    let found = containers.iter().find(|container| container["name"] == name).unwrap_or_else(|| panic!("{name}: {said:#}"));
    found["verdict"]["identity"].as_str().unwrap()
}

fn replace(tree: &Tree, path: &str, by: impl FnOnce(&Path)) {
    let place = tree.path().join(path);
    if let Ok(found) = fs::symlink_metadata(&place) {
        if found.is_dir() { fs::remove_dir_all(&place).unwrap() } else { fs::remove_file(&place).unwrap() }
    }
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    by(&place);
}

fn pipe(place: &Path) {
    mknodat(CWD, place, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn nothing_outside_a_folder_is_read_and_no_pipe_is_waited_for() {
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir_all(outside.path().join("root/.aws")).unwrap();
    fs::write(outside.path().join("root/.aws/credentials"), CANARY).unwrap();
    fs::write(outside.path().join("environ"), "AWS_PROFILE=canary-profile\0").unwrap();
    let elsewhere = outside.path();
    type By<'a> = Box<dyn Fn(&Path) + 'a>;
    let link = |to: &'static str| -> By<'_> { Box::new(move |place: &Path| symlink(elsewhere.join(to), place).unwrap()) };
    let device = || -> By<'_> { Box::new(|place: &Path| symlink("/dev/zero", place).unwrap()) };
    let hostile: Vec<(&str, By<'_>)> = vec![
        ("proc/2001/root", link("")),
        ("proc/2001/root", Box::new(move |place| symlink("/", place).unwrap())),
        ("proc/2001/environ", link("environ")),
        ("proc/2001", link("")),
        ("proc/2001/environ", Box::new(pipe)),
        ("proc/2001/cgroup", Box::new(pipe)),
        ("proc/2001/environ", device()),
        ("proc/2001/cmdline", device()),
        ("proc/2001/status", device()),
        ("proc/2001/root/root/.aws/credentials", Box::new(pipe)),
        ("proc/2001/root/root/.aws", link("root/.aws")),
        ("proc/2001/net/route", Box::new(pipe)),
        ("etc/ecs/ecs.config", Box::new(pipe)),
        ("var/log/ecs/audit.log", device()),
        ("xdeploy-capture/aws.json", Box::new(pipe)),
    ];
    for (path, by) in hostile {
        let tree = Tree::healthy(Kind::AmazonLinux2023);
        replace(&tree, path, &by);
        let said = said(tree.path());
        if path.starts_with("proc/2001") {
            assert_eq!(identity(&said, METRICS.0), "task-role", "{path}");
            assert_eq!(identity(&said, API.0), "task-role", "{path}");
        }
    }
}

#[test]
fn a_process_is_a_container_s_only_if_its_control_group_says_so() {
    let tree = Tree::healthy(Kind::AmazonLinux2023);
    // The number was given to a program of the host meanwhile.
    tree.process(4242, 4242, 1, "sshd", &["HOME=/root"]);
    tree.write("proc/4242/cgroup", "0::/system.slice/ssh.service\n");
    tree.write("proc/4242/root/root/.aws/credentials", CANARY);
    tree.container(WEB.0, |document| document["State"]["Pid"] = json!(4242));
    assert_eq!(identity(&said(tree.path()), WEB.0), "task-role");
    // What a container calls its own groups is of no account.
    let tree = Tree::healthy(Kind::AmazonLinux2023);
    tree.process(METRICS.1, 4243, METRICS.1, "sleep", &["AWS_ACCESS_KEY_ID=AKIA"]);
    tree.write("proc/4243/cgroup", &format!("0::/ecs/docker-{}.scope/docker-{}.scope\n", id(METRICS.1), id(WEB.1)));
    let said = said(tree.path());
    assert_eq!((identity(&said, WEB.0), identity(&said, METRICS.0)), ("task-role", "other-credentials"));
}

#[test]
fn a_task_is_never_the_agent() {
    let outcomes = |tree: &Tree| {
        let said = said(tree.path());
        let findings = said["findings"].as_array().unwrap().iter();
        findings.map(|finding| format!("{} {}", finding["id"], finding["outcome"])).collect::<Vec<_>>()
    };
    let tree = Tree::healthy(Kind::AmazonLinux2023);
    let healthy = outcomes(&tree);
    // The engine lists the newest first.
    tree.container(WEB.0, |document| {
        document["Config"]["Image"] = json!("registry.test/evil/amazon-ecs-agent:latest");
        document["Config"]["Env"].as_array_mut().unwrap().push(json!("ECS_ENABLE_TASK_IAM_ROLE=false"));
    });
    let path = tree.path().join("xdeploy-capture/docker/containers.json");
    let mut documents: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let at = documents.iter().position(|document| document["Name"] == format!("/{}", WEB.0)).unwrap();
    documents.swap(0, at);
    fs::write(&path, json!(documents).to_string()).unwrap();
    let found = outcomes(&tree);
    let agents = |outcomes: &[String]| outcomes.iter().filter(|text| text.contains("XD-ECS-01")).cloned().collect::<Vec<_>>();
    assert_eq!(agents(&found), agents(&healthy));
}
