//! What the names and the texts of package managers tell (facts D); no files are read here.

use super::Kind;
use serde_json::Value;

/// A folder or file that Python's installers leave: `boto3-1.4.0.dist-info`, `botocore-1.4.36-py2.7.egg-info`.
pub(super) fn of_python(name: &str) -> Option<(Kind, String)> {
    let stem = [".dist-info", ".egg-info", ".egg"].iter().find_map(|ending| name.strip_suffix(ending))?;
    let (package, rest) = stem.split_once('-')?;
    let version = rest.split("-py").next()?;
    if !version.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let kind = match package.to_ascii_lowercase().as_str() {
        "botocore" => Kind::Botocore,
        "boto3" => Kind::Boto3,
        "boto" => Kind::BotoV2,
        // Distributions package version 2 as a Python package too.
        "awscli" if version.starts_with("1.") || version.starts_with("0.") => Kind::AwsCliV1,
        "awscli" => Kind::AwsCliV2,
        _ => return None,
    };
    Some((kind, version.to_owned()))
}

/// A Java archive, with the name of its group before it or not: `aws-java-sdk-core-1.11.16.jar`,
/// `software.amazon.awssdk.sdk-core-2.20.1.jar`.
pub(super) fn of_jar(name: &str) -> Option<(Kind, String)> {
    let stem = name.strip_suffix(".jar")?;
    let digit_after = |at: &usize| stem.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit);
    let at = stem.match_indices('-').map(|(at, _)| at).find(digit_after)?;
    let (artifact, version) = (&stem[..at], &stem[at + 1..]);
    if ["-sources", "-javadoc", "-tests"].iter().any(|ending| version.ends_with(ending)) {
        return None;
    }
    let kind = match artifact.strip_prefix("com.amazonaws.").unwrap_or(artifact) {
        "aws-java-sdk-core" | "aws-java-sdk-bundle" | "aws-java-sdk" => Kind::JavaV1,
        _ => match artifact.strip_prefix("software.amazon.awssdk.") {
            Some("sdk-core" | "auth" | "aws-core" | "bundle") => Kind::JavaV2,
            Some(_) => return None,
            None => match artifact.strip_prefix("aws.sdk.kotlin.").unwrap_or(artifact) {
                // Without the group others may be called so; the SDK's second version counts from 2.
                "sdk-core" | "aws-core" if version.starts_with("2.") => Kind::JavaV2,
                "aws-config-jvm" | "aws-core-jvm" => Kind::Kotlin,
                _ => return None,
            },
        },
    };
    Some((kind, version.to_owned()))
}

/// Says whether a Java archive's name without its group could be of something else, so that its contents decide.
pub(super) fn is_doubtful_jar(name: &str) -> bool {
    name.starts_with("sdk-core-") || name.starts_with("aws-core-2")
}

/// A gem's description: `aws-sdk-core-3.188.0.gemspec`.
pub(super) fn of_gemspec(name: &str) -> Option<(Kind, String)> {
    let version = name.strip_prefix("aws-sdk-core-")?.strip_suffix(".gemspec")?;
    version.starts_with(|first: char| first.is_ascii_digit()).then(|| (Kind::Ruby, version.to_owned()))
}

/// The C++ SDK's library, with a version only where its name has a whole one: `libaws-cpp-sdk-core.so.1.11.263`.
pub(super) fn of_library(name: &str) -> Option<(Kind, String)> {
    let rest = name.strip_prefix("libaws-cpp-sdk-core.so")?;
    let version = rest.strip_prefix('.').unwrap_or_default();
    let whole = version.split('.').count() >= 3 && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    Some((Kind::Cpp, if whole { version.to_owned() } else { String::new() }))
}

/// A package in pnpm's store (`aws-sdk@2.1693.0`, `@aws-sdk+credential-provider-node@3.458.0_…`) or in Yarn's cache
/// (`aws-sdk-npm-2.1693.0-….zip`).
pub(super) fn of_store(name: &str) -> Option<(Kind, String)> {
    let stores = [
        ("aws-sdk@", Kind::JavaScriptV2),
        ("@aws-sdk+credential-provider-node@", Kind::JavaScriptV3),
        ("aws-sdk-npm-", Kind::JavaScriptV2),
        ("@aws-sdk-credential-provider-node-npm-", Kind::JavaScriptV3),
    ];
    let (kind, rest) = stores.iter().find_map(|(prefix, kind)| Some((*kind, name.strip_prefix(prefix)?)))?;
    let version: String = rest.chars().take_while(|character| character.is_ascii_digit() || *character == '.').collect();
    version.contains('.').then_some((kind, version))
}

/// A folder that Swift's package manager leaves beside an executable.
pub(super) fn is_swift(name: &str) -> bool {
    name.starts_with("aws-sdk-swift_") && (name.ends_with(".resources") || name.ends_with(".bundle"))
}

/// `package.json`'s version.
pub(super) fn package_version(text: &str) -> Option<String> {
    let package: Value = serde_json::from_str(text).ok()?;
    package.get("version")?.as_str().map(str::to_owned)
}

/// The PHP SDK in Composer's list, which is an object since version 2 and was an array before.
pub(super) fn of_composer(text: &str) -> Option<(Kind, String)> {
    let list: Value = serde_json::from_str(text).ok()?;
    let packages = list.get("packages").unwrap_or(&list).as_array()?;
    let sdk = packages.iter().find(|package| package.get("name").and_then(Value::as_str) == Some("aws/aws-sdk-php"))?;
    Some((Kind::Php, sdk.get("version").and_then(Value::as_str).unwrap_or_default().to_owned()))
}

/// The .NET SDK in an application's `….deps.json`.
pub(super) fn of_deps(text: &str) -> Option<(Kind, String)> {
    let list: Value = serde_json::from_str(text).ok()?;
    let version = |key: &String| key.strip_prefix("AWSSDK.Core/").map(str::to_owned);
    Some((Kind::DotNet, list.get("libraries")?.as_object()?.keys().find_map(version)?))
}

/// The Ruby SDK in a `Gemfile.lock`: four spaces, a name, a version in brackets.
pub(super) fn of_gemfile(text: &str) -> Option<(Kind, String)> {
    let version = |line: &str| Some(line.strip_prefix("    aws-sdk-core (")?.strip_suffix(')')?.to_owned());
    text.lines().find_map(version).map(|version| (Kind::Ruby, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(kind: Kind, version: &str) -> Option<(Kind, String)> {
        Some((kind, version.to_owned()))
    }

    #[test]
    fn names_tell_versions() {
        assert_eq!(of_python("boto3-1.43.106.dist-info"), told(Kind::Boto3, "1.43.106"));
        assert_eq!(of_python("botocore-1.4.36-py2.7.egg-info"), told(Kind::Botocore, "1.4.36"));
        assert_eq!(of_python("boto-2.49.0-py2.7.egg"), told(Kind::BotoV2, "2.49.0"));
        assert_eq!(of_python("awscli-1.10.46.dist-info"), told(Kind::AwsCliV1, "1.10.46"));
        assert_eq!(of_python("awscli-2.15.0.dist-info"), told(Kind::AwsCliV2, "2.15.0"));
        for other in ["boto3_stubs-1.2.dist-info", "boto3", "boto3-stubs-1.0.dist-info", "aiobotocore-2.5.0.dist-info", "-.egg-info"] {
            assert_eq!(of_python(other), None, "{other}");
        }
        assert_eq!(of_jar("aws-java-sdk-core-1.11.16.jar"), told(Kind::JavaV1, "1.11.16"));
        assert_eq!(of_jar("com.amazonaws.aws-java-sdk-core-1.11.16.jar"), told(Kind::JavaV1, "1.11.16"));
        assert_eq!(of_jar("sdk-core-2.21.30.jar"), told(Kind::JavaV2, "2.21.30"));
        assert_eq!(of_jar("software.amazon.awssdk.auth-2.21.30-PREVIEW.jar"), told(Kind::JavaV2, "2.21.30-PREVIEW"));
        assert_eq!(of_jar("aws-config-jvm-1.0.1.jar"), told(Kind::Kotlin, "1.0.1"));
        for other in
            ["sdk-core-1.2.jar", "auth-2.1.jar", "aws-java-sdk-s3-1.11.16.jar", "sdk-core.jar", "sdk-core-2.1-sources.jar", "-.jar"]
        {
            assert_eq!(of_jar(other), None, "{other}");
        }
        assert_eq!(of_gemspec("aws-sdk-core-3.188.0.gemspec"), told(Kind::Ruby, "3.188.0"));
        assert_eq!(of_gemspec("aws-sdk-core-x.gemspec"), None);
        assert_eq!(of_library("libaws-cpp-sdk-core.so"), told(Kind::Cpp, ""));
        assert_eq!(of_library("libaws-cpp-sdk-core.so.1"), told(Kind::Cpp, ""));
        assert_eq!(of_library("libaws-cpp-sdk-core.so.1.11.263"), told(Kind::Cpp, "1.11.263"));
        assert_eq!(of_store("aws-sdk@2.1693.0"), told(Kind::JavaScriptV2, "2.1693.0"));
        assert_eq!(of_store("@aws-sdk+credential-provider-node@3.458.0_x"), told(Kind::JavaScriptV3, "3.458.0"));
        assert_eq!(of_store("aws-sdk-npm-2.1.0-0123456789.zip"), told(Kind::JavaScriptV2, "2.1.0"));
        assert_eq!(of_store("aws-sdk-mock@5.1.0"), None);
    }

    #[test]
    fn lists_tell_versions() {
        let entry = r#"{"name":"aws/aws-sdk-php","version":"3.18.27"}"#;
        assert_eq!(of_composer(&format!(r#"{{"packages":[{{"name":"a/b"}},{entry}],"dev":true}}"#)), told(Kind::Php, "3.18.27"));
        assert_eq!(of_composer(&format!("[{entry}]")), told(Kind::Php, "3.18.27"));
        assert_eq!(of_composer("[]"), None);
        let deps = r#"{"libraries":{"App/1.0.0":{},"AWSSDK.Core/3.7.0.1":{"type":"package"}}}"#;
        assert_eq!(of_deps(deps), told(Kind::DotNet, "3.7.0.1"));
        let lock =
            "GEM\n  specs:\n    aws-sdk-core (3.188.0)\n      aws-eventstream (~> 1)\n    aws-sdk-s3 (1.0)\n      aws-sdk-core (~> 3)\n";
        assert_eq!(of_gemfile(lock), told(Kind::Ruby, "3.188.0"));
        assert_eq!(package_version(r#"{"name":"aws-sdk","version":"2.4.6"}"#).as_deref(), Some("2.4.6"));
    }

    #[test]
    fn nothing_panics() {
        let names = "(aws|boto3|sdk-core|@aws-sdk\\+core|libaws-cpp-sdk-core\\.so|-|@|\\.|[0-9]|\\.jar|\\.egg-info|é){0,12}";
        proptest!(|(any in "\\PC{0,40}", name in names)| {
            for text in [&any, &name] {
                let _ = (of_python(text), of_jar(text), of_gemspec(text), of_library(text), of_store(text), is_swift(text));
                let _ = (package_version(text), of_composer(text), of_deps(text), of_gemfile(text));
            }
        });
    }
}
