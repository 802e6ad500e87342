//! Reads KMS keys: those of the artifact stores, and those that buckets are encrypted with.

use crate::aws::{Account, ApiError, ApiResult, present};
use crate::deploy::declaration;
use crate::deploy::snapshot::{BucketSlot, KeyFound, KeySlot, Tags, is_own};
use crate::error::{Error, Result};
use crate::model::{Arn, Readable};
use crate::settings::Settings;
use aws_sdk_kms::types::{KeyState, MultiRegionKeyType};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use std::collections::BTreeMap;

/// Finds the key of a store: what the pipeline names, else the one that was named by its ARN, else the alias, else one that a dead run of ours left (`architecture.md`).
pub(super) async fn read_key_slot(
    dev: &Account,
    region: &str,
    home: &str,
    settings: &Settings,
    declaration: Option<&Value>,
) -> Result<KeySlot> {
    let named = declaration
        .and_then(|declaration| declaration::store(declaration, region, home))
        .and_then(declaration::store_key)
        .map(str::to_owned);
    let mut replaces_managed_key = false;
    let said = settings.artifact_key(region);
    if let Some(named) = named {
        let found = read_named(dev, region, &named).await?;
        // An AWS managed key means the same as none (facts E.7).
        replaces_managed_key = found.as_ref().is_some_and(|key| key.manager == "AWS");
        if !replaces_managed_key {
            if let Some(said) = said.filter(|said| found.as_ref().is_some_and(|found| found.arn != said.as_str())) {
                return Err(Error::refused(format!("the artifact store in {region} names key {named}, not {said}")).hint(
                    "leave `--artifact-key` out: a pipeline that exists keeps its key, since what it stored can't be read with another",
                ));
            }
            return Ok(KeySlot { asked: named, from_pipeline: true, replaces_managed_key, alias_exists: true, found });
        }
    }
    if let Some(said) = said {
        let found = read_named(dev, region, said.as_str()).await?;
        let found = found.ok_or_else(|| {
            Error::refused(format!("there is no key {said}")).hint("correct `--artifact-key`, or leave it out to have a key made")
        })?;
        return Ok(KeySlot { asked: said.to_string(), from_pipeline: false, replaces_managed_key, alias_exists: true, found: Some(found) });
    }
    let asked = settings.key_alias_or_default().to_owned();
    // Without a pipeline the alias is likely not there, and then the list of all is needed anyway.
    let aliases = if declaration.is_none() { Some(aliases(dev, region).await?) } else { None };
    let absent = aliases.as_ref().is_some_and(|all| !all.iter().any(|(alias, _)| *alias == asked));
    if !absent && let Some(found) = read_key(dev, region, &asked).await? {
        return Ok(KeySlot { asked, from_pipeline: false, replaces_managed_key, alias_exists: true, found: Some(found) });
    }
    if region != home
        && let Some(found) = replica_of(dev, region, home, settings, declaration).await?
    {
        return Ok(KeySlot { asked, from_pipeline: false, replaces_managed_key, alias_exists: false, found: Some(found) });
    }
    let arn = format!("arn:{}:codepipeline:{home}:{}:{}", dev.partition, dev.id, settings.pipeline);
    let found = left_by_a_dead_run(dev, region, &arn, aliases).await?;
    Ok(KeySlot { asked, from_pipeline: false, replaces_managed_key, alias_exists: false, found })
}

/// Finds the replica, or the primary, that a multi-Region key of the pipeline's region already has here: it has the same id.
async fn replica_of(
    dev: &Account,
    region: &str,
    home: &str,
    settings: &Settings,
    declaration: Option<&Value>,
) -> ApiResult<Option<KeyFound>> {
    let named = declaration.and_then(|declaration| declaration::store(declaration, home, home)).and_then(declaration::store_key);
    let Some(key) = read_key(dev, home, named.unwrap_or_else(|| settings.key_alias_or_default())).await? else { return Ok(None) };
    if !key.multi_region {
        return Ok(None);
    }
    read_key(dev, region, key.id()).await
}

/// Reads a key that somebody named. Another account's key that development may not look at can't be used by its roles either.
async fn read_named(dev: &Account, region: &str, key: &str) -> Result<Option<KeyFound>> {
    let owner = key.parse::<Arn>().map(|arn| arn.account).unwrap_or_default();
    read_key(dev, region, key).await.map_err(|error| {
        let strange = error.is_denied() && !owner.is_empty() && owner != dev.id;
        let hint = format!(
            "only account {owner} can change the key's policy: the key's owner must let account {} (`arn:{}:iam::{}:root`) in, with \
             `kms:DescribeKey`, `kms:Decrypt` and `kms:GenerateDataKey*` at the least",
            dev.id, dev.partition, dev.id
        );
        let error = Error::from(error);
        if strange { error.hint(hint) } else { error }
    })
}

/// Reads a key by ARN, id or alias; `None` if there is none.
async fn read_key(account: &Account, region: &str, key: &str) -> ApiResult<Option<KeyFound>> {
    let kms = account.kms(region);
    let shown = if key.starts_with("arn:") {
        key.to_owned()
    } else {
        format!(
            "arn:{}:kms:{region}:{}:{}",
            account.partition,
            account.id,
            if key.starts_with("alias/") { key.to_owned() } else { format!("key/{key}") }
        )
    };
    let Some(described) =
        present(account.call("kms:DescribeKey", &shown, kms.describe_key().key_id(key).send()).await, &["NotFoundException"])?
    else {
        return Ok(None);
    };
    let metadata = described.key_metadata().ok_or_else(|| account.unusable("kms:DescribeKey", &shown, "the answer has no key"))?;
    let arn = metadata.arn().unwrap_or_default().to_owned();
    let id = metadata.key_id().to_owned();
    let own = arn.split(':').nth(4) == Some(account.id.as_str());
    let customer = metadata.key_manager().is_some_and(|manager| manager.as_str() == "CUSTOMER");
    let configuration = metadata.multi_region_configuration();
    let replica = configuration.is_some_and(|c| c.multi_region_key_type() == Some(&MultiRegionKeyType::Replica));
    let primary_region =
        configuration.filter(|_| replica).and_then(|c| c.primary_key()).and_then(|primary| primary.region()).map(str::to_owned);
    let dead = matches!(metadata.key_state(), Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion));
    let (policy, tags, rotation) = if own && customer {
        tokio::try_join!(
            async {
                let got = account.call("kms:GetKeyPolicy", &arn, kms.get_key_policy().key_id(&id).send()).await?;
                account.document("kms:GetKeyPolicy", &arn, got.policy())
            },
            key_tags(account, region, &arn, &id),
            async {
                if dead {
                    return Ok(None);
                }
                // Not every kind of key rotates, and not everybody may ask; that is no reason to fail.
                let got = account.call("kms:GetKeyRotationStatus", &arn, kms.get_key_rotation_status().key_id(&id).send()).await;
                present(got, &["UnsupportedOperationException", "KMSInvalidStateException", "AccessDeniedException"])
            },
        )
        .map(|(policy, tags, rotation)| (Some(policy), Some(tags), rotation))?
    } else {
        (None, None, None)
    };
    Ok(Some(KeyFound {
        arn,
        manager: metadata.key_manager().map_or("CUSTOMER", |manager| manager.as_str()).to_owned(),
        spec: metadata.key_spec().map_or("SYMMETRIC_DEFAULT", |spec| spec.as_str()).to_owned(),
        usage: metadata.key_usage().map_or("ENCRYPT_DECRYPT", |usage| usage.as_str()).to_owned(),
        state: metadata.key_state().map_or("Enabled", |state| state.as_str()).to_owned(),
        multi_region: metadata.multi_region().unwrap_or(false),
        primary_region,
        policy,
        rotation: rotation.map(|got| got.key_rotation_enabled()),
        tags: tags.unwrap_or_default(),
    }))
}

/// Reads the tags of a key, by its bare id; KMS may give fewer than there are and say that there are more.
///
/// # Errors
/// The read failed.
pub async fn key_tags(account: &Account, region: &str, resource: &str, id: &str) -> ApiResult<Tags> {
    let kms = account.kms(region);
    let (mut found, mut marker) = (Tags::new(), None);
    loop {
        let page = account.call("kms:ListResourceTags", resource, kms.list_resource_tags().key_id(id).set_marker(marker).send()).await?;
        found.extend(page.tags().iter().map(|tag| (tag.tag_key().to_owned(), tag.tag_value().to_owned())));
        marker = page.next_marker().filter(|_| page.truncated()).map(str::to_owned);
        if marker.is_none() {
            return Ok(found);
        }
    }
}

/// Lists the aliases of a region with the keys that they stand for.
async fn aliases(account: &Account, region: &str) -> ApiResult<Vec<(String, String)>> {
    let kms = account.kms(region);
    let mut found = Vec::new();
    let mut marker = None;
    loop {
        let page = account.call("kms:ListAliases", "*", kms.list_aliases().limit(100).set_marker(marker).send()).await?;
        found.extend(page.aliases().iter().filter_map(|alias| Some((alias.alias_name()?.to_owned(), alias.target_key_id()?.to_owned()))));
        marker = page.next_marker().filter(|_| page.truncated()).map(str::to_owned);
        if marker.is_none() {
            return Ok(found);
        }
    }
}

/// Looks for a key with our tag and no alias: CreateKey has no token, so a run that died after it left one behind.
async fn left_by_a_dead_run(
    dev: &Account,
    region: &str,
    pipeline_arn: &str,
    aliased: Option<Vec<(String, String)>>,
) -> Result<Option<KeyFound>> {
    let kms = dev.kms(region);
    let everything = format!("arn:{}:kms:{region}:{}:key/*", dev.partition, dev.id);
    let keys = async {
        let mut ids = Vec::new();
        let mut marker = None;
        loop {
            let page = dev.call("kms:ListKeys", "*", kms.list_keys().limit(1000).set_marker(marker).send()).await?;
            ids.extend(page.keys().iter().filter_map(|key| key.key_id()).map(str::to_owned));
            marker = page.next_marker().filter(|_| page.truncated()).map(str::to_owned);
            if marker.is_none() {
                return Ok::<_, Box<ApiError>>(ids);
            }
        }
    };
    let aliased = async {
        match aliased {
            Some(known) => Ok(known),
            None => aliases(dev, region).await,
        }
    };
    let (keys, aliased) = tokio::try_join!(keys, aliased)?;
    let unnamed = keys.into_iter().filter(|id| !aliased.iter().any(|(_, target)| target == id));
    let tagged = stream::iter(unnamed.map(|id| {
        let everything = everything.clone();
        async move {
            let got = key_tags(dev, region, &everything, &id).await;
            // A key whose tags this caller may not read is not one that this caller made.
            let tags = present(got, &["AccessDeniedException", "NotFoundException", "KMSInvalidStateException"])?;
            let ours = tags.is_some_and(|tags| is_own(&tags, pipeline_arn));
            Ok::<_, Box<ApiError>>(ours.then_some(id))
        }
    }))
    .buffer_unordered(8)
    .collect::<Vec<_>>()
    .await;
    let mut found = Vec::new();
    for id in tagged {
        if let Some(id) = id?
            && let Some(key) = read_key(dev, region, &id).await?
            && !key.state.starts_with("Pending")
        {
            found.push(key);
        }
    }
    found.sort_by(|a, b| a.arn.cmp(&b.arn));
    Ok(found.into_iter().next())
}

/// Reads the customer managed keys that input and output bucket are encrypted with, and the one that the deploy action declares.
pub(super) async fn customer_keys(
    dev: &Account,
    prod: &Account,
    home: &str,
    target: &str,
    buckets: [&BucketSlot; 2],
    declared: Option<&str>,
) -> BTreeMap<String, Readable<KeyFound>> {
    let [input, output] = buckets;
    let wanted = [(dev, home, input), (prod, target, output)].into_iter().filter_map(|(account, region, slot)| {
        let encryption = slot.found.as_ref()?.encryption.as_ref()?.known()?;
        let key = encryption.key.clone().filter(|_| encryption.algorithm.starts_with("aws:kms"))?;
        Some((account, region, key))
    });
    let mut wanted: Vec<_> = wanted.collect();
    if let Some(key) = declared.filter(|key| !wanted.iter().any(|(_, _, there)| there == key)) {
        wanted.push((prod, target, key.to_owned()));
    }
    let read = wanted.into_iter().map(|(account, region, key)| async move {
        // The key may be the other side's: whoever owns it can read its policy.
        let owner = key.parse::<Arn>().map(|arn| arn.account).unwrap_or_else(|_| account.id.clone());
        let reader = [dev, prod].into_iter().find(|side| side.id == owner).unwrap_or(account);
        if !reader.logged_in {
            // Of its own buckets' keys a side tells those that are a customer's.
            let told = declared != Some(key.as_str());
            return (!told).then(|| (key, Readable::Unknown(format!("nobody is logged in to account {}", reader.id))));
        }
        let found = match read_key(reader, region, &key).await {
            Ok(Some(found)) if found.manager == "AWS" => return None,
            Ok(Some(found)) => Readable::Known(found),
            Ok(None) => Readable::Unknown("there is no such key, or it is another account's".to_owned()),
            Err(error) => Readable::Unknown(error.told()),
        };
        Some((key, found))
    });
    join_all(read).await.into_iter().flatten().collect()
}
