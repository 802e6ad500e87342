//! Every report against its published schema, and against texts that try to break out of it.

use super::*;
use crate::model::Subject;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

static FLAGS: Check = Check {
    id: "XD-ECS-010",
    title: "task roles are switched on",
    why: "ECS places no task with a role <here> & \"now\"",
    fix: "set ECS_ENABLE_TASK_IAM_ROLE=true",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B2"],
};
static RULES: Check = Check {
    id: "XD-ECS-020",
    title: "the nat rule is there",
    why: "nothing answers at 169.254.170.2",
    fix: "restart the agent",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B6", "B7"],
};
static UNLISTED: Check = Check { id: "XD-ECS-999", title: "not in the list", why: "w", fix: "f", docs: "facts", article: &["B"] };
static CHECKS: [&Check; 2] = [&FLAGS, &RULES];

fn findings() -> Vec<Finding> {
    let web = || Subject::Container("web".to_owned());
    vec![
        Finding::new(&FLAGS, Outcome::Fail, "ECS_ENABLE_TASK_IAM_ROLE is `\"true\"`, which is no boolean")
            .seen("/etc/ecs/ecs.config:3")
            .mend("sudo sed -i 's/\"true\"/true/' /etc/ecs/ecs.config")
            .mend("sudo systemctl restart ecs")
            .at("/etc/ecs/my ecs.config", Some(3)),
        Finding::new(&FLAGS, Outcome::Warn, "the file is newer than the agent").at("etc/ecs/ecs.config", None),
        Finding::new(&RULES, Outcome::CannotTell, "not root"),
        Finding { follows_from: vec!["XD-ECS-010"], ..Finding::new(&RULES, Outcome::Fail, "no rule").about(web()) },
        Finding::new(&RULES, Outcome::Pass, "one rule").about(web()),
        Finding::new(&FLAGS, Outcome::Warn, "two lines").about(web()),
        Finding::new(&UNLISTED, Outcome::NotApplicable, "nothing here").about(Subject::Role("arn:aws:iam::1:role/a".to_owned())),
        Finding::new(&UNLISTED, Outcome::Pass, "fine").about(web()),
    ]
}

fn report(findings: &[Finding]) -> Report<'_> {
    let verdicts = vec![("web".to_owned(), "gets no credentials because the rule is missing".to_owned())];
    Report { tool_version: "0.1.0", command: "ecs-check", findings, checks: &CHECKS, verdicts }
}

/// Findings whose texts are the given one wherever a text may be.
fn hostile(text: &str) -> Vec<Finding> {
    let subjects = [Subject::Host, Subject::Container(text.to_owned())];
    let outcomes = [Outcome::Fail, Outcome::Warn, Outcome::CannotTell, Outcome::NotApplicable, Outcome::Pass];
    let finding =
        |subject: &Subject, outcome| Finding::new(&FLAGS, outcome, text).about(subject.clone()).seen(text).mend(text).at(text, Some(0));
    subjects.iter().flat_map(|subject| outcomes.map(|outcome| finding(subject, outcome))).collect()
}

/// This machine's platform: of others, not every package is there.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// The published schema, as the package that ships it has it.
fn sarif_schema() -> Value {
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
    serde_json::from_str(&text.replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$")).unwrap()
}

fn assert_valid(schema: &Value, document: &Value) {
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn sarif_is_valid_whatever_the_texts() {
    let schema = sarif_schema();
    assert_valid(&schema, &sarif(&report(&findings())));
    for text in ["", "a b\n::error::x", "C:\\x%20?#[]{}|^`\"<>", "é\u{0}\u{7f}\u{202e}", "a:b", "//host/x"] {
        let hostile = hostile(text);
        let document = sarif(&report(&hostile));
        assert_valid(&schema, &document);
        let typed: Result<serde_sarif::sarif::Sarif, _> = serde_json::from_value(document);
        typed.unwrap();
    }
}

#[test]
fn sarif_has_a_rule_for_each_check_and_a_result_for_what_matters() {
    let all = findings();
    let log = sarif(&report(&all));
    let run = &log["runs"][0];
    let rules: Vec<&str> = run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(rules, ["XD-ECS-010", "XD-ECS-020", "XD-ECS-999"]);
    let results = run["results"].as_array().unwrap();
    let levels: Vec<&str> = results.iter().map(|result| result["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["error", "warning", "note", "error", "warning"]);
    for result in results {
        assert_eq!(rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()], result["ruleId"]);
    }
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "file:///etc/ecs/my%20ecs.config");
    assert_eq!(place["region"]["startLine"], 3);
    assert_eq!(results[1]["locations"][0]["physicalLocation"], json!({"artifactLocation": {"uri": "etc/ecs/ecs.config"}}));
    assert_eq!(results[3]["locations"][0]["logicalLocations"][0]["name"], "container web");
    assert!(results[3]["locations"][0].get("physicalLocation").is_none());
}

type Names = &'static [&'static str];

/// The elements and attributes that Jenkins' schema of JUnit's XML knows: name, required attributes, others, children.
const JUNIT: [(&str, Names, Names, Names); 6] = [
    ("testsuites", &[], &["name", "time", "tests", "failures", "errors"], &["testsuite"]),
    (
        "testsuite",
        &["name", "tests", "failures", "errors"],
        &["group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url", "version"],
        &["testcase", "properties", "system-out", "system-err"],
    ),
    ("testcase", &["name"], &["time", "classname", "group"], &["skipped", "error", "failure", "system-out", "system-err"]),
    ("failure", &[], &["type", "message"], &[]),
    ("skipped", &[], &["type", "message"], &[]),
    ("system-out", &[], &[], &[]),
];

fn assert_junit(xml: &str) {
    let document = roxmltree::Document::parse(xml).unwrap_or_else(|error| panic!("{error}\n{xml}"));
    assert_eq!(document.root_element().tag_name().name(), "testsuites");
    for element in document.descendants().filter(|node| node.is_element()) {
        let name = element.tag_name().name();
        let (_, required, others, children) = JUNIT.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| panic!("{name}"));
        for attribute in *required {
            assert!(element.has_attribute(*attribute), "{name} has no {attribute}");
        }
        for attribute in element.attributes() {
            assert!(required.contains(&attribute.name()) || others.contains(&attribute.name()), "{name}: {}", attribute.name());
        }
        for child in element.children().filter(|child| child.is_element()) {
            assert!(children.contains(&child.tag_name().name()), "{name}: {}", child.tag_name().name());
        }
        if name == "testsuite" {
            let count = |what: &str| element.descendants().filter(|node| node.has_tag_name(what)).count().to_string();
            let told = |attribute| element.attribute(attribute).unwrap().to_owned();
            assert_eq!([told("tests"), told("failures"), told("skipped")], [count("testcase"), count("failure"), count("skipped")]);
        }
    }
}

#[test]
fn junit_has_a_case_for_each_check_and_subject() {
    let all = findings();
    let xml = junit(&report(&all));
    assert_junit(&xml);
    let document = roxmltree::Document::parse(&xml).unwrap();
    let cases: BTreeMap<String, Option<String>> = document
        .descendants()
        .filter(|node| node.has_tag_name("testcase"))
        .map(|case| {
            let suite = case.parent().unwrap().attribute("name").unwrap();
            let outcome = case.first_element_child().map(|child| child.tag_name().name().to_owned());
            (format!("{suite}: {}", case.attribute("name").unwrap()), outcome)
        })
        .collect();
    let expected = [
        ("container web: XD-ECS-010 task roles are switched on", Some("system-out")),
        ("container web: XD-ECS-020 the nat rule is there", Some("failure")),
        ("container web: XD-ECS-999 not in the list", None),
        ("host: XD-ECS-010 task roles are switched on", Some("failure")),
        ("host: XD-ECS-020 the nat rule is there", Some("skipped")),
        ("role arn:aws:iam::1:role/a: XD-ECS-999 not in the list", Some("skipped")),
    ];
    let expected = expected.map(|(name, outcome)| (name.to_owned(), outcome.map(str::to_owned)));
    assert_eq!(cases, BTreeMap::from(expected));
    let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    assert_eq!(failure.attribute("message"), Some("ECS_ENABLE_TASK_IAM_ROLE is `\"true\"`, which is no boolean"));
    let text = failure.text().unwrap();
    for part in
        ["in: /etc/ecs/my ecs.config:3", "do: sudo systemctl restart ecs", "why: ECS places no task with a role <here> & \"now\"", "warn: "]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn github_annotates_with_everything_escaped() {
    let all = findings();
    let text = github(&report(&all));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(
        lines[1],
        "::warning file=etc/ecs/ecs.config,title=XD-ECS-010 task roles are switched on::host: the file is newer than the agent"
    );
    assert!(lines[0].starts_with("::error file=/etc/ecs/my ecs.config,line=3,title=XD-ECS-010"));
    assert!(lines[0].contains("%0Ado: sudo systemctl restart ecs"));
    assert!(lines[2].starts_with("::notice title="));
    let hostile = hostile("a,b:c%d\r\n::set-output name=x::y");
    let text = github(&report(&hostile));
    assert!(text.lines().all(|line| ["::error ", "::warning ", "::notice "].iter().any(|start| line.starts_with(start))), "{text}");
    assert!(text.starts_with("::error file=a%2Cb%3Ac%25d%0D%0A%3A%3Aset-output name=x%3A%3Ay,line=0,title="), "{text}");
    assert_eq!(github(&report(&[])), "");
}

#[test]
fn markdown_tells_verdicts_then_causes() {
    let all = findings();
    let text = markdown(&report(&all));
    assert!(text.starts_with("## xdeploy ecs-check\n\n| container | verdict |\n| --- | --- |\n| web | gets no credentials"), "{text}");
    assert!(text.contains("\n2 fail, 1 can't tell, 2 warn, 2 pass, 1 not applicable\n"), "{text}");
    assert!(text.contains("| fail | XD-ECS-020 the nat rule is there | container web | no rule | XD-ECS-010 |"), "{text}");
    assert!(text.contains("```text\nsudo sed -i 's/\"true\"/true/' /etc/ecs/ecs.config\nsudo systemctl restart ecs\n```"), "{text}");
    assert!(!text.contains("### XD-ECS-020 the nat rule is there: container web"), "what follows from something else has no details");
    let hostile = hostile("<b>|x|`` ```` \n# heading @team [a](b)");
    let text = markdown(&report(&hostile));
    assert!(!text.contains("<b>|x") || text.contains("`````text"), "{text}");
    assert!(text.lines().all(|line| !line.starts_with("# ") || text.contains("`````text\n")), "{text}");
}

#[test]
fn the_schema_describes_the_document() {
    let schema: Value = serde_json::from_str(ECS_CHECK_SCHEMA).unwrap();
    let all = findings();
    let container = |identity: &str| {
        json!({"name": "web", "task": "arn", "networkMode": "bridge", "findings": ["XD-ECS-010"],
            "verdict": {"identity": identity, "role": null, "because": ["x"], "text": "uses"}})
    };
    let document = json!({
        "schema": "xdeploy.ecs-check/1",
        "host": {"system": "Amazon Linux 2023", "flavour": "ecs-init", "live": true, "root": true, "tasks": 1,
            "agent": {"version": "1", "cluster": "web", "containerInstance": null}},
        "containers": [container("task-role"), container("cannot-tell")],
        "findings": findings_json(&report(&all)),
        "exitCode": 1,
    });
    assert_valid(&schema, &document);
    // Everything that a finding has is described.
    let described = schema["$defs"]["finding"]["properties"].as_object().unwrap();
    for finding in document["findings"].as_array().unwrap() {
        assert!(finding.as_object().unwrap().keys().all(|key| described.contains_key(key)), "{finding}");
    }
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (pointer, wrong) in
        [("/findings/0/outcome", "failed"), ("/containers/0/verdict/identity", "root"), ("/schema", "xdeploy.ecs-check/2")]
    {
        let mut document = document.clone();
        *document.pointer_mut(pointer).unwrap() = json!(wrong);
        assert!(!validator.is_valid(&document), "{pointer}");
    }
}

#[test]
fn any_text_leaves_every_report_whole() {
    proptest!(|(text in "(\\PC|[\\x00-\\x1f]|[<>&\"'`|\\]%:,]|\u{FFFE}){0,20}")| {
        let hostile = hostile(&text);
        let report = report(&hostile);
        assert_junit(&junit(&report));
        prop_assert_eq!(github(&report).lines().count(), 6);
        prop_assert!(sarif(&report)["runs"][0]["results"].as_array().is_some_and(|results| results.len() == 6));
        prop_assert!(markdown(&report).contains("2 fail, 2 can't tell"));
    });
}
