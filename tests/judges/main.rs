//! The program judged by software of others: AWS emulators, the AWS CLI, cfn-lint, shellcheck, Terraform.
//!
//! A binary of its own, because a test of libtest can't say while it runs that it was skipped and what it lacks. With
//! `XDEPLOY_JUDGES=must`, as in the gate, what is missing is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod needs;

/// Makes trials of the functions of a module.
macro_rules! trials {
    ($needs:expr; $($name:ident),* $(,)?) => {
        vec![$($crate::needs::trial(concat!(module_path!(), "::", stringify!($name)), $needs, $name)),*]
    };
}

mod adoption;
mod agreement;
mod article;
mod bed;
mod credentials;
mod ecs_remote;
mod errors;
mod export;
mod export_cloudformation;
mod fixing;
mod installer;
mod one_account;
mod output;
mod played;
mod policies;
mod prompts;
mod proof;
mod release;
mod requests;
mod settling;
mod shellcheck;
// Shared with the other binary, which uses all of it.
#[allow(dead_code)]
#[path = "../it/snapshots.rs"]
mod snapshots;
mod stops;
mod supply_chain;
#[path = "../it/support/mod.rs"]
mod support;
mod teardown;
mod terminal;
mod terraform;
mod tour;
#[allow(dead_code)]
#[path = "../it/ecs/tree.rs"]
mod tree;
mod wizard;
mod world;
mod worlds;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    needs::NAMED.store(arguments.filter.is_some(), Ordering::SeqCst);
    // Most of a test's time is an answer of somebody else's program: more threads than processors.
    arguments.test_threads.get_or_insert(6);
    // The longest first.
    let trials: Vec<Trial> = [
        export::trials(),
        export_cloudformation::trials(),
        settling::trials(),
        stops::trials(),
        terraform::trials(),
        adoption::trials(),
        agreement::trials(),
        article::trials(),
        bed::trials(),
        credentials::trials(),
        ecs_remote::trials(),
        errors::trials(),
        fixing::trials(),
        installer::trials(),
        one_account::trials(),
        output::trials(),
        played::trials(),
        policies::trials(),
        prompts::trials(),
        proof::trials(),
        release::trials(),
        requests::trials(),
        shellcheck::trials(),
        supply_chain::trials(),
        teardown::trials(),
        terminal::trials(),
        tour::trials(),
        wizard::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    needs::check_slow(&trials);
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        needs::print_slowest();
    }
    conclusion.exit_code()
}
