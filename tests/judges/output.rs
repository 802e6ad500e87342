//! What comes out: one JSON document or text on stdout, talk on stderr, and every flag as a variable.

use crate::needs::{EMULATORS, NOTHING};
use crate::support::compare::same;
use crate::support::{Action, Bed, Output};
use crate::worlds;
use clap::CommandFactory;
use libtest_mimic::Trial;
use serde_json::Value;
use snapbox::{file, str};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn refs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// The arguments of a first set-up as another command's: no `--yes`, and these added.
fn other<'a>(args: &'a [String], command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let middle = args[1..].iter().map(String::as_str).filter(|arg| *arg != "--yes");
    [command].into_iter().chain(middle).chain(more.iter().copied()).collect()
}

/// Documents of AWS and of the pipeline: their members are not ours.
const FOREIGN: [&str; 12] =
    ["after", "attached_documents", "before", "call", "document", "inline", "pattern", "policy", "settings", "tags", "targets", "trust"];

/// The paths of all members, a line each; names that differ from world to world are `*`.
fn structure(value: &Value) -> String {
    fn walk(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let name = if key.contains(':') || key.starts_with("us-") { "*" } else { key };
                    let path = format!("{path}.{name}");
                    found.insert(path.clone());
                    if !FOREIGN.contains(&name) {
                        walk(value, &path, found);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, &format!("{path}[]"), found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(value, "", &mut found);
    format!("{}\n{}\n", value["schema"].as_str().unwrap_or("no schema"), found.into_iter().collect::<Vec<_>>().join("\n"))
}

/// Runs with `--output json` and gives the document and what was said on stderr.
fn json(bed: &Bed, args: &[&str], code: i32) -> (Value, String) {
    let output = bed.run(&[args, &["--output", "json"]].concat()).code(code);
    (output.json(), output.stderr.clone())
}

fn every_command_prints_one_json_document() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);

    let (who, _) = json(&bed, &["who-am-i"], 0);
    same(
        &structure(&who),
        str![[r#"
xdeploy.who-am-i/1
.accounts
.accounts.dev
.accounts.dev.account
.accounts.dev.caller
.accounts.dev.partition
.accounts.dev.profile
.accounts.dev.region
.accounts.prod
.accounts.prod.account
.accounts.prod.caller
.accounts.prod.partition
.accounts.prod.profile
.accounts.prod.region
.schema

"#]],
    );

    let (plan, said) = json(&bed, &other(&args, "plan", &["--out", "plan"]), 0);
    assert!(said.contains("plan saved"), "{said}");
    let mut saved = serde_json::from_str::<Value>(&fs::read_to_string(bed.dir().join("plan")).unwrap()).unwrap();
    saved["proof"] = plan["proof"].clone();
    saved["kept"] = plan["kept"].clone();
    saved["callerPermissions"] = plan["callerPermissions"].clone();
    assert_eq!(plan, saved);
    same(&structure(&plan), file!["../snapshots/output/every_command_prints_one_json_document.txt"]);

    let (dry, said) = json(&bed, &other(&args, "setup", &["--dry-run"]), 0);
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(dry["applied"], false);
    assert!(bed.proxy.writes().is_empty());

    let (applied, said) = json(&bed, &["apply", "plan"], 0);
    assert!(said.contains("done A1 "), "progress is talk: {said}");
    assert_eq!(applied["applied"], true);
    same(&structure(&applied), file!["../snapshots/output/every_command_prints_one_json_document_2.txt"]);

    let (verified, _) = json(&bed, &other(&args, "verify", &[]), 0);
    assert_eq!(verified["differs"], false);
    same(&structure(&verified), file!["../snapshots/output/every_command_prints_one_json_document_3.txt"]);

    let (nothing, _) = json(&bed, &refs(&args), 0);
    assert_eq!(nothing["applied"], false);
    assert_eq!(dry["schema"], nothing["schema"]);
    assert_eq!(dry["plan"]["writes"], applied["plan"]["writes"]);
}

fn a_setup_prints_one_json_document() {
    let bed = Bed::new();
    let (done, said) = json(&bed, &refs(&worlds::empty(&bed)), 0);
    assert_eq!(done["applied"], true);
    assert_eq!(done["plan"]["writes"].as_array().unwrap().len(), bed.proxy.writes().len());
    assert!(said.contains("done "), "{said}");
    same(&structure(&done), file!["../snapshots/output/a_setup_prints_one_json_document.txt"]);
}

fn a_release_and_a_teardown_print_one_json_document() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    let _ = bed.run(&refs(&args)).success();
    let output = bed.dump()["prod"]["buckets"].as_object().unwrap().keys().next().unwrap().clone();
    let prod = bed.prod.clone();
    // Played: what the deploy action would write.
    bed.proxy.on_request(move |request| {
        if request.is("ListActionExecutions") {
            for key in ["css/site.css", "error.html", "images/logo.svg", "index.html"] {
                prod.call("s3", "put_object", serde_json::json!({"Bucket": output, "Key": key, "Body": "x"}));
            }
        }
        Action::Forward
    });
    let (release, _) = json(&bed, &["release", "--sample", "--start-after", "0s"], 0);
    same(&structure(&release), file!["../snapshots/output/a_release_and_a_teardown_print_one_json_document.txt"]);
    let (teardown, _) = json(&bed, &["teardown", "--confirm", "crossaccountdeploy"], 0);
    same(&structure(&teardown), file!["../snapshots/output/a_release_and_a_teardown_print_one_json_document_2.txt"]);
}

fn an_error_is_a_json_document_too() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    let kind = |args: &[&str], code: i32| {
        let (error, said) = json(&bed, args, code);
        assert_eq!((error["schema"].as_str(), error["exit"].as_i64()), (Some("xdeploy.error/1"), Some(i64::from(code))), "{error}");
        assert!(said.contains(&format!("error: {}", error["message"].as_str().unwrap())), "{said}");
        assert!(!error["hints"].as_array().unwrap().is_empty(), "{error}");
        (error["kind"].as_str().unwrap().to_owned(), structure(&error))
    };
    assert_eq!(kind(&["setup", "--yes"], 64).0, "usage");
    assert_eq!(kind(&other(&args, "setup", &[]), 3).0, "refused");
    assert_eq!(kind(&["setup", "--dev-account", "111111111111"], 4).0, "credentials");
    bed.proxy.on_request(|request| match request.is("GetPipeline") {
        true => Action::json_error(400, "AccessDeniedException", "no"),
        false => Action::Forward,
    });
    assert_eq!(kind(&refs(&args), 1).0, "denied");
    let (name, shape) = kind(&other(&args, "verify", &[]), 5);
    assert_eq!(name, "cannot-tell");
    same(
        &shape,
        str![[r#"
xdeploy.error/1
.causes
.exit
.hints
.kind
.message
.schema

"#]],
    );
    assert!(bed.proxy.writes().is_empty());
    bed.proxy.clear_hook();
    // What the argument parser refuses is no exception.
    assert_eq!(kind(&["setup", "--input-bucket", "s3://x"], 64).0, "usage");
    assert_eq!(kind(&["stup"], 64).0, "usage");
}

fn a_saved_plan_is_done_once_and_exactly() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    bed.run(&other(&args, "plan", &["--out", "plan"])).success();
    assert!(bed.proxy.writes().is_empty());
    let plan: Value = serde_json::from_str(&fs::read_to_string(bed.dir().join("plan")).unwrap()).unwrap();
    let planned = plan["writes"].as_array().unwrap().len();
    let applied = bed.run(&["apply", "plan"]).success();
    assert_eq!(bed.proxy.writes().len(), planned, "{}", applied.calls);
    let state = bed.normalise(&bed.dump().to_string());

    bed.proxy.clear();
    let again = bed.run(&["apply", "plan"]).code(1);
    assert!(again.stderr.contains("error: the world has moved since the plan was made"), "{}", again.stderr);
    assert!(bed.proxy.writes().is_empty());

    // The same as a setup in another bed would have done.
    let fresh = Bed::new();
    fresh.run(&refs(&worlds::empty(&fresh))).success();
    assert_eq!(state, fresh.normalise(&fresh.dump().to_string()));

    // A plan of nothing does nothing.
    bed.run(&other(&args, "plan", &["--out", "empty", "--detailed-exitcode"])).success();
    assert!(bed.run(&["apply", "empty"]).success().stdout.contains("No changes."));
    assert!(bed.proxy.writes().is_empty());
}

fn differences_are_exit_2_only_on_request() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    bed.run(&other(&args, "plan", &["--detailed-exitcode"])).code(2);
    bed.run(&other(&args, "plan", &[])).success();
    bed.run(&refs(&args)).success();
    bed.run(&other(&args, "verify", &["--detailed-exitcode"])).success();
    // What differs but breaks no call.
    let key = bed.dev.call("kms", "describe_key", serde_json::json!({"KeyId": "alias/s3deploykey"}));
    bed.dev.call("kms", "disable_key_rotation", serde_json::json!({"KeyId": key["KeyMetadata"]["KeyId"]}));
    bed.run(&other(&args, "verify", &["--detailed-exitcode"])).code(2);
    bed.run(&other(&args, "verify", &[])).success();
    // A broken call is worse than any difference.
    let detach = serde_json::json!({"RoleName": "prods3role", "PolicyArn": format!("arn:aws:iam::{}:policy/devkmss3access", bed.prod.id)});
    bed.prod.call("iam", "detach_role_policy", detach);
    bed.run(&other(&args, "verify", &["--detailed-exitcode"])).code(1);
    bed.run(&other(&args, "verify", &[])).code(1);
}

/// Runs a shell line in which `xdeploy` is the program with both profiles.
fn shell(bed: &Bed, line: &str) -> Output {
    let line =
        format!("set -o pipefail; x() {{ {} \"$@\" --dev-profile dev --prod-profile prod; }}; {line}", env!("CARGO_BIN_EXE_xdeploy"));
    bed.spawn_command(bed.command_of(Path::new("/bin/bash"), &["-c", &line])).wait()
}

fn a_reader_that_went_away_is_no_failure() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    let plan = other(&args, "plan", &[]).join(" ");
    for line in [
        format!("x {plan} | head -1"),
        format!("x {plan} | true"),
        format!("x {plan} --output json | true"),
        format!("x {plan} 2>&1 | true"),
        "x setup --help | true".to_owned(),
        format!("x {plan} >&-"),
    ] {
        let output = shell(&bed, &line).success();
        assert!(!output.stderr.contains("panicked"), "{line}\n{}", output.stderr);
    }
    // Nor does it stop a run that changes things half-way.
    shell(&bed, &format!("x {} | true", args.join(" "))).success();
    assert!(bed.run(&other(&args, "plan", &[])).success().stdout.contains("No changes."));
}

fn colour_only_where_it_is_wanted() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    let plan = other(&args, "plan", &[]);
    let with = |variables: &[(&str, &str)], more: &[&str]| {
        let args = bed.args(&[&plan, more].concat());
        let mut command = bed.command(&refs(&args));
        command.envs(variables.iter().copied());
        let output = bed.spawn_command(command).wait().success();
        format!("{}{}", output.stdout, output.stderr).contains('\x1b')
    };
    assert!(!with(&[], &[]));
    assert!(!with(&[("NO_COLOR", "1")], &[]));
    assert!(!with(&[("CLICOLOR_FORCE", "1")], &["--color", "never"]));
    assert!(with(&[("CLICOLOR_FORCE", "1")], &[]));
    assert!(with(&[], &["--color", "always"]));
    assert!(with(&[("XDEPLOY_COLOR", "always")], &[]));
    // JSON is never painted.
    let painted = bed.run(&[&plan[..], &["--output", "json", "--color", "always"]].concat()).success();
    assert!(!painted.stdout.contains('\x1b'));
}

fn stdout_is_the_result_and_stderr_the_talk() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    let done = bed.run(&refs(&args)).success();
    let result = bed.normalise(&done.stdout);
    assert!(result.starts_with("Plan for pipeline crossaccountdeploy in us-east-1:\n"), "{result}");
    assert!(result.contains("\nDone: ") && !result.contains("done A1"), "{result}");
    let talk = bed.normalise(&done.stderr);
    assert!(talk.starts_with("dev  111111111111") && talk.contains("done A1 ") && !talk.contains("Plan for"), "{talk}");
}

/// All options with a long name, of every command: command, flag, variable.
fn options() -> Vec<(String, String, Option<String>)> {
    let mut root = xdeploy::cli::Cli::command();
    root.build();
    let mut found = Vec::new();
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        for argument in command.get_arguments() {
            let Some(long) = argument.get_long() else { continue };
            if !matches!(long, "help" | "version") {
                let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
                found.push((command.get_name().to_owned(), long.to_owned(), variable));
            }
        }
    }
    assert!(found.len() > 100, "only {} options", found.len());
    found
}

fn every_flag_has_a_variable_of_its_name() {
    let mut wrong = Vec::new();
    let mut variables = BTreeSet::new();
    for (command, long, variable) in options() {
        // The one flag that may be given several times is a list as a variable.
        let plural = if long == "key-administrator" { "S" } else { "" };
        let expected = format!("XDEPLOY_{}{plural}", long.to_ascii_uppercase().replace('-', "_"));
        if variable.as_deref() != Some(expected.as_str()) {
            wrong.push(format!("{command} --{long}: {variable:?}"));
        }
        variables.insert(expected);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // No variable without a flag.
    let mut stack = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            stack.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        for rest in fs::read_to_string(&path).unwrap().split("XDEPLOY_").skip(1) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_').collect();
            // A debug build's place to panic, and what is read while it is compiled.
            if ["TEST_PANIC", "BUILD_COMMIT", "BUILD_RELEASE"].contains(&name.as_str()) {
                continue;
            }
            assert!(name.is_empty() || variables.contains(&format!("XDEPLOY_{name}")), "{}: XDEPLOY_{name} is no flag's", path.display());
        }
    }
}

fn variables_say_the_same_as_flags() {
    let bed = Bed::new();
    let said = [
        ("dev-profile", "dev"),
        ("prod-profile", "prod"),
        ("dev-account", "333333333333"),
        ("prod-account", "444444444444"),
        ("region", "us-west-2"),
        ("prod-region", "eu-west-1"),
        ("pipeline", "web"),
        ("input-bucket", "in-bucket"),
        ("object-key", "site.zip"),
        ("output-bucket", "out-bucket"),
        ("artifact-bucket", "artifact-bucket"),
        ("key-alias", "mine"),
        ("key-administrator", "arn:aws:iam::333333333333:role/a,arn:aws:iam::333333333333:user/b"),
        ("service-role", "service"),
        ("deploy-role", "deployer"),
        ("deploy-path", "site/v2"),
        ("no-extract", "true"),
        ("change-detection", "polling"),
        ("create-buckets", "true"),
        ("enable-versioning", "true"),
        ("no-create-key", "true"),
        ("stage", "Ship"),
        ("action", "ToS3"),
        ("output-policy", "one"),
        ("artifact-policy", "two"),
        ("assume-policy", "three"),
        ("event-role", "four"),
        ("event-rule", "five"),
    ];
    let mut flags = vec!["setup".to_owned(), "--write-config".to_owned(), "flags.toml".to_owned()];
    let mut by_variables = bed.command(&["setup"]);
    by_variables.env("XDEPLOY_WRITE_CONFIG", "variables.toml");
    for (flag, value) in said {
        flags.push(format!("--{flag}"));
        if value != "true" {
            flags.push(value.to_owned());
        }
        let (_, _, variable) = options().into_iter().find(|(command, long, _)| command == "setup" && long == flag).unwrap();
        by_variables.env(variable.unwrap(), value);
    }
    // The accounts are not those, so that each run ends there; the settings are written by then.
    bed.xdeploy(&refs(&flags)).code(4);
    bed.spawn_command(by_variables).wait().code(4);
    let read = |name: &str| fs::read_to_string(bed.dir().join(name)).unwrap();
    assert_eq!(read("variables.toml"), read("flags.toml"));
    for (flag, value) in said.iter().filter(|(flag, _)| !matches!(*flag, "no-extract" | "key-administrator")) {
        assert!(read("flags.toml").contains(value), "--{flag} is not written");
    }
    // The file says the same as the flags: written again from it, it is the same.
    bed.xdeploy(&["setup", "--config", "flags.toml", "--write-config", "again.toml"]).code(4);
    assert_eq!(read("again.toml"), read("flags.toml"));
    // A flag wins over a variable, and a variable over the file.
    let mut command = bed.command(&["setup", "--config", "flags.toml", "--write-config", "mixed.toml", "--stage", "Flag"]);
    command.env("XDEPLOY_STAGE", "Variable").env("XDEPLOY_ACTION", "Variable");
    bed.spawn_command(command).wait().code(4);
    let mixed = read("mixed.toml");
    assert!(mixed.contains("stage = \"Flag\"") && mixed.contains("action = \"Variable\""), "{mixed}");
}

fn variables_of_a_run_work_too() {
    let bed = Bed::new();
    let args = worlds::empty(&bed);
    let with = |command: &str, variables: &[(&str, &str)]| {
        let args = bed.args(&other(&args, command, &[]));
        let mut command = bed.command(&refs(&args));
        command.envs(variables.iter().copied());
        bed.spawn_command(command).wait()
    };
    with("plan", &[("XDEPLOY_DETAILED_EXITCODE", "1"), ("XDEPLOY_OUT", "saved")]).code(2);
    assert!(bed.dir().join("saved").exists());
    with("plan", &[("XDEPLOY_DETAILED_EXITCODE", "0")]).code(0);
    with("setup", &[("XDEPLOY_DRY_RUN", "yes"), ("XDEPLOY_YES", "1")]).success();
    with("setup", &[("XDEPLOY_YES", "false")]).code(3);
    with("plan", &[("XDEPLOY_ARTIFACT", "absent.zip")]).code(1);
    assert!(bed.proxy.writes().is_empty());
    assert_eq!(with("setup", &[("XDEPLOY_YES", "1"), ("XDEPLOY_OUTPUT", "json")]).success().json()["applied"], true);
}

fn every_command_explains_itself() {
    let bed = Bed::new();
    let mut root = xdeploy::cli::Cli::command();
    root.build();
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_name();
        let help = bed.xdeploy(&[name, "--help"]).success();
        assert_eq!(help.stderr, "");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name} {} has no help", argument.get_id());
        }
        for long in command.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(help.stdout.contains(&format!("--{long}")), "{name} --{long}\n{}", help.stdout);
        }
        let needed: &[&str] = match name {
            "setup" => &["--yes", "--dry-run", "--no-input", "--wait-for-runs"],
            "plan" | "verify" => &["--detailed-exitcode", "Exit 2"],
            "apply" => &["--wait-for-runs"],
            _ => &["--no-input"],
        };
        for word in needed {
            assert!(help.stdout.contains(word), "{name} --help lacks {word}");
        }
        assert!(help.stdout.lines().all(|line| line.chars().count() <= 80), "{name} --help is wider than the terminal");
    }
    assert!(bed.xdeploy(&["--version"]).success().stdout.starts_with("xdeploy "));
}

/// A result that could not be written is no success.
fn a_full_disk_is_a_failure() {
    for args in [&["schema", "plan"][..], &["completions", "bash"], &["rehearse", "--output", "json"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_xdeploy")).args(args).env_clear().stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        let error = said.find("error: ").unwrap_or_else(|| panic!("{args:?}: {said}"));
        same(
            &said[error..],
            str![[r#"
error: the result could not be written to standard output
  caused by: No space left on device (os error 28)

hint: make room on the disk, or write somewhere else

"#]],
        );
    }
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let mut all = trials![NOTHING;
        every_flag_has_a_variable_of_its_name,
        a_full_disk_is_a_failure,
    ];
    all.extend(trials![EMULATORS;
        every_command_prints_one_json_document,
        a_setup_prints_one_json_document,
        a_release_and_a_teardown_print_one_json_document,
        an_error_is_a_json_document_too,
        a_saved_plan_is_done_once_and_exactly,
        differences_are_exit_2_only_on_request,
        a_reader_that_went_away_is_no_failure,
        colour_only_where_it_is_wanted,
        stdout_is_the_result_and_stderr_the_talk,
        variables_say_the_same_as_flags,
        variables_of_a_run_work_too,
        every_command_explains_itself,
    ]);
    all
}
