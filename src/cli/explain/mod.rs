//! `xdeploy explain`.

mod rule;
mod tell;

use super::{proof, session};
use crate::aws::Accounts;
use crate::deploy::failures::gather::{self, Failed, Outcome, Run, Runs};
use crate::deploy::failures::{
    Asked, Evidence, Explanation, Kind as Sort, Readings, Symptom, explain, explain_unread, redact, redact_pasted,
};
use crate::deploy::observe::Organisations;
use crate::deploy::plan::{Callers, Plan};
use crate::deploy::proof::{Proof, prove};
use crate::deploy::release::{self, Route};
use crate::deploy::snapshot::Snapshot;
use crate::ecs::denial::{self, Denial, Principal};
use crate::error::{Error, Kind, Result};
use crate::settings::{CommonFlags, DeploymentFlags, Settings};
use crate::ui::{self, Ui};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long an upload's event may take to start the pipeline (not in the facts; polling looks about once a minute).
const EVENT_TIME: Duration = Duration::from_secs(120);

#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Without WHAT it reads the pipeline's last run. A message is explained by its text alone where no profile is named; with profiles both accounts are read and proven, so that rows with the same text are told apart. Nothing is changed.\n\nExamples:\n  xdeploy explain --pipeline crossaccountdeploy\n  xdeploy explain - < message.txt\n  xdeploy explain XD-CP-006\n  xdeploy explain deploy-decrypt"
)]
pub struct Args {
    /// `-` for a message on standard input, a rule such as XD-CP-006 or XD-ECS-010, or a call of the chain such as deploy-decrypt
    #[arg(value_name = "WHAT")]
    pub what: Option<String>,
    /// Without WHAT: explain this execution instead of the newest that has ended
    #[arg(long, value_name = "ID", env = "XDEPLOY_EXECUTION")]
    pub execution: Option<String>,
    #[command(flatten)]
    pub deployment: DeploymentFlags,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<u8> {
    match args.what.as_deref() {
        None => of_pipeline(common, args, ui).await,
        Some("-") => pasted(common, args, ui).await,
        Some(what) => rule::explain(ui, what),
    }
}

/// What was read of both accounts.
struct Seen {
    snapshot: Snapshot,
    proof: Proof,
    readings: Readings,
    mended: Vec<String>,
}

impl Seen {
    fn evidence(&self, settings: &Settings) -> Result<Option<Evidence<'_>>> {
        Evidence::of(settings, &self.snapshot, &self.proof, &self.readings, &self.mended)
    }
}

/// Reads and proves both accounts, and what an explanation needs besides.
async fn look(ui: &Ui, accounts: &Accounts, settings: &Settings, route: &Route, runs: &Runs) -> Result<Seen> {
    let snapshot = session::read(ui, accounts, settings, None, Organisations::Always).await?;
    let live = prove(settings, &snapshot)?.ok_or_else(|| {
        Error::failed(format!("there is no pipeline {}", settings.pipeline))
            .hint("make it with `xdeploy setup`, or name another with `--pipeline`")
    })?;
    let callers = Callers { dev: accounts.dev.caller.to_string(), prod: accounts.prod.caller.to_string() };
    let plan = Plan::make(settings, callers, snapshot.clone(), None);
    let mended = proof::mended(&live, plan.as_ref().ok())?;
    let readings = gather::readings(accounts, route, &snapshot, runs).await;
    Ok(Seen { snapshot, proof: live, readings, mended })
}

/// What is said where the accounts can't be read: the text alone decides then.
fn unread(error: Error) -> Result<String> {
    match error.kind {
        Kind::Credentials | Kind::Usage | Kind::Interrupted | Kind::Internal => Err(error),
        _ => Ok(redact(&[&[error.message][..], &error.causes].concat().join(": "))),
    }
}

/// Explains with what was read, or without.
fn judged(symptom: &Symptom, settings: &Settings, seen: &std::result::Result<Seen, String>) -> Result<Explanation> {
    Ok(match seen {
        Ok(seen) => explain(symptom, seen.evidence(settings)?.as_ref()),
        Err(why) => explain_unread(symptom, why),
    })
}

/// Explains the last run of a pipeline, or that there is none.
async fn of_pipeline(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<u8> {
    let settings = Settings::resolve(common, &args.deployment)?;
    let accounts = session::connect(ui, &settings).await?;
    session::introduce(ui, &accounts);
    let route = release::route(&accounts, &settings).await?;
    let found = crate::deploy::observe::read_pipeline_version(&accounts.dev, &route.home, &route.pipeline, None).await?;
    let declaration = found.as_ref().map(|found| &found.declaration);
    let runs = gather::runs(&accounts, &route, declaration, args.execution.as_deref()).await?;
    let seen = match look(ui, &accounts, &settings, &route, &runs).await {
        Ok(seen) => Ok(seen),
        Err(error) => Err(unread(error)?),
    };
    let unheard = args.execution.is_none() && seen.as_ref().is_ok_and(|seen| gather::started_nothing(&runs, &seen.readings.source));
    if let (true, Some(age)) = (unheard, seen.as_ref().ok().and_then(|seen| age(&seen.readings)).filter(|age| *age < EVENT_TIME)) {
        ui.status(&format!("the upload is {} old: its event may still be on the way", humantime::format_duration(age)));
    }
    let newer = runs.run.as_ref().is_some_and(|run| runs.newest.is_some_and(|newest| newest > run.started));
    if newer && args.execution.is_none() {
        ui.status("a newer execution is under way or was stopped; this is the newest that failed or succeeded");
    }
    let symptom = match &runs.run {
        _ if unheard => Symptom::not_started(),
        Some(run) => match run.outcome() {
            Outcome::Failed(Failed { state, category }) => {
                Symptom::of_action(category, state.code.as_deref(), state.message.as_deref().unwrap_or_default())
            }
            Outcome::Succeeded => Symptom::green(),
            Outcome::Unexplained => {
                nothing_failed(ui, &route, run, "none of its actions failed, so CodePipeline says no more of it; the console may");
                return Ok(Kind::CannotTell.exit_code());
            }
            Outcome::Neither(words) => {
                nothing_failed(ui, &route, run, words);
                return Ok(0);
            }
        },
        None => return nothing_ran(ui, &route, &settings),
    };
    let explanation = judged(&symptom, &settings, &seen)?;
    tell::run(ui, &route, runs.run.as_ref(), &explanation);
    let mut document = tell::document(&explanation);
    document["accounts"] = session::accounts_json(&accounts);
    document["pipeline"] = json!(route.pipeline);
    document["execution"] = runs.run.as_ref().map_or(Value::Null, execution);
    ui.json(&document);
    Ok(exit_code(&explanation))
}

/// How long ago the source object was uploaded, in whole seconds.
fn age(readings: &Readings) -> Option<Duration> {
    let modified = u64::try_from(readings.source.known()?.as_ref()?.modified).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(now.saturating_sub(modified)))
}

/// A pipeline that hasn't run, and has nothing to run on.
fn nothing_ran(ui: &Ui, route: &Route, settings: &Settings) -> Result<u8> {
    let release = Asked::of(settings).xdeploy("release FILE", &route.pipeline);
    ui.result(&format!(
        "Pipeline {} has no run that failed or succeeded, and no upload waits for one: `{release}` makes one.",
        route.pipeline
    ));
    ui.json(&json!({"schema": "xdeploy.explain/1", "kind": "failure", "pipeline": route.pipeline, "execution": null, "causes": []}));
    Ok(0)
}

/// Tells of a run that has nothing to explain: it is under way, was stopped, or ended without an action that failed.
fn nothing_failed(ui: &Ui, route: &Route, run: &Run, words: &str) {
    ui.result(&format!("Pipeline {}, execution {}: {}; {words}.", route.pipeline, run.id, run.status));
    if let Some(Failed { state, .. }) = &run.failed {
        let said = redact(state.message.as_deref().unwrap_or_default());
        ui.result(&format!("Its action {}/{} failed all the same: {said}", state.stage, state.action));
    }
    let execution = execution(run);
    ui.json(&json!({"schema": "xdeploy.explain/1", "kind": "failure", "pipeline": route.pipeline, "execution": execution, "causes": []}));
}

/// Gives a run as JSON.
fn execution(run: &Run) -> Value {
    let failed = run.failed.as_ref().map(|failed| json!({"stage": failed.state.stage, "action": failed.state.action}));
    json!({"id": run.id, "status": run.status, "failed": failed})
}

/// 5 where nobody can tell why; a run that succeeded has nothing to tell.
fn exit_code(explanation: &Explanation) -> u8 {
    let told = !explanation.causes.is_empty() || explanation.symptom.kind == Sort::Green;
    if told { 0 } else { Kind::CannotTell.exit_code() }
}

/// Explains a message from standard input; with profiles also by what both accounts hold.
async fn pasted(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<u8> {
    let text = tokio::task::spawn_blocking(ui::read_input).await.map_err(|error| Error::internal(error.to_string()))?;
    let text = text.map_err(|error| {
        Error::failed("could not read the message from standard input")
            .because(error.to_string())
            .hint("pipe it in: `xdeploy explain - < message.txt`")
    })?;
    if text.trim().is_empty() {
        return Err(Error::usage("there is no message on standard input").hint("pipe it in: `xdeploy explain - < message.txt`"));
    }
    let denial = denial::explain(&redact_pasted(&text));
    if is_of_ecs(&denial) {
        tell_ecs(ui, &denial);
        return Ok(0);
    }
    let symptom = Symptom::pasted(&text);
    let explanation = if Settings::names_profile(common)? {
        let settings = Settings::resolve(common, &args.deployment)?;
        let accounts = session::connect(ui, &settings).await?;
        session::introduce(ui, &accounts);
        let seen = async {
            let route = release::route(&accounts, &settings).await?;
            let runs = gather::runs(&accounts, &route, None, None).await.unwrap_or_default();
            look(ui, &accounts, &settings, &route, &runs).await
        };
        let seen = match seen.await {
            Ok(seen) => Ok(seen),
            Err(error) => Err(unread(error)?),
        };
        judged(&symptom, &settings, &seen)?
    } else {
        ui.status(
            "no profile is named, so the text alone is looked at; with `--dev-profile` and `--prod-profile` both accounts are proven",
        );
        explain(&symptom, None)
    };
    tell::pasted(ui, &explanation);
    ui.json(&tell::document(&explanation));
    Ok(exit_code(&explanation))
}

/// Says whether a message is of an application on ECS.
fn is_of_ecs(denial: &Denial) -> bool {
    matches!(denial.principal, Principal::Instance | Principal::ManagedInstance | Principal::Task)
}

/// A message of an ECS task is about who it is, not about the pipeline (facts/ecs.md C.1).
fn tell_ecs(ui: &Ui, denial: &Denial) {
    ui.result(&format!("This is no message of a pipeline but of ECS: {}.", denial.meaning));
    for advice in &denial.advice {
        ui.result(&format!("  {advice}"));
    }
    let run = "xdeploy ecs-check --explain-error TEXT";
    ui.section(&format!("`{run}` explains such messages, `xdeploy ecs-check` looks at the container host."));
    ui.json(&json!({"schema": "xdeploy.explain/1", "kind": "ecs-denial", "denial": denial, "run": run}));
}
