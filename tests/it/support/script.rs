//! Shell scripts of AWS CLI calls, run with the real AWS CLI on one of the test beds.

use super::emulators::{folder, virtual_environment};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

const REQUIREMENTS: &str = include_str!("awscli.txt");
const SERVER: &str = include_str!("aws_server.py");
const WRAPPER: &str = include_str!("aws.sh");

struct Tools {
    /// Where `shellcheck` is.
    bin: PathBuf,
    /// Port of the loaded AWS CLI.
    port: u16,
    // Ends with the binary: its input is closed then.
    _server: std::sync::Mutex<std::process::Child>,
}

fn started() -> &'static Result<Tools, String> {
    static TOOLS: OnceLock<Result<Tools, String>> = OnceLock::new();

    TOOLS.get_or_init(|| {
        let folder = folder();
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let python = virtual_environment(&folder, REQUIREMENTS)?;
        let mut server = Command::new(&python)
            .args(["-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let _ = BufReader::new(server.stdout.take().unwrap()).read_line(&mut line);
        let port = line.trim().parse().map_err(|_| format!("it did not start: {line}"))?;
        Ok(Tools { bin: python.parent().unwrap().to_owned(), port, _server: std::sync::Mutex::new(server) })
    })
}

fn tools() -> &'static Tools {
    started().as_ref().unwrap_or_else(|error| panic!("the AWS CLI: {error}"))
}

/// Gives why the AWS CLI is not to be had.
pub fn missing() -> Option<String> {
    started().as_ref().err().map(|reason| format!("the AWS CLI ({reason})"))
}

/// Where a run is to end, as if somebody had pulled the plug.
#[derive(Debug, Clone, Copy)]
pub enum End {
    Never,
    /// Before this call of the AWS CLI, from 1.
    Before(usize),
    /// After this call took effect, unanswered.
    After(usize),
}

/// How a script ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// Calls of the AWS CLI.
    pub calls: usize,
}

impl Ran {
    /// Checks that it succeeded.
    #[track_caller]
    pub fn success(self) -> Ran {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// Runs a script where `command` says: its folder and variables are kept, the program isn't.
pub fn run(like: &Command, text: &str, variables: &[(&str, &str)], end: End) -> Ran {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let dir = like.get_current_dir().unwrap().join(format!("script-{}", RUNS.fetch_add(1, Ordering::SeqCst)));
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).unwrap();
    executable(&bin.join("aws"), WRAPPER);
    // What is waited for comes with the next calls here, not with time.
    executable(&bin.join("sleep"), "#!/bin/sh\n");
    fs::write(dir.join("script.sh"), text).unwrap();
    let mut command = Command::new("bash");
    // The wrapper must know whom to end.
    command.args(["-c", "SCRIPT=$$ exec bash script.sh"]).current_dir(&dir).env_clear();
    for (name, value) in like.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let calls = dir.join("calls");
    command.env("PATH", path).env("TMPDIR", &dir).env("CALLS", &calls).env("AWS_SERVER", tools().port.to_string());
    // What AWS sees late is seen at once here, or never.
    command.env("WAIT_SECONDS", "0").envs(variables.iter().copied());
    match end {
        End::Never => {}
        End::Before(number) => drop(command.env("GONE_BEFORE", number.to_string())),
        End::After(number) => drop(command.env("GONE_AFTER", number.to_string())),
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let calls = fs::read_to_string(calls).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr), calls }
}

fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Asserts that shellcheck has nothing to say of a script.
#[track_caller]
pub fn shellcheck(text: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("script.sh");
    fs::write(&path, text).unwrap();
    let output = Command::new(tools().bin.join("shellcheck")).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
