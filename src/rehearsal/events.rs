//! EventBridge (awsJson 1.1).

use super::state::State;
use super::wire::{Answer, Call, Fault, fault_answer};

/// A rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rule {}

/// An object that S3 tells of.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    pub bucket: String,
    pub key: String,
    pub size: usize,
    pub etag: String,
    pub version: Option<String>,
    /// The call that made it.
    pub reason: String,
}

/// Tells the rules of an account that an object was made.
pub(crate) fn object_created(_: &mut State, _: &Call, _: &Created) {}

/// Answers a call.
pub(crate) fn answer(_state: &mut State, call: &Call) -> Answer {
    fault_answer(call, Fault::new(501, "NotImplemented", "not yet"))
}
