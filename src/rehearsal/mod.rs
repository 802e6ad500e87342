//! Two AWS accounts in memory behind the SDKs' own HTTP interface.
//!
//! Every call is authenticated by its access key, authorised by all policies that have a say, and validated as AWS validates
//! it (facts/codepipeline.md D, E, G). There is no socket, no clock and no chance in it: two runs of the same calls give the
//! same answers. It knows nothing of `deploy/`, so it can't borrow the answers of what it tests.

mod authorise;
mod buckets;
mod codepipeline;
mod document;
mod dump;
mod events;
mod faults;
mod grammar;
mod hire;
mod iam;
mod kms;
mod mfa;
mod organizations;
mod pages;
mod regions;
mod run;
mod s3;
mod serve;
mod settling;
mod signature;
mod state;
mod sts;
mod wire;

use aws_config::identity::IdentityCache;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
pub use faults::{Fault, Line, Stranger};
pub use state::Logged;
use state::{Holder, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The development account.
pub const DEV: &str = "111111111111";
/// The production account.
pub const PROD: &str = "222222222222";

/// A request as it comes over HTTP.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// The path with its query, percent-encoded.
    pub target: String,
    /// The host of the address, for requests without a `Host` header.
    pub host: String,
    /// Names in any case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Two AWS accounts in memory, or more. A clone is the same accounts.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    state: Arc<Mutex<State>>,
}

impl Rehearsal {
    /// Founds the accounts [`DEV`] and [`PROD`], each with the administrator `caller`.
    pub fn new(partition: &str, dev_region: &str, prod_region: &str) -> Rehearsal {
        Rehearsal { state: Arc::new(Mutex::new(State::new(partition, dev_region, prod_region))) }
    }

    /// Founds one more account, with the administrator `caller`.
    pub fn found(&self, account: &str) {
        self.lock().found(account);
    }

    /// Sets the time, in milliseconds since 1970: sessions that others keep must not be over before they begin.
    pub fn at(self, milliseconds: u64) -> Rehearsal {
        self.lock().clock = milliseconds;
        self
    }

    /// Moves the time forward to this one, never back.
    pub fn keep_up(&self, milliseconds: u64) {
        let mut state = self.lock();
        state.clock = state.clock.max(milliseconds);
    }

    /// Lets users, roles, policies and keys settle late from now on, as facts D.2 tell it: IAM and KMS show a change at once,
    /// and other services and the evaluator see it only after so many further calls.
    pub fn settle(self, calls: u64) -> Rehearsal {
        self.lock().settle_after(calls);
        self
    }

    /// Lets everything be seen that hasn't settled yet, as if somebody had waited.
    pub fn wait(&self) {
        self.lock().settle_all();
    }

    /// Looks at signatures from now on, for callers that come over a wire.
    #[must_use]
    pub fn signed(self) -> Rehearsal {
        self.lock().checks_signatures = true;
        self
    }

    /// Gives the region that an account works in.
    pub fn region(&self, account: &str) -> String {
        let state = self.lock();
        if account == PROD { state.prod_region.clone() } else { state.dev_region.clone() }
    }

    /// Gives access key id and secret of an account's administrator; empty for an account that there isn't.
    pub fn keys(&self, account: &str) -> (String, String) {
        self.keys_of(account, |holder| matches!(holder, Holder::User(name) if name == "caller"))
    }

    /// Gives access key id and secret of an account's root user.
    pub fn root_keys(&self, account: &str) -> (String, String) {
        self.keys_of(account, |holder| matches!(holder, Holder::Root))
    }

    /// Gives what SDK clients are made of: these accounts instead of a network, and an access key of [`Rehearsal::keys`].
    pub fn config(&self, keys: (String, String), region: &str) -> SdkConfig {
        config(self.clone(), keys, region)
    }

    /// Opens a line of its own to these accounts: its calls have a count of their own, and can go wrong on request.
    pub fn line(&self) -> Line {
        Line::new(self.clone())
    }

    /// Gives a copy of the two accounts as they are now, which goes its own way from here; its log begins empty.
    pub fn fork(&self) -> Rehearsal {
        let state = &mut *self.lock();
        // What is logged may be much, and tells of calls on this copy.
        let log = std::mem::take(&mut state.log);
        let copy = state.clone();
        state.log = log;
        Rehearsal { state: Arc::new(Mutex::new(copy)) }
    }

    /// Lists every decision so far, in order: one HTTP call may need several permissions, and a run of the pipeline makes calls of its own.
    pub fn log(&self) -> Vec<Logged> {
        self.lock().log.clone()
    }

    /// Gives all that the accounts hold and all buckets, ids and times included; secrets, key material and what objects contain
    /// are left out. Documents are as they are read back now.
    pub fn dump(&self) -> serde_json::Value {
        dump::dump(&self.lock())
    }

    fn keys_of(&self, account: &str, held: impl Fn(&Holder) -> bool) -> (String, String) {
        let state = self.lock();
        let found = state.access_keys.iter().find(|(_, key)| key.account == account && held(&key.holder));
        found.map(|(id, key)| (id.clone(), key.secret.clone())).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and a test that does is over.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request at once.
    pub fn answer(&self, request: Request) -> Response {
        self.answer_unless(request, |_| None)
    }

    /// Answers a request, unless it is refused once it is known who calls.
    fn answer_unless(&self, request: Request, refused: impl FnOnce(&wire::Call) -> Option<wire::Fault>) -> Response {
        let state = &mut *self.lock();
        state.tick();
        let call = match wire::read(state, request) {
            Ok(call) => call,
            Err(refused) => return wire::respond(&refused.0, refused.1),
        };
        if let Some(fault) = refused(&call) {
            return wire::respond(&call, wire::fault_answer(&call, fault));
        }
        let answer = match call.service.as_str() {
            "sts" => sts::answer(state, &call),
            "iam" => iam::answer(state, &call),
            "kms" => kms::answer(state, &call),
            "s3" => s3::answer(state, &call),
            "events" => events::answer(state, &call),
            "codepipeline" => codepipeline::answer(state, &call),
            "organizations" => organizations::answer(state, &call),
            other => {
                let message = format!("The rehearsal has no service `{other}`.");
                wire::json_answer(Err(wire::Fault::new(400, "UnknownOperationException", message)))
            }
        };
        state.changed_by(&call);
        wire::respond(&call, answer)
    }
}

impl HttpClient for Rehearsal {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Rehearsal {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let rehearsal = self.clone();
        HttpConnectorFuture::new(async move { http(rehearsal.answer(whole(request).await?)) })
    }
}

fn config(client: impl HttpClient + 'static, (id, secret): (String, String), region: &str) -> SdkConfig {
    let keys = Credentials::new(id, secret, None, None, "rehearsal");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .identity_cache(IdentityCache::lazy().build())
        .http_client(client)
        // Nothing stalls in memory, and to look for it takes longer than the calls.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

/// Reads an SDK's request to its end: a body from a file comes piece by piece.
async fn whole(request: HttpRequest) -> Result<Request, ConnectorError> {
    let uri = request.uri().to_owned();
    let rest = uri.split_once("://").map_or(uri.as_str(), |(_, rest)| rest);
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(at);
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (method, host) = (request.method().to_owned(), host.to_owned());
    let body = ByteStream::new(request.into_body()).collect().await;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?.to_vec();
    Ok(Request { method, target, host, headers, body })
}

/// Makes an answer the SDK's.
fn http(response: Response) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(response.status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut answer = HttpResponse::new(status, SdkBody::from(response.body));
    for (name, value) in response.headers {
        answer.headers_mut().append(name, value);
    }
    Ok(answer)
}
