//! A2.2 and A5: the artifact bucket of each store, and production's way into it.

use super::buckets::{block_public_access, create};
use super::{Context, Draft};
use crate::deploy::blueprint::{Blueprint, Store};
use crate::deploy::names::{self, TAG};
use crate::deploy::snapshot::BucketFound;
use crate::deploy::write::{Call, Note, Step, Write};
use crate::error::{Error, Result};
use crate::model::{Readable, Side};
use crate::policy;
use serde_json::{Value, json};

fn found<'a>(context: &Context<'a>, store: &Store) -> Option<&'a BucketFound> {
    context.snapshot.artifact_buckets.get(&store.region).and_then(|slot| slot.found.as_ref())
}

fn made_by_us(found: Option<&BucketFound>) -> bool {
    found.is_none_or(|found| found.tags.contains_key(TAG))
}

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    for store in &blueprint.stores {
        let arn = blueprint.dev.bucket(&store.bucket);
        let found = found(context, store);
        if store.bucket == blueprint.input_bucket || store.bucket == blueprint.output_bucket {
            draft.notes.push(Note::warning(format!("{} is artifact bucket and source or target at once", store.bucket)));
        }
        if found.is_none() {
            let asked = context.settings.artifact_bucket.as_ref().is_some_and(|asked| asked.as_str() == store.bucket);
            if asked && !context.settings.create_buckets {
                return Err(Error::refused(format!("there is no artifact bucket {} in dev ({})", store.bucket, blueprint.dev.account))
                    .hint("pass `--create-buckets` to make it, or leave `--artifact-bucket` out for the default one"));
            }
            draft.writes.push(create(Side::Dev, Step::ServiceRole, &arn, &store.bucket, &store.region, "artifact"));
        }
        if !made_by_us(found) {
            continue;
        }
        if found.is_none_or(|found| found.public_access_blocked != Some(true)) {
            draft.writes.push(block_public_access(Side::Dev, Step::ServiceRole, &arn, &store.bucket, &store.region));
        }
        // A bucket that pipelines share keeps the key that it was made with.
        let encrypted = found.and_then(|found| found.encryption.as_ref()).is_some_and(|encryption| match encryption {
            Readable::Known(encryption) => encryption.algorithm == "aws:kms" && encryption.key.is_some(),
            Readable::Unknown(_) => true,
        });
        if !encrypted {
            let call = Call::EncryptBucket { bucket: store.bucket.clone(), region: store.region.clone(), key: store.key.clone() };
            let title = format!("default encryption of {}: the key in {}", store.bucket, store.region);
            draft.writes.push(
                Write::new(Side::Dev, Step::ServiceRole, &arn, &arn, title, call)
                    .needs([format!("bucket:{}", store.bucket), format!("key:{}", store.region)]),
            );
        }
    }
    Ok(())
}

/// The Sids of the console's two denies (facts/codepipeline.md B.2).
pub fn deny_sids() -> [&'static str; 2] {
    ["DenyUnEncryptedObjectUploads", "DenyInsecureConnections"]
}

fn denies(blueprint: &Blueprint, bucket: &str) -> Vec<Value> {
    let [unencrypted, insecure] = deny_sids();
    let arn = blueprint.dev.bucket(bucket);
    vec![
        json!({"Sid": unencrypted, "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": format!("{arn}/*"),
            "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}}),
        // As the console writes it: objects only, not the bucket itself (facts B.2; F.2 would harden it).
        json!({"Sid": insecure, "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": format!("{arn}/*"),
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
    ]
}

/// A5's two statements.
fn statements(blueprint: &Blueprint, bucket: &str) -> Vec<Value> {
    let arn = blueprint.dev.bucket(bucket);
    let production = json!({"AWS": blueprint.prod.root()});
    vec![
        json!({"Sid": blueprint.sid("ArtifactObjects"), "Effect": "Allow", "Principal": production,
            "Action": ["s3:Get*", "s3:Put*"], "Resource": format!("{arn}/*")}),
        json!({"Sid": blueprint.sid("ArtifactList"), "Effect": "Allow", "Principal": production,
            "Action": "s3:ListBucket", "Resource": arn}),
    ]
}

pub fn wants_policy(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    for store in &blueprint.stores {
        let arn = blueprint.dev.bucket(&store.bucket);
        let found = found(context, store);
        let live = found.and_then(|found| found.policy.as_ref());
        let mut wanted = Vec::new();
        if made_by_us(found) {
            wanted.extend(denies(blueprint, &store.bucket));
        }
        let ours = statements(blueprint, &store.bucket);
        let theirs = live.map(names::by_others);
        let granted = policy::grants_of(&ours).iter().all(|grant| theirs.as_ref().is_some_and(|theirs| policy::covers(theirs, grant)));
        let ours_there = live.is_some_and(|live| policy::sids(live).contains(blueprint.sid("ArtifactObjects").as_str()));
        if !granted || ours_there {
            wanted.extend(ours);
        }
        let empty = json!({"Version": "2012-10-17", "Id": "SSEAndSSLPolicy", "Statement": []});
        let after = policy::merge(Some(live.unwrap_or(&empty)), &wanted);
        if live == Some(&after) {
            continue;
        }
        let call = Call::PutBucketPolicy { bucket: store.bucket.clone(), region: store.region.clone(), before: live.cloned(), after };
        let title = format!("policy of {}: account {} may read and write artifacts", store.bucket, blueprint.prod.account);
        draft.writes.push(Write::new(Side::Dev, Step::BucketPolicy, &arn, &arn, title, call).needs([format!("bucket:{}", store.bucket)]));
    }
    Ok(())
}
