//! Where AWS and the emulators differ in ways that matter here, and the proxy takes AWS's side.
//!
//! Each function marked "AWS fidelity" says what the emulator does instead. Pipelines have a module
//! of their own, [`super::pipelines`].

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};

use super::emulators::{Emulators, is_account_id};
use super::pipelines;
use super::proxy::{Action, Answer, Own, Request, Shared};
use super::xml::{element, elements, percent_decode, percent_encode};

pub(super) const REQUEST_ID: &str = "0badbeef-0000-4000-8000-000000000000";
pub(super) const S3_REQUEST_ID: &str = "0BADBEEF00000000";

/// When each principal came to be, to hide it for a while: real AWS refuses a policy that names a
/// role for some seconds after CreateRole, and ordering mistakes show nowhere else.
#[derive(Default)]
pub(super) struct Visibility {
    propagation: Mutex<Duration>,
    created: Mutex<HashMap<String, Instant>>,
    changed: Mutex<HashMap<String, Instant>>,
}

impl Visibility {
    pub fn set_propagation(&self, propagation: Duration) {
        *self.propagation.lock().unwrap() = propagation;
    }

    fn created(&self, arn: &str) {
        self.created.lock().unwrap().insert(arn.to_owned(), Instant::now());
    }

    fn changed(&self, account: &str, role: &str) {
        self.changed.lock().unwrap().insert(format!("{account}/{role}"), Instant::now());
    }

    fn is_recent(&self, since: Option<&Instant>) -> bool {
        let propagation = *self.propagation.lock().unwrap();
        since.is_some_and(|since| since.elapsed() < propagation)
    }

    /// Whether policies can't name the principal yet.
    pub fn hides(&self, arn: &str) -> bool {
        self.is_recent(self.created.lock().unwrap().get(arn))
    }

    /// Whether the role, or what it trusts and may do, is too new to be assumed.
    pub fn hides_role(&self, role: &Role) -> bool {
        let name = format!("{}/{}", role.account, role.name);
        self.hides(&role.arn) || self.is_recent(self.changed.lock().unwrap().get(&name))
    }
}

/// The answer AWS would give where the emulator would let the call pass, or has none.
pub(super) async fn refuse(shared: &Shared, request: &Request) -> Option<Action> {
    match (request.service.as_str(), request.operation.as_str()) {
        ("s3", "PutBucketPolicy") => match refuse_bucket(shared, request).await {
            None => refuse_bucket_policy(shared, request).await,
            refused => refused,
        },
        ("s3", _) => refuse_bucket(shared, request).await,
        ("kms", "CreateKey" | "PutKeyPolicy" | "ReplicateKey") => refuse_key_policy(shared, request).await,
        ("kms", "DescribeKey") => describe_foreign_key(shared, request).await,
        ("kms", "EnableKeyRotation" | "DisableKeyRotation") => refuse_replica_rotation(shared, request).await,
        ("iam", "CreateRole") => match refuse_trust(shared, request).await {
            None => refuse_same_name(shared, request, "Role").await,
            refused => refused,
        },
        ("iam", "UpdateAssumeRolePolicy") => refuse_trust(shared, request).await,
        ("iam", "CreatePolicy") => match refuse_identity_policy(request) {
            None => refuse_same_name(shared, request, "Policy").await,
            refused => refused,
        },
        ("iam", "CreatePolicyVersion" | "PutRolePolicy" | "PutUserPolicy") => refuse_identity_policy(request),
        ("iam", "AttachRolePolicy") => refuse_absent_policy(shared, request).await,
        ("events", "DeleteRule") => refuse_rule_with_targets(shared, request).await,
        ("codepipeline", _) => pipelines::refuse(shared, request).await,
        _ => None,
    }
}

/// Takes note of what the emulator did and mends its answer.
pub(super) async fn after(shared: &Shared, request: &Request, answer: Answer) -> Answer {
    if request.service == "codepipeline" {
        return pipelines::after(shared, request, answer).await;
    }
    if !(200..300).contains(&answer.status) {
        return answer;
    }
    let text = || String::from_utf8_lossy(&answer.body).into_owned();
    match (request.service.as_str(), request.operation.as_str()) {
        ("iam", "CreateRole" | "CreateUser") => {
            if let Some(arn) = element(&text(), "Arn") {
                shared.visibility.created(&arn);
            }
        }
        ("iam", "UpdateAssumeRolePolicy" | "PutRolePolicy" | "AttachRolePolicy") => {
            shared.visibility.changed(&request.account, &request.form("RoleName").unwrap_or_default());
        }
        ("sts", "AssumeRole") => {
            let text = text();
            if let (Some(key), Some(arn)) = (element(&text, "AccessKeyId"), element(&text, "Arn")) {
                shared.emulators.register_access_key(&key, account_of_arn(&arn));
            }
        }
        _ => {}
    }
    answer
}

/// AWS fidelity: ministack takes no notice of `x-amz-expected-bucket-owner`, nor of the region that
/// a call is signed for.
async fn refuse_bucket(shared: &Shared, request: &Request) -> Option<Action> {
    let bucket = request.bucket();
    if bucket.is_empty() || request.is("CreateBucket") || request.account.is_empty() {
        return None;
    }
    let ask = async |account: &str, method: Method, path: String| {
        own(shared.emulators, account, "s3", "us-east-1").send(method, &path, &[], String::new()).await.ok()
    };
    let head = ask(&request.account, Method::HEAD, format!("/{bucket}")).await?;
    if head.status == 404 {
        return None;
    }
    // A region doesn't serve another's buckets: it says where to go, and the Rust SDK doesn't follow.
    let home = head.headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok()).unwrap_or_default();
    if home != request.region && !home.is_empty() && !request.is("GetBucketLocation") {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                       Please send all future requests to this endpoint.";
        return Some(bucket_answer(request, 301, "PermanentRedirect", message, home));
    }
    let expected = request.header("x-amz-expected-bucket-owner")?;
    let owned = ask(expected, Method::GET, "/".to_owned()).await?;
    let names = elements(&String::from_utf8_lossy(&owned.body), "Name");
    if names.iter().any(|name| name == bucket) {
        return None;
    }
    Some(bucket_answer(request, 403, "AccessDenied", "Access Denied", home))
}

/// An S3 error that names the bucket's region; without a body if HEAD asked.
fn bucket_answer(request: &Request, status: u16, code: &str, message: &str, region: &str) -> Action {
    match Action::s3_error(status, code, message) {
        Action::Answer { status, mut headers, body } => {
            headers.push(("x-amz-bucket-region".to_owned(), region.to_owned()));
            let body = if request.method == "HEAD" { Vec::new() } else { body };
            Action::Answer { status, headers, body }
        }
        other => other,
    }
}

/// AWS fidelity: ministack accepts a bucket policy with any principal, any resource, of any size and
/// any text. The code for the size is a guess.
async fn refuse_bucket_policy(shared: &Shared, request: &Request) -> Option<Action> {
    let refuse = |message: &str| Some(Action::s3_error(400, "MalformedPolicy", message));
    let Ok(policy) = serde_json::from_slice::<Value>(&request.body) else {
        return refuse("This policy contains invalid Json");
    };
    if request.body.len() > 20 * 1024 {
        return refuse("Policy exceeds the maximum allowed document size.");
    }
    for statement in statements(&policy) {
        for field in ["Effect", "Principal", "Action", "Resource"] {
            if statement.get(field).is_none() && statement.get(format!("Not{field}")).is_none() {
                return refuse(&format!("Missing required field {field}"));
            }
        }
        let fits = |resource: &String| {
            let name = resource.split_once(":s3:::").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
            matches(name, request.bucket(), false)
        };
        if !strings(&statement["Resource"]).iter().all(fits) {
            return refuse("Policy has invalid resource");
        }
    }
    if first_absent_principal(shared, &policy).await.is_some() {
        return refuse("Invalid principal in policy");
    }
    None
}

/// AWS fidelity: ministack accepts a key policy with any principal and any text.
async fn refuse_key_policy(shared: &Shared, request: &Request) -> Option<Action> {
    let body = request.json();
    let text = body["Policy"].as_str()?;
    let refuse = |message: &str| Some(Action::json_error(400, "MalformedPolicyDocumentException", message));
    let policy: Value = serde_json::from_str(text).unwrap_or_default();
    if statements(&policy).is_empty() {
        return refuse("Policy contains invalid JSON or no statements.");
    }
    if first_absent_principal(shared, &policy).await.is_some() {
        return refuse("Policy contains a statement with one or more invalid principals.");
    }
    let keeps_control = allows(&policy, "kms:PutKeyPolicy", |principal| is_of_account(principal, &request.account));
    if !keeps_control && body["BypassPolicyLockoutSafetyCheck"] != true {
        return refuse("The new key policy will not allow you to update the key policy in the future.");
    }
    None
}

/// AWS fidelity: to ministack a key of another account doesn't exist; AWS lets DescribeKey pass if
/// the key policy does. The caller's own permissions and conditions are not looked at.
async fn describe_foreign_key(shared: &Shared, request: &Request) -> Option<Action> {
    let body = request.json();
    let arn = body["KeyId"].as_str()?;
    let owner = account_of_arn(arn);
    if owner.is_empty() || owner == request.account {
        return None;
    }
    let kms = own(shared.emulators, owner, "kms", &request.region);
    let key = kms.json("TrentService.DescribeKey", &json!({"KeyId": arn})).await.ok()?;
    let policy = kms.json("TrentService.GetKeyPolicy", &json!({"KeyId": arn, "PolicyName": "default"})).await.ok()?;
    let policy: Value = serde_json::from_slice(&policy.body).unwrap_or_default();
    let policy = document(policy["Policy"].as_str().unwrap_or_default());
    if key.status == 200 && allows(&policy, "kms:DescribeKey", |principal| is_of_account(principal, &request.account)) {
        return Some(Action::json(200, &serde_json::from_slice(&key.body).unwrap_or_default()));
    }
    let message = format!(
        "User: arn:aws:iam::{}:user/caller is not authorized to perform: kms:DescribeKey on resource: {arn} \
         because no resource-based policy allows the kms:DescribeKey action",
        request.account
    );
    Some(Action::json_error(400, "AccessDeniedException", &message))
}

/// AWS fidelity: ministack lets a replica have a rotation of its own.
async fn refuse_replica_rotation(shared: &Shared, request: &Request) -> Option<Action> {
    let kms = own(shared.emulators, &request.account, "kms", &request.region);
    let asked = json!({"KeyId": request.json()["KeyId"]});
    let key = kms.json("TrentService.DescribeKey", &asked).await.ok()?;
    let key: Value = serde_json::from_slice(&key.body).unwrap_or_default();
    let metadata = &key["KeyMetadata"];
    let message = format!("{} is a replica key.", metadata["Arn"].as_str().unwrap_or_default());
    (metadata["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA")
        .then(|| Action::json_error(400, "UnsupportedOperationException", &message))
}

/// AWS fidelity: ministack accepts a trust policy with any principal, of any size and any text.
async fn refuse_trust(shared: &Shared, request: &Request) -> Option<Action> {
    let text = request.form("AssumeRolePolicyDocument").or_else(|| request.form("PolicyDocument"))?;
    let malformed = |message: &str| Some(Action::query_error(400, "MalformedPolicyDocument", message));
    let Ok(policy) = serde_json::from_str::<Value>(&text) else {
        return malformed("This policy contains invalid Json");
    };
    if let Some(problem) = sid_problem(&policy) {
        return malformed(problem);
    }
    for statement in statements(&policy) {
        if statement.get("Resource").is_some() || statement.get("NotResource").is_some() {
            return malformed("Has prohibited field Resource");
        }
        if statement.get("Principal").is_none() && statement.get("NotPrincipal").is_none() {
            return malformed("Missing required field Principal");
        }
    }
    if characters(&text) > 2048 {
        return Some(Action::query_error(409, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048"));
    }
    let principal = first_absent_principal(shared, &policy).await?;
    malformed(&format!("Invalid principal in policy: \"AWS\":\"{principal}\""))
}

/// AWS fidelity: ministack accepts identity policies with principals, with any Sids and of any size.
fn refuse_identity_policy(request: &Request) -> Option<Action> {
    let text = request.form("PolicyDocument")?;
    let malformed = |message: &str| Some(Action::query_error(400, "MalformedPolicyDocument", message));
    let Ok(policy) = serde_json::from_str::<Value>(&text) else {
        return malformed("Syntax errors in policy.");
    };
    if let Some(problem) = sid_problem(&policy) {
        return malformed(problem);
    }
    for statement in statements(&policy) {
        if statement.get("Principal").is_some() || statement.get("NotPrincipal").is_some() {
            return malformed("Policy document should not specify a principal.");
        }
        for (field, message) in
            [("Resource", "Policy statement must contain resources."), ("Action", "Policy statement must contain actions.")]
        {
            if statement.get(field).is_none() && statement.get(format!("Not{field}")).is_none() {
                return malformed(message);
            }
        }
    }
    let (limit, name) = match request.operation.as_str() {
        "CreatePolicy" | "CreatePolicyVersion" => (6144, "PolicySize"),
        "PutRolePolicy" => (10240, "ACLSizePerRole"),
        _ => (2048, "ACLSizePerUser"),
    };
    let message = format!("Cannot exceed quota for {name}: {limit}");
    (characters(&text) > limit).then(|| Action::query_error(409, "LimitExceeded", &message))
}

/// What IAM, unlike KMS and S3, demands of Sids.
fn sid_problem(policy: &Value) -> Option<&'static str> {
    let mut seen = HashSet::new();
    for sid in statements(policy).into_iter().filter_map(|statement| statement["Sid"].as_str()) {
        if !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Some(
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular \
                 expression [0-9A-Za-z]*",
            );
        }
        if !sid.is_empty() && !seen.insert(sid) {
            return Some("Statement IDs (SID) in a single policy must be unique.");
        }
    }
    None
}

/// IAM's quotas don't count white space.
fn characters(text: &str) -> usize {
    text.chars().filter(|character| !character.is_whitespace()).count()
}

/// AWS fidelity: names of roles and policies are unique whatever their case; ministack looks at it.
async fn refuse_same_name(shared: &Shared, request: &Request, kind: &str) -> Option<Action> {
    let wanted = request.form(&format!("{kind}Name"))?;
    let query = match kind {
        "Role" => "Action=ListRoles&MaxItems=1000",
        _ => "Action=ListPolicies&Scope=Local&MaxItems=1000",
    };
    let listed = iam(shared.emulators, &request.account, query).await?;
    let same = |name: &String| *name != wanted && name.eq_ignore_ascii_case(&wanted);
    let message = format!("{kind} with name {wanted} already exists.");
    elements(&listed, &format!("{kind}Name")).iter().any(same).then(|| Action::query_error(409, "EntityAlreadyExists", &message))
}

/// AWS fidelity: ministack attaches policies that don't exist.
async fn refuse_absent_policy(shared: &Shared, request: &Request) -> Option<Action> {
    let arn = request.form("PolicyArn")?;
    // Those of AWS are taken to exist.
    if !is_account_id(account_of_arn(&arn)) {
        return None;
    }
    let query = format!("Action=GetPolicy&PolicyArn={}", percent_encode(&arn));
    let found = iam(shared.emulators, &request.account, &query).await;
    let message = format!("Policy {arn} does not exist or is not attachable.");
    found.is_none().then(|| Action::query_error(404, "NoSuchEntity", &message))
}

/// AWS fidelity: ministack deletes a rule that has targets.
async fn refuse_rule_with_targets(shared: &Shared, request: &Request) -> Option<Action> {
    let events = own(shared.emulators, &request.account, "events", &request.region);
    let asked = json!({"Rule": request.json()["Name"]});
    let found = events.json("AWSEvents.ListTargetsByRule", &asked).await.ok()?;
    let found: Value = serde_json::from_slice(&found.body).unwrap_or_default();
    let has_targets = found["Targets"].as_array().is_some_and(|targets| !targets.is_empty());
    has_targets.then(|| Action::json_error(400, "ValidationException", "Rule can't be deleted since it has targets."))
}

/// The first principal that AWS would call invalid: a role or user that doesn't exist or isn't
/// visible yet, the id of a deleted one, or no principal at all.
async fn first_absent_principal(shared: &Shared, policy: &Value) -> Option<String> {
    for statement in statements(policy) {
        for principal in aws_principals(statement) {
            if !principal_exists(shared, &principal).await {
                return Some(principal);
            }
        }
    }
    None
}

async fn principal_exists(shared: &Shared, principal: &str) -> bool {
    if principal == "*" || is_account_id(principal) {
        return true;
    }
    let parts: Vec<&str> = principal.splitn(6, ':').collect();
    let ["arn", _, service, _, account, resource] = parts[..] else {
        // Also the AROA… or AIDA… id that AWS shows for a deleted principal: read, never accepted.
        return false;
    };
    if !is_account_id(account) {
        return false;
    }
    let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
    match (service, kind) {
        ("iam", "root") => rest.is_empty(),
        ("iam", "role" | "user") => {
            let query = if kind == "role" { "GetRole&RoleName" } else { "GetUser&UserName" };
            let name = rest.rsplit('/').next().unwrap_or_default();
            let query = format!("Action={query}={}", percent_encode(name));
            let found = iam(shared.emulators, account, &query).await.and_then(|answer| element(&answer, "Arn"));
            // The path is part of the name here: an ARN without it is another principal's.
            found.as_deref() == Some(principal) && !shared.visibility.hides(principal)
        }
        ("sts", "assumed-role") => {
            let name = rest.split('/').next().unwrap_or_default();
            let query = format!("Action=GetRole&RoleName={}", percent_encode(name));
            iam(shared.emulators, account, &query).await.is_some()
        }
        ("sts", "federated-user") => true,
        _ => false,
    }
}

/// A role as ministack has it.
pub(super) struct Role {
    pub account: String,
    pub arn: String,
    pub name: String,
    pub trust: Value,
}

/// The role of exactly this ARN, path included.
pub(super) async fn find_role(shared: &Shared, arn: &str) -> Option<Role> {
    let account = account_of_arn(arn).to_owned();
    let name = arn.rsplit('/').next()?.to_owned();
    let query = format!("Action=GetRole&RoleName={}", percent_encode(&name));
    let answer = iam(shared.emulators, &account, &query).await?;
    if element(&answer, "Arn")? != arn {
        return None;
    }
    let trust = document(&element(&answer, "AssumeRolePolicyDocument")?);
    Some(Role { account, arn: arn.to_owned(), name, trust })
}

/// All documents, inline and attached, that say what a role may do.
pub(super) async fn identity_policies(shared: &Shared, role: &Role) -> Vec<Value> {
    let mut found = Vec::new();
    let name = percent_encode(&role.name);
    let ask = async |query: String| iam(shared.emulators, &role.account, &query).await.unwrap_or_default();
    let inline = ask(format!("Action=ListRolePolicies&RoleName={name}")).await;
    for policy in elements(&inline, "member") {
        let policy = percent_encode(&policy);
        let answer = ask(format!("Action=GetRolePolicy&RoleName={name}&PolicyName={policy}")).await;
        found.extend(element(&answer, "PolicyDocument").map(|text| document(&text)));
    }
    let attached = ask(format!("Action=ListAttachedRolePolicies&RoleName={name}")).await;
    for arn in elements(&attached, "PolicyArn") {
        let arn = percent_encode(&arn);
        let policy = ask(format!("Action=GetPolicy&PolicyArn={arn}")).await;
        let version = element(&policy, "DefaultVersionId").unwrap_or_default();
        let answer = ask(format!("Action=GetPolicyVersion&PolicyArn={arn}&VersionId={version}")).await;
        found.extend(element(&answer, "Document").map(|text| document(&text)));
    }
    found
}

/// Asks ministack's IAM as root of the account; `None` for any error.
async fn iam(emulators: &Emulators, account: &str, query: &str) -> Option<String> {
    let iam = own(emulators, account, "iam", "us-east-1");
    let answer = iam.query(format!("{query}&Version=2010-05-08")).await.ok()?;
    (answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).into_owned())
}

/// Calls to ministack as root of the account.
fn own<'a>(emulators: &Emulators, account: &'a str, service: &'a str, region: &'a str) -> Own<'a> {
    Own { port: emulators.ministack, access_key: account, service, region }
}

pub(super) fn statements(policy: &Value) -> Vec<&Value> {
    match &policy["Statement"] {
        Value::Array(statements) => statements.iter().collect(),
        Value::Object(_) => vec![&policy["Statement"]],
        _ => Vec::new(),
    }
}

/// Whether a statement of a resource policy allows the action to a principal that fits; conditions
/// and denials are not looked at.
pub(super) fn allows(policy: &Value, action: &str, fits: impl Fn(&str) -> bool) -> bool {
    statements(policy).into_iter().any(|statement| {
        statement["Effect"] == "Allow"
            && names_action(statement, action)
            && aws_principals(statement).iter().any(|principal| fits(principal))
    })
}

pub(super) fn names_action(statement: &Value, action: &str) -> bool {
    strings(&statement["Action"]).iter().any(|pattern| matches(pattern, action, true))
}

fn aws_principals(statement: &Value) -> Vec<String> {
    ["Principal", "NotPrincipal"]
        .iter()
        .flat_map(|member| match &statement[*member] {
            Value::String(everyone) => vec![everyone.clone()],
            Value::Object(kinds) => kinds.get("AWS").map(strings).unwrap_or_default(),
            _ => Vec::new(),
        })
        .collect()
}

fn is_of_account(principal: &str, account: &str) -> bool {
    principal == "*" || principal == account || account_of_arn(principal) == account
}

pub(super) fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// IAM's wildcards: `*` and `?`.
pub(super) fn matches(pattern: &str, text: &str, ignore_case: bool) -> bool {
    fn go(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => go(&pattern[1..], text) || (!text.is_empty() && go(pattern, &text[1..])),
            (Some(b'?'), Some(_)) => go(&pattern[1..], &text[1..]),
            (Some(one), Some(other)) => one == other && go(&pattern[1..], &text[1..]),
            _ => false,
        }
    }
    if ignore_case {
        return go(pattern.to_ascii_lowercase().as_bytes(), text.to_ascii_lowercase().as_bytes());
    }
    go(pattern.as_bytes(), text.as_bytes())
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&percent_decode(text))).unwrap_or_default()
}

pub(super) fn account_of_arn(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}
