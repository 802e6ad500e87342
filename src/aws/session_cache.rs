//! The AWS CLI's own cache of sessions, `~/.aws/cli/cache`: one code of an MFA device serves both programs.
//!
//! The AWS CLI names an entry after the arguments of its AssumeRole (botocore, `AssumeRoleCredentialFetcher._create_cache_key`):
//! the SHA-1 of them as Python's `json.dumps(…, sort_keys=True)` writes them, without the code and without a session name that
//! was made up.

use super::credential_chain::RoleStep;
use super::keys;
use crate::model::hex;
use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a session must still last to be taken, as with the AWS CLI.
const MARGIN: Duration = Duration::from_secs(15 * 60);
/// No session is larger.
const LARGEST: u64 = 64 * 1024;

/// The folder of the cache; nothing is kept where there is no home.
#[derive(Debug, Clone, Default)]
pub(super) struct SessionCache(Option<PathBuf>);

/// What an entry is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key(String);

/// Writes a text as Python's `json.dumps` does: ASCII alone.
fn python_text(text: &str) -> String {
    let mut written = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            '\u{8}' => written.push_str("\\b"),
            '\u{c}' => written.push_str("\\f"),
            ' '..='~' => written.push(character),
            other => other.encode_utf16(&mut [0; 2]).iter().for_each(|unit| written.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    written.push('"');
    written
}

fn key(arguments: &BTreeMap<&str, String>) -> Key {
    let members: Vec<String> = arguments.iter().map(|(name, value)| format!("{}: {value}", python_text(name))).collect();
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{{{}}}", members.join(", ")).as_bytes());
    Key(hex(hash))
}

impl Key {
    /// The AWS CLI's name of a role's session.
    pub(super) fn of_role(step: &RoleStep) -> Key {
        let mut arguments = BTreeMap::from([("RoleArn", python_text(&step.role_arn))]);
        let texts = [("ExternalId", &step.external_id), ("RoleSessionName", &step.session_name), ("SerialNumber", &step.mfa_serial)];
        arguments.extend(texts.into_iter().filter_map(|(name, text)| Some((name, python_text(text.as_deref()?)))));
        arguments.extend(step.duration.map(|seconds| ("DurationSeconds", seconds.to_string())));
        key(&arguments)
    }

    /// The name of a session that long-term keys got with a code; the AWS CLI keeps none, so that it is ours.
    pub(super) fn of_session(serial: &str, access_key: &str) -> Key {
        key(&BTreeMap::from([
            ("AccessKeyId", python_text(access_key)),
            ("Operation", python_text("GetSessionToken")),
            ("SerialNumber", python_text(serial)),
        ]))
    }
}

/// Reads a time as the AWS CLI writes it (`2026-11-30T17:00:00UTC`), or anybody else.
fn time(text: &str) -> Option<SystemTime> {
    let text = text.strip_suffix("UTC").map_or_else(|| text.to_owned(), |time| format!("{time}Z"));
    SystemTime::try_from(DateTime::from_str(&text, Format::DateTimeWithOffset).ok()?).ok()
}

fn session(entry: &Value) -> Option<Credentials> {
    let found = entry.get("Credentials")?;
    let text = |name: &str| found.get(name)?.as_str().map(str::to_owned);
    let expires = time(&text("Expiration")?)?;
    let mut builder = Credentials::builder()
        .access_key_id(text("AccessKeyId")?)
        .secret_access_key(text("SecretAccessKey")?)
        .session_token(text("SessionToken")?)
        .expiry(expires)
        .provider_name("xdeploy");
    builder.set_account_id(text("AccountId").map(Into::into));
    let session = builder.build();
    (expires > SystemTime::now() + MARGIN && keys::are_usable(&session)).then_some(session)
}

impl SessionCache {
    /// The AWS CLI's, below a home.
    pub(super) fn below(home: Option<&Path>) -> SessionCache {
        SessionCache(home.map(|home| home.join(".aws/cli/cache")))
    }

    fn path(&self, key: &Key) -> Option<PathBuf> {
        self.0.as_ref().map(|folder| folder.join(format!("{}.json", key.0)))
    }

    /// Gives a session that lasts; what is over, what can't be read and what is no entry is as good as none.
    pub(super) fn read(&self, key: &Key) -> Option<Credentials> {
        let path = self.path(key)?;
        // A link could lead anywhere, and a pipe would never end.
        let found = std::fs::symlink_metadata(&path).ok()?;
        if !found.is_file() || found.len() > LARGEST {
            return None;
        }
        session(&serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?)
    }

    /// Keeps a session; where that can't be, the next run asks for a code again.
    pub(super) fn write(&self, key: &Key, session: &Credentials) {
        let Some(path) = self.path(key) else { return };
        let Some(expires) = session.expiry().and_then(|expiry| DateTime::from(expiry).fmt(Format::DateTime).ok()) else { return };
        let mut credentials = json!({
            "AccessKeyId": session.access_key_id(),
            "SecretAccessKey": session.secret_access_key(),
            "SessionToken": session.session_token(),
            "Expiration": expires,
        });
        if let Some(account) = session.account_id() {
            credentials["AccountId"] = json!(account.as_str());
        }
        let _ = crate::files::write_private(&path, &json!({"Credentials": credentials}).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step() -> RoleStep {
        RoleStep {
            profile: "p".to_owned(),
            role_arn: "arn:aws:iam::111111111111:role/admin".to_owned(),
            external_id: None,
            session_name: None,
            duration: None,
            mfa_serial: Some("arn:aws:iam::999999999999:mfa/jane".to_owned()),
        }
    }

    /// The expected values are what botocore 1.43.106 gives for the same arguments.
    #[test]
    fn a_key_is_the_aws_clis() {
        assert_eq!(Key::of_role(&step()), Key("bd472cec3c1f51c7aaaa62fcfe7d6ee67e4636e3".to_owned()));
        let full = RoleStep {
            external_id: Some("a\"b\\ü😀\u{7f}".to_owned()),
            session_name: Some("jane".to_owned()),
            duration: Some(7200),
            ..step()
        };
        assert_eq!(Key::of_role(&full), Key("2d11dc056a849ef6a38b871afa2a30f3d512d3a2".to_owned()));
    }

    #[test]
    fn times_are_read_as_anybody_writes_them() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        for text in ["2026-11-18T11:06:40UTC", "2026-11-18T11:06:40Z", "2026-11-18T11:06:40+00:00", "2026-11-18T12:06:40+01:00"] {
            assert_eq!(time(text), Some(at), "{text}");
        }
        assert_eq!(time("tomorrow"), None);
    }

    #[test]
    fn what_is_no_lasting_session_is_none_and_no_link_is_followed() {
        let home = tempfile::tempdir().unwrap();
        let cache = SessionCache::below(Some(home.path()));
        let key = Key::of_role(&step());
        let made = |minutes: u64| {
            let expiry = SystemTime::now() + Duration::from_secs(minutes * 60);
            Credentials::new("ASIAX", "secret", Some("token".to_owned()), Some(expiry), "test")
        };
        assert!(cache.read(&key).is_none());
        cache.write(&key, &made(60));
        let path = cache.path(&key).unwrap();
        assert_eq!(cache.read(&key).unwrap().session_token(), Some("token"));
        let mode = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        // The AWS CLI's margin.
        cache.write(&key, &made(14));
        assert!(cache.read(&key).is_none());
        for text in [
            "",
            "{}",
            "[1]",
            "{\"Credentials\": {\"AccessKeyId\": 1}}",
            "{\"Credentials\": {\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"B\", \"SessionToken\": \"C\", \"Expiration\": \"x\"}}",
            // What no header can hold.
            "{\"Credentials\": {\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"B\", \"SessionToken\": \"C\\u0007\", \"Expiration\": \"2100-01-01T00:00:00Z\"}}",
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(cache.read(&key).is_none(), "{text}");
        }
        // Where a link stands, it is replaced, and what it leads to stays.
        let elsewhere = home.path().join("elsewhere");
        std::fs::write(&elsewhere, "precious").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        cache.write(&key, &made(60));
        assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "precious");
        assert!(cache.read(&key).is_some());
        std::fs::copy(&path, &elsewhere).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(cache.read(&key).is_none());
        // Without a home nothing is kept, and nothing fails.
        SessionCache::below(None).write(&key, &made(60));
    }
}
