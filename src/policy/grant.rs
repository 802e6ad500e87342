//! Is what we need granted already? Sound rather than complete: a yes is certain, a no may only mean "can't see it".

use super::statements;
use serde_json::Value;

/// One thing that must be allowed: who (resource policies only), what, on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The principal element's value under `AWS` or `Service`; `None` in identity policies.
    pub principal: Option<String>,
    /// An action, possibly with wildcards, such as `s3:Get*`.
    pub action: String,
    /// A resource ARN, possibly with wildcards.
    pub resource: String,
}

/// Lists the texts of an element that may be a scalar or a list.
pub fn names_in(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Says whether everything that `narrow` matches is matched by `wide`; a `*` of `narrow` needs a `*` of `wide`.
pub fn matches_pattern(wide: &str, narrow: &str) -> bool {
    let (wide, narrow): (Vec<char>, Vec<char>) = (wide.chars().collect(), narrow.chars().collect());
    let (mut w, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < narrow.len() {
        if w < wide.len() && wide[w] == '*' {
            retry = Some((w, n));
            w += 1;
        } else if w < wide.len() && narrow[n] != '*' && (wide[w] == narrow[n] || wide[w] == '?') {
            w += 1;
            n += 1;
        } else if let Some((star, from)) = retry {
            w = star + 1;
            n = from + 1;
            retry = Some((star, from + 1));
        } else {
            return false;
        }
    }
    wide[w..].iter().all(|c| *c == '*')
}

fn principals(statement: &Value) -> Vec<&str> {
    match statement.get("Principal") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Object(kinds)) => kinds.values().flat_map(|who| names_in(Some(who))).collect(),
        _ => Vec::new(),
    }
}

fn same_principal(written: &str, wanted: &str) -> bool {
    let account = |text: &str| match text.parse::<crate::model::Arn>() {
        Ok(arn) if arn.resource == "root" => arn.account,
        _ => text.to_owned(),
    };
    written == "*" || account(written) == account(wanted)
}

fn allows(statement: &Value, grant: &Grant) -> bool {
    let unconditional = match statement.get("Condition") {
        None => true,
        Some(Value::Object(operators)) => operators.is_empty(),
        Some(_) => false,
    };
    if statement.get("Effect").and_then(Value::as_str) != Some("Allow") || !unconditional {
        return false;
    }
    let who = match &grant.principal {
        None => statement.get("Principal").is_none() && statement.get("NotPrincipal").is_none(),
        Some(wanted) => principals(statement).into_iter().any(|written| same_principal(written, wanted)),
    };
    let action = grant.action.to_ascii_lowercase();
    // A trust policy's statement has no resource: the role is meant.
    let resources = names_in(statement.get("Resource"));
    let on_it = if grant.resource.is_empty() {
        statement.get("NotResource").is_none() && resources.is_empty()
    } else {
        resources.into_iter().any(|wide| matches_pattern(wide, &grant.resource))
    };
    who && on_it && names_in(statement.get("Action")).into_iter().any(|wide| matches_pattern(&wide.to_ascii_lowercase(), &action))
}

/// Says whether a document allows this without any condition. Denies are not looked at: that is the proof's business.
pub fn covers(document: &Value, grant: &Grant) -> bool {
    statements(document).into_iter().any(|statement| allows(statement, grant))
}

/// Lists what the Allow statements of a document grant, one action on one resource to one principal at a time.
pub fn grants_of(wanted: &[Value]) -> Vec<Grant> {
    let mut grants = Vec::new();
    for statement in wanted.iter().filter(|s| s.get("Effect").and_then(Value::as_str) == Some("Allow")) {
        let who: Vec<Option<String>> = match principals(statement) {
            list if list.is_empty() => vec![None],
            list => list.into_iter().map(|name| Some(name.to_owned())).collect(),
        };
        let resources = match names_in(statement.get("Resource")) {
            list if list.is_empty() => vec![""],
            list => list,
        };
        for principal in &who {
            for action in names_in(statement.get("Action")) {
                for resource in &resources {
                    grants.push(Grant { principal: principal.clone(), action: action.to_owned(), resource: (*resource).to_owned() });
                }
            }
        }
    }
    grants
}

/// Says whether a key policy lets the account's own IAM policies decide over `action` (facts G.2).
pub fn delegates_to_root(key_policy: &Value, account: &str, action: &str) -> bool {
    let grant = Grant { principal: Some(account.to_owned()), action: action.to_owned(), resource: "*".to_owned() };
    covers(key_policy, &grant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pattern_covers_only_what_it_really_covers() {
        for (wide, narrow) in [
            ("*", "*"),
            ("s3:*", "s3:get*"),
            ("s3:get*", "s3:get*"),
            ("s3:g*t*", "s3:get*"),
            ("a?c", "abc"),
            ("a*", "a"),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/*"),
        ] {
            assert!(matches_pattern(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in [
            ("s3:get*", "s3:*"),
            ("s3:getobject", "s3:get*"),
            ("a?c", "a*c"),
            ("", "a"),
            ("s3:g?t*", "s3:g*"),
            ("b", "b/*"),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b"),
        ] {
            assert!(!matches_pattern(wide, narrow), "{wide} {narrow}");
        }
    }

    #[test]
    fn a_condition_or_another_principal_covers_nothing() {
        let wanted = Grant {
            principal: Some("arn:aws:iam::222222222222:root".into()),
            action: "s3:Get*".into(),
            resource: "arn:aws:s3:::b/*".into(),
        };
        let statement = |condition: Value, who: &str| {
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": who}, "Action": ["s3:*"],
                "Resource": "arn:aws:s3:::b/*", "Condition": condition}]})
        };
        assert!(covers(&statement(json!({}), "222222222222"), &wanted));
        assert!(!covers(&statement(json!({"Bool": {"aws:SecureTransport": "true"}}), "222222222222"), &wanted));
        assert!(!covers(&statement(json!({}), "arn:aws:iam::222222222222:role/r"), &wanted));
    }
}
