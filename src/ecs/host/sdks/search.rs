//! The way through a container's folders (facts D, cost rule).

use super::{Found, Kind, Limits, Sdk, Start, archive, binary, names};
use crate::ecs::host::inside::{FileKind, Inside};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::io::Read;
use std::time::Instant;

/// Where installers put things; what is short and certain comes first.
const USUAL: [&str; 26] = [
    "/usr/local/aws-cli",
    "/var/task",
    "/var/runtime",
    "/app",
    "/usr/src/app",
    "/srv",
    "/var/www",
    "/usr/local/lib/node_modules",
    "/usr/lib/node_modules",
    "/usr/lib/python3",
    "/usr/local/bundle",
    "/opt",
    "/home",
    "/root",
    "/usr/src",
    "/usr/app",
    "/usr/share/java",
    "/var/lib/gems",
    "/usr/local/lib",
    "/usr/local/share",
    "/usr/local/tomcat",
    "/usr/share/php",
    "/usr/share/nodejs",
    "/usr/share/rubygems-integration",
    "/usr/lib64",
    "/usr/lib",
];

/// What is below `/` in every image; anything else there is an application's, and searched before the usual places.
const SYSTEM: [&str; 24] = [
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "lost+found",
    "media",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "sbin",
    "srv",
    "sys",
    "tmp",
    "usr",
    "var",
    "app",
    "snap",
];

/// Folders with many names and nothing installed: sources, documents, and what package managers keep for later.
const SKIPPED: [&str; 24] = [
    "__pycache__",
    ".git",
    ".cache",
    ".cargo",
    ".gradle",
    ".m2",
    ".npm",
    ".nuget",
    ".rustup",
    "doc",
    "fonts",
    "gconv",
    "i18n",
    "icons",
    "info",
    "locale",
    "man",
    "modules",
    "perl5",
    "terminfo",
    "test",
    "tests",
    "zoneinfo",
    "testdata",
];

/// Programs that run others' code: what is in them tells nothing of the application.
const RUNTIMES: [&str; 20] = [
    "apache2", "ash", "bash", "busybox", "caddy", "dash", "dotnet", "haproxy", "httpd", "java", "nginx", "node", "nodejs", "perl", "php",
    "python", "ruby", "sh", "tini", "uwsgi",
];

/// The largest list of a package manager that is read, in bytes.
const LARGEST_LIST: usize = 16 * 1024 * 1024;
/// A Java archive that isn't known by its name is opened if it is this large: it may hold others.
const FAT: u64 = 1024 * 1024;
/// How many archives are opened.
const MOST_ARCHIVES: usize = 100;
/// How far up from a process's folder an application's own root may be.
const UPWARDS: usize = 4;
/// How deep packages may have packages of their own (`node_modules` in `node_modules`).
const DEEPEST_MODULES: usize = 3;

pub(super) struct Search<'a> {
    inside: &'a Inside,
    limits: &'a Limits,
    until: Instant,
    entries: usize,
    archives: usize,
    /// Folders by device and number, each with how far it was searched.
    seen: BTreeMap<(u64, u64), usize>,
    seen_files: BTreeSet<String>,
    sdks: BTreeSet<Sdk>,
    why: Vec<String>,
    over: bool,
}

fn join(folder: &str, name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("{}/{name}", folder.trim_end_matches('/')) }
}

/// Without `.`, `..` and double slashes, as text; what links do to `..` is the resolver's business.
fn tidy(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((folder, _)) => folder,
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn is_archive(name: &str) -> bool {
    [".jar", ".war", ".ear"].iter().any(|ending| name.ends_with(ending))
}

/// The words of a command line that may be paths: `-Dbase=/x`, `a.jar:b/*` and URLs taken apart.
fn paths_of(word: &str) -> Vec<&str> {
    if word.contains("://") {
        return Vec::new();
    }
    let looks_like_one = |part: &&str| {
        part.contains('/')
            || [".js", ".mjs", ".cjs", ".py", ".rb", ".php", ".dll"].iter().any(|end| part.ends_with(end))
            || is_archive(part)
    };
    word.split([':', '=', ',', ';']).filter(looks_like_one).map(|part| part.trim_end_matches("/*")).collect()
}

impl<'a> Search<'a> {
    pub(super) fn new(inside: &'a Inside, limits: &'a Limits) -> Search<'a> {
        // A time too far away to be counted is as good as a day.
        let until = Instant::now().checked_add(limits.time).unwrap_or_else(|| Instant::now() + std::time::Duration::from_secs(86_400));
        Search {
            inside,
            limits,
            until,
            entries: 0,
            archives: 0,
            seen: BTreeMap::new(),
            seen_files: BTreeSet::new(),
            sdks: BTreeSet::new(),
            why: Vec::new(),
            over: false,
        }
    }

    pub(super) fn into_found(self) -> Found {
        let more = self.why.len().saturating_sub(3);
        let mut why: Vec<String> = self.why.into_iter().take(3).collect();
        if more > 0 {
            why.push(format!("and {more} more"));
        }
        let why = (!why.is_empty()).then(|| why.join("; "));
        Found { sdks: self.sdks.into_iter().collect(), complete: why.is_none(), why }
    }

    pub(super) fn run(&mut self, start: &Start) {
        if let Err(error) = self.inside.kind("/") {
            let gone = error.kind() == io::ErrorKind::StaleNetworkFileHandle;
            self.miss(if gone { "the root is gone".to_owned() } else { format!("the root can't be opened: {error}") });
            return;
        }
        for executable in &start.executables {
            self.executable(executable.trim_end_matches(" (deleted)"));
        }
        let (folders, later) = self.beginnings(start);
        for folder in &folders {
            self.upwards(folder);
            self.walk(folder, self.limits.depth, true);
        }
        for name in self.unusual() {
            self.walk(&name, self.limits.depth.saturating_sub(1), false);
        }
        for folder in later.iter().map(String::as_str).chain(USUAL) {
            self.walk(folder, self.limits.depth, false);
        }
    }

    fn miss(&mut self, why: String) {
        if !self.why.contains(&why) {
            self.why.push(why);
        }
    }

    /// Says whether the search must stop, and remembers why.
    fn spent(&mut self) -> bool {
        if !self.over && self.entries >= self.limits.entries {
            self.over = true;
            self.miss(format!("the limit of {} files was reached", self.limits.entries));
        }
        if !self.over && Instant::now() >= self.until {
            self.over = true;
            self.miss(format!("the limit of {} ms was reached", self.limits.time.as_millis()));
        }
        self.over
    }

    fn add(&mut self, told: Option<(Kind, String)>, path: &str) {
        if let Some((kind, version)) = told {
            self.sdks.insert(Sdk { kind, version, path: path.to_owned() });
        }
    }

    /// The folders where processes are, and those that are tried after everything of the application's own.
    fn beginnings(&mut self, start: &Start) -> (Vec<String>, Vec<String>) {
        let mut folders: Vec<String> = start.folders.iter().map(|folder| tidy(folder.trim_end_matches(" (deleted)"))).collect();
        let mut later = Vec::new();
        let mut files: Vec<String> = start.executables.iter().map(|file| tidy(file)).collect();
        for path in start.arguments.iter().flat_map(|word| paths_of(word)) {
            if path.starts_with('/') {
                files.push(tidy(path));
            } else {
                files.extend(start.folders.iter().map(|folder| tidy(&join(folder, path))));
            }
        }
        files.extend(start.maps.iter().filter(|file| file.starts_with('/')).filter_map(|file| self.mapped(file)));
        files.sort();
        files.dedup();
        for file in files {
            if self.spent() {
                break;
            }
            match self.inside.kind(&file) {
                Ok(FileKind::Folder) => folders.push(file),
                Ok(FileKind::File) => {
                    if is_archive(&file) {
                        self.archive(&file);
                    }
                    let folder = parent(&file);
                    if matches!(last(folder), "bin" | "sbin") {
                        // A tool's packages are beside its folder: `venv/bin/gunicorn`, `venv/lib/python3.11/site-packages`.
                        later.push(join(parent(folder), "lib"));
                    } else {
                        folders.push(folder.to_owned());
                    }
                }
                _ => {}
            }
        }
        let system =
            |path: &String| path == "/" || matches!(path.as_str(), "/usr/lib" | "/lib" | "/usr" | "/usr/local/lib" | "/etc" | "/var");
        later.sort_by_key(|path| (system(path), path.clone()));
        later.dedup();
        let mut own: Vec<String> = Vec::new();
        for folder in folders {
            if !system(&folder) && !own.contains(&folder) {
                own.push(folder);
            }
        }
        (own, later)
    }

    /// What a mapped file tells at once, or the file or folder to look at because of it.
    fn mapped(&mut self, file: &str) -> Option<String> {
        let file = file.trim_end_matches(" (deleted)");
        let up_to = |marker: &str| file.find(marker).map(|at| file[..at + marker.len()].to_owned());
        if let Some(library) = names::of_library(last(file)) {
            self.library(library, file);
            return None;
        }
        if is_archive(file) {
            return Some(file.to_owned());
        }
        if file.ends_with(".dll") {
            return Some(parent(file).to_owned());
        }
        up_to("/site-packages")
            .or_else(|| up_to("/dist-packages"))
            .or_else(|| up_to("/node_modules").map(|folder| parent(&folder).to_owned()))
    }

    /// Folders below `/` that no image has by itself.
    fn unusual(&mut self) -> Vec<String> {
        match self.inside.names_here("/", self.limits.entries.saturating_sub(self.entries)) {
            Ok(listing) => {
                self.entries += listing.names.len();
                let own = |(name, kind): &(String, FileKind)| *kind == FileKind::Folder && !SYSTEM.contains(&name.as_str());
                let files: Vec<&str> =
                    listing.names.iter().filter(|(_, kind)| *kind == FileKind::File).map(|(name, _)| name.as_str()).collect();
                self.files("/", &files);
                listing.names.iter().filter(|entry| own(entry)).map(|(name, _)| format!("/{name}")).collect()
            }
            Err(error) => {
                self.miss(format!("/ can't be read: {error}"));
                Vec::new()
            }
        }
    }

    /// An application's packages may be above the folder that its process is in: `/app/node_modules` for `/app/dist`.
    fn upwards(&mut self, folder: &str) {
        let mut folder = folder;
        for _ in 0..UPWARDS {
            folder = parent(folder);
            if folder == "/" {
                break;
            }
            self.walk(folder, 0, false);
        }
    }

    /// Searches a folder and what is below it, the nearest first. `of_process`: one that can't be looked at makes the search
    /// incomplete, since the application is in it.
    fn walk(&mut self, from: &str, depth: usize, of_process: bool) {
        let mut waiting = VecDeque::from([(from.to_owned(), depth)]);
        let mut first = true;
        while let Some((folder, depth)) = waiting.pop_front() {
            if self.spent() {
                return;
            }
            let beginning = std::mem::take(&mut first);
            let listing = match self.inside.names_here(&folder, self.limits.entries.saturating_sub(self.entries)) {
                Ok(listing) => listing,
                Err(error) => {
                    match error.kind() {
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {}
                        io::ErrorKind::CrossesDevices if of_process && beginning => {
                            self.miss(format!("{folder} is on a mount and was not searched"));
                        }
                        io::ErrorKind::CrossesDevices => {}
                        _ => self.miss(format!("{folder} can't be read: {error}")),
                    }
                    continue;
                }
            };
            self.entries += listing.names.len();
            // A folder that was listed as somebody's parent may still be gone through.
            match self.seen.get(&listing.identity) {
                Some(before) if *before >= depth => continue,
                _ => self.seen.insert(listing.identity, depth),
            };
            let files: Vec<&str> =
                listing.names.iter().filter(|(_, kind)| *kind == FileKind::File).map(|(name, _)| name.as_str()).collect();
            self.files(&folder, &files);
            for (name, kind) in &listing.names {
                let path = join(&folder, name);
                match (name.as_str(), kind) {
                    ("node_modules", FileKind::Folder | FileKind::Link) => self.node_modules(&path, DEEPEST_MODULES),
                    ("vendor", FileKind::Folder | FileKind::Link) => {
                        self.list(&join(&path, "composer/installed.json"), names::of_composer);
                        if depth > 0 && *kind == FileKind::Folder {
                            waiting.push_back((path, depth - 1));
                        }
                    }
                    (_, FileKind::Folder) => {
                        self.folder(&folder, name, &path);
                        let packages = matches!(last(&folder), "site-packages" | "dist-packages");
                        let skipped = SKIPPED.contains(&name.as_str()) || packages || (name == "gems" && last(&folder) != "lib");
                        if depth > 0 && !skipped {
                            waiting.push_back((path, depth - 1));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// What a folder's own name tells.
    fn folder(&mut self, parent: &str, name: &str, path: &str) {
        if let Some(told) = names::of_python(name) {
            // An uninstall that was broken off leaves the folder without it.
            let has = |file: &str| self.inside.exists(&join(path, file)).unwrap_or(true);
            if has("METADATA") || has("PKG-INFO") || has("EGG-INFO/PKG-INFO") {
                self.add(Some(told), path);
            }
        } else if parent.ends_with("/aws-cli/v2") && name.starts_with(|first: char| first.is_ascii_digit()) {
            self.add(Some((Kind::AwsCliV2, name.to_owned())), path);
        } else if names::is_swift(name) {
            self.add(Some((Kind::Swift, String::new())), path);
        }
    }

    fn files(&mut self, folder: &str, files: &[&str]) {
        for name in files {
            let path = join(folder, name);
            if is_archive(name) {
                self.archive_in_folder(&path, name);
            } else if name.ends_with(".deps.json") {
                self.list(&path, names::of_deps);
            } else if *name == "Gemfile.lock" {
                self.list(&path, names::of_gemfile);
            } else if name.ends_with(".gemspec") {
                if last(folder) == "specifications" {
                    self.add(names::of_gemspec(name), &path);
                }
            } else if let Some(library) = names::of_library(name) {
                self.library(library, &path);
            } else if folder.ends_with("/.yarn/cache") {
                self.add(names::of_store(name), &path);
            } else {
                self.add(names::of_python(name), &path);
            }
        }
    }

    /// One library has several names, of which links are left out; without a version in its name its texts may tell one.
    fn library(&mut self, (kind, version): (Kind, String), path: &str) {
        if self.spent() || !self.seen_files.insert(path.to_owned()) {
            return;
        }
        let told = match self.inside.open_here(path).and_then(|file| binary::read(&file, true)) {
            Ok(told) if version.is_empty() => told.sdks.into_iter().find(|(other, _)| *other == kind),
            _ => None,
        };
        self.add(told.or(Some((kind, version))), path);
    }

    /// A text of a package manager.
    fn list(&mut self, path: &str, told: fn(&str) -> Option<(Kind, String)>) {
        if self.spent() || !self.seen_files.insert(path.to_owned()) {
            return;
        }
        match self.text(path) {
            Ok(text) => self.add(told(&text), path),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::CrossesDevices) => {}
            Err(error) => self.miss(format!("{path} can't be read: {error}")),
        }
    }

    fn text(&self, path: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.inside.open_here(path)?.take(LARGEST_LIST as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > LARGEST_LIST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The packages of a Node application: one lookup for each SDK, and one for each package that could have its own.
    fn node_modules(&mut self, path: &str, deeper: usize) {
        let Some(listing) = self.packages(path) else { return };
        for (name, _) in &listing {
            if self.spent() {
                return;
            }
            let package = join(path, name);
            match name.as_str() {
                "aws-sdk" => self.package(&package, Kind::JavaScriptV2),
                "@aws-sdk" => {
                    let scoped = self.packages(&package).unwrap_or_default();
                    let is = |wanted: &str| scoped.iter().any(|(name, _)| name == wanted);
                    // The one that decides where credentials come from tells its version best.
                    let client = || scoped.iter().map(|(name, _)| name.as_str()).find(|name| name.starts_with("client-"));
                    let best = ["credential-provider-node", "core"].into_iter().find(|name| is(name)).or_else(client);
                    if let Some(best) = best {
                        self.package(&join(&package, best), Kind::JavaScriptV3);
                    }
                }
                ".pnpm" => {
                    for (name, _) in self.packages(&package).unwrap_or_default() {
                        self.add(names::of_store(&name), &join(&package, &name));
                    }
                }
                _ if deeper == 0 || name.starts_with('.') => {}
                _ if name.starts_with('@') => {
                    for (name, _) in self.packages(&package).unwrap_or_default() {
                        self.node_modules(&join(&join(&package, &name), "node_modules"), deeper - 1);
                    }
                }
                _ => self.node_modules(&join(&package, "node_modules"), deeper - 1),
            }
        }
    }

    /// The folders and links of a folder, counted; `None` where it isn't there or was seen.
    fn packages(&mut self, path: &str) -> Option<Vec<(String, FileKind)>> {
        if self.spent() {
            return None;
        }
        match self.inside.names_here(path, self.limits.entries.saturating_sub(self.entries)) {
            Ok(listing) => {
                self.entries += listing.names.len();
                let new = self.seen.insert(listing.identity, usize::MAX).is_none();
                let folder = |(_, kind): &(String, FileKind)| matches!(kind, FileKind::Folder | FileKind::Link);
                new.then(|| listing.names.into_iter().filter(folder).collect())
            }
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::CrossesDevices) =>
            {
                None
            }
            Err(error) => {
                self.miss(format!("{path} can't be read: {error}"));
                None
            }
        }
    }

    fn package(&mut self, folder: &str, kind: Kind) {
        let path = join(folder, "package.json");
        match self.text(&path) {
            Ok(text) => self.add(Some((kind, names::package_version(&text).unwrap_or_default())), &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.miss(format!("{path} can't be read: {error}")),
        }
    }

    /// An archive that a walk meets: known by its name, or opened if it may hold others.
    fn archive_in_folder(&mut self, path: &str, name: &str) {
        if let Some(told) = names::of_jar(name) {
            let doubtful = names::is_doubtful_jar(name);
            let open = || self.inside.open_here(path).and_then(|file| archive::has(file, "software/amazon/awssdk/", self.until));
            if !doubtful || open().unwrap_or(true) {
                self.add(Some(told), path);
            }
            return;
        }
        let fat = !name.ends_with(".jar")
            || self.inside.open_here(path).and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.len() >= FAT);
        if fat {
            self.archive(path);
        }
    }

    fn archive(&mut self, path: &str) {
        if self.spent() || !self.seen_files.insert(path.to_owned()) {
            return;
        }
        if let Some(told) = names::of_jar(last(path)) {
            self.add(Some(told), path);
            return;
        }
        if self.archives == MOST_ARCHIVES {
            self.miss(format!("more than {MOST_ARCHIVES} Java archives"));
            return;
        }
        self.archives += 1;
        match self.inside.open_here(path).and_then(|file| archive::read(file, self.until)) {
            Ok(told) => {
                for (kind, version, entry) in told {
                    self.add(Some((kind, version)), &format!("{path}!/{entry}"));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.miss(format!("{path} can't be read: {error}")),
        }
    }

    fn executable(&mut self, path: &str) {
        if self.spent() || !self.seen_files.insert(path.to_owned()) {
            return;
        }
        let name = last(path).trim_end_matches(|character: char| character.is_ascii_digit() || character == '.' || character == '-');
        match self.inside.open_here(path).and_then(|file| binary::read(&file, !RUNTIMES.contains(&name))) {
            Ok(told) => {
                for sdk in told.sdks {
                    self.add(Some(sdk), path);
                }
                if told.without_modules {
                    self.miss(format!("{path} is a Go program without the list of its modules"));
                }
            }
            // What is on a mount is the application's all the same, but only the mount's owner knows what reading it costs.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => self.miss(format!("{path} is on a mount and was not read")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.miss(format!("{path} is gone")),
            Err(error) => self.miss(format!("{path} can't be read: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command_line_are_taken_apart() {
        assert_eq!(paths_of("-Dcatalina.base=/usr/local/tomcat"), ["/usr/local/tomcat"]);
        assert_eq!(paths_of("app.jar:lib/*:/opt/x.jar"), ["app.jar", "lib", "/opt/x.jar"]);
        assert_eq!(paths_of("https://example.com/a"), Vec::<&str>::new());
        assert_eq!(paths_of("--verbose"), Vec::<&str>::new());
        assert_eq!(paths_of("server.js"), ["server.js"]);
    }

    #[test]
    fn paths_are_tidied() {
        assert_eq!(tidy("/app//./dist/../x/"), "/app/x");
        assert_eq!(tidy("/../.."), "/");
        assert_eq!(tidy(&join("/app", "server.js")), "/app/server.js");
        assert_eq!((parent("/app/x"), parent("/app"), parent("/")), ("/app", "/", "/"));
    }
}
