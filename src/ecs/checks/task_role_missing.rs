//! XD-ECS-070: the task definition names a task role.

use super::about::{no_tasks, of_container, tasks};
use crate::ecs::environment::{FULL_URI, RELATIVE_URI};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-070",
    title: "the task definition names a task role",
    why: "without a taskRoleArn the agent gives a task no credentials: its SDK uses the instance's role",
    fix: "name the role in the task definition (taskRoleArn, not executionRoleArn) and deploy it again",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B"],
};

/// Looks: only a task with a role is given the variable (facts/ecs.md A.9).
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in tasks(facts) {
        let environment = &container.environment;
        let finding = if environment.has(RELATIVE_URI) || environment.has(FULL_URI) {
            Finding::new(&CHECK, Outcome::Pass, "the agent gave it credentials of a task role")
        } else {
            let label = |name: &str| container.labels.get(&format!("com.amazonaws.ecs.task-definition-{name}")).map_or("?", String::as_str);
            let definition = format!("{}:{}", label("family"), label("version"));
            Finding::new(&CHECK, Outcome::Fail, format!("task definition {definition} names no task role"))
                .mend(format!("set taskRoleArn in a new revision of {}, and deploy it", label("family")))
                .mend(format!("aws ecs describe-task-definition --task-definition {definition} --query 'taskDefinition.[taskRoleArn,executionRoleArn]'"))
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(no_tasks(facts, &CHECK));
    }
    found
}
