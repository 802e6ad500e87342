//! XD-ECS-079: the agent's log tells of no trouble with credentials.

use super::about::unread;
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-079",
    title: "the agent's log tells of no trouble with credentials",
    why: "what the agent logs often names the cause that nothing else shows",
    fix: "read the line, and what stands around it",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshoot-task-iam-roles.html",
    article: &["B"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    if let Some(finding) = unread(facts, &CHECK, &["/var/log/ecs/ecs-"]) {
        return vec![finding];
    }
    let Some((path, _, _)) = facts.logs.telling.last() else {
        return vec![Finding::new(&CHECK, Outcome::Pass, "its last lines tell of none")];
    };
    let told: Vec<String> = facts.logs.telling.iter().map(|(path, sign, count)| format!("{path}: `{sign}`, {count} times")).collect();
    let mut finding = Finding::new(&CHECK, Outcome::Warn, told.first().cloned().unwrap_or_default()).at(path, None);
    finding.evidence = told.into_iter().skip(1).collect();
    vec![finding.mend(format!("sudo less {path}"))]
}
