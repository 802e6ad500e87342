//! What a hand-off leaves out: all that the other side doesn't need to judge the chain, and by the rule of all outputs what may be a
//! secret.

use crate::deploy::declaration::{self, Place};
use crate::deploy::names::{ARN_TAG, DETECTION_TAG, NOTIFICATION_TAG, TAG};
use crate::deploy::redaction::{NAMES_OF_S3, REDACTED, Redaction};
use crate::deploy::snapshot::{BucketFound, BucketSlot, Half, PipelineFound, RoleFound, RuleFound, Snapshot, Tags};
use crate::deploy::steps::has_eventbridge;
use crate::error::{Error, Result};
use crate::model::is_acted_on;
use crate::settings::Settings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Takes out of a half what the other side needn't know.
///
/// # Errors
/// What is left doesn't make a half any more, which can't be.
pub fn half(half: Half, settings: &Settings, snapshot: &Snapshot) -> Result<Half> {
    match half {
        Half::Dev(mut half) => {
            half.pipeline = half.pipeline.map(|found| pipeline(found, settings, snapshot));
            // The rule comes before the pipeline.
            let own = snapshot.dev.regional("codepipeline", &snapshot.dev.region, settings.pipeline.as_str());
            let aims = |target: &Value| target.get("Arn").and_then(Value::as_str) == Some(&own);
            half.rule = half.rule.map(|found| rule(found, &aims));
            half.other_rules = half.other_rules.into_iter().map(|found| rule(found, &aims)).collect();
            for slot in half.artifact_buckets.values_mut() {
                bucket(slot);
            }
            bucket(&mut half.input);
            half.service_role.iter_mut().chain(&mut half.event_role).for_each(role);
            half.policies.values_mut().for_each(|found| own_tags(&mut found.tags));
            half.keys.values_mut().filter_map(|slot| slot.found.as_mut()).for_each(|found| own_tags(&mut found.tags));
            clean(&half).map(Half::Dev)
        }
        Half::Prod(mut half) => {
            half.deploy_role.iter_mut().for_each(role);
            half.policies.values_mut().for_each(|found| own_tags(&mut found.tags));
            bucket(&mut half.output);
            clean(&half).map(Half::Prod)
        }
    }
}

/// Of all tags only ours are told.
fn own_tags(tags: &mut Tags) {
    tags.retain(|key, _| [TAG, ARN_TAG, DETECTION_TAG, NOTIFICATION_TAG].contains(&key.as_str()));
}

fn role(found: &mut RoleFound) {
    own_tags(&mut found.tags);
}

fn bucket(slot: &mut BucketSlot) {
    let Some(found) = &mut slot.found else { return };
    own_tags(&mut found.tags);
    let told = found.notification.take().map(|xml| match has_eventbridge(&xml) {
        true => "<NotificationConfiguration><EventBridgeConfiguration></EventBridgeConfiguration></NotificationConfiguration>",
        false => "<NotificationConfiguration></NotificationConfiguration>",
    });
    *found = BucketFound { notification: told.map(str::to_owned), source_sha256: None, empty: None, ..std::mem::take(found) };
}

/// Of a rule's targets only those are told that start the pipeline, and of them who starts it and with which revision.
fn rule(mut found: RuleFound, aims: &dyn Fn(&Value) -> bool) -> RuleFound {
    own_tags(&mut found.tags);
    found.targets.retain(aims);
    for target in &mut found.targets {
        let Some(members) = target.as_object_mut() else { continue };
        members.retain(|key, value| match key.as_str() {
            "Id" | "Arn" | "RoleArn" => true,
            // Ours says which version to deploy (facts A.5); others may say anything.
            "InputTransformer" => value.to_string().contains("sourceRevisions"),
            _ => false,
        });
    }
    found
}

/// The declaration with the configuration of the chosen source and deploy actions alone, as far as the chain hangs on it.
fn pipeline(mut found: PipelineFound, settings: &Settings, snapshot: &Snapshot) -> PipelineFound {
    own_tags(&mut found.tags);
    found.running.clear();
    let bucket = Some(snapshot.output.name.as_str());
    let chosen = |places: Vec<(Place, &Value)>| places.into_iter().map(|(place, _)| place).collect::<Vec<_>>();
    let mut told = chosen(declaration::sources(&found.declaration));
    told.extend(chosen(declaration::deploys(&found.declaration, bucket)));
    told.extend(declaration::choose_deploy(&found.declaration, bucket, settings.stage.as_deref(), settings.action.as_deref()));
    let mut next = Map::new();
    for member in ["name", "roleArn", "artifactStore", "artifactStores", "pipelineType", "executionMode", "version"] {
        if let Some(value) = found.declaration.get(member) {
            next.insert(member.to_owned(), value.clone());
        }
    }
    let places: Vec<(Place, Value)> =
        declaration::actions(&found.declaration).into_iter().map(|(place, action)| (place, short(action, told.contains(&place)))).collect();
    let stages = found.declaration.get("stages").and_then(Value::as_array).into_iter().flatten().enumerate().map(|(stage, declared)| {
        let actions: Vec<&Value> = places.iter().filter(|(place, _)| place.stage == stage).map(|(_, action)| action).collect();
        serde_json::json!({"name": declared.get("name"), "actions": actions})
    });
    next.insert("stages".to_owned(), stages.collect());
    found.declaration = Value::Object(next);
    found
}

fn short(action: &Value, configuration: bool) -> Value {
    let told = ["name", "actionTypeId", "runOrder", "inputArtifacts", "outputArtifacts", "region", "roleArn"];
    let mut next: Map<String, Value> = action
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| told.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if configuration && let Some(members) = action.get("configuration").and_then(Value::as_object) {
        let kept = members.iter().filter(|(key, _)| NAMES_OF_S3.contains(&key.as_str()));
        next.insert("configuration".to_owned(), kept.map(|(key, value)| (key.clone(), value.clone())).collect());
    }
    Value::Object(next)
}

/// Takes out the values of conditions that may be secrets, whatever looks like one anywhere, and what no screen should show.
fn clean<T: Serialize + DeserializeOwned>(half: &T) -> Result<T> {
    let internal = |error: serde_json::Error| Error::internal(format!("the hand-off can't be written: {error}"));
    let mut value = serde_json::to_value(half).map_err(internal)?;
    Redaction::without_hashes().redact(&mut value);
    only_printable(&mut value);
    serde_json::from_value(value).map_err(internal)
}

fn only_printable(value: &mut Value) {
    match value {
        Value::Object(members) => {
            // Names of objects and things are told as they are: policies are written from them.
            members
                .iter_mut()
                .filter(|(key, _)| !["configuration", "name", "asked"].contains(&key.as_str()))
                .for_each(|(_, value)| only_printable(value));
        }
        Value::Array(list) => list.iter_mut().for_each(only_printable),
        Value::String(text) if text.contains(is_acted_on) => *text = REDACTED.to_owned(),
        _ => {}
    }
}
