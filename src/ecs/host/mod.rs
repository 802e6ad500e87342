//! Gathers facts about a container host. It only reads, and never judges: whatever can't be read says why.

pub mod agent;
pub mod docker;
mod http;
pub mod inside;
mod netfilter;
pub mod probe;
mod processes;
mod saved;
pub use saved::ROUTE_LOCALNET;
pub mod sdks;
pub mod source;

use super::environment::RELATIVE_URI;
use super::facts::{Agent, Answer, AwsFacts, Container, HostFacts, Imds, Introspection, Need, RoleFacts, SdksFound, TaskFacts};
use crate::model::Readable;
use sdks::{Limits, Start};
use serde_json::Value;
use source::Source;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The label that names a container's task (facts/ecs.md B.1).
pub const TASK_LABEL: &str = "com.amazonaws.ecs.task-arn";

/// What to gather.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where the container engine answers, if not at its usual place.
    pub docker: Option<String>,
    /// Ask from inside the containers' networks.
    pub probe: bool,
    /// How long to look for SDKs in all containers together.
    pub sdk_search: Duration,
}

/// Gathers everything.
pub async fn gather(source: &Source, wanted: &Wanted) -> HostFacts {
    let asks = source.live && wanted.probe;
    let not_asked = || if source.live { "not asked (--probe never)" } else { "the folder doesn't hold it" }.to_owned();
    let introspection = async {
        match source.live {
            // The agent's own port on the host itself is no probe of a container.
            true => probe::introspection().await,
            false => captured_introspection(source),
        }
    };
    let endpoint = async {
        match source.live {
            true => probe::credentials(None, probe::AGENT).await,
            false => captured_word(source, "endpoint"),
        }
    };
    let imds = async {
        match asks {
            true => probe::imds().await,
            false if source.live => Readable::Unknown(not_asked()),
            false => captured_imds(source),
        }
    };
    let rules = {
        let source = source.clone();
        tokio::task::spawn_blocking(move || netfilter::gather(&source))
    };
    let unit = {
        let source = source.clone();
        tokio::task::spawn_blocking(move || agent::unit(&source))
    };
    let containers = async {
        let (engine, containers) = docker::gather(source, wanted.docker.as_deref()).await;
        match containers {
            Readable::Known(containers) => (engine, Readable::Known(look_into(source, wanted, containers).await)),
            unknown => (engine, unknown),
        }
    };
    let (introspection, endpoint, imds, rules, unit, (docker, containers)) =
        tokio::join!(introspection, endpoint, imds, rules, unit, containers);
    let config = agent::config(source);
    let lost = |error: tokio::task::JoinError| Readable::Unknown(error.to_string());
    let own = processes::named(source, "amazon-ecs-agent")
        .or_else(|| processes::named(source, "agent").filter(|_| source.exists("/usr/bin/amazon-ecs-agent")));
    let facts = HostFacts {
        live: source.live,
        in_task: false,
        unread: BTreeMap::new(),
        root: rustix::process::geteuid().is_root(),
        now: now(source),
        platform: agent::platform(source),
        agent: Agent {
            introspection,
            unit: unit.unwrap_or_else(lost),
            process: own.and_then(|pid| processes::environment(source, pid).known().cloned()),
            endpoint,
        },
        config_json: agent::config_json(source),
        proxies: agent::proxies(source),
        netfilter: rules.unwrap_or_else(|error| {
            let why = error.to_string();
            super::facts::Netfilter { nft: Readable::Unknown(why.clone()), legacy: Readable::Unknown(why) }
        }),
        network: saved::network(source),
        saved: saved::gather(source),
        docker,
        containers,
        logs: agent::logs(source, &config),
        imds,
        aws: captured_aws(source),
        config,
    };
    // Only now is everything read.
    HostFacts { unread: source.unread(), ..facts }
}

/// Gathers what can be seen from inside a container: it is the only one, and its host isn't to be seen.
pub async fn gather_inside(source: &Source, wanted: &Wanted) -> HostFacts {
    let elsewhere = || "it is the host's, and this is the inside of a container".to_owned();
    let mut container = docker::inside(processes::environment(source, 1).known().cloned().unwrap_or_default());
    let own = std::process::id();
    let all = processes::every(source).into_iter().filter(|process| process.pid != own);
    container.processes = Readable::Known(all.collect());
    processes::fill_from(source, &mut container, own);
    // What this program itself was given is what `docker exec` gives, and what the task's definition says.
    if let Some(given) = processes::environment(source, own).known() {
        container.environment = given.clone();
    }
    let asked = async {
        match source.live && wanted.probe {
            true => tokio::join!(probe::credentials(None, probe::ENDPOINT), probe::reaches_imds_here(), probe::imds()),
            false if source.live => {
                let why = || "not asked (--probe never)".to_owned();
                (Readable::Unknown(why()), Readable::Unknown(why()), Readable::Unknown(why()))
            }
            false => {
                let probes = captured_probes(source, std::slice::from_ref(&container));
                let (_, answer, imds) = probes.into_iter().next().unwrap_or((
                    String::new(),
                    Readable::Unknown("the folder doesn't hold it".into()),
                    Readable::Unknown("the folder doesn't hold it".into()),
                ));
                (answer, imds, captured_imds(source))
            }
        }
    };
    let (answer, reaches, imds) = asked.await;
    (container.probe, container.reaches_imds) = (answer, reaches);
    let searched = {
        let source = source.clone();
        let pids: Vec<u32> = container.processes.known().into_iter().flatten().map(|process| process.pid).collect();
        let time = wanted.sdk_search;
        tokio::task::spawn_blocking(move || {
            sdks::find(&source.process_file(own, "root"), &start(&source, &pids), &Limits { time, ..Limits::default() })
        })
    };
    container.sdks = match searched.await {
        Ok(found) => {
            let incomplete = if found.complete { None } else { found.why.or(Some("the search was cut short".into())) };
            Readable::Known(SdksFound { sdks: found.sdks, incomplete })
        }
        Err(error) => Readable::Unknown(error.to_string()),
    };
    HostFacts {
        live: source.live,
        in_task: true,
        unread: BTreeMap::new(),
        root: rustix::process::geteuid().is_root(),
        now: now(source),
        platform: agent::platform(source),
        agent: Agent {
            introspection: Readable::Unknown(elsewhere()),
            unit: Readable::Unknown(elsewhere()),
            process: None,
            endpoint: Readable::Unknown(elsewhere()),
        },
        config: Vec::new(),
        config_json: Readable::Unknown(elsewhere()),
        proxies: Vec::new(),
        netfilter: super::facts::Netfilter { nft: Readable::Unknown(elsewhere()), legacy: Readable::Unknown(elsewhere()) },
        network: super::facts::Network {
            route_localnet: Readable::Unknown(elsewhere()),
            routes: Readable::Unknown(elsewhere()),
            on_51679: Readable::Unknown(elsewhere()),
        },
        saved: super::facts::Saved { rules: Vec::new(), route_localnet: Vec::new(), enabled: Vec::new() },
        docker: Readable::Unknown(elsewhere()),
        containers: Readable::Known(vec![container]),
        logs: super::facts::Logs { audit: Readable::Unknown(elsewhere()), telling: Vec::new() },
        imds,
        aws: Readable::Unknown("AWS wasn't asked: it is for the host's side (--profile)".into()),
    }
}

/// Says whether this program runs inside a container of a task: only there ECS's own variables are, and no engine's socket.
pub fn is_inside(source: &Source) -> bool {
    let own = processes::environment(source, std::process::id());
    let given = own
        .known()
        .is_some_and(|own| ["ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI", RELATIVE_URI].iter().any(|name| own.has(name)));
    given && !source.exists("/var/run/docker.sock")
}

/// The time: for a folder, the time that it was made at.
fn now(source: &Source) -> i64 {
    let captured = source.captured("time.txt").and_then(|text| text.trim().parse().ok());
    captured.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed()))
}

/// Reads processes, files and SDKs of the containers, and asks from inside their networks.
async fn look_into(source: &Source, wanted: &Wanted, mut containers: Vec<Container>) -> Vec<Container> {
    let ids: Vec<String> = containers.iter().filter(|container| container.running).map(|container| container.id.clone()).collect();
    let mut processes = processes::of_containers(source, &ids);
    for container in containers.iter_mut().filter(|container| container.running && container.pid > 0) {
        container.processes = match processes.remove(&container.id) {
            Some(found) => Readable::Known(found),
            // An engine elsewhere numbers its processes as it likes: a number alone is nobody's.
            None => {
                container.pid = 0;
                container.processes = Readable::Unknown("no process of it is to be seen in /proc".into());
                continue;
            }
        };
        processes::fill(source, container);
    }
    share_network(&mut containers);
    let probed = async {
        match source.live {
            true if wanted.probe => ask_from_inside(source, &containers).await,
            true => Vec::new(),
            false => captured_probes(source, &containers),
        }
    };
    let (probed, sdks) = tokio::join!(probed, sdks_of(source, wanted, &containers));
    for (id, answer, imds) in probed {
        for container in containers.iter_mut().filter(|container| container.id == id) {
            (container.probe, container.reaches_imds) = (answer.clone(), imds.clone());
        }
    }
    for (id, found) in sdks {
        for container in containers.iter_mut().filter(|container| container.id == id) {
            container.sdks = Readable::Known(found.clone());
        }
    }
    if source.live && !wanted.probe {
        for container in &mut containers {
            container.probe = Readable::Unknown("not asked (--probe never)".into());
            container.reaches_imds = Readable::Unknown("not asked (--probe never)".into());
        }
    }
    containers
}

/// A container in another's network has that one's addresses; awsvpc's arrive by `ecs-bridge` (facts B.4).
fn share_network(containers: &mut [Container]) {
    let owners: BTreeMap<String, (String, Option<String>, Vec<String>)> = containers
        .iter()
        .map(|owner| (owner.id.clone(), (owner.network_mode.clone(), owner.interface.clone(), owner.addresses.clone())))
        .collect();
    for container in containers {
        let Some(owner) = container.network_mode.strip_prefix("container:").and_then(|id| owners.get(id)) else { continue };
        let (mode, interface, addresses) = owner;
        container.interface = if mode == "none" { Some("ecs-bridge".to_owned()) } else { interface.clone() };
        container.addresses.clone_from(addresses);
    }
}

/// Asks side by side, once for each network.
async fn ask_from_inside(source: &Source, containers: &[Container]) -> Vec<(String, Readable<Answer>, Readable<bool>)> {
    let tasks = containers.iter().filter(|container| container.pid > 0 && container.labels.contains_key(TASK_LABEL));
    let mut networks: BTreeMap<String, Vec<&Container>> = BTreeMap::new();
    for container in tasks {
        let path = source.process_file(container.pid, "ns/net");
        let name = std::fs::read_link(&path).map_or_else(|_| container.id.clone(), |link| link.display().to_string());
        networks.entry(name).or_default().push(container);
    }
    // The agent answers 40 questions a second, of tasks and of ours together (facts A.2).
    let asked = networks.into_values().enumerate().map(|(number, members)| async move {
        tokio::time::sleep(Duration::from_millis(50) * u32::try_from(number.saturating_sub(19)).unwrap_or(0)).await;
        let path = members.first().map(|member| source.process_file(member.pid, "ns/net"))?;
        let (answer, imds) = tokio::join!(probe::credentials(Some(path.clone()), probe::ENDPOINT), probe::reaches_imds(path.clone()));
        Some((path, members, answer, imds))
    });
    let mut asked: Vec<_> = futures_util::future::join_all(asked).await.into_iter().flatten().collect();
    // Where others are answered, who is silent is asked once more: a busy host loses a packet now and then, and that is no finding.
    if asked.iter().any(|(_, _, answer, _)| matches!(answer, Readable::Known(Answer::Agent))) {
        let silent = |answer: &Readable<Answer>| matches!(answer, Readable::Known(Answer::TimedOut | Answer::SomethingElse(0)));
        let again = asked.iter_mut().filter(|(_, _, answer, _)| silent(answer)).map(|(path, _, answer, _)| async move {
            *answer = probe::credentials(Some(path.clone()), probe::ENDPOINT).await;
        });
        futures_util::future::join_all(again).await;
    }
    let told = |(_, members, answer, imds): (PathBuf, Vec<&Container>, Readable<Answer>, Readable<bool>)| {
        members.into_iter().map(|member| (member.id.clone(), answer.clone(), imds.clone())).collect::<Vec<_>>()
    };
    asked.into_iter().flat_map(told).collect()
}

/// Looks for SDKs, once for each image, within the time that there is.
async fn sdks_of(source: &Source, wanted: &Wanted, containers: &[Container]) -> Vec<(String, SdksFound)> {
    let mut images: BTreeMap<String, Vec<&Container>> = BTreeMap::new();
    for container in containers.iter().filter(|container| container.pid > 0 && container.labels.contains_key(TASK_LABEL)) {
        images.entry(container.image.clone()).or_default().push(container);
    }
    let time = wanted.sdk_search / u32::try_from(images.len().div_ceil(2)).unwrap_or(u32::MAX).max(1);
    let searches = images.into_values().map(|members| {
        let first = members.first().map(|member| (member.pid, member.processes.known().cloned().unwrap_or_default()));
        let ids: Vec<String> = members.iter().map(|member| member.id.clone()).collect();
        let source = source.clone();
        async move {
            let (pid, processes) = first?;
            let search = tokio::task::spawn_blocking(move || {
                let pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
                sdks::find(&source.process_file(pid, "root"), &start(&source, &pids), &Limits { time, ..Limits::default() })
            });
            let found = search.await.ok()?;
            let found = SdksFound {
                sdks: found.sdks,
                incomplete: if found.complete { None } else { found.why.or(Some("the search was cut short".into())) },
            };
            Some(ids.into_iter().map(|id| (id, found.clone())).collect::<Vec<_>>())
        }
    });
    // Two processors search; more at once would only share the time of each.
    let found: Vec<_> = futures_util::StreamExt::collect(futures_util::StreamExt::buffered(futures_util::stream::iter(searches), 2)).await;
    found.into_iter().flatten().flatten().collect()
}

/// Where a search starts: what the processes run, and where they stand.
fn start(source: &Source, pids: &[u32]) -> Start {
    let mut start = Start::default();
    for pid in pids {
        let link = |name: &str| std::fs::read_link(source.process_file(*pid, name)).ok().and_then(|path| path.to_str().map(str::to_owned));
        start.executables.extend(link("exe"));
        start.folders.extend(link("cwd"));
        let arguments = std::fs::read(source.process_file(*pid, "cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        start.arguments.extend(arguments.split('\0').filter(|argument| !argument.is_empty()).map(str::to_owned));
        let maps = std::fs::read_to_string(source.process_file(*pid, "maps")).unwrap_or_default();
        start.maps.extend(maps.lines().filter_map(|line| line.find('/').map(|at| line[at..].to_owned())));
    }
    start.maps.sort();
    start.maps.dedup();
    start
}

fn captured_introspection(source: &Source) -> Readable<Introspection> {
    match source.captured("agent/metadata.json") {
        None => Readable::Unknown("the folder doesn't hold it".into()),
        Some(text) if text.trim() == "refused" => Readable::Known(Introspection::Refused),
        Some(text) => Readable::Known(probe::introspected(200, text.as_bytes())),
    }
}

fn captured_word(source: &Source, name: &str) -> Readable<Answer> {
    let word = source.captured(&format!("agent/{name}.txt"));
    match word.as_deref().map(str::trim).map(probe::answer_of_word) {
        Some(Some(answer)) => Readable::Known(answer),
        Some(None) => Readable::Unknown(format!("agent/{name}.txt is no answer")),
        None => Readable::Unknown("the folder doesn't hold it".into()),
    }
}

fn captured_imds(source: &Source) -> Readable<Imds> {
    match source.captured_json("imds.json") {
        Readable::Known(value) => Readable::Known(Imds {
            token_required: value["tokenRequired"].as_bool().unwrap_or(false),
            role: value["role"].as_str().map(str::to_owned),
        }),
        Readable::Unknown(why) => Readable::Unknown(why),
    }
}

/// Reads what AWS said of the tasks of a folder's host.
fn captured_aws(source: &Source) -> Readable<AwsFacts> {
    if source.live {
        return Readable::Unknown("AWS wasn't asked (--profile)".into());
    }
    let value = match source.captured_json("aws.json") {
        Readable::Known(value) => value,
        Readable::Unknown(why) => return Readable::Unknown(why),
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let task = |value: &Value| TaskFacts {
        definition: text(&value["definition"]).unwrap_or_default(),
        task_role: text(&value["taskRole"]),
        overridden: value["overridden"].as_bool().unwrap_or(false),
        execution_role: text(&value["executionRole"]),
    };
    let role = |value: &Value| RoleFacts {
        trust: value["trust"].clone(),
        policies: match value["policies"].as_array() {
            Some(policies) => Readable::Known(policies.clone()),
            None => Readable::Unknown("aws.json doesn't hold them".into()),
        },
        boundary: Readable::Known(Some(value["boundary"].clone()).filter(|boundary| !boundary.is_null())),
    };
    let need = |value: &Value| Need {
        action: text(&value["action"]).unwrap_or_default(),
        resource: text(&value["resource"]).unwrap_or_default(),
        second: BTreeMap::new(),
    };
    let members = |name: &str| value[name].as_object().cloned().unwrap_or_default();
    Readable::Known(AwsFacts {
        account: text(&value["account"]).unwrap_or_default(),
        region: text(&value["region"]).unwrap_or_default(),
        partition: text(&value["partition"]).unwrap_or_else(|| "aws".to_owned()),
        tasks: members("tasks").iter().map(|(arn, value)| (arn.clone(), Readable::Known(task(value)))).collect(),
        roles: members("roles")
            .iter()
            .map(|(arn, value)| (arn.clone(), Readable::Known((!value.is_null()).then(|| role(value)))))
            .collect(),
        attributes: match value["attributes"].as_array() {
            Some(names) => Readable::Known(names.iter().filter_map(text).collect()),
            None => Readable::Unknown("aws.json doesn't hold them".into()),
        },
        needs: value["needs"].as_array().into_iter().flatten().map(need).collect(),
    })
}

fn captured_probes(source: &Source, containers: &[Container]) -> Vec<(String, Readable<Answer>, Readable<bool>)> {
    let captured = source.captured_json("probes.json");
    let Some(probes) = captured.known() else { return Vec::new() };
    let one = |container: &Container| {
        let probe: &Value = probes.get(&container.name)?;
        let answer = probe["endpoint"].as_str().and_then(probe::answer_of_word);
        let answer = answer.map_or_else(|| Readable::Unknown("probes.json holds no answer for it".into()), Readable::Known);
        let imds = probe["imds"].as_bool().map_or_else(|| Readable::Unknown("probes.json holds no answer for it".into()), Readable::Known);
        Some((container.id.clone(), answer, imds))
    };
    containers.iter().filter_map(one).collect()
}
