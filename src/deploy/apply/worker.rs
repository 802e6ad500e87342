//! One write: the call it stands for, patient where AWS settles late, careful where others write too.

use super::{ENTITY_LIMIT, Event, Manner, OLD_PRINCIPAL_LIMIT, PRINCIPAL_LIMIT, READ_LIMIT, REMOVAL_LIMIT, TAGS_LIMIT, VERSIONING_LIMIT};
use crate::aws::{Account, ApiError, ApiResult, present, retry_while, service_of};
use crate::deploy::names::{ARN_TAG, TAG};
use crate::deploy::release;
use crate::deploy::snapshot::is_own;
use crate::deploy::write::{Call, Write};
use crate::error::{Error, Kind, Result};
use crate::policy;
use aws_sdk_iam::types::Tag as IamTag;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Does one write.
pub(super) struct Worker<'a> {
    pub(super) account: &'a Account,
    pub(super) dev: &'a Account,
    pub(super) write: &'a Write,
    pub(super) manner: &'a Manner<'a>,
    pub(super) fresh: &'a BTreeSet<&'a str>,
    /// What this run makes the key with that the write is about.
    pub(super) first_policy: Option<&'a Value>,
}

pub(super) type Learned = BTreeMap<String, String>;

pub(super) const NONE: &[&str] = &[];

/// What KMS says to who may change keys with our tags, as long as it doesn't see those of a key that was just made.
pub(super) const UNSEEN_TAGS: &str = "AccessDeniedException";

/// Refusals that pass by themselves: AWS did nothing (facts/codepipeline.md D.1). The SDK repeats throttled calls too, but not
/// those whose retries are off.
pub(super) const PASSING: &[&str] = &[
    "OperationAborted",
    "ConcurrentModification",
    "ConcurrentModificationException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
];

impl Worker<'_> {
    pub(super) fn waiting(&self, what: &str, limit: Duration) {
        (self.manner.listen)(Event::Waiting(self.write, what.to_owned(), limit));
    }

    /// Makes a call, and makes it again while something that this very run made isn't visible yet, or while AWS can't see a principal.
    pub(super) async fn settled<T, F>(&self, late_codes: &[&str], attempt: impl FnMut() -> F) -> ApiResult<T>
    where
        F: Future<Output = ApiResult<T>>,
    {
        let made_now = self.write.needs.iter().any(|need| self.fresh.contains(need.as_str()));
        let limit = match made_now {
            true if late_codes.contains(&UNSEEN_TAGS) => TAGS_LIMIT,
            true => PRINCIPAL_LIMIT,
            false => OLD_PRINCIPAL_LIMIT,
        };
        let late = |error: &ApiError| unseen_principal(error) || (made_now && error.is(late_codes));
        self.patient(limit, &self.unseen(), late, attempt).await.map_err(|mut error| {
            if !self.stopped() && late(&error) {
                let why = if error.is(&[UNSEEN_TAGS]) { "" } else { ": it does not exist" };
                error.message.push_str(&format!(" (still so after {}{why})", humantime::format_duration(limit)));
            }
            error
        })
    }

    /// Says who may not see what yet, such as `IAM to see role r`: what this run made and the write needs.
    fn unseen(&self) -> String {
        let service = service_of(self.write.call.action());
        let fresh = self.write.needs.iter().filter(|need| self.fresh.contains(need.as_str()));
        let named = fresh.filter_map(|need| match need.split(':').collect::<Vec<_>>().as_slice() {
            ["key" | "new-key" | "replica-key", region] => Some(format!("the key in {region}")),
            [kind @ ("role" | "policy"), _, name] => Some(format!("{kind} {name}")),
            ["bucket", name] => Some(format!("bucket {name}")),
            _ => None,
        });
        let things: Vec<String> = named.collect();
        format!("{service} to see {}", if things.is_empty() { "what was just made".to_owned() } else { things.join(" and ") })
    }

    /// Removes something, and tries again while AWS hasn't forgotten what hung on it and was removed just before.
    pub(super) async fn removed<T, F>(&self, late: impl Fn(&ApiError) -> bool, attempt: impl FnMut() -> F) -> ApiResult<T>
    where
        F: Future<Output = ApiResult<T>>,
    {
        self.patient(REMOVAL_LIMIT, "AWS to forget what was just removed", late, attempt).await
    }

    /// Makes a call again while AWS hasn't settled: refusals that pass by themselves always count, `late` says which else do.
    async fn patient<T, F>(&self, limit: Duration, what: &str, late: impl Fn(&ApiError) -> bool, attempt: impl FnMut() -> F) -> ApiResult<T>
    where
        F: Future<Output = ApiResult<T>>,
    {
        let late = |error: &ApiError| !self.stopped() && (error.is(PASSING) || late(error));
        retry_while(limit, late, |error| self.waiting(&format!("{what} ({})", error.code), limit), attempt).await
    }

    /// Sleeps, unless the run was interrupted: what waits without a call under way stops at once.
    pub(super) async fn pause(&self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        loop {
            if self.stopped() {
                return Err(Error::new(Kind::Interrupted, format!("interrupted while waiting for {}", self.write.resource))
                    .hint("run the same command again: what is done stays done"));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(Duration::from_millis(250))).await;
        }
    }

    pub(super) fn stopped(&self) -> bool {
        self.manner.stop.load(Ordering::SeqCst)
    }

    pub(super) fn tags(&self) -> [(&'static str, &str); 2] {
        let arn = self.manner.pipeline_arn;
        [(TAG, arn.rsplit(':').next().unwrap_or(arn)), (ARN_TAG, arn)]
    }

    fn iam_tags(&self) -> Result<Vec<IamTag>> {
        let tag = |(key, value): (&str, &str)| IamTag::builder().key(key).value(value).build();
        self.tags().into_iter().map(tag).collect::<std::result::Result<_, _>>().map_err(|error| Error::internal(error.to_string()))
    }

    fn is_ours(&self, tags: &[IamTag]) -> bool {
        is_own(&tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(), self.manner.pipeline_arn)
    }

    pub(super) fn fresh_token(&self, token: &str) -> bool {
        self.fresh.contains(token)
    }

    /// Says whether a document is still to be written: not if another run has written the same. Refuses to overwrite what
    /// somebody changed since the plan was made.
    pub(super) fn to_write(&self, what: &str, before: Option<&Value>, now: Option<&Value>, after: Option<&Value>) -> Result<bool> {
        let same = |one: Option<&Value>| match (one, now) {
            (Some(one), Some(now)) => one == now || (policy::same_grants(one, now) && !policy::statements(now).is_empty()),
            (None, None) => true,
            _ => false,
        };
        if same(before) {
            return Ok(true);
        }
        if after.is_some() && same(after) { Ok(false) } else { Err(moved(what)) }
    }

    /// Reads a document back until it is what was written, or says that somebody else wrote at the same time.
    pub(super) async fn read_back<F>(&self, what: &str, wanted: &Value, read: impl Fn() -> F) -> Result<()>
    where
        F: Future<Output = ApiResult<Option<Value>>>,
    {
        let started = Instant::now();
        loop {
            let now = read().await?;
            if now.as_ref().is_some_and(|now| now == wanted || policy::same_grants(now, wanted)) {
                return Ok(());
            }
            if started.elapsed() > READ_LIMIT {
                return Err(Error::new(Kind::Conflict, format!("{what} is not what was written a moment ago"))
                    .hint("somebody else writes to it at the same time: look at it, then run the same command again"));
            }
            self.pause(Duration::from_secs(1)).await?;
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: one arm a call")]
    pub(super) async fn execute(&self, call: &Call) -> Result<Learned> {
        let account = self.account;
        let resource = self.write.resource.as_str();
        match call {
            Call::CreateKey { region, multi_region, policy, description } => {
                return self.create_key(region, *multi_region, policy, description).await;
            }
            Call::ReplicateKey { key, region, replica_region, policy, description } => {
                return self.replicate_key(key, region, replica_region, policy, description).await;
            }
            Call::CreateAlias { region, alias, key } => return self.create_alias(region, alias, key).await,
            Call::DeleteAlias { region, alias } => {
                let request = account.kms(region).delete_alias().alias_name(alias).send();
                present(account.call(call.action(), resource, request).await, &["NotFoundException"])?;
            }
            Call::EnableKeyRotation { region, key } => {
                let kms = account.kms(region);
                self.settled(&["NotFoundException"], || {
                    account.call(call.action(), key, kms.enable_key_rotation().key_id(key_id(key)).send())
                })
                .await?;
            }
            Call::PutKeyPolicy { region, key, before, after, .. } => {
                self.put_key_policy(region, key, before.as_ref().or(self.first_policy), after).await?;
            }
            Call::ScheduleKeyDeletion { region, key, days } => {
                let request = account.kms(region).schedule_key_deletion().key_id(key_id(key)).pending_window_in_days(*days).send();
                present(account.call(call.action(), key, request).await, &["NotFoundException", "KMSInvalidStateException"])?;
            }
            Call::CreateRole { name, path, trust, description, boundary } => {
                let iam = account.iam();
                let tags = self.iam_tags()?;
                let result = self
                    .settled(NONE, || {
                        let request = iam.create_role().role_name(name).path(path).assume_role_policy_document(trust.to_string());
                        let request = request.set_permissions_boundary(boundary.clone());
                        account.call(call.action(), resource, request.description(description).set_tags(Some(tags.clone())).send())
                    })
                    .await;
                self.made_or_ours(result, || async {
                    let got = account.call("iam:GetRole", resource, iam.get_role().role_name(name).send()).await?;
                    Ok(got.role().is_some_and(|role| role.arn() == resource && self.is_ours(role.tags())))
                })
                .await?;
            }
            Call::UpdateAssumeRolePolicy { name, before, after } => {
                let iam = account.iam();
                let read = || async {
                    let got = account.call("iam:GetRole", resource, iam.get_role().role_name(name).send()).await?;
                    let text = got.role().and_then(|role| role.assume_role_policy_document());
                    account.iam_document("iam:GetRole", resource, text).map(Some)
                };
                let what = format!("the trust policy of {resource}");
                if !self.to_write(&what, Some(before), read().await?.as_ref(), Some(after))? {
                    return Ok(Learned::new());
                }
                self.settled(NONE, || {
                    let request = iam.update_assume_role_policy().role_name(name).policy_document(after.to_string());
                    account.call(call.action(), resource, request.send())
                })
                .await?;
                self.read_back(&what, after, read).await?;
            }
            Call::DeleteRole { name } => {
                let iam = account.iam();
                let gone = self.removed(still_used, || account.call(call.action(), resource, iam.delete_role().role_name(name).send()));
                present(gone.await, &["NoSuchEntity"])?;
            }
            Call::PutRolePolicy { role, name, before, document } => {
                let iam = account.iam();
                if !self.fresh_token(&format!("role:{}:{role}", self.write.account)) {
                    let request = iam.get_role_policy().role_name(role).policy_name(name).send();
                    let got = present(account.call("iam:GetRolePolicy", resource, request).await, &["NoSuchEntity"])?;
                    let read = |got: aws_sdk_iam::operation::get_role_policy::GetRolePolicyOutput| {
                        account.iam_document("iam:GetRolePolicy", resource, Some(got.policy_document()))
                    };
                    let now = got.map(read).transpose()?;
                    if !self.to_write(&format!("policy {name} of {resource}"), before.as_ref(), now.as_ref(), Some(document))? {
                        return Ok(Learned::new());
                    }
                }
                self.settled(&["NoSuchEntity"], || {
                    let request = iam.put_role_policy().role_name(role).policy_name(name).policy_document(document.to_string());
                    account.call(call.action(), resource, request.send())
                })
                .await?;
            }
            Call::DeleteRolePolicy { role, name } => {
                let request = account.iam().delete_role_policy().role_name(role).policy_name(name).send();
                present(account.call(call.action(), resource, request).await, &["NoSuchEntity"])?;
            }
            Call::CreatePolicy { name, document, description } => {
                let iam = account.iam();
                let tags = self.iam_tags()?;
                let request = iam
                    .create_policy()
                    .policy_name(name)
                    .policy_document(document.to_string())
                    .description(description)
                    .set_tags(Some(tags));
                let result = account.call(call.action(), resource, request.send()).await;
                self.made_or_ours(result, || async {
                    let got = account.call("iam:GetPolicy", resource, iam.get_policy().policy_arn(resource).send()).await?;
                    Ok(got.policy().is_some_and(|policy| self.is_ours(policy.tags())))
                })
                .await?;
            }
            Call::CreatePolicyVersion { arn, before, document } => {
                let now = self.policy_document(arn).await?;
                if !self.to_write(&format!("policy {arn}"), Some(before), Some(&now), Some(document))? {
                    return Ok(Learned::new());
                }
                let request = account.iam().create_policy_version().policy_arn(arn).policy_document(document.to_string());
                let made = account.call(call.action(), resource, request.set_as_default(true).send()).await;
                // Another run may have taken the last free version for the same document a moment ago.
                if present(made, &["LimitExceeded", "LimitExceededException"])?.is_none() {
                    let now = self.policy_document(arn).await?;
                    if !policy::same_grants(&now, document) {
                        return Err(moved(&format!("policy {arn}")));
                    }
                }
            }
            Call::DeletePolicyVersion { arn, version } => {
                let request = account.iam().delete_policy_version().policy_arn(arn).version_id(version).send();
                present(account.call(call.action(), resource, request).await, &["NoSuchEntity"])?;
            }
            Call::DeletePolicy { arn } => {
                let iam = account.iam();
                let gone = self.removed(still_used, || account.call(call.action(), resource, iam.delete_policy().policy_arn(arn).send()));
                present(gone.await, &["NoSuchEntity"])?;
            }
            Call::AttachRolePolicy { role, arn } => {
                let iam = account.iam();
                self.settled(&["NoSuchEntity"], || {
                    account.call(call.action(), resource, iam.attach_role_policy().role_name(role).policy_arn(arn).send())
                })
                .await?;
            }
            Call::DetachRolePolicy { role, arn } => {
                let request = account.iam().detach_role_policy().role_name(role).policy_arn(arn).send();
                present(account.call(call.action(), resource, request).await, &["NoSuchEntity"])?;
            }
            Call::CreateBucket { bucket, region } => self.create_bucket(bucket, region).await?,
            Call::DeleteBucket { bucket, region } => {
                let request = account.s3(region).delete_bucket().bucket(bucket).expected_bucket_owner(&account.id).send();
                present(account.call(call.action(), resource, request).await, &["NoSuchBucket"])?;
            }
            Call::BlockPublicAccess { bucket, region } => {
                let switches = aws_sdk_s3::types::PublicAccessBlockConfiguration::builder()
                    .block_public_acls(true)
                    .ignore_public_acls(true)
                    .block_public_policy(true)
                    .restrict_public_buckets(true)
                    .build();
                let s3 = account.s3(region);
                self.settled(&["NoSuchBucket"], || {
                    let request = s3.put_public_access_block().bucket(bucket).public_access_block_configuration(switches.clone());
                    account.call(call.action(), resource, request.expected_bucket_owner(&account.id).send())
                })
                .await?;
            }
            Call::EncryptBucket { bucket, region, key } => self.encrypt_bucket(bucket, region, key).await?,
            Call::EnableVersioning { bucket, region } => {
                let configuration = aws_sdk_s3::types::VersioningConfiguration::builder()
                    .status(aws_sdk_s3::types::BucketVersioningStatus::Enabled)
                    .build();
                let s3 = account.s3(region);
                self.settled(&["NoSuchBucket"], || {
                    let request = s3.put_bucket_versioning().bucket(bucket).versioning_configuration(configuration.clone());
                    account.call(call.action(), resource, request.expected_bucket_owner(&account.id).send())
                })
                .await?;
            }
            Call::PutBucketPolicy { bucket, region, before, after } => {
                self.put_bucket_policy(bucket, region, before.as_ref(), after).await?
            }
            Call::DeleteBucketPolicy { bucket, region, before } => {
                let now = self.bucket_policy(bucket, region).await?;
                if now.is_none() {
                    return Ok(Learned::new());
                }
                self.to_write(&format!("the bucket policy of {bucket}"), Some(before), now.as_ref(), None)?;
                let request = account.s3(region).delete_bucket_policy().bucket(bucket).expected_bucket_owner(&account.id).send();
                account.call(call.action(), resource, request).await?;
            }
            Call::PutBucketNotification { bucket, region, before, after } => {
                self.put_notification(bucket, region, before, after).await?;
            }
            Call::UploadObject { bucket, region, key, file, sha256, .. } => {
                let file = std::path::Path::new(file);
                if crate::deploy::zipfile::fingerprint(file)?.1 != *sha256 {
                    return Err(Error::new(Kind::Conflict, format!("{} has changed since the plan was made", file.display()))
                        .hint("make the plan again"));
                }
                self.upload(bucket, region, key, file, sha256).await?;
            }
            Call::PutRule { region, name, pattern, description, tags } => {
                let events = account.events(region);
                let mut request = events.put_rule().name(name).event_pattern(pattern.to_string()).description(description);
                request = request.state(aws_sdk_eventbridge::types::RuleState::Enabled);
                // Tags are taken for a new rule only.
                for (key, value) in tags {
                    let tag = aws_sdk_eventbridge::types::Tag::builder().key(key).value(value).build();
                    request = request.tags(tag.map_err(|error| Error::internal(error.to_string()))?);
                }
                self.settled(NONE, || account.call(call.action(), resource, request.clone().send())).await?;
            }
            Call::PutTargets { region, rule, target } => self.put_targets(region, rule, target).await?,
            Call::RemoveTargets { region, rule, ids } => {
                self.remove_targets(region, rule, ids).await?;
            }
            Call::DeleteRule { region, name } => {
                let events = account.events(region);
                let has_targets = |error: &ApiError| error.is(&["ValidationException"]) && error.message.contains("since it has targets");
                let gone = self.removed(has_targets, || account.call(call.action(), resource, events.delete_rule().name(name).send()));
                present(gone.await, &["ResourceNotFoundException"])?;
            }
            Call::CreatePipeline { region, declaration, tags } => self.create_pipeline(region, declaration, tags).await?,
            Call::UpdatePipeline { region, before, after } => self.update_pipeline(region, before, after).await?,
            Call::TagPipeline { region, arn, key, value } => {
                let tag = aws_sdk_codepipeline::types::Tag::builder().key(key).value(value).build();
                let tag = tag.map_err(|error| Error::internal(error.to_string()))?;
                let request = account.codepipeline(region).tag_resource().resource_arn(arn).tags(tag).send();
                account.call(call.action(), resource, request).await?;
            }
            Call::DeletePipeline { region, name } => {
                let request = account.codepipeline(region).delete_pipeline().name(name).send();
                account.call(call.action(), resource, request).await?;
            }
        }
        Ok(Learned::new())
    }

    /// Reads the version of a managed policy that counts.
    async fn policy_document(&self, arn: &str) -> Result<Value> {
        let iam = self.account.iam();
        let policy = self.account.call("iam:GetPolicy", arn, iam.get_policy().policy_arn(arn).send()).await?;
        let version = policy.policy().and_then(|policy| policy.default_version_id()).unwrap_or_default();
        let request = iam.get_policy_version().policy_arn(arn).version_id(version).send();
        let got = self.account.call("iam:GetPolicyVersion", arn, request).await?;
        let text = got.policy_version().and_then(|version| version.document());
        let document = self.account.iam_document("iam:GetPolicyVersion", arn, text)?;
        // Between the two calls another may have become the default.
        let counts = got.policy_version().is_some_and(|version| version.is_default_version());
        Ok(if counts { document } else { Value::Null })
    }

    /// Uploads the source object, again while it doesn't become a version of its own: versioning that was just turned on
    /// takes its time (facts D.1), and a source action needs a version.
    async fn upload(&self, bucket: &str, region: &str, key: &str, file: &std::path::Path, sha256: &str) -> Result<()> {
        let started = Instant::now();
        let mut pause = Duration::from_secs(1);
        let mut said = false;
        loop {
            let body = release::body_of(file).await?;
            if release::put_source(self.account, region, bucket, key, body, sha256).await?.is_some() {
                return Ok(());
            }
            if started.elapsed() + pause > VERSIONING_LIMIT {
                return Err(release::no_version(bucket, key));
            }
            if !said {
                self.waiting(&format!("versioning of {bucket} to work"), VERSIONING_LIMIT);
                said = true;
            }
            self.pause(pause).await?;
            pause = (pause * 2).min(Duration::from_secs(60));
        }
    }

    /// A name that is there already is fine if it is ours: a retried request may have been answered the first time.
    async fn made_or_ours<T, F>(&self, result: ApiResult<T>, ours: impl Fn() -> F) -> Result<()>
    where
        F: Future<Output = ApiResult<bool>>,
    {
        match result {
            Ok(_) => Ok(()),
            Err(error) if error.is(&["EntityAlreadyExists", "EntityAlreadyExistsException"]) => {
                // What was just made may not be visible yet; a policy of this name under another path never is, since its ARN is another.
                let late = |error: &ApiError| error.is(&["NoSuchEntity"]);
                if present(self.patient(ENTITY_LIMIT, "IAM to show what is there", late, ours).await, &["NoSuchEntity"])?.unwrap_or(false) {
                    return Ok(());
                }
                Err(Error::new(Kind::Conflict, format!("{} was made by somebody else since the plan was made", self.write.resource))
                    .because(error.told())
                    .hint("make the plan again; it says which flag names another one"))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Refuses to write to what somebody changed since the plan was made.
pub(super) fn moved(what: &str) -> Error {
    Error::new(Kind::Conflict, format!("{what} has changed since the plan was made; nothing was written to it"))
        .hint("look at the change, then make the plan again")
}

/// Says whether AWS can't see a principal, which may have been made a moment ago: the texts are the same for one that doesn't
/// exist (facts D.2). EventBridge's, of a target's role, is not in the facts.
fn unseen_principal(error: &ApiError) -> bool {
    let message = error.message.to_ascii_lowercase();
    let in_policy = error.is(&["MalformedPolicyDocument", "MalformedPolicyDocumentException", "MalformedPolicy"]);
    (in_policy && message.contains("invalid principal"))
        || (error.is(&["ValidationException"]) && message.contains("cannot be assumed by principal"))
}

/// Says whether IAM still sees an attachment.
fn still_used(error: &ApiError) -> bool {
    error.is(&["DeleteConflict", "DeleteConflictException"])
}

/// KMS takes an ARN everywhere but some operations; the bare id works in all of them, within the key's own region.
pub(super) fn key_id(arn: &str) -> &str {
    if arn.starts_with("arn:") { arn.rsplit('/').next().unwrap_or(arn) } else { arn }
}
