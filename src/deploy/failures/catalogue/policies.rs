//! What is refused when a policy is written, and what its statements then keep out (facts E.14 to E.18, E.21).

use super::super::{Kind, Place, Row, fits};
use super::{codepipeline, iam, kms, s3};
use crate::model::Check;

const AT: &[Place] = &[Place::PolicyWrite];
const MESSAGE: &[Kind] = &[Kind::Message];
const PRINCIPAL: &str = iam!("reference_policies_elements_principal.html");
const GET_ROLE: &str =
    "GetRole of the principal that the document names: its exact ARN; a role from a moment ago becomes visible within two minutes";

pub(super) static ROWS: [Row; 6] = [
    Row {
        number: 14,
        check: Check {
            id: "XD-CP-014",
            title: "IAM doesn't know a principal of the trust policy",
            why: "the ARN lacks the role's path (/service-role/), is misspelt, is of a role or an account that is gone, or the role isn't visible yet",
            fix: "take the exact Arn from GetRole, and try again for two minutes if the role is new",
            docs: PRINCIPAL,
            article: &["A4.3"],
        },
        says: "MalformedPolicyDocument: Invalid principal in policy: \"AWS\":\"arn…\"",
        at: AT,
        kinds: MESSAGE,
        texts: &[],
        codes: &["MalformedPolicyDocument"],
        behind: &[15],
        links: &[],
        tell: GET_ROLE,
        fits: fits::silent,
    },
    Row {
        number: 15,
        check: Check {
            id: "XD-CP-015",
            title: "S3 doesn't know a principal of the bucket policy",
            why: "as with IAM; or the account of the principal hasn't enabled the opt-in region, or is of another partition",
            fix: "take the exact Arn from GetRole; enable the region in that account",
            docs: s3!("s3-bucket-user-policy-specifying-principal-intro.html"),
            article: &["A5"],
        },
        says: "MalformedPolicy: Invalid principal in policy",
        at: AT,
        kinds: MESSAGE,
        texts: &[],
        codes: &["MalformedPolicy"],
        behind: &[],
        links: &[],
        tell: GET_ROLE,
        fits: fits::silent,
    },
    Row {
        number: 16,
        check: Check {
            id: "XD-CP-016",
            title: "KMS doesn't know a principal of the key policy",
            why: "a key user or administrator doesn't exist, is misspelt, or isn't visible yet",
            fix: "take the exact Arn from GetRole, and try again for two minutes if the role is new",
            docs: kms!("key-policy-modifying-external-accounts.html"),
            article: &["A1.2", "A1.3", "A3"],
        },
        says: "MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.",
        at: AT,
        kinds: MESSAGE,
        texts: &[],
        codes: &["MalformedPolicyDocumentException"],
        behind: &[],
        links: &[],
        tell: GET_ROLE,
        fits: fits::silent,
    },
    Row {
        number: 17,
        check: Check {
            id: "XD-CP-017",
            title: "the key policy would lock everybody out",
            why: "KMS refuses a policy after which the caller could not change it again",
            fix: "keep the statement that lets the account's root use kms:*, or one for the caller with kms:PutKeyPolicy",
            docs: kms!("key-policy-default.html"),
            article: &["A1.2"],
        },
        says: "The new key policy will not allow you to update the key policy in the future.",
        at: AT,
        kinds: MESSAGE,
        texts: &[],
        codes: &["MalformedPolicyDocumentException"],
        behind: &[],
        links: &[],
        tell: "the document that was written: who may kms:PutKeyPolicy after it",
        fits: fits::silent,
    },
    Row {
        number: 18,
        check: Check {
            id: "XD-CP-018",
            title: "the bucket policy is judged public",
            why: "a statement allows `*` without a condition that fixes who it is, and BlockPublicPolicy refuses such a policy",
            fix: "name the principals, or add a condition on aws:PrincipalArn or aws:SourceAccount",
            docs: s3!("access-control-block-public-access.html"),
            article: &["A5"],
        },
        says: "AccessDenied on PutBucketPolicy; … because public policies are prevented by the BlockPublicPolicy setting",
        at: AT,
        kinds: MESSAGE,
        texts: &[r"block_?publicpolicy", r"public (bucket )?polic(y|ies)\b.{0,60}\b(blocked|prevented|not allowed)"],
        codes: &["AccessDenied"],
        behind: &[],
        links: &[],
        tell: "GetPublicAccessBlock of the bucket and the account; else it is the caller's right to s3:PutBucketPolicy",
        fits: fits::silent,
    },
    Row {
        number: 21,
        check: Check {
            id: "XD-CP-021",
            title: "an upload without the encryption header",
            why: "the artifact bucket denies uploads that don't carry x-amz-server-side-encryption: aws:kms, even where the bucket's default would encrypt them; CodePipeline sends it, other tools don't",
            fix: "send the header; leave the statement as it is",
            docs: codepipeline!("S3-artifact-encryption.html"),
            article: &["A2.2"],
        },
        says: "AccessDenied on PutObject to the artifact bucket … with an explicit deny in a resource-based policy",
        at: &[Place::Source],
        kinds: MESSAGE,
        texts: &[r"denyunencryptedobjectuploads"],
        codes: &["AccessDenied"],
        behind: &[],
        links: &["artifact-write"],
        tell: "GetBucketPolicy of the artifact bucket: DenyUnEncryptedObjectUploads, and who sent the request",
        fits: fits::unencrypted_upload,
    },
];
