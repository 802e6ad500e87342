//! The plan: ordered writes as data, sealed, so that what was shown is what is done.

use super::redaction::{Redaction, holds_hash, put_back};
use super::savable;
use super::snapshot::Snapshot;
use super::write::{Artifact, Call, EVERYTHING, Note, UNKNOWN, Write, counts};
use crate::error::{Error, Kind, Result};
use crate::model::{Side, account_of, hex, json_text};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The largest plan that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// The format of saved plans; a plan of another format is refused.
pub const SCHEMA: &str = "xdeploy.plan/1";

/// What is to be done, and what it was decided on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    schema: String,
    version: String,
    settings: Settings,
    callers: Callers,
    snapshot: Snapshot,
    writes: Vec<Write>,
    /// What the other side has to do, and what waits for that; only in a plan for one side.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    later: Vec<Write>,
    notes: Vec<Note>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    artifact: Option<Artifact>,
    seal: String,
}

/// Who the two callers were when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callers {
    /// The development caller's ARN.
    pub dev: String,
    /// The production caller's ARN.
    pub prod: String,
}

/// Parts what one side can do now from what is the other's, or waits for what the other's makes.
fn of_side(side: Side, writes: Vec<Write>) -> (Vec<Write>, Vec<Write>) {
    let (mut now, mut later): (Vec<Write>, Vec<Write>) = (Vec::new(), Vec::new());
    for write in writes {
        let waits =
            |before: &Write| before.lane == write.lane || write.needs.iter().any(|need| need == EVERYTHING || before.gives.contains(need));
        // What names a key that isn't known can't be production's to write.
        let unknown = side == Side::Prod && serde_json::to_string(&write.call).is_ok_and(|text| text.contains(UNKNOWN));
        let own = write.account == side && !unknown && !later.iter().any(waits);
        if own { &mut now } else { &mut later }.push(write);
    }
    (now, later)
}

/// Refuses a key administrator of another account: it could change the key's policy and delete the key.
///
/// # Errors
/// There is one, and it wasn't said that it may be.
fn refuse_foreign_administrators(settings: &Settings, snapshot: &Snapshot) -> Result<()> {
    let own = &snapshot.dev.account;
    let strangers = administrators(settings, snapshot).filter(|arn| account_of(arn) != own.as_str()).collect::<Vec<_>>();
    if strangers.is_empty() || settings.allow_foreign_administrator {
        return Ok(());
    }
    Err(Error::refused(format!("key administrator {} is not of the development account ({own})", strangers.join(", ")))
        .because("who administers a key can change its policy and delete it")
        .hint(format!("name a user or role of account {own}, or pass `--allow-foreign-administrator` if that is meant")))
}

/// Lists who was named to administer the key, or who does so unnamed.
fn administrators<'a>(settings: &'a Settings, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a str> {
    let unnamed = snapshot.administrator.known().and_then(Option::as_deref);
    settings.key_administrators.iter().map(String::as_str).chain(unnamed)
}

impl Plan {
    /// Lists the key administrators that are of another account.
    pub fn foreign_administrators(&self) -> Vec<&str> {
        administrators(&self.settings, &self.snapshot).filter(|arn| account_of(arn) != self.snapshot.dev.account).collect()
    }

    /// Gives who becomes the administrator of a key that the plan makes without having been named: whoever made the plan.
    pub fn unnamed_administrator(&self) -> Option<&str> {
        let makes = self.writes.iter().any(|write| matches!(write.call, Call::CreateKey { .. } | Call::ReplicateKey { .. }));
        self.snapshot.administrator.known().and_then(Option::as_deref).filter(|_| makes && self.settings.key_administrators.is_empty())
    }

    /// Judges: the difference between what should be there and what is there.
    ///
    /// # Errors
    /// What is there can't be adopted, what was asked for makes no sense with it, or AWS would not save what it writes; the error says
    /// which flag helps.
    pub fn make(settings: &Settings, callers: Callers, snapshot: Snapshot, artifact: Option<Artifact>) -> Result<Plan> {
        refuse_foreign_administrators(settings, &snapshot)?;
        let (mut writes, mut notes) = super::steps::wants(settings, &snapshot, artifact.as_ref())?;
        notes.extend(savable::take_out(&mut writes, &snapshot, &settings.remove_dead_principals));
        let (writes, later) = match settings.side {
            Some(side) => of_side(side, writes),
            None => (writes, Vec::new()),
        };
        savable::refuse_unsavable(&writes, &snapshot, settings.pipeline.as_str())?;
        notes.extend(savable::warnings(&writes, &later, &snapshot));
        let mut plan = Plan {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings: settings.clone(),
            callers,
            snapshot,
            writes,
            later,
            notes,
            artifact,
            seal: String::new(),
        };
        plan.seal = plan.computed_seal();
        Ok(plan)
    }

    fn computed_seal(&self) -> String {
        let mut open = self.clone();
        open.seal = String::new();
        let text = serde_json::to_string(&open).unwrap_or_default();
        hex(Sha256::digest(text.as_bytes()))
    }

    /// The writes, in order.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// What the other side has to do, and what this side can only do after that; empty in a plan for both.
    pub fn later(&self) -> &[Write] {
        &self.later
    }

    /// The writes, and those that are left for later, in an order in which they can be done.
    pub fn every_write(&self) -> Vec<Write> {
        self.writes.iter().chain(&self.later).cloned().collect()
    }

    /// What to know beside the writes.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The ARN of the pipeline that it is about.
    pub fn pipeline_arn(&self) -> String {
        self.snapshot.dev.regional("codepipeline", &self.snapshot.dev.region, self.settings.pipeline.as_str())
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it saw.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The file that goes with it.
    pub fn artifact(&self) -> Option<&Artifact> {
        self.artifact.as_ref()
    }

    /// Who made it.
    pub fn callers(&self) -> &Callers {
        &self.callers
    }

    /// Says whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Counts creations, updates and removals.
    pub fn counts(&self) -> (usize, usize, usize) {
        counts(&self.writes)
    }

    /// Gives the plan as it is written down: with hashes in the place of what may be other people's secrets.
    ///
    /// # Errors
    /// What is left makes no plan, which can't be.
    pub fn redacted(&self) -> Result<Plan> {
        let mut value = serde_json::to_value(self).map_err(unwritten)?;
        let mut redaction = self.redaction();
        for part in ["snapshot", "writes", "later"] {
            if let Some(part) = value.get_mut(part) {
                redaction.redact(part);
            }
        }
        let mut plan: Plan = serde_json::from_value(value).map_err(unwritten)?;
        plan.seal = plan.computed_seal();
        Ok(plan)
    }

    /// Gives a snapshot as this plan would be saved with it.
    ///
    /// # Errors
    /// As [`Plan::redacted`].
    pub fn redacted_like(&self, snapshot: &Snapshot) -> Result<Snapshot> {
        let mut value = serde_json::to_value(snapshot).map_err(unwritten)?;
        self.redaction().redact(&mut value);
        serde_json::from_value(value).map_err(unwritten)
    }

    fn redaction(&self) -> Redaction {
        Redaction::with_hashes(self.pipeline_arn())
    }

    /// Writes the plan to a file that nobody else may read, in the place of an older one. It holds no secret, but hashes of what may
    /// be one: a short one can be found by trying.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = json_text(&self.redacted()?) + "\n";
        crate::files::write_whole_private(path, &text).map_err(|error| crate::error::file_error("write the plan to", path, &error))
    }

    /// Reads a saved plan and makes sure that it is whole and ours. One that was saved with hashes must be completed before it is
    /// applied.
    ///
    /// # Errors
    /// Not a plan, of another format or version, or changed since it was saved.
    pub fn load(path: &Path) -> Result<Plan> {
        let cannot = |error: std::io::Error| Error { kind: Kind::Usage, ..crate::error::file_error("read the plan", path, &error) };
        let text = crate::files::read_text(path, LARGEST).map_err(cannot)?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| Error::usage(format!("{} is not a plan", path.display())).because(error.to_string()).hint(AGAIN))?;
        let schema = value.get("schema").and_then(Value::as_str).unwrap_or("none");
        if schema != SCHEMA {
            return Err(Error::usage(format!("{} has format {schema}; this xdeploy reads {SCHEMA}", path.display())).hint(AGAIN));
        }
        let version = value.get("version").and_then(Value::as_str).unwrap_or("none");
        if version != env!("CARGO_PKG_VERSION") {
            return Err(Error::usage(format!(
                "{} was made by xdeploy {version}; this is xdeploy {}",
                path.display(),
                env!("CARGO_PKG_VERSION")
            ))
            .hint(AGAIN));
        }
        let plan: Plan = serde_json::from_value(value)
            .map_err(|error| Error::usage(format!("{} is not a whole plan", path.display())).because(error.to_string()).hint(AGAIN))?;
        // Who it says was there is compared with who is before anything is applied.
        if plan.seal != plan.computed_seal() {
            return Err(changed(path));
        }
        if !plan.is_redacted() {
            plan.made_again(path)?;
        }
        Ok(plan)
    }

    /// Returns true if hashes stand in the place of what may be secrets.
    pub fn is_redacted(&self) -> bool {
        serde_json::to_string(self).is_ok_and(|text| holds_hash(&text))
    }

    /// Makes it again from what it saw: the writes must follow from that, so that a resealed forgery does nothing that setup
    /// wouldn't do.
    ///
    /// # Errors
    /// They don't, or AWS would not save what they write.
    pub fn made_again(&self, path: &Path) -> Result<Plan> {
        match Plan::make(&self.settings, self.callers.clone(), self.snapshot.clone(), self.artifact.clone()) {
            Ok(again) if again.redacted()?.writes == self.redacted()?.writes => Ok(again),
            // One that an xdeploy made which didn't look whether AWS saves it.
            Err(error) if savable::refuse_unsavable(&self.writes, &self.snapshot, self.settings.pipeline.as_str()).is_err() => Err(error),
            _ => Err(changed(path)),
        }
    }

    /// Puts back what a saved plan tells by its hash, from what is there now.
    ///
    /// # Errors
    /// The writes don't follow from what the plan saw.
    pub fn completed(self, now: &Snapshot, path: &Path) -> Result<Plan> {
        if !self.is_redacted() {
            return Ok(self);
        }
        let mut redaction = self.redaction();
        redaction.redact(&mut serde_json::to_value(now).map_err(unwritten)?);
        let mut saw = serde_json::to_value(&self.snapshot).map_err(unwritten)?;
        put_back(&mut saw, &redaction.taken());
        let snapshot = serde_json::from_value(saw).map_err(unwritten)?;
        Plan { snapshot, ..self }.made_again(path)
    }
}

/// What to do about a file that isn't the plan that was made.
const AGAIN: &str = "make it again with `xdeploy plan --out FILE`";

fn changed(path: &Path) -> Error {
    Error::new(Kind::Refused, format!("{} was changed after it was made", path.display())).hint(AGAIN)
}

fn unwritten(error: serde_json::Error) -> Error {
    Error::internal(format!("the plan can't be written: {error}"))
}
