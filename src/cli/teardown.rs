//! `xdeploy teardown`.

use super::reports::{ReportFlags, Reports};
use super::{Stop, ask, lock, panics, session, show, telling};
use crate::cli::session::IfDenied;
use crate::deploy::apply::quiet;
use crate::deploy::observe::{Organisations, Purpose, observe};
use crate::deploy::permissions::Command;
use crate::deploy::teardown::{KEY_DAYS, look_back, undo};
use crate::deploy::write::{Call, counts};
use crate::error::{Error, Result};
use crate::model::PipelineName;
use crate::settings::{CommonFlags, DeploymentFlags, Settings};
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:\n  xdeploy teardown --pipeline crossaccountdeploy --confirm crossaccountdeploy")]
pub struct Args {
    #[command(flatten)]
    pub deployment: DeploymentFlags,
    /// The pipeline's name once more, to say that this is meant
    #[arg(long, value_name = "NAME", env = "XDEPLOY_CONFIRM")]
    pub confirm: Option<PipelineName>,
    /// Keep the KMS key that xdeploy made
    #[arg(long, env = "XDEPLOY_KEEP_KEY", value_parser = FalseyValueParser::new())]
    pub keep_key: bool,
    /// Wait for a run that would be stopped
    #[arg(long, env = "XDEPLOY_WAIT_FOR_RUNS", value_parser = FalseyValueParser::new())]
    pub wait_for_runs: bool,
    /// Show what would be removed and what left, and change nothing
    #[arg(long, env = "XDEPLOY_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
    #[command(flatten)]
    pub reports: ReportFlags,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui, stop: &Stop) -> Result<u8> {
    let reports = Reports::ready(&args.reports, "teardown")?;
    let outcome = panics::finished(on(common, args, ui, stop, &reports)).await;
    reports.finish(ui, outcome.map(|document| reports.result(ui, 0, &document)))
}

/// Tears down, and gives the JSON document.
async fn on(common: &CommonFlags, args: &Args, ui: &Ui, stop: &Stop, reports: &Reports) -> Result<Value> {
    let settings = Settings::resolve(common, &args.deployment)?;
    let name = settings.pipeline.as_str();
    if let Some(confirmed) = &args.confirm
        && confirmed.as_str() != name
    {
        return Err(Error::refused(format!("`--confirm {confirmed}` is not the pipeline's name, {name}"))
            .hint(format!("pass `--pipeline {name} --confirm {name}` if that one is meant")));
    }
    let accounts = session::connect(ui, &settings).await?;
    session::introduce(ui, &accounts);
    let _lock = if args.dry_run { None } else { Some(lock::take(ui, &accounts.dev.id, &accounts.dev.region, name)?) };
    let reading = ui.busy("reading both accounts");
    let snapshot = observe(&accounts.dev, &accounts.prod, &settings, Purpose::Teardown, Organisations::Never).await?;
    let past = look_back(&accounts, &settings, &snapshot).await?;
    drop(reading);
    let undo = undo(&settings, &snapshot, &past, args.keep_key)?;
    if undo.writes.is_empty() {
        ui.result(&format!("Nothing to remove for pipeline {name}."));
    } else {
        ui.result(&format!("Teardown of pipeline {name} in {}:", snapshot.dev.region));
        show::writes(ui, &undo.writes, &[], &snapshot.dev, &snapshot.prod);
    }
    if !undo.left.is_empty() {
        ui.section("Left as it is:");
        for left in &undo.left {
            ui.result(&format!("  = {} ({})", left.what, left.why));
        }
    }
    for note in &undo.notes {
        ui.result(&format!("{}: {}", if note.warning { "warning" } else { "note" }, note.text));
    }
    let (add, change, remove) = counts(&undo.writes);
    let mut document = json!({
        "schema": "xdeploy.teardown/1",
        "accounts": session::accounts_json(&accounts),
        "pipeline": name,
        "add": add, "change": change, "remove": remove,
        "writes": undo.writes.iter().map(|write| json!({"account": write.account, "step": write.step, "article": write.step.article(),
            "action": write.call.action(), "change": write.call.change(), "resource": write.resource, "title": write.title}))
            .collect::<Vec<_>>(),
        "left": undo.left,
        "applied": false,
    });
    let left: Vec<_> = undo.left.iter().map(|left| (left.what.clone(), left.why.clone())).collect();
    reports.say(telling::of_teardown(name, &snapshot, &undo.writes, &left, &document));
    let if_denied = if args.dry_run { IfDenied::Warn } else { IfDenied::Refuse(Command::Teardown, None) };
    let arn = snapshot.dev.regional("codepipeline", &snapshot.dev.region, name);
    session::check_callers(ui, &accounts, (&undo.writes, &snapshot), &arn, if_denied, &mut document).await?;
    if undo.writes.is_empty() || args.dry_run {
        return Ok(document);
    }
    ui.section(&format!("Teardown: {change} to change, {remove} to remove, {} left.", undo.left.len()));
    let running = snapshot.pipeline.as_ref().map(|found| found.running.join(", ")).unwrap_or_default();
    if !running.is_empty() && !args.wait_for_runs {
        return Err(Error::refused(format!("pipeline {name} is running ({running})"))
            .hint("pass `--wait-for-runs`, or run the same command again when it has finished"));
    }
    if args.confirm.is_none()
        && !ask::confirm_by_name(ui, "Type the pipeline's name to tear it down:", name, &format!("pass `--confirm {name}`"))?
    {
        return Err(ask::cancelled());
    }
    if snapshot.pipeline.is_some() {
        // Before anything goes: a run that finds half of its permissions gone would only fail.
        let told = |what: &str, limit| ui.status(&format!("waiting for {what}, up to {}", humantime::format_duration(limit)));
        quiet(&accounts.dev, &snapshot.dev.region, name, args.wait_for_runs, &stop.asked, told).await?;
    }
    session::apply_writes(
        &accounts,
        &undo.writes,
        &snapshot.dev.regional("codepipeline", &snapshot.dev.region, name),
        args.wait_for_runs,
        ui,
        stop,
    )
    .await?;
    ui.section(&format!("Done: {change} changed, {remove} removed."));
    if undo.writes.iter().any(|write| matches!(write.call, Call::ScheduleKeyDeletion { .. })) {
        let days = u64::try_from(KEY_DAYS).unwrap_or_default();
        let date = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(days * 24 * 60 * 60)).to_string();
        ui.result(&format!(
            "The key is deleted on {date} ({KEY_DAYS} days from now); until then `aws kms cancel-key-deletion` keeps it, and what it encrypted."
        ));
        document["keyDeletionDate"] = json!(date);
    }
    document["applied"] = json!(true);
    Ok(document)
}
