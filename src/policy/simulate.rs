//! Requests as JSON in, verdicts as JSON out.

use super::answer::{Decided, Decision, Reason};
use super::condition::Tri;
use super::context::{Context, Held};
use super::decision::{Answer, Match, Question, Verdict, View, bypasses, needs_no_permission, resource_kind, target};
use super::node::{Node, Nodes};
use super::parsed::{Document, Kind, read};
use super::pattern::is_wild;
use super::principal::{Caller, Who};
use super::unknown;
use super::values;
use serde_json::Value;

/// Decides one request: an object as `xdeploy simulate` reads it.
///
/// A call that is denied whatever an unknown key is, sometimes explicitly and sometimes not, is implicitly denied. Rules:
/// facts/codepipeline.md G.
pub fn decide(request: &Value) -> Decision {
    decide_node(Node::Value(request))
}

pub(crate) fn decide_node(request: Node<'_>) -> Decision {
    let (question, context) = match ask(request) {
        Ok(asked) => asked,
        Err(why) => return Decision::error(vec![why], Vec::new()),
    };
    if needs_no_permission(question.action, &question.caller) {
        let none = (Vec::new(), Vec::new(), Vec::new());
        return Decision { decided: Decided::Allowed, because: none.0, missing: none.1, unknown: none.2, warnings: Vec::new(), errors: Vec::new() };
    }
    let matches = question.matches(&context);
    let best = question.decide(&matches, View::Best);
    let warnings = question.warnings();
    let malformed = question.malformed();
    let unsure = matches.iter().any(|found| found.holds == Tri::Maybe);
    let mut unknown = Vec::new();
    let answer = if unsure {
        let worst = question.decide(&matches, View::Worst);
        if worst.verdict == best.verdict {
            worst
        } else {
            match unknown::settle(&question, &context, &matches) {
                Some(Verdict::Allowed) => best,
                Some(Verdict::ExplicitlyDenied) => worst,
                Some(Verdict::ImplicitlyDenied) => {
                    let missing = if best.verdict == Verdict::ImplicitlyDenied { best.missing } else { worst.missing };
                    Answer { verdict: Verdict::ImplicitlyDenied, because: Vec::new(), missing }
                }
                // Denied either way: only the kind of denial hangs on the key.
                None if best.verdict != Verdict::Allowed => best,
                None => {
                    unknown = unknown::keys(&context, &matches).into_iter().map(str::to_owned).collect();
                    Answer { verdict: Verdict::ImplicitlyDenied, because: worst.because, missing: worst.missing }
                }
            }
        }
    } else {
        best
    };
    let decided = match answer.verdict {
        Verdict::ExplicitlyDenied => Decided::ExplicitlyDenied,
        // A valid Deny decides; anything else of a document with a malformed statement is an error, never allowed.
        _ if !malformed.is_empty() => return Decision::error(malformed, warnings),
        _ if !unknown.is_empty() => Decided::Unknown,
        Verdict::Allowed => Decided::Allowed,
        Verdict::ImplicitlyDenied => Decided::ImplicitlyDenied,
    };
    let because = answer.because.iter().map(reason).collect();
    Decision { decided, because, missing: answer.missing, unknown, warnings, errors: malformed }
}

/// Decides one request and answers as `xdeploy simulate` does, under the request's own `id`.
///
/// The answer has `id`, `decision` (`allowed`, `explicitly-denied`, `implicitly-denied`, `unknown` or `error`), `because`
/// (the deciding statements), `missing` (what a side lacks) and `unknown` (the keys that the answer hangs on), besides
/// `warnings` and `errors` where there are any.
pub fn simulate(request: &Value) -> Value {
    decide(request).to_json(&id(Node::Value(request)))
}

/// Gives a request's own `id`.
pub(crate) fn id(request: Node<'_>) -> Value {
    request.member("id").map_or(Value::Null, Node::to_value)
}

fn reason(found: &Match<'_, '_>) -> Reason {
    Reason {
        policy: found.document.kind.word(),
        level: found.document.level,
        document: found.document.number,
        sid: found.statement.sid.map(str::to_owned),
        index: found.statement.index,
        deny: found.statement.deny,
    }
}

/// The members of a request that mean something; the others are passed over.
#[derive(Default)]
struct Members<'a> {
    principal: Option<Node<'a>>,
    principal_role: Option<Node<'a>>,
    canonical_user: Option<Node<'a>>,
    action: Option<Node<'a>>,
    resource: Option<Node<'a>>,
    resource_account: Option<Node<'a>>,
    context: Option<Node<'a>>,
    unknown_context: Option<Node<'a>>,
    derive: Option<Node<'a>>,
    block_public_access: Option<Node<'a>>,
    identity_policies: Option<Node<'a>>,
    permission_boundaries: Option<Node<'a>>,
    session_policy: Option<Node<'a>>,
    endpoint_policies: Option<Node<'a>>,
    resource_policy: Option<Node<'a>>,
    scps: Option<Node<'a>>,
    rcps: Option<Node<'a>>,
}

impl<'a> Members<'a> {
    fn of(request: Node<'a>) -> Option<Members<'a>> {
        let mut found = Members::default();
        for (name, value) in request.members()? {
            let place = match name {
                "principal" => &mut found.principal,
                "principalRole" => &mut found.principal_role,
                "canonicalUser" => &mut found.canonical_user,
                "action" => &mut found.action,
                "resource" => &mut found.resource,
                "resourceAccount" => &mut found.resource_account,
                "context" => &mut found.context,
                "unknownContext" => &mut found.unknown_context,
                "derive" => &mut found.derive,
                "blockPublicAccess" => &mut found.block_public_access,
                "identityPolicies" => &mut found.identity_policies,
                "permissionBoundaries" => &mut found.permission_boundaries,
                "sessionPolicy" => &mut found.session_policy,
                "vpcEndpointPolicies" => &mut found.endpoint_policies,
                "resourcePolicy" => &mut found.resource_policy,
                "scps" => &mut found.scps,
                "rcps" => &mut found.rcps,
                _ => continue,
            };
            // A member that is null is as good as none.
            *place = Some(value).filter(|value| !value.is_null());
        }
        Some(found)
    }
}

fn text<'a>(value: Option<Node<'a>>, name: &str) -> Result<Option<&'a str>, String> {
    match value.map(Node::text) {
        None => Ok(None),
        Some(Some(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(format!("{name} must be a text")),
    }
}

fn needed<'a>(value: Option<Node<'a>>, name: &str) -> Result<&'a str, String> {
    text(value, name)?.ok_or_else(|| format!("{name} is missing"))
}

fn flag(value: Option<Node<'_>>, name: &str) -> Result<bool, String> {
    value.map_or(Ok(false), |value| value.truth().ok_or_else(|| format!("{name} must be true or false")))
}

/// A list of documents, or one.
fn list(value: Option<Node<'_>>) -> Nodes<'_> {
    value.map_or(Nodes::NONE, Node::listed)
}

fn levels<'a>(value: Option<Node<'a>>, name: &str) -> Result<Nodes<'a>, String> {
    let Some(value) = value else { return Ok(Nodes::NONE) };
    let levels = value.items().ok_or_else(|| format!("{name} must be a list of levels"))?;
    if levels.iter().any(|level| level.items().is_none()) {
        return Err(format!("each level of {name} must be a list of documents"));
    }
    Ok(levels)
}

fn context<'a>(given: Option<Node<'a>>, unknown: Option<Node<'a>>) -> Result<Context<'a>, String> {
    let mut context = Context::default();
    if let Some(given) = given {
        let members = given.members().ok_or("context must be an object")?;
        // With room for what follows from the principal.
        context = Context::with_room(members.size_hint().0 + 5);
        for (key, value) in members {
            let held = match value.items() {
                Some(list) => list.iter().map(Node::scalar).collect::<Option<_>>().map(Held::Many),
                None => value.scalar().map(Held::One),
            };
            context.set(key, held.ok_or_else(|| format!("the context's {key} must be a text, a boolean, a number or a list of them"))?);
        }
    }
    for key in list(unknown).iter() {
        if let Some(key) = key.text() {
            context.forget(key);
            continue;
        }
        let member = |name: &str| key.member(name).and_then(Node::text);
        let wrong = "unknownContext must be a list of keys, or of `key` with `after`, a date than which it is later";
        let (key, after) = member("key").zip(member("after")).ok_or(wrong)?;
        context.forget_all_but(key, values::date(after).ok_or(wrong)?);
    }
    Ok(context)
}

/// Fills in what follows from the principal alone (IAM-Vars); unique ids don't.
fn derive<'a>(context: &mut Context<'a>, caller: &Caller<'a>, resource_account: &'a str) {
    let kind = match caller.who {
        Who::Root => Some("Account"),
        Who::User => Some("User"),
        Who::Role => Some("AssumedRole"),
        Who::FederatedUser => Some("FederatedUser"),
        Who::Anonymous => Some("Anonymous"),
        _ => None,
    };
    if let Some(account) = caller.account {
        // A session's is its role's ARN (facts G.3).
        context.set_default("aws:PrincipalArn", caller.role.clone().unwrap_or(caller.text.into()));
        context.set_default("aws:PrincipalAccount", account.into());
    }
    if let Some(kind) = kind {
        context.set_default("aws:PrincipalType", kind.into());
    }
    if caller.who == Who::User
        && let Some(name) = caller.text.rsplit('/').next()
    {
        context.set_default("aws:username", name.into());
    }
    context.set_default("aws:ResourceAccount", resource_account.into());
}

fn ask(request: Node<'_>) -> Result<(Question<'_>, Context<'_>), String> {
    let request = Members::of(request).ok_or("a request is an object")?;
    let caller = Caller::read(
        needed(request.principal, "principal")?,
        text(request.principal_role, "principalRole")?,
        text(request.canonical_user, "canonicalUser")?,
    )?;
    let action = needed(request.action, "action")?;
    if !action.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty()) || is_wild(action) {
        return Err(format!("`{action}` is not an action such as `s3:GetObject`"));
    }
    let resource = needed(request.resource, "resource")?;
    let resource_account = match (text(request.resource_account, "resourceAccount")?, resource.split(':').nth(4)) {
        (Some(account), _) => account,
        (None, Some(account)) if !account.is_empty() => account,
        // What has no resource of its own is about the caller's account.
        (None, None) if resource == "*" && caller.account.is_some() => caller.account.unwrap_or_default(),
        _ => return Err("resourceAccount is missing, and the resource's ARN doesn't say it".to_owned()),
    };
    let resource_kind = resource_kind(action, resource);
    if let Some(what) = bypasses(action, resource_kind) {
        return Err(format!("`{action}` is called on {what}, and `{resource}` is none"));
    }
    let (scps, rcps) = (levels(request.scps, "scps")?, levels(request.rcps, "rcps")?);
    let mut context = context(request.context, request.unknown_context)?;
    if flag(request.derive, "derive")? {
        derive(&mut context, &caller, resource_account);
    }
    let restricts_public_buckets = flag(request.block_public_access, "blockPublicAccess")?;
    let parts = [
        (list(request.identity_policies), Kind::Identity),
        (list(request.permission_boundaries), Kind::Boundary),
        (list(request.session_policy), Kind::Session),
        (list(request.endpoint_policies), Kind::Endpoint),
        (list(request.resource_policy), resource_kind),
    ];
    let in_levels = |levels: Nodes<'_>| levels.iter().map(|level| level.listed().len()).sum::<usize>();
    let count = parts.iter().map(|(list, _)| list.len()).sum::<usize>() + in_levels(scps) + in_levels(rcps);
    let mut documents: Vec<Document<'_>> = Vec::with_capacity(count);
    for (list, kind) in parts {
        documents.extend(list.iter().enumerate().map(|(number, value)| read(value, kind, None, number)));
    }
    for (levels, kind) in [(scps, Kind::Scp), (rcps, Kind::Rcp)] {
        for (level, values) in levels.iter().enumerate() {
            documents.extend(values.listed().iter().enumerate().map(|(number, value)| read(value, kind, Some(level), number)));
        }
    }
    let question = Question {
        caller,
        action,
        resource,
        target: target(action, resource),
        resource_account,
        resource_kind,
        documents,
        has_boundary: !list(request.permission_boundaries).is_empty(),
        has_session: !list(request.session_policy).is_empty(),
        has_endpoint: !list(request.endpoint_policies).is_empty(),
        scp_levels: scps.len(),
        rcp_levels: rcps.iter().map(|level| !level.listed().is_empty()).collect(),
        restricts_public_buckets,
    };
    Ok((question, context))
}
