//! XD-ECS-050: a rule leads tasks on a bridge to the agent.

use super::about::{Flavour, answered, modes};
use super::rules::{Fate, PORT, address, both, hidden, question};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome, Subject};
use std::net::Ipv4Addr;

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-050",
    title: "a rule leads tasks on a bridge to the agent",
    why: "without it the packets of bridge and awsvpc tasks to 169.254.170.2 leave for the VPC, and nothing answers",
    fix: "add the rule, or let ecs-init add it",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B6"],
};

const RULE: &str = "sudo iptables -t nat -A PREROUTING -p tcp -d 169.254.170.2 --dport 80 -j DNAT --to-destination 127.0.0.1:51679";

/// Looks, for each interface that tasks' packets arrive by.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let flavour = Flavour::of(facts);
    if flavour == Flavour::Absent {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "no agent is here")];
    }
    let mut found = Vec::new();
    for (mode, containers) in modes(facts) {
        let Some(interface) = mode.interface() else { continue };
        let addresses = containers.first().map(|container| container.addresses.as_slice()).unwrap_or_default();
        found.push(
            on(facts, interface, address(addresses, interface), answered(&containers)).about(Subject::Interface(interface.to_owned())),
        );
    }
    if found.is_empty() {
        // No task here needs it now; the next one may.
        found.push(match on(facts, "docker0", address(&[], "docker0"), false) {
            finding if finding.outcome == Outcome::Fail => {
                Finding { outcome: Outcome::Warn, message: format!("{}; no task here needs it now", finding.message), ..finding }
            }
            finding => finding,
        });
    }
    found
}

fn on(facts: &HostFacts, interface: &str, source: Ipv4Addr, answered: bool) -> Finding {
    match both(&facts.netfilter, "nat", "PREROUTING", &question(source, interface)) {
        Ok(Fate::Sent { to: Some(Ipv4Addr::LOCALHOST) | None, port: Some(PORT), rule }) => {
            Finding::new(&CHECK, Outcome::Pass, format!("what comes in by {interface} is led to the agent")).seen(rule)
        }
        // What answers is proof enough: a rule of nftables' own isn't seen by iptables-save (facts B.3).
        Ok(_) if answered => {
            Finding::new(&CHECK, Outcome::Pass, format!("the agent answers from {interface}; the rule itself isn't one of iptables'"))
        }
        Err(_) if answered => Finding::new(&CHECK, Outcome::Pass, format!("the agent answers from {interface}")),
        Ok(Fate::Sent { to, port, rule }) => {
            let to = to.map_or_else(|| "this host".to_owned(), |to| to.to_string());
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            Finding::new(&CHECK, Outcome::Fail, format!("a rule leads 169.254.170.2 to {to}{port} instead of 127.0.0.1:51679"))
                .seen(rule)
                .mend("delete that rule, or put the agent's before it")
                .mend(RULE.replace(" -A ", " -I "))
        }
        Ok(Fate::Dropped(rule, _)) => {
            Finding::new(&CHECK, Outcome::Fail, "a rule drops what goes to 169.254.170.2").seen(rule).mend("delete that rule")
        }
        Ok(Fate::Passes) if hidden(&facts.netfilter, "PREROUTING", &question(source, interface)) => {
            let message = "the agent's rule is there, and one before it lets the packets go";
            Finding::new(&CHECK, Outcome::Fail, message)
                .mend("delete that rule, or put the agent's before it")
                .mend(RULE.replace(" -A ", " -I "))
        }
        Ok(Fate::Passes) => {
            let flavour = Flavour::of(facts);
            let finding = Finding::new(&CHECK, Outcome::Fail, "no rule leads 169.254.170.2 to the agent");
            // The agent's supervisor brings its own rules; by hand they would be there twice (facts 0.9).
            if flavour.brings_rules() { finding.mend(flavour.restart(facts)) } else { finding.mend(RULE) }
        }
        Ok(Fate::Unclear(rule)) => {
            Finding::new(&CHECK, Outcome::CannotTell, "it hangs on a rule that asks for something that isn't judged here").seen(rule)
        }
        Err(why) => Finding::new(&CHECK, Outcome::CannotTell, format!("the rules can't be read: {why}")),
    }
}
