//! Whatever a file holds, the program answers, and soon: plans, hand-offs, settings, AWS profiles, hosts in folders, rules, logs.
//!
//! Each input is a good one with parts cut out, doubled and replaced. `PROPTEST_CASES` makes it try more, and
//! `XDEPLOY_FUZZ_SECONDS=3600` has each kind tried for an hour.

use crate::ecs::tree::{KINDS, Tree};
use crate::support::depth;
use crate::support::served::{Served, served, with};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use xdeploy::deploy::handoff::Handoff;
use xdeploy::deploy::plan::Plan;
use xdeploy::ecs::parse::{audit_log, env_files, iptables, proc_net, settings};

/// What takes the place of a part.
const SCRAPS: [&[u8]; 30] = [
    b"",
    b"\0",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\"",
    b"'",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"=",
    b":",
    b",",
    b"#",
    b"*",
    b"-1",
    b"1e400",
    b"99999999999999999999",
    b"null",
    b"[]",
    b"\x1b[2J",
    b"::error::",
    b"\xff\xfe",
    "é\u{202e}\u{2028}".as_bytes(),
    b"${a}",
    b"arn:aws:kms:::",
    b"../../etc/passwd",
];

/// Where, how much goes, whether it is doubled instead, and what comes.
type Edit = (Index, usize, bool, usize);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    vec((any::<Index>(), prop_oneof![3 => 0..8_usize, 1 => 0..4_000_usize], any::<bool>(), 0..SCRAPS.len()), 1..6)
}

fn edited(good: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for (at, length, doubled, scrap) in edits {
        let at = at.index(bytes.len() + 1);
        let end = bytes.len().min(at + length);
        let part = bytes[at..end].to_vec();
        bytes.splice(at..end, if *doubled { [&part[..], &part].concat() } else { SCRAPS[*scrap].to_vec() });
    }
    bytes
}

/// How many inputs are tried with one seed.
const BATCH: u32 = 500;

/// Tries so many inputs, or as many as `PROPTEST_CASES` says, or for as long as `XDEPLOY_FUZZ_SECONDS` says; more in a full run. The seed that
/// it prints makes the same ones.
fn tried(quick: u32, full: u32, mut test: impl FnMut(Vec<Edit>, Index)) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u32>().unwrap());
    let time = number("XDEPLOY_FUZZ_SECONDS").map(|seconds| Duration::from_secs(seconds.into()));
    let wanted = number("PROPTEST_CASES").unwrap_or(if depth::full() { full } else { quick });
    let (started, mut done) = (Instant::now(), 0);
    while time.map_or(done < wanted, |time| started.elapsed() < time) {
        let cases = if time.is_some() { BATCH } else { BATCH.min(wanted - done) };
        let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&depth::seed().to_le_bytes());
        seed[8..12].copy_from_slice(&done.to_le_bytes());
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
        let cell = std::cell::RefCell::new(&mut test);
        let outcome = runner.run(&(edits(), any::<Index>()), |(edits, which)| {
            let started = Instant::now();
            (cell.borrow_mut())(edits, which);
            prop_assert!(started.elapsed() < Duration::from_secs(10), "it took {:?}", started.elapsed());
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("after {done} inputs ({}={}): {error}", depth::SEED, depth::seed());
        }
        done += cases;
    }
    println!("{done} inputs in {:.0?} ({}={})", started.elapsed(), depth::SEED, depth::seed());
}

/// A set-up with a plan and a hand-off beside it.
fn made() -> (Served, PathBuf, PathBuf) {
    let served = served();
    let (plan, handoff) = (served.dir.path().join("plan.json"), served.dir.path().join("handoff.json"));
    served.run(&with(&["plan", "--out", "plan.json"]));
    served.run(&with(&["setup", "--side", "dev", "--yes", "--prod-account", "222222222222", "--handoff", "handoff.json"]));
    (served, plan, handoff)
}

#[test]
fn any_plan_or_hand_off_is_read_or_refused() {
    let (served, plan, handoff) = made();
    let (good, told) = (fs::read(&plan).unwrap(), fs::read_to_string(&handoff).unwrap());
    assert!(Plan::load(&plan).is_ok() && Handoff::parse(&told, "handoff.json").is_ok());
    let place = served.dir.path().join("edited.json");
    let load = |edits: &[Edit]| {
        fs::write(&place, edited(&good, edits)).unwrap();
        let _ = Plan::load(&place);
        let text = String::from_utf8_lossy(&edited(told.as_bytes(), edits)).into_owned();
        let _ = Handoff::parse(&text, "handoff.json");
    };
    tried(200, 1_000, |edits, _| load(&edits));
}

#[test]
fn any_settings_and_profiles_are_read_or_refused() {
    let served = served();
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (settings, _) = readme.split_once("```toml\n").unwrap().1.split_once("```").unwrap();
    let profiles = "[default]\nregion = us-east-1\n[profile dev]\nregion = us-east-1\nrole_arn = arn:aws:iam::111111111111:role/a\n\
                    source_profile = base\nmfa_serial = arn:aws:iam::111111111111:mfa/me\nretry_mode = legacy\nservices = local\n\
                    [profile base]\ncredential_process = echo '{\"Version\": 1}'\nduration_seconds = 900\n[services local]\nsts =\n\
                    \x20 endpoint_url = http://127.0.0.1:1\n[sso-session s]\nsso_start_url = https://example.com\n";
    let config = served.dir.path().join("config");
    tried(30, 150, |edits, which| {
        fs::write(served.dir.path().join("edited.toml"), edited(settings.as_bytes(), &edits)).unwrap();
        fs::write(&config, edited(profiles.as_bytes(), &edits)).unwrap();
        let args = [&["who-am-i"][..], &["plan", "--config", "edited.toml"]];
        let output = served.with_variable(args[which.index(args.len())], "XDEPLOY_NO_INPUT", "true");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code().is_some_and(|code| code != 101), "{output:?}");
        assert!(!said.contains("internal error") && !said.contains("panicked"), "{said}");
    });
}

#[test]
fn any_host_in_a_folder_is_judged() {
    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            if entry.is_dir() { files(&entry, found) } else { found.push(entry) }
        }
    }
    tried(60, 400, |edits, which| {
        let tree = Tree::healthy(KINDS[which.index(KINDS.len())]);
        let mut found = Vec::new();
        files(tree.path(), &mut found);
        for edit in &edits {
            let file = &found[edit.0.index(found.len())];
            let good = fs::read(file).unwrap();
            fs::write(file, edited(&good, &edits)).unwrap();
        }
        tree.check();
    });
}

#[test]
fn any_line_of_a_host_is_taken_apart() {
    const SAVE: &str = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination \
                        127.0.0.1:51679\n-A OUTPUT -m comment --comment \"a \\\"b\" -j REDIRECT --to-ports 51679\nCOMMIT\n";
    const AUDIT: &str = "2024-05-01T12:00:00Z 200 172.17.0.3:41234 \"/v2/credentials\" \"aws-cli/2.0\" arn:aws:ecs:eu-west-1:1:task/web/1 \
                         GetCredentials 1 web arn:aws:ecs:eu-west-1:1:container-instance/web/2\n";
    const ENVIRONMENT: &str = "A=1\nexport B='two words'\n# c\nECS_CLUSTER=\"x\"\nEnvironment=\"C=3\" D=4\nenv E=5\n";
    const ROUTES: &str =
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\n";
    const SOCKETS: &str = "  sl  local_address rem_address   st\n   0: 0100007F:C9DF 00000000:0000 0A 0:0 0:0 0 0 0 12345 1\n";
    tried(2_000, 10_000, |edits, _| {
        let text = |good: &str| String::from_utf8_lossy(&edited(good.as_bytes(), &edits)).into_owned();
        let _ = iptables::save(&text(SAVE));
        let (lines, _) = audit_log::parse_all(&text(AUDIT));
        let _ = audit_log::summary(&lines, "xdeploy");
        let environment = text(ENVIRONMENT);
        let _ = (env_files::ecs_init(&environment), env_files::systemd(&environment), env_files::docker(&environment));
        let _ = (env_files::shell(&environment), env_files::upstart(&environment), env_files::unit(&environment));
        let _ = (settings::sysctl(&environment), settings::os_release(&environment), settings::php_pools(&environment));
        let _ = (proc_net::routes(&text(ROUTES)), proc_net::listeners(&text(SOCKETS)));
    });
}
