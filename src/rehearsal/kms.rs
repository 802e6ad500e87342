//! KMS.

use super::state::State;
use super::wire::{Answer, Call, Caller, Fault, Outcome, fault_answer};
use std::collections::BTreeMap;

/// A key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Key {}

/// A data key, plain and wrapped.
#[derive(Debug, Clone)]
pub(crate) struct DataKey {
    /// The ARN of the key that wraps it.
    pub key: String,
    pub plain: [u8; 32],
    pub wrapped: Vec<u8>,
}

/// What data is bound to: `aws:s3:arn` and the object's ARN, or the bucket's with a bucket key.
pub(crate) type EncryptionContext = BTreeMap<String, String>;

/// Makes a data key for a caller; S3 sets [`Caller::via`]. The key is an ARN, an id or an alias of the caller's account.
pub(crate) fn generate_data_key(_: &mut State, _: &Caller, _region: &str, _key: &str, _: &EncryptionContext) -> Outcome<DataKey> {
    Err(Fault::new(501, "NotImplemented", "not yet"))
}

/// Opens what a key wrapped for a caller.
pub(crate) fn decrypt(_: &mut State, _: &Caller, _region: &str, _wrapped: &[u8], _: &EncryptionContext) -> Outcome<Vec<u8>> {
    Err(Fault::new(501, "NotImplemented", "not yet"))
}

/// Answers a call.
pub(crate) fn answer(_: &mut State, call: &Call) -> Answer {
    fault_answer(call, Fault::new(501, "NotImplemented", "not yet"))
}
