//! What was read of a container host: plain data, values of variables left out unless they hold no secret.
//! Whatever could not be read says why.

use super::environment::Environment;
use super::parse::env_files::Mistake;
use super::parse::iptables::Ruleset;
use super::parse::proc_net::Route;
use super::parse::settings::Pool;
use crate::model::Readable;
use std::collections::BTreeMap;

/// Everything about a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// It is the running host, and not a folder with its files.
    pub live: bool,
    /// It is the inside of a container, and nothing is known of its host.
    pub in_task: bool,
    /// Whose eyes these are is root.
    pub root: bool,
    /// When it was read, in seconds since 1970.
    pub now: i64,
    /// Files that are there and could not be read, and why.
    pub unread: BTreeMap<String, String>,
    /// What kind of host it is.
    pub platform: Platform,
    /// The agent.
    pub agent: Agent,
    /// `/etc/ecs/ecs.config` and its like, in the order in which later ones win.
    pub config: Vec<ConfigFile>,
    /// The agent's JSON file: the flags that it sets, by their variables' names (facts/ecs.md A.2).
    pub config_json: Readable<BTreeMap<String, bool>>,
    /// Where proxies are set, besides the configuration (facts A.4).
    pub proxies: Vec<ProxyPlace>,
    /// The rules that are in force.
    pub netfilter: Netfilter,
    /// The host's own interfaces and sockets.
    pub network: Network,
    /// What a reboot would bring back.
    pub saved: Saved,
    /// Docker's answer, or why there is none.
    pub docker: Readable<DockerEngine>,
    /// All containers that run, and the agent's own also if it doesn't; without Docker it can't be told.
    pub containers: Readable<Vec<Container>>,
    /// The agent's logs.
    pub logs: Logs,
    /// The instance metadata service, as the host sees it.
    pub imds: Readable<Imds>,
    /// What AWS says of the tasks and their roles.
    pub aws: Readable<AwsFacts>,
}

/// What AWS says of the tasks here and their roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsFacts {
    /// The account that was asked.
    pub account: String,
    /// The region that was asked.
    pub region: String,
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// Tasks by their ARNs.
    pub tasks: BTreeMap<String, Readable<TaskFacts>>,
    /// Roles by their ARNs; `None` for one that isn't there.
    pub roles: BTreeMap<String, Readable<Option<RoleFacts>>>,
    /// The attributes of this container instance, by name.
    pub attributes: Readable<Vec<String>>,
    /// What somebody said that the applications need.
    pub needs: Vec<Need>,
}

/// A call that an application must be able to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// `s3:GetObject`.
    pub action: String,
    /// The resource's ARN.
    pub resource: String,
    /// What IAM's own simulator says of each role: allowed or not.
    pub second: BTreeMap<String, Readable<bool>>,
}

/// What ECS says of a task: its definition with its overrides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFacts {
    /// `family:revision`.
    pub definition: String,
    /// The role of the definition, or of the task's override, which wins.
    pub task_role: Option<String>,
    /// The task was started with another role than its definition's.
    pub overridden: bool,
    /// The execution role.
    pub execution_role: Option<String>,
}

/// What IAM says of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleFacts {
    /// Who may assume it.
    pub trust: serde_json::Value,
    /// Its policies, inline and attached.
    pub policies: Readable<Vec<serde_json::Value>>,
    /// Its permissions boundary.
    pub boundary: Readable<Option<serde_json::Value>>,
}

/// What kind of host it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    /// `ID` of os-release: `amzn`, `debian`, `bottlerocket`, …; empty where there is none.
    pub id: String,
    /// `VERSION_ID`.
    pub version: String,
    /// `PRETTY_NAME`.
    pub name: String,
    /// `ID_LIKE`.
    pub like: String,
    /// The host runs systemd.
    pub systemd: bool,
    /// The path of ecs-init, if it is installed.
    pub ecs_init: Option<String>,
}

/// What the agent itself says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// `http://127.0.0.1:51678/v1/metadata` (facts B.1).
    pub introspection: Readable<Introspection>,
    /// Its unit, if there is one.
    pub unit: Readable<Option<Unit>>,
    /// A process of that name that is no container's, as on Bottlerocket: what it got.
    pub process: Option<Environment>,
    /// `http://127.0.0.1:51679/v2/credentials/` from the host itself.
    pub endpoint: Readable<Answer>,
}

/// What answers on port 51678.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Introspection {
    /// The agent.
    Agent {
        /// Its cluster.
        cluster: String,
        /// Its container instance; `None` until it has registered.
        instance: Option<String>,
        /// `1.105.1`.
        version: String,
    },
    /// Nothing listens.
    Refused,
    /// Something else.
    SomethingElse(String),
}

/// A systemd unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// `active`, `failed`, `inactive`, …
    pub state: String,
    /// The code that its program ended with.
    pub exit: Option<i32>,
}

/// What answers at an address where the credentials should be (facts B.2, B.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The agent: `NoIdInRequest`.
    Agent,
    /// The agent, which is asked too often.
    Throttled,
    /// The agent's other server: something leads to 51678.
    Introspection,
    /// Something else: status and the start of its answer's code or server name.
    SomethingElse(u16),
    /// Nothing listens there.
    Refused,
    /// There is no way to it.
    Unreachable,
    /// Nothing comes back.
    TimedOut,
}

/// A file of the agent's configuration, as each of its readers takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path on the host.
    pub path: String,
    /// When it was last written, in seconds since 1970.
    pub modified: Option<i64>,
    /// As ecs-init hands it to the agent's container.
    pub ecs_init: Environment,
    /// As systemd hands it to ecs-init.
    pub systemd: Environment,
    /// As `docker run --env-file` hands it to the agent's container.
    pub docker: Result<Environment, Mistake>,
}

/// A place where a proxy may be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyPlace {
    /// Whose proxy it is.
    pub whose: ProxyOf,
    /// The file.
    pub path: String,
    /// What it sets.
    pub sets: Environment,
}

/// Who goes through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProxyOf {
    /// ecs-init, which fetches and starts the agent.
    EcsInit,
    /// Docker, which pulls images.
    Docker,
    /// All of Bottlerocket's services.
    Everybody,
}

/// The rules of both backends; `None` where a backend holds none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netfilter {
    /// iptables-nft.
    pub nft: Readable<Option<Ruleset>>,
    /// iptables-legacy.
    pub legacy: Readable<Option<Ruleset>>,
}

/// Interfaces and sockets of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// `route_localnet` of each interface, with `all` and `default`.
    pub route_localnet: Readable<BTreeMap<String, bool>>,
    /// The host's routes.
    pub routes: Readable<Vec<Route>>,
    /// Who listens on 51679 for connections from the host itself: the program's name where that could be told.
    pub on_51679: Readable<Option<String>>,
}

/// What a reboot brings back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Files of saved rules.
    pub rules: Vec<SavedRules>,
    /// Files that set `route_localnet` of `all`, in the order in which later ones win: path, line, value.
    pub route_localnet: Vec<(String, usize, String)>,
    /// Units that start by themselves.
    pub enabled: Vec<String>,
}

/// A file of saved rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedRules {
    /// Its path.
    pub path: String,
    /// The unit that brings them back.
    pub unit: &'static str,
    /// The rules, for a file that `iptables-restore` reads; `None` for another language.
    pub rules: Option<Ruleset>,
    /// The endpoint's address is named in it.
    pub names_endpoint: bool,
}

/// The container engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerEngine {
    /// Where it answers.
    pub endpoint: String,
    /// Its version.
    pub version: String,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name, without the slash.
    pub name: String,
    /// The image that it was started from.
    pub image: String,
    /// It runs.
    pub running: bool,
    /// `unhealthy`, where a health check says so.
    pub health: Option<String>,
    /// When it was started, in seconds since 1970.
    pub started: Option<i64>,
    /// The code that it ended with.
    pub exit: Option<i32>,
    /// Its first process, as the host numbers it; 0 while it doesn't run.
    pub pid: u32,
    /// `bridge`, `host`, `none`, `container:<id>` or a network's name.
    pub network_mode: String,
    /// `host`, `container:<id>`, or empty.
    pub pid_mode: String,
    /// The host's interface that its packets arrive by, where that can be told.
    pub interface: Option<String>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Docker restarts it by this policy.
    pub restart: String,
    /// The labels that ECS gives.
    pub labels: BTreeMap<String, String>,
    /// What it was given.
    pub environment: Environment,
    /// Its processes.
    pub processes: Readable<Vec<Process>>,
    /// php-fpm's pools in it, with their files.
    pub php: Readable<Vec<(String, Vec<Pool>)>>,
    /// AWS profile files in it.
    pub profiles: Readable<Vec<ProfileFile>>,
    /// The SDKs in it.
    pub sdks: Readable<SdksFound>,
    /// The routes of its network.
    pub routes: Readable<Vec<Route>>,
    /// What answers from inside its network.
    pub probe: Readable<Answer>,
    /// The instance metadata service answers from inside its network.
    pub reaches_imds: Readable<bool>,
}

/// A process of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// As the host numbers it.
    pub pid: u32,
    /// As the container numbers it.
    pub inner: u32,
    /// Its parent, as the host numbers it.
    pub parent: u32,
    /// The program's name, without arguments.
    pub name: String,
    /// The names of what it was started with; values only where they may be told.
    pub environment: Readable<Environment>,
    /// What could be read there isn't an environment any more: programs write their titles over it (facts/ecs.md 0.8).
    pub overwritten: bool,
}

/// A file with AWS profiles in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFile {
    /// Its path in the container.
    pub path: String,
    /// The profiles with keys, or with another way to get some.
    pub profiles: Vec<String>,
    /// It is where a process of the container looks.
    pub own: bool,
}

/// The SDKs of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdksFound {
    /// What was found.
    pub sdks: Vec<super::host::sdks::Sdk>,
    /// Why there may be more.
    pub incomplete: Option<String>,
}

/// The agent's logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// The audit log: who fetched which role.
    pub audit: Readable<super::parse::audit_log::Summary>,
    /// What explains something in the agent's and in ecs-init's log: file, what it says, how often. The lines themselves may hold more
    /// than anybody should read.
    pub telling: Vec<(String, &'static str, usize)>,
}

/// What the instance says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imds {
    /// Requests without a token are refused.
    pub token_required: bool,
    /// The name of the instance's role.
    pub role: Option<String>,
}
