//! One question over HTTP, to a socket of the host.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// More than this is nothing that is asked for here.
const LONGEST: usize = 64 << 20;

/// Who asks: in the agent's audit log it marks a probe of ours, which is never evidence.
pub const USER_AGENT: &str = "xdeploy-ecs-check";

/// Asks, and gives status and body.
///
/// # Errors
/// What went wrong, as text.
pub async fn ask<S>(stream: S, method: Method, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<(u16, Bytes), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let mut request = Request::builder().method(method).uri(path).header("Host", host).header("User-Agent", USER_AGENT);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LONGEST).collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(connection);
    tokio::pin!(answered);
    let mut open = true;
    loop {
        tokio::select! {
            answer = &mut answered => return answer,
            _ = &mut connection, if open => open = false,
        }
    }
}
