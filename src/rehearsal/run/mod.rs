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
        mode: text(&declaration, "executionMode").unwrap_or_default().to_owned(),
        trigger: (trigger.0.to_owned(), trigger.1.to_owned()),
        started: now,
        updated: now,
        asked: asked.to_vec(),
        ..Execution::default()
    });
    let run = Run { declaration: &declaration, pipeline: name, home, asked, artifacts: Vec::new() };
    go(state, account, &id, run, Start { stage: None, done: Vec::new() });
    id
}

/// Runs a stage of an execution again, and what comes after it; what had succeeded stays, unless all of it is wanted (facts D.1).
pub(crate) fn resume(state: &mut State, account: &str, pipeline: &(String, String), id: &str, stage: &str, whole: bool) {
    let Some(held) = state.accounts.get_mut(account) else { return };
    let Some(found) = held.pipelines.get_mut(pipeline) else { return };
    found.running = true;
    let declaration = found.declaration().clone();
    let (home, name) = pipeline;
    let Some(execution) = held.executions.iter_mut().find(|execution| execution.id == id) else { return };
    "InProgress".clone_into(&mut execution.status);
    let asked = execution.asked.clone();
    let kept = |run: &ActionRun| run.status == "Succeeded" && (run.stage != stage || !whole);
    let artifact = |shown: &Value| {
        let place = member(shown, "s3location");
        let part = |value: &Value, name: &str| text(value, name).unwrap_or_default().to_owned();
        Artifact { name: part(shown, "name"), region: home.clone(), bucket: part(place, "bucket"), key: part(place, "key") }
    };
    let artifacts = execution.actions.iter().filter(|run| kept(run)).flat_map(|run| run.outputs.iter().map(artifact)).collect();
    let done = execution.actions.iter().filter(|run| kept(run) && run.stage == stage).map(|run| run.action.clone()).collect();
    // Only the newest run of an action counts for its stage.
    execution.actions.retain(|run| kept(run) || run.stage != stage);
    let run = Run { declaration: &declaration, pipeline: name, home, asked: &asked, artifacts };
    go(state, account, id, run, Start { stage: Some(stage), done });
}

/// Where a run begins.
struct Start<'s> {
    /// The first stage, unless one is named.
    stage: Option<&'s str>,
    /// Actions of that stage that need not run again.
    done: Vec<String>,
}

fn go(state: &mut State, account: &str, id: &str, mut run: Run<'_>, start: Start<'_>) {
    let status = stages(state, account, id, &mut run, &start);
    let now = state.clock;
    let key = (run.home.to_owned(), run.pipeline.to_owned());
    let Some(held) = state.accounts.get_mut(account) else { return };
    if let Some(found) = held.pipelines.get_mut(&key) {
        found.running = false;
    }
    if let Some(execution) = held.executions.iter_mut().find(|execution| execution.id == id) {
        status.clone_into(&mut execution.status);
        execution.updated = now;
    }
}

fn stages(state: &mut State, account: &str, id: &str, run: &mut Run<'_>, start: &Start<'_>) -> &'static str {
    let declared = items(member(run.declaration, "stages"));
    let from = declared.clone().position(|stage| text(stage, "name") == start.stage).unwrap_or_default();
    for (number, stage) in declared.enumerate().skip(from) {
        let mut actions: Vec<&Value> = items(member(stage, "actions")).collect();
        actions.sort_by_key(|action| order(action));
        if number == from {
            actions.retain(|action| !start.done.iter().any(|done| text(action, "name") == Some(done)));
        }
        for action in actions {
            match one(state, account, id, run, stage, action).as_str() {
                "Succeeded" => {}
                "Failed" => return "Failed",
                _ => return "InProgress",
            }
        }
    }
    "Succeeded"
}

/// Runs one action, keeps what is to be told of it, and gives its status.
fn one(state: &mut State, account: &str, id: &str, run: &mut Run<'_>, stage: &Value, action: &Value) -> String {
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
    let mut held = state.accounts.get_mut(account).into_iter().flat_map(|held| held.executions.iter_mut());
    if let Some(execution) = held.find(|execution| execution.id == id) {
        execution.actions.push(record);
        execution.revisions.extend(revision.map(|revision| Revision { summary: summary.unwrap_or_default(), ..revision }));
    }
    status
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
