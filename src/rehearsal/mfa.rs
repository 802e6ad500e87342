//! MFA devices: their codes (RFC 6238) and what STS does with them.

use super::Rehearsal;
use super::state::{Holder, State};
use super::wire::{Caller, Fault, Outcome};
use ring::hmac;

/// How long a code is shown, in milliseconds.
const SHOWN: u64 = 30_000;

/// A user's device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Device {
    pub serial: String,
    seed: Vec<u8>,
    /// The time slot of the last code that was taken; none is taken twice, nor an older one.
    last: Option<u64>,
}

impl Device {
    fn code(&self, slot: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.seed);
        let tag = hmac::sign(&key, &slot.to_be_bytes());
        let bytes = tag.as_ref();
        let offset = usize::from(bytes.last().copied().unwrap_or_default() & 15);
        let number = bytes.iter().skip(offset).take(4).fold(0u32, |number, byte| number << 8 | u32::from(*byte));
        format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
    }
}

/// Checks the code of a call; says whether there was one.
pub(crate) fn check(state: &mut State, caller: &Caller, serial: Option<&str>, code: Option<&str>) -> Outcome<bool> {
    let refuse = |why: &str| Err(Fault::new(403, "AccessDenied", format!("MultiFactorAuthentication failed{why}")));
    let (serial, code) = match (serial, code) {
        (None, None) => return Ok(false),
        (Some(serial), Some(code)) => (serial, code),
        _ => return refuse(", must provide both MFA serial number and one time pass code."),
    };
    let now = state.clock / SHOWN;
    let user = state.accounts.get_mut(&caller.account).and_then(|account| account.users.values_mut().find(|user| user.arn == caller.arn));
    let Some(device) = user.and_then(|user| user.mfa.as_mut()).filter(|device| device.serial == serial) else {
        return refuse(", unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.");
    };
    let first = device.last.map_or(now.saturating_sub(1), |last| (last + 1).max(now.saturating_sub(1)));
    match (first..=now + 1).find(|slot| device.code(*slot) == code) {
        Some(slot) => {
            device.last = Some(slot);
            Ok(true)
        }
        None => refuse(" with invalid MFA one time pass code. "),
    }
}

/// Says whether a caller's session was got with a code; nothing of one that is no session of a user.
pub(crate) fn of_session(state: &State, caller: &Caller) -> Option<bool> {
    match &state.access_keys.get(caller.key.as_ref()?)?.holder {
        Holder::UserSession { mfa, .. } => Some(*mfa),
        Holder::Root | Holder::User(_) | Holder::Session { .. } => None,
    }
}

impl Rehearsal {
    /// Gives a user a device, and the device's serial number.
    pub fn give_mfa_device(&self, account: &str, user: &str) -> String {
        let mut state = self.lock();
        let seed = state.random.bytes::<20>().to_vec();
        let serial = state.accounts.get(account).map(|account| account.iam_arn(&format!("mfa/{user}"))).unwrap_or_default();
        if let Some(user) = state.accounts.get_mut(account).and_then(|account| account.users.get_mut(user)) {
            user.mfa = Some(Device { serial: serial.clone(), seed, last: None });
        }
        serial
    }

    /// Gives the code that a user's device shows at a time, in milliseconds since 1970; empty where there is none.
    pub fn mfa_code(&self, account: &str, user: &str, milliseconds: u64) -> String {
        let state = self.lock();
        let device = state.accounts.get(account).and_then(|account| account.users.get(user)?.mfa.as_ref());
        device.map(|device| device.code(milliseconds / SHOWN)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B; its codes have eight digits, whose last six are these.
    #[test]
    fn codes_are_those_of_the_standard() {
        let device = Device { seed: b"12345678901234567890".to_vec(), ..Device::default() };
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")] {
            assert_eq!(device.code(seconds / 30), code);
        }
    }
}
