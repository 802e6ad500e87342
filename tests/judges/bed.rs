//! The bed tried with boto3 in place of the program, so that a failing test of the program is not
//! the bed's fault.

use crate::needs::EMULATORS;
use libtest_mimic::Trial;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Account, Action, Bed, Caller, Killed, Output, When, emulators};

/// What every snippet starts with: `dev` and `prod` make clients, `DEV` and `PROD` are the ids,
/// `outcome` is a call's error code or its answer.
const PREAMBLE: &str = r#"
import json, sys, boto3, botocore.config, botocore.exceptions
once = botocore.config.Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=2)
def session(profile):
    made = boto3.Session(profile_name=profile)
    return lambda service, region=None: made.client(service, region_name=region, config=once)
dev, prod = session("dev"), session("prod")
def outcome(method, **arguments):
    try:
        answer = method(**arguments)
        answer.pop("ResponseMetadata", None)
        return answer
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"] + ": " + error.response["Error"]["Message"]
    except Exception as error:
        return type(error).__name__
def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
def allow(action, resource=None, principal=None):
    made = {"Effect": "Allow", "Action": action}
    if resource: made["Resource"] = resource
    if principal: made["Principal"] = principal
    return made
def show(value):
    print(json.dumps(value, default=str))
service_trust = policy(allow("sts:AssumeRole", principal={"Service": "codepipeline.amazonaws.com"}))
def structure(role, bucket, action_role):
    def action(name, **members):
        kind = {"category": name, "owner": "AWS", "provider": "S3", "version": "1"}
        return {"name": name, "actionTypeId": kind, **members}
    return {"name": "p", "roleArn": role, "artifactStore": {"type": "S3", "location": bucket}, "stages": [
        {"name": "Source", "actions": [action("Source", outputArtifacts=[{"name": "A"}])]},
        {"name": "Deploy", "actions": [action("Deploy", inputArtifacts=[{"name": "A"}], roleArn=action_role)]},
    ]}
"#;

fn snippet(bed: &Bed, code: &str) -> std::process::Command {
    let ids = format!("DEV, PROD, SUFFIX = '{}', '{}', '-{}'\n", bed.dev.id, bed.prod.id, bed.unique);
    let code = format!("{PREAMBLE}{ids}{code}");
    bed.command_of(&emulators().python, &["-c", &code])
}

fn boto3(bed: &Bed, code: &str) -> Output {
    bed.spawn_command(snippet(bed, code)).wait()
}

fn shown(bed: &Bed, code: &str) -> Value {
    boto3(bed, code).success().json()
}

/// Both roles of a cross-account pipeline, and the right to get from one to the other.
fn roles(bed: &Bed) -> (String, String) {
    let trust = |principal: Value| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"},
        ]})
    };
    let service = json!({"Service": "codepipeline.amazonaws.com"});
    let arn = |made: Value| made["Role"]["Arn"].as_str().unwrap().to_owned();
    let service_role = arn(bed.dev.call(
        "iam",
        "create_role",
        json!({"RoleName": "service", "Path": "/service-role/", "AssumeRolePolicyDocument": trust(service)}),
    ));
    let action_role = arn(bed.prod.call(
        "iam",
        "create_role",
        json!({"RoleName": "action", "AssumeRolePolicyDocument": trust(json!({"AWS": service_role}))}),
    ));
    let allow = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": action_role},
    ]});
    bed.dev.call("iam", "put_role_policy", json!({"RoleName": "service", "PolicyName": "assume", "PolicyDocument": allow}));
    (service_role, action_role)
}

fn absent_principals_are_refused_with_the_words_of_aws() {
    let bed = Bed::new();
    let found = shown(
        &bed,
        r#"
absent = f"arn:aws:iam::{DEV}:role/absent"
root = allow("kms:*", "*", {"AWS": f"arn:aws:iam::{DEV}:root"})
iam, kms, s3 = dev("iam"), dev("kms"), dev("s3")
name = "artifacts" + SUFFIX
s3.create_bucket(Bucket=name)
iam.create_role(Path="/service-role/", RoleName="there", AssumeRolePolicyDocument=service_trust)
def bucket_policy(principal):
    return policy(allow("s3:Get*", f"arn:aws:s3:::{name}/*", {"AWS": principal}))
key = kms.create_key(Policy=policy(root))["KeyMetadata"]["KeyId"]
def put_key_policy(principal):
    return outcome(kms.put_key_policy, KeyId=key, PolicyName="default",
                   Policy=policy(root, allow("kms:Decrypt", "*", {"AWS": [principal]})))
show({
    "create key": outcome(kms.create_key, Policy=policy(root, allow("kms:Decrypt", "*", {"AWS": absent}))),
    "put key policy": put_key_policy(absent),
    "stranger's root": put_key_policy("arn:aws:iam::999999999999:root"),
    "deleted": put_key_policy("AROAEXAMPLEEXAMPLE123"),
    "path omitted": put_key_policy(f"arn:aws:iam::{DEV}:role/there"),
    "path given": put_key_policy(f"arn:aws:iam::{DEV}:role/service-role/there"),
    "locked out": outcome(kms.put_key_policy, KeyId=key, PolicyName="default",
                          Policy=policy(allow("kms:Decrypt", "*", {"AWS": DEV}))),
    "create role": outcome(prod("iam").create_role, RoleName="r",
                           AssumeRolePolicyDocument=policy(allow("sts:AssumeRole", principal={"AWS": absent}))),
    "bucket": outcome(s3.put_bucket_policy, Bucket=name, Policy=bucket_policy(absent)),
    "other bucket": outcome(s3.put_bucket_policy, Bucket=name,
                            Policy=policy(allow("s3:Get*", "arn:aws:s3:::other/*", {"AWS": DEV}))),
})"#,
    );
    let key = "MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.";
    assert_eq!(found["create key"], key);
    assert_eq!(found["put key policy"], key);
    assert_eq!(found["deleted"], key);
    assert_eq!(found["path omitted"], key);
    assert_eq!(found["stranger's root"], json!({}));
    assert_eq!(found["path given"], json!({}));
    assert_eq!(
        found["locked out"],
        "MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future."
    );
    let role = format!("MalformedPolicyDocument: Invalid principal in policy: \"AWS\":\"arn:aws:iam::{}:role/absent\"", bed.dev.id);
    assert_eq!(found["create role"], role);
    assert_eq!(found["bucket"], "MalformedPolicy: Invalid principal in policy");
    assert_eq!(found["other bucket"], "MalformedPolicy: Policy has invalid resource");
    let dump = bed.dump();
    assert_eq!(dump["dev"]["roles"]["there"]["path"], "/service-role/");
    assert_eq!(dump["dev"]["keys"]["us-east-1"].as_object().unwrap().len(), 1);
}

fn a_new_role_is_invisible_for_the_time_of_propagation() {
    let bed = Bed::new();
    bed.proxy.set_propagation(Duration::from_millis(1500));
    let found = shown(
        &bed,
        r#"
import time
iam = dev("iam")
def named():
    trust = policy(allow("sts:AssumeRole", principal={"AWS": f"arn:aws:iam::{DEV}:role/new"}))
    return outcome(prod("iam").create_role, RoleName="other", AssumeRolePolicyDocument=trust)
iam.create_role(RoleName="new", AssumeRolePolicyDocument=service_trust)
before = named()
time.sleep(1.6)
after = named()
show({"before": before, "after": after})"#,
    );
    assert!(found["before"].as_str().unwrap().starts_with("MalformedPolicyDocument"), "{found}");
    assert_eq!(found["after"]["Role"]["RoleName"], "other");
}

fn pipelines_are_checked_counted_and_kept_whole() {
    let bed = Bed::new();
    let (service_role, action_role) = roles(&bed);
    let code = format!(
        r#"
role, action_role = "{service_role}", "{action_role}"
pipelines = dev("codepipeline")
def create(**changes):
    return outcome(pipelines.create_pipeline, pipeline={{**structure(role, "store", action_role), **changes}})
first = create()
execution = pipelines.list_pipeline_executions(pipelineName="p")["pipelineExecutionSummaries"][0]
second = structure(role, "other", action_role)
updated = outcome(pipelines.update_pipeline, pipeline=second)
started = [pipelines.start_pipeline_execution(name="p", clientRequestToken="t")["pipelineExecutionId"] for _ in "ab"]
show({{
    "absent service role": create(roleArn=role + "x"),
    "path omitted": create(roleArn=role.replace("/service-role", "")),
    "absent action role": outcome(pipelines.create_pipeline, pipeline=structure(role, "store", action_role + "x")),
    "cross region": outcome(pipelines.create_pipeline, pipeline=json.loads(json.dumps(
        structure(role, "store", action_role)).replace('"name": "Deploy", "actionTypeId"',
        '"name": "Deploy", "region": "eu-west-1", "actionTypeId"'))),
    "first": first["pipeline"]["version"], "twice": create(), "updated": updated["pipeline"]["version"],
    "old": pipelines.get_pipeline(name="p", version=1)["pipeline"]["artifactStore"]["location"],
    "new": pipelines.get_pipeline(name="p")["pipeline"]["artifactStore"]["location"],
    "none": outcome(pipelines.get_pipeline, name="p", version=9),
    "trigger": execution["trigger"]["triggerType"],
    "replayed": started[0] == started[1],
    "state": outcome(pipelines.get_pipeline_state, name="p"),
    "actions": outcome(pipelines.list_action_executions, pipelineName="p", filter={{"pipelineExecutionId": started[0]}}),
    "absent": outcome(pipelines.get_pipeline_state, name="q"),
}})"#
    );
    let found = shown(&bed, &code);
    let refused = |text: &str| json!(format!("InvalidStructureException: {text}"));
    let cannot = "is not authorized to perform AssumeRole on role";
    assert_eq!(found["absent service role"], refused(&format!("CodePipeline {cannot} {service_role}x")));
    let without_path = service_role.replace("/service-role", "");
    assert_eq!(found["path omitted"], refused(&format!("CodePipeline {cannot} {without_path}")));
    assert_eq!(found["absent action role"], refused(&format!("{service_role} {cannot} {action_role}x")));
    assert!(found["cross region"].as_str().unwrap().contains("no artifact store"), "{found:#}");
    assert!(found["twice"].as_str().unwrap().starts_with("PipelineNameInUseException"), "{found:#}");
    assert_eq!((&found["first"], &found["updated"]), (&json!(1), &json!(2)));
    assert_eq!((&found["old"], &found["new"]), (&json!("store"), &json!("other")));
    assert!(found["none"].as_str().unwrap().starts_with("PipelineVersionNotFoundException"), "{found:#}");
    assert_eq!(found["trigger"], "CreatePipeline");
    assert_eq!(found["replayed"], true);
    assert_eq!(found["state"]["stageStates"][1]["actionStates"][0]["latestExecution"]["status"], "Succeeded");
    assert_eq!(found["actions"]["actionExecutionDetails"][0]["actionName"], "Deploy");
    assert_eq!(found["actions"]["actionExecutionDetails"][0]["input"]["inputArtifacts"][0]["s3location"]["bucket"], "other");
    assert!(found["absent"].as_str().unwrap().starts_with("PipelineNotFoundException"), "{found:#}");
}

fn a_seeded_pipeline_keeps_members_that_nobody_knows() {
    let bed = Bed::new();
    let (service_role, _) = roles(&bed);
    let action = |name: &str| json!({"name": name, "actionTypeId": {}, "ofTheFuture": [1]});
    let mut pipeline = json!({
        "name": "p", "roleArn": service_role, "artifactStore": {"type": "S3", "location": "b"}, "ofTheFuture": {"a": null},
        "stages": [{"name": "A", "actions": [action("a")]}, {"name": "B", "actions": [action("b")]}],
    });
    assert_eq!(bed.dev.put_pipeline("us-east-1", &pipeline)["version"], 1);
    pipeline["pipelineType"] = json!("V2");
    let stored = bed.dev.put_pipeline("us-east-1", &pipeline);
    assert_eq!(stored["version"], 2);
    assert_eq!(stored["ofTheFuture"], json!({"a": null}));
    assert_eq!(bed.dump()["dev"]["pipelines"]["us-east-1"]["p"]["pipeline"], stored);
    // The answer itself, since boto3 drops what it doesn't know.
    shown(&bed, "show(dev('codepipeline').get_pipeline(name='p', version=1)['pipeline']['version'])");
    let answer: Value = serde_json::from_slice(&bed.proxy.calls("GetPipeline")[0].response).unwrap();
    assert_eq!(answer["pipeline"]["stages"][1]["actions"][0]["ofTheFuture"], json!([1]));
    assert_eq!(answer["pipeline"].get("pipelineType"), None);
    assert!(answer["metadata"]["created"].as_f64().unwrap() > 1.7e9, "{answer}");
}

fn executions_answer_what_a_test_sets() {
    let bed = Bed::new();
    let (service_role, action_role) = roles(&bed);
    let code = format!(
        "dev('codepipeline').create_pipeline(pipeline=structure('{service_role}', 'store', '{action_role}'))\n\
         show(dev('codepipeline').list_pipeline_executions(pipelineName='p')['pipelineExecutionSummaries'][0]['pipelineExecutionId'])"
    );
    let id = shown(&bed, &code).as_str().unwrap().to_owned();
    let error = json!({"code": "PermissionError", "message": "denied"});
    let set = json!({"status": "InProgress", "actions": {"Deploy": {"status": "Failed", "errorDetails": error}}});
    bed.dev.set_execution(&id, &set);
    let code = format!(
        r#"
pipelines = dev("codepipeline")
state = pipelines.get_pipeline_state(name="p")
running = pipelines.get_pipeline_execution(pipelineName="p", pipelineExecutionId="{id}")["pipelineExecution"]["status"]
pipelines.update_pipeline(pipeline=structure("{service_role}", "store", "{action_role}"))
show([running, state["stageStates"][1]["actionStates"][0]["latestExecution"]["errorDetails"],
      pipelines.list_pipeline_executions(pipelineName="p")["pipelineExecutionSummaries"][0]["status"]])"#
    );
    assert_eq!(shown(&bed, &code), json!(["InProgress", error, "Stopped"]));
}

fn buckets_and_keys_answer_as_aws() {
    let bed = Bed::new();
    let here = bed.bucket(&bed.dev, "here");
    let there = bed.bucket_in(&bed.dev, "there", "eu-west-1", true);
    let found = shown(
        &bed,
        &format!(
            r#"
here, there, s3 = "{here}", "{there}", dev("s3")
def header(method, **arguments):
    try:
        return method(**arguments)["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
    except botocore.exceptions.ClientError as error:
        answer = error.response["ResponseMetadata"]
        return [answer["HTTPStatusCode"], answer["HTTPHeaders"].get("x-amz-bucket-region")]
plain = boto3.client("s3", region_name="us-east-1", config=once)
kms, abroad = dev("kms"), dev("kms", "eu-west-1")
root = allow("kms:*", "*", {{"AWS": f"arn:aws:iam::{{DEV}}:root"}})
shared = allow("kms:DescribeKey", "*", {{"AWS": f"arn:aws:iam::{{PROD}}:root"}})
multi = kms.create_key(MultiRegion=True, Policy=policy(root))["KeyMetadata"]
kms.replicate_key(KeyId=multi["KeyId"], ReplicaRegion="eu-west-1", Policy=policy(root))
key = kms.create_key(Policy=policy(root, shared))["KeyMetadata"]
iam, events = dev("iam"), dev("events")
iam.create_role(RoleName="Name", AssumeRolePolicyDocument=service_trust)
events.put_rule(Name="r", EventPattern='{{"source":["aws.s3"]}}')
events.put_targets(Rule="r", Targets=[{{"Id": "1", "Arn": f"arn:aws:codepipeline:us-east-1:{{DEV}}:p"}}])
show({{
    "own": header(s3.head_bucket, Bucket=here),
    "owner": header(s3.head_bucket, Bucket=here, ExpectedBucketOwner=DEV),
    "not owner": header(s3.head_bucket, Bucket=here, ExpectedBucketOwner=PROD),
    "not owner's policy": outcome(s3.get_bucket_policy, Bucket=here, ExpectedBucketOwner=PROD),
    "stranger": header(prod("s3").head_bucket, Bucket=here),
    "absent": header(s3.head_bucket, Bucket="absent" + SUFFIX),
    "abroad": header(dev("s3", "eu-west-1").head_bucket, Bucket=there),
    "shared key": outcome(prod("kms").describe_key, KeyId=key["Arn"])["KeyMetadata"]["Arn"] == key["Arn"],
    "foreign key": outcome(prod("kms").describe_key, KeyId=multi["Arn"]),
    "replica": outcome(abroad.enable_key_rotation, KeyId=multi["KeyId"]),
    "case": outcome(iam.create_role, RoleName="name", AssumeRolePolicyDocument=service_trust),
    "attach": outcome(iam.attach_role_policy, RoleName="Name", PolicyArn=f"arn:aws:iam::{{DEV}}:policy/absent"),
    "rule": outcome(events.delete_rule, Name="r"),
    "sid": outcome(iam.create_policy, PolicyName="p", PolicyDocument=policy({{**allow("s3:*", "*"), "Sid": "a b"}})),
}})"#
        ),
    );
    let starts = |name: &str, text: &str| {
        assert!(found[name].as_str().is_some_and(|found| found.starts_with(text)), "{name}: {found:#}");
    };
    assert_eq!(found["own"], "us-east-1");
    assert_eq!(found["owner"], "us-east-1");
    assert_eq!(found["not owner"], json!([403, "us-east-1"]));
    starts("not owner's policy", "AccessDenied");
    assert_eq!(found["stranger"], json!([403, "us-east-1"]));
    assert_eq!(found["absent"], json!([404, null]));
    assert_eq!(found["abroad"], "eu-west-1");
    assert_eq!(found["shared key"], true);
    starts("foreign key", "AccessDeniedException");
    starts("replica", "UnsupportedOperationException");
    starts("case", "EntityAlreadyExists");
    starts("attach", "NoSuchEntity");
    starts("rule", "ValidationException");
    starts("sid", "MalformedPolicyDocument");

    // boto3 follows the redirect of a wrong region; the log has both calls.
    bed.proxy.clear();
    shown(&bed, &format!("show(outcome(dev('s3').get_bucket_versioning, Bucket='{there}'))"));
    let statuses: Vec<u16> = bed.proxy.requests().iter().map(|request| request.status).collect();
    assert!(statuses.contains(&301) && statuses.contains(&200), "{}", bed.proxy.table());
}

fn hooks_answer_drop_hang_and_interfere() {
    let bed = Bed::new();
    let dev = bed.dev.clone();
    let called = AtomicUsize::new(0);
    bed.proxy.on_request(move |request| match request.operation.as_str() {
        "CreateAlias" => Action::json_error(400, "AccessDeniedException", "not you"),
        "ListRoles" => Action::query_error(403, "AccessDenied", "nor you"),
        "ListBuckets" => Action::s3_error(503, "SlowDown", "slower"),
        "CreateUser" => Action::DropAfter,
        "CreatePolicy" => Action::DropBefore,
        "CreateRole" => Action::HangAfter,
        "CreateKey" => Action::HangBefore,
        "GetRole" if called.fetch_add(1, Ordering::SeqCst) == 0 => {
            dev.call("iam", "create_user", json!({"UserName": "intruder"}));
            Action::Forward
        }
        _ => Action::Forward,
    });
    let found = shown(
        &bed,
        r#"
iam, kms = dev("iam"), dev("kms")
show([
    outcome(kms.create_alias, AliasName="alias/a", TargetKeyId="k"),
    outcome(iam.list_roles),
    outcome(dev("s3").list_buckets),
    outcome(iam.create_user, UserName="dropped"),
    outcome(iam.create_policy, PolicyName="dropped", PolicyDocument=policy(allow("s3:*", "*"))),
    outcome(iam.create_role, RoleName="hung", AssumeRolePolicyDocument=service_trust),
    outcome(kms.create_key),
    outcome(iam.get_role, RoleName="x"),
])"#,
    );
    let found: Vec<&str> = found.as_array().unwrap().iter().map(|found| found.as_str().unwrap()).collect();
    assert_eq!(found[..3], ["AccessDeniedException: not you", "AccessDenied: nor you", "SlowDown: slower"]);
    assert_eq!(found[3..5], ["ConnectionClosedError", "ConnectionClosedError"]);
    assert_eq!(found[5..7], ["ReadTimeoutError", "ReadTimeoutError"]);
    assert!(found[7].starts_with("NoSuchEntity"), "{found:?}");
    let dump = bed.dump();
    assert!(dump["dev"]["users"]["dropped"].is_object() && dump["dev"]["users"]["intruder"].is_object());
    assert!(dump["dev"]["roles"]["hung"].is_object());
    assert_eq!(dump["dev"]["policies"], json!({}));
    assert_eq!(dump["dev"]["keys"]["us-east-1"], json!({}));
    assert_eq!(bed.proxy.calls("CreateUser")[0].finished, None);
    assert_eq!(bed.proxy.calls("CreateUser")[0].status, 200);
}

fn a_run_is_killed_before_or_after_a_call() {
    const CODE: &str = r#"
iam = dev("iam")
for name in "abc":
    iam.list_users()
    iam.create_user(UserName=name)"#;
    for (n, when, users) in [(0, When::Before, 0), (0, When::After, 1), (2, When::Before, 2), (2, When::After, 3)] {
        let bed = Bed::new();
        let killed = bed.command_killed(snippet(&bed, CODE), n, true, when);
        let Killed::At(request) = killed else { panic!("not reached: {killed:?}") };
        assert_eq!((request.operation.as_str(), request.index), ("CreateUser", 2 * n + 1));
        // The caller is a user too.
        assert_eq!(bed.dump()["dev"]["users"].as_object().unwrap().len(), users + 1, "{n} {when:?}");
    }
    let bed = Bed::new();
    let killed = bed.command_killed(snippet(&bed, CODE), 3, true, When::Before);
    assert!(matches!(&killed, Killed::Never(output) if output.status == 0), "{killed:?}");
}

fn the_longest_chain_counts_round_trips() {
    let bed = Bed::new();
    bed.proxy.set_latency(Duration::from_millis(150));
    let before = Instant::now();
    let output = boto3(
        &bed,
        r#"
import concurrent.futures
iam = dev("iam")
iam.list_users()
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda _: iam.list_roles(), range(4)))
iam.list_users()"#,
    )
    .success();
    assert!(before.elapsed() > Duration::from_millis(450));
    assert_eq!(bed.proxy.requests().len(), 6);
    assert_eq!(bed.proxy.longest_chain().len(), 3, "{}", output.calls);
    assert_eq!(bed.proxy.writes().len(), 0);
    bed.proxy.clear();
    assert_eq!(bed.proxy.requests().len(), 0);
}

fn callers_are_who_they_are() {
    let identity = "show([dev('sts').get_caller_identity()['Arn'], prod('sts').get_caller_identity()['Arn']])";
    let bed = Bed::with_callers(Caller::sso(), Caller::Root);
    let session = format!("arn:aws:sts::{}:assumed-role/AWSReservedSSO_Administrator_0123456789abcdef/tester@example.com", bed.dev.id);
    assert_eq!(shown(&bed, identity), json!([session, format!("arn:aws:iam::{}:root", bed.prod.id)]));
    assert!(bed.dev.caller_arn.contains(":role/aws-reserved/sso.amazonaws.com/"), "{}", bed.dev.caller_arn);
    assert_eq!(bed.proxy.requests()[0].account, bed.dev.id);
    assert_eq!(bed.proxy.requests()[1].account, bed.prod.id);

    let bed = Bed::new();
    let arn = |account: &Account| format!("arn:aws:iam::{}:user/caller", account.id);
    assert_eq!(shown(&bed, identity), json!([arn(&bed.dev), arn(&bed.prod)]));
    // Signatures are checked.
    let credentials = std::fs::read_to_string(bed.credentials_file()).unwrap();
    std::fs::write(bed.credentials_file(), credentials.replace(&bed.dev.secret_key, "wrong")).unwrap();
    let found = shown(&bed, "show(outcome(dev('sts').get_caller_identity))");
    assert!(found.as_str().unwrap().starts_with("SignatureDoesNotMatch"), "{found}");
}

fn a_printed_secret_fails_the_test() {
    let bed = Bed::new();
    let tells = || boto3(&bed, "print(boto3.Session(profile_name='dev').get_credentials().secret_key)");
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(tells)).expect_err("nobody saw it");
    let said = failed.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(said.contains("printed a secret"), "{said}");
}

fn normalised_text_is_the_same_in_every_run() {
    let bed = Bed::new();
    let text = format!(
        "{} arn:aws:iam::{}:role/x at {}/config via http://127.0.0.1:{}\n\
         key/1f0c35a2-9b3e-4d9e-8d57-4b9d6b0f4b11 mrk-1234567890abcdef1234567890abcdef \
         again 1f0c35a2-9b3e-4d9e-8d57-4b9d6b0f4b11, other 2f0c35a2-9b3e-4d9e-8d57-4b9d6b0f4b12\n\
         request id: 1rIQYVSItFKGYWuH74Qi04Mq1HUGPQk409SDhNeEhil108pxbt6K (AKIA1234567890ABCDEF)\n\
         2026-11-22T13:18:49.715Z 2026-11-22 13:18:49+00:00 took 1.25s, 0.3 s, kept 30 s and 1.2.3\n",
        bed.unique_name("input"),
        bed.prod.id,
        bed.dir().display(),
        bed.proxy.port,
    );
    assert_eq!(
        bed.normalise(&text),
        "input-0000000000 arn:aws:iam::222222222222:role/x at [DIR]/config via http://127.0.0.1:[PORT]\n\
         key/00000000-0000-0000-0000-000000000001 mrk-00000000000000000000000000000002 \
         again 00000000-0000-0000-0000-000000000001, other 00000000-0000-0000-0000-000000000003\n\
         request id: REQUEST-ID (AKIAXXXXXXXXXXXXXXXX)\n\
         2000-01-01T00:00:00Z 2000-01-01T00:00:00Z took 0.0s, 0.0s, kept 30 s and 1.2.3\n"
    );
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        absent_principals_are_refused_with_the_words_of_aws,
        a_new_role_is_invisible_for_the_time_of_propagation,
        pipelines_are_checked_counted_and_kept_whole,
        a_seeded_pipeline_keeps_members_that_nobody_knows,
        executions_answer_what_a_test_sets,
        buckets_and_keys_answer_as_aws,
        hooks_answer_drop_hang_and_interfere,
        a_run_is_killed_before_or_after_a_call,
        the_longest_chain_counts_round_trips,
        callers_are_who_they_are,
        a_printed_secret_fails_the_test,
        normalised_text_is_the_same_in_every_run,
    ]
}
