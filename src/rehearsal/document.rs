//! Resource policies as AWS keeps them: a principal is its unique id (facts D.2, "Unique-id rewrite").

use super::state::{State, account_of};
use crate::policy::statements;
use serde_json::Value;
use std::collections::BTreeMap;

/// A trust, key or bucket policy.
///
/// Naming a role or a user means the one that has the name when the policy is saved. When it is deleted its id shows instead
/// of its ARN, and whoever gets the name afterwards isn't meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    text: String,
    value: Value,
    /// The ids of the users and roles that are named.
    ids: BTreeMap<String, String>,
}

impl Document {
    /// Keeps a document that [`first_absent`] has nothing against.
    pub fn new(state: &State, text: &str) -> Document {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let named = aws_principals(&value);
        let ids = named.into_iter().filter_map(|arn| Some((arn.clone(), state.principal_id(&arn)?.to_owned()))).collect();
        Document { text: text.to_owned(), value, ids }
    }

    fn dead<'d>(&'d self, state: &State) -> BTreeMap<&'d str, &'d str> {
        let gone = |(arn, id): &(&String, &String)| state.principal_id(arn) != Some(id.as_str());
        self.ids.iter().filter(gone).map(|(arn, id)| (arn.as_str(), id.as_str())).collect()
    }

    /// Gives the document as it counts now.
    pub fn shown(&self, state: &State) -> Value {
        let dead = self.dead(state);
        if dead.is_empty() { self.value.clone() } else { with_ids(&self.value, &dead) }
    }

    /// Gives the text of the document as it is read back now.
    pub fn text(&self, state: &State) -> String {
        let dead = self.dead(state);
        if dead.is_empty() { self.text.clone() } else { with_ids(&self.value, &dead).to_string() }
    }
}

fn with_ids(document: &Value, ids: &BTreeMap<&str, &str>) -> Value {
    fn name(value: &mut Value, ids: &BTreeMap<&str, &str>) {
        match value {
            Value::String(text) => {
                if let Some(id) = ids.get(text.as_str()) {
                    *text = (*id).to_owned();
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| name(value, ids)),
            _ => {}
        }
    }
    let mut document = document.clone();
    let list = match document.get_mut("Statement") {
        Some(Value::Array(list)) => list.iter_mut().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for statement in list {
        for member in ["Principal", "NotPrincipal"] {
            if let Some(aws) = statement.get_mut(member).and_then(|principal| principal.get_mut("AWS")) {
                name(aws, ids);
            }
        }
    }
    document
}

/// Lists the texts of a member that is a text or a list of them.
pub(crate) fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// Lists who is named under `AWS` in all statements.
pub(crate) fn aws_principals(document: &Value) -> Vec<String> {
    let of = |statement: &Value| -> Vec<String> {
        let member = |name| match statement.get(name) {
            Some(Value::String(everyone)) => vec![everyone.clone()],
            Some(principal) => texts(principal.get("AWS")),
            None => Vec::new(),
        };
        [member("Principal"), member("NotPrincipal")].concat()
    };
    statements(document).into_iter().flat_map(of).collect()
}

/// Gives the first principal that AWS would call invalid, with its kind: a role or user that doesn't exist, or can't be seen
/// yet; an id of a deleted one; what is no principal at all (facts D.2, E.14 to E.16).
pub(crate) fn first_absent(state: &State, document: &Value) -> Option<(&'static str, String)> {
    if let Some(absent) = aws_principals(document).into_iter().find(|principal| !is_there(state, principal)) {
        return Some(("AWS", absent));
    }
    for statement in statements(document) {
        for member in ["Principal", "NotPrincipal"] {
            let services = texts(statement.get(member).and_then(|principal| principal.get("Service")));
            let is_service = |name: &String| {
                let word = name.strip_suffix(".amazonaws.com").or_else(|| name.strip_suffix(".amazonaws.com.cn")).unwrap_or_default();
                !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte))
            };
            if let Some(absent) = services.into_iter().find(|name| !is_service(name)) {
                return Some(("Service", absent));
            }
        }
    }
    None
}

pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_there(state: &State, principal: &str) -> bool {
    if principal == "*" {
        return true;
    }
    if is_account(principal) {
        return state.accounts.contains_key(principal);
    }
    let parts: Vec<&str> = principal.splitn(6, ':').collect();
    let ["arn", partition, service, "", account, resource] = parts[..] else { return false };
    if partition != state.partition || !state.accounts.contains_key(account) {
        return false;
    }
    let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
    match (service, kind) {
        ("iam", "root") => rest.is_empty(),
        // The path is part of the name here: an ARN without it is another principal's (facts E.14).
        ("iam", "role" | "user") => state.principal_id(principal).is_some(),
        ("sts", "assumed-role") => {
            let Some((role, session)) = rest.split_once('/') else { return false };
            !session.is_empty() && state.visible(account_of(principal)).is_some_and(|account| account.roles.contains_key(role))
        }
        ("sts", "federated-user") => !rest.is_empty(),
        _ => false,
    }
}
