//! What was observed of AWS at the edges of conditions (facts G.5, OBSERVED), what no policy decides, and what no service would have
//! saved: each row in the evaluator and in the second one.

use crate::naive::evaluator;
use serde_json::{Value, json};
use xdeploy::policy::simulate;

const USER: &str = "arn:aws:iam::111111111111:user/ann";

fn document(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn full() -> Value {
    document(json!({"Effect": "Allow", "Action": "*", "Resource": "*"}))
}

fn request(members: Value) -> Value {
    let mut request = json!({"id": 1, "principal": USER, "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k",
        "resourceAccount": "111111111111", "context": {}});
    request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    request
}

/// Lists what either evaluator says wrongly.
fn wrong(what: &str, request: &Value, right: &str) -> Vec<String> {
    let said = [simulate(request)["decision"].as_str().unwrap().to_owned(), evaluator::decide(request).name().to_owned()];
    let names = ["the evaluator", "the second evaluator"];
    let wrong = names.iter().zip(said).filter(|(_, said)| said != right);
    wrong.map(|(name, said)| format!("{what}: {name} says {said}, should be {right}: {request}")).collect()
}

/// Operator, value of the policy, value of the request (null: absent), whether it holds.
type Row = (&'static str, Value, Value, bool);

fn conditions() -> Vec<Row> {
    let mut rows: Vec<Row> = vec![
        // A scalar operator and a key of several values: never.
        ("StringEquals", json!("a"), json!(["a"]), false),
        ("StringNotEquals", json!("a"), json!(["b"]), false),
        ("StringEqualsIfExists", json!("a"), json!(["a"]), false),
        ("StringNotEqualsIfExists", json!("a"), json!(["b"]), false),
        ("Bool", json!("TRUE"), json!("true"), true),
        ("Bool", json!("true"), json!("True"), true),
        ("Bool", json!("false"), json!("true"), false),
        // What is no number and no date is unequal.
        ("NumericNotEquals", json!("1"), json!("no-number"), true),
        ("NumericNotEquals", json!("1"), json!(""), true),
        ("NumericEquals", json!("1"), json!("no-number"), false),
        ("NumericEquals", json!("1"), json!("01"), true),
        ("NumericEquals", json!("1"), json!("+1"), true),
        ("NumericEquals", json!("1"), json!("1e0"), true),
        ("NumericNotEquals", json!("1"), json!("NaN"), true),
        ("DateNotEquals", json!("2030-01-01T00:00:00Z"), json!("not-a-date"), true),
        ("DateEquals", json!("2030-01-01T00:00:00Z"), json!("1893456000"), true),
        ("DateEquals", json!("+1893456000"), json!("2030-01-01T00:00:00Z"), true),
        ("DateNotEquals", json!("+1893456000"), json!("2030-01-01T00:00:00Z"), false),
        ("DateGreaterThan", json!("+1893456000"), json!("2030-01-02T00:00:00Z"), true),
        ("StringLike", json!("?"), json!("\u{10400}"), false),
        ("StringLike", json!("??"), json!("\u{10400}"), true),
        ("StringEqualsIgnoreCase", json!("\u{39f}\u{3a3}"), json!("\u{3bf}\u{3c2}"), true),
        ("StringEqualsIgnoreCase", json!("s"), json!("\u{17f}"), false),
    ];
    let networks = [
        ("192.0.2.0/24", "192.0.2.1", true),
        ("192.0.2.5/24", "192.0.2.1", true),
        ("192.0.2.0/24", "::ffff:192.0.2.1", true),
        ("192.0.2.0/24", "::ffff:c000:201", true),
        ("::ffff:c000:200/120", "192.0.2.1", false),
        ("::ffff:c000:200/120", "::ffff:192.0.2.1", false),
        ("::ffff:192.0.2.0/120", "192.0.2.1", false),
        ("::ffff:192.0.2.0/120", "::ffff:192.0.2.1", false),
        ("::ffff:192.0.2.1", "192.0.2.1", false),
        ("::192.0.2.0/120", "::c000:201", false),
        ("64:ff9b::192.0.2.0/120", "64:ff9b::c000:201", false),
        ("64:ff9b::c000:200/120", "64:ff9b::c000:201", true),
        ("192.000.002.0/24", "192.0.2.1", true),
        ("192.000.002.1", "192.0.2.1", true),
        ("192.0.2.0/024", "192.0.2.1", true),
        ("192.0.2.0/+24", "192.0.2.1", true),
        ("192.0.2.0/-24", "192.0.2.1", false),
        ("192.0.2.0/33", "192.0.2.1", false),
        ("192.0.2.0/0", "2001:db8::1", false),
        ("::/0", "192.0.2.1", false),
        ("::/0", "::ffff:192.0.2.1", false),
        ("::/0", "2001:db8::1", true),
        ("2001:db8::5/64", "2001:db8::1", false),
        ("2001:db8::5/64", "2001:db8::5", false),
        ("2001:db8::4/127", "2001:db8::5", true),
        ("2001:db8::1", "2001:db8::1", true),
    ];
    rows.extend(networks.map(|(network, address, holds)| ("IpAddress", json!(network), json!(address), holds)));
    rows.extend(networks.map(|(network, address, holds)| ("NotIpAddress", json!(network), json!(address), !holds)));
    // `true` in any case asks for absence, every other text for presence.
    for (value, asks_for_absence) in
        [("true", true), ("TRUE", true), ("false", false), ("False", false), ("", false), ("yes", false), ("1", false), ("absent", false)]
    {
        rows.push(("Null", json!(value), Value::Null, asks_for_absence));
        rows.push(("Null", json!(value), json!("x"), !asks_for_absence));
    }
    rows.push(("Null", json!(true), Value::Null, true));
    rows.push(("Null", json!(false), json!("x"), true));
    rows.push(("Null", json!(0), json!("x"), true));
    rows
}

#[test]
fn conditions_hold_as_observed() {
    let mut found = Vec::new();
    for (operator, value, own, holds) in conditions() {
        let context = if own.is_null() { json!({}) } else { json!({"aws:RequestTag/value": own}) };
        let part = |effect: &str| json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": {(operator): {"aws:RequestTag/value": value}}});
        let allow = request(json!({"context": context, "identityPolicies": document(json!([part("Allow")]))}));
        let deny = request(json!({"context": context, "identityPolicies": [full(), document(json!([part("Deny")]))]}));
        let what = format!("{operator} {value} of {own}");
        found.extend(wrong(&what, &allow, if holds { "allowed" } else { "implicitly-denied" }));
        found.extend(wrong(&what, &deny, if holds { "explicitly-denied" } else { "allowed" }));
    }
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}

#[test]
fn nobody_is_kept_from_asking_who_it_is() {
    let deny = document(json!({"Effect": "Deny", "Action": "*", "Resource": "*"}));
    let on = |members: Value| {
        let mut request = request(json!({"action": "sts:GetCallerIdentity", "resource": "*"}));
        request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        request
    };
    let session = json!({"principal": "arn:aws:sts::111111111111:assumed-role/a/s"});
    let mut found = Vec::new();
    for (what, request, right) in [
        ("no policy", on(json!({})), "allowed"),
        ("a denial", on(json!({"identityPolicies": deny})), "allowed"),
        ("a denial by the organisation", on(json!({"scps": [[deny]]})), "allowed"),
        ("a boundary", on(json!({"permissionBoundaries": [deny]})), "allowed"),
        ("a session", on(session), "allowed"),
        ("in another case", on(json!({"action": "STS:getcalleridentity", "identityPolicies": deny})), "allowed"),
        ("a document that has no say", on(json!({"identityPolicies": 7})), "allowed"),
        ("without a signature", on(json!({"principal": "anonymous"})), "implicitly-denied"),
        ("another call of STS", on(json!({"action": "sts:GetSessionToken2", "identityPolicies": deny})), "explicitly-denied"),
    ] {
        found.extend(wrong(what, &request, right));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_is_awss_own_is_changed_by_nobody() {
    let reserved = "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef";
    let linked = "arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX";
    let managed = "arn:aws:iam::aws:policy/AdministratorAccess";
    let alias = "arn:aws:kms:eu-west-1:111111111111:alias/aws/s3";
    let own = "arn:aws:iam::111111111111:role/own";
    let (yes, no) = ("allowed", "implicitly-denied");
    let rows = [
        ("iam:PutRolePolicy", reserved, no),
        ("iam:AttachRolePolicy", reserved, no),
        ("iam:DetachRolePolicy", reserved, no),
        ("iam:DeleteRolePolicy", reserved, no),
        ("iam:UpdateAssumeRolePolicy", reserved, no),
        ("iam:UpdateRole", reserved, no),
        ("iam:DeleteRole", reserved, no),
        ("iam:TagRole", reserved, no),
        ("iam:PutRolePermissionsBoundary", reserved, no),
        ("IAM:putrolepolicy", reserved, no),
        ("iam:GetRole", reserved, yes),
        ("iam:ListAttachedRolePolicies", reserved, yes),
        ("iam:PutRolePolicy", linked, no),
        ("iam:UpdateAssumeRolePolicy", linked, no),
        ("iam:PutRolePolicy", own, yes),
        ("iam:CreatePolicyVersion", managed, no),
        ("iam:DeletePolicy", managed, no),
        ("iam:SetDefaultPolicyVersion", managed, no),
        ("iam:GetPolicy", managed, yes),
        ("kms:UpdateAlias", alias, no),
        ("kms:DeleteAlias", alias, no),
        ("kms:CreateAlias", alias, no),
        ("kms:UpdateAlias", "arn:aws:kms:eu-west-1:111111111111:alias/awsome", yes),
    ];
    let mut found = Vec::new();
    for (action, resource, right) in rows {
        for principal in [USER, "arn:aws:iam::111111111111:root"] {
            let asked = request(json!({"principal": principal, "action": action, "resource": resource, "identityPolicies": full()}));
            found.extend(wrong(action, &asked, right));
            if right == no {
                let reason = &simulate(&asked)["missing"][0];
                assert!(reason["side"] == "aws-owned" && reason["text"].as_str().unwrap().contains("nobody can change"), "{reason}");
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_no_service_would_have_saved_is_an_error() {
    let allow = |name: &str, value: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
        statement[name] = value;
        statement
    };
    let but = |name: &str, value: Value| {
        let mut statement = allow(name, value);
        statement.as_object_mut().unwrap().shift_remove(name.trim_start_matches("Not"));
        statement
    };
    let when = |condition: Value| allow("Condition", condition);
    let to = |element: &str, value: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
        statement[element] = value;
        statement
    };
    let identity = |statement: Value| request(json!({"identityPolicies": [full(), document(statement)]}));
    let whole = |document: Value| request(json!({"identityPolicies": [full(), document]}));
    let bucket = |statement: Value| request(json!({"identityPolicies": full(), "resourcePolicy": document(statement)}));
    let good = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
    let mut found = Vec::new();
    for (what, request) in [
        ("an action without a service", identity(allow("Action", json!("GetObject")))),
        ("an action without a name", identity(allow("Action", json!("s3:")))),
        ("an action with nothing before the colon", identity(allow("Action", json!(":GetObject")))),
        ("no action", identity(allow("Action", json!([])))),
        ("no resource", identity(allow("Resource", json!([])))),
        ("a resource that is no ARN", identity(allow("Resource", json!("b/k")))),
        ("a wildcard for the service", identity(allow("Resource", json!("arn:aws:*:::b/k")))),
        ("a wildcard within the service", identity(allow("Resource", json!("arn:aws:s?:::b/k")))),
        ("an operator that isn't one", identity(when(json!({"StringIs": {"a:b": "c"}})))),
        ("ForAllValues of Null", identity(when(json!({"ForAllValues:Null": {"a:b": "true"}})))),
        ("IfExists of Null", identity(when(json!({"NullIfExists": {"a:b": "true"}})))),
        ("a Principal in an identity policy", identity(to("Principal", json!("*")))),
        ("an element that isn't one", identity(allow("Conditions", json!({})))),
        ("an effect that isn't one", identity(allow("Effect", json!("allow")))),
        ("two of a kind", identity(allow("NotAction", json!("iam:*")))),
        ("NotResource that excludes nothing", identity(but("NotResource", json!([])))),
        ("a Version that isn't one", whole(json!({"Version": "2012-10-18", "Statement": good}))),
        ("a Version that is no text", whole(json!({"Version": 2012, "Statement": good}))),
        ("no statement", whole(json!({"Version": "2012-10-17"}))),
        ("an empty list of statements", whole(json!({"Version": "2012-10-17", "Statement": []}))),
        ("a member that isn't one", whole(json!({"Version": "2012-10-17", "Statement": good, "Statements": []}))),
        ("an Id that is no text", whole(json!({"Version": "2012-10-17", "Id": 7, "Statement": good}))),
        ("NotPrincipal with Allow", bucket(to("NotPrincipal", json!({"AWS": "111111111111"})))),
        ("a principal with a wildcard", bucket(to("Principal", json!({"AWS": "arn:aws:iam::111111111111:role/*"})))),
        ("a service with a wildcard", bucket(to("Principal", json!({"Service": "*.amazonaws.com"})))),
        ("a principal that is none", bucket(to("Principal", json!({"AWS": "ann"})))),
        ("no principal", bucket(good.clone())),
        ("a kind of principal that isn't one", bucket(to("Principal", json!({"Aws": "111111111111"})))),
    ] {
        found.extend(wrong(what, &request, "error"));
    }
    // And what looks odd, and is saved.
    let id = json!({"Version": "2012-10-17", "Id": "x", "Statement": to("Principal", json!("*"))});
    for (what, request) in [
        ("two empty Sids", identity(json!([allow("Sid", json!("")), allow("Sid", json!(""))]))),
        ("an object for a list", identity(good.clone())),
        ("an empty Condition", identity(allow("Condition", json!({})))),
        ("an operator without keys", identity(allow("Condition", json!({"StringEquals": {}})))),
        ("no Version", whole(json!({"Statement": good}))),
        ("the old Version", whole(json!({"Version": "2008-10-17", "Statement": [good]}))),
        ("an Id in a bucket policy", request(json!({"resourcePolicy": id}))),
        ("what is left of a deleted role", bucket(to("Principal", json!({"AWS": ["AROAEXAMPLEEXAMPLE001", "111111111111"]})))),
        ("numbers and truths in a condition", identity(when(json!({"NumericLessThan": {"a:n": 5}, "Bool": {"aws:SecureTransport": true}})))),
        ("a service that nobody knows yet", identity(allow("Action", json!("newservice:DoIt")))),
    ] {
        found.extend(wrong(what, &request, "allowed"));
    }
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}

/// What a document says that IAM completes: the parts that an identity-based policy's ARN lacks are stars (IAM-Grammar).
#[test]
fn an_arn_cut_short_is_completed_in_an_identity_policy() {
    let deny = |resource: &str| document(json!({"Effect": "Deny", "Action": "s3:*", "Resource": resource}));
    let mut found = Vec::new();
    for (resource, right) in [
        ("arn:aws:s3", "explicitly-denied"),
        ("arn:aws:s3:*", "explicitly-denied"),
        ("arn:aws:s3::", "explicitly-denied"),
        ("arn:aws:sqs", "allowed"),
        ("arn:aws:s3:eu-west-1", "allowed"),
    ] {
        found.extend(wrong(resource, &request(json!({"identityPolicies": [full(), deny(resource)]})), right));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
