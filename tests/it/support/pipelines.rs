//! CodePipeline as AWS has it, over moto.
//!
//! moto 5.2.5 keeps a pipeline as the JSON that it was sent, unknown members, `pipelineType`,
//! `variables`, `triggers` and `executionMode` included, counts its version up, keeps its tags and
//! lists executions, which have all succeeded at once. It takes no notice of `version` in GetPipeline,
//! of `clientRequestToken` and of `sourceRevisions`, answers a second CreatePipeline with another code
//! than AWS, starts no run on creation, sends times as text and has no GetPipelineState,
//! ListActionExecutions and StopPipelineExecution at all. What it has no room for is *proxy-kept*:
//! remembered here for all tests, by account, region and name.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, OnceLock};

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::emulators::Emulators;
use super::fidelity::{Role, account_of_arn, allows, find_role, identity_policies, matches, names_action, statements, strings};
use super::proxy::{Action, Answer, Own, Request, Shared};
use super::xml::percent_encode;

#[derive(Default)]
struct Kept {
    /// By account, region and name: every version seen, in order.
    versions: HashMap<String, Vec<Value>>,
    /// By execution id: members that override moto's.
    executions: HashMap<String, Value>,
    /// By account, region, name and client request token: the execution that it started.
    tokens: HashMap<String, String>,
    /// ARNs of the service roles that moto's own IAM has been told of.
    moto_roles: HashSet<String>,
}

fn kept() -> MutexGuard<'static, Kept> {
    static KEPT: OnceLock<Mutex<Kept>> = OnceLock::new();
    KEPT.get_or_init(Mutex::default).lock().unwrap()
}

/// Remembers a pipeline as it stands, under its version.
pub(super) fn remember_version(account: &str, region: &str, pipeline: &Value) {
    let (Some(name), Some(version)) = (pipeline["name"].as_str(), pipeline["version"].as_u64()) else {
        return;
    };
    let mut kept = kept();
    let versions = kept.versions.entry(format!("{account}/{region}/{name}")).or_default();
    // A pipeline made anew under the same name starts again at 1.
    versions.retain(|known| known["version"].as_u64().is_some_and(|known| known < version));
    versions.push(pipeline.clone());
}

/// Makes the execution with this id answer with these members, for instance `status`.
pub(super) fn override_execution(id: &str, members: &Value) {
    merge(kept().executions.entry(id.to_owned()).or_insert_with(|| json!({})), members);
}

fn merge(into: &mut Value, members: &Value) {
    for (name, value) in members.as_object().into_iter().flatten() {
        into[name] = value.clone();
    }
}

/// The answer AWS would give where moto would let the call pass, or has none.
pub(super) async fn refuse(shared: &Shared, request: &Request) -> Option<Action> {
    match request.operation.as_str() {
        "CreatePipeline" | "UpdatePipeline" => refuse_structure(shared, request).await,
        "StartPipelineExecution" => replayed_start(request),
        "GetPipelineState" | "ListActionExecutions" | "StopPipelineExecution" => {
            Some(made_up(shared, request).await.map_or_else(|refusal| refusal, |body| Action::json(200, &body)))
        }
        _ => None,
    }
}

/// AWS fidelity: AWS tries both hops of AssumeRole when a pipeline is written, refuses artifacts
/// that nobody makes and cross-region actions without a store; moto does none of it. The documents
/// are searched for Allow statements, without regard to conditions and denials.
async fn refuse_structure(shared: &Shared, request: &Request) -> Option<Action> {
    let body = request.json();
    let pipeline = &body["pipeline"];
    let refuse = |message: &str| Some(Action::json_error(400, "InvalidStructureException", message));
    if let Some(problem) = structure_problem(pipeline, &request.region) {
        return refuse(&problem);
    }
    let service_role_arn = pipeline["roleArn"].as_str()?;
    let trusts_the_service = |role: &Role| {
        statements(&role.trust).into_iter().any(|statement| {
            let services = strings(&statement["Principal"]["Service"]);
            statement["Effect"] == "Allow" && services.iter().any(|name| name == "codepipeline.amazonaws.com")
        })
    };
    let found = find_role(shared, service_role_arn).await;
    let found = found.filter(|role| role.account == request.account && trusts_the_service(role));
    let Some(service_role) = found.filter(|role| !shared.visibility.hides_role(role)) else {
        return refuse(&format!("CodePipeline is not authorized to perform AssumeRole on role {service_role_arn}"));
    };
    let action_roles: HashSet<&str> = actions(pipeline).filter_map(|(_, action)| action["roleArn"].as_str()).collect();
    for action_role_arn in action_roles {
        if !may_assume(shared, &service_role, action_role_arn).await {
            return refuse(&format!("{service_role_arn} is not authorized to perform AssumeRole on role {action_role_arn}"));
        }
    }
    if let Err(problem) = tell_moto_of_role(shared.emulators, &service_role.arn).await {
        return Some(Action::json_error(502, "EmulatorUnreachable", &problem));
    }
    // Proxy-kept: what stands now, perhaps seeded past the proxy, becomes an earlier version.
    if request.is("UpdatePipeline") {
        let asked = json!({"name": pipeline["name"]});
        if let Ok(found) = moto(shared.emulators, request, "GetPipeline", &asked).await {
            remember_version(&request.account, &request.region, &found["pipeline"]);
        }
    }
    None
}

/// The texts are not AWS's.
fn structure_problem(pipeline: &Value, region: &str) -> Option<String> {
    let present = |member: &str| pipeline.get(member).filter(|value| !value.is_null());
    let stores = present("artifactStores");
    if present("artifactStore").is_some() == stores.is_some() {
        return Some("Pipeline must have exactly one of artifactStore and artifactStores".to_owned());
    }
    let mut made: HashSet<&str> = HashSet::new();
    for (_, action) in actions(pipeline) {
        let name = action["name"].as_str().unwrap_or_default();
        let action_region = action["region"].as_str().unwrap_or(region);
        let stored = match stores {
            Some(stores) => stores.get(action_region).is_some() && stores.get(region).is_some(),
            None => action_region == region,
        };
        if !stored {
            return Some(format!("Action {name} is in {action_region}, where the pipeline has no artifact store"));
        }
        let names = |member: &str| action[member].as_array().into_iter().flatten().filter_map(|item| item["name"].as_str());
        if let Some(artifact) = names("inputArtifacts").find(|artifact| !made.contains(artifact)) {
            return Some(format!("Input artifact {artifact} of action {name} is no earlier action's output"));
        }
        made.extend(names("outputArtifacts"));
    }
    None
}

/// All actions with their stages, in order.
fn actions(pipeline: &Value) -> impl DoubleEndedIterator<Item = (&Value, &Value)> {
    items(&pipeline["stages"]).flat_map(|stage| items(&stage["actions"]).map(move |action| (stage, action)))
}

fn items(value: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

async fn may_assume(shared: &Shared, service_role: &Role, action_role_arn: &str) -> bool {
    let Some(action_role) = find_role(shared, action_role_arn).await else {
        return false;
    };
    if shared.visibility.hides_role(&action_role) {
        return false;
    }
    let root = format!("arn:aws:iam::{}:root", service_role.account);
    let trusted = allows(&action_role.trust, "sts:AssumeRole", |principal| {
        [service_role.arn.as_str(), &root, &service_role.account, "*"].contains(&principal)
    });
    trusted
        && identity_policies(shared, service_role).await.iter().flat_map(statements).any(|statement| {
            statement["Effect"] == "Allow"
                && names_action(statement, "sts:AssumeRole")
                && strings(&statement["Resource"]).iter().any(|resource| matches(resource, action_role_arn, false))
        })
}

/// AWS fidelity: moto's CreatePipeline looks the service role up in its own IAM, which has nothing
/// else in it, and understands only trust statements with a service principal.
pub(super) async fn tell_moto_of_role(emulators: &Emulators, arn: &str) -> Result<(), String> {
    if kept().moto_roles.contains(arn) {
        return Ok(());
    }
    let key = emulators.moto_key(account_of_arn(arn));
    let name = arn.rsplit('/').next().unwrap_or_default();
    let path = arn.split_once(":role").map_or("/", |(_, rest)| rest).trim_end_matches(name);
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]});
    let iam = Own { port: emulators.moto, access_key: &key, service: "iam", region: "us-east-1" };
    let name = percent_encode(name);
    // A role of this name with another path may be there from before.
    iam.query(format!("Action=DeleteRole&Version=2010-05-08&RoleName={name}")).await?;
    let made = iam
        .query(format!(
            "Action=CreateRole&Version=2010-05-08&RoleName={name}&Path={}&AssumeRolePolicyDocument={}",
            percent_encode(path),
            percent_encode(&trust.to_string())
        ))
        .await?;
    if made.status != 200 {
        return Err(format!("moto did not take the role {arn}: {}", String::from_utf8_lossy(&made.body)));
    }
    kept().moto_roles.insert(arn.to_owned());
    Ok(())
}

/// Proxy-kept: moto starts another execution each time; AWS answers a known token with the first.
fn replayed_start(request: &Request) -> Option<Action> {
    let id = kept().tokens.get(&token_key(request)?).cloned()?;
    Some(Action::json(200, &json!({"pipelineExecutionId": id})))
}

fn token_key(request: &Request) -> Option<String> {
    let body = request.json();
    let token = body["clientRequestToken"].as_str()?;
    Some(format!("{}/{}/{}/{token}", request.account, request.region, body["name"].as_str()?))
}

/// Takes note of what moto did and mends its answer.
pub(super) async fn after(shared: &Shared, request: &Request, mut answer: Answer) -> Answer {
    let succeeded = (200..300).contains(&answer.status);
    let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else {
        return answer;
    };
    let asked = request.json();
    epoch_seconds(&mut body);
    match request.operation.as_str() {
        // AWS fidelity: moto has InvalidStructureException here.
        "CreatePipeline" if !succeeded && strings(&body["message"]).iter().any(|text| text.contains("already exists")) => {
            body["__type"] = json!("PipelineNameInUseException");
            answer.headers.remove("x-amzn-errortype");
        }
        // AWS fidelity: creating a pipeline starts a run at once.
        "CreatePipeline" if succeeded => {
            remember_version(&request.account, &request.region, &body["pipeline"]);
            let name = json!({"name": body["pipeline"]["name"]});
            if let Ok(started) = moto(shared.emulators, request, "StartPipelineExecution", &name).await {
                let id = started["pipelineExecutionId"].as_str().unwrap_or_default();
                override_execution(id, &json!({"trigger": {"triggerType": "CreatePipeline", "triggerDetail": ""}}));
            }
        }
        "UpdatePipeline" if succeeded => {
            remember_version(&request.account, &request.region, &body["pipeline"]);
            stop_running(shared, request, &body["pipeline"]["name"]).await;
        }
        "GetPipeline" if succeeded => {
            let version = asked["version"].as_u64();
            if version.is_some() && version != body["pipeline"]["version"].as_u64() {
                match earlier_version(request, &asked, version) {
                    Ok(pipeline) => body["pipeline"] = pipeline,
                    Err(refusal) => {
                        answer.status = 400;
                        body = refusal;
                    }
                }
            }
        }
        // Proxy-kept: tokens and source revisions, which moto drops.
        "StartPipelineExecution" if succeeded => {
            let id = body["pipelineExecutionId"].as_str().unwrap_or_default();
            if let Some(key) = token_key(request) {
                kept().tokens.insert(key, id.to_owned());
            }
            let revisions: Vec<Value> = items(&asked["sourceRevisions"])
                .map(|revision| json!({"actionName": revision["actionName"], "revisionId": revision["revisionValue"]}))
                .collect();
            override_execution(id, &json!({"sourceRevisions": revisions}));
        }
        "ListPipelineExecutions" if succeeded => {
            for summary in body["pipelineExecutionSummaries"].as_array_mut().into_iter().flatten() {
                apply_overrides(summary);
                hide_actions(summary);
            }
        }
        "GetPipelineExecution" if succeeded => {
            apply_overrides(&mut body["pipelineExecution"]);
            hide_actions(&mut body["pipelineExecution"]);
        }
        _ => {}
    }
    answer.body = Bytes::from(body.to_string());
    answer.headers.remove("content-length");
    answer
}

/// Proxy-kept: moto always answers with the newest version.
fn earlier_version(request: &Request, asked: &Value, version: Option<u64>) -> Result<Value, Value> {
    let name = asked["name"].as_str().unwrap_or_default();
    let kept = kept();
    let versions = kept.versions.get(&format!("{}/{}/{name}", request.account, request.region));
    let found = versions.into_iter().flatten().find(|pipeline| pipeline["version"].as_u64() == version);
    found.cloned().ok_or_else(|| {
        let version = version.unwrap_or_default();
        let account = &request.account;
        let message = format!("Account '{account}' does not have a pipeline with name '{name}' and version '{version}'");
        json!({"__type": "PipelineVersionNotFoundException", "message": message})
    })
}

/// AWS fidelity: an update stops what runs of the structure before.
async fn stop_running(shared: &Shared, request: &Request, name: &Value) {
    let Ok(executions) = executions(shared, request, name).await else {
        return;
    };
    for execution in executions.iter().filter(|execution| execution["status"] == "InProgress") {
        let id = execution["pipelineExecutionId"].as_str().unwrap_or_default();
        override_execution(id, &json!({"status": "Stopped"}));
    }
}

/// All executions, newest first, with what tests have set.
async fn executions(shared: &Shared, request: &Request, name: &Value) -> Result<Vec<Value>, Action> {
    let asked = json!({"pipelineName": name});
    let mut found = moto(shared.emulators, request, "ListPipelineExecutions", &asked).await?;
    epoch_seconds(&mut found);
    let mut executions: Vec<Value> = items(&found["pipelineExecutionSummaries"]).cloned().collect();
    executions.iter_mut().for_each(apply_overrides);
    Ok(executions)
}

fn apply_overrides(execution: &mut Value) {
    let id = execution["pipelineExecutionId"].as_str().unwrap_or_default().to_owned();
    if let Some(members) = kept().executions.get(&id) {
        merge(execution, members);
    }
}

/// `actions` of an execution is the bed's own, no member of AWS's.
fn hide_actions(execution: &mut Value) {
    if let Some(members) = execution.as_object_mut() {
        members.remove("actions");
    }
}

/// Proxy-kept: the calls that moto answers with 500, made up from the pipeline and its executions
/// with what the test set by `set_execution`.
async fn made_up(shared: &Shared, request: &Request) -> Result<Value, Action> {
    let asked = request.json();
    let name = asked.get("name").or_else(|| asked.get("pipelineName")).cloned().unwrap_or_default();
    let mut found = moto(shared.emulators, request, "GetPipeline", &json!({"name": name})).await?;
    epoch_seconds(&mut found);
    let pipeline = &found["pipeline"];
    let mut executions = executions(shared, request, &name).await?;
    let wanted = match request.operation.as_str() {
        "ListActionExecutions" => asked["filter"]["pipelineExecutionId"].as_str(),
        "StopPipelineExecution" => asked["pipelineExecutionId"].as_str(),
        _ => None,
    };
    if let Some(wanted) = wanted {
        executions.retain(|execution| execution["pipelineExecutionId"] == wanted);
        if executions.is_empty() {
            let message = format!("The pipeline has no execution with id '{wanted}'");
            return Err(Action::json_error(400, "PipelineExecutionNotFoundException", &message));
        }
    }
    Ok(match request.operation.as_str() {
        "StopPipelineExecution" => {
            let id = wanted.unwrap_or_default();
            override_execution(id, &json!({"status": "Stopped"}));
            json!({"pipelineExecutionId": id})
        }
        "ListActionExecutions" => {
            let details: Vec<Value> = executions
                .iter()
                .flat_map(|execution| {
                    let newest_first = actions(pipeline).rev();
                    newest_first.map(|(stage, action)| action_detail(request, pipeline, execution, stage, action))
                })
                .collect();
            json!({"actionExecutionDetails": details})
        }
        _ => {
            let stages: Vec<Value> = items(&pipeline["stages"]).map(|stage| stage_state(stage, executions.first())).collect();
            json!({
                "pipelineName": name,
                "pipelineVersion": pipeline["version"],
                "stageStates": stages,
                "created": found["metadata"]["created"],
                "updated": found["metadata"]["updated"],
            })
        }
    })
}

fn stage_state(stage: &Value, execution: Option<&Value>) -> Value {
    let mut state = json!({"stageName": stage["name"], "inboundTransitionState": {"enabled": true}});
    if let Some(execution) = execution {
        state["latestExecution"] = json!({"pipelineExecutionId": execution["pipelineExecutionId"], "status": execution["status"]});
    }
    let actions: Vec<Value> = items(&stage["actions"])
        .map(|action| {
            let mut state = json!({"actionName": action["name"]});
            if let Some(execution) = execution {
                state["latestExecution"] = json!({
                    "actionExecutionId": execution["pipelineExecutionId"],
                    "status": execution["status"],
                    "lastStatusChange": execution["lastUpdateTime"],
                });
                merge(&mut state["latestExecution"], set_for_action(execution, action));
            }
            state
        })
        .collect();
    state["actionStates"] = json!(actions);
    state
}

fn action_detail(request: &Request, pipeline: &Value, execution: &Value, stage: &Value, action: &Value) -> Value {
    let set = set_for_action(execution, action);
    let store = match &pipeline["artifactStores"] {
        Value::Object(stores) => stores.get(&request.region).cloned().unwrap_or_default(),
        _ => pipeline["artifactStore"].clone(),
    };
    let start = |value: &Value, length: usize| value.as_str().unwrap_or_default().chars().take(length).collect::<String>();
    let locations = |member: &str| -> Vec<Value> {
        items(&action[member])
            .map(|artifact| {
                let key = format!("{}/{}/0000000", start(&pipeline["name"], 20), start(&artifact["name"], 10));
                json!({"name": artifact["name"], "s3location": {"bucket": store["location"], "key": key}})
            })
            .collect()
    };
    let mut result = json!({});
    for (from, to) in [
        ("externalExecutionId", "externalExecutionId"),
        ("externalExecutionUrl", "externalExecutionUrl"),
        ("summary", "externalExecutionSummary"),
        ("errorDetails", "errorDetails"),
    ] {
        if let Some(value) = set.get(from) {
            result[to] = value.clone();
        }
    }
    json!({
        "pipelineExecutionId": execution["pipelineExecutionId"],
        "actionExecutionId": execution["pipelineExecutionId"],
        "pipelineVersion": pipeline["version"],
        "stageName": stage["name"],
        "actionName": action["name"],
        "startTime": execution["startTime"],
        "lastUpdateTime": execution["lastUpdateTime"],
        "status": set.get("status").unwrap_or(&execution["status"]),
        "input": {
            "actionTypeId": action["actionTypeId"],
            "configuration": action["configuration"],
            "roleArn": action["roleArn"],
            "region": action.get("region").cloned().unwrap_or_else(|| json!(request.region)),
            "inputArtifacts": locations("inputArtifacts"),
        },
        "output": {"outputArtifacts": locations("outputArtifacts"), "executionResult": result, "outputVariables": {}},
    })
}

/// What a test set for one action, under `actions` and its name.
fn set_for_action<'a>(execution: &'a Value, action: &Value) -> &'a Value {
    &execution["actions"][action["name"].as_str().unwrap_or_default()]
}

/// AWS fidelity: the JSON protocol has times as seconds; moto sends text, which the Rust SDK refuses.
fn epoch_seconds(value: &mut Value) {
    const TIMES: [&str; 5] = ["created", "updated", "startTime", "lastUpdateTime", "pollingDisabledAt"];
    match value {
        Value::Array(items) => items.iter_mut().for_each(epoch_seconds),
        Value::Object(members) => {
            for (name, member) in members {
                let text = member.as_str().filter(|_| TIMES.contains(&name.as_str()));
                match text.and_then(seconds_since_epoch) {
                    Some(seconds) => *member = json!(seconds),
                    None => epoch_seconds(member),
                }
            }
        }
        _ => {}
    }
}

fn seconds_since_epoch(text: &str) -> Option<f64> {
    let (date, time) = text.trim_end_matches('Z').split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split(':').map(|part| part.parse::<f64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    // Years begin in March here, so that the leap day comes last.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    let days = i32::try_from(days).ok()?;
    Some(f64::from(days) * 86_400.0 + hour * 3_600.0 + minute * 60.0 + second)
}

/// Asks moto as the caller's account; `Err` is its answer, to pass on.
async fn moto(emulators: &Emulators, request: &Request, operation: &str, body: &Value) -> Result<Value, Action> {
    let key = emulators.moto_key(&request.account);
    let own = Own { port: emulators.moto, access_key: &key, service: "codepipeline", region: &request.region };
    let unreachable = |error: String| Action::json_error(502, "EmulatorUnreachable", &error);
    let answer = own.json(&format!("CodePipeline_20150709.{operation}"), body).await.map_err(unreachable)?;
    let value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status == 200 { Ok(value) } else { Err(Action::json(answer.status, &value)) }
}
