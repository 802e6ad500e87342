//! Which identity the application of a container really uses, and why (facts/ecs.md C).

use super::checks::about::{Mode, agent_runs, reaches_agent, tasks};
use super::checks::other_credentials::winners;
use super::checks::php_fpm;
use super::checks::process_variable::without;
use super::environment::{FULL_URI, RELATIVE_URI};
use super::facts::{Container, HostFacts};
use super::host::TASK_LABEL;
use super::host::sdks::Sdk;
use super::sdk_table::{OnEndpointError, on_endpoint_error, too_old_among};
use crate::model::{Finding, Outcome, Subject};
use serde::Serialize;

/// Whose credentials an application uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// The task role.
    TaskRole,
    /// The instance's role, which the article warns of.
    InstanceRole,
    /// Keys or another role that stand before the task role.
    OtherCredentials,
    /// None at all.
    NoCredentials,
    /// What would decide could not be read.
    CannotTell,
}

/// The verdict on a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The container's name.
    pub container: String,
    /// Its task.
    pub task: String,
    /// How it is connected.
    pub mode: &'static str,
    /// Whose credentials its application uses.
    pub identity: Identity,
    /// The role, where its name is known.
    pub role: Option<String>,
    /// Why, the nearest reason first.
    pub because: Vec<String>,
    /// The ids of the checks that say what to mend.
    pub findings: Vec<&'static str>,
}

impl Verdict {
    /// Says it in one line.
    pub fn text(&self) -> String {
        let role = |what: &str| self.role.as_ref().map_or_else(|| format!("its {what}"), |role| format!("{what} {role}"));
        let because = if self.because.is_empty() { String::new() } else { format!(" because {}", self.because.join("; ")) };
        match self.identity {
            Identity::TaskRole => format!("uses {}", role("task role")),
            Identity::InstanceRole => format!("uses {}{because}", role("instance role")),
            Identity::OtherCredentials => format!("uses other credentials{because}"),
            Identity::NoCredentials => format!("gets no credentials{because}"),
            Identity::CannotTell => format!("can't tell which identity it uses{because}"),
        }
    }
}

/// Judges every container of a task.
pub fn judge(facts: &HostFacts, findings: &[Finding]) -> Vec<Verdict> {
    tasks(facts).into_iter().map(|container| of(facts, findings, container)).collect()
}

fn of(facts: &HostFacts, findings: &[Finding], container: &Container) -> Verdict {
    let task = container.labels.get(TASK_LABEL).cloned().unwrap_or_default();
    let known = facts.aws.known().and_then(|aws| aws.tasks.get(&task)?.known()?.task_role.clone());
    let (identity, mut because) = decide(facts, container);
    let role = match identity {
        Identity::TaskRole => known,
        Identity::InstanceRole => facts.imds.known().and_then(|imds| imds.role.clone()),
        _ => None,
    };
    let mode = Mode::of(facts, container);
    let about = |finding: &&Finding| match &finding.subject {
        Subject::Container(name) => *name == container.name,
        Subject::Host => touches(finding.check.id, &mode),
        Subject::Interface(name) => mode.is_by(name),
        Subject::Role(arn) => role.as_ref() == Some(arn),
        Subject::Pipeline(_) | Subject::Command(_) => false,
    };
    let causes = findings.iter().filter(|finding| finding.is_cause()).filter(about);
    let mut ids: Vec<&'static str> = causes.map(|finding| finding.check.id).collect();
    ids.dedup();
    if let Some(cause) = findings.iter().find(|finding| finding.is_cause() && about(finding) && path_matters(finding.check.id))
        && matches!(identity, Identity::NoCredentials | Identity::InstanceRole)
        && container.environment.has(RELATIVE_URI)
        && !because.iter().any(|reason| reason.contains(&cause.message))
    {
        because.push(format!("{} ({})", cause.message, cause.check.id));
    }
    Verdict { container: container.name.clone(), task, mode: mode.word(), identity, role, because, findings: ids }
}

/// Says whether a finding about the host matters to a container that is connected like this.
fn touches(id: &str, mode: &Mode) -> bool {
    match id {
        "XD-ECS-010" => !matches!(mode, Mode::Host),
        "XD-ECS-011" | "XD-ECS-051" => *mode == Mode::Host,
        "XD-ECS-012" => *mode == Mode::Awsvpc,
        "XD-ECS-050" | "XD-ECS-052" => mode.interface().is_some(),
        _ => true,
    }
}

/// Says whether a check is one of the way to the agent.
fn path_matters(id: &str) -> bool {
    [
        "XD-ECS-001",
        "XD-ECS-002",
        "XD-ECS-004",
        "XD-ECS-050",
        "XD-ECS-051",
        "XD-ECS-052",
        "XD-ECS-053",
        "XD-ECS-054",
        "XD-ECS-058",
        "XD-ECS-075",
    ]
    .contains(&id)
}

fn decide(facts: &HostFacts, container: &Container) -> (Identity, Vec<String>) {
    match winners(container) {
        Ok(Some(what)) => return (Identity::OtherCredentials, vec![format!("{what} stands before the task role")]),
        Ok(None) => {}
        // Whatever else is known, a profile that can't be seen may win.
        Err(why) => {
            return (Identity::CannotTell, vec![format!("whether keys or a profile stand before the task role can't be read: {why}")]);
        }
    }
    if !container.environment.has(RELATIVE_URI) {
        if container.environment.has(FULL_URI) {
            return (Identity::OtherCredentials, vec![format!("{FULL_URI} leads to somebody else than the agent")]);
        }
        return instance(facts, container, "its task definition names no task role (XD-ECS-070)".to_owned());
    }
    if let Some(process) = container.processes.known().and_then(|processes| without(processes).first().copied()) {
        let why = format!("{} (PID {}) doesn't have {RELATIVE_URI} (XD-ECS-060)", process.name, process.inner);
        return instance(facts, container, why);
    }
    if php_fpm::runs(container) {
        if !php_fpm::clearing(container).is_empty() {
            return instance(facts, container, "php-fpm clears the environment of its workers (XD-ECS-061)".to_owned());
        }
        if let Some(why) = container.php.unknown() {
            return (Identity::CannotTell, vec![format!("php-fpm runs, and its pools can't be told: {why} (XD-ECS-061)")]);
        }
        if container.php.known().is_none_or(Vec::is_empty) {
            return (Identity::CannotTell, vec!["php-fpm runs, and no file of its pools was found (XD-ECS-061)".to_owned()]);
        }
    }
    if let Some(sdk) = only_old(container) {
        return instance(facts, container, format!("{} {} is older than task roles (XD-ECS-040)", sdk.kind, sdk.version));
    }
    let unread = container.processes.known().and_then(|processes| processes.iter().find_map(|process| process.environment.unknown()));
    if let Some(why) = container.processes.unknown().or(unread) {
        return (Identity::CannotTell, vec![format!("what its processes have in their environment can't be read: {why}")]);
    }
    match container.probe.known() {
        Some(_) if reaches_agent(container) => (Identity::TaskRole, Vec::new()),
        Some(_) => broken(facts, container),
        None if Mode::of(facts, container) == Mode::Nothing || agent_runs(facts) == Some(false) => broken(facts, container),
        None => {
            let why = container.probe.unknown().unwrap_or_default();
            (Identity::CannotTell, vec![format!("the agent wasn't asked from inside its network: {why}")])
        }
    }
}

/// Finds an SDK that is older than task roles, if none beside it is younger: which of two an application uses can't be seen.
fn only_old(container: &Container) -> Option<&Sdk> {
    let sdks = &container.sdks.known()?.sdks;
    sdks.iter().all(|sdk| too_old_among(sdk, sdks) == Some(true)).then(|| sdks.first()).flatten()
}

/// The variable is there, and the agent isn't reached: what then happens is the SDK's way (facts C.3).
fn broken(facts: &HostFacts, container: &Container) -> (Identity, Vec<String>) {
    let sdks = container.sdks.known().map(|found| found.sdks.as_slice()).unwrap_or_default();
    let falling = sdks.iter().find(|sdk| on_endpoint_error(sdk) == OnEndpointError::UsesInstanceRole);
    let stopping = sdks.iter().find(|sdk| on_endpoint_error(sdk) == OnEndpointError::Stops);
    let path = "the agent doesn't answer from inside its network".to_owned();
    match (falling, stopping) {
        (Some(one), Some(other)) => {
            let unclear = format!(
                "{} {} would use the instance's role, {} {} stops: which one asks can't be seen",
                one.kind, one.version, other.kind, other.version
            );
            (Identity::CannotTell, vec![path, unclear])
        }
        (Some(sdk), None) => instance(
            facts,
            container,
            format!("{path}, and {} {} then goes on to the instance's role without a word", sdk.kind, sdk.version),
        ),
        (None, Some(sdk)) => (Identity::NoCredentials, vec![path, format!("{} {} stops there", sdk.kind, sdk.version)]),
        // Without the instance's role in reach, no SDK has anything to fall back to.
        (None, None) if container.reaches_imds.known() == Some(&false) => (Identity::NoCredentials, vec![path]),
        (None, None) => (
            Identity::CannotTell,
            vec![path, "whether its SDK then stops or uses the instance's role isn't known: none was found".to_owned()],
        ),
    }
}

/// What is left without the task role: the instance's, if it can be reached.
fn instance(facts: &HostFacts, container: &Container, why: String) -> (Identity, Vec<String>) {
    let disabled = container.environment.told("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    match (container.reaches_imds.known(), facts.imds.known()) {
        _ if disabled => (Identity::NoCredentials, vec![why, "AWS_EC2_METADATA_DISABLED is true".to_owned()]),
        (Some(false), _) => (Identity::NoCredentials, vec![why, "it can't reach the instance metadata service".to_owned()]),
        (Some(true), Some(imds)) if imds.role.is_none() => (Identity::NoCredentials, vec![why, "the instance has no role".to_owned()]),
        (Some(true), _) => (Identity::InstanceRole, vec![why]),
        (None, _) => {
            let unread = container.reaches_imds.unknown().unwrap_or_default();
            (Identity::CannotTell, vec![why, format!("whether it reaches the instance's role can't be told: {unread}")])
        }
    }
}

/// The exit code: a failure that isn't passed over, a verdict that hangs on what couldn't be read, or nothing.
pub fn exit_code(facts: &HostFacts, findings: &[Finding], verdicts: &[Verdict], warnings_fail: bool) -> u8 {
    let bad = |finding: &Finding| finding.outcome == Outcome::Fail || warnings_fail && finding.outcome == Outcome::Warn;
    if findings.iter().any(bad) {
        1
    } else if facts.containers.known().is_none()
        || undecided(facts, findings)
        || verdicts.iter().any(|verdict| verdict.identity == Identity::CannotTell)
    {
        5
    } else {
        0
    }
}

/// Somebody asked AWS, and what was asked for can't be told.
fn undecided(facts: &HostFacts, findings: &[Finding]) -> bool {
    let asked = ["XD-ECS-020", "XD-ECS-022", "XD-ECS-023"];
    let unknown = |finding: &Finding| finding.outcome == Outcome::CannotTell && asked.contains(&finding.check.id);
    facts.aws.known().is_some() && findings.iter().any(unknown)
}
