//! How a flag of the agent is judged: as it is for the agent that runs, and as its next start would make it.

use super::about::{CONFIG, Flag, Flavour, later, next, now, unread};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// Judges a flag; `used` says that tasks here need it.
pub fn judge(facts: &HostFacts, check: &'static Check, name: &str, modes: &str, used: bool) -> Finding {
    let flavour = Flavour::of(facts);
    if flavour == Flavour::Absent {
        return Finding::new(check, Outcome::NotApplicable, "no agent is here");
    }
    if let Some(finding) = unread(facts, check, CONFIG) {
        return finding;
    }
    let (now, later) = (now(facts, name), later(facts, flavour, name));
    let place = next(facts, flavour, name).place;
    let told = |flag: &Flag| match flag {
        Flag::On => "on".to_owned(),
        Flag::Off => "off".to_owned(),
        Flag::Unset => "not set, which is off".to_owned(),
        Flag::Invalid(text) => format!("`{text}`, which is no boolean and counts as off"),
    };
    let bad = match (&now, &later) {
        (Some(Flag::On) | None, Flag::On) => None,
        (Some(Flag::On), later) => Some(format!("{name} is on now, and will be {} when the agent is started again", told(later))),
        (Some(now), _) => Some(format!("{name} is {}", told(now))),
        (None, later) => Some(format!("{name} is {}", told(later))),
    };
    let Some(message) = bad else {
        let whose = if now.is_some() { "the agent has it" } else { "the files turn it on" };
        return Finding::new(check, Outcome::Pass, format!("{name} is on: {whose}"));
    };
    // An agent that never had the host's flag set is wrong only for who needs it; one that has it off was told so.
    let silent = now.as_ref().unwrap_or(&later) == &Flag::Unset && later == Flag::Unset;
    let optional = name != crate::ecs::environment::TASK_ROLE;
    let outcome = match (used, silent && optional) {
        (true, _) => Outcome::Fail,
        (false, true) => Outcome::NotApplicable,
        // Whoever turned it off where no task needs it may have meant it.
        (false, false) if optional => Outcome::Warn,
        (false, false) => Outcome::Fail,
    };
    let message = if used { format!("{message}; tasks here run with {modes}") } else { message };
    let mut finding = Finding::new(check, outcome, message);
    if let Some((path, line)) = place {
        finding = finding.at(path, Some(line)).seen(format!("{path} line {line}"));
    }
    let path = place.map_or("/etc/ecs/ecs.config", |(path, _)| path);
    finding.mend(format!("{name}=true in {path}")).mend(flavour.restart(facts))
}
