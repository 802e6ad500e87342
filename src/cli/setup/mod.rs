//! `xdeploy setup`.

mod side;

use super::reports::{ReportFlags, Reports};
use super::sides::SideFlags;
use super::wizard::{self, Answers};
use super::{Stop, ask, lock, panics, proof, session, show, telling};
use crate::aws::Accounts;
use crate::cli::session::IfDenied;
use crate::deploy::kept;
use crate::deploy::observe::Organisations;
use crate::deploy::plan::Plan;
use crate::deploy::redaction::shown;
use crate::deploy::snapshot::Snapshot;
use crate::deploy::write::{Artifact, Call, Write};
use crate::error::{Error, Kind, Result};
use crate::model::{Verdict, quoted};
use crate::settings::{CommonFlags, DEFAULT_FILE, DeploymentFlags, Settings, with_file};
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_long_help = "Examples:\n  xdeploy setup    # in a terminal: asks for all that is missing, checks each answer, ends with plan, proof and a question\n  xdeploy setup --dev-profile dev --prod-profile prod \\\n    --input-bucket codepipeline-input-bucket --output-bucket codepipeline-output-bucket\n  xdeploy setup --artifact sample-website.zip --yes    # the rest from xdeploy.toml"
)]
pub struct Args {
    #[command(flatten)]
    pub deployment: DeploymentFlags,
    /// Zip to upload, before a new pipeline's first run (A8)
    #[arg(long, value_name = "FILE", env = "XDEPLOY_ARTIFACT")]
    pub artifact: Option<PathBuf>,
    /// Wait for a run that an update of the pipeline would stop
    #[arg(long, env = "XDEPLOY_WAIT_FOR_RUNS", value_parser = FalseyValueParser::new())]
    pub wait_for_runs: bool,
    /// Show the plan and change nothing
    #[arg(long, env = "XDEPLOY_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
    /// Apply without asking
    #[arg(long, env = "XDEPLOY_YES", value_parser = FalseyValueParser::new())]
    pub yes: bool,
    /// Apply a plan even if the proof says that the deployment would still fail, or that the caller may not do it
    #[arg(long, env = "XDEPLOY_ACCEPT_BROKEN", value_parser = FalseyValueParser::new())]
    pub accept_broken: bool,
    /// Count what is unknown as broken, also denied calls that may not be needed and organisation policies that can't be read
    #[arg(long, env = "XDEPLOY_STRICT", value_parser = FalseyValueParser::new(), conflicts_with = "side")]
    pub strict: bool,
    /// Write the settings of this run to a new file
    #[arg(long, value_name = "FILE", env = "XDEPLOY_WRITE_CONFIG", conflicts_with = "side")]
    pub write_config: Option<PathBuf>,
    #[command(flatten)]
    pub of_side: SideFlags,
    /// Tell the other side what is there now, although it has built on something else
    #[arg(long, env = "XDEPLOY_RENEW_HANDOFF", value_parser = FalseyValueParser::new(), requires = "side")]
    pub renew_handoff: bool,
    #[command(flatten)]
    pub reports: ReportFlags,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui, stop: &Stop) -> Result<u8> {
    let reports = Reports::ready(&args.reports, "setup")?;
    let outcome = match args.of_side.side {
        Some(side) => panics::finished(side::run(common, args, side, ui, stop, &reports)).await,
        None => panics::finished(whole(common, args, ui, stop, &reports)).await,
    };
    reports.finish(ui, outcome)
}

/// Asks for what is missing, sets up, and offers to keep the answers.
async fn whole(common: &CommonFlags, args: &Args, ui: &Ui, stop: &Stop, reports: &Reports) -> Result<u8> {
    let (common, flags) = with_file(common, &args.deployment)?;
    let mut answers = Answers { common, flags, artifact: args.artifact.clone() };
    let mut asked = false;
    if !wizard::missing(&answers.common, &answers.flags).is_empty() {
        if ui.is_interactive() {
            (answers, asked) = wizard::ask(ui, answers).await?;
        } else {
            wizard::refuse_missing(&answers.common, &answers.flags)?;
        }
    }
    let settings = Settings::of(answers.common.clone(), answers.flags.clone())?;
    let artifact = session::artifact(answers.artifact.as_deref(), !settings.no_extract)?;
    if let Some(path) = &args.write_config {
        settings.write_file(path)?;
        ui.status(&format!("settings written to {}", path.display()));
    }
    let accounts = session::connect(ui, &settings).await?;
    session::introduce(ui, &accounts);
    let _lock = if args.dry_run { None } else { Some(lock::take(ui, &accounts.dev.id, &accounts.dev.region, settings.pipeline.as_str())?) };
    let done = on(&accounts, &settings, args, artifact, ui, stop, reports).await;
    let interrupted = done.as_ref().is_err_and(|error| error.kind == Kind::Interrupted);
    if asked && !interrupted {
        let line = wizard::command_line(&answers.common, &answers.flags, answers.artifact.as_deref());
        let text = format!("\nThe same run as one command:\n\n  {line}");
        text.lines().for_each(|line| ui.status(line));
        ui.status("");
    }
    if let Ok((_, document)) = &done {
        let applied = document["applied"] == json!(true);
        if asked && applied && args.write_config.is_none() {
            offer_file(ui, &settings, answers.common.config.is_some());
        }
        if applied {
            follow_ups(ui, &reach(&answers.common, &settings));
        }
    }
    done.map(|(code, document)| reports.result(ui, code, &document))
}

/// The flags with which another command gets to the same pipeline: none but its name where a settings file says the rest.
fn reach(common: &CommonFlags, settings: &Settings) -> String {
    let file = common.config.as_ref().map(|file| ("--config", file.display().to_string()));
    let alone = CommonFlags { config: common.config.clone(), ..CommonFlags::default() };
    let said = Settings::resolve(&alone, &DeploymentFlags::default()).is_ok_and(|of_file| {
        (&of_file.dev_profile, &of_file.prod_profile, &of_file.region) == (&settings.dev_profile, &settings.prod_profile, &settings.region)
    });
    let mut flags: Vec<(&str, String)> = file.into_iter().collect();
    if !said {
        flags.push(("--dev-profile", settings.dev_profile.clone()));
        flags.push(("--prod-profile", settings.prod_profile.clone()));
        flags.extend(settings.region.as_ref().map(|region| ("--region", region.to_string())));
    }
    flags.push(("--pipeline", settings.pipeline.to_string()));
    flags.iter().map(|(flag, value)| format!("{flag} {}", quoted(value))).collect::<Vec<_>>().join(" ")
}

/// Offers to keep the answers, where no settings file is there yet.
fn offer_file(ui: &Ui, settings: &Settings, named: bool) {
    let path = Path::new(DEFAULT_FILE);
    if named || path.exists() {
        return;
    }
    let question = format!("Save these settings as {DEFAULT_FILE}, so that later commands here need no flags?");
    // All is done; who says nothing here has said no.
    if ask::confirm(ui, &question, "pass `--write-config`").is_ok_and(|yes| yes) {
        match settings.write_file(path) {
            Ok(()) => ui.status(&format!("settings written to {DEFAULT_FILE}")),
            // The set-up is done, whatever becomes of the file.
            Err(error) => ask::warn(ui, "", &error),
        }
    }
}

/// Sets up on two accounts, and gives the exit code and the JSON document.
///
/// # Errors
/// As the command.
pub async fn on(
    accounts: &Accounts,
    settings: &Settings,
    args: &Args,
    artifact: Option<Artifact>,
    ui: &Ui,
    stop: &Stop,
    reports: &Reports,
) -> Result<(u8, Value)> {
    let asked = if args.strict { Organisations::Always } else { Organisations::OfExisting };
    let plan = session::make_plan(ui, accounts, settings, artifact, asked).await?;
    show::plan(ui, &plan);
    let proof = proof::of_plan(&plan)?;
    proof::show(ui, &proof, &proof::Telling { snapshot: plan.snapshot(), all: false, when: proof::when(&plan), mended: &[] });
    let mut document = json!({
        "schema": "xdeploy.setup/1",
        "accounts": session::accounts_json(accounts),
        "plan": summary(&plan),
        "proof": proof::to_json(&proof, plan.snapshot(), &[]),
        "applied": false,
    });
    reports.say(telling::of_plan(reports.command(), &plan, &proof, &document));
    let if_denied = IfDenied::by_flags(args.dry_run, args.accept_broken);
    session::check_callers(ui, accounts, (plan.writes(), plan.snapshot()), &plan.pipeline_arn(), if_denied, &mut document).await?;
    if plan.is_empty() || args.dry_run {
        if !plan.is_empty() {
            ui.status("nothing was changed: this was a dry run");
        }
        let verdict = if args.strict { proof.strict_verdict() } else { proof.verdict() };
        let code = match verdict {
            Verdict::CannotTell if !args.strict => 0,
            verdict => proof::exit_code(verdict),
        };
        return Ok((code, document));
    }
    proof::refuse_broken(&proof, args.strict, args.accept_broken)?;
    let wait = wait_for_runs(settings, &plan, args, ui)?;
    if !args.yes
        && !ask::confirm(ui, "Apply this plan?", "pass `--yes`, or save it with `xdeploy plan --out FILE` and run `xdeploy apply FILE`")?
    {
        return Err(ask::cancelled());
    }
    let made = session::apply_writes(accounts, plan.writes(), &plan.pipeline_arn(), wait, ui, stop).await?;
    let (add, change, remove) = plan.counts();
    ui.section(&format!("Done: {add} added, {change} changed, {remove} removed."));
    document["applied"] = json!(true);
    document["made"] = json!({"keys": made.keys()});
    let (code, back) = proof::check(accounts, settings, &proof, args.strict, ui, &mut document).await;
    reports.say(telling::of_writes(reports.command(), &plan, &proof, &back, &document));
    Ok((code, document))
}

/// Says whether to wait for a run that an update of the pipeline would stop.
///
/// # Errors
/// There is one, and nobody wants to wait.
fn wait_for_runs(settings: &Settings, plan: &Plan, args: &Args, ui: &Ui) -> Result<bool> {
    let mut wait = args.wait_for_runs;
    if let Some(running) = stops_a_run(plan.writes(), plan.snapshot()) {
        if !wait && ui.is_interactive() && !args.yes {
            wait = ask::confirm(
                ui,
                &format!("The pipeline is running ({running}). Wait for it to finish before the update?"),
                "pass `--wait-for-runs`",
            )?;
        }
        if !wait {
            return Err(Error::refused(format!("pipeline {} is running ({running}); an update would stop it", settings.pipeline))
                .hint("pass `--wait-for-runs`, or run the same command again when it has finished"));
        }
    }
    Ok(wait)
}

/// The plan without what it saw, for people's scripts.
pub fn summary(plan: &Plan) -> Value {
    let (add, change, remove) = plan.counts();
    let writes: Vec<_> = plan
        .writes()
        .iter()
        .map(|write| {
            let (before, after) = write.call.documents();
            let (before, after) = (before.as_ref().map(shown), after.as_ref().map(shown));
            json!({"account": write.account, "step": write.step, "article": write.step.article(), "action": write.call.action(),
                "change": write.call.change(), "resource": write.resource, "title": write.title, "before": before, "after": after})
        })
        .collect();
    json!({"pipeline": plan.settings().pipeline, "add": add, "change": change, "remove": remove, "writes": writes, "kept": kept::of_plan(plan), "notes": plan.notes()})
}

/// What is left for later, for people's scripts.
pub fn waiting(plan: &Plan) -> Value {
    let one = |write: &Write| {
        json!({"account": write.account, "step": write.step, "article": write.step.article(), "action": write.call.action(),
            "resource": write.resource, "title": write.title})
    };
    plan.later().iter().map(one).collect()
}

/// The executions that an update among the writes would stop.
pub fn stops_a_run(writes: &[Write], snapshot: &Snapshot) -> Option<String> {
    let updates = writes.iter().any(|write| matches!(write.call, Call::UpdatePipeline { .. }));
    let running = &snapshot.pipeline.as_ref()?.running;
    (updates && !running.is_empty()).then(|| running.join(", "))
}

/// Names what comes next, as commands that can be pasted.
fn follow_ups(ui: &Ui, reach: &str) {
    ui.section("Recommended follow-up:");
    ui.result(&format!("  `xdeploy release FILE {reach}` uploads an artifact and follows it"));
    ui.result(&format!("  `xdeploy verify {reach}` reads everything again, also in CI"));
    ui.result("  `xdeploy ecs-check`, on a container host, where ECS tasks use what is deployed");
}
