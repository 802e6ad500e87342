//! Names and identifiers, parsed once at the edge; everything inside may rely on them being well formed.

mod finding;
mod foreign;
mod message;
mod mfa;
mod names;
pub mod quotas;

pub use finding::{Check, Finding, Outcome, Subject};
pub use foreign::{inert_json, is_acted_on, json_text, printable, without_commands};
pub use message::{ApiService, AwsMessage, DenialReason, PolicyKind, SessionOwner, plain, uncut};
pub use mfa::{MfaCode, is_mfa_code};
pub use names::{
    AccountId, Arn, BucketName, KeyAlias, KeyArn, ObjectKey, Partition, PipelineName, PolicyArn, RegionName, RoleName, account_of,
};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Puts a number before what is said of one or of many: `1 file is missing`, `2 files are missing`.
pub fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Writes bytes as lower-case hexadecimal digits, as AWS and `sha256sum` do.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What stands in the place of a profile's name for the credentials of the environment (`AWS_ACCESS_KEY_ID` and its like).
pub const ENVIRONMENT_PROFILE: &str = "env:";

/// Gives ` --profile NAME` for a command of the AWS CLI, and nothing where the environment has the credentials.
pub fn profile_option(profile: &str) -> String {
    if profile == ENVIRONMENT_PROFILE { String::new() } else { format!(" --profile {}", quoted(profile)) }
}

/// Gives the name of a profile that is one; none, where the environment has the credentials.
pub fn real_profile(profile: &str) -> &str {
    if profile == ENVIRONMENT_PROFILE { "" } else { profile }
}

/// Quotes an argument for a shell where it must be: for any POSIX shell, and for bash where it holds what a terminal
/// acts on, so that a command never has a second line and is shown as it runs.
pub fn quoted(text: &str) -> String {
    if text.contains(is_acted_on) {
        let escaped = |byte: u8| match byte {
            b'\'' | b'\\' => format!("\\{}", char::from(byte)),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\{byte:03o}"),
        };
        return format!("$'{}'", text.bytes().map(escaped).collect::<String>());
    }
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@,+%".contains(letter);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Says which of the two accounts is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The development account: pipeline, key, artifact bucket.
    Dev,
    /// The production account: output bucket, cross-account role.
    Prod,
}

impl Side {
    /// The other account.
    pub fn other(self) -> Side {
        match self {
            Side::Dev => Side::Prod,
            Side::Prod => Side::Dev,
        }
    }

    /// The account's word in full.
    pub fn long(self) -> &'static str {
        match self {
            Side::Dev => "development",
            Side::Prod => "production",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Dev => "dev",
            Side::Prod => "prod",
        })
    }
}

/// Says how a new version of the source object starts the pipeline (A2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ChangeDetection {
    /// S3 tells EventBridge, a rule starts the pipeline (recommended).
    Eventbridge,
    /// CodePipeline looks for a new version by itself.
    Polling,
    /// Nothing starts the pipeline; `xdeploy release` does.
    None,
}

impl fmt::Display for ChangeDetection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChangeDetection::Eventbridge => "eventbridge",
            ChangeDetection::Polling => "polling",
            ChangeDetection::None => "none",
        })
    }
}

/// Says how much the policies grant that setup writes (facts/codepipeline.md F.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Policies {
    /// The grants of A1 to A6, as AWS published them.
    #[default]
    Article,
    /// The calls of one run, and nothing else.
    LeastPrivilege,
}

impl fmt::Display for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Policies::Article => "article",
            Policies::LeastPrivilege => "least-privilege",
        })
    }
}

/// Whether a call would be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It would.
    Allowed,
    /// Something needed to tell isn't known.
    CannotTell,
    /// It would not.
    Denied,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Allowed => "allowed",
            Verdict::CannotTell => "can't tell",
            Verdict::Denied => "denied",
        })
    }
}

/// What stdout carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A value that could be read, or the reason why it couldn't; never silently absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readable<T> {
    /// What was read.
    Known(T),
    /// Why it could not be read.
    Unknown(String),
}

impl<T> Readable<T> {
    /// Gives the value if it could be read.
    pub fn known(&self) -> Option<&T> {
        match self {
            Readable::Known(value) => Some(value),
            Readable::Unknown(_) => None,
        }
    }

    /// Gives the reason why it could not be read.
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Readable::Known(_) => None,
            Readable::Unknown(why) => Some(why),
        }
    }
}
