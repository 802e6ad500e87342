//! Who may do what: every call is judged by the same evaluator that the proof uses.

use super::state::{Holder, Logged, State, date_time_seconds};
use super::wire::{Call, Caller, Fault, Outcome};
use crate::policy::{self, Decided, Decision};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    pub action: &'a str,
    pub resource: String,
    /// How a denial names the resource, where it isn't its ARN.
    pub shown: Option<String>,
    /// The resource's account.
    pub account: String,
    pub resource_policy: Option<Value>,
    pub context: Map<String, Value>,
    /// RestrictPublicBuckets is on.
    pub restricts_public: bool,
    /// The call came over TLS.
    pub secure: bool,
    pub region: String,
}

impl<'a> Asked<'a> {
    pub fn new(action: &'a str, resource: impl Into<String>, account: &str, region: &str) -> Asked<'a> {
        Asked {
            action,
            resource: resource.into(),
            shown: None,
            account: account.to_owned(),
            resource_policy: None,
            context: Map::new(),
            restricts_public: false,
            secure: true,
            region: region.to_owned(),
        }
    }

    /// Gives what a call that came over the wire asks for: it has an address and a user agent.
    pub fn by(call: &Call, action: &'a str, resource: impl Into<String>, account: &str) -> Asked<'a> {
        let mut asked = Asked::new(action, resource, account, &call.region);
        if call.caller.via.is_none() && call.caller.service.is_none() {
            asked.context.insert("aws:SourceIp".to_owned(), json!("192.0.2.1"));
            if let Some(agent) = call.header("user-agent") {
                asked.context.insert("aws:UserAgent".to_owned(), json!(agent));
            }
        }
        asked
    }

    pub fn under(mut self, policy: Option<Value>) -> Asked<'a> {
        self.resource_policy = policy;
        self
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Asked<'a> {
        self.context.insert(key.to_owned(), value.into());
        self
    }

    pub fn shown(mut self, text: impl Into<String>) -> Asked<'a> {
        self.shown = Some(text.into());
        self
    }

    /// Adds the tags of the resource, as `aws:ResourceTag/…`.
    pub fn resource_tags(self, tags: &BTreeMap<String, String>) -> Asked<'a> {
        tags.iter().fold(self, |asked, (key, value)| asked.with(&format!("aws:ResourceTag/{key}"), value.as_str()))
    }

    /// Adds the tags that the call brings.
    pub fn request_tags(self, tags: &BTreeMap<String, String>) -> Asked<'a> {
        if tags.is_empty() {
            return self;
        }
        let keys: Vec<&str> = tags.keys().map(String::as_str).collect();
        let asked = self.with("aws:TagKeys", json!(keys));
        tags.iter().fold(asked, |asked, (key, value)| asked.with(&format!("aws:RequestTag/{key}"), value.as_str()))
    }
}

/// What a caller brings with itself.
#[derive(Debug, Default)]
struct Identity {
    policies: Vec<Value>,
    boundary: Option<Value>,
    session: Option<Value>,
    tags: BTreeMap<String, String>,
    issued: Option<u64>,
    by_service: bool,
}

fn identity(state: &State, caller: &Caller) -> Identity {
    let Some(account) = state.visible(&caller.account) else { return Identity::default() };
    let parsed = |text: &String| serde_json::from_str::<Value>(text).unwrap_or_default();
    let collect = |inline: &BTreeMap<String, String>, attached: &[String], boundary: Option<&String>, tags: &BTreeMap<String, String>| {
        let managed = attached.iter().filter_map(|arn| state.visible_document(arn));
        Identity {
            policies: inline.values().map(parsed).chain(managed).collect(),
            // A boundary that was deleted allows nothing.
            boundary: boundary.map(|arn| state.visible_document(arn).unwrap_or_else(|| json!({"Statement": {"Effect": "Deny", "Action": "none:none", "Resource": "*"}}))),
            tags: tags.clone(),
            ..Identity::default()
        }
    };
    if let Some(arn) = &caller.role {
        let Some(role) = account.role(arn) else { return Identity::default() };
        let found = collect(&role.inline, &role.attached, role.boundary.as_ref(), &role.tags);
        let key = caller.key.as_ref().and_then(|key| state.access_keys.get(key)).map(|key| &key.holder);
        return match key {
            Some(Holder::Session { policy, issued, by_service, .. }) => {
                Identity { session: policy.clone(), issued: Some(*issued), by_service: *by_service, ..found }
            }
            _ => found,
        };
    }
    if caller.arn.ends_with(":root") {
        // Root may everything in its account (IAM-Eval).
        let everything = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        return Identity { policies: vec![everything], ..Identity::default() };
    }
    let Some(user) = account.users.values().find(|user| user.arn == caller.arn) else { return Identity::default() };
    let mut found = collect(&user.inline, &user.attached, user.boundary.as_ref(), &user.tags);
    for group in account.groups.values().filter(|group| group.members.contains(&user.name)) {
        found.policies.extend(collect(&group.inline, &group.attached, None, &BTreeMap::new()).policies);
    }
    found
}

fn context(state: &State, caller: &Caller, asked: &Asked<'_>, identity: &Identity) -> Map<String, Value> {
    let mut context = asked.context.clone();
    let mut set = |key: &str, value: Value| {
        context.entry(key.to_owned()).or_insert(value);
    };
    set("aws:SecureTransport", json!(asked.secure));
    set("aws:ResourceAccount", json!(asked.account));
    set("aws:RequestedRegion", json!(asked.region));
    set("aws:CurrentTime", json!(date_time_seconds(state.clock)));
    set("aws:EpochTime", json!(state.clock / 1000));
    set("aws:ViaAWSService", json!(caller.via.is_some()));
    set("aws:PrincipalIsAWSService", json!(caller.service.is_some()));
    if let Some(service) = &caller.service {
        set("aws:PrincipalServiceName", json!(service));
    }
    if caller.account.is_empty() {
        return context;
    }
    set("aws:PrincipalAccount", json!(caller.account));
    set("aws:PrincipalArn", json!(caller.role.as_ref().unwrap_or(&caller.arn)));
    set("aws:userid", json!(caller.id));
    let kind = if caller.role.is_some() {
        "AssumedRole"
    } else if caller.arn.ends_with(":root") {
        "Account"
    } else {
        "User"
    };
    set("aws:PrincipalType", json!(kind));
    if kind == "User" {
        set("aws:username", json!(caller.arn.rsplit('/').next().unwrap_or_default()));
    }
    if let Some(issued) = identity.issued {
        set("aws:TokenIssueTime", json!(date_time_seconds(issued)));
        // A service's session never had a device to show (facts G.5).
        if !identity.by_service {
            set("aws:MultiFactorAuthPresent", json!(false));
        }
    }
    for (key, value) in &identity.tags {
        set(&format!("aws:PrincipalTag/{key}"), json!(value));
    }
    context
}

/// Says why, in the words of IAM-AccessDenied; begins with a space.
pub(crate) fn why(decision: &Decision, action: &str) -> String {
    if decision.decided == Decided::ExplicitlyDenied {
        return match decision.because.first().map(|reason| reason.policy) {
            Some("identity") => " with an explicit deny in an identity-based policy",
            Some("boundary") => " with an explicit deny in a permissions boundary",
            Some("session") => " with an explicit deny in a session policy",
            Some("trust") => " with an explicit deny in the role trust policy",
            _ => " with an explicit deny in a resource-based policy",
        }
        .to_owned();
    }
    let order = ["identity", "boundary", "session"];
    let lack = decision.missing.iter().min_by_key(|lack| order.iter().position(|side| *side == lack.side).unwrap_or(order.len()));
    let side = match lack.map(|lack| lack.side) {
        Some("boundary") => "permissions boundary",
        Some("session") => "session policy",
        Some("trust") => "role trust policy",
        Some("resource" | "key") => "resource-based policy",
        _ => "identity-based policy",
    };
    format!(" because no {side} allows the {action} action")
}

/// Gives the part of a request that says who a principal is and what its own policies allow.
pub(crate) fn judged_alone(state: &State, account: &str, arn: &str) -> Option<Value> {
    state.principal_id(arn)?;
    let role = arn.contains(":role/").then(|| arn.to_owned());
    let caller = Caller { account: account.to_owned(), arn: arn.to_owned(), role, ..Caller::default() };
    let identity = identity(state, &caller);
    let mut request = json!({"principal": arn, "identityPolicies": identity.policies});
    if let Some(boundary) = identity.boundary {
        request["permissionBoundaries"] = json!([boundary]);
    }
    Some(request)
}

/// Judges a call and puts it into the log.
pub(crate) fn judge(state: &mut State, caller: &Caller, asked: &Asked<'_>) -> Decision {
    let identity = identity(state, caller);
    let request = request(state, caller, asked, identity);
    let decision = policy::decide(&request);
    state.log.push(Logged {
        call: state.calls,
        caller: caller.arn.clone(),
        action: asked.action.to_owned(),
        resource: asked.resource.clone(),
        verdict: decision.decided,
        request: Arc::new(request),
    });
    decision
}

/// Says whether the resource's own policy leaves a call to a caller that may everything of itself; nobody makes that call.
pub(crate) fn resource_side_allows(state: &State, caller: &Caller, asked: &Asked<'_>) -> bool {
    let everything = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let identity = Identity { policies: vec![everything], ..Identity::default() };
    policy::decide(&request(state, caller, asked, identity)).decided == Decided::Allowed
}

fn request(state: &State, caller: &Caller, asked: &Asked<'_>, identity: Identity) -> Value {
    let mut request = Map::new();
    request.insert("principal".to_owned(), json!(caller.service.as_ref().unwrap_or(&caller.arn)));
    if let Some(role) = &caller.role {
        request.insert("principalRole".to_owned(), json!(role));
    }
    request.insert("action".to_owned(), json!(asked.action));
    request.insert("resource".to_owned(), json!(asked.resource));
    request.insert("resourceAccount".to_owned(), json!(asked.account));
    request.insert("context".to_owned(), Value::Object(context(state, caller, asked, &identity)));
    request.insert("identityPolicies".to_owned(), Value::Array(identity.policies));
    if let Some(boundary) = identity.boundary {
        request.insert("permissionBoundaries".to_owned(), json!([boundary]));
    }
    if let Some(session) = identity.session {
        request.insert("sessionPolicy".to_owned(), session);
    }
    if let Some(policy) = &asked.resource_policy {
        request.insert("resourcePolicy".to_owned(), policy.clone());
    }
    if asked.restricts_public {
        request.insert("blockPublicAccess".to_owned(), json!(true));
    }
    Value::Object(request)
}

/// Lets a call pass, or gives the denial that AWS gives.
///
/// A decision that hangs on an unknown key, or on a document that can't be read, is a denial.
pub(crate) fn authorise(state: &mut State, caller: &Caller, asked: Asked<'_>) -> Outcome<()> {
    let decision = judge(state, caller, &asked);
    if decision.decided == Decided::Allowed {
        return Ok(());
    }
    if asked.action.starts_with("s3:") {
        return Err(Fault::new(403, "AccessDenied", "Access Denied"));
    }
    // AWS says more only within one account (IAM-AccessDenied).
    let within = caller.account == asked.account;
    let why = if within { why(&decision, asked.action) } else { String::new() };
    Err(Fault::denied(caller, asked.action, asked.shown.as_deref().unwrap_or(&asked.resource), &why))
}
