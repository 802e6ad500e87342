//! Permissions as a policy document: the actions on a resource stand together.

use super::Permission;
use crate::policy::matches_pattern;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The beginning of the Sid of each statement whose reads may be left out.
pub const OPTIONAL: &str = "XdeployOptionalReads";

/// How many characters other than white space a managed policy may have (facts/codepipeline.md D.1).
pub const CHARACTERS: usize = 6_144;

/// The policy document of these permissions, which are one side's, sorted by what they are about.
pub fn policy(permissions: &[Permission], required_only: bool) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements(permissions, required_only)})
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

fn statements(permissions: &[Permission], required_only: bool) -> Vec<Value> {
    let permissions = &with_all_policies(permissions);
    let condition = |permission: &Permission| permission.condition.as_ref().map(ToString::to_string).unwrap_or_default();
    // What a wider permission gives needs no other, nor would another's condition mean anything.
    let given = |permission: &Permission| {
        let same = permissions
            .iter()
            .filter(|other| other.action == permission.action && other.condition.is_none() && (permission.optional || !other.optional));
        same.filter(|other| {
            permission.condition.is_some() || other.resource != permission.resource || permission.optional && !other.optional
        })
        .any(|other| matches_pattern(&other.resource, &permission.resource))
    };
    let mut by_resource: BTreeMap<Place<'_>, BTreeSet<&str>> = BTreeMap::new();
    for permission in permissions {
        if !(permission.optional && required_only || given(permission)) {
            by_resource
                .entry((permission.optional, permission.about, condition(permission), &permission.resource))
                .or_default()
                .insert(permission.action);
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

/// Permissions that differ only in which policy is attached, as one.
fn with_all_policies(permissions: &[Permission]) -> Vec<Permission> {
    let policy = |permission: &Permission| permission.condition.as_ref()?.pointer(ATTACHED)?.as_str().map(str::to_owned);
    let mut all: Vec<Permission> = Vec::new();
    for permission in permissions {
        let same = |other: &&mut Permission| {
            (other.action, &other.resource) == (permission.action, &permission.resource)
                && other.condition.as_ref().is_some_and(|condition| condition.pointer(ATTACHED).is_some())
        };
        match (policy(permission), all.iter_mut().find(same)) {
            (Some(policy), Some(other)) => {
                let names = other.condition.as_mut().and_then(|condition| condition.pointer_mut(ATTACHED));
                if let Some(names) = names {
                    let mut list: BTreeSet<String> = crate::policy::names_in(Some(names)).into_iter().map(str::to_owned).collect();
                    list.insert(policy);
                    if list.len() > 1 {
                        *names = json!(list);
                    }
                }
            }
            _ => all.push(permission.clone()),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Side;

    fn permission(action: &'static str, resource: &str, optional: bool) -> Permission {
        Permission { side: Side::Dev, action, resource: resource.to_owned(), condition: None, about: "Things", optional }
    }

    fn attaching(policy: &str) -> Permission {
        Permission { condition: Some(json!({"ArnLike": {"iam:PolicyARN": policy}})), ..permission("iam:AttachRolePolicy", "role", false) }
    }

    #[test]
    fn actions_on_a_resource_stand_together_once() {
        let permissions = [
            permission("s3:B", "one", false),
            permission("s3:A", "one", false),
            permission("s3:A", "two", false),
            permission("s3:B", "two", false),
            permission("s3:A", "one", true),
            permission("s3:C", "tw*", true),
            permission("s3:C", "two", false),
            permission("s3:D", "t*", false),
            permission("s3:D", "two", false),
        ];
        let expected = [
            json!({"Sid": "Things", "Effect": "Allow", "Action": ["s3:A", "s3:B"], "Resource": ["one"]}),
            json!({"Sid": "Things2", "Effect": "Allow", "Action": ["s3:A", "s3:B", "s3:C"], "Resource": ["two"]}),
            json!({"Sid": "Things3", "Effect": "Allow", "Action": ["s3:D"], "Resource": ["t*"]}),
        ];
        assert_eq!(policy(&permissions, true)["Statement"], json!(expected));
        let optional = json!({"Sid": "XdeployOptionalReadsThings", "Effect": "Allow", "Action": ["s3:C"], "Resource": ["tw*"]});
        assert_eq!(policy(&permissions, false)["Statement"][3], optional);
    }

    #[test]
    fn attachments_of_a_role_name_all_policies() {
        let document = policy(&[attaching("b"), attaching("a"), attaching("b")], false);
        assert_eq!(document["Statement"].as_array().map(Vec::len), Some(1));
        assert_eq!(document["Statement"][0]["Condition"], json!({"ArnLike": {"iam:PolicyARN": ["a", "b"]}}));
        let document = policy(&[attaching("a"), attaching("a")], false);
        assert_eq!(document["Statement"][0]["Condition"], json!({"ArnLike": {"iam:PolicyARN": "a"}}));
    }

    #[test]
    fn a_long_policy_is_cut_between_statements() {
        let statement = json!({"Effect": "Allow", "Action": "a".repeat(1950), "Resource": "*"});
        let long = json!({"Version": "2012-10-17", "Statement": vec![statement; 5]});
        let parts = policies(&long);
        let count = |part: &Value| part["Statement"].as_array().map_or(0, Vec::len);
        assert_eq!(parts.iter().map(count).collect::<Vec<_>>(), [3, 2], "{}", characters(&long));
        assert!(parts.iter().all(|part| characters(part) <= CHARACTERS));
    }
}
