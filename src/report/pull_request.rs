//! A plan as a comment on a pull request, in GitHub's Markdown.

use super::changes::{Line, groups, lines};
use super::markdown::{block, details, escape};
use super::matters;
use crate::deploy::kept::Kept;
use crate::deploy::write::{Note, Write};
use crate::model::{Finding, Side, printable};

/// What the comment is about.
#[derive(Debug, Clone)]
pub struct Sheet<'a> {
    /// The command, such as `plan`.
    pub command: &'a str,
    /// The pipeline.
    pub pipeline: &'a str,
    /// The development account and its region.
    pub dev: (&'a str, &'a str),
    /// The production account and its region.
    pub prod: (&'a str, &'a str),
    /// What is written.
    pub writes: &'a [Write],
    /// What stays.
    pub kept: &'a [Kept],
    /// Its count in a line.
    pub count: &'a str,
    /// The proof in a line; nothing for a command without one.
    pub proof: &'a str,
    /// What the proof and the comparison found.
    pub findings: &'a [Finding],
    /// What to know beside it.
    pub notes: &'a [Note],
}

/// Gives the comment: whose pipeline, the count, what changes by account and step, the differences folded away, what isn't allowed and
/// what would mend it, and the notes.
pub fn pull_request(sheet: &Sheet<'_>) -> String {
    let place = |(account, region): (&str, &str)| format!("{} ({})", escape(account), escape(region));
    let mut text = format!(
        "## xdeploy {}: pipeline {}\n\ndev {}, prod {}\n\n**{}**\n",
        escape(sheet.command),
        escape(sheet.pipeline),
        place(sheet.dev),
        place(sheet.prod),
        escape(sheet.count),
    );
    if !sheet.proof.is_empty() {
        text.push_str(&format!("\n{}\n", escape(sheet.proof)));
    }
    text.push_str(&changes(sheet));
    for write in sheet.writes {
        text.push_str(&difference(write, sheet.writes));
    }
    text.push_str(&stays(sheet.kept));
    let wrong: Vec<&Finding> =
        sheet.findings.iter().filter(|finding| matters(finding) && !finding.check.id.starts_with("XD-DRIFT")).collect();
    if !wrong.is_empty() {
        text.push_str("\n### Not allowed, or not certain\n");
    }
    text.extend(wrong.into_iter().map(details));
    for note in sheet.notes {
        text.push_str(&format!("\n> {}: {}\n", if note.warning { "**warning**" } else { "note" }, escape(&note.text)));
    }
    text
}

/// The table of changes.
fn changes(sheet: &Sheet<'_>) -> String {
    if sheet.writes.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n| account | step | change | call |\n| --- | --- | --- | --- |\n");
    for group in groups(sheet.writes, &[]) {
        let account = match group.account {
            Side::Dev => sheet.dev.0,
            Side::Prod => sheet.prod.0,
        };
        for write in group.writes {
            let row = [
                format!("{} {}", group.account, escape(account)),
                format!("{} {}", escape(group.step.article()), escape(group.step.title())),
                escape(&format!("{} {} {}", write.call.change().sign(), write.call.verb(), write.title)),
                escape(&format!("{} {}", write.call.action(), write.resource)),
            ];
            text.push_str(&format!("| {} |\n", row.join(" | ")));
        }
    }
    text
}

/// A line as `diff` has it: its sign comes first, and what changes inside is marked as a change.
fn as_diff(line: &Line) -> String {
    let sign = if line.sign == '~' { '!' } else { line.sign };
    format!("{sign} {}{}", "    ".repeat(line.depth), printable(line.text.clone()))
}

/// Text within a tag, where Markdown has no say and would show its own escapes.
fn html(text: &str) -> String {
    printable(text.to_owned()).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "&#64;")
}

fn difference(write: &Write, all: &[Write]) -> String {
    let found: Vec<String> = lines(write, all).iter().map(as_diff).collect();
    if found.is_empty() {
        return String::new();
    }
    let title = html(&format!("{} {} {}", write.call.change().sign(), write.call.verb(), write.title));
    format!("\n<details><summary>{title}</summary>\n\n{}\n</details>\n", block("diff", &found))
}

fn stays(kept: &[Kept]) -> String {
    if kept.is_empty() {
        return String::new();
    }
    let mut text = format!("\n<details><summary>= {} as they should be</summary>\n\n", kept.len());
    for one in kept {
        let maker = one.maker.words().map(|words| format!(" ({words})")).unwrap_or_default();
        text.push_str(&format!("- {} {}: {}{}\n", escape(one.step.article()), one.account, escape(&one.what), escape(&maker)));
    }
    text.push_str("\n</details>\n");
    text
}
