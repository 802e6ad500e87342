//! What a Java archive tells by the list of its files; nothing is unpacked but a file of a few lines (facts D).

use super::Kind;
use super::names;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::time::Instant;
use zip::ZipArchive;

/// How much of an archive is read at most, in bytes: its list, which sits at the end.
const LARGEST_LIST: u64 = 64 * 1024 * 1024;
/// `pom.properties` is three lines.
const LARGEST_PROPERTIES: u64 = 64 * 1024;

/// Where Maven leaves a library's version when libraries are merged into one archive.
const PROPERTIES: [(&str, Kind); 5] = [
    ("META-INF/maven/com.amazonaws/aws-java-sdk-core/pom.properties", Kind::JavaV1),
    ("META-INF/maven/software.amazon.awssdk/sdk-core/pom.properties", Kind::JavaV2),
    ("META-INF/maven/software.amazon.awssdk/auth/pom.properties", Kind::JavaV2),
    ("META-INF/maven/software.amazon.awssdk/bundle/pom.properties", Kind::JavaV2),
    ("META-INF/maven/aws.sdk.kotlin/aws-config/pom.properties", Kind::Kotlin),
];

/// A class of each that asks the container's endpoint or stands at the chain's beginning: it is there, at an unknown version.
const CLASSES: [(&str, Kind); 3] = [
    ("com/amazonaws/auth/DefaultAWSCredentialsProviderChain.class", Kind::JavaV1),
    ("software/amazon/awssdk/auth/credentials/DefaultCredentialsProvider.class", Kind::JavaV2),
    ("aws/sdk/kotlin/runtime/auth/credentials/DefaultChainCredentialsProvider.class", Kind::Kotlin),
];

/// A file that gives only so much, and nothing after a time.
struct Capped {
    file: File,
    left: u64,
    until: Instant,
}

impl Read for Capped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl Seek for Capped {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Gives the SDKs in an archive, each with the name of the entry that tells it.
///
/// # Errors
/// It can't be read, is no archive, or its list is too large.
pub(super) fn read(file: File, until: Instant) -> io::Result<Vec<(Kind, String, String)>> {
    let mut archive = ZipArchive::new(BufReader::new(Capped { file, left: LARGEST_LIST, until })).map_err(io::Error::other)?;
    let mut found: Vec<(Kind, String, String)> = Vec::new();
    for name in archive.file_names().flatten() {
        let last = name.rsplit('/').next().unwrap_or_default();
        if let Some((kind, version)) = names::of_jar(last) {
            found.push((kind, version, name.into_owned()));
        }
    }
    for (path, kind) in PROPERTIES {
        let mut text = String::new();
        if let Ok(entry) = archive.by_name(path)
            && entry.take(LARGEST_PROPERTIES).read_to_string(&mut text).is_ok()
            && let Some(version) = text.lines().find_map(|line| line.trim().strip_prefix("version="))
            && !found.iter().any(|(other, ..)| *other == kind)
        {
            found.push((kind, version.trim().to_owned(), path.to_owned()));
        }
    }
    for (path, kind) in CLASSES {
        if archive.index_for_name(path).is_some() && !found.iter().any(|(other, ..)| *other == kind) {
            found.push((kind, String::new(), path.to_owned()));
        }
    }
    Ok(found)
}

/// Says whether an archive has anything of a package, such as `software/amazon/awssdk/`.
///
/// # Errors
/// As [`read`].
pub(super) fn has(file: File, package: &str, until: Instant) -> io::Result<bool> {
    let archive = ZipArchive::new(BufReader::new(Capped { file, left: LARGEST_LIST, until })).map_err(io::Error::other)?;
    Ok(archive.file_names().flatten().any(|name| name.starts_with(package)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::archive;
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use std::time::Duration;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn nothing_panics() {
        let good = archive(&[("BOOT-INF/lib/sdk-core-2.1.0.jar", b""), (PROPERTIES[0].0, b"version=1.11.15"), ("x", &[7; 300])]);
        let until = Instant::now() + Duration::from_secs(600);
        proptest!(|(changes in proptest::collection::vec((0..good.len(), any::<u8>()), 1..12), cut in 0..good.len())| {
            let mut bytes = good.clone();
            for (place, byte) in changes {
                bytes[place] = byte;
            }
            let _ = read(file(&bytes), until);
            let _ = has(file(&bytes[cut..]), "x", until);
        });
        assert_eq!(read(file(&good), until).unwrap().len(), 2);
    }

    #[test]
    fn time_runs_out_inside_an_archive_too() {
        let good = archive(&[("x", b"")]);
        assert!(read(file(&good), Instant::now()).is_err());
    }
}
