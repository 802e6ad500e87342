//! The machine is after a lab as it was before, whatever ends the lab.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::lab::{Backend, Lab};
use crate::needs;

pub fn trials() -> Vec<Trial> {
    vec![needs::trial("machine::a_lab_that_is_killed_leaves_nothing", &[], a_lab_that_is_killed_leaves_nothing)]
}

/// Builds a lab, says where, and stays until it is killed.
pub fn die() {
    let lab = Lab::start(Backend::Nft).unwrap();
    println!("{}", lab.folder.display());
    thread::sleep(Duration::from_secs(600));
}

fn a_lab_that_is_killed_leaves_nothing() {
    let before = machine();
    let mut child =
        Command::new(env::current_exe().unwrap()).arg("--as-lab-that-dies").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut folder = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut folder).unwrap();
    let folder = Path::new(folder.trim());
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(folder.is_dir() && !processes(&name).is_empty());
    assert_eq!(machine(), before, "while the lab is up");
    child.kill().unwrap();
    child.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while folder.exists() || !processes(&name).is_empty() {
        assert!(Instant::now() < until, "{} is still there, with the processes {:?}", folder.display(), processes(&name));
        thread::sleep(Duration::from_millis(50));
    }
    let groups = Command::new("find").args(["/sys/fs/cgroup", "-name", &name]).output().unwrap();
    assert!(groups.stdout.is_empty(), "{}", String::from_utf8_lossy(&groups.stdout));
    assert_eq!(machine(), before);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&name), "{mounts}");
}

/// Processes whose command line names the lab.
fn processes(name: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(name)).map(|line| line.replace('\0', " ")).collect()
}

/// What a lab could have changed of the machine's own network: interfaces, rules of both backends, sysctls.
fn machine() -> String {
    let mut seen = String::new();
    let mut add = |what: &str, text: &str| seen.push_str(&format!("{what}:\n{text}\n"));
    for entry in fs::read_dir("/sys/class/net").unwrap().flatten() {
        add("interface", entry.file_name().to_str().unwrap());
    }
    // Reading the legacy tables may make them: only where they are there already.
    let legacy = fs::read_to_string("/proc/net/ip_tables_names").unwrap_or_default();
    add("legacy tables", &legacy);
    let programs = if legacy.is_empty() { &["iptables-nft-save"][..] } else { &["iptables-nft-save", "iptables-legacy-save"] };
    for program in programs {
        let output = Command::new(program).output().unwrap();
        let rules = String::from_utf8_lossy(&output.stdout).into_owned();
        // Without the time and the counters.
        add(program, &rules.lines().filter(|line| line.starts_with('-')).collect::<Vec<_>>().join("\n"));
    }
    add("ip_forward", &fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap());
    for entry in fs::read_dir("/proc/sys/net/ipv4/conf").unwrap().flatten() {
        let path = entry.path().join("route_localnet");
        add(&path.display().to_string(), &fs::read_to_string(&path).unwrap_or_default());
    }
    seen
}
