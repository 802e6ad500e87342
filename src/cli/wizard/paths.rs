//! Paths as people type, paste and drop them: with `~`, in quotes, with backslashes before blanks, as `file://`.

use crate::ui::Completion;
use std::path::{Path, PathBuf};

/// Gives the path that a text means: as it stands where there is such a file, else as a shell would read it.
pub fn meant(text: &str, home: Option<&Path>) -> PathBuf {
    let text = text.trim();
    if Path::new(text).exists() {
        return PathBuf::from(text);
    }
    at_home(&unquoted(text), home)
}

/// Takes off what a shell takes off of one word; a text that is more than one word, or an open quote, stays as it is.
fn unquoted(text: &str) -> String {
    if let Some(path) = text.strip_prefix("file://").map(|rest| rest.strip_prefix("localhost").unwrap_or(rest)) {
        return percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    }
    // A shell would take a comment, and nothing that is dropped begins with one.
    match shlex::split(text).as_deref() {
        Some([word]) if !text.starts_with('#') => word.clone(),
        _ => text.to_owned(),
    }
}

/// Puts the home in the place of a `~` at the beginning.
fn at_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

/// Completes a path as far as there is one way to go on.
pub fn complete(text: &str, home: Option<&Path>) -> Completion {
    let text = text.trim_start();
    // A quote that was opened stays open until a file is whole.
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'));
    let inner = match quote {
        Some(quote) => text[1..].strip_suffix(quote).unwrap_or(&text[1..]).to_owned(),
        None => unquoted(text),
    };
    let inner = if inner == "~" { "~/".to_owned() } else { inner };
    let (folder, begun) = inner.rfind('/').map_or(("", inner.as_str()), |at| inner.split_at(at + 1));
    let path = if folder.is_empty() { PathBuf::from(".") } else { at_home(folder, home) };
    let mut names: Vec<String> = std::fs::read_dir(path).into_iter().flatten().flatten().filter_map(|entry| named(&entry, begun)).collect();
    names.sort_unstable();
    let opened = quote.map(String::from).unwrap_or_default();
    match names.as_slice() {
        [] => Completion { text: text.to_owned(), candidates: Vec::new(), fits: false },
        [name] => {
            let closed = if name.ends_with('/') { "" } else { opened.as_str() };
            Completion { text: format!("{opened}{folder}{name}{closed}"), candidates: Vec::new(), fits: true }
        }
        [first, rest @ ..] => {
            let shared = rest.iter().fold(first.as_str(), |shared, name| shared_beginning(shared, name));
            Completion { text: format!("{opened}{folder}{shared}"), candidates: names, fits: true }
        }
    }
}

/// Gives the name of what begins so, with `/` behind a folder's; what is hidden only to who begins with the dot.
fn named(entry: &std::fs::DirEntry, begun: &str) -> Option<String> {
    let name = entry.file_name().into_string().ok()?;
    let fits = name.starts_with(begun) && (begun.starts_with('.') || !name.starts_with('.'));
    // Behind a link may be a folder.
    fits.then(|| if entry.path().is_dir() { format!("{name}/") } else { name })
}

fn shared_beginning<'t>(one: &'t str, other: &str) -> &'t str {
    let end = one.char_indices().zip(other.chars()).find(|((_, a), b)| a != b).map(|((at, _), _)| at);
    &one[..end.unwrap_or(one.len().min(other.len()))]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with files of awkward names, which is its own home.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("My Site")).unwrap();
        for name in
            ["My Site.zip", "it's.zip", "site-a.zip", "site-b.zip", ".hidden.zip", "My Site/in der Tür.zip", "a\\b.zip", "\"q\".zip"]
        {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn a_path_is_found_however_it_is_written() {
        let folder = folder();
        let (home, root) = (folder.path(), folder.path().display().to_string());
        for (typed, file) in [
            (format!("{root}/My Site.zip"), "My Site.zip"),
            (format!("'{root}/My Site.zip'"), "My Site.zip"),
            (format!("'{root}/My Site.zip' "), "My Site.zip"),
            (format!("\"{root}/My Site.zip\""), "My Site.zip"),
            (format!("{root}/My\\ Site.zip"), "My Site.zip"),
            (format!("'{root}/it'\\''s.zip'"), "it's.zip"),
            (format!("{root}/it's.zip"), "it's.zip"),
            (format!("{root}/it\\'s.zip"), "it's.zip"),
            (format!("file://{root}/My%20Site.zip"), "My Site.zip"),
            (format!("file://localhost{root}/My%20Site/in%20der%20T%C3%BCr.zip"), "My Site/in der Tür.zip"),
            ("~/site-a.zip".to_owned(), "site-a.zip"),
            ("~/My Site.zip".to_owned(), "My Site.zip"),
            ("'~/My Site.zip'".to_owned(), "My Site.zip"),
            ("~/My\\ Site.zip".to_owned(), "My Site.zip"),
            (format!("{root}/a\\b.zip"), "a\\b.zip"),
            (format!("{root}/\"q\".zip"), "\"q\".zip"),
        ] {
            assert_eq!(meant(&typed, Some(home)), home.join(file), "{typed}");
            assert!(meant(&typed, Some(home)).exists(), "{typed}");
        }
        // What isn't there is told as it is meant; another's home isn't known.
        assert_eq!(meant("~/none.zip", Some(home)), home.join("none.zip"));
        assert_eq!(meant("~other/none.zip", Some(home)), PathBuf::from("~other/none.zip"));
        assert_eq!(meant("~/none.zip", None), PathBuf::from("~/none.zip"));
    }

    #[test]
    fn tab_goes_on_as_far_as_there_is_one_way() {
        let folder = folder();
        let (home, root) = (folder.path(), folder.path().display().to_string());
        let to = |text: &str| complete(text, Some(home));
        assert_eq!(to("~/it").text, "~/it's.zip");
        assert_eq!(to("~").candidates.len(), 7);
        let both = to(&format!("{root}/s"));
        assert_eq!((both.text, both.candidates), (format!("{root}/site-"), vec!["site-a.zip".to_owned(), "site-b.zip".to_owned()]));
        let site = to(&format!("'{root}/My"));
        assert_eq!((site.text, site.candidates), (format!("'{root}/My Site"), vec!["My Site.zip".to_owned(), "My Site/".to_owned()]));
        assert_eq!(to(&format!("'{root}/My Site.")).text, format!("'{root}/My Site.zip'"));
        assert_eq!(to(&format!("'{root}/My Site/")).text, format!("'{root}/My Site/in der Tür.zip'"));
        assert_eq!(to(&format!("{root}/My\\ Site/in")).text, format!("{root}/My Site/in der Tür.zip"));
        assert_eq!(to("~/.h").text, "~/.hidden.zip");
        let none = to("~/zzz");
        assert_eq!((none.text.as_str(), none.fits), ("~/zzz", false));
        // Whatever it became means a file that is there, or a folder to go on in.
        for begun in ["~/it", "~/.h", "~/site-a", "'~/My Site.", "\"~/My Site."] {
            assert!(meant(&to(begun).text, Some(home)).exists(), "{begun}");
        }
        assert_eq!(shared_beginning("äb", "äc"), "ä");
        assert_eq!(shared_beginning("ab", "abc"), "ab");
    }
}
