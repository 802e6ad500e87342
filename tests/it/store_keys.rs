//! Artifact stores with a key that somebody else made: a security account's, or one without an alias.

use crate::support::cli::replace_request_ids;
use crate::support::compare::same;
use crate::support::depth;
use crate::support::person::said;
use crate::support::served::{Served, served, with};
use serde_json::{Value, json};
use snapbox::file;
use xdeploy::deploy::handoff::Handoff;
use xdeploy::rehearsal::{DEV, PROD};

const REGION: &str = "us-east-1";
/// The account that owns the keys.
const SECURITY: &str = "333333333333";

fn kms(served: &Served, account: &str) -> aws_sdk_kms::Client {
    aws_sdk_kms::Client::new(&served.rehearsal.config(served.rehearsal.keys(account), REGION))
}

fn key_of(served: &Served, account: &str) -> String {
    let made = served.block_on(kms(served, account).create_key().send()).unwrap();
    made.key_metadata().unwrap().arn().unwrap().to_owned()
}

/// Adds statements to the policy of a key of the security account.
fn let_in(served: &Served, key: &str, statements: &[Value]) {
    let kms = kms(served, SECURITY);
    let policy = served.block_on(kms.get_key_policy().key_id(key).send()).unwrap().policy().unwrap().to_owned();
    let mut policy: Value = serde_json::from_str(&policy).unwrap();
    policy["Statement"].as_array_mut().unwrap().extend(statements.iter().cloned());
    served.block_on(kms.put_key_policy().key_id(key).policy(policy.to_string()).send()).unwrap();
}

fn describable() -> Value {
    json!({"Sid": "Look", "Effect": "Allow", "Principal": {"AWS": DEV}, "Action": "kms:DescribeKey", "Resource": "*"})
}

/// The statement that a text shows, which a person would copy.
fn shown(text: &str) -> Value {
    let from = text.split_once("must add ").expect("a statement").1;
    serde_json::from_str(from.lines().next().unwrap()).unwrap()
}

#[test]
fn a_key_of_a_third_account_is_used_and_never_said_to_be_proven() {
    for style in depth::sampled("styles of policies", vec!["article", "least-privilege"], 1) {
        let served = served();
        served.rehearsal.found(SECURITY);
        let key = key_of(&served, SECURITY);
        let setup = ["setup", "--yes", "--no-create-key", "--artifact-key", &key, "--policies", style];
        let text = replace_request_ids(&said(&served.try_run(&with(&setup)), 1).replace(&key, "[KEY]"));
        same(&text, file!["../snapshots/store_keys/a_key_that_development_may_not_look_at.txt"]);

        let_in(&served, &key, &[describable()]);
        let text = said(&served.try_run(&with(&setup)), 0);
        let statement = shown(&text);
        let keys = served.block_on(kms(&served, DEV).list_keys().send()).unwrap();
        assert!(keys.keys().is_empty(), "none was made");

        // The emulator decides for itself: without the statement the run fails, with it it doesn't.
        let (code, text) = served.attempt(&["release", "--sample"]);
        assert_eq!(code, Some(1), "{text}");
        let_in(&served, &key, &[statement]);
        assert!(served.run(&["release", "--sample"]).contains("owned by prod"), "{style}");

        let again = served.run(&with(&setup));
        assert!(again.contains("No changes."), "{again}");
        let verified = served.try_run(&["verify", "--output", "json"]);
        let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
        let links = report["proof"]["links"].as_array().unwrap();
        let on_key: Vec<&Value> = links.iter().filter(|link| link["resource"] == json!(key)).collect();
        assert!(!on_key.is_empty() && on_key.iter().all(|link| link["verdict"] == "cannot-tell"), "{style}: {on_key:#?}");
        assert_eq!(verified.status.code(), Some(5), "{report:#}");

        // It is nobody's here to delete, nor to change.
        let gone = served.run(&["teardown", "--confirm", "crossaccountdeploy"]);
        assert!(gone.contains(&key) && gone.contains("xdeploy did not make it"), "{gone}");
        let metadata = served.block_on(kms(&served, SECURITY).describe_key().key_id(&key).send()).unwrap();
        assert_eq!(metadata.key_metadata().unwrap().key_state().unwrap().as_str(), "Enabled");
    }
}

#[test]
fn a_key_without_an_alias_is_used_by_its_arn() {
    let served = served();
    let key = key_of(&served, DEV);
    let setup = ["setup", "--yes", "--artifact-key", &key];
    served.run(&with(&setup));
    served.run(&["release", "--sample"]);
    served.run(&["verify"]);
    assert!(served.run(&with(&setup)).contains("No changes."));
    let aliases = served.block_on(kms(&served, DEV).list_aliases().send()).unwrap();
    assert!(aliases.aliases().iter().all(|alias| alias.target_key_id().is_none_or(|target| !key.ends_with(target))));
}

#[test]
fn what_can_not_be_a_store_s_key_is_refused() {
    let served = served();
    let key = key_of(&served, DEV);
    served.run(&with(&["setup", "--yes", "--artifact-key", &key]));
    let mut told = String::new();
    let other = key_of(&served, DEV);
    let absent = format!("arn:aws:kms:{REGION}:{DEV}:key/00000000-0000-0000-0000-000000000000");
    let alias = format!("arn:aws:kms:{REGION}:{DEV}:alias/a");
    let both = format!("{key},{other}");
    for (named, code) in [(&other, 3), (&alias, 64), (&both, 64), (&"1234".to_owned(), 64)] {
        told += &said(&served.try_run(&with(&["plan", "--artifact-key", named])), code);
    }
    told += &said(&served.try_run(&with(&["plan", "--pipeline", "other", "--artifact-key", &absent])), 3);
    let told = told.replace(&key, "[KEY]").replace(&other, "[OTHER]");
    same(&told, file!["../snapshots/store_keys/what_can_not_be_a_store_s_key_is_refused.txt"]);
}

#[test]
fn a_hand_off_tells_production_of_a_third_account_s_key() {
    let served = served();
    served.rehearsal.found(SECURITY);
    let key = key_of(&served, SECURITY);
    let_in(&served, &key, &[describable()]);
    let file = served.dir.path().join("handoff.json").display().to_string();
    let dev = ["setup", "--side", "dev", "--yes", "--prod-account", PROD, "--artifact-key", &key, "--handoff", &file];
    let text = said(&served.try_run(&with(&dev)), 0);
    let_in(&served, &key, &[shown(&text)]);
    let prod = ["setup", "--side", "prod", "--yes", "--dev-account", DEV, "--handoff", &file];
    // Nobody's word alone lets production's role use a stranger's key.
    let text = said(&served.try_run(&with(&prod)), 3);
    assert!(text.contains(&format!("key {key} of account {SECURITY}")), "{text}");
    said(&served.try_run(&with(&[&prod[..], &["--artifact-key", &key]].concat())), 0);
    said(&served.try_run(&with(&dev)), 0);
    assert!(served.run(&["release", "--sample"]).contains("owned by prod"));

    // A file may not make it production's own key.
    let sealed = std::fs::read_to_string(&file).unwrap();
    assert!(sealed.contains(&key));
    let forged: Handoff = serde_json::from_str(&sealed.replace(SECURITY, PROD)).unwrap();
    std::fs::write(&file, forged.sealed().text()).unwrap();
    let text = said(&served.try_run(&with(&prod)), 3);
    assert!(text.contains(&format!("is not of account {DEV}")), "{text}");
}

#[test]
fn permissions_are_asked_for_the_key_that_is_named() {
    let served = served();
    let key = format!("arn:aws:kms:{REGION}:{SECURITY}:key/mrk-1");
    let permissions = |more: &[&str]| {
        let args = [
            &["permissions", "--command", "setup", "--side", "dev", "--region", REGION, "--dev-account", DEV, "--prod-account", PROD],
            more,
        ];
        let output = served.try_run(&with(&args.concat()));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let statements = document["Statement"].as_array().unwrap().clone();
        statements.into_iter().filter(|statement| statement["Action"].to_string().contains("\"kms:")).collect::<Vec<_>>()
    };
    assert!(json!(permissions(&[])).to_string().contains("kms:CreateKey"));
    assert_eq!(
        json!(permissions(&["--artifact-key", &key])),
        json!([{"Sid": "OthersKeys", "Effect": "Allow", "Action": ["kms:DescribeKey"], "Resource": [key]}])
    );
}
