//! What a request carries, and its checksums.

use crate::model::hex;
use crate::rehearsal::wire::{Call, Fault, Outcome};
use aws_smithy_checksums::ChecksumAlgorithm;
use aws_smithy_types::base64;
use md5::{Digest, Md5};

const ALGORITHMS: [&str; 5] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

/// A body as it was meant.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// The checksum that the caller sent, or the one that S3 computes by itself (facts D.1, PutObject).
    pub(super) checksum: (String, String),
    /// In hexadecimal digits.
    pub(super) md5: String,
}

/// Reads a body and checks what is claimed of it; what stood behind its chunks is among the headers.
pub(super) fn read(call: &Call) -> Outcome<Body> {
    let bytes = call.body.clone();
    let decoded = call.header("x-amz-decoded-content-length").and_then(|length| length.parse::<usize>().ok());
    if decoded.is_some_and(|length| length != bytes.len()) {
        let message = "You did not provide the number of bytes specified by the Content-Length HTTP header.";
        return Err(Fault::new(400, "IncompleteBody", message));
    }
    let claimed = ALGORITHMS.iter().find_map(|algorithm| {
        let name = format!("x-amz-checksum-{algorithm}");
        Some((*algorithm, call.header(&name)?.to_owned()))
    });
    let (algorithm, sent) = claimed.map_or(("crc64nvme", None), |(algorithm, value)| (algorithm, Some(value)));
    let computed = checksum(algorithm, &bytes);
    if let Some(sent) = sent
        && sent != computed
    {
        let message = format!("The {} you specified did not match the calculated checksum.", algorithm.to_ascii_uppercase());
        return Err(Fault::new(400, "BadDigest", message));
    }
    if call.header("content-md5").is_some_and(|claimed| claimed != base64::encode(Md5::digest(&bytes).as_slice())) {
        return Err(Fault::new(400, "BadDigest", "The Content-MD5 you specified did not match what we received."));
    }
    let md5 = md5(&bytes);
    Ok(Body { bytes, checksum: (algorithm.to_owned(), computed), md5 })
}

/// Gives the MD5 in hexadecimal digits.
pub(super) fn md5(bytes: &[u8]) -> String {
    hex(Md5::digest(bytes))
}

/// Gives a checksum in base64.
pub(super) fn checksum(algorithm: &str, bytes: &[u8]) -> String {
    let Ok(algorithm) = algorithm.parse::<ChecksumAlgorithm>() else { return String::new() };
    let mut state = algorithm.into_impl();
    state.update(bytes);
    base64::encode(state.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_s3() {
        assert_eq!(checksum("crc32", b"123456789"), "y/Q5Jg==");
        assert_eq!(checksum("sha256", b""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
