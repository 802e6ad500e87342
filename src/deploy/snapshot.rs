//! What both accounts hold now, as plain data that can be compared, saved and judged without AWS.

use super::names::{ARN_TAG, TAG};
use crate::aws::Account;
use crate::model::{Readable, Side, account_of};
use crate::policy::WRITTEN;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The tags of a resource.
pub type Tags = BTreeMap<String, String>;

/// Says whether these tags mark a thing as made by xdeploy for this pipeline.
pub fn is_own(tags: &Tags, pipeline_arn: &str) -> bool {
    let name = pipeline_arn.rsplit(':').next();
    tags.get(TAG).map(String::as_str) == name && tags.get(ARN_TAG).is_none_or(|owner| owner == pipeline_arn)
}

/// Who and where one side is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    /// `aws`, `aws-cn`, …
    pub partition: String,
    /// The pipeline's region on the development side, the output bucket's on the production side.
    pub region: String,
}

impl Identity {
    /// Takes what STS told, with the region that matters.
    pub fn of(account: &Account, region: &str) -> Identity {
        Identity { account: account.id.clone(), partition: account.partition.0.clone(), region: region.to_owned() }
    }

    /// Gives the ARN of an IAM thing, such as `role/service-role/name`.
    pub fn iam(&self, what: &str) -> String {
        format!("arn:{}:iam::{}:{what}", self.partition, self.account)
    }

    /// Gives the account's root principal.
    pub fn root(&self) -> String {
        self.iam("root")
    }

    /// Gives the ARN of a bucket.
    pub fn bucket(&self, name: &str) -> String {
        format!("arn:{}:s3:::{name}", self.partition)
    }

    /// Gives the ARN of a regional thing, such as `rule/name` of `events`.
    pub fn regional(&self, service: &str, region: &str, what: &str) -> String {
        format!("arn:{}:{service}:{region}:{}:{what}", self.partition, self.account)
    }
}

/// Everything that setup reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The development side.
    pub dev: Identity,
    /// The production side.
    pub prod: Identity,
    /// The IAM ARN of the development caller's user or role; `None` for the root user (`architecture.md`, "Who am I").
    pub administrator: Readable<Option<String>>,
    /// The name of the development caller's role, where it isn't made an administrator because it doesn't last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passing_role: Option<String>,
    /// The pipeline.
    pub pipeline: Option<PipelineFound>,
    /// The service role.
    pub service_role: Option<RoleFound>,
    /// The cross-account role.
    pub deploy_role: Option<RoleFound>,
    /// EventBridge's role.
    pub event_role: Option<RoleFound>,
    /// Customer managed policies that have our names, by ARN.
    pub policies: BTreeMap<String, PolicyFound>,
    /// The key of each artifact store, by region.
    pub keys: BTreeMap<String, KeySlot>,
    /// The artifact bucket of each store, by region.
    pub artifact_buckets: BTreeMap<String, BucketSlot>,
    /// The input bucket; `None` if there is none.
    pub input: BucketSlot,
    /// The output bucket; `None` if there is none.
    pub output: BucketSlot,
    /// Our rule.
    pub rule: Option<RuleFound>,
    /// Other rules that start this pipeline.
    pub other_rules: Vec<RuleFound>,
    /// Customer managed keys that the input and output buckets are encrypted with, by ARN.
    pub customer_keys: BTreeMap<String, Readable<KeyFound>>,
    /// Roles with which other rules start this pipeline, and those that its source actions name, by ARN.
    #[serde(default)]
    pub other_roles: BTreeMap<String, Readable<Option<RoleFound>>>,
    /// Documents of the permissions boundaries that were named for new roles, by ARN; `None` for one that isn't there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub boundaries: BTreeMap<String, Readable<Option<Value>>>,
    /// What the organisation says about the development account; `None` where it was not asked.
    #[serde(default)]
    pub dev_organisation: Option<Organisation>,
    /// What the organisation says about the production account; `None` where it was not asked.
    #[serde(default)]
    pub prod_organisation: Option<Organisation>,
    /// The side whose half nobody read: a hand-off told it, or it is assumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// When this was read.
    #[serde(skip)]
    pub read_at: ReadAt,
}

/// When a snapshot was read, in seconds since 1970; two that differ in it alone are equal, as the accounts are.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadAt(pub Option<u64>);

impl PartialEq for ReadAt {
    fn eq(&self, _: &ReadAt) -> bool {
        true
    }
}

impl ReadAt {
    /// Gives the moment as a date that policies are compared with; where it isn't known, one at which this was not yet written.
    pub fn text(self) -> String {
        self.0.unwrap_or(WRITTEN).to_string()
    }
}

/// Where the half of an account comes from that nobody was logged in to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whose half.
    pub side: Side,
    /// A hand-off tells it; otherwise nothing is there, as far as anybody knows.
    pub by_handoff: bool,
    /// What could not be looked at of what it tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<String>,
}

/// The development account's half of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of the snapshot")]
pub struct DevHalf {
    pub identity: Identity,
    pub pipeline: Option<PipelineFound>,
    pub service_role: Option<RoleFound>,
    pub event_role: Option<RoleFound>,
    pub policies: BTreeMap<String, PolicyFound>,
    pub keys: BTreeMap<String, KeySlot>,
    pub artifact_buckets: BTreeMap<String, BucketSlot>,
    pub input: BucketSlot,
    pub rule: Option<RuleFound>,
    pub other_rules: Vec<RuleFound>,
    pub customer_keys: BTreeMap<String, Readable<KeyFound>>,
    pub other_roles: BTreeMap<String, Readable<Option<RoleFound>>>,
}

/// The production account's half of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of the snapshot")]
pub struct ProdHalf {
    pub identity: Identity,
    pub deploy_role: Option<RoleFound>,
    pub policies: BTreeMap<String, PolicyFound>,
    pub output: BucketSlot,
    pub customer_keys: BTreeMap<String, Readable<KeyFound>>,
    pub other_roles: BTreeMap<String, Readable<Option<RoleFound>>>,
}

/// One account's half.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Half {
    /// The development account's.
    Dev(DevHalf),
    /// The production account's.
    Prod(ProdHalf),
}

/// Takes what is of one account; what names no account is of the side that it was read from.
fn of_account<T: Clone>(all: &BTreeMap<String, T>, account: &str, or: impl Fn(&str) -> bool) -> BTreeMap<String, T> {
    let is_of = |name: &str| match name.starts_with("arn:") {
        true => account_of(name) == account,
        false => or(name),
    };
    all.iter().filter(|(name, _)| is_of(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Snapshot {
    /// Gives who and where a side is.
    pub fn identity(&self, side: Side) -> &Identity {
        match side {
            Side::Dev => &self.dev,
            Side::Prod => &self.prod,
        }
    }

    /// Gives the half of one account.
    pub fn half(&self, side: Side) -> Half {
        let identity = self.identity(side).clone();
        let slot = match side {
            Side::Dev => &self.input,
            Side::Prod => &self.output,
        };
        let encryption = slot.found.as_ref().and_then(|found| found.encryption.as_ref()?.known());
        let own_key = |name: &str| encryption.is_some_and(|encryption| encryption.key.as_deref() == Some(name));
        let policies = of_account(&self.policies, &identity.account, |_| false);
        let customer_keys = of_account(&self.customer_keys, &identity.account, own_key);
        let other_roles = of_account(&self.other_roles, &identity.account, |_| false);
        match side {
            Side::Dev => Half::Dev(DevHalf {
                pipeline: self.pipeline.clone(),
                service_role: self.service_role.clone(),
                event_role: self.event_role.clone(),
                policies,
                keys: self.keys.clone(),
                artifact_buckets: self.artifact_buckets.clone(),
                input: self.input.clone(),
                rule: self.rule.clone(),
                other_rules: self.other_rules.clone(),
                customer_keys,
                other_roles,
                identity,
            }),
            Side::Prod => Half::Prod(ProdHalf {
                deploy_role: self.deploy_role.clone(),
                policies,
                output: self.output.clone(),
                customer_keys,
                other_roles,
                identity,
            }),
        }
    }
}

/// What an account's organisation says about it (ORG-SCP, ORG-RCP).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// The organisation's id, `o-…`; `None` if the account is in no organisation.
    pub id: Readable<Option<String>>,
    /// The account is the organisation's management account, which no policy limits.
    pub management: bool,
    /// Service control policies, a level each from the root down to the account; no level: nothing limits it.
    pub scps: Readable<Vec<Level>>,
    /// Resource control policies, likewise.
    pub rcps: Readable<Vec<Level>>,
}

/// The policies of one level of an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The root, organisational unit or account that they are attached to.
    pub target: String,
    /// Their documents, by name.
    pub policies: BTreeMap<String, Value>,
}

/// A pipeline as it is, with members that no SDK knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineFound {
    /// Its ARN.
    pub arn: String,
    /// The declaration, as it came.
    pub declaration: Value,
    /// Its tags.
    pub tags: Tags,
    /// Executions that are under way; an update would stop them. Left out of comparisons.
    #[serde(default)]
    pub running: Vec<String>,
    /// When polling was switched off after 30 idle days (facts B.3).
    pub polling_disabled: bool,
}

/// A role with all that is attached to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleFound {
    /// Its name.
    pub name: String,
    /// Its ARN, with its path.
    pub arn: String,
    /// Its unique id, `AROA…`.
    #[serde(default)]
    pub id: Option<String>,
    /// Its trust policy.
    pub trust: Value,
    /// Its tags.
    pub tags: Tags,
    /// Attached managed policies' ARNs.
    pub attached: Vec<String>,
    /// Inline policies.
    pub inline: BTreeMap<String, Value>,
    /// Documents of attached policies that no pipeline's set-up made, by ARN; only read for roles that are not ours.
    pub attached_documents: BTreeMap<String, Value>,
    /// Documents of the other attached policies that don't have our names, by ARN: they count in the proof alone.
    #[serde(default)]
    pub other_documents: BTreeMap<String, Value>,
    /// Its permissions boundary.
    #[serde(default)]
    pub boundary: Option<Boundary>,
}

/// A permissions boundary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundary {
    /// The managed policy that it is.
    pub arn: String,
    /// Its document.
    pub document: Readable<Value>,
}

/// A customer managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFound {
    /// Its ARN.
    pub arn: String,
    /// The default version's document.
    pub document: Value,
    /// All versions, oldest first.
    pub versions: Vec<String>,
    /// The default version.
    pub default_version: String,
    /// Its tags.
    pub tags: Tags,
    /// How many principals it is attached to.
    pub attachments: i32,
}

/// The place of a store's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySlot {
    /// What was asked for: an alias, or what the pipeline's artifact store says.
    pub asked: String,
    /// The pipeline's artifact store names it.
    pub from_pipeline: bool,
    /// The pipeline's artifact store names an AWS managed key, in whose place this one comes.
    pub replaces_managed_key: bool,
    /// The alias exists (always true for a key that the pipeline names).
    pub alias_exists: bool,
    /// The key.
    pub found: Option<KeyFound>,
}

/// A KMS key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFound {
    /// Its ARN.
    pub arn: String,
    /// `CUSTOMER` or `AWS`.
    pub manager: String,
    /// `SYMMETRIC_DEFAULT` or another.
    pub spec: String,
    /// `ENCRYPT_DECRYPT` or another.
    pub usage: String,
    /// `Enabled` or another.
    pub state: String,
    /// It is a multi-Region key.
    pub multi_region: bool,
    /// It is a replica of the multi-Region key of this region.
    pub primary_region: Option<String>,
    /// Its key policy; `None` for a key of another account.
    pub policy: Option<Value>,
    /// Rotation is on; `None` where it can't be read.
    pub rotation: Option<bool>,
    /// Its tags.
    pub tags: Tags,
}

impl KeyFound {
    /// A key that only its ARN is known of, and that can be used.
    pub fn named(arn: &str) -> KeyFound {
        KeyFound {
            arn: arn.to_owned(),
            manager: "CUSTOMER".to_owned(),
            spec: "SYMMETRIC_DEFAULT".to_owned(),
            usage: "ENCRYPT_DECRYPT".to_owned(),
            state: "Enabled".to_owned(),
            multi_region: false,
            primary_region: None,
            policy: None,
            rotation: None,
            tags: Tags::new(),
        }
    }

    /// Gives the bare key id.
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or(&self.arn)
    }

    /// Gives the account that owns it.
    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }
}

/// The place of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketSlot {
    /// The name that was asked for, found or will be given.
    pub name: String,
    /// What is there.
    pub found: Option<BucketFound>,
}

/// A bucket, as far as its step needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketFound {
    /// Where it is.
    pub region: String,
    /// `Enabled`, `Suspended` or, where it never was on, empty; `None` if it wasn't read.
    pub versioning: Option<String>,
    /// Its policy.
    pub policy: Option<Value>,
    /// Why the policy could not be read.
    #[serde(default)]
    pub policy_unread: Option<String>,
    /// Default encryption: algorithm and key.
    pub encryption: Option<Readable<Encryption>>,
    /// Object ownership; only read for the output bucket.
    pub ownership: Option<Readable<String>>,
    /// All four switches of Block Public Access are on; only read for artifact buckets.
    pub public_access_blocked: Option<bool>,
    /// RestrictPublicBuckets is on; read together with that.
    #[serde(default)]
    pub restricts_public: Option<bool>,
    /// Its tags; only read where a step may have made it.
    pub tags: Tags,
    /// The notification configuration as S3's XML, as it came; only read for the input bucket.
    pub notification: Option<String>,
    /// The SHA-256 that an upload of ours left with the source object; only read where a file is to be uploaded.
    #[serde(default)]
    pub source_sha256: Option<String>,
    /// It holds no object and no version; only read where that decides something.
    pub empty: Option<bool>,
}

/// Default encryption of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub algorithm: String,
    /// The key as S3 gives it: ARN, id or alias.
    pub key: Option<String>,
    /// S3 Bucket Key is on, which changes the encryption context of KMS calls (facts A.2, row 7).
    #[serde(default)]
    pub bucket_key: bool,
}

/// An EventBridge rule on the default bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFound {
    /// Its name.
    pub name: String,
    /// Its event pattern; null for a schedule.
    pub pattern: Value,
    /// It is on.
    pub enabled: bool,
    /// Its tags; only read for our rule.
    pub tags: Tags,
    /// Its targets.
    pub targets: Vec<Value>,
}
