//! The AWS SDKs in a container's root, found by their files; nothing in it is run (facts D).

use serde::Serialize;
use std::fmt;

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

/// Where a search starts.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Programs.
    pub executables: Vec<String>,
    /// Folders.
    pub folders: Vec<String>,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Mapped files.
    pub maps: Vec<String>,
}
/// Limits.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Time.
    pub time: std::time::Duration,
}
/// Found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Found.
    pub sdks: Vec<Sdk>,
    /// All.
    pub complete: bool,
    /// Why not.
    pub why: Option<String>,
}
/// Finds.
pub fn find(_: &std::path::Path, _: &Start, _: &Limits) -> Found {
    Found::default()
}
