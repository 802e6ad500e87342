//! Codes of MFA devices: who asks for one, and which were given beforehand.

use crate::error::Result;
use crate::model::MfaCode;
use aws_credential_types::Credentials;
use std::collections::{BTreeMap, BTreeSet};

/// What a code is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MfaQuestion<'a> {
    /// The profile that somebody named.
    pub profile: &'a str,
    /// The device's serial number: an ARN, or what is printed on it.
    pub serial: &'a str,
    /// It also goes on without, as the AWS CLI does.
    pub optional: bool,
    /// The code that it shows now was used already; AWS takes none twice.
    pub used: bool,
}

/// Asks a person for a code; `None` if nobody can be asked, or nothing was answered where that is an answer.
pub type AskForCode<'a> = dyn Fn(MfaQuestion<'_>) -> Result<Option<String>> + Send + Sync + 'a;

/// Where codes come from.
#[derive(Default)]
pub(super) struct Codes<'a> {
    pub given: Vec<MfaCode>,
    pub ask: Option<Box<AskForCode<'a>>>,
}

impl std::fmt::Debug for Codes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Codes({:?})", self.given)
    }
}

/// What codes got so far.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// Serial and code: AWS takes none twice.
    codes: BTreeSet<(String, String)>,
    /// Sessions that long-term keys got with a code, by serial and access key.
    pub sessions: BTreeMap<(String, String), Credentials>,
}

impl Codes<'_> {
    /// Gives a code for a profile: one that was given and isn't used yet, or what a person answers.
    ///
    /// # Errors
    /// The person ended it.
    pub(super) fn get(&self, used: &mut Used, profile: &str, serial: &str, optional: bool) -> Result<Option<String>> {
        let own = |code: &&MfaCode| code.profile.as_deref() == Some(profile);
        let anybodys = |code: &&MfaCode| code.profile.is_none();
        let mut fitting = self.given.iter().filter(own).chain(self.given.iter().filter(anybodys)).map(|code| code.code.clone());
        let given = fitting.find(|code| !used.codes.iter().any(|(_, before)| before == code));
        let used_before = used.codes.iter().any(|(before, _)| before == serial);
        let code = match (given, &self.ask) {
            (Some(code), _) => Some(code),
            (None, Some(ask)) => ask(MfaQuestion { profile, serial, optional, used: used_before })?,
            (None, None) => None,
        };
        if let Some(code) = &code {
            used.codes.insert((serial.to_owned(), code.clone()));
        }
        Ok(code)
    }

    /// Says whether a code was given for a profile.
    pub(super) fn has(&self, profile: &str) -> bool {
        self.given.iter().any(|code| code.profile.as_deref().is_none_or(|for_it| for_it == profile))
    }
}
