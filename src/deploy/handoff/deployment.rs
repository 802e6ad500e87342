//! What both sides agree on, and who decides what.

use super::Handoff;
use crate::deploy::blueprint::Blueprint;
use crate::deploy::snapshot::{Identity, Snapshot};
use crate::error::{Error, Result};
use crate::model::{BucketName, ChangeDetection, KeyAlias, KeyArn, ObjectKey, PipelineName, Policies, RegionName, RoleName, Side, quoted};
use crate::settings::{CommonFlags, DEFAULT_PIPELINE, DeploymentFlags, Settings};
use serde::{Deserialize, Serialize};

/// What both sides must agree on. Development decides all but the last four, which production decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of the settings")]
pub struct Deployment {
    pub pipeline: PipelineName,
    pub region: Option<RegionName>,
    pub input_bucket: Option<BucketName>,
    pub object_key: Option<ObjectKey>,
    pub output_bucket: Option<BucketName>,
    pub artifact_bucket: Option<BucketName>,
    pub key_alias: Option<KeyAlias>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifact_keys: Vec<KeyArn>,
    pub service_role: Option<String>,
    pub deploy_path: Option<String>,
    pub no_extract: bool,
    pub change_detection: Option<ChangeDetection>,
    pub policies: Option<Policies>,
    pub deploy_encrypts_with_dev_key: bool,
    pub stage: Option<String>,
    pub action: Option<String>,
    pub assume_policy: Option<String>,
    pub event_role: Option<RoleName>,
    pub event_rule: Option<String>,
    pub prod_region: Option<RegionName>,
    pub deploy_role: Option<RoleName>,
    pub output_policy: Option<String>,
    pub artifact_policy: Option<String>,
}

/// Keys as a flag takes them; `None` for none.
fn keys(all: &[KeyArn]) -> Option<String> {
    (!all.is_empty()).then(|| all.iter().map(KeyArn::as_str).collect::<Vec<_>>().join(","))
}

impl Handoff {
    /// Puts what the other side decided where this side says nothing.
    ///
    /// # Errors
    /// This side says something else than the other side decided.
    pub fn complete(&self, side: Side, common: CommonFlags, flags: DeploymentFlags) -> Result<(CommonFlags, DeploymentFlags)> {
        let said = Said { side, decided: self.half(side.other()).is_some() };
        let told = &self.deployment;
        let pipeline = flags.pipeline.clone().map_or_else(|| DEFAULT_PIPELINE.to_owned(), |name| name.to_string());
        // A name that nobody said is no contradiction where the other side decides.
        if (flags.pipeline.is_some() || side == Side::Dev) && pipeline != told.pipeline.as_str() {
            return Err(Error::refused(format!("the hand-off is for pipeline {}, not {pipeline}", told.pipeline))
                .hint("name the other pipeline's file with `--handoff`, or this file's pipeline with `--pipeline`"));
        }
        let of_dev = |flag| Decision { said, flag, owner: Some(Side::Dev) };
        let of_prod = |flag| Decision { said, flag, owner: Some(Side::Prod) };
        let common = CommonFlags {
            dev_account: Some(self.dev_account.clone()),
            prod_account: Some(self.prod_account.clone()),
            region: of_dev("--region").settle(common.region, &told.region)?,
            prod_region: of_prod("--prod-region").settle(common.prod_region, &told.prod_region)?,
            ..common
        };
        let switch = |flag, own: bool, theirs: bool| {
            let word = |on: bool| on.then(|| "yes".to_owned());
            Ok::<_, Error>(of_dev(flag).settle(word(own), &word(theirs))?.is_some())
        };
        let artifact_key = match of_dev("--artifact-key").settle(keys(&flags.artifact_key), &keys(&told.artifact_keys))? {
            None => Vec::new(),
            Some(_) if flags.artifact_key.is_empty() => told.artifact_keys.clone(),
            Some(_) => flags.artifact_key,
        };
        let flags = DeploymentFlags {
            artifact_key,
            pipeline: Some(told.pipeline.clone()),
            input_bucket: of_dev("--input-bucket").settle(flags.input_bucket, &told.input_bucket)?,
            object_key: of_dev("--object-key").settle(flags.object_key, &told.object_key)?,
            output_bucket: Decision { said, flag: "--output-bucket", owner: None }.settle(flags.output_bucket, &told.output_bucket)?,
            artifact_bucket: of_dev("--artifact-bucket").settle(flags.artifact_bucket, &told.artifact_bucket)?,
            key_alias: of_dev("--key-alias").settle(flags.key_alias, &told.key_alias)?,
            service_role: of_dev("--service-role").settle(flags.service_role, &told.service_role)?,
            deploy_path: of_dev("--deploy-path").settle(flags.deploy_path, &told.deploy_path)?,
            no_extract: switch("--no-extract", flags.no_extract, told.no_extract)?,
            change_detection: of_dev("--change-detection").settle(flags.change_detection, &told.change_detection)?,
            policies: of_dev("--policies").settle(flags.policies, &told.policies)?,
            deploy_encrypts_with_dev_key: switch(
                "--deploy-encrypts-with-dev-key",
                flags.deploy_encrypts_with_dev_key,
                told.deploy_encrypts_with_dev_key,
            )?,
            // These are about development's own things, and may stand in a settings file that both sides read.
            key_administrator: if side == Side::Prod { Vec::new() } else { flags.key_administrator },
            enable_versioning: side == Side::Dev && flags.enable_versioning,
            no_create_key: side == Side::Dev && flags.no_create_key,
            stage: of_dev("--stage").settle(flags.stage, &told.stage)?,
            action: of_dev("--action").settle(flags.action, &told.action)?,
            assume_policy: of_dev("--assume-policy").settle(flags.assume_policy, &told.assume_policy)?,
            event_role: of_dev("--event-role").settle(flags.event_role, &told.event_role)?,
            event_rule: of_dev("--event-rule").settle(flags.event_rule, &told.event_rule)?,
            deploy_role: of_prod("--deploy-role").settle(flags.deploy_role, &told.deploy_role)?,
            output_policy: of_prod("--output-policy").settle(flags.output_policy, &told.output_policy)?,
            artifact_policy: of_prod("--artifact-policy").settle(flags.artifact_policy, &told.artifact_policy)?,
            ..flags
        };
        Ok((common, flags))
    }

    /// Lists what development decided by flags and doesn't say again, as flags with their values.
    pub fn forgotten(&self, flags: &DeploymentFlags) -> Vec<String> {
        if self.dev.is_none() {
            return Vec::new();
        }
        let told = &self.deployment;
        fn text<T: std::fmt::Display>(value: &Option<T>) -> Option<String> {
            value.as_ref().map(ToString::to_string)
        }
        let all = [
            ("--input-bucket", text(&told.input_bucket), text(&flags.input_bucket)),
            ("--object-key", text(&told.object_key), text(&flags.object_key)),
            ("--artifact-bucket", text(&told.artifact_bucket), text(&flags.artifact_bucket)),
            ("--key-alias", text(&told.key_alias), text(&flags.key_alias)),
            ("--artifact-key", keys(&told.artifact_keys), keys(&flags.artifact_key)),
            ("--service-role", told.service_role.clone(), flags.service_role.clone()),
            ("--deploy-path", told.deploy_path.clone(), flags.deploy_path.clone()),
            ("--change-detection", text(&told.change_detection), text(&flags.change_detection)),
            ("--stage", told.stage.clone(), flags.stage.clone()),
            ("--action", told.action.clone(), flags.action.clone()),
            ("--assume-policy", told.assume_policy.clone(), flags.assume_policy.clone()),
            ("--event-role", text(&told.event_role), text(&flags.event_role)),
            ("--event-rule", told.event_rule.clone(), flags.event_rule.clone()),
        ];
        let mut found: Vec<String> = all
            .into_iter()
            .filter_map(|(flag, told, own)| Some((flag, told.filter(|_| own.is_none())?)))
            .map(|(flag, value)| format!("{flag} {}", quoted(&value)))
            .collect();
        found.extend((told.no_extract && !flags.no_extract).then(|| "--no-extract".to_owned()));
        found
    }
}

/// Who speaks, and whether the other side has decided anything yet.
#[derive(Debug, Clone, Copy)]
struct Said {
    side: Side,
    decided: bool,
}

/// One setting, and who decides it; nobody alone where both must say the same.
#[derive(Debug, Clone, Copy)]
struct Decision {
    said: Said,
    flag: &'static str,
    owner: Option<Side>,
}

impl Decision {
    fn settle<T: PartialEq + Clone + std::fmt::Display>(self, own: Option<T>, told: &Option<T>) -> Result<Option<T>> {
        let Said { side, decided } = self.said;
        match (own, told) {
            // Production's names are production's to change, but what it said before is kept.
            (Some(own), _) if self.owner == Some(side) => Ok(Some(own)),
            (None, told) if self.owner == Some(Side::Prod) || self.owner.is_none() => Ok(told.clone()),
            // What development doesn't say again is as if nobody had said it: production must not decide it.
            (None, _) if self.owner == Some(side) => Ok(None),
            (None, told) => Ok(told.clone()),
            (Some(own), told) if told.as_ref() != Some(&own) && (decided || self.owner.is_none() && told.is_some()) => {
                let told = told.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
                let decides = match self.owner {
                    Some(owner) => format!("{owner} decides it"),
                    None => "both sides must say the same".to_owned(),
                };
                Err(Error::refused(format!("{} says {own}, but the hand-off says {told}: {decides}", self.flag))
                    .hint(format!("leave `{}` out, or ask the other side to run its command with the right one", self.flag)))
            }
            (Some(own), _) => Ok(Some(own)),
        }
    }
}

/// The stores' keys that neither development's own policies nor a file about development speak of.
fn foreign_keys(settings: &Settings, snapshot: &Snapshot) -> Vec<KeyArn> {
    let found = snapshot.keys.values().filter_map(|slot| slot.found.as_ref()).filter(|key| key.account() != snapshot.dev.account);
    let found: Vec<KeyArn> = found.filter_map(|key| key.arn.parse().ok()).collect();
    if found.is_empty() { settings.artifact_keys.clone() } else { found }
}

impl Deployment {
    /// What is decided now, with the style of the policies as it turned out.
    pub(super) fn of(settings: &Settings, snapshot: &Snapshot) -> Deployment {
        let drawn = Blueprint::draw(settings, snapshot).ok();
        let region = |identity: &Identity| identity.region.parse().ok();
        let style = drawn.as_ref().map(|blueprint| blueprint.policies);
        Deployment {
            pipeline: settings.pipeline.clone(),
            region: settings.region.clone().or_else(|| region(&snapshot.dev).filter(|_| settings.side == Some(Side::Dev))),
            input_bucket: settings.input_bucket.clone(),
            object_key: settings.object_key.clone(),
            output_bucket: snapshot.output.name.parse().ok().or_else(|| settings.output_bucket.clone()),
            artifact_bucket: settings.artifact_bucket.clone(),
            key_alias: settings.key_alias.clone(),
            artifact_keys: foreign_keys(settings, snapshot),
            service_role: settings.service_role.clone(),
            deploy_path: settings.deploy_path.clone(),
            no_extract: settings.no_extract,
            change_detection: settings.change_detection,
            policies: if settings.side == Some(Side::Dev) { style } else { settings.policies },
            deploy_encrypts_with_dev_key: drawn
                .filter(|blueprint| blueprint.policies == Policies::LeastPrivilege && settings.side == Some(Side::Dev))
                .map_or(settings.deploy_encrypts_with_dev_key, |blueprint| blueprint.deploy_encrypts_with_dev_key),
            stage: settings.stage.clone(),
            action: settings.action.clone(),
            assume_policy: settings.assume_policy.clone(),
            event_role: settings.event_role.clone(),
            event_rule: settings.event_rule.clone(),
            prod_region: settings.prod_region.clone(),
            deploy_role: settings.deploy_role.clone(),
            output_policy: settings.output_policy.clone(),
            artifact_policy: settings.artifact_policy.clone(),
        }
    }
}
