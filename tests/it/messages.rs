//! Every error message has been read by somebody: it is in a snapshot.

use crate::support::compare::same;
use crate::support::served::{self, BUCKETS, Served};
use snapbox::{file, str};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stderr says from the error on, with what differs from run to run made the same.
fn error_of(stderr: &str, places: &[(&str, &str)]) -> String {
    let from = stderr.find("error: ").unwrap_or_else(|| panic!("no error in\n{stderr}"));
    places.iter().fold(stderr[from..].trim_end().to_owned(), |text, (place, name)| text.replace(place, name))
}

/// A table of runs that fail: what was asked, the exit code, and what was said.
#[derive(Default)]
struct Told(String);

impl Told {
    fn take(&mut self, args: &[&str], code: Option<i32>, stderr: &[u8], places: &[(&str, &str)]) {
        let text = error_of(&String::from_utf8_lossy(stderr), places);
        let asked = places.iter().fold(args.join(" "), |text, (place, name)| text.replace(place, name));
        let _ = writeln!(self.0, "$ xdeploy {asked}\n{text}\nexit {}\n", code.unwrap_or(-1));
        assert!(text.contains("hint: "), "{text}");
    }

    /// Runs without any account.
    fn alone(&mut self, dir: &Path, args: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
        let output = command.args(args).current_dir(dir).env_clear().env("HOME", dir).output().unwrap();
        self.take(args, output.status.code(), &output.stderr, &[]);
    }

    /// Runs on the two accounts in memory.
    fn on(&mut self, served: &Served, args: &[&str]) {
        let output = served.try_run(args);
        self.take(args, output.status.code(), &output.stderr, &[]);
    }
}

#[test]
fn what_makes_no_sense_without_any_account() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut told = Told::default();
    let permissions = ["permissions", "--command", "setup", "--side", "dev", "--scenario", "cross-region"];
    for args in [
        &["rehearse", "--fix"][..],
        &["rehearse", "--break", "deploy-raed"],
        &["rehearse", "--serve", "192.0.2.1:80"],
        &["schema", "verfy"],
        &["ecs-check", "--root", ".", "--needs", "s3:GetObject=*"],
        &["ecs-check", "--root", "nowhere"],
        &["ecs-check", "--root", ".", "--ignore", "XD-ECS-999"],
        &["teardown", "--report", "junit=x.xml,json=./x.xml"],
        &["explain", "deploy-decryp"],
        &["explain", "-"],
        &["plan"],
        &[
            &permissions[..],
            &["--region", "us-east-1", "--prod-region", "us-east-1", "--input-bucket", "in-bucket", "--output-bucket", "out-bucket"],
        ]
        .concat(),
    ] {
        told.alone(dir, args);
    }
    for args in [&["explain", "deploy-decrpyt"][..], &["explain", "XD-CP-99"], &["explain", "-"]] {
        told.alone(dir, args);
    }
    // A port that somebody listens on.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["rehearse", "--serve", &address];
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
    let output = command.args(args).current_dir(dir).env_clear().env("HOME", dir).output().unwrap();
    told.take(&args, output.status.code(), &output.stderr, &[(&address, "127.0.0.1:PORT")]);
    same(&told.0, file!["../snapshots/messages/what_makes_no_sense_without_any_account.txt"]);
}

#[test]
fn a_bundle_that_holds_no_certificate_is_an_error_and_no_panic() {
    let served = served::served();
    let mut told = Told::default();
    let bundle = served.dir.path().join("bundle.pem");
    fs::write(&bundle, "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n").unwrap();
    let places = [(bundle.display().to_string(), "bundle.pem"), (served.dir.path().display().to_string(), "DIR")];
    let places: Vec<(&str, &str)> = places.iter().map(|(place, name)| (place.as_str(), *name)).collect();
    let output = served.with_variable(&["who-am-i"], "AWS_CA_BUNDLE", &bundle);
    told.take(&["who-am-i"], output.status.code(), &output.stderr, &places);
    fs::write(&bundle, "nothing at all\n").unwrap();
    let output = served.with_variable(&["who-am-i"], "AWS_CA_BUNDLE", &bundle);
    told.take(&["who-am-i"], output.status.code(), &output.stderr, &places);
    fs::write(served.dir.path().join("config"), "[profile dev\nregion = us-east-1\n").unwrap();
    let output = served.try_run(&["who-am-i"]);
    told.take(&["who-am-i"], output.status.code(), &output.stderr, &places);
    same(
        &told.0,
        str![[r#"
$ xdeploy who-am-i
error: AWS_CA_BUNDLE bundle.pem is not usable
  caused by: certificate 1: invalid peer certificate: BadEncoding

hint: it must hold certificates as PEM
exit 64

$ xdeploy who-am-i
error: AWS_CA_BUNDLE bundle.pem is not usable
  caused by: it holds no certificate

hint: it must hold certificates as PEM
exit 64

$ xdeploy who-am-i
error: the AWS configuration files can't be read
  caused by: could not parse profile file: error parsing DIR/config on line 1:
      Profile definition must end with ']'

hint: mend the file; `aws configure list-profiles` reads the same ones
exit 4


"#]],
    );
}

#[test]
fn what_a_pipeline_that_exists_does_not_have() {
    let served = served::served();
    let mut told = Told::default();
    told.on(&served, &["setup", "--yes", "--input-bucket", "in-bucket"]);
    served.run(&served::with(&["setup", "--yes"]));
    let setup = ["setup", "--yes", "--input-bucket", "in-bucket", "--output-bucket", "out-bucket"];
    for more in
        [&["--service-role", "another"][..], &["--artifact-bucket", "another-bucket"], &["--stage", "Nowhere"], &["--action", "Nothing"]]
    {
        told.on(&served, &[&setup[..], more].concat());
    }
    told.on(
        &served,
        &[
            "setup",
            "--yes",
            "--pipeline",
            "new",
            "--service-role",
            "arn:aws:iam::111111111111:user/x",
            BUCKETS[0],
            BUCKETS[1],
            BUCKETS[2],
            BUCKETS[3],
        ],
    );
    told.on(&served, &["release", "--sample", "--object-key", "nothing.zip"]);
    told.on(&served, &["teardown", "--confirm", "other"]);
    same(&told.0, file!["../snapshots/messages/what_a_pipeline_that_exists_does_not_have.txt"]);
}

#[test]
fn accounts_of_two_partitions() {
    let (here, there) = (served::served(), Served::of("aws-cn", "cn-north-1"));
    let (id, secret) = there.rehearsal.keys(xdeploy::rehearsal::PROD);
    let of = |served: &Served, name: &str, region: &str| {
        format!("[profile {name}]\nregion = {region}\nendpoint_url = http://127.0.0.1:{}\n", served.port)
    };
    let dir = here.dir.path();
    fs::write(dir.join("config"), of(&here, "dev", "us-east-1") + &of(&there, "prod", "cn-north-1")).unwrap();
    let dev = fs::read_to_string(dir.join("credentials")).unwrap().replace("[prod]", "[elsewhere]");
    fs::write(dir.join("credentials"), format!("{dev}[prod]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")).unwrap();
    let args = served::with(&["setup", "--yes"]);
    let mut command = here.command(&args);
    command.args(["--dev-profile", "dev", "--prod-profile", "prod", "--prod-region", "cn-north-1"]).env_remove("AWS_ENDPOINT_URL");
    let output = command.output().unwrap();
    let mut told = Told::default();
    told.take(&args, output.status.code(), &output.stderr, &[]);
    same(
        &told.0,
        str![[r#"
$ xdeploy setup --input-bucket in-bucket --output-bucket out-bucket --yes
error: dev is in partition `aws` and prod in `aws-cn`; a role can't be assumed across partitions

hint: use two accounts of one partition
exit 4


"#]],
    );
}

/// A pipeline whose stages have two actions each, as somebody else would write it.
fn doubled(served: &Served) {
    let config = served.rehearsal.config(served.rehearsal.keys(xdeploy::rehearsal::DEV), "us-east-1");
    let client = aws_sdk_codepipeline::Client::from_conf(aws_sdk_codepipeline::config::Builder::from(&config).build());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut pipeline = runtime.block_on(client.get_pipeline().name("crossaccountdeploy").send()).unwrap().pipeline.unwrap();
    for stage in &mut pipeline.stages {
        let mut second = stage.actions[0].clone();
        second.name = format!("{}Two", second.name);
        for artifact in second.output_artifacts.iter_mut().flatten() {
            artifact.name = format!("{}Two", artifact.name);
        }
        let configuration = second.configuration.as_mut().unwrap();
        if configuration.contains_key("S3ObjectKey") {
            configuration.insert("S3ObjectKey".to_owned(), "two.zip".to_owned());
        }
        stage.actions.push(second);
    }
    // A build makes of one of them what is deployed, so that neither is the one.
    served::put_build_between(&mut pipeline);
    runtime.block_on(client.update_pipeline().pipeline(pipeline).send()).unwrap();
}

#[test]
fn a_pipeline_with_two_of_each() {
    let served = served::served();
    served.run(&served::with(&["setup", "--yes"]));
    doubled(&served);
    let mut told = Told::default();
    told.on(&served, &["setup", "--yes"]);
    told.on(&served, &["setup", "--yes", "--action", "Deploy", "--input-bucket", "in-bucket"]);
    told.on(&served, &["release", "--sample", "--action", "Deploy"]);
    same(
        &told.0,
        str![[r#"
$ xdeploy setup --yes
error: pipeline crossaccountdeploy has 2 S3 deploy actions that could be meant

hint: say which with `--stage` and `--action`: Deploy/Deploy (to out-bucket), Deploy/DeployTwo (to out-bucket)
exit 3

$ xdeploy setup --yes --action Deploy --input-bucket in-bucket
error: pipeline crossaccountdeploy has several S3 source actions: in-bucket/sample-website.zip, in-bucket/two.zip

hint: say which with `--input-bucket` and `--object-key`
exit 3

$ xdeploy release --sample --action Deploy
error: pipeline crossaccountdeploy has several S3 source actions

hint: say which with `--input-bucket` and `--object-key`
exit 3


"#]],
    );
}

/// When it is created any text will do, so that the action fails only when it runs.
#[test]
fn an_extract_that_cannot_work() {
    let served = served::served();
    served.run(&served::with(&["setup", "--yes"]));
    let config = served.rehearsal.config(served.rehearsal.keys(xdeploy::rehearsal::DEV), "us-east-1");
    served.block_on(async {
        let client = aws_sdk_codepipeline::Client::new(&config);
        let mut pipeline = client.get_pipeline().name("crossaccountdeploy").send().await.unwrap().pipeline.unwrap();
        pipeline.stages[1].actions[0].configuration.as_mut().unwrap().insert("Extract".to_owned(), "True".to_owned());
        client.update_pipeline().pipeline(pipeline).send().await.unwrap();
    });
    let mut told = Told::default();
    told.on(&served, &["release", "--sample"]);
    same(
        &told.0,
        str![[r#"
$ xdeploy release --sample
error: pipeline crossaccountdeploy can't deploy: the deploy action's Extract is `True`; only `true` and `false` work
  caused by: nothing was uploaded

hint: set Extract to `true` or `false` in the configuration of the deploy action
exit 3


"#]],
    );
}

#[test]
fn a_rule_of_somebody_else_has_our_name() {
    let served = served::served();
    let config = served.rehearsal.config(served.rehearsal.keys(xdeploy::rehearsal::DEV), "us-east-1");
    let client = aws_sdk_eventbridge::Client::from_conf(aws_sdk_eventbridge::config::Builder::from(&config).build());
    let rule = client.put_rule().name("codepipeline-crossaccountdeploy-source").event_pattern("{\"source\": [\"aws.ec2\"]}");
    tokio::runtime::Runtime::new().unwrap().block_on(rule.send()).unwrap();
    let mut told = Told::default();
    told.on(&served, &served::with(&["setup", "--yes"]));
    same(
        &told.0,
        str![[r#"
$ xdeploy setup --input-bucket in-bucket --output-bucket out-bucket --yes
error: EventBridge rule codepipeline-crossaccountdeploy-source exists in dev (111111111111) and was not made by xdeploy for pipeline crossaccountdeploy

hint: pass `--event-rule NAME` to use another name
exit 3


"#]],
    );
}

#[test]
fn a_release_that_does_not_arrive() {
    let served = served::served();
    served.run(&served::with(&["setup", "--yes"]));
    served::remove_policy(&served, "devkmss3access");
    let output = served.try_run(&["release", "--sample", "--start-after", "0s"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let id = stderr.split("execution ").nth(1).and_then(|rest| rest.split(':').next()).unwrap_or_default().to_owned();
    let mut told = Told::default();
    let session = |text: &str| -> String {
        let words = text.split_inclusive(char::is_whitespace);
        words.map(|word| if word.contains("assumed-role/") { "SESSION ".to_owned() } else { word.to_owned() }).collect()
    };
    let artifact = stderr.split("SourceArti/").nth(1).and_then(|rest| rest.split('.').next()).unwrap_or_default().to_owned();
    let places = [(id.as_str(), "EXECUTION"), (artifact.as_str(), "ARTIFACT")];
    told.take(&["release", "--sample"], output.status.code(), session(&stderr).as_bytes(), &places);
    same(
        &told.0,
        str![[r#"
$ xdeploy release --sample
error: execution EXECUTION of pipeline crossaccountdeploy ended as Failed
  caused by: Deploy/Deploy: PermissionError: Unable to access the artifact with Amazon S3 object key 'crossaccountdeploy/SourceArti/ARTIFACT.zip' located in the Amazon S3 artifact bucket 'codepipeline-us-east-1-111111111111'. The provided role does not have sufficient permissions.

hint: `xdeploy explain --pipeline crossaccountdeploy` says why
hint: `xdeploy verify --pipeline crossaccountdeploy` says what differs from what setup would make
exit 1


"#]],
    );
}

/// Standard input that can't be read, and an event that starts nothing.
#[test]
fn what_cannot_be_read_or_begun() {
    let dir = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    for args in [&["explain", "-"][..], &["simulate"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
        let folder = fs::File::open(dir.path()).unwrap();
        let output = command.args(args).current_dir(dir.path()).env_clear().stdin(folder).output().unwrap();
        told.take(args, output.status.code(), &output.stderr, &[]);
    }
    let args = ["rehearse", "--break", "start-run"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
    let output = command.args(args).current_dir(dir.path()).env_clear().output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let version = text.split("for version ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    let _ = writeln!(told.0, "{}", error_of(&text, &[(&version, "VERSION")]));
    same(
        &told.0,
        str![[r#"
$ xdeploy explain -
error: could not read the message from standard input
  caused by: Is a directory (os error 21)

hint: pipe it in: `xdeploy explain - < message.txt`
exit 1

$ xdeploy simulate
error: could not go on with the requests
  caused by: Is a directory (os error 21)

hint: check what the requests come from
exit 1

error: nothing started pipeline crossaccountdeploy for version VERSION of the source
  caused by: EventBridge was denied something, which it tells nobody

"#]],
    );
}

#[test]
fn zips_that_are_none() {
    let served = served::served();
    let mut told = Told::default();
    fs::write(served.dir.path().join("half.zip"), b"PK\x03\x04and no more").unwrap();
    told.on(&served, &served::with(&["plan", "--artifact", "half.zip"]));
    let mut many = zip::ZipWriter::new(fs::File::create(served.dir.path().join("many.zip")).unwrap());
    for number in 0..100_001 {
        many.start_file(number.to_string(), zip::write::SimpleFileOptions::default()).unwrap();
    }
    many.finish().unwrap();
    told.on(&served, &served::with(&["plan", "--artifact", "many.zip"]));
    same(
        &told.0,
        str![[r#"
$ xdeploy plan --input-bucket in-bucket --output-bucket out-bucket --artifact half.zip
error: half.zip is not a zip file
  caused by: invalid Zip archive: Could not find EOCD

hint: zip the site's files, for example `zip -r site.zip .` within its folder; `--no-extract` deploys any file as it is
exit 1

$ xdeploy plan --input-bucket in-bucket --output-bucket out-bucket --artifact many.zip
error: many.zip holds 100001 files; the deploy action takes 100000 at most

hint: split the site over several pipelines
exit 1


"#]],
    );
}

/// Where the program makes errors.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, found),
                false => found.push(path),
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut product, mut tests) = (Vec::new(), Vec::new());
    walk(&root.join("src"), &mut product);
    walk(&root.join("tests"), &mut tests);
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default();
    let rust = tests.iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    let files = tests.iter().filter(|path| path.starts_with(root.join("tests/snapshots")));
    let snapshots: String = rust.map(|path| inline(&text(path))).chain(files.map(text)).collect();
    let code = product.iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs")).map(|path| {
        let code = text(path).split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
        (path.strip_prefix(root).unwrap().display().to_string(), code)
    });
    [("tests".to_owned(), snapshots)].into_iter().chain(code).collect()
}

/// The inline snapshots of a test's source.
fn inline(code: &str) -> String {
    let (open, close) = (concat!("str![", "[r#\""), concat!("\"#", "]]"));
    code.split(open).skip(1).filter_map(|rest| rest.split(close).next()).collect::<Vec<_>>().join("\n")
}

/// The text of a literal, with its escapes read.
fn literal(code: &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = code.strip_prefix('"')?.chars();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => match characters.next()? {
                'n' => text.push('\n'),
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

/// The messages of the errors in a source, as they are written.
fn messages(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for maker in ["Error::usage(", "Error::refused(", "Error::failed(", "Error::new("] {
        for (at, _) in code.match_indices(maker) {
            if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == ':') {
                continue;
            }
            let mut rest = code[at + maker.len()..].trim_start();
            if maker == "Error::new(" {
                rest = rest.split_once(',').map_or("", |(_, rest)| rest).trim_start();
            }
            rest = rest.strip_prefix("format!(").unwrap_or(rest).trim_start();
            found.extend(literal(rest));
        }
    }
    found
}

/// Says whether a text has the message, whatever is filled in.
fn is_told(message: &str, text: &str) -> bool {
    let mut parts = Vec::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once('{') {
        parts.push(before);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    parts.push(rest);
    let longest = parts.iter().map(|part| part.len()).max().unwrap_or_default();
    let anchor = parts.iter().position(|part| part.len() == longest).unwrap_or_default();
    text.match_indices(parts[anchor]).any(|(at, _)| {
        // What is filled in is a name or an ARN, so the other parts are near.
        let mut end = at + parts[anchor].len();
        let behind = parts[anchor + 1..].iter().all(|part| {
            let near = text[end..].chars().take(300).collect::<String>();
            near.find(part).map(|found| end += found + part.len()).is_some()
        });
        let mut start = at;
        let before = parts[..anchor].iter().rev().all(|part| {
            let from = text[..start].char_indices().rev().nth(300).map_or(0, |(index, _)| index);
            text[from..start].rfind(part).map(|found| start = from + found).is_some()
        });
        behind && before
    })
}

#[test]
fn every_message_is_in_a_snapshot() {
    let all = sources();
    let snapshots = &all[0].1;
    let mut unread = BTreeSet::new();
    let mut seen = 0;
    for (path, code) in &all[1..] {
        if path.starts_with("src/rehearsal") || path.starts_with("src/ecs/host") {
            continue;
        }
        for message in messages(code) {
            seen += 1;
            if !is_told(&message, snapshots) {
                unread.insert(message);
            }
        }
    }
    assert!(seen > 100, "{seen} messages were found, so the search is wrong");
    assert!(unread.is_empty(), "no snapshot has these: {unread:#?}");
}

#[test]
fn a_message_that_no_snapshot_has_is_found() {
    let text = "error: profile `web` has no region\n";
    assert!(is_told("profile `{profile}`{asked} has no region", text));
    assert!(!is_told("profile `{profile}`{asked} has no key", text));
    let code = "Err(Error::usage(format!(\"profile `{profile}` has \\\"none\\\"\")).hint(\"\"))";
    assert_eq!(messages(code), ["profile `{profile}` has \"none\""]);
}
