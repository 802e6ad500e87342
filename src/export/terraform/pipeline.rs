//! A pipeline's declaration as the blocks of `aws_codepipeline`.

use super::hcl::References;
use crate::error::{Error, Result};
use hcl::structure::{Block, BlockBuilder};
use serde_json::Value;

/// Members of an action: CodePipeline's name and the provider's.
const OF_AN_ACTION: [(&str, &str); 8] = [
    ("/name", "name"),
    ("/actionTypeId/category", "category"),
    ("/actionTypeId/owner", "owner"),
    ("/actionTypeId/provider", "provider"),
    ("/actionTypeId/version", "version"),
    ("/runOrder", "run_order"),
    ("/region", "region"),
    ("/namespace", "namespace"),
];

/// Members of a pipeline.
const OF_A_PIPELINE: [(&str, &str); 4] =
    [("/name", "name"), ("/roleArn", "role_arn"), ("/executionMode", "execution_mode"), ("/pipelineType", "pipeline_type")];

fn with_members(block: BlockBuilder, references: &References, value: &Value, members: &[(&str, &str)]) -> BlockBuilder {
    members.iter().fold(block, |block, (from, to)| match value.pointer(from) {
        Some(value) => block.add_attribute((*to, references.value(value))),
        None => block,
    })
}

fn store(references: &References, store: &Value, region: Option<&str>) -> Block {
    let block = Block::builder("artifact_store");
    let block = with_members(block, references, store, &[("/location", "location"), ("/type", "type")]);
    let block = match region {
        Some(region) => block.add_attribute(("region", region)),
        None => block,
    };
    let key = Block::builder("encryption_key");
    block.add_block(with_members(key, references, store, &[("/encryptionKey/id", "id"), ("/encryptionKey/type", "type")]).build()).build()
}

fn action(references: &References, action: &Value) -> Block {
    let block = with_members(Block::builder("action"), references, action, &OF_AN_ACTION);
    let block = with_members(block, references, action, &[("/roleArn", "role_arn"), ("/configuration", "configuration")]);
    [("inputArtifacts", "input_artifacts"), ("outputArtifacts", "output_artifacts")]
        .into_iter()
        .fold(block, |block, (from, to)| {
            let names: Vec<Value> =
                action.get(from).and_then(Value::as_array).into_iter().flatten().filter_map(|one| one.get("name").cloned()).collect();
            if names.is_empty() { block } else { block.add_attribute((to, references.value(&Value::Array(names)))) }
        })
        .build()
}

/// Adds what a declaration says to a block.
///
/// # Errors
/// It has no stages.
pub(super) fn declared(block: BlockBuilder, references: &References, declaration: &Value) -> Result<BlockBuilder> {
    let mut block = with_members(block, references, declaration, &OF_A_PIPELINE);
    if let Some(one) = declaration.get("artifactStore") {
        block = block.add_block(store(references, one, None));
    }
    for (region, one) in declaration.get("artifactStores").and_then(Value::as_object).into_iter().flatten() {
        block = block.add_block(store(references, one, Some(region)));
    }
    let stages = declaration.get("stages").and_then(Value::as_array).ok_or_else(|| Error::internal("a pipeline without stages"))?;
    for stage in stages {
        let mut one = with_members(Block::builder("stage"), references, stage, &[("/name", "name")]);
        for declared in stage.get("actions").and_then(Value::as_array).into_iter().flatten() {
            one = one.add_block(action(references, declared));
        }
        block = block.add_block(one.build());
    }
    Ok(block)
}
