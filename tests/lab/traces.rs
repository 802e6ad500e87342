//! `xdeploy ecs-check` reads a host and leaves it as it is, but for the lines that its questions leave in the agent's audit log.

use std::fs;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::lab::{Lab, with_third};
use crate::needs;
use crate::rows::healthy;

/// Rules without counters, tables, settings, routes, and every file with its size, time and mode.
const STATE: &str = r"
cat /proc/net/ip_tables_names
iptables-nft-save | grep -v -e '^#' -e '^:'
nft list tables
grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv4/ip_forward
ip -4 -oneline address
ip -4 route show table all
find /etc /var /run -not -name audit.log -printf '%p %s %T@ %m\n' | sort
";

pub fn trials() -> Vec<Trial> {
    vec![
        needs::trial("traces::ecs_check_changes_nothing", &[], || with_third(ecs_check_changes_nothing)),
        needs::trial("traces::a_dead_endpoint_takes_less_than_three_seconds", &[], || with_third(a_dead_endpoint)),
    ]
}

fn ecs_check_changes_nothing(lab: &mut Lab) {
    lab.reset();
    healthy(lab);
    // Once before: the file of the audit log is the agent's to make.
    lab.ecs_check(&[]);
    let lines = || fs::read_to_string(lab.folder.join("var/log/ecs/audit.log")).unwrap().lines().map(ToOwned::to_owned).collect::<Vec<_>>();
    let (state, before) = (lab.sh(STATE), lines());
    for probe in ["never", "auto"] {
        lab.ecs_check(&["--probe", probe]);
        let now = lab.sh(STATE);
        let new: Vec<&str> = now.lines().filter(|line| !state.lines().any(|old| old == *line)).collect();
        assert!(now == state, "with --probe {probe} these lines of the host's state are new: {new:#?}");
    }
    let after = lines();
    let new = &after[before.len()..];
    // The host itself, and each network that reaches the agent: three of bridge, one of awsvpc, and the host's again.
    assert!(new.len() <= 7 && new.iter().all(|line| line.contains(" 400 ") && line.contains("\"xdeploy")), "{new:#?}");
}

/// Nothing comes back, from any of the networks (issue 5).
fn a_dead_endpoint(lab: &mut Lab) {
    lab.reset();
    let took = |_| {
        let started = Instant::now();
        let said = lab.ecs_check(&[]);
        assert_eq!(said["exitCode"], 1);
        started.elapsed()
    };
    let best = (0..3).map(took).min().unwrap();
    println!("a dead endpoint: {best:?}");
    assert!(best < Duration::from_secs(3), "{best:?}");
}
