//! The rows of facts A.2 as data.

use super::{Course, FileKey};
use crate::model::Policies;
use serde::Serialize;
use std::sync::LazyLock;

/// How sure it is that a call is made, and so what a denial of it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// It was observed, or AWS requires it and no set-up is known to work without it: a denial fails the deployment.
    Certain,
    /// It is listed somewhere, but a set-up works without it, or only some runs make it: a denial is a warning.
    MayBeCalled,
    /// Nobody here can say what becomes of it: it isn't modelled, or something that has a say could not be read.
    Unknown,
}

impl Grade {
    /// Gives the word for it, for tables.
    pub fn words(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::MayBeCalled => "may be called",
            Self::Unknown => "unknown",
        }
    }
}

/// What a row's grade rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Grounds {
    /// The grade.
    #[serde(skip)]
    pub grade: Grade,
    /// In a few words: who saw it, or what AWS says of it.
    pub text: &'static str,
    /// The address of the page that says so.
    pub docs: &'static str,
}

const fn certain(text: &'static str, docs: &'static str) -> Grounds {
    Grounds { grade: Grade::Certain, text, docs }
}

const fn may_be(text: &'static str, docs: &'static str) -> Grounds {
    Grounds { grade: Grade::MayBeCalled, text, docs }
}

const SERVICE_ROLE_GUIDE: &str = "https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html";
const CROSS_ACCOUNT_GUIDE: &str = "https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-create-cross-account.html";
const CROSS_REGION_GUIDE: &str = "https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-create-cross-region.html";
const S3_SOURCE: &str = "https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html";
const S3_DEPLOY: &str = "https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3Deploy.html";
const S3_EVENTS: &str = "https://docs.aws.amazon.com/codepipeline/latest/userguide/create-S3-source-events.html";
const ACTION_API: &str = "https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ActionDeclaration.html";
const LOCATION_API: &str = "https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_S3ArtifactLocation.html";
const GET_OBJECT_API: &str = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html";
const S3_KMS: &str = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html";
const IN_PARTS: &str = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html";
const RECORDED: &str = "https://github.com/radkawar/stackd";
const REPORTED: &str = "https://github.com/awslabs/aws-refarch-cross-account-pipeline/issues/1";

const STARTED: Grounds = certain("AWS's guide to S3 events lets EventBridge start the pipeline so", S3_EVENTS);
const TRUSTED: Grounds = certain("AWS documents the trust of the service role", SERVICE_ROLE_GUIDE);
const ASSUMED: Grounds = certain("AWS documents that an action's role is assumed through the service role", ACTION_API);
const VERSIONED: Grounds = certain("observed: the source action fails without it", REPORTED);
const SOURCE_LISTED: Grounds = may_be("AWS lists it for an S3 source, and a set-up without it is reported to run", REPORTED);
const SOURCE_READ: Grounds = certain("observed: a recorded run makes it", RECORDED);
const SOURCE_VERSION: Grounds = certain("AWS requires it for an S3 source", S3_SOURCE);
const SOURCE_TAGGED: Grounds = may_be("only if the source object has tags", S3_SOURCE);
const TOLD_APART: Grounds = may_be("it only tells a missing object from a denied one", GET_OBJECT_API);
const DECRYPTED: Grounds = certain("S3 decrypts with the permissions of whoever reads", S3_KMS);
const ENCRYPTED: Grounds = certain("S3 encrypts with the permissions of whoever writes", S3_KMS);
const PARTS: Grounds = may_be("only if it is uploaded in parts", S3_KMS);
const STORE_LISTED: Grounds = may_be(
    "AWS lists it for the service role, and pipelines that AWS CDK makes run without it",
    "https://github.com/aws/aws-cdk/pull/15304",
);
const STORED: Grounds = certain("observed: a recorded run stores its artifact so", RECORDED);
const LISTED: Grounds = may_be("AWS lists it for the service role, but doesn't document whether it is called", SERVICE_ROLE_GUIDE);
const COPIED: Grounds = certain("AWS documents that artifacts are copied to the action's region", CROSS_REGION_GUIDE);
const READ: Grounds = certain("AWS requires it of a role that reads an artifact of another account", CROSS_ACCOUNT_GUIDE);
const NO_VERSION: Grounds =
    may_be("the location of an artifact has no version, and pipelines of AWS's deployment framework run without it", LOCATION_API);
const DESCRIBED: Grounds = may_be("AWS's guide grants it, but AWS doesn't document whether it is called", CROSS_ACCOUNT_GUIDE);
const DEPLOY_LISTED: Grounds = may_be("AWS lists it for an S3 deploy, but its own article grants none and is said to work", S3_DEPLOY);
const WRITTEN: Grounds = certain("observed: a recorded run writes each file so", RECORDED);
const CANNED: Grounds = certain("observed: CodePipeline's own message demands it with a canned ACL", RECORDED);
const SEALED: Grounds = certain("observed: a deployment without it fails", "https://github.com/aws/aws-cdk/issues/14045");
const WHICH_KEY: Grounds = may_be("AWS doesn't document whether files get the artifact key where the action names none", S3_DEPLOY);
const BROKEN_OFF: Grounds = may_be("only if an upload in parts breaks off", IN_PARTS);
const GRANTED: Grounds = may_be("AWS's article grants it, but AWS doesn't document whether it is called", S3_DEPLOY);

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
    /// How sure it is that the call is made, and what that rests on.
    pub grounds: Grounds,
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

    /// Gives the grade of the call.
    pub fn grade(&self) -> Grade {
        self.grounds.grade
    }

    /// Says whether the call reads the deploy action's input artifact, so that it hangs on who wrote that and with which key.
    pub fn reads_artifact(&self) -> bool {
        let is_artifact = matches!(self.on, HomeArtifact | HomeKey | ActionArtifact | ActionKey);
        let reads = matches!(self.action, "s3:GetObject" | "s3:GetObjectVersion" | "kms:Decrypt" | "kms:DescribeKey");
        is_artifact && reads && matches!(self.number, 26..=27 | 35..=38)
    }

    /// Says whether the call is part of copying the artifact to the deploy action's region.
    pub fn copies_artifact(&self) -> bool {
        matches!(self.number, 26..=33)
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
    grounds: Grounds,
) -> Row {
    Row { number, name, fact, article, who, action, on, grounds, why, applies }
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
        STARTED,
    ),
    row(
        2,
        "start-run",
        1,
        "A2.3",
        (EventRole, "codepipeline:StartPipelineExecution", On::Pipeline),
        "EventBridge starts the pipeline",
        always,
        STARTED,
    ),
    row(
        3,
        "service-role",
        2,
        "A2.1",
        (CodePipeline, "sts:AssumeRole", On::ServiceRole),
        "CodePipeline takes the service role",
        always,
        TRUSTED,
    ),
    row(4, "source-role", 9, "A2.3", (ServiceRole, "sts:AssumeRole", On::SourceRole), "Source takes its own role", source_assumes, ASSUMED),
    row(
        5,
        "source-versioning",
        3,
        "A2.3",
        (SourceRole, "s3:GetBucketVersioning", SourceBucket),
        "Source looks at the input bucket",
        always,
        VERSIONED,
    ),
    row(
        6,
        "source-acl",
        3,
        "A2.3",
        (SourceRole, "s3:GetBucketAcl", SourceBucket),
        "Source looks at the input bucket",
        always,
        SOURCE_LISTED,
    ),
    row(
        7,
        "source-location",
        3,
        "A2.3",
        (SourceRole, "s3:GetBucketLocation", SourceBucket),
        "Source looks at the input bucket",
        always,
        SOURCE_LISTED,
    ),
    row(8, "source-read", 4, "A8.1", (SourceRole, "s3:GetObject", SourceObject), "Source reads the source object", always, SOURCE_READ),
    row(
        9,
        "source-read-version",
        5,
        "A8.1",
        (SourceRole, "s3:GetObjectVersion", SourceObject),
        "Source reads one version of it",
        always,
        SOURCE_VERSION,
    ),
    row(10, "source-tags", 5, "A8.1", (SourceRole, "s3:GetObjectTagging", SourceObject), "if the object has tags", always, SOURCE_TAGGED),
    row(
        11,
        "source-version-tags",
        5,
        "A8.1",
        (SourceRole, "s3:GetObjectVersionTagging", SourceObject),
        "if it has tags",
        always,
        SOURCE_TAGGED,
    ),
    row(
        12,
        "source-list",
        5,
        "A2.7",
        (SourceRole, "s3:ListBucket", SourceBucket),
        "tells a missing object from a denial",
        always,
        TOLD_APART,
    ),
    row(
        13,
        "source-decrypt",
        5,
        "A8.1",
        (SourceRole, "kms:Decrypt", SourceKey),
        "the input bucket has a customer key",
        has_source_key,
        DECRYPTED,
    ),
    row(
        14,
        "artifact-versioning",
        3,
        "A2.2",
        (SourceRole, "s3:GetBucketVersioning", HomeBucket),
        "Source looks at the artifact bucket",
        always,
        STORE_LISTED,
    ),
    row(
        15,
        "artifact-acl",
        3,
        "A2.2",
        (SourceRole, "s3:GetBucketAcl", HomeBucket),
        "Source looks at the artifact bucket",
        always,
        STORE_LISTED,
    ),
    row(
        16,
        "artifact-location",
        3,
        "A2.2",
        (SourceRole, "s3:GetBucketLocation", HomeBucket),
        "Source looks at the artifact bucket",
        always,
        STORE_LISTED,
    ),
    row(17, "artifact-write", 6, "A8.1", (SourceRole, "s3:PutObject", HomeArtifact), "Source stores the artifact", always, STORED),
    row(18, "artifact-write-tags", 6, "A8.1", (SourceRole, "s3:PutObjectTagging", HomeArtifact), "if it has tags", always, SOURCE_TAGGED),
    row(19, "artifact-read", 6, "A2.1", (SourceRole, "s3:GetObject", HomeArtifact), "AWS lists it for the service role", always, LISTED),
    row(
        20,
        "artifact-read-version",
        6,
        "A2.1",
        (SourceRole, "s3:GetObjectVersion", HomeArtifact),
        "AWS lists it for the service role",
        always,
        LISTED,
    ),
    row(
        21,
        "artifact-read-tags",
        6,
        "A2.1",
        (SourceRole, "s3:GetObjectTagging", HomeArtifact),
        "AWS lists it for the service role",
        always,
        LISTED,
    ),
    row(
        22,
        "artifact-read-version-tags",
        6,
        "A2.1",
        (SourceRole, "s3:GetObjectVersionTagging", HomeArtifact),
        "AWS lists it for the service role",
        always,
        LISTED,
    ),
    row(23, "artifact-write-acl", 6, "A8.1", (SourceRole, "s3:PutObjectAcl", HomeArtifact), "AWS lists it", always, LISTED),
    row(24, "artifact-encrypt", 7, "A3", (SourceRole, "kms:GenerateDataKey", HomeKey), "S3 encrypts the artifact", always, ENCRYPTED),
    row(25, "artifact-encrypt-parts", 7, "A3", (SourceRole, "kms:Decrypt", HomeKey), "if it is uploaded in parts", always, PARTS),
    row(
        26,
        "copy-read",
        8,
        "A2.6",
        (ServiceRole, "s3:GetObject", HomeArtifact),
        "the artifact goes to the other region",
        crosses_regions,
        COPIED,
    ),
    row(
        27,
        "copy-decrypt",
        8,
        "A2.6",
        (ServiceRole, "kms:Decrypt", HomeKey),
        "the artifact goes to the other region",
        crosses_regions,
        COPIED,
    ),
    row(
        28,
        "copy-write",
        8,
        "A2.6",
        (ServiceRole, "s3:PutObject", ActionArtifact),
        "the artifact comes to the other region",
        crosses_regions,
        COPIED,
    ),
    row(29, "copy-encrypt", 8, "A2.6", (ServiceRole, "kms:GenerateDataKey", ActionKey), "S3 encrypts it there", crosses_regions, COPIED),
    row(30, "copy-encrypt-parts", 8, "A2.6", (ServiceRole, "kms:Decrypt", ActionKey), "if it is uploaded in parts", crosses_regions, PARTS),
    row(31, "copy-versioning", 8, "A2.6", (ServiceRole, "s3:GetBucketVersioning", ActionBucket), "AWS lists it", crosses_regions, LISTED),
    row(32, "copy-acl", 8, "A2.6", (ServiceRole, "s3:GetBucketAcl", ActionBucket), "AWS lists it", crosses_regions, LISTED),
    row(33, "copy-location", 8, "A2.6", (ServiceRole, "s3:GetBucketLocation", ActionBucket), "AWS lists it", crosses_regions, LISTED),
    row(
        34,
        "deploy-role",
        9,
        "A4.3, A6",
        (ServiceRole, "sts:AssumeRole", On::DeployRole),
        "Deploy takes the cross-account role",
        assumes,
        ASSUMED,
    ),
    row(35, "deploy-read", 10, "A4.2, A5", (DeployRole, "s3:GetObject", ActionArtifact), "Deploy reads the artifact", always, READ),
    row(
        36,
        "deploy-read-version",
        10,
        "A4.2, A5",
        (DeployRole, "s3:GetObjectVersion", ActionArtifact),
        "Deploy reads the artifact",
        always,
        NO_VERSION,
    ),
    row(37, "deploy-decrypt", 11, "A1.3, A4.2", (DeployRole, "kms:Decrypt", ActionKey), "S3 decrypts the artifact", always, DECRYPTED),
    row(
        38,
        "deploy-describe-key",
        11,
        "A1.3, A4.2",
        (DeployRole, "kms:DescribeKey", ActionKey),
        "the article grants it",
        always,
        DESCRIBED,
    ),
    row(39, "output-versioning", 12, "A4.1", (DeployRole, "s3:GetBucketVersioning", OutputBucket), "AWS lists it", always, DEPLOY_LISTED),
    row(40, "output-acl", 12, "A4.1", (DeployRole, "s3:GetBucketAcl", OutputBucket), "AWS lists it", always, DEPLOY_LISTED),
    row(41, "output-location", 12, "A4.1", (DeployRole, "s3:GetBucketLocation", OutputBucket), "AWS lists it", always, DEPLOY_LISTED),
    row(42, "output-write", 13, "A4.1", (DeployRole, "s3:PutObject", OutputObject), "Deploy writes the files", always, WRITTEN),
    row(
        43,
        "output-write-acl",
        14,
        "A4.1",
        (DeployRole, "s3:PutObjectAcl", OutputObject),
        "the action has a canned ACL",
        has_canned_acl,
        CANNED,
    ),
    row(
        44,
        "output-write-version-acl",
        14,
        "A4.1",
        (DeployRole, "s3:PutObjectVersionAcl", OutputObject),
        "for a file that is there",
        has_canned_acl,
        CANNED,
    ),
    row(
        45,
        "output-encrypt",
        15,
        "A4.1",
        (DeployRole, "kms:GenerateDataKey", OutputKey),
        "the files get a customer key",
        has_output_key,
        SEALED,
    ),
    row(46, "output-encrypt-parts", 15, "A4.1", (DeployRole, "kms:Decrypt", OutputKey), "if uploaded in parts", has_output_key, PARTS),
    row(
        47,
        "output-encrypt-dev-key",
        11,
        "A1.3, A4.2",
        (DeployRole, "kms:GenerateDataKey", ActionKey),
        "if the files are written with the artifact key",
        writes_with_dev_key,
        WHICH_KEY,
    ),
    row(
        48,
        "output-encrypt-dev-key-parts",
        11,
        "A1.3, A4.2",
        (DeployRole, "kms:Decrypt", ActionKey),
        "if in parts",
        writes_with_dev_key,
        WHICH_KEY,
    ),
    row(
        49,
        "output-abort",
        16,
        "A4.1",
        (DeployRole, "s3:AbortMultipartUpload", OutputObject),
        "if an upload breaks off",
        is_least,
        BROKEN_OFF,
    ),
    row(50, "output-list", 16, "A4.1", (DeployRole, "s3:ListBucket", OutputBucket), "the article grants it", is_article, GRANTED),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_says_what_its_grade_rests_on() {
        for row in ROWS {
            let Grounds { grade, text, docs } = row.grounds;
            assert!(!text.is_empty() && docs.starts_with("https://"), "{}", row.name);
            assert!(!text.contains("(facts") && !row.why.contains("(facts"), "{}: the fact sheets aren't shipped", row.name);
            assert_ne!(grade, Grade::Unknown, "{}: a row of the table is modelled", row.name);
        }
    }

    /// What a working public set-up lacks is never certain: AWS CDK's source role, its deployment framework, the answer in REPORTED.
    #[test]
    fn what_a_working_set_up_lacks_may_be_called() {
        let lacking = [
            "source-acl",
            "source-location",
            "artifact-versioning",
            "artifact-acl",
            "artifact-location",
            "deploy-read-version",
            "output-versioning",
            "output-acl",
            "output-location",
            "output-list",
            "output-abort",
            "deploy-describe-key",
        ];
        for name in lacking {
            let row = ROWS.iter().find(|row| row.name == name).unwrap();
            assert_eq!(row.grade(), Grade::MayBeCalled, "{name}");
        }
    }

    #[test]
    fn the_calls_that_read_the_artifact_are_the_deploy_action_s_and_the_copy_s() {
        let reads: Vec<&str> = ROWS.iter().filter(|row| row.reads_artifact()).map(|row| row.name).collect();
        assert_eq!(reads, ["copy-read", "copy-decrypt", "deploy-read", "deploy-read-version", "deploy-decrypt", "deploy-describe-key"]);
        assert!(ROWS.iter().all(|row| row.copies_artifact() == row.name.starts_with("copy-")));
    }
}
