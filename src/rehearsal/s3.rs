//! Stub.

use super::state::State;
use super::wire::{Answer, Call, Fault, fault_answer};

/// Stub.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bucket {}

pub(crate) fn answer(_state: &mut State, call: &Call) -> Answer {
    fault_answer(call, Fault::new(501, "NotImplemented", "not yet"))
}
