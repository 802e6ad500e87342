//! XD-ECS-074: one variable alone leads to credentials.

use super::about::{no_tasks, of_container, tasks};
use crate::ecs::environment::{FULL_URI, RELATIVE_URI};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-074",
    title: "one variable alone leads to credentials",
    why: "with RELATIVE_URI and FULL_URI both set, Go's SDKs take the one and the others take the other",
    fix: "take AWS_CONTAINER_CREDENTIALS_FULL_URI out",
    docs: "https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html",
    article: &["B"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in tasks(facts) {
        let both = container.environment.has(RELATIVE_URI) && container.environment.has(FULL_URI);
        let finding = match both {
            true => Finding::new(
                &CHECK,
                Outcome::Warn,
                format!("{RELATIVE_URI} and {FULL_URI} are both set: Go's SDKs take the second, all others the first"),
            )
            .mend(format!("take {FULL_URI} out of the task definition")),
            false => Finding::new(&CHECK, Outcome::Pass, "not both are set"),
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(no_tasks(facts, &CHECK));
    }
    found
}
