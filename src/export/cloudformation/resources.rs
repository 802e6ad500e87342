//! The resources: what the plan makes, with the documents that it will have in the end.

use super::places::{self, StackId};
use super::references::References;
use super::{Work, declaration};
use crate::deploy::names::own_tags;
use crate::deploy::snapshot::{BucketFound, RoleFound};
use crate::deploy::write::{Call, Write};
use crate::error::{Error, Result};
use crate::model::{Readable, Side};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Writes one resource, which one or more writes of the plan make.
///
/// # Errors
/// What the writes leave is not what they say, or CloudFormation has no member for it.
pub fn of(work: &Work<'_>, stack: &StackId, id: &str, writes: &[&Write], references: &mut References) -> Result<Value> {
    let Some(first) = writes.first() else { return Err(Error::internal(format!("nothing makes {id}"))) };
    let (kind, properties) = match &first.call {
        Call::CreateKey { description, multi_region, region, .. } => ("AWS::KMS::Key", key(work, region, description, *multi_region)?),
        Call::ReplicateKey { description, replica_region, key: primary, .. } => {
            let mut properties = key(work, replica_region, description, false)?;
            properties.shift_remove("EnableKeyRotation");
            properties.insert("PrimaryKeyArn".to_owned(), json!(resolved(work, primary)));
            ("AWS::KMS::ReplicaKey", properties)
        }
        Call::CreateAlias { alias, key, .. } => {
            ("AWS::KMS::Alias", object(json!({"AliasName": alias, "TargetKeyId": resolved(work, key)})))
        }
        Call::CreateRole { name, path, description, boundary, .. } => {
            let mut properties = role(work, first.account, name, path, description, writes)?;
            if let Some(arn) = boundary {
                properties.insert("PermissionsBoundary".to_owned(), json!(arn));
            }
            ("AWS::IAM::Role", properties)
        }
        Call::PutRolePolicy { role, name, document, .. } => {
            ("AWS::IAM::RolePolicy", object(json!({"RoleName": role, "PolicyName": name, "PolicyDocument": document})))
        }
        Call::CreatePolicy { name, description, .. } => ("AWS::IAM::ManagedPolicy", policy(work, first, name, description, writes)?),
        Call::CreateBucket { bucket, region } => ("AWS::S3::Bucket", self::bucket(work, first.account, bucket, region)?),
        Call::PutBucketPolicy { bucket, after, .. } => {
            ("AWS::S3::BucketPolicy", object(json!({"Bucket": bucket, "PolicyDocument": after})))
        }
        Call::PutRule { name, description, .. } => ("AWS::Events::Rule", rule(work, name, description)?),
        Call::CreatePipeline { declaration, tags, .. } => {
            let declared = work.after.pipeline.as_ref().map_or(declaration, |found| &found.declaration);
            let mut properties = declaration::properties(declared)?;
            properties.insert("Tags".to_owned(), listed(tags));
            ("AWS::CodePipeline::Pipeline", properties)
        }
        other => return Err(Error::internal(format!("{} makes no resource", other.action()))),
    };
    let mut properties = references.refer(&Value::Object(properties));
    own_bucket(work, stack, kind, &mut properties);
    let mut resource = Map::new();
    resource.insert("Type".to_owned(), json!(kind));
    if kind == "AWS::CodePipeline::Pipeline" {
        resource.insert("Condition".to_owned(), json!("WithPipeline"));
    }
    if ["AWS::KMS::Key", "AWS::KMS::ReplicaKey", "AWS::S3::Bucket"].contains(&kind) {
        // What a failed first deployment made would be in the way of the next.
        resource.insert("DeletionPolicy".to_owned(), json!("RetainExceptOnCreate"));
        resource.insert("UpdateReplacePolicy".to_owned(), json!("Retain"));
    }
    let titles: Vec<String> = writes.iter().map(|write| format!("{} {}", write.call.verb(), write.title)).collect();
    resource.insert("Metadata".to_owned(), json!({"xdeploy": {"article": first.step.article(), "writes": titles}}));
    resource.insert("Properties".to_owned(), properties);
    Ok(Value::Object(resource))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn listed(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

fn own(work: &Work<'_>) -> Value {
    listed(&own_tags(&work.blueprint.pipeline_arn))
}

/// Gives what stands for a key that is yet to be made.
fn resolved(work: &Work<'_>, key: &str) -> String {
    let placeholders = work.plan.snapshot().keys.keys();
    placeholders.fold(key.to_owned(), |text, region| {
        text.replace(&crate::deploy::write::key_placeholder(region), &crate::deploy::after::stand_in(&work.after.dev, region))
    })
}

/// A bucket's policy waits for its bucket; role documents name it as it is, since the key that the bucket needs names the role.
fn own_bucket(work: &Work<'_>, stack: &StackId, kind: &str, properties: &mut Value) {
    let in_this_template = stack.side == Side::Dev
        && work.blueprint.stores.iter().any(|store| store.region == stack.region && work.made.bucket(&store.bucket));
    if in_this_template && kind == "AWS::S3::BucketPolicy" {
        properties["Bucket"] = json!({"Ref": places::BUCKET});
    }
    if in_this_template && kind == "AWS::CodePipeline::Pipeline" {
        let single = properties.pointer_mut("/ArtifactStore/Location");
        let several = || "/ArtifactStores";
        match single {
            Some(location) => *location = json!({"Ref": places::BUCKET}),
            None => {
                let stores = properties.pointer_mut(several()).and_then(Value::as_array_mut).into_iter().flatten();
                for store in stores.filter(|store| store["Region"] == stack.region.as_str()) {
                    store["ArtifactStore"]["Location"] = json!({"Ref": places::BUCKET});
                }
            }
        }
    }
}

fn key(work: &Work<'_>, region: &str, description: &str, multi_region: bool) -> Result<Map<String, Value>> {
    let policy = work.after.keys.get(region).and_then(|slot| slot.found.as_ref()?.policy.as_ref());
    let policy = policy.ok_or_else(|| Error::internal(format!("the key in {region} has no policy")))?;
    let mut properties = object(json!({"Description": description, "EnableKeyRotation": true, "KeyPolicy": policy, "Tags": own(work)}));
    if multi_region {
        properties.insert("MultiRegion".to_owned(), json!(true));
    }
    Ok(properties)
}

fn role(work: &Work<'_>, side: Side, name: &str, path: &str, description: &str, writes: &[&Write]) -> Result<Map<String, Value>> {
    let after = &work.after;
    let all: [(Side, &Option<RoleFound>); 3] =
        [(Side::Dev, &after.service_role), (Side::Dev, &after.event_role), (Side::Prod, &after.deploy_role)];
    let found = all.into_iter().filter(|one| one.0 == side).find_map(|one| one.1.as_ref().filter(|role| role.name == name));
    let found = found.ok_or_else(|| Error::internal(format!("role {name} is not what was made")))?;
    let mut properties = object(json!({"RoleName": name, "Path": path, "Description": description,
        "AssumeRolePolicyDocument": found.trust}));
    if !found.inline.is_empty() {
        let inline = found.inline.iter().map(|(name, document)| json!({"PolicyName": name, "PolicyDocument": document}));
        properties.insert("Policies".to_owned(), inline.collect());
    }
    let attached: Vec<&str> = writes
        .iter()
        .filter_map(|write| match &write.call {
            Call::AttachRolePolicy { arn, .. } => Some(arn.as_str()),
            _ => None,
        })
        .collect();
    if !attached.is_empty() {
        properties.insert("ManagedPolicyArns".to_owned(), json!(attached));
    }
    properties.insert("Tags".to_owned(), own(work));
    Ok(properties)
}

/// A managed policy can't have tags in CloudFormation, so these are a step of their own.
fn policy(work: &Work<'_>, first: &Write, name: &str, description: &str, writes: &[&Write]) -> Result<Map<String, Value>> {
    let document = work.after.policies.get(&first.resource).map(|policy| &policy.document);
    let document = document.ok_or_else(|| Error::internal(format!("policy {name} is not what was made")))?;
    let mut properties = object(json!({"ManagedPolicyName": name, "Path": "/", "Description": description, "PolicyDocument": document}));
    let roles = writes.iter().filter_map(|write| match &write.call {
        Call::AttachRolePolicy { role, .. } if work.made.role(write.account, role) => {
            let id = if write.account == Side::Prod { places::DEPLOY_ROLE } else { places::SERVICE_ROLE };
            Some(json!({"Ref": id}))
        }
        Call::AttachRolePolicy { role, .. } => Some(json!(role)),
        _ => None,
    });
    let roles: Vec<Value> = roles.collect();
    if !roles.is_empty() {
        properties.insert("Roles".to_owned(), json!(roles));
    }
    Ok(properties)
}

fn bucket(work: &Work<'_>, side: Side, name: &str, region: &str) -> Result<Map<String, Value>> {
    let after = &work.after;
    let of_side: Vec<_> = match side {
        Side::Dev => after.artifact_buckets.values().chain([&after.input]).collect(),
        Side::Prod => vec![&after.output],
    };
    let found: Option<&BucketFound> = of_side.into_iter().find(|slot| slot.name == name).and_then(|slot| slot.found.as_ref());
    let found = found.ok_or_else(|| Error::internal(format!("bucket {name} in {region} is not what was made")))?;
    let mut properties = object(json!({"BucketName": name,
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}));
    if found.public_access_blocked == Some(true) {
        let all = json!({"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true});
        properties.insert("PublicAccessBlockConfiguration".to_owned(), all);
    }
    if let Some(Readable::Known(encryption)) = found.encryption.as_ref().filter(|one| one.known().is_some_and(|one| one.key.is_some())) {
        let by_default = json!({"SSEAlgorithm": encryption.algorithm, "KMSMasterKeyID": encryption.key});
        let rule = json!([{"ServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": encryption.bucket_key}]);
        properties.insert("BucketEncryption".to_owned(), json!({"ServerSideEncryptionConfiguration": rule}));
    }
    if found.versioning.as_deref() == Some("Enabled") {
        properties.insert("VersioningConfiguration".to_owned(), json!({"Status": "Enabled"}));
    }
    if found.notification.as_deref().is_some_and(crate::deploy::steps::has_eventbridge) {
        let on = json!({"EventBridgeConfiguration": {"EventBridgeEnabled": true}});
        properties.insert("NotificationConfiguration".to_owned(), on);
    }
    properties.insert("Tags".to_owned(), own(work));
    Ok(properties)
}

fn rule(work: &Work<'_>, name: &str, description: &str) -> Result<Map<String, Value>> {
    let found = work.after.rule.as_ref().ok_or_else(|| Error::internal(format!("rule {name} is not what was made")))?;
    Ok(object(json!({"Name": name, "Description": description, "State": "ENABLED", "EventPattern": found.pattern,
        "Targets": found.targets, "Tags": listed(&found.tags)})))
}
