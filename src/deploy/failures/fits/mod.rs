//! What both accounts say of a row: a predicate each, pure.

mod access;
mod configuration;
mod keys;
mod source;
mod trigger;

pub use access::*;
pub use configuration::*;
pub use keys::*;
pub use source::*;
pub use trigger::*;

use super::evidence::bare;
use super::{Case, Fit, Found};
use crate::deploy::proof::Judged;
use crate::model::Verdict;

fn holds(seen: impl Into<String>, run: impl IntoIterator<Item = String>) -> Fit {
    Fit::Holds(Found { link: None, seen: vec![seen.into()], run: run.into_iter().collect() })
}

fn out(why: impl Into<String>) -> Fit {
    Fit::Out(why.into())
}

fn open(why: impl Into<String>) -> Fit {
    Fit::Open(why.into())
}

fn unread(what: &str, why: &str) -> Fit {
    open(format!("{what} could not be read: {why}"))
}

/// A link as what shows that a row holds, with sentences before its own. Links of the row that are denied too are mended with it.
fn by_link(case: &Case<'_, '_>, link: &Judged, before: Vec<String>, run: Vec<String>) -> Fit {
    let evidence = case.evidence;
    let too = |other: &&&Judged| {
        other.verdict == Verdict::Denied
            && other.name != link.name
            && (link.may_be_called() || !other.may_be_called())
            && case.row.links.contains(&bare(&other.name))
    };
    let links: Vec<&Judged> = std::iter::once(link).chain(case.suspects.iter().filter(too).copied()).collect();
    Fit::Holds(Found {
        link: Some(link.name.clone()),
        seen: before.into_iter().chain(evidence.told(link, case.symptom)).collect(),
        run: run.into_iter().chain(evidence.mending(&links)).collect(),
    })
}

/// Makes one way to mend something of steps that are all needed, a line each.
fn steps<const N: usize>(lines: [String; N]) -> String {
    lines.join("\n")
}

/// A change of the pipeline's declaration, which only a person can make.
fn edit(case: &Case<'_, '_>, what: &str) -> Vec<String> {
    let (name, course) = (case.evidence.pipeline(), &case.evidence.course);
    let flags = case.evidence.aws(&course.snapshot.dev.account, course.home.region);
    vec![steps([
        format!("aws codepipeline get-pipeline --name {name} --query pipeline --output json{flags} > {name}.json"),
        format!("# in {name}.json: {what}"),
        format!("aws codepipeline update-pipeline --pipeline file://{name}.json{flags}"),
    ])]
}

/// Only the text says it.
pub fn silent(_: &Case<'_, '_>) -> Fit {
    Fit::Silent
}

/// One of the row's links is denied.
pub fn denied(case: &Case<'_, '_>) -> Fit {
    let own = |link: &&&Judged| case.row.links.contains(&bare(&link.name));
    match case.suspects.iter().find(own) {
        Some(link) if link.verdict == Verdict::Denied => by_link(case, link, Vec::new(), Vec::new()),
        Some(link) => open(case.evidence.told(link, case.symptom).join("; ")),
        None if case.evidence.links(case.row.links).is_empty() => open("the pipeline makes none of the calls that could be denied so"),
        None => open("every call that could fail so is allowed as things stand now: release again; IAM and KMS may take minutes to settle"),
    }
}
