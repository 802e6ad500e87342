//! Orphaned principals: what is left of deleted roles and users in a document (facts/codepipeline.md D.2, G.3).

use super::document::statements;
use super::{names_in, statement_name};
use serde_json::Value;
use std::collections::BTreeSet;

/// Why an orphaned principal can't be taken out without changing what its owner meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stays {
    /// It stands in a Deny.
    Deny,
    /// It is one of those whom a statement excepts.
    NotPrincipal,
    /// Its list names nobody who still exists.
    Last,
}

/// One orphaned principal of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The statement: its Sid, or its place counted from 0.
    pub statement: String,
    /// The statement's Sid, where it has one.
    pub sid: Option<String>,
    /// The unique id, `AROA…` or `AIDA…`.
    pub id: String,
    /// Why it can't be taken out; `None` where it can.
    pub stays: Option<Stays>,
}

/// Returns true if a principal is a role's or user's unique id, which AWS shows in the place of one that was deleted.
pub fn is_orphaned(principal: &str) -> bool {
    principal.starts_with("AROA") || principal.starts_with("AIDA")
}

/// Lists the orphaned principals of a document, each statement's once.
pub fn orphans(document: &Value) -> Vec<Orphan> {
    let mut found: Vec<Orphan> = Vec::new();
    for (index, statement) in statements(document).into_iter().enumerate() {
        let name = statement_name(statement, index);
        let sid = statement.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty());
        for member in ["Principal", "NotPrincipal"] {
            let named = names_in(statement.get(member).and_then(|principal| principal.get("AWS")));
            let stays = if member == "NotPrincipal" {
                Some(Stays::NotPrincipal)
            } else if statement.get("Effect").and_then(Value::as_str) != Some("Allow") {
                Some(Stays::Deny)
            } else {
                named.iter().all(|who| is_orphaned(who)).then_some(Stays::Last)
            };
            let ids: BTreeSet<&str> = named.into_iter().filter(|who| is_orphaned(who)).collect();
            found.extend(ids.into_iter().map(|id| Orphan {
                statement: name.clone(),
                sid: sid.map(str::to_owned),
                id: id.to_owned(),
                stays,
            }));
        }
    }
    found
}

/// Takes orphaned principals with these ids out of each list that names somebody else beside them; all else stays as it is.
pub fn without_orphans(document: &Value, ids: &[String]) -> Value {
    let mut document = document.clone();
    let list = match document.get_mut("Statement") {
        Some(Value::Array(list)) => list.iter_mut().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    };
    for statement in list.into_iter().filter(|statement| statement.get("Effect").and_then(Value::as_str) == Some("Allow")) {
        if let Some(Value::Array(named)) = statement.get_mut("Principal").and_then(|principal| principal.get_mut("AWS")) {
            let goes = |who: &Value| who.as_str().is_some_and(|who| is_orphaned(who) && ids.iter().any(|id| id == who));
            if named.iter().any(|who| who.as_str().is_some_and(|who| !is_orphaned(who))) {
                named.retain(|who| !goes(who));
            }
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Value {
        json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "Several", "Effect": "Allow", "Principal": {"AWS": ["AROAONE", "arn:aws:iam::111111111111:root", "AIDATWO", "AROAONE"]},
                "Action": "kms:Decrypt", "Resource": "*", "Condition": {"StringLike": {"aws:userid": "AROAONE:*"}}},
            {"Effect": "Allow", "Principal": {"AWS": "AROAONE"}, "Action": "kms:Decrypt", "Resource": "*"},
            {"Sid": "Both", "Effect": "Allow", "Principal": {"AWS": ["AROAONE", "AIDATWO"], "Service": "s3.amazonaws.com"}},
            {"Sid": "No", "Effect": "Deny", "Principal": {"AWS": ["AROAONE", "111111111111"]}, "Action": "kms:*", "Resource": "*"},
            {"Sid": "But", "Effect": "Deny", "NotPrincipal": {"AWS": ["AROAONE", "111111111111"]}, "Action": "kms:*", "Resource": "*"},
            {"Sid": "User", "Effect": "Allow", "Principal": "*", "Condition": {"StringLike": {"aws:userid": "AROAONE:*"}}}]})
    }

    #[test]
    fn orphans_are_found_where_a_principal_is_named_and_nowhere_else() {
        let found: Vec<(String, String, Option<Stays>)> =
            orphans(&document()).into_iter().map(|orphan| (orphan.statement, orphan.id, orphan.stays)).collect();
        let row = |statement: &str, id: &str, stays| (statement.to_owned(), id.to_owned(), stays);
        assert_eq!(
            found,
            [
                row("Several", "AIDATWO", None),
                row("Several", "AROAONE", None),
                row("statement 1", "AROAONE", Some(Stays::Last)),
                row("Both", "AIDATWO", Some(Stays::Last)),
                row("Both", "AROAONE", Some(Stays::Last)),
                row("No", "AROAONE", Some(Stays::Deny)),
                row("But", "AROAONE", Some(Stays::NotPrincipal)),
            ]
        );
    }

    #[test]
    fn an_orphan_leaves_only_a_list_that_has_others() {
        let mut wanted = document();
        wanted["Statement"][0]["Principal"]["AWS"] = json!(["arn:aws:iam::111111111111:root", "AIDATWO"]);
        assert_eq!(without_orphans(&document(), &["AROAONE".to_owned()]), wanted);
        assert_eq!(without_orphans(&document(), &["111111111111".to_owned(), "AROAOTHER".to_owned()]), document());
        let one = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": ["AROAONE", "111111111111"]}}});
        let left = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": ["111111111111"]}}});
        assert_eq!(without_orphans(&one, &["AROAONE".to_owned()]), left);
    }
}
