//! How the jobs get the program: never by compiling beside an identity token.

use crate::cli::version;
use crate::deploy::zipfile::sha256;
use crate::error::{Error, Result};

/// How the jobs get the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// They download the release's binary for Linux on x86_64, which must have this SHA-256 (hexadecimal, lower case).
    Released { sha256: String },
    /// A job without an identity token compiles the release's sources, and hands the program on.
    Compiled,
}

impl Program {
    /// Takes the digest that was said, or this program's own if it is what was released for the jobs' machines.
    ///
    /// # Errors
    ///
    /// What was said isn't a SHA-256, or this program can't be read.
    pub fn chosen(said: Option<&str>) -> Result<Program> {
        match said {
            Some(said) => {
                let sha256 = said.trim().to_ascii_lowercase();
                if sha256.len() != 64 || !sha256.bytes().all(|one| one.is_ascii_hexdigit()) {
                    return Err(Error::usage(format!("`{said}` is not a SHA-256")).hint(format!(
                        "`--sha256` takes the 64 hexadecimal digits that SHA256SUMS of the release has for {}",
                        version::JOBS_BINARY
                    )));
                }
                Ok(Program::Released { sha256 })
            }
            None if version::is_release() && version::target() == version::JOBS_TARGET => Ok(Program::Released { sha256: own_sha256()? }),
            None => Ok(Program::Compiled),
        }
    }
}

/// Gives the digest of this program's file.
fn own_sha256() -> Result<String> {
    let unreadable = |error: std::io::Error| {
        Error::internal(format!("this program's own file can't be read: {error}"))
            .hint(format!("pass `--sha256` with what SHA256SUMS of the release has for {}", version::JOBS_BINARY))
    };
    let program = std::env::current_exe().and_then(std::fs::read).map_err(unreadable)?;
    Ok(sha256(&program))
}
