//! XD-ECS-053: the filter lets tasks through to the agent.

use super::about::{Mode, answered, modes, nothing};
use super::rules::{ENDPOINT, Fate, address, both, led, own_led, question};
use crate::ecs::facts::HostFacts;
use crate::ecs::parse::iptables::Rule;
use crate::ecs::parse::proc_net::route_to;
use crate::model::{Check, Finding, Outcome, Subject};
use std::net::Ipv4Addr;

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-053",
    title: "the filter lets tasks through to the agent",
    why: "a rule or a policy that drops what comes in by a bridge keeps tasks from their credentials, however right the other rules are",
    fix: "let what was led to the agent in",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B6"],
};

/// Looks: `raw` and `mangle` may drop as well.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    let own = facts.network.routes.known().and_then(|routes| route_to(routes, ENDPOINT)).map_or("eth0", |route| route.interface.as_str());
    for (mode, containers) in modes(facts) {
        let (name, led, first) = match mode.interface() {
            Some(interface) => {
                let source = containers.first().map(|container| address(&container.addresses, interface)).unwrap_or(Ipv4Addr::UNSPECIFIED);
                (interface, led(source, interface), question(source, interface))
            }
            None if mode == Mode::Host => ("lo", own_led(own), own_led(own)),
            None => continue,
        };
        let answered = answered(&containers);
        let steps = [("raw", "PREROUTING", &first), ("mangle", "PREROUTING", &first), ("mangle", "INPUT", &led), ("filter", "INPUT", &led)];
        let dropped = steps
            .into_iter()
            .map(|(table, chain, packet)| (table, both(&facts.netfilter, table, chain, packet)))
            .find(|(_, fate)| !matches!(fate, Ok(Fate::Passes | Fate::Sent { .. })));
        let finding = match dropped {
            None => Finding::new(&CHECK, Outcome::Pass, format!("nothing drops what comes in by {name}")),
            Some(_) if answered => Finding::new(&CHECK, Outcome::Pass, format!("the agent answers from {name}")),
            Some((_, Err(why))) => Finding::new(&CHECK, Outcome::CannotTell, format!("the rules can't be read: {why}")),
            Some((_, Ok(Fate::Unclear(rule)))) => {
                Finding::new(&CHECK, Outcome::CannotTell, "it hangs on a rule that asks for something that isn't judged here").seen(rule)
            }
            Some((table @ ("raw" | "mangle"), Ok(Fate::Dropped(rule, _)))) => {
                Finding::new(&CHECK, Outcome::Fail, format!("table {table} drops what comes in by {name}"))
                    .seen(rule)
                    .mend("delete that rule")
            }
            Some((_, Ok(Fate::Dropped(rule, what)))) => dropping(facts, name, rule, what.as_deref()),
            Some((_, Ok(_))) => continue,
        };
        found.push(finding.about(Subject::Interface(name.to_owned())));
    }
    if found.is_empty() {
        found.push(nothing(facts, &CHECK, "no task's packets cross the filter"));
    }
    found
}

fn dropping(facts: &HostFacts, interface: &str, rule: String, what: Option<&Rule>) -> Finding {
    let old = what.is_some_and(|rule| {
        let guards = rule.destination.as_ref().is_some_and(|net| !net.not && net.value.has(Ipv4Addr::LOCALHOST));
        guards && rule.states.as_ref().is_some_and(|states| states.not && !states.value.iter().any(|state| state == "DNAT"))
    });
    if old {
        // The filter of an older ecs-init, which knew nothing of DNAT (facts B.3).
        let message = format!("an old filter of 127.0.0.0/8 drops what was led to the agent from {interface}: it lacks DNAT in its states");
        let text = rule.trim_start_matches("-A INPUT ").to_owned();
        return Finding::new(&CHECK, Outcome::Fail, message).seen(rule).mend(format!("sudo iptables -D INPUT {text}")).mend(
            "sudo iptables -I INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
        );
    }
    let message = format!("the host's filter drops what was led to the agent from {interface}");
    let open = match interface {
        "lo" => "sudo iptables -I INPUT -i lo -j ACCEPT".to_owned(),
        bridge => format!("sudo iptables -I INPUT -i {bridge} -d 127.0.0.0/8 -p tcp --dport 51679 -j ACCEPT"),
    };
    let mut finding = Finding::new(&CHECK, Outcome::Fail, message).seen(rule).mend(open);
    for unit in ["firewalld", "ufw"] {
        if facts.saved.enabled.iter().any(|enabled| enabled == unit) {
            finding = finding.mend(format!("{unit} is in charge of the filter here: add the same there, or it is lost"));
        }
    }
    finding
}
