//! What is under way: a spinner with the time on a terminal, nothing elsewhere, where what is done is told line by line.

use super::Ui;
use crate::model::printable;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often it turns.
const TURN: Duration = Duration::from_millis(100);

/// The one line at the foot of the terminal; only ASCII, since not every locale has more.
#[derive(Debug)]
pub(super) struct Spinner {
    wanted: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Spinner {
    /// Spins only where stderr is a terminal that can be written over, and nothing (`CI`, `--no-input`) says that nobody looks.
    pub(super) fn new(somebody_looks: bool) -> Spinner {
        let wanted = somebody_looks && std::io::stderr().is_terminal() && !ProgressDrawTarget::stderr().is_hidden();
        Spinner { wanted, bar: Mutex::new(None) }
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes something else while the spinner is out of the way.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        match self.bar().as_ref() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows a text and gives the one that stood there.
    fn show(&self, text: &str) -> Option<String> {
        let text = printable(text.to_owned());
        let mut bar = self.bar();
        if let Some(bar) = bar.as_ref() {
            let before = bar.message();
            bar.set_message(text);
            return Some(before);
        }
        let new = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_message(text);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            new.set_style(style.tick_chars("|/-\\ "));
        }
        new.enable_steady_tick(TURN);
        new.tick();
        *bar = Some(new);
        None
    }

    fn restore(&self, before: Option<String>) {
        let mut bar = self.bar();
        match (bar.as_ref(), before) {
            (Some(bar), Some(before)) => bar.set_message(before),
            (Some(_), None) => {
                if let Some(bar) = bar.take() {
                    bar.finish_and_clear();
                }
            }
            (None, _) => {}
        }
    }
}

/// Something is under way until this is dropped.
#[derive(Debug)]
pub struct Busy<'a> {
    spinner: Option<&'a Spinner>,
    before: Option<String>,
}

impl Busy<'_> {
    /// Says what is under way now.
    pub fn now(&self, what: &str) {
        if let Some(spinner) = self.spinner {
            spinner.show(what);
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if let Some(spinner) = self.spinner {
            spinner.restore(self.before.take());
        }
    }
}

impl Ui {
    /// Says what is under way, on a terminal only.
    pub fn busy(&self, what: &str) -> Busy<'_> {
        let spinner = self.spinner.wanted.then_some(&self.spinner);
        Busy { before: spinner.and_then(|spinner| spinner.show(what)), spinner }
    }
}
