//! The one place that turns a write into SDK calls.
//!
//! A write starts as soon as what it needs is there; writes that touch one bucket, role or key never overlap. A document
//! that others may write too is compared with what the plan saw just before it is written, and read back once.

use super::names::TAG;
use super::observe;
use super::plan::{Call, EVERYTHING, Write};
use crate::aws::raw::{KeepBody, SendBody};
use crate::aws::{Account, ApiError, ApiResult, present, retry_while};
use crate::error::{Error, Kind, Result};
use crate::model::Side;
use crate::policy;
use aws_config::retry::RetryConfig;
use aws_sdk_kms::types::Tag as KmsTag;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long AWS may take to see a principal that was just made (facts/codepipeline.md D.2).
const PRINCIPAL_LIMIT: Duration = Duration::from_secs(120);
/// How long CodePipeline may take to be able to assume a role that was just made (facts D.2).
const ASSUME_LIMIT: Duration = Duration::from_secs(180);
/// How long a replica key may be `Creating` (facts C).
const REPLICA_LIMIT: Duration = Duration::from_secs(180);
/// How long a read may lag behind a write (facts D.2, KMS).
const READ_LIMIT: Duration = Duration::from_secs(60);

/// Both accounts.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// The development account.
    pub dev: Account,
    /// The production account.
    pub prod: Account,
}

impl Accounts {
    /// Gives one of the two.
    pub fn of(&self, side: Side) -> &Account {
        match side {
            Side::Dev => &self.dev,
            Side::Prod => &self.prod,
        }
    }
}

/// What apply tells while it works.
#[derive(Debug)]
pub enum Event<'a> {
    /// A write was started.
    Started(&'a Write),
    /// A write is done.
    Done(&'a Write, Duration),
    /// AWS hasn't settled; the text says what is waited for.
    Waiting(&'a Write, String, Duration),
}

/// How apply is to behave.
pub struct Manner<'a> {
    /// The pipeline, for tags.
    pub pipeline: &'a str,
    /// Wait for executions that an update would stop.
    pub wait_for_runs: bool,
    /// Hears what is done.
    pub listen: &'a dyn Fn(Event<'_>),
    /// Set by Ctrl-C: calls under way are finished, no new one is started.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Manner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manner").field("pipeline", &self.pipeline).finish_non_exhaustive()
    }
}

/// What was made whose name nobody could know before.
#[derive(Debug, Default)]
pub struct Made {
    /// Placeholder -> ARN.
    known: BTreeMap<String, String>,
    /// How many writes were done.
    pub done: usize,
}

impl Made {
    /// Puts what is known now in the place of "(known after apply …)".
    pub fn resolve_text(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }

    fn resolve(&self, call: &Call) -> Result<Call> {
        let text = serde_json::to_string(call).map_err(|error| Error::internal(error.to_string()))?;
        serde_json::from_str(&self.resolve_text(&text)).map_err(|error| Error::internal(error.to_string()))
    }
}

/// Says what each write waits for: indices of earlier writes.
fn dependencies(writes: &[Write]) -> Vec<Vec<usize>> {
    let waits = |index: usize, write: &Write, earlier: usize| {
        let before = &writes[earlier];
        earlier < index
            && (before.lane == write.lane
                || write.needs.iter().any(|need| need == EVERYTHING || before.gives.iter().any(|given| given == need)))
    };
    writes.iter().enumerate().map(|(index, write)| (0..index).filter(|earlier| waits(index, write, *earlier)).collect()).collect()
}

/// Does the writes.
///
/// # Errors
/// The first write that failed, after those under way have finished; or the interruption. What is done stays done: the same
/// command run again goes on from there.
pub async fn apply(accounts: &Accounts, writes: &[Write], manner: &Manner<'_>) -> Result<Made> {
    let depends = dependencies(writes);
    let fresh: BTreeSet<&str> =
        writes.iter().filter(|write| is_creation(&write.call)).flat_map(|write| write.gives.iter().map(String::as_str)).collect();
    let mut made = Made::default();
    let mut done = vec![false; writes.len()];
    let mut started = vec![false; writes.len()];
    let mut running = FuturesUnordered::new();
    let mut failure: Option<Error> = None;
    loop {
        if failure.is_none() && !manner.stop.load(Ordering::SeqCst) {
            for index in 0..writes.len() {
                if started[index] || !depends[index].iter().all(|earlier| done[*earlier]) {
                    continue;
                }
                started[index] = true;
                let write = &writes[index];
                let call = made.resolve(&write.call)?;
                (manner.listen)(Event::Started(write));
                let fresh = &fresh;
                running.push(async move {
                    let begun = Instant::now();
                    let worker = Worker { account: accounts.of(write.account), dev: &accounts.dev, write, manner, fresh };
                    (index, begun, worker.execute(&call).await)
                });
            }
        }
        let Some((index, begun, outcome)) = running.next().await else { break };
        match outcome {
            Ok(learned) => {
                done[index] = true;
                made.done += 1;
                made.known.extend(learned);
                (manner.listen)(Event::Done(&writes[index], begun.elapsed()));
            }
            Err(error) => {
                let error = error.hint("run the same command again: what is done stays done");
                failure.get_or_insert(error.context(format!("{}: {}", writes[index].step.title(), writes[index].title)));
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        None if manner.stop.load(Ordering::SeqCst) && !done.iter().all(|done| *done) => {
            Err(Error::new(Kind::Interrupted, format!("interrupted after {} of {} writes", made.done, writes.len()))
                .hint("run the same command again: it goes on from here"))
        }
        None => Ok(made),
    }
}

fn is_creation(call: &Call) -> bool {
    matches!(
        call,
        Call::CreateKey { .. }
            | Call::ReplicateKey { .. }
            | Call::CreateRole { .. }
            | Call::CreatePolicy { .. }
            | Call::CreateBucket { .. }
    )
}

/// Does one write.
struct Worker<'a> {
    account: &'a Account,
    dev: &'a Account,
    write: &'a Write,
    manner: &'a Manner<'a>,
    fresh: &'a BTreeSet<&'a str>,
}

type Learned = BTreeMap<String, String>;

const NONE: &[&str] = &[];

impl Worker<'_> {
    fn waiting(&self, what: &str, limit: Duration) {
        (self.manner.listen)(Event::Waiting(self.write, what.to_owned(), limit));
    }

    /// Makes a call, and makes it again while something that this very run made isn't visible yet, or while AWS can't see a principal.
    async fn settled<T, F>(&self, late_codes: &[&str], attempt: impl FnMut() -> F) -> ApiResult<T>
    where
        F: Future<Output = ApiResult<T>>,
    {
        let made_now = self.write.needs.iter().any(|need| self.fresh.contains(need.as_str()));
        let late = |error: &ApiError| {
            let invalid_principal = error.is(&["MalformedPolicyDocument", "MalformedPolicyDocumentException", "MalformedPolicy"])
                && error.message.to_ascii_lowercase().contains("invalid principal");
            invalid_principal || (made_now && error.is(late_codes))
        };
        retry_while(
            PRINCIPAL_LIMIT,
            late,
            |error| self.waiting(&format!("AWS to see what was just made ({})", error.code), PRINCIPAL_LIMIT),
            attempt,
        )
        .await
        .map_err(|mut error| {
            if late(&error) {
                error.message.push_str(" (still so after 2 minutes: the principal does not exist)");
            }
            error
        })
    }

    fn tags(&self) -> (&'static str, &str) {
        (TAG, self.manner.pipeline)
    }

    fn fresh_token(&self, token: &str) -> bool {
        self.fresh.contains(token)
    }

    /// Refuses to overwrite what somebody changed since the plan was made.
    fn unmoved(&self, what: &str, before: Option<&Value>, now: Option<&Value>) -> Result<()> {
        let same = match (before, now) {
            (Some(before), Some(now)) => before == now || (policy::same_grants(before, now) && !policy::statements(now).is_empty()),
            (None, None) => true,
            _ => false,
        };
        if same {
            return Ok(());
        }
        Err(Error::new(Kind::Conflict, format!("{what} has changed since the plan was made; nothing was written to it"))
            .hint("look at the change, then make the plan again"))
    }

    /// Reads a document back until it is what was written, or says that somebody else wrote at the same time.
    async fn read_back<F>(&self, what: &str, wanted: &Value, read: impl Fn() -> F) -> Result<()>
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
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: one arm a call")]
    async fn execute(&self, call: &Call) -> Result<Learned> {
        let account = self.account;
        let resource = self.write.resource.as_str();
        let (tag_key, tag_value) = self.tags();
        match call {
            Call::CreateKey { region, multi_region, policy, description } => {
                return self.create_key(region, *multi_region, policy, description).await;
            }
            Call::ReplicateKey { key, region, replica_region, policy, description } => {
                return self.replicate_key(key, region, replica_region, policy, description).await;
            }
            Call::CreateAlias { region, alias, key } => {
                let kms = account.kms(region);
                let result = self
                    .settled(&["NotFoundException", "KMSInvalidStateException"], || {
                        account.call(call.action(), resource, kms.create_alias().alias_name(alias).target_key_id(key_id(key)).send())
                    })
                    .await;
                match result {
                    Err(error) if error.is(&["AlreadyExistsException"]) => {
                        let there = account.call("kms:DescribeKey", resource, kms.describe_key().key_id(alias).send()).await?;
                        if there.key_metadata().map(|metadata| metadata.key_id()) != Some(key_id(key)) {
                            return Err(Error::new(Kind::Conflict, format!("{alias} was given to another key since the plan was made"))
                                .hint("make the plan again, or pass another `--key-alias`"));
                        }
                    }
                    other => drop(other?),
                }
            }
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
            Call::PutKeyPolicy { region, key, before, after, .. } => self.put_key_policy(region, key, before.as_ref(), after).await?,
            Call::ScheduleKeyDeletion { region, key, days } => {
                let request = account.kms(region).schedule_key_deletion().key_id(key_id(key)).pending_window_in_days(*days).send();
                present(account.call(call.action(), key, request).await, &["NotFoundException", "KMSInvalidStateException"])?;
            }
            Call::CreateRole { name, path, trust, description } => {
                let iam = account.iam();
                let tag = aws_sdk_iam::types::Tag::builder().key(tag_key).value(tag_value).build();
                let tag = tag.map_err(|error| Error::internal(error.to_string()))?;
                let result = self
                    .settled(NONE, || {
                        let request = iam.create_role().role_name(name).path(path).assume_role_policy_document(trust.to_string());
                        account.call(call.action(), resource, request.description(description).tags(tag.clone()).send())
                    })
                    .await;
                self.made_or_ours(result, || async {
                    let got = account.call("iam:GetRole", resource, iam.get_role().role_name(name).send()).await?;
                    Ok(got.role().is_some_and(|role| role.arn() == resource && has_tag(role.tags(), tag_value)))
                })
                .await?;
            }
            Call::UpdateAssumeRolePolicy { name, before, after } => {
                let iam = account.iam();
                let read = || async {
                    let got = account.call("iam:GetRole", resource, iam.get_role().role_name(name).send()).await?;
                    Ok(got.role().and_then(|role| role.assume_role_policy_document()).and_then(decoded))
                };
                let what = format!("the trust policy of {resource}");
                self.unmoved(&what, Some(before), read().await?.as_ref())?;
                self.settled(NONE, || {
                    let request = iam.update_assume_role_policy().role_name(name).policy_document(after.to_string());
                    account.call(call.action(), resource, request.send())
                })
                .await?;
                self.read_back(&what, after, read).await?;
            }
            Call::DeleteRole { name } => {
                let request = account.iam().delete_role().role_name(name).send();
                present(account.call(call.action(), resource, request).await, &["NoSuchEntity"])?;
            }
            Call::PutRolePolicy { role, name, document, .. } => {
                let iam = account.iam();
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
                let tag = aws_sdk_iam::types::Tag::builder().key(tag_key).value(tag_value).build();
                let tag = tag.map_err(|error| Error::internal(error.to_string()))?;
                let request =
                    iam.create_policy().policy_name(name).policy_document(document.to_string()).description(description).tags(tag);
                let result = account.call(call.action(), resource, request.send()).await;
                self.made_or_ours(result, || async {
                    let got = account.call("iam:GetPolicy", resource, iam.get_policy().policy_arn(resource).send()).await?;
                    Ok(got.policy().is_some_and(|policy| has_tag(policy.tags(), tag_value)))
                })
                .await?;
            }
            Call::CreatePolicyVersion { arn, document, .. } => {
                let request = account.iam().create_policy_version().policy_arn(arn).policy_document(document.to_string());
                account.call(call.action(), resource, request.set_as_default(true).send()).await?;
            }
            Call::DeletePolicyVersion { arn, version } => {
                let request = account.iam().delete_policy_version().policy_arn(arn).version_id(version).send();
                present(account.call(call.action(), resource, request).await, &["NoSuchEntity"])?;
            }
            Call::DeletePolicy { arn } => {
                let request = account.iam().delete_policy().policy_arn(arn).send();
                present(account.call(call.action(), resource, request).await, &["NoSuchEntity"])?;
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
                self.unmoved(&format!("the bucket policy of {bucket}"), Some(before), now.as_ref())?;
                let request = account.s3(region).delete_bucket_policy().bucket(bucket).expected_bucket_owner(&account.id).send();
                account.call(call.action(), resource, request).await?;
            }
            Call::PutBucketNotification { bucket, region, before, after } => {
                self.put_notification(bucket, region, before, after).await?;
            }
            Call::UploadObject { bucket, region, key, file, sha256, .. } => {
                let file = std::path::Path::new(file);
                if super::zipfile::fingerprint(file)?.1 != *sha256 {
                    return Err(Error::new(Kind::Conflict, format!("{} has changed since the plan was made", file.display()))
                        .hint("make the plan again"));
                }
                let body = super::release::body_of(file).await?;
                super::release::put_source(account, region, bucket, key, body, sha256).await?;
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
                account.call(call.action(), resource, request.send()).await?;
            }
            Call::PutTargets { region, rule, target } => self.put_targets(region, rule, target).await?,
            Call::RemoveTargets { region, rule, ids } => {
                let request = account.events(region).remove_targets().rule(rule).set_ids(Some(ids.clone())).send();
                present(account.call(call.action(), resource, request).await, &["ResourceNotFoundException"])?;
            }
            Call::DeleteRule { region, name } => {
                let request = account.events(region).delete_rule().name(name).send();
                present(account.call(call.action(), resource, request).await, &["ResourceNotFoundException"])?;
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

    /// A name that is there already is fine if it is ours: a retried request may have been answered the first time.
    async fn made_or_ours<T, F>(&self, result: ApiResult<T>, ours: impl FnOnce() -> F) -> Result<()>
    where
        F: Future<Output = ApiResult<bool>>,
    {
        match result {
            Ok(_) => Ok(()),
            Err(error) if error.is(&["EntityAlreadyExists", "EntityAlreadyExistsException"]) => {
                if ours().await? {
                    return Ok(());
                }
                Err(Error::new(Kind::Conflict, format!("{} was made by somebody else since the plan was made", self.write.resource))
                    .because(error.told())
                    .hint("make the plan again; it says which flag names another one"))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn create_key(&self, region: &str, multi_region: bool, policy: &Value, description: &str) -> Result<Learned> {
        let (tag_key, tag_value) = self.tags();
        let tag = KmsTag::builder().tag_key(tag_key).tag_value(tag_value).build().map_err(|error| Error::internal(error.to_string()))?;
        let kms = self.account.kms(region);
        let made = self
            .settled(NONE, || {
                let request =
                    kms.create_key().description(description).policy(policy.to_string()).tags(tag.clone()).multi_region(multi_region);
                // CreateKey has no token: a retry after a lost answer would make a second key (facts D.1).
                let once = aws_sdk_kms::config::Builder::new().retry_config(RetryConfig::disabled());
                self.account.call("kms:CreateKey", "*", request.customize().config_override(once).send())
            })
            .await?;
        let arn =
            made.key_metadata().and_then(|metadata| metadata.arn()).ok_or_else(|| Error::failed("KMS did not give the new key's ARN"))?;
        Ok(Learned::from([(super::plan::key_placeholder(region), arn.to_owned())]))
    }

    async fn replicate_key(&self, key: &str, region: &str, replica_region: &str, policy: &Value, description: &str) -> Result<Learned> {
        let (tag_key, tag_value) = self.tags();
        let tag = KmsTag::builder().tag_key(tag_key).tag_value(tag_value).build().map_err(|error| Error::internal(error.to_string()))?;
        let kms = self.account.kms(region);
        let result = self
            .settled(&["NotFoundException", "KMSInvalidStateException"], || {
                let request = kms.replicate_key().key_id(key_id(key)).replica_region(replica_region).policy(policy.to_string());
                self.account.call("kms:ReplicateKey", key, request.description(description).tags(tag.clone()).send())
            })
            .await;
        present(result, &["AlreadyExistsException"])?;
        // A replica has its primary's id, in its own region.
        let mut parts: Vec<&str> = key.split(':').collect();
        if parts.len() < 6 {
            return Err(Error::internal(format!("{key} is not a key's ARN")));
        }
        parts[3] = replica_region;
        let arn = parts.join(":");
        self.wait_for_replica(&arn, replica_region).await?;
        Ok(Learned::from([(super::plan::key_placeholder(replica_region), arn)]))
    }

    async fn wait_for_replica(&self, arn: &str, region: &str) -> Result<()> {
        let kms = self.account.kms(region);
        let started = Instant::now();
        let mut said = false;
        loop {
            let got = self.account.call("kms:DescribeKey", arn, kms.describe_key().key_id(key_id(arn)).send()).await;
            let state = present(got, &["NotFoundException"])?
                .and_then(|got| got.key_metadata().and_then(|metadata| metadata.key_state()).map(|state| state.as_str().to_owned()));
            if state.as_deref() == Some("Enabled") {
                return Ok(());
            }
            if started.elapsed() > REPLICA_LIMIT {
                return Err(Error::failed(format!("the replica {arn} is still {}", state.unwrap_or_else(|| "not there".to_owned())))
                    .hint("run the same command again in a while"));
            }
            if !said {
                self.waiting("the replica key to be ready", REPLICA_LIMIT);
                said = true;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    async fn put_key_policy(&self, region: &str, key: &str, before: Option<&Value>, after: &Value) -> Result<()> {
        let kms = self.account.kms(region);
        let read = || async {
            let got = self.account.call("kms:GetKeyPolicy", key, kms.get_key_policy().key_id(key_id(key)).send()).await?;
            Ok(got.policy().and_then(|text| serde_json::from_str(text).ok()))
        };
        let what = format!("the policy of key {key}");
        if let Some(before) = before {
            self.unmoved(&what, Some(before), read().await?.as_ref())?;
        }
        self.settled(&["NotFoundException", "KMSInvalidStateException"], || {
            self.account.call("kms:PutKeyPolicy", key, kms.put_key_policy().key_id(key_id(key)).policy(after.to_string()).send())
        })
        .await?;
        self.read_back(&what, after, read).await
    }

    async fn create_bucket(&self, bucket: &str, region: &str) -> Result<()> {
        use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, ObjectOwnership, Tag};
        let account = self.account;
        let (tag_key, tag_value) = self.tags();
        let tag = Tag::builder().key(tag_key).value(tag_value).build().map_err(|error| Error::internal(error.to_string()))?;
        let mut configuration = CreateBucketConfiguration::builder().tags(tag);
        // us-east-1 is the one region that may not be named.
        if region != "us-east-1" {
            configuration = configuration.location_constraint(BucketLocationConstraint::from(region));
        }
        let request = account
            .s3(region)
            .create_bucket()
            .bucket(bucket)
            .object_ownership(ObjectOwnership::BucketOwnerEnforced)
            .create_bucket_configuration(configuration.build());
        match account.call("s3:CreateBucket", &self.write.resource, request.send()).await {
            Err(error) if error.is(&["BucketAlreadyExists"]) => {
                Err(Error::refused(format!("the bucket name {bucket} is taken by another account")).because(error.told()).hint(
                    "bucket names are unique in the world: name another with `--artifact-bucket`, `--input-bucket` or `--output-bucket`",
                ))
            }
            other => {
                present(other, &["BucketAlreadyOwnedByYou"])?;
                Ok(())
            }
        }
    }

    async fn encrypt_bucket(&self, bucket: &str, region: &str, key: &str) -> Result<()> {
        use aws_sdk_s3::types::{
            ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
        };
        let bad = |error: aws_smithy_types::error::operation::BuildError| Error::internal(error.to_string());
        let default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::AwsKms)
            .kms_master_key_id(key)
            .build()
            .map_err(bad)?;
        let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default).bucket_key_enabled(true).build();
        let configuration = ServerSideEncryptionConfiguration::builder().rules(rule).build().map_err(bad)?;
        let account = self.account;
        let s3 = account.s3(region);
        self.settled(&["NoSuchBucket"], || {
            let request = s3.put_bucket_encryption().bucket(bucket).server_side_encryption_configuration(configuration.clone());
            account.call("s3:PutEncryptionConfiguration", &self.write.resource, request.expected_bucket_owner(&account.id).send())
        })
        .await?;
        Ok(())
    }

    async fn bucket_policy(&self, bucket: &str, region: &str) -> ApiResult<Option<Value>> {
        let account = self.account;
        let request = account.s3(region).get_bucket_policy().bucket(bucket).expected_bucket_owner(&account.id).send();
        let got = present(account.call("s3:GetBucketPolicy", &self.write.resource, request).await, &["NoSuchBucketPolicy"])?;
        Ok(got.and_then(|got| got.policy().and_then(|text| serde_json::from_str(text).ok())))
    }

    async fn put_bucket_policy(&self, bucket: &str, region: &str, before: Option<&Value>, after: &Value) -> Result<()> {
        let account = self.account;
        let what = format!("the bucket policy of {bucket}");
        if !self.fresh_token(&format!("bucket:{bucket}")) {
            self.unmoved(&what, before, self.bucket_policy(bucket, region).await?.as_ref())?;
        }
        let s3 = account.s3(region);
        self.settled(&["NoSuchBucket"], || {
            let request = s3.put_bucket_policy().bucket(bucket).policy(after.to_string()).expected_bucket_owner(&account.id);
            account.call("s3:PutBucketPolicy", &self.write.resource, request.send())
        })
        .await?;
        self.read_back(&what, after, || self.bucket_policy(bucket, region)).await
    }

    async fn put_notification(&self, bucket: &str, region: &str, before: &str, after: &str) -> Result<()> {
        let account = self.account;
        let moved = || {
            Error::new(
                Kind::Conflict,
                format!("the notification configuration of {bucket} has changed since the plan was made; nothing was written to it"),
            )
            .hint("look at the change, then make the plan again")
        };
        if !self.fresh_token(&format!("bucket:{bucket}")) && observe::read_notification(account, region, bucket).await? != before {
            return Err(moved());
        }
        let s3 = account.s3(region);
        // The body is sent raw: it holds what the SDK's type may not know (`architecture.md`).
        self.settled(&["NoSuchBucket"], || {
            let empty = aws_sdk_s3::types::NotificationConfiguration::builder().build();
            let request = s3
                .put_bucket_notification_configuration()
                .bucket(bucket)
                .notification_configuration(empty)
                .expected_bucket_owner(&account.id)
                .customize()
                .interceptor(SendBody(after.as_bytes().to_vec()));
            account.call("s3:PutBucketNotification", &self.write.resource, request.send())
        })
        .await?;
        let wanted = super::steps::has_eventbridge(after);
        let started = Instant::now();
        while super::steps::has_eventbridge(&observe::read_notification(account, region, bucket).await?) != wanted {
            if started.elapsed() > READ_LIMIT {
                return Err(Error::new(
                    Kind::Conflict,
                    format!("the notification configuration of {bucket} is not what was written a moment ago"),
                )
                .hint("somebody else writes to it at the same time: look at it, then run the same command again"));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    async fn put_targets(&self, region: &str, rule: &str, target: &Value) -> Result<()> {
        use aws_sdk_eventbridge::types::{InputTransformer, Target};
        let text = |path: &str| target.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let bad = |error: aws_smithy_types::error::operation::BuildError| Error::internal(error.to_string());
        let mut built = Target::builder().id(text("/Id")).arn(text("/Arn")).role_arn(text("/RoleArn"));
        if let Some(transformer) = target.get("InputTransformer") {
            let mut input = InputTransformer::builder().input_template(text("/InputTransformer/InputTemplate"));
            for (name, path) in transformer.get("InputPathsMap").and_then(Value::as_object).into_iter().flatten() {
                input = input.input_paths_map(name, path.as_str().unwrap_or_default());
            }
            built = built.input_transformer(input.build().map_err(bad)?);
        }
        let request = self.account.events(region).put_targets().rule(rule).targets(built.build().map_err(bad)?).send();
        let answer = self.account.call("events:PutTargets", &self.write.resource, request).await?;
        // PutTargets answers 200 although an entry failed (facts B.3).
        match answer.failed_entries().first() {
            None => Ok(()),
            Some(entry) => Err(Error::failed(format!("EventBridge refused the target of rule {rule}"))
                .because(format!("{}: {}", entry.error_code().unwrap_or("no code"), entry.error_message().unwrap_or("no message")))
                .hint("mend what the message names and run the same command again")),
        }
    }

    async fn assumable<T, F>(&self, attempt: impl FnMut() -> F) -> ApiResult<T>
    where
        F: Future<Output = ApiResult<T>>,
    {
        let late = |error: &ApiError| {
            error.is(&["InvalidStructureException"]) && error.message.contains("is not authorized to perform AssumeRole on role")
        };
        let waiting = |_: &ApiError| self.waiting("CodePipeline to be able to assume the roles", ASSUME_LIMIT);
        retry_while(ASSUME_LIMIT, late, waiting, attempt).await
    }

    async fn create_pipeline(&self, region: &str, declaration: &Value, tags: &BTreeMap<String, String>) -> Result<()> {
        let account = self.account;
        let client = account.codepipeline(region);
        let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let body = json!({"pipeline": declaration, "tags": tags}).to_string().into_bytes();
        let stub = stub(declaration)?;
        let answer = KeepBody::default();
        self.assumable(|| {
            // CreatePipeline has no token either (facts D.1).
            let once = aws_sdk_codepipeline::config::Builder::new().retry_config(RetryConfig::disabled());
            let request = client
                .create_pipeline()
                .pipeline(stub.clone())
                .customize()
                .config_override(once)
                .interceptor(SendBody(body.clone()))
                .interceptor(answer.clone());
            account.call("codepipeline:CreatePipeline", &self.write.resource, request.send())
        })
        .await?;
        // The answer is the pipeline as CodePipeline stored it: nobody could have changed it in between.
        let stored: Value = serde_json::from_slice(&answer.take()).unwrap_or_default();
        pipeline_is(declaration, stored.get("pipeline").unwrap_or(&Value::Null))
    }

    async fn update_pipeline(&self, region: &str, before: &Value, after: &Value) -> Result<()> {
        let account = self.account;
        let name = after.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.wait_for_runs(region, &name).await?;
        let live = observe::read_pipeline_version(account, region, &name, None).await?.map(|found| found.declaration);
        if live.as_ref() != Some(before) {
            return Err(Error::new(
                Kind::Conflict,
                format!("pipeline {name} has changed since the plan was made; nothing was written to it"),
            )
            .hint("look at the change, then make the plan again"));
        }
        let client = account.codepipeline(region);
        let body = json!({"pipeline": after}).to_string().into_bytes();
        let stub = stub(after)?;
        self.assumable(|| {
            let request = client.update_pipeline().pipeline(stub.clone()).customize().interceptor(SendBody(body.clone()));
            account.call("codepipeline:UpdatePipeline", &self.write.resource, request.send())
        })
        .await?;
        let stored = observe::read_pipeline_version(account, region, &name, None).await?.map(|found| found.declaration);
        pipeline_is(after, &stored.unwrap_or_default())
    }

    /// An update stops executions that are under way (facts A.5): they are waited for, or it is refused.
    async fn wait_for_runs(&self, region: &str, pipeline: &str) -> Result<()> {
        let limit = Duration::from_secs(2 * 60 * 60);
        let started = Instant::now();
        let mut said = false;
        loop {
            let running = observe::running_executions(self.dev, region, pipeline).await?;
            if running.is_empty() {
                return Ok(());
            }
            if !self.manner.wait_for_runs || started.elapsed() > limit {
                return Err(Error::refused(format!("pipeline {pipeline} is running ({}); an update would stop it", running.join(", ")))
                    .hint("pass `--wait-for-runs`, or run the same command again when it has finished"));
            }
            if self.manner.stop.load(Ordering::SeqCst) {
                return Err(Error::new(Kind::Interrupted, "interrupted while waiting for the pipeline's run")
                    .hint("run the same command again: it goes on from here"));
            }
            if !said {
                self.waiting("the pipeline's run to finish", limit);
                said = true;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
}

/// KMS takes an ARN everywhere but some operations; the bare id works in all of them, within the key's own region.
fn key_id(arn: &str) -> &str {
    if arn.starts_with("arn:") { arn.rsplit('/').next().unwrap_or(arn) } else { arn }
}

fn has_tag(tags: &[aws_sdk_iam::types::Tag], value: &str) -> bool {
    tags.iter().any(|tag| tag.key() == TAG && tag.value() == value)
}

fn decoded(document: &str) -> Option<Value> {
    serde_json::from_str(&percent_encoding::percent_decode_str(document).decode_utf8_lossy()).ok()
}

fn pipeline_is(wanted: &Value, stored: &Value) -> Result<()> {
    if contains(stored, wanted) {
        return Ok(());
    }
    let name = wanted.get("name").and_then(Value::as_str).unwrap_or_default();
    Err(Error::new(Kind::Conflict, format!("pipeline {name} is not what was written a moment ago")).hint(
        "somebody else changed it at the same time; its earlier versions are in `aws codepipeline get-pipeline --pipeline-version N`",
    ))
}

/// Says whether `stored` holds all of `wanted`; what AWS adds by itself (version, defaults) may be more.
fn contains(stored: &Value, wanted: &Value) -> bool {
    match (stored, wanted) {
        (Value::Object(stored), Value::Object(wanted)) => wanted.iter().all(|(key, value)| {
            key == "version"
                || stored.get(key).is_some_and(|there| contains(there, value))
                || (!stored.contains_key(key) && is_nothing(value))
        }),
        (Value::Array(stored), Value::Array(wanted)) => {
            stored.len() == wanted.len() && stored.iter().zip(wanted).all(|(stored, wanted)| contains(stored, wanted))
        }
        _ => stored == wanted,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// The least typed input that the SDK lets pass; the raw body replaces it.
fn stub(declaration: &Value) -> Result<aws_sdk_codepipeline::types::PipelineDeclaration> {
    aws_sdk_codepipeline::types::PipelineDeclaration::builder()
        .name(declaration.get("name").and_then(Value::as_str).unwrap_or_default())
        .role_arn(declaration.get("roleArn").and_then(Value::as_str).unwrap_or_default())
        .set_stages(Some(Vec::new()))
        .build()
        .map_err(|error| Error::internal(error.to_string()))
}

impl Made {
    /// The keys that were made.
    pub fn keys(&self) -> Vec<&str> {
        self.known.values().map(String::as_str).collect()
    }
}
