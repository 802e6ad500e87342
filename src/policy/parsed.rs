//! A policy document read as AWS reads it: scalars for lists, one statement for a list of them (facts G.4).
//!
//! Reading never fails: what is wrong is kept beside what is right, because a valid Deny next to a malformed
//! statement still denies.

use super::node::{Node, Nodes};
use super::orphan::is_orphaned;
use super::pattern::{is_action, is_resource, is_wild};

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

/// The operators without quantifier and `IfExists`: what they compare, and whether they are negated.
const OPERATORS: [(&str, Test, bool); 27] = [
    ("StringEquals", Test::StringEquals, false),
    ("StringNotEquals", Test::StringEquals, true),
    ("StringEqualsIgnoreCase", Test::StringEqualsIgnoreCase, false),
    ("StringNotEqualsIgnoreCase", Test::StringEqualsIgnoreCase, true),
    ("StringLike", Test::StringLike, false),
    ("StringNotLike", Test::StringLike, true),
    ("NumericEquals", Test::Numeric(Order::Equal), false),
    ("NumericNotEquals", Test::Numeric(Order::Equal), true),
    ("NumericLessThan", Test::Numeric(Order::Less), false),
    ("NumericLessThanEquals", Test::Numeric(Order::LessOrEqual), false),
    ("NumericGreaterThan", Test::Numeric(Order::Greater), false),
    ("NumericGreaterThanEquals", Test::Numeric(Order::GreaterOrEqual), false),
    ("DateEquals", Test::Date(Order::Equal), false),
    ("DateNotEquals", Test::Date(Order::Equal), true),
    ("DateLessThan", Test::Date(Order::Less), false),
    ("DateLessThanEquals", Test::Date(Order::LessOrEqual), false),
    ("DateGreaterThan", Test::Date(Order::Greater), false),
    ("DateGreaterThanEquals", Test::Date(Order::GreaterOrEqual), false),
    ("Bool", Test::Bool, false),
    ("BinaryEquals", Test::Binary, false),
    ("IpAddress", Test::Ip, false),
    ("NotIpAddress", Test::Ip, true),
    ("ArnEquals", Test::Arn, false),
    ("ArnLike", Test::Arn, false),
    ("ArnNotEquals", Test::Arn, true),
    ("ArnNotLike", Test::Arn, true),
    ("Null", Test::Null, false),
];

/// Takes a start off, in whatever case it is written.
fn after<'t>(text: &'t str, start: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(rest)
}

impl Operator {
    /// Reads an operator's name. AWS documents the names in one spelling; case is not significant to it.
    pub(crate) fn read(name: &str) -> Option<Operator> {
        let (quantifier, rest) = match (after(name, "ForAllValues:"), after(name, "ForAnyValue:")) {
            (Some(rest), _) => (Quantifier::ForAll, rest),
            (None, Some(rest)) => (Quantifier::ForAny, rest),
            (None, None) => (Quantifier::Scalar, name),
        };
        let exists = "IfExists";
        let (rest, if_exists) = match rest.len().checked_sub(exists.len()).and_then(|at| rest.split_at_checked(at)) {
            Some((rest, end)) if end.eq_ignore_ascii_case(exists) => (rest, true),
            _ => (rest, false),
        };
        let (_, test, negated) = *OPERATORS.iter().find(|(own, ..)| own.eq_ignore_ascii_case(rest))?;
        // It has no IfExists form, and asks about the key itself, so a quantifier has nothing to count (G.5).
        let bare = quantifier == Quantifier::Scalar && !if_exists;
        (test != Test::Null || bare).then_some(Operator { quantifier, test, negated, if_exists })
    }
}

/// One key under one operator.
#[derive(Debug, Clone)]
pub(crate) struct Condition<'a> {
    pub(crate) operator: Operator,
    pub(crate) key: &'a str,
    /// Texts, booleans and numbers.
    pub(crate) values: Nodes<'a>,
}

/// A statement that can be judged.
#[derive(Debug, Clone)]
pub(crate) struct Statement<'a> {
    pub(crate) index: usize,
    pub(crate) sid: Option<&'a str>,
    pub(crate) deny: bool,
    /// `None`: the kind of policy has no principals, or means everyone.
    pub(crate) principal: Option<Choice<Vec<Named<'a>>>>,
    /// Texts.
    pub(crate) action: Choice<Nodes<'a>>,
    /// Texts. `None`: the resource that the policy stands on.
    pub(crate) resource: Option<Choice<Nodes<'a>>>,
    pub(crate) conditions: Vec<Condition<'a>>,
}

/// A document that was read.
#[derive(Debug, Clone)]
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
    /// What was saved once and means nothing any more.
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

fn texts<'a>(value: Node<'a>, name: &str) -> Result<Nodes<'a>, String> {
    if value.text().is_none() && value.items().is_none() {
        return Err(format!("{name} is neither a text nor a list"));
    }
    let list = value.listed();
    if list.iter().any(|item| item.text().is_none()) {
        return Err(format!("{name} holds something that is not a text"));
    }
    Ok(list)
}

fn choice<'a>(own: Member<'a>, opposite: Member<'a>) -> Result<Option<Choice<Nodes<'a>>>, String> {
    match (own.value, opposite.value) {
        (Some(_), Some(_)) => Err(format!("{} and {} exclude each other", own.name, opposite.name)),
        (Some(value), None) => Ok(Some(Choice { negated: false, values: texts(value, own.name)? })),
        (None, Some(value)) => Ok(Some(Choice { negated: true, values: texts(value, opposite.name)? })),
        (None, None) => Ok(None),
    }
}

fn named<'a>(value: Node<'a>, name: &str) -> Result<Vec<Named<'a>>, String> {
    if let Some("*") = value.text() {
        return Ok(vec![Named::Aws("*")]);
    }
    let mut found = Vec::new();
    let mut empty = true;
    for (kind, who) in value.members().into_iter().flatten() {
        empty = false;
        let make: fn(&'a str) -> Named<'a> = match kind {
            "AWS" => Named::Aws,
            "Service" => Named::Service,
            "Federated" => Named::Federated,
            "CanonicalUser" => Named::Canonical,
            other => return Err(format!("{name} has the unknown kind `{other}`")),
        };
        found.extend(texts(who, name)?.texts().map(make));
    }
    if empty { Err(format!("{name} is neither \"*\" nor an object of kinds")) } else { Ok(found) }
}

fn conditions(value: Node<'_>) -> Result<Vec<Condition<'_>>, String> {
    let Some(operators) = value.members() else { return Err("Condition is not an object".to_owned()) };
    let mut found = Vec::new();
    for (name, keys) in operators {
        let operator = Operator::read(name).ok_or_else(|| format!("`{name}` is not a condition operator"))?;
        let Some(keys) = keys.members() else { return Err(format!("the keys of {name} are not an object")) };
        for (key, values) in keys {
            let values = values.listed();
            if !values.iter().all(Node::is_scalar) {
                return Err(format!("{name} {key} has a value that is no text, number or boolean"));
            }
            found.push(Condition { operator, key, values });
        }
    }
    Ok(found)
}

/// Refuses an element of which nothing or not all would count: no service saves it.
fn check_saved(element: &Choice<Nodes<'_>>, [name, opposite]: [&str; 2], counts: fn(&str) -> bool, what: &str) -> Result<(), String> {
    let name = if element.negated { opposite } else { name };
    if element.values.is_empty() {
        return Err(format!("{name} is empty"));
    }
    match element.values.texts().find(|text| !counts(text)) {
        Some(text) => Err(format!("{name} has `{text}`, which is not {what}")),
        None => Ok(()),
    }
}

/// Refuses principals that no service saves (facts G.3).
fn check_principals(element: &Choice<Vec<Named<'_>>>, deny: bool, kind: Kind) -> Result<(), String> {
    if element.negated && !deny {
        return Err("NotPrincipal is for Deny only".to_owned());
    }
    if element.negated && kind == Kind::Trust {
        return Err("a trust policy has no NotPrincipal".to_owned());
    }
    match element.values.iter().filter(|name| !is_left_over(**name)).find_map(|name| dead(*name)) {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

/// Says whether AWS shows such a name where a principal was deleted: a unique id, or S3's canonical one (facts G.3).
fn is_left_over(name: Named<'_>) -> bool {
    let Named::Aws(text) = name else { return false };
    let is_unique_id = text.starts_with('A') && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_unique_id || (text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// An element of a statement, which may be missing.
#[derive(Clone, Copy)]
struct Member<'a> {
    name: &'static str,
    value: Option<Node<'a>>,
}

impl Member<'_> {
    const fn named(name: &'static str) -> Self {
        Member { name, value: None }
    }
}

fn statement(value: Node<'_>, index: usize, kind: Kind) -> Result<Statement<'_>, String> {
    let Some(members) = value.members() else { return Err("it is not an object".to_owned()) };
    let (mut sid, mut effect, mut condition) = (None, None, None);
    let (mut principal, mut not_principal) = (None, None);
    let (mut action, mut not_action) = (Member::named("Action"), Member::named("NotAction"));
    let (mut resource, mut not_resource) = (Member::named("Resource"), Member::named("NotResource"));
    for (name, value) in members {
        let place = match name {
            "Sid" => &mut sid,
            "Effect" => &mut effect,
            "Principal" => &mut principal,
            "NotPrincipal" => &mut not_principal,
            "Action" => &mut action.value,
            "NotAction" => &mut not_action.value,
            "Resource" => &mut resource.value,
            "NotResource" => &mut not_resource.value,
            "Condition" => &mut condition,
            // A misspelt element would otherwise silently widen the statement; AWS refuses it too (IAM-Grammar).
            unknown => return Err(format!("it has the unknown element `{unknown}`")),
        };
        *place = Some(value);
    }
    let sid = match sid.map(|sid: Node<'_>| sid.text()) {
        None => None,
        Some(Some(sid)) => Some(sid).filter(|sid| !sid.is_empty()),
        Some(None) => return Err("Sid is not a text".to_owned()),
    };
    let deny = match effect.and_then(|effect: Node<'_>| effect.text()) {
        Some("Allow") => false,
        Some("Deny") => true,
        _ => return Err("Effect is neither \"Allow\" nor \"Deny\"".to_owned()),
    };
    let principal = match (principal, not_principal) {
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
    let action = choice(action, not_action)?.ok_or("it has neither Action nor NotAction")?;
    let resource = choice(resource, not_resource)?;
    check_saved(&action, ["Action", "NotAction"], is_action, "a service and an action")?;
    if let Some(principal) = &principal {
        check_principals(principal, deny, kind)?;
    }
    match &resource {
        Some(_) if kind == Kind::Trust => return Err("a trust policy has no Resource".to_owned()),
        Some(resource) => check_saved(resource, ["Resource", "NotResource"], is_resource, "\"*\" or an ARN with a service")?,
        None if kind == Kind::Trust => {}
        None => return Err("it has neither Resource nor NotResource".to_owned()),
    }
    let conditions = condition.map(conditions).transpose()?.unwrap_or_default();
    Ok(Statement { index, sid, deny, principal, action, resource, conditions })
}

/// Says in words what a name in `Principal` can never match, if it can't (facts G.3).
pub(crate) fn dead(name: Named<'_>) -> Option<String> {
    match name {
        Named::Aws("*") => None,
        Named::Aws(text) if is_wild(text) => Some(format!("`{text}`: a principal has no partial wildcard")),
        Named::Aws(text) if text.starts_with("arn:") || (text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())) => None,
        Named::Aws(text) if is_orphaned(text) => Some(format!("`{text}` is what is left of a deleted role or user")),
        Named::Aws(text) => Some(format!("`{text}` is not a principal")),
        Named::Service(text) | Named::Federated(text) | Named::Canonical(text) if is_wild(text) => {
            Some(format!("`{text}`: a principal has no wildcard"))
        }
        _ => None,
    }
}

/// Refuses a Sid that IAM doesn't save (facts G.4): KMS and S3 take others.
fn check_sid<'a>(statement: Statement<'a>, document: &Document<'_>) -> Result<Statement<'a>, String> {
    let Some(sid) = statement.sid.filter(|_| matches!(document.kind, Kind::Identity | Kind::Boundary | Kind::Trust)) else {
        return Ok(statement);
    };
    if !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("its Sid has more than letters and digits".to_owned());
    }
    if document.statements.iter().any(|other| other.sid == Some(sid)) {
        return Err("its Sid is another statement's".to_owned());
    }
    Ok(statement)
}

/// Lists principals that are nobody any more.
fn warnings(statement: &Statement<'_>, found: &mut Vec<String>) {
    let Some(principal) = &statement.principal else { return };
    for text in principal.values.iter().filter_map(|name| dead(*name)) {
        let name = statement.sid.map_or_else(|| statement.index.to_string(), |sid| format!("{} ({sid})", statement.index));
        found.push(format!("statement {name}: {text}, so it matches nothing"));
    }
}

/// Reads a document; whatever it is, the answer says what can and what can't be judged.
pub(crate) fn read(value: Node<'_>, kind: Kind, level: Option<usize>, number: usize) -> Document<'_> {
    let mut document =
        Document { kind, level, number, variables: false, statements: Vec::new(), malformed: Vec::new(), warnings: Vec::new() };
    let Some(members) = value.members() else {
        document.malformed.push("it is not an object".to_owned());
        return document;
    };
    let (mut version, mut statements) = (None, None);
    for (name, value) in members {
        match name {
            "Version" => version = Some(value),
            "Statement" => statements = Some(value),
            "Id" if value.text().is_some() => {}
            "Id" => document.malformed.push("its Id is not a text".to_owned()),
            // A misspelt `Statement` would silently leave statements out; AWS refuses it too (IAM-Grammar).
            unknown => document.malformed.push(format!("it has the unknown member `{unknown}`")),
        }
    }
    match version.map(|version| (version, version.text())) {
        None | Some((_, Some("2008-10-17"))) => {}
        Some((_, Some("2012-10-17"))) => document.variables = true,
        Some((other, _)) => document.malformed.push(format!("its Version {} does not exist", other.to_value())),
    }
    let list = match statements.filter(|value| value.items().is_some() || value.members().is_some()) {
        Some(statements) => statements.listed(),
        None => Nodes::NONE,
    };
    if list.is_empty() {
        document.malformed.push("it has no Statement".to_owned());
    }
    document.statements.reserve_exact(list.len());
    for (index, value) in list.iter().enumerate() {
        match statement(value, index, kind).and_then(|statement| check_sid(statement, &document)) {
            Ok(statement) => {
                warnings(&statement, &mut document.warnings);
                document.statements.push(statement);
            }
            Err(why) => {
                let sid = value.member("Sid").and_then(Node::text).filter(|sid| !sid.is_empty());
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
    use serde_json::{Value, json};

    #[test]
    fn the_odd_forms_of_the_article_are_read() {
        let odd = json!({"Version": "2012-10-17", "Statement": {"Sid": "", "Effect": "Allow", "Action": "s3:Get*",
            "Resource": ["arn:aws:s3:::b/*"], "Condition": {}}});
        let document = read(Node::Value(&odd), Kind::Identity, None, 0);
        assert!(document.malformed.is_empty() && document.variables);
        assert_eq!(document.statements.len(), 1);
        assert_eq!(document.statements[0].sid, None);
    }

    #[test]
    fn a_malformed_statement_is_named_and_its_neighbour_kept() {
        let value = json!({"Statement": [{"Sid": "A", "Effect": "allow", "Action": "s3:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]});
        let document = read(Node::Value(&value), Kind::Identity, None, 0);
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
            read(Node::Value(&document), Kind::Identity, None, 0).malformed.len()
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
