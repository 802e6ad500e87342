//! Writes of KMS keys.

use super::REPLICA_LIMIT;
use super::worker::{Learned, NONE, UNSEEN_TAGS, Worker, key_id};
use crate::aws::present;
use crate::deploy::observe;
use crate::deploy::snapshot::is_own;
use crate::deploy::write::{key_placeholder, new_key};
use crate::error::{Error, Kind, Result};
use aws_config::retry::RetryConfig;
use aws_sdk_kms::types::Tag as KmsTag;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// The fewest days before a key is deleted (facts D.1).
const SHORTEST_WAIT: i32 = 7;

/// Says that a key of this run may be one too many, and how to be rid of it.
fn left_over(error: Error, region: &str, key: &str) -> Error {
    error
        .context(format!("another set-up made the key of this pipeline at the same time, and {key} is left over"))
        .hint(format!("unless the alias stands for it, nothing uses it: aws kms schedule-key-deletion --region {region} --key-id {key}"))
}

impl Worker<'_> {
    fn kms_tags(&self) -> Result<Vec<KmsTag>> {
        let tag = |(key, value): (&str, &str)| KmsTag::builder().tag_key(key).tag_value(value).build();
        self.tags().into_iter().map(tag).collect::<std::result::Result<_, _>>().map_err(|error| Error::internal(error.to_string()))
    }

    pub(super) async fn create_key(&self, region: &str, multi_region: bool, policy: &Value, description: &str) -> Result<Learned> {
        let tags = self.kms_tags()?;
        let kms = self.account.kms(region);
        let made = self
            .settled(NONE, || {
                let request = kms
                    .create_key()
                    .description(description)
                    .policy(policy.to_string())
                    .set_tags(Some(tags.clone()))
                    .multi_region(multi_region);
                // CreateKey has no token: a retry after a lost answer would make a second key (facts D.1).
                let once = aws_sdk_kms::config::Builder::new().retry_config(RetryConfig::disabled());
                self.account.call("kms:CreateKey", "*", request.customize().config_override(once).send())
            })
            .await?;
        let arn = made.key_metadata().and_then(|metadata| metadata.arn()).ok_or_else(|| {
            Error::failed("KMS did not give the new key's ARN").hint("run the same command again: it finds the key by its tag")
        })?;
        Ok(Learned::from([(key_placeholder(region), arn.to_owned())]))
    }

    /// Names a key. Where two runs have made one at the same time, since CreateKey has no token (facts D.1), the name decides:
    /// who comes second takes the key that has it, if that is this pipeline's too, and schedules the deletion of its own.
    ///
    /// Nothing uses that one: what needs the key waits for its name. A run that dies between the two calls leaves it.
    pub(super) async fn create_alias(&self, region: &str, alias: &str, key: &str) -> Result<Learned> {
        let (account, kms, resource) = (self.account, self.account.kms(region), self.write.resource.as_str());
        let result = self
            .settled(&["NotFoundException", "KMSInvalidStateException"], || {
                account.call("kms:CreateAlias", resource, kms.create_alias().alias_name(alias).target_key_id(key_id(key)).send())
            })
            .await;
        if present(result, &["AlreadyExistsException"])?.is_some() {
            return Ok(Learned::new());
        }
        let made_here = self.fresh_token(&new_key(region));
        let there = self
            .settled(&["NotFoundException"], || account.call("kms:DescribeKey", resource, kms.describe_key().key_id(alias).send()))
            .await;
        // Whose key the name stands for isn't known then: it may be this run's own, by a call whose answer was lost.
        let there = there.map_err(|error| if made_here { left_over(error.into(), region, key) } else { error.into() })?;
        let named = there.key_metadata().and_then(|metadata| metadata.arn()).unwrap_or_default().to_owned();
        if key_id(&named) == key_id(key) {
            return Ok(Learned::new());
        }
        if made_here {
            self.let_go(region, key).await?;
        }
        let tags = observe::key_tags(account, region, &named, key_id(&named)).await?;
        if made_here && is_own(&tags, self.manner.pipeline_arn) {
            return Ok(Learned::from([(key_placeholder(region), named)]));
        }
        Err(Error::new(Kind::Conflict, format!("{alias} was given to another key since the plan was made"))
            .hint("make the plan again, or pass another `--key-alias`"))
    }

    /// Schedules the deletion of a key that this run has made and nothing uses.
    async fn let_go(&self, region: &str, key: &str) -> Result<()> {
        let kms = self.account.kms(region);
        let gone = self
            .settled(&["NotFoundException"], || {
                let request = kms.schedule_key_deletion().key_id(key_id(key)).pending_window_in_days(SHORTEST_WAIT).send();
                self.account.call("kms:ScheduleKeyDeletion", key, request)
            })
            .await;
        match gone {
            Err(error) if !error.is(&["KMSInvalidStateException"]) => Err(left_over(error.into(), region, key)),
            _ => Ok(()),
        }
    }

    pub(super) async fn replicate_key(
        &self,
        key: &str,
        region: &str,
        replica_region: &str,
        policy: &Value,
        description: &str,
    ) -> Result<Learned> {
        let tags = self.kms_tags()?;
        let kms = self.account.kms(region);
        let result = self
            .settled(&["NotFoundException", "KMSInvalidStateException", UNSEEN_TAGS], || {
                let request = kms.replicate_key().key_id(key_id(key)).replica_region(replica_region).policy(policy.to_string());
                self.account.call("kms:ReplicateKey", key, request.description(description).set_tags(Some(tags.clone())).send())
            })
            .await;
        let made = present(result, &["AlreadyExistsException"])?.is_some();
        // A replica has its primary's id, in its own region.
        let mut parts: Vec<&str> = key.split(':').collect();
        if parts.len() < 6 {
            return Err(Error::internal(format!("{key} is not a key's ARN")));
        }
        parts[3] = replica_region;
        let arn = parts.join(":");
        if !made {
            // A retried request may have been answered the first time; a replica of somebody else's would lose its policy.
            let tags = observe::key_tags(self.account, replica_region, &arn, key_id(&arn)).await?;
            if !is_own(&tags, self.manner.pipeline_arn) {
                return Err(Error::new(Kind::Conflict, format!("{arn} was made by somebody else since the plan was made"))
                    .hint("make the plan again: it adopts the replica"));
            }
        }
        self.wait_for_replica(&arn, replica_region).await?;
        Ok(Learned::from([(key_placeholder(replica_region), arn)]))
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
            self.pause(Duration::from_secs(2)).await?;
        }
    }

    pub(super) async fn put_key_policy(&self, region: &str, key: &str, before: Option<&Value>, after: &Value) -> Result<()> {
        let kms = self.account.kms(region);
        let read = || async {
            let got = self.account.call("kms:GetKeyPolicy", key, kms.get_key_policy().key_id(key_id(key)).send()).await?;
            self.account.document("kms:GetKeyPolicy", key, got.policy()).map(Some)
        };
        let what = format!("the policy of key {key}");
        if !self.to_write(&what, before, read().await?.as_ref(), Some(after))? {
            return Ok(());
        }
        self.settled(&["NotFoundException", "KMSInvalidStateException", UNSEEN_TAGS], || {
            self.account.call("kms:PutKeyPolicy", key, kms.put_key_policy().key_id(key_id(key)).policy(after.to_string()).send())
        })
        .await?;
        self.read_back(&what, after, read).await
    }
}
