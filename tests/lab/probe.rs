//! The path from a container to the agent, tried without the product: what comes back where no credential id is asked for.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::http;

const PATIENCE: Duration = Duration::from_secs(3);
const ENDPOINT: ([u8; 4], u16) = ([169, 254, 170, 2], 80);

/// What a `GET` without a credential id came to (facts/ecs.md B.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// 400 `NoIdInRequest`: the whole path is fine.
    Answer,
    Timeout,
    Refused,
    Unreachable,
    Else(String),
}

impl fmt::Display for Got {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer => formatter.write_str("answer"),
            Self::Timeout => formatter.write_str("timeout"),
            Self::Refused => formatter.write_str("refused"),
            Self::Unreachable => formatter.write_str("unreachable"),
            Self::Else(text) => formatter.write_str(text),
        }
    }
}

impl From<&str> for Got {
    fn from(text: &str) -> Self {
        [Self::Answer, Self::Timeout, Self::Refused, Self::Unreachable]
            .into_iter()
            .find(|got| got.to_string() == text)
            .unwrap_or_else(|| Self::Else(text.to_owned()))
    }
}

/// Probes from the namespace that this process is in.
pub fn probe() -> Got {
    let got = TcpStream::connect_timeout(&SocketAddr::from(ENDPOINT), PATIENCE).and_then(|stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        let head = "GET /v2/credentials/ HTTP/1.0\r\nHost: 169.254.170.2\r\nUser-Agent: lab-probe\r\n\r\n";
        http::ask(stream, head, b"")
    });
    match got {
        Ok((status, body)) => {
            let body = String::from_utf8_lossy(&body).into_owned();
            if status == 400 && body.contains("\"NoIdInRequest\"") { Got::Answer } else { Got::Else(format!("{status} {body}")) }
        }
        Err(error) => classify(&error),
    }
}

fn classify(error: &Error) -> Got {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Got::Timeout,
        ErrorKind::ConnectionRefused => Got::Refused,
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => Got::Unreachable,
        _ => Got::Else(error.to_string()),
    }
}
