//! One thing wrong on a healthy host: found by exactly the check that is meant for it, and no healthy host gives a false alarm.

use super::tree::{ACCOUNT, API, KINDS, Kind, METRICS, RELATIVE, Tree, WEB};
use crate::support::depth;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use xdeploy::ecs::checks;
use xdeploy::ecs::verdict::{Identity, Verdict};
use xdeploy::model::{Finding, Outcome};

#[test]
fn no_healthy_host_gives_a_false_alarm() {
    for kind in KINDS {
        let (_, findings, verdicts) = Tree::healthy(kind).check();
        let loud: Vec<&Finding> =
            findings.iter().filter(|finding| !matches!(finding.outcome, Outcome::Pass | Outcome::NotApplicable)).collect();
        assert!(loud.is_empty(), "{kind:?}: {loud:#?}");
        let uses: Vec<Identity> = verdicts.iter().map(|verdict| verdict.identity).collect();
        assert_eq!(uses, [Identity::TaskRole; 3], "{kind:?}: {verdicts:#?}");
    }
}

/// Another way of being healthy: its name, where it makes sense, the check that must say so, and how it is made.
type Healthy = (&'static str, &'static [Kind], &'static str, fn(&Tree));

fn healthy_too() -> Vec<Healthy> {
    const PROXY: &str = "HTTP_PROXY=http://proxy:3128";
    const PAST: &str = "NO_PROXY=169.254.169.254,169.254.170.2,/var/run/docker.sock";
    vec![
        ("the agent's proxy as the article writes it", WITH_FILE, "XD-ECS-030", |tree| {
            tree.append(CONFIG, &format!("{PROXY}\n{PAST}\n"));
            tree.agent_got("HTTP_PROXY", Some("http://proxy:3128"));
            tree.agent_got("NO_PROXY", Some("169.254.0.0/16,/var/run/docker.sock"));
        }),
        ("ecs-init's proxy", BY_SYSTEMD, "XD-ECS-031", |tree| {
            tree.write("etc/systemd/system/ecs.service.d/p.conf", &format!("[Service]\nEnvironment=\"{PROXY}\" \"{PAST}\"\n"));
        }),
        ("Docker's proxy", EVERYWHERE, "XD-ECS-032", |tree| {
            tree.write("etc/sysconfig/docker", &format!("export {PROXY}\nexport NO_PROXY=*\n"))
        }),
        ("a container's proxy", EVERYWHERE, "XD-ECS-033", |tree| {
            tree.variables(WEB, &["http_proxy=http://proxy:1", "no_proxy=169.254.170.2"])
        }),
        ("php-fpm hands the variable on", EVERYWHERE, "XD-ECS-061", |tree| {
            tree.process(WEB.1, WEB.1 + 10_000, WEB.1, "php-fpm: pool www", &[]);
            let passes = "[www]\nenv[AWS_CONTAINER_CREDENTIALS_RELATIVE_URI] = $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI\n";
            tree.write(&format!("proc/{}/root/etc/php/8.2/fpm/pool.d/www.conf", WEB.1), passes);
        }),
        ("the rules are nftables' own, which iptables-save doesn't show", EVERYWHERE, "XD-ECS-050", |tree| {
            tree.rules(PREROUTING, "");
            tree.rules(OUTPUT, "");
        }),
        ("the rules are in the other backend", EVERYWHERE, "XD-ECS-051", |tree| {
            tree.capture("iptables-nft-save.txt", super::tree::FILTER);
            tree.capture("iptables-legacy-save.txt", super::tree::NAT);
        }),
        ("each bridge has its own route_localnet", EVERYWHERE, "XD-ECS-052", |tree| {
            for (name, value) in [("all", "0\n"), ("docker0", "1\n"), ("ecs-bridge", "1\n")] {
                tree.write(&format!("proc/sys/net/ipv4/conf/{name}/route_localnet"), value);
            }
        }),
        ("the policy is DROP, and what must is let in", EVERYWHERE, "XD-ECS-053", |tree| {
            tree.rules(":INPUT ACCEPT [0:0]\n:FORWARD", ":INPUT DROP [0:0]\n:FORWARD");
            let open = "-A INPUT -i lo -j ACCEPT\n-A INPUT -d 127.0.0.0/8 -i docker0 -p tcp -m tcp --dport 51679 -j ACCEPT\n\
                        -A INPUT -d 127.0.0.0/8 -i ecs-bridge -p tcp -m tcp --dport 51679 -j ACCEPT\n";
            tree.rules(GUARD, &format!("{GUARD}{open}"));
        }),
        ("a quoted flag is said again rightly", ECS_INIT, "XD-ECS-010", |tree| {
            tree.append(CONFIG, "ECS_ENABLE_TASK_IAM_ROLE=true\n");
        }),
        ("the file was touched, and says the same", WITH_FILE, "XD-ECS-014", |tree| tree.touch_later(CONFIG)),
        ("JavaScript's SDK v2, and no instance's role in reach", EVERYWHERE, "XD-ECS-041", |tree| {
            sdk(tree, WEB, "app/node_modules/aws-sdk/package.json", "{\"name\": \"aws-sdk\", \"version\": \"2.1693.0\"}");
        }),
        ("a trust policy as the article writes it", EVERYWHERE, "XD-ECS-020", |tree| {
            tree.aws(|aws| {
                aws["roles"][format!("arn:aws:iam::{ACCOUNT}:role/web-role")]["trust"] = json!({"Version": "2012-10-17", "Statement": {
                    "Effect": "Allow", "Principal": {"Service": ["ecs-tasks.amazonaws.com", "ec2.amazonaws.com"]}, "Action": "sts:*"}});
            });
        }),
    ]
}

#[test]
fn other_healthy_hosts_give_none_either() {
    let mut wrong = Vec::new();
    for (name, kinds, id, make) in healthy_too() {
        for kind in depth::sampled(name, kinds.to_vec(), 1) {
            let tree = Tree::healthy(kind);
            make(&tree);
            let (_, findings, _) = tree.check();
            let loud: Vec<&Finding> =
                findings.iter().filter(|finding| !matches!(finding.outcome, Outcome::Pass | Outcome::NotApplicable)).collect();
            let passed = findings.iter().any(|finding| finding.check.id == id && finding.outcome == Outcome::Pass);
            if !loud.is_empty() || !passed {
                wrong.push(format!("{kind:?}, {name}: {id} passed: {passed}; {loud:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A single thing that is wrong.
pub struct Mutation {
    pub name: &'static str,
    /// Where it makes sense.
    pub on: &'static [Kind],
    /// The check that must find it.
    pub by: &'static str,
    pub outcome: Outcome,
    /// What the container that suffers then uses; `None` where nothing changes for who runs already.
    then: Option<(&'static str, Identity)>,
    pub make: fn(&Tree),
}

const EVERYWHERE: &[Kind] = &KINDS;
const ECS_INIT: &[Kind] = &[Kind::AmazonLinux2023, Kind::AmazonLinux2, Kind::AmazonLinux1, Kind::Ubuntu, Kind::Suse, Kind::Anywhere];
const BY_SYSTEMD: &[Kind] = &[Kind::AmazonLinux2023, Kind::AmazonLinux2, Kind::Ubuntu, Kind::Suse, Kind::Anywhere];
const WITH_UNIT: &[Kind] = &[Kind::AmazonLinux2023, Kind::Ubuntu, Kind::Suse, Kind::Bottlerocket];
const BY_HAND: &[Kind] = &[Kind::DebianByHand, Kind::AmazonLinux2ByHand];
const IN_A_CONTAINER: &[Kind] = &[Kind::AmazonLinux2023, Kind::AmazonLinux1, Kind::Suse, Kind::DebianByHand];
const WITH_FILE: &[Kind] = &[Kind::AmazonLinux2023, Kind::AmazonLinux1, Kind::Ubuntu, Kind::DebianByHand];

const CONFIG: &str = "etc/ecs/ecs.config";
const PREROUTING: &str = "-A PREROUTING -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:51679\n";
const OUTPUT: &str = "-A OUTPUT -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 51679\n";
const GUARD: &str = "-A INPUT ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP\n";

fn fails(name: &'static str, on: &'static [Kind], by: &'static str, make: fn(&Tree)) -> Mutation {
    Mutation { name, on, by, outcome: Outcome::Fail, then: None, make }
}

fn warns(name: &'static str, on: &'static [Kind], by: &'static str, make: fn(&Tree)) -> Mutation {
    Mutation { name, on, by, outcome: Outcome::Warn, then: None, make }
}

fn unclear(name: &'static str, on: &'static [Kind], by: &'static str, make: fn(&Tree)) -> Mutation {
    Mutation { name, on, by, outcome: Outcome::CannotTell, then: None, make }
}

impl Mutation {
    fn then(mut self, container: (&'static str, u32), identity: Identity) -> Mutation {
        self.then = Some((container.0, identity));
        self
    }
}

/// Sets a flag in the file and in what the agent got.
fn flag(tree: &Tree, name: &str, value: &str) {
    if tree.kind.by_hand() {
        tree.edit(CONFIG, &format!("{name}=true"), &format!("{name}={value}"));
    } else {
        tree.append(CONFIG, &format!("{name}={value}\n"));
    }
    tree.agent_got(name, Some(value));
}

/// Nothing answers a bridge and an awsvpc task any more.
fn silent(tree: &Tree, answer: &str) {
    tree.probe(WEB.0, answer);
    tree.probe(API.0, answer);
}

fn agent_ends(tree: &Tree) {
    tree.capture("agent/metadata.json", "refused");
    tree.capture("agent/endpoint.txt", "refused");
    silent(tree, "refused");
    tree.probe(METRICS.0, "refused");
}

fn sdk(tree: &Tree, container: (&str, u32), path: &str, text: &str) {
    tree.remove(&format!("proc/{}/root/usr/lib/python3", container.1));
    tree.write(&format!("proc/{}/root/{path}", container.1), text);
}

pub fn mutations() -> Vec<Mutation> {
    let mut all = of_the_agent();
    all.extend(of_the_configuration());
    all.extend(of_proxies());
    all.extend(of_the_rules());
    all.extend(of_what_is_saved());
    all.extend(of_containers());
    all.extend(of_roles());
    all.extend(of_what_cannot_be_read());
    all
}

fn of_the_agent() -> Vec<Mutation> {
    vec![
        fails("the agent's container has ended", IN_A_CONTAINER, "XD-ECS-001", |tree| {
            agent_ends(tree);
            tree.container("ecs-agent", |agent| {
                agent["State"] = json!({"Running": false, "Pid": 0, "ExitCode": 5, "StartedAt": "2026-09-21T08:00:00Z"})
            });
        })
        .then(WEB, Identity::NoCredentials),
        fails("the agent has ended, its unit failed, and its rules are gone", BY_SYSTEMD, "XD-ECS-001", |tree| {
            agent_ends(tree);
            tree.container("ecs-agent", |agent| agent["State"] = json!({"Running": false, "Pid": 0, "ExitCode": 5}));
            tree.capture("systemctl-ecs.txt", "ExecMainStatus=5\nActiveState=failed\n");
            tree.rules(PREROUTING, "");
            tree.rules(OUTPUT, "");
            silent(tree, "timed-out");
            tree.probe(METRICS.0, "timed-out");
        })
        .then(METRICS, Identity::NoCredentials),
        fails("the agent's container runs and hangs", IN_A_CONTAINER, "XD-ECS-001", agent_ends),
        fails("Bottlerocket's agent has ended", &[Kind::Bottlerocket], "XD-ECS-001", |tree| {
            agent_ends(tree);
            tree.remove("proc/900");
            tree.capture("systemctl-ecs.txt", "ExecMainStatus=1\nActiveState=failed\n");
        }),
        fails("something else answers on 51678", IN_A_CONTAINER, "XD-ECS-001", |tree| {
            agent_ends(tree);
            tree.capture("agent/metadata.json", "{\"AvailableCommands\":[]}");
        }),
        fails("the unit was stopped and the agent runs on: rules and setting are gone", WITH_UNIT, "XD-ECS-002", |tree| {
            tree.capture("systemctl-ecs.txt", "ExecMainStatus=0\nActiveState=inactive\n");
            tree.rules(PREROUTING, "");
            tree.rules(OUTPUT, "");
            tree.write("proc/sys/net/ipv4/conf/all/route_localnet", "0\n");
            silent(tree, "timed-out");
            tree.probe(METRICS.0, "timed-out");
        })
        .then(WEB, Identity::NoCredentials),
        fails("the agent hasn't registered", EVERYWHERE, "XD-ECS-003", |tree| {
            tree.capture(
                "agent/metadata.json",
                &json!({"Cluster": "web", "ContainerInstanceArn": null, "Version": "Amazon ECS Agent - v1.105.1 (deadbeef)"}).to_string(),
            );
        }),
        fails("the agent has a network of its own", BY_HAND, "XD-ECS-004", |tree| {
            tree.container("ecs-agent", |agent| {
                agent["HostConfig"]["NetworkMode"] = json!("bridge");
                agent["NetworkSettings"]["Networks"] = json!({"bridge": {"NetworkID": "x", "IPAddress": "172.17.0.5"}});
            });
            agent_ends(tree);
        }),
        fails("the agent is older than task roles in host mode", EVERYWHERE, "XD-ECS-005", |tree| {
            tree.edit("xdeploy-capture/agent/metadata.json", "1.105.1", "1.11.1");
        }),
        warns("the agent is unhealthy", IN_A_CONTAINER, "XD-ECS-006", |tree| {
            tree.container("ecs-agent", |agent| agent["State"]["Health"]["Status"] = json!("unhealthy"));
        }),
        fails("another program has the agent's port", EVERYWHERE, "XD-ECS-054", |tree| {
            tree.capture("agent/endpoint.txt", "status-404");
            silent(tree, "status-404");
            tree.probe(METRICS.0, "status-404");
        }),
        fails("the agent's second server doesn't listen", EVERYWHERE, "XD-ECS-054", |tree| {
            tree.capture("agent/endpoint.txt", "refused");
            silent(tree, "refused");
            tree.probe(METRICS.0, "refused");
        }),
    ]
}

fn of_the_configuration() -> Vec<Mutation> {
    const ROLE: &str = "ECS_ENABLE_TASK_IAM_ROLE";
    const HOST: &str = "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST";
    const ENI: &str = "ECS_ENABLE_TASK_ENI";
    vec![
        fails("the flag is off", WITH_FILE, "XD-ECS-010", |tree| flag(tree, ROLE, "false")),
        fails("the flag is 0", WITH_FILE, "XD-ECS-010", |tree| flag(tree, ROLE, "0")),
        fails("the flag isn't set", BY_HAND, "XD-ECS-010", |tree| {
            tree.edit(CONFIG, "ECS_ENABLE_TASK_IAM_ROLE=true\n", "");
            tree.agent_got(ROLE, None);
        }),
        fails("the flag is commented out", BY_HAND, "XD-ECS-010", |tree| {
            tree.edit(CONFIG, "ECS_ENABLE_TASK_IAM_ROLE=true", "#ECS_ENABLE_TASK_IAM_ROLE=true");
            tree.agent_got(ROLE, None);
        }),
        fails("the flag goes off at the next start", WITH_FILE, "XD-ECS-010", |tree| {
            flag(tree, ROLE, "false");
            tree.agent_got(ROLE, Some("true"));
            tree.touch_later(CONFIG);
        }),
        fails("a later line takes the flag back", BY_HAND, "XD-ECS-010", |tree| {
            tree.append(CONFIG, "ECS_ENABLE_TASK_IAM_ROLE=false\n");
            tree.agent_got(ROLE, Some("false"));
        }),
        fails("host mode's flag is off", WITH_FILE, "XD-ECS-011", |tree| flag(tree, HOST, "False")),
        fails("host mode's flag isn't set", BY_HAND, "XD-ECS-011", |tree| {
            tree.edit(CONFIG, "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true\n", "");
            tree.agent_got(HOST, None);
        }),
        fails("awsvpc's flag is off", WITH_FILE, "XD-ECS-012", |tree| flag(tree, ENI, "false")),
        fails("the flag is quoted", WITH_FILE, "XD-ECS-013", |tree| flag(tree, ROLE, "\"true\"")),
        fails("the flag has a comment behind it", WITH_FILE, "XD-ECS-013", |tree| flag(tree, ROLE, "true # for the tasks")),
        fails("the flag is `yes`", WITH_FILE, "XD-ECS-013", |tree| flag(tree, HOST, "yes")),
        fails("the flag is `on`, from the next start on", WITH_FILE, "XD-ECS-013", |tree| {
            flag(tree, ROLE, "on");
            tree.agent_got(ROLE, Some("true"));
        }),
        fails("`export` stands before a name, and Docker refuses the file", BY_HAND, "XD-ECS-013", |tree| {
            tree.edit(CONFIG, "ECS_ENABLE_TASK_IAM_ROLE=true", "export ECS_ENABLE_TASK_IAM_ROLE=true");
        }),
        fails("two blanks stand behind `export`, and Docker refuses the file", BY_HAND, "XD-ECS-013", |tree| {
            tree.edit(CONFIG, "ECS_ENABLE_TASK_IAM_ROLE=true", "export  ECS_ENABLE_TASK_IAM_ROLE=true");
        }),
        fails("a tab stands behind `export`, and Docker refuses the file", BY_HAND, "XD-ECS-013", |tree| {
            tree.edit(CONFIG, "ECS_ENABLE_TASK_IAM_ROLE=true", "export\tECS_ENABLE_TASK_IAM_ROLE=true");
        }),
        fails("the flag has `export` before it", ECS_INIT, "XD-ECS-013", |tree| tree.append(CONFIG, "export ECS_ENABLE_TASK_IAM_ROLE=true\n")),
        fails("two blanks stand behind `export`", ECS_INIT, "XD-ECS-013", |tree| {
            tree.append(CONFIG, "export  ECS_ENABLE_TASK_IAM_ROLE=true\n");
        }),
        fails("a tab stands behind `export`", ECS_INIT, "XD-ECS-013", |tree| {
            tree.append(CONFIG, "export\tECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true\n");
        }),
        fails("`declare -x` stands before a name", ECS_INIT, "XD-ECS-013", |tree| {
            tree.append(CONFIG, "declare  -x ECS_ENABLE_TASK_ENI=true\n");
        }),
        fails("a tab stands before `=`", ECS_INIT, "XD-ECS-013", |tree| tree.append(CONFIG, "ECS_ENABLE_TASK_IAM_ROLE\t=true\n")),
        fails("two blanks stand before `=`, in the file that is read first", ECS_INIT, "XD-ECS-013", |tree| {
            tree.append("var/lib/ecs/ecs.config", "ECS_ENABLE_TASK_IAM_ROLE  =true\n");
        }),
        fails("a blank stands before `=`, and Docker refuses the file", BY_HAND, "XD-ECS-013", |tree| {
            tree.edit(CONFIG, "ECS_CLUSTER=web", "ECS_CLUSTER =web");
        }),
        warns("another switch is quoted", ECS_INIT, "XD-ECS-013", |tree| tree.append(CONFIG, "ECS_AWSVPC_BLOCK_IMDS=\"true\"\n")),
        warns("a name has `export` before it", ECS_INIT, "XD-ECS-013", |tree| tree.append(CONFIG, "export ECS_CLUSTER=web\n")),
        fails("the file was mended, and the agent not started again", WITH_FILE, "XD-ECS-014", |tree| {
            if !tree.kind.by_hand() {
                tree.append(CONFIG, "ECS_ENABLE_TASK_IAM_ROLE=true\n");
            }
            tree.agent_got(ROLE, Some("false"));
            tree.touch_later(CONFIG);
        }),
        warns("the limit of questions is no pair of numbers", WITH_FILE, "XD-ECS-078", |tree| {
            tree.append(CONFIG, "ECS_TASK_METADATA_RPS_LIMIT=40\n")
        }),
    ]
}

fn of_proxies() -> Vec<Mutation> {
    fn agents(tree: &Tree, no_proxy: Option<&str>) {
        let login = format!("http://user:{}@proxy:3128", super::tree::CANARY);
        tree.append(CONFIG, &format!("HTTP_PROXY={login}\n"));
        tree.agent_got("HTTP_PROXY", Some(&login));
        if let Some(list) = no_proxy {
            tree.append(CONFIG, &format!("NO_PROXY={list}\n"));
            tree.agent_got("NO_PROXY", Some(list));
        }
    }
    vec![
        fails("the agent's NO_PROXY lacks the instance", WITH_FILE, "XD-ECS-030", |tree| {
            agents(tree, Some("169.254.170.2,/var/run/docker.sock"))
        }),
        fails("the agent's NO_PROXY lacks the credentials", WITH_FILE, "XD-ECS-030", |tree| {
            agents(tree, Some("169.254.169.254,/var/run/docker.sock"))
        }),
        warns("the agent has a proxy and no NO_PROXY", WITH_FILE, "XD-ECS-030", |tree| agents(tree, None)),
        warns("the agent's NO_PROXY lacks Docker's socket", WITH_FILE, "XD-ECS-030", |tree| agents(tree, Some("169.254.0.0/16"))),
        fails("ecs-init's drop-in has no NO_PROXY", BY_SYSTEMD, "XD-ECS-031", |tree| {
            let unit = if tree.kind == Kind::Suse { "amazon-ecs" } else { "ecs" };
            tree.write(
                &format!("etc/systemd/system/{unit}.service.d/http-proxy.conf"),
                "[Service]\nEnvironment=\"HTTP_PROXY=http://proxy:3128\"\n",
            );
        }),
        fails("ecs-init's override lacks an address", &[Kind::AmazonLinux1], "XD-ECS-031", |tree| {
            tree.write("etc/init/ecs.override", "env HTTP_PROXY=http://proxy:3128\nenv NO_PROXY=169.254.169.254\n");
        }),
        fails("Bottlerocket's proxy lacks an address", &[Kind::Bottlerocket], "XD-ECS-031", |tree| {
            tree.write("etc/network/proxy.env", "HTTP_PROXY=http://proxy:3128\nNO_PROXY=localhost\n");
        }),
        warns("Docker's drop-in lacks the instance", BY_SYSTEMD, "XD-ECS-032", |tree| {
            tree.write(
                "etc/systemd/system/docker.service.d/http-proxy.conf",
                "[Service]\nEnvironment=HTTP_PROXY=http://proxy:3128 NO_PROXY=localhost\n",
            );
        }),
        warns("Docker's sysconfig has no NO_PROXY", &[Kind::AmazonLinux1], "XD-ECS-032", |tree| {
            tree.write("etc/sysconfig/docker", "export HTTP_PROXY=http://proxy:3128\n");
        }),
        warns("a container has a proxy without the credentials", EVERYWHERE, "XD-ECS-033", |tree| {
            tree.variables(WEB, &["http_proxy=http://proxy:3128", "no_proxy=localhost"]);
        }),
    ]
}

fn of_the_rules() -> Vec<Mutation> {
    vec![
        fails("the rule of PREROUTING is gone", EVERYWHERE, "XD-ECS-050", |tree| {
            tree.rules(PREROUTING, "");
            silent(tree, "timed-out");
        })
        .then(API, Identity::NoCredentials),
        fails("the rule leads to 51678", EVERYWHERE, "XD-ECS-050", |tree| {
            tree.rules("127.0.0.1:51679", "127.0.0.1:51678");
            silent(tree, "introspection");
        }),
        fails("the rule is for another address", EVERYWHERE, "XD-ECS-050", |tree| {
            tree.rules(PREROUTING, &PREROUTING.replace("170.2/", "170.3/"));
            silent(tree, "timed-out");
        }),
        fails("the rule is for eth0 only", EVERYWHERE, "XD-ECS-050", |tree| {
            tree.rules(PREROUTING, &PREROUTING.replace("PREROUTING ", "PREROUTING -i eth0 "));
            silent(tree, "timed-out");
        }),
        fails("a transparent proxy's rule stands before it", EVERYWHERE, "XD-ECS-050", |tree| {
            tree.rules(PREROUTING, &format!("-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128\n{PREROUTING}"));
            silent(tree, "status-403");
        }),
        fails("a rule lets it go before it", EVERYWHERE, "XD-ECS-050", |tree| {
            tree.rules(PREROUTING, &format!("-A PREROUTING -d 169.254.0.0/16 -j RETURN\n{PREROUTING}"));
            silent(tree, "timed-out");
        }),
        fails("the rule of OUTPUT is gone", EVERYWHERE, "XD-ECS-051", |tree| {
            tree.rules(OUTPUT, "");
            tree.probe(METRICS.0, "timed-out");
        })
        .then(METRICS, Identity::NoCredentials),
        fails("the rule of OUTPUT leads elsewhere", EVERYWHERE, "XD-ECS-051", |tree| {
            tree.rules("--to-ports 51679", "--to-ports 51680");
            tree.probe(METRICS.0, "refused");
        }),
        fails("route_localnet is 0", EVERYWHERE, "XD-ECS-052", |tree| {
            tree.write("proc/sys/net/ipv4/conf/all/route_localnet", "0\n");
            silent(tree, "timed-out");
        })
        .then(WEB, Identity::NoCredentials),
        fails("route_localnet is 1 for interfaces to come", EVERYWHERE, "XD-ECS-052", |tree| {
            tree.write("proc/sys/net/ipv4/conf/all/route_localnet", "0\n");
            tree.write("proc/sys/net/ipv4/conf/default/route_localnet", "1\n");
            silent(tree, "timed-out");
        }),
        fails("route_localnet is 1 for docker0, and not for ecs-bridge", EVERYWHERE, "XD-ECS-052", |tree| {
            tree.write("proc/sys/net/ipv4/conf/all/route_localnet", "0\n");
            tree.write("proc/sys/net/ipv4/conf/docker0/route_localnet", "1\n");
            tree.probe(API.0, "timed-out");
        })
        .then(WEB, Identity::TaskRole),
        fails("the filter's policy is DROP", EVERYWHERE, "XD-ECS-053", |tree| {
            tree.rules(":INPUT ACCEPT [0:0]\n:FORWARD", ":INPUT DROP [0:0]\n:FORWARD");
            tree.rules(GUARD, &format!("{GUARD}-A INPUT -i lo -j ACCEPT\n"));
            silent(tree, "timed-out");
        })
        .then(WEB, Identity::NoCredentials),
        fails("the filter's policy is DROP, for the host itself as well", EVERYWHERE, "XD-ECS-053", |tree| {
            tree.rules(":INPUT ACCEPT [0:0]\n:FORWARD", ":INPUT DROP [0:0]\n:FORWARD");
            tree.capture("agent/endpoint.txt", "timed-out");
            silent(tree, "timed-out");
            tree.probe(METRICS.0, "timed-out");
        })
        .then(METRICS, Identity::NoCredentials),
        fails("a rule drops what comes in by docker0", EVERYWHERE, "XD-ECS-053", |tree| {
            tree.rules(GUARD, &format!("{GUARD}-A INPUT -i docker0 -j DROP\n"));
            tree.probe(WEB.0, "timed-out");
        }),
        fails("a firewall's chain rejects what it doesn't know", EVERYWHERE, "XD-ECS-053", |tree| {
            let chain = "-A INPUT -j ufw-input\n-A ufw-input -i lo -j ACCEPT\n-A ufw-input -p tcp -m tcp --dport 22 -j ACCEPT\n-A ufw-input -j REJECT\n";
            tree.rules(GUARD, &format!("{GUARD}:ufw-input - [0:0]\n{chain}"));
            silent(tree, "refused");
        }),
        fails("the filter of 127/8 is the old one", EVERYWHERE, "XD-ECS-053", |tree| {
            tree.rules("RELATED,ESTABLISHED,DNAT", "RELATED,ESTABLISHED");
            silent(tree, "timed-out");
        }),
        warns("nothing guards the loopback", EVERYWHERE, "XD-ECS-057", |tree| tree.rules(GUARD, "")),
        fails("an awsvpc task lacks its route", EVERYWHERE, "XD-ECS-058", |tree| {
            tree.edit(&format!("proc/{}/net/route", API.1), "ecs-eth0\t02AAFEA9\t01ACFEA9\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n", "");
            tree.probe(API.0, "timed-out");
        })
        .then(API, Identity::NoCredentials),
        fails("a container has no route at all", EVERYWHERE, "XD-ECS-058", |tree| {
            tree.write(&format!("proc/{}/net/route", WEB.1), "Iface\tDestination\n");
            tree.probe(WEB.0, "unreachable");
        }),
        fails("something that nobody can see drops it", EVERYWHERE, "XD-ECS-080", |tree| tree.probe(WEB.0, "timed-out")),
        warns("the agent is asked too often", EVERYWHERE, "XD-ECS-080", |tree| tree.probe(WEB.0, "throttled")),
    ]
}

fn of_what_is_saved() -> Vec<Mutation> {
    fn saved(tree: &Tree) -> &'static str {
        if tree.kind == Kind::DebianByHand { "etc/iptables/rules.v4" } else { "etc/sysconfig/iptables" }
    }
    vec![
        fails("no rules are saved", BY_HAND, "XD-ECS-055", |tree| tree.remove(saved(tree))),
        fails("the saved rules lack the one of PREROUTING", BY_HAND, "XD-ECS-055", |tree| tree.edit(saved(tree), PREROUTING, "")),
        fails("the saved rules lack the one of OUTPUT", BY_HAND, "XD-ECS-055", |tree| tree.edit(saved(tree), OUTPUT, "")),
        fails("nothing brings the saved rules back", BY_HAND, "XD-ECS-055", |tree| {
            let unit = if tree.kind == Kind::DebianByHand {
                "multi-user.target.wants/netfilter-persistent"
            } else {
                "basic.target.wants/iptables"
            };
            tree.remove(&format!("etc/systemd/system/{unit}.service"));
        }),
        fails("route_localnet isn't saved", BY_HAND, "XD-ECS-055", |tree| tree.remove("etc/sysctl.d/99-ecs.conf")),
        fails("a later file takes route_localnet back", BY_HAND, "XD-ECS-055", |tree| {
            tree.write("etc/sysctl.conf", "net/ipv4/conf/all/route_localnet=0\n");
        }),
        warns("the agent's rules are saved beside ecs-init's own", ECS_INIT, "XD-ECS-056", |tree| {
            tree.write("etc/sysconfig/iptables", &format!("{}{}", super::tree::NAT, super::tree::FILTER));
            tree.write("etc/systemd/system/basic.target.wants/iptables.service", "");
        }),
    ]
}

fn of_containers() -> Vec<Mutation> {
    vec![
        fails("the task has no role, and reaches the instance's", EVERYWHERE, "XD-ECS-070", |tree| {
            tree.without_variable(METRICS, "AWS_CONTAINER");
        })
        .then(METRICS, Identity::InstanceRole),
        fails("the task has no role, and reaches none", EVERYWHERE, "XD-ECS-070", |tree| tree.without_variable(WEB, "AWS_CONTAINER"))
            .then(WEB, Identity::NoCredentials),
        fails("keys stand in the environment", EVERYWHERE, "XD-ECS-073", |tree| {
            tree.variables(WEB, &["AWS_ACCESS_KEY_ID=AKIACANARY", "AWS_SECRET_ACCESS_KEY=canary-secret"]);
        })
        .then(WEB, Identity::OtherCredentials),
        fails("a profile has keys", EVERYWHERE, "XD-ECS-073", |tree| {
            tree.write(
                &format!("proc/{}/root/root/.aws/credentials", WEB.1),
                "[default]\naws_access_key_id = AKIACANARY\naws_secret_access_key = canary-secret\n",
            );
        })
        .then(WEB, Identity::OtherCredentials),
        fails("AWS_PROFILE names a profile with a role", EVERYWHERE, "XD-ECS-073", |tree| {
            tree.write(&format!("proc/{}/root/home/app/.aws/config", API.1), "[profile ci]\nrole_arn = arn:aws:iam::1:role/x\n");
            tree.variables(API, &["AWS_PROFILE=ci", "HOME=/home/app"]);
        })
        .then(API, Identity::OtherCredentials),
        fails("a web identity stands before it", EVERYWHERE, "XD-ECS-073", |tree| {
            tree.variables(WEB, &["AWS_WEB_IDENTITY_TOKEN_FILE=/token", "AWS_ROLE_ARN=arn:aws:iam::1:role/x"]);
        }),
        warns("a profile that nobody asks for has keys", EVERYWHERE, "XD-ECS-073", |tree| {
            tree.write(&format!("proc/{}/root/root/.aws/credentials", WEB.1), "[old]\naws_access_key_id = AKIACANARY\n");
        })
        .then(WEB, Identity::TaskRole),
        warns("both variables are set", EVERYWHERE, "XD-ECS-074", |tree| {
            tree.variables(WEB, &["AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials"]);
        }),
        fails("the network mode is none", EVERYWHERE, "XD-ECS-075", |tree| {
            tree.container(WEB.0, |document| {
                document["HostConfig"]["NetworkMode"] = json!("none");
                document["NetworkSettings"]["Networks"] = json!({"none": {}});
            });
            tree.probe(WEB.0, "unreachable");
        })
        .then(WEB, Identity::NoCredentials),
        warns("a bridge task reaches the instance's role", EVERYWHERE, "XD-ECS-076", |tree| tree.imds(WEB.0, true))
            .then(WEB, Identity::TaskRole),
        warns("nobody ever asked for the role", EVERYWHERE, "XD-ECS-077", |tree| {
            tree.edit("var/log/ecs/audit.log", &super::tree::task("web"), &super::tree::task("other"));
        }),
        warns("the agent refused many questions", EVERYWHERE, "XD-ECS-078", |tree| {
            let refused = "2026-09-21T09:00:00Z 429 172.17.0.1:40312 \"/v4/x\" \"curl\" - \n";
            tree.append("var/log/ecs/audit.log", &refused.repeat(3));
        }),
        warns("the agent's log tells of unknown credentials", EVERYWHERE, "XD-ECS-079", |tree| {
            tree.append(
                "var/log/ecs/ecs-agent.log",
                "level=error msg=\"Error processing credential request: CredentialsV2Request: Credentials not found\"\n",
            );
        }),
        fails("a job of cron lacks the variable", EVERYWHERE, "XD-ECS-060", |tree| {
            tree.process(WEB.1, WEB.1 + 10_000, WEB.1, "cron", &[RELATIVE]);
            tree.process(WEB.1, WEB.1 + 10_001, WEB.1 + 10_000, "python3", &["PATH=/bin", "DB_PASSWORD=canary-secret"]);
        })
        .then(WEB, Identity::NoCredentials),
        fails("a wrapper clears the environment", EVERYWHERE, "XD-ECS-060", |tree| {
            tree.write(&format!("proc/{}/environ", METRICS.1), "PATH=/bin\0");
        })
        .then(METRICS, Identity::InstanceRole),
        fails("php-fpm clears the environment", EVERYWHERE, "XD-ECS-061", |tree| {
            tree.process(WEB.1, WEB.1 + 10_000, WEB.1, "php-fpm: pool www", &[]);
            tree.write(&format!("proc/{}/root/usr/local/etc/php-fpm.d/www.conf", WEB.1), "[www]\nuser = www-data\n");
        })
        .then(WEB, Identity::NoCredentials),
        fails("botocore is older than task roles", EVERYWHERE, "XD-ECS-040", |tree| {
            sdk(tree, METRICS, "usr/lib/python2.7/dist-packages/botocore-1.4.36.dist-info/METADATA", "Name: botocore\nVersion: 1.4.36\n");
        })
        .then(METRICS, Identity::InstanceRole),
        warns("JavaScript's SDK v2 would fall back, and can", EVERYWHERE, "XD-ECS-041", |tree| {
            sdk(tree, METRICS, "app/node_modules/aws-sdk/package.json", "{\"name\": \"aws-sdk\", \"version\": \"2.1693.0\"}");
        })
        .then(METRICS, Identity::TaskRole),
    ]
}

fn of_roles() -> Vec<Mutation> {
    fn trust(tree: &Tree, change: fn(&mut serde_json::Value)) {
        tree.aws(|aws| change(&mut aws["roles"][format!("arn:aws:iam::{ACCOUNT}:role/web-role")]["trust"]["Statement"][0]));
    }
    vec![
        fails("the role trusts EC2", EVERYWHERE, "XD-ECS-020", |tree| {
            trust(tree, |statement| statement["Principal"] = json!({"Service": "ec2.amazonaws.com"}))
        }),
        fails("the role trusts ECS, and not its tasks", EVERYWHERE, "XD-ECS-020", |tree| {
            trust(tree, |statement| statement["Principal"] = json!({"Service": "ecs.amazonaws.com"}))
        }),
        fails("the role's trust is for another action", EVERYWHERE, "XD-ECS-020", |tree| {
            trust(tree, |statement| statement["Action"] = json!("sts:TagSession"))
        }),
        fails("the role's trust asks for an external id", EVERYWHERE, "XD-ECS-020", |tree| {
            trust(tree, |statement| statement["Condition"] = json!({"StringEquals": {"sts:ExternalId": "x"}}));
        }),
        fails("the role's trust is for another account's tasks", EVERYWHERE, "XD-ECS-020", |tree| {
            trust(tree, |statement| statement["Condition"] = json!({"StringEquals": {"aws:SourceAccount": "999999999999"}}));
        }),
        fails("the role's trust is for another region's tasks", EVERYWHERE, "XD-ECS-020", |tree| {
            trust(tree, |statement| {
                statement["Condition"] = json!({"ArnLike": {"aws:SourceArn": format!("arn:aws:ecs:us-east-1:{ACCOUNT}:*")}})
            });
        }),
        fails("everybody may assume the role", EVERYWHERE, "XD-ECS-021", |tree| {
            tree.aws(|aws| {
                let statements = &mut aws["roles"][format!("arn:aws:iam::{ACCOUNT}:role/web-role")]["trust"]["Statement"];
                statements.as_array_mut().unwrap().push(json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}));
            });
        }),
        fails("a Deny takes the trust back", EVERYWHERE, "XD-ECS-020", |tree| {
            tree.aws(|aws| {
                let statements = &mut aws["roles"][format!("arn:aws:iam::{ACCOUNT}:role/web-role")]["trust"]["Statement"];
                statements.as_array_mut().unwrap().push(json!({"Effect": "Deny", "Principal": "*", "Action": "sts:*"}));
            });
        }),
        fails("ECS doesn't know that the instance takes roles", EVERYWHERE, "XD-ECS-015", |tree| {
            tree.aws(|aws| aws["attributes"] = json!(["x"]))
        }),
        fails("the role isn't there", EVERYWHERE, "XD-ECS-022", |tree| {
            tree.aws(|aws| aws["roles"][format!("arn:aws:iam::{ACCOUNT}:role/web-role")] = json!(null));
        }),
        fails("the role lacks a permission", EVERYWHERE, "XD-ECS-023", |tree| {
            tree.aws(|aws| aws["needs"] = json!([{"action": "s3:PutObject", "resource": "arn:aws:s3:::assets/index.html"}]));
        }),
        fails("a boundary takes the permission back", EVERYWHERE, "XD-ECS-023", |tree| {
            let bounded = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}});
            tree.aws(|aws| aws["roles"][format!("arn:aws:iam::{ACCOUNT}:role/api-role")]["boundary"] = bounded);
        }),
        fails("a Deny takes the permission back", EVERYWHERE, "XD-ECS-023", |tree| {
            let deny = json!({"Version": "2012-10-17", "Statement": {"Sid": "No", "Effect": "Deny", "Action": "*", "Resource": "*"}});
            tree.aws(|aws| aws["roles"][format!("arn:aws:iam::{ACCOUNT}:role/api-role")]["policies"].as_array_mut().unwrap().push(deny));
        }),
        fails("the definition names an execution role alone", EVERYWHERE, "XD-ECS-071", |tree| {
            tree.without_variable(METRICS, "AWS_CONTAINER");
            tree.aws(|aws| aws["tasks"][super::tree::task("metrics")]["taskRole"] = json!(null));
        })
        .then(METRICS, Identity::InstanceRole),
        warns("one role is both", EVERYWHERE, "XD-ECS-071", |tree| {
            tree.aws(|aws| {
                aws["tasks"][super::tree::task("web")]["executionRole"] = json!(format!("arn:aws:iam::{ACCOUNT}:role/web-role"))
            });
        }),
    ]
}

/// A link that leads to itself is there, and root can't read it either.
fn unreadable(tree: &Tree, path: &str) {
    let path = tree.path().join(path);
    let _ = std::fs::remove_file(&path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(path.file_name().unwrap(), &path).unwrap();
}

fn of_what_cannot_be_read() -> Vec<Mutation> {
    vec![
        unclear("nothing says whether the agent has registered", EVERYWHERE, "XD-ECS-003", |tree| {
            tree.remove("xdeploy-capture/agent/metadata.json")
        }),
        unclear("the unit's state isn't known", BY_SYSTEMD, "XD-ECS-002", |tree| tree.remove("xdeploy-capture/systemctl-ecs.txt")),
        unclear("the agent's version is none", EVERYWHERE, "XD-ECS-005", |tree| {
            tree.edit("xdeploy-capture/agent/metadata.json", "v1.105.1", "vdevel")
        }),
        unclear("the agent's port wasn't asked", EVERYWHERE, "XD-ECS-054", |tree| tree.remove("xdeploy-capture/agent/endpoint.txt")),
        unclear("the kernel's settings aren't there", EVERYWHERE, "XD-ECS-052", |tree| tree.remove("proc/sys")),
        unclear("a rule hangs on a set of addresses", EVERYWHERE, "XD-ECS-057", |tree| {
            tree.rules(GUARD, &GUARD.replace("-j DROP", "-m set --match-set inside src -j DROP"));
        }),
        unclear("no task was asked from inside", EVERYWHERE, "XD-ECS-080", |tree| {
            for (name, _) in [WEB, METRICS, API] {
                tree.probe(name, "not asked");
            }
        })
        .then(WEB, Identity::CannotTell),
        unclear("a Deny hangs on a network that isn't known", EVERYWHERE, "XD-ECS-023", |tree| {
            let elsewhere = json!({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}});
            let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": elsewhere});
            let document = json!({"Version": "2012-10-17", "Statement": deny});
            tree.aws(|aws| aws["roles"][format!("arn:aws:iam::{ACCOUNT}:role/api-role")]["policies"].as_array_mut().unwrap().push(document));
        }),
        unclear("the audit log isn't there", EVERYWHERE, "XD-ECS-077", |tree| tree.remove("var/log/ecs/audit.log")),
        unclear("the audit log begins after the task", EVERYWHERE, "XD-ECS-077", |tree| {
            tree.write("var/log/ecs/audit.log", "2026-09-21T09:00:00Z 400 1.2.3.4:5 \"/v2/credentials\" \"x\" - \n");
        }),
        unclear("php-fpm's pools aren't found", EVERYWHERE, "XD-ECS-061", |tree| {
            tree.process(WEB.1, WEB.1 + 10_000, WEB.1, "php-fpm: master", &[])
        }),
        unclear("a container's processes aren't seen", EVERYWHERE, "XD-ECS-060", |tree| tree.remove(&format!("proc/{}/cgroup", WEB.1)))
            .then(WEB, Identity::CannotTell),
        unclear("a container's routes can't be read", EVERYWHERE, "XD-ECS-058", |tree| tree.remove(&format!("proc/{}/net", WEB.1))),
        unclear("AWS wasn't asked", EVERYWHERE, "XD-ECS-020", |tree| tree.remove("xdeploy-capture/aws.json")),
        unclear("nobody can be asked whether the agent runs", EVERYWHERE, "XD-ECS-001", |tree| {
            tree.remove("xdeploy-capture/agent");
            tree.remove("xdeploy-capture/docker");
            if tree.kind == Kind::Bottlerocket {
                tree.remove("proc/900");
            }
        }),
        unclear("the configuration can't be read", WITH_FILE, "XD-ECS-010", |tree| unreadable(tree, CONFIG)),
        unclear("the configuration can't be read, for what else it says", WITH_FILE, "XD-ECS-030", |tree| unreadable(tree, CONFIG)),
        unclear("ecs-init's drop-in can't be read", BY_SYSTEMD, "XD-ECS-031", |tree| {
            unreadable(tree, "etc/systemd/system/ecs.service.d/p.conf")
        }),
        unclear("Docker's settings can't be read", EVERYWHERE, "XD-ECS-032", |tree| unreadable(tree, "etc/sysconfig/docker")),
        unclear("the saved rules can't be read", BY_HAND, "XD-ECS-055", |tree| unreadable(tree, "etc/iptables/rules.v4")),
        unclear("saved rules can't be read", ECS_INIT, "XD-ECS-056", |tree| unreadable(tree, "etc/sysconfig/iptables")),
        unclear("the agent's log can't be read", EVERYWHERE, "XD-ECS-079", |tree| unreadable(tree, "var/log/ecs/ecs-agent.log")),
        unclear("the rules can't be read, and nothing was asked", EVERYWHERE, "XD-ECS-050", |tree| {
            tree.remove("xdeploy-capture/iptables-nft-save.txt");
            tree.remove("xdeploy-capture/iptables-legacy-save.txt");
            tree.remove("xdeploy-capture/probes.json");
        }),
        unclear("Docker doesn't answer", EVERYWHERE, "XD-ECS-070", |tree| tree.remove("xdeploy-capture/docker")),
        unclear("no SDK is found", EVERYWHERE, "XD-ECS-040", |tree| tree.remove(&format!("proc/{}/root/usr", WEB.1))),
    ]
}

/// What else may be heard with a mutation: it says the same of another subject, or can't be told for the same reason.
fn beside(mutation: &Mutation, finding: &Finding) -> bool {
    finding.check.id == mutation.by || mutation.outcome == Outcome::CannotTell && finding.outcome == Outcome::CannotTell
}

/// What came of one half of the mistakes.
#[derive(Default)]
struct Half {
    trees: usize,
    wrong: Vec<String>,
    found: BTreeMap<&'static str, BTreeSet<Outcome>>,
}

/// Tries every second mistake on every host that it is for.
fn half(start: usize) -> Half {
    let mut half = Half::default();
    for mutation in mutations().into_iter().skip(start).step_by(2) {
        for kind in depth::sampled(mutation.name, mutation.on.to_vec(), 1) {
            half.trees += 1;
            let tree = Tree::healthy(kind);
            (mutation.make)(&tree);
            let (_, findings, verdicts) = tree.check();
            let told = |finding: &&Finding| {
                matches!(finding.outcome, Outcome::Fail | Outcome::Warn | Outcome::CannotTell) && finding.follows_from.is_empty()
            };
            let loud: Vec<&Finding> = findings.iter().filter(told).collect();
            let meant = loud.iter().any(|finding| finding.check.id == mutation.by && finding.outcome == mutation.outcome);
            let alone = loud.iter().all(|finding| beside(&mutation, finding));
            let first = findings.first().map(|finding| finding.check.id);
            let leads = mutation.outcome != Outcome::Fail || first == Some(mutation.by);
            let uses = |name: &str| verdicts.iter().find(|verdict: &&Verdict| verdict.container == name).map(|verdict| verdict.identity);
            let as_expected = mutation.then.is_none_or(|(name, identity)| uses(name) == Some(identity));
            if !meant || !alone || !leads || !as_expected {
                let Mutation { name, by, outcome, .. } = mutation;
                half.wrong.push(format!("{kind:?}, {name}: wanted {by} {outcome}, found {loud:#?}, {verdicts:#?}"));
            }
            half.note(&findings);
        }
    }
    half
}

impl Half {
    fn note(&mut self, findings: &[Finding]) {
        for finding in findings {
            self.found.entry(finding.check.id).or_default().insert(finding.outcome);
        }
    }
}

#[test]
fn each_mistake_is_found_by_the_check_that_is_meant_for_it() {
    let mut distinct = BTreeSet::new();
    for mutation in mutations() {
        assert!(distinct.insert(mutation.name), "{} is there twice", mutation.name);
    }
    let other = std::thread::spawn(|| half(1));
    let mut all = half(0);
    let other = other.join().unwrap();
    all.trees += other.trees;
    all.wrong.extend(other.wrong);
    for (id, outcomes) in other.found {
        all.found.entry(id).or_default().extend(outcomes);
    }
    for (_, kinds, _, make) in healthy_too() {
        let tree = Tree::healthy(kinds[0]);
        make(&tree);
        all.note(&tree.check().1);
    }
    let Half { trees, wrong, found } = all;
    println!("{} mistakes on {trees} hosts, {} not found as meant", distinct.len(), wrong.len());
    assert!(wrong.is_empty(), "{} of {trees}:\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(distinct.len() >= 60, "{}", distinct.len());
    if depth::full() {
        every_outcome_was_seen(&found);
    }
}

/// Each check was seen to pass, to object, and to be unable to tell.
fn every_outcome_was_seen(found: &BTreeMap<&str, BTreeSet<Outcome>>) {
    let mut lacking = Vec::new();
    for (check, _) in checks::every() {
        let outcomes = found.get(check.id).cloned().unwrap_or_default();
        let objects = outcomes.contains(&Outcome::Fail) || outcomes.contains(&Outcome::Warn);
        if !outcomes.contains(&Outcome::Pass) || !objects || !outcomes.contains(&Outcome::CannotTell) {
            lacking.push(format!("{}: {outcomes:?}", check.id));
        }
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
}
