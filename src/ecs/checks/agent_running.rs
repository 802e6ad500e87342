//! XD-ECS-001: the ECS agent runs.

use super::about::{Flavour, agent_container, agent_runs};
use crate::ecs::facts::HostFacts;
use crate::ecs::facts::Introspection;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-001",
    title: "the ECS agent runs",
    why: "without the agent nothing answers at 169.254.170.2, and no task gets its role",
    fix: "start the agent the way that this host runs it",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-install.html",
    article: &["B1"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let flavour = Flavour::of(facts);
    if flavour == Flavour::Absent && facts.containers.known().is_some() {
        let message = "no agent is here: nothing answers on 127.0.0.1:51678, and no container is the agent's";
        return vec![Finding::new(&CHECK, Outcome::Fail, message).mend(flavour.restart(facts))];
    }
    let container = agent_container(facts);
    let ended = |finding: Finding| {
        let mut finding = finding;
        if let Some(agent) = container.filter(|agent| !agent.running) {
            let code = agent.exit.map_or_else(String::new, |code| format!(" with exit code {code}"));
            finding = finding.seen(format!("container {} of {} has ended{code}", agent.name, agent.image));
        }
        if let Some(unit) = facts.agent.unit.known().and_then(Option::as_ref) {
            let code = unit.exit.map_or_else(String::new, |code| format!(", its program ended with {code}"));
            finding = finding.seen(format!("unit {} is {}{code}", unit.name, unit.state));
            // Its unit has RestartPreventExitStatus=5 (facts A.1).
            if unit.exit == Some(5) {
                finding = finding.seen("5 is for good: systemd doesn't start it again; /var/log/ecs/ecs-init.log says why");
            }
        }
        finding
    };
    match agent_runs(facts) {
        Some(true) => {
            let version = match facts.agent.introspection.known() {
                Some(Introspection::Agent { version, cluster, .. }) => format!("agent {version} of cluster {cluster} answers"),
                _ => "the agent runs".to_owned(),
            };
            vec![Finding::new(&CHECK, Outcome::Pass, version)]
        }
        Some(false) => {
            let message = match (container.is_some_and(|agent| agent.running), facts.agent.introspection.known()) {
                (true, _) => "the agent's container runs, and the agent doesn't answer on 127.0.0.1:51678",
                (false, Some(Introspection::SomethingElse(_))) => "something that isn't the agent answers on 127.0.0.1:51678",
                (false, _) => "the agent doesn't run",
            };
            let mut finding = Finding::new(&CHECK, Outcome::Fail, message);
            if let Some(Introspection::SomethingElse(what)) = facts.agent.introspection.known() {
                finding = finding.seen(format!("port 51678: {what}"));
            }
            vec![ended(finding).mend(flavour.restart(facts))]
        }
        None => {
            let why = facts.agent.introspection.unknown().or(facts.containers.unknown()).unwrap_or_default();
            vec![Finding::new(&CHECK, Outcome::CannotTell, format!("neither the agent nor Docker could be asked: {why}"))]
        }
    }
}
