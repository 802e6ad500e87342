//! XD-ECS-011: ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST is on.

use super::about::{Mode, modes};
use super::flags;
use crate::ecs::environment::TASK_ROLE_HOST;
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-011",
    title: "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST is on",
    why: "ECS places no task with a role and host mode on an instance whose agent has it off",
    fix: "set it to true in /etc/ecs/ecs.config and start the agent again",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html",
    article: &["B2"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let used = modes(facts).iter().any(|(mode, _)| matches!(mode, Mode::Host));
    vec![flags::judge(facts, &CHECK, TASK_ROLE_HOST, "host", used)]
}
