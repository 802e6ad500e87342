//! What a write changes, in the terms of what it changes: statements of a policy, members of anything else.

use super::redaction::shown;
use super::write::{Call, Write};
use crate::policy::{self, PolicyDiff};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// One member that comes, changes or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where it is, such as `stages[Deploy].actions[Deploy].roleArn`: lists of named things go by the name.
    pub path: String,
    /// What it was.
    pub before: Option<String>,
    /// What it will be.
    pub after: Option<String>,
}

/// The difference that a write makes to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The write has no document.
    None,
    /// Of a policy.
    Policy(PolicyDiff),
    /// Of a declaration, a notification, a pattern or a target.
    Members(Vec<Member>),
}

/// Gives the difference that a write makes; `all` are the writes of its plan, since one may change what another has just made.
pub fn of(write: &Write, all: &[Write]) -> Difference {
    let (before, after) = write.call.documents();
    // A difference is to be shown.
    let (before, after) = (before.as_ref().map(shown), after.as_ref().map(shown));
    match &write.call {
        _ if before.is_none() && after.is_none() => Difference::None,
        Call::PutBucketNotification { before, after, .. } => Difference::Members(members(Some(&of_xml(before)), Some(&of_xml(after)))),
        Call::PutRule { .. } | Call::PutTargets { .. } | Call::CreatePipeline { .. } | Call::UpdatePipeline { .. } => {
            Difference::Members(members(before.as_ref(), after.as_ref()))
        }
        _ => Difference::Policy(policy::diff(before.or(made_with(write, all).map(shown)).as_ref(), after.as_ref())),
    }
}

/// The policy with which a key of the same plan is made.
fn made_with<'a>(write: &Write, all: &'a [Write]) -> Option<&'a Value> {
    let Call::PutKeyPolicy { .. } = &write.call else { return None };
    all.iter().filter(|other| other.resource == write.resource).find_map(|other| match &other.call {
        Call::CreateKey { policy, .. } | Call::ReplicateKey { policy, .. } => Some(policy),
        _ => None,
    })
}

/// Compares two documents member by member; lists of plain values are sets.
pub fn members(before: Option<&Value>, after: Option<&Value>) -> Vec<Member> {
    let mut found = Vec::new();
    walk(String::new(), before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null), &mut found);
    found
}

fn told(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

const NAMES: [&str; 5] = ["name", "Name", "id", "Id", "ID"];

/// What tells the things of a list apart.
fn name_of(value: &Value) -> Option<&str> {
    NAMES.iter().find_map(|key| value.get(key)?.as_str())
}

fn is_name(key: &str) -> bool {
    NAMES.contains(&key)
}

/// The things of a list by name, or by their place where one has none.
fn named(list: &[Value]) -> Vec<(String, &Value)> {
    let names: BTreeSet<&str> = list.iter().filter_map(name_of).collect();
    let by_place = names.len() != list.len();
    list.iter()
        .enumerate()
        .map(|(place, value)| match name_of(value) {
            Some(name) if !by_place => (format!("[{name}]"), value),
            _ => (format!("[{place}]"), value),
        })
        .collect()
}

fn inside(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Says whether both are members or nothing, and there are any.
fn are_objects(before: &Value, after: &Value) -> bool {
    let fits = |value: &Value| value.is_null() || value.is_object();
    let filled = |value: &Value| value.as_object().is_some_and(|members| !members.is_empty());
    fits(before) && fits(after) && (filled(before) || filled(after))
}

/// Says whether both are lists of such things or nothing, and there are any.
fn are_lists(before: &Value, after: &Value, of: fn(&Value) -> bool) -> bool {
    let fits = |value: &Value| value.is_null() || value.as_array().is_some_and(|list| list.iter().all(of));
    let filled = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
    fits(before) && fits(after) && (filled(before) || filled(after))
}

fn walk(path: String, before: &Value, after: &Value, found: &mut Vec<Member>) {
    if before == after {
        return;
    }
    if are_objects(before, after) {
        let (old, new) = (before.as_object(), after.as_object());
        let keys: Vec<&String> = new.into_iter().chain(old).flat_map(Map::keys).collect();
        let mut seen = BTreeSet::new();
        // What a thing is called stands in its path already.
        let told = |key: &String| {
            new.or(old).is_some_and(|new| new.len() > 1 && path.ends_with(&format!("[{}]", new.get(key).map(text).unwrap_or_default())))
        };
        for key in
            keys.into_iter().filter(|key| seen.insert(*key)).filter(|key| !(is_name(key) && old.is_none() != new.is_none() && told(key)))
        {
            let member = |members: Option<&Map<String, Value>>| members.and_then(|m| m.get(key)).cloned().unwrap_or_default();
            walk(inside(&path, key), &member(old), &member(new), found);
        }
    } else if are_lists(before, after, |one| !one.is_object() && !one.is_array()) {
        let values = |value: &Value| -> Vec<String> { value.as_array().into_iter().flatten().map(text).collect() };
        let (old, new) = (values(before), values(after));
        let gone = old.iter().filter(|value| !new.contains(value));
        found.extend(gone.map(|value| Member { path: path.clone(), before: Some(value.clone()), after: None }));
        let come = new.iter().filter(|value| !old.contains(value));
        found.extend(come.map(|value| Member { path: path.clone(), before: None, after: Some(value.clone()) }));
    } else if are_lists(before, after, Value::is_object) {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let (old, new) = (list(before), list(after));
        let (old, new) = (named(&old), named(&new));
        let at = |all: &[(String, &Value)], key: &str| all.iter().find(|(name, _)| name == key).map(|(_, value)| (*value).clone());
        let keys = new.iter().chain(old.iter().filter(|(key, _)| !new.iter().any(|(other, _)| other == key)));
        for (key, _) in keys {
            walk(format!("{path}{key}"), &at(&old, key).unwrap_or_default(), &at(&new, key).unwrap_or_default(), found);
        }
    } else {
        found.push(Member { path, before: told(before), after: told(after) });
    }
}

fn text(value: &Value) -> String {
    told(value).unwrap_or_else(|| "null".to_owned())
}

/// Reads S3's XML as members; a text that is no XML is one value.
fn of_xml(xml: &str) -> Value {
    if xml.trim().is_empty() {
        return Value::Null;
    }
    roxmltree::Document::parse(xml).map_or_else(|_| Value::from(xml), |document| of_element(document.root_element()))
}

fn of_element(element: roxmltree::Node<'_, '_>) -> Value {
    let mut members: Map<String, Value> = Map::new();
    for child in element.children().filter(roxmltree::Node::is_element) {
        let value = of_element(child);
        match members.entry(child.tag_name().name().to_owned()) {
            serde_json::map::Entry::Vacant(free) => {
                free.insert(value);
            }
            serde_json::map::Entry::Occupied(mut there) => match there.get_mut() {
                Value::Array(list) => list.push(value),
                one => *one = Value::from(vec![one.take(), value]),
            },
        }
    }
    match members.is_empty() {
        true if element.parent_element().is_some() => Value::from(element.text().unwrap_or_default()),
        _ => Value::Object(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn lines(before: &Value, after: &Value) -> Vec<String> {
        let line = |member: &Member| format!("{} {:?} {:?}", member.path, member.before.as_deref(), member.after.as_deref());
        members(Some(before), Some(after)).iter().map(line).collect()
    }

    #[test]
    fn a_list_of_named_things_goes_by_the_name() {
        let before = json!({"stages": [{"name": "Source", "actions": []}, {"name": "Deploy", "actions": [{"name": "Deploy", "region": "us-east-1"}]}]});
        let after = json!({"stages": [{"name": "Deploy", "actions": [{"name": "Deploy", "roleArn": "r", "region": "us-east-1"}]}, {"name": "Source", "actions": []}]});
        assert_eq!(lines(&before, &after), ["stages[Deploy].actions[Deploy].roleArn None Some(\"r\")"]);
    }

    #[test]
    fn a_notification_is_compared_by_its_elements() {
        let before =
            "<NotificationConfiguration><QueueConfiguration><Id>q</Id><Queue>a</Queue></QueueConfiguration></NotificationConfiguration>";
        let after = before.replace("</NotificationConfiguration>", "<EventBridgeConfiguration/></NotificationConfiguration>");
        assert_eq!(lines(&of_xml(before), &of_xml(&after)), ["EventBridgeConfiguration None Some(\"\")"]);
        let other = before.replace(">a<", ">b<");
        assert_eq!(lines(&of_xml(before), &of_xml(&other)), ["QueueConfiguration.Queue Some(\"a\") Some(\"b\")"]);
    }

    #[test]
    fn plain_lists_are_sets() {
        assert_eq!(lines(&json!({"a": ["x", "y"]}), &json!({"a": ["z", "x"]})), ["a Some(\"y\") None", "a None Some(\"z\")"]);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(prop::sample::select(&["name", "a", "b"][..]), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_differs_from_itself_and_nothing_falls_over(before in any_json(), after in any_json()) {
            prop_assert!(members(Some(&before), Some(&before)).is_empty());
            let there = members(Some(&before), Some(&after));
            let mut back: Vec<Member> = members(Some(&after), Some(&before)).into_iter().map(|m| Member { path: m.path, before: m.after, after: m.before }).collect();
            let mut there = there;
            let key = |member: &Member| (member.path.clone(), member.before.clone(), member.after.clone());
            there.sort_by_key(key);
            back.sort_by_key(key);
            prop_assert_eq!(there, back);
        }
    }
}
