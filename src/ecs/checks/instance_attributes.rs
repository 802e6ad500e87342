//! XD-ECS-015: ECS knows that this instance takes tasks with roles.

use super::about::{Flavour, Mode, modes};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome, Readable};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-015",
    title: "ECS knows that this instance takes tasks with roles",
    why: "ECS places no task with a role on an instance that hasn't told it so when it registered: the service says that an attribute is missing",
    fix: "turn the flag on and start the agent again: it registers anew",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html",
    article: &["B2"],
};

const PREFIX: &str = "com.amazonaws.ecs.capability.";

/// Looks at what the agent told ECS, which can be read from anywhere (facts/ecs.md 0.1).
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let names = match facts.aws.known().map(|aws| &aws.attributes) {
        None => return vec![Finding::new(&CHECK, Outcome::CannotTell, facts.aws.unknown().unwrap_or_default())],
        Some(Readable::Unknown(why)) => return vec![Finding::new(&CHECK, Outcome::CannotTell, why.clone())],
        Some(Readable::Known(names)) => names,
    };
    let has = |name: &str| names.iter().any(|known| known == &format!("{PREFIX}{name}"));
    let modes = modes(facts);
    let host = modes.iter().any(|(mode, _)| *mode == Mode::Host);
    let mut lacking = Vec::new();
    if !has("task-iam-role") {
        lacking.push(format!("{PREFIX}task-iam-role"));
    }
    if host && !has("task-iam-role-network-host") {
        lacking.push(format!("{PREFIX}task-iam-role-network-host"));
    }
    let finding = match lacking.is_empty() {
        true => Finding::new(&CHECK, Outcome::Pass, "it has registered with task roles"),
        false => {
            let message = format!("ECS doesn't have {} of this instance", lacking.join(" and "));
            Finding::new(&CHECK, Outcome::Fail, message)
                .mend("set the flags in /etc/ecs/ecs.config (XD-ECS-010, -011)")
                .mend(Flavour::of(facts).restart(facts))
        }
    };
    // Credentials of other tasks would be within reach of whoever reaches the instance's metadata (facts B.6).
    if names.iter().any(|name| name.ends_with("imds-iam-roles")) {
        return vec![
            finding,
            Finding::new(
                &CHECK,
                Outcome::Warn,
                "this instance gives task roles by the instance metadata service: whoever reaches that may see other tasks' credentials",
            ),
        ];
    }
    vec![finding]
}
