//! Reads buckets: where they are, and as much of them as their step needs.

use super::Purpose;
use super::pipeline::pipeline_tags;
use crate::aws::raw::KeepBody;
use crate::aws::{Account, ApiError, ApiResult, decoded_key, present};
use crate::deploy::declaration;
use crate::deploy::snapshot::{BucketFound, BucketSlot, DevHalf, Encryption, Tags, is_own};
use crate::error::{Error, Kind, Result};
use crate::model::Readable;
use crate::settings::Settings;
use aws_sdk_s3::types::EncodingType;
use serde_json::Value;

/// Gives the region of a bucket of this account; `None` if there is no such bucket.
///
/// # Errors
/// The bucket belongs to somebody else, or the caller may not see it.
pub async fn head_bucket(account: &Account, region: &str, bucket: &str) -> Result<Option<String>> {
    let s3 = account.s3(region);
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let answer = account.call("s3:ListBucket", &arn, s3.head_bucket().bucket(bucket).expected_bucket_owner(&account.id).send()).await;
    match answer {
        Ok(head) => Ok(Some(head.bucket_region().unwrap_or(region).to_owned())),
        Err(error) if error.is(&["NotFound", "NoSuchBucket", "Http404"]) => Ok(None),
        // In another region S3 answers with a redirect that names the region (facts D.1, HeadBucket).
        Err(error) if matches!(error.status, Some(301 | 307 | 400)) && error.bucket_region.as_deref().is_some_and(|r| r != region) => {
            let actual = error.bucket_region.clone().unwrap_or_default();
            let again = account.s3(&actual);
            account
                .call("s3:ListBucket", &arn, again.head_bucket().bucket(bucket).expected_bucket_owner(&account.id).send())
                .await
                .map_err(|e| stranger(bucket, account, e))?;
            Ok(Some(actual))
        }
        Err(error) => Err(stranger(bucket, account, error)),
    }
}

fn stranger(bucket: &str, account: &Account, error: Box<ApiError>) -> Error {
    // Whether the bucket may be used isn't known if the call was refused for its time.
    if !error.is_denied() || error.skew.is_some() {
        return Error::from(error);
    }
    Error::new(Kind::Denied, format!("bucket {bucket} is not one that {} ({}) may use", account.side, account.id))
        .because(error.told())
        .hint(format!(
            "it belongs to another account, or {} lacks s3:ListBucket on it: name a bucket of account {}",
            account.caller, account.id
        ))
}

/// Gives the region of a bucket of another account: S3 says it also to whom it refuses (facts D.1, HeadBucket); `None` if there
/// is no such bucket.
///
/// # Errors
/// S3 didn't answer, or didn't say it.
pub(super) async fn stranger_s_region(account: &Account, region: &str, bucket: &str) -> Result<Option<String>> {
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let asked = account.call("s3:ListBucket", &arn, account.s3(region).head_bucket().bucket(bucket).send()).await;
    match asked {
        Ok(head) => Ok(Some(head.bucket_region().unwrap_or(region).to_owned())),
        Err(error) if error.is(&["NotFound", "NoSuchBucket", "Http404"]) => Ok(None),
        Err(error) => match &error.bucket_region {
            Some(region) => Ok(Some(region.clone())),
            None => Err(Error::from(error).hint("pass `--prod-region REGION`, the region of the output bucket")),
        },
    }
}

/// Looks from production at the artifact buckets that development told, since its role will be allowed to read them; gives those
/// of which it can't be told whether they are production's own.
///
/// # Errors
/// One of them isn't there any more, or is production's.
pub(super) async fn look_at_told_buckets(prod: &Account, told: &DevHalf) -> Result<Vec<String>> {
    let mut untold = Vec::new();
    for (region, slot) in &told.artifact_buckets {
        let own = || {
            Error::refused(format!("the hand-off names artifact bucket {}, which is production's own", slot.name))
                .hint("artifacts are in a bucket of the development account: ask there for a hand-off that says so")
        };
        match head_bucket(prod, region, &slot.name).await {
            Ok(Some(_)) => return Err(own()),
            Ok(None) if slot.found.is_none() => {}
            Ok(None) => {
                return Err(Error::refused(format!("the hand-off is stale: artifact bucket {} is gone", slot.name))
                    .hint("ask development to run its command again, and take the file that it writes"));
            }
            // S3 says the same to an account that isn't the owner's, and to a user of the owner's who may not see the bucket.
            Err(error) if error.kind == Kind::Denied => match list_named(prod, region, &slot.name).await {
                Ok(true) => return Err(own()),
                Ok(false) => {}
                Err(error) => {
                    untold.push(format!("whether artifact bucket {} is production's own can't be told: {}", slot.name, error.told()));
                }
            },
            Err(error) => return Err(error),
        }
    }
    Ok(untold)
}

/// Says whether an account owns a bucket of this name, by its list.
async fn list_named(account: &Account, region: &str, name: &str) -> ApiResult<bool> {
    let s3 = account.s3(region);
    let mut token = None;
    loop {
        let request = s3.list_buckets().prefix(name).max_buckets(1000).set_continuation_token(token).send();
        let page = account.call("s3:ListAllMyBuckets", "*", request).await?;
        if page.buckets().iter().any(|bucket| bucket.name() == Some(name)) {
            return Ok(true);
        }
        token = page.continuation_token().map(str::to_owned);
        if token.is_none() {
            return Ok(false);
        }
    }
}

pub(super) async fn read_artifact_bucket(
    dev: &Account,
    region: &str,
    home: &str,
    settings: &Settings,
    declaration: Option<&Value>,
    purpose: Purpose,
) -> Result<BucketSlot> {
    let declared = declaration.and_then(|d| declaration::store(d, region, home)).and_then(declaration::store_bucket).map(str::to_owned);
    let asked = settings.artifact_bucket.as_ref().filter(|_| region == home).map(ToString::to_string);
    let default = format!("codepipeline-{region}-{}", dev.id);
    if let (Some(asked), Some(declared)) = (&asked, &declared)
        && asked != declared
    {
        return Err(Error::refused(format!("the artifact bucket of pipeline {} is {declared}, not {asked}", settings.pipeline))
            .hint("leave `--artifact-bucket` out: a pipeline that exists keeps its artifact store"));
    }
    let name = match declared.or(asked) {
        Some(name) => name,
        None => match like_the_console(dev, region).await? {
            Some(name) => name,
            // The default's name begins as the console's do, so the list that was empty would have shown it.
            None => return Ok(BucketSlot { name: default, found: None }),
        },
    };
    let Some(actual) = head_bucket(dev, region, &name).await? else { return Ok(BucketSlot { name, found: None }) };
    if actual != region {
        return Err(Error::refused(format!("artifact bucket {name} is in {actual}, not in {region}"))
            .hint(format!("an artifact bucket must be in its store's region: name another with `--artifact-bucket`, or set the pipeline's region with `--region {actual}`")));
    }
    // What can't be read is not replaced by our statements.
    let (policy, encryption, blocked, tags) = tokio::try_join!(
        bucket_policy(dev, region, &name),
        async { Ok(read_encryption(dev, region, &name).await) },
        public_access_blocked(dev, region, &name),
        bucket_tags(dev, region, &name),
    )?;
    let empty = if purpose == Purpose::Teardown { Some(is_empty(dev, region, &name).await?) } else { None };
    Ok(BucketSlot {
        found: Some(BucketFound {
            region: actual,
            policy,
            encryption: Some(encryption),
            public_access_blocked: Some(blocked.0),
            restricts_public: Some(blocked.1),
            tags,
            empty,
            ..BucketFound::default()
        }),
        name,
    })
}

/// Finds the artifact bucket that the console would use: the first whose name begins so (facts B.2).
async fn like_the_console(dev: &Account, region: &str) -> Result<Option<String>> {
    let prefix = format!("codepipeline-{region}-");
    let s3 = dev.s3(region);
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let page = dev
            .call("s3:ListAllMyBuckets", "*", s3.list_buckets().prefix(&prefix).max_buckets(1000).set_continuation_token(token).send())
            .await?;
        names.extend(page.buckets().iter().filter_map(|bucket| bucket.name()).filter(|name| name.starts_with(&prefix)).map(str::to_owned));
        token = page.continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    names.sort();
    Ok(names.into_iter().next())
}

/// Reads a bucket's policy; S3 alone says that there is none, by its own code.
async fn bucket_policy(account: &Account, region: &str, bucket: &str) -> ApiResult<Option<Value>> {
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let request = account.s3(region).get_bucket_policy().bucket(bucket).expected_bucket_owner(&account.id).send();
    let got = present(account.call("s3:GetBucketPolicy", &arn, request).await, &["NoSuchBucketPolicy"])?;
    got.map(|got| account.document("s3:GetBucketPolicy", &arn, got.policy())).transpose()
}

/// Reads a policy that only the proof needs, so that not being allowed to is no reason to stop.
async fn judged_policy(account: &Account, region: &str, bucket: &str) -> (Option<Value>, Option<String>) {
    match bucket_policy(account, region, bucket).await {
        Ok(policy) => (policy, None),
        Err(error) => (None, Some(error.told())),
    }
}

async fn bucket_tags(account: &Account, region: &str, bucket: &str) -> ApiResult<Tags> {
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let s3 = account.s3(region);
    let got =
        account.call("s3:GetBucketTagging", &arn, s3.get_bucket_tagging().bucket(bucket).expected_bucket_owner(&account.id).send()).await;
    let tags = present(got, &["NoSuchTagSet", "NoSuchTagSetError"])?;
    Ok(tags.map(|got| got.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()).unwrap_or_default())
}

async fn read_encryption(account: &Account, region: &str, bucket: &str) -> Readable<Encryption> {
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let s3 = account.s3(region);
    let request = s3.get_bucket_encryption().bucket(bucket).expected_bucket_owner(&account.id).send();
    let got = account.call("s3:GetEncryptionConfiguration", &arn, request).await;
    let none = || Encryption { algorithm: "AES256".to_owned(), key: None, bucket_key: false };
    match present(got, &["ServerSideEncryptionConfigurationNotFoundError"]) {
        Ok(None) => Readable::Known(none()),
        Ok(Some(got)) => {
            let rules = got.server_side_encryption_configuration().map(|configuration| configuration.rules()).unwrap_or_default();
            let default = rules.iter().find_map(|rule| Some((rule, rule.apply_server_side_encryption_by_default()?)));
            Readable::Known(default.map_or_else(none, |(rule, default)| Encryption {
                algorithm: default.sse_algorithm().as_str().to_owned(),
                key: default.kms_master_key_id().map(str::to_owned),
                bucket_key: rule.bucket_key_enabled().unwrap_or(false),
            }))
        }
        Err(error) => Readable::Unknown(error.told()),
    }
}

async fn is_empty(account: &Account, region: &str, bucket: &str) -> ApiResult<bool> {
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let s3 = account.s3(region);
    let (mut key, mut version) = (None, None);
    loop {
        // Keys that no XML can hold come encoded.
        let request = s3.list_object_versions().bucket(bucket).max_keys(1).encoding_type(EncodingType::Url);
        let request = request.set_key_marker(key).set_version_id_marker(version).expected_bucket_owner(&account.id).send();
        let page = account.call("s3:ListBucketVersions", &arn, request).await?;
        if !page.versions().is_empty() || !page.delete_markers().is_empty() {
            return Ok(false);
        }
        // A page may be empty although another follows.
        if page.is_truncated() != Some(true) {
            return Ok(true);
        }
        key = page.next_key_marker().map(|key| decoded_key(key, page.encoding_type()));
        version = page.next_version_id_marker().map(str::to_owned);
    }
}

/// Reads tags, and whether it is empty, only where that decides whose bucket it is.
async fn ownership_reads(account: &Account, region: &str, name: &str, settings: &Settings, purpose: Purpose) -> Result<BucketFound> {
    if purpose != Purpose::Teardown && !settings.create_buckets {
        return Ok(BucketFound::default());
    }
    let (tags, blocked, empty) =
        tokio::try_join!(bucket_tags(account, region, name), public_access_blocked(account, region, name), async {
            if purpose == Purpose::Teardown { is_empty(account, region, name).await.map(Some) } else { Ok(None) }
        },)?;
    Ok(BucketFound { tags, public_access_blocked: Some(blocked.0), restricts_public: Some(blocked.1), empty, ..BucketFound::default() })
}

/// Whether all four switches are on, and whether RestrictPublicBuckets is.
async fn public_access_blocked(account: &Account, region: &str, bucket: &str) -> ApiResult<(bool, bool)> {
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let request = account.s3(region).get_public_access_block().bucket(bucket).expected_bucket_owner(&account.id).send();
    let got = present(account.call("s3:GetBucketPublicAccessBlock", &arn, request).await, &["NoSuchPublicAccessBlockConfiguration"])?;
    Ok(got.and_then(|got| got.public_access_block_configuration().cloned()).map_or((false, false), |switches| {
        let restricts = switches.restrict_public_buckets() == Some(true);
        let others = [switches.block_public_acls(), switches.ignore_public_acls(), switches.block_public_policy()];
        (restricts && others.iter().all(|switch| *switch == Some(true)), restricts)
    }))
}

pub(super) async fn read_input(
    dev: &Account,
    home: &str,
    name: &str,
    settings: &Settings,
    declaration: Option<&Value>,
    purpose: Purpose,
) -> Result<BucketSlot> {
    if name.is_empty() {
        return Ok(BucketSlot { name: String::new(), found: None });
    }
    let Some(region) = head_bucket(dev, home, name).await? else { return Ok(BucketSlot { name: name.to_owned(), found: None }) };
    if region != home {
        return Err(Error::refused(format!("input bucket {name} is in {region}, but the pipeline is in {home}"))
            .hint(format!("an S3 source must be in the pipeline's region: pass `--region {region}`, or name another bucket")));
    }
    let s3 = dev.s3(home);
    let arn = format!("arn:{}:s3:::{name}", dev.partition);
    let owner = &dev.id;
    let (versioning, notification, encryption, owned, (policy, policy_unread), source) = tokio::try_join!(
        async {
            let request = s3.get_bucket_versioning().bucket(name).expected_bucket_owner(owner).send();
            dev.call("s3:GetBucketVersioning", &arn, request).await.map_err(Error::from)
        },
        async { read_notification(dev, home, name).await.map_err(Error::from) },
        async { Ok(read_encryption(dev, home, name).await) },
        ownership_reads(dev, home, name, settings, purpose),
        async { Ok(judged_policy(dev, home, name).await) },
        async {
            if purpose == Purpose::WithArtifact {
                let key = object_key(dev, home, name, settings, declaration).await?;
                read_source(dev, home, name, &key).await.map_err(Error::from)
            } else {
                Ok(None)
            }
        },
    )?;
    Ok(BucketSlot {
        name: name.to_owned(),
        found: Some(BucketFound {
            region,
            versioning: Some(versioning.status().map_or("", |status| status.as_str()).to_owned()),
            notification: Some(notification),
            encryption: Some(encryption),
            source_sha256: source,
            policy,
            policy_unread,
            ..owned
        }),
    })
}

/// Gives the key that an artifact would be uploaded to: the declared source's, unless another is asked for and the pipeline is
/// ours to change.
async fn object_key(dev: &Account, home: &str, bucket: &str, settings: &Settings, declaration: Option<&Value>) -> ApiResult<String> {
    let asked = settings.object_key.as_ref().map(|key| key.as_str());
    let mut declared: Vec<&str> = declaration
        .map(declaration::sources)
        .unwrap_or_default()
        .iter()
        .filter(|(_, action)| declaration::configured(action, "S3Bucket") == Some(bucket))
        .filter_map(|(_, action)| declaration::configured(action, "S3ObjectKey"))
        .collect();
    if declared.len() > 1 {
        declared.retain(|key| Some(*key) == asked);
    }
    Ok(match (declared.as_slice(), asked) {
        ([declared], None) => (*declared).to_owned(),
        ([declared], Some(asked)) if *declared != asked => {
            let tags = pipeline_tags(dev, home, settings.pipeline.as_str()).await?;
            if is_own(&tags, &format!("arn:{}:codepipeline:{home}:{}:{}", dev.partition, dev.id, settings.pipeline)) {
                asked
            } else {
                declared
            }
            .to_owned()
        }
        _ => settings.object_key_or_default().to_owned(),
    })
}

/// Gives the SHA-256 that an upload of ours left with the source object; none where it can't be told.
async fn read_source(dev: &Account, region: &str, bucket: &str, key: &str) -> ApiResult<Option<String>> {
    let arn = format!("arn:{}:s3:::{bucket}/{key}", dev.partition);
    let request = dev.s3(region).head_object().bucket(bucket).key(key).expected_bucket_owner(&dev.id).send();
    let got = match dev.call("s3:GetObject", &arn, request).await {
        // Without s3:ListBucket an object that isn't there is a 403 (facts A.3).
        Err(error) if error.is_denied() => None,
        other => present(other, &["NotFound", "NoSuchKey", "Http404"])?,
    };
    // An upload from before versioning worked is no version, which the source action needs.
    let got = got.filter(|head| head.version_id().is_some_and(|version| version != "null"));
    Ok(got.and_then(|head| head.metadata().and_then(|metadata| metadata.get(SOURCE_SHA256)).cloned()))
}

/// The metadata in which an upload of ours carries the file's SHA-256.
pub const SOURCE_SHA256: &str = "xdeploy-sha256";

/// Reads a bucket's notification configuration as the XML that S3 sent.
///
/// # Errors
/// The read failed.
pub async fn read_notification(account: &Account, region: &str, bucket: &str) -> ApiResult<String> {
    let body = KeepBody::default();
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let request = account
        .s3(region)
        .get_bucket_notification_configuration()
        .bucket(bucket)
        .expected_bucket_owner(&account.id)
        .customize()
        .interceptor(body.clone());
    account.call("s3:GetBucketNotification", &arn, request.send()).await?;
    Ok(String::from_utf8_lossy(&body.take()).into_owned())
}

pub(super) async fn read_output(
    prod: &Account,
    region: Option<&str>,
    name: &str,
    settings: &Settings,
    purpose: Purpose,
) -> Result<BucketSlot> {
    let Some(region) = region else { return Ok(BucketSlot { name: name.to_owned(), found: None }) };
    let s3 = prod.s3(region);
    let arn = format!("arn:{}:s3:::{name}", prod.partition);
    let ownership = async {
        let request = s3.get_bucket_ownership_controls().bucket(name).expected_bucket_owner(&prod.id).send();
        let got = prod.call("s3:GetBucketOwnershipControls", &arn, request).await;
        match present(got, &["OwnershipControlsNotFoundError"]) {
            Ok(got) => {
                let rules = got.as_ref().and_then(|got| got.ownership_controls()).map(|controls| controls.rules()).unwrap_or_default();
                // A bucket without a setting is one from before 2023: its writer owns each object (facts F.2).
                Readable::Known(rules.first().map_or("ObjectWriter", |rule| rule.object_ownership().as_str()).to_owned())
            }
            Err(error) => Readable::Unknown(error.told()),
        }
    };
    let (encryption, ownership, owned, (policy, policy_unread)) = tokio::join!(
        read_encryption(prod, region, name),
        ownership,
        ownership_reads(prod, region, name, settings, purpose),
        judged_policy(prod, region, name)
    );
    let found = BucketFound {
        region: region.to_owned(),
        encryption: Some(encryption),
        ownership: Some(ownership),
        policy,
        policy_unread,
        ..owned?
    };
    Ok(BucketSlot { name: name.to_owned(), found: Some(found) })
}
