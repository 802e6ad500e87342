//! `xdeploy release`. No emulator runs a pipeline: executions are the bed's, and what a deploy action would write is
//! played by the test (marked `played`).

use crate::needs::EMULATORS;
use crate::support::{Account, Action, Bed};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

struct World {
    bed: Bed,
    input: String,
    output: String,
}

fn world(options: &[&str]) -> World {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let mut args = vec!["setup", "--input-bucket", &input, "--output-bucket", &output, "--yes"];
    args.extend(options);
    let _ = bed.run(&args).success();
    bed.proxy.clear();
    World { bed, input, output }
}

fn zip(bed: &Bed, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let path = bed.dir().join(name);
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, text) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    path
}

fn put(account: &Account, bucket: &str, key: &str) {
    account.call("s3", "put_object", json!({"Bucket": bucket, "Key": key, "Body": "x", "ServerSideEncryption": "AES256"}));
}

/// Writes these keys as the deploy action would, when the program first asks how the execution goes.
fn played(world: &World, keys: &[&str]) {
    let (prod, output) = (world.bed.prod.clone(), world.output.clone());
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let once = std::sync::Once::new();
    world.bed.proxy.on_request(move |request| {
        if request.is("ListActionExecutions") {
            once.call_once(|| keys.iter().for_each(|key| put(&prod, &output, key)));
        }
        Action::Forward
    });
}

fn started(bed: &Bed) -> Vec<Value> {
    bed.proxy.calls("StartPipelineExecution").iter().map(|request| request.json()).collect()
}

fn a_release_that_nothing_started_is_started_once_and_its_objects_are_listed() {
    let world = world(&[]);
    let bed = &world.bed;
    zip(bed, "site.zip", &[("index.html", "<h1>"), ("css/a.css", "a")]);
    played(&world, &["index.html", "css/a.css"]);
    let out = bed.run(&["release", "site.zip", "--start-after", "0s", "--output", "json"]).success();
    let report = out.json();
    assert_eq!(report["schema"], "xdeploy.release/1");
    assert_eq!(report["startedBy"], "xdeploy");
    assert_eq!(report["status"], "Succeeded");
    let objects = report["arrival"]["objects"].as_array().unwrap();
    assert_eq!(objects.iter().map(|o| o["key"].as_str().unwrap()).collect::<Vec<_>>(), ["css/a.css", "index.html"]);
    assert!(objects.iter().all(|object| object["ownedByProduction"] == true && object["encryption"] == "AES256"), "{objects:?}");
    assert_eq!(report["arrival"]["ownership"], "BucketOwnerEnforced");
    let [start] = started(bed).try_into().unwrap();
    let version = report["versionId"].as_str().unwrap();
    assert_eq!(
        start["sourceRevisions"],
        json!([{"actionName": "Source", "revisionType": "S3_OBJECT_VERSION_ID", "revisionValue": version}])
    );
    let head = bed.dev.call("s3", "head_object", json!({"Bucket": world.input, "Key": "sample-website.zip"}));
    assert_eq!(head["VersionId"], version);
    let text = bed.run(&["release", "site.zip", "--start-after", "0s"]).success();
    assert!(text.stdout.contains("BucketOwnerEnforced: production owns every object"), "{}", text.stdout);
    assert!(text.stdout.contains(&format!("owned by prod ({})", bed.prod.id)), "{}", text.stdout);
}

fn an_execution_that_the_trigger_started_is_followed_and_no_second_one_started() {
    let world = world(&[]);
    let bed = &world.bed;
    zip(bed, "site.zip", &[("index.html", "<h1>")]);
    let (dev, prod, input, output) = (bed.dev.clone(), bed.prod.clone(), world.input.clone(), world.output.clone());
    let once = std::sync::Once::new();
    // Played: what S3, EventBridge and CodePipeline do after the upload.
    bed.proxy.on_request(move |request| {
        if request.is("ListPipelineExecutions") {
            once.call_once(|| {
                let head = dev.call("s3", "head_object", json!({"Bucket": input, "Key": "sample-website.zip"}));
                let id = dev.start_execution("us-east-1", "crossaccountdeploy");
                dev.set_execution(&id, &json!({"sourceRevisions": [{"actionName": "Source", "revisionId": head["VersionId"]}]}));
                put(&prod, &output, "index.html");
            });
        }
        Action::Forward
    });
    let out = bed.run(&["release", "site.zip", "--output", "json"]).success();
    assert_eq!(out.json()["startedBy"], "trigger");
    assert!(started(bed).is_empty());
    assert!(out.stderr.contains("started by its own change detection"), "{}", out.stderr);
}

fn a_failed_deploy_action_says_what_codepipeline_said() {
    let world = world(&[]);
    let bed = &world.bed;
    zip(bed, "site.zip", &[("index.html", "<h1>")]);
    let dev = bed.dev.clone();
    bed.proxy.on_request(move |request| {
        if request.is("GetPipelineExecution") {
            let id = request.json()["pipelineExecutionId"].as_str().unwrap().to_owned();
            dev.set_execution(
                &id,
                &json!({"status": "Failed", "actions": {"Deploy": {"status": "Failed", "errorDetails":
                    {"code": "PermissionError", "message": "You do not have sufficient permissions to call s3.putObject"}}}}),
            );
        }
        Action::Forward
    });
    let out = bed.run(&["release", "site.zip", "--start-after", "0s"]).code(1);
    assert!(out.stderr.contains("ended as Failed"), "{}", out.stderr);
    assert!(out.stderr.contains("Deploy/Deploy: PermissionError: You do not have sufficient permissions"), "{}", out.stderr);
    assert!(out.stderr.contains("xdeploy verify"), "{}", out.stderr);
}

fn files_that_did_not_arrive_fail_the_release() {
    let world = world(&[]);
    zip(&world.bed, "site.zip", &[("index.html", "<h1>"), ("lost.html", "")]);
    played(&world, &["index.html"]);
    let out = world.bed.run(&["release", "site.zip", "--start-after", "0s"]).code(1);
    assert!(out.stderr.contains("1 file is missing, such as lost.html"), "{}", out.stderr);
}

fn an_object_that_somebody_else_owns_fails_the_release() {
    let world = world(&[]);
    let bed = &world.bed;
    zip(bed, "site.zip", &[("index.html", "<h1>")]);
    played(&world, &["index.html"]);
    bed.prod.call(
        "s3",
        "put_bucket_ownership_controls",
        json!({"Bucket": world.output, "OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}}),
    );
    let (prod, output) = (bed.prod.clone(), world.output.clone());
    let once = std::sync::Once::new();
    // A recorded answer: the emulator has no canonical ids of other accounts.
    bed.proxy.on_request(move |request| {
        if request.is("ListActionExecutions") {
            once.call_once(|| put(&prod, &output, "index.html"));
        }
        if request.is("ListObjectsV2") {
            let body = "<ListBucketResult><Name>b</Name><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents><Key>index.html</Key><LastModified>2035-01-01T00:00:00.000Z</LastModified><ETag>\"e\"</ETag><Size>1</Size><Owner><ID>ffffffffffffffffffffffffffffffff</ID></Owner></Contents></ListBucketResult>";
            return Action::Answer { status: 200, headers: vec![("content-type".into(), "application/xml".into())], body: body.into() };
        }
        Action::Forward
    });
    let out = bed.run(&["release", "site.zip", "--start-after", "0s"]).code(1);
    assert!(out.stderr.contains("1 object is not owned by production"), "{}", out.stderr);
    assert!(out.stdout.contains("NOT owned by prod"), "{}", out.stdout);
}

fn a_deploy_path_and_a_zip_that_stays_whole_say_where_things_arrive() {
    let site = world(&["--deploy-path", "site/v2/"]);
    zip(&site.bed, "site.zip", &[("index.html", "<h1>")]);
    played(&site, &["site/v2/index.html"]);
    let out = site.bed.run(&["release", "site.zip", "--start-after", "0s"]).success();
    assert!(out.stdout.contains("  site/v2/index.html"), "{}", out.stdout);

    let whole = world(&["--no-extract"]);
    std::fs::write(whole.bed.dir().join("blob.bin"), "not a zip").unwrap();
    played(&whole, &["sample-website.zip"]);
    let out = whole.bed.run(&["release", "blob.bin", "--start-after", "0s"]).success();
    assert!(out.stdout.contains("  sample-website.zip"), "{}", out.stdout);
}

fn the_sample_needs_no_file_and_no_wait_doesn_t_follow() {
    let world = world(&[]);
    played(&world, &["index.html", "error.html", "css/site.css", "images/logo.svg"]);
    let out = world.bed.run(&["release", "--sample", "--start-after", "0s"]).success();
    assert!(out.stdout.contains("4 objects in s3://"), "{}", out.stdout);
    world.bed.proxy.clear();
    let out = world.bed.run(&["release", "--sample", "--start-after", "0s", "--no-wait", "--output", "json"]).success();
    assert_eq!(out.json()["status"], Value::Null);
    assert!(world.bed.proxy.calls("ListActionExecutions").is_empty());
}

fn a_release_repeated_with_the_same_version_starts_nothing_twice() {
    let world = world(&[]);
    let bed = &world.bed;
    zip(bed, "site.zip", &[("index.html", "<h1>")]);
    played(&world, &["index.html"]);
    let first = bed.run(&["release", "site.zip", "--start-after", "0s", "--no-wait"]).success();
    let second = bed.run(&["release", "site.zip", "--start-after", "0s", "--no-wait"]).success();
    drop((first, second));
    let tokens: Vec<String> = started(bed).iter().map(|start| start["clientRequestToken"].as_str().unwrap().to_owned()).collect();
    assert_eq!(tokens.len(), 2, "each upload is a version of its own");
    assert_ne!(tokens[0], tokens[1]);
    assert!(tokens.iter().all(|token| token.len() <= 128 && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')));
}

fn what_can_not_be_released_is_refused_before_the_upload() {
    let world = world(&[]);
    let bed = &world.bed;
    std::fs::write(bed.dir().join("text.zip"), "no zip at all").unwrap();
    zip(bed, "slip.zip", &[("../../etc/passwd", "x")]);
    zip(bed, "empty.zip", &[]);
    let large = std::fs::File::create(bed.dir().join("large.zip")).unwrap();
    large.set_len(5 * 1024 * 1024 * 1024 + 1).unwrap();
    for (file, says) in [
        ("text.zip", "is not a zip file"),
        ("slip.zip", "which the deploy action refuses half-way"),
        ("empty.zip", "holds no file"),
        ("large.zip", "5 GB at most"),
        ("absent.zip", "could not read absent.zip"),
    ] {
        let out = bed.run(&["release", file]).code(1);
        assert!(out.stderr.contains(says) && out.stderr.contains("hint:"), "{file}: {}", out.stderr);
    }
    let out = bed.run(&["release", "text.zip", "--pipeline", "absent"]).code(1);
    assert!(out.stderr.contains("there is no pipeline absent"), "{}", out.stderr);
    let _ = bed.run(&["release"]).code(64);
    assert!(bed.proxy.writes().is_empty());
}

fn setup_with_an_artifact_uploads_it_before_the_pipeline_is_made_and_only_once() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    zip(&bed, "site.zip", &[("index.html", "<h1>")]);
    let args = ["setup", "--input-bucket", &input, "--output-bucket", &output, "--artifact", "site.zip", "--yes"];
    let _ = bed.run(&args).success();
    let writes: Vec<String> = bed.proxy.writes().iter().map(|request| request.operation.clone()).collect();
    let at = |operation: &str| writes.iter().position(|write| write == operation).unwrap();
    assert!(at("PutObject") < at("CreatePipeline"), "{writes:?}");
    bed.proxy.clear();
    let again = bed.run(&args).success();
    assert!(again.stdout.contains("No changes."), "{}", again.stdout);
    assert!(bed.proxy.writes().is_empty());
    zip(&bed, "site.zip", &[("index.html", "<h2>")]);
    let _ = bed.run(&args).success();
    let writes: Vec<String> = bed.proxy.writes().iter().map(|request| request.operation.clone()).collect();
    assert_eq!(writes, ["PutObject"]);
}

fn a_key_with_a_time_in_it_is_not_looked_for() {
    let world = world(&["--no-extract", "--deploy-path", "builds/{datetime}.zip"]);
    std::fs::write(world.bed.dir().join("blob.bin"), "not a zip").unwrap();
    let out = world.bed.run(&["release", "blob.bin", "--start-after", "0s"]).success();
    assert!(out.stderr.contains("was not looked for") && out.stderr.contains("builds/{datetime}.zip"), "{}", out.report());
    assert!(!out.stdout.contains("0 objects"), "{}", out.report());
    assert!(world.bed.proxy.calls("ListObjectsV2").is_empty());
}

fn an_execution_that_has_yet_to_say_its_version_is_waited_for() {
    let world = world(&[]);
    let bed = &world.bed;
    zip(bed, "site.zip", &[("index.html", "<h1>")]);
    let (dev, input) = (bed.dev.clone(), world.input.clone());
    let (run, lists) = (dev.start_execution("us-east-1", "crossaccountdeploy"), std::sync::atomic::AtomicUsize::new(0));
    dev.set_execution(&run, &json!({"status": "InProgress", "sourceRevisions": []}));
    bed.proxy.on_request(move |request| {
        if request.is("ListPipelineExecutions") && lists.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            let head = dev.call("s3", "head_object", json!({"Bucket": input, "Key": "sample-website.zip"}));
            dev.set_execution(&run, &json!({"sourceRevisions": [{"actionName": "Source", "revisionId": head["VersionId"]}]}));
        }
        Action::Forward
    });
    let out = bed.run(&["release", "site.zip", "--start-after", "0s", "--no-wait", "--output", "json"]).success();
    assert_eq!(out.json()["startedBy"], "trigger");
    assert!(started(bed).is_empty(), "{}", out.report());
}

fn the_actions_of_a_long_pipeline_are_all_told() {
    let world = world(&[]);
    let bed = &world.bed;
    zip(bed, "site.zip", &[("index.html", "<h1>")]);
    let (prod, output) = (bed.prod.clone(), world.output.clone());
    let once = std::sync::Once::new();
    bed.proxy.on_request(move |request| {
        if !request.is("ListActionExecutions") {
            return Action::Forward;
        }
        once.call_once(|| put(&prod, &output, "index.html"));
        let action = |stage: &str| json!({"stageName": stage, "actionName": stage, "status": "Succeeded"});
        Action::json(
            200,
            &match request.json()["nextToken"].as_str() {
                None => json!({"actionExecutionDetails": [action("Deploy")], "nextToken": "more"}),
                Some(_) => json!({"actionExecutionDetails": [action("Source")]}),
            },
        )
    });
    let out = bed.run(&["release", "site.zip", "--start-after", "0s", "--output", "json"]).success();
    let actions: Vec<Value> = out.json()["actions"].as_array().unwrap().iter().map(|action| action["action"].clone()).collect();
    assert_eq!(actions, ["Source", "Deploy"]);
}

fn setup_with_an_artifact_looks_for_it_under_the_pipelines_own_key() {
    let world = world(&["--object-key", "web/site.zip"]);
    let bed = &world.bed;
    zip(bed, "site.zip", &[("index.html", "<h1>")]);
    let args = ["setup", "--input-bucket", &world.input, "--output-bucket", &world.output, "--artifact", "site.zip", "--yes"];
    let _ = bed.run(&args).success();
    let again = bed.run(&args).success();
    assert!(again.stdout.contains("No changes."), "{}", again.report());
    // Another key is another object, where the pipeline is ours to change.
    bed.proxy.clear();
    let moved = bed.run(&[&args[..], &["--object-key", "web/other.zip"]].concat()).success();
    assert_eq!(bed.proxy.calls("PutObject").len(), 1, "{}", moved.report());
}

fn a_source_object_that_may_not_be_read_is_uploaded() {
    let world = world(&[]);
    let bed = &world.bed;
    zip(bed, "site.zip", &[("index.html", "<h1>")]);
    bed.proxy.on_request(|request| match request.is("HeadObject") {
        true => Action::Answer { status: 403, headers: Vec::new(), body: Vec::new() },
        false => Action::Forward,
    });
    let args = ["setup", "--input-bucket", &world.input, "--output-bucket", &world.output, "--artifact", "site.zip", "--yes"];
    let out = bed.run(&args).success();
    assert_eq!(bed.proxy.calls("PutObject").len(), 1, "{}", out.report());
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        a_release_that_nothing_started_is_started_once_and_its_objects_are_listed,
        an_execution_that_the_trigger_started_is_followed_and_no_second_one_started,
        a_failed_deploy_action_says_what_codepipeline_said,
        files_that_did_not_arrive_fail_the_release,
        an_object_that_somebody_else_owns_fails_the_release,
        a_deploy_path_and_a_zip_that_stays_whole_say_where_things_arrive,
        the_sample_needs_no_file_and_no_wait_doesn_t_follow,
        a_release_repeated_with_the_same_version_starts_nothing_twice,
        what_can_not_be_released_is_refused_before_the_upload,
        setup_with_an_artifact_uploads_it_before_the_pipeline_is_made_and_only_once,
        a_key_with_a_time_in_it_is_not_looked_for,
        an_execution_that_has_yet_to_say_its_version_is_waited_for,
        the_actions_of_a_long_pipeline_are_all_told,
        setup_with_an_artifact_looks_for_it_under_the_pipelines_own_key,
        a_source_object_that_may_not_be_read_is_uploaded,
    ]
}
