//! Takes off a pasted text what terminals, mails, logs and documents put around it.

use regex_lite::Regex;
use std::sync::LazyLock;

/// How many characters of a text's beginning and of its end are read: messages of CodePipeline have 5,000 at the most (facts D.1), and in a
/// log the message stands at an end.
const READ: usize = 6_000;

/// A line that is shorter ends where its writer ended it, not where a terminal did.
const NARROWEST: usize = 30;

/// Words that no cut through a word leaves behind: before one of them there was a space.
const WORDS: [&str; 27] = [
    "access", "action", "allows", "and", "because", "bucket", "denied", "does", "error", "explicit", "for", "from", "have", "in", "is",
    "not", "on", "or", "policy", "service", "status", "that", "the", "to", "with", "you", "your",
];

/// Entities that people's texts hold.
const ENTITIES: [(&str, &str); 12] = [
    ("&quot;", "\""),
    ("&apos;", "'"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&nbsp;", " "),
    ("&hellip;", "…"),
    ("&ldquo;", "\""),
    ("&rdquo;", "\""),
    ("&lsquo;", "'"),
    ("&rsquo;", "'"),
    ("&shy;", ""),
    // The last: what it uncovers is an entity only in a text that was encoded twice.
    ("&amp;", "&"),
];

/// Compiles a pattern of this program; `None` for one that is none, which a test excludes.
pub(super) fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

/// Colours as control characters, as their escapes, and as what is left of them where the control character was lost.
static ANSI: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    vec![
        pattern(r"(?:\x1b|\x{9b}|\\+u001[bB]|\\+x1[bB]|\\+033|\\+e|\^\[)\][^\x07\x1b]*(?:\x07|\x1b\\)"),
        pattern(r"(?:(?:\x1b|\\+u001[bB]|\\+x1[bB]|\\+033|\\+e|\^\[)\[|\x{9b})[0-?]*[ -/]*[@-~]"),
        pattern(r"\[[0-9]{1,3}(?:;[0-9]{1,3})*m"),
        pattern(r"\x1b[@-Z\\-_]?"),
    ]
});
static NUMBERED: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"&#(?:[xX](?<hex>[0-9a-fA-F]{1,6})|(?<number>[0-9]{1,7}));"));
static BREAKS: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"(?i)<br ?/?>|</?(?:p|div|li|tr|pre)>"));
static ESCAPE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r#"\\+(?:u(?<hex>[0-9a-fA-F]{4})|(?<letter>["'/nrt\\]))"#));
/// What stands before a line that isn't of it: frames, quoting, timestamps, containers' names.
static BEFORE: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    vec![
        pattern(r"^\s*[│┃║|>╷╵╭╰├└─]+(?: |$)"),
        pattern(r"^\s*[╷╵]+\s*$"),
        pattern(r"^\[Container\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? "),
        pattern(r"^\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?\]?:?(?: |$)"),
        pattern(r"^(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d \S+ \S+\[\d+\]: "),
        pattern(r"^\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?(?: \|)? "),
        pattern(r"^[a-z][a-z0-9_.-]{0,60} +\| "),
    ]
});

fn numbered(text: &str) -> String {
    let Some(regex) = NUMBERED.as_ref() else { return text.to_owned() };
    let letter = |found: &regex_lite::Captures<'_>| {
        let code = match (found.name("hex"), found.name("number")) {
            (Some(hex), _) => u32::from_str_radix(hex.as_str(), 16).ok(),
            (_, Some(number)) => number.as_str().parse().ok(),
            _ => None,
        };
        code.and_then(char::from_u32).map(String::from).unwrap_or_default()
    };
    regex.replace_all(text, letter).into_owned()
}

/// Sets spaces, quotes and hyphens as a keyboard does, and takes out what has no width.
fn typed(text: &str) -> String {
    let letter = |letter: char| match letter {
        '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{ad}' | '\u{2060}' => None,
        '\u{a0}' | '\u{2007}' | '\u{202f}' => Some(' '),
        '\u{2018}' | '\u{2019}' => Some('\''),
        '\u{201c}' | '\u{201d}' => Some('"'),
        '\u{2010}' | '\u{2011}' => Some('-'),
        letter => Some(letter),
    };
    text.chars().filter_map(letter).collect()
}

/// Gives a text without colours and entities, in a keyboard's letters.
fn undressed(text: &str) -> String {
    let mut plain = text.replace("\r\n", "\n").replace('\r', "\n");
    for regex in ANSI.iter().flatten() {
        plain = regex.replace_all(&plain, "").into_owned();
    }
    // Twice: a ticket's text in a mail is encoded again.
    for _ in 0..2 {
        if plain.contains('&') {
            plain = ENTITIES.iter().fold(numbered(&plain), |text, (entity, letter)| text.replace(entity, letter));
        }
    }
    if let Some(breaks) = BREAKS.as_ref().filter(|_| plain.contains('<')) {
        plain = breaks.replace_all(&plain, "\n").into_owned();
    }
    typed(&plain)
}

/// Gives a text as it can be shown: without colours, entities and double escapes.
pub fn plain(text: &str) -> String {
    let mut plain = undressed(text);
    for _ in 0..3 {
        if plain.contains("\\\\\"") || plain.contains("\\\\n") {
            plain = plain.replace("\\\\", "\\").replace("\\\"", "\"");
        }
    }
    plain
}

/// Puts the lines of a text together that a terminal's width may have cut within a word.
pub fn uncut(text: &str) -> String {
    let widest = text.lines().map(width).max().unwrap_or_default();
    let mut whole = String::with_capacity(text.len());
    let mut full = false;
    for (at, line) in text.lines().enumerate() {
        let rest = bare(line);
        let of_word = |letter: char| !letter.is_whitespace();
        match full && whole.ends_with(of_word) && rest.starts_with(of_word) {
            true => whole.push_str(rest),
            false => {
                whole.push_str(if at == 0 { "" } else { "\n" });
                whole.push_str(line);
            }
        }
        full = width(line) == widest && widest >= NARROWEST && !line.is_empty();
    }
    whole
}

/// Takes the escapes of strings of JSON and of programs away, as often as they were put on.
fn unescaped(text: &str) -> String {
    let Some(regex) = ESCAPE.as_ref().filter(|_| text.contains('\\')) else { return text.to_owned() };
    let letter = |found: &regex_lite::Captures<'_>| match (found.name("hex"), found.name("letter").map(|letter| letter.as_str())) {
        (Some(hex), _) => u32::from_str_radix(hex.as_str(), 16).ok().and_then(char::from_u32).map(String::from).unwrap_or_default(),
        (_, Some("n" | "r")) => "\n".to_owned(),
        (_, Some("t")) => " ".to_owned(),
        (_, Some(letter)) => letter.to_owned(),
        _ => String::new(),
    };
    regex.replace_all(text, letter).into_owned()
}

/// Takes off a line what stands before it.
fn bare(line: &str) -> &str {
    let mut rest = line;
    for _ in 0..6 {
        let found = BEFORE.iter().flatten().find_map(|regex| regex.find(rest).filter(|found| !found.is_empty()));
        match found {
            Some(found) => rest = &rest[found.end()..],
            None => break,
        }
    }
    rest
}

/// Says whether a line begins with a word that no cut leaves behind.
fn begins_with_a_word(line: &str) -> bool {
    let first = line.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
    WORDS.contains(&first.to_ascii_lowercase().as_str())
}

fn width(line: &str) -> usize {
    line.chars().count()
}

/// How lines are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joining {
    /// With nothing behind a line that fills a terminal's width.
    Cut,
    /// The same, but with a space before a word that no cut leaves behind.
    CutOrSpaced,
    /// With spaces.
    Spaced,
}

/// Puts lines together.
fn joined(text: &str, way: Joining) -> String {
    let lines: Vec<(&str, &str)> = text.lines().map(|line| (line, bare(line))).collect();
    let widest = lines.iter().map(|(line, _)| width(line)).max().unwrap_or_default();
    let mut whole = String::with_capacity(text.len());
    let mut full = false;
    for (line, rest) in &lines {
        let word = begins_with_a_word(rest);
        let hyphen = whole.ends_with('-') && whole.chars().rev().nth(1).is_some_and(char::is_alphanumeric);
        let goes_on = rest.starts_with(|letter: char| !letter.is_whitespace()) && !whole.ends_with(char::is_whitespace);
        let within = goes_on
            && (hyphen && rest.starts_with(char::is_alphanumeric) || full && (way == Joining::Cut || way == Joining::CutOrSpaced && !word));
        if !whole.is_empty() && !within {
            whole.push(' ');
        }
        whole.push_str(rest);
        full = width(line) == widest && widest >= NARROWEST;
    }
    whole.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Gives a text's beginning and end where it is too long to be read whole.
fn ends(text: &str) -> String {
    let count = text.chars().count();
    if count <= READ * 2 {
        return text.to_owned();
    }
    text.chars().take(READ).chain(['\n']).chain(text.chars().skip(count - READ)).collect()
}

/// Gives a text on one line, as it may be meant: as a terminal cut it, the same but for words that no cut leaves behind, and with spaces
/// between its lines. What is the same is there once.
pub fn lines(text: &str) -> Vec<String> {
    let plain = undressed(&ends(text));
    let mut found: Vec<String> = Vec::new();
    for way in [Joining::Cut, Joining::CutOrSpaced, Joining::Spaced] {
        // Escapes hide other lines, and count where a terminal has cut.
        let line = joined(&unescaped(&joined(&plain, way)), way);
        if !found.contains(&line) {
            found.push(line);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAYS: &str = "User: arn:aws:sts::111111111111:assumed-role/r/s is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::b/k\" because no identity-based policy allows the s3:PutObject action";

    #[test]
    fn every_pattern_compiles() {
        assert!(ANSI.iter().chain(BEFORE.iter()).all(Option::is_some));
        assert!([&NUMBERED, &BREAKS, &ESCAPE].iter().all(|regex| regex.is_some()));
    }

    #[test]
    fn what_is_put_around_a_text_goes() {
        let sliced: Vec<String> = SAYS.chars().collect::<Vec<_>>().chunks(50).map(|part| part.iter().collect()).collect();
        let framed = sliced.iter().map(|line| format!("│ {line}")).collect::<Vec<_>>().join("\n");
        for text in [
            SAYS.to_owned(),
            sliced.join("\n"),
            framed,
            format!("\u{1b}[31m{SAYS}\u{1b}[0m"),
            format!("[31m{SAYS}[0m"),
            SAYS.replace('"', "&amp;quot;"),
            SAYS.replace('"', "\\\\\\\""),
            SAYS.replace(' ', "\n> "),
            SAYS.replace(' ', "\n2026-11-23T01:00:00.1Z "),
            SAYS.replace("identity-based", "identity-\nbased"),
            SAYS.replace(' ', "\\n"),
        ] {
            assert!(lines(&text).contains(&SAYS.to_owned()), "{text}\n{:?}", lines(&text));
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "(\\x1b\\[|&#x?|&amp;|\\\\u00|\\\\|│ |> |\n|[0-9]{4}-|\\PC){0,24}") {
            let _ = lines(&text);
        }
    }
}
