//! Secrets of others: no output of any command and no file that xdeploy writes holds them, and what is written to AWS has them still.

use crate::support::compare::same;
use crate::support::served::{Served, served, with};
use serde_json::{Value, json};
use snapbox::str;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use xdeploy::rehearsal::{DEV, PROD};

/// Whoever finds this has found a secret.
const CANARY: &str = "CANARY-do-not-tell-7Qz";
/// What looks like a secret access key.
const KEY: &str = "wJalrXUtnFEMI4Z7MDENG4bPxRfiCYEX1MPLE4EY";
const HOME: &str = "us-east-1";
const NAME: &str = "crossaccountdeploy";

/// A pipeline that others use too, with their secrets where people put them, and something to do for setup in each document.
fn world() -> Served {
    use aws_sdk_codepipeline::types as pipelines;
    let served = served();
    served.run(&with(&["setup", "--yes"]));
    let theirs = |action: &str, resource: &str| {
        json!({"Sid": "Theirs", "Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111111111111:user/caller"}, "Action": action,
            "Resource": resource, "Condition": {"StringEquals": {"aws:Referer": CANARY, "aws:UserAgent": [CANARY, "b"]}}})
    };
    served.block_on(async {
        let dev = served.rehearsal.config(served.rehearsal.root_keys(DEV), HOME);
        let s3 = aws_sdk_s3::Client::new(&dev);
        let bucket = "codepipeline-us-east-1-111111111111";
        let text = s3.get_bucket_policy().bucket(bucket).send().await.unwrap().policy.unwrap();
        let mut policy: Value = serde_json::from_str(&text).unwrap();
        let statements = policy["Statement"].as_array_mut().unwrap();
        statements.remove(0);
        statements.push(theirs("s3:GetObject", &format!("arn:aws:s3:::{bucket}/*")));
        s3.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await.unwrap();
        let kms = aws_sdk_kms::Client::new(&dev);
        let key = kms.describe_key().key_id("alias/s3deploykey").send().await.unwrap().key_metadata.unwrap().key_id;
        let text = kms.get_key_policy().key_id(&key).send().await.unwrap().policy.unwrap();
        let mut policy: Value = serde_json::from_str(&text).unwrap();
        let statements = policy["Statement"].as_array_mut().unwrap();
        statements.retain(|one| !one["Sid"].as_str().is_some_and(|sid| sid.ends_with("KeyUsers")));
        statements.push(theirs("kms:Decrypt", "*"));
        kms.put_key_policy().key_id(&key).policy_name("default").policy(policy.to_string()).send().await.unwrap();
        let iam = aws_sdk_iam::Client::new(&dev);
        let inline = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::111111111111:role/other",
            "Condition": {"StringEquals": {"sts:ExternalId": CANARY}}}]});
        let role = "AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy";
        iam.put_role_policy().role_name(role).policy_name("theirs").policy_document(inline.to_string()).send().await.unwrap();
        let events = aws_sdk_eventbridge::Client::new(&dev);
        events.put_rule().name("theirs").schedule_expression("rate(1 day)").send().await.unwrap();
        let target = aws_sdk_eventbridge::types::Target::builder().id("1").arn(format!("arn:aws:codepipeline:{HOME}:{DEV}:{NAME}"));
        let target = target.role_arn(format!("arn:aws:iam::{DEV}:role/service-role/cwe-role-{HOME}-{NAME}")).input(json!({"token": CANARY}).to_string());
        let put = events.put_targets().rule("theirs").targets(target.build().unwrap()).send().await.unwrap();
        assert!(put.failed_entries().is_empty(), "{put:?}");
        let client = aws_sdk_codepipeline::Client::new(&dev);
        let mut pipeline = client.get_pipeline().name(NAME).send().await.unwrap().pipeline.unwrap();
        let kind = |category, owner, provider: &str| {
            pipelines::ActionTypeId::builder().category(category).owner(owner).provider(provider).version("1").build().unwrap()
        };
        let variables = json!([{"name": "DB", "value": CANARY, "type": "PLAINTEXT"}, {"name": "X", "value": KEY}]).to_string();
        let build = pipelines::ActionDeclaration::builder()
            .name("Build")
            .action_type_id(kind(pipelines::ActionCategory::Build, pipelines::ActionOwner::Aws, "CodeBuild"))
            .configuration("ProjectName", "site")
            .configuration("EnvironmentVariables", variables)
            .input_artifacts(pipelines::InputArtifact::builder().name("SourceArtifact").build().unwrap());
        let hub = pipelines::ActionDeclaration::builder()
            .name("Hub")
            .action_type_id(kind(pipelines::ActionCategory::Source, pipelines::ActionOwner::ThirdParty, "GitHub"))
            .configuration("OAuthToken", CANARY)
            .configuration("Repo", "site")
            .output_artifacts(pipelines::OutputArtifact::builder().name("HubArtifact").build().unwrap());
        let invoke = pipelines::ActionDeclaration::builder()
            .name("Tell")
            .action_type_id(kind(pipelines::ActionCategory::Invoke, pipelines::ActionOwner::Aws, "Lambda"))
            .configuration("FunctionName", "tell")
            .configuration("UserParameters", format!("password={CANARY}"));
        pipeline.stages[0].actions.push(hub.build().unwrap());
        pipeline.stages[1].actions[0].role_arn = None;
        let after = pipelines::StageDeclaration::builder().name("After").actions(build.build().unwrap()).actions(invoke.build().unwrap());
        pipeline.stages.push(after.build().unwrap());
        pipeline.pipeline_type = Some(pipelines::PipelineType::V2);
        pipeline.variables = Some(vec![pipelines::PipelineVariableDeclaration::builder().name("word").default_value(CANARY).build().unwrap()]);
        client.update_pipeline().pipeline(pipeline).send().await.unwrap();
    });
    served
}

fn dump(served: &Served) -> String {
    served.rehearsal.dump().to_string()
}

/// Finds the canaries in a folder's files.
fn found_in(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found_in(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.extend(text.lines().filter(|line| tells(line)).map(|line| format!("{}: {line}", path.display())));
        }
    }
}

fn tells(text: &str) -> bool {
    text.contains("CANARY") || text.contains(KEY)
}

const REPORTS: [&str; 5] = ["json=r.json", "junit=r.xml", "sarif=r.sarif", "github=r.txt", "markdown=r.md"];

#[test]
fn no_output_and_no_file_tells_a_secret() {
    let served = world();
    let there = dump(&served).matches("CANARY").count();
    assert!(there > 8, "{there}");
    let reports: Vec<&str> = REPORTS.iter().flat_map(|report| ["--report", report]).collect();
    let commands: [&[&str]; 7] = [
        &["plan", "--out", "plan.json"],
        &["plan", "--policies", "least-privilege"],
        &["setup", "--dry-run"],
        &["verify"],
        &["teardown", "--dry-run"],
        &["explain"],
        &["setup", "--side", "dev", "--prod-account", PROD],
    ];
    for command in commands {
        for format in [&[][..], &["--output", "json"], &reports] {
            if command[0] == "explain" && format.len() > 2 {
                continue;
            }
            let all = with(&[command, format].concat());
            let output = match command.contains(&"--side") {
                true => served.command(&[&all[..], &["--dev-profile", "dev", "--yes"]].concat()).output().unwrap(),
                false => served.try_run(&all),
            };
            let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(matches!(output.status.code(), Some(0 | 1 | 5)), "{command:?}: {said}");
            assert!(!tells(&said), "{command:?} {format:?}: {:?}", said.lines().filter(|line| tells(line)).collect::<Vec<_>>());
            let mut found = Vec::new();
            found_in(served.dir.path(), &mut found);
            assert!(found.is_empty(), "{command:?} {format:?}: {found:#?}");
        }
    }
    let handoff = fs::read_to_string(served.dir.path().join("handoff.json")).unwrap();
    assert!(handoff.contains("(withheld)") && !handoff.contains("sha256 "), "{handoff}");
    let plan = served.dir.path().join("plan.json");
    assert_eq!(fs::metadata(&plan).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&plan).unwrap().contains("(withheld, sha256 "));
}

#[test]
fn no_export_tells_a_secret() {
    let served = world();
    served.run(&with(&["plan", "--out", "plan.json"]));
    for from in [&with(&["export"])[..], &["export", "--plan", "plan.json"]] {
        for (format, code, says) in
            [("cloudformation", 0, "may be a secret"), ("terraform", 0, "may be a secret"), ("awscli", 3, "may be a secret")]
        {
            let output = served.try_run(&[from, &["--format", format, "--out", "out", "--overwrite"]].concat());
            let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!(output.status.code(), Some(code), "{format}: {said}");
            let (mut found, mut texts) = (Vec::new(), said);
            found_in(served.dir.path(), &mut found);
            assert!(found.is_empty() && !tells(&texts), "{format}: {found:#?}\n{texts}");
            for entry in fs::read_dir(served.dir.path().join("out")).into_iter().flatten() {
                texts.push_str(&fs::read_to_string(entry.unwrap().path()).unwrap());
            }
            assert!(texts.contains(says) && !texts.contains("sha256 "), "{format}: {texts}");
            let _ = fs::remove_dir_all(served.dir.path().join("out"));
        }
    }
}

#[test]
fn a_script_that_would_hold_a_secret_is_refused() {
    let served = world();
    let output = served.try_run(&with(&["export", "--format", "awscli"]));
    same(
        &String::from_utf8(output.stderr).unwrap().lines().skip(2).map(|line| format!("{line}\n")).collect::<String>(),
        str![[r#"
error: set-up.sh would hold what may be a secret
  caused by: it has to write the whole of: update policy of the key in us-east-1: users are the service role and account 222222222222; update policy of codepipeline-us-east-1-111111111111: account 222222222222 may read and write artifacts; update pipeline crossaccountdeploy: the deploy action's roleArn

hint: `xdeploy setup`, or `xdeploy plan --out FILE` and `xdeploy apply FILE`, write it without showing it

"#]],
    );
}

#[test]
fn a_saved_plan_is_applied_with_the_secrets_that_are_there() {
    let served = world();
    let before = dump(&served);
    served.run(&with(&["plan", "--out", "plan.json"]));
    served.run(&["apply", "plan.json"]);
    let after = dump(&served);
    // The pipeline has a version more, with all that the one before it had.
    for (secret, of_pipeline) in [("CANARY", 4), (KEY, 1)] {
        assert_eq!(after.matches(secret).count(), before.matches(secret).count() + of_pipeline, "{secret}");
    }
    assert!(!after.contains("withheld"));
    let said = served.run(&with(&["setup", "--dry-run"]));
    assert!(said.contains("No changes."), "{said}");
}

/// Changes the password of the build, as a colleague would.
fn another_password(served: &Served) {
    served.block_on(async {
        let client = aws_sdk_codepipeline::Client::new(&served.rehearsal.config(served.rehearsal.root_keys(DEV), HOME));
        let mut pipeline = client.get_pipeline().name(NAME).send().await.unwrap().pipeline.unwrap();
        pipeline.variables = Some(vec![
            aws_sdk_codepipeline::types::PipelineVariableDeclaration::builder().name("word").default_value("another").build().unwrap(),
        ]);
        client.update_pipeline().pipeline(pipeline).send().await.unwrap();
    });
}

#[test]
fn a_secret_that_changed_makes_a_plan_stale() {
    let served = world();
    served.run(&with(&["plan", "--out", "plan.json"]));
    another_password(&served);
    let before = dump(&served);
    let (code, said) = served.attempt(&["apply", "plan.json"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the world has moved since the plan was made: pipeline / declaration"), "{said}");
    assert_eq!(dump(&served), before);
}

/// Whoever writes the name of a secret where it isn't has it written nowhere.
#[test]
fn a_hash_in_another_place_is_refused() {
    let served = world();
    served.run(&with(&["plan", "--out", "plan.json"]));
    let path = served.dir.path().join("plan.json");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("(withheld, sha256 ").unwrap();
    let hash = &text[at..at + text[at..].find(')').unwrap() + 1];
    let forged = text.replace("\"Extract\": \"true\"", &format!("\"Extract\": \"{hash}\""));
    assert_ne!(forged, text);
    fs::write(&path, forged).unwrap();
    let (code, said) = served.attempt(&["apply", "plan.json"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("was changed after it was made"), "{said}");
}

#[test]
fn what_names_where_a_secret_is_is_told() {
    let mut value = json!({"configuration": {"EnvironmentVariables":
        json!([{"name": "A", "value": "/app/word", "type": "PARAMETER_STORE"}, {"name": "B", "value": "app", "type": "SECRETS_MANAGER"}]).to_string(),
        "ProjectName": "site", "S3ObjectKey": KEY}, "Resource": format!("arn:aws:s3:::{KEY}"),
        "Condition": {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::1:role/x", "s3:prefix": "a"}, "Null": {"aws:Referer": "true"}}});
    let before = value.clone();
    xdeploy::deploy::redaction::Redaction::without_hashes().redact(&mut value);
    assert_eq!(value, before);
}
