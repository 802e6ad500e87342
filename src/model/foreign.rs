//! Text of others: it is shown, and nothing that reads it obeys it.

use serde::Serialize;

/// Returns true for a character that a terminal or a reader acts on instead of showing it: control characters (C0, DEL, C1), those
/// that change the direction of writing, and Unicode's ends of lines and paragraphs.
pub fn is_acted_on(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes visible what a terminal would act on and what would end a line, such as `\n` and `\u{1b}`.
pub fn printable(text: String) -> String {
    if !text.contains(is_acted_on) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match is_acted_on(letter) {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    shown
}

/// Takes from a line what the log of a CI system takes for a command: `::…` behind blanks at its start (GitHub), and `##[…` or
/// `##vso[…` anywhere (GitHub, Azure Pipelines). A blank parts what makes it one.
pub fn without_commands(mut line: String) -> String {
    let start = line.len() - line.trim_start().len();
    if line[start..].starts_with("::") {
        line.insert(start + 1, ' ');
    }
    let mut at = 0;
    while let Some(found) = line[at..].find("##") {
        at += found + 1;
        if line[at + 1..].trim_start_matches(|letter: char| letter.is_ascii_alphabetic()).starts_with('[') {
            line.insert(at, ' ');
        }
    }
    line
}

/// Gives a document as JSON over several lines, without a character that a terminal would act on.
pub fn json_text(document: &impl Serialize) -> String {
    inert_json(serde_json::to_string_pretty(document).unwrap_or_default())
}

/// Writes what a terminal or a CI log would act on as JSON's own escapes; the document stays the same.
pub fn inert_json(json: String) -> String {
    let acts = |letter: char| is_acted_on(letter) && letter != '\n';
    if !json.contains(acts) && !json.contains("##") {
        return json;
    }
    let mut written = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        match letter {
            // Only strings hold it, and `##[` begins a command of a CI log.
            '#' if written.ends_with('#') => written.push_str("\\u0023"),
            letter if acts(letter) => written.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => written.push(letter),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_acted_on_is_shown() {
        for (text, shown) in [
            ("plain Ω – 日本", "plain Ω – 日本"),
            ("a\u{1b}[31mb\u{7}", "a\\u{1b}[31mb\\u{7}"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{7f}\u{9b}\u{202e}\u{2028}\u{2066}\u{61c}\u{200f}", "\\u{7f}\\u{9b}\\u{202e}\\u{2028}\\u{2066}\\u{61c}\\u{200f}"),
        ] {
            assert_eq!(printable(text.to_owned()), shown);
        }
    }

    #[test]
    fn no_line_is_a_command_of_a_ci_log() {
        for (line, inert) in [
            ("::set-output name=a::b", ": :set-output name=a::b"),
            ("  \u{a0}::stop-commands::x", "  \u{a0}: :stop-commands::x"),
            ("a ##[set-env name=a]b", "a # #[set-env name=a]b"),
            ("###[x ##vso[task]", "## #[x # #vso[task]"),
            ("arn:aws:s3:::bucket ## [a]", "arn:aws:s3:::bucket ## [a]"),
        ] {
            assert_eq!(without_commands(line.to_owned()), inert);
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_one_line_that_nothing_obeys(text in "(::|##|\\[|vso| |\\PC|[\\x00-\\x1f\\x7f\u{80}-\u{9f}]|\u{202e}|\u{2028}){0,20}") {
            let line = without_commands(printable(text.clone()));
            prop_assert!(!line.contains(is_acted_on) && !line.trim_start().starts_with("::") && !line.contains("##["), "{line}");
            let json = json_text(&json!({text.as_str(): [text.as_str()]}));
            prop_assert!(!json.replace('\n', "").contains(is_acted_on) && !json.contains("##"));
            let read: Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&read[text.as_str()][0], &json!(text));
        }
    }
}
