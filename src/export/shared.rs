//! What the formats share: which writes are whose, what they wait for, and names for keys that nobody knows yet.

use crate::deploy::plan::Plan;
use crate::deploy::redaction::holds_hash;
use crate::deploy::snapshot::Identity;
use crate::deploy::write::{Call, EVERYTHING, Write, key_placeholder};
use crate::error::Error;
use crate::model::{Side, printable};
use serde_json::Value;
use std::collections::BTreeSet;

/// Lists all writes, in an order in which they can be done: also what a plan for one side leaves for later, since whoever runs
/// the text may run it again when the other side is ready.
pub(super) fn every(plan: &Plan) -> impl Iterator<Item = &Write> {
    plan.writes().iter().chain(plan.later())
}

/// Lists the writes of one account, or all.
pub(super) fn writes_of(plan: &Plan, side: Option<Side>) -> Vec<&Write> {
    every(plan).filter(|write| side.is_none_or(|side| write.account == side)).collect()
}

/// Gives who and where a side is.
pub(super) fn identity(plan: &Plan, side: Side) -> &Identity {
    plan.snapshot().identity(side)
}

/// Lists the sides that these writes are of.
pub(super) fn sides(writes: &[&Write]) -> BTreeSet<Side> {
    writes.iter().map(|write| write.account).collect()
}

/// Turns a region into a part of a name: letters, digits and underscores.
pub(super) fn underscored(region: &str) -> String {
    region.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}

/// Lists the regions whose key these writes make.
pub(super) fn keys_made(writes: &[&Write]) -> BTreeSet<String> {
    let made = |write: &&Write| match &write.call {
        Call::CreateKey { region, .. } => Some(region.clone()),
        Call::ReplicateKey { replica_region, .. } => Some(replica_region.clone()),
        _ => None,
    };
    writes.iter().filter_map(made).collect()
}

/// Lists the regions whose key these writes name, but the other account's make.
pub(super) fn keys_told(plan: &Plan, writes: &[&Write]) -> Vec<String> {
    let made = keys_made(writes);
    let named = |region: &&String| {
        let placeholder = key_placeholder(region);
        writes.iter().any(|write| serde_json::to_string(&write.call).is_ok_and(|call| call.contains(&placeholder)))
    };
    plan.snapshot().keys.keys().filter(|region| !made.contains(*region)).filter(named).cloned().collect()
}

/// Says what the other account must have done before: a line for each write of ours that waits for some of theirs.
pub(super) fn waits_for(plan: &Plan, side: Side) -> Vec<String> {
    let mut lines = Vec::new();
    let all: Vec<&Write> = every(plan).collect();
    for (index, write) in all.iter().enumerate().filter(|(_, write)| write.account == side) {
        let theirs: Vec<&Write> = all[..index].iter().filter(|earlier| earlier.account != side).copied().collect();
        let other = side.other();
        if write.needs.iter().any(|need| need == EVERYTHING) {
            if !theirs.is_empty() {
                lines.push(format!("\"{}\" needs all that {other} does before it", title(write)));
            }
            continue;
        }
        let needed = theirs.iter().filter(|earlier| earlier.gives.iter().any(|given| write.needs.contains(given)));
        lines.extend(needed.map(|earlier| format!("\"{}\" needs {other}'s \"{}\"", title(write), title(earlier))));
    }
    lines
}

/// Gives a write's line, such as `create role r`: one line, whatever its names hold.
pub(super) fn title(write: &Write) -> String {
    printable(format!("{} {}", write.call.verb(), write.title))
}

/// Gives a line of a comment in a shell script or in Terraform's configuration. A name that ended it would be read as code.
pub(super) fn comment(line: &str) -> String {
    let line = printable(line.to_owned());
    if line.is_empty() { "#\n".to_owned() } else { format!("# {line}\n") }
}

/// Gives code within a line of Markdown, also where it holds backticks.
pub(super) fn code(text: &str) -> String {
    let text = printable(text.to_owned());
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let (marks, space) = ("`".repeat(longest + 1), if longest > 0 { " " } else { "" });
    format!("{marks}{space}{text}{space}{marks}")
}

/// Lists the writes of a redacted plan whose documents hold more than may be written down.
pub(super) fn withheld(plan: &Plan) -> Vec<String> {
    every(plan).filter(|write| is_withheld(write)).map(title).collect()
}

/// Returns true if a write of a redacted plan would put a hash in the place of a value.
pub(super) fn is_withheld(write: &Write) -> bool {
    serde_json::to_string(&write.call).is_ok_and(|call| holds_hash(&call))
}

/// What is said in the place of a document that holds what may be a secret.
pub(super) const WITHHELD_STEP: &str =
    "The document holds what may be a secret, so it isn't written here: `xdeploy setup` makes this change, and shows none of it.";

/// Says that a plan of setup never holds a call, since only teardown makes it.
pub(super) fn never_planned(call: &Call) -> Error {
    Error::internal(format!("{} is not of a set-up", call.action()))
}

/// Gives a bucket's notification configuration as the AWS CLI writes it; `None` if it holds what isn't known here, which the CLI
/// could drop.
pub(super) fn notification(xml: &str) -> Option<Value> {
    super::notification::as_json(xml)
}
