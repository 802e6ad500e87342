//! The only code that touches stdout, stderr, colour and prompts.

use crate::model::{ColorWhen, OutputFormat};
use anstream::{AutoStream, ColorChoice};
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

/// How much is read at once; a longer line makes the room for it.
const READ: usize = 1 << 18;
/// Less than this isn't worth a second thread.
const WORTH_A_THREAD: usize = 1 << 14;

/// Reads a file, or standard input, and prints an answer for each line, in order; empty lines are passed over.
///
/// Holds what one read gave. What can be answered is answered and told before the next read, which may have to wait. A
/// reader that went away ends it.
pub fn answer_lines(file: Option<std::fs::File>, answer: impl Fn(&[u8]) -> String + Sync) -> std::io::Result<()> {
    let mut source: Box<dyn std::io::Read> = match file {
        Some(file) => Box::new(file),
        None => Box::new(std::io::stdin()),
    };
    let mut out = std::io::stdout().lock();
    let mut room = vec![0; READ];
    let mut held = 0;
    loop {
        if held == room.len() {
            room.resize(room.len() * 2, 0);
        }
        let count = match source.read(&mut room[held..]) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let end = held + count;
        let whole = match room[held..end].iter().rposition(|byte| *byte == b'\n') {
            Some(at) => held + at + 1,
            None if count == 0 => end,
            None => 0,
        };
        match out.write_all(&answers(&room[..whole], &answer)).and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
        if count == 0 {
            return Ok(());
        }
        room.copy_within(whole..end, 0);
        held = end - whole;
    }
}

/// Answers whole lines, on two threads where there are many.
fn answers(lines: &[u8], answer: &(impl Fn(&[u8]) -> String + Sync)) -> Vec<u8> {
    let alone = |lines: &[u8]| {
        let mut told = Vec::with_capacity(lines.len() / 4);
        for line in lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            told.extend_from_slice(answer(line).as_bytes());
            told.push(b'\n');
        }
        told
    };
    let middle = lines.len() / 2;
    match lines[middle..].iter().position(|byte| *byte == b'\n') {
        Some(at) if lines.len() > WORTH_A_THREAD => {
            let (first, second) = lines.split_at(middle + at + 1);
            let (mut told, more) = std::thread::scope(|scope| {
                let more = scope.spawn(|| alone(second));
                (alone(first), more.join())
            });
            told.extend(more.unwrap_or_else(|cause| std::panic::resume_unwind(cause)));
            told
        }
        _ => alone(lines),
    }
}
