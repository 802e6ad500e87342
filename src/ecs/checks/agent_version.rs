//! XD-ECS-005: the agent knows task roles.

use super::about::{Mode, modes};
use crate::ecs::facts::HostFacts;
use crate::ecs::facts::Introspection;
use crate::ecs::sdk_table::compare_versions;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-005",
    title: "the agent knows task roles",
    why: "task roles need agent 1.11.0, and 1.12.0 in host mode",
    fix: "update the agent",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-install.html",
    article: &["B1"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let Some(Introspection::Agent { version, .. }) = facts.agent.introspection.known() else {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "the agent doesn't say its version")];
    };
    let host = modes(facts).iter().any(|(mode, _)| *mode == Mode::Host);
    let least = if host { "1.12.0" } else { "1.11.0" };
    let finding = match compare_versions(version, least) {
        Some(std::cmp::Ordering::Less) => {
            let what = if host { "task roles in host mode" } else { "task roles" };
            Finding::new(&CHECK, Outcome::Fail, format!("agent {version} is older than {least}, the first with {what}"))
                .mend("sudo yum update -y ecs-init && sudo systemctl restart ecs, or pull amazon/amazon-ecs-agent:latest")
        }
        Some(_) => Finding::new(&CHECK, Outcome::Pass, format!("agent {version}")),
        None => Finding::new(&CHECK, Outcome::CannotTell, format!("`{version}` is no version")),
    };
    vec![finding]
}
