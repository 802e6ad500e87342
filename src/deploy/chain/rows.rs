//! The rows of facts A.2 as data.

use super::{Course, FileKey};
use crate::model::Policies;
use std::sync::LazyLock;

/// Who makes a call (facts A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// EventBridge.
    Events,
    /// EventBridge's role.
    EventRole,
    /// CodePipeline itself.
    CodePipeline,
    /// The pipeline's service role.
    ServiceRole,
    /// The role of the source action; the service role where the action names none.
    SourceRole,
    /// The role of the deploy action; the service role where the action names none (facts E.9).
    DeployRole,
}

impl Who {
    /// Says who it is, for tables.
    pub fn words(self) -> &'static str {
        match self {
            Self::Events => "EventBridge",
            Self::EventRole => "EventBridge's role",
            Self::CodePipeline => "CodePipeline",
            Self::ServiceRole => "service role",
            Self::SourceRole => "source action's role, else the service role",
            Self::DeployRole => "cross-account role",
        }
    }
}

/// What a call is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// EventBridge's role.
    EventRole,
    /// The pipeline.
    Pipeline,
    /// The service role.
    ServiceRole,
    /// The source action's own role.
    SourceRole,
    /// The input bucket.
    SourceBucket,
    /// The source object.
    SourceObject,
    /// The customer key of the input bucket.
    SourceKey,
    /// The artifact bucket of the pipeline's region.
    HomeBucket,
    /// An artifact in it.
    HomeArtifact,
    /// Its key.
    HomeKey,
    /// The artifact bucket of the deploy action's region.
    ActionBucket,
    /// An artifact in it.
    ActionArtifact,
    /// Its key.
    ActionKey,
    /// The cross-account role.
    DeployRole,
    /// The output bucket.
    OutputBucket,
    /// A file in it.
    OutputObject,
    /// The customer key that output files are encrypted with.
    OutputKey,
}

impl On {
    /// Says what it is, for tables.
    pub fn words(self) -> &'static str {
        match self {
            Self::EventRole => "EventBridge's role",
            Self::Pipeline => "the pipeline",
            Self::ServiceRole => "the service role",
            Self::SourceRole => "the source action's role",
            Self::SourceBucket => "input bucket",
            Self::SourceObject => "source object",
            Self::SourceKey => "the input bucket's customer key",
            Self::HomeBucket => "artifact bucket",
            Self::HomeArtifact => "artifact",
            Self::HomeKey => "artifact key",
            Self::ActionBucket => "artifact bucket of the output bucket's region",
            Self::ActionArtifact => "artifact in the output bucket's region",
            Self::ActionKey => "artifact key of the output bucket's region",
            Self::DeployRole => "the cross-account role",
            Self::OutputBucket => "output bucket",
            Self::OutputObject => "a file in the output bucket",
            Self::OutputKey => "the files' customer key",
        }
    }
}

/// A row of the table: one call.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The number of its rule; never used again for another call.
    pub number: u8,
    /// The link's name, stable.
    pub name: &'static str,
    /// The row of facts A.2.
    pub fact: u8,
    /// The steps of the article that grant it.
    pub article: &'static str,
    /// Who calls.
    pub who: Who,
    /// IAM's name of the action.
    pub action: &'static str,
    /// On what.
    pub on: On,
    /// It isn't confirmed that the call is made, or it is made in some runs only: a denial is a warning.
    pub may_be_called: bool,
    /// What it is for.
    pub why: &'static str,
    /// When it is made at all.
    pub applies: fn(&Course<'_>) -> bool,
}

/// The ids of the rules, made once.
static IDS: LazyLock<Vec<String>> = LazyLock::new(|| (0..=u8::MAX).map(|number| format!("XD-CALL-{number:03}")).collect());

impl Row {
    /// Gives the id of its rule, `XD-CALL-0NN`.
    pub fn id(&self) -> &'static str {
        &IDS[usize::from(self.number)]
    }
}

const fn row(
    number: u8,
    name: &'static str,
    fact: u8,
    article: &'static str,
    (who, action, on): (Who, &'static str, On),
    why: &'static str,
    applies: fn(&Course<'_>) -> bool,
) -> Row {
    Row { number, name, fact, article, who, action, on, may_be_called: false, why, applies }
}

const fn perhaps(row: Row) -> Row {
    Row { may_be_called: true, ..row }
}

fn always(_: &Course<'_>) -> bool {
    true
}

fn has_source_key(course: &Course<'_>) -> bool {
    !matches!(course.source_key(), FileKey::None)
}

fn has_output_key(course: &Course<'_>) -> bool {
    !matches!(course.output_key(), FileKey::None)
}

fn crosses_regions(course: &Course<'_>) -> bool {
    course.action.region != course.home.region
}

fn assumes(course: &Course<'_>) -> bool {
    course.assumes
}

fn source_assumes(course: &Course<'_>) -> bool {
    course.source_role != course.service_role
}

fn has_canned_acl(course: &Course<'_>) -> bool {
    course.canned_acl.is_some()
}

fn writes_with_dev_key(course: &Course<'_>) -> bool {
    course.assumes && course.deploy_encrypts_with_dev_key && course.declared_output_key.is_none()
}

/// The article, which AWS published as working, lists the output bucket and aborts nothing; facts F.2 has it the other way round.
fn is_article(course: &Course<'_>) -> bool {
    course.policies == Policies::Article
}

fn is_least(course: &Course<'_>) -> bool {
    course.policies == Policies::LeastPrivilege
}

use On::{
    ActionArtifact, ActionBucket, ActionKey, HomeArtifact, HomeBucket, HomeKey, OutputBucket, OutputKey, OutputObject, SourceBucket,
    SourceKey, SourceObject,
};
use Who::{CodePipeline, DeployRole, EventRole, Events, ServiceRole, SourceRole};

/// All links, in the order in which a run makes the calls. The two of EventBridge come once for each rule that starts the pipeline.
pub const ROWS: &[Row] = &[
    row(
        1,
        "start-role",
        1,
        "A2.3",
        (Events, "sts:AssumeRole", On::EventRole),
        "EventBridge takes the role that starts the pipeline",
        always,
    ),
    row(
        2,
        "start-run",
        1,
        "A2.3",
        (EventRole, "codepipeline:StartPipelineExecution", On::Pipeline),
        "EventBridge starts the pipeline",
        always,
    ),
    row(3, "service-role", 2, "A2.1", (CodePipeline, "sts:AssumeRole", On::ServiceRole), "CodePipeline takes the service role", always),
    row(4, "source-role", 9, "A2.3", (ServiceRole, "sts:AssumeRole", On::SourceRole), "Source takes its own role", source_assumes),
    row(
        5,
        "source-versioning",
        3,
        "A2.3",
        (SourceRole, "s3:GetBucketVersioning", SourceBucket),
        "Source looks at the input bucket",
        always,
    ),
    row(6, "source-acl", 3, "A2.3", (SourceRole, "s3:GetBucketAcl", SourceBucket), "Source looks at the input bucket", always),
    row(7, "source-location", 3, "A2.3", (SourceRole, "s3:GetBucketLocation", SourceBucket), "Source looks at the input bucket", always),
    row(8, "source-read", 4, "A8.1", (SourceRole, "s3:GetObject", SourceObject), "Source reads the source object", always),
    row(9, "source-read-version", 5, "A8.1", (SourceRole, "s3:GetObjectVersion", SourceObject), "Source reads one version of it", always),
    perhaps(row(10, "source-tags", 5, "A8.1", (SourceRole, "s3:GetObjectTagging", SourceObject), "if the object has tags", always)),
    perhaps(row(11, "source-version-tags", 5, "A8.1", (SourceRole, "s3:GetObjectVersionTagging", SourceObject), "if it has tags", always)),
    perhaps(row(12, "source-list", 5, "A2.7", (SourceRole, "s3:ListBucket", SourceBucket), "tells a missing object from a denial", always)),
    row(13, "source-decrypt", 5, "A8.1", (SourceRole, "kms:Decrypt", SourceKey), "the input bucket has a customer key", has_source_key),
    row(
        14,
        "artifact-versioning",
        3,
        "A2.2",
        (SourceRole, "s3:GetBucketVersioning", HomeBucket),
        "Source looks at the artifact bucket",
        always,
    ),
    row(15, "artifact-acl", 3, "A2.2", (SourceRole, "s3:GetBucketAcl", HomeBucket), "Source looks at the artifact bucket", always),
    row(
        16,
        "artifact-location",
        3,
        "A2.2",
        (SourceRole, "s3:GetBucketLocation", HomeBucket),
        "Source looks at the artifact bucket",
        always,
    ),
    row(17, "artifact-write", 6, "A8.1", (SourceRole, "s3:PutObject", HomeArtifact), "Source stores the artifact", always),
    perhaps(row(18, "artifact-write-tags", 6, "A8.1", (SourceRole, "s3:PutObjectTagging", HomeArtifact), "if it has tags", always)),
    perhaps(row(19, "artifact-read", 6, "A2.1", (SourceRole, "s3:GetObject", HomeArtifact), "AWS lists it (facts A.5)", always)),
    perhaps(row(
        20,
        "artifact-read-version",
        6,
        "A2.1",
        (SourceRole, "s3:GetObjectVersion", HomeArtifact),
        "AWS lists it (facts A.5)",
        always,
    )),
    perhaps(row(
        21,
        "artifact-read-tags",
        6,
        "A2.1",
        (SourceRole, "s3:GetObjectTagging", HomeArtifact),
        "AWS lists it (facts A.5)",
        always,
    )),
    perhaps(row(
        22,
        "artifact-read-version-tags",
        6,
        "A2.1",
        (SourceRole, "s3:GetObjectVersionTagging", HomeArtifact),
        "AWS lists it (facts A.5)",
        always,
    )),
    perhaps(row(23, "artifact-write-acl", 6, "A8.1", (SourceRole, "s3:PutObjectAcl", HomeArtifact), "AWS lists it", always)),
    row(24, "artifact-encrypt", 7, "A3", (SourceRole, "kms:GenerateDataKey", HomeKey), "S3 encrypts the artifact", always),
    perhaps(row(25, "artifact-encrypt-parts", 7, "A3", (SourceRole, "kms:Decrypt", HomeKey), "if it is uploaded in parts", always)),
    row(26, "copy-read", 8, "A2.6", (ServiceRole, "s3:GetObject", HomeArtifact), "the artifact goes to the other region", crosses_regions),
    row(27, "copy-decrypt", 8, "A2.6", (ServiceRole, "kms:Decrypt", HomeKey), "the artifact goes to the other region", crosses_regions),
    row(
        28,
        "copy-write",
        8,
        "A2.6",
        (ServiceRole, "s3:PutObject", ActionArtifact),
        "the artifact comes to the other region",
        crosses_regions,
    ),
    row(29, "copy-encrypt", 8, "A2.6", (ServiceRole, "kms:GenerateDataKey", ActionKey), "S3 encrypts it there", crosses_regions),
    perhaps(row(
        30,
        "copy-encrypt-parts",
        8,
        "A2.6",
        (ServiceRole, "kms:Decrypt", ActionKey),
        "if it is uploaded in parts",
        crosses_regions,
    )),
    perhaps(row(31, "copy-versioning", 8, "A2.6", (ServiceRole, "s3:GetBucketVersioning", ActionBucket), "AWS lists it", crosses_regions)),
    perhaps(row(32, "copy-acl", 8, "A2.6", (ServiceRole, "s3:GetBucketAcl", ActionBucket), "AWS lists it", crosses_regions)),
    perhaps(row(33, "copy-location", 8, "A2.6", (ServiceRole, "s3:GetBucketLocation", ActionBucket), "AWS lists it", crosses_regions)),
    row(34, "deploy-role", 9, "A4.3, A6", (ServiceRole, "sts:AssumeRole", On::DeployRole), "Deploy takes the cross-account role", assumes),
    row(35, "deploy-read", 10, "A4.2, A5", (DeployRole, "s3:GetObject", ActionArtifact), "Deploy reads the artifact", always),
    row(
        36,
        "deploy-read-version",
        10,
        "A4.2, A5",
        (DeployRole, "s3:GetObjectVersion", ActionArtifact),
        "Deploy reads the artifact",
        always,
    ),
    row(37, "deploy-decrypt", 11, "A1.3, A4.2", (DeployRole, "kms:Decrypt", ActionKey), "S3 decrypts the artifact", always),
    perhaps(row(38, "deploy-describe-key", 11, "A1.3, A4.2", (DeployRole, "kms:DescribeKey", ActionKey), "the article grants it", always)),
    perhaps(row(39, "output-versioning", 12, "A4.1", (DeployRole, "s3:GetBucketVersioning", OutputBucket), "AWS lists it", always)),
    perhaps(row(40, "output-acl", 12, "A4.1", (DeployRole, "s3:GetBucketAcl", OutputBucket), "AWS lists it", always)),
    perhaps(row(41, "output-location", 12, "A4.1", (DeployRole, "s3:GetBucketLocation", OutputBucket), "AWS lists it", always)),
    row(42, "output-write", 13, "A4.1", (DeployRole, "s3:PutObject", OutputObject), "Deploy writes the files", always),
    row(43, "output-write-acl", 14, "A4.1", (DeployRole, "s3:PutObjectAcl", OutputObject), "the action has a canned ACL", has_canned_acl),
    row(
        44,
        "output-write-version-acl",
        14,
        "A4.1",
        (DeployRole, "s3:PutObjectVersionAcl", OutputObject),
        "for a file that is there",
        has_canned_acl,
    ),
    row(45, "output-encrypt", 15, "A4.1", (DeployRole, "kms:GenerateDataKey", OutputKey), "the files get a customer key", has_output_key),
    perhaps(row(46, "output-encrypt-parts", 15, "A4.1", (DeployRole, "kms:Decrypt", OutputKey), "if uploaded in parts", has_output_key)),
    perhaps(row(
        47,
        "output-encrypt-dev-key",
        11,
        "A1.3, A4.2",
        (DeployRole, "kms:GenerateDataKey", ActionKey),
        "if the files are written with the artifact key",
        writes_with_dev_key,
    )),
    perhaps(row(
        48,
        "output-encrypt-dev-key-parts",
        11,
        "A1.3, A4.2",
        (DeployRole, "kms:Decrypt", ActionKey),
        "if in parts",
        writes_with_dev_key,
    )),
    perhaps(row(
        49,
        "output-abort",
        16,
        "A4.1",
        (DeployRole, "s3:AbortMultipartUpload", OutputObject),
        "if an upload breaks off",
        is_least,
    )),
    perhaps(row(50, "output-list", 16, "A4.1", (DeployRole, "s3:ListBucket", OutputBucket), "the article grants it", is_article)),
];
