//! The agent: what it says, its unit, its configuration as each reader takes it, its logs.

use super::source::Source;
use crate::ecs::environment::Environment;
use crate::ecs::facts::{ConfigFile, HostFacts, Logs, Platform, ProxyOf, ProxyPlace, Unit};
use crate::ecs::parse::{audit_log, env_files, settings};
use crate::model::Readable;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where ecs-init is installed, by package (facts/ecs.md A.1).
const ECS_INIT: [&str; 3] = ["/usr/libexec/amazon-ecs-init", "/usr/sbin/amazon-ecs-init", "/usr/lib/amazon-ecs-init"];
/// The units that run the agent.
const UNITS: [&str; 2] = ["ecs", "amazon-ecs"];
/// The configuration, in the order in which later files win (facts A.2).
const CONFIG: [&str; 2] = ["/var/lib/ecs/ecs.config", "/etc/ecs/ecs.config"];
/// The agent's JSON file: under ecs-init, and by itself.
const CONFIG_JSON: [&str; 2] = ["/etc/ecs/ecs.config.json", "/etc/ecs_container_agent/config.json"];
const LOGS: &str = "/var/log/ecs";

/// Reads what kind of host it is.
pub fn platform(source: &Source) -> Platform {
    let release = source.text("/etc/os-release").known().cloned().flatten();
    let release = settings::os_release(&release.unwrap_or_else(|| source.text_or_nothing("/usr/lib/os-release")));
    let get = |name: &str| release.get(name).cloned().unwrap_or_default();
    Platform {
        id: get("ID"),
        version: get("VERSION_ID"),
        name: get("PRETTY_NAME"),
        like: get("ID_LIKE"),
        systemd: source.exists("/run/systemd/system") || (!source.live && source.exists("/etc/systemd/system")),
        ecs_init: ECS_INIT.iter().find(|path| source.exists(path)).map(|path| (*path).to_owned()),
    }
}

/// Reads the agent's unit; `None` if the host has none.
pub fn unit(source: &Source) -> Readable<Option<Unit>> {
    let file = |name: &str| {
        ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system"]
            .map(|folder| format!("{folder}/{name}.service"))
    };
    let Some(name) = UNITS.iter().find(|name| file(name).iter().any(|path| source.exists(path))) else {
        return Readable::Known(None);
    };
    let asked = ["show", name, "--property=ActiveState,ExecMainStatus"];
    match source.output("systemctl", &asked, "systemctl-ecs.txt") {
        Readable::Known(text) => {
            let get = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
            match get("ActiveState") {
                Some(state) => {
                    let exit = get("ExecMainStatus").and_then(|code| code.parse().ok());
                    Readable::Known(Some(Unit { name: (*name).to_owned(), state, exit }))
                }
                None => Readable::Unknown("systemctl says nothing of it".into()),
            }
        }
        Readable::Unknown(why) => Readable::Unknown(why),
    }
}

/// Reads the configuration files that are there.
pub fn config(source: &Source) -> Vec<ConfigFile> {
    let file = |path: &&str| {
        let text = source.text(path).known().cloned().flatten()?;
        Some(ConfigFile {
            path: (*path).to_owned(),
            modified: source.modified(path),
            ecs_init: Environment::of(&env_files::ecs_init(&text)),
            systemd: Environment::of(&env_files::systemd(&text)),
            docker: env_files::docker(&text).map(|entries| Environment::of(&entries)),
        })
    };
    CONFIG.iter().filter_map(file).collect()
}

/// Reads the flags of the agent's JSON file.
pub fn config_json(source: &Source) -> Readable<BTreeMap<String, bool>> {
    let fields = [
        ("TaskIAMRoleEnabled", crate::ecs::environment::TASK_ROLE),
        ("TaskIAMRoleEnabledForNetworkHost", crate::ecs::environment::TASK_ROLE_HOST),
    ];
    for path in CONFIG_JSON {
        match source.text(path) {
            Readable::Known(None) => {}
            Readable::Known(Some(text)) => {
                return match serde_json::from_str::<Value>(&text) {
                    Ok(value) => {
                        let set = fields.iter().filter_map(|(field, name)| Some(((*name).to_owned(), value[*field].as_bool()?)));
                        Readable::Known(set.collect())
                    }
                    Err(error) => Readable::Unknown(format!("{path} is not JSON: {error}")),
                };
            }
            Readable::Unknown(why) => return Readable::Unknown(why),
        }
    }
    Readable::Known(BTreeMap::new())
}

/// Reads every place of facts A.4 but the configuration itself.
pub fn proxies(source: &Source) -> Vec<ProxyPlace> {
    let mut found = Vec::new();
    let mut add = |whose, path: String, read: fn(&str) -> Vec<env_files::Entry>| {
        if let Readable::Known(Some(text)) = source.text(&path) {
            let sets = Environment::of(&read(&text));
            if sets.proxy().is_some() || sets.no_proxy().is_some() {
                found.push(ProxyPlace { whose, path, sets });
            }
        }
    };
    for (whose, unit) in [(ProxyOf::EcsInit, "ecs"), (ProxyOf::EcsInit, "amazon-ecs"), (ProxyOf::Docker, "docker")] {
        let folder = format!("/etc/systemd/system/{unit}.service.d");
        for name in source.names(&folder).into_iter().filter(|name| name.ends_with(".conf")) {
            add(whose, format!("{folder}/{name}"), env_files::unit);
        }
    }
    add(ProxyOf::EcsInit, "/etc/init/ecs.override".into(), env_files::upstart);
    add(ProxyOf::Docker, "/etc/sysconfig/docker".into(), env_files::shell);
    add(ProxyOf::Everybody, "/etc/network/proxy.env".into(), env_files::shell);
    found
}

/// What in a log line explains something (facts C.4).
const TELLING: [&str; 12] = [
    "Invalid format for \"ECS_",
    "Credentials not found",
    "Credentials uninitialized",
    "Unable to get credentials for task",
    "Task IAM Role not enabled due to unsuppported Docker version",
    "Error running introspection endpoint",
    "address already in use",
    "could not enable loopback routing",
    "could not create route to the credentials proxy",
    "Error searching 'iptables' executable",
    "Error performing action 'append' for iptables route",
    "agent exited with terminal exit code",
];
/// How much of a log's end is read for them.
const TAIL: usize = 256 << 10;

/// Reads the logs.
pub fn logs(source: &Source, config: &[ConfigFile]) -> Logs {
    let mut telling = Vec::new();
    for name in ["ecs-agent.log", "ecs-init.log"] {
        let path = format!("{LOGS}/{name}");
        let text = source.text_or_nothing(&path);
        let mut start = text.len().saturating_sub(TAIL);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        for sign in TELLING {
            let count = text[start..].matches(sign).count();
            if count > 0 {
                telling.push((path.clone(), sign, count));
            }
        }
    }
    Logs { audit: audit(source, config), telling }
}

/// Reads the audit log with what was rotated away from it.
fn audit(source: &Source, config: &[ConfigFile]) -> Readable<audit_log::Summary> {
    let told = |name: &str| config.iter().rev().find_map(|file| file.ecs_init.told(name));
    if told("ECS_AUDIT_LOGFILE_DISABLED").and_then(env_files::go_bool) == Some(true) {
        return Readable::Unknown("ECS_AUDIT_LOGFILE_DISABLED is on".into());
    }
    // The path is the container's, where `/log` is the host's folder.
    let path = told("ECS_AUDIT_LOGFILE").map(|path| path.replacen("/log/", &format!("{LOGS}/"), 1));
    let path = path.unwrap_or_else(|| format!("{LOGS}/audit.log"));
    let (folder, base) = path.rsplit_once('/').unwrap_or(("", &path));
    let mut lines = Vec::new();
    let mut seen = false;
    for name in source.names(folder).into_iter().filter(|name| name.starts_with(base)) {
        match source.text(&format!("{folder}/{name}")) {
            Readable::Known(Some(text)) => {
                seen = true;
                lines.extend(text.lines().filter_map(audit_log::parse));
            }
            Readable::Known(None) => {}
            Readable::Unknown(why) => return Readable::Unknown(why),
        }
    }
    match seen {
        true => Readable::Known(audit_log::summary(&lines, super::http::USER_AGENT)),
        false => Readable::Unknown(format!("{path} isn't there")),
    }
}

/// What the agent's container got, or its process where it is none.
pub fn given(facts: &HostFacts) -> Option<&Environment> {
    let agent = facts.containers.known().and_then(|containers| super::docker::agent_of(containers));
    agent.filter(|agent| agent.running).map(|container| &container.environment).or(facts.agent.process.as_ref())
}
