//! The HTTP proxy between the program and the emulators.
//!
//! It logs every call, delays, answers or loses the ones that a test chooses, and refuses what AWS
//! refuses and the emulators don't. Every such correction of an emulator says "AWS fidelity".

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::emulators::{Emulators, emulators};
use super::fidelity::{self, Visibility};
use super::xml::{escape, query_parameter};

/// One call, as it came and as it was answered.
#[derive(Clone)]
pub struct Request {
    /// Order of arrival since the proxy started or was cleared, from 0.
    pub index: usize,
    pub started: Instant,
    /// Absent while the call is under way, and for ever if it was dropped or hangs.
    pub finished: Option<Instant>,
    /// The signing name: `iam`, `kms`, `s3`, `sts`, `events`, `codepipeline`.
    pub service: String,
    /// `CreateRole`, `PutBucketPolicy`, …
    pub operation: String,
    /// The caller's account id; empty if the access key is not known.
    pub account: String,
    pub region: String,
    pub method: String,
    pub path_and_query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// 0 until answered.
    pub status: u16,
    pub response: Vec<u8>,
    pub is_write: bool,
}

/// What a hook is shown: the call before it is forwarded, so `status` is 0 and `response` empty.
pub type RequestInfo = Request;

impl fmt::Debug for Request {
    /// A line, since bodies are long.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { index, service, operation, account, status, .. } = self;
        write!(formatter, "call {index}: {service}:{operation} by {account}, answered {status}")
    }
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body of a JSON protocol call; `Null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A parameter of a form-encoded call (IAM, STS).
    pub fn form(&self, name: &str) -> Option<String> {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        query_parameter(&body, name)
    }

    pub fn response_text(&self) -> String {
        String::from_utf8_lossy(&self.response).into_owned()
    }

    /// The bucket of an S3 call; empty for others.
    pub fn bucket(&self) -> &str {
        if self.service != "s3" {
            return "";
        }
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        path.trim_start_matches('/').split('/').next().unwrap_or_default()
    }

    pub fn is(&self, operation: &str) -> bool {
        self.operation == operation
    }
}

/// What becomes of a call.
#[derive(Debug, Clone)]
pub enum Action {
    Forward,
    /// A recorded answer; nothing is forwarded.
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// The connection is closed and nothing forwarded.
    DropBefore,
    /// The call takes effect and the connection is closed without an answer.
    DropAfter,
    /// Never answered, nothing forwarded.
    HangBefore,
    /// Never answered, though it took effect.
    HangAfter,
}

impl Action {
    /// An answer of a JSON protocol service (KMS, EventBridge, CodePipeline).
    pub fn json(status: u16, body: &Value) -> Action {
        let headers = vec![
            ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
            ("x-amzn-requestid".to_owned(), fidelity::REQUEST_ID.to_owned()),
        ];
        Action::Answer { status, headers, body: body.to_string().into_bytes() }
    }

    /// An error of a JSON protocol service.
    pub fn json_error(status: u16, code: &str, message: &str) -> Action {
        Action::json(status, &json!({"__type": code, "message": message}))
    }

    /// An error of IAM or STS.
    pub fn query_error(status: u16, code: &str, message: &str) -> Action {
        let body = format!(
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
            escape(message),
            fidelity::REQUEST_ID
        );
        let headers =
            vec![("content-type".to_owned(), "text/xml".to_owned()), ("x-amzn-requestid".to_owned(), fidelity::REQUEST_ID.to_owned())];
        Action::Answer { status, headers, body: body.into_bytes() }
    }

    /// An error of S3.
    pub fn s3_error(status: u16, code: &str, message: &str) -> Action {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{}</Message>\
             <RequestId>{}</RequestId><HostId>host</HostId></Error>",
            escape(message),
            fidelity::S3_REQUEST_ID
        );
        let headers = vec![
            ("content-type".to_owned(), "application/xml".to_owned()),
            ("x-amz-request-id".to_owned(), fidelity::S3_REQUEST_ID.to_owned()),
        ];
        Action::Answer { status, headers, body: body.into_bytes() }
    }

    /// The error in whichever form the service of the call speaks.
    pub fn error(request: &RequestInfo, status: u16, code: &str, message: &str) -> Action {
        match request.service.as_str() {
            "s3" => Action::s3_error(status, code, message),
            "iam" | "sts" => Action::query_error(status, code, message),
            _ => Action::json_error(status, code, message),
        }
    }
}

/// Before or after a call has taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

type Hook = Arc<dyn Fn(&RequestInfo) -> Action + Send + Sync>;

struct Trap {
    remaining: usize,
    writes_only: bool,
    when: When,
    sprung: Sender<Request>,
}

pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub(super) struct Shared {
    pub emulators: &'static Emulators,
    log: Mutex<Vec<Request>>,
    changed: Condvar,
    latency: Mutex<Duration>,
    hook: Mutex<Option<Hook>>,
    trap: Mutex<Option<Trap>>,
    pub visibility: Visibility,
    /// Counts `clear`s: a call that was under way then must not touch the new log.
    generation: Mutex<u64>,
}

/// A proxy on its own port; it stops when dropped.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("proxy")
            .enable_all()
            .build()
            .expect("a tokio runtime for the proxies")
    })
}

/// Runs a future of the proxy's own to its end, from a test's thread.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

impl Proxy {
    pub fn start() -> Proxy {
        let emulators = emulators();
        let shared = Arc::new(Shared {
            emulators,
            log: Mutex::default(),
            changed: Condvar::new(),
            latency: Mutex::default(),
            hook: Mutex::default(),
            trap: Mutex::default(),
            visibility: Visibility::default(),
            generation: Mutex::default(),
        });
        let listener =
            runtime().block_on(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).expect("a free port on the loopback");
        let port = listener.local_addr().expect("the proxy's address").port();
        let server = runtime().spawn(accept(listener, Arc::clone(&shared)));
        Proxy { port, shared, server }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All calls so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.lock().unwrap().clone()
    }

    /// The calls that change something, refused ones included.
    pub fn writes(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.is_write).collect()
    }

    /// The names of the operations, in order of arrival.
    pub fn operations(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.operation).collect()
    }

    /// The calls of one operation.
    pub fn calls(&self, operation: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.operation == operation).collect()
    }

    /// Forgets the calls, so that the next one has index 0. Latency, hook and propagation stay.
    pub fn clear(&self) {
        let mut log = self.shared.log.lock().unwrap();
        *self.shared.generation.lock().unwrap() += 1;
        log.clear();
    }

    /// Every region that a call named.
    pub fn regions(&self) -> BTreeSet<String> {
        self.requests().into_iter().map(|request| request.region).filter(|region| !region.is_empty()).collect()
    }

    /// Added to every call, before it is forwarded.
    pub fn set_latency(&self, latency: Duration) {
        *self.shared.latency.lock().unwrap() = latency;
    }

    /// How long a role or user made through the proxy stays unknown to policies and to
    /// CodePipeline, counted from the answer to the call that made it. A role whose trust or
    /// permissions changed is unknown to CodePipeline as long.
    pub fn set_propagation(&self, propagation: Duration) {
        self.shared.visibility.set_propagation(propagation);
    }

    /// Asks this function about every call; it replaces an earlier one. It may block and may call
    /// the emulators, for instance to change something between a read and a write.
    pub fn on_request(&self, hook: impl Fn(&RequestInfo) -> Action + Send + Sync + 'static) {
        *self.shared.hook.lock().unwrap() = Some(Arc::new(hook));
    }

    pub fn clear_hook(&self) {
        *self.shared.hook.lock().unwrap() = None;
    }

    /// Catches the n-th call from now on (from 0; of the writes only, if so said): it is never
    /// answered. The receiver gets it when it has arrived (`Before`: and never takes effect) or
    /// when it has taken effect (`After`).
    pub fn trap(&self, n: usize, writes_only: bool, when: When) -> Receiver<Request> {
        let (sprung, receiver) = channel();
        *self.shared.trap.lock().unwrap() = Some(Trap { remaining: n, writes_only, when, sprung });
        receiver
    }

    /// Takes an unsprung trap away.
    pub fn disarm(&self) {
        *self.shared.trap.lock().unwrap() = None;
    }

    /// Waits until the calls so far satisfy the predicate.
    ///
    /// # Panics
    /// With the table of calls, after the timeout.
    pub fn wait_until(&self, timeout: Duration, predicate: impl Fn(&[Request]) -> bool) {
        let log = self.shared.log.lock().unwrap();
        let (log, result) = self.shared.changed.wait_timeout_while(log, timeout, |log| !predicate(log)).expect("the proxy's log");
        drop(log);
        assert!(!result.timed_out(), "not seen within {timeout:?}:\n{}", self.table());
    }

    /// The longest run of calls each of which started after the one before had finished: how many
    /// round trips the program needs however much it does side by side.
    pub fn longest_chain(&self) -> Vec<Request> {
        longest_chain(self.requests())
    }

    /// The calls as a printable table.
    pub fn table(&self) -> String {
        table(&self.requests())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The longest path in the interval order of the calls; of intervals, the one that takes whichever
/// ends first is longest.
pub fn longest_chain(mut requests: Vec<Request>) -> Vec<Request> {
    requests.retain(|request| request.finished.is_some());
    requests.sort_by_key(|request| request.finished);
    let mut chain: Vec<Request> = Vec::new();
    for request in requests {
        if chain.last().is_none_or(|last| last.finished <= Some(request.started)) {
            chain.push(request);
        }
    }
    chain
}

/// A line a call.
pub fn table(requests: &[Request]) -> String {
    let Some(first) = requests.first().map(|request| request.started) else {
        return "no calls\n".to_owned();
    };
    let mut table = String::from("  #  start   took  account      service       operation                           status region\n");
    for request in requests {
        let start = request.started.duration_since(first).as_millis();
        let took = request.finished.map_or("-".to_owned(), |end| end.duration_since(request.started).as_millis().to_string());
        let name = format!("{}{}", request.operation, if request.is_write { " *" } else { "" });
        let detail = match request.service.as_str() {
            "s3" => request.path_and_query.clone(),
            "iam" => ["RoleName", "UserName", "PolicyName", "PolicyArn"]
                .iter()
                .filter_map(|parameter| request.form(parameter))
                .collect::<Vec<_>>()
                .join(" "),
            _ => String::new(),
        };
        let problem = if request.status >= 400 { request.response_text().replace('\n', " ") } else { String::new() };
        let _ = writeln!(
            table,
            "{:>3} {start:>6} {took:>6}  {:<12} {:<13} {name:<35} {:<6} {:<9} {detail} {problem}",
            request.index, request.account, request.service, request.status, request.region,
        );
    }
    table
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| handle(Arc::clone(&shared), request));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Makes hyper close the connection without an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("dropped by the test")
    }
}

impl std::error::Error for Dropped {}

async fn handle(shared: Arc<Shared>, request: hyper::Request<Incoming>) -> Result<hyper::Response<Full<Bytes>>, Dropped> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let mut info = describe(&shared, &head, &body, started);
    let generation;
    {
        let mut log = shared.log.lock().unwrap();
        generation = *shared.generation.lock().unwrap();
        info.index = log.len();
        log.push(info.clone());
        shared.changed.notify_all();
    }
    let trapped = shared.spring(&info);
    let latency = *shared.latency.lock().unwrap();

    // In a task of its own: a call that has left the client takes effect even if the client dies.
    let worker = Arc::clone(&shared);
    let (decided, answer) = tokio::spawn(async move {
        tokio::time::sleep(latency).await;
        if let Some((When::Before, sprung)) = &trapped {
            let _ = sprung.send(info);
            return (Action::HangBefore, None);
        }
        let action = worker.ask_hook(&info).await;
        let answer = match &action {
            Action::Answer { status, headers, body } => Some(recorded(*status, headers, body)),
            Action::DropBefore | Action::HangBefore => None,
            Action::Forward | Action::DropAfter | Action::HangAfter => Some(worker.forward(&head, &info, body).await),
        };
        let hidden = matches!(action, Action::DropAfter | Action::HangAfter);
        if let Some(answer) = &answer {
            worker.note_answer(generation, info.index, answer, !hidden && trapped.is_none());
        }
        if let Some((_, sprung)) = trapped {
            let _ = sprung.send(info);
            return (Action::HangAfter, None);
        }
        (action, answer)
    })
    .await
    .map_err(|_| Dropped)?;

    match (decided, answer) {
        (Action::DropBefore | Action::DropAfter, _) => Err(Dropped),
        (Action::HangBefore | Action::HangAfter, _) | (_, None) => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        (_, Some(answer)) => {
            let mut response = hyper::Response::new(Full::new(answer.body));
            *response.status_mut() = hyper::StatusCode::from_u16(answer.status).map_err(|_| Dropped)?;
            *response.headers_mut() = answer.headers;
            Ok(response)
        }
    }
}

fn recorded(status: u16, headers: &[(String, String)], body: &[u8]) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name in a recorded answer");
        map.append(name, HeaderValue::from_str(value).expect("a header value in a recorded answer"));
    }
    Answer { status, headers: map, body: Bytes::copy_from_slice(body) }
}

impl Shared {
    fn spring(&self, info: &Request) -> Option<(When, Sender<Request>)> {
        let mut trap = self.trap.lock().unwrap();
        let set = trap.as_mut()?;
        if set.writes_only && !info.is_write {
            return None;
        }
        if set.remaining > 0 {
            set.remaining -= 1;
            return None;
        }
        trap.take().map(|trap| (trap.when, trap.sprung))
    }

    async fn ask_hook(&self, info: &Request) -> Action {
        let hook = self.hook.lock().unwrap().clone();
        let Some(hook) = hook else {
            return Action::Forward;
        };
        let info = info.clone();
        // A hook may block. One that panics must not look like a dropped connection.
        match tokio::task::spawn_blocking(move || hook(&info)).await {
            Ok(action) => action,
            Err(error) => Action::json_error(500, "HookPanicked", &error.to_string()),
        }
    }

    fn note_answer(&self, generation: u64, index: usize, answer: &Answer, answered: bool) {
        let mut log = self.log.lock().unwrap();
        if generation != *self.generation.lock().unwrap() {
            return;
        }
        if let Some(request) = log.get_mut(index) {
            request.status = answer.status;
            request.response = answer.body.to_vec();
            request.finished = answered.then(Instant::now);
        }
        self.changed.notify_all();
    }

    async fn forward(&self, head: &hyper::http::request::Parts, info: &Request, body: Bytes) -> Answer {
        if let Some(refusal) = fidelity::refuse(self, info).await {
            return self.own(refusal);
        }
        let to_moto = info.service == "codepipeline";
        let mut headers = head.headers.clone();
        // These belong to the connection; ours has a body of known length.
        for name in ["connection", "expect", "transfer-encoding", "keep-alive", "proxy-connection"] {
            headers.remove(name);
        }
        // AWS is only spoken to over TLS, and ministack enforces what policies say of it.
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        if to_moto {
            if info.account.is_empty() {
                let message = "The security token included in the request is invalid.";
                return self.own(Action::json_error(400, "UnrecognizedClientException", message));
            }
            let access_key = access_key(&head.headers).unwrap_or_default();
            let key = self.emulators.moto_key(&info.account);
            if let Some(value) = head.headers.get("authorization").and_then(|value| value.to_str().ok()) {
                let value = value.replacen(&format!("Credential={access_key}/"), &format!("Credential={key}/"), 1);
                headers.insert("authorization", HeaderValue::from_str(&value).expect("an authorization header"));
            }
            // A session token would be another account's to moto.
            headers.remove("x-amz-security-token");
        }
        let port = if to_moto { self.emulators.moto } else { self.emulators.ministack };
        let method = head.method.clone();
        match send(port, method, &info.path_and_query, headers, body).await {
            Ok(answer) => fidelity::after(self, info, answer).await,
            Err(error) => self.own(Action::error(info, 502, "EmulatorUnreachable", &error)),
        }
    }

    fn own(&self, action: Action) -> Answer {
        match action {
            Action::Answer { status, headers, body } => recorded(status, &headers, &body),
            _ => recorded(500, &[], b""),
        }
    }
}

/// Sends one call to an emulator, on a connection of its own: moto closes each anyway.
pub(super) async fn send(
    port: u16,
    method: hyper::Method,
    path_and_query: &str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer, String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| error.to_string())?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let mut request = hyper::Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path_and_query.parse().map_err(|error| format!("{path_and_query}: {error}"))?;
    *request.headers_mut() = headers;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    let mut headers = head.headers;
    for name in ["connection", "transfer-encoding", "keep-alive"] {
        headers.remove(name);
    }
    Ok(Answer { status: head.status.as_u16(), headers, body })
}

/// A call of the proxy's own, in no log.
pub(super) struct Own<'a> {
    pub port: u16,
    pub access_key: &'a str,
    pub service: &'a str,
    pub region: &'a str,
}

impl Own<'_> {
    /// A call of a JSON protocol service.
    pub async fn json(&self, target: &str, body: &Value) -> Result<Answer, String> {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        self.send(hyper::Method::POST, "/", &headers, body.to_string()).await
    }

    /// A call of IAM or STS.
    pub async fn query(&self, form: String) -> Result<Answer, String> {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(hyper::Method::POST, "/", &headers, form).await
    }

    pub async fn send(
        &self,
        method: hyper::Method,
        path_and_query: &str,
        headers: &[(&'static str, &str)],
        body: String,
    ) -> Result<Answer, String> {
        // Neither emulator checks the signature of root.
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/20200101/{}/{}/aws4_request, SignedHeaders=host, Signature=0",
            self.access_key, self.region, self.service
        );
        let host = format!("127.0.0.1:{}", self.port);
        let all = [("host", host.as_str()), ("authorization", authorization.as_str())];
        let mut map = HeaderMap::new();
        for (name, value) in all.iter().chain(headers) {
            map.insert(*name, HeaderValue::from_str(value).map_err(|error| error.to_string())?);
        }
        send(self.port, method, path_and_query, map, Bytes::from(body)).await
    }
}

fn describe(shared: &Shared, head: &hyper::http::request::Parts, body: &Bytes, started: Instant) -> Request {
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let (account, region, service) = match scope(&head.headers) {
        Some((key, region, service)) => (shared.emulators.account_of(&key).unwrap_or_default(), region, service),
        None => Default::default(),
    };
    let mut request = Request {
        index: 0,
        started,
        finished: None,
        service,
        operation: String::new(),
        account,
        region,
        method: head.method.as_str().to_owned(),
        path_and_query,
        headers,
        body: body.to_vec(),
        status: 0,
        response: Vec::new(),
        is_write: false,
    };
    request.operation = operation(&request);
    request.is_write = is_write(&request.operation);
    request
}

/// Access key, region and service of the `Authorization` header.
fn scope(headers: &HeaderMap) -> Option<(String, String, String)> {
    let value = headers.get("authorization")?.to_str().ok()?;
    let credential = value.split("Credential=").nth(1)?.split(',').next()?;
    let mut parts = credential.trim().split('/');
    let key = parts.next()?.to_owned();
    parts.next()?;
    let region = parts.next()?.to_owned();
    Some((key, region, parts.next()?.to_owned()))
}

fn access_key(headers: &HeaderMap) -> Option<String> {
    scope(headers).map(|(key, _, _)| key)
}

fn is_write(operation: &str) -> bool {
    // Assuming a role, simulating and using a key change nothing.
    const READS: [&str; 13] = [
        "Get",
        "List",
        "Describe",
        "Head",
        "AssumeRole",
        "Simulate",
        "Lookup",
        "Test",
        "Validate",
        "Check",
        "Encrypt",
        "Decrypt",
        "GenerateDataKey",
    ];
    !READS.iter().any(|prefix| operation.starts_with(prefix))
}

fn operation(request: &Request) -> String {
    if let Some(target) = request.header("x-amz-target") {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    if let Some((_, operation)) = request.path_and_query.split_once("/operation/") {
        return operation.to_owned();
    }
    if request.service == "s3" {
        return s3_operation(request);
    }
    let query = request.path_and_query.split_once('?').map_or("", |(_, query)| query);
    request.form("Action").or_else(|| query_parameter(query, "Action")).unwrap_or_default()
}

fn s3_operation(request: &Request) -> String {
    let (path, query) = request.path_and_query.split_once('?').unwrap_or((&request.path_and_query, ""));
    let path = path.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let parameters: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty()).collect();
    let has = |name: &str| parameters.contains(&name);
    let method = request.method.as_str();
    let verb = match method {
        "GET" => "Get",
        "PUT" => "Put",
        "DELETE" => "Delete",
        "HEAD" => "Head",
        _ => "Post",
    };
    if bucket.is_empty() {
        return "ListBuckets".to_owned();
    }
    if key.is_empty() {
        const PARTS: [(&str, &str); 19] = [
            ("policyStatus", "BucketPolicyStatus"),
            ("policy", "BucketPolicy"),
            ("versioning", "BucketVersioning"),
            ("encryption", "BucketEncryption"),
            ("publicAccessBlock", "PublicAccessBlock"),
            ("ownershipControls", "BucketOwnershipControls"),
            ("tagging", "BucketTagging"),
            ("notification", "BucketNotificationConfiguration"),
            ("location", "BucketLocation"),
            ("acl", "BucketAcl"),
            ("lifecycle", "BucketLifecycleConfiguration"),
            ("logging", "BucketLogging"),
            ("cors", "BucketCors"),
            ("website", "BucketWebsite"),
            ("replication", "BucketReplication"),
            ("accelerate", "BucketAccelerateConfiguration"),
            ("requestPayment", "BucketRequestPayment"),
            ("object-lock", "ObjectLockConfiguration"),
            ("abac", "BucketAbac"),
        ];
        if let Some((_, name)) = PARTS.iter().find(|(parameter, _)| has(parameter)) {
            return format!("{verb}{name}");
        }
        return match method {
            "GET" if has("versions") => "ListObjectVersions",
            "GET" if has("uploads") => "ListMultipartUploads",
            "GET" if has("list-type") => "ListObjectsV2",
            "GET" => "ListObjects",
            "HEAD" => "HeadBucket",
            "PUT" => "CreateBucket",
            "DELETE" => "DeleteBucket",
            _ if has("delete") => "DeleteObjects",
            _ => "PostObject",
        }
        .to_owned();
    }
    let copies = request.header("x-amz-copy-source").is_some();
    match method {
        _ if has("tagging") => return format!("{verb}ObjectTagging"),
        _ if has("acl") => return format!("{verb}ObjectAcl"),
        "GET" if has("attributes") => "GetObjectAttributes",
        "GET" if has("uploadId") => "ListParts",
        "PUT" if has("partNumber") && copies => "UploadPartCopy",
        "PUT" if has("partNumber") => "UploadPart",
        "PUT" if copies => "CopyObject",
        "POST" if has("uploads") => "CreateMultipartUpload",
        "POST" if has("uploadId") => "CompleteMultipartUpload",
        "DELETE" if has("uploadId") => "AbortMultipartUpload",
        _ => return format!("{verb}Object"),
    }
    .to_owned()
}
