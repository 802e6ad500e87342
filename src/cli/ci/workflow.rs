//! The workflow: a text with places that are filled in.

use super::program::Program;
use super::{Service, Wanted};
use crate::cli::Cli;
use clap::CommandFactory;
use serde_json::json;

const PROFILES: &str = include_str!("profiles.sh");
const GITHUB: &str = include_str!("github.yml");
const GITHUB_BEGIN: &str = include_str!("github.begin.yml");
const GITHUB_INSTALL: &str = include_str!("github.install.yml");
const GITHUB_COMPILED: &str = include_str!("github.compiled.yml");
const GITHUB_RELEASED: &str = include_str!("github.released.yml");
const GITLAB: &str = include_str!("gitlab.yml");
const GITLAB_INSTALL: &str = include_str!("gitlab.install.yml");
const GITLAB_COMPILED: &str = include_str!("gitlab.compiled.yml");
const GITLAB_RELEASED: &str = include_str!("gitlab.released.yml");

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

/// Puts values into the places of a text, `@PLACE@` each; what looks like one in a value stays.
fn filled(text: &str, places: &[(&str, String)]) -> String {
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('@') {
        done.push_str(before);
        let named = |(name, behind)| Some((places.iter().find(|(place, _)| *place == name)?.1.as_str(), behind));
        let (value, behind) = after.split_once('@').and_then(named).unwrap_or(("@", after));
        done.push_str(value);
        rest = behind;
    }
    done + rest
}

/// The parts of a workflow that differ by how its jobs get the program.
struct Installation {
    /// The job that compiles it; empty where none does.
    job: String,
    /// What every other job does for it.
    steps: String,
    /// The jobs that `apply` needs, as YAML.
    apply_needs: &'static str,
    /// A comment line for the head.
    from: String,
}

fn installation(wanted: &Wanted<'_>) -> Installation {
    let version = env!("CARGO_PKG_VERSION");
    let places = |sha256: &str| {
        [("VERSION", version.to_owned()), ("SHA256", sha256.to_owned()), ("BRANCH_TEXT", json!(wanted.args.branch).to_string())]
    };
    let compiled = format!("# - The job that compiles xdeploy takes its tag v{version}, and has no identity token.");
    let released = format!("# - The jobs download xdeploy v{version} and go on only if it has the SHA-256 below.");
    let (sha256, from) = match &wanted.program {
        Program::Released { sha256 } => (Some(sha256.as_str()), released),
        Program::Compiled => (None, compiled),
    };
    let (job, steps, apply_needs) = match (wanted.args.service, sha256.is_some()) {
        (Service::Github, true) => ("", GITHUB_RELEASED, "changes"),
        (Service::Github, false) => (GITHUB_INSTALL, GITHUB_COMPILED, "[install, changes]"),
        (Service::Gitlab, true) => ("", GITLAB_RELEASED, "[xdeploy-changes]"),
        (Service::Gitlab, false) => (GITLAB_INSTALL, GITLAB_COMPILED, "[xdeploy-install, xdeploy-changes]"),
    };
    let places = places(sha256.unwrap_or_default());
    Installation { job: filled(job, &places), steps: filled(steps, &places).trim_end_matches('\n').to_owned(), apply_needs, from }
}

/// Writes the workflow.
pub fn of(wanted: &Wanted<'_>) -> String {
    let args = wanted.args;
    let role = |said: &Option<String>, variable: &str| said.clone().unwrap_or_else(|| format!("${{{{ vars.{variable} }}}}"));
    let installation = installation(wanted);
    let (template, own) = match args.service {
        Service::Github => {
            let profiles = profiles(
                wanted,
                "curl -sSf -H \"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\" \\\n  \"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com\" | jq -er .value",
                "echo \"AWS_CONFIG_FILE=$folder/aws-config\" >> \"$GITHUB_ENV\"",
            );
            let places = [
                ("PROFILES", indented(&profiles, 10)),
                ("DEV_ROLE", role(&args.dev_role, "XDEPLOY_DEV_ROLE")),
                ("PROD_ROLE", role(&args.prod_role, "XDEPLOY_PROD_ROLE")),
                ("PROGRAM", installation.steps),
            ];
            (GITHUB, [("BEGIN", filled(GITHUB_BEGIN, &places)), ("VARIABLES", variables(wanted, 2)), ("PROGRAM", String::new())])
        }
        Service::Gitlab => {
            let profiles = profiles(wanted, "printf '%s' \"$AWS_TOKEN\"", "export AWS_CONFIG_FILE=\"$folder/aws-config\"");
            (GITLAB, [("PROFILES", indented(&profiles, 6)), ("VARIABLES", variables(wanted, 4)), ("PROGRAM", installation.steps)])
        }
    };
    let own = own.map(|(place, lines)| (place, lines.trim_end_matches('\n').to_owned()));
    let key = match wanted.administrators.is_empty() {
        true => "# - Nobody was named with `--key-administrator ARN`: plan fails as long as there is no key.\n",
        false => "",
    };
    let (needs, image) = match wanted.program {
        Program::Compiled => ("    needs: install\n", "rust:1"),
        Program::Released { .. } => ("", "buildpack-deps:stable-curl"),
    };
    let places = [
        ("BRANCH", args.branch.clone()),
        ("BRANCH_VALUE", scalar(args.service, &args.branch)),
        ("BRANCH_TEXT", json!(args.branch).to_string()),
        ("ENVIRONMENT", args.environment.clone()),
        ("ENVIRONMENT_VALUE", scalar(args.service, &args.environment)),
        ("DEFAULT_BRANCH", args.default_branch.clone().unwrap_or_else(|| args.branch.clone())),
        ("FILE", file_name(&wanted.pipeline)),
        ("NAME", name(&wanted.pipeline)),
        ("KEY", key.to_owned()),
        ("INSTALL", installation.job),
        ("APPLY_NEEDS", installation.apply_needs.to_owned()),
        ("FROM", installation.from),
        ("NEEDS", needs.to_owned()),
        ("IMAGE", image.to_owned()),
    ];
    filled(template, &own.into_iter().chain(places).collect::<Vec<_>>())
}

fn profiles(wanted: &Wanted<'_>, token: &str, export: &str) -> String {
    let places = [("TOKEN", token), ("EXPORT", export), ("REGION", &wanted.region), ("PROD_REGION", &wanted.prod_region)];
    filled(PROFILES, &places.map(|(place, value)| (place, value.to_owned())))
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
