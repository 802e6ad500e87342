//! The command line: one file a command; resolves, asks, calls, prints.

mod apply;
mod ask;
mod ci;
mod completions;
mod ecs_check;
mod empty;
mod explain;
mod export;
mod lock;
mod man;
mod mfa;
mod panics;
mod permissions;
mod plan;
mod proof;
mod rehearse;
mod release;
mod reports;
mod schema;
mod session;
mod setup;
mod show;
mod sides;
mod simulate;
mod teardown;
mod telling;
mod verify;
mod version;
mod who_am_i;
mod wizard;

use crate::error::{Error, Kind, Result};
use crate::model::{ColorWhen, OutputFormat};
use crate::settings::{CommonFlags, is_empty_variable, variable};
use crate::ui::signals::TerminationSignals;
use crate::ui::{self, Ui};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

const EXIT_CODES: &str = "Exit codes: 0 done, nothing to do, or all good; 1 failed; 2 differences, only with --detailed-exitcode; \
3 refused or cancelled; 4 no usable credentials or the wrong account; 5 could not tell; 64 bad command line; 130 interrupted.";

const START: &str = "Start here:
  xdeploy rehearse    see all of it work on two accounts in memory; needs no AWS account
  xdeploy setup       in a terminal it asks for what it needs; nothing changes before you say yes
  xdeploy ecs-check   on a container host: why a task gets \"Access Denied\"";

/// Sets up, checks, uses and undoes cross-account S3 deployments with AWS CodePipeline.
///
/// A pipeline in a development account deploys to a bucket of a production account, which then owns the objects.
#[derive(Debug, Parser)]
#[command(name = "xdeploy", version, long_version = version::LONG.as_str(), propagate_version = true, max_term_width = 100, before_help = START, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    common: CommonFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build or complete the cross-account deployment: plan, prove, ask, apply, read back
    Setup(Box<setup::Args>),
    /// Show what setup would do, prove that it would work, and change nothing
    Plan(Box<plan::Args>),
    /// Do exactly what a saved plan says, or refuse and say what moved
    Apply(apply::Args),
    /// Prove on what is there that each call of the pipeline's source and deploy is allowed, and say what differs
    Verify(Box<verify::Args>),
    /// Upload an artifact, follow the pipeline, and list what arrived and who owns it
    Release(release::Args),
    /// Say why a run failed, or nothing ran, or what a message, a rule or a call of the chain means, and what mends it
    Explain(Box<explain::Args>),
    /// Remove what xdeploy made, and take its statements out of what others own
    Teardown(Box<teardown::Args>),
    /// Try it without AWS: the real setup and a run of the pipeline, on two accounts in memory that enforce every policy
    Rehearse(Box<rehearse::Args>),
    /// Print the IAM policy that a command's own user needs, without asking AWS
    Permissions(Box<permissions::Args>),
    /// Write what setup would do as CloudFormation, Terraform or a shell script, to be reviewed and run without xdeploy
    Export(Box<export::Args>),
    /// Print a workflow for GitHub Actions or GitLab: plan on pull requests, apply after an approval, verify on a schedule
    Ci(Box<ci::Args>),
    /// Decide requests offline from the policies that they bring, without asking AWS
    Simulate(simulate::Args),
    /// On a container host: say which identity each task really uses, and what stands between it and its task role
    EcsCheck(Box<ecs_check::Args>),
    /// Say who both profiles are
    WhoAmI,
    /// Print the JSON Schema of a document that `--output json` prints
    Schema(schema::Args),
    /// Print the script that completes commands, flags, profiles and pipelines in a shell
    Completions(completions::Args),
    /// Print the manual page, or write the pages of all commands
    Man(man::Args),
}

/// Set by Ctrl-C, and by apply while it must finish the calls under way.
#[derive(Debug, Default)]
pub struct Stop {
    /// Somebody asked to stop.
    pub asked: AtomicBool,
    /// Apply is writing, so that calls under way must be finished.
    pub applying: AtomicBool,
    /// Everything is told and only a server goes on, which is meant to be ended so: the exit code.
    pub serving: OnceLock<u8>,
}

/// Parses, runs, and gives the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    panics::watch();
    let args: Vec<OsString> = args.into_iter().collect();
    panics::caught(|| started(&args)).unwrap_or_else(|error| {
        let format = if asks_for_json(&args) { OutputFormat::Json } else { OutputFormat::Text };
        ask::show_error(&Ui::new(ColorWhen::Auto, format, false), &error);
        error.kind.exit_code()
    })
}

/// Reads the command line; a variable of ours that is empty counts as unset.
fn parsed(args: &[OsString]) -> std::result::Result<Cli, clap::Error> {
    let mut command = empty::forgotten(Cli::command(), &is_empty_variable);
    let mut matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

fn started(args: &[OsString]) -> u8 {
    if let Some(code) = completions::answered(args) {
        return code;
    }
    let cli = match parsed(args) {
        Ok(cli) => cli,
        // clap's own code for a wrong flag is 2, which would read as "changes" in CI (`conventions.md`).
        Err(error) => return if mistake(&error, args) { Kind::Usage.exit_code() } else { 0 },
    };
    panics::provoked("start");
    let in_ci = variable("CI").is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    let ui = Ui::new(cli.common.color, cli.common.output, !cli.common.no_input && !in_ci).with_mfa_codes(cli.common.mfa_code.clone());
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            ask::show_error(&ui, &Error::internal(format!("the runtime can't start: {error}")));
            return 1;
        }
    };
    let stop = Stop::default();
    let outcome = runtime.block_on(async {
        // Before the command begins: a signal that comes with its first call must not end the process as if nobody listened.
        let signals = TerminationSignals::listen();
        tokio::select! {
            outcome = panics::finished(run(&cli, &ui, &stop)) => outcome,
            interrupted = interruption(signals, &ui, &stop) => stop.serving.get().copied().ok_or(interrupted),
        }
    });
    runtime.shutdown_background();
    let code = match (outcome, panics::first()) {
        // Something beside the command stopped, so that what the command says can't be relied on.
        (Ok(_), Some(error)) => {
            ui.failure(&error.message, &error.causes, &error.hints);
            error.kind.exit_code()
        }
        (Ok(code), None) => code,
        (Err(error), _) => {
            ask::show_error(&ui, &error);
            error.kind.exit_code()
        }
    };
    match ui.unwritten() {
        Some(why) if code == 0 => {
            let error = Error::failed("the result could not be written to standard output")
                .because(why.to_string())
                .hint("make room on the disk, or write somewhere else");
            ask::show_error(&ui, &error);
            1
        }
        _ => code,
    }
}

/// Says whether the command line or the environment asks for JSON, without the argument parser.
fn asks_for_json(args: &[OsString]) -> bool {
    let flag = args.iter().any(|arg| arg == "--output=json") || args.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
    flag || variable("XDEPLOY_OUTPUT").is_some_and(|format| format == "json")
}

/// Prints what the argument parser has to say, a mistake also as JSON where that was asked for.
fn mistake(error: &clap::Error, args: &[OsString]) -> bool {
    let mistake = ui::print_clap(error);
    if mistake && asks_for_json(args) {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let ui = Ui::new(ColorWhen::Never, OutputFormat::Json, false);
        ui.json(&ask::error_document(&Error::usage(message).hint("try `--help`")));
    }
    mistake
}

/// Waits for a signal to end: at once while reading, after the calls under way while writing.
async fn interruption(mut signals: TerminationSignals, ui: &Ui, stop: &Stop) -> Error {
    let asked = || Error::new(Kind::Interrupted, "interrupted").hint("run the same command again: what is done stays done");
    loop {
        signals.recv().await;
        if !stop.applying.load(Ordering::SeqCst) || stop.asked.swap(true, Ordering::SeqCst) {
            return asked();
        }
        ui.status("interrupted: finishing the calls under way (once more to stop at once)");
    }
}

async fn run(cli: &Cli, ui: &Ui, stop: &Stop) -> Result<u8> {
    panics::provoked("command");
    let common = &cli.common;
    match &cli.command {
        Command::Setup(args) => Box::pin(setup::run(common, args, ui, stop)).await,
        Command::Plan(args) => Box::pin(plan::run(common, args, ui)).await,
        Command::Apply(args) => Box::pin(apply::run(common, args, ui, stop)).await,
        Command::Verify(args) => Box::pin(verify::run(common, args, ui)).await,
        Command::Release(args) => Box::pin(release::run(common, args, ui)).await,
        Command::Explain(args) => Box::pin(explain::run(common, args, ui)).await,
        Command::Teardown(args) => Box::pin(teardown::run(common, args, ui, stop)).await,
        Command::Rehearse(args) => Box::pin(rehearse::run(common, args, ui, stop)).await,
        Command::Permissions(args) => permissions::run(common, args, ui),
        Command::Export(args) => Box::pin(export::run(common, args, ui)).await,
        Command::Ci(args) => ci::run(common, args, ui),
        Command::Simulate(args) => simulate::run(args).await,
        Command::EcsCheck(args) => Box::pin(ecs_check::run(common, args, ui, stop)).await,
        Command::Schema(args) => schema::run(args, ui),
        Command::Completions(args) => completions::run(args, ui),
        Command::Man(args) => man::run(args, ui),
        Command::WhoAmI => Box::pin(who_am_i::run(common, ui)).await,
    }
}
