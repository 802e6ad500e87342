//! XD-ECS-060: every process has the variable.

use super::about::{nothing, of_container, tasks};
use crate::ecs::environment::RELATIVE_URI;
use crate::ecs::facts::HostFacts;
use crate::ecs::facts::Process;
use crate::model::Readable;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-060",
    title: "every process has the variable",
    why: "a process without AWS_CONTAINER_CREDENTIALS_RELATIVE_URI knows nothing of the task role: its SDK uses the instance's role or nothing",
    fix: "hand the variable on to the process that needs it",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshoot-task-iam-roles.html",
    article: &["B7"],
};

/// What starts a program without the environment that it has itself (facts/ecs.md A.9).
const CLEARING: [(&str, &str); 7] = [
    ("cron", "cron gives its jobs an environment of its own"),
    ("crond", "cron gives its jobs an environment of its own"),
    ("sshd", "sshd gives its sessions an environment of its own"),
    ("sudo", "sudo clears the environment (env_reset)"),
    ("su", "`su -` clears the environment"),
    ("s6-supervise", "s6-overlay clears the environment without `with-contenv`"),
    ("systemd", "systemd gives its units an environment of their own"),
];

/// What asks AWS for nothing itself: what it starts is looked at.
const IDLE: [&str; 9] = ["cron", "crond", "sshd", "systemd", "s6-supervise", "s6-svscan", "dbus-daemon", "rsyslogd", "syslogd"];

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in tasks(facts).into_iter().filter(|container| container.environment.has(RELATIVE_URI)) {
        let processes = match &container.processes {
            Readable::Known(processes) => processes,
            Readable::Unknown(why) => {
                found.push(of_container(Finding::new(&CHECK, Outcome::CannotTell, why.clone()), container));
                continue;
            }
        };
        let lacking = without(processes);
        let unread = processes.iter().find_map(|process| process.environment.unknown());
        let finding = match (lacking.as_slice(), unread) {
            ([], Some(why)) => Finding::new(&CHECK, Outcome::CannotTell, why.to_owned()),
            ([], None) => Finding::new(&CHECK, Outcome::Pass, format!("all {} have it", processes.len())),
            (lacking, _) => {
                let names: Vec<String> = lacking.iter().map(|process| format!("{} (PID {})", process.name, process.inner)).collect();
                let mut finding = Finding::new(
                    &CHECK,
                    Outcome::Fail,
                    format!("{} lack{} {RELATIVE_URI}", names.join(", "), if names.len() == 1 { "s" } else { "" }),
                );
                for process in lacking {
                    if let Some((starter, why)) =
                        ancestors(process, processes).find_map(|above| CLEARING.iter().find(|(name, _)| above.name == *name))
                    {
                        finding = finding.seen(format!("{} was started below {starter}: {why}", process.name));
                    }
                }
                finding
                    .mend("in the entrypoint: tr '\\0' '\\n' </proc/self/environ | grep '^AWS_CONTAINER_' into a file that the program's start reads")
                    .mend("or, for login shells of root, in the Dockerfile: RUN echo 'export $(strings /proc/1/environ | grep AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)' >> /root/.profile")
            }
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(nothing(facts, &CHECK, "no container of a task was given it"));
    }
    found
}

/// Lists the processes that lack the variable; php-fpm overwrites what could be read and is judged by its pools.
pub fn without(processes: &[Process]) -> Vec<&Process> {
    let lacks = |process: &&Process| process.environment.known().is_some_and(|environment| !environment.has(RELATIVE_URI));
    let counts =
        |process: &&Process| !process.overwritten && !process.name.starts_with("php-fpm") && !IDLE.contains(&process.name.as_str());
    processes.iter().filter(counts).filter(lacks).collect()
}

fn ancestors<'p>(process: &'p Process, processes: &'p [Process]) -> impl Iterator<Item = &'p Process> {
    let mut next = process.parent;
    // A tree has no circle, but what was read while it changed may.
    (0..processes.len()).map_while(move |_| {
        let above = processes.iter().find(|other| other.pid == next)?;
        next = above.parent;
        Some(above)
    })
}
