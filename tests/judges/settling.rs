//! AWS settles late: refusals that pass are waited out, and reads that lag are no conflict.

use crate::needs::EMULATORS;
use crate::support::{Action, Bed, REGION, RequestInfo};
use crate::worlds;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const PIPELINE: &str = "crossaccountdeploy";

fn refs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Refuses the first call of each of these operations: operation, status, code, message.
fn refuse_once(bed: &Bed, refusals: &'static [(&str, u16, &str, &str)]) {
    let seen = Mutex::new(Vec::new());
    bed.proxy.on_request(move |request| {
        let Some((operation, status, code, message)) = refusals.iter().find(|refusal| request.is(refusal.0)) else {
            return Action::Forward;
        };
        let mut seen = seen.lock().unwrap();
        if seen.contains(operation) {
            return Action::Forward;
        }
        seen.push(*operation);
        Action::error(request, *status, code, message)
    });
}

fn count(bed: &Bed, operation: &str) -> usize {
    bed.proxy.calls(operation).len()
}

fn a_setup_waits_for_what_settles_late() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    refuse_once(
        &bed,
        &[
            (
                "CreateBucket",
                409,
                "OperationAborted",
                "A conflicting conditional operation is currently in progress against this resource.",
            ),
            ("PutRule", 400, "ConcurrentModificationException", "Rule is being modified."),
            ("PutTargets", 400, "ValidationException", "Provided role 'arn' cannot be assumed by principal 'events.amazonaws.com'."),
        ],
    );
    let output = bed.run(&refs(&args)).success();
    for operation in ["CreateBucket", "PutRule", "PutTargets"] {
        assert_eq!(count(&bed, operation), 2, "{operation}\n{}", output.report());
    }
    assert!(output.stderr.contains("EventBridge to see role cwe-role-"), "{}", output.report());
}

fn a_target_that_eventbridge_takes_only_the_second_time_is_put_again() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    let calls = AtomicUsize::new(0);
    bed.proxy.on_request(move |request| {
        if !request.is("PutTargets") || calls.fetch_add(1, Ordering::SeqCst) > 0 {
            return Action::Forward;
        }
        let entry = json!({"TargetId": "pipeline", "ErrorCode": "ConcurrentModificationException", "ErrorMessage": "once more"});
        Action::json(200, &json!({"FailedEntryCount": 1, "FailedEntries": [entry]}))
    });
    let output = bed.run(&refs(&args)).success();
    assert_eq!(count(&bed, "PutTargets"), 2, "{}", output.report());

    let bed = Bed::new();
    let args = worlds::empty(&bed);
    bed.proxy.on_request(|request| {
        let entry = json!({"TargetId": "pipeline", "ErrorCode": "InvalidArn", "ErrorMessage": "no such thing"});
        match request.is("PutTargets") {
            true => Action::json(200, &json!({"FailedEntryCount": 1, "FailedEntries": [entry]})),
            false => Action::Forward,
        }
    });
    let output = bed.run(&refs(&args)).code(1);
    assert!(output.stderr.contains("InvalidArn: no such thing"), "{}", output.report());
}

fn a_teardown_waits_until_what_it_removed_is_forgotten() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    bed.run(&refs(&args)).success();
    refuse_once(
        &bed,
        &[
            ("RemoveTargets", 400, "ConcurrentModificationException", "Rule is being modified."),
            ("DeleteRule", 400, "ValidationException", "Rule can't be deleted since it has targets."),
            ("DeleteRole", 409, "DeleteConflict", "Cannot delete entity, must detach all policies first."),
            ("DeletePolicy", 409, "DeleteConflict", "Cannot delete a policy attached to entities."),
        ],
    );
    let output = bed.run(&["teardown", "--confirm", PIPELINE]).success();
    assert!(output.stderr.contains("AWS to forget what was just removed (DeleteConflict)"), "{}", output.report());
    let dump = bed.dump();
    assert!(dump["dev"]["rules"].as_object().is_none_or(|regions| regions.values().all(|rules| rules == &json!({}))), "{dump:#}");
    assert!(dump["prod"]["roles"].get("prods3role").is_none(), "{dump:#}");
}

fn an_upload_is_repeated_until_it_is_a_version() {
    let bed = Bed::new();
    let mut args = worlds::empty(&bed);
    let mut archive = zip::ZipWriter::new(std::fs::File::create(bed.dir().join("site.zip")).unwrap());
    archive.start_file("index.html", zip::write::SimpleFileOptions::default()).unwrap();
    archive.finish().unwrap();
    args.extend(["--artifact".to_owned(), "site.zip".to_owned()]);
    let puts = AtomicUsize::new(0);
    bed.proxy.on_request(move |request| {
        if !request.is("PutObject") {
            return Action::Forward;
        }
        let headers = match puts.fetch_add(1, Ordering::SeqCst) {
            0 => vec![],
            1 => vec![("x-amz-version-id".to_owned(), "null".to_owned())],
            _ => return Action::Forward,
        };
        Action::Answer { status: 200, headers, body: Vec::new() }
    });
    let output = bed.run(&refs(&args)).success();
    assert_eq!(count(&bed, "PutObject"), 3, "{}", output.report());
    assert!(output.stderr.contains("versioning of ") && output.stderr.contains(" to work"), "{}", output.report());
}

/// The pipeline of the console's world, changed by somebody else.
fn theirs(bed: &Bed) -> Value {
    let mut pipeline = bed.dev.get_pipeline(REGION, PIPELINE).unwrap()["pipeline"].take();
    pipeline["stages"][1]["actions"][0]["configuration"]["CacheControl"] = json!("theirs");
    pipeline
}

fn a_pipeline_that_somebody_changed_at_the_same_time_is_told_with_its_versions() {
    let bed = Bed::new();
    let args = worlds::console(&bed);
    let (dev, theirs) = (bed.dev.clone(), theirs(&bed));
    let once = std::sync::Once::new();
    bed.proxy.on_request(move |request| {
        if request.is("UpdatePipeline") {
            once.call_once(|| drop(dev.put_pipeline(REGION, &theirs)));
        }
        Action::Forward
    });
    let output = bed.run(&refs(&args)).code(1);
    assert!(output.stderr.contains("version 3 overwrote their version 2"), "{}", output.report());
    assert!(output.stderr.contains("--pipeline-version 2"), "{}", output.report());
}

fn an_update_whose_answer_was_lost_is_no_race() {
    let bed = Bed::new();
    let args = worlds::console(&bed);
    let calls = AtomicUsize::new(0);
    bed.proxy.on_request(move |request| match request.is("UpdatePipeline") && calls.fetch_add(1, Ordering::SeqCst) == 0 {
        true => Action::DropAfter,
        false => Action::Forward,
    });
    let output = bed.run(&refs(&args)).success();
    assert_eq!(count(&bed, "UpdatePipeline"), 2, "{}", output.report());
    assert_eq!(bed.dev.get_pipeline(REGION, PIPELINE).unwrap()["pipeline"]["version"], 3);
}

fn a_pipeline_that_is_read_late_is_no_conflict() {
    let bed = Bed::new();
    let args = worlds::console(&bed);
    let before = bed.dev.get_pipeline(REGION, PIPELINE).unwrap();
    let updated = Mutex::new(None::<Instant>);
    bed.proxy.on_request(move |request| {
        let mut updated = updated.lock().unwrap();
        if request.is("UpdatePipeline") {
            *updated = Some(Instant::now());
        }
        match request.is("GetPipeline") && updated.is_some() {
            true => Action::json(200, &json!({"pipeline": before["pipeline"]})),
            false => Action::Forward,
        }
    });
    let output = bed.run(&refs(&args));
    assert!(!output.stderr.contains("is not what was written"), "{}", output.report());
}

fn an_interruption_ends_the_wait_for_a_document_to_be_read_back() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    // Never shown as it was written.
    let stale = |request: &RequestInfo| match request.is("GetBucketPolicy") {
        true => Action::s3_error(404, "NoSuchBucketPolicy", "The bucket policy does not exist"),
        false => Action::Forward,
    };
    bed.proxy.on_request(stale);
    let running = bed.spawn(&bed.args(&refs(&args)).iter().map(String::as_str).collect::<Vec<_>>());
    bed.proxy.wait_until(Duration::from_secs(30), |calls| calls.iter().any(|call| call.is("PutBucketPolicy") && call.status == 204));
    let written = count(&bed, "GetBucketPolicy");
    bed.proxy.wait_until(Duration::from_secs(30), |calls| calls.iter().filter(|call| call.is("GetBucketPolicy")).count() > written);
    let started = Instant::now();
    running.signal("INT");
    let output = running.wait().code(130);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}\n{}", started.elapsed(), output.report());
}

fn a_policy_of_our_name_under_another_path_is_not_ours() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    // Recorded: the emulator lets one name have two paths.
    bed.proxy.on_request(|request| match request.form("PolicyName").as_deref() {
        Some("outputbucketdeployaccess") if request.is("CreatePolicy") => {
            let message = "A policy called outputbucketdeployaccess already exists. Duplicate names are not allowed.";
            Action::query_error(409, "EntityAlreadyExists", message)
        }
        _ => Action::Forward,
    });
    let output = bed.run(&refs(&args)).code(1);
    assert!(output.stderr.contains("policy/outputbucketdeployaccess was made by somebody else"), "{}", output.report());
    assert!(output.stderr.contains("EntityAlreadyExists"), "{}", output.report());
}

fn a_bucket_that_may_not_be_made_says_what_its_tags_and_ownership_need() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    bed.proxy.on_request(|request| match request.is("CreateBucket") {
        true => Action::s3_error(403, "AccessDenied", "Access Denied"),
        false => Action::Forward,
    });
    let output = bed.run(&refs(&args)).code(1);
    assert!(output.stderr.contains("needs s3:TagResource and s3:PutBucketOwnershipControls"), "{}", output.report());
}

fn a_run_on_a_later_page_is_not_stopped() {
    let bed = Bed::new();
    let args = worlds::console(&bed);
    let run = |id: &str, status: &str| json!({"pipelineExecutionId": id, "status": status});
    bed.proxy.on_request(move |request| {
        if !request.is("ListPipelineExecutions") {
            return Action::Forward;
        }
        Action::json(
            200,
            &match request.json()["nextToken"].as_str() {
                None => json!({"pipelineExecutionSummaries": [run("done", "Succeeded")], "nextToken": "more"}),
                Some(_) => json!({"pipelineExecutionSummaries": [run("under-way", "InProgress")]}),
            },
        )
    });
    let output = bed.run(&refs(&args)).code(3);
    assert!(output.stderr.contains("is running (under-way)"), "{}", output.report());
    assert!(bed.proxy.calls("UpdatePipeline").is_empty());
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        a_setup_waits_for_what_settles_late,
        a_target_that_eventbridge_takes_only_the_second_time_is_put_again,
        a_teardown_waits_until_what_it_removed_is_forgotten,
        an_upload_is_repeated_until_it_is_a_version,
        a_pipeline_that_somebody_changed_at_the_same_time_is_told_with_its_versions,
        an_update_whose_answer_was_lost_is_no_race,
        a_pipeline_that_is_read_late_is_no_conflict,
        an_interruption_ends_the_wait_for_a_document_to_be_read_back,
        a_policy_of_our_name_under_another_path_is_not_ours,
        a_bucket_that_may_not_be_made_says_what_its_tags_and_ownership_need,
        a_run_on_a_later_page_is_not_stopped,
    ]
}
