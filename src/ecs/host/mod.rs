//! Gathers facts about a container host. It only reads, and never judges: whatever can't be read says why.

pub mod agent;
pub mod docker;
mod http;
pub mod inside;
mod netfilter;
mod patience;
pub mod probe;
mod processes;
mod saved;
pub use saved::ROUTE_LOCALNET;
pub mod sdks;
pub mod source;

use super::environment::{Environment, RELATIVE_URI};
use super::facts::{Agent, Answer, AwsFacts, Container, HostFacts, Imds, Introspection, Need, RoleFacts, SdksFound, TaskFacts};
use crate::model::Readable;
use patience::{too_long, within};
use processes::{Files, PATIENCE};
use sdks::{Limits, Start};
use serde_json::Value;
use source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The label that names a container's task (facts/ecs.md B.1).
pub const TASK_LABEL: &str = "com.amazonaws.ecs.task-arn";

/// How many containers are looked into at once: those that never answer must not keep the others waiting.
const AT_ONCE: usize = 25;
/// What a search may take beyond its time, which it looks at between two files.
const GRACE: Duration = Duration::from_millis(500);

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
    let own = {
        let source = source.clone();
        within(PATIENCE, move || own_agent(&source)).await.flatten()
    };
    let network = {
        let source = source.clone();
        within(PATIENCE, move || saved::network(&source)).await.unwrap_or_else(|| saved::unread(&too_long(PATIENCE)))
    };
    let facts = HostFacts {
        live: source.live,
        in_task: false,
        unread: BTreeMap::new(),
        root: rustix::process::geteuid().is_root(),
        now: now(source),
        platform: agent::platform(source),
        agent: Agent { introspection, unit: unit.unwrap_or_else(lost), process: own, endpoint },
        config_json: agent::config_json(source),
        proxies: agent::proxies(source),
        netfilter: rules.unwrap_or_else(|error| {
            let why = error.to_string();
            super::facts::Netfilter { nft: Readable::Unknown(why.clone()), legacy: Readable::Unknown(why) }
        }),
        network,
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

/// Finds the agent where it is a process of the host's own, and gives its environment. Any process may call itself so.
fn own_agent(source: &Source) -> Option<Environment> {
    let pid = processes::named(source, "amazon-ecs-agent")
        .or_else(|| processes::named(source, "agent").filter(|_| source.exists("/usr/bin/amazon-ecs-agent")))?;
    processes::environment(source, pid).known().cloned()
}

/// Gathers what can be seen from inside a container: it is the only one, and its host isn't to be seen.
pub async fn gather_inside(source: &Source, wanted: &Wanted) -> HostFacts {
    let elsewhere = || "it is the host's, and this is the inside of a container".to_owned();
    let mut container = docker::inside(processes::environment(source, 1).known().cloned().unwrap_or_default());
    let own = std::process::id();
    let others = processes::every(source).into_iter().filter(|pid| *pid != own).collect();
    look_into_one(source, &mut container, own, others).await;
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
    let pids: Vec<u32> = container.processes.known().into_iter().flatten().map(|process| process.pid).collect();
    container.sdks = Readable::Known(search(source, own, pids, wanted.sdk_search).await);
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
    let mut pids = processes::of_containers(source, &ids);
    let looks = containers.iter_mut().filter(|container| container.running && container.pid > 0).map(|container| {
        let own = pids.remove(&container.id).unwrap_or_default();
        async move {
            // An engine elsewhere numbers its processes as it likes, and a number is given again: only the control group says whose it is.
            if !own.contains(&container.pid) {
                container.pid = own.iter().copied().min().unwrap_or(0);
            }
            if container.pid == 0 {
                container.processes = Readable::Unknown("no process of it is to be seen in /proc".into());
                return;
            }
            let pid = container.pid;
            look_into_one(source, container, pid, own).await;
        }
    });
    futures_util::StreamExt::for_each_concurrent(futures_util::stream::iter(looks), AT_ONCE, |look| look).await;
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

/// Reads the processes of one container, and its files as one of them sees them.
async fn look_into_one(source: &Source, container: &mut Container, pid: u32, pids: Vec<u32>) {
    let (own, given) = (source.clone(), container.environment.clone());
    let looked = within(PATIENCE, move || {
        let processes = processes::all(&own, &pids);
        let files = Files::read(&own, pid, &given, processes.as_deref().unwrap_or_default());
        (processes, files)
    });
    let (processes, files) = looked.await.unwrap_or_else(|| (Err(too_long(PATIENCE)), Files::unknown(&too_long(PATIENCE))));
    container.processes = processes.map_or_else(Readable::Unknown, Readable::Known);
    (container.routes, container.profiles, container.php) = (files.routes, files.profiles, files.php);
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

/// The network of a process of this host's, as a file to be opened.
fn network_of(pid: u32) -> PathBuf {
    format!("/proc/{pid}/ns/net").into()
}

/// Asks side by side, once for each network.
async fn ask_from_inside(source: &Source, containers: &[Container]) -> Vec<(String, Readable<Answer>, Readable<bool>)> {
    let tasks = containers.iter().filter(|container| container.pid > 0 && container.labels.contains_key(TASK_LABEL));
    let mut networks: BTreeMap<String, Vec<&Container>> = BTreeMap::new();
    for container in tasks {
        let name = source.link_of_process(container.pid, "ns/net").unwrap_or_else(|| container.id.clone());
        networks.entry(name).or_default().push(container);
    }
    // The agent answers 40 questions a second, of tasks and of ours together (facts A.2).
    let asked = networks.into_values().enumerate().map(|(number, members)| async move {
        tokio::time::sleep(Duration::from_millis(50) * u32::try_from(number.saturating_sub(19)).unwrap_or(0)).await;
        let path = members.first().map(|member| network_of(member.pid))?;
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
        async move {
            let (pid, processes) = first?;
            let found = search(source, pid, processes.iter().map(|process| process.pid).collect(), time).await;
            Some(ids.into_iter().map(|id| (id, found.clone())).collect::<Vec<_>>())
        }
    });
    // Two processors search; more at once would only share the time of each.
    let found: Vec<_> = futures_util::StreamExt::collect(futures_util::StreamExt::buffered(futures_util::stream::iter(searches), 2)).await;
    found.into_iter().flatten().flatten().collect()
}

/// Looks for SDKs in one root, no longer than this, however slow its files are.
async fn search(source: &Source, pid: u32, pids: Vec<u32>, time: Duration) -> SdksFound {
    let own = source.clone();
    let searched = within(time.saturating_add(GRACE), move || {
        let root = own.root_of(pid);
        sdks::find(&root, &start(&own, &pids), &Limits { time, ..Limits::default() })
    });
    match searched.await {
        Some(found) => {
            let incomplete = if found.complete { None } else { found.why.or(Some("the search was cut short".into())) };
            SdksFound { sdks: found.sdks, incomplete }
        }
        None => SdksFound { sdks: Vec::new(), incomplete: Some(too_long(time)) },
    }
}

/// The largest command line that is looked through, and the largest list of mapped files.
const LARGEST_ARGUMENTS: usize = 64 << 10;
const LARGEST_MAPS: usize = 4 << 20;
/// The most processes that a search starts from, and the most arguments and mapped files that they have.
const MOST_STARTS: usize = 200;
const MOST_WORDS: usize = 5_000;

/// Where a search starts: what the processes run, and where they stand.
fn start(source: &Source, pids: &[u32]) -> Start {
    let mut start = Start::default();
    let mut maps = BTreeSet::new();
    for pid in pids.iter().take(MOST_STARTS) {
        start.executables.extend(source.link_of_process(*pid, "exe"));
        start.folders.extend(source.link_of_process(*pid, "cwd"));
        let text =
            |name: &str, limit: usize| String::from_utf8_lossy(&source.head_of_process(*pid, name, limit).unwrap_or_default()).into_owned();
        let arguments = text("cmdline", LARGEST_ARGUMENTS);
        let words = arguments.split('\0').filter(|argument| !argument.is_empty()).map(str::to_owned);
        start.arguments.extend(words.take(MOST_WORDS.saturating_sub(start.arguments.len())));
        if maps.len() < MOST_WORDS {
            let lines = text("maps", LARGEST_MAPS);
            maps.extend(lines.lines().filter_map(|line| line.find('/').map(|at| line[at..].to_owned())).take(MOST_WORDS));
        }
    }
    start.maps = maps.into_iter().collect();
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
