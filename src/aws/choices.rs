//! What a person can choose from: profiles with who they are, buckets, pipelines, key administrators. Reads only.
//!
//! A list is a help and no verdict: what can't be read is left out, and a name can always be typed.

use super::{Account, Connector, present};
use crate::model::Side;
use futures_util::stream::{self, StreamExt};
use std::time::Duration;

/// How long a profile may take to say who it is before it is listed without.
const PROFILE_LIMIT: Duration = Duration::from_secs(4);
/// How many profiles are asked who they are; more are listed without.
const PROFILES: usize = 40;
/// How many buckets are asked for their versioning.
const BUCKETS: usize = 100;
/// How many questions are under way at once.
const AT_ONCE: usize = 10;
/// Where STS is asked for a profile that sets no region.
const ANY_REGION: &str = "us-east-1";

/// A profile of the AWS files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileSeen {
    /// Its name.
    pub name: String,
    /// Its region, where it sets one.
    pub region: Option<String>,
    /// Whose it is, or why that isn't known, in a few words.
    pub who: Result<Identity, &'static str>,
}

/// An account, and who somebody is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account's id.
    pub account: String,
    /// The caller, as the last part of its ARN: `user/jane`, `assumed-role/Admin/jane`.
    pub caller: String,
}

/// A bucket of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSeen {
    /// Its name.
    pub name: String,
    /// Its region, where S3 says.
    pub region: Option<String>,
    /// Whether versioning is on, where that was asked for and could be read.
    pub versioned: Option<bool>,
}

impl Connector<'_> {
    /// Lists the profiles, with whose they are. One that runs a program or wants a code is not asked: the program may open a
    /// browser, once for each profile.
    pub async fn profiles_seen(&self) -> Vec<ProfileSeen> {
        let names = self.profiles.names().into_iter().enumerate();
        stream::iter(names.map(|(at, name)| self.profile_seen(name, at < PROFILES))).buffered(AT_ONCE).collect().await
    }

    async fn profile_seen(&self, name: String, ask: bool) -> ProfileSeen {
        let region = self.region_of(&name);
        let who = match self.profiles.is_quiet(&name) {
            false => Err("asked when chosen"),
            true if !ask => Err("not asked"),
            true => {
                let asked = self.connect(Side::Dev, &name, Some(region.as_deref().unwrap_or(ANY_REGION)));
                match tokio::time::timeout(PROFILE_LIMIT, asked).await {
                    Ok(Ok(account)) => Ok(Identity { account: account.id, caller: account.caller.resource }),
                    Ok(Err(_)) => Err("no usable credentials"),
                    Err(_) => Err("no answer"),
                }
            }
        };
        ProfileSeen { name, region, who }
    }

    /// Gives the region that a profile has without a flag, where it has one.
    pub fn region_of(&self, profile: &str) -> Option<String> {
        self.profiles.region(profile)
    }
}

/// Lists the buckets of an account by name, those of `region` first; empty where the account may not be asked.
pub async fn buckets(account: &Account, region: &str, versioning: bool) -> Vec<BucketSeen> {
    let s3 = account.s3(region);
    let mut seen = Vec::new();
    let mut token = None;
    loop {
        let request = s3.list_buckets().max_buckets(1000).set_continuation_token(token).send();
        let Ok(page) = account.call("s3:ListAllMyBuckets", "*", request).await else { break };
        for bucket in page.buckets.unwrap_or_default() {
            let region = bucket.bucket_region().map(str::to_owned);
            seen.extend(bucket.name.map(|name| BucketSeen { name, region, versioned: None }));
        }
        token = page.continuation_token;
        if token.is_none() {
            break;
        }
    }
    let elsewhere = |bucket: &BucketSeen| bucket.region.as_deref().is_some_and(|there| there != region);
    seen.sort_by(|a, b| (elsewhere(a), &a.name).cmp(&(elsewhere(b), &b.name)));
    if versioning {
        let asked = seen.iter().take(BUCKETS).filter(|bucket| !elsewhere(bucket)).map(|bucket| versioned(account, region, &bucket.name));
        let answers: Vec<Option<bool>> = stream::iter(asked.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
        // Those of other regions stand last, so the answers are those of the first.
        for (bucket, answer) in seen.iter_mut().zip(answers) {
            bucket.versioned = answer;
        }
    }
    seen
}

/// Says whether versioning of a bucket is on; `None` where that can't be read.
pub async fn versioned(account: &Account, region: &str, bucket: &str) -> Option<bool> {
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let request = account.s3(region).get_bucket_versioning().bucket(bucket).expected_bucket_owner(&account.id).send();
    let answer = account.call("s3:GetBucketVersioning", arn, request).await.ok()?;
    Some(answer.status() == Some(&aws_sdk_s3::types::BucketVersioningStatus::Enabled))
}

/// Says whether an object is there; `None` where that can't be told: without `s3:ListBucket` S3 denies both (facts A.3).
pub async fn has_object(account: &Account, region: &str, bucket: &str, key: &str) -> Option<bool> {
    let arn = format!("arn:{}:s3:::{bucket}/{key}", account.partition);
    let request = account.s3(region).head_object().bucket(bucket).key(key).expected_bucket_owner(&account.id).send();
    let answer = present(account.call("s3:GetObject", arn, request).await, &["NotFound", "NoSuchKey", "Http404"]);
    answer.ok().map(|head| head.is_some())
}

/// Lists the pipelines of a region by name; empty where they may not be listed.
pub async fn pipelines(account: &Account, region: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let request = account.codepipeline(region).list_pipelines().set_next_token(token).send();
        let Ok(page) = account.call("codepipeline:ListPipelines", "*", request).await else { break };
        names.extend(page.pipelines.unwrap_or_default().into_iter().filter_map(|pipeline| pipeline.name));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    names.sort();
    names
}

/// Lists the ARNs of an account's users and roles that may administer a key: no role of a service's own. Empty where they may
/// not be listed.
pub async fn administrators(account: &Account) -> Vec<String> {
    let mut arns = Vec::new();
    let mut marker = None;
    loop {
        let request = account.iam().list_users().set_marker(marker).send();
        let Ok(page) = account.call("iam:ListUsers", "*", request).await else { break };
        arns.extend(page.users.into_iter().map(|user| user.arn));
        marker = page.marker.filter(|_| page.is_truncated);
        if marker.is_none() {
            break;
        }
    }
    let mut marker = None;
    loop {
        let request = account.iam().list_roles().set_marker(marker).send();
        let Ok(page) = account.call("iam:ListRoles", "*", request).await else { break };
        arns.extend(page.roles.into_iter().map(|role| role.arn));
        marker = page.marker.filter(|_| page.is_truncated);
        if marker.is_none() {
            break;
        }
    }
    arns.retain(|arn| !arn.contains(":role/aws-service-role/") && !arn.contains(":role/service-role/"));
    arns
}
