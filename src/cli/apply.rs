//! `xdeploy apply`.

use super::reports::{ReportFlags, Reports};
use super::{Stop, lock, panics, proof, session, setup, show, telling};
use crate::cli::session::IfDenied;
use crate::deploy::observe::Organisations;
use crate::deploy::plan::Plan;
use crate::deploy::snapshot::Snapshot;
use crate::error::{Error, Kind, Result};
use crate::settings::CommonFlags;
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Plan saved by `xdeploy plan --out FILE`
    #[arg(value_name = "FILE")]
    pub plan: PathBuf,
    /// Wait for a run that an update of the pipeline would stop
    #[arg(long, env = "XDEPLOY_WAIT_FOR_RUNS", value_parser = FalseyValueParser::new())]
    pub wait_for_runs: bool,
    /// Apply a plan even if the proof says that the deployment would still fail, or that the caller may not do it
    #[arg(long, env = "XDEPLOY_ACCEPT_BROKEN", value_parser = FalseyValueParser::new())]
    pub accept_broken: bool,
    /// Let a user or role of another account administer the key, as the plan says
    #[arg(long, env = "XDEPLOY_ALLOW_FOREIGN_ADMINISTRATOR", value_parser = FalseyValueParser::new())]
    pub allow_foreign_administrator: bool,
    #[command(flatten)]
    pub reports: ReportFlags,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui, stop: &Stop) -> Result<u8> {
    let reports = Reports::ready(&args.reports, "apply")?;
    let outcome = panics::finished(on(common, args, ui, stop, &reports)).await;
    reports.finish(ui, outcome.map(|(code, document)| reports.result(ui, code, &document)))
}

/// Applies a plan, and gives the exit code and the JSON document.
async fn on(common: &CommonFlags, args: &Args, ui: &Ui, stop: &Stop, reports: &Reports) -> Result<(u8, Value)> {
    let saved = Plan::load(&args.plan)?;
    let mut settings = saved.settings().clone();
    // Another person may apply it, with other profile names for the same accounts.
    if let Some(profile) = &common.dev_profile {
        settings.dev_profile.clone_from(profile);
    }
    if let Some(profile) = &common.prod_profile {
        settings.prod_profile.clone_from(profile);
    }
    let saw = saved.snapshot();
    settings.region =
        Some(saw.dev.region.parse().map_err(|why: String| Error::usage(why).hint("make the plan again with `xdeploy plan --out FILE`"))?);
    let accounts = session::connect(ui, &settings).await?;
    for (account, planned) in [(&accounts.dev, &saw.dev), (&accounts.prod, &saw.prod)] {
        if account.id != planned.account {
            return Err(Error::new(
                Kind::Credentials,
                format!(
                    "the plan is for account {} on the {} side, but profile `{}` is {}",
                    planned.account, account.side, account.profile, account.id
                ),
            )
            .hint(format!("pass `--{}-profile` with a profile of account {}", account.side, planned.account)));
        }
    }
    session::introduce(ui, &accounts);
    let _lock = lock::take(ui, &accounts.dev.id, &accounts.dev.region, settings.pipeline.as_str())?;
    let artifact = session::artifact(saved.artifact().map(|artifact| std::path::Path::new(&artifact.file)), !settings.no_extract)?;
    if artifact.as_ref() != saved.artifact() {
        return Err(Error::new(Kind::Conflict, "the artifact has changed since the plan was made").hint("make the plan again"));
    }
    let asked = if saw.dev_organisation.is_some() { Organisations::Always } else { Organisations::Never };
    // Only read, not planned anew: the world may have moved to where no plan can be made, and what moved is what must be told.
    let now = session::read(ui, &accounts, saved.settings(), saved.artifact(), asked).await?;
    refuse_moved(saw, &saved.redacted_like(&now)?)?;
    let plan = &saved.completed(&now, &args.plan)?;
    let saw = plan.snapshot();
    // What was put back is what is there.
    refuse_moved(saw, &now)?;
    refuse_administrators(plan, &now, args.allow_foreign_administrator)?;
    show::plan(ui, plan);
    let proof = proof::of_plan(plan)?;
    proof::show(ui, &proof, &proof::Telling { snapshot: saw, all: false, when: proof::when(plan), mended: &[] });
    let mut document = json!({
        "schema": "xdeploy.apply/1",
        "accounts": session::accounts_json(&accounts),
        "plan": setup::summary(plan),
        "proof": proof::to_json(&proof, saw, &[]),
        "applied": false,
    });
    reports.say(telling::of_plan("apply", plan, &proof, &document));
    let mut code = 0;
    if !plan.is_empty() {
        proof::refuse_broken(&proof, false, args.accept_broken)?;
        let if_denied = IfDenied::by_flags(false, args.accept_broken);
        session::check_callers(ui, &accounts, (plan.writes(), &now), &plan.pipeline_arn(), if_denied, &mut document).await?;
        if let Some(running) = setup::stops_a_run(plan.writes(), &now)
            && !args.wait_for_runs
        {
            return Err(Error::refused(format!("pipeline {} is running ({running}); an update would stop it", settings.pipeline))
                .hint("pass `--wait-for-runs`, or run the same command again when it has finished"));
        }
        let made = session::apply_writes(&accounts, plan.writes(), &plan.pipeline_arn(), args.wait_for_runs, ui, stop).await?;
        let (add, change, remove) = plan.counts();
        ui.section(&format!("Done: {add} added, {change} changed, {remove} removed."));
        document["applied"] = json!(true);
        document["made"] = json!({"keys": made.keys()});
        let (told, back) = proof::check(&accounts, plan.settings(), &proof, false, ui, &mut document).await;
        code = told;
        reports.say(telling::of_writes("apply", plan, &proof, &back, &document));
    }
    Ok((code, document))
}

/// Refuses a plan that was made on something else than what is there now.
fn refuse_moved(saw: &Snapshot, now: &Snapshot) -> Result<()> {
    let moved = moved(saw, now);
    if moved.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Conflict, format!("the world has moved since the plan was made: {}", moved.join(", ")))
        .hint("nothing was changed; look at the new plan with `xdeploy plan --out FILE`, then apply that"))
}

/// Refuses to let somebody administer the key whom only the plan's file names: anybody who can write it can seal it.
///
/// # Errors
/// An administrator is of another account, or isn't who applies the plan.
fn refuse_administrators(plan: &Plan, now: &Snapshot, foreign_allowed: bool) -> Result<()> {
    let foreign = plan.foreign_administrators();
    if !foreign.is_empty() && !foreign_allowed {
        return Err(Error::refused(format!(
            "the plan lets {} administer the key, not of the development account ({})",
            foreign.join(", "),
            now.dev.account
        ))
        .hint("pass `--allow-foreign-administrator` to `apply` as well, if that is meant"));
    }
    match plan.unnamed_administrator() {
        Some(planned) if now.administrator.known().and_then(Option::as_deref) != Some(planned) => Err(Error::refused(format!(
            "the plan lets {planned} administer the key, who made it but doesn't apply it"
        ))
        .hint("name the administrator when the plan is made, `xdeploy plan --key-administrator ARN`, or let who made the plan apply it")),
        _ => Ok(()),
    }
}

/// Names the parts that differ between what the plan saw and what is there now.
fn moved(saw: &Snapshot, now: &Snapshot) -> Vec<String> {
    let plain = |snapshot: &Snapshot| -> Value {
        let mut value = serde_json::to_value(snapshot).unwrap_or_default();
        // Who applies may differ from who planned, and may know less of the organisation; runs come and go.
        if let Some(members) = value.as_object_mut() {
            for member in ["administrator", "dev_organisation", "prod_organisation"] {
                members.shift_remove(member);
            }
        }
        if let Some(pipeline) = value.get_mut("pipeline").and_then(Value::as_object_mut) {
            pipeline.shift_remove("running");
        }
        value
    };
    let (saw, now) = (plain(saw), plain(now));
    let mut moved = Vec::new();
    differences(&[], &saw, &now, &mut moved);
    moved
}

/// Walks down to the innermost members that differ; what came or went is named whole.
fn differences(path: &[&str], saw: &Value, now: &Value, moved: &mut Vec<String>) {
    let name = || path.join(" / ").replace('_', " ");
    match (saw, now) {
        (saw, now) if saw == now => {}
        (Value::Null, _) => moved.push(format!("{} (is there now)", name())),
        (_, Value::Null) => moved.push(format!("{} (is gone)", name())),
        (Value::Object(before), Value::Object(after)) if path.last() != Some(&"declaration") && !before.contains_key("Statement") => {
            let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                // What was found of a thing is the thing.
                let below: Vec<&str> = path.iter().copied().chain((key != "found").then_some(key.as_str())).collect();
                differences(&below, before.get(key).unwrap_or(&Value::Null), after.get(key).unwrap_or(&Value::Null), moved);
            }
        }
        _ => moved.push(name()),
    }
}
