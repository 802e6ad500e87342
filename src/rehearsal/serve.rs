//! The two accounts behind a port, for the AWS CLI and any SDK.

use super::{Rehearsal, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpListener;

/// The largest body that is taken: everything is kept in memory.
const LARGEST: usize = 256 << 20;

impl Rehearsal {
    /// Serves HTTP/1.1 until the future is dropped; `now` gives the time in milliseconds since 1970, to which the rehearsal's own
    /// clock keeps up. Signatures are checked ([`Rehearsal::signed`]) if that was asked for.
    pub async fn serve(&self, listener: TcpListener, now: fn() -> u64) {
        loop {
            // A connection that fails to come in is the other side's trouble.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            let rehearsal = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| handle(rehearsal.clone(), request, now()));
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }
}

async fn handle(rehearsal: Rehearsal, request: hyper::Request<Incoming>, now: u64) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let mut response = hyper::Response::new(Full::default());
    let Ok(body) = Limited::new(body, LARGEST).collect().await else {
        *response.status_mut() = hyper::StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(response);
    };
    rehearsal.keep_up(now);
    let answer = rehearsal.answer(Request {
        method: head.method.to_string(),
        target: head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        host: String::new(),
        headers: headers.collect(),
        body: body.to_bytes().to_vec(),
    });
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        let name = hyper::header::HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, hyper::header::HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    *response.body_mut() = Full::new(Bytes::from(answer.body));
    Ok(response)
}
