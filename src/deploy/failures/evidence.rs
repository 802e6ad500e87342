//! What is known of both accounts when a failure is explained: the proof, the snapshot that it was proven on, and a few readings more.

use super::redact::redact;
use super::symptom::Symptom;
use crate::deploy::blueprint::Blueprint;
use crate::deploy::chain::{Course, On, ROWS};
use crate::deploy::proof::{Judged, Proof};
use crate::deploy::snapshot::Snapshot;
use crate::error::Result;
use crate::model::{Readable, Verdict, quoted};
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
    /// What a command must say to be about these accounts.
    pub asked: Asked,
}

/// The flags that a command needs to be about the same accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Profile of the development account.
    pub dev_profile: String,
    /// Profile of the production account.
    pub prod_profile: String,
    /// Region of the pipeline, where it was said.
    pub region: Option<String>,
}

impl Asked {
    /// Takes what was said.
    pub fn of(settings: &Settings) -> Asked {
        Asked {
            dev_profile: settings.dev_profile.clone(),
            prod_profile: settings.prod_profile.clone(),
            region: settings.region.as_ref().map(ToString::to_string),
        }
    }

    /// Gives a command of ours for a pipeline of these accounts.
    pub fn xdeploy(&self, command: &str, pipeline: &str) -> String {
        let region = self.region.as_ref().map(|region| format!(" --region {region}")).unwrap_or_default();
        let (dev, prod) = (quoted(&self.dev_profile), quoted(&self.prod_profile));
        format!("xdeploy {command} --pipeline {pipeline}{region} --dev-profile {dev} --prod-profile {prod}")
    }
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
        Ok(Course::of(snapshot, &blueprint).map(|course| Evidence { course, proof, readings, mended, asked: Asked::of(settings) }))
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
    pub fn told(&self, link: &Judged, symptom: &Symptom) -> Vec<String> {
        let on = self.resource(link, symptom);
        let mut lines = vec![format!("{}: {} by {} on {on} is {}", link.name, link.action, link.who, word(link))];
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

    /// Gives what a link is on. Where names are partly random or up to the zip it was judged on examples: then the key that the message
    /// names, or `*`.
    pub fn resource(&self, link: &Judged, symptom: &Symptom) -> String {
        let on = ROWS.iter().find(|row| row.name == bare(&link.name)).map(|row| row.on);
        let artifact = matches!(on, Some(On::HomeArtifact | On::ActionArtifact));
        let file = matches!(on, Some(On::OutputObject)) && self.course.extract.is_wide();
        match link.resource.rsplit_once('/') {
            Some((folder, _)) if artifact => {
                let key = folder.split_once(":::").and_then(|(_, path)| path.split_once('/')).map_or("", |(_, key)| key);
                format!("{folder}/{}", named_below(key, &symptom.text).unwrap_or("*"))
            }
            // Where the first example is denied, all may be; a later one is denied for what it is.
            Some((folder, "index.html")) if file => format!("{folder}/*"),
            _ => link.resource.clone(),
        }
    }

    /// Gives what mends links: a command, or the statements to add or to take out, all of them, a line each.
    pub fn mending(&self, links: &[&Judged]) -> Vec<String> {
        let mended: Vec<&str> =
            links.iter().map(|link| link.name.as_str()).filter(|name| self.mended.iter().any(|own| own == name)).collect();
        let setup = match mended.len() {
            0 => None,
            count if count == links.len() => Some(self.setup()),
            _ => Some(format!("{}  # mends {} only", self.setup(), mended.join(", "))),
        };
        let mut lines: Vec<String> = Vec::new();
        for line in links.iter().flat_map(|link| self.statements(link)) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        setup.into_iter().chain((!lines.is_empty()).then(|| lines.join("\n"))).collect()
    }

    /// Gives the statements that mend a link by hand.
    fn statements(&self, link: &Judged) -> Vec<String> {
        let denies = link.because.iter().filter(|by| by.effect == "Deny").map(|by| {
            let side = self.side(&by.account);
            format!("let {} of {}, {side}, except {} by a condition on aws:PrincipalArn", by.statement, by.document, link.who)
        });
        let lacks = link.missing.iter().filter_map(|lack| {
            // The proof names the key's policy beside the role's where either is enough.
            let instead = if lack.text.contains("would do as well") { "or, in the place of the line before, " } else { "" };
            Some(format!("{instead}add to {}, {}: {}", lack.document, self.side(&lack.account), lack.statement.as_ref()?))
        });
        denies.chain(lacks).collect()
    }

    /// Gives the flags with which the AWS CLI asks an account in a region.
    pub fn aws(&self, account: &str, region: &str) -> String {
        let snapshot = self.course.snapshot;
        let profile = match account {
            account if account == snapshot.dev.account => format!(" --profile {}", quoted(&self.asked.dev_profile)),
            account if account == snapshot.prod.account => format!(" --profile {}", quoted(&self.asked.prod_profile)),
            _ => String::new(),
        };
        format!("{profile} --region {region}")
    }

    /// Gives a command of ours for the same pipeline and accounts.
    pub fn xdeploy(&self, command: &str) -> String {
        self.asked.xdeploy(command, self.pipeline())
    }

    /// The command that puts right what it made.
    pub fn setup(&self) -> String {
        self.xdeploy("setup")
    }

    /// The command that starts a new run.
    pub fn release(&self) -> String {
        self.xdeploy("release FILE")
    }
}

/// Finds the name of an object that a text names below a folder.
fn named_below<'t>(folder: &str, text: &'t str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("{folder}/"))?;
    let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.').unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('.')).filter(|name| !name.is_empty() && !folder.is_empty())
}

/// The word for a verdict, with what it means where the call may not be made.
fn word(link: &Judged) -> String {
    let maybe = match link.may_be_called() && link.verdict != Verdict::Allowed {
        true => format!("; may not be needed ({})", link.may_not_be_needed()),
        false => String::new(),
    };
    format!("{}{maybe}", if link.verdict == Verdict::CannotTell { "not to be told" } else { "denied" })
}

/// Gives a link's name without the rule behind it.
pub(super) fn bare(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}
