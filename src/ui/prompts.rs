//! Questions, on stderr, to a terminal only. All of it is ASCII: not every locale has more.

use super::Ui;
use super::frame::{PromptFrame, StyledLine, StyledText, coloured, plain};
use super::keys::{CursorMove, KeyPress, on_one_line, press};
use crossterm::event;
use crossterm::style::Color;
use std::collections::BTreeSet;
use tui_input::{Input, InputRequest};
use unicode_width::UnicodeWidthStr;

/// How many entries of a list are shown at once.
const PAGE: usize = 12;

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

impl<T> Answer<T> {
    /// Turns an answer into another.
    fn map<U>(self, make: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Answer::Given(answer) => Answer::Given(make(answer)),
            Answer::Cancelled => Answer::Cancelled,
            Answer::Interrupted => Answer::Interrupted,
            Answer::NobodyToAsk => Answer::NobodyToAsk,
            Answer::Failed(why) => Answer::Failed(why),
        }
    }
}

/// An entry of a list: what is shown, and what choosing it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<T> {
    /// One line; it should fit into 60 columns.
    pub label: String,
    /// What it stands for.
    pub value: T,
}

impl<T> Choice<T> {
    /// Makes an entry.
    pub fn new(label: impl Into<String>, value: T) -> Choice<T> {
        Choice { label: label.into(), value }
    }
}

/// A line of a table without its columns.
fn words(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Why an answer won't do: it is told like an error, and the question comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// What is wrong.
    pub message: String,
    /// Why, the nearest cause first.
    pub causes: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
}

impl From<String> for Objection {
    fn from(message: String) -> Objection {
        Objection { message, causes: Vec::new(), hints: Vec::new() }
    }
}

/// What a text may become by the Tab key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The text, as far as there is one way to go on.
    pub text: String,
    /// What it may become, if that is more than one; empty if nothing fits.
    pub candidates: Vec<String>,
    /// Something fits.
    pub fits: bool,
}

/// How a question ended.
enum PromptEnd<T> {
    /// With an answer, which is shown so.
    Taken(T, String),
    Cancelled,
    Interrupted,
}

/// A question that is answered by a line.
struct LineQuestion<'a> {
    question: &'a str,
    /// What Enter alone gives, as it is shown.
    default: Option<&'a str>,
    help: &'a str,
    /// Gives the answer as it is shown, or why it is none.
    accept: &'a dyn Fn(&str) -> Result<String, String>,
    complete: Option<&'a dyn Fn(&str) -> Completion>,
    /// What is typed isn't shown, then or afterwards.
    hidden: bool,
}

impl Ui {
    /// Asks a question whose default is no.
    pub fn confirm(&self, question: &str) -> Answer<bool> {
        let accept = |text: &str| match text.trim().to_lowercase().as_str() {
            "" | "n" | "no" => Ok("No".to_owned()),
            "y" | "yes" => Ok("Yes".to_owned()),
            _ => Err("Invalid answer, try typing 'y' for yes or 'n' for no".to_owned()),
        };
        let asked = LineQuestion { question, default: Some("y/N"), help: "", accept: &accept, complete: None, hidden: false };
        self.ask(question, |frame| line(frame, &asked)).map(|answer| answer == "Yes")
    }

    /// Asks for a text.
    pub fn text(&self, question: &str) -> Answer<String> {
        self.text_with(question, None, "", &|_| Ok(()))
    }

    /// Asks for a text that `check` must accept, with what Enter alone gives and a line of help.
    pub fn text_with(
        &self,
        question: &str,
        default: Option<&str>,
        help: &str,
        check: &dyn Fn(&str) -> Result<(), Objection>,
    ) -> Answer<String> {
        self.checked(question, default, help, check, None)
    }

    /// Asks for a text that the Tab key completes.
    pub fn completed(
        &self,
        question: &str,
        help: &str,
        check: &dyn Fn(&str) -> Result<(), Objection>,
        complete: &dyn Fn(&str) -> Completion,
    ) -> Answer<String> {
        self.checked(question, None, help, check, Some(complete))
    }

    fn checked(
        &self,
        question: &str,
        default: Option<&str>,
        help: &str,
        check: &dyn Fn(&str) -> Result<(), Objection>,
        complete: Option<&dyn Fn(&str) -> Completion>,
    ) -> Answer<String> {
        let accept = |text: &str| Ok(if text.is_empty() { default.unwrap_or_default() } else { text }.to_owned());
        loop {
            let asked = LineQuestion { question, default, help, accept: &accept, complete, hidden: false };
            match self.ask(question, |frame| line(frame, &asked)) {
                Answer::Given(text) => match check(text.trim()) {
                    Ok(()) => return Answer::Given(text.trim().to_owned()),
                    Err(why) => self.caution(&why.message, &why.causes, &why.hints),
                },
                other => return other,
            }
        }
    }

    /// Asks for a text that isn't shown while it is typed, with a line of help; what is under way stands still meanwhile.
    pub fn secret(&self, question: &str, help: &str) -> Answer<String> {
        let accept = |text: &str| Ok(text.to_owned());
        let asked = LineQuestion { question, default: None, help, accept: &accept, complete: None, hidden: true };
        let mut answer = Answer::NobodyToAsk;
        self.spinner.aside(|| answer = self.ask(question, |frame| line(frame, &asked)));
        answer
    }

    /// Asks for one of a list, which typing narrows; `at` is where the cursor begins.
    pub fn select<T>(&self, question: &str, choices: Vec<Choice<T>>, at: usize) -> Answer<T> {
        let (labels, mut values): (Vec<String>, Vec<Option<T>>) =
            choices.into_iter().map(|choice| (choice.label, Some(choice.value))).unzip();
        let mut list = ListPrompt::new(question, "arrows move, typing filters, Enter takes, Esc cancels", &labels, false);
        list.at = at.min(labels.len().saturating_sub(1));
        self.ask(question, |frame| {
            Ok(match list.asked(frame)? {
                PromptEnd::Taken(mut taken, shown) => match taken.pop().and_then(|at| values.get_mut(at)?.take()) {
                    Some(value) => PromptEnd::Taken(value, shown),
                    None => PromptEnd::Cancelled,
                },
                PromptEnd::Cancelled => PromptEnd::Cancelled,
                PromptEnd::Interrupted => PromptEnd::Interrupted,
            })
        })
    }

    /// Asks for any number of a list; those at `marked` are taken already.
    pub fn select_many<T>(&self, question: &str, choices: Vec<Choice<T>>, marked: &[usize]) -> Answer<Vec<T>> {
        let (labels, values): (Vec<String>, Vec<T>) = choices.into_iter().map(|choice| (choice.label, choice.value)).unzip();
        let mut list = ListPrompt::new(question, "arrows move, space marks, typing filters, Enter takes, Esc cancels", &labels, true);
        list.marked.extend(marked);
        let taken = self.ask(question, |frame| list.asked(frame));
        taken.map(|taken| values.into_iter().enumerate().filter(|(at, _)| taken.contains(at)).map(|(_, value)| value).collect())
    }

    fn ask<T>(&self, question: &str, talk: impl FnOnce(&mut PromptFrame) -> std::io::Result<PromptEnd<T>>) -> Answer<T> {
        if !self.interactive {
            return Answer::NobodyToAsk;
        }
        let _watch = Watch::begin();
        let asked = || {
            let mut frame = PromptFrame::open(self.painted)?;
            let ended = talk(&mut frame)?;
            let rest = match &ended {
                PromptEnd::Taken(_, shown) => [coloured(">", Color::Green), coloured(shown, Color::Cyan)],
                PromptEnd::Cancelled | PromptEnd::Interrupted => [coloured("?", Color::Green), coloured("<canceled>", Color::DarkRed)],
            };
            let [sign, rest] = rest;
            frame.close(&vec![sign, plain(format!(" {question} ")), rest])?;
            Ok(ended)
        };
        let outcome: std::io::Result<PromptEnd<T>> = asked();
        match outcome {
            Ok(PromptEnd::Taken(answer, _)) => Answer::Given(answer),
            Ok(PromptEnd::Cancelled) => Answer::Cancelled,
            Ok(PromptEnd::Interrupted) => Answer::Interrupted,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}

/// The line that holds a question and what is typed, and the column where the cursor stands.
fn asking(question: &str, default: Option<&str>, typed: &Input) -> (StyledLine, usize) {
    let default = default.map(|default| format!("({default}) ")).unwrap_or_default();
    let before = format!(" {question} {default}");
    let column = 1 + before.width() + typed.visual_cursor();
    // The blank is where the cursor stands behind a full row.
    (vec![coloured("?", Color::Green), plain(before), plain(typed.value()), plain(" ")], column)
}

fn help_line(help: &str) -> StyledLine {
    vec![coloured(format!("[{help}]"), Color::Cyan)]
}

/// Reads an answer that is typed.
fn line(frame: &mut PromptFrame, asked: &LineQuestion<'_>) -> std::io::Result<PromptEnd<String>> {
    let (mut typed, nothing) = (Input::default(), Input::default());
    let mut below: Vec<String> = Vec::new();
    let mut wrong: Option<String> = None;
    loop {
        let mut lines = Vec::new();
        lines.extend(wrong.iter().map(|why| vec![coloured(format!("# {why}"), Color::Red)]));
        let (shown, column) = asking(asked.question, asked.default, if asked.hidden { &nothing } else { &typed });
        let at = lines.len();
        lines.push(shown);
        lines.extend(below.iter().map(|text| vec![plain(format!("  {text}"))]));
        if !asked.help.is_empty() {
            lines.push(help_line(asked.help));
        }
        frame.draw(&lines, (at, column))?;
        let Some(press) = press(event::read()?) else { continue };
        if press != KeyPress::Resized {
            below.clear();
        }
        match press {
            KeyPress::Enter => match (asked.accept)(typed.value()) {
                Ok(answer) => {
                    let shown = if asked.hidden { "********".to_owned() } else { answer.clone() };
                    return Ok(PromptEnd::Taken(answer, shown));
                }
                Err(why) => wrong = Some(why),
            },
            KeyPress::Cancel => return Ok(PromptEnd::Cancelled),
            KeyPress::Interrupt => return Ok(PromptEnd::Interrupted),
            KeyPress::DeleteOrEnd if typed.value().is_empty() => return Ok(PromptEnd::Cancelled),
            KeyPress::Complete => {
                if let Some(complete) = asked.complete {
                    let to = complete(typed.value());
                    below = candidate_lines(to.candidates, to.fits);
                    typed = std::mem::take(&mut typed).with_value(to.text);
                }
            }
            KeyPress::CursorMove(way) => {
                let request = match way {
                    CursorMove::Left => InputRequest::GoToPrevChar,
                    CursorMove::Right => InputRequest::GoToNextChar,
                    CursorMove::Home => InputRequest::GoToStart,
                    CursorMove::End => InputRequest::GoToEnd,
                    CursorMove::Up | CursorMove::Down | CursorMove::PageUp | CursorMove::PageDown => continue,
                };
                typed.handle(request);
            }
            other => edit(&mut typed, other),
        }
    }
}

/// Says below a text what it may become.
fn candidate_lines(mut candidates: Vec<String>, fits: bool) -> Vec<String> {
    if !fits {
        return vec!["no match".to_owned()];
    }
    let more = candidates.len().saturating_sub(PAGE);
    candidates.truncate(PAGE);
    if more > 0 {
        candidates.push(format!("and {more} more"));
    }
    candidates
}

/// Changes a line by a key.
fn edit(typed: &mut Input, press: KeyPress) {
    match press {
        KeyPress::Edit(request) => {
            typed.handle(request);
        }
        KeyPress::DeleteOrEnd => {
            typed.handle(InputRequest::DeleteNextChar);
        }
        KeyPress::Paste(text) => {
            for letter in on_one_line(&text).chars() {
                typed.handle(InputRequest::InsertChar(letter));
            }
        }
        _ => {}
    }
}

/// A list that typing narrows.
struct ListPrompt<'a> {
    question: &'a str,
    help: &'a str,
    labels: &'a [String],
    many: bool,
    typed: Input,
    /// Those that fit what is typed.
    shown: Vec<usize>,
    /// Where the cursor is among them.
    at: usize,
    marked: BTreeSet<usize>,
}

impl<'a> ListPrompt<'a> {
    fn new(question: &'a str, help: &'a str, labels: &'a [String], many: bool) -> ListPrompt<'a> {
        let shown = (0..labels.len()).collect();
        ListPrompt { question, help, labels, many, typed: Input::default(), shown, at: 0, marked: BTreeSet::new() }
    }

    /// Asks until something is taken; gives the places in the list.
    fn asked(&mut self, frame: &mut PromptFrame) -> std::io::Result<PromptEnd<Vec<usize>>> {
        loop {
            self.draw(frame)?;
            let Some(press) = press(event::read()?) else { continue };
            match press {
                KeyPress::Cancel => return Ok(PromptEnd::Cancelled),
                KeyPress::Interrupt => return Ok(PromptEnd::Interrupted),
                KeyPress::DeleteOrEnd if self.typed.value().is_empty() => return Ok(PromptEnd::Cancelled),
                KeyPress::Enter => {
                    let taken = match self.many {
                        true => self.marked.iter().copied().collect(),
                        false => self.shown.get(self.at).copied().into_iter().collect::<Vec<_>>(),
                    };
                    // Nothing that fits is nothing to take.
                    if self.many || !taken.is_empty() {
                        let shown: Vec<String> = taken.iter().filter_map(|at| self.labels.get(*at)).map(|label| words(label)).collect();
                        return Ok(PromptEnd::Taken(taken, shown.join(", ")));
                    }
                }
                KeyPress::Edit(InputRequest::InsertChar(' ')) if self.many => {
                    if let Some(at) = self.shown.get(self.at)
                        && !self.marked.remove(at)
                    {
                        self.marked.insert(*at);
                    }
                }
                KeyPress::CursorMove(way) => self.go(way),
                other => {
                    edit(&mut self.typed, other);
                    self.narrow();
                }
            }
        }
    }

    fn go(&mut self, way: CursorMove) {
        let last = self.shown.len().saturating_sub(1);
        self.at = match way {
            CursorMove::Up if self.at == 0 => last,
            CursorMove::Up => self.at - 1,
            CursorMove::Down if self.at >= last => 0,
            CursorMove::Down => self.at + 1,
            CursorMove::PageUp => self.at.saturating_sub(PAGE),
            CursorMove::PageDown => (self.at + PAGE).min(last),
            CursorMove::Home => 0,
            CursorMove::End => last,
            CursorMove::Left if self.many => {
                self.marked.clear();
                self.at
            }
            CursorMove::Right if self.many => {
                self.marked.extend(&self.shown);
                self.at
            }
            CursorMove::Left | CursorMove::Right => {
                self.typed.handle(if way == CursorMove::Left { InputRequest::GoToPrevChar } else { InputRequest::GoToNextChar });
                self.at
            }
        };
    }

    /// Keeps what fits; the cursor goes to the first where that changed.
    fn narrow(&mut self) {
        let filter = self.typed.value().to_lowercase();
        let fits = |label: &&String| label.to_lowercase().contains(&filter);
        let shown: Vec<usize> = self.labels.iter().enumerate().filter(|(_, label)| fits(label)).map(|(at, _)| at).collect();
        if shown != self.shown {
            self.shown = shown;
            self.at = 0;
        }
    }

    fn draw(&self, frame: &mut PromptFrame) -> std::io::Result<()> {
        let (first, column) = asking(self.question, None, &self.typed);
        let mut lines = vec![first];
        // A low terminal has no room for a whole page besides the question and the help.
        let page = PAGE.min(PromptFrame::size().1.saturating_sub(3)).max(1);
        let start = self.at.saturating_sub(page / 2).min(self.shown.len().saturating_sub(page));
        let end = (start + page).min(self.shown.len());
        if self.shown.is_empty() {
            lines.push(vec![plain("  no match; Ctrl-U takes back what is typed")]);
        }
        for (number, at) in self.shown.iter().enumerate().take(end).skip(start) {
            let here = number == self.at;
            let colour = here.then_some(Color::Cyan);
            let sign = match number {
                _ if here => ">",
                _ if number == start && start > 0 => "^",
                _ if number + 1 == end && end < self.shown.len() => "v",
                _ => " ",
            };
            let mut row = vec![StyledText(format!("{sign} "), colour)];
            if self.many {
                let marked = self.marked.contains(at);
                row.push(StyledText(if marked { "[x] " } else { "[ ] " }.to_owned(), colour.or(marked.then_some(Color::Green))));
            }
            row.extend(self.labels.get(*at).map(|label| StyledText(label.clone(), colour)));
            lines.push(row);
        }
        lines.push(help_line(self.help));
        frame.draw(&lines, (0, column))
    }
}

/// Ends the program at a signal while a question stands: it holds the only thread, and the terminal is not as it was.
struct Watch(Option<tokio::sync::oneshot::Sender<()>>);

impl Watch {
    fn begin() -> Watch {
        let (done, ended) = tokio::sync::oneshot::channel::<()>();
        let terminal = rustix::termios::tcgetattr(std::io::stdin()).ok();
        // Without the thread a signal waits for the answer; the question is asked all the same.
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            if runtime.block_on(signalled(ended)) {
                leave(terminal);
            }
        });
        Watch(Some(done))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            let _ = done.send(());
        }
    }
}

/// Says whether a signal to end came before the answer did.
async fn signalled(ended: tokio::sync::oneshot::Receiver<()>) -> bool {
    let mut signals = super::signals::TerminationSignals::listen();
    tokio::select! {
        _ = ended => false,
        () = signals.recv() => true,
    }
}

/// Gives the terminal back as it was and ends: 130, as where a signal ends anything else.
#[expect(clippy::exit, reason = "the thread that could return stands in the question")]
fn leave(terminal: Option<rustix::termios::Termios>) -> ! {
    use std::io::Write;
    if let Some(terminal) = terminal {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &terminal);
    }
    // Shows the cursor again, and takes pasted text as it comes.
    let _ = writeln!(
        std::io::stderr(),
        "\x1b[?2004l\x1b[?25h\nerror: interrupted at the question\n\nhint: run the same command again: what is done stays done"
    );
    std::process::exit(130)
}
