//! What CodePipeline has against a declaration, and how it keeps one (facts C, D.1, E.29, E.30).

use super::{invalid, text};
use crate::model::RegionName;
use crate::rehearsal::state::State;
use crate::rehearsal::wire::{Fault, Outcome};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Gives a member, or null.
pub(crate) fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// Gives the items of a list; none of what is no list.
pub(crate) fn items(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// Gives all actions with their stages, in order.
pub(crate) fn actions(declaration: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    items(member(declaration, "stages")).flat_map(|stage| items(member(stage, "actions")).map(move |action| (stage, action)))
}

/// Gives a part of an action's type: `category`, `owner`, `provider`.
pub(crate) fn kind<'v>(action: &'v Value, part: &str) -> &'v str {
    text(member(action, "actionTypeId"), part).unwrap_or_default()
}

/// Gives bucket and key of each source that CodePipeline looks at by itself: on unless it is turned off (facts A.3).
pub(super) fn polled(declaration: &Value) -> impl Iterator<Item = (&str, &str)> {
    actions(declaration).filter_map(|(_, action)| {
        let configuration = member(action, "configuration");
        let polls = text(configuration, "PollForSourceChanges").is_none_or(|value| value != "false");
        let is_source = kind(action, "category") == "Source" && kind(action, "provider") == "S3";
        (is_source && polls).then_some((text(configuration, "S3Bucket")?, text(configuration, "S3ObjectKey")?))
    })
}

fn constraint(value: &str, path: &str, rule: &str) -> Fault {
    invalid(format!("1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: {rule}"))
}

fn is_name(name: &str, also: &str) -> bool {
    (1..=100).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

const NAME: &str = ".@-_";
const ARTIFACT: &str = "_-";

fn checked<'v>(value: &'v Value, name: &str, path: &str, also: &str) -> Outcome<&'v str> {
    let Some(found) = text(value, name) else {
        return Err(constraint("null", &format!("{path}.{name}"), "Member must not be null"));
    };
    if is_name(found, also) {
        return Ok(found);
    }
    let pattern = if also == ARTIFACT { "[a-zA-Z0-9_\\-]+" } else { "[A-Za-z0-9.@\\-_]+" };
    Err(constraint(found, &format!("{path}.{name}"), &format!("Member must satisfy regular expression pattern: {pattern}")))
}

/// Gives the pipeline's name.
pub(super) fn name(declaration: &Value) -> Outcome<&str> {
    checked(declaration, "name", "pipeline", NAME)
}

/// Checks what CodePipeline checks before anything else: names, ARNs, lengths.
pub(super) fn check_form(declaration: &Value) -> Outcome<()> {
    name(declaration)?;
    let role = text(declaration, "roleArn").unwrap_or_default();
    check_role(role, "pipeline.roleArn")?;
    let present = |name: &str| !member(declaration, name).is_null();
    if present("artifactStore") && present("artifactStores") {
        return Err(invalid("Exactly one of artifactStore and artifactStores must be given, not both."));
    }
    let mut stores: Vec<(String, &Value)> = Vec::new();
    if present("artifactStore") {
        stores.push(("pipeline.artifactStore".to_owned(), member(declaration, "artifactStore")));
    }
    for (region, store) in member(declaration, "artifactStores").as_object().into_iter().flatten() {
        if region.parse::<RegionName>().is_err() {
            return Err(invalid(format!("The region {region} specified in 'pipeline.artifactStores' is not a valid AWS Region")));
        }
        stores.push((format!("pipeline.artifactStores.{region}"), store));
    }
    for (path, store) in stores {
        if text(store, "type") != Some("S3") {
            return Err(constraint(
                text(store, "type").unwrap_or("null"),
                &format!("{path}.type"),
                "Member must satisfy enum value set: [S3]",
            ));
        }
        let bucket = text(store, "location").unwrap_or_default();
        if !(3..=63).contains(&bucket.len()) {
            return Err(constraint(bucket, &format!("{path}.location"), "Member must have length between 3 and 63"));
        }
        let key = member(store, "encryptionKey");
        if !key.is_null() {
            let id = text(key, "id").unwrap_or_default();
            if !(1..=400).contains(&id.len()) {
                return Err(constraint(id, &format!("{path}.encryptionKey.id"), "Member must have length between 1 and 400"));
            }
            if text(key, "type") != Some("KMS") {
                let found = text(key, "type").unwrap_or("null");
                return Err(constraint(found, &format!("{path}.encryptionKey.type"), "Member must satisfy enum value set: [KMS]"));
            }
        }
    }
    for (number, stage) in items(member(declaration, "stages")).enumerate() {
        let path = format!("pipeline.stages.{}.member", number + 1);
        checked(stage, "name", &path, NAME)?;
        for (number, action) in items(member(stage, "actions")).enumerate() {
            check_action_form(action, &format!("{path}.actions.{}.member", number + 1))?;
        }
    }
    Ok(())
}

fn check_role(role: &str, path: &str) -> Outcome<()> {
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    match parts[..] {
        ["arn", partition, "iam", "", account, resource]
            if partition.starts_with("aws")
                && account.len() == 12
                && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty()) =>
        {
            Ok(())
        }
        _ => {
            let rule = "Member must satisfy regular expression pattern: arn:aws(-[\\w]+)*:iam::[0-9]{12}:role/.*";
            Err(constraint(role, path, rule))
        }
    }
}

fn check_action_form(action: &Value, path: &str) -> Outcome<()> {
    checked(action, "name", path, NAME)?;
    for artifact in ["inputArtifacts", "outputArtifacts"].into_iter().flat_map(|name| items(member(action, name))) {
        checked(artifact, "name", path, ARTIFACT)?;
    }
    for (key, value) in member(action, "configuration").as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        if !(1..=50).contains(&key.len()) || !(1..=1000).contains(&value.len()) {
            return Err(constraint(value, &format!("{path}.configuration.{key}"), "Member must have length between 1 and 1000"));
        }
    }
    if let Some(role) = text(action, "roleArn") {
        check_role(role, &format!("{path}.roleArn"))?;
    }
    if let Some(order) = action.get("runOrder").filter(|order| !order.is_null())
        && !order.as_u64().is_some_and(|order| (1..=999).contains(&order))
    {
        return Err(constraint(&order.to_string(), &format!("{path}.runOrder"), "Member must have value between 1 and 999"));
    }
    if let Some(namespace) = text(action, "namespace")
        && !is_name(namespace, "@-_")
    {
        return Err(constraint(
            namespace,
            &format!("{path}.namespace"),
            "Member must satisfy regular expression pattern: [A-Za-z0-9@\\-_]+",
        ));
    }
    Ok(())
}

/// What S3 actions may be configured with, and what they must.
const CONFIGURATIONS: [(&str, &str, &[&str], &[&str]); 2] = [
    ("Source", "S3", &["S3Bucket", "S3ObjectKey"], &["AllowOverrideForS3ObjectKey", "PollForSourceChanges"]),
    ("Deploy", "S3", &["BucketName", "Extract"], &["ObjectKey", "KMSEncryptionKeyARN", "CannedACL", "CacheControl"]),
];

fn structure(message: impl Into<String>) -> Fault {
    Fault::new(400, "InvalidStructureException", message)
}

fn wrong_action(message: impl Into<String>) -> Fault {
    Fault::new(400, "InvalidActionDeclarationException", message)
}

/// Checks how stages, actions, artifacts and regions hang together. Texts that no fact gives are not AWS's.
pub(super) fn check_structure(declaration: &Value, home: &str) -> Outcome<()> {
    let stages = items(member(declaration, "stages"));
    if stages.len() < 2 {
        return Err(structure(format!("Pipeline has only {} stage(s). There should be a minimum of 2 stages in a pipeline", stages.len())));
    }
    if stages.len() > 50 || actions(declaration).count() > 500 {
        return Err(Fault::new(400, "LimitExceededException", "The pipeline has more than 50 stages or 500 actions."));
    }
    let mut names = BTreeSet::new();
    let mut made = BTreeSet::new();
    for (number, stage) in stages.enumerate() {
        let name = text(stage, "name").unwrap_or_default();
        if !names.insert(name) {
            return Err(Fault::new(400, "InvalidStageDeclarationException", format!("Stage name {name} is used more than once.")));
        }
        let held = items(member(stage, "actions"));
        if held.len() == 0 {
            return Err(Fault::new(400, "InvalidStageDeclarationException", format!("Stage {name} has no actions.")));
        }
        let mut own = BTreeSet::new();
        let mut ordered: Vec<&Value> = held.collect();
        ordered.sort_by_key(|action| order(action));
        for action in ordered {
            let action_name = text(action, "name").unwrap_or_default();
            if !own.insert(action_name) {
                return Err(wrong_action(format!("Action name {action_name} is used more than once in stage {name}.")));
            }
            let is_source = kind(action, "category") == "Source";
            if number == 0 && !is_source {
                return Err(structure("Pipeline should start with a stage that only contains source actions"));
            }
            if number > 0 && is_source {
                return Err(structure(format!("Action {action_name} is a source action, which only the first stage may have")));
            }
            check_action(action, declaration, home, &mut made)?;
        }
    }
    Ok(())
}

/// Makes sure that each artifact store's bucket is there, and in the store's region: CreatePipeline says so itself (observed:
/// aws-ecs-anywhere-workshop-samples #4, aws-deployment-framework #95), and doesn't leave it to a run. Another region's is told in the
/// words of facts C.
pub(super) fn check_stores(state: &State, declaration: &Value, home: &str) -> Outcome<()> {
    let several = member(declaration, "artifactStores").as_object().into_iter().flatten().map(|(region, store)| (region.as_str(), store));
    let one = declaration.get("artifactStore").filter(|store| store.is_object()).map(|store| (home, store));
    for (region, store) in several.chain(one) {
        let name = text(store, "location").unwrap_or_default();
        match state.buckets.get(name) {
            None => {
                return Err(structure(format!(
                    "An error occurred while validating the artifact bucket '{name}': No bucket with the name {name} was found. Choose a \
                     valid artifact bucket in '{region}', or create a new artifact bucket to use in your pipeline."
                )));
            }
            Some(bucket) if bucket.region != region => {
                return Err(structure(format!("The bucket named {name} is not located in the '{region}' AWS region.")));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Gives when an action runs within its stage.
pub(crate) fn order(action: &Value) -> u64 {
    action.get("runOrder").and_then(Value::as_u64).unwrap_or(1)
}

fn check_action<'v>(action: &'v Value, declaration: &'v Value, home: &str, made: &mut BTreeSet<&'v str>) -> Outcome<()> {
    let name = text(action, "name").unwrap_or_default();
    let (category, owner, provider) = (kind(action, "category"), kind(action, "owner"), kind(action, "provider"));
    if category.is_empty() || provider.is_empty() || !["AWS", "ThirdParty", "Custom"].contains(&owner) {
        return Err(wrong_action(format!("Action '{name}' has no valid type")));
    }
    if owner != "AWS" && text(action, "roleArn").is_some() {
        return Err(wrong_action(format!("Action '{name}' may not have a roleArn: only actions with owner AWS may")));
    }
    let known = CONFIGURATIONS.iter().find(|(of, by, _, _)| *of == category && *by == provider && owner == "AWS");
    if let Some((_, _, required, optional)) = known {
        let configuration = member(action, "configuration");
        if let Some(missing) = required.iter().find(|key| text(configuration, key).is_none()) {
            return Err(wrong_action(format!("Action configuration for action '{name}' is missing required configuration '{missing}'")));
        }
        let mut keys = configuration.as_object().into_iter().flat_map(|keys| keys.keys());
        if let Some(unknown) = keys.find(|key| !required.contains(&key.as_str()) && !optional.contains(&key.as_str())) {
            return Err(wrong_action(format!("Action configuration for action '{name}' contains unknown configuration '{unknown}'")));
        }
        let (inputs, outputs) = (items(member(action, "inputArtifacts")).len(), items(member(action, "outputArtifacts")).len());
        if (inputs, outputs) != if category == "Source" { (0, 1) } else { (1, 0) } {
            return Err(wrong_action(format!(
                "Action '{name}' has {inputs} input and {outputs} output artifacts, which {category} by S3 doesn't take"
            )));
        }
    }
    let region = text(action, "region").unwrap_or(home);
    if category == "Source" && region != home {
        return Err(structure(format!(
            "Source action {name} is in {region}: source actions can't be in another region than their pipeline"
        )));
    }
    let stores = member(declaration, "artifactStores");
    let stored = if stores.is_object() {
        stores.get(region).is_some() && stores.get(home).is_some()
    } else {
        region == home && member(declaration, "artifactStore").is_object()
    };
    if !stored {
        return Err(structure(format!(
            "The pipeline has no artifact store in {region}, the region of action {name}, or none in its own, {home}"
        )));
    }
    if let Some(artifact) =
        items(member(action, "inputArtifacts")).filter_map(|artifact| text(artifact, "name")).find(|artifact| !made.contains(artifact))
    {
        return Err(structure(format!("Input artifact {artifact} of action {name} is no earlier action's output")));
    }
    for artifact in items(member(action, "outputArtifacts")).filter_map(|artifact| text(artifact, "name")) {
        if !made.insert(artifact) {
            return Err(structure(format!("Output artifact {artifact} of action {name} is another action's as well")));
        }
    }
    Ok(())
}

/// Gives a declaration as it is kept: with its version and what goes without saying; members that nobody knows stay.
pub(super) fn stored(declaration: &Value, version: u64) -> Value {
    let mut stored = declaration.clone();
    let default = |value: &mut Value, name: &str, default: Value| {
        if value.get(name).is_none_or(Value::is_null) {
            value[name] = default;
        }
    };
    for stage in stored.get_mut("stages").and_then(Value::as_array_mut).into_iter().flatten() {
        for action in stage.get_mut("actions").and_then(Value::as_array_mut).into_iter().flatten() {
            default(action, "runOrder", json!(1));
            default(action, "configuration", json!({}));
            default(action, "outputArtifacts", json!([]));
            default(action, "inputArtifacts", json!([]));
        }
    }
    stored["version"] = json!(version);
    default(&mut stored, "executionMode", json!("SUPERSEDED"));
    default(&mut stored, "pipelineType", json!("V1"));
    stored
}
