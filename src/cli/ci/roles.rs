//! The roles that the jobs assume: whom they trust, and what prints their permissions.

use super::{Service, Wanted};
use crate::model::{Side, quoted};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A role of one account.
#[derive(Debug)]
pub struct Role {
    side: Side,
    /// Which jobs assume it.
    jobs: &'static str,
    /// Where its ARN is set.
    variable: String,
    trust: Value,
    /// The commands that print its permissions.
    rights: Vec<String>,
}

impl Role {
    /// Gives it as JSON.
    pub fn json(role: &Role) -> Value {
        json!({"side": role.side, "jobs": role.jobs, "variable": role.variable, "trust": role.trust, "rights": role.rights})
    }
}

/// The host of a service's tokens.
fn issuer(service: Service) -> &'static str {
    match service {
        Service::Github => "token.actions.githubusercontent.com",
        Service::Gitlab => "gitlab.com",
    }
}

/// Gives the subjects of the tokens of the jobs that read, and of the one that writes.
fn subjects(wanted: &Wanted<'_>) -> (Vec<String>, Vec<String>) {
    let (args, repository) = (wanted.args, wanted.args.repository.as_deref().unwrap_or("OWNER/NAME"));
    let branch = &args.branch;
    match args.service {
        Service::Github => (
            vec![format!("repo:{repository}:pull_request"), format!("repo:{repository}:ref:refs/heads/{branch}")],
            vec![format!("repo:{repository}:environment:{}", args.environment)],
        ),
        // A token of GitLab's names the branch, not the environment; a merge request's names its own branch.
        Service::Gitlab => (
            vec![format!("project_path:{repository}:ref_type:branch:ref:*")],
            vec![format!("project_path:{repository}:ref_type:branch:ref:{branch}")],
        ),
    }
}

/// Lists the roles: for each account one that reads and one that writes, or the one that is to do both.
pub fn all(wanted: &Wanted<'_>) -> Vec<Role> {
    let (reading, writing) = subjects(wanted);
    let mut roles = Vec::new();
    for side in [Side::Dev, Side::Prod] {
        let named = if side == Side::Dev { &wanted.args.dev_role } else { &wanted.args.prod_role };
        let variable = format!("XDEPLOY_{}_ROLE", side.to_string().to_ascii_uppercase());
        match named {
            Some(arn) => {
                let both = reading.iter().chain(&writing).cloned().collect();
                roles.push(role(wanted, side, "all jobs", format!("{arn}, in the workflow"), both, &["setup", "verify"]));
            }
            None => {
                let everywhere = format!("variable {variable} of the repository");
                let apply = format!("variable {variable} of the environment {}", wanted.args.environment);
                roles.push(role(wanted, side, "plan, changes, verify", everywhere, reading.clone(), &["plan", "verify"]));
                roles.push(role(wanted, side, "apply", apply, writing.clone(), &["setup"]));
            }
        }
    }
    roles
}

fn role(wanted: &Wanted<'_>, side: Side, jobs: &'static str, variable: String, subjects: Vec<String>, commands: &[&str]) -> Role {
    let host = issuer(wanted.args.service);
    let account = wanted.account(side).unwrap_or("ACCOUNT");
    let mut condition = json!({"StringEquals": {format!("{host}:aud"): "sts.amazonaws.com"}});
    let operator = if subjects.iter().any(|one| one.contains('*')) { "StringLike" } else { "StringEquals" };
    condition[operator][format!("{host}:sub")] = json!(subjects);
    let partition = partition(wanted, side);
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:{partition}:iam::{account}:oidc-provider/{host}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }]});
    // Who isn't the administrator of the key that it makes needs the rights on it from its own policy.
    let administrators = match (side, wanted.administrators.join(",")) {
        (Side::Dev, named) if !named.is_empty() => format!(" --key-administrator {}", quoted(&named)),
        _ => String::new(),
    };
    let rights = commands.iter().map(|command| format!("xdeploy rights --command {command} --side {side}{administrators}")).collect();
    Role { side, jobs, variable, trust, rights }
}

/// Gives the partition: the role's own, or the one of the region.
fn partition(wanted: &Wanted<'_>, side: Side) -> String {
    let (named, region) = match side {
        Side::Dev => (&wanted.args.dev_role, &wanted.region),
        Side::Prod => (&wanted.args.prod_role, &wanted.prod_region),
    };
    let of_region = match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    named.as_ref().and_then(|arn| arn.split(':').nth(1)).unwrap_or(of_region).to_owned()
}

/// Tells the roles to people.
pub fn told(wanted: &Wanted<'_>, roles: &[Role]) -> String {
    let (args, host) = (wanted.args, issuer(wanted.args.service));
    let mut text = format!(
        "# Roles of the jobs of {}\n\nEach account needs the identity provider of {} once:\n\n    aws iam create-open-id-connect-provider --url https://{host} --client-id-list sts.amazonaws.com\n",
        args.repository.as_deref().unwrap_or("OWNER/NAME"),
        args.service.name()
    );
    for role in roles {
        let account = wanted.account(role.side).unwrap_or("ACCOUNT");
        let trust = serde_json::to_string_pretty(&role.trust).unwrap_or_default();
        let _ = writeln!(
            text,
            "\n## {} ({account}): the role of {}\n\nIts ARN: {}. Its permissions: `{}`. Its trust policy:\n\n{trust}",
            role.side,
            role.jobs,
            role.variable,
            role.rights.join("` and `")
        );
    }
    text
}
