//! The matrix of facts/ecs.md G.2, built for real: what each state of the host does to each network mode.

use std::collections::BTreeSet;
use std::thread;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::depth;
use crate::lab::{Backend, Lab, with};
use crate::needs;
use crate::probe::Got;

pub const PREROUTING: &str = "iptables -t nat -A PREROUTING -p tcp -d 169.254.170.2 --dport 80 -j DNAT --to-destination 127.0.0.1:51679";
pub const OUTPUT: &str = "iptables -t nat -A OUTPUT -p tcp -d 169.254.170.2 --dport 80 -j REDIRECT --to-ports 51679";
pub const ROUTE_LOCALNET: &str = "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet";
pub const FILTER: &str =
    "iptables -I INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP";
pub const OLD_FILTER: &str = "iptables -I INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP";
pub const ESTABLISHED: &str = "iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
const INTROSPECTION: [&str; 2] =
    ["iptables -I INPUT -p tcp --dport 51678 ! -i lo -j DROP", "iptables -I INPUT -p tcp --dport 51678 -i docker0 -j ACCEPT"];
/// What ecs-init adds, in its order (facts/ecs.md B.3).
pub const ECS_INIT: [&str; 6] = [PREROUTING, FILTER, INTROSPECTION[0], INTROSPECTION[1], OUTPUT, ROUTE_LOCALNET];

/// One state of the host and what comes of it.
struct Row {
    name: &'static str,
    backends: &'static [Backend],
    set_up: fn(&mut Lab),
    /// For bridge, host and awsvpc: what the raw probe gets, and the checks that ecs-check must name as the causes. None never reaches
    /// anything, and the bridge container without a role gets what the others get.
    expected: [(Expected, &'static [&'static str]); 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Answer,
    Timeout,
    Refused,
    /// The endpoint is the agent's other port: 200, and no credentials.
    Introspection,
    /// Something that isn't the agent.
    NotFound,
}

use Expected::{Answer, Introspection, NotFound, Refused, Timeout};

impl Expected {
    fn is(self, got: &Got) -> bool {
        match self {
            Answer => *got == Got::Answer,
            Timeout => *got == Got::Timeout,
            Refused => *got == Got::Refused,
            NotFound => matches!(got, Got::Else(text) if text.starts_with("404 ")),
            Introspection => matches!(got, Got::Else(text) if text.starts_with("200 {\"AvailableCommands\"")),
        }
    }
}

const BOTH: &[Backend] = &Backend::ALL;
const NFT: &[Backend] = &[Backend::Nft];
const LEGACY: &[Backend] = &[Backend::Legacy];

fn run(lab: &mut Lab, lines: &[&str]) {
    lab.sh(&lines.join("\n"));
}

/// Sets a host up as ecs-init does.
pub fn healthy(lab: &mut Lab) {
    run(lab, &ECS_INIT);
}

const ROWS: [Row; 24] = [
    Row {
        name: "no_rules",
        backends: BOTH,
        set_up: |_| {},
        expected: [(Timeout, &["XD-ECS-050", "XD-ECS-052"]), (Timeout, &["XD-ECS-051"]), (Timeout, &["XD-ECS-050", "XD-ECS-052"])],
    },
    Row {
        name: "prerouting_without_route_localnet",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING]),
        expected: [(Timeout, &["XD-ECS-052"]), (Timeout, &["XD-ECS-051"]), (Timeout, &["XD-ECS-052"])],
    },
    Row {
        name: "prerouting_with_route_localnet",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, ROUTE_LOCALNET]),
        expected: [(Answer, &[]), (Timeout, &["XD-ECS-051"]), (Answer, &[])],
    },
    Row {
        name: "output_only",
        backends: BOTH,
        set_up: |lab| run(lab, &[OUTPUT, ROUTE_LOCALNET]),
        expected: [(Timeout, &["XD-ECS-050"]), (Answer, &[]), (Timeout, &["XD-ECS-050"])],
    },
    Row {
        name: "both_rules",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT, ROUTE_LOCALNET]),
        expected: [(Answer, &[]), (Answer, &[]), (Answer, &[])],
    },
    Row {
        name: "both_rules_without_route_localnet",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT]),
        expected: [(Timeout, &["XD-ECS-052"]), (Answer, &[]), (Timeout, &["XD-ECS-052"])],
    },
    Row {
        name: "route_localnet_of_docker0_only",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT, "echo 1 >/proc/sys/net/ipv4/conf/docker0/route_localnet"]),
        expected: [(Answer, &[]), (Answer, &[]), (Timeout, &["XD-ECS-052"])],
    },
    Row {
        name: "route_localnet_of_default_only",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT, "echo 1 >/proc/sys/net/ipv4/conf/default/route_localnet"]),
        expected: [(Timeout, &["XD-ECS-052"]), (Answer, &[]), (Timeout, &["XD-ECS-052"])],
    },
    Row {
        name: "input_drops_docker0",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT, ROUTE_LOCALNET, "iptables -A INPUT -i docker0 -j DROP"]),
        expected: [(Timeout, &["XD-ECS-053"]), (Answer, &[]), (Answer, &[])],
    },
    Row {
        name: "input_policy_drop",
        backends: BOTH,
        set_up: |lab| {
            run(lab, &[PREROUTING, OUTPUT, ROUTE_LOCALNET, ESTABLISHED, "iptables -A INPUT -i lo -j ACCEPT", "iptables -P INPUT DROP"])
        },
        expected: [(Timeout, &["XD-ECS-053"]), (Answer, &[]), (Timeout, &["XD-ECS-053"])],
    },
    Row {
        name: "input_policy_drop_that_lets_the_agent_in",
        backends: LEGACY,
        set_up: |lab| {
            let open =
                ["docker0", "ecs-bridge"].map(|from| format!("iptables -A INPUT -i {from} -d 127.0.0.0/8 -p tcp --dport 51679 -j ACCEPT"));
            let policy = [ESTABLISHED, "iptables -A INPUT -i lo -j ACCEPT", &open[0], &open[1], "iptables -P INPUT DROP"];
            run(lab, &[&[PREROUTING, OUTPUT, ROUTE_LOCALNET], &policy[..]].concat());
        },
        expected: [(Answer, &[]), (Answer, &[]), (Answer, &[])],
    },
    Row {
        name: "input_rejects",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OUTPUT, ROUTE_LOCALNET, "iptables -A INPUT ! -i lo -p tcp --dport 51679 -j REJECT"]),
        expected: [(Refused, &["XD-ECS-053"]), (Answer, &[]), (Refused, &["XD-ECS-053"])],
    },
    Row {
        name: "prerouting_for_docker0_only",
        backends: LEGACY,
        set_up: |lab| run(lab, &[&PREROUTING.replace("-p tcp", "-i docker0 -p tcp"), OUTPUT, ROUTE_LOCALNET]),
        expected: [(Answer, &[]), (Answer, &[]), (Timeout, &["XD-ECS-050"])],
    },
    Row {
        name: "prerouting_after_a_rule_that_accepts",
        backends: LEGACY,
        set_up: |lab| run(lab, &["iptables -t nat -A PREROUTING -d 169.254.0.0/16 -j ACCEPT", PREROUTING, OUTPUT, ROUTE_LOCALNET]),
        expected: [(Timeout, &["XD-ECS-050"]), (Answer, &[]), (Timeout, &["XD-ECS-050"])],
    },
    // Host mode too: the redirected packet keeps the host's own address as its source, which isn't of 127/8.
    Row {
        name: "old_filter_without_dnat_state",
        backends: BOTH,
        set_up: |lab| run(lab, &[PREROUTING, OLD_FILTER, OUTPUT, ROUTE_LOCALNET]),
        expected: [(Timeout, &["XD-ECS-053"]), (Timeout, &["XD-ECS-053"]), (Timeout, &["XD-ECS-053"])],
    },
    // As ecs-init has it on hosts without an IPv4 route (facts/ecs.md A.3): there the source is 127.0.0.1.
    Row {
        name: "old_filter_where_the_endpoint_is_routed_to_lo",
        backends: NFT,
        set_up: |lab| {
            let route = "ip route add 169.254.170.2/32 dev lo scope link";
            run(lab, &[PREROUTING, OLD_FILTER, OUTPUT, ROUTE_LOCALNET, route]);
        },
        expected: [(Timeout, &["XD-ECS-053"]), (Answer, &[]), (Timeout, &["XD-ECS-053"])],
    },
    Row { name: "as_ecs_init_makes_it", backends: BOTH, set_up: healthy, expected: [(Answer, &[]), (Answer, &[]), (Answer, &[])] },
    Row {
        name: "agent_stopped",
        backends: BOTH,
        set_up: |lab| {
            healthy(lab);
            lab.stop_agent();
        },
        expected: [(Refused, &["XD-ECS-001"]), (Refused, &["XD-ECS-001"]), (Refused, &["XD-ECS-001"])],
    },
    // What `ecs stop` leaves behind while the agent's container runs on (facts/ecs.md A.1).
    Row {
        name: "unit_stopped_and_rules_gone",
        backends: NFT,
        set_up: |lab| lab.set_unit("inactive"),
        expected: [(Timeout, &["XD-ECS-002"]), (Timeout, &["XD-ECS-002"]), (Timeout, &["XD-ECS-002"])],
    },
    Row {
        name: "port_taken",
        backends: BOTH,
        set_up: |lab| {
            healthy(lab);
            lab.take_port();
        },
        expected: [(NotFound, &["XD-ECS-054"]), (NotFound, &["XD-ECS-054"]), (NotFound, &["XD-ECS-054"])],
    },
    Row {
        name: "task_without_its_route",
        backends: NFT,
        set_up: |lab| {
            healthy(lab);
            let pid = lab.app("awsvpc").pid;
            run(lab, &[&format!("nsenter --net=/proc/{pid}/ns/net ip route del 169.254.170.2/32")]);
        },
        expected: [(Answer, &[]), (Answer, &[]), (Timeout, &["XD-ECS-058"])],
    },
    Row {
        name: "rules_to_the_introspection_port",
        backends: NFT,
        set_up: |lab| {
            let wrong = [PREROUTING, OUTPUT].map(|rule| rule.replace("51679", "51678"));
            run(lab, &[&wrong[0], &wrong[1], ROUTE_LOCALNET]);
        },
        expected: [(Introspection, &["XD-ECS-050"]), (Introspection, &["XD-ECS-051"]), (Introspection, &["XD-ECS-050"])],
    },
    Row {
        name: "rules_in_the_backend_that_docker_does_not_use",
        backends: NFT,
        set_up: |lab| {
            let legacy = [PREROUTING, OUTPUT].map(|rule| rule.replace("iptables ", "iptables-legacy "));
            run(lab, &[&legacy[0], &legacy[1], ROUTE_LOCALNET]);
        },
        expected: [(Answer, &[]), (Answer, &[]), (Answer, &[])],
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
        expected: [(Answer, &[]), (Answer, &[]), (Answer, &[])],
    },
];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    // By turns, so that both hosts are always at work.
    let rows: Vec<&Row> = ROWS.iter().collect();
    for row in if needs::is_quick() { depth::sampled("rows of the matrix", rows, ROWS.len() / 2) } else { rows } {
        for backend in needs::sampled(row.name, row.backends) {
            trials.push(needs::trial(&format!("matrix::{}::{}", backend.name(), row.name), &[], move || {
                with(backend, |lab| row.check(lab));
            }));
        }
    }
    trials
}

/// Causes on every host of the lab: the task without a role, and the one without a network.
const ALWAYS: [&str; 2] = ["XD-ECS-070", "XD-ECS-075"];

impl Row {
    fn check(&self, lab: &mut Lab) {
        lab.reset();
        (self.set_up)(lab);
        // Both wait for what doesn't come: side by side.
        let (probed, said) = thread::scope(|scope| {
            let said = scope.spawn(|| lab.ecs_check(&[]));
            (lab.probe(), said.join().unwrap())
        });
        let mut causes = BTreeSet::from(ALWAYS);
        for (app, got) in probed {
            let (right, answers, because) = match self.of(app) {
                Some((expected, because)) => (expected.is(&got), expected == Answer, because),
                None => (got == Got::Unreachable, false, &["XD-ECS-075"][..]),
            };
            assert!(right, "{app} of {}: got {got}, expected {:?} of bridge, host, awsvpc", self.name, self.expected);
            causes.extend(because);
            self.check_verdict(app, answers, because, &said);
        }
        let found = said["findings"].as_array().unwrap().iter();
        let found = found.filter(|finding| finding["outcome"] == "fail" && finding["followsFrom"] == json!([]));
        assert_eq!(found.map(|finding| finding["id"].as_str().unwrap()).collect::<BTreeSet<_>>(), causes, "{}: {said:#}", self.name);
    }

    fn of(&self, app: &str) -> Option<(Expected, &'static [&'static str])> {
        let [bridge, host, awsvpc] = self.expected;
        match app {
            "bridge" | "bridge-js" | "no-role" => Some(bridge),
            "host" => Some(host),
            "awsvpc" => Some(awsvpc),
            _ => None,
        }
    }

    /// Whose credentials ecs-check says that an application uses, and why not its task's.
    fn check_verdict(&self, app: &str, answers: bool, because: &[&str], said: &Value) {
        let verdict = verdict_of(said, app);
        let (identity, because) = match (app, answers) {
            ("no-role", _) => ("instance-role", &["XD-ECS-070"][..]),
            (_, true) => ("task-role", &[][..]),
            // It goes on where the endpoint fails, and boto3 stops.
            ("bridge-js", false) => ("instance-role", because),
            (_, false) => ("no-credentials", because),
        };
        assert_eq!(verdict["verdict"]["identity"], identity, "{app} of {}: {verdict:#}", self.name);
        let named: Vec<&str> = verdict["findings"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        for id in because {
            assert!(named.contains(id), "{app} of {}: {verdict:#}", self.name);
        }
    }
}

/// What ecs-check says of an application.
pub fn verdict_of<'d>(said: &'d Value, app: &str) -> &'d Value {
    let containers = said["containers"].as_array().unwrap();
    containers.iter().find(|container| container["name"].as_str().unwrap().starts_with(&format!("ecs-{app}-1-app-"))).unwrap()
}
