//! What tests compare with: snapshots, errors as they are printed, blocks of the README, the ends of two runs.

use serde_json::{Map, Value};
use snapbox::IntoData;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use xdeploy::error::Error;

/// Compares text with a snapshot, which is in the test or, where it is a whole output, in a file of `tests/snapshots`.
#[track_caller]
pub fn same(actual: &str, expected: impl IntoData) {
    snapbox::Assert::new()
        .action_env(snapbox::assert::DEFAULT_ACTION_ENV)
        .eq(actual.to_owned().into_data().raw(), expected.into_data().raw());
}

/// An error as the program prints it.
pub fn printed(error: &Error) -> String {
    let lines = |head: &str, texts: &[String]| texts.iter().map(|text| format!("{head}: {text}\n")).collect::<String>();
    format!("error: {error}\n{}\n{}", lines("  caused by", &error.causes), lines("hint", &error.hints))
}

pub fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// Compares what stands between two markers of the README, or writes it anew.
pub fn readme_block(marker: &str, actual: &str) {
    // Several tests may write the file anew, and each writes all of it.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let readme = readme();
    let (open, close) = (format!("<!-- {marker} -->\n"), format!("<!-- /{marker} -->"));
    let start = readme.find(&open).expect("the opening marker") + open.len();
    let end = readme.find(&close).expect("the closing marker");
    if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        let new = format!("{}{actual}{}", &readme[..start], &readme[end..]);
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"), new).unwrap();
        return;
    }
    snapbox::assert_data_eq!(actual.to_owned(), snapbox::Data::text(readme[start..end].to_owned()).raw());
}

/// Tells the members that differ, innermost first.
pub fn difference(expected: &Value, found: &Value) -> String {
    match (expected, found) {
        (one, other) if one == other => String::new(),
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            let member = |map: &Map<String, Value>, name: &String| map.get(name).cloned().unwrap_or_default();
            let told = names.into_iter().map(|name| (name, difference(&member(one, name), &member(other, name))));
            told.filter(|(_, told)| !told.is_empty()).map(|(name, told)| format!("{name} / {told}")).collect()
        }
        (Value::Array(one), Value::Array(other)) => {
            let lacks = |list: &[Value], value: &Value| !list.contains(value);
            let lost = one.iter().filter(|value| lacks(other, value)).map(|value| format!("lost {value}\n"));
            lost.chain(other.iter().filter(|value| lacks(one, value)).map(|value| format!("more {value}\n"))).collect::<String>()
                + "in all\n"
        }
        _ => format!("expected {expected}\n    found {found}\n"),
    }
}
