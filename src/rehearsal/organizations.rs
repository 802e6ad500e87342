//! Organizations: neither account is in one.

use super::authorise::{Asked, authorise};
use super::state::State;
use super::wire::{Answer, Call, Fault, json_answer};

/// Answers a call.
pub(crate) fn answer(state: &mut State, call: &Call) -> Answer {
    let action = format!("organizations:{}", call.target());
    let allowed = authorise(state, &call.caller, Asked::by(call, &action, "*", &call.caller.account));
    let none = Fault::new(400, "AWSOrganizationsNotInUseException", "Your account is not a member of an organization.");
    json_answer(allowed.and(Err(none)))
}
