//! `xdeploy export`: a plan as text, and what comes of it where it is run.

use crate::needs::{AWS_CLI, NOTHING};
use crate::support::Bed;
use crate::support::compare::difference;
use crate::support::compare::same;
use crate::support::depth::sampled;
use crate::support::exported::{planned, sample, scenes, strange, with_artifact};
use crate::support::running::{at_once, side_by_side};
use crate::support::scene::{self, ARTIFACTS, PIPELINE, SERVICE_ROLE, Scene};
use crate::support::script::{self, End, Ran};
use crate::support::served::{self, Served};
use crate::support::stage::HOME;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use snapbox::{file, str};
use std::collections::BTreeMap;
use xdeploy::deploy::plan::Plan;
use xdeploy::export::{Format, of_plan};
use xdeploy::model::{Policies, Side, quoted};

fn script_of(plan: &Plan, side: Option<Side>) -> String {
    let sheets = of_plan(plan, side, Format::Awscli).unwrap();
    let [sheet] = sheets.as_slice() else { panic!("{sheets:#?}") };
    script::shellcheck(&sheet.text);
    sheet.text.clone()
}

/// The profiles of scenes have other names than those of what is served.
const PROFILES: [(&str, &str); 2] = [("DEV_PROFILE", "dev"), ("PROD_PROFILE", "prod")];

fn run(served: &Served, text: &str, variables: &[(&str, &str)], end: End) -> Ran {
    script::run(&served.command(&[]), text, &[&PROFILES[..], variables].concat(), end)
}

/// The same scene with its accounts behind a port.
fn serve(scene: &Scene) -> (Scene, Served) {
    let copy = scene.fork();
    let served = Served::around(copy.rehearsal.clone().at(served::now()).signed());
    (copy, served)
}

/// What XML says, however it is written.
fn said(node: roxmltree::Node<'_, '_>) -> Value {
    let mut children: Vec<Value> = node.children().filter(roxmltree::Node::is_element).map(said).collect();
    children.sort_by_key(ToString::to_string);
    json!({"name": node.tag_name().name(), "text": node.text().map(str::trim).unwrap_or_default(), "children": children})
}

/// The state of a scene, with what notifications say in the place of their text.
fn state(scene: &Scene) -> Value {
    let mut state = scene.state();
    for bucket in state["buckets"].as_object_mut().unwrap().values_mut() {
        if let Some(text) = bucket["notification"].as_str().filter(|text| !text.is_empty()) {
            bucket["notification"] = said(roxmltree::Document::parse(text).unwrap().root_element());
        }
    }
    state
}

fn state_that_setup_gives(scene: &Scene) -> Value {
    let copy = scene.fork();
    at_once(async { copy.set_up(&copy.rehearsal.line()).await.unwrap() });
    state(&copy)
}

fn the_script_gives_the_state_that_setup_gives_and_again_changes_nothing() {
    for (name, scene) in sampled("scenes", scenes().into_iter().chain([("strange", strange())]).collect(), 2) {
        let expected = state_that_setup_gives(&scene);
        let text = script_of(&planned(&scene), None);
        let (copy, served) = serve(&scene);
        let started = std::time::Instant::now();
        let ran = run(&served, &text, &[], End::Never).success();
        println!("{name}: {} calls of the AWS CLI in {:.1?}", ran.calls, started.elapsed());
        assert_eq!(difference(&expected, &state(&copy)), "", "{name}");
        assert!(planned(&copy).is_empty(), "{name}: {:#?}", planned(&copy).writes());
        let before = copy.rehearsal.dump();
        run(&served, &text, &[], End::Never).success();
        assert_eq!(difference(&before, &copy.rehearsal.dump()), "", "{name}, the second time");
    }
}

/// Stops a script at a call, runs it again and compares.
fn stopped(name: &str, scene: &Scene, text: &str, expected: &Value, end: End) -> Result<(), String> {
    let (copy, served) = serve(scene);
    let first = run(&served, text, &[], end);
    if first.code == Some(0) {
        return Err(format!("{name}: {end:?} was never reached"));
    }
    let again = run(&served, text, &[], End::Never);
    if again.code != Some(0) {
        return Err(format!("{name}, after {end:?}: {}", again.stderr));
    }
    let found = state(&copy);
    if found == *expected { Ok(()) } else { Err(format!("{name}, after {end:?}: {}", difference(expected, &found))) }
}

fn a_script_that_was_ended_anywhere_is_finished_by_running_it_again() {
    for (name, scene) in [("two regions", at_once(Scene::fresh("eu-west-1", Policies::Article))), ("adopting", at_once(Scene::adopting()))]
    {
        let expected = state_that_setup_gives(&scene);
        let text = script_of(&planned(&scene), None);
        let (_, served) = serve(&scene);
        let calls = run(&served, &text, &[], End::Never).success().calls;
        // A run takes seconds: a few of all the stops, and unanswered ones, which are the harder.
        let stride = calls / STOPS;
        let ends: Vec<End> =
            (0..STOPS).map(|number| number * stride + 1).flat_map(|at| [End::Before(at), End::After(at + stride / 2)]).collect();
        let ends = sampled(name, ends, 2);
        let wrong = side_by_side(&ends, |end| stopped(name, &scene, &text, &expected, *end));
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// How many calls of a script are tried to end it at.
const STOPS: usize = 4;

/// Changes one document, with the mark `Mine` in it.
async fn change(what: &str, accounts: &xdeploy::aws::Accounts) {
    let (dev, prod) = (&accounts.dev, &accounts.prod);
    let mine = |members: Value| {
        let mut statement = json!({"Sid": "Mine", "Effect": "Allow", "Action": "*", "Resource": "*"});
        statement.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        scene::document(json!([statement]))
    };
    let root = json!({"AWS": dev.iam_arn("root")});
    match what {
        "policy of key" => {
            let id = dev.kms(HOME).describe_key().key_id("alias/s3deploykey").send().await.unwrap();
            let put = dev.kms(HOME).put_key_policy().key_id(id.key_metadata().unwrap().key_id());
            put.policy(mine(json!({"Principal": root, "Action": "kms:*"}))).send().await.map(drop).unwrap();
        }
        "policy of bucket" => {
            let policy = mine(json!({"Principal": root, "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{ARTIFACTS}/*")}));
            dev.s3(HOME).put_bucket_policy().bucket(ARTIFACTS).policy(policy).send().await.map(drop).unwrap();
        }
        "trust policy of role" => {
            let trust = json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "Mine", "Effect": "Allow", "Principal": {"AWS": prod.iam_arn("root")}, "Action": "sts:AssumeRole"}]});
            let update = prod.iam().update_assume_role_policy().role_name("prods3role");
            update.policy_document(trust.to_string()).send().await.map(drop).unwrap();
        }
        "policy arn:" => {
            let make = dev.iam().create_policy_version().policy_arn(dev.iam_arn("policy/assumeprods3role"));
            make.policy_document(mine(json!({}))).set_as_default(true).send().await.map(drop).unwrap();
        }
        "policy xdeploy-" => {
            let put = dev.iam().put_role_policy().role_name(SERVICE_ROLE).policy_name(format!("xdeploy-{PIPELINE}"));
            put.policy_document(mine(json!({}))).send().await.map(drop).unwrap();
        }
        "notification configuration" => {
            use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
            let queue = QueueConfiguration::builder().id("Mine").events(Event::S3ObjectRemovedDelete);
            let queue = queue.queue_arn(format!("arn:aws:sqs:{HOME}:{}:mine", dev.id)).build().unwrap();
            let put = dev.s3(HOME).put_bucket_notification_configuration().bucket("in-bucket").skip_destination_validation(true);
            let put = put.notification_configuration(NotificationConfiguration::builder().queue_configurations(queue).build());
            put.send().await.map(drop).unwrap();
        }
        "pipeline" => {
            let got = dev.codepipeline(HOME).get_pipeline().name(PIPELINE).send().await.unwrap();
            let mut declared = got.pipeline().unwrap().clone();
            declared.stages[1].actions[0].namespace = Some("Mine".to_owned());
            dev.codepipeline(HOME).update_pipeline().pipeline(declared).send().await.map(drop).unwrap();
        }
        other => panic!("{other}"),
    }
}

fn a_document_that_has_moved_stops_the_script_and_stays() {
    let scene = at_once(Scene::adopting());
    let text = script_of(&planned(&scene), None);
    let documents = [
        "policy of key",
        "policy of bucket",
        "trust policy of role",
        "policy arn:",
        "policy xdeploy-",
        "notification configuration",
        "pipeline",
    ];
    let documents = sampled("documents", documents.to_vec(), 2);
    let wrong = side_by_side(&documents, |what| {
        let (copy, served) = serve(&scene);
        at_once(async { change(what, &copy.accounts(&copy.rehearsal.line()).await.unwrap()).await });
        let ran = run(&served, &text, &[], End::Never);
        let said = ran.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        let told = said.contains(what) && said.ends_with(" has changed since the plan was made; nothing was written to it");
        let kept = state(&copy).to_string().contains("\"Mine\"");
        if ran.code == Some(1) && told && kept { Ok(()) } else { Err(format!("{what}: {:?}, kept {kept}\n{}", ran.code, ran.stderr)) }
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn a_script_waits_until_what_it_made_is_seen() {
    let ways = vec![("new", Policies::Article, HOME, 3), ("two regions", Policies::LeastPrivilege, "eu-west-1", 5)];
    for (name, policies, target, late) in sampled("ways", ways, 1) {
        let mut scene = at_once(Scene::fresh(target, policies));
        let expected = state_that_setup_gives(&scene);
        let text = script_of(&planned(&scene), None);
        scene.rehearsal = scene.rehearsal.settle(late);
        let (copy, served) = serve(&scene);
        let ran = run(&served, &text, &[("WAIT_SECONDS", "180")], End::Never).success();
        assert!(ran.stderr.contains("\n  waiting: "), "{name}: {}", ran.stderr);
        copy.rehearsal.wait();
        assert_eq!(difference(&expected, &state(&copy)), "", "{name}");
    }
}

fn each_side_runs_its_own_script_and_both_come_to_what_setup_gives() {
    for (name, scene) in [("new", scenes()[0].1.fork()), ("two regions", scenes()[2].1.fork())] {
        let expected = state_that_setup_gives(&scene);
        let plan = planned(&scene);
        let [dev, prod] = [Side::Dev, Side::Prod].map(|side| script_of(&plan, Some(side)));
        assert!(!dev.contains("PROD_PROFILE") && !prod.contains("DEV_PROFILE"));
        let (copy, served) = serve(&scene);
        // Production needs the key, and says so before it writes anything.
        let early = run(&served, &prod, &[], End::Never);
        assert_eq!(early.code, Some(1));
        assert!(early.stderr.starts_with("error: KEY_ARN_") && early.stderr.contains("_1 is not set\n"), "{}", early.stderr);
        let theirs = format!("arn:aws:kms:us-east-1:{}:key/1", xdeploy::rehearsal::PROD);
        let foreign = run(&served, &prod, &[("KEY_ARN_US_EAST_1", &theirs), ("KEY_ARN_EU_WEST_1", &theirs)], End::Never);
        assert!(foreign.code == Some(1) && foreign.stderr.contains("which is no key of account 111111111111"), "{}", foreign.stderr);
        assert_eq!(state(&copy), state(&scene), "{name}");
        // All but the pipeline, whose creation looks whether production's role can be assumed.
        let half = run(&served, &dev, &[], End::Never);
        assert_eq!(half.code, Some(1), "{}", half.stderr);
        assert!(half.stderr.contains("is not authorized to perform AssumeRole on role"), "{}", half.stderr);
        let told: Vec<(&str, &str)> = half.stdout.lines().filter_map(|line| line.split_once('=')).collect();
        run(&served, &prod, &told, End::Never).success();
        run(&served, &dev, &[], End::Never).success();
        assert_eq!(difference(&expected, &state(&copy)), "", "{name}");
        run(&served, &prod, &told, End::Never).success();
        assert_eq!(difference(&expected, &state(&copy)), "", "{name}, production again");
    }
}

fn a_side_that_sees_its_own_account_alone_exports_the_same_script() {
    let served = served::served();
    let of = |args: &[&str]| {
        let output = served.command(&[&["export", "--format", "awscli"], &served::BUCKETS[..], args].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let other = format!("--prod-account={}", xdeploy::rehearsal::PROD);
    let alone = of(&["--side", "dev", "--dev-profile", "dev", &other]);
    let both = of(&["--side", "dev", "--dev-profile", "dev", "--prod-profile", "prod"]);
    script::shellcheck(&alone);
    let calls = |text: &str| text.lines().filter(|line| line.contains(" DEV ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(calls(&alone), calls(&both));
    assert!(calls(&alone).last().unwrap().starts_with("create_pipeline DEV "), "{alone}");
}

fn a_script_goes_only_to_the_accounts_that_it_was_made_for() {
    let scene = at_once(Scene::fresh(HOME, Policies::Article));
    let text = script_of(&planned(&scene), None);
    let (copy, served) = serve(&scene);
    let before = copy.rehearsal.dump();
    let ran = run(&served, &text, &[("PROD_PROFILE", "dev")], End::Never);
    assert_eq!(ran.code, Some(1));
    let said = "error: PROD_PROFILE is account \"111111111111\", and the plan was made for 222222222222\n";
    assert!(ran.stderr.starts_with(said), "{}", ran.stderr);
    assert_eq!(copy.rehearsal.dump(), before);
    // Without a profile the AWS CLI decides who calls: here nobody.
    let ran = run(&served, &text, &[("PROD_PROFILE", "")], End::Never);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("error: who PROD_PROFILE is could not be found out\n"), "{}", ran.stderr);
}

fn what_a_script_needs_and_is_not_there_is_said_first() {
    let scene = at_once(Scene::fresh(HOME, Policies::Article));
    let text = script_of(&planned(&scene), None);
    let (_, served) = serve(&scene);
    let bin = tempfile::tempdir().unwrap();
    let bash = std::env::split_paths(&std::env::var_os("PATH").unwrap()).map(|dir| dir.join("bash")).find(|path| path.exists()).unwrap();
    std::os::unix::fs::symlink(bash, bin.path().join("bash")).unwrap();
    for (program, expected) in [("aws", "error: aws is missing\n"), ("jq", "error: jq is missing\n")] {
        let ran = run(&served, &text, &[("PATH", bin.path().to_str().unwrap())], End::Never);
        assert!(ran.code == Some(1) && ran.stderr.starts_with(expected), "{}", ran.stderr);
        std::fs::write(bin.path().join(program), "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(bin.path().join(program), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
}

fn on_the_emulators_the_script_gives_what_setup_gives() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let asked = ["--input-bucket", &input, "--output-bucket", &output];
    let text = bed.run(&[&["export", "--format", "awscli"], &asked[..]].concat()).success().stdout.clone();
    script::shellcheck(&text);
    let command = bed.command(&[]);
    script::run(&command, &text, &[], End::Never).success();
    let said = bed.run(&[&["setup", "--yes"], &asked[..]].concat()).success();
    assert!(said.stdout.contains("No changes."), "{}", said.report());
    let before = bed.dump();
    script::run(&command, &text, &[], End::Never).success();
    assert_eq!(bed.dump(), before);
}

fn a_script_makes_buckets_and_uploads_the_artifact_once() {
    let served = with_artifact();
    let text = String::from_utf8(served.command(&["export", "--format", "awscli", "--plan", "p"]).output().unwrap().stdout).unwrap();
    script::shellcheck(&text);
    let ran = script::run(&served.command(&[]), &text, &[], End::Never);
    // The file is named as the plan's maker named it, from their folder.
    assert_eq!(ran.code, Some(1));
    let whole = text.replace("'it'\\''s site.zip'", &quoted(&served.dir.path().join("it's site.zip").display().to_string()));
    assert_ne!(whole, text);
    script::run(&served.command(&[]), &whole, &[], End::Never).success();
    let said = served.run(&[&["setup", "--yes"], &served::BUCKETS[..], &["--artifact", "it's site.zip"]].concat());
    assert!(said.contains("No changes."), "{said}");
    let before = served.rehearsal.dump();
    script::run(&served.command(&[]), &whole, &[], End::Never).success();
    assert_eq!(difference(&before, &served.rehearsal.dump()), "");
    std::fs::write(served.dir.path().join("it's site.zip"), "another").unwrap();
    let ran = script::run(&served.command(&[]), &whole, &[], End::Never);
    assert!(ran.code == Some(1) && ran.stderr.contains("has changed since the plan was made"), "{}", ran.stderr);
}

/// Ends a comment, a heading, a quoted word and a fence wherever one of them lets it.
const BREAKOUT: &str = "x'\ndata \"external\" \"x\" {}\n```\n# Heading\necho broken\r#.zip";

fn no_name_ends_a_line_that_it_stands_in() {
    let served = Served::new();
    std::fs::write(served.dir.path().join(BREAKOUT), sample()).unwrap();
    served.run(&[&["plan"], &served::BUCKETS[..], &["--create-buckets", "--artifact", BREAKOUT, "--out", "p"]].concat());
    let plan = Plan::load(&served.dir.path().join("p")).unwrap();
    // By hand, since the pipeline is there: a command in a comment.
    served.run(&[&["setup", "--yes"], &served::BUCKETS[..], &["--create-buckets"]].concat());
    served.run(&[&["plan"], &served::BUCKETS[..], &["--artifact", BREAKOUT, "--out", "later"]].concat());
    let later = Plan::load(&served.dir.path().join("later")).unwrap();
    let broken = ["data \"external", "```\n# Heading", "# Heading", "echo broken"];
    for (plan, uploads) in [(&plan, 1), (&later, 1)] {
        assert_eq!(plan.writes().iter().filter(|write| write.title.contains(BREAKOUT)).count(), uploads);
        for format in [Format::Cloudformation, Format::Terraform, Format::Awscli] {
            let sheets = of_plan(plan, None, format).unwrap();
            assert!(sheets.iter().any(|sheet| sheet.text.contains("echo broken")), "{sheets:#?}");
            for sheet in sheets {
                for line in sheet.text.lines() {
                    assert!(!broken.iter().any(|broken| line.trim_start().starts_with(broken)), "{}: {}", sheet.name, sheet.text);
                }
                assert!(!sheet.text.contains('\r'), "{}", sheet.name);
                if format == Format::Terraform {
                    let body = hcl::parse(&sheet.text).unwrap();
                    assert!(body.blocks().all(|block| block.identifier() != "data"), "{}", sheet.text);
                }
            }
        }
    }
    script_of(&plan, None);
    // It is quoted as it is, on one line.
    let word = quoted(BREAKOUT);
    let printed = std::process::Command::new("bash").args(["-c", &format!("printf %s {word}")]).output().unwrap();
    assert_eq!((String::from_utf8(printed.stdout).unwrap().as_str(), word.lines().count()), (BREAKOUT, 1));
}

/// In the place of an earlier one, an export of what is missing would have Terraform destroy all else.
fn a_later_export_is_not_written_over_an_earlier_one() {
    let served = Served::new();
    let flags = [&served::BUCKETS[..], &["--create-buckets"]].concat();
    for format in ["terraform", "cloudformation", "awscli"] {
        let export = [&["export", "--format", format, "--out", format], &flags[..]].concat();
        served.run(&export);
        // The same again is no other.
        served.run(&export);
    }
    let read = |format: &str| -> BTreeMap<std::path::PathBuf, String> {
        let files = std::fs::read_dir(served.dir.path().join(format)).unwrap().map(|file| file.unwrap().path());
        files.map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect()
    };
    served.run(&[&["setup", "--yes"], &flags[..]].concat());
    for format in ["terraform", "cloudformation", "awscli"] {
        let before = read(format);
        let export = [&["export", "--format", format, "--out", format], &flags[..]].concat();
        let output = served.try_run(&export);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), read(format) == before), (Some(3), true), "{said}");
        if format == "terraform" {
            same(
                &said[said.find("error: ").unwrap()..],
                str![[r#"
error: terraform/main.tf is there already and says something else

hint: name another folder: an export holds only what is missing, and applied in the place of an earlier one it would delete what that made; pass `--overwrite` if the one that is there was never applied

"#]],
            );
        }
        served.run(&[&export[..], &["--overwrite"]].concat());
        assert!(read(format) != before, "{format}");
    }
}

fn control_characters_are_refused_in_keys_and_paths() {
    let served = served::served();
    for flag in ["--object-key", "--deploy-path"] {
        let output = served.try_run(&served::with(&["plan", flag, "x\ny"]));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains("x\\ny") && said.contains("control characters"), "{said}");
    }
}

fn what_can_t_be_read_or_written_is_said_with_a_hint() {
    let served = served::served();
    served.run(&served::with(&["plan", "--out", "p"]));
    let dir = served.dir.path();
    std::fs::write(dir.join("garbage"), "{").unwrap();
    std::fs::write(dir.join("in-the-way"), "").unwrap();
    let said = |args: &[&str]| {
        let output = served.command(&[&["export", "--format", "awscli"], args].concat()).output().unwrap();
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap().replace(&dir.display().to_string(), "[DIR]");
        format!("{}\n{text}", output.status.code().unwrap())
    };
    same(
        &said(&["--plan", "missing"]),
        str![[r#"
64
error: could not read the plan missing
  caused by: No such file or directory (os error 2)

hint: check the path

"#]],
    );
    same(
        &said(&["--plan", "garbage"]),
        str![[r#"
64
error: garbage is not a plan
  caused by: EOF while parsing an object at line 1 column 1

hint: make it again with `xdeploy plan --out FILE`

"#]],
    );
    same(
        &said(&["--plan", "p", "--out", "in-the-way"]),
        str![[r#"
1
error: could not make the folder in-the-way
  caused by: File exists (os error 17)

hint: name another file, or move this one away: it is never overwritten

"#]],
    );
    same(
        &said(&["--plan", "p", "--out", "folder"]),
        str![[r#"
0
folder/set-up.sh written

"#]],
    );
    assert!(std::fs::read_to_string(dir.join("folder/set-up.sh")).unwrap().starts_with("#!/usr/bin/env bash\n"));
    let said = |args: &[&str]| {
        let output = served.command(&[&["export", "--plan", "p"], args].concat()).output().unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let part = |text: &str, from: &str, to: &str| {
        let rest = &text[text.find(from).unwrap_or_else(|| panic!("{from}: {text}"))..];
        rest[..rest.find(to).unwrap_or_else(|| panic!("{to}: {rest}"))].to_owned()
    };
    let script = said(&["--format", "awscli", "--side", "prod"]);
    same(
        &part(&script, "#!", "# Says what is done"),
        str![[r##"
#!/usr/bin/env bash
# Sets up pipeline crossaccountdeploy in prod alone, as `xdeploy setup` would.
# The whole plan: 16 to create, 7 to update, 0 to delete.
# It may be run again at any point: it goes on from what is there.
# It stops where something has changed since the plan was made.
# It needs bash, a current AWS CLI and jq.
#
# What dev must have done before (its own script does it):
# - "create cross-account role prods3role" needs dev's "create service role AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy"
# - "create policy devkmss3access" needs dev's "create alias/s3deploykey in us-east-1"
# - KEY_ARN_US_EAST_1 must be set to the ARN of dev's key in us-east-1, which dev's script prints
# Each waits for the other: run dev's, then prod's, then dev's again.
set -euo pipefail
export AWS_PAGER=''

# The AWS CLI's profile of prod; with an empty one the CLI decides who calls.
PROD_PROFILE=${PROD_PROFILE-prod}
PROD_ACCOUNT=222222222222
export PROD_PROFILE PROD_ACCOUNT
PIPELINE=crossaccountdeploy
PIPELINE_ARN=arn:aws:codepipeline:us-east-1:111111111111:crossaccountdeploy
# How long to wait for what AWS sees late, in seconds.
WAIT_SECONDS=${WAIT_SECONDS:-180}
export PIPELINE PIPELINE_ARN WAIT_SECONDS


"##]],
    );
    same(
        &part(&script, "\ncheck_account PROD", "\nsay"),
        str![[r#"

check_account PROD us-east-1
need_key KEY_ARN_US_EAST_1 us-east-1 111111111111

# A4  Cross-account role: prod (222222222222)

"#]],
    );
    same(
        &part(&script, "\n# A4", "\nsay '+ create policy devkmss3access'"),
        file!["../snapshots/export/what_can_t_be_read_or_written_is_said_with_a_hint.txt"],
    );
    let configuration = said(&["--format", "terraform"]);
    same(
        &part(&configuration, "# Sets up", "# A1 "),
        str![[r##"
# Sets up pipeline crossaccountdeploy in both accounts, as `xdeploy setup` would. For Terraform or OpenTofu.
# It makes what is not there yet; what is there stays its owner's.
# Keep it with its state. A later export has only what is missing by then: in the place of this one, it would have Terraform
# destroy all else. Apply it in a folder of its own, with a state of its own.
# Steps by hand, after `terraform apply`: 1. Look for BY HAND.

terraform {
  required_providers {
    aws = {
      "source" = "hashicorp/aws"
      "version" = ">= 5.60"
    }
  }
}

variable "dev_profile" {
  type = string
  description = "AWS profile of dev; empty: the provider decides"
  default = "dev"
}

variable "prod_profile" {
  type = string
  description = "AWS profile of prod; empty: the provider decides"
  default = "prod"
}

provider "aws" {
  alias = "dev"
  region = "us-east-1"
  profile = var.dev_profile
  allowed_account_ids = [
    "111111111111"
  ]
}

provider "aws" {
  alias = "prod"
  region = "us-east-1"
  profile = var.prod_profile
  allowed_account_ids = [
    "222222222222"
  ]
}


"##]],
    );
    same(
        &part(&configuration, "\n# A4", "\n# attach policy outputbucketdeployaccess"),
        file!["../snapshots/export/what_can_t_be_read_or_written_is_said_with_a_hint_2.txt"],
    );
    same(
        &part(&configuration, "\n# BY HAND", "\n# A2, A7"),
        str![[r#"

# BY HAND 1: update notification of in-bucket: EventBridge hears of new objects (dev)
# arn:aws:s3:::in-bucket
# Others may write into this document as well. The output below is all of it, as the plan saw it, with ours:
# if it has changed since, merge ours into it, or run `xdeploy setup`, which looks before it writes.
#   terraform output -raw by_hand_1 > by_hand_1.json
#   aws s3api put-bucket-notification-configuration --profile dev --region us-east-1 --bucket in-bucket --skip-destination-validation --notification-configuration file://by_hand_1.json
output "by_hand_1" {
  value = <<JSON
{
  "EventBridgeConfiguration": {}
}
JSON
}

"#]],
    );
    served.run(&served::with(&["setup", "--yes"]));
    let nothing = |args: &[&str]| String::from_utf8(served.try_run(&served::with(args)).stdout).unwrap();
    same(
        &nothing(&["export", "--format", "awscli", "--side", "dev"]),
        str![[r#"
#!/usr/bin/env bash
# Pipeline crossaccountdeploy: there is nothing to do in dev.

"#]],
    );
    same(
        &nothing(&["export", "--format", "terraform"]),
        str![[r#"
# Pipeline crossaccountdeploy: there is nothing to do.

"#]],
    );
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let mut all = trials![NOTHING;
        control_characters_are_refused_in_keys_and_paths,
        what_can_t_be_read_or_written_is_said_with_a_hint,
        a_later_export_is_not_written_over_an_earlier_one,
    ];
    all.extend(trials![AWS_CLI;
        the_script_gives_the_state_that_setup_gives_and_again_changes_nothing,
        a_script_that_was_ended_anywhere_is_finished_by_running_it_again,
        a_document_that_has_moved_stops_the_script_and_stays,
        a_script_waits_until_what_it_made_is_seen,
        each_side_runs_its_own_script_and_both_come_to_what_setup_gives,
        a_side_that_sees_its_own_account_alone_exports_the_same_script,
        a_script_goes_only_to_the_accounts_that_it_was_made_for,
        what_a_script_needs_and_is_not_there_is_said_first,
        on_the_emulators_the_script_gives_what_setup_gives,
        a_script_makes_buckets_and_uploads_the_artifact_once,
        no_name_ends_a_line_that_it_stands_in,
    ]);
    all
}
