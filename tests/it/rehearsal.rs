//! The rehearsal from outside: the same every time, quick, and in agreement with the second evaluator.

use crate::naive::evaluator;
use serde_json::{Value, json};
use xdeploy::rehearsal::{DEV, Logged, PROD, Rehearsal, Request};

fn document(statement: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn trust(principal: &str) -> String {
    document(json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}))
}

/// Two roles, a key and what they may: allowed, left out, forbidden, limited by a boundary, and across the accounts.
async fn scenario(rehearsal: &Rehearsal) {
    let config = |account: &str| rehearsal.config(rehearsal.keys(account), "us-east-1");
    let (dev, prod) = (aws_sdk_iam::Client::new(&config(DEV)), aws_sdk_iam::Client::new(&config(PROD)));
    let kms = aws_sdk_kms::Client::new(&config(DEV));
    let foreign = aws_sdk_kms::Client::new(&config(PROD));
    let sts = aws_sdk_sts::Client::new(&config(DEV));
    dev.create_role().role_name("service").path("/service-role/").assume_role_policy_document(trust(DEV)).send().await.unwrap();
    let service = format!("arn:aws:iam::{DEV}:role/service-role/service");
    prod.create_role().role_name("deploy").assume_role_policy_document(trust(&service)).send().await.unwrap();
    let key = kms.create_key().multi_region(true).send().await.unwrap().key_metadata().unwrap().arn().unwrap().to_owned();
    let sealed = kms.encrypt().key_id(&key).plaintext(aws_sdk_kms::primitives::Blob::new("x")).send().await.unwrap();
    let open = || foreign.decrypt().ciphertext_blob(sealed.ciphertext_blob().unwrap().clone()).send();
    open().await.unwrap_err();
    let both = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{DEV}:root")}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": PROD}, "Action": "kms:Decrypt", "Resource": "*"},
        {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:a": "b"}}}]});
    kms.put_key_policy().key_id(&key).policy(both.to_string()).send().await.unwrap();
    open().await.unwrap();
    let bound =
        kms.encrypt().key_id(&key).plaintext(aws_sdk_kms::primitives::Blob::new("x")).encryption_context("a", "b").send().await.unwrap();
    kms.decrypt().ciphertext_blob(bound.ciphertext_blob().unwrap().clone()).encryption_context("a", "b").send().await.unwrap_err();
    foreign.describe_key().key_id(&key).send().await.unwrap_err();

    let session = sts.assume_role().role_arn(&service).role_session_name("me").send().await.unwrap();
    let credentials = session.credentials().unwrap();
    let keys = crate::support::served::of_session(credentials);
    let as_service = config(DEV).into_builder().credentials_provider(keys).build();
    let (own, iam) = (aws_sdk_sts::Client::new(&as_service), aws_sdk_iam::Client::new(&as_service));
    let deploy = format!("arn:aws:iam::{PROD}:role/deploy");
    let assume = || own.assume_role().role_arn(&deploy).role_session_name("me").send();
    assume().await.unwrap_err();
    let may = document(json!({"Effect": "Allow", "Action": ["sts:AssumeRole", "iam:GetRole"], "Resource": "*"}));
    dev.put_role_policy().role_name("service").policy_name("may").policy_document(may).send().await.unwrap();
    assume().await.unwrap();
    iam.get_role().role_name("service").send().await.unwrap();
    iam.list_roles().send().await.unwrap_err();
    let limit = document(json!({"Effect": "Allow", "Action": "sts:*", "Resource": "*"}));
    let limit = dev.create_policy().policy_name("limit").policy_document(limit).send().await.unwrap();
    let limit = limit.policy().unwrap().arn().unwrap();
    dev.put_role_permissions_boundary().role_name("service").permissions_boundary(limit).send().await.unwrap();
    iam.get_role().role_name("service").send().await.unwrap_err();
    let root = aws_sdk_iam::Client::new(&rehearsal.config(rehearsal.root_keys(DEV), "us-east-1"));
    root.list_roles().send().await.unwrap();
}

/// A request's answer with both evaluators, which share no code.
fn disagreements(log: &[Logged]) -> Vec<String> {
    // The second one takes every call to KMS for one on a key.
    let on_no_key = |logged: &&Logged| logged.action.starts_with("kms:") && !logged.resource.contains(":key/");
    let wrong = |logged: &&Logged| evaluator::decide(&logged.request).name() != logged.verdict.word();
    log.iter()
        .filter(|logged| !on_no_key(logged))
        .filter(wrong)
        .map(|logged| format!("{}: {}", logged.verdict.word(), logged.request))
        .collect()
}

#[tokio::test]
async fn the_second_evaluator_says_the_same_of_every_call() {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
    scenario(&rehearsal).await;
    let log = rehearsal.log();
    assert_eq!(disagreements(&log), Vec::<String>::new());
    let count = |word: &str| log.iter().filter(|logged| logged.verdict.word() == word).count();
    assert!(count("allowed") == 15 && count("implicitly-denied") == 5 && count("explicitly-denied") == 1, "{log:#?}");
}

#[tokio::test]
async fn two_rehearsals_of_the_same_calls_are_the_same() {
    let runs = [Rehearsal::new("aws", "us-east-1", "us-east-1"), Rehearsal::new("aws", "us-east-1", "us-east-1")];
    for run in &runs {
        scenario(run).await;
    }
    assert_eq!(runs[0].log(), runs[1].log());
}

/// Makes a call of a JSON service.
fn json_call(rehearsal: &Rehearsal, service: &str, target: &str, body: &Value) -> Value {
    let (key, _) = rehearsal.keys(DEV);
    let scope = format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0");
    let request = bare(&[("Authorization", &scope), ("X-Amz-Target", target)], &body.to_string());
    let answer = rehearsal.answer(request);
    assert_eq!(answer.status, 200, "{target}: {}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn website() -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["index.html", "css/site.css"] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut archive, name.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A pipeline across the accounts, started by uploads: first it may do nothing, then what it needs, then one statement forbids.
/// Gives the status of each of its executions, the newest first.
async fn pipeline(rehearsal: &Rehearsal) -> Vec<String> {
    use aws_sdk_s3::types::{BucketVersioningStatus, EventBridgeConfiguration, NotificationConfiguration, VersioningConfiguration};
    let config = |account: &str| rehearsal.config(rehearsal.keys(account), "us-east-1");
    let (dev, prod) = (aws_sdk_s3::Client::new(&config(DEV)), aws_sdk_s3::Client::new(&config(PROD)));
    let (dev_iam, prod_iam) = (aws_sdk_iam::Client::new(&config(DEV)), aws_sdk_iam::Client::new(&config(PROD)));
    let kms = aws_sdk_kms::Client::new(&config(DEV));
    dev.create_bucket().bucket("input").send().await.unwrap();
    dev.create_bucket().bucket("artifacts").send().await.unwrap();
    prod.create_bucket().bucket("output").send().await.unwrap();
    let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    dev.put_bucket_versioning().bucket("input").versioning_configuration(versioning).send().await.unwrap();
    let events = NotificationConfiguration::builder().event_bridge_configuration(EventBridgeConfiguration::builder().build()).build();
    dev.put_bucket_notification_configuration().bucket("input").notification_configuration(events).send().await.unwrap();
    let trusts = |service: &str| document(json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}));
    dev_iam.create_role().role_name("service").assume_role_policy_document(trusts("codepipeline.amazonaws.com")).send().await.unwrap();
    dev_iam.create_role().role_name("events").assume_role_policy_document(trusts("events.amazonaws.com")).send().await.unwrap();
    let (service, events) = (format!("arn:aws:iam::{DEV}:role/service"), format!("arn:aws:iam::{DEV}:role/events"));
    prod_iam.create_role().role_name("deploy").assume_role_policy_document(trust(&service)).send().await.unwrap();
    let deploy = format!("arn:aws:iam::{PROD}:role/deploy");
    let may = async |iam: &aws_sdk_iam::Client, role: &str, actions: Value| {
        let policy = document(json!({"Effect": "Allow", "Action": actions, "Resource": "*"}));
        iam.put_role_policy().role_name(role).policy_name("may").policy_document(policy).send().await.unwrap();
    };
    may(&dev_iam, "events", json!("codepipeline:StartPipelineExecution")).await;
    may(&dev_iam, "service", json!("sts:AssumeRole")).await;
    let key = kms.create_key().send().await.unwrap().key_metadata().unwrap().arn().unwrap().to_owned();
    let kind = |category: &str| json!({"category": category, "owner": "AWS", "provider": "S3", "version": "1"});
    let declaration = json!({"name": "web", "roleArn": service, "unknownMember": {"is": "kept"},
        "artifactStore": {"type": "S3", "location": "artifacts", "encryptionKey": {"id": key, "type": "KMS"}},
        "stages": [
            {"name": "Source", "actions": [{"name": "Source", "actionTypeId": kind("Source"), "outputArtifacts": [{"name": "A"}],
                "configuration": {"S3Bucket": "input", "S3ObjectKey": "site.zip", "PollForSourceChanges": "false"}}]},
            {"name": "Deploy", "actions": [{"name": "Deploy", "actionTypeId": kind("Deploy"), "inputArtifacts": [{"name": "A"}],
                "roleArn": deploy, "configuration": {"BucketName": "output", "Extract": "true"}}]}]});
    let made = json_call(rehearsal, "codepipeline", "CodePipeline_20150709.CreatePipeline", &json!({"pipeline": declaration}));
    assert_eq!(made["pipeline"]["unknownMember"], json!({"is": "kept"}));
    let pattern = json!({"source": ["aws.s3"], "detail": {"object": {"key": ["site.zip"]}}}).to_string();
    json_call(rehearsal, "events", "AWSEvents.PutRule", &json!({"Name": "start", "EventPattern": pattern}));
    let target = json!({"Id": "1", "Arn": format!("arn:aws:codepipeline:us-east-1:{DEV}:web"), "RoleArn": events});
    json_call(rehearsal, "events", "AWSEvents.PutTargets", &json!({"Rule": "start", "Targets": [target]}));

    let upload = async || {
        let body = aws_sdk_s3::primitives::ByteStream::from(website());
        dev.put_object().bucket("input").key("site.zip").body(body).send().await.unwrap();
    };
    upload().await;
    may(&dev_iam, "service", json!(["sts:AssumeRole", "s3:*", "kms:*"])).await;
    upload().await;
    may(&prod_iam, "deploy", json!(["s3:GetObject*", "s3:PutObject", "kms:Decrypt"])).await;
    let statement = |effect: &str, principal: &str, action: &str| json!({"Effect": effect, "Principal": {"AWS": principal}, "Action": action, "Resource": "arn:aws:s3:::artifacts/*"});
    let reads = statement("Allow", &deploy, "s3:GetObject*");
    dev.put_bucket_policy().bucket("artifacts").policy(document(reads.clone())).send().await.unwrap();
    upload().await;
    let users = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": DEV}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": deploy}, "Action": "kms:Decrypt", "Resource": "*",
            "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:CallerAccount": PROD},
                "StringLike": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::artifacts/web/*"}}}]});
    kms.put_key_policy().key_id(&key).policy(users.to_string()).send().await.unwrap();
    upload().await;
    let mut forbids = statement("Deny", &service, "s3:PutObject");
    forbids["Condition"] = json!({"StringEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}});
    let both = json!({"Version": "2012-10-17", "Statement": [reads, forbids]});
    dev.put_bucket_policy().bucket("artifacts").policy(both.to_string()).send().await.unwrap();
    upload().await;
    let list = json_call(rehearsal, "codepipeline", "CodePipeline_20150709.ListPipelineExecutions", &json!({"pipelineName": "web"}));
    let list = list["pipelineExecutionSummaries"].as_array().unwrap();
    list.iter().map(|run| run["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_second_evaluator_says_the_same_of_every_call_of_a_pipeline() {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
    // Made, may nothing, may read alone, may not open the key, may all, may not write.
    assert_eq!(pipeline(&rehearsal).await, ["Failed", "Succeeded", "Failed", "Failed", "Failed", "Failed"]);
    let log = rehearsal.log();
    assert_eq!(disagreements(&log), Vec::<String>::new());
    let count = |word: &str| log.iter().filter(|logged| logged.verdict.word() == word).count();
    assert!(count("allowed") > 60 && count("implicitly-denied") == 4 && count("explicitly-denied") == 1, "{log:#?}");
}

#[tokio::test]
async fn two_runs_of_a_pipeline_are_the_same() {
    let runs = [Rehearsal::new("aws", "us-east-1", "us-east-1"), Rehearsal::new("aws", "us-east-1", "us-east-1")];
    for run in &runs {
        pipeline(run).await;
    }
    assert_eq!(runs[0].log(), runs[1].log());
}

/// A request that no SDK would send.
fn bare(headers: &[(&str, &str)], body: &str) -> Request {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Request {
        method: "POST".to_owned(),
        target: "/".to_owned(),
        host: "iam.amazonaws.com".to_owned(),
        headers,
        body: body.as_bytes().to_vec(),
    }
}

#[test]
fn odd_requests_get_an_error_of_aws() {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
    let (key, _) = rehearsal.keys(DEV);
    let signed = |service: &str| {
        format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0")
    };
    let text = |request: Request| {
        let answer = rehearsal.answer(request);
        (answer.status, String::from_utf8(answer.body).unwrap())
    };
    let (status, body) = text(bare(&[], "Action=ListRoles&Version=2010-05-08"));
    assert!(status == 403 && body.contains("<Code>MissingAuthenticationToken</Code>"), "{body}");
    let (status, body) = text(bare(&[("Authorization", &signed("iam"))], "Action=Nothing"));
    assert!(status == 400 && body.contains("<Code>InvalidAction</Code>"), "{body}");
    let (status, body) = text(bare(&[("Authorization", &signed("iam"))], "Action=GetRole"));
    assert!(status == 400 && body.contains("Value null at 'roleName'"), "{body}");
    let (status, body) = text(bare(&[("Authorization", &signed("kms")), ("X-Amz-Target", "TrentService.CreateKey")], "not JSON"));
    assert!(status == 400 && body.contains("SerializationException"), "{body}");
    let (status, _) = text(bare(&[("Authorization", &signed("polly"))], ""));
    assert_eq!(status, 400);
    let (status, body) = text(bare(&[("Authorization", "AWS4-HMAC-SHA256 Credential=x")], ""));
    assert_eq!(status, 403, "{body}");
}

/// The program itself, over a real port.
mod served {
    use super::disagreements;
    use crate::support::served::Served;
    use xdeploy::policy::Decided;

    fn a_pipeline_from_setup_to_teardown(options: &[&str]) {
        let served = Served::new();
        let buckets = ["--input-bucket", "codepipeline-input-bucket", "--output-bucket", "codepipeline-output-bucket"];
        let setup = [&["setup", "--yes", "--create-buckets", "--enable-versioning"], &buckets[..], options].concat();
        assert!(served.run(&setup).contains("Done: "));
        assert!(served.run(&setup).contains("No changes."));
        let released = served.run(&["release", "--sample"]);
        assert!(released.contains("index.html") && released.contains("owned by prod (222222222222)"), "{released}");
        assert!(!released.contains("warning"), "{released}");
        served.run(&[&["verify", "--strict"], &buckets[..]].concat());
        served.run(&["teardown", "--confirm", "crossaccountdeploy"]);
        let log = served.rehearsal.log();
        let refused: Vec<_> = log.iter().filter(|logged| logged.verdict != Decided::Allowed).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        assert_eq!(disagreements(&log), Vec::<String>::new());
    }

    #[test]
    fn the_articles_pipeline() {
        a_pipeline_from_setup_to_teardown(&[]);
    }

    #[test]
    fn a_least_privilege_pipeline_to_another_region() {
        a_pipeline_from_setup_to_teardown(&["--policies", "least-privilege", "--prod-region", "eu-west-1"]);
    }

    #[test]
    fn a_pipeline_that_polls() {
        a_pipeline_from_setup_to_teardown(&["--change-detection", "polling"]);
    }
}
