//! Decisions as AWS documents them, each with the page that says so (tags: the fact sheet's section H).

use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::process::{Command, Stdio};
use xdeploy::policy::simulate;

const DEV: &str = "111111111111";
const PROD: &str = "222222222222";
const USER: &str = "arn:aws:iam::111111111111:user/ann";
const SESSION: &str = "arn:aws:sts::111111111111:assumed-role/app/one";
const ROLE: &str = "arn:aws:iam::111111111111:role/service-role/app";
const OBJECT: &str = "arn:aws:s3:::b/k";
const KEY: &str = "arn:aws:kms:us-east-1:111111111111:key/1";
const TRUSTED: &str = "arn:aws:iam::222222222222:role/prods3role";

/// A document of these statements, in the version that knows variables.
fn doc(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn allow(action: &str, resource: &str) -> Value {
    doc(json!({"Effect": "Allow", "Action": action, "Resource": resource}))
}

fn deny(action: &str, resource: &str) -> Value {
    doc(json!({"Effect": "Deny", "Action": action, "Resource": resource}))
}

fn all() -> Value {
    allow("*", "*")
}

/// A resource policy that allows all of S3 and KMS on everything to a principal.
fn to(principal: Value) -> Value {
    doc(json!({"Effect": "Allow", "Principal": principal, "Action": ["s3:*", "kms:*"], "Resource": "*"}))
}

fn trust(principal: Value) -> Value {
    doc(json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}))
}

/// A request of a user of DEV on an object of DEV, with members replaced.
fn request(members: Value) -> Value {
    let mut request =
        json!({"id": 1, "principal": USER, "action": "s3:GetObject", "resource": OBJECT, "resourceAccount": DEV, "context": {}});
    for (name, value) in members.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

/// The same of a role session whose role has a path.
fn session(mut members: Value) -> Value {
    members["principal"] = json!(SESSION);
    members["principalRole"] = json!(ROLE);
    request(members)
}

fn decision(request: &Value) -> String {
    simulate(request)["decision"].as_str().unwrap().to_owned()
}

fn check(rows: Vec<(&str, &str, Value, &str)>) {
    let mut wrong = Vec::new();
    for (tag, what, request, expected) in &rows {
        let answer = simulate(request);
        if answer["decision"] != *expected {
            wrong.push(format!("[{tag}] {what}: expected {expected}, got {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

const YES: &str = "allowed";
const NO: &str = "implicitly-denied";
const DENIED: &str = "explicitly-denied";

#[test]
fn one_account() {
    let ids = |list: Value| json!({"identityPolicies": list});
    check(vec![
        ("IAM-Eval", "nothing allows", request(json!({})), NO),
        ("IAM-Eval", "identity allows", request(ids(json!([all()]))), YES),
        ("IAM-Eval", "one document instead of a list", request(json!({"identityPolicies": all()})), YES),
        ("IAM-Eval", "deny beats allow", request(ids(json!([all(), deny("s3:Get*", "*")]))), DENIED),
        ("IAM-Eval", "deny of something else", request(ids(json!([all(), deny("s3:Put*", "*")]))), YES),
        ("IAM-Eval", "the resource's policy is enough", request(json!({"resourcePolicy": to(json!({"AWS": USER}))})), YES),
        (
            "IAM-Eval",
            "a deny of the resource's policy",
            request(json!({"identityPolicies": all(), "resourcePolicy": doc(json!({
            "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}))})),
            DENIED,
        ),
        ("IAM-Eval", "root needs no policy", request(json!({"principal": "arn:aws:iam::111111111111:root"})), YES),
        (
            "IAM-Eval",
            "root is held by an SCP",
            request(json!({"principal": "arn:aws:iam::111111111111:root", "scps": [[deny("s3:*", "*")]]})),
            DENIED,
        ),
        ("IAM-Principal", "account in a bucket policy delegates only", request(json!({"resourcePolicy": to(json!({"AWS": DEV}))})), NO),
        ("IAM-Eval", "boundary allows too", request(json!({"identityPolicies": all(), "permissionBoundaries": all()})), YES),
        (
            "IAM-Eval",
            "boundary doesn't allow",
            request(json!({"identityPolicies": all(), "permissionBoundaries": allow("ec2:*", "*")})),
            NO,
        ),
        ("IAM-Eval", "boundary alone grants nothing", request(json!({"permissionBoundaries": all()})), NO),
        (
            "IAM-Eval",
            "boundary denies",
            request(json!({"identityPolicies": all(), "permissionBoundaries": [all(), deny("s3:*", "*")]})),
            DENIED,
        ),
        (
            "IAM-Eval",
            "user ARN isn't limited by a boundary",
            request(json!({"resourcePolicy": to(json!({"AWS": USER})), "permissionBoundaries": allow("ec2:*", "*")})),
            YES,
        ),
        (
            "IAM-Eval",
            "role ARN is limited by a boundary",
            session(json!({"resourcePolicy": to(json!({"AWS": ROLE})), "permissionBoundaries": allow("ec2:*", "*")})),
            NO,
        ),
        (
            "IAM-Eval",
            "role ARN is limited by a session policy",
            session(json!({"resourcePolicy": to(json!({"AWS": ROLE})), "sessionPolicy": allow("ec2:*", "*")})),
            NO,
        ),
        ("IAM-Eval", "role ARN is enough without limits", session(json!({"resourcePolicy": to(json!({"AWS": ROLE}))})), YES),
        (
            "IAM-Eval",
            "role ARN with limits that allow",
            session(json!({"resourcePolicy": to(json!({"AWS": ROLE})), "sessionPolicy": all(), "permissionBoundaries": all()})),
            YES,
        ),
        (
            "IAM-Eval",
            "session ARN isn't limited",
            session(
                json!({"resourcePolicy": to(json!({"AWS": SESSION})), "sessionPolicy": allow("ec2:*", "*"), "permissionBoundaries": allow("ec2:*", "*")}),
            ),
            YES,
        ),
        (
            "IAM-Eval",
            "session ARN and a boundary that denies",
            session(json!({"resourcePolicy": to(json!({"AWS": SESSION})), "permissionBoundaries": deny("s3:*", "*")})),
            DENIED,
        ),
        (
            "IAM-Eval",
            "* with aws:PrincipalArn isn't limited",
            session(
                json!({"permissionBoundaries": allow("ec2:*", "*"), "derive": true, "resourcePolicy": doc(json!({"Effect": "Allow", "Principal": "*",
            "Action": "s3:*", "Resource": "*", "Condition": {"ArnEquals": {"aws:PrincipalArn": ROLE}}}))}),
            ),
            YES,
        ),
        (
            "IAM-Eval",
            "account and identity, limited",
            session(json!({"resourcePolicy": to(json!({"AWS": DEV})), "identityPolicies": all(), "sessionPolicy": allow("ec2:*", "*")})),
            NO,
        ),
        (
            "IAM-Eval",
            "session policy narrows identity",
            session(json!({"identityPolicies": all(), "sessionPolicy": allow("s3:GetObject", "arn:aws:s3:::b/*")})),
            YES,
        ),
        ("IAM-Eval", "session policy alone grants nothing", session(json!({"sessionPolicy": all()})), NO),
        (
            "IAM-Eval",
            "session policy denies",
            session(json!({"identityPolicies": all(), "sessionPolicy": [all(), deny("s3:*", "*")]})),
            DENIED,
        ),
        (
            "IAM-Principal",
            "federated session ARN isn't limited",
            request(json!({"principal": "arn:aws:sts::111111111111:federated-user/f",
            "resourcePolicy": to(json!({"AWS": "arn:aws:sts::111111111111:federated-user/f"})), "sessionPolicy": allow("ec2:*", "*")})),
            YES,
        ),
        ("S3-VPCE", "endpoint policy allows", request(json!({"identityPolicies": all(), "vpcEndpointPolicies": to(json!("*"))})), YES),
        (
            "S3-VPCE",
            "endpoint policy doesn't",
            request(
                json!({"identityPolicies": all(), "vpcEndpointPolicies": doc(json!({"Effect": "Allow", "Principal": "*", "Action": "s3:Put*", "Resource": "*"}))}),
            ),
            NO,
        ),
        (
            "S3-VPCE",
            "endpoint policy denies",
            request(
                json!({"identityPolicies": all(), "vpcEndpointPolicies": [to(json!("*")), doc(json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}))]}),
            ),
            DENIED,
        ),
    ]);
}

#[test]
fn organisations() {
    let with = |members: Value| {
        let mut members = members;
        members["identityPolicies"] = all();
        request(members)
    };
    let slr = "arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/R";
    check(vec![
        ("ORG-SCP", "every level allows", with(json!({"scps": [[all()], [all()]]})), YES),
        ("ORG-SCP", "one level doesn't", with(json!({"scps": [[all()], [allow("ec2:*", "*")]]})), NO),
        ("ORG-SCP", "an empty level allows nothing", with(json!({"scps": [[all()], []]})), NO),
        ("ORG-SCP", "no levels", with(json!({"scps": []})), YES),
        ("ORG-SCP", "two documents of a level", with(json!({"scps": [[allow("ec2:*", "*"), allow("s3:*", "*")]]})), YES),
        ("ORG-SCP", "a deny at any level", with(json!({"scps": [[all()], [all(), deny("s3:*", "*")]]})), DENIED),
        ("ORG-SCP", "an SCP grants nothing", request(json!({"scps": [[all()]]})), NO),
        (
            "ORG-SCP",
            "it limits what a bucket policy gives",
            request(json!({"resourcePolicy": to(json!({"AWS": USER})), "scps": [[allow("ec2:*", "*")]]})),
            NO,
        ),
        ("ORG-SCP", "not service-linked roles", with(json!({"principal": slr, "scps": [[deny("*", "*")]]})), YES),
        (
            "ORG-SCP",
            "not a service's own call",
            request(
                json!({"principal": "s3.amazonaws.com", "resourcePolicy": to(json!({"Service": "s3.amazonaws.com"})), "scps": [[deny("*", "*")]]}),
            ),
            YES,
        ),
        (
            "ORG-RCP",
            "full access is implied",
            with(json!({"rcps": [[doc(json!({"Effect": "Deny", "Principal": "*", "Action": "s3:Put*", "Resource": "*"}))]]})),
            YES,
        ),
        (
            "ORG-RCP",
            "it denies",
            with(json!({"rcps": [[doc(json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}))]]})),
            DENIED,
        ),
        (
            "ORG-RCP",
            "it denies from outside",
            request(
                json!({"principal": "anonymous", "resourcePolicy": to(json!("*")), "rcps": [[doc(json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
            "Condition": {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}}))]]}),
            ),
            DENIED,
        ),
        ("ORG-RCP", "an empty level allows nothing", with(json!({"rcps": [[]]})), NO),
        (
            "ORG-RCP",
            "not service-linked roles",
            with(json!({"principal": slr, "rcps": [[doc(json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}))]]})),
            YES,
        ),
    ]);
}

#[test]
fn two_accounts() {
    let across = |members: Value| {
        let mut members = members;
        members["resourceAccount"] = json!(PROD);
        session(members)
    };
    check(vec![
        ("IAM-EvalX", "both sides", across(json!({"identityPolicies": all(), "resourcePolicy": to(json!({"AWS": ROLE}))})), YES),
        ("IAM-EvalX", "only identity", across(json!({"identityPolicies": all()})), NO),
        ("IAM-EvalX", "only resource", across(json!({"resourcePolicy": to(json!({"AWS": ROLE}))})), NO),
        ("IAM-EvalX", "session ARN isn't enough across", across(json!({"resourcePolicy": to(json!({"AWS": SESSION}))})), NO),
        (
            "IAM-EvalX",
            "account root",
            across(json!({"identityPolicies": all(), "resourcePolicy": to(json!({"AWS": "arn:aws:iam::111111111111:root"}))})),
            YES,
        ),
        ("IAM-EvalX", "account id", across(json!({"identityPolicies": all(), "resourcePolicy": to(json!({"AWS": DEV}))})), YES),
        ("IAM-EvalX", "everyone", across(json!({"identityPolicies": all(), "resourcePolicy": to(json!("*"))})), YES),
        ("IAM-EvalX", "another account", across(json!({"identityPolicies": all(), "resourcePolicy": to(json!({"AWS": PROD}))})), NO),
        (
            "IAM-EvalX",
            "boundary of the caller",
            across(
                json!({"identityPolicies": all(), "permissionBoundaries": allow("ec2:*", "*"), "resourcePolicy": to(json!({"AWS": SESSION}))}),
            ),
            NO,
        ),
        (
            "IAM-EvalX",
            "session policy of the caller",
            across(json!({"identityPolicies": all(), "sessionPolicy": allow("ec2:*", "*"), "resourcePolicy": to(json!({"AWS": SESSION}))})),
            NO,
        ),
        (
            "IAM-EvalX",
            "SCP of the caller",
            across(json!({"identityPolicies": all(), "scps": [[allow("ec2:*", "*")]], "resourcePolicy": to(json!({"AWS": ROLE}))})),
            NO,
        ),
        (
            "IAM-EvalX",
            "identity denies",
            across(json!({"identityPolicies": [all(), deny("s3:*", "*")], "resourcePolicy": to(json!({"AWS": ROLE}))})),
            DENIED,
        ),
        (
            "IAM-EvalX",
            "root of another account needs the resource",
            request(json!({"principal": "arn:aws:iam::111111111111:root", "resourceAccount": PROD})),
            NO,
        ),
        (
            "IAM-EvalX",
            "root of another account that is named",
            request(
                json!({"principal": "arn:aws:iam::111111111111:root", "resourceAccount": PROD, "resourcePolicy": to(json!({"AWS": DEV}))}),
            ),
            YES,
        ),
        (
            "ORG-RCP",
            "RCP of the resource",
            across(
                json!({"identityPolicies": all(), "resourcePolicy": to(json!({"AWS": ROLE})), "rcps": [[doc(json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}))]]}),
            ),
            DENIED,
        ),
        (
            "S3-BPA",
            "public policy, another account",
            across(json!({"identityPolicies": all(), "resourcePolicy": to(json!("*")), "blockPublicAccess": true})),
            NO,
        ),
        (
            "S3-BPA",
            "public policy, anonymous",
            request(json!({"principal": "anonymous", "resourcePolicy": to(json!("*")), "blockPublicAccess": true})),
            NO,
        ),
        ("S3-BPA", "public policy, same account", request(json!({"resourcePolicy": to(json!("*")), "blockPublicAccess": true})), YES),
        (
            "S3-BPA",
            "public policy, service",
            request(json!({"principal": "x.amazonaws.com", "resourcePolicy": to(json!("*")), "blockPublicAccess": true})),
            YES,
        ),
        (
            "S3-BPA",
            "policy that isn't public",
            across(json!({"identityPolicies": all(), "resourcePolicy": to(json!({"AWS": ROLE})), "blockPublicAccess": true})),
            YES,
        ),
        (
            "S3-BPA",
            "confined to an organisation",
            across(
                json!({"identityPolicies": all(), "context": {"aws:PrincipalOrgID": "o-1"}, "blockPublicAccess": true, "resourcePolicy": doc(json!({"Effect": "Allow",
            "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}))}),
            ),
            YES,
        ),
        (
            "S3-BPA",
            "setting off",
            request(json!({"principal": "anonymous", "resourcePolicy": to(json!("*")), "blockPublicAccess": false})),
            YES,
        ),
        (
            "IAM-Principal",
            "anonymous needs everyone",
            request(json!({"principal": "anonymous", "resourcePolicy": to(json!({"AWS": DEV}))})),
            NO,
        ),
    ]);
}

#[test]
fn trust_and_keys() {
    let assume = |members: Value| {
        let mut members = members;
        members["action"] = json!("sts:AssumeRole");
        members["resource"] = json!(TRUSTED);
        members["resourceAccount"] = json!(PROD);
        members
    };
    let own = |members: Value| {
        let mut members = assume(members);
        members["principal"] = json!("arn:aws:iam::222222222222:user/bob");
        request(members)
    };
    let key = |members: Value| {
        let mut members = members;
        members["action"] = json!("kms:Decrypt");
        members["resource"] = json!(KEY);
        members
    };
    let across = |members: Value| {
        let mut members = key(members);
        members["principal"] = json!("arn:aws:sts::222222222222:assumed-role/prods3role/x");
        request(members)
    };
    let with_action = |action: &str, mut request: Value| {
        request["action"] = json!(action);
        request
    };
    check(vec![
        (
            "IAM-EvalX",
            "assume across: both",
            session(assume(json!({"identityPolicies": allow("sts:AssumeRole", TRUSTED), "resourcePolicy": trust(json!({"AWS": ROLE}))}))),
            YES,
        ),
        ("IAM-EvalX", "assume across: no trust", session(assume(json!({"identityPolicies": all()}))), NO),
        ("IAM-EvalX", "assume across: trust alone", session(assume(json!({"resourcePolicy": trust(json!({"AWS": ROLE}))}))), NO),
        (
            "IAM-EvalX",
            "assume across: role without its path",
            session(assume(
                json!({"identityPolicies": all(), "resourcePolicy": trust(json!({"AWS": "arn:aws:iam::111111111111:role/app"}))}),
            )),
            NO,
        ),
        (
            "IAM-Principal",
            "trust of what was deleted",
            session(assume(json!({"identityPolicies": all(), "resourcePolicy": trust(json!({"AWS": "AROAEXAMPLEID"}))}))),
            NO,
        ),
        (
            "IAM-Eval",
            "assume in one account: identity alone isn't enough",
            own(json!({"identityPolicies": all(), "resourcePolicy": trust(json!({"AWS": DEV}))})),
            NO,
        ),
        (
            "IAM-Eval",
            "assume in one account: naming the user is",
            own(json!({"resourcePolicy": trust(json!({"AWS": "arn:aws:iam::222222222222:user/bob"}))})),
            YES,
        ),
        (
            "IAM-Eval",
            "assume in one account: naming the account needs identity",
            own(json!({"resourcePolicy": trust(json!({"AWS": PROD}))})),
            NO,
        ),
        (
            "IAM-Eval",
            "assume in one account: account and identity",
            own(json!({"identityPolicies": all(), "resourcePolicy": trust(json!({"AWS": PROD}))})),
            YES,
        ),
        (
            "CP-CustomRole",
            "the service assumes its role",
            request(assume(
                json!({"principal": "codepipeline.amazonaws.com", "resourcePolicy": trust(json!({"Service": "codepipeline.amazonaws.com"}))}),
            )),
            YES,
        ),
        (
            "CP-CustomRole",
            "another service doesn't",
            request(assume(
                json!({"principal": "events.amazonaws.com", "resourcePolicy": trust(json!({"Service": "codepipeline.amazonaws.com"}))}),
            )),
            NO,
        ),
        (
            "IAM-Principal",
            "an identity provider",
            with_action(
                "sts:AssumeRoleWithSAML",
                request(assume(json!({"principal": "arn:aws:iam::222222222222:saml-provider/idp",
            "resourcePolicy": doc(json!({"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::222222222222:saml-provider/idp"}, "Action": "sts:AssumeRoleWithSAML"}))}))),
            ),
            YES,
        ),
        ("KMS-Default", "IAM alone is inert", request(key(json!({"identityPolicies": all()}))), NO),
        ("KMS-Default", "not even root", request(key(json!({"principal": "arn:aws:iam::111111111111:root"}))), NO),
        ("KMS-Default", "root statement alone", request(key(json!({"resourcePolicy": to(json!({"AWS": DEV}))}))), NO),
        (
            "KMS-Default",
            "root statement delegates",
            request(key(json!({"identityPolicies": all(), "resourcePolicy": to(json!({"AWS": "arn:aws:iam::111111111111:root"}))}))),
            YES,
        ),
        (
            "KMS-Default",
            "root itself, named",
            request(key(
                json!({"principal": "arn:aws:iam::111111111111:root", "resourcePolicy": to(json!({"AWS": "arn:aws:iam::111111111111:root"}))}),
            )),
            YES,
        ),
        ("KMS-Default", "a principal of the key policy", session(key(json!({"resourcePolicy": to(json!({"AWS": ROLE}))}))), YES),
        (
            "KMS-Default",
            "IAM denies count",
            request(key(json!({"identityPolicies": deny("kms:*", "*"), "resourcePolicy": to(json!({"AWS": USER}))}))),
            DENIED,
        ),
        (
            "KMS-Default",
            "delegation for another action",
            request(key(
                json!({"identityPolicies": all(), "resourcePolicy": doc(json!({"Effect": "Allow", "Principal": {"AWS": DEV}, "Action": "kms:Encrypt", "Resource": "*"}))}),
            )),
            NO,
        ),
        (
            "KMS-XAcct",
            "key policy and IAM",
            across(json!({"identityPolicies": allow("kms:Decrypt", KEY), "resourcePolicy": to(json!({"AWS": PROD}))})),
            YES,
        ),
        (
            "KMS-XAcct",
            "key policy alone",
            across(json!({"resourcePolicy": to(json!({"AWS": "arn:aws:iam::222222222222:role/prods3role"}))})),
            NO,
        ),
        ("KMS-XAcct", "IAM alone", across(json!({"identityPolicies": all(), "resourcePolicy": to(json!({"AWS": DEV}))})), NO),
        (
            "KMS-XAcct",
            "an alias in Resource never matches",
            across(
                json!({"identityPolicies": allow("kms:Decrypt", "arn:aws:kms:us-east-1:111111111111:alias/a"), "resourcePolicy": to(json!({"AWS": PROD}))}),
            ),
            NO,
        ),
        (
            "KMS-XAcct",
            "an alias of the request neither",
            {
                let mut r = across(
                    json!({"identityPolicies": allow("kms:Decrypt", "arn:aws:kms:us-east-1:111111111111:alias/a"), "resourcePolicy": to(json!({"AWS": PROD}))}),
                );
                r["resource"] = json!("arn:aws:kms:us-east-1:111111111111:alias/a");
                r
            },
            NO,
        ),
        (
            "KMS-XAcct",
            "what another account can't call",
            with_action("kms:ScheduleKeyDeletion", across(json!({"identityPolicies": all(), "resourcePolicy": to(json!({"AWS": PROD}))}))),
            NO,
        ),
        (
            "KMS-XAcct",
            "DescribeKey across",
            with_action("kms:DescribeKey", across(json!({"identityPolicies": all(), "resourcePolicy": to(json!({"AWS": PROD}))}))),
            YES,
        ),
        (
            "ORG-RCP",
            "not kms:RetireGrant",
            with_action(
                "kms:RetireGrant",
                across(
                    json!({"identityPolicies": all(), "resourcePolicy": to(json!({"AWS": PROD})), "rcps": [[doc(json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}))]]}),
                ),
            ),
            YES,
        ),
    ]);
}

#[test]
fn principals() {
    let by = |principal: Value| session(json!({"resourcePolicy": to(principal)}));
    let but = |list: Value, members: Value| {
        let mut members = members;
        members["identityPolicies"] = all();
        members["resourcePolicy"] = doc(json!({"Effect": "Deny", "NotPrincipal": {"AWS": list}, "Action": "s3:*", "Resource": "*"}));
        session(members)
    };
    check(vec![
        ("IAM-Principal", "{AWS: *} is everyone", by(json!({"AWS": "*"})), YES),
        ("IAM-Principal", "a list", by(json!({"AWS": [USER, ROLE]})), YES),
        ("IAM-Principal", "several kinds", by(json!({"Service": "s3.amazonaws.com", "AWS": ROLE})), YES),
        ("IAM-Principal", "the path is part of the ARN", by(json!({"AWS": "arn:aws:iam::111111111111:role/app"})), NO),
        ("IAM-Principal", "no wildcard in a role", by(json!({"AWS": "arn:aws:iam::111111111111:role/*"})), "error"),
        ("IAM-Principal", "no wildcard in a session", by(json!({"AWS": "arn:aws:sts::111111111111:assumed-role/app/*"})), "error"),
        ("IAM-Principal", "another session", by(json!({"AWS": "arn:aws:sts::111111111111:assumed-role/app/two"})), NO),
        ("IAM-Principal", "a deleted user", by(json!({"AWS": "AIDAEXAMPLEID"})), NO),
        ("IAM-Principal", "a canonical user that isn't known", by(json!({"CanonicalUser": "a".repeat(64)})), NO),
        (
            "S3-Principal",
            "a canonical user of another account",
            session(
                json!({"resourceAccount": PROD, "identityPolicies": all(), "canonicalUser": "a".repeat(64), "resourcePolicy": to(json!({"CanonicalUser": "a".repeat(64)}))}),
            ),
            YES,
        ),
        ("IAM-Principal", "another partition's account", by(json!({"AWS": "arn:aws-cn:iam::111111111111:root"})), NO),
        (
            "IAM-Principal",
            "a role with a session's ARN of another account",
            by(json!({"AWS": "arn:aws:iam::222222222222:role/service-role/app"})),
            NO,
        ),
        ("IAM-NotPrincipal", "account, role and session spared", but(json!([DEV, ROLE, SESSION]), json!({})), YES),
        ("IAM-NotPrincipal", "session left out", but(json!([DEV, ROLE]), json!({})), DENIED),
        ("IAM-NotPrincipal", "account left out", but(json!([ROLE, SESSION]), json!({})), DENIED),
        ("IAM-NotPrincipal", "only the account", but(json!([DEV]), json!({})), DENIED),
        (
            "IAM-NotPrincipal",
            "a boundary is always denied",
            but(json!([DEV, ROLE, SESSION]), json!({"permissionBoundaries": all()})),
            DENIED,
        ),
        (
            "IAM-NotPrincipal",
            "Allow isn't supported",
            session(
                json!({"resourcePolicy": doc(json!({"Effect": "Allow", "NotPrincipal": {"AWS": PROD}, "Action": "s3:*", "Resource": "*"}))}),
            ),
            "error",
        ),
    ]);
}

#[test]
fn actions_and_resources() {
    let one = |statement: Value| {
        let mut statement = statement;
        statement["Effect"] = json!("Allow");
        request(json!({"identityPolicies": doc(statement)}))
    };
    let on = |pattern: &str| one(json!({"Action": "s3:*", "Resource": pattern}));
    let doing = |action: &str| one(json!({"Action": action, "Resource": "*"}));
    let tagged = |pattern: &str, context: Value| request(json!({"context": context, "identityPolicies": allow("s3:*", pattern)}));
    let old = |pattern: &str| {
        request(
            json!({"context": {"aws:username": "k"}, "identityPolicies": {"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": pattern}}}),
        )
    };
    check(vec![
        ("IAM-Action", "exact", doing("s3:GetObject"), YES),
        ("IAM-Action", "case doesn't matter", doing("S3:GETobject"), YES),
        ("IAM-Action", "star", doing("s3:Get*"), YES),
        ("IAM-Action", "question mark", doing("s3:?etObject"), YES),
        ("IAM-Action", "longer name", doing("s3:GetObjectVersion"), NO),
        ("IAM-Action", "shorter name", doing("s3:Get"), NO),
        ("IAM-Action", "other service", doing("kms:*"), NO),
        ("IAM-NotAction", "everything else", one(json!({"NotAction": "iam:*", "Resource": "*"})), YES),
        ("IAM-NotAction", "but this", one(json!({"NotAction": ["iam:*", "s3:get*"], "Resource": "*"})), NO),
        ("IAM-Resource", "exact", on(OBJECT), YES),
        ("IAM-Resource", "case matters", on("arn:aws:s3:::B/k"), NO),
        (
            "IAM-Resource",
            "star crosses slashes",
            request(json!({"resource": "arn:aws:s3:::b/x/y/z", "identityPolicies": allow("s3:*", "arn:aws:s3:::b/*z")})),
            YES,
        ),
        (
            "IAM-Resource",
            "bucket/* isn't the bucket",
            request(
                json!({"action": "s3:ListBucket", "resource": "arn:aws:s3:::b", "identityPolicies": allow("s3:*", "arn:aws:s3:::b/*")}),
            ),
            NO,
        ),
        ("IAM-Resource", "the bucket isn't its objects", on("arn:aws:s3:::b"), NO),
        ("IAM-Resource", "bucket*", on("arn:aws:s3:::b*"), YES),
        ("IAM-Resource", "question mark", on("arn:aws:s3:::?/?"), YES),
        ("IAM-Resource", "no wildcard for the service", on("arn:aws:*:::b/k"), "error"),
        ("IAM-Resource", "wildcard in another segment", on("arn:*:s3:*:*:b/k"), YES),
        ("IAM-Resource", "a star that ends a segment goes on", on("arn:aws:s3:*"), YES),
        ("IAM-Resource", "NotResource", one(json!({"Action": "s3:*", "NotResource": "arn:aws:s3:::c/*"})), YES),
        (
            "IAM-Resource",
            "NotResource names it",
            one(json!({"Action": "s3:*", "NotResource": ["arn:aws:s3:::c/*", "arn:aws:s3:::b/*"]})),
            NO,
        ),
        ("IAM-Vars", "variable", tagged("arn:aws:s3:::b/${aws:username}", json!({"aws:username": "k"})), YES),
        ("IAM-Vars", "variable, key in another case", tagged("arn:aws:s3:::b/${AWS:UserName}", json!({"aws:username": "k"})), YES),
        ("IAM-Vars", "variable without a value", tagged("arn:aws:s3:::b/${aws:username}*", json!({})), NO),
        ("IAM-Vars", "default", tagged("arn:aws:s3:::b/${aws:PrincipalTag/x, 'k'}", json!({})), YES),
        (
            "IAM-Vars",
            "default isn't used when there is a value",
            tagged("arn:aws:s3:::b/${aws:PrincipalTag/x, 'k'}", json!({"aws:PrincipalTag/x": "y"})),
            NO,
        ),
        ("IAM-Vars", "a multivalued key is none", tagged("arn:aws:s3:::b/${aws:x}", json!({"aws:x": ["k"]})), NO),
        ("IAM-Vars", "a value's star is a star", tagged("arn:aws:s3:::b/${aws:username}", json!({"aws:username": "*"})), NO),
        ("IAM-Vars", "only after the fifth colon", tagged("arn:aws:s3:${aws:r}::b/k", json!({"aws:r": ""})), NO),
        (
            "IAM-Vars",
            "escape",
            request(json!({"resource": "arn:aws:s3:::b/*", "identityPolicies": allow("s3:*", "arn:aws:s3:::b/${*}")})),
            YES,
        ),
        ("IAM-Vars", "escape is no wildcard", tagged("arn:aws:s3:::b/${*}", json!({})), NO),
        ("IAM-Grammar", "without a version it is text", old("arn:aws:s3:::b/${aws:username}"), NO),
        ("IAM-Grammar", "without a version wildcards are wildcards", old("arn:aws:s3:::b/*"), YES),
    ]);
}

/// Conditions: page, the operators of a statement, the context, whether it holds.
#[test]
fn conditions() {
    let arn = "arn:aws:iam::111111111111:role/app";
    let rows: Vec<(&str, Value, Value, bool)> = vec![
        ("IAM-CondOps", json!({}), json!({}), true),
        ("IAM-CondOps", json!({"StringEquals": {"a:b": "x"}}), json!({"a:b": "x"}), true),
        ("IAM-CondOps", json!({"StringEquals": {"a:b": "x"}}), json!({"a:b": "X"}), false),
        ("IAM-CondOps", json!({"StringEquals": {"A:B": "x"}}), json!({"a:b": "x"}), true),
        ("IAM-CondOps", json!({"StringEquals": {"a:b": ["y", "x"]}}), json!({"a:b": "x"}), true),
        ("IAM-CondOps", json!({"StringEquals": {"a:b": "x*"}}), json!({"a:b": "xy"}), false),
        ("IAM-CondOps", json!({"StringEquals": {"a:b": "x"}}), json!({}), false),
        ("IAM-CondOps", json!({"StringEquals": {"a:b": "x", "a:c": "y"}}), json!({"a:b": "x"}), false),
        ("IAM-CondOps", json!({"StringEquals": {"a:b": "x"}, "StringLike": {"a:c": "y"}}), json!({"a:b": "x", "a:c": "y"}), true),
        ("IAM-CondOps", json!({"StringEqualsIfExists": {"a:b": "x"}}), json!({}), true),
        ("IAM-CondOps", json!({"StringEqualsIfExists": {"a:b": "x"}}), json!({"a:b": "y"}), false),
        ("IAM-CondOps", json!({"StringNotEquals": {"a:b": "x"}}), json!({"a:b": "y"}), true),
        ("IAM-CondOps", json!({"StringNotEquals": {"a:b": "x"}}), json!({}), true),
        ("IAM-CondOps", json!({"StringNotEquals": {"a:b": ["x", "y"]}}), json!({"a:b": "y"}), false),
        ("IAM-CondOps", json!({"StringEqualsIgnoreCase": {"a:b": "xY"}}), json!({"a:b": "Xy"}), true),
        ("IAM-CondOps", json!({"StringNotEqualsIgnoreCase": {"a:b": "xY"}}), json!({"a:b": "Xy"}), false),
        ("STK-iam", json!({"StringEqualsIgnoreCase": {"a:b": "s"}}), json!({"a:b": "ſ"}), false),
        ("IAM-CondOps", json!({"StringLike": {"a:b": "x*y?"}}), json!({"a:b": "x/1/yz"}), true),
        ("IAM-CondOps", json!({"StringLike": {"a:b": "x?"}}), json!({"a:b": "x"}), false),
        ("IAM-CondOps", json!({"StringNotLike": {"a:b": ["x*", "y*"]}}), json!({"a:b": "z"}), true),
        ("IAM-CondOps", json!({"StringNotLike": {"a:b": ["x*", "y*"]}}), json!({"a:b": "yz"}), false),
        ("STK-iam", json!({"StringLike": {"a:b": "?"}}), json!({"a:b": "𐐀"}), false),
        ("STK-iam", json!({"StringLike": {"a:b": "??"}}), json!({"a:b": "𐐀"}), true),
        ("IAM-Grammar", json!({"StringEquals": {"a:b": 1}}), json!({"a:b": "1"}), true),
        ("IAM-Grammar", json!({"StringEquals": {"a:b": "true"}}), json!({"a:b": true}), true),
        ("IAM-CondOps", json!({"NumericEquals": {"a:n": "10"}}), json!({"a:n": "10.0"}), true),
        ("IAM-CondOps", json!({"NumericNotEquals": {"a:n": "10"}}), json!({"a:n": 10}), false),
        ("IAM-CondOps", json!({"NumericLessThan": {"a:n": "10"}}), json!({"a:n": "9"}), true),
        ("IAM-CondOps", json!({"NumericLessThan": {"a:n": "10"}}), json!({"a:n": "10"}), false),
        ("IAM-CondOps", json!({"NumericLessThanEquals": {"a:n": 10}}), json!({"a:n": 10}), true),
        ("IAM-CondOps", json!({"NumericGreaterThan": {"a:n": "-1"}}), json!({"a:n": "0"}), true),
        ("IAM-CondOps", json!({"NumericGreaterThanEquals": {"a:n": "5"}}), json!({"a:n": "4.99"}), false),
        ("IAM-CondOps", json!({"NumericLessThanIfExists": {"a:n": "5"}}), json!({}), true),
        ("STK-iam", json!({"NumericNotEquals": {"a:n": "5"}}), json!({"a:n": "five"}), true),
        ("STK-iam", json!({"NumericLessThan": {"a:n": "5"}}), json!({"a:n": "four"}), false),
        (
            "IAM-CondOps",
            json!({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:01Z"}}),
            json!({"aws:CurrentTime": "2020-01-01T00:00:02Z"}),
            true,
        ),
        (
            "IAM-CondOps",
            json!({"DateLessThan": {"aws:CurrentTime": "2020-01-01"}}),
            json!({"aws:CurrentTime": "2020-01-01T00:00:00Z"}),
            false,
        ),
        (
            "IAM-CondOps",
            json!({"DateLessThanEquals": {"aws:CurrentTime": "2020-01-01"}}),
            json!({"aws:CurrentTime": "2020-01-01T00:00:00Z"}),
            true,
        ),
        ("IAM-CondOps", json!({"DateEquals": {"aws:EpochTime": "1577836800"}}), json!({"aws:EpochTime": "2020-01-01T00:00:00Z"}), true),
        ("IAM-CondOps", json!({"DateGreaterThanEquals": {"aws:EpochTime": "2020-01-01"}}), json!({"aws:EpochTime": 1577836799}), false),
        ("STK-iam", json!({"DateNotEquals": {"a:d": "2020-01-01"}}), json!({"a:d": "soon"}), true),
        ("IAM-CondOps", json!({"Bool": {"aws:SecureTransport": "true"}}), json!({"aws:SecureTransport": true}), true),
        ("IAM-CondOps", json!({"Bool": {"aws:SecureTransport": false}}), json!({"aws:SecureTransport": "true"}), false),
        ("IAM-CondOps", json!({"Bool": {"aws:SecureTransport": "false"}}), json!({}), false),
        ("IAM-CondOps", json!({"BoolIfExists": {"aws:SecureTransport": "true"}}), json!({}), true),
        ("STK-iam", json!({"Bool": {"a:b": "TRUE"}}), json!({"a:b": "True"}), true),
        (
            "IAM-CondOps",
            json!({"BinaryEquals": {"a:k": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}),
            json!({"a:k": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}),
            true,
        ),
        ("IAM-CondOps", json!({"BinaryEquals": {"a:k": "QQ=="}}), json!({"a:k": "Qg=="}), false),
        ("IAM-CondOps", json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}), json!({"aws:SourceIp": "203.0.113.7"}), true),
        ("IAM-CondOps", json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}), json!({"aws:SourceIp": "203.0.114.7"}), false),
        ("IAM-CondOps", json!({"IpAddress": {"aws:SourceIp": "203.0.113.7"}}), json!({"aws:SourceIp": "203.0.113.7"}), true),
        (
            "IAM-CondOps",
            json!({"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "203.0.113.0/24"]}}),
            json!({"aws:SourceIp": "203.0.113.7"}),
            false,
        ),
        ("IAM-CondOps", json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), json!({}), true),
        ("IAM-CondOps", json!({"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}), json!({"aws:SourceIp": "2001:db8:1::1"}), true),
        ("STK-iam", json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}), json!({"aws:SourceIp": "::ffff:203.0.113.7"}), true),
        ("STK-iam", json!({"IpAddress": {"aws:SourceIp": "2001:db8::5/64"}}), json!({"aws:SourceIp": "2001:db8::5"}), false),
        ("STK-iam", json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), json!({"aws:SourceIp": "AWS Internal"}), false),
        ("IAM-CondOps", json!({"ArnEquals": {"aws:PrincipalArn": arn}}), json!({"aws:PrincipalArn": arn}), true),
        ("IAM-CondOps", json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::*:role/a?p"}}), json!({"aws:PrincipalArn": arn}), true),
        ("IAM-CondOps", json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::1*"}}), json!({"aws:PrincipalArn": arn}), false),
        ("IAM-CondOps", json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam:*:role/app"}}), json!({"aws:PrincipalArn": arn}), false),
        ("IAM-CondOps", json!({"ArnLike": {"aws:SourceArn": "arn:aws:x:::a:*:c"}}), json!({"aws:SourceArn": "arn:aws:x:::a:b:b:c"}), true),
        (
            "IAM-CondOps",
            json!({"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/*"}}),
            json!({"aws:PrincipalArn": arn}),
            false,
        ),
        (
            "IAM-CondOps",
            json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::222222222222:role/*"}}),
            json!({"aws:PrincipalArn": arn}),
            true,
        ),
        ("IAM-CondOps", json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::222222222222:role/*"}}), json!({}), true),
        ("STK-iam", json!({"ArnNotLike": {"a:arn": "arn:aws:iam::222222222222:role/*"}}), json!({"a:arn": "no arn"}), false),
        ("IAM-CondOps", json!({"Null": {"a:b": "true"}}), json!({}), true),
        ("IAM-CondOps", json!({"Null": {"a:b": "true"}}), json!({"a:b": ""}), false),
        ("IAM-CondOps", json!({"Null": {"a:b": false}}), json!({"a:b": "x"}), true),
        ("IAM-CondOps", json!({"Null": {"a:b": "false"}}), json!({}), false),
        ("IAM-Multi", json!({"ForAllValues:StringEquals": {"a:t": ["x", "y"]}}), json!({"a:t": ["x"]}), true),
        ("IAM-Multi", json!({"ForAllValues:StringEquals": {"a:t": ["x", "y"]}}), json!({"a:t": ["x", "z"]}), false),
        ("IAM-Multi", json!({"ForAllValues:StringEquals": {"a:t": "x"}}), json!({}), true),
        ("IAM-Multi", json!({"ForAllValues:StringEquals": {"a:t": "x"}}), json!({"a:t": []}), true),
        ("IAM-Multi", json!({"ForAllValues:StringEquals": {"a:t": "x"}, "Null": {"a:t": "false"}}), json!({}), false),
        ("IAM-Multi", json!({"ForAnyValue:StringEquals": {"a:t": ["x", "y"]}}), json!({"a:t": ["z", "y"]}), true),
        ("IAM-Multi", json!({"ForAnyValue:StringEquals": {"a:t": "x"}}), json!({}), false),
        ("IAM-Multi", json!({"ForAnyValue:StringEquals": {"a:t": "x"}}), json!({"a:t": []}), false),
        ("IAM-Multi", json!({"ForAnyValue:StringNotEquals": {"a:t": "x"}}), json!({"a:t": ["x", "y"]}), true),
        ("IAM-Multi", json!({"ForAllValues:StringNotEquals": {"a:t": "x"}}), json!({"a:t": ["x", "y"]}), false),
        ("IAM-Multi", json!({"ForAllValues:StringNotLike": {"a:t": "x*"}}), json!({"a:t": ["y", "z"]}), true),
        ("IAM-Multi", json!({"ForAnyValue:StringLike": {"a:t": "x*"}}), json!({"a:t": "xy"}), true),
        ("STK-iam", json!({"StringEquals": {"a:t": "x"}}), json!({"a:t": ["x"]}), false),
        ("STK-iam", json!({"StringNotEquals": {"a:t": "x"}}), json!({"a:t": ["y"]}), false),
        ("STK-iam", json!({"StringEqualsIfExists": {"a:t": "x"}}), json!({"a:t": ["x"]}), false),
        ("IAM-Vars", json!({"StringEquals": {"a:b": "${aws:username}"}}), json!({"a:b": "x", "aws:username": "x"}), true),
        ("IAM-Vars", json!({"StringLike": {"a:b": "${aws:username}/*"}}), json!({"a:b": "x/y", "aws:username": "x"}), true),
        ("IAM-Vars", json!({"StringLike": {"a:b": "${aws:username}"}}), json!({"a:b": "xy", "aws:username": "x*"}), false),
        ("IAM-Vars", json!({"StringEquals": {"a:b": "${aws:username}"}}), json!({"a:b": ""}), false),
        // Nothing is equal to a value that isn't there (`variables.rs` has all rows of the page).
        ("IAM-Vars", json!({"StringNotEquals": {"a:b": "${aws:username}"}}), json!({"a:b": "x"}), true),
        (
            "IAM-Vars",
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::${aws:a}:role/*"}}),
            json!({"aws:PrincipalArn": arn, "aws:a": DEV}),
            true,
        ),
        ("IAM-Vars", json!({"NumericEquals": {"a:n": "${a:m}"}}), json!({"a:n": "1", "a:m": "1"}), false),
        ("IAM-Vars", json!({"StringEquals": {"a:b": "${a:c, 'd e'}"}}), json!({"a:b": "d e"}), true),
        ("S3-KMS", json!({"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}), json!({}), true),
        (
            "KMS-ViaService",
            json!({"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:CallerAccount": DEV}}),
            json!({"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:CallerAccount": "111111111111"}),
            true,
        ),
    ];
    let mut wrong = Vec::new();
    for (tag, condition, context, holds) in &rows {
        let statement = |effect: &str| json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition});
        let granted = decision(&request(json!({"context": context, "identityPolicies": doc(statement("Allow"))})));
        let refused = decision(&request(json!({"context": context, "identityPolicies": [all(), doc(statement("Deny"))]})));
        // An ARN pattern that is none can't grant, and counts for a Deny: the two differ only there.
        let no_arn = condition.to_string().contains("iam::1*\"") || condition.to_string().contains("iam:*:role");
        if (granted == YES) != *holds || ((refused == DENIED) != *holds && !no_arn) {
            wrong.push(format!("[{tag}] {condition} in {context}: expected {holds}, got {granted} and {refused}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_malformed_never_allows() {
    let bad = json!({"Sid": "Bad", "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Conditions": {}});
    let good = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
    let no = json!({"Effect": "Deny", "Action": "s3:*", "Resource": "*"});
    let with = |list: Value| request(json!({"identityPolicies": doc(list)}));
    check(vec![
        ("IAM-Grammar", "beside an allow", with(json!([bad, good])), "error"),
        ("IAM-Grammar", "beside a deny", with(json!([bad, no])), DENIED),
        ("IAM-Grammar", "alone", with(json!([bad])), "error"),
        ("IAM-Grammar", "in another document", request(json!({"identityPolicies": [doc(json!([bad])), all()]})), "error"),
        ("IAM-Grammar", "no document", request(json!({"identityPolicies": [7]})), "error"),
        (
            "IAM-Grammar",
            "a version that isn't one",
            request(json!({"identityPolicies": {"Version": "2020-01-01", "Statement": good}})),
            "error",
        ),
        (
            "IAM-Grammar",
            "both Action and NotAction",
            with(json!([{"Effect": "Allow", "Action": "*", "NotAction": "s3:*", "Resource": "*"}])),
            "error",
        ),
        (
            "IAM-Grammar",
            "an operator that isn't one",
            with(json!([{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringIs": {"a:b": "c"}}}])),
            "error",
        ),
        (
            "IAM-Grammar",
            "a Principal in an identity policy",
            with(json!([{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}])),
            "error",
        ),
        (
            "IAM-Grammar",
            "no Principal in a bucket policy",
            request(json!({"identityPolicies": all(), "resourcePolicy": doc(json!([good]))})),
            "error",
        ),
        (
            "IAM-Grammar",
            "a document that has no say",
            request(
                json!({"principal": "x.amazonaws.com", "identityPolicies": [7], "resourcePolicy": to(json!({"Service": "x.amazonaws.com"}))}),
            ),
            YES,
        ),
        (
            "IAM-Grammar",
            "an empty Sid, an object, an empty Condition",
            with(json!({"Sid": "", "Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"], "Condition": {}})),
            YES,
        ),
    ]);
    let answer = simulate(&with(json!([bad, good])));
    assert_eq!(answer["errors"][0], "identity document 0: statement 0 (Bad): it has the unknown element `Conditions`");
    let warned = simulate(&session(json!({"resourcePolicy": to(json!({"AWS": "AROAEXAMPLEEXAMPLE001"}))})));
    assert!(warned["warnings"][0].as_str().unwrap().contains("what is left of a deleted role"), "{warned}");
    for broken in [
        json!(7),
        json!({}),
        json!({"id": "x", "principal": "?"}),
        request(json!({"action": "GetObject"})),
        request(json!({"context": {"a:b": {}}})),
        request(json!({"scps": [all()]})),
        request(json!({"principal": "arn:aws:iam::1:user/x"})),
        request(json!({"principal": SESSION, "principalRole": "arn:aws:iam::111111111111:role/other"})),
    ] {
        let answer = simulate(&broken);
        assert_eq!(answer["decision"], "error", "{broken}");
        assert_eq!(answer.get("id"), Some(broken.get("id").unwrap_or(&Value::Null)));
    }
}

#[test]
fn unknown_keys_are_never_guessed() {
    let with = |effect: &str, condition: Value| json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition});
    let ask = |list: Value| request(json!({"identityPolicies": doc(list), "unknownContext": ["a:k", "a:l"]}));
    let is = |value: &str| json!({"StringEquals": {"a:k": value}});
    let not = |value: &str| json!({"StringNotEquals": {"a:k": value}});
    let star = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let no = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
    const CANT_TELL: &str = "unknown";
    check(vec![
        ("IAM-CondOps", "allow hangs on it", ask(json!([with("Allow", is("x"))])), CANT_TELL),
        ("IAM-CondOps", "deny hangs on it", ask(json!([star, with("Deny", is("x"))])), CANT_TELL),
        ("IAM-CondOps", "allowed anyway", ask(json!([star, with("Allow", is("x"))])), YES),
        ("IAM-CondOps", "denied anyway", ask(json!([no, with("Allow", is("x"))])), DENIED),
        ("IAM-CondOps", "nothing allows anyway", ask(json!([with("Deny", is("x"))])), NO),
        ("IAM-CondOps", "x or not x", ask(json!([with("Allow", is("x")), with("Allow", not("x"))])), YES),
        ("IAM-CondOps", "x or not y", ask(json!([with("Allow", is("x")), with("Allow", not("y"))])), CANT_TELL),
        (
            "IAM-CondOps",
            "x and not x",
            ask(json!([with("Allow", json!({"StringEquals": {"a:k": "x"}, "StringNotEquals": {"a:k": "x"}}))])),
            NO,
        ),
        ("IAM-CondOps", "x and denied unless y", ask(json!([with("Allow", is("x")), with("Deny", not("y"))])), NO),
        ("IAM-CondOps", "denied either way", ask(json!([star, with("Deny", is("x")), with("Deny", not("x"))])), DENIED),
        (
            "IAM-CondOps",
            "present or absent",
            ask(json!([with("Allow", json!({"Null": {"a:k": "true"}})), with("Allow", json!({"Null": {"a:k": "false"}}))])),
            YES,
        ),
        (
            "IAM-CondOps",
            "patterns that cover all",
            ask(json!([
                with("Allow", json!({"StringLike": {"a:k": "a*"}})),
                with("Allow", json!({"StringNotLike": {"a:k": "*"}})),
                with("Allow", json!({"StringNotLike": {"a:k": "a*"}}))
            ])),
            YES,
        ),
        (
            "IAM-CondOps",
            "patterns that exclude each other",
            ask(json!([
                with("Allow", json!({"StringLike": {"a:k": "a*"}})),
                with("Deny", json!({"StringNotLike": {"a:k": "*b"}})),
                with("Deny", json!({"StringLike": {"a:k": "?*"}}))
            ])),
            DENIED,
        ),
        (
            "IAM-CondOps",
            "patterns that meet",
            ask(json!([with("Allow", json!({"StringLike": {"a:k": "a*"}})), with("Deny", json!({"StringNotLike": {"a:k": "*b"}}))])),
            CANT_TELL,
        ),
        (
            "IAM-CondOps",
            "numbers that cover all",
            ask(json!([
                with("Allow", json!({"NumericLessThanEqualsIfExists": {"a:k": "5"}})),
                with("Allow", json!({"NumericGreaterThan": {"a:k": "4"}})),
                with("Allow", json!({"NumericNotEquals": {"a:k": "0"}}))
            ])),
            YES,
        ),
        (
            "IAM-CondOps",
            "numbers with a gap",
            ask(json!([
                with("Allow", json!({"NumericLessThanIfExists": {"a:k": "4"}})),
                with("Allow", json!({"NumericGreaterThan": {"a:k": "4"}}))
            ])),
            CANT_TELL,
        ),
        (
            "IAM-CondOps",
            "numbers that can't be",
            ask(json!([with("Allow", json!({"NumericLessThan": {"a:k": "4"}, "NumericGreaterThan": {"a:k": "5"}}))])),
            NO,
        ),
        (
            "IAM-CondOps",
            "dates that can't be",
            ask(json!([with("Allow", json!({"DateLessThan": {"a:k": "2020-01-01"}, "DateGreaterThan": {"a:k": "2021-01-01"}}))])),
            NO,
        ),
        (
            "IAM-CondOps",
            "networks that can't be",
            ask(json!([with("Allow", json!({"IpAddress": {"a:k": "10.0.0.0/24"}, "NotIpAddress": {"a:k": "10.0.0.0/8"}}))])),
            NO,
        ),
        (
            "IAM-CondOps",
            "networks that can",
            ask(json!([with("Allow", json!({"IpAddress": {"a:k": "10.0.0.0/8"}, "NotIpAddress": {"a:k": "10.0.0.0/24"}}))])),
            CANT_TELL,
        ),
        ("IAM-CondOps", "a boolean", ask(json!([star, with("Deny", json!({"Bool": {"a:k": "false"}}))])), CANT_TELL),
        (
            "IAM-CondOps",
            "a boolean, all ways",
            ask(json!([with("Allow", json!({"BoolIfExists": {"a:k": "true"}})), with("Allow", json!({"Bool": {"a:k": "false"}}))])),
            YES,
        ),
        (
            "IAM-CondOps",
            "ARNs that can't be",
            ask(json!([with(
                "Allow",
                json!({"ArnLike": {"a:k": "arn:aws:iam::1:role/*"}, "ArnNotLike": {"a:k": "arn:aws:iam::*:role/*"}})
            )])),
            NO,
        ),
        (
            "IAM-CondOps",
            "ARNs that can",
            ask(json!([with(
                "Allow",
                json!({"ArnLike": {"a:k": "arn:aws:iam::*:role/*"}, "ArnNotLike": {"a:k": "arn:aws:iam::1:role/*"}})
            )])),
            CANT_TELL,
        ),
        (
            "IAM-Multi",
            "sets",
            ask(json!([with("Allow", json!({"ForAnyValue:StringEquals": {"a:k": "x"}, "ForAllValues:StringNotEquals": {"a:k": "x"}}))])),
            NO,
        ),
        (
            "IAM-Multi",
            "sets that can",
            ask(json!([with(
                "Allow",
                json!({"ForAnyValue:StringEquals": {"a:k": "x"}, "ForAllValues:StringEquals": {"a:k": ["x", "y"]}})
            )])),
            CANT_TELL,
        ),
        (
            "IAM-Vars",
            "a variable of a resource",
            request(json!({"unknownContext": ["aws:username"], "identityPolicies": allow("s3:*", "arn:aws:s3:::b/${aws:username}")})),
            CANT_TELL,
        ),
        (
            "IAM-Vars",
            "a variable that can't help",
            request(json!({"unknownContext": ["aws:username"], "identityPolicies": allow("s3:*", "arn:aws:s3:::c/${aws:username}")})),
            NO,
        ),
        (
            "IAM-CondOps",
            "two keys",
            ask(json!([with("Allow", json!({"StringEquals": {"a:k": "x"}})), with("Allow", json!({"StringEquals": {"a:l": "x"}}))])),
            CANT_TELL,
        ),
        (
            "IAM-CondOps",
            "two keys, one settles it",
            ask(json!([with("Allow", is("x")), with("Allow", not("x")), with("Allow", json!({"StringEquals": {"a:l": "x"}}))])),
            YES,
        ),
        (
            "IAM-CondOps",
            "another action doesn't count",
            request(
                json!({"unknownContext": ["a:k"], "identityPolicies": [all(), doc(json!({"Effect": "Deny", "Action": "s3:Put*", "Resource": "*", "Condition": is("x")}))]}),
            ),
            YES,
        ),
    ]);
    let answer = simulate(&ask(json!([with("Allow", is("x"))])));
    assert_eq!(answer["unknown"], json!(["a:k"]));
}

#[test]
fn reasons_say_who_decided_and_what_is_missing() {
    let denied = simulate(&request(json!({"identityPolicies": [all(), doc(json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Sid": "NoReads", "Effect": "Deny", "Action": "s3:Get*", "Resource": "*"}]))]})));
    assert_eq!(denied["because"], json!([{"policy": "identity", "document": 1, "statement": "NoReads", "index": 1, "effect": "Deny"}]));
    let lacking = simulate(&session(json!({"action": "kms:Decrypt", "resource": KEY, "principal": SESSION})));
    assert_eq!(
        lacking["missing"][0]["statement"],
        json!({"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:Decrypt", "Resource": "*"})
    );
    let both = simulate(&session(json!({"resourceAccount": PROD, "scps": [[all()], []]})));
    let sides: Vec<&str> = both["missing"].as_array().unwrap().iter().map(|lack| lack["side"].as_str().unwrap()).collect();
    assert_eq!(sides, ["scp", "identity", "resource"]);
    assert_eq!(both["missing"][0]["level"], 1);
}

/// What a denial says is missing, put where it says, allows the call: for each way a session can lack something.
#[test]
fn what_is_missing_is_what_helps() {
    for start in [
        session(json!({})),
        session(json!({"resourceAccount": PROD})),
        session(json!({"action": "kms:Decrypt", "resource": KEY})),
        session(json!({"action": "sts:AssumeRole", "resource": TRUSTED, "resourceAccount": PROD})),
        session(
            json!({"scps": [[], [deny("ec2:*", "*")]], "permissionBoundaries": [allow("ec2:*", "*")], "sessionPolicy": [allow("ec2:*", "*")]}),
        ),
        request(
            json!({"principal": "x.amazonaws.com", "vpcEndpointPolicies": [doc(json!({"Effect": "Allow", "Principal": "*", "Action": "ec2:*", "Resource": "*"}))]}),
        ),
        request(json!({"principal": "anonymous"})),
    ] {
        let mut helped = start.clone();
        for lack in simulate(&start)["missing"].as_array().unwrap() {
            let document = doc(lack["statement"].clone());
            let place = match lack["side"].as_str().unwrap() {
                "identity" => "identityPolicies",
                "boundary" => "permissionBoundaries",
                "session" => "sessionPolicy",
                "vpc-endpoint" => "vpcEndpointPolicies",
                "scp" => "scps",
                _ => "resourcePolicy",
            };
            let list = if helped[place].is_null() { json!([]) } else { helped[place].clone() };
            helped[place] = list;
            match lack["level"].as_u64() {
                Some(level) => helped[place][usize::try_from(level).unwrap()].as_array_mut().unwrap().push(document),
                None => helped[place].as_array_mut().unwrap().push(document),
            }
        }
        assert_eq!(decision(&helped), YES, "{start}\n{helped}");
    }
}

fn xdeploy(args: &[&str], input: &[u8]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
    let mut child = command.arg("simulate").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

#[test]
fn simulate_answers_line_by_line_in_order() {
    let mut lines = Vec::new();
    for id in 0..2000 {
        let identity = if id % 2 == 0 { all() } else { deny("*", "*") };
        lines.extend(serde_json::to_vec(&request(json!({"id": id, "identityPolicies": identity}))).unwrap());
        lines.push(b'\n');
    }
    let (told, code) = xdeploy(&[], &lines);
    assert_eq!(code, Some(0));
    for (id, line) in told.lines().enumerate() {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["id"], id);
        assert_eq!(answer["decision"], if id % 2 == 0 { YES } else { DENIED });
    }
    assert_eq!(told.lines().count(), 2000);
}

#[test]
fn simulate_holds_no_verdict_back() {
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_xdeploy")).arg("simulate").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut told = std::io::BufReader::new(child.stdout.take().unwrap());
    let line = request(json!({"identityPolicies": all()})).to_string();
    let (start, rest) = line.split_at(line.len() / 2);
    // The second line has begun, and there is nothing to wait for before the first is answered.
    write!(stdin, "{line}\n{start}").unwrap();
    for more in [format!("{rest}\n"), String::new()] {
        let mut answer = String::new();
        told.read_line(&mut answer).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["decision"], YES);
        stdin.write_all(more.as_bytes()).unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_line_longer_than_what_is_read_at_once_is_one_line() {
    let asked = |id: usize, length: usize| request(json!({"id": id, "identityPolicies": all(), "more": "x".repeat(length)})).to_string();
    let lines = [asked(0, 10), asked(1, 3 << 18), asked(2, 10), asked(3, 1 << 18)].join("\n");
    let (told, code) = xdeploy(&[], lines.as_bytes());
    let ids: Vec<Value> = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!((ids, code), (vec![json!(0), json!(1), json!(2), json!(3)], Some(0)));
}

#[test]
fn a_broken_line_is_an_error_in_its_place_and_exit_1() {
    let good = request(json!({"identityPolicies": all()})).to_string();
    let mut input = format!("{good}\n{{oops\n\n").into_bytes();
    input.extend(b"\xff\xfe\n");
    input.extend(good.as_bytes());
    let (told, code) = xdeploy(&["-"], &input);
    let decisions: Vec<Value> = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["decision"].clone()).collect();
    assert_eq!(decisions, [YES, "error", "error", YES]);
    assert_eq!(code, Some(1));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("requests");
    std::fs::write(&file, &input).unwrap();
    assert_eq!(xdeploy(&[file.to_str().unwrap()], b""), (told, Some(1)));
    assert_eq!(xdeploy(&["/no/such/file"], b""), (String::new(), Some(1)));
}

/// A small generator of numbers that is the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

const VALUES: [&str; 26] = [
    "",
    "x",
    "X",
    "xy",
    "x*",
    "?",
    "*",
    "k",
    "K",
    "ſ",
    "𐐀",
    "1",
    "2.5",
    "-3",
    "1e2",
    "true",
    "False",
    "2020-01-01",
    "2020-01-01T00:00:00Z",
    "10.0.0.1",
    "10.0.0.0/8",
    "2001:db8::/32",
    "::ffff:10.0.0.1",
    "arn:aws:iam::1:role/a",
    "arn:aws:iam::*:role/*",
    "QQ==",
];

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
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnNotLike",
    "StringEqualsIfExists",
    "ForAllValues:StringLike",
    "ForAnyValue:StringEquals",
    "Null",
];

/// Whatever an unknown key turns out to be, the verdict without it was not wrong.
#[test]
fn an_unknown_key_never_makes_a_verdict_wrong() {
    let mut dice = Dice(7);
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..500 {
        let mut statements = Vec::new();
        for _ in 0..=dice.roll(3) {
            let operator = dice.pick(&OPERATORS);
            let key = dice.pick(&["a:k", "a:k", "A:K", "a:l"]);
            let value = dice.pick(&[VALUES.as_slice(), &["${a:k}", "x${a:k}", "${a:k, 'x'}"]].concat());
            let values = if operator == "Null" { json!(dice.pick(&["true", "false"])) } else { json!([value, dice.pick(&VALUES)]) };
            let resource = dice.pick(&["*", "*", "*", "arn:aws:s3:::b/${a:k}"]);
            statements.push(json!({"Effect": dice.pick(&["Allow", "Deny"]), "Action": "*", "Resource": resource, "Condition": {operator: {key: values}}}));
        }
        if dice.roll(2) == 0 {
            statements.push(json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
        }
        let mut asked = request(json!({"identityPolicies": doc(json!(statements)), "context": {"a:l": "x"}, "unknownContext": ["a:k"]}));
        let verdict = decision(&asked);
        *counts.entry(verdict.clone()).or_default() += 1;
        asked["unknownContext"] = json!([]);
        let lists = [json!([]), json!(["x"]), json!(["x", "xy"]), json!(["k", "x"])];
        for value in VALUES.iter().map(|text| json!(text)).chain(lists).map(Some).chain([None]) {
            // A list only where the statements ask for one: elsewhere the key has one value.
            if value.as_ref().is_some_and(Value::is_array) && !json!(statements).to_string().contains("Values:") {
                continue;
            }
            asked["context"] = value.as_ref().map_or(json!({"a:l": "x"}), |value| json!({"a:l": "x", "a:k": value}));
            let known = decision(&asked);
            let right = match verdict.as_str() {
                YES => known == YES,
                DENIED => known == DENIED,
                NO => known != YES,
                other => other == "unknown",
            };
            assert!(right, "{verdict} without, {known} with {value:?}: {asked}");
        }
    }
    assert!(counts.len() == 4, "{counts:?}");
}

/// Members of requests and documents, replaced by things that don't belong there: an answer comes, and never a panic.
#[test]
fn no_request_makes_it_panic() {
    let whole = session(json!({"identityPolicies": doc(json!({"Sid": "A", "Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::b/${aws:username, 'x'}*"],
        "Condition": {"StringLike": {"a:b": ["x"]}}})), "resourcePolicy": to(json!({"AWS": [ROLE]})), "scps": [[all()]], "rcps": [[]], "unknownContext": ["a:b"],
        "permissionBoundaries": [all()], "blockPublicAccess": true, "derive": true, "context": {"a:c": ["x", 1, true]}}))
    .to_string();
    let bits = [
        "null",
        "7",
        "-1e300",
        "\"\"",
        "[]",
        "{}",
        "\"*\"",
        "\"${\"",
        "\"${a:b\"",
        "\"é:${é, 'é\"",
        "\"arn:\"",
        "\"arn:::::\"",
        "\"::::::::\"",
        "\"𐐀\"",
        "\"AWS\"",
        "\"kms:é\"",
        "\"Null\"",
        "\"s3:\"",
        "[[]]",
        "\"anonymous\"",
        "\"a.b\"",
        "\"${a:b}\"",
        "\"1.2.3.4/99999999999\"",
        "\"arn:aws:sts::111111111111:assumed-role/a\"",
    ];
    let words: Vec<&str> = whole.split_inclusive([',', '{', '}', '[', ']', ':']).collect();
    let mut dice = Dice(11);
    let mut judged = 0;
    for _ in 0..20_000 {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        for _ in 0..=dice.roll(2) {
            let at = dice.roll(words.len());
            let end: String = words[at].chars().last().filter(|last| ",{}[]:".contains(*last)).map(String::from).unwrap_or_default();
            words[at] = format!("{}{end}", dice.pick(&bits));
        }
        if let Ok(request) = serde_json::from_str::<Value>(&words.concat()) {
            assert!(simulate(&request)["decision"].is_string());
            judged += 1;
        }
    }
    assert!(judged > 1000, "{judged}");
}

#[test]
fn what_is_left_out_is_never_let_in_by_mistake() {
    let one = |statement: Value, more: Value| {
        let mut members = more;
        members["identityPolicies"] = doc(statement);
        request(members)
    };
    let but = |element: &str, what: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        statement.as_object_mut().unwrap().shift_remove(element.trim_start_matches("Not"));
        statement[element] = what;
        one(statement, json!({}))
    };
    let when = |effect: &str, condition: Value| {
        let asked = json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition});
        one(
            json!([asked, {"Effect": if effect == "Deny" { "Allow" } else { "Deny" }, "Action": if effect == "Deny" { "*" } else { "ec2:*" }, "Resource": "*"}]),
            json!({"context": {"a:k": "x"}}),
        )
    };
    let path = "arn:aws:s3:::b/${aws:username}/*";
    check(vec![
        ("IAM-NotAction", "excludes nothing", but("NotAction", json!([])), "error"),
        ("IAM-NotAction", "an action without a service", but("NotAction", json!(["iam:*", "GetObject"])), "error"),
        ("IAM-Resource", "NotResource excludes nothing", but("NotResource", json!([])), "error"),
        ("IAM-Resource", "NotResource that is no ARN", but("NotResource", json!("b/k")), "error"),
        ("IAM-Resource", "NotResource with a wildcard for the service", but("NotResource", json!("arn:aws:*:::c")), "error"),
        ("IAM-Vars", "NotResource, Allow, a variable without a value", but("NotResource", json!([path, "arn:aws:s3:::c"])), YES),
        (
            "IAM-Vars",
            "NotResource, Deny, a variable without a value",
            one(
                json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "*", "NotResource": path}]),
                json!({}),
            ),
            DENIED,
        ),
        (
            "IAM-Vars",
            "negated, Allow, one variable without a value",
            when("Allow", json!({"StringNotEquals": {"a:k": ["y", "${a:none}"]}})),
            YES,
        ),
        ("IAM-Vars", "negated, Allow, no key either", when("Allow", json!({"StringNotLike": {"a:l": ["y", "${a:none}"]}})), YES),
        (
            "IAM-Vars",
            "negated, Deny, one variable without a value",
            when("Deny", json!({"StringNotEquals": {"a:k": ["y", "${a:none}"]}})),
            DENIED,
        ),
        ("IAM-Vars", "one of several", when("Allow", json!({"StringEquals": {"a:k": ["x", "${a:none}"]}})), YES),
        (
            "KMS-Default",
            "a key's call on everything",
            request(json!({"action": "kms:Decrypt", "resource": "*", "identityPolicies": all()})),
            "error",
        ),
        (
            "KMS-Default",
            "a call without a key",
            request(json!({"action": "kms:ListKeys", "resource": "*", "identityPolicies": all()})),
            YES,
        ),
        (
            "IAM-EvalX",
            "a role assumed on everything",
            request(json!({"action": "sts:assumerole", "resource": "*", "identityPolicies": all()})),
            "error",
        ),
        (
            "IAM-Eval",
            "a call without a role",
            request(json!({"action": "sts:GetCallerIdentity", "resource": "*", "identityPolicies": all()})),
            YES,
        ),
    ]);
}

#[test]
fn an_alias_stands_for_a_key_that_is_not_known() {
    let asked = |pattern: &str| {
        let mut asked = request(
            json!({"action": "kms:Decrypt", "identityPolicies": allow("kms:*", pattern), "resourcePolicy": to(json!({"AWS": DEV}))}),
        );
        asked["resource"] = json!("arn:aws:kms:us-east-1:111111111111:alias/a");
        asked
    };
    check(vec![
        ("KMS-Default", "everything", asked("*"), YES),
        ("KMS-Default", "every key", asked("arn:aws:kms:us-east-1:111111111111:key/*"), YES),
        ("KMS-Default", "every key of another region", asked("arn:aws:kms:eu-west-1:111111111111:key/*"), NO),
        ("KMS-Default", "one key", asked(KEY), NO),
        ("KMS-Default", "the alias", asked("arn:aws:kms:us-east-1:111111111111:alias/a"), NO),
        ("KMS-Default", "the alias as a pattern", asked("arn:aws:kms:us-east-1:111111111111:?lias/a"), NO),
        ("KMS-Default", "what starts like an alias", asked("arn:aws:kms:us-east-1:111111111111:a*"), NO),
    ]);
    let mended = &simulate(&asked(KEY))["missing"][0]["statement"]["Resource"];
    assert_eq!(mended, "arn:aws:kms:us-east-1:111111111111:key/*");
}

#[test]
fn an_unknown_key_may_leave_a_variable_without_a_value() {
    let ask = |condition: Value, context: Value| {
        request(json!({"unknownContext": ["aws:username"], "context": context,
            "identityPolicies": doc(json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}))}))
    };
    let all_of = json!({"ForAllValues:StringLike": {"s3:prefix": "app/${aws:username}/"}});
    let if_there = json!({"StringNotEqualsIfExists": {"aws:PrincipalTag/team": "${aws:username}"}});
    check(vec![
        // Of a key that isn't there nothing hangs on the variable.
        ("IAM-Vars", "ForAllValues of a missing key", ask(all_of.clone(), json!({})), YES),
        ("IAM-Vars", "ForAllValues of an empty key", ask(all_of.clone(), json!({"s3:prefix": []})), YES),
        ("IAM-Vars", "IfExists of a missing key", ask(if_there.clone(), json!({})), YES),
        ("IAM-Vars", "ForAllValues", ask(all_of, json!({"s3:prefix": ["app/x/"]})), "unknown"),
        ("IAM-Vars", "negated, whatever fits", ask(if_there, json!({"aws:PrincipalTag/team": "red"})), "unknown"),
        ("IAM-Vars", "a default", ask(json!({"StringNotEquals": {"a:k": "${aws:username, 'x'}"}}), json!({})), YES),
    ]);
}

#[test]
fn an_unknown_key_may_be_a_list_if_any_statement_takes_it_for_one() {
    let only =
        |operator: &str, value: &str| json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {(operator): {"a:k": value}}});
    let elsewhere = json!({"Effect": "Deny", "Action": "ec2:*", "Resource": "*", "Condition": {"ForAnyValue:StringEquals": {"a:k": "x"}}});
    let ask = |list: Value| request(json!({"unknownContext": ["a:k"], "identityPolicies": doc(list)}));
    let (x, y) = (only("StringNotEquals", "x"), only("StringNotEquals", "y"));
    check(vec![
        ("STK-iam", "one value is never both", ask(json!([x, y])), YES),
        ("STK-iam", "a list is nothing to them", ask(json!([x, y, elsewhere])), "unknown"),
    ]);
    // More kinds of values than could be tried in every set.
    let letters: Vec<String> = ('a'..='n').map(String::from).collect();
    let of_many = |operator: &str| json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {(operator): {"a:k": letters}}});
    let (any, none, only_these) =
        (of_many("ForAnyValue:StringEquals"), of_many("ForAllValues:StringNotEquals"), of_many("ForAllValues:StringEquals"));
    check(vec![
        ("IAM-Multi", "any of many or none of them", ask(json!([any, none])), YES),
        ("IAM-Multi", "any of many or only these", ask(json!([any, only_these])), "unknown"),
    ]);
}
