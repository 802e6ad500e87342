//! `xdeploy teardown`: what setup made goes, the rest stays and is listed.

use crate::adoption;
use crate::needs::EMULATORS;
use crate::support::{Bed, REGION};
use crate::world::{self, PIPELINE};
use libtest_mimic::Trial;
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

fn buckets_that_setup_made_go_when_they_are_empty() {
    let bed = Bed::new();
    let world = World { input: bed.unique_name("input"), output: bed.unique_name("output"), bed };
    let before = world.state();
    world.setup(&["--create-buckets", "--prod-region", "eu-west-1"]);
    world.teardown("crossaccountdeploy", &[]);
    assert_eq!(world.state(), before);
}

fn buckets_with_objects_stay_and_are_listed() {
    let bed = Bed::new();
    let world = World { input: bed.unique_name("input"), output: bed.unique_name("output"), bed };
    world.setup(&["--create-buckets"]);
    let artifacts = format!("codepipeline-us-east-1-{}", world.bed.dev.id);
    for (account, bucket) in [(&world.bed.dev, &world.input), (&world.bed.prod, &world.output)] {
        account.call("s3", "put_object", json!({"Bucket": bucket, "Key": "a", "Body": "x"}));
    }
    let key = world.state()["dev"]["keys"]["us-east-1"].as_object().unwrap().keys().next().unwrap().clone();
    world.bed.dev.call(
        "s3",
        "put_object",
        json!({"Bucket": artifacts, "Key": "a", "Body": "x", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}),
    );
    let report = world.teardown("crossaccountdeploy", &[]);
    let what = left(&report);
    for kept in [&world.input, &world.output, &artifacts] {
        assert!(what.iter().any(|what| what.ends_with(kept.as_str())), "{kept}: {what:?}");
    }
    let policy = world.state()["dev"]["buckets"][&artifacts]["policy"].to_string();
    assert!(policy.contains("DenyInsecureConnections") && !policy.contains("Xdeploy"), "{policy}");
}

fn keep_key_keeps_it_with_its_alias_and_without_its_users() {
    let world = world();
    world.setup(&[]);
    let report = world.teardown("crossaccountdeploy", &["--keep-key"]);
    assert!(left(&report).iter().any(|what| what.starts_with("key arn:")), "{report}");
    let state = world.state()["dev"]["keys"]["us-east-1"].to_string();
    assert!(state.contains("alias/s3deploykey") && !state.contains("KeyUsers") && state.contains("Key Administrators"), "{state}");
}

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
    bed.proxy.clear();
    let again = world.teardown("theirs", &[]);
    assert_eq!(again["applied"], false, "{again}");
    assert!(bed.proxy.writes().is_empty(), "{}", bed.proxy.table());
}

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
        assert!(world.bed.run_killed_at_write(&args, n, crate::support::When::After).reached(), "write {n}");
        world.bed.proxy.disarm();
        world.teardown("crossaccountdeploy", &[]);
        assert_eq!(world.state(), before, "killed at write {n}");
    }
}

/// Seeds with the pieces of the adoption tests, and tears down with the bed's buckets named by the pipeline alone.
fn torn_down(world: &world::World, more: &[&str]) -> Value {
    world.bed.proxy.clear();
    world.bed.proxy.clear_hook();
    let args = ["teardown", "--confirm", PIPELINE, "--output", "json"];
    world.bed.run(&[&args, more].concat()).success().json()
}

fn what_was_made_by_hand_stays_to_the_last_letter() {
    let world = world::World::new();
    let pipeline = adoption::by_hand(&world);
    adoption::put(&world, &pipeline);
    adoption::trail_rule(&world);
    let before = world.bed.dump();
    world.settled(&[]);
    let report = torn_down(&world, &[]);
    assert_eq!(report["applied"], false, "{report}");
    world::same(&before, &world.bed.dump());
}

fn a_pipeline_that_setup_never_touched_keeps_its_newest_version() {
    let world = world::World::new();
    let mut pipeline = adoption::others_pipeline(&world);
    adoption::put(&world, &pipeline);
    // Its owner's own change looks like one of ours.
    pipeline["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"] = json!("false");
    pipeline["stages"][1]["actions"][0]["roleArn"] = json!(world.prod_arn("role/elsewhere"));
    adoption::put(&world, &pipeline);
    let before = world.bed.dump();
    let report = torn_down(&world, &[]);
    assert_eq!(report["applied"], false, "{report}");
    world::same(&before, &world.bed.dump());
}

fn polling_that_a_later_setup_turned_off_comes_back() {
    let world = world::World::new();
    let before = adoption::put(&world, &adoption::others_pipeline(&world));
    let _ = world.setup(&[]).success();
    let _ = world.setup(&["--change-detection", "eventbridge"]).success();
    assert_eq!(adoption::pipeline(&world)["version"], 3);
    torn_down(&world, &[]);
    let mut after = adoption::pipeline(&world);
    after["version"] = before["version"].clone();
    assert_eq!(after, before);
}

fn only_the_alias_of_the_key_that_goes_is_deleted() {
    let world = world::World::new();
    let theirs = adoption::plain_key(world.dev(), Some("s3deploykey"));
    let _ = world.setup(&["--key-alias", "webkey"]).success();
    torn_down(&world, &[]);
    let dump = world.bed.dump();
    assert_eq!(world.key(&dump, REGION, "s3deploykey")["arn"], json!(theirs));
    assert!(!dump["dev"]["keys"].to_string().contains("alias/webkey"), "{}", dump["dev"]["keys"]);
}

fn a_key_that_something_else_needs_stays() {
    // An object that was deployed is encrypted with it.
    let world = world::World::new();
    let _ = world.setup(&[]).success();
    let key = world.key(&world.bed.dump(), REGION, "s3deploykey")["arn"].as_str().unwrap().to_owned();
    let body = json!({"Bucket": world.output, "Key": "a", "Body": "x"});
    world.prod().call("s3", "put_object", body);
    let recorded = key.clone();
    // A recorded answer: the emulator doesn't encrypt with a key of another account.
    world.bed.proxy.on_request(move |request| match request.is("HeadObject") {
        true => crate::support::Action::Answer {
            status: 200,
            headers: vec![
                ("x-amz-server-side-encryption".to_owned(), "aws:kms".to_owned()),
                ("x-amz-server-side-encryption-aws-kms-key-id".to_owned(), recorded.clone()),
            ],
            body: Vec::new(),
        },
        false => crate::support::Action::Forward,
    });
    let report = world.bed.run(&["teardown", "--confirm", PIPELINE, "--output", "json"]).success().json();
    let kept = report["left"].as_array().unwrap().iter().find(|left| left["what"] == format!("key {key}")).expect("the key is listed");
    assert_eq!(kept["why"], format!("objects of {} are encrypted with it", world.output));

    // Another pipeline names it.
    let world = world::World::new();
    let _ = world.setup(&[]).success();
    let mut other = adoption::pipeline(&world);
    other["name"] = json!("other");
    world.dev().put_pipeline(REGION, &other);
    let report = torn_down(&world, &[]);
    assert!(report["left"].to_string().contains("another pipeline names it"), "{report}");
    assert!(world.bed.dump()["dev"]["keys"].to_string().contains("alias/s3deploykey"));
}

fn a_key_made_for_another_pipeline_is_nobody_elses_to_schedule() {
    let world = world::World::new();
    let _ = world.setup(&["--pipeline", "old"]).success();
    let args = ["teardown", "--pipeline", "old", "--confirm", "old", "--keep-key"];
    let _ = world.bed.run(&args).success();
    let report = world.bed.run(&["teardown", "--pipeline", "typo", "--confirm", "typo", "--output", "json"]).success().json();
    assert_eq!(report["applied"], false, "{report}");
    assert!(report["left"].to_string().contains("it was made for pipeline old"), "{report}");
}

fn the_inline_policy_of_somebody_elses_event_role_stays() {
    let world = world::World::new();
    let name = format!("cwe-role-{REGION}-{PIPELINE}");
    adoption::role(world.dev(), "/service-role/", &name, &adoption::service_trust("events.amazonaws.com"));
    let start = adoption::allow("codepipeline:StartPipelineExecution", &world.pipeline_arn(PIPELINE));
    let policy = world::document(json!([start]));
    adoption::inline(world.dev(), &name, &format!("start-pipeline-execution-{REGION}-{PIPELINE}"), &policy);
    let before = world.bed.dump()["dev"]["roles"][&name].clone();
    let _ = world.setup(&[]).success();
    torn_down(&world, &[]);
    assert_eq!(world.bed.dump()["dev"]["roles"][&name], before);
}

fn a_cross_region_setup_goes_with_its_replica() {
    let bed = Bed::new();
    let world = world::World::with_output_in(bed, "eu-west-1");
    let _ = world.setup(&[]).success();
    let report = torn_down(&world, &[]);
    assert_eq!(left(&report).len(), 2, "{report}");
    let dump = world.bed.dump();
    for region in [REGION, "eu-west-1"] {
        let keys = dump["dev"]["keys"][region].to_string();
        assert!(keys.contains("Pending") && !keys.contains("alias/"), "{region}: {keys}");
    }
    assert!(dump["dev"]["buckets"].as_object().unwrap().len() == 1, "{}", dump["dev"]["buckets"]);
}

fn a_teardown_of_an_adoption_that_was_killed_is_finished_by_running_it_again() {
    let seeded = || {
        let world = world::World::new();
        adoption::put(&world, &adoption::others_pipeline(&world));
        let before = without_versions(&world);
        let _ = world.setup(&["--change-detection", "eventbridge"]).success();
        world.bed.proxy.clear();
        (world, before)
    };
    let (undisturbed, before) = seeded();
    torn_down(&undisturbed, &[]);
    assert_eq!(without_versions(&undisturbed), before);
    let writes = undisturbed.bed.proxy.writes().len();
    // A sample of the writes, from the first to the last.
    for n in (0..writes).step_by(4).chain([writes - 1]) {
        let (world, before) = seeded();
        let args = ["teardown", "--confirm", PIPELINE];
        assert!(world.bed.run_killed_at_write(&args, n, crate::support::When::After).reached(), "write {n}");
        world.bed.proxy.disarm();
        torn_down(&world, &[]);
        assert_eq!(without_versions(&world), before, "killed at write {n}");
    }
}

/// The state without versions of the pipeline, scheduled keys, and the executions' traces.
fn without_versions(world: &world::World) -> Value {
    let mut dump = world.bed.dump();
    for keys in dump["dev"]["keys"].as_object_mut().unwrap().values_mut() {
        keys.as_object_mut().unwrap().retain(|_, key| !key.to_string().contains("PendingDeletion"));
    }
    if let Some(pipelines) = dump["dev"]["pipelines"][REGION].as_object_mut() {
        for pipeline in pipelines.values_mut() {
            drop_members(pipeline, "version");
        }
    }
    prune(&mut dump);
    dump
}

fn drop_members(value: &mut Value, name: &str) {
    if let Value::Object(members) = value {
        members.shift_remove(name);
        members.values_mut().for_each(|member| drop_members(member, name));
    }
}

fn a_set_up_with_least_privilege_goes_without_a_trace_also_from_what_others_own() {
    let least = ["--policies", "least-privilege", "--deploy-encrypts-with-dev-key"];
    let ours = world();
    let before = ours.state();
    ours.setup(&least);
    ours.teardown(PIPELINE, &[]);
    world::same(&before, &ours.state());

    let world = world::World::new();
    adoption::put(&world, &adoption::others_pipeline(&world));
    adoption::plain_key(world.dev(), Some("s3deploykey"));
    let before = without_versions(&world);
    world.setup(&least).success();
    // A set-up that was switched leaves nothing of either style.
    world.setup(&["--policies", "article"]).success();
    world.setup(&least).success();
    assert!(world.bed.dump().to_string().contains("XdeploycrossaccountdeployKeyProductionEncrypt"));
    torn_down(&world, &[]);
    world::same(&before, &without_versions(&world));
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        after_a_new_setup_only_the_scheduled_key_is_left,
        buckets_that_setup_made_go_when_they_are_empty,
        buckets_with_objects_stay_and_are_listed,
        keep_key_keeps_it_with_its_alias_and_without_its_users,
        two_pipelines_that_share_key_and_artifact_bucket_are_torn_down_in_either_order,
        an_adopted_world_is_as_it_was,
        a_field_of_an_adopted_pipeline_that_somebody_changed_since_is_listed_and_left,
        a_teardown_wants_the_name_once_more_and_dry_run_changes_nothing,
        a_teardown_that_was_killed_is_finished_by_running_it_again,
        what_was_made_by_hand_stays_to_the_last_letter,
        a_pipeline_that_setup_never_touched_keeps_its_newest_version,
        polling_that_a_later_setup_turned_off_comes_back,
        only_the_alias_of_the_key_that_goes_is_deleted,
        a_key_that_something_else_needs_stays,
        a_key_made_for_another_pipeline_is_nobody_elses_to_schedule,
        the_inline_policy_of_somebody_elses_event_role_stays,
        a_cross_region_setup_goes_with_its_replica,
        a_teardown_of_an_adoption_that_was_killed_is_finished_by_running_it_again,
        a_set_up_with_least_privilege_goes_without_a_trace_also_from_what_others_own,
    ]
}
