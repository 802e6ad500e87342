//! Questions, on stderr, to a terminal only. All of it is ASCII: not every locale has more.

use super::Ui;
use inquire::ui::RenderConfig;
use inquire::{Confirm, InquireError, MultiSelect, Select, Text};

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
        match answer {
            Answer::Given(choice) => Answer::Given(choice.value),
            Answer::Cancelled => Answer::Cancelled,
            Answer::Interrupted => Answer::Interrupted,
            Answer::NobodyToAsk => Answer::NobodyToAsk,
            Answer::Failed(why) => Answer::Failed(why),
        }
    }

    /// Asks for any number of a list.
    pub fn select_many<T>(&self, question: &str, choices: Vec<Choice<T>>) -> Answer<Vec<T>> {
        let answer = self.ask(|| {
            MultiSelect::new(question, choices)
                .with_help_message("arrows move, space marks, typing filters, Enter takes, Esc cancels")
                .with_page_size(PAGE)
                .with_formatter(&|chosen| chosen.iter().map(|one| words(&one.value.label)).collect::<Vec<_>>().join(", "))
                .with_render_config(self.render())
                .prompt()
        });
        match answer {
            Answer::Given(choices) => Answer::Given(choices.into_iter().map(|choice| choice.value).collect()),
            Answer::Cancelled => Answer::Cancelled,
            Answer::Interrupted => Answer::Interrupted,
            Answer::NobodyToAsk => Answer::NobodyToAsk,
            Answer::Failed(why) => Answer::Failed(why),
        }
    }

    fn ask<T>(&self, prompt: impl FnOnce() -> Result<T, InquireError>) -> Answer<T> {
        if !self.interactive {
            return Answer::NobodyToAsk;
        }
        match prompt() {
            Ok(answer) => Answer::Given(answer),
            Err(InquireError::OperationCanceled) => Answer::Cancelled,
            Err(InquireError::OperationInterrupted) => Answer::Interrupted,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}
