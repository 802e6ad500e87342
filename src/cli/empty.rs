//! A variable of ours that is empty counts as unset: CI writes those all the time.

use clap::Command;
use clap::builder::Resettable;
use std::ffi::OsStr;

/// Takes the variables that are empty from the flags of a command and of all below it.
pub fn forgotten(command: Command, is_empty: &dyn Fn(&OsStr) -> bool) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = command.mut_args(|arg| match arg.get_env() {
        Some(name) if is_empty(name) => arg.env(Resettable::Reset),
        _ => arg,
    });
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, |sub| forgotten(sub, is_empty)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn variables(command: &Command) -> usize {
        let own = command.get_arguments().filter(|arg| arg.get_env().is_some()).count();
        own + command.get_subcommands().map(variables).sum::<usize>()
    }

    #[test]
    fn no_flag_of_any_command_keeps_an_empty_variable() {
        let all = variables(&Cli::command());
        assert!(all > 100, "{all} variables were found, so the search is wrong");
        assert_eq!(variables(&forgotten(Cli::command(), &|_| true)), 0);
        assert_eq!(variables(&forgotten(Cli::command(), &|_| false)), all);
    }
}
