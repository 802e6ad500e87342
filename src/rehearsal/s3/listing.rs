//! Lists of buckets, of objects and of their versions.

use super::access::{self, canonical_id, permit};
use super::bucket::{Bucket, Version};
use super::instant;
use super::store::bucket;
use super::xml::{self, element, leaf};
use crate::rehearsal::state::State;
use crate::rehearsal::wire::{Answer, Call, Fault, Outcome, percent_encode};
use aws_smithy_types::base64;
use std::collections::BTreeSet;

fn owner(account: &str) -> String {
    element("Owner", leaf("ID", canonical_id(account)))
}

fn limit(call: &Call, name: &str, most: usize) -> Outcome<usize> {
    let Some(text) = call.parameter(name) else { return Ok(most) };
    let number = text.parse::<usize>().map_err(|_| Fault::new(400, "InvalidArgument", format!("Provided {name} not an integer")))?;
    Ok(number.min(most))
}

/// Gives where the page before ended.
fn after_token(call: &Call) -> Outcome<Option<String>> {
    let Some(token) = call.parameter("continuation-token") else { return Ok(None) };
    let wrong = || Fault::new(400, "InvalidArgument", "The continuation token provided is incorrect");
    let bytes = base64::decode(token).map_err(|_| wrong())?;
    String::from_utf8(bytes).map(Some).map_err(|_| wrong())
}

/// Lists the caller's buckets of all regions.
pub(super) fn buckets(state: &mut State, call: &Call) -> Outcome<Answer> {
    access::permit_list(state, call)?;
    let prefix = call.parameter("prefix").unwrap_or_default();
    let region = call.parameter("bucket-region").filter(|region| !region.is_empty());
    let after = after_token(call)?;
    let most = limit(call, "max-buckets", 10_000)?;
    let fits = |bucket: &&Bucket| {
        bucket.owner == call.caller.account
            && bucket.name.starts_with(prefix)
            && region.is_none_or(|region| bucket.region == region)
            && after.as_ref().is_none_or(|after| bucket.name > *after)
    };
    let found: Vec<&Bucket> = state.buckets.values().filter(fits).collect();
    let page = &found[..found.len().min(most)];
    let one = |bucket: &&Bucket| {
        let (name, created) = (leaf("Name", &bucket.name), leaf("CreationDate", instant(bucket.created)));
        element("Bucket", name + &created + &leaf("BucketRegion", &bucket.region))
    };
    let mut inner = owner(&call.caller.account) + &element("Buckets", page.iter().map(one).collect::<String>());
    if let Some(last) = page.last().filter(|_| found.len() > page.len()) {
        inner.push_str(&leaf("ContinuationToken", base64::encode(&last.name)));
    }
    if !prefix.is_empty() {
        inner.push_str(&leaf("Prefix", prefix));
    }
    Ok(xml::document("ListAllMyBucketsResult", inner))
}

/// How keys are written.
fn encoder(call: &Call) -> impl Fn(&str) -> String {
    let encodes = call.parameter("encoding-type") == Some("url");
    // As S3 does: like a form, but for a slash and a star, which stay, and a tilde, which doesn't.
    let encode = |key: &str| percent_encode(key).replace("%20", "+").replace("%2F", "/").replace("%2A", "*").replace('~', "%7E");
    move |key: &str| if encodes { encode(key) } else { key.to_owned() }
}

fn storage(version: &Version) -> String {
    let Some(content) = &version.content else { return String::new() };
    let checksum = leaf("ChecksumAlgorithm", content.checksum.0.to_ascii_uppercase()) + &leaf("ChecksumType", "FULL_OBJECT");
    leaf("ETag", format!("\"{}\"", content.etag)) + &checksum + &leaf("Size", content.size) + &leaf("StorageClass", "STANDARD")
}

/// Gives what stands for a key in a list with a delimiter, if it is not the key itself.
fn group(key: &str, prefix: &str, delimiter: &str) -> Option<String> {
    if delimiter.is_empty() {
        return None;
    }
    let rest = key.strip_prefix(prefix)?;
    let end = rest.find(delimiter)? + delimiter.len();
    Some(format!("{prefix}{}", rest.get(..end)?))
}

/// Lists what is there, by either version of the call.
pub(super) fn objects(state: &mut State, call: &Call, name: &str) -> Outcome<Answer> {
    permit(state, call, name, None, "s3:ListBucket", &[])?;
    let second = call.parameter("list-type") == Some("2");
    let (prefix, delimiter) = (call.parameter("prefix").unwrap_or_default(), call.parameter("delimiter").unwrap_or_default());
    let most = limit(call, "max-keys", 1000)?;
    let start = if second { call.parameter("start-after") } else { call.parameter("marker") };
    let after = after_token(call)?.filter(|_| second).or_else(|| start.map(str::to_owned)).unwrap_or_default();
    let encoded = encoder(call);
    let held = bucket(state, name)?;
    let with_owner = !second || call.parameter("fetch-owner") == Some("true");
    let (mut inner, mut groups, mut last, mut count, mut more) = (String::new(), BTreeSet::new(), String::new(), 0, false);
    for (key, versions) in &held.objects {
        let Some(version) = versions.last().filter(|version| version.content.is_some()) else { continue };
        if !key.starts_with(prefix) {
            continue;
        }
        let group = group(key, prefix, delimiter);
        let place = group.as_ref().unwrap_or(key);
        if *place <= after || groups.contains(place) {
            continue;
        }
        if count == most {
            more = true;
            break;
        }
        count += 1;
        last.clone_from(place);
        if let Some(group) = group {
            groups.insert(group);
            continue;
        }
        let mut one = leaf("Key", encoded(key)) + &leaf("LastModified", instant(version.modified)) + &storage(version);
        if with_owner {
            one.push_str(&owner(access::owner_of(held, version)));
        }
        inner.push_str(&element("Contents", one));
    }
    for group in &groups {
        inner.push_str(&element("CommonPrefixes", leaf("Prefix", encoded(group))));
    }
    let mut head = leaf("Name", name) + &leaf("Prefix", encoded(prefix)) + &leaf("MaxKeys", most) + &leaf("IsTruncated", more);
    if !delimiter.is_empty() {
        head.push_str(&leaf("Delimiter", encoded(delimiter)));
    }
    if call.parameter("encoding-type") == Some("url") {
        head.push_str(&leaf("EncodingType", "url"));
    }
    if second {
        head.push_str(&leaf("KeyCount", count));
        head.push_str(&call.parameter("continuation-token").map(|text| leaf("ContinuationToken", text)).unwrap_or_default());
        head.push_str(&call.parameter("start-after").map(|text| leaf("StartAfter", encoded(text))).unwrap_or_default());
        if more {
            head.push_str(&leaf("NextContinuationToken", base64::encode(&last)));
        }
    } else {
        head.push_str(&leaf("Marker", encoded(&after)));
        if more && !delimiter.is_empty() {
            head.push_str(&leaf("NextMarker", encoded(&last)));
        }
    }
    Ok(xml::document("ListBucketResult", head + &inner))
}

/// Lists all versions and delete markers, the newest of a key first.
pub(super) fn versions(state: &mut State, call: &Call, name: &str) -> Outcome<Answer> {
    permit(state, call, name, None, "s3:ListBucketVersions", &[])?;
    let (prefix, delimiter) = (call.parameter("prefix").unwrap_or_default(), call.parameter("delimiter").unwrap_or_default());
    let most = limit(call, "max-keys", 1000)?;
    let marker = call.parameter("key-marker").unwrap_or_default();
    let marked = call.parameter("version-id-marker").filter(|id| !id.is_empty());
    let encoded = encoder(call);
    let held = bucket(state, name)?;
    let (mut inner, mut groups, mut last, mut count, mut more) = (String::new(), BTreeSet::new(), (String::new(), String::new()), 0, false);
    'keys: for (key, versions) in held.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        let group = group(key, prefix, delimiter);
        let place = group.as_ref().unwrap_or(key);
        if place.as_str() < marker || (place == marker && marked.is_none()) || groups.contains(place) {
            continue;
        }
        let newest = versions.last().map(|version| version.id.as_str());
        let mut passed = place != marker;
        for version in versions.iter().rev() {
            if !passed {
                passed = marked == Some(version.id.as_str());
                continue;
            }
            if count == most {
                more = true;
                break 'keys;
            }
            count += 1;
            last = (place.clone(), version.id.clone());
            if let Some(group) = &group {
                groups.insert(group.clone());
                break;
            }
            let of = leaf("Key", encoded(key))
                + &leaf("VersionId", &version.id)
                + &leaf("IsLatest", newest == Some(version.id.as_str()))
                + &leaf("LastModified", instant(version.modified))
                + &storage(version)
                + &owner(access::owner_of(held, version));
            inner.push_str(&element(if version.content.is_some() { "Version" } else { "DeleteMarker" }, of));
        }
    }
    for group in &groups {
        inner.push_str(&element("CommonPrefixes", leaf("Prefix", encoded(group))));
    }
    let mut head = leaf("Name", name)
        + &leaf("Prefix", encoded(prefix))
        + &leaf("KeyMarker", encoded(marker))
        + &leaf("VersionIdMarker", marked.unwrap_or_default())
        + &leaf("MaxKeys", most)
        + &leaf("IsTruncated", more);
    if !delimiter.is_empty() {
        head.push_str(&leaf("Delimiter", encoded(delimiter)));
    }
    if call.parameter("encoding-type") == Some("url") {
        head.push_str(&leaf("EncodingType", "url"));
    }
    if more {
        head.push_str(&(leaf("NextKeyMarker", encoded(&last.0)) + &leaf("NextVersionIdMarker", last.1)));
    }
    Ok(xml::document("ListVersionsResult", head + &inner))
}
