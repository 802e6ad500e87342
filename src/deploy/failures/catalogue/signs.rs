//! What tells a row in a message that was taken apart, and AWS's own sentences, which tell it where the message is cut.

use super::super::signs::{Sign, Wanted};
use crate::model::{ApiService, DenialReason, PolicyKind};
use ApiService::{CloudFormation, CodePipeline, Iam, Kms, S3};
use DenialReason::{ExplicitDeny, NoAllow, PublicPolicy};

const TAGGING: &[&str] = &["s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"];
const UPLOADS: &[&str] = &["PutObject", "CopyObject", "UploadPart", "UploadPartCopy", "CreateMultipartUpload", "CompleteMultipartUpload"];
const PRINCIPAL: &str = r"invalid principal in policy";

/// The rows with what tells them; one sign is enough.
pub(in super::super) static SIGNS: [(u8, Sign); 55] = [
    (1, Sign { calls: &["HeadObject"], status: Some(404), ..Sign::ANY }),
    (1, Sign { codes: &["NoSuchKey"], ..Sign::ANY }),
    (2, Sign { calls: &["HeadObject"], denied: true, because: &[None], ..Sign::ANY }),
    (3, Sign { says: &[r"provided role (does not|doesn't) have permissions? to perform this action"], ..Sign::ANY }),
    (3, Sign { says: &[r"upload to s3 failed\b", r"access ?denied"], ..Sign::ANY }),
    (6, Sign { says: &[r"access (has been|was) denied by s3\b", r"getobject"], ..Sign::ANY }),
    (6, Sign { says: &[r"provided role (does not|doesn't) have permissions? to perform this action"], ..Sign::ANY }),
    (10, Sign { may_be_of: &[Kms, S3], says: &[r"\bkey '?arn:\S+:key/\S+ (does not|doesn't) exist"], ..Sign::ANY }),
    (11, Sign { because: &[Some(NoAllow(PolicyKind::Identity)), Some(NoAllow(PolicyKind::Resource))], ..Sign::ANY }),
    (11, Sign { because: &[Some(NoAllow(PolicyKind::Session)), Some(NoAllow(PolicyKind::Endpoint))], ..Sign::ANY }),
    (11, Sign { may_be_of: &[S3, Kms, Iam, CodePipeline], because: DENIES_BY_OWN, ..Sign::ANY }),
    (
        13,
        Sign {
            may_be_of: &[CodePipeline],
            denied: true,
            says: &[r"\bassume the (provided )?role\b|\brole\b.{0,200}\bcannot be assumed\b"],
            ..Sign::ANY
        },
    ),
    (
        13,
        Sign {
            says: &[r"\bis not authorized to perform assume ?role on role\b"],
            never: &[r"\bcodepipeline(\.amazonaws\.com)? is not authorized"],
            ..Sign::ANY
        },
    ),
    (14, Sign { is_of: &[Iam], says: &[PRINCIPAL], ..Sign::ANY }),
    (14, Sign { may_be_of: &[Iam, CloudFormation], codes: &["MalformedPolicyDocument"], says: &["invalid principal"], ..Sign::ANY }),
    (14, Sign { may_be_of: &[Iam, CloudFormation], says: &[QUOTED], ..Sign::ANY }),
    (15, Sign { is_of: &[S3], says: &[PRINCIPAL], ..Sign::ANY }),
    (15, Sign { codes: &["MalformedPolicy"], says: &["invalid principal"], ..Sign::ANY }),
    (15, Sign { calls: &["PutBucketPolicy"], says: &["invalid principal"], ..Sign::ANY }),
    (15, Sign { may_be_of: &[S3, CloudFormation], says: &[PRINCIPAL], never: &[QUOTED, r"malformedpolicydocument"], ..Sign::ANY }),
    (16, Sign { is_of: &[Kms], says: &["invalid principals?"], ..Sign::ANY }),
    (16, Sign { may_be_of: &[Kms, CloudFormation], says: &[r"(one or more|contains?|with) (an )?invalid principals?\b"], ..Sign::ANY }),
    (
        17,
        Sign {
            may_be_of: &[Kms, CloudFormation],
            says: &[r"key policy\b.{0,40}\b(not|n't) (allow|permit|let)\b.{0,40}\b(update|change|modify)\b"],
            ..Sign::ANY
        },
    ),
    (18, Sign { calls: &["PutBucketPolicy"], denied: true, because: &[None, Some(PublicPolicy)], ..Sign::ANY }),
    (18, Sign { actions: &["s3:PutBucketPolicy"], because: &[None, Some(PublicPolicy)], ..Sign::ANY }),
    (18, Sign { because: &[Some(PublicPolicy)], ..Sign::ANY }),
    (20, Sign { codes: &["AccessControlListNotSupported", "InvalidBucketAclWithObjectOwnership"], ..Sign::ANY }),
    (21, Sign { actions: &["s3:PutObject"], because: &[Some(ExplicitDeny(PolicyKind::Resource))], ..Sign::ANY }),
    (21, Sign { calls: UPLOADS, because: &[Some(ExplicitDeny(PolicyKind::Resource))], ..Sign::ANY }),
    (21, Sign { unnamed: true, because: &[Some(ExplicitDeny(PolicyKind::Resource))], ..Sign::ANY }),
    (23, Sign { because: &[Some(ExplicitDeny(PolicyKind::ServiceControl)), Some(ExplicitDeny(PolicyKind::ResourceControl))], ..Sign::ANY }),
    (23, Sign { because: &[Some(NoAllow(PolicyKind::ServiceControl)), Some(NoAllow(PolicyKind::ResourceControl))], ..Sign::ANY }),
    (23, Sign { denied: true, says: &[r"(service|resource) control polic(y|ies)"], ..Sign::ANY }),
    (23, Sign { denied: true, says: &[r"\b(by|in) (an?|the|our|your|organi[sz]ation'?s?) (scp|rcp)s?\b"], ..Sign::ANY }),
    (23, Sign { denied: true, says: &[r"\b(scp|rcp)s? polic(y|ies)\b"], ..Sign::ANY }),
    (24, Sign { because: &[Some(ExplicitDeny(PolicyKind::Boundary)), Some(NoAllow(PolicyKind::Boundary))], ..Sign::ANY }),
    (24, Sign { denied: true, says: &[r"permissions? boundar(y|ies)"], ..Sign::ANY }),
    (25, Sign { denied: true, says: &[r"aws:?source(vpce?|ip)"], ..Sign::ANY }),
    (25, Sign { denied: true, says: &[r"\b(fine|works?)\b.{0,40}\bvpc\b"], ..Sign::ANY }),
    (25, Sign { denied: true, says: &[r"\bvpc endpoint\b"], ..Sign::ANY }),
    (27, Sign { may_be_of: &[S3, CodePipeline, CloudFormation], says: &[r"must be addressed using the specified endpoint"], ..Sign::ANY }),
    (27, Sign { may_be_of: &[S3, CodePipeline, CloudFormation], says: &[r"bucket is (not )?in\b.{0,40}\bregion\b"], ..Sign::ANY }),
    (27, Sign { codes: &["PermanentRedirect", "AuthorizationHeaderMalformed"], ..Sign::ANY }),
    (29, Sign { codes: &["InvalidActionDeclarationException"], says: &[r"\bconfiguration\b"], ..Sign::ANY }),
    (30, Sign { may_be_of: &[CodePipeline, CloudFormation], says: &[r"failed to satisfy constraint"], ..Sign::ANY }),
    (39, Sign { may_be_of: &[CodePipeline, CloudFormation], says: &[r"\biam:passrole\b"], ..Sign::ANY }),
    (
        40,
        Sign {
            denied: true,
            says: &[r"\b(green|succeed\w*|success\w*)\b", r"\b(pipelines?|deploy\w*|buckets?|executions?|s3)\b"],
            never: BY_AWS,
            ..Sign::ANY
        },
    ),
    (
        40,
        Sign {
            denied: true,
            says: &[r"\b(deployed|output (bucket|object|file)s?|web ?site|cloudfront)\b", r"\b(pipelines?|buckets?|s3)\b"],
            never: BY_AWS,
            ..Sign::ANY
        },
    ),
    (44, Sign { actions: TAGGING, ..Sign::ANY }),
    (44, Sign { calls: &["GetObjectTagging", "PutObjectTagging"], denied: true, ..Sign::ANY }),
    (46, Sign { codes: &["DisabledException", "KMS.DisabledException", "KMSDisabledException"], ..Sign::ANY }),
    (46, Sign { codes: &["KMSInvalidStateException", "KMS.KMSInvalidStateException"], ..Sign::ANY }),
    (
        48,
        Sign {
            says: &[r"\b(failed replicating|replication of) ('|(the )?artifact\b)", r"\b(failed|buckets? exist|permissions?)\b"],
            never: &["invalid arn"],
            ..Sign::ANY
        },
    ),
    (49, Sign { codes: &["NoSuchBucket"], ..Sign::ANY }),
    (
        49,
        Sign {
            says: &[
                r"\b(artifact|deployment|source) (store |s3 )?bucket\b.{0,120}\b(not found|(does not|doesn't) exist|could not be found)\b",
            ],
            ..Sign::ANY
        },
    ),
];

const DENIES_BY_OWN: Wanted = &[
    Some(ExplicitDeny(PolicyKind::Identity)),
    Some(ExplicitDeny(PolicyKind::Resource)),
    Some(ExplicitDeny(PolicyKind::Session)),
    Some(ExplicitDeny(PolicyKind::Endpoint)),
];
/// IAM repeats the principal as the document has it.
const QUOTED: &str = r#"invalid principal in policy:? *\\?"?(aws|service|federated|canonicaluser)\b"#;
/// People's own words about readers don't hold these.
const BY_AWS: &[&str] = &[r"not authorized to perform", r"\boperation\b"];

/// What AWS says, in its own words; `{}` stands for names. It tells a row where a text begins or ends within it.
pub(in super::super) const SENTENCES: [(u8, &str); 34] = [
    (1, "The object with key {} does not exist."),
    (2, "The object with key {} returned a Forbidden error."),
    (
        3,
        "The service role or action role doesn't have the permissions required to access the Amazon S3 bucket named {} Update the IAM role permissions, and then try again. Error: Amazon S3:AccessDenied",
    ),
    (3, "The provided role does not have permissions to perform this action. Underlying error: Access Denied"),
    (3, "Upload to S3 failed with the following error: Access Denied"),
    (4, "Versioning is not enabled on the source bucket {}"),
    (5, "CodePipeline service role {} is getting S3 access denied for the S3 bucket {}"),
    (
        6,
        "Unable to access the artifact with Amazon S3 object key {} located in the Amazon S3 artifact bucket {} The provided role does not have sufficient permissions.",
    ),
    (
        6,
        "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for {} S3 Error Code: AccessDenied. S3 Error Message: Access Denied",
    ),
    (
        8,
        "You do not have sufficient permissions to call s3.putObject for the deployment bucket, {} Check the permissions. If you choose a canned ACL, the role must also have the permissions s3:PutObjectAcl and s3:PutObjectVersionAcl.",
    ),
    (
        10,
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
    ),
    (12, "CodePipeline is not authorized to perform AssumeRole on role {}"),
    (14, "Invalid principal in policy: \"AWS\":{}"),
    (16, "Policy contains a statement with one or more invalid principals."),
    (17, "The new key policy will not allow you to update the key policy in the future."),
    (18, "because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access."),
    (20, "The bucket does not allow ACLs"),
    (20, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"),
    (
        27,
        "The deployment S3 bucket you chose {} is in an AWS Region different from the action Region. You must use the same Region for your action and the deploy bucket.",
    ),
    (27, "The bucket named {} is not located in the {} AWS region"),
    (27, "The region {} specified in 'pipeline.artifactStores' is not a valid AWS Region"),
    (
        27,
        "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
    ),
    (28, "Failed replicating {} Invalid Arn"),
    (29, "Action configuration for action {} is missing required configuration {}"),
    (29, "Action configuration for action {} contains unknown configuration {}"),
    (
        30,
        "validation error detected: Value {} at 'pipeline{} failed to satisfy constraint: Member must have length greater than or equal to {}",
    ),
    (31, "Invalid value for configuration property {} 'Extract'. Valid values are true and false."),
    (32, "When the extract feature is disabled, you must provide an object."),
    (33, "The archive is malformed."),
    (34, "The file name {} contains invalid sequence: dot-dot-slash."),
    (
        45,
        "Artifact Bucket must have a KMS Key to add cross-account action {} (pipeline account: {} action account: {} Create Pipeline with 'crossAccountKeys: true'",
    ),
    (
        48,
        "Replication of artifact {} failed: Failed replicating artifact from {} in {} to {} in {} Check source and destination artifact buckets exist and {} has permission to access it.",
    ),
    (
        49,
        "An error occurred while validating the artifact bucket {} No bucket with the name {} was found. Choose a valid artifact bucket in {} or create a new artifact bucket to use in your pipeline.",
    ),
    (49, "The specified bucket does not exist"),
];
