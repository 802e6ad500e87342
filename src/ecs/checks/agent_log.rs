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
    let Some((path, line)) = facts.logs.telling.last() else {
        return vec![Finding::new(&CHECK, Outcome::Pass, "its last lines tell of none")];
    };
    let mut finding = Finding::new(&CHECK, Outcome::Warn, format!("{path}: {line}")).at(path, None);
    let others = facts.logs.telling.iter().rev().skip(1).take(4);
    finding.evidence = others.map(|(path, line)| format!("{path}: {line}")).collect();
    vec![finding.mend(format!("sudo less {path}"))]
}
