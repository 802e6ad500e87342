//! A container host of ECS, built for real: Debian's dockerd in namespaces of its own, iptables in both backends, a VPC that drops what it
//! doesn't know, and a fake agent and fake IMDS in the place of AWS.
//!
//! A binary of its own, because a test of libtest can't say while it runs that it was skipped and what it lacks. It uses the product
//! through its executable only. What has to run in a namespace and isn't the product is this binary again, with a first argument that
//! starts with `--as-`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod agent;
#[allow(dead_code, reason = "the lab samples nothing else")]
#[path = "../it/support/depth.rs"]
mod depth;
mod docker;
mod fix;
mod hostile;
mod http;
mod imds;
mod inside;
mod lab;
mod machine;
mod needs;
mod probe;
mod rows;
mod sdks;
mod traces;

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--as-agent", state, audit_log] => agent::serve(state, Some(audit_log)),
        ["--as-agent", state] => agent::serve(state, None),
        ["--as-imds"] => imds::serve(),
        ["--as-probe"] => println!("{}", probe::probe()),
        ["--as-lab-that-dies"] => machine::die(),
        _ => return tests().exit_code(),
    }
    ExitCode::SUCCESS
}

fn tests() -> libtest_mimic::Conclusion {
    let mut arguments = Arguments::from_args();
    // Most of a test's time is a probe that waits for nothing to come: more threads than processors.
    arguments.test_threads.get_or_insert(8);
    // The longest first.
    let mut trials: Vec<Trial> = sdks::trials();
    trials.extend(rows::trials());
    trials.extend(fix::trials());
    trials.extend(inside::trials());
    trials.extend(traces::trials());
    trials.extend(hostile::trials());
    trials.extend(machine::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    lab::close_all();
    conclusion
}
