//! A plan as text.

use crate::deploy::plan::Plan;
use crate::deploy::snapshot::Identity;
use crate::deploy::write::{Change, Step, Write, counts};
use crate::model::Side;
use crate::policy;
use crate::ui::{Tone, Ui, paint};
use serde_json::Value;

/// Prints writes grouped by the article's steps.
pub fn writes(ui: &Ui, writes: &[Write], dev: &Identity, prod: &Identity) {
    let mut heading: Option<(Step, Side)> = None;
    for write in writes {
        if heading != Some((write.step, write.account)) {
            heading = Some((write.step, write.account));
            let account = match write.account {
                Side::Dev => &dev.account,
                Side::Prod => &prod.account,
            };
            let line = format!("{} {} ({} {account})", write.step.article(), write.step.title(), write.account);
            ui.result(&format!("\n{}", paint(Tone::Heading, &line)));
        }
        let change = write.call.change();
        let tone = match change {
            Change::Create => Tone::Added,
            Change::Update => Tone::Changed,
            Change::Delete => Tone::Removed,
        };
        ui.result(&format!("  {} {} {}", paint(tone, &change.sign().to_string()), write.call.verb(), write.title));
        ui.result(&format!("      {} {}", write.call.action(), write.resource));
        for line in statement_changes(write) {
            ui.result(&format!("      {line}"));
        }
    }
}

/// Says which statements of a document come, change or go.
fn statement_changes(write: &Write) -> Vec<String> {
    let (before, after) = write.call.documents();
    let (Some(before), Some(after)) = (before, after) else { return Vec::new() };
    let name =
        |statement: &Value| statement.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty()).unwrap_or("without Sid").to_owned();
    let (old, new) = (policy::statements(&before), policy::statements(&after));
    let mut lines = Vec::new();
    for statement in &new {
        if !old.contains(statement) {
            let same_sid = old.iter().any(|there| name(there) == name(statement) && name(there) != "without Sid");
            lines.push(format!("{} statement {}", if same_sid { '~' } else { '+' }, name(statement)));
        }
    }
    for statement in &old {
        if !new.contains(statement) && !new.iter().any(|there| name(there) == name(statement)) {
            lines.push(format!("- statement {}", name(statement)));
        }
    }
    lines
}

/// The closing line.
pub fn count_line(writes: &[Write]) -> String {
    let (add, change, remove) = counts(writes);
    format!("Plan: {add} to add, {change} to change, {remove} to remove.")
}

/// Prints a whole plan.
pub fn plan(ui: &Ui, plan: &Plan) {
    let snapshot = plan.snapshot();
    if plan.is_empty() {
        ui.result(&format!("No changes. Pipeline {} is as it should be.", plan.settings().pipeline));
    } else {
        ui.result(&format!("Plan for pipeline {} in {}:", plan.settings().pipeline, snapshot.dev.region));
        writes(ui, plan.writes(), &snapshot.dev, &snapshot.prod);
    }
    notes(ui, plan);
    if !plan.is_empty() {
        ui.result(&format!("\n{}", count_line(plan.writes())));
    }
}

fn notes(ui: &Ui, plan: &Plan) {
    let notes: Vec<_> = plan.notes().iter().collect();
    if notes.is_empty() {
        return;
    }
    ui.result("");
    for note in notes {
        ui.result(&format!("{}: {}", if note.warning { "warning" } else { "note" }, note.text));
    }
}
