//! The decision flow of the documentation, walked over the JSON as it stands: a rule a function, no speed, nothing kept.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

/// What a request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    Allowed,
    ExplicitlyDenied,
    ImplicitlyDenied,
    Unknown,
    Error,
}

impl Decision {
    pub const ALL: [Self; 5] = [Self::Allowed, Self::ExplicitlyDenied, Self::ImplicitlyDenied, Self::Unknown, Self::Error];

    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::ExplicitlyDenied => "explicitly-denied",
            Self::ImplicitlyDenied => "implicitly-denied",
            Self::Unknown => "unknown",
            Self::Error => "error",
        }
    }
}

/// Every decision that a request can come to, over all values of its unknown keys.
pub struct Outcomes {
    /// With values of the kind that the conditions expect.
    pub expected: BTreeSet<Decision>,
    /// Also with lists for keys tested as single values, and with text that is no number, date, address or ARN.
    pub odd: BTreeSet<Decision>,
    /// Too many combinations to try.
    pub too_many: bool,
}

/// The decision: unknown when the values of the unknown keys make a difference.
pub fn decide(request: &Value) -> Decision {
    let outcomes = outcomes(request);
    match outcomes.expected.first() {
        Some(only) if outcomes.expected.len() == 1 => *only,
        _ => Decision::Unknown,
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Unknown keys, by brute force

const MOST_COMBINATIONS: usize = 1_500;

pub fn outcomes(request: &Value) -> Outcomes {
    let keys: Vec<String> = texts(&request["unknownContext"]).into_iter().filter(|key| mentions(request, key)).collect();
    let tried: Vec<Tries> = keys.iter().map(|key| tries(request, key)).collect();
    let mut outcomes = Outcomes { expected: BTreeSet::new(), odd: BTreeSet::new(), too_many: false };
    if tried.iter().map(|tries| tries.expected.len()).product::<usize>() > MOST_COMBINATIONS {
        outcomes.too_many = true;
        return outcomes;
    }
    let expected: Vec<&[Option<Value>]> = tried.iter().map(|tries| &tries.expected[..]).collect();
    let Ok(mut world) = World::of(request) else {
        outcomes.expected.insert(Decision::Error);
        outcomes.odd.insert(Decision::Error);
        return outcomes;
    };
    each(&mut world, &keys, &expected, &mut outcomes.expected, Decision::ALL.len());
    outcomes.odd.clone_from(&outcomes.expected);
    for (at, tries) in tried.iter().enumerate() {
        let mut lists = expected.clone();
        lists[at] = &tries.odd;
        each(&mut world, &keys, &lists, &mut outcomes.odd, outcomes.expected.len());
    }
    outcomes
}

/// Stops when more decisions are found than `most`.
fn each(world: &mut World, keys: &[String], lists: &[&[Option<Value>]], found: &mut BTreeSet<Decision>, most: usize) {
    let Some((key, more)) = keys.split_first() else {
        found.insert(decision(world, Broken::IsAnError));
        return;
    };
    for value in lists[0] {
        if found.len() > most {
            return;
        }
        if let Some(value) = value {
            world.tried.push((key.clone(), value.clone()));
        }
        each(world, more, &lists[1..], found, most);
        if value.is_some() {
            world.tried.pop();
        }
    }
}

struct Tries {
    expected: Vec<Option<Value>>,
    odd: Vec<Option<Value>>,
}

/// Every document of a request, with what kind it is.
pub fn documents(request: &Value) -> Vec<(Kind, &Value)> {
    let mut found: Vec<(Kind, &Value)> = Vec::new();
    let plain = [
        ("identityPolicies", Kind::Identity),
        ("permissionBoundaries", Kind::Boundary),
        ("sessionPolicy", Kind::Session),
        ("resourcePolicy", resource_kind(request)),
        ("vpcEndpointPolicies", Kind::Endpoint),
    ];
    for (field, kind) in plain {
        found.extend(listed(&request[field]).into_iter().map(|document| (kind, document)));
    }
    for (field, kind) in [("scps", Kind::Scp), ("rcps", Kind::Rcp)] {
        for level in listed(&request[field]) {
            found.extend(listed(level).into_iter().map(|document| (kind, document)));
        }
    }
    found
}

pub fn conditions<'a>(request: &'a Value, key: &str) -> Vec<(&'a str, Vec<String>)> {
    let mut found = Vec::new();
    for (_, document) in documents(request) {
        for statement in statements(document) {
            for (operator, block) in statement["Condition"].as_object().into_iter().flatten() {
                for (name, values) in block.as_object().into_iter().flatten() {
                    if name.eq_ignore_ascii_case(key) {
                        found.push((operator.as_str(), texts(values)));
                    }
                }
            }
        }
    }
    found
}

fn in_a_variable(request: &Value, key: &str) -> bool {
    let text =
        Value::Array(documents(request).into_iter().map(|(_, document)| document.clone()).collect()).to_string().to_ascii_lowercase();
    text.contains(&format!("${{{}", key.to_ascii_lowercase()))
}

/// Whether any document says anything about a key.
pub fn mentions(request: &Value, key: &str) -> bool {
    !conditions(request, key).is_empty() || in_a_variable(request, key)
}

const FRESH: &str = "zz-fresh";

fn tries(request: &Value, key: &str) -> Tries {
    let tests = conditions(request, key);
    let world = World::of(request).ok();
    let mut single: BTreeSet<String> = BTreeSet::new();
    let mut many = false;
    let mut ignores_case = false;
    let mut tested_as_null = false;
    let alone = texts(&request["unknownContext"]).iter().filter(|key| mentions(request, key)).count() == 1;
    for (operator, values) in &tests {
        let Some(test) = operator_of(operator) else { continue };
        many |= test.set.is_some();
        ignores_case |= test.base.contains("IgnoreCase");
        tested_as_null |= test.base == "Null";
        if test.base.starts_with("String") || test.base == "Null" {
            single.insert(FRESH.to_owned());
        }
        for value in values {
            single.extend(instances(test.base, value, world.as_ref()));
        }
    }
    if alone {
        let of_texts = |base: &str| base.starts_with("String") || base.starts_with("Arn");
        let tested = tests.iter().filter(|(operator, _)| operator_of(operator).is_some_and(|test| of_texts(test.base)));
        let patterns: Vec<Vec<Unit>> = tested
            .flat_map(|(_, values)| values)
            .map(|value| world.as_ref().and_then(|world| expand(world, value, true)).unwrap_or_else(|| plain(value)))
            .collect();
        for (at, one) in patterns.iter().enumerate() {
            for other in &patterns[..at] {
                single.extend(common(one, other, &mut BTreeSet::new()).map(|units| String::from_utf16_lossy(&units)));
            }
        }
    }
    if in_a_variable(request, key) {
        single.insert("zz".to_owned());
        single.extend(pieces(&request["resource"]));
        for value in request["context"].as_object().into_iter().flatten().map(|(_, value)| value) {
            single.extend(texts(value));
            single.extend(pieces(value));
        }
    }
    if ignores_case {
        let cased: Vec<String> = single.iter().flat_map(|value| [value.to_uppercase(), value.to_lowercase(), capital(value)]).collect();
        single.extend(cased);
    }
    // What nothing names, and what is named, before what is made of it: lists of the first of them are tried.
    let mut values = vec![FRESH.to_owned()];
    values.extend(tests.iter().flat_map(|(_, values)| values.iter().cloned()));
    values.extend(single.iter().cloned());
    let mut seen = BTreeSet::new();
    values.retain(|value| single.contains(value) && seen.insert(value.clone()));
    values.truncate(if !many {
        3
    } else if alone {
        16
    } else {
        7
    });
    if alone && tests.iter().any(|(operator, _)| operator.contains("Like")) {
        // What matches one pattern and not another may be instances side by side.
        let some: Vec<String> = single.iter().take(8).cloned().collect();
        let pairs: Vec<String> = some.iter().flat_map(|a| some.iter().map(move |b| format!("{a}{b}"))).collect();
        single.extend(pairs.iter().flat_map(|pair| some.iter().take(5).map(move |c| format!("{pair}{c}"))));
        single.extend(pairs);
    }
    let scalars: Vec<Option<Value>> = single.iter().map(|value| Some(json!(value))).collect();
    let mut lists = Vec::new();
    for (first, a) in values.iter().enumerate() {
        lists.push(Some(json!([a])));
        for (second, b) in values.iter().enumerate().skip(first + 1) {
            lists.push(Some(json!([a, b])));
            lists.extend(values.iter().skip(second + 1).map(|c| Some(json!([a, b, c]))));
        }
    }
    let empty = Some(json!([]));
    let strange = ["", "zz fresh", "zz:fresh"].map(|value| Some(json!(value)));
    let mut expected = vec![None];
    let mut odd: Vec<Option<Value>> = strange.into();
    if many {
        expected.extend(lists);
        if tested_as_null {
            odd.push(empty)
        } else {
            expected.push(empty)
        }
        odd.extend(scalars);
    } else {
        expected.extend(scalars);
        odd.extend(lists);
        odd.push(empty);
    }
    Tries { expected, odd }
}

/// A short text that two patterns match, if there is one.
fn common(one: &[Unit], other: &[Unit], failed: &mut BTreeSet<(usize, usize)>) -> Option<Vec<u16>> {
    if failed.contains(&(one.len(), other.len())) {
        return None;
    }
    let and = |unit: u16, rest: Option<Vec<u16>>| rest.map(|rest| [vec![unit], rest].concat());
    const X: u16 = b'x' as u16;
    let found = match (one.split_first(), other.split_first()) {
        (None, None) => Some(Vec::new()),
        (Some((Unit::Any, more)), Some((Unit::Any, _)) | None) => common(more, other, failed),
        (None, Some((Unit::Any, more))) => common(one, more, failed),
        (Some((Unit::Any, more)), Some((taken, rest))) => {
            let unit = if let Unit::Exactly(unit) = taken { *unit } else { X };
            common(more, other, failed).or_else(|| and(unit, common(one, rest, failed)))
        }
        (Some((taken, rest)), Some((Unit::Any, more))) => {
            let unit = if let Unit::Exactly(unit) = taken { *unit } else { X };
            common(one, more, failed).or_else(|| and(unit, common(rest, other, failed)))
        }
        (Some((Unit::One, rest)), Some((Unit::One, more))) => and(X, common(rest, more, failed)),
        (Some((Unit::One, rest)), Some((Unit::Exactly(unit), more))) | (Some((Unit::Exactly(unit), rest)), Some((Unit::One, more))) => {
            and(*unit, common(rest, more, failed))
        }
        (Some((Unit::Exactly(unit), rest)), Some((Unit::Exactly(own), more))) if unit == own => and(*unit, common(rest, more, failed)),
        _ => None,
    };
    if found.is_none() {
        failed.insert((one.len(), other.len()));
    }
    found
}

/// Neither small nor large throughout.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
}

/// The parts of a text between slashes and colons.
fn pieces(value: &Value) -> Vec<String> {
    texts(value)
        .iter()
        .flat_map(|text| text.split(['/', ':']).map(str::to_owned).collect::<Vec<_>>())
        .filter(|piece| !piece.is_empty())
        .collect()
}

/// Values on each side of what a condition's value tells apart.
fn instances(base: &str, value: &str, world: Option<&World>) -> Vec<String> {
    if base.starts_with("Numeric") {
        return number(value).into_iter().flat_map(|n| [n - 0.5, n - 0.25, n, n + 0.25, n + 0.5].map(|n| n.to_string())).collect();
    }
    if base.starts_with("Date") {
        return date(value).into_iter().flat_map(|d| [d - 1.0, d - 0.5, d, d + 0.5, d + 1.0].map(|d| d.to_string())).collect();
    }
    match base {
        "Bool" => return vec!["true".to_owned(), "false".to_owned()],
        "Null" => return Vec::new(),
        "IpAddress" | "NotIpAddress" => {
            let address = value.split('/').next().unwrap_or_default().to_owned();
            return vec![address, "203.0.113.77".to_owned(), "2001:db8:ffff::7".to_owned()];
        }
        "BinaryEquals" => return vec![value.to_owned(), "enp6".to_owned()],
        _ => {}
    }
    let expanded = world.and_then(|world| expand(world, value, true)).unwrap_or_else(|| plain(value));
    let mut found = vec![value.to_owned()];
    for fill in ["", "x", "x:x"] {
        let units: Vec<u16> = expanded
            .iter()
            .flat_map(|unit| match unit {
                Unit::Exactly(unit) => vec![*unit],
                Unit::One => "x".encode_utf16().collect(),
                Unit::Any => fill.encode_utf16().collect(),
            })
            .collect();
        found.push(String::from_utf16_lossy(&units));
    }
    if base.starts_with("Arn") {
        found.retain(|value| value.split(':').count() >= 6);
        found.push("arn:aws:zz:zz:999999999999:zz".to_owned());
    }
    found
}

// ---------------------------------------------------------------------------------------------------------------------
// The request

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Identity,
    Boundary,
    Session,
    Scp,
    Rcp,
    Endpoint,
    Bucket,
    Key,
    Trust,
}

/// A role's trust policy and a key's policy are resource policies too [IAM-EvalX][KMS-Default].
pub fn resource_kind(request: &Value) -> Kind {
    let action = request["action"].as_str().unwrap_or_default().to_ascii_lowercase();
    let resource = request["resource"].as_str().unwrap_or_default();
    // What is about the alias itself is decided on no key.
    let of_key = resource.contains(":key/") || (resource.contains(":alias/") && !action.ends_with("alias"));
    if action.starts_with("kms:") && of_key {
        Kind::Key
    } else if action.starts_with("sts:") && resource.contains(":role/") {
        Kind::Trust
    } else {
        Kind::Bucket
    }
}

#[derive(Debug, Clone)]
pub enum Caller {
    User { arn: String, account: String },
    Role { role: String, session: Option<String>, account: String },
    Root { account: String },
    FederatedUser { arn: String, account: String },
    Service(String),
    Anonymous,
}

impl Caller {
    pub fn of(request: &Value) -> Result<Self, String> {
        let principal = request["principal"].as_str().ok_or("no principal")?;
        if principal == "anonymous" {
            return Ok(Self::Anonymous);
        }
        if !principal.starts_with("arn:") {
            return if principal.ends_with(".amazonaws.com") {
                Ok(Self::Service(principal.to_owned()))
            } else {
                Err(format!("who is {principal}"))
            };
        }
        let parts: Vec<&str> = principal.splitn(6, ':').collect();
        let &[_, _, service, _, account, what] = &parts[..] else { return Err(format!("who is {principal}")) };
        let account = account.to_owned();
        let arn = principal.to_owned();
        if service == "iam" && what == "root" {
            Ok(Self::Root { account })
        } else if service == "iam" && what.starts_with("user/") {
            Ok(Self::User { arn, account })
        } else if service == "iam" && what.starts_with("role/") {
            Ok(Self::Role { role: arn, session: None, account })
        } else if service == "sts" && what.starts_with("federated-user/") {
            Ok(Self::FederatedUser { arn, account })
        } else if service == "sts" && what.starts_with("assumed-role/") {
            // The session ARN never has the role's path (facts A.1): the request may say it.
            let name = what.split('/').nth(1).unwrap_or_default();
            let role = request["principalRole"].as_str().map_or_else(|| format!("arn:aws:iam::{account}:role/{name}"), str::to_owned);
            Ok(Self::Role { role, session: Some(arn), account })
        } else {
            Err(format!("who is {principal}"))
        }
    }

    pub fn account(&self) -> Option<&str> {
        match self {
            Self::User { account, .. } | Self::Role { account, .. } | Self::Root { account } | Self::FederatedUser { account, .. } => {
                Some(account)
            }
            Self::Service(_) | Self::Anonymous => None,
        }
    }

    /// A service-linked role [ORG-SCP][ORG-RCP].
    fn is_service_linked(&self) -> bool {
        matches!(self, Self::Role { role, .. } if role.contains(":role/aws-service-role/"))
    }
}

struct World<'a> {
    request: &'a Value,
    caller: Caller,
    action: &'a str,
    resource: &'a str,
    resource_account: &'a str,
    documents: Vec<(Kind, &'a Value)>,
    malformed: Vec<&'a Value>,
    /// Values tried for unknown keys.
    tried: Vec<(String, Value)>,
}

impl<'a> World<'a> {
    fn of(request: &'a Value) -> Result<Self, String> {
        let documents = documents(request);
        let malformed = documents.iter().filter(|(kind, document)| is_malformed(*kind, document)).map(|(_, document)| *document).collect();
        Ok(Self {
            request,
            documents,
            malformed,
            tried: Vec::new(),
            caller: Caller::of(request)?,
            action: request["action"].as_str().ok_or("no action")?,
            resource: request["resource"].as_str().ok_or("no resource")?,
            resource_account: request["resourceAccount"].as_str().unwrap_or_default(),
        })
    }

    /// Key names are case-insensitive [IAM-CondOps].
    fn key(&self, name: &str) -> Option<&Value> {
        if let Some((_, value)) = self.tried.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
            return Some(value);
        }
        let context = self.request["context"].as_object()?;
        context.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn is_malformed(&self, document: &Value) -> bool {
        self.malformed.iter().any(|malformed| std::ptr::eq(*malformed, document))
    }

    fn is_same_account(&self) -> bool {
        self.caller.account() == Some(self.resource_account)
    }
}

/// One value or a list of them.
pub fn listed(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub fn texts(value: &Value) -> Vec<String> {
    listed(value).into_iter().map(text).collect()
}

/// A statement may be one object or a list [IAM-Grammar].
pub fn statements(document: &Value) -> Vec<&Value> {
    listed(&document["Statement"])
}

// ---------------------------------------------------------------------------------------------------------------------
// The decision [IAM-Eval][IAM-EvalX]

/// What a document with a malformed statement is taken to allow, to find out whether the answer hangs on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    IsAnError,
    AllowsNothing,
    AllowsAll,
}

/// The two answers there would be if broken documents allowed nothing, and if they allowed everything.
pub fn around_broken_documents(request: &Value) -> Option<(Decision, Decision)> {
    let world = World::of(request).ok()?;
    Some((decision(&world, Broken::AllowsNothing), decision(&world, Broken::AllowsAll)))
}

/// Which documents have a say in this request.
fn applies(world: &World, kind: Kind) -> bool {
    let has_an_account = world.caller.account().is_some();
    match kind {
        // A service or nobody has no identity side (facts A.2 row 2, G.1).
        Kind::Identity | Kind::Boundary | Kind::Session => has_an_account,
        // Not service-linked roles, not callers without an account [ORG-SCP].
        Kind::Scp => has_an_account && !world.caller.is_service_linked(),
        // Not service-linked roles, not kms:RetireGrant [ORG-RCP].
        Kind::Rcp => !world.caller.is_service_linked() && !world.action.eq_ignore_ascii_case("kms:RetireGrant"),
        Kind::Endpoint | Kind::Bucket | Kind::Key | Kind::Trust => true,
    }
}

fn decision(world: &World, broken: Broken) -> Decision {
    // Whoever signs may ask who it is [GetCallerIdentity].
    if world.action.eq_ignore_ascii_case("sts:GetCallerIdentity") && !matches!(world.caller, Caller::Anonymous) {
        return Decision::Allowed;
    }
    let in_force: Vec<(Kind, &Value)> = world.documents.iter().copied().filter(|(kind, _)| applies(world, *kind)).collect();
    // Any matching Deny in any applicable policy [IAM-Eval] step 1.
    if in_force.iter().any(|(kind, document)| denies(world, *kind, document)) {
        return Decision::ExplicitlyDenied;
    }
    // Issue 3, section 1: what a malformed statement's document says is an error, save a valid Deny beside it.
    if broken == Broken::IsAnError && in_force.iter().any(|(_, document)| world.is_malformed(document)) {
        return Decision::Error;
    }
    let all_pass = !changes_what_is_awss(world)
        && passes_rcps(world, broken)
        && passes_scps(world, broken)
        && passes_endpoint(world, broken)
        && passes_public_access_block(world)
        && match &world.caller {
            Caller::Service(_) | Caller::Anonymous => resource_side(world, broken).any(),
            _ if world.is_same_account() => same_account(world, broken),
            _ => across_accounts(world, broken),
        };
    if all_pass { Decision::Allowed } else { Decision::ImplicitlyDenied }
}

/// Roles of permission sets and of services, AWS's policies, aliases of AWS's keys (facts G.5).
fn changes_what_is_awss(world: &World) -> bool {
    let action = world.action.to_ascii_lowercase();
    let Some((service, call)) = action.split_once(':') else { return false };
    let changes = ["attach", "create", "delete", "detach", "put", "set", "tag", "untag", "update"].iter().any(|verb| call.starts_with(verb));
    let describes = ["tagrole", "untagrole", "updaterole", "updateroledescription"].contains(&call);
    let of_aws = match service {
        "iam" => {
            world.resource.contains(":role/aws-reserved/")
                || (world.resource.contains(":role/aws-service-role/") && !describes && !call.ends_with("servicelinkedrole"))
                || world.resource.starts_with("arn:aws:iam::aws:policy/")
        }
        "kms" => world.resource.contains(":alias/aws/") && call.ends_with("alias"),
        _ => false,
    };
    of_aws && changes && !matches!(world.caller, Caller::Service(_))
}

/// Every level must allow [ORG-SCP]; a level without a document allows nothing.
fn passes_scps(world: &World, broken: Broken) -> bool {
    !applies(world, Kind::Scp)
        || listed(&world.request["scps"]).into_iter().all(|level| any_allows(world, Kind::Scp, listed(level), broken))
}

/// Every level must allow [ORG-RCP].
fn passes_rcps(world: &World, broken: Broken) -> bool {
    !applies(world, Kind::Rcp)
        || listed(&world.request["rcps"]).into_iter().all(|level| any_allows(world, Kind::Rcp, listed(level), broken))
}

/// One more gate for requests through the endpoint [S3-VPCE].
fn passes_endpoint(world: &World, broken: Broken) -> bool {
    let policies = &world.request["vpcEndpointPolicies"];
    policies.is_null() || any_allows(world, Kind::Endpoint, listed(policies), broken)
}

/// A public bucket policy and RestrictPublicBuckets: only services and the bucket's own account get in [S3-BPA].
fn passes_public_access_block(world: &World) -> bool {
    if world.request["blockPublicAccess"] != json!(true)
        || resource_kind(world.request) != Kind::Bucket
        || !world.action.to_lowercase().starts_with("s3:")
    {
        return true;
    }
    let is_public = listed(&world.request["resourcePolicy"]).into_iter().flat_map(statements).any(|statement| {
        statement["Effect"] == "Allow"
            && principals(&statement["Principal"]).iter().any(|(_, name)| name == "*")
            && statement["Condition"].as_object().is_none_or(|blocks| blocks.is_empty())
    });
    !is_public || matches!(world.caller, Caller::Service(_)) || world.is_same_account()
}

fn identity_allows(world: &World, broken: Broken) -> bool {
    any_allows(world, Kind::Identity, listed(&world.request["identityPolicies"]), broken)
}

/// No boundary, or the boundary allows [IAM-Eval] step 6.
fn boundary_allows(world: &World, broken: Broken) -> bool {
    let boundary = &world.request["permissionBoundaries"];
    boundary.is_null() || any_allows(world, Kind::Boundary, listed(boundary), broken)
}

/// No session policy, or it allows [IAM-Eval] step 7.
fn session_allows(world: &World, broken: Broken) -> bool {
    let session = &world.request["sessionPolicy"];
    session.is_null() || any_allows(world, Kind::Session, listed(session), broken)
}

/// Identity or resource, except trust and key policies, which must allow explicitly [IAM-Eval][KMS-Default].
fn same_account(world: &World, broken: Broken) -> bool {
    let granted = resource_side(world, broken);
    let limits = boundary_allows(world, broken) && session_allows(world, broken);
    // A user, a role's session, a federated user's session, or everybody: no implicit deny of 5 to 7 limits it [IAM-Principal].
    if granted.to_itself || granted.to_everyone {
        return true;
    }
    // A role: boundary and session policy limit it [IAM-Principal].
    if granted.to_its_role && limits {
        return true;
    }
    // The account: delegation, the identity policies decide [IAM-Principal][KMS-Default].
    let delegated = match resource_kind(world.request) {
        Kind::Key | Kind::Trust => granted.any(),
        _ => true,
    };
    delegated && identity_allows(world, broken) && limits
}

/// Both sides [IAM-EvalX].
fn across_accounts(world: &World, broken: Broken) -> bool {
    identity_allows(world, broken)
        && boundary_allows(world, broken)
        && session_allows(world, broken)
        && resource_side(world, broken).any()
        && may_cross_accounts(world)
}

/// The key operations that another account can be given [KMS-XAcct].
fn may_cross_accounts(world: &World) -> bool {
    const CROSSING: [&str; 20] = [
        "decrypt",
        "encrypt",
        "generatedatakey",
        "generatedatakeypair",
        "generatedatakeypairwithoutplaintext",
        "generatedatakeywithoutplaintext",
        "generatemac",
        "verifymac",
        "reencryptfrom",
        "reencryptto",
        "sign",
        "verify",
        "derivesharedsecret",
        "creategrant",
        "describekey",
        "getkeyrotationstatus",
        "getpublickey",
        "listgrants",
        "retiregrant",
        "revokegrant",
    ];
    match world.action.to_ascii_lowercase().strip_prefix("kms:") {
        Some(operation) => CROSSING.contains(&operation),
        None => true,
    }
}

/// To whom the resource policy's matching Allow statements give access.
#[derive(Default)]
struct Granted {
    to_itself: bool,
    to_its_role: bool,
    to_its_account: bool,
    to_everyone: bool,
}

impl Granted {
    fn any(&self) -> bool {
        self.to_itself || self.to_its_role || self.to_its_account || self.to_everyone
    }
}

fn resource_side(world: &World, broken: Broken) -> Granted {
    let kind = resource_kind(world.request);
    let mut granted = Granted::default();
    for document in listed(&world.request["resourcePolicy"]) {
        if world.is_malformed(document) {
            granted.to_everyone |= broken == Broken::AllowsAll;
            continue;
        }
        for statement in statements(document) {
            if statement["Effect"] != "Allow" || !matches_but_for_principal(world, kind, document, statement) {
                continue;
            }
            for (sort, name) in principals(&statement["Principal"]) {
                match names(&world.caller, &sort, &name) {
                    Some(Named::Itself) => granted.to_itself = true,
                    Some(Named::ItsRole) => granted.to_its_role = true,
                    Some(Named::ItsAccount) => granted.to_its_account = true,
                    Some(Named::Everyone) => granted.to_everyone = true,
                    None => {}
                }
            }
        }
    }
    granted
}

// ---------------------------------------------------------------------------------------------------------------------
// Documents and statements

fn denies(world: &World, kind: Kind, document: &Value) -> bool {
    statements(document).into_iter().any(|statement| {
        statement["Effect"] == "Deny"
            && (!world.is_malformed(document) || statement_is_well_formed(kind, statement))
            && matches(world, kind, document, statement)
    })
}

fn any_allows(world: &World, kind: Kind, documents: Vec<&Value>, broken: Broken) -> bool {
    documents.into_iter().any(|document| {
        if world.is_malformed(document) {
            return broken == Broken::AllowsAll;
        }
        statements(document).into_iter().any(|statement| statement["Effect"] == "Allow" && matches(world, kind, document, statement))
    })
}

pub fn is_malformed(kind: Kind, document: &Value) -> bool {
    let Some(members) = document.as_object() else { return true };
    let version = &document["Version"];
    let inner = matches!(kind, Kind::Identity | Kind::Boundary | Kind::Trust);
    let sids: Vec<&str> = statements(document).iter().filter_map(|statement| statement["Sid"].as_str()).filter(|sid| !sid.is_empty()).collect();
    statements(document).is_empty()
        || members.keys().any(|name| !["Version", "Id", "Statement"].contains(&name.as_str()))
        || !(version.is_null() || version == "2012-10-17" || version == "2008-10-17")
        || !(document["Id"].is_null() || document["Id"].is_string())
        || (inner && sids.iter().any(|sid| !sid.chars().all(|c| c.is_ascii_alphanumeric())))
        || (inner && sids.iter().collect::<BTreeSet<_>>().len() < sids.len())
        || !statements(document).into_iter().all(|statement| statement_is_well_formed(kind, statement))
}

/// Whether a service and a name, a principal, an ARN (the facts' G.3 and G.4).
fn values_are_well_formed(statement: &Value) -> bool {
    let is_action = |text: &String| {
        text == "*" || matches!(text.split_once(':'), Some((service, name)) if !service.is_empty() && !name.is_empty())
    };
    let is_resource = |text: &String| {
        let parts: Vec<&str> = text.split(':').collect();
        text == "*" || (parts.len() > 2 && parts[0] == "arn" && !parts[2].is_empty() && !parts[2].contains(['*', '?']))
    };
    let is_principal = |(sort, name): &(String, String)| {
        let is_id = |name: &str| name.starts_with('A') && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        let is_account = |name: &str| name.len() == 12 && name.chars().all(|c| c.is_ascii_digit());
        let is_kind = ["AWS", "Service", "Federated", "CanonicalUser"].contains(&sort.as_str());
        (sort == "AWS" && name == "*")
            || is_kind && (!name.contains(['*', '?']) && (sort != "AWS" || name.starts_with("arn:") || is_account(name) || is_id(name)))
    };
    ["Action", "NotAction"].iter().flat_map(|name| texts(&statement[*name])).all(|text| is_action(&text))
        && ["Resource", "NotResource"].iter().flat_map(|name| texts(&statement[*name])).all(|text| is_resource(&text))
        && ["Principal", "NotPrincipal"].iter().flat_map(|name| principals(&statement[*name])).all(|name| is_principal(&name))
        && (statement["NotPrincipal"].is_null() || statement["Effect"] == "Deny")
}

/// [IAM-Grammar]
fn statement_is_well_formed(kind: Kind, statement: &Value) -> bool {
    const ELEMENTS: [&str; 9] =
        ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    let Some(elements) = statement.as_object() else { return false };
    let has = |name: &str| elements.contains_key(name);
    let names_who = usize::from(has("Principal")) + usize::from(has("NotPrincipal"));
    let names_what = usize::from(has("Resource")) + usize::from(has("NotResource"));
    let who_is_right = match kind {
        Kind::Identity | Kind::Boundary | Kind::Session | Kind::Scp => names_who == 0,
        _ => names_who == 1,
    };
    let what_is_right = if kind == Kind::Trust { names_what == 0 } else { names_what == 1 };
    let names_somebody =
        |name: &str| !has(name) || elements[name] == "*" || elements[name].as_object().is_some_and(|kinds| !kinds.is_empty());
    elements.keys().all(|name| ELEMENTS.contains(&name.as_str()))
        && names_somebody("Principal")
        && names_somebody("NotPrincipal")
        && (statement["Effect"] == "Allow" || statement["Effect"] == "Deny")
        && has("Action") != has("NotAction")
        && who_is_right
        && what_is_right
        && ["Action", "NotAction", "Resource", "NotResource"].iter().all(|name| !has(name) || is_texts(&statement[*name]))
        && (!has("Condition") || conditions_are_well_formed(&statement["Condition"]))
        && values_are_well_formed(statement)
        && (kind != Kind::Trust || !has("NotPrincipal"))
}

fn is_texts(value: &Value) -> bool {
    let values = listed(value);
    !values.is_empty() && values.into_iter().all(Value::is_string)
}

fn conditions_are_well_formed(condition: &Value) -> bool {
    let Some(blocks) = condition.as_object() else { return false };
    blocks.iter().all(|(operator, block)| {
        operator_of(operator).is_some()
            && block.as_object().is_some_and(|keys| {
                keys.values().all(|values| {
                    let values = listed(values);
                    !values.is_empty() && values.into_iter().all(|value| value.is_string() || value.is_number() || value.is_boolean())
                })
            })
    })
}

/// Principal and action and resource and condition [IAM-Eval].
fn matches(world: &World, kind: Kind, document: &Value, statement: &Value) -> bool {
    principal_matches(world, statement) && matches_but_for_principal(world, kind, document, statement)
}

fn matches_but_for_principal(world: &World, kind: Kind, document: &Value, statement: &Value) -> bool {
    // Variables are literal text under 2008-10-17 and without a version [IAM-Vars].
    let variables = document["Version"] == "2012-10-17";
    action_matches(world, statement)
        && (kind == Kind::Trust || resource_matches(world, kind, statement, variables))
        && conditions_hold(world, statement, variables)
}

// ---------------------------------------------------------------------------------------------------------------------
// Principal [IAM-Principal][IAM-NotPrincipal]

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Itself,
    ItsRole,
    ItsAccount,
    Everyone,
}

/// `"*"` is `{"AWS": "*"}`; otherwise lists by sort.
pub fn principals(element: &Value) -> Vec<(String, String)> {
    if element == "*" {
        return vec![("AWS".to_owned(), "*".to_owned())];
    }
    let sorts = element.as_object().into_iter().flatten();
    sorts.flat_map(|(sort, names)| texts(names).into_iter().map(move |name| (sort.clone(), name))).collect()
}

/// How an entry of a Principal element names a caller, if it does.
fn names(caller: &Caller, sort: &str, name: &str) -> Option<Named> {
    match sort {
        "Service" => match caller {
            Caller::Service(service) if service == name => Some(Named::Itself),
            _ => None,
        },
        "AWS" if name == "*" => Some(Named::Everyone),
        // AROA and AIDA are entities that are gone; no wildcard in part of an ARN: neither is equal to any caller below.
        "AWS" => {
            let account = caller.account()?;
            if name == account || name == format!("arn:aws:iam::{account}:root") {
                return Some(Named::ItsAccount);
            }
            match caller {
                Caller::User { arn, .. } | Caller::FederatedUser { arn, .. } if arn == name => Some(Named::Itself),
                Caller::Role { session: Some(session), .. } if session == name => Some(Named::Itself),
                Caller::Role { role, .. } if role == name => Some(Named::ItsRole),
                _ => None,
            }
        }
        // A request cannot say that its caller is a canonical user or came from an identity provider.
        _ => None,
    }
}

fn principal_matches(world: &World, statement: &Value) -> bool {
    if !statement["Principal"].is_null() {
        return principals(&statement["Principal"]).iter().any(|(sort, name)| names(&world.caller, sort, name).is_some());
    }
    if !statement["NotPrincipal"].is_null() {
        return statement["Effect"] == "Deny" && !is_exempt(world, &statement["NotPrincipal"]);
    }
    true
}

/// Exempt: the account and the user or role, and the session, are all listed, and there is no boundary [IAM-NotPrincipal].
fn is_exempt(world: &World, element: &Value) -> bool {
    if !world.request["permissionBoundaries"].is_null() && world.caller.account().is_some() {
        return false;
    }
    let listed = principals(element);
    let has = |name: &str| listed.iter().any(|(_, listed)| listed == name);
    if let Caller::Service(service) = &world.caller {
        return has(service);
    }
    let Some(account) = world.caller.account() else { return false };
    let account_is_listed = has(account) || has(&format!("arn:aws:iam::{account}:root"));
    account_is_listed
        && match &world.caller {
            Caller::User { arn, .. } | Caller::FederatedUser { arn, .. } => has(arn),
            Caller::Role { role, session, .. } => has(role) && session.as_ref().is_none_or(|session| has(session)),
            _ => true,
        }
}

// ---------------------------------------------------------------------------------------------------------------------
// Action and resource [IAM-Action][IAM-NotAction][IAM-Resource]

/// Prefix and name without regard to case, `*` and `?`.
fn action_matches(world: &World, statement: &Value) -> bool {
    let action: Vec<u16> = world.action.to_ascii_lowercase().encode_utf16().collect();
    let any = |name: &str| texts(&statement[name]).iter().any(|pattern| glob(&plain(&pattern.to_ascii_lowercase()), &action));
    if statement["NotAction"].is_null() { any("Action") } else { !any("NotAction") }
}

fn resource_matches(world: &World, kind: Kind, statement: &Value, variables: bool) -> bool {
    let any = |name: &str| texts(&statement[name]).iter().any(|pattern| one_resource_matches(world, kind, pattern, variables));
    if statement["NotResource"].is_null() { any("Resource") } else { !any("NotResource") }
}

fn one_resource_matches(world: &World, kind: Kind, pattern: &str, variables: bool) -> bool {
    if pattern == "*" {
        return true;
    }
    // What an identity-based policy's ARN lacks is completed with stars [IAM-Grammar].
    let mut parts: Vec<String> = pattern.splitn(6, ':').map(str::to_owned).collect();
    if matches!(kind, Kind::Identity | Kind::Boundary) && parts.len() < 6 {
        if parts.last().is_some_and(|last| last == "*") {
            parts.resize(6, "*".to_owned());
        }
        parts.resize(6, "*".to_owned());
    }
    let pattern = &parts.join(":");
    // No wildcard in the service segment [IAM-Resource].
    if pattern.split(':').nth(2).is_some_and(|service| service.contains(['*', '?'])) {
        return false;
    }
    expand(world, pattern, variables).is_some_and(|pattern| arn_glob(&pattern, world.resource))
}

/// Six parts between colons, each for itself; the last one may have colons in it.
fn arn_glob(pattern: &[Unit], subject: &str) -> bool {
    let colon = u16::from(b':');
    let subject: Vec<u16> = subject.encode_utf16().collect();
    let subject: Vec<&[u16]> = subject.splitn(6, |unit| *unit == colon).collect();
    let pattern: Vec<&[Unit]> = pattern.splitn(6, |unit| *unit == Unit::Exactly(colon)).collect();
    subject.len() == 6 && pattern.len() == 6 && pattern.iter().zip(&subject).all(|(pattern, subject)| glob(pattern, subject))
}

// ---------------------------------------------------------------------------------------------------------------------
// Text: wildcards and variables [IAM-Vars]

/// Text is taken in UTF-16 units: `?` is one of those [STK-iam].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Exactly(u16),
    One,
    Any,
}

fn glob(pattern: &[Unit], subject: &[u16]) -> bool {
    match (pattern.split_first(), subject.split_first()) {
        (None, None) => true,
        (Some((Unit::Any, more)), _) if glob(more, subject) => true,
        (Some((Unit::Any, _)), Some((_, rest))) => glob(pattern, rest),
        (Some((Unit::One, more)), Some((_, rest))) => glob(more, rest),
        (Some((Unit::Exactly(unit), more)), Some((first, rest))) => unit == first && glob(more, rest),
        _ => false,
    }
}

fn plain(pattern: &str) -> Vec<Unit> {
    let unit = |unit| match unit {
        0x2a => Unit::Any,
        0x3f => Unit::One,
        other => Unit::Exactly(other),
    };
    pattern.encode_utf16().map(unit).collect()
}

fn literal(text: &str) -> Vec<Unit> {
    text.encode_utf16().map(Unit::Exactly).collect()
}

/// A pattern with its variables put in; `None` when one of them has no value and no default.
fn expand(world: &World, pattern: &str, variables: bool) -> Option<Vec<Unit>> {
    let Some((before, rest)) = pattern.split_once("${").filter(|_| variables) else { return Some(plain(pattern)) };
    let Some((inside, after)) = rest.split_once('}') else { return Some(plain(pattern)) };
    let mut units = plain(before);
    units.extend(literal(&variable(world, inside)?));
    units.extend(expand(world, after, variables)?);
    Some(units)
}

fn variable(world: &World, inside: &str) -> Option<String> {
    if matches!(inside, "*" | "?" | "$") {
        return Some(inside.to_owned());
    }
    let (name, default) = match inside.split_once(',') {
        Some((name, default)) => (name.trim(), Some(default.trim().trim_matches('\'').to_owned())),
        None => (inside.trim(), None),
    };
    match world.key(name) {
        // Only single-valued keys, with a default neither [STK-iam].
        Some(Value::Array(_)) => None,
        None => default,
        Some(value) => Some(text(value)),
    }
}

/// The text of a value for an operator without wildcards.
fn expanded_text(world: &World, pattern: &str, variables: bool) -> Option<String> {
    let unit = |unit: Unit| match unit {
        Unit::Exactly(unit) => unit,
        Unit::One => 0x3f,
        Unit::Any => 0x2a,
    };
    Some(String::from_utf16_lossy(&expand(world, pattern, variables)?.into_iter().map(unit).collect::<Vec<_>>()))
}

// ---------------------------------------------------------------------------------------------------------------------
// Conditions [IAM-CondOps][IAM-Multi]

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    All,
    Any,
}

struct Operator<'a> {
    set: Option<Set>,
    /// The name without set and IfExists.
    base: &'a str,
    /// The name of the positive form.
    positive: &'a str,
    negated: bool,
    if_exists: bool,
}

impl Operator<'_> {
    /// String, ARN and Bool; not numbers, dates, binaries, addresses [IAM-Vars].
    fn takes_variables(&self) -> bool {
        self.base.starts_with("String") || self.base.starts_with("Arn") || self.base == "Bool"
    }
}

fn operator_of(name: &str) -> Option<Operator<'_>> {
    const POSITIVE: [&str; 17] = [
        "StringEquals",
        "StringEqualsIgnoreCase",
        "StringLike",
        "NumericEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
        "DateEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
        "Bool",
        "BinaryEquals",
        "IpAddress",
        "Null",
    ];
    const NEGATED: [(&str, &str); 8] = [
        ("StringNotEquals", "StringEquals"),
        ("StringNotEqualsIgnoreCase", "StringEqualsIgnoreCase"),
        ("StringNotLike", "StringLike"),
        ("NumericNotEquals", "NumericEquals"),
        ("DateNotEquals", "DateEquals"),
        ("NotIpAddress", "IpAddress"),
        ("ArnNotEquals", "ArnLike"),
        ("ArnNotLike", "ArnLike"),
    ];
    let (set, rest) = if let Some(rest) = name.strip_prefix("ForAllValues:") {
        (Some(Set::All), rest)
    } else if let Some(rest) = name.strip_prefix("ForAnyValue:") {
        (Some(Set::Any), rest)
    } else {
        (None, name)
    };
    let (base, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |base| (base, true));
    // Null has no IfExists form, and asks about the key, not about its values.
    if base == "Null" && (if_exists || set.is_some()) {
        return None;
    }
    let (positive, negated) = if let Some((_, positive)) = NEGATED.iter().find(|(name, _)| *name == base) {
        (*positive, true)
    } else if base == "ArnEquals" || base == "ArnLike" {
        ("ArnLike", false)
    } else {
        (*POSITIVE.iter().find(|name| **name == base)?, false)
    };
    Some(Operator { set, base, positive, negated, if_exists })
}

/// Several operators and several keys: all of them.
fn conditions_hold(world: &World, statement: &Value, variables: bool) -> bool {
    statement["Condition"].as_object().into_iter().flatten().all(|(operator, block)| {
        let Some(operator) = operator_of(operator) else { return false };
        block.as_object().into_iter().flatten().all(|(key, values)| condition_holds(world, &operator, key, &texts(values), variables))
    })
}

fn condition_holds(world: &World, operator: &Operator, key: &str, values: &[String], variables: bool) -> bool {
    let present = world.key(key);
    if operator.base == "Null" {
        // true: must be missing; false: must be there.
        return values.iter().any(|value| value.eq_ignore_ascii_case("true") == present.is_none());
    }
    match (present, operator.set) {
        (None, _) if operator.if_exists => true,
        (None, Some(Set::All)) => true,
        (None, Some(Set::Any)) => false,
        // Missing: positive operators false, negated ones true.
        (None, None) => operator.negated,
        (Some(Value::Array(members)), Some(Set::All)) => {
            members.iter().all(|member| value_passes(world, operator, &text(member), values, variables))
        }
        (Some(Value::Array(members)), Some(Set::Any)) => {
            members.iter().any(|member| value_passes(world, operator, &text(member), values, variables))
        }
        // A scalar operator against a multivalued key never matches, negated or IfExists included [STK-iam].
        (Some(Value::Array(_)), None) => false,
        (Some(one), _) => value_passes(world, operator, &text(one), values, variables),
    }
}

/// Several values: one of them; for negated operators none of them.
fn value_passes(world: &World, operator: &Operator, actual: &str, values: &[String], variables: bool) -> bool {
    let variables = variables && operator.takes_variables();
    // What is no address and no ARN passes neither way [STK-iam].
    if (operator.positive == "IpAddress" && address(actual).is_none()) || (operator.positive == "ArnLike" && actual.split(':').count() < 6) {
        return false;
    }
    values.iter().any(|value| compare(world, operator.positive, actual, value, variables).unwrap_or(false)) != operator.negated
}

fn compare(world: &World, positive: &str, actual: &str, value: &str, variables: bool) -> Option<bool> {
    let units = || actual.encode_utf16().collect::<Vec<u16>>();
    Some(match positive {
        "StringEquals" => expanded_text(world, value, variables)? == actual,
        "StringEqualsIgnoreCase" => expanded_text(world, value, variables)?.to_lowercase() == actual.to_lowercase(),
        "StringLike" => glob(&expand(world, value, variables)?, &units()),
        "ArnLike" => arn_glob(&expand(world, value, variables)?, actual),
        "Bool" => expanded_text(world, value, variables)?.eq_ignore_ascii_case("true") == actual.eq_ignore_ascii_case("true"),
        "BinaryEquals" => value == actual,
        "IpAddress" => address_is_in(actual, value)?,
        name => {
            // What cannot be converted equals nothing [STK-iam].
            let (actual, value, comparison) = match name.strip_prefix("Numeric") {
                Some(comparison) => (number(actual)?, number(value)?, comparison),
                None => (date(actual)?, date(value)?, name.strip_prefix("Date")?),
            };
            match comparison {
                "Equals" => actual == value,
                "LessThan" => actual < value,
                "LessThanEquals" => actual <= value,
                "GreaterThan" => actual > value,
                "GreaterThanEquals" => actual >= value,
                _ => return None,
            }
        }
    })
}

fn number(text: &str) -> Option<f64> {
    let is_one = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | 'E');
    if text.is_empty() || !text.chars().all(is_one) {
        return None;
    }
    text.parse().ok()
}

/// ISO 8601 or seconds since 1970.
fn date(text: &str) -> Option<f64> {
    if let Some(seconds) = number(text) {
        return Some(seconds);
    }
    let (day, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let parts: Vec<i64> = day.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let &[year, month, day] = &parts[..] else { return None };
    let (clock, offset) = if let Some(clock) = time.strip_suffix('Z') {
        (clock, 0)
    } else {
        let at = time.rfind(['+', '-'])?;
        let (hours, minutes) = time[at + 1..].split_once(':')?;
        let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
        (&time[..at], if time[at..].starts_with('-') { -minutes } else { minutes })
    };
    let parts: Vec<f64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let seconds = parts.first()? * 3600.0 + parts.get(1)? * 60.0 + parts.get(2).copied().unwrap_or(0.0);
    Some((days_since_1970(year, month, day) * 86_400 - offset * 60) as f64 + seconds)
}

/// Counted year by year and month by month.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let years: i64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let length = |month: i64| match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    years + (1..month).map(length).sum::<i64>() + day - 1
}

/// Octets may begin with zeroes [STK-iam].
fn dotted(text: &str) -> Option<IpAddr> {
    let octets: Vec<u8> =
        text.split('.').map(|octet| if octet.starts_with('+') { None } else { octet.parse().ok() }).collect::<Option<_>>()?;
    <[u8; 4]>::try_from(octets).ok().map(IpAddr::from)
}

/// An address of a request: an IPv4 address within an IPv6 one is that [STK-iam].
fn address(text: &str) -> Option<IpAddr> {
    dotted(text).or_else(|| text.parse::<IpAddr>().ok()).map(|address| address.to_canonical())
}

/// CIDR, a bare address is one address; a policy's network stays in the family that it is written in, and is nothing if it has host
/// bits in IPv6 or dots there [STK-iam].
fn address_is_in(actual: &str, network: &str) -> Option<bool> {
    let actual = address(actual)?;
    let (own, length) = network.split_once('/').map_or((network, None), |(address, length)| (address, Some(length)));
    let own: IpAddr = match dotted(own) {
        Some(address) => address,
        None if own.contains('.') => return None,
        None => own.parse().ok()?,
    };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let ((actual_bits, width), (bits, network_width)) = (bits(actual), bits(own));
    let length: u32 = length.map_or(Some(network_width), |length| length.parse().ok())?;
    if length > network_width {
        return None;
    }
    let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
    let has_host_bits = own.is_ipv6() && bits & !mask != 0;
    Some(width == network_width && !has_host_bits && actual_bits & mask == bits & mask)
}
