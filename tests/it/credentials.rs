//! Credentials as people have them: codes of MFA devices, the AWS CLI's cache, chains of roles, the environment, and errors that say
//! what is wrong where.

use crate::support::compare::same;
use crate::support::normalised;
use crate::support::person::{DEV_ROLE, Person, said, trust, with_mfa};
use serde_json::{Value, json};
use snapbox::{file, str};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use xdeploy::rehearsal::{DEV, PROD};

#[test]
fn one_code_serves_both_profiles_and_later_runs() {
    let person = Person::new();
    person.mfa_profiles();
    let code = person.code();
    let text = said(&person.who("d", "p", &["--mfa-code", &code]), 0);
    assert!(text.contains("111111111111:assumed-role/operator/jane") && text.contains("222222222222:assumed-role/operator/jane"), "{text}");
    assert!(!text.contains(&code), "{text}");
    assert_eq!(person.cache().len(), 2);
    // The sessions are kept: nobody is asked again.
    said(&person.who("d", "p", &[]), 0);
    // A session that is over is as good as none.
    for path in person.cache() {
        let mut entry: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        entry["Credentials"]["Expiration"] = json!("2020-01-01T00:00:00Z");
        fs::write(&path, entry.to_string()).unwrap();
    }
    let text = said(&person.who("d", "p", &[]), 4);
    assert!(text.contains("--mfa-code CODE"), "{text}");
    // No code is taken twice.
    let text = said(&person.who("d", "p", &["--mfa-code", &code]), 4);
    assert!(text.contains("invalid MFA one time pass code") && text.contains("wait for the next one"), "{text}");
    said(&person.who("d", "p", &["--mfa-code", &person.next_code(&code)]), 0);
}

#[test]
fn without_a_code_a_role_that_wants_one_is_refused_by_sts() {
    let person = Person::new();
    person.config(&format!("[profile d]\nregion = us-east-1\nrole_arn = {DEV_ROLE}\nsource_profile = dev\n"));
    let text = said(&person.who("d", "prod", &["--mfa-code", &person.code()]), 4);
    assert!(text.contains("not authorized to perform: sts:AssumeRole"), "{text}");
}

#[test]
fn keys_with_a_device_get_a_session_where_there_is_a_code() {
    let person = Person::new();
    let (id, secret) = person.served.rehearsal.keys(DEV);
    person.config(&format!(
        "[profile keys]\nregion = us-east-1\naws_access_key_id = {id}\naws_secret_access_key = {secret}\nmfa_serial = {}\n",
        person.serial
    ));
    // As with the AWS CLI, the keys do by themselves.
    let text = said(&person.who("keys", "prod", &[]), 0);
    assert!(text.contains("user/caller") && person.cache().is_empty(), "{text}");
    // Everything is denied without MFA, as in AWS's own example.
    let deny = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "NotAction": "sts:GetSessionToken", "Resource": "*", "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}},
    ]});
    person.served.bucket(DEV, "us-east-1", "site-in", true);
    person.served.bucket(PROD, "us-east-1", "site-out", false);
    person.served.narrow_caller(DEV, &deny.to_string());
    let plan = ["plan", "--dev-profile", "keys", "--prod-profile", "prod", "--input-bucket", "site-in", "--output-bucket", "site-out"];
    assert_ne!(person.served.command(&plan).output().unwrap().status.code(), Some(0));
    let code = person.code();
    said(&person.served.command(&[&plan[..], &["--mfa-code", &code]].concat()).output().unwrap(), 0);
    // It is kept.
    assert_eq!(person.cache().len(), 1);
    said(&person.served.command(&plan).output().unwrap(), 0);
}

#[test]
fn a_chain_of_three_roles_with_the_device_in_the_middle() {
    let person = Person::new();
    let id = json!({"StringEquals": {"sts:ExternalId": "seven"}});
    person.role(DEV, "first", "arn:aws:iam::111111111111:user/caller", &with_mfa());
    person.role(DEV, "second", "arn:aws:iam::111111111111:role/first", &id);
    person.role(PROD, "third", "arn:aws:iam::111111111111:role/second", &Value::Null);
    person.config(&format!(
        "[profile one]\nrole_arn = arn:aws:iam::111111111111:role/first\nsource_profile = dev\nmfa_serial = {}\n\
         [profile two]\nregion = us-east-1\nrole_arn = arn:aws:iam::111111111111:role/second\nsource_profile = one\nexternal_id = seven\n\
         [profile three]\nregion = us-east-1\nrole_arn = arn:aws:iam::222222222222:role/third\nsource_profile = two\nrole_session_name = jane\n",
        person.serial
    ));
    let text = said(&person.who("two", "three", &["--mfa-code", &person.code()]), 0);
    // A session that nobody named says whose it is.
    assert!(text.contains("111111111111:assumed-role/second/xdeploy-1") && text.contains("222222222222:assumed-role/third/jane"), "{text}");
    // Only what a code was needed for is kept.
    assert_eq!(person.cache().len(), 1);
    said(&person.who("two", "three", &[]), 0);
    // The step that fails is named.
    person.served.change_trust(DEV, "second", &trust("arn:aws:iam::111111111111:role/operator", &Value::Null));
    let text = said(&person.who("dev", "three", &[]), 4);
    let dir = person.served.dir.path().display().to_string();
    same(
        &without_times(&normalised(&text.replace(&dir, "[DIR]"))),
        str![[r#"
error: profile `three` (prod) has no usable credentials
  caused by: arn:aws:iam::111111111111:role/second can't be assumed (step 2 of 3, [profile two] ([DIR]/config:11))
  caused by: AccessDenied: User: arn:aws:sts::111111111111:assumed-role/first/xdeploy-TIME is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111111111111:role/second because no role trust policy allows the sts:AssumeRole action (request id 00000000-0000-0000-0000-000000000001)

hint: let arn:aws:iam::111111111111:role/first assume it: the role's trust policy must admit it, and its own policies must allow sts:AssumeRole on the role

"#]],
    );
}

#[test]
fn a_role_lasts_as_long_as_the_profile_says() {
    let person = Person::new();
    person.role(DEV, "plain", "arn:aws:iam::111111111111:user/caller", &Value::Null);
    let profile = |seconds: &str| {
        format!(
            "[profile d{seconds}]\nregion = us-east-1\nrole_arn = arn:aws:iam::111111111111:role/plain\nsource_profile = dev\nduration_seconds = {seconds}\n"
        )
    };
    person.config(&[profile("3600"), profile("7200")].concat());
    said(&person.who("d3600", "prod", &[]), 0);
    // The role allows an hour.
    let text = said(&person.who("d7200", "prod", &[]), 4);
    assert!(text.contains("exceeds the MaxSessionDuration"), "{text}");
}

#[test]
fn one_side_may_have_the_environments_credentials_and_says_so() {
    let person = Person::new();
    let (id, secret) = person.served.rehearsal.keys(PROD);
    let run = |args: &[&str]| {
        let mut command = person.served.command(args);
        command.env("AWS_ACCESS_KEY_ID", &id).env("AWS_SECRET_ACCESS_KEY", &secret).env("AWS_REGION", "us-east-1");
        command.output().unwrap()
    };
    let text = said(&run(&["who-am-i", "--dev-profile", "dev", "--prod-profile", "env:"]), 0);
    assert!(
        text.contains("user/caller  (credentials from the environment, AWS_ACCESS_KEY_ID)") && text.contains("(profile dev)"),
        "{text}"
    );
    person.served.bucket(DEV, "us-east-1", "site-in", true);
    person.served.bucket(PROD, "us-east-1", "site-out", false);
    let plan = ["plan", "--dev-profile", "dev", "--prod-profile", "env:", "--input-bucket", "site-in", "--output-bucket", "site-out"];
    let text = said(&run(&plan), 0);
    assert!(text.contains("prod 222222222222") && text.contains("(credentials from the environment, AWS_ACCESS_KEY_ID)"), "{text}");
    let both = run(&["who-am-i", "--dev-profile", "env:", "--prod-profile", "env:"]);
    let without = person.who("dev", "env:", &["--region", "us-east-1"]);
    same(
        &format!("{}{}", said(&both, 64), said(&without, 4)),
        str![[r#"
error: both sides can't have the environment's credentials: they are one account's

hint: name a profile for one of the two: `--dev-profile NAME` or `--prod-profile NAME`
error: the environment (prod) has no usable credentials
  caused by: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set

hint: start xdeploy where the variables are set, or name a profile in the place of `env:`

"#]],
    );
}

/// The sessions that nobody named, without the time in their names.
fn without_times(text: &str) -> String {
    let mut parts = text.split("xdeploy-1");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "xdeploy-TIME" + part.trim_start_matches(|letter: char| letter.is_ascii_digit()))
}

/// Runs with files as they are given, and tells what was said.
struct Wrong {
    person: Person,
    told: String,
}

impl Wrong {
    fn try_profile(&mut self, what: &str, profile: &str, config: &str) {
        self.try_with(what, profile, config, |_| ());
    }

    fn try_with(&mut self, what: &str, profile: &str, config: &str, change: impl FnOnce(&mut Command)) {
        let path = self.person.served.dir.path().join("config");
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, before.clone() + config).unwrap();
        let mut command = self.person.served.command(&["who-am-i", "--dev-profile", profile, "--prod-profile", "prod"]);
        change(&mut command);
        let output = command.output().unwrap();
        fs::write(&path, before).unwrap();
        let text = said(&output, 4).replace(&self.person.served.dir.path().display().to_string(), "[DIR]");
        for debug in ["Error {", "SdkError", "ProviderError", "credential provider", "(os error", "service error", "dispatch failure"] {
            assert!(!text.contains(debug), "{debug}: {text}");
        }
        let text = normalised(&text);
        let _ = writeln!(self.told, "# {what}\n{}\n", text.trim_end());
    }
}

#[test]
fn each_trouble_with_a_profile_names_place_and_remedy() {
    let mut wrong = Wrong { person: Person::new(), told: String::new() };
    let region = "region = us-east-1\n";
    let role = "role_arn = arn:aws:iam::111111111111:role/operator\n";
    let mut one = |what: &str, config: &str| wrong.try_profile(what, "x", &format!("[profile x]\n{region}{config}"));
    one("no keys at all", "");
    one("half a key", "aws_access_key_id = AKIAAAAAAAAAAAAAAAAA\n");
    one("a key that nobody knows", "aws_access_key_id = AKIAAAAAAAAAAAAAAAAA\naws_secret_access_key = 0123\n");
    one("a control character in a key", "aws_access_key_id = AKIA\u{1}AAAAAAAAAAAAAAA\naws_secret_access_key = 0123\n");
    one("a session that is over", "aws_access_key_id = ASIAAAAAAAAAAAAAAAAA\naws_secret_access_key = 0123\naws_session_token = t\n");
    one("no source", role);
    one("no source, but a program", &format!("{role}credential_process = /bin/false\n"));
    one("two sources", &format!("{role}source_profile = dev\ncredential_source = Environment\n"));
    one("a source profile that isn't there", &format!("{role}source_profile = devv\n"));
    one("a source profile without its prefix", &format!("{role}source_profile = y\n[y]\n{region}"));
    one("a circle", &format!("{role}source_profile = y\n[profile y]\n{role}source_profile = x\n"));
    one("no ARN", "role_arn = admin\nsource_profile = dev\n");
    one("no duration", &format!("{role}source_profile = dev\nduration_seconds = an hour\n"));
    one("a role that isn't there", "role_arn = arn:aws:iam::111111111111:role/nobody\nsource_profile = dev\n");
    one(
        "keys that nobody knows behind a role",
        &format!("{role}source_profile = y\n[profile y]\naws_access_key_id = AKIAAAAAAAAAAAAAAAAA\naws_secret_access_key = 0123\n"),
    );
    one("an odd source", &format!("{role}credential_source = Ec2\n"));
    one("no variables", &format!("{role}credential_source = Environment\n"));
    one("no instance", &format!("{role}credential_source = Ec2InstanceMetadata\n"));
    one("no task", &format!("{role}credential_source = EcsContainer\n"));
    one("no token file", &format!("{role}web_identity_token_file = /nope/token\n"));
    one("a token file without a role", "web_identity_token_file = /nope/token\n");
    one(
        "no session of IAM Identity Center",
        "sso_session = company\nsso_account_id = 111111111111\nsso_role_name = Admin\n[sso-session company]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n",
    );
    one("no section of IAM Identity Center", "sso_session = company\nsso_account_id = 111111111111\nsso_role_name = Admin\n");
    one(
        "half a section of IAM Identity Center",
        "sso_session = company\nsso_account_id = 111111111111\nsso_role_name = Admin\n[sso-session company]\nsso_region = us-east-1\n",
    );
    one(
        "IAM Identity Center told twice",
        "sso_session = company\nsso_region = us-east-1\n[sso-session company]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n",
    );
    one(
        "half of IAM Identity Center",
        "sso_start_url = https://example.awsapps.com/start\nsso_region = us-east-1\nsso_role_name = Admin\n",
    );
    one("no aws login", "login_session = arn:aws:iam::111111111111:user/me\n");
    one("a program that isn't there", "credential_process = /nope/tool --token secret\n");
    one("a program that fails", "credential_process = sh -c 'echo the vault is locked >&2; exit 2'\n");
    one("a program that prints something else", "credential_process = echo secret\n");
    let serial = wrong.person.serial.clone();
    let mut one = |what: &str, config: &str| wrong.try_profile(what, "x", &format!("[profile x]\n{region}{config}"));
    one("no code", &format!("{role}source_profile = dev\nmfa_serial = {serial}\n"));
    one("the device in the source", &format!("{role}source_profile = y\n[profile y]\nmfa_serial = {serial}\ncredential_process = true\n"));
    wrong.try_profile("no prefix", "y", &format!("[y]\n{region}"));
    wrong.try_profile("not there", "xyz", "");
    wrong.try_with("a variable that names nothing", "x", "", |command| {
        command.env("AWS_CONFIG_FILE", "/nope/config");
    });
    wrong.try_with("a folder", "x", "", |command| {
        command.env("AWS_CONFIG_FILE", "/");
    });
    let latin = wrong.person.served.dir.path().join("latin");
    fs::write(&latin, b"[profile x]\n# gr\xfcn\n").unwrap();
    wrong.try_with("not UTF-8", "x", "", |command| {
        command.env("AWS_CONFIG_FILE", &latin);
    });
    wrong.try_with("no home", "x", "", |command| {
        command.env_remove("HOME").env_remove("AWS_CONFIG_FILE").env_remove("AWS_SHARED_CREDENTIALS_FILE");
    });
    let credentials = wrong.person.served.dir.path().join("credentials");
    let before = fs::read_to_string(&credentials).unwrap();
    fs::write(&credentials, before + "[profile z]\naws_access_key_id = AKIAAAAAAAAAAAAAAAAA\naws_secret_access_key = 0123\n").unwrap();
    wrong.try_profile("a prefix too many", "z", "");
    same(&wrong.told, file!["../snapshots/credentials/each_trouble_with_a_profile_names_place_and_remedy.txt"]);
}

#[test]
fn a_code_that_is_none_is_exit_64() {
    let person = Person::new();
    for (code, taken) in [("12345", false), ("1234567", false), ("abcdef", false), ("d=123456", true)] {
        let output = person.who("dev", "prod", &["--mfa-code", code]);
        assert_eq!(output.status.code(), Some(if taken { 0 } else { 64 }), "{code}");
    }
}

#[test]
fn a_key_that_isnt_there_is_not_made_where_that_was_said() {
    let person = Person::new();
    person.served.bucket(DEV, "us-east-1", "site-in", true);
    person.served.bucket(PROD, "us-east-1", "site-out", false);
    let text = |args: &[&str], code| {
        let all = [args, &["--input-bucket", "site-in", "--output-bucket", "site-out"]].concat();
        said(&person.served.try_run(&all), code)
    };
    same(
        &text(&["plan", "--no-create-key"], 3),
        str![[r#"
dev  111111111111  us-east-1     arn:aws:iam::111111111111:user/caller
prod 222222222222  us-east-1     arn:aws:iam::222222222222:user/caller
error: there is no key alias/s3deploykey in us-east-1, and none may be made
  caused by: --no-create-key is set

hint: name the alias of a key that is there with `--key-alias`, let whoever owns the keys make it, or leave `--no-create-key` out

"#]],
    );
    // One that is there does.
    text(&["setup", "--yes"], 0);
    assert!(text(&["plan", "--no-create-key"], 0).contains("No changes."));
}

#[test]
fn a_role_that_does_not_last_is_no_administrator() {
    let person = Person::new();
    let dev = "arn:aws:iam::111111111111:root";
    person.role(DEV, "AWSReservedSSO_Admin_0123456789abcdef", dev, &Value::Null);
    person.role(DEV, "plain", dev, &Value::Null);
    person.role(DEV, "job", dev, &Value::Null);
    let web = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": dev}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"AWS": dev}, "Action": "sts:AssumeRoleWithWebIdentity"},
    ]});
    person.served.change_trust(DEV, "job", &web.to_string());
    for name in ["AWSReservedSSO_Admin_0123456789abcdef", "plain", "job"] {
        person.config(&format!(
            "[profile {name}]\nregion = us-east-1\nrole_arn = arn:aws:iam::111111111111:role/{name}\nsource_profile = dev\n"
        ));
    }
    person.served.bucket(DEV, "us-east-1", "site-in", true);
    person.served.bucket(PROD, "us-east-1", "site-out", false);
    let plan = |profile: &str, more: &[&str], ci: bool| {
        let args = ["plan", "--dev-profile", profile, "--prod-profile", "prod", "--input-bucket", "site-in", "--output-bucket", "site-out"];
        let mut command = person.served.command(&[&args[..], more].concat());
        if ci {
            command.env("CI", "true");
        }
        said(&command.output().unwrap(), 0)
    };
    let (named, noted) = ("Allow access for Key Administrators", "the new key names no administrator: the caller's role");
    for (profile, ci, lasts) in [
        ("AWSReservedSSO_Admin_0123456789abcdef", false, false),
        ("plain", false, true),
        ("plain", true, false),
        ("job", false, false),
        ("dev", true, true),
    ] {
        let text = plan(profile, &["--output", "json"], ci);
        assert_eq!((text.contains(named), text.contains(noted)), (lasts, !lasts), "{profile} {ci}");
    }
    let text = plan("job", &["--key-administrator", "arn:aws:iam::111111111111:user/caller", "--output", "json"], false);
    assert!(text.contains(named) && !text.contains(noted));
}
