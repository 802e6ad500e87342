//! Roots with the files that each package manager really leaves.

use super::*;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

/// An ELF file with the given sections, and one segment that maps the whole file to an address.
pub(super) fn elf(sections: &[(&str, Vec<u8>)], address: u64) -> Vec<u8> {
    let mut names = vec![0_u8];
    let mut body = Vec::new();
    let mut rows: Vec<(usize, usize, usize)> = Vec::new();
    let start = 64 + 56;
    let mut place = |names: &mut Vec<u8>, name: &str, bytes: &[u8]| {
        rows.push((names.len(), start + body.len(), bytes.len()));
        names.extend(name.bytes().chain([0]));
        body.extend(bytes);
    };
    for (name, bytes) in sections {
        place(&mut names, name, bytes);
    }
    let own = names.len();
    names.extend(b".shstrtab\0");
    let names_at = start + body.len();
    rows.push((own, names_at, names.len()));
    body.extend(&names);
    let table = start + body.len();
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(32, 0);
    file.extend(64_u64.to_le_bytes());
    file.extend((table as u64).to_le_bytes());
    file.extend([0; 6]);
    for short in [56, 1, 64, rows.len() as u16, rows.len() as u16 - 1] {
        file.extend(short.to_le_bytes());
    }
    for word in [1_u32, 6] {
        file.extend(word.to_le_bytes());
    }
    for long in [0, address, address, table as u64, table as u64, 1] {
        file.extend(long.to_le_bytes());
    }
    file.extend(&body);
    for (name, offset, size) in &rows {
        file.extend((*name as u32).to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        for long in [0, 0, *offset as u64, *size as u64] {
            file.extend(long.to_le_bytes());
        }
        file.extend([0; 24]);
    }
    file
}

pub(super) fn go_information(modules: &str) -> Vec<u8> {
    let mut bytes = b"\xff Go buildinf:".to_vec();
    bytes.extend([8, 2]);
    bytes.resize(32, 0);
    let marked = if modules.is_empty() { String::new() } else { format!("{}{modules}{}", "<".repeat(16), ">".repeat(16)) };
    for text in ["go1.22.1", &marked] {
        let mut length = text.len();
        while length >= 0x80 {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(text.bytes());
    }
    bytes
}

struct Root(tempfile::TempDir);

fn inside(root: &Root) -> Inside {
    Inside::new(root.0.path().to_owned())
}

impl Root {
    fn new() -> Root {
        Root(tempfile::tempdir().unwrap())
    }

    fn put(self, path: &str, contents: impl AsRef<[u8]>) -> Root {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
        self
    }

    fn link(self, path: &str, target: &str) -> Root {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    fn find(&self, start: &Start) -> Found {
        find(&inside(self), start, &Limits { time: Duration::from_secs(60), ..Limits::default() })
    }

    /// Kind, version and path of everything, which must be everything.
    fn all(&self, start: &Start) -> Vec<(Kind, String, String)> {
        let found = self.find(start);
        assert!(found.complete, "{:?}", found.why);
        found.sdks.into_iter().map(|sdk| (sdk.kind, sdk.version, sdk.path)).collect()
    }
}

fn told(kind: Kind, version: &str, path: &str) -> (Kind, String, String) {
    (kind, version.to_owned(), path.to_owned())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub(super) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, contents) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn python_packages() {
    let site = "/usr/local/lib/python3.11/site-packages";
    let root = Root::new()
        .put(&format!("{site}/boto3-1.34.0.dist-info/METADATA"), "Metadata-Version: 2.1\nName: boto3\nVersion: 1.34.0\n")
        .put(&format!("{site}/botocore-1.34.0.dist-info/METADATA"), "")
        .put(&format!("{site}/botocore-1.33.0.dist-info/RECORD"), "left over")
        .put("/usr/lib/python3/dist-packages/boto-2.49.0.egg-info/PKG-INFO", "")
        .put("/usr/lib/python3/dist-packages/awscli-1.10.46.egg-info", "")
        .put("/srv/venv/lib/python2.7/site-packages/botocore-1.4.36-py2.7.egg/EGG-INFO/PKG-INFO", "")
        .put("/usr/local/aws-cli/v2/2.15.0/bin/aws", "")
        .link("/usr/local/aws-cli/v2/current", "/usr/local/aws-cli/v2/2.15.0")
        .link("/lib", "usr/lib");
    assert_eq!(
        root.all(&Start::default()),
        [
            told(Kind::Botocore, "1.34.0", "/usr/local/lib/python3.11/site-packages/botocore-1.34.0.dist-info"),
            told(Kind::Botocore, "1.4.36", "/srv/venv/lib/python2.7/site-packages/botocore-1.4.36-py2.7.egg"),
            told(Kind::Boto3, "1.34.0", "/usr/local/lib/python3.11/site-packages/boto3-1.34.0.dist-info"),
            told(Kind::AwsCliV1, "1.10.46", "/usr/lib/python3/dist-packages/awscli-1.10.46.egg-info"),
            told(Kind::AwsCliV2, "2.15.0", "/usr/local/aws-cli/v2/2.15.0"),
            told(Kind::BotoV2, "2.49.0", "/usr/lib/python3/dist-packages/boto-2.49.0.egg-info"),
        ]
    );
}

#[test]
fn node_packages() {
    let root = Root::new()
        .put("/app/dist/server.js", "")
        .put("/app/node_modules/aws-sdk/package.json", r#"{"name":"aws-sdk","version":"2.4.6"}"#)
        .put("/app/node_modules/@aws-sdk/client-s3/package.json", r#"{"version":"3.458.1"}"#)
        .put("/app/node_modules/@aws-sdk/credential-provider-node/package.json", r#"{"version":"3.458.0"}"#)
        .put("/app/node_modules/other/node_modules/aws-sdk/package.json", r#"{"version":"2.1693.0"}"#)
        .put("/app/node_modules/@own/lib/node_modules/aws-sdk/package.json", "not JSON")
        .put("/app/node_modules/aws-sdk-mock/package.json", r#"{"version":"5.0.0"}"#)
        .put("/build/node_modules/.pnpm/aws-sdk@2.1000.0/node_modules/aws-sdk/package.json", r#"{"version":"2.1000.0"}"#);
    let start = Start { folders: words(&["/app/dist"]), executables: words(&[]), ..Start::default() };
    assert_eq!(
        root.all(&start),
        [
            told(Kind::JavaScriptV2, "", "/app/node_modules/@own/lib/node_modules/aws-sdk/package.json"),
            told(Kind::JavaScriptV2, "2.1000.0", "/build/node_modules/.pnpm/aws-sdk@2.1000.0"),
            told(Kind::JavaScriptV2, "2.1693.0", "/app/node_modules/other/node_modules/aws-sdk/package.json"),
            told(Kind::JavaScriptV2, "2.4.6", "/app/node_modules/aws-sdk/package.json"),
            told(Kind::JavaScriptV3, "3.458.0", "/app/node_modules/@aws-sdk/credential-provider-node/package.json"),
        ]
    );
}

#[test]
fn java_archives() {
    let spring = archive(&[
        ("BOOT-INF/lib/aws-java-sdk-core-1.11.15.jar", b""),
        ("BOOT-INF/lib/sdk-core-2.20.1.jar", b""),
        ("BOOT-INF/lib/auth-2.20.1.jar", b""),
        ("BOOT-INF/classes/App.class", b""),
    ]);
    let shaded = archive(&[
        ("META-INF/maven/software.amazon.awssdk/sdk-core/pom.properties", b"#Generated\nartifactId=sdk-core\nversion=2.21.29\n"),
        ("com/amazonaws/auth/DefaultAWSCredentialsProviderChain.class", b""),
    ]);
    let library = archive(&[("software/amazon/awssdk/core/SdkClient.class", b"")]);
    let mut started = b"#!/bin/sh\nexec java -jar \"$0\"\n".to_vec();
    started.extend(&spring);
    let root = Root::new()
        .put("/service.jar", &spring)
        .put("/jars/run.jar", &started)
        .put("/jars/shaded.jar", &shaded)
        .put("/opt/own/lib/sdk-core-2.5.0.jar", &library)
        .put("/opt/other/lib/sdk-core-2.5.0.jar", archive(&[("com/example/Other.class", b"")]))
        .put("/opt/own/lib/com.amazonaws.aws-java-sdk-core-1.12.0.jar", "")
        .put("/opt/own/lib/aws-config-jvm-1.0.1.jar", "")
        .put("/root/.m2/repository/com/amazonaws/aws-java-sdk-core/1.11.0/aws-java-sdk-core-1.11.0.jar", "");
    let arguments = words(&["java", "-Dx=1", "-cp", "/service.jar:run.jar", "-jar", "shaded.jar"]);
    let start = Start { arguments, folders: words(&["/jars"]), ..Start::default() };
    assert_eq!(
        root.all(&start),
        [
            told(Kind::JavaV1, "", "/jars/shaded.jar!/com/amazonaws/auth/DefaultAWSCredentialsProviderChain.class"),
            told(Kind::JavaV1, "1.11.15", "/jars/run.jar!/BOOT-INF/lib/aws-java-sdk-core-1.11.15.jar"),
            told(Kind::JavaV1, "1.11.15", "/service.jar!/BOOT-INF/lib/aws-java-sdk-core-1.11.15.jar"),
            told(Kind::JavaV1, "1.12.0", "/opt/own/lib/com.amazonaws.aws-java-sdk-core-1.12.0.jar"),
            told(Kind::JavaV2, "2.20.1", "/jars/run.jar!/BOOT-INF/lib/sdk-core-2.20.1.jar"),
            told(Kind::JavaV2, "2.20.1", "/service.jar!/BOOT-INF/lib/sdk-core-2.20.1.jar"),
            told(Kind::JavaV2, "2.21.29", "/jars/shaded.jar!/META-INF/maven/software.amazon.awssdk/sdk-core/pom.properties"),
            told(Kind::JavaV2, "2.5.0", "/opt/own/lib/sdk-core-2.5.0.jar"),
            told(Kind::Kotlin, "1.0.1", "/opt/own/lib/aws-config-jvm-1.0.1.jar"),
        ]
    );
}

#[test]
fn ruby_php_and_dotnet() {
    let root = Root::new()
        .put("/usr/local/bundle/specifications/aws-sdk-core-2.3.21.gemspec", "Gem::Specification.new")
        .put("/usr/local/bundle/gems/aws-sdk-core-2.3.21/aws-sdk-core.gemspec", "")
        .put("/app/Gemfile.lock", "GEM\n  specs:\n    aws-sdk-core (3.188.0)\n")
        .put("/var/www/html/public/index.php", "<?php")
        .put("/var/www/html/vendor/composer/installed.json", r#"{"packages":[{"name":"aws/aws-sdk-php","version":"3.287.1"}]}"#)
        .put("/publish/Web.deps.json", r#"{"libraries":{"AWSSDK.Core/3.7.0.1":{}}}"#);
    let start = Start { folders: words(&["/var/www/html/public"]), arguments: words(&["dotnet", "/publish/Web.dll"]), ..Start::default() };
    assert_eq!(
        root.all(&start),
        [
            told(Kind::Ruby, "2.3.21", "/usr/local/bundle/specifications/aws-sdk-core-2.3.21.gemspec"),
            told(Kind::Ruby, "3.188.0", "/app/Gemfile.lock"),
            told(Kind::Php, "3.287.1", "/var/www/html/vendor/composer/installed.json"),
            told(Kind::DotNet, "3.7.0.1", "/publish/Web.deps.json"),
        ]
    );
}

#[test]
fn built_in_ones() {
    let go = elf(&[(".go.buildinfo", go_information("mod\tx\t(devel)\t\ndep\tgithub.com/aws/aws-sdk-go\tv1.2.4\th1:x\n"))], 0);
    let rust = elf(&[(".rodata", b"/aws-config-1.8.2/src/".to_vec())], 0);
    let root = Root::new()
        .put("/server", go)
        .put("/usr/bin/worker", rust)
        .put("/usr/lib64/libaws-cpp-sdk-core.so.1.11.263", "")
        .link("/usr/lib64/libaws-cpp-sdk-core.so", "libaws-cpp-sdk-core.so.1.11.263")
        .put("/run-it/aws-sdk-swift_AWSClientRuntime.resources/x", "");
    let start = Start {
        executables: words(&["/server", "/usr/bin/worker", "/server"]),
        maps: words(&["/usr/lib64/libaws-cpp-sdk-core.so.1.11.263", "[heap]"]),
        ..Start::default()
    };
    assert_eq!(
        root.all(&start),
        [
            told(Kind::GoV1, "v1.2.4", "/server"),
            told(Kind::Rust, "1.8.2", "/usr/bin/worker"),
            told(Kind::Cpp, "1.11.263", "/usr/lib64/libaws-cpp-sdk-core.so.1.11.263"),
            told(Kind::Swift, "", "/run-it/aws-sdk-swift_AWSClientRuntime.resources"),
        ]
    );
}

#[test]
fn a_virtual_environment_is_found_by_its_programs() {
    let root = Root::new()
        .put("/deep/er/than/the/limit/of/the/walk/venv/bin/gunicorn", "")
        .put("/deep/er/than/the/limit/of/the/walk/venv/lib/python3.9/site-packages/boto3-1.2.3.dist-info/METADATA", "")
        .put("/x/a/b/c/d/e/f/g/site-packages/_yaml.so", "")
        .put("/x/a/b/c/d/e/f/g/site-packages/boto3-1.3.0.dist-info/METADATA", "");
    let start = Start {
        arguments: words(&["/deep/er/than/the/limit/of/the/walk/venv/bin/gunicorn"]),
        maps: words(&["/x/a/b/c/d/e/f/g/site-packages/_yaml.so"]),
        ..Start::default()
    };
    let versions: Vec<String> = root.all(&start).into_iter().map(|(_, version, _)| version).collect();
    assert_eq!(versions, ["1.2.3", "1.3.0"]);
}

#[test]
fn an_end_of_the_budget_is_not_nothing_found() {
    let mut root = Root::new().put("/app/node_modules/aws-sdk/package.json", r#"{"version":"2.4.6"}"#);
    for number in 0..50 {
        root = root.put(&format!("/aaa/{number}/file"), "");
    }
    let nothing = Root::new().put("/etc/passwd", "").find(&Start::default());
    assert_eq!(nothing, Found { sdks: Vec::new(), complete: true, why: None });
    let few = find(&inside(&root), &Start::default(), &Limits { entries: 20, ..Limits::default() });
    assert_eq!((few.sdks.len(), few.complete), (0, false));
    assert_eq!(few.why.unwrap(), "the limit of 20 files was reached");
    let no_time = find(&inside(&root), &Start::default(), &Limits { time: Duration::ZERO, ..Limits::default() });
    assert!(!no_time.complete && no_time.why.unwrap().contains("0 ms"));
    let gone = find(&Inside::new("/nowhere".into()), &Start::default(), &Limits::default());
    assert!(!gone.complete && gone.why.unwrap().contains("the root is gone"));
    assert_eq!(root.all(&Start::default()).len(), 1);
}

#[test]
fn what_could_not_be_read_is_told() {
    let go = elf(&[(".go.buildinfo", go_information(""))], 0);
    let root = Root::new().put("/server", go).put("/app/broken.jar", "no archive");
    let start = Start { executables: words(&["/server", "/gone"]), arguments: words(&["-jar", "/app/broken.jar"]), ..Start::default() };
    let why = root.find(&start).why.unwrap();
    for part in ["/server is a Go program without", "/gone is gone", "/app/broken.jar can't be read"] {
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn links_lead_neither_out_nor_around() {
    let outside = Root::new().put("/site-packages/boto3-1.0.0.dist-info/METADATA", "");
    let away = outside.0.path().display().to_string();
    let root = Root::new()
        .put("/app/x", "")
        .link("/app/node_modules", &away)
        .link("/app/out", &away)
        .link("/app/up", "..")
        .link("/srv", &away)
        .link("/opt/vendor", "/proc/self/root");
    assert_eq!(root.all(&Start { folders: words(&["/app", "/app/out", "/srv", "/app/up"]), ..Start::default() }), []);
}
