//! What AWS demands of a policy document before it keeps it (facts G.4, IAM-Grammar).

use super::regions::is_partition;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// How many characters a managed policy may have (facts D.1).
pub(crate) const SIZE: usize = 6_144;

/// Where a document is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Identity,
    Trust,
    Key,
    Bucket,
}

/// JSON without members that are there twice.
struct Strict(Value);

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: Error>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Strict, A::Error> {
        let mut found = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            found.push(value);
        }
        Ok(Strict(Value::Array(found)))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Strict, A::Error> {
        let mut found = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if found.insert(name.clone(), value).is_some() {
                return Err(Error::custom(format!("`{name}` is there twice")));
            }
        }
        Ok(Strict(Value::Object(found)))
    }
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strict, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

impl Kind {
    fn not_json(self) -> &'static str {
        match self {
            Kind::Identity => "Syntax errors in policy.",
            Kind::Trust => "This policy contains invalid Json",
            Kind::Key => "Policy contains invalid JSON or no statements.",
            Kind::Bucket => "Policies must be valid JSON and the first byte must be '{'",
        }
    }

    fn syntax(self) -> &'static str {
        match self {
            Kind::Identity | Kind::Trust | Kind::Key => "Syntax errors in policy.",
            Kind::Bucket => "Policy has invalid syntax.",
        }
    }
}

const OPERATORS: [&str; 26] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
];

fn is_operator(name: &str) -> bool {
    if name == "Null" {
        return true;
    }
    let bare = ["ForAllValues:", "ForAnyValue:"].iter().find_map(|start| name.strip_prefix(start)).unwrap_or(name);
    let bare = bare.strip_suffix("IfExists").unwrap_or(bare);
    OPERATORS.iter().any(|own| own.eq_ignore_ascii_case(bare))
}

fn is_texts(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Array(list) => !list.is_empty() && list.iter().all(Value::is_string),
        _ => false,
    }
}

fn is_condition(value: &Value) -> bool {
    let scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    let values = |value: &Value| match value {
        Value::Array(list) => list.iter().all(scalar),
        one => scalar(one),
    };
    let keys = |value: &Value| value.as_object().is_some_and(|keys| keys.values().all(values));
    value.as_object().is_some_and(|operators| operators.iter().all(|(name, value)| is_operator(name) && keys(value)))
}

fn is_principal(value: &Value) -> bool {
    let kind = |name: &String| matches!(name.as_str(), "AWS" | "Service" | "Federated" | "CanonicalUser");
    match value {
        Value::String(text) => text == "*",
        Value::Object(kinds) => !kinds.is_empty() && kinds.iter().all(|(name, who)| kind(name) && is_texts(who)),
        _ => false,
    }
}

/// Reads a document that is to stand somewhere.
///
/// # Errors
/// AWS's message for the first thing that is wrong; what principals it names is looked at elsewhere.
pub(crate) fn read(text: &str, kind: Kind) -> Result<Value, String> {
    let Ok(Strict(document)) = serde_json::from_str::<Strict>(text) else { return Err(kind.not_json().to_owned()) };
    let Some(members) = document.as_object() else { return Err(kind.not_json().to_owned()) };
    let list: Vec<&Value> = match members.get("Statement") {
        Some(Value::Array(list)) if !list.is_empty() => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ if kind == Kind::Key => return Err(kind.not_json().to_owned()),
        _ if kind == Kind::Bucket => return Err("Missing required field Statement".to_owned()),
        _ => return Err(kind.syntax().to_owned()),
    };
    for (name, value) in members {
        let right = match name.as_str() {
            "Version" => matches!(value.as_str(), Some("2012-10-17" | "2008-10-17")),
            "Id" => value.is_string() && kind != Kind::Identity,
            "Statement" => true,
            _ => false,
        };
        if !right {
            return Err(kind.syntax().to_owned());
        }
    }
    let mut sids = BTreeSet::new();
    for statement in list {
        check(statement, kind)?;
        let sid = statement.get("Sid").and_then(Value::as_str).unwrap_or_default();
        // KMS and S3 allow spaces (facts G.4).
        let inner = matches!(kind, Kind::Identity | Kind::Trust);
        if inner && !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*".to_owned()
            );
        }
        if inner && !sid.is_empty() && !sids.insert(sid.to_owned()) {
            return Err("Statement IDs (SID) in a single policy must be unique.".to_owned());
        }
    }
    Ok(document)
}

fn check(statement: &Value, kind: Kind) -> Result<(), String> {
    let syntax = || Err(kind.syntax().to_owned());
    let Some(members) = statement.as_object() else { return syntax() };
    let has = |name: &str| members.contains_key(name) || members.contains_key(&format!("Not{name}"));
    let both = |name: &str| members.contains_key(name) && members.contains_key(&format!("Not{name}"));
    if ["Principal", "Action", "Resource"].into_iter().any(both) {
        return syntax();
    }
    if kind == Kind::Identity && has("Principal") {
        return Err("Policy document should not specify a principal.".to_owned());
    }
    if kind == Kind::Trust && has("Resource") {
        return Err("Has prohibited field Resource".to_owned());
    }
    for (name, lacking) in [("Resource", "resources"), ("Action", "actions"), ("Principal", "principal"), ("Effect", "effect")] {
        let may_lack = (name == "Resource" && kind == Kind::Trust) || (name == "Principal" && kind == Kind::Identity);
        if has(name) || may_lack {
            continue;
        }
        return Err(match kind {
            Kind::Identity if name != "Effect" => format!("Policy statement must contain {lacking}."),
            Kind::Identity => kind.syntax().to_owned(),
            Kind::Key => format!("Policy contains a statement with no {lacking}."),
            _ => format!("Missing required field {name}"),
        });
    }
    for (name, value) in members {
        let right = match name.as_str() {
            "Sid" => value.is_string(),
            "Effect" => matches!(value.as_str(), Some("Allow" | "Deny")),
            "Principal" | "NotPrincipal" => is_principal(value),
            "Action" | "NotAction" | "Resource" | "NotResource" => is_texts(value),
            "Condition" => is_condition(value),
            _ => false,
        };
        if !right {
            return syntax();
        }
    }
    // A Deny only: an Allow to everyone but somebody isn't supported (IAM-NotPrincipal).
    let allows = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
    if members.contains_key("NotPrincipal") && (allows || kind == Kind::Trust) {
        return Err(
            if kind == Kind::Trust { "Has prohibited field NotPrincipal" } else { "Allow with NotPrincipal is not allowed." }.to_owned()
        );
    }
    let texts = |name: &str| super::document::texts(members.get(name).or_else(|| members.get(&format!("Not{name}"))));
    for action in texts("Action") {
        let (service, name) = action.split_once(':').unwrap_or(("", ""));
        let ours = match kind {
            Kind::Identity => action == "*" || !(service.is_empty() || name.is_empty()),
            Kind::Trust => action == "*" || service.eq_ignore_ascii_case("sts"),
            Kind::Key => action == "*" || service.eq_ignore_ascii_case("kms"),
            Kind::Bucket => action == "*" || service.eq_ignore_ascii_case("s3"),
        };
        if !ours || action == "*" && kind == Kind::Trust {
            return Err(match kind {
                Kind::Identity => "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
                Kind::Trust => "AssumeRole policy may only specify STS AssumeRole actions.",
                Kind::Key => "Policy contains a statement with one or more invalid actions.",
                Kind::Bucket => "Policy has invalid action",
            }
            .to_owned());
        }
    }
    if kind == Kind::Identity
        && let Some(why) = texts("Action").iter().find_map(|action| against_action(action))
    {
        return Err(why);
    }
    if matches!(kind, Kind::Identity | Kind::Trust) && members.get("Condition").is_some_and(|condition| !dates_are_dates(condition)) {
        return Err("The policy failed legacy parsing".to_owned());
    }
    if kind == Kind::Identity
        && let Some(why) = texts("Resource").iter().find_map(|resource| against_resource(resource))
    {
        return Err(why);
    }
    let is_arn = |text: &String| text == "*" || (text.starts_with("arn:") && text.splitn(6, ':').count() == 6);
    match texts("Resource").into_iter().find(|resource| !is_arn(resource)) {
        Some(resource) if kind == Kind::Identity => Err(format!("Resource {resource} must be in ARN format or \"*\".")),
        Some(_) if kind == Kind::Bucket => Err("Policy has invalid resource".to_owned()),
        _ => Ok(()),
    }
}

/// What IAM has against an action that names a service.
fn against_action(action: &str) -> Option<String> {
    let (vendor, name) = action.split_once(':')?;
    if name.contains(':') {
        return Some("Actions/Condition can contain only one colon.".to_owned());
    }
    let right = vendor == "*" || vendor.chars().all(|letter| letter.is_ascii_alphanumeric() || "-.".contains(letter));
    (!right).then(|| format!("Vendor {vendor} is not valid"))
}

/// What a path of IAM's own ARNs begins with.
const OF_IAM: [&str; 13] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

/// What S3 has in a region, besides buckets and objects, which are in none.
const OF_A_REGION: [&str; 6] = ["accesspoint/", "job/", "storage-lens/", "storage-lens-group/", "access-grants/", "async-request/"];

/// What IAM has against an ARN (its words as they were observed by who wrote moto's validator).
fn against_resource(resource: &str) -> Option<String> {
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    let ["arn", partition, service, region, _, path] = parts[..] else { return None };
    if partition != "*" && !is_partition(partition) {
        return Some(format!("Partition \"{partition}\" is not valid for resource \"{resource}\"."));
    }
    if service.is_empty() || service.contains(['*', '?']) {
        return Some("Resource vendor must be fully qualified and cannot contain regexes.".to_owned());
    }
    let any = |text: &str| text.starts_with(['*', '?', '$']);
    match service {
        "iam" if !region.is_empty() => Some(format!("IAM resource {resource} cannot contain region information.")),
        "iam" if path != "*" && !any(path) && !OF_IAM.iter().any(|start| path.starts_with(start)) => {
            Some(format!("IAM resource path must either be \"*\" or start with {}.", OF_IAM.join(", ")))
        }
        "s3" if !region.is_empty() && !any(region) && !any(path) && !OF_A_REGION.iter().any(|start| path.starts_with(start)) => {
            Some(format!("Resource {resource} can not contain region information."))
        }
        _ => None,
    }
}

/// Says whether what a date is compared with is one: ISO 8601, or seconds since 1970.
fn dates_are_dates(condition: &Value) -> bool {
    let of_dates = |name: &str| {
        let bare = ["ForAllValues:", "ForAnyValue:"].iter().find_map(|start| name.strip_prefix(start)).unwrap_or(name);
        bare.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("Date"))
    };
    let operators = condition.as_object().into_iter().flatten().filter(|(name, _)| of_dates(name));
    let mut values = operators.flat_map(|(_, keys)| keys.as_object().into_iter().flatten()).flat_map(|(_, value)| match value {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    });
    values.all(|value| match value {
        Value::String(text) => is_date(text),
        Value::Number(number) => number.as_i64().is_some_and(|seconds| seconds >= 0),
        _ => false,
    })
}

fn is_date(text: &str) -> bool {
    if text.parse::<i64>().is_ok_and(|seconds| seconds >= 0) {
        return true;
    }
    let (day, time) = text.split_once(['T', 't']).map_or((text, None), |(day, time)| (day, Some(time)));
    let number = |text: &str, most: u32| !text.is_empty() && text.len() <= 2 && text.parse::<u32>().is_ok_and(|number| number <= most);
    let day: Vec<&str> = day.trim_start_matches('-').split('-').collect();
    let right_day = match day[..] {
        [year] if time.is_some() || text.contains('-') => year.parse::<u32>().is_ok(),
        [year, month] => year.parse::<u32>().is_ok() && number(month, 12),
        [year, month, day] => year.parse::<u32>().is_ok() && number(month, 12) && number(day, 31),
        _ => false,
    };
    let right_time = time.is_none_or(|time| {
        let bare = time.trim_end_matches(['Z', 'z']);
        let bare = bare.split_once(['+', '-']).map_or(bare, |(bare, _)| bare);
        let bare = bare.split_once('.').map_or(bare, |(bare, _)| bare);
        let parts: Vec<&str> = bare.split(':').collect();
        match parts[..] {
            [hour] => hour.is_empty() || number(hour, 23),
            [hour, minute] => number(hour, 23) && number(minute, 59),
            [hour, minute, second] => number(hour, 23) && number(minute, 59) && number(second, 59),
            _ => false,
        }
    });
    right_day && right_time
}

/// Says whether a text has only characters that a document may have (the pattern of IAM's and KMS's API).
pub(crate) fn is_latin(text: &str) -> bool {
    text.chars().all(|letter| matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{ff}'))
}

/// Counts what IAM's quotas count: white space is free.
pub(crate) fn characters(text: &str) -> usize {
    text.chars().filter(|character| !character.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_odd_forms_of_the_article_are_taken() {
        let odd = json!({"Version": "2012-10-17", "Statement": {"Sid": "", "Effect": "Allow", "Action": "s3:Get*", "Resource": ["arn:aws:s3:::b/*"], "Condition": {}}});
        assert_eq!(read(&odd.to_string(), Kind::Identity), Ok(odd));
        let two = json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "", "Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}, {"Sid": "", "Effect": "Allow", "Action": "s3:Put*", "Resource": "*"}]});
        assert!(read(&two.to_string(), Kind::Identity).is_ok());
    }

    #[test]
    fn what_is_wrong_is_refused_in_the_words_of_each_service() {
        let refused = |text: &str, kind| read(text, kind).unwrap_err();
        assert_eq!(refused("{", Kind::Identity), "Syntax errors in policy.");
        assert_eq!(refused("{", Kind::Trust), "This policy contains invalid Json");
        assert_eq!(refused(r#"{"Statement": [], "Version": "2012-10-17"}"#, Kind::Key), "Policy contains invalid JSON or no statements.");
        let twice = r#"{"Statement": [{"Effect": "Allow", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}"#;
        assert_eq!(refused(twice, Kind::Identity), "Syntax errors in policy.");
        let principal = r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}]}"#;
        assert_eq!(refused(principal, Kind::Identity), "Policy document should not specify a principal.");
        assert_eq!(refused(principal, Kind::Trust), "Has prohibited field Resource");
        assert_eq!(refused(principal, Kind::Key), "Policy contains a statement with one or more invalid actions.");
        assert!(read(principal, Kind::Bucket).is_ok());
        let arn = r#"{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "bucket"}]}"#;
        assert_eq!(refused(arn, Kind::Identity), "Resource bucket must be in ARN format or \"*\".");
        let operator = r#"{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"StringIs": {"a": "b"}}}]}"#;
        assert_eq!(refused(operator, Kind::Identity), "Syntax errors in policy.");
        let sid = r#"{"Statement": [{"Sid": "a b", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}"#;
        assert!(refused(sid, Kind::Identity).starts_with("Statement IDs (SID) must be alpha-numeric."));
    }
}
