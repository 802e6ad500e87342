//! Policy documents: reading every form AWS accepts, comparing grants, putting our statements in and taking them out,
//! and deciding requests.
//!
//! Pure: no I/O, no clock, no environment.

mod answer;
mod condition;
mod context;
mod decision;
mod diff;
mod document;
mod grant;
mod keys;
mod known_keys;
mod node;
mod orphan;
mod parsed;
mod pattern;
mod principal;
mod simulate;
mod strict;
mod unknown;
mod values;

pub use answer::{Decided, Decision, Missing, Reason};
pub use diff::{Element, Fate, PolicyDiff, StatementDiff, diff};
pub use document::{merge, remove, same_grants, sids, statements, without_statements};
pub use grant::{Grant, covers, delegates_to_root, grants_of, matches_pattern, names_in};
pub use keys::{condition_keys, condition_keys_of, dead_principals, each_document, names_below, statement_name};
pub use known_keys::{CallerKind, KeysOfCall, Known, WRITTEN, likely_of_key};
pub use orphan::{Orphan, Stays, is_orphaned, orphans, without_orphans};
pub use simulate::{decide, simulate};
pub use strict::{answer_line, simulate_line};
