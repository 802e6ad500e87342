//! Where facts come from: the running host, or a folder that holds one (a mounted disk, or an unpacked bundle).
//!
//! In a folder, what only a running host can say is read from [`CAPTURE`]: the answers of its programs and servers, as they were.

use super::inside::Inside;
use crate::model::Readable;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The folder of a bundle that holds what a running host answered.
pub const CAPTURE: &str = "/xdeploy-capture";

/// No file that is read whole is longer.
const LONGEST: usize = 16 << 20;
/// How long a program of the host may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where the host's programs are, also for a caller whose PATH is short.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// A host to read.
#[derive(Debug, Clone)]
pub struct Source {
    inside: Arc<Inside>,
    unread: Arc<Mutex<BTreeMap<String, String>>>,
    /// It is the running host.
    pub live: bool,
}

impl Source {
    /// Reads the running host.
    pub fn live() -> Source {
        Source { inside: Arc::new(Inside::new("/".into())), unread: Arc::default(), live: true }
    }

    /// Reads a folder.
    pub fn folder(root: PathBuf) -> Source {
        Source { inside: Arc::new(Inside::new(root)), unread: Arc::default(), live: false }
    }

    /// Gives a view of another root below this one: a container's, by a process of it.
    pub fn root_of(&self, pid: u32) -> Inside {
        match self.live {
            // The kernel's own link, which no path can stand for.
            true => Inside::new(format!("/proc/{pid}/root").into()),
            false => self.inside.below(&format!("proc/{pid}/root")),
        }
    }

    /// Reads a file of the kernel's for a process, of at most `limit` bytes. In it may be what the process wrote, and the kernel may
    /// have to wait for the process's memory.
    ///
    /// # Errors
    /// As [`Inside::read`].
    pub fn of_process(&self, pid: u32, name: &str, limit: usize) -> std::io::Result<Vec<u8>> {
        self.inside.read(&format!("/proc/{pid}/{name}"), limit)
    }

    /// Reads the beginning of such a file.
    ///
    /// # Errors
    /// As [`Inside::head`].
    pub fn head_of_process(&self, pid: u32, name: &str, limit: usize) -> std::io::Result<Vec<u8>> {
        self.inside.head(&format!("/proc/{pid}/{name}"), limit)
    }

    /// Gives where a link of the kernel's for a process leads, such as `exe`; `None` where that isn't to be seen.
    pub fn link_of_process(&self, pid: u32, name: &str) -> Option<String> {
        self.inside.link(&format!("/proc/{pid}/{name}")).ok()
    }

    /// Lists a folder of the kernel's for a process, such as `fd`.
    pub fn names_of_process(&self, pid: u32, name: &str) -> Vec<String> {
        let names = self.inside.names(&format!("/proc/{pid}/{name}")).unwrap_or_default();
        names.into_iter().map(|(name, _)| name).collect()
    }

    /// Reads a file; `None` if there is none.
    pub fn text(&self, path: &str) -> Readable<Option<String>> {
        match self.inside.read(path, LONGEST) {
            Ok(bytes) => Readable::Known(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if absent(error.kind()) => Readable::Known(None),
            Err(error) => {
                self.note(path, &error);
                Readable::Unknown(format!("{path}: {error}"))
            }
        }
    }

    /// Remembers what was there and could not be read.
    pub fn note(&self, path: &str, error: impl std::fmt::Display) {
        if let Ok(mut unread) = self.unread.lock() {
            unread.insert(path.to_owned(), error.to_string());
        }
    }

    /// Gives what was there and could not be read so far, and why.
    pub fn unread(&self) -> BTreeMap<String, String> {
        self.unread.lock().map(|unread| unread.clone()).unwrap_or_default()
    }

    /// Reads a file whose absence means the same as nothing in it.
    pub fn text_or_nothing(&self, path: &str) -> String {
        self.text(path).known().cloned().flatten().unwrap_or_default()
    }

    /// Says whether something is there.
    pub fn exists(&self, path: &str) -> bool {
        self.inside.exists(path).unwrap_or(false)
    }

    /// Gives when a file was last written, in seconds since 1970.
    pub fn modified(&self, path: &str) -> Option<i64> {
        let time = self.inside.modified(path).ok()?;
        time.duration_since(std::time::UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok())
    }

    /// Lists a folder's names, sorted; none if it isn't there.
    pub fn names(&self, path: &str) -> Vec<String> {
        let names = self.inside.names(path);
        if let Err(error) = names.as_ref()
            && !absent(error.kind())
        {
            self.note(path, error);
        }
        let mut names: Vec<String> = names.unwrap_or_default().into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }

    /// Reads what a folder's host answered; `None` if the bundle doesn't hold it.
    pub fn captured(&self, name: &str) -> Option<String> {
        self.text(&format!("{CAPTURE}/{name}")).known().cloned().flatten()
    }

    /// Reads an answer of a folder's host that is JSON.
    pub fn captured_json(&self, name: &str) -> Readable<Value> {
        match self.captured(name) {
            None => Readable::Unknown(format!("the folder doesn't hold it ({})", &format!("{CAPTURE}/{name}")[1..])),
            Some(text) => match serde_json::from_str(&text) {
                Ok(value) => Readable::Known(value),
                Err(error) => Readable::Unknown(format!("{}/{name} is not JSON: {error}", &CAPTURE[1..])),
            },
        }
    }

    /// Says whether the host has a program.
    pub fn has_program(&self, name: &str) -> bool {
        FOLDERS.iter().any(|folder| self.exists(&format!("{folder}/{name}")))
    }

    /// Runs a program of the running host that only reads, and gives what it prints; in a folder, reads what it printed.
    pub fn output(&self, program: &str, arguments: &[&str], captured: &str) -> Readable<String> {
        if !self.live {
            let missing = || format!("the folder doesn't hold it ({})", &format!("{CAPTURE}/{captured}")[1..]);
            return self.captured(captured).map_or_else(|| Readable::Unknown(missing()), Readable::Known);
        }
        let path = FOLDERS.iter().map(|folder| format!("{folder}/{program}")).find(|path| self.exists(path));
        let Some(path) = path else { return Readable::Unknown(format!("{program} is not installed")) };
        run(&path, arguments)
    }
}

fn absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Runs a program with nothing on its standard input, for a limited time.
fn run(path: &str, arguments: &[&str]) -> Readable<String> {
    let command = format!("{path} {}", arguments.join(" "));
    let command = command.trim_end();
    let failed = |why: &str| Readable::Unknown(format!("`{command}` failed: {why}"));
    let spawned =
        Command::new(path).args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return failed(&error.to_string()),
    };
    // Both pipes are read while it runs: a full one would hold it up for ever.
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let reader = |stream: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(stream) = stream {
                let _ = std::io::Read::read_to_end(&mut std::io::Read::take(stream, LONGEST as u64), &mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = reader(out.map(|stream| Box::new(stream) as _));
    let err = reader(err.map(|stream| Box::new(stream) as _));
    let started = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return failed(&format!("no answer within {} s", PATIENCE.as_secs()));
            }
            Err(error) => return failed(&error.to_string()),
        }
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if status.success() { Readable::Known(out) } else { failed(err.lines().next().unwrap_or("it says nothing")) }
}
