//! The same run as one command line.

use crate::model::quoted;
use crate::settings::{CommonFlags, DeploymentFlags};
use clap::ValueEnum;
use std::path::Path;

fn word<T: ValueEnum>(value: Option<T>) -> Option<String> {
    value.and_then(|value| value.to_possible_value().map(|word| word.get_name().to_owned()))
}

/// Lists the flags that were given a value.
fn valued(common: &CommonFlags, flags: &DeploymentFlags) -> impl Iterator<Item = (&'static str, String)> {
    let text = |value: Option<&dyn std::fmt::Display>| value.map(ToString::to_string);
    fn dynamic<T: std::fmt::Display>(value: &Option<T>) -> Option<&dyn std::fmt::Display> {
        value.as_ref().map(|value| value as &dyn std::fmt::Display)
    }
    let administrators = (!flags.key_administrator.is_empty()).then(|| flags.key_administrator.join(","));
    let keys = (!flags.artifact_key.is_empty()).then(|| flags.artifact_key.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(","));
    let dead = (!flags.remove_dead_principal.is_empty()).then(|| flags.remove_dead_principal.join(","));
    let boundaries = flags.permissions_boundary.iter().map(|policy| policy.as_str()).collect::<Vec<_>>().join(",");
    let valued: [(&str, Option<String>); 28] = [
        ("--dev-profile", common.dev_profile.clone()),
        ("--prod-profile", common.prod_profile.clone()),
        ("--dev-account", text(dynamic(&common.dev_account))),
        ("--prod-account", text(dynamic(&common.prod_account))),
        ("--region", text(dynamic(&common.region))),
        ("--prod-region", text(dynamic(&common.prod_region))),
        ("--pipeline", text(dynamic(&flags.pipeline))),
        ("--input-bucket", text(dynamic(&flags.input_bucket))),
        ("--object-key", text(dynamic(&flags.object_key))),
        ("--output-bucket", text(dynamic(&flags.output_bucket))),
        ("--artifact-bucket", text(dynamic(&flags.artifact_bucket))),
        ("--key-alias", text(dynamic(&flags.key_alias))),
        ("--artifact-key", keys),
        ("--key-administrator", administrators),
        ("--permissions-boundary", Some(boundaries).filter(|policies| !policies.is_empty())),
        ("--service-role", flags.service_role.clone()),
        ("--deploy-role", text(dynamic(&flags.deploy_role))),
        ("--deploy-path", flags.deploy_path.clone()),
        ("--change-detection", word(flags.change_detection)),
        ("--policies", word(flags.policies)),
        ("--stage", flags.stage.clone()),
        ("--action", flags.action.clone()),
        ("--remove-dead-principal", dead),
        ("--output-policy", flags.output_policy.clone()),
        ("--artifact-policy", flags.artifact_policy.clone()),
        ("--assume-policy", flags.assume_policy.clone()),
        ("--event-role", text(dynamic(&flags.event_role))),
        ("--event-rule", flags.event_rule.clone()),
    ];
    valued.into_iter().filter_map(|(flag, value)| Some((flag, value?)))
}

/// Lists the flags without a value that were given.
fn switches(flags: &DeploymentFlags) -> impl Iterator<Item = &'static str> {
    let switches = [
        ("--no-extract", flags.no_extract),
        ("--deploy-encrypts-with-dev-key", flags.deploy_encrypts_with_dev_key),
        ("--create-buckets", flags.create_buckets),
        ("--enable-versioning", flags.enable_versioning),
        ("--no-create-key", flags.no_create_key),
        ("--allow-foreign-administrator", flags.allow_foreign_administrator),
    ];
    switches.into_iter().filter(|(_, on)| *on).map(|(flag, _)| flag)
}

/// Lists all that was said about a deployment, flag by flag; a flag without a value is `true`.
pub fn said(common: &CommonFlags, flags: &DeploymentFlags) -> Vec<(&'static str, String)> {
    let config = common.config.as_ref().map(|file| ("--config", file.display().to_string()));
    config.into_iter().chain(valued(common, flags)).chain(switches(flags).map(|flag| (flag, "true".to_owned()))).collect()
}

/// Gives the command that does the same without a question but the last; each flag on a line of its own where they are many.
pub fn command_line(common: &CommonFlags, flags: &DeploymentFlags, artifact: Option<&Path>) -> String {
    let config = common.config.as_ref().map(|file| ("--config", file.display().to_string()));
    let artifact = artifact.map(|file| ("--artifact", file.display().to_string()));
    let mut parts: Vec<String> =
        config.into_iter().chain(valued(common, flags)).chain(artifact).map(|(flag, value)| format!("{flag} {}", quoted(&value))).collect();
    parts.extend(switches(flags).map(str::to_owned));
    format!("xdeploy setup {}", parts.join(" \\\n    "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        common: CommonFlags,
        #[command(flatten)]
        flags: DeploymentFlags,
        #[arg(long)]
        artifact: Option<std::path::PathBuf>,
    }

    #[test]
    fn every_flag_survives_a_shell() {
        let mut told: Vec<String> = vec!["x".to_owned()];
        let command = <Line as clap::CommandFactory>::command();
        for argument in command.get_arguments() {
            let Some(long) = argument.get_long() else { continue };
            // How to talk is no part of the set-up; `no-input` would forbid the question.
            if ["output", "no-input", "color", "help", "mfa-code"].contains(&long) {
                continue;
            }
            told.push(format!("--{long}"));
            if argument.get_action().takes_values() {
                let possible = argument.get_possible_values();
                told.push(match (long, possible.first()) {
                    (_, Some(value)) => value.get_name().to_owned(),
                    ("dev-account" | "prod-account", _) => "111111111111".to_owned(),
                    ("region" | "prod-region", _) => "eu-west-1".to_owned(),
                    ("key-administrator", _) => "arn:aws:iam::111111111111:role/a,arn:aws:iam::111111111111:user/b".to_owned(),
                    ("permissions-boundary", _) => "arn:aws:iam::111111111111:policy/b,arn:aws:iam::aws:policy/c".to_owned(),
                    ("artifact-key", _) => {
                        "arn:aws:kms:eu-west-1:111111111111:key/a,arn:aws:kms:us-east-1:333333333333:key/mrk-b".to_owned()
                    }
                    ("object-key" | "deploy-path" | "config" | "artifact" | "stage" | "action", _) => "it's $HOME; a b".to_owned(),
                    _ => format!("some-{long}"),
                });
            }
        }
        let first = Line::parse_from(&told);
        let line = command_line(&first.common, &first.flags, first.artifact.as_deref());
        let script = line.replacen("xdeploy setup", "printf '%s\\0' x", 1);
        let shell = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        let words: Vec<&str> = std::str::from_utf8(&shell.stdout).unwrap().trim_end_matches('\0').split('\0').collect();
        let again = Line::parse_from(&words);
        assert_eq!(format!("{again:?}"), format!("{first:?}"), "{line}");
    }
}
