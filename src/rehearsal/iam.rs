//! IAM.

use super::state::State;
use super::wire::{Answer, Call, Fault, fault_answer};

/// The namespace of its answers.
pub(crate) const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// Answers a call.
pub(crate) fn answer(_: &mut State, call: &Call) -> Answer {
    fault_answer(call, Fault::new(501, "NotImplemented", "not yet"))
}
