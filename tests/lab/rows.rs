//! The matrix of facts/ecs.md G.2, built for real: what each state of the host does to each network mode.

use libtest_mimic::Trial;

use crate::lab::{Backend, Lab, with};
use crate::needs;
use crate::probe::Got;

const PREROUTING: &str = "iptables -t nat -A PREROUTING -p tcp -d 169.254.170.2 --dport 80 -j DNAT --to-destination 127.0.0.1:51679";
const OUTPUT: &str = "iptables -t nat -A OUTPUT -p tcp -d 169.254.170.2 --dport 80 -j REDIRECT --to-ports 51679";
const ROUTE_LOCALNET: &str = "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet";
const FILTER: &str = "iptables -I INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP";
const OLD_FILTER: &str = "iptables -I INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP";
const INTROSPECTION: [&str; 2] =
    ["iptables -I INPUT -p tcp --dport 51678 ! -i lo -j DROP", "iptables -I INPUT -p tcp --dport 51678 -i docker0 -j ACCEPT"];
/// What ecs-init adds, in its order (facts/ecs.md B.3).
const ECS_INIT: [&str; 6] = [PREROUTING, FILTER, INTROSPECTION[0], INTROSPECTION[1], OUTPUT, ROUTE_LOCALNET];

/// One state of the host and what comes of it.
struct Row {
    name: &'static str,
    backends: &'static [Backend],
    set_up: fn(&mut Lab),
    /// For bridge, host and awsvpc. None never reaches anything, and the bridge container without a role gets what the other gets.
    expected: [Expected; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Answer,
    Timeout,
    Refused,
    /// The endpoint is the agent's other port: 200, and no credentials.
    Introspection,
}

use Expected::{Answer, Introspection, Refused, Timeout};

impl Expected {
    fn is(self, got: &Got) -> bool {
        match self {
            Answer => *got == Got::Answer,
            Timeout => *got == Got::Timeout,
            Refused => *got == Got::Refused,
            Introspection => matches!(got, Got::Else(text) if text.starts_with("200 {\"AvailableCommands\"")),
        }
    }
}

const BOTH: &[Backend] = &Backend::ALL;
const NFT: &[Backend] = &[Backend::Nft];

fn run(lab: &mut Lab, lines: &[&str]) {
    lab.sh(&lines.join("\n"));
}

/// Sets a host up as ecs-init does.
pub fn healthy(lab: &mut Lab) {
    run(lab, &ECS_INIT);
}

const ROWS: [Row; 17] = [
    Row { name: "no_rules", backends: BOTH, set_up: |_| {}, expected: [Timeout, Timeout, Timeout] },
    Row {
        name: "prerouting_without_route_localnet",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING]),
        expected: [Timeout, Timeout, Timeout],
    },
    Row {
        name: "prerouting_with_route_localnet",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, ROUTE_LOCALNET]),
        expected: [Answer, Timeout, Answer],
    },
    Row { name: "output_only", backends: BOTH, set_up: |lab| run(lab, &[OUTPUT, ROUTE_LOCALNET]), expected: [Timeout, Answer, Timeout] },
    Row {
        name: "both_rules",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT, ROUTE_LOCALNET]),
        expected: [Answer, Answer, Answer],
    },
    Row {
        name: "both_rules_without_route_localnet",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT]),
        expected: [Timeout, Answer, Timeout],
    },
    Row {
        name: "route_localnet_of_docker0_only",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT, "echo 1 >/proc/sys/net/ipv4/conf/docker0/route_localnet"]),
        expected: [Answer, Answer, Timeout],
    },
    Row {
        name: "route_localnet_of_default_only",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT, "echo 1 >/proc/sys/net/ipv4/conf/default/route_localnet"]),
        expected: [Timeout, Answer, Timeout],
    },
    Row {
        name: "input_drops_docker0",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT, ROUTE_LOCALNET, "iptables -A INPUT -i docker0 -j DROP"]),
        expected: [Timeout, Answer, Answer],
    },
    Row {
        name: "input_policy_drop",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT, ROUTE_LOCALNET, "iptables -A INPUT -i lo -j ACCEPT", "iptables -P INPUT DROP"]),
        expected: [Timeout, Answer, Timeout],
    },
    // Host mode too: the redirected packet keeps the host's own address as its source, which isn't of 127/8.
    Row {
        name: "old_filter_without_dnat_state",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OLD_FILTER, OUTPUT, ROUTE_LOCALNET]),
        expected: [Timeout, Timeout, Timeout],
    },
    // As ecs-init has it on hosts without an IPv4 route (facts/ecs.md A.3): there the source is 127.0.0.1.
    Row {
        name: "old_filter_where_the_endpoint_is_routed_to_lo",
        backends: NFT,
        set_up: |lab| {
            let route = "ip route add 169.254.170.2/32 dev lo scope link";
            run(lab, &[PREROUTING, OLD_FILTER, OUTPUT, ROUTE_LOCALNET, route]);
        },
        expected: [Timeout, Answer, Timeout],
    },
    Row { name: "as_ecs_init_makes_it", backends: BOTH, set_up: healthy, expected: [Answer, Answer, Answer] },
    Row {
        name: "agent_stopped",
        backends: BOTH,
        set_up: |lab| {
            healthy(lab);
            lab.stop_agent();
        },
        expected: [Refused, Refused, Refused],
    },
    Row {
        name: "rules_to_the_introspection_port",
        backends: NFT,
        set_up: |lab| {
            let wrong = [PREROUTING, OUTPUT].map(|rule| rule.replace("51679", "51678"));
            run(lab, &[&wrong[0], &wrong[1], ROUTE_LOCALNET]);
        },
        expected: [Introspection, Introspection, Introspection],
    },
    Row {
        name: "rules_in_the_backend_that_docker_does_not_use",
        backends: NFT,
        set_up: |lab| {
            let legacy = [PREROUTING, OUTPUT].map(|rule| rule.replace("iptables ", "iptables-legacy "));
            run(lab, &[&legacy[0], &legacy[1], ROUTE_LOCALNET]);
        },
        expected: [Answer, Answer, Answer],
    },
    Row {
        name: "rules_of_nft_that_iptables_does_not_show",
        backends: NFT,
        set_up: |lab| {
            let rules = "table ip by-hand {
                chain prerouting { type nat hook prerouting priority -100; ip daddr 169.254.170.2 tcp dport 80 dnat to 127.0.0.1:51679; }
                chain output { type nat hook output priority -100; ip daddr 169.254.170.2 tcp dport 80 redirect to :51679; }
            }";
            run(lab, &[ROUTE_LOCALNET, &format!("nft '{rules}'")]);
        },
        expected: [Answer, Answer, Answer],
    },
];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    // By turns, so that both hosts are always at work.
    for row in &ROWS {
        for &backend in row.backends {
            trials.push(needs::trial(&format!("matrix::{}::{}", backend.name(), row.name), &[], move || {
                with(backend, |lab| row.check(lab));
            }));
        }
    }
    trials
}

impl Row {
    fn check(&self, lab: &mut Lab) {
        lab.reset();
        (self.set_up)(lab);
        let [bridge, host, awsvpc] = self.expected;
        if std::env::var("DUMP").is_ok() {
            let d = lab.ecs_check(&[]);
            println!("{} {} {d:#}", self.name, lab.backend.name());
        }
        for (app, got) in lab.probe() {
            let right = match app {
                "bridge" | "bridge-js" | "no-role" => bridge.is(&got),
                "host" => host.is(&got),
                "awsvpc" => awsvpc.is(&got),
                _ => got == Got::Unreachable,
            };
            assert!(right, "{app} of {}: got {got}, expected {:?} of bridge, host, awsvpc", self.name, self.expected);
        }
    }
}
