//! A policy document as ordered JSON: what is not ours stays letter for letter what it was.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Lists a document's statements; `Statement` may be an object or a list (facts/codepipeline.md G.4).
pub fn statements(document: &Value) -> Vec<&Value> {
    match document.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(object @ Value::Object(_)) => vec![object],
        _ => Vec::new(),
    }
}

/// Lists the Sids that are not empty.
pub fn sids(document: &Value) -> BTreeSet<&str> {
    statements(document).into_iter().filter_map(|s| s.get("Sid").and_then(Value::as_str)).filter(|s| !s.is_empty()).collect()
}

fn sid(statement: &Value) -> Option<&str> {
    statement.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty())
}

/// Puts statements into a document: one with a Sid that is there takes its place, the others come last.
///
/// Everything else of the document keeps its order and form, also members that mean nothing to us. A statement that
/// means the same already is left as AWS wrote it.
pub fn merge(existing: Option<&Value>, wanted: &[Value]) -> Value {
    let mut document = match existing {
        Some(Value::Object(members)) => members.clone(),
        _ => {
            let mut members = Map::new();
            members.insert("Version".to_owned(), json!("2012-10-17"));
            members.insert("Statement".to_owned(), json!([]));
            members
        }
    };
    let mut list: Vec<Value> = existing.map(|document| statements(document).into_iter().cloned().collect()).unwrap_or_default();
    let mut changed = existing.is_none();
    for statement in wanted {
        let place = sid(statement).and_then(|wanted| list.iter().position(|there| sid(there) == Some(wanted)));
        match place {
            Some(place) if normal(&list[place]) == normal(statement) => {}
            Some(place) => {
                list[place] = statement.clone();
                changed = true;
            }
            None => {
                list.push(statement.clone());
                changed = true;
            }
        }
    }
    if changed {
        document.insert("Statement".to_owned(), Value::Array(list));
    }
    Value::Object(document)
}

/// Takes the statements with these Sids out; `None` when none is left.
pub fn remove(existing: &Value, ours: &BTreeSet<String>) -> Option<Value> {
    let mut document = existing.as_object()?.clone();
    let before = statements(existing);
    let kept: Vec<Value> =
        before.iter().filter(|statement| sid(statement).is_none_or(|sid| !ours.contains(sid))).map(|s| (*s).clone()).collect();
    if kept.is_empty() {
        return None;
    }
    if kept.len() != before.len() {
        document.insert("Statement".to_owned(), Value::Array(kept));
    }
    Some(Value::Object(document))
}

/// Gives the document with the statements of these Sids left out, for comparing what others wrote.
pub fn without_statements(document: &Value, ours: &BTreeSet<String>) -> Value {
    remove(document, ours).unwrap_or(Value::Null)
}

fn as_set(value: Option<&Value>, lower: bool) -> BTreeSet<String> {
    let text = |value: &Value| match value {
        Value::String(text) if lower => text.to_ascii_lowercase(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match value {
        Some(Value::Array(list)) => list.iter().map(text).collect(),
        Some(Value::Null) | None => BTreeSet::new(),
        Some(other) => BTreeSet::from([text(other)]),
    }
}

/// A statement with everything that doesn't change its meaning taken away.
type Normal = BTreeMap<String, String>;

fn normal(statement: &Value) -> Normal {
    let mut normal = Normal::new();
    let Some(members) = statement.as_object() else { return normal };
    for (name, value) in members {
        let text = match name.as_str() {
            "Sid" => continue,
            "Action" | "NotAction" => format!("{:?}", as_set(Some(value), true)),
            "Resource" | "NotResource" => format!("{:?}", as_set(Some(value), false)),
            "Condition" => {
                let Some(operators) = value.as_object() else { continue };
                let mut keys = BTreeSet::new();
                for (operator, conditions) in operators {
                    for (key, values) in conditions.as_object().into_iter().flatten() {
                        keys.insert(format!("{operator} {} {:?}", key.to_ascii_lowercase(), as_set(Some(values), false)));
                    }
                }
                if keys.is_empty() {
                    continue;
                }
                format!("{keys:?}")
            }
            "Principal" | "NotPrincipal" => match value {
                Value::Object(kinds) => {
                    let kinds: BTreeSet<String> = kinds.iter().map(|(kind, who)| format!("{kind} {:?}", who_set(kind, who))).collect();
                    format!("{kinds:?}")
                }
                other => format!("{:?}", BTreeSet::from([format!("AWS {:?}", who_set("AWS", other))])),
            },
            _ => value.to_string(),
        };
        normal.insert(name.clone(), text);
    }
    normal
}

/// An account's root ARN and its bare id are one principal (facts G.3).
fn who_set(kind: &str, who: &Value) -> BTreeSet<String> {
    let root = |text: String| match text.parse::<crate::model::Arn>() {
        Ok(arn) if kind == "AWS" && arn.resource == "root" => arn.account,
        _ => text,
    };
    as_set(Some(who), false).into_iter().map(root).collect()
}

/// Says whether two documents grant and deny the same, whatever their text (facts G.4: Sids, order, scalars for lists).
pub fn same_grants(one: &Value, other: &Value) -> bool {
    let set = |document: &Value| -> BTreeSet<Normal> { statements(document).into_iter().map(normal).collect() };
    let version = |document: &Value| document.get("Version").and_then(Value::as_str).unwrap_or("2008-10-17").to_owned();
    // The version only matters to policy variables, and neither the article nor we write any.
    let has_variables = |document: &Value| document.to_string().contains("${");
    set(one) == set(other) && (version(one) == version(other) || !(has_variables(one) || has_variables(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others() -> Value {
        json!({"Version": "2008-10-17", "Id": "theirs", "Statement": [
            {"Sid": "B", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"},
            {"Effect": "Deny", "Principal": {"AWS": ["*"]}, "Action": ["s3:*"], "Resource": ["x"], "Condition": {}},
        ], "Extra": 1})
    }

    #[test]
    fn merging_and_removing_gives_the_document_back() {
        let ours = [json!({"Sid": "XdeployA", "Effect": "Allow"}), json!({"Sid": "XdeployB", "Effect": "Allow"})];
        let merged = merge(Some(&others()), &ours);
        assert_eq!(statements(&merged).len(), 4);
        assert_eq!(merge(Some(&merged), &ours), merged);
        let back = remove(&merged, &BTreeSet::from(["XdeployA".to_owned(), "XdeployB".to_owned()]));
        assert_eq!(back.map(|b| b.to_string()), Some(others().to_string()));
    }

    #[test]
    fn our_statement_keeps_its_place_when_it_changes() {
        let merged = merge(Some(&others()), &[json!({"Sid": "B", "Effect": "Deny"})]);
        assert_eq!(statements(&merged)[0], &json!({"Sid": "B", "Effect": "Deny"}));
    }

    #[test]
    fn removing_the_last_statement_leaves_no_document() {
        let document = merge(None, &[json!({"Sid": "XdeployA"})]);
        assert_eq!(remove(&document, &BTreeSet::from(["XdeployA".to_owned()])), None);
    }

    #[test]
    fn the_odd_forms_of_the_article_are_the_same_grants() {
        let odd = json!({"Version": "2012-10-17", "Statement": {"Sid": "", "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::222222222222:root"]},
            "Action": "S3:ListBucket", "Resource": ["arn:aws:s3:::b"], "Condition": {}}});
        let clean = json!({"Version": "2012-10-17", "Statement": [{"Sid": "X", "Effect": "Allow", "Principal": {"AWS": "222222222222"},
            "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::b"}]});
        assert!(same_grants(&odd, &clean));
        let other = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "222222222222"},
            "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::B"}]});
        assert!(!same_grants(&odd, &other));
    }
}
