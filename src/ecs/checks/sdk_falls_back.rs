//! XD-ECS-041: the SDK fails where it can't get the task's role.

use super::about::{nothing, of_container, tasks};
use crate::ecs::facts::HostFacts;
use crate::ecs::facts::SdksFound;
use crate::ecs::sdk_table::{OnEndpointError, on_endpoint_error};
use crate::model::{Check, Finding, Outcome, Readable};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-041",
    title: "the SDK fails where it can't get the task's role",
    why: "some SDKs go on to the instance's role without a word when the credentials' address fails, at any version",
    fix: "give the client its provider (the container one) explicitly, or keep tasks from the instance metadata service",
    docs: "https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html",
    article: &["B5"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in tasks(facts) {
        let sdks = match &container.sdks {
            Readable::Known(SdksFound { sdks, .. }) => sdks,
            Readable::Unknown(why) => {
                let finding = Finding::new(&CHECK, Outcome::CannotTell, format!("its files weren't searched: {why}"));
                found.push(of_container(finding, container));
                continue;
            }
        };
        let falling: Vec<String> = sdks
            .iter()
            .filter(|sdk| on_endpoint_error(sdk) == OnEndpointError::UsesInstanceRole)
            .map(|sdk| format!("{} {} ({})", sdk.kind, sdk.version, sdk.path))
            .collect();
        let finding = if falling.is_empty() {
            continue;
        } else if container.reaches_imds.known() == Some(&false) {
            Finding::new(&CHECK, Outcome::Pass, "its SDK would fall back, and it can't reach the instance metadata service")
        } else {
            let message = format!("{} uses the instance's role without a word whenever 169.254.170.2 fails", falling.join(", "));
            Finding::new(&CHECK, Outcome::Warn, message)
                .mend("keep tasks from the instance metadata service, or give the client the container provider explicitly")
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(match facts.containers.known() {
            Some(_) => Finding::new(&CHECK, Outcome::Pass, "no SDK that was found falls back"),
            None => nothing(facts, &CHECK, ""),
        });
    }
    found
}
