//! The only code that touches stdout, stderr, colour and prompts.

use crate::error::{Error, Kind, Result};
use crate::settings::{ColorWhen, CommonFlags, OutputFormat, variable};
use anstream::{AutoStream, ColorChoice};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const GREEN: &str = "\x1b[1;32m";
const CYAN: &str = "\x1b[1;36m";
const RESET: &str = "\x1b[0m";

/// How a piece of text is meant; never carries meaning by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A heading.
    Heading,
    /// Something new.
    Added,
    /// Something that changes.
    Changed,
    /// Something that goes.
    Removed,
}

/// Paints text; the streams take the paint off where it isn't wanted.
pub fn paint(tone: Tone, text: &str) -> String {
    let colour = match tone {
        Tone::Heading => BOLD,
        Tone::Added => GREEN,
        Tone::Changed => YELLOW,
        Tone::Removed => RED,
    };
    format!("{colour}{text}{RESET}")
}

/// Where results, talk and questions go.
#[derive(Debug)]
pub struct Ui {
    out: Mutex<AutoStream<std::io::Stdout>>,
    err: Mutex<AutoStream<std::io::Stderr>>,
    format: OutputFormat,
    interactive: bool,
}

impl Ui {
    /// Looks at the terminal, the flags and the environment once.
    pub fn new(flags: &CommonFlags) -> Ui {
        let choice = match flags.color {
            ColorWhen::Auto => ColorChoice::Auto,
            ColorWhen::Always => ColorChoice::Always,
            ColorWhen::Never => ColorChoice::Never,
        };
        let in_ci = variable("CI").is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
        Ui {
            out: Mutex::new(AutoStream::new(std::io::stdout(), choice)),
            err: Mutex::new(AutoStream::new(std::io::stderr(), choice)),
            format: flags.output,
            interactive: std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !flags.no_input && !in_ci,
        }
    }

    /// Says whether stdout carries JSON.
    pub fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Says whether a question can be asked.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Prints a piece of the result; nothing when the result is JSON. A reader that went away is not our failure.
    pub fn result(&self, text: &str) {
        if !self.is_json()
            && let Ok(mut out) = self.out.lock()
        {
            let _ = writeln!(out, "{text}");
        }
    }

    /// Prints the JSON document that is the result.
    pub fn json(&self, document: &Value) {
        if self.is_json()
            && let Ok(mut out) = self.out.lock()
        {
            let _ = writeln!(out, "{}", serde_json::to_string_pretty(document).unwrap_or_default());
        }
    }

    /// Prints progress or talk.
    pub fn status(&self, text: &str) {
        if let Ok(mut err) = self.err.lock() {
            let _ = writeln!(err, "{text}");
        }
    }

    /// Prints a warning.
    pub fn warning(&self, text: &str) {
        self.status(&format!("{YELLOW}warning{RESET}: {text}"));
    }

    /// Prints an error with its causes and hints, and as JSON where that was asked for.
    pub fn error(&self, error: &Error) {
        let mut text = format!("{RED}error{RESET}: {}", error.message);
        for cause in &error.causes {
            text.push_str(&format!("\n  caused by: {cause}"));
        }
        if !error.hints.is_empty() {
            text.push('\n');
        }
        for hint in &error.hints {
            text.push_str(&format!("\n{CYAN}hint{RESET}: {hint}"));
        }
        self.status(&text);
        self.json(&error_document(error));
    }

    /// Asks for a name to be typed, for what can't be undone.
    ///
    /// # Errors
    /// As [`Ui::confirm`].
    pub fn confirm_by_name(&self, question: &str, name: &str, flag: &str) -> Result<bool> {
        if !self.interactive {
            return Err(Error::refused(format!("a confirmation is needed and there is nobody to ask: {question}")).hint(flag));
        }
        self.answered(inquire::Text::new(question).prompt(), flag).map(|typed| typed.is_some_and(|typed| typed.trim() == name))
    }

    /// Esc is a no; Ctrl-C is an interruption.
    fn answered<T>(&self, answer: std::result::Result<T, inquire::InquireError>, flag: &str) -> Result<Option<T>> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(inquire::InquireError::OperationCanceled) => Ok(None),
            Err(inquire::InquireError::OperationInterrupted) => {
                Err(Error::new(Kind::Interrupted, "interrupted at the question").hint("nothing was changed"))
            }
            Err(error) => Err(Error::refused("the question could not be asked").because(error.to_string()).hint(flag)),
        }
    }

    /// Asks a question whose default is no.
    ///
    /// # Errors
    /// There is no terminal to ask on (`flag` says what to pass instead), or the person pressed Esc or Ctrl-C.
    pub fn confirm(&self, question: &str, flag: &str) -> Result<bool> {
        if !self.interactive {
            return Err(Error::refused(format!("an answer is needed and there is nobody to ask: {question}")).hint(flag));
        }
        Ok(self.answered(inquire::Confirm::new(question).with_default(false).prompt(), flag)? == Some(true))
    }
}

fn error_document(error: &Error) -> Value {
    serde_json::json!({
        "schema": "xdeploy.error/1",
        "kind": error.kind.word(),
        "exit": error.kind.exit_code(),
        "message": error.message,
        "causes": error.causes,
        "hints": error.hints,
    })
}

/// Prints what the argument parser has to say (help, version, a wrong flag), a mistake also as JSON where that was asked for,
/// and says whether it was a mistake.
pub fn print_clap(error: &clap::Error, args: &[OsString]) -> bool {
    let _ = error.print();
    let mistake = error.use_stderr();
    if mistake && asks_for_json(args) {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let document = error_document(&Error::usage(message).hint("try `--help`"));
        let mut out = std::io::stdout();
        let _ = writeln!(out, "{}", serde_json::to_string_pretty(&document).unwrap_or_default());
    }
    mistake
}

/// Looks for `--output json` in a command line that could not be parsed.
fn asks_for_json(args: &[OsString]) -> bool {
    let flag = args.iter().any(|arg| arg == "--output=json") || args.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
    flag || variable("XDEPLOY_OUTPUT").is_some_and(|format| format == "json")
}
