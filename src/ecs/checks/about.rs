//! What several checks ask of the facts: how the agent is run here, which containers are tasks, how each is connected.

use crate::ecs::environment::{Environment, TASK_ENI, TASK_ROLE, TASK_ROLE_HOST};
use crate::ecs::facts::{Answer, Container, HostFacts, Introspection};
use crate::ecs::host::TASK_LABEL;
use crate::ecs::host::docker::agent_of;
use crate::ecs::parse::env_files::go_bool;
use crate::model::{Check, Finding, Outcome, Subject};

/// How the agent is run on a host (facts/ecs.md A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// ecs-init runs its container, by systemd.
    EcsInit,
    /// The same of SUSE, whose unit has another name.
    Suse,
    /// The same by upstart: Amazon Linux 1.
    Upstart,
    /// A process of Bottlerocket's.
    Bottlerocket,
    /// Somebody runs its container.
    ByHand,
    /// There is no sign of one.
    Absent,
}

impl Flavour {
    /// Finds out how.
    pub fn of(facts: &HostFacts) -> Flavour {
        let platform = &facts.platform;
        if platform.id == "bottlerocket" {
            return Flavour::Bottlerocket;
        }
        if platform.ecs_init.is_some() {
            let suse = platform.id.contains("suse") || platform.id == "sles" || platform.like.contains("suse");
            let upstart = platform.id == "amzn" && (platform.version.starts_with("201") || platform.version == "1");
            return match () {
                () if suse => Flavour::Suse,
                () if upstart && !platform.systemd => Flavour::Upstart,
                () => Flavour::EcsInit,
            };
        }
        let answers = matches!(facts.agent.introspection.known(), Some(Introspection::Agent { .. }));
        if agent_container(facts).is_some() || answers || !facts.config.is_empty() { Flavour::ByHand } else { Flavour::Absent }
    }

    /// Gives the stable word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Flavour::EcsInit => "ecs-init",
            Flavour::Suse => "ecs-init-suse",
            Flavour::Upstart => "ecs-init-upstart",
            Flavour::Bottlerocket => "bottlerocket",
            Flavour::ByHand => "by-hand",
            Flavour::Absent => "absent",
        }
    }

    /// ecs-init sets the flags, the rules and the kernel's setting by itself.
    pub fn has_ecs_init(self) -> bool {
        matches!(self, Flavour::EcsInit | Flavour::Suse | Flavour::Upstart)
    }

    /// Whoever runs the agent brings the rules back at each start of it.
    pub fn brings_rules(self) -> bool {
        self.has_ecs_init() || self == Flavour::Bottlerocket
    }

    /// Tells how to start the agent again so that it reads its configuration (B2).
    pub fn restart(self, facts: &HostFacts) -> String {
        match self {
            Flavour::EcsInit => "sudo systemctl restart ecs".to_owned(),
            Flavour::Suse => "sudo systemctl restart amazon-ecs".to_owned(),
            Flavour::Upstart => "sudo stop ecs; sudo start ecs".to_owned(),
            Flavour::Bottlerocket => "apiclient set …, or `systemctl restart ecs` in the admin container".to_owned(),
            Flavour::ByHand => {
                let name = agent_container(facts).map_or("ecs-agent", |agent| agent.name.as_str());
                format!(
                    "docker rm -f {name}, then the `docker run --name {name} … --env-file=/etc/ecs/ecs.config` that it was started with \
                     (`docker restart` doesn't read the file again)"
                )
            }
            Flavour::Absent => "install the agent (package ecs-init), then `sudo systemctl enable --now ecs`".to_owned(),
        }
    }
}

/// Finds the agent's container, the running one first.
pub fn agent_container(facts: &HostFacts) -> Option<&Container> {
    agent_of(facts.containers.known()?)
}

/// Says whether the agent runs, where that can be told.
pub fn agent_runs(facts: &HostFacts) -> Option<bool> {
    match facts.agent.introspection.known() {
        Some(Introspection::Agent { .. }) => Some(true),
        Some(_) => Some(false),
        None => match facts.agent.endpoint.known() {
            Some(Answer::Agent | Answer::Throttled) => Some(true),
            _ => {
                facts.containers.known().map(|_| agent_container(facts).is_some_and(|agent| agent.running) || facts.agent.process.is_some())
            }
        },
    }
}

/// How a task's container is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// By a bridge of the host's: its packets arrive by this interface.
    Bridge(String),
    /// With the host's own network.
    Host,
    /// With an interface of its own in the VPC.
    Awsvpc,
    /// Not at all.
    Nothing,
}

impl Mode {
    /// Finds out how.
    pub fn of(facts: &HostFacts, container: &Container) -> Mode {
        match container.network_mode.as_str() {
            "host" => Mode::Host,
            "none" => Mode::Nothing,
            shared if shared.starts_with("container:") => {
                let owner = shared.strip_prefix("container:").and_then(|id| facts.containers.known()?.iter().find(|other| other.id == id));
                match owner {
                    // Whose network is shared may itself share one: never more than once in what ECS makes.
                    Some(owner) if !owner.network_mode.starts_with("container:") && owner.network_mode != "none" => Mode::of(facts, owner),
                    _ => Mode::Awsvpc,
                }
            }
            _ => Mode::Bridge(container.interface.clone().unwrap_or_else(|| "docker0".to_owned())),
        }
    }

    /// The interface of the host by which its packets arrive, if they cross one.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Mode::Bridge(interface) => Some(interface),
            Mode::Awsvpc => Some("ecs-bridge"),
            Mode::Host | Mode::Nothing => None,
        }
    }

    /// Says whether its packets arrive by an interface; host mode's do by `lo`.
    pub fn is_by(&self, interface: &str) -> bool {
        match self {
            Mode::Host => interface == "lo",
            other => other.interface() == Some(interface),
        }
    }

    /// ECS's word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Mode::Bridge(_) => "bridge",
            Mode::Host => "host",
            Mode::Awsvpc => "awsvpc",
            Mode::Nothing => "none",
        }
    }
}

/// Lists the containers of tasks that run, without those that the agent adds for itself.
pub fn tasks(facts: &HostFacts) -> Vec<&Container> {
    let own = |container: &&Container| {
        let name = container.labels.get("com.amazonaws.ecs.container-name").map_or("", String::as_str);
        container.running && container.labels.contains_key(TASK_LABEL) && !name.starts_with("~internal~ecs")
    };
    facts.containers.known().into_iter().flatten().filter(own).collect()
}

/// Lists the ways in which tasks here are connected, each with the containers that are.
pub fn modes(facts: &HostFacts) -> Vec<(Mode, Vec<&Container>)> {
    let mut found: Vec<(Mode, Vec<&Container>)> = Vec::new();
    for container in tasks(facts) {
        let mode = Mode::of(facts, container);
        match found.iter_mut().find(|(other, _)| *other == mode) {
            Some((_, containers)) => containers.push(container),
            None => found.push((mode, vec![container])),
        }
    }
    found
}

/// Says whether a container of a task that is connected like this was answered by the agent, from inside.
pub fn answered(containers: &[&Container]) -> bool {
    containers.iter().any(|container| reaches_agent(container))
}

/// Says whether the agent answered a container; on Fargate the platform stands in its place, and what it says to a question without an
/// id isn't known: any answer of it is one (facts/ecs.md B.6).
pub fn reaches_agent(container: &Container) -> bool {
    let fargate = container.environment.told("AWS_EXECUTION_ENV") == Some("AWS_ECS_FARGATE");
    match container.probe.known() {
        Some(Answer::Agent | Answer::Throttled) => true,
        Some(Answer::SomethingElse(status)) => fargate && (400..500).contains(status),
        _ => false,
    }
}

/// Makes a finding one about a container.
pub fn of_container(finding: Finding, container: &Container) -> Finding {
    finding.about(Subject::Container(container.name.clone()))
}

/// Where the agent's variables come from, at its next start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next<'f> {
    /// The file and the variable's line, where a file sets it.
    pub place: Option<(&'f str, usize)>,
    /// The value.
    pub value: Option<String>,
}

/// Says what a variable will be when the agent is started again, as this host's reader takes the files.
pub fn next<'f>(facts: &'f HostFacts, flavour: Flavour, name: &str) -> Next<'f> {
    // ecs-init forces it off on hosts outside AWS (facts A.2).
    if name == TASK_ENI && is_external(facts) {
        return Next { place: None, value: Some("false".to_owned()) };
    }
    let read = |file: &'f crate::ecs::facts::ConfigFile| match flavour {
        Flavour::ByHand | Flavour::Absent => file.docker.as_ref().ok(),
        _ => Some(&file.ecs_init),
    };
    // By hand only the article's own file is named on the command line.
    let files = facts.config.iter().rev().filter(|file| flavour != Flavour::ByHand || file.path.starts_with("/etc/"));
    for file in files {
        if let Some(variable) = read(file).and_then(|environment| environment.get(name)) {
            return Next { place: Some((&file.path, variable.line)), value: variable.told().map(str::to_owned) };
        }
    }
    let on = [TASK_ROLE, TASK_ROLE_HOST, TASK_ENI].contains(&name) && flavour.brings_rules();
    Next { place: None, value: on.then(|| "true".to_owned()) }
}

/// Says whether the host is one of ECS Anywhere.
pub fn is_external(facts: &HostFacts) -> bool {
    facts.config.iter().any(|file| file.ecs_init.told("ECS_EXTERNAL").and_then(go_bool) == Some(true))
}

/// A flag's state: on, off, or a text that is no boolean, which counts as off (facts A.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flag {
    /// On.
    On,
    /// Off.
    Off,
    /// Not set, which is off for the agent.
    Unset,
    /// No boolean.
    Invalid(String),
}

impl Flag {
    /// Reads a value.
    pub fn of(value: Option<&str>) -> Flag {
        match value {
            None => Flag::Unset,
            Some(text) if text.trim().is_empty() => Flag::Unset,
            Some(text) => match go_bool(text) {
                Some(true) => Flag::On,
                Some(false) => Flag::Off,
                None => Flag::Invalid(text.to_owned()),
            },
        }
    }
}

/// Says what a flag is for the agent that runs now; `None` if that can't be told.
pub fn now(facts: &HostFacts, name: &str) -> Option<Flag> {
    let given: &Environment = crate::ecs::host::agent::given(facts)?;
    let flag = Flag::of(given.told(name));
    match (&flag, facts.config_json.known().and_then(|set| set.get(name))) {
        (Flag::Unset, Some(true)) => Some(Flag::On),
        _ => Some(flag),
    }
}

/// Says what a flag will be when the agent is started again.
pub fn later(facts: &HostFacts, flavour: Flavour, name: &str) -> Flag {
    let flag = Flag::of(next(facts, flavour, name).value.as_deref());
    match (&flag, facts.config_json.known().and_then(|set| set.get(name))) {
        (Flag::Unset, Some(true)) if !flavour.has_ecs_init() => Flag::On,
        _ => flag,
    }
}

/// What a check about tasks says where there are none, or where that can't be told.
pub fn no_tasks(facts: &HostFacts, check: &'static Check) -> Finding {
    nothing(facts, check, "no task runs here")
}

/// What a check about containers says where none is concerned, or where they can't be listed.
pub fn nothing(facts: &HostFacts, check: &'static Check, message: &str) -> Finding {
    match facts.containers.unknown() {
        Some(why) => Finding::new(check, Outcome::CannotTell, format!("the containers can't be listed: {why}")),
        None => Finding::new(check, Outcome::NotApplicable, message),
    }
}

/// The agent's configuration.
pub const CONFIG: &[&str] = &["/etc/ecs/ecs.config", "/var/lib/ecs/ecs.config", "/etc/ecs_container_agent"];

/// Where rules are saved, and what brings them back.
pub const SAVED: &[&str] = &[
    "/etc/sysconfig/iptables",
    "/etc/iptables",
    "/etc/ufw",
    "/etc/firewalld",
    "/etc/nftables",
    "/etc/sysconfig/nftables",
    "/etc/systemd/system",
];

/// What a check says of files that are there and can't be read; `None` if all could.
pub fn unread(facts: &HostFacts, check: &'static Check, starts: &[&str]) -> Option<Finding> {
    let (path, why) = facts.unread.iter().find(|(path, _)| starts.iter().any(|start| path.starts_with(start)))?;
    Some(Finding::new(check, Outcome::CannotTell, format!("{path} can't be read: {why}")).at(path, None))
}
