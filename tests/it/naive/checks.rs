//! Hand-written cases for the naive evaluator alone, each with its source: who is right when the two disagree.

use serde_json::{Value, json};

use super::evaluator::{Decision, decide};
use Decision::{Allowed, Error, ExplicitlyDenied, ImplicitlyDenied, Unknown};

const USER: &str = "arn:aws:iam::111111111111:user/alice";
const ROLE: &str = "arn:aws:iam::111111111111:role/service-role/build";
const SESSION: &str = "arn:aws:sts::111111111111:assumed-role/build/1790";
const OTHER_ROLE: &str = "arn:aws:iam::222222222222:role/prods3role";
const OTHER_SESSION: &str = "arn:aws:sts::222222222222:assumed-role/prods3role/1790";
const OBJECT: &str = "arn:aws:s3:::artifacts/app/alice/x.zip";
const KEY: &str = "arn:aws:kms:eu-west-1:111111111111:key/11aa";

/// Who reads the object in account 111111111111, with what besides.
fn read(principal: &str, more: Value) -> Value {
    let mut request = json!({"id": "x", "principal": principal, "action": "s3:GetObject", "resource": OBJECT, "resourceAccount": "111111111111", "context": {}});
    if principal == SESSION {
        request["principalRole"] = json!(ROLE);
    }
    for (field, value) in more.as_object().unwrap() {
        request[field.as_str()] = value.clone();
    }
    request
}

fn with_key(principal: &str, action: &str, more: Value) -> Value {
    let mut request = read(principal, more);
    request["action"] = json!(action);
    request["resource"] = json!(KEY);
    request
}

fn assume(principal: &str, more: Value) -> Value {
    let mut request = read(principal, more);
    request["action"] = json!("sts:AssumeRole");
    request["resource"] = json!("arn:aws:iam::111111111111:role/target");
    request
}

fn document(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Allow everything, as an identity document.
fn full() -> Value {
    document(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]))
}

fn nothing_here() -> Value {
    document(json!([{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]))
}

/// A resource policy of one statement that allows a principal.
fn to(principal: Value) -> Value {
    document(json!([{"Effect": "Allow", "Principal": principal, "Action": "*", "Resource": "*"}]))
}

fn trust(principal: Value) -> Value {
    document(json!([{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]))
}

/// Whether one condition holds in a context.
fn when(condition: Value, context: Value) -> Value {
    read(
        USER,
        json!({"context": context, "identityPolicies": document(json!([{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}]))}),
    )
}

fn resource(version: &str, pattern: &str, context: Value) -> Value {
    read(
        USER,
        json!({"context": context, "identityPolicies": {"Version": version, "Statement": {"Effect": "Allow", "Action": "s3:getobject", "Resource": pattern}}}),
    )
}

fn case(source: &'static str, expected: Decision, request: Value) -> (&'static str, Decision, Value) {
    (source, expected, request)
}

fn sides() -> Vec<(&'static str, Decision, Value)> {
    let deny = json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:Get*", "Resource": "*"}]);
    let all_but =
        |principals: Value| document(json!([{"Effect": "Deny", "NotPrincipal": {"AWS": principals}, "Action": "*", "Resource": "*"}]));
    let pinned = document(
        json!([{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/service-role/*"}}}]),
    );
    vec![
        case("IAM-Eval: nothing allows", ImplicitlyDenied, read(USER, json!({}))),
        case("IAM-Eval: identity is enough", Allowed, read(USER, json!({"identityPolicies": full()}))),
        case("IAM-Eval: deny beats allow", ExplicitlyDenied, read(USER, json!({"identityPolicies": document(deny.clone())}))),
        case(
            "IAM-Eval: deny in a boundary",
            ExplicitlyDenied,
            read(USER, json!({"identityPolicies": full(), "permissionBoundaries": document(deny)})),
        ),
        case(
            "IAM-Eval: boundary lacks",
            ImplicitlyDenied,
            read(USER, json!({"identityPolicies": full(), "permissionBoundaries": nothing_here()})),
        ),
        case(
            "IAM-Eval: session policy lacks",
            ImplicitlyDenied,
            read(SESSION, json!({"identityPolicies": full(), "sessionPolicy": [nothing_here()]})),
        ),
        case(
            "IAM-Principal: user named, boundary lacks",
            Allowed,
            read(USER, json!({"resourcePolicy": to(json!({"AWS": USER})), "permissionBoundaries": nothing_here()})),
        ),
        case(
            "IAM-Principal: session named, session policy lacks",
            Allowed,
            read(SESSION, json!({"resourcePolicy": to(json!({"AWS": SESSION})), "sessionPolicy": nothing_here()})),
        ),
        case(
            "IAM-Principal: role named, session policy lacks",
            ImplicitlyDenied,
            read(SESSION, json!({"resourcePolicy": to(json!({"AWS": ROLE})), "sessionPolicy": nothing_here()})),
        ),
        case(
            "IAM-Principal: role named, boundary lacks",
            ImplicitlyDenied,
            read(SESSION, json!({"resourcePolicy": to(json!({"AWS": ROLE})), "permissionBoundaries": nothing_here()})),
        ),
        case("IAM-Principal: role named", Allowed, read(SESSION, json!({"resourcePolicy": to(json!({"AWS": ROLE}))}))),
        case(
            "IAM-Principal: role named without its path",
            ImplicitlyDenied,
            read(SESSION, json!({"resourcePolicy": to(json!({"AWS": "arn:aws:iam::111111111111:role/build"}))})),
        ),
        case(
            "IAM-Principal: account named, delegation only",
            ImplicitlyDenied,
            read(SESSION, json!({"resourcePolicy": to(json!({"AWS": "111111111111"}))})),
        ),
        case(
            "IAM-Principal: * and aws:PrincipalArn, boundary lacks",
            Allowed,
            read(SESSION, json!({"resourcePolicy": pinned, "permissionBoundaries": nothing_here(), "context": {"aws:PrincipalArn": ROLE}})),
        ),
        case(
            "IAM-Principal: wildcard in a principal ARN",
            Error,
            read(SESSION, json!({"resourcePolicy": to(json!({"AWS": "arn:aws:iam::111111111111:role/service-role/*"}))})),
        ),
        case(
            "IAM-Principal: AROA is nobody",
            ImplicitlyDenied,
            read(SESSION, json!({"resourcePolicy": to(json!({"AWS": ["AROAEXAMPLEEXAMPLE001", "AIDAEXAMPLEEXAMPLE001"]}))})),
        ),
        case(
            "IAM-Principal: federated user's session named",
            Allowed,
            read(
                "arn:aws:sts::111111111111:federated-user/fay",
                json!({"resourcePolicy": to(json!({"AWS": "arn:aws:sts::111111111111:federated-user/fay"}))}),
            ),
        ),
        case("IAM-Principal: anonymous and *", Allowed, read("anonymous", json!({"resourcePolicy": to(json!("*"))}))),
        case("IAM-Principal: anonymous and {AWS: *}", Allowed, read("anonymous", json!({"resourcePolicy": to(json!({"AWS": "*"}))}))),
        case(
            "IAM-Principal: anonymous and an account",
            ImplicitlyDenied,
            read("anonymous", json!({"resourcePolicy": to(json!({"AWS": "111111111111"}))})),
        ),
        case(
            "IAM-Principal: service named",
            Allowed,
            assume(
                "codepipeline.amazonaws.com",
                json!({"resourcePolicy": trust(json!({"Service": ["events.amazonaws.com", "codepipeline.amazonaws.com"]}))}),
            ),
        ),
        case(
            "IAM-Principal: another service",
            ImplicitlyDenied,
            assume("codepipeline.amazonaws.com", json!({"resourcePolicy": trust(json!({"Service": "events.amazonaws.com"}))})),
        ),
        case("IAM-EvalX: identity side alone", ImplicitlyDenied, read(OTHER_SESSION, json!({"identityPolicies": full()}))),
        case(
            "IAM-EvalX: resource side alone",
            ImplicitlyDenied,
            read(OTHER_SESSION, json!({"resourcePolicy": to(json!({"AWS": OTHER_ROLE}))})),
        ),
        case(
            "IAM-EvalX: both sides",
            Allowed,
            read(OTHER_SESSION, json!({"identityPolicies": full(), "resourcePolicy": to(json!({"AWS": OTHER_ROLE}))})),
        ),
        case(
            "IAM-EvalX: session named, boundary lacks",
            ImplicitlyDenied,
            read(
                OTHER_SESSION,
                json!({"identityPolicies": full(), "permissionBoundaries": nothing_here(), "resourcePolicy": to(json!({"AWS": OTHER_SESSION}))}),
            ),
        ),
        case(
            "IAM-EvalX: account named",
            Allowed,
            read(
                OTHER_SESSION,
                json!({"identityPolicies": full(), "resourcePolicy": to(json!({"AWS": "arn:aws:iam::222222222222:root"}))}),
            ),
        ),
        case(
            "IAM-NotPrincipal: not listed",
            ExplicitlyDenied,
            read(USER, json!({"identityPolicies": full(), "resourcePolicy": all_but(json!(["222222222222"]))})),
        ),
        case(
            "IAM-NotPrincipal: account and user listed",
            Allowed,
            read(USER, json!({"identityPolicies": full(), "resourcePolicy": all_but(json!(["111111111111", USER]))})),
        ),
        case(
            "IAM-NotPrincipal: listed, but with a boundary",
            ExplicitlyDenied,
            read(
                USER,
                json!({"identityPolicies": full(), "permissionBoundaries": full(), "resourcePolicy": all_but(json!(["111111111111", USER]))}),
            ),
        ),
        case(
            "IAM-NotPrincipal: role without its session",
            ExplicitlyDenied,
            read(SESSION, json!({"identityPolicies": full(), "resourcePolicy": all_but(json!(["111111111111", ROLE]))})),
        ),
        case(
            "ORG-SCP: every level",
            ImplicitlyDenied,
            read(USER, json!({"identityPolicies": full(), "scps": [[full()], [nothing_here()]]})),
        ),
        case(
            "ORG-SCP: one document of a level",
            Allowed,
            read(USER, json!({"identityPolicies": full(), "scps": [[nothing_here(), full()], [full()]]})),
        ),
        case(
            "issue 3: an empty level allows nothing",
            ImplicitlyDenied,
            read(USER, json!({"identityPolicies": full(), "scps": [[full()], []]})),
        ),
        case(
            "ORG-SCP: not for service-linked roles",
            Allowed,
            read(
                "arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/X",
                json!({"identityPolicies": full(), "scps": [[nothing_here()]]}),
            ),
        ),
        case(
            "ORG-SCP: before a resource policy's grant",
            ImplicitlyDenied,
            read(USER, json!({"resourcePolicy": to(json!({"AWS": USER})), "scps": [[nothing_here()]]})),
        ),
        case(
            "ORG-RCP: external callers too",
            ExplicitlyDenied,
            read(
                OTHER_SESSION,
                json!({"identityPolicies": full(), "resourcePolicy": to(json!("*")), "rcps": [[to(json!("*")), document(json!([{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}]))]]}),
            ),
        ),
        case(
            "ORG-RCP: not kms:RetireGrant",
            Allowed,
            with_key(
                SESSION,
                "kms:RetireGrant",
                json!({"resourcePolicy": to(json!({"AWS": ROLE})), "rcps": [[document(json!([{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]))]]}),
            ),
        ),
        case(
            "S3-VPCE: endpoint policy lacks",
            ImplicitlyDenied,
            read(
                USER,
                json!({"identityPolicies": full(), "vpcEndpointPolicies": document(json!([{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}]))}),
            ),
        ),
        case(
            "S3-BPA: public statement, other account named too",
            ImplicitlyDenied,
            read(
                OTHER_SESSION,
                json!({"blockPublicAccess": true, "identityPolicies": full(), "resourcePolicy": to(json!({"AWS": ["*", OTHER_ROLE]}))}),
            ),
        ),
        case(
            "S3-BPA: public statement, own account",
            Allowed,
            read(USER, json!({"blockPublicAccess": true, "resourcePolicy": to(json!("*"))})),
        ),
        case(
            "S3-BPA: no public statement",
            Allowed,
            read(
                OTHER_SESSION,
                json!({"blockPublicAccess": true, "identityPolicies": full(), "resourcePolicy": to(json!({"AWS": OTHER_ROLE}))}),
            ),
        ),
        case("KMS-Default: identity alone", ImplicitlyDenied, with_key(SESSION, "kms:Decrypt", json!({"identityPolicies": full()}))),
        case(
            "KMS-Default: the root statement delegates",
            Allowed,
            with_key(
                SESSION,
                "kms:Decrypt",
                json!({"identityPolicies": full(), "resourcePolicy": to(json!({"AWS": "arn:aws:iam::111111111111:root"}))}),
            ),
        ),
        case(
            "KMS-Default: the root statement alone",
            ImplicitlyDenied,
            with_key(SESSION, "kms:Decrypt", json!({"resourcePolicy": to(json!({"AWS": "arn:aws:iam::111111111111:root"}))})),
        ),
        case("KMS-Default: role named", Allowed, with_key(SESSION, "kms:Decrypt", json!({"resourcePolicy": to(json!({"AWS": ROLE}))}))),
        case(
            "KMS-XAcct: both",
            Allowed,
            with_key(
                OTHER_SESSION,
                "kms:Decrypt",
                json!({"identityPolicies": full(), "resourcePolicy": to(json!({"AWS": "222222222222"}))}),
            ),
        ),
        case(
            "KMS-XAcct: no such operation across accounts",
            ImplicitlyDenied,
            with_key(
                OTHER_SESSION,
                "kms:PutKeyPolicy",
                json!({"identityPolicies": full(), "resourcePolicy": to(json!({"AWS": "222222222222"}))}),
            ),
        ),
        case(
            "KMS-XAcct: an alias in Resource",
            ImplicitlyDenied,
            with_key(
                OTHER_SESSION,
                "kms:Decrypt",
                json!({"identityPolicies": document(json!([{"Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:eu-west-1:111111111111:alias/*"}])), "resourcePolicy": to(json!({"AWS": OTHER_ROLE}))}),
            ),
        ),
        case("IAM-EvalX: trust must allow, same account", ImplicitlyDenied, assume(SESSION, json!({"identityPolicies": full()}))),
        case("IAM-EvalX: trust names the role", Allowed, assume(SESSION, json!({"resourcePolicy": trust(json!({"AWS": ROLE}))}))),
        case(
            "IAM-EvalX: trust names the account",
            ImplicitlyDenied,
            assume(SESSION, json!({"resourcePolicy": trust(json!({"AWS": "111111111111"}))})),
        ),
        case(
            "IAM-EvalX: trust names the account, identity allows",
            Allowed,
            assume(SESSION, json!({"identityPolicies": full(), "resourcePolicy": trust(json!({"AWS": "111111111111"}))})),
        ),
        case(
            "IAM-EvalX: trust across accounts, no identity",
            ImplicitlyDenied,
            assume(OTHER_SESSION, json!({"resourcePolicy": trust(json!({"AWS": OTHER_ROLE}))})),
        ),
        case(
            "issue 3: malformed beside an allow",
            Error,
            read(
                USER,
                json!({"identityPolicies": document(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "deny", "Action": "*", "Resource": "*"}]))}),
            ),
        ),
        case(
            "issue 3: malformed beside a deny",
            ExplicitlyDenied,
            read(
                USER,
                json!({"identityPolicies": document(json!([{"Effect": "Deny", "Action": "*", "Resource": "*"}, {"Effect": "Allow", "Resource": "*"}]))}),
            ),
        ),
        case("issue 3: nobody known", Error, read("someone", json!({"identityPolicies": full()}))),
    ]
}

fn elements() -> Vec<(&'static str, Decision, Value)> {
    let new = "2012-10-17";
    let not = |element: &str, value: &str| {
        let mut statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        statement.as_object_mut().unwrap().shift_remove(element.trim_start_matches("Not"));
        statement[element] = json!(value);
        read(USER, json!({"identityPolicies": document(statement)}))
    };
    vec![
        case("IAM-Action: without regard to case", Allowed, resource(new, "*", json!({}))),
        case("IAM-NotAction: another", Allowed, not("NotAction", "s3:Put*")),
        case("IAM-NotAction: this", ImplicitlyDenied, not("NotAction", "S3:GET*")),
        case("IAM-Resource: NotResource another", Allowed, not("NotResource", "arn:aws:s3:::output/*")),
        case("IAM-Resource: NotResource this", ImplicitlyDenied, not("NotResource", "arn:aws:s3:::artifacts/*")),
        case("IAM-Resource: * crosses slashes", Allowed, resource(new, "arn:aws:s3:::art*.zip", json!({}))),
        case("IAM-Resource: with regard to case", ImplicitlyDenied, resource(new, "arn:aws:s3:::Artifacts/*", json!({}))),
        case("IAM-Resource: a bucket is not its objects", ImplicitlyDenied, resource(new, "arn:aws:s3:::artifacts", json!({}))),
        case("IAM-Resource: part by part", ImplicitlyDenied, resource(new, "arn:aws:s3:*/x.zip", json!({}))),
        case(
            "IAM-Vars: a variable",
            Allowed,
            resource(new, "arn:aws:s3:::artifacts/app/${AWS:username}/*", json!({"aws:userName": "alice"})),
        ),
        case(
            "IAM-Vars: of another",
            ImplicitlyDenied,
            resource(new, "arn:aws:s3:::artifacts/app/${aws:username}/*", json!({"aws:username": "bob"})),
        ),
        case("IAM-Vars: unresolved", ImplicitlyDenied, resource(new, "arn:aws:s3:::artifacts/app/${aws:username}/*", json!({}))),
        case("IAM-Vars: default", Allowed, resource(new, "arn:aws:s3:::artifacts/app/${aws:username, 'alice'}/*", json!({}))),
        case(
            "IAM-Vars: literal under 2008-10-17",
            ImplicitlyDenied,
            resource("2008-10-17", "arn:aws:s3:::artifacts/app/${aws:username}/*", json!({"aws:username": "alice"})),
        ),
        case("IAM-Vars: escaped star", ImplicitlyDenied, resource(new, "arn:aws:s3:::artifacts/${*}", json!({}))),
        case(
            "IAM-Vars: multivalued keys do not resolve",
            ImplicitlyDenied,
            resource(new, "arn:aws:s3:::artifacts/app/${aws:TagKeys}/*", json!({"aws:TagKeys": ["alice"]})),
        ),
    ]
}

/// Source, condition, context, whether it holds.
fn conditions() -> Vec<(&'static str, Value, Value, bool)> {
    let mfa = |value: Value| json!({ "aws:MultiFactorAuthAge": value });
    let ip = |value: &str| json!({ "aws:SourceIp": value });
    let tags = |value: Value| json!({ "aws:TagKeys": value });
    let team = |value: &str| json!({ "aws:PrincipalTag/team": value });
    vec![
        ("IAM-CondOps: StringEquals has no wildcards", json!({"StringEquals": team("b*")}), team("blue"), false),
        ("IAM-CondOps: StringLike has", json!({"StringLike": team("b*")}), team("blue"), true),
        ("IAM-CondOps: several values", json!({"StringEquals": {"AWS:principaltag/TEAM": ["red", "blue"]}}), team("blue"), true),
        (
            "IAM-CondOps: negated, none may match",
            json!({"StringNotEquals": {"aws:PrincipalTag/team": ["red", "blue"]}}),
            team("blue"),
            false,
        ),
        ("IAM-CondOps: missing, positive", json!({"StringEquals": team("blue")}), json!({}), false),
        ("IAM-CondOps: missing, negated", json!({"StringNotLike": team("blue")}), json!({}), true),
        ("IAM-CondOps: missing, IfExists", json!({"StringEqualsIfExists": team("blue")}), json!({}), true),
        ("IAM-CondOps: there, IfExists", json!({"StringEqualsIfExists": team("blue")}), team("red"), false),
        ("IAM-CondOps: Null true", json!({"Null": team("true")}), json!({}), true),
        ("IAM-CondOps: Null false", json!({"Null": team("false")}), json!({}), false),
        ("IAM-CondOps: two operators, both", json!({"StringLike": team("b*"), "Null": {"aws:SourceIp": "false"}}), team("blue"), false),
        ("IAM-CondOps: numbers", json!({"NumericLessThanEquals": mfa(json!("300"))}), mfa(json!(300)), true),
        ("IAM-CondOps: numbers are not text", json!({"NumericEquals": mfa(json!("10"))}), mfa(json!("10.0")), true),
        ("STK-iam: no number, NotEquals", json!({"NumericNotEquals": mfa(json!("10"))}), mfa(json!("ten")), true),
        ("STK-iam: no number, LessThan", json!({"NumericLessThan": mfa(json!("10"))}), mfa(json!("ten")), false),
        (
            "IAM-CondOps: date, epoch and ISO",
            json!({"DateEquals": {"aws:CurrentTime": "1767225600"}}),
            json!({"aws:CurrentTime": "2026-01-01T00:00:00Z"}),
            true,
        ),
        (
            "IAM-CondOps: date with an offset",
            json!({"DateGreaterThanEquals": {"aws:CurrentTime": "2026-01-01T02:00:00+02:00"}}),
            json!({"aws:CurrentTime": "2026-01-01T00:00:00Z"}),
            true,
        ),
        (
            "STK-iam: Bool without regard to case",
            json!({"Bool": {"aws:SecureTransport": "TRUE"}}),
            json!({"aws:SecureTransport": true}),
            true,
        ),
        ("IAM-CondOps: Binary", json!({"BinaryEquals": {"saml:doc": "YWxpY2U="}}), json!({"saml:doc": "YWxpY2U="}), true),
        ("IAM-CondOps: CIDR", json!({"IpAddress": ip("10.1.2.0/24")}), ip("10.1.2.3"), true),
        ("IAM-CondOps: bare address", json!({"NotIpAddress": ip("10.1.2.3")}), ip("10.1.2.4"), true),
        ("STK-iam: mapped IPv4", json!({"IpAddress": ip("10.1.2.0/24")}), ip("::ffff:10.1.2.3"), true),
        ("STK-iam: IPv6 with host bits", json!({"IpAddress": ip("2001:db8::1/32")}), ip("2001:db8::1"), false),
        (
            "IAM-CondOps: ArnEquals is ArnLike",
            json!({"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::art*"}}),
            json!({"aws:SourceArn": "arn:aws:s3:::artifacts"}),
            true,
        ),
        (
            "IAM-CondOps: ARN part by part",
            json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:a:b"}}),
            json!({"aws:SourceArn": "arn:aws:sns:eu-west-1:222222222222:a:b"}),
            false,
        ),
        ("IAM-Multi: ForAllValues, all", json!({"ForAllValues:StringEquals": tags(json!(["a", "b"]))}), tags(json!(["a"])), true),
        (
            "IAM-Multi: ForAllValues, one is not",
            json!({"ForAllValues:StringEquals": tags(json!(["a", "b"]))}),
            tags(json!(["a", "c"])),
            false,
        ),
        ("IAM-Multi: ForAllValues, missing", json!({"ForAllValues:StringEquals": tags(json!(["a", "b"]))}), json!({}), true),
        ("IAM-Multi: ForAllValues, empty", json!({"ForAllValues:StringEquals": tags(json!(["a", "b"]))}), tags(json!([])), true),
        ("IAM-Multi: ForAnyValue, one", json!({"ForAnyValue:StringLike": tags(json!("c*"))}), tags(json!(["a", "cc"])), true),
        ("IAM-Multi: ForAnyValue, missing", json!({"ForAnyValue:StringNotEquals": tags(json!("c*"))}), json!({}), false),
        ("IAM-Multi: ForAnyValue negated", json!({"ForAnyValue:StringNotEquals": tags(json!(["a"]))}), tags(json!(["a", "c"])), true),
        ("STK-iam: scalar operator, multivalued key", json!({"StringNotEquals": tags(json!("x"))}), tags(json!(["a"])), false),
        (
            "STK-iam: scalar operator, multivalued key, IfExists",
            json!({"StringEqualsIfExists": tags(json!("a"))}),
            tags(json!(["a"])),
            false,
        ),
        ("STK-iam: ? is a UTF-16 unit", json!({"StringLike": team("??")}), team("\u{1f511}"), true),
        ("IAM-CondOps: IgnoreCase", json!({"StringEqualsIgnoreCase": team("BLUE")}), team("blue"), true),
        (
            "IAM-Vars: a variable in a condition",
            json!({"StringEquals": team("${aws:username}")}),
            json!({"aws:PrincipalTag/team": "x", "aws:username": "x"}),
            true,
        ),
        (
            "IAM-Vars: unresolved, negated: unequal to whatever there is",
            json!({"StringNotEquals": team("${aws:username}")}),
            team("x"),
            true,
        ),
        ("IAM-Vars: an escape in a condition", json!({"StringLike": team("w${*}")}), team("w*"), true),
        ("IAM-Vars: an escape is no wildcard", json!({"StringLike": team("w${*}")}), team("wide"), false),
    ]
}

/// Unknown keys: policy statements, the decision.
fn unknowns() -> Vec<(&'static str, Decision, Value)> {
    let asked = |key: &str, statements: Value| read(USER, json!({"unknownContext": [key], "identityPolicies": document(statements)}));
    let allow = |condition: Value| json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition});
    let blue = json!({"aws:PrincipalTag/team": "blue"});
    vec![
        case("G.5: the answer hangs on it", Unknown, asked("AWS:PrincipalTag/team", json!([allow(json!({"StringEquals": blue}))]))),
        case("G.5: nothing asks for it", Allowed, asked("aws:SourceIp", json!([allow(json!({}))]))),
        case(
            "G.5: another condition fails anyway",
            ImplicitlyDenied,
            asked("aws:PrincipalTag/team", json!([allow(json!({"StringEquals": blue, "Bool": {"aws:SecureTransport": "true"}}))])),
        ),
        case(
            "G.5: one or the other",
            Allowed,
            asked("aws:PrincipalTag/team", json!([allow(json!({"StringEquals": blue})), allow(json!({"StringNotEquals": blue}))])),
        ),
        case(
            "G.5: never both",
            ImplicitlyDenied,
            asked("aws:PrincipalTag/team", json!([allow(json!({"StringEquals": blue, "StringNotLike": {"aws:PrincipalTag/team": "b*"}}))])),
        ),
        case(
            "G.5: a deny that may come",
            Unknown,
            asked(
                "aws:SecureTransport",
                json!([allow(json!({})), {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]),
            ),
        ),
        case(
            "G.5: in a variable",
            Unknown,
            asked("aws:username", json!([{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::artifacts/app/${aws:username}/*"}])),
        ),
    ]
}

#[test]
fn the_naive_evaluator_decides_as_documented() {
    let held = conditions()
        .into_iter()
        .map(|(source, condition, context, holds)| (source, if holds { Allowed } else { ImplicitlyDenied }, when(condition, context)));
    let table: Vec<_> = sides().into_iter().chain(elements()).chain(unknowns()).chain(held).collect();
    let wrong: Vec<String> = table
        .iter()
        .filter(|(_, expected, request)| decide(request) != *expected)
        .map(|(source, expected, request)| format!("{source}: {}, expected {}: {request}", decide(request).name(), expected.name()))
        .collect();
    println!("{} hand-written cases", table.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
