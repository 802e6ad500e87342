//! `xdeploy completions`, and the answers that its script asks for at each Tab.

use super::Cli;
use crate::aws::profile::Profiles;
use crate::deploy::chain::ROWS;
use crate::error::{Error, Result};
use crate::report;
use crate::settings::{named_pipelines, variable};
use crate::ui::{self, Ui};
use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use std::ffi::{OsStr, OsString};

/// What the script sets to ask for candidates instead of running the command; the value is the shell.
const ASKED: &str = "COMPLETE_XDEPLOY";

/// A shell that completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// For ~/.bashrc.
    Bash,
    /// For ~/.zshrc, after compinit.
    Zsh,
    /// For ~/.config/fish/completions/xdeploy.fish.
    Fish,
    /// For $PROFILE.
    Powershell,
}

#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  source <(xdeploy completions bash)        # in ~/.bashrc\n  source <(xdeploy completions zsh)         # in ~/.zshrc\n  xdeploy completions fish | source         # in config.fish\n  xdeploy completions powershell | Out-String | Invoke-Expression"
)]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints the script that makes a shell ask this program.
pub fn run(args: &Args, ui: &Ui) -> Result<u8> {
    let name = args.shell.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let completer = shells.completer(&name).ok_or_else(|| Error::internal(format!("there is no completion for {name}")))?;
    completer
        .write_registration(ASKED, "xdeploy", "xdeploy", "xdeploy", &mut script)
        .map_err(|error| Error::internal(error.to_string()))?;
    let script = String::from_utf8_lossy(&script).into_owned();
    ui.document(script.trim_end());
    ui.json(&serde_json::json!({"schema": "xdeploy.completions/1", "shell": name, "script": script}));
    Ok(0)
}

/// Answers a Tab, if that is what this process was started for, and gives the exit code.
pub fn answered(args: &[OsString]) -> Option<u8> {
    variable(ASKED)?;
    let folder = std::env::current_dir().ok();
    match CompleteEnv::with_factory(command).var(ASKED).try_complete(args.iter().cloned(), folder.as_deref()) {
        Ok(true) => Some(0),
        Ok(false) => None,
        Err(error) => {
            ui::print_clap(&error);
            Some(1)
        }
    }
}

type Names = fn() -> Vec<String>;

/// The arguments whose values are known without asking AWS: the command, or none for a flag of every command, the argument, its values.
const KNOWN: [(Option<&str>, &str, Names); 4] = [
    (None, "dev_profile", profiles),
    (None, "prod_profile", profiles),
    (Some("ecs-check"), "profile", profiles),
    (Some("schema"), "name", || report::schemas().map(|(name, _)| name.to_owned()).collect()),
];

/// The parser with what its values may be.
fn command() -> Command {
    let mut command = Cli::command();
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |sub| {
            let sub = with(sub, "pipeline", named_pipelines);
            with(sub, "link", || ROWS.iter().map(|row| row.name.to_owned()).chain(["list".to_owned()]).collect())
        });
    }
    for (sub, argument, values) in KNOWN {
        command = match sub {
            Some(sub) => command.mut_subcommand(sub, |sub| with(sub, argument, values)),
            None => with(command, argument, values),
        };
    }
    command
}

fn with(command: Command, argument: &str, values: Names) -> Command {
    if !command.get_arguments().any(|there| there.get_id() == argument) {
        return command;
    }
    let candidates = move |typed: &OsStr| -> Vec<CompletionCandidate> {
        let typed = typed.to_string_lossy();
        values().into_iter().filter(|value| value.starts_with(&*typed)).map(CompletionCandidate::new).collect()
    };
    command.mut_arg(argument, |argument| argument.add(ArgValueCompleter::new(candidates)))
}

/// The profiles of the AWS files; none if they can't be read, since a Tab is no place for an error.
fn profiles() -> Vec<String> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    runtime.block_on(Profiles::load()).map(|profiles| profiles.names()).unwrap_or_default()
}
