//! How far a file is believed: what moved since it was written, what it would undo, and what a person must look at.

use crate::deploy::blueprint::{Blueprint, Names};
use crate::deploy::declaration;
use crate::deploy::plan::Plan;
use crate::deploy::snapshot::{BucketSlot, DevHalf, Half, KeySlot, ProdHalf, RoleFound, Snapshot};
use crate::deploy::write::{Call, Write};
use crate::error::{Error, Result};
use crate::model::Side;
use crate::policy;
use crate::settings::Settings;

/// Says what the file holds of a side's own half that isn't so any more: the other side has built on it.
pub fn moved(told: &Half, live: &Half) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: String, was: Option<String>, is: Option<String>| {
        if let Some(was) = was.filter(|was| is.as_ref() != Some(was)) {
            found.push(format!("{what} was {was}, and is {}", is.unwrap_or_else(|| "gone".to_owned())));
        }
    };
    let role = |role: &Option<RoleFound>| {
        role.as_ref().map(|role| role.id.as_ref().map_or_else(|| role.arn.clone(), |id| format!("{} ({id})", role.arn)))
    };
    match (told, live) {
        (Half::Dev(told), Half::Dev(live)) => {
            compare("the region".to_owned(), Some(told.identity.region.clone()), Some(live.identity.region.clone()));
            compare("the service role".to_owned(), role(&told.service_role), role(&live.service_role));
            for (region, slot) in &told.keys {
                let arn = |slot: &KeySlot| slot.found.as_ref().map(|key| key.arn.clone());
                compare(format!("the key in {region}"), arn(slot), live.keys.get(region).and_then(arn));
            }
            for (region, slot) in &told.artifact_buckets {
                let name = |slot: &BucketSlot| slot.found.as_ref().map(|_| slot.name.clone());
                compare(format!("the artifact bucket in {region}"), name(slot), live.artifact_buckets.get(region).and_then(name));
            }
            let pipeline = |half: &DevHalf| half.pipeline.as_ref().map(|pipeline| pipeline.arn.clone());
            compare("the pipeline".to_owned(), pipeline(told), pipeline(live));
        }
        (Half::Prod(told), Half::Prod(live)) => {
            compare("the cross-account role".to_owned(), role(&told.deploy_role), role(&live.deploy_role));
            let place = |half: &ProdHalf| half.output.found.as_ref().map(|found| format!("{} in {}", half.output.name, found.region));
            compare("the output bucket".to_owned(), place(told), place(live));
        }
        _ => {}
    }
    found
}

/// Says which documents of ours a plan would change that aren't as the file says they were: the file is older than they are.
pub fn undone(told: &Half, writes: &[Write]) -> Vec<String> {
    let policies = match told {
        Half::Dev(half) => &half.policies,
        Half::Prod(half) => &half.policies,
    };
    let changed = writes.iter().filter_map(|write| match &write.call {
        Call::CreatePolicyVersion { arn, before, .. } => Some((write, policies.get(arn)?, before)),
        _ => None,
    });
    changed
        .filter(|(_, told, before)| !policy::same_grants(&told.document, before))
        .map(|(write, ..)| format!("policy {} was changed after this file was written", write.resource))
        .collect()
}

/// Refuses a plan that no file should lead to, whatever it says, since it is looked at before: a key's policy is changed only
/// where that key is an artifact store's, or encrypts the bucket of the side that writes.
///
/// # Errors
/// It would.
pub fn refuse_overstepping(plan: &Plan, side: Side) -> Result<()> {
    let snapshot = plan.snapshot();
    let slot = match side {
        Side::Dev => &snapshot.input,
        Side::Prod => &snapshot.output,
    };
    let of_bucket = slot.found.as_ref().and_then(|found| found.encryption.as_ref()?.known()?.key.as_deref());
    let of_bucket = of_bucket.and_then(|key| snapshot.customer_keys.get(key)?.known()).map(|found| found.arn.as_str());
    let stores: Vec<&str> = snapshot.keys.values().filter_map(|slot| Some(slot.found.as_ref()?.arn.as_str())).collect();
    let declared = trusted_keys(snapshot);
    for write in plan.writes() {
        let Call::PutKeyPolicy { key, before: Some(_), .. } = &write.call else { continue };
        let is_own = side == Side::Dev && stores.contains(&key.as_str()) || of_bucket == Some(key.as_str());
        // A key that the pipeline names is looked at by a person.
        if !is_own && !declared.contains(key) {
            return Err(Error::internal(format!("the hand-off leads to key {key}, which has no part in this")));
        }
    }
    Ok(())
}

/// Says what a prudent person looks at before letting the other side's word count, in lines; production's side only.
///
/// # Errors
/// As [`Blueprint::draw`].
pub fn trusted(settings: &Settings, snapshot: &Snapshot) -> Result<Vec<String>> {
    let mut lines: Vec<String> = snapshot.told.as_ref().map(|told| told.untold.clone()).unwrap_or_default();
    let line = |key| format!("the pipeline names key {key} for what it deploys: the role will be allowed to use it");
    lines.extend(trusted_keys(snapshot).into_iter().map(line));
    let foreign = snapshot.keys.values().filter_map(|slot| slot.found.as_ref()).filter(|key| key.account() != snapshot.dev.account);
    let told = settings.is_told("--artifact-key");
    lines.extend(foreign.filter(|_| told).map(|key| {
        format!("the artifacts are encrypted with key {0} of account {1}: say `--artifact-key {0}` if it is right", key.arn, key.account())
    }));
    lines.extend(trusted_names(settings, snapshot)?);
    Ok(lines)
}

/// Names of production's own things that production didn't choose, of things that it doesn't have yet.
fn trusted_names(settings: &Settings, snapshot: &Snapshot) -> Result<Vec<String>> {
    let blueprint = Blueprint::draw(settings, snapshot)?;
    let plain = Settings { deploy_role: None, output_policy: None, artifact_policy: None, ..settings.clone() };
    let default = Names::resolve(&plain, &snapshot.dev, &snapshot.prod, None)?;
    let names = &blueprint.names;
    let named = [
        ("--deploy-role", &names.deploy_role, &default.deploy_role, snapshot.deploy_role.is_some()),
        ("--output-policy", &names.output_policy, &default.output_policy, snapshot.policies.contains_key(&names.output_policy.arn)),
        ("--artifact-policy", &names.artifact_policy, &default.artifact_policy, snapshot.policies.contains_key(&names.artifact_policy.arn)),
    ];
    let told = named.into_iter().filter(|(flag, told, default, there)| settings.is_told(flag) && told.name != default.name && !there);
    let line = |flag, name: &str| format!("the hand-off chose the name {name}: say `{flag} {name}` if it is right");
    Ok(told.map(|(flag, told, ..)| line(flag, &told.name)).collect())
}

/// Keys that the told pipeline names for what it deploys, which are neither the output bucket's nor an artifact store's.
fn trusted_keys(snapshot: &Snapshot) -> Vec<String> {
    let declared = snapshot.pipeline.as_ref().map(|found| declaration::deploys(&found.declaration, Some(&snapshot.output.name)));
    let keys = declared.into_iter().flatten().filter_map(|(_, action)| declaration::output_key(action).map(str::to_owned));
    let own = snapshot.output.found.as_ref().and_then(|found| found.encryption.as_ref()?.known()?.key.clone());
    let artifact = |key: &String| snapshot.keys.values().any(|slot| slot.found.as_ref().is_some_and(|found| found.arn == *key));
    keys.filter(|key| Some(key) != own.as_ref() && !artifact(key)).collect()
}
