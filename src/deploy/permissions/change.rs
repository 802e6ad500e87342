//! Changes of what setup made: by other settings, and back where somebody undid something.

use crate::deploy::after::after;
use crate::deploy::snapshot::{RoleFound, Snapshot};
use crate::deploy::steps;
use crate::deploy::write::Write;
use crate::error::Result;
use crate::model::{ChangeDetection, Policies};
use crate::settings::Settings;
use serde_json::{Value, json};

/// A run of setup: its settings, what it finds, and what it then writes.
#[derive(Debug)]
pub struct Run {
    pub settings: Settings,
    pub found: Snapshot,
    pub writes: Vec<Write>,
}

impl Run {
    /// Draws one up, unless such settings make no plan of what is there.
    fn of(settings: &Settings, found: Snapshot) -> Option<Run> {
        let (writes, _) = steps::wants(settings, &found, None).ok()?;
        Some(Run { settings: settings.clone(), found, writes })
    }

    /// Gives what is there afterwards.
    pub fn there(&self) -> Snapshot {
        let dev = &self.found.dev;
        after(&self.found, &self.writes, &dev.regional("codepipeline", &dev.region, self.settings.pipeline.as_str()))
    }
}

/// Lists settings that differ in what setup can bring up to date.
fn others(settings: &Settings) -> Vec<Settings> {
    let mut others = Vec::new();
    let mut other = |change: &dyn Fn(&mut Settings)| {
        let mut changed = settings.clone();
        change(&mut changed);
        others.push(changed);
    };
    for policies in [Policies::Article, Policies::LeastPrivilege] {
        other(&|one| one.policies = Some(policies));
    }
    for detection in [ChangeDetection::Eventbridge, ChangeDetection::Polling, ChangeDetection::None] {
        other(&|one| one.change_detection = Some(detection));
    }
    other(&|one| one.deploy_path = Some("another/path".to_owned()));
    other(&|one| one.deploy_encrypts_with_dev_key = !one.deploy_encrypts_with_dev_key);
    others
}

/// Takes out of what setup made all that it puts back, so that every document differs.
fn worn(mut there: Snapshot) -> Snapshot {
    let empty = || json!({"Version": "2012-10-17", "Statement": []});
    let Snapshot { service_role, deploy_role, event_role, .. } = &mut there;
    for RoleFound { trust, inline, attached, .. } in [service_role, deploy_role, event_role].into_iter().flatten() {
        *trust = empty();
        inline.values_mut().for_each(|document| *document = empty());
        attached.clear();
    }
    for policy in there.policies.values_mut() {
        policy.document = empty();
        // IAM keeps five, and the oldest makes room (facts D.1).
        policy.versions = (1..=5).map(|number| format!("v{number}")).collect();
        policy.default_version = "v5".to_owned();
    }
    for key in there.keys.values_mut().filter_map(|slot| slot.found.as_mut()) {
        key.policy = Some(empty());
        key.rotation = Some(false);
    }
    for bucket in there.artifact_buckets.values_mut().filter_map(|slot| slot.found.as_mut()) {
        bucket.policy = Some(empty());
        bucket.public_access_blocked = Some(false);
    }
    if let Some(input) = &mut there.input.found {
        input.notification = Some(String::new());
    }
    if let Some(rule) = &mut there.rule {
        rule.pattern = Value::Null;
        rule.targets.clear();
    }
    there
}

/// Lists the runs that change something, from each set-up to each other and back, and those that mend.
///
/// # Errors
/// The settings make no plan.
pub fn runs(settings: &Settings, before: &Snapshot) -> Result<Vec<Run>> {
    let (writes, _) = steps::wants(settings, before, None)?;
    let first = Run { settings: settings.clone(), found: before.clone(), writes };
    let mut runs = Vec::new();
    for other in others(settings) {
        if let Some(made) = Run::of(&other, before.clone()) {
            runs.extend(Run::of(settings, made.there()));
            runs.extend(Run::of(&other, first.there()));
        }
    }
    runs.extend(Run::of(settings, worn(first.there())));
    Ok(runs)
}
