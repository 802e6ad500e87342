//! Event patterns and input transformers.

use serde_json::{Map, Value};

/// Says what is wrong with a pattern: every value is a list, or an object of such.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let pattern: Value = serde_json::from_str(pattern).map_err(|error| error.to_string())?;
    let members = pattern.as_object().filter(|members| !members.is_empty()).ok_or("Filter is not an object")?;
    members.iter().try_for_each(|(name, value)| field(name, value))
}

fn field(name: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Array(list) if list.is_empty() => Err(format!("Empty arrays are not allowed at \"{name}\"")),
        Value::Array(_) => Ok(()),
        Value::Object(members) if members.is_empty() => Err(format!("Empty objects are not allowed at \"{name}\"")),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| field(name, value)),
        _ => Err(format!("\"{name}\" must be an object or an array")),
    }
}

/// Says whether a pattern fits an event; members that the pattern doesn't name may be anything.
pub(super) fn fits(pattern: &Value, event: &Value) -> bool {
    let Some(members) = pattern.as_object() else { return false };
    members.iter().all(|(name, wanted)| match (wanted, event.get(name)) {
        (Value::Object(_), found) => fits(wanted, found.unwrap_or(&Value::Null)),
        (Value::Array(list), found) => list.iter().any(|one| one_fits(one, found)),
        _ => false,
    })
}

fn one_fits(wanted: &Value, found: Option<&Value>) -> bool {
    if let Some(exists) = wanted.get("exists") {
        return exists.as_bool() == Some(found.is_some());
    }
    match found {
        None => false,
        // Any of a list's members is enough.
        Some(Value::Array(list)) => list.iter().any(|value| value_fits(wanted, value)),
        Some(value) => value_fits(wanted, value),
    }
}

fn value_fits(wanted: &Value, value: &Value) -> bool {
    let Some(test) = wanted.as_object() else { return wanted == value };
    test.iter().all(|(name, argument)| {
        let (text, wanted) = (value.as_str(), argument.as_str());
        let both = |compare: fn(&str, &str) -> bool| text.zip(wanted).is_some_and(|(text, wanted)| compare(text, wanted));
        match name.as_str() {
            "prefix" => both(|text, prefix| text.starts_with(prefix)),
            "suffix" => both(|text, suffix| text.ends_with(suffix)),
            "equals-ignore-case" => both(str::eq_ignore_ascii_case),
            "wildcard" => both(wildcard),
            "anything-but" => match argument {
                Value::Array(list) => !list.contains(value),
                Value::Object(_) => !value_fits(argument, value),
                other => other != value,
            },
            _ => false,
        }
    })
}

/// `*` stands for any characters.
fn wildcard(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|left| left.char_indices().map(|(at, _)| at).chain([left.len()]).any(|at| wildcard(&left[at..], rest))),
    }
}

/// Gives what a target is sent in place of the event.
pub(super) fn transformed(target: &Value, event: &Value) -> Value {
    if let Some(fixed) = target.get("Input").and_then(Value::as_str) {
        return serde_json::from_str(fixed).unwrap_or_default();
    }
    let Some(transformer) = target.get("InputTransformer") else { return event.clone() };
    let empty = Map::new();
    let paths = transformer.get("InputPathsMap").and_then(Value::as_object).unwrap_or(&empty);
    let mut written = String::new();
    let mut rest = transformer.get("InputTemplate").and_then(Value::as_str).unwrap_or_default();
    let mut quoted = false;
    while let Some(character) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')).filter(|(name, _)| paths.contains_key(*name));
        if let Some((name, after)) = named {
            let path = paths.get(name).and_then(Value::as_str).unwrap_or_default();
            let value = at(event, path);
            // Between quotes a text stands without its own.
            match value.as_str() {
                Some(text) if quoted => written.push_str(text),
                _ => written.push_str(&value.to_string()),
            }
            rest = after;
            continue;
        }
        if character == '"' && !written.ends_with('\\') {
            quoted = !quoted;
        }
        written.push(character);
        rest = &rest[character.len_utf8()..];
    }
    serde_json::from_str(&written).unwrap_or(Value::String(written))
}

/// Reads `$.detail.object.key`.
fn at<'v>(event: &'v Value, path: &str) -> &'v Value {
    let steps = path.trim_start_matches('$').split('.').filter(|step| !step.is_empty());
    steps.fold(event, |value, step| value.get(step).unwrap_or(&Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_fit_as_eventbridge_says() {
        let event = json!({"source": "aws.s3", "detail": {"bucket": {"name": "in"}, "object": {"key": "site/a.zip", "version-id": "v1"}}});
        for (pattern, expected) in [
            (json!({"source": ["aws.s3"], "detail": {"bucket": {"name": ["in"]}, "object": {"key": ["site/a.zip"]}}}), true),
            (json!({"detail": {"object": {"key": [{"prefix": "site/"}]}}}), true),
            (json!({"detail": {"object": {"key": [{"prefix": "other/"}, {"suffix": ".zip"}]}}}), true),
            (json!({"detail": {"object": {"key": [{"wildcard": "s*/*.zip"}]}}}), true),
            (json!({"detail": {"object": {"key": [{"anything-but": ["site/a.zip"]}]}}}), false),
            (json!({"detail": {"object": {"tag": [{"exists": false}]}}}), true),
            (json!({"detail": {"bucket": {"name": ["out"]}}}), false),
            (json!({"account": ["1"]}), false),
        ] {
            assert_eq!(fits(&pattern, &event), expected, "{pattern}");
        }
        assert!(check("{\"source\": \"aws.s3\"}").is_err() && check("{}").is_err() && check("{\"a\": {\"b\": [1]}}").is_ok());
    }

    #[test]
    fn a_transformer_puts_values_into_its_template() {
        let event = json!({"detail": {"object": {"version-id": "v1"}}});
        let target = json!({"InputTransformer": {"InputPathsMap": {"id": "$.detail.object.version-id"},
            "InputTemplate": "{\"sourceRevisions\":[{\"revisionValue\":<id>,\"note\":\"is <id>, not <other>\"}]}"}});
        let expected = json!({"sourceRevisions": [{"revisionValue": "v1", "note": "is v1, not <other>"}]});
        assert_eq!(transformed(&target, &event), expected);
        assert_eq!(transformed(&json!({}), &event), event);
    }
}
