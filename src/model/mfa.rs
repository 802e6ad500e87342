//! The code that an MFA device shows.

use std::fmt;
use std::str::FromStr;

/// A code that was given beforehand: `123456`, or `profile=123456`.
#[derive(Clone, PartialEq, Eq)]
pub struct MfaCode {
    /// The profile that it is for; any whose device asks, where nothing is said.
    pub profile: Option<String>,
    /// Six digits.
    pub code: String,
}

/// A code logs somebody in for half a minute: it is never printed.
impl fmt::Debug for MfaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MfaCode({:?})", self.profile)
    }
}

/// Says whether a text can be a device's code.
pub fn is_mfa_code(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for MfaCode {
    type Err = String;

    fn from_str(text: &str) -> Result<MfaCode, String> {
        let (profile, code) = match text.rsplit_once('=') {
            Some((profile, code)) if !profile.is_empty() => (Some(profile.to_owned()), code),
            _ => (None, text),
        };
        match is_mfa_code(code) {
            true => Ok(MfaCode { profile, code: code.to_owned() }),
            false => Err("a code has six digits; where two devices are asked, say whose: `PROFILE=123456`".to_owned()),
        }
    }
}
