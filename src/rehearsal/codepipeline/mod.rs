//! CodePipeline (awsJson 1.1): pipelines, their versions, and what is told of their executions.

mod declaration;
mod reading;
#[cfg(test)]
mod tests;

pub(crate) use declaration::{actions, items, member};
pub(crate) use declaration::{kind, order};
pub(crate) use reading::{ActionRun, Execution, Revision};

use super::authorise::{Asked, authorise};
use super::document::texts;
use super::run;
use super::state::{State, account_of, epoch};
use super::sts;
use super::wire::{Answer, Call, Caller, Fault, Outcome, json_answer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The service, as trust policies name it.
pub(crate) const SERVICE: &str = "codepipeline.amazonaws.com";

/// A pipeline with all its versions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pipeline {
    pub name: String,
    pub region: String,
    pub arn: String,
    /// The declarations, the newest last.
    pub versions: Vec<Value>,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Milliseconds since 1970.
    pub updated: u64,
    pub tags: BTreeMap<String, String>,
    /// The executions that tokens started.
    pub tokens: BTreeMap<String, String>,
    /// An execution is being run this moment.
    pub running: bool,
}

impl Pipeline {
    /// Gives the declaration that counts.
    pub fn declaration(&self) -> &Value {
        self.versions.last().unwrap_or(&Value::Null)
    }

    fn summary(&self) -> Value {
        let mut summary = json!({"name": self.name, "created": epoch(self.created), "updated": epoch(self.updated)});
        for name in ["version", "pipelineType", "executionMode"] {
            summary[name] = self.declaration()[name].clone();
        }
        summary
    }
}

/// Answers a call.
pub(crate) fn answer(state: &mut State, call: &Call) -> Answer {
    json_answer(serve(state, call))
}

fn serve(state: &mut State, call: &Call) -> Outcome<Value> {
    let input = call.json()?;
    match call.target() {
        "CreatePipeline" => create(state, call, &input),
        "GetPipeline" => get(state, call, &input),
        "UpdatePipeline" => update(state, call, &input),
        "DeletePipeline" => {
            let name = needed(&input, "name")?;
            permit(state, call, "codepipeline:DeletePipeline", name, &BTreeMap::new())?;
            if let Some(account) = state.accounts.get_mut(&call.caller.account) {
                // One that isn't there is as good as deleted.
                account.pipelines.remove(&(call.region.clone(), name.to_owned()));
                account.executions.retain(|run| run.pipeline != name || run.region != call.region);
            }
            Ok(Value::Null)
        }
        "ListPipelines" => {
            permit(state, call, "codepipeline:ListPipelines", "*", &BTreeMap::new())?;
            let account = state.accounts.get(&call.caller.account);
            let all = account.into_iter().flat_map(|account| account.pipelines.iter()).filter(|((region, _), _)| *region == call.region);
            page(&input, "pipelines", 1000, all.map(|(_, pipeline)| pipeline.summary()).collect())
        }
        "StartPipelineExecution" => {
            let detail = call.caller.arn.clone();
            start(state, call, &input, ("StartPipelineExecution", &detail))
        }
        "ListTagsForResource" => {
            let name = named_by(&input)?;
            permit(state, call, "codepipeline:ListTagsForResource", name, &BTreeMap::new())?;
            let tags: Vec<Value> = tagged(state, call, name)?.tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
            Ok(json!({"tags": tags}))
        }
        "TagResource" => {
            let (name, tags) = (named_by(&input)?, tags_of(&input));
            permit(state, call, "codepipeline:TagResource", name, &tags)?;
            tagged(state, call, name)?.tags.extend(tags);
            Ok(json!({}))
        }
        "UntagResource" => {
            let (name, keys) = (named_by(&input)?, texts(input.get("tagKeys")));
            permit(state, call, "codepipeline:UntagResource", name, &BTreeMap::new())?;
            tagged(state, call, name)?.tags.retain(|key, _| !keys.contains(key));
            Ok(json!({}))
        }
        "ListPipelineExecutions" | "GetPipelineExecution" | "GetPipelineState" | "ListActionExecutions" => {
            reading::answer(state, call, &input)
        }
        "RetryStageExecution" => reading::retry(state, call, &input),
        "StopPipelineExecution" => reading::stop(state, call, &input),
        other => Err(Fault::new(400, "UnknownOperationException", format!("The rehearsal's CodePipeline has no {other}."))),
    }
}

pub(crate) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "ValidationException", message)
}

fn needed<'v>(input: &'v Value, name: &str) -> Outcome<&'v str> {
    text(input, name).ok_or_else(|| {
        invalid(format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"))
    })
}

/// Gives the pipeline whose ARN is asked about.
fn named_by(input: &Value) -> Outcome<&str> {
    let arn = needed(input, "resourceArn")?;
    let name = arn.splitn(6, ':').nth(5).filter(|_| arn.split(':').nth(2) == Some("codepipeline"));
    name.ok_or_else(|| Fault::new(400, "InvalidArnException", format!("Invalid ARN: {arn}")))
}

fn tags_of(input: &Value) -> BTreeMap<String, String> {
    let tags = items(member(input, "tags"));
    tags.filter_map(|tag| Some((text(tag, "key")?.to_owned(), text(tag, "value")?.to_owned()))).collect()
}

/// Gives a page of a list; the token is the number of what came before.
fn page(input: &Value, name: &str, most: usize, all: Vec<Value>) -> Outcome<Value> {
    let start = match text(input, "nextToken") {
        Some(token) => token.parse::<usize>().map_err(|_| Fault::new(400, "InvalidNextTokenException", "The next token is not valid."))?,
        None => 0,
    };
    let asked = input.get("maxResults").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
    let most = asked.unwrap_or(most).clamp(1, most);
    let mut answer = json!({});
    if start + most < all.len() {
        answer["nextToken"] = json!((start + most).to_string());
    }
    answer[name] = all.into_iter().skip(start).take(most).collect();
    Ok(answer)
}

fn arn(state: &State, call: &Call, name: &str) -> String {
    if name == "*" {
        return name.to_owned();
    }
    format!("arn:{}:codepipeline:{}:{}:{name}", state.partition, call.region, call.caller.account)
}

fn permit(state: &mut State, call: &Call, action: &str, name: &str, tags: &BTreeMap<String, String>) -> Outcome<()> {
    let asked = Asked::by(call, action, arn(state, call, name), &call.caller.account).request_tags(tags);
    let account = state.accounts.get(&call.caller.account);
    let asked = match account.and_then(|account| account.pipelines.get(&(call.region.clone(), name.to_owned()))) {
        Some(pipeline) => asked.resource_tags(&pipeline.tags),
        None => asked,
    };
    authorise(state, &call.caller, asked)
}

fn missing(call: &Call, name: &str) -> Fault {
    let message = format!("Account '{}' does not have a pipeline with name '{name}'", call.caller.account);
    Fault::new(400, "PipelineNotFoundException", message)
}

pub(super) fn pipeline_mut<'s>(state: &'s mut State, call: &Call, name: &str) -> Outcome<&'s mut Pipeline> {
    let account = state.accounts.get_mut(&call.caller.account);
    let found = account.and_then(|account| account.pipelines.get_mut(&(call.region.clone(), name.to_owned())));
    found.ok_or_else(|| missing(call, name))
}

fn tagged<'s>(state: &'s mut State, call: &Call, name: &str) -> Outcome<&'s mut Pipeline> {
    let message = format!("The resource with name {name} does not exist.");
    pipeline_mut(state, call, name).map_err(|_| Fault::new(400, "ResourceNotFoundException", message))
}

/// Checks a declaration: its form, then the caller's right to hand on the service role, then both hops (facts D.2, E.12, E.13).
fn check(state: &mut State, call: &Call, declaration: &Value) -> Outcome<()> {
    declaration::check_form(declaration)?;
    let role = text(declaration, "roleArn").unwrap_or_default().to_owned();
    let passed = Asked::by(call, "iam:PassRole", &role, account_of(&role)).with("iam:PassedToService", SERVICE);
    authorise(state, &call.caller, passed)?;
    declaration::check_structure(declaration, &call.region)?;
    declaration::check_stores(state, declaration, &call.region)?;
    let structure = |message: String| Err(Fault::new(400, "InvalidStructureException", message));
    let service = Caller::service(SERVICE);
    let session = run::session(state);
    let assumed =
        if account_of(&role) == call.caller.account { sts::assume(state, &service, &call.region, &role, &session).ok() } else { None };
    let Some(service_role) = assumed else {
        return structure(format!("CodePipeline is not authorized to perform AssumeRole on role {role}"));
    };
    let mut roles: Vec<&str> = actions(declaration).filter_map(|(_, action)| text(action, "roleArn")).collect();
    roles.sort_unstable();
    roles.dedup();
    for action_role in roles {
        if !run::may_assume(state, &service_role, action_role, &call.region) {
            return structure(format!("{role} is not authorized to perform AssumeRole on role {action_role}"));
        }
    }
    Ok(())
}

fn create(state: &mut State, call: &Call, input: &Value) -> Outcome<Value> {
    let given = member(input, "pipeline");
    let (name, tags) = (declaration::name(given)?.to_owned(), tags_of(input));
    permit(state, call, "codepipeline:CreatePipeline", &name, &tags)?;
    if !tags.is_empty() {
        permit(state, call, "codepipeline:TagResource", &name, &tags)?;
    }
    check(state, call, given)?;
    if pipeline_mut(state, call, &name).is_ok() {
        let message = format!("A pipeline with the name '{name}' already exists in account '{}'", call.caller.account);
        return Err(Fault::new(400, "PipelineNameInUseException", message));
    }
    let stored = declaration::stored(given, 1);
    let pipeline = Pipeline {
        name: name.clone(),
        region: call.region.clone(),
        arn: arn(state, call, &name),
        versions: vec![stored.clone()],
        created: state.clock,
        updated: state.clock,
        tags: tags.clone(),
        ..Pipeline::default()
    };
    let key = (call.region.clone(), name.clone());
    if let Some(account) = state.accounts.get_mut(&call.caller.account) {
        account.pipelines.insert(key.clone(), pipeline);
    }
    let kind = if declaration::polled(&stored).next().is_some() { "PollForSourceChanges" } else { "CreatePipeline" };
    let detail = call.caller.arn.clone();
    run::run(state, &call.caller.account.clone(), &key, (kind, &detail), &[]);
    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    Ok(json!({"pipeline": stored, "tags": tags}))
}

fn get(state: &mut State, call: &Call, input: &Value) -> Outcome<Value> {
    let name = needed(input, "name")?;
    permit(state, call, "codepipeline:GetPipeline", name, &BTreeMap::new())?;
    let pipeline = pipeline_mut(state, call, name)?;
    let declaration = match input.get("version").and_then(Value::as_u64) {
        None => pipeline.declaration(),
        Some(version) => pipeline.versions.iter().find(|declared| declared["version"].as_u64() == Some(version)).ok_or_else(|| {
            let message = format!("Account '{}' does not have a pipeline with name '{name}' and version '{version}'", call.caller.account);
            Fault::new(400, "PipelineVersionNotFoundException", message)
        })?,
    };
    let metadata = json!({"pipelineArn": pipeline.arn, "created": epoch(pipeline.created), "updated": epoch(pipeline.updated)});
    Ok(json!({"pipeline": declaration, "metadata": metadata}))
}

fn update(state: &mut State, call: &Call, input: &Value) -> Outcome<Value> {
    let given = member(input, "pipeline");
    let name = declaration::name(given)?.to_owned();
    permit(state, call, "codepipeline:UpdatePipeline", &name, &BTreeMap::new())?;
    pipeline_mut(state, call, &name)?;
    check(state, call, given)?;
    let now = state.clock;
    let pipeline = pipeline_mut(state, call, &name)?;
    // The version is counted here, whatever the input says (facts D.1).
    let version = pipeline.declaration()["version"].as_u64().unwrap_or(0) + 1;
    let stored = declaration::stored(given, version);
    pipeline.versions.push(stored.clone());
    pipeline.updated = now;
    if let Some(account) = state.accounts.get_mut(&call.caller.account) {
        // What runs of the structure before is stopped (facts A.5).
        let stopped = account.executions.iter_mut().filter(|run| run.pipeline == name && run.region == call.region);
        for run in stopped.filter(|run| run.status == "InProgress") {
            run.end("Stopped", now);
        }
    }
    Ok(json!({"pipeline": stored}))
}

/// Starts an execution and runs it to its end; a token that is known gives the execution that it started (facts D.1).
pub(crate) fn start(state: &mut State, call: &Call, input: &Value, trigger: (&str, &str)) -> Outcome<Value> {
    let name = needed(input, "name")?;
    permit(state, call, "codepipeline:StartPipelineExecution", name, &BTreeMap::new())?;
    let pipeline = pipeline_mut(state, call, name)?;
    let token = text(input, "clientRequestToken").map(str::to_owned);
    if let Some(token) = &token {
        if !(1..=128).contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(invalid(format!(
                "1 validation error detected: Value '{token}' at 'clientRequestToken' failed to satisfy constraint: Member must satisfy \
                 regular expression pattern: ^[a-zA-Z0-9-]+$"
            )));
        }
        if let Some(id) = pipeline.tokens.get(token) {
            return Ok(json!({"pipelineExecutionId": id}));
        }
    }
    let revisions: Vec<Value> = items(member(input, "sourceRevisions")).cloned().collect();
    if !revisions.is_empty() && pipeline.declaration()["pipelineType"] != "V2" {
        return Err(invalid("Source revision overrides are available for pipelines of type V2 only."));
    }
    let sources: Vec<String> = actions(pipeline.declaration()).filter_map(|(_, action)| text(action, "name")).map(str::to_owned).collect();
    for revision in &revisions {
        let action = needed(revision, "actionName")?;
        if !sources.iter().any(|source| source == action) {
            return Err(invalid(format!("The action {action} is not part of the pipeline.")));
        }
    }
    if pipeline.running {
        return Err(Fault::new(
            400,
            "ConflictException",
            "Your request cannot be handled because the pipeline is busy handling ongoing activities. Try again later.",
        ));
    }
    let key = (call.region.clone(), name.to_owned());
    let id = run::run(state, &call.caller.account.clone(), &key, trigger, &revisions);
    if let Some(token) = token {
        pipeline_mut(state, call, name)?.tokens.insert(token, id.clone());
    }
    Ok(json!({"pipelineExecutionId": id}))
}

/// Starts the pipelines that look for new versions by themselves (facts A.3).
pub(crate) fn poll(state: &mut State, account: &str, region: &str, bucket: &str, key: &str) {
    let Some(held) = state.accounts.get(account) else { return };
    let looks = |pipeline: &&Pipeline| {
        let mut sources = declaration::polled(pipeline.declaration());
        !pipeline.running && pipeline.region == region && sources.any(|(place, object)| place == bucket && object == key)
    };
    let found: Vec<(String, String)> =
        held.pipelines.values().filter(looks).map(|pipeline| (pipeline.region.clone(), pipeline.name.clone())).collect();
    for pipeline in found {
        run::run(state, account, &pipeline, ("PollForSourceChanges", ""), &[]);
    }
}
