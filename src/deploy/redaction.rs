//! What is left out of all that is written down or printed: values that may be other people's secrets.
//!
//! One rule for the hand-off, saved plans, JSON documents, reports and exports. Names, places and grants are told; values of
//! conditions that are passwords to some (`aws:Referer`, `sts:ExternalId`), of environment variables, of pipeline variables, of an
//! action's configuration that isn't known to hold none, tokens, and whatever looks like a secret are not.

use super::failures::{self, SECRET_LENGTH};
use crate::model::hex;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What stands in the place of a value that isn't told.
pub const REDACTED: &str = "(withheld)";

/// How it begins where the value's hash is told, so that a change of it is seen and it can be put back.
const HASHED: &str = "(withheld, sha256 ";

/// Condition keys whose values are names and places. Those of any other, such as `aws:Referer` or `sts:ExternalId`, are passwords
/// to some; no call of a pipeline sends them, so that the verdict is the same without them.
const TOLD_CONDITIONS: [&str; 17] = [
    "aws:source",
    "aws:principal",
    "aws:resource",
    "aws:called",
    "aws:via",
    "aws:securetransport",
    "aws:requestedregion",
    "aws:multifactor",
    "aws:currenttime",
    "aws:epochtime",
    "aws:userid",
    "kms:viaservice",
    "kms:calleraccount",
    "kms:grant",
    "kms:encryptioncontext:aws:s3:arn",
    "s3:",
    "iam:",
];

/// Members of an action's configuration that policies and rules are written from; they are told as they are.
pub const NAMES_OF_S3: [&str; 8] =
    ["S3Bucket", "S3ObjectKey", "PollForSourceChanges", "BucketName", "Extract", "ObjectKey", "CannedACL", "KMSEncryptionKeyARN"];

/// Other members that name a thing or say how an action works, by AWS's action reference. What isn't here may be a secret.
const NAMES_OF_OTHERS: [&str; 43] = [
    "ActionMode",
    "AppSpecTemplateArtifact",
    "AppSpecTemplatePath",
    "ApplicationName",
    "BatchEnabled",
    "Branch",
    "BranchName",
    "CacheControl",
    "Capabilities",
    "ChangeSetName",
    "ClusterName",
    "CombineArtifacts",
    "ConnectionArn",
    "DeploymentGroupName",
    "DeploymentTimeout",
    "DetectChanges",
    "EnvironmentName",
    "FileName",
    "FullRepositoryId",
    "FunctionName",
    "ImageDetailPath",
    "ImageTag",
    "NotificationArn",
    "OutputArtifactFormat",
    "OutputFileName",
    "Owner",
    "PipelineArn",
    "PipelineName",
    "PrimarySource",
    "ProjectName",
    "Repo",
    "RepositoryName",
    "RoleArn",
    "ServiceName",
    "StackInstances",
    "StackName",
    "StackSetName",
    "StateMachineArn",
    "TaskDefinitionTemplateArtifact",
    "TaskDefinitionTemplatePath",
    "TemplateConfiguration",
    "TemplatePath",
    "ServerEndpoint",
];

/// Members of an event rule's target that say what it starts, and how often.
const NAMES_OF_TARGETS: [&str; 6] = ["Id", "Arn", "RoleArn", "InputPath", "DeadLetterConfig", "RetryPolicy"];

/// Members whose values are names: policies, titles and comparisons are made from them.
const NAMES: [&str; 19] = [
    "name",
    "asked",
    "title",
    "resource",
    "lane",
    "arn",
    "bucket",
    "key",
    "file",
    "region",
    "alias",
    "Sid",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Principal",
    "NotPrincipal",
    "notification",
];

/// What stands in a name that says that a secret follows.
const SECRET_NAMES: [&str; 8] = ["token", "secret", "password", "passwd", "apikey", "api_key", "credential", "privatekey"];

/// Takes values out of documents.
#[derive(Debug)]
pub struct Redaction {
    /// What makes the hashes of one pipeline others than those of the next; none where no hash is told.
    salt: Option<String>,
    /// What was taken out, by what stands in its place.
    taken: BTreeMap<String, Value>,
}

impl Redaction {
    /// Leaves [`REDACTED`] in the place of each value.
    pub fn without_hashes() -> Redaction {
        Redaction { salt: None, taken: BTreeMap::new() }
    }

    /// Leaves a hash in the place of each value. A short value can be guessed from it, by trying.
    pub fn with_hashes(salt: impl Into<String>) -> Redaction {
        Redaction { salt: Some(salt.into()), taken: BTreeMap::new() }
    }

    /// Gives what was taken out, by what stands in its place.
    pub fn taken(self) -> BTreeMap<String, Value> {
        self.taken
    }

    /// Takes out of a document what may be a secret.
    pub fn redact(&mut self, value: &mut Value) {
        match value {
            Value::Object(members) => self.members(members),
            Value::Array(list) => list.iter_mut().for_each(|value| self.redact(value)),
            Value::String(text) if looks_secret(text) => self.take(value),
            _ => {}
        }
    }

    fn members(&mut self, members: &mut Map<String, Value>) {
        for (name, value) in members.iter_mut() {
            match (name.as_str(), value) {
                ("Condition", Value::Object(operators)) => operators.values_mut().for_each(|operator| self.conditions(operator)),
                ("configuration", Value::Object(configuration)) => self.configuration(configuration),
                ("environmentVariables", Value::Array(variables)) => variables.iter_mut().for_each(|variable| self.variable(variable)),
                ("variables", Value::Array(variables)) => {
                    variables.iter_mut().filter_map(|variable| variable.get_mut("defaultValue")).for_each(|value| self.take(value));
                }
                ("targets", Value::Array(targets)) => targets.iter_mut().for_each(|target| self.target(target)),
                ("target", target) => self.target(target),
                (name, value) if value.is_string() && says_secret(name) => self.take(value),
                (name, value) if value.is_string() && NAMES.contains(&name) => {}
                (_, value) => self.redact(value),
            }
        }
    }

    fn conditions(&mut self, operator: &mut Value) {
        for (key, value) in operator.as_object_mut().into_iter().flatten() {
            let name = key.to_ascii_lowercase();
            // Tags may say anything.
            let is_told = TOLD_CONDITIONS.iter().any(|told| name.starts_with(told)) && !name.contains("tag/");
            // Whether something is there is no secret, and decides.
            if !is_told && !matches!(value.as_str(), Some("true" | "false")) && !value.is_boolean() {
                self.take(value);
            } else {
                self.redact(value);
            }
        }
    }

    fn configuration(&mut self, members: &mut Map<String, Value>) {
        for (name, value) in members.iter_mut() {
            match name.as_str() {
                name if NAMES_OF_S3.contains(&name) => {}
                name if NAMES_OF_OTHERS.contains(&name) => self.redact(value),
                "EnvironmentVariables" if only_refers(value) => {}
                _ => self.take(value),
            }
        }
    }

    fn variable(&mut self, variable: &mut Value) {
        if !is_reference(variable)
            && let Some(value) = variable.get_mut("value")
        {
            self.take(value);
        }
    }

    fn target(&mut self, target: &mut Value) {
        for (name, value) in target.as_object_mut().into_iter().flatten() {
            match name.as_str() {
                name if NAMES_OF_TARGETS.contains(&name) => {}
                // Ours says which version to deploy (facts A.5); others may say anything.
                "InputTransformer" if value.to_string().contains("sourceRevisions") => {}
                _ => self.take(value),
            }
        }
    }

    /// Takes a value out, whatever it is; what stands in the place of one stays.
    fn take(&mut self, value: &mut Value) {
        if value.is_null() || value.as_str().is_some_and(|text| text.is_empty() || text == REDACTED || is_hash(text)) {
            return;
        }
        let Some(salt) = &self.salt else {
            *value = REDACTED.into();
            return;
        };
        let hash = Sha256::digest(format!("{salt}\n{value}").as_bytes());
        let place = format!("{HASHED}{})", hex(hash));
        self.taken.insert(place.clone(), std::mem::replace(value, place.into()));
    }
}

/// Returns true for a text that stands in the place of a value, with its hash.
fn is_hash(text: &str) -> bool {
    let hash = text.strip_prefix(HASHED).and_then(|rest| rest.strip_suffix(')'));
    hash.is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// Returns true if a value that is told by its hash stands anywhere in a text.
pub fn holds_hash(text: &str) -> bool {
    text.contains(HASHED)
}

/// Puts back what was taken out and is known.
pub fn put_back(value: &mut Value, taken: &BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|value| put_back(value, taken)),
        Value::Array(list) => list.iter_mut().for_each(|value| put_back(value, taken)),
        Value::String(text) => {
            if let Some(known) = taken.get(text.as_str()) {
                value.clone_from(known);
            }
        }
        _ => {}
    }
}

/// Gives a document without what may be a secret, and without hashes: to be printed.
pub fn shown(value: &Value) -> Value {
    let mut value = value.clone();
    Redaction::without_hashes().redact(&mut value);
    value
}

/// What stands in a text that may hold a secret, in lower case; looking for it is cheaper than for the secret.
const SIGNS: [&str; 14] =
    ["signature", "secret", "token", "passw", "apikey", "api_key", "api-key", "bearer", "basic", "://", "private key", "eyj", "gh", "xox"];

fn looks_secret(text: &str) -> bool {
    if text.starts_with("arn:") || text.starts_with('<') {
        return false;
    }
    let small = text.to_ascii_lowercase();
    (text.len() >= SECRET_LENGTH || SIGNS.iter().any(|sign| small.contains(sign))) && failures::looks_secret(text)
}

fn says_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|word| name.contains(word))
}

/// Returns true for a variable whose value is the name of a parameter or of a secret, not the secret.
fn is_reference(variable: &Value) -> bool {
    matches!(variable.get("type").and_then(Value::as_str), Some("PARAMETER_STORE" | "SECRETS_MANAGER"))
}

/// Returns true for a text with CodeBuild's variables that all name where their value is.
fn only_refers(value: &Value) -> bool {
    let variables: Option<Vec<Value>> = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    variables.is_some_and(|variables| variables.iter().all(is_reference))
}
