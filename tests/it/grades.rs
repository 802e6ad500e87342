//! What a denial of a call means, and what nobody looked at: grades, producers of artifacts, counts.

use crate::schemas::fits;
use crate::snapshots::{Built, set_ups};
use crate::support::served::Served;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use xdeploy::deploy::chain::{Grade, ROWS};
use xdeploy::deploy::count::CallStatus;
use xdeploy::deploy::proof::{Judged, Level, Proof};
use xdeploy::model::Verdict;
use xdeploy::rehearsal::{DEV, PROD};

const PIPELINE: &str = "crossaccountdeploy";
const HOME: &str = "us-east-1";
const DECLARATION: &str = "/pipeline/declaration";
const BY_BUILD: &str = "the artifact is written by action Build (CodeBuild), which xdeploy does not judge yet";

fn set_up(name: &str) -> Built {
    set_ups().into_iter().find(|built| built.name == name).unwrap()
}

/// The proof of a set-up whose pipeline is declared otherwise.
fn declared(built: &Built, change: impl Fn(&mut Value)) -> Proof {
    let mut value = built.value();
    change(value.pointer_mut(DECLARATION).unwrap());
    built.broken(value)
}

fn link<'p>(proof: &'p Proof, name: &str) -> &'p Judged {
    proof.links.iter().find(|link| link.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn unknown(proof: &Proof) -> Vec<&str> {
    proof.links.iter().filter(|link| link.status == CallStatus::Unknown).map(|link| link.name.as_str()).collect()
}

fn action(name: &str, (category, provider): (&str, &str), reads: &[&str], writes: &[&str]) -> Value {
    let named = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
    json!({"name": name, "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"}, "runOrder": 1,
        "configuration": {}, "inputArtifacts": named(reads), "outputArtifacts": named(writes)})
}

/// Puts a stage with one action between source and deploy, and lets the deploy action read this artifact.
fn between(declaration: &mut Value, action: Value, reads: &str) {
    let stages = declaration["stages"].as_array_mut().unwrap();
    stages.insert(1, json!({"name": "Between", "actions": [action]}));
    stages[2]["actions"][0]["inputArtifacts"] = json!([{"name": reads}]);
}

#[test]
fn what_reads_a_build_s_output_is_unknown_and_the_source_s_own_artifact_is_judged() {
    let reads = ["deploy-read", "deploy-read-version", "deploy-decrypt", "deploy-describe-key"];
    for name in ["article", "least privilege", "two regions"] {
        let built = set_up(name);
        let before = built.proof();
        let all = before.links.len();
        assert_eq!((before.verdict(), before.count().verified), (Verdict::Allowed, all), "{name}");
        let build = || action("Build", ("Build", "CodeBuild"), &["SourceArtifact"], &["BuildArtifact"]);
        let proof = declared(&built, |declaration| between(declaration, build(), "BuildArtifact"));
        let copied: &[&str] = if name == "two regions" { &["copy-read", "copy-decrypt"] } else { &[] };
        assert_eq!(unknown(&proof), [copied, &reads[..]].concat(), "{name}");
        let count = proof.count();
        assert_eq!((count.verified, count.unknown, count.all()), (all - reads.len() - copied.len(), reads.len() + copied.len(), all));
        assert_eq!((proof.verdict(), proof.strict_verdict()), (Verdict::CannotTell, Verdict::CannotTell), "{name}");
        for name in reads {
            let link = link(&proof, name);
            assert_eq!((link.verdict, link.grade), (Verdict::CannotTell, Grade::Unknown), "{name}");
            assert_eq!(link.reasons, [BY_BUILD], "{name}");
            assert!(link.because.is_empty(), "what would allow it with the store's key is no reason: {name}");
        }
        for name in ["artifact-write", "artifact-encrypt", "deploy-role", "output-write"] {
            assert_eq!(link(&proof, name).verdict, Verdict::Allowed, "{name}");
        }
        // The artifacts of both have a folder of their own.
        assert!(link(&proof, "artifact-write").resource.contains("/SourceArti/"));
        assert!(link(&proof, "deploy-read").resource.contains("/BuildArtif/"));
        let finding = proof.findings.iter().find(|finding| finding.id == "XD-PROOF-021").unwrap();
        assert!(finding.level == Level::Warning && finding.text.contains("the key of its project"), "{}", finding.text);
    }
}

#[test]
fn the_artifact_decides_and_not_the_order_of_the_stages() {
    let built = set_up("article");
    let verdict = |change: &dyn Fn(&mut Value)| declared(&built, change).verdict();
    let all = built.proof().links.len();
    // A build whose output somebody else reads, and an approval, which has none.
    for beside in [
        action("Build", ("Build", "CodeBuild"), &["SourceArtifact"], &["BuildArtifact"]),
        action("Test", ("Test", "CodeBuild"), &["SourceArtifact"], &[]),
        action("Approve", ("Approval", "Manual"), &[], &[]),
    ] {
        let proof = declared(&built, |declaration| between(declaration, beside.clone(), "SourceArtifact"));
        assert_eq!((proof.verdict(), proof.count().verified), (Verdict::Allowed, all), "{beside}");
        assert!(proof.findings.iter().all(|finding| finding.id != "XD-PROOF-021"));
    }
    // Several inputs of a build, an artifact of a function, nobody's artifact, an artifact of two.
    let several = action("Build", ("Build", "CodeBuild"), &["SourceArtifact", "Other"], &["A", "BuildArtifact"]);
    assert_eq!(verdict(&|declaration| between(declaration, several.clone(), "BuildArtifact")), Verdict::CannotTell);
    let lambda = action("Render", ("Invoke", "Lambda"), &["SourceArtifact"], &["Pages"]);
    let proof = declared(&built, |declaration| between(declaration, lambda.clone(), "Pages"));
    assert!(proof.unjudged.unwrap().contains("action Render (Lambda)"));
    let proof = declared(&built, |declaration| between(declaration, lambda.clone(), "Nobodys"));
    assert_eq!(proof.verdict(), Verdict::CannotTell);
    assert!(proof.unjudged.unwrap().contains("no action of the pipeline puts out artifact Nobodys"));
    // A build in another region writes to that region's store, so nothing is copied from home.
    let built = set_up("two regions");
    let mut far = action("Build", ("Build", "CodeBuild"), &["SourceArtifact"], &["BuildArtifact"]);
    far["region"] = json!("eu-west-1");
    let proof = declared(&built, |declaration| between(declaration, far.clone(), "BuildArtifact"));
    let copies: Vec<&str> = unknown(&proof).into_iter().filter(|name| name.starts_with("copy-")).collect();
    assert!(copies.contains(&"copy-write") && copies.contains(&"copy-encrypt"), "{copies:?}");
}

#[test]
fn what_the_bucket_denies_is_denied_whoever_wrote_the_artifact() {
    let built = set_up("article");
    let mut value = built.value();
    let build = action("Build", ("Build", "CodeBuild"), &["SourceArtifact"], &["BuildArtifact"]);
    between(value.pointer_mut(DECLARATION).unwrap(), build, "BuildArtifact");
    value["artifact_buckets"][HOME]["found"]["policy"] = Value::Null;
    // No key at all: whether anybody else can read it hangs on the project's key.
    value.pointer_mut(DECLARATION).unwrap()["artifactStore"].as_object_mut().unwrap().remove("encryptionKey");
    let proof = built.broken(value);
    assert_eq!(link(&proof, "deploy-read").verdict, Verdict::Denied);
    assert_eq!(link(&proof, "deploy-decrypt").verdict, Verdict::CannotTell);
}

#[test]
fn with_two_sources_the_one_that_the_deploy_action_reads_is_judged() {
    let built = set_up("article");
    let mut value = built.value();
    let mut second = value.pointer(DECLARATION).unwrap()["stages"][0]["actions"][0].clone();
    second["name"] = json!("Second");
    second["configuration"]["S3Bucket"] = json!("another-bucket");
    second["outputArtifacts"] = json!([{"name": "Another"}]);
    value.pointer_mut(DECLARATION).unwrap()["stages"][0]["actions"].as_array_mut().unwrap().push(second);
    let flags = xdeploy::settings::DeploymentFlags { output_bucket: "out-bucket".parse().ok(), ..Default::default() };
    let common = xdeploy::settings::CommonFlags { dev_profile: Some("d".into()), prod_profile: Some("p".into()), ..Default::default() };
    let settings = xdeploy::settings::Settings::resolve(&common, &flags).unwrap();
    let own = Built { settings, ..set_up("article") };
    assert_eq!(own.broken(value.clone()).verdict(), Verdict::Allowed);
    // Where the other one is asked about, the artifact isn't its own.
    value.pointer_mut(DECLARATION).unwrap()["stages"][1]["actions"][0]["inputArtifacts"] = json!([{"name": "Another"}]);
    let proof = built.broken(value);
    assert!(proof.unjudged.as_ref().unwrap().contains("source action Second"), "{:?}", proof.unjudged);
    assert_eq!(proof.verdict(), Verdict::CannotTell);
}

/// Takes actions out of every Allow of a document.
fn without(document: &mut Value, taken: &[&str]) {
    for statement in document["Statement"].as_array_mut().unwrap().iter_mut().filter(|statement| statement["Effect"] == "Allow") {
        let actions: Vec<Value> = match &statement["Action"] {
            Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        };
        let wide = |action: &Value| taken.iter().any(|taken| xdeploy::policy::matches_pattern(action.as_str().unwrap(), taken));
        let mut left: Vec<Value> = actions.iter().filter(|action| !wide(action)).cloned().collect();
        if actions.iter().any(|action| action == "s3:Get*") {
            left.push(json!("s3:GetObject"));
        }
        statement["Action"] = if left.is_empty() { json!(["s3:ListAllMyBuckets"]) } else { json!(left) };
    }
}

/// The worlds of AWS CDK, whose source role may only put into the artifact bucket, and of AWS's deployment framework, whose bucket
/// policy has no versions.
#[test]
fn what_may_not_be_needed_warns_and_what_is_certain_fails() {
    let built = set_up("article");
    let mut value = built.value();
    // The service role has the bucket's settings for the source bucket alone, and production reads without versions.
    let inline = value.pointer_mut("/service_role/inline").unwrap().as_object_mut().unwrap();
    for document in inline.values_mut() {
        document["Statement"].as_array_mut().unwrap().retain(|statement| statement["Sid"] != "AllowS3BucketAccess");
    }
    for document in value["policies"].as_object_mut().unwrap().values_mut().map(|found| &mut found["document"]) {
        without(document, &["s3:GetObjectVersion"]);
    }
    without(&mut value["artifact_buckets"][HOME]["found"]["policy"], &["s3:GetObjectVersion"]);
    let proof = built.broken(value.clone());
    let warned: BTreeSet<&str> =
        proof.links.iter().filter(|link| link.status == CallStatus::MayNotBeNeeded).map(|link| link.name.as_str()).collect();
    let lacking = ["artifact-versioning", "artifact-acl", "artifact-location", "deploy-read-version"];
    assert!(lacking.iter().all(|name| warned.contains(name)), "{warned:?}");
    assert_eq!((proof.verdict(), proof.strict_verdict()), (Verdict::Allowed, Verdict::CannotTell));
    let count = proof.count();
    assert_eq!((count.denied, count.unknown, count.verified + warned.len()), (0, 0, count.all()));
    // What is observed still fails.
    let inline = value.pointer_mut("/service_role/inline").unwrap().as_object_mut().unwrap();
    for document in inline.values_mut() {
        without(document, &["s3:GetBucketVersioning"]);
    }
    let proof = built.broken(value);
    assert_eq!((link(&proof, "source-versioning").verdict, proof.verdict()), (Verdict::Denied, Verdict::Denied));
}

#[test]
fn a_key_by_the_arn_of_an_alias_is_a_warning_and_a_bare_name_a_failure() {
    let built = set_up("article");
    let named = |name: &str| {
        let mut value = built.value();
        value.pointer_mut(DECLARATION).unwrap()["artifactStore"]["encryptionKey"]["id"] = json!(name);
        value["keys"][HOME]["asked"] = json!(name);
        value["keys"][HOME]["from_pipeline"] = json!(true);
        built.broken(value)
    };
    let proof = named("arn:aws:kms:us-east-1:111111111111:alias/s3deploykey");
    assert_eq!(link(&proof, "deploy-decrypt").verdict, Verdict::Allowed);
    assert_eq!((proof.verdict(), proof.strict_verdict()), (Verdict::Allowed, Verdict::CannotTell));
    let finding = proof.findings.iter().find(|finding| finding.id == "XD-PROOF-020").unwrap();
    assert_eq!(finding.level, Level::Warning);
    let proof = named("alias/s3deploykey");
    assert_eq!(link(&proof, "deploy-decrypt").verdict, Verdict::Denied);
    assert!(proof.findings.iter().all(|finding| finding.id != "XD-PROOF-020"));
}

#[test]
fn extract_is_read_once_for_all() {
    let built = set_up("article");
    let said = |extract: Value| {
        declared(&built, |declaration| declaration["stages"][1]["actions"][0]["configuration"]["Extract"] = extract.clone())
    };
    assert_eq!(said(json!("true")).verdict(), Verdict::Allowed);
    for wrong in [json!("True"), json!("yes"), json!(""), Value::Null] {
        let proof = said(wrong.clone());
        assert_eq!(proof.verdict(), Verdict::Denied, "{wrong}");
        assert!(proof.findings.iter().any(|finding| finding.id == "XD-PROOF-003"), "{wrong}");
    }
}

/// The emulator has a table of its own. Here both differ: it makes no call that isn't certain, and what is certain it makes where it
/// applies.
#[test]
fn the_emulator_and_the_proof_differ_here() {
    let served = Served::new();
    let output = served.command(&["rehearse", "--output", "json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let calls = document["calls"].as_array().unwrap();
    let made: BTreeSet<&str> = calls.iter().map(|call| call["link"].as_str().unwrap()).collect();
    let certain: BTreeSet<&str> = ROWS.iter().filter(|row| row.grade() == Grade::Certain).map(|row| row.name).collect();
    let beyond: Vec<&&str> = made.difference(&certain).collect();
    assert_eq!(beyond, Vec::<&&str>::new(), "the emulator makes calls that aren't certain");
    let without: Vec<&str> = certain.difference(&made).copied().collect();
    let elsewhere = [
        "copy-decrypt",
        "copy-encrypt",
        "copy-read",
        "copy-write",
        "output-encrypt",
        "output-write-acl",
        "output-write-version-acl",
        "source-decrypt",
        "source-role",
    ];
    assert_eq!(without, elsewhere, "another region, a key of a bucket, a canned ACL, a role of the source action");
}

const SET_UP: [&str; 9] =
    ["setup", "--pipeline", PIPELINE, "--input-bucket", "in-bucket", "--output-bucket", "out-bucket", "--change-detection", "eventbridge"];

fn served() -> Served {
    let served = Served::new();
    served.bucket(DEV, HOME, "in-bucket", true);
    served.bucket(PROD, HOME, "out-bucket", false);
    served
}

/// Leaves a set-up as others make it: nothing of what may not be needed.
fn thin(served: &Served) {
    let config = served.rehearsal.config(served.rehearsal.root_keys(DEV), HOME);
    served.block_on(async {
        let iam = aws_sdk_iam::Client::new(&config);
        for role in iam.list_roles().send().await.unwrap().roles() {
            for name in iam.list_role_policies().role_name(role.role_name()).send().await.unwrap().policy_names() {
                let got = iam.get_role_policy().role_name(role.role_name()).policy_name(name).send().await.unwrap();
                let text = percent_encoding::percent_decode_str(got.policy_document()).decode_utf8().unwrap().into_owned();
                let mut document: Value = serde_json::from_str(&text).unwrap();
                document["Statement"].as_array_mut().unwrap().retain(|statement| statement["Sid"] != "AllowS3BucketAccess");
                let put = iam.put_role_policy().role_name(role.role_name()).policy_name(name).policy_document(document.to_string());
                put.send().await.unwrap();
            }
        }
        let s3 = aws_sdk_s3::Client::new(&config);
        let bucket = "codepipeline-us-east-1-111111111111";
        let got = s3.get_bucket_policy().bucket(bucket).send().await.unwrap();
        let mut policy: Value = serde_json::from_str(got.policy().unwrap()).unwrap();
        without(&mut policy, &["s3:GetObjectVersion"]);
        s3.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await.unwrap();
    });
}

#[test]
fn a_pipeline_that_lacks_what_may_not_be_needed_runs_and_is_not_refused() {
    let served = served();
    served.run(&[&SET_UP[..], &["--yes"]].concat());
    thin(&served);
    served.run(&["release", "--sample"]);
    let said = served.run(&["verify"]);
    assert!(said.contains("denied; may not be needed (AWS lists it for the service role"), "{said}");
    assert!(said.contains(" may not be needed.\n") && !said.contains("35 of 35"), "{said}");
    let (code, said) = served.attempt(&["verify", "--strict"]);
    assert_eq!(code, Some(5), "{said}");
    let output = served.try_run(&["verify", "--output", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    fits(&document);
    let links = document["proof"]["links"].as_array().unwrap();
    let acl = links.iter().find(|link| link["name"] == "artifact-acl").unwrap();
    assert_eq!((&acl["mayBeCalled"], &acl["grade"], &acl["status"]), (&json!(true), &json!("may-be-called"), &json!("may-not-be-needed")));
    assert!(acl["restsOn"]["docs"].as_str().unwrap().starts_with("https://"));
    served.run(&[&SET_UP[..], &["--yes"]].concat());
    assert!(served.run(&["verify"]).contains("35 of 35 calls allowed."));
}

/// Puts a build between source and deploy, as a colleague would.
fn put_build_between(served: &Served) {
    let config = served.rehearsal.config(served.rehearsal.root_keys(DEV), HOME);
    served.block_on(async {
        let client = aws_sdk_codepipeline::Client::new(&config);
        let mut pipeline = client.get_pipeline().name(PIPELINE).send().await.unwrap().pipeline.unwrap();
        crate::support::served::put_build_between(&mut pipeline);
        client.update_pipeline().pipeline(pipeline).send().await.unwrap();
    });
}

#[test]
fn a_build_between_is_said_by_every_command() {
    let served = served();
    served.run(&[&SET_UP[..], &["--yes"]].concat());
    put_build_between(&served);
    let count = format!("31 of 35 calls allowed, 4 unknown: {BY_BUILD}.");
    let (code, said) = served.attempt(&["verify"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains(&count) && said.contains("  unknown    deploy-decrypt "), "{said}");
    let document: Value = serde_json::from_slice(&served.try_run(&["verify", "--output", "json"]).stdout).unwrap();
    fits(&document);
    assert_eq!((&document["proof"]["verdict"], &document["proof"]["count"]["unknown"]), (&json!("cannot-tell"), &json!(4)));
    assert_eq!((&document["proof"]["count"]["verified"], &document["proof"]["allowed"]), (&json!(31), &json!(31)));
    // It is set up all the same, and nothing is claimed.
    for command in [&[&SET_UP[..], &["--yes"]].concat()[..], &["plan", "--input-bucket", "in-bucket", "--output-bucket", "out-bucket"]] {
        let said = served.run(command);
        assert!(said.contains(BY_BUILD) && !said.contains("35 of 35"), "{said}");
    }
    let (code, said) = served.attempt(&["plan", "--input-bucket", "in-bucket", "--output-bucket", "out-bucket", "--strict"]);
    assert_eq!(code, Some(5), "{said}");
    let (_, said) = served.attempt(&["release", "--sample"]);
    assert!(said.contains("The rehearsal runs no actions of CodeBuild"), "{said}");
    let (_, said) = served.attempt(&["explain"]);
    assert!(!said.contains("35 of 35"), "{said}");
}

#[test]
fn the_account_that_did_nothing_is_not_counted_as_verified() {
    let served = served();
    let dev = ["--side", "dev", "--dev-profile", "dev", "--prod-account", PROD, "--yes", "--output", "json"];
    let output = served.command(&[&SET_UP[..], &dev].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    fits(&document);
    let (before, after) = (&document["proof"]["count"], &document["proofAfter"]["count"]);
    let parts = |count: &Value| ["verified", "planned", "fromHandoff", "pending"].map(|part| count[part].as_u64().unwrap());
    assert_eq!((parts(before), parts(after)), ([0, 23, 0, 12], [23, 0, 0, 12]));
    let output = served.command(&[&SET_UP[..], &dev[..dev.len() - 2]].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("23 of 35 calls verified, 12 pending production."), "{said}");
    assert!(!said.contains("35 of 35"), "{said}");
}

#[test]
fn what_nobody_looked_at_is_not_denied() {
    let served = served();
    served.run(&[&SET_UP[..], &["--yes"]].concat());
    let buckets = ["--input-bucket", "in-bucket", "--output-bucket", "out-bucket"];
    let side = ["verify", "--side", "dev", "--dev-profile", "dev", "--prod-account", PROD, "--pipeline", PIPELINE];
    let output = served.command(&[&side[..], &buckets].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("nobody is logged in to account 222222222222") && !said.contains("there is no role"), "{said}");
    assert!(said.contains("23 of 35 calls verified, 8 may not be needed, 4 unknown."), "{said}");
}
