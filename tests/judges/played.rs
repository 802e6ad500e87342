//! Errors that only a played answer or a race brings: each is in a snapshot.

use crate::needs::EMULATORS;
use crate::support::compare::same;
use crate::support::{Action, Bed};
use libtest_mimic::Trial;
use serde_json::json;
use snapbox::file;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What stderr says from the error on, with what differs from run to run made the same.
fn error_of(stderr: &str, places: &[(&str, &str)]) -> String {
    let from = stderr.find("error: ").unwrap_or_else(|| panic!("no error in\n{stderr}"));
    places.iter().fold(stderr[from..].trim_end().to_owned(), |text, (place, name)| text.replace(place, name))
}

/// A JSON answer of a service that speaks it.
fn answered(body: &'static str) -> Action {
    Action::Answer { status: 200, headers: vec![("content-type".into(), "application/x-amz-json-1.1".into())], body: body.into() }
}

/// Answers that AWS never gives, or gives at moments that no emulator has: each is played, and ends in an error of its own.
fn what_only_a_played_answer_brings() {
    let mut told = String::new();
    let mut play = |bed: &Bed, args: &[&str], operation: &'static str, answer: Action| {
        bed.proxy.on_request(
            move |request| if request.is(operation) || request.service == operation { answer.clone() } else { Action::Forward },
        );
        let output = bed.run(args);
        bed.proxy.on_request(|_| Action::Forward);
        let text = bed.normalise(&error_of(&output.stderr, &[]));
        let shown: Vec<&str> = args.iter().copied().take_while(|arg| !arg.contains("bucket")).collect();
        let _ = writeln!(told, "$ xdeploy {} # {operation}\n{text}\nexit {}\n", shown.join(" "), output.status);
        assert!(text.contains("hint: "), "{text}");
    };
    let bed = Bed::new();
    let first = crate::worlds::empty(&bed);
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let identity = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult/></GetCallerIdentityResponse>";
    let xml = |body: &str| Action::Answer { status: 200, headers: vec![("content-type".into(), "text/xml".into())], body: body.into() };
    play(&bed, &["who-am-i"], "GetCallerIdentity", xml(identity));
    play(&bed, &first, "CreateKey", answered("{\"KeyMetadata\": {\"KeyId\": \"00000000-0000-0000-0000-000000000000\"}}"));
    bed.run(&first).success();
    play(&bed, &first, "GetBucketPolicy", answered("{\"Version\""));
    play(&bed, &first, "GetPipeline", Action::json_error(400, "AccessDeniedException", "no"));
    play(&bed, &first, "GetBucketNotificationConfiguration", xml("<NotificationConfiguration><"));
    let release = ["release", "--sample", "--start-after", "0s"];
    play(&bed, &release, "PutObject", xml(""));
    play(&bed, &release, "StartPipelineExecution", answered("{}"));
    let running = "{\"pipelineExecution\": {\"pipelineExecutionId\": \"under-way\", \"status\": \"InProgress\"}}";
    play(&bed, &["release", "--sample", "--start-after", "0s", "--timeout", "1s"], "GetPipelineExecution", answered(running));
    let list = "{\"pipelineExecutionSummaries\": [{\"pipelineExecutionId\": \"under-way\", \"status\": \"InProgress\"}]}";
    play(&bed, &["teardown", "--confirm", "crossaccountdeploy"], "ListPipelineExecutions", answered(list));
    let update: Vec<&str> = first.iter().copied().chain(["--change-detection", "polling"]).collect();
    play(&bed, &update, "ListPipelineExecutions", answered(list));
    play(&bed, &update, "UpdatePipeline", answered("{\"pipeline\": {}}"));
    play(
        &bed,
        &[&first[..], &["--policies", "least-privilege", "--strict"]].concat(),
        "organizations",
        Action::json_error(400, "AccessDeniedException", "no"),
    );
    same(&told, file!["../snapshots/played/what_only_a_played_answer_brings.txt"]);
}

/// What somebody else does between the plan and a write, and what comes too late.
fn what_only_a_race_brings() {
    let mut told = String::new();
    let mut run = |bed: &Bed, what: &str, args: &[&str]| {
        let output = bed.run(args);
        bed.proxy.on_request(|_| Action::Forward);
        let text = bed.normalise(&error_of(&output.stderr, &[]));
        let _ = writeln!(told, "# {what}\n{text}\nexit {}\n", output.status);
        assert!(text.contains("hint: "), "{text}");
    };
    // Does something when the first call of an operation comes.
    let at = |bed: &Bed, operation: &'static str, deed: Box<dyn Fn() + Send + Sync>| {
        let done = AtomicBool::new(false);
        bed.proxy.on_request(move |request| {
            if request.is(operation) && !done.swap(true, Ordering::SeqCst) {
                deed();
            }
            Action::Forward
        });
    };
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]});

    let bed = Bed::new();
    let first = crate::worlds::empty(&bed);
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let prod = bed.prod.clone();
    let role = json!({"RoleName": "prods3role", "AssumeRolePolicyDocument": trust.to_string()});
    at(&bed, "CreateKey", Box::new(move || drop(prod.call("iam", "create_role", role.clone()))));
    run(&bed, "the role was made", &first);

    let bed = Bed::new();
    let first = crate::worlds::empty(&bed);
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let dev = bed.dev.clone();
    at(
        &bed,
        "CreateKey",
        Box::new(move || {
            let key = dev.call("kms", "create_key", json!({}));
            dev.call("kms", "create_alias", json!({"AliasName": "alias/s3deploykey", "TargetKeyId": key["KeyMetadata"]["KeyId"]}));
        }),
    );
    run(&bed, "the alias was given", &first);

    let bed = Bed::new();
    let first = crate::worlds::empty(&bed);
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let in_use = Action::json_error(400, "PipelineNameInUseException", "A pipeline with this name exists");
    bed.proxy.on_request(move |request| if request.is("CreatePipeline") { in_use.clone() } else { Action::Forward });
    run(&bed, "the pipeline was made", &first);
    bed.run(&first).success();
    let (asked, running) =
        (AtomicUsize::new(0), json!({"pipelineExecutionSummaries": [{"pipelineExecutionId": "under-way", "status": "InProgress"}]}));
    bed.proxy.on_request(move |request| match request.is("ListPipelineExecutions") && asked.fetch_add(1, Ordering::SeqCst) > 0 {
        true => Action::json(200, &running),
        false => Action::Forward,
    });
    run(&bed, "a run began", &[&first[..], &["--change-detection", "polling"]].concat());
    let gone = Action::json_error(400, "NotFoundException", "Key does not exist");
    bed.proxy.on_request(move |request| if request.is("DescribeKey") { gone.clone() } else { Action::Forward });
    run(&bed, "the key is gone", &first);
    run(&bed, "nothing arrives", &["release", "--sample", "--start-after", "0s"]);
    run(&bed, "an execution that isn't", &["explain", "--execution", "nope"]);
    same(&told, file!["../snapshots/played/what_only_a_race_brings.txt"]);
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        what_only_a_played_answer_brings,
        what_only_a_race_brings,
    ]
}
