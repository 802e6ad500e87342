//! How many calls are known to be allowed, and how many are what else: one count that mixes nothing.

use super::chain::Grade;
use super::proof::Judged;
use super::snapshot::Snapshot;
use crate::model::{Verdict, account_of};
use serde::Serialize;

/// What the verdict on a call counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallStatus {
    /// It is allowed by what was read.
    Verified,
    /// It is allowed once this plan is carried out.
    Planned,
    /// It is allowed by what was read and what a hand-off says, which nobody has read.
    FromHandoff,
    /// It will be allowed once the other account has done its part.
    Pending,
    /// It isn't allowed, and may not be needed.
    MayNotBeNeeded,
    /// It can't be told.
    Unknown,
    /// It is denied.
    Denied,
}

impl CallStatus {
    /// Gives the status of a call on a snapshot.
    pub fn of(link: &Judged, snapshot: &Snapshot) -> CallStatus {
        match (link.verdict, link.grade) {
            (Verdict::Allowed, _) => {}
            (_, Grade::MayBeCalled) => return CallStatus::MayNotBeNeeded,
            (Verdict::CannotTell, _) => return CallStatus::Unknown,
            (Verdict::Denied, _) => return CallStatus::Denied,
        }
        let Some(told) = &snapshot.told else { return CallStatus::Verified };
        let account = &snapshot.identity(told.side).account;
        let rests = !link.told.is_empty() || [account_of(&link.who), link.account.as_str()].contains(&account.as_str());
        match (rests, told.by_handoff) {
            (false, _) => CallStatus::Verified,
            (true, true) => CallStatus::FromHandoff,
            (true, false) => CallStatus::Pending,
        }
    }
}

/// How many calls have each status; together they are all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// Allowed by what was read.
    pub verified: usize,
    /// Allowed once this plan is carried out.
    pub planned: usize,
    /// Allowed by what a hand-off says.
    pub from_handoff: usize,
    /// Allowed once the other account has done its part.
    pub pending: usize,
    /// Not allowed, and maybe not needed.
    pub may_not_be_needed: usize,
    /// Not to be told.
    pub unknown: usize,
    /// Denied.
    pub denied: usize,
}

impl Count {
    /// Counts.
    pub fn of(statuses: impl Iterator<Item = CallStatus>) -> Count {
        let mut count = Count::default();
        for status in statuses {
            *match status {
                CallStatus::Verified => &mut count.verified,
                CallStatus::Planned => &mut count.planned,
                CallStatus::FromHandoff => &mut count.from_handoff,
                CallStatus::Pending => &mut count.pending,
                CallStatus::MayNotBeNeeded => &mut count.may_not_be_needed,
                CallStatus::Unknown => &mut count.unknown,
                CallStatus::Denied => &mut count.denied,
            } += 1;
        }
        count
    }

    /// How many calls there are.
    pub fn all(&self) -> usize {
        self.allowed() + self.may_not_be_needed + self.unknown + self.denied
    }

    /// How many would be allowed if everybody does what is planned, and all that was told is so.
    pub fn allowed(&self) -> usize {
        self.verified + self.planned + self.from_handoff + self.pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_counts_once() {
        use CallStatus::{Denied, FromHandoff, MayNotBeNeeded, Pending, Planned, Unknown, Verified};
        let all = [Verified, Planned, FromHandoff, Pending, MayNotBeNeeded, Unknown, Denied, Verified];
        let count = Count::of(all.into_iter());
        assert_eq!((count.verified, count.allowed(), count.all()), (2, 5, 8));
        assert_eq!((count.may_not_be_needed, count.unknown, count.denied, count.pending), (1, 1, 1, 1));
    }
}
