//! What CodePipeline tells of its executions.

use super::{Pipeline, declaration, items, member, missing, needed, page, permit, pipeline_mut, text};
use crate::rehearsal::state::{State, epoch};
use crate::rehearsal::wire::{Call, Fault, Outcome};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An execution of a pipeline.
#[derive(Debug, Clone, Default)]
pub(crate) struct Execution {
    pub id: String,
    pub pipeline: String,
    pub region: String,
    pub version: u64,
    /// `InProgress`, `Succeeded`, `Failed`, `Stopped`.
    pub status: String,
    /// `SUPERSEDED`, `QUEUED`, `PARALLEL`.
    pub mode: String,
    pub trigger: (String, String),
    /// Milliseconds since 1970.
    pub started: u64,
    /// Milliseconds since 1970.
    pub updated: u64,
    /// The revisions that it was started with.
    pub asked: Vec<Value>,
    /// What its sources took.
    pub revisions: Vec<Revision>,
    /// In the order in which they began.
    pub actions: Vec<ActionRun>,
}

/// What a source took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revision {
    pub action: String,
    pub artifact: String,
    pub id: String,
    pub summary: String,
    pub url: String,
    /// Milliseconds since 1970.
    pub created: u64,
}

/// An action of an execution.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActionRun {
    pub id: String,
    pub stage: String,
    pub action: String,
    /// `InProgress`, `Succeeded`, `Failed`, `Abandoned`.
    pub status: String,
    /// Milliseconds since 1970.
    pub started: u64,
    /// Milliseconds since 1970.
    pub updated: u64,
    pub input: Value,
    pub outputs: Vec<Value>,
    pub variables: Value,
    pub external: Option<String>,
    pub summary: Option<String>,
    /// Code and text.
    pub error: Option<(String, String)>,
}

impl Execution {
    /// Ends what is under way.
    pub fn end(&mut self, status: &str, now: u64) {
        status.clone_into(&mut self.status);
        self.updated = now;
        for action in self.actions.iter_mut().filter(|action| action.status == "InProgress") {
            "Abandoned".clone_into(&mut action.status);
            action.updated = now;
        }
    }

    fn trigger(&self) -> Value {
        json!({"triggerType": self.trigger.0, "triggerDetail": self.trigger.1})
    }

    fn summary(&self) -> Value {
        let revision = |revision: &Revision| json!({"actionName": revision.action, "revisionId": revision.id, "revisionSummary": revision.summary, "revisionUrl": revision.url});
        json!({
            "pipelineExecutionId": self.id,
            "status": self.status,
            "startTime": epoch(self.started),
            "lastUpdateTime": epoch(self.updated),
            "sourceRevisions": self.revisions.iter().map(revision).collect::<Vec<_>>(),
            "trigger": self.trigger(),
            "executionMode": self.mode,
            "executionType": "STANDARD",
        })
    }

    fn whole(&self) -> Value {
        let revision = |revision: &Revision| {
            json!({"name": revision.artifact, "revisionId": revision.id, "revisionSummary": revision.summary,
                "created": epoch(revision.created), "revisionUrl": revision.url})
        };
        json!({
            "pipelineName": self.pipeline,
            "pipelineVersion": self.version,
            "pipelineExecutionId": self.id,
            "status": self.status,
            "artifactRevisions": self.revisions.iter().map(revision).collect::<Vec<_>>(),
            "trigger": self.trigger(),
            "executionMode": self.mode,
            "executionType": "STANDARD",
        })
    }

    /// Gives how a stage stands in this execution; none where it never got there.
    fn stage_status(&self, stage: &str, count: usize) -> Option<&str> {
        let runs: Vec<&ActionRun> = self.actions.iter().filter(|run| run.stage == stage).collect();
        let some = |status: &str| runs.iter().any(|run| run.status == status);
        match () {
            () if runs.is_empty() => None,
            () if some("Failed") => Some("Failed"),
            () if some("Abandoned") => Some("Stopped"),
            () if some("InProgress") || runs.len() < count => Some("InProgress"),
            () => Some("Succeeded"),
        }
    }
}

impl ActionRun {
    fn error(&self) -> Option<Value> {
        self.error.as_ref().map(|(code, message)| json!({"code": code, "message": message}))
    }

    fn detail(&self, execution: &Execution) -> Value {
        let mut result = json!({});
        let members = [
            ("externalExecutionId", self.external.as_ref().map(|id| json!(id))),
            ("externalExecutionSummary", self.summary.as_ref().map(|summary| json!(summary))),
            ("errorDetails", self.error()),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                result[name] = value;
            }
        }
        json!({
            "pipelineExecutionId": execution.id,
            "actionExecutionId": self.id,
            "pipelineVersion": execution.version,
            "stageName": self.stage,
            "actionName": self.action,
            "startTime": epoch(self.started),
            "lastUpdateTime": epoch(self.updated),
            "status": self.status,
            "input": self.input,
            "output": {"outputArtifacts": self.outputs, "executionResult": result, "outputVariables": self.variables},
        })
    }

    fn state(&self) -> Value {
        let mut latest = json!({"actionExecutionId": self.id, "status": self.status, "lastStatusChange": epoch(self.updated)});
        let members = [
            ("externalExecutionId", self.external.as_ref().map(|id| json!(id))),
            ("summary", self.summary.as_ref().map(|summary| json!(summary))),
            ("errorDetails", self.error()),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                latest[name] = value;
            }
        }
        latest
    }
}

/// Answers the calls that only read.
pub(super) fn answer(state: &mut State, call: &Call, input: &Value) -> Outcome<Value> {
    let operation = call.target();
    let name = needed(input, if operation == "GetPipelineState" { "name" } else { "pipelineName" })?;
    permit(state, call, &format!("codepipeline:{operation}"), name, &BTreeMap::new())?;
    let pipeline = pipeline_mut(state, call, name)?.clone();
    let Some(account) = state.accounts.get(&call.caller.account) else { return Err(missing(call, name)) };
    let newest_first = || account.executions.iter().rev().filter(|run| run.pipeline == name && run.region == call.region);
    match operation {
        "ListPipelineExecutions" => page(input, "pipelineExecutionSummaries", 100, newest_first().map(Execution::summary).collect()),
        "GetPipelineExecution" => {
            let id = needed(input, "pipelineExecutionId")?;
            let found = newest_first().find(|run| run.id == id).ok_or_else(|| absent(id))?;
            Ok(json!({"pipelineExecution": found.whole()}))
        }
        "ListActionExecutions" => {
            let wanted = text(member(input, "filter"), "pipelineExecutionId");
            if let Some(id) = wanted
                && !newest_first().any(|run| run.id == id)
            {
                return Err(absent(id));
            }
            let runs = newest_first().filter(|run| wanted.is_none_or(|id| run.id == id));
            page(
                input,
                "actionExecutionDetails",
                100,
                runs.flat_map(|run| run.actions.iter().rev().map(|action| action.detail(run))).collect(),
            )
        }
        _ => Ok(pipeline_state(&pipeline, &newest_first().collect::<Vec<_>>())),
    }
}

fn absent(id: &str) -> Fault {
    Fault::new(400, "PipelineExecutionNotFoundException", format!("The pipeline has no execution with id '{id}'"))
}

/// Each stage tells of the newest execution that came to it, so a state may mix several (facts D.1).
fn pipeline_state(pipeline: &Pipeline, newest_first: &[&Execution]) -> Value {
    let stages = items(member(pipeline.declaration(), "stages")).map(|stage| {
        let name = text(stage, "name").unwrap_or_default();
        let actions = items(member(stage, "actions"));
        let count = actions.len();
        let mut told = json!({"stageName": name, "inboundTransitionState": {"enabled": true}});
        let latest = newest_first.iter().find_map(|run| Some((*run, run.stage_status(name, count)?)));
        if let Some((run, status)) = latest {
            told["latestExecution"] = json!({"pipelineExecutionId": run.id, "status": status});
        }
        let actions = actions.map(|action| {
            let action_name = text(action, "name").unwrap_or_default();
            let mut told = json!({"actionName": action_name});
            let runs = newest_first.iter().flat_map(|run| run.actions.iter().map(move |action| (run, action)));
            let latest = runs.into_iter().find(|(_, action)| action.stage == name && action.action == action_name);
            if let Some((run, action)) = latest {
                told["latestExecution"] = action.state();
                if let Some(revision) = run.revisions.iter().find(|revision| revision.action == action_name) {
                    let created = epoch(revision.created);
                    told["currentRevision"] = json!({"revisionId": revision.id, "revisionChangeId": revision.id, "created": created});
                }
            }
            if declaration::kind(action, "provider") == "S3" {
                let configuration = member(action, "configuration");
                let bucket = text(configuration, "S3Bucket").or_else(|| text(configuration, "BucketName")).unwrap_or_default();
                told["entityUrl"] = json!(format!("https://console.aws.amazon.com/s3/home?#{bucket}"));
            }
            told
        });
        told["actionStates"] = actions.collect();
        told
    });
    json!({
        "pipelineName": pipeline.name,
        "pipelineVersion": pipeline.declaration()["version"],
        "stageStates": stages.collect::<Vec<_>>(),
        "created": epoch(pipeline.created),
        "updated": epoch(pipeline.updated),
    })
}

/// Runs the failed stage of an execution again, with the artifacts that it had.
pub(super) fn retry(state: &mut State, call: &Call, input: &Value) -> Outcome<Value> {
    let (name, stage, id) = (needed(input, "pipelineName")?, needed(input, "stageName")?, needed(input, "pipelineExecutionId")?);
    permit(state, call, "codepipeline:RetryStageExecution", name, &BTreeMap::new())?;
    let pipeline = pipeline_mut(state, call, name)?.clone();
    let Some(declared) = items(member(pipeline.declaration(), "stages")).find(|declared| text(declared, "name") == Some(stage)) else {
        return Err(Fault::new(400, "StageNotFoundException", format!("The pipeline has no stage with name '{stage}'")));
    };
    let count = items(member(declared, "actions")).len();
    let Some(account) = state.accounts.get(&call.caller.account) else { return Err(missing(call, name)) };
    let mut newest_first = account.executions.iter().rev().filter(|run| run.pipeline == name && run.region == call.region);
    let latest = newest_first.find_map(|run| Some((run, run.stage_status(stage, count)?)));
    let (latest, status) = latest.filter(|(run, _)| run.id == id).ok_or_else(|| {
        let message = format!("Pipeline execution '{id}' is not the latest one of stage '{stage}'.");
        Fault::new(400, "NotLatestPipelineExecutionException", message)
    })?;
    // An update since then made another structure of it.
    if !["Failed", "Stopped"].contains(&status) || Some(latest.version) != pipeline.declaration()["version"].as_u64() {
        return Err(Fault::new(400, "StageNotRetryableException", format!("Stage '{stage}' can't be retried.")));
    }
    let whole = text(input, "retryMode") == Some("ALL_ACTIONS");
    let key = (call.region.clone(), name.to_owned());
    crate::rehearsal::run::resume(state, &call.caller.account, &key, id, stage, whole);
    Ok(json!({"pipelineExecutionId": id}))
}

/// Stops an execution; here only one that waits for somebody can be met under way.
pub(super) fn stop(state: &mut State, call: &Call, input: &Value) -> Outcome<Value> {
    let (name, id) = (needed(input, "pipelineName")?, needed(input, "pipelineExecutionId")?);
    permit(state, call, "codepipeline:StopPipelineExecution", name, &BTreeMap::new())?;
    pipeline_mut(state, call, name)?;
    let now = state.clock;
    let account = state.accounts.get_mut(&call.caller.account);
    let mut runs = account.into_iter().flat_map(|account| account.executions.iter_mut());
    let found = runs.find(|run| run.id == id && run.pipeline == name && run.region == call.region).ok_or_else(|| absent(id))?;
    if found.status != "InProgress" {
        let message = format!("Pipeline execution '{id}' is not in progress.");
        return Err(Fault::new(400, "PipelineExecutionNotStoppableException", message));
    }
    found.end("Stopped", now);
    Ok(json!({"pipelineExecutionId": id}))
}
