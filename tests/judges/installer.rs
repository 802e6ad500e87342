//! What gets a release onto a machine, `.ci/release/install.sh` and the action, with a folder of releases that is served here.

use crate::needs::{Need, program};
use libtest_mimic::Trial;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use xdeploy::deploy::zipfile::sha256;

const PROJECT: &str = env!("CARGO_MANIFEST_DIR");
const NEEDS: &[Need] = &[|| program("curl", "curl"), || program("wget", "wget"), || program("bash", "bash")];

/// A release's binary for this machine.
fn binary() -> String {
    format!("xdeploy-{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// A program that says its version.
fn program_of(version: &str) -> String {
    format!("#!/bin/sh\necho xdeploy {version}\n")
}

/// Releases, and a home to install into.
struct Releases {
    folder: tempfile::TempDir,
    address: String,
}

impl Releases {
    fn new() -> Releases {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/releases", listener.local_addr().unwrap());
        let root = folder.path().to_owned();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().unwrap_or_else(|| Ok(String::new())).unwrap_or_default();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
                let (status, body) = match fs::read(root.join(path)) {
                    Ok(body) => ("200 OK", body),
                    Err(_) => ("404 Not Found", b"not here".to_vec()),
                };
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        let releases = Releases { folder, address };
        for version in ["0.1.0", "0.2.0"] {
            let place = releases.place(version);
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join(binary()), program_of(version)).unwrap();
            let sum = sha256(program_of(version).as_bytes());
            fs::write(place.join("SHA256SUMS"), format!("{}  install.sh\n{sum}  {}\n", "0".repeat(64), binary())).unwrap();
        }
        fs::create_dir_all(releases.folder.path().join("releases/latest")).unwrap();
        symlink(releases.place("0.2.0"), releases.folder.path().join("releases/latest/download")).unwrap();
        fs::create_dir(releases.home()).unwrap();
        releases
    }

    fn place(&self, version: &str) -> PathBuf {
        self.folder.path().join(format!("releases/download/v{version}"))
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Runs the installer with the programs of a folder alone.
    fn install(&self, path: &Path, args: &[&str]) -> Output {
        let mut command = Command::new("/bin/sh");
        command.arg(Path::new(PROJECT).join(".ci/release/install.sh")).args(["--from", &self.address]).args(args);
        command.env_clear().env("HOME", self.home()).env("PATH", path).current_dir(self.folder.path()).output().unwrap()
    }
}

/// A folder of programs: what any system has, and these.
fn programs(folder: &Path, more: &[&str]) -> PathBuf {
    let bin = folder.join(format!("bin-{}", more.join("-")));
    fs::create_dir(&bin).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for name in ["uname", "mkdir", "mktemp", "rm", "mv", "chmod", "awk", "tr", "cut", "sha256sum", "sh", "cat"].iter().chain(more) {
        let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
        symlink(found.unwrap_or_else(|| panic!("{name}")), bin.join(name)).unwrap();
    }
    bin
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What lies in the folder that was installed into.
fn installed(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn a_release_is_installed_by_curl_or_wget_and_replaces_an_older_one() {
    for loader in ["curl", "wget"] {
        let releases = Releases::new();
        let path = programs(releases.folder.path(), &[loader]);
        let place = releases.home().join(".local/bin");
        let output = releases.install(&path, &["--version", "v0.1.0"]);
        let said = text(&output);
        assert!(output.status.success() && said.contains("installed xdeploy 0.1.0 as ") && said.contains("is not on the PATH"), "{said}");
        let output = releases.install(&path, &[]);
        let said = text(&output);
        assert!(
            output.status.success() && said.contains("installed xdeploy 0.2.0") && said.contains("in the place of xdeploy 0.1.0"),
            "{said}"
        );
        let said = text(&releases.install(&path, &[]));
        assert!(said.contains("xdeploy 0.2.0 was there already"), "{said}");
        assert_eq!(installed(&place), ["xdeploy"]);
        assert_eq!(fs::metadata(place.join("xdeploy")).unwrap().permissions().mode() & 0o777, 0o755);
    }
}

fn what_is_not_the_release_is_not_installed() {
    let releases = Releases::new();
    let path = programs(releases.folder.path(), &["curl"]);
    let place = releases.home().join(".local/bin");
    assert!(releases.install(&path, &["--version", "0.1.0"]).status.success());
    let refused = |args: &[&str], tells: &str| {
        let output = releases.install(&path, args);
        let said = text(&output);
        assert!(output.status.code() == Some(1) && said.contains(tells) && said.contains("hint: "), "{args:?}: {said}");
        assert_eq!(installed(&place), ["xdeploy"], "{args:?}");
        assert_eq!(fs::read_to_string(place.join("xdeploy")).unwrap(), program_of("0.1.0"), "{args:?}");
    };
    // Another file than the sum's, a sum of another, none, no program at all, no such version.
    fs::write(releases.place("0.2.0").join(binary()), program_of("0.2.0 of somebody else")).unwrap();
    refused(&[], "the download is not what was released");
    refused(&["--version", "0.1.0", "--sha256", &"0".repeat(64)], "the download is not what was released");
    fs::write(releases.place("0.2.0").join("SHA256SUMS"), format!("{}  another\n", "0".repeat(64))).unwrap();
    refused(&[], "doesn't list");
    fs::write(releases.place("0.2.0").join(binary()), "#!/nowhere\n").unwrap();
    refused(&["--sha256", &sha256(b"#!/nowhere\n")], "doesn't start on this machine");
    refused(&["--version", "9.9.9"], "can't download");
    refused(&["--version"], "needs a value");
    refused(&["--wrong", "x"], "unknown argument --wrong");
    let none = programs(releases.folder.path(), &[]);
    let said = text(&releases.install(&none, &[]));
    assert!(said.contains("neither curl nor wget is here"), "{said}");
    // A digest in capitals is the same.
    let digest = sha256(program_of("0.1.0").as_bytes()).to_ascii_uppercase();
    assert!(releases.install(&path, &["--version", "0.1.0", "--sha256", &digest]).status.success());
}

fn a_folder_that_cannot_be_written_is_named_and_nothing_is_left() {
    let releases = Releases::new();
    let path = programs(releases.folder.path(), &["curl"]);
    // A file where the folder should be stops root too.
    let file = releases.folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    let output = releases.install(&path, &["--to", file.to_str().unwrap()]);
    let said = text(&output);
    assert!(output.status.code() == Some(1) && said.contains("can't write into") && said.contains("--to FOLDER"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let elsewhere = releases.folder.path().join("a folder");
    assert!(releases.install(&path, &["--to", elsewhere.to_str().unwrap()]).status.success());
    assert_eq!(installed(&elsewhere), ["xdeploy"]);
}

fn the_action_downloads_once_and_compares_what_the_cache_has() {
    let releases = Releases::new();
    let digest = sha256(program_of("0.2.0").as_bytes());
    let temporary = releases.folder.path().join("runner");
    fs::create_dir(&temporary).unwrap();
    let run = |digest: &str| {
        let paths = releases.folder.path().join("path");
        fs::write(&paths, "").unwrap();
        let mut command = Command::new("bash");
        command.arg(Path::new(PROJECT).join(".github/actions/setup/setup.sh"));
        command.envs([("VERSION", "0.2.0"), ("SHA256", digest), ("RELEASES", &releases.address)]);
        command.env("RUNNER_TEMP", &temporary).env("GITHUB_PATH", &paths).env("HOME", releases.home());
        let output = command.output().unwrap();
        (output.status.success(), text(&output), fs::read_to_string(&paths).unwrap())
    };
    let place = temporary.join("xdeploy-0.2.0");
    let (well, said, paths) = run(&digest);
    assert!(well && said.contains("installed xdeploy 0.2.0") && paths.trim_end() == place.to_str().unwrap(), "{said}{paths}");
    let (well, said, _) = run(&digest);
    assert!(well && said.contains("is in the cache"), "{said}");
    // Somebody else's cache.
    fs::write(place.join("xdeploy"), "#!/bin/sh\necho mine\n").unwrap();
    let (well, said, _) = run(&digest);
    assert!(well && said.contains("installed xdeploy 0.2.0"), "{said}");
    let (well, said, paths) = run(&"0".repeat(64));
    assert!(!well && said.contains("is not what was released") && paths.is_empty(), "{said}{paths}");
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![NEEDS;
        a_release_is_installed_by_curl_or_wget_and_replaces_an_older_one,
        what_is_not_the_release_is_not_installed,
        a_folder_that_cannot_be_written_is_named_and_nothing_is_left,
        the_action_downloads_once_and_compares_what_the_cache_has,
    ]
}
