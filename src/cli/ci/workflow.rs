//! The workflow: a text with places that are filled in.

use super::{Service, Wanted};
use crate::cli::Cli;
use clap::CommandFactory;
use serde_json::json;

const PROFILES: &str = include_str!("profiles.sh");
const GITHUB: &str = include_str!("github.yml");
const GITHUB_BEGIN: &str = include_str!("github.begin.yml");
const GITLAB: &str = include_str!("gitlab.yml");

/// Gives the file that the workflow belongs in.
pub fn file(service: Service, pipeline: &str) -> String {
    match service {
        Service::Github => format!(".github/workflows/{}", file_name(pipeline)),
        Service::Gitlab => ".gitlab-ci.yml".to_owned(),
    }
}

fn file_name(pipeline: &str) -> String {
    format!("{}.yml", name(pipeline))
}

fn name(pipeline: &str) -> String {
    let plain: String = pipeline.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' }).collect();
    format!("xdeploy-{plain}")
}

/// Writes the workflow.
pub fn of(wanted: &Wanted<'_>) -> String {
    let args = wanted.args;
    let role = |said: &Option<String>, variable: &str| said.clone().unwrap_or_else(|| format!("${{{{ vars.{variable} }}}}"));
    let text = match args.service {
        Service::Github => {
            let profiles = profiles(
                wanted,
                "curl -sSf -H \"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\" \\\n  \"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com\" | jq -er .value",
                "echo \"AWS_CONFIG_FILE=$folder/aws-config\" >> \"$GITHUB_ENV\"",
            );
            let begin = GITHUB_BEGIN
                .replace("@PROFILES@\n", &indented(&profiles, 10))
                .replace("@DEV_ROLE@", &role(&args.dev_role, "XDEPLOY_DEV_ROLE"))
                .replace("@PROD_ROLE@", &role(&args.prod_role, "XDEPLOY_PROD_ROLE"));
            GITHUB.replace("@BEGIN@\n", &begin).replace("@VARIABLES@\n", &variables(wanted, 2)).replace("@BRANCH@", &args.branch)
        }
        Service::Gitlab => {
            let profiles = profiles(wanted, "printf '%s' \"$AWS_TOKEN\"", "export AWS_CONFIG_FILE=\"$folder/aws-config\"");
            let comparison = format!("== {}", json!(args.branch));
            GITLAB
                .replace("@PROFILES@\n", &indented(&profiles, 6))
                .replace("@VARIABLES@\n", &variables(wanted, 2))
                .replace("== @BRANCH@", &comparison)
                .replace("@BRANCH@", &args.branch)
        }
    };
    text.replace("@ENVIRONMENT@", &args.environment)
        .replace("@FILE@", &file_name(&wanted.pipeline))
        .replace("@NAME@", &name(&wanted.pipeline))
}

fn profiles(wanted: &Wanted<'_>, token: &str, export: &str) -> String {
    let text = PROFILES.replace("@TOKEN@", token).replace("@EXPORT@", export);
    text.replace("@REGION@", &wanted.region).replace("@PROD_REGION@", &wanted.prod_region)
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{:by$}{line}\n", "") }).collect()
}

/// Writes the jobs' variables, a line each.
fn variables(wanted: &Wanted<'_>, by: usize) -> String {
    let mut rows = vec![("XDEPLOY_DEV_PROFILE".to_owned(), "dev".to_owned()), ("XDEPLOY_PROD_PROFILE".to_owned(), "prod".to_owned())];
    let command = Cli::command();
    let plan = command.find_subcommand("plan");
    let arguments: Vec<_> = plan.into_iter().flat_map(clap::Command::get_arguments).chain(command.get_arguments()).collect();
    for (flag, value) in &wanted.said {
        let named = arguments.iter().find(|one| one.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long)));
        if let Some(variable) = named.and_then(|one| one.get_env()) {
            rows.push((variable.to_string_lossy().into_owned(), value.clone()));
        }
    }
    if wanted.args.service == Service::Gitlab {
        let roles = [("XDEPLOY_DEV_ROLE", &wanted.args.dev_role), ("XDEPLOY_PROD_ROLE", &wanted.args.prod_role)];
        rows.extend(roles.into_iter().filter_map(|(variable, role)| Some((variable.to_owned(), role.clone()?))));
    }
    rows.into_iter().map(|(name, value)| format!("{:by$}{name}: {}\n", "", scalar(wanted.args.service, &value))).collect()
}

/// Writes a value as YAML, plain where nobody could take it for something else, and so that the service puts nothing into it.
fn scalar(service: Service, value: &str) -> String {
    let value = match service {
        Service::Github => value.replace("${{", "${{ '${{' }}"),
        Service::Gitlab => value.replace('$', "$$"),
    };
    let word = value.starts_with(|first: char| first.is_ascii_alphabetic())
        && value.chars().all(|one| one.is_ascii_alphanumeric() || "-_./".contains(one))
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&value.to_ascii_lowercase().as_str());
    // JSON's texts are YAML's.
    if word { value } else { json!(value).to_string() }
}
