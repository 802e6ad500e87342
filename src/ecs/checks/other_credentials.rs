//! XD-ECS-073: nothing beats the task role.

use super::about::{no_tasks, of_container, tasks};
use crate::ecs::facts::HostFacts;
use crate::ecs::facts::{Container, Process};
use crate::model::Readable;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-073",
    title: "nothing beats the task role",
    why: "keys in the environment, a profile or a web identity stand before the task role in every SDK's chain",
    fix: "take them out of the image or the task definition",
    docs: "https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html",
    article: &["B"],
};

/// The most profiles that a line names.
const SHOWN: usize = 20;

fn shown(profiles: &[String]) -> String {
    let text = profiles.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match profiles.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{text} and {more} more"),
        None => text,
    }
}

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in tasks(facts) {
        let finding = match winners(container) {
            Ok(Some(what)) => {
                let finding = Finding::new(&CHECK, Outcome::Fail, format!("{what} stands before the task role"));
                finding.mend("take it out of the task definition, the image or the volume that brings it")
            }
            Ok(None) => match container.profiles.known().and_then(|profiles| profiles.first()) {
                Some(file) => Finding::new(
                    &CHECK,
                    Outcome::Warn,
                    format!("{} has profiles ({}): they win wherever one is asked for", file.path, shown(&file.profiles)),
                ),
                None => Finding::new(&CHECK, Outcome::Pass, "no keys, no profile, no web identity"),
            },
            Err(why) => Finding::new(&CHECK, Outcome::CannotTell, why),
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(no_tasks(facts, &CHECK));
    }
    found
}

/// Names what stands before the task role in the SDKs' chains (facts/ecs.md C.2).
///
/// # Errors
/// Why that can't be told.
pub fn winners(container: &Container) -> Result<Option<String>, String> {
    let environment = &container.environment;
    if environment.has("AWS_ACCESS_KEY_ID") {
        return Ok(Some("AWS_ACCESS_KEY_ID in its environment".to_owned()));
    }
    if environment.has("AWS_WEB_IDENTITY_TOKEN_FILE") && environment.has("AWS_ROLE_ARN") {
        return Ok(Some("AWS_WEB_IDENTITY_TOKEN_FILE in its environment".to_owned()));
    }
    if let Some(processes) = container.processes.known() {
        let with = |process: &&Process| process.environment.known().is_some_and(|environment| environment.has("AWS_ACCESS_KEY_ID"));
        if let Some(process) = processes.iter().find(with) {
            return Ok(Some(format!("AWS_ACCESS_KEY_ID in the environment of {} (PID {})", process.name, process.inner)));
        }
    }
    let files = match &container.profiles {
        Readable::Known(files) => files,
        Readable::Unknown(why) => return Err(why.clone()),
    };
    let asked =
        environment.told("AWS_PROFILE").or(environment.told("AWS_DEFAULT_PROFILE")).filter(|name| !name.is_empty()).unwrap_or("default");
    let file = files.iter().find(|file| file.own && file.profiles.iter().any(|profile| profile == asked));
    Ok(file.map(|file| format!("profile {asked} of {}", file.path)))
}
