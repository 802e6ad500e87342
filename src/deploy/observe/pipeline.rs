//! Reads pipelines as they come over the wire, and their executions.

use crate::aws::raw::KeepBody;
use crate::aws::{Account, ApiResult, present};
use crate::deploy::snapshot::{PipelineFound, Tags};

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
    let whole = dev.kept_json("codepipeline:GetPipeline", &arn, &body.take())?;
    let disabled = whole.pointer("/metadata/pollingDisabledAt").is_some_and(|at| !at.is_null());
    let lacks = || dev.unusable("codepipeline:GetPipeline", &arn, "the answer has no pipeline");
    let declaration = whole.get("pipeline").cloned().ok_or_else(lacks)?;
    Ok(Some(PipelineFound { arn, declaration, tags: Tags::new(), running: Vec::new(), polling_disabled: disabled }))
}

pub(super) async fn complete_pipeline(dev: &Account, region: &str, mut found: PipelineFound) -> ApiResult<PipelineFound> {
    let name = found.arn.rsplit(':').next().unwrap_or_default().to_owned();
    (found.tags, found.running) = tokio::try_join!(pipeline_tags(dev, region, &name), running_executions(dev, region, &name))?;
    Ok(found)
}

pub(super) async fn pipeline_tags(dev: &Account, region: &str, name: &str) -> ApiResult<Tags> {
    let arn = format!("arn:{}:codepipeline:{region}:{}:{name}", dev.partition, dev.id);
    let (mut found, mut token) = (Tags::new(), None);
    loop {
        let request = dev.codepipeline(region).list_tags_for_resource().resource_arn(&arn).set_next_token(token).send();
        let page = dev.call("codepipeline:ListTagsForResource", &arn, request).await?;
        found.extend(page.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())));
        token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(found);
        }
    }
}

/// How many pages of executions are looked through, 100 each, the newest first: what still runs is not far down.
const EXECUTION_PAGES: usize = 5;

/// Lists executions that an update would stop.
///
/// # Errors
/// The list can't be read.
pub async fn running_executions(dev: &Account, region: &str, pipeline: &str) -> ApiResult<Vec<String>> {
    use aws_sdk_codepipeline::types::PipelineExecutionStatus as Status;
    let arn = format!("arn:{}:codepipeline:{region}:{}:{pipeline}", dev.partition, dev.id);
    let client = dev.codepipeline(region);
    let mut running = Vec::new();
    let mut token = None;
    for _ in 0..EXECUTION_PAGES {
        let request = client.list_pipeline_executions().pipeline_name(pipeline).max_results(100).set_next_token(token);
        let page = dev.call("codepipeline:ListPipelineExecutions", &arn, request.send()).await?;
        let runs = page.pipeline_execution_summaries().iter();
        let runs = runs.filter(|run| matches!(run.status(), Some(Status::InProgress | Status::Stopping)));
        running.extend(runs.filter_map(|run| run.pipeline_execution_id()).map(str::to_owned));
        token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    Ok(running)
}
