//! The permissions boundary of the roles that setup makes: in the exports, and where it can't be.

use crate::support::compare::same;
use crate::support::person::said;
use crate::support::served::{served, with};
use snapbox::file;
use xdeploy::rehearsal::{DEV, PROD};

#[test]
fn a_permissions_boundary_is_exported() {
    let served = served();
    let boundary = "arn:aws:iam::aws:policy/AdministratorAccess";
    for (format, wanted, count) in [
        ("awscli", "create_role DEV us-east-1 cwe-role-us-east-1-crossaccountdeploy /service-role/".to_owned(), 1),
        ("terraform", format!("permissions_boundary = \"{boundary}\""), 3),
        ("cloudformation", format!("\"PermissionsBoundary\": \"{boundary}\""), 3),
    ] {
        let folder = served.dir.path().join(format);
        served.run(&with(&["export", "--format", format, "--out", folder.to_str().unwrap(), "--permissions-boundary", boundary]));
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default());
        let text: String = files.collect();
        assert_eq!((text.matches(&wanted).count(), text.matches(boundary).count()), (count, 3), "{format}: {wanted}");
    }
}

#[test]
fn a_boundary_is_named_for_each_account_and_is_there() {
    let served = served();
    let iam = aws_sdk_iam::Client::new(&served.rehearsal.config(served.rehearsal.keys(DEV), "us-east-1"));
    let document = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    served.block_on(iam.create_policy().policy_name("limits").policy_document(document).send()).unwrap();
    let of = |account: &str, name: &str| format!("arn:aws:iam::{account}:policy/{name}");
    let mut told = String::new();
    for (policies, code) in [
        (of(DEV, "limits"), 3),
        (format!("{},{}", of(DEV, "limits"), of(PROD, "limits")), 3),
        (format!("{},{}", of(DEV, "limits"), of(DEV, "others")), 64),
        ("limits".to_owned(), 64),
    ] {
        let text = said(&served.try_run(&with(&["plan", "--permissions-boundary", &policies])), code);
        told += &text.split_once("error: ").map(|(_, told)| format!("error: {told}\n")).unwrap_or_default();
    }
    same(&told, file!["../snapshots/boundary/a_boundary_is_named_for_each_account_and_is_there.txt"]);
}
