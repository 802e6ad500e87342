//! The resource of each write.

use super::super::shared::{comment, keys_made, never_planned, title, underscored};
use super::hcl::{path, tags, written};
use super::{CREATE, Draft, by_hand, kept, pipeline, role_label};
use crate::deploy::after::stand_in;
use crate::deploy::names::own_tags;
use crate::deploy::write::{Call, Write, key_placeholder};
use crate::error::{Error, Result};
use crate::model::Side;
use hcl::expr::{Conditional, Expression};
use hcl::structure::{Block, BlockBuilder};
use serde_json::Value;
use std::collections::BTreeMap;

/// A label for what has a name of its own in an account.
fn label(side: Side, name: &str) -> String {
    format!("{side}_{}", underscored(name))
}

impl<'a> Draft<'a> {
    fn own_tags(&self) -> BTreeMap<String, String> {
        own_tags(&self.plan.pipeline_arn())
    }

    /// Begins a resource.
    fn resource(&mut self, write: &Write, region: &str, kind: &str, label: &str) -> Result<BlockBuilder> {
        self.addresses.push(format!("{kind}.{label}"));
        Ok(Block::builder("resource").add_labels([kind, label]).add_attribute(("provider", self.provider(write.account, region)?)))
    }

    fn put(&mut self, write: &Write, block: BlockBuilder) -> Result<()> {
        let text = written(block.build())?;
        self.body.push_str(&format!("\n{}{text}", comment(&title(write))));
        Ok(())
    }

    fn by_hand(&mut self, write: &Write) -> Result<()> {
        self.by_hand += 1;
        // What runs need, not what starts them or what they deploy.
        self.put_off |= matches!(
            write.call,
            Call::PutKeyPolicy { .. }
                | Call::PutBucketPolicy { .. }
                | Call::DeleteBucketPolicy { .. }
                | Call::UpdateAssumeRolePolicy { .. }
                | Call::CreatePolicyVersion { .. }
        );
        let text = by_hand::of(self.plan, &self.references, write, self.by_hand)?;
        self.body.push('\n');
        self.body.push_str(&text);
        Ok(())
    }

    fn home(&self, write: &Write) -> String {
        super::identity(self.plan, write.account).region.clone()
    }

    fn makes_key(&self, key: &str) -> bool {
        keys_made(&self.writes).iter().any(|region| key_placeholder(region) == key)
    }

    fn makes_bucket(&self, name: &str) -> bool {
        self.makes(|call| matches!(call, Call::CreateBucket { bucket, .. } if bucket == name))
    }

    /// What a bucket is for, as a label.
    fn bucket_label(&self, name: &str) -> String {
        let snapshot = self.plan.snapshot();
        let artifacts = snapshot.artifact_buckets.iter().find(|(_, slot)| slot.name == name);
        match artifacts {
            Some((region, _)) => format!("artifacts_{}", underscored(region)),
            None if snapshot.input.name == name => "input".to_owned(),
            None => "output".to_owned(),
        }
    }

    fn bucket(&mut self, name: &str) -> Result<Expression> {
        let label = self.bucket_label(name);
        if self.makes_bucket(name) {
            return path(&format!("aws_s3_bucket.{label}.id"));
        }
        self.adopted(&format!("{label}_bucket"), "Bucket that is there already", name)
    }

    fn role(&mut self, side: Side, name: &str) -> Result<Expression> {
        let makes = |write: &&&Write| write.account == side && matches!(&write.call, Call::CreateRole { name: made, .. } if made == name);
        if let Some(write) = self.writes.iter().find(makes) {
            return path(&format!("aws_iam_role.{}.name", role_label(write)));
        }
        let snapshot = self.plan.snapshot();
        let is = |role: &Option<crate::deploy::snapshot::RoleFound>| role.as_ref().is_some_and(|role| role.name == name);
        let label = match side {
            Side::Prod => "deploy_role",
            Side::Dev if is(&snapshot.event_role) => "event_role",
            Side::Dev => "service_role",
        };
        self.adopted(label, "Role that is there already", name)
    }

    /// The policy that a key has at the end.
    fn key_policy(&self, region: &str) -> Result<Value> {
        let found = self.after.keys.get(region).and_then(|slot| slot.found.as_ref()).and_then(|key| key.policy.clone());
        found.ok_or_else(|| Error::internal(format!("a new key in {region} without a policy")))
    }

    #[expect(clippy::too_many_lines, reason = "a table: one arm a call")]
    pub(super) fn take(&mut self, write: &'a Write) -> Result<()> {
        let home = self.home(write);
        let block = match &write.call {
            Call::CreateKey { region, multi_region, description, .. } => {
                let stand_in = stand_in(&self.plan.snapshot().dev, region);
                let rotates = self.makes(
                    |call| matches!(call, Call::EnableKeyRotation { key, .. } if *key == key_placeholder(region) || *key == stand_in),
                );
                let policy = self.references.document(&self.key_policy(region)?)?;
                self.resource(write, region, "aws_kms_key", &format!("key_{}", underscored(region)))?
                    .add_attribute(("description", description.as_str()))
                    .add_attribute(("multi_region", *multi_region))
                    .add_attribute(("enable_key_rotation", rotates))
                    .add_attribute(("policy", policy))
                    .add_attribute(("tags", tags(&self.own_tags())))
                    .add_block(kept())
            }
            Call::ReplicateKey { key, replica_region, description, .. } => {
                let policy = self.references.document(&self.key_policy(replica_region)?)?;
                let primary = self.references.text(key);
                self.resource(write, replica_region, "aws_kms_replica_key", &format!("key_{}", underscored(replica_region)))?
                    .add_attribute(("description", description.as_str()))
                    .add_attribute(("primary_key_arn", primary))
                    .add_attribute(("policy", policy))
                    .add_attribute(("tags", tags(&self.own_tags())))
                    .add_block(kept())
            }
            Call::CreateAlias { region, alias, key } => {
                let target = self.references.text(key);
                self.resource(write, region, "aws_kms_alias", &format!("key_{}", underscored(region)))?
                    .add_attribute(("name", alias.as_str()))
                    .add_attribute(("target_key_id", target))
            }
            // A key that is made has both from the start.
            Call::EnableKeyRotation { key, .. } | Call::PutKeyPolicy { key, .. } if self.makes_key(key) => return Ok(()),
            Call::CreateRole { name, path, trust, description, boundary } => {
                let trust = self.references.document(trust)?;
                let role = self.resource(write, &home, "aws_iam_role", role_label(write))?;
                let role = match boundary {
                    Some(arn) => role.add_attribute(("permissions_boundary", arn.as_str())),
                    None => role,
                };
                role.add_attribute(("name", name.as_str()))
                    .add_attribute(("path", path.as_str()))
                    .add_attribute(("description", description.as_str()))
                    .add_attribute(("assume_role_policy", trust))
                    .add_attribute(("tags", tags(&self.own_tags())))
            }
            Call::PutRolePolicy { role, name, document, .. } => {
                let (of, document) = (self.role(write.account, role)?, self.references.document(document)?);
                self.resource(write, &home, "aws_iam_role_policy", &label(write.account, name))?
                    .add_attribute(("name", name.as_str()))
                    .add_attribute(("role", of))
                    .add_attribute(("policy", document))
            }
            Call::CreatePolicy { name, document, description } => {
                let document = self.references.document(document)?;
                self.resource(write, &home, "aws_iam_policy", &label(write.account, name))?
                    .add_attribute(("name", name.as_str()))
                    .add_attribute(("description", description.as_str()))
                    .add_attribute(("policy", document))
                    .add_attribute(("tags", tags(&self.own_tags())))
            }
            Call::AttachRolePolicy { role, arn } => {
                let name = arn.rsplit('/').next().unwrap_or(arn);
                let made = self.writes.iter().any(|made| made.resource == *arn && matches!(made.call, Call::CreatePolicy { .. }));
                let policy = match made {
                    true => path(&format!("aws_iam_policy.{}.arn", label(write.account, name)))?,
                    false => self.adopted(&format!("{}_arn", label(write.account, name)), "Policy that is there already", arn)?,
                };
                let of = self.role(write.account, role)?;
                self.resource(write, &home, "aws_iam_role_policy_attachment", &label(write.account, name))?
                    .add_attribute(("role", of))
                    .add_attribute(("policy_arn", policy))
            }
            Call::CreateBucket { bucket, region } => {
                let label = self.bucket_label(bucket);
                self.resource(write, region, "aws_s3_bucket", &label)?
                    .add_attribute(("bucket", bucket.as_str()))
                    .add_attribute(("tags", tags(&self.own_tags())))
                    .add_block(kept())
            }
            Call::BlockPublicAccess { bucket, region } => {
                let (label, of) = (self.bucket_label(bucket), self.bucket(bucket)?);
                self.resource(write, region, "aws_s3_bucket_public_access_block", &label)?
                    .add_attribute(("bucket", of))
                    .add_attribute(("block_public_acls", true))
                    .add_attribute(("ignore_public_acls", true))
                    .add_attribute(("block_public_policy", true))
                    .add_attribute(("restrict_public_buckets", true))
            }
            Call::EncryptBucket { bucket, region, key } => {
                let (label, of, key) = (self.bucket_label(bucket), self.bucket(bucket)?, self.references.text(key));
                let default = Block::builder("apply_server_side_encryption_by_default")
                    .add_attribute(("sse_algorithm", "aws:kms"))
                    .add_attribute(("kms_master_key_id", key))
                    .build();
                let rule = Block::builder("rule").add_attribute(("bucket_key_enabled", true)).add_block(default).build();
                self.resource(write, region, "aws_s3_bucket_server_side_encryption_configuration", &label)?
                    .add_attribute(("bucket", of))
                    .add_block(rule)
            }
            Call::EnableVersioning { bucket, region } => {
                let (label, of) = (self.bucket_label(bucket), self.bucket(bucket)?);
                let on = Block::builder("versioning_configuration").add_attribute(("status", "Enabled")).build();
                self.resource(write, region, "aws_s3_bucket_versioning", &label)?.add_attribute(("bucket", of)).add_block(on)
            }
            Call::PutBucketPolicy { bucket, region, after, .. } if self.makes_bucket(bucket) => {
                let (label, of, document) = (self.bucket_label(bucket), self.bucket(bucket)?, self.references.document(after)?);
                self.resource(write, region, "aws_s3_bucket_policy", &label)?
                    .add_attribute(("bucket", of))
                    .add_attribute(("policy", document))
            }
            Call::PutBucketNotification { bucket, region, .. } if self.makes_bucket(bucket) => {
                let (label, of) = (self.bucket_label(bucket), self.bucket(bucket)?);
                self.resource(write, region, "aws_s3_bucket_notification", &label)?
                    .add_attribute(("bucket", of))
                    .add_attribute(("eventbridge", true))
            }
            // What an upload starts must be whole before, which only its owner sees.
            Call::UploadObject { bucket, region, key, file, sha256, .. } if self.plan.snapshot().pipeline.is_none() => {
                let of = self.bucket(bucket)?;
                let file = self.adopted("artifact", "The file to deploy", file)?;
                let marked = BTreeMap::from([("xdeploy-sha256".to_owned(), sha256.clone())]);
                let block = self.resource(write, region, "aws_s3_object", "artifact")?;
                let versioned = self.addresses.iter().find(|address| address.starts_with("aws_s3_bucket_versioning.")).cloned();
                let block = block
                    .add_attribute(("bucket", of))
                    .add_attribute(("key", key.as_str()))
                    .add_attribute(("source", file))
                    .add_attribute(("content_type", "application/zip"))
                    .add_attribute(("metadata", tags(&marked)));
                match versioned {
                    Some(address) => block.add_attribute(("depends_on", Expression::Array(vec![path(&address)?]))),
                    None => block,
                }
            }
            Call::PutRule { region, name, pattern, description, tags: marked } if !marked.is_empty() => {
                let pattern = self.references.document(pattern)?;
                self.resource(write, region, "aws_cloudwatch_event_rule", "source")?
                    .add_attribute(("name", name.as_str()))
                    .add_attribute(("description", description.as_str()))
                    .add_attribute(("event_pattern", pattern))
                    .add_attribute(("tags", tags(marked)))
            }
            Call::PutTargets { region, rule, target } => self.target(write, region, rule, target)?,
            Call::CreatePipeline { region, declaration, tags: marked } => {
                let all: Result<Vec<Expression>> = self.addresses.iter().map(|address| path(address)).collect();
                let block = self.resource(write, region, "aws_codepipeline", "pipeline")?;
                let block = if self.makes_later() {
                    let created = Conditional::new(path(&format!("var.{CREATE}"))?, 1, 0);
                    block.add_attribute(("count", Expression::from(created)))
                } else {
                    block
                };
                pipeline::declared(block, &self.references, declaration)?
                    .add_attribute(("tags", tags(marked)))
                    .add_attribute(("depends_on", Expression::Array(all?)))
            }
            Call::EnableKeyRotation { .. }
            | Call::PutKeyPolicy { .. }
            | Call::UpdateAssumeRolePolicy { .. }
            | Call::CreatePolicyVersion { .. }
            | Call::DeletePolicyVersion { .. }
            | Call::PutBucketPolicy { .. }
            | Call::DeleteBucketPolicy { .. }
            | Call::PutBucketNotification { .. }
            | Call::UploadObject { .. }
            | Call::PutRule { .. }
            | Call::RemoveTargets { .. }
            | Call::DeleteRule { .. }
            | Call::UpdatePipeline { .. }
            | Call::TagPipeline { .. } => return self.by_hand(write),
            call @ (Call::DeleteAlias { .. }
            | Call::ScheduleKeyDeletion { .. }
            | Call::DeleteRole { .. }
            | Call::DeleteRolePolicy { .. }
            | Call::DeletePolicy { .. }
            | Call::DetachRolePolicy { .. }
            | Call::DeleteBucket { .. }
            | Call::DeletePipeline { .. }) => return Err(never_planned(call)),
        };
        self.put(write, block)
    }

    fn target(&mut self, write: &Write, region: &str, rule: &str, target: &Value) -> Result<BlockBuilder> {
        let made = self.makes(|call| matches!(call, Call::PutRule { tags, .. } if !tags.is_empty()));
        let rule = if made {
            path("aws_cloudwatch_event_rule.source.name")?
        } else {
            self.adopted("event_rule", "Rule that is there already", rule)?
        };
        let mut block = self.resource(write, region, "aws_cloudwatch_event_target", "source")?.add_attribute(("rule", rule));
        for (from, to) in [("/Id", "target_id"), ("/Arn", "arn"), ("/RoleArn", "role_arn")] {
            if let Some(value) = target.pointer(from) {
                block = block.add_attribute((to, self.references.value(value)));
            }
        }
        if let Some(transformer) = target.get("InputTransformer") {
            let mut inner = Block::builder("input_transformer");
            for (from, to) in [("/InputPathsMap", "input_paths"), ("/InputTemplate", "input_template")] {
                if let Some(value) = transformer.pointer(from) {
                    inner = inner.add_attribute((to, self.references.value(value)));
                }
            }
            block = block.add_block(inner.build());
        }
        Ok(block)
    }
}
