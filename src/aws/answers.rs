//! What no service answers to a read: nothing, a page of somebody's on the way to AWS, a document cut short, or another one.
//!
//! To the SDK an empty body is a document without members, so that "no answer" would pass for "nothing is there". Only a service's
//! own code, such as `NoSuchBucketPolicy`, says that.

use super::api_error::UNUSABLE;
use super::{Account, ApiError, ApiResult};
use aws_sdk_s3::types::EncodingType;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// What an answer holds at the least, where the SDK doesn't ask for it: the names that the SDK gives service and operation, and a
/// member of a member. IAM's stand within the `…Result` of their answer.
const MEMBERS: [(&str, &str, &[&str]); 24] = [
    ("S3", "GetBucketPolicy", &["Statement"]),
    ("S3", "GetBucketEncryption", &["Rule"]),
    ("S3", "GetBucketOwnershipControls", &["Rule"]),
    ("KMS", "DescribeKey", &["KeyMetadata", "Arn"]),
    ("KMS", "GetKeyPolicy", &["Policy"]),
    ("KMS", "GetKeyRotationStatus", &["KeyRotationEnabled"]),
    ("KMS", "ListResourceTags", &["Tags"]),
    ("KMS", "ListAliases", &["Aliases"]),
    ("KMS", "ListKeys", &["Keys"]),
    ("CodePipeline", "GetPipeline", &["pipeline", "name"]),
    ("CodePipeline", "ListPipelines", &["pipelines"]),
    ("CodePipeline", "ListPipelineExecutions", &["pipelineExecutionSummaries"]),
    ("CodePipeline", "ListTagsForResource", &["tags"]),
    ("EventBridge", "DescribeRule", &["Name"]),
    ("EventBridge", "ListTargetsByRule", &["Targets"]),
    ("EventBridge", "ListRuleNamesByTarget", &["RuleNames"]),
    ("EventBridge", "ListTagsForResource", &["Tags"]),
    ("EventBridge", "ListRules", &["Rules"]),
    ("IAM", "GetRole", &["Role", "AssumeRolePolicyDocument"]),
    ("IAM", "GetPolicy", &["Policy", "DefaultVersionId"]),
    ("IAM", "GetPolicyVersion", &["PolicyVersion", "Document"]),
    ("IAM", "ListPolicyVersions", &["Versions"]),
    ("IAM", "ListRolePolicies", &["PolicyNames"]),
    ("IAM", "ListAttachedRolePolicies", &["AttachedPolicies"]),
];

/// Refuses an answer to a read that isn't the service's, before anything is taken from it.
#[derive(Debug)]
pub(super) struct OnlyAnswers;

#[dyn_dispatch_hint]
impl Intercept for OnlyAnswers {
    fn name(&self) -> &'static str {
        "OnlyAnswers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _runtime_components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        match (cfg.load::<Metadata>(), answer.body().bytes()) {
            (Some(asked), Some(body)) if answer.status().is_success() && is_read(asked.name()) => {
                check(asked.service(), asked.name(), body).map_err(Into::into)
            }
            // What is read piece by piece is the bytes of an object.
            _ => Ok(()),
        }
    }
}

/// HEAD has no body.
pub(super) fn is_read(operation: &str) -> bool {
    ["Get", "List", "Describe", "Simulate"].iter().any(|word| operation.starts_with(word))
}

/// Looks whether a body can be a service's answer.
///
/// # Errors
/// Why it can't.
fn check(service: &str, operation: &str, body: &[u8]) -> Result<(), String> {
    if body.is_empty() {
        return Err("the answer is empty".to_owned());
    }
    let text = std::str::from_utf8(body).map_err(|_| "the answer is no text".to_owned())?;
    let members = MEMBERS.iter().find(|(of, asked, _)| (*of, *asked) == (service, operation)).map_or(&[][..], |(.., members)| *members);
    let lacks = |member: &str| format!("the answer has no `{member}`");
    // A bucket's policy is JSON, whatever else S3 writes.
    if !matches!(service, "S3" | "IAM" | "STS") || operation == "GetBucketPolicy" {
        let document: Value = serde_json::from_str(text).map_err(|error| format!("the answer is no JSON: {error}"))?;
        if !document.is_object() {
            return Err("the answer is no JSON object".to_owned());
        }
        return members.iter().try_fold(&document, |at, member| at.get(*member).ok_or_else(|| lacks(member))).map(drop);
    }
    let document = roxmltree::Document::parse(text).map_err(|error| format!("the answer is no XML: {error}"))?;
    let child =
        |at: roxmltree::Node<'_, '_>, name: &str| at.children().find(|child| child.tag_name().name() == name).map(|child| child.id());
    let result = (service == "IAM").then(|| format!("{operation}Result"));
    let path = result.as_deref().into_iter().chain(members.iter().copied());
    let mut at = document.root_element();
    for member in path {
        at = child(at, member).and_then(|id| document.get_node(id)).ok_or_else(|| lacks(member))?;
    }
    Ok(())
}

/// Reads a key of a list that S3 was asked for with `encoding-type=url`: keys may hold what XML can't (S3 API reference,
/// ListObjectsV2). It encodes as a form does, a space as `+`.
pub fn decoded_key(key: &str, encoding: Option<&EncodingType>) -> String {
    match encoding {
        Some(EncodingType::Url) => percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned(),
        _ => key.to_owned(),
    }
}

fn read_document(text: &str) -> Result<Value, String> {
    match serde_json::from_str::<Value>(text) {
        Ok(document) if document.get("Statement").is_some() => Ok(document),
        Ok(_) => Err("the document has no `Statement`".to_owned()),
        Err(error) => Err(format!("the document is no JSON: {error}")),
    }
}

impl Account {
    /// Gives the error of an answer without what the service always gives.
    pub fn unusable(&self, action: &'static str, resource: &str, why: impl Into<String>) -> Box<ApiError> {
        Box::new(ApiError { is_unusable: true, ..self.refused(action, resource, UNUSABLE, &why.into()) })
    }

    /// Reads the policy document of an answer of S3's or KMS's.
    ///
    /// # Errors
    /// It isn't there, or is none.
    pub fn document(&self, action: &'static str, resource: &str, text: Option<&str>) -> ApiResult<Value> {
        let text = text.ok_or_else(|| self.unusable(action, resource, "the answer has no document"))?;
        read_document(text).map_err(|why| self.unusable(action, resource, why))
    }

    /// The same of IAM's, which are URL-encoded (facts/codepipeline.md D.1).
    ///
    /// # Errors
    /// As [`Account::document`].
    pub fn iam_document(&self, action: &'static str, resource: &str, text: Option<&str>) -> ApiResult<Value> {
        let decoded = text.map(|text| percent_decode_str(text).decode_utf8_lossy());
        self.document(action, resource, decoded.as_deref())
    }

    /// Reads an answer that was kept as it came.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn kept_json(&self, action: &'static str, resource: &str, body: &[u8]) -> ApiResult<Value> {
        serde_json::from_slice(body).map_err(|error| self.unusable(action, resource, format!("the answer is no JSON: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_service_answers_is_an_answer() {
        let role = "<GetRoleResponse><GetRoleResult><Role><AssumeRolePolicyDocument>%7B%7D</AssumeRolePolicyDocument></Role></GetRoleResult></GetRoleResponse>";
        for (service, operation, body) in [
            ("KMS", "ListKeys", r#"{"Keys": [], "Truncated": false}"#),
            ("S3", "GetBucketPolicy", r#"{"Version": "2012-10-17", "Statement": []}"#),
            ("S3", "GetBucketVersioning", "<VersioningConfiguration/>"),
            ("IAM", "GetRole", role),
            ("ECS", "DescribeTasks", "{}"),
        ] {
            assert_eq!(check(service, operation, body.as_bytes()), Ok(()), "{operation}");
        }
        for (service, operation, body, why) in [
            ("KMS", "ListKeys", "", "the answer is empty"),
            ("KMS", "ListKeys", "{}", "the answer has no `Keys`"),
            ("KMS", "ListKeys", "[]", "the answer is no JSON object"),
            ("KMS", "DescribeKey", r#"{"KeyMetadata": {}}"#, "the answer has no `Arn`"),
            ("S3", "GetBucketPolicy", "{}", "the answer has no `Statement`"),
            ("S3", "GetBucketEncryption", "<ServerSideEncryptionConfiguration/>", "the answer has no `Rule`"),
            ("IAM", "GetRole", "<GetRoleResponse><GetRoleResult/></GetRoleResponse>", "the answer has no `Role`"),
            ("IAM", "ListUserPolicies", "<Answer/>", "the answer has no `ListUserPoliciesResult`"),
        ] {
            assert_eq!(check(service, operation, body.as_bytes()), Err(why.to_owned()), "{operation}");
        }
        // Cut at the end of an element, XML has no character that is wrong.
        for (service, operation, body) in [
            ("S3", "GetBucketTagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag>"),
            ("S3", "GetBucketPolicy", "<!DOCTYPE html><html></html>"),
            ("IAM", "GetRole", "<!DOCTYPE html><html><body>Sign in<br></body></html>"),
            ("EventBridge", "ListRules", "<html></html>"),
        ] {
            let why = check(service, operation, body.as_bytes()).unwrap_err();
            assert!(why.starts_with("the answer is no "), "{operation}: {why}");
        }
    }
}
