//! XD-ECS-022: the task role exists.

use super::trust::task_roles;
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome, Readable, Subject};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-022",
    title: "the task role exists",
    why: "ECS can't assume a role that isn't there: a typing error, a path left out, or a role that was deleted",
    fix: "name the role by its full ARN, in the task definition's own account",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B", "B3"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let Some(aws) = facts.aws.known() else {
        return vec![Finding::new(&CHECK, Outcome::CannotTell, facts.aws.unknown().unwrap_or_default())];
    };
    let mut found = Vec::new();
    for arn in task_roles(aws) {
        let finding = match aws.roles.get(&arn) {
            Some(Readable::Known(Some(_))) => Finding::new(&CHECK, Outcome::Pass, "it is there"),
            Some(Readable::Known(None)) => {
                let finding = Finding::new(&CHECK, Outcome::Fail, format!("there is no role {arn}"));
                finding
                    .mend(format!("aws iam list-roles --query \"Roles[?RoleName=='{}'].Arn\"", arn.rsplit('/').next().unwrap_or_default()))
            }
            Some(Readable::Unknown(why)) => Finding::new(&CHECK, Outcome::CannotTell, why.clone()),
            None => continue,
        };
        found.push(finding.about(Subject::Role(arn)));
    }
    if found.is_empty() {
        found.push(Finding::new(&CHECK, Outcome::NotApplicable, "no task here has a role"));
    }
    found
}
