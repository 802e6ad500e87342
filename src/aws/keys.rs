//! Credentials that can't be sent: the SDK ends the program at an access key or a token that no header can hold.

use super::aws_files::Section;
use super::profile::Profiles;
use crate::error::{Error, Kind, Result};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use std::collections::BTreeMap;

/// Says whether a header can hold a text.
fn is_sendable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

const WHY: &str = "it holds a control character or another one that no key has";

/// Looks at the keys that the AWS files and the environment give for a profile, and for those that it takes its credentials from.
///
/// # Errors
/// One can't be a key, with its line.
pub(super) fn check(environment: &BTreeMap<String, String>, profiles: &Profiles, profile: &str) -> Result<()> {
    for name in profiles.sources(profile) {
        for key in ["aws_access_key_id", "aws_session_token"] {
            let Some(value) = profiles.get(&name, key).filter(|value| !is_sendable(value)) else { continue };
            let begin: String = value.chars().take_while(|character| !character.is_control()).collect();
            let line = profiles.files.line_of(Section::Profile(&name), key, &begin).map(|line| format!(" ({line})")).unwrap_or_default();
            return Err(Error::new(Kind::Credentials, format!("`{key}` of profile `{name}` can't be one{line}"))
                .because(WHY)
                .hint("copy the key again, without what stands around it"));
        }
        if profiles.get(&name, "credential_source").is_some_and(|source| source.eq_ignore_ascii_case("environment")) {
            for variable in ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"] {
                if environment.get(variable).is_some_and(|value| !is_sendable(value)) {
                    return Err(Error::new(Kind::Credentials, format!("{variable} can't be one, and profile `{name}` takes it"))
                        .because(WHY)
                        .hint("set it again, without what stands around it"));
                }
            }
        }
    }
    Ok(())
}

/// Credentials that are looked at before anything is signed with them, whoever gave them.
#[derive(Debug)]
pub(super) struct Checked<P>(pub P);

impl<P: ProvideCredentials> ProvideCredentials for Checked<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let given = self.0.provide_credentials().await?;
            let is_good = is_sendable(given.access_key_id()) && given.session_token().is_none_or(is_sendable);
            is_good
                .then_some(given)
                .ok_or_else(|| CredentialsError::invalid_configuration(format!("the access key or its token can't be one: {WHY}")))
        })
    }
}
