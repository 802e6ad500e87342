//! Annotations for GitHub Actions, as workflow commands; a line each.

use super::{Report, matters};
use crate::model::{Finding, Outcome, printable};

/// The message of a workflow command. A line break in it would begin a line of its own, and with it any command.
fn data(text: &str) -> String {
    printable(text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A"))
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn annotation(finding: &Finding) -> String {
    let command = match finding.outcome {
        Outcome::Fail => "error",
        Outcome::Warn => "warning",
        Outcome::CannotTell | Outcome::Pass | Outcome::NotApplicable => "notice",
    };
    let mut properties = Vec::new();
    if let Some((file, line)) = &finding.place {
        properties.push(format!("file={}", property(file)));
        properties.extend(line.map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", property(&format!("{} {}", finding.check.id, finding.check.title))));
    let mut message = format!("{}: {}", finding.subject, finding.message);
    for fix in &finding.fix {
        message.push_str(&format!("\ndo: {fix}"));
    }
    format!("::{command} {}::{}\n", properties.join(","), data(&message))
}

/// Gives `::error`, `::warning` or `::notice` for each finding that fails, warns or couldn't tell; empty if none does.
pub fn github(report: &Report<'_>) -> String {
    report.findings.iter().filter(|finding| matters(finding)).map(annotation).collect()
}
