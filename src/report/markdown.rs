//! Markdown (GitHub's), for a job's summary or a ticket.

use super::{Report, matters};
use crate::model::{Finding, Outcome, is_acted_on, printable};

/// Text in a paragraph or a cell of a table: whatever Markdown or HTML would make of it is taken away.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' | '$' => escaped.extend(['\\', character]),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // Names and links of others (`@team`) would call them.
            '@' => escaped.push_str("&#64;"),
            // The backslash that begins an escape is one of Markdown as well.
            character if is_acted_on(character) => escaped.extend(std::iter::once('\\').chain(character.escape_default())),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A block of text as it is, in a fence that is longer than any in it.
pub(super) fn block(language: &str, lines: &[String]) -> String {
    let text = lines.iter().map(|line| printable(line.clone())).collect::<Vec<_>>().join("\n");
    let (mut longest, mut run) = (0, 0);
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}\n")
}

/// Gives a section for one finding: what it says, why, what was seen, and what to do.
pub fn details(finding: &Finding) -> String {
    let check = finding.check;
    let mut text = format!("\n### {} {}\n\n", escape(check.id), escape(&format!("{}: {}", check.title, finding.subject)));
    text.push_str(&format!("{}: {}\n", finding.outcome, escape(&finding.message)));
    if finding.outcome == Outcome::Fail {
        text.push_str(&format!("\nWhy: {}\n", escape(check.why)));
    }
    if let Some((file, line)) = &finding.place {
        text.push_str(&format!("\nIn: {}{}\n", escape(file), line.map(|line| format!(", line {line}")).unwrap_or_default()));
    }
    for (title, lines) in [("Seen", &finding.evidence), ("Do", &finding.fix)] {
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}:\n\n{}", block("text", lines)));
        }
    }
    if check.docs.starts_with("https://") {
        text.push_str(&format!("\n<{}>\n", check.docs.replace(['<', '>', ' '], "")));
    }
    text
}

/// Gives a heading, the verdicts, a table of what fails, warns or couldn't tell, and the causes with what to do.
pub fn markdown(report: &Report<'_>) -> String {
    let mut text = format!("## xdeploy {}\n", escape(report.command));
    if !report.verdicts.is_empty() {
        text.push_str("\n| container | verdict |\n| --- | --- |\n");
        for (name, verdict) in &report.verdicts {
            text.push_str(&format!("| {} | {} |\n", escape(name), escape(verdict)));
        }
    }
    let counted = [Outcome::Fail, Outcome::CannotTell, Outcome::Warn, Outcome::Pass, Outcome::NotApplicable];
    let counts: Vec<String> = counted.iter().map(|outcome| format!("{} {outcome}", report.count(*outcome))).collect();
    text.push_str(&format!("\n{}\n", counts.join(", ")));
    let told: Vec<&Finding> = report.findings.iter().filter(|finding| matters(finding)).collect();
    if !told.is_empty() {
        text.push_str("\n| outcome | check | about | what | follows from |\n| --- | --- | --- | --- | --- |\n");
        for finding in &told {
            let row = [
                finding.outcome.to_string(),
                escape(&format!("{} {}", finding.check.id, finding.check.title)),
                escape(&finding.subject.to_string()),
                escape(&finding.message),
                escape(&finding.follows_from.join(", ")),
            ];
            text.push_str(&format!("| {} |\n", row.join(" | ")));
        }
    }
    // What follows from something else goes away with it.
    for finding in told.iter().filter(|finding| finding.follows_from.is_empty()) {
        text.push_str(&details(finding));
    }
    text
}
