//! Where a line of the AWS files is, for a message.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The two files, the one that goes first in front.
fn files(environment: &BTreeMap<String, String>) -> [(Option<PathBuf>, bool); 2] {
    let home = environment.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let of = |variable: &str, name: &str| match environment.get(variable) {
        Some(path) => match path.strip_prefix("~/") {
            Some(rest) => home.as_ref().map(|home| home.join(rest)),
            None => Some(PathBuf::from(path)),
        },
        None => home.as_ref().map(|home| home.join(".aws").join(name)),
    };
    [(of("AWS_SHARED_CREDENTIALS_FILE", "credentials"), true), (of("AWS_CONFIG_FILE", "config"), false)]
}

/// Puts the home in the place of a leading `~/`.
pub(super) fn below_home(environment: &BTreeMap<String, String>, path: &str) -> PathBuf {
    let home = environment.get("HOME").filter(|home| !home.is_empty());
    path.strip_prefix("~/").zip(home).map_or_else(|| PathBuf::from(path), |(rest, home)| PathBuf::from(home).join(rest))
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The file.
    pub path: PathBuf,
    /// From 1.
    pub number: usize,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {}", self.path.display(), self.number)
    }
}

/// A part of the AWS files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section<'a> {
    /// `[profile NAME]`, or `[NAME]` in the credentials file.
    Profile(&'a str),
    /// `[services NAME]`.
    Services(&'a str),
}

impl Section<'_> {
    fn is_headed(&self, header: &str, is_credentials: bool) -> bool {
        let mut words = header.split_whitespace();
        let (first, rest) = (words.next().unwrap_or_default(), words.collect::<Vec<_>>().join(" "));
        match self {
            Section::Profile(name) if is_credentials => rest.is_empty() && first == *name,
            Section::Profile(name) => {
                (first == "profile" && rest == *name) || (*name == "default" && first == "default" && rest.is_empty())
            }
            Section::Services(name) => !is_credentials && first == "services" && rest == *name,
        }
    }
}

/// Finds the line that gives a key this value.
pub(super) fn find(environment: &BTreeMap<String, String>, section: Section<'_>, key: &str, value: &str) -> Option<Line> {
    files(environment).into_iter().find_map(|(path, is_credentials)| {
        let path = path?;
        let text = std::fs::read_to_string(&path).ok()?;
        let number = line(&text, section, is_credentials, key, value)?;
        Some(Line { path, number })
    })
}

fn line(text: &str, section: Section<'_>, is_credentials: bool, key: &str, value: &str) -> Option<usize> {
    let mut is_inside = false;
    let mut found = None;
    for (number, line) in text.lines().enumerate() {
        if let Some(header) = line.trim_start().strip_prefix('[') {
            is_inside = section.is_headed(header.split(']').next().unwrap_or_default(), is_credentials);
        } else if let Some((name, said)) = line.split_once('=')
            && is_inside
            && name.trim().eq_ignore_ascii_case(key)
            && said.trim().starts_with(value)
        {
            // The last one of several counts.
            found = Some(number + 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[default]\nretry_mode = a\n[profile dev]\n# retry_mode = no\nretry_mode = b\nRetry_Mode=c\n\n[services local]\ns3 =\n  endpoint_url = d\n";

    #[test]
    fn a_key_has_a_line() {
        assert_eq!(line(CONFIG, Section::Profile("default"), false, "retry_mode", "a"), Some(2));
        assert_eq!(line(CONFIG, Section::Profile("dev"), false, "retry_mode", "c"), Some(6));
        assert_eq!(line(CONFIG, Section::Services("local"), false, "endpoint_url", "d"), Some(10));
        assert_eq!(line(CONFIG, Section::Profile("prod"), false, "retry_mode", "c"), None);
        assert_eq!(line("[dev]\nretry_mode =\n", Section::Profile("dev"), true, "retry_mode", ""), Some(2));
        assert_eq!(line("[dev]\nretry_mode =\n", Section::Profile("dev"), false, "retry_mode", ""), None);
    }
}
