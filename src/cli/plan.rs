//! `xdeploy plan`.

use super::{session, show};
use crate::deploy::observe::Organisations;
use crate::error::{Error, Result};
use crate::settings::{CommonFlags, DeploymentFlags, Settings};
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub deployment: DeploymentFlags,
    /// Zip that apply will upload, before a new pipeline's first run (A8)
    #[arg(long, value_name = "FILE", env = "XDEPLOY_ARTIFACT")]
    pub artifact: Option<PathBuf>,
    /// Save the plan for `xdeploy apply`
    #[arg(long, value_name = "FILE", env = "XDEPLOY_OUT")]
    pub out: Option<PathBuf>,
    /// Exit 2 if something is to be changed
    #[arg(long, env = "XDEPLOY_DETAILED_EXITCODE", value_parser = FalseyValueParser::new())]
    pub detailed_exitcode: bool,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<u8> {
    let settings = Settings::resolve(common, &args.deployment)?;
    let artifact = session::artifact(args.artifact.as_deref(), !settings.no_extract)?;
    let accounts = session::connect(&settings).await?;
    session::introduce(ui, &accounts);
    let plan = session::make_plan(&accounts, &settings, artifact, Organisations::Always).await?;
    show::plan(ui, &plan);
    match &args.out {
        Some(path) => {
            plan.save(path)?;
            ui.status(&format!("plan saved: `xdeploy apply {}` does exactly this", path.display()));
        }
        None if !plan.is_empty() => {
            ui.status("you didn't use `--out`, so `xdeploy setup` will make its own plan and may do something else if things change");
        }
        None => {}
    }
    let document = serde_json::to_value(&plan).map_err(|error| Error::internal(error.to_string()))?;
    ui.json(&document);
    Ok(if args.detailed_exitcode && !plan.is_empty() { 2 } else { 0 })
}
