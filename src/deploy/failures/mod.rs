//! Why a deployment failed: the catalogue of facts/codepipeline.md E, and two rows more, as data, and the ranking of its rows by what a message says
//! and by what both accounts hold.
//!
//! Everything here is pure but [`gather`], which reads what a snapshot doesn't hold and a row needs to be told from its neighbours.

mod catalogue;
mod evidence;
mod explain;
mod fits;
pub mod gather;
mod redact;
mod signs;
mod symptom;
mod told;

pub use evidence::{Asked, Evidence, Readings, Source};
pub use explain::{explain, explain_unread};
pub use redact::{SECRET_LENGTH, looks_secret, redact, redact_pasted};
pub use symptom::{Kind, Place, Symptom};
pub use told::{CallerTold, Cause, Explanation, LinkTold, RuledOut};

use crate::deploy::proof::Judged;
use crate::model::Check;
use std::sync::LazyLock;

/// A row of the catalogue.
#[derive(Debug)]
pub struct Row {
    /// The row of facts E; those after 47 are messages that were reported since.
    pub number: u8,
    /// Its id `XD-CP-0NN`, title, cause, fix, page and steps of the article.
    pub check: Check,
    /// What AWS says, for people; what tells it in a message is in `texts` and in `catalogue/signs.rs`.
    pub says: &'static str,
    /// Where it shows.
    pub at: &'static [Place],
    /// What sort of symptom it has.
    pub kinds: &'static [Kind],
    /// Patterns that this row's own text matches, in lower case, whoever says it; loose, for texts drift.
    pub texts: &'static [&'static str],
    /// CodePipeline's or the service's error codes.
    pub codes: &'static [&'static str],
    /// Rows behind whose text this one hides.
    pub behind: &'static [u8],
    /// Links of the chain to prove.
    pub links: &'static [&'static str],
    /// How it is told from its neighbours: what to read.
    pub tell: &'static str,
    /// Judges it by what both accounts hold.
    pub fits: fn(&Case<'_, '_>) -> Fit,
}

impl Row {
    /// Says whether a message can lead to it, by itself or behind another row's.
    pub fn is_reached(&self) -> bool {
        !self.texts.is_empty() || !self.behind.is_empty() || catalogue::SIGNS.iter().any(|(row, _)| *row == self.number)
    }
}

/// What a row is judged by.
#[derive(Debug)]
pub struct Case<'c, 'a> {
    /// The row.
    pub row: &'static Row,
    /// What was seen.
    pub symptom: &'c Symptom,
    /// What both accounts hold.
    pub evidence: &'c Evidence<'a>,
    /// The links that the symptom may be about and that are not allowed, the likeliest first.
    pub suspects: &'c [&'a Judged],
}

/// What the accounts say of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Fit {
    /// It is so.
    Holds(Found),
    /// It may be: this is not known, or speaks against it without being certain.
    Open(String),
    /// It is not, because of this.
    Out(String),
    /// The text alone decides.
    Silent,
}

/// What shows that a row holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The link that is broken by it.
    pub link: Option<String>,
    /// What was seen, a sentence each.
    pub seen: Vec<String>,
    /// Commands that mend it, and statements to add.
    pub run: Vec<String>,
}

static ALL: LazyLock<Vec<&'static Row>> = LazyLock::new(|| {
    let mut rows: Vec<&'static Row> = catalogue::TABLES.iter().flat_map(|table| table.iter()).collect();
    rows.sort_by_key(|row| row.number);
    rows
});

/// Lists all rows in the order of facts E.
pub fn rows() -> &'static [&'static Row] {
    &ALL
}
