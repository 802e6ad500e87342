//! All integration tests, as one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

mod adoption;
mod article;
mod new_setup;
mod readme;
mod release;
mod support;
mod teardown;
mod world;
