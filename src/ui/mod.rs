//! The only code that touches stdout, stderr, colour, progress and prompts.

mod frame;
mod keys;
mod lines;
mod progress;
mod prompts;
pub mod signals;

pub use lines::answer_lines;
pub use progress::Busy;
pub use prompts::{Answer, Choice, Completion, Objection};

use crate::model::{ColorWhen, MfaCode, OutputFormat};
use anstream::{AutoStream, ColorChoice};
use progress::Spinner;
use serde_json::Value;
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
    /// Prompts may be painted: on stderr, like everything that isn't a result.
    painted: bool,
    spinner: Spinner,
    /// The first failure to write the result.
    unwritten: Mutex<Option<std::io::Error>>,
    /// Codes of MFA devices that were given beforehand.
    mfa_codes: Vec<MfaCode>,
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
            painted: match color {
                ColorWhen::Always => true,
                ColorWhen::Never => false,
                ColorWhen::Auto => AutoStream::choice(&std::io::stderr()) != ColorChoice::Never,
            },
            spinner: Spinner::new(may_ask),
            unwritten: Mutex::default(),
            mfa_codes: Vec::new(),
        }
    }

    /// Takes the codes of MFA devices that were given beforehand, as the answers to questions that need not be asked then.
    #[must_use]
    pub fn with_mfa_codes(mut self, codes: Vec<MfaCode>) -> Ui {
        self.mfa_codes = codes;
        self
    }

    /// Gives the codes of MFA devices that were given beforehand.
    pub fn mfa_codes(&self) -> &[MfaCode] {
        &self.mfa_codes
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
            self.spinner.aside(|| self.wrote(writeln!(out, "{text}")));
        }
    }

    /// Keeps why the result could not be written; that its reader went away is no reason.
    fn wrote(&self, outcome: std::io::Result<()>) {
        if let Err(error) = outcome
            && error.kind() != std::io::ErrorKind::BrokenPipe
            && let Ok(mut unwritten) = self.unwritten.lock()
        {
            unwritten.get_or_insert(error);
        }
    }

    /// Writes out what is held back, and gives why the result could not be written whole, if so: a full disk, for instance.
    pub fn unwritten(&self) -> Option<std::io::Error> {
        if let Ok(mut out) = self.out.lock() {
            self.wrote(out.flush());
        }
        self.unwritten.lock().ok().and_then(|mut why| why.take())
    }

    /// Prints the JSON document that is the result.
    pub fn json(&self, document: &Value) {
        if self.is_json()
            && let Ok(mut out) = self.out.lock()
        {
            self.spinner.aside(|| self.wrote(writeln!(out, "{}", serde_json::to_string_pretty(document).unwrap_or_default())));
        }
    }

    /// Prints progress or talk.
    pub fn status(&self, text: &str) {
        if let Ok(mut err) = self.err.lock() {
            self.spinner.aside(|| {
                let _ = writeln!(err, "{text}");
            });
        }
    }

    /// Prints a warning.
    pub fn warning(&self, text: &str) {
        self.status(&format!("{YELLOW}warning{RESET}: {text}"));
    }

    /// Prints a failure with its causes and hints.
    pub fn failure(&self, message: &str, causes: &[String], hints: &[String]) {
        self.status(&laid_out(&format!("{RED}error{RESET}: {message}"), causes, hints));
    }

    /// Prints a failure that does not end the command, in the same way.
    pub fn caution(&self, message: &str, causes: &[String], hints: &[String]) {
        self.warning(&laid_out(message, causes, hints));
    }
}

/// Puts causes and hints below a message.
fn laid_out(message: &str, causes: &[String], hints: &[String]) -> String {
    let mut text = message.to_owned();
    for cause in causes {
        text.push_str(&format!("\n  caused by: {cause}"));
    }
    if !hints.is_empty() {
        text.push('\n');
    }
    for hint in hints {
        text.push_str(&format!("\n{CYAN}hint{RESET}: {hint}"));
    }
    text
}

/// Prints what the argument parser has to say (help, version, a wrong flag) and says whether it was a mistake.
pub fn print_clap(error: &clap::Error) -> bool {
    let _ = error.print();
    error.use_stderr()
}

/// What a person pastes is no longer than this; what comes behind it isn't read.
const PASTED: u64 = 1 << 20;

/// Reads standard input to its end; on a terminal it says first that it waits. Bytes that are no UTF-8 become a sign for that.
pub fn read_input() -> std::io::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let _ = writeln!(anstream::stderr(), "paste the message, then press Ctrl-D on a line of its own");
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(stdin.lock(), PASTED), &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
