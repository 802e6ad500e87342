//! XD-ECS-012: ECS_ENABLE_TASK_ENI is on.

use super::about::{Mode, is_external, modes};
use super::flags;
use crate::ecs::environment::TASK_ENI;
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-012",
    title: "ECS_ENABLE_TASK_ENI is on",
    why: "ECS places no task of awsvpc on an instance whose agent has it off",
    fix: "set it to true in /etc/ecs/ecs.config and start the agent again",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html",
    article: &["B2"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    if is_external(facts) {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "ECS Anywhere has no awsvpc")];
    }
    let used = modes(facts).iter().any(|(mode, _)| matches!(mode, Mode::Awsvpc));
    vec![flags::judge(facts, &CHECK, TASK_ENI, "awsvpc", used)]
}
