//! Codes of MFA devices: typed at a terminal, and shared with the real AWS CLI.

use crate::needs::{self, Need};
use crate::support::person::{DEV_ROLE, Person, said};
use crate::support::pty::{self, ENTER};
use crate::support::tools;
use libtest_mimic::Trial;
use serde_json::Value;
use std::process::Command;

/// Somebody who types at a terminal, and the real AWS CLI.
const TERMINAL_AND_AWS_CLI: &[Need] = &[|| needs::program("python3", "python3"), tools::missing];

/// The real AWS CLI, with the same home.
fn aws(person: &Person, args: &[&str]) -> Command {
    let mut command = Command::new(tools().join("aws"));
    command.args(args).env_clear().env("PATH", std::env::var("PATH").unwrap());
    for (name, value) in person.served.command(args).get_envs() {
        command.env(name, value.unwrap());
    }
    command.current_dir(person.served.dir.path());
    command
}

fn in_a_terminal_the_code_is_asked_for_and_not_shown() {
    let person = Person::new();
    person.mfa_profiles();
    let code = person.code();
    let question = format!("MFA code of {} (profile d):", person.serial);
    let program = person.served.command(&["who-am-i", "--dev-profile", "d", "--prod-profile", "p"]);
    let answer = format!("{code}{ENTER}");
    let wrong = format!("12{ENTER}");
    let talk = pty::talk(&program, &[(&question, &wrong), (&question, &answer)], 200);
    talk.ended(2, 0);
    assert!(talk.text().contains("a code has six digits") && !talk.text().contains(&code), "{}", talk.text());
}

fn the_aws_cli_reads_what_we_keep_and_we_what_it_keeps() {
    let person = Person::new();
    person.mfa_profiles();
    said(&person.who("d", "p", &["--mfa-code", &person.code()]), 0);
    // Without a terminal the AWS CLI can't ask, so it must find the session.
    let found = aws(&person, &["sts", "get-caller-identity", "--profile", "p", "--output", "json"]).output().unwrap();
    let who: Value = serde_json::from_str(&said(&found, 0)).unwrap();
    assert_eq!(who["Arn"], "arn:aws:sts::222222222222:assumed-role/operator/jane");

    let person = Person::new();
    // Another name and length, so that the key must be made of them; and none at all.
    person.config(&format!(
        "[profile d]\nregion = us-east-1\nrole_arn = {DEV_ROLE}\nsource_profile = dev\nmfa_serial = {}\nexternal_id = seven:7/x\n",
        person.serial
    ));
    let program = aws(&person, &["sts", "get-caller-identity", "--profile", "d", "--output", "json"]);
    let answer = format!("{}{ENTER}", person.code());
    let talk = pty::talk(&program, &[("Enter MFA code for", &answer)], 200);
    talk.ended(1, 0);
    let text = said(&person.who("d", "prod", &[]), 0);
    // The session is the AWS CLI's, and so is its name.
    assert!(text.contains("assumed-role/operator/botocore-session-"), "{text}");
}

pub fn trials() -> Vec<Trial> {
    let mut all = trials!(needs::TERMINAL; in_a_terminal_the_code_is_asked_for_and_not_shown);
    all.extend(trials!(TERMINAL_AND_AWS_CLI; the_aws_cli_reads_what_we_keep_and_we_what_it_keeps));
    all
}
