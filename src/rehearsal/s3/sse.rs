//! Encryption at rest: with a KMS key the bytes are sealed under a data key, and who may not open that gets nothing.

use super::access::arn;
use super::bucket::Encryption;
use crate::rehearsal::kms::{self, EncryptionContext};
use crate::rehearsal::state::State;
use crate::rehearsal::wire::{Call, Caller, Fault, Outcome};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// AWS's own key for S3, which no other account can use (facts E.7).
const OWN_KEY: &str = "alias/aws/s3";

/// An object's bytes as they lie there.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) algorithm: String,
    /// The ARN of the KMS key.
    pub(crate) key: Option<String>,
    pub(crate) bucket_key: bool,
    wrapped: Vec<u8>,
    bytes: Vec<u8>,
}

impl Sealed {
    /// Gives the headers that tell of it.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![("x-amz-server-side-encryption".to_owned(), self.algorithm.clone())];
        if let Some(key) = &self.key {
            headers.push(("x-amz-server-side-encryption-aws-kms-key-id".to_owned(), key.clone()));
        }
        if self.bucket_key {
            headers.push(("x-amz-server-side-encryption-bucket-key-enabled".to_owned(), "true".to_owned()));
        }
        headers
    }
}

/// Gives what a request and the bucket's default come to.
pub(super) fn wanted(call: &Call, default: &Encryption) -> Outcome<Encryption> {
    let key = call.header("x-amz-server-side-encryption-aws-kms-key-id");
    let flag = call.header("x-amz-server-side-encryption-bucket-key-enabled").map(|flag| flag == "true");
    let bucket_key = flag.unwrap_or(default.bucket_key);
    match call.header("x-amz-server-side-encryption") {
        None if key.is_some() => {
            let message = "Server Side Encryption with KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms";
            Err(Fault::new(400, "InvalidArgument", message))
        }
        None => Ok(Encryption { bucket_key, ..default.clone() }),
        Some("AES256") => Ok(Encryption::default()),
        Some(algorithm @ ("aws:kms" | "aws:kms:dsse")) => {
            Ok(Encryption { algorithm: algorithm.to_owned(), key: key.map(str::to_owned), bucket_key })
        }
        Some(_) => Err(Fault::new(400, "InvalidEncryptionAlgorithmError", "The encryption request that you specified is not valid.")),
    }
}

/// S3 calls KMS for the caller (facts A.2, rows 7 and 11).
fn through_s3(caller: &Caller, region: &str) -> Caller {
    Caller { via: Some(format!("s3.{region}.amazonaws.com")), ..caller.clone() }
}

/// A bucket key stands for all objects of its bucket.
fn context(state: &State, bucket: &str, key: &str, bucket_key: bool) -> EncryptionContext {
    let resource = arn(state, bucket, (!bucket_key).then_some(key));
    [("aws:s3:arn".to_owned(), resource)].into_iter().collect()
}

/// S3 hands denials on as they are, and anything else under KMS's name (facts E.10, E.46).
fn from_kms(fault: Fault) -> Fault {
    match fault.code.as_str() {
        "AccessDenied" | "AccessDeniedException" => Fault { status: 403, code: "AccessDenied".to_owned(), ..fault },
        _ => Fault { status: 400, code: format!("KMS.{}", fault.code), ..fault },
    }
}

fn cipher(plain: &[u8]) -> Outcome<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, plain).map(LessSafeKey::new).map_err(|_| broken())
}

fn broken() -> Fault {
    Fault::new(500, "InternalError", "We encountered an internal error. Please try again.")
}

/// Each object has a data key of its own, so the nonce need not vary.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// Seals an object's bytes as the caller.
pub(super) fn seal(
    state: &mut State,
    caller: &Caller,
    bucket: (&str, &str),
    key: &str,
    wanted: &Encryption,
    mut bytes: Vec<u8>,
) -> Outcome<Sealed> {
    let (name, region) = bucket;
    if !wanted.algorithm.starts_with("aws:kms") {
        return Ok(Sealed { algorithm: wanted.algorithm.clone(), key: None, bucket_key: false, wrapped: Vec::new(), bytes });
    }
    // Dual-layer encryption has no bucket keys.
    let bucket_key = wanted.bucket_key && wanted.algorithm == "aws:kms";
    let context = context(state, name, key, bucket_key);
    let kms_key = wanted.key.as_deref().unwrap_or(OWN_KEY);
    let data = kms::generate_data_key(state, &through_s3(caller, region), region, kms_key, &context).map_err(from_kms)?;
    cipher(&data.plain)?.seal_in_place_append_tag(nonce(), Aad::empty(), &mut bytes).map_err(|_| broken())?;
    Ok(Sealed { algorithm: wanted.algorithm.clone(), key: Some(data.key), bucket_key, wrapped: data.wrapped, bytes })
}

/// Opens what was sealed as the caller.
pub(super) fn open(state: &mut State, caller: &Caller, bucket: (&str, &str), key: &str, sealed: &Sealed) -> Outcome<Vec<u8>> {
    let (name, region) = bucket;
    let mut bytes = sealed.bytes.clone();
    if sealed.key.is_none() {
        return Ok(bytes);
    }
    let context = context(state, name, key, sealed.bucket_key);
    let plain = kms::decrypt(state, &through_s3(caller, region), region, &sealed.wrapped, &context).map_err(from_kms)?;
    let length = cipher(&plain)?.open_in_place(nonce(), Aad::empty(), &mut bytes).map_err(|_| broken())?.len();
    bytes.truncate(length);
    Ok(bytes)
}
