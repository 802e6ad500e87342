//! Reads pipelines as they come over the wire, and their executions.

use crate::aws::raw::KeepBody;
use crate::aws::{Account, ApiResult, present};
use crate::deploy::snapshot::{PipelineFound, Tags};
use serde_json::Value;

/// Reads a pipeline's declaration as it came over the wire; its tags and runs are left for [`complete_pipeline`].
pub(super) async fn read_pipeline(dev: &Account, region: &str, name: &str) -> ApiResult<Option<PipelineFound>> {
    read_pipeline_version(dev, region, name, None).await
}

/// Reads one version of a pipeline's declaration, or the newest.
///
/// # Errors
/// Anything but "there is no such pipeline or version".
pub async fn read_pipeline_version(dev: &Account, region: &str, name: &str, version: Option<i32>) -> ApiResult<Option<PipelineFound>> {
    let body = KeepBody::default();
    let arn = format!("arn:{}:codepipeline:{region}:{}:{name}", dev.partition, dev.id);
    let request = dev.codepipeline(region).get_pipeline().name(name).set_version(version).customize().interceptor(body.clone());
    let answer = dev.call("codepipeline:GetPipeline", &arn, request.send()).await;
    if present(answer, &["PipelineNotFoundException", "PipelineVersionNotFoundException"])?.is_none() {
        return Ok(None);
    }
    let whole: Value = serde_json::from_slice(&body.take()).unwrap_or_default();
    let disabled = whole.pointer("/metadata/pollingDisabledAt").is_some_and(|at| !at.is_null());
    let declaration = whole.get("pipeline").cloned().unwrap_or_default();
    Ok(Some(PipelineFound { arn, declaration, tags: Tags::new(), running: Vec::new(), polling_disabled: disabled }))
}

pub(super) async fn complete_pipeline(dev: &Account, region: &str, mut found: PipelineFound) -> ApiResult<PipelineFound> {
    let name = found.arn.rsplit(':').next().unwrap_or_default().to_owned();
    (found.tags, found.running) = tokio::try_join!(pipeline_tags(dev, region, &name), running_executions(dev, region, &name))?;
    Ok(found)
}

pub(super) async fn pipeline_tags(dev: &Account, region: &str, name: &str) -> ApiResult<Tags> {
    let arn = format!("arn:{}:codepipeline:{region}:{}:{name}", dev.partition, dev.id);
    let request = dev.codepipeline(region).list_tags_for_resource().resource_arn(&arn).send();
    let tags = dev.call("codepipeline:ListTagsForResource", &arn, request).await?;
    Ok(tags.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect())
}

/// Lists executions that an update would stop.
///
/// # Errors
/// The list can't be read.
pub async fn running_executions(dev: &Account, region: &str, pipeline: &str) -> ApiResult<Vec<String>> {
    use aws_sdk_codepipeline::types::PipelineExecutionStatus as Status;
    let arn = format!("arn:{}:codepipeline:{region}:{}:{pipeline}", dev.partition, dev.id);
    let client = dev.codepipeline(region);
    let list = dev
        .call("codepipeline:ListPipelineExecutions", &arn, client.list_pipeline_executions().pipeline_name(pipeline).max_results(50).send())
        .await?;
    let running =
        list.pipeline_execution_summaries().iter().filter(|run| matches!(run.status(), Some(Status::InProgress | Status::Stopping)));
    Ok(running.filter_map(|run| run.pipeline_execution_id()).map(str::to_owned).collect())
}
