//! Credentials that can't be sent: the SDK ends the program at an access key or a token that no header can hold.

use super::aws_files::Section;
use super::profile::Profiles;
use crate::error::{Error, Kind, Result};
use aws_credential_types::Credentials;
use std::collections::BTreeMap;

/// Returns true if a text can be an access key's id, its secret or a session token: printable ASCII without blanks. The SDK ends the
/// program over what no header can hold.
fn is_key(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns true if a request can be signed and sent with these.
pub(super) fn are_usable(credentials: &Credentials) -> bool {
    is_key(credentials.access_key_id()) && is_key(credentials.secret_access_key()) && credentials.session_token().is_none_or(is_key)
}

const WHY: &str = "it holds a control character or another one that no key has";

/// Looks at the keys that the AWS files and the environment give for a profile, and for those that it takes its credentials from.
///
/// # Errors
/// One can't be a key, with its line.
pub(super) fn check(environment: &BTreeMap<String, String>, profiles: &Profiles, profile: &str) -> Result<()> {
    for name in profiles.sources(profile) {
        for key in ["aws_access_key_id", "aws_session_token"] {
            let Some(value) = profiles.get(&name, key).filter(|value| !is_key(value)) else { continue };
            let begin: String = value.chars().take_while(|character| !character.is_control()).collect();
            let line = profiles.files.line_of(Section::Profile(&name), key, &begin).map(|line| format!(" ({line})")).unwrap_or_default();
            return Err(Error::new(Kind::Credentials, format!("`{key}` of profile `{name}` can't be one{line}"))
                .because(WHY)
                .hint("copy the key again, without what stands around it"));
        }
        if profiles.get(&name, "credential_source").is_some_and(|source| source.eq_ignore_ascii_case("environment")) {
            for variable in ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"] {
                if environment.get(variable).is_some_and(|value| !is_key(value)) {
                    return Err(Error::new(Kind::Credentials, format!("{variable} can't be one, and profile `{name}` takes it"))
                        .because(WHY)
                        .hint("set it again, without what stands around it"));
                }
            }
        }
    }
    Ok(())
}
