//! A policy document read as AWS reads it: scalars for lists, one statement for a list of them (facts G.4).
//!
//! Reading never fails: what is wrong is kept beside what is right, because a valid Deny next to a malformed
//! statement still denies.

use serde_json::{Map, Value};

/// Which kind of policy a document is; decides which elements it must and may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Identity,
    Boundary,
    Session,
    Scp,
    Rcp,
    Endpoint,
    Resource,
    Trust,
    Key,
}

impl Kind {
    /// The word that names the kind in a verdict.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Identity => "identity",
            Kind::Boundary => "boundary",
            Kind::Session => "session",
            Kind::Scp => "scp",
            Kind::Rcp => "rcp",
            Kind::Endpoint => "vpc-endpoint",
            Kind::Resource => "resource",
            Kind::Trust => "trust",
            Kind::Key => "key",
        }
    }

    fn may_name_principals(self) -> bool {
        matches!(self, Kind::Resource | Kind::Trust | Kind::Key | Kind::Rcp | Kind::Endpoint)
    }

    /// Only these stand on a resource; a statement without a principal is malformed there.
    pub(crate) fn stands_on_a_resource(self) -> bool {
        matches!(self, Kind::Resource | Kind::Trust | Kind::Key)
    }
}

/// An element and its opposite, such as `Action` and `NotAction`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice<T> {
    pub(crate) negated: bool,
    pub(crate) values: T,
}

/// One entry of a `Principal` element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    Aws(&'a str),
    Service(&'a str),
    Federated(&'a str),
    Canonical(&'a str),
}

/// A value of a condition: booleans and numbers count as their text (facts G.4).
pub(crate) fn scalar(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Bool(yes) => Some(if *yes { "true" } else { "false" }.into()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

/// How a condition's values meet a key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Scalar,
    ForAll,
    ForAny,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is compared; negation is kept apart, as a NOR over the values (facts G.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    Binary,
    Ip,
    Arn,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) quantifier: Quantifier,
    pub(crate) test: Test,
    pub(crate) negated: bool,
    pub(crate) if_exists: bool,
}

impl Operator {
    /// Reads an operator's name. AWS documents the names in one spelling; case is not significant to it.
    pub(crate) fn read(name: &str) -> Option<Operator> {
        let lower = name.to_ascii_lowercase();
        let (quantifier, rest) = if let Some(rest) = lower.strip_prefix("forallvalues:") {
            (Quantifier::ForAll, rest)
        } else if let Some(rest) = lower.strip_prefix("foranyvalue:") {
            (Quantifier::ForAny, rest)
        } else {
            (Quantifier::Scalar, lower.as_str())
        };
        let (rest, if_exists) = match rest.strip_suffix("ifexists") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (test, negated) = match rest {
            "stringequals" => (Test::StringEquals, false),
            "stringnotequals" => (Test::StringEquals, true),
            "stringequalsignorecase" => (Test::StringEqualsIgnoreCase, false),
            "stringnotequalsignorecase" => (Test::StringEqualsIgnoreCase, true),
            "stringlike" => (Test::StringLike, false),
            "stringnotlike" => (Test::StringLike, true),
            "numericequals" => (Test::Numeric(Order::Equal), false),
            "numericnotequals" => (Test::Numeric(Order::Equal), true),
            "numericlessthan" => (Test::Numeric(Order::Less), false),
            "numericlessthanequals" => (Test::Numeric(Order::LessOrEqual), false),
            "numericgreaterthan" => (Test::Numeric(Order::Greater), false),
            "numericgreaterthanequals" => (Test::Numeric(Order::GreaterOrEqual), false),
            "dateequals" => (Test::Date(Order::Equal), false),
            "datenotequals" => (Test::Date(Order::Equal), true),
            "datelessthan" => (Test::Date(Order::Less), false),
            "datelessthanequals" => (Test::Date(Order::LessOrEqual), false),
            "dategreaterthan" => (Test::Date(Order::Greater), false),
            "dategreaterthanequals" => (Test::Date(Order::GreaterOrEqual), false),
            "bool" => (Test::Bool, false),
            "binaryequals" => (Test::Binary, false),
            "ipaddress" => (Test::Ip, false),
            "notipaddress" => (Test::Ip, true),
            "arnequals" | "arnlike" => (Test::Arn, false),
            "arnnotequals" | "arnnotlike" => (Test::Arn, true),
            // It has no IfExists form, and asks about the key itself, so a quantifier has nothing to count (G.5).
            "null" if !if_exists && quantifier == Quantifier::Scalar => (Test::Null, false),
            _ => return None,
        };
        Some(Operator { quantifier, test, negated, if_exists })
    }
}

/// One key under one operator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition<'a> {
    pub(crate) operator: Operator,
    pub(crate) key: &'a str,
    pub(crate) values: Vec<std::borrow::Cow<'a, str>>,
}

/// A statement that can be judged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement<'a> {
    pub(crate) index: usize,
    pub(crate) sid: Option<&'a str>,
    pub(crate) deny: bool,
    /// `None`: the kind of policy has no principals, or means everyone.
    pub(crate) principal: Option<Choice<Vec<Named<'a>>>>,
    pub(crate) action: Choice<Vec<&'a str>>,
    /// `None`: the resource that the policy stands on.
    pub(crate) resource: Option<Choice<Vec<&'a str>>>,
    pub(crate) conditions: Vec<Condition<'a>>,
}

/// A document that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document<'a> {
    pub(crate) kind: Kind,
    /// The level of an organisation policy, the root first.
    pub(crate) level: Option<usize>,
    pub(crate) number: usize,
    /// Policy variables are text unless the version is 2012-10-17 (facts G.4).
    pub(crate) variables: bool,
    pub(crate) statements: Vec<Statement<'a>>,
    /// What can't be judged, each naming its statement.
    pub(crate) malformed: Vec<String>,
    /// What parses but means nothing.
    pub(crate) warnings: Vec<String>,
}

impl Document<'_> {
    /// Names the document for a message.
    pub(crate) fn name(&self) -> String {
        match self.level {
            Some(level) => format!("{} level {level} document {}", self.kind.word(), self.number),
            None => format!("{} document {}", self.kind.word(), self.number),
        }
    }
}

fn texts<'a>(value: &'a Value, name: &str) -> Result<Vec<&'a str>, String> {
    match value {
        Value::String(text) => Ok(vec![text.as_str()]),
        Value::Array(list) => list
            .iter()
            .map(|item| item.as_str().ok_or_else(|| format!("{name} holds something that is not a text")))
            .collect::<Result<Vec<_>, _>>(),
        _ => Err(format!("{name} is neither a text nor a list")),
    }
}

fn choice<'a>(members: &'a Map<String, Value>, name: &str, opposite: &str) -> Result<Option<Choice<Vec<&'a str>>>, String> {
    match (members.get(name), members.get(opposite)) {
        (Some(_), Some(_)) => Err(format!("{name} and {opposite} exclude each other")),
        (Some(value), None) => Ok(Some(Choice { negated: false, values: texts(value, name)? })),
        (None, Some(value)) => Ok(Some(Choice { negated: true, values: texts(value, opposite)? })),
        (None, None) => Ok(None),
    }
}

fn named<'a>(value: &'a Value, name: &str) -> Result<Vec<Named<'a>>, String> {
    match value {
        Value::String(text) if text == "*" => Ok(vec![Named::Aws(text)]),
        Value::Object(kinds) if !kinds.is_empty() => {
            let mut found = Vec::new();
            for (kind, who) in kinds {
                let make: fn(&'a str) -> Named<'a> = match kind.as_str() {
                    "AWS" => Named::Aws,
                    "Service" => Named::Service,
                    "Federated" => Named::Federated,
                    "CanonicalUser" => Named::Canonical,
                    other => return Err(format!("{name} has the unknown kind `{other}`")),
                };
                found.extend(texts(who, name)?.into_iter().map(make));
            }
            Ok(found)
        }
        _ => Err(format!("{name} is neither \"*\" nor an object of kinds")),
    }
}

fn conditions(value: &Value) -> Result<Vec<Condition<'_>>, String> {
    let Value::Object(operators) = value else { return Err("Condition is not an object".to_owned()) };
    let mut found = Vec::new();
    for (name, keys) in operators {
        let operator = Operator::read(name).ok_or_else(|| format!("`{name}` is not a condition operator"))?;
        let Value::Object(keys) = keys else { return Err(format!("the keys of {name} are not an object")) };
        for (key, values) in keys {
            let list = match values {
                Value::Array(list) => list.iter().map(scalar).collect::<Option<Vec<_>>>(),
                one => scalar(one).map(|value| vec![value]),
            };
            let values = list.ok_or_else(|| format!("{name} {key} has a value that is no text, number or boolean"))?;
            found.push(Condition { operator, key, values });
        }
    }
    Ok(found)
}

fn statement(value: &Value, index: usize, kind: Kind) -> Result<Statement<'_>, String> {
    let Value::Object(members) = value else { return Err("it is not an object".to_owned()) };
    const KNOWN: [&str; 9] = ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    // A misspelt element would otherwise silently widen the statement; AWS refuses it too (IAM-Grammar).
    if let Some(unknown) = members.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(format!("it has the unknown element `{unknown}`"));
    }
    let sid = match members.get("Sid") {
        None => None,
        Some(Value::String(sid)) => Some(sid.as_str()).filter(|sid| !sid.is_empty()),
        Some(_) => return Err("Sid is not a text".to_owned()),
    };
    let deny = match members.get("Effect").and_then(Value::as_str) {
        Some("Allow") => false,
        Some("Deny") => true,
        _ => return Err("Effect is neither \"Allow\" nor \"Deny\"".to_owned()),
    };
    let principal = match (members.get("Principal"), members.get("NotPrincipal")) {
        (Some(_), Some(_)) => return Err("Principal and NotPrincipal exclude each other".to_owned()),
        (Some(value), None) => Some(Choice { negated: false, values: named(value, "Principal")? }),
        (None, Some(value)) => Some(Choice { negated: true, values: named(value, "NotPrincipal")? }),
        (None, None) => None,
    };
    if principal.is_some() && !kind.may_name_principals() {
        return Err(format!("a {} policy has no Principal", kind.word()));
    }
    if principal.is_none() && kind.stands_on_a_resource() {
        return Err("it has no Principal".to_owned());
    }
    let action = choice(members, "Action", "NotAction")?.ok_or("it has neither Action nor NotAction")?;
    let resource = choice(members, "Resource", "NotResource")?;
    if resource.is_none() && kind != Kind::Trust {
        return Err("it has neither Resource nor NotResource".to_owned());
    }
    let conditions = members.get("Condition").map(conditions).transpose()?.unwrap_or_default();
    Ok(Statement { index, sid, deny, principal, action, resource, conditions })
}

/// Says in words what a name in `Principal` can never match, if it can't (facts G.3).
pub(crate) fn dead(name: Named<'_>) -> Option<String> {
    match name {
        Named::Aws("*") => None,
        Named::Aws(text) if text.contains(['*', '?']) => Some(format!("`{text}`: a principal has no partial wildcard")),
        Named::Aws(text) if text.starts_with("arn:") || (text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())) => None,
        Named::Aws(text) if text.starts_with("AROA") || text.starts_with("AIDA") => {
            Some(format!("`{text}` is what is left of a deleted role or user"))
        }
        Named::Aws(text) => Some(format!("`{text}` is not a principal")),
        Named::Service(text) | Named::Federated(text) | Named::Canonical(text) if text.contains(['*', '?']) => {
            Some(format!("`{text}`: a principal has no wildcard"))
        }
        _ => None,
    }
}

/// Lists what AWS would not save, and what therefore matches nothing here.
fn warnings(statement: &Statement<'_>, found: &mut Vec<String>) {
    let mut say = |text: String| {
        let name = statement.sid.map_or_else(|| statement.index.to_string(), |sid| format!("{} ({sid})", statement.index));
        found.push(format!("statement {name}: {text}, so it matches nothing"));
    };
    if let Some(principal) = &statement.principal {
        if principal.negated && !statement.deny {
            say("NotPrincipal with Allow is not supported".to_owned());
        }
        principal.values.iter().filter_map(|name| dead(*name)).for_each(&mut say);
    }
    for action in statement.action.values.iter().filter(|action| !super::pattern::is_action(action)) {
        say(format!("`{action}` names no service"));
    }
    for resource in statement.resource.iter().flat_map(|resource| &resource.values) {
        if !super::pattern::is_resource(resource) {
            say(format!("`{resource}` is neither \"*\" nor an ARN with a service"));
        }
    }
}

/// Reads a document; whatever it is, the answer says what can and what can't be judged.
pub(crate) fn read(value: &Value, kind: Kind, level: Option<usize>, number: usize) -> Document<'_> {
    let mut document =
        Document { kind, level, number, variables: false, statements: Vec::new(), malformed: Vec::new(), warnings: Vec::new() };
    let Value::Object(members) = value else {
        document.malformed.push("it is not an object".to_owned());
        return document;
    };
    match members.get("Version") {
        None => {}
        Some(Value::String(version)) if version == "2008-10-17" => {}
        Some(Value::String(version)) if version == "2012-10-17" => document.variables = true,
        Some(other) => document.malformed.push(format!("its Version {other} does not exist")),
    }
    let list: &[Value] = match members.get("Statement") {
        Some(Value::Array(list)) => list,
        Some(object @ Value::Object(_)) => std::slice::from_ref(object),
        _ => {
            document.malformed.push("it has no Statement".to_owned());
            &[]
        }
    };
    for (index, value) in list.iter().enumerate() {
        match statement(value, index, kind) {
            Ok(statement) => {
                warnings(&statement, &mut document.warnings);
                document.statements.push(statement);
            }
            Err(why) => {
                let sid = value.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty());
                let sid = sid.map(|sid| format!(" ({sid})")).unwrap_or_default();
                document.malformed.push(format!("statement {index}{sid}: {why}"));
            }
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_odd_forms_of_the_article_are_read() {
        let odd = json!({"Version": "2012-10-17", "Statement": {"Sid": "", "Effect": "Allow", "Action": "s3:Get*",
            "Resource": ["arn:aws:s3:::b/*"], "Condition": {}}});
        let document = read(&odd, Kind::Identity, None, 0);
        assert!(document.malformed.is_empty() && document.variables);
        assert_eq!(document.statements.len(), 1);
        assert_eq!(document.statements[0].sid, None);
    }

    #[test]
    fn a_malformed_statement_is_named_and_its_neighbour_kept() {
        let value = json!({"Statement": [{"Sid": "A", "Effect": "allow", "Action": "s3:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]});
        let document = read(&value, Kind::Identity, None, 0);
        assert_eq!(document.malformed, ["statement 0 (A): Effect is neither \"Allow\" nor \"Deny\""]);
        assert_eq!(document.statements.len(), 1);
        assert_eq!(document.statements[0].index, 1);
    }

    #[test]
    fn what_widens_a_statement_by_a_typing_error_is_malformed() {
        let base = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
        let with = |name: &str, value: Value| {
            let mut statement = base.clone();
            statement[name] = value;
            let document = json!({"Statement": statement});
            read(&document, Kind::Identity, None, 0).malformed.len()
        };
        assert_eq!(with("Sid", json!("x")), 0);
        for (name, value) in [
            ("Conditions", json!({})),
            ("Condition", json!([])),
            ("Condition", json!({"StringEqual": {}})),
            ("Condition", json!({"NullIfExists": {"a:b": "true"}})),
            ("Condition", json!({"StringEquals": {"a:b": null}})),
            ("NotAction", json!("s3:*")),
            ("Principal", json!("*")),
            ("Resource", json!(7)),
        ] {
            assert_eq!(with(name, value.clone()), 1, "{name} {value}");
        }
    }
}
