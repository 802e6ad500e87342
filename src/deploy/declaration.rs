//! The pipeline's declaration as raw JSON: read and chosen from.

use crate::error::{Error, Result};
use crate::model::Arn;
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

/// What an S3 deploy action says of extracting: when it is created any text will do, when it runs only two do (facts A.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extract<'a> {
    /// `true`: each file of the archive is written.
    Yes,
    /// `false`: the archive itself is written.
    No,
    /// Another text, at which the action fails.
    Invalid(&'a str),
    /// Nothing, which the action can't run with either.
    Absent,
}

impl Extract<'_> {
    /// Says whether the files of the archive are meant to be written; what is neither yes nor no writes nothing, and is taken for the
    /// wider of the two.
    pub fn is_wide(self) -> bool {
        self != Extract::No
    }

    /// Says what is wrong with it, if anything is.
    pub fn wrong(self) -> Option<String> {
        match self {
            Extract::Yes | Extract::No => None,
            Extract::Invalid(text) => Some(format!("the deploy action's Extract is `{text}`; only `true` and `false` work")),
            Extract::Absent => Some("the deploy action has no Extract; it must be `true` or `false`".to_owned()),
        }
    }
}

/// Reads an S3 deploy action's `Extract`.
pub fn extract(action: &Value) -> Extract<'_> {
    match configured(action, "Extract") {
        Some("true") => Extract::Yes,
        Some("false") => Extract::No,
        None | Some("") => Extract::Absent,
        Some(text) => Extract::Invalid(text),
    }
}

/// How a store names its key, which says where KMS looks it up (facts G of `actions.md`, E.26).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyName {
    /// The key's own ARN: the same key for everybody.
    Arn,
    /// The ARN of an alias. KMS takes it from another account, and AWS CDK writes it into the stores of other regions; CodePipeline's
    /// guide says key id or key ARN only: nobody here can tell.
    AliasArn,
    /// An id or an alias alone, which each account looks up in itself.
    Bare,
}

impl KeyName {
    /// Reads a name.
    pub fn of(key: &str) -> KeyName {
        match key.parse::<Arn>() {
            Ok(arn) if arn.resource.starts_with("alias/") => KeyName::AliasArn,
            Ok(_) => KeyName::Arn,
            Err(_) => KeyName::Bare,
        }
    }
}

/// Gives the canned ACL that an S3 deploy action sets, where it sets one.
pub fn canned_acl(action: &Value) -> Option<&str> {
    configured(action, "CannedACL").filter(|acl| !acl.is_empty())
}

/// Says whether a pipeline is of type V2.
pub fn is_v2(declaration: &Value) -> bool {
    text(declaration, "/pipelineType") == "V2"
}

/// Gives the region that an action runs in.
pub fn region_of<'a>(action: &'a Value, home: &'a str) -> &'a str {
    action.get("region").and_then(Value::as_str).unwrap_or(home)
}

/// Gives the role that an action names for itself.
pub fn own_role(action: &Value) -> Option<&str> {
    action.get("roleArn").and_then(Value::as_str)
}

fn artifacts<'a>(action: &'a Value, member: &str) -> impl Iterator<Item = &'a str> {
    let list = action.get(member).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|artifact| artifact.get("name").and_then(Value::as_str))
}

/// Lists the names of the artifacts that an action reads.
pub fn inputs(action: &Value) -> impl Iterator<Item = &str> {
    artifacts(action, "inputArtifacts")
}

/// Lists the names of the artifacts that an action puts out.
pub fn outputs(action: &Value) -> impl Iterator<Item = &str> {
    artifacts(action, "outputArtifacts")
}

/// Lists the actions that put out an artifact of this name: one, unless the pipeline is wrong.
pub fn producers<'a>(declaration: &'a Value, artifact: &str) -> Vec<(Place, &'a Value)> {
    actions(declaration).into_iter().filter(|(_, action)| outputs(action).any(|output| output == artifact)).collect()
}

/// Says whether an action is an S3 source.
pub fn is_s3_source(action: &Value) -> bool {
    is_s3(action, "Source")
}

/// Gives an action's provider, such as `CodeBuild`.
pub fn provider(action: &Value) -> &str {
    text(action, "/actionTypeId/provider")
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
    actions(declaration).into_iter().filter(|(_, action)| is_s3_source(action)).collect()
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

/// Finds the S3 source action that is meant among those that fit: the one whose artifact the deploy action reads, where there are
/// several of them.
pub fn narrowed<'a>(fitting: Vec<(Place, &'a Value)>, deploy: &Value) -> Vec<(Place, &'a Value)> {
    if fitting.len() < 2 {
        return fitting;
    }
    let feeds = |source: &Value| outputs(source).any(|output| inputs(deploy).any(|input| input == output));
    let feeding: Vec<_> = fitting.iter().copied().filter(|(_, source)| feeds(source)).collect();
    if feeding.len() == 1 { feeding } else { fitting }
}

/// Says whether CodePipeline itself looks for new versions; absent means yes (facts A.3).
pub fn polls(source: &Value) -> bool {
    configured(source, "PollForSourceChanges").is_none_or(|value| !value.eq_ignore_ascii_case("false"))
}
