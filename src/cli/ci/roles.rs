//! The roles that the jobs assume: whom they trust, and what prints their permissions.

use super::{Service, Wanted};
use crate::model::{Side, quoted};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Makes it all, changes it and mends it: a role that can do only the first is of use once.
const CHANGES: &str = "setup --scenario change";
/// Plans the same.
const PLANS: &str = "plan --scenario change";

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
    permissions: Vec<String>,
}

impl Role {
    /// Gives it as JSON.
    pub fn json(role: &Role) -> Value {
        json!({"side": role.side, "jobs": role.jobs, "variable": role.variable, "trust": role.trust, "permissions": role.permissions})
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
        Service::Github => {
            let mut reading = vec![format!("repo:{repository}:pull_request"), format!("repo:{repository}:ref:refs/heads/{branch}")];
            // GitHub runs a schedule on the default branch only.
            reading.extend(
                args.default_branch
                    .iter()
                    .filter(|default| *default != branch)
                    .map(|default| format!("repo:{repository}:ref:refs/heads/{default}")),
            );
            (reading, vec![format!("repo:{repository}:environment:{}", args.environment)])
        }
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
    let (reads, writes) = match wanted.args.service {
        Service::Github => ("plan, changes, verify", "apply"),
        Service::Gitlab => ("xdeploy-plan, xdeploy-changes, xdeploy-verify", "xdeploy-apply"),
    };
    let mut roles = Vec::new();
    for side in [Side::Dev, Side::Prod] {
        let named = if side == Side::Dev { &wanted.args.dev_role } else { &wanted.args.prod_role };
        let variable = format!("XDEPLOY_{}_ROLE", side.to_string().to_ascii_uppercase());
        match named {
            Some(arn) => {
                let both = reading.iter().chain(&writing).cloned().collect();
                roles.push(role(wanted, side, "all jobs", format!("{arn}, in the workflow"), both, &[CHANGES, "verify"]));
            }
            None => {
                let everywhere = format!("variable {variable} of the repository");
                let apply = format!("variable {variable} of the environment {}", wanted.args.environment);
                roles.push(role(wanted, side, reads, everywhere, reading.clone(), &[PLANS, "verify"]));
                roles.push(role(wanted, side, writes, apply, writing.clone(), &[CHANGES]));
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
    let said: String = wanted.said.iter().map(|(flag, value)| flagged(flag, value)).collect();
    let permissions = commands.iter().map(|command| format!("xdeploy permissions --command {command} --side {side}{said}")).collect();
    Role { side, jobs, variable, trust, permissions }
}

/// Writes a flag for a shell; one without a value is `true`.
fn flagged(flag: &str, value: &str) -> String {
    let switch =
        ["--create-buckets", "--enable-versioning", "--no-create-key", "--no-extract", "--deploy-encrypts-with-dev-key"].contains(&flag);
    if switch { format!(" {flag}") } else { format!(" {flag} {}", quoted(value)) }
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
            "\n## {} ({account}): the role of {}\n\nIts ARN: {}. Its permissions, which these commands print:\n\n    {}\n\nIts trust policy:\n\n{trust}",
            role.side,
            role.jobs,
            role.variable,
            role.permissions.join("\n    ")
        );
    }
    let (branch, environment) = (&args.branch, &args.environment);
    let approval = match args.service {
        Service::Github => format!(
            "The approval is the protection of environment {environment}: give it required reviewers, and let only branch {branch} deploy to it \
(deployment branches). Without the latter a workflow on any branch may ask for it."
        ),
        Service::Gitlab => format!(
            "A token of GitLab's names the branch, not the environment: any job on {branch} can assume the role of xdeploy-apply, whether somebody started that or not. \
Protect {branch}, since whoever may push to it has that role, and protect environment {environment}, so that only those who approve can start it."
        ),
    };
    let _ = writeln!(
        text,
        "\n## What else to know\n\n{approval}\n\nWhat the commands print is for the names that were said: print it again after changing a bucket, a region, the pipeline, \
a role, a policy's or a rule's name. A pipeline that the console made needs what `--scenario adopt` prints as well."
    );
    text
}
