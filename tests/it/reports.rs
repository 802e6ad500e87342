//! `--report`: what other programs read, of the real commands on the rehearsal.

use crate::support::compare::same;
use crate::support::served::{Served, remove_policy, served, with};
use serde_json::Value;
use snapbox::{file, str};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;
use xdeploy::deploy::chain::ROWS;
use xdeploy::deploy::rules;

fn read(served: &Served, name: &str) -> String {
    fs::read_to_string(served.dir.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

const EVERY: [&str; 10] = [
    "--report",
    "json=r.json",
    "--report",
    "junit=r.xml",
    "--report",
    "sarif=r.sarif",
    "--report",
    "github=r.txt",
    "--report",
    "markdown=r.md",
];

/// Outcomes of JUnit's cases by the rule's id.
fn cases(xml: &str) -> BTreeMap<String, String> {
    let document = roxmltree::Document::parse(xml).unwrap();
    for suite in document.descendants().filter(|node| node.has_tag_name("testsuite")) {
        let count = |what: &str| suite.descendants().filter(|node| node.has_tag_name(what)).count().to_string();
        let told = ["tests", "failures", "skipped"].map(|attribute| suite.attribute(attribute).unwrap().to_owned());
        assert_eq!(told, [count("testcase"), count("failure"), count("skipped")]);
    }
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    cases
        .map(|case| {
            let id = case.attribute("name").unwrap().split(' ').next().unwrap().to_owned();
            let outcome = case.first_element_child().map_or("pass", |child| child.tag_name().name());
            (id, outcome.to_owned())
        })
        .collect()
}

/// A workflow command: `::name key=value,…::message`, everything escaped.
fn annotation(line: &str) -> (String, BTreeMap<String, String>, String) {
    let rest = line.strip_prefix("::").unwrap_or_else(|| panic!("{line}"));
    let (head, message) = rest.split_once("::").unwrap();
    let (name, properties) = head.split_once(' ').unwrap();
    let plain = |text: &str| {
        assert!(!text.contains(['\r', '\n']));
        text.replace("%0A", "\n").replace("%0D", "\r").replace("%3A", ":").replace("%2C", ",").replace("%25", "%")
    };
    let properties = properties.split(',').map(|pair| pair.split_once('=').unwrap()).map(|(key, value)| (key.to_owned(), plain(value)));
    (name.to_owned(), properties.collect(), plain(message))
}

#[test]
fn verify_reports_a_broken_chain_in_every_format() {
    let served = served();
    served.run(&with(&["setup", "--yes"]));
    let fine = served.try_run(&with(&[&["verify"], &EVERY[..]].concat()));
    assert_eq!(code(&fine), 0, "{}", String::from_utf8_lossy(&fine.stderr));
    let before = cases(&read(&served, "r.xml"));
    assert_eq!(before["XD-CALL-037"], "pass");
    assert!(!before.values().any(|outcome| outcome == "failure"), "{before:?}");
    assert_eq!(read(&served, "r.txt"), "");
    remove_policy(&served, "devkmss3access");
    let broken = served.try_run(&with(&[&["verify", "--output", "json"], &EVERY[..]].concat()));
    assert_eq!(code(&broken), 1);
    let document: Value = serde_json::from_slice(&broken.stdout).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read(&served, "r.json")).unwrap(), document);
    let denied: Vec<&str> = document["proof"]["links"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|link| link["verdict"] == "denied" && link["mayBeCalled"] == false)
        .map(|link| link["id"].as_str().unwrap())
        .collect();
    assert_eq!(denied.len(), 2);
    let after = cases(&read(&served, "r.xml"));
    let failed: Vec<&str> = after.iter().filter(|(_, outcome)| *outcome == "failure").map(|(id, _)| id.as_str()).collect();
    assert_eq!(failed, denied);
    assert_eq!(after["XD-DRIFT-005"], "system-out", "drift warns and never fails");
    let log: Value = serde_json::from_str(&read(&served, "r.sarif")).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let errors: Vec<&str> = results.iter().filter(|one| one["level"] == "error").map(|one| one["ruleId"].as_str().unwrap()).collect();
    assert_eq!(errors, denied);
    crate::schemas::valid_sarif(&log);
    let text = read(&served, "r.txt");
    let annotations: Vec<_> = text.lines().map(annotation).collect();
    let told: Vec<&str> = annotations.iter().filter(|(name, ..)| name == "error").map(|(_, p, _)| &p["title"][..11]).collect();
    assert_eq!(told, denied);
    assert!(annotations.iter().all(|(_, _, message)| message.contains("pipeline crossaccountdeploy")));
    let markdown = read(&served, "r.md");
    for part in ["## xdeploy verify", &format!("### {} ", denied[0]), "<details>", "### Not allowed"] {
        assert!(markdown.contains(part), "{part}\n{markdown}");
    }
}

#[test]
fn a_plan_is_a_comment_for_a_pull_request() {
    let served = served();
    served.run(&with(&["plan", "--report", "markdown=r.md", "--report", "json=r.json", "--report", "junit=r.xml"]));
    let text = read(&served, "r.md");
    let some: Vec<&str> = text.lines().filter(|line| !line.starts_with("| ") && !line.starts_with("+ ")).collect();
    assert!(text.contains("| prod 222222222222 | A4 Cross-account role | + create cross-account role prods3role |"), "{text}");
    assert!(text.contains("\n+ statement XdeploycrossaccountdeployTrust\n+     Effect "), "{text}");
    assert!(text.contains("<summary>~ update policy of the key in us-east-1: users are"), "a tag shows what Markdown would escape");
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    assert_eq!(text.matches("\n```").count() % 2, 0);
    same(
        &format!("{}\n", some[..9].join("\n")),
        str![[r#"
## xdeploy plan: pipeline crossaccountdeploy

dev 111111111111 (us-east-1), prod 222222222222 (us-east-1)

**Plan: 16 to add, 7 to change, 0 to remove, 2 as they should be.**

35 of 35 calls allowed after this plan.



"#]],
    );
    assert!(!cases(&read(&served, "r.xml")).keys().any(|id| id.starts_with("XD-DRIFT")));
}

/// What every format says of a command that failed: none is what an earlier run left.
fn says_so(served: &Served, args: &[&str]) {
    let names = ["r.json", "r.xml", "r.sarif", "r.txt", "r.md"];
    for name in names {
        fs::write(served.dir.path().join(name), "of an earlier run").unwrap();
    }
    let output = served.try_run(&[args, &EVERY[..]].concat());
    let exit = code(&output);
    assert_ne!(exit, 0, "{args:?}");
    let [json, junit, sarif, github, markdown] = names.map(|name| read(served, name));
    let document: Value =
        serde_json::from_str(&json).unwrap_or_else(|_| panic!("{args:?}: {json}\n{}", String::from_utf8_lossy(&output.stderr)));
    // The error stands alone, or beside what was known.
    let error = document.get("error").unwrap_or(&document);
    assert_eq!(error["exit"], exit, "{args:?}\n{json}");
    let message = error["message"].as_str().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains(message), "{args:?}");
    assert_eq!(cases(&junit)["XD-RUN-001"], "failure", "{args:?}\n{junit}");
    let log: Value = serde_json::from_str(&sarif).unwrap();
    crate::schemas::valid_sarif(&log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    let told = results.iter().find(|one| one["ruleId"] == "XD-RUN-001" && one["level"] == "error");
    assert!(told.is_some_and(|one| one["message"]["text"].as_str().unwrap().contains(message)), "{args:?}\n{sarif}");
    let annotations: Vec<_> = github.lines().map(annotation).collect();
    assert!(annotations.iter().any(|(name, _, text)| name == "error" && text.contains(message)), "{args:?}\n{github}");
    assert!(markdown.contains("XD-RUN-001") || markdown.contains("XD\\-RUN"), "{args:?}\n{markdown}");
}

#[test]
fn a_report_is_written_also_when_the_command_fails() {
    let served = served();
    fs::write(served.dir.path().join("half.zip"), b"PK\x03\x04and no more").unwrap();
    fs::write(served.dir.path().join("plan.json"), b"{}").unwrap();
    for args in [
        with(&["setup", "--no-input"]),
        with(&["setup", "--no-input", "--region", "eu-west-1"]),
        with(&["setup", "--yes", "--artifact", "half.zip"]),
        with(&["plan", "--artifact", "half.zip"]),
        with(&["plan", "--out", "no/such/folder.json"]),
        vec!["plan", "--config", "no-such.toml"],
        vec!["apply", "plan.json"],
        with(&["verify", "--pipeline", "unknown"]),
        with(&["verify", "--dev-account", "999999999999"]),
        vec!["release", "half.zip"],
        vec!["release", "--sample", "--pipeline", "unknown"],
        with(&["teardown", "--confirm", "another"]),
        vec!["rehearse", "--artifact", "half.zip"],
        vec!["ecs-check", "--root", "nowhere"],
    ] {
        says_so(&served, &args);
    }
    served.run(&with(&["setup", "--yes", "--report", "json=r.json", "--report", "markdown=r.md"]));
    assert!(read(&served, "r.md").contains("Applied.") && read(&served, "r.md").contains("as read back"));
    assert_eq!(serde_json::from_str::<Value>(&read(&served, "r.json")).unwrap()["applied"], true);
    remove_policy(&served, "devkmss3access");
    says_so(&served, &["release", "--sample", "--start-after", "0s"]);
    assert!(fs::read_dir(served.dir.path()).unwrap().all(|file| !file.unwrap().file_name().to_string_lossy().contains("xdeploy-new")));
}

/// Exit 1 with a green report would let a broken deployment through.
#[test]
fn a_rehearsal_of_a_break_reports_what_is_broken() {
    let served = served();
    for (more, exit) in [(&[][..], 1), (&["--fix"][..], 0)] {
        for link in ["deploy-decrypt", "start-run"] {
            let output = served.try_run(&[&["rehearse", "--break", link], more, &EVERY[..]].concat());
            assert_eq!(code(&output), exit, "{link}: {}", String::from_utf8_lossy(&output.stderr));
            let all = cases(&read(&served, "r.xml"));
            assert_eq!(all.values().any(|outcome| outcome == "failure"), exit == 1, "{all:?}");
            assert!(all.contains_key("XD-RELEASE-002"), "{all:?}");
            let log: Value = serde_json::from_str(&read(&served, "r.sarif")).unwrap();
            let run = &log["runs"][0];
            assert_eq!(run["automationDetails"]["id"], "xdeploy/rehearse/");
            assert_eq!(run["results"].as_array().unwrap().iter().any(|one| one["level"] == "error"), exit == 1);
            assert_eq!(read(&served, "r.txt").contains("::error "), exit == 1);
            let markdown = read(&served, "r.md");
            assert!(markdown.starts_with("## xdeploy rehearse"), "{markdown}");
            assert_eq!(markdown.contains("\nfail: "), exit == 1, "{markdown}");
            assert_eq!(serde_json::from_str::<Value>(&read(&served, "r.json")).unwrap()["schema"], "xdeploy.rehearse/1");
        }
    }
}

#[test]
fn what_can_not_be_written_or_is_not_there_is_said_before_aws_is_asked() {
    let served = served();
    let asked = served.rehearsal.log().len();
    for (command, report, exit, said) in [
        ("plan", "json=/no/such/folder/r.json", 1, "could not write the report /no/such/folder/r.json"),
        ("verify", "junit=.", 1, "could not write the report ."),
        ("plan", "json=r,junit=./r", 64, "two reports go into ./r"),
        ("plan", "json=-", 64, "json on stdout is `--output json`"),
        ("plan", "yaml=r", 64, "yaml"),
    ] {
        let output = served.try_run(&with(&[command, "--report", report]));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(code(&output), exit, "{report}\n{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
    assert_eq!(served.rehearsal.log().len(), asked);
}

#[test]
fn github_reads_annotations_in_the_log_and_a_summary() {
    let served = served();
    let summary = served.dir.path().join("summary.md");
    fs::write(&summary, "before\n").unwrap();
    served.run(&with(&["setup", "--yes"]));
    remove_policy(&served, "devkmss3access");
    let output = served.with_variable(&with(&["verify", "--output", "json", "--report", "github=-"]), "GITHUB_STEP_SUMMARY", &summary);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(code(&output), 1, "{stderr}");
    assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok(), "stdout stays the result");
    assert!(stderr.lines().any(|line| line.starts_with("::error title=XD-CALL-0")), "{stderr}");
    let text = fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("before\n## xdeploy verify: pipeline crossaccountdeploy\n"), "{text}");
}

#[test]
fn a_release_and_a_teardown_report_what_they_did() {
    let served = served();
    served.run(&with(&["setup", "--yes"]));
    served.run(&["release", "--sample", "--start-after", "0s", "--report", "junit=r.xml", "--report", "json=r.json"]);
    let all: Vec<(String, String)> = cases(&read(&served, "r.xml")).into_iter().collect();
    let pass = |id: &str| (id.to_owned(), "pass".to_owned());
    assert_eq!(all, ["XD-RELEASE-001", "XD-RELEASE-002", "XD-RELEASE-003", "XD-RELEASE-004"].map(pass));
    remove_policy(&served, "devkmss3access");
    let failed = served.try_run(&["release", "--sample", "--start-after", "0s", "--report", "junit=r.xml", "--report", "markdown=r.md"]);
    assert_eq!(code(&failed), 1);
    let outcomes: Vec<String> = cases(&read(&served, "r.xml")).into_values().collect();
    assert_eq!(outcomes, ["pass", "failure", "skipped", "skipped", "failure"], "the release, and the command");
    assert!(read(&served, "r.md").contains("XD\\-RELEASE-002") || read(&served, "r.md").contains("XD-RELEASE-002"));
    served.run(&with(&[
        "teardown",
        "--confirm",
        "crossaccountdeploy",
        "--report",
        "json=r.json",
        "--report",
        "markdown=r.md",
        "--report",
        "junit=r.xml",
    ]));
    assert_eq!(cases(&read(&served, "r.xml"))["XD-RUN-001"], "pass");
    assert!(read(&served, "r.md").contains("**Teardown: "));
    assert_eq!(serde_json::from_str::<Value>(&read(&served, "r.json")).unwrap()["schema"], "xdeploy.teardown/1");
    assert!(Path::new(&served.dir.path().join("r.md")).exists());
}

/// An id that went to another rule would make a dashboard lie: this list may only grow.
#[test]
fn the_ids_of_rules_never_change() {
    let calls = ROWS.iter().map(|row| format!("{} {}", row.id(), row.name));
    let others = rules::all().into_iter().filter(|rule| !rule.id.starts_with("XD-CALL")).map(|rule| format!("{} {}", rule.id, rule.title));
    let all: Vec<String> = calls.chain(others).collect();
    same(&format!("{}\n", all.join("\n")), file!["../snapshots/reports/the_ids_of_rules_never_change.txt"]);
}

#[test]
fn a_change_is_told_by_statement_element_and_path() {
    let served = served();
    served.run(&with(&["setup", "--yes"]));
    let output = served.try_run(&with(&["plan", "--policies", "least-privilege"]));
    let text = String::from_utf8(output.stdout).unwrap();
    let part = |from: &str| -> String {
        let lines = text.lines().skip_while(|line| !line.contains(from));
        lines.take(4).map(|line| format!("{}\n", line.trim_end())).collect()
    };
    let artifacts = "arn:aws:s3:::codepipeline-us-east-1-111111111111";
    assert_eq!(
        part("~ statement AllowS3ObjectAccess"),
        format!(
            "      ~ statement AllowS3ObjectAccess\n          - Resource  {artifacts}/*\n          + Resource  {artifacts}/crossaccountdeploy/*\n      ~ statement AllowSourceObjectAccess\n"
        )
    );
    assert!(text.contains("\n      ~ statement DenyInsecureConnections\n          + Resource  "), "{text}");
    assert!(text.contains("\n      - statement XdeploycrossaccountdeployKeyUsers\n          - Effect         Allow\n"), "{text}");
    assert!(text.contains("\n  = keep service role "), "{text}");
    // A pipeline that somebody took the role out of.
    let config = served.rehearsal.config(served.rehearsal.keys(xdeploy::rehearsal::DEV), "us-east-1");
    let client = aws_sdk_codepipeline::Client::from_conf(aws_sdk_codepipeline::config::Builder::from(&config).build());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut pipeline = runtime.block_on(client.get_pipeline().name("crossaccountdeploy").send()).unwrap().pipeline.unwrap();
    pipeline.stages[1].actions[0].role_arn = None;
    runtime.block_on(client.update_pipeline().pipeline(pipeline).send()).unwrap();
    let output = served.try_run(&with(&["plan"]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\n      + stages[Deploy].actions[Deploy].roleArn  arn:aws:iam::222222222222:role/prods3role\n"), "{text}");
    assert_eq!(text.matches(" stages[").count(), 1, "nothing else of the pipeline differs\n{text}");
}
