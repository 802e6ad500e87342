//! Files below a root that isn't ours (a container's, an unpacked bundle's): no link in it leads out of it, and nothing in it blocks.
//!
//! The kernel resolves the paths (`openat2` with `RESOLVE_IN_ROOT`: absolute links start at the root again, `..` stays below it).
//! Where it can't (before Linux 5.6, or a seccomp filter that doesn't know the call), an own resolver goes one name at a time.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The largest file that [`Inside::text`] reads, in bytes.
pub const LARGEST_TEXT: usize = 4 * 1024 * 1024;
/// The most names that [`Inside::names`] gives.
pub const MOST_NAMES: usize = 100_000;

/// The kernel's own limit (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// `PATH_MAX`, with its closing zero.
const LONGEST_PATH: usize = 4096;
/// A folder on the way holds a descriptor open, and a process has 1,024.
const DEEPEST: usize = 256;
/// `openat2` answers `EAGAIN` when something was renamed while it went through `..`.
const TRIES: usize = 16;

/// A folder on the way: on Linux the right to go through it is enough.
#[cfg(target_os = "linux")]
const ON_THE_WAY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const ON_THE_WAY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// What a name in a folder is; links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device; never opened.
    Other,
}

impl FileKind {
    fn of(file_type: FileType) -> FileKind {
        match file_type {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Folder,
            FileType::Symlink => FileKind::Link,
            _ => FileKind::Other,
        }
    }

    fn of_stat(stat: &Stat) -> FileKind {
        FileKind::of(FileType::from_raw_mode(stat.st_mode))
    }
}

/// What a walk may do on its way to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    /// Follow a link in the last place too.
    last_link: bool,
    /// Go into what is mounted below the root.
    mounts: bool,
}

const ANY: Way = Way { last_link: true, mounts: true };

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Names and what they are, sorted by name, without `.` and `..`; names that aren't UTF-8 get U+FFFD.
    pub names: Vec<(String, FileKind)>,
    /// Whether these are all.
    pub whole: bool,
    /// Device and number of the folder: the same for each of the ways that lead to it.
    pub identity: (u64, u64),
}

/// Where an own walk ended: a name in a folder, or `.` for the folder itself.
struct Place {
    folder: OwnedFd,
    name: Vec<u8>,
    stat: Stat,
}

/// How much of a root may be read altogether. Whoever fills a container with files decides how much there is.
#[derive(Debug)]
pub struct Budget {
    bytes: AtomicU64,
    names: AtomicU64,
    until: Instant,
}

impl Budget {
    /// Allows so many bytes of files and names in folders, for so long from now on.
    pub fn new(bytes: u64, names: u64, time: Duration) -> Budget {
        let until = Instant::now().checked_add(time).unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400));
        Budget { bytes: AtomicU64::new(bytes), names: AtomicU64::new(names), until }
    }

    /// Gives how many bytes may still be read.
    fn bytes_left(&self) -> io::Result<u64> {
        self.in_time()?;
        match self.bytes.load(Ordering::Relaxed) {
            0 => Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too much was read of it before")),
            left => Ok(left),
        }
    }

    fn names_left(&self) -> io::Result<u64> {
        self.in_time()?;
        match self.names.load(Ordering::Relaxed) {
            0 => Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many names were read of it before")),
            left => Ok(left),
        }
    }

    fn in_time(&self) -> io::Result<()> {
        match Instant::now() < self.until {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long")),
        }
    }

    fn spend(left: &AtomicU64, used: usize) {
        let used = u64::try_from(used).unwrap_or(u64::MAX);
        let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(used)));
    }
}

/// A root and what is below it. Paths are `/`-separated, with or without a leading `/`, and always start at the root.
#[derive(Debug)]
pub struct Inside {
    path: PathBuf,
    root: Result<OwnedFd, Errno>,
    own: bool,
    budget: Option<Arc<Budget>>,
}

impl Inside {
    /// Opens a root, which stays the same folder whatever happens to its path (`/proc/PID/root` of a process that ends).
    /// One that can't be opened answers every question with that error, never with [`io::ErrorKind::NotFound`].
    pub fn new(root: PathBuf) -> Inside {
        let opened = rustix::fs::open(&root, ON_THE_WAY, Mode::empty());
        Inside { path: root, root: opened, own: cfg!(not(target_os = "linux")), budget: None }
    }

    /// Takes a folder below this root as a root of its own; a link that it is leads nowhere else than below this one.
    pub fn below(&self, path: &str) -> Inside {
        let opened = self.descriptor(path, ON_THE_WAY, ANY);
        Inside { path: self.path.join(path.trim_start_matches('/')), root: opened, own: self.own, budget: None }
    }

    /// Reads no more than this altogether; whoever shares the budget shares what is left of it.
    #[must_use]
    pub fn limited(self, budget: Arc<Budget>) -> Inside {
        Inside { budget: Some(budget), ..self }
    }

    #[cfg(test)]
    fn with_own_resolver(root: PathBuf) -> Inside {
        Inside { own: true, ..Inside::new(root) }
    }

    /// Gives the root's path as it was told.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// `NotFound`; `IsADirectory`; `InvalidInput` for a pipe, a socket or a device; `FileTooLarge` above the limit, since half a
    /// configuration says something else than the whole; `QuotaExceeded` or `TimedOut` past the root's [`Budget`]; and what the
    /// system answers.
    pub fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        let bytes = self.head(path, limit.saturating_add(1))?;
        if bytes.len() > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// Reads the first `limit` bytes of a regular file, or all of a shorter one.
    ///
    /// # Errors
    /// As [`Inside::read`], but for the size.
    pub fn head(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        let Some(budget) = &self.budget else {
            self.open(path)?.take(limit).read_to_end(&mut bytes)?;
            return Ok(bytes);
        };
        let left = budget.bytes_left()?;
        let mut file = self.open(path)?.take(limit.min(left));
        let mut piece = [0; 64 * 1024];
        loop {
            budget.in_time()?;
            match file.read(&mut piece)? {
                0 => break,
                count => bytes.extend_from_slice(&piece[..count]),
            }
        }
        Budget::spend(&budget.bytes, bytes.len());
        // Half a file isn't told for the whole.
        if left < limit && bytes.len() as u64 == left {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too much was read before"));
        }
        Ok(bytes)
    }

    /// Reads a regular file as text; what isn't UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// As [`Inside::read`], with [`LARGEST_TEXT`].
    pub fn text(&self, path: &str) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&self.read(path, LARGEST_TEXT)?).into_owned())
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// As [`Inside::head`].
    pub fn open(&self, path: &str) -> io::Result<File> {
        self.open_on(path, ANY)
    }

    /// Opens a regular file for reading, and goes into nothing that is mounted below the root.
    ///
    /// # Errors
    /// As [`Inside::open`]; `CrossesDevices` for what is on a mount.
    pub fn open_here(&self, path: &str) -> io::Result<File> {
        self.open_on(path, Way { mounts: false, ..ANY })
    }

    fn open_on(&self, path: &str, way: Way) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // Opening a device or a pipe can already do something, so its kind is asked for first.
        #[cfg(target_os = "linux")]
        {
            let found = self.descriptor(path, OFlags::PATH | OFlags::CLOEXEC, way)?;
            regular(&rustix::fs::fstat(&found)?)?;
            // What was looked at is what is opened, whatever has become of its name (proc_pid_fd(5)).
            let again = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found));
            match rustix::fs::open(again, flags, Mode::empty()) {
                Ok(file) => return Ok(File::from(file)),
                // Without /proc there is no such name.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        #[cfg(not(target_os = "linux"))]
        regular(&self.stat(path, way)?)?;
        let file = self.descriptor(path, flags, way)?;
        // It may be another one by now.
        regular(&rustix::fs::fstat(&file)?)?;
        Ok(File::from(file))
    }

    /// Lists a folder, sorted by name, without `.` and `..`; names that aren't UTF-8 get U+FFFD.
    ///
    /// # Errors
    /// `NotFound`; `NotADirectory`; `FileTooLarge` for more than [`MOST_NAMES`]; and what the system answers.
    pub fn names(&self, path: &str) -> io::Result<Vec<(String, FileKind)>> {
        let left = self.budget.as_ref().map_or(Ok(u64::MAX), |budget| budget.names_left())?;
        let most = MOST_NAMES.min(usize::try_from(left).unwrap_or(usize::MAX));
        let listing = self.list(path, ANY, most)?;
        if let Some(budget) = &self.budget {
            Budget::spend(&budget.names, listing.names.len().max(1));
        }
        if !listing.whole {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} names")));
        }
        Ok(listing.names)
    }

    /// Lists at most `most` names of a folder that isn't on a mount.
    ///
    /// # Errors
    /// As [`Inside::names`], but for the size; `CrossesDevices` for what is on a mount.
    pub fn names_here(&self, path: &str, most: usize) -> io::Result<Listing> {
        self.list(path, Way { mounts: false, ..ANY }, most)
    }

    fn list(&self, path: &str, way: Way, most: usize) -> io::Result<Listing> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let folder = self.descriptor(path, flags, way)?;
        let stat = rustix::fs::fstat(&folder)?;
        let mut listing = Listing { names: Vec::new(), whole: true, identity: (stat.st_dev as _, stat.st_ino as _) };
        let names = &mut listing.names;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if names.len() == most {
                listing.whole = false;
                break;
            }
            let kind = match entry.file_type() {
                // Some file systems don't tell in the listing.
                FileType::Unknown => match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileKind::of_stat(&stat),
                    Err(_) => FileKind::Other,
                },
                known => FileKind::of(known),
            };
            names.push((name.to_string_lossy().into_owned(), kind));
        }
        listing.names.sort();
        Ok(listing)
    }

    /// Gives what a path is, after its links.
    ///
    /// # Errors
    /// `NotFound`, and what the system answers.
    pub fn kind(&self, path: &str) -> io::Result<FileKind> {
        Ok(FileKind::of_stat(&self.stat(path, ANY)?))
    }

    /// Gives the time of a file's last change.
    ///
    /// # Errors
    /// `NotFound`, and what the system answers.
    pub fn modified(&self, path: &str) -> io::Result<SystemTime> {
        let stat = self.stat(path, ANY)?;
        let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
        let nanoseconds = Duration::from_nanos(stat.st_mtime_nsec as _);
        let whole = if stat.st_mtime < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
        whole.and_then(|time| time.checked_add(nanoseconds)).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Says whether a path leads to something; a link that leads nowhere doesn't.
    ///
    /// # Errors
    /// What the system answers where it can't tell, such as `PermissionDenied` or a loop of links.
    pub fn exists(&self, path: &str) -> io::Result<bool> {
        Ok(self.found(path)?.is_some())
    }

    /// Says whether a path leads to a regular file that someone may run.
    ///
    /// # Errors
    /// As [`Inside::exists`].
    pub fn is_executable(&self, path: &str) -> io::Result<bool> {
        let runs = |stat: Stat| FileKind::of_stat(&stat) == FileKind::File && stat.st_mode & 0o111 != 0;
        Ok(self.found(path)?.is_some_and(runs))
    }

    /// Gives where a link leads, as it is written in it; the links on the way to it are followed.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for what isn't a link; and what the system answers.
    pub fn link(&self, path: &str) -> io::Result<String> {
        let place = self.walk(path, Way { last_link: false, ..ANY })?;
        if FileKind::of_stat(&place.stat) != FileKind::Link {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a link"));
        }
        Ok(rustix::fs::readlinkat(&place.folder, place.name, Vec::new())?.to_string_lossy().into_owned())
    }

    fn found(&self, path: &str) -> io::Result<Option<Stat>> {
        match self.stat(path, ANY) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    #[cfg(target_os = "linux")]
    fn stat(&self, path: &str, way: Way) -> Result<Stat, Errno> {
        rustix::fs::fstat(self.descriptor(path, OFlags::PATH | OFlags::CLOEXEC, way)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn stat(&self, path: &str, way: Way) -> Result<Stat, Errno> {
        Ok(self.walk(path, way)?.stat)
    }

    fn descriptor(&self, path: &str, flags: OFlags, way: Way) -> Result<OwnedFd, Errno> {
        if !self.own {
            match self.by_kernel(path, flags, way) {
                // Seccomp filters that don't know the call answer either (Docker before 20.10: EPERM).
                Err(Errno::NOSYS | Errno::PERM) => {}
                answer => return answer,
            }
        }
        let place = self.walk(path, way)?;
        rustix::fs::openat(&place.folder, place.name, flags | OFlags::NOFOLLOW, Mode::empty())
    }

    #[cfg(target_os = "linux")]
    fn by_kernel(&self, path: &str, flags: OFlags, way: Way) -> Result<OwnedFd, Errno> {
        use rustix::fs::ResolveFlags;
        let stay = if way.mounts { ResolveFlags::empty() } else { ResolveFlags::NO_XDEV };
        let path = if path.is_empty() { "." } else { path };
        let mut answer = Err(Errno::AGAIN);
        for _ in 0..TRIES {
            answer = rustix::fs::openat2(self.root()?, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | stay);
            if !matches!(answer, Err(Errno::AGAIN)) {
                break;
            }
        }
        answer
    }

    #[cfg(not(target_os = "linux"))]
    fn by_kernel(&self, _: &str, _: OFlags, _: Way) -> Result<OwnedFd, Errno> {
        Err(Errno::NOSYS)
    }

    fn root(&self) -> Result<BorrowedFd<'_>, Errno> {
        match &self.root {
            Ok(root) => Ok(root.as_fd()),
            // A root that is gone must not look like a file that was never there.
            Err(Errno::NOENT | Errno::NOTDIR) => Err(Errno::STALE),
            Err(errno) => Err(*errno),
        }
    }

    /// Resolves a path one name at a time. `..` goes back to the folder that the walk came through, so that a rename on the way
    /// can't lead out of the root.
    fn walk(&self, path: &str, way: Way) -> Result<Place, Errno> {
        if path.len() >= LONGEST_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        let root = self.root()?;
        let device = rustix::fs::fstat(root)?.st_dev;
        let mut through: Vec<OwnedFd> = Vec::new();
        let mut rest: VecDeque<Vec<u8>> = parts(path.as_bytes());
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == b"." {
                continue;
            }
            if name == b".." {
                through.pop();
                continue;
            }
            let here = through.last().map_or(root, AsFd::as_fd);
            let stat = rustix::fs::statat(here, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW)?;
            match FileKind::of_stat(&stat) {
                FileKind::Link if !rest.is_empty() || way.last_link => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP);
                    }
                    let target = rustix::fs::readlinkat(here, name, Vec::new())?.into_bytes();
                    if target.first() == Some(&b'/') {
                        through.clear();
                    }
                    for part in parts(&target).into_iter().rev() {
                        rest.push_front(part);
                    }
                }
                FileKind::Folder => {
                    if !way.mounts && stat.st_dev != device {
                        return Err(Errno::XDEV);
                    }
                    if through.len() == DEEPEST {
                        return Err(Errno::NAMETOOLONG);
                    }
                    through.push(rustix::fs::openat(here, name, ON_THE_WAY | OFlags::NOFOLLOW, Mode::empty())?);
                }
                _ if rest.is_empty() => return Ok(Place { folder: rustix::io::fcntl_dupfd_cloexec(here, 0)?, name, stat }),
                _ => return Err(Errno::NOTDIR),
            }
        }
        let folder = match through.pop() {
            Some(folder) => folder,
            None => rustix::io::fcntl_dupfd_cloexec(root, 0)?,
        };
        let stat = rustix::fs::fstat(&folder)?;
        Ok(Place { folder, name: b".".to_vec(), stat })
    }
}

/// The names of a path; an empty one is `.`, so that `file/` asks for a folder as it does in the kernel.
fn parts(path: &[u8]) -> VecDeque<Vec<u8>> {
    let whole = |name: &[u8]| if name.is_empty() { b".".to_vec() } else { name.to_vec() };
    path.split(|byte| *byte == b'/').map(whole).collect()
}

fn regular(stat: &Stat) -> io::Result<()> {
    match FileKind::of_stat(stat) {
        FileKind::File => Ok(()),
        FileKind::Folder => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    fn both(root: &Path) -> [Inside; 2] {
        [Inside::new(root.to_owned()), Inside::with_own_resolver(root.to_owned())]
    }

    fn error<T: std::fmt::Debug>(answer: io::Result<T>) -> io::ErrorKind {
        answer.unwrap_err().kind()
    }

    /// A root with everything that could lead out of it, and beside it the file that must never be read.
    fn hostile() -> tempfile::TempDir {
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join("secret"), "outside").unwrap();
        let root = outer.path().join("root");
        fs::create_dir_all(root.join("etc/deep/er")).unwrap();
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        fs::write(root.join("etc/config"), "inside").unwrap();
        fs::write(root.join("secret"), "the root's own").unwrap();
        symlink("/etc/config", root.join("absolute")).unwrap();
        symlink("../../../../../../../secret", root.join("etc/deep/climb")).unwrap();
        symlink(outer.path().join("secret"), root.join("real-path")).unwrap();
        symlink("usr/lib", root.join("lib")).unwrap();
        symlink("/lib/../../etc", root.join("usr/lib/etc")).unwrap();
        symlink("loop-b", root.join("loop-a")).unwrap();
        symlink("loop-a", root.join("loop-b")).unwrap();
        symlink("self", root.join("self")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        symlink("etc/config/", root.join("file-as-folder")).unwrap();
        symlink("/proc/self/root/secret", root.join("through-proc")).unwrap();
        let mut last = "etc/config".to_owned();
        for number in 1..=41 {
            let name = format!("chain-{number}");
            symlink(&last, root.join(&name)).unwrap();
            last = name;
        }
        outer
    }

    #[test]
    fn nothing_leads_out_of_the_root() {
        let outer = hostile();
        for inside in both(&outer.path().join("root")) {
            for path in ["absolute", "/absolute", "etc/config", "//etc/./deep/../config", "lib/etc/config", "../../etc/config"] {
                assert_eq!(inside.text(path).unwrap(), "inside", "{path}");
            }
            for path in ["etc/deep/climb", "../secret", "/../../secret", "etc/../../../secret"] {
                assert_eq!(inside.text(path).unwrap(), "the root's own", "{path}");
            }
            for path in ["real-path", "dangling", "through-proc", "nothing", "nothing/below"] {
                assert_eq!(error(inside.text(path)), io::ErrorKind::NotFound, "{path}");
                assert!(!inside.exists(path).unwrap(), "{path}");
            }
        }
    }

    #[test]
    fn loops_and_long_chains_end() {
        let outer = hostile();
        for inside in both(&outer.path().join("root")) {
            for path in ["loop-a", "self", "chain-41", "loop-a/below"] {
                assert_eq!(inside.text(path).unwrap_err().raw_os_error(), Some(Errno::LOOP.raw_os_error()), "{path}");
                assert!(inside.exists(path).is_err(), "{path}");
            }
            assert_eq!(inside.text("chain-40").unwrap(), "inside");
            assert!(inside.text(&"a/".repeat(3000)).is_err());
        }
    }

    #[test]
    fn only_regular_files_are_read() {
        let outer = hostile();
        let root = outer.path().join("root");
        rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        for inside in both(&root) {
            for path in ["pipe", "socket"] {
                assert_eq!(error(inside.read(path, 10)), io::ErrorKind::InvalidInput, "{path}");
                assert_eq!(inside.kind(path).unwrap(), FileKind::Other);
                assert!(!inside.is_executable(path).unwrap());
            }
            assert_eq!(error(inside.read("etc", 10)), io::ErrorKind::IsADirectory);
            assert!(inside.text("file-as-folder").is_err());
            assert_eq!(error(inside.names("etc/config")), io::ErrorKind::NotADirectory);
            assert!(!inside.exists("etc/config/below").unwrap());
        }
        for inside in both(Path::new("/")) {
            assert_eq!(error(inside.read("/dev/null", 10)), io::ErrorKind::InvalidInput);
            // A file without a size is still read.
            assert!(inside.text("/proc/self/status").unwrap().contains("Name:"));
        }
    }

    #[test]
    fn a_huge_file_is_refused_not_cut() {
        let outer = hostile();
        let huge = File::create(outer.path().join("root/huge")).unwrap();
        huge.set_len(1 << 40).unwrap();
        for inside in both(&outer.path().join("root")) {
            assert_eq!(error(inside.read("huge", 1000)), io::ErrorKind::FileTooLarge);
            assert_eq!(inside.head("huge", 1000).unwrap().len(), 1000);
            assert_eq!(inside.read("etc/config", 6).unwrap(), b"inside");
            assert_eq!(error(inside.read("etc/config", 5)), io::ErrorKind::FileTooLarge);
        }
    }

    #[test]
    fn a_folder_tells_its_names() {
        let outer = hostile();
        let root = outer.path().join("root");
        fs::set_permissions(root.join("secret"), fs::Permissions::from_mode(0o755)).unwrap();
        for inside in both(&root) {
            let file = ("config".to_owned(), FileKind::File);
            assert_eq!(inside.names("etc").unwrap(), [file, ("deep".to_owned(), FileKind::Folder)]);
            assert_eq!(inside.names("/etc/deep").unwrap(), [("climb".into(), FileKind::Link), ("er".into(), FileKind::Folder)]);
            assert_eq!(inside.names("").unwrap(), inside.names("/..").unwrap());
            let one = inside.names_here("etc", 1).unwrap();
            assert!(one.names.len() == 1 && !one.whole);
            let both = inside.names_here("usr/lib/etc", 2).unwrap();
            assert!(both.whole && both.identity == one.identity);
            assert!(inside.is_executable("secret").unwrap() && !inside.is_executable("etc/config").unwrap());
            assert!(!inside.is_executable("etc").unwrap());
            assert_eq!(inside.modified("absolute").unwrap(), fs::metadata(root.join("etc/config")).unwrap().modified().unwrap());
            assert_eq!(inside.link("absolute").unwrap(), "/etc/config");
            assert_eq!(inside.link("lib/etc").unwrap(), "/lib/../../etc");
            assert_eq!(error(inside.link("secret")), io::ErrorKind::InvalidInput);
            assert_eq!(error(inside.link("nothing")), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn mounts_are_left_alone_where_asked() {
        for inside in both(Path::new("/")) {
            assert_eq!(error(inside.names_here("/proc", 10)), io::ErrorKind::CrossesDevices);
            assert_eq!(error(inside.open_here("/proc/self/status")), io::ErrorKind::CrossesDevices);
            assert!(inside.names_here("/etc", 10).is_ok());
        }
    }

    #[test]
    fn a_root_that_is_gone_is_no_file_that_is_missing() {
        for inside in both(Path::new("/nowhere/at/all")) {
            assert_ne!(error(inside.text("etc/config")), io::ErrorKind::NotFound);
            assert!(inside.exists("etc/config").is_err());
        }
    }

    #[test]
    fn both_resolvers_agree() {
        let outer = hostile();
        let [kernel, own] = both(&outer.path().join("root"));
        let told = |inside: &Inside, path: &str| match inside.read(path, 100) {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err((error.kind(), error.raw_os_error())),
        };
        let names = "/|\\.\\./|\\./|etc/|deep/|er/|lib/|usr/|absolute|config|climb|secret/?|self|loop-a|dangling|file-as-folder";
        proptest!(|(path in proptest::string::string_regex(&format!("({names}){{1,7}}")).unwrap())| {
            prop_assert_eq!(told(&kernel, &path), told(&own, &path), "{}", path);
            prop_assert_eq!(kernel.names(&path).ok(), own.names(&path).ok(), "{}", path);
            prop_assert_eq!(kernel.exists(&path).ok(), own.exists(&path).ok(), "{}", path);
        });
    }
}
