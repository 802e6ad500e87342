//! XD-ECS-056: no saved rule doubles the agent's own.

use super::about::{Flavour, SAVED, unread};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-056",
    title: "no saved rule doubles the agent's own",
    why: "ecs-init adds its rules at each start without looking: with a saved copy they are there twice, and Docker's own chains are frozen",
    fix: "take them out of the saved file",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B6"],
};

/// Looks, where the agent's supervisor brings the rules.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    if let Some(finding) = unread(facts, &CHECK, SAVED) {
        return vec![finding];
    }
    if !Flavour::of(facts).brings_rules() {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "the rules are saved by hand here")];
    }
    let copy = facts.saved.rules.iter().find(|file| file.names_endpoint && facts.saved.enabled.iter().any(|unit| unit == file.unit));
    let finding = match copy {
        None => Finding::new(&CHECK, Outcome::Pass, "no saved file has them"),
        Some(file) => Finding::new(
            &CHECK,
            Outcome::Warn,
            format!("{} has the agent's rules, and {} brings them back beside its own", file.path, file.unit),
        )
        .at(&file.path, None)
        .mend(format!("take the lines with 169.254.170.2, and Docker's chains, out of {}", file.path)),
    };
    vec![finding]
}
