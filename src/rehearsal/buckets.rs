//! Buckets that are there before anybody comes, made through the front door.

use super::Rehearsal;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::types::{BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, VersioningConfiguration};

/// The one region that a bucket's location isn't named for.
const NAMELESS: &str = "us-east-1";

impl Rehearsal {
    /// Makes a bucket as an account's administrator, in a region, with versioning on or never turned on.
    ///
    /// # Errors
    /// What S3 says: the name is malformed or taken.
    pub async fn make_bucket(&self, account: &str, region: &str, bucket: &str, versioned: bool) -> Result<(), String> {
        let s3 = aws_sdk_s3::Client::new(&self.config(self.keys(account), region));
        let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region)).build();
        let place = (region != NAMELESS).then_some(place);
        let made = s3.create_bucket().bucket(bucket).set_create_bucket_configuration(place).send().await;
        made.map_err(|error| DisplayErrorContext(error).to_string())?;
        if versioned {
            let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
            let set = s3.put_bucket_versioning().bucket(bucket).versioning_configuration(on).send().await;
            set.map_err(|error| DisplayErrorContext(error).to_string())?;
        }
        Ok(())
    }
}
