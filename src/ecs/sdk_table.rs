//! What is known of each AWS SDK: since when it knows task roles, and what it does when their endpoint fails (facts C.3 and D).

use super::host::sdks::{Kind, Sdk};
use std::cmp::Ordering;

/// Since when an SDK asks for a task role's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Minimum {
    /// Since a version.
    Since(&'static str),
    /// Always: its first release is younger than task roles (2016-07-13).
    Always,
    /// Never: it goes straight to the instance role.
    Never,
}

/// What an SDK does when the variable is set and the endpoint fails. Where the variable is absent, all of them go on to the
/// instance role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEndpointError {
    /// It gives an error.
    Stops,
    /// It goes on, and uses the instance role without a word.
    UsesInstanceRole,
    /// Nobody has looked.
    Unknown,
}

/// One SDK.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub kind: Kind,
    /// Since when it knows task roles.
    pub minimum: Minimum,
    /// The first version that knows EKS Pod Identity, as AWS names it; a `release-…` is a day, not a version.
    pub pod_identity: Option<&'static str>,
    /// What it does when the endpoint fails.
    pub on_endpoint_error: OnEndpointError,
    /// What its error then says, to be looked for in an application's log; empty where it says nothing.
    pub messages: &'static [&'static str],
    /// What a reader should know besides.
    pub note: &'static str,
}

use Minimum::{Always, Never, Since};
use OnEndpointError::{Stops, UsesInstanceRole};

const BOTOCORE: &[&str] = &[
    "Error when retrieving credentials from container-role",
    "Received error when attempting to retrieve container metadata",
    "from container metadata",
];

/// The table, in the order of [`Kind`].
pub static TABLE: [Row; 18] = [
    row(Kind::Botocore, Since("1.4.37"), Some("1.34.41"), Stops, BOTOCORE, "tries three times, two seconds each"),
    row(Kind::Boto3, Since("1.4.0"), Some("1.34.41"), Stops, BOTOCORE, "needs botocore 1.4.37 as well, which it requires only since 1.4.4"),
    row(Kind::AwsCliV1, Since("1.10.47"), Some("1.30.0"), Stops, BOTOCORE, ""),
    row(Kind::AwsCliV2, Always, Some("2.15.0"), Stops, BOTOCORE, ""),
    row(Kind::BotoV2, Never, None, UsesInstanceRole, &[], "never looks at the variable; boto3 takes its place"),
    row(
        Kind::JavaScriptV2,
        Since("2.4.7"),
        Some("2.1550.0"),
        UsesInstanceRole,
        &["EC2 Metadata roleName request returned error"],
        "goes on after 400, 429, 503, a refused connection and a timeout; the message comes only if there is no instance role either",
    ),
    row(
        Kind::JavaScriptV3,
        Always,
        Some("3.458.0"),
        Stops,
        &["Could not load credentials from any providers"],
        "hangs for 47 seconds when the endpoint doesn't answer",
    ),
    row(
        Kind::JavaV1,
        Since("1.11.16"),
        Some("1.12.746"),
        Stops,
        &["Unable to load credentials from service endpoint"],
        "which provider it asks hangs on the variable alone",
    ),
    row(
        Kind::JavaV2,
        Always,
        Some("2.21.30"),
        UsesInstanceRole,
        &["Unable to load credentials from any of the providers in the chain"],
        "remembers the provider that answered first until the process ends; the message comes only if there is no instance role either",
    ),
    row(
        Kind::GoV1,
        Since("1.2.5"),
        Some("1.47.11"),
        Stops,
        &["CredentialsEndpointError: failed to load credentials"],
        "prefers the full URI to the relative one",
    ),
    row(
        Kind::GoV2,
        Always,
        Some("release-2023-11-14"),
        Stops,
        &["failed to refresh cached credentials, failed to load credentials"],
        "prefers the full URI to the relative one",
    ),
    row(
        Kind::Ruby,
        Since("2.3.22"),
        Some("3.188.0"),
        Stops,
        &["Error retrieving ECS Credentials", "Aws::Errors::MissingCredentialsError"],
        "",
    ),
    row(
        Kind::Php,
        Since("3.18.28"),
        Some("3.287.1"),
        Stops,
        &["Error retrieving credential(s) from ECS", "Error retrieving credentials from the instance profile metadata service"],
        "the second message comes where the variable is missing, as php-fpm makes it with clear_env",
    ),
    row(
        Kind::DotNet,
        Since("3.1.6"),
        Some("3.7.734.0"),
        Stops,
        &["Unable to get IAM security credentials from EC2 Instance Metadata Service"],
        "a profile goes before keys in the environment; whether version 4 stops has not been seen",
    ),
    row(Kind::Rust, Always, Some("release-2024-03-13"), Stops, &["provider failed to provide credentials"], ""),
    row(Kind::Cpp, Since("0.12.19"), Some("1.11.263"), Stops, &[], ""),
    row(
        Kind::Kotlin,
        Always,
        Some("1.0.1"),
        UsesInstanceRole,
        &["Error retrieving credentials from container service"],
        "the message is written at debug level only",
    ),
    row(Kind::Swift, Always, None, Stops, &[], "its credentials come from the AWS common runtime"),
];

const fn row(
    kind: Kind,
    minimum: Minimum,
    pod_identity: Option<&'static str>,
    on_endpoint_error: OnEndpointError,
    messages: &'static [&'static str],
    note: &'static str,
) -> Row {
    Row { kind, minimum, pod_identity, on_endpoint_error, messages, note }
}

impl Row {
    /// Gives the first version that knows task roles; `None` where there is no such line (always, or never).
    pub fn minimum_version(&self) -> Option<&'static str> {
        match self.minimum {
            Since(version) => Some(version),
            Always | Never => None,
        }
    }
}

/// Gives what is known of an SDK.
pub fn of(kind: Kind) -> &'static Row {
    // The order of the table is the order of the kinds (a test).
    &TABLE[kind as usize]
}

/// What an SDK of a certain version does when the endpoint fails.
pub fn on_endpoint_error(sdk: &Sdk) -> OnEndpointError {
    match (sdk.kind, leading_number(&sdk.version)) {
        // Version 4 documents the container and the instance as two steps; nobody has looked whether it goes on.
        (Kind::DotNet, Some(4..)) => OnEndpointError::Unknown,
        (kind, _) => of(kind).on_endpoint_error,
    }
}

/// Says whether an SDK is older than task roles; `None` where its version doesn't tell. A boto3 that leaves its botocore open
/// (before 1.4.4) can't tell by itself: the botocore beside it is an [`Sdk`] of its own, see [`too_old_among`].
pub fn too_old(sdk: &Sdk) -> Option<bool> {
    let below = |version| compare_versions(&sdk.version, version).map(Ordering::is_lt);
    match (of(sdk.kind).minimum, sdk.kind) {
        (Never, _) => Some(true),
        (Always, _) => match Version::parse(&sdk.version)?.prerelease() {
            // Previews are older than the first release, and nobody has looked at them.
            true => None,
            false => Some(false),
        },
        (Since(minimum), Kind::Boto3) => match (below(minimum)?, below("1.4.4")?) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => Some(false),
        },
        // On .NET Core, the only one that leaves the files that are searched for, task roles came with the previews of 3.2.
        (Since(minimum), Kind::DotNet) => Some(below(minimum)? || (!below("3.2.0-a")? && below("3.2.6-beta")?)),
        // `v0.0.0-20160801…` is a commit, without the version that it belongs to.
        (Since(_), Kind::GoV1) if Version::parse(&sdk.version)?.is_zero() => None,
        (Since(minimum), _) => below(minimum),
    }
}

/// The same, with the other SDKs of the container: a boto3 is as old as the botocore in the same folder.
pub fn too_old_among(sdk: &Sdk, all: &[Sdk]) -> Option<bool> {
    let own = too_old(sdk);
    if sdk.kind != Kind::Boto3 || own == Some(true) {
        return own;
    }
    let folder = |path: &str| path.rsplit_once("-packages/").map(|(folder, _)| folder.to_owned());
    let botocore = all.iter().find(|other| other.kind == Kind::Botocore && folder(&other.path) == folder(&sdk.path));
    botocore.map_or(own, too_old)
}

/// Compares two versions: numbers part by part, missing parts are 0, a pre-release is below its release, `+…` and a leading `v`
/// don't count. `None` where one of them is no version, such as `(devel)`.
pub fn compare_versions(one: &str, other: &str) -> Option<Ordering> {
    Some(Version::parse(one)?.compare(&Version::parse(other)?))
}

fn leading_number(version: &str) -> Option<u64> {
    version.split('.').next()?.trim_start_matches('v').parse().ok()
}

struct Version<'a> {
    numbers: Vec<&'a str>,
    /// What follows the numbers, without the separator.
    rest: &'a str,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Version<'a>> {
        let text = text.trim();
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split('+').next().unwrap_or_default();
        let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
        let (numbers, rest) = text.split_at(end);
        let numbers: Vec<&str> = numbers.trim_end_matches('.').split('.').collect();
        if numbers.iter().any(|number| number.is_empty()) {
            return None;
        }
        Some(Version { numbers, rest: rest.trim_start_matches(['-', '_', '.']) })
    }

    fn is_zero(&self) -> bool {
        self.numbers.iter().all(|number| number.bytes().all(|digit| digit == b'0'))
    }

    /// -1 for a pre-release, 1 for a release that was mended after it.
    fn stage(&self) -> i8 {
        let word: String = self.rest.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
        match word.as_str() {
            "" if self.rest.is_empty() => 0,
            "final" | "ga" | "release" => 0,
            "post" | "r" | "redhat" | "patch" | "p" => 1,
            _ => -1,
        }
    }

    fn prerelease(&self) -> bool {
        self.stage() < 0
    }

    fn compare(&self, other: &Version<'_>) -> Ordering {
        let parts = self.numbers.len().max(other.numbers.len());
        let number = |version: &Version<'a>, place: usize| version.numbers.get(place).copied().unwrap_or("0").trim_start_matches('0');
        let of_other = |place: usize| other.numbers.get(place).copied().unwrap_or("0").trim_start_matches('0');
        for place in 0..parts {
            match compare_numbers(number(self, place), of_other(place)) {
                Ordering::Equal => {}
                different => return different,
            }
        }
        self.stage().cmp(&other.stage()).then_with(|| match self.stage() {
            0 => Ordering::Equal,
            _ => compare_rests(self.rest, other.rest),
        })
    }
}

/// Numbers of any length, without leading zeros.
fn compare_numbers(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// Pre-releases word by word, as in semantic versions: a number is below a word, and less is below more. A word and its number may
/// stand together (`rc2`).
fn compare_rests(one: &str, other: &str) -> Ordering {
    let (one, other) = (words(one), words(other));
    for (a, b) in one.iter().zip(&other) {
        let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        let order = match (digits(a), digits(b)) {
            (true, true) => compare_numbers(a.trim_start_matches('0'), b.trim_start_matches('0')),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
    }
    one.len().cmp(&other.len())
}

fn words(rest: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = None;
    for character in rest.to_lowercase().chars() {
        let class = if character.is_ascii_digit() { Some(true) } else { character.is_alphanumeric().then_some(false) };
        match (class, words.last_mut()) {
            (None, _) => {}
            (Some(_), Some(word)) if class == before => word.push(character),
            (Some(_), _) => words.push(character.to_string()),
        }
        before = class;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sdk(kind: Kind, version: &str) -> Sdk {
        Sdk { kind, version: version.to_owned(), path: "/somewhere".to_owned() }
    }

    #[test]
    fn the_table_is_in_the_order_of_the_kinds() {
        for (place, row) in TABLE.iter().enumerate() {
            assert_eq!(row.kind as usize, place, "{}", row.kind);
            assert_eq!(of(row.kind), row);
        }
    }

    #[test]
    fn versions_go_number_by_number() {
        let ordered = [
            "0.12.19",
            "1.4.3",
            "1.4.36",
            "1.4.37-rc1",
            "1.4.37.rc2",
            "1.4.37",
            "1.4.37.post1",
            "1.4.100",
            "1.11.16",
            "2.0.0-preview-1",
            "2.0.0-preview-9",
            "2.0.0-preview-12",
            "2.0.0",
            "v2.4.7",
            "2.1550.0",
            "10",
        ];
        for (place, one) in ordered.iter().enumerate() {
            for (other_place, other) in ordered.iter().enumerate() {
                assert_eq!(compare_versions(one, other), Some(place.cmp(&other_place)), "{one} and {other}");
            }
        }
        for (one, other) in [("1.4", "1.4.0"), ("v1.2.5+incompatible", "1.2.5"), ("1.0.0.RELEASE", "1"), ("01.2", "1.02")] {
            assert_eq!(compare_versions(one, other), Some(Ordering::Equal), "{one} and {other}");
        }
        for text in ["", "(devel)", "unknown", "v", ".1", "1..2", "^2.0"] {
            assert_eq!(compare_versions(text, "1.0"), None, "{text}");
        }
    }

    #[test]
    fn who_knows_task_roles() {
        use Kind::*;
        let told = [
            (Botocore, "1.4.36", Some(true)),
            (Botocore, "1.4.37", Some(false)),
            (Boto3, "1.3.1", Some(true)),
            (Boto3, "1.4.0", None),
            (Boto3, "1.4.4", Some(false)),
            (AwsCliV1, "1.10.46", Some(true)),
            (AwsCliV1, "1.10.47", Some(false)),
            (AwsCliV2, "2.0.0", Some(false)),
            (BotoV2, "2.49.0", Some(true)),
            (JavaScriptV2, "2.4.6", Some(true)),
            (JavaScriptV2, "2.4.7", Some(false)),
            (JavaScriptV3, "3.0.0", Some(false)),
            (JavaScriptV3, "1.0.0-alpha.1", None),
            (JavaV1, "1.11.15", Some(true)),
            (JavaV1, "1.11.16", Some(false)),
            (JavaV2, "2.0.0-preview-13", None),
            (GoV1, "v1.2.4", Some(true)),
            (GoV1, "v1.2.5", Some(false)),
            (GoV1, "v0.0.0-20160801000000-0123456789ab", None),
            (GoV1, "(devel)", None),
            (Ruby, "2.3.21", Some(true)),
            (Ruby, "3.188.0", Some(false)),
            (Php, "3.18.27", Some(true)),
            (Php, "dev-master", None),
            (DotNet, "3.1.5", Some(true)),
            (DotNet, "3.1.6", Some(false)),
            (DotNet, "3.2.5-beta", Some(true)),
            (DotNet, "3.2.6-beta", Some(false)),
            (DotNet, "3.3.0", Some(false)),
            (Cpp, "0.12.18", Some(true)),
            (Cpp, "", None),
            (Rust, "", None),
        ];
        for (kind, version, expected) in told {
            assert_eq!(too_old(&sdk(kind, version)), expected, "{kind} {version}");
        }
    }

    #[test]
    fn boto3_is_as_old_as_its_botocore() {
        let at = |kind, version: &str, path: &str| Sdk { kind, version: version.to_owned(), path: path.to_owned() };
        let boto3 = at(Kind::Boto3, "1.4.0", "/venv/lib/python2.7/site-packages/boto3-1.4.0.dist-info");
        let old = at(Kind::Botocore, "1.4.36", "/venv/lib/python2.7/site-packages/botocore-1.4.36.dist-info");
        let new = at(Kind::Botocore, "1.4.37", "/venv/lib/python2.7/site-packages/botocore-1.4.37.dist-info");
        let elsewhere = at(Kind::Botocore, "1.4.37", "/usr/lib/python3/dist-packages/botocore-1.4.37.dist-info");
        assert_eq!(too_old_among(&boto3, &[boto3.clone(), elsewhere.clone(), old.clone()]), Some(true));
        assert_eq!(too_old_among(&boto3, &[elsewhere.clone(), new.clone()]), Some(false));
        assert_eq!(too_old_among(&boto3, &[elsewhere]), None);
        assert_eq!(too_old_among(&new, &[]), Some(false));
    }

    #[test]
    fn four_go_on_to_the_instance_role() {
        let going_on: Vec<Kind> = TABLE.iter().filter(|row| row.on_endpoint_error == UsesInstanceRole).map(|row| row.kind).collect();
        assert_eq!(going_on, [Kind::BotoV2, Kind::JavaScriptV2, Kind::JavaV2, Kind::Kotlin]);
        assert_eq!(on_endpoint_error(&sdk(Kind::DotNet, "3.7.0")), Stops);
        assert_eq!(on_endpoint_error(&sdk(Kind::DotNet, "4.0.0.1")), OnEndpointError::Unknown);
    }

    #[test]
    fn comparing_is_an_order() {
        let version = "v?[0-9]{1,3}(\\.[0-9]{1,25}){0,3}(-?(rc|beta|post|a|x)[.-]?[0-9]{0,3})?(\\+[a-z]{1,3})?";
        proptest!(|(a in version, b in "[0-9]{1,2}(\\.[0-9]{1,3}){0,3}(-rc[0-9])?", c in version, any in "\\PC{0,12}")| {
            let order = |one: &str, other: &str| compare_versions(one, other).unwrap();
            prop_assert_eq!(order(&b, &a), order(&a, &b).reverse());
            prop_assert_eq!(order(&a, &a), Ordering::Equal);
            if order(&a, &b) == order(&b, &c) {
                prop_assert_eq!(order(&a, &c), order(&a, &b));
            }
            for row in &TABLE {
                let _ = too_old(&sdk(row.kind, &any));
            }
        });
    }
}
