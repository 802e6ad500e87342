//! `xdeploy rehearse`: the first command of a newcomer, every link broken and mended, and the two accounts behind a port.

use crate::support::depth;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program in an empty folder, with nothing of the surroundings: no profile, no proxy, no settings.
fn program(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
    command.arg("rehearse").args(args).current_dir(dir.path()).env_clear().env("HOME", dir.path());
    command
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(mut command: Command) -> Ran {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

fn rehearse(args: &[&str]) -> Ran {
    Ran::of(program(&tempfile::tempdir().unwrap(), args))
}

/// What every green rehearsal shows.
fn is_green(release: &Value, calls: &Value) {
    let calls = calls.as_array().unwrap();
    assert!(calls.len() > 10 && calls.iter().all(|call| call["verdict"] == "allowed" && call["link"] != ""), "{calls:#?}");
    assert_eq!(release["status"], "Succeeded");
    let objects = release["arrival"]["objects"].as_array().unwrap();
    assert!(!objects.is_empty() && objects.iter().all(|object| object["ownedByProduction"] == true), "{objects:#?}");
}

#[test]
fn the_first_command_needs_no_account_and_no_network() {
    let dir = tempfile::tempdir().unwrap();
    let whole = program(&dir, &["--output", "json"]);
    // A network namespace of its own, with not even a loopback that is up.
    let mut alone = Command::new("unshare");
    alone.args(["--net", "--map-root-user"]).arg(whole.get_program()).args(whole.get_args());
    alone.current_dir(dir.path()).env_clear().env("HOME", dir.path());
    let ran = match Command::new("unshare").args(["--net", "--map-root-user", "true"]).status() {
        Ok(status) if status.success() => Ran::of(alone),
        _ => {
            println!("skipped: this machine makes no network namespaces; run beside the network instead");
            Ran::of(whole)
        }
    };
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told = ran.json();
    is_green(&told["release"], &told["calls"]);
    assert_eq!(told["release"]["arrival"]["ownership"], "BucketOwnerEnforced");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_option_of_setup_is_taken() {
    for options in [
        "--create-buckets --enable-versioning --input-bucket my-in --output-bucket my-out",
        "--enable-versioning --region eu-west-1",
        "--region eu-central-1 --prod-region us-west-2 --policies least-privilege --deploy-encrypts-with-dev-key",
        "--change-detection none --pipeline web --deploy-role deployer --key-alias own",
        "--change-detection polling --no-extract --deploy-path site.zip",
        "--deploy-path site/v2 --object-key in/web.zip --artifact-bucket my-artifacts --create-buckets",
        "--region cn-north-1 --strict",
    ] {
        let mut args: Vec<&str> = options.split(' ').collect();
        args.extend(["--output", "json"]);
        let ran = rehearse(&args);
        assert_eq!(ran.code, 0, "{options}: {}", ran.err);
        let told = ran.json();
        is_green(&told["release"], &told["calls"]);
    }
    let dry = rehearse(&["--dry-run", "--output", "json"]);
    assert!(dry.code == 0 && dry.json().get("release").is_none(), "{}", dry.err);
}

#[test]
fn an_artifact_of_ones_own_is_deployed_by_the_first_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut zip = zip::ZipWriter::new(std::fs::File::create(dir.path().join("own.zip")).unwrap());
    zip.start_file("own.txt", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, b"mine").unwrap();
    zip.finish().unwrap();
    let ran = Ran::of(program(&dir, &["--artifact", "own.zip", "--output", "json"]));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told = ran.json();
    is_green(&told["release"], &told["calls"]);
    assert_eq!(told["release"]["arrival"]["objects"][0]["key"], "own.txt");
}

/// Where a run stops without this link, and a piece of the text that CodePipeline gives then (facts A.2, C, E).
fn stops_at(link: &str) -> (&'static str, &'static str) {
    match link {
        "start-role" | "start-run" => ("", "EventBridge was denied something"),
        "service-role" => ("Source", "CodePipeline is not authorized to perform AssumeRole on role"),
        "source-read" => ("Source", "returned a Forbidden error"),
        link if link.starts_with("source-") => ("Source", "Insufficient permissions"),
        link if link.starts_with("artifact-") => ("Source", "Insufficient permissions"),
        link if link.starts_with("copy-") => ("Deploy", "Failed replicating"),
        "deploy-role" => ("Deploy", "is not authorized to perform AssumeRole on role"),
        link if link.starts_with("deploy-") => ("Deploy", "Unable to access the artifact with Amazon S3 object key"),
        _ => ("Deploy", "You do not have sufficient permissions to call s3.putObject"),
    }
}

/// Breaks one link and mends it; says what was wrong.
fn broken(options: &[&str], link: &str) -> Result<(), String> {
    let ran = rehearse(&[options, &["--break", link, "--fix", "--output", "json"]].concat());
    let told = ran.json();
    let (stage, text) = stops_at(link);
    let failure = told["failure"].to_string();
    let stopped = told["release"]["actions"].as_array().and_then(|actions| actions.iter().find(|action| action["status"] == "Failed"));
    let stopped = stopped.map_or("", |action| action["stage"].as_str().unwrap());
    let links = told["verify"]["proof"]["links"].as_array().cloned().unwrap_or_default();
    let named = links.iter().any(|judged| judged["name"] == link && judged["verdict"] == "denied");
    let called = told["calls"].as_array().into_iter().flatten().any(|call| call["link"] == link && call["verdict"] != "allowed");
    let mended = &told["mended"]["release"]["status"];
    if ran.code != 0 || !named || !called || stopped != stage || !failure.contains(text) || mended != "Succeeded" {
        let error = &ran.err[ran.err.find("error").unwrap_or(0)..];
        let what = format!("named {named}, called {called}, stopped at `{stopped}`, then {mended}");
        return Err(format!("{link}: exit {}, {what}: {failure} {error}", ran.code));
    }
    is_green(&told["mended"]["release"], &told["mended"]["calls"]);
    Ok(())
}

#[test]
fn every_link_can_be_broken_is_named_and_mended() {
    let mut counts = Vec::new();
    for (options, at_least) in [
        (&[][..], 12),
        (&["--prod-region", "eu-west-1"][..], 16),
        (&["--policies", "least-privilege", "--prod-region", "eu-west-1"][..], 16),
        (&["--change-detection", "polling", "--no-extract", "--deploy-path", "site.zip"][..], 10),
    ] {
        let listed = rehearse(&[options, &["--break", "list", "--output", "json"]].concat()).json();
        let needed = |link: &&Value| link["needed"] == true;
        let links: Vec<String> =
            listed["links"].as_array().unwrap().iter().filter(needed).map(|link| link["name"].as_str().unwrap().to_owned()).collect();
        assert!(links.len() >= at_least, "{options:?}: {links:?}");
        let links = depth::sampled("links", links, 4);
        let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(link) = links.get(next.fetch_add(1, Ordering::SeqCst)) {
                        // Without --fix it stays broken.
                        let stays = if options.is_empty() { rehearse(&["--break", link]).code } else { 1 };
                        if let Err(what) = broken(options, link).and_then(|()| if stays == 1 { Ok(()) } else { Err(link.clone()) }) {
                            wrong.lock().unwrap().push(what);
                        }
                    }
                });
            }
        });
        let wrong = wrong.into_inner().unwrap();
        assert!(wrong.is_empty(), "{options:?}\n{}", wrong.join("\n"));
        counts.push(links.len());
    }
    println!("{counts:?} links broken and mended");
}

#[test]
fn a_call_that_may_not_be_made_is_a_warning() {
    let ran = rehearse(&["--break", "output-list"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("The pipeline went green without `output-list`"), "{}", ran.out);
    assert!(ran.out.contains("  warning    output-list"), "{}", ran.out);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_told() {
    for (args, text) in [
        (&["--break", "deploy-decryp"][..], "did you mean `deploy-decrypt`?"),
        (&["--break", "copy-read"][..], "the chain of this set-up has no link `copy-read`"),
        (&["--fix"][..], "`--fix` without `--break`"),
        (&["--break", "deploy-read", "--dry-run"][..], "breaks nothing with `--dry-run`"),
        (&["--break", "deploy-read", "--artifact", "x.zip"][..], "doesn't go with `--artifact`"),
        (&["--input-bucket", "codepipeline-output-bucket"][..], "input and output bucket are the same"),
        (&["--settle", "21"][..], "is not in"),
        (&["--serve", "192.0.2.1:80"][..], "is not an address of the loopback"),
        (&["--serve", "here"][..], "invalid socket address"),
    ] {
        let ran = rehearse(args);
        assert!(ran.code == 64 && ran.err.contains(text) && ran.out.is_empty(), "{args:?}: {} {}{}", ran.code, ran.out, ran.err);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ran = rehearse(&["--serve", &taken.local_addr().unwrap().to_string()]);
    assert!(ran.code == 1 && ran.err.contains("could not listen on") && ran.out.is_empty(), "{} {}{}", ran.code, ran.out, ran.err);
}

/// Reads up to the last line of the second profile, and gives both as a file.
fn profiles(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> String {
    let mut text = String::new();
    let mut secrets = 0;
    for line in lines {
        let line = line.unwrap();
        if line.starts_with('[') || !text.is_empty() {
            text.push_str(&line);
            text.push('\n');
        }
        secrets += usize::from(line.starts_with("aws_secret_access_key"));
        if secrets == 2 {
            return text;
        }
    }
    panic!("the server ended: {text}");
}

#[test]
fn a_served_rehearsal_is_there_for_others_until_it_is_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = program(&dir, &["--serve", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(served.stdout.take().unwrap()).lines();
    let config = profiles(&mut lines);
    let look = |config: &str| {
        let file = dir.path().join("config");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
        command.args(["verify", "--dev-profile", "rehearsal-dev", "--prod-profile", "rehearsal-prod"]);
        command.args(["--input-bucket", "codepipeline-input-bucket", "--output-bucket", "codepipeline-output-bucket"]);
        command.current_dir(dir.path()).env_clear().env("HOME", dir.path()).env("AWS_CONFIG_FILE", &file);
        Ran::of(command)
    };
    let right = look(&config);
    let wrong = look(&config.replace("aws_secret_access_key = ", "aws_secret_access_key = x"));
    let pid = served.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let started = Instant::now();
    let ended = loop {
        if let Some(status) = served.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > Duration::from_secs(10) {
            served.kill().unwrap();
            panic!("Ctrl-C didn't end it");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut rest = String::new();
    let _ = served.stderr.take().map(|mut stream| stream.read_to_string(&mut rest));
    assert_eq!(ended.code(), Some(0));
    assert!(right.code == 0 && right.out.contains("35 of 35 calls allowed"), "{}{}", right.out, right.err);
    assert!(wrong.code == 4 && wrong.err.contains("SignatureDoesNotMatch"), "{} {}", wrong.code, wrong.err);
}
