//! Requests as JSON in, verdicts as JSON out.

use super::answer::{Decided, Decision, Reason};
use super::condition::Tri;
use super::context::{Context, Held};
use super::decision::{Answer, Match, Question, Verdict, View, resource_kind};
use super::parsed::{Document, Kind, read, scalar};
use super::principal::{Caller, Who};
use super::unknown;
use serde_json::{Map, Value};

/// Decides one request: an object as `xdeploy simulate` reads it.
///
/// A call that is denied whatever an unknown key is, sometimes explicitly and sometimes not, is implicitly denied. Rules:
/// facts/codepipeline.md G.
pub fn decide(request: &Value) -> Decision {
    let (question, context) = match ask(request) {
        Ok(asked) => asked,
        Err(why) => return Decision::error(vec![why], Vec::new()),
    };
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
                    unknown = unknown::keys(&context, &matches);
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
    decide(request).into_json(request.get("id").cloned().unwrap_or(Value::Null))
}

/// Gives the verdict for a line that is no request.
pub(crate) fn broken(id: Value, why: String) -> Value {
    Decision::error(vec![why], Vec::new()).into_json(id)
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

fn text<'a>(request: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(format!("{name} must be a text")),
    }
}

fn needed<'a>(request: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    text(request, name)?.ok_or_else(|| format!("{name} is missing"))
}

fn flag(request: &Map<String, Value>, name: &str) -> Result<bool, String> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(yes)) => Ok(*yes),
        Some(_) => Err(format!("{name} must be true or false")),
    }
}

/// A list of documents, or one.
fn list<'a>(request: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    match request.get(name) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) => list,
        Some(one) => std::slice::from_ref(one),
    }
}

fn levels<'a>(request: &'a Map<String, Value>, name: &str) -> Result<Vec<&'a [Value]>, String> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(levels)) => levels
            .iter()
            .map(|level| level.as_array().map(Vec::as_slice).ok_or_else(|| format!("each level of {name} must be a list of documents")))
            .collect(),
        Some(_) => Err(format!("{name} must be a list of levels")),
    }
}

fn context(request: &Map<String, Value>) -> Result<Context, String> {
    let mut context = Context::default();
    match request.get("context") {
        None | Some(Value::Null) => {}
        Some(Value::Object(keys)) => {
            for (key, value) in keys {
                let wrong = || format!("the context's {key} must be a text, a boolean, a number or a list of them");
                let held = match value {
                    Value::Array(list) => {
                        Held::Many(list.iter().map(|one| scalar(one).map(Into::into)).collect::<Option<_>>().ok_or_else(wrong)?)
                    }
                    one => Held::One(scalar(one).ok_or_else(wrong)?.into_owned()),
                };
                context.set(key, held);
            }
        }
        Some(_) => return Err("context must be an object".to_owned()),
    }
    for key in list(request, "unknownContext") {
        context.forget(key.as_str().ok_or("unknownContext must be a list of keys")?);
    }
    Ok(context)
}

/// Fills in what follows from the principal alone (IAM-Vars); unique ids don't.
fn derive(context: &mut Context, caller: &Caller, resource_account: &str) {
    let kind = match caller.who {
        Who::Root => Some("Account"),
        Who::User => Some("User"),
        Who::Role => Some("AssumedRole"),
        Who::FederatedUser => Some("FederatedUser"),
        Who::Anonymous => Some("Anonymous"),
        _ => None,
    };
    if let Some(account) = &caller.account {
        // A session's is its role's ARN (facts G.3).
        context.set_default("aws:PrincipalArn", caller.role.as_ref().unwrap_or(&caller.text));
        context.set_default("aws:PrincipalAccount", account);
    }
    if let Some(kind) = kind {
        context.set_default("aws:PrincipalType", kind);
    }
    if caller.who == Who::User
        && let Some(name) = caller.text.rsplit('/').next()
    {
        context.set_default("aws:username", name);
    }
    context.set_default("aws:ResourceAccount", resource_account);
}

fn ask(request: &Value) -> Result<(Question<'_>, Context), String> {
    let request = request.as_object().ok_or("a request is an object")?;
    let caller = Caller::read(needed(request, "principal")?, text(request, "principalRole")?, text(request, "canonicalUser")?)?;
    let action = needed(request, "action")?;
    if !action.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty()) || action.contains(['*', '?']) {
        return Err(format!("`{action}` is not an action such as `s3:GetObject`"));
    }
    let resource = needed(request, "resource")?;
    let resource_account = match (text(request, "resourceAccount")?, resource.split(':').nth(4)) {
        (Some(account), _) => account.to_owned(),
        (None, Some(account)) if !account.is_empty() => account.to_owned(),
        // What has no resource of its own is about the caller's account.
        (None, None) if resource == "*" && caller.account.is_some() => caller.account.clone().unwrap_or_default(),
        _ => return Err("resourceAccount is missing, and the resource's ARN doesn't say it".to_owned()),
    };
    let resource_kind = resource_kind(action, resource);
    let mut documents: Vec<Document<'_>> = Vec::new();
    let parts = [
        ("identityPolicies", Kind::Identity),
        ("permissionBoundaries", Kind::Boundary),
        ("sessionPolicy", Kind::Session),
        ("vpcEndpointPolicies", Kind::Endpoint),
        ("resourcePolicy", resource_kind),
    ];
    for (name, kind) in parts {
        documents.extend(list(request, name).iter().enumerate().map(|(number, value)| read(value, kind, None, number)));
    }
    let (scps, rcps) = (levels(request, "scps")?, levels(request, "rcps")?);
    for (levels, kind) in [(&scps, Kind::Scp), (&rcps, Kind::Rcp)] {
        for (level, values) in levels.iter().enumerate() {
            documents.extend(values.iter().enumerate().map(|(number, value)| read(value, kind, Some(level), number)));
        }
    }
    let mut context = context(request)?;
    if flag(request, "derive")? {
        derive(&mut context, &caller, &resource_account);
    }
    let question = Question {
        caller,
        action,
        resource,
        resource_account,
        resource_kind,
        documents,
        has_boundary: !list(request, "permissionBoundaries").is_empty(),
        has_session: !list(request, "sessionPolicy").is_empty(),
        has_endpoint: !list(request, "vpcEndpointPolicies").is_empty(),
        scp_levels: scps.len(),
        rcp_levels: rcps.iter().map(|level| !level.is_empty()).collect(),
        restricts_public_buckets: flag(request, "blockPublicAccess")?,
    };
    Ok((question, context))
}
