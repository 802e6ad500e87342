//! `xdeploy verify`.

use super::reports::{ReportFlags, Reports};
use super::sides::{self, SideFlags};
use super::{panics, proof, session, setup, show, telling};
use crate::aws::Accounts;
use crate::deploy::observe::{Organisations, Purpose, second_opinion};
use crate::deploy::plan::{Callers, Plan};
use crate::deploy::proof::{Opinion, links, prove};
use crate::deploy::snapshot::Snapshot;
use crate::error::{Error, Kind, Result};
use crate::model::{Readable, Side, Verdict, counted};
use crate::settings::{CommonFlags, DeploymentFlags, Settings, with_file};
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub deployment: DeploymentFlags,
    /// Exit 2 if the proof holds but something differs from what setup would make
    #[arg(long, env = "XDEPLOY_DETAILED_EXITCODE", value_parser = FalseyValueParser::new())]
    pub detailed_exitcode: bool,
    /// Exit 5 if organisation policies can't be read, or a call that may not be needed isn't allowed
    #[arg(long, env = "XDEPLOY_STRICT", value_parser = FalseyValueParser::new())]
    pub strict: bool,
    /// Also ask IAM's own simulator about the roles' side of each call, and print where it disagrees
    #[arg(long, env = "XDEPLOY_SECOND_OPINION", value_parser = FalseyValueParser::new())]
    pub second_opinion: bool,
    #[command(flatten)]
    pub of_side: SideFlags,
    #[command(flatten)]
    pub reports: ReportFlags,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<u8> {
    let reports = Reports::ready(&args.reports, "verify")?;
    let outcome = async {
        if let Some(side) = args.of_side.side {
            return one_side(common, args, side, ui, &reports).await;
        }
        let settings = Settings::resolve(common, &args.deployment)?;
        let accounts = session::connect(ui, &settings).await?;
        session::introduce(ui, &accounts);
        on(&accounts, &settings, args, ui, &reports).await
    };
    let outcome = panics::finished(outcome).await;
    reports.finish(ui, outcome.map(|(code, document)| reports.result(ui, code, &document)))
}

/// Verifies two accounts, and gives the exit code and the JSON document.
///
/// # Errors
/// As the command.
pub async fn on(accounts: &Accounts, settings: &Settings, args: &Args, ui: &Ui, reports: &Reports) -> Result<(u8, Value)> {
    let snapshot = session::read(ui, accounts, settings, None, Organisations::Always).await.map_err(unread)?;
    judge(accounts, settings, snapshot, args, ui, reports).await
}

/// What couldn't be read can't be judged.
fn unread(error: Error) -> Error {
    match error.kind {
        Kind::Denied => Error { kind: Kind::CannotTell, ..error },
        _ => error,
    }
}

/// Verifies what one account holds, with what a hand-off tells of the other.
async fn one_side(common: &CommonFlags, args: &Args, side: Side, ui: &Ui, reports: &Reports) -> Result<(u8, Value)> {
    let (common, flags) = with_file(common, &args.deployment)?;
    let how = sides::How { side, file: args.of_side.handoff.clone(), reads_only: true, renew: false };
    let one = sides::open(ui, common, flags, &how).await?;
    sides::introduce(ui, &one);
    let snapshot = one.read(ui, Purpose::Setup).await.map_err(unread)?;
    judge(&one.accounts, &one.settings, snapshot, args, ui, reports).await
}

async fn judge(
    accounts: &Accounts,
    settings: &Settings,
    snapshot: Snapshot,
    args: &Args,
    ui: &Ui,
    reports: &Reports,
) -> Result<(u8, Value)> {
    let Some(live) = prove(settings, &snapshot)? else {
        return Err(Error::failed(format!(
            "there is no pipeline {} in {} of account {}",
            settings.pipeline, accounts.dev.region, accounts.dev.id
        ))
        .hint(match settings.side {
            Some(Side::Prod) => "development makes it with `xdeploy setup --side dev`, and sends the hand-off that tells of it",
            Some(Side::Dev) => "make it with `xdeploy setup --side dev`, or name another with `--pipeline` or `--region`",
            None => "make it with `xdeploy setup`, or name another with `--pipeline` or `--region`",
        }));
    };
    let callers = Callers { dev: accounts.dev.caller.to_string(), prod: accounts.prod.caller.to_string() };
    // The chain is judged also where setup would refuse to touch what is there.
    let plan = Plan::make(settings, callers, snapshot.clone(), None);
    let mended = proof::mended(&live, plan.as_ref().ok())?;
    ui.result(&format!("The calls of pipeline {}:", settings.pipeline));
    proof::show(ui, &live, &proof::Telling { snapshot: &snapshot, all: true, when: "", mended: &mended });
    let opinions: Option<Vec<Opinion>> = match args.second_opinion {
        true => {
            let links = links(settings, &snapshot)?;
            let answers = second_opinion(accounts, &links).await;
            Some(answers.into_iter().map(|(link, theirs)| Opinion::of(link, theirs)).collect())
        }
        false => None,
    };
    if let Some(opinions) = &opinions {
        compare(ui, opinions);
    }
    let differs = drift(ui, settings, &plan);
    let difference = match &plan {
        Ok(plan) => setup::summary(plan),
        Err(error) => json!({"refused": error.message, "causes": error.causes, "hints": error.hints}),
    };
    let mut document = json!({
        "schema": "xdeploy.verify/1",
        "accounts": session::accounts_json(accounts),
        "proof": proof::to_json(&live, &snapshot, &mended),
        "differs": differs,
        "plan": difference,
    });
    if let (Some(side), Ok(plan)) = (settings.side, &plan) {
        document["side"] = json!(side);
        document["waiting"] = setup::waiting(plan);
    }
    if let Some(opinions) = &opinions {
        let with_verdict = |opinion: &Opinion| {
            let mut value = json!(opinion);
            value["agrees"] = json!(opinion.agrees());
            value
        };
        document["secondOpinion"] = opinions.iter().map(with_verdict).collect();
    }
    reports.say(telling::of_verify(reports.command(), settings.pipeline.as_str(), &snapshot, &live, &mended, plan.as_ref(), &document));
    let verdict = if args.strict { live.strict_verdict() } else { live.verdict() };
    let code = match verdict {
        Verdict::Allowed if args.detailed_exitcode && differs => 2,
        verdict => proof::exit_code(verdict),
    };
    Ok((code, document))
}

/// Tells where IAM's simulator and the proof agree on the roles' side, and where they don't.
fn compare(ui: &Ui, opinions: &[Opinion]) {
    ui.result("");
    for opinion in opinions.iter().filter(|opinion| opinion.agrees() == Some(false)) {
        if let Readable::Known(theirs) = &opinion.theirs {
            ui.result(&format!("second opinion: {}: IAM says {theirs} of {}, xdeploy says {}", opinion.link, opinion.role, opinion.ours));
        }
    }
    let mut silent: Vec<&str> = opinions.iter().filter_map(|opinion| opinion.theirs.unknown()).collect();
    silent.dedup();
    for why in silent {
        ui.result(&format!("second opinion: IAM could not be asked: {why}"));
    }
    let agreed = opinions.iter().filter(|opinion| opinion.agrees() == Some(true)).count();
    ui.result(&format!("second opinion: IAM's simulator agrees on the roles' side of {agreed} of {} calls.", opinions.len()));
}

/// Tells what differs from what setup would make.
fn drift(ui: &Ui, settings: &Settings, plan: &Result<Plan>) -> bool {
    ui.result("");
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => {
            ui.result(&format!("`xdeploy setup` would refuse to change anything: {}", error.message));
            for line in error.causes.iter().chain(&error.hints) {
                ui.result(&format!("  {line}"));
            }
            return true;
        }
    };
    if let Some(side) = settings.side {
        show::later(ui, plan, side);
    }
    if plan.is_empty() {
        show::plan(ui, plan);
        return !plan.later().is_empty();
    }
    let snapshot = plan.snapshot();
    ui.result(&format!("Pipeline {} differs from what setup would make:", settings.pipeline));
    show::writes(ui, plan.writes(), &[], &snapshot.dev, &snapshot.prod);
    for note in plan.notes() {
        ui.section(&format!("{}: {}", if note.warning { "warning" } else { "note" }, note.text));
    }
    let count = plan.writes().len();
    ui.section(&format!("{}.", counted(count, "difference; `xdeploy setup` mends it", "differences; `xdeploy setup` mends them")));
    true
}
