//! The wizard of setup on a real terminal: asked, answered, mended, left; on the rehearsal and on the emulators.

use crate::needs::{EMULATORS, NOTHING, TERMINAL};
use crate::support::compare::readme_block;
use crate::support::compare::same;
use crate::support::depth::sampled;
use crate::support::pty::{CTRL_C, DOWN, ENTER, ESC, TERM, Talk, talk};
use crate::support::served::Served;
use crate::support::{Bed, normalised};
use libtest_mimic::Trial;
use snapbox::str;
use std::process::Command;
use xdeploy::rehearsal::{DEV, PROD};

/// Two accounts with buckets, and profiles besides the two: one whose keys nobody knows.
pub fn served() -> Served {
    let served = Served::new();
    served.bucket(DEV, "us-east-1", "a-plain-bucket", false);
    served.bucket(DEV, "us-east-1", "site-input", true);
    served.bucket(DEV, "eu-west-1", "far-away", true);
    served.bucket(PROD, "us-east-1", "site-output", false);
    let credentials = served.dir.path().join("credentials");
    let mut text = std::fs::read_to_string(&credentials).unwrap();
    text.push_str("[stale]\naws_access_key_id = AKIAAAAAAAAAAAAAAAAA\naws_secret_access_key = nobodys-secret-key\n");
    std::fs::write(credentials, text).unwrap();
    served
}

/// Every question of a set-up that changes nothing from its defaults, with an answer.
const PLAIN: [(&str, &str); 9] = [
    ("Profile of the development account", ENTER),
    ("Region of the pipeline", ENTER),
    ("Profile of the production account", ENTER),
    ("Name of the pipeline", ENTER),
    ("Input bucket", "site-in\r"),
    ("Key of the source zip", ENTER),
    ("Output bucket", ENTER),
    ("Zip to upload now", ENTER),
    ("Everything else has a default", ENTER),
];

pub fn command(served: &Served, args: &[&str]) -> Command {
    let mut command = served.command(args);
    command.env("TERM", "xterm-256color");
    command
}

/// All there is but for what reading alone changes.
fn state(served: &Served) -> serde_json::Value {
    served.rehearsal.dump()
}

/// The command that was printed, as its words.
pub fn printed(talk: &Talk) -> Vec<String> {
    let text = talk.text();
    let after = text.split("The same run as one command:").nth(1).unwrap_or_else(|| panic!("{text}"));
    let line: Vec<&str> = after.trim_start().split("\r\n\r\n").next().unwrap().split_whitespace().filter(|word| *word != "\\").collect();
    assert_eq!(line[..2], ["xdeploy", "setup"], "{text}");
    line[1..].iter().map(|word| (*word).to_owned()).collect()
}

/// The first error that was printed, or what was wrong with an answer, up to its last hint.
pub fn error_of(talk: &Talk) -> String {
    let text = talk.text().replace("\r\n", "\n").replace('\r', "\n");
    let lines = text.lines().skip_while(|line| !line.starts_with("error: ") && !line.starts_with("warning: "));
    let (mut taken, mut hinted) = (String::new(), false);
    for line in lines.take_while(|line| {
        hinted |= line.starts_with("hint: ");
        !hinted || line.starts_with("hint: ")
    }) {
        taken.push_str(line);
        taken.push('\n');
    }
    assert!(taken.contains("hint: "), "{text}");
    taken
}

fn the_whole_wizard_on_the_rehearsal() {
    let served = served();
    let zip = served.dir.path().join("site.zip");
    std::fs::write(&zip, xdeploy::deploy::release::sample().unwrap()).unwrap();
    let talk = talk(
        &command(&served, &["setup"]),
        &[
            // The filter finds the profile that doesn't work; the wizard says why and asks again.
            ("Profile of the development account", "stale\r"),
            ("no usable credentials", ""),
            ("Profile of the development account", "dev\r"),
            ("Region of the pipeline", "nowhere\r"),
            ("is not an AWS region", ""),
            ("Region of the pipeline", ENTER),
            ("Profile of the production account", ENTER),
            ("Name of the pipeline", "web site\r"),
            ("Name of the pipeline", "web\r"),
            // A bucket without versioning, and no to turning it on: asked again, with the arrow down to the next.
            ("Input bucket", ENTER),
            ("Versioning of a-plain-bucket is off", ENTER),
            ("Input bucket", &format!("{DOWN}\r")),
            ("Key of the source zip", "site.zip\r"),
            // Not there, not to be made; then the one that is.
            ("Output bucket", "type\r"),
            ("Name of the bucket", "site-outptu\r"),
            ("There is no bucket site-outptu", ENTER),
            ("Output bucket", ENTER),
            ("Zip to upload now", "no-such.zip\r"),
            ("Zip to upload now", "site.zip\r"),
            ("Everything else has a default", "policies grant\r"),
            ("How much do the policies grant", "least\r"),
            ("Everything else has a default", "cross-account\r"),
            ("Cross-account role", "webdeployer\r"),
            // Space marks; the list has the user who is asked.
            ("Everything else has a default", "key admin\r"),
            ("Who administers the key", " \r"),
            ("key administrators: arn:aws:iam::111111111111:user/caller", ""),
            // What makes no sense is said, and what was before stays.
            ("Everything else has a default", "folder\r"),
            ("Folder to deploy into", "/absolute\r"),
            ("is not a deployment path", ""),
            ("Everything else has a default", "no: show\r"),
            ("Apply this plan", "y\r"),
            ("Save these settings", "y\r"),
        ],
        100,
    );
    talk.ended(32, 0);
    let text = talk.text();
    for told in
        ["calls allowed after this plan", "done A4", "Recommended follow-up", "xdeploy ecs-check", "settings written to xdeploy.toml"]
    {
        assert!(text.contains(told), "{told}\n{text}");
    }
    assert!(!text.contains("nobodys-secret-key"));
    assert!(served.rehearsal.dump().to_string().contains("webdeployer"));
    // The command that is printed is the same set-up, and the file too.
    let before = state(&served);
    let words = printed(&talk);
    let args: Vec<&str> = words.iter().map(String::as_str).chain(["--yes"]).collect();
    std::fs::rename(served.dir.path().join("xdeploy.toml"), served.dir.path().join("kept.toml")).unwrap();
    for args in [args, vec!["setup", "--yes", "--config", "kept.toml"]] {
        let output = served.command(&args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("No changes."), "{args:?}\n{said}");
    }
    assert_eq!(state(&served), before);
}

/// Buckets that aren't there are made, the output bucket where that is wanted.
fn new_buckets_are_part_of_the_plan() {
    let served = served();
    let script = [
        ("Input bucket", "make\r"),
        ("Name of the bucket", "Not_A_Bucket\r"),
        ("is not a bucket name", ""),
        // Somebody else's: told, and asked again.
        ("Name of the bucket", "site-output\r"),
        ("another account", ""),
        ("Input bucket", "make\r"),
        ("Name of the bucket", "new-input\r"),
        ("Key of the source zip", ENTER),
        ("Output bucket", "make\r"),
        ("Name of the bucket", "new-output\r"),
        ("Region of the new output bucket", "eu-west-1\r"),
        ("Zip to upload now", ENTER),
        ("Everything else has a default", ENTER),
        ("Apply this plan", "y\r"),
        ("Save these settings", ENTER),
    ];
    let talk = talk(&command(&served, &["setup", "--dev-profile", "dev", "--prod-profile", "prod", "--pipeline", "far"]), &script, 80);
    talk.ended(script.len(), 0);
    let words = printed(&talk).join(" ");
    assert!(words.contains("--prod-region eu-west-1") && words.contains("--create-buckets"), "{words}");
    let buckets = state(&served)["buckets"].to_string();
    assert!(buckets.contains("new-input") && buckets.contains("new-output"), "{buckets}");
}

/// Who reads only `--help` gets to a pipeline that ran.
fn the_help_leads_a_newcomer_to_a_green_pipeline() {
    let served = served();
    let help = String::from_utf8(served.command(&["--help"]).output().unwrap().stdout).unwrap();
    let start: Vec<&str> =
        help.split("Start here:").nth(1).unwrap().lines().map(str::trim).filter_map(|line| line.strip_prefix("xdeploy ")).collect();
    let first: Vec<&str> = start[0].split("  ").next().unwrap().split_whitespace().collect();
    let output = served.command(&first).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("owned by prod"), "{first:?}\n{said}");
    // The second is the wizard, and what it recommends in the end makes the pipeline go green.
    let second: Vec<&str> = start[1].split("  ").next().unwrap().split_whitespace().collect();
    let script: Vec<(&str, &str)> = PLAIN.into_iter().chain([("Apply this plan", "y\r"), ("Save these settings", "y\r")]).collect();
    let talk = talk(&command(&served, &second), &script, 80);
    let text = talk.ended(script.len(), 0).text();
    assert!(text.contains("`xdeploy release FILE"), "{text}");
    let zip = served.dir.path().join("site.zip");
    std::fs::write(&zip, xdeploy::deploy::release::sample().unwrap()).unwrap();
    let release = served.command(&["release", "site.zip"]).output().unwrap();
    let said = String::from_utf8_lossy(&release.stdout).into_owned();
    assert!(release.status.success() && said.contains("owned by prod"), "{said}{}", String::from_utf8_lossy(&release.stderr));
}

fn esc_and_ctrl_c_at_every_question_leave_nothing_behind() {
    let served = served();
    let before = state(&served);
    let whole: Vec<(&str, &str)> = PLAIN.into_iter().chain([("Apply this plan", ENTER)]).collect();
    for at in sampled("questions", (0..whole.len()).collect(), 5) {
        for (keys, code) in [(ESC, 3), (CTRL_C, 130)] {
            let mut script = whole[..=at].to_vec();
            script[at].1 = keys;
            let talk = talk(&command(&served, &["setup"]), &script, 80);
            talk.ended(at + 1, code);
            same(
                &error_of(&talk),
                if code == 3 {
                    str![[r#"
error: cancelled: nothing was changed

hint: run the same command again when you are ready

"#]]
                } else {
                    str![[r#"
error: interrupted at the question

hint: nothing was changed

"#]]
                },
            );
            assert_eq!(state(&served), before, "{script:?}");
            assert!(!served.dir.path().join("xdeploy.toml").exists());
        }
    }
    println!("{} questions, each left in two ways", whole.len());
    // And a plain no at the end.
    let talk = talk(&command(&served, &["setup"]), &whole, 80);
    talk.ended(whole.len(), 3);
    assert_eq!(state(&served), before);
    assert!(printed(&talk).contains(&"site-input".to_owned()), "the command is told all the same");
}

/// The questions that only some come to: lists, names, what is to be mended.
fn esc_and_ctrl_c_at_every_other_question_leave_nothing_behind() {
    let served = served();
    let before = state(&served);
    let whole = [
        ("Input bucket", "a-plain\r"),
        ("Versioning of a-plain-bucket is off", "y\r"),
        ("Key of the source zip", ENTER),
        ("Output bucket", "type\r"),
        ("Name of the bucket", "new-output\r"),
        ("There is no bucket new-output", "y\r"),
        ("Region of the new output bucket", ENTER),
        ("Zip to upload now", ENTER),
        ("Everything else has a default", "key admin\r"),
        ("Who administers the key", " \r"),
        ("Everything else has a default", "what starts\r"),
        ("What starts the pipeline", "poll\r"),
        ("Everything else has a default", "extract\r"),
        ("What is deployed", ENTER),
        ("Everything else has a default", "alias\r"),
        ("Alias of the KMS key", "other\r"),
        ("Everything else has a default", "service role\r"),
        ("Service role, a new name", ENTER),
        ("Everything else has a default", "artifact bucket\r"),
        ("Artifact bucket", ENTER),
        ("Everything else has a default", "folder\r"),
        ("Folder to deploy into", ENTER),
        ("Everything else has a default", "policy for the output\r"),
        ("Policy for the output bucket", ENTER),
        ("Everything else has a default", "cross-account\r"),
        ("Cross-account role", ENTER),
        ("Everything else has a default", "how much\r"),
        ("How much do the policies grant", ENTER),
        ("Everything else has a default", "EventBridge rule\r"),
        ("EventBridge rule", ENTER),
        ("Everything else has a default", ENTER),
    ];
    let args = ["setup", "--dev-profile", "dev", "--prod-profile", "prod", "--pipeline", "web"];
    for at in sampled("questions", (0..whole.len()).collect(), 5) {
        for (keys, code) in [(ESC, 3), (CTRL_C, 130)] {
            let mut script = whole[..=at].to_vec();
            script[at].1 = keys;
            talk(&command(&served, &args), &script, 80).ended(at + 1, code);
            assert_eq!(state(&served), before, "{script:?}");
        }
    }
    println!("{} questions, each left in two ways", whole.len());
}

/// Somebody ends it from elsewhere: at once, with the terminal as it was.
fn a_signal_at_a_question_ends_it() {
    let served = served();
    let before = state(&served);
    for script in [
        &[("Profile of the development account", TERM)][..],
        &[("Profile of the development account", ENTER), ("Region of the pipeline", TERM)],
    ] {
        let program = command(&served, &["setup"]);
        let talk = talk(&program, script, 80);
        talk.ended(script.len(), 130);
        assert!(talk.text().contains("interrupted at the question"), "{}", talk.text());
    }
    assert_eq!(state(&served), before);
}

/// Who opens an item and presses Enter has changed nothing, be it a default or what a flag says.
fn enter_leaves_every_item_as_it_is() {
    let served = served();
    let given = [
        "--key-alias",
        "mykey",
        "--key-administrator",
        "arn:aws:iam::111111111111:user/other,arn:aws:iam::111111111111:user/caller",
        "--service-role",
        "arn:aws:iam::111111111111:role/service-role/own",
        "--artifact-bucket",
        "my-artifacts",
        "--change-detection",
        "polling",
        "--no-extract",
        "--deploy-path",
        "site/index.zip",
        "--output-policy",
        "one",
        "--artifact-policy",
        "two",
        "--deploy-role",
        "customrole",
        "--assume-policy",
        "three",
        "--event-rule",
        "four",
        "--event-role",
        "five",
        "--policies",
        "least-privilege",
    ];
    let items = [
        ("alias of", "Alias of the KMS key"),
        ("key admin", "Who administers the key"),
        ("service role", "Service role, a new name"),
        ("artifact bucket", "Artifact bucket:"),
        ("what starts", "What starts the pipeline"),
        ("extract", "What is deployed"),
        ("folder", "Folder to deploy into"),
        ("for the output", "Policy for the output bucket"),
        ("key and artifacts", "Policy for key and artifacts"),
        ("cross-account", "Cross-account role"),
        ("to assume", "Policy to assume the role"),
        ("EventBridge rule", "EventBridge rule:"),
        ("EventBridge's", "EventBridge's role:"),
        ("how much", "How much do the policies grant"),
    ];
    let typed: Vec<String> = items.iter().map(|(filter, _)| format!("{filter}\r")).collect();
    for flags in [&given[..], &[]] {
        let mut script: Vec<(&str, &str)> = vec![("Output bucket", ENTER), ("Zip to upload now", ENTER)];
        for (typed, (_, question)) in typed.iter().zip(items) {
            script.extend([("Everything else has a default", typed.as_str()), (question, ENTER)]);
        }
        script.push(("Everything else has a default", ENTER));
        let base = [
            "setup",
            "--pipeline",
            "web",
            "--dev-profile",
            "dev",
            "--prod-profile",
            "prod",
            "--input-bucket",
            "site-input",
            "--object-key",
            "k.zip",
            "--dry-run",
        ];
        let args: Vec<&str> = base.iter().chain(flags).copied().collect();
        let talk = talk(&command(&served, &args), &script, 120);
        assert_eq!(talk.told, script.len(), "{}", talk.screen(120));
        let words = printed(&talk);
        let wanted: Vec<&str> = flags.iter().copied().filter(|flag| *flag != "--no-extract").collect();
        for pair in wanted.chunks(2) {
            let at = words.iter().position(|word| word == pair[0]).unwrap_or_else(|| panic!("{pair:?} is gone: {words:?}"));
            assert_eq!(words[at + 1].trim_start_matches("alias/"), pair[1]);
        }
        let named = words.iter().filter(|word| word.starts_with("--")).count();
        assert_eq!(named, 6 + wanted.len() / 2 + usize::from(flags.contains(&"--no-extract")), "{words:?}");
    }
}

/// The settings of a run that was refused are kept, and don't stand in the way of the same run again; other settings are told.
fn written_settings_do_not_block_the_next_try() {
    let served = served();
    let args = ["setup", "--input-bucket", "site-input", "--output-bucket", "site-output", "--write-config", "new.toml"];
    for code in [3, 3] {
        assert_eq!(served.try_run(&args).status.code(), Some(code));
    }
    let calls = served.rehearsal.log().len();
    let (code, said) = served.attempt(&[&args[..], &["--yes", "--object-key", "other.zip"]].concat());
    assert!(code == Some(1) && said.contains("could not write new.toml"), "{said}");
    assert_eq!(served.rehearsal.log().len(), calls, "a file in the way is told before AWS is asked");
    served.run(&[&args[..], &["--yes"]].concat());
}

/// The commands that are recommended can be pasted as they are.
fn what_is_recommended_runs() {
    let served = served();
    let script: Vec<(&str, &str)> = PLAIN
        .into_iter()
        .map(|(question, keys)| if question.starts_with("Name of") { (question, "web\r") } else { (question, keys) })
        .collect();
    let script: Vec<(&str, &str)> = script.into_iter().chain([("Apply this plan", "y\r"), ("Save these settings", "n\r")]).collect();
    let talk = talk(&command(&served, &["setup"]), &script, 160);
    let text = talk.ended(script.len(), 0).text();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("`xdeploy verify ")).unwrap_or_else(|| panic!("{text}"));
    let args: Vec<&str> = std::iter::once("verify").chain(line.split('`').next().unwrap().split_whitespace()).collect();
    let output = served.command(&args).output().unwrap();
    assert!(output.status.success(), "{args:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn a_narrow_terminal_without_colour_in_an_ascii_locale() {
    let served = served();
    let mut program = command(&served, &["setup"]);
    program.env("NO_COLOR", "1").env("LC_ALL", "C");
    let script: Vec<(&str, &str)> = PLAIN.into_iter().chain([("Apply this plan", "y\r"), ("Save these", ENTER)]).collect();
    let talk = talk(&program, &script, 60);
    talk.ended(script.len(), 0);
    // What stands there in the end is whole, however it was broken into lines.
    let screen: String = talk.screen(60).lines().collect();
    for (question, _) in &script {
        assert!(screen.contains(question), "{question}\n{}", talk.screen(60));
    }
    assert!(talk.raw.is_ascii(), "{:?}", talk.raw.chars().filter(|c| !c.is_ascii()).collect::<String>());
    let paint = |sequence: &str| {
        sequence
            .split_once('m')
            .is_some_and(|(inner, _)| inner.chars().all(|c| c.is_ascii_digit() || c == ';') && !inner.is_empty() && inner != "0")
    };
    let painted: Vec<&str> = talk.raw.split("\u{1b}[").skip(1).filter(|sequence| paint(sequence)).collect();
    assert!(painted.is_empty(), "{painted:?}");
}

fn what_is_there_already_is_not_asked_for() {
    let served = served();
    served.run(&["setup", "--yes", "--input-bucket", "site-input", "--output-bucket", "site-output"]);
    // Both profiles are named and the pipeline says the rest: no question.
    let quiet = talk(&command(&served, &["setup", "--dev-profile", "dev", "--prod-profile", "prod"]), &[], 80);
    assert!(quiet.ended(0, 0).text().contains("No changes."));
    // Who doesn't name them may mean another pipeline.
    let script = [
        ("Profile of the development account", ENTER),
        ("Region of the pipeline", ENTER),
        ("Profile of the production account", ENTER),
        ("Which pipeline", "crossaccount\r"),
        ("Everything else has a default", ENTER),
    ];
    let adopting = talk(&command(&served, &["setup"]), &script, 80);
    assert!(adopting.ended(5, 0).text().contains("No changes."));
    // Only the missing bucket, of a new pipeline.
    let script = [("Output bucket", ENTER), ("Zip to upload", ENTER), ("Everything else", ENTER), ("Apply this plan", "n\r")];
    let args = ["setup", "--dev-profile", "dev", "--prod-profile", "prod", "--pipeline", "web", "--input-bucket", "site-input"];
    let _ = talk(&command(&served, &args), &[&[("Key of the source", ENTER)][..], &script].concat(), 80).ended(5, 3);
}

fn what_cannot_be_chosen_is_said() {
    let served = served();
    // A bucket elsewhere isn't listed, and typing its name doesn't help.
    let script = [
        ("Input bucket", "type\r"),
        ("Name of the bucket", "far-away\r"),
        ("bucket far-away is in eu-west-1, the pipeline in us-east-1", ""),
        ("Input bucket", ESC),
    ];
    let args = ["setup", "--dev-profile", "dev", "--prod-profile", "prod", "--pipeline", "web"];
    let elsewhere = talk(&command(&served, &args), &script, 100);
    same(
        &error_of(elsewhere.ended(4, 3)),
        str![[r#"
warning: bucket far-away is in eu-west-1, the pipeline in us-east-1

hint: a source bucket must be in the pipeline's region: take another, or start again with `--region`

"#]],
    );
    let config = served.dir.path().join("credentials");
    let whole = std::fs::read_to_string(&config).unwrap();
    let dev = &whole[..whole.find("[prod]").unwrap()];
    std::fs::write(&config, dev).unwrap();
    std::fs::write(served.dir.path().join("config"), "").unwrap();
    let alone = talk(&command(&served, &["setup"]), &[("Profile of the development account", ENTER), ("Region", "us-east-1\r")], 100);
    same(
        &error_of(alone.ended(2, 4)),
        str![[r#"
error: all profiles are of the development account

hint: make a profile of the production account with `aws configure sso` or `aws configure --profile NAME`

"#]],
    );
    std::fs::write(&config, "").unwrap();
    let none = talk(&command(&served, &["setup"]), &[], 100);
    same(
        &error_of(none.ended(0, 4)),
        str![[r#"
error: there are no AWS profiles to choose from

hint: make one for each account with `aws configure sso` or `aws configure --profile NAME`, then run the same command again

"#]],
    );
}

fn without_a_terminal_everything_that_is_missing_is_named_at_once() {
    let served = served();
    let output = served.command(&["setup"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("error: not said: --dev-profile, --prod-profile, --input-bucket, --output-bucket\n"), "{said}");
    // On a terminal, too, where nobody may be asked.
    let silent = talk(&command(&served, &["setup", "--no-input"]), &[], 80);
    assert!(silent.ended(0, 64).text().contains("--output-bucket"));
    let mut ci = command(&served, &["setup"]);
    ci.env("CI", "true");
    let _ = talk(&ci, &[], 80).ended(0, 64);
}

fn the_first_output_comes_at_once() {
    let served = served();
    let first: Vec<i64> = (0..5)
        .map(|_| talk(&command(&served, &["who-am-i", "--dev-profile", "dev", "--prod-profile", "prod"]), &[], 80).ended(0, 0).first)
        .collect();
    println!("first output on a terminal after {first:?} ms");
    assert!(first.iter().min().is_some_and(|first| *first < 100), "{first:?}");
}

fn the_wizard_on_the_emulators() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let script = [
        ("Profile of the development account", ENTER),
        ("Region of the pipeline", ENTER),
        ("Profile of the production account", ENTER),
        ("Name of the pipeline", ENTER),
        ("Input bucket", &format!("{input}\r")),
        ("Key of the source zip", ENTER),
        ("Output bucket", &format!("{output}\r")),
        ("Zip to upload now", ENTER),
        ("Everything else has a default", ENTER),
        ("Apply this plan", "y\r"),
        ("Save these settings", "y\r"),
    ];
    let talk = talk(&bed.command(&["setup"]), &script, 80);
    talk.ended(script.len(), 0);
    let words = printed(&talk);
    let args: Vec<&str> = words.iter().map(String::as_str).chain(["--yes"]).collect();
    assert!(bed.xdeploy(&args).success().stdout.contains("No changes."));
    assert!(bed.xdeploy(&["setup", "--yes"]).success().stdout.contains("No changes."), "xdeploy.toml is read");
}

fn ctrl_c_while_it_writes_finishes_the_call_and_says_how_to_go_on() {
    let served = served();
    let script: Vec<(&str, &str)> =
        PLAIN.into_iter().chain([("Apply this plan", "y\r"), ("waiting for IAM to see role", CTRL_C)]).collect();
    // New things are seen late, so that there is a time to interrupt.
    let _ = served.rehearsal.clone().settle(20);
    let talk = talk(&command(&served, &["setup"]), &script, 80);
    talk.ended(script.len(), 130);
    let text = talk.text();
    assert!(text.contains("finishing the calls under way"), "{text}");
    let counted = text.split("error: interrupted after ").nth(1).unwrap_or_else(|| panic!("{text}"));
    assert!(
        counted.contains(" of ")
            && counted.contains(" writes")
            && counted.contains("hint: run the same command again: it goes on from here"),
        "{text}"
    );
    let _ = served.rehearsal.clone().settle(0);
    served.run(&["setup", "--yes", "--input-bucket", "site-input", "--output-bucket", "site-output"]);
}

/// What the README shows of the wizard is what stands on the terminal.
fn readme_wizard() {
    let served = served();
    let script: Vec<(&str, &str)> = PLAIN.into_iter().chain([("Apply this plan", "y\r"), ("Save these settings", "y\r")]).collect();
    let talk = talk(&command(&served, &["setup"]), &script, 160);
    let screen = talk.ended(script.len(), 0).screen(160);
    let text = normalised(&screen);
    // The plan is the one that is shown below.
    let (before, rest) = text.split_once("\nA1 KMS key").unwrap();
    let (_, after) = rest.split_once("\nPlan: ").unwrap();
    readme_block(
        "wizard",
        &format!("```console\n$ xdeploy setup\n{before}\n[the changes, by step of the article]\n\nPlan: {after}\n```\n"),
    );
}

/// What the deploy action does to an archive that surprises people is said before it is uploaded (facts A.4).
fn a_release_warns_before_it_uploads() {
    let served = served();
    served.run(&["setup", "--yes", "--input-bucket", "site-input", "--output-bucket", "site-output"]);
    let zip = |name: &str, files: &[&str]| {
        let mut archive = zip::ZipWriter::new(std::fs::File::create(served.dir.path().join(name)).unwrap());
        for file in files {
            archive.start_file(*file, zip::write::SimpleFileOptions::default()).unwrap();
        }
        archive.finish().unwrap();
    };
    zip("first.zip", &["index.html", "old/page.html"]);
    zip("second.zip", &["index.html", "fonts/a.WOFF2", "data.json"]);
    zip("third.zip", &["index.html", "../outside.html"]);
    served.run(&["release", "first.zip"]);
    let output = served.try_run(&["release", "second.zip"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let (before, _) = told.split_once("uploaded s3://").unwrap();
    assert!(before.contains("1 other object is there, such as old/page.html"), "{told}");
    assert!(before.contains("1 file, such as fonts/a.WOFF2, will have the content type application/octet-stream"), "{told}");
    let calls = served.rehearsal.log().len();
    let output = served.try_run(&["release", "third.zip"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("..") && !told.contains("uploaded"), "{told}");
    assert!(served.rehearsal.log()[calls..].iter().all(|call| call.action != "s3:PutObject"));
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let mut all = trials![NOTHING;
        written_settings_do_not_block_the_next_try,
        a_release_warns_before_it_uploads,
    ];
    all.extend(trials![EMULATORS; the_wizard_on_the_emulators]);
    all.extend(trials![TERMINAL;
        the_whole_wizard_on_the_rehearsal,
        new_buckets_are_part_of_the_plan,
        the_help_leads_a_newcomer_to_a_green_pipeline,
        esc_and_ctrl_c_at_every_question_leave_nothing_behind,
        esc_and_ctrl_c_at_every_other_question_leave_nothing_behind,
        a_signal_at_a_question_ends_it,
        enter_leaves_every_item_as_it_is,
        what_is_recommended_runs,
        a_narrow_terminal_without_colour_in_an_ascii_locale,
        what_is_there_already_is_not_asked_for,
        what_cannot_be_chosen_is_said,
        without_a_terminal_everything_that_is_missing_is_named_at_once,
        the_first_output_comes_at_once,
        ctrl_c_while_it_writes_finishes_the_call_and_says_how_to_go_on,
        readme_wizard,
    ]);
    all
}
