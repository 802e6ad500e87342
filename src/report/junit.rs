//! JUnit's XML, as Jenkins and GitLab read it: a suite for each subject, a case for each of its checks.

use super::Report;
use crate::model::{Finding, Outcome, is_acted_on};
use std::fmt::Write;

/// One case: the findings of a check about a subject.
struct Case<'a> {
    subject: String,
    findings: Vec<&'a Finding>,
}

impl Case<'_> {
    /// The worst; something that holds counts more than something that isn't there.
    fn outcome(&self) -> Outcome {
        let outcomes = || self.findings.iter().map(|finding| finding.outcome);
        match outcomes().max() {
            Some(Outcome::NotApplicable) if outcomes().any(|outcome| outcome == Outcome::Pass) => Outcome::Pass,
            worst => worst.unwrap_or(Outcome::NotApplicable),
        }
    }

    fn is_skipped(&self) -> bool {
        match self.outcome() {
            Outcome::CannotTell | Outcome::NotApplicable => true,
            Outcome::Pass | Outcome::Warn | Outcome::Fail => false,
        }
    }

    /// The messages of the findings that make the outcome.
    fn message(&self) -> String {
        let outcome = self.outcome();
        let decisive = self.findings.iter().filter(|finding| finding.outcome == outcome);
        decisive.map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// Everything that was seen, line by line.
    fn text(&self) -> String {
        let mut lines = Vec::new();
        for finding in self.findings.iter().filter(|finding| super::matters(finding)) {
            lines.push(format!("{}: {}", finding.outcome, finding.message));
            if let Some((file, line)) = &finding.place {
                lines.push(format!("in: {file}{}", line.map(|line| format!(":{line}")).unwrap_or_default()));
            }
            lines.extend(finding.evidence.iter().map(|evidence| format!("seen: {evidence}")));
            lines.extend(finding.fix.iter().map(|fix| format!("do: {fix}")));
            if !finding.follows_from.is_empty() {
                lines.push(format!("follows from: {}", finding.follows_from.join(", ")));
            }
            if finding.outcome == Outcome::Fail {
                lines.push(format!("why: {}", finding.check.why));
            }
            lines.push(format!("see: {}", finding.check.docs));
        }
        lines.join("\n")
    }
}

/// Text for an element, whose line breaks stay.
fn escape_text(text: &str) -> String {
    escape(text).replace("&#10;", "\n")
}

/// Text for an attribute. What a terminal would act on, control characters among it, which XML 1.0 can't hold, is made visible.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            // `]]>` may not stand in text.
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // A reader turns bare ones into spaces in attributes.
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\u{FFFE}' | '\u{FFFF}' => escaped.push('\u{FFFD}'),
            other if is_acted_on(other) => escaped.extend(other.escape_default()),
            other => escaped.push(other),
        }
    }
    escaped
}

fn cases<'a>(report: &Report<'a>) -> Vec<Case<'a>> {
    let mut cases: Vec<Case<'a>> = Vec::new();
    for finding in report.findings {
        let subject = finding.subject.to_string();
        match cases.iter_mut().find(|case| case.subject == subject && case.findings.iter().any(|other| other.check.id == finding.check.id))
        {
            Some(case) => case.findings.push(finding),
            None => cases.push(Case { subject, findings: vec![finding] }),
        }
    }
    cases
}

fn counts<'c>(cases: impl Iterator<Item = &'c Case<'c>>) -> (usize, usize, usize) {
    cases.fold((0, 0, 0), |(all, failed, skipped), case| {
        (all + 1, failed + usize::from(case.outcome() == Outcome::Fail), skipped + usize::from(case.is_skipped()))
    })
}

/// Gives the XML. A failed check is a failure; one that couldn't tell or had nothing to look at is skipped; a warning passes and
/// says so in its output. Several findings of a check about one subject are one case.
pub fn junit(report: &Report<'_>) -> String {
    let cases = cases(report);
    let mut subjects: Vec<&str> = Vec::new();
    for case in &cases {
        if !subjects.contains(&case.subject.as_str()) {
            subjects.push(&case.subject);
        }
    }
    let name = escape(&format!("xdeploy {}", report.command));
    let (all, failed, _) = counts(cases.iter());
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing into a text can't fail.
    let _ = writeln!(xml, "<testsuites name=\"{name}\" tests=\"{all}\" failures=\"{failed}\" errors=\"0\">");
    for subject in subjects {
        let own = || cases.iter().filter(|case| case.subject == subject);
        let (all, failed, skipped) = counts(own());
        let subject_name = escape(subject);
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{subject_name}\" tests=\"{all}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\" version=\"{}\">",
            escape(report.tool_version)
        );
        for case in own() {
            let Some(check) = case.findings.first().map(|finding| finding.check) else { continue };
            let _ = write!(
                xml,
                "    <testcase classname=\"{name}: {subject_name}\" name=\"{}\"",
                escape(&format!("{} {}", check.id, check.title))
            );
            let (message, text) = (escape(&case.message()), escape_text(&case.text()));
            let _ = match case.outcome() {
                Outcome::Pass => writeln!(xml, "/>"),
                Outcome::NotApplicable => {
                    writeln!(xml, ">\n      <skipped type=\"not applicable\" message=\"{message}\"/>\n    </testcase>")
                }
                Outcome::CannotTell => {
                    writeln!(xml, ">\n      <skipped type=\"can&apos;t tell\" message=\"{message}\">{text}</skipped>\n    </testcase>")
                }
                Outcome::Warn => writeln!(xml, ">\n      <system-out>{text}</system-out>\n    </testcase>"),
                Outcome::Fail => writeln!(xml, ">\n      <failure type=\"fail\" message=\"{message}\">{text}</failure>\n    </testcase>"),
            };
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}
