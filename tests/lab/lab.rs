//! One container host: its namespaces, its dockerd, its containers, its agent.

use std::env;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::docker::Docker;
use crate::probe::Got;
use crate::rows::ECS_INIT;

pub const CLUSTER: &str = "lab";
pub const INSTANCE: &str = "arn:aws:ecs:eu-central-1:111122223333:container-instance/lab/0c0ffee0c0ffee0c0ffee0c0ffee0001";
/// Of every container, in a variable that nobody needs to see.
pub const CANARY: &str = "canary-password-of-the-application";

/// Everything of a lab is below the process that this starts, and goes when that ends: it ends when the lab closes its standard input, or
/// is no more. Then only files and empty control groups are left, which it removes by the lab's own name.
const OUTSIDE: &str = r#"
unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc sh -e -c "$1" sh "$2"
for attempt in 1 2 3 4 5; do
  groups=$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$3")
  [ -z "$groups" ] && break
  find $groups -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
done
rm -rf --one-file-system "$2"
"#;

/// The first process of the host. The VPC is a namespace that owns the gateway and IMDS, forwards nothing and answers nothing else: what
/// no rule catches runs into a timeout there, as it does at AWS.
const INSIDE: &str = r#"
mount -t tmpfs run /run
mount --bind "$1/etc" /etc
mount --bind "$1/var" /var
mount -t overlay -o lowerdir="$1/usr:/usr" overlay /usr
mkdir -p /run/systemd/system
unshare --net busybox sleep 86400 &
vpc=$!
while [ "$(readlink /proc/$vpc/ns/net)" = "$(readlink /proc/1/ns/net)" ]; do busybox usleep 1000; done
ip link set lo up
ip link add eth0 type veth peer name eth0 netns $vpc
ip addr add 10.0.0.5/24 dev eth0
ip link set eth0 up
nsenter --net=/proc/$vpc/ns/net sh -e -c '
  echo 0 >/proc/sys/net/ipv4/ip_forward
  ip link set lo up
  ip addr add 169.254.169.254/32 dev lo
  ip addr add 10.0.0.1/24 dev eth0
  ip link set eth0 up'
ip route add default via 10.0.0.1
ip link add ecs-bridge type bridge
ip addr add 169.254.172.1/22 dev ecs-bridge
ip link set ecs-bridge up
echo $vpc
cat >/dev/null
"#;

/// A task of network mode awsvpc, as the agent's plugins make it (facts/ecs.md B.4): the pause container owns the namespace.
const AWSVPC: &str = r#"
ip link add veth-task type veth peer name ecs-eth0 netns $1
ip link set veth-task master ecs-bridge up
ip link add eni type veth peer name eth1 netns $2
ip link set eni netns $1 name eth0
nsenter --net=/proc/$2/ns/net sh -e -c 'ip addr add 10.0.1.1/24 dev eth1; ip link set eth1 up'
nsenter --net=/proc/$1/ns/net sh -e -c '
  ip addr add 169.254.172.2/22 dev ecs-eth0
  ip link set ecs-eth0 up
  ip addr add 10.0.1.9/24 dev eth0
  ip link set eth0 up
  ip route add default via 10.0.1.1
  ip route add 169.254.170.2/32 via 169.254.172.1 dev ecs-eth0'
"#;

/// The rules as after dockerd's start, and nothing that routes to the loopback.
const RESET: &str = r#"
iptables-restore <"$1/base.rules"
nft delete table ip by-hand 2>/dev/null || true
ip route del 169.254.170.2/32 dev lo 2>/dev/null || true
if [ "$2" = nft ] && [ -n "$(cat /proc/net/ip_tables_names)" ]; then iptables-legacy -t nat -F; fi
for interface in all default docker0 ecs-bridge eth0; do echo 0 >/proc/sys/net/ipv4/conf/$interface/route_localnet; done
"#;

/// The route of awsvpc's task to the agent.
const TASK_ROUTE: &str = "nsenter --net=/proc/$1/ns/net ip route replace 169.254.170.2/32 via 169.254.172.1 dev ecs-eth0";

/// Which of the two implementations `iptables` is on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Nft,
    Legacy,
}

impl Backend {
    pub const ALL: [Self; 2] = [Self::Nft, Self::Legacy];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Legacy => "legacy",
        }
    }
}

/// A container of an application, in a task of its own.
pub struct App {
    /// The network mode, or what else is special.
    pub name: &'static str,
    /// Its task's ARN.
    pub task: String,
    /// Within the lab.
    pub pid: u32,
    /// The path of its credentials, if its task has a role.
    pub credentials: Option<String>,
}

pub struct Lab {
    pub backend: Backend,
    pub folder: PathBuf,
    pub apps: Vec<App>,
    pub docker: Docker,
    holder: Child,
    /// The PID of the lab's first process, as the machine counts.
    root: u32,
    agent: Option<Child>,
    agent_is_whole: bool,
    others: Vec<Child>,
}

type Slot = Mutex<Option<Result<Lab, String>>>;

/// One of each backend, and one more that the SDKs have to themselves.
static LABS: [Slot; 3] = [const { Mutex::new(None) }; 3];

/// Runs with the lab of a backend, alone in it; the first to ask builds it.
pub fn with<T>(backend: Backend, run: impl FnOnce(&mut Lab) -> T) -> T {
    on(&LABS[backend as usize], backend, run)
}

/// Runs with the third lab.
pub fn with_third<T>(run: impl FnOnce(&mut Lab) -> T) -> T {
    on(&LABS[2], Backend::Nft, run)
}

fn on<T>(slot: &Slot, backend: Backend, run: impl FnOnce(&mut Lab) -> T) -> T {
    let mut slot = lock(slot);
    match slot.get_or_insert_with(|| Lab::start(backend)) {
        Ok(lab) => run(lab),
        Err(reason) => panic!("the lab could not be built: {reason}"),
    }
}

/// A row that failed leaves nothing that the next one's reset doesn't put right.
fn lock(slot: &Slot) -> MutexGuard<'_, Option<Result<Lab, String>>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn close_all() {
    for slot in &LABS {
        drop(lock(slot).take());
    }
}

impl Lab {
    pub fn start(backend: Backend) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let name = format!("xdeploy-lab-{}-{}", id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = env::temp_dir().join(&name);
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        furnish(&folder, backend);
        let mut holder = Command::new("sh")
            .args(["-c", OUTSIDE, "sh", INSIDE])
            .args([folder.as_os_str(), name.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Not stopped by what stops the tests from a terminal: it sees their end, and cleans up.
            .process_group(0)
            .spawn()
            .map_err(|error| error.to_string())?;
        let vpc = first_line(&mut holder);
        let docker = Docker { socket: folder.join("docker.sock") };
        let root = child_of(child_of(holder.id())?)?;
        let mut lab =
            Self { backend, folder, apps: Vec::new(), docker, holder, root, agent: None, agent_is_whole: false, others: Vec::new() };
        let vpc: u32 = vpc.parse().map_err(|_| "its namespaces could not be made; see above".to_owned())?;
        let vpc_network = lab.network_of(vpc);
        let imds = lab.helper(Command::new("nsenter").arg(vpc_network).arg(env::current_exe().unwrap()).arg("--as-imds"));
        lab.others.push(imds);
        lab.start_docker(&name)?;
        lab.start_containers(&name, vpc);
        lab.start_agent();
        lab.set_unit("active");
        fs::write(lab.folder.join("base.rules"), lab.sh("iptables-save")).map_err(|error| error.to_string())?;
        Ok(lab)
    }

    /// A command within the host: its network, its files, its processes.
    pub fn inside(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.root.to_string(), "--net", "--mount", "--pid", "--"]).arg(program.as_ref());
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command
    }

    /// Runs a script within the host and answers what it prints.
    pub fn sh(&self, script: &str) -> String {
        self.sh_with(script, &[])
    }

    fn sh_with(&self, script: &str, words: &[&str]) -> String {
        good(self.inside("sh").args(["-e", "-c", script, "sh"]).args(words), script)
    }

    /// The option of nsenter for the network of a process of the lab, for a command that otherwise stays on the machine.
    pub fn network_of(&self, pid: u32) -> String {
        format!("--net=/proc/{}/root/proc/{pid}/ns/net", self.root)
    }

    pub fn app(&self, name: &str) -> &App {
        self.apps.iter().find(|app| app.name == name).unwrap()
    }

    /// What `xdeploy ecs-check` says of this host, which it takes for the machine: the document and the exit code.
    pub fn ecs_check(&self, args: &[&str]) -> Value {
        self.ecs_check_by(&self.docker.socket, args)
    }

    /// The same, by another socket of Docker's.
    pub fn ecs_check_by(&self, socket: &Path, args: &[&str]) -> Value {
        let mut command = self.inside(env!("CARGO_BIN_EXE_xdeploy"));
        command.args(["ecs-check", "--output", "json", "--docker-host", &format!("unix://{}", socket.display())]).args(args);
        let output = command.output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (text, errors) = (said(&output.stdout), said(&output.stderr));
        assert!(!format!("{text}{errors}").to_ascii_lowercase().contains("canary"), "a secret is told:\n{text}{errors}");
        let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
        assert_eq!(document["exitCode"].as_i64(), output.status.code().map(i64::from), "{text}{errors}");
        document
    }

    /// What the raw probe gets from each application's network, side by side.
    pub fn probe(&self) -> Vec<(&'static str, Got)> {
        let probe = |app: &App| {
            let mut command = Command::new("nsenter");
            command.arg(self.network_of(app.pid)).arg(env::current_exe().unwrap()).arg("--as-probe");
            Got::from(good(&mut command, "probe").trim())
        };
        thread::scope(|scope| {
            let running: Vec<_> = self.apps.iter().map(|app| (app.name, scope.spawn(move || probe(app)))).collect();
            running.into_iter().map(|(name, thread)| (name, thread.join().unwrap())).collect()
        })
    }

    /// Puts rules, sysctls and the agent back to where every row begins.
    pub fn reset(&mut self) {
        self.sh_with(RESET, &[&self.folder.display().to_string(), self.backend.name()]);
        let pause = self.app("awsvpc").pid.to_string();
        self.sh_with(TASK_ROUTE, &[&pause]);
        self.set_unit("active");
        if !self.agent_is_whole {
            self.end_agent();
            self.docker.start("ecs-agent");
            self.start_agent();
        }
    }

    pub fn stop_agent(&mut self) {
        self.docker.kill("ecs-agent");
        self.end_agent();
    }

    /// Something else answers where the agent should; the agent runs on without its port.
    pub fn take_port(&mut self) {
        self.end_agent();
        let mut command = self.inside(self.folder.join("agent"));
        self.agent = Some(self.helper(command.arg("--as-agent").arg(self.folder.join("agent.json"))));
    }

    /// The state that systemd tells of the agent's unit.
    pub fn set_unit(&self, state: &str) {
        fs::write(self.folder.join("etc/unit-of-ecs"), format!("ActiveState={state}\nExecMainStatus=0\n")).unwrap();
    }

    fn end_agent(&mut self) {
        self.agent_is_whole = false;
        if let Some(mut agent) = self.agent.take() {
            drop(agent.stdin.take());
            agent.wait().unwrap();
        }
    }

    fn start_agent(&mut self) {
        let (state, audit_log) = (self.folder.join("agent.json"), self.folder.join("var/log/ecs/audit.log"));
        let mut command = self.inside(self.folder.join("agent"));
        self.agent = Some(self.helper(command.arg("--as-agent").args([state, audit_log])));
        self.agent_is_whole = true;
    }

    /// A fake, which serves until its standard input is closed.
    fn helper(&self, command: &mut Command) -> Child {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(first_line(&mut child), "ready", "{command:?}");
        child
    }

    fn start_docker(&mut self, name: &str) -> Result<(), String> {
        let log = self.folder.join("dockerd.log");
        let file = fs::File::create(&log).map_err(|error| error.to_string())?;
        let path = |name: &str| self.folder.join(name).display().to_string();
        let mut command = self.inside("dockerd");
        command
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("dockerd.pid")])
            .args(["--host", &format!("unix://{}", self.docker.socket.display()), "--group", "0"])
            .args(["--storage-driver", "vfs", "--bip", "172.17.0.1/16"])
            // Of its own: what is left of it is found by its name.
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", &format!("/{name}")])
            .stderr(file.try_clone().map_err(|error| error.to_string())?)
            .stdout(file);
        let mut dockerd = command.spawn().map_err(|error| error.to_string())?;
        let until = Instant::now() + Duration::from_secs(60);
        while !self.docker.is_up() {
            let ended = dockerd.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || Instant::now() > until {
                return Err(format!("dockerd doesn't come up:\n{}", fs::read_to_string(&log).unwrap_or_default()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.others.push(dockerd);
        Ok(())
    }

    fn start_containers(&mut self, name: &str, vpc: u32) {
        for (name, tag, sdk) in [
            ("amazon/amazon-ecs-agent", "latest", None),
            ("amazon/amazon-ecs-pause", "0.1.0", None),
            ("python-app", "1", Some(BOTOCORE)),
            ("js-app", "1", Some(JS)),
        ] {
            let files = sdk.map(|(text, path)| (text.as_bytes(), path, 0o644));
            self.docker.import(name, tag, &image(&self.folder, files.as_slice()));
        }
        let docker = &self.docker;
        let run = |task: Option<&Task>, container: &str, image: &str, mode: &str, env: Vec<String>| {
            let labels = task.map_or(json!({}), |task| task.labels(container));
            let group = task.map_or_else(|| format!("/{name}"), |task| format!("/{name}/ecs/{}", task.id()));
            let binds =
                if task.is_none() { json!(["/var/log/ecs:/log", "/var/lib/ecs/data:/data", "/etc/ecs:/etc/ecs"]) } else { json!([]) };
            let config = json!({
                "Image": image,
                "Cmd": ["/bin/busybox", "sleep", "86400"],
                "WorkingDir": "/app",
                "Env": env,
                "Labels": labels,
                "HostConfig": {"NetworkMode": mode, "CgroupParent": group, "Binds": binds},
            });
            docker.run(&task.map_or_else(|| "ecs-agent".to_owned(), |task| task.docker_name(container)), &config)
        };
        let agent = || run(None, "", "amazon/amazon-ecs-agent:latest", "host", agent_variables());
        let start = |task: &Task| {
            let mut mode = task.mode.to_owned();
            let mut containers = Vec::new();
            if task.mode == "awsvpc" {
                let (id, pid) = run(Some(task), "~internal~ecs~pause", "amazon/amazon-ecs-pause:0.1.0", "none", Vec::new());
                self.sh_with(AWSVPC, &[&pid.to_string(), &vpc.to_string()]);
                mode = format!("container:{id}");
                containers.push(task.container("~internal~ecs~pause", &id, "amazon/amazon-ecs-pause:0.1.0"));
            }
            let (id, pid) = run(Some(task), "app", task.image, &mode, task.variables());
            containers.push(task.container("app", &id, task.image));
            let credentials = task.role.map(|_| task.credentials());
            (App { name: task.name, task: task.arn(), pid, credentials }, task.known(&containers))
        };
        let (apps, known): (Vec<App>, Vec<Value>) = thread::scope(|scope| {
            let agent = scope.spawn(agent);
            let running: Vec<_> = TASKS.iter().map(|task| scope.spawn(move || start(task))).collect();
            agent.join().unwrap();
            running.into_iter().map(|thread| thread.join().unwrap()).unzip()
        });
        self.apps = apps;
        let state = json!({"cluster": CLUSTER, "instance": INSTANCE, "tasks": known});
        fs::write(self.folder.join("agent.json"), state.to_string()).unwrap();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
        for child in self.others.iter_mut().chain(&mut self.agent) {
            let _ = child.wait();
        }
    }
}

struct Task {
    name: &'static str,
    mode: &'static str,
    image: &'static str,
    /// The last digits of its ids.
    number: u32,
    role: Option<&'static str>,
}

const ROLE: Option<&str> = Some("arn:aws:iam::111122223333:role/app-role");

const TASKS: [Task; 6] = [
    Task { name: "bridge", mode: "bridge", image: "python-app:1", number: 1, role: ROLE },
    Task { name: "host", mode: "host", image: "python-app:1", number: 2, role: ROLE },
    Task { name: "none", mode: "none", image: "python-app:1", number: 3, role: ROLE },
    Task { name: "awsvpc", mode: "awsvpc", image: "python-app:1", number: 4, role: ROLE },
    Task { name: "no-role", mode: "bridge", image: "python-app:1", number: 5, role: None },
    Task { name: "bridge-js", mode: "bridge", image: "js-app:1", number: 6, role: ROLE },
];

/// What tells the SDK of an image: the file's text and its path, with the versions that the real ones have here.
const BOTOCORE: (&str, &str) =
    ("Metadata-Version: 2.1\nName: botocore\nVersion: 1.43.106\n", "usr/lib/python3/dist-packages/botocore-1.43.106.dist-info/METADATA");
const JS: (&str, &str) = (r#"{"name": "aws-sdk", "version": "2.1693.0"}"#, "app/node_modules/aws-sdk/package.json");

impl Task {
    fn id(&self) -> String {
        format!("{:032x}", 0x7a5c_0000_0000_0000_u64 + u64::from(self.number))
    }

    fn arn(&self) -> String {
        format!("arn:aws:ecs:eu-central-1:111122223333:task/{CLUSTER}/{}", self.id())
    }

    fn credentials(&self) -> String {
        format!("/v2/credentials/c0ffee00-0000-4000-8000-{:012x}", self.number)
    }

    fn docker_name(&self, container: &str) -> String {
        format!("ecs-{}-1-{}-{:020x}", self.name, container.replace('~', ""), self.number)
    }

    fn labels(&self, container: &str) -> Value {
        json!({
            "com.amazonaws.ecs.cluster": CLUSTER,
            "com.amazonaws.ecs.container-name": container,
            "com.amazonaws.ecs.task-arn": self.arn(),
            "com.amazonaws.ecs.task-definition-family": self.name,
            "com.amazonaws.ecs.task-definition-version": "1",
        })
    }

    fn variables(&self) -> Vec<String> {
        let mut variables = vec![
            "AWS_EXECUTION_ENV=AWS_ECS_EC2".to_owned(),
            format!("ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/{:032x}-0000000001", self.number),
            format!("DB_PASSWORD={CANARY}"),
        ];
        variables.extend(self.role.map(|_| format!("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI={}", self.credentials())));
        variables
    }

    fn container(&self, name: &str, id: &str, image: &str) -> Value {
        json!({"id": id, "name": name, "docker_name": self.docker_name(name), "image": image})
    }

    /// The task as the fake agent knows it.
    fn known(&self, containers: &[Value]) -> Value {
        let credentials = self.role.map(|_| self.credentials().trim_start_matches("/v2/credentials/").to_owned());
        json!({
            "arn": self.arn(), "family": self.name, "revision": "1", "role": self.role, "credentials": credentials, "containers": containers,
        })
    }
}

/// What ecs-init gives the agent on every platform (facts/ecs.md A.2), as far as it matters here.
fn agent_variables() -> Vec<String> {
    let variables = [
        "ECS_CLUSTER=lab",
        "ECS_ENABLE_TASK_IAM_ROLE=true",
        "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true",
        "ECS_ENABLE_TASK_ENI=true",
        "ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE=true",
        "ECS_UPDATES_ENABLED=true",
        "ECS_DATADIR=/data",
        "ECS_LOGFILE=/log/ecs-agent.log",
        "ECS_AGENT_CONFIG_FILE_PATH=/etc/ecs/ecs.config.json",
    ];
    variables.map(ToOwned::to_owned).to_vec()
}

/// The files that the host has in the place of the machine's: `/etc` and `/var`, and what it has more in `/usr`.
fn furnish(folder: &Path, backend: Backend) {
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for below in ["etc/alternatives", "var/log/ecs", "var/lib/ecs/data", "var/tmp", "usr/bin"] {
        fs::create_dir_all(folder.join(below)).unwrap();
    }
    write("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n");
    write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    write("etc/group", "root:x:0:\n");
    write("etc/hostname", "ip-10-0-0-5\n");
    write("etc/hosts", "127.0.0.1 localhost\n");
    write("etc/resolv.conf", "nameserver 10.0.0.2\n");
    match backend {
        // One host with ecs-init, as its package for Debian leaves it…
        Backend::Nft => {
            write("etc/ecs/ecs.config", "ECS_CLUSTER=lab\n");
            write("usr/libexec/amazon-ecs-init", "");
            write("usr/lib/systemd/system/ecs.service", "[Service]\nEnvironmentFile=-/etc/ecs/ecs.config\n");
            // What `systemctl restart ecs` comes to: ecs-init adds its rules, without looking whether they are there.
            let restart = ECS_INIT.join("\n  ");
            let active = "printf 'ActiveState=active\\nExecMainStatus=0\\n' >/etc/unit-of-ecs";
            let script = format!("#!/bin/sh\nif [ \"$1\" = show ]; then\n  cat /etc/unit-of-ecs\nelse\n  {restart}\n  {active}\nfi\n");
            write("usr/bin/systemctl", &script);
            fs::set_permissions(folder.join("usr/bin/systemctl"), Permissions::from_mode(0o755)).unwrap();
        }
        // … and one whose agent somebody runs by hand, as the article has it, with rules and setting saved.
        Backend::Legacy => {
            let flags = "ECS_ENABLE_TASK_IAM_ROLE=true\nECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true\nECS_ENABLE_TASK_ENI=true\n";
            write("etc/ecs/ecs.config", &format!("ECS_CLUSTER=lab\n{flags}"));
            write("etc/iptables/rules.v4", SAVED);
            write("etc/systemd/system/multi-user.target.wants/netfilter-persistent.service", "");
            write("etc/sysctl.d/90-ecs.conf", "net.ipv4.conf.all.route_localnet = 1\n");
        }
    }
    symlink("/run", folder.join("var/run")).unwrap();
    // Debian's `iptables` is whatever these say.
    for program in ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"] {
        let (family, rest) = program.split_at(program.find('s').unwrap_or_default() + 1);
        let target = format!("/usr/sbin/{family}-{}{rest}", backend.name());
        symlink(target, folder.join("etc/alternatives").join(program)).unwrap();
    }
    // As the agent's process is called in its container.
    symlink(env::current_exe().unwrap(), folder.join("agent")).unwrap();
}

const SAVED: &str = "*nat
-A PREROUTING -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:51679
-A OUTPUT -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 51679
COMMIT
";

/// A root file system of one static program, packed, with more files: bytes, path and mode.
pub fn image(folder: &Path, files: &[(&[u8], &str, u32)]) -> Vec<u8> {
    let root = folder.join("image");
    for (bytes, path, mode) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(path, Permissions::from_mode(*mode)).unwrap();
    }
    for below in ["app", "bin", "etc", "log", "data", "tmp", "root"] {
        fs::create_dir_all(root.join(below)).unwrap();
    }
    let search = env::var_os("PATH").unwrap_or_default();
    let busybox = env::split_paths(&search).map(|folder| folder.join("busybox")).find(|path| path.is_file()).unwrap();
    fs::copy(busybox, root.join("bin/busybox")).unwrap();
    for applet in ["sh", "sleep", "nc"] {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    let output = Command::new("tar").arg("-C").arg(&root).args(["-c", "."]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    fs::remove_dir_all(root).unwrap();
    output.stdout
}

/// The output of a command that must succeed.
fn good(command: &mut Command, what: &str) -> String {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{what}: {status}\n{stdout}{}", String::from_utf8_lossy(&stderr));
    stdout
}

/// What a program says when it is ready; empty if it ends instead.
fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.as_mut().unwrap());
    output.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// The first child of a process.
fn child_of(parent: u32) -> Result<u32, String> {
    let is_child = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|text| text.trim() == parent.to_string()))
    };
    let entries = fs::read_dir("/proc").map_err(|error| error.to_string())?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_child).min().ok_or_else(|| format!("process {parent} has no child"))
}
