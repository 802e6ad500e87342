//! `xdeploy verify`.

use super::{session, setup, show};
use crate::deploy::observe::Organisations;
use crate::error::{Error, Kind, Result};
use crate::settings::{CommonFlags, DeploymentFlags, Settings};
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub deployment: DeploymentFlags,
    /// Exit 2 if something differs
    #[arg(long, env = "XDEPLOY_DETAILED_EXITCODE", value_parser = FalseyValueParser::new())]
    pub detailed_exitcode: bool,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<u8> {
    let settings = Settings::resolve(common, &args.deployment)?;
    let accounts = session::connect(&settings).await?;
    session::introduce(ui, &accounts);
    let plan = session::make_plan(&accounts, &settings, None, Organisations::Always).await.map_err(|error| match error.kind {
        // What couldn't be read can't be judged.
        Kind::Denied => Error { kind: Kind::CannotTell, ..error },
        _ => error,
    })?;
    if plan.snapshot().pipeline.is_none() {
        return Err(Error::failed(format!(
            "there is no pipeline {} in {} of account {}",
            settings.pipeline, accounts.dev.region, accounts.dev.id
        ))
        .hint("make it with `xdeploy setup`, or name another with `--pipeline` or `--region`"));
    }
    if plan.is_empty() {
        show::plan(ui, &plan);
    } else {
        let snapshot = plan.snapshot();
        ui.result(&format!("Pipeline {} differs from what setup would make:", settings.pipeline));
        show::writes(ui, plan.writes(), &snapshot.dev, &snapshot.prod);
        for note in plan.notes() {
            ui.result(&format!("\n{}: {}", if note.warning { "warning" } else { "note" }, note.text));
        }
        ui.result(&format!("\n{} differences; `xdeploy setup` mends them.", plan.writes().len()));
    }
    ui.json(&json!({
        "schema": "xdeploy.verify/1",
        "accounts": session::accounts_json(&accounts),
        "differs": !plan.is_empty(),
        "plan": setup::summary(&plan),
    }));
    Ok(if args.detailed_exitcode && !plan.is_empty() { 2 } else { 0 })
}
