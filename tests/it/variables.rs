//! AWS's page on policy variables, row by row, in three implementations: the evaluator, the second one that was written apart from
//! it, and the accounts in memory, which are asked over their interface.
//!
//! The page is IAM-Vars (the fact sheet's section H), "Policy variables with no value": such a value is null, nothing is equal to
//! it or like it, negated operators match it, and as part of Resource or NotResource it matches no resource.

use crate::naive::evaluator;
use serde_json::{Map, Value, json};
use xdeploy::policy::simulate;
use xdeploy::rehearsal::{DEV, Rehearsal};

const TAG: &str = "aws:PrincipalTag/Team";
const KEY: &str = "aws:ResourceTag/Team";
const TARGET: &str = "arn:aws:iam::111111111111:role/target";

struct Row {
    what: &'static str,
    /// What the statement says besides Effect and Action; without Resource or NotResource it is about everything.
    part: Value,
    context: Value,
    matches: bool,
}

fn row(what: &'static str, part: Value, context: Value, matches: bool) -> Row {
    Row { what, part, context, matches }
}

/// A row about a condition.
fn when(what: &'static str, operator: &str, values: Value, context: Value, matches: bool) -> Row {
    row(what, json!({"Condition": {(operator): {(KEY): values}}}), context, matches)
}

fn rows() -> Vec<Row> {
    let mine = "${aws:PrincipalTag/Team}";
    let key = |value: &str| json!({ (KEY): value });
    let both = |key: &str, tag: &str| json!({(KEY): key, (TAG): tag});
    let mut rows = Vec::new();
    // A value: both ways of each operator.
    for (positive, negated) in [
        ("StringEquals", "StringNotEquals"),
        ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
        ("StringLike", "StringNotLike"),
        ("StringEqualsIfExists", "StringNotEqualsIfExists"),
        ("StringLikeIfExists", "StringNotLikeIfExists"),
    ] {
        let if_there = positive.ends_with("IfExists");
        rows.extend([
            when("a value that is equal", positive, json!(mine), both("red", "red"), true),
            when("a value that is equal, negated", negated, json!(mine), both("red", "red"), false),
            when("another value", positive, json!(mine), both("red", "blue"), false),
            when("another value, negated", negated, json!(mine), both("red", "blue"), true),
            when("no value", positive, json!(mine), key("red"), false),
            when("no value, negated", negated, json!(mine), key("red"), true),
            when("no value, and the key is empty", positive, json!(mine), key(""), false),
            when("no value, and the key is empty, negated", negated, json!(mine), key(""), true),
            when("no value and no key", positive, json!(mine), json!({}), if_there),
            when("no value and no key, negated", negated, json!(mine), json!({}), true),
            when("a value and no key", positive, json!(mine), json!({ (TAG): "red" }), if_there),
            when("a value and no key, negated", negated, json!(mine), json!({ (TAG): "red" }), true),
            when("no value beside a text that is equal", positive, json!([mine, "red"]), key("red"), true),
            when("no value beside a text that is equal, negated", negated, json!([mine, "red"]), key("red"), false),
            when("no value beside another text", positive, json!(["blue", mine]), key("red"), false),
            when("no value beside another text, negated", negated, json!(["blue", mine]), key("red"), true),
            when("a text around no value", positive, json!("re${aws:PrincipalTag/Team}d"), key("red"), false),
            when("a text around no value, negated", negated, json!("re${aws:PrincipalTag/Team}d"), key("red"), true),
            when("a default", positive, json!("${aws:PrincipalTag/Team, 'red'}"), key("red"), true),
            when("a default, negated", negated, json!("${aws:PrincipalTag/Team, 'red'}"), key("red"), false),
            when("a default that isn't needed", positive, json!("${aws:PrincipalTag/Team, 'red'}"), both("red", "blue"), false),
        ]);
    }
    let arn = "arn:aws:iam::111111111111:role/${aws:PrincipalTag/Team}";
    for (positive, negated) in [("ArnEquals", "ArnNotEquals"), ("ArnLike", "ArnNotLike")] {
        let red = "arn:aws:iam::111111111111:role/red";
        rows.extend([
            when("an ARN with a value", positive, json!(arn), both(red, "red"), true),
            when("an ARN with a value, negated", negated, json!(arn), both(red, "red"), false),
            when("an ARN without a value", positive, json!(arn), key(red), false),
            when("an ARN without a value, negated", negated, json!(arn), key(red), true),
            when("an ARN without a value, no key, negated", negated, json!(arn), json!({}), true),
        ]);
    }
    // A key of several values fills no variable, with a default neither.
    let several = json!({(KEY): "red", (TAG): ["red"]});
    rows.extend([
        when("a variable of several values", "StringEquals", json!(mine), several.clone(), false),
        when("a variable of several values, negated", "StringNotEquals", json!(mine), several.clone(), true),
        when("several values and a default", "StringEquals", json!("${aws:PrincipalTag/Team, 'red'}"), several.clone(), false),
        when("several values and a default, negated", "StringNotEquals", json!("${aws:PrincipalTag/Team, 'red'}"), several, true),
    ]);
    // Sets: each value of the key by itself.
    let of_set = |operator: &str, context: Value| json!([json!({"Condition": {(operator): {"aws:TagKeys": mine}}}), context]);
    for (operator, context, matches) in [
        ("ForAnyValue:StringEquals", json!({"aws:TagKeys": ["a"]}), false),
        ("ForAnyValue:StringNotEquals", json!({"aws:TagKeys": ["a"]}), true),
        ("ForAllValues:StringEquals", json!({"aws:TagKeys": ["a"]}), false),
        ("ForAllValues:StringNotEquals", json!({"aws:TagKeys": ["a", "b"]}), true),
        ("ForAllValues:StringEquals", json!({}), true),
        ("ForAnyValue:StringNotEquals", json!({}), false),
        ("ForAllValues:StringEquals", json!({"aws:TagKeys": []}), true),
    ] {
        let made = of_set(operator, context);
        rows.push(row("no value in a set", made[0].clone(), made[1].clone(), matches));
    }
    // Resource and NotResource.
    let on = |element: &str, what: Value| json!({ (element): what });
    let path = "arn:aws:iam::111111111111:role/${aws:PrincipalTag/Team}";
    let target = json!({ (TAG): "target" });
    rows.extend([
        row("Resource with a value", on("Resource", json!(path)), target.clone(), true),
        row("Resource without a value", on("Resource", json!(path)), json!({}), false),
        row(
            "Resource without a value, and a star",
            on("Resource", json!("arn:aws:iam::*:role/*${aws:PrincipalTag/Team}*")),
            json!({}),
            false,
        ),
        row("one Resource without a value", on("Resource", json!([path, TARGET])), json!({}), true),
        row("NotResource with a value", on("NotResource", json!(path)), target, false),
        row("NotResource without a value excludes nothing", on("NotResource", json!(path)), json!({}), true),
        row("one NotResource without a value", on("NotResource", json!([path, TARGET])), json!({}), false),
        row("one NotResource without a value, and another", on("NotResource", json!([path, "arn:aws:iam::*:user/*"])), json!({}), true),
    ]);
    rows
}

fn document(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn statement(effect: &str, part: &Value) -> Value {
    let mut statement = json!({"Effect": effect, "Action": "iam:GetRole"});
    let about = part.get("Resource").or(part.get("NotResource"));
    if about.is_none() {
        statement["Resource"] = json!("*");
    }
    statement.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    statement
}

/// The policy in which the row's statement allows, then the one in which it denies, each with the decision that is right.
fn documents(row: &Row) -> [(Value, &'static str); 2] {
    let all = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    [
        (document(&[statement("Allow", &row.part)]), if row.matches { "allowed" } else { "implicitly-denied" }),
        (document(&[all, statement("Deny", &row.part)]), if row.matches { "explicitly-denied" } else { "allowed" }),
    ]
}

fn requests(row: &Row) -> Vec<(Value, &'static str)> {
    let request = |document: Value| {
        json!({"id": 1, "principal": "arn:aws:sts::111111111111:assumed-role/caller/s", "action": "iam:GetRole", "resource": TARGET,
            "resourceAccount": DEV, "context": row.context, "identityPolicies": document})
    };
    documents(row).into_iter().map(|(document, right)| (request(document), right)).collect()
}

fn wrong_rows(decide: impl Fn(&Value) -> String) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows() {
        for (request, right) in requests(&row) {
            let said = decide(&request);
            if said != right {
                wrong.push(format!("{}: {said}, should be {right}: {} in {}", row.what, request["identityPolicies"], row.context));
            }
        }
    }
    wrong
}

#[test]
fn the_evaluator_takes_a_variable_without_a_value_as_aws_does() {
    let wrong = wrong_rows(|request| simulate(request)["decision"].as_str().unwrap().to_owned());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), 2 * rows().len(), wrong.join("\n"));
}

#[test]
fn the_second_evaluator_takes_a_variable_without_a_value_as_aws_does() {
    let wrong = wrong_rows(|request| evaluator::decide(request).name().to_owned());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), 2 * rows().len(), wrong.join("\n"));
}

/// A variable whose value isn't known is as much as its values and its absence together.
#[test]
fn an_unknown_value_is_every_value_and_none() {
    let condition = |operator: &str| json!({"Condition": {(operator): {(KEY): "${aws:PrincipalTag/Team}"}}});
    let ask = |effect: &str, part: &Value, context: Value| {
        let mut statements = vec![statement(effect, part)];
        if effect == "Deny" {
            statements.push(json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
        }
        let request = json!({"id": 1, "principal": "arn:aws:iam::111111111111:user/ann", "action": "iam:GetRole", "resource": TARGET,
            "resourceAccount": DEV, "context": context, "unknownContext": [TAG], "identityPolicies": document(&statements)});
        simulate(&request)["decision"].as_str().unwrap().to_owned()
    };
    let red = json!({ (KEY): "red" });
    for (effect, part, context, right) in [
        ("Allow", condition("StringEquals"), red.clone(), "unknown"),
        ("Allow", condition("StringNotEquals"), red.clone(), "unknown"),
        ("Deny", condition("StringEquals"), red.clone(), "unknown"),
        ("Deny", condition("StringNotEquals"), red, "unknown"),
        // Whatever the variable is, the key isn't there.
        ("Allow", condition("StringEquals"), json!({}), "implicitly-denied"),
        ("Allow", condition("StringNotEquals"), json!({}), "allowed"),
        ("Deny", condition("StringNotEquals"), json!({}), "explicitly-denied"),
        ("Deny", condition("StringEquals"), json!({}), "allowed"),
        ("Allow", condition("StringEqualsIfExists"), json!({}), "allowed"),
        ("Allow", json!({"Resource": "arn:aws:iam::111111111111:role/${aws:PrincipalTag/Team}"}), json!({}), "unknown"),
        ("Allow", json!({"Resource": "arn:aws:iam::111111111111:user/${aws:PrincipalTag/Team}"}), json!({}), "implicitly-denied"),
        ("Deny", json!({"NotResource": "arn:aws:iam::111111111111:role/${aws:PrincipalTag/Team}"}), json!({}), "unknown"),
        ("Deny", json!({"NotResource": "arn:aws:iam::111111111111:user/${aws:PrincipalTag/Team}"}), json!({}), "explicitly-denied"),
    ] {
        assert_eq!(ask(effect, &part, context.clone()), right, "{effect} {part} in {context}");
    }
}

/// The tags of a row's context that begin so, for a role.
fn tags(context: &Value, prefix: &str) -> Vec<aws_sdk_iam::types::Tag> {
    let own: &Map<String, Value> = context.as_object().unwrap();
    let tag = |(key, value): (&String, &Value)| {
        let tag = aws_sdk_iam::types::Tag::builder().key(key.strip_prefix(prefix)?);
        Some(tag.value(value.as_str().unwrap()).build().unwrap())
    };
    own.iter().filter_map(tag).collect()
}

/// Each row as calls: a role that has the tags or hasn't, its policy, and a session of it that reads another role.
#[tokio::test]
async fn the_accounts_in_memory_take_a_variable_without_a_value_as_aws_does() {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
    let config = rehearsal.config(rehearsal.keys(DEV), "us-east-1");
    let (iam, sts) = (aws_sdk_iam::Client::new(&config), aws_sdk_sts::Client::new(&config));
    let trust = document(&[json!({"Effect": "Allow", "Principal": {"AWS": DEV}, "Action": "sts:AssumeRole"})]).to_string();
    let (mut wrong, mut asked) = (Vec::new(), 0);
    // What can't be a role's tags: lists, and the tag keys of a call that brings none.
    let can_be = |row: &Row| {
        let texts = row.context.as_object().unwrap().values().all(Value::is_string);
        texts && !row.part.to_string().contains("aws:TagKeys")
    };
    for row in rows().iter().filter(|row| can_be(row)) {
        let create = |name: &str, tags: Vec<aws_sdk_iam::types::Tag>| {
            let role = iam.create_role().role_name(name).assume_role_policy_document(&trust);
            role.set_tags(Some(tags).filter(|tags| !tags.is_empty())).send()
        };
        create("target", tags(&row.context, "aws:ResourceTag/")).await.unwrap();
        create("caller", tags(&row.context, "aws:PrincipalTag/")).await.unwrap();
        let session =
            sts.assume_role().role_arn(format!("arn:aws:iam::{DEV}:role/caller")).role_session_name("session").send().await.unwrap();
        let credentials = session.credentials().unwrap();
        let keys = crate::support::served::of_session(credentials);
        let caller = aws_sdk_iam::Client::new(&config.to_builder().credentials_provider(keys).build());
        for (document, right) in documents(row) {
            asked += 1;
            iam.put_role_policy().role_name("caller").policy_name("p").policy_document(document.to_string()).send().await.unwrap();
            let answer = caller.get_role().role_name("target").send().await;
            let passed = match &answer {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error.as_service_error().and_then(|error| error.meta().code()), Some("AccessDenied"), "{}", row.what);
                    false
                }
            };
            if passed != (right == "allowed") {
                wrong.push(format!("{}: passed is {passed}, should be {right}: {document} in {}", row.what, row.context));
            }
        }
        iam.delete_role_policy().role_name("caller").policy_name("p").send().await.unwrap();
        for name in ["caller", "target"] {
            iam.delete_role().role_name(name).send().await.unwrap();
        }
    }
    assert!(asked > 150 && wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
}
