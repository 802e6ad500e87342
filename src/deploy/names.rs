//! The names that things get: the article's for `crossaccountdeploy`, with `-<pipeline>` for any other.

use crate::model::hex;
use crate::policy;
use crate::settings::DEFAULT_PIPELINE;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The tag that marks what xdeploy made; its value is the pipeline's name.
pub const TAG: &str = "xdeploy:pipeline";

/// The tag that says which of all pipelines of that name: roles and policies are global to an account, pipelines are not.
pub const ARN_TAG: &str = "xdeploy:pipeline-arn";

/// The tag in which a pipeline of ours remembers what starts it.
pub const DETECTION_TAG: &str = "xdeploy:change-detection";

/// The tag in which our rule remembers that setup turned the bucket's EventBridge notification on.
pub const NOTIFICATION_TAG: &str = "xdeploy:eventbridge";

/// Gives the two tags that mark what is made for a pipeline.
pub fn own_tags(pipeline_arn: &str) -> std::collections::BTreeMap<String, String> {
    let name = pipeline_arn.rsplit(':').next().unwrap_or(pipeline_arn);
    [(TAG, name), (ARN_TAG, pipeline_arn)].into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Gives the first `length` hexadecimal digits of a text's SHA-256.
pub fn short_hash(text: &str, length: usize) -> String {
    hex(Sha256::digest(text.as_bytes())).chars().take(length).collect()
}

/// Cuts a name to AWS's limit; what is cut is replaced by a hash, so that two long names stay two.
pub fn fitted(name: &str, limit: usize) -> String {
    if name.len() <= limit {
        return name.to_owned();
    }
    let kept: String = name.chars().take(limit - 9).collect();
    format!("{kept}-{}", short_hash(name, 8))
}

/// Gives an article's name for this pipeline.
pub fn for_pipeline(base: &str, pipeline: &str, limit: usize) -> String {
    if pipeline == DEFAULT_PIPELINE { base.to_owned() } else { fitted(&format!("{base}-{pipeline}"), limit) }
}

/// Gives the service role's name as the console makes it: cut at 64 (facts/codepipeline.md B.1).
pub fn service_role(region: &str, pipeline: &str) -> String {
    format!("AWSCodePipelineServiceRole-{region}-{pipeline}").chars().take(64).collect()
}

/// Gives the name of EventBridge's role (facts B.3).
pub fn event_role(region: &str, pipeline: &str) -> String {
    fitted(&format!("cwe-role-{region}-{pipeline}"), 64)
}

/// Gives the rule's name; a rule may not hold the `@` that a pipeline may.
pub fn event_rule(pipeline: &str) -> String {
    let plain = pipeline.replace('@', "-");
    let name = format!("codepipeline-{plain}-source");
    if plain == pipeline { fitted(&name, 64) } else { fitted(&format!("{name}-{}", short_hash(pipeline, 8)), 64) }
}

/// The inline policy in which a service role gets ours beside its own.
pub fn inline_name(pipeline: &str) -> String {
    fitted(&format!("{INLINE}{pipeline}"), 128)
}

const INLINE: &str = "xdeploy-";

/// Says whether an inline policy is one that a service role got from xdeploy, for whatever pipeline.
pub fn is_inline_name(name: &str) -> bool {
    name.starts_with(INLINE)
}

/// The inline policy of EventBridge's role, with the console's name (facts B.3).
pub fn event_inline_name(region: &str, pipeline: &str) -> String {
    fitted(&format!("start-pipeline-execution-{region}-{pipeline}"), 128)
}

/// Gives the beginning of the Sids of a pipeline's statements: letters and digits only, one for each pipeline.
pub fn sid_prefix(pipeline: &str) -> String {
    let plain: String = pipeline.chars().filter(char::is_ascii_alphanumeric).collect();
    if plain == pipeline { format!("Xdeploy{plain}") } else { format!("Xdeploy{plain}{}", short_hash(pipeline, 8)) }
}

/// The statements that we write into documents that others write into as well; none ends in another, so that each Sid is
/// one pipeline's.
pub const STATEMENTS: [&str; 14] = [
    "KeyAdministrators",
    "KeyUsers",
    "KeyGrants",
    "KeyServiceUse",
    "KeyServiceDescribe",
    "KeyProductionDecrypt",
    "KeyProductionDescribe",
    "KeyProductionEncrypt",
    "ArtifactObjects",
    "ArtifactList",
    "ArtifactRead",
    "InputKey",
    "OutputKey",
    "Trust",
];

/// Those of a store's key: two of the article's, five of least privilege. What of them isn't wanted goes.
pub const OF_THE_KEY: [&str; 7] = [
    "KeyUsers",
    "KeyGrants",
    "KeyServiceUse",
    "KeyServiceDescribe",
    "KeyProductionDecrypt",
    "KeyProductionDescribe",
    "KeyProductionEncrypt",
];

/// Those of an artifact bucket: two of the article's, one of least privilege. What of them isn't wanted goes.
pub const OF_THE_BUCKET: [&str; 3] = ["ArtifactObjects", "ArtifactList", "ArtifactRead"];

/// Those that only least privilege writes: where one of them is, the set-up has that style.
pub const OF_LEAST_PRIVILEGE: [&str; 6] =
    ["KeyServiceUse", "KeyServiceDescribe", "KeyProductionDecrypt", "KeyProductionDescribe", ENCRYPT_IN_KEY, "ArtifactRead"];

/// The key's statement that only `--deploy-encrypts-with-dev-key` writes.
pub const ENCRYPT_IN_KEY: &str = "KeyProductionEncrypt";

/// The statement of A4.1's policy that only least privilege writes.
pub const DEPLOY_OBJECTS: &str = "DeployObjects";

/// The statement of A4.2's policy that only least privilege writes.
pub const READ_ARTIFACTS: &str = "ReadArtifacts";

/// The statement of A4.2's policy that only `--deploy-encrypts-with-dev-key` writes.
pub const ENCRYPT_WITH_ARTIFACT_KEY: &str = "EncryptWithArtifactKey";

/// Lists all Sids that are a pipeline's own.
pub fn own_sids(pipeline: &str) -> std::collections::BTreeSet<String> {
    let prefix = sid_prefix(pipeline);
    STATEMENTS.iter().map(|what| format!("{prefix}{what}")).collect()
}

/// Says whether a Sid is one that xdeploy writes, for whatever pipeline.
pub fn is_xdeploy_sid(sid: &str) -> bool {
    sid.strip_prefix("Xdeploy").is_some_and(|rest| STATEMENTS.iter().any(|what| rest.len() > what.len() && rest.ends_with(what)))
}

/// Gives a document without any pipeline's statements of ours: what others wrote.
///
/// A statement of another pipeline doesn't count as somebody else's, since it goes when that pipeline goes.
pub fn by_others(document: &Value) -> Value {
    let ours = policy::sids(document).into_iter().filter(|sid| is_xdeploy_sid(sid)).map(str::to_owned).collect();
    policy::without_statements(document, &ours)
}

/// Gives a document without the statements of other pipelines of ours.
pub fn without_other_pipelines(document: &Value, pipeline: &str) -> Value {
    let own = own_sids(pipeline);
    let others = policy::sids(document).into_iter().filter(|sid| is_xdeploy_sid(sid) && !own.contains(*sid)).map(str::to_owned).collect();
    policy::without_statements(document, &others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_article_s_pipeline_has_the_article_s_names() {
        assert_eq!(for_pipeline("prods3role", "crossaccountdeploy", 64), "prods3role");
        assert_eq!(for_pipeline("prods3role", "web", 64), "prods3role-web");
        assert_eq!(service_role("us-east-1", "crossaccountdeploy"), "AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy");
        let cut = service_role("us-east-1", "containers-workshop-pipeline");
        assert_eq!(cut, "AWSCodePipelineServiceRole-us-east-1-containers-workshop-pipelin");
        assert_eq!(cut.len(), 64);
    }

    #[test]
    fn long_names_stay_different_and_within_the_limit() {
        let (one, two) = ("a".repeat(99) + "b", "a".repeat(99) + "c");
        assert_ne!(for_pipeline("prods3role", &one, 64), for_pipeline("prods3role", &two, 64));
        assert_eq!(for_pipeline("prods3role", &one, 64).len(), 64);
        assert_ne!(event_rule(&one), event_rule(&two));
        assert!(event_rule("a@b").chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)));
        assert_ne!(event_rule("a@b"), event_rule("a-b"));
    }

    #[test]
    fn sids_hold_letters_and_digits_and_belong_to_one_pipeline() {
        assert_eq!(sid_prefix("web"), "Xdeployweb");
        assert_ne!(sid_prefix("we-b"), sid_prefix("web"));
        assert_ne!(sid_prefix("we-b"), sid_prefix("we.b"));
        assert!(sid_prefix("a.b@c-d_e").chars().all(|c| c.is_ascii_alphanumeric()));
        assert!(own_sids("web").iter().all(|sid| is_xdeploy_sid(sid)));
        for one in STATEMENTS {
            assert!(STATEMENTS.iter().all(|other| *other == one || !other.ends_with(one)), "{one}");
        }
        assert!([&OF_THE_KEY[..], &OF_THE_BUCKET, &OF_LEAST_PRIVILEGE].concat().iter().all(|what| STATEMENTS.contains(what)));
        assert!(!is_xdeploy_sid("XdeployKeyUsersOfSomebody") && !is_xdeploy_sid("KeyUsers"));
    }
}
