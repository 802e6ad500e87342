//! What a test needs of the machine, and what becomes of it where that is missing.

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use libtest_mimic::{Completion, Failed, Trial};

use crate::depth;

/// Programs that the lab starts, with the package of Debian that has each.
const PROGRAMS: [(&str, &str); 12] = [
    ("dockerd", "docker.io"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("iptables-nft", "iptables"),
    ("iptables-legacy", "iptables"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("busybox", "busybox-static"),
    ("tar", "tar"),
];

/// What the real SDKs need besides.
pub const FOR_SDKS: [(&str, &str); 3] = [("python3", "python3-venv"), ("node", "nodejs"), ("npm", "npm")];

/// A test that is skipped, with the reason, where the machine lacks something; unless `XDEPLOY_LAB=must` makes that a failure.
pub fn trial(name: &str, more: &'static [(&str, &str)], test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        let mut missing = machine().to_vec();
        missing.extend(programs(more));
        if missing.is_empty() {
            test();
            return Ok(Completion::Completed);
        }
        let reason = format!("needs {}", missing.join(", "));
        if env::var("XDEPLOY_LAB").is_ok_and(|value| value == "must") {
            return Err(Failed::from(reason));
        }
        Ok(Completion::ignored_with(reason))
    })
}

/// Says whether a sample is enough: nobody asked for everything, nor named a test.
pub fn is_quick() -> bool {
    let named = env::args().skip(1).any(|word| !word.starts_with('-'));
    !(depth::full() || named || env::var_os("XDEPLOY_LAB").is_some())
}

/// The backends of iptables that something is tried with: all of them, or one where a sample is enough, another with each seed.
pub fn sampled<T: Copy>(name: &str, backends: &[T]) -> Vec<T> {
    if !is_quick() || backends.is_empty() {
        return backends.to_vec();
    }
    let mut hasher = DefaultHasher::new();
    (name, depth::seed()).hash(&mut hasher);
    vec![backends[usize::try_from(hasher.finish() % backends.len() as u64).unwrap()]]
}

/// Whether there is such a program; also where only root looks.
fn there_is(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.extend([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")]);
    folders.iter().any(|folder| folder.join(program).is_file())
}

fn programs(wanted: &[(&str, &str)]) -> Vec<String> {
    let missing = wanted.iter().filter(|(program, _)| !there_is(program));
    missing.map(|(program, package)| format!("{program} (package {package})")).collect()
}

fn machine() -> &'static [String] {
    static MISSING: OnceLock<Vec<String>> = OnceLock::new();

    MISSING.get_or_init(|| {
        let mut missing = programs(&PROGRAMS);
        // It is all that the containers have: no libraries.
        if missing.is_empty() && run(&["sh", "-c", "ldd \"$(command -v busybox)\""]).is_some() {
            missing.push("a busybox without libraries (package busybox-static)".to_owned());
        }
        if run(&["id", "-u"]).is_none_or(|id| id.trim() != "0") {
            missing.insert(0, "root".to_owned());
        } else if missing.is_empty() {
            // Root of a container may make no namespaces, and a kernel may have no legacy tables.
            for iptables in ["iptables-nft", "iptables-legacy"] {
                let words = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", iptables, "-t", "nat", "-L", "-n"];
                if run(&words).is_none() {
                    missing
                        .push(format!("the right and a kernel to run {iptables} in namespaces of its own (CAP_SYS_ADMIN, CAP_NET_ADMIN)"));
                }
            }
        }
        missing
    })
}

fn run(words: &[&str]) -> Option<String> {
    let output = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
