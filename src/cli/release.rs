//! `xdeploy release`.

use super::reports::{ReportFlags, Reports};
use super::{panics, session, telling};
use crate::aws::Accounts;
use crate::deploy::arrival;
use crate::deploy::release::{self, ActionState, Outcome, Route, Source};
use crate::deploy::zipfile;
use crate::error::{Error, Result};
use crate::model::{BucketName, ObjectKey, PipelineName, counted};
use crate::settings::{CommonFlags, DeploymentFlags, Settings};
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("artifact").required(true).args(["file", "sample"])))]
#[command(after_long_help = "Examples:\n  xdeploy release site.zip --pipeline crossaccountdeploy\n  xdeploy release --sample")]
pub struct Args {
    /// Zip to upload
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Upload a small website that xdeploy makes itself
    #[arg(long, env = "XDEPLOY_SAMPLE", value_parser = FalseyValueParser::new())]
    pub sample: bool,
    /// Name of the pipeline [default: crossaccountdeploy]
    #[arg(long, value_name = "NAME", env = "XDEPLOY_PIPELINE")]
    pub pipeline: Option<PipelineName>,
    /// Upload and find or start the execution, but don't follow it
    #[arg(long, env = "XDEPLOY_NO_WAIT", value_parser = FalseyValueParser::new())]
    pub no_wait: bool,
    /// How long to follow it
    #[arg(long, value_name = "TIME", env = "XDEPLOY_TIMEOUT", default_value = "30m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// How long to wait for the pipeline's own trigger before starting it [default: 20s, or 90s where the pipeline polls]
    #[arg(long, value_name = "TIME", env = "XDEPLOY_START_AFTER", value_parser = humantime::parse_duration)]
    pub start_after: Option<Duration>,
    /// Source bucket, where a pipeline has several
    #[arg(long, value_name = "BUCKET", env = "XDEPLOY_INPUT_BUCKET")]
    pub input_bucket: Option<BucketName>,
    /// Source object, where a pipeline has several
    #[arg(long, value_name = "KEY", env = "XDEPLOY_OBJECT_KEY")]
    pub object_key: Option<ObjectKey>,
    /// Deploy bucket, where a pipeline has several
    #[arg(long, value_name = "BUCKET", env = "XDEPLOY_OUTPUT_BUCKET")]
    pub output_bucket: Option<BucketName>,
    /// Stage of the S3 deploy action, where a pipeline has several
    #[arg(long, value_name = "NAME", env = "XDEPLOY_STAGE")]
    pub stage: Option<String>,
    /// Name of the S3 deploy action, where a pipeline has several
    #[arg(long, value_name = "NAME", env = "XDEPLOY_ACTION")]
    pub action: Option<String>,
    #[command(flatten)]
    pub reports: ReportFlags,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<u8> {
    let reports = Reports::ready(&args.reports, "release")?;
    let outcome = panics::finished(on(common, args, ui, &reports)).await;
    reports.finish(ui, outcome.map(|document| reports.result(ui, 0, &document)))
}

/// Uploads and follows, and gives the JSON document.
async fn on(common: &CommonFlags, args: &Args, ui: &Ui, reports: &Reports) -> Result<Value> {
    let flags = DeploymentFlags {
        pipeline: args.pipeline.clone(),
        input_bucket: args.input_bucket.clone(),
        object_key: args.object_key.clone(),
        output_bucket: args.output_bucket.clone(),
        stage: args.stage.clone(),
        action: args.action.clone(),
        ..DeploymentFlags::default()
    };
    let settings = Settings::resolve(common, &flags)?;
    let source = match &args.file {
        Some(path) => {
            zipfile::fingerprint(path)?;
            Source::File(path.clone())
        }
        None => Source::Sample(release::sample()?),
    };
    let accounts = session::connect(ui, &settings).await?;
    session::introduce(ui, &accounts);
    let uploaded = upload(&accounts, &settings, &source, ui).await?;
    let patience = args.start_after.unwrap_or_else(|| uploaded.route.patience());
    let waiting = ui.busy(&format!("waiting for the pipeline to start by itself, up to {}", humantime::format_duration(patience)));
    let found = release::find_or_start(&accounts, &uploaded.route, &uploaded.version, patience).await;
    drop(waiting);
    let (id, started_by) = match found {
        Ok(found) => found,
        Err(error) => {
            let mut document = document(&accounts, &uploaded, "");
            document["executionId"] = Value::Null;
            reports.say(telling::of_release("release", &uploaded.route.pipeline, &document));
            return Err(error);
        }
    };
    let how = match started_by {
        release::StartedBy::Trigger => "started by its own change detection",
        release::StartedBy::Xdeploy => "started by xdeploy, since nothing else did",
    };
    ui.status(&format!("execution {id}: {how}"));
    let mut document = document(&accounts, &uploaded, &id);
    document["startedBy"] = json!(started_by);
    if args.no_wait {
        let Uploaded { route, version, .. } = &uploaded;
        ui.result(&format!("Released version {version} of {} to pipeline {} (execution {id}).", route.object_key, route.pipeline));
    } else {
        let outcome = to_the_end(&accounts, &uploaded, &id, args.timeout, ui, &mut document).await;
        reports.say(telling::of_release("release", &uploaded.route.pipeline, &document));
        outcome?;
    }
    reports.say(telling::of_release("release", &uploaded.route.pipeline, &document));
    Ok(document)
}

/// Follows an execution that must succeed, and looks at what arrived.
async fn to_the_end(accounts: &Accounts, uploaded: &Uploaded, id: &str, timeout: Duration, ui: &Ui, document: &mut Value) -> Result<()> {
    let outcome = follow(accounts, &uploaded.route, id, timeout, ui, document).await?;
    succeeded(&uploaded.route, id, &outcome)?;
    arrival(accounts, uploaded, ui, document).await
}

/// A source object, and what is to come of it.
#[derive(Debug)]
pub struct Uploaded {
    pub route: Route,
    pub version: String,
    /// The keys that are to arrive.
    pub wanted: Vec<String>,
    /// Nothing that arrives is older.
    pub since: SystemTime,
}

/// Uploads, after a look at what the deploy action would stumble over.
///
/// # Errors
/// The pipeline has no such way, the zip is none, or the upload fails.
pub async fn upload(accounts: &Accounts, settings: &Settings, source: &Source, ui: &Ui) -> Result<Uploaded> {
    let route = release::route(accounts, settings).await?;
    if let Some(wrong) = &route.wrong_extract {
        return Err(Error::refused(format!("pipeline {} can't deploy: {wrong}", route.pipeline))
            .because("nothing was uploaded")
            .hint("set Extract to `true` or `false` in the configuration of the deploy action"));
    }
    let contents = match source {
        Source::File(path) if route.extract => Some(zipfile::check(path)?),
        Source::File(_) => None,
        Source::Sample(bytes) => Some(zipfile::check_bytes(bytes)?),
    };
    for warning in contents.iter().flat_map(|contents| &contents.warnings) {
        ui.warning(warning);
    }
    let wanted = route.keys(contents.as_ref());
    let left = arrival::left_behind(accounts, &route, &wanted).await;
    if let Some(there) = left.told() {
        ui.warning(&format!("{there}: what an archive no longer has stays, for CodePipeline deletes nothing"));
    }
    let since = SystemTime::now();
    let uploading = ui.busy(&format!("uploading to s3://{}/{}", route.input_bucket, route.object_key));
    let version = release::upload(accounts, &route, source).await?;
    drop(uploading);
    ui.status(&format!("uploaded s3://{}/{} as version {version}", route.input_bucket, route.object_key));
    Ok(Uploaded { route, version, wanted, since })
}

/// The JSON document of a release that has begun.
pub fn document(accounts: &Accounts, uploaded: &Uploaded, id: &str) -> Value {
    json!({
        "schema": "xdeploy.release/1",
        "accounts": session::accounts_json(accounts),
        "pipeline": uploaded.route.pipeline,
        "versionId": uploaded.version,
        "executionId": id,
        "startedBy": null,
        "status": null,
        "actions": [],
        "arrival": null,
    })
}

/// Follows an execution to its end, whatever it is.
///
/// # Errors
/// It can't be followed, or takes too long.
pub async fn follow(accounts: &Accounts, route: &Route, id: &str, timeout: Duration, ui: &Ui, document: &mut Value) -> Result<Outcome> {
    let busy = ui.busy(&format!("waiting for execution {id}"));
    let since: RefCell<BTreeMap<String, Instant>> = RefCell::default();
    let tell = |state: &ActionState| {
        let name = format!("{}/{}", state.stage, state.action);
        let begun = *since.borrow_mut().entry(name.clone()).or_insert_with(Instant::now);
        busy.now(&format!("{name}: {}", state.status));
        match state.status.as_str() {
            "InProgress" => ui.status(&format!("{name}: {}", state.status)),
            ended => ui.status(&format!("{name}: {ended} ({})", session::seconds(begun.elapsed()))),
        }
    };
    let outcome = release::follow(accounts, route, id, timeout, &tell).await?;
    document["status"] = json!(outcome.status);
    document["actions"] = json!(outcome.actions);
    Ok(outcome)
}

/// Makes sure that an execution succeeded.
///
/// # Errors
/// It did not: with what each failed action says.
pub fn succeeded(route: &Route, id: &str, outcome: &Outcome) -> Result<()> {
    if outcome.status == "Succeeded" {
        return Ok(());
    }
    let mut error = Error::failed(format!("execution {id} of pipeline {} ended as {}", route.pipeline, outcome.status));
    for action in outcome.actions.iter().filter(|action| action.status == "Failed") {
        let message = action.message.as_deref().unwrap_or("no message");
        let code = action.code.as_deref().map(|code| format!("{code}: ")).unwrap_or_default();
        error = error.because(format!("{}/{}: {code}{message}", action.stage, action.action));
    }
    Err(match outcome.status.as_str() {
        "Superseded" => error.hint("a newer execution took its place; what it deploys is newer than this upload"),
        _ => error
            .hint(format!("`xdeploy explain --pipeline {}` says why", route.pipeline))
            .hint(format!("`xdeploy verify --pipeline {}` says what differs from what setup would make", route.pipeline)),
    })
}

/// Tells what arrived, and who owns it.
///
/// # Errors
/// The output bucket can't be read, files are missing, or production doesn't own what arrived.
pub async fn arrival(accounts: &Accounts, uploaded: &Uploaded, ui: &Ui, document: &mut Value) -> Result<()> {
    let Uploaded { route, wanted, since, .. } = uploaded;
    let arrival = arrival::arrival(accounts, route, wanted, *since).await?;
    document["arrival"] = json!(arrival);
    if arrival.not_looked_for.is_none() {
        ui.section(&format!("{} in s3://{}:", counted(arrival.objects.len(), "object", "objects"), route.output_bucket));
    }
    for object in &arrival.objects {
        let owner = match object.owned_by_production {
            Some(true) => format!("owned by prod ({})", accounts.prod.id),
            Some(false) => "NOT owned by prod".to_owned(),
            None => "owner unknown".to_owned(),
        };
        let key = match (&object.encryption, &object.kms_key) {
            (Some(algorithm), Some(key)) => format!("{algorithm} {key}"),
            (Some(algorithm), None) => algorithm.clone(),
            _ => "encryption unknown".to_owned(),
        };
        ui.result(&format!("  {}  {} bytes, {owner}, {key}", object.key, object.size));
    }
    match arrival.ownership.as_deref() {
        Some("BucketOwnerEnforced") => ui.result("Object ownership is BucketOwnerEnforced: production owns every object of the bucket."),
        Some(setting) => ui.result(&format!(
            "Object ownership is {setting}: each object's owner is its writer's account unless the bucket's owner takes it."
        )),
        None => ui.result("The bucket's object ownership could not be read."),
    }
    for warning in &arrival.warnings {
        ui.warning(warning);
    }
    let strangers = arrival.objects.iter().filter(|object| object.owned_by_production == Some(false)).count();
    if !arrival.missing.is_empty() || strangers > 0 {
        let mut error = Error::failed(format!("the release of pipeline {} did not arrive as it should", route.pipeline));
        if !arrival.missing.is_empty() {
            let some: Vec<&str> = arrival.missing.iter().take(5).map(String::as_str).collect();
            error = error.because(format!(
                "{}, such as {}",
                counted(arrival.missing.len(), "file is missing", "files are missing"),
                some.join(", ")
            ));
        }
        if strangers > 0 {
            error = error.because(format!(
                "{} by production ({})",
                counted(strangers, "object is not owned", "objects are not owned"),
                accounts.prod.id
            ));
        }
        return Err(error.hint(format!("`xdeploy verify --pipeline {}` says what differs from what setup would make", route.pipeline)));
    }
    Ok(())
}
