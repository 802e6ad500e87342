//! What CreatePipeline and UpdatePipeline refuse (facts E.12, E.13, E.27, E.29, E.30, E.39, E.45).

use super::super::{Kind, Place, Row, fits};
use super::{codepipeline, iam};
use crate::model::Check;

const AT: &[Place] = &[Place::Create];
const MESSAGE: &[Kind] = &[Kind::Message];

pub(super) static ROWS: [Row; 7] = [
    Row {
        number: 12,
        check: Check {
            id: "XD-CP-012",
            title: "CodePipeline can't take on the service role",
            why: "the role's trust policy doesn't name codepipeline.amazonaws.com, or the role is new and hasn't settled",
            fix: "trust codepipeline.amazonaws.com; for a new role try again for three minutes",
            docs: codepipeline!("how-to-custom-role.html"),
            article: &["A2.1"],
        },
        says: "InvalidStructureException: CodePipeline is not authorized to perform AssumeRole on role R",
        at: AT,
        kinds: MESSAGE,
        texts: &[
            r"codepipeline(\.amazonaws\.com\S*)? (is not authorized|isn't authorized|can ?not|is unable)\b.{0,40}\bassume ?-?(the )?role",
        ],
        codes: &["InvalidStructureException", "PermissionError"],
        behind: &[],
        links: &["service-role"],
        tell: "GetRole of the service role: its trust policy; prove service-role; if it was made minutes ago, try again",
        fits: fits::denied,
    },
    Row {
        number: 13,
        check: Check {
            id: "XD-CP-013",
            title: "the service role can't take on the cross-account role",
            why: "the trust policy of the cross-account role names another ARN (often without /service-role/), the service role lacks sts:AssumeRole, the role is missing, a boundary or an organisation's policy is in the way, or a change hasn't settled",
            fix: "let both sides allow it: the trust policy in production and the service role's policy in development; then try again for a few minutes",
            docs: codepipeline!("pipelines-create-cross-account.html"),
            article: &["A4.3", "A6"],
        },
        says: "InvalidStructureException: S is not authorized to perform AssumeRole on role R",
        at: AT,
        kinds: MESSAGE,
        texts: &[
            r"(role|assumed-role)/\S+:? (is not|isn't) authorized to (perform:? )?assume ?role",
            // IAM's own words of any role: CodePipeline's sessions are named by a time, and its roles mostly by CodePipeline.
            r"assumed-role/\S+/\d{10,}:? (is not|isn't) authorized to perform:? sts:assumerole",
            r"role/\S*codepipeline\S* (is not|isn't) authorized to perform:? sts:assumerole",
            // Where people took the role's name out.
            r"(^|[^a-z])(arn:\S+|x{2,}\S*|\*+\S*|<\S+|\$\S+) is not authorized to perform assume ?role",
        ],
        codes: &["InvalidStructureException", "PermissionError"],
        behind: &[],
        links: &["deploy-role", "source-role"],
        tell: "GetRole of both roles: the trust policy must hold the service role's ARN with its path; prove deploy-role",
        fits: fits::denied,
    },
    Row {
        number: 27,
        check: Check {
            id: "XD-CP-027",
            title: "bucket, key and action are of different regions",
            why: "a deploy action's bucket must be in the action's region, and each of these regions needs an artifact store with a bucket and a key of its own",
            fix: "set the action's region to the bucket's, and give artifactStores an entry for it",
            docs: codepipeline!("actions-create-cross-region.html"),
            article: &["A2.5", "A2.6"],
        },
        says: "The bucket named B is not located in the 'R' AWS region; … is in an AWS Region different from the action Region; The region R specified in 'pipeline.artifactStores' is not a valid AWS Region",
        at: &[Place::Create, Place::Deploy],
        kinds: MESSAGE,
        texts: &[
            r"not located in (the )?\S+ (aws )?region",
            r"region\b.{0,20}\bdifferent (from|than)\b.{0,40}\bregion",
            r"not a valid (aws )?region",
            r"(permanentredirect|authorizationheadermalformed)",
        ],
        codes: &["ConfigurationError", "ValidationException"],
        behind: &[],
        links: &[],
        tell: "HeadBucket of the output and artifact buckets, and the action's region in GetPipeline",
        fits: fits::regions,
    },
    Row {
        number: 29,
        check: Check {
            id: "XD-CP-029",
            title: "a configuration key is missing or unknown",
            why: "keys of an action's configuration are spelt with their capitals, and CodePipeline refuses others when the pipeline is saved",
            fix: "spell the key as the action's reference does",
            docs: codepipeline!("action-reference-S3Deploy.html"),
            article: &["A2.3", "A2.5"],
        },
        says: "InvalidActionDeclarationException: … missing required configuration 'BucketName' / contains unknown configuration 'X'",
        at: AT,
        kinds: MESSAGE,
        texts: &[r"(missing|lacks?) (the )?(required|mandatory) configuration", r"(unknown|unrecognized|unsupported) configuration"],
        codes: &["InvalidActionDeclarationException"],
        behind: &[],
        links: &[],
        tell: "the message names the key",
        fits: fits::silent,
    },
    Row {
        number: 30,
        check: Check {
            id: "XD-CP-030",
            title: "the input of the call is malformed",
            why: "a value is empty, the `metadata` of GetPipeline was left in, or both artifactStore and artifactStores are there",
            fix: "take out empty values and `metadata`, and keep one of artifactStore and artifactStores",
            docs: codepipeline!("reference-pipeline-structure.html"),
            article: &["A7"],
        },
        says: "ValidationException: … failed to satisfy constraint …; Unknown parameter in input: \"metadata\"",
        at: AT,
        kinds: MESSAGE,
        texts: &[
            r"failed to satisfy constraint",
            r"unknown parameter in input\b.{0,40}\bmetadata",
            r"artifactstore\b.{0,60}\bartifactstores\b",
            r"\binvalid length for parameter\b",
            r"\bvalid min length\b",
        ],
        codes: &["ValidationException", "ParamValidationError"],
        behind: &[],
        links: &[],
        tell: "the message names the member",
        fits: fits::silent,
    },
    Row {
        number: 39,
        check: Check {
            id: "XD-CP-039",
            title: "the caller may not hand on the service role",
            why: "who creates or updates a pipeline must be allowed iam:PassRole on its service role",
            fix: "allow the caller iam:PassRole on the service role, with iam:PassedToService codepipeline.amazonaws.com",
            docs: codepipeline!("troubleshooting.html"),
            article: &["A2.1"],
        },
        says: "AccessDeniedException: U is not authorized to perform: iam:PassRole on resource: R",
        at: AT,
        kinds: MESSAGE,
        texts: &[r"\biam:passrole\b", r"\bpass(ing)? (the )?role\b"],
        codes: &["AccessDeniedException", "AccessDenied"],
        behind: &[],
        links: &[],
        tell: "it is the caller's policy, not the pipeline's: `xdeploy rights --command setup --side dev` prints what it needs",
        fits: fits::silent,
    },
    Row {
        number: 45,
        check: Check {
            id: "XD-CP-045",
            title: "CDK: a cross-account action needs a key",
            why: "CDK refuses at build time what would fail at run time as XD-CP-007: an artifact bucket without a customer managed key",
            fix: "give the pipeline's artifact bucket an encryption key, or set crossAccountKeys",
            docs: "https://github.com/aws/aws-cdk/issues/10846",
            article: &["A1"],
        },
        says: "Artifact Bucket must have a KMS Key to add cross-account action",
        at: AT,
        kinds: MESSAGE,
        texts: &[r"must have a (kms|customer\w*|encryption) key\b.{0,40}\bcross-?account"],
        codes: &[],
        behind: &[],
        links: &[],
        tell: "it comes from CDK, before AWS is asked",
        fits: fits::silent,
    },
];

/// The page about what IAM's messages say.
pub(super) const ACCESS_DENIED: &str = iam!("troubleshoot_access-denied.html");
