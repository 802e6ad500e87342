//! The settings file, `xdeploy.toml`.

use super::Settings;
use crate::error::{Error, Kind, Result, file_error};
use crate::files::{read_text, write_new};
use crate::model::{
    AccountId, BucketName, ChangeDetection, KeyAlias, KeyArn, ObjectKey, PipelineName, Policies, PolicyArn, RegionName, RoleName,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The largest settings file that is read, in bytes.
pub const LARGEST: u64 = 1 << 20;

/// The settings file that is read when it is there and `--config` isn't given.
pub const DEFAULT_FILE: &str = "xdeploy.toml";

impl Settings {
    /// Writes the settings as `xdeploy.toml`; refuses to overwrite a file that says something else.
    ///
    /// # Errors
    /// The file exists or can't be written.
    pub fn write_file(&self, path: &Path) -> Result<()> {
        let file = File {
            create_buckets: self.create_buckets.then_some(true),
            permissions_boundaries: (!self.permissions_boundaries.is_empty()).then(|| self.permissions_boundaries.clone()),
            pipeline: PipelineTable {
                name: Some(self.pipeline.clone()),
                object_key: self.object_key.clone(),
                change_detection: self.change_detection,
                policies: self.policies,
                deploy_encrypts_with_dev_key: self.deploy_encrypts_with_dev_key.then_some(true),
                stage: self.stage.clone(),
                action: self.action.clone(),
            },
            dev: DevTable {
                profile: Some(self.dev_profile.clone()),
                account: self.dev_account.clone(),
                region: self.region.clone(),
                input_bucket: self.input_bucket.clone(),
                artifact_bucket: self.artifact_bucket.clone(),
                key_alias: self.key_alias.clone(),
                artifact_keys: (!self.artifact_keys.is_empty()).then(|| self.artifact_keys.clone()),
                no_create_key: self.no_create_key.then_some(true),
                key_administrators: (!self.key_administrators.is_empty()).then(|| self.key_administrators.clone()),
                service_role: self.service_role.clone(),
                assume_policy: self.assume_policy.clone(),
                event_role: self.event_role.clone(),
                event_rule: self.event_rule.clone(),
                enable_versioning: self.enable_versioning.then_some(true),
            },
            target: vec![TargetTable {
                profile: Some(self.prod_profile.clone()),
                account: self.prod_account.clone(),
                region: self.prod_region.clone(),
                output_bucket: self.output_bucket.clone(),
                deploy_role: self.deploy_role.clone(),
                deploy_path: self.deploy_path.clone(),
                extract: self.no_extract.then_some(false),
                output_policy: self.output_policy.clone(),
                artifact_policy: self.artifact_policy.clone(),
            }],
        };
        let text = toml::to_string(&file).map_err(|error| Error::internal(format!("settings can't be written: {error}")))?;
        // A run that was refused has written it already; the same run again is no other settings.
        if read_text(path, LARGEST).is_ok_and(|there| there == text) {
            return Ok(());
        }
        write_new(path, &text).map_err(|error| file_error("write", path, &error))
    }
}

/// `xdeploy.toml`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) create_buckets: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) permissions_boundaries: Option<Vec<PolicyArn>>,
    #[serde(default)]
    pub(super) pipeline: PipelineTable,
    #[serde(default)]
    pub(super) dev: DevTable,
    #[serde(default)]
    pub(super) target: Vec<TargetTable>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct PipelineTable {
    pub(super) name: Option<PipelineName>,
    pub(super) object_key: Option<ObjectKey>,
    pub(super) change_detection: Option<ChangeDetection>,
    pub(super) policies: Option<Policies>,
    pub(super) deploy_encrypts_with_dev_key: Option<bool>,
    pub(super) stage: Option<String>,
    pub(super) action: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DevTable {
    pub(super) profile: Option<String>,
    pub(super) account: Option<AccountId>,
    pub(super) region: Option<RegionName>,
    pub(super) input_bucket: Option<BucketName>,
    pub(super) artifact_bucket: Option<BucketName>,
    pub(super) key_alias: Option<KeyAlias>,
    pub(super) artifact_keys: Option<Vec<KeyArn>>,
    pub(super) no_create_key: Option<bool>,
    pub(super) key_administrators: Option<Vec<String>>,
    pub(super) service_role: Option<String>,
    pub(super) assume_policy: Option<String>,
    pub(super) event_role: Option<RoleName>,
    pub(super) event_rule: Option<String>,
    pub(super) enable_versioning: Option<bool>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct TargetTable {
    pub(super) profile: Option<String>,
    pub(super) account: Option<AccountId>,
    pub(super) region: Option<RegionName>,
    pub(super) output_bucket: Option<BucketName>,
    pub(super) deploy_role: Option<RoleName>,
    pub(super) deploy_path: Option<String>,
    pub(super) extract: Option<bool>,
    pub(super) output_policy: Option<String>,
    pub(super) artifact_policy: Option<String>,
}

impl File {
    pub(super) fn load(named: Option<&Path>) -> Result<File> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match read_text(path, LARGEST) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => return Ok(File::default()),
            Err(error) => return Err(Error { kind: Kind::Usage, ..file_error("read", path, &error) }),
        };
        File::parse(&text).map_err(|error| error.context(format!("{} is not usable", path.display())))
    }

    fn parse(text: &str) -> Result<File> {
        let file = toml::from_str::<File>(text).map_err(|error| {
            let base = Error::usage(error.to_string().trim_end().to_owned());
            match suggestion(error.message()) {
                Some(hint) => base.hint(hint),
                None => base.hint("the README lists every key of xdeploy.toml"),
            }
        })?;
        if file.target.len() > 1 {
            return Err(Error::usage(format!("{} targets are listed, but exactly one is supported", file.target.len()))
                .hint("keep one [[target]]; use one file a target with `--config FILE`"));
        }
        Ok(file)
    }
}

/// Turns serde's "unknown field `x`, expected one of `a`, `b`" into "did you mean `a`?".
fn suggestion(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    let near = known.iter().map(|name| (strsim::jaro_winkler(name, wrong), *name)).filter(|(score, _)| *score > 0.7);
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, name)) => Some(format!("did you mean `{name}`?")),
        None => Some(format!("the keys here are: {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CommonFlags, DeploymentFlags};
    use super::*;

    #[test]
    fn an_unknown_key_is_an_error_with_a_suggestion() {
        let error = File::parse("[dev]\ninput-buckte = \"x\"\n").unwrap_err();
        assert_eq!(error.hints, ["did you mean `input-bucket`?"]);
        let error = File::parse("[prod]\nprofile = \"x\"\n").unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
        assert!(error.message.contains("unknown field `prod`"), "{}", error.message);
    }

    #[test]
    fn two_targets_are_refused_for_now() {
        let error = File::parse("[[target]]\nprofile='a'\n[[target]]\nprofile='b'\n").unwrap_err();
        assert!(error.message.contains("2 targets"), "{}", error.message);
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("xdeploy.toml");
        let flags = DeploymentFlags {
            input_bucket: "in-bucket".parse().ok(),
            output_bucket: "out-bucket".parse().ok(),
            no_extract: true,
            change_detection: Some(ChangeDetection::Polling),
            policies: Some(Policies::LeastPrivilege),
            deploy_encrypts_with_dev_key: true,
            key_administrator: vec!["arn:aws:iam::111111111111:role/a/b".into()],
            permissions_boundary: vec!["arn:aws:iam::aws:policy/PowerUserAccess".parse().unwrap()],
            ..DeploymentFlags::default()
        };
        let common = CommonFlags {
            dev_profile: Some("d".into()),
            prod_profile: Some("p".into()),
            prod_region: "eu-west-1".parse().ok(),
            config: Some("/dev/null".into()),
            ..CommonFlags::default()
        };
        let first = Settings::resolve(&common, &flags).unwrap();
        first.write_file(&path).unwrap();
        let again = Settings::resolve(&CommonFlags { config: Some(path.clone()), ..CommonFlags::default() }, &DeploymentFlags::default());
        assert_eq!(again.unwrap(), first);
        first.write_file(&path).unwrap();
        let other = Settings { stage: Some("Ship".into()), ..first };
        assert!(other.write_file(&path).is_err(), "what says something else is never overwritten");
    }
}
