//! SARIF 2.1.0, as code scanning and editors read it.

use super::{Report, matters};
use crate::model::{Check, Finding, Outcome};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

/// What may not stand in a URI's path.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

fn rule(check: &Check) -> Value {
    let mut rule = json!({
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.why},
        "help": {
            "text": format!("{}\n\nSee {}", check.fix, check.docs),
            "markdown": format!("**Why**: {}\n\n**Fix**: {}\n\n<{}>", check.why, check.fix, check.docs),
        },
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": check.article},
    });
    if check.docs.starts_with("https://") {
        rule["helpUri"] = json!(check.docs);
    }
    rule
}

/// A file of the host as a URI; a path that isn't absolute is relative to wherever the report is read.
fn uri(file: &str) -> String {
    let encoded = utf8_percent_encode(file, PATH).to_string();
    match file.starts_with('/') {
        true => format!("file://{encoded}"),
        // `a:b/c` would be a scheme.
        false if file.split('/').next().is_some_and(|first| first.contains(':')) => format!("./{encoded}"),
        false => encoded,
    }
}

fn result(finding: &Finding, index: Option<usize>) -> Value {
    let subject = finding.subject.to_string();
    let mut location = json!({"logicalLocations": [{"name": subject, "fullyQualifiedName": subject, "kind": "resource"}]});
    let mut print = format!("{}|{subject}", finding.check.id);
    if let Some((file, line)) = &finding.place {
        let mut physical = json!({"artifactLocation": {"uri": uri(file)}});
        if let Some(line) = line.filter(|line| *line > 0) {
            physical["region"] = json!({"startLine": line});
        }
        location["physicalLocation"] = physical;
        print = format!("{print}|{file}");
    }
    let list = |title: &str, lines: &[String]| match lines {
        [] => String::new(),
        lines => format!("\n{title}:\n{}", lines.join("\n")),
    };
    let message = format!("{subject}: {}{}{}", finding.message, list("seen", &finding.evidence), list("do", &finding.fix));
    let mut result = json!({
        "ruleId": finding.check.id,
        "level": match finding.outcome {
            Outcome::Fail => "error",
            Outcome::Warn => "warning",
            Outcome::CannotTell | Outcome::Pass | Outcome::NotApplicable => "note",
        },
        "message": {"text": message},
        "locations": [location],
        // The same finding has the same print in the next run, whatever its wording.
        "partialFingerprints": {"xdeployFinding/v1": print},
        "properties": {"outcome": finding.outcome, "followsFrom": finding.follows_from},
    });
    if let Some(index) = index {
        result["ruleIndex"] = json!(index);
    }
    result
}

/// Gives the log: a rule for each check, and a result for each finding that fails (`error`), warns (`warning`) or couldn't tell
/// (`note`).
pub fn sarif(report: &Report<'_>) -> Value {
    let checks = report.all_checks();
    let index = |finding: &Finding| checks.iter().position(|check| check.id == finding.check.id);
    let results: Vec<Value> =
        report.findings.iter().filter(|finding| matters(finding)).map(|finding| result(finding, index(finding))).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "xdeploy",
                "version": report.tool_version,
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": checks.iter().map(|check| rule(check)).collect::<Vec<_>>(),
            }},
            "automationDetails": {"id": format!("xdeploy/{}/", report.command)},
            "columnKind": "utf16CodeUnits",
            "results": results,
        }],
    })
}
