//! A8: upload, find the execution of exactly this upload, follow it, and see what arrived and who owns it.

use super::chain::Producer;
use super::declaration::{self, Place};
use super::names::short_hash;
use super::observe::{self, SOURCE_SHA256};
use super::zipfile;
use crate::aws::{Account, Accounts, ApiResult, present, unhurried};
use crate::error::{Error, Kind, Result};
use crate::settings::Settings;
use aws_sdk_codepipeline::types::{
    ActionExecutionDetail, PipelineExecutionStatus as Status, PipelineExecutionSummary, SourceRevisionOverride, SourceRevisionType,
};
use aws_sdk_s3::primitives::ByteStream;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How long an event may take to start the pipeline.
const EVENT_PATIENCE: Duration = Duration::from_secs(20);
/// How long polling may take to: CodePipeline looks about once a minute (not in the facts), and the execution must show itself.
const POLL_PATIENCE: Duration = Duration::from_secs(90);
/// How long an execution may run without saying which version it took, before another is started beside it: its source action
/// has yet to copy the artifact (not in the facts).
const REVISION_LIMIT: Duration = Duration::from_secs(120);

/// What is released.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A small website that xdeploy makes itself.
    Sample(Vec<u8>),
}

/// Where a release goes, read from the pipeline itself.
#[derive(Debug, Clone)]
pub struct Route {
    /// The pipeline's name.
    pub pipeline: String,
    /// Its region.
    pub home: String,
    /// The source action's name.
    pub source_action: String,
    /// The source bucket.
    pub input_bucket: String,
    /// The source object.
    pub object_key: String,
    /// The deploy action's name.
    pub deploy_action: String,
    /// The deploy bucket.
    pub output_bucket: String,
    /// Its region.
    pub target_region: String,
    /// The zip is extracted.
    pub extract: bool,
    /// What is wrong with the action's `Extract`, at which it fails.
    pub wrong_extract: Option<String>,
    /// Why what is deployed isn't what was uploaded: another action makes the artifact. `None` where it is.
    pub made_of_it: Option<String>,
    /// The prefix, or with `extract` off the key, as configured.
    pub path: Option<String>,
    /// The artifact stores' keys.
    pub store_keys: Vec<String>,
    /// CodePipeline itself looks for new versions (facts A.3).
    pub polls: bool,
    /// It can be started with a given source version (facts A.5).
    pub v2: bool,
}

/// Reads the pipeline and finds the way through it.
///
/// # Errors
/// There is no such pipeline, or no S3 source and deploy action to choose from.
pub async fn route(accounts: &Accounts, settings: &Settings) -> Result<Route> {
    let dev = &accounts.dev;
    let home = settings.region.as_ref().map_or(dev.region.as_str(), |region| region.as_str()).to_owned();
    let name = settings.pipeline.as_str();
    let found = observe::read_pipeline_version(dev, &home, name, None).await?.ok_or_else(|| {
        Error::failed(format!("there is no pipeline {name} in {home} of account {}", dev.id))
            .hint("make it with `xdeploy setup`, or name another with `--pipeline` or `--region`")
    })?;
    let pipeline = &found.declaration;
    let bucket = settings.output_bucket.as_ref().map(|bucket| bucket.as_str());
    let place = declaration::choose_deploy(pipeline, bucket, settings.stage.as_deref(), settings.action.as_deref())?;
    let deploy = declaration::action_at(pipeline, place).ok_or_else(|| Error::internal("the chosen action is gone"))?;
    let (source_place, source) = source(settings, pipeline, deploy)?;
    let extract = declaration::extract(deploy);
    let text = |action: &Value, key: &str| declaration::configured(action, key).map(str::to_owned);
    let stores: Vec<&Value> = match pipeline.get("artifactStores") {
        Some(Value::Object(stores)) => stores.values().collect(),
        _ => pipeline.get("artifactStore").into_iter().collect(),
    };
    Ok(Route {
        pipeline: name.to_owned(),
        source_action: declaration::name_of(source).to_owned(),
        input_bucket: text(source, "S3Bucket").unwrap_or_default(),
        object_key: text(source, "S3ObjectKey").unwrap_or_default(),
        deploy_action: declaration::name_of(deploy).to_owned(),
        output_bucket: text(deploy, "BucketName").unwrap_or_default(),
        target_region: declaration::region_of(deploy, &home).to_owned(),
        extract: extract.is_wide(),
        wrong_extract: extract.wrong(),
        made_of_it: Producer::find(pipeline, deploy, source_place, &home).unjudged(),
        path: text(deploy, "ObjectKey"),
        store_keys: stores.into_iter().filter_map(declaration::store_key).map(str::to_owned).collect(),
        polls: declaration::polls(source),
        v2: declaration::is_v2(pipeline),
        home,
    })
}

fn source<'a>(settings: &Settings, pipeline: &'a Value, deploy: &Value) -> Result<(Place, &'a Value)> {
    let fits =
        |action: &Value, key: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| declaration::configured(action, key) == Some(wanted));
    let fitting: Vec<_> = declaration::sources(pipeline)
        .into_iter()
        .filter(|(_, action)| {
            fits(action, "S3Bucket", settings.input_bucket.as_ref().map(|bucket| bucket.as_str()))
                && fits(action, "S3ObjectKey", settings.object_key.as_ref().map(|key| key.as_str()))
        })
        .collect();
    let fitting = declaration::narrowed(fitting, deploy);
    match fitting.as_slice() {
        [one] => Ok(*one),
        [] => Err(Error::refused(format!("pipeline {} has no such S3 source action", settings.pipeline))
            .hint("leave `--input-bucket` and `--object-key` out to take the one that it has")),
        _ => Err(Error::refused(format!("pipeline {} has several S3 source actions", settings.pipeline))
            .hint("say which with `--input-bucket` and `--object-key`")),
    }
}

impl Route {
    /// Says whether CodePipeline puts a time or an id into the keys that it writes, so that nobody knows them before (facts A.4).
    pub fn keys_vary(&self) -> bool {
        self.path.as_ref().is_some_and(|path| ["{datetime}", "{uuid}"].iter().any(|variable| path.contains(variable)))
    }

    /// How long to wait for the pipeline's own trigger.
    pub fn patience(&self) -> Duration {
        if self.polls { POLL_PATIENCE } else { EVENT_PATIENCE }
    }

    /// Says why nobody knows before which keys are written, if nobody does.
    pub fn unforeseen(&self) -> Option<String> {
        let variable = || {
            let path = self.path.as_deref().unwrap_or_default();
            self.keys_vary().then(|| format!("CodePipeline puts a time or an id into the object's key, {path}"))
        };
        self.made_of_it.clone().or_else(variable)
    }

    /// Lists the keys that the deploy action will write (facts A.4: the service adds the `/` itself); none where nobody knows them.
    pub fn keys(&self, contents: Option<&zipfile::Contents>) -> Vec<String> {
        if self.unforeseen().is_some() {
            return Vec::new();
        }
        match (contents, self.extract) {
            (Some(contents), true) => match &self.path {
                Some(prefix) if !prefix.is_empty() => contents.files.iter().map(|file| format!("{prefix}/{file}")).collect(),
                _ => contents.files.clone(),
            },
            _ => self.path.iter().cloned().collect(),
        }
    }
}

/// Makes a small website: a start page, an error page, a style sheet and a picture.
///
/// # Errors
/// It can't be packed.
pub fn sample() -> Result<Vec<u8>> {
    let bad = |error: std::io::Error| Error::internal(format!("the sample can't be packed: {error}"));
    let page = |title: &str, text: &str| {
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title><link rel=\"stylesheet\" href=\"css/site.css\"></head>\n<body><img src=\"images/logo.svg\" alt=\"\"><h1>{title}</h1><p>{text}</p></body>\n</html>\n"
        )
    };
    let files = [
        ("index.html", page("It works", "This page was deployed across two AWS accounts by xdeploy.")),
        ("error.html", page("Not found", "There is no such page.")),
        ("css/site.css", "body { font: 1.1rem/1.6 sans-serif; margin: 4rem auto; max-width: 40rem; }\n".to_owned()),
        (
            "images/logo.svg",
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"48\" height=\"48\"><circle cx=\"24\" cy=\"24\" r=\"22\" fill=\"#1a7f5a\"/></svg>\n"
                .to_owned(),
        ),
    ];
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, text) in files {
        archive.start_file(name, options).map_err(|error| bad(std::io::Error::other(error)))?;
        archive.write_all(text.as_bytes()).map_err(bad)?;
    }
    Ok(archive.finish().map_err(|error| bad(std::io::Error::other(error)))?.into_inner())
}

/// Uploads the artifact and gives the version that S3 made of it.
///
/// # Errors
/// Versioning is off, the file can't be read, or S3 refused it.
pub async fn upload(accounts: &Accounts, route: &Route, source: &Source) -> Result<String> {
    let dev = &accounts.dev;
    let s3 = dev.s3(&route.home);
    let bucket = format!("arn:{}:s3:::{}", dev.partition, route.input_bucket);
    let request = s3.get_bucket_versioning().bucket(&route.input_bucket).expected_bucket_owner(&dev.id).send();
    let versioning = dev.call("s3:GetBucketVersioning", &bucket, request).await?;
    if versioning.status() != Some(&aws_sdk_s3::types::BucketVersioningStatus::Enabled) {
        return Err(Error::refused(format!("versioning of {} is off; CodePipeline needs it on (A2.3)", route.input_bucket))
            .hint("run `xdeploy setup --enable-versioning`"));
    }
    let (body, sha256) = match source {
        Source::File(path) => {
            let (_, sha256) = zipfile::fingerprint(path)?;
            (body_of(path).await?, sha256)
        }
        Source::Sample(bytes) => (ByteStream::from(bytes.clone()), zipfile::sha256(bytes)),
    };
    let version = put_source(dev, &route.home, &route.input_bucket, &route.object_key, body, &sha256).await?;
    version.ok_or_else(|| no_version(&route.input_bucket, &route.object_key))
}

/// Says that an upload is no version of its own, which a source action needs (facts A.3).
pub fn no_version(bucket: &str, key: &str) -> Error {
    Error::failed(format!("S3 gave no version for {key} in {bucket}"))
        .hint("check that versioning of the bucket is on (S3 may take a quarter of an hour for it), then upload again")
}

/// Puts the source object, with the file's SHA-256 beside it, and gives its version, if it became one.
///
/// # Errors
/// S3 refused it.
pub async fn put_source(dev: &Account, region: &str, bucket: &str, key: &str, body: ByteStream, sha256: &str) -> ApiResult<Option<String>> {
    let request = dev
        .s3(region)
        .put_object()
        .bucket(bucket)
        .key(key)
        .body(body)
        .content_type("application/zip")
        .metadata(SOURCE_SHA256, sha256)
        .expected_bucket_owner(&dev.id)
        .customize()
        .config_override(unhurried());
    let put = dev.call("s3:PutObject", format!("arn:{}:s3:::{bucket}/{key}", dev.partition), request.send()).await?;
    // Before versioning of the bucket works S3 gives none, or `null`.
    Ok(put.version_id().filter(|version| *version != "null").map(str::to_owned))
}

/// Opens a file for an upload.
///
/// # Errors
/// It can't be read.
pub async fn body_of(file: &std::path::Path) -> Result<ByteStream> {
    let cannot = |error: aws_sdk_s3::primitives::ByteStreamError| {
        Error::failed(format!("could not read {}", file.display())).because(error.to_string()).hint("check the path")
    };
    ByteStream::from_path(file).await.map_err(cannot)
}

/// Who started an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StartedBy {
    /// The pipeline's own change detection.
    Trigger,
    /// xdeploy, since nothing else did.
    Xdeploy,
}

/// Where the execution of a version stands.
enum Execution {
    Took(String),
    /// One is under way that has not said yet what it took; it may turn out to be it.
    Undecided,
    None,
}

fn arn_of(dev: &Account, route: &Route) -> String {
    format!("arn:{}:codepipeline:{}:{}:{}", dev.partition, route.home, dev.id, route.pipeline)
}

/// Lists the ids of the newest executions, the newest first.
///
/// # Errors
/// The executions can't be read.
pub async fn executions(accounts: &Accounts, route: &Route) -> Result<Vec<String>> {
    let runs = summaries(accounts, route).await?;
    Ok(runs.iter().filter_map(|run| run.pipeline_execution_id().map(str::to_owned)).collect())
}

/// Lists the newest executions, the newest first.
///
/// # Errors
/// The executions can't be read.
pub async fn summaries(accounts: &Accounts, route: &Route) -> Result<Vec<PipelineExecutionSummary>> {
    let dev = &accounts.dev;
    let request = dev.codepipeline(&route.home).list_pipeline_executions().pipeline_name(&route.pipeline).max_results(50);
    let mut token = None;
    loop {
        let page = request.clone().set_next_token(token).send();
        let page = dev.call("codepipeline:ListPipelineExecutions", arn_of(dev, route), page).await?;
        token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        // A page may be empty although another follows.
        let found = page.pipeline_execution_summaries.unwrap_or_default();
        if token.is_none() || !found.is_empty() {
            return Ok(found);
        }
    }
}

/// Looks for the execution whose source revision is this version.
async fn find(accounts: &Accounts, route: &Route, version: &str) -> Result<Execution> {
    let runs = summaries(accounts, route).await?;
    let took = |run: &PipelineExecutionSummary| {
        let mut revisions = run.source_revisions().iter();
        revisions.find(|revision| revision.action_name() == route.source_action).map(|revision| revision.revision_id() == Some(version))
    };
    let ours = runs.iter().find(|run| took(run) == Some(true));
    if let Some(id) = ours.and_then(|run| run.pipeline_execution_id()) {
        return Ok(Execution::Took(id.to_owned()));
    }
    // Whatever started it and when: its source action takes the newest version, which is ours.
    let undecided = runs.iter().any(|run| run.status() == Some(&Status::InProgress) && took(run).is_none());
    Ok(if undecided { Execution::Undecided } else { Execution::None })
}

/// Finds the execution whose source revision is this version; starts one where none comes within `patience`, and none that is
/// under way may yet turn out to be it.
///
/// # Errors
/// The executions can't be read, or the pipeline can't be started.
pub async fn find_or_start(accounts: &Accounts, route: &Route, version: &str, patience: Duration) -> Result<(String, StartedBy)> {
    let dev = &accounts.dev;
    let arn = arn_of(dev, route);
    let started = Instant::now();
    loop {
        let limit = match find(accounts, route, version).await? {
            Execution::Took(id) => return Ok((id, StartedBy::Trigger)),
            Execution::Undecided => patience + REVISION_LIMIT,
            Execution::None => patience,
        };
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(2).min(left)).await;
    }
    // A replayed token gives the same execution, so a run that was cut off and repeated starts nothing twice (facts D.1).
    let token = format!("xdeploy-{}", short_hash(&format!("{arn} {version}"), 40));
    let client = dev.codepipeline(&route.home);
    let mut request = client.start_pipeline_execution().name(&route.pipeline).client_request_token(token);
    if route.v2 {
        let revision = SourceRevisionOverride::builder()
            .action_name(&route.source_action)
            .revision_type(SourceRevisionType::S3ObjectVersionId)
            .revision_value(version)
            .build()
            .map_err(|error| Error::internal(error.to_string()))?;
        request = request.source_revisions(revision);
    }
    let answer = dev.call("codepipeline:StartPipelineExecution", &arn, request.send()).await?;
    let id = answer.pipeline_execution_id().ok_or_else(|| {
        Error::failed("CodePipeline did not give the execution's id").hint("look at the pipeline's history, or release again")
    })?;
    Ok((id.to_owned(), StartedBy::Xdeploy))
}

/// One action of an execution as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionState {
    /// Its stage.
    pub stage: String,
    /// Its name.
    pub action: String,
    /// `InProgress`, `Succeeded`, `Failed`, `Abandoned`.
    pub status: String,
    /// CodePipeline's error code.
    pub code: Option<String>,
    /// CodePipeline's message, or the summary.
    pub message: Option<String>,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `Succeeded`, `Failed`, `Stopped`, `Superseded`, `Cancelled`.
    pub status: String,
    /// Its actions, in order of start.
    pub actions: Vec<ActionState>,
}

/// Follows an execution to its end, telling each action's change.
///
/// # Errors
/// It can't be read, or `timeout` is over.
pub async fn follow(accounts: &Accounts, route: &Route, id: &str, timeout: Duration, tell: &dyn Fn(&ActionState)) -> Result<Outcome> {
    let started = Instant::now();
    let mut known: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut pause = Duration::from_secs(1);
    loop {
        let (status, actions) = tokio::try_join!(status_of(accounts, route, id), actions_of(accounts, route, id))?;
        for action in &actions {
            let key = (action.stage.clone(), action.action.clone());
            if known.get(&key) != Some(&action.status) {
                known.insert(key, action.status.clone());
                tell(action);
            }
        }
        if let Some(status) = status
            && !matches!(status, Status::InProgress | Status::Stopping)
        {
            return Ok(Outcome { status: status.as_str().to_owned(), actions });
        }
        if started.elapsed() >= timeout {
            return Err(Error::new(
                Kind::CannotTell,
                format!("execution {id} of pipeline {} is still under way after {}", route.pipeline, humantime::format_duration(timeout)),
            )
            .hint("it goes on by itself; give it longer with `--timeout`, or look at it in the console (an approval may be waiting)"));
        }
        tokio::time::sleep(pause.min(timeout)).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(10));
    }
}

async fn status_of(accounts: &Accounts, route: &Route, id: &str) -> ApiResult<Option<Status>> {
    let dev = &accounts.dev;
    let arn = format!("arn:{}:codepipeline:{}:{}:{}", dev.partition, route.home, dev.id, route.pipeline);
    let request = dev.codepipeline(&route.home).get_pipeline_execution().pipeline_name(&route.pipeline).pipeline_execution_id(id).send();
    // A new execution may not be visible yet.
    let got = present(dev.call("codepipeline:GetPipelineExecution", arn, request).await, &["PipelineExecutionNotFoundException"])?;
    Ok(got.and_then(|got| got.pipeline_execution().and_then(|run| run.status().cloned())))
}

/// Lists where the artifacts lie that an action of an execution was given: bucket and key each.
///
/// # Errors
/// The execution's actions can't be read.
pub async fn artifacts_of(accounts: &Accounts, route: &Route, id: &str, action: &str) -> ApiResult<Vec<(String, String)>> {
    let details = details_of(accounts, route, id).await?;
    let inputs = details.iter().filter(|detail| detail.action_name() == Some(action)).filter_map(|detail| detail.input());
    let places = inputs.flat_map(|input| input.input_artifacts()).filter_map(|artifact| artifact.s3_location());
    Ok(places.filter_map(|place| Some((place.bucket()?.to_owned(), place.key()?.to_owned()))).collect())
}

async fn details_of(accounts: &Accounts, route: &Route, id: &str) -> ApiResult<Vec<ActionExecutionDetail>> {
    let dev = &accounts.dev;
    let arn = format!("arn:{}:codepipeline:{}:{}:{}", dev.partition, route.home, dev.id, route.pipeline);
    let filter = aws_sdk_codepipeline::types::ActionExecutionFilter::builder().pipeline_execution_id(id).build();
    let request = dev.codepipeline(&route.home).list_action_executions().pipeline_name(&route.pipeline).filter(filter).max_results(100);
    let mut details = Vec::new();
    let mut token = None;
    loop {
        let page = dev.call("codepipeline:ListActionExecutions", &arn, request.clone().set_next_token(token).send()).await;
        let Some(page) = present(page, &["PipelineExecutionNotFoundException"])? else { break };
        details.extend(page.action_execution_details().iter().cloned());
        token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    Ok(details)
}

/// Lists the actions of an execution in the order in which they began.
///
/// # Errors
/// They can't be read.
pub async fn actions_of(accounts: &Accounts, route: &Route, id: &str) -> ApiResult<Vec<ActionState>> {
    let details = details_of(accounts, route, id).await?;
    let mut actions: Vec<ActionState> = details
        .iter()
        .map(|detail| {
            let result = detail.output().and_then(|output| output.execution_result());
            let error = result.and_then(|result| result.error_details());
            ActionState {
                stage: detail.stage_name().unwrap_or_default().to_owned(),
                action: detail.action_name().unwrap_or_default().to_owned(),
                status: detail.status().map_or("InProgress", |status| status.as_str()).to_owned(),
                code: error.and_then(|error| error.code()).map(str::to_owned),
                message: error
                    .and_then(|error| error.message())
                    .or_else(|| result.and_then(|result| result.external_execution_summary()))
                    .map(str::to_owned),
            }
        })
        .collect();
    // CodePipeline lists the newest first.
    actions.reverse();
    Ok(actions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_zip_that_the_deploy_action_takes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sample.zip");
        std::fs::write(&path, sample().unwrap()).unwrap();
        let contents = zipfile::check(&path).unwrap();
        assert_eq!(contents.files, ["css/site.css", "error.html", "images/logo.svg", "index.html"]);
        assert!(contents.warnings.is_empty());
    }

    #[test]
    fn a_pipeline_that_polls_gets_the_time_to_poll() {
        let route = |polls: bool, path: &str| Route {
            pipeline: "web".to_owned(),
            home: "us-east-1".to_owned(),
            source_action: "Source".to_owned(),
            input_bucket: "input".to_owned(),
            object_key: "site.zip".to_owned(),
            deploy_action: "Deploy".to_owned(),
            output_bucket: "output".to_owned(),
            target_region: "us-east-1".to_owned(),
            extract: false,
            wrong_extract: None,
            made_of_it: None,
            path: Some(path.to_owned()),
            store_keys: Vec::new(),
            polls,
            v2: true,
        };
        assert_eq!(route(false, "site.zip").patience(), Duration::from_secs(20));
        assert_eq!(route(true, "site.zip").patience(), Duration::from_secs(90));
        assert_eq!(route(true, "site.zip").keys(None), ["site.zip"]);
        assert!(route(true, "{uuid}/site.zip").keys(None).is_empty() && route(true, "a-{datetime}").keys_vary());
        // What a build makes of the upload nobody knows before.
        let built = Route { made_of_it: Some("by Build".to_owned()), ..route(true, "site.zip") };
        assert!(built.keys(None).is_empty() && built.unforeseen().is_some() && route(true, "site.zip").unforeseen().is_none());
    }
}
