//! Questions, on stderr, to a terminal only. All of it is ASCII: not every locale has more.

use super::Ui;
use inquire::ui::RenderConfig;
use inquire::{Confirm, InquireError, MultiSelect, Password, PasswordDisplayMode, Select, Text};

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

impl<T> std::fmt::Display for Choice<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label)
    }
}

/// A line of a table without its columns.
fn words(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Ui {
    fn render(&self) -> RenderConfig<'static> {
        if self.painted { RenderConfig::default_colored() } else { RenderConfig::empty() }
    }

    /// Asks a question whose default is no.
    pub fn confirm(&self, question: &str) -> Answer<bool> {
        self.ask(|| Confirm::new(question).with_default(false).with_render_config(self.render()).prompt())
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
        check: &dyn Fn(&str) -> Result<(), String>,
    ) -> Answer<String> {
        loop {
            let answer = self.ask(|| {
                let mut prompt = Text::new(question).with_render_config(self.render());
                prompt.default = default;
                prompt.help_message = (!help.is_empty()).then_some(help);
                prompt.prompt()
            });
            match answer {
                Answer::Given(text) => match check(text.trim()) {
                    Ok(()) => return Answer::Given(text.trim().to_owned()),
                    Err(why) => self.warning(&why),
                },
                other => return other,
            }
        }
    }

    /// Asks for a text that isn't shown while it is typed, with a line of help; what is under way stands still meanwhile.
    pub fn secret(&self, question: &str, help: &str) -> Answer<String> {
        let mut answer = Answer::NobodyToAsk;
        self.spinner.aside(|| {
            answer = self.ask(|| {
                let mut prompt = Password::new(question).without_confirmation().with_display_mode(PasswordDisplayMode::Hidden);
                prompt.help_message = (!help.is_empty()).then_some(help);
                prompt.with_render_config(self.render()).prompt()
            });
        });
        answer
    }

    /// Asks for one of a list, which typing narrows; `at` is where the cursor begins.
    pub fn select<T>(&self, question: &str, choices: Vec<Choice<T>>, at: usize) -> Answer<T> {
        let last = choices.len().saturating_sub(1);
        let answer = self.ask(|| {
            Select::new(question, choices)
                .with_help_message("arrows move, typing filters, Enter takes, Esc cancels")
                .with_page_size(PAGE)
                .with_formatter(&|chosen| words(&chosen.value.label))
                .with_starting_cursor(at.min(last))
                .with_render_config(self.render())
                .prompt()
        });
        answer.map(|choice| choice.value)
    }

    /// Asks for any number of a list; those at `marked` are taken already.
    pub fn select_many<T>(&self, question: &str, choices: Vec<Choice<T>>, marked: &[usize]) -> Answer<Vec<T>> {
        let answer = self.ask(|| {
            MultiSelect::new(question, choices)
                .with_help_message("arrows move, space marks, typing filters, Enter takes, Esc cancels")
                .with_page_size(PAGE)
                .with_default(marked)
                .with_formatter(&|chosen| chosen.iter().map(|one| words(&one.value.label)).collect::<Vec<_>>().join(", "))
                .with_render_config(self.render())
                .prompt()
        });
        answer.map(|choices| choices.into_iter().map(|choice| choice.value).collect())
    }

    fn ask<T>(&self, prompt: impl FnOnce() -> Result<T, InquireError>) -> Answer<T> {
        if !self.interactive {
            return Answer::NobodyToAsk;
        }
        let _watch = Watch::begin();
        match prompt() {
            Ok(answer) => Answer::Given(answer),
            Err(InquireError::OperationCanceled) => Answer::Cancelled,
            Err(InquireError::OperationInterrupted) => Answer::Interrupted,
            Err(error) => Answer::Failed(error.to_string()),
        }
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
    let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else { return false };
    tokio::select! {
        _ = ended => false,
        _ = tokio::signal::ctrl_c() => true,
        _ = term.recv() => true,
    }
}

/// Gives the terminal back as it was and ends: 130, as where a signal ends anything else.
#[expect(clippy::exit, reason = "the thread that could return stands in the question")]
fn leave(terminal: Option<rustix::termios::Termios>) -> ! {
    use std::io::Write;
    if let Some(terminal) = terminal {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &terminal);
    }
    // Shows the cursor again.
    let _ = writeln!(
        std::io::stderr(),
        "\x1b[?25h\nerror: interrupted at the question\n\nhint: run the same command again: what is done stays done"
    );
    std::process::exit(130)
}
