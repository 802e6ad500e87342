//! Bucket policies: what S3 takes, and what it doesn't (facts D.1, E.15, E.18).

use super::access::arn;
use super::bucket::Bucket;
use super::store::{bucket, bucket_mut};
use super::{empty, not_allowed};
use crate::policy::{decide, matches_pattern, statements};
use crate::rehearsal::document::{Document, first_absent, texts};
use crate::rehearsal::grammar::{self, Kind};
use crate::rehearsal::state::State;
use crate::rehearsal::wire::{Answer, Call, Fault, Outcome};
use serde_json::{Value, json};

const LARGEST: usize = 20 * 1024;

/// Only the owner's account may look at a policy or change it, whatever it allows others (facts D.1).
pub(super) fn of_owner(state: &State, call: &Call, name: &str) -> Outcome<()> {
    if bucket(state, name)?.owner == call.caller.account { Ok(()) } else { Err(not_allowed()) }
}

/// Keeps a policy, letter for letter.
pub(super) fn put(state: &mut State, call: &Call, name: &str) -> Outcome<Answer> {
    of_owner(state, call, name)?;
    let bytes = super::body::read(call)?.bytes;
    let malformed = |message: &str| Fault::new(400, "MalformedPolicy", message);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let document = grammar::read(text, Kind::Bucket).map_err(|message| malformed(&message))?;
    if bytes.len() > LARGEST {
        return Err(malformed("Policy exceeds the maximum allowed document size."));
    }
    check(state, name, &document).map_err(|(message, detail)| {
        let fault = malformed(message);
        if detail.is_empty() { fault } else { fault.with("Detail", &detail) }
    })?;
    let held = bucket(state, name)?;
    if held.public_access_block.is_some_and(|block| block.block_policy) && is_public(held, &document) {
        let message = format!(
            "User: {} is not authorized to perform: s3:PutBucketPolicy on resource: \"{}\" because public policies are prevented by \
             the BlockPublicPolicy setting in S3 Block Public Access.",
            call.caller.arn,
            arn(state, name, None)
        );
        return Err(Fault::new(403, "AccessDenied", message));
    }
    let kept = Document::new(state, text);
    bucket_mut(state, name)?.policy = Some(kept);
    Ok(empty(204))
}

/// What S3 has against a document, and the part of it that it means.
type Objection = (&'static str, String);

/// What S3 has against a document that is well-formed.
fn check(state: &State, name: &str, document: &Value) -> Result<(), Objection> {
    let objection = |message| Err((message, String::new()));
    let of_bucket = arn(state, name, None);
    for statement in statements(document) {
        let resources = [texts(statement.get("Resource")), texts(statement.get("NotResource"))].concat();
        let is_own = |resource: &String| {
            let held = resource.split('/').next().unwrap_or(resource);
            resource == "*" || matches_pattern(held, &of_bucket)
        };
        if !resources.iter().all(is_own) {
            return objection("Policy has invalid resource");
        }
        if statement.get("NotResource").is_none() && !texts(statement.get("Action")).iter().all(|action| applies(action, &resources)) {
            return objection("Action does not apply to any resource(s) in statement");
        }
    }
    match first_absent(state, document) {
        Some((kind, absent)) => Err(("Invalid principal in policy", format!("\"{kind}\" : \"{absent}\""))),
        None => Ok(()),
    }
}

/// Says whether an action is one of a bucket or of an object, as one of the resources is: `bucket/*` never covers ListBucket, and
/// S3 refuses the statement (facts G.4). Wildcards are taken to apply.
fn applies(action: &str, resources: &[String]) -> bool {
    let name = action.split_once(':').map_or("*", |(_, name)| name).to_ascii_lowercase();
    if name.contains(['*', '?']) {
        return true;
    }
    let of_object = [
        "getobject",
        "putobject",
        "deleteobject",
        "restoreobject",
        "abortmultipart",
        "listmultipart",
        "bypassgovernance",
        "replicate",
        "objectowner",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix));
    resources.iter().any(|resource| {
        let whole = resource.ends_with('*') && !resource.contains('/');
        whole || resource.contains('/') == of_object
    })
}

/// Says whether S3 calls a policy public: what a stranger is kept out by is RestrictPublicBuckets alone.
pub(super) fn is_public(bucket: &Bucket, document: &Value) -> bool {
    // The evaluator is asked about somebody whom nothing but a denial keeps out, so denials are left out.
    let allows = |statement: &&Value| statement.get("Effect").and_then(Value::as_str) == Some("Allow");
    let allowing: Vec<&Value> = statements(document).into_iter().filter(allows).collect();
    let decision = decide(&json!({
        "principal": "arn:aws:iam::000000000000:user/stranger",
        "action": "s3:GetObject",
        "resource": format!("arn:aws:s3:::{}/key", bucket.name),
        "resourceAccount": bucket.owner,
        "blockPublicAccess": true,
        "resourcePolicy": {"Version": "2012-10-17", "Statement": allowing},
    }));
    decision.missing.iter().any(|lack| lack.side == "block-public-access")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objection(document: &Value) -> Option<&'static str> {
        let state = State::new("aws", "us-east-1", "us-east-1");
        check(&state, "bucket", document).err().map(|(message, _)| message)
    }

    fn statement(action: &str, resource: &str, principal: &str) -> Value {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action, "Resource": resource}]})
    }

    #[test]
    fn what_s3_refuses_is_refused() {
        let root = "arn:aws:iam::222222222222:root";
        let objects = "arn:aws:s3:::bucket/*";
        assert_eq!(objection(&statement("s3:GetObject", objects, root)), None);
        assert_eq!(objection(&statement("s3:Get*", "arn:aws:s3:::bucket", "222222222222")), None);
        assert_eq!(objection(&statement("s3:GetObject", "arn:aws:s3:::other/*", root)), Some("Policy has invalid resource"));
        let applies = Some("Action does not apply to any resource(s) in statement");
        assert_eq!(objection(&statement("s3:ListBucket", objects, root)), applies);
        assert_eq!(objection(&statement("s3:GetObject", "arn:aws:s3:::bucket", root)), applies);
        let absent = "arn:aws:iam::222222222222:role/absent";
        assert_eq!(objection(&statement("s3:GetObject", objects, absent)), Some("Invalid principal in policy"));
    }

    #[test]
    fn a_policy_for_everyone_is_public_unless_something_fixed_confines_it() {
        let bucket = Bucket::new("bucket", "111111111111", "us-east-1", 0);
        let mut policy = statement("s3:GetObject", "arn:aws:s3:::bucket/*", "*");
        assert!(is_public(&bucket, &policy));
        policy["Statement"][0]["Condition"] = json!({"StringEquals": {"aws:PrincipalAccount": "222222222222"}});
        assert!(!is_public(&bucket, &policy));
        assert!(!is_public(&bucket, &statement("s3:GetObject", "arn:aws:s3:::bucket/*", "222222222222")));
    }
}
