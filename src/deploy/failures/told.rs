//! What an explanation says, as data.

use super::Symptom;
use crate::deploy::proof::Judged;
use crate::model::Verdict;
use serde::Serialize;

/// A link, as far as an explanation tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkTold {
    /// Its name.
    pub name: String,
    /// IAM's name of the action.
    pub action: String,
    /// Who calls.
    pub who: String,
    /// On what; `*` stands for names that nobody knows before.
    pub resource: String,
    /// The verdict.
    pub verdict: Verdict,
}

impl LinkTold {
    pub(super) fn of(link: &Judged, resource: String) -> LinkTold {
        LinkTold { name: link.name.clone(), action: link.action.to_owned(), who: link.who.clone(), resource, verdict: link.verdict }
    }
}

/// Something that may be the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The row's id; `None` where the text is in no row and a denied link is the cause.
    pub id: Option<&'static str>,
    /// In a few words.
    pub title: String,
    /// What it means.
    pub why: String,
    /// How well it fits; only the order counts.
    pub score: i32,
    /// Both accounts show it; otherwise it is the text alone.
    pub shown: bool,
    /// The broken link.
    pub link: Option<LinkTold>,
    /// What was seen in the accounts.
    pub evidence: Vec<String>,
    /// Ways to mend it, of which one is enough. One of several lines is done line by line.
    pub run: Vec<String>,
    /// What to do, in words.
    pub fix: String,
    /// What to read where the accounts don't decide.
    pub read: Vec<String>,
    /// The steps of the article.
    pub article: Vec<&'static str>,
    /// Where AWS describes it.
    pub docs: &'static str,
}

/// A row that has the same text, or hides behind it, and is not the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuledOut {
    /// The row's id.
    pub id: &'static str,
    /// In a few words.
    pub title: String,
    /// Why it isn't.
    pub why: String,
}

impl RuledOut {
    pub(super) fn of(cause: &Cause) -> Option<RuledOut> {
        Some(RuledOut { id: cause.id?, title: cause.title.clone(), why: cause.read.join("; ") })
    }
}

/// What an explanation says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What was seen.
    pub symptom: Symptom,
    /// Both accounts were looked at.
    pub with_accounts: bool,
    /// A row of the catalogue has this text, or is shown by the accounts behind a bare denial.
    pub in_catalogue: bool,
    /// What may be the cause, the likeliest first.
    pub causes: Vec<Cause>,
    /// What isn't, and why.
    pub ruled_out: Vec<RuledOut>,
    /// The links in question that are allowed.
    pub allowed: Vec<String>,
    /// The links in question that are denied.
    pub denied: Vec<String>,
    /// What can't be told, and why.
    pub cannot_tell: Vec<String>,
}
