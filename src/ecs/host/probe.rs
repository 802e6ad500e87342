//! What answers from inside a container's network: a question without an id, so that no secret is fetched (facts/ecs.md 0.7).

use super::http::ask;
use crate::ecs::facts::{Answer, Imds, Introspection};
use crate::model::Readable;
use hyper::Method;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use std::fs::File;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

/// How long a connection, and then an answer, may take. With a second try, a dead endpoint is told within 3 s.
const PATIENCE: Duration = Duration::from_millis(1200);
/// The instance's own service answers at once or never.
const IMDS_PATIENCE: Duration = Duration::from_millis(700);

/// The credentials' address, seen by a task.
pub const ENDPOINT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 170, 2)), 80);
/// The same server, seen by the host.
pub const AGENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 51679);
/// The agent's other server.
const INTROSPECTION: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 51678);
const IMDS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254)), 80);

/// How a connection ended before anything was said.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Silent {
    Refused,
    Unreachable,
    TimedOut,
    /// The namespace can't be entered, or the system said something else.
    Failed(String),
}

/// Connects, in the network of a process if one is given; the socket stays in that network.
async fn connect(namespace: Option<PathBuf>, address: SocketAddr, patience: Duration) -> Result<tokio::net::TcpStream, Silent> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // A thread of its own: it stays in the namespace until it ends.
    let spawned = std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
        let _ = sender.send(connect_here(namespace, address, patience));
    });
    spawned.map_err(|error| Silent::Failed(error.to_string()))?;
    let stream = receiver.await.map_err(|error| Silent::Failed(error.to_string()))??;
    stream.set_nonblocking(true).and_then(|()| tokio::net::TcpStream::from_std(stream)).map_err(|error| Silent::Failed(error.to_string()))
}

fn connect_here(namespace: Option<PathBuf>, address: SocketAddr, patience: Duration) -> Result<TcpStream, Silent> {
    if let Some(path) = namespace {
        let failed = |error: String| Silent::Failed(format!("{}: {error}", path.display()));
        let file = File::open(&path).map_err(|error| failed(error.to_string()))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(|error| failed(error.to_string()))?;
    }
    TcpStream::connect_timeout(&address, patience).map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => Silent::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Silent::TimedOut,
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => Silent::Unreachable,
        _ => Silent::Failed(error.to_string()),
    })
}

/// Asks for credentials without an id at an address.
pub async fn credentials(namespace: Option<PathBuf>, address: SocketAddr) -> Readable<Answer> {
    let stream = match connect(namespace, address, PATIENCE).await {
        Ok(stream) => stream,
        Err(Silent::Refused) => return Readable::Known(Answer::Refused),
        Err(Silent::Unreachable) => return Readable::Known(Answer::Unreachable),
        Err(Silent::TimedOut) => return Readable::Known(Answer::TimedOut),
        Err(Silent::Failed(why)) => return Readable::Unknown(why),
    };
    let host = address.ip().to_string();
    match tokio::time::timeout(PATIENCE, ask(stream, Method::GET, &host, "/v2/credentials/", &[])).await {
        Ok(Ok((status, body))) => Readable::Known(answer(status, &body)),
        Ok(Err(_)) => Readable::Known(Answer::SomethingElse(0)),
        Err(_) => Readable::Known(Answer::TimedOut),
    }
}

fn answer(status: u16, body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match status {
        400 if body["code"] == "NoIdInRequest" => Answer::Agent,
        429 => Answer::Throttled,
        200 if body["AvailableCommands"].is_array() => Answer::Introspection,
        other => Answer::SomethingElse(other),
    }
}

/// Says whether the instance metadata service answers from a container's network; the token that it gives is dropped unread.
pub async fn reaches_imds(namespace: PathBuf) -> Readable<bool> {
    reached(token(Some(namespace)).await)
}

/// The same, from where this program runs.
pub async fn reaches_imds_here() -> Readable<bool> {
    reached(token(None).await)
}

fn reached(answer: Result<Option<String>, Silent>) -> Readable<bool> {
    match answer {
        Ok(Some(_)) => Readable::Known(true),
        // Without tokens the old way may be open: any answer is one.
        Ok(None) => Readable::Known(true),
        Err(Silent::Failed(why)) => Readable::Unknown(why),
        Err(_) => Readable::Known(false),
    }
}

/// Asks for a token that lives a second; `None` if something answers, but gives none.
async fn token(namespace: Option<PathBuf>) -> Result<Option<String>, Silent> {
    let stream = connect(namespace, IMDS, IMDS_PATIENCE).await?;
    let headers = [("X-aws-ec2-metadata-token-ttl-seconds", "5")];
    match tokio::time::timeout(IMDS_PATIENCE, ask(stream, Method::PUT, "169.254.169.254", "/latest/api/token", &headers)).await {
        Ok(Ok((200, body))) => Ok(Some(String::from_utf8_lossy(&body).into_owned())),
        Ok(Ok(_)) => Ok(None),
        Ok(Err(why)) => Err(Silent::Failed(why)),
        // A hop limit too small lets the connection through and loses the answer (facts C.2).
        Err(_) => Err(Silent::TimedOut),
    }
}

/// Asks the instance what it is, from the host.
pub async fn imds() -> Readable<Imds> {
    let token = match token(None).await {
        Ok(token) => token,
        Err(silent) => return Readable::Unknown(format!("the instance metadata service doesn't answer ({silent:?})")),
    };
    let get = |path: &'static str, token: Option<String>| async move {
        let stream = connect(None, IMDS, IMDS_PATIENCE).await.ok()?;
        let headers: Vec<(&str, &str)> = token.iter().map(|token| ("X-aws-ec2-metadata-token", token.as_str())).collect();
        tokio::time::timeout(IMDS_PATIENCE, ask(stream, Method::GET, "169.254.169.254", path, &headers)).await.ok()?.ok()
    };
    let role = "/latest/meta-data/iam/security-credentials/";
    let (with, without) = tokio::join!(get(role, token), get(role, None));
    let Some((status, body)) = with else { return Readable::Unknown("the instance metadata service doesn't answer".into()) };
    let name = String::from_utf8_lossy(&body).lines().next().map(|name| name.trim().to_owned());
    Readable::Known(Imds {
        token_required: without.is_some_and(|(status, _)| status == 401),
        role: name.filter(|name| status == 200 && !name.is_empty()),
    })
}

/// Asks the agent what it is (facts B.1): a 200 alone is no proof.
pub async fn introspection() -> Readable<Introspection> {
    let stream = match connect(None, INTROSPECTION, PATIENCE).await {
        Ok(stream) => stream,
        Err(Silent::Refused) => return Readable::Known(Introspection::Refused),
        Err(silent) => return Readable::Unknown(format!("port 51678: {silent:?}")),
    };
    match tokio::time::timeout(PATIENCE, ask(stream, Method::GET, "127.0.0.1", "/v1/metadata", &[])).await {
        Ok(Ok((status, body))) => Readable::Known(introspected(status, &body)),
        Ok(Err(why)) => Readable::Known(Introspection::SomethingElse(why)),
        Err(_) => Readable::Known(Introspection::SomethingElse("it doesn't answer".into())),
    }
}

/// Reads the agent's answer about itself.
pub fn introspected(status: u16, body: &[u8]) -> Introspection {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(version) = body["Version"].as_str().and_then(|text| text.strip_prefix("Amazon ECS Agent - v")) else {
        return Introspection::SomethingElse(format!("status {status}, not the agent's answer"));
    };
    Introspection::Agent {
        cluster: body["Cluster"].as_str().unwrap_or_default().to_owned(),
        instance: body["ContainerInstanceArn"].as_str().filter(|arn| !arn.is_empty()).map(str::to_owned),
        version: version.split(' ').next().unwrap_or_default().to_owned(),
    }
}

/// Reads an answer's word of a bundle.
pub fn answer_of_word(word: &str) -> Option<Answer> {
    Some(match word {
        "agent" => Answer::Agent,
        "throttled" => Answer::Throttled,
        "introspection" => Answer::Introspection,
        "refused" => Answer::Refused,
        "unreachable" => Answer::Unreachable,
        "timed-out" => Answer::TimedOut,
        other => Answer::SomethingElse(other.strip_prefix("status-")?.parse().ok()?),
    })
}
