//! Containers, by the API on the engine's socket (facts/ecs.md G.1: paths without a version suit Docker and Podman).

use super::http::ask;
use super::source::Source;
use crate::ecs::environment::Environment;
use crate::ecs::facts::{Container, DockerEngine};
use crate::model::Readable;
use futures_util::StreamExt;
use hyper::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};

/// Where the engine listens, the first that is there.
const SOCKETS: [&str; 3] = ["/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock"];
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many containers are asked about at once.
const AT_ONCE: usize = 16;

/// The engine and its containers, or why there are none.
pub type Found = (Readable<DockerEngine>, Readable<Vec<Container>>);

/// Asks the engine for its containers.
pub async fn gather(source: &Source, endpoint: Option<&str>) -> Found {
    if !source.live && endpoint.is_none() {
        return captured(source);
    }
    let Some(endpoint) = endpoint.map(str::to_owned).or_else(|| socket(source)) else {
        let why = format!("no container engine's socket is there ({})", SOCKETS.join(", "));
        return (Readable::Unknown(why.clone()), Readable::Unknown(why));
    };
    match asked(&endpoint).await {
        Ok((engine, containers)) => (Readable::Known(engine), Readable::Known(containers)),
        Err(why) => {
            let why = format!("{endpoint}: {why}");
            (Readable::Unknown(why.clone()), Readable::Unknown(why))
        }
    }
}

fn socket(source: &Source) -> Option<String> {
    SOCKETS.iter().find(|path| source.exists(path)).map(|path| format!("unix://{path}"))
}

/// Reads what a folder's host answered: the documents of `docker inspect`, as one list.
fn captured(source: &Source) -> Found {
    let engine = match source.captured_json("docker/version.json") {
        Readable::Known(version) => Readable::Known(DockerEngine { endpoint: "captured".into(), version: text(&version, "Version") }),
        Readable::Unknown(why) => Readable::Unknown(why),
    };
    let containers = match source.captured_json("docker/containers.json") {
        Readable::Known(Value::Array(documents)) => Readable::Known(documents.iter().map(container).collect()),
        Readable::Known(_) => Readable::Unknown("docker/containers.json is not a list".into()),
        Readable::Unknown(why) => Readable::Unknown(why),
    };
    (engine, containers)
}

async fn asked(endpoint: &str) -> Result<(DockerEngine, Vec<Container>), String> {
    let version = get(endpoint, "/version").await?;
    let list = get(endpoint, "/containers/json?all=1").await?;
    let interesting = |entry: &&Value| {
        // Of what has ended only the agent says something.
        text(entry, "State") == "running" || is_agent_image(&text(entry, "Image"))
    };
    let ids: Vec<String> = list.as_array().into_iter().flatten().filter(interesting).map(|entry| text(entry, "Id")).collect();
    let documents: Vec<Result<Value, String>> = futures_util::stream::iter(ids)
        .map(|id| async move { get(endpoint, &format!("/containers/{id}/json")).await })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut containers = Vec::new();
    for document in &documents {
        match document {
            Ok(document) => containers.push(container(document)),
            // A container that went away between list and question is none any more; one that can't be looked at is one.
            Err(why) if why.ends_with("answered 404") => {}
            Err(why) => return Err(why.clone()),
        }
    }
    Ok((DockerEngine { endpoint: endpoint.to_owned(), version: text(&version, "Version") }, containers))
}

async fn get(endpoint: &str, path: &str) -> Result<Value, String> {
    let answer = async {
        let (status, body) = match endpoint.split_once("://") {
            Some(("unix", socket)) => {
                let stream = UnixStream::connect(socket).await.map_err(|error| error.to_string())?;
                ask(stream, Method::GET, "docker", path, &[]).await?
            }
            Some(("tcp" | "http", address)) => {
                let stream = TcpStream::connect(address.trim_end_matches('/')).await.map_err(|error| error.to_string())?;
                ask(stream, Method::GET, address, path, &[]).await?
            }
            _ => return Err("an engine's address is unix:///path or tcp://host:port".to_owned()),
        };
        if status != 200 {
            return Err(format!("GET {path} answered {status}"));
        }
        serde_json::from_slice(&body).map_err(|error| format!("GET {path}: {error}"))
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("GET {path}: no answer within {} s", PATIENCE.as_secs())),
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// Says whether an image may be the agent's: its repository ends in `amazon-ecs-agent` (facts A.1).
fn is_agent_image(image: &str) -> bool {
    let image = image.split('@').next().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split(':').next() == Some("amazon-ecs-agent")
}

/// Says whether a container is the agent's own: tasks have ECS's labels, whatever their image is called.
pub fn is_agent(container: &Container) -> bool {
    is_agent_image(&container.image) && !container.labels.contains_key(super::TASK_LABEL)
}

/// Gives the agent's container, the running one first, and of several the one that is called as ecs-init calls it.
pub fn agent_of(containers: &[Container]) -> Option<&Container> {
    let agents = containers.iter().filter(|container| is_agent(container));
    agents.min_by_key(|agent| (!agent.running, agent.name != "ecs-agent"))
}

/// Takes from a document of `docker inspect` what is needed; values of variables stay behind.
fn container(document: &Value) -> Container {
    let (state, config, host) = (&document["State"], &document["Config"], &document["HostConfig"]);
    let networks = document["NetworkSettings"]["Networks"].as_object();
    let addresses = networks.into_iter().flatten().map(|(_, network)| text(network, "IPAddress")).filter(|address| !address.is_empty());
    let labels = config["Labels"].as_object().into_iter().flatten();
    let ours = labels.filter(|(name, _)| name.starts_with("com.amazonaws.ecs."));
    let label = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap_or_default().to_owned());
    let running = state["Running"].as_bool().unwrap_or(false);
    let number = |name: &str| state[name].as_i64();
    let unread = || "not read".to_owned();
    Container {
        id: text(document, "Id"),
        name: text(document, "Name").trim_start_matches('/').to_owned(),
        image: text(config, "Image"),
        running,
        health: state["Health"]["Status"].as_str().map(str::to_owned),
        started: state["StartedAt"].as_str().and_then(seconds),
        exit: number("ExitCode").filter(|_| !running).and_then(|code| i32::try_from(code).ok()),
        pid: number("Pid").and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
        network_mode: network_mode(host, networks),
        pid_mode: text(host, "PidMode"),
        interface: networks.and_then(|networks| networks.iter().find_map(|(name, network)| interface(name, network))),
        addresses: addresses.collect(),
        restart: host["RestartPolicy"]["Name"].as_str().unwrap_or_default().to_owned(),
        labels: ours.map(label).collect::<BTreeMap<_, _>>(),
        environment: Environment::of_texts(config["Env"].as_array().into_iter().flatten().filter_map(Value::as_str)),
        processes: Readable::Unknown(unread()),
        php: Readable::Unknown(unread()),
        profiles: Readable::Unknown(unread()),
        sdks: Readable::Unknown(unread()),
        routes: Readable::Unknown(unread()),
        probe: Readable::Unknown(unread()),
        reaches_imds: Readable::Unknown(unread()),
    }
}

/// The container that this program itself runs in; the task's own labels aren't to be seen from there.
pub fn inside(environment: Environment) -> Container {
    let mut found = container(&serde_json::json!({"Id": "inside", "Name": "/this", "State": {"Running": true}}));
    found.labels.insert(super::TASK_LABEL.to_owned(), "this".to_owned());
    found.environment = environment;
    found
}

/// `default` is Docker's word for what the only network says better.
fn network_mode(host: &Value, networks: Option<&serde_json::Map<String, Value>>) -> String {
    let mode = text(host, "NetworkMode");
    match networks {
        Some(networks) if mode == "default" && networks.len() == 1 => networks.keys().next().cloned().unwrap_or_default(),
        _ => mode,
    }
}

/// The interface of the host behind a network: Docker names it by the network's id, but for its first.
fn interface(name: &str, network: &Value) -> Option<String> {
    match name {
        "bridge" => Some("docker0".to_owned()),
        "podman" => Some("podman0".to_owned()),
        "host" | "none" => None,
        _ => text(network, "NetworkID").get(..12).map(|start| format!("br-{start}")),
    }
}

/// Reads a time of Docker's, to the second; its zero time is no time.
fn seconds(time: &str) -> Option<i64> {
    let time = humantime::parse_rfc3339_weak(&time.replace("+00:00", "Z")).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}
