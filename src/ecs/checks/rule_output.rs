//! XD-ECS-051: a rule leads tasks of host mode to the agent.

use super::about::{Flavour, Mode, answered, modes};
use super::rules::{ENDPOINT, Fate, PORT, both, hidden, own_question};
use crate::ecs::facts::HostFacts;
use crate::ecs::parse::proc_net::route_to;
use crate::model::{Check, Finding, Outcome};
use std::net::Ipv4Addr;

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-051",
    title: "a rule leads tasks of host mode to the agent",
    why: "without it the packets of tasks with the host's network leave for the VPC, and nothing answers",
    fix: "add the rule, or let ecs-init add it",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B6"],
};

const RULE: &str = "sudo iptables -t nat -A OUTPUT -p tcp -d 169.254.170.2 --dport 80 -j REDIRECT --to-ports 51679";

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let flavour = Flavour::of(facts);
    if flavour == Flavour::Absent {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "no agent is here")];
    }
    let modes = modes(facts);
    let own = modes.iter().find(|(mode, _)| *mode == Mode::Host);
    let answered = own.is_some_and(|(_, containers)| answered(containers));
    let interface =
        facts.network.routes.known().and_then(|routes| route_to(routes, ENDPOINT)).map_or("eth0", |route| route.interface.as_str());
    let finding = match both(&facts.netfilter, "nat", "OUTPUT", &own_question(interface)) {
        Ok(Fate::Sent { to: Some(Ipv4Addr::LOCALHOST) | None, port: Some(PORT), rule }) => {
            Finding::new(&CHECK, Outcome::Pass, "what the host itself asks is led to the agent").seen(rule)
        }
        _ if answered => Finding::new(&CHECK, Outcome::Pass, "the agent answers in host mode"),
        Ok(Fate::Sent { to, port, rule }) => {
            let to = to.map_or_else(|| "this host".to_owned(), |to| to.to_string());
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            Finding::new(&CHECK, Outcome::Fail, format!("a rule leads 169.254.170.2 to {to}{port} instead of port 51679"))
                .seen(rule)
                .mend("delete that rule, or put the agent's before it")
                .mend(RULE.replace(" -A ", " -I "))
        }
        Ok(Fate::Dropped(rule, _)) => {
            Finding::new(&CHECK, Outcome::Fail, "a rule drops what goes to 169.254.170.2").seen(rule).mend("delete that rule")
        }
        Ok(Fate::Passes) if hidden(&facts.netfilter, "OUTPUT", &own_question(interface)) => {
            let message = "the agent's rule is there, and one before it lets the packets go";
            Finding::new(&CHECK, Outcome::Fail, message)
                .mend("delete that rule, or put the agent's before it")
                .mend(RULE.replace(" -A ", " -I "))
        }
        Ok(Fate::Passes) => {
            let finding = Finding::new(&CHECK, Outcome::Fail, "no rule leads 169.254.170.2 to the agent for what the host itself asks");
            if flavour.brings_rules() { finding.mend(flavour.restart(facts)) } else { finding.mend(RULE) }
        }
        Ok(Fate::Unclear(rule)) => {
            Finding::new(&CHECK, Outcome::CannotTell, "it hangs on a rule that asks for something that isn't judged here").seen(rule)
        }
        Err(why) => Finding::new(&CHECK, Outcome::CannotTell, format!("the rules can't be read: {why}")),
    };
    if finding.outcome == Outcome::Fail && own.is_none() {
        return vec![Finding { outcome: Outcome::Warn, message: format!("{}; no task here needs it now", finding.message), ..finding }];
    }
    vec![finding]
}
