//! Worlds in which something is wrong, run for real by the rehearsal: what the pipeline then says must lead to the right row.

use crate::explain::{first, id_of, with_accounts};
use crate::support::scene::{PIPELINE, Scene, document};
use aws_sdk_codepipeline::types as pipelines;
use aws_sdk_s3::types as s3;
use serde_json::{Value, json};
use std::io::Write;
use xdeploy::aws::Accounts;
use xdeploy::deploy::failures::{Explanation, Symptom, explain_unread, gather};
use xdeploy::deploy::proof::prove;
use xdeploy::deploy::{observe, release};
use xdeploy::model::Policies;
use xdeploy::rehearsal::DEV;

const HOME: &str = "us-east-1";
const RULE: &str = "codepipeline-crossaccountdeploy-source";

/// What somebody does after the set-up, and the row that it shows as.
const WORLDS: [(u8, &str); 25] = [
    (1, "nothing is uploaded"),
    (2, "the source object is deleted, and the service role may not list"),
    (4, "versioning is suspended"),
    (9, "the deploy action loses its role"),
    (20, "a canned ACL where ACLs are off"),
    (8, "a canned ACL without the right to one"),
    (23, "an SCP"),
    (24, "a boundary on the cross-account role"),
    (25, "the artifact bucket is for a VPC endpoint"),
    (26, "the store names the alias"),
    (27, "the deploy action is of another region than its bucket"),
    (31, "Extract is True"),
    (32, "neither extracted nor named"),
    (33, "no zip"),
    (34, "a zip that leads out"),
    (36, "the rule is disabled"),
    (36, "the bucket doesn't tell EventBridge"),
    (36, "the rule has no target"),
    (37, "polling beside the rule"),
    (41, "an older file stays"),
    (42, "the trusted role is deleted"),
    (43, "a path with a slash"),
    (44, "a tagged object without the permissions to tags"),
    (46, "the artifact key is disabled"),
    (19, "a public statement under RestrictPublicBuckets"),
];

fn zip(files: &[&str]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(b"hello").unwrap();
    }
    archive.finish().unwrap().into_inner()
}

async fn edit(accounts: &Accounts, change: impl FnOnce(&mut pipelines::PipelineDeclaration)) {
    let client = accounts.dev.codepipeline(HOME);
    let mut pipeline = client.get_pipeline().name(PIPELINE).send().await.unwrap().pipeline.unwrap();
    change(&mut pipeline);
    client.update_pipeline().pipeline(pipeline).send().await.unwrap();
}

fn configuration(pipeline: &mut pipelines::PipelineDeclaration, stage: usize) -> &mut std::collections::HashMap<String, String> {
    pipeline.stages[stage].actions[0].configuration.as_mut().unwrap()
}

async fn configure(accounts: &Accounts, name: &str, value: &str) {
    edit(accounts, |pipeline| drop(configuration(pipeline, 1).insert(name.to_owned(), value.to_owned()))).await;
}

async fn version(accounts: &Accounts, status: s3::BucketVersioningStatus) {
    let configuration = s3::VersioningConfiguration::builder().status(status).build();
    accounts.dev.s3(HOME).put_bucket_versioning().bucket("in-bucket").versioning_configuration(configuration).send().await.unwrap();
}

/// Adds a statement to the artifact bucket's policy.
async fn add_statement(accounts: &Accounts, bucket: &str, statement: Value) {
    let client = accounts.dev.s3(HOME);
    let got = client.get_bucket_policy().bucket(bucket).send().await.unwrap();
    let mut policy: Value = serde_json::from_str(got.policy().unwrap()).unwrap();
    policy["Statement"].as_array_mut().unwrap().push(statement);
    client.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await.unwrap();
}

/// Denies the service role something.
async fn deny_service_role(accounts: &Accounts, actions: &[&str]) {
    let role = format!("AWSCodePipelineServiceRole-{HOME}-{PIPELINE}");
    let deny = document(json!([{"Effect": "Deny", "Action": actions, "Resource": "*"}]));
    accounts.dev.iam().put_role_policy().role_name(role).policy_name("tightened").policy_document(deny).send().await.unwrap();
}

/// Makes a world; what is uploaded then is a small website.
async fn make(accounts: &Accounts, what: &str) {
    let Accounts { dev, prod } = accounts;
    let artifacts = format!("codepipeline-{HOME}-{DEV}");
    let everything = json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]);
    match what {
        "the source object is deleted, and the service role may not list" => deny_service_role(accounts, &["s3:ListBucket"]).await,
        "versioning is suspended" => version(accounts, s3::BucketVersioningStatus::Suspended).await,
        "the deploy action loses its role" => edit(accounts, |pipeline| pipeline.stages[1].actions[0].role_arn = None).await,
        "a canned ACL where ACLs are off" => configure(accounts, "CannedACL", "public-read").await,
        "a canned ACL without the right to one" => {
            let rule = s3::OwnershipControlsRule::builder().object_ownership(s3::ObjectOwnership::BucketOwnerPreferred).build().unwrap();
            let controls = s3::OwnershipControls::builder().rules(rule).build().unwrap();
            prod.s3(HOME).put_bucket_ownership_controls().bucket("out-bucket").ownership_controls(controls).send().await.unwrap();
            configure(accounts, "CannedACL", "bucket-owner-full-control").await;
            let deny = document(json!([{"Effect": "Deny", "Action": "s3:PutObjectAcl", "Resource": "*"}]));
            prod.iam().put_role_policy().role_name("prods3role").policy_name("tightened").policy_document(deny).send().await.unwrap();
        }
        "a boundary on the cross-account role" => {
            let made = prod.iam().create_policy().policy_name("limit").policy_document(document(everything)).send().await.unwrap();
            let arn = made.policy().unwrap().arn().unwrap();
            prod.iam().put_role_permissions_boundary().role_name("prods3role").permissions_boundary(arn).send().await.unwrap();
        }
        "the artifact bucket is for a VPC endpoint" => {
            let deny = json!({"Sid": "OnlyFromOurVpc", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{artifacts}/*"),
                "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}}});
            add_statement(accounts, &artifacts, deny).await;
        }
        "a public statement under RestrictPublicBuckets" => {
            let switches = |open: bool| {
                let block = s3::PublicAccessBlockConfiguration::builder().block_public_policy(!open).restrict_public_buckets(!open);
                block.block_public_acls(true).ignore_public_acls(true).build()
            };
            let client = dev.s3(HOME);
            let put = |open| client.put_public_access_block().bucket(&artifacts).public_access_block_configuration(switches(open)).send();
            put(true).await.unwrap();
            let open = json!({"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{artifacts}/public/*")});
            add_statement(accounts, &artifacts, open).await;
            put(false).await.unwrap();
        }
        "the store names the alias" => {
            edit(accounts, |pipeline| {
                pipeline.artifact_store.as_mut().unwrap().encryption_key.as_mut().unwrap().id = "alias/s3deploykey".to_owned()
            })
            .await;
        }
        "the deploy action is of another region than its bucket" => {
            let elsewhere = s3::CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
            prod.s3("eu-west-1").create_bucket().bucket("other-bucket").create_bucket_configuration(elsewhere).send().await.unwrap();
            configure(accounts, "BucketName", "other-bucket").await;
        }
        "Extract is True" => configure(accounts, "Extract", "True").await,
        "neither extracted nor named" => configure(accounts, "Extract", "false").await,
        "the rule is disabled" => drop(dev.events(HOME).disable_rule().name(RULE).send().await.unwrap()),
        "the rule has no target" => {
            let targets = dev.events(HOME).list_targets_by_rule().rule(RULE).send().await.unwrap();
            let ids = targets.targets().iter().map(|target| target.id().to_owned()).collect();
            dev.events(HOME).remove_targets().rule(RULE).set_ids(Some(ids)).send().await.unwrap();
        }
        "the bucket doesn't tell EventBridge" => {
            let nothing = s3::NotificationConfiguration::builder().build();
            dev.s3(HOME)
                .put_bucket_notification_configuration()
                .bucket("in-bucket")
                .notification_configuration(nothing)
                .send()
                .await
                .unwrap();
        }
        "polling beside the rule" => {
            edit(accounts, |pipeline| drop(configuration(pipeline, 0).insert("PollForSourceChanges".to_owned(), "true".to_owned()))).await
        }
        "the trusted role is deleted" => {
            let trust =
                document(json!([{"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"}]));
            dev.iam().create_role().role_name("temporary").assume_role_policy_document(trust).send().await.unwrap();
            let trusted =
                document(json!([{"Effect": "Allow", "Principal": {"AWS": dev.iam_arn("role/temporary")}, "Action": "sts:AssumeRole"}]));
            prod.iam().update_assume_role_policy().role_name("prods3role").policy_document(trusted).send().await.unwrap();
            dev.iam().delete_role().role_name("temporary").send().await.unwrap();
        }
        "a path with a slash" => configure(accounts, "ObjectKey", "site/").await,
        "a tagged object without the permissions to tags" => {
            deny_service_role(accounts, &["s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"]).await;
        }
        "the artifact key is disabled" => {
            let kms = dev.kms(HOME);
            let alias = kms.describe_key().key_id("alias/s3deploykey").send().await.unwrap();
            kms.disable_key().key_id(alias.key_metadata().unwrap().key_id()).send().await.unwrap();
        }
        // They are about what is uploaded, or not about these accounts.
        _ => {}
    }
}

/// Uploads what this world is about, or lets the pipeline run without.
async fn upload(scene: &Scene, accounts: &Accounts, what: &str) {
    let body = match what {
        "no zip" => b"no zip at all".to_vec(),
        "a zip that leads out" => zip(&["index.html", "../out.html"]),
        "nothing is uploaded" | "the source object is deleted, and the service role may not list" => {
            accounts.dev.codepipeline(HOME).start_pipeline_execution().name(PIPELINE).send().await.unwrap();
            return;
        }
        _ => zip(&["index.html", "css/site.css"]),
    };
    let put = |body: Vec<u8>| accounts.dev.s3(HOME).put_object().bucket("in-bucket").key("sample-website.zip").body(body.into());
    if what == "an older file stays" {
        put(zip(&["old.html"])).send().await.unwrap();
        scene.rehearsal.keep_up(1_900_000_000_000);
    }
    let tags = (what == "a tagged object without the permissions to tags").then(|| "team=web".to_owned());
    put(body).set_tagging(tags).send().await.unwrap();
}

async fn explained(whole: &Scene, what: &str) -> Explanation {
    let mut scene = whole.fork();
    let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
    make(&accounts, what).await;
    if what == "the deploy action is of another region than its bucket" {
        scene.settings.output_bucket = "other-bucket".parse().ok();
    }
    scene.rehearsal.keep_up(1_800_000_000_000);
    upload(&scene, &accounts, what).await;
    let route = release::route(&accounts, &scene.settings).await.unwrap();
    let found = observe::read_pipeline_version(&accounts.dev, HOME, PIPELINE, None).await.unwrap();
    let runs = gather::runs(&accounts, &route, found.as_ref().map(|found| &found.declaration), None).await.unwrap();
    let mut snapshot = scene.look(&accounts).await.unwrap();
    if what == "an SCP" {
        // The rehearsal has no organisations: the run that was green failed under one.
        let scp = json!({"target": "r-root", "policies": {"Guard": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}]}}});
        let organisation = json!({"id": {"known": "o-example"}, "management": false, "scps": {"known": [scp]}, "rcps": {"known": []}});
        snapshot.prod_organisation = serde_json::from_value(organisation).unwrap();
    }
    let readings = gather::readings(&accounts, &route, &snapshot, &runs).await;
    let symptom = match runs.run.as_ref().and_then(|run| run.failed.as_ref()) {
        _ if what == "an SCP" => Symptom::of_action(
            "Deploy",
            Some("PermissionError"),
            "You do not have sufficient permissions to call s3.putObject for the deployment bucket, out-bucket.",
        ),
        _ if gather::started_nothing(&runs, &readings.source) => Symptom::not_started(),
        Some(failed) => {
            Symptom::of_action(&failed.category, failed.state.code.as_deref(), failed.state.message.as_deref().unwrap_or_default())
        }
        None => Symptom::green(),
    };
    match prove(&scene.settings, &snapshot) {
        Ok(_) => with_accounts(&symptom, &scene.settings, &snapshot, &readings),
        Err(error) => explain_unread(&symptom, &error.message),
    }
}

#[tokio::test]
async fn what_a_rehearsed_pipeline_says_leads_to_the_right_row() {
    let scene = Scene::fresh(HOME, Policies::Article).await;
    scene.set_up(&scene.rehearsal.line()).await.unwrap();
    let mut missed = Vec::new();
    for (row, what) in WORLDS {
        let explanation = explained(&scene, what).await;
        let causes: Vec<String> = explanation.causes.iter().map(|cause| format!("{} {}", cause.id.unwrap_or("-"), cause.score)).collect();
        println!("{what}: {:?} `{}`: {}", explanation.symptom.kind, explanation.symptom.text, causes.join(", "));
        let shown = explanation.causes.first().is_some_and(|cause| cause.shown || [33, 34].contains(&row));
        if first(&explanation) != id_of(row) || !shown {
            missed.push(format!("{row} {what}: {explanation:#?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// A run in which nothing is wrong has nothing to explain.
#[tokio::test]
async fn a_green_run_has_no_cause() {
    for policies in [Policies::Article, Policies::LeastPrivilege] {
        let scene = Scene::fresh(HOME, policies).await;
        scene.set_up(&scene.rehearsal.line()).await.unwrap();
        let explanation = explained(&scene, "all is well").await;
        assert!(explanation.causes.is_empty(), "{explanation:#?}");
        let out: Vec<&str> = explanation.ruled_out.iter().map(|out| out.id).collect();
        assert_eq!(out, ["XD-CP-037", "XD-CP-040", "XD-CP-041", "XD-CP-043"], "{explanation:#?}");
    }
}
