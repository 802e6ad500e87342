//! A8's end: what arrived in the output bucket, who owns it, with which key it is encrypted, and what stays there.

use super::release::Route;
use crate::aws::{Accounts, decoded_key, present};
use crate::error::Result;
use crate::model::counted;
use aws_sdk_s3::types::{EncodingType, Object};
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many objects are asked for their encryption key: one request each.
const HEADS: usize = 1000;

/// An object that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrived {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: i64,
    /// Production owns it; `None` where S3 didn't say who does.
    pub owned_by_production: Option<bool>,
    /// `AES256`, `aws:kms`, …; `None` where it wasn't asked.
    pub encryption: Option<String>,
    /// The KMS key it is encrypted with.
    pub kms_key: Option<String>,
    /// It was written after the upload.
    pub fresh: bool,
}

/// What a release left in the output bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrival {
    /// The objects.
    pub objects: Vec<Arrived>,
    /// Keys that should be there and aren't.
    pub missing: Vec<String>,
    /// Why nobody knows which objects should be there, so that none was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_looked_for: Option<String>,
    /// The bucket's object ownership; `None` where it can't be read.
    pub ownership: Option<String>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Lists what arrived, with its owner and its key.
///
/// # Errors
/// The output bucket can't be listed.
pub async fn arrival(accounts: &Accounts, route: &Route, wanted: &[String], since: std::time::SystemTime) -> Result<Arrival> {
    let prod = &accounts.prod;
    let s3 = prod.s3(&route.target_region);
    let bucket = &route.output_bucket;
    let arn = format!("arn:{}:s3:::{bucket}", prod.partition);
    let ownership = async {
        let request = s3.get_bucket_ownership_controls().bucket(bucket).expected_bucket_owner(&prod.id).send();
        let got = prod.call("s3:GetBucketOwnershipControls", &arn, request).await;
        let got = present(got, &["OwnershipControlsNotFoundError"]).ok()?;
        let rules = got.as_ref().and_then(|got| got.ownership_controls()).map(|controls| controls.rules()).unwrap_or_default();
        Some(rules.first().map_or("ObjectWriter", |rule| rule.object_ownership().as_str()).to_owned())
    };
    let canonical = async {
        let list = prod.call("s3:ListAllMyBuckets", "*", s3.list_buckets().max_buckets(1).send()).await.ok()?;
        list.owner().and_then(|owner| owner.id()).map(str::to_owned)
    };
    let (ownership, canonical, listed) = tokio::join!(ownership, canonical, list(accounts, route, wanted));
    let listed = listed?;
    // S3 gives whole seconds.
    let since = since.duration_since(std::time::UNIX_EPOCH).map(|since| i64::try_from(since.as_secs()).unwrap_or(0)).unwrap_or(0);
    let enforced = ownership.as_deref() == Some("BucketOwnerEnforced");
    let mut objects = Vec::new();
    let mut missing = Vec::new();
    for key in wanted {
        let Some(object) = listed.get(key) else {
            missing.push(key.clone());
            continue;
        };
        let owner = object.owner().and_then(|owner| owner.id());
        let owned = match (enforced, owner, &canonical) {
            // With ACLs disabled the bucket's owner owns every object, whoever wrote it (facts F.2).
            (true, _, _) => Some(true),
            (false, Some(owner), Some(canonical)) => Some(owner == canonical),
            _ => None,
        };
        objects.push(Arrived {
            key: key.clone(),
            size: object.size().unwrap_or_default(),
            owned_by_production: owned,
            encryption: None,
            kms_key: None,
            fresh: object.last_modified().is_none_or(|at| at.secs() + 1 >= since),
        });
    }
    heads(accounts, route, &mut objects).await?;
    let mut warnings = Vec::new();
    let not_looked_for = route.unforeseen();
    if let Some(why) = &not_looked_for {
        warnings.push(format!("what arrived was not looked for: {why}"));
    }
    let dev_keys: BTreeSet<&str> = objects
        .iter()
        .filter_map(|object| object.kms_key.as_deref())
        .filter(|key| route.store_keys.iter().any(|store| store == key) || key.split(':').nth(4) == Some(accounts.dev.id.as_str()))
        .collect();
    for key in dev_keys {
        warnings
            .push(format!("objects are encrypted with the development account's key {key}: production's readers need kms:Decrypt on it"));
    }
    if objects.len() > HEADS {
        warnings.push(format!("only the first {HEADS} objects were asked for their encryption"));
    }
    let stale = objects.iter().filter(|object| !object.fresh).count();
    if stale > 0 {
        warnings.push(format!(
            "{} than the upload: this execution did not write {}",
            counted(stale, "object is older", "objects are older"),
            if stale == 1 { "it" } else { "them" }
        ));
    }
    if objects.iter().any(|object| object.owned_by_production.is_none()) {
        warnings.push("who owns the objects could not be read".to_owned());
    }
    Ok(Arrival { objects, missing, not_looked_for, ownership, warnings })
}

/// What an earlier release, or somebody else, left beside the wanted keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftBehind {
    /// Their keys, as far as one page goes.
    pub keys: Vec<String>,
    /// There are more objects than were listed.
    pub more: bool,
}

impl LeftBehind {
    /// Says how many there are, and names one; `None` where none was seen.
    pub fn told(&self) -> Option<String> {
        let one = self.keys.first()?;
        let least = if self.more { "at least " } else { "" };
        let count = counted(self.keys.len(), "other object is there", "other objects are there");
        Some(format!("{least}{count}, such as {one}"))
    }
}

/// Lists keys beside the wanted ones where an archive is extracted to, as far as one page goes; none where they can't be listed.
/// CodePipeline deletes nothing, so they stay (facts A.4).
pub async fn left_behind(accounts: &Accounts, route: &Route, wanted: &[String]) -> LeftBehind {
    if !route.extract || wanted.is_empty() {
        return LeftBehind::default();
    }
    let prod = &accounts.prod;
    let folder = route.path.as_ref().filter(|path| !path.is_empty()).map(|path| format!("{path}/")).unwrap_or_default();
    let s3 = prod.s3(&route.target_region);
    let arn = format!("arn:{}:s3:::{}", prod.partition, route.output_bucket);
    let mut token = None;
    let page = loop {
        let request = s3.list_objects_v2().bucket(&route.output_bucket).prefix(&folder).encoding_type(EncodingType::Url);
        let request = request.set_continuation_token(token).expected_bucket_owner(&prod.id);
        let Ok(page) = prod.call("s3:ListBucket", &arn, request.send()).await else { return LeftBehind::default() };
        token = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true)).map(str::to_owned);
        // A page may be empty although another follows.
        if token.is_none() || !page.contents().is_empty() {
            break page;
        }
    };
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let keys = page.contents().iter().filter_map(|object| object.key()).map(|key| decoded_key(key, page.encoding_type()));
    LeftBehind { keys: keys.filter(|key| !wanted.contains(key.as_str())).collect(), more: token.is_some() }
}

/// Lists the output bucket below what all wanted keys have in common.
async fn list(accounts: &Accounts, route: &Route, wanted: &[String]) -> Result<BTreeMap<String, Object>> {
    let prod = &accounts.prod;
    let s3 = prod.s3(&route.target_region);
    let arn = format!("arn:{}:s3:::{}", prod.partition, route.output_bucket);
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let prefix = common_prefix(wanted);
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let mut found = BTreeMap::new();
    let mut token = None;
    loop {
        let request = s3
            .list_objects_v2()
            .bucket(&route.output_bucket)
            .prefix(&prefix)
            .fetch_owner(true)
            .encoding_type(EncodingType::Url)
            .set_continuation_token(token)
            .expected_bucket_owner(&prod.id)
            .send();
        let page = prod.call("s3:ListBucket", &arn, request).await?;
        for object in page.contents() {
            let key = object.key().map(|key| decoded_key(key, page.encoding_type()));
            if let Some(key) = key.filter(|key| wanted.contains(key.as_str())) {
                found.insert(key, object.clone());
            }
        }
        token = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true)).map(str::to_owned);
        if token.is_none() || found.len() == wanted.len() {
            return Ok(found);
        }
    }
}

fn common_prefix(keys: &[String]) -> String {
    let Some(first) = keys.first() else { return String::new() };
    let shared = keys.iter().map(|key| first.bytes().zip(key.bytes()).take_while(|(a, b)| a == b).count()).min().unwrap_or(0);
    (0..=shared).rev().find(|end| first.is_char_boundary(*end)).map(|end| first[..end].to_owned()).unwrap_or_default()
}

async fn heads(accounts: &Accounts, route: &Route, objects: &mut [Arrived]) -> Result<()> {
    let prod = &accounts.prod;
    let s3 = prod.s3(&route.target_region);
    let asked = stream::iter(objects.iter().take(HEADS).enumerate().map(|(index, object)| {
        let request = s3.head_object().bucket(&route.output_bucket).key(&object.key).expected_bucket_owner(&prod.id);
        let arn = format!("arn:{}:s3:::{}/{}", prod.partition, route.output_bucket, object.key);
        async move { (index, prod.call("s3:GetObject", arn, request.send()).await) }
    }))
    .buffer_unordered(8)
    .collect::<Vec<_>>()
    .await;
    for (index, head) in asked {
        // Who may list may not always read; the owner is what matters.
        let Ok(head) = head else { continue };
        objects[index].encryption = head.server_side_encryption().map(|encryption| encryption.as_str().to_owned());
        objects[index].kms_key = head.ssekms_key_id().map(str::to_owned);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_listing_counts_at_least() {
        let left = |more| LeftBehind { keys: vec!["old.html".to_owned()], more };
        assert_eq!(left(true).told().unwrap(), "at least 1 other object is there, such as old.html");
        assert_eq!(left(false).told().unwrap(), "1 other object is there, such as old.html");
        assert_eq!(LeftBehind::default().told(), None);
    }

    #[test]
    fn the_common_prefix_never_cuts_a_character() {
        let keys = ["säge/a".to_owned(), "säbel/b".to_owned()];
        assert_eq!(common_prefix(&keys), "sä");
        assert_eq!(common_prefix(&["ä".to_owned(), "ö".to_owned()]), "");
        assert_eq!(common_prefix(&[]), "");
    }
}
