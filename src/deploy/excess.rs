//! What live documents grant beyond the calls of the chain, for one note.

use super::chain::{Link, Paper};
use crate::model::account_of;
use crate::policy;
use serde_json::Value;

/// A document with the links in which it has a say.
struct Held<'a> {
    paper: &'a Paper,
    document: &'a Value,
    links: Vec<&'a Link>,
}

/// Lists the role's own policies and the policies of keys and buckets, each once.
fn documents(links: &[Link]) -> Vec<Held<'_>> {
    let mut found: Vec<Held<'_>> = Vec::new();
    for link in links {
        let Some(request) = link.requests.first() else { continue };
        for (member, kinds) in [("identityPolicies", &["identity"][..]), ("resourcePolicy", &["key", "resource"])] {
            let papers = link.papers.iter().filter(|paper| kinds.contains(&paper.kind));
            let documents = request.get(member).and_then(Value::as_array).into_iter().flatten();
            for (paper, document) in papers.zip(documents) {
                match found.iter_mut().find(|held| held.paper == paper) {
                    Some(held) => held.links.push(link),
                    None => found.push(Held { paper, document, links: vec![link] }),
                }
            }
        }
    }
    found
}

/// Says whether a name is an account as a whole.
fn is_account(name: &str, account: &str) -> bool {
    name == account || (name.ends_with(":root") && account_of(name) == account)
}

/// Says whom of the callers a statement names, as far as that is more than the caller itself: `None` if it names none of them.
fn wider_than_a_caller(held: &Held<'_>, statement: &Value) -> Option<Option<String>> {
    let names = match statement.get("Principal") {
        Some(Value::String(everyone)) => vec![everyone.as_str()],
        principal => policy::names_in(principal.and_then(|principal| principal.get("AWS"))),
    };
    // An account's own delegation to its IAM policies is no grant by itself (facts G.2).
    let owner = held.paper.account.as_str();
    let callers: Vec<&str> = held.links.iter().map(|link| link.who.as_str()).collect();
    let confined = policy::condition_keys_of(statement).contains("aws:principalarn");
    let mut named = false;
    for name in names {
        if name == "*" && !confined {
            return Some(Some("everybody".to_owned()));
        }
        named |= name == "*" || callers.contains(&name);
        if let Some(caller) = callers.iter().find(|caller| account_of(caller) != owner && is_account(name, account_of(caller))) {
            if !confined {
                return Some(Some(format!("account {} as a whole", account_of(caller))));
            }
            named = true;
        }
    }
    named.then_some(None)
}

/// Says what a statement grants that no link needs.
fn beyond(held: &Held<'_>, statement: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if statement.get("Effect").and_then(Value::as_str) != Some("Allow") {
        return found;
    }
    if held.paper.kind != "identity" {
        match wider_than_a_caller(held, statement) {
            None => return found,
            Some(wider) => found.extend(wider),
        }
    }
    if statement.get("NotAction").is_some() {
        found.push("NotAction".to_owned());
    }
    let resources = policy::names_in(statement.get("Resource"));
    let on = |link: &Link| {
        let asked = link.requests.iter().filter_map(|request| request.get("resource")?.as_str());
        held.paper.kind != "identity" || asked.into_iter().any(|asked| resources.iter().any(|wide| policy::matches_pattern(wide, asked)))
    };
    for action in policy::names_in(statement.get("Action")) {
        let wide = action.to_ascii_lowercase();
        let serves = |link: &&&Link| policy::matches_pattern(&wide, &link.row.action.to_ascii_lowercase()) && on(link);
        let described = wide == "kms:describekey";
        if wide.contains(['*', '?']) || !(described || held.links.iter().any(|link| serves(&link))) {
            found.push(action.to_owned());
        }
    }
    found
}

/// Tells what documents grant beyond the chain, a line each; `None` if it is nothing.
pub fn note(links: &[Link]) -> Option<String> {
    let mut parts = Vec::new();
    for held in documents(links) {
        let mut more: Vec<String> = Vec::new();
        for what in policy::statements(held.document).into_iter().flat_map(|statement| beyond(&held, statement)) {
            if !more.contains(&what) {
                more.push(what);
            }
        }
        if !more.is_empty() {
            parts.push(format!("  {} ({}): {}", held.paper.name, held.paper.account, more.join(", ")));
        }
    }
    (!parts.is_empty()).then(|| parts.join("\n"))
}
