//! One run at a time for one pipeline on one machine.

use super::ask;
use crate::deploy::names::short_hash;
use crate::error::{Error, Result};
use crate::settings::variable;
use crate::ui::Ui;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Held until it is dropped, or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] Option<File>);

/// A folder that locks may be in.
#[derive(Debug)]
struct Place {
    /// It is there, or is made.
    base: PathBuf,
    /// The base is made where it isn't there.
    is_ours: bool,
    /// The folders below it; each is made, and must be ours.
    below: Vec<String>,
}

/// Where locks may be, the best first: the state folder, the runtime folder of the session, the temporary folder.
///
/// The XDG base directory specification says that a path that isn't absolute is to be ignored.
fn places() -> Vec<Place> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let below = || vec!["xdeploy".to_owned(), "locks".to_owned()];
    let state = |base| Place { base, is_ours: true, below: below() };
    [
        absolute("XDG_STATE_HOME").map(state),
        absolute("HOME").map(|home| state(home.join(".local/state"))),
        absolute("XDG_RUNTIME_DIR").map(|base| Place { base, is_ours: false, below: below() }),
        // Everybody writes here: the folder's name is the user's, and it must be nobody else's.
        Some(Place { base: std::env::temp_dir(), is_ours: false, below: vec![format!("xdeploy-{}", rustix::process::geteuid().as_raw())] }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Why a place can't be used.
#[derive(Debug)]
enum Unusable {
    Os(Errno),
    /// Somebody else could change what is in it.
    NotOurs(String),
}

impl From<Errno> for Unusable {
    fn from(error: Errno) -> Unusable {
        Unusable::Os(error)
    }
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unusable::Os(error) => write!(f, "{}", std::io::Error::from(*error)),
            Unusable::NotOurs(what) => write!(f, "{what} is not a folder or file of this user alone"),
        }
    }
}

impl Place {
    /// Opens a lock's file; follows no link below the base, and takes nothing that another user owns or may write.
    fn open(&self, name: &str) -> std::result::Result<File, Unusable> {
        if self.is_ours {
            std::fs::create_dir_all(&self.base).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        }
        let folder = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let mut open: OwnedFd = rustix::fs::openat(CWD, &self.base, folder, Mode::empty())?;
        for part in &self.below {
            match rustix::fs::mkdirat(&open, part.as_str(), Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            open = rustix::fs::openat(&open, part.as_str(), folder | OFlags::NOFOLLOW, Mode::empty())?;
            ours(&open, part, FileType::Directory)?;
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&open, name, flags, Mode::RUSR | Mode::WUSR)?;
        ours(&file, name, FileType::RegularFile)?;
        Ok(File::from(file))
    }
}

/// Makes sure that something opened belongs to this user, that no other may write it, and that it has one name.
fn ours(open: &OwnedFd, name: &str, kind: FileType) -> std::result::Result<(), Unusable> {
    let found = rustix::fs::fstat(open)?;
    let others = Mode::from_raw_mode(found.st_mode).intersects(Mode::WGRP | Mode::WOTH);
    let is_kind = FileType::from_raw_mode(found.st_mode) == kind && (kind == FileType::Directory || found.st_nlink == 1);
    match found.st_uid == rustix::process::geteuid().as_raw() && is_kind && !others {
        true => Ok(()),
        false => Err(Unusable::NotOurs(name.to_owned())),
    }
}

/// Takes the lock of a pipeline; goes on with a warning where no folder can hold one.
///
/// # Errors
/// Another run of this user holds it.
pub fn take(ui: &Ui, account: &str, region: &str, pipeline: &str) -> Result<Lock> {
    let name = format!("{account}-{region}-{}.lock", short_hash(pipeline, 16));
    let mut unusable = Vec::new();
    for place in places() {
        let locked = place.open(&name).and_then(|file| match file.try_lock() {
            Ok(()) => Ok((file, true)),
            Err(TryLockError::WouldBlock) => Ok((file, false)),
            Err(TryLockError::Error(error)) => Err(Unusable::Os(Errno::from_io_error(&error).unwrap_or(Errno::NOLCK))),
        });
        match locked {
            Ok((file, true)) => return Ok(Lock(Some(signed(file)))),
            Ok((file, false)) => {
                return Err(Error::refused(format!("{} is changing pipeline {pipeline} of account {account} right now", holder(file)))
                    .hint("wait until it has finished, then run the same command again"));
            }
            Err(why) => unusable.push(format!("{}: {why}", place.base.display())),
        }
    }
    let error = Error::failed("there is no folder for a lock, so a second run on this machine would not be refused")
        .hint("set XDG_STATE_HOME to a folder of yours that can be written");
    ask::warn(ui, "", &unusable.into_iter().fold(error, Error::because));
    Ok(Lock(None))
}

/// Writes down who holds a lock.
fn signed(mut file: File) -> File {
    let _ = file.set_len(0);
    let _ = file.seek(SeekFrom::Start(0));
    let _ = writeln!(file, "process {}", std::process::id());
    file
}

/// Says who holds a lock.
fn holder(file: File) -> String {
    let mut text = String::new();
    let _ = file.take(64).read_to_string(&mut text);
    let process = text.trim().strip_prefix("process ").and_then(|id| id.parse::<u32>().ok());
    process.map_or_else(|| "another run".to_owned(), |id| format!("process {id}"))
}
