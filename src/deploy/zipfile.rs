//! The artifact before it is uploaded: is it a zip that the deploy action can take (facts/codepipeline.md A.4)?

use crate::error::{Error, Result, file_error};
use crate::model::{counted, hex};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

/// The largest S3 source (facts A.3).
pub const LARGEST: u64 = 5 * 1024 * 1024 * 1024;
/// The most files that an archive may hold (facts A.4).
pub const MOST_FILES: usize = 100_000;

/// What a zip will put into the output bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The files' names as the deploy action writes them: folders skipped, `\` turned into `/`.
    pub files: Vec<String>,
    /// What a person should know before the upload.
    pub warnings: Vec<String>,
}

/// Gives a file's size and SHA-256.
///
/// # Errors
/// It can't be read, or is too large for an S3 source.
pub fn fingerprint(path: &Path) -> Result<(u64, String)> {
    let (file, size) = open(path)?;
    let cannot = |error: std::io::Error| file_error("read", path, &error);
    let mut reader = BufReader::new(file);
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = reader.read(&mut buffer).map_err(cannot)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
    }
    Ok((size, hex(digest.finalize())))
}

/// Endings of files that browsers and readers expect another content type of than the one that the deploy action gives them: its
/// own table has html, json, js, css, svg, txt, xml, png and jpg (facts A.4).
const MISJUDGED: [&str; 25] = [
    "avif",
    "csv",
    "gif",
    "htm",
    "ico",
    "jpeg",
    "map",
    "md",
    "mjs",
    "mp3",
    "mp4",
    "ogg",
    "otf",
    "pdf",
    "rss",
    "ttf",
    "wasm",
    "wav",
    "webm",
    "webmanifest",
    "webp",
    "woff",
    "woff2",
    "xhtml",
    "yaml",
];

fn is_misjudged(name: &str) -> bool {
    let ending = name.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| MISJUDGED.contains(&ending.as_str()))
}

/// Gives the SHA-256 of bytes, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes))
}

/// Makes sure that the deploy action can extract a file.
///
/// # Errors
/// It isn't a zip, holds names with `..` (which fail the action half-way), or too many files.
pub fn check(path: &Path) -> Result<Contents> {
    let (file, _) = open(path)?;
    check_archive(BufReader::new(file), &path.display().to_string())
}

/// The same for bytes.
///
/// # Errors
/// As [`check`].
pub fn check_bytes(bytes: &[u8]) -> Result<Contents> {
    check_archive(std::io::Cursor::new(bytes), "the archive")
}

/// Opens a file that may be an S3 source, and gives its size.
fn open(path: &Path) -> Result<(File, u64)> {
    let cannot = |error: std::io::Error| file_error("read", path, &error);
    let file = match crate::files::open_regular(path) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::IsADirectory | std::io::ErrorKind::InvalidInput) => {
            return Err(Error::failed(format!("{} is not a file", path.display())).hint("name a zip file; a folder must be zipped first"));
        }
        opened => opened.map_err(cannot)?,
    };
    let size = file.metadata().map_err(cannot)?.len();
    if size > LARGEST {
        return Err(Error::failed(format!("{} has {size} bytes; an S3 source may have 5 GB at most", path.display()))
            .hint("split it, or leave out what the site doesn't need"));
    }
    Ok((file, size))
}

fn check_archive(reader: impl Read + Seek, path: &str) -> Result<Contents> {
    let archive = zip::ZipArchive::new(reader).map_err(|error| {
        Error::failed(format!("{} is not a zip file", path))
            .because(error.to_string())
            .hint("zip the site's files, for example `zip -r site.zip .` within its folder; `--no-extract` deploys any file as it is")
    })?;
    let mut contents = Contents { files: Vec::new(), warnings: Vec::new() };
    for name in archive.file_names() {
        // What is no UTF-8 is read as code page 437, which has a letter for every byte.
        let name = name.map_err(|error| Error::internal(format!("a name in {path} can't be read")).because(error.to_string()))?;
        if name.ends_with('/') || name.ends_with('\\') {
            continue;
        }
        let written = name.replace('\\', "/");
        if written.split('/').any(|part| part == "..") {
            return Err(Error::failed(format!("{} holds the name {name}, which the deploy action refuses half-way", path))
                .hint("zip it again from within the folder, so that no name holds `..`"));
        }
        contents.files.push(written);
    }
    if contents.files.len() > MOST_FILES {
        return Err(Error::failed(format!("{} holds {} files; the deploy action takes {MOST_FILES} at most", path, contents.files.len()))
            .hint("split the site over several pipelines"));
    }
    if contents.files.is_empty() {
        return Err(Error::failed(format!("{} holds no file", path))
            .hint("zip the site's files, for example `zip -r site.zip .` within its folder"));
    }
    let absolute = contents.files.iter().filter(|name| name.starts_with('/')).count();
    if absolute > 0 {
        contents.warnings.push(format!("{} with `/`, which the deploy action keeps", counted(absolute, "name begins", "names begin")));
    }
    let misjudged: Vec<&String> = contents.files.iter().filter(|name| is_misjudged(name)).collect();
    if let Some(one) = misjudged.first() {
        contents.warnings.push(format!(
            "{}, such as {one}, will have the content type application/octet-stream: the deploy action knows a few endings only",
            counted(misjudged.len(), "file", "files")
        ));
    }
    contents.files.sort();
    Ok(contents)
}
