//! `ecs-check --fix` on a real host: what keeps tasks from the agent is mended, and they are answered.

use libtest_mimic::Trial;
use serde_json::json;

use crate::lab::{Backend, Lab, with};
use crate::needs;
use crate::probe::Got;
use crate::rows::{ESTABLISHED, FILTER, OLD_FILTER, OUTPUT, PREROUTING, ROUTE_LOCALNET};

/// What is wrong with a host, in the commands that make it so.
const STATES: [(&str, &[Backend], &[&str]); 9] = [
    ("no_rules", &Backend::ALL, &[]),
    ("prerouting_only", &Backend::ALL, &[PREROUTING, ROUTE_LOCALNET]),
    ("output_only", &Backend::ALL, &[OUTPUT, ROUTE_LOCALNET]),
    ("route_localnet_off", &Backend::ALL, &[PREROUTING, OUTPUT, FILTER]),
    ("old_filter", &Backend::ALL, &[PREROUTING, OUTPUT, ROUTE_LOCALNET, OLD_FILTER]),
    ("input_policy_drop", &Backend::ALL, &[PREROUTING, OUTPUT, ROUTE_LOCALNET, ESTABLISHED, "iptables -P INPUT DROP"]),
    ("input_drops_docker0", &Backend::ALL, &[PREROUTING, OUTPUT, ROUTE_LOCALNET, "iptables -A INPUT -i docker0 -j DROP"]),
    (
        "another_rule_comes_first",
        &Backend::ALL,
        &["iptables -t nat -A PREROUTING -d 169.254.170.2 -j ACCEPT", PREROUTING, OUTPUT, ROUTE_LOCALNET],
    ),
    (
        "it_leads_to_51678",
        &Backend::ALL,
        &[
            "iptables -t nat -A PREROUTING -p tcp -d 169.254.170.2 --dport 80 -j DNAT --to-destination 127.0.0.1:51678",
            OUTPUT,
            ROUTE_LOCALNET,
        ],
    ),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, backends, lines) in STATES {
        for backend in needs::sampled(name, backends) {
            let full = format!("fix::{name}_{}", backend.name());
            trials.push(needs::trial(&full, &[], move || with(backend, |lab| mended(lab, name, lines))));
        }
    }
    trials
}

fn mended(lab: &mut Lab, name: &str, lines: &[&str]) {
    lab.reset();
    lab.sh(&lines.join("\n"));
    let said = lab.ecs_check(&["--fix", "--yes"]);
    let fixes = said["fixes"].as_array().unwrap();
    assert!(!fixes.is_empty() && fixes.iter().all(|fix| fix["kept"] == true), "{name}: {fixes:#?}");
    for (app, got) in lab.probe() {
        assert!(got == Got::Answer || app == "none", "{app} of {name}: got {got} after {fixes:#?}");
    }
    // Once more there is nothing to do, and nothing is added.
    let rules = || lab.sh("(iptables-nft-save; iptables-legacy-save) | grep ^-A || true");
    let before = rules();
    assert_eq!(lab.ecs_check(&["--fix", "--yes"])["fixes"], json!([]), "{name}");
    assert_eq!(rules(), before, "{name}");
}
