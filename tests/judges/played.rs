//! Errors that only a played answer or a race brings: each is in a snapshot.

use crate::needs::EMULATORS;
use crate::support::compare::same;
use crate::support::{Action, Bed};
use libtest_mimic::Trial;
use serde_json::json;
use snapbox::str;
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
    same(
        &told,
        str![[r#"
$ xdeploy who-am-i # GetCallerIdentity
error: STS did not give an ARN for profile `dev`

hint: if AWS_ENDPOINT_URL is set, what answers there is no STS
exit 1

$ xdeploy setup # CreateKey
error: KMS key: KMS key in us-east-1
  caused by: KMS did not give the new key's ARN

hint: run the same command again: it finds the key by its tag
hint: run the same command again: what is done stays done
exit 1

$ xdeploy setup # GetBucketPolicy
error: the policy of artifact bucket codepipeline-us-east-1-111111111111 can't be understood
  caused by: it is no JSON: EOF while parsing an object at line 1 column 10

hint: correct it by hand in the bucket's permissions, then run the same command again
exit 1

$ xdeploy setup # GetPipeline
error: arn:aws:iam::111111111111:user/caller may not call codepipeline:GetPipeline on arn:aws:codepipeline:us-east-1:111111111111:crossaccountdeploy in dev (111111111111)
  caused by: AccessDeniedException: no (request id REQUEST-ID)

hint: allow it in an identity policy of the caller: {"Effect": "Allow", "Action": "codepipeline:GetPipeline", "Resource": "arn:aws:codepipeline:us-east-1:111111111111:crossaccountdeploy"}
hint: if the caller has it, look for a deny in the resource's own policy, a permissions boundary or an organisation policy
exit 1

$ xdeploy setup # GetBucketNotificationConfiguration
error: the notification configuration of input-0000000000 could not be understood

hint: turn EventBridge on by hand in the bucket's properties, then run setup again
exit 1

$ xdeploy release --sample --start-after 0s # PutObject
error: S3 gave no version for sample-website.zip in input-0000000000

hint: check that versioning of the bucket is on (S3 may take a quarter of an hour for it), then upload again
exit 1

$ xdeploy release --sample --start-after 0s # StartPipelineExecution
error: CodePipeline did not give the execution's id

hint: look at the pipeline's history, or release again
exit 1

$ xdeploy release --sample --start-after 0s --timeout 1s # GetPipelineExecution
error: execution 00000000-0000-0000-0000-000000000001 of pipeline crossaccountdeploy is still under way after 1s

hint: it goes on by itself; give it longer with `--timeout`, or look at it in the console (an approval may be waiting)
exit 5

$ xdeploy teardown --confirm crossaccountdeploy # ListPipelineExecutions
error: pipeline crossaccountdeploy is running (under-way)

hint: pass `--wait-for-runs`, or run the same command again when it has finished
exit 3

$ xdeploy setup # ListPipelineExecutions
error: pipeline crossaccountdeploy is running (under-way); an update would stop it

hint: pass `--wait-for-runs`, or run the same command again when it has finished
exit 3

$ xdeploy setup # UpdatePipeline
error: Pipeline: pipeline crossaccountdeploy: PollForSourceChanges = true
  caused by: pipeline crossaccountdeploy is not what was written a moment ago

hint: somebody else changed it at the same time; look at it with `aws codepipeline get-pipeline --name crossaccountdeploy`, and at its earlier versions with `--pipeline-version N`
hint: run the same command again: what is done stays done
exit 1

$ xdeploy setup # organizations
error: whether the deployment would work after this plan can't be told, and --strict was given

hint: the proof above says what could not be read or is not known
hint: pass `--accept-broken` to apply the plan all the same
exit 5


"#]],
    );
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
    same(
        &told,
        str![[r#"
# the role was made
error: Cross-account role: cross-account role prods3role
  caused by: arn:aws:iam::222222222222:role/prods3role was made by somebody else since the plan was made
  caused by: EntityAlreadyExists: Role with name prods3role already exists. (request id REQUEST-ID)

hint: make the plan again; it says which flag names another one
hint: run the same command again: what is done stays done
exit 1

# the alias was given
error: KMS key: alias/s3deploykey in us-east-1
  caused by: alias/s3deploykey was given to another key since the plan was made

hint: make the plan again, or pass another `--key-alias`
hint: run the same command again: what is done stays done
exit 1

# the pipeline was made
error: Pipeline: pipeline crossaccountdeploy
  caused by: pipeline crossaccountdeploy was made by somebody else since the plan was made
  caused by: PipelineNameInUseException: A pipeline with this name exists (request id REQUEST-ID)

hint: make the plan again: it adopts the pipeline
hint: run the same command again: what is done stays done
exit 1

# a run began
error: Pipeline: pipeline crossaccountdeploy: PollForSourceChanges = true
  caused by: pipeline crossaccountdeploy is running (under-way), and this would stop it

hint: pass `--wait-for-runs`, or run the same command again when it has finished
hint: run the same command again: what is done stays done
exit 3

# the key is gone
error: the artifact store of pipeline crossaccountdeploy names key arn:aws:kms:us-east-1:111111111111:key/00000000-0000-0000-0000-000000000001, which does not exist in us-east-1

hint: put the ARN of an existing customer managed key of that region into the pipeline's artifact store
exit 1

# nothing arrives
error: the release of pipeline crossaccountdeploy did not arrive as it should
  caused by: 4 files are missing, such as css/site.css, error.html, images/logo.svg, index.html

hint: `xdeploy verify --pipeline crossaccountdeploy` says what differs from what setup would make
exit 1

# an execution that isn't
error: pipeline crossaccountdeploy has no execution nope among its newest 2

hint: leave `--execution` out to take the newest, or look up its id in the console
exit 1


"#]],
    );
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        what_only_a_played_answer_brings,
        what_only_a_race_brings,
    ]
}
