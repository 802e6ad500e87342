//! Where each write of a plan ends up: in a resource of a template, or in a separate step.

use super::Work;
use crate::deploy::names::{fitted, short_hash};
use crate::deploy::write::{Call, Step, Write};
use crate::error::Result;
use crate::export::shared::never_planned;
use crate::model::Side;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The artifact key.
pub const KEY: &str = "ArtifactKey";
/// Its alias.
pub const ALIAS: &str = "ArtifactKeyAlias";
/// The artifact bucket.
pub const BUCKET: &str = "ArtifactBucket";
/// The pipeline's service role.
pub const SERVICE_ROLE: &str = "ServiceRole";
/// The cross-account role.
pub const DEPLOY_ROLE: &str = "DeployRole";
/// EventBridge's role.
pub const EVENT_ROLE: &str = "EventRole";
/// The rule.
pub const RULE: &str = "SourceRule";
/// The pipeline.
pub const PIPELINE: &str = "Pipeline";

/// A template's account and region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StackId {
    /// The account.
    pub side: Side,
    /// The region: CloudFormation is regional.
    pub region: String,
}

impl StackId {
    /// Says whether it is the account's main template, which has what is global.
    pub fn is_main(&self, work: &Work<'_>) -> bool {
        self.region == work.identity(self.side).region
    }

    /// Gives the template's file name.
    pub fn file(&self, work: &Work<'_>) -> String {
        let region = if self.is_main(work) { String::new() } else { format!(".{}", self.region) };
        let mark = work.mark(self).map(|mark| format!(".{mark}")).unwrap_or_default();
        format!("{}{region}{mark}.template.json", self.side)
    }

    /// Gives the stack's name, at most 128 letters, digits and hyphens: one for each pipeline of an account and region.
    pub fn name(&self, work: &Work<'_>) -> String {
        let (pipeline, home) = (work.blueprint.pipeline.as_str(), &work.blueprint.home);
        let plain: String = pipeline.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' }).collect();
        let mut name = format!("xdeploy-{plain}-{}", self.side);
        // A stack is one account's and region's; pipelines of other regions have stacks there as well.
        if self.region != *home {
            let _ = write!(name, "-{home}-{}", self.region);
        }
        // `a.b` and `a-b` are two pipelines.
        if plain != pipeline {
            let _ = write!(name, "-{}", short_hash(pipeline, 8));
        }
        if let Some(mark) = work.mark(self) {
            let _ = write!(name, "-{mark}");
        }
        fitted(&name, 128)
    }
}

/// Where a write ends up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a resource of this logical id.
    Resource(StackId, &'static str),
    /// Beside the templates.
    Step,
}

/// What a plan makes anew.
#[derive(Debug, Default)]
pub struct Made<'a> {
    roles: BTreeSet<(Side, &'a str)>,
    policies: BTreeSet<&'a str>,
    buckets: BTreeSet<&'a str>,
    rules: BTreeSet<&'a str>,
}

impl<'a> Made<'a> {
    /// Reads it off the writes.
    pub fn of(writes: &'a [Write]) -> Made<'a> {
        let mut made = Made::default();
        for write in writes {
            match &write.call {
                Call::CreateRole { name, .. } => drop(made.roles.insert((write.account, name))),
                Call::CreatePolicy { .. } => drop(made.policies.insert(&write.resource)),
                Call::CreateBucket { bucket, .. } => drop(made.buckets.insert(bucket)),
                // A rule is given tags only when it is new.
                Call::PutRule { name, tags, .. } if !tags.is_empty() => drop(made.rules.insert(name)),
                _ => {}
            }
        }
        made
    }

    /// Says whether a role is made.
    pub fn role(&self, side: Side, name: &str) -> bool {
        self.roles.contains(&(side, name))
    }

    /// Says whether a bucket is made.
    pub fn bucket(&self, name: &str) -> bool {
        self.buckets.contains(name)
    }
}

impl Work<'_> {
    /// Gives what tells a stack from earlier ones of this pipeline; `None` where all of its account is new.
    ///
    /// A template that has only what is still missing would delete all else of a stack that it updates. Writes that are the same
    /// come to the same mark, so that the same export may be deployed again.
    pub(super) fn mark(&self, stack: &StackId) -> Option<String> {
        let found = self.plan.snapshot();
        let account = format!("::{}:", self.identity(stack.side).account);
        let policy = found.policies.keys().any(|arn| arn.contains(&account));
        let there = policy
            || match stack.side {
                Side::Dev => {
                    found.pipeline.is_some()
                        || found.service_role.is_some()
                        || found.event_role.is_some()
                        || found.rule.is_some()
                        || found.keys.values().any(|slot| slot.found.is_some())
                        || found.artifact_buckets.values().any(|slot| slot.found.is_some())
                }
                Side::Prod => found.deploy_role.is_some(),
            };
        let held = || {
            let of = |write: &Write| match self.place(write) {
                Ok(Place::Resource(of, id)) if of == *stack => Some(format!("{id} {}", write.resource)),
                _ => None,
            };
            self.writes.iter().filter_map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("\n")
        };
        there.then(|| short_hash(&format!("{}\n{}", self.blueprint.pipeline_arn, held()), 8))
    }

    /// Says where a write ends up.
    ///
    /// # Errors
    /// It is no write of a set-up.
    pub fn place(&self, write: &Write) -> Result<Place> {
        let side = write.account;
        let at = |region: &str, id: &'static str| Place::Resource(StackId { side, region: region.to_owned() }, id);
        let main = |id: &'static str| at(&self.identity(side).region, id);
        let when = |resource: bool, place: Place| if resource { place } else { Place::Step };
        let made = &self.made;
        let key_made = |region: &str| super::makes_key(self.writes, region);
        Ok(match &write.call {
            Call::CreateKey { region, .. } => at(region, KEY),
            Call::ReplicateKey { replica_region, .. } => at(replica_region, KEY),
            Call::CreateAlias { region, .. } => at(region, ALIAS),
            Call::EnableKeyRotation { region, .. } => when(key_made(region), at(region, KEY)),
            Call::PutKeyPolicy { region, before, .. } => when(before.is_none() && key_made(region), at(region, KEY)),
            Call::CreateRole { .. } => main(role_id(write)),
            Call::PutRolePolicy { role, before, .. } if made.role(side, role) || before.is_some() => {
                when(made.role(side, role), main(role_id(write)))
            }
            Call::PutRolePolicy { .. } => main(match role_id(write) {
                EVENT_ROLE => "EventRolePolicy",
                DEPLOY_ROLE => "DeployRolePolicy",
                _ => "ServiceRolePolicy",
            }),
            Call::CreatePolicy { .. } => main(self.policy_id(&write.resource)),
            Call::AttachRolePolicy { role, arn } if !made.policies.contains(arn.as_str()) => {
                when(made.role(side, role), main(role_id(write)))
            }
            Call::AttachRolePolicy { arn, .. } => main(self.policy_id(arn)),
            Call::CreateBucket { bucket, region }
            | Call::BlockPublicAccess { bucket, region }
            | Call::EncryptBucket { bucket, region, .. }
            | Call::EnableVersioning { bucket, region }
            | Call::PutBucketNotification { bucket, region, .. } => when(made.bucket(bucket), at(region, self.bucket_id(bucket))),
            Call::PutBucketPolicy { bucket, region, .. } => when(made.bucket(bucket), at(region, "ArtifactBucketPolicy")),
            Call::PutRule { region, name, .. } => when(made.rules.contains(name.as_str()), at(region, RULE)),
            Call::PutTargets { region, rule, .. } => when(made.rules.contains(rule.as_str()), at(region, RULE)),
            Call::CreatePipeline { region, .. } => at(region, PIPELINE),
            Call::UpdateAssumeRolePolicy { .. }
            | Call::CreatePolicyVersion { .. }
            | Call::DeletePolicyVersion { .. }
            | Call::DeleteBucketPolicy { .. }
            | Call::UploadObject { .. }
            | Call::RemoveTargets { .. }
            | Call::DeleteRule { .. }
            | Call::UpdatePipeline { .. }
            | Call::TagPipeline { .. } => Place::Step,
            Call::DeleteAlias { .. }
            | Call::ScheduleKeyDeletion { .. }
            | Call::DeleteRole { .. }
            | Call::DeleteRolePolicy { .. }
            | Call::DeletePolicy { .. }
            | Call::DetachRolePolicy { .. }
            | Call::DeleteBucket { .. }
            | Call::DeletePipeline { .. } => {
                return Err(never_planned(&write.call));
            }
        })
    }

    fn policy_id(&self, arn: &str) -> &'static str {
        let names = &self.blueprint.names;
        match arn {
            _ if arn == names.output_policy.arn => "OutputPolicy",
            _ if arn == names.artifact_policy.arn => "ArtifactPolicy",
            _ => "AssumePolicy",
        }
    }

    fn bucket_id(&self, bucket: &str) -> &'static str {
        match bucket {
            _ if self.blueprint.stores.iter().any(|store| store.bucket == bucket) => BUCKET,
            _ if bucket == self.blueprint.input_bucket => "InputBucket",
            _ => "OutputBucket",
        }
    }
}

/// Gives the logical id of the role that a write is about.
pub fn role_id(write: &Write) -> &'static str {
    match (write.account, write.step) {
        (Side::Prod, _) => DEPLOY_ROLE,
        (Side::Dev, Step::ChangeDetection) => EVENT_ROLE,
        (Side::Dev, _) => SERVICE_ROLE,
    }
}
