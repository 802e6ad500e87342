//! XD-ECS-071: the task role is not the execution role.

use super::about::{no_tasks, of_container, tasks};
use crate::ecs::facts::HostFacts;
use crate::ecs::host::TASK_LABEL;
use crate::model::{Check, Finding, Outcome, Readable};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-071",
    title: "the task role is not the execution role",
    why: "the execution role is the agent's, for images and logs: named in the task role's place it grants the application the wrong permissions, and named alone it grants it none",
    fix: "name the application's own role as taskRoleArn",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let Some(aws) = facts.aws.known() else {
        return vec![Finding::new(&CHECK, Outcome::CannotTell, facts.aws.unknown().unwrap_or_default())];
    };
    let mut found = Vec::new();
    for container in tasks(facts) {
        let task = container.labels.get(TASK_LABEL).and_then(|arn| aws.tasks.get(arn));
        let finding = match task {
            Some(Readable::Known(task)) => match (&task.task_role, &task.execution_role) {
                (Some(role), Some(execution)) if role == execution => {
                    Finding::new(&CHECK, Outcome::Warn, format!("{role} is both the task role and the execution role: the application has the agent's permissions and the agent the application's"))
                        .mend(format!("give {} two roles", task.definition))
                }
                (None, Some(execution)) => Finding::new(&CHECK, Outcome::Fail, format!("{} names an execution role ({execution}) and no task role: the application gets none of its permissions", task.definition))
                    .mend(format!("set taskRoleArn in a new revision of {}", task.definition.split(':').next().unwrap_or_default())),
                (Some(role), _) => Finding::new(&CHECK, Outcome::Pass, format!("its task role is {role}{}", if task.overridden { ", by an override of the task's" } else { "" })),
                (None, None) => Finding::new(&CHECK, Outcome::NotApplicable, "the task has neither role"),
            },
            Some(Readable::Unknown(why)) => Finding::new(&CHECK, Outcome::CannotTell, why.clone()),
            None => Finding::new(&CHECK, Outcome::CannotTell, "ECS doesn't know the task any more"),
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(no_tasks(facts, &CHECK));
    }
    found
}
