//! One person, one account: two users who can't see each other's account come to what one with two profiles makes.

use crate::schemas::fits;
use crate::support::compare::readme_block;
use crate::support::compare::same;
use crate::support::normalised;
use crate::support::office::{Done, Office};
use serde_json::{Value, json};
use snapbox::{file, str};
use std::path::Path;
use xdeploy::deploy::handoff::Handoff;
use xdeploy::model::Side;
use xdeploy::rehearsal::{DEV, PROD};

/// What one user with both profiles makes.
fn both_profiles(about: &[&str], output_region: &str) -> Value {
    let office = Office::new(about, output_region);
    let mut args = vec!["setup", "--yes", "--input-bucket", "site-input", "--output-bucket", "site-output"];
    args.extend(about.iter().filter(|word| !word.is_empty()));
    office.served.run(&args);
    office.state()
}

#[track_caller]
fn same_state(found: &Value, expected: &Value, what: &str) {
    if found != expected {
        let (found, expected) = (serde_json::to_string_pretty(found).unwrap(), serde_json::to_string_pretty(expected).unwrap());
        let only = |one: &str, other: &str| one.lines().filter(|line| !other.contains(line)).collect::<Vec<_>>().join("\n");
        panic!("{what}\nmissing:\n{}\ntoo much:\n{}", only(&expected, &found), only(&found, &expected));
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn dev_then_prod_then_dev() {
    let expected = both_profiles(&[], "us-east-1");
    let office = Office::new(&[], "us-east-1");
    let said = office.turn(Side::Dev).success();
    println!("{said}");
    let said = office.turn(Side::Prod).success();
    println!("{said}");
    let said = office.turn(Side::Dev).success();
    println!("{said}");
    same_state(&office.state(), &expected, "dev, prod, dev");
    office.nobody_looked_across();
    assert_eq!(read(&office.file(Side::Dev))["open"]["writes"], serde_json::json!([]));
}

/// What a refusal says, from the error on.
fn error_of(said: &str) -> String {
    let from = said.find("error: ").unwrap_or_else(|| panic!("no error in\n{said}"));
    said[from..].trim_end().to_owned()
}

/// A table of runs that are refused: what was done, and what was said.
#[derive(Default)]
struct Told(String);

impl Told {
    #[track_caller]
    fn take(&mut self, what: &str, done: Done) {
        assert_ne!(done.code, Some(0), "{what}: {}", done.said);
        let said: String = error_of(&done.said)
            .split("(AROA")
            .enumerate()
            .map(|(at, part)| match (at, part.find(')')) {
                (0, _) | (_, None) => part.to_owned(),
                (_, Some(end)) => format!("(AROA…{}", &part[end..]),
            })
            .collect();
        self.0.push_str(&format!("{what}\n{said}\nexit {}\n\n", done.code.unwrap_or(-1)));
    }
}

/// Changes the file that a side has, with the right checksums if it is `sealed`.
fn edit(office: &Office, side: Side, sealed: bool, change: impl Fn(&mut Value)) {
    let mut file = read(&office.file(side));
    change(&mut file);
    let text = match sealed {
        true => serde_json::from_value::<Handoff>(file).unwrap().sealed().text(),
        false => serde_json::to_string_pretty(&file).unwrap(),
    };
    std::fs::write(office.file(side), text).unwrap();
}

const SERVICE_ROLE: &str = "AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy";

#[test]
fn a_file_that_is_edited_or_foreign_is_refused() {
    let office = Office::new(&[], "us-east-1");
    office.turn(Side::Dev).success();
    let good = std::fs::read_to_string(office.file(Side::Prod)).unwrap();
    let before = office.state();
    let mut told = Told::default();
    type Edit<'a> = (&'a str, bool, &'a dyn Fn(&mut Value));
    let edits: [Edit<'_>; 10] = [
        ("edited", false, &|file| file["dev"]["holds"]["serviceRole"]["trust"]["Statement"] = json!([])),
        ("edited twice", false, &|file| {
            file["deployment"]["objectKey"] = json!("other.zip");
            file["open"]["writes"] = json!([]);
        }),
        ("another version", false, &|file| file["schema"] = json!("xdeploy.handoff/9")),
        ("a member more", false, &|file| file["token"] = json!("x")),
        ("a stranger's service role", true, &|file| {
            file["dev"]["holds"]["serviceRole"]["arn"] = json!(format!("arn:aws:iam::999999999999:role/service-role/{SERVICE_ROLE}"));
        }),
        ("a wildcard", true, &|file| file["dev"]["holds"]["serviceRole"]["arn"] = json!("arn:aws:iam::111111111111:role/*")),
        ("a screen's control characters", true, &|file| file["dev"]["by"] = json!("arn:aws:iam::111111111111:user/bob\u{1b}[2J")),
        ("a stranger's key", true, &|file| {
            file["dev"]["holds"]["keys"]["us-east-1"]["found"]["arn"] = json!("arn:aws:kms:us-east-1:999999999999:key/a");
        }),
        ("production's own bucket", true, &|file| file["dev"]["holds"]["artifactBuckets"]["us-east-1"]["name"] = json!("prods-own")),
        ("a bucket that is gone", true, &|file| file["dev"]["holds"]["artifactBuckets"]["us-east-1"]["name"] = json!("gone-bucket")),
    ];
    office.served.bucket(PROD, "us-east-1", "prods-own", false);
    for (what, sealed, change) in edits {
        std::fs::write(office.file(Side::Prod), &good).unwrap();
        edit(&office, Side::Prod, sealed, change);
        told.take(what, office.set_up(Side::Prod, &[]));
    }
    std::fs::write(office.file(Side::Prod), "{").unwrap();
    told.take("half a file", office.set_up(Side::Prod, &[]));
    std::fs::write(office.file(Side::Prod), &good).unwrap();
    told.take("another pipeline", office.set_up(Side::Prod, &["--pipeline", "web"]));
    told.take("development decides", office.set_up(Side::Prod, &["--object-key", "other.zip", "--input-bucket", "other-bucket"]));
    told.take("another account", office.run(Side::Prod, "setup", &["--dev-account", "333333333333", "--yes"]));
    told.take("another bucket", office.run(Side::Prod, "setup", &["--output-bucket", "prods-own", "--dev-account", DEV, "--yes"]));
    told.take("a flag of the other side's", office.set_up(Side::Prod, &["--deploy-path", "site"]));
    told.take("a file that isn't there", office.set_up(Side::Prod, &["--handoff", "handof.json"]));
    told.take("a folder that isn't there", office.set_up(Side::Dev, &["--handoff", "nowhere/handoff.json"]));
    told.take("an artifact", office.set_up(Side::Prod, &["--artifact", "site.zip"]));
    // The file alone doesn't say who is let in, and what may be written.
    told.take("nothing of one's own", office.run(Side::Prod, "setup", &["--yes"]));
    told.take("nobody to ask", office.run(Side::Prod, "setup", &[]));
    // Somebody else's file.
    edit(&office, Side::Prod, true, |file| {
        file["prodAccount"] = json!("333333333333");
        file["prod"] = Value::Null;
    });
    told.take("for another account", office.set_up(Side::Prod, &[]));
    std::fs::remove_file(office.file(Side::Prod)).unwrap();
    told.take("nobody named", office.run(Side::Prod, "setup", &["--output-bucket", "site-output"]));
    told.take("development names nobody", office.run(Side::Dev, "setup", &["--output-bucket", "site-output"]));
    std::fs::remove_file(office.file(Side::Dev)).unwrap();
    told.take("one's own account", office.run(Side::Dev, "setup", &["--prod-account", DEV]));
    let two_missing = office.served.command(&["setup", "--side", "dev", "--prod-account", PROD]).output().unwrap();
    told.take("no profile", Done { code: two_missing.status.code(), said: String::from_utf8_lossy(&two_missing.stderr).into_owned() });
    let mut after = office.state();
    after["buckets"].as_object_mut().unwrap().shift_remove("prods-own");
    same_state(&after, &before, "nothing was changed");
    same(&told.0, file!["../snapshots/sides/a_file_that_is_edited_or_foreign_is_refused.txt"]);
}

#[test]
fn what_moved_is_told_and_refused() {
    let office = Office::new(&["--pipeline", "web"], "us-east-1");
    office.turn(Side::Dev).success();
    office.turn(Side::Prod).success();
    let mut told = Told::default();
    // Somebody makes the service role anew: production trusts the old one.
    let file = std::fs::read_to_string(office.file(Side::Dev)).unwrap();
    edit(&office, Side::Dev, true, |file| file["dev"]["holds"]["serviceRole"]["id"] = json!("AROAOLDOLDOLDOLDOLD01"));
    edit(&office, Side::Dev, true, |file| {
        file["dev"]["holds"]["keys"]["us-east-1"]["found"]["arn"] = json!("arn:aws:kms:us-east-1:111111111111:key/0a0a");
    });
    let done = office.set_up(Side::Dev, &[]);
    let said = done.said.clone();
    assert!(said.contains("AROAOLDOLDOLDOLDOLD01") && said.contains("key/0a0a"), "{said}");
    done.refused("is stale: what it tells of dev has moved");
    std::fs::write(office.file(Side::Dev), file).unwrap();
    // Production's role is gone: what development was told is no more.
    edit_role(&office, "another");
    told.take("another role", office.set_up(Side::Prod, &[]));
    let said = office.set_up(Side::Prod, &["--renew-handoff"]).success();
    assert!(said.contains("No changes."), "{said}");
    office.send(Side::Prod);
    let said = office.turn(Side::Dev).success();
    assert!(said.contains("Both sides are done"), "{said}");
    // A key of production's own that nobody there has named.
    edit(&office, Side::Dev, true, |file| {
        let actions = file.pointer_mut("/dev/holds/pipeline/declaration/stages/1/actions/0/configuration").unwrap();
        actions["KMSEncryptionKeyARN"] = json!("arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    });
    office.send(Side::Dev);
    told.take("a key of production's own", office.set_up(Side::Prod, &[]));
    // Where it will be decides what kind of key is made.
    let elsewhere = Office::new(&[], "us-east-1");
    told.take(
        "no bucket yet",
        elsewhere.run(
            Side::Dev,
            "setup",
            &["--yes", "--prod-account", PROD, "--input-bucket", "site-input", "--output-bucket", "not-there-yet"],
        ),
    );
    same(
        &told.0,
        str![[r#"
another role
error: handoff.json is stale: what it tells of prod has moved
  caused by: the cross-account role was arn:aws:iam::222222222222:role/another (AROA…), and is arn:aws:iam::222222222222:role/prods3role-web (AROA…)

hint: pass `--renew-handoff` to tell the other side what is there now; it must run its command again then
exit 3

a key of production's own
error: the hand-off says what somebody must look at; nothing was changed
  caused by: the pipeline names key arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab for what it deploys: the role will be allowed to use it

hint: leave `--yes` out, and look at the plan
exit 3

no bucket yet
error: there is no bucket not-there-yet yet, and its region decides what kind of key is made

hint: pass `--prod-region REGION`, where production will make it, or let production begin with `--side prod`
exit 3


"#]],
    );
}

fn edit_role(office: &Office, name: &str) {
    edit(office, Side::Prod, true, |file| {
        file["prod"]["holds"]["deployRole"]["arn"] = json!(format!("arn:aws:iam::222222222222:role/{name}"));
        file["prod"]["holds"]["deployRole"]["name"] = json!(name);
    });
}

#[test]
fn verify_proves_one_side_and_lists_what_is_told() {
    let office = Office::new(&["--policies", "least-privilege"], "eu-west-1");
    let early =
        office.run(Side::Dev, "verify", &["--prod-account", PROD, "--output-bucket", "site-output", "--input-bucket", "site-input"]);
    assert!(early.said.contains("there is no pipeline"), "{}", early.said);
    for side in [Side::Dev, Side::Prod, Side::Dev] {
        office.turn(side).success();
    }
    for side in [Side::Dev, Side::Prod] {
        let done = office.run(side, "verify", &[&format!("--{}-account", side.other()), if side == Side::Dev { PROD } else { DEV }]);
        let said = done.success();
        let own = match side {
            Side::Dev => "trust policy of role prods3role",
            Side::Prod => "policy of key",
        };
        let (_, told) = said.split_once("told, not read:\n").unwrap_or_else(|| panic!("{said}"));
        assert!(told.contains(own), "{side}: {said}");
        assert!(said.contains("(in part told, not read)") && said.contains("is as the hand-off says: told, not read"), "{said}");
        // What rests on somebody's word can't be told for certain.
        let strict =
            office.run(side, "verify", &[&format!("--{}-account", side.other()), if side == Side::Dev { PROD } else { DEV }, "--strict"]);
        assert_eq!(strict.code, Some(5), "{}", strict.said);
    }
    // What one side breaks, its own proof says; the other's can't know.
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Action": "sts:AssumeRole"}]});
    office.served.change_trust(PROD, "prods3role", &trust.to_string());
    let args = |side: Side| [format!("--{}-account", side.other()), if side == Side::Dev { PROD.to_owned() } else { DEV.to_owned() }];
    let words = args(Side::Prod);
    let done = office.run(Side::Prod, "verify", &[&words[0], &words[1]]);
    assert_eq!(done.code, Some(1), "{}", done.said);
    assert!(done.said.contains("denied") && done.said.contains("assume"), "{}", done.said);
    let words = args(Side::Dev);
    office.run(Side::Dev, "verify", &[&words[0], &words[1]]).success();
}

#[test]
fn the_file_and_the_document_have_published_schemas() {
    let office = Office::new(&[], "us-east-1");
    for side in [Side::Dev, Side::Prod, Side::Dev] {
        let done = office.set_up(side, &["--output", "json"]);
        let said = done.success();
        let document: Value =
            serde_json::Deserializer::from_str(&said[said.find('{').unwrap()..]).into_iter::<Value>().next().unwrap().unwrap();
        assert_eq!(fits(&document), "setup");
        assert_eq!(document["side"], json!(side));
        office.send(side);
        assert_eq!(fits(&read(&office.file(side))), "handoff");
    }
}

#[test]
fn a_dry_run_writes_no_file() {
    let office = Office::new(&[], "us-east-1");
    let before = office.state();
    let said = office.set_up(Side::Dev, &["--dry-run"]).success();
    assert!(said.contains("nothing was changed: this was a dry run") && said.contains("Left to prod (222222222222)"), "{said}");
    assert!(!office.file(Side::Dev).exists());
    same_state(&office.state(), &before, "a dry run");
}

/// What the README shows of a file's way: development, production, development.
#[test]
fn readme_sides() {
    let office = Office::new(&[], "us-east-1");
    let mut transcript = String::new();
    let show = |transcript: &mut String, command: &str, said: &str, kept: &dyn Fn(&str) -> bool| {
        transcript.push_str(&format!("$ xdeploy {command}\n"));
        let mut left_out = false;
        for line in normalised(said).trim().lines() {
            if kept(line) {
                transcript.push_str(&format!("{line}\n"));
            } else if !left_out {
                transcript.push_str("[…]\n");
            }
            left_out = !kept(line);
        }
        transcript.push('\n');
    };
    let result = |side: Side| {
        let mut command = match side {
            Side::Dev => office.command(
                side,
                "setup",
                &["--prod-account", PROD, "--input-bucket", "site-input", "--output-bucket", "site-output", "--yes"],
            ),
            Side::Prod => office.command(
                side,
                "setup",
                &["--dev-account", DEV, "--output-bucket", "site-output", "--handoff", "handoff.json", "--yes"],
            ),
        };
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        office.send(side);
        String::from_utf8(output.stdout).unwrap()
    };
    let dev = "setup --side dev --dev-profile dev --prod-account 222222222222 --input-bucket site-input --output-bucket site-output --yes";
    let prod = "setup --side prod --prod-profile prod --dev-account 111111111111 --output-bucket site-output --handoff handoff.json --yes";
    let first = result(Side::Dev);
    let tail = first.find("Plan: ").unwrap();
    show(&mut transcript, dev, &format!("[…]\n{}", &first[tail..]), &|_| true);
    show(&mut transcript, prod, &result(Side::Prod), &|line| !line.starts_with("      ") && !line.starts_with("note: "));
    let last = result(Side::Dev);
    let tail = last.find("A2, A7 Pipeline").unwrap();
    show(&mut transcript, dev, &format!("[…]\n{}", &last[tail..]), &|line| !line.starts_with("note: "));
    readme_block("sides", &format!("```console\n{}\n```\n", transcript.trim_end()));
}

#[test]
fn an_older_file_doesn_t_undo_what_came_after_it() {
    let office = Office::new(&[], "us-east-1");
    for side in [Side::Dev, Side::Prod, Side::Dev] {
        office.turn(side).success();
    }
    let older = std::fs::read_to_string(office.file(Side::Prod)).unwrap();
    for side in [Side::Dev, Side::Prod] {
        let more: &[&str] = if side == Side::Dev { &["--policies", "least-privilege"] } else { &[] };
        office.set_up(side, more).success();
        office.send(side);
    }
    office.set_up(Side::Dev, &["--policies", "least-privilege"]).success();
    let before = office.state();
    std::fs::write(office.file(Side::Prod), older).unwrap();
    let said = office.set_up(Side::Prod, &[]).refused("is stale: what it tells of prod has moved");
    assert!(said.contains("policy/outputbucketdeployaccess was changed after this file was written"), "{said}");
    same_state(&office.state(), &before, "nothing was undone");
}

#[test]
fn development_says_again_what_it_decided() {
    let office = Office::new(&["--pipeline", "web"], "us-east-1");
    let decided = ["--object-key", "foo.zip", "--change-detection", "none"];
    office.set_up(Side::Dev, &decided).success();
    office.send(Side::Dev);
    let said = office.turn(Side::Prod).success();
    assert!(said.contains("who runs the same `xdeploy setup --side dev` again with `--handoff handoff.json`"), "{said}");
    let said = office.set_up(Side::Dev, &[]).refused("development decided more");
    same(
        &error_of(&said),
        str![[r#"
error: development decided more when it wrote the hand-off than this command says
  caused by: it said --object-key foo.zip --change-detection none

hint: pass --object-key foo.zip --change-detection none as well
hint: or pass `--renew-handoff`, if it is to be otherwise now
"#]],
    );
    let said = office.set_up(Side::Dev, &decided).success();
    assert!(said.contains("Both sides are done: the pipeline is complete"), "{said}");
    // What it names next is a command that works.
    let line = said.lines().find(|line| line.contains("xdeploy verify")).unwrap();
    let words: Vec<&str> = line.split('`').nth(1).unwrap().split(' ').skip(1).collect();
    let mut command = office.command(Side::Dev, "verify", &[]);
    command = office.bare(Side::Dev, &words, command);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_command_that_is_sent_to_production_works() {
    let office = Office::new(&["--pipeline", "web"], "eu-west-1");
    let said = office.turn(Side::Dev).success();
    let line = said.lines().find(|line| line.trim_start().starts_with("xdeploy setup --side prod")).unwrap();
    let line = line.trim().replace("PROFILE", "prod");
    let mut words: Vec<&str> = line.split(' ').skip(1).collect();
    words.extend(["--yes", "--output-bucket", "site-output"]);
    let command = office.command(Side::Prod, "setup", &[]);
    let output = office.bare(Side::Prod, &words, command).output().unwrap();
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    office.send(Side::Prod);
    let said = office.turn(Side::Dev).success();
    assert!(said.contains("Both sides are done: the pipeline is complete"), "{said}");
}

#[test]
fn done_is_only_said_of_what_works() {
    let office = Office::new(&[], "us-east-1");
    for side in [Side::Dev, Side::Prod] {
        office.turn(side).success();
    }
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::site-output/*"}]});
    office.served.put_bucket_policy(PROD, "site-output", &policy.to_string());
    let done = office.set_up(Side::Prod, &["--output", "json"]);
    assert_eq!(done.code, Some(1), "{}", done.said);
    office.send(Side::Prod);
    let refused = office.set_up(Side::Dev, &[]);
    refused.refused("the deployment would still fail after this plan");
    let done = office.set_up(Side::Dev, &["--accept-broken", "--output", "json"]);
    let document: Value =
        serde_json::Deserializer::from_str(&done.said[done.said.find('{').unwrap()..]).into_iter::<Value>().next().unwrap().unwrap();
    assert_eq!((document["complete"].clone(), document["waiting"].clone()), (json!(false), json!([])), "{}", done.said);
}

#[test]
fn a_user_who_may_see_little_trusts_little() {
    // Production's user may do what the set-up needs, and see no bucket but the one that is deployed to.
    let office = Office::new(&[], "us-east-1");
    office.served.bucket(PROD, "us-east-1", "prods-own", false);
    office.turn(Side::Dev).success();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["iam:*", "organizations:*", "sts:*", "kms:*"], "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::site-output", "arn:aws:s3:::site-output/*"]}]});
    office.served.narrow_caller(PROD, &policy.to_string());
    let good = std::fs::read_to_string(office.file(Side::Prod)).unwrap();
    edit(&office, Side::Prod, true, |file| file["dev"]["holds"]["artifactBuckets"]["us-east-1"]["name"] = json!("prods-own"));
    office.set_up(Side::Prod, &[]).refused("the hand-off says what somebody must look at");
    // One right more, and it is known.
    let mut more = policy.clone();
    more["Statement"].as_array_mut().unwrap().push(json!({"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}));
    office.served.narrow_caller(PROD, &more.to_string());
    office.set_up(Side::Prod, &[]).refused("which is production's own");
    std::fs::write(office.file(Side::Prod), good).unwrap();
    office.set_up(Side::Prod, &[]).success();
}

#[test]
fn one_side_exports_all_of_its_part() {
    let office = Office::new(&["--pipeline", "web"], "us-east-1");
    let export = |side: Side, format: &str| {
        let other = if side == Side::Dev { ["--prod-account", PROD] } else { ["--dev-account", DEV] };
        let mut args = vec!["--format", format, "--out", "exported", "--output-bucket", "site-output"];
        args.extend(other);
        if side == Side::Dev {
            args.extend(["--input-bucket", "site-input"]);
        }
        office.run(side, "export", &args).success();
        let folder = office.home(side).join("exported");
        let text =
            std::fs::read_dir(&folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>();
        std::fs::remove_dir_all(folder).unwrap();
        text
    };
    let before = office.state();
    for (format, pipeline, role) in [
        ("awscli", "codepipeline create-pipeline", "iam create-role"),
        ("terraform", "resource \"aws_codepipeline\"", "resource \"aws_iam_role\""),
        ("cloudformation", "AWS::CodePipeline::Pipeline", "AWS::IAM::Role"),
    ] {
        let text = export(Side::Dev, format);
        assert!(text.contains(pipeline) && text.contains(role), "{format}: {text}");
        assert!(!text.contains("prods3role-web\" {"), "{format}: {text}");
    }
    same_state(&office.state(), &before, "exports change nothing");
    office.turn(Side::Dev).success();
    for (format, pipeline, role) in [
        ("awscli", "codepipeline create-pipeline", "iam create-role"),
        ("terraform", "resource \"aws_codepipeline\"", "resource \"aws_iam_role\""),
        ("cloudformation", "AWS::CodePipeline::Pipeline", "AWS::IAM::Role"),
    ] {
        let text = export(Side::Prod, format);
        assert!(text.contains(role) && !text.contains(pipeline), "{format}: {text}");
        assert!(text.contains("prods3role-web"), "{format}: {text}");
    }
}
