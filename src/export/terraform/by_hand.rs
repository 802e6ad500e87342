//! What Terraform can't say without owning a document that others write into as well: steps of their own.

use super::super::shared::{WITHHELD_STEP, comment, identity, is_withheld, notification, title};
use super::hcl::{References, written};
use crate::deploy::plan::Plan;
use crate::deploy::write::{Call, Write};
use crate::error::Result;
use crate::model::{Side, profile_option, quoted};
use crate::policy;
use hcl::structure::Block;
use serde_json::{Value, json};

/// What a step replaces, and with which command.
struct Step {
    /// Service and operation of the AWS CLI.
    command: &'static str,
    region: String,
    /// Its arguments, without the document's.
    arguments: String,
    /// The argument that takes the document, and the document.
    document: Option<(&'static str, Value)>,
    /// What the plan saw.
    before: Option<Value>,
}

fn step(plan: &Plan, write: &Write) -> Option<Step> {
    let home = || identity(plan, write.account).region.clone();
    let step =
        |command, region: &str, arguments: String| Step { command, region: region.to_owned(), arguments, document: None, before: None };
    let with = |step: Step, argument, before: Option<&Value>, after: &Value| Step {
        document: Some((argument, after.clone())),
        before: before.cloned(),
        ..step
    };
    Some(match &write.call {
        Call::PutKeyPolicy { region, key, before, after, .. } => {
            let id = key.rsplit('/').next().unwrap_or(key);
            let step = step("kms put-key-policy", region, format!("--key-id {} --policy-name default", quoted(id)));
            with(step, "--policy", before.as_ref(), after)
        }
        Call::EnableKeyRotation { region, key } => {
            step("kms enable-key-rotation", region, format!("--key-id {}", quoted(key.rsplit('/').next().unwrap_or(key))))
        }
        Call::UpdateAssumeRolePolicy { name, before, after } => {
            let step = step("iam update-assume-role-policy", &home(), format!("--role-name {}", quoted(name)));
            with(step, "--policy-document", Some(before), after)
        }
        Call::CreatePolicyVersion { arn, before, document } => {
            let step = step("iam create-policy-version", &home(), format!("--policy-arn {} --set-as-default", quoted(arn)));
            with(step, "--policy-document", Some(before), document)
        }
        Call::DeletePolicyVersion { arn, version } => {
            let arguments = format!("--policy-arn {} --version-id {}", quoted(arn), quoted(version));
            step("iam delete-policy-version", &home(), arguments)
        }
        Call::PutBucketPolicy { bucket, region, before, after } => {
            with(step("s3api put-bucket-policy", region, format!("--bucket {}", quoted(bucket))), "--policy", before.as_ref(), after)
        }
        Call::DeleteBucketPolicy { bucket, region, .. } => {
            step("s3api delete-bucket-policy", region, format!("--bucket {}", quoted(bucket)))
        }
        Call::PutBucketNotification { bucket, region, before, after } => {
            let arguments = format!("--bucket {} --skip-destination-validation", quoted(bucket));
            let step = step("s3api put-bucket-notification-configuration", region, arguments);
            // What isn't known here would be lost: then the console is the way.
            with(step, "--notification-configuration", notification(before).as_ref(), &notification(after)?)
        }
        Call::PutRule { region, name, pattern, description, .. } => {
            let arguments = format!("--name {} --description {} --state ENABLED", quoted(name), quoted(description));
            with(step("events put-rule", region, arguments), "--event-pattern", None, pattern)
        }
        Call::RemoveTargets { region, rule, ids } => {
            let ids: Vec<String> = ids.iter().map(|id| quoted(id)).collect();
            step("events remove-targets", region, format!("--rule {} --ids {}", quoted(rule), ids.join(" ")))
        }
        Call::DeleteRule { region, name } => step("events delete-rule", region, format!("--name {}", quoted(name))),
        Call::UpdatePipeline { region, before, after } => {
            with(step("codepipeline update-pipeline", region, String::new()), "--pipeline", Some(before), after)
        }
        Call::TagPipeline { region, arn, key, value } => {
            let arguments = format!("--resource-arn {} --tags {}", quoted(arn), quoted(&format!("key={key},value={value}")));
            step("codepipeline tag-resource", region, arguments)
        }
        Call::UploadObject { bucket, region, key, file, sha256, .. } => {
            let arguments = format!(
                "--bucket {} --key {} --body {} --content-type application/zip --metadata xdeploy-sha256={sha256}",
                quoted(bucket),
                quoted(key),
                quoted(file)
            );
            step("s3api put-object", region, arguments)
        }
        _ => return None,
    })
}

/// Writes the step of a write: a comment with the command, and outputs with the document and the statements to merge.
pub(super) fn of(plan: &Plan, references: &References, write: &Write, number: usize) -> Result<String> {
    let mut text = comment(&format!("BY HAND {number}: {} ({})", title(write), write.account)) + &comment(&write.resource);
    let Some(step) = step(plan, write) else {
        text.push_str(&comment("What is there holds more than the AWS CLI may know: do it in the console, or run `xdeploy setup`."));
        return Ok(text);
    };
    let profile = match write.account {
        Side::Dev => &plan.settings().dev_profile,
        Side::Prod => &plan.settings().prod_profile,
    };
    let output = format!("by_hand_{number}");
    let file = format!("{output}.json");
    let block = |name: &str, value: &Value| {
        let block = Block::builder("output").add_label(name).add_attribute(("value", references.document(value)?));
        written(block.build())
    };
    let ours = step.document.as_ref().map(|(_, document)| statements_to_merge(step.before.as_ref(), document)).unwrap_or_default();
    if is_withheld(write) {
        text.push_str(&comment(WITHHELD_STEP));
        if !ours.is_empty() {
            text.push_str(&comment("Or merge these statements into it:"));
            text.push_str(&block(&format!("{output}_statements"), &json!(ours))?);
        }
        return Ok(text);
    }
    let mut arguments = step.arguments.clone();
    if let Some((argument, _)) = &step.document {
        for line in [
            "Others may write into this document as well. The output below is all of it, as the plan saw it, with ours:",
            "if it has changed since, merge ours into it, or run `xdeploy setup`, which looks before it writes.",
            &format!("  terraform output -raw {output} > {file}"),
        ] {
            text.push_str(&comment(line));
        }
        arguments = format!("{arguments} {argument} file://{file}").trim_start().to_owned();
    }
    let (command, profile, region) = (step.command, profile_option(profile), quoted(&step.region));
    text.push_str(&comment(&format!("  aws {command}{profile} --region {region} {arguments}")));
    let Some((_, document)) = step.document else { return Ok(text) };
    text.push_str(&block(&output, &document)?);
    if !ours.is_empty() {
        text.push('\n');
        text.push_str(&block(&format!("{output}_statements"), &json!(ours))?);
    }
    Ok(text)
}

/// Lists the statements that a document has and the one before didn't have.
fn statements_to_merge(before: Option<&Value>, after: &Value) -> Vec<Value> {
    let there = before.map(policy::statements).unwrap_or_default();
    policy::statements(after).into_iter().filter(|statement| !there.contains(statement)).cloned().collect()
}
