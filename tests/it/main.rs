//! All integration tests, as one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod adoption;
mod article;
mod new_setup;
mod release;
mod support;
mod teardown;
mod world;
