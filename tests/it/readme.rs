//! What the README shows is what the program does: its transcript and its reference are made here and compared.
//!
//! `SNAPSHOTS=overwrite cargo test --test it readme` writes both anew.

use crate::support::compare::{readme, readme_block};
use crate::support::normalised;
use crate::support::served::Served;
use clap::{CommandFactory, Parser};
use std::fmt::Write;
use std::path::Path;
use xdeploy::deploy::chain::ROWS;
use xdeploy::deploy::failures::rows;
use xdeploy::deploy::rules;
use xdeploy::error::{EXIT_CODES, Kind};
use xdeploy::rehearsal::PROD;
use yaml_rust2::{Yaml, YamlLoader};

/// The README's first command.
#[test]
fn readme_rehearse() {
    let dir = tempfile::tempdir().unwrap();
    let shell = format!("exec {} rehearse 2>&1", env!("CARGO_BIN_EXE_xdeploy"));
    let output = std::process::Command::new("/bin/sh").args(["-c", &shell]).current_dir(dir.path()).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    // A session of CodePipeline's is named by the time, in milliseconds.
    let is_time = |name: &str| name.len() == 13 && name.bytes().all(|byte| byte.is_ascii_digit());
    let lines = text.lines().map(|line| match line.rsplit_once('/') {
        Some((before, name)) if is_time(name) => format!("{before}/1767225600000"),
        // How long it took.
        _ if line.ends_with("s)") => normalised(line),
        _ => line.to_owned(),
    });
    let lines: Vec<String> = lines.collect();
    readme_block("rehearse", &format!("```console\n$ xdeploy rehearse\n{}\n```\n", lines.join("\n").trim_end()));
}

/// Every command, flag, variable and default, from the parser itself.
#[test]
fn readme_reference() {
    let mut command = xdeploy::cli::Cli::command();
    command.build();
    let mut text = String::new();
    let global: Vec<_> = command.get_arguments().filter(|argument| argument.is_global_set()).cloned().collect();
    let table = |arguments: &mut dyn Iterator<Item = &clap::Arg>| {
        let mut rows = String::from("| flag | variable | meaning |\n| --- | --- | --- |\n");
        for argument in arguments {
            let values: Vec<String> = argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
            let takes = argument.get_action().takes_values();
            let value = if takes { values.join(" ").replace('|', "\\|") } else { String::new() };
            let name = match argument.get_long() {
                Some(long) if value.is_empty() => format!("`--{long}`"),
                Some(long) => format!("`--{long} {value}`"),
                None => format!("`{value}`"),
            };
            let variable = argument.get_env().map(|env| format!("`{}`", env.to_string_lossy())).unwrap_or_default();
            let possible: Vec<String> = if takes {
                argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect()
            } else {
                Vec::new()
            };
            let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            if !possible.is_empty() {
                let _ = write!(help, ": {}", possible.join(", "));
            }
            let defaults: Vec<String> = argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
            if takes && !defaults.is_empty() {
                let _ = write!(help, " [default: {}]", defaults.join(", "));
            }
            let _ = writeln!(rows, "| {name} | {variable} | {help} |");
        }
        rows
    };
    let is_shown = |argument: &&clap::Arg| !matches!(argument.get_id().as_str(), "help" | "version");
    let _ = write!(text, "\n### Every command\n\n{}", table(&mut global.iter().filter(is_shown)));
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, "\n### `xdeploy {}`\n\n{about}.\n", sub.get_name());
        let own: Vec<_> = sub
            .get_arguments()
            .filter(is_shown)
            .filter(|argument| !global.iter().any(|other| other.get_id() == argument.get_id()))
            .collect();
        if !own.is_empty() {
            let _ = write!(text, "\n{}", table(&mut own.into_iter()));
        }
    }
    readme_block("reference", &format!("{text}\n"));
}

/// The calls of the chain, from the table that is judged.
#[test]
fn readme_chain() {
    let mut text =
        String::from("| id | call | article | who | action | on | grade | for |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for row in ROWS {
        let (who, on) = (row.who.words(), row.on.words());
        let grade = format!("{}: [{}]({})", row.grade().words(), row.grounds.text, row.grounds.docs);
        let _ =
            writeln!(text, "| {} | `{}` | {} | {who} | `{}` | {on} | {grade} | {} |", row.id(), row.name, row.article, row.action, row.why);
    }
    readme_block("chain", &text);
}

/// A failed release, and what explains it.
#[test]
fn readme_explain() {
    let served = Served::new();
    let buckets = ["--create-buckets", "--enable-versioning", "--input-bucket", "input-bucket", "--output-bucket", "output-bucket"];
    served.run(&[&["setup", "--yes"], &buckets[..]].concat());
    let iam = aws_sdk_iam::Client::new(&served.rehearsal.config(served.rehearsal.keys(PROD), "us-east-1"));
    let detach = iam.detach_role_policy().role_name("prods3role").policy_arn(format!("arn:aws:iam::{PROD}:policy/devkmss3access"));
    tokio::runtime::Runtime::new().unwrap().block_on(detach.send()).unwrap();
    let mut transcript = String::new();
    for (command, code) in [("release --sample", 1), ("explain --pipeline crossaccountdeploy", 0)] {
        let words: Vec<&str> = command.split(' ').collect();
        let output = served.try_run(&words);
        // Who both profiles are is told by every command; here the second is enough.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let said: String =
            said.lines().filter(|line| !line.starts_with("dev ") && !line.starts_with("prod ")).map(|line| format!("{line}\n")).collect();
        let said = format!("{said}{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(code), "{said}");
        let _ = write!(transcript, "$ xdeploy {command}\n{}\n", normalised(&said).trim_end());
    }
    let lines = transcript.lines().map(|line| match line.find(" as version ") {
        Some(at) => format!("{} as version VERSION-ID", &line[..at]),
        None => line.to_owned(),
    });
    // The end of an artifact's key is made by chance.
    let lines = lines.map(|line| match line.find("/SourceArti/").map(|at| at + "/SourceArti/".len()) {
        Some(at) if line[at..].find(".zip") == Some(7) => format!("{}AbCdEfG{}", &line[..at], &line[at + 7..]),
        _ => line,
    });
    readme_block("explain", &format!("```console\n{}\n```\n", lines.collect::<Vec<_>>().join("\n")));
}

/// The catalogue, from the table that is ranked.
#[test]
fn readme_failures() {
    let cell = |text: &str| text.replace('|', "\\|");
    let mut text = String::from("| id | where | it says | cause | fix |\n| --- | --- | --- | --- | --- |\n");
    for row in rows() {
        let at: Vec<&str> = row.at.iter().map(|place| place.word()).collect();
        let (says, why, fix) = (cell(row.says), cell(row.check.why), cell(row.check.fix));
        let _ = writeln!(text, "| [`{}`]({}) | {} | {says} | {why} | {fix} |", row.check.id, row.check.docs, at.join(", "));
    }
    readme_block("failures", &text);
}

/// The test command that the gate runs is the one that the README names.
#[test]
fn readme_names_the_gate_s_test_command() {
    let gate = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/run")).unwrap();
    assert!(readme().contains("\ncargo test\n") && gate.contains("cargo test"));
}

/// Every exit code, and each kind of error has one of them.
#[test]
fn readme_exit_codes() {
    let rows = EXIT_CODES.iter().map(|(code, meaning)| format!("| {code} | {meaning} |\n"));
    readme_block("exit-codes", &format!("| code | meaning |\n| --- | --- |\n{}", rows.collect::<String>()));
    let help = xdeploy::cli::Cli::command().render_help().to_string().replace('\n', " ");
    for (code, _) in EXIT_CODES {
        assert!(help.contains(&format!(" {code} ")), "--help doesn't name exit code {code}");
    }
    for kind in Kind::ALL {
        assert!(EXIT_CODES.iter().any(|(code, _)| *code == kind.exit_code()), "{kind:?}");
    }
}

/// The rules beside the calls and the container host's.
#[test]
fn readme_rules() {
    let told = rules::all().into_iter().filter(|rule| !rule.id.starts_with("XD-CALL"));
    let rows = told.map(|rule| format!("| {} | {} | {} | {} | {} |\n", rule.id, rule.article.join(", "), rule.title, rule.why, rule.fix));
    readme_block(
        "rules",
        &format!("| id | article | what holds | otherwise | what to do |\n| --- | --- | --- | --- | --- |\n{}", rows.collect::<String>()),
    );
}

/// The sample jobs are what `xdeploy ci` prints.
#[test]
fn readme_ci() {
    for service in ["github", "gitlab"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_xdeploy"));
        command.args(["ci", service, "--region", "us-east-1"]).args(["--input-bucket", "codepipeline-input-bucket"]);
        command.args(["--output-bucket", "codepipeline-output-bucket"]);
        command.args(["--key-administrator", "arn:aws:iam::111111111111:role/administrators"]);
        let dir = tempfile::tempdir().unwrap();
        let output = command.current_dir(dir.path()).env_clear().output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        readme_block(&format!("ci-{service}"), &format!("```yaml\n{}```\n", String::from_utf8(output.stdout).unwrap()));
    }
}

/// The YAML between two markers.
fn yaml(marker: &str) -> Yaml {
    let readme = readme();
    let (_, rest) = readme.split_once(&format!("<!-- {marker} -->\n```yaml\n")).expect("the opening marker");
    let (text, _) = rest.split_once("```\n").expect("the end of the block");
    let mut documents = YamlLoader::load_from_str(text).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// All texts and all keys of a document.
fn texts(yaml: &Yaml, found: &mut Vec<String>, keys: &mut Vec<String>) {
    match yaml {
        Yaml::String(text) => found.push(text.clone()),
        Yaml::Array(list) => list.iter().for_each(|one| texts(one, found, keys)),
        Yaml::Hash(members) => {
            for (key, value) in members {
                keys.extend(key.as_str().map(str::to_owned));
                texts(value, found, keys);
            }
        }
        _ => {}
    }
}

/// What a CI job runs is parsed by the real parser, and the reports that a job takes further are the ones that it writes.
#[test]
fn readme_jobs_run_commands_that_there_are() {
    for (marker, jobs) in [("ci-github", "jobs"), ("ci-gitlab", "xdeploy-plan")] {
        let job = yaml(marker);
        assert!(!job[jobs].is_badvalue(), "{marker}");
        let (mut found, mut keys) = (Vec::new(), Vec::new());
        texts(&job, &mut found, &mut keys);
        let mut commands = Vec::new();
        for line in found.iter().flat_map(|text| text.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>()) {
            let Some(rest) = line.trim().strip_prefix("xdeploy ") else { continue };
            let own = rest.split(" || ").next().unwrap_or_default();
            let words: Vec<&str> = ["xdeploy"].into_iter().chain(own.split_whitespace()).collect();
            xdeploy::cli::Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{line}\n{error}"));
            commands.push(words.join(" "));
        }
        assert!(commands.iter().any(|line| line.starts_with("xdeploy plan --detailed-exitcode")), "{commands:?}");
        assert!(commands.iter().any(|line| line.starts_with("xdeploy verify ") && line.contains("--report ")), "{commands:?}");
        // Whatever a job hands on is written by one of its commands.
        let names = found.iter().filter(|text| ["plan.", "verify."].iter().any(|start| text.starts_with(start)) && !text.contains(' '));
        for name in names {
            assert!(commands.iter().any(|line| line.contains(&format!("={name}")) || line.contains(&format!("--out {name}"))), "{name}");
        }
        let mut cli = xdeploy::cli::Cli::command();
        cli.build();
        let arguments = cli.get_subcommands().flat_map(clap::Command::get_arguments);
        let variables: Vec<String> = arguments.filter_map(|one| Some(one.get_env()?.to_string_lossy().into_owned())).collect();
        for key in keys.iter().filter(|key| key.starts_with("XDEPLOY_")) {
            assert!(variables.contains(key), "{key} is no flag's variable");
        }
    }
}
