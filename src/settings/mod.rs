//! Every setting, resolved once: flag, then `XDEPLOY_…` variable, then `xdeploy.toml`, then default.

mod file;

pub use file::DEFAULT_FILE;

use crate::error::{Error, Result};
use crate::model::{
    AccountId, BucketName, ChangeDetection, ColorWhen, ENVIRONMENT_PROFILE, KeyAlias, KeyArn, MfaCode, ObjectKey, OutputFormat,
    PipelineName, Policies, PolicyArn, RegionName, RoleName, Side,
};
use clap::Args;
use clap::builder::FalseyValueParser;
use file::File;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

/// Reads an environment variable that isn't one of ours (ours are read by the argument parser); empty counts as unset.
#[expect(clippy::disallowed_methods, reason = "this is the room that owns the environment")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Says whether a variable is set to nothing.
#[expect(clippy::disallowed_methods, reason = "this is the room that owns the environment")]
pub fn is_empty_variable(name: &OsStr) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}

/// Gives the whole environment, as far as it is text; who asks for it here are the AWS SDK's settings and the proxies.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// Lists the pipelines that are named here without asking AWS: by the settings file, or by the variable of `--pipeline`.
pub fn named_pipelines() -> Vec<String> {
    let path = variable("XDEPLOY_CONFIG").unwrap_or_else(|| DEFAULT_FILE.to_owned());
    let table = crate::files::read_text(path.as_ref(), file::LARGEST).ok().and_then(|text| text.parse::<toml::Table>().ok());
    let named = table.as_ref().and_then(|table| table.get("pipeline")?.get("name")?.as_str()).map(str::to_owned);
    let mut all: Vec<String> = named.into_iter().chain(variable("XDEPLOY_PIPELINE")).collect();
    all.dedup();
    all
}

/// The example names of the article, which are the defaults (`mission.md`).
pub const DEFAULT_PIPELINE: &str = "crossaccountdeploy";
const DEFAULT_OBJECT_KEY: &str = "sample-website.zip";
const DEFAULT_KEY_ALIAS: &str = "alias/s3deploykey";

/// The flags that say which accounts, and how to talk.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Accounts and output")]
pub struct CommonFlags {
    /// AWS profile of the development account (pipeline, key, artifacts); `env:` takes AWS_ACCESS_KEY_ID and its like instead
    #[arg(long, global = true, value_name = "NAME", env = "XDEPLOY_DEV_PROFILE")]
    pub dev_profile: Option<String>,
    /// AWS profile of the production account (output bucket, cross-account role); or `env:`
    #[arg(long, global = true, value_name = "NAME", env = "XDEPLOY_PROD_PROFILE")]
    pub prod_profile: Option<String>,
    /// Account id that the development profile must turn out to be
    #[arg(long, global = true, value_name = "ID", env = "XDEPLOY_DEV_ACCOUNT")]
    pub dev_account: Option<AccountId>,
    /// Account id that the production profile must turn out to be
    #[arg(long, global = true, value_name = "ID", env = "XDEPLOY_PROD_ACCOUNT")]
    pub prod_account: Option<AccountId>,
    /// Code that an MFA device shows, for the profiles that want it; may be given once a device, as PROFILE=CODE
    #[arg(long, global = true, value_name = "CODE", env = "XDEPLOY_MFA_CODE", value_delimiter = ',', hide_env_values = true)]
    pub mfa_code: Vec<MfaCode>,
    /// Region of the pipeline [default: the development profile's]
    #[arg(long, global = true, value_name = "REGION", env = "XDEPLOY_REGION")]
    pub region: Option<RegionName>,
    /// Region of the output bucket [default: where the bucket is]
    #[arg(long, global = true, value_name = "REGION", env = "XDEPLOY_PROD_REGION")]
    pub prod_region: Option<RegionName>,
    /// Settings file [default: xdeploy.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "XDEPLOY_CONFIG")]
    pub config: Option<PathBuf>,
    /// What to print on stdout
    #[arg(long, global = true, value_name = "FORMAT", env = "XDEPLOY_OUTPUT", default_value = "text")]
    pub output: OutputFormat,
    /// Never ask; fail where an answer would be needed
    #[arg(long, global = true, env = "XDEPLOY_NO_INPUT", value_parser = FalseyValueParser::new())]
    pub no_input: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", env = "XDEPLOY_COLOR", default_value = "auto")]
    pub color: ColorWhen,
}

/// The flags that say what should be there.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The deployment")]
pub struct DeploymentFlags {
    /// Name of the pipeline [default: crossaccountdeploy]
    #[arg(long, value_name = "NAME", env = "XDEPLOY_PIPELINE")]
    pub pipeline: Option<PipelineName>,
    /// Bucket of the development account that the source zip is uploaded to
    #[arg(long, value_name = "BUCKET", env = "XDEPLOY_INPUT_BUCKET")]
    pub input_bucket: Option<BucketName>,
    /// Key of the source zip in the input bucket [default: sample-website.zip]
    #[arg(long, value_name = "KEY", env = "XDEPLOY_OBJECT_KEY")]
    pub object_key: Option<ObjectKey>,
    /// Bucket of the production account that is deployed to
    #[arg(long, value_name = "BUCKET", env = "XDEPLOY_OUTPUT_BUCKET")]
    pub output_bucket: Option<BucketName>,
    /// Artifact bucket [default: the one the console would use, else codepipeline-REGION-ACCOUNT]
    #[arg(long, value_name = "BUCKET", env = "XDEPLOY_ARTIFACT_BUCKET")]
    pub artifact_bucket: Option<BucketName>,
    /// Alias of the customer managed KMS key [default: s3deploykey]
    #[arg(long, value_name = "ALIAS", env = "XDEPLOY_KEY_ALIAS")]
    pub key_alias: Option<KeyAlias>,
    /// Customer managed KMS key that is there, by its ARN, instead of an alias; another account may own it; once a region
    #[arg(long, value_name = "ARN", env = "XDEPLOY_ARTIFACT_KEY", value_delimiter = ',')]
    pub artifact_key: Vec<KeyArn>,
    /// Refuse to make a key: the one that `--key-alias` names must be there
    #[arg(long, env = "XDEPLOY_NO_CREATE_KEY", value_parser = FalseyValueParser::new())]
    pub no_create_key: bool,
    /// IAM user or role that administers the key; may be given several times [default: the caller, for a new key, if it lasts]
    #[arg(long, value_name = "ARN", env = "XDEPLOY_KEY_ADMINISTRATORS", value_delimiter = ',')]
    pub key_administrator: Vec<String>,
    /// Let a user or role of another account administer the key
    #[arg(long, env = "XDEPLOY_ALLOW_FOREIGN_ADMINISTRATOR", value_parser = FalseyValueParser::new())]
    pub allow_foreign_administrator: bool,
    /// Policy that limits every role that is made, as its permissions boundary; once an account, or one of AWS's own
    #[arg(long, value_name = "ARN", env = "XDEPLOY_PERMISSIONS_BOUNDARY", value_delimiter = ',')]
    pub permissions_boundary: Vec<PolicyArn>,
    /// Service role of the pipeline: a name for a new or an existing role, or the ARN of an existing one
    #[arg(long, value_name = "NAME|ARN", env = "XDEPLOY_SERVICE_ROLE")]
    pub service_role: Option<String>,
    /// Cross-account role in production [default: prods3role]
    #[arg(long, value_name = "NAME", env = "XDEPLOY_DEPLOY_ROLE")]
    pub deploy_role: Option<RoleName>,
    /// Folder of the output bucket to deploy into; with --no-extract, the object's key
    #[arg(long, value_name = "PATH", env = "XDEPLOY_DEPLOY_PATH")]
    pub deploy_path: Option<String>,
    /// Deploy the zip itself instead of the files in it
    #[arg(long, env = "XDEPLOY_NO_EXTRACT", value_parser = FalseyValueParser::new())]
    pub no_extract: bool,
    /// What starts the pipeline [default: eventbridge; an existing pipeline keeps what it has]
    #[arg(long, value_name = "HOW", env = "XDEPLOY_CHANGE_DETECTION")]
    pub change_detection: Option<ChangeDetection>,
    /// How much the policies grant [default: article; an existing set-up keeps what it has]
    #[arg(long, value_name = "STYLE", env = "XDEPLOY_POLICIES")]
    pub policies: Option<Policies>,
    /// With least-privilege policies, let production's role also encrypt what it deploys with the artifact key; kept until
    /// `--policies least-privilege` is given without it
    #[arg(long, env = "XDEPLOY_DEPLOY_ENCRYPTS_WITH_DEV_KEY", value_parser = FalseyValueParser::new())]
    pub deploy_encrypts_with_dev_key: bool,
    /// Make the input, output or artifact bucket where it doesn't exist
    #[arg(long, env = "XDEPLOY_CREATE_BUCKETS", value_parser = FalseyValueParser::new())]
    pub create_buckets: bool,
    /// Turn versioning of the input bucket on where it is off
    #[arg(long, env = "XDEPLOY_ENABLE_VERSIONING", value_parser = FalseyValueParser::new())]
    pub enable_versioning: bool,
    /// Stage of the S3 deploy action, where a pipeline has several
    #[arg(long, value_name = "NAME", env = "XDEPLOY_STAGE")]
    pub stage: Option<String>,
    /// Name of the S3 deploy action, where a pipeline has several
    #[arg(long, value_name = "NAME", env = "XDEPLOY_ACTION")]
    pub action: Option<String>,
    /// Unique id (`AROA...`, `AIDA...`) of a deleted role or user to take out of others' statements of the policies that are written, where
    /// a list names others beside it; may be given several times
    #[arg(long, value_name = "ID", env = "XDEPLOY_REMOVE_DEAD_PRINCIPAL", value_delimiter = ',')]
    pub remove_dead_principal: Vec<String>,
    /// Name of the policy that lets production's role write the output bucket [default: outputbucketdeployaccess]
    #[arg(long, value_name = "NAME", env = "XDEPLOY_OUTPUT_POLICY", help_heading = "Names")]
    pub output_policy: Option<String>,
    /// Name of the policy that lets production's role read key and artifacts [default: devkmss3access]
    #[arg(long, value_name = "NAME", env = "XDEPLOY_ARTIFACT_POLICY", help_heading = "Names")]
    pub artifact_policy: Option<String>,
    /// Name of the policy that lets the service role assume production's role [default: assumeprods3role]
    #[arg(long, value_name = "NAME", env = "XDEPLOY_ASSUME_POLICY", help_heading = "Names")]
    pub assume_policy: Option<String>,
    /// Name of the role with which EventBridge starts the pipeline [default: cwe-role-REGION-PIPELINE]
    #[arg(long, value_name = "NAME", env = "XDEPLOY_EVENT_ROLE", help_heading = "Names")]
    pub event_role: Option<RoleName>,
    /// Name of the EventBridge rule [default: codepipeline-PIPELINE-source]
    #[arg(long, value_name = "NAME", env = "XDEPLOY_EVENT_RULE", help_heading = "Names")]
    pub event_rule: Option<String>,
}

/// Puts what the settings file says where flags and variables say nothing.
///
/// # Errors
/// The file can't be read, has unknown keys, or more than one target.
pub fn with_file(common: &CommonFlags, flags: &DeploymentFlags) -> Result<(CommonFlags, DeploymentFlags)> {
    let file = File::load(common.config.as_deref())?;
    let target = file.target.into_iter().next().unwrap_or_default();
    let (pipeline, dev) = (file.pipeline, file.dev);
    let common = common.clone();
    let flags = flags.clone();
    let no_extract = flags.no_extract || target.extract == Some(false);
    Ok((
        CommonFlags {
            dev_profile: common.dev_profile.or(dev.profile),
            prod_profile: common.prod_profile.or(target.profile),
            dev_account: common.dev_account.or(dev.account),
            prod_account: common.prod_account.or(target.account),
            region: common.region.or(dev.region),
            prod_region: common.prod_region.or(target.region),
            ..common
        },
        DeploymentFlags {
            pipeline: flags.pipeline.or(pipeline.name),
            input_bucket: flags.input_bucket.or(dev.input_bucket),
            object_key: flags.object_key.or(pipeline.object_key),
            output_bucket: flags.output_bucket.or(target.output_bucket),
            artifact_bucket: flags.artifact_bucket.or(dev.artifact_bucket),
            key_alias: flags.key_alias.or(dev.key_alias),
            artifact_key: match flags.artifact_key {
                given if given.is_empty() => dev.artifact_keys.unwrap_or_default(),
                given => given,
            },
            no_create_key: flags.no_create_key || dev.no_create_key.unwrap_or(false),
            key_administrator: match flags.key_administrator {
                given if given.is_empty() => dev.key_administrators.unwrap_or_default(),
                given => given,
            },
            // A settings file lets no stranger in.
            allow_foreign_administrator: flags.allow_foreign_administrator,
            permissions_boundary: match flags.permissions_boundary {
                given if given.is_empty() => file.permissions_boundaries.unwrap_or_default(),
                given => given,
            },
            service_role: flags.service_role.or(dev.service_role),
            deploy_role: flags.deploy_role.or(target.deploy_role),
            deploy_path: flags.deploy_path.or(target.deploy_path),
            no_extract,
            change_detection: flags.change_detection.or(pipeline.change_detection),
            policies: flags.policies.or(pipeline.policies),
            deploy_encrypts_with_dev_key: flags.deploy_encrypts_with_dev_key || pipeline.deploy_encrypts_with_dev_key.unwrap_or(false),
            create_buckets: flags.create_buckets || file.create_buckets.unwrap_or(false),
            enable_versioning: flags.enable_versioning || dev.enable_versioning.unwrap_or(false),
            stage: flags.stage.or(pipeline.stage),
            action: flags.action.or(pipeline.action),
            // What is gone is gone: no settings file keeps it.
            remove_dead_principal: flags.remove_dead_principal,
            output_policy: flags.output_policy.or(target.output_policy),
            artifact_policy: flags.artifact_policy.or(target.artifact_policy),
            assume_policy: flags.assume_policy.or(dev.assume_policy),
            event_role: flags.event_role.or(dev.event_role),
            event_rule: flags.event_rule.or(dev.event_rule),
        },
    ))
}

/// What should be there, as far as the person said it; `None` leaves it to what exists or to the default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Profile of the development account.
    pub dev_profile: String,
    /// Profile of the production account.
    pub prod_profile: String,
    /// Expected id of the development account.
    pub dev_account: Option<AccountId>,
    /// Expected id of the production account.
    pub prod_account: Option<AccountId>,
    /// Region of the pipeline.
    pub region: Option<RegionName>,
    /// Region of the output bucket.
    pub prod_region: Option<RegionName>,
    /// Name of the pipeline.
    pub pipeline: PipelineName,
    /// Source bucket (A2.3).
    pub input_bucket: Option<BucketName>,
    /// Source object, where it was said.
    pub object_key: Option<ObjectKey>,
    /// Deploy bucket (A2.5).
    pub output_bucket: Option<BucketName>,
    /// Artifact bucket of the pipeline's region, where it was said (A2.2).
    pub artifact_bucket: Option<BucketName>,
    /// Alias of the key, where it was said (A1.1).
    pub key_alias: Option<KeyAlias>,
    /// Keys that are there, by ARN, at most one a region; another account may own them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifact_keys: Vec<KeyArn>,
    /// A key that isn't there is not made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_create_key: bool,
    /// Key administrators, where they were said (A1.2).
    pub key_administrators: Vec<String>,
    /// A key administrator may be of another account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_foreign_administrator: bool,
    /// Permissions boundaries of the roles that are made, at most one an account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions_boundaries: Vec<PolicyArn>,
    /// Service role, name or ARN, where it was said (A2.1).
    pub service_role: Option<String>,
    /// Cross-account role, where it was said (A4.3).
    pub deploy_role: Option<RoleName>,
    /// Deployment path (A2.5).
    pub deploy_path: Option<String>,
    /// Deploy the zip itself.
    pub no_extract: bool,
    /// Change detection, where it was said (A2.3).
    pub change_detection: Option<ChangeDetection>,
    /// How much the policies grant, where it was said.
    pub policies: Option<Policies>,
    /// Let production's role encrypt with the artifact key under least-privilege policies. False leaves what is there, unless
    /// `policies` says `least-privilege`: then it means no.
    pub deploy_encrypts_with_dev_key: bool,
    /// Make missing buckets.
    pub create_buckets: bool,
    /// Turn versioning on.
    pub enable_versioning: bool,
    /// Stage of the deploy action.
    pub stage: Option<String>,
    /// Name of the deploy action.
    pub action: Option<String>,
    /// Orphaned principals that are taken out of others' statements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_dead_principals: Vec<String>,
    /// Name of A4.1's policy.
    pub output_policy: Option<String>,
    /// Name of A4.2's policy.
    pub artifact_policy: Option<String>,
    /// Name of A6's policy.
    pub assume_policy: Option<String>,
    /// Name of EventBridge's role.
    pub event_role: Option<RoleName>,
    /// Name of the rule.
    pub event_rule: Option<String>,
    /// The only side that somebody is logged in to; the other profile is empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// The flags whose names the other side told: what has such a name and wasn't made by xdeploy isn't taken over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
}

impl Settings {
    /// Resolves flags and variables (which the argument parser has merged) with the settings file and the defaults.
    ///
    /// # Errors
    /// The file can't be read, has unknown keys, or more than one target; a name is malformed; a profile isn't said.
    pub fn resolve(common: &CommonFlags, flags: &DeploymentFlags) -> Result<Settings> {
        let (common, flags) = with_file(common, flags)?;
        Settings::of(common, flags)
    }

    /// Takes flags that the settings file has been put into already.
    ///
    /// # Errors
    /// A name is malformed; a profile isn't said.
    pub fn of(common: CommonFlags, flags: DeploymentFlags) -> Result<Settings> {
        let (dev_profile, prod_profile) = match (common.dev_profile.clone(), common.prod_profile.clone()) {
            (Some(dev), Some(prod)) if dev == ENVIRONMENT_PROFILE && prod == ENVIRONMENT_PROFILE => {
                return Err(Error::usage("both sides can't have the environment's credentials: they are one account's")
                    .hint("name a profile for one of the two: `--dev-profile NAME` or `--prod-profile NAME`"));
            }
            (Some(dev), Some(prod)) => (dev, prod),
            (dev, prod) => {
                let missing: Vec<&str> =
                    [dev.is_none().then_some("--dev-profile"), prod.is_none().then_some("--prod-profile")].into_iter().flatten().collect();
                return Err(Error::usage(format!("not said which AWS profiles to use: {} missing", missing.join(" and ")))
                    .hint("pass `--dev-profile NAME --prod-profile NAME`, or set `profile` under [dev] and [[target]] in xdeploy.toml"));
            }
        };
        Settings::made(dev_profile, prod_profile, None, common, flags)
    }

    /// Takes flags for one side alone; the other account must be named.
    ///
    /// # Errors
    /// A name is malformed; the side's profile isn't said.
    pub fn of_side(side: Side, common: CommonFlags, flags: DeploymentFlags) -> Result<Settings> {
        let named = match side {
            Side::Dev => &common.dev_profile,
            Side::Prod => &common.prod_profile,
        };
        let profile = named.clone().ok_or_else(|| Error::internal("the profile wasn't asked for"))?;
        let (dev, prod) = match side {
            Side::Dev => (profile, String::new()),
            Side::Prod => (String::new(), profile),
        };
        Settings::made(dev, prod, Some(side), common, flags)
    }

    fn made(
        dev_profile: String,
        prod_profile: String,
        side: Option<Side>,
        common: CommonFlags,
        flags: DeploymentFlags,
    ) -> Result<Settings> {
        let settings = Settings {
            dev_profile,
            prod_profile,
            side,
            told: Vec::new(),
            dev_account: common.dev_account,
            prod_account: common.prod_account,
            region: common.region,
            prod_region: common.prod_region,
            pipeline: match flags.pipeline {
                Some(name) => name,
                None => DEFAULT_PIPELINE.parse::<PipelineName>().map_err(Error::internal)?,
            },
            input_bucket: flags.input_bucket,
            object_key: flags.object_key,
            output_bucket: flags.output_bucket,
            artifact_bucket: flags.artifact_bucket,
            key_alias: flags.key_alias,
            artifact_keys: flags.artifact_key,
            no_create_key: flags.no_create_key,
            key_administrators: flags.key_administrator,
            allow_foreign_administrator: flags.allow_foreign_administrator,
            permissions_boundaries: flags.permissions_boundary,
            service_role: flags.service_role,
            deploy_role: flags.deploy_role,
            deploy_path: flags.deploy_path,
            no_extract: flags.no_extract,
            change_detection: flags.change_detection,
            policies: flags.policies,
            deploy_encrypts_with_dev_key: flags.deploy_encrypts_with_dev_key,
            create_buckets: flags.create_buckets,
            enable_versioning: flags.enable_versioning,
            stage: flags.stage,
            action: flags.action,
            remove_dead_principals: flags.remove_dead_principal,
            output_policy: flags.output_policy,
            artifact_policy: flags.artifact_policy,
            assume_policy: flags.assume_policy,
            event_role: flags.event_role,
            event_rule: flags.event_rule,
        };
        settings.check()?;
        Ok(settings)
    }

    /// Says whether the name that a flag gives was told by the other side.
    pub fn is_told(&self, flag: &str) -> bool {
        self.told.iter().any(|told| told == flag)
    }

    /// Says whether a flag, a variable or the settings file names a profile, so that AWS can be asked.
    ///
    /// # Errors
    /// The file can't be read, or has unknown keys.
    pub fn names_profile(common: &CommonFlags) -> Result<bool> {
        let file = File::load(common.config.as_deref())?;
        let in_file = file.dev.profile.is_some() || file.target.iter().any(|target| target.profile.is_some());
        Ok(in_file || common.dev_profile.is_some() || common.prod_profile.is_some())
    }

    fn check(&self) -> Result<()> {
        if let (Some(input), Some(output)) = (&self.input_bucket, &self.output_bucket)
            && input == output
        {
            return Err(Error::usage(format!("input and output bucket are the same: {input}"))
                .hint("the input bucket belongs to the development account, the output bucket to the production account"));
        }
        if let (Some(artifact), Some(other)) = (&self.artifact_bucket, self.output_bucket.as_ref())
            && artifact == other
        {
            return Err(Error::usage(format!("artifact and output bucket are the same: {artifact}"))
                .hint("the artifact bucket belongs to the development account; leave `--artifact-bucket` out for the default"));
        }
        for (index, key) in self.artifact_keys.iter().enumerate() {
            if let Some(other) = self.artifact_keys.iter().take(index).find(|other| other.region() == key.region() && *other != key) {
                return Err(Error::usage(format!("two artifact keys of {}: {other} and {key}", key.region()))
                    .hint("give `--artifact-key` once for each region that has an artifact bucket"));
            }
        }
        for (index, policy) in self.permissions_boundaries.iter().enumerate() {
            if let Some(other) =
                self.permissions_boundaries.iter().take(index).find(|other| other.owner() == policy.owner() && *other != policy)
            {
                return Err(Error::usage(format!("two permissions boundaries of one account: {other} and {policy}"))
                    .hint("give `--permissions-boundary` once for each account, or one of AWS's own policies"));
            }
        }
        for arn in &self.key_administrators {
            let good = arn.parse::<crate::model::Arn>().is_ok_and(|arn| {
                arn.service == "iam"
                    && (arn.resource.starts_with("user/") || arn.resource.starts_with("role/"))
                    && !arn.resource.contains(['*', '?'])
            });
            if !good {
                return Err(Error::usage(format!("`{arn}` is not the ARN of an IAM user or role"))
                    .hint("a key administrator looks like `arn:aws:iam::111111111111:role/admins` (a role session's ARN is not one: name the role)"));
            }
        }
        for id in &self.remove_dead_principals {
            let letters = |text: &str| text.len() >= 12 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
            if !(["AROA", "AIDA"].iter().any(|kind| id.starts_with(kind)) && letters(id)) {
                return Err(Error::usage(format!("`{}` is not the unique id of a role or user", id.escape_debug())).hint(
                    "`--remove-dead-principal` takes an id such as `AROAEXAMPLE1234567890`, as a policy shows it in the place of a role or user that was deleted",
                ));
            }
        }
        if let Some(role) = &self.service_role {
            let as_arn = role.starts_with("arn:").then(|| role.parse::<crate::model::Arn>());
            match as_arn {
                None => {
                    role.parse::<RoleName>().map_err(|why| Error::usage(why).hint("`--service-role` takes a role's name or its ARN"))?;
                }
                Some(Ok(arn)) if arn.service == "iam" && arn.resource.starts_with("role/") => {}
                Some(_) => {
                    return Err(Error::usage(format!("`{role}` is not the ARN of an IAM role"))
                        .hint("a role's ARN looks like `arn:aws:iam::111111111111:role/service-role/name`"));
                }
            }
        }
        for (flag, name) in [
            ("--output-policy", &self.output_policy),
            ("--artifact-policy", &self.artifact_policy),
            ("--assume-policy", &self.assume_policy),
        ] {
            if let Some(name) = name
                && (name.is_empty() || name.len() > 128 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)))
            {
                return Err(Error::usage(format!("`{name}` is not a policy name"))
                    .hint(format!("`{flag}` takes 1 to 128 letters, digits and `_+=,.@-`")));
            }
        }
        if let Some(name) = &self.event_rule
            && (name.is_empty() || name.len() > 64 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)))
        {
            return Err(
                Error::usage(format!("`{name}` is not a rule name")).hint("`--event-rule` takes 1 to 64 letters, digits, `.`, `_` and `-`")
            );
        }
        if let Some(path) = &self.deploy_path
            && (path.starts_with('/') || path.is_empty() || path.len() > 900 || path.contains(char::is_control))
        {
            return Err(Error::usage(format!("`{}` is not a deployment path", path.escape_debug()))
                .hint("`--deploy-path` takes a folder such as `site/v2`, without a leading `/` or control characters"));
        }
        Ok(())
    }

    /// The source object's key: what was said, or the article's.
    pub fn object_key_or_default(&self) -> &str {
        self.object_key.as_ref().map_or(DEFAULT_OBJECT_KEY, ObjectKey::as_str)
    }

    /// The key that was said for a region.
    pub fn artifact_key(&self, region: &str) -> Option<&KeyArn> {
        self.artifact_keys.iter().find(|key| key.region() == region)
    }

    /// The permissions boundary that was said for an account's roles: its own policy, or else one of AWS's.
    pub fn permissions_boundary(&self, account: &str) -> Option<&PolicyArn> {
        let own = self.permissions_boundaries.iter().find(|policy| policy.owner() == account);
        own.or_else(|| self.permissions_boundaries.iter().find(|policy| policy.is_for(account)))
    }

    /// The key's alias: what was said, or the article's; pipelines share it, as the console shares it.
    pub fn key_alias_or_default(&self) -> &str {
        self.key_alias.as_ref().map_or(DEFAULT_KEY_ALIAS, KeyAlias::as_str)
    }
}
