//! `--report FORMAT=FILE`: one flag and one way of writing for every command that has something to report.

use super::ask;
use crate::error::{Error, Result, file_error};
use crate::files;
use crate::model::{Check, Finding};
use crate::report::{self, Report};
use crate::settings::variable;
use crate::ui::Ui;
use clap::ValueEnum;
use serde_json::Value;
use std::cell::RefCell;
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

/// All of them, for commands with findings.
pub const ALL: &[Format] = &[Format::Json, Format::Junit, Format::Sarif, Format::Github, Format::Markdown];

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

/// The reports that were asked for, and what there is to write into them so far.
#[derive(Debug, Default)]
pub struct Reports {
    wanted: Vec<(Format, PathBuf)>,
    told: RefCell<Option<Told>>,
}

impl Reports {
    /// Looks at the flag before anything is asked of anybody.
    ///
    /// # Errors
    /// The command has no report of a format, or a file can't be written.
    pub fn ready(flags: &ReportFlags, offered: &[Format], command: &str) -> Result<Reports> {
        for (format, path) in &flags.report {
            if !offered.contains(format) {
                let names: Vec<String> =
                    offered.iter().filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned())).collect();
                let name = format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
                return Err(Error::usage(format!("--report: `xdeploy {command}` has no report of format {name}"))
                    .hint(format!("it has {}", names.join(", "))));
            }
            if path != Path::new(LOG) {
                files::may_write(path).map_err(|error| file_error("write the report", path, &error))?;
            }
        }
        Ok(Reports { wanted: flags.report.clone(), told: RefCell::default() })
    }

    /// Takes what there is to say, in the place of what was said before.
    pub fn say(&self, told: Told) {
        *self.told.borrow_mut() = Some(told);
    }

    /// Takes the document as it is at the end.
    pub fn amend(&self, document: &Value) {
        if let Some(told) = &mut *self.told.borrow_mut() {
            told.document.clone_from(document);
            if let (Some(markdown), Some(true)) = (&mut told.markdown, document.get("applied").and_then(Value::as_bool)) {
                markdown.push_str("\nApplied.\n");
            }
        }
    }

    /// Prints the document that is the result, and takes it for the reports.
    pub fn result(&self, ui: &Ui, code: u8, document: &Value) -> u8 {
        ui.json(document);
        self.amend(document);
        code
    }

    /// Writes the reports, also of a command that failed after it had something to say.
    ///
    /// # Errors
    /// The command's own, or a report can't be written.
    pub fn finish<T>(&self, ui: &Ui, outcome: Result<T>) -> Result<T> {
        let Some(mut told) = self.told.borrow_mut().take() else { return outcome };
        if let (Err(error), Some(members)) = (&outcome, told.document.as_object_mut()) {
            members.insert("error".to_owned(), ask::error_document(error));
        }
        let written = self.write(ui, &told);
        match (outcome, written) {
            (Err(error), Err(second)) => {
                ui.warning(&second.message);
                Err(error)
            }
            (Err(error), Ok(())) | (Ok(_), Err(error)) => Err(error),
            (Ok(code), Ok(())) => Ok(code),
        }
    }

    fn write(&self, ui: &Ui, told: &Told) -> Result<()> {
        let Told { command, findings, checks, verdicts, .. } = told;
        let report = Report { tool_version: env!("CARGO_PKG_VERSION"), command, findings, checks, verdicts: verdicts.clone() };
        let pretty = |value: &Value| format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default());
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
                true => ui.status(text.trim_end()),
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
