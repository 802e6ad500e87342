//! What both accounts will hold once a plan's writes are done: the same plain data, so that it can be judged before anything is
//! changed.

use super::names::own_tags;
use super::snapshot::{
    Boundary, BucketFound, BucketSlot, Encryption, Identity, KeyFound, PipelineFound, PolicyFound, RoleFound, RuleFound, Snapshot, Tags,
};
use super::write::{Call, Step, Write, key_placeholder};
use crate::model::{Readable, Side};
use serde_json::Value;
use std::collections::BTreeMap;

/// Gives the ARN that stands for a key that is still to be made, since the evaluator judges ARNs only.
pub fn stand_in(dev: &Identity, region: &str) -> String {
    dev.regional("kms", region, "key/00000000-0000-0000-0000-000000000000")
}

/// Puts "(known after apply …)" back in the place of stand-ins.
pub fn without_stand_ins(text: &str, snapshot: &Snapshot) -> String {
    snapshot.keys.keys().fold(text.to_owned(), |text, region| text.replace(&stand_in(&snapshot.dev, region), &key_placeholder(region)))
}

/// Gives the snapshot as it will be after these writes, in their order; keys that are to be made have a stand-in for their ARN.
///
/// `pipeline_arn` is the pipeline's, with which everything that is made is tagged.
pub fn after(snapshot: &Snapshot, writes: &[Write], pipeline_arn: &str) -> Snapshot {
    let mut next = snapshot.clone();
    let tags = own_tags(pipeline_arn);
    for write in writes {
        Taking { next: &mut next, write, tags: &tags }.take();
    }
    let made = |write: &&Write| matches!(write.call, Call::CreateKey { .. } | Call::ReplicateKey { .. });
    if !writes.iter().any(|write| made(&write)) {
        return next;
    }
    let Ok(text) = serde_json::to_string(&next) else { return next };
    let regions = snapshot.keys.keys();
    let text = regions.fold(text, |text, region| text.replace(&key_placeholder(region), &stand_in(&snapshot.dev, region)));
    serde_json::from_str(&text).unwrap_or(next)
}

/// One write, taken into the snapshot.
struct Taking<'a> {
    next: &'a mut Snapshot,
    write: &'a Write,
    tags: &'a Tags,
}

impl Taking<'_> {
    fn role(&mut self, name: &str) -> Option<&mut RoleFound> {
        let named = |role: &&mut RoleFound| role.name == name;
        match self.write.account {
            Side::Prod => self.next.deploy_role.as_mut().filter(named),
            Side::Dev => self.next.service_role.as_mut().filter(named).or(self.next.event_role.as_mut().filter(named)),
        }
    }

    fn buckets(&mut self, name: &str) -> impl Iterator<Item = &mut BucketSlot> {
        let Snapshot { input, output, artifact_buckets, .. } = &mut *self.next;
        artifact_buckets.values_mut().chain([input, output]).filter(move |slot| slot.name == name)
    }

    fn change_bucket(&mut self, name: &str, change: impl Fn(&mut BucketFound)) {
        self.buckets(name).filter_map(|slot| slot.found.as_mut()).for_each(change);
    }

    fn made_key(&mut self, region: &str, multi_region: bool, policy: &Value) {
        let arn = key_placeholder(region);
        if let Some(slot) = self.next.keys.get_mut(region) {
            let made = KeyFound::named(&arn);
            slot.found = Some(KeyFound { multi_region, policy: Some(policy.clone()), tags: self.tags.clone(), ..made });
        }
    }

    fn take(mut self) {
        let Write { call, resource, step, account, .. } = self.write;
        match call {
            Call::CreateKey { region, multi_region, policy, .. } => self.made_key(region, *multi_region, policy),
            Call::ReplicateKey { replica_region, policy, .. } => self.made_key(replica_region, true, policy),
            Call::CreateAlias { region, .. } => {
                if let Some(slot) = self.next.keys.get_mut(region) {
                    slot.alias_exists = true;
                }
            }
            Call::EnableKeyRotation { region, .. } => {
                if let Some(key) = self.next.keys.get_mut(region).and_then(|slot| slot.found.as_mut()) {
                    key.rotation = Some(true);
                }
            }
            Call::PutKeyPolicy { key, after, .. } => {
                let artifact = self.next.keys.values_mut().filter_map(|slot| slot.found.as_mut());
                let customer = self.next.customer_keys.values_mut().filter_map(|key| match key {
                    Readable::Known(key) => Some(key),
                    Readable::Unknown(_) => None,
                });
                for found in artifact.chain(customer).filter(|found| found.arn == *key) {
                    found.policy = Some(after.clone());
                }
            }
            Call::CreateRole { name, trust, boundary, .. } => {
                let document = |arn: &str| match self.next.boundaries.get(arn) {
                    Some(Readable::Known(Some(document))) => Readable::Known(document.clone()),
                    Some(Readable::Unknown(why)) => Readable::Unknown(why.clone()),
                    _ => Readable::Unknown("it was not read".to_owned()),
                };
                let boundary = boundary.as_ref().map(|arn| Boundary { arn: arn.clone(), document: document(arn) });
                let role = RoleFound {
                    name: name.clone(),
                    arn: resource.clone(),
                    id: None,
                    trust: trust.clone(),
                    tags: self.tags.clone(),
                    attached: Vec::new(),
                    inline: BTreeMap::new(),
                    attached_documents: BTreeMap::new(),
                    other_documents: BTreeMap::new(),
                    boundary,
                };
                let slot = match (account, step) {
                    (Side::Prod, _) => &mut self.next.deploy_role,
                    (Side::Dev, Step::ChangeDetection) => &mut self.next.event_role,
                    (Side::Dev, _) => &mut self.next.service_role,
                };
                *slot = Some(role);
            }
            Call::UpdateAssumeRolePolicy { name, after, .. } => {
                if let Some(role) = self.role(name) {
                    role.trust = after.clone();
                }
            }
            Call::PutRolePolicy { role, name, document, .. } => {
                if let Some(role) = self.role(role) {
                    role.inline.insert(name.clone(), document.clone());
                }
            }
            Call::AttachRolePolicy { role, arn } => {
                if let Some(role) = self.role(role)
                    && !role.attached.contains(arn)
                {
                    role.attached.push(arn.clone());
                }
            }
            Call::CreatePolicy { document, .. } => {
                let policy = PolicyFound {
                    arn: resource.clone(),
                    document: document.clone(),
                    versions: vec!["v1".to_owned()],
                    default_version: "v1".to_owned(),
                    tags: self.tags.clone(),
                    attachments: 0,
                };
                self.next.policies.insert(resource.clone(), policy);
            }
            Call::CreatePolicyVersion { arn, document, .. } => {
                if let Some(policy) = self.next.policies.get_mut(arn) {
                    policy.document = document.clone();
                }
            }
            Call::CreateBucket { bucket, region } => {
                // What S3 gives every new bucket since April 2023 (S3-Own, S3-BPA).
                let found = BucketFound {
                    region: region.clone(),
                    versioning: Some(String::new()),
                    encryption: Some(Readable::Known(Encryption { algorithm: "AES256".to_owned(), key: None, bucket_key: false })),
                    ownership: Some(Readable::Known("BucketOwnerEnforced".to_owned())),
                    public_access_blocked: Some(true),
                    restricts_public: Some(true),
                    tags: self.tags.clone(),
                    ..BucketFound::default()
                };
                self.buckets(bucket).for_each(|slot| slot.found = Some(found.clone()));
            }
            Call::BlockPublicAccess { bucket, .. } => self.change_bucket(bucket, |found| {
                found.public_access_blocked = Some(true);
                found.restricts_public = Some(true);
            }),
            Call::EncryptBucket { bucket, key, .. } => self.change_bucket(bucket, |found| {
                let encryption = Encryption { algorithm: "aws:kms".to_owned(), key: Some(key.clone()), bucket_key: true };
                found.encryption = Some(Readable::Known(encryption));
            }),
            Call::EnableVersioning { bucket, .. } => {
                self.change_bucket(bucket, |found| found.versioning = Some("Enabled".to_owned()));
            }
            Call::PutBucketPolicy { bucket, after, .. } => self.change_bucket(bucket, |found| found.policy = Some(after.clone())),
            Call::DeleteBucketPolicy { bucket, .. } => self.change_bucket(bucket, |found| found.policy = None),
            Call::PutBucketNotification { bucket, after, .. } => {
                self.change_bucket(bucket, |found| found.notification = Some(after.clone()));
            }
            Call::PutRule { name, pattern, tags, .. } => {
                // A rule that is there keeps its targets and its tags (facts B.3).
                let there = self.next.rule.take();
                let (tags, targets) = there.map_or_else(|| (tags.clone(), Vec::new()), |rule| (rule.tags, rule.targets));
                self.next.rule = Some(RuleFound { name: name.clone(), pattern: pattern.clone(), enabled: true, tags, targets });
            }
            Call::PutTargets { target, .. } => {
                if let Some(rule) = &mut self.next.rule {
                    rule.targets.retain(|there| there.get("Id") != target.get("Id"));
                    rule.targets.push(target.clone());
                }
            }
            Call::RemoveTargets { ids, .. } => {
                if let Some(rule) = &mut self.next.rule {
                    rule.targets
                        .retain(|there| !there.get("Id").and_then(Value::as_str).is_some_and(|id| ids.iter().any(|gone| gone == id)));
                }
            }
            Call::DeleteRule { .. } => self.next.rule = None,
            Call::CreatePipeline { declaration, tags, .. } => {
                self.next.pipeline = Some(PipelineFound {
                    arn: resource.clone(),
                    declaration: declaration.clone(),
                    tags: tags.clone(),
                    running: Vec::new(),
                    polling_disabled: false,
                });
            }
            Call::UpdatePipeline { after, .. } => {
                if let Some(pipeline) = &mut self.next.pipeline {
                    pipeline.declaration = after.clone();
                }
            }
            Call::TagPipeline { key, value, .. } => {
                if let Some(pipeline) = &mut self.next.pipeline {
                    pipeline.tags.insert(key.clone(), value.clone());
                }
            }
            Call::UploadObject { sha256, bucket, .. } => {
                self.change_bucket(bucket, |found| found.source_sha256 = Some(sha256.clone()));
            }
            // Of a plan's writes only these are left, and an old version of a policy has no say; the others are teardown's.
            Call::DeletePolicyVersion { .. }
            | Call::DeleteAlias { .. }
            | Call::ScheduleKeyDeletion { .. }
            | Call::DeleteRole { .. }
            | Call::DeleteRolePolicy { .. }
            | Call::DetachRolePolicy { .. }
            | Call::DeletePolicy { .. }
            | Call::DeleteBucket { .. }
            | Call::DeletePipeline { .. } => {}
        }
    }
}
