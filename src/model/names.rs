//! The identifiers of AWS, each with the rule AWS checks it by.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Gives the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

fn only(text: &str, allowed: impl Fn(char) -> bool) -> Option<char> {
    text.chars().find(|c| !allowed(*c))
}

name! {
    /// An AWS account: twelve digits.
    AccountId
}

impl FromStr for AccountId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(AccountId(text.to_owned()))
        } else {
            Err(format!("`{text}` is not an AWS account id: it needs exactly 12 digits"))
        }
    }
}

name! {
    /// A region such as `us-east-1`.
    RegionName
}

impl FromStr for RegionName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('-').collect();
        let lower = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        let well_formed = parts.len() >= 3
            && parts[..parts.len() - 1].iter().all(lower)
            && parts[0].len() >= 2
            && parts.last().is_some_and(|n| !n.is_empty() && n.len() <= 2 && n.bytes().all(|b| b.is_ascii_digit()));
        if well_formed {
            Ok(RegionName(text.to_owned()))
        } else {
            Err(format!("`{text}` is not an AWS region: it should look like `us-east-1`"))
        }
    }
}

name! {
    /// The general purpose bucket name of S3: 3 to 63 of `a-z 0-9 . -`, and the rules that go with it.
    BucketName
}

impl FromStr for BucketName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("`{text}` is not a bucket name: {why}"));
        if text.starts_with("s3://") || text.starts_with("arn:") {
            return refuse("give the bare name, without `s3://` or `arn:`");
        }
        if !(3..=63).contains(&text.len()) {
            return refuse("it needs 3 to 63 characters");
        }
        if let Some(c) = only(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-') {
            return refuse(&format!("`{c}` is not allowed; use lower-case letters, digits, `.` and `-`"));
        }
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !text.starts_with(edge) || !text.ends_with(edge) {
            return refuse("it must begin and end with a letter or a digit");
        }
        if text.contains("..") {
            return refuse("two dots may not stand side by side");
        }
        if text.parse::<Ipv4Addr>().is_ok() {
            return refuse("it may not look like an IP address");
        }
        for prefix in ["xn--", "sthree-", "amzn-s3-demo-"] {
            if text.starts_with(prefix) {
                return refuse(&format!("the prefix `{prefix}` is reserved"));
            }
        }
        for suffix in ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"] {
            if text.ends_with(suffix) {
                return refuse(&format!("the suffix `{suffix}` is reserved"));
            }
        }
        Ok(BucketName(text.to_owned()))
    }
}

name! {
    /// The key of an S3 object: 1 to 1,024 bytes.
    ObjectKey
}

impl FromStr for ObjectKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 1024 {
            return Err(format!("`{text}` is not an object key: it needs 1 to 1,024 bytes"));
        }
        if text.starts_with('/') || text.starts_with("s3://") {
            return Err(format!("`{text}` is not an object key: give it without a leading `/` or `s3://`"));
        }
        if text.contains(char::is_control) {
            return Err(format!("`{}` is not an object key: give it without control characters", text.escape_debug()));
        }
        Ok(ObjectKey(text.to_owned()))
    }
}

name! {
    /// The name of a pipeline: 1 to 100 of `A-Z a-z 0-9 . @ - _`.
    PipelineName
}

impl FromStr for PipelineName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = only(text, |c| c.is_ascii_alphanumeric() || ".@-_".contains(c));
        match bad {
            None if (1..=100).contains(&text.len()) => Ok(PipelineName(text.to_owned())),
            None => Err(format!("`{text}` is not a pipeline name: it needs 1 to 100 characters")),
            Some(c) => Err(format!("`{text}` is not a pipeline name: `{c}` is not allowed; use letters, digits, `.`, `@`, `-` and `_`")),
        }
    }
}

name! {
    /// The name of an IAM role: 1 to 64 of `A-Z a-z 0-9 _ + = , . @ -`, without its path.
    RoleName
}

impl FromStr for RoleName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = only(text, |c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c));
        match bad {
            None if (1..=64).contains(&text.len()) => Ok(RoleName(text.to_owned())),
            None => Err(format!("`{text}` is not a role name: it needs 1 to 64 characters")),
            Some('/') => Err(format!("`{text}` is not a role name: give it without its path")),
            Some(c) => Err(format!("`{text}` is not a role name: `{c}` is not allowed; use letters, digits and `_+=,.@-`")),
        }
    }
}

name! {
    /// The alias of a KMS key, always with its prefix `alias/`.
    KeyAlias
}

impl FromStr for KeyAlias {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix("alias/").unwrap_or(text);
        if bare.starts_with("aws/") {
            return Err(format!(
                "`{text}` is the alias of an AWS managed key: another account can never be let in; name a customer managed key"
            ));
        }
        if let Some(c) = only(bare, |c| c.is_ascii_alphanumeric() || "/_-".contains(c)) {
            return Err(format!("`{text}` is not a key alias: `{c}` is not allowed; use letters, digits, `/`, `_` and `-`"));
        }
        if bare.is_empty() || bare.len() > 250 {
            return Err(format!("`{text}` is not a key alias: it needs 1 to 250 characters after `alias/`"));
        }
        Ok(KeyAlias(format!("alias/{bare}")))
    }
}

name! {
    /// The ARN of a KMS key itself, not of an alias: `arn:aws:kms:eu-central-1:111111111111:key/…`.
    KeyArn
}

impl KeyArn {
    fn parsed(&self) -> Option<Arn> {
        self.as_str().parse().ok()
    }

    /// Gives the region that the key is in.
    pub fn region(&self) -> String {
        self.parsed().map(|arn| arn.region).unwrap_or_default()
    }

    /// Gives the account that owns the key.
    pub fn account(&self) -> String {
        self.parsed().map(|arn| arn.account).unwrap_or_default()
    }
}

impl FromStr for KeyArn {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        const LIKE: &str = "it looks like `arn:aws:kms:eu-central-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab`";
        let arn: Arn = text.parse().map_err(|_| format!("`{}` is not the ARN of a KMS key: {LIKE}", text.escape_debug()))?;
        if arn.service == "kms" && arn.resource.starts_with("alias/") {
            return Err(format!("`{text}` is an alias, which AWS only looks up in the key's own account: {LIKE}"));
        }
        let id = arn.resource.strip_prefix("key/").filter(|_| arn.service == "kms");
        let good = id.is_some_and(|id| !id.is_empty() && id.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-'));
        if !good || arn.region.parse::<RegionName>().is_err() || arn.account.parse::<AccountId>().is_err() {
            return Err(format!("`{text}` is not the ARN of a KMS key: {LIKE}"));
        }
        Ok(KeyArn(text.to_owned()))
    }
}

name! {
    /// The ARN of a managed policy: `arn:aws:iam::111111111111:policy/…`, or one of AWS's own.
    PolicyArn
}

/// What stands in the place of the account in the ARNs of AWS's own policies.
const AWS_OWN: &str = "aws";

impl PolicyArn {
    /// Says whether a role of an account can have it: it is that account's, or AWS's own.
    pub fn is_for(&self, account: &str) -> bool {
        let owner = self.owner();
        owner == account || owner == AWS_OWN
    }

    /// Gives the account that owns it, or `aws`.
    pub fn owner(&self) -> String {
        account_of(self.as_str()).to_owned()
    }
}

impl FromStr for PolicyArn {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let name =
            |resource: &str| resource.strip_prefix("policy/").is_some_and(|name| !name.is_empty() && !name.contains(['*', '?', ' ']));
        let good = text.parse::<Arn>().is_ok_and(|arn| {
            let owned = arn.account == AWS_OWN || arn.account.parse::<AccountId>().is_ok();
            arn.service == "iam" && arn.region.is_empty() && owned && name(&arn.resource)
        });
        if good && !text.contains(char::is_control) {
            return Ok(PolicyArn(text.to_owned()));
        }
        Err(format!("`{}` is not the ARN of a managed policy: it looks like `arn:aws:iam::111111111111:policy/name`", text.escape_debug()))
    }
}

/// An AWS partition, taken from the caller's ARN and never written as a literal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub String);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An Amazon Resource Name, `arn:partition:service:region:account:resource`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arn {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: String,
    /// The service's prefix, such as `iam`.
    pub service: String,
    /// The region; empty for global resources.
    pub region: String,
    /// The account's twelve digits; empty for buckets.
    pub account: String,
    /// Everything after the fifth colon.
    pub resource: String,
}

impl FromStr for Arn {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts.as_slice() {
            ["arn", partition, service, region, account, resource]
                if !partition.is_empty() && !service.is_empty() && !resource.is_empty() =>
            {
                Ok(Arn {
                    partition: (*partition).to_owned(),
                    service: (*service).to_owned(),
                    region: (*region).to_owned(),
                    account: (*account).to_owned(),
                    resource: (*resource).to_owned(),
                })
            }
            _ => Err(format!("`{text}` is not an ARN: it should look like `arn:aws:iam::111111111111:role/name`")),
        }
    }
}

impl Arn {
    /// Gives the last part of a role's or user's path: its bare name.
    pub fn bare_name(&self) -> &str {
        self.resource.rsplit('/').next().unwrap_or(&self.resource)
    }

    /// Gives the role behind a role or role-session ARN, without its path; `None` for anything else.
    pub fn role_name(&self) -> Option<&str> {
        if let Some(session) = self.resource.strip_prefix("assumed-role/") {
            return session.split('/').next();
        }
        self.resource.starts_with("role/").then(|| self.bare_name())
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:{}:{}:{}:{}", self.partition, self.service, self.region, self.account, self.resource)
    }
}

/// Gives the account of an ARN; empty for what has none.
pub fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_all_rules_of_s3() {
        for good in ["abc", "codepipeline-input-bucket", "a.b-c", "0123456789"] {
            assert!(good.parse::<BucketName>().is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "ab",
            "Abc",
            "a_b",
            "-abc",
            "abc-",
            "a..b",
            "192.168.5.4",
            "xn--abc",
            "sthree-abc",
            "abc-s3alias",
            "abc--ol-s3",
            "abc.mrap",
            "abc--x-s3",
            "s3://abc",
            "arn:aws:s3:::abc",
            ".abc",
            "abc.",
            &long,
        ] {
            assert!(bad.parse::<BucketName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn regions_of_all_partitions_are_regions() {
        for good in ["us-east-1", "eu-central-2", "us-gov-west-1", "cn-northwest-1", "us-iso-east-1", "ap-southeast-10"] {
            assert!(good.parse::<RegionName>().is_ok(), "{good}");
        }
        for bad in ["us-east", "useast1", "us-east-1a", "US-EAST-1", "", "us--1"] {
            assert!(bad.parse::<RegionName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_alias_always_gets_its_prefix() {
        assert_eq!("s3deploykey".parse::<KeyAlias>().map(String::from), Ok("alias/s3deploykey".to_owned()));
        assert_eq!("alias/a/b".parse::<KeyAlias>().map(String::from), Ok("alias/a/b".to_owned()));
        assert!("alias/aws/s3".parse::<KeyAlias>().is_err());
        assert!("a b".parse::<KeyAlias>().is_err());
    }

    #[test]
    fn a_policy_is_an_account_s_or_aws_s() {
        let policy: PolicyArn = "arn:aws:iam::111111111111:policy/limits/roles".parse().unwrap();
        assert!(policy.is_for("111111111111") && !policy.is_for("222222222222"));
        let own: PolicyArn = "arn:aws:iam::aws:policy/PowerUserAccess".parse().unwrap();
        assert!(own.is_for("111111111111") && own.is_for("222222222222"));
        for odd in
            ["", "PowerUserAccess", "arn:aws:iam::1:policy/a", "arn:aws:iam::111111111111:role/a", "arn:aws:iam::111111111111:policy/*"]
        {
            assert!(odd.parse::<PolicyArn>().is_err(), "{odd}");
        }
    }

    #[test]
    fn a_key_is_named_by_its_own_arn() {
        let key: KeyArn = "arn:aws:kms:eu-central-1:333333333333:key/mrk-1a2b".parse().unwrap();
        assert_eq!((key.region().as_str(), key.account().as_str()), ("eu-central-1", "333333333333"));
        for odd in [
            "",
            "mrk-1a2b",
            "arn:aws:kms:eu-central-1:333333333333:alias/a",
            "arn:aws:kms:eu-central-1:333333333333:key/",
            "arn:aws:kms:eu-central-1:333333333333:key/*",
            "arn:aws:kms::333333333333:key/a",
            "arn:aws:kms:eu-central-1::key/a",
            "arn:aws:iam::333333333333:role/a",
        ] {
            assert!(odd.parse::<KeyArn>().is_err(), "{odd}");
        }
    }

    #[test]
    fn a_session_arn_gives_its_role() {
        let arn: Arn = "arn:aws:sts::111111111111:assumed-role/Admin/me".parse().unwrap();
        assert_eq!(arn.role_name(), Some("Admin"));
        let arn: Arn = "arn:aws:iam::111111111111:role/service-role/R".parse().unwrap();
        assert_eq!(arn.role_name(), Some("R"));
    }
}
