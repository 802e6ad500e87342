//! The test bed: two AWS accounts on this machine, and the program run against them.
//!
//! A [`Bed`] is a development and a production account that no other test has, with a caller and a
//! profile in each, and a proxy of its own between the program and the emulators:
//!
//! ```text
//! xdeploy ──AWS_ENDPOINT_URL──> proxy ──> moto       CodePipeline
//!                                 │  └──> ministack  IAM, KMS, S3, EventBridge, STS
//! bed.call, bed.dump ──> oracle.py ──────┘           (boto3, past the proxy)
//! ```
//!
//! The emulators are third-party programs that know nothing of the program under test; where they
//! are laxer than AWS, `fidelity` refuses what AWS refuses. They are installed under cargo's target
//! folder on the first run, shared by all tests of the binary and gone when it ends.
//!
//! ```ignore
//! let bed = Bed::new();
//! let input = bed.bucket(&bed.dev, "input");
//! let output = bed.bucket(&bed.prod, "output");
//! bed.run(&["setup", "--input", &input, "--output", &output, "--yes"]).success();
//! assert_eq!(bed.dump()["prod"]["roles"]["prods3role"]["path"], "/");
//! assert!(bed.proxy.longest_chain().len() < 40, "{}", bed.proxy.table());
//! ```

// Test support says what went wrong by panicking, and not every test file uses all of it.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod cli;
pub mod compare;
pub mod depth;
pub mod emulators;
pub mod exported;
mod fidelity;
pub mod office;
pub mod person;
mod pipelines;
mod proxy;
pub mod pty;
pub mod running;
pub mod scene;
pub mod script;
pub mod served;
pub mod stacks;
pub mod stage;
pub mod tools;
mod xml;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};
use tempfile::TempDir;
use yaml_rust2::Yaml;

pub use cli::{Checked, Killed, Output, Running, normalised};
pub use emulators::{OracleError, emulators};
pub use proxy::{Action, Proxy, Request, RequestInfo, When, longest_chain, table};
pub use tools::tools;

/// Lists the scripts of a CI job's workflow, of GitHub's `run` and of GitLab's `script`.
pub fn scripts(yaml: &Yaml, found: &mut Vec<String>) {
    match yaml {
        Yaml::Array(list) => list.iter().for_each(|one| scripts(one, found)),
        Yaml::Hash(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    (Some("run"), Yaml::String(text)) => found.push(text.clone()),
                    (Some("script" | "before_script"), Yaml::Array(lines)) => {
                        found.extend(lines.iter().map(|line| line.as_str().unwrap().to_owned()));
                    }
                    _ => scripts(value, found),
                }
            }
        }
        _ => {}
    }
}

/// The region of the profiles.
pub const REGION: &str = "us-east-1";

/// Who runs the program in an account.
#[derive(Debug, Clone)]
pub enum Caller {
    /// The account's root user; ministack doesn't check its signature.
    Root,
    /// An IAM user `caller` with an administrator policy.
    User { path: String },
    /// A session of a role `caller` with an administrator policy; of
    /// `AWSReservedSSO_Administrator_0123456789abcdef` if the path is one of SSO's.
    RoleSession { path: String },
}

impl Caller {
    /// A session as IAM Identity Center gives it.
    pub fn sso() -> Caller {
        Caller::RoleSession { path: "/aws-reserved/sso.amazonaws.com/".to_owned() }
    }
}

/// An account and the caller in it. Calls made here go straight to the emulators, as root, and are
/// in no proxy's log. Cheap to clone into a hook.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: String,
    /// Name of the profile: `dev` or `prod`.
    pub profile: String,
    /// The user, role or root that the profile's credentials belong to, with its path.
    pub caller_arn: String,
    pub access_key: String,
    pub secret_key: String,
    pub session_token: Option<String>,
    /// Where the account is, if not in the emulators: a port of the loopback, and root's keys of both accounts.
    pub endpoint: Option<Value>,
}

impl Account {
    /// A boto3 call, for instance `call("iam", "create_role", json!({…}))`, in the default region.
    /// Policy documents may be given as JSON.
    ///
    /// # Panics
    /// With the AWS error.
    pub fn call(&self, service: &str, method: &str, arguments: Value) -> Value {
        self.call_in(REGION, service, method, arguments)
    }

    /// The same in a region.
    pub fn call_in(&self, region: &str, service: &str, method: &str, arguments: Value) -> Value {
        self.try_call_in(region, service, method, arguments)
            .unwrap_or_else(|error| panic!("{service} {method} in {} {region}: {error}", self.profile))
    }

    pub fn try_call(&self, service: &str, method: &str, arguments: Value) -> Result<Value, OracleError> {
        self.try_call_in(REGION, service, method, arguments)
    }

    pub fn try_call_in(&self, region: &str, service: &str, method: &str, arguments: Value) -> Result<Value, OracleError> {
        emulators().ask(json!({
            "op": "call", "account": self.id, "region": region, "endpoint": self.endpoint,
            "service": service, "method": method, "kwargs": arguments,
        }))
    }

    /// Creates the pipeline, or updates the one of that name, from its raw structure: members that
    /// no SDK knows are kept. Nothing about it is checked. Returns it as stored.
    pub fn put_pipeline(&self, region: &str, pipeline: &Value) -> Value {
        let emulators = emulators();
        let ask = |method: &str, body: Value| {
            emulators.ask(json!({
                "op": "codepipeline", "account": self.id, "region": region, "endpoint": self.endpoint, "method": method, "body": body,
            }))
        };
        if self.endpoint.is_some() {
            return ask("CreatePipeline", json!({"pipeline": pipeline})).unwrap_or_else(|error| panic!("{error}"))["pipeline"].clone();
        }
        let role = pipeline["roleArn"].as_str().expect("a pipeline with a roleArn");
        proxy::block_on(pipelines::tell_moto_of_role(emulators, role)).unwrap_or_else(|error| panic!("{error}"));
        let found = ask("GetPipeline", json!({"name": pipeline["name"]}));
        let method = if found.is_ok() { "UpdatePipeline" } else { "CreatePipeline" };
        if let Ok(found) = found {
            pipelines::remember_version(&self.id, region, &found["pipeline"]);
        }
        let stored = ask(method, json!({"pipeline": pipeline})).unwrap_or_else(|error| panic!("{method}: {error}"));
        pipelines::remember_version(&self.id, region, &stored["pipeline"]);
        stored["pipeline"].clone()
    }

    /// The raw answer to GetPipeline: `pipeline` and `metadata`.
    pub fn get_pipeline(&self, region: &str, name: &str) -> Result<Value, OracleError> {
        emulators().ask(json!({
            "op": "codepipeline", "account": self.id, "region": region, "endpoint": self.endpoint,
            "method": "GetPipeline", "body": {"name": name},
        }))
    }

    /// Starts an execution past the proxy and returns its id.
    pub fn start_execution(&self, region: &str, pipeline: &str) -> String {
        let started = self.call_in(region, "codepipeline", "start_pipeline_execution", json!({"name": pipeline}));
        started["pipelineExecutionId"].as_str().expect("an execution id").to_owned()
    }

    /// Makes an execution answer with these members through every proxy, for instance
    /// `{"status": "InProgress"}`: moto's have all succeeded at once. Under `actions`, by name, may
    /// be what its actions answer in GetPipelineState and ListActionExecutions, for instance
    /// `{"Deploy": {"status": "Failed", "errorDetails": {"code": "PermissionError", "message": "…"}}}`.
    pub fn set_execution(&self, id: &str, members: &Value) {
        pipelines::override_execution(id, members);
    }
}

/// Two fresh accounts with callers, profiles and a proxy. See the module.
pub struct Bed {
    pub dev: Account,
    pub prod: Account,
    pub proxy: Proxy,
    dir: TempDir,
    /// Ends the names of this bed's buckets: bucket names are global.
    pub unique: String,
    regions: Mutex<BTreeSet<String>>,
    secrets: Mutex<Vec<String>>,
}

impl Bed {
    /// Callers are IAM users with access keys, so that ministack checks every signature.
    pub fn new() -> Bed {
        let user = || Caller::User { path: "/".to_owned() };
        Bed::with_callers(user(), user())
    }

    pub fn with_callers(dev: Caller, prod: Caller) -> Bed {
        let proxy = Proxy::start();
        let dir = tempfile::Builder::new().prefix("xdeploy-bed-").tempdir().expect("a temporary folder");
        let bed = Bed {
            dev: account("dev", &dev),
            prod: account("prod", &prod),
            proxy,
            dir,
            unique: format!("{:010}", random() % 10_000_000_000),
            regions: Mutex::new(BTreeSet::from([REGION.to_owned()])),
            secrets: Mutex::default(),
        };
        fs::create_dir_all(bed.home()).expect("the home folder");
        for account in [&bed.dev, &bed.prod] {
            bed.write_profile(account);
        }
        bed
    }

    fn write_profile(&self, account: &Account) {
        let mut credentials =
            format!("[{}]\naws_access_key_id = {}\naws_secret_access_key = {}\n", account.profile, account.access_key, account.secret_key);
        if let Some(token) = &account.session_token {
            credentials.push_str(&format!("aws_session_token = {token}\n"));
            self.add_secret(token);
        }
        // Root's secret is the word `test`, which any text may hold.
        if account.secret_key.len() > 8 {
            self.add_secret(&account.secret_key);
        }
        append(&self.credentials_file(), &credentials);
        self.profile_file(&format!("[profile {}]\nregion = {REGION}\n", account.profile));
    }

    /// Text that no output of the program may hold from now on.
    pub fn add_secret(&self, secret: &str) {
        self.secrets.lock().unwrap().push(secret.to_owned());
    }

    /// The bed's own temporary folder, which is the program's working folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn home(&self) -> PathBuf {
        self.dir().join("home")
    }

    /// `AWS_CONFIG_FILE`.
    pub fn config_file(&self) -> PathBuf {
        self.dir().join("config")
    }

    /// `AWS_SHARED_CREDENTIALS_FILE`.
    pub fn credentials_file(&self) -> PathBuf {
        self.dir().join("credentials")
    }

    /// Appends text to the config file, for instance another profile.
    pub fn profile_file(&self, text: &str) {
        append(&self.config_file(), text);
    }

    /// Appends text to the credentials file.
    pub fn credentials(&self, text: &str) {
        append(&self.credentials_file(), text);
    }

    /// See [`Account::call`].
    pub fn call(&self, account: &Account, service: &str, method: &str, arguments: Value) -> Value {
        account.call(service, method, arguments)
    }

    /// See [`Account::try_call`].
    pub fn try_call(&self, account: &Account, service: &str, method: &str, arguments: Value) -> Result<Value, OracleError> {
        account.try_call(service, method, arguments)
    }

    /// A bucket of this name in the default region; see [`Bed::bucket_in`].
    pub fn bucket(&self, account: &Account, name: &str) -> String {
        self.bucket_in(account, name, REGION, false)
    }

    /// The same with versioning on.
    pub fn versioned_bucket(&self, account: &Account, name: &str) -> String {
        self.bucket_in(account, name, REGION, true)
    }

    /// Makes a bucket and returns its name: the one given and a suffix that no other bed has, which
    /// [`Bed::normalise`] makes the same everywhere.
    pub fn bucket_in(&self, account: &Account, name: &str, region: &str, versioned: bool) -> String {
        let name = self.unique_name(name);
        let mut arguments = json!({"Bucket": name});
        if region != REGION {
            arguments["CreateBucketConfiguration"] = json!({"LocationConstraint": region});
        }
        account.call_in(region, "s3", "create_bucket", arguments);
        if versioned {
            let arguments = json!({"Bucket": name, "VersioningConfiguration": {"Status": "Enabled"}});
            account.call_in(region, "s3", "put_bucket_versioning", arguments);
        }
        self.regions.lock().unwrap().insert(region.to_owned());
        name
    }

    /// The name with this bed's suffix; lower case, digits and hyphens.
    pub fn unique_name(&self, name: &str) -> String {
        format!("{}-{}", name.to_ascii_lowercase(), self.unique)
    }

    /// All that both accounts hold, as `{"dev": {…}, "prod": {…}}` with `roles`, `policies`,
    /// `users`, `buckets` and, by region, `keys`, `rules` and `pipelines`; see `oracle.py`. The
    /// regions are those of this bed's buckets and calls; [`Bed::dump_regions`] for others.
    pub fn dump(&self) -> Value {
        let mut regions = self.regions.lock().unwrap().clone();
        regions.extend(self.proxy.regions().into_iter().filter(|region| region.contains('-') && region != "aws-global"));
        self.dump_regions(&regions.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub fn dump_regions(&self, regions: &[&str]) -> Value {
        let accounts = [&self.dev.id, &self.prod.id];
        let mut found =
            emulators().ask(json!({"op": "dump", "accounts": accounts, "regions": regions})).unwrap_or_else(|error| panic!("{error}"));
        json!({"dev": found[&self.dev.id].take(), "prod": found[&self.prod.id].take()})
    }

    /// Runs a Python snippet with `client(service, account, region="us-east-1")`, `dev` and `prod`
    /// (account ids) in scope, and returns its variable `result`.
    ///
    /// # Panics
    /// With the traceback.
    pub fn python(&self, code: &str) -> Value {
        let code = format!("dev = '{}'\nprod = '{}'\n{code}", self.dev.id, self.prod.id);
        emulators().ask(json!({"op": "python", "code": code})).unwrap_or_else(|error| panic!("{error}"))
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file in the bed's folder");
    file.write_all(text.as_bytes()).expect("a file in the bed's folder");
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn account(profile: &str, caller: &Caller) -> Account {
    // Twelve digits, none leading to an octal or shorter reading by anyone.
    let id = format!("{:012}", 100_000_000_000 + random() % 900_000_000_000);
    let mut account = Account {
        caller_arn: format!("arn:aws:iam::{id}:root"),
        access_key: id.clone(),
        secret_key: "test".to_owned(),
        session_token: None,
        profile: profile.to_owned(),
        id,
        endpoint: None,
    };
    emulators().moto_key(&account.id);
    let administrator = json!({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match caller {
        Caller::Root => {}
        Caller::User { path } => {
            let user = account.call("iam", "create_user", json!({"UserName": "caller", "Path": path}));
            account.caller_arn = text(&user["User"]["Arn"]);
            let policy = json!({"UserName": "caller", "PolicyName": "administrator", "PolicyDocument": administrator});
            account.call("iam", "put_user_policy", policy);
            let made = account.call("iam", "create_access_key", json!({"UserName": "caller"}));
            account.access_key = text(&made["AccessKey"]["AccessKeyId"]);
            account.secret_key = text(&made["AccessKey"]["SecretAccessKey"]);
        }
        Caller::RoleSession { path } => {
            let sso = path.starts_with("/aws-reserved/");
            let name = if sso { "AWSReservedSSO_Administrator_0123456789abcdef" } else { "caller" };
            let trust = json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": account.caller_arn}, "Action": "sts:AssumeRole"},
            ]});
            let arguments = json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": trust});
            let role = account.call("iam", "create_role", arguments);
            account.caller_arn = text(&role["Role"]["Arn"]);
            let policy = json!({"RoleName": name, "PolicyName": "administrator", "PolicyDocument": administrator});
            account.call("iam", "put_role_policy", policy);
            let arguments = json!({"RoleArn": account.caller_arn, "RoleSessionName": "tester@example.com"});
            let session = account.call("sts", "assume_role", arguments);
            account.access_key = text(&session["Credentials"]["AccessKeyId"]);
            account.secret_key = text(&session["Credentials"]["SecretAccessKey"]);
            account.session_token = Some(text(&session["Credentials"]["SessionToken"]));
        }
    }
    emulators().register_access_key(&account.access_key, &account.id);
    account
}
