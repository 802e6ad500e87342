//! What no template may own: one step a write, with what to merge and the commands.

use super::Work;
use crate::deploy::write::{Call, Write};
use crate::error::{Error, Result};
use crate::model::quoted;
use crate::policy;
use serde_json::{Value, json};

/// A step beside the templates.
#[derive(Debug, Default)]
pub struct Apart {
    /// Why it is apart.
    pub why: &'static str,
    /// `json` is a list of statements to merge into what is there; otherwise the whole.
    pub merge: bool,
    /// What is written.
    pub json: Option<Value>,
    /// The Sids of statements that go.
    pub gone: Vec<String>,
    /// The commands; where something is to be merged, a comment says where.
    pub commands: Vec<String>,
}

const SHARED: &str = "Others write into this document as well, so no template owns it.";
const THERE: &str = "It is there already, and a template can't take it over without replacing it.";
const ONCE: &str = "It is done once, and no template can say it.";

/// Says what to do for a write that no template holds.
///
/// # Errors
/// It is a write that templates hold.
pub fn apart(work: &Work<'_>, number: usize, write: &Write) -> Result<Apart> {
    let file = format!("step-{number}.json");
    let document = format!("document-{number}.json");
    let at = |region: &str| work.flags(write.account, region);
    let iam = || at("");
    let whole = |why, json: Value, command: String| Apart { why, json: Some(json), commands: vec![command], ..Apart::default() };
    let only = |why, command: String| Apart { why, commands: vec![command], ..Apart::default() };
    let merged = |before: Option<&Value>, after: &Value, get: String, put: String| {
        let there = before.map(policy::statements).unwrap_or_default();
        let after = policy::statements(after);
        let sid = |statement: &&Value| statement.get("Sid").and_then(Value::as_str).map(str::to_owned);
        let kept: Vec<String> = after.iter().filter_map(sid).collect();
        let note = format!("# merge {file} into {document} here");
        Apart {
            why: SHARED,
            merge: true,
            json: Some(after.iter().filter(|one| !there.contains(one)).map(|one| (*one).clone()).collect()),
            gone: there.iter().filter_map(sid).filter(|sid| !sid.is_empty() && !kept.contains(sid)).collect(),
            commands: vec![get, note, put],
        }
    };
    Ok(match &write.call {
        Call::PutKeyPolicy { region, key, before, after, .. } => {
            let on = format!("--key-id {key} --policy-name default");
            let get = format!("aws kms get-key-policy {on} --query Policy --output text{} > {document}", at(region));
            merged(before.as_ref(), after, get, format!("aws kms put-key-policy {on} --policy file://{document}{}", at(region)))
        }
        Call::UpdateAssumeRolePolicy { name, before, after } => {
            let query = "--query Role.AssumeRolePolicyDocument --output json";
            let get = format!("aws iam get-role --role-name {name} {query}{} > {document}", iam());
            let put = format!("aws iam update-assume-role-policy --role-name {name} --policy-document file://{document}{}", iam());
            merged(Some(before), after, get, put)
        }
        Call::PutBucketPolicy { bucket, region, before, after } => {
            let get = format!("aws s3api get-bucket-policy --bucket {bucket} --query Policy --output text{} > {document}", at(region));
            let put = format!("aws s3api put-bucket-policy --bucket {bucket} --policy file://{document}{}", at(region));
            let step = merged(before.as_ref(), after, get, put);
            if before.is_some() { step } else { first_policy(step, number, after) }
        }
        Call::DeleteBucketPolicy { bucket, region, before } => {
            let get = format!("aws s3api get-bucket-policy --bucket {bucket} --query Policy --output text{} > {document}", at(region));
            let stop = format!("# stop here if {document} says something else than {file}, which the plan saw: others wrote into it since");
            let delete = format!("aws s3api delete-bucket-policy --bucket {bucket}{}", at(region));
            Apart { why: SHARED, json: Some(before.clone()), commands: vec![get, stop, delete], ..Apart::default() }
        }
        Call::PutRolePolicy { role, name, document, .. } => {
            let put = format!("aws iam put-role-policy --role-name {role} --policy-name {name} --policy-document file://{file}{}", iam());
            whole(THERE, document.clone(), put)
        }
        Call::CreatePolicyVersion { arn, document, .. } => {
            let put = format!("aws iam create-policy-version --policy-arn {arn} --policy-document file://{file} --set-as-default{}", iam());
            whole(THERE, document.clone(), put)
        }
        Call::DeletePolicyVersion { arn, version } => {
            only(ONCE, format!("aws iam delete-policy-version --policy-arn {arn} --version-id {version}{}", iam()))
        }
        Call::AttachRolePolicy { role, arn } => {
            only(THERE, format!("aws iam attach-role-policy --role-name {role} --policy-arn {arn}{}", iam()))
        }
        Call::EnableKeyRotation { region, key } => only(THERE, format!("aws kms enable-key-rotation --key-id {key}{}", at(region))),
        Call::BlockPublicAccess { bucket, region } => {
            let all = json!({"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true});
            let put = "aws s3api put-public-access-block";
            let put = format!("{put} --bucket {bucket} --public-access-block-configuration file://{file}{}", at(region));
            whole(THERE, all, put)
        }
        Call::EncryptBucket { bucket, region, key } => {
            let rule =
                json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": true});
            let put = format!("aws s3api put-bucket-encryption --bucket {bucket}");
            let put = format!("{put} --server-side-encryption-configuration file://{file}{}", at(region));
            whole(THERE, json!({"Rules": [rule]}), put)
        }
        Call::EnableVersioning { bucket, region } => {
            let put = format!("aws s3api put-bucket-versioning --bucket {bucket}");
            only(THERE, format!("{put} --versioning-configuration Status=Enabled{}", at(region)))
        }
        Call::PutBucketNotification { bucket, region, .. } => Apart {
            why: "Others may be told by this bucket as well: add this member to the configuration that is there.",
            json: Some(json!({"EventBridgeConfiguration": {}})),
            commands: vec![
                format!("aws s3api get-bucket-notification-configuration --bucket {bucket} --output json{} > {document}", at(region)),
                format!("[ -s {document} ] || echo '{{}}' > {document}"),
                format!("# merge {file} into {document} here"),
                format!(
                    "aws s3api put-bucket-notification-configuration --bucket {bucket} --skip-destination-validation \\\n  --notification-configuration file://{document}{}",
                    at(region)
                ),
            ],
            ..Apart::default()
        },
        Call::UploadObject { bucket, region, key, file, sha256, .. } => {
            let put = format!("aws s3api put-object --bucket {bucket} --key {} --body {}", quoted(key), quoted(file));
            let about = format!("--content-type application/zip --metadata xdeploy-sha256={sha256}");
            only(ONCE, format!("{put} {about}{}", at(region)))
        }
        Call::PutRule { region, name, pattern, description, .. } => {
            let put = format!("aws events put-rule --name {name} --description {} --state ENABLED", quoted(description));
            whole(THERE, pattern.clone(), format!("{put} --event-pattern file://{file}{}", at(region)))
        }
        Call::PutTargets { region, rule, target } => {
            whole(THERE, json!([target]), format!("aws events put-targets --rule {rule} --targets file://{file}{}", at(region)))
        }
        Call::RemoveTargets { region, rule, ids } => {
            only(ONCE, format!("aws events remove-targets --rule {rule} --ids {}{}", ids.join(" "), at(region)))
        }
        Call::DeleteRule { region, name } => only(ONCE, format!("aws events delete-rule --name {name}{}", at(region))),
        Call::UpdatePipeline { region, after, .. } => whole(
            "The pipeline is there already. This is all of it, as it was when the plan was made: compare first. An update stops a run.",
            json!({"pipeline": after}),
            format!("aws codepipeline update-pipeline --cli-input-json file://{file}{}", at(region)),
        ),
        Call::TagPipeline { region, arn, key, value } => {
            let put = format!("aws codepipeline tag-resource --resource-arn {arn} --tags {}", quoted(&format!("key={key},value={value}")));
            only(THERE, format!("{put}{}", at(region)))
        }
        other => return Err(Error::internal(format!("{} is a template's", other.action()))),
    })
}

/// Reads first also where the plan saw no bucket policy: somebody may have written one since.
fn first_policy(step: Apart, number: usize, after: &Value) -> Apart {
    let (document, error) = (format!("document-{number}.json"), format!("error-{number}.txt"));
    let empty = json!({"Version": after.get("Version"), "Statement": []});
    let mut commands = step.commands;
    if let Some(get) = commands.first_mut() {
        *get = format!("{get} 2> {error} || grep NoSuchBucketPolicy {error}");
    }
    let none = format!("if grep -q NoSuchBucketPolicy {error}; then echo {} > {document}; fi", quoted(&empty.to_string()));
    let stop = format!("# the plan saw no policy: stop here and export again if {document} has statements");
    commands.splice(1..1, [none, stop]);
    Apart { commands, ..step }
}
