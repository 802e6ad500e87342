//! A clock that goes wrong: AWS refuses what is signed at another time, and S3's answer to HEAD has no body that could say so.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use std::fmt;
use std::time::SystemTime;

/// How many seconds off a request may be signed (AWS General Reference, "Signature Version 4"; S3 takes 15 minutes).
const LIMIT: i64 = 5 * 60;

/// What the clock here says, and what the service's does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    here: DateTime,
    there: DateTime,
}

impl Skew {
    /// Compares the `Date` header of an answer with the clock; `None` if they agree well enough, or the header says nothing.
    pub(super) fn of(date: &str, here: SystemTime) -> Option<Skew> {
        let (there, here) = (DateTime::from_str(date, Format::HttpDate).ok()?, DateTime::from(here));
        (here.secs().abs_diff(there.secs()) > LIMIT.unsigned_abs()).then_some(Skew { here, there })
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |time: DateTime| DateTime::from_secs(time.secs()).fmt(Format::DateTime).unwrap_or_else(|_| time.secs().to_string());
        let minutes = self.here.secs().abs_diff(self.there.secs()).div_ceil(60);
        write!(f, "the clock here is {minutes} minutes off: it says {}, and the answer is of {}", text(self.here), text(self.there))
    }
}

/// What to do about it.
pub(super) const HINT: &str = "AWS refuses requests that are signed at another time: set the clock, then run the same command again";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_clock_is_off_by_more_than_five_minutes() {
        let date = "Mon, 30 Nov 2026 12:00:00 GMT";
        let noon = UNIX_EPOCH + Duration::from_secs(1_796_040_000);
        assert_eq!(Skew::of(date, noon + Duration::from_secs(300)), None);
        assert_eq!(Skew::of("yesterday", noon), None);
        for (here, says) in [(noon - Duration::from_secs(1200), "11:40"), (noon + Duration::from_secs(1200), "12:20")] {
            let told = Skew::of(date, here).unwrap().to_string();
            let expected =
                format!("the clock here is 20 minutes off: it says 2026-11-30T{says}:00Z, and the answer is of 2026-11-30T12:00:00Z");
            assert_eq!(told, expected);
        }
    }
}
