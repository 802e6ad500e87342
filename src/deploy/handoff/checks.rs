//! What a hand-off may say: each name is parsed, and belongs to the account that tells it. Whoever makes a file by hand can seal it;
//! what is refused here can't be used all the same.

use super::{Deployment, Handoff};
use crate::deploy::declaration;
use crate::deploy::snapshot::{BucketSlot, DevHalf, Identity, KeyFound, PolicyFound, ProdHalf, RoleFound};
use crate::model::{Arn, BucketName, Readable, RegionName, RoleName, is_acted_on};
use serde_json::Value;
use std::collections::BTreeMap;

type Check = Result<(), String>;

/// Looks at the whole file.
pub fn all(handoff: &Handoff) -> Check {
    if handoff.dev_account == handoff.prod_account {
        return Err(format!("both accounts are {}", handoff.dev_account));
    }
    deployment(&handoff.deployment)?;
    if let Some(part) = &handoff.dev {
        identity(&part.holds.identity, handoff.dev_account.as_str(), "development")?;
        caller(&part.by, &part.holds.identity)?;
        if handoff.deployment.region.as_ref().is_some_and(|region| region.as_str() != part.holds.identity.region) {
            return Err(format!("development is in {}, but the deployment is not", part.holds.identity.region));
        }
        dev(&part.holds, handoff)?;
    }
    if let Some(part) = &handoff.prod {
        identity(&part.holds.identity, handoff.prod_account.as_str(), "production")?;
        caller(&part.by, &part.holds.identity)?;
        prod(&part.holds, handoff)?;
    }
    let partitions: Vec<&str> =
        [handoff.dev.as_ref().map(|part| &part.holds.identity), handoff.prod.as_ref().map(|part| &part.holds.identity)]
            .into_iter()
            .flatten()
            .map(|identity| identity.partition.as_str())
            .collect();
    match partitions.as_slice() {
        [dev, prod] if dev != prod => Err(format!("development is in partition {dev}, production in {prod}")),
        _ => Ok(()),
    }
}

fn deployment(told: &Deployment) -> Check {
    for name in [&told.output_policy, &told.artifact_policy, &told.assume_policy, &told.event_rule].into_iter().flatten() {
        plain(name, "name")?;
    }
    if let Some(role) = told.service_role.as_ref().filter(|role| !role.starts_with("arn:")) {
        role.parse::<RoleName>()?;
    }
    Ok(())
}

/// A name that means only itself in a policy.
fn plain(name: &str, what: &str) -> Check {
    let bad = name.chars().find(|letter| !letter.is_ascii_alphanumeric() && !"_+=,.@-/".contains(*letter));
    match bad {
        Some(letter) => Err(format!("{what} {name} holds `{letter}`")),
        None if name.is_empty() => Err(format!("an empty {what}")),
        None => Ok(()),
    }
}

fn identity(told: &Identity, account: &str, side: &str) -> Check {
    if told.account != account {
        return Err(format!("{side}'s half is of account {}, not {account}", told.account));
    }
    if !["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"].contains(&told.partition.as_str()) {
        return Err(format!("{} is no partition of AWS", told.partition));
    }
    told.region.parse::<RegionName>().map(|_| ())
}

fn caller(by: &str, identity: &Identity) -> Check {
    let arn: Arn = by.parse()?;
    if arn.account == identity.account { Ok(()) } else { Err(format!("{by} is not of account {}", identity.account)) }
}

/// An ARN of this account, of one service and kind, without anything that stands for more than one thing.
fn own_arn(arn: &str, identity: &Identity, service: &str, kind: &str) -> Result<Arn, String> {
    let parsed: Arn = arn.parse()?;
    if parsed.account != identity.account || parsed.partition != identity.partition {
        return Err(format!("{arn} is not of account {}", identity.account));
    }
    match parsed.resource.strip_prefix(kind) {
        Some(rest) if parsed.service == service => plain(rest, kind.trim_end_matches('/')).map(|()| parsed),
        _ => Err(format!("{arn} is no {} of {service}", kind.trim_end_matches(['/', ':']))),
    }
}

fn role(found: Option<&RoleFound>, identity: &Identity) -> Check {
    let Some(found) = found else { return Ok(()) };
    let arn = own_arn(&found.arn, identity, "iam", "role/")?;
    found.name.parse::<RoleName>()?;
    if arn.bare_name() != found.name {
        return Err(format!("role {} has the ARN {}", found.name, found.arn));
    }
    match found.id.as_deref() {
        Some(id) if !id.chars().all(|letter| letter.is_ascii_alphanumeric()) => Err(format!("{id} is no id of a role")),
        _ => Ok(()),
    }
}

fn bucket(slot: &BucketSlot, region: &str, what: &str) -> Check {
    slot.name.parse::<BucketName>()?;
    match &slot.found {
        Some(found) if found.region != region => Err(format!("{what} {} is in {}, not in {region}", slot.name, found.region)),
        _ => Ok(()),
    }
}

fn key(found: &KeyFound, identity: &Identity, region: &str) -> Check {
    own_arn(&found.arn, identity, "kms", "key/")?;
    in_region(found, region)
}

fn in_region(found: &KeyFound, region: &str) -> Check {
    let there = found.arn.parse::<Arn>()?.region == region;
    if there { Ok(()) } else { Err(format!("key {} is not in {region}", found.arn)) }
}

/// Each is named by itself: a name that is another thing's would take that thing's place.
fn customer_keys(keys: &BTreeMap<String, Readable<KeyFound>>, identity: &Identity) -> Check {
    keys.iter().try_for_each(|(name, found)| {
        if name.starts_with("arn:") {
            let arn: Arn = name.parse()?;
            if arn.account != identity.account {
                return Err(format!("key {name} is not of account {}", identity.account));
            }
            if let Some(found) = found.known().filter(|found| arn.resource.starts_with("key/") && found.arn != *name) {
                return Err(format!("key {name} is said to be {}", found.arn));
            }
        }
        match found.known() {
            Some(found) => own_arn(&found.arn, identity, "kms", "key/").map(|_| ()),
            None => Ok(()),
        }
    })
}

/// A bucket's key is of the account that tells of the bucket, or one of the artifact keys.
fn encryption(slot: &BucketSlot, identity: &Identity, artifact_keys: &[&str]) -> Check {
    let encryption = slot.found.as_ref().and_then(|found| found.encryption.as_ref()?.known());
    match encryption.and_then(|encryption| encryption.key.as_deref()).filter(|key| key.starts_with("arn:")) {
        Some(key) if artifact_keys.contains(&key) => Ok(()),
        Some(key) if key.parse::<Arn>()?.account != identity.account => {
            Err(format!("bucket {} is said to be encrypted with {key}, which is not of account {}", slot.name, identity.account))
        }
        _ => Ok(()),
    }
}

/// A screen is no place for another's control characters.
pub fn printable(value: &Value) -> Check {
    let plain = |text: &str| match text.contains(is_acted_on) {
        true => Err(format!("a control character in {text:?}")),
        false => Ok(()),
    };
    match value {
        Value::String(text) => plain(text),
        Value::Array(list) => list.iter().try_for_each(printable),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| plain(name).and_then(|()| printable(value))),
        _ => Ok(()),
    }
}

fn other_roles(roles: &BTreeMap<String, Readable<Option<RoleFound>>>, identity: &Identity) -> Check {
    roles.iter().try_for_each(|(arn, found)| {
        if arn.parse::<Arn>()?.account != identity.account {
            return Err(format!("role {arn} is not of account {}", identity.account));
        }
        match found.known().and_then(Option::as_ref) {
            Some(found) if found.arn != *arn => Err(format!("role {arn} is said to be {}", found.arn)),
            found => role(found, identity),
        }
    })
}

fn policies(told: &BTreeMap<String, PolicyFound>, identity: &Identity) -> Check {
    told.iter().try_for_each(|(arn, found)| match found.arn == *arn {
        true => own_arn(arn, identity, "iam", "policy/").map(|_| ()),
        false => Err(format!("policy {arn} is said to be {}", found.arn)),
    })
}

fn dev(half: &DevHalf, handoff: &Handoff) -> Check {
    let own = &half.identity;
    role(half.service_role.as_ref(), own)?;
    role(half.event_role.as_ref(), own)?;
    policies(&half.policies, own)?;
    for (region, slot) in &half.keys {
        region.parse::<RegionName>()?;
        if let Some(found) = &slot.found {
            let foreign = handoff.deployment.artifact_keys.iter().any(|key| key.as_str() == found.arn);
            match found.account() == handoff.prod_account.as_str() || !foreign {
                true => key(found, own, region)?,
                false if found.policy.is_some() => return Err(format!("a policy of key {}, which development can't read", found.arn)),
                false => in_region(found, region)?,
            }
        }
    }
    for (region, slot) in &half.artifact_buckets {
        region.parse::<RegionName>()?;
        bucket(slot, region, "artifact bucket")?;
        let default = format!("codepipeline-{region}-{}", own.account);
        let asked = handoff.deployment.artifact_bucket.as_ref().map(|name| name.as_str());
        if slot.found.is_none() && slot.name != default && asked != Some(&slot.name) {
            return Err(format!("artifact bucket {} isn't there, and nobody asked for that name", slot.name));
        }
        if handoff.deployment.output_bucket.as_ref().is_some_and(|output| output.as_str() == slot.name) {
            return Err(format!("{} is artifact and output bucket", slot.name));
        }
    }
    bucket(&half.input, &own.region, "input bucket")?;
    let artifact_keys: Vec<&str> = half.keys.values().filter_map(|slot| Some(slot.found.as_ref()?.arn.as_str())).collect();
    encryption(&half.input, own, &artifact_keys)?;
    half.artifact_buckets.values().try_for_each(|slot| encryption(slot, own, &artifact_keys))?;
    customer_keys(&half.customer_keys, own)?;
    other_roles(&half.other_roles, own)?;
    let Some(pipeline) = &half.pipeline else { return Ok(()) };
    let arn = own.regional("codepipeline", &own.region, handoff.deployment.pipeline.as_str());
    if pipeline.arn != arn {
        return Err(format!("pipeline {} is not {arn}", pipeline.arn));
    }
    if let Some(service) = declaration::role_arn(&pipeline.declaration) {
        own_arn(service, own, "iam", "role/")?;
        if half.service_role.as_ref().is_some_and(|role| role.arn != service) {
            return Err(format!("the pipeline names service role {service}, not the one that is told"));
        }
    }
    for (_, action) in declaration::deploys(&pipeline.declaration, None) {
        if let Some(named) = declaration::output_key(action).filter(|key| key.starts_with("arn:")) {
            let arn: Arn = named.parse()?;
            plain(&arn.resource, "key")?;
            if ![handoff.dev_account.as_str(), handoff.prod_account.as_str()].contains(&arn.account.as_str()) {
                return Err(format!("key {named} is of neither account"));
            }
        }
    }
    Ok(())
}

fn prod(half: &ProdHalf, handoff: &Handoff) -> Check {
    let own = &half.identity;
    role(half.deploy_role.as_ref(), own)?;
    policies(&half.policies, own)?;
    bucket(&half.output, &own.region, "output bucket")?;
    let stores = handoff.dev.iter().flat_map(|part| part.holds.keys.values());
    let artifact_keys: Vec<&str> = stores.filter_map(|slot| Some(slot.found.as_ref()?.arn.as_str())).collect();
    encryption(&half.output, own, &artifact_keys)?;
    if handoff.deployment.output_bucket.as_ref().is_some_and(|bucket| bucket.as_str() != half.output.name) {
        return Err(format!("production tells of bucket {}, but the deployment is to another", half.output.name));
    }
    customer_keys(&half.customer_keys, own)?;
    other_roles(&half.other_roles, own)
}
