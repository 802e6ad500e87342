//! Files that are none, disks that are full, and signals that ask to end.

use crate::support::served::{BUCKETS, PROFILES, Served, served, with};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Gives exit code and what was said, of a command that ends by itself.
fn ended(served: &Served, args: &[&str]) -> (Option<i32>, String) {
    let started = Instant::now();
    let output = served.attempt(args);
    assert!(started.elapsed() < Duration::from_secs(10), "{args:?} took {:?}", started.elapsed());
    output
}

#[test]
fn pipes_and_devices_are_no_files_of_ours() {
    let served = served();
    let pipe = served.dir.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let pipe = pipe.display().to_string();
    for odd in [pipe.as_str(), "/dev/zero"] {
        for args in [
            vec!["apply", odd],
            with(&["setup", "--dry-run", "--config", odd]),
            with(&["plan", "--artifact", odd]),
            vec!["release", odd],
            with(&["setup", "--side", "prod", "--yes", "--dev-account", "111111111111", "--handoff", odd]),
        ] {
            let (code, text) = ended(&served, &args);
            assert!(matches!(code, Some(1 | 64)) && text.contains(odd), "{args:?}: {code:?} {text}");
            assert!(text.contains("a pipe or a device") || text.contains("is not a file"), "{args:?}: {text}");
        }
    }
}

#[test]
fn a_full_disk_leaves_no_empty_settings() {
    let served = served();
    // The kernel's own full disk takes no name, so a limit of the shell's stands for it: no file may grow.
    let mut command = Command::new("sh");
    let own = served.command(&[&with(&["setup", "--dry-run", "--write-config", "new.toml"])[..], &PROFILES].concat());
    command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""]).arg(own.get_program()).args(own.get_args());
    command.current_dir(own.get_current_dir().unwrap());
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains("new.toml"), "{output:?}");
    assert!(!served.dir.path().join("new.toml").exists());
    let (code, text) = served.attempt(&with(&["setup", "--dry-run", "--write-config", "new.toml"]));
    assert_eq!(code, Some(0), "{text}");
}

/// Waits for somebody to connect.
fn accepted(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let started = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => return stream,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(20), "nobody connects: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Says whether this process, and so its children, ignore a signal.
fn ignores(signal: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    u64::from_str_radix(mask, 16).unwrap() >> (signal - 1) & 1 == 1
}

#[test]
fn every_signal_to_end_ends_a_question_to_aws() {
    let served = served();
    // A place where nobody answers: the connection is taken, and that is all.
    let silent = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        (listener, endpoint)
    };
    // Whoever runs the tests by `nohup` has all of their children ignore this one, as that is meant.
    let hangs_up = !ignores(1);
    if !hangs_up {
        println!("SIGHUP is ignored here, so it isn't tried");
    }
    for signal in ["INT", "TERM", "QUIT"].into_iter().chain(hangs_up.then_some("HUP")) {
        let (listener, endpoint) = silent();
        let mut command = served.command(&[&["plan"][..], &BUCKETS, &PROFILES].concat());
        let mut child = command.env("AWS_ENDPOINT_URL", &endpoint).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It asks: now it waits.
        let asking = accepted(&listener);
        assert!(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success());
        let text: Vec<String> = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap).collect();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{signal}: {status:?} {text:?}");
        assert!(text.iter().any(|line| line.contains("interrupted")), "{signal}: {text:?}");
        drop(asking);
    }
    // What `nohup` has ignored stays ignored.
    let (listener, endpoint) = silent();
    let own = served.command(&[&["plan"][..], &BUCKETS, &PROFILES].concat());
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(own.get_program()).args(own.get_args());
    command.current_dir(own.get_current_dir().unwrap());
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("AWS_ENDPOINT_URL", &endpoint);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let first = accepted(&listener);
    assert!(Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap().success());
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it ended");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(first);
}
