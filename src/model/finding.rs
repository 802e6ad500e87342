//! What a check found: one shape for the text, the JSON and every report.

use super::printable;
use serde::Serialize;
use std::fmt;

/// A rule with an id of its own: something that is looked at, on a container host or in two accounts, or a way in which a deployment
/// fails; a row of the reference.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// `XD-ECS-0NN`, `XD-CALL-0NN`, `XD-CP-0NN`, …; never used again for something else.
    pub id: &'static str,
    /// What is looked at, or what is wrong, in a few words.
    pub title: &'static str,
    /// What goes wrong where it doesn't hold; for a failure its cause.
    pub why: &'static str,
    /// What to do about it, in words; a finding or an explanation adds the commands or statements for its place.
    pub fix: &'static str,
    /// Where AWS describes it.
    pub docs: &'static str,
    /// The steps of article A that it is about, or the points of article B that it answers (`A2.3`, `B1` to `B7`, or `A` and `B` for
    /// what stands above the points).
    pub article: &'static [&'static str],
}

/// What came of looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Pass,
    /// There is nothing here that it could hold for.
    NotApplicable,
    /// It works, but somebody should know.
    Warn,
    /// What is needed to tell could not be read.
    CannotTell,
    /// It doesn't hold.
    Fail,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Pass => "pass",
            Outcome::NotApplicable => "not applicable",
            Outcome::Warn => "warn",
            Outcome::CannotTell => "can't tell",
            Outcome::Fail => "fail",
        })
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The host as a whole.
    Host,
    /// What comes in by an interface of the host.
    Interface(String),
    /// A container, by its name in Docker.
    Container(String),
    /// A role, by its ARN.
    Role(String),
    /// A pipeline, by its name.
    Pipeline(String),
    /// A command of xdeploy, by its name.
    Command(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Subject::Host => return f.write_str("host"),
            Subject::Interface(name) => ("interface", name),
            Subject::Container(name) => ("container", name),
            Subject::Role(arn) => ("role", arn),
            Subject::Pipeline(name) => ("pipeline", name),
            Subject::Command(name) => ("command", name),
        };
        write!(f, "{kind} {}", printable(name.clone()))
    }
}

/// What one check says of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: &'static Check,
    /// What it is about.
    pub subject: Subject,
    /// What came of it.
    pub outcome: Outcome,
    /// What was seen, as one sentence without a period.
    pub message: String,
    /// Where it was seen: files with lines, rules, values that may be told.
    pub evidence: Vec<String>,
    /// What to run or to write here, most useful first.
    pub fix: Vec<String>,
    /// The file that it is about, if it is one, and its line.
    pub place: Option<(String, Option<usize>)>,
    /// The variable of that file that it is about, by the name that whoever wrote it meant.
    pub variable: Option<String>,
    /// The ids of the checks whose failure explains this one; empty for a cause of its own.
    pub follows_from: Vec<&'static str>,
}

impl Finding {
    /// Makes a finding about the host.
    pub fn new(check: &'static Check, outcome: Outcome, message: impl Into<String>) -> Finding {
        Finding {
            check,
            subject: Subject::Host,
            outcome,
            message: printable(message.into()),
            evidence: Vec::new(),
            fix: Vec::new(),
            place: None,
            variable: None,
            follows_from: Vec::new(),
        }
    }

    /// Says what it is about.
    #[must_use]
    pub fn about(mut self, subject: Subject) -> Finding {
        self.subject = subject;
        self
    }

    /// Adds what was seen.
    #[must_use]
    pub fn seen(mut self, evidence: impl Into<String>) -> Finding {
        self.evidence.push(printable(evidence.into()));
        self
    }

    /// Adds what to run or to write.
    #[must_use]
    pub fn mend(mut self, fix: impl Into<String>) -> Finding {
        self.fix.push(printable(fix.into()));
        self
    }

    /// Says which file, and which line of it.
    #[must_use]
    pub fn at(mut self, file: impl Into<String>, line: Option<usize>) -> Finding {
        self.place = Some((file.into(), line));
        self
    }

    /// Says which variable of the file it is about.
    #[must_use]
    pub fn of_variable(mut self, name: impl Into<String>) -> Finding {
        self.variable = Some(name.into());
        self
    }

    /// Says whether it is a failure that nothing else explains.
    pub fn is_cause(&self) -> bool {
        self.outcome == Outcome::Fail && self.follows_from.is_empty()
    }
}
