//! Reports of findings for other programs: JUnit, SARIF, GitHub's annotations, Markdown, and the findings of the JSON document.
//!
//! All are pure functions of the same [`Report`]; nothing here decides what a finding means.

mod changes;
mod github;
mod junit;
mod markdown;
mod pull_request;
pub mod rules;
mod sarif;
mod schema;
#[cfg(test)]
mod tests;

pub use changes::{Group, Line, groups, lines, short};
pub use github::github;
pub use junit::junit;
pub use markdown::{details, markdown};
pub use pull_request::{Sheet, pull_request};
pub use sarif::sarif;
pub use schema::{schema, schemas};

use crate::model::{Check, Finding, Outcome};
use serde_json::{Value, json};

/// The JSON Schema (draft 2020-12) of `ecs-check --output json`.
pub const ECS_CHECK_SCHEMA: &str = include_str!("schemas/ecs-check.json");

/// What is reported.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// The version of xdeploy, such as `0.1.0`.
    pub tool_version: &'a str,
    /// The command, such as `ecs-check`.
    pub command: &'a str,
    /// What was found, in the order in which it is told.
    pub findings: &'a [Finding],
    /// Every check there is, in the order of their ids.
    pub checks: &'a [&'static Check],
    /// What a verdict is about, and the verdict in one line: `("web", "uses task role web-role")`.
    pub verdicts: Vec<(String, String)>,
}

impl Report<'_> {
    /// The checks, and those that only findings know.
    fn all_checks(&self) -> Vec<&'static Check> {
        let mut checks: Vec<&'static Check> = self.checks.to_vec();
        for finding in self.findings {
            if !checks.iter().any(|check| check.id == finding.check.id) {
                checks.push(finding.check);
            }
        }
        checks
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }
}

/// Whether somebody should read it: it fails, warns or couldn't tell.
pub fn matters(finding: &Finding) -> bool {
    matches!(finding.outcome, Outcome::Fail | Outcome::Warn | Outcome::CannotTell)
}

/// Gives the array `findings` of the JSON document: `{id, title, article[], subject, outcome, message, evidence[], fix[],
/// followsFrom[], place?}`.
pub fn findings_json(report: &Report<'_>) -> Value {
    report.findings.iter().map(finding_json).collect()
}

/// Gives one finding as JSON.
pub fn finding_json(finding: &Finding) -> Value {
    let mut value = json!({
        "id": finding.check.id,
        "title": finding.check.title,
        "article": finding.check.article,
        "subject": finding.subject.to_string(),
        "outcome": finding.outcome,
        "message": finding.message,
        "evidence": finding.evidence,
        "fix": finding.fix,
        "followsFrom": finding.follows_from,
    });
    if let Some((file, line)) = &finding.place {
        value["place"] = json!({"file": file, "line": line});
    }
    value
}
