//! A plan as a shell script of AWS CLI calls, which may be run again at any point.
//!
//! `prelude.sh` has a function for each kind of call: it looks first, writes only what the plan saw, and waits where AWS
//! settles late (facts/codepipeline.md D.2). A script holds those that it uses.

use super::Sheet;
use super::shared::{comment, every, identity, keys_told, never_planned, notification, sides, title, underscored, waits_for, writes_of};
use crate::deploy::plan::Plan;
use crate::deploy::write::{Call, Step, Write, key_placeholder};
use crate::error::{Error, Result};
use crate::model::{Side, quoted, real_profile};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const PRELUDE: &str = include_str!("prelude.sh");

/// Writes a plan's part of one account, or of both, as one script.
///
/// # Errors
/// The plan holds a call that only teardown makes.
pub fn of_plan(plan: &Plan, side: Option<Side>) -> Result<Vec<Sheet>> {
    let name = match side {
        Some(side) => format!("{side}.sh"),
        None => "set-up.sh".to_owned(),
    };
    let writes = writes_of(plan, side);
    let text = if writes.is_empty() { nothing(plan, side) } else { script(plan, side, &writes)? };
    Ok(vec![Sheet { name, text }])
}

fn nothing(plan: &Plan, side: Option<Side>) -> String {
    let whose = side.map(|side| format!(" in {side}")).unwrap_or_default();
    format!("#!/usr/bin/env bash\n# Pipeline {}: there is nothing to do{whose}.\n", plan.settings().pipeline)
}

fn script(plan: &Plan, side: Option<Side>, writes: &[&Write]) -> Result<String> {
    let mut body = String::new();
    let mut step: Option<(Step, Side)> = None;
    for (index, write) in writes.iter().enumerate() {
        if step != Some((write.step, write.account)) {
            step = Some((write.step, write.account));
            let account = &identity(plan, write.account).account;
            let heading = format!("{}  {}: {} ({account})", write.step.article(), write.step.title(), write.account);
            let _ = write!(body, "\n{}", comment(&heading));
        }
        let _ = writeln!(body, "\nsay {}", quoted(&format!("{} {}", write.call.change().sign(), title(write))));
        body.push_str(&Scribe { plan, earlier: &writes[..index], write }.lines()?);
    }
    let told = keys_told(plan, writes);
    let start = start(plan, side, writes, &told);
    let mut checks = String::new();
    for side in sides(writes) {
        let _ = writeln!(checks, "check_account {} {}", upper(side), quoted(&identity(plan, side).region));
    }
    for region in &told {
        let owner = &identity(plan, Side::Dev).account;
        let _ = writeln!(checks, "need_key {} {} {}", variable(region), quoted(region), quoted(owner));
    }
    let main = format!("{NEEDS}\n{WORK}\n{checks}{body}\nsay 'done'\n");
    Ok(format!("{start}\n{}{main}", functions(&main)))
}

const NEEDS: &str = "\
need aws 'the AWS CLI: https://aws.amazon.com/cli'
need jq 'jq 1.6 or newer: https://jqlang.org'
";

const WORK: &str = "\
work=$(mktemp -d)
trap 'rm -rf \"$work\"' EXIT
";

fn upper(side: Side) -> &'static str {
    match side {
        Side::Dev => "DEV",
        Side::Prod => "PROD",
    }
}

/// The shell variable that holds a key's ARN.
fn variable(region: &str) -> String {
    format!("KEY_ARN_{}", underscored(region).to_ascii_uppercase())
}

fn start(plan: &Plan, side: Option<Side>, writes: &[&Write], told: &[String]) -> String {
    let settings = plan.settings();
    let (creates, updates, deletes) = plan.counts();
    let mut text = String::from("#!/usr/bin/env bash\n");
    let part = side.map_or_else(|| "in both accounts".to_owned(), |side| format!("in {side} alone"));
    let mut lines = vec![
        format!("Sets up pipeline {} {part}, as `xdeploy setup` would.", settings.pipeline),
        format!("The whole plan: {creates} to create, {updates} to update, {deletes} to delete."),
        "It may be run again at any point: it goes on from what is there.".to_owned(),
        "It stops where something has changed since the plan was made.".to_owned(),
        "It needs bash, a current AWS CLI and jq.".to_owned(),
    ];
    if let Some(side) = side {
        let waits = waits_for(plan, side);
        if !waits.is_empty() {
            lines.push(String::new());
            lines.push(format!("What {} must have done before (its own script does it):", side.other()));
            lines.extend(waits.iter().map(|line| format!("- {line}")));
        }
        for region in told {
            let (variable, other) = (variable(region), side.other());
            lines.push(format!("- {variable} must be set to the ARN of {other}'s key in {region}, which {other}'s script prints"));
        }
        if !waits.is_empty() && !waits_for(plan, side.other()).is_empty() {
            lines.push("Each waits for the other: run dev's, then prod's, then dev's again.".to_owned());
        }
    }
    for line in lines {
        text.push_str(&comment(&line));
    }
    text.push_str("set -euo pipefail\nexport AWS_PAGER=''\n\n");
    for side in sides(writes) {
        let profile = match side {
            Side::Dev => &settings.dev_profile,
            Side::Prod => &settings.prod_profile,
        };
        let (name, account) = (upper(side), quoted(&identity(plan, side).account));
        let _ = writeln!(text, "# The AWS CLI's profile of {side}; with an empty one the CLI decides who calls.");
        let _ = writeln!(text, "{name}_PROFILE=${{{name}_PROFILE-{}}}", quoted(real_profile(profile)));
        let _ = writeln!(text, "{name}_ACCOUNT={account}");
        let _ = writeln!(text, "export {name}_PROFILE {name}_ACCOUNT");
    }
    let _ = writeln!(text, "PIPELINE={}", quoted(settings.pipeline.as_str()));
    let _ = writeln!(text, "PIPELINE_ARN={}", quoted(&plan.pipeline_arn()));
    text.push_str("# How long to wait for what AWS sees late, in seconds.\nWAIT_SECONDS=${WAIT_SECONDS:-180}\nexport PIPELINE PIPELINE_ARN WAIT_SECONDS\n");
    text
}

/// Gives the functions that a text uses, and those that they use.
fn functions(text: &str) -> String {
    let all: Vec<(&str, &str)> = PRELUDE.split("\n\n").filter_map(|block| Some((name_of(block)?, block.trim_end()))).collect();
    let uses =
        |text: &str, name: &str| text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').any(|word| word == name);
    // Comments use nothing.
    let code = |text: &str| text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let mut wanted: Vec<&str> = Vec::new();
    let mut looked = vec![code(text)];
    while let Some(text) = looked.pop() {
        for (name, block) in &all {
            if !wanted.contains(name) && uses(&text, name) {
                wanted.push(name);
                looked.push(code(block));
            }
        }
    }
    all.iter().filter(|(name, _)| wanted.contains(name)).map(|(_, block)| format!("{block}\n\n")).collect()
}

fn name_of(block: &str) -> Option<&str> {
    block.lines().find_map(|line| line.strip_suffix("() {"))
}

/// Writes the lines of one write.
struct Scribe<'a> {
    plan: &'a Plan,
    earlier: &'a [&'a Write],
    write: &'a Write,
}

impl Scribe<'_> {
    fn side(&self) -> &'static str {
        upper(self.write.account)
    }

    /// IAM has one region a partition; whoever signs needs one.
    fn home(&self) -> String {
        quoted(&identity(self.plan, self.write.account).region)
    }

    fn regions(&self) -> impl Iterator<Item = &String> {
        self.plan.snapshot().keys.keys()
    }

    /// A value as one argument, with the variables of keys that nobody knows yet.
    fn argument(&self, value: &str) -> String {
        match self.regions().find(|region| key_placeholder(region) == value) {
            Some(region) => format!("\"${}\"", variable(region)),
            None => quoted(value),
        }
    }

    /// A document from the script's own text: JSON has no line that could end it early.
    fn document(&self, name: &str, value: &Value) -> Result<String> {
        let text = serde_json::to_string_pretty(value).map_err(|error| Error::internal(error.to_string()))?;
        let text = self.regions().fold(text, |text, region| text.replace(&key_placeholder(region), &format!("<{}>", variable(region))));
        Ok(format!("document {name} <<'JSON'\n{text}\nJSON\n"))
    }

    fn both(&self, before: Option<&Value>, after: &Value) -> Result<String> {
        Ok(self.document("before", before.unwrap_or(&Value::Null))? + &self.document("after", after)?)
    }

    fn first_policy(&self) -> Option<&Value> {
        self.earlier.iter().filter(|before| before.lane == self.write.lane).find_map(|before| match &before.call {
            Call::CreateKey { policy, .. } | Call::ReplicateKey { policy, .. } => Some(policy),
            _ => None,
        })
    }

    /// The alias that a new key gets, by which a run finds what an earlier one made.
    fn alias_of(&self, region: &str) -> String {
        let named = every(self.plan).find_map(|write| match &write.call {
            Call::CreateAlias { region: there, alias, .. } if there == region => Some(alias.clone()),
            _ => None,
        });
        named.or_else(|| Some(self.plan.snapshot().keys.get(region)?.asked.clone())).unwrap_or_default()
    }

    fn run(&self, function: &str, region: &str, arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|argument| self.argument(argument)).collect();
        format!("{function} {} {} {}\n", self.side(), quoted(region), arguments.join(" "))
    }

    fn in_home(&self, function: &str, arguments: &[&str]) -> String {
        self.run(function, &identity(self.plan, self.write.account).region, arguments)
    }

    /// A call that may be repeated as it is, again while it fails with one of these errors.
    fn call(&self, late: &str, command: &str, region: &str, arguments: &str) -> String {
        format!("patient {} {} {command} --region {} {arguments}\n", quoted(late), self.side(), quoted(region))
    }

    fn owner(&self) -> String {
        format!("--expected-bucket-owner \"${}_ACCOUNT\"", self.side())
    }

    fn bare_key(&self, key: &str) -> String {
        match self.regions().find(|region| key_placeholder(region) == key) {
            Some(region) => format!("\"${{{}##*/}}\"", variable(region)),
            None => quoted(key.rsplit('/').next().unwrap_or(key)),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: one arm a call")]
    fn lines(&self) -> Result<String> {
        Ok(match &self.write.call {
            Call::CreateKey { region, multi_region, policy, description } => {
                let more = if *multi_region { " --multi-region" } else { "" };
                let alias = self.alias_of(region);
                let made = self.run("create_key", region, &[&alias, &variable(region), description]);
                self.document("after", policy)? + made.trim_end() + more + "\n"
            }
            Call::ReplicateKey { key, region, replica_region, policy, description } => {
                let made = self.run("replicate_key", region, &[key, replica_region, &variable(replica_region), description]);
                self.document("after", policy)? + &made
            }
            Call::CreateAlias { region, alias, key } => self.run("create_alias", region, &[alias, key]),
            Call::EnableKeyRotation { region, key } => {
                self.call("NotFoundException", "kms enable-key-rotation", region, &format!("--key-id {}", self.bare_key(key)))
            }
            Call::PutKeyPolicy { region, key, before, after, .. } => {
                self.both(before.as_ref().or(self.first_policy()), after)? + &self.run("put_key_policy", region, &[key])
            }
            Call::CreateRole { name, path, trust, description, boundary } => {
                let given = [name, path, description].into_iter().chain(boundary).map(String::as_str).collect::<Vec<_>>();
                self.document("after", trust)? + &self.in_home("create_role", &given)
            }
            Call::UpdateAssumeRolePolicy { name, before, after } => self.both(Some(before), after)? + &self.in_home("put_trust", &[name]),
            Call::PutRolePolicy { role, name, before, document } => {
                self.both(before.as_ref(), document)? + &self.in_home("put_role_policy", &[role, name])
            }
            Call::CreatePolicy { name, document, description } => {
                self.document("after", document)? + &self.in_home("create_policy", &[&self.write.resource, name, description])
            }
            Call::CreatePolicyVersion { arn, before, document } => {
                self.both(Some(before), document)? + &self.in_home("create_policy_version", &[arn])
            }
            Call::DeletePolicyVersion { arn, version } => self.delete_policy_version(arn, version)?,
            Call::AttachRolePolicy { role, arn } => {
                let arguments = format!("--role-name {} --policy-arn {}", quoted(role), quoted(arn));
                self.call("NoSuchEntity", "iam attach-role-policy", &identity(self.plan, self.write.account).region, &arguments)
            }
            Call::CreateBucket { bucket, region } => self.run("create_bucket", region, &[bucket]),
            Call::BlockPublicAccess { bucket, region } => {
                let blocked = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true";
                let arguments = format!("--bucket {} --public-access-block-configuration {blocked} {}", quoted(bucket), self.owner());
                self.call("NoSuchBucket", "s3api put-public-access-block", region, &arguments)
            }
            Call::EncryptBucket { bucket, region, key } => {
                let configuration = json!({"Rules": [{"BucketKeyEnabled": true,
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]});
                let file = "--server-side-encryption-configuration \"file://$work/after.json\"";
                let arguments = format!("--bucket {} {file} {}", quoted(bucket), self.owner());
                self.document("after", &configuration)? + &self.call("NoSuchBucket", "s3api put-bucket-encryption", region, &arguments)
            }
            Call::EnableVersioning { bucket, region } => {
                let arguments = format!("--bucket {} --versioning-configuration Status=Enabled {}", quoted(bucket), self.owner());
                self.call("NoSuchBucket", "s3api put-bucket-versioning", region, &arguments)
            }
            Call::PutBucketPolicy { bucket, region, before, after } => {
                self.both(before.as_ref(), after)? + &self.run("put_bucket_policy", region, &[bucket])
            }
            Call::DeleteBucketPolicy { bucket, region, before } => {
                self.document("before", before)? + &self.run("delete_bucket_policy", region, &[bucket])
            }
            Call::PutBucketNotification { bucket, region, before, after } => match (notification(before), notification(after)) {
                (Some(before), Some(after)) => self.both(Some(&before), &after)? + &self.run("put_notification", region, &[bucket]),
                _ => self.run("must_notify", region, &[bucket]),
            },
            Call::UploadObject { bucket, region, key, file, sha256, .. } => self.run("upload", region, &[bucket, key, file, sha256]),
            Call::PutRule { region, name, pattern, description, tags } if tags.is_empty() => {
                let arguments = format!(
                    "--name {} --description {} --state ENABLED --event-pattern \"file://$work/after.json\"",
                    quoted(name),
                    quoted(description)
                );
                self.document("after", pattern)? + &self.call("InternalException", "events put-rule", region, &arguments)
            }
            Call::PutRule { region, name, pattern, description, tags } => {
                let tags: Vec<String> = tags.iter().map(|(key, value)| format!("Key={key},Value={value}")).collect();
                let mut arguments = vec![name.as_str(), &self.write.resource, description];
                arguments.extend(tags.iter().map(String::as_str));
                self.document("after", pattern)? + &self.run("create_rule", region, &arguments)
            }
            Call::PutTargets { region, rule, target } => self.document("after", target)? + &self.run("put_target", region, &[rule]),
            Call::RemoveTargets { region, rule, ids } => {
                let ids: Vec<String> = ids.iter().map(|id| quoted(id)).collect();
                format!(
                    "try ResourceNotFoundException {} events remove-targets --region {} --rule {} --ids {}\n",
                    self.side(),
                    quoted(region),
                    quoted(rule),
                    ids.join(" ")
                )
            }
            Call::DeleteRule { region, name } => {
                format!(
                    "try ResourceNotFoundException {} events delete-rule --region {} --name {}\n",
                    self.side(),
                    quoted(region),
                    quoted(name)
                )
            }
            Call::CreatePipeline { region, declaration, tags } => {
                self.document("after", declaration)? + &self.document("tags", &tag_list(tags))? + &self.run("create_pipeline", region, &[])
            }
            Call::UpdatePipeline { region, before, after } => self.both(Some(before), after)? + &self.run("update_pipeline", region, &[]),
            Call::TagPipeline { region, arn, key, value } => {
                let arguments = format!("--resource-arn {} --tags {}", quoted(arn), quoted(&format!("key={key},value={value}")));
                self.call("ConcurrentModificationException", "codepipeline tag-resource", region, &arguments)
            }
            call @ (Call::DeleteAlias { .. }
            | Call::ScheduleKeyDeletion { .. }
            | Call::DeleteRole { .. }
            | Call::DeleteRolePolicy { .. }
            | Call::DeletePolicy { .. }
            | Call::DetachRolePolicy { .. }
            | Call::DeleteBucket { .. }
            | Call::DeletePipeline { .. }) => return Err(never_planned(call)),
        })
    }

    fn delete_policy_version(&self, arn: &str, version: &str) -> Result<String> {
        Ok(format!(
            "try NoSuchEntity {} iam delete-policy-version --region {} --policy-arn {} --version-id {}\n",
            self.side(),
            self.home(),
            quoted(arn),
            quoted(version)
        ))
    }
}

fn tag_list(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}
