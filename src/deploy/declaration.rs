//! The pipeline's declaration as raw JSON: read and chosen from.

use crate::error::{Error, Result};
use serde_json::Value;

/// Where an action stands: its stage's and its own index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Index of the stage.
    pub stage: usize,
    /// Index of the action within it.
    pub action: usize,
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Lists every action with its place.
pub fn actions(declaration: &Value) -> Vec<(Place, &Value)> {
    let mut found = Vec::new();
    for (stage, declared) in declaration.get("stages").and_then(Value::as_array).into_iter().flatten().enumerate() {
        for (action, declared) in declared.get("actions").and_then(Value::as_array).into_iter().flatten().enumerate() {
            found.push((Place { stage, action }, declared));
        }
    }
    found
}

fn is_s3(action: &Value, category: &str) -> bool {
    text(action, "/actionTypeId/category") == category
        && text(action, "/actionTypeId/owner") == "AWS"
        && text(action, "/actionTypeId/provider") == "S3"
}

/// Gives an action's configuration value.
pub fn configured<'a>(action: &'a Value, key: &str) -> Option<&'a str> {
    action.get("configuration").and_then(|configuration| configuration.get(key)).and_then(Value::as_str)
}

/// Gives the key that an S3 deploy action encrypts its files with, where it names one (facts A.4).
pub fn output_key(action: &Value) -> Option<&str> {
    configured(action, "KMSEncryptionKeyARN").filter(|key| !key.is_empty())
}

/// Gives an action's name.
pub fn name_of(action: &Value) -> &str {
    text(action, "/name")
}

/// Gives the pipeline's service role.
pub fn role_arn(declaration: &Value) -> Option<&str> {
    declaration.get("roleArn").and_then(Value::as_str)
}

/// Gives the name of a stage.
pub fn stage_name(declaration: &Value, place: Place) -> &str {
    declaration.pointer(&format!("/stages/{}/name", place.stage)).and_then(Value::as_str).unwrap_or_default()
}

/// Gives an action.
pub fn action_at(declaration: &Value, place: Place) -> Option<&Value> {
    declaration.pointer(&format!("/stages/{}/actions/{}", place.stage, place.action))
}

/// Lists the S3 source actions.
pub fn sources(declaration: &Value) -> Vec<(Place, &Value)> {
    actions(declaration).into_iter().filter(|(_, action)| is_s3(action, "Source")).collect()
}

/// Lists the S3 deploy actions, of one bucket or of any.
pub fn deploys<'a>(declaration: &'a Value, bucket: Option<&str>) -> Vec<(Place, &'a Value)> {
    let of_bucket = |action: &Value| bucket.is_none_or(|bucket| configured(action, "BucketName") == Some(bucket));
    actions(declaration).into_iter().filter(|(_, action)| is_s3(action, "Deploy") && of_bucket(action)).collect()
}

/// Chooses the deploy action that is meant.
///
/// # Errors
/// There is none for this bucket, or several and `--stage`/`--action` don't say which.
pub fn choose_deploy(declaration: &Value, bucket: Option<&str>, stage: Option<&str>, action: Option<&str>) -> Result<Place> {
    let pipeline = text(declaration, "/name");
    let of_bucket = deploys(declaration, bucket);
    let describe = |list: &[(Place, &Value)]| -> String {
        let one = |(place, action): &(Place, &Value)| {
            let bucket = configured(action, "BucketName").unwrap_or("no bucket");
            format!("{}/{} (to {bucket})", stage_name(declaration, *place), name_of(action))
        };
        list.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    if of_bucket.is_empty() {
        let all = deploys(declaration, None);
        let what = bucket.map(|bucket| format!(" to {bucket}")).unwrap_or_default();
        let error = Error::refused(format!("pipeline {pipeline} has no S3 deploy action{what}"));
        return Err(if all.is_empty() {
            error.hint("add an S3 deploy action to it first, or name another pipeline with `--pipeline`")
        } else {
            error.hint(format!("its S3 deploy actions are {}; name its bucket with `--output-bucket`, or another pipeline", describe(&all)))
        });
    }
    let chosen: Vec<(Place, &Value)> = of_bucket
        .iter()
        .copied()
        .filter(|(place, found)| {
            stage.is_none_or(|stage| stage_name(declaration, *place) == stage) && action.is_none_or(|name| name_of(found) == name)
        })
        .collect();
    match chosen.as_slice() {
        [(place, _)] => Ok(*place),
        [] => Err(Error::refused(format!("pipeline {pipeline} has no such S3 deploy action"))
            .hint(format!("`--stage` and `--action` must name one of {}", describe(&of_bucket)))),
        several => Err(Error::refused(format!("pipeline {pipeline} has {} S3 deploy actions that could be meant", several.len()))
            .hint(format!("say which with `--stage` and `--action`: {}", describe(several)))),
    }
}

/// Gives the artifact store of a region, in either of its two forms (facts/codepipeline.md C).
pub fn store<'a>(declaration: &'a Value, region: &str, home: &str) -> Option<&'a Value> {
    match declaration.get("artifactStores") {
        Some(Value::Object(stores)) => stores.get(region),
        _ if region == home => declaration.get("artifactStore"),
        _ => None,
    }
}

/// Gives the key that a store names.
pub fn store_key(store: &Value) -> Option<&str> {
    store.pointer("/encryptionKey/id").and_then(Value::as_str)
}

/// Gives the bucket that a store names.
pub fn store_bucket(store: &Value) -> Option<&str> {
    store.get("location").and_then(Value::as_str)
}

/// Says whether CodePipeline itself looks for new versions; absent means yes (facts A.3).
pub fn polls(source: &Value) -> bool {
    configured(source, "PollForSourceChanges").is_none_or(|value| !value.eq_ignore_ascii_case("false"))
}
