//! AWS's quotas of what a plan writes, each with the page that states it.
//!
//! KMS: <https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html>;
//! IAM: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>;
//! S3: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html>;
//! EventBridge: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>;
//! CodePipeline: <https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html>.

/// The bytes of a key policy (KMS); nobody can raise it.
pub const KEY_POLICY: usize = 32_768;

/// The bytes of a bucket policy without white space that S3 takes for certain: it counts its own form of it, which nobody else can
/// compute (S3: 20 KB; facts/actions.md D).
pub const BUCKET_POLICY: usize = 20_480;

/// The characters of a managed policy; white space is free (IAM).
pub const MANAGED_POLICY: usize = 6_144;

/// The characters of all inline policies of a role together; white space is free (IAM).
pub const INLINE_POLICIES: usize = 10_240;

/// The versions of a managed policy (IAM).
pub const POLICY_VERSIONS: usize = 5;

/// A quota that AWS raises on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adjustable {
    /// What every account has.
    pub default: usize,
    /// What it can be raised to.
    pub most: usize,
}

/// The characters of a role's trust policy (IAM).
pub const TRUST_POLICY: Adjustable = Adjustable { default: 2_048, most: 4_096 };

/// The managed policies that are attached to a role (IAM).
pub const ATTACHED_POLICIES: Adjustable = Adjustable { default: 10, most: 20 };

/// The roles of an account (IAM).
pub const ROLES: Adjustable = Adjustable { default: 1_000, most: 5_000 };

/// The customer managed policies of an account (IAM).
pub const POLICIES: Adjustable = Adjustable { default: 1_500, most: 5_000 };

/// The rules of an event bus where nobody raised it (EventBridge).
pub const RULES: usize = 300;

/// The pipelines of a region where nobody raised it (CodePipeline).
pub const PIPELINES: usize = 1_000;

/// Counts what IAM's quotas count: white space is free.
pub fn characters(text: &str) -> usize {
    text.chars().filter(|character| !character.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::characters;

    #[test]
    fn white_space_is_free_also_within_texts() {
        assert_eq!(characters("{\"Sid\": \"a b\",\n\t\"Id\":\"é\"}"), "{\"Sid\":\"ab\",\"Id\":\"é\"}".chars().count());
    }
}
