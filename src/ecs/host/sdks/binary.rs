//! What an executable tells of the SDKs that were built into it (facts D): Go's build information, the list of crates that
//! cargo-auditable leaves, and paths in the texts of the others. Only 64-bit little-endian ELF, which is what container hosts run.

use super::Kind;
use memchr::memmem;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// What was found in an executable.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// SDKs and their versions; an empty version where there is none to read.
    pub sdks: Vec<(Kind, String)>,
    /// It is Go, and built without the list of its modules.
    pub without_modules: bool,
}

const GO_MAGIC: &[u8] = b"\xff Go buildinf:";
/// The largest part of a file that is read at once, in bytes.
const LARGEST_PART: u64 = 64 * 1024 * 1024;
const LARGEST_LIST: u64 = 8 * 1024 * 1024;
/// How far into the data Go's build information is looked for where sections have no names.
const GO_SEARCH: u64 = 1024 * 1024;

struct Part {
    name: String,
    offset: u64,
    size: u64,
}

struct Segment {
    offset: u64,
    address: u64,
    size: u64,
    writable: bool,
}

struct Elf<'a> {
    file: &'a File,
    parts: Vec<Part>,
    segments: Vec<Segment>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u16::from_le_bytes(number(bytes, at)?).into())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u32::from_le_bytes(number(bytes, at)?).into())
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(number(bytes, at)?))
}

/// What is there from an offset on, at most `size` bytes and never more than [`LARGEST_PART`].
fn bytes_at(file: &File, offset: u64, size: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let size = size.min(LARGEST_PART).min(length.saturating_sub(offset));
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

impl<'a> Elf<'a> {
    fn open(file: &'a File) -> io::Result<Option<Elf<'a>>> {
        let header = bytes_at(file, 0, 64)?;
        // 64 bits, little-endian.
        if header.len() < 64 || !header.starts_with(b"\x7fELF\x02\x01") {
            return Ok(None);
        }
        let table = |offset: usize, size: usize, count: usize| -> Option<(u64, u64, u64)> {
            Some((u64_at(&header, offset)?, u16_at(&header, size)?, u16_at(&header, count)?))
        };
        let rows = |table: Option<(u64, u64, u64)>, least: u64| -> io::Result<Vec<Vec<u8>>> {
            let Some((offset, size, count)) = table.filter(|(offset, size, _)| *offset > 0 && *size >= least && *size < 1024) else {
                return Ok(Vec::new());
            };
            let bytes = bytes_at(file, offset, size * count)?;
            Ok(bytes.chunks_exact(usize::try_from(size).unwrap_or(1)).map(<[u8]>::to_vec).collect())
        };
        let mut segments = Vec::new();
        for row in rows(table(32, 54, 56), 56)? {
            if u32_at(&row, 0) == Some(1)
                && let (Some(flags), Some(offset), Some(address), Some(size)) =
                    (u32_at(&row, 4), u64_at(&row, 8), u64_at(&row, 16), u64_at(&row, 32))
            {
                segments.push(Segment { offset, address, size, writable: flags & 2 != 0 });
            }
        }
        let sections = rows(table(40, 58, 60), 64)?;
        let names = u16_at(&header, 62).and_then(|place| sections.get(usize::try_from(place).ok()?));
        let names = match names.and_then(|row| Some((u64_at(row, 24)?, u64_at(row, 32)?))) {
            Some((offset, size)) => bytes_at(file, offset, size.min(LARGEST_LIST))?,
            None => Vec::new(),
        };
        let name_at = |at: u64| -> Option<String> {
            let rest = names.get(usize::try_from(at).ok()?..)?;
            Some(String::from_utf8_lossy(rest.split(|byte| *byte == 0).next()?).into_owned())
        };
        let mut parts = Vec::new();
        for row in &sections {
            // A section without bytes in the file (`.bss`) has type 8.
            if u32_at(row, 4) != Some(8)
                && let (Some(name), Some(offset), Some(size)) = (u32_at(row, 0).and_then(name_at), u64_at(row, 24), u64_at(row, 32))
            {
                parts.push(Part { name, offset, size });
            }
        }
        Ok(Some(Elf { file, parts, segments }))
    }

    fn part(&self, name: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        match self.parts.iter().find(|part| part.name == name) {
            Some(part) => bytes_at(self.file, part.offset, part.size.min(most)).map(Some),
            None => Ok(None),
        }
    }

    fn at_address(&self, address: u64, size: u64) -> Option<Vec<u8>> {
        let inside = |segment: &&Segment| address.checked_sub(segment.address).is_some_and(|into| into < segment.size);
        let segment = self.segments.iter().find(inside)?;
        let offset = segment.offset.checked_add(address - segment.address)?;
        bytes_at(self.file, offset, size.min(LARGEST_LIST)).ok()
    }

    /// Go's build information, from its magic on.
    fn go(&self) -> io::Result<Option<Vec<u8>>> {
        let from_magic = |bytes: Vec<u8>| memmem::find(&bytes, GO_MAGIC).map(|at| bytes[at..].to_vec());
        if let Some(part) = self.part(".go.buildinfo", LARGEST_LIST)? {
            return Ok(from_magic(part));
        }
        if !self.parts.is_empty() {
            return Ok(None);
        }
        for segment in self.segments.iter().filter(|segment| segment.writable) {
            let bytes = bytes_at(self.file, segment.offset, segment.size.min(GO_SEARCH))?;
            if let Some(found) = from_magic(bytes) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Reads an executable. `also_texts`: look through its texts as well, which costs a pass over all of them.
///
/// # Errors
/// It can't be read.
pub(super) fn read(file: &File, also_texts: bool) -> io::Result<Told> {
    let mut told = Told::default();
    let Some(elf) = Elf::open(file)? else { return Ok(told) };
    if let Some(information) = elf.go()? {
        match go_modules(&elf, &information) {
            Some(modules) => told.sdks = go_sdks(&modules),
            None => told.without_modules = true,
        }
        return Ok(told);
    }
    if let Some(list) = elf.part(".dep-v0", LARGEST_LIST)? {
        told.sdks.extend(crates(&list).map(|version| (Kind::Rust, version)));
        return Ok(told);
    }
    if also_texts {
        let texts = match elf.part(".rodata", LARGEST_PART)? {
            Some(texts) => texts,
            None => bytes_at(file, 0, LARGEST_PART)?,
        };
        told.sdks = texts_tell(&texts);
        let names = elf.part(".dynstr", LARGEST_LIST)?.unwrap_or_default();
        if memmem::find(&texts, b"AWSClientRuntime").or_else(|| memmem::find(&names, b"AWSClientRuntime")).is_some() {
            told.sdks.push((Kind::Swift, String::new()));
        }
    }
    Ok(told)
}

/// The module information of Go's build information (Go's `debug/buildinfo`); `None` where it has none.
fn go_modules(elf: &Elf<'_>, information: &[u8]) -> Option<String> {
    let flags = *information.get(15)?;
    let modules = if flags & 2 != 0 {
        // Since Go 1.18: version and modules follow, each with its length.
        let (_, rest) = counted(information.get(32..)?)?;
        counted(rest)?.0.to_vec()
    } else {
        // Before: the addresses of two Go strings, each an address and a length; little-endian and 64 bits as the file is.
        let text = elf.at_address(u64_at(information, 24)?, 16)?;
        elf.at_address(u64_at(&text, 0)?, u64_at(&text, 8)?)?
    };
    // 16 bytes of marks on each side.
    let inner = modules.get(16..modules.len().checked_sub(16)?)?;
    let text = String::from_utf8_lossy(inner);
    // Without modules (as distributions build) there are a path and the build's settings all the same.
    text.lines().any(|line| line.starts_with("mod\t") || line.starts_with("dep\t")).then(|| text.into_owned())
}

/// A length as Go's uvarint, and that many bytes.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_u64;
    for (place, byte) in bytes.iter().take(9).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return bytes.get(place + 1..)?.split_at_checked(usize::try_from(length).ok()?);
        }
    }
    None
}

/// The SDKs among the lines `dep<tab>module<tab>version`; a line `=>` after one says what was built in its place.
fn go_sdks(modules: &str) -> Vec<(Kind, String)> {
    let mut sdks: Vec<(Kind, String)> = Vec::new();
    let mut last_is_sdk = false;
    for line in modules.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["dep" | "mod", module, rest @ ..] => {
                let kind = match *module {
                    "github.com/aws/aws-sdk-go" => Some(Kind::GoV1),
                    "github.com/aws/aws-sdk-go-v2" => Some(Kind::GoV2),
                    _ => None,
                };
                last_is_sdk = kind.is_some();
                sdks.extend(kind.map(|kind| (kind, rest.first().copied().unwrap_or_default().to_owned())));
            }
            ["=>", _, rest @ ..] if last_is_sdk => {
                if let Some(sdk) = sdks.last_mut() {
                    sdk.1 = rest.first().copied().unwrap_or_default().to_owned();
                }
            }
            _ => last_is_sdk = false,
        }
    }
    sdks
}

/// The version of `aws-config` in the list that cargo-auditable leaves: JSON, compressed with zlib.
fn crates(list: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    flate2::read::ZlibDecoder::new(list).take(LARGEST_LIST).read_to_end(&mut text).ok()?;
    let list: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let packages = list.get("packages")?.as_array()?;
    let config = packages.iter().find(|package| package.get("name").and_then(serde_json::Value::as_str) == Some("aws-config"))?;
    config.get("version")?.as_str().map(str::to_owned)
}

/// The SDKs that texts tell: the source paths in Rust's panics, and the name that the C++ SDK gives itself.
fn texts_tell(texts: &[u8]) -> Vec<(Kind, String)> {
    let mut sdks = Vec::new();
    for (needle, end, kind) in [(&b"/aws-config-"[..], &b"/src/"[..], Kind::Rust), (b"aws-sdk-cpp/", b"", Kind::Cpp)] {
        for at in memmem::find_iter(texts, needle) {
            let rest = &texts[at + needle.len()..];
            let length = rest.iter().take(40).take_while(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(byte)).count();
            let version = String::from_utf8_lossy(&rest[..length]).into_owned();
            if version.starts_with(|first: char| first.is_ascii_digit()) && version.contains('.') && rest[length..].starts_with(end) {
                sdks.push((kind, version));
            }
        }
    }
    sdks.sort();
    sdks.dedup();
    sdks
}

#[cfg(test)]
mod tests {
    use super::super::tests::{elf, go_information};
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn told(bytes: &[u8]) -> Told {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        read(&file, true).unwrap()
    }

    const MODULES: &str = "path\texample.com/web\nmod\texample.com/web\t(devel)\t\n\
        dep\tgithub.com/aws/aws-sdk-go\tv1.44.0\th1:x\ndep\tgithub.com/aws/aws-sdk-go-v2\tv1.20.0\th1:y\n\
        =>\tgithub.com/fork/aws-sdk-go-v2\tv1.20.1\th1:z\ndep\tgithub.com/aws/aws-sdk-go-v2/config\tv1.1.0\th1:y\n=>\t./own\t\t\n";

    #[test]
    fn go_tells_its_modules() {
        let new = told(&elf(&[(".text", vec![0; 99]), (".go.buildinfo", go_information(MODULES))], 0x40_0000));
        let both = vec![(Kind::GoV1, "v1.44.0".to_owned()), (Kind::GoV2, "v1.20.1".to_owned())];
        assert_eq!(new, Told { sdks: both.clone(), without_modules: false });

        // Before Go 1.18: addresses of strings.
        let address = 0x40_0000_u64;
        let marked = format!("{}{MODULES}{}", "<".repeat(16), ">".repeat(16));
        let start = address + 64 + 56;
        let mut old = GO_MAGIC.to_vec();
        old.extend([8, 0]);
        old.extend((start + 32).to_le_bytes());
        old.extend((start + 48).to_le_bytes());
        for (at, length) in [(start, 0_u64), (start + 64, marked.len() as u64)] {
            old.extend(at.to_le_bytes());
            old.extend(length.to_le_bytes());
        }
        old.extend(marked.bytes());
        assert_eq!(told(&elf(&[(".go.buildinfo", old)], address)).sdks, both);
    }

    #[test]
    fn go_without_modules_says_so() {
        for modules in ["", "path\tgithub.com/containerd/containerd/cmd/containerd\nbuild\t-compiler=gc\n"] {
            let told = told(&elf(&[(".go.buildinfo", go_information(modules))], 0));
            assert_eq!(told, Told { sdks: Vec::new(), without_modules: true });
        }
    }

    #[test]
    fn rust_tells_its_crates_or_its_paths() {
        let list = br#"{"packages":[{"name":"aws-config","version":"1.5.0","source":"registry"},{"name":"b","version":"1.0.0"}]}"#;
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(list).unwrap();
        let audited = elf(&[(".dep-v0", packed.finish().unwrap())], 0);
        assert_eq!(told(&audited).sdks, [(Kind::Rust, "1.5.0".to_owned())]);
        let texts = b"xx/registry/src/index-1/aws-config-1.8.2/src/ecs.rs\0/aws-config-1.8.2/src/sso.rs\0/aws-config-2/x".to_vec();
        assert_eq!(told(&elf(&[(".rodata", texts)], 0)).sdks, [(Kind::Rust, "1.8.2".to_owned())]);
    }

    #[test]
    fn others_tell_little() {
        let texts = b"\0aws-sdk-cpp/1.11.263 \0 aws-sdk-cpp/\0 AWSClientRuntime".to_vec();
        let both = [(Kind::Cpp, "1.11.263".to_owned()), (Kind::Swift, String::new())];
        assert_eq!(told(&elf(&[(".rodata", texts)], 0)).sdks, both);
        assert_eq!(told(b"#!/bin/sh\n"), Told::default());
        assert_eq!(told(b""), Told::default());
    }

    #[test]
    fn nothing_panics() {
        let good = elf(&[(".rodata", b"aws".to_vec()), (".go.buildinfo", go_information(MODULES))], 0x1000);
        proptest!(|(changes in proptest::collection::vec((0..good.len(), any::<u8>()), 1..12), cut in 0..good.len())| {
            let mut bytes = good.clone();
            for (place, byte) in changes {
                bytes[place] = byte;
            }
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let _ = read(&file, true);
            file.set_len(cut as u64).unwrap();
            let _ = read(&file, true);
        });
    }
}
