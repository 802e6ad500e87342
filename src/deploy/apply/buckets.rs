//! Writes of S3 buckets.

use super::READ_LIMIT;
use super::worker::{NONE, Worker, moved};
use crate::aws::raw::SendBody;
use crate::aws::{ApiResult, present};
use crate::deploy::{observe, steps};
use crate::error::{Error, Kind, Result};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

impl Worker<'_> {
    pub(super) async fn create_bucket(&self, bucket: &str, region: &str) -> Result<()> {
        use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, ObjectOwnership, Tag};
        let account = self.account;
        let tag = |(key, value): (&str, &str)| Tag::builder().key(key).value(value).build();
        let tags: std::result::Result<Vec<Tag>, _> = self.tags().into_iter().map(tag).collect();
        let mut configuration =
            CreateBucketConfiguration::builder().set_tags(Some(tags.map_err(|error| Error::internal(error.to_string()))?));
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
        match self.settled(NONE, || account.call("s3:CreateBucket", &self.write.resource, request.clone().send())).await {
            Err(error) if error.is_denied() => {
                let mut error = Error::from(error);
                error.hints.insert(
                    1,
                    "a bucket with tags and an object ownership needs s3:TagResource and s3:PutBucketOwnershipControls as well".to_owned(),
                );
                Err(error)
            }
            Err(error) if error.is(&["BucketAlreadyExists"]) => {
                Err(Error::failed(format!("the bucket name {bucket} is taken by another account")).because(error.told()).hint(
                    "bucket names are unique in the world: name another with `--artifact-bucket`, `--input-bucket` or `--output-bucket`",
                ))
            }
            other => {
                present(other, &["BucketAlreadyOwnedByYou"])?;
                Ok(())
            }
        }
    }

    pub(super) async fn encrypt_bucket(&self, bucket: &str, region: &str, key: &str) -> Result<()> {
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

    pub(super) async fn bucket_policy(&self, bucket: &str, region: &str) -> ApiResult<Option<Value>> {
        let account = self.account;
        let request = account.s3(region).get_bucket_policy().bucket(bucket).expected_bucket_owner(&account.id).send();
        let got = present(account.call("s3:GetBucketPolicy", &self.write.resource, request).await, &["NoSuchBucketPolicy"])?;
        got.map(|got| account.document("s3:GetBucketPolicy", &self.write.resource, got.policy())).transpose()
    }

    pub(super) async fn put_bucket_policy(&self, bucket: &str, region: &str, before: Option<&Value>, after: &Value) -> Result<()> {
        let account = self.account;
        let what = format!("the bucket policy of {bucket}");
        // Also of a bucket that was made a moment ago: an organisation may put a policy on every new one.
        if !self.to_write(&what, before, self.bucket_policy(bucket, region).await?.as_ref(), Some(after))? {
            return Ok(());
        }
        let s3 = account.s3(region);
        self.settled(&["NoSuchBucket"], || {
            let request = s3.put_bucket_policy().bucket(bucket).policy(after.to_string()).expected_bucket_owner(&account.id);
            account.call("s3:PutBucketPolicy", &self.write.resource, request.send())
        })
        .await?;
        self.read_back(&what, after, || self.bucket_policy(bucket, region)).await
    }

    pub(super) async fn put_notification(&self, bucket: &str, region: &str, before: &str, after: &str) -> Result<()> {
        let account = self.account;
        let now = observe::read_notification(account, region, bucket).await?;
        // The plan knows nothing of a bucket that wasn't there.
        if now != before && !(before.is_empty() && steps::tells_nobody(&now)) {
            if now == after {
                return Ok(());
            }
            return Err(moved(&format!("the notification configuration of {bucket}")));
        }
        let s3 = account.s3(region);
        // The body is sent raw: it holds what the SDK's type may not know (`architecture.md`).
        self.settled(&["NoSuchBucket"], || {
            let empty = aws_sdk_s3::types::NotificationConfiguration::builder().build();
            let request = s3
                .put_bucket_notification_configuration()
                .bucket(bucket)
                .notification_configuration(empty)
                // What others configured was validated when they did; S3 would send their queues a test event, or refuse
                // the whole for one that is gone.
                .skip_destination_validation(true)
                .expected_bucket_owner(&account.id)
                .customize()
                .interceptor(SendBody(after.as_bytes().to_vec()));
            account.call("s3:PutBucketNotification", &self.write.resource, request.send())
        })
        .await?;
        let wanted = steps::has_eventbridge(after);
        let started = Instant::now();
        while steps::has_eventbridge(&observe::read_notification(account, region, bucket).await?) != wanted {
            if started.elapsed() > READ_LIMIT {
                return Err(Error::new(
                    Kind::Conflict,
                    format!("the notification configuration of {bucket} is not what was written a moment ago"),
                )
                .hint("somebody else writes to it at the same time: look at it, then run the same command again"));
            }
            self.pause(Duration::from_secs(1)).await?;
        }
        Ok(())
    }
}
