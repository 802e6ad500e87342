//! The workflows of `xdeploy ci`: parsed as YAML, and their commands run with bash on two accounts in memory.

use crate::support::compare::same;
use crate::support::depth;
use crate::support::scripts;
use crate::support::served::Served;
use snapbox::file;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use xdeploy::rehearsal::{DEV, PROD};
use yaml_rust2::{Yaml, YamlLoader};

/// The administrator of the key is neither of the roles that the jobs assume.
const SETTINGS: [&str; 8] = [
    "--region",
    "us-east-1",
    "--input-bucket",
    "in-bucket",
    "--output-bucket",
    "out-bucket",
    "--key-administrator",
    "arn:aws:iam::111111111111:user/caller",
];

/// Runs without any account, in an empty folder, and gives exit code, standard output and standard error.
fn alone(args: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    within(dir.path(), args)
}

fn within(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xdeploy")).args(args).current_dir(dir).env_clear().env("HOME", dir).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn workflow(service: &str, more: &[&str]) -> Yaml {
    let (code, text, told) = alone(&[&["ci", service], &SETTINGS[..], more].concat());
    assert_eq!(code, 0, "{told}");
    let mut documents = YamlLoader::load_from_str(&text).unwrap();
    assert_eq!(documents.len(), 1);
    if !more.iter().any(|said| said.contains('@')) {
        let parts: Vec<&str> = text.split('@').collect();
        let places = parts
            .iter()
            .skip(1)
            .take(parts.len().saturating_sub(2))
            .filter(|part| part.chars().all(|one| one.is_ascii_uppercase() || one == '_'));
        assert_eq!(places.count(), 0, "{text}");
    }
    documents.remove(0)
}

/// What `xdeploy ci --roles` tells with both accounts known.
fn roles(service: &str, settings: &[&str]) -> Vec<serde_json::Value> {
    let accounts = ["--dev-account", DEV, "--prod-account", PROD, "--roles", "--output", "json"];
    let (code, text, said) = alone(&[&["ci", service], settings, &accounts].concat());
    assert_eq!(code, 0, "{said}");
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    told["roles"].as_array().unwrap().clone()
}

/// Runs a command as it is printed, in a shell, and gives the policy.
fn policy_of(command: &str) -> serde_json::Value {
    let dir = tempfile::tempdir().unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_xdeploy")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["--noprofile", "--norc", "-c", command]).current_dir(dir.path()).env_clear().env("PATH", path).env("HOME", dir.path());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A machine that runs jobs: programs that stand in for others, and files that outlive a job.
struct Runner {
    served: Served,
    bin: PathBuf,
    folder: PathBuf,
    kept: BTreeMap<String, PathBuf>,
    jobs: usize,
    /// Keys of what stands for the roles that the job assumes.
    credentials: PathBuf,
}

/// What a job left.
#[derive(Debug)]
struct Done {
    code: i32,
    said: String,
    folder: PathBuf,
    outputs: BTreeMap<String, String>,
}

impl Runner {
    fn new() -> Runner {
        let served = Served::new();
        served.bucket(DEV, "us-east-1", "in-bucket", true);
        served.bucket(PROD, "us-east-1", "out-bucket", false);
        let folder = served.dir.path().join("runner");
        let bin = folder.join("bin");
        fs::create_dir_all(&bin).unwrap();
        for (name, script) in [
            // Refuses to compile beside a token.
            (
                "cargo",
                "test -z \"$ACTIONS_ID_TOKEN_REQUEST_TOKEN$AWS_TOKEN\" && test \"$1 $3\" = 'install --root' && mkdir -p \"$4/bin\" && \
                 cp \"$XDEPLOY_HERE\" \"$4/bin/xdeploy\"",
            ),
            // What GitHub answers, if it is asked with the job's secret for the right audience.
            (
                "curl",
                "case \"$*\" in *'bearer asked'*'http://token?x=1&audience=sts.amazonaws.com'*) echo '{\"count\":9,\"value\":\"the-token\"}';; \
                 *' -o '*' https://github.com/xdeploy/xdeploy/releases/download/v'*'/xdeploy-x86_64-unknown-linux-gnu') \
                 while [ \"$1\" != -o ]; do shift; done; cp \"$XDEPLOY_HERE\" \"$2\";; *) exit 22;; esac",
            ),
            ("jq", "sed -n 's/.*\"value\":\"\\([^\"]*\\)\".*/\\1/p'"),
            ("gh", "test \"$1 $2 $3 $4\" = 'pr comment 7 --body-file' && cp \"$5\" \"$HOME/comment\""),
        ] {
            let path = bin.join(name);
            fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let credentials = served.dir.path().join("credentials");
        Runner { served, bin, folder, kept: BTreeMap::new(), jobs: 0, credentials }
    }

    /// From here on jobs have what `xdeploy ci --roles` tells for the role that this job assumes, in each account, and nothing else.
    fn role_of(&mut self, service: &str, job: &str, settings: &[&str]) {
        self.jobs += 1;
        let mut text = String::new();
        for role in roles(service, settings)
            .iter()
            .filter(|role| role["jobs"].as_str().unwrap().split(", ").any(|one| one.trim_start_matches("xdeploy-") == job))
        {
            let side = role["side"].as_str().unwrap();
            let account = if side == "dev" { DEV } else { PROD };
            let commands = role["permissions"].as_array().unwrap().iter();
            let mut statements: Vec<_> =
                commands.flat_map(|command| policy_of(command.as_str().unwrap())["Statement"].as_array().unwrap().clone()).collect();
            // They are attached as policies of their own, whose Sids don't meet.
            statements.iter_mut().enumerate().for_each(|(number, statement)| statement["Sid"] = format!("S{number}").into());
            let policy = serde_json::json!({"Version": "2012-10-17", "Statement": statements});
            let (id, secret) = self.served.rehearsal.hire(account, &format!("{job}-{}", self.jobs), &policy).unwrap();
            text.push_str(&format!("[{side}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"));
        }
        self.credentials = self.folder.join(format!("credentials-{}", self.jobs));
        fs::write(&self.credentials, text).unwrap();
    }

    fn workspace(&mut self) -> PathBuf {
        self.jobs += 1;
        let folder = self.folder.join(format!("job-{}", self.jobs));
        fs::create_dir(&folder).unwrap();
        folder
    }

    /// Runs a script as the services do, with these folders before the others on the path, and gives its exit code and what it said.
    fn bash(&self, folder: &Path, script: &str, variables: &BTreeMap<String, String>, path: &str) -> (i32, String) {
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(folder).env_clear().envs(variables);
        let path = format!("{path}:{}:{}", self.bin.display(), std::env::var("PATH").unwrap());
        command.env("PATH", path.trim_start_matches(':')).env("HOME", &self.folder);
        command.env("CI", "true").env("AWS_EC2_METADATA_DISABLED", "true").env("TMPDIR", &self.folder);
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.served.port));
        command.env("AWS_SHARED_CREDENTIALS_FILE", &self.credentials).env("XDEPLOY_HERE", env!("CARGO_BIN_EXE_xdeploy"));
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), said)
    }

    /// Looks at the two profiles that a job wrote, and gives the ones that the two accounts know.
    fn profiles(&self, written: &str) -> String {
        let text = fs::read_to_string(written).unwrap();
        let mut profiles: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        let mut name = "";
        for line in text.lines().filter(|line| !line.is_empty()) {
            match line.strip_prefix("[profile ").and_then(|rest| rest.strip_suffix(']')) {
                Some(found) => name = found,
                None => {
                    let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{text}"));
                    profiles.entry(name).or_default().insert(key, value);
                }
            }
        }
        assert_eq!(profiles.keys().copied().collect::<Vec<_>>(), ["dev", "prod"], "{text}");
        for (name, account) in [("dev", DEV), ("prod", PROD)] {
            let profile = &profiles[name];
            assert_eq!(profile["role_arn"], format!("arn:aws:iam::{account}:role/ci"));
            assert_eq!(fs::read_to_string(profile["web_identity_token_file"]).unwrap().trim_end(), "the-token");
            assert_eq!((profile["role_session_name"], profile["region"]), ("xdeploy", "us-east-1"));
            let mode = fs::metadata(profile["web_identity_token_file"]).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "others may read the token");
        }
        self.served.dir.path().join("config").display().to_string()
    }

    /// Runs a job of GitHub's. `found` is what the job before it gave.
    fn github(&mut self, whole: &Yaml, name: &str) -> Done {
        let job = &whole["jobs"][name];
        assert!(!job.is_badvalue(), "{name}");
        if name != "install" && needs(job).contains(&"install".to_owned()) {
            let installed = self.github(whole, "install");
            assert_eq!(installed.code, 0, "{}", installed.said);
        }
        let folder = self.workspace();
        let file = |name: &str| folder.join(format!(".{name}")).display().to_string();
        let mut variables = texts(&whole["env"]);
        for name in ["GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH"] {
            fs::write(file(name), "").unwrap();
            variables.insert(name.to_owned(), file(name));
        }
        let temporary = folder.join(".temporary");
        fs::create_dir(&temporary).unwrap();
        variables.insert("RUNNER_TEMP".to_owned(), temporary.display().to_string());
        // A job's permissions take the place of the workflow's.
        let permissions = if job["permissions"].is_badvalue() { &whole["permissions"] } else { &job["permissions"] };
        if permissions["id-token"].as_str() == Some("write") {
            variables.insert("ACTIONS_ID_TOKEN_REQUEST_TOKEN".to_owned(), "asked".to_owned());
            variables.insert("ACTIONS_ID_TOKEN_REQUEST_URL".to_owned(), "http://token?x=1".to_owned());
        }
        let mut done = Done { code: 0, said: String::new(), folder: folder.clone(), outputs: BTreeMap::new() };
        for step in job["steps"].as_vec().unwrap() {
            let told = step["if"].as_str();
            if !met(told, &done) {
                continue;
            }
            if let Some(action) = step["uses"].as_str() {
                self.action(action, &step["with"], &folder);
                continue;
            }
            let mut own = variables.clone();
            own.extend(texts(&step["env"]).into_iter().map(|(name, value)| (name, expanded(&value))));
            let path = fs::read_to_string(file("GITHUB_PATH")).unwrap().lines().collect::<Vec<_>>().join(":");
            let (code, said) = self.bash(&folder, step["run"].as_str().unwrap(), &own, &path);
            done.said.push_str(&said);
            done.code = done.code.max(code);
            done.outputs = pairs(&file("GITHUB_OUTPUT"));
            for (name, value) in pairs(&file("GITHUB_ENV")) {
                let value = if name == "AWS_CONFIG_FILE" { self.profiles(&value) } else { value };
                variables.insert(name, value);
            }
        }
        done
    }

    /// The actions that others made, as far as files go; each is named by its commit.
    fn action(&mut self, action: &str, with: &Yaml, folder: &Path) {
        let (name, commit) = action.split_once('@').unwrap();
        assert!(commit.len() == 40 && commit.bytes().all(|one| one.is_ascii_hexdigit()), "{action}");
        let place = |path: &Yaml| folder.join(path.as_str().unwrap_or("").replace("${{ runner.temp }}", ".temporary"));
        match name {
            "actions/checkout" => assert_eq!(with["persist-credentials"].as_bool(), Some(false), "a later step could push"),
            "actions/upload-artifact" => {
                let path = place(&with["path"]);
                assert!(path.is_file(), "{}", path.display());
                // It keeps no permissions.
                let kept = self.folder.join(format!("kept-{}-{}", self.jobs, with["name"].as_str().unwrap()));
                fs::create_dir(&kept).unwrap();
                let kept = kept.join(path.file_name().unwrap());
                fs::copy(&path, &kept).unwrap();
                fs::set_permissions(&kept, fs::Permissions::from_mode(0o644)).unwrap();
                self.kept.insert(with["name"].as_str().unwrap().to_owned(), kept);
            }
            "actions/download-artifact" => {
                let kept = &self.kept[with["name"].as_str().unwrap()];
                let place = place(&with["path"]);
                fs::create_dir_all(&place).unwrap();
                fs::copy(kept, place.join(kept.file_name().unwrap())).unwrap();
            }
            "github/codeql-action/upload-sarif" => {
                let text = fs::read_to_string(folder.join(with["sarif_file"].as_str().unwrap())).unwrap();
                let log: serde_json::Value = serde_json::from_str(&text).unwrap();
                crate::schemas::valid_sarif(&log);
            }
            other => panic!("{other} is not known here"),
        }
    }

    /// Runs a job of GitLab's: what comes before is in the same shell.
    fn gitlab(&mut self, whole: &Yaml, name: &str) -> Done {
        let folder = self.workspace();
        let job = &whole[format!("xdeploy-{name}").as_str()];
        let base = &whole[job["extends"].as_str().unwrap()];
        // Without `needs` a job has what all jobs of the stages before made.
        let install = &whole["xdeploy-install"];
        let mut needed = needs(job);
        if job["needs"].is_badvalue() && !install.is_badvalue() {
            needed.push("xdeploy-install".to_owned());
        }
        if !install.is_badvalue() && !self.kept.contains_key("xdeploy-install") {
            let folder = self.workspace();
            let script = install["script"].as_vec().unwrap().iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n");
            let (code, said) = self.bash(&folder, &script, &BTreeMap::new(), "");
            assert_eq!(code, 0, "{said}");
            self.kept.insert("xdeploy-install".to_owned(), folder);
        }
        for needed in needed {
            let kept = self.kept[&needed].clone();
            for path in whole[needed.as_str()]["artifacts"]["paths"].as_vec().unwrap() {
                let path = path.as_str().unwrap();
                fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
                fs::copy(kept.join(path), folder.join(path)).unwrap();
            }
        }
        let lines = |list: &Yaml| list.as_vec().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let mut variables = texts(&base["variables"]);
        variables.insert("AWS_TOKEN".to_owned(), "the-token".to_owned());
        variables.entry("XDEPLOY_DEV_ROLE".to_owned()).or_insert(format!("arn:aws:iam::{DEV}:role/ci"));
        variables.entry("XDEPLOY_PROD_ROLE".to_owned()).or_insert(format!("arn:aws:iam::{PROD}:role/ci"));
        let before = lines(&base["before_script"]).join("\n");
        let (code, said) = self.bash(&folder, &format!("{before}\necho \"$AWS_CONFIG_FILE\" > .written"), &variables, "");
        assert_eq!(code, 0, "{said}");
        let known = self.profiles(fs::read_to_string(folder.join(".written")).unwrap().trim_end());
        let script = format!("{before}\nexport AWS_CONFIG_FILE={known}\n{}", lines(&job["script"]).join("\n"));
        let (code, said) = self.bash(&folder, &script, &variables, "");
        for path in job["artifacts"]["paths"].as_vec().into_iter().flatten() {
            assert!(code != 0 || folder.join(path.as_str().unwrap()).is_file(), "{path:?}");
        }
        if let Some(report) = job["artifacts"]["reports"]["junit"].as_str() {
            let text = fs::read_to_string(folder.join(report)).unwrap();
            assert!(roxmltree::Document::parse(&text).is_ok_and(|xml| xml.root_element().has_tag_name("testsuites")), "{text}");
        }
        self.kept.insert(format!("xdeploy-{name}"), folder.clone());
        Done { code, said, folder, outputs: BTreeMap::new() }
    }

    fn nothing_is_left(&self, more: &[&str]) {
        let said = self.served.run(&[&["setup", "--yes", "--input-bucket", "in-bucket", "--output-bucket", "out-bucket"], more].concat());
        assert!(said.contains("No changes."), "{said}");
    }
}

/// The jobs that a job waits for.
fn needs(job: &Yaml) -> Vec<String> {
    let one = job["needs"].as_str().into_iter();
    let list = job["needs"].as_vec().into_iter().flatten().map(|needed| needed.as_str().unwrap());
    one.chain(list).map(str::to_owned).collect()
}

fn texts(map: &Yaml) -> BTreeMap<String, String> {
    let members = map.as_hash().into_iter().flatten();
    members
        .map(|(name, value)| (name.as_str().unwrap().to_owned(), value.as_str().unwrap_or_else(|| panic!("{value:?}")).to_owned()))
        .collect()
}

fn pairs(file: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| line.split_once('=').unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Puts in what GitHub would.
fn expanded(value: &str) -> String {
    let Some(name) = value.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}")) else { return value.to_owned() };
    match name {
        "vars.XDEPLOY_DEV_ROLE" => format!("arn:aws:iam::{DEV}:role/ci"),
        "vars.XDEPLOY_PROD_ROLE" => format!("arn:aws:iam::{PROD}:role/ci"),
        "github.token" => "secret".to_owned(),
        "github.event.number" => "7".to_owned(),
        other => panic!("{other} is not known here"),
    }
}

/// Says whether a step is done: by its condition, and only after success unless that says otherwise.
fn met(condition: Option<&str>, so_far: &Done) -> bool {
    match condition {
        None => so_far.code == 0,
        Some("steps.plan.outputs.found == 'true'") => so_far.code == 0 && found(so_far),
        Some(other) => {
            let file = other.strip_prefix("always() && hashFiles('").and_then(|rest| rest.strip_suffix("') != ''"));
            so_far.folder.join(file.unwrap_or_else(|| panic!("{other} is not known here"))).is_file()
        }
    }
}

fn found(done: &Done) -> bool {
    done.outputs.get("found").is_some_and(|found| found == "true")
}

fn break_it(runner: &Runner) {
    crate::support::served::remove_policy(&runner.served, "devkmss3access");
}

#[test]
fn the_jobs_of_github_do_what_they_are_for() {
    let mut runner = Runner::new();
    let whole = workflow("github", &[]);
    runner.role_of("github", "plan", &SETTINGS);
    let before = runner.served.rehearsal.dump()["accounts"].clone();
    let plan = runner.github(&whole, "plan");
    // Changes are no failure, and are told.
    assert_eq!(plan.code, 0, "{}", plan.said);
    let comment = fs::read_to_string(runner.folder.join("comment")).unwrap();
    assert!(comment.contains("to add"), "{comment}");
    let summary = fs::read_to_string(plan.folder.join(".GITHUB_STEP_SUMMARY")).unwrap();
    assert!(summary.contains("to add"), "{summary}");
    assert_eq!(runner.served.rehearsal.dump()["accounts"], before, "a pull request changes nothing");
    let changes = runner.github(&whole, "changes");
    assert!(changes.code == 0 && found(&changes), "{}", changes.said);
    assert_eq!(whole["jobs"]["changes"]["outputs"]["found"].as_str(), Some("${{ steps.plan.outputs.found }}"));
    assert_eq!(whole["jobs"]["apply"]["if"].as_str(), Some("needs.changes.outputs.found == 'true'"));
    assert_eq!(whole["jobs"]["apply"]["environment"].as_str(), Some("production"));
    runner.role_of("github", "apply", &SETTINGS);
    let apply = runner.github(&whole, "apply");
    assert!(apply.code == 0 && apply.said.contains("Done: "), "{}", apply.said);
    runner.nothing_is_left(&[]);
    // The same plan again is stale.
    let apply = runner.github(&whole, "apply");
    assert!(apply.code == 1 && apply.said.contains("the world has moved since the plan was made"), "{}", apply.said);
    // Later changes, by the same roles; nobody need name the administrator of a key that is there.
    let unnamed = &SETTINGS[..6];
    let later = [
        &["--policies", "least-privilege"][..],
        &["--deploy-path", "site"],
        &["--change-detection", "polling"],
        &["--change-detection", "eventbridge"],
    ];
    // Each after the one before it.
    for more in &later[..if depth::full() { later.len() } else { 1 }] {
        let (_, text, _) = alone(&[&["ci", "github"], unnamed, *more].concat());
        let changed = YamlLoader::load_from_str(&text).unwrap().remove(0);
        runner.role_of("github", "changes", unnamed);
        let changes = runner.github(&changed, "changes");
        assert!(changes.code == 0 && found(&changes), "{more:?}: {}", changes.said);
        runner.role_of("github", "apply", unnamed);
        let apply = runner.github(&changed, "apply");
        assert!(apply.code == 0 && apply.said.contains("Done: "), "{more:?}: {}", apply.said);
        runner.nothing_is_left(more);
    }
    runner.role_of("github", "changes", &SETTINGS);
    let changes = runner.github(&whole, "changes");
    assert!(changes.code == 0 && !found(&changes), "{}", changes.said);
    runner.role_of("github", "verify", &SETTINGS);
    let verify = runner.github(&whole, "verify");
    assert_eq!(verify.code, 0, "{}", verify.said);
    break_it(&runner);
    let verify = runner.github(&whole, "verify");
    assert_eq!(verify.code, 1, "{}", verify.said);
    assert!(verify.said.contains("::error "), "{}", verify.said);
    let report = fs::read_to_string(&runner.kept["verify"]).unwrap();
    assert!(report.contains("<failure"), "{report}");
}

#[test]
fn the_jobs_of_gitlab_do_what_they_are_for() {
    let mut runner = Runner::new();
    let whole = workflow("gitlab", &[]);
    runner.role_of("gitlab", "plan", &SETTINGS);
    let plan = runner.gitlab(&whole, "plan");
    assert!(plan.code == 0 && plan.said.contains("There are changes"), "{}", plan.said);
    assert!(fs::read_to_string(plan.folder.join("plan.md")).unwrap().contains("to add"));
    assert_eq!(runner.gitlab(&whole, "changes").code, 0);
    runner.role_of("gitlab", "apply", &SETTINGS);
    let apply = runner.gitlab(&whole, "apply");
    assert!(apply.code == 0 && apply.said.contains("Done: "), "{}", apply.said);
    runner.nothing_is_left(&[]);
    assert_eq!(runner.gitlab(&whole, "apply").code, 1);
    runner.role_of("gitlab", "plan", &SETTINGS);
    let plan = runner.gitlab(&whole, "plan");
    assert!(plan.code == 0 && !plan.said.contains("There are changes"), "{}", plan.said);
    assert_eq!(runner.gitlab(&whole, "verify").code, 0);
    break_it(&runner);
    assert_eq!(runner.gitlab(&whole, "verify").code, 1);
    let apply = &whole["xdeploy-apply"]["rules"][0];
    assert_eq!((apply["when"].as_str(), whole["xdeploy-apply"]["environment"].as_str()), (Some("manual"), Some("production")));
}

/// A file that includes ours keeps its own stages, variables and jobs as they are.
#[test]
fn a_pipeline_that_includes_ours_stays_as_it_is() {
    for (name, job) in workflow("gitlab", &[]).as_hash().unwrap() {
        let name = name.as_str().unwrap();
        if name == "xdeploy-install" {
            // The stage that is there and first, whatever stages somebody names.
            assert_eq!((job["stage"].as_str(), job["extends"].as_str()), (Some(".pre"), None));
            continue;
        }
        assert!(name == ".xdeploy" || name.starts_with("xdeploy-") && job["extends"].as_str() == Some(".xdeploy"), "{name}");
        // These two are everywhere, unless somebody names stages.
        assert!(job["stage"].as_str().is_none_or(|stage| ["test", "deploy"].contains(&stage)), "{name}");
    }
}

/// Nothing is compiled where a token is, each other job waits for the program, and a job may do what it needs and nothing else.
#[test]
fn nothing_is_compiled_beside_a_token_and_jobs_have_few_permissions() {
    for service in ["github", "gitlab"] {
        let mut found = Vec::new();
        scripts(&workflow(service, &[]), &mut found);
        let installs: Vec<_> = found.iter().filter(|script| script.contains("cargo")).collect();
        assert!(installs.len() == 1 && installs[0].contains(concat!("--tag v", env!("CARGO_PKG_VERSION"))), "{found:#?}");
    }
    let whole = workflow("github", &[]);
    let jobs = whole["jobs"].as_hash().unwrap();
    let told: Vec<_> = jobs.iter().map(|(name, job)| (name.as_str().unwrap(), texts(&job["permissions"]))).collect();
    let permissions = |more: &[(&str, &str)]| -> BTreeMap<String, String> {
        let all = [&[("contents", "read"), ("id-token", "write")], more].concat();
        all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    assert_eq!(texts(&whole["permissions"]), BTreeMap::new());
    let verify = permissions(&[("actions", "read"), ("security-events", "write")]);
    let plan = permissions(&[("pull-requests", "write")]);
    assert_eq!(
        told,
        [("install", BTreeMap::new()), ("plan", plan), ("changes", permissions(&[])), ("apply", permissions(&[])), ("verify", verify)]
    );
    assert!(jobs.iter().skip(1).all(|(_, job)| needs(job).contains(&"install".to_owned())));
    let steps = whole["jobs"]["verify"]["steps"].as_vec().unwrap();
    let upload = steps.iter().find(|step| step["uses"].as_str().is_some_and(|uses| uses.contains("sarif"))).unwrap();
    assert_eq!(upload["continue-on-error"].as_bool(), Some(true));
    let gitlab = workflow("gitlab", &[]);
    assert!(gitlab["xdeploy-install"]["id_tokens"].is_badvalue() && !gitlab[".xdeploy"]["id_tokens"].is_badvalue());
    assert_eq!(needs(&gitlab["xdeploy-apply"]), ["xdeploy-install", "xdeploy-changes"]);
}

/// The jobs download what was released and go on only if it is that.
#[test]
fn a_released_program_is_compared_with_its_digest() {
    let program = fs::read(env!("CARGO_BIN_EXE_xdeploy")).unwrap();
    let good = xdeploy::deploy::zipfile::sha256(&program);
    let other = "0".repeat(64);
    for (digest, works) in [(good.to_ascii_uppercase(), true), (other, false)] {
        let mut runner = Runner::new();
        let said = ["--sha256", &digest];
        let github = workflow("github", &said);
        assert!(github["jobs"]["install"].is_badvalue() && needs(&github["jobs"]["plan"]).is_empty());
        assert_eq!(needs(&github["jobs"]["apply"]), ["changes"]);
        runner.role_of("github", "plan", &SETTINGS);
        let plan = runner.github(&github, "plan");
        assert_eq!((plan.code == 0, plan.said.contains("to add")), (works, works), "{}", plan.said);
        let gitlab = workflow("gitlab", &said);
        assert!(gitlab["xdeploy-install"].is_badvalue());
        assert_eq!(needs(&gitlab["xdeploy-apply"]), ["xdeploy-changes"]);
        if works {
            runner.role_of("gitlab", "plan", &SETTINGS);
            let plan = runner.gitlab(&gitlab, "plan");
            assert!(plan.code == 0 && plan.said.contains("There are changes"), "{}", plan.said);
        } else {
            let before = gitlab[".xdeploy"]["before_script"].as_vec().unwrap()[0].as_str().unwrap().to_owned();
            let folder = runner.workspace();
            let (code, said) = runner.bash(&folder, &before, &BTreeMap::new(), "");
            assert!(code == 1 && said.contains("FAILED"), "{said}");
        }
    }
    let (_, text, said) = alone(&[&["ci", "github", "--sha256", &good, "--output", "json"], &SETTINGS[..]].concat());
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(told["sha256"] == good.as_str() && !said.contains("is no release"), "{said}");
    // What a test has built is no release.
    let (_, text, said) = alone(&[&["ci", "github", "--output", "json"], &SETTINGS[..]].concat());
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(told["sha256"].is_null() && said.contains("this program is no release"), "{said}");
}

/// Names are texts in YAML, whatever they look like, and no value is taken for a place.
#[test]
fn what_was_said_stays_as_it_was_said() {
    let odd = ["--branch", "1.0", "--environment", "on", "--object-key", "@NAME@ @BRANCH@ @KEY@"];
    let github = workflow("github", &odd);
    assert_eq!(github["on"]["push"]["branches"][0].as_str(), Some("1.0"));
    assert_eq!(github["jobs"]["apply"]["environment"].as_str(), Some("on"));
    assert_eq!(texts(&github["env"])["XDEPLOY_OBJECT_KEY"], odd[5]);
    let gitlab = workflow("gitlab", &odd);
    assert_eq!(gitlab["xdeploy-apply"]["environment"].as_str(), Some("on"));
    assert_eq!(texts(&gitlab[".xdeploy"]["variables"])["XDEPLOY_OBJECT_KEY"], odd[5]);
}

/// The commands that `--roles` prints are for the deployment that was said, letter by letter.
#[test]
fn the_roles_have_the_rights_of_what_was_said() {
    let settings =
        ["--region", "us-east-1", "--pipeline", "web", "--input-bucket", "in-b", "--object-key", "it's $HOME; a b.zip", "--no-extract"];
    for role in roles("github", &settings) {
        for command in role["permissions"].as_array().unwrap() {
            let command = command.as_str().unwrap();
            let mut same = vec!["permissions", "--dev-account", DEV, "--prod-account", PROD];
            same.extend(settings);
            let word = |flag: &str| command.split(' ').skip_while(|one| *one != flag).nth(1);
            for flag in ["--command", "--side", "--scenario"] {
                same.extend(word(flag).into_iter().flat_map(|value| [flag, value]));
            }
            let policy = policy_of(command);
            let expected: serde_json::Value = serde_json::from_str(&alone(&same).1).unwrap();
            assert_eq!(policy, expected, "{command}");
            assert!(!policy.to_string().contains("crossaccountdeploy"), "{command}");
        }
    }
}

/// A role that nobody has set stops a job before it asks anybody.
#[test]
fn a_missing_role_is_said() {
    let mut runner = Runner::new();
    let whole = workflow("github", &[]);
    let steps = whole["jobs"]["verify"]["steps"].as_vec().unwrap();
    let script = steps.iter().filter_map(|step| step["run"].as_str()).find(|run| run.contains("aws-config")).unwrap();
    let folder = runner.workspace();
    let (code, said) = runner.bash(&folder, script, &BTreeMap::new(), "");
    assert!(code != 0 && said.contains("XDEPLOY_DEV_ROLE: set this CI variable"), "{said}");
    // No token is no profile.
    let roles = [("XDEPLOY_DEV_ROLE", "d"), ("XDEPLOY_PROD_ROLE", "p")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (code, said) = runner.bash(&folder, script, &BTreeMap::from(roles), "");
    assert_eq!(code, 22, "{said}");
}

/// What was said reaches the jobs' `xdeploy`, whatever letters it has, and what the file says stays in the file.
#[test]
fn what_was_said_is_in_the_jobs_variables() {
    let odd = ["--object-key", "a $HOME ${{ github.token }} \"b\": #{x}.zip", "--create-buckets", "--policies", "least-privilege"];
    let whole = workflow("github", &[&odd[..], &["--prod-region", "eu-west-1", "--pipeline", "yes"]].concat());
    let told = texts(&whole["env"]);
    assert_eq!(told["XDEPLOY_OBJECT_KEY"], "a $HOME ${{ '${{' }} github.token }} \"b\": #{x}.zip");
    assert_eq!((told["XDEPLOY_CREATE_BUCKETS"].as_str(), told["XDEPLOY_POLICIES"].as_str()), ("true", "least-privilege"));
    assert_eq!(told["XDEPLOY_PIPELINE"], "yes");
    let gitlab = texts(&workflow("gitlab", &odd)[".xdeploy"]["variables"]);
    assert_eq!(gitlab["XDEPLOY_OBJECT_KEY"], "a $$HOME $${{ github.token }} \"b\": #{x}.zip");
    let roles = ["--dev-role", "arn:aws:iam::111111111111:role/x/ci", "--prod-role", "arn:aws:iam::222222222222:role/ci"];
    let gitlab = texts(&workflow("gitlab", &roles)[".xdeploy"]["variables"]);
    assert_eq!((gitlab["XDEPLOY_DEV_ROLE"].as_str(), gitlab["XDEPLOY_PROD_ACCOUNT"].as_str()), (roles[1], PROD));
    let github = workflow("github", &roles);
    let mut steps = github["jobs"]["verify"]["steps"].as_vec().unwrap().iter();
    let env = steps.find_map(|step| step["env"]["XDEPLOY_DEV_ROLE"].as_str()).unwrap();
    assert_eq!(env, roles[1]);

    let dir = tempfile::tempdir().unwrap();
    let file = "[dev]\nprofile = \"company\"\nregion = \"eu-west-1\"\naccount = \"111111111111\"\ninput-bucket = \"in-bucket\"\n\n[[target]]\noutput-bucket = \"out-bucket\"\n";
    fs::write(dir.path().join("xdeploy.toml"), file).unwrap();
    let (code, text, said) = within(dir.path(), &["ci", "github", "--pipeline", "web"]);
    assert_eq!(code, 0, "{said}");
    let whole = YamlLoader::load_from_str(&text).unwrap().remove(0);
    let expected = [("XDEPLOY_DEV_PROFILE", "dev"), ("XDEPLOY_PIPELINE", "web"), ("XDEPLOY_PROD_PROFILE", "prod")];
    assert_eq!(texts(&whole["env"]), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert!(text.contains("region = eu-west-1"), "{text}");
    assert!(said.contains("its place is .github/workflows/xdeploy-web.yml"), "{said}");
}

/// Who may assume a role: the jobs of one repository, and a pull request never the role that writes.
#[test]
fn roles_trust_the_jobs_of_one_repository() {
    let json = |args: &[&str]| -> serde_json::Value {
        let (code, text, said) = alone(&[&["ci"], args, &SETTINGS[..], &["--roles", "--output", "json"]].concat());
        assert_eq!(code, 0, "{said}");
        serde_json::from_str(&text).unwrap()
    };
    let said = |role: &serde_json::Value, key: &str| -> Vec<String> {
        let condition = &role["trust"]["Statement"][0]["Condition"];
        let value =
            ["StringEquals", "StringLike"].iter().find_map(|operator| condition[*operator].get(key)).unwrap_or_else(|| panic!("{role}"));
        value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let github = json(&["github", "--repository", "example/website", "--dev-account", DEV]);
    let roles = github["roles"].as_array().unwrap();
    assert_eq!(roles.len(), 4);
    let sub = "token.actions.githubusercontent.com:sub";
    assert_eq!(said(&roles[0], sub), ["repo:example/website:pull_request", "repo:example/website:ref:refs/heads/main"]);
    assert_eq!(said(&roles[1], sub), ["repo:example/website:environment:production"]);
    assert_eq!(
        roles[1]["trust"]["Statement"][0]["Condition"]["StringEquals"]["token.actions.githubusercontent.com:aud"],
        "sts.amazonaws.com"
    );
    let provider = |account: &str| format!("arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com");
    assert_eq!(roles[0]["trust"]["Statement"][0]["Principal"]["Federated"], provider(DEV));
    assert_eq!(roles[2]["trust"]["Statement"][0]["Principal"]["Federated"], provider("ACCOUNT"));
    let gitlab = json(&["gitlab", "--repository", "group/sub/website", "--branch", "live"]);
    let roles = gitlab["roles"].as_array().unwrap();
    assert_eq!(said(&roles[0], "gitlab.com:sub"), ["project_path:group/sub/website:ref_type:branch:ref:*"]);
    assert_eq!(said(&roles[1], "gitlab.com:sub"), ["project_path:group/sub/website:ref_type:branch:ref:live"]);
    // The commands that they name are commands.
    for role in roles {
        for command in role["permissions"].as_array().unwrap() {
            policy_of(command.as_str().unwrap());
        }
    }
    // GitHub's schedule runs on the default branch.
    let github = json(&["github", "--repository", "example/website", "--branch", "live", "--default-branch", "main"]);
    let refs =
        ["repo:example/website:pull_request", "repo:example/website:ref:refs/heads/live", "repo:example/website:ref:refs/heads/main"];
    assert_eq!(said(&github["roles"][0], sub), refs);
    assert_eq!(said(&github["roles"][1], sub), ["repo:example/website:environment:production"]);
    for (service, tells) in [("github", "let only branch main deploy"), ("gitlab", "whoever may push to it has that role")] {
        let (_, text, _) = alone(&[&["ci", service, "--roles"], &SETTINGS[..]].concat());
        assert!(text.contains(tells), "{text}");
    }
    let one = json(&["github", "--dev-role", "arn:aws-cn:iam::111111111111:role/ci"]);
    let roles = one["roles"].as_array().unwrap();
    assert_eq!((roles.len(), said(&roles[0], sub).len()), (3, 3));
    assert!(roles[0]["trust"].to_string().contains("arn:aws-cn:iam::111111111111:oidc-provider/"), "{}", roles[0]);
}

#[test]
fn what_makes_no_workflow_is_refused() {
    let mut told = String::new();
    let roles = ["--dev-role", "arn:aws:iam::111111111111:role/ci", "--prod-role", "arn:aws:iam::111111111111:role/ci"];
    for args in [
        &["ci", "github"][..],
        &["ci", "github", "--dev-role", "ci"],
        &["ci", "github", "--dev-role", "arn:aws:iam::111111111111:role/ci", "--dev-account", "222222222222"],
        &[&["ci", "gitlab"], &roles[..]].concat(),
        &["ci", "github", "--repository", "https://github.com/example/website"],
        &["ci", "github", "--repository", "group/sub/website"],
        &["ci", "github", "--branch", "*"],
        &["ci", "gitlab", "--environment", ""],
        &["ci", "github", "--region", "us-east-1", "--sha256", "abc"],
    ] {
        let (code, out, said) = alone(args);
        assert_eq!(out, "");
        told.push_str(&format!("$ xdeploy {}\n{}\nexit {code}\n\n", args.join(" "), said.trim_end()));
    }
    same(&told, file!["../snapshots/ci/what_makes_no_workflow_is_refused.txt"]);
    let (_, _, said) = alone(&["ci", "github", "--region", "us-east-1"]);
    assert!(said.contains("without `--key-administrator ARN` a key that is made names no administrator"), "{said}");
    let (_, _, said) = alone(&[&["ci", "github"], &SETTINGS[..]].concat());
    assert!(!said.contains("--key-administrator") && !said.contains("one role is for all jobs"), "{said}");
    let role = ["--dev-role", "arn:aws:iam::111111111111:role/ci"];
    let (_, _, said) = alone(&[&["ci", "github"], &SETTINGS[..], &role].concat());
    assert!(said.contains("one role is for all jobs"), "{said}");
}
