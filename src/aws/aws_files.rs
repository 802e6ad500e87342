//! Where something stands in the two AWS files: the SDK parses them, and forgets the lines; and it takes a file that it can't read
//! for one that isn't there.

use aws_types::os_shim_internal::Env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 << 20;

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
    Sections(Vec<SectionLines>),
    Absent,
    /// In a few words, why.
    Unreadable(String),
}

/// A section's header as it is written, without its brackets, and its keys; lines count from 1.
#[derive(Debug, PartialEq, Eq)]
struct SectionLines {
    header: String,
    line: usize,
    keys: Vec<KeyLine>,
}

/// A key, and what its line gives it.
#[derive(Debug, PartialEq, Eq)]
struct KeyLine {
    name: String,
    value: String,
    line: usize,
    /// It begins with a blank, and so belongs to the key above it.
    is_nested: bool,
}

/// Reads headers and keys; the SDK has made sure that the rest is right.
fn sections(text: &str) -> Vec<SectionLines> {
    let mut found: Vec<SectionLines> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        if let Some((header, _)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let header = header.split_whitespace().collect::<Vec<_>>().join(" ");
            found.push(SectionLines { header, line: at + 1, keys: Vec::new() });
        } else if let (Some((key, value)), Some(section)) = (line.split_once('='), found.last_mut()) {
            let (name, value) = (key.trim().to_lowercase(), value.trim().to_owned());
            section.keys.push(KeyLine { name, value, line: at + 1, is_nested: line.starts_with([' ', '\t']) });
        }
    }
    found
}

/// A part of the AWS files that has settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section<'a> {
    /// `[profile NAME]`, or `[NAME]` in the credentials file.
    Profile(&'a str),
    /// `[services NAME]`, in the configuration file alone.
    Services(&'a str),
}

impl Section<'_> {
    fn is_headed(&self, header: &str, in_credentials: bool) -> bool {
        match self {
            Section::Profile(name) if in_credentials => header == *name,
            // `[profile default]` is one too, and the SDK prefers it.
            Section::Profile(name) => header.strip_prefix("profile ") == Some(name) || (*name == "default" && header == "default"),
            Section::Services(name) => !in_credentials && header.strip_prefix("services ") == Some(name),
        }
    }
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
        let content = match std::fs::File::open(&path).and_then(|file| crate::files::read_some(file, LARGEST)) {
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

    fn sections(&self) -> &[SectionLines] {
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
        let line = |section: &SectionLines| match key {
            Some(key) => section.keys.iter().rev().find(|one| one.name == key && !one.is_nested).map(|one| one.line),
            None => Some(section.line),
        };
        let found = self.find(Section::Profile(profile), line).map(|(section, place)| format!("[{}] ({place})", section.header));
        found.unwrap_or_else(|| if profile == "default" { "[default]".to_owned() } else { format!("[profile {profile}]") })
    }

    /// Says where a key gets a value that begins so: `/home/me/.aws/config:3`.
    pub(super) fn line_of(&self, section: Section<'_>, key: &str, value: &str) -> Option<String> {
        let is_it = |one: &&KeyLine| one.name.eq_ignore_ascii_case(key) && one.value.starts_with(value);
        // The last one of several counts.
        self.find(section, |found| found.keys.iter().rev().find(is_it).map(|one| one.line)).map(|(_, place)| place)
    }

    fn find(&self, section: Section<'_>, line: impl Fn(&SectionLines) -> Option<usize>) -> Option<(&SectionLines, String)> {
        // What the credentials file says goes first.
        [(&self.credentials, true), (&self.config, false)].into_iter().find_map(|(file, in_credentials)| {
            let mut sections = file.sections().iter().rev().filter(|found| section.is_headed(&found.header, in_credentials));
            sections.find_map(|found| Some((found, file.at(line(found)?))))
        })
    }

    /// Puts the home in the place of a leading `~/`.
    pub(super) fn below_home(&self, path: &str) -> PathBuf {
        path.strip_prefix("~/").zip(self.home.as_ref()).map_or_else(|| PathBuf::from(path), |(rest, home)| home.join(rest))
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
        let text = "# one\n[profile  a]\nrole_arn = x\ns3 =\n  y = z\n\n[b] # behind\nRegion=us-east-1\nnonsense\n";
        let section = |header: &str, line, keys: &[(&str, &str, usize, bool)]| SectionLines {
            header: header.to_owned(),
            line,
            keys: keys
                .iter()
                .map(|(name, value, line, is_nested)| KeyLine {
                    name: (*name).to_owned(),
                    value: (*value).to_owned(),
                    line: *line,
                    is_nested: *is_nested,
                })
                .collect(),
        };
        let of_a = [("role_arn", "x", 3, false), ("s3", "", 4, false), ("y", "z", 5, true)];
        assert_eq!(sections(text), [section("profile a", 2, &of_a), section("b", 7, &[("region", "us-east-1", 8, false)])]);
    }

    fn file(path: &str, text: &str) -> AwsFile {
        AwsFile { path: path.into(), variable: None, content: Content::Sections(sections(text)) }
    }

    #[test]
    fn a_key_has_a_line() {
        let config = "[default]\nretry_mode = a\n[profile dev]\n# retry_mode = no\nretry_mode = b\nRetry_Mode=c\n\n[services local]\ns3 =\n  endpoint_url = d\n";
        let files = |config: &str, credentials: &str| AwsFiles {
            config: file("config", config),
            credentials: file("credentials", credentials),
            home: None,
        };
        let there = files(config, "");
        let line = |section, value| there.line_of(section, "retry_mode", value);
        assert_eq!(line(Section::Profile("default"), "a").as_deref(), Some("config:2"));
        assert_eq!(line(Section::Profile("dev"), "c").as_deref(), Some("config:6"));
        assert_eq!(there.line_of(Section::Services("local"), "endpoint_url", "d").as_deref(), Some("config:10"));
        assert_eq!(line(Section::Profile("prod"), "c"), None);
        let empty = "[dev]\nretry_mode =\n";
        assert_eq!(files("", empty).line_of(Section::Profile("dev"), "retry_mode", "").as_deref(), Some("credentials:2"));
        assert_eq!(files(empty, "").line_of(Section::Profile("dev"), "retry_mode", ""), None);
    }
}
