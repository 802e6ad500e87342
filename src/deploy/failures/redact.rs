//! Takes secrets out of what people paste: keys, tokens, signatures, passwords.

use regex_lite::{Captures, Regex};
use std::sync::LazyLock;

const HIDDEN: &str = "(hidden)";

/// A secret access key has 40 of these characters, a session token hundreds; a shorter run may be an artifact's key.
const SECRET_LENGTH: usize = 40;

/// What stands before a secret, in the group `keep`; the rest of the match is hidden.
const PATTERNS: [&str; 8] = [
    r#"(?i)(?<keep>(?:signature|[a-z0-9_.-]*(?:secret|token|passw(?:or)?d|api[_-]?key)[a-z0-9_.-]*)(?:\\?["']?\s*=\s*\\?["']?|\\?["']\s*:\s*\\?["']))[^\s"'&,;<>\\]+"#,
    // Without a quote only where the name is no error code, such as `ExpiredToken: The token`.
    r"(?<keep>\b(?:[a-z0-9_.-]*(?:secret|token|password|passwd|api[_-]key)[a-z0-9_.-]*|[A-Z0-9_]*(?:SECRET|TOKEN|PASSWORD|API_KEY)[A-Z0-9_]*|Password):\s*)[^\s,;<>]+",
    r"(?i)(?<keep><(?:SecretAccessKey|SessionToken|StringToSign|SignatureProvided|CanonicalRequest)>)[^<]+",
    r"(?i)(?<keep>\bbearer\s+)[a-z0-9._~+/=-]+",
    r"(?i)(?<keep>\bbasic\s+)[a-z0-9+/=]{8,}",
    r"(?<keep>://)[^/\s:@]+:[^/\s@]+@",
    r"(?<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    // Tokens that tell what they are: JSON web tokens, GitHub's, Slack's.
    r"(?<keep>)\b(?:eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+|gh[pousr]_[A-Za-z0-9]{20,}|xox[abprs]-[A-Za-z0-9-]{10,})",
];

static COMPILED: LazyLock<Vec<Regex>> = LazyLock::new(|| PATTERNS.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect());
static RUNS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!("[A-Za-z0-9+/=]{{{SECRET_LENGTH},}}")).ok());

fn looks_random(run: &str) -> bool {
    let any = |is: fn(&u8) -> bool| run.bytes().any(|byte| is(&byte));
    any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase) && any(u8::is_ascii_digit)
}

/// Says whether a run of characters ends here: a word that goes on with `.` or `-` is a name.
fn ends(next: Option<char>) -> bool {
    next.is_none_or(|letter| !letter.is_ascii_alphanumeric() && !".-_".contains(letter))
}

/// Replaces what looks like a secret with `(hidden)`, and control characters but line ends with a space. Access key ids stay.
pub fn redact(text: &str) -> String {
    let mut text: String = text.chars().map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter }).collect();
    for pattern in COMPILED.iter() {
        text = pattern
            .replace_all(&text, |found: &Captures<'_>| format!("{}{HIDDEN}", found.name("keep").map_or("", |keep| keep.as_str())))
            .into_owned();
    }
    let Some(runs) = RUNS.as_ref() else { return text };
    let mut clean = String::with_capacity(text.len());
    let mut at = 0;
    for run in runs.find_iter(&text) {
        let alone = ends(text[..run.start()].chars().next_back()) && ends(text[run.end()..].chars().next());
        clean.push_str(&text[at..run.start()]);
        clean.push_str(if alone && looks_random(run.as_str()) { HIDDEN } else { run.as_str() });
        at = run.end();
    }
    clean.push_str(&text[at..]);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(COMPILED.len(), PATTERNS.len());
        assert!(RUNS.is_some());
    }

    #[test]
    fn secrets_go_and_names_stay() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let secret = &secret.replace('K', "4");
        for text in [
            format!("aws_secret_access_key = {secret}"),
            format!("AWS_SECRET_ACCESS_KEY='{secret}'"),
            format!("{{\"SecretAccessKey\": \"{secret}\", \"AccessKeyId\": \"AKIAIOSFODNN7EXAMPLE\"}}"),
            format!("{{\\\"SessionToken\\\": \\\"{secret}\\\"}}"),
            format!("the key is {secret}"),
            format!("https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE&X-Amz-Signature={secret}&a=b"),
            format!("https://user:{secret}@proxy:3128"),
            format!("Authorization: Bearer {secret}"),
            format!("<SessionToken>{secret}</SessionToken>"),
            format!("-----BEGIN RSA PRIVATE KEY-----\n{secret}\n-----END RSA PRIVATE KEY-----"),
            format!("password: {secret}"),
            format!("AWS_SESSION_TOKEN={secret}{secret}"),
        ] {
            let clean = redact(&text);
            assert!(!clean.contains(&secret[5..]) && clean.contains(HIDDEN), "{text}\n{clean}");
        }
        for text in [
            "User: arn:aws:sts::111111111111:assumed-role/AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy/1767225600000 is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:111111111111:key/94776b24-4694-4a9a-9b70-17bc7d478e93 because no identity-based policy allows the kms:Decrypt action",
            "Unable to access the artifact with Amazon S3 object key 'crossaccountdeploy01/SourceArti/e5MPGZU.zip' located in the Amazon S3 artifact bucket 'codepipeline-us-east-1-0123456789'",
            "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied AKIAIOSFODNN7EXAMPLE",
            "An error occurred (ExpiredToken): ExpiredToken: The provided token has expired",
            "version Geq2W3hloT.h1Spa_I3AKvo_WCNQG0t0 of s3://bucket/da39a3ee5e6b4b0d3255bfef95601890afd80709",
        ] {
            assert_eq!(redact(text), text);
        }
        assert_eq!(redact("a\u{1b}[31mb\nc"), "a [31mb\nc");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "(://|-----BEGIN PRIVATE KEY-----|Bearer |secret=|[A-Za-z0-9+/]{38,44}|\\PC){0,12}") {
            let _ = redact(&text);
        }

        #[test]
        fn a_secret_key_never_gets_through(secret in "[A-Z][a-z][0-9][A-Za-z0-9+/]{37}", before in "[a-z ]{0,9}[ =:\"'(]", after in "[ ,\"')]") {
            let text = format!("{before}{secret}{after}");
            prop_assert!(!redact(&text).contains(&secret));
        }
    }
}
