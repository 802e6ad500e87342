//! `xdeploy teardown`: what setup made goes, the rest stays and is listed.

use crate::support::Bed;
use serde_json::{Value, json};

struct World {
    bed: Bed,
    input: String,
    output: String,
}

fn world() -> World {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    World { bed, input, output }
}

impl World {
    fn setup(&self, options: &[&str]) {
        let mut args = vec!["setup", "--input-bucket", &self.input, "--output-bucket", &self.output, "--yes"];
        args.extend(options);
        let _ = self.bed.run(&args).success();
        self.bed.proxy.clear();
    }

    fn teardown(&self, pipeline: &str, options: &[&str]) -> Value {
        let mut args = vec!["teardown", "--pipeline", pipeline, "--confirm", pipeline, "--output", "json"];
        args.extend(options);
        self.bed.run(&args).success().json()
    }

    /// The state without what may differ: keys that wait for their deletion, and versions of documents.
    fn state(&self) -> Value {
        let mut dump = self.bed.dump();
        for side in ["dev", "prod"] {
            for keys in dump[side]["keys"].as_object_mut().unwrap().values_mut() {
                keys.as_object_mut().unwrap().retain(|_, key| !key.to_string().contains("PendingDeletion"));
            }
        }
        prune(&mut dump);
        dump
    }
}

/// Takes empty folders of the dump away: a region without keys is no region with an empty list.
fn prune(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(prune);
        members.retain(|_, member| !matches!(member, Value::Object(inner) if inner.is_empty()));
    }
}

fn left(report: &Value) -> Vec<String> {
    report["left"].as_array().unwrap().iter().map(|left| left["what"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn after_a_new_setup_only_the_scheduled_key_is_left() {
    let world = world();
    let before = world.state();
    world.setup(&[]);
    let report = world.teardown("crossaccountdeploy", &[]);
    assert_eq!(left(&report), [format!("input bucket {}", world.input), format!("output bucket {}", world.output)]);
    assert_eq!(world.state(), before);
    let keys = world.bed.dump()["dev"]["keys"]["us-east-1"].clone();
    assert_eq!(keys.as_object().unwrap().len(), 1);
    assert!(keys.to_string().contains("PendingDeletion"), "{keys}");
    let again = world.bed.run(&["teardown", "--confirm", "crossaccountdeploy"]).success();
    assert!(again.stdout.contains("Nothing to remove"), "{}", again.stdout);
    // A name that was torn down can be set up again.
    world.setup(&[]);
}

#[test]
fn buckets_that_setup_made_go_when_they_are_empty() {
    let bed = Bed::new();
    let world = World { input: bed.unique_name("input"), output: bed.unique_name("output"), bed };
    let before = world.state();
    world.setup(&["--create-buckets", "--prod-region", "eu-west-1"]);
    world.teardown("crossaccountdeploy", &[]);
    assert_eq!(world.state(), before);
}

#[test]
fn buckets_with_objects_stay_and_are_listed() {
    let bed = Bed::new();
    let world = World { input: bed.unique_name("input"), output: bed.unique_name("output"), bed };
    world.setup(&["--create-buckets"]);
    let artifacts = format!("codepipeline-us-east-1-{}", world.bed.dev.id);
    for (account, bucket) in [(&world.bed.dev, &world.input), (&world.bed.prod, &world.output)] {
        account.call("s3", "put_object", json!({"Bucket": bucket, "Key": "a", "Body": "x"}));
    }
    world.bed.dev.call("s3", "put_object", json!({"Bucket": artifacts, "Key": "a", "Body": "x", "ServerSideEncryption": "aws:kms"}));
    let report = world.teardown("crossaccountdeploy", &[]);
    let what = left(&report);
    for kept in [&world.input, &world.output, &artifacts] {
        assert!(what.iter().any(|what| what.ends_with(kept.as_str())), "{kept}: {what:?}");
    }
    let policy = world.state()["dev"]["buckets"][&artifacts]["policy"].to_string();
    assert!(policy.contains("DenyInsecureConnections") && !policy.contains("Xdeploy"), "{policy}");
}

#[test]
fn keep_key_keeps_it_with_its_alias_and_without_its_users() {
    let world = world();
    world.setup(&[]);
    let report = world.teardown("crossaccountdeploy", &["--keep-key"]);
    assert!(left(&report).iter().any(|what| what.starts_with("key arn:")), "{report}");
    let state = world.state()["dev"]["keys"]["us-east-1"].to_string();
    assert!(state.contains("alias/s3deploykey") && !state.contains("KeyUsers") && state.contains("KeyAdministrators"), "{state}");
}

#[test]
fn two_pipelines_that_share_key_and_artifact_bucket_are_torn_down_in_either_order() {
    for order in [["one", "two"], ["two", "one"]] {
        let world = world();
        let before = world.state();
        world.setup(&["--pipeline", "one"]);
        let only_one = world.state();
        world.setup(&["--pipeline", "two", "--object-key", "two.zip"]);
        let first = world.teardown(order[0], &[]);
        assert!(left(&first).iter().any(|what| what.starts_with("key arn:")), "{first}");
        if order[0] == "two" {
            assert_eq!(world.state(), only_one, "the other pipeline is as if it had always been alone");
        }
        let args =
            ["plan", "--pipeline", order[1], "--input-bucket", &world.input, "--output-bucket", &world.output, "--detailed-exitcode"];
        let _ = world.bed.run(&args).success();
        world.teardown(order[1], &[]);
        let mut after = world.state();
        let mut before = before;
        // Whoever turned the notification on can't turn it off while the other listens; the last one doesn't know who did.
        for state in [&mut after, &mut before] {
            state["dev"]["buckets"][&world.input].as_object_mut().unwrap().shift_remove("notification");
        }
        assert_eq!(after, before);
    }
}

#[test]
fn an_adopted_world_is_as_it_was() {
    let world = world();
    let bed = &world.bed;
    let role = format!("arn:aws:iam::{}:role/service-role/theirs", bed.dev.id);
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    bed.dev.call("iam", "create_role", json!({"RoleName": "theirs", "Path": "/service-role/", "AssumeRolePolicyDocument": trust}));
    let own = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]});
    bed.dev.call("iam", "put_role_policy", json!({"RoleName": "theirs", "PolicyName": "own", "PolicyDocument": own}));
    let artifacts = bed.bucket(&bed.dev, "artifacts");
    let policy = json!({"Version": "2012-10-17", "Id": "theirs", "Statement": [{"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", bed.dev.id)}, "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{artifacts}/*")}]});
    bed.dev.call("s3", "put_bucket_policy", json!({"Bucket": artifacts, "Policy": policy.to_string()}));
    let key_policy = json!({"Version": "2012-10-17", "Id": "theirs", "Statement": [{"Sid": "Root", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", bed.dev.id)}, "Action": "kms:*", "Resource": "*"}]});
    let key =
        bed.dev.call("kms", "create_key", json!({"Policy": key_policy.to_string()}))["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    bed.dev.call("kms", "create_alias", json!({"AliasName": "alias/s3deploykey", "TargetKeyId": key}));
    let pipeline = json!({
        "name": "theirs", "roleArn": role, "artifactStore": {"type": "S3", "location": artifacts}, "executionMode": "QUEUED", "pipelineType": "V2",
        "unknownMember": {"kept": [1, 2]},
        "stages": [
            {"name": "Source", "actions": [{"name": "Get", "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"}, "runOrder": 1,
                "configuration": {"S3Bucket": world.input, "S3ObjectKey": "site.zip", "PollForSourceChanges": "true"}, "outputArtifacts": [{"name": "A"}], "inputArtifacts": []}]},
            {"name": "Ship", "actions": [{"name": "Put", "actionTypeId": {"category": "Deploy", "owner": "AWS", "provider": "S3", "version": "1"}, "runOrder": 1,
                "configuration": {"BucketName": world.output, "Extract": "true"}, "outputArtifacts": [], "inputArtifacts": [{"name": "A"}]}]},
        ],
    });
    bed.dev.put_pipeline("us-east-1", &pipeline);
    let before = world.state();
    world.setup(&["--pipeline", "theirs", "--change-detection", "eventbridge"]);
    let changed = bed.dev.get_pipeline("us-east-1", "theirs").unwrap()["pipeline"].clone();
    assert_eq!(changed["stages"][1]["actions"][0]["roleArn"], format!("arn:aws:iam::{}:role/prods3role-theirs", bed.prod.id));
    let report = world.teardown("theirs", &[]);
    let mut after = world.state();
    let mut before = before;
    for state in [&mut after, &mut before] {
        state["dev"]["pipelines"]["us-east-1"]["theirs"]["pipeline"].as_object_mut().map(|pipeline| pipeline.shift_remove("version"));
        state["dev"]["pipelines"]["us-east-1"]["theirs"].as_object_mut().map(|pipeline| pipeline.shift_remove("version"));
    }
    assert_eq!(after, before);
    let mut what = left(&report);
    what.sort();
    let mut expected = vec![
        format!("artifact bucket {artifacts}"),
        format!("input bucket {}", world.input),
        format!("key arn:aws:kms:us-east-1:{}:key/{key}", bed.dev.id),
        format!("output bucket {}", world.output),
        "pipeline theirs".to_owned(),
        "role theirs in dev".to_owned(),
    ];
    expected.sort();
    assert_eq!(what, expected);
}

#[test]
fn a_field_of_an_adopted_pipeline_that_somebody_changed_since_is_listed_and_left() {
    let world = world();
    world.setup(&["--pipeline", "first"]);
    let bed = &world.bed;
    // Somebody else's pipeline, made from ours so that its roles work.
    let mut theirs = bed.dev.get_pipeline("us-east-1", "first").unwrap()["pipeline"].clone();
    theirs["name"] = json!("theirs");
    theirs["stages"][1]["actions"][0].as_object_mut().unwrap().shift_remove("roleArn");
    bed.dev.put_pipeline("us-east-1", &theirs);
    world.setup(&["--pipeline", "theirs", "--change-detection", "polling"]);
    let mut changed = bed.dev.get_pipeline("us-east-1", "theirs").unwrap()["pipeline"].clone();
    assert_eq!(changed["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"], "true");
    changed["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"] = json!("TRUE");
    bed.dev.put_pipeline("us-east-1", &changed);
    let report = world.teardown("theirs", &[]);
    assert!(left(&report).contains(&"PollForSourceChanges of pipeline theirs".to_owned()), "{report}");
    let after = bed.dev.get_pipeline("us-east-1", "theirs").unwrap()["pipeline"].clone();
    assert_eq!(after["stages"][1]["actions"][0].get("roleArn"), None);
    assert_eq!(after["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"], "TRUE");
}

#[test]
fn a_teardown_wants_the_name_once_more_and_dry_run_changes_nothing() {
    let world = world();
    world.setup(&[]);
    let bed = &world.bed;
    let out = bed.run(&["teardown"]).code(3);
    assert!(out.stderr.contains("--confirm crossaccountdeploy"), "{}", out.stderr);
    let out = bed.run(&["teardown", "--confirm", "other"]).code(3);
    assert!(out.stderr.contains("is not the pipeline's name"), "{}", out.stderr);
    let out = bed.run(&["teardown", "--dry-run"]).success();
    assert!(out.stdout.contains("Left as it is:"), "{}", out.stdout);
    assert!(bed.proxy.writes().is_empty());
}

#[test]
fn a_teardown_that_was_killed_is_finished_by_running_it_again() {
    let undisturbed = world();
    undisturbed.setup(&[]);
    undisturbed.teardown("crossaccountdeploy", &[]);
    let writes = undisturbed.bed.proxy.writes().len();
    // A sample of the writes, from the first to the last.
    for n in (0..writes).step_by(4).chain([writes - 1]) {
        let world = world();
        let before = world.state();
        world.setup(&[]);
        let args = ["teardown", "--confirm", "crossaccountdeploy"];
        let args = world.bed.args(&args);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        assert!(world.bed.run_killed_at_write(&args, n, crate::support::When::After).reached(), "write {n}");
        world.bed.proxy.disarm();
        world.teardown("crossaccountdeploy", &[]);
        assert_eq!(world.state(), before, "killed at write {n}");
    }
}
