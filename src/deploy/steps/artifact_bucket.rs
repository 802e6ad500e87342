//! A2.2 and A5: the artifact bucket of each store, and production's way into it.

use super::buckets::{block_public_access, create};
use super::{Context, Draft, brought_up_to_date, granted_beside_us, has_ours, least};
use crate::deploy::blueprint::{Blueprint, Store};
use crate::deploy::names::{self, TAG};
use crate::deploy::snapshot::BucketFound;
use crate::deploy::write::{Call, Note, Step, Write};
use crate::error::{Error, Result};
use crate::model::{Policies, Readable, Side};
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
    let insecure_resource = match blueprint.policies {
        // As the console writes it: objects only, not the bucket itself (facts B.2).
        Policies::Article => json!(format!("{arn}/*")),
        Policies::LeastPrivilege => json!([arn, format!("{arn}/*")]),
    };
    vec![
        json!({"Sid": unencrypted, "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": format!("{arn}/*"),
            "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}}),
        json!({"Sid": insecure, "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": insecure_resource,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
    ]
}

/// Says whether a statement is this one, only of more resources: pipelines of both styles may share a bucket, and none of them
/// makes the other's deny narrower.
fn denies_more(live: &Value, wanted: &Value) -> bool {
    let alone = |statement: &Value| json!({"Version": "2012-10-17", "Statement": [statement]});
    let mut of_the_same = live.clone();
    of_the_same["Resource"] = wanted["Resource"].clone();
    let wide = policy::names_in(live.get("Resource"));
    let covered = |narrow: &&str| wide.iter().any(|wide| policy::matches_pattern(wide, narrow));
    policy::same_grants(&alone(&of_the_same), &alone(wanted)) && policy::names_in(wanted.get("Resource")).iter().all(covered)
}

/// A5's two statements, or the one that is enough.
fn statements(blueprint: &Blueprint, store: &Store) -> Vec<Value> {
    if blueprint.policies == Policies::LeastPrivilege {
        return least::bucket_statements(blueprint, store);
    }
    let arn = blueprint.dev.bucket(&store.bucket);
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
            let there = live.map(policy::statements).unwrap_or_default();
            let denies = denies(blueprint, &store.bucket).into_iter();
            wanted.extend(denies.filter(|deny| !there.iter().any(|live| live.get("Sid") == deny.get("Sid") && denies_more(live, deny))));
        }
        let ours = statements(blueprint, store);
        let theirs = live.map(names::by_others).unwrap_or_default();
        if !granted_beside_us(context, &theirs, &ours) || live.is_some_and(|live| has_ours(blueprint, live, &names::OF_THE_BUCKET)) {
            wanted.extend(ours);
        }
        let empty = json!({"Version": "2012-10-17", "Id": "SSEAndSSLPolicy", "Statement": []});
        let after = brought_up_to_date(blueprint, live.unwrap_or(&empty), &wanted, &names::OF_THE_BUCKET);
        if live == after.as_ref() {
            continue;
        }
        let (bucket, region) = (store.bucket.clone(), store.region.clone());
        let call = match (after, live) {
            (Some(after), _) => Call::PutBucketPolicy { bucket, region, before: live.cloned(), after },
            (None, Some(live)) => Call::DeleteBucketPolicy { bucket, region, before: live.clone() },
            (None, None) => continue,
        };
        let what = match blueprint.policies {
            Policies::Article => format!("account {} may read and write artifacts", blueprint.prod.account),
            Policies::LeastPrivilege if blueprint.read_store() == Some(store) => {
                format!("{} may read artifacts", blueprint.deploy_role.name)
            }
            Policies::LeastPrivilege => format!("account {} has no part in it", blueprint.prod.account),
        };
        let title = format!("policy of {}: {what}", store.bucket);
        draft.writes.push(Write::new(Side::Dev, Step::BucketPolicy, &arn, &arn, title, call).needs([format!("bucket:{}", store.bucket)]));
    }
    Ok(())
}
