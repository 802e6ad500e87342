//! The pipeline at work: each call that CodePipeline makes is made here under the same role, and judged like any other
//! (facts/codepipeline.md A).

mod calls;
mod deploy;
mod source;
#[cfg(test)]
mod tests;

use super::codepipeline::{ActionRun, Execution, Revision, SERVICE, items, kind, member, order, text};
use super::state::State;
use super::sts;
use super::wire::Caller;
use serde_json::{Value, json};

/// How long an action takes, in milliseconds.
const ACTION: u64 = 2_000;

/// Says whether a role could be taken on.
pub(crate) fn may_assume(state: &mut State, caller: &Caller, role: &str, region: &str) -> bool {
    let session = session(state);
    sts::assume(state, caller, region, role, &session).is_ok()
}

/// Gives the name of a session as CodePipeline names its own: the time in milliseconds (facts A.1).
pub(crate) fn session(state: &State) -> String {
    state.clock.to_string()
}

/// Why an action failed: a code of CodePipeline's, and a text (facts E).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    fn new(code: &'static str, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }
}

/// What an action left.
#[derive(Debug, Default)]
struct Done {
    outputs: Vec<Artifact>,
    revision: Option<Revision>,
    external: Option<String>,
    summary: Option<String>,
    variables: Value,
}

/// Where an artifact lies.
#[derive(Debug, Clone)]
struct Artifact {
    name: String,
    /// The region of its store.
    region: String,
    bucket: String,
    key: String,
}

impl Artifact {
    fn shown(&self) -> Value {
        json!({"name": self.name, "s3location": {"bucket": self.bucket, "key": self.key}})
    }
}

/// What all actions of an execution share.
struct Run<'r> {
    declaration: &'r Value,
    pipeline: &'r str,
    home: &'r str,
    /// The revisions that it was started with.
    asked: &'r [Value],
    artifacts: Vec<Artifact>,
}

/// What a store says of itself.
struct Store {
    bucket: String,
    key: Option<String>,
}

impl Run<'_> {
    /// Gives the artifact store of a region.
    fn store(&self, region: &str) -> Store {
        let stores = member(self.declaration, "artifactStores");
        let store = stores.get(region).unwrap_or_else(|| member(self.declaration, "artifactStore"));
        let key = text(member(store, "encryptionKey"), "id").map(str::to_owned);
        Store { bucket: text(store, "location").unwrap_or_default().to_owned(), key }
    }

    /// Gives a new key: the first 20 characters of the pipeline's name, the first 10 of the artifact's, 7 by chance (facts A.2).
    fn new_key(&self, state: &mut State, artifact: &str) -> String {
        const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let first = |text: &str, count: usize| text.chars().take(count).collect::<String>();
        format!("{}/{}/{}.zip", first(self.pipeline, 20), first(artifact, 10), state.random.text(LETTERS, 7))
    }
}

/// Runs a pipeline to its end, or to where it waits for somebody, and gives the execution's id. What it did can be read afterwards.
pub(crate) fn run(state: &mut State, account: &str, pipeline: &(String, String), trigger: (&str, &str), asked: &[Value]) -> String {
    let id = state.random.uuid();
    let now = state.clock;
    let Some(held) = state.accounts.get_mut(account) else { return id };
    let Some(found) = held.pipelines.get_mut(pipeline) else { return id };
    found.running = true;
    let declaration = found.declaration().clone();
    let (home, name) = pipeline;
    held.executions.push(Execution {
        id: id.clone(),
        pipeline: name.clone(),
        region: home.clone(),
        version: declaration["version"].as_u64().unwrap_or_default(),
        status: "InProgress".to_owned(),
        trigger: (trigger.0.to_owned(), trigger.1.to_owned()),
        started: now,
        updated: now,
        asked: asked.to_vec(),
        ..Execution::default()
    });
    let mut run = Run { declaration: &declaration, pipeline: name, home, asked, artifacts: Vec::new() };
    let status = stages(state, account, &id, &mut run);
    let now = state.clock;
    if let Some(held) = state.accounts.get_mut(account) {
        if let Some(found) = held.pipelines.get_mut(pipeline) {
            found.running = false;
        }
        if let Some(execution) = held.executions.iter_mut().find(|execution| execution.id == id) {
            status.clone_into(&mut execution.status);
            execution.updated = now;
        }
    }
    id
}

fn stages(state: &mut State, account: &str, id: &str, run: &mut Run<'_>) -> &'static str {
    for stage in items(member(run.declaration, "stages")) {
        let mut actions: Vec<&Value> = items(member(stage, "actions")).collect();
        actions.sort_by_key(|action| order(action));
        for action in actions {
            let waits = kind(action, "category") == "Approval";
            let mut record = begun(state, run, stage, action);
            let ended = if waits { None } else { Some(act(state, run, action)) };
            state.clock += ACTION;
            record.updated = state.clock;
            let mut revision = None;
            match ended {
                None => "InProgress".clone_into(&mut record.status),
                Some(Ok(done)) => {
                    "Succeeded".clone_into(&mut record.status);
                    record.outputs = done.outputs.iter().map(Artifact::shown).collect();
                    (record.external, record.summary, record.variables) = (done.external, done.summary, done.variables);
                    run.artifacts.extend(done.outputs);
                    revision = done.revision;
                }
                Some(Err(failure)) => {
                    "Failed".clone_into(&mut record.status);
                    record.error = Some((failure.code.to_owned(), failure.message));
                }
            }
            let (status, summary) = (record.status.clone(), record.summary.clone());
            let held = state.accounts.get_mut(account).into_iter().flat_map(|held| held.executions.iter_mut());
            if let Some(execution) = held.into_iter().find(|execution| execution.id == id) {
                execution.actions.push(record);
                execution.revisions.extend(revision.map(|revision| Revision { summary: summary.unwrap_or_default(), ..revision }));
            }
            match status.as_str() {
                "Succeeded" => {}
                "Failed" => return "Failed",
                _ => return "InProgress",
            }
        }
    }
    "Succeeded"
}

fn begun(state: &mut State, run: &Run<'_>, stage: &Value, action: &Value) -> ActionRun {
    let inputs = items(member(action, "inputArtifacts")).filter_map(|input| run.artifacts.iter().find(|made| made.name == input["name"]));
    let mut input = json!({
        "actionTypeId": action["actionTypeId"],
        "configuration": action["configuration"],
        "resolvedConfiguration": action["configuration"],
        "region": text(action, "region").unwrap_or(run.home),
        "inputArtifacts": inputs.map(Artifact::shown).collect::<Vec<_>>(),
    });
    for name in ["roleArn", "namespace"] {
        if let Some(value) = text(action, name) {
            input[name] = json!(value);
        }
    }
    ActionRun {
        id: state.random.uuid(),
        stage: text(stage, "name").unwrap_or_default().to_owned(),
        action: text(action, "name").unwrap_or_default().to_owned(),
        started: state.clock,
        input,
        variables: json!({}),
        ..ActionRun::default()
    }
}

fn act(state: &mut State, run: &Run<'_>, action: &Value) -> Result<Done, Failure> {
    let role = text(run.declaration, "roleArn").unwrap_or_default();
    let name = session(state);
    let service_role = sts::assume(state, &Caller::service(SERVICE), run.home, role, &name)
        .map_err(|_| Failure::new("PermissionError", format!("CodePipeline is not authorized to perform AssumeRole on role {role}")))?;
    match (kind(action, "category"), kind(action, "provider")) {
        ("Source", "S3") => {
            let caller = as_role(state, run, action, service_role)?;
            source::take(state, run, action, &caller)
        }
        ("Deploy", "S3") => deploy::deploy(state, run, action, &service_role),
        (_, provider) => Err(Failure::new("JobFailed", format!("The rehearsal runs no actions of {provider}"))),
    }
}

/// Takes on the action's own role with the service role, where it has one (facts A.1, A.2 row 9).
fn as_role(state: &mut State, run: &Run<'_>, action: &Value, service_role: Caller) -> Result<Caller, Failure> {
    let Some(role) = text(action, "roleArn") else { return Ok(service_role) };
    let name = session(state);
    sts::assume(state, &service_role, run.home, role, &name).map_err(|_| {
        let own = service_role.role.clone().unwrap_or_default();
        Failure::new("PermissionError", format!("{own} is not authorized to perform AssumeRole on role {role}"))
    })
}
