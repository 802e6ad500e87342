//! Small things that everything here needs: chance, time, a bucket by its name.

use super::bucket::Bucket;
use crate::rehearsal::state::State;
use crate::rehearsal::wire::{Fault, Outcome};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// What the ids of versions are made of.
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";

/// Gives the id of a new version.
pub(super) fn version_id(state: &mut State) -> String {
    state.random.text(LETTERS, 32)
}

/// Seconds since 1970.
pub(super) fn now(state: &State) -> i64 {
    i64::try_from(state.clock / 1000).unwrap_or_default()
}

/// Gives a time as S3's XML has it.
pub(crate) fn instant(seconds: i64) -> String {
    let text = DateTime::from_secs(seconds).fmt(Format::DateTime).unwrap_or_default();
    // S3 always shows milliseconds.
    text.strip_suffix('Z').map(|text| format!("{text}.000Z")).unwrap_or(text)
}

/// Gives a time as headers have it.
pub(super) fn http_date(seconds: i64) -> String {
    DateTime::from_secs(seconds).fmt(Format::HttpDate).unwrap_or_default()
}

pub(super) fn bucket<'s>(state: &'s State, name: &str) -> Outcome<&'s Bucket> {
    state.buckets.get(name).ok_or_else(gone)
}

pub(super) fn bucket_mut<'s>(state: &'s mut State, name: &str) -> Outcome<&'s mut Bucket> {
    state.buckets.get_mut(name).ok_or_else(gone)
}

fn gone() -> Fault {
    Fault::new(404, "NoSuchBucket", "The specified bucket does not exist")
}
