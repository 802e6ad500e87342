//! XD-ECS-055: a reboot brings the rules back.

use super::about::{Flavour, Mode, SAVED, modes, unread};
use super::rules::{Fate, PORT, address, fate, own_question, question};
use crate::ecs::facts::HostFacts;
use crate::ecs::parse::iptables::Ruleset;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-055",
    title: "a reboot brings the rules back",
    why: "where the agent is run by hand, rules and setting are gone after a reboot unless they are saved",
    fix: "save them, and let a unit bring them back",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B6"],
};

/// Looks, where the agent is run by hand: elsewhere its supervisor brings the rules (facts/ecs.md 0.9).
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    if let Some(finding) = unread(facts, &CHECK, SAVED).or_else(|| unread(facts, &CHECK, &["/etc/sysctl"])) {
        return vec![finding];
    }
    let flavour = Flavour::of(facts);
    if flavour != Flavour::ByHand {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "whoever starts the agent brings the rules back")];
    }
    let saved = &facts.saved;
    let mut lacking = Vec::new();
    let with = |prerouting: bool| {
        saved.rules.iter().find(|file| match &file.rules {
            Some(rules) => leads(rules, prerouting),
            None => file.names_endpoint,
        })
    };
    let bridged = modes(facts).is_empty() || modes(facts).iter().any(|(mode, _)| mode.interface().is_some());
    let own = modes(facts).iter().any(|(mode, _)| *mode == Mode::Host);
    let mut units = Vec::new();
    for (needed, prerouting, chain) in [(bridged, true, "PREROUTING"), (own, false, "OUTPUT")] {
        match with(prerouting) {
            _ if !needed => {}
            None => lacking.push(format!("no file of saved rules has the one of {chain}")),
            Some(file) if !saved.enabled.iter().any(|unit| unit == file.unit) => {
                lacking.push(format!(
                    "{} has the rule of {chain}, and the unit {} that would bring it back isn't enabled",
                    file.path, file.unit
                ));
            }
            Some(file) => units.push(file.unit),
        }
    }
    let last = saved.route_localnet.last();
    if bridged && last.is_none_or(|(_, _, value)| value != "1") {
        lacking.push(match last {
            None => "no sysctl file sets net.ipv4.conf.all.route_localnet".to_owned(),
            Some((path, line, value)) => {
                format!("{path} line {line} sets net.ipv4.conf.all.route_localnet={value}, and is the last to say so")
            }
        });
    }
    if lacking.is_empty() {
        units.dedup();
        return vec![Finding::new(&CHECK, Outcome::Pass, format!("saved, and brought back by {}", units.join(" and ")))];
    }
    let debian = facts.platform.id == "debian" || facts.platform.like.contains("debian");
    let save = match (debian, facts.platform.id == "amzn" && !facts.platform.systemd) {
        (true, _) => {
            "sudo apt-get install -y iptables-persistent && sudo netfilter-persistent save && sudo systemctl enable netfilter-persistent"
        }
        (_, true) => "sudo service iptables save",
        _ => {
            "sudo yum install -y iptables-services && sudo iptables-save | sudo tee /etc/sysconfig/iptables && sudo systemctl enable --now iptables"
        }
    };
    let mut finding = Finding::new(&CHECK, Outcome::Fail, "a reboot drops what leads tasks to the agent");
    finding.evidence = lacking;
    if let Some((path, line, _)) = last.filter(|(_, _, value)| value != "1") {
        finding = finding.at(path, Some(*line));
    }
    vec![finding.mend(save).mend("echo net.ipv4.conf.all.route_localnet=1 | sudo tee /etc/sysctl.d/99-ecs-route-localnet.conf")]
}

/// Says whether saved rules lead a task's question to the agent, in one chain.
pub fn leads(rules: &Ruleset, prerouting: bool) -> bool {
    let (chain, packet) = match prerouting {
        true => ("PREROUTING", question(address(&[], "docker0"), "docker0")),
        false => ("OUTPUT", own_question("eth0")),
    };
    matches!(fate(rules, "nat", chain, &packet), Fate::Sent { port: Some(PORT), .. })
}
