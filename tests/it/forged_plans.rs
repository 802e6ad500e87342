//! Plans that somebody changed and sealed again: who gets permissions is compared with the accounts, whatever the file says.

use crate::support::compare::same;
use crate::support::person::said;
use crate::support::served::{Served, served, with};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use snapbox::file;
use std::path::{Path, PathBuf};
use xdeploy::rehearsal::DEV;

const CALLER: &str = "arn:aws:iam::111111111111:user/caller";
const STRANGER: &str = "arn:aws:iam::333333333333:user/caller";

fn planned(served: &Served, more: &[&str]) -> PathBuf {
    let file = served.dir.path().join("plan.json");
    served.run(&with(&[&["plan", "--out", file.to_str().unwrap()], more].concat()));
    file
}

/// Changes a plan and seals it as the program does.
fn forge(file: &Path, change: impl FnOnce(String) -> String) {
    let mut plan: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    plan["seal"] = json!("");
    let text = change(plan.to_string());
    let seal = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut plan: Value = serde_json::from_str(&text).unwrap();
    plan["seal"] = json!(seal);
    std::fs::write(file, plan.to_string()).unwrap();
}

/// What a run that is refused says.
fn refused(served: &Served, args: &[&str]) -> String {
    let text = said(&served.try_run(args), 3).replace(&served.dir.path().display().to_string(), "[DIR]");
    text.split_once("error: ").map(|(_, told)| format!("error: {told}\n")).unwrap_or_default()
}

fn keys(served: &Served) -> usize {
    served.rehearsal.dump()["accounts"][DEV]["keys"].as_object().unwrap().len()
}

#[test]
fn a_resealed_plan_makes_nobody_administrator_of_the_key() {
    let served = served();
    served.rehearsal.found("333333333333");
    let none = r#""key_administrators":[]"#;
    let allowed = format!(r#"{none},"allow_foreign_administrator":true"#);
    let colleague = CALLER.replace("caller", "mallory");
    let mut told = String::new();
    for (who, settings, flags) in [
        (STRANGER, none, &[][..]),
        (STRANGER, &allowed, &[]),
        (STRANGER, &allowed, &["--allow-foreign-administrator"]),
        (&colleague, none, &[]),
    ] {
        let file = planned(&served, &[]);
        forge(&file, |text| text.replace(CALLER, who).replace(none, settings));
        told += &refused(&served, &[&["apply", file.to_str().unwrap()], flags].concat());
        assert_eq!(keys(&served), 0, "{who}");
    }
    same(&told, file!["../snapshots/forged_plans/a_resealed_plan_makes_nobody_administrator_of_the_key.txt"]);
    // Sealed again without a change, it is the same plan.
    let file = planned(&served, &[]);
    forge(&file, |text| text);
    served.run(&["apply", file.to_str().unwrap()]);
    assert_eq!(keys(&served), 1);
}

#[test]
fn a_key_administrator_of_another_account_must_be_meant() {
    let served = served();
    served.rehearsal.found("333333333333");
    let named = ["--key-administrator", STRANGER];
    let mut told = String::new();
    for command in [&["plan"][..], &["setup", "--yes"]] {
        told += &refused(&served, &with(&[command, &named].concat()));
    }
    let allow = "--allow-foreign-administrator";
    let file = planned(&served, &[&named[..], &[allow]].concat());
    told += &refused(&served, &["apply", file.to_str().unwrap()]);
    same(&told, file!["../snapshots/forged_plans/a_key_administrator_of_another_account_must_be_meant.txt"]);
    assert_eq!(keys(&served), 0);
    served.run(&["apply", file.to_str().unwrap(), allow]);
    assert!(served.rehearsal.dump()["accounts"][DEV]["keys"].to_string().contains(STRANGER));
}
