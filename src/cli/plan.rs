//! `xdeploy plan`.

use super::reports::{ReportFlags, Reports};
use super::{panics, proof, session, show, telling, wizard};
use crate::cli::session::IfDenied;
use crate::deploy::kept;
use crate::deploy::observe::Organisations;
use crate::error::{Error, Result};
use crate::model::Verdict;
use crate::settings::{CommonFlags, DeploymentFlags, Settings, with_file};
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use serde_json::json;
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
    /// Count what is unknown as broken, also denied calls that may not be needed and organisation policies that can't be read
    #[arg(long, env = "XDEPLOY_STRICT", value_parser = FalseyValueParser::new())]
    pub strict: bool,
    #[command(flatten)]
    pub reports: ReportFlags,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<u8> {
    let reports = Reports::ready(&args.reports, "plan")?;
    let outcome = panics::finished(on(common, args, ui, &reports)).await;
    reports.finish(ui, outcome)
}

/// Plans, and gives the exit code.
async fn on(common: &CommonFlags, args: &Args, ui: &Ui, reports: &Reports) -> Result<u8> {
    let (common, flags) = with_file(common, &args.deployment)?;
    wizard::refuse_missing(&common, &flags)?;
    let settings = Settings::of(common, flags)?;
    let artifact = session::artifact(args.artifact.as_deref(), !settings.no_extract)?;
    let accounts = session::connect(ui, &settings).await?;
    session::introduce(ui, &accounts);
    let plan = session::make_plan(ui, &accounts, &settings, artifact, Organisations::Always).await?;
    show::plan(ui, &plan);
    let proof = proof::of_plan(&plan)?;
    proof::show(ui, &proof, &proof::Telling { snapshot: plan.snapshot(), all: false, when: proof::when(&plan), mended: &[] });
    let mut document = serde_json::to_value(plan.redacted()?).map_err(|error| Error::internal(error.to_string()))?;
    document["kept"] = json!(kept::of_plan(&plan));
    document["proof"] = proof::to_json(&proof, plan.snapshot(), &[]);
    reports.say(telling::of_plan("plan", &plan, &proof, &document));
    let writes = (plan.writes(), plan.snapshot());
    session::check_callers(ui, &accounts, writes, &plan.pipeline_arn(), IfDenied::Warn, &mut document).await?;
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
    ui.json(&document);
    let verdict = if args.strict { proof.strict_verdict() } else { proof.verdict() };
    let code = match verdict {
        Verdict::Denied => proof::exit_code(verdict),
        Verdict::CannotTell if args.strict => proof::exit_code(verdict),
        _ if args.detailed_exitcode && !plan.is_empty() => 2,
        _ => 0,
    };
    Ok(code)
}
