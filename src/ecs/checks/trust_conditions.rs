//! XD-ECS-021: the trust policy says whose tasks.

use super::trust::{ECS_TASKS, task_roles};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome, Readable, Subject};
use crate::policy;

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-021",
    title: "the trust policy says whose tasks",
    why: "without aws:SourceAccount or aws:SourceArn, ECS can be made to use the role for somebody else's task (the confused deputy)",
    fix: "add the conditions that AWS recommends",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B3"],
};

/// Looks: the article's form without conditions works (facts/ecs.md E), so that it is only told; a role that is everybody's is not.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let Some(aws) = facts.aws.known() else {
        return vec![Finding::new(&CHECK, Outcome::CannotTell, facts.aws.unknown().unwrap_or_default())];
    };
    let mut found = Vec::new();
    for arn in task_roles(aws) {
        let role = match aws.roles.get(&arn) {
            Some(Readable::Known(Some(role))) => role,
            Some(Readable::Unknown(why)) => {
                found.push(Finding::new(&CHECK, Outcome::CannotTell, why.clone()).about(Subject::Role(arn)));
                continue;
            }
            // That it isn't there is XD-ECS-022's to say.
            Some(Readable::Known(None)) | None => continue,
        };
        let open = policy::statements(&role.trust).into_iter().any(|statement| {
            let ours = policy::names_in(statement["Principal"].get("Service")).contains(&ECS_TASKS);
            let keys = policy::condition_keys_of(statement);
            ours && statement["Effect"] == "Allow"
                && !keys.iter().any(|key| ["aws:sourcearn", "aws:sourceaccount"].contains(&key.to_ascii_lowercase().as_str()))
        });
        let everybody = policy::statements(&role.trust).into_iter().any(|statement| {
            let named = policy::names_in(statement["Principal"].get("AWS")).contains(&"*") || statement["Principal"] == "*";
            named && statement["Effect"] == "Allow" && policy::condition_keys_of(statement).is_empty()
        });
        let finding = match open {
            _ if everybody => Finding::new(&CHECK, Outcome::Fail, "everybody may assume it: a statement trusts `*` without a condition")
                .mend("name ecs-tasks.amazonaws.com as the principal of that statement, with the conditions"),
            true => Finding::new(
                &CHECK,
                Outcome::Pass,
                "it trusts ECS without saying whose tasks; AWS recommends aws:SourceAccount and aws:SourceArn",
            ),
            false => Finding::new(&CHECK, Outcome::Pass, "its conditions say whose tasks"),
        };
        found.push(finding.about(Subject::Role(arn)));
    }
    if found.is_empty() {
        found.push(Finding::new(&CHECK, Outcome::NotApplicable, "no task here has a role"));
    }
    found
}
