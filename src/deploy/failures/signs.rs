//! How a row is told in a message: by what it says wherever that stands, and, where the message is cut, by what is left of AWS's sentence.

use super::catalogue::{SENTENCES, SIGNS};
use crate::model::{ApiService, AwsMessage, DenialReason};
use regex_lite::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Reasons, of which one is enough; `None` is a message without one, and no entry is any.
pub(super) type Wanted = &'static [Option<DenialReason>];

/// What a message must say, all of it; what is empty is not asked for.
#[derive(Debug)]
pub struct Sign {
    /// It must be one of these services' message, and say so.
    pub is_of: &'static [ApiService],
    /// It must not be another service's message.
    pub may_be_of: &'static [ApiService],
    /// One of these error codes.
    pub codes: &'static [&'static str],
    /// One of these operations was called.
    pub calls: &'static [&'static str],
    /// One of these actions was denied.
    pub actions: &'static [&'static str],
    /// Neither operation nor action is named.
    pub unnamed: bool,
    /// The HTTP status.
    pub status: Option<u16>,
    /// Why it was denied.
    pub because: Wanted,
    /// Something was denied.
    pub denied: bool,
    /// Patterns in lower case, each of which stands somewhere.
    pub says: &'static [&'static str],
    /// Patterns of which none does.
    pub never: &'static [&'static str],
}

impl Sign {
    /// Asks for nothing.
    pub const ANY: Sign = Sign {
        is_of: &[],
        may_be_of: &[],
        codes: &[],
        calls: &[],
        actions: &[],
        unnamed: false,
        status: None,
        because: &[],
        denied: false,
        says: &[],
        never: &[],
    };
}

/// The patterns of a sign.
struct Compiled {
    says: Vec<Regex>,
    never: Vec<Regex>,
}

static COMPILED: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    let all = |texts: &[&str]| texts.iter().filter_map(|text| Regex::new(text).ok()).collect();
    SIGNS.iter().map(|(_, sign)| Compiled { says: all(sign.says), never: all(sign.never) }).collect()
});

fn holds(sign: &Sign, compiled: &Compiled, message: &AwsMessage) -> bool {
    let somewhere = |pattern: &Regex| message.texts.iter().any(|text| pattern.is_match(text));
    (sign.is_of.is_empty() || message.services.iter().any(|service| sign.is_of.contains(service)))
        && (sign.may_be_of.is_empty() || message.may_be_of(sign.may_be_of))
        && (sign.codes.is_empty() || message.has_code(sign.codes))
        && (sign.calls.is_empty() || message.calls(sign.calls))
        && (sign.actions.is_empty() || message.denies(sign.actions))
        && (!sign.unnamed || message.operations.is_empty() && message.action.is_none())
        && (sign.status.is_none() || sign.status == message.status)
        && (sign.because.is_empty() || sign.because.contains(&message.reason))
        && (!sign.denied || message.denied)
        && compiled.says.iter().all(somewhere)
        && !compiled.never.iter().any(somewhere)
}

/// The fewest words, and letters in them, that tell a sentence of which more is cut off.
const WORDS: usize = 5;
const LETTERS: usize = 24;
/// The most words of a name.
const NAME: usize = 8;

fn words(text: &str) -> Vec<String> {
    let trim = |word: &str| word.trim_matches(|letter: char| !letter.is_alphanumeric() && letter != '{' && letter != '}').to_lowercase();
    text.split_whitespace().map(trim).filter(|word| !word.is_empty()).collect()
}

static SPLIT: LazyLock<Vec<(u8, Vec<String>)>> = LazyLock::new(|| SENTENCES.iter().map(|(row, says)| (*row, words(says))).collect());

/// What of a sentence was found: words, and letters in them.
#[derive(Clone, Copy, Default)]
struct Part {
    words: usize,
    letters: usize,
}

impl Part {
    fn and(self, word: &str) -> Part {
        Part { words: self.words + 1, letters: self.letters + word.chars().count() }
    }

    fn tells(self) -> bool {
        self.words >= WORDS && self.letters >= LETTERS
    }
}

/// Follows a sentence through a text from its beginning on; `Some` where one of both ends and what was found tells. `whole` says that the
/// sentence began in the text, so that all of it is enough.
fn follow(sentence: &[String], text: &[String], found: Part, whole: bool) -> bool {
    let Some((word, rest)) = sentence.split_first() else { return whole || found.tells() };
    let Some(at) = text.first() else { return found.tells() };
    if word == "{}" {
        let last = NAME.min(text.len());
        return (1..=last).any(|count| follow(rest, &text[count..], found, whole));
    }
    if let Some((before, _)) = word.split_once("{}") {
        return at.starts_with(before) && follow(rest, &text[1..], found.and(before), whole);
    }
    // The last word may be cut.
    let cut = text.len() == 1 && word.starts_with(at.as_str());
    (at == word || cut) && follow(rest, &text[1..], found.and(at), whole)
}

/// Finds a sentence in a piece of a text: whole, or with its beginning or its end cut off where the piece ends.
fn stands_in(sentence: &[String], piece: &[String]) -> bool {
    let from_its_beginning = (0..piece.len()).any(|at| follow(sentence, &piece[at..], Part::default(), true));
    let cut_before = |at: usize| match piece.split_first() {
        // The first word may be what is left of one.
        Some((word, rest)) if sentence[at].ends_with(word.as_str()) => follow(&sentence[at + 1..], rest, Part::default().and(word), false),
        // Or of a name.
        Some((_, rest)) if sentence[at] == "{}" => follow(&sentence[at + 1..], rest, Part::default(), false),
        _ => false,
    };
    from_its_beginning || (1..sentence.len()).any(cut_before)
}

/// Lists the rows whose sentences a text holds, also where it is cut.
fn by_sentence(message: &AwsMessage) -> BTreeSet<u8> {
    let mut found = BTreeSet::new();
    for text in &message.texts {
        // Who shortens a text in its middle says so.
        let whole = words(text);
        let pieces: Vec<Vec<String>> = text.replace("...", "…").split('…').map(words).filter(|piece| !piece.is_empty()).collect();
        for (row, sentence) in SPLIT.iter() {
            if stands_in(sentence, &whole) || pieces.iter().any(|piece| stands_in(sentence, piece)) {
                found.insert(*row);
            }
        }
    }
    found
}

/// Lists the rows that a message tells.
pub(super) fn told_by(message: &AwsMessage) -> BTreeSet<u8> {
    let signs = SIGNS.iter().zip(COMPILED.iter()).filter(|((_, sign), compiled)| holds(sign, compiled, message)).map(|((row, _), _)| *row);
    signs.collect::<BTreeSet<u8>>().union(&by_sentence(message)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::*;

    #[test]
    fn every_sign_is_of_a_row_and_its_patterns_compile() {
        for ((row, sign), compiled) in SIGNS.iter().zip(COMPILED.iter()) {
            assert!(rows().iter().any(|own| own.number == *row), "{row}");
            assert_eq!((compiled.says.len(), compiled.never.len()), (sign.says.len(), sign.never.len()), "{row}");
        }
        for (row, sentence) in SENTENCES {
            assert!(rows().iter().any(|own| own.number == row), "{row}");
            assert!(by_sentence(&AwsMessage::read(&sentence.replace("{}", "x"))).contains(&row), "{row}: {sentence}");
        }
    }

    #[test]
    fn a_sentence_is_found_where_it_is_cut_and_not_by_a_few_words() {
        let of = |text: &str| by_sentence(&AwsMessage::read(text));
        assert!(of("Error: Unable to access the artifact with Amazon S3 obj").contains(&6));
        assert!(of("… the Amazon S3 artifact bucket 'b'. The provided role does not have suffic…").contains(&6));
        assert!(of("Unable to access the artifact … more of it").contains(&6));
        assert!(of("Unable to access the").is_empty());
        assert!(of("does not exist").is_empty());
        assert!(of("the bucket does not").is_empty());
    }
}
