//! XD-ECS-077: the task fetched its role.

use super::about::{nothing, of_container, tasks};
use crate::ecs::environment::RELATIVE_URI;
use crate::ecs::facts::HostFacts;
use crate::ecs::host::TASK_LABEL;
use crate::model::Readable;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-077",
    title: "the task fetched its role",
    why: "a task that has run for an hour and never asked for its role uses other credentials, or none",
    fix: "look at what stands before the task role: keys, a profile, a process without the variable, an old SDK",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshoot-task-iam-roles.html",
    article: &["B"],
};

/// A task that asks for something at all does so within this time; then credentials are renewed as well.
const AN_HOUR: i64 = 3600;

/// Looks into the audit log. A question of this program is marked in it and counts for nothing (facts/ecs.md C.4).
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for container in tasks(facts).into_iter().filter(|container| container.environment.has(RELATIVE_URI)) {
        let task = container.labels.get(TASK_LABEL).map_or("", String::as_str);
        // One question of any of its containers is one of the task.
        if !seen.insert(task) {
            continue;
        }
        let log = match &facts.logs.audit {
            Readable::Known(log) => log,
            Readable::Unknown(why) => {
                found.push(of_container(
                    Finding::new(&CHECK, Outcome::CannotTell, format!("the agent's audit log can't be read: {why}")),
                    container,
                ));
                continue;
            }
        };
        let started = container.started.unwrap_or(facts.now);
        let oldest = log.oldest.as_ref().map_or(i64::MAX, |time| time.seconds.cast_signed());
        let finding = match log.task_roles.get(task) {
            Some(fetches) => Finding::new(
                &CHECK,
                Outcome::Pass,
                format!("the task asked for its role {} times, the last time at {}", fetches.count, fetches.last.text),
            ),
            None if facts.now - started < AN_HOUR => Finding::new(&CHECK, Outcome::NotApplicable, "it has run for less than an hour"),
            None if oldest > started => Finding::new(&CHECK, Outcome::CannotTell, "the audit log begins after the task did"),
            None => {
                let hours = (facts.now - started) / AN_HOUR;
                Finding::new(&CHECK, Outcome::Warn, format!("the task has run for {hours} h, and nothing in it ever asked for its role"))
                    .mend("look for keys, profiles, processes without the variable and old SDKs; a task that calls no AWS API is fine")
            }
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(nothing(facts, &CHECK, "no task here has a role"));
    }
    found
}
