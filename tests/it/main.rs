//! All integration tests, as one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod adoption;
mod agreement;
mod article;
mod breaks;
mod decisions;
mod ecs;
mod errors;
mod fuzz;
mod house;
mod naive;
mod output;
mod policies;
mod proof;
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
mod release;
mod requests;
mod rights;
mod settling;
mod snapshots;
mod stops;
mod support;
mod teardown;
mod terminal;
mod wizard;
mod world;
mod worlds;
