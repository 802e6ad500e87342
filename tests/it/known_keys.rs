//! What is known of the condition keys of a pipeline's calls (facts G.5, last paragraph; IAM's guide, "Availability" of each key):
//! told where it can be told, and nowhere else.

use crate::snapshots::{Built, set_ups};
use serde_json::{Value, json};
use xdeploy::model::Verdict::{self, Allowed, CannotTell, Denied};

/// Where a statement with the condition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the statement with which the cross-account role trusts the service role.
    Trust,
    /// In the one with which the service role trusts CodePipeline.
    ServiceTrust,
    /// In a Deny of everything of the service role.
    ServiceRole,
    /// In a Deny of everything of the cross-account role.
    DeployRole,
    /// In a Deny of everybody in the output bucket's policy.
    OutputBucket,
    /// In a Deny of everybody in the key's policy.
    Key,
    /// In a service control policy of the development account.
    Scp,
}

fn push(document: &mut Value, statement: Value) {
    if document.is_null() {
        *document = json!({"Version": "2012-10-17", "Statement": []});
    }
    if !document["Statement"].is_array() {
        document["Statement"] = json!([document["Statement"].clone()]);
    }
    document["Statement"].as_array_mut().unwrap().push(statement);
}

fn with(built: &Built, place: Place, condition: &Value) -> Value {
    let mut value = built.value();
    let deny = |principal: bool, resource: &str| {
        let mut statement = json!({"Effect": "Deny", "Action": "*", "Resource": resource, "Condition": condition});
        if principal {
            statement["Principal"] = json!("*");
        }
        statement
    };
    let document = |statement: Value| json!({"Version": "2012-10-17", "Statement": [statement]});
    let trusts = |trust: &mut Value| match &mut trust["Statement"] {
        Value::Array(list) => list[0]["Condition"] = condition.clone(),
        one => one["Condition"] = condition.clone(),
    };
    match place {
        Place::Trust => trusts(&mut value["deploy_role"]["trust"]),
        Place::ServiceTrust => trusts(&mut value["service_role"]["trust"]),
        Place::ServiceRole => value["service_role"]["inline"]["theirs"] = document(deny(false, "*")),
        Place::DeployRole => value["deploy_role"]["inline"]["theirs"] = document(deny(false, "*")),
        Place::OutputBucket => {
            let mut statement = deny(true, "arn:aws:s3:::out-bucket/*");
            statement["Action"] = json!("s3:*");
            push(&mut value["output"]["found"]["policy"], statement);
        }
        Place::Key => {
            let mut statement = deny(true, "*");
            statement["Action"] = json!("kms:*");
            push(&mut value["keys"]["us-east-1"]["found"]["policy"], statement);
        }
        Place::Scp => {
            let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
            let level = json!({"target": "r-root", "policies": {"Full": all, "Theirs": document(deny(false, "*"))}});
            value["dev_organisation"] = json!({"id": {"known": "o-example1234"}, "management": false, "scps": {"known": [level]}, "rcps": {"known": []}});
        }
    }
    value
}

type Row = (Place, Value, &'static str, Verdict);

fn check(built: &Built, rows: &[Row]) {
    let mut wrong = Vec::new();
    for (place, condition, link, right) in rows {
        let proof = built.broken(with(built, *place, condition));
        let found = proof.links.iter().find(|found| found.name == *link).unwrap_or_else(|| panic!("no link {link}"));
        if found.verdict != *right {
            wrong.push(format!("{}: {place:?} {condition}: {link} is {:?}, should be {right:?}: {:?} {:?}", built.name, found.verdict, found.unknown, found.reasons));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// What a role's trust may ask of the session that assumes it.
#[test]
fn a_trust_is_told_by_what_a_service_s_session_has() {
    let of = |condition: Value, right: Verdict| (Place::Trust, condition, "deploy-role", right);
    let arn = "arn:aws:codepipeline:us-east-1:111111111111:*";
    check(
        &set_ups()[0],
        &[
            // Only in what a service asks as itself.
            of(json!({"ArnLike": {"aws:SourceArn": arn}}), Denied),
            of(json!({"ArnLikeIfExists": {"aws:SourceArn": arn}}), Allowed),
            of(json!({"ArnNotLike": {"aws:SourceArn": arn}}), Allowed),
            of(json!({"StringEquals": {"aws:SourceAccount": "111111111111"}}), Denied),
            of(json!({"StringEquals": {"AWS:sourceOrgId": "o-example1234"}}), Denied),
            of(json!({"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-example1234/*"}}), Denied),
            of(json!({"StringEquals": {"aws:PrincipalServiceName": "codepipeline.amazonaws.com"}}), Denied),
            of(json!({"ForAnyValue:StringEquals": {"aws:PrincipalServiceNamesList": "codepipeline.amazonaws.com"}}), Denied),
            of(json!({"Bool": {"aws:PrincipalIsAWSService": "true"}}), Denied),
            of(json!({"Bool": {"aws:PrincipalIsAWSService": "false"}}), Allowed),
            // Only of people.
            of(json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}), Denied),
            of(json!({"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}), Allowed),
            of(json!({"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}), Denied),
            of(json!({"Null": {"aws:MultiFactorAuthAge": "true"}}), Allowed),
            of(json!({"StringLike": {"aws:username": "*"}}), Denied),
            of(json!({"StringEquals": {"aws:SourceIdentity": "ann"}}), Denied),
            of(json!({"StringEquals": {"sts:SourceIdentity": "ann"}}), Denied),
            of(json!({"StringEquals": {"identitystore:UserId": "x"}}), Denied),
            // Of sessions made elsewhere.
            of(json!({"StringEquals": {"aws:FederatedProvider": "cognito-identity.amazonaws.com"}}), Denied),
            of(json!({"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}}), Denied),
            of(json!({"StringEquals": {"saml:aud": "https://signin.aws.amazon.com/saml"}}), Denied),
            of(json!({"ArnLike": {"ec2:SourceInstanceARN": "arn:aws:ec2:*:*:instance/*"}}), Denied),
            of(json!({"StringEquals": {"aws:Ec2InstanceSourceVpc": "vpc-1"}}), Denied),
            of(json!({"ArnLike": {"lambda:SourceFunctionArn": "arn:aws:lambda:*:*:function:*"}}), Denied),
            of(json!({"Bool": {"aws:AssumedRoot": "true"}}), Denied),
            // Of the call.
            of(json!({"StringEquals": {"sts:ExternalId": "x"}}), Denied),
            of(json!({"Bool": {"aws:ViaAWSService": "false"}}), Allowed),
            of(json!({"Bool": {"aws:ViaAWSService": "true"}}), Denied),
            of(json!({"ForAnyValue:StringEquals": {"aws:CalledVia": "codepipeline.amazonaws.com"}}), Denied),
            of(json!({"StringEquals": {"aws:CalledViaFirst": "codepipeline.amazonaws.com"}}), Denied),
            of(json!({"Bool": {"aws:SecureTransport": "true"}}), Allowed),
            of(json!({"StringEquals": {"aws:PrincipalType": "AssumedRole"}}), Allowed),
            of(json!({"StringEquals": {"aws:RequestTag/team": "web"}}), Denied),
            of(json!({"ForAllValues:StringEquals": {"aws:TagKeys": "team"}}), Allowed),
            of(json!({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}), Allowed),
            of(json!({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}), Denied),
            of(json!({"StringLike": {"aws:referer": "*"}}), Denied),
            // Time.
            of(json!({"DateGreaterThan": {"aws:TokenIssueTime": "2024-05-01T09:00:00Z"}}), Allowed),
            of(json!({"DateLessThan": {"aws:TokenIssueTime": "2024-05-01T09:00:00Z"}}), Denied),
            of(json!({"DateLessThan": {"aws:CurrentTime": "2024-05-01T09:00:00Z"}}), Denied),
            of(json!({"NumericGreaterThan": {"aws:EpochTime": "1700000000"}}), Allowed),
            of(json!({"DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}}), CannotTell),
            of(json!({"DateGreaterThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}}), CannotTell),
            of(
                json!({"DateGreaterThan": {"aws:CurrentTime": "2024-01-01T00:00:00Z"}, "DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}}),
                CannotTell,
            ),
            // What nobody knows.
            of(json!({"StringEquals": {"aws:SourceVpce": "vpce-1"}}), CannotTell),
            of(json!({"StringEquals": {"aws:SourceVpc": "vpc-1"}}), CannotTell),
            of(json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}), CannotTell),
            of(json!({"StringLike": {"sts:RoleSessionName": "pipeline-*"}}), CannotTell),
            of(json!({"StringLike": {"aws:UserAgent": "*codepipeline*"}}), CannotTell),
        ],
    );
}

/// What denials may ask of a service's session and of the one that it makes.
#[test]
fn a_denial_is_told_by_what_a_session_has() {
    let service = |condition: Value, right: Verdict| (Place::ServiceRole, condition, "artifact-write", right);
    let deploy = |condition: Value, right: Verdict| (Place::DeployRole, condition, "output-write", right);
    let bucket = |condition: Value, right: Verdict| (Place::OutputBucket, condition, "output-write", right);
    let key = |condition: Value, right: Verdict| (Place::Key, condition, "deploy-decrypt", right);
    let mfa = |value: &str| json!({ "aws:MultiFactorAuthPresent": value });
    check(
        &set_ups()[0],
        &[
            // IAM's own policy for sessions that are to be revoked.
            service(json!({"DateLessThan": {"aws:TokenIssueTime": "2024-05-01T09:00:00.000Z"}}), Allowed),
            service(json!({"DateLessThan": {"aws:TokenIssueTime": "2099-05-01T09:00:00.000Z"}}), CannotTell),
            service(json!({"DateLessThan": {"aws:TokenIssueTime": ["2024-05-01T09:00:00.000Z", "2099-05-01"]}}), CannotTell),
            service(json!({"DateGreaterThan": {"aws:TokenIssueTime": "2024-05-01"}}), Denied),
            service(json!({"Null": {"aws:TokenIssueTime": "true"}}), Allowed),
            service(json!({"Null": {"aws:TokenIssueTime": "false"}}), Denied),
            service(json!({"DateNotEquals": {"aws:CurrentTime": "2024-05-01"}}), Denied),
            service(json!({"NumericLessThan": {"aws:EpochTime": "1700000000"}}), Allowed),
            service(json!({"BoolIfExists": mfa("false")}), Denied),
            service(json!({"Bool": mfa("false")}), Allowed),
            service(json!({"Bool": mfa("true")}), Allowed),
            service(json!({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}), Allowed),
            service(json!({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}), CannotTell),
            service(json!({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}), CannotTell),
            service(json!({"NumericLessThan": {"ec2:RoleDelivery": "2.0"}}), Allowed),
            service(json!({"StringNotEquals": {"aws:SourceVpc": "${aws:Ec2InstanceSourceVpc}"}, "Null": {"ec2:SourceInstanceARN": "false"}}), Allowed),
            // Whether a session that a session made has the key at all isn't written anywhere.
            deploy(json!({"BoolIfExists": mfa("false")}), Denied),
            deploy(json!({"Bool": mfa("false")}), CannotTell),
            deploy(json!({"Bool": mfa("true")}), Allowed),
            deploy(json!({"DateLessThan": {"aws:TokenIssueTime": "2026-11-01T00:00:00Z"}}), Allowed),
            bucket(json!({"StringNotEqualsIfExists": {"aws:SourceAccount": "111111111111"}, "Null": {"aws:SourceAccount": "false"}}), Allowed),
            bucket(json!({"Bool": {"aws:ViaAWSService": "true"}}), Allowed),
            bucket(json!({"StringNotEquals": {"aws:PrincipalTag/team": "web"}}), Denied),
            bucket(json!({"NumericLessThan": {"s3:TlsVersion": "1.2"}}), Allowed),
            bucket(json!({"NumericLessThan": {"s3:TlsVersion": "1.3"}}), CannotTell),
            bucket(json!({"StringEquals": {"s3:DataAccessPointAccount": "333333333333"}}), Allowed),
            key(json!({"Bool": {"aws:ViaAWSService": "false"}}), Allowed),
            key(json!({"Null": {"kms:EncryptionContext:team": "true"}}), Denied),
            key(json!({"Bool": {"kms:GrantIsForAWSResource": "true"}}), Allowed),
            key(json!({"StringNotEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}), Allowed),
            (Place::ServiceTrust, json!({"StringEquals": {"aws:SourceAccount": "111111111111"}}), "service-role", CannotTell),
            (Place::ServiceTrust, json!({"StringEquals": {"aws:SourceAccount": "333333333333"}}), "service-role", Denied),
            (Place::ServiceTrust, json!({"StringEquals": {"aws:PrincipalTag/team": "web"}}), "service-role", Denied),
            (Place::ServiceTrust, json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}), "service-role", Denied),
            (Place::Scp, json!({"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}), "deploy-role", Allowed),
            (Place::Scp, json!({"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}), "deploy-role", Denied),
        ],
    );
}

/// STS may be asked in either region, or at its global endpoint.
#[test]
fn a_region_that_may_be_either_is_told_where_both_say_the_same() {
    let scp = |regions: Value, right: Verdict| (Place::Scp, json!({"StringNotEquals": {"aws:RequestedRegion": regions}}), "deploy-role", right);
    check(
        &set_ups()[1],
        &[
            scp(json!("us-east-1"), CannotTell),
            scp(json!(["us-east-1", "eu-west-1"]), Allowed),
            scp(json!("eu-west-1"), CannotTell),
            scp(json!("ap-south-1"), Denied),
        ],
    );
}

/// A role's tags are its sessions' tags; the key's case doesn't count, the value's does.
#[test]
fn tags_are_those_of_the_role() {
    let built = &set_ups()[0];
    for (tag, value, right) in [("team", "web", Allowed), ("Team", "web", Allowed), ("team", "Web", Denied), ("other", "web", Denied)] {
        let mut changed = with(built, Place::Trust, &json!({"StringEquals": {"aws:PrincipalTag/team": "web", "aws:ResourceTag/of": "it"}}));
        changed["service_role"]["tags"][tag] = json!(value);
        changed["deploy_role"]["tags"]["of"] = json!("it");
        let proof = built.broken(changed);
        let link = proof.links.iter().find(|link| link.name == "deploy-role").unwrap();
        assert_eq!(link.verdict, right, "{tag} {value} {link:#?}");
    }
}

/// Resource control policies are for some services, and CodePipeline is none of them.
#[test]
fn a_resource_control_policy_is_for_the_services_that_have_them() {
    let built = &set_ups()[0];
    let mut changed = built.value();
    let deny = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]});
    let level = json!({"target": "r-root", "policies": {"Deny": deny}});
    changed["dev_organisation"] = json!({"id": {"known": "o-example1234"}, "management": false, "scps": {"known": []}, "rcps": {"known": [level]}});
    let proof = built.broken(changed);
    let verdict = |name: &str| proof.links.iter().find(|link| link.name == name).unwrap().verdict;
    assert_eq!((verdict("start-run"), verdict("service-role"), verdict("artifact-write")), (Allowed, Denied, Denied));
}

/// A network that isn't known is told to be probably not theirs.
#[test]
fn an_unknown_network_is_said_to_be_probably_not_theirs() {
    let built = &set_ups()[0];
    let proof = built.broken(with(built, Place::OutputBucket, &json!({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}})));
    let link = proof.links.iter().find(|link| link.name == "output-write").unwrap();
    assert!(link.verdict == CannotTell && link.unknown == ["aws:sourcevpce"] && link.reasons.concat().contains("probably not"), "{link:#?}");
}
