//! XD-ECS-002: the agent's unit is active.

use super::about::{Flavour, agent_runs};
use crate::ecs::facts::HostFacts;
use crate::model::Readable;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-002",
    title: "the agent's unit is active",
    why: "when its unit has stopped, ecs-init has taken the rules and the kernel's setting away, even if the agent's container still runs",
    fix: "start the unit again",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-install.html",
    article: &["B1"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let flavour = Flavour::of(facts);
    match &facts.agent.unit {
        Readable::Known(Some(unit)) if agent_runs(facts) == Some(false) => {
            vec![Finding::new(&CHECK, Outcome::NotApplicable, format!("the agent doesn't run; unit {} is {}", unit.name, unit.state))]
        }
        Readable::Known(Some(unit)) if ["active", "activating", "reloading"].contains(&unit.state.as_str()) => {
            vec![Finding::new(&CHECK, Outcome::Pass, format!("unit {} is {}", unit.name, unit.state))]
        }
        Readable::Known(Some(unit)) if flavour.brings_rules() => {
            let message = format!("the agent runs, and its unit {} is {}: nothing looks after its rules", unit.name, unit.state);
            vec![Finding::new(&CHECK, Outcome::Fail, message).mend(flavour.restart(facts))]
        }
        Readable::Unknown(why) if flavour.brings_rules() => {
            vec![Finding::new(&CHECK, Outcome::CannotTell, format!("the unit's state can't be read: {why}"))]
        }
        _ => vec![Finding::new(&CHECK, Outcome::NotApplicable, "no unit runs the agent here")],
    }
}
