//! A pipeline's declaration in CloudFormation's casing.

use crate::error::{Error, Result};
use serde_json::{Map, Value, json};

/// Members that CloudFormation has under the same name, but for the capital.
const MEMBERS: [&str; 24] = [
    "name",
    "roleArn",
    "artifactStore",
    "artifactStores",
    "stages",
    "executionMode",
    "pipelineType",
    "type",
    "location",
    "encryptionKey",
    "id",
    "actions",
    "actionTypeId",
    "category",
    "owner",
    "provider",
    "version",
    "runOrder",
    "configuration",
    "outputArtifacts",
    "inputArtifacts",
    "region",
    "namespace",
    "timeoutInMinutes",
];

/// Gives the properties of `AWS::CodePipeline::Pipeline` (facts A.5, C); stores are a list there, each with its region.
///
/// # Errors
/// The declaration has a member that CloudFormation doesn't know.
pub fn properties(declaration: &Value) -> Result<Map<String, Value>> {
    let Value::Object(members) = declaration else { return Err(Error::internal("a declaration that is no object")) };
    cased(members)
}

fn cased(members: &Map<String, Value>) -> Result<Map<String, Value>> {
    let mut properties = Map::new();
    for (name, value) in members {
        if !MEMBERS.contains(&name.as_str()) {
            return Err(Error::internal(format!("CloudFormation's pipeline has no member for `{name}`")));
        }
        let value = match (name.as_str(), value) {
            // The names within are the action's own.
            ("configuration", value) => value.clone(),
            ("artifactStores", Value::Object(stores)) => {
                let one = |(region, store): (&String, &Value)| Ok(json!({"Region": region, "ArtifactStore": properties_of(store)?}));
                Value::Array(stores.iter().map(one).collect::<Result<_>>()?)
            }
            // It has no say, and some tools take an empty list for a mistake.
            (_, Value::Array(list)) if list.is_empty() => continue,
            (_, value) => properties_of(value)?,
        };
        properties.insert(capital(name), value);
    }
    Ok(properties)
}

fn properties_of(value: &Value) -> Result<Value> {
    Ok(match value {
        Value::Object(members) => Value::Object(cased(members)?),
        Value::Array(list) => Value::Array(list.iter().map(properties_of).collect::<Result<_>>()?),
        other => other.clone(),
    })
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_cloudformation_lacks_is_an_error() {
        let declared = json!({"name": "p", "stages": [{"name": "s", "actions": [], "onFailure": {}}]});
        assert!(properties(&declared).is_err());
        let declared = json!({"artifactStores": {"eu-west-1": {"type": "S3"}}, "stages": [{"actions": [{"configuration": {"a": "b"}}]}]});
        let expected = json!({"ArtifactStores": [{"Region": "eu-west-1", "ArtifactStore": {"Type": "S3"}}],
            "Stages": [{"Actions": [{"Configuration": {"a": "b"}}]}]});
        assert_eq!(Value::Object(properties(&declared).unwrap()), expected);
    }
}
