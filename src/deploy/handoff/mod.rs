//! The hand-off: what each side tells the other where nobody is logged in to both accounts.
//!
//! A file that goes to and fro. Each side writes its own half, as it was read, and what is missing; it judges with the other
//! half, as *told, not read*. Nothing in the file is trusted further than that: each part has a checksum, so that an accidental
//! change is seen; every name is parsed and must belong to the account that tells it; what production lets in and what may be
//! written there is said by production itself, in its own words. The file holds no secret.

mod checks;
mod deployment;
mod trust;
mod withhold;

pub use deployment::Deployment;
pub use trust::{moved, refuse_overstepping, trusted, undone};

use super::snapshot::{BucketFound, BucketSlot, DevHalf, Half, Identity, KeySlot, ProdHalf, Snapshot, Told};
use super::write::Write;
use crate::error::{Error, Kind, Result, file_error};
use crate::model::{AccountId, BucketName, Side, hex};
use crate::settings::Settings;
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
/// The largest file that is read, in bytes.
const LARGEST: u64 = 32 << 20;
const AGAIN: &str = "take the file as the other side wrote it, or delete it: then the other side's next file begins anew";

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
    hex(Sha256::digest(text.as_bytes()))
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
        let text = match crate::files::read_text(path, LARGEST) {
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
        checks::printable(&value).map_err(|why| Error::refused(format!("{name} can't be shown: {why}")).hint(AGAIN))?;
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
        let text =
            serde_json::to_string_pretty(self).map_err(|error| Error::internal(format!("the hand-off can't be written: {error}")))?;
        crate::files::write_whole(path, &(text + "\n"), None).map_err(|error| file_error("write the hand-off to", path, &error))
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
