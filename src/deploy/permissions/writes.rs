//! What a write's call needs: its own action, what AWS asks for beside it, and what apply reads around it.

use super::Permission;
use crate::deploy::names::{ARN_TAG, TAG};
use crate::deploy::snapshot::{Identity, Snapshot};
use crate::deploy::write::{Call, Write};
use crate::model::{Readable, Side};
use serde_json::{Value, json};

/// The service-linked role of multi-Region keys (facts C).
const MULTI_REGION: &str = "mrk.kms.amazonaws.com";

/// The permissions of one write.
struct Needs<'a> {
    write: &'a Write,
    identity: &'a Identity,
    /// The pipeline's name, which tags say.
    pipeline: &'a str,
    about: &'static str,
    found: Vec<Permission>,
}

impl Needs<'_> {
    fn permission(&mut self, action: &'static str, resource: String, about: &'static str, condition: Option<Value>) {
        self.found.push(Permission { side: self.write.account, action, resource, condition, about, optional: false });
    }

    /// On the write's own resource.
    fn own(&mut self, actions: &[&'static str]) {
        for action in actions {
            self.permission(action, self.write.resource.clone(), self.about, None);
        }
    }

    /// On a key of a region: its id isn't known before.
    fn key(&mut self, region: &str, actions: &[&'static str]) {
        for action in actions {
            self.permission(action, self.identity.regional("kms", region, "key/*"), "Keys", None);
        }
    }

    /// On a key that is made, the permission to give it our tags and no others. The key has no alias yet: one that is in use mostly has, and
    /// our tag on it would let in whoever may change the keys of xdeploy.
    fn tags_of_new_key(&mut self, region: &str) {
        let only = json!({
            "StringEquals": {format!("aws:RequestTag/{TAG}"): self.pipeline},
            "ForAllValues:StringEquals": {"aws:TagKeys": [TAG, ARN_TAG]},
            "Null": {"kms:ResourceAliases": "true"},
        });
        self.permission("kms:TagResource", self.identity.regional("kms", region, "key/*"), "NewKeys", Some(only));
    }

    /// The same, but only on those that carry our tag, whatever else the region holds.
    fn own_key(&mut self, region: &str, action: &'static str) {
        let ours = json!({"Null": {format!("aws:ResourceTag/{TAG}"): "false"}});
        self.permission(action, self.identity.regional("kms", region, "key/*"), "KeysOfXdeploy", Some(ours));
    }

    fn alias(&mut self, region: &str, alias: &str, action: &'static str) {
        self.permission(action, self.identity.regional("kms", region, alias), "KeyAlias", None);
        self.key(region, &[action]);
    }

    /// A caller that hands a role to a service needs the permission to (facts D.1, E.39, F.3).
    fn pass(&mut self, role: &str, about: &'static str, service: &str) {
        self.permission("iam:PassRole", role.to_owned(), about, Some(json!({"StringEquals": {"iam:PassedToService": service}})));
    }

    fn attachment(&mut self, action: &'static str, policy: &str) {
        let about = if self.about == "DeployRole" { "PoliciesOfDeployRole" } else { "PoliciesOfServiceRole" };
        self.permission(action, self.write.resource.clone(), about, Some(json!({"ArnLike": {"iam:PolicyARN": policy}})));
    }
}

/// Says what the resource of a write is, as letters and digits.
fn about(write: &Write, snapshot: &Snapshot) -> &'static str {
    let is_bucket = |name: &str| snapshot.dev.bucket(name) == write.resource;
    let part = write.resource.splitn(6, ':').nth(5).unwrap_or_default();
    match write.resource.split(':').nth(2).unwrap_or_default() {
        "s3" if is_bucket(&snapshot.input.name) => "InputBucket",
        "s3" if is_bucket(&snapshot.output.name) => "OutputBucket",
        "s3" if part.contains('/') => "SourceObject",
        "s3" => "ArtifactBucket",
        "iam" if part.starts_with("policy/") => "Policies",
        "iam" if write.account == Side::Prod => "DeployRole",
        "iam" if write.resource.contains("role/service-role/cwe-role-") => "EventRole",
        "iam" if snapshot.event_role.as_ref().is_some_and(|role| role.arn == write.resource) => "EventRole",
        "iam" => "ServiceRole",
        "events" => "Rule",
        "codepipeline" => "Pipeline",
        _ => "Keys",
    }
}

/// Lists the permissions of a write.
pub fn of(write: &Write, snapshot: &Snapshot, pipeline: &str) -> Vec<Permission> {
    let identity = if write.account == Side::Dev { &snapshot.dev } else { &snapshot.prod };
    let mut needs = Needs { write, identity, pipeline, about: about(write, snapshot), found: Vec::new() };
    let action = write.call.action();
    match &write.call {
        Call::CreateKey { region, multi_region, .. } => {
            let tagged = json!({"StringEquals": {format!("aws:RequestTag/{TAG}"): pipeline}});
            needs.permission(action, "*".to_owned(), "NewKeys", Some(tagged));
            needs.tags_of_new_key(region);
            if *multi_region {
                let role = identity.iam(&format!("role/aws-service-role/{MULTI_REGION}/*"));
                let only = json!({"StringEquals": {"iam:AWSServiceName": MULTI_REGION}});
                needs.permission("iam:CreateServiceLinkedRole", role, "KeysRole", Some(only));
            }
        }
        Call::ReplicateKey { region, replica_region, .. } => {
            // A replica takes another key policy, so that it would open any key.
            needs.own_key(region, action);
            // Whether AWS sees the tags in this place isn't documented.
            needs.permission("kms:CreateKey", "*".to_owned(), "AccountWide", None);
            needs.tags_of_new_key(replica_region);
            needs.key(replica_region, &["kms:DescribeKey", "kms:ListResourceTags"]);
        }
        Call::CreateAlias { region, alias, .. } | Call::DeleteAlias { region, alias } => needs.alias(region, alias, action),
        Call::EnableKeyRotation { region, .. } => needs.key(region, &[action]),
        Call::PutKeyPolicy { region, key, .. } => {
            needs.key(region, &["kms:GetKeyPolicy"]);
            match of_others(snapshot, key) {
                true => needs.permission(action, key.clone(), "OthersKeys", None),
                false => needs.own_key(region, action),
            }
        }
        Call::ScheduleKeyDeletion { region, .. } => needs.own_key(region, action),
        Call::CreateRole { boundary, .. } => {
            let bounded = boundary.as_ref().map(|arn| json!({"StringEquals": {"iam:PermissionsBoundary": arn}}));
            needs.permission(action, write.resource.clone(), needs.about, bounded);
            needs.own(&["iam:TagRole", "iam:GetRole"]);
        }
        Call::UpdateAssumeRolePolicy { .. } => needs.own(&[action, "iam:GetRole"]),
        Call::CreatePolicy { .. } => needs.own(&[action, "iam:TagPolicy", "iam:GetPolicy"]),
        Call::AttachRolePolicy { arn, .. } | Call::DetachRolePolicy { arn, .. } => needs.attachment(action, arn),
        Call::CreateBucket { .. } => needs.own(&[action, "s3:TagResource", "s3:PutBucketOwnershipControls"]),
        Call::PutBucketPolicy { .. } | Call::DeleteBucketPolicy { .. } => needs.own(&[action, "s3:GetBucketPolicy"]),
        Call::PutBucketNotification { .. } => needs.own(&[action, "s3:GetBucketNotification"]),
        Call::PutRule { tags, .. } => {
            needs.own(&[action]);
            if !tags.is_empty() {
                needs.own(&["events:TagResource"]);
            }
        }
        Call::PutTargets { target, .. } => {
            needs.own(&[action]);
            let role = target.get("RoleArn").and_then(Value::as_str).unwrap_or("*");
            needs.pass(role, "PassEventRole", "events.amazonaws.com");
        }
        Call::CreatePipeline { declaration, tags, .. } => {
            needs.own(&[action]);
            if !tags.is_empty() {
                needs.own(&["codepipeline:TagResource"]);
            }
            pass_service_role(&mut needs, declaration);
        }
        Call::UpdatePipeline { after, .. } => {
            needs.own(&[action, "codepipeline:GetPipeline", "codepipeline:ListPipelineExecutions"]);
            pass_service_role(&mut needs, after);
        }
        Call::PutRolePolicy { .. } => needs.own(&[action, "iam:GetRolePolicy"]),
        Call::DeleteRole { .. }
        | Call::DeleteRolePolicy { .. }
        | Call::CreatePolicyVersion { .. }
        | Call::DeletePolicyVersion { .. }
        | Call::DeletePolicy { .. }
        | Call::DeleteBucket { .. }
        | Call::BlockPublicAccess { .. }
        | Call::EncryptBucket { .. }
        | Call::EnableVersioning { .. }
        | Call::UploadObject { .. }
        | Call::RemoveTargets { .. }
        | Call::DeleteRule { .. }
        | Call::TagPipeline { .. }
        | Call::DeletePipeline { .. } => needs.own(&[action]),
    }
    needs.found
}

/// Says whether a key that is there was made by somebody else, so that it doesn't carry our tag.
fn of_others(snapshot: &Snapshot, key: &str) -> bool {
    let slots = snapshot.keys.values().filter_map(|slot| slot.found.as_ref());
    let known = snapshot.customer_keys.values().filter_map(Readable::known);
    slots.chain(known).any(|found| found.arn == key && !found.tags.contains_key(TAG))
}

fn pass_service_role(needs: &mut Needs<'_>, declaration: &Value) {
    let role = crate::deploy::declaration::role_arn(declaration).unwrap_or("*");
    needs.pass(role, "PassServiceRole", "codepipeline.amazonaws.com");
}
