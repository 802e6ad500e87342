//! The permissions that a command's own user needs, told before anything is read: the calls of a plan are the same data that apply
//! works from, and a drawn-up set-up says what would be read.

mod change;
mod document;
mod reads;
mod scene;
mod writes;

pub use document::{CHARACTERS, OPTIONAL, characters, policies, policy};

use super::after::after;
use super::blueprint::{Blueprint, Names};
use super::snapshot::Snapshot;
use super::steps;
use super::teardown::{Past, undo};
use super::write::{Artifact, Write};
use crate::error::Result;
use crate::model::Side;
use crate::policy::{Grant, covers};
use crate::settings::Settings;
use reads::Reading;
use serde::Serialize;
use serde_json::Value;
use std::fmt;
pub use writes::of as of_write;

/// A command that works in both accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// `xdeploy setup`, and `plan` and `apply`.
    Setup,
    /// `xdeploy plan`, which only reads, whatever it finds.
    Plan,
    /// `xdeploy verify`.
    Verify,
    /// `xdeploy release`.
    Release,
    /// `xdeploy explain`.
    Explain,
    /// `xdeploy teardown`.
    Teardown,
}

/// What a command finds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// No pipeline, no artifact bucket, no key, or those that setup made of nothing.
    #[default]
    Fresh,
    /// A pipeline that the console made, or what setup made of one.
    Adopt,
    /// As fresh, with the output bucket in another region than the pipeline.
    CrossRegion,
    /// As fresh, and what setup made, to be changed or mended by whoever need not be the key's administrator.
    Change,
}

/// One action on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Whose.
    pub side: Side,
    /// IAM's name of the action.
    pub action: &'static str,
    /// The resource's ARN; what can't be known before is `*`.
    pub resource: String,
    /// The condition block under which it is needed.
    pub condition: Option<Value>,
    /// What the resource is, as letters and digits.
    pub about: &'static str,
    /// A read whose denial stops nothing: what it would have told can't be told then.
    pub optional: bool,
}

/// The permissions of a command, for both sides.
///
/// `artifact` says that setup uploads a file as well.
///
/// # Errors
/// The settings make no plan.
pub fn permissions(settings: &Settings, command: Command, scenario: Scenario, artifact: bool) -> Result<Vec<Permission>> {
    let before = scene::before(settings, scenario)?;
    let uploaded = Artifact { file: String::new(), size: 0, sha256: String::new() };
    let (writes, _) = steps::wants(settings, &before, Some(&uploaded).filter(|_| artifact))?;
    let pipeline = before.dev.regional("codepipeline", &before.dev.region, settings.pipeline.as_str());
    let there = after(&before, &writes, &pipeline);
    let mut found = match command {
        Command::Setup => {
            let reading = Reading { artifact, ..Reading::default() };
            let mut all = reads::observed(settings, &before, reading)?;
            all.extend(writes.iter().flat_map(|write| writes::of(write, &before, settings.pipeline.as_str())));
            // What was made is read again, and proven: what is known of a new bucket must then still be known.
            all.extend(reads::observed(settings, &there, Reading { proof_counts: settings.create_buckets, ..Reading::default() })?);
            match scenario {
                Scenario::Change => all.extend(changed(settings, &before, true)?),
                _ => all.retain(|permission| !of_administrator(permission, &there)),
            }
            all
        }
        Command::Plan => {
            let mut all = reads::observed(settings, &before, Reading { artifact, ..Reading::default() })?;
            all.extend(reads::observed(settings, &there, Reading { artifact, ..Reading::default() })?);
            if scenario == Scenario::Change {
                all.extend(changed(settings, &before, false)?);
            }
            all
        }
        Command::Verify => {
            let mut all = reads::observed(settings, &there, Reading { proof_counts: true, ..Reading::default() })?;
            all.extend(reads::second_opinion(&there));
            all
        }
        Command::Release => {
            let any_key = scenario == Scenario::Adopt && settings.object_key.is_none();
            reads::released(&Blueprint::draw(settings, &there)?, any_key)
        }
        Command::Explain => {
            let any_key = scenario == Scenario::Adopt && settings.object_key.is_none();
            let mut all = reads::observed(settings, &there, Reading { proof_counts: true, ..Reading::default() })?;
            all.extend(reads::explained(&Blueprint::draw(settings, &there)?, &there, any_key));
            all
        }
        Command::Teardown => {
            let mut all = reads::observed(settings, &there, Reading { teardown: true, ..Reading::default() })?;
            let undone = undone(settings, &before, &there)?;
            all.extend(undone.iter().flat_map(|write| writes::of(write, &there, settings.pipeline.as_str())));
            all
        }
    };
    let names = Names::resolve(settings, &before.dev, &before.prod, None)?;
    for permission in &mut found {
        scene::tidy(permission, &names);
    }
    Ok(found)
}

/// The permissions of changes of what setup made; or only of planning them.
fn changed(settings: &Settings, before: &Snapshot, written: bool) -> Result<Vec<Permission>> {
    let mut all = Vec::new();
    for run in change::runs(settings, before)? {
        all.extend(reads::observed(&run.settings, &run.found, Reading::default())?);
        all.extend(reads::observed(&run.settings, &run.there(), Reading::default())?);
        if written {
            all.extend(run.writes.iter().flat_map(|write| writes::of(write, &run.found, run.settings.pipeline.as_str())));
        }
    }
    Ok(all)
}

/// Says whether the key that is made gives this to its administrator, who is the caller unless another was named.
fn of_administrator(permission: &Permission, there: &Snapshot) -> bool {
    // Before the key is there, it gives nothing.
    if permission.side != Side::Dev || permission.action == "kms:TagResource" {
        return false;
    }
    let caller = scene::caller(&there.dev);
    let grant = Grant { principal: Some(caller), action: permission.action.to_owned(), resource: "*".to_owned() };
    let of_region = |region: &str| permission.resource == there.dev.regional("kms", region, "key/*");
    let mut keys = there.keys.iter().filter(|(region, _)| of_region(region)).filter_map(|(_, slot)| slot.found.as_ref()?.policy.as_ref());
    keys.any(|policy| covers(policy, &grant))
}

/// The writes of a teardown, whether the buckets are empty or not, and the key may go or not.
fn undone(settings: &Settings, before: &Snapshot, there: &Snapshot) -> Result<Vec<Write>> {
    let declared = |snapshot: &Snapshot| snapshot.pipeline.as_ref().map(|found| found.declaration.clone());
    let keys = there.keys.values().filter_map(|slot| Some((slot.found.as_ref()?.arn.clone(), vec![slot.asked.clone()])));
    let past = Past {
        versions: declared(before).map(|old| declared(there).into_iter().chain([old]).collect()).unwrap_or_default(),
        patterns: Some(Vec::new()),
        aliases: keys.collect(),
        other_pipelines: Some(Vec::new()),
        output_keys: Some(std::collections::BTreeSet::new()),
        ..Past::default()
    };
    let mut writes = Vec::new();
    for (empty, keep_key) in [(true, false), (false, true)] {
        let mut there = there.clone();
        let Snapshot { input, output, artifact_buckets, .. } = &mut there;
        let slots = artifact_buckets.values_mut().chain([input, output]);
        slots.filter_map(|slot| slot.found.as_mut()).for_each(|found| found.empty = Some(empty));
        writes.extend(undo(settings, &there, &past, keep_key)?.writes);
    }
    Ok(writes)
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Command::Setup => "setup",
            Command::Plan => "plan",
            Command::Verify => "verify",
            Command::Release => "release",
            Command::Explain => "explain",
            Command::Teardown => "teardown",
        })
    }
}
