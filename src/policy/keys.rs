//! What a document speaks of, without deciding anything.

use super::document::statements;
use super::parsed::{Named, dead};
use super::pattern::{Piece, pieces};
use serde_json::Value;
use std::collections::BTreeSet;

/// Lists the condition keys that a document's conditions and policy variables ask for, in lower case (facts G.5).
pub fn condition_keys(document: &Value) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for statement in statements(document) {
        keys.extend(condition_keys_of(statement));
        variables(statement, &mut keys);
    }
    keys
}

/// Lists the condition keys of one statement, in lower case.
pub fn condition_keys_of(statement: &Value) -> BTreeSet<String> {
    let operators = statement.get("Condition").and_then(Value::as_object).into_iter().flat_map(|operators| operators.values());
    operators.filter_map(Value::as_object).flat_map(|keys| keys.keys()).map(|key| key.to_ascii_lowercase()).collect()
}

fn variables(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.contains("${") => {
            keys.extend(pieces(text, true).into_iter().filter_map(|piece| match piece {
                Piece::Variable { key, .. } => Some(key.to_ascii_lowercase()),
                Piece::Text(_) | Piece::Literal(_) => None,
            }));
        }
        Value::Array(list) => list.iter().for_each(|value| variables(value, keys)),
        Value::Object(members) => members.values().for_each(|value| variables(value, keys)),
        _ => {}
    }
}

/// Names a statement: by its Sid, or by its place, counted from 0.
pub fn statement_name(statement: &Value, index: usize) -> String {
    match statement.get("Sid").and_then(Value::as_str) {
        Some(sid) if !sid.is_empty() => sid.to_owned(),
        _ => format!("statement {index}"),
    }
}

/// Lists the principals that name nobody (any more), each with its statement: what is left of a deleted role or user, or what AWS
/// would not have saved (facts D.2, G.3).
pub fn dead_principals(document: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (index, statement) in statements(document).into_iter().enumerate() {
        let named = [statement.pointer("/Principal/AWS"), statement.pointer("/NotPrincipal/AWS")];
        let names = named.into_iter().flat_map(super::names_in);
        found.extend(names.filter_map(|name| Some((statement_name(statement, index), dead(Named::Aws(name))?))));
    }
    found
}

/// Gives names that begin with `prefix`, go on, and match a resource pattern: one for each way in which the pattern can begin so.
pub fn names_below(pattern: &str, prefix: &str) -> BTreeSet<String> {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut places = BTreeSet::from([0]);
    for unit in prefix.chars() {
        let mut next = BTreeSet::new();
        for mut place in places {
            while pattern.get(place) == Some(&'*') {
                // The star takes the unit, or nothing more.
                next.insert(place);
                place += 1;
            }
            if pattern.get(place).is_some_and(|own| *own == '?' || *own == unit) {
                next.insert(place + 1);
            }
        }
        places = next;
    }
    let rest = |place: usize| pattern[place..].iter().map(|unit| if matches!(unit, '*' | '?') { 'x' } else { *unit });
    places.into_iter().filter(|place| *place < pattern.len()).map(|place| prefix.chars().chain(rest(place)).collect()).collect()
}

/// Visits every document, however deep in lists it is.
pub fn each_document<'v>(values: impl Iterator<Item = &'v Value>, visit: &mut dyn FnMut(&'v Value)) {
    for value in values {
        match value {
            Value::Array(list) => each_document(list.iter(), visit),
            Value::Object(_) => visit(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_found_in_conditions_and_variables() {
        let document = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*",
            "Resource": ["arn:aws:s3:::b/${aws:PrincipalTag/Team, 'x'}/*", "arn:aws:s3:::b/${*}"],
            "Condition": {"StringEquals": {"AWS:SourceVpce": "${aws:username}"}}}});
        let keys: Vec<String> = condition_keys(&document).into_iter().collect();
        assert_eq!(keys, ["aws:principaltag/team", "aws:sourcevpce", "aws:username"]);
    }

    #[test]
    fn what_is_left_of_a_deleted_role_is_found() {
        let document = json!({"Statement": [{"Principal": "*"}, {"Sid": "A", "Principal": {"AWS": ["AROAEXAMPLE", "111111111111"]}}]});
        assert_eq!(dead_principals(&document), [("A".to_owned(), "`AROAEXAMPLE` is what is left of a deleted role or user".to_owned())]);
    }

    #[test]
    fn names_are_found_below_a_prefix() {
        let names = |pattern: &str| names_below(pattern, "b/f/").into_iter().collect::<Vec<_>>();
        assert_eq!(names("b/f/*.js"), ["b/f/x.js"]);
        assert_eq!(names("b/f/a"), ["b/f/a"]);
        assert_eq!(names("*.js"), ["b/f/x.js"]);
        assert_eq!(names("b*/css/?.css"), ["b/f/css/x.css", "b/f/x/css/x.css"]);
        assert!(names("b/g/*").is_empty() && names("b/f/").is_empty() && names("c").is_empty());
    }
}
