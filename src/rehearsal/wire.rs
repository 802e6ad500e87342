//! What goes over the wire: a call as the services see it, their answers, and how each protocol writes an error.

use super::state::{AccessKey, Holder, State};
use super::{Request, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

/// RFC 3986's unreserved characters stay as they are; IAM gives documents like this (facts D.1).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A call by a known caller.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    pub method: String,
    /// Percent-decoded.
    pub path: String,
    pub raw_path: String,
    /// Decoded, in order.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub host: String,
    /// From the credential scope.
    pub service: String,
    pub region: String,
    pub caller: Caller,
    pub request_id: String,
}

/// Who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Empty for a service and for nobody.
    pub account: String,
    /// The ARN of a user, an account's root or a session; `anonymous` for nobody.
    pub arn: String,
    /// A session's role, with its path.
    pub role: Option<String>,
    /// `AIDA…`, or `AROA…:session`.
    pub id: String,
    /// A service principal such as `codepipeline.amazonaws.com` that calls by itself.
    pub service: Option<String>,
    /// `kms:ViaService`, when S3 calls KMS for the caller.
    pub via: Option<String>,
    /// The access key of the call, which knows the session's policy.
    pub key: Option<String>,
}

impl Caller {
    /// Gives a service that calls by itself.
    pub fn service(name: &str) -> Caller {
        Caller { arn: name.to_owned(), service: Some(name.to_owned()), ..Caller::default() }
    }

    /// Gives who calls without credentials.
    pub fn anonymous() -> Caller {
        Caller { arn: "anonymous".to_owned(), id: "anonymous".to_owned(), ..Caller::default() }
    }
}

/// What a service answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An error of AWS; each protocol writes it in its own way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub status: u16,
    pub code: String,
    pub message: String,
    /// Further elements of an error of S3, or members of a JSON one.
    pub members: Vec<(String, String)>,
}

pub(crate) type Outcome<T> = Result<T, Fault>;

impl Fault {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Fault {
        Fault { status, code: code.to_owned(), message: message.into(), members: Vec::new() }
    }

    /// Refuses an action in the words of IAM-AccessDenied; `why` begins with a space, or is empty.
    pub fn denied(caller: &Caller, action: &str, resource: &str, why: &str) -> Fault {
        Fault::new(403, "AccessDenied", format!("User: {} is not authorized to perform: {action} on resource: {resource}{why}", caller.arn))
    }

    pub fn with(mut self, name: &str, value: &str) -> Fault {
        self.members.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Call {
    /// Gives a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Gives a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Gives the operation of an awsJson call, such as `CreateKey`.
    pub fn target(&self) -> &str {
        self.header("x-amz-target").and_then(|target| target.rsplit('.').next()).unwrap_or_default()
    }

    /// Gives the body of an awsJson call.
    pub fn json(&self) -> Outcome<Value> {
        let value = if self.body.is_empty() { Ok(json!({})) } else { serde_json::from_slice::<Value>(&self.body) };
        match value {
            Ok(value) if value.is_object() => Ok(value),
            _ => Err(Fault::new(400, "SerializationException", "")),
        }
    }

    /// Gives the form of an awsQuery call.
    pub fn form(&self) -> Form {
        let mut pairs = self.query.clone();
        pairs.extend(parse_query(&String::from_utf8_lossy(&self.body)));
        Form(pairs)
    }
}

/// The parameters of an awsQuery call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(pub Vec<(String, String)>);

impl Form {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub fn needed(&self, name: &str) -> Outcome<&str> {
        let member = format!("{}{}", name.get(..1).unwrap_or_default().to_lowercase(), name.get(1..).unwrap_or_default());
        self.get(name).ok_or_else(|| {
            let message =
                format!("1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null");
            Fault::new(400, "ValidationError", message)
        })
    }

    /// Gives `name.member.1`, `name.member.2` …
    pub fn list(&self, name: &str) -> Vec<&str> {
        (1..).map_while(|number| self.get(&format!("{name}.member.{number}"))).collect()
    }

    /// Gives `Tags.member.N.Key` and `.Value`.
    pub fn tags(&self) -> Vec<(String, String)> {
        let tag = |number| {
            let key = self.get(&format!("Tags.member.{number}.Key"))?;
            Some((key.to_owned(), self.get(&format!("Tags.member.{number}.Value")).unwrap_or_default().to_owned()))
        };
        (1..).map_while(tag).collect()
    }
}

fn parse_query(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pair =
        |part: &str| part.split_once('=').map_or_else(|| (decode(part), String::new()), |(name, value)| (decode(name), decode(value)));
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

/// Encodes everything but RFC 3986's unreserved characters.
pub(crate) fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Writes a text for XML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#xD;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Writes an element with a text.
pub(crate) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// Answers an awsJson 1.1 call.
pub(crate) fn json_answer(outcome: Outcome<Value>) -> Answer {
    let content_type = ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned());
    match outcome {
        Ok(Value::Null) => Answer { status: 200, headers: vec![content_type], body: Vec::new() },
        Ok(value) => Answer { status: 200, headers: vec![content_type], body: value.to_string().into_bytes() },
        Err(fault) => {
            // The JSON services call a denial so, and answer 400 to it.
            let (status, code) = match fault.code.as_str() {
                "AccessDenied" => (400, "AccessDeniedException"),
                other => (fault.status, other),
            };
            let mut body = json!({"__type": code, "message": fault.message});
            for (name, value) in fault.members {
                body[name] = Value::String(value);
            }
            Answer { status, headers: vec![content_type], body: body.to_string().into_bytes() }
        }
    }
}

/// Answers an awsQuery call; the outcome is what stands inside the result element.
pub(crate) fn query_answer(call: &Call, operation: &str, namespace: &str, outcome: Outcome<String>) -> Answer {
    let id = &call.request_id;
    let (status, body) = match outcome {
        Ok(result) => {
            let result = format!("<{operation}Result>{result}</{operation}Result>");
            let metadata = format!("<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>");
            (200, format!("<{operation}Response xmlns=\"{namespace}\">{result}{metadata}</{operation}Response>"))
        }
        Err(fault) => {
            let kind = if fault.status >= 500 { "Receiver" } else { "Sender" };
            let (code, message) = (element("Code", &fault.code), element("Message", &fault.message));
            let error = format!("<Error><Type>{kind}</Type>{code}{message}</Error><RequestId>{id}</RequestId>");
            (fault.status, format!("<ErrorResponse xmlns=\"{namespace}\">{error}</ErrorResponse>"))
        }
    };
    Answer { status, headers: vec![("content-type".to_owned(), "text/xml".to_owned())], body: body.into_bytes() }
}

/// Writes an error of S3; what HEAD asked for loses its body later.
pub(crate) fn rest_fault(call: &Call, fault: &Fault) -> Answer {
    let mut inside = element("Code", &fault.code) + &element("Message", &fault.message);
    for (name, value) in &fault.members {
        inside.push_str(&element(name, value));
    }
    inside.push_str(&element("RequestId", &call.request_id));
    inside.push_str(&element("HostId", &host_id(&call.request_id)));
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>{inside}</Error>");
    Answer { status: fault.status, headers: vec![("content-type".to_owned(), "application/xml".to_owned())], body: body.into_bytes() }
}

fn host_id(request_id: &str) -> String {
    aws_smithy_types::base64::encode(format!("rehearsal/{request_id}"))
}

/// Writes an error in the protocol of the call's service.
pub(crate) fn fault_answer(call: &Call, fault: Fault) -> Answer {
    match call.service.as_str() {
        "s3" => rest_fault(call, &fault),
        "iam" => query_answer(call, "", super::iam::NAMESPACE, Err(fault)),
        "sts" => query_answer(call, "", super::sts::NAMESPACE, Err(fault)),
        _ => json_answer(Err(fault)),
    }
}

/// What stands in an `Authorization` header or a presigned query.
struct Scope {
    key: String,
    region: String,
    service: String,
}

fn scope(credential: &str) -> Option<Scope> {
    let mut parts = credential.split('/');
    let (key, _day, region, service) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(Scope { key: key.to_owned(), region: region.to_owned(), service: service.to_owned() })
}

/// A body, and what stood behind it.
type Unchunked = (Vec<u8>, Vec<(String, String)>);

/// Undoes `aws-chunked`: `SIZE[;chunk-signature=…]`, the bytes, and trailers at the end.
fn unchunked(body: &[u8]) -> Option<Unchunked> {
    let mut whole = Vec::with_capacity(body.len());
    let mut rest = body;
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, after) = rest.split_at_checked(end)?;
        let size = String::from_utf8_lossy(line);
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            let trailers = String::from_utf8_lossy(after);
            let trailers = trailers.lines().filter_map(|line| line.split_once(':'));
            let trailers = trailers.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())).collect();
            return Some((whole, trailers));
        }
        let after = after.get(2..)?;
        whole.extend_from_slice(after.get(..size)?);
        rest = after.get(size + 2..)?;
    }
}

/// Reads a request, and finds out who calls.
pub(super) fn read(state: &mut State, request: Request) -> Result<Call, Box<(Call, Answer)>> {
    let mut call = unread(state, request);
    match identify(state, &mut call) {
        Ok(()) => Ok(call),
        Err(fault) => {
            let answer = fault_answer(&call, fault);
            Err(Box::new((call, answer)))
        }
    }
}

fn unread(state: &mut State, request: Request) -> Call {
    let (raw_path, raw_query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut call = Call {
        method: request.method,
        path: percent_decode_str(raw_path).decode_utf8_lossy().into_owned(),
        raw_path: raw_path.to_owned(),
        query: parse_query(raw_query),
        headers: request.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
        body: request.body,
        request_id: state.random.uuid(),
        ..Call::default()
    };
    call.host = call.header("host").map(str::to_owned).unwrap_or(request.host);
    call
}

fn identify(state: &State, call: &mut Call) -> Outcome<()> {
    if call.header("x-amz-content-sha256").is_some_and(|hash| hash.starts_with("STREAMING-")) {
        call.service = "s3".to_owned();
        let incomplete = || Fault::new(400, "IncompleteBody", "The request body terminated unexpectedly");
        let (body, trailers) = unchunked(&call.body).ok_or_else(incomplete)?;
        call.body = body;
        // A checksum is as good behind the body as before it.
        call.headers.extend(trailers);
    }
    let signed = call.header("authorization").and_then(|header| header.split_once("Credential=")).map(|(_, rest)| rest);
    let signed = signed.and_then(|rest| rest.split([',', ' ']).next()).or_else(|| call.parameter("X-Amz-Credential"));
    let Some(scope) = signed.and_then(scope) else {
        // S3's is the only host name whose first or second word isn't the service's.
        let named = call.host.split('.').next().unwrap_or_default().to_owned();
        call.service = if matches!(named.as_str(), "sts" | "iam" | "kms" | "events" | "codepipeline" | "organizations") {
            named
        } else {
            "s3".to_owned()
        };
        call.region = state.dev_region.clone();
        call.caller = Caller::anonymous();
        if call.service == "s3" {
            return Ok(());
        }
        let code = if matches!(call.service.as_str(), "sts" | "iam") {
            "MissingAuthenticationToken"
        } else {
            "MissingAuthenticationTokenException"
        };
        return Err(Fault::new(403, code, "Missing Authentication Token"));
    };
    call.service = scope.service;
    call.region = scope.region;
    let token = call.header("x-amz-security-token").or_else(|| call.parameter("X-Amz-Security-Token")).map(str::to_owned);
    call.caller = authenticate(state, &call.service, &scope.key, token.as_deref())?;
    match state.access_keys.get(&scope.key).filter(|_| state.checks_signatures) {
        Some(key) => super::signature::check(call, &key.secret),
        None => Ok(()),
    }
}

/// Finds out whose an access key is.
fn authenticate(state: &State, service: &str, key: &str, token: Option<&str>) -> Outcome<Caller> {
    let invalid = || match service {
        "s3" => Fault::new(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
            .with("AWSAccessKeyId", key),
        "sts" | "iam" => Fault::new(403, "InvalidClientTokenId", "The security token included in the request is invalid."),
        _ => Fault::new(400, "UnrecognizedClientException", "The security token included in the request is invalid."),
    };
    let found: &AccessKey = state.access_keys.get(key).ok_or_else(invalid)?;
    if found.token.as_deref() != token {
        return Err(match service {
            "s3" if found.token.is_some() => Fault::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid."),
            _ => invalid(),
        });
    }
    if found.expires.is_some_and(|expires| expires <= state.clock) {
        return Err(expired(service));
    }
    let account = state.accounts.get(&found.account).ok_or_else(invalid)?;
    let caller = Caller { account: account.id.clone(), key: Some(key.to_owned()), ..Caller::default() };
    match &found.holder {
        Holder::Root => Ok(Caller { arn: account.iam_arn("root"), id: account.id.clone(), ..caller }),
        Holder::User(name) | Holder::UserSession { user: name, .. } => {
            let user = account.users.get(name).ok_or_else(invalid)?;
            Ok(Caller { arn: user.arn.clone(), id: user.id.clone(), ..caller })
        }
        Holder::Session { role, id, session, .. } => {
            // A session of a role that was deleted, or made anew, is nobody's any more.
            let role = account.roles.get(role).filter(|role| role.id == *id).ok_or_else(invalid)?;
            let arn = format!("arn:{}:sts::{}:assumed-role/{}/{session}", account.partition, account.id, role.name);
            Ok(Caller { arn, role: Some(role.arn.clone()), id: format!("{id}:{session}"), ..caller })
        }
    }
}

/// Says that a session is over, in the words of a service.
pub(crate) fn expired(service: &str) -> Fault {
    match service {
        "s3" => Fault::new(400, "ExpiredToken", "The provided token has expired."),
        "sts" | "iam" => Fault::new(403, "ExpiredToken", "The security token included in the request is expired"),
        _ => Fault::new(400, "ExpiredTokenException", "The security token included in the request is expired"),
    }
}

/// Turns a service's answer into what goes out.
pub(super) fn respond(call: &Call, answer: Answer) -> Response {
    let mut headers = answer.headers;
    if call.service == "s3" {
        headers.push(("x-amz-request-id".to_owned(), call.request_id.clone()));
        headers.push(("x-amz-id-2".to_owned(), host_id(&call.request_id)));
        headers.push(("server".to_owned(), "AmazonS3".to_owned()));
    } else {
        headers.push(("x-amzn-requestid".to_owned(), call.request_id.clone()));
    }
    let body = if call.method == "HEAD" { Vec::new() } else { answer.body };
    Response { status: answer.status, headers, body }
}
