//! A plan as text.

use crate::deploy::kept::{self, Kept};
use crate::deploy::plan::Plan;
use crate::deploy::snapshot::Identity;
use crate::deploy::write::{Write, counts};
use crate::model::{Side, counted};
use crate::report;
use crate::ui::{Text, Tone, Ui, paint};

/// Prints writes grouped by the article's steps, with what changes in each document, and what stays.
pub fn writes(ui: &Ui, writes: &[Write], kept: &[Kept], dev: &Identity, prod: &Identity) {
    for group in report::groups(writes, kept) {
        let account = match group.account {
            Side::Dev => &dev.account,
            Side::Prod => &prod.account,
        };
        let line = format!("{} {} ({} {account})", group.step.article(), group.step.title(), group.account);
        ui.section(&paint(Tone::Heading, &line));
        for write in group.writes {
            let sign = write.call.change().sign();
            ui.result(&(Text::from("  ") + paint(tone(sign), sign) + format!(" {} {}", write.call.verb(), write.title)));
            ui.result(&format!("      {} {}", write.call.action(), write.resource));
            for line in report::short(write, writes) {
                let before = format!("      {}", "    ".repeat(line.depth));
                ui.result(&(Text::from(before) + paint(tone(line.sign), line.sign) + format!(" {}", line.text)));
            }
        }
        for one in group.kept {
            let maker = one.maker.words().map(|words| format!(" ({words})")).unwrap_or_default();
            ui.result(&format!("  = keep {}{maker}", one.what));
        }
    }
}

fn tone(sign: char) -> Tone {
    match sign {
        '+' => Tone::Added,
        '-' => Tone::Removed,
        _ => Tone::Changed,
    }
}

/// The closing line.
pub fn count_line(writes: &[Write], kept: usize) -> String {
    let (add, change, remove) = counts(writes);
    format!("Plan: {add} to add, {change} to change, {remove} to remove, {kept} as they should be.")
}

/// Prints a whole plan.
pub fn plan(ui: &Ui, plan: &Plan) {
    let snapshot = plan.snapshot();
    let kept = kept::of_plan(plan);
    if let Some(side) = plan.settings().side.filter(|_| plan.is_empty()) {
        ui.result(&format!("No changes. What {side} can do for pipeline {} is done.", plan.settings().pipeline));
        ui.result(&counted(kept.len(), "thing is as it should be.", "things are as they should be."));
    } else if plan.is_empty() {
        ui.result(&format!("No changes. Pipeline {} is as it should be.", plan.settings().pipeline));
        ui.result(&counted(kept.len(), "thing is as it should be.", "things are as they should be."));
    } else {
        ui.result(&format!("Plan for pipeline {} in {}:", plan.settings().pipeline, snapshot.dev.region));
        writes(ui, plan.writes(), &kept, &snapshot.dev, &snapshot.prod);
    }
    notes(ui, plan);
    if !plan.is_empty() {
        ui.section(&count_line(plan.writes(), kept.len()));
    }
}

/// Prints what a plan for one side leaves to the other, and what waits for that.
pub fn later(ui: &Ui, plan: &Plan, side: Side) {
    let (theirs, own): (Vec<&Write>, Vec<&Write>) = plan.later().iter().partition(|write| write.account != side);
    let other = side.other();
    let list = |heading: String, writes: &[&Write]| {
        if writes.is_empty() {
            return;
        }
        ui.section(&paint(Tone::Heading, &heading));
        for write in writes {
            ui.result(&format!("  {:<11} {} {}", write.step.article(), write.call.verb(), write.title));
        }
    };
    let account = match other {
        Side::Dev => &plan.snapshot().dev.account,
        Side::Prod => &plan.snapshot().prod.account,
    };
    list(format!("Left to {other} ({account}):"), &theirs);
    list(format!("Waits for {other}:"), &own);
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
