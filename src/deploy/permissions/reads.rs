//! What is read: `observe/`, `release.rs`, `failures/gather.rs` and `teardown.rs` as a table over what they find.

use super::Permission;
use crate::deploy::blueprint::{Blueprint, Named, Names};
use crate::deploy::declaration;
use crate::deploy::names::NOTIFICATION_TAG;
use crate::deploy::snapshot::{BucketSlot, Identity, RoleFound, Snapshot, is_own};
use crate::error::Result;
use crate::model::Side;
use crate::settings::Settings;

/// What the reading is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// A file is to be uploaded.
    pub artifact: bool,
    /// The proof is the result: what it can't be told without is needed.
    pub proof_counts: bool,
    /// Everything is to be undone.
    pub teardown: bool,
}

struct Reads<'a> {
    settings: &'a Settings,
    snapshot: &'a Snapshot,
    reading: Reading,
    found: Vec<Permission>,
}

impl Reads<'_> {
    fn push(&mut self, optional: bool, side: Side, about: &'static str, resource: &str, actions: &[&'static str]) {
        let resource = resource.to_owned();
        self.found.extend(actions.iter().map(|action| Permission {
            side,
            action,
            resource: resource.clone(),
            condition: None,
            about,
            optional,
        }));
    }

    fn need(&mut self, side: Side, about: &'static str, resource: &str, actions: &[&'static str]) {
        self.push(false, side, about, resource, actions);
    }

    /// Without it something can't be told, and that is all.
    fn may(&mut self, side: Side, about: &'static str, resource: &str, actions: &[&'static str]) {
        self.push(true, side, about, resource, actions);
    }

    /// Without it the proof can't be told.
    fn proves(&mut self, side: Side, about: &'static str, resource: &str, actions: &[&'static str]) {
        self.push(!self.reading.proof_counts, side, about, resource, actions);
    }

    fn identity(&self, side: Side) -> &Identity {
        self.snapshot.identity(side)
    }

    fn pipeline(&mut self) {
        let dev = &self.snapshot.dev;
        let arn = dev.regional("codepipeline", &dev.region, self.settings.pipeline.as_str());
        self.need(Side::Dev, "Pipeline", &arn, &["codepipeline:GetPipeline"]);
        if self.snapshot.pipeline.is_some() {
            self.need(Side::Dev, "Pipeline", &arn, &["codepipeline:ListPipelineExecutions", "codepipeline:ListTagsForResource"]);
        }
    }

    fn role(&mut self, side: Side, about: &'static str, named: &Named, found: Option<&RoleFound>, ours: &[&str]) {
        // IAM doesn't know the path of a role that isn't there.
        let (about, arn) = match found {
            Some(role) => (about, role.arn.clone()),
            None if named.path == "/" => (about, named.arn.clone()),
            None => ("NewRoles", self.identity(side).iam(&format!("role/{}", named.name))),
        };
        self.need(side, about, &arn, &["iam:GetRole"]);
        if found.is_some() || self.snapshot.pipeline.is_some() {
            self.need(side, about, &arn, &["iam:ListAttachedRolePolicies", "iam:ListRolePolicies"]);
        }
        let Some(found) = found else { return };
        if !found.inline.is_empty() {
            self.need(side, about, &arn, &["iam:GetRolePolicy"]);
        }
        let dev = &self.snapshot.dev;
        let own = is_own(&found.tags, &dev.regional("codepipeline", &dev.region, self.settings.pipeline.as_str()));
        for policy in found.attached.iter().filter(|arn| !own || !ours.contains(&arn.as_str())) {
            self.need(side, "Policies", policy, &["iam:GetPolicy", "iam:GetPolicyVersion"]);
        }
    }

    fn roles(&mut self, names: &Names) {
        let ours = [names.assume_policy.arn.as_str(), names.output_policy.arn.as_str(), names.artifact_policy.arn.as_str()];
        let snapshot = self.snapshot;
        self.role(Side::Dev, "ServiceRole", &names.service_role, snapshot.service_role.as_ref(), &ours);
        self.role(Side::Prod, "DeployRole", &names.deploy_role, snapshot.deploy_role.as_ref(), &ours);
        self.role(Side::Dev, "EventRole", &names.event_role, snapshot.event_role.as_ref(), &ours);
        for (side, named) in [(Side::Dev, &names.assume_policy), (Side::Prod, &names.output_policy), (Side::Prod, &names.artifact_policy)] {
            self.need(side, "Policies", &named.arn, &["iam:GetPolicy"]);
            if snapshot.policies.contains_key(&named.arn) {
                self.need(side, "Policies", &named.arn, &["iam:GetPolicyVersion", "iam:ListPolicyVersions"]);
            }
        }
    }

    fn boundaries(&mut self) {
        for policy in &self.settings.permissions_boundaries {
            let sides = [Side::Dev, Side::Prod];
            let Some(side) = sides.into_iter().find(|side| policy.is_for(&self.identity(*side).account)) else { continue };
            self.may(side, "Policies", policy.as_str(), &["iam:GetPolicy", "iam:GetPolicyVersion"]);
        }
    }

    fn keys(&mut self) {
        for (region, slot) in &self.snapshot.keys {
            let any = self.snapshot.dev.regional("kms", region, "key/*");
            if let Some(found) = slot.found.as_ref().filter(|found| found.account() != self.snapshot.dev.account) {
                self.need(Side::Dev, "OthersKeys", &found.arn, &["kms:DescribeKey"]);
                continue;
            }
            if slot.found.is_some() {
                self.need(Side::Dev, "Keys", &any, &["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListResourceTags"]);
                self.may(Side::Dev, "Keys", &any, &["kms:GetKeyRotationStatus"]);
            } else {
                // A key that a run left which was stopped is found by its tag.
                self.need(Side::Dev, "AccountWide", "*", &["kms:ListAliases", "kms:ListKeys"]);
                self.need(Side::Dev, "Keys", &any, &["kms:ListResourceTags"]);
            }
        }
    }

    fn artifact_buckets(&mut self) {
        let home = &self.snapshot.dev.region;
        let declared = self.snapshot.pipeline.as_ref().map(|found| &found.declaration);
        for (region, slot) in &self.snapshot.artifact_buckets {
            let named = declared.and_then(|declared| declaration::store(declared, region, home)).is_some()
                || region == home && self.settings.artifact_bucket.is_some();
            if !named {
                self.need(Side::Dev, "AccountWide", "*", &["s3:ListAllMyBuckets"]);
            }
            let arn = self.snapshot.dev.bucket(&slot.name);
            if named || slot.found.is_some() {
                self.need(Side::Dev, "ArtifactBucket", &arn, &["s3:ListBucket"]);
            }
            if slot.found.is_some() {
                self.need(
                    Side::Dev,
                    "ArtifactBucket",
                    &arn,
                    &["s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock", "s3:GetBucketTagging"],
                );
                self.may(Side::Dev, "ArtifactBucket", &arn, &["s3:GetEncryptionConfiguration"]);
                self.emptiness(Side::Dev, "ArtifactBucket", &arn);
            }
        }
    }

    fn emptiness(&mut self, side: Side, about: &'static str, arn: &str) {
        if self.reading.teardown {
            self.need(side, about, arn, &["s3:ListBucketVersions"]);
        }
    }

    /// What tells whose a bucket is, where that decides.
    fn user_bucket(&mut self, side: Side, about: &'static str, slot: &BucketSlot) -> Option<String> {
        let arn = self.identity(side).bucket(&slot.name);
        self.need(side, about, &arn, &["s3:ListBucket"]);
        slot.found.as_ref()?;
        self.proves(side, about, &arn, &["s3:GetBucketPolicy", "s3:GetEncryptionConfiguration"]);
        if self.reading.teardown || self.settings.create_buckets {
            self.need(side, about, &arn, &["s3:GetBucketPublicAccessBlock", "s3:GetBucketTagging"]);
        }
        self.emptiness(side, about, &arn);
        Some(arn)
    }

    fn user_buckets(&mut self) {
        let snapshot = self.snapshot;
        if let Some(arn) = self.user_bucket(Side::Dev, "InputBucket", &snapshot.input) {
            self.need(Side::Dev, "InputBucket", &arn, &["s3:GetBucketNotification", "s3:GetBucketVersioning"]);
            if self.reading.artifact {
                let key = self.settings.object_key_or_default();
                self.may(Side::Dev, "SourceObject", &format!("{arn}/{key}"), &["s3:GetObject"]);
            }
        }
        if let Some(arn) = self.user_bucket(Side::Prod, "OutputBucket", &snapshot.output) {
            self.may(Side::Prod, "OutputBucket", &arn, &["s3:GetBucketOwnershipControls"]);
        }
    }

    fn rules(&mut self, names: &Names) {
        let dev = &self.snapshot.dev;
        let arn = |name: &str| dev.regional("events", &dev.region, &format!("rule/{name}"));
        self.need(Side::Dev, "Rule", &arn(&names.event_rule), &["events:DescribeRule"]);
        if self.snapshot.rule.is_some() {
            self.need(Side::Dev, "Rule", &arn(&names.event_rule), &["events:ListTagsForResource", "events:ListTargetsByRule"]);
        }
        if self.snapshot.pipeline.is_some() {
            self.need(Side::Dev, "AccountWide", "*", &["events:ListRuleNamesByTarget"]);
        }
        for other in &self.snapshot.other_rules {
            self.need(Side::Dev, "Rule", &arn(&other.name), &["events:DescribeRule", "events:ListTargetsByRule"]);
        }
    }

    fn organisations(&mut self) {
        for side in [Side::Dev, Side::Prod] {
            self.may(
                side,
                "AccountWide",
                "*",
                &[
                    "organizations:DescribeOrganization",
                    "organizations:DescribePolicy",
                    "organizations:ListParents",
                    "organizations:ListPoliciesForTarget",
                ],
            );
        }
    }

    /// What tells before the first write whether whoever runs it may do all, and the account hold it.
    fn callers(&mut self) {
        for side in [Side::Dev, Side::Prod] {
            let iam = |what: &str| self.identity(side).iam(what);
            let (user, role, group) = (iam("user/*"), iam("role/*"), iam("group/*"));
            let policy = format!("arn:{}:iam::*:policy/*", self.identity(side).partition);
            let of_user =
                ["iam:GetUser", "iam:GetUserPolicy", "iam:ListAttachedUserPolicies", "iam:ListGroupsForUser", "iam:ListUserPolicies"];
            self.may(side, "CallersUser", &user, &of_user);
            let of_role = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"];
            self.may(side, "CallersRole", &role, &of_role);
            self.may(side, "CallersGroups", &group, &["iam:GetGroupPolicy", "iam:ListAttachedGroupPolicies", "iam:ListGroupPolicies"]);
            self.may(side, "CallersPolicies", &policy, &["iam:GetPolicy", "iam:GetPolicyVersion"]);
            if !self.reading.teardown {
                self.may(side, "AccountWide", "*", &["iam:GetAccountSummary"]);
            }
        }
        if self.snapshot.pipeline.is_none() && !self.reading.teardown {
            self.may(Side::Dev, "AccountWide", "*", &["codepipeline:ListPipelines", "events:ListRules"]);
        }
    }

    /// What only a teardown asks: who else needs what is to go.
    fn look_back(&mut self) {
        let snapshot = self.snapshot;
        if snapshot.rule.as_ref().is_some_and(|rule| rule.tags.contains_key(NOTIFICATION_TAG)) {
            self.may(Side::Dev, "AccountWide", "*", &["events:ListRules"]);
        }
        if snapshot.keys.values().any(|slot| slot.found.is_some()) {
            self.need(Side::Dev, "AccountWide", "*", &["kms:ListAliases"]);
            self.may(Side::Dev, "AccountWide", "*", &["codepipeline:ListPipelines"]);
            for region in snapshot.keys.keys() {
                self.may(Side::Dev, "OtherPipelines", &snapshot.dev.regional("codepipeline", region, "*"), &["codepipeline:GetPipeline"]);
            }
            let objects = format!("{}/*", snapshot.prod.bucket(&snapshot.output.name));
            self.may(Side::Prod, "OutputObjects", &objects, &["s3:GetObject"]);
        }
    }
}

/// Lists what is read of a set-up, in the order of `observe`.
///
/// # Errors
/// The names can't be resolved.
pub fn observed(settings: &Settings, snapshot: &Snapshot, reading: Reading) -> Result<Vec<Permission>> {
    let declared = snapshot.pipeline.as_ref().map(|found| &found.declaration);
    let names = Names::resolve(settings, &snapshot.dev, &snapshot.prod, declared)?;
    let mut reads = Reads { settings, snapshot, reading, found: Vec::new() };
    reads.pipeline();
    reads.roles(&names);
    reads.keys();
    reads.artifact_buckets();
    reads.user_buckets();
    reads.rules(&names);
    if reading.teardown {
        reads.look_back();
    } else {
        reads.boundaries();
    }
    reads.organisations();
    if !reading.proof_counts {
        reads.callers();
    }
    Ok(reads.found)
}

/// Lists what `verify --second-opinion` asks IAM's simulator.
pub fn second_opinion(snapshot: &Snapshot) -> Vec<Permission> {
    let roles = [
        (Side::Dev, "ServiceRole", &snapshot.service_role),
        (Side::Dev, "EventRole", &snapshot.event_role),
        (Side::Prod, "DeployRole", &snapshot.deploy_role),
    ];
    let permission = |(side, about, role): (Side, &'static str, &Option<RoleFound>)| {
        let (action, resource) = ("iam:SimulatePrincipalPolicy", role.as_ref()?.arn.clone());
        Some(Permission { side, action, resource, condition: None, about, optional: true })
    };
    roles.into_iter().filter_map(permission).collect()
}

/// Lists what a release asks for (A8); `any_key` where the source object's key is the pipeline's own affair.
pub fn released(blueprint: &Blueprint, any_key: bool) -> Vec<Permission> {
    let mut found = Vec::new();
    let mut push = |optional: bool, side: Side, about: &'static str, resource: String, actions: &[&'static str]| {
        let permission = |action: &&'static str| Permission { side, action, resource: resource.clone(), condition: None, about, optional };
        found.extend(actions.iter().map(permission));
    };
    let (dev, prod) = (&blueprint.dev, &blueprint.prod);
    let input = dev.bucket(&blueprint.input_bucket);
    let key = if any_key { "*" } else { &blueprint.object_key };
    push(
        false,
        Side::Dev,
        "Pipeline",
        blueprint.pipeline_arn.clone(),
        &[
            "codepipeline:GetPipeline",
            "codepipeline:GetPipelineExecution",
            "codepipeline:ListActionExecutions",
            "codepipeline:ListPipelineExecutions",
            "codepipeline:StartPipelineExecution",
        ],
    );
    push(false, Side::Dev, "SourceObject", format!("{input}/{key}"), &["s3:PutObject"]);
    push(false, Side::Dev, "InputBucket", input, &["s3:GetBucketVersioning"]);
    let output = prod.bucket(&blueprint.output_bucket);
    for pattern in &blueprint.deployed {
        push(true, Side::Prod, "OutputObjects", format!("{output}/{pattern}"), &["s3:GetObject"]);
    }
    push(true, Side::Prod, "OutputBucket", output.clone(), &["s3:GetBucketOwnershipControls"]);
    push(true, Side::Prod, "AccountWide", "*".to_owned(), &["s3:ListAllMyBuckets"]);
    push(false, Side::Prod, "OutputBucket", output, &["s3:ListBucket"]);
    found
}

/// Lists what an explanation asks for besides what the proof rests on; `any_key` as with [`released`].
pub fn explained(blueprint: &Blueprint, snapshot: &Snapshot, any_key: bool) -> Vec<Permission> {
    let mut found = Vec::new();
    let mut push = |optional: bool, side: Side, about: &'static str, resource: String, actions: &[&'static str]| {
        let permission = |action: &&'static str| Permission { side, action, resource: resource.clone(), condition: None, about, optional };
        found.extend(actions.iter().map(permission));
    };
    let (dev, prod) = (&blueprint.dev, &blueprint.prod);
    let payer = &["s3:GetBucketRequestPayment"];
    push(false, Side::Dev, "Pipeline", blueprint.pipeline_arn.clone(), &["codepipeline:ListActionExecutions"]);
    let input = dev.bucket(&blueprint.input_bucket);
    let key = if any_key { "*" } else { &blueprint.object_key };
    push(true, Side::Dev, "SourceObject", format!("{input}/{key}"), &["s3:GetObject", "s3:GetObjectTagging"]);
    push(true, Side::Dev, "InputBucket", input, payer);
    for (region, slot) in &snapshot.artifact_buckets {
        let bucket = dev.bucket(&slot.name);
        // The artifact that a run made lies in the store of the pipeline's region.
        if *region == dev.region {
            push(true, Side::Dev, "Artifacts", format!("{bucket}/*"), &["s3:GetObject"]);
        }
        push(true, Side::Dev, "ArtifactBucket", bucket, payer);
    }
    let output = prod.bucket(&blueprint.output_bucket);
    for pattern in &blueprint.deployed {
        push(true, Side::Prod, "OutputObjects", format!("{output}/{pattern}"), &["s3:GetObject"]);
    }
    push(true, Side::Prod, "OutputBucket", output, payer);
    push(true, Side::Prod, "AccountWide", "*".to_owned(), &["s3:ListAllMyBuckets"]);
    found
}
