//! XD-ECS-010: ECS_ENABLE_TASK_IAM_ROLE is on.

use super::about::{Mode, modes};
use super::flags;
use crate::ecs::environment::TASK_ROLE;
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-010",
    title: "ECS_ENABLE_TASK_IAM_ROLE is on",
    why: "ECS places no task with a role on an instance whose agent has it off, for bridge, default and awsvpc",
    fix: "set it to true in /etc/ecs/ecs.config and start the agent again",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html",
    article: &["B2"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let used = modes(facts).iter().any(|(mode, _)| matches!(mode, Mode::Bridge(_) | Mode::Awsvpc));
    vec![flags::judge(facts, &CHECK, TASK_ROLE, "bridge, default or awsvpc", used)]
}
