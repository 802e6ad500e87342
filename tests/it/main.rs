//! All integration tests, as one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod breaks;
mod ci;
mod credentials;
mod decisions;
mod ecs;
mod environment;
mod explain;
mod explain_worlds;
mod export_terraform;
mod fuzz;
mod grades;
mod handoff;
mod house;
mod messages;
mod moments;
mod naive;
mod proxies;
mod readme;
mod rehearsal;
mod rehearse;
mod rehearsed_moves;
mod rehearsed_properties;
mod rehearsed_races;
mod rehearsed_release;
mod rehearsed_settling;
mod rehearsed_setup;
mod rehearsed_stops;
mod reports;
mod rights;
mod schemas;
mod shell;
mod sides;
mod snapshots;
mod support;
