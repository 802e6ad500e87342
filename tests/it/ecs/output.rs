//! What the command prints of a host: for people, for programs, and never a secret.

use super::tree::{CANARY, KINDS, Kind, METRICS, Tree, WEB};
use serde_json::{Value, json};
use snapbox::{IntoData, assert_data_eq, file, str};
use std::process::Command;

struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Runs the program with nothing of this machine in its environment.
fn run(arguments: &[&str]) -> Ran {
    let output =
        Command::new(env!("CARGO_BIN_EXE_xdeploy")).arg("ecs-check").args(arguments).env_clear().env("COLUMNS", "100").output().unwrap();
    Ran {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn on(tree: &Tree, arguments: &[&str]) -> Ran {
    let mut all = vec!["--root", tree.path().to_str().unwrap()];
    all.extend(arguments);
    run(&all)
}

#[test]
fn a_healthy_host_in_text() {
    let ran = on(&Tree::healthy(Kind::AmazonLinux2023), &[]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    assert_data_eq!(
        ran.stdout,
        str![[r#"
Amazon Linux 2023, agent 1.105.1 of cluster web, run by ecs-init

container ecs-web-3-app-aaaa (task 0000000000000000000000000000013e, bridge)
  uses task role arn:aws:iam::111122223333:role/web-role

container ecs-metrics-1-agent-bbbb (task 000000000000000000000000000002f7, host)
  uses task role arn:aws:iam::111122223333:role/metrics-role

container ecs-api-7-app-cccc (task 0000000000000000000000000000013a, awsvpc)
  uses task role arn:aws:iam::111122223333:role/api-role

68 pass, 0 fail (0 of them a cause), 0 to know of, 0 can't be told, 6 don't apply.

"#]]
        .raw()
    );
}

#[test]
fn a_host_with_two_mistakes_in_text() {
    let tree = Tree::healthy(Kind::DebianByHand);
    tree.write("proc/sys/net/ipv4/conf/all/route_localnet", "0\n");
    tree.probe(WEB.0, "timed-out");
    tree.probe(super::tree::API.0, "timed-out");
    tree.without_variable(METRICS, "AWS_CONTAINER");
    tree.remove("var/log/ecs/audit.log");
    let ran = on(&tree, &[]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert_data_eq!(ran.stdout, file!["../../snapshots/ecs_output/a_host_with_two_mistakes_in_text.txt"].raw());
}

#[test]
fn the_document_says_the_same() {
    let tree = Tree::healthy(Kind::AmazonLinux2);
    tree.without_variable(METRICS, "AWS_CONTAINER");
    let ran = on(&tree, &["--output", "json"]);
    assert_eq!(ran.status, 1);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&document["schema"], &document["exitCode"]), (&json!("xdeploy.ecs-check/1"), &json!(1)));
    let metrics = document["containers"].as_array().unwrap().iter().find(|container| container["name"] == METRICS.0).unwrap();
    assert_eq!(metrics["verdict"]["identity"], "instance-role");
    assert_eq!(metrics["verdict"]["role"], "ecsInstanceRole");
    assert_eq!(metrics["findings"], json!(["XD-ECS-070"]));
    let first = &document["findings"][0];
    assert_eq!(
        (&first["id"], &first["outcome"], &first["subject"]),
        (&json!("XD-ECS-070"), &json!("fail"), &json!(format!("container {}", METRICS.0)))
    );
}

#[test]
fn no_value_of_a_variable_is_shown_that_may_be_a_secret() {
    for kind in KINDS {
        let tree = Tree::healthy(kind);
        // Everything that is loud is told with its evidence.
        tree.variables(
            WEB,
            &["AWS_ACCESS_KEY_ID=canary-key", "AWS_SECRET_ACCESS_KEY=canary-secret", "http_proxy=http://u:canary-p@proxy:1"],
        );
        tree.append(
            "etc/ecs/ecs.config",
            &format!("HTTP_PROXY=http://user:{CANARY}@proxy:3128\nexport X_TOKEN={CANARY}\nECS_ENGINE_AUTH_DATA=\"{CANARY}\"\n"),
        );
        tree.write(
            "etc/systemd/system/ecs.service.d/proxy.conf",
            &format!("[Service]\nEnvironment=HTTP_PROXY=http://user:{CANARY}@proxy:1\n"),
        );
        tree.write(
            &format!("proc/{}/root/root/.aws/credentials", WEB.1),
            &format!("[old]\naws_access_key_id = {CANARY}\naws_secret_access_key = {CANARY}\n"),
        );
        for arguments in [&[][..], &["--output", "json"]] {
            let ran = on(&tree, arguments);
            assert_eq!(ran.status, 1, "{kind:?}: {}", ran.stderr);
            assert!(!ran.stdout.contains("canary") && !ran.stderr.contains("canary"), "{kind:?}\n{}\n{}", ran.stdout, ran.stderr);
        }
    }
}

#[test]
fn a_check_is_passed_over_on_request() {
    let tree = Tree::healthy(Kind::AmazonLinux2023);
    tree.without_variable(METRICS, "AWS_CONTAINER");
    assert_eq!(on(&tree, &["--ignore", "XD-ECS-070"]).status, 0);
    assert_eq!(on(&tree, &["--ignore", "xd-ecs-070,XD-ECS-001"]).status, 0);
    let wrong = on(&tree, &["--ignore", "XD-ECS-700"]);
    assert_eq!(wrong.status, 64);
    assert_data_eq!(
        wrong.stderr,
        str![[r#"
error: --ignore: there is no check XD-ECS-700

hint: the nearest is XD-ECS-001; there are XD-ECS-001 to XD-ECS-080

"#]]
        .raw()
    );
}

#[test]
fn warnings_fail_on_request() {
    let tree = Tree::healthy(Kind::AmazonLinux2023);
    tree.imds(WEB.0, true);
    assert_eq!(on(&tree, &[]).status, 0);
    assert_eq!(on(&tree, &["--fail-on", "warn"]).status, 1);
}

#[test]
fn what_hangs_on_something_unread_is_exit_5() {
    let tree = Tree::healthy(Kind::AmazonLinux2023);
    tree.probe(WEB.0, "not asked");
    assert_eq!(on(&tree, &[]).status, 5);
}

#[test]
fn one_task_alone() {
    let tree = Tree::healthy(Kind::AmazonLinux2023);
    tree.without_variable(METRICS, "AWS_CONTAINER");
    let web = super::tree::task("web");
    assert_eq!(on(&tree, &["--task", &web]).status, 0);
    assert_eq!(on(&tree, &["--task", web.rsplit('/').next().unwrap()]).status, 0);
    assert_eq!(on(&tree, &["--task", super::tree::task("metrics").rsplit('/').next().unwrap()]).status, 1);
    let wrong = on(&tree, &["--task", "0"]);
    assert_eq!(wrong.status, 1);
    assert_data_eq!(
        wrong.stderr,
        str![[r#"
error: task 0 doesn't run on this host

hint: here run 0000000000000000000000000000013a, 0000000000000000000000000000013e, 000000000000000000000000000002f7

"#]]
        .raw()
    );
}

#[test]
fn a_folder_that_is_none_is_a_mistake() {
    let wrong = run(&["--root", "/no/such/folder"]);
    assert_eq!(wrong.status, 64);
    assert_data_eq!(
        wrong.stderr,
        str![[r#"
error: --root: /no/such/folder is no folder

hint: name the folder that a host's `/` is mounted on, or an unpacked bundle

"#]]
        .raw()
    );
    let both = run(&["--root", "/", "--explain-error", "x"]);
    assert_eq!(both.status, 64);
}

#[test]
fn an_empty_folder_is_a_host_of_which_nothing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(&["--root", folder.path().to_str().unwrap()]);
    assert_data_eq!(ran.stdout, file!["../../snapshots/ecs_output/an_empty_folder_is_a_host_of_which_nothing_is_known.txt"].raw());
    assert_eq!(ran.status, 5, "{}", ran.stderr);
}

#[test]
fn a_pasted_error_is_explained() {
    let text = "User: arn:aws:sts::111122223333:assumed-role/ecsInstanceRole/i-0abcdef1234567890 is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\"";
    let ran = run(&["--explain-error", text]);
    assert_eq!(ran.status, 0);
    assert_data_eq!(
        ran.stdout,
        str![[r#"
the application uses the instance's role ecsInstanceRole, and not a task role
  principal: arn:aws:sts::111122223333:assumed-role/ecsInstanceRole/i-0abcdef1234567890
  action: s3:GetObject
  resource: arn:aws:s3:::b/k
  do: run `sudo xdeploy ecs-check` on that instance: it says what stands between the task and its role

"#]]
        .raw()
    );
    let document: Value = serde_json::from_str(&run(&["--explain-error", text, "--output", "json"]).stdout).unwrap();
    assert_eq!((&document["schema"], &document["principal"]), (&json!("xdeploy.ecs-denial/1"), &json!("instance")));
}

#[test]
fn a_pasted_error_that_names_nobody_cannot_be_told() {
    for text in ["An error occurred (AccessDenied) when calling the GetObject operation: Access Denied", "hello", ""] {
        let ran = run(&["--explain-error", text]);
        assert_eq!(ran.status, 5, "{text}");
        assert_data_eq!(
            ran.stdout,
            str![[r#"
the error doesn't name who was denied
  do: log what `aws sts get-caller-identity` says in the container, and paste its Arn

"#]]
            .raw()
        );
        let ran = run(&["--explain-error", text, "--output", "json"]);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((ran.status, &document["exitCode"], &document["principal"]), (5, &json!(5), &json!("unnamed")));
    }
    // Who is named, is told, whatever else the text lacks.
    for text in ["arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:user/bob", "arn:aws:sts::1:assumed-role/r/s"] {
        let ran = run(&["--explain-error", text, "--output", "json"]);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((ran.status, &document["exitCode"]), (0, &json!(0)), "{text}");
    }
}

#[test]
fn nothing_in_the_folder_changes() {
    fn all(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Option<Vec<u8>>, std::time::SystemTime)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
            if path.is_dir() {
                found.extend(all(&path));
                found.push((path, None, modified));
            } else {
                found.push((path.clone(), Some(std::fs::read(&path).unwrap()), modified));
            }
        }
        found.sort();
        found
    }
    let tree = Tree::healthy(Kind::DebianByHand);
    let before = all(tree.path());
    assert_eq!(on(&tree, &[]).status, 0);
    assert!(before == all(tree.path()));
}

#[test]
fn the_document_is_what_its_schema_says() {
    let schema: Value = serde_json::from_str(xdeploy::report::ECS_CHECK_SCHEMA).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for kind in KINDS {
        let tree = Tree::healthy(kind);
        tree.without_variable(METRICS, "AWS_CONTAINER");
        tree.write("etc/systemd/system/docker.service.d/p.conf", "[Service]\nEnvironment=HTTP_PROXY=http://p:1\n");
        let document: Value = serde_json::from_str(&on(&tree, &["--output", "json"]).stdout).unwrap();
        let mistakes: Vec<String> = schema.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(mistakes.is_empty(), "{kind:?}: {mistakes:#?}");
    }
    assert!(!schema.is_valid(&json!({"schema": "xdeploy.ecs-check/1"})));
}

#[test]
fn reports_are_written_beside_the_text() {
    let tree = Tree::healthy(Kind::AmazonLinux2023);
    tree.without_variable(METRICS, "AWS_CONTAINER");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let reports: Vec<String> =
        ["json", "junit", "sarif", "github", "markdown"].map(|format| format!("{format}={}", file(format).display())).to_vec();
    let mut arguments = Vec::new();
    for report in &reports {
        arguments.extend(["--report", report]);
    }
    let ran = on(&tree, &arguments);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("uses instance role ecsInstanceRole"));
    let text = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    let document: Value = serde_json::from_str(&text("json")).unwrap();
    assert_eq!(document["exitCode"], 1);
    let sarif: Value = serde_json::from_str(&text("sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "XD-ECS-070");
    assert!(text("github").starts_with("::error title=XD-ECS-070"), "{}", text("github"));
    assert!(text("junit").contains("<failure") && text("markdown").contains("XD-ECS-070"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
    for wrong in ["junit", "junit=", "xml=x"] {
        assert_eq!(on(&tree, &["--report", wrong]).status, 64, "{wrong}");
    }
    let nowhere = on(&tree, &["--report", "junit=/no/such/folder/x"]);
    assert_eq!(nowhere.status, 1);
    assert!(nowhere.stderr.contains("could not write the report"), "{}", nowhere.stderr);
}

/// The README's host: one thing wrong on it, and one in a task.
#[test]
fn readme_ecs_check() {
    let tree = Tree::healthy(Kind::AmazonLinux2);
    tree.without_variable(METRICS, "AWS_CONTAINER");
    tree.rules("-A PREROUTING -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:51679\n", "");
    tree.probe(WEB.0, "timed-out");
    tree.probe(super::tree::API.0, "timed-out");
    let ran = on(&tree, &[]);
    assert_eq!(ran.status, 1);
    crate::support::compare::readme_block("ecs-check", &format!("```console\n$ sudo xdeploy ecs-check\n{}```\n", ran.stdout));
}

#[test]
fn readme_ecs_checks() {
    let mut table = String::from("| id | article | what holds | why | where it doesn't |\n| --- | --- | --- | --- | --- |\n");
    for (check, _) in xdeploy::ecs::checks::every() {
        table.push_str(&format!("| {} | {} | {} | {} | {} |\n", check.id, check.article.join(", "), check.title, check.why, check.fix));
    }
    crate::support::compare::readme_block("ecs-checks", &format!("\n{table}\n"));
}

/// Fifty containers take less than 0.3 s, without probes (issue 5).
#[test]
fn fifty_containers_are_judged_at_once() {
    let tree = Tree::healthy(Kind::AmazonLinux2023);
    tree.many(WEB, 47);
    let took = |_| {
        let started = std::time::Instant::now();
        let ran = on(&tree, &["--output", "json"]);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(document["containers"].as_array().unwrap().len(), 50);
        started.elapsed()
    };
    let best = (0..5).map(took).min().unwrap();
    println!("fifty containers: {best:?}");
    assert!(best < std::time::Duration::from_millis(300), "{best:?}");
}
