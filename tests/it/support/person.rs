//! A person with long-term keys and an MFA device, on two accounts in memory.

use super::served::{Served, now};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::thread;
use std::time::Duration;
use xdeploy::rehearsal::{DEV, PROD};

pub const DEV_ROLE: &str = "arn:aws:iam::111111111111:role/operator";
pub const PROD_ROLE: &str = "arn:aws:iam::222222222222:role/operator";

/// A person with long-term keys in DEV and a device, and a role in each account that wants a code.
pub struct Person {
    pub served: Served,
    pub serial: String,
}

pub fn trust(principal: &str, condition: &Value) -> String {
    let mut statement = json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"});
    if condition.is_object() {
        statement["Condition"] = condition.clone();
    }
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

pub fn with_mfa() -> Value {
    json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}})
}

impl Person {
    pub fn new() -> Person {
        let served = Served::new();
        let serial = served.rehearsal.give_mfa_device(DEV, "caller");
        let person = Person { served, serial };
        for account in [DEV, PROD] {
            person.role(account, "operator", "arn:aws:iam::111111111111:root", &with_mfa());
        }
        person
    }

    /// Makes a role that may everything.
    pub fn role(&self, account: &str, name: &str, principal: &str, condition: &Value) {
        let iam = aws_sdk_iam::Client::new(&self.served.rehearsal.config(self.served.rehearsal.keys(account), "us-east-1"));
        self.served.block_on(async {
            let policy = "arn:aws:iam::aws:policy/AdministratorAccess";
            iam.create_role().role_name(name).assume_role_policy_document(trust(principal, condition)).send().await.unwrap();
            iam.attach_role_policy().role_name(name).policy_arn(policy).send().await.unwrap();
        });
    }

    pub fn code(&self) -> String {
        self.served.rehearsal.mfa_code(DEV, "caller", now())
    }

    /// Waits until the device shows another code than this one.
    pub fn next_code(&self, code: &str) -> String {
        // The emulator takes the next slot's code as well, as AWS does.
        let next = self.served.rehearsal.mfa_code(DEV, "caller", now() + 30_000);
        if next == code {
            thread::sleep(Duration::from_secs(31))
        }
        next
    }

    pub fn config(&self, text: &str) {
        let path = self.served.dir.path().join("config");
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, before + text).unwrap();
    }

    pub fn mfa_profiles(&self) {
        let serial = &self.serial;
        for (name, role) in [("d", DEV_ROLE), ("p", PROD_ROLE)] {
            self.config(&format!(
                "[profile {name}]\nregion = us-east-1\nrole_arn = {role}\nsource_profile = dev\nmfa_serial = {serial}\nrole_session_name = jane\n\
                 duration_seconds = 3600\n"
            ));
        }
    }

    pub fn who(&self, dev: &str, prod: &str, more: &[&str]) -> Output {
        self.served.command(&[&["who-am-i", "--dev-profile", dev, "--prod-profile", prod], more].concat()).output().unwrap()
    }

    pub fn cache(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.served.dir.path().join(".aws/cli/cache"));
        folder.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }
}

#[track_caller]
pub fn said(output: &Output, code: i32) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}
