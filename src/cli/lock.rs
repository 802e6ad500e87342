//! One run at a time for one pipeline on one machine.

use crate::deploy::names::short_hash;
use crate::error::{Error, Result, file_error};
use crate::settings::variable;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// Held until it is dropped, or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

fn folder() -> PathBuf {
    let state = variable("XDG_STATE_HOME").map(PathBuf::from);
    let home = variable("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state.or(home).unwrap_or_else(std::env::temp_dir).join("xdeploy").join("locks")
}

/// Takes the lock of a pipeline.
///
/// # Errors
/// Another run holds it, or the lock file can't be written.
pub fn take(account: &str, region: &str, pipeline: &str) -> Result<Lock> {
    let folder = folder();
    std::fs::create_dir_all(&folder).map_err(|error| file_error("make the folder", &folder, &error))?;
    let path = folder.join(format!("{account}-{region}-{}.lock", short_hash(pipeline, 16)));
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|error| file_error("open the lock", &path, &error))?;
    if file.try_lock().is_err() {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let holder = if holder.trim().is_empty() { "another run".to_owned() } else { holder.trim().to_owned() };
        return Err(Error::refused(format!("{holder} is changing pipeline {pipeline} of account {account} right now"))
            .hint("wait until it has finished, then run the same command again"));
    }
    let _ = file.set_len(0);
    let _ = file.seek(SeekFrom::Start(0));
    let _ = writeln!(file, "process {}", std::process::id());
    Ok(Lock(file))
}
