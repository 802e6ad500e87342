//! Runs the program: its environment, its end, its output made comparable.

use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Bed;
use super::proxy::{Request, When};

/// A program that takes longer has hung.
const TIMEOUT: Duration = Duration::from_secs(180);

/// How the program ended and what it wrote.
#[must_use]
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; 128 and the signal's number if a signal ended it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    /// The proxy's table of calls at the end, for messages.
    pub calls: String,
}

impl Output {
    /// Checks that the program succeeded.
    #[track_caller]
    pub fn success(self) -> Checked {
        self.code(0)
    }

    /// Checks the exit code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Checked {
        assert!(self.status == expected, "exit code {} instead of {expected}\n{}", self.status, self.report());
        Checked(self)
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output isn't one JSON document: {error}\n{}", self.report()))
    }

    pub fn report(&self) -> String {
        format!("── stdout\n{}\n── stderr\n{}\n── calls\n{}", self.stdout, self.stderr, self.calls)
    }
}

/// An output whose exit code has been looked at, so that it may be dropped.
#[derive(Debug, Clone)]
pub struct Checked(Output);

impl Deref for Checked {
    type Target = Output;

    fn deref(&self) -> &Output {
        &self.0
    }
}

/// How a run that was to be killed ended.
#[derive(Debug)]
pub enum Killed {
    /// Killed at this call.
    At(Request),
    /// The program ended first: it makes fewer calls.
    Never(Output),
}

impl Killed {
    pub fn reached(&self) -> bool {
        matches!(self, Killed::At(_))
    }
}

/// The program while it runs. Killed when dropped.
pub struct Running<'bed> {
    bed: &'bed Bed,
    child: Child,
    files: PathBuf,
}

impl Running<'_> {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, for instance `INT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -s {name} failed");
    }

    /// Kills the program, as nothing it does can prevent.
    pub fn kill(mut self) -> Output {
        self.child.kill().expect("kill");
        let status = self.child.wait().expect("the program's end");
        self.output(status)
    }

    pub fn stdout(&self) -> String {
        read(&self.files.with_extension("stdout"))
    }

    pub fn stderr(&self) -> String {
        read(&self.files.with_extension("stderr"))
    }

    /// Whether the program has ended.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().expect("the program's state").is_some()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// If the program hangs, with what it wrote and called.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let deadline = Instant::now() + TIMEOUT;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.child.try_wait().expect("the program's state") {
                return self.output(status);
            }
            if Instant::now() > deadline {
                let output = self.kill();
                panic!("the program had not ended after {TIMEOUT:?}\n{}", output.report());
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    fn output(&self, status: ExitStatus) -> Output {
        use std::os::unix::process::ExitStatusExt;
        let output = Output {
            status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
            stdout: self.stdout(),
            stderr: self.stderr(),
            calls: self.bed.proxy.table(),
        };
        for secret in self.bed.secrets.lock().unwrap().iter() {
            let leaked = output.stdout.contains(secret.as_str()) || output.stderr.contains(secret.as_str());
            assert!(!leaked, "the program printed a secret\n{}", output.report());
        }
        output
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &PathBuf) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

impl Bed {
    /// The arguments with both profiles added.
    pub fn args(&self, args: &[&str]) -> Vec<String> {
        let profiles = ["--dev-profile", &self.dev.profile, "--prod-profile", &self.prod.profile];
        args.iter().copied().chain(profiles).map(str::to_owned).collect()
    }

    /// Runs the program with these arguments and both profiles.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Output {
        let args = self.args(args);
        self.xdeploy(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs the program with exactly these arguments.
    #[track_caller]
    pub fn xdeploy(&self, args: &[&str]) -> Output {
        self.spawn(args).wait()
    }

    /// Starts the program with exactly these arguments.
    pub fn spawn(&self, args: &[&str]) -> Running<'_> {
        self.spawn_command(self.command(args))
    }

    /// The program with exactly these arguments and the bed's environment, to be changed and given
    /// to [`Bed::spawn_command`].
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_xdeploy").as_ref(), args)
    }

    /// Another program in the same environment.
    pub fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        let home = self.home();
        command
            .args(args)
            .current_dir(self.dir())
            .env_clear()
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env("TMPDIR", self.dir())
            .env("COLUMNS", "80")
            .env("AWS_CONFIG_FILE", self.config_file())
            .env("AWS_SHARED_CREDENTIALS_FILE", self.credentials_file())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", self.proxy.url());
        for kept in ["PATH", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command
    }

    pub fn spawn_command(&self, mut command: Command) -> Running<'_> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        // Files, not pipes: nobody has to read while the program runs.
        let files = self.dir().join(format!("run-{}", RUNS.fetch_add(1, Ordering::Relaxed)));
        let create = |extension: &str| File::create(files.with_extension(extension)).expect("a file for the output");
        let child = command.stdin(Stdio::null()).stdout(create("stdout")).stderr(create("stderr")).spawn().expect("the program to start");
        Running { bed: self, child, files }
    }

    /// Runs the program with these arguments and both profiles, and kills it at the n-th call from
    /// now (from 0): `Before` it takes effect, or `After`, unanswered.
    #[track_caller]
    pub fn run_killed_at(&self, args: &[&str], n: usize, when: When) -> Killed {
        self.run_killed(args, n, false, when)
    }

    /// The same, counting only calls that change something.
    #[track_caller]
    pub fn run_killed_at_write(&self, args: &[&str], n: usize, when: When) -> Killed {
        self.run_killed(args, n, true, when)
    }

    #[track_caller]
    fn run_killed(&self, args: &[&str], n: usize, writes_only: bool, when: When) -> Killed {
        let args = self.args(args);
        let command = self.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
        self.command_killed(command, n, writes_only, when)
    }

    /// The same for any command made with [`Bed::command`].
    #[track_caller]
    pub fn command_killed(&self, command: Command, n: usize, writes_only: bool, when: When) -> Killed {
        let trap = self.proxy.trap(n, writes_only, when);
        let mut running = self.spawn_command(command);
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Ok(request) = trap.recv_timeout(Duration::from_millis(5)) {
                let _ = running.kill();
                return Killed::At(request);
            }
            if running.ended() || Instant::now() > deadline {
                self.proxy.disarm();
                return Killed::Never(running.wait());
            }
        }
    }

    /// The text with all that differs from run to run replaced, mostly by something as long, so that
    /// tables stay aligned:
    ///
    /// | what | becomes |
    /// | --- | --- |
    /// | account ids | `111111111111` (dev), `222222222222` (prod) |
    /// | suffix of the bed's buckets | `0000000000` |
    /// | UUIDs: key ids, execution ids | `00000000-0000-0000-0000-00000000000N`, N-th to appear |
    /// | multi-Region key ids | `mrk-…000N` |
    /// | what follows `request id` | `REQUEST-ID` |
    /// | access keys and unique ids | `AKIAXXXXXXXXXXXXXXXX` |
    /// | times | `2000-01-01T00:00:00Z` |
    /// | seconds with a fraction | `0.0s` |
    /// | the bed's folder, the proxy's port | `[DIR]`, `[PORT]` |
    pub fn normalise(&self, text: &str) -> String {
        let mut text = text
            .replace(&self.dir().display().to_string(), "[DIR]")
            .replace(&format!("127.0.0.1:{}", self.proxy.port), "127.0.0.1:[PORT]")
            .replace(&self.dev.id, "111111111111")
            .replace(&self.prod.id, "222222222222")
            .replace(&self.unique, "0000000000");
        text = replace_request_ids(&text);
        normalised(&text)
    }
}

/// The second half of [`Bed::normalise`]: what differs from run to run whoever runs.
pub fn normalised(text: &str) -> String {
    let mut seen: Vec<String> = Vec::new();
    let mut number = |found: &str| {
        let position = seen.iter().position(|known| known == found).unwrap_or_else(|| {
            seen.push(found.to_owned());
            seen.len() - 1
        });
        position + 1
    };
    replace_tokens(text, |rest| {
        if let Some(length) = shape(rest, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh") {
            return Some((length, format!("00000000-0000-0000-0000-{:012}", number(&rest[..length]))));
        }
        if let Some(length) = shape(rest, "mrk-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh") {
            return Some((length, format!("mrk-{:032}", number(&rest[..length]))));
        }
        if let Some(length) = time(rest) {
            return Some((length, "2000-01-01T00:00:00Z".to_owned()));
        }
        for prefix in ["AKIA", "ASIA", "AROA", "AIDA"] {
            if let Some(id) = rest.strip_prefix(prefix) {
                let length = id.bytes().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).count();
                if (12..=28).contains(&length) {
                    return Some((4 + length, format!("{prefix}XXXXXXXXXXXXXXXX")));
                }
            }
        }
        seconds(rest).map(|length| (length, "0.0s".to_owned()))
    })
}

/// Walks the text and replaces at the starts of words.
fn replace_tokens(text: &str, mut replacement: impl FnMut(&str) -> Option<(usize, String)>) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    let mut within_word = false;
    while let Some(character) = rest.chars().next() {
        if !within_word
            && character.is_ascii_alphanumeric()
            && let Some((length, new)) = replacement(rest)
        {
            replaced.push_str(&new);
            rest = &rest[length..];
            within_word = true;
            continue;
        }
        within_word = character.is_ascii_alphanumeric();
        replaced.push(character);
        rest = &rest[character.len_utf8()..];
    }
    replaced
}

/// Length of the start of the text that has the shape: `h` is a hexadecimal digit in lower case,
/// `d` a digit, anything else itself. The text must not go on with more of the same.
fn shape(text: &str, shape: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let fits = shape.bytes().enumerate().all(|(position, expected)| {
        bytes.get(position).is_some_and(|byte| match expected {
            b'h' => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
            b'd' => byte.is_ascii_digit(),
            _ => *byte == expected,
        })
    });
    let ends = !bytes.get(shape.len()).is_some_and(|byte| byte.is_ascii_alphanumeric());
    (fits && ends).then_some(shape.len())
}

/// Length of an ISO 8601 time at the start of the text, with or without fraction and offset.
fn time(text: &str) -> Option<usize> {
    const DATE_TIME: &str = "dddd-dd-ddTdd:dd:dd";
    let head = text.get(..DATE_TIME.len())?;
    shape(&head.replacen(' ', "T", 1), DATE_TIME)?;
    let mut length = DATE_TIME.len();
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    if text[length..].starts_with('.') {
        length += 1 + digits(length + 1);
    }
    let rest = &text[length..];
    if rest.starts_with('Z') || rest.starts_with(" UTC") {
        length += if rest.starts_with('Z') { 1 } else { 4 };
    } else if rest.starts_with(['+', '-']) && shape(rest.get(1..6).unwrap_or_default(), "dd:dd").is_some() {
        length += 6;
    }
    Some(length)
}

/// Length of a duration in seconds with a fraction, such as `1.25s` or `0.3 s`.
fn seconds(text: &str) -> Option<usize> {
    let whole = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.get(whole..)?.strip_prefix('.')?;
    let fraction = rest.bytes().take_while(u8::is_ascii_digit).count();
    if whole == 0 || fraction == 0 {
        return None;
    }
    let unit = &rest[fraction..];
    let space = usize::from(unit.starts_with(' '));
    let unit = &unit[space..];
    let ends = !unit.get(1..).and_then(|after| after.chars().next()).is_some_and(char::is_alphanumeric);
    (unit.starts_with('s') && ends).then_some(whole + 1 + fraction + space + 1)
}

pub fn replace_request_ids(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let lower = rest.to_ascii_lowercase();
        let found = ["request id", "request_id", "requestid", "request-id"]
            .iter()
            .filter_map(|label| lower.find(label).map(|at| at + label.len()))
            .min();
        let Some(end) = found else { break };
        let separators = rest[end..].bytes().take_while(|byte| b" :=\"".contains(byte)).count();
        let value = rest[end + separators..].bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-+/=".contains(byte)).count();
        replaced.push_str(&rest[..end + separators]);
        if separators > 0 && value >= 12 {
            replaced.push_str("REQUEST-ID");
            rest = &rest[end + separators + value..];
        } else {
            rest = &rest[end + separators..];
        }
    }
    replaced.push_str(rest);
    replaced
}
