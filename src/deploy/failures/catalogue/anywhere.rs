//! What shows in any place (facts E.11, E.23 to E.25, E.42, E.46, E.47).

use super::super::{Kind, Place, Row, fits};
use super::create::ACCESS_DENIED;
use super::{iam, kms, s3};
use crate::model::Check;

const AT: &[Place] = &[Place::Any];
const MESSAGE: &[Kind] = &[Kind::Message];
/// The rows behind whose texts a denial of any kind hides.
const DENIALS: &[u8] = &[2, 3, 5, 6, 8, 10, 11, 12, 13];
/// The same, and what refuses a document that names somebody who isn't there.
const REFUSALS: &[u8] = &[2, 3, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16];
/// Those of calls on buckets and keys.
const S3_DENIALS: &[u8] = &[2, 3, 5, 6, 8];

pub(super) static ROWS: [Row; 7] = [
    Row {
        number: 11,
        check: Check {
            id: "XD-CP-011",
            title: "the message names the policy that is in the way",
            why: "within an account, or within an organisation for S3, AWS says which kind of policy decided: `no identity-based policy` is the role's own, `no resource-based policy` the key's, the bucket's or the trust policy, `explicit deny in` one that holds a Deny",
            fix: "allow the call on the side that the message names, or except the caller from the Deny that it names; KMS needs both sides across accounts",
            docs: ACCESS_DENIED,
            article: &["A3", "A4", "A5", "A6"],
        },
        says: "User: arn:aws:sts::A:assumed-role/R/S is not authorized to perform: kms:Decrypt on resource: K because no resource-based policy allows … / because no identity-based policy allows …",
        at: AT,
        kinds: MESSAGE,
        texts: &[
            r"(not|n't) authorized to perform:? (kms|s3):",
            r"because no (resource|identity|session)-?(based)? polic",
            r"not authorized to perform:? (the )?(action )?kms",
        ],
        codes: &["AccessDenied", "AccessDeniedException"],
        behind: &[],
        links: &[
            "source-read",
            "source-read-version",
            "source-decrypt",
            "source-list",
            "artifact-write",
            "artifact-encrypt",
            "artifact-encrypt-parts",
            "copy-read",
            "copy-decrypt",
            "copy-write",
            "copy-encrypt",
            "deploy-read",
            "deploy-read-version",
            "deploy-decrypt",
            "deploy-describe-key",
            "output-write",
            "output-encrypt",
            "output-encrypt-dev-key",
        ],
        tell: "the message names caller, action and resource: prove that link; `no identity-based policy` is the caller's account, `no resource-based policy` the resource's",
        fits: fits::denied,
    },
    Row {
        number: 23,
        check: Check {
            id: "XD-CP-023",
            title: "an organisation's policy denies it",
            why: "a service control policy limits the caller's account, a resource control policy the resource's; whether the message says so hangs on both being of one account or organisation",
            fix: "ask who runs the organisation to except the pipeline's roles",
            docs: "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html",
            article: &["A"],
        },
        says: "AccessDenied … with an explicit deny in a service control policy / resource control policy",
        at: AT,
        kinds: MESSAGE,
        texts: &[],
        codes: &["AccessDenied", "AccessDeniedException"],
        behind: DENIALS,
        links: &[],
        tell: "the organisation's policies, which its management account can read: ListPoliciesForTarget for both accounts",
        fits: fits::organisation,
    },
    Row {
        number: 24,
        check: Check {
            id: "XD-CP-024",
            title: "a permissions boundary denies it",
            why: "a role may do what both its policies and its boundary allow",
            fix: "let the boundary allow the call too",
            docs: ACCESS_DENIED,
            article: &["A2.1", "A4.3"],
        },
        says: "AccessDenied because no permissions boundary allows … / with an explicit deny in a permissions boundary",
        at: AT,
        kinds: MESSAGE,
        texts: &[],
        codes: &["AccessDenied", "AccessDeniedException"],
        behind: DENIALS,
        links: &[],
        tell: "GetRole of both roles: PermissionsBoundary",
        fits: fits::boundary,
    },
    Row {
        number: 25,
        check: Check {
            id: "XD-CP-025",
            title: "a bucket policy asks for a network",
            why: "a statement denies what doesn't come by its aws:SourceVpce or aws:SourceIp, and CodePipeline comes by AWS's own network, whatever VPC you have",
            fix: "except the pipeline's roles from that statement by aws:PrincipalArn",
            docs: s3!("example-bucket-policies-vpc-endpoint.html"),
            article: &["A5"],
        },
        says: "AccessDenied for CodePipeline alone, while it works from the VPC",
        at: AT,
        kinds: MESSAGE,
        texts: &[],
        codes: &["AccessDenied"],
        behind: S3_DENIALS,
        links: &[],
        tell: "GetBucketPolicy of source, artifact and output bucket: a Deny on aws:SourceVpce, aws:SourceVpc or aws:SourceIp",
        fits: fits::network,
    },
    Row {
        number: 42,
        check: Check {
            id: "XD-CP-042",
            title: "a policy names a role that was deleted",
            why: "AWS keeps a principal by its unique id; when the role is deleted and made again the policy shows `AROA…` or `AIDA…`, and doesn't match the new one",
            fix: "save the policy again with the role's ARN",
            docs: iam!("reference_policies_elements_principal.html"),
            article: &["A3", "A4.3", "A5"],
        },
        says: "a policy shows AROA… or AIDA… in the place of a principal",
        at: AT,
        kinds: MESSAGE,
        texts: &[
            r"\b(principals?|polic(y|ies)|trust|statement)\b.{0,120}\ba(roa|ida)[a-z0-9]{12,}",
            r#""aws"\W{1,6}a(roa|ida)[a-z0-9]{12,}"#,
        ],
        codes: &[],
        behind: REFUSALS,
        links: &[],
        tell: "the Principal of trust, bucket and key policies: an id in the place of an ARN",
        fits: fits::dead_principal,
    },
    Row {
        number: 46,
        check: Check {
            id: "XD-CP-046",
            title: "a key is disabled or waits to be deleted",
            why: "KMS does nothing with such a key, for anybody",
            fix: "enable the key; cancel its deletion first where it has one",
            docs: kms!("key-state.html"),
            article: &["A1"],
        },
        says: "KMS DisabledException / KMSInvalidStateException; KMS.DisabledException from S3",
        at: AT,
        kinds: MESSAGE,
        texts: &[
            r"(kms\.)?disabledexception",
            r"kms\.?invalidstate",
            r"\b(kms|encryption|customer)\b.{0,80}\bkey\b.{0,120}\b(is|was) (disabled|pending|not enabled|unavailable)",
            r":key/\S+ (is|was) (disabled|pending|not enabled|unavailable)",
            r"\bpending ?(deletion|import)\b",
        ],
        codes: &["DisabledException", "KMSInvalidStateException"],
        behind: S3_DENIALS_AND_KEY,
        links: &["deploy-decrypt", "artifact-encrypt", "output-encrypt", "source-decrypt", "copy-decrypt", "copy-encrypt"],
        tell: "DescribeKey: KeyState must be Enabled",
        fits: fits::key_state,
    },
    Row {
        number: 47,
        check: Check {
            id: "XD-CP-047",
            title: "a bucket makes whoever asks pay",
            why: "S3 answers 403 to requests that don't say that they pay, and CodePipeline doesn't (not confirmed)",
            fix: "turn Requester Pays off for that bucket",
            docs: s3!("RequesterPaysBuckets.html"),
            article: &["A2.2", "A2.3"],
        },
        says: "a bare 403 on a Requester Pays bucket",
        at: AT,
        kinds: MESSAGE,
        texts: &[r"\brequester[ -]?pays?\b", r"\bx-amz-request-payer\b", r"bucket-?request-?payment"],
        codes: &["AccessDenied"],
        behind: S3_DENIALS,
        links: &[],
        tell: "GetBucketRequestPayment of the source, artifact and output bucket",
        fits: fits::requester_pays,
    },
];

/// The same, and what KMS says of a key.
const S3_DENIALS_AND_KEY: &[u8] = &[2, 3, 5, 6, 8, 10];
