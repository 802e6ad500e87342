//! The rules of the house: who may import whom, and which room owns the streams, the environment and the exit.

use std::fs;
use std::path::{Path, PathBuf};

/// What each room may name with `crate::`, besides itself. `None`: everything.
const MAY_IMPORT: [(&str, Option<&[&str]>); 13] = [
    ("model", Some(&[])),
    ("error", Some(&[])),
    ("files", Some(&[])),
    ("policy", Some(&["model"])),
    ("settings", Some(&["model", "error", "files"])),
    ("aws", Some(&["model", "error", "files"])),
    ("deploy", Some(&["model", "policy", "settings", "aws", "error", "files"])),
    ("ecs", Some(&["model", "policy", "settings", "aws", "error", "files"])),
    ("rehearsal", Some(&["model", "policy"])),
    ("report", Some(&["model", "policy", "deploy", "ecs"])),
    ("export", Some(&["model", "policy", "deploy", "error"])),
    ("ui", Some(&["model"])),
    ("cli", None),
];

/// Rooms that judge: no I/O, no clock.
const PURE: [&str; 35] = [
    "src/policy",
    "src/ecs/checks",
    "src/ecs/denial.rs",
    "src/ecs/environment.rs",
    "src/ecs/facts.rs",
    "src/ecs/fixes.rs",
    "src/ecs/parse",
    "src/ecs/verdict.rs",
    "src/deploy/steps",
    "src/deploy/plan.rs",
    "src/deploy/write.rs",
    "src/deploy/blueprint.rs",
    "src/deploy/permissions",
    "src/deploy/caller.rs",
    "src/deploy/savable.rs",
    "src/deploy/declaration.rs",
    "src/deploy/difference.rs",
    "src/deploy/findings.rs",
    "src/deploy/handoff/checks.rs",
    "src/deploy/handoff/deployment.rs",
    "src/deploy/handoff/trust.rs",
    "src/deploy/handoff/withhold.rs",
    "src/deploy/kept.rs",
    "src/deploy/redaction.rs",
    "src/deploy/rules.rs",
    "src/deploy/failures/catalogue",
    "src/deploy/failures/evidence.rs",
    "src/deploy/failures/explain.rs",
    "src/deploy/failures/fits",
    "src/deploy/failures/mod.rs",
    "src/deploy/failures/redact.rs",
    "src/deploy/failures/signs.rs",
    "src/deploy/failures/symptom.rs",
    "src/export",
    "src/model",
];

struct Source {
    path: String,
    /// Without comments and without the `#[cfg(test)]` part at the end, which may be a file `tests.rs`.
    code: String,
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(&root.join("src"), &mut paths);
    paths.sort();
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let without_comment = |line: &str| if line.trim_start().starts_with("//") { String::new() } else { format!("{line}\n") };
        Source { path: path.strip_prefix(root).unwrap().display().to_string(), code: product.lines().map(without_comment).collect() }
    };
    paths.into_iter().map(source).collect()
}

fn room(path: &str) -> &str {
    path.trim_start_matches("src/").split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// The rooms that code names with `crate::`, also within `use crate::{a::b, c}`.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let mut depth = 0;
        let mut word = String::new();
        let mut at_start = true;
        for character in rest.chars() {
            match character {
                '{' if at_start || depth > 0 => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => at_start = true,
                c if c.is_alphanumeric() || c == '_' => {
                    if at_start && depth <= 1 {
                        word.push(c);
                    }
                    continue;
                }
                _ => {}
            }
            if !word.is_empty() {
                found.push(std::mem::take(&mut word));
                at_start = character == ',' && depth == 1;
            }
            if depth <= 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn imports_are_found() {
    let code = "use crate::error::Error;\nuse crate::{aws::{Account, call}, model::Side, policy};\nlet a: crate::ui::Ui;";
    assert_eq!(imports(code), ["error", "aws", "model", "policy", "ui"]);
}

#[test]
fn every_room_imports_only_what_it_may() {
    let mut wrong = Vec::new();
    for source in sources() {
        let room = room(&source.path).to_owned();
        if matches!(room.as_str(), "main" | "lib") {
            continue;
        }
        let Some((_, may)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: room `{room}` is not in the table", source.path));
            continue;
        };
        let Some(may) = may else { continue };
        for import in imports(&source.code) {
            if import != room && !may.contains(&import.as_str()) {
                wrong.push(format!("{} imports crate::{import}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Finds words in the code outside the files that own them.
fn outside(words: &[&str], owners: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !owners.iter().any(|owner| source.path.starts_with(owner))) {
        for word in words {
            let lines = source.code.lines().filter(|line| line.contains(word));
            found.extend(lines.map(|line| format!("{}: {}", source.path, line.trim())));
        }
    }
    found
}

#[test]
fn streams_environment_and_exit_belong_to_one_room() {
    let nothing: Vec<String> = Vec::new();
    assert_eq!(outside(&["println!", "eprintln!", "print!(", "eprint!(", "dbg!"], &[]), nothing);
    assert_eq!(outside(&["io::stdout", "io::stderr", "io::stdin", "IsTerminal"], &["src/ui/"]), nothing);
    // A signal at a question: the only thread stands in it.
    assert_eq!(outside(&["process::exit", "process::abort"], &["src/ui/prompts.rs"]), nothing);
    assert_eq!(outside(&["env::var", "env::vars", "env::set_var"], &["src/settings/mod.rs"]), nothing);
    assert_eq!(outside(&["env::args"], &["src/main.rs"]), nothing);
}

#[test]
fn nothing_panics_outside_tests() {
    let words = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!("];
    assert_eq!(outside(&words, &[]), Vec::<String>::new());
    let root = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(root.contains("unsafe_code = \"forbid\""));
}

#[test]
fn who_judges_does_no_io_and_reads_no_clock() {
    let io = ["async fn", ".await", "Instant::now", "SystemTime", "std::net::Tcp", "tokio::"];
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| PURE.iter().any(|room| source.path.starts_with(room))) {
        found.extend(io.iter().filter(|word| source.code.contains(**word)).map(|word| format!("{}: {word}", source.path)));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_rehearsal_is_the_same_every_time() {
    let chance = ["Instant::now", "SystemTime", "std::net::", "HashMap", "HashSet", "rand::"];
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with("src/rehearsal")) {
        found.extend(chance.iter().filter(|word| source.code.contains(**word)).map(|word| format!("{}: {word}", source.path)));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn only_apply_writes() {
    // The SDK operations that change something are called in one place (and in the release of an artifact).
    let writes = [
        ".create_key(",
        ".put_key_policy(",
        ".create_alias(",
        ".create_role(",
        ".put_role_policy(",
        ".create_policy(",
        ".create_policy_version(",
        ".attach_role_policy(",
        ".update_assume_role_policy(",
        ".create_bucket(",
        ".put_bucket_policy(",
        ".put_bucket_notification_configuration(",
        ".put_rule(",
        ".put_targets(",
        ".create_pipeline(",
        ".update_pipeline(",
        ".delete_pipeline(",
        ".delete_role(",
        ".schedule_key_deletion(",
    ];
    assert_eq!(outside(&writes, &["src/deploy/apply/", "src/deploy/release.rs", "src/rehearsal/"]), Vec::<String>::new());
    assert_eq!(
        outside(&[".put_object(", ".start_pipeline_execution("], &["src/deploy/release.rs", "src/rehearsal/"]),
        Vec::<String>::new()
    );
}

/// Where an error gets its hint elsewhere than in the expression that makes it: file, the beginning of its message, and where.
const HINTED_ELSEWHERE: [(&str, &str, &str); 15] = [
    ("src/aws/profile.rs", "there is no AWS profile", "the match below it"),
    ("src/aws/credential_errors.rs", "message", "the hints that it is folded with"),
    ("src/cli/explain/rule.rs", "there is no rule and no call", "what is returned below it"),
    ("src/cli/rehearse/stage.rs", "the chain of this set-up has no link", "what is returned below it"),
    ("src/cli/release.rs", "execution {id} of pipeline", "the match below it"),
    ("src/cli/release.rs", "the release of pipeline", "what is returned below it"),
    ("src/cli/schema.rs", "there is no schema of", "what is returned below it"),
    ("src/deploy/declaration.rs", "pipeline {pipeline} has no S3 deploy action", "both branches below it"),
    ("src/deploy/savable.rs", "AWS would not save what this plan writes", "each obstacle's advice below it"),
    ("src/deploy/steps/service_role.rs", "message", "the hints that it is folded with"),
    ("src/ecs/mend.rs", "`{command}` failed", "`apply`, which calls `make`"),
    ("src/settings/file.rs", "error.to_string().trim_end()", "the match below it"),
    ("src/error.rs", "Kind::Usage", "whoever calls the constructor"),
    ("src/error.rs", "Kind::Refused", "whoever calls the constructor"),
    ("src/error.rs", "Kind::Failed", "whoever calls the constructor"),
];

/// The text from an opening bracket to behind its closing one, and what is chained to it.
fn expression(code: &str) -> &str {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    let mut end = code.len();
    // A bracket in single quotes opens nothing.
    let quoted = |at: usize| code[..at].ends_with('\'') && code[at + 1..].starts_with('\'');
    for (at, character) in code.char_indices().filter(|(at, character)| !character.is_ascii_punctuation() || !quoted(*at)) {
        if in_text {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match character {
            '"' => in_text = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth <= 1 => {
                let rest = code[at + 1..].trim_start();
                // `.hint(…)` goes on; anything else is another expression.
                if character != ')' || depth == 0 || !rest.starts_with('.') {
                    end = at + usize::from(depth == 1);
                    break;
                }
                depth = 0;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' | ';' if depth == 0 => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    &code[..end]
}

#[test]
fn an_expression_ends_where_it_ends() {
    assert_eq!(expression("(format!(\"a) {b}\")).because(c).hint(d)); more"), "(format!(\"a) {b}\")).because(c).hint(d)");
    assert_eq!(expression("(why), next.hint(x)"), "(why)");
    assert_eq!(expression("(a.replace('(', b)); c"), "(a.replace('(', b))");
}

/// An error without advice leaves its reader alone.
#[test]
fn every_error_has_a_hint() {
    let mut without = Vec::new();
    let mut used = vec![false; HINTED_ELSEWHERE.len()];
    let mut seen = 0;
    for source in sources().iter().filter(|source| !source.path.starts_with("src/ecs/host") && !source.path.starts_with("src/rehearsal")) {
        for maker in ["Error::usage", "Error::refused", "Error::failed", "Error::new"] {
            // `ApiError` and the like are others.
            let own = |at: &usize| !source.code[..*at].ends_with(|before: char| before.is_alphanumeric() || before == ':');
            for at in source.code.match_indices(maker).map(|(at, _)| at).filter(own) {
                let rest = &source.code[at + maker.len()..];
                // `map_err(Error::usage)` makes one without a hint as well.
                let made = if rest.starts_with('(') { expression(rest) } else { "" };
                seen += 1;
                let known = HINTED_ELSEWHERE.iter().position(|(path, message, _)| *path == source.path && made.contains(message));
                match known {
                    _ if made.contains(".hint(") || made.contains("Error::hint") => {}
                    Some(place) => used[place] = true,
                    None => without.push(format!("{}: {maker}{}", source.path, made.lines().next().unwrap_or_default())),
                }
            }
        }
    }
    assert!(seen > 100, "{seen} errors were found, so the search is wrong");
    assert_eq!(without, Vec::<String>::new());
    let stale: Vec<_> = HINTED_ELSEWHERE.iter().zip(used).filter(|(_, used)| !used).map(|(row, _)| row).collect();
    assert!(stale.is_empty(), "these are hinted by themselves now, or gone: {stale:#?}");
}

/// The judges' binary has a harness of its own: a function that is marked for libtest would be left out without a word.
#[test]
fn every_test_of_the_judges_and_the_lab_is_run_by_their_harness() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["tests/judges", "tests/lab"] {
        let mut paths = Vec::new();
        walk(&root.join(folder), &mut paths);
        assert!(paths.len() > 5, "{folder}: {}", paths.len());
        for path in paths {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains(concat!("#[", "test]")) && !text.contains("tokio::test]"), "{}: list it in `trials`", path.display());
        }
    }
}
