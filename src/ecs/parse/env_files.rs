//! `/etc/ecs/ecs.config` as each of its three readers takes it (facts/ecs.md A.2), and the other places where variables are written.

/// A variable as a reader took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line, counted from 1.
    pub line: usize,
    /// The name, as the reader took it: it may have spaces or a `#` in it.
    pub name: String,
    /// The value, as the reader took it: it may have quotes in it.
    pub value: String,
}

/// Why a reader refuses a file as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: usize,
    /// What it doesn't take, in its own words.
    pub what: &'static str,
}

fn entry(line: usize, name: &str, value: &str) -> Entry {
    Entry { line, name: name.to_owned(), value: value.to_owned() }
}

/// Reads as ecs-init does for the agent's container: no comments, no quotes, no `export`.
pub fn ecs_init(text: &str) -> Vec<Entry> {
    let lines = text.split('\n').enumerate();
    lines.filter_map(|(at, line)| line.trim().split_once('=').map(|(name, value)| entry(at + 1, name, value))).collect()
}

/// Reads as systemd does an `EnvironmentFile`: comments, quotes, and lines that go on after a backslash.
pub fn systemd(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        let line = line.trim_start();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let Some((name, rest)) = line.split_once('=') else { continue };
        let mut rest = rest.to_owned();
        let value = loop {
            match unquoted(&rest) {
                Some(value) => break value,
                None => match lines.next() {
                    Some((_, more)) => {
                        rest.push('\n');
                        rest.push_str(more);
                    }
                    // An open quote at the end of the file takes what there is.
                    None => break rest.trim_matches(['"', '\'']).to_owned(),
                },
            }
        };
        let name = name.trim();
        if !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            found.push(entry(at + 1, name, &value));
        }
    }
    found
}

/// Takes quotes off as systemd does; `None` where a quote or a line is still open.
fn unquoted(text: &str) -> Option<String> {
    let mut value = String::new();
    // What was written before the blanks at the end, which only count when more follows.
    let mut solid = 0;
    let mut quote = None;
    let mut characters = text.trim_start_matches([' ', '\t']).chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '"' | '\'') => {
                quote = Some(character);
                continue;
            }
            (Some(open), closing) if open == closing => {
                quote = None;
                solid = value.len();
                continue;
            }
            (None | Some('"'), '\\') => match characters.next() {
                None => return None,
                Some('\n') => continue,
                Some(escaped) => value.push(escaped),
            },
            (None, '\n') => break,
            (_, other) => value.push(other),
        }
        if quote.is_some() || !value.ends_with([' ', '\t', '\r']) {
            solid = value.len();
        }
    }
    if quote.is_some() {
        return None;
    }
    value.truncate(solid);
    Some(value)
}

/// Reads as `docker run --env-file` does; a name without `=` is taken from whoever runs it, which isn't known here.
///
/// # Errors
/// What Docker refuses the whole file for: a name with blanks in it, or none at all.
pub fn docker(text: &str) -> Result<Vec<Entry>, Mistake> {
    let mut found = Vec::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        if name.contains([' ', '\t']) {
            return Err(Mistake { line: at + 1, what: "contains whitespaces" });
        }
        if name.is_empty() {
            return Err(Mistake { line: at + 1, what: "no variable name on line" });
        }
        if let Some(value) = value {
            found.push(entry(at + 1, name, value));
        }
    }
    Ok(found)
}

/// Reads `export NAME=value` and `NAME=value` of a shell's file, as `/etc/sysconfig/docker` has them.
pub fn shell(text: &str) -> Vec<Entry> {
    prefixed(text, "export", false)
}

/// Reads `env NAME=value` of an upstart override.
pub fn upstart(text: &str) -> Vec<Entry> {
    prefixed(text, "env", true)
}

/// Reads assignments behind a word, which stands in each line or may be missing.
fn prefixed(text: &str, word: &str, always: bool) -> Vec<Entry> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let behind = line.strip_prefix(word).filter(|rest| rest.starts_with([' ', '\t']));
        let rest = behind.or((!always).then_some(line));
        if let Some((name, value)) = rest.and_then(|rest| rest.trim_start().split_once('='))
            && !name.is_empty()
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        {
            found.push(entry(at + 1, name, &unquoted(value).unwrap_or_else(|| value.to_owned())));
        }
    }
    found
}

/// Reads `Environment=` of a unit or of a drop-in: assignments with blanks between them, quoted as wholes.
pub fn unit(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some(rest) = line.trim().strip_prefix("Environment=") else { continue };
        if rest.is_empty() {
            // An empty assignment takes back what was said before.
            found.clear();
        }
        for word in words(rest) {
            if let Some((name, value)) = word.split_once('=') {
                found.push(entry(at + 1, name, value));
            }
        }
    }
    found
}

/// Splits at blanks that no quote holds together.
fn words(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quote = None;
    for character in text.chars() {
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), closing) if open == closing => quote = None,
            (None, ' ' | '\t') => found.push(String::new()),
            (_, other) => found.last_mut().into_iter().for_each(|word| word.push(other)),
        }
    }
    found.retain(|word| !word.is_empty());
    found
}

/// Reads a boolean as the agent does: Go's `ParseBool` after trimming (facts A.2); `None` is not a boolean.
pub fn go_bool(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(entries: &[Entry]) -> Vec<(&str, &str)> {
        entries.iter().map(|entry| (entry.name.as_str(), entry.value.as_str())).collect()
    }

    #[test]
    fn three_readers_of_one_file() {
        let text = "\
# ECS_CLUSTER=no
ECS_CLUSTER=web\r
export ECS_A=1
ECS_B=\"true\"
ECS_C = x
ECS_D=true # on
;ECS_E=1
NOTHING
ECS_F='a b'
";
        assert_eq!(
            pairs(&ecs_init(text)),
            [
                ("# ECS_CLUSTER", "no"),
                ("ECS_CLUSTER", "web"),
                ("export ECS_A", "1"),
                ("ECS_B", "\"true\""),
                ("ECS_C ", " x"),
                ("ECS_D", "true # on"),
                (";ECS_E", "1"),
                ("ECS_F", "'a b'"),
            ]
        );
        let by_systemd = [("ECS_CLUSTER", "web"), ("ECS_B", "true"), ("ECS_C", "x"), ("ECS_D", "true # on"), ("ECS_F", "a b")];
        assert_eq!(pairs(&systemd(text)), by_systemd);
        assert_eq!(docker(text), Err(Mistake { line: 3, what: "contains whitespaces" }));
        assert_eq!(pairs(&docker("\u{feff}A=\"x\"\n #c\nHOME\n  B=2\n").unwrap()), [("A", "\"x\""), ("B", "2")]);
        assert_eq!(docker("=1"), Err(Mistake { line: 1, what: "no variable name on line" }));
    }

    #[test]
    fn systemd_reads_on_after_a_backslash_and_in_quotes() {
        assert_eq!(pairs(&systemd("A=one\\\ntwo\nB=\"x\ny\"\nC=3")), [("A", "onetwo"), ("B", "x\ny"), ("C", "3")]);
        assert_eq!(systemd("A=\"open").len(), 1);
    }

    #[test]
    fn other_places() {
        let unit = unit("[Service]\nEnvironment=\"HTTP_PROXY=http://p:1\" NO_PROXY=a,b\nEnvironment='X=1 2'\n");
        assert_eq!(pairs(&unit), [("HTTP_PROXY", "http://p:1"), ("NO_PROXY", "a,b"), ("X", "1 2")]);
        assert_eq!(pairs(&super::unit("Environment=A=1\nEnvironment=\nEnvironment=B=2")), [("B", "2")]);
        assert_eq!(pairs(&shell("export A=\"1\"\nB=2\n# C=3\n")), [("A", "1"), ("B", "2")]);
        assert_eq!(pairs(&shell("export  A=1\nexport\tB=2\nexportC=3\n")), [("A", "1"), ("B", "2"), ("exportC", "3")]);
        assert_eq!(pairs(&upstart("env A=1\nB=2\nenv\t C=3\n")), [("A", "1"), ("C", "3")]);
    }

    #[test]
    fn booleans_as_go_reads_them() {
        let texts = ["1", " true ", "T", "0", "False", "yes", "on", "\"true\"", "true # x", "", "tRUE"];
        let read = [Some(true), Some(true), Some(true), Some(false), Some(false), None, None, None, None, None, None];
        assert_eq!(texts.map(go_bool), read);
    }

    proptest! {
        #[test]
        fn nothing_makes_them_panic(text in "\\PC{0,20}([\n\r\t =\"'\\\\#;]|export |export\t|env |Environment=|\\PC){0,60}") {
            for entry in ecs_init(&text).iter().chain(&systemd(&text)).chain(&docker(&text).unwrap_or_default()) {
                prop_assert!(entry.line >= 1 && entry.line <= text.split('\n').count());
            }
            let _ = (shell(&text), upstart(&text), unit(&text), go_bool(&text));
        }

        #[test]
        fn plain_lines_read_the_same_everywhere(pairs in proptest::collection::vec(("[A-Z_]{1,8}", "[a-z0-9./:,-]{0,12}"), 0..8)) {
            let text: String = pairs.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
            prop_assert_eq!(ecs_init(&text), systemd(&text));
            prop_assert_eq!(Ok(ecs_init(&text)), docker(&text));
            prop_assert_eq!(ecs_init(&text), shell(&text));
        }
    }
}
