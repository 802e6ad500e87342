//! `--report FORMAT=FILE`: one flag and one way of writing for every command that has something to report.

use super::ask;
use crate::deploy::{findings, rules};
use crate::error::{Error, Result, file_error};
use crate::files;
use crate::model::{Check, Finding, json_text};
use crate::report::{self, Report};
use crate::settings::variable;
use crate::ui::Ui;
use clap::ValueEnum;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The language of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The document that `--output json` prints.
    Json,
    /// For test results.
    Junit,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// GitHub's workflow commands; `-` for the job's log, where GitHub reads them.
    Github,
    /// For a pull request or a step's summary.
    Markdown,
}

/// Where the annotations go that GitHub is to read: stderr, so that stdout stays the result.
const LOG: &str = "-";

/// Reads `FORMAT=FILE`.
fn report_file(text: &str) -> std::result::Result<(Format, PathBuf), String> {
    let (format, file) =
        text.split_once('=').filter(|(_, file)| !file.is_empty()).ok_or("a report is FORMAT=FILE, such as junit=report.xml")?;
    let format = Format::from_str(format, true)?;
    match (format, file) {
        (Format::Github, LOG) => {}
        (Format::Json, LOG) => return Err("json on stdout is `--output json`; a report needs a file".to_owned()),
        (_, LOG) => return Err("only `github` goes to the log; a report of another format needs a file".to_owned()),
        _ => {}
    }
    Ok((format, file.into()))
}

/// The flag.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ReportFlags {
    /// Also write a report: json, junit, sarif, github (`-` for the log) or markdown; may be given several times
    #[arg(long, value_name = "FORMAT=FILE", env = "XDEPLOY_REPORT", value_delimiter = ',', value_parser = report_file)]
    pub report: Vec<(Format, PathBuf)>,
}

/// What a command has to report, as far as it came.
#[derive(Debug, Clone)]
pub struct Told {
    /// The command, such as `verify`.
    pub command: &'static str,
    /// The document that `--output json` prints.
    pub document: Value,
    /// What it found.
    pub findings: Vec<Finding>,
    /// The rules that it looked at.
    pub checks: Vec<&'static Check>,
    /// What a verdict is about, and the verdict.
    pub verdicts: Vec<(String, String)>,
    /// The Markdown; `None` for the findings as a table.
    pub markdown: Option<String>,
}

impl Told {
    /// Takes findings in beside those that are there.
    pub fn add(&mut self, findings: Vec<Finding>, checks: &[&'static Check]) {
        if let Some(markdown) = &mut self.markdown {
            markdown.extend(findings.iter().filter(|finding| report::matters(finding)).map(report::details));
        }
        self.findings.extend(findings);
        self.checks.extend(checks);
    }

    /// Takes in that the command failed.
    pub fn fail(&mut self, error: &Error) {
        self.findings.retain(|finding| finding.check.id != rules::RUN);
        self.checks.retain(|check| check.id != rules::RUN);
        self.add(findings::of_command(self.command, Some(error)).into_iter().collect(), &rules::of(rules::RUN));
    }
}

/// The reports that were asked for, and what there is to write into them so far.
#[derive(Debug)]
pub struct Reports {
    command: &'static str,
    wanted: Vec<(Format, PathBuf)>,
    told: RefCell<Option<Told>>,
}

impl Reports {
    /// Looks at the flag before anything is asked of anybody.
    ///
    /// # Errors
    /// Two reports go into one file, or a file can't be written.
    pub fn ready(flags: &ReportFlags, command: &'static str) -> Result<Reports> {
        let mut places = BTreeSet::new();
        for (_, path) in &flags.report {
            if path != Path::new(LOG) {
                files::may_write(path).map_err(|error| file_error("write the report", path, &error))?;
            }
            if !files::is_stream(path) && !places.insert(files::place(path)) {
                return Err(Error::usage(format!("--report: two reports go into {}", path.display())).hint("give each a file of its own"));
            }
        }
        Ok(Reports { wanted: flags.report.clone(), ..Reports::none(command) })
    }

    /// No reports: what is said is only kept.
    pub fn none(command: &'static str) -> Reports {
        Reports { command, wanted: Vec::new(), told: RefCell::default() }
    }

    /// The command that reports.
    pub fn command(&self) -> &'static str {
        self.command
    }

    /// Gives what was said, and forgets it.
    pub fn take(&self) -> Option<Told> {
        self.told.borrow_mut().take()
    }

    /// Takes what there is to say, in the place of what was said before.
    pub fn say(&self, told: Told) {
        *self.told.borrow_mut() = Some(told);
    }

    /// Takes findings in beside what was said.
    pub fn add(&self, more: &Told) {
        if let Some(told) = &mut *self.told.borrow_mut() {
            told.add(more.findings.clone(), &more.checks);
        }
    }

    /// Takes the document of a command that failed after it had something to say.
    pub fn amend(&self, document: &Value) {
        if let Some(told) = &mut *self.told.borrow_mut() {
            told.document.clone_from(document);
        }
    }

    /// Prints the document that is the result, and takes it for the reports.
    pub fn result(&self, ui: &Ui, code: u8, document: &Value) -> u8 {
        ui.json(document);
        let mut told = self.told.borrow_mut();
        let told = told.get_or_insert_with(|| self.bare(None));
        told.document.clone_from(document);
        if let (Some(markdown), Some(true)) = (&mut told.markdown, document.get("applied").and_then(Value::as_bool)) {
            markdown.push_str("\nApplied.\n");
        }
        code
    }

    /// Writes the reports, also of a command that failed: what it had to say, and the error.
    ///
    /// # Errors
    /// The command's own, or a report can't be written.
    pub fn finish(&self, ui: &Ui, outcome: Result<u8>) -> Result<u8> {
        let told = match (self.take(), &outcome) {
            (Some(mut told), Err(error)) => {
                if let Some(members) = told.document.as_object_mut() {
                    members.insert("error".to_owned(), ask::error_document(error));
                }
                told.fail(error);
                told
            }
            (Some(told), Ok(_)) => told,
            // It had nothing to say yet; whatever an earlier run has left in the files would be read as this one's.
            (None, outcome) => self.bare(outcome.as_ref().err()),
        };
        let written = self.write(ui, &told);
        match (outcome, written) {
            (Err(error), Err(second)) => {
                ask::warn(ui, "", &second);
                Err(error)
            }
            (Err(error), Ok(())) | (Ok(_), Err(error)) => Err(error),
            (Ok(code), Ok(())) => Ok(code),
        }
    }

    /// All that is to be said of a command that found nothing.
    fn bare(&self, error: Option<&Error>) -> Told {
        Told {
            command: self.command,
            document: error.map_or(Value::Null, ask::error_document),
            findings: findings::of_command(self.command, error).into_iter().collect(),
            checks: rules::of(rules::RUN),
            verdicts: Vec::new(),
            markdown: None,
        }
    }

    fn write(&self, ui: &Ui, told: &Told) -> Result<()> {
        let Told { command, findings, checks, verdicts, .. } = told;
        let report = Report { tool_version: env!("CARGO_PKG_VERSION"), command, findings, checks, verdicts: verdicts.clone() };
        let pretty = |value: &Value| json_text(value) + "\n";
        let markdown = || told.markdown.clone().unwrap_or_else(|| report::markdown(&report));
        for (format, path) in &self.wanted {
            let text = match format {
                Format::Json => pretty(&told.document),
                Format::Junit => report::junit(&report),
                Format::Sarif => pretty(&report::sarif(&report)),
                Format::Github => report::github(&report),
                Format::Markdown => markdown(),
            };
            match path == Path::new(LOG) {
                true if text.is_empty() => {}
                true => ui.annotations(&text),
                false => files::write_whole(path, &text, None).map_err(|error| file_error("write the report", path, &error))?,
            }
        }
        if self.wanted.iter().any(|(format, _)| *format == Format::Github)
            && let Some(summary) = variable("GITHUB_STEP_SUMMARY").map(PathBuf::from)
        {
            // Actions shows about ten annotations of a step; the summary has them all.
            files::append(&summary, &markdown()).map_err(|error| file_error("add the summary to", &summary, &error))?;
        }
        Ok(())
    }
}
