//! The AWS SDKs in a container's root, found by their files; nothing in it is run (facts D).

mod archive;
mod binary;
mod names;
mod search;
#[cfg(test)]
mod tests;

use super::inside::Inside;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// An AWS SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// botocore, which boto3 and the AWS CLI stand on.
    Botocore,
    /// boto3.
    Boto3,
    /// The AWS CLI, version 1.
    AwsCliV1,
    /// The AWS CLI, version 2.
    AwsCliV2,
    /// boto, before boto3.
    BotoV2,
    /// `aws-sdk` for JavaScript.
    #[serde(rename = "javascript-v2")]
    JavaScriptV2,
    /// `@aws-sdk/…` for JavaScript.
    #[serde(rename = "javascript-v3")]
    JavaScriptV3,
    /// `aws-java-sdk-core`.
    JavaV1,
    /// `software.amazon.awssdk`.
    JavaV2,
    /// `github.com/aws/aws-sdk-go`.
    GoV1,
    /// `github.com/aws/aws-sdk-go-v2`.
    GoV2,
    /// `aws-sdk-core` for Ruby.
    Ruby,
    /// `aws/aws-sdk-php`.
    Php,
    /// `AWSSDK.Core`.
    #[serde(rename = "dotnet")]
    DotNet,
    /// `aws-config`.
    Rust,
    /// `libaws-cpp-sdk-core`.
    Cpp,
    /// `aws.sdk.kotlin`.
    Kotlin,
    /// `aws-sdk-swift`.
    Swift,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Botocore => "botocore",
            Kind::Boto3 => "boto3",
            Kind::AwsCliV1 => "AWS CLI v1",
            Kind::AwsCliV2 => "AWS CLI v2",
            Kind::BotoV2 => "boto (v2)",
            Kind::JavaScriptV2 => "AWS SDK for JavaScript v2",
            Kind::JavaScriptV3 => "AWS SDK for JavaScript v3",
            Kind::JavaV1 => "AWS SDK for Java v1",
            Kind::JavaV2 => "AWS SDK for Java v2",
            Kind::GoV1 => "AWS SDK for Go v1",
            Kind::GoV2 => "AWS SDK for Go v2",
            Kind::Ruby => "AWS SDK for Ruby",
            Kind::Php => "AWS SDK for PHP",
            Kind::DotNet => "AWS SDK for .NET",
            Kind::Rust => "AWS SDK for Rust",
            Kind::Cpp => "AWS SDK for C++",
            Kind::Kotlin => "AWS SDK for Kotlin",
            Kind::Swift => "AWS SDK for Swift",
        })
    }
}

/// An SDK that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sdk {
    /// Which one.
    pub kind: Kind,
    /// Its version as the file tells it; empty where the file tells only that it is there.
    pub version: String,
    /// The file or folder that tells it, from the container's root; what is in an archive follows after `!`.
    pub path: String,
}

/// Where to begin: what `/proc` tells of the container's processes, as paths inside the container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// `/proc/PID/exe` of each process.
    pub executables: Vec<String>,
    /// `/proc/PID/cwd` of each process.
    pub folders: Vec<String>,
    /// `/proc/PID/cmdline` of each process, all words in one list.
    pub arguments: Vec<String>,
    /// The files in `/proc/PID/maps` of each process.
    pub maps: Vec<String>,
}

/// How much may be looked at (facts D, cost rule).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most names in folders.
    pub entries: usize,
    /// The deepest folder below one where the search begins.
    pub depth: usize,
    /// The longest time.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { entries: 50_000, depth: 6, time: Duration::from_secs(2) }
    }
}

/// What was found, and whether the search came to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The SDKs, sorted, each once.
    pub sdks: Vec<Sdk>,
    /// Everything that should be looked at was. An SDK may still be where nobody looks (bundled scripts, deep folders), so that
    /// an empty list is never a proof.
    pub complete: bool,
    /// What was not looked at, and why, where the search isn't complete.
    pub why: Option<String>,
}

/// Finds the SDKs in a container's root. It begins where the processes are, goes on with the usual places, follows no link out of the
/// root, and leaves mounts alone.
pub fn find(inside: &Inside, start: &Start, limits: &Limits) -> Found {
    let mut search = search::Search::new(inside, limits);
    search.run(start);
    search.into_found()
}
