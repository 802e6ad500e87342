//! STS.

use super::state::State;
use super::wire::{Answer, Call, Caller, Fault, Outcome, fault_answer};

/// The namespace of its answers.
pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Lets a caller assume a role, and gives who it is then; the session's access key is [`Caller::key`].
pub(crate) fn assume(_: &mut State, _: &Caller, _region: &str, _role: &str, _session: &str) -> Outcome<Caller> {
    Err(Fault::new(501, "NotImplemented", "not yet"))
}

/// Answers a call.
pub(crate) fn answer(_: &mut State, call: &Call) -> Answer {
    fault_answer(call, Fault::new(501, "NotImplemented", "not yet"))
}
