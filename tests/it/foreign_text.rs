//! Text of others is printed and never obeyed: whatever two accounts, a host, a file or a lock hold, no output has a control
//! character that isn't ours, and no line that a CI system takes for a command but the annotations that were asked for.

use crate::ecs::tree::{API, KINDS, Kind, METRICS, Tree, WEB};
use crate::support::served::{BUCKETS, Served, served, with};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use xdeploy::model::{inert_json, is_acted_on};
use xdeploy::rehearsal::{DEV, PROD};

/// What a terminal and a CI system's log would act on, and a word that shows that it was printed.
const HOSTILE: &str = "\u{1b}[2Jx\u{1b}]0;title\u{7}\n::set-output name=a::b\n  ::stop-commands::x\r\n##[set-env name=A]b ##vso[task]\u{9b}31m\
    \u{202e}\u{2066}\u{200f}\u{61c}\u{2028}\u{2029}\u{7f}\u{85}\u{8}it-was-printed";

/// What xdeploy paints with.
const PAINT: [&str; 6] = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[1;31m", "\u{1b}[1;32m", "\u{1b}[1;33m", "\u{1b}[1;36m"];

/// Finds what a terminal or a log would act on.
fn acted_on(text: &str, annotated: bool) -> Option<String> {
    let plain = PAINT.iter().fold(text.to_owned(), |text, paint| text.replace(paint, ""));
    let command = |line: &str| {
        let ours = annotated && ["::error ", "::warning ", "::notice "].iter().any(|command| line.starts_with(command));
        let is_command = line.trim_start().starts_with("::") || line.contains("##[");
        is_command && !ours || line.contains(is_acted_on)
    };
    plain.split('\n').find(|line| command(line)).map(|line| format!("{line:?}"))
}

#[track_caller]
fn assert_inert(what: &str, output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|stream| std::str::from_utf8(stream).unwrap());
    for stream in [out, err] {
        if let Some(line) = acted_on(stream, what.contains("github=-")) {
            panic!("{what}: {line}\n{stream}");
        }
    }
    format!("{out}{err}")
}

/// A set-up in which others have written what they could, where they could.
fn hostile() -> Served {
    let served = served();
    served.run(&with(&["setup", "--yes"]));
    let statement = |action: &str, resource: &str| {
        json!({"Sid": HOSTILE, "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource, "Condition": {
            "StringEquals": {"aws:PrincipalOrgID": HOSTILE}, "StringNotLike": {"aws:SourceVpce": [HOSTILE]},
            "StringNotEquals": {"aws:PrincipalTag/a": HOSTILE}}})
    };
    served.block_on(async {
        let dev = served.rehearsal.config(served.rehearsal.root_keys(DEV), "us-east-1");
        let prod = served.rehearsal.config(served.rehearsal.root_keys(PROD), "us-east-1");
        for (config, bucket) in [(&dev, "codepipeline-us-east-1-111111111111"), (&dev, "in-bucket"), (&prod, "out-bucket")] {
            let s3 = aws_sdk_s3::Client::new(config);
            let there = s3.get_bucket_policy().bucket(bucket).send().await.ok().and_then(|got| got.policy().map(str::to_owned));
            let mut policy: Value =
                there.map_or_else(|| json!({"Version": "2012-10-17", "Statement": []}), |text| serde_json::from_str(&text).unwrap());
            policy["Statement"].as_array_mut().unwrap().push(statement("s3:*Object*", &format!("arn:aws:s3:::{bucket}/*")));
            s3.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await.unwrap();
        }
        let kms = aws_sdk_kms::Client::new(&dev);
        let key = kms.describe_key().key_id("alias/s3deploykey").send().await.unwrap().key_metadata.unwrap().key_id;
        let text = kms.get_key_policy().key_id(&key).send().await.unwrap().policy.unwrap();
        let mut policy: Value = serde_json::from_str(&text).unwrap();
        // Without one of ours, so that there is something to do beside theirs.
        policy["Statement"].as_array_mut().unwrap().retain(|one| !one["Sid"].as_str().is_some_and(|sid| sid.ends_with("KeyUsers")));
        policy["Statement"].as_array_mut().unwrap().push(statement("kms:Decrypt", "*"));
        kms.put_key_policy().key_id(&key).policy_name("default").policy(inert_json(policy.to_string())).send().await.unwrap();
        let pipelines = aws_sdk_codepipeline::Client::new(&dev);
        let mut pipeline = pipelines.get_pipeline().name("crossaccountdeploy").send().await.unwrap().pipeline.unwrap();
        pipeline.stages[1].actions[0].role_arn = None;
        pipelines.update_pipeline().pipeline(pipeline).send().await.unwrap();
        let s3 = aws_sdk_s3::Client::new(&prod);
        s3.put_object().bucket("out-bucket").key("old\u{202e}\u{2028}\u{85}::x").send().await.unwrap();
    });
    served
}

/// A zip whose files are called what nobody would call them.
fn hostile_zip(path: &std::path::Path) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for name in ["index.html", "::set-output name=a::b", "\u{202e}gpj.exe", "a\u{2028}::error::b", "c\u{85}##[x]"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"x").unwrap();
    }
    zip.finish().unwrap();
}

const REPORTS: [&str; 10] = [
    "--report",
    "json=r.json",
    "--report",
    "junit=r.xml",
    "--report",
    "sarif=r.sarif",
    "--report",
    "github=-",
    "--report",
    "markdown=r.md",
];

#[track_caller]
fn assert_reports(served: &Served, what: &str) {
    for name in ["r.json", "r.xml", "r.sarif", "r.md"] {
        let path = served.dir.path().join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{what}: {name}: {error}"));
        assert!(!text.contains(|one| is_acted_on(one) && one != '\n'), "{what}: {name}:\n{text}");
        match name {
            "r.xml" => drop(roxmltree::Document::parse(&text).unwrap()),
            "r.md" => {}
            _ => drop(serde_json::from_str::<Value>(&text).unwrap()),
        }
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn what_others_wrote_in_two_accounts_is_shown_and_not_obeyed() {
    let served = hostile();
    hostile_zip(&served.dir.path().join("site.zip"));
    let commands: [&[&str]; 6] = [
        &["setup", "--dry-run"],
        &["plan", "--policies", "least-privilege"],
        &["verify"],
        &["explain"],
        &["release", "site.zip", "--start-after", "1s"],
        &["teardown", "--dry-run"],
    ];
    for command in commands {
        let has_buckets = !["release"].contains(&command[0]);
        let command = if has_buckets { with(command) } else { command.to_vec() };
        let has_reports = !command.contains(&"explain");
        let formats: [&[&str]; 4] = [&[], &["--color", "always"], &["--output", "json"], if has_reports { &REPORTS } else { &[] }];
        let mut printed = false;
        for format in formats {
            let all = [&command[..], format].concat();
            let output = served.with_variable(&all, "GITHUB_ACTIONS", "true");
            let said = assert_inert(&all.join(" "), &output);
            printed |= said.contains("it-was-printed");
            if format == ["--output", "json"] {
                let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{all:?}: {error}\n{said}"));
                assert!(document["schema"].is_string());
            }
            if format.len() == REPORTS.len() {
                assert_reports(&served, &all.join(" "));
            }
        }
        assert!(printed || !["verify", "setup"].contains(&command[0]), "nothing of theirs is shown by {command:?}");
    }
}

#[test]
fn a_message_that_is_pasted_is_shown_and_not_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    for text in [
        HOSTILE.to_owned(),
        format!("The provided role does not have sufficient permissions{HOSTILE}"),
        format!("::add-mask::x\n{HOSTILE}"),
    ] {
        for format in [&["explain", "-"][..], &["explain", "-", "--output", "json"], &["ecs-check", "--explain-error", &text]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
            command.args(format).env_clear().env("HOME", dir.path()).current_dir(dir.path());
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
            assert_inert(&format.join(" "), &child.wait_with_output().unwrap());
        }
    }
}

#[test]
fn arguments_and_files_are_shown_and_not_obeyed() {
    let served = served();
    fs::write(served.dir.path().join("plan.json"), HOSTILE).unwrap();
    fs::write(served.dir.path().join("xdeploy.toml"), format!("[pipeline]\nname = \"x\"\n{HOSTILE}")).unwrap();
    for args in [
        &["plan", "--pipeline", HOSTILE][..],
        &["plan", HOSTILE],
        &[HOSTILE],
        &["apply", "plan.json"],
        &["verify", "--config", "xdeploy.toml"],
        &["schema", HOSTILE],
        &["release", HOSTILE],
        &["plan", "--dev-profile", HOSTILE, "--prod-profile", "prod", BUCKETS[0], BUCKETS[1]],
        &["ecs-check", "--root", HOSTILE],
    ] {
        for format in [&[][..], &["--output", "json"]] {
            let output = served.command(&[args, format].concat()).output().unwrap();
            assert_inert(&format!("{args:?}"), &output);
        }
    }
}

#[test]
fn whoever_holds_the_lock_is_shown_and_not_obeyed() {
    let served = served();
    served.run(&with(&["setup", "--yes"]));
    let folder = served.dir.path().join(".local/state/xdeploy/locks");
    let path = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut file = fs::File::create(path).unwrap();
    file.write_all(HOSTILE.as_bytes()).unwrap();
    file.lock().unwrap();
    let output = served.try_run(&with(&["setup", "--yes"]));
    assert_eq!(output.status.code(), Some(3));
    assert_inert("setup", &output);
}

/// A host on which containers, agent and files say what they like.
fn hostile_host(kind: Kind) -> Tree {
    let tree = Tree::healthy(kind);
    tree.write("etc/os-release", &format!("ID=\"amzn\"\nPRETTY_NAME=\"Linux {}\"\n", HOSTILE.replace('\n', " ")));
    tree.capture("agent/metadata.json", &json!({"Cluster": HOSTILE, "ContainerInstanceArn": HOSTILE, "Version": HOSTILE}).to_string());
    tree.aws(|aws| {
        for task in aws["tasks"].as_object_mut().unwrap().values_mut() {
            task["taskRole"] = json!(format!("arn:aws:iam::111122223333:role/{HOSTILE}"));
            task["executionRole"] = json!(HOSTILE);
        }
    });
    tree.variables(WEB, &[&format!("AWS_ACCESS_KEY_ID={HOSTILE}"), &format!("AWS_PROFILE={HOSTILE}")]);
    tree.write(&format!("proc/{}/root/root/.aws/credentials", WEB.1), &format!("[{HOSTILE}]\naws_access_key_id = {HOSTILE}\n"));
    tree.without_variable(METRICS, "AWS_CONTAINER");
    tree.append("var/log/ecs/ecs-agent.log", &format!("level=error msg=\"{HOSTILE}\"\n"));
    tree.container(API.0, |document| {
        document["Config"]["Labels"]["com.amazonaws.ecs.task-arn"] = json!(format!("arn:aws:ecs:x:1:task/{HOSTILE}"))
    });
    for name in [WEB.0, API.0] {
        tree.container(name, |document| document["Name"] = json!(format!("/{name}{HOSTILE}")));
    }
    tree
}

#[test]
fn what_a_host_holds_is_shown_and_not_obeyed() {
    for kind in KINDS {
        let tree = hostile_host(kind);
        let out = tempfile::tempdir().unwrap();
        let mut printed = false;
        for format in [&[][..], &["--color", "always"], &["--output", "json"], &REPORTS] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
            command.args(["ecs-check", "--root"]).arg(tree.path()).args(format);
            let output = command.env_clear().env("GITHUB_ACTIONS", "true").current_dir(out.path()).output().unwrap();
            let said = assert_inert(&format!("{kind:?} {}", format.join(" ")), &output);
            printed |= said.contains("it-was-printed");
        }
        assert!(printed, "{kind:?}: nothing of theirs is shown");
        for name in ["r.json", "r.xml", "r.sarif", "r.md"] {
            let text = fs::read_to_string(out.path().join(name)).unwrap();
            assert!(!text.contains(|one| is_acted_on(one) && one != '\n'), "{kind:?}: {name}:\n{text}");
        }
    }
}
