//! The `xdeploy` binary: runs the library's command line and turns its answer into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(xdeploy::cli::main(std::env::args_os()))
}
