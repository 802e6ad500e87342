//! A profile's `credential_process`: run with a limit, and ended with us; its arguments may be secret and are never shown.

use crate::model::printable;
use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, SystemTime};
use tokio::process::Command;

/// How long a program may take: it may wait for somebody in a browser.
pub(super) const LIMIT: Duration = Duration::from_secs(300);

/// The program that a command line runs, without its arguments.
pub(super) fn program(command: &str) -> &str {
    let command = command.trim_start();
    match command.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        Some((quoted, _)) => quoted,
        None => command.split_whitespace().next().unwrap_or("an empty command"),
    }
}

/// Runs the program and reads what it prints: `{"Version": 1, "AccessKeyId": …, "SecretAccessKey": …, …}`.
///
/// # Errors
/// Why there are no credentials, in a sentence that begins with what the program did.
pub(super) async fn run(command: &str, limit: Duration) -> Result<Credentials, String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(limit, shell.output()).await {
        Err(_) => return Err(format!("has not ended after {}", humantime::format_duration(limit))),
        Ok(Err(error)) => return Err(format!("could not be started: {error}")),
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = printable(said.split_whitespace().collect::<Vec<_>>().join(" "));
        let how = match output.status.code() {
            Some(code) => format!("ended with exit code {code}"),
            None => "was ended by a signal".to_owned(),
        };
        return Err(if said.is_empty() { format!("{how} and said nothing") } else { format!("{how}: {said}") });
    }
    read(&output.stdout)
}

fn read(printed: &[u8]) -> Result<Credentials, String> {
    // What is wrong with it isn't quoted: it may hold the secret.
    let document: Value = serde_json::from_slice(printed).map_err(|_| "printed no JSON".to_owned())?;
    let members = document.as_object().ok_or("printed no JSON object")?;
    let member = |name: &str| members.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    if member("Version").and_then(Value::as_u64) != Some(1) {
        return Err("printed no `\"Version\": 1`".to_owned());
    }
    let text = |name: &str| member(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let needed = |name: &str| text(name).ok_or_else(|| format!("printed no `{name}`"));
    let expires = match text("Expiration") {
        None => None,
        Some(time) => {
            let time = DateTime::from_str(time, Format::DateTimeWithOffset).ok().and_then(|time| SystemTime::try_from(time).ok());
            Some(time.ok_or("printed an `Expiration` that is no time")?)
        }
    };
    if expires.is_some_and(|expires| expires <= SystemTime::now()) {
        return Err("printed credentials that are over already".to_owned());
    }
    let mut builder = Credentials::builder()
        .access_key_id(needed("AccessKeyId")?)
        .secret_access_key(needed("SecretAccessKey")?)
        .provider_name("credential_process");
    builder.set_session_token(text("SessionToken").map(str::to_owned));
    builder.set_account_id(text("AccountId").map(Into::into));
    builder.set_expiry(expires);
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_gives_credentials_or_says_why_not() {
        let good = "echo '{\"version\": 1, \"AccessKeyId\": \"AKIAX\", \"SecretAccessKey\": \"s\", \"Expiration\": \"2100-01-01T00:00:00+00:00\"}'";
        let found = run(good, LIMIT).await.unwrap();
        assert_eq!((found.access_key_id(), found.session_token(), found.expiry().is_some()), ("AKIAX", None, true));
        let keys = "\"AccessKeyId\": \"AKIAX\", \"SecretAccessKey\": \"hidden\"";
        for (command, why) in [
            ("exit 3".to_owned(), "ended with exit code 3 and said nothing"),
            ("echo no  such; echo vault is locked >&2; false".to_owned(), "ended with exit code 1: vault is locked"),
            ("kill -9 $$".to_owned(), "was ended by a signal and said nothing"),
            ("echo hidden".to_owned(), "printed no JSON"),
            (format!("echo '{{{keys}}}'"), "printed no `\"Version\": 1`"),
            ("echo '{\"Version\": 1, \"AccessKeyId\": \"x\"}'".to_owned(), "printed no `SecretAccessKey`"),
            (format!("echo '{{\"Version\": 1, \"Expiration\": \"soon\", {keys}}}'"), "printed an `Expiration` that is no time"),
            (
                format!("echo '{{\"Version\": 1, \"Expiration\": \"2020-01-01T00:00:00Z\", {keys}}}'"),
                "printed credentials that are over already",
            ),
        ] {
            assert_eq!(run(&command, LIMIT).await.unwrap_err(), why, "{command}");
        }
        let hangs = run("exec sleep 60", Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(hangs, "has not ended after 200ms");
    }

    #[test]
    fn a_program_is_named_without_its_arguments() {
        assert_eq!(program("/opt/x --token secret"), "/opt/x");
        assert_eq!(program("\"/opt/my tool\" --token secret"), "/opt/my tool");
    }
}
