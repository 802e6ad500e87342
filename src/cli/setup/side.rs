//! `xdeploy setup --side`: one account's part, and the hand-off to the other.

use super::{Args, summary, waiting};
use crate::cli::reports::Reports;
use crate::cli::session::IfDenied;
use crate::cli::sides::{self, OneSide};
use crate::cli::{Stop, ask, lock, proof, session, show, telling};
use crate::deploy::handoff::{self, Handoff};
use crate::deploy::observe::Purpose;
use crate::deploy::plan::Plan;
use crate::deploy::proof::Proof;
use crate::deploy::write::Artifact;
use crate::error::{Error, Kind, Result};
use crate::model::{Side, Verdict, quoted};
use crate::settings::{CommonFlags, with_file};
use crate::ui::Ui;
use serde_json::{Value, json};

/// Does one side's part.
///
/// # Errors
/// As the command.
pub async fn run(common: &CommonFlags, args: &Args, side: Side, ui: &Ui, stop: &Stop, reports: &Reports) -> Result<u8> {
    let (common, flags) = with_file(common, &args.deployment)?;
    let how =
        sides::How { side, file: args.of_side.handoff.clone(), reads_only: args.dry_run && side == Side::Prod, renew: args.renew_handoff };
    let one = sides::open(ui, common, flags, &how).await?;
    let artifact = match (&args.artifact, side) {
        (Some(_), Side::Prod) => {
            return Err(
                Error::usage("an artifact is uploaded to the development account").hint("leave `--artifact` out with `--side prod`")
            );
        }
        (file, _) => session::artifact(file.as_deref(), !one.settings.no_extract)?,
    };
    sides::introduce(ui, &one);
    let dev = &one.accounts.dev;
    let _lock = if args.dry_run { None } else { Some(lock::take(ui, &dev.id, &dev.region, one.settings.pipeline.as_str())?) };
    let (code, document) = on(&one, args, artifact, ui, stop, reports).await?;
    Ok(reports.result(ui, code, &document))
}

async fn on(one: &OneSide, args: &Args, artifact: Option<Artifact>, ui: &Ui, stop: &Stop, reports: &Reports) -> Result<(u8, Value)> {
    let purpose = if artifact.is_some() { Purpose::WithArtifact } else { Purpose::Setup };
    let snapshot = one.read(ui, purpose).await?;
    let plan = one.plan(snapshot, artifact)?;
    if !args.renew_handoff {
        one.refuse_moved(&plan)?;
    }
    show::plan(ui, &plan);
    show::later(ui, &plan, one.side);
    let proven = proof::of_plan(&plan)?;
    proof::show(ui, &proven, &proof::Telling { snapshot: plan.snapshot(), all: false, when: "", mended: &[] });
    let mut document = json!({
        "schema": "xdeploy.setup/1",
        "accounts": session::accounts_json(&one.accounts),
        "side": one.side,
        "plan": summary(&plan),
        "waiting": waiting(&plan),
        "proof": proof::to_json(&proven, plan.snapshot(), &[]),
        "applied": false,
    });
    reports.say(telling::of_plan(reports.command(), &plan, &proven, &document));
    let if_denied = IfDenied::by_flags(args.dry_run, args.accept_broken);
    session::check_callers(ui, &one.accounts, (plan.writes(), plan.snapshot()), &plan.pipeline_arn(), if_denied, &mut document).await?;
    if args.dry_run {
        if !plan.is_empty() {
            ui.status("nothing was changed: this was a dry run");
        }
        return Ok((code_of(&proven), document));
    }
    if plan.is_empty() {
        finish(one, &plan, ui, &mut document)?;
        return Ok((code_of(&proven), document));
    }
    proof::refuse_broken(&proven, args.strict, args.accept_broken)?;
    let wait = super::wait_for_runs(&one.settings, &plan, args, ui)?;
    agreed(one, &plan, args, ui)?;
    let applied = session::apply_writes(&one.accounts, plan.writes(), &plan.pipeline_arn(), wait, ui, stop).await;
    applied.map_err(|error| match error.kind {
        Kind::Interrupted => error,
        _ if one.handoff.is_none() => error,
        _ => error.hint(format!(
            "{0} may tell what isn't so any more: ask {1} to run its command again",
            one.path.display(),
            one.side.other()
        )),
    })?;
    let (add, change, remove) = plan.counts();
    ui.section(&format!("Done: {add} added, {change} changed, {remove} removed."));
    document["applied"] = json!(true);
    let (again, settled) = read_again(one, &proven, ui).await?;
    let proven_again = proof::of_plan(&again)?;
    ui.result(&format!("{}.", proof::count_line(&proven_again, " as read back")));
    document["proofAfter"] = proof::to_json(&proven_again, again.snapshot(), &[]);
    document["waiting"] = waiting(&again);
    if !settled {
        ui.warning("what was written isn't to be seen yet, so the hand-off isn't written; run the same command again in a minute");
        return Ok((5, document));
    }
    finish(one, &again, ui, &mut document)?;
    let worse = proven_again.verdict() > proven.verdict();
    Ok((if worse { proof::exit_code(proven_again.verdict()) } else { 0 }, document))
}

/// What rests on a hand-off's word is never certain, so that what can't be told is no failure here.
fn code_of(proven: &Proof) -> u8 {
    match proven.verdict() {
        Verdict::CannotTell => 0,
        verdict => proof::exit_code(verdict),
    }
}

/// Asks; production's own words are needed for who is let in, and what may be written.
fn agreed(one: &OneSide, plan: &Plan, args: &Args, ui: &Ui) -> Result<()> {
    let trusted = if one.side == Side::Prod { handoff::trusted(&one.settings, plan.snapshot())? } else { Vec::new() };
    for line in &trusted {
        ui.warning(line);
    }
    if args.yes {
        if one.handoff.is_some() && !one.unsaid.is_empty() {
            return Err(Error::refused(format!("with --yes it is not for the hand-off alone to say {}", told_of(&one.unsaid)))
                .hint(format!("pass {}, from another source than the file", one.unsaid.join(" and ")))
                .hint("or leave `--yes` out, and look at the plan"));
        }
        if !trusted.is_empty() {
            let error = Error::refused("the hand-off says what somebody must look at; nothing was changed")
                .hint("leave `--yes` out, and look at the plan");
            return Err(trusted.into_iter().fold(error, Error::because));
        }
        return Ok(());
    }
    let snapshot = plan.snapshot();
    let question = match one.side {
        Side::Prod => format!(
            "Let pipeline {} of account {} deploy to {}: apply this plan?",
            one.settings.pipeline, snapshot.dev.account, snapshot.output.name
        ),
        Side::Dev => "Apply this plan?".to_owned(),
    };
    let instead = match one.unsaid.as_slice() {
        [] => "pass `--yes`".to_owned(),
        unsaid => format!("pass `--yes` and {}", unsaid.join(" and ")),
    };
    if ask::confirm(ui, &question, &instead)? { Ok(()) } else { Err(ask::cancelled()) }
}

fn told_of(unsaid: &[&str]) -> String {
    let words = unsaid.iter().map(|flag| match *flag {
        "--dev-account" => "who is let in",
        _ => "what may be written",
    });
    words.collect::<Vec<_>>().join(" and ")
}

/// Reads everything again, patiently, until nothing of what was written is missing; says whether that came.
async fn read_again(one: &OneSide, before: &Proof, ui: &Ui) -> Result<(Plan, bool)> {
    let read = async || {
        let plan = one.plan(one.read(ui, Purpose::Setup).await?, None)?;
        let verdict = proof::of_plan(&plan)?.verdict();
        Ok::<_, Error>((plan, verdict))
    };
    let settled = |outcome: &Result<(Plan, Verdict)>| match outcome {
        Ok((plan, verdict)) => plan.is_empty() && *verdict <= before.verdict(),
        Err(error) => error.kind == Kind::Denied,
    };
    let (plan, _) = proof::patiently(ui, read, settled).await?;
    let settled = plan.is_empty();
    Ok((plan, settled))
}

/// Writes the hand-off, and says what to send to whom.
fn finish(one: &OneSide, plan: &Plan, ui: &Ui, document: &mut Value) -> Result<()> {
    let told = one.tell(plan)?;
    document["handoff"] = json!(one.path.display().to_string());
    let works = proof::of_plan(plan)?.verdict() != Verdict::Denied;
    document["complete"] = json!(plan.later().is_empty() && works);
    if plan.later().is_empty() && !works {
        ui.section("Both sides have written what they should, but the pipeline would still fail: the proof above says where.");
        return Ok(());
    }
    for line in next(one, plan, &told) {
        ui.result(&line);
    }
    Ok(())
}

/// What comes next, in a line or two that can be sent.
fn next(one: &OneSide, plan: &Plan, told: &Handoff) -> Vec<String> {
    let (file, below) = (quoted(&one.path.display().to_string()), String::new());
    let (side, other) = (one.side, one.side.other());
    // Production looks at what it was told only when it runs; development's last run asks CodePipeline itself.
    let handed_back = side == Side::Prod && told.half(Side::Dev).is_some() && plan.later().is_empty();
    match plan.later().first() {
        None if handed_back => {
            vec![below, format!("Both sides are done. {file} says so; development needs it only if it hasn't seen production's part yet.")]
        }
        None => vec![
            below,
            format!("Both sides are done: the pipeline is complete. {file} says so, for the other side's records."),
            format!("  `xdeploy verify --side {side} {}--handoff {file}` reads it again", of_other(one)),
        ],
        Some(_) => {
            let fail = match told.open.links.as_slice() {
                [] => Vec::new(),
                links => vec![below.clone(), format!("These calls of the pipeline need what is left: {}.", links.join(", "))],
            };
            let to = format!("Send {file} to whoever runs {} ({})", other.long(), one.accounts.of(other).id);
            let (pipeline, account) = (&one.settings.pipeline, &one.accounts.of(side).id);
            let send = match (other, told.half(Side::Dev).is_some()) {
                (Side::Prod, _) => vec![
                    below,
                    format!("{to}; there:"),
                    format!("  xdeploy setup --side prod --prod-profile PROFILE --dev-account {account} --handoff {file}"),
                ],
                // What development decided it says itself.
                (Side::Dev, true) => {
                    vec![below, format!("{to}, who runs the same `xdeploy setup --side dev` again with `--handoff {file}`.")]
                }
                (Side::Dev, false) => vec![
                    below,
                    format!("{to}; there:"),
                    format!(
                        "  xdeploy setup --side dev --dev-profile PROFILE --pipeline {pipeline} --prod-account {account} --input-bucket BUCKET --handoff {file}"
                    ),
                ],
            };
            [fail, send].concat()
        }
    }
}

fn of_other(one: &OneSide) -> String {
    let (side, other) = (one.side, one.side.other());
    let profile = match side {
        Side::Dev => &one.settings.dev_profile,
        Side::Prod => &one.settings.prod_profile,
    };
    let region = one.settings.region.as_ref().map(|region| format!("--region {region} ")).unwrap_or_default();
    let (pipeline, account) = (&one.settings.pipeline, &one.accounts.of(other).id);
    format!("--{side}-profile {} --{other}-account {account} --pipeline {pipeline} {region}", quoted(profile))
}
