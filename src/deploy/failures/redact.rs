//! Takes secrets out of what people paste: keys, tokens, signatures, passwords.

use crate::model::{plain, uncut};
use regex_lite::{Captures, Regex};
use std::sync::LazyLock;

const HIDDEN: &str = "(hidden)";

/// A secret access key has 40 of these characters, a session token hundreds; a shorter run may be an artifact's key.
pub const SECRET_LENGTH: usize = 40;

/// A name that says that a secret follows, in any case.
const NAME: &str = r"[a-z0-9_.-]*(?:signature|secret|token|passw(?:or)?d|api[_-]?key)[a-z0-9_.-]*";

/// What stands before a secret, in the group `keep`; the rest of the match is hidden. `NAME` stands for [`NAME`].
const PATTERNS: [&str; 13] = [
    r"(?i)(?<keep>\bbearer\s+)[a-z0-9._~+/=-]+",
    r"(?i)(?<keep>\bbasic\s+)[a-z0-9+/=]{8,}",
    // A quoted value goes up to its closing quote, whatever it holds; first as in a text that is itself a JSON string.
    r#"(?i)(?<keep>NAME(?:\\?["'])?\s*(?:[=:]|%3d)\s*\\")(?:[^"\\]|\\[^"])*"#,
    r#"(?i)(?<keep>NAME["']?\s*(?:[=:]|%3d)\s*")(?:[^"\\]|\\[\s\S])*"#,
    r#"(?i)(?<keep>NAME["']?\s*(?:[=:]|%3d)\s*')[^']*"#,
    r#"(?i)(?<keep>NAME(?:\\?["'])?\s*(?:=|%3d)\s*)[^\s"'&<>\\]+"#,
    // Behind a colon and without a quote only where the name is no error code, such as `ExpiredToken: The token`.
    r#"(?<keep>\b(?:[a-z0-9_.-]*(?:signature|secret|token|password|passwd|api[_-]key)[a-z0-9_.-]*|[A-Z0-9_]*(?:SIGNATURE|SECRET|TOKEN|PASSWORD|PASSWD|API_KEY)[A-Z0-9_]*|[A-Za-z0-9_]+-[A-Za-z0-9_-]*(?:[Ss]ignature|[Ss]ecret|[Tt]oken|[Pp]assword|[Kk]ey)|Password|Secret|Signature):\s*)[^\s"'<>\\][^\s<>]*"#,
    // A flag of a command line.
    r#"(?i)(?<keep>--NAME\s+)(?:"(?:[^"\\]|\\[\s\S])*"?|'[^']*'?|[^\s"'-]\S*|-[^\s-]\S*)"#,
    r"(?i)(?<keep><(?:SecretAccessKey|SessionToken|StringToSign|SignatureProvided|CanonicalRequest)>)[^<]+",
    // User and password of an address. A port with a path behind it is no password.
    r#"(?<keep>://)[^\s:@/"<>]*:(?:[^\s@/"<>]+|[^\s@/"<>]*[^\s@/"<>0-9][^\s@/"<>]*/[^\s@"<>]*|/[^\s@"<>]*)@(?:[^\s@/"<>]*@)*"#,
    r"(?<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    // Tokens that tell what they are: JSON web tokens, GitHub's, Slack's.
    r"(?<keep>)\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+",
    r"(?<keep>)\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{10,}|xox[abprs]-[A-Za-z0-9-]{10,})",
];

static COMPILED: LazyLock<Vec<Regex>> =
    LazyLock::new(|| PATTERNS.iter().filter_map(|pattern| Regex::new(&pattern.replace("NAME", NAME)).ok()).collect());
static RUNS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!("[A-Za-z0-9+/=]{{{SECRET_LENGTH},}}")).ok());

fn looks_random(run: &str) -> bool {
    let any = |is: fn(&u8) -> bool| run.bytes().any(|byte| is(&byte));
    any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase) && any(u8::is_ascii_digit)
}

/// Says whether a run of characters ends here: a word that goes on with `.` or `-` is a name.
fn ends(next: Option<char>) -> bool {
    next.is_none_or(|letter| !letter.is_ascii_alphanumeric() && !".-_".contains(letter))
}

/// Takes the secrets out of a text as people paste it: coloured, escaped, and cut at a terminal's width, where a secret may be cut too.
pub fn redact_pasted(text: &str) -> String {
    let visible = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).count();
    let plain = plain(text);
    let mended = uncut(&plain);
    let shown = redact(&plain);
    if mended == plain {
        return shown;
    }
    // Frames of lines that are put together go, and are no secret.
    let frames = visible(&plain).saturating_sub(visible(&mended));
    let found_more = redact(&mended);
    if visible(&found_more) + frames < visible(&shown) { found_more } else { shown }
}

fn on_a_terminal(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter }).collect()
}

/// Returns true if a text holds what looks like a secret.
pub fn looks_secret(text: &str) -> bool {
    redact(text) != on_a_terminal(text)
}

/// Replaces what looks like a secret with `(hidden)`, and control characters but line ends with a space. Access key ids stay.
pub fn redact(text: &str) -> String {
    let mut text = on_a_terminal(text);
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
        for (text, shown) in [
            ("redis://:hunter2secret@cache:6379/0", &["redis://", "cache:6379/0"][..]),
            ("https://user:pa/ss@host/x", &["https://", "host/x"]),
            ("https://user:p@ss@host/x", &["host/x"]),
            ("github_pat_11ABCDEFG0abcdefghijkl_MNOPQRSTUV", &[]),
            ("DB_PASSWORD='p@ss,word;tail' next", &["DB_PASSWORD='", "' next"]),
            ("DB_PASSWORD=p@ss,word;tail next", &["DB_PASSWORD=", " next"]),
            (r#"{"password": "abc def \"ghi", "user": "ann"}"#, &["password", r#""user": "ann""#]),
            (r#"{\"password\": \"abc def ghi\", \"user\": \"ann\"}"#, &["user", "ann"]),
            ("X-Amz-Signature: 0011aabb", &["X-Amz-Signature: "]),
            ("x-amz-signature:0011aabb", &["x-amz-signature:"]),
            ("?X-Amz-Signature%3D0011aabb%26x", &["X-Amz-Signature%3D"]),
            ("X-Amz-Security-Token: FwoGZXIvYXdzE0011aabb", &["X-Amz-Security-Token: "]),
            ("x-Amz-security-Token=FwoGZXIvYXdzE0011aabb&a=b", &["&a=b"]),
            ("mysql --user ann --password hunter4 --host db", &["--user ann --password ", " --host db"]),
            ("tool --Api-Key 'a b hunter4' --host db", &[" --host db"]),
            ("token: Bearer abcdef0123hunter4", &[]),
        ] {
            let clean = redact(text);
            for part in ["hunter", "pa/ss", "ss@", "tail", "word", "abc", "def", "ghi", "0011aabb", "Fwo", "ABCDEFG0", "MNOPQR"] {
                let named = part == "word" && text.contains("assword");
                assert!(!clean.contains(part) || named && !clean.contains(",word"), "{part}: {text}\n{clean}");
            }
            assert!(clean.contains(HIDDEN) && shown.iter().all(|part| clean.contains(part)), "{text}\n{clean}");
        }
        for text in [
            "SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided",
            "InvalidToken: The provided token is malformed; InvalidClientTokenId: it is included in the request",
            "pull https://registry.example.com:5000/team/image@sha256:0011aabb",
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
