//! Files that are written whole or not at all: a reader never meets half of one.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The name beside a file under which the next one grows.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".xdeploy-new");
    PathBuf::from(name)
}

/// A device or a pipe, whose place nothing can take.
pub fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Gives one name to a file however its path is written.
pub fn place(path: &Path) -> PathBuf {
    let whole = |path: &Path| fs::canonicalize(path).ok();
    let folder = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let beside = || Some(whole(folder?)?.join(path.file_name()?));
    whole(path).or_else(beside).unwrap_or_else(|| path.to_owned())
}

fn make(beside: &Path, mode: u32) -> io::Result<File> {
    // What a stopped run left isn't anybody's, and whoever can write there could have put a link in its place.
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().write(true).create_new(true).mode(mode).open(beside)
}

/// Writes a text beside a place and moves it there; nothing stays beside it where that fails.
fn replace(path: &Path, beside: &Path, make: impl FnOnce() -> io::Result<File>, text: &str) -> io::Result<()> {
    let written = make().and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(beside, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(beside);
    }
    written
}

/// Writes a file beside its place and moves it there, with mode and owner of the one that it follows, if that is said.
///
/// # Errors
/// The folder or the file can't be written; the place is a folder.
pub fn write_whole(path: &Path, text: &str, like: Option<&Metadata>) -> io::Result<()> {
    write_with(path, text, 0o666, like)
}

/// Writes a file beside its place and moves it there; nobody else may read it.
///
/// # Errors
/// As [`write_whole`].
pub fn write_whole_private(path: &Path, text: &str) -> io::Result<()> {
    write_with(path, text, 0o600, None)
}

fn write_with(path: &Path, text: &str, mode: u32, like: Option<&Metadata>) -> io::Result<()> {
    if is_stream(path) {
        return File::options().write(true).open(path)?.write_all(text.as_bytes());
    }
    let beside = beside(path);
    let made = || {
        let file = make(&beside, mode)?;
        if let Some(like) = like {
            file.set_permissions(fs::Permissions::from_mode(like.mode() & 0o7777))?;
            // Whoever isn't root can't give a file away, and then owns it already.
            let _ = std::os::unix::fs::fchown(&file, Some(like.uid()), Some(like.gid()));
        }
        Ok(file)
    };
    replace(path, &beside, made, text)
}

/// Writes a file that nobody else may read, in a folder that is made where it isn't there; a link in its place is replaced.
///
/// # Errors
/// The folder or the file can't be written.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // Two runs at once must not take each other's.
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.xdeploy-new", std::process::id()));
    let beside = PathBuf::from(name);
    replace(path, &beside, || make(&beside, 0o600), text)
}

/// Says whether [`write_whole`] could write there, and leaves nothing behind.
///
/// # Errors
/// As [`write_whole`].
pub fn may_write(path: &Path) -> io::Result<()> {
    if is_stream(path) {
        return Ok(());
    }
    if path.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let beside = beside(path);
    make(&beside, 0o666)?;
    fs::remove_file(&beside)
}

/// Adds text to the end of a file.
///
/// # Errors
/// It can't be written.
pub fn append(path: &Path, text: &str) -> io::Result<()> {
    File::options().append(true).create(true).open(path)?.write_all(text.as_bytes())
}
