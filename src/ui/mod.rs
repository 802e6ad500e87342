//! The only code that touches stdout, stderr, colour and prompts.

use crate::model::{ColorWhen, OutputFormat};
use anstream::{AutoStream, ColorChoice};
use serde_json::Value;
use std::io::{BufRead, IsTerminal, Write};
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
    /// Looks at the terminal once; `may_ask` is what flags and environment say about questions.
    pub fn new(color: ColorWhen, format: OutputFormat, may_ask: bool) -> Ui {
        let choice = match color {
            ColorWhen::Auto => ColorChoice::Auto,
            ColorWhen::Always => ColorChoice::Always,
            ColorWhen::Never => ColorChoice::Never,
        };
        Ui {
            out: Mutex::new(AutoStream::new(std::io::stdout(), choice)),
            err: Mutex::new(AutoStream::new(std::io::stderr(), choice)),
            format,
            interactive: may_ask && std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
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

    /// Prints a failure with its causes and hints.
    pub fn failure(&self, message: &str, causes: &[String], hints: &[String]) {
        let mut text = format!("{RED}error{RESET}: {message}");
        for cause in causes {
            text.push_str(&format!("\n  caused by: {cause}"));
        }
        if !hints.is_empty() {
            text.push('\n');
        }
        for hint in hints {
            text.push_str(&format!("\n{CYAN}hint{RESET}: {hint}"));
        }
        self.status(&text);
    }

    /// Asks a question whose default is no.
    pub fn confirm(&self, question: &str) -> Answer<bool> {
        self.ask(|| inquire::Confirm::new(question).with_default(false).prompt())
    }

    /// Asks for a text.
    pub fn text(&self, question: &str) -> Answer<String> {
        self.ask(|| inquire::Text::new(question).prompt())
    }

    fn ask<T>(&self, prompt: impl FnOnce() -> Result<T, inquire::InquireError>) -> Answer<T> {
        if !self.interactive {
            return Answer::NobodyToAsk;
        }
        match prompt() {
            Ok(answer) => Answer::Given(answer),
            Err(inquire::InquireError::OperationCanceled) => Answer::Cancelled,
            Err(inquire::InquireError::OperationInterrupted) => Answer::Interrupted,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// An answer.
    Given(T),
    /// Esc.
    Cancelled,
    /// Ctrl-C.
    Interrupted,
    /// There is no terminal, or nobody may be asked.
    NobodyToAsk,
    /// The terminal failed.
    Failed(String),
}

/// Prints what the argument parser has to say (help, version, a wrong flag) and says whether it was a mistake.
pub fn print_clap(error: &clap::Error) -> bool {
    let _ = error.print();
    error.use_stderr()
}

/// Reads a file, or standard input, line by line and prints an answer for each; empty lines are passed over.
///
/// Holds one line at a time. Answers wait in a buffer only while more lines are there. A reader that went away ends it.
pub fn answer_lines(file: Option<std::fs::File>, mut answer: impl FnMut(&[u8]) -> String) -> std::io::Result<()> {
    let source: Box<dyn std::io::Read> = match file {
        Some(file) => Box::new(file),
        None => Box::new(std::io::stdin()),
    };
    let mut source = std::io::BufReader::with_capacity(1 << 16, source);
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut line = Vec::new();
    let told = loop {
        line.clear();
        if source.read_until(b'\n', &mut line)? == 0 {
            break out.flush();
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if let Err(error) = writeln!(out, "{}", answer(line.trim_ascii())) {
            break Err(error);
        }
        if source.buffer().is_empty()
            && let Err(error) = out.flush()
        {
            break Err(error);
        }
    };
    match told {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
