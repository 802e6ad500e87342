//! Which identity a real SDK ends with (facts/ecs.md C.3): boto3, which stops where the endpoint fails, and the AWS SDK for JavaScript v2,
//! which goes on to the instance role and says nothing.

use std::env;
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use libtest_mimic::Trial;

use crate::agent::TASK_KEY;
use crate::imds::INSTANCE_KEY;
use crate::lab::{CLUSTER, INSTANCE, Lab, with_third};
use crate::needs;
use crate::rows::{healthy, verdict_of};

/// What boto3 uses, each pinned; with these versions also the tests of the emulators have it.
const REQUIREMENTS: &str = include_str!("sdks/requirements.txt");
const PACKAGE: &str = include_str!("sdks/package.json");
const LOCK: &str = include_str!("sdks/package-lock.json");
const ASK: [(&str, &str); 2] = [("ask.py", include_str!("sdks/ask.py")), ("ask.js", include_str!("sdks/ask.js"))];

/// A container in a state of the host, and what both SDKs end with.
struct Case {
    name: &'static str,
    app: &'static str,
    set_up: fn(&mut Lab),
    /// The application's own variable: its task's, or another one.
    variable: Option<&'static str>,
    boto3: Ends,
    js: Ends,
}

#[derive(Debug, Clone, Copy)]
enum Ends {
    WithTaskRole,
    WithInstanceRole,
    /// An error with these words.
    Failing(&'static str),
}

use Ends::{Failing, WithInstanceRole, WithTaskRole};

const OF_THE_TASK: Option<&str> = Some("");
const UNKNOWN: Option<&str> = Some("/v2/credentials/00000000-0000-4000-8000-000000000000");
const FAILS: &str = "CredentialRetrievalError: Error when retrieving credentials from container-role:";

const CASES: [Case; 7] = [
    Case {
        name: "no_rules",
        app: "bridge",
        // The SDK for JavaScript sets no limit to a connection and tries four times: nine minutes with the kernel's usual patience.
        set_up: |lab| {
            let pid = lab.app("bridge").pid.to_string();
            lab.sh(&format!("nsenter --net=/proc/{pid}/ns/net sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_syn_retries'"));
        },
        variable: OF_THE_TASK,
        boto3: Failing(FAILS),
        js: WithInstanceRole,
    },
    Case { name: "path_fine_bridge", app: "bridge", set_up: healthy, variable: OF_THE_TASK, boto3: WithTaskRole, js: WithTaskRole },
    Case { name: "path_fine_host", app: "host", set_up: healthy, variable: OF_THE_TASK, boto3: WithTaskRole, js: WithTaskRole },
    Case { name: "path_fine_awsvpc", app: "awsvpc", set_up: healthy, variable: OF_THE_TASK, boto3: WithTaskRole, js: WithTaskRole },
    Case { name: "variable_missing", app: "no-role", set_up: healthy, variable: None, boto3: WithInstanceRole, js: WithInstanceRole },
    Case { name: "unknown_to_the_agent", app: "bridge", set_up: healthy, variable: UNKNOWN, boto3: Failing(FAILS), js: WithInstanceRole },
    Case {
        name: "agent_stopped",
        app: "bridge",
        set_up: |lab| {
            healthy(lab);
            lab.stop_agent();
        },
        variable: OF_THE_TASK,
        boto3: Failing(FAILS),
        js: WithInstanceRole,
    },
];

pub fn trials() -> Vec<Trial> {
    let trial = |case: &'static Case| {
        needs::trial(&format!("sdks::{}", case.name), &needs::FOR_SDKS, || {
            // Installed before the host is taken: that may take a while.
            let folder = installed().as_ref().unwrap_or_else(|reason| panic!("{reason}"));
            with_third(|lab| case.check(lab, folder));
        })
    };
    CASES.iter().map(trial).collect()
}

impl Case {
    fn check(&self, lab: &mut Lab, folder: &Path) {
        lab.reset();
        (self.set_up)(lab);
        let app = lab.app(self.app);
        let ask = |program: PathBuf, script: &str| {
            let mut command = Command::new("nsenter");
            command.arg(lab.network_of(app.pid)).arg(program).arg(folder.join(script)).stdin(Stdio::null()).env_clear();
            command.env("PATH", env::var_os("PATH").unwrap_or_default()).env("HOME", "/nonexistent").env("AWS_REGION", "eu-central-1");
            let variable = self.variable.map(|other| if other.is_empty() { app.credentials.as_deref().unwrap() } else { other });
            command.envs(variable.map(|value| ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", value)));
            let output = command.output().unwrap();
            assert!(output.status.success(), "{script}: {output:?}");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        let (boto3, js) = thread::scope(|scope| {
            let boto3 = scope.spawn(|| ask(folder.join("venv/bin/python"), "ask.py"));
            let js = scope.spawn(|| ask("node".into(), "ask.js"));
            (boto3.join().unwrap(), js.join().unwrap())
        });
        for (sdk, got, expected) in [("boto3", boto3, self.boto3), ("aws-sdk v2", js, self.js)] {
            let right = match expected {
                WithTaskRole => got == TASK_KEY,
                WithInstanceRole => got == INSTANCE_KEY,
                Failing(words) => got.starts_with(words),
            };
            assert!(right, "{sdk} with {}: got `{got}`, expected {expected:?}", self.name);
        }
        self.check_verdicts(lab);
        if matches!(self.boto3, WithTaskRole) {
            check_audit_log(lab, self.app);
        }
    }
}

impl Case {
    /// ecs-check says of the containers with these SDKs what the SDKs did.
    fn check_verdicts(&self, lab: &Lab) {
        // An id that the agent doesn't know is nothing that it can see from outside.
        if self.variable == UNKNOWN {
            return;
        }
        let said = lab.ecs_check(&[]);
        let js = (self.app == "bridge").then_some(("bridge-js", self.js));
        for (app, ends) in [(self.app, self.boto3)].into_iter().chain(js) {
            let identity = match ends {
                WithTaskRole => "task-role",
                WithInstanceRole => "instance-role",
                Failing(_) => "no-credentials",
            };
            let verdict = verdict_of(&said, app);
            assert_eq!(verdict["verdict"]["identity"], identity, "{app} with {}: {verdict:#}", self.name);
        }
    }
}

/// The agent's last line says who fetched the role (facts/ecs.md C.4).
fn check_audit_log(lab: &Lab, app: &str) {
    let text = fs::read_to_string(lab.folder.join("var/log/ecs/audit.log")).unwrap();
    let line = text.lines().rfind(|line| line.contains(" 200 ")).unwrap();
    // The user agent has blanks of its own.
    let (before, after) = line.split_once("\"/v2/credentials\" \"").unwrap();
    assert_eq!(before.split(' ').count(), 4, "{line}");
    let (_, after) = after.split_once("\" ").unwrap();
    assert!(lab.app(app).task == after.split(' ').next().unwrap(), "{line}");
    assert_eq!(after.split(' ').skip(1).collect::<Vec<_>>(), ["GetCredentials", "2", CLUSTER, INSTANCE], "{line}");
}

/// The folder that both SDKs are installed in, below cargo's target folder; made on the first run.
fn installed() -> &'static Result<PathBuf, String> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();

    INSTALLED.get_or_init(|| install().map_err(|reason| format!("the SDKs could not be installed: {reason}")))
}

fn install() -> Result<PathBuf, String> {
    let mut hasher = DefaultHasher::new();
    (REQUIREMENTS, PACKAGE, LOCK, ASK).hash(&mut hasher);
    let bed = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("test-bed");
    let folder = bed.join(format!("sdks-{:016x}", hasher.finish()));
    let said = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&bed).map_err(said)?;
    // Two test binaries may come here at once; the second waits for the first one's install.
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.with_extension("lock")).map_err(said)?;
    lock.lock().map_err(said)?;
    let ready = folder.join("ready");
    if ready.exists() {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(said)?;
    }
    fs::create_dir(&folder).map_err(said)?;
    for (name, text) in ASK.into_iter().chain([("requirements.txt", REQUIREMENTS), ("package.json", PACKAGE), ("package-lock.json", LOCK)])
    {
        fs::write(folder.join(name), text).map_err(said)?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
    run(Command::new(folder.join("venv/bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "-r"])
        .arg(folder.join("requirements.txt")))?;
    run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder))?;
    fs::write(&ready, "").map_err(said)?;
    Ok(folder)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&said)))
}
