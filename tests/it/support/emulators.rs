//! The emulators and the Python process that owns them.
//!
//! Both emulators serve every test of the binary at once; a test is alone in them because no other
//! test has its account ids. Nothing is started before the first test asks.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

const REQUIREMENTS: &str = include_str!("requirements.txt");
const ORACLE: &str = include_str!("oracle.py");

/// An AWS error, or a Python one with the code `Python`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OracleError {
    pub code: String,
    pub message: String,
}

impl fmt::Display for OracleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.message)
    }
}

/// The running emulators.
pub struct Emulators {
    /// Port of ministack on the loopback: everything but CodePipeline.
    pub ministack: u16,
    /// Port of moto on the loopback: CodePipeline.
    pub moto: u16,
    /// The Python that has boto3.
    pub python: PathBuf,
    oracle: Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
    access_keys: Mutex<HashMap<String, String>>,
    moto_keys: Mutex<HashMap<String, String>>,
}

/// The emulators, started by whichever test asks first.
///
/// # Panics
/// With the reason, in every test, if Python, its packages or an emulator is not to be had.
pub fn emulators() -> &'static Emulators {
    match started() {
        Ok(emulators) => emulators,
        Err(reason) => panic!("the AWS emulators could not be started: {reason}"),
    }
}

/// Gives why the emulators are not to be had.
pub fn missing() -> Option<String> {
    started().as_ref().err().map(|reason| format!("AWS emulators ({reason})"))
}

fn started() -> &'static Result<Emulators, String> {
    static EMULATORS: OnceLock<Result<Emulators, String>> = OnceLock::new();

    EMULATORS.get_or_init(start)
}

type Waiting = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

impl Emulators {
    /// Asks the oracle; see `oracle.py` for the requests.
    pub fn ask(&self, mut request: Value) -> Result<Value, OracleError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        request["id"] = json!(id);
        let (sender, receiver): (Sender<Value>, Receiver<Value>) = channel();
        self.waiting.lock().unwrap().insert(id, sender);
        {
            let mut oracle = self.oracle.lock().unwrap();
            writeln!(oracle, "{request}")
                .and_then(|()| oracle.flush())
                .unwrap_or_else(|error| panic!("the oracle process is gone ({error}); its log is in {}", folder().display()));
        }
        let mut reply = receiver
            .recv_timeout(Duration::from_secs(120))
            .unwrap_or_else(|error| panic!("no answer from the oracle ({error}); its log is in {}", folder().display()));
        if let Some(error) = reply.get("error") {
            return Err(OracleError {
                code: error["code"].as_str().unwrap_or_default().to_owned(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            });
        }
        Ok(reply["ok"].take())
    }

    /// Notes whose access key this is, so that the proxy can tell the caller's account.
    pub fn register_access_key(&self, access_key: &str, account: &str) {
        self.access_keys.lock().unwrap().insert(access_key.to_owned(), account.to_owned());
    }

    /// The account of an access key: of a registered one, or of root, whose key is the account id.
    pub fn account_of(&self, access_key: &str) -> Option<String> {
        if is_account_id(access_key) {
            return Some(access_key.to_owned());
        }
        self.access_keys.lock().unwrap().get(access_key).cloned()
    }

    /// The access key that is this account for moto.
    pub fn moto_key(&self, account: &str) -> String {
        if let Some(key) = self.moto_keys.lock().unwrap().get(account) {
            return key.clone();
        }
        let key = self.ask(json!({"op": "moto_key", "account": account})).unwrap_or_else(|error| panic!("{error}"));
        let key = key.as_str().unwrap().to_owned();
        self.moto_keys.lock().unwrap().insert(account.to_owned(), key.clone());
        key
    }
}

pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The folder under cargo's target folder that holds the virtual environment and the logs.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("test-bed")
}

fn read(answers: impl BufRead, waiting: &Waiting) {
    for line in answers.lines() {
        let Ok(line) = line else { break };
        let Ok(reply) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let sender = reply["id"].as_u64().and_then(|id| waiting.lock().unwrap().remove(&id));
        if let Some(sender) = sender {
            let _ = sender.send(reply);
        }
    }
    // Whoever still waits learns that there will be no answer.
    waiting.lock().unwrap().clear();
}

fn start() -> Result<Emulators, String> {
    let folder = folder();
    let logs = folder.join("logs");
    fs::create_dir_all(&logs).map_err(|error| format!("{}: {error}", logs.display()))?;
    remove_old(&logs);
    let python = virtual_environment(&folder, REQUIREMENTS)?;

    // Named after its text, and moved into place: two test binaries of two versions may run at once.
    let script = folder.join(format!("oracle-{:016x}.py", hash(ORACLE)));
    let scratch = folder.join(format!("oracle-{}.tmp", std::process::id()));
    fs::write(&scratch, ORACLE).and_then(|()| fs::rename(&scratch, &script)).map_err(|error| format!("{}: {error}", script.display()))?;
    let log_path = logs.join(format!("oracle-{}.log", std::process::id()));
    let log = File::create(&log_path).map_err(|error| format!("{}: {error}", log_path.display()))?;

    let mut child = Command::new(&python)
        .arg(&script)
        .arg(&logs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|error| format!("{}: {error}", python.display()))?;
    let oracle = child.stdin.take().ok_or("the oracle has no standard input")?;
    let mut answers = BufReader::new(child.stdout.take().ok_or("the oracle has no standard output")?);

    let mut line = String::new();
    answers.read_line(&mut line).map_err(|error| error.to_string())?;
    let ready: Value = serde_json::from_str(&line)
        .map_err(|_| format!("the oracle ended at once:\n{}", fs::read_to_string(&log_path).unwrap_or_default()))?;
    if let Some(reason) = ready["fatal"].as_str() {
        return Err(reason.to_owned());
    }
    let port = |name: &str| ready[name].as_u64().and_then(|port| u16::try_from(port).ok()).ok_or_else(|| format!("no port in {line}"));
    let waiting = Waiting::default();
    let readers_waiting = Arc::clone(&waiting);
    thread::spawn(move || read(answers, &readers_waiting));
    Ok(Emulators {
        ministack: port("ministack")?,
        moto: port("moto")?,
        python,
        oracle: Mutex::new(oracle),
        waiting,
        next: AtomicU64::new(1),
        access_keys: Mutex::default(),
        moto_keys: Mutex::default(),
    })
}

/// Removes what runs of earlier days left; a failure only leaves more.
fn remove_old(logs: &Path) {
    let day = Duration::from_secs(24 * 60 * 60);
    for entry in fs::read_dir(logs).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > day)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The Python of a virtual environment with the pinned packages; made on the first run.
pub fn virtual_environment(folder: &Path, requirements: &str) -> Result<PathBuf, String> {
    let environment = folder.join(format!("venv-{:016x}", hash(requirements)));
    let python = environment.join("bin").join("python");
    let ready = environment.join("ready");

    // Two test binaries may come here at once; the second waits for the first one's install.
    let lock_path = environment.with_extension("lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|error| format!("{}: {error}", lock_path.display()))?;
    lock.lock().map_err(|error| format!("{}: {error}", lock_path.display()))?;
    if ready.exists() {
        return Ok(python);
    }
    if environment.exists() {
        fs::remove_dir_all(&environment).map_err(|error| format!("{}: {error}", environment.display()))?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment), "python3 with its venv module is needed")?;
    let pinned = environment.join("requirements.txt");
    fs::write(&pinned, requirements).map_err(|error| error.to_string())?;
    // Without dependencies: the file pins all that is used, which is half of what moto asks for.
    run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "-r"])
            .arg(&pinned),
        "pip could not install what the tests use",
    )?;
    fs::write(&ready, "").map_err(|error| error.to_string())?;
    Ok(python)
}

fn run(command: &mut Command, otherwise: &str) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{otherwise}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{otherwise} ({}):\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
