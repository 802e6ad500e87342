//! What is known of both accounts when a failure is explained: the proof, the snapshot that it was proven on, and a few readings more.

use super::redact::redact;
use crate::deploy::blueprint::Blueprint;
use crate::deploy::chain::Course;
use crate::deploy::proof::{Judged, Proof};
use crate::deploy::snapshot::Snapshot;
use crate::error::Result;
use crate::model::{Readable, Verdict};
use crate::settings::Settings;
use serde::Serialize;
use std::collections::BTreeMap;

/// The source object, as its owner sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its newest version; `null` for one from before versioning.
    pub version: String,
    /// How many tags it has.
    pub tags: usize,
    /// When it was written, in seconds since 1970.
    pub modified: i64,
}

/// What a snapshot doesn't hold and a row of the catalogue needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readings {
    /// The source object; `None` if there is none.
    pub source: Readable<Option<Source>>,
    /// Whether a bucket makes whoever asks pay, by name.
    pub requester_pays: BTreeMap<String, Readable<bool>>,
    /// The KMS key of the artifact that the failed run made; `None` if there is none.
    pub artifact_key: Readable<Option<String>>,
    /// The KMS key of a deployed file; `None` if there is none.
    pub output_key: Readable<Option<String>>,
    /// A deployed file that production doesn't own.
    pub strangers: Readable<Option<String>>,
    /// Files of the output bucket that are older than the last run.
    pub older: Readable<Vec<String>>,
    /// How many files of the output bucket were listed where there are more of them; `None` where all were.
    pub cut_at: Option<usize>,
    /// A version of the source object that several runs took.
    pub taken_twice: Option<String>,
}

impl Default for Readings {
    fn default() -> Readings {
        fn unread<T>() -> Readable<T> {
            Readable::Unknown("it was not read".to_owned())
        }
        Readings {
            source: unread(),
            requester_pays: BTreeMap::new(),
            artifact_key: unread(),
            output_key: unread(),
            strangers: unread(),
            older: unread(),
            cut_at: None,
            taken_twice: None,
        }
    }
}

/// What both accounts hold, judged.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// What the pipeline is about to do.
    pub course: Course<'a>,
    /// The verdict on each of its calls.
    pub proof: &'a Proof,
    /// What was read besides.
    pub readings: &'a Readings,
    /// The links that `xdeploy setup` would mend.
    pub mended: &'a [String],
}

impl<'a> Evidence<'a> {
    /// Puts together what is known; `None` where the pipeline's actions can't be told.
    ///
    /// # Errors
    /// As [`Blueprint::draw`].
    pub fn of(
        settings: &Settings,
        snapshot: &'a Snapshot,
        proof: &'a Proof,
        readings: &'a Readings,
        mended: &'a [String],
    ) -> Result<Option<Evidence<'a>>> {
        let blueprint = Blueprint::draw(settings, snapshot)?;
        Ok(Course::of(snapshot, &blueprint).map(|course| Evidence { course, proof, readings, mended }))
    }

    /// Gives the pipeline's name.
    pub fn pipeline(&self) -> &'a str {
        self.course.pipeline.arn.rsplit(':').next().unwrap_or_default()
    }

    /// Gives the links of these names, in the order of the calls.
    pub fn links(&self, names: &[&str]) -> Vec<&'a Judged> {
        self.proof.links.iter().filter(|link| names.contains(&bare(&link.name))).collect()
    }

    /// Gives the account, with what it is here.
    pub fn side(&self, account: &str) -> String {
        match account {
            account if account == self.course.snapshot.dev.account => format!("dev ({account})"),
            account if account == self.course.snapshot.prod.account => format!("prod ({account})"),
            account => format!("account {account}"),
        }
    }

    /// Says in sentences why a link is not allowed.
    pub fn told(&self, link: &Judged) -> Vec<String> {
        let mut lines = vec![format!("{}: {} by {} on {} is {}", link.name, link.action, link.who, link.resource, word(link))];
        lines.extend(link.reasons.iter().map(|reason| redact(reason)));
        for by in link.because.iter().filter(|by| by.effect == "Deny") {
            let does = if link.verdict == Verdict::Denied { "denies it" } else { "may deny it" };
            lines.push(format!("{}, {}: {} {does}", self.side(&by.account), by.document, by.statement));
        }
        lines.extend(link.missing.iter().map(|lack| format!("{}, {}: {}", self.side(&lack.account), lack.document, lack.text)));
        if !link.unknown.is_empty() {
            lines.push(format!("it hangs on {}, which nobody knows before the call is made", link.unknown.join(", ")));
        }
        lines
    }

    /// Gives what mends a link: a command, or the statement to add or to take out.
    pub fn mending(&self, link: &Judged) -> Vec<String> {
        let mut lines = Vec::new();
        if self.mended.contains(&link.name) {
            lines.push(self.setup());
        }
        for by in link.because.iter().filter(|by| by.effect == "Deny") {
            lines.push(format!(
                "let {} of {}, {}, except {} by a condition on aws:PrincipalArn",
                by.statement,
                by.document,
                self.side(&by.account),
                link.who
            ));
        }
        for (lack, statement) in link.missing.iter().filter_map(|lack| Some((lack, lack.statement.as_ref()?))) {
            lines.push(format!("add to {}, {}: {statement}", lack.document, self.side(&lack.account)));
        }
        lines
    }

    /// The command that puts right what it made.
    pub fn setup(&self) -> String {
        format!("xdeploy setup --pipeline {}", self.pipeline())
    }
}

/// The word for a verdict, with what it means where the call may not be made.
fn word(link: &Judged) -> String {
    let maybe = if link.may_be_called && link.verdict != Verdict::Allowed { ", but it isn't confirmed that this call is made" } else { "" };
    format!("{}{maybe}", if link.verdict == Verdict::CannotTell { "not to be told" } else { "denied" })
}

/// Gives a link's name without the rule behind it.
pub(super) fn bare(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}
