//! The `xdeploy` binary: runs the library's command line and turns its answer into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(xdeploy::cli::main(std::env::args_os()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    /// The gate links this statically as well, and runs it: the whole program is in it.
    #[test]
    fn the_program_rehearses() {
        assert_eq!(xdeploy::cli::main(["xdeploy", "rehearse"].map(OsString::from)), 0);
    }
}
