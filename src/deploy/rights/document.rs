//! Rights as a policy document: the actions on a resource stand together.

use super::Right;
use crate::policy::matches_pattern;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The beginning of the Sid of each statement whose reads may be left out.
pub const OPTIONAL: &str = "XdeployOptionalReads";

/// How many characters other than white space a managed policy may have (facts/codepipeline.md D.1).
pub const CHARACTERS: usize = 6_144;

/// The policy document of these rights, which are one side's, sorted by what they are about.
pub fn policy(rights: &[Right], required_only: bool) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements(rights, required_only)})
}

/// The same, as documents that each fit a managed policy.
pub fn policies(policy: &Value) -> Vec<Value> {
    let mut parts: Vec<Vec<Value>> = Vec::new();
    for statement in policy.get("Statement").and_then(Value::as_array).into_iter().flatten() {
        let whole = |part: &[Value]| json!({"Version": "2012-10-17", "Statement": part});
        if let Some(part) = parts.last_mut() {
            part.push(statement.clone());
            if characters(&whole(part)) <= CHARACTERS {
                continue;
            }
            part.pop();
        }
        parts.push(vec![statement.clone()]);
    }
    parts.into_iter().map(|part| json!({"Version": "2012-10-17", "Statement": part})).collect()
}

/// Counts a document's characters as IAM does: without white space.
pub fn characters(document: &Value) -> usize {
    document.to_string().chars().filter(|character| !character.is_whitespace()).count()
}

/// Where a condition names the policies that may be attached.
const ATTACHED: &str = "/ArnLike/iam:PolicyARN";

type Place<'a> = (bool, &'static str, String, &'a str);

fn statements(rights: &[Right], required_only: bool) -> Vec<Value> {
    let rights = &with_all_policies(rights);
    let condition = |right: &Right| right.condition.as_ref().map(ToString::to_string).unwrap_or_default();
    // What a wider right gives needs no other.
    let given = |right: &Right| {
        let same =
            rights.iter().filter(|other| other.action == right.action && other.condition.is_none() && (right.optional || !other.optional));
        same.filter(|other| other.resource != right.resource || right.optional && !other.optional)
            .any(|other| matches_pattern(&other.resource, &right.resource))
    };
    let mut by_resource: BTreeMap<Place<'_>, BTreeSet<&str>> = BTreeMap::new();
    for right in rights {
        if !(right.optional && required_only || right.condition.is_none() && given(right)) {
            by_resource.entry((right.optional, right.about, condition(right), &right.resource)).or_default().insert(right.action);
        }
    }
    // Resources of one kind that are asked for the same share a statement.
    let mut by_actions: BTreeMap<(bool, &str, String, Vec<&str>), Vec<&str>> = BTreeMap::new();
    for ((optional, about, condition, resource), actions) in by_resource {
        by_actions.entry((optional, about, condition, actions.into_iter().collect())).or_default().push(resource);
    }
    let mut sids: BTreeMap<String, usize> = BTreeMap::new();
    let statement = |((optional, about, condition, actions), resources): ((bool, &str, String, Vec<&str>), Vec<&str>)| {
        let sid = format!("{}{about}", if optional { OPTIONAL } else { "" });
        let count = sids.entry(sid.clone()).or_default();
        *count += 1;
        let sid = if *count == 1 { sid } else { format!("{sid}{count}") };
        let mut statement = json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources});
        if let Ok(condition) = serde_json::from_str::<Value>(&condition) {
            statement["Condition"] = condition;
        }
        statement
    };
    by_actions.into_iter().map(statement).collect()
}

/// Rights that differ only in which policy is attached, as one.
fn with_all_policies(rights: &[Right]) -> Vec<Right> {
    let policy = |right: &Right| right.condition.as_ref()?.pointer(ATTACHED)?.as_str().map(str::to_owned);
    let mut all: Vec<Right> = Vec::new();
    for right in rights {
        let same = |other: &&mut Right| {
            (other.action, &other.resource) == (right.action, &right.resource)
                && other.condition.as_ref().is_some_and(|condition| condition.pointer(ATTACHED).is_some())
        };
        match (policy(right), all.iter_mut().find(same)) {
            (Some(policy), Some(other)) => {
                let names = other.condition.as_mut().and_then(|condition| condition.pointer_mut(ATTACHED));
                if let Some(names) = names {
                    let mut list: BTreeSet<String> = crate::policy::names_in(Some(names)).into_iter().map(str::to_owned).collect();
                    list.insert(policy);
                    *names = json!(list);
                }
            }
            _ => all.push(right.clone()),
        }
    }
    all
}
