//! What a write's call needs: its own action, what AWS asks for beside it, and what apply reads around it.

use super::Right;
use crate::deploy::names::TAG;
use crate::deploy::snapshot::{Identity, Snapshot};
use crate::deploy::write::{Call, Write};
use crate::model::Side;
use serde_json::{Value, json};

/// The service-linked role of multi-Region keys (facts C).
const MULTI_REGION: &str = "mrk.kms.amazonaws.com";

/// The rights of one write.
struct Needs<'a> {
    write: &'a Write,
    identity: &'a Identity,
    about: &'static str,
    found: Vec<Right>,
}

impl Needs<'_> {
    fn right(&mut self, action: &'static str, resource: String, about: &'static str, condition: Option<Value>) {
        self.found.push(Right { side: self.write.account, action, resource, condition, about, optional: false });
    }

    /// On the write's own resource.
    fn own(&mut self, actions: &[&'static str]) {
        for action in actions {
            self.right(action, self.write.resource.clone(), self.about, None);
        }
    }

    /// On a key of a region: its id isn't known before.
    fn key(&mut self, region: &str, actions: &[&'static str]) {
        for action in actions {
            self.right(action, self.identity.regional("kms", region, "key/*"), "Keys", None);
        }
    }

    /// The same, but only on those that carry our tag, whatever else the region holds.
    fn own_key(&mut self, region: &str, action: &'static str) {
        let ours = json!({"Null": {format!("aws:ResourceTag/{TAG}"): "false"}});
        self.right(action, self.identity.regional("kms", region, "key/*"), "KeysOfXdeploy", Some(ours));
    }

    fn alias(&mut self, region: &str, alias: &str, action: &'static str) {
        self.right(action, self.identity.regional("kms", region, alias), "KeyAlias", None);
        self.key(region, &[action]);
    }

    /// A caller that hands a role to a service needs the right to (facts D.1, E.39, F.3).
    fn pass(&mut self, role: &str, about: &'static str, service: &str) {
        self.right("iam:PassRole", role.to_owned(), about, Some(json!({"StringEquals": {"iam:PassedToService": service}})));
    }

    fn attachment(&mut self, action: &'static str, policy: &str) {
        let about = if self.about == "DeployRole" { "PoliciesOfDeployRole" } else { "PoliciesOfServiceRole" };
        self.right(action, self.write.resource.clone(), about, Some(json!({"ArnLike": {"iam:PolicyARN": policy}})));
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

/// Lists the rights of a write.
pub fn of(write: &Write, snapshot: &Snapshot) -> Vec<Right> {
    let identity = if write.account == Side::Dev { &snapshot.dev } else { &snapshot.prod };
    let mut needs = Needs { write, identity, about: about(write, snapshot), found: Vec::new() };
    let action = write.call.action();
    match &write.call {
        Call::CreateKey { region, multi_region, .. } => {
            needs.right(action, "*".to_owned(), "AccountWide", None);
            needs.key(region, &["kms:TagResource"]);
            if *multi_region {
                let role = identity.iam(&format!("role/aws-service-role/{MULTI_REGION}/*"));
                let only = json!({"StringEquals": {"iam:AWSServiceName": MULTI_REGION}});
                needs.right("iam:CreateServiceLinkedRole", role, "KeysRole", Some(only));
            }
        }
        Call::ReplicateKey { region, replica_region, .. } => {
            needs.key(region, &[action]);
            needs.right("kms:CreateKey", "*".to_owned(), "AccountWide", None);
            needs.key(replica_region, &["kms:TagResource", "kms:DescribeKey", "kms:ListResourceTags"]);
        }
        Call::CreateAlias { region, alias, .. } | Call::DeleteAlias { region, alias } => needs.alias(region, alias, action),
        Call::EnableKeyRotation { region, .. } => needs.key(region, &[action]),
        Call::PutKeyPolicy { region, .. } => {
            needs.key(region, &["kms:GetKeyPolicy"]);
            // A tag may take five minutes to count, so that a new key's can't be asked for (facts D.2).
            match snapshot.keys.get(region).is_some_and(|slot| slot.found.is_some()) {
                true => needs.own_key(region, action),
                false => needs.key(region, &[action]),
            }
        }
        Call::ScheduleKeyDeletion { region, .. } => needs.own_key(region, action),
        Call::CreateRole { .. } => needs.own(&[action, "iam:TagRole", "iam:GetRole"]),
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

fn pass_service_role(needs: &mut Needs<'_>, declaration: &Value) {
    let role = crate::deploy::declaration::role_arn(declaration).unwrap_or("*");
    needs.pass(role, "PassServiceRole", "codepipeline.amazonaws.com");
}
