//! Where something stands in the two AWS files: the SDK parses them, and forgets the lines; and it takes a file that it can't read
//! for one that isn't there.

use aws_types::os_shim_internal::Env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Both files as they were when the profiles were read.
#[derive(Debug)]
pub(super) struct AwsFiles {
    /// The shared configuration file.
    config: AwsFile,
    /// The shared credentials file, whose values win.
    credentials: AwsFile,
    /// The home folder.
    pub home: Option<PathBuf>,
}

#[derive(Debug)]
struct AwsFile {
    path: PathBuf,
    /// The variable that names it, where one does.
    variable: Option<&'static str>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Sections(Vec<Section>),
    Absent,
    /// In a few words, why.
    Unreadable(String),
}

/// A section's header as it is written, without its brackets, and the lines of its keys; lines count from 1.
#[derive(Debug, PartialEq, Eq)]
struct Section {
    header: String,
    line: usize,
    keys: Vec<(String, usize)>,
}

/// Reads headers and keys; the SDK has made sure that the rest is right.
fn sections(text: &str) -> Vec<Section> {
    let mut found: Vec<Section> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        // A line that begins with a blank belongs to the one above it.
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some((header, _)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let header = header.split_whitespace().collect::<Vec<_>>().join(" ");
            found.push(Section { header, line: at + 1, keys: Vec::new() });
        } else if let (Some((key, _)), Some(section)) = (line.split_once('='), found.last_mut()) {
            section.keys.push((key.trim().to_lowercase(), at + 1));
        }
    }
    found
}

impl AwsFile {
    fn read(env: &Env, home: Option<&Path>, variable: &'static str, name: &str) -> AwsFile {
        let named = env.get(variable).ok();
        let path = named.clone().unwrap_or_else(|| format!("~/.aws/{name}"));
        let variable = named.is_some().then_some(variable);
        let path = match (path.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            (Some(_), None) => {
                let content = Content::Unreadable("HOME is not set".to_owned());
                return AwsFile { path: path.into(), variable, content };
            }
            (None, _) => path.into(),
        };
        let content = match std::fs::read(&path) {
            Ok(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => Content::Sections(sections(text)),
                Err(error) => {
                    let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                    Content::Unreadable(format!("line {line} is not UTF-8"))
                }
            },
            Err(error) => match error.kind() {
                ErrorKind::NotFound => Content::Absent,
                ErrorKind::IsADirectory => Content::Unreadable("it is a directory".to_owned()),
                ErrorKind::PermissionDenied => Content::Unreadable("permission denied".to_owned()),
                _ => Content::Unreadable(error.to_string()),
            },
        };
        AwsFile { path, variable, content }
    }

    fn sections(&self) -> &[Section] {
        match &self.content {
            Content::Sections(sections) => sections,
            Content::Absent | Content::Unreadable(_) => &[],
        }
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// The path, and why nothing was found in it, where that isn't because it doesn't say so.
    fn described(&self) -> String {
        let named = self.variable.map(|variable| format!(", which {variable} names")).unwrap_or_default();
        match &self.content {
            Content::Sections(_) => self.path.display().to_string(),
            Content::Absent => format!("{} (not there{named})", self.path.display()),
            Content::Unreadable(why) => format!("{} (could not be read: {why}{named})", self.path.display()),
        }
    }
}

impl AwsFiles {
    /// Reads what the SDK reads: the files that `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` name, or those below the home.
    pub(super) fn read() -> AwsFiles {
        let env = Env::real();
        let home = env.get("HOME").ok().filter(|home| !home.is_empty()).map(PathBuf::from);
        AwsFiles {
            config: AwsFile::read(&env, home.as_deref(), "AWS_CONFIG_FILE", "config"),
            credentials: AwsFile::read(&env, home.as_deref(), "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            home,
        }
    }

    /// Says where a key of a profile stands, or where the profile begins: `[profile dev] (/home/me/.aws/config:3)`.
    pub(super) fn place(&self, profile: &str, key: Option<&str>) -> String {
        let in_config = if profile == "default" { "default".to_owned() } else { format!("profile {profile}") };
        // `[profile default]` is one too, and the SDK prefers it.
        let is_config = |header: &str| header == in_config || header.strip_prefix("profile ") == Some(profile);
        let found = self.find(&self.credentials, |header| header == profile, key).or_else(|| self.find(&self.config, is_config, key));
        found.unwrap_or_else(|| format!("[{in_config}]"))
    }

    fn find(&self, file: &AwsFile, is_it: impl Fn(&str) -> bool, key: Option<&str>) -> Option<String> {
        let sections = file.sections().iter().rev().filter(|section| is_it(&section.header));
        let line = |section: &Section| match key {
            Some(key) => section.keys.iter().rev().find(|(name, _)| name == key).map(|(_, line)| *line),
            None => Some(section.line),
        };
        sections.into_iter().find_map(|section| Some(format!("[{}] ({})", section.header, file.at(line(section)?))))
    }

    /// Names both files, with what is the matter with them.
    pub(super) fn described(&self) -> String {
        format!("{} and {}", self.config.described(), self.credentials.described())
    }

    /// Says why a file could not be read, if one could not: what it holds isn't known then.
    pub(super) fn unreadable(&self) -> Option<String> {
        let unreadable = |file: &&AwsFile| matches!(file.content, Content::Unreadable(_));
        [&self.config, &self.credentials].into_iter().find(unreadable).map(AwsFile::described)
    }

    /// Says which variable names a file that isn't there, if one does.
    pub(super) fn misnamed(&self) -> Option<String> {
        let misnamed = |file: &&AwsFile| file.variable.is_some() && matches!(file.content, Content::Absent);
        [&self.config, &self.credentials].into_iter().find(misnamed).map(AwsFile::described)
    }

    /// Finds a profile whose section is written as the other file wants it: what is there, and how it should be.
    pub(super) fn wrongly_headed(&self, profile: &str) -> Option<(String, String)> {
        let prefixed = format!("profile {profile}");
        let bare = self.config.sections().iter().find(|section| profile != "default" && section.header == profile);
        if let Some(section) = bare {
            let cause = format!("[{profile}] ({}) is no profile", self.config.at(section.line));
            return Some((
                cause,
                format!("write it as `[profile {profile}]` there: in the config file a profile's section begins with `profile `"),
            ));
        }
        let section = self.credentials.sections().iter().find(|section| section.header == prefixed)?;
        let cause = format!("[{prefixed}] ({}) is no profile", self.credentials.at(section.line));
        Some((cause, format!("write it as `[{profile}]` there: in the credentials file a profile's section has its name alone")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_keys_have_their_lines() {
        let text = "# one\n[profile  a]\nrole_arn = x\n s3 =\n  y = z\n\n[b] # behind\nRegion=us-east-1\nnonsense\n";
        let section = |header: &str, line, keys: &[(&str, usize)]| Section {
            header: header.to_owned(),
            line,
            keys: keys.iter().map(|(key, line)| ((*key).to_owned(), *line)).collect(),
        };
        assert_eq!(sections(text), [section("profile a", 2, &[("role_arn", 3)]), section("b", 7, &[("region", 8)])]);
    }
}
