//! The difference of two policy documents, by statement and element: what is granted more and what less, whatever the text.

use super::document::statements;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is new.
    Added,
    /// It is there, with other elements.
    Changed,
    /// It goes.
    Removed,
}

/// One element with the values that come and go, as they are written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// `Effect`, `Principal.AWS`, `Action`, `Condition.StringEquals.aws:SourceArn`, …
    pub name: String,
    /// The values that come.
    pub added: Vec<String>,
    /// The values that go.
    pub removed: Vec<String>,
}

/// What becomes of one statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatementDiff {
    /// New, changed or gone.
    pub fate: Fate,
    /// Its Sid afterwards, or before where it goes; empty where it has none.
    pub sid: String,
    /// The Sid that it had, where that was another.
    pub was: Option<String>,
    /// The elements that differ; all of them for one that comes or goes.
    pub elements: Vec<Element>,
}

/// What becomes of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyDiff {
    /// Members beside the statements, such as `Version` and `Id`.
    pub members: Vec<Element>,
    /// The statements that differ: in the order of the new document, then what goes in the order of the old one.
    pub statements: Vec<StatementDiff>,
}

impl PolicyDiff {
    /// Says whether both documents grant and deny the same.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.statements.is_empty()
    }
}

/// The elements by what makes two of them equal: how each is written, and its values in the same manner.
type Elements = BTreeMap<String, (String, BTreeMap<String, String>)>;

/// Two statements that share less than this part of their values are two.
const ALIKE: f64 = 0.5;

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// One value or a list of them is a set (facts/codepipeline.md G.4).
fn put(elements: &mut Elements, name: String, values: &Value, equal: impl Fn(&str) -> String) {
    let list = match values {
        Value::Array(list) => list.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    if list.is_empty() {
        return;
    }
    // A condition key has no case (facts G.5).
    let key = if name.starts_with("Condition.") { name.to_ascii_lowercase() } else { name.clone() };
    let (told, found) = elements.entry(key).or_insert_with(|| (name.clone(), BTreeMap::new()));
    if name < *told {
        *told = name;
    }
    for written in list.iter().map(text) {
        let there = found.entry(equal(&written)).or_insert_with(|| written.clone());
        // Of two forms of one value always the same is told.
        if written < *there {
            *there = written;
        }
    }
}

/// An account's root ARN and its bare id are one principal (facts G.3).
fn principal(kind: &str, written: &str) -> String {
    match written.parse::<crate::model::Arn>() {
        Ok(arn) if kind == "AWS" && arn.resource == "root" => arn.account,
        _ => written.to_owned(),
    }
}

fn elements(statement: &Value) -> Elements {
    let mut found = Elements::new();
    for (name, value) in statement.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("Sid", _) => {}
            ("Action" | "NotAction", values) => put(&mut found, name.clone(), values, str::to_ascii_lowercase),
            ("Principal" | "NotPrincipal", Value::Object(kinds)) => {
                for (kind, who) in kinds {
                    put(&mut found, format!("{name}.{kind}"), who, |written| principal(kind, written));
                }
            }
            ("Principal" | "NotPrincipal", who) => put(&mut found, format!("{name}.AWS"), who, |written| principal("AWS", written)),
            ("Condition", Value::Object(operators)) => {
                for (operator, conditions) in operators {
                    match conditions.as_object() {
                        Some(conditions) => {
                            for (key, values) in conditions {
                                put(&mut found, format!("{name}.{operator}.{key}"), values, str::to_owned);
                            }
                        }
                        None => put(&mut found, format!("{name}.{operator}"), conditions, str::to_owned),
                    }
                }
            }
            (_, values) => put(&mut found, name.clone(), values, str::to_owned),
        }
    }
    found
}

fn compare(before: &Elements, after: &Elements) -> Vec<Element> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let nothing = BTreeMap::new();
    let beyond = |one: &BTreeMap<String, String>, other: &BTreeMap<String, String>| -> Vec<String> {
        one.iter().filter(|(equal, _)| !other.contains_key(*equal)).map(|(_, written)| written.clone()).collect()
    };
    let values = |elements: &Elements, key: &String| elements.get(key).map_or_else(|| nothing.clone(), |(_, values)| values.clone());
    let element = |key: &String| {
        let name = after.get(key).or(before.get(key)).map_or(key, |(name, _)| name);
        let (old, new) = (values(before, key), values(after, key));
        Element { name: name.clone(), added: beyond(&new, &old), removed: beyond(&old, &new) }
    };
    let mut found: Vec<Element> = keys.into_iter().map(element).filter(|e| !(e.added.is_empty() && e.removed.is_empty())).collect();
    found.sort_by_key(|element| (place(&element.name), element.name.clone()));
    found
}

/// The order in which people read a statement.
fn place(name: &str) -> usize {
    const ORDER: [&str; 6] = ["Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource"];
    let first = name.split('.').next().unwrap_or_default();
    ORDER.iter().position(|known| *known == first).unwrap_or(ORDER.len() + usize::from(first == "Condition"))
}

/// The part of all values that both have.
fn likeness(one: &Elements, other: &Elements) -> f64 {
    let values = |elements: &Elements| -> BTreeSet<(String, String)> {
        elements.iter().flat_map(|(key, (_, values))| values.keys().map(|equal| (key.clone(), equal.clone()))).collect()
    };
    let (one, other) = (values(one), values(other));
    let all = one.union(&other).count();
    // A count of values is far below what a float holds.
    #[expect(clippy::cast_precision_loss, reason = "a statement has far fewer than 2^52 values")]
    let part = if all == 0 { 1.0 } else { one.intersection(&other).count() as f64 / all as f64 };
    part
}

/// A statement read once.
struct Read {
    sid: String,
    elements: Elements,
}

fn read(document: Option<&Value>) -> Vec<Read> {
    let sid = |statement: &Value| statement.get("Sid").and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = document.map(statements).unwrap_or_default();
    all.into_iter().map(|statement| Read { sid: sid(statement), elements: elements(statement) }).collect()
}

/// Finds for each old statement the new one that it became.
///
/// What is equal belongs together, then what has one Sid, then what is most alike. Which of several equally good ones is taken is
/// decided by what they say, so that the order of statements has no say.
fn pairs(old: &[Read], new: &[Read]) -> Vec<(usize, usize)> {
    let mut candidates: Vec<(u8, f64, usize, usize)> = Vec::new();
    for (from, one) in old.iter().enumerate() {
        for (to, other) in new.iter().enumerate() {
            let same_sid = one.sid == other.sid;
            let part = likeness(&one.elements, &other.elements);
            let rank = match (same_sid, part >= 1.0) {
                (true, true) => 0,
                (false, true) => 1,
                (true, false) if !one.sid.is_empty() => 2,
                _ if part >= ALIKE => 3,
                _ => continue,
            };
            candidates.push((rank, part, from, to));
        }
    }
    let key = |read: &Read| (read.sid.clone(), format!("{:?}", read.elements));
    candidates.sort_by(|one, other| {
        let said = |candidate: &(u8, f64, usize, usize)| (key(&old[candidate.2]), key(&new[candidate.3]));
        one.0.cmp(&other.0).then(other.1.total_cmp(&one.1)).then_with(|| said(one).cmp(&said(other)))
    });
    let (mut left, mut right) = (BTreeSet::new(), BTreeSet::new());
    let mut taken = Vec::new();
    for (_, _, from, to) in candidates {
        if !left.contains(&from) && !right.contains(&to) {
            left.insert(from);
            right.insert(to);
            taken.push((from, to));
        }
    }
    taken
}

/// Compares two documents; none is one without statements.
pub fn diff(before: Option<&Value>, after: Option<&Value>) -> PolicyDiff {
    let (old, new) = (read(before), read(after));
    let pairs = pairs(&old, &new);
    let nothing = Elements::new();
    let mut found = Vec::new();
    for (to, there) in new.iter().enumerate() {
        match pairs.iter().find(|(_, paired)| *paired == to) {
            Some((from, _)) => {
                let elements = compare(&old[*from].elements, &there.elements);
                let was = Some(&old[*from].sid).filter(|sid| **sid != there.sid).cloned();
                if !elements.is_empty() {
                    found.push(StatementDiff { fate: Fate::Changed, sid: there.sid.clone(), was, elements });
                }
            }
            None => {
                let elements = compare(&nothing, &there.elements);
                found.push(StatementDiff { fate: Fate::Added, sid: there.sid.clone(), was: None, elements });
            }
        }
    }
    for (from, gone) in old.iter().enumerate() {
        if !pairs.iter().any(|(paired, _)| *paired == from) {
            let elements = compare(&gone.elements, &nothing);
            found.push(StatementDiff { fate: Fate::Removed, sid: gone.sid.clone(), was: None, elements });
        }
    }
    PolicyDiff { members: members(before, after), statements: found }
}

/// Compares what stands beside the statements, where both documents are there.
fn members(before: Option<&Value>, after: Option<&Value>) -> Vec<Element> {
    let (Some(before), Some(after)) = (before, after) else { return Vec::new() };
    let beside = |document: &Value| {
        let mut found = Elements::new();
        for (name, value) in document.as_object().into_iter().flatten().filter(|(name, _)| *name != "Statement") {
            put(&mut found, name.clone(), value, str::to_owned);
        }
        found
    };
    compare(&beside(before), &beside(after))
}

#[cfg(test)]
mod tests;
