//! `STEPS.md`: the order of the stacks, and what no template may own, with the statements to merge and the commands.

use super::super::shared::{WITHHELD_STEP, code, title};
use super::apart::{Apart, apart};
use super::places::{Place, StackId};
use super::{CREATE, Sheet, Work, regional};
use crate::deploy::names::own_tags;
use crate::deploy::redaction::holds_hash;
use crate::deploy::write::{Call, Write, key_placeholder};
use crate::error::{Error, Result};
use crate::model::{Side, profile_option, quoted};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The sheet's name.
pub const NAME: &str = "STEPS.md";

/// The largest template that CloudFormation takes with the request itself, in bytes.
const INLINE_LIMIT: usize = 51_200;

/// One thing to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Turn {
    /// Deploy a template; development's main one without its pipeline.
    Stack(StackId),
    /// The tags of policies, which CloudFormation can't set.
    Tags,
    /// What is apart.
    Apart,
    /// Deploy development's main template again, with its pipeline.
    Pipeline(StackId),
}

impl Work<'_> {
    /// Lists the stacks: development's first, since production's role trusts its service role, and the main region's first.
    fn stacks(&self) -> Vec<StackId> {
        let placed = self.writes.iter().filter_map(|write| match self.place(write) {
            Ok(Place::Resource(stack, _)) => Some(stack),
            _ => None,
        });
        let mut stacks: Vec<StackId> = placed.collect::<BTreeSet<_>>().into_iter().collect();
        stacks.sort_by_key(|stack| (stack.side, !stack.is_main(self)));
        stacks
    }

    fn turns(&self) -> Vec<Turn> {
        let mut turns: Vec<Turn> = self.stacks().into_iter().map(Turn::Stack).collect();
        if self.writes.iter().any(|write| matches!(write.call, Call::CreatePolicy { .. })) {
            turns.push(Turn::Tags);
        }
        if self.writes.iter().any(|write| self.place(write).is_ok_and(|place| place == Place::Step)) {
            turns.push(Turn::Apart);
        }
        if self.makes_pipeline() && !self.at_once() {
            turns.extend(self.stacks().into_iter().find(|stack| stack.side == Side::Dev && stack.is_main(self)).map(Turn::Pipeline));
        }
        turns
    }

    fn makes_pipeline(&self) -> bool {
        self.writes.iter().any(|write| matches!(write.call, Call::CreatePipeline { .. }))
    }

    /// Says whose it is, for a heading.
    fn whose(&self, side: Side) -> String {
        format!("{side} ({})", self.identity(side).account)
    }

    /// Gives the flags that say where a command works.
    pub(super) fn flags(&self, side: Side, region: &str) -> String {
        let settings = self.plan.settings();
        let profile = if side == Side::Dev { &settings.dev_profile } else { &settings.prod_profile };
        let region = if region.is_empty() { String::new() } else { format!(" --region {region}") };
        format!("{region}{}", profile_option(profile))
    }

    /// Puts `<KeyArn>`, an output of a template, in the place of a key that isn't made yet.
    pub(super) fn with_outputs(&self, value: &Value) -> Result<Value> {
        let regions = self.plan.snapshot().keys.keys();
        let home = &self.blueprint.home;
        let text = regions.fold(value.to_string(), |text, region| {
            text.replace(&key_placeholder(region), &format!("<{}>", regional("KeyArn", region, home)))
        });
        serde_json::from_str(&text).map_err(|error| Error::internal(error.to_string()))
    }
}

/// Says the order in a line each.
pub fn order(work: &Work<'_>) -> Vec<String> {
    work.turns().iter().enumerate().map(|(number, turn)| format!("{}. {}", number + 1, said(work, turn))).collect()
}

fn said(work: &Work<'_>, turn: &Turn) -> String {
    match turn {
        Turn::Stack(stack) => {
            let put_off = work.makes_pipeline() && !work.at_once() && stack.side == Side::Dev && stack.is_main(work);
            let without = if put_off { ", yet without its pipeline" } else { "" };
            format!("{}, {}: deploy {}{without}", work.whose(stack.side), stack.region, stack.file(work))
        }
        Turn::Tags => "both: tag the policies, which CloudFormation can't do".to_owned(),
        Turn::Apart => format!("both: the separate steps of {NAME}, if an account has any"),
        Turn::Pipeline(stack) => format!(
            "{}, {}: deploy {} again with {CREATE}=true; CodePipeline checks that it can assume production's role, and runs at once",
            work.whose(stack.side),
            stack.region,
            stack.file(work)
        ),
    }
}

/// Writes the sheet of one account, or of both.
pub fn sheet(work: &Work<'_>, side: Option<Side>, sheets: &[Sheet], apart_writes: &[&Write]) -> Result<String> {
    let blueprint = &work.blueprint;
    let mine = |of: Side| side.is_none_or(|side| side == of);
    let mut text = format!("# CodePipeline {} with CloudFormation\n\n", blueprint.pipeline);
    if work.plan.is_empty() {
        text.push_str("Nothing is to be done: both accounts hold all of it.\n");
        return Ok(text);
    }
    text.push_str(
        "Do this in this order; each part may be done again and then changes nothing. Keep these templates: an export that is made\n",
    );
    text.push_str("after they were deployed has only what is still missing, in stacks and files with a name of their own.\n\n");
    for line in order(work) {
        let _ = writeln!(text, "{line}");
    }
    for turn in work.turns() {
        match turn {
            Turn::Stack(stack) if mine(stack.side) => stack_section(work, &mut text, &stack, sheets, false)?,
            Turn::Pipeline(stack) if mine(Side::Dev) => stack_section(work, &mut text, &stack, sheets, true)?,
            Turn::Tags => tags_section(work, &mut text, &mine),
            Turn::Apart => {
                for (number, write) in apart_writes.iter().enumerate().filter(|(_, write)| mine(write.account)) {
                    apart_section(work, &mut text, number + 1, write)?;
                }
            }
            Turn::Stack(_) | Turn::Pipeline(_) => {}
        }
    }
    text.push_str("\n## In the end\n\n`xdeploy setup` says \"No changes.\", and `xdeploy verify` proves every call.\n");
    Ok(text)
}

fn stack_section(work: &Work<'_>, text: &mut String, stack: &StackId, sheets: &[Sheet], again: bool) -> Result<()> {
    let (file, name) = (stack.file(work), stack.name(work));
    let sheet = sheets.iter().find(|sheet| sheet.name == file).ok_or_else(|| Error::internal(format!("there is no {file}")))?;
    let template: Value = serde_json::from_str(&sheet.text).map_err(|error| Error::internal(error.to_string()))?;
    let how = if again { "again, with the pipeline" } else { "as a stack" };
    let _ = writeln!(text, "\n## {}: {file} {how}\n", work.whose(stack.side));
    let mut given = Vec::new();
    for (parameter, about) in template.get("Parameters").and_then(Value::as_object).into_iter().flatten() {
        match about.get("Default").and_then(Value::as_str) {
            // Left out, it is what it was the last time, so that the first deployment done again doesn't delete the pipeline.
            _ if parameter == CREATE => given.extend(again.then(|| format!("{CREATE}=true"))),
            // The pipeline's later key; the first deployment does without.
            Some("") if !again => {}
            Some(default) if !default.is_empty() => {}
            _ => {
                let of = sheets.iter().find(|sheet| gives(sheet, parameter)).map_or("an earlier template", |sheet| sheet.name.as_str());
                let _ = writeln!(text, "`{parameter}` is an output of {of}.\n");
                given.push(format!("\"{parameter}=${parameter}\""));
            }
        }
    }
    if sheet.text.len() > INLINE_LIMIT {
        let _ = writeln!(text, "This template has more than {INLINE_LIMIT} bytes: add `--s3-bucket` with a bucket for it.\n");
    }
    let flags = work.flags(stack.side, &stack.region);
    let overrides = if given.is_empty() { String::new() } else { format!(" \\\n  --parameter-overrides {}", given.join(" ")) };
    let _ = writeln!(
        text,
        "```sh\naws cloudformation deploy --stack-name {name} --template-file {file} \\\n  --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset{overrides}{flags}"
    );
    let outputs = template.get("Outputs").and_then(Value::as_object).into_iter().flatten().map(|(output, _)| output);
    for output in outputs.filter(|output| !again && output.starts_with("KeyArn")) {
        let query = format!("Stacks[0].Outputs[?OutputKey=='{output}'].OutputValue");
        let _ = writeln!(
            text,
            "{output}=$(aws cloudformation describe-stacks --stack-name {name} \\\n  --query \"{query}\" --output text{flags})"
        );
    }
    text.push_str("```\n");
    Ok(())
}

/// Says whether a template has an output.
fn gives(sheet: &Sheet, output: &str) -> bool {
    let template: Value = serde_json::from_str(&sheet.text).unwrap_or_default();
    template.get("Outputs").is_some_and(|outputs| outputs.get(output).is_some())
}

fn tags_section(work: &Work<'_>, text: &mut String, mine: &dyn Fn(Side) -> bool) {
    let made = work.writes.iter().filter(|write| matches!(write.call, Call::CreatePolicy { .. }) && mine(write.account));
    let tags = own_tags(&work.blueprint.pipeline_arn);
    let tags: Vec<String> = tags.iter().map(|(key, value)| quoted(&format!("Key={key},Value={value}"))).collect();
    let commands: Vec<String> = made
        .map(|write| {
            let flags = work.flags(write.account, "");
            format!("aws iam tag-policy --policy-arn {} \\\n  --tags {}{flags}", write.resource, tags.join(" "))
        })
        .collect();
    if !commands.is_empty() {
        text.push_str("\n## Tags of the policies\n\nWithout them the policies work, but xdeploy takes them for somebody else's and never changes them.\n\n");
        let _ = writeln!(text, "```sh\n{}\n```", commands.join("\n"));
    }
}

fn apart_section(work: &Work<'_>, text: &mut String, number: usize, write: &Write) -> Result<()> {
    let Apart { why, merge, json, gone, commands } = apart(work, number, write)?;
    let _ = writeln!(text, "\n## Separate step {number}: {}\n", title(write));
    let (action, article, whose) = (write.call.action(), write.step.article(), work.whose(write.account));
    let _ = writeln!(
        text,
        "`{action}` in {whose} on {} ({article}). {why}\n",
        code(work.with_outputs(&write.resource.clone().into())?.as_str().unwrap_or_default())
    );
    if json.as_ref().is_some_and(|json| holds_hash(&json.to_string())) {
        let _ = writeln!(text, "{WITHHELD_STEP}");
        return Ok(());
    }
    if let Some(json) = json {
        let into = commands.iter().any(|line| line.starts_with("# merge"));
        let what = match (merge, into) {
            (true, _) => "Merge these statements: one with the same Sid is replaced, all else stays",
            (false, true) => "Merge this: all else stays",
            (false, false) => "Save this",
        };
        let pretty = serde_json::to_string_pretty(&work.with_outputs(&json)?).map_err(|error| Error::internal(error.to_string()))?;
        let _ = writeln!(text, "{what} (`step-{number}.json`):\n\n```json\n{pretty}\n```\n");
    }
    if !gone.is_empty() {
        let _ = writeln!(text, "Take these statements out, by Sid: `{}`.\n", gone.join("`, `"));
    }
    let _ = writeln!(text, "```sh\n{}\n```", commands.join("\n"));
    Ok(())
}
