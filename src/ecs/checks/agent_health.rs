//! XD-ECS-006: the agent is healthy.

use super::about::{Flavour, agent_container, nothing};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-006",
    title: "the agent is healthy",
    why: "an agent that its own health check calls unhealthy answers late or not at all",
    fix: "read its log and start it again",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-install.html",
    article: &["B1"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let finding = match agent_container(facts).filter(|agent| agent.running).map(|agent| agent.health.as_deref()) {
        None => nothing(facts, &CHECK, "no container is the agent's"),
        Some(Some("unhealthy")) => {
            Finding::new(&CHECK, Outcome::Warn, "Docker calls the agent's container unhealthy").mend(Flavour::of(facts).restart(facts))
        }
        Some(_) => Finding::new(&CHECK, Outcome::Pass, "nothing says that it isn't"),
    };
    vec![finding]
}
