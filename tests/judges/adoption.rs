//! Set-ups where something is there already: adopted, kept, or refused.
//!
//! Each test seeds a world, runs setup, checks what must be there and that what is not the program's is as it was, and
//! that a second run has nothing to do.

use crate::needs::EMULATORS;
use libtest_mimic::Trial;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Account, Action, Bed, REGION};
use crate::world::{Ground, PIPELINE, TAG, World, document, foreign, grants, same, strings};

// ── Seeds ──

pub fn service_trust(service: &str) -> Value {
    document(json!([{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]))
}

pub fn role(account: &Account, path: &str, name: &str, trust: &Value) -> String {
    let made = account.call("iam", "create_role", json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": trust}));
    strings(&made["Role"]["Arn"]).concat()
}

fn policy(account: &Account, name: &str, document: &Value) -> String {
    let made = account.call("iam", "create_policy", json!({"PolicyName": name, "PolicyDocument": document}));
    strings(&made["Policy"]["Arn"]).concat()
}

fn attached(account: &Account, role: &str, name: &str, document: &Value) -> String {
    let arn = policy(account, name, document);
    account.call("iam", "attach_role_policy", json!({"RoleName": role, "PolicyArn": arn}));
    arn
}

pub fn inline(account: &Account, role: &str, name: &str, document: &Value) {
    account.call("iam", "put_role_policy", json!({"RoleName": role, "PolicyName": name, "PolicyDocument": document}));
}

pub fn allow(action: &str, resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": resource})
}

/// A role that has nothing to do with the pipeline.
fn stranger(account: &Account, name: &str) -> String {
    role(account, "/", name, &service_trust("ec2.amazonaws.com"))
}

pub fn root_statement(account: &Account) -> Value {
    json!({"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", account.id)},
        "Action": "kms:*", "Resource": "*"})
}

pub fn key_in(region: &str, account: &Account, alias: Option<&str>, policy: &Value) -> String {
    let made = account.call_in(region, "kms", "create_key", json!({"Policy": policy, "Description": "theirs"}));
    let arn = strings(&made["KeyMetadata"]["Arn"]).concat();
    if let Some(alias) = alias {
        account.call_in(region, "kms", "create_alias", json!({"AliasName": format!("alias/{alias}"), "TargetKeyId": arn}));
    }
    arn
}

pub fn key(account: &Account, alias: Option<&str>, policy: &Value) -> String {
    key_in(REGION, account, alias, policy)
}

pub fn plain_key(account: &Account, alias: Option<&str>) -> String {
    key(account, alias, &document(json!([root_statement(account)])))
}

pub fn bucket_named(account: &Account, region: &str, name: &str) {
    let mut arguments = json!({"Bucket": name});
    if region != REGION {
        arguments["CreateBucketConfiguration"] = json!({"LocationConstraint": region});
    }
    account.call_in(region, "s3", "create_bucket", arguments);
}

fn bucket_policy(account: &Account, bucket: &str, policy: &Value) {
    account.call("s3", "put_bucket_policy", json!({"Bucket": bucket, "Policy": policy}));
}

/// What the console writes into an artifact bucket's policy.
pub fn console_policy(bucket: &str) -> Value {
    json!({"Version": "2012-10-17", "Id": "SSEAndSSLPolicy", "Statement": [
        {"Sid": "DenyUnEncryptedObjectUploads", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{bucket}/*"),
            "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}},
        {"Sid": "DenyInsecureConnections", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": format!("arn:aws:s3:::{bucket}/*"), "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    ]})
}

fn with_statement(document: &Value, statement: Value) -> Value {
    let mut document = document.clone();
    document["Statement"].as_array_mut().unwrap().push(statement);
    document
}

fn source(world: &impl Ground, configuration: Value) -> Value {
    let mut all = json!({"S3Bucket": world.input(), "S3ObjectKey": "sample-website.zip"});
    all.as_object_mut().unwrap().extend(configuration.as_object().unwrap().clone());
    json!({"name": "Source", "runOrder": 1, "configuration": all, "outputArtifacts": [{"name": "SourceArtifact"}], "inputArtifacts": [],
        "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"}})
}

fn deploy(name: &str, bucket: &str) -> Value {
    json!({"name": name, "runOrder": 1, "configuration": {"BucketName": bucket, "Extract": "true"}, "outputArtifacts": [],
        "inputArtifacts": [{"name": "SourceArtifact"}], "region": REGION,
        "actionTypeId": {"category": "Deploy", "owner": "AWS", "provider": "S3", "version": "1"}})
}

fn declared(world: &impl Ground, service_role: &str, store: Value, source: Value, stages: Vec<Value>) -> Value {
    let mut all = vec![json!({"name": "Source", "actions": [source]})];
    all.extend(stages);
    json!({"name": PIPELINE, "roleArn": service_role, "artifactStore": store, "stages": all, "version": 1, "pipelineType": "V1",
        "executionMode": "SUPERSEDED", "ofTheFuture": {"by": world.dev().id}})
}

fn stage(name: &str, actions: Vec<Value>) -> Value {
    json!({"name": name, "actions": actions})
}

/// A service role that the console made long ago.
fn console_service_role(world: &impl Ground) -> String {
    let name = format!("AWSCodePipelineServiceRole-{REGION}-{PIPELINE}");
    let arn = role(world.dev(), "/service-role/", &name, &service_trust("codepipeline.amazonaws.com"));
    attached(world.dev(), &name, &name, &document(json!([allow("s3:*", "*"), allow("cloudwatch:*", "*")])));
    arn
}

fn console_bucket(world: &impl Ground) -> String {
    let name = world.artifact_bucket();
    bucket_named(world.dev(), REGION, &name);
    bucket_policy(world.dev(), &name, &console_policy(&name));
    world.dev().call("s3", "put_bucket_tagging", json!({"Bucket": name, "Tagging": {"TagSet": [{"Key": "cost-center", "Value": "7"}]}}));
    name
}

/// A pipeline of others with one deploy action, its console service role and artifact bucket, and no `roleArn` yet.
pub fn others_pipeline(world: &World) -> Value {
    let (role, bucket) = (console_service_role(world), console_bucket(world));
    let store = json!({"type": "S3", "location": bucket});
    let polling = source(world, json!({"PollForSourceChanges": "true"}));
    declared(world, &role, store, polling, vec![stage("Deploy", vec![deploy("Deploy", &world.output)])])
}

pub fn put(world: &World, pipeline: &Value) -> Value {
    world.dev().put_pipeline(REGION, pipeline)
}

pub fn pipeline(world: &World) -> Value {
    world.dev().get_pipeline(REGION, PIPELINE).unwrap()["pipeline"].clone()
}

/// The console's rule: CloudTrail tells of writes to the source object.
pub fn trail_rule(world: &World) {
    let dev = world.dev();
    let events = role(dev, "/service-role/", "cwe-role-of-the-console", &service_trust("events.amazonaws.com"));
    let start = allow("codepipeline:StartPipelineExecution", &world.pipeline_arn(PIPELINE));
    inline(dev, "cwe-role-of-the-console", "start", &document(json!([start])));
    let pattern = json!({"source": ["aws.s3"], "detail-type": ["AWS API Call via CloudTrail"], "detail": {
        "eventSource": ["s3.amazonaws.com"], "eventName": ["PutObject", "CompleteMultipartUpload", "CopyObject"],
        "requestParameters": {"bucketName": [world.input], "key": ["sample-website.zip"]}}});
    let name = "codepipeline-crossac-input-123456-rule";
    dev.call("events", "put_rule", json!({"Name": name, "EventPattern": pattern}));
    let target = json!({"Id": "codepipeline-crossac", "Arn": world.pipeline_arn(PIPELINE), "RoleArn": events});
    dev.call("events", "put_targets", json!({"Rule": name, "Targets": [target]}));
}

/// Everything of the article, made by hand: the console's key and service role, the article's documents to the letter.
pub fn by_hand(world: &impl Ground) -> Value {
    let (dev, prod) = (world.dev(), world.prod());
    let service_role = console_service_role(world);
    let bucket = console_bucket(world);
    let users = json!({"AWS": [service_role, world.prod_arn("root")]});
    let key = key(
        dev,
        Some("s3deploykey"),
        &json!({"Id": "key-consolepolicy-3", "Version": "2012-10-17", "Statement": [
            root_statement(dev),
            {"Sid": "Allow access for Key Administrators", "Effect": "Allow", "Principal": {"AWS": dev.caller_arn},
                "Action": ["kms:Create*", "kms:Describe*"], "Resource": "*"},
            {"Sid": "Allow use of the key", "Effect": "Allow", "Principal": users, "Resource": "*",
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]},
            {"Sid": "Allow attachment of persistent resources", "Effect": "Allow", "Principal": users, "Resource": "*",
                "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}},
        ]}),
    );
    let output = format!("arn:aws:s3:::{}", world.output());
    let trust = json!([{"Effect": "Allow", "Principal": {"AWS": [service_role]}, "Action": "sts:AssumeRole", "Condition": {}}]);
    let deploy_role = role(prod, "/", "prods3role", &document(trust));
    attached(
        prod,
        "prods3role",
        "outputbucketdeployaccess",
        &document(json!([{"Effect": "Allow", "Action": ["s3:Put*"], "Resource": [format!("{output}/*")]},
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [output]}])),
    );
    let artifacts = format!("arn:aws:s3:::{bucket}");
    attached(
        prod,
        "prods3role",
        "devkmss3access",
        &document(json!([
            {"Effect": "Allow", "Action": ["kms:DescribeKey", "kms:GenerateDataKey*", "kms:Encrypt", "kms:ReEncrypt*", "kms:Decrypt"],
                "Resource": [key]},
            {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": [format!("{artifacts}/*")]},
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [artifacts]},
        ])),
    );
    let root = json!({"AWS": world.prod_arn("root")});
    let objects =
        json!({"Sid": "", "Effect": "Allow", "Principal": root, "Action": ["s3:Get*", "s3:Put*"], "Resource": format!("{artifacts}/*")});
    let list = json!({"Sid": "", "Effect": "Allow", "Principal": root, "Action": "s3:ListBucket", "Resource": artifacts});
    bucket_policy(dev, &bucket, &with_statement(&with_statement(&console_policy(&bucket), objects), list));
    attached(
        dev,
        &format!("AWSCodePipelineServiceRole-{REGION}-{PIPELINE}"),
        "assumeprods3role",
        &document(json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [deploy_role]})),
    );
    let mut action = deploy("Deploy", world.output());
    action["roleArn"] = json!(deploy_role);
    let store = json!({"type": "S3", "location": bucket, "encryptionKey": {"id": key, "type": "KMS"}});
    let events = source(world, json!({"PollForSourceChanges": "false"}));
    declared(world, &service_role, store, events, vec![stage("Deploy", vec![action])])
}

/// Runs setup; what is not the program's must be as it was, but for the pipeline, which the caller looks at.
#[track_caller]
fn adopted(world: &World, flags: &[&str]) -> crate::support::Checked {
    let before = foreign(&world.bed.dump());
    let output = world.setup(flags).success();
    let mut after = foreign(&world.bed.dump());
    for (name, pipeline) in before["dev"]["pipelines"][REGION].as_object().unwrap() {
        after["dev"]["pipelines"][REGION][name] = pipeline.clone();
    }
    same(&before, &after);
    output
}

// ── The key ──

fn a_key_with_the_alias_gets_our_statements_beside_its_own() {
    let world = World::new();
    let theirs = stranger(world.dev(), "theirs");
    let policy = json!({"Version": "2012-10-17", "Id": "their-id", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": theirs}, "Action": "kms:Decrypt", "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": ["s3.us-east-1.amazonaws.com"]}}},
        root_statement(world.dev()),
        {"Sid": "nobody", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ["kms:DeleteImportedKeyMaterial"], "Resource": "*"},
    ]});
    let arn = key(world.dev(), Some("s3deploykey"), &policy);
    adopted(&world, &[]);
    let dump = world.bed.dump();
    let found = world.key(&dump, REGION, "s3deploykey");
    assert_eq!((&found["arn"], &found["tags"], &found["rotation"]), (&json!(arn), &json!({}), &json!(false)));
    let statements = found["policy"]["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 5, "{statements:#?}");
    assert_eq!(found["policy"]["Id"], "their-id");
    assert_eq!(pipeline(&world)["artifactStore"]["encryptionKey"]["id"], json!(arn));
    world.settled(&[]);
}

fn an_alias_of_an_unusable_key_is_refused_with_the_flag() {
    let world = World::new();
    let arn = plain_key(world.dev(), Some("s3deploykey"));
    world.dev().call("kms", "disable_key", json!({"KeyId": arn}));
    world.refused(&[], "--key-alias");
    world.setup(&["--key-alias", "another"]).success();
    world.settled(&["--key-alias", "another"]);
}

// ── Made by hand ──

fn what_was_made_by_hand_as_the_article_says_needs_no_change() {
    let world = World::new();
    let pipeline = by_hand(&world);
    put(&world, &pipeline);
    trail_rule(&world);
    let before = world.bed.dump();
    let output = world.settled(&[]);
    assert!(output.stdout.contains("codepipeline-crossac-input-123456-rule"), "{}", output.report());
    same(&before, &world.bed.dump());
}

fn made_by_hand_without_the_last_step_needs_only_that() {
    let world = World::new();
    let mut pipeline = by_hand(&world);
    pipeline["stages"][1]["actions"][0].as_object_mut().unwrap().shift_remove("roleArn");
    let before = put(&world, &pipeline);
    adopted(&world, &[]);
    assert_eq!(world.bed.proxy.writes().iter().map(|call| call.operation.as_str()).collect::<Vec<_>>(), ["UpdatePipeline"]);
    let mut wanted = before;
    wanted["version"] = json!(2);
    wanted["stages"][1]["actions"][0]["roleArn"] = json!(world.deploy_role());
    same_members(&wanted, &self::pipeline(&world));
    world.settled(&[]);
}

fn an_event_role_made_by_hand_is_used_as_it_is() {
    let world = World::new();
    let pipeline = by_hand(&world);
    put(&world, &pipeline);
    let name = format!("cwe-role-{REGION}-{PIPELINE}");
    role(world.dev(), "/service-role/", &name, &service_trust("events.amazonaws.com"));
    let start = allow("codepipeline:StartPipelineExecution", &world.pipeline_arn(PIPELINE));
    let more = allow("events:PutEvents", "*");
    inline(world.dev(), &name, &format!("start-pipeline-execution-{REGION}-{PIPELINE}"), &document(json!([start, more])));
    adopted(&world, &["--change-detection", "eventbridge"]);
    world.settled(&["--change-detection", "eventbridge"]);
}

/// Equal whatever the order of members: where a new member comes in, is the program's to choose.
#[track_caller]
fn same_members(wanted: &Value, found: &Value) {
    assert!(wanted == found, "wanted {wanted:#}\nfound {found:#}");
}

// ── The artifact bucket ──

fn the_artifact_bucket_is_the_one_the_console_would_take() {
    let world = World::new();
    // The console takes the first of all that begin so.
    let first = format!("codepipeline-{REGION}-{}", world.bed.unique);
    for name in [format!("codepipeline-{REGION}-{}", "9".repeat(12 - 10) + &world.bed.unique), first.clone()] {
        bucket_named(world.dev(), REGION, &name);
    }
    bucket_named(world.dev(), REGION, &world.bed.unique_name("codepipeline-us-east-1-z"));
    bucket_policy(
        world.dev(),
        &first,
        &with_statement(
            &console_policy(&first),
            json!({"Sid": "theirs", "Effect": "Allow",
        "Principal": {"AWS": world.dev_arn("root")}, "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{first}/*")}),
        ),
    );
    let tags = json!([{"Key": "cost-center", "Value": "7"}, {"Key": "aws-like", "Value": ""}]);
    world.dev().call("s3", "put_bucket_tagging", json!({"Bucket": first, "Tagging": {"TagSet": tags}}));
    let expected = first.clone().min(format!("codepipeline-{REGION}-99{}", world.bed.unique));
    adopted(&world, &[]);
    assert_eq!(pipeline(&world)["artifactStore"]["location"], json!(expected));
    assert_eq!(world.bed.dump()["dev"]["buckets"][&expected]["tags"].get(TAG), None);
    world.settled(&[]);
}

// ── Notifications ──

fn other_notifications_of_the_input_bucket_stay() {
    let world = World::new();
    let queue = format!("arn:aws:sqs:{REGION}:{}:q", world.dev().id);
    let topic = format!("arn:aws:sns:{REGION}:{}:t", world.dev().id);
    let function = format!("arn:aws:lambda:{REGION}:{}:function:f", world.dev().id);
    let filter = json!({"Key": {"FilterRules": [{"Name": "prefix", "Value": "a/"}]}});
    let configuration = json!({
        "QueueConfigurations": [{"Id": "q", "QueueArn": queue, "Events": ["s3:ObjectCreated:*"], "Filter": filter}],
        "TopicConfigurations": [{"Id": "t", "TopicArn": topic, "Events": ["s3:ObjectRemoved:*"]}],
        "LambdaFunctionConfigurations": [{"Id": "f", "LambdaFunctionArn": function, "Events": ["s3:ObjectRestore:*"]}],
    });
    let arguments = json!({"Bucket": world.input, "NotificationConfiguration": configuration, "SkipDestinationValidation": true});
    world.dev().call("s3", "put_bucket_notification_configuration", arguments);
    world.dev().call("s3", "put_bucket_tagging", json!({"Bucket": world.input, "Tagging": {"TagSet": [{"Key": "theirs", "Value": "1"}]}}));
    adopted(&world, &[]);
    let found = world.bed.dump()["dev"]["buckets"][&world.input]["notification"].clone();
    assert_eq!(found["EventBridgeConfiguration"], json!({}));
    assert_eq!(found["QueueConfigurations"][0]["QueueArn"], json!(queue), "{found:#}");
    world.settled(&[]);
}

fn members_of_a_notification_that_no_sdk_knows_are_sent_back_letter_for_letter() {
    let world = World::new();
    let kept = "<QueueConfiguration><Id>q</Id><Queue>arn:aws:sqs:us-east-1:1:q</Queue><Event>s3:ObjectCreated:*</Event>\
                <OfTheFuture a='1'>x &amp; y</OfTheFuture></QueueConfiguration>\n  <AnotherConfiguration/>";
    let answer = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{kept}</NotificationConfiguration>"
    );
    let text = answer.clone();
    let written = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    world.bed.proxy.on_request(move |request| {
        if request.is("PutBucketNotificationConfiguration") {
            written.store(true, Ordering::SeqCst);
        }
        if request.is("GetBucketNotificationConfiguration") && !written.load(Ordering::SeqCst) {
            let headers = vec![("content-type".to_owned(), "application/xml".to_owned())];
            return Action::Answer { status: 200, headers, body: text.clone().into_bytes() };
        }
        Action::Forward
    });
    world.setup(&[]).success();
    let sent = String::from_utf8(world.bed.proxy.calls("PutBucketNotificationConfiguration")[0].body.clone()).unwrap();
    let new = "<EventBridgeConfiguration></EventBridgeConfiguration>";
    assert_eq!(sent, answer.replace("</NotificationConfiguration>", &format!("{new}</NotificationConfiguration>")));
}

// ── The service role ──

fn a_service_role_that_was_named_keeps_its_policies_and_gets_ours_beside() {
    for by_arn in [false, true] {
        let world = World::new();
        let arn = role(world.dev(), "/teams/web/", "their-role", &service_trust("codepipeline.amazonaws.com"));
        inline(world.dev(), "their-role", "theirs", &document(json!([allow("s3:GetObject", "*")])));
        attached(world.dev(), "their-role", "their-policy", &document(json!([allow("sns:Publish", "*")])));
        let name = if by_arn { arn.as_str() } else { "their-role" };
        adopted(&world, &["--service-role", name]);
        let dump = world.bed.dump();
        let role = &dump["dev"]["roles"]["their-role"];
        assert_eq!(role["attached"], json!([world.dev_arn("policy/assumeprods3role"), world.dev_arn("policy/their-policy")]));
        assert_eq!(role["inline"].as_object().unwrap().keys().collect::<Vec<_>>(), ["theirs", "xdeploy-crossaccountdeploy"]);
        assert_eq!(pipeline(&world)["roleArn"], json!(arn));
        assert!(dump["prod"]["roles"]["prods3role"]["trust"].to_string().contains(&arn));
        world.settled(&["--service-role", name]);
        world.settled(&[]);
    }
}

fn a_service_role_that_trusts_others_gets_codepipeline_beside_them() {
    let world = World::new();
    role(world.dev(), "/service-role/", "their-role", &service_trust("codebuild.amazonaws.com"));
    adopted(&world, &["--service-role", "their-role"]);
    let trust = world.bed.dump()["dev"]["roles"]["their-role"]["trust"].clone();
    let services: Vec<String> = grants(&trust).into_iter().collect();
    assert_eq!(services.len(), 2, "{services:?}");
    world.settled(&[]);
}

fn a_service_role_arn_that_names_nothing_is_refused() {
    let world = World::new();
    world.refused(&["--service-role", &world.dev_arn("role/absent")], "--service-role");
    world.refused(&["--service-role", &world.prod_arn("role/absent")], "--service-role");
}

// ── Our own policies, changed by hand ──

/// A version that grants something else, the default or not.
fn change_by_hand(world: &World, default: bool) -> String {
    let arn = world.prod_arn("policy/outputbucketdeployaccess");
    let document = document(json!([allow("s3:PutObject", &format!("arn:aws:s3:::{}/{default}/*", world.output))]));
    world.prod().call("iam", "create_policy_version", json!({"PolicyArn": arn, "PolicyDocument": document, "SetAsDefault": default}));
    arn
}

fn our_policy_changed_by_hand_gets_a_new_version() {
    let world = World::new();
    world.setup(&[]).success();
    let before = world.bed.dump();
    change_by_hand(&world, true);
    adopted(&world, &[]);
    let found = world.bed.dump()["prod"]["policies"]["outputbucketdeployaccess"].clone();
    assert_eq!((&found["default_version"], &found["versions"]), (&json!("v3"), &json!(["v1", "v2", "v3"])));
    assert_eq!(found["document"], before["prod"]["policies"]["outputbucketdeployaccess"]["document"]);
    world.settled(&[]);
}

fn of_five_versions_the_oldest_that_is_not_the_default_goes() {
    let world = World::new();
    world.setup(&[]).success();
    let arn = change_by_hand(&world, true);
    world.prod().call("iam", "delete_policy_version", json!({"PolicyArn": arn, "VersionId": "v1"}));
    for _ in 0..4 {
        change_by_hand(&world, false);
    }
    adopted(&world, &[]);
    let found = world.bed.dump()["prod"]["policies"]["outputbucketdeployaccess"].clone();
    assert_eq!((&found["default_version"], &found["versions"]), (&json!("v7"), &json!(["v2", "v4", "v5", "v6", "v7"])));
    world.settled(&[]);
}

fn our_statements_and_trusts_changed_by_hand_come_back() {
    let world = World::new();
    world.setup(&[]).success();
    let before = world.bed.dump();
    let (dev, prod) = (world.dev(), world.prod());
    let trust = service_trust("ec2.amazonaws.com");
    prod.call("iam", "update_assume_role_policy", json!({"RoleName": "prods3role", "PolicyDocument": trust}));
    dev.call(
        "iam",
        "delete_role_policy",
        json!({"RoleName": format!("AWSCodePipelineServiceRole-{REGION}-{PIPELINE}"), "PolicyName": "xdeploy-crossaccountdeploy"}),
    );
    dev.call("iam", "detach_role_policy", json!({"RoleName": format!("AWSCodePipelineServiceRole-{REGION}-{PIPELINE}"), "PolicyArn": world.dev_arn("policy/assumeprods3role")}));
    dev.call("s3", "delete_bucket_policy", json!({"Bucket": world.artifact_bucket()}));
    let key = world.key(&before, REGION, "s3deploykey")["arn"].clone();
    dev.call("kms", "put_key_policy", json!({"KeyId": key, "PolicyName": "default", "Policy": document(json!([root_statement(dev)]))}));
    dev.call("events", "disable_rule", json!({"Name": "codepipeline-crossaccountdeploy-source"}));
    world.setup(&[]).success();
    let after = world.bed.dump();
    let path = |dump: &Value, path: &str| grants(dump.pointer(path).unwrap());
    let bucket = format!("/dev/buckets/{}/policy", world.artifact_bucket());
    assert_eq!(path(&before, &bucket), path(&after, &bucket));
    assert!(path(&after, "/prod/roles/prods3role/trust").is_superset(&path(&before, "/prod/roles/prods3role/trust")));
    assert_eq!(after["dev"]["rules"], before["dev"]["rules"]);
    assert_eq!(after["dev"]["policies"], before["dev"]["policies"]);
    world.settled(&[]);
}

fn the_id_that_a_deleted_service_role_leaves_in_our_statements_is_replaced() {
    let world = World::new();
    world.setup(&[]).success();
    let before = world.bed.dump();
    let service_role = world.service_role();
    // On AWS a role that was deleted and made again leaves its old id in every policy that named it.
    let dead = |document: &Value| -> Value {
        serde_json::from_str(&document.to_string().replace(&service_role, "AROAEXAMPLEEXAMPLE000")).unwrap()
    };
    let key = world.key(&before, REGION, "s3deploykey");
    world.dev().call("kms", "put_key_policy", json!({"KeyId": key["arn"], "PolicyName": "default", "Policy": dead(&key["policy"])}));
    let trust = &before["prod"]["roles"]["prods3role"]["trust"];
    world.prod().call("iam", "update_assume_role_policy", json!({"RoleName": "prods3role", "PolicyDocument": dead(trust)}));
    assert!(world.bed.dump().to_string().contains("AROAEXAMPLEEXAMPLE000"));
    world.setup(&[]).success();
    same(&before, &world.bed.dump());
    world.settled(&[]);
}

// ── Names that are taken ──

fn a_role_of_production_that_is_others_is_refused_and_the_flag_helps() {
    let world = World::new();
    stranger(world.prod(), "prods3role");
    world.refused(&[], "--deploy-role");
    adopted(&world, &["--deploy-role", "my-role"]);
    world.settled(&["--deploy-role", "my-role"]);
}

fn a_role_of_production_that_was_named_gets_ours_beside_its_own() {
    let world = World::new();
    stranger(world.prod(), "prods3role");
    inline(world.prod(), "prods3role", "theirs", &document(json!([allow("s3:GetObject", "*")])));
    adopted(&world, &["--deploy-role", "prods3role"]);
    world.settled(&["--deploy-role", "prods3role"]);
}

fn policies_that_are_others_are_refused_and_the_flags_help() {
    let world = World::new();
    let theirs = document(json!([allow("s3:GetObject", "*")]));
    let mut flags = Vec::new();
    for (account, name, flag, mine) in [
        (world.prod(), "outputbucketdeployaccess", "--output-policy", "mine-1"),
        (world.prod(), "devkmss3access", "--artifact-policy", "mine-2"),
        (world.dev(), "assumeprods3role", "--assume-policy", "mine-3"),
    ] {
        let arn = policy(account, name, &theirs);
        world.refused(&flags, flag);
        account.call("iam", "tag_policy", json!({"PolicyArn": arn, "Tags": [{"Key": TAG, "Value": "another"}]}));
        world.refused(&flags, flag);
        account.call("iam", "untag_policy", json!({"PolicyArn": arn, "TagKeys": [TAG]}));
        flags.extend([flag, mine]);
    }
    adopted(&world, &flags);
    world.settled(&flags);
}

fn a_policy_of_another_pipeline_of_ours_is_refused_though_it_grants_the_same() {
    let world = World::new();
    world.setup(&[]).success();
    world.refused(&["--pipeline", "web", "--output-policy", "outputbucketdeployaccess"], "--output-policy");
}

fn a_service_role_that_is_others_is_refused_and_the_flag_helps() {
    let world = World::new();
    let name = format!("AWSCodePipelineServiceRole-{REGION}-{PIPELINE}");
    role(world.dev(), "/service-role/", &name, &service_trust("codepipeline.amazonaws.com"));
    world.refused(&[], "--service-role");
    world.dev().call("iam", "tag_role", json!({"RoleName": name, "Tags": [{"Key": TAG, "Value": "another"}]}));
    world.refused(&[], "--service-role");
    adopted(&world, &["--service-role", &name]);
    world.settled(&["--service-role", &name]);
}

fn an_event_role_or_rule_that_is_others_is_refused_and_the_flag_helps() {
    let world = World::new();
    stranger(world.dev(), &format!("cwe-role-{REGION}-{PIPELINE}"));
    world.refused(&[], "--event-role");
    let flags = ["--event-role", "my-event-role"];
    let pattern = json!({"source": ["aws.ec2"]});
    world.dev().call("events", "put_rule", json!({"Name": "codepipeline-crossaccountdeploy-source", "EventPattern": pattern}));
    world.refused(&flags, "--event-rule");
    let flags = ["--event-role", "my-event-role", "--event-rule", "my-rule"];
    adopted(&world, &flags);
    world.settled(&flags);
}

// ── Two pipelines ──

fn two_pipelines_share_key_and_bucket_and_have_statements_of_their_own() {
    let world = World::new();
    let other = ["--pipeline", "web", "--object-key", "web.zip"];
    world.setup(&[]).success();
    let first = world.bed.dump();
    world.setup(&other).success();
    let dump = world.bed.dump();
    assert_eq!(dump["dev"]["keys"][REGION].as_object().unwrap().len(), 1);
    let artifact_buckets = dump["dev"]["buckets"].as_object().unwrap().keys().filter(|name| name.starts_with("codepipeline-us-")).count();
    assert_eq!(artifact_buckets, 1);
    let sids = |document: &Value| -> Vec<String> {
        document["Statement"].as_array().unwrap().iter().map(|statement| strings(&statement["Sid"]).concat()).collect()
    };
    let bucket_sids = sids(&dump["dev"]["buckets"][world.artifact_bucket()]["policy"]);
    for what in [
        "XdeploycrossaccountdeployArtifactObjects",
        "XdeploycrossaccountdeployArtifactList",
        "XdeploywebArtifactObjects",
        "XdeploywebArtifactList",
    ] {
        assert!(bucket_sids.contains(&what.to_owned()), "no {what} in {bucket_sids:?}");
    }
    let key_sids = sids(&world.key(&dump, REGION, "s3deploykey")["policy"]);
    for what in ["XdeploycrossaccountdeployKeyUsers", "XdeploywebKeyUsers", "XdeploywebKeyGrants"] {
        assert!(key_sids.contains(&what.to_owned()), "no {what} in {key_sids:?}");
    }
    for kind in ["roles", "policies"] {
        for (name, thing) in first["prod"][kind].as_object().unwrap() {
            same(thing, &dump["prod"][kind][name]);
        }
    }
    world.settled(&[]);
    world.settled(&other);
}

fn two_pipelines_that_share_roles_have_grants_of_their_own() {
    let world = World::new();
    let shared = format!("AWSCodePipelineServiceRole-{REGION}-{PIPELINE}");
    let other = ["--pipeline", "web", "--service-role", &shared, "--deploy-role", "prods3role"];
    world.setup(&[]).success();
    world.setup(&other).success();
    let dump = world.bed.dump();
    let role = &dump["dev"]["roles"][&shared];
    assert_eq!(role["inline"].as_object().unwrap().keys().collect::<Vec<_>>(), ["xdeploy-crossaccountdeploy", "xdeploy-web"]);
    assert_eq!(role["attached"], json!([world.dev_arn("policy/assumeprods3role"), world.dev_arn("policy/assumeprods3role-web")]));
    let trust = dump["prod"]["roles"]["prods3role"]["trust"].to_string();
    assert!(trust.contains("XdeploywebTrust") && trust.contains("XdeploycrossaccountdeployTrust"), "{trust}");
    assert_eq!(dump["prod"]["roles"]["prods3role"]["attached"].as_array().unwrap().len(), 4);
    world.settled(&[]);
    world.settled(&other);
}

// ── Pipelines of others ──

/// Four stages, a manual approval, variables, triggers and members of the future; two deploys.
fn large(world: &World, kind: &str, second_bucket: &str) -> Value {
    let mut pipeline = others_pipeline(world);
    let approval = json!({"name": "Ask", "runOrder": 1, "configuration": {"CustomData": "ok?"}, "outputArtifacts": [], "inputArtifacts": [],
        "timeoutInMinutes": 30, "actionTypeId": {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"}});
    let mut second = deploy("Second", second_bucket);
    second["configuration"]["CannedACL"] = json!("bucket-owner-full-control");
    let mut gate = stage("Gate", vec![approval]);
    gate["beforeEntry"] = json!({"conditions": [{"result": "FAIL", "rules": []}]});
    gate["onFailure"] = json!({"result": "ROLLBACK"});
    let mut first = deploy("First", &world.output);
    first["ofTheFuture"] = json!([1, null, {"a": 1.5}]);
    let stages = pipeline["stages"].as_array_mut().unwrap();
    stages.truncate(1);
    stages.extend([stage("Test", vec![first]), gate, stage("Live", vec![second])]);
    pipeline["pipelineType"] = json!(kind);
    if kind == "V2" {
        pipeline["variables"] = json!([{"name": "who", "defaultValue": "me", "description": "d"}]);
        pipeline["triggers"] = json!([{"providerType": "CodeStarSourceConnection", "gitConfiguration": {"sourceActionName": "Source"}}]);
        pipeline["executionMode"] = json!("QUEUED");
    }
    pipeline
}

fn in_a_pipeline_of_others_only_the_role_and_the_missing_key_change() {
    for kind in ["V1", "V2"] {
        let world = World::new();
        let before = put(&world, &large(&world, kind, "another-bucket"));
        let tags = json!([{"key": "team", "value": "web"}]);
        world.dev().call("codepipeline", "tag_resource", json!({"resourceArn": world.pipeline_arn(PIPELINE), "tags": tags}));
        adopted(&world, &[]);
        let dump = world.bed.dump();
        assert_eq!(dump["dev"]["pipelines"][REGION][PIPELINE]["tags"], json!({"team": "web"}));
        let mut wanted = before;
        wanted["version"] = json!(2);
        wanted["stages"][1]["actions"][0]["roleArn"] = json!(world.deploy_role());
        wanted["artifactStore"]["encryptionKey"] = json!({"id": world.key(&dump, REGION, "s3deploykey")["arn"], "type": "KMS"});
        same(&wanted, &pipeline(&world));
        assert_eq!(dump["dev"]["rules"][REGION], json!({}), "it polled before and polls on");
        world.settled(&[]);
    }
}

fn a_pipeline_that_exists_keeps_its_service_role_and_artifact_bucket() {
    let world = World::new();
    put(&world, &others_pipeline(&world));
    stranger(world.dev(), "another-role");
    let another = world.bed.bucket(&world.bed.dev, "another-bucket");
    world.refused(&["--service-role", "another-role"], "--service-role");
    world.refused(&["--artifact-bucket", &another], "--artifact-bucket");
    let (role, bucket) = (world.service_role(), world.artifact_bucket());
    let flags = ["--service-role", &role, "--artifact-bucket", &bucket];
    adopted(&world, &flags);
    world.settled(&flags);
}

fn of_two_deploys_to_one_bucket_the_meant_one_must_be_said() {
    let world = World::new();
    let before = put(&world, &large(&world, "V2", &world.output));
    world.refused(&[], "--stage");
    let flags = ["--stage", "Live", "--action", "Second"];
    adopted(&world, &flags);
    let found = pipeline(&world);
    assert_eq!(found["stages"][3]["actions"][0]["roleArn"], json!(world.deploy_role()));
    same(&before["stages"][1], &found["stages"][1]);
    world.settled(&flags);
    world.refused(&["--stage", "Live", "--action", "First"], "--stage");
}

fn the_key_that_a_pipeline_names_is_kept_and_gets_our_statements() {
    let world = World::new();
    let theirs = plain_key(world.dev(), Some("theirs"));
    let mut declared = others_pipeline(&world);
    declared["artifactStore"]["encryptionKey"] = json!({"id": theirs, "type": "KMS"});
    put(&world, &declared);
    adopted(&world, &[]);
    let dump = world.bed.dump();
    assert_eq!(dump["dev"]["keys"][REGION].as_object().unwrap().len(), 1, "no second key");
    assert_eq!(world.key(&dump, REGION, "theirs")["policy"]["Statement"].as_array().unwrap().len(), 3);
    assert_eq!(pipeline(&world)["artifactStore"], declared["artifactStore"]);
    let artifact = dump["prod"]["policies"]["devkmss3access"]["document"].to_string();
    assert!(artifact.contains(&theirs), "{artifact}");
    world.settled(&[]);
}

fn an_aws_managed_key_is_replaced_by_the_one_the_alias_names() {
    let world = World::new();
    let ours = plain_key(world.dev(), Some("s3deploykey"));
    let mut declared = others_pipeline(&world);
    let managed = format!("arn:aws:kms:{REGION}:{}:alias/aws/s3", world.dev().id);
    // The emulator has no AWS managed keys.
    let metadata = json!({"Arn": format!("arn:aws:kms:{REGION}:{}:key/1", world.dev().id), "KeyId": "1", "KeyManager": "AWS",
        "KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "AWSAccountId": world.dev().id});
    world.bed.proxy.on_request(move |request| match request.json()["KeyId"].as_str() {
        Some(id) if request.is("DescribeKey") && id.ends_with("alias/aws/s3") => Action::json(200, &json!({"KeyMetadata": metadata})),
        _ => Action::Forward,
    });
    declared["artifactStore"]["encryptionKey"] = json!({"id": managed, "type": "KMS"});
    put(&world, &declared);
    adopted(&world, &[]);
    assert_eq!(pipeline(&world)["artifactStore"]["encryptionKey"]["id"], json!(ours));
    world.settled(&[]);
}

fn a_pipeline_with_a_store_for_each_region_keeps_the_map() {
    let world = World::new();
    let mut declared = others_pipeline(&world);
    let store = declared.as_object_mut().unwrap().shift_remove("artifactStore").unwrap();
    let theirs = json!({"type": "S3", "location": "somewhere", "encryptionKey": {"id": "k", "type": "KMS"}});
    declared["artifactStores"] = json!({"eu-west-1": theirs, REGION: store});
    put(&world, &declared);
    adopted(&world, &[]);
    let found = pipeline(&world);
    assert_eq!(found.get("artifactStore"), None);
    same(&theirs, &found["artifactStores"]["eu-west-1"]);
    let dump = world.bed.dump();
    assert_eq!(found["artifactStores"][REGION]["encryptionKey"]["id"], world.key(&dump, REGION, "s3deploykey")["arn"]);
    world.settled(&[]);
}

fn a_single_store_becomes_a_map_where_the_output_is_elsewhere() {
    let world = World::with_output_in(Bed::new(), "eu-west-1");
    let theirs = plain_key(world.dev(), Some("theirs"));
    let mut declared = others_pipeline(&world);
    declared["artifactStore"]["encryptionKey"] = json!({"id": theirs, "type": "KMS"});
    declared["stages"][1]["actions"][0]["region"] = json!("eu-west-1");
    let store = declared["artifactStore"].clone();
    put(&world, &declared);
    adopted(&world, &[]);
    let found = pipeline(&world);
    let dump = world.bed.dump();
    assert_eq!(found.get("artifactStore"), None);
    same(&store, &found["artifactStores"][REGION]);
    let away = world.key(&dump, "eu-west-1", "s3deploykey");
    assert_eq!(away["multi_region"], false, "a key of one region can't be replicated");
    assert_eq!(found["artifactStores"]["eu-west-1"]["encryptionKey"]["id"], away["arn"]);
    world.settled(&[]);
}

fn a_running_execution_is_not_stopped_but_waited_for() {
    let world = World::new();
    let before = put(&world, &others_pipeline(&world));
    let run = world.dev().start_execution(REGION, PIPELINE);
    world.dev().set_execution(&run, &json!({"status": "InProgress"}));
    world.refused(&[], "--wait-for-runs");
    same(&before, &pipeline(&world));

    let dev = world.dev().clone();
    let finished = thread::spawn(move || {
        thread::sleep(Duration::from_secs(2));
        dev.set_execution(&run, &json!({"status": "Succeeded"}));
    });
    let output = world.setup(&["--wait-for-runs"]).success();
    finished.join().unwrap();
    assert!(output.stderr.contains("waiting for the pipeline's run to finish"), "{}", output.report());
    assert_eq!(pipeline(&world)["stages"][1]["actions"][0]["roleArn"], json!(world.deploy_role()));
    world.settled(&[]);
}

// ── Change detection ──

fn polling_is_left_alone_until_eventbridge_is_asked_for() {
    let world = World::new();
    put(&world, &others_pipeline(&world));
    adopted(&world, &[]);
    let polls = || pipeline(&world)["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"].clone();
    assert_eq!(polls(), "true");
    let flags = ["--change-detection", "eventbridge"];
    adopted(&world, &flags);
    assert_eq!(polls(), "false");
    let rules = world.bed.dump()["dev"]["rules"][REGION].clone();
    let rule = &rules["codepipeline-crossaccountdeploy-source"];
    assert_eq!(rule["targets"][0].get("InputTransformer"), None, "a V1 pipeline takes no revision: {rule:#}");
    world.settled(&flags);
    world.settled(&[]);
}

fn the_consoles_rule_is_kept_and_no_second_one_made() {
    let world = World::new();
    put(&world, &others_pipeline(&world));
    trail_rule(&world);
    let flags = ["--change-detection", "eventbridge"];
    let output = adopted(&world, &flags);
    assert!(output.stdout.contains("codepipeline-crossac-input-123456-rule"), "{}", output.report());
    assert_eq!(world.bed.dump()["dev"]["rules"][REGION].as_object().unwrap().len(), 1);
    assert_eq!(pipeline(&world)["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"], "false");
    world.settled(&flags);
}

fn a_rule_of_others_with_our_name_that_starts_the_pipeline_is_kept() {
    let world = World::new();
    let mut declared = others_pipeline(&world);
    declared["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"] = json!("false");
    put(&world, &declared);
    let events = role(world.dev(), "/", "their-event-role", &service_trust("events.amazonaws.com"));
    let start = json!({"Effect": "Allow", "Action": "codepipeline:StartPipelineExecution", "Resource": world.pipeline_arn(PIPELINE)});
    let may_start = json!({"RoleName": "their-event-role", "PolicyName": "start", "PolicyDocument": document(start)});
    let listen = json!({"Bucket": world.input, "NotificationConfiguration": {"EventBridgeConfiguration": {}}});
    world.dev().call("s3", "put_bucket_notification_configuration", listen);
    let name = "codepipeline-crossaccountdeploy-source";
    let pattern = json!({"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": [world.input]}}});
    world.dev().call("events", "put_rule", json!({"Name": name, "EventPattern": pattern}));
    let target = json!({"Id": "theirs", "Arn": world.pipeline_arn(PIPELINE), "RoleArn": events});
    world.dev().call("events", "put_targets", json!({"Rule": name, "Targets": [target]}));
    // Setup touches neither the rule nor its role, so a plan after which it still can't start anything is not applied unasked.
    let refused = world.setup(&[]).code(3);
    assert!(refused.stdout.contains("denied     start-run") && refused.stderr.contains("--accept-broken"), "{}", refused.report());
    world.nothing_written();
    world.dev().call("iam", "put_role_policy", may_start);
    let output = adopted(&world, &[]);
    assert!(output.stdout.contains(&format!("rule {name} starts it")), "{}", output.report());
    world.settled(&[]);
    world.settled(&["--change-detection", "eventbridge"]);
}

// ── Buckets with keys of their own ──

fn encrypt(account: &Account, bucket: &str, key: &str) {
    let rule = json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}});
    let arguments = json!({"Bucket": bucket, "ServerSideEncryptionConfiguration": {"Rules": [rule]}});
    account.call("s3", "put_bucket_encryption", arguments);
}

/// A key whose policy lets one administrator in and does not leave the rest to IAM.
fn closed_key(account: &Account) -> String {
    let administrator = stranger(account, "key-owner");
    key(
        account,
        None,
        &document(json!([
            {"Sid": "owner", "Effect": "Allow", "Principal": {"AWS": administrator}, "Action": "kms:*", "Resource": "*"},
            {"Sid": "us", "Effect": "Allow", "Principal": {"AWS": account.caller_arn},
                "Action": ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:ListResourceTags", "kms:GetKeyRotationStatus"], "Resource": "*"},
        ])),
    )
}

fn statements_of(dump: &Value, side: &str, key: &str) -> usize {
    let id = key.rsplit('/').next().unwrap();
    dump[side]["keys"][REGION][id]["policy"]["Statement"].as_array().unwrap().len()
}

fn keys_that_leave_it_to_iam_get_a_statement_in_the_roles_policies() {
    let world = World::new();
    let (input, output) = (plain_key(world.dev(), None), plain_key(world.prod(), None));
    encrypt(world.dev(), &world.input, &input);
    encrypt(world.prod(), &world.output, &output);
    adopted(&world, &[]);
    let dump = world.bed.dump();
    let source = &dump["dev"]["roles"][format!("AWSCodePipelineServiceRole-{REGION}-{PIPELINE}")]["inline"]["xdeploy-crossaccountdeploy"];
    assert!(grants(source).contains(&format!("\"Allow\" - kms:Decrypt {input} {{}}")), "{source:#}");
    let target = &dump["prod"]["policies"]["outputbucketdeployaccess"]["document"];
    for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
        assert!(grants(target).contains(&format!("\"Allow\" - {action} {output} {{}}")), "{target:#}");
    }
    assert_eq!((statements_of(&dump, "dev", &input), statements_of(&dump, "prod", &output)), (1, 1));
    world.settled(&[]);
}

fn keys_that_leave_nothing_to_iam_get_a_statement_of_their_own() {
    let world = World::new();
    let (input, output) = (closed_key(world.dev()), closed_key(world.prod()));
    encrypt(world.dev(), &world.input, &input);
    encrypt(world.prod(), &world.output, &output);
    adopted(&world, &[]);
    let dump = world.bed.dump();
    assert_eq!((statements_of(&dump, "dev", &input), statements_of(&dump, "prod", &output)), (3, 3));
    let policies = dump["dev"]["keys"].to_string() + &dump["prod"]["keys"].to_string();
    assert!(
        policies.contains("XdeploycrossaccountdeployInputKey") && policies.contains("XdeploycrossaccountdeployOutputKey"),
        "{policies}"
    );
    world.settled(&[]);
}

fn a_key_for_both_buckets_lets_both_roles_in() {
    let world = World::new();
    let shared = closed_key(world.dev());
    encrypt(world.dev(), &world.input, &shared);
    encrypt(world.prod(), &world.output, &shared);
    adopted(&world, &[]);
    let dump = world.bed.dump();
    let policy = dump["dev"]["keys"][REGION][shared.rsplit('/').next().unwrap()]["policy"].to_string();
    assert!(policy.contains(&world.service_role()) && policy.contains(&world.deploy_role()), "{policy}");
    world.settled(&[]);
}

fn a_key_of_a_third_account_is_told_of() {
    let world = World::new();
    let third = Bed::new();
    let theirs = plain_key(&third.dev, None);
    encrypt(world.prod(), &world.output, &theirs);
    let output = adopted(&world, &[]);
    let warning = output.stdout.lines().find(|line| line.starts_with("warning:") && line.contains(&theirs)).unwrap_or_default();
    assert!(warning.contains(&world.deploy_role()) && warning.contains("kms:GenerateDataKey"), "{}", output.report());
    assert_eq!(third.dump()["dev"]["keys"][REGION].as_object().unwrap().len(), 1);
    world.settled(&[]);
}

// ── Somebody writes between our read and our write ──

/// Setup must stop, say what moved, keep what was written, and finish when run again.
#[track_caller]
fn moved(world: &World, what: &str, kept: impl Fn(&Value) -> bool) {
    let output = world.setup(&[]).code(1);
    assert!(output.stderr.contains(what) && output.stderr.contains("changed since"), "{}", output.report());
    assert!(kept(&world.bed.dump()), "lost\n{}", output.report());
    world.bed.proxy.clear_hook();
    world.setup(&[]).success();
    assert!(kept(&world.bed.dump()), "lost by the second run");
    world.settled(&[]);
}

fn a_bucket_policy_that_moves_is_not_overwritten() {
    let world = World::new();
    let (name, dev) = (console_bucket(&world), world.dev().clone());
    let statement = json!({"Sid": "late", "Effect": "Allow", "Principal": {"AWS": world.dev_arn("root")}, "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{name}/*")});
    let late = with_statement(&console_policy(&name), statement);
    let bucket = name.clone();
    let (seen, path) = (AtomicUsize::new(0), format!("/{name}/"));
    world.bed.proxy.on_request(move |request| {
        let of_bucket = request.is("GetBucketPolicy") && request.path_and_query.starts_with(&path);
        if of_bucket && seen.fetch_add(1, Ordering::SeqCst) == 1 {
            bucket_policy(&dev, &bucket, &late);
        }
        Action::Forward
    });
    moved(&world, "bucket policy", |dump| dump["dev"]["buckets"][&name]["policy"].to_string().contains("\"late\""));
}

fn a_key_policy_that_moves_is_not_overwritten() {
    let world = World::new();
    let arn = plain_key(world.dev(), Some("s3deploykey"));
    let statement = json!({"Sid": "late", "Effect": "Deny", "Principal": "*", "Action": "kms:DeleteAlias", "Resource": "*"});
    let late = document(json!([root_statement(world.dev()), statement]));
    let dev = world.dev().clone();
    world.before_call("GetKeyPolicy", 1, move || {
        dev.call("kms", "put_key_policy", json!({"KeyId": arn, "PolicyName": "default", "Policy": late}));
    });
    moved(&world, "policy of key", |dump| dump["dev"]["keys"].to_string().contains("\"late\""));
}

fn a_trust_policy_that_moves_is_not_overwritten() {
    let world = World::new();
    world.setup(&[]).success();
    let prod = world.prod().clone();
    let trust = |principal: &str| json!({"RoleName": "prods3role", "PolicyDocument": service_trust(principal)});
    prod.call("iam", "update_assume_role_policy", trust("ec2.amazonaws.com"));
    // Three roles are read for the plan, then this one again.
    let late = trust("late.amazonaws.com");
    world.before_call("GetRole", 3, move || {
        prod.call("iam", "update_assume_role_policy", late.clone());
    });
    moved(&world, "trust policy", |dump| dump["prod"]["roles"]["prods3role"]["trust"].to_string().contains("late.amazonaws.com"));
}

fn a_notification_that_moves_is_not_overwritten() {
    let world = World::new();
    let (dev, input) = (world.dev().clone(), world.input.clone());
    let queue = json!([{"Id": "late", "QueueArn": format!("arn:aws:sqs:{REGION}:{}:q", dev.id), "Events": ["s3:ObjectCreated:*"]}]);
    world.before_call("GetBucketNotificationConfiguration", 1, move || {
        let arguments =
            json!({"Bucket": input, "NotificationConfiguration": {"QueueConfigurations": queue}, "SkipDestinationValidation": true});
        dev.call("s3", "put_bucket_notification_configuration", arguments);
    });
    moved(&world, "notification configuration", |dump| {
        dump["dev"]["buckets"][&world.input]["notification"].to_string().contains("\"late\"")
    });
}

fn a_pipeline_that_moves_is_not_overwritten() {
    let world = World::new();
    let mut declared = others_pipeline(&world);
    put(&world, &declared);
    declared["stages"][1]["actions"][0]["configuration"]["CacheControl"] = json!("late");
    let dev = world.dev().clone();
    world.before_call("GetPipeline", 1, move || {
        dev.put_pipeline(REGION, &declared);
    });
    moved(&world, "pipeline crossaccountdeploy", |dump| dump["dev"]["pipelines"].to_string().contains("\"late\""));
}

// ── One name, several pipelines ──

fn a_pipeline_of_the_same_name_in_another_region_takes_nothing_away() {
    let world = World::new();
    let _ = world.setup(&[]).success();
    let elsewhere = "eu-west-1";
    let input = world.bed.bucket_in(world.dev(), "input-elsewhere", elsewhere, true);
    let output = world.bed.bucket_in(world.prod(), "output-elsewhere", elsewhere, false);
    let args = ["setup", "--yes", "--region", elsewhere, "--input-bucket", &input, "--output-bucket", &output];
    world.bed.proxy.clear();
    let refused = world.bed.run(&args).code(3);
    assert!(refused.stderr.contains("--deploy-role") || refused.stderr.contains("--output-policy"), "{}", refused.report());
    world.nothing_written();
    let names =
        ["--deploy-role", "prods3role-eu", "--output-policy", "out-eu", "--artifact-policy", "art-eu", "--assume-policy", "assume-eu"];
    let both = [&args[..], &names[..]].concat();
    let _ = world.bed.run(&both).success();
    world.bed.proxy.clear();
    assert!(world.bed.run(&both).success().stdout.contains("No changes."));
    world.settled(&[]);
    let _ = world.bed.run(&["teardown", "--region", elsewhere, "--confirm", PIPELINE]).success();
    world.settled(&[]);
}

fn a_replica_that_is_there_already_keeps_its_own_policy() {
    let world = World::with_output_in(Bed::new(), "eu-west-1");
    let made =
        world.dev().call("kms", "create_key", json!({"MultiRegion": true, "Policy": document(json!([root_statement(world.dev())]))}));
    let id = strings(&made["KeyMetadata"]["KeyId"]).concat();
    world.dev().call("kms", "create_alias", json!({"AliasName": "alias/s3deploykey", "TargetKeyId": id}));
    let theirs = stranger(world.dev(), "theirs");
    let statement = json!({"Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": theirs}, "Action": "kms:Decrypt", "Resource": "*"});
    let policy = document(json!([root_statement(world.dev()), statement]));
    world.dev().call("kms", "replicate_key", json!({"KeyId": id, "ReplicaRegion": "eu-west-1", "Policy": policy}));
    let _ = world.setup(&[]).success();
    let dump = world.bed.dump();
    let replica = world.key(&dump, "eu-west-1", "s3deploykey");
    let sids: Vec<&str> =
        replica["policy"]["Statement"].as_array().unwrap().iter().filter_map(|statement| statement["Sid"].as_str()).collect();
    assert_eq!(sids, ["Enable IAM User Permissions", "theirs", "XdeploycrossaccountdeployKeyUsers", "XdeploycrossaccountdeployKeyGrants"]);
    world.settled(&[]);
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        a_key_with_the_alias_gets_our_statements_beside_its_own,
        an_alias_of_an_unusable_key_is_refused_with_the_flag,
        what_was_made_by_hand_as_the_article_says_needs_no_change,
        made_by_hand_without_the_last_step_needs_only_that,
        an_event_role_made_by_hand_is_used_as_it_is,
        the_artifact_bucket_is_the_one_the_console_would_take,
        other_notifications_of_the_input_bucket_stay,
        members_of_a_notification_that_no_sdk_knows_are_sent_back_letter_for_letter,
        a_service_role_that_was_named_keeps_its_policies_and_gets_ours_beside,
        a_service_role_that_trusts_others_gets_codepipeline_beside_them,
        a_service_role_arn_that_names_nothing_is_refused,
        our_policy_changed_by_hand_gets_a_new_version,
        of_five_versions_the_oldest_that_is_not_the_default_goes,
        our_statements_and_trusts_changed_by_hand_come_back,
        the_id_that_a_deleted_service_role_leaves_in_our_statements_is_replaced,
        a_role_of_production_that_is_others_is_refused_and_the_flag_helps,
        a_role_of_production_that_was_named_gets_ours_beside_its_own,
        policies_that_are_others_are_refused_and_the_flags_help,
        a_policy_of_another_pipeline_of_ours_is_refused_though_it_grants_the_same,
        a_service_role_that_is_others_is_refused_and_the_flag_helps,
        an_event_role_or_rule_that_is_others_is_refused_and_the_flag_helps,
        two_pipelines_share_key_and_bucket_and_have_statements_of_their_own,
        two_pipelines_that_share_roles_have_grants_of_their_own,
        in_a_pipeline_of_others_only_the_role_and_the_missing_key_change,
        a_pipeline_that_exists_keeps_its_service_role_and_artifact_bucket,
        of_two_deploys_to_one_bucket_the_meant_one_must_be_said,
        the_key_that_a_pipeline_names_is_kept_and_gets_our_statements,
        an_aws_managed_key_is_replaced_by_the_one_the_alias_names,
        a_pipeline_with_a_store_for_each_region_keeps_the_map,
        a_single_store_becomes_a_map_where_the_output_is_elsewhere,
        a_running_execution_is_not_stopped_but_waited_for,
        polling_is_left_alone_until_eventbridge_is_asked_for,
        the_consoles_rule_is_kept_and_no_second_one_made,
        a_rule_of_others_with_our_name_that_starts_the_pipeline_is_kept,
        keys_that_leave_it_to_iam_get_a_statement_in_the_roles_policies,
        keys_that_leave_nothing_to_iam_get_a_statement_of_their_own,
        a_key_for_both_buckets_lets_both_roles_in,
        a_key_of_a_third_account_is_told_of,
        a_bucket_policy_that_moves_is_not_overwritten,
        a_key_policy_that_moves_is_not_overwritten,
        a_trust_policy_that_moves_is_not_overwritten,
        a_notification_that_moves_is_not_overwritten,
        a_pipeline_that_moves_is_not_overwritten,
        a_pipeline_of_the_same_name_in_another_region_takes_nothing_away,
        a_replica_that_is_there_already_keeps_its_own_policy,
    ]
}
