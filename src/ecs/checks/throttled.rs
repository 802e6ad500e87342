//! XD-ECS-078: the agent isn't asked too often.

use super::about::tasks;
use crate::ecs::facts::HostFacts;
use crate::model::Readable;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-078",
    title: "the agent isn't asked too often",
    why: "above its limit (40 a second, 60 at once, for credentials and metadata together) the agent answers 429, which SDKs call \"unable to locate credentials\"",
    fix: "let the programs ask less often, or raise ECS_TASK_METADATA_RPS_LIMIT",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html",
    article: &["B"],
};

/// Looks at the audit log and at the limit.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let limit = facts.config.iter().rev().find_map(|file| Some((file, file.ecs_init.get("ECS_TASK_METADATA_RPS_LIMIT")?)));
    if let Some((file, variable)) = limit {
        let fine = variable.told().is_some_and(|text| {
            let numbers: Vec<Option<u32>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
            matches!(numbers.as_slice(), [Some(steady), Some(burst)] if *steady > 0 && burst >= steady)
        });
        if !fine {
            let message = format!(
                "ECS_TASK_METADATA_RPS_LIMIT is `{}`: the agent wants `steady,burst`, such as 40,60",
                variable.told().unwrap_or_default()
            );
            return vec![
                Finding::new(&CHECK, Outcome::Warn, message).at(&file.path, Some(variable.line)).mend("ECS_TASK_METADATA_RPS_LIMIT=40,60"),
            ];
        }
    }
    let finding = match &facts.logs.audit {
        Readable::Unknown(why) => Finding::new(&CHECK, Outcome::CannotTell, format!("the agent's audit log can't be read: {why}")),
        Readable::Known(log) => {
            match log.refused.iter().filter(|(_, refused)| refused.too_many > 0).max_by_key(|(_, refused)| refused.too_many) {
                None => Finding::new(&CHECK, Outcome::Pass, "its audit log has no refusal for that"),
                Some((address, refused)) => {
                    let who = tasks(facts)
                        .into_iter()
                        .find(|container| container.addresses.contains(address))
                        .map_or_else(|| address.clone(), |container| format!("container {} ({address})", container.name));
                    let message = format!("the agent refused {} questions as too many, most of them from {who}", refused.too_many);
                    Finding::new(&CHECK, Outcome::Warn, message)
                        .mend("find out what asks so often (metadata counts as well)")
                        .mend("ECS_TASK_METADATA_RPS_LIMIT=80,120 in /etc/ecs/ecs.config, and start the agent again")
                }
            }
        }
    };
    vec![finding]
}
