//! The pipeline's declaration, made or patched without losing a member.

use crate::deploy::blueprint::{Blueprint, Detection};
use crate::deploy::declaration::{self, Place};
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};

fn action_at_mut(declaration: &mut Value, place: Place) -> Option<&mut Map<String, Value>> {
    declaration.pointer_mut(&format!("/stages/{}/actions/{}", place.stage, place.action)).and_then(Value::as_object_mut)
}

fn store_value(bucket: &str, key: &str) -> Value {
    json!({"type": "S3", "location": bucket, "encryptionKey": {"id": key, "type": "KMS"}})
}

/// Makes the declaration of A2 with A7's `roleArn` already in place.
pub fn new(blueprint: &Blueprint) -> Value {
    let polling = matches!(blueprint.detection, Detection::Polling);
    let (extract, path) = blueprint.asked_deploy();
    let mut configuration = Map::new();
    configuration.insert("BucketName".to_owned(), json!(blueprint.output_bucket));
    configuration.insert("Extract".to_owned(), json!(extract.to_string()));
    if let Some(path) = path {
        configuration.insert("ObjectKey".to_owned(), json!(path));
    }
    let mut pipeline = Map::new();
    pipeline.insert("name".to_owned(), json!(blueprint.pipeline));
    pipeline.insert("roleArn".to_owned(), json!(blueprint.service_role.arn));
    match blueprint.stores.as_slice() {
        [only] => {
            pipeline.insert("artifactStore".to_owned(), store_value(&only.bucket, &only.key));
        }
        several => {
            let stores: Map<String, Value> =
                several.iter().map(|store| (store.region.clone(), store_value(&store.bucket, &store.key))).collect();
            pipeline.insert("artifactStores".to_owned(), Value::Object(stores));
        }
    }
    pipeline.insert(
        "stages".to_owned(),
        json!([
            {"name": "Source", "actions": [{
                "name": "Source",
                "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
                "runOrder": 1,
                "configuration": {
                    "S3Bucket": blueprint.input_bucket,
                    "S3ObjectKey": blueprint.object_key,
                    "PollForSourceChanges": polling.to_string(),
                },
                "outputArtifacts": [{"name": "SourceArtifact"}],
                "inputArtifacts": [],
                "region": blueprint.home,
                "namespace": "SourceVariables",
            }]},
            {"name": "Deploy", "actions": [{
                "name": "Deploy",
                "actionTypeId": {"category": "Deploy", "owner": "AWS", "provider": "S3", "version": "1"},
                "runOrder": 1,
                "configuration": configuration,
                "outputArtifacts": [],
                "inputArtifacts": [{"name": "SourceArtifact"}],
                "roleArn": blueprint.deploy_role.arn,
                "region": blueprint.target_region,
                "namespace": "DeployVariables",
            }]},
        ]),
    );
    pipeline.insert("executionMode".to_owned(), json!("SUPERSEDED"));
    pipeline.insert("pipelineType".to_owned(), json!("V2"));
    Value::Object(pipeline)
}

/// What a patch does, in words.
#[derive(Debug, Default)]
pub struct Patch {
    /// One phrase a change.
    pub changes: Vec<String>,
}

/// Patches what setup may change in a pipeline (`architecture.md`, "Whose is it"): everything else stays as it came.
///
/// `own` says that xdeploy made the pipeline; then its source and deploy configuration follow what was asked for as well.
///
/// # Errors
/// The chosen action isn't there.
pub fn patched(declaration: &Value, blueprint: &Blueprint, place: Place, source: Option<Place>, own: bool) -> Result<(Value, Patch)> {
    let mut new = declaration.clone();
    let mut patch = Patch::default();
    let gone = || Error::internal("the chosen action is not in the declaration");

    let action = action_at_mut(&mut new, place).ok_or_else(gone)?;
    if action.get("roleArn").and_then(Value::as_str) != Some(&blueprint.deploy_role.arn) {
        action.insert("roleArn".to_owned(), json!(blueprint.deploy_role.arn));
        patch.changes.push("the deploy action's roleArn".to_owned());
    }
    if own {
        let (extract, path) = blueprint.asked_deploy();
        let asked = [
            ("Extract", blueprint.no_extract.then(|| extract.to_string())),
            ("ObjectKey", if blueprint.no_extract || blueprint.deploy_path.is_some() { path } else { None }),
        ];
        for (key, value) in asked {
            if let Some(value) = value {
                configure(action, key, &value, &mut patch);
            }
        }
    }
    if let Some(source) = source {
        let action = action_at_mut(&mut new, source).ok_or_else(gone)?;
        if let Some(polling) = blueprint.polling {
            let now = action.get("configuration").and_then(|c| c.get("PollForSourceChanges")).and_then(Value::as_str);
            if now.is_none_or(|now| !now.eq_ignore_ascii_case("false")) != polling {
                configure(action, "PollForSourceChanges", &polling.to_string(), &mut patch);
            }
        }
        if own {
            configure(action, "S3ObjectKey", &blueprint.object_key, &mut patch);
        }
    }
    let members = new.as_object_mut().ok_or_else(gone)?;
    if blueprint.stores.len() > 1 && !members.contains_key("artifactStores") {
        // A cross-region action needs the map form (facts C); the home store moves into it as it is.
        if let Some(home) = members.remove("artifactStore") {
            let mut stores = Map::new();
            stores.insert(blueprint.home.clone(), home);
            members.insert("artifactStores".to_owned(), Value::Object(stores));
        }
    }
    for wanted in &blueprint.stores {
        let single = members.get_mut("artifactStore").filter(|_| wanted.region == blueprint.home);
        let slot = match single {
            Some(store) => Some(store),
            None => members.get_mut("artifactStores").and_then(|stores| stores.get_mut(&wanted.region)),
        };
        match slot {
            Some(store) => {
                if declaration::store_key(store).is_none() || wanted.replaces_managed_key {
                    if let Some(store) = store.as_object_mut() {
                        store.insert("encryptionKey".to_owned(), json!({"id": wanted.key, "type": "KMS"}));
                    }
                    patch.changes.push(format!("the encryption key of the artifact store in {}", wanted.region));
                }
            }
            None => {
                if let Some(stores) = members.get_mut("artifactStores").and_then(Value::as_object_mut) {
                    stores.insert(wanted.region.clone(), store_value(&wanted.bucket, &wanted.key));
                    patch.changes.push(format!("an artifact store in {}", wanted.region));
                }
            }
        }
    }
    Ok((new, patch))
}

fn configure(action: &mut Map<String, Value>, key: &str, value: &str, patch: &mut Patch) {
    let configuration = action.entry("configuration").or_insert_with(|| json!({}));
    if let Some(configuration) = configuration.as_object_mut()
        && configuration.get(key).and_then(Value::as_str) != Some(value)
    {
        configuration.insert(key.to_owned(), json!(value));
        patch.changes.push(format!("{key} = {value}"));
    }
}
