//! The hand-off: what each side tells the other where nobody is logged in to both accounts (issue of article A4: "one person, one
//! account").
//!
//! A file that goes to and fro. Each side writes its own half, as it was read, and what is missing; it judges with the other
//! half, as *told, not read*. Nothing in the file is trusted further than that: each part has a checksum, so that an accidental
//! change is seen; every name is parsed and must belong to the account that tells it; what production lets in and what may be
//! written there is said by production itself, in its own words. The file holds no secret.

mod checks;
mod withhold;

use super::plan::Plan;
use super::snapshot::{BucketFound, BucketSlot, DevHalf, Half, Identity, KeySlot, ProdHalf, Snapshot, Told};
use super::write::{Call, Write};
use crate::error::{Error, Kind, Result, file_error};
use crate::model::{AccountId, BucketName, ChangeDetection, KeyAlias, ObjectKey, PipelineName, Policies, RegionName, RoleName, Side};
use crate::settings::{CommonFlags, DEFAULT_PIPELINE, DeploymentFlags, Settings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// The format; a file of another format is refused.
pub const SCHEMA: &str = "xdeploy.handoff/1";

/// The file that is read and written where none is named.
pub const DEFAULT_FILE: &str = "handoff.json";

/// The only reason to look further: what is to be done about a file that can't be used.
const AGAIN: &str = "take the file as the other side wrote it, or delete it: then the other side's next file begins anew";

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

/// Something that still has to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Missing {
    /// By which side.
    pub account: Side,
    /// The article's number.
    pub article: String,
    /// IAM's name of the action.
    pub action: String,
    /// The resource's ARN, as far as it is known.
    pub resource: String,
    /// One line for people.
    pub title: String,
}

impl Missing {
    fn of(write: &Write) -> Missing {
        Missing {
            account: write.account,
            article: write.step.article().to_owned(),
            action: write.call.action().to_owned(),
            resource: write.resource.clone(),
            title: format!("{} {}", write.call.verb(), write.title),
        }
    }
}

/// What is still to be done, and which calls fail until then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Open {
    /// The writes.
    pub writes: Vec<Missing>,
    /// The links of the chain, by name, that don't hold until the other side has done its part.
    pub links: Vec<String>,
}

/// A half with who told it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Part<H> {
    /// The caller's ARN.
    pub by: String,
    /// What is there.
    pub holds: H,
}

/// A checksum of each part: they tell an accident, not a forger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Seals {
    /// Of accounts and deployment.
    pub deployment: String,
    /// Of development's half.
    pub dev: String,
    /// Of production's half.
    pub prod: String,
    /// Of what is open.
    pub open: String,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Handoff {
    schema: String,
    version: String,
    /// The development account.
    pub dev_account: AccountId,
    /// The production account.
    pub prod_account: AccountId,
    /// What is to be deployed, and how.
    pub deployment: Deployment,
    /// Development's half; none before it has run.
    pub dev: Option<Part<DevHalf>>,
    /// Production's half, likewise.
    pub prod: Option<Part<ProdHalf>>,
    /// What is still to be done.
    pub open: Open,
    seals: Seals,
}

fn seal<T: Serialize>(part: &T) -> String {
    let text = serde_json::to_string(part).unwrap_or_default();
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Handoff {
    fn computed(&self) -> Seals {
        Seals {
            deployment: seal(&(&self.version, &self.dev_account, &self.prod_account, &self.deployment)),
            dev: seal(&self.dev),
            prod: seal(&self.prod),
            open: seal(&self.open),
        }
    }

    /// Gives the same with checksums of what it holds now.
    #[must_use]
    pub fn sealed(mut self) -> Handoff {
        self.seals = self.computed();
        self
    }

    /// Writes down what one side knows after its run: its own half as read, and the other's as it was told.
    ///
    /// `by` is the caller's ARN, `open` what is left to do, `links` the names of the links that don't hold until then.
    pub fn tell(
        settings: &Settings,
        snapshot: &Snapshot,
        side: Side,
        by: &str,
        open: &[Write],
        links: Vec<String>,
        before: Option<&Handoff>,
    ) -> Result<Handoff> {
        let account = |identity: &Identity| identity.account.parse::<AccountId>().map_err(Error::internal);
        let (mut dev, mut prod) = (before.and_then(|file| file.dev.clone()), before.and_then(|file| file.prod.clone()));
        match withhold::half(snapshot.half(side), settings, snapshot)? {
            Half::Dev(holds) => dev = Some(Part { by: by.to_owned(), holds }),
            Half::Prod(holds) => prod = Some(Part { by: by.to_owned(), holds }),
        }
        let handoff = Handoff {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            dev_account: account(&snapshot.dev)?,
            prod_account: account(&snapshot.prod)?,
            deployment: Deployment::of(settings, snapshot),
            dev,
            prod,
            open: Open { writes: open.iter().map(Missing::of).collect(), links },
            seals: Seals::default(),
        };
        Ok(handoff.sealed())
    }

    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// It can't be read, is no hand-off of this format, was changed after it was written, or names what can't be.
    pub fn load(path: &Path) -> Result<Option<Handoff>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error { kind: Kind::Usage, ..file_error("read the hand-off", path, &error) }),
        };
        Handoff::parse(&text, &path.display().to_string()).map(Some)
    }

    /// Reads the text of a file that is called `name`.
    ///
    /// # Errors
    /// As [`Handoff::load`].
    pub fn parse(text: &str, name: &str) -> Result<Handoff> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Error::usage(format!("{name} is no hand-off")).because(error.to_string()).hint(AGAIN))?;
        let schema = value.get("schema").and_then(Value::as_str).unwrap_or("none");
        if schema != SCHEMA {
            return Err(Error::usage(format!("{name} has format {schema}; this xdeploy reads {SCHEMA}")).hint(AGAIN));
        }
        let handoff: Handoff = serde_json::from_value(value)
            .map_err(|error| Error::refused(format!("{name} is no whole hand-off")).because(error.to_string()).hint(AGAIN))?;
        let computed = handoff.computed();
        let parts = [
            ("the accounts or the deployment", computed.deployment == handoff.seals.deployment),
            ("development's half", computed.dev == handoff.seals.dev),
            ("production's half", computed.prod == handoff.seals.prod),
            ("what is still to be done", computed.open == handoff.seals.open),
        ];
        let changed: Vec<&str> = parts.into_iter().filter(|(_, same)| !same).map(|(part, _)| part).collect();
        if !changed.is_empty() {
            return Err(Error::refused(format!("{name} was changed after xdeploy wrote it: {}", changed.join(", "))).hint(AGAIN));
        }
        checks::printable(&serde_json::to_value(&handoff).unwrap_or_default())
            .map_err(|why| Error::refused(format!("{name} can't be shown: {why}")).hint(AGAIN))?;
        checks::all(&handoff).map_err(|why| Error::refused(format!("{name} can't be used: {why}")).hint(AGAIN))?;
        Ok(handoff)
    }

    /// Gives the file's text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Writes the file, in the place of an older one; it holds no secret.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        crate::files::write_whole(path, &self.text(), None).map_err(|error| file_error("write the hand-off to", path, &error))
    }

    /// Gives the account of a side.
    pub fn account(&self, side: Side) -> &AccountId {
        match side {
            Side::Dev => &self.dev_account,
            Side::Prod => &self.prod_account,
        }
    }

    /// Gives the half of a side, if it was told.
    pub fn half(&self, side: Side) -> Option<Half> {
        match side {
            Side::Dev => self.dev.as_ref().map(|part| Half::Dev(part.holds.clone())),
            Side::Prod => self.prod.as_ref().map(|part| Half::Prod(part.holds.clone())),
        }
    }

    /// Gives who told a half.
    pub fn told_by(&self, side: Side) -> Option<&str> {
        match side {
            Side::Dev => self.dev.as_ref().map(|part| part.by.as_str()),
            Side::Prod => self.prod.as_ref().map(|part| part.by.as_str()),
        }
    }

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
        let flags = DeploymentFlags {
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
}

impl Handoff {
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
            .map(|(flag, value)| format!("{flag} {}", crate::model::quoted(&value)))
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

impl Deployment {
    /// What is decided now, with the style of the policies as it turned out.
    fn of(settings: &Settings, snapshot: &Snapshot) -> Deployment {
        let drawn = super::blueprint::Blueprint::draw(settings, snapshot).ok();
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

/// Says what the file holds of a side's own half that isn't so any more: the other side has built on it.
pub fn moved(told: &Half, live: &Half) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: String, was: Option<String>, is: Option<String>| {
        if let Some(was) = was.filter(|was| is.as_ref() != Some(was)) {
            found.push(format!("{what} was {was}, and is {}", is.unwrap_or_else(|| "gone".to_owned())));
        }
    };
    let role = |role: &Option<super::snapshot::RoleFound>| {
        role.as_ref().map(|role| role.id.as_ref().map_or_else(|| role.arn.clone(), |id| format!("{} ({id})", role.arn)))
    };
    match (told, live) {
        (Half::Dev(told), Half::Dev(live)) => {
            compare("the region".to_owned(), Some(told.identity.region.clone()), Some(live.identity.region.clone()));
            compare("the service role".to_owned(), role(&told.service_role), role(&live.service_role));
            for (region, slot) in &told.keys {
                let arn = |slot: &KeySlot| slot.found.as_ref().map(|key| key.arn.clone());
                compare(format!("the key in {region}"), arn(slot), live.keys.get(region).and_then(arn));
            }
            for (region, slot) in &told.artifact_buckets {
                let name = |slot: &BucketSlot| slot.found.as_ref().map(|_| slot.name.clone());
                compare(format!("the artifact bucket in {region}"), name(slot), live.artifact_buckets.get(region).and_then(name));
            }
            let pipeline = |half: &DevHalf| half.pipeline.as_ref().map(|pipeline| pipeline.arn.clone());
            compare("the pipeline".to_owned(), pipeline(told), pipeline(live));
        }
        (Half::Prod(told), Half::Prod(live)) => {
            compare("the cross-account role".to_owned(), role(&told.deploy_role), role(&live.deploy_role));
            let place = |half: &ProdHalf| half.output.found.as_ref().map(|found| format!("{} in {}", half.output.name, found.region));
            compare("the output bucket".to_owned(), place(told), place(live));
        }
        _ => {}
    }
    found
}

/// Says which documents of ours a plan would change that aren't as the file says they were: the file is older than they are.
pub fn undone(told: &Half, writes: &[Write]) -> Vec<String> {
    let policies = match told {
        Half::Dev(half) => &half.policies,
        Half::Prod(half) => &half.policies,
    };
    let changed = writes.iter().filter_map(|write| match &write.call {
        Call::CreatePolicyVersion { arn, before, .. } => Some((write, policies.get(arn)?, before)),
        _ => None,
    });
    changed
        .filter(|(_, told, before)| !crate::policy::same_grants(&told.document, before))
        .map(|(write, ..)| format!("policy {} was changed after this file was written", write.resource))
        .collect()
}

/// Refuses a plan that no file should lead to, whatever it says, since it is looked at before: a key's policy is changed only
/// where that key is an artifact store's, or encrypts the bucket of the side that writes.
///
/// # Errors
/// It would.
pub fn refuse_overstepping(plan: &Plan, side: Side) -> Result<()> {
    let snapshot = plan.snapshot();
    let slot = match side {
        Side::Dev => &snapshot.input,
        Side::Prod => &snapshot.output,
    };
    let of_bucket = slot.found.as_ref().and_then(|found| found.encryption.as_ref()?.known()?.key.as_deref());
    let of_bucket = of_bucket.and_then(|key| snapshot.customer_keys.get(key)?.known()).map(|found| found.arn.as_str());
    let stores: Vec<&str> = snapshot.keys.values().filter_map(|slot| Some(slot.found.as_ref()?.arn.as_str())).collect();
    let declared: Vec<String> = trusted_keys(snapshot);
    for write in plan.writes() {
        let Call::PutKeyPolicy { key, before: Some(_), .. } = &write.call else { continue };
        let is_own = side == Side::Dev && stores.contains(&key.as_str()) || of_bucket == Some(key.as_str());
        // A key that the pipeline names is looked at by a person.
        if !is_own && !declared.iter().any(|line| line.contains(key.as_str())) {
            return Err(Error::internal(format!("the hand-off leads to key {key}, which has no part in this")));
        }
    }
    Ok(())
}

/// Says what a prudent person looks at before letting the other side's word count, in lines; production's side only.
pub fn trusted(settings: &Settings, snapshot: &Snapshot) -> Vec<String> {
    let mut lines: Vec<String> = snapshot.told.as_ref().map(|told| told.untold.clone()).unwrap_or_default();
    lines.extend(trusted_keys(snapshot));
    lines.extend(trusted_names(settings, snapshot));
    lines
}

/// Names of production's own things that production didn't choose, of things that it doesn't have yet.
fn trusted_names(settings: &Settings, snapshot: &Snapshot) -> Vec<String> {
    let Ok(blueprint) = super::blueprint::Blueprint::draw(settings, snapshot) else { return Vec::new() };
    let plain = Settings { deploy_role: None, output_policy: None, artifact_policy: None, ..settings.clone() };
    let Ok(default) = super::blueprint::Names::resolve(&plain, &snapshot.dev, &snapshot.prod, None) else { return Vec::new() };
    let names = &blueprint.names;
    let named = [
        ("--deploy-role", &names.deploy_role, &default.deploy_role, snapshot.deploy_role.is_some()),
        ("--output-policy", &names.output_policy, &default.output_policy, snapshot.policies.contains_key(&names.output_policy.arn)),
        ("--artifact-policy", &names.artifact_policy, &default.artifact_policy, snapshot.policies.contains_key(&names.artifact_policy.arn)),
    ];
    let told = named.into_iter().filter(|(flag, told, default, there)| settings.is_told(flag) && told.name != default.name && !there);
    told.map(|(flag, told, ..)| format!("the hand-off chose the name {}: say `{flag} {}` if it is right", told.name, told.name)).collect()
}

fn trusted_keys(snapshot: &Snapshot) -> Vec<String> {
    let declared = snapshot.pipeline.as_ref().map(|found| super::declaration::deploys(&found.declaration, Some(&snapshot.output.name)));
    let keys = declared.into_iter().flatten().filter_map(|(_, action)| super::declaration::output_key(action).map(str::to_owned));
    let own = snapshot.output.found.as_ref().and_then(|found| found.encryption.as_ref()?.known()?.key.clone());
    let artifact = |key: &String| snapshot.keys.values().any(|slot| slot.found.as_ref().is_some_and(|found| found.arn == *key));
    keys.filter(|key| Some(key) != own.as_ref() && !artifact(key))
        .map(|key| format!("the pipeline names key {key} for what it deploys: the role will be allowed to use it"))
        .collect()
}

/// What is taken as given of an account that has told nothing yet: nothing is there but the buckets that people name.
pub fn assumed(side: Side, identity: Identity, settings: &Settings) -> Half {
    let named = |name: Option<&BucketName>| name.map_or_else(|| "(not told)".to_owned(), ToString::to_string);
    let bucket =
        |name: String, found: BucketFound| BucketSlot { name, found: Some(BucketFound { region: identity.region.clone(), ..found }) };
    match side {
        Side::Dev => Half::Dev(DevHalf {
            pipeline: None,
            service_role: None,
            event_role: None,
            policies: BTreeMap::new(),
            keys: BTreeMap::new(),
            artifact_buckets: BTreeMap::new(),
            input: bucket(
                named(settings.input_bucket.as_ref()),
                BucketFound { versioning: Some("Enabled".to_owned()), notification: Some(String::new()), ..BucketFound::default() },
            ),
            rule: None,
            other_rules: Vec::new(),
            customer_keys: BTreeMap::new(),
            other_roles: BTreeMap::new(),
            identity: identity.clone(),
        }),
        Side::Prod => Half::Prod(ProdHalf {
            deploy_role: None,
            policies: BTreeMap::new(),
            output: bucket(named(settings.output_bucket.as_ref()), BucketFound::default()),
            customer_keys: BTreeMap::new(),
            other_roles: BTreeMap::new(),
            identity: identity.clone(),
        }),
    }
}

impl DevHalf {
    /// Gives the place of a region's key; an empty one where none was told.
    pub fn key_slot(&self, region: &str, settings: &Settings) -> KeySlot {
        self.keys.get(region).cloned().unwrap_or_else(|| KeySlot {
            asked: settings.key_alias_or_default().to_owned(),
            from_pipeline: false,
            replaces_managed_key: false,
            alias_exists: false,
            found: None,
        })
    }

    /// Gives the place of a region's artifact bucket; an empty one where none was told.
    pub fn artifact_bucket(&self, region: &str) -> BucketSlot {
        let default = format!("codepipeline-{region}-{}", self.identity.account);
        self.artifact_buckets.get(region).cloned().unwrap_or(BucketSlot { name: default, found: None })
    }
}

/// Says where the half of the side that isn't logged in to comes from.
pub fn told(side: Side, handoff: Option<&Handoff>) -> Told {
    let by_handoff = handoff.is_some_and(|file| file.half(side).is_some());
    Told { side, by_handoff, untold: Vec::new() }
}
