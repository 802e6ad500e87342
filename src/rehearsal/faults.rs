//! Lines to the accounts that can go wrong: each client has one of its own, with its own count of calls.
//!
//! A line stands where the network would: what goes wrong with it goes wrong below the SDK, which retries as it always does.

use super::wire::{self, Call};
use super::{Rehearsal, Request, Response, config, http, whole};
use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The service says that there are too many calls; nothing is done.
    Throttled,
    /// The service says that it failed; nothing is done.
    Failed,
    /// The connection is reset before the service has the call.
    ResetBefore,
    /// The connection is reset when the service has done what was asked, before the answer.
    ResetAfter,
    /// The call takes so long before the service has it.
    Delayed(Duration),
    /// The credentials have expired; they have for every later call on the line as well.
    Expired,
    /// The process ends before the service has the call: neither this call nor any later one is ever answered, and
    /// [`Line::gone`] says so.
    GoneBefore,
    /// The process ends when the service has done what was asked, before the answer; otherwise like [`Fault::GoneBefore`].
    GoneAfter,
}

/// What comes with the status 200 in the place of an answer to a read, from somebody on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// Nothing.
    Nothing,
    /// The first half of the answer; of XML as far as its elements go.
    Half,
    /// A page for people.
    Page,
    /// Another document of the answer's format.
    Another,
}

impl Stranger {
    /// All of them.
    pub const ALL: [Stranger; 4] = [Stranger::Nothing, Stranger::Half, Stranger::Page, Stranger::Another];

    /// Puts it in the place of the answer to a call of this name.
    fn instead(self, name: &str, mut answer: Response) -> Response {
        let is_xml = answer.body.starts_with(b"<");
        let operation = name.split_once(':').map(|(_, rest)| rest.split(' ').next().unwrap_or_default()).unwrap_or_default();
        answer.status = 200;
        answer.body = match self {
            Stranger::Nothing => Vec::new(),
            Stranger::Half => {
                let half = &answer.body[..answer.body.len() / 2];
                let end = half.iter().rposition(|byte| is_xml && *byte == b'>').map_or(half.len(), |at| at + 1);
                half[..end].to_vec()
            }
            Stranger::Page => b"<!DOCTYPE html><html><body><p>Sign in to the network<br></body></html>".to_vec(),
            Stranger::Another if name.starts_with("iam:") => {
                let namespace = "https://iam.amazonaws.com/doc/2010-05-08/";
                format!("<{operation}Response xmlns=\"{namespace}\"><{operation}Result/></{operation}Response>").into_bytes()
            }
            Stranger::Another if is_xml => b"<Answer>of something else</Answer>".to_vec(),
            Stranger::Another => br#"{"answer": "of something else"}"#.to_vec(),
        };
        answer
    }
}

/// A line to the two accounts, to be used as an [`HttpClient`]. A clone is the same line.
#[derive(Debug, Clone)]
pub struct Line {
    rehearsal: Rehearsal,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    script: Mutex<Script>,
    gone: Notify,
}

#[derive(Debug, Default)]
struct Script {
    /// The names of the calls, as they arrived.
    calls: Vec<String>,
    faults: BTreeMap<usize, Fault>,
    strangers: BTreeMap<String, Stranger>,
    pages: bool,
    expired: bool,
    gone: bool,
    gated: bool,
    waiting: BTreeMap<usize, oneshot::Sender<()>>,
}

impl Line {
    pub(super) fn new(rehearsal: Rehearsal) -> Line {
        Line { rehearsal, shared: Arc::default() }
    }

    /// Gives what SDK clients are made of, like [`Rehearsal::config`].
    pub fn config(&self, keys: (String, String), region: &str) -> SdkConfig {
        config(self.clone(), keys, region)
    }

    /// Lets a call go wrong; the first call on the line is number 1, and they are counted as they arrive. What the SDK sends
    /// again is a call of its own.
    #[must_use]
    pub fn fault(self, number: usize, fault: Fault) -> Line {
        self.script().faults.insert(number, fault);
        self
    }

    /// Lets somebody else answer every call of a name that [`Line::calls`] gives.
    #[must_use]
    pub fn answered_by(self, name: &str, stranger: Stranger) -> Line {
        self.script().strangers.insert(name.to_owned(), stranger);
        self
    }

    /// Lets every list begin with an empty page.
    #[must_use]
    pub fn with_empty_first_pages(self) -> Line {
        self.script().pages = true;
        self
    }

    /// Holds every call back from now on, until [`Line::pass`] lets it through.
    #[must_use]
    pub fn gated(self) -> Line {
        self.script().gated = true;
        self
    }

    /// Lists the calls so far in the order in which they arrived, with what they are about: `iam:GetRole prods3role`; S3's are
    /// named after method, bucket, path and parameters, such as `s3:PUT in-bucket/?policy`.
    pub fn calls(&self) -> Vec<String> {
        self.script().calls.clone()
    }

    /// Lists the numbers of the calls that are held back, the oldest first; a call that its client gave up isn't among them.
    pub fn waiting(&self) -> Vec<usize> {
        let waiting = &mut self.script().waiting;
        waiting.retain(|_, call| !call.is_closed());
        waiting.keys().copied().collect()
    }

    /// Lets one call through; says whether it was held back.
    pub fn pass(&self, number: usize) -> bool {
        let call = self.script().waiting.remove(&number);
        call.is_some_and(|call| call.send(()).is_ok())
    }

    /// Waits until a call has come at which the process is gone ([`Fault::GoneBefore`], [`Fault::GoneAfter`]).
    pub async fn gone(&self) {
        loop {
            let told = self.shared.gone.notified();
            if self.script().gone {
                return;
            }
            told.await;
        }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        // As with the accounts: nothing panics while it holds the lock.
        self.shared.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.script().gone = true;
        self.shared.gone.notify_waiters();
    }

    /// Counts a call; gives what is to happen to it, and what it waits for.
    fn arrive(&self, name: String) -> (Option<Fault>, Option<oneshot::Receiver<()>>) {
        let script = &mut *self.script();
        script.calls.push(name);
        let number = script.calls.len();
        let fault = script.faults.get(&number).copied();
        script.expired |= fault == Some(Fault::Expired);
        let gate = script.gated.then(|| {
            let (pass, passed) = oneshot::channel();
            script.waiting.insert(number, pass);
            passed
        });
        (fault.or(script.expired.then_some(Fault::Expired)), gate)
    }

    async fn send(&self, mut request: Request) -> Result<HttpResponse, ConnectorError> {
        if self.script().gone {
            return pending().await;
        }
        let name = name(&request);
        let (stranger, pages) = {
            let script = self.script();
            (script.strangers.get(&name).copied(), script.pages)
        };
        let page = if pages { super::pages::empty_first(&mut request, &name) } else { None };
        let (fault, gate) = self.arrive(name.clone());
        if let Some(gate) = gate {
            // A line that nobody holds any more lets nothing through.
            if gate.await.is_err() {
                return pending().await;
            }
        }
        let answer = |refused: fn(&Call) -> wire::Fault| http(self.rehearsal.answer_unless(request.clone(), |call| Some(refused(call))));
        match fault {
            None => match (stranger, page) {
                (Some(stranger), _) => http(stranger.instead(&name, self.rehearsal.answer(request))),
                (None, Some(page)) => http(page),
                (None, None) => http(self.rehearsal.answer(request)),
            },
            Some(Fault::Throttled) => answer(throttled),
            Some(Fault::Failed) => answer(failed),
            Some(Fault::Expired) => answer(expired),
            Some(Fault::ResetBefore) => Err(reset()),
            Some(Fault::ResetAfter) => {
                self.rehearsal.answer(request);
                Err(reset())
            }
            Some(Fault::Delayed(time)) => {
                tokio::time::sleep(time).await;
                http(self.rehearsal.answer(request))
            }
            Some(Fault::GoneBefore) => {
                self.end();
                pending().await
            }
            Some(Fault::GoneAfter) => {
                self.rehearsal.answer(request);
                self.end();
                pending().await
            }
        }
    }
}

impl HttpClient for Line {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let line = self.clone();
        HttpConnectorFuture::new(async move { line.send(whole(request).await?).await })
    }
}

fn reset() -> ConnectorError {
    ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into())
}

/// Each service has its own words for too many calls.
fn throttled(call: &Call) -> wire::Fault {
    match call.service.as_str() {
        "s3" => wire::Fault::new(503, "SlowDown", "Please reduce your request rate."),
        "iam" | "sts" => wire::Fault::new(400, "Throttling", "Rate exceeded"),
        "organizations" => wire::Fault::new(400, "TooManyRequestsException", "Rate exceeded"),
        _ => wire::Fault::new(400, "ThrottlingException", "Rate exceeded"),
    }
}

/// Each service has its own words for a failure of its own.
fn failed(call: &Call) -> wire::Fault {
    match call.service.as_str() {
        "s3" => wire::Fault::new(500, "InternalError", "We encountered an internal error. Please try again."),
        "iam" => wire::Fault::new(500, "ServiceFailure", "The request processing has failed because of an unknown error."),
        "kms" => wire::Fault::new(500, "KMSInternalException", ""),
        "events" => wire::Fault::new(500, "InternalException", ""),
        "organizations" => wire::Fault::new(500, "ServiceException", ""),
        _ => wire::Fault::new(500, "InternalFailure", ""),
    }
}

fn expired(call: &Call) -> wire::Fault {
    wire::expired(&call.service)
}

/// What the members are called that say what a call is about, the most telling first.
const SUBJECTS: [&str; 13] = [
    "RoleName",
    "PolicyArn",
    "PolicyName",
    "RoleArn",
    "AliasName",
    "KeyId",
    "name",
    "pipelineName",
    "resourceArn",
    "Name",
    "Rule",
    "ResourceARN",
    "TargetArn",
];

/// Names a call for a list of calls.
fn name(request: &Request) -> String {
    let header = |wanted: &str| request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str());
    let scope = header("authorization").and_then(|value| value.split_once("Credential=")).map_or("", |(_, rest)| rest);
    let service = scope.split('/').nth(3).unwrap_or("nobody");
    if let Some(target) = header("x-amz-target") {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let body = body.get("pipeline").unwrap_or(&body);
        let subject = SUBJECTS.iter().find_map(|member| body.get(*member)?.as_str()).unwrap_or_default();
        return format!("{service}:{} {subject}", target.rsplit('.').next().unwrap_or_default()).trim_end().to_owned();
    }
    if matches!(service, "iam" | "sts") {
        let body = String::from_utf8_lossy(&request.body);
        let member = |name: &str| body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let subject = SUBJECTS.iter().find_map(|name| member(name)).unwrap_or_default();
        let subject = percent_decode_str(subject).decode_utf8_lossy();
        return format!("{service}:{} {subject}", member("Action").unwrap_or_default()).trim_end().to_owned();
    }
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let parameters = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    let parameters: Vec<&str> = parameters.filter(|name| !name.is_empty() && *name != "x-id").collect();
    let mark = if parameters.is_empty() { "" } else { "?" };
    let bucket = request.host.split_once(".s3.").map_or("", |(bucket, _)| bucket);
    format!("{service}:{} {bucket}{path}{mark}{}", request.method, parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::DEV;
    use aws_config::retry::RetryConfig;
    use aws_smithy_types::error::metadata::ProvideErrorMetadata;

    /// A client that asks once, and the number of keys that there are.
    fn kms(line: &Line) -> aws_sdk_kms::Client {
        let config = line.config(line.rehearsal.keys(DEV), "us-east-1").into_builder().retry_config(RetryConfig::disabled()).build();
        aws_sdk_kms::Client::new(&config)
    }

    fn there(line: &Line) -> usize {
        line.rehearsal.lock().accounts[DEV].keys.len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_goes_wrong_before_or_after_its_effect() {
        let line = Rehearsal::new("aws", "us-east-1", "us-east-1").line();
        let wrong = [Fault::Throttled, Fault::Failed, Fault::ResetBefore, Fault::ResetAfter, Fault::Delayed(Duration::from_secs(5))];
        let line = wrong.iter().zip(1..).fold(line, |line, (fault, number)| line.fault(number, *fault));
        let kms = kms(&line);
        let mut told = Vec::new();
        for expected in [0, 0, 0, 1, 2] {
            let answer = kms.create_key().send().await;
            told.push(answer.map_or_else(|error| error.code().unwrap_or("reset").to_owned(), |_| "made".to_owned()));
            assert_eq!(there(&line), expected, "{told:?}");
        }
        assert_eq!(told, ["ThrottlingException", "KMSInternalException", "reset", "reset", "made"]);
        assert_eq!(line.calls(), ["kms:CreateKey"; 5]);
        let line = line.fault(7, Fault::Expired);
        kms.list_keys().send().await.unwrap();
        for _ in 0..2 {
            assert_eq!(kms.list_keys().send().await.unwrap_err().code(), Some("ExpiredTokenException"));
        }
        // Another line has its own count.
        let other = line.rehearsal.line().fault(1, Fault::ResetBefore);
        assert!(self::kms(&other).list_keys().send().await.is_err());
        assert_eq!((other.calls().len(), line.calls().len()), (1, 8));
    }

    #[tokio::test(start_paused = true)]
    async fn the_sdk_retries_what_passes() {
        for fault in [Fault::Throttled, Fault::Failed, Fault::ResetBefore] {
            let line = Rehearsal::new("aws", "us-east-1", "us-east-1").line().fault(1, fault);
            let config = line.config(line.rehearsal.keys(DEV), "us-east-1");
            aws_sdk_iam::Client::new(&config).list_roles().send().await.unwrap();
            assert_eq!(line.calls(), ["iam:ListRoles"; 2], "{fault:?}");
            let line = line.fault(3, fault);
            aws_sdk_s3::Client::new(&config).list_buckets().send().await.unwrap();
            assert_eq!(line.calls()[2..], ["s3:GET /", "s3:GET /"], "{fault:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_is_gone_hears_nothing_more() {
        for (fault, keys) in [(Fault::GoneBefore, 0), (Fault::GoneAfter, 1)] {
            let line = Rehearsal::new("aws", "us-east-1", "us-east-1").line().fault(1, fault);
            let kms = kms(&line);
            let run = async {
                let _ = kms.create_key().send().await;
                panic!("{fault:?} was answered");
            };
            tokio::select! {
                () = run => {}
                () = line.gone() => {}
            }
            assert_eq!(there(&line), keys, "{fault:?}");
            let late = tokio::time::timeout(Duration::from_secs(60), kms.list_keys().send()).await;
            assert!(late.is_err(), "{fault:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_lets_one_call_through_at_a_time() {
        let line = Rehearsal::new("aws", "us-east-1", "us-east-1").line().gated();
        let kms = kms(&line);
        let gate = async {
            let mut order = Vec::new();
            for expected in [vec![1, 2], vec![1]] {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let waiting = line.waiting();
                assert_eq!(waiting, expected);
                order.push((*waiting.last().unwrap(), there(&line)));
                assert!(line.pass(*waiting.last().unwrap()));
            }
            assert!(!line.pass(2));
            order
        };
        let (one, other, order) = tokio::join!(kms.create_key().send(), kms.create_key().send(), gate);
        assert_eq!((one.is_ok(), other.is_ok(), there(&line)), (true, true, 2));
        assert_eq!(order, [(2, 0), (1, 1)]);
    }

    #[tokio::test]
    async fn a_fork_goes_its_own_way() {
        let line = Rehearsal::new("aws", "us-east-1", "us-east-1").line();
        let fork = line.rehearsal.fork().line();
        kms(&line).create_key().send().await.unwrap();
        assert_eq!((there(&line), there(&fork)), (1, 0));
    }
}
