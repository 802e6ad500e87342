//! The only code that touches stdout, stderr, colour, progress and prompts.
//!
//! What is printed goes line by line through [`Text`], which shows what others wrote and obeys none of it; JSON and documents have
//! their own escapes.

mod frame;
mod keys;
mod lines;
mod progress;
mod prompts;
pub mod signals;
mod text;

pub use lines::answer_lines;
pub use progress::Busy;
pub use prompts::{Answer, Choice, Completion, Objection};
pub use text::{AsText, Text, Tone, paint};

use crate::model::{ColorWhen, MfaCode, OutputFormat, is_acted_on, json_text, printable, without_commands};
use anstream::{AutoStream, ColorChoice};
use progress::Spinner;
use serde_json::Value;
use std::io::{IsTerminal, Write};

use std::sync::Mutex;

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

    /// Prints a line of the result; nothing when the result is JSON. A reader that went away is not our failure.
    pub fn result(&self, text: &(impl AsText + ?Sized)) {
        if !self.is_json() {
            self.write(&text.as_text().line());
        }
    }

    /// Prints a line of the result below an empty one.
    pub fn section(&self, text: &(impl AsText + ?Sized)) {
        self.result("");
        self.result(text);
    }

    /// Prints a text of several lines as part of the result.
    pub fn lines(&self, text: &str) {
        text.lines().for_each(|line| self.result(line));
    }

    /// Prints a file that is the result, such as a script: for a program as it is, for a person line by line.
    pub fn document(&self, text: &str) {
        match std::io::stdout().is_terminal() {
            true => self.lines(text),
            false if self.is_json() => {}
            false => self.write(text.trim_end_matches('\n')),
        }
    }

    fn write(&self, text: &str) {
        if let Ok(mut out) = self.out.lock() {
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
        if self.is_json() {
            self.write(&json_text(document));
        }
    }

    /// Prints a line of progress or talk.
    pub fn status(&self, text: &(impl AsText + ?Sized)) {
        self.talk(&text.as_text().line());
    }

    /// Prints the annotations of a report where GitHub reads them: commands of our own, a line each.
    pub fn annotations(&self, commands: &str) {
        commands.lines().for_each(|line| self.talk(&printable(line.to_owned())));
    }

    fn talk(&self, line: &str) {
        if let Ok(mut err) = self.err.lock() {
            self.spinner.aside(|| {
                let _ = writeln!(err, "{line}");
            });
        }
    }

    /// Prints a warning.
    pub fn warning(&self, text: &(impl AsText + ?Sized)) {
        self.status(&(paint(Tone::Changed, "warning") + ": " + text.as_text()));
    }

    /// Prints a failure with its causes and hints.
    pub fn failure(&self, message: &str, causes: &[String], hints: &[String]) {
        self.laid_out(paint(Tone::Removed, "error"), message, causes, hints);
    }

    /// Prints a failure that does not end the command, in the same way.
    pub fn caution(&self, message: &str, causes: &[String], hints: &[String]) {
        self.laid_out(paint(Tone::Changed, "warning"), message, causes, hints);
    }

    /// Puts causes and hints below a message.
    fn laid_out(&self, word: Text, message: &str, causes: &[String], hints: &[String]) {
        self.paragraph(word, message);
        for cause in causes {
            self.paragraph(Text::from("  caused by"), cause);
        }
        if !hints.is_empty() {
            self.status("");
        }
        for hint in hints {
            self.paragraph(paint(Tone::Hint, "hint"), hint);
        }
    }

    /// Prints a text that may have several lines behind a word; none but the first begins at the left.
    fn paragraph(&self, word: Text, text: &str) {
        let mut lines = text.lines();
        self.status(&(word + ": " + lines.next().unwrap_or_default()));
        lines.for_each(|line| self.status(&format!("    {line}")));
    }
}

/// Prints what the argument parser has to say (help, version, a wrong flag) and says whether it was a mistake.
pub fn print_clap(error: &clap::Error) -> bool {
    // Arguments may come from others, as the name of a branch does in CI.
    let text = error.render().to_string();
    let shown: Vec<String> = text.lines().map(|line| without_commands(printable(line.to_owned()))).collect();
    let is_plain = !text.contains(|letter: char| is_acted_on(letter) && letter != '\n') && shown.iter().eq(text.lines());
    if is_plain {
        let _ = error.print();
    } else {
        let _ = writeln!(anstream::stderr(), "{}", shown.join("\n"));
    }
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
