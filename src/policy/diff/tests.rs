//! The laws of a difference, and what it says of some documents.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn values_of(read: &Read) -> BTreeSet<(String, String)> {
    read.elements.iter().flat_map(|(key, (_, values))| values.keys().map(|equal| (key.clone(), equal.clone()))).collect()
}

/// All values of a document's statements, with the statement that they are in.
fn sets(document: &Value) -> Vec<BTreeSet<(String, String)>> {
    let mut all: Vec<_> = read(Some(document)).iter().map(values_of).collect();
    all.sort();
    all
}

fn equal(name: &str, written: &str) -> String {
    match name.split_once('.') {
        Some(("Principal" | "NotPrincipal", kind)) => principal(kind, written),
        _ if name.ends_with("Action") => written.to_ascii_lowercase(),
        _ => written.to_owned(),
    }
}

fn key(name: &str) -> String {
    if name.starts_with("Condition.") { name.to_ascii_lowercase() } else { name.to_owned() }
}

/// Applies a difference to what a document says; the Sid finds the statement, and there must be one that has all that goes.
fn applied(document: &Value, difference: &PolicyDiff) -> Vec<BTreeSet<(String, String)>> {
    let mut all: Vec<(String, BTreeSet<(String, String)>)> =
        read(Some(document)).iter().map(|read| (read.sid.clone(), values_of(read))).collect();
    for change in difference.statements.iter().filter(|change| change.fate != Fate::Added) {
        let sid = change.was.as_ref().unwrap_or(&change.sid);
        let gone: BTreeSet<(String, String)> =
            change.elements.iter().flat_map(|e| e.removed.iter().map(|value| (key(&e.name), equal(&e.name, value)))).collect();
        let at = all.iter().position(|(there, values)| {
            there == sid && if change.fate == Fate::Removed { *values == gone } else { gone.is_subset(values) }
        });
        let (_, mut values) = all.remove(at.expect("the statement that changes"));
        if change.fate == Fate::Changed {
            values.retain(|value| !gone.contains(value));
            values.extend(change.elements.iter().flat_map(|e| e.added.iter().map(|value| (key(&e.name), equal(&e.name, value)))));
            // Marked, so that no later change takes it for another.
            all.push(("\u{0}done".to_owned(), values));
        }
    }
    for change in difference.statements.iter().filter(|change| change.fate == Fate::Added) {
        let values = change.elements.iter().flat_map(|e| e.added.iter().map(|value| (key(&e.name), equal(&e.name, value))));
        all.push((change.sid.clone(), values.collect()));
    }
    let mut values: Vec<_> = all.into_iter().map(|(_, values)| values).collect();
    values.sort();
    values
}

fn one_or_list(values: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(values).prop_map(|one| json!(one)),
        prop::collection::btree_set(prop::sample::select(values), 1..4).prop_map(|list| json!(list)),
    ]
}

/// Statements with Sids of their own, so that a difference says which one it is about.
fn document() -> impl Strategy<Value = Value> {
    let who = prop_oneof![
        Just(json!("*")),
        one_or_list(&["222222222222", "arn:aws:iam::111111111111:role/r", "333333333333"]).prop_map(|who| json!({"AWS": who})),
        one_or_list(&["s3.amazonaws.com", "events.amazonaws.com"]).prop_map(|who| json!({"Service": who})),
    ];
    let condition = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        one_or_list(&["1", "2", "3"]).prop_map(|value| json!({"StringEquals": {"aws:SourceAccount": value}})),
    ];
    let parts = (
        prop::sample::select(&["Allow", "Deny"][..]),
        who,
        one_or_list(&["s3:GetObject", "s3:PutObject", "kms:Decrypt", "S3:getobject"]),
        one_or_list(&["arn:aws:s3:::a/*", "arn:aws:s3:::b/*", "*"]),
        condition,
    );
    prop::collection::btree_map(prop::sample::select(&["A", "B", "C", "D", "E"][..]), parts, 0..5).prop_map(|all| {
        let statement = |(sid, (effect, who, action, resource, condition)): (&str, (&str, Value, Value, Value, Value))| {
            let mut statement = json!({"Sid": sid, "Effect": effect, "Principal": who, "Action": action, "Resource": resource});
            if !condition.is_null() {
                statement["Condition"] = condition;
            }
            statement
        };
        json!({"Version": "2012-10-17", "Statement": all.into_iter().map(statement).collect::<Vec<_>>()})
    })
}

fn reversed(document: &Value) -> Value {
    match document {
        Value::Array(list) => list.iter().rev().map(reversed).collect(),
        Value::Object(members) => Value::Object(members.iter().map(|(name, value)| (name.clone(), reversed(value))).collect()),
        other => other.clone(),
    }
}

fn sorted(mut difference: PolicyDiff) -> PolicyDiff {
    difference.statements.sort();
    difference
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z*:]{0,6}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop::sample::select(&["Statement", "Sid", "Effect", "Principal", "AWS", "Action", "Resource", "Condition", "Foo"][..]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_document_differs_in_nothing_from_itself_in_any_order(document in document()) {
        prop_assert!(diff(Some(&document), Some(&document)).is_empty());
        prop_assert!(diff(Some(&document), Some(&reversed(&document))).is_empty());
    }

    #[test]
    fn a_difference_leads_from_one_to_the_other(before in document(), after in document()) {
        prop_assert_eq!(applied(&before, &diff(Some(&before), Some(&after))), sets(&after));
    }

    #[test]
    fn the_order_of_lists_has_no_say(before in document(), after in document()) {
        let straight = sorted(diff(Some(&before), Some(&after)));
        prop_assert_eq!(straight, sorted(diff(Some(&reversed(&before)), Some(&reversed(&after)))));
    }

    #[test]
    fn nothing_odd_makes_it_fall_over(before in any_json(), after in any_json()) {
        diff(Some(&before), Some(&after));
        prop_assert!(diff(Some(&before), Some(&before)).is_empty());
        diff(None, Some(&after));
        diff(Some(&before), None);
    }
}

#[test]
fn equal_grants_are_equal_whatever_their_form() {
    let odd = json!({"Statement": {"Sid": "", "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::222222222222:root"]}, "Action": "S3:ListBucket", "Condition": {}}});
    let clean = json!({"Statement": [{"Sid": "X", "Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": ["s3:ListBucket"]}]});
    assert!(diff(Some(&odd), Some(&clean)).is_empty());
}

#[test]
fn a_statement_without_its_sid_is_found_by_what_it_says() {
    let before = json!({"Statement": [{"Effect": "Allow", "Action": ["kms:Decrypt", "kms:Encrypt"], "Resource": "*"}, {"Sid": "T", "Effect": "Deny", "Action": "*", "Resource": "*"}]});
    let after = json!({"Statement": [{"Sid": "N", "Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"], "Resource": "*"}]});
    let change = diff(Some(&before), Some(&after)).statements;
    let element = |name: &str, added: &[&str], removed: &[&str]| Element {
        name: name.to_owned(),
        added: added.iter().map(ToString::to_string).collect(),
        removed: removed.iter().map(ToString::to_string).collect(),
    };
    let changed = StatementDiff {
        fate: Fate::Changed,
        sid: "N".to_owned(),
        was: Some(String::new()),
        elements: vec![element("Action", &["kms:DescribeKey"], &[])],
    };
    let gone = vec![element("Effect", &[], &["Deny"]), element("Action", &[], &["*"]), element("Resource", &[], &["*"])];
    assert_eq!(change, [changed, StatementDiff { fate: Fate::Removed, sid: "T".to_owned(), was: None, elements: gone }]);
}
