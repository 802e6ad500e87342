//! What is there already, is as it should be, and stays.

use super::blueprint::{Blueprint, Detection};
use super::plan::Plan;
use super::snapshot::{BucketSlot, RoleFound, Snapshot, Tags, is_own};
use super::write::{Call, Step, Write};
use crate::model::Side;
use serde::Serialize;

/// Who made a thing, as far as its tags say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Maker {
    /// It carries the pipeline's tag: teardown removes it.
    Xdeploy,
    /// It doesn't: it is never deleted.
    Others,
    /// A part of something else, or its tags were not read.
    #[serde(rename = "unknown")]
    Unsaid,
}

impl Maker {
    /// Says it for people, where it is known.
    pub fn words(self) -> Option<&'static str> {
        match self {
            Maker::Xdeploy => Some("made by xdeploy"),
            Maker::Others => Some("not made by xdeploy: never deleted"),
            Maker::Unsaid => None,
        }
    }
}

/// One thing that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Which account.
    pub account: Side,
    /// Which step of the article.
    pub step: Step,
    /// What it is, such as `artifact bucket b`.
    pub what: String,
    /// Its ARN.
    pub resource: String,
    /// Who made it.
    pub maker: Maker,
}

/// Collects what no write of a plan touches.
struct Collecting<'a> {
    writes: &'a [Write],
    pipeline_arn: &'a str,
    found: Vec<Kept>,
}

impl Collecting<'_> {
    fn maker(&self, tags: &Tags) -> Maker {
        if is_own(tags, self.pipeline_arn) { Maker::Xdeploy } else { Maker::Others }
    }

    /// Takes a thing unless a write of its account changes it.
    fn keep(&mut self, (account, step): (Side, Step), what: String, resource: &str, maker: Maker, changes: impl Fn(&Call) -> bool) {
        if !self.writes.iter().any(|write| write.account == account && changes(&write.call)) {
            self.found.push(Kept { account, step, what, resource: resource.to_owned(), maker });
        }
    }

    fn bucket(&mut self, at: (Side, Step), kind: &str, slot: &BucketSlot, arn: &str) {
        let Some(found) = &slot.found else { return };
        let maker = match self.maker(&found.tags) {
            // Tags of input and output bucket are read by teardown alone.
            Maker::Others if at.1 == Step::Buckets => Maker::Unsaid,
            maker => maker,
        };
        self.keep(at, format!("{kind} {}", slot.name), arn, maker, |call| match call {
            Call::EnableVersioning { bucket, .. } | Call::BlockPublicAccess { bucket, .. } | Call::EncryptBucket { bucket, .. } => {
                *bucket == slot.name
            }
            _ => false,
        });
    }

    fn role(&mut self, at: (Side, Step), kind: &str, role: &RoleFound) {
        let maker = self.maker(&role.tags);
        self.keep(at, format!("{kind} {}", role.name), &role.arn, maker, |call| match call {
            Call::UpdateAssumeRolePolicy { name, .. } => *name == role.name,
            _ => false,
        });
    }

    fn inline(&mut self, at: (Side, Step), role: &RoleFound, name: &str) {
        let there = role.inline.contains_key(name);
        let touched = |call: &Call| matches!(call, Call::PutRolePolicy { role: of, name: put, .. } if *of == role.name && put == name);
        if there {
            self.keep(at, format!("inline policy {name} of {}", role.name), &role.arn, Maker::Unsaid, touched);
        }
    }

    fn attached(&mut self, at: (Side, Step), snapshot: &Snapshot, role: Option<&RoleFound>, arn: &str) {
        let Some(policy) = snapshot.policies.get(arn) else { return };
        let name = arn.rsplit('/').next().unwrap_or(arn);
        let maker = self.maker(&policy.tags);
        self.keep(
            at,
            format!("policy {name}"),
            arn,
            maker,
            |call| matches!(call, Call::CreatePolicyVersion { arn: changed, .. } if changed == arn),
        );
        if let Some(role) = role.filter(|role| role.attached.iter().any(|attached| attached == arn)) {
            let touched = |call: &Call| matches!(call, Call::DetachRolePolicy { arn: gone, .. } if gone == arn);
            self.keep(at, format!("policy {name} is attached to {}", role.name), &role.arn, Maker::Unsaid, touched);
        }
    }
}

/// Lists what a plan leaves as it is, in the order of the article's steps.
pub fn of_plan(plan: &Plan) -> Vec<Kept> {
    // The plan was made from this blueprint, so it can be drawn again.
    let all = Blueprint::draw(plan.settings(), plan.snapshot()).map(|blueprint| kept(&blueprint, plan.snapshot(), &plan.every_write()));
    let side = plan.settings().side;
    all.unwrap_or_default().into_iter().filter(|kept| side.is_none_or(|side| kept.account == side)).collect()
}

/// Lists what is there, is wanted, and isn't changed by these writes.
pub fn kept(blueprint: &Blueprint, snapshot: &Snapshot, writes: &[Write]) -> Vec<Kept> {
    let mut all = Collecting { writes, pipeline_arn: &blueprint.pipeline_arn, found: Vec::new() };
    let dev_bucket = |slot: &BucketSlot| snapshot.dev.bucket(&slot.name);
    let (input, output) = (&snapshot.input, &snapshot.output);
    all.bucket((Side::Dev, Step::Buckets), "input bucket", input, &dev_bucket(input));
    all.bucket((Side::Prod, Step::Buckets), "output bucket", output, &snapshot.prod.bucket(&output.name));
    keys(&mut all, snapshot);
    if let Some(role) = &snapshot.service_role {
        let at = (Side::Dev, Step::ServiceRole);
        all.role(at, "service role", role);
        all.inline(at, role, &super::names::inline_name(&blueprint.pipeline));
    }
    for slot in snapshot.artifact_buckets.values() {
        all.bucket((Side::Dev, Step::ServiceRole), "artifact bucket", slot, &dev_bucket(slot));
    }
    for key in snapshot.keys.values().filter_map(|slot| slot.found.as_ref()).filter(|key| key.policy.is_some()) {
        let touched = |call: &Call| matches!(call, Call::PutKeyPolicy { key: changed, .. } if *changed == key.arn);
        all.keep((Side::Dev, Step::KeyUsers), format!("policy of key {}", key.id()), &key.arn, Maker::Unsaid, touched);
    }
    let at = (Side::Prod, Step::DeployRole);
    if let Some(role) = &snapshot.deploy_role {
        all.role(at, "cross-account role", role);
    }
    for policy in [&blueprint.names.output_policy, &blueprint.names.artifact_policy] {
        all.attached(at, snapshot, snapshot.deploy_role.as_ref(), &policy.arn);
    }
    for slot in snapshot.artifact_buckets.values() {
        let has_policy = slot.found.as_ref().is_some_and(|found| found.policy.is_some());
        let touched = |call: &Call| match call {
            Call::PutBucketPolicy { bucket, .. } | Call::DeleteBucketPolicy { bucket, .. } => *bucket == slot.name,
            _ => false,
        };
        if has_policy {
            let what = format!("policy of artifact bucket {}", slot.name);
            all.keep((Side::Dev, Step::BucketPolicy), what, &dev_bucket(slot), Maker::Unsaid, touched);
        }
    }
    all.attached((Side::Dev, Step::AssumeRole), snapshot, snapshot.service_role.as_ref(), &blueprint.names.assume_policy.arn);
    detection(&mut all, blueprint, snapshot);
    if let Some(pipeline) = &snapshot.pipeline {
        let maker = all.maker(&pipeline.tags);
        let touched = |call: &Call| matches!(call, Call::UpdatePipeline { .. } | Call::TagPipeline { .. });
        all.keep((Side::Dev, Step::Pipeline), format!("pipeline {}", blueprint.pipeline), &pipeline.arn, maker, touched);
    }
    all.found
}

fn keys(all: &mut Collecting<'_>, snapshot: &Snapshot) {
    let at = (Side::Dev, Step::Key);
    for (region, slot) in &snapshot.keys {
        let Some(key) = &slot.found else { continue };
        let maker = all.maker(&key.tags);
        all.keep(at, format!("KMS key {} in {region}", key.id()), &key.arn, maker, |_| false);
        if slot.alias_exists && slot.asked.starts_with("alias/") {
            all.keep(at, format!("{} in {region}", slot.asked), &key.arn, Maker::Unsaid, |_| false);
        }
        if key.rotation == Some(true) {
            all.keep(at, format!("yearly rotation of key {}", key.id()), &key.arn, Maker::Unsaid, |_| false);
        }
    }
}

/// What starts the pipeline, where that is a rule of ours.
fn detection(all: &mut Collecting<'_>, blueprint: &Blueprint, snapshot: &Snapshot) {
    if blueprint.detection != Detection::Eventbridge {
        return;
    }
    let at = (Side::Dev, Step::ChangeDetection);
    if let Some(role) = &snapshot.event_role {
        all.role(at, "EventBridge's role", role);
        all.inline(at, role, &super::names::event_inline_name(&blueprint.home, &blueprint.pipeline));
    }
    if let Some(rule) = &snapshot.rule {
        let arn = blueprint.dev.regional("events", &blueprint.home, &format!("rule/{}", rule.name));
        let maker = all.maker(&rule.tags);
        let touched = |call: &Call| matches!(call, Call::PutRule { .. } | Call::PutTargets { .. });
        all.keep(at, format!("EventBridge rule {} and its target", rule.name), &arn, maker, touched);
    }
    let notification = snapshot.input.found.as_ref().and_then(|found| found.notification.as_deref());
    if notification.is_some_and(super::steps::has_eventbridge) {
        let what = format!("notification of {}: EventBridge hears of new objects", snapshot.input.name);
        all.keep(at, what, &snapshot.dev.bucket(&snapshot.input.name), Maker::Unsaid, |_| false);
    }
}
