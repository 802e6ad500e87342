//! A line of output. Its words may be anybody's and are only shown; its colours are ours.

use crate::model::{printable, without_commands};
use std::ops::Add;

const RESET: &str = "\x1b[0m";

/// How a piece of text is meant; never carries meaning by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A heading.
    Heading,
    /// Something new.
    Added,
    /// Something that changes, or a warning.
    Changed,
    /// Something that goes, or an error.
    Removed,
    /// Advice.
    Hint,
}

impl Tone {
    fn colour(self) -> &'static str {
        match self {
            Tone::Heading => "\x1b[1m",
            Tone::Added => "\x1b[1;32m",
            Tone::Changed => "\x1b[1;33m",
            Tone::Removed => "\x1b[1;31m",
            Tone::Hint => "\x1b[1;36m",
        }
    }
}

/// A line in pieces, each with its colour where it has one; a text turns into one piece without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(Vec<(Option<Tone>, String)>);

/// Paints text; the streams take the paint off where it isn't wanted.
pub fn paint(tone: Tone, text: impl Into<String>) -> Text {
    Text(vec![(Some(tone), text.into())])
}

impl Text {
    /// Changes the words, and leaves the colours.
    #[must_use]
    pub fn map(self, change: impl Fn(&str) -> String) -> Text {
        Text(self.0.into_iter().map(|(tone, words)| (tone, change(&words))).collect())
    }

    /// Gives the line as it is written: one line, whatever the words hold, and no command of a CI system's log.
    pub(super) fn line(&self) -> String {
        let mut line = String::new();
        let mut is_begun = false;
        for (tone, words) in &self.0 {
            let words = printable(words.clone());
            // Behind other words nothing is at the line's start.
            let words = match is_begun {
                false => without_commands(words),
                true => without_commands(format!("|{words}")).split_off(1),
            };
            is_begun |= !words.trim().is_empty();
            match tone {
                Some(tone) => line.extend([tone.colour(), &words, RESET]),
                None => line.push_str(&words),
            }
        }
        line
    }
}

impl From<&str> for Text {
    fn from(words: &str) -> Text {
        Text::from(words.to_owned())
    }
}

impl From<String> for Text {
    fn from(words: String) -> Text {
        Text(vec![(None, words)])
    }
}

/// What can be printed as a line.
pub trait AsText {
    /// Gives it in pieces.
    fn as_text(&self) -> Text;
}

impl AsText for Text {
    fn as_text(&self) -> Text {
        self.clone()
    }
}

impl AsText for str {
    fn as_text(&self) -> Text {
        Text::from(self)
    }
}

impl AsText for String {
    fn as_text(&self) -> Text {
        Text::from(self.as_str())
    }
}

impl<T: AsText + ?Sized> AsText for &T {
    fn as_text(&self) -> Text {
        (**self).as_text()
    }
}

impl<T: Into<Text>> Add<T> for Text {
    type Output = Text;

    fn add(mut self, more: T) -> Text {
        self.0.extend(more.into().0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_our_colours_are_colours() {
        let line = Text::from("  ") + paint(Tone::Removed, "\u{1b}[2Jdenied") + " on \u{1b}]0;title\u{7}x\n::set-output name=a::b";
        assert_eq!(line.line(), "  \u{1b}[1;31m\\u{1b}[2Jdenied\u{1b}[0m on \\u{1b}]0;title\\u{7}x\\n::set-output name=a::b");
        assert_eq!((paint(Tone::Heading, "::warning::x") + "y").line(), "\u{1b}[1m: :warning::x\u{1b}[0my");
        assert_eq!((Text::from(" ") + "" + "::warning::x").line(), " : :warning::x");
        assert_eq!((Text::from("a ") + "::1").line(), "a ::1");
    }

    proptest! {
        #[test]
        fn a_line_stays_a_line(first in "(::|##\\[|\u{1b}\\[1m| |\\PC|[\\x00-\\x1f\u{80}-\u{9f}]){0,9}", second in "(:|::|##\\[|\\PC|\n){0,9}") {
            let line = (Text::from(first) + second).line();
            let begins = line.trim_start().starts_with("::");
            prop_assert!(!begins && !line.contains("##[") && !line.contains(crate::model::is_acted_on), "{line:?}");
        }
    }
}
