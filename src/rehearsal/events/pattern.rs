//! Event patterns and input transformers.

use core::net::IpAddr;
use serde_json::{Map, Value};

/// Names that mean a comparison, and so no field within `$or`.
const COMPARISONS: [&str; 9] =
    ["exactly", "prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric", "exists", "cidr"];
/// The numbers that can be compared (EB-Operators).
const LARGEST: f64 = 5e9;

/// Says what is wrong with a pattern: every value is a list of values and comparisons, or an object of such (EB-Patterns, EB-Operators;
/// the words are those of AWS's own rule engine, event-ruler).
pub(super) fn check(pattern: &str) -> Result<(), String> {
    let pattern: Value = serde_json::from_str(pattern).map_err(|error| error.to_string())?;
    object(&pattern, "Filter is not an object", false)
}

fn object(value: &Value, otherwise: &str, in_or: bool) -> Result<(), String> {
    let members = value.as_object().ok_or(otherwise)?;
    if members.is_empty() {
        return Err("Empty objects are not allowed".to_owned());
    }
    members.iter().try_for_each(|(name, value)| match (name.as_str(), value) {
        ("$or", Value::Array(list)) => {
            if list.len() < 2 {
                return Err("There must have at least 2 Objects in $or relationship.".to_owned());
            }
            list.iter().try_for_each(|one| object(one, "Only JSON object is allowed in array of $or relationship.", true))
        }
        ("$or", _) => Err("It must be an Array followed with $or.".to_owned()),
        (name, _) if in_or && COMPARISONS.contains(&name) => {
            Err(format!("{name} is Ruler reserved fieldName which cannot be used inside $or."))
        }
        (_, Value::Object(_)) => object(value, "", in_or),
        (_, Value::Array(list)) if list.is_empty() => Err("Empty arrays are not allowed".to_owned()),
        (_, Value::Array(list)) => list.iter().try_for_each(leaf),
        _ => Err(format!("\"{name}\" must be an object or an array")),
    })
}

/// A member of a field's list.
fn leaf(value: &Value) -> Result<(), String> {
    let members = match value {
        Value::Array(_) => return Err("Match value must be String, number, true, false, or null".to_owned()),
        Value::Object(members) => members,
        _ => return Ok(()),
    };
    let Some((name, argument)) = members.iter().next() else { return Err("Match expression name not found".to_owned()) };
    if !COMPARISONS.contains(&name.as_str()) {
        return Err(format!("Unrecognized match type {name}"));
    }
    if members.len() > 1 {
        return Err("Only one key allowed in match expression".to_owned());
    }
    let text = |value: &Value| value.is_string().then_some(()).ok_or_else(|| format!("{name} match pattern must be a string"));
    match (name.as_str(), argument) {
        ("prefix" | "suffix", Value::Object(inner)) => {
            one_of(inner, &["equals-ignore-case"], &format!("{name} match pattern must be a string")).map(|_| ())
        }
        ("exactly" | "prefix" | "suffix" | "equals-ignore-case", _) => text(argument),
        ("wildcard", _) => {
            text(argument)?;
            wildcard_is_right(argument.as_str().unwrap_or_default())
        }
        ("exists", Value::Bool(_)) => Ok(()),
        ("exists", _) => Err("exists match pattern must be either true or false.".to_owned()),
        ("cidr", _) => {
            text(argument)?;
            let network = argument.as_str().unwrap_or_default();
            cidr(network).map(|_| ()).ok_or_else(|| format!("Malformed CIDR, one '/' required: {network}"))
        }
        ("numeric", Value::Array(list)) => numeric(list),
        ("numeric", _) => Err("Value of numeric must be an array.".to_owned()),
        _ => anything_but(argument),
    }
}

/// Gives the one member of an object, which must have a name of some and be a text or a list of texts.
fn one_of<'v>(members: &'v Map<String, Value>, names: &[&str], otherwise: &str) -> Result<(&'v str, &'v Value), String> {
    let (name, value) = members.iter().next().ok_or("Anything-But expression name not found")?;
    if !names.contains(&name.as_str()) {
        return Err(otherwise.replace("{}", name));
    }
    if members.len() > 1 {
        return Err("Only one key allowed in match expression".to_owned());
    }
    Ok((name, value))
}

fn anything_but(argument: &Value) -> Result<(), String> {
    let texts = |list: &[Value]| !list.is_empty() && list.iter().all(Value::is_string);
    match argument {
        Value::String(_) | Value::Number(_) => Ok(()),
        Value::Array(list) if texts(list) || !list.is_empty() && list.iter().all(Value::is_number) => Ok(()),
        Value::Array(list) if list.iter().all(|value| value.is_string() || value.is_number()) => {
            Err("Inside anything but list, either all values are number or string, mixed type is not supported".to_owned())
        }
        Value::Array(_) => Err("Inside anything but list, start|null|boolean is not supported.".to_owned()),
        Value::Object(members) => {
            let names = ["prefix", "suffix", "equals-ignore-case", "wildcard"];
            let (name, value) = one_of(members, &names, "Unsupported anything-but pattern: {}")?;
            let all: Vec<&Value> = match value {
                Value::Array(list) if texts(list) => list.iter().collect(),
                Value::String(_) => vec![value],
                _ => return Err(format!("anything-but {name} match pattern must be a string or a list of strings")),
            };
            let mut all = all.into_iter().filter_map(Value::as_str);
            match name {
                "wildcard" => all.try_for_each(wildcard_is_right),
                "prefix" | "suffix" if all.any(str::is_empty) => Err("Null prefix/suffix not allowed".to_owned()),
                _ => Ok(()),
            }
        }
        _ => Err("Value of anything-but must be an array or single string/number value.".to_owned()),
    }
}

/// A backslash stands before a star or another backslash, and no two stars follow each other.
fn wildcard_is_right(text: &str) -> Result<(), String> {
    let mut letters = text.chars();
    let mut star = false;
    while let Some(letter) = letters.next() {
        if letter == '\\' && !matches!(letters.next(), Some('*' | '\\')) {
            return Err("Invalid escape character in wildcard match pattern".to_owned());
        }
        if letter == '*' && star {
            return Err("Consecutive wildcard characters are not allowed".to_owned());
        }
        star = letter == '*';
    }
    Ok(())
}

fn numeric(list: &[Value]) -> Result<(), String> {
    let number = |value: Option<&Value>, operator: &str| match value.and_then(Value::as_f64) {
        Some(number) if number.abs() <= LARGEST => Ok(number),
        Some(_) => Err("Value must be between -5.0E9 and 5.0E9, inclusive".to_owned()),
        None => Err(format!("Value of {operator} must be numeric")),
    };
    let Some(operator) = list.first().and_then(Value::as_str) else {
        return Err(format!("Invalid member in numeric match: {}", list.first().unwrap_or(&Value::Null)));
    };
    if !["=", "<", "<=", ">", ">="].contains(&operator) {
        return Err(format!("Unrecognized numeric range operator: {operator}"));
    }
    let first = number(list.get(1), if operator == "=" { "equals" } else { operator })?;
    match (operator, &list[2..]) {
        (_, []) => Ok(()),
        (">" | ">=", [second, rest @ ..]) => {
            let second = second.as_str().ok_or_else(|| format!("Bad value in numeric range: {second}"))?;
            if !["<", "<="].contains(&second) {
                return Err(format!("Bad numeric range operator: {second}"));
            }
            let last = number(rest.first(), second)?;
            match rest {
                [_] if first < last => Ok(()),
                [_] => Err("Bottom must be less than top".to_owned()),
                _ => Err("Too many terms in numeric range expression".to_owned()),
            }
        }
        _ => Err("Too many elements in numeric expression".to_owned()),
    }
}

/// Reads a network: its address, and how many bits of it count.
fn cidr(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = text.split_once('/')?;
    let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?);
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

fn within(text: &str, network: &str) -> bool {
    let (Ok(address), Some((network, bits))) = (text.parse::<IpAddr>(), cidr(network)) else { return false };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (u32::from(address) ^ u32::from(network)).checked_shr(32 - bits).unwrap_or(0) == 0,
        (IpAddr::V6(address), IpAddr::V6(network)) => (u128::from(address) ^ u128::from(network)).checked_shr(128 - bits).unwrap_or(0) == 0,
        _ => false,
    }
}

/// Says whether a number is where a comparison wants it; what was checked before has a number behind each operator.
fn in_range(list: &[Value], number: f64) -> bool {
    list.chunks(2).all(|pair| match (pair.first().and_then(Value::as_str), pair.get(1).and_then(Value::as_f64)) {
        (Some("="), Some(wanted)) => number == wanted,
        (Some("<"), Some(most)) => number < most,
        (Some("<="), Some(most)) => number <= most,
        (Some(">"), Some(least)) => number > least,
        (Some(">="), Some(least)) => number >= least,
        _ => false,
    })
}

/// Says whether a pattern fits an event; members that the pattern doesn't name may be anything.
pub(super) fn fits(pattern: &Value, event: &Value) -> bool {
    let Some(members) = pattern.as_object() else { return false };
    members.iter().all(|(name, wanted)| match (wanted, event.get(name)) {
        (Value::Array(list), _) if name == "$or" => list.iter().any(|one| fits(one, event)),
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
        let ignoring_case = |compare: fn(&str, &str) -> bool| {
            let wanted = argument.get("equals-ignore-case").and_then(Value::as_str);
            text.zip(wanted).is_some_and(|(text, wanted)| compare(&text.to_lowercase(), &wanted.to_lowercase()))
        };
        match name.as_str() {
            "exactly" => both(|text, wanted| text == wanted),
            "prefix" if argument.is_object() => ignoring_case(|text, prefix| text.starts_with(prefix)),
            "suffix" if argument.is_object() => ignoring_case(|text, suffix| text.ends_with(suffix)),
            "numeric" => value.as_f64().is_some_and(|number| in_range(argument.as_array().map_or(&[], Vec::as_slice), number)),
            "cidr" => both(within),
            "prefix" => both(|text, prefix| text.starts_with(prefix)),
            "suffix" => both(|text, suffix| text.ends_with(suffix)),
            "equals-ignore-case" => both(str::eq_ignore_ascii_case),
            "wildcard" => both(wildcard),
            "anything-but" => match argument {
                Value::Array(list) => !list.contains(value),
                // Each of a list that the inner comparison may have.
                Value::Object(inner) => inner.iter().all(|(name, wanted)| {
                    let all = wanted.as_array().map_or_else(|| vec![wanted], |list| list.iter().collect());
                    all.into_iter().all(|wanted| !value_fits(&serde_json::json!({ name: wanted }), value))
                }),
                other => other != value,
            },
            _ => false,
        }
    })
}

/// `*` stands for any characters, unless a backslash stands before it.
fn wildcard(text: &str, pattern: &str) -> bool {
    let mut letters = pattern.chars();
    match letters.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = letters.as_str();
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| wildcard(&text[at..], rest))
        }
        Some(letter) => {
            let wanted = if letter == '\\' { letters.next().unwrap_or(letter) } else { letter };
            text.strip_prefix(wanted).is_some_and(|text| wildcard(text, letters.as_str()))
        }
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
    fn each_comparison_of_the_guide_is_taken_and_fits() {
        let event = json!({"name": "Site/A.ZIP", "count": 3, "ip": "10.0.0.7", "star": "a*b", "list": ["x", "y"], "none": null});
        for (pattern, expected) in [
            (json!({"name": [{"prefix": "Site"}]}), true),
            (json!({"name": [{"prefix": {"equals-ignore-case": "sITE"}}]}), true),
            (json!({"name": [{"suffix": {"equals-ignore-case": ".zip"}}]}), true),
            (json!({"name": [{"suffix": ".zip"}]}), false),
            (json!({"name": [{"equals-ignore-case": "site/a.zip"}]}), true),
            (json!({"name": [{"exactly": "Site/A.ZIP"}]}), true),
            (json!({"name": [{"wildcard": "S*/*.ZIP"}]}), true),
            (json!({"star": [{"wildcard": "a\\*b"}]}), true),
            (json!({"name": [{"wildcard": "a\\*b"}]}), false),
            (json!({"name": [{"anything-but": ["x", "y"]}]}), true),
            (json!({"name": [{"anything-but": {"prefix": "Site"}}]}), false),
            (json!({"name": [{"anything-but": {"prefix": ["x", "Site"]}}]}), false),
            (json!({"name": [{"anything-but": {"suffix": ["x", "y"]}}]}), true),
            (json!({"name": [{"anything-but": {"wildcard": "*A*"}}]}), false),
            (json!({"name": [{"anything-but": {"equals-ignore-case": ["site/a.zip"]}}]}), false),
            (json!({"count": [{"anything-but": [1, 2]}]}), true),
            (json!({"count": [{"numeric": ["=", 3]}]}), true),
            (json!({"count": [{"numeric": [">", 0, "<=", 3]}]}), true),
            (json!({"count": [{"numeric": ["<", 3]}]}), false),
            (json!({"ip": [{"cidr": "10.0.0.0/24"}]}), true),
            (json!({"ip": [{"cidr": "10.0.1.0/24"}]}), false),
            (json!({"ip": [{"cidr": "0.0.0.0/0"}]}), true),
            (json!({"ip": [{"cidr": "::/0"}]}), false),
            (json!({"other": [{"exists": false}], "list": ["y"], "none": [null]}), true),
            (json!({"$or": [{"count": [1]}, {"name": [{"prefix": "Site"}]}]}), true),
            (json!({"$or": [{"count": [1]}, {"count": [2]}]}), false),
        ] {
            assert_eq!(check(&pattern.to_string()), Ok(()), "{pattern}");
            assert_eq!(fits(&pattern, &event), expected, "{pattern}");
        }
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
