//! Signature Version 4: whoever names an access key must have its secret.

use super::wire::{Call, Fault, Outcome, percent_encode};
use crate::model::hex;
use ring::digest::{SHA256, digest};
use ring::hmac;

/// What a request says of its signature.
struct Signed {
    /// `KEY/DAY/REGION/SERVICE/aws4_request`
    credential: String,
    /// Names in lower case.
    headers: Vec<String>,
    signature: String,
    presigned: bool,
}

fn signed(call: &Call) -> Option<Signed> {
    let list = |text: &str| text.split(';').map(str::to_owned).collect();
    let Some(header) = call.header("authorization") else {
        return Some(Signed {
            credential: call.parameter("X-Amz-Credential")?.to_owned(),
            headers: list(call.parameter("X-Amz-SignedHeaders")?),
            signature: call.parameter("X-Amz-Signature")?.to_owned(),
            presigned: true,
        });
    };
    let part = |name: &str| {
        let parts = header.strip_prefix("AWS4-HMAC-SHA256")?.split(',').map(str::trim);
        parts.into_iter().find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    Some(Signed {
        credential: part("Credential")?,
        headers: list(&part("SignedHeaders")?),
        signature: part("Signature")?,
        presigned: false,
    })
}

fn hash(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes))
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// Writes the request as it was signed.
fn canonical(call: &Call, signed: &Signed) -> String {
    // S3 signs the path as it is sent; the others encode it once more.
    let path = match call.service.as_str() {
        "s3" => call.raw_path.clone(),
        _ => call.raw_path.split('/').map(percent_encode).collect::<Vec<_>>().join("/"),
    };
    let query = call.query.iter().filter(|(name, _)| !(signed.presigned && name == "X-Amz-Signature"));
    // By name, then by value: `a` comes before `a-b`, although `=` comes behind `-`.
    let mut query: Vec<(String, String)> = query.map(|(name, value)| (percent_encode(name), percent_encode(value))).collect();
    query.sort();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let value = |name: &str| {
        let values =
            call.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "));
        let values: Vec<String> = values.collect();
        // Who sends it over no wire has no `Host` header.
        if values.is_empty() && name == "host" { call.host.clone() } else { values.join(",") }
    };
    let headers: String = signed.headers.iter().map(|name| format!("{name}:{}\n", value(name))).collect();
    let payload = match call.header("x-amz-content-sha256") {
        Some(hash) => hash.to_owned(),
        None if signed.presigned && call.service == "s3" => "UNSIGNED-PAYLOAD".to_owned(),
        None => hash(&call.body),
    };
    format!("{}\n{path}\n{}\n{headers}\n{}\n{payload}", call.method, query.join("&"), signed.headers.join(";"))
}

/// Makes sure that a call was signed with a secret.
pub(super) fn check(call: &Call, secret: &str) -> Outcome<()> {
    let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    let (status, code) = match call.service.as_str() {
        "s3" | "sts" | "iam" => (403, "SignatureDoesNotMatch"),
        _ => (400, "InvalidSignatureException"),
    };
    let wrong = || Fault::new(status, code, message);
    let signed = signed(call).ok_or_else(wrong)?;
    let parts: Vec<&str> = signed.credential.split('/').collect();
    let [_, day, region, service, end] = parts[..] else { return Err(wrong()) };
    let time = call.header("x-amz-date").or_else(|| call.parameter("X-Amz-Date")).ok_or_else(wrong)?;
    let scope = format!("{day}/{region}/{service}/{end}");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical(call, &signed).as_bytes()));
    let key = [day, region, service, end].iter().fold(format!("AWS4{secret}").into_bytes(), |key, part| keyed(&key, part));
    if hex(keyed(&key, &text)) != signed.signature {
        return Err(wrong());
    }
    // The signature covers what the header says of the body.
    match call.header("x-amz-content-sha256") {
        Some(told) if told.len() == 64 && told != hash(&call.body) => Err(Fault::new(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::rehearsal::{DEV, Rehearsal};
    use aws_smithy_types::error::metadata::ProvideErrorMetadata;

    #[tokio::test]
    async fn a_wrong_secret_is_refused() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1").signed();
        let config = rehearsal.config(rehearsal.keys(DEV), "eu-west-1");
        let iam = aws_sdk_iam::Client::new(&config);
        let tag = aws_sdk_iam::types::Tag::builder().key("ä ö").value("*+ ").build().unwrap();
        iam.tag_user().user_name("caller").tags(tag).send().await.unwrap();
        aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap();
        aws_sdk_kms::Client::new(&config).create_key().send().await.unwrap();
        let config = rehearsal.config((rehearsal.keys(DEV).0, "wrong".to_owned()), "eu-west-1");
        let error = aws_sdk_iam::Client::new(&config).list_roles().send().await.unwrap_err();
        assert_eq!(error.code(), Some("SignatureDoesNotMatch"));
        let error = aws_sdk_kms::Client::new(&config).list_keys().send().await.unwrap_err();
        assert_eq!(error.code(), Some("InvalidSignatureException"));
    }
}
