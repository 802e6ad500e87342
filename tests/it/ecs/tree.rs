//! Healthy container hosts of each kind, as folders.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;
use xdeploy::ecs::checks;
use xdeploy::ecs::facts::HostFacts;
use xdeploy::ecs::host::source::Source;
use xdeploy::ecs::host::{Wanted, gather};
use xdeploy::ecs::verdict::{self, Verdict};
use xdeploy::model::Finding;

pub const ACCOUNT: &str = "111122223333";
/// When everything here happens, in seconds since 1970.
pub const NOW: i64 = 1_790_000_000;
/// When the agent and the tasks were started.
pub const STARTED: &str = "2026-09-21T08:00:00Z";
pub const STARTED_AT: u64 = 1_789_977_600;
pub const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/canary-0123-id";
/// A value that no output may show.
pub const CANARY: &str = "canary-secret";

/// A kind of host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    AmazonLinux2023,
    AmazonLinux2,
    AmazonLinux1,
    Ubuntu,
    Suse,
    Anywhere,
    DebianByHand,
    AmazonLinux2ByHand,
    Bottlerocket,
}

pub const KINDS: [Kind; 9] = [
    Kind::AmazonLinux2023,
    Kind::AmazonLinux2,
    Kind::AmazonLinux1,
    Kind::Ubuntu,
    Kind::Suse,
    Kind::Anywhere,
    Kind::DebianByHand,
    Kind::AmazonLinux2ByHand,
    Kind::Bottlerocket,
];

impl Kind {
    pub fn by_hand(self) -> bool {
        matches!(self, Kind::DebianByHand | Kind::AmazonLinux2ByHand)
    }

    fn os_release(self) -> &'static str {
        match self {
            Kind::AmazonLinux2023 | Kind::Anywhere => {
                "ID=\"amzn\"\nVERSION_ID=\"2023\"\nPRETTY_NAME=\"Amazon Linux 2023\"\nID_LIKE=\"fedora\"\n"
            }
            Kind::AmazonLinux2 | Kind::AmazonLinux2ByHand => {
                "ID=\"amzn\"\nVERSION_ID=\"2\"\nPRETTY_NAME=\"Amazon Linux 2\"\nID_LIKE=\"centos rhel fedora\"\n"
            }
            Kind::AmazonLinux1 => {
                "ID=\"amzn\"\nVERSION_ID=\"2018.03\"\nPRETTY_NAME=\"Amazon Linux AMI 2018.03\"\nID_LIKE=\"rhel fedora\"\n"
            }
            Kind::Ubuntu => "ID=ubuntu\nVERSION_ID=\"24.04\"\nPRETTY_NAME=\"Ubuntu 24.04 LTS\"\nID_LIKE=debian\n",
            Kind::Suse => "ID=\"sles\"\nVERSION_ID=\"15.5\"\nPRETTY_NAME=\"SUSE Linux Enterprise Server 15 SP5\"\nID_LIKE=\"suse\"\n",
            Kind::DebianByHand => "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
            Kind::Bottlerocket => "ID=bottlerocket\nVERSION_ID=1.26.0\nPRETTY_NAME=\"Bottlerocket OS 1.26.0 (aws-ecs-2)\"\n",
        }
    }
}

pub const NAT: &str = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n\
    -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n\
    -A PREROUTING -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:51679\n\
    -A OUTPUT -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 51679\n\
    -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n";
pub const FILTER: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A INPUT -i docker0 -p tcp -m tcp --dport 51678 -j ACCEPT\n-A INPUT ! -i lo -p tcp -m tcp --dport 51678 -j DROP\n\
    -A INPUT ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP\nCOMMIT\n";

/// A task's container in a tree: name, PID, network mode, the end of its addresses.
pub const WEB: (&str, u32) = ("ecs-web-3-app-aaaa", 2001);
pub const METRICS: (&str, u32) = ("ecs-metrics-1-agent-bbbb", 2002);
pub const API: (&str, u32) = ("ecs-api-7-app-cccc", 2003);
const PAUSE: (&str, u32) = ("ecs-api-7-internalecspause-dddd", 2004);

pub fn id(number: u32) -> String {
    format!("{number:064x}")
}

pub fn task(family: &str) -> String {
    let number = family.bytes().map(u32::from).sum::<u32>();
    format!("arn:aws:ecs:eu-west-1:{ACCOUNT}:task/web/{number:032x}")
}

/// A host's folder.
pub struct Tree {
    folder: TempDir,
    pub kind: Kind,
}

impl Tree {
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn append(&self, path: &str, text: &str) {
        let old = fs::read_to_string(self.at(path)).unwrap_or_default();
        self.write(path, &format!("{old}{text}"));
    }

    /// Replaces a text that must be there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let old = fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(old.contains(from), "{path} has no {from}:\n{old}");
        self.write(path, &old.replace(from, to));
    }

    pub fn remove(&self, path: &str) {
        let path = self.at(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    pub fn capture(&self, name: &str, text: &str) {
        self.write(&format!("xdeploy-capture/{name}"), text);
    }

    /// Edits rules, in the backend that this host uses.
    pub fn rules(&self, from: &str, to: &str) {
        self.edit(&format!("xdeploy-capture/{}", self.rules_file()), from, to);
    }

    pub fn rules_file(&self) -> &'static str {
        match self.kind {
            Kind::AmazonLinux2 | Kind::AmazonLinux1 | Kind::AmazonLinux2ByHand | Kind::Bottlerocket => "iptables-legacy-save.txt",
            _ => "iptables-nft-save.txt",
        }
    }

    fn json(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let path = self.at(&format!("xdeploy-capture/{name}"));
        let mut value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(path, value.to_string()).unwrap();
    }

    /// Changes the document of one container.
    pub fn container(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.json("docker/containers.json", |documents| {
            let documents = documents.as_array_mut().unwrap();
            change(
                documents
                    .iter_mut()
                    .find(|document| document["Name"] == format!("/{name}"))
                    .unwrap_or_else(|| panic!("{name} isn't there")),
            );
        });
    }

    /// Adds variables to a container, as Docker and as its processes know them.
    pub fn variables(&self, (name, pid): (&str, u32), add: &[&str]) {
        self.container(name, |document| document["Config"]["Env"].as_array_mut().unwrap().extend(add.iter().map(|text| json!(text))));
        self.append(&format!("proc/{pid}/environ"), &add.iter().map(|text| format!("{text}\0")).collect::<String>());
    }

    /// Takes a variable from a container, from Docker's document and from its processes.
    pub fn without_variable(&self, (name, pid): (&str, u32), start: &str) {
        self.container(name, |document| {
            document["Config"]["Env"].as_array_mut().unwrap().retain(|text| !text.as_str().unwrap().starts_with(start))
        });
        let path = format!("proc/{pid}/environ");
        let kept: String =
            fs::read_to_string(self.at(&path)).unwrap().split_inclusive('\0').filter(|text| !text.starts_with(start)).collect();
        self.write(&path, &kept);
    }

    /// Adds copies of a container, each of an image of its own and with a process of its own.
    pub fn many(&self, (name, pid): (&str, u32), count: u32) {
        let mut copies = Vec::new();
        self.container(name, |document| copies.extend((0..count).map(|_| document.clone())));
        for (number, copy) in (1..).zip(&mut copies) {
            let own = pid + 1000 + number;
            copy["Id"] = json!(id(own));
            copy["Name"] = json!(format!("/{name}-{number}"));
            copy["State"]["Pid"] = json!(own);
            copy["Config"]["Image"] = json!(format!("app:{number}"));
            self.process(own, own, 1, "python3", &[RELATIVE]);
            self.write(&format!("proc/{own}/net/route"), &fs::read_to_string(self.at(&format!("proc/{pid}/net/route"))).unwrap());
            self.write(
                &format!("proc/{own}/root/usr/lib/python3/dist-packages/botocore-1.34.50.dist-info/METADATA"),
                "Name: botocore\nVersion: 1.34.50\n",
            );
        }
        self.json("docker/containers.json", |containers| containers.as_array_mut().unwrap().extend(copies));
    }

    /// Says what the agent's container got; by hand and by ecs-init alike.
    pub fn agent_got(&self, name: &str, value: Option<&str>) {
        let put = |environment: &mut Vec<Value>| {
            environment.retain(|text| !text.as_str().unwrap().starts_with(&format!("{name}=")));
            environment.extend(value.map(|value| json!(format!("{name}={value}"))));
        };
        if self.kind == Kind::Bottlerocket {
            let path = "proc/900/environ";
            let mut all: Vec<Value> = fs::read_to_string(self.at(path)).unwrap().split_terminator('\0').map(|text| json!(text)).collect();
            put(&mut all);
            self.write(path, &all.iter().map(|text| format!("{}\0", text.as_str().unwrap())).collect::<String>());
        } else {
            self.container("ecs-agent", |document| put(document["Config"]["Env"].as_array_mut().unwrap()));
        }
    }

    pub fn probe(&self, name: &str, answer: &str) {
        self.json("probes.json", |probes| probes[name]["endpoint"] = json!(answer));
    }

    pub fn imds(&self, name: &str, reached: bool) {
        self.json("probes.json", |probes| probes[name]["imds"] = json!(reached));
    }

    pub fn aws(&self, change: impl FnOnce(&mut Value)) {
        self.json("aws.json", change);
    }

    /// Writes a process of a container.
    pub fn process(&self, container: u32, pid: u32, parent: u32, command: &str, environment: &[&str]) {
        self.write(&format!("proc/{pid}/cgroup"), &format!("0::/ecstasks.slice/docker-{}.scope\n", id(container)));
        let inner = pid - container + 1;
        self.write(
            &format!("proc/{pid}/status"),
            &format!("Name:\t{command}\nState:\tS (sleeping)\nPPid:\t{parent}\nNSpid:\t{pid}\t{inner}\n"),
        );
        self.write(&format!("proc/{pid}/cmdline"), &format!("{}\0--key={CANARY}\0", command));
        self.write(&format!("proc/{pid}/environ"), &environment.iter().map(|text| format!("{text}\0")).collect::<String>());
    }

    /// Makes the file look as if it was written an hour after the agent's start.
    pub fn touch_later(&self, path: &str) {
        let file = fs::File::options().write(true).open(self.at(path)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(STARTED_AT + 3600)).unwrap();
    }

    /// Reads and judges it.
    pub fn check(&self) -> (HostFacts, Vec<Finding>, Vec<Verdict>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let wanted = Wanted { docker: None, probe: true, sdk_search: Duration::from_secs(2) };
        let facts = runtime.block_on(gather(&Source::folder(self.folder.path().to_owned()), &wanted));
        let findings = checks::judge(&facts);
        let verdicts = verdict::judge(&facts, &findings);
        (facts, findings, verdicts)
    }

    /// A healthy host with a task of each network mode.
    pub fn healthy(kind: Kind) -> Tree {
        let tree = Tree { folder: tempfile::tempdir().unwrap(), kind };
        tree.write("etc/os-release", kind.os_release());
        tree.capture("time.txt", &NOW.to_string());
        tree.agent();
        tree.network();
        tree.tasks();
        tree.logs();
        tree
    }

    fn agent(&self) {
        let kind = self.kind;
        let flags = "ECS_ENABLE_TASK_IAM_ROLE=true\nECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true\n";
        if kind.by_hand() {
            self.write("etc/ecs/ecs.config", &format!("# the agent's\nECS_CLUSTER=web\n{flags}ECS_ENABLE_TASK_ENI=true\n"));
        } else if kind != Kind::Bottlerocket {
            self.write("etc/ecs/ecs.config", &format!("ECS_CLUSTER=web\nECS_ENGINE_AUTH_DATA={CANARY}\n"));
            let path = if kind == Kind::Suse { "usr/sbin/amazon-ecs-init" } else { "usr/libexec/amazon-ecs-init" };
            self.write(path, "ELF");
        }
        if kind == Kind::Anywhere {
            self.write("var/lib/ecs/ecs.config", "AWS_DEFAULT_REGION=eu-west-1\nECS_EXTERNAL=true\n");
        }
        if self.path().join("etc/ecs/ecs.config").exists() {
            let file = fs::File::options().write(true).open(self.at("etc/ecs/ecs.config")).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(STARTED_AT - 3600)).unwrap();
        }
        if kind == Kind::AmazonLinux1 {
            self.write("etc/init/ecs.conf", "exec /usr/libexec/amazon-ecs-init start\n");
        } else {
            self.write("etc/systemd/system/multi-user.target.wants/docker.service", "");
        }
        if !kind.by_hand() && kind != Kind::AmazonLinux1 {
            let unit = if kind == Kind::Suse { "amazon-ecs" } else { "ecs" };
            self.write(&format!("usr/lib/systemd/system/{unit}.service"), "[Service]\n");
            self.capture("systemctl-ecs.txt", "ExecMainStatus=0\nActiveState=active\n");
        }
        let metadata = json!({
            "Cluster": "web",
            "ContainerInstanceArn": format!("arn:aws:ecs:eu-west-1:{ACCOUNT}:container-instance/web/00000000000000000000000000000001"),
            "Version": "Amazon ECS Agent - v1.105.1 (*deadbeef)",
        });
        self.capture("agent/metadata.json", &metadata.to_string());
        self.capture("agent/endpoint.txt", "agent\n");
        self.capture("imds.json", &json!({"tokenRequired": true, "role": "ecsInstanceRole"}).to_string());
        let mut containers = Vec::new();
        // Outside AWS there is no awsvpc.
        let eni = if kind == Kind::Anywhere { "ECS_ENABLE_TASK_ENI=false" } else { "ECS_ENABLE_TASK_ENI=true" };
        let environment = ["ECS_CLUSTER=web", "ECS_ENABLE_TASK_IAM_ROLE=true", "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true", eni];
        if kind == Kind::Bottlerocket {
            self.write("proc/900/comm", "amazon-ecs-agen\n");
            self.write("proc/900/cmdline", "/usr/bin/amazon-ecs-agent\0");
            self.write("proc/900/cgroup", "0::/system.slice/ecs.service\n");
            self.write("proc/900/environ", &environment.iter().map(|text| format!("{text}\0")).collect::<String>());
        } else {
            let mut agent = inspect("ecs-agent", 901, "amazon/amazon-ecs-agent:latest", "host", &environment);
            agent["State"]["Health"] = json!({"Status": "healthy"});
            containers.push(agent);
        }
        self.capture("docker/containers.json", &Value::Array(containers).to_string());
        self.capture("docker/version.json", &json!({"Version": "25.0.16"}).to_string());
    }

    fn network(&self) {
        let (legacy, nft) = match self.rules_file() {
            "iptables-legacy-save.txt" => (format!("{NAT}{FILTER}"), String::new()),
            _ => (String::new(), format!("{NAT}{FILTER}")),
        };
        self.capture("iptables-legacy-save.txt", &legacy);
        self.capture("iptables-nft-save.txt", &nft);
        for (name, value) in [("all", 1), ("default", 0), ("docker0", 0), ("ecs-bridge", 0), ("eth0", 0), ("lo", 0)] {
            self.write(&format!("proc/sys/net/ipv4/conf/{name}/route_localnet"), &format!("{value}\n"));
        }
        let header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        self.write("proc/net/route", &format!("{header}eth0\t00000000\t0101000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"));
        let listens = "  0: 0100007F:C9DF 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1 0 100 0 0 10 0\n";
        self.write("proc/net/tcp", &format!("  sl  local_address rem_address st tx rx tr tm retr uid timeout inode\n{listens}"));
        match self.kind {
            Kind::DebianByHand => {
                self.write("etc/iptables/rules.v4", &format!("{NAT}{FILTER}"));
                self.write("etc/systemd/system/multi-user.target.wants/netfilter-persistent.service", "");
            }
            Kind::AmazonLinux2ByHand => {
                self.write("etc/sysconfig/iptables", &format!("{NAT}{FILTER}"));
                self.write("etc/systemd/system/basic.target.wants/iptables.service", "");
            }
            _ => return,
        }
        self.write("etc/sysctl.d/99-ecs.conf", "net.ipv4.conf.all.route_localnet = 1\n");
    }

    fn tasks(&self) {
        let ours = |(name, pid): (&str, u32), family: &str, mode: &str| {
            let secret = format!("DB_PASSWORD={CANARY}");
            let mut document =
                inspect(name, pid, &format!("{family}:1"), mode, &[RELATIVE, "AWS_EXECUTION_ENV=AWS_ECS_EC2", &secret, "PATH=/bin"]);
            document["Config"]["Labels"] = labels(family, "app");
            document
        };
        let mut pause = inspect(PAUSE.0, PAUSE.1, "amazon/amazon-ecs-pause:0.1.0", "none", &[]);
        pause["Config"]["Labels"] = labels("api", "~internal~ecs~pause");
        let api_mode = format!("container:{}", id(PAUSE.1));
        let documents = [ours(WEB, "web", "bridge"), ours(METRICS, "metrics", "host"), ours(API, "api", &api_mode), pause];
        self.json("docker/containers.json", |containers| containers.as_array_mut().unwrap().extend(documents));
        let header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let bridge = "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        let awsvpc =
            "eth0\t00000000\t0101000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\necs-eth0\t02AAFEA9\t01ACFEA9\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";
        let secret = format!("DB_PASSWORD={CANARY}");
        for ((_, pid), route) in [(WEB, bridge), (METRICS, bridge), (API, awsvpc), (PAUSE, awsvpc)] {
            self.process(pid, pid, 1, if pid == PAUSE.1 { "pause" } else { "python3" }, &[RELATIVE, &secret]);
            self.write(&format!("proc/{pid}/net/route"), &format!("{header}{route}"));
            self.write(&format!("proc/{pid}/root/etc/hostname"), "x\n");
            if pid != PAUSE.1 {
                self.write(
                    &format!("proc/{pid}/root/usr/lib/python3/dist-packages/botocore-1.34.50.dist-info/METADATA"),
                    "Name: botocore\nVersion: 1.34.50\n",
                );
            }
        }
        let probes = [WEB, METRICS, API].map(|(name, _)| (name.to_owned(), json!({"endpoint": "agent", "imds": name == METRICS.0})));
        self.capture("probes.json", &Value::Object(probes.into_iter().collect()).to_string());
        let families = ["web", "metrics", "api"];
        let tasks = families.map(|family| {
            let role = |name: &str| format!("arn:aws:iam::{ACCOUNT}:role/{name}");
            (task(family), json!({"definition": format!("{family}:3"), "taskRole": role(&format!("{family}-role")), "executionRole": role("ecsTaskExecutionRole")}))
        });
        let roles =
            families.map(|family| (format!("arn:aws:iam::{ACCOUNT}:role/{family}-role"), json!({"trust": trust(), "policies": [{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::assets/*"}}]})));
        let aws = json!({
            "account": ACCOUNT,
            "region": "eu-west-1",
            "attributes": ["ecs.capability.task-eni", "com.amazonaws.ecs.capability.task-iam-role", "com.amazonaws.ecs.capability.task-iam-role-network-host"],
            "needs": [{"action": "s3:GetObject", "resource": "arn:aws:s3:::assets/index.html"}],
            "tasks": Value::Object(tasks.into_iter().collect()),
            "roles": Value::Object(roles.into_iter().collect()),
        });
        self.capture("aws.json", &aws.to_string());
    }

    fn logs(&self) {
        let line = |family: &str| {
            let instance = format!("arn:aws:ecs:eu-west-1:{ACCOUNT}:container-instance/web/1");
            format!(
                "2026-09-21T08:05:00Z 200 172.17.0.2:40312 \"/v2/credentials\" \"python-urllib3/2.8.0\" {} GetCredentials 2 web {instance}\n",
                task(family)
            )
        };
        // The log begins before the tasks do.
        let first = "2026-09-21T07:00:00Z 400 172.17.0.9:40000 \"/v2/credentials\" \"xdeploy-ecs-check\" - \n";
        self.write("var/log/ecs/audit.log", &format!("{first}{}{}{}", line("web"), line("metrics"), line("api")));
        self.write("var/log/ecs/ecs-agent.log", "level=info time=2026-09-21T08:00:00Z msg=\"Starting Amazon ECS Agent\"\n");
    }
}

/// The trust policy that AWS recommends.
pub fn trust() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "ArnLike": {"aws:SourceArn": format!("arn:aws:ecs:eu-west-1:{ACCOUNT}:*")},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        },
    }]})
}

fn labels(family: &str, container: &str) -> Value {
    json!({
        "com.amazonaws.ecs.task-arn": task(family),
        "com.amazonaws.ecs.container-name": container,
        "com.amazonaws.ecs.cluster": "web",
        "com.amazonaws.ecs.task-definition-family": family,
        "com.amazonaws.ecs.task-definition-version": "3",
        "team": CANARY,
    })
}

/// A document of `docker inspect`.
fn inspect(name: &str, pid: u32, image: &str, mode: &str, environment: &[&str]) -> Value {
    let network = match mode {
        "bridge" => json!({"bridge": {"NetworkID": id(7), "IPAddress": format!("172.17.0.{}", pid % 200)}}),
        other if other.starts_with("container:") => json!({}),
        other => json!({other: {"NetworkID": id(8), "IPAddress": ""}}),
    };
    json!({
        "Id": id(pid),
        "Name": format!("/{name}"),
        "State": {"Running": true, "Pid": pid, "StartedAt": STARTED, "ExitCode": 0},
        "Config": {"Image": image, "Env": environment, "Labels": {}},
        "HostConfig": {"NetworkMode": mode, "PidMode": "", "RestartPolicy": {"Name": "no"}},
        "NetworkSettings": {"Networks": network},
    })
}
