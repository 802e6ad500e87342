//! XD-ECS-004: the agent's container has the host's network.

use super::about::{agent_container, nothing};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-004",
    title: "the agent's container has the host's network",
    why: "the agent listens on its own loopback: in a network of its own, no rule can lead a task to it",
    fix: "run the agent with --net=host",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-install.html",
    article: &["B1"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let finding = match agent_container(facts).filter(|agent| agent.running) {
        None => nothing(facts, &CHECK, "no container is the agent's"),
        Some(agent) if agent.network_mode == "host" => {
            Finding::new(&CHECK, Outcome::Pass, format!("container {} has --net=host", agent.name))
        }
        Some(agent) => {
            let message =
                format!("container {} is in network {}, and the agent listens on 127.0.0.1 there", agent.name, agent.network_mode);
            Finding::new(&CHECK, Outcome::Fail, message).mend("start it again with `--net=host` beside its other options")
        }
    };
    vec![finding]
}
