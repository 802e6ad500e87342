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

#[cfg(test)]
mod tests {
    use crate::rehearsal::{DEV, Rehearsal};
    use aws_smithy_types::error::metadata::ProvideErrorMetadata;

    #[tokio::test]
    async fn there_is_no_organisation() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
        let client = aws_sdk_organizations::Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"));
        let error = client.describe_organization().send().await.unwrap_err();
        assert_eq!(error.code(), Some("AWSOrganizationsNotInUseException"));
        let error = client.list_parents().child_id(DEV).send().await.unwrap_err();
        assert_eq!(error.code(), Some("AWSOrganizationsNotInUseException"));
    }
}
