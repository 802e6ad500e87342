//! XD-ECS-057: others can't reach the host's loopback.

use super::about::Flavour;
use super::rules::{Fate, Packet, both};
use crate::ecs::facts::HostFacts;
use crate::ecs::parse::env_files::go_bool;
use crate::model::{Check, Finding, Outcome};
use std::net::Ipv4Addr;

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-057",
    title: "others can't reach the host's loopback",
    why: "with route_localnet on, a host beside this one can reach what listens on 127.0.0.1 here, unless a rule keeps it out",
    fix: "add the rule",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B6"],
};

/// Looks: it is no matter of credentials, and only told.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    if let (Some(why), true) = (facts.network.route_localnet.unknown(), Flavour::of(facts) != Flavour::Absent) {
        return vec![Finding::new(&CHECK, Outcome::CannotTell, why.to_owned())];
    }
    let on = facts.network.route_localnet.known().is_some_and(|values| values.values().any(|on| *on));
    let given = |name: &str| facts.config.iter().rev().find_map(|file| file.systemd.told(name)).and_then(go_bool);
    if !on || Flavour::of(facts) == Flavour::Absent {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "route_localnet is off")];
    }
    if given("ECS_SKIP_LOCALHOST_TRAFFIC_FILTER") == Some(true) {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "ECS_SKIP_LOCALHOST_TRAFFIC_FILTER is on: somebody wants it so")];
    }
    // A stranger's packet to 127.0.0.1, from outside.
    let stranger = Packet {
        source: Ipv4Addr::new(10, 0, 0, 9),
        destination: Ipv4Addr::LOCALHOST,
        port: 22,
        input: Some("eth0"),
        output: None,
        states: &["NEW"],
    };
    let finding = match both(&facts.netfilter, "filter", "INPUT", &stranger) {
        Ok(Fate::Dropped(rule, _)) => Finding::new(&CHECK, Outcome::Pass, "a rule keeps them out").seen(rule),
        Ok(Fate::Passes | Fate::Sent { .. }) => {
            Finding::new(&CHECK, Outcome::Warn, "no rule keeps a packet from outside from 127.0.0.1, and route_localnet is on").mend(
                "sudo iptables -I INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
            )
        }
        Ok(Fate::Unclear(rule)) => {
            Finding::new(&CHECK, Outcome::CannotTell, "it hangs on a rule that asks for something that isn't judged here").seen(rule)
        }
        Err(why) => Finding::new(&CHECK, Outcome::CannotTell, format!("the rules can't be read: {why}")),
    };
    vec![finding]
}
