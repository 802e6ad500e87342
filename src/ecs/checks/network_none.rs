//! XD-ECS-075: a task with a role has a network.

use super::about::{Mode, no_tasks, of_container, tasks};
use crate::ecs::environment::RELATIVE_URI;
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-075",
    title: "a task with a role has a network",
    why: "with network mode none nothing can be reached, the credentials neither",
    fix: "give the task another network mode",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-networking.html",
    article: &["B"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in tasks(facts) {
        let finding = match Mode::of(facts, container) == Mode::Nothing && container.environment.has(RELATIVE_URI) {
            true => Finding::new(&CHECK, Outcome::Fail, "its network mode is none: no credentials can reach it")
                .mend("set networkMode to bridge, host or awsvpc in the task definition"),
            false => Finding::new(&CHECK, Outcome::Pass, format!("network mode {}", Mode::of(facts, container).word())),
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(no_tasks(facts, &CHECK));
    }
    found
}
