//! XD-ECS-014: the agent runs with what its files say.

use super::about::{CONFIG, Flag, Flavour, agent_container, agent_runs, later, now, unread};
use crate::ecs::environment::{TASK_ENI, TASK_ROLE, TASK_ROLE_HOST};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-014",
    title: "the agent runs with what its files say",
    why: "a change of the file counts only after the agent was started again",
    fix: "start the agent again, the way that this host runs it",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html",
    article: &["B2"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    if let Some(finding) = unread(facts, &CHECK, CONFIG) {
        return vec![finding];
    }
    let flavour = Flavour::of(facts);
    if flavour == Flavour::Absent || agent_runs(facts) == Some(false) {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "no agent runs")];
    }
    let mut found = Vec::new();
    for name in [TASK_ROLE, TASK_ROLE_HOST, TASK_ENI] {
        let Some(now) = now(facts, name) else {
            let message = "what the running agent got can't be read, and so not whether it is what the files say";
            return vec![Finding::new(&CHECK, Outcome::CannotTell, message)];
        };
        let later = later(facts, flavour, name);
        if later == Flag::On && now != Flag::On {
            found.push(name);
        }
    }
    let file = facts.config.last();
    let started = agent_container(facts).and_then(|agent| agent.started);
    let newer = file.and_then(|file| file.modified).zip(started).is_some_and(|(changed, started)| changed > started);
    if found.is_empty() {
        let message = if newer {
            "the file was changed after the agent's start, and says the same of its flags"
        } else {
            "the agent has what its files say"
        };
        return vec![Finding::new(&CHECK, Outcome::Pass, message)];
    }
    let path = file.map_or("/etc/ecs/ecs.config", |file| file.path.as_str());
    let message = format!("{path} turns {} on, and the running agent doesn't have it", found.join(" and "));
    let mut finding = Finding::new(&CHECK, Outcome::Fail, message).at(path, None).mend(flavour.restart(facts));
    if newer {
        finding = finding.seen(format!("{path} was changed after the agent was started"));
    }
    vec![finding]
}
