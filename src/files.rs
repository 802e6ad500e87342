//! Files that are written whole or not at all: a reader never meets half of one.

use std::fs::{self, File};
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

/// Gives a new file what another one has beside its text.
fn be_like(file: &File, other: &Path) -> io::Result<()> {
    let (found, made) = (fs::symlink_metadata(other)?, file.metadata()?);
    if (found.uid(), found.gid()) != (made.uid(), made.gid()) {
        std::os::unix::fs::fchown(file, Some(found.uid()), Some(found.gid()))?;
    }
    // Giving a file away takes setuid and setgid from it.
    file.set_permissions(fs::Permissions::from_mode(found.mode() & 0o7777))?;
    attributes(file, other)
}

/// Copies extended attributes: SELinux keeps its label there, and Linux its access control lists (xattr(7)).
#[cfg(target_os = "linux")]
fn attributes(file: &File, other: &Path) -> io::Result<()> {
    use rustix::fs::{XattrFlags, fsetxattr, lgetxattr, llistxattr};
    use rustix::io::Errno;
    // The kernel's own limit for a list and for a value.
    let (mut list, mut value) = (vec![0_u8; 65_536], vec![0_u8; 65_536]);
    let length = match llistxattr(other, list.as_mut_slice()) {
        Err(Errno::NOTSUP) => return Ok(()),
        length => length?,
    };
    for name in list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let length = lgetxattr(other, name, value.as_mut_slice())?;
        match fsetxattr(file, name, &value[..length], XattrFlags::empty()) {
            // A label that the new file has already is no change, and then needn't be allowed.
            Err(Errno::PERM | Errno::NOTSUP) if has(file, name, &value[..length]) => {}
            set => set?,
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn has(file: &File, name: &[u8], wanted: &[u8]) -> bool {
    let mut value = vec![0_u8; 65_536];
    rustix::fs::fgetxattr(file, name, value.as_mut_slice()).is_ok_and(|length| value[..length] == *wanted)
}

#[cfg(not(target_os = "linux"))]
fn attributes(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
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

/// Writes a file beside its place and moves it there, with mode, owner, access control list and label of another file, if one is
/// said.
///
/// # Errors
/// The folder or the file can't be written, or can't be made like the other; the place is a folder.
pub fn write_whole(path: &Path, text: &str, like: Option<&Path>) -> io::Result<()> {
    write_with(path, text, 0o666, like)
}

/// Writes a file beside its place and moves it there; nobody else may read it.
///
/// # Errors
/// As [`write_whole`].
pub fn write_whole_private(path: &Path, text: &str) -> io::Result<()> {
    write_with(path, text, 0o600, None)
}

fn write_with(path: &Path, text: &str, mode: u32, like: Option<&Path>) -> io::Result<()> {
    if is_stream(path) {
        return File::options().write(true).open(path)?.write_all(text.as_bytes());
    }
    let beside = beside(path);
    let made = || {
        let file = make(&beside, mode)?;
        if let Some(like) = like {
            be_like(&file, like)?;
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

/// Writes a file that wasn't there.
///
/// # Errors
/// `AlreadyExists`; the folder or the file can't be written, and then nothing is left of it.
pub fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

/// Opens a regular file for reading. What is read whole before anything is done must have an end, and nobody waits at a pipe.
///
/// # Errors
/// It can't be read; `IsADirectory`; `InvalidInput` for a pipe, a socket or a device.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or_default()).open(path)?;
    let found = file.metadata()?;
    match found.is_file() {
        true => Ok(file),
        false if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe or a device; only a file is read here")),
    }
}

/// Reads a regular file of text. The place of nothing is read as such: people name it to have no file.
///
/// # Errors
/// As [`open_regular`]; `FileTooLarge` above so many bytes; `InvalidData` for what isn't UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    if path == Path::new("/dev/null") {
        return Ok(String::new());
    }
    let bytes = read_some(open_regular(path)?, most)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Reads something to its end.
///
/// # Errors
/// It can't be read; `FileTooLarge` above so many bytes.
pub fn read_some(from: impl io::Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(from, most.saturating_add(1)), &mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {most} bytes"))),
        false => Ok(bytes),
    }
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
