//! XD-ECS-003: the agent has registered.

use crate::ecs::facts::HostFacts;
use crate::ecs::facts::Introspection;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-003",
    title: "the agent has registered",
    why: "an agent without a container instance gets no tasks and no credentials for them",
    fix: "read the agent's log: it names the call that was denied or the cluster that isn't there",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-introspection.html",
    article: &["B1"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let finding = match facts.agent.introspection.known() {
        Some(Introspection::Agent { instance: Some(instance), .. }) => Finding::new(&CHECK, Outcome::Pass, format!("it is {instance}")),
        Some(Introspection::Agent { instance: None, cluster, .. }) => {
            let message = format!("the agent runs, and has not registered in cluster {cluster}");
            Finding::new(&CHECK, Outcome::Fail, message).mend("sudo grep -E 'level=(error|warn|crit)' /var/log/ecs/ecs-agent.log | tail")
        }
        Some(_) => Finding::new(&CHECK, Outcome::NotApplicable, "the agent doesn't answer"),
        None => Finding::new(&CHECK, Outcome::CannotTell, facts.agent.introspection.unknown().unwrap_or_default()),
    };
    vec![finding]
}
