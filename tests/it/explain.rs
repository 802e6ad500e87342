//! `xdeploy explain`: each row of the catalogue told from its neighbours, each broken link found, and the command itself.

use crate::snapshots::{Built, DEV, PROD, set_ups};
use crate::support::depth;
use crate::support::scene::Scene;
use crate::support::served::Served;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::AtomicBool;
use xdeploy::deploy::after::after;
use xdeploy::deploy::apply::{self, Manner};
use xdeploy::deploy::breaking::breaking;
use xdeploy::deploy::chain::ROWS;
use xdeploy::deploy::failures::{Evidence, Explanation, Kind, Place, Readings, Source, Symptom, explain, gather, rows};
use xdeploy::deploy::proof::prove;
use xdeploy::deploy::release;
use xdeploy::deploy::snapshot::Snapshot;
use xdeploy::model::{Policies, Readable, Verdict};
use xdeploy::settings::Settings;

const HOME: &str = "us-east-1";
const PIPELINE_ARN: &str = "arn:aws:codepipeline:us-east-1:111111111111:crossaccountdeploy";
const ARTIFACTS: &str = "codepipeline-us-east-1-111111111111";

/// Readings of accounts in which nothing is odd.
fn quiet() -> Readings {
    let source = Source { version: "v1".to_owned(), tags: 0, modified: 1 };
    let buckets = ["in-bucket", "out-bucket", ARTIFACTS, "codepipeline-eu-west-1-111111111111"];
    Readings {
        source: Readable::Known(Some(source)),
        requester_pays: buckets.into_iter().map(|bucket| (bucket.to_owned(), Readable::Known(false))).collect(),
        artifact_key: Readable::Known(None),
        output_key: Readable::Known(None),
        strangers: Readable::Known(None),
        older: Readable::Known(Vec::new()),
        cut_at: None,
        taken_twice: None,
    }
}

pub fn with_accounts(symptom: &Symptom, settings: &Settings, snapshot: &Snapshot, readings: &Readings) -> Explanation {
    let proof = prove(settings, snapshot).unwrap().unwrap();
    let evidence = Evidence::of(settings, snapshot, &proof, readings, &[]).unwrap().unwrap();
    explain(symptom, Some(&evidence))
}

/// A snapshot in which a link is broken, as `rehearse --break` breaks it.
fn without(built: &Built, link: &str) -> Value {
    let broken = breaking(&built.settings, &built.snapshot, link).unwrap();
    serde_json::to_value(after(&built.snapshot, &broken.writes, PIPELINE_ARN)).unwrap()
}

fn action(value: &mut Value, stage: usize) -> &mut Value {
    &mut value["pipeline"]["declaration"]["stages"][stage]["actions"][0]
}

fn deploy(value: &mut Value) -> &mut Value {
    &mut action(value, 1)["configuration"]
}

fn statements(document: &mut Value) -> &mut Vec<Value> {
    document["Statement"].as_array_mut().unwrap()
}

fn artifact_policy(value: &mut Value) -> &mut Value {
    &mut value["artifact_buckets"][HOME]["found"]["policy"]
}

fn organisation(statement: &Value) -> Value {
    let scp = json!({"target": "r-root", "policies": {"Guard": {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"}, statement]}}});
    json!({"id": {"known": "o-example"}, "management": false, "scps": {"known": [scp]}, "rcps": {"known": []}})
}

/// What CodePipeline and AWS say, as facts E record it.
const FORBIDDEN: &str = "The object with key 'sample-website.zip' returned a Forbidden error.";
const NO_BUCKET_ACCESS: &str = "Insufficient permissions The service role or action role doesn't have the permissions required to access the Amazon S3 bucket named codepipeline-us-east-1-111111111111. Update the IAM role permissions, and then try again. Error: Amazon S3:AccessDenied:Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)";
const NO_ARTIFACT: &str = "Unable to access the artifact with Amazon S3 object key 'crossaccountdeploy/SourceArti/AbCdEfG.zip' located in the Amazon S3 artifact bucket 'codepipeline-us-east-1-111111111111'. The provided role does not have sufficient permissions.";
const NO_PUT: &str = "You do not have sufficient permissions to call s3.putObject for the deployment bucket, out-bucket. Check the permissions. If you choose a canned ACL, the role must also have the permissions s3:PutObjectAcl and s3:PutObjectVersionAcl.";
const CIPHERTEXT: &str = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access. (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)";

/// A symptom of a row with the world that it comes from.
struct Told {
    row: u8,
    /// CodePipeline's category of the failed action; empty for a pasted message, `NotStarted` and `Green` for what says nothing.
    at: &'static str,
    code: &'static str,
    /// As it was recorded, then as it may read one day.
    texts: Vec<&'static str>,
    /// Which of [`set_ups`].
    set_up: usize,
    /// The link that is broken.
    broken: &'static str,
    change: fn(&mut Value),
    read: fn(&mut Readings),
}

fn told(row: u8, at: &'static str, code: &'static str, texts: &[&'static str]) -> Told {
    Told { row, at, code, texts: texts.to_vec(), set_up: 0, broken: "", change: |_| (), read: |_| () }
}

impl Told {
    fn change(self, change: fn(&mut Value)) -> Told {
        Told { change, ..self }
    }

    fn breaks(self, broken: &'static str) -> Told {
        Told { broken, ..self }
    }

    fn reads(self, read: fn(&mut Readings)) -> Told {
        Told { read, ..self }
    }

    fn in_set_up(self, set_up: usize) -> Told {
        Told { set_up, ..self }
    }

    fn symptoms(&self) -> Vec<Symptom> {
        let code = Some(self.code).filter(|code| !code.is_empty());
        match self.at {
            "NotStarted" => vec![Symptom::not_started()],
            "Green" => vec![Symptom::green()],
            "" => self.texts.iter().map(|text| Symptom { code: code.map(str::to_owned), ..Symptom::pasted(text) }).collect(),
            at => self.texts.iter().map(|text| Symptom::of_action(at, code, text)).collect(),
        }
    }

    fn explanations(&self, set_ups: &[Built]) -> Vec<Explanation> {
        let built = &set_ups[self.set_up];
        let mut value = if self.broken.is_empty() { built.value() } else { without(built, self.broken) };
        (self.change)(&mut value);
        let snapshot: Snapshot = serde_json::from_value(value).unwrap();
        let mut readings = quiet();
        (self.read)(&mut readings);
        self.symptoms().iter().map(|symptom| with_accounts(symptom, &built.settings, &snapshot, &readings)).collect()
    }
}

/// One or more symptoms for each of the 47 rows.
fn catalogue() -> Vec<Told> {
    vec![
        told(1, "Source", "ConfigurationError", &["The object with key 'sample-website.zip' does not exist.", "Object sample-website.zip doesn't exist in the source bucket"])
            .reads(|readings| readings.source = Readable::Known(None)),
        told(2, "Source", "PermissionError", &[FORBIDDEN, "Source object key sample-website.zip: 403 Forbidden"]).breaks("source-read"),
        told(3, "Source", "PermissionError", &[NO_BUCKET_ACCESS, "The action role lacks the permissions to access the bucket named codepipeline-us-east-1-111111111111"])
            .breaks("artifact-write"),
        told(4, "Source", "ConfigurationError", &["Versioning is not enabled on the source bucket in-bucket.", "The S3 bucket in-bucket must have versioning enabled"])
            .change(|value| value["input"]["found"]["versioning"] = json!("Suspended")),
        told(4, "Source", "PermissionError", &[NO_BUCKET_ACCESS]).change(|value| value["input"]["found"]["versioning"] = json!("")),
        told(5, "Source", "", &["CodePipeline service role \"arn:aws:iam::111111111111:role/service-role/AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy\" is getting S3 access denied for the S3 bucket \"in-bucket\""])
            .breaks("source-acl"),
        told(6, "Deploy", "PermissionError", &[NO_ARTIFACT, "Cannot read the input artifact SourceArtifact from bucket codepipeline-us-east-1-111111111111"])
            .breaks("deploy-decrypt"),
        told(6, "Deploy", "PermissionError", &[NO_ARTIFACT]).breaks("deploy-read"),
        told(7, "Deploy", "PermissionError", &[NO_ARTIFACT]).change(|value| {
            value["pipeline"]["declaration"]["artifactStore"].as_object_mut().unwrap().remove("encryptionKey");
        }),
        told(7, "Deploy", "PermissionError", &[NO_ARTIFACT])
            .reads(|readings| readings.artifact_key = Readable::Known(Some(format!("arn:aws:kms:{HOME}:{DEV}:key/aws-managed")))),
        told(8, "Deploy", "PermissionError", &[NO_PUT, "The role doesn't have the required permissions for s3:PutObject on the deployment bucket out-bucket"])
            .breaks("output-write"),
        told(8, "Deploy", "PermissionError", &[NO_PUT]).in_set_up(2).breaks("output-encrypt"),
        told(8, "Deploy", "PermissionError", &[NO_PUT]).in_set_up(7).breaks("output-write-acl"),
        told(9, "Deploy", "PermissionError", &[NO_PUT]).change(|value| {
            action(value, 1).as_object_mut().unwrap().remove("roleArn");
        }),
        told(10, "Deploy", "AccessDenied", &[CIPHERTEXT, "AccessDenied: The ciphertext refers to a customer managed key that doesn't exist or that you may not use"])
            .breaks("deploy-decrypt"),
        told(11, "", "", &[
            "User: arn:aws:sts::222222222222:assumed-role/prods3role/1767225600000 is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:111111111111:key/k because no resource-based policy allows the kms:Decrypt action",
            "arn:aws:sts::222222222222:assumed-role/prods3role/1767225600000 isn't authorized to perform kms:Decrypt on the resource because no identity-based policy allows it",
        ])
        .breaks("deploy-decrypt"),
        told(12, "", "", &[
            "InvalidStructureException: CodePipeline is not authorized to perform AssumeRole on role arn:aws:iam::111111111111:role/service-role/x",
            "codepipeline.amazonaws.com is not authorized to perform: sts:AssumeRole on role x",
        ])
        .breaks("service-role"),
        told(13, "", "", &[
            "An error occurred (InvalidStructureException) when calling the UpdatePipeline operation: arn:aws:iam::111111111111:role/service-role/AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy is not authorized to perform AssumeRole on role arn:aws:iam::222222222222:role/prods3role",
            "User: arn:aws:sts::111111111111:assumed-role/AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy/1767225600000 is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/prods3role",
        ])
        .breaks("deploy-role"),
        told(14, "", "", &[
            "An error occurred (MalformedPolicyDocument) when calling the CreateRole operation: Invalid principal in policy: \"AWS\":\"arn:aws:iam::111111111111:role/AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy\"",
            "Invalid principal in policy: \"AWS\":\"arn:aws:iam::111111111111:role/x\" (Service: Iam, Status Code: 400)",
        ]),
        told(15, "", "", &["An error occurred (MalformedPolicy) when calling the PutBucketPolicy operation: Invalid principal in policy", "MalformedPolicy: Invalid principal in policy"]),
        told(16, "", "", &["MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.", "The key policy contains an invalid principal"]),
        told(17, "", "", &["MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future."]),
        told(18, "", "", &[
            "An error occurred (AccessDenied) when calling the PutBucketPolicy operation: Access Denied",
            "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: s3:PutBucketPolicy on resource: \"arn:aws:s3:::b\" because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access",
        ]),
        told(19, "Deploy", "PermissionError", &[NO_ARTIFACT]).change(|value| {
            let everybody = json!({"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{ARTIFACTS}/public/*")});
            statements(artifact_policy(value)).push(everybody);
            value["artifact_buckets"][HOME]["found"]["restricts_public"] = json!(true);
        }),
        told(20, "Deploy", "ConfigurationError", &["AccessControlListNotSupported: The bucket does not allow ACLs", "The bucket doesn't support ACLs"])
            .change(|value| deploy(value)["CannedACL"] = json!("public-read")),
        told(20, "Deploy", "PermissionError", &[NO_PUT]).change(|value| deploy(value)["CannedACL"] = json!("public-read")),
        told(21, "", "", &[
            "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::codepipeline-us-east-1-111111111111/x.zip\" with an explicit deny in a resource-based policy",
        ]),
        told(22, "Deploy", "PermissionError", &[NO_PUT]).change(|value| {
            value["prod_organisation"] = organisation(&json!({"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*",
                "Condition": {"Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "true"}}}));
        }),
        told(23, "", "", &[
            "User: arn:aws:sts::111111111111:assumed-role/r/1767225600000 is not authorized to perform: s3:PutObject on resource: x with an explicit deny in a service control policy",
            "AccessDenied ... explicit deny in a resource control policy",
        ]),
        told(23, "Source", "PermissionError", &[NO_BUCKET_ACCESS]).change(|value| {
            value["dev_organisation"] = organisation(&json!({"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}));
        }),
        told(24, "", "", &["User: x is not authorized to perform: s3:GetObject because no permissions boundary allows the s3:GetObject action", "AccessDenied with an explicit deny in a permissions boundary"]),
        told(24, "Deploy", "PermissionError", &[NO_ARTIFACT]).change(|value| {
            value["deploy_role"]["boundary"] = json!({"arn": format!("arn:aws:iam::{PROD}:policy/limit"), "document": {"known":
                {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}}});
        }),
        told(25, "Deploy", "PermissionError", &[NO_ARTIFACT]).change(|value| {
            let deny = json!({"Sid": "OnlyFromOurVpc", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": format!("arn:aws:s3:::{ARTIFACTS}/*"),
                "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}}});
            statements(artifact_policy(value)).push(deny);
        }),
        told(26, "Deploy", "PermissionError", &[NO_ARTIFACT]).change(|value| {
            value["pipeline"]["declaration"]["artifactStore"]["encryptionKey"]["id"] = json!("alias/s3deploykey");
            value["keys"][HOME]["asked"] = json!("alias/s3deploykey");
            value["keys"][HOME]["from_pipeline"] = json!(true);
        }),
        told(27, "Deploy", "ConfigurationError", &[
            "The bucket named out-bucket is not located in the 'us-west-2' AWS region",
            "The deployment S3 bucket you chose (out-bucket) is in an AWS Region different from the action Region. You must use the same Region for your action and the deploy bucket.",
            "ValidationException: The region eu-north-9 specified in 'pipeline.artifactStores' is not a valid AWS Region",
        ])
        .change(|value| value["output"]["found"]["region"] = json!("eu-west-1")),
        told(28, "Deploy", "ConfigurationError", &["Failed replicating 'SourceArtifact': Invalid Arn", "Replication of artifact SourceArtifact failed: invalid ARN"]).in_set_up(1).change(|value| {
            let stores = &mut value["pipeline"]["declaration"]["artifactStores"];
            stores["eu-west-1"]["encryptionKey"]["id"] = stores[HOME]["encryptionKey"]["id"].clone();
        }),
        told(29, "", "", &[
            "InvalidActionDeclarationException: Action configuration for action 'Deploy' is missing required configuration 'BucketName'",
            "Action configuration for action 'Deploy' contains unknown configuration 'bucketName'",
        ]),
        told(30, "", "", &[
            "ValidationException: 1 validation error detected: Value '' at 'pipeline.stages.1.member.actions.1.member.configuration.ObjectKey' failed to satisfy constraint: Member must have length greater than or equal to 1",
            "Parameter validation failed:\nUnknown parameter in input: \"metadata\", must be one of: pipeline",
        ]),
        told(31, "Deploy", "ConfigurationError", &["Invalid value for configuration property 'True': 'Extract'. Valid values are true and false."])
            .change(|value| deploy(value)["Extract"] = json!("True")),
        told(32, "Deploy", "ConfigurationError", &["When the extract feature is disabled, you must provide an object.", "Extract is off: provide an object key"])
            .change(|value| deploy(value)["Extract"] = json!("false")),
        told(33, "Deploy", "JobFailed", &["The archive is malformed.", "The zip archive is not valid"]),
        told(34, "Deploy", "ConfigurationError", &["The file name ../etc/passwd contains invalid sequence: dot-dot-slash."]),
        told(35, "Deploy", "InternalError", &["", "Internal error"]).change(|value| value["artifact_buckets"][HOME]["found"]["region"] = json!("eu-west-1")),
        told(35, "Deploy", "JobFailed", &[""]),
        told(36, "NotStarted", "", &[]).change(|value| value["rule"]["enabled"] = json!(false)),
        told(36, "NotStarted", "", &[]).change(|value| value["input"]["found"]["notification"] = json!("<NotificationConfiguration/>")),
        told(36, "NotStarted", "", &[]).change(|value| value["rule"]["pattern"]["detail"]["object"]["key"] = json!(["other.zip"])),
        told(36, "NotStarted", "", &[]).change(|value| {
            value["rule"] = Value::Null;
            value["pipeline"]["polling_disabled"] = json!(true);
            deploy(value); // the source polls again, as far as its configuration goes
            action(value, 0)["configuration"]["PollForSourceChanges"] = json!("true");
        }),
        told(36, "", "", &["I uploaded a new zip and the pipeline never started", "no execution after the upload"]).change(|value| value["rule"]["enabled"] = json!(false)),
        told(37, "", "", &["each upload starts two runs", "the pipeline is triggered twice"])
            .change(|value| action(value, 0)["configuration"]["PollForSourceChanges"] = json!("true")),
        told(37, "Green", "", &[]).change(|value| {
            action(value, 0)["configuration"].as_object_mut().unwrap().remove("PollForSourceChanges");
        }),
        told(38, "NotStarted", "", &[]).breaks("start-run"),
        told(38, "NotStarted", "", &[]).breaks("start-role"),
        told(38, "", "", &["the rule's FailedInvocations metric goes up", "Failed invocations: 3"]).breaks("start-run"),
        told(39, "", "", &[
            "An error occurred (AccessDeniedException) when calling the CreatePipeline operation: User: arn:aws:iam::111111111111:user/ann is not authorized to perform: iam:PassRole on resource: arn:aws:iam::111111111111:role/service-role/x",
        ]),
        told(40, "Green", "", &[]).reads(|readings| readings.output_key = Readable::Known(Some(format!("arn:aws:kms:{HOME}:{DEV}:key/theirs")))),
        told(40, "Green", "", &[]).reads(|readings| readings.strangers = Readable::Known(Some("index.html".to_owned()))),
        told(40, "", "", &["the pipeline is green but our readers get AccessDenied"])
            .reads(|readings| readings.output_key = Readable::Known(Some(format!("arn:aws:kms:{HOME}:{DEV}:key/theirs")))),
        told(41, "Green", "", &[]).reads(|readings| readings.older = Readable::Known(vec!["old.html".to_owned()])),
        told(41, "", "", &["files that were removed from the zip: old files are still there", "fonts are served with the wrong content type"])
            .reads(|readings| readings.older = Readable::Known(vec!["old.html".to_owned()])),
        told(42, "", "", &["the trust policy shows \"AWS\": \"AROAEXAMPLE1234567890\""]).change(dead_trust),
        told(42, "", "", &["InvalidStructureException: arn:aws:iam::111111111111:role/service-role/x is not authorized to perform AssumeRole on role arn:aws:iam::222222222222:role/prods3role"])
            .change(dead_trust),
        told(43, "Green", "", &[]).change(|value| deploy(value)["ObjectKey"] = json!("site/")),
        told(43, "", "", &["objects arrive as site//index.html", "there is a double slash in the keys"]).change(|value| deploy(value)["ObjectKey"] = json!("site/")),
        told(44, "Source", "PermissionError", &[NO_BUCKET_ACCESS]).breaks("source-tags").reads(tagged),
        told(44, "", "", &["User: r is not authorized to perform: s3:GetObjectTagging on resource: x"]).breaks("source-tags").reads(tagged),
        told(45, "", "", &["Error: Artifact Bucket must have a KMS Key to add cross-account action 'Deploy' (pipeline account: '111111111111', action account: '222222222222'). Create Pipeline with 'crossAccountKeys: true'"]),
        told(46, "", "", &[
            "KMS.DisabledException: arn:aws:kms:us-east-1:111111111111:key/k is disabled.",
            "KMSInvalidStateException: arn:aws:kms:us-east-1:111111111111:key/k is pending deletion.",
        ])
        .change(|value| value["keys"][HOME]["found"]["state"] = json!("Disabled")),
        told(46, "Deploy", "PermissionError", &[NO_ARTIFACT]).change(|value| value["keys"][HOME]["found"]["state"] = json!("PendingDeletion")),
        told(47, "Source", "PermissionError", &[FORBIDDEN, NO_BUCKET_ACCESS])
            .reads(|readings| drop(readings.requester_pays.insert("in-bucket".to_owned(), Readable::Known(true)))),
        told(47, "Deploy", "PermissionError", &[NO_PUT])
            .reads(|readings| drop(readings.requester_pays.insert("out-bucket".to_owned(), Readable::Known(true)))),
    ]
}

fn dead_trust(value: &mut Value) {
    statements(&mut value["deploy_role"]["trust"])[0]["Principal"]["AWS"] = json!("AROAEXAMPLE1234567890");
}

fn tagged(readings: &mut Readings) {
    readings.source = Readable::Known(Some(Source { version: "v1".to_owned(), tags: 2, modified: 1 }));
}

pub fn id_of(row: u8) -> String {
    format!("XD-CP-{row:03}")
}

pub fn first(explanation: &Explanation) -> &str {
    explanation.causes.first().and_then(|cause| cause.id).unwrap_or("nothing")
}

/// Rows whose symptom is first told as another's although both accounts are read, each with the reason. None is.
const NOT_TOLD_APART: [(u8, &str); 0] = [];

#[test]
fn each_row_is_told_from_its_neighbours_with_both_accounts() {
    let set_ups = set_ups();
    let mut missed: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut count = 0;
    for told in catalogue() {
        seen.insert(told.row);
        for explanation in told.explanations(&set_ups) {
            count += 1;
            let scores: Vec<String> =
                explanation.causes.iter().map(|cause| format!("{} {}", cause.id.unwrap_or("-"), cause.score)).collect();
            println!("{} {:?} {:.60}: {}", id_of(told.row), explanation.symptom.kind, explanation.symptom.text, scores.join(", "));
            if first(&explanation) != id_of(told.row) {
                missed.entry(told.row).or_default().push(format!("{:?}: {}", explanation.symptom.text, scores.join(", ")));
            }
        }
    }
    println!("{} of {} rows told apart, by {count} symptoms", seen.len() - missed.len(), rows().len());
    assert_eq!(seen, (1..=47).collect());
    assert_eq!(missed.keys().copied().collect::<Vec<_>>(), NOT_TOLD_APART.map(|(row, _)| row), "{missed:#?}");
}

/// Rows that hide behind another's text: without the accounts only what to read can be said.
const NEEDS_THE_ACCOUNTS: [(u8, &str); 8] = [
    (4, "a bucket without versioning may fail with the text of row 3"),
    (7, "the text is that of row 6; what the store names decides"),
    (9, "the text is that of row 8; the action's roleArn decides"),
    (19, "the text is that of row 6; the bucket's public statement decides"),
    (22, "the text is that of row 8; the organisation's policy decides"),
    (25, "the text is that of row 6; the bucket's condition decides"),
    (26, "the text is that of row 6; the form of the key's name decides"),
    (47, "a bare 403 has the text of rows 2, 3 or 8; the bucket's payer decides"),
];

#[test]
fn each_row_s_own_text_names_it_without_the_accounts() {
    let mut missed: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    let mut named = BTreeSet::new();
    for told in catalogue() {
        for symptom in told.symptoms().into_iter().filter(|symptom| symptom.kind == Kind::Message) {
            let explanation = explain(&symptom, None);
            let place = explanation.causes.iter().position(|cause| cause.id == Some(id_of(told.row).as_str()));
            // Behind another's text a row is named as what it may be as well, with what to read.
            let place = place.unwrap_or_else(|| panic!("{} is not named for {symptom:?}", told.row));
            assert!(!explanation.causes[place].read.is_empty() || explanation.causes[place].fix.len() > 10);
            if place == 0 {
                named.insert(told.row);
            } else {
                missed.entry(told.row).or_default().push(format!("{}: {}", symptom.text, first(&explanation)));
            }
        }
    }
    // These have a text of their own, which names them, and hide behind others' as well.
    let both = [20, 23, 24, 42, 44, 46];
    assert!(both.iter().all(|row| named.contains(row) && missed.contains_key(row)), "{named:?} {missed:#?}");
    let hidden: BTreeSet<u8> = missed.keys().copied().filter(|row| !both.contains(row)).collect();
    assert_eq!(hidden, NEEDS_THE_ACCOUNTS.map(|(row, _)| row).into(), "{missed:#?}");
    // Row 4 has a text of its own too.
    assert_eq!(hidden.iter().filter(|row| named.contains(*row)).collect::<Vec<_>>(), [&4], "{named:?}");
    println!("{} of 47 rows named by their text alone", 47 - hidden.len());
}

/// Messages as people posted them, with what they took out and added.
const POSTED: [(u8, &str); 9] = [
    (
        3,
        "Insufficient permissions\nThe service role or action role doesn’t have the permissions required to access the Amazon S3 bucket named pre-reqs-artifactbucket-xxxxxxxxx. \nUpdate the IAM role permissions, and then try again.\nError: Amazon S3:AccessDenied:Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID:...",
    ),
    (
        8,
        "Pipeline with S3 as Deployment Provider fails with error:\n  Insufficient permissions\n  You do not have sufficient permissions to call s3.putObject for the deployment bucket",
    ),
    (
        10,
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access. (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: .......; Proxy: null)",
    ),
    (
        11,
        "User: arn:aws:sts::222222222222:assumed-role/StagingDeployRole/…\nis not authorized to perform: kms:Decrypt on resource: arn:aws:kms:eu-west-1:111111111111:key/abcd-…",
    ),
    (
        13,
        "XXX is not authorized to perform AssumeRole on role XXXXX (Service: AWSCodePipeline Error Code: InvalidStructureException) (module name): (short issue description)",
    ),
    (
        13,
        "arn:aws:iam::1111111111111:role/adf-codepipeline-role is not authorized to perform AssumeRole on role arn:aws:iam::2222222222:role/adf-codecommit-role (Service: AWSCodePipeline; Status Code: 400; Error Code: InvalidStructureException; Request ID: 99030bbe-56c4-46b1-aed7-d46c2c94e4f4)",
    ),
    (20, "An error occurred (AccessControlListNotSupported) when calling the PutObject operation: The bucket does not allow ACLs"),
    (
        20,
        "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting (Service: Amazon S3; Status Code: 400; Error Code: InvalidBucketAclWithObjectOwnership; Request ID: P93EQDAT9W9CQ1Q9)",
    ),
    (45, "Error : Artifact Bucket must have a KMS Key to add cross-account action 'Deploy'"),
];

#[test]
fn messages_as_people_post_them_are_known() {
    for (row, text) in POSTED {
        let explanation = explain(&Symptom::pasted(text), None);
        assert_eq!(first(&explanation), id_of(row), "{text}: {:?}", explanation.causes.iter().map(|cause| cause.id).collect::<Vec<_>>());
    }
}

/// What a terminal, a mail or a person does to a text makes no difference.
#[test]
fn capitals_spaces_and_lines_make_no_difference() {
    for told in catalogue() {
        for symptom in told.symptoms().into_iter().filter(|symptom| symptom.kind == Kind::Message && !symptom.text.is_empty()) {
            let expected = explain(&symptom, None);
            let wrapped = symptom.text.split(' ').collect::<Vec<_>>().join("\n   ");
            let around = format!("2026-11-23T01:00:00Z  ERROR\t{}\n\nRequest ID: 94776b24-4694-4a9a-9b70-17bc7d478e93", symptom.text);
            for text in [symptom.text.to_uppercase(), symptom.text.to_lowercase(), wrapped, around] {
                let changed = explain(&Symptom { text: text.clone(), ..symptom.clone() }, None);
                assert_eq!(first(&changed), first(&expected), "{text}");
            }
        }
    }
}

/// A long log is looked through in no time, and nothing in it makes the program panic.
#[test]
fn a_long_text_takes_no_time() {
    let log = "object key bucket role permission version is not authorized to perform the action artifact extract ".repeat(2000);
    let started = std::time::Instant::now();
    let explanation = explain(&Symptom::pasted(&log), None);
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    println!("{:?}, {} causes", started.elapsed(), explanation.causes.len());
}

#[test]
fn the_catalogue_is_whole() {
    let numbers: Vec<u8> = rows().iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=47).collect::<Vec<_>>());
    for row in rows() {
        assert_eq!(row.check.id, id_of(row.number));
        for link in row.links {
            assert!(ROWS.iter().any(|own| own.name == *link), "{}: no link {link}", row.check.id);
        }
        assert!(!row.says.is_empty() && !row.tell.is_empty() && row.check.docs.starts_with("https://"), "{}", row.check.id);
        assert!(!row.texts.is_empty() || !row.behind.is_empty(), "{}: nothing reaches it", row.check.id);
    }
}

/// The row that each broken link shows as, and whether the text names it at all (facts C, E).
fn row_of(link: &str) -> Option<u8> {
    match link {
        "start-role" | "start-run" => Some(38),
        "service-role" => Some(12),
        "source-read" => Some(2),
        "deploy-role" => Some(13),
        // KMS's own words stand behind `Failed replicating`; S3's say nothing that a row has, so the denied link is the cause.
        "copy-decrypt" | "copy-encrypt" => Some(11),
        link if link.starts_with("copy-") => None,
        link if link.starts_with("source-") || link.starts_with("artifact-") => Some(3),
        link if link.starts_with("deploy-") => Some(6),
        _ => Some(8),
    }
}

async fn breaks_and_explains(whole: &Scene, link: &str) -> Explanation {
    let scene = whole.fork();
    let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
    let broken = breaking(&scene.settings, &scene.look(&accounts).await.unwrap(), link).unwrap();
    let stop = AtomicBool::new(false);
    let manner = Manner { pipeline_arn: "", wait_for_runs: false, listen: &|_| (), stop: &stop };
    apply::apply(&accounts, &broken.writes, &manner).await.unwrap();
    // Much later, in 2027: of two things within a second nobody knows which was first.
    scene.rehearsal.keep_up(1_800_000_000_000);
    let route = release::route(&accounts, &scene.settings).await.unwrap();
    accounts
        .dev
        .s3(HOME)
        .put_object()
        .bucket("in-bucket")
        .key(&route.object_key)
        .body(release::sample().unwrap().into())
        .send()
        .await
        .unwrap();
    let snapshot = scene.look(&accounts).await.unwrap();
    let declaration = &snapshot.pipeline.as_ref().unwrap().declaration;
    let runs = gather::runs(&accounts, &route, Some(declaration), None).await.unwrap();
    let readings = gather::readings(&accounts, &route, &snapshot, &runs).await;
    let failed = runs.run.as_ref().and_then(|run| run.failed.as_ref());
    let symptom = match failed {
        _ if gather::started_nothing(&runs, &readings.source) => Symptom::not_started(),
        Some(failed) => Symptom::of_action(&failed.category, failed.state.code.as_deref(), failed.state.message.as_deref().unwrap()),
        None => panic!("{link}: {runs:?}"),
    };
    with_accounts(&symptom, &scene.settings, &snapshot, &readings)
}

/// Breaks every link that a run needs, lets the pipeline run, and explains what it says.
async fn every_link(target: &'static str, policies: Policies) -> usize {
    let scene = Scene::fresh(target, policies).await;
    scene.set_up(&scene.rehearsal.line()).await.unwrap();
    let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
    let proof = prove(&scene.settings, &scene.look(&accounts).await.unwrap()).unwrap().unwrap();
    let needed: Vec<String> = proof.links.iter().filter(|link| !link.may_be_called()).map(|link| link.name.clone()).collect();
    for link in &depth::sampled("links", needed.clone(), 3) {
        let explanation = breaks_and_explains(&scene, link).await;
        let cause = explanation.causes.first().unwrap_or_else(|| panic!("{link}: {explanation:#?}"));
        assert_eq!(cause.id.map(str::to_owned), row_of(link).map(id_of), "{policies} {link}: {explanation:#?}");
        assert_eq!(cause.link.as_ref().map(|link| &link.name), Some(link), "{policies}: {explanation:#?}");
        assert_eq!(cause.link.as_ref().unwrap().verdict, Verdict::Denied);
        // Nothing else is said to be the cause.
        assert_eq!(explanation.causes.len(), 1, "{link}: {explanation:#?}");
        assert!(cause.run.iter().any(|run| run.contains("add to ")), "{link}: {cause:#?}");
        assert!(cause.evidence.iter().any(|seen| seen.contains("dev (") || seen.contains("prod (")), "{link}: {cause:#?}");
    }
    needed.len()
}

#[tokio::test]
async fn every_broken_link_is_found_by_what_the_pipeline_says() {
    let mut counts = Vec::new();
    for (target, policies) in [
        (HOME, Policies::Article),
        (HOME, Policies::LeastPrivilege),
        ("eu-west-1", Policies::Article),
        ("eu-west-1", Policies::LeastPrivilege),
    ] {
        counts.push(every_link(target, policies).await);
    }
    println!("{counts:?} links broken and explained");
    assert!(counts[0] >= 12 && counts[3] >= 16, "{counts:?}");
}

#[test]
fn an_unknown_text_is_explained_by_what_is_denied_or_not_at_all() {
    let built = &set_ups()[0];
    let unknown = Symptom::of_action("Deploy", Some("JobFailed"), "Something that nobody has ever read.");
    let explanation = with_accounts(&unknown, &built.settings, &built.snapshot, &quiet());
    assert!(!explanation.in_catalogue && explanation.causes.is_empty() && explanation.denied.is_empty(), "{explanation:#?}");
    assert!(explanation.allowed.contains(&"deploy-decrypt".to_owned()), "{explanation:#?}");
    assert!(!explanation.allowed.iter().any(|link| link.starts_with("source-")), "{explanation:#?}");
    let broken: Snapshot = serde_json::from_value(without(built, "deploy-decrypt")).unwrap();
    let explanation = with_accounts(&unknown, &built.settings, &broken, &quiet());
    let cause = &explanation.causes[0];
    assert!(!explanation.in_catalogue && cause.id.is_none() && explanation.denied[0] == "deploy-decrypt", "{explanation:#?}");
    assert_eq!(cause.link.as_ref().unwrap().name, "deploy-decrypt");
    assert!(cause.run.iter().any(|run| run.contains("kms:Decrypt")), "{cause:#?}");
    // Without the accounts there is nothing to say.
    let explanation = explain(&unknown, None);
    assert!(explanation.causes.is_empty() && explanation.allowed.is_empty() && !explanation.in_catalogue);
}

/// Across organisations AWS says "Access Denied" and no more (facts E, "Message availability"): the accounts say the rest.
#[test]
fn a_bare_denial_is_explained_by_the_accounts() {
    let built = &set_ups()[0];
    let bare = Symptom::pasted("An error occurred (AccessDenied) when calling the PutObject operation: Access Denied");
    assert!(explain(&bare, None).causes.is_empty());
    let whole = with_accounts(&bare, &built.settings, &built.snapshot, &quiet());
    assert!(whole.causes.is_empty() && !whole.in_catalogue, "{whole:#?}");
    let mut value = built.value();
    value["deploy_role"]["boundary"] = json!({"arn": format!("arn:aws:iam::{PROD}:policy/limit"), "document": {"known":
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:Get*", "kms:*"], "Resource": "*"}]}}});
    let bounded = with_accounts(&bare, &built.settings, &serde_json::from_value(value).unwrap(), &quiet());
    assert_eq!(first(&bounded), "XD-CP-024", "{bounded:#?}");
    let broken: Snapshot = serde_json::from_value(without(built, "output-write")).unwrap();
    let broken = with_accounts(&bare, &built.settings, &broken, &quiet());
    assert_eq!(broken.causes[0].link.as_ref().map(|link| link.name.as_str()), Some("output-write"), "{broken:#?}");
}

/// Who wrote an old file nobody can tell: it is told, and nothing says to delete it.
#[test]
fn an_old_file_is_told_and_never_to_be_deleted() {
    let built = &set_ups()[0];
    let told = |older: &[&str], cut_at| {
        let older = Readable::Known(older.iter().map(|key| (*key).to_owned()).collect());
        with_accounts(&Symptom::green(), &built.settings, &built.snapshot, &Readings { older, cut_at, ..quiet() })
    };
    let explanation = told(&["reports/finance-2026.csv"], None);
    let cause = &explanation.causes[0];
    assert_eq!((cause.id, cause.run.len()), (Some("XD-CP-041"), 0), "{cause:#?}");
    assert!(cause.evidence[0].contains("finance-2026.csv: they may be left-overs of an earlier archive, or somebody else's"), "{cause:#?}");
    assert!(told(&["old.html"], Some(1000)).causes[0].evidence[0].starts_with("of the first 1000 files in bucket out-bucket 1 is older"));
    // Of what was not listed nothing is said to be so.
    let cut = told(&[], Some(1000));
    let open = cut.cannot_tell.join("\n");
    assert!(cut.causes.is_empty() && open.contains("XD-CP-041): of the first 1000 files") && open.contains("XD-CP-040"), "{cut:#?}");
    assert!(!cut.ruled_out.iter().any(|out| ["XD-CP-040", "XD-CP-041"].contains(&out.id)), "{cut:#?}");
}

/// A key that waits for its material has no deletion to cancel.
#[test]
fn a_key_without_material_is_not_said_to_be_deleted() {
    let built = &set_ups()[0];
    let symptom = Symptom::of_action("Deploy", Some("PermissionError"), NO_ARTIFACT);
    for (state, part) in [
        ("PendingImport", "material"),
        ("PendingDeletion", "cancel-key-deletion"),
        ("PendingReplicaDeletion", "cancel-key-deletion"),
        ("Disabled", "enable-key"),
    ] {
        let mut value = built.value();
        value["keys"][HOME]["found"]["state"] = json!(state);
        let snapshot: Snapshot = serde_json::from_value(value).unwrap();
        let explanation = with_accounts(&symptom, &built.settings, &snapshot, &quiet());
        assert_eq!(first(&explanation), "XD-CP-046");
        let run = explanation.causes[0].run.join("\n");
        assert!(run.contains(part) && (part == "cancel-key-deletion") == run.contains("cancel-key-deletion"), "{state}: {run}");
    }
}

/// Texts of other programs, and of AWS about other things.
const FOREIGN: [&str; 20] = [
    "scp: /tmp/x: Permission denied",
    "lost connection while copying with scp; permission denied",
    "error: //comment in code",
    "src/main.js:1 unexpected token near //todo",
    "request payment failed for invoice 4711",
    "User: arn:aws:iam::111111111111:user/bob is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/admin",
    "User: arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_Developer_0123/bob is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/admin",
    "the server did not start",
    "nothing happened when I pressed the button",
    "semantic versioning must be followed",
    "the password's min length is 8",
    "fatal: repository 'https://example.com/a.git' not found",
    "object of type Foo does not exist",
    "error: the key is disabled",
    "tar: corrupt archive",
    "internal error: unreachable code",
    "two runs of the test suite failed",
    "pass the role of king",
    "AIDA123456 in a log",
    "npm ERR! 403 Forbidden - GET https://registry.example.com/foo",
];

#[test]
fn what_is_of_something_else_is_not_explained() {
    for text in FOREIGN {
        let explanation = explain(&Symptom::pasted(text), None);
        assert!(explanation.causes.is_empty(), "{text}: {}", first(&explanation));
    }
    let output = piped(offline(&["explain", "-"]), FOREIGN[0]);
    assert_eq!(output.status.code(), Some(5), "{}", out(&output));
}

/// What is printed can be pasted: it names profile and region, and steps are lines of their own.
#[test]
fn every_command_names_profile_and_region() {
    let set_ups = set_ups();
    let mut count = 0;
    for told in catalogue() {
        for run in told.explanations(&set_ups).iter().flat_map(|explanation| &explanation.causes).flat_map(|cause| &cause.run) {
            for line in run.lines() {
                assert!(!line.contains(", then "), "{line}");
                if line.starts_with("aws ") {
                    assert!(line.contains(" --profile ") && line.contains(" --region "), "{line}");
                } else if line.starts_with("xdeploy ") {
                    assert!(line.contains(" --dev-profile ") && line.contains(" --prod-profile "), "{line}");
                } else {
                    continue;
                }
                count += 1;
            }
        }
    }
    assert!(count > 40, "{count}");
}

/// What is judged on an example is not told as seen, and every denied call of the row is mended.
#[test]
fn an_example_is_not_told_as_seen() {
    let built = &set_ups()[0];
    let snapshot: Snapshot = serde_json::from_value(without(built, "deploy-read")).unwrap();
    let broken = breaking(&built.settings, &snapshot, "deploy-decrypt").unwrap();
    let snapshot = after(&snapshot, &broken.writes, PIPELINE_ARN);
    let told = |text: &str| {
        let symptom = Symptom::of_action("Deploy", Some("PermissionError"), text);
        with_accounts(&symptom, &built.settings, &snapshot, &quiet())
    };
    let explanation = told(&NO_ARTIFACT.replace("AbCdEfG", "Xy12345"));
    let cause = &explanation.causes[0];
    assert_eq!(first(&explanation), "XD-CP-006");
    assert!(cause.link.as_ref().unwrap().resource.ends_with("/SourceArti/Xy12345.zip"), "{cause:#?}");
    assert!(cause.evidence[0].contains("/SourceArti/Xy12345.zip is denied"), "{cause:#?}");
    let by_hand = cause.run.iter().find(|run| run.contains("add to ")).unwrap();
    assert!(explanation.denied.contains(&"deploy-decrypt".to_owned()), "{explanation:#?}");
    assert!(by_hand.contains("s3:GetObject") && by_hand.contains("kms:Decrypt"), "{by_hand}");
    let explanation = told("Unable to access the artifact");
    assert!(explanation.causes[0].evidence[0].contains("/SourceArti/* is denied"), "{explanation:#?}");
}

/// What can't be read is never ruled out.
#[test]
fn what_cannot_be_read_is_told() {
    let built = &set_ups()[0];
    let symptom = Symptom::of_action("Source", Some("PermissionError"), NO_BUCKET_ACCESS);
    let explanation = with_accounts(&symptom, &built.settings, &built.snapshot, &Readings::default());
    let told = explanation.cannot_tell.join("\n");
    assert!(told.contains("XD-CP-047") && told.contains("XD-CP-044") && told.contains("XD-CP-023"), "{told}");
    let out: Vec<&str> = explanation.ruled_out.iter().map(|out| out.id).collect();
    assert!(out.contains(&"XD-CP-004") && out.contains(&"XD-CP-025") && !out.contains(&"XD-CP-047"), "{out:?}");
    assert_eq!(explanation.symptom.at, Some(Place::Source));
}

/// The program, with a message on its standard input.
fn piped(mut command: Command, text: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that refuses its arguments doesn't read.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The program without any AWS behind it and without any profile.
fn offline(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
    command.args(args).env_clear().env("HOME", "/nowhere").env("AWS_EC2_METADATA_DISABLED", "true").stdin(Stdio::null());
    command
}

const BOTH: [&str; 4] = ["--dev-profile", "dev", "--prod-profile", "prod"];

/// Two accounts with a whole set-up, and a runtime for the clients that change something beside the program.
struct World {
    served: Served,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> World {
        let served = Served::new();
        let buckets = ["--create-buckets", "--enable-versioning", "--input-bucket", "in-bucket", "--output-bucket", "out-bucket"];
        served.run(&[&["setup", "--yes"], &buckets[..]].concat());
        World { served, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap() }
    }

    fn config(&self, account: &str) -> aws_config::SdkConfig {
        self.served.rehearsal.config(self.served.rehearsal.keys(account), HOME)
    }

    /// A colleague tightens production's policies.
    fn tighten(&self) {
        let iam = aws_sdk_iam::Client::new(&self.config(PROD));
        let request = iam.detach_role_policy().role_name("prods3role").policy_arn(format!("arn:aws:iam::{PROD}:policy/devkmss3access"));
        self.runtime.block_on(request.send()).unwrap();
    }

    fn upload(&self) {
        let s3 = aws_sdk_s3::Client::new(&self.config(DEV));
        let body = release::sample().unwrap();
        self.runtime.block_on(s3.put_object().bucket("in-bucket").key("sample-website.zip").body(body.into()).send()).unwrap();
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.served.try_run(&[args, &["--output", "json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn a_release_that_fails_says_how_to_learn_why_and_explain_says_it() {
    let world = World::new();
    world.tighten();
    let released = world.served.try_run(&["release", "--sample"]);
    let said = err(&released);
    assert_eq!(released.status.code(), Some(1), "{said}");
    let hints: Vec<&str> = said.lines().filter(|line| line.starts_with("hint:")).collect();
    assert_eq!(hints[0], "hint: `xdeploy explain --pipeline crossaccountdeploy` says why", "{said}");
    let before = world.served.rehearsal.dump();
    let explained = world.served.try_run(&["explain", "--pipeline", "crossaccountdeploy"]);
    let told = out(&explained);
    assert_eq!(world.served.rehearsal.dump(), before, "it changes nothing");
    assert_eq!(explained.status.code(), Some(0), "{told}{}", err(&explained));
    for part in [
        "Deploy/Deploy: PermissionError: Unable to access the artifact",
        "Cause: the deploy role may not read or decrypt the artifact (XD-CP-006)",
        "seen: deploy-read: s3:GetObject by arn:aws:iam::222222222222:role/prods3role",
        "    - xdeploy setup --pipeline crossaccountdeploy --dev-profile dev --prod-profile prod\n",
        "or add to the policies of role prods3role (setup's is devkmss3access), prod (222222222222): {",
        "XD-CP-007 artifacts are encrypted with an AWS managed key: the artifact store names the customer key arn:aws:kms:us-east-1:111111111111:key/",
        "XD-CP-042 ",
    ] {
        assert!(told.contains(part), "no `{part}` in\n{told}");
    }
    let told = world.json(&["explain", "--pipeline", "crossaccountdeploy"]);
    assert_eq!((&told["schema"], &told["kind"], &told["inCatalogue"]), (&json!("xdeploy.explain/1"), &json!("failure"), &json!(true)));
    assert_eq!((&told["causes"][0]["id"], &told["causes"][0]["link"]["name"]), (&json!("XD-CP-006"), &json!("deploy-read")));
    assert_eq!((&told["execution"]["status"], &told["execution"]["failed"]["action"]), (&json!("Failed"), &json!("Deploy")));
    let failed = told["execution"]["id"].as_str().unwrap();
    // What was said to mend it does, and the run before can still be asked for.
    world.served.run(&["setup", "--yes"]);
    world.served.run(&["release", "--sample"]);
    let green = world.json(&["explain"]);
    assert_eq!((&green["execution"]["status"], &green["causes"]), (&json!("Succeeded"), &json!([])), "{green:#}");
    let older = world.json(&["explain", "--execution", failed]);
    assert_eq!((&older["causes"][0]["id"], &older["causes"][0]["shown"]), (&json!("XD-CP-006"), &json!(false)), "{older:#}");
    let unknown = world.served.try_run(&["explain", "--execution", "00000000-0000-0000-0000-000000000000"]);
    assert!(unknown.status.code() == Some(1) && err(&unknown).contains("has no execution 00000000"), "{}", err(&unknown));
}

#[test]
fn an_upload_that_starts_nothing_is_seen_and_explained() {
    let world = World::new();
    let rule = "codepipeline-crossaccountdeploy-source";
    let events = aws_sdk_eventbridge::Client::new(&world.config(DEV));
    world.runtime.block_on(events.disable_rule().name(rule).send()).unwrap();
    // Whole seconds are all that S3 tells.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    world.upload();
    let said = world.served.run(&["explain"]);
    assert!(said.contains("its event may still be on the way") && said.contains(", and that started nothing."), "{said}");
    let told = world.json(&["explain"]);
    assert_eq!((&told["symptom"]["kind"], &told["causes"][0]["id"]), (&json!("not-started"), &json!("XD-CP-036")), "{told:#}");
    assert_eq!(told["causes"][0]["evidence"][0], format!("rule {rule} is disabled"));
    assert_eq!(told["causes"][0]["run"][0], format!("aws events enable-rule --name {rule} --profile dev --region us-east-1"));
}

/// A run that waits for somebody has not failed.
#[test]
fn a_run_that_is_under_way_has_nothing_to_explain() {
    let world = World::new();
    let pipelines = aws_sdk_codepipeline::Client::new(&world.config(DEV));
    world.runtime.block_on(async {
        use aws_sdk_codepipeline::types::{ActionCategory, ActionDeclaration, ActionOwner, ActionTypeId, StageDeclaration};
        let mut pipeline = pipelines.get_pipeline().name("crossaccountdeploy").send().await.unwrap().pipeline.unwrap();
        let kind = ActionTypeId::builder().category(ActionCategory::Approval).owner(ActionOwner::Aws).provider("Manual").version("1");
        let approval = ActionDeclaration::builder().name("Approve").action_type_id(kind.build().unwrap()).build().unwrap();
        pipeline.stages.insert(1, StageDeclaration::builder().name("Approve").actions(approval).build().unwrap());
        pipelines.update_pipeline().pipeline(pipeline).send().await.unwrap();
    });
    std::thread::sleep(std::time::Duration::from_millis(1100));
    world.upload();
    let runs = world.runtime.block_on(pipelines.list_pipeline_executions().pipeline_name("crossaccountdeploy").send()).unwrap();
    let id = runs.pipeline_execution_summaries()[0].pipeline_execution_id().unwrap();
    let told = world.json(&["explain", "--execution", id]);
    assert_eq!((&told["execution"]["status"], &told["causes"]), (&json!("InProgress"), &json!([])), "{told:#}");
    // The run before it failed for want of an object, and that is said with what came later.
    let said = world.served.run(&["explain"]);
    assert!(said.contains("a newer execution is under way") && said.contains("(XD-CP-001)"), "{said}");
    assert!(said.contains("is there now, as version"), "{said}");
}

#[test]
fn a_pasted_message_is_explained_without_aws() {
    let output = piped(offline(&["explain", "-"]), NO_ARTIFACT);
    let told = out(&output);
    assert_eq!(output.status.code(), Some(0), "{told}{}", err(&output));
    assert!(told.contains("\nLikely: the deploy role may not read or decrypt the artifact (XD-CP-006)\n"), "{told}");
    assert!(told.contains("\nOr: ") && told.contains("  look at: "), "{told}");
    assert!(err(&output).contains("no profile is named"), "{}", err(&output));
    let output = piped(offline(&["explain", "-", "--output", "json"]), NO_PUT);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["causes"][0]["id"], &told["causes"][0]["shown"]), (&json!("XD-CP-008"), &json!(false)));
    let unknown = piped(offline(&["explain", "-"]), "The flux capacitor is empty");
    assert_eq!(unknown.status.code(), Some(5), "{}", out(&unknown));
    assert!(out(&unknown).contains("This text is not in the catalogue"), "{}", out(&unknown));
    let nothing = piped(offline(&["explain", "-"]), " \n");
    assert!(nothing.status.code() == Some(64) && err(&nothing).contains("there is no message"), "{}", err(&nothing));
}

#[test]
fn a_pasted_message_is_told_apart_by_both_accounts() {
    let world = World::new();
    world.tighten();
    let ask = |text: &str| {
        let output = piped(world.served.command(&[&["explain", "-", "--output", "json"], &BOTH[..]].concat()), text);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", err(&output)));
        (output.status.code(), told)
    };
    let (code, told) = ask(NO_ARTIFACT);
    assert_eq!((code, &told["causes"][0]["id"], &told["causes"][0]["shown"]), (Some(0), &json!("XD-CP-006"), &json!(true)), "{told:#}");
    // What nobody has ever read is explained by what is denied.
    let (code, told) = ask("The flux capacitor is empty");
    assert_eq!(
        (code, &told["inCatalogue"], &told["causes"][0]["link"]["name"]),
        (Some(0), &json!(false), &json!("deploy-read")),
        "{told:#}"
    );
    world.served.run(&["setup", "--yes"]);
    let (code, told) = ask("The flux capacitor is empty");
    assert_eq!((code, &told["causes"]), (Some(5), &json!([])), "{told:#}");
    // A pipeline that isn't there leaves the text.
    let output =
        piped(world.served.command(&[&["explain", "-", "--pipeline", "other", "--output", "json"], &BOTH[..]].concat()), NO_ARTIFACT);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["causes"][0]["id"], "XD-CP-006");
    assert!(told["cannotTell"].to_string().contains("there is no pipeline other"), "{told:#}");
}

#[test]
fn a_message_of_an_ecs_task_is_sent_where_it_belongs() {
    let text = "User: arn:aws:sts::111122223333:assumed-role/ecsInstanceRole/i-0abcdef1234567890 is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\"";
    let output = piped(offline(&["explain", "-"]), text);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(
        out(&output).contains("ecs-check --explain-error") && out(&output).contains("instance's role ecsInstanceRole"),
        "{}",
        out(&output)
    );
    let output = piped(offline(&["explain", "-", "--output", "json"]), text);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["schema"], &told["kind"]), (&json!("xdeploy.explain/1"), &json!("ecs-denial")));
    // A session of EventBridge's looks like a task's.
    let text = "User: arn:aws:sts::111111111111:assumed-role/cwe-role-us-east-1-web/ae48e92617b5f5c7f22e502be8dd8d16 is not authorized to perform: codepipeline:StartPipelineExecution on resource: arn:aws:codepipeline:us-east-1:111111111111:web";
    let output = piped(offline(&["explain", "-"]), text);
    assert!(out(&output).contains("(XD-CP-038)"), "{}", out(&output));
}

#[test]
fn secrets_in_a_message_are_never_repeated() {
    let secret = "wJalrXUtnFEMIx7MDENGxbPxRfiCYEXAMPLE0123";
    let text = format!(
        "{NO_ARTIFACT}\nAWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nAWS_SECRET_ACCESS_KEY={secret}\nhttps://b.s3.amazonaws.com/k?X-Amz-Signature={secret}&x\n{secret}\n{{\"SessionToken\": \"{secret}\"}}"
    );
    for format in ["text", "json"] {
        let output = piped(offline(&["explain", "-", "--output", format]), &text);
        let told = format!("{}{}", out(&output), err(&output));
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(!told.contains(&secret[4..]) && told.contains("(hidden)") && told.contains("AKIAIOSFODNN7EXAMPLE"), "{told}");
    }
}

#[test]
fn rules_and_calls_are_explained_by_name() {
    for (what, parts) in [
        (
            "XD-CP-006",
            &["XD-CP-006 the deploy role may not read", "Unable to access the artifact", "where: Deploy", "XD-CP-007", "A4.2"][..],
        ),
        ("xd-ecs-010", &["XD-ECS-010 ", "why:", "fix:", "https://docs.aws.amazon.com/"][..]),
        ("deploy-decrypt", &["kms:Decrypt on artifact key of the output bucket's region", "A1.3, A4.2 grants it", "XD-CP-006"][..]),
        ("start-run:their-rule", &["codepipeline:StartPipelineExecution", "XD-CP-038"][..]),
    ] {
        let output = offline(&["explain", what]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{what}: {}", err(&output));
        for part in parts {
            assert!(out(&output).contains(part), "{what}: no `{part}` in\n{}", out(&output));
        }
        let output = offline(&["explain", what, "--output", "json"]).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["schema"], "xdeploy.explain/1");
    }
    for (what, hint) in [
        ("XD-CP-06", "did you mean `XD-CP-006`?"),
        ("deploy-decryp", "did you mean `deploy-decrypt`?"),
        ("zzz", "the README lists all"),
        ("XD-KMS-1", "the rules begin with XD-CALL, XD-CP, "),
        ("XD-CP-999", "the rules of XD-CP lie between `XD-CP-001` and `XD-CP-047`"),
        ("Access denied", "a message goes on standard input"),
    ] {
        let output = offline(&["explain", what]).output().unwrap();
        let said = err(&output);
        let first = said.lines().find(|line| line.starts_with("hint: ")).unwrap_or_default();
        assert!(output.status.code() == Some(64) && first.contains(hint) && output.stdout.is_empty(), "{what}: {said}");
        assert!(what.len() > 12 || said.matches("did you mean").count() == usize::from(hint.contains("did you mean")), "{said}");
    }
    // A message that is given as an argument is not repeated as it stands.
    let message = format!("Access denied https://b/k?X-Amz-Signature=0123456789abcdef {}", "x".repeat(500));
    let output = offline(&["explain", &message]).output().unwrap();
    let said = err(&output);
    assert!(!said.contains("0123456789abcdef") && said.contains("(hidden)") && said.len() < 400, "{said}");
    let output = offline(&["explain"]).output().unwrap();
    assert!(output.status.code() == Some(64) && err(&output).contains("not said which AWS profiles"), "{}", err(&output));
}
