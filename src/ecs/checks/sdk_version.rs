//! XD-ECS-040: the SDK knows task roles.

use super::about::{nothing, of_container, tasks};
use crate::ecs::facts::HostFacts;
use crate::ecs::facts::SdksFound;
use crate::ecs::host::sdks::Sdk;
use crate::ecs::sdk_table::{of, too_old_among};
use crate::model::Readable;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-040",
    title: "the SDK knows task roles",
    why: "an SDK from before July 2016 never asks for the task's role: it uses the instance's",
    fix: "update the SDK in the image",
    docs: "https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html",
    article: &["B5"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in tasks(facts) {
        let finding = match &container.sdks {
            Readable::Unknown(why) => Finding::new(&CHECK, Outcome::CannotTell, format!("its files weren't searched: {why}")),
            Readable::Known(SdksFound { sdks, incomplete }) => {
                let names = |list: &[&Sdk]| list.iter().map(|sdk| format!("{} {}", sdk.kind, sdk.version)).collect::<Vec<_>>().join(", ");
                let old: Vec<&Sdk> = sdks.iter().filter(|sdk| too_old_among(sdk, sdks) == Some(true)).collect();
                let unclear: Vec<&Sdk> = sdks.iter().filter(|sdk| too_old_among(sdk, sdks).is_none()).collect();
                if !old.is_empty() {
                    let mut finding = Finding::new(
                        &CHECK,
                        if old.len() == sdks.len() { Outcome::Fail } else { Outcome::Warn },
                        format!("{} is older than task roles", names(&old)),
                    );
                    for sdk in &old {
                        let least = of(sdk.kind).minimum_version().unwrap_or("none that is known");
                        finding = finding.seen(format!("{} {} in {}; the first that knows them: {least}", sdk.kind, sdk.version, sdk.path));
                    }
                    finding.mend("update the SDK in the image, and deploy the task again")
                } else if !unclear.is_empty() {
                    Finding::new(&CHECK, Outcome::CannotTell, format!("the version of {} can't be judged", names(&unclear)))
                } else if sdks.is_empty() {
                    let why = incomplete.as_deref().map_or_else(String::new, |why| format!(" ({why})"));
                    Finding::new(&CHECK, Outcome::CannotTell, format!("no AWS SDK was found by its files{why}"))
                } else {
                    Finding::new(&CHECK, Outcome::Pass, names(&sdks.iter().collect::<Vec<_>>()))
                }
            }
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(nothing(facts, &CHECK, "no container of a task runs here"));
    }
    found
}
