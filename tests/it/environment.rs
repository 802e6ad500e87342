//! Environments that people have: what variables and profiles say to the SDK, empty variables, homes that can't be written, and the
//! last net below all of it.

use crate::support::compare::same;
use crate::support::depth;
use crate::support::served::{self, Served};
use clap::CommandFactory;
use serde_json::Value;
use snapbox::{file, str};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROFILES: [&str; 4] = ["--dev-profile", "dev", "--prod-profile", "prod"];

/// What the AWS SDKs read from the environment and from a profile, as AWS documents it, with values that it documents.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>
const SETTINGS: [(&str, &str, &[&str]); 20] = [
    ("AWS_RETRY_MODE", "retry_mode", &["standard", "legacy", "adaptive", "STANDARD"]),
    ("AWS_MAX_ATTEMPTS", "max_attempts", &["1", "5", " 2 "]),
    ("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", &["false", "FALSE"]),
    ("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", &["false"]),
    ("AWS_DISABLE_REQUEST_COMPRESSION", "disable_request_compression", &["true", "false"]),
    ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "request_min_compression_size_bytes", &["0", "10485760"]),
    ("AWS_REQUEST_CHECKSUM_CALCULATION", "request_checksum_calculation", &["when_supported", "when_required"]),
    ("AWS_RESPONSE_CHECKSUM_VALIDATION", "response_checksum_validation", &["when_supported", "WHEN_REQUIRED"]),
    ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "account_id_endpoint_mode", &["preferred", "disabled"]),
    ("AWS_AUTH_SCHEME_PREFERENCE", "auth_scheme_preference", &["sigv4", "sigv4a, sigv4"]),
    ("AWS_SIGV4A_SIGNING_REGION_SET", "sigv4a_signing_region_set", &["*", "us-east-1,us-west-2"]),
    ("AWS_DISABLE_CLOCK_SKEW_CORRECTION", "disable_clock_skew_correction", &["true"]),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint", &["http://169.254.169.254", "http://[fd00:ec2::254]"]),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode", &["IPv4", "ipv6"]),
    ("AWS_REGION", "region", &["us-east-1"]),
    ("AWS_DEFAULT_REGION", "region", &["us-east-1"]),
    // The rest is read by other SDKs alone, or by none any more; nothing may come of any value.
    ("AWS_DEFAULTS_MODE", "defaults_mode", &["standard", "legacy", "quick", ""]),
    ("AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints", &["regional", "legacy", "quick", ""]),
    ("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout", &["1", "0", "-1", "soon", ""]),
    ("AWS_SDK_LOAD_CONFIG", "sdk_ua_app_id", &["1", "my app", "", "\u{fc}"]),
];

/// Values that no setting of the first sixteen has.
const ODD: [&str; 7] = ["quick", "-1", "1.5", "99999999999999999999", "\u{fc}\u{fc}", "a b", "tru"];

/// Settings that take any word.
const ANY_WORD: [&str; 2] = ["AWS_AUTH_SCHEME_PREFERENCE", "AWS_SIGV4A_SIGNING_REGION_SET"];

/// A run of `who-am-i` with more in the environment and in the profile `dev`.
struct Asked<'a> {
    served: &'a Served,
    config: String,
}

impl Asked<'_> {
    fn on(served: &Served) -> Asked<'_> {
        Asked { served, config: fs::read_to_string(served.dir.path().join("config")).unwrap() }
    }

    /// Puts lines into the profile `dev`.
    fn profile(&self, lines: &str) {
        let config = self.config.replace("[profile dev]\n", &format!("[profile dev]\n{lines}\n"));
        self.write(&config);
    }

    fn write(&self, config: &str) {
        fs::write(self.served.dir.path().join("config"), config).unwrap();
    }

    fn run(&self, variables: &[(&str, &str)]) -> (i32, String) {
        let mut command = self.served.command(&["who-am-i"]);
        let output = command.args(PROFILES).envs(variables.iter().copied()).output().unwrap();
        (code(&output), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }
}

fn code(output: &Output) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or_default())
}

#[test]
fn every_setting_of_the_sdk_works_or_is_refused_by_name() {
    let served = Served::new();
    let asked = Asked::on(&served);
    let mut all = Vec::new();
    for (variable, key, good) in SETTINGS {
        let is_read = !good.contains(&"");
        let odd = if is_read && !ANY_WORD.contains(&variable) { &ODD[..] } else { &[] };
        let fine = good.iter().map(|value| (*value, true)).chain([("", true)]);
        for (value, is_fine) in fine.chain(odd.iter().map(|value| (*value, false))) {
            all.push((variable, None, value, is_fine));
            // An empty variable counts as unset; in the file it is a mistake. Both variables of the region have one key.
            if variable != "AWS_DEFAULT_REGION" {
                all.push((variable, Some(key), value, is_fine && !(is_read && value.is_empty())));
            }
        }
    }
    // What ended the program is tried each time.
    let (always, rest): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(variable, ..)| ["AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS"].contains(variable));
    let mut wrong = Vec::new();
    for (variable, key, value, is_fine) in always.into_iter().chain(depth::sampled("settings of the SDK", rest, 60)) {
        let shown = if value.is_empty() { "empty".to_owned() } else { format!("`{value}`") };
        let (code, said, named) = match key {
            None => {
                asked.profile("");
                let (code, said) = asked.run(&[(variable, value)]);
                let named = said.contains(&format!("{variable} is {shown}"));
                (code, said, named)
            }
            Some(key) => {
                match key {
                    // It is there already.
                    "region" => asked.write(&asked.config.replacen("region = us-east-1", &format!("region = {value}"), 1)),
                    _ => asked.profile(&format!("{key} = {value}")),
                }
                let (code, said) = asked.run(&[]);
                let named = said.contains(&format!("`{key}` of profile `dev` is {shown}")) && said.contains("config:2)");
                (code, said, named)
            }
        };
        let is_right = if is_fine { code == 0 } else { code == 64 && named && said.contains("hint: ") };
        if !is_right {
            wrong.push(format!("{} = {value:?}: exit {code}: {said}", key.unwrap_or(variable)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_other_variables_of_the_sdk_never_stop_it() {
    let served = Served::new();
    let asked = Asked::on(&served);
    let odd = ["", "quick", "\u{7}", "http://[", "\u{fc}"];
    let names = [
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ACCOUNT_ID",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_EC2_METADATA_V1_DISABLED",
        "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
        "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH",
        "AWS_S3_USE_ARN_REGION",
        "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS",
        "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT",
        "AWS_SDK_UA_APP_ID",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "_X_AMZN_TRACE_ID",
        "AWS_NEW_RETRIES_2026",
        "AWS_ENABLE_ENDPOINT_DISCOVERY",
        "AWS_LOGIN_CACHE_DIRECTORY",
        "AWS_PAGER",
    ];
    let all = names.into_iter().flat_map(|name| odd.map(|value| (name, value)));
    let all =
        all.filter(|(name, value)| *name != "AWS_EXECUTION_ENV" || value.chars().all(|one| one.is_ascii() && one != '\u{7}')).collect();
    for (variable, value) in depth::sampled("other variables of the SDK", all, 27) {
        let (code, said) = asked.run(&[(variable, value)]);
        assert_eq!(code, 0, "{variable}={value:?}: {said}");
    }
    // It goes into a header of each request.
    for value in ["\u{7}", "\u{fc}"] {
        let (code, said) = asked.run(&[("AWS_EXECUTION_ENV", value)]);
        assert!(code == 64 && said.contains("AWS_EXECUTION_ENV is `"), "{value:?}: exit {code}: {said}");
    }
    // Files that say nothing: the profile isn't there.
    for variable in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        for value in odd.iter().chain(&["/", "/dev/null", "~"]) {
            let (code, said) = asked.run(&[(variable, value)]);
            assert!([4, 64].contains(&code), "{variable}={value:?}: exit {code}: {said}");
        }
    }
}

#[test]
fn an_endpoint_is_a_url_or_is_refused_by_name() {
    let served = Served::new();
    let asked = Asked::on(&served);
    let here = format!("http://127.0.0.1:{}", served.port);
    let odd = ["localhost:4566", "127.0.0.1:4566", "http://", "http://a b", "ftp://localhost", "/", "http://localhost:99999", "https:/sts"];
    for bad in depth::sampled("endpoints", odd.to_vec(), 1) {
        for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SSO_OIDC"] {
            let (code, said) = asked.run(&[(variable, bad)]);
            assert!(
                code == 64 && said.contains(&format!("{variable} is `{bad}`, which can't be used")),
                "{variable}={bad}: exit {code}: {said}"
            );
        }
        asked.profile(&format!("endpoint_url = {bad}"));
        // The variable goes first.
        let (code, said) = asked.run(&[]);
        assert_eq!(code, 0, "{said}");
        let (code, said) = asked.run(&[("AWS_ENDPOINT_URL", "")]);
        assert!(
            code == 64 && said.contains(&format!("`endpoint_url` of profile `dev` is `{bad}`")) && said.contains("config:2)"),
            "{said}"
        );
        // Those of one service stand in a section of their own.
        asked.profile(&format!("services = local\n[services local]\nsts =\n  endpoint_url = {bad}\n[profile dev]"));
        let (code, said) = asked.run(&[("AWS_ENDPOINT_URL", "")]);
        assert!(
            code == 64 && said.contains(&format!("`endpoint_url` of services `local` is `{bad}`")) && said.contains("config:5)"),
            "{said}"
        );
        asked.profile("");
    }
    // One that isn't for any service that is asked, and whatever is ignored.
    for variables in [
        &[("AWS_ENDPOINT_URL_DYNAMODB", "nothing")][..],
        &[("AWS_ENDPOINT_URL_STS", "")],
        &[("AWS_ENDPOINT_URL_STS", here.as_str()), ("AWS_ENDPOINT_URL", "")],
        &[("AWS_ENDPOINT_URL_S3", "")],
    ] {
        let (code, said) = asked.run(variables);
        assert_eq!(code, 0, "{variables:?}: {said}");
    }
    asked.profile(&format!("services = local\n[services local]\nsts =\n  endpoint_url = {here}\n[profile dev]"));
    fs::write(
        served.dir.path().join("config"),
        fs::read_to_string(served.dir.path().join("config")).unwrap() + &format!("endpoint_url = {here}\n"),
    )
    .unwrap();
    let (code, said) = asked.run(&[("AWS_ENDPOINT_URL", "")]);
    assert_eq!(code, 0, "{said}");
    // A password in it is nobody's business.
    let (_, said) = asked.run(&[("AWS_ENDPOINT_URL", "ftp://ann:secret@localhost")]);
    assert!(said.contains("AWS_ENDPOINT_URL is `…@localhost`") && !said.contains("secret"), "{said}");
}

#[test]
fn a_key_that_no_header_can_hold_is_an_error_of_credentials() {
    let served = Served::new();
    let asked = Asked::on(&served);
    let file = served.dir.path().join("credentials");
    let credentials = fs::read_to_string(&file).unwrap();
    for odd in ["AKIA\u{7}BELL", "AKIA\u{1b}[31m", "AKIA\u{fc}", "AKIA\u{0}NUL"] {
        fs::write(&file, credentials.replacen("aws_access_key_id = ", &format!("aws_access_key_id = {odd}"), 1)).unwrap();
        let (code, said) = asked.run(&[]);
        assert!(code == 4 && said.contains("`aws_access_key_id` of profile `dev` can't be one"), "{odd:?}: exit {code}: {said}");
        assert!(said.contains("credentials:2)") && !said.contains('\u{7}') && !said.contains('\u{1b}'), "{said}");
    }
    fs::write(&file, credentials.replacen("[dev]\n", "[dev]\naws_session_token = a\u{7}b\n", 1)).unwrap();
    let (code, said) = asked.run(&[]);
    assert!(code == 4 && said.contains("`aws_session_token` of profile `dev` can't be one"), "{said}");
    // A role's source, and a program's answer.
    fs::write(&file, credentials.replacen("[dev]\naws_access_key_id = ", "[base]\naws_access_key_id = AKIA\u{7}", 1)).unwrap();
    asked.profile("role_arn = arn:aws:iam::111111111111:role/r\nsource_profile = base");
    let (code, said) = asked.run(&[]);
    assert!(code == 4 && said.contains("`aws_access_key_id` of profile `base` can't be one"), "{said}");
    asked.profile("role_arn = arn:aws:iam::111111111111:role/r\ncredential_source = Environment");
    let (code, said) = asked.run(&[("AWS_ACCESS_KEY_ID", "AKIA\u{7}"), ("AWS_SECRET_ACCESS_KEY", "x")]);
    assert!(code == 4 && said.contains("AWS_ACCESS_KEY_ID can't be one"), "{said}");
    let answer = served.dir.path().join("answer.json");
    fs::write(&answer, r#"{"Version": 1, "AccessKeyId": "AKIA\u0007", "SecretAccessKey": "x"}"#).unwrap();
    asked.profile(&format!("credential_process = cat {}", answer.display()));
    let (code, said) = asked.run(&[]);
    assert!(code == 4 && said.contains("holds a character that no key has"), "exit {code}: {said}");
}

#[test]
fn what_is_said_of_a_setting_that_cannot_be_used() {
    let served = Served::new();
    let asked = Asked::on(&served);
    let mut told = String::new();
    let mut take = |asked_for: &str, (code, said): (i32, String)| {
        let dir = served.dir.path().display().to_string();
        told.push_str(&format!("{asked_for}\n{}\nexit {code}\n\n", said.trim_end().replace(&dir, "DIR")));
    };
    take("AWS_RETRY_MODE=quick", asked.run(&[("AWS_RETRY_MODE", "quick")]));
    take("AWS_ENDPOINT_URL=localhost:4566", asked.run(&[("AWS_ENDPOINT_URL", "localhost:4566")]));
    take("AWS_REGION=US-EAST-1", asked.run(&[("AWS_REGION", "US-EAST-1")]));
    take(
        "HTTPS_PROXY=socks5://ann:secret@proxy:1080",
        asked.run(&[("AWS_ENDPOINT_URL", ""), ("HTTPS_PROXY", "socks5://ann:secret@proxy:1080")]),
    );
    // Here nothing goes through it.
    assert_eq!(asked.run(&[("HTTPS_PROXY", "socks5://proxy:1080"), ("HTTP_PROXY", "socks5://proxy:1080")]).0, 0);
    asked.profile("max_attempts = 0");
    take("max_attempts = 0", asked.run(&[]));
    asked.profile("retry_mode =");
    take("retry_mode =", asked.run(&[]));
    asked.profile("ca_bundle = ~/none.pem");
    take("ca_bundle = ~/none.pem", asked.run(&[]));
    asked.profile("role_arn = arn:aws:iam::111111111111:role/r\nsource_profile = prod");
    take("a role, and AWS_ENDPOINT_URL=", asked.run(&[("AWS_ENDPOINT_URL", "")]));
    asked.profile("role_arn = arn:aws:iam::111111111111:role/r\ncredential_source = Environment");
    take("AWS_ACCESS_KEY_ID with a bell", asked.run(&[("AWS_ACCESS_KEY_ID", "AKIA\u{7}"), ("AWS_SECRET_ACCESS_KEY", "x")]));
    fs::write(served.dir.path().join("credentials"), "[dev]\naws_access_key_id = AKIA\u{7}\naws_secret_access_key = x\n").unwrap();
    asked.profile("");
    take("a bell in aws_access_key_id", asked.run(&[]));
    same(&told, file!["../snapshots/environment/what_is_said_of_a_setting_that_cannot_be_used.txt"]);
}

#[test]
fn a_setting_that_cannot_be_used_is_told_in_json_and_in_reports() {
    let served = Served::new();
    let args = ["verify", "--output", "json", "--report", "json=out.json,junit=out.xml,markdown=out.md"];
    let output = served.with_variable(&args, "AWS_RETRY_MODE", "quick");
    assert_eq!(output.status.code(), Some(64));
    told_everywhere(&served, &output, "usage", "AWS_RETRY_MODE is `quick`");
}

/// Makes sure that a failure is one JSON document on stdout and stands in each report.
fn told_everywhere(served: &Served, output: &Output, kind: &str, what: &str) {
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!((&document["schema"], &document["kind"]), (&"xdeploy.error/1".into(), &kind.into()), "{document:#}");
    assert!(document["message"].as_str().unwrap().contains(what), "{document:#}");
    for name in ["out.json", "out.xml", "out.md"] {
        let text = fs::read_to_string(served.dir.path().join(name)).unwrap();
        // Markdown's own signs are escaped.
        let escaped = what.replace('_', "\\_").replace('`', "\\`");
        assert!(text.contains(what) || text.contains(&escaped), "{name}: {text}");
    }
    assert!(String::from_utf8_lossy(&output.stderr).contains(what));
}

#[test]
fn a_panic_is_an_internal_error_in_text_json_and_reports() {
    const WHAT: &str = "xdeploy stopped at a fault of its own";
    let served = Served::new();
    for place in ["start", "command", "asking"] {
        let output = served.with_variable(&["verify"], "XDEPLOY_TEST_PANIC", place);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(code(&output), 1, "{said}");
        assert!(output.stdout.is_empty() && said.contains(WHAT) && said.contains("please report it"), "{said}");
        // Where it was, and nothing of the library's own words.
        assert!(said.contains("src/cli/panics.rs:") && said.contains("as a test asked") && !said.contains("thread 'main'"), "{said}");
        let output = served.with_variable(&["verify", "--output=json"], "XDEPLOY_TEST_PANIC", place);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((code(&output), &document["kind"], &document["exit"]), (1, &"internal".into(), &1.into()));
    }
    for command in
        [&["verify"][..], &["plan"], &["setup", "--yes"], &["teardown", "--dry-run"], &["release", "--sample"], &["setup", "--dry-run"]]
    {
        let more = ["--output", "json", "--report", "json=out.json,junit=out.xml,markdown=out.md"];
        let buckets = if command[0] == "release" { &[][..] } else { &served::BUCKETS[..] };
        let args = [command, buckets, &more].concat();
        let output = served.with_variable(&args, "XDEPLOY_TEST_PANIC", "asking");
        assert_eq!(code(&output), 1, "{args:?}: {output:?}");
        told_everywhere(&served, &output, "internal", WHAT);
        for name in ["out.json", "out.xml", "out.md"] {
            fs::remove_file(served.dir.path().join(name)).unwrap();
        }
    }
}

/// Every variable that a flag of a command has.
fn variables(command: &clap::Command, found: &mut Vec<OsString>) {
    found.extend(command.get_arguments().filter_map(|arg| arg.get_env()).map(ToOwned::to_owned));
    command.get_subcommands().for_each(|sub| variables(sub, found));
}

#[test]
fn empty_variables_count_as_unset_for_every_flag_of_every_command() {
    let served = served::served();
    served.run(&served::with(&["setup", "--yes"]));
    fs::create_dir(served.dir.path().join("root")).unwrap();
    let mut all = Vec::new();
    variables(&xdeploy::cli::Cli::command(), &mut all);
    assert!(all.len() > 100 && all.iter().all(|name| name.to_string_lossy().starts_with("XDEPLOY_")), "{all:?}");
    let buckets = served::BUCKETS;
    for args in [
        &[&["setup", "--dry-run"][..], &buckets].concat()[..],
        &[&["plan"][..], &buckets].concat(),
        &["setup"],
        &["plan"],
        &["verify"],
        &["explain", "XD-CP-001"],
        &["explain"],
        &["apply", "nothing.json"],
        &["release", "nothing.zip"],
        &["teardown", "--dry-run"],
        &["rehearse", "--break", "list"],
        &["rehearse", "--serve", "192.0.2.1:80"],
        &[&["permissions", "--command", "setup", "--side", "dev", "--region", "us-east-1"][..], &buckets].concat(),
        &["permissions"],
        &[&["export", "--format", "awscli", "--overwrite"][..], &buckets].concat(),
        &[&["ci", "github", "--region", "us-east-1"][..], &buckets].concat(),
        &["ecs-check", "--root", "root"],
        &["simulate"],
        &["who-am-i"],
        &["schema", "config"],
        &["man"],
    ] {
        let run = |empty: &[OsString]| {
            let mut command = served.command(args);
            command.args(PROFILES).stdin(Stdio::null()).envs(empty.iter().map(|name| (name, "")));
            let output = command.output().unwrap();
            let text = |bytes: &[u8]| crate::support::normalised(&String::from_utf8_lossy(bytes));
            (code(&output), text(&output.stdout), text(&output.stderr))
        };
        assert_eq!(run(&all), run(&[]), "{args:?}");
    }
}

/// A user that owns nothing here.
const NOBODY: u32 = 65534;

/// Sets up with a home, if these variables say one, and gives the exit code and both streams.
fn set_up(served: &Served, variables: &[(&str, &Path)], as_nobody: bool) -> (i32, String) {
    use std::os::unix::process::CommandExt;
    let args = [&["setup", "--yes"][..], &served::BUCKETS].concat();
    let mut command = served.command(&args);
    command.args(PROFILES).env_remove("HOME").envs(variables.iter().copied());
    if as_nobody {
        // The one that cargo made may be below a home that only its owner sees.
        let program = served.dir.path().join("xdeploy");
        if !program.exists() {
            fs::copy(env!("CARGO_BIN_EXE_xdeploy"), &program).unwrap();
        }
        let mut other = Command::new(program);
        other.args(command.get_args()).env_clear().current_dir(served.dir.path()).uid(NOBODY).gid(NOBODY);
        other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command = other;
    }
    let output = command.output().unwrap();
    (code(&output), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

fn locks(folder: &Path) -> Vec<fs::DirEntry> {
    fs::read_dir(folder)
        .map(|found| found.map(Result::unwrap).filter(|file| file.file_name().to_string_lossy().ends_with(".lock")).collect())
        .unwrap_or_default()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[test]
fn a_lock_is_in_the_first_folder_that_can_hold_it() {
    let served = served::served();
    let dir = served.dir.path();
    let of = |name: &str| dir.join(name);
    for name in ["home", "state", "run", "tmp"] {
        fs::create_dir(of(name)).unwrap();
    }
    fs::write(of("file"), "").unwrap();
    let in_tmp = of("tmp").join(format!("xdeploy-{}", user()));
    let relative = Path::new("state");
    let rows: [(&[(&str, &Path)], std::path::PathBuf); 8] = [
        (&[("HOME", &of("home")), ("XDG_STATE_HOME", &of("state"))], of("state/xdeploy/locks")),
        (&[("HOME", &of("home"))], of("home/.local/state/xdeploy/locks")),
        (&[("HOME", &of("home")), ("XDG_STATE_HOME", relative)], of("home/.local/state/xdeploy/locks")),
        // A home that is no folder, as a read-only one for whoever runs as root here too.
        (&[("HOME", &of("file")), ("XDG_RUNTIME_DIR", &of("run"))], of("run/xdeploy/locks")),
        (&[("HOME", &of("file")), ("XDG_STATE_HOME", &of("file")), ("XDG_RUNTIME_DIR", &of("nowhere"))], in_tmp.clone()),
        (&[("HOME", Path::new("/proc"))], in_tmp.clone()),
        (&[("HOME", Path::new(""))], in_tmp.clone()),
        (&[], in_tmp.clone()),
    ];
    for (variables, folder) in rows {
        for place in ["home", "state", "run", "tmp"] {
            fs::remove_dir_all(of(place)).unwrap();
            fs::create_dir(of(place)).unwrap();
        }
        let (code, said) = set_up(&served, &[variables, &[("TMPDIR", &of("tmp"))]].concat(), false);
        assert_eq!(code, 0, "{variables:?}\n{said}");
        assert!(!said.contains("warning: there is no folder"), "{variables:?}\n{said}");
        let found = locks(&folder);
        assert_eq!(found.len(), 1, "{variables:?}: no lock in {}", folder.display());
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!((mode(&folder), mode(&found[0].path())), (0o700, 0o600), "{variables:?}");
        assert!(!dir.join("state/locks").exists());
    }
}

#[test]
fn without_any_folder_for_a_lock_it_goes_on_with_a_warning() {
    let served = served::served();
    let file = served.dir.path().join("file");
    fs::write(&file, "").unwrap();
    let (code, said) = set_up(&served, &[("HOME", &file), ("TMPDIR", &file)], false);
    assert_eq!(code, 0, "{said}");
    let from = said.find("warning: there is no folder").unwrap_or_else(|| panic!("{said}"));
    let told: String = said[from..].lines().take_while(|line| !line.starts_with("done")).map(|line| format!("{line}\n")).collect();
    let told = told.split_inclusive('\n').take(6).collect::<String>().replace(&served.dir.path().display().to_string(), "DIR");
    same(
        &told,
        str![[r#"
warning: there is no folder for a lock, so a second run on this machine would not be refused
  caused by: DIR/file/.local/state: Not a directory (os error 20)
  caused by: DIR/file: Not a directory (os error 20)

hint: set XDG_STATE_HOME to a folder of yours that can be written

"#]],
    );
}

#[test]
fn an_unknown_user_in_a_container_sets_up() {
    if !is_root() {
        return;
    }
    let served = served::served();
    let dir = served.dir.path();
    // The files of a mounted home can be read; nothing can be written but the temporary folder.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    let tmp = dir.join("tmp");
    fs::create_dir(&tmp).unwrap();
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777)).unwrap();
    for home in [Path::new("/"), Path::new("/nonexistent"), dir] {
        let (code, said) = set_up(&served, &[("HOME", home), ("TMPDIR", &tmp)], true);
        assert_eq!(code, 0, "{}\n{said}", home.display());
        assert!(!said.contains("warning: there is no folder"), "{said}");
        assert_eq!(locks(&tmp.join(format!("xdeploy-{NOBODY}"))).len(), 1);
    }
}

#[test]
fn a_lock_in_the_temporary_folder_follows_nobody() {
    let served = served::served();
    let tmp = served.dir.path().join("tmp");
    fs::create_dir(&tmp).unwrap();
    let own = tmp.join(format!("xdeploy-{}", user()));
    let victim = served.dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let run = || set_up(&served, &[("TMPDIR", &tmp)], false);
    let (code, said) = run();
    assert_eq!(code, 0, "{said}");
    let name = locks(&own)[0].file_name();
    // A link in the lock's place.
    fs::remove_file(own.join(&name)).unwrap();
    symlink(&victim, own.join(&name)).unwrap();
    let (code, said) = run();
    assert!(code == 0 && said.contains("warning: there is no folder for a lock"), "{said}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    // Another name of another file.
    fs::remove_file(own.join(&name)).unwrap();
    fs::hard_link(&victim, own.join(&name)).unwrap();
    let (code, said) = run();
    assert!(code == 0 && said.contains("warning: there is no folder for a lock"), "{said}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    // A pipe.
    fs::remove_file(own.join(&name)).unwrap();
    assert!(Command::new("mkfifo").arg(own.join(&name)).status().unwrap().success());
    let (code, said) = run();
    assert!(code == 0 && said.contains("warning: there is no folder for a lock"), "{said}");
    // A folder that others may write.
    fs::remove_dir_all(&own).unwrap();
    fs::DirBuilder::new().mode(0o700).create(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    let (code, said) = run();
    assert!(code == 0 && said.contains("warning: there is no folder for a lock"), "{said}");
    assert!(locks(&own).is_empty());
    // A link in the folder's place.
    fs::remove_dir(&own).unwrap();
    let elsewhere = served.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &own).unwrap();
    let (code, said) = run();
    assert!(code == 0 && said.contains("warning: there is no folder for a lock"), "{said}");
    assert!(locks(&elsewhere).is_empty());
    if !is_root() {
        return;
    }
    // Another user's folder, with a lock that this user holds for ever.
    fs::remove_file(&own).unwrap();
    fs::create_dir(&own).unwrap();
    let lock = fs::File::create(own.join(&name)).unwrap();
    lock.lock().unwrap();
    fs::write(own.join(&name), "process 1\u{1b}[2J").unwrap();
    for path in [own.clone(), own.join(&name)] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let (code, said) = run();
    assert!(code == 0 && said.contains("warning: there is no folder for a lock") && !said.contains('\u{1b}'), "{said}");
    assert_eq!(fs::read_to_string(own.join(&name)).unwrap(), "process 1\u{1b}[2J");
}
