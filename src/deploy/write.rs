//! Writes as data: the calls that change something, in the steps of article A.

use crate::model::Side;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A step of article A, in the order of `architecture.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Input and output bucket, only with `--create-buckets` or `--enable-versioning`.
    Buckets,
    /// A1.
    Key,
    /// A2.1, A2.2.
    ServiceRole,
    /// A1.3, A3.
    KeyUsers,
    /// A4.
    DeployRole,
    /// A5.
    BucketPolicy,
    /// A6.
    AssumeRole,
    /// A2.3.
    ChangeDetection,
    /// A8, before a new pipeline's first run.
    Artifact,
    /// A2, A7.
    Pipeline,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Step; 10] = [
        Step::Buckets,
        Step::Key,
        Step::ServiceRole,
        Step::KeyUsers,
        Step::DeployRole,
        Step::BucketPolicy,
        Step::AssumeRole,
        Step::ChangeDetection,
        Step::Artifact,
        Step::Pipeline,
    ];

    /// The article's number.
    pub fn article(self) -> &'static str {
        match self {
            Step::Buckets => "A2.3, A2.5",
            Step::Key => "A1",
            Step::ServiceRole => "A2.1, A2.2",
            Step::KeyUsers => "A1.3, A3",
            Step::DeployRole => "A4",
            Step::BucketPolicy => "A5",
            Step::AssumeRole => "A6",
            Step::ChangeDetection => "A2.3",
            Step::Artifact => "A8.1",
            Step::Pipeline => "A2, A7",
        }
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Step::Buckets => "Input and output bucket",
            Step::Key => "KMS key",
            Step::ServiceRole => "Service role and artifact bucket",
            Step::KeyUsers => "Key users",
            Step::DeployRole => "Cross-account role",
            Step::BucketPolicy => "Artifact bucket policy",
            Step::AssumeRole => "Assume-role policy",
            Step::ChangeDetection => "Change detection",
            Step::Artifact => "Artifact upload",
            Step::Pipeline => "Pipeline",
        }
    }
}

/// What a write does to its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// `+`
    Create,
    /// `~`
    Update,
    /// `-`
    Delete,
}

impl Change {
    /// The sign in front of the line.
    pub fn sign(self) -> char {
        match self {
            Change::Create => '+',
            Change::Update => '~',
            Change::Delete => '-',
        }
    }
}

/// One call that changes something. `before` is what the plan saw; the call is refused if that has moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action")]
#[expect(missing_docs, reason = "the members are the parameters of the AWS call that the variant is named after")]
pub enum Call {
    #[serde(rename = "kms:CreateKey")]
    CreateKey { region: String, multi_region: bool, policy: Value, description: String },
    #[serde(rename = "kms:ReplicateKey")]
    ReplicateKey { key: String, region: String, replica_region: String, policy: Value, description: String },
    #[serde(rename = "kms:CreateAlias")]
    CreateAlias { region: String, alias: String, key: String },
    #[serde(rename = "kms:DeleteAlias")]
    DeleteAlias { region: String, alias: String },
    #[serde(rename = "kms:EnableKeyRotation")]
    EnableKeyRotation { region: String, key: String },
    #[serde(rename = "kms:PutKeyPolicy")]
    PutKeyPolicy { side: Side, region: String, key: String, before: Option<Value>, after: Value },
    #[serde(rename = "kms:ScheduleKeyDeletion")]
    ScheduleKeyDeletion { region: String, key: String, days: i32 },
    #[serde(rename = "iam:CreateRole")]
    CreateRole {
        name: String,
        path: String,
        trust: Value,
        description: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boundary: Option<String>,
    },
    #[serde(rename = "iam:UpdateAssumeRolePolicy")]
    UpdateAssumeRolePolicy { name: String, before: Value, after: Value },
    #[serde(rename = "iam:DeleteRole")]
    DeleteRole { name: String },
    #[serde(rename = "iam:PutRolePolicy")]
    PutRolePolicy { role: String, name: String, before: Option<Value>, document: Value },
    #[serde(rename = "iam:DeleteRolePolicy")]
    DeleteRolePolicy { role: String, name: String },
    #[serde(rename = "iam:CreatePolicy")]
    CreatePolicy { name: String, document: Value, description: String },
    #[serde(rename = "iam:CreatePolicyVersion")]
    CreatePolicyVersion { arn: String, before: Value, document: Value },
    #[serde(rename = "iam:DeletePolicyVersion")]
    DeletePolicyVersion { arn: String, version: String },
    #[serde(rename = "iam:DeletePolicy")]
    DeletePolicy { arn: String },
    #[serde(rename = "iam:AttachRolePolicy")]
    AttachRolePolicy { role: String, arn: String },
    #[serde(rename = "iam:DetachRolePolicy")]
    DetachRolePolicy { role: String, arn: String },
    #[serde(rename = "s3:CreateBucket")]
    CreateBucket { bucket: String, region: String },
    #[serde(rename = "s3:DeleteBucket")]
    DeleteBucket { bucket: String, region: String },
    #[serde(rename = "s3:PutBucketPublicAccessBlock")]
    BlockPublicAccess { bucket: String, region: String },
    #[serde(rename = "s3:PutEncryptionConfiguration")]
    EncryptBucket { bucket: String, region: String, key: String },
    #[serde(rename = "s3:PutBucketVersioning")]
    EnableVersioning { bucket: String, region: String },
    #[serde(rename = "s3:PutBucketPolicy")]
    PutBucketPolicy { bucket: String, region: String, before: Option<Value>, after: Value },
    #[serde(rename = "s3:DeleteBucketPolicy")]
    DeleteBucketPolicy { bucket: String, region: String, before: Value },
    #[serde(rename = "s3:PutBucketNotification")]
    PutBucketNotification { bucket: String, region: String, before: String, after: String },
    #[serde(rename = "s3:PutObject")]
    UploadObject { bucket: String, region: String, key: String, file: String, size: u64, sha256: String },
    #[serde(rename = "events:PutRule")]
    PutRule { region: String, name: String, pattern: Value, description: String, tags: BTreeMap<String, String> },
    #[serde(rename = "events:PutTargets")]
    PutTargets { region: String, rule: String, target: Value },
    #[serde(rename = "events:RemoveTargets")]
    RemoveTargets { region: String, rule: String, ids: Vec<String> },
    #[serde(rename = "events:DeleteRule")]
    DeleteRule { region: String, name: String },
    #[serde(rename = "codepipeline:CreatePipeline")]
    CreatePipeline { region: String, declaration: Value, tags: BTreeMap<String, String> },
    #[serde(rename = "codepipeline:UpdatePipeline")]
    UpdatePipeline { region: String, before: Value, after: Value },
    #[serde(rename = "codepipeline:TagResource")]
    TagPipeline { region: String, arn: String, key: String, value: String },
    #[serde(rename = "codepipeline:DeletePipeline")]
    DeletePipeline { region: String, name: String },
}

impl Call {
    /// Gives IAM's name of the action.
    pub fn action(&self) -> &'static str {
        match self {
            Call::CreateKey { .. } => "kms:CreateKey",
            Call::ReplicateKey { .. } => "kms:ReplicateKey",
            Call::CreateAlias { .. } => "kms:CreateAlias",
            Call::DeleteAlias { .. } => "kms:DeleteAlias",
            Call::EnableKeyRotation { .. } => "kms:EnableKeyRotation",
            Call::PutKeyPolicy { .. } => "kms:PutKeyPolicy",
            Call::ScheduleKeyDeletion { .. } => "kms:ScheduleKeyDeletion",
            Call::CreateRole { .. } => "iam:CreateRole",
            Call::UpdateAssumeRolePolicy { .. } => "iam:UpdateAssumeRolePolicy",
            Call::DeleteRole { .. } => "iam:DeleteRole",
            Call::PutRolePolicy { .. } => "iam:PutRolePolicy",
            Call::DeleteRolePolicy { .. } => "iam:DeleteRolePolicy",
            Call::CreatePolicy { .. } => "iam:CreatePolicy",
            Call::CreatePolicyVersion { .. } => "iam:CreatePolicyVersion",
            Call::DeletePolicyVersion { .. } => "iam:DeletePolicyVersion",
            Call::DeletePolicy { .. } => "iam:DeletePolicy",
            Call::AttachRolePolicy { .. } => "iam:AttachRolePolicy",
            Call::DetachRolePolicy { .. } => "iam:DetachRolePolicy",
            Call::CreateBucket { .. } => "s3:CreateBucket",
            Call::DeleteBucket { .. } => "s3:DeleteBucket",
            Call::BlockPublicAccess { .. } => "s3:PutBucketPublicAccessBlock",
            Call::EncryptBucket { .. } => "s3:PutEncryptionConfiguration",
            Call::EnableVersioning { .. } => "s3:PutBucketVersioning",
            Call::PutBucketPolicy { .. } => "s3:PutBucketPolicy",
            Call::DeleteBucketPolicy { .. } => "s3:DeleteBucketPolicy",
            Call::PutBucketNotification { .. } => "s3:PutBucketNotification",
            Call::UploadObject { .. } => "s3:PutObject",
            Call::PutRule { .. } => "events:PutRule",
            Call::PutTargets { .. } => "events:PutTargets",
            Call::RemoveTargets { .. } => "events:RemoveTargets",
            Call::DeleteRule { .. } => "events:DeleteRule",
            Call::CreatePipeline { .. } => "codepipeline:CreatePipeline",
            Call::UpdatePipeline { .. } => "codepipeline:UpdatePipeline",
            Call::TagPipeline { .. } => "codepipeline:TagResource",
            Call::DeletePipeline { .. } => "codepipeline:DeletePipeline",
        }
    }

    /// Says what it does to the resource.
    pub fn change(&self) -> Change {
        match self {
            Call::CreateKey { .. }
            | Call::ReplicateKey { .. }
            | Call::CreateAlias { .. }
            | Call::CreateRole { .. }
            | Call::CreatePolicy { .. }
            | Call::CreateBucket { .. }
            | Call::UploadObject { .. }
            | Call::AttachRolePolicy { .. }
            | Call::PutRolePolicy { before: None, .. }
            | Call::CreatePipeline { .. } => Change::Create,
            // A rule is given tags only when it is new.
            Call::PutRule { tags, .. } if !tags.is_empty() => Change::Create,
            Call::DeleteAlias { .. }
            | Call::ScheduleKeyDeletion { .. }
            | Call::DeleteRole { .. }
            | Call::DeleteRolePolicy { .. }
            | Call::DeletePolicyVersion { .. }
            | Call::DeletePolicy { .. }
            | Call::DetachRolePolicy { .. }
            | Call::DeleteBucket { .. }
            | Call::DeleteBucketPolicy { .. }
            | Call::RemoveTargets { .. }
            | Call::DeleteRule { .. }
            | Call::DeletePipeline { .. } => Change::Delete,
            _ => Change::Update,
        }
    }

    /// The verb in front of the write's title.
    pub fn verb(&self) -> &'static str {
        match self {
            Call::CreateKey { .. }
            | Call::CreateAlias { .. }
            | Call::CreateRole { .. }
            | Call::CreatePolicy { .. }
            | Call::CreatePolicyVersion { .. }
            | Call::CreateBucket { .. }
            | Call::CreatePipeline { .. }
            | Call::PutRolePolicy { before: None, .. } => "create",
            Call::ReplicateKey { .. } => "replicate",
            Call::EnableKeyRotation { .. } | Call::EnableVersioning { .. } => "turn on",
            Call::ScheduleKeyDeletion { .. } => "schedule",
            Call::AttachRolePolicy { .. } => "attach",
            Call::DetachRolePolicy { .. } => "detach",
            Call::BlockPublicAccess { .. } => "block",
            Call::EncryptBucket { .. } | Call::TagPipeline { .. } | Call::PutRule { .. } | Call::PutTargets { .. } => "set",
            Call::UploadObject { .. } => "upload",
            Call::PutKeyPolicy { .. }
            | Call::UpdateAssumeRolePolicy { .. }
            | Call::PutRolePolicy { .. }
            | Call::PutBucketPolicy { .. }
            | Call::PutBucketNotification { .. }
            | Call::UpdatePipeline { .. } => "update",
            Call::DeleteAlias { .. }
            | Call::DeleteRole { .. }
            | Call::DeleteRolePolicy { .. }
            | Call::DeletePolicyVersion { .. }
            | Call::DeletePolicy { .. }
            | Call::DeleteBucket { .. }
            | Call::DeleteBucketPolicy { .. }
            | Call::RemoveTargets { .. }
            | Call::DeleteRule { .. }
            | Call::DeletePipeline { .. } => "delete",
        }
    }

    /// Gives what the plan saw and what will be there, for calls that replace a document.
    pub fn documents(&self) -> (Option<Value>, Option<Value>) {
        match self {
            Call::CreateKey { policy, .. } | Call::ReplicateKey { policy, .. } => (None, Some(policy.clone())),
            Call::PutKeyPolicy { before, after, .. } | Call::PutBucketPolicy { before, after, .. } => (before.clone(), Some(after.clone())),
            Call::CreateRole { trust, .. } => (None, Some(trust.clone())),
            Call::UpdateAssumeRolePolicy { before, after, .. } | Call::UpdatePipeline { before, after, .. } => {
                (Some(before.clone()), Some(after.clone()))
            }
            Call::PutRolePolicy { before, document, .. } => (before.clone(), Some(document.clone())),
            Call::CreatePolicy { document, .. } => (None, Some(document.clone())),
            Call::CreatePolicyVersion { before, document, .. } => (Some(before.clone()), Some(document.clone())),
            Call::DeleteBucketPolicy { before, .. } => (Some(before.clone()), None),
            Call::PutBucketNotification { before, after, .. } => (Some(before.clone().into()), Some(after.clone().into())),
            Call::PutRule { pattern, .. } => (None, Some(pattern.clone())),
            Call::PutTargets { target, .. } => (None, Some(target.clone())),
            Call::CreatePipeline { declaration, .. } => (None, Some(declaration.clone())),
            _ => (None, None),
        }
    }
}

/// Gives what exists once a key was made that nothing uses yet: only its name makes it the pipeline's key, `key:REGION`.
pub fn new_key(region: &str) -> String {
    format!("new-key:{region}")
}

/// One write: where, which step, what call, on what, and what it waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// Which account.
    pub account: Side,
    /// Which step of the article.
    pub step: Step,
    /// The resource's ARN, as far as it is known.
    pub resource: String,
    /// One line for people.
    pub title: String,
    /// The call.
    pub call: Call,
    /// What must exist before, such as `role:dev:name`; the writes that give it come first.
    pub needs: Vec<String>,
    /// What exists afterwards.
    pub gives: Vec<String>,
    /// Writes of one lane never run at the same time: AWS refuses two changes of one bucket or role at once.
    pub lane: String,
}

impl Write {
    /// Makes a write that waits for nothing.
    pub fn new(
        account: Side,
        step: Step,
        lane: impl Into<String>,
        resource: impl Into<String>,
        title: impl Into<String>,
        call: Call,
    ) -> Write {
        Write {
            account,
            step,
            resource: resource.into(),
            title: title.into(),
            call,
            needs: Vec::new(),
            gives: Vec::new(),
            lane: lane.into(),
        }
    }

    /// Says what must exist before.
    #[must_use]
    pub fn needs(mut self, what: impl IntoIterator<Item = impl Into<String>>) -> Write {
        self.needs.extend(what.into_iter().map(Into::into));
        self
    }

    /// Says what exists afterwards.
    #[must_use]
    pub fn gives(mut self, what: impl Into<String>) -> Write {
        self.gives.push(what.into());
        self
    }
}

/// Waits for every write before it.
pub const EVERYTHING: &str = "*";

/// How all begins that isn't known before it is made.
pub const UNKNOWN: &str = "(known after apply";

/// Stands for a key ARN until the key is made.
pub fn key_placeholder(region: &str) -> String {
    format!("{UNKNOWN}: key in {region})")
}

/// What a person should know beside the writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// A warning asks for attention; a note only informs.
    pub warning: bool,
    /// One or two sentences.
    pub text: String,
}

impl Note {
    /// Makes a note that only informs.
    pub fn remark(text: impl Into<String>) -> Note {
        Note { warning: false, text: text.into() }
    }

    /// Makes a warning.
    pub fn warning(text: impl Into<String>) -> Note {
        Note { warning: true, text: text.into() }
    }
}

/// The file that `--artifact` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its path.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
}

/// Counts creations, updates and removals.
pub fn counts(writes: &[Write]) -> (usize, usize, usize) {
    let count = |wanted: Change| writes.iter().filter(|write| write.call.change() == wanted).count();
    (count(Change::Create), count(Change::Update), count(Change::Delete))
}
