//! The processes of containers, by `/proc`: what each was started with, and the files that decide which identity it uses.

use super::inside::Inside;
use super::source::Source;
use crate::ecs::environment::Environment;
use crate::ecs::facts::{Container, Process, ProfileFile};
use crate::ecs::parse::proc_net;
use crate::ecs::parse::settings::{Pool, php_pools};
use crate::model::Readable;
use std::collections::BTreeMap;

/// Where php-fpm's pools are (facts/ecs.md A.9); a `*` stands for one folder.
const PHP: [&str; 6] = [
    "/etc/php/*/fpm/pool.d",
    "/etc/php-fpm.d",
    "/usr/local/etc/php-fpm.d",
    "/etc/php*/php-fpm.d",
    "/etc/php/php-fpm.d",
    "/usr/local/etc/php/pool.d",
];

/// Finds the processes of each container by the container's id in their control group: one walk over `/proc` for all.
pub fn of_containers(source: &Source, ids: &[String]) -> BTreeMap<String, Vec<Process>> {
    let mut found: BTreeMap<String, Vec<Process>> = BTreeMap::new();
    for pid in source.names("/proc").iter().filter_map(|name| name.parse::<u32>().ok()) {
        let group = read(source, pid, "cgroup").unwrap_or_default();
        if let Some(id) = ids.iter().find(|id| id.len() >= 32 && group.contains(id.as_str())) {
            found.entry(id.clone()).or_default().extend(process(source, pid));
        }
    }
    found
}

fn read(source: &Source, pid: u32, name: &str) -> Option<String> {
    std::fs::read(source.process_file(pid, name)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn process(source: &Source, pid: u32) -> Option<Process> {
    let status = read(source, pid, "status")?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let number = |name: &str| field(name).and_then(|value| value.split_whitespace().last()?.parse().ok());
    // A zombie has no environment any more.
    if field("State").is_some_and(|state| state.starts_with('Z')) {
        return None;
    }
    Some(Process {
        pid,
        inner: number("NSpid").unwrap_or(pid),
        parent: number("PPid").unwrap_or(0),
        name: name(source, pid).unwrap_or_else(|| field("Name").unwrap_or_default().to_owned()),
        environment: environment(source, pid),
        overwritten: overwritten(source, pid),
    })
}

/// The program by its first argument, without folder and without what follows: arguments may hold secrets.
fn name(source: &Source, pid: u32) -> Option<String> {
    let line = read(source, pid, "cmdline")?;
    let first = line.split('\0').next()?;
    // php-fpm writes `php-fpm: pool www` over it.
    let first = first.split(' ').next()?.trim_end_matches(':');
    let name: String = first.rsplit('/').next()?.chars().filter(|letter| !letter.is_control()).take(64).collect();
    Some(name).filter(|name| !name.is_empty())
}

/// Says whether nothing of an environment is left: no program starts without any variable unless somebody wants it so.
fn overwritten(source: &Source, pid: u32) -> bool {
    let bytes = std::fs::read(source.process_file(pid, "environ"));
    bytes.is_ok_and(|bytes| {
        let first = bytes.split(|byte| *byte == 0).find(|part| !part.is_empty()).unwrap_or_default();
        let name = first.split(|byte| *byte == b'=').next().unwrap_or_default();
        !first.contains(&b'=') || name.is_empty() || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-%".contains(byte))
    })
}

/// What a process was started with.
pub fn environment(source: &Source, pid: u32) -> Readable<Environment> {
    match std::fs::read(source.process_file(pid, "environ")) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            Readable::Known(Environment::of_texts(text.split('\0')))
        }
        Err(error) => Readable::Unknown(format!("/proc/{pid}/environ: {error}")),
    }
}

/// Finds a process by its program, as Bottlerocket's agent is one of the host's own.
pub fn named(source: &Source, wanted: &str) -> Option<u32> {
    let pids = source.names("/proc");
    let mut pids = pids.iter().filter_map(|name| name.parse::<u32>().ok());
    pids.find(|pid| {
        read(source, *pid, "comm").is_some_and(|comm| !comm.is_empty() && wanted.starts_with(comm.trim()))
            && name(source, *pid).as_deref() == Some(wanted)
    })
}

/// Finds who holds a socket, by its inode: the program's name.
pub fn holder(source: &Source, inode: u64) -> Option<String> {
    let target = format!("socket:[{inode}]");
    let pids = source.names("/proc");
    pids.iter().filter_map(|name| name.parse::<u32>().ok()).find_map(|pid| {
        let folder = std::fs::read_dir(source.process_file(pid, "fd")).ok()?;
        let mut links = folder.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        links.any(|link| link.to_str() == Some(&target)).then(|| name(source, pid)).flatten()
    })
}

/// Lists every process that is to be seen.
pub fn every(source: &Source) -> Vec<Process> {
    source.names("/proc").iter().filter_map(|name| name.parse().ok()).filter_map(|pid| process(source, pid)).collect()
}

/// Fills in what a container's files say.
pub fn fill(source: &Source, container: &mut Container) {
    let pid = container.pid;
    fill_from(source, container, pid);
}

/// The same, as one of its processes sees them.
pub fn fill_from(source: &Source, container: &mut Container, pid: u32) {
    container.routes = match read(source, pid, "net/route") {
        Some(text) => Readable::Known(proc_net::routes(&text)),
        None => Readable::Unknown(format!("/proc/{pid}/net/route can't be read")),
    };
    let inside = source.root_of(pid);
    container.profiles = profiles(&inside, container);
    container.php = php(&inside);
}

/// Reads php-fpm's pools.
fn php(inside: &Inside) -> Vec<(String, Vec<Pool>)> {
    let mut found = Vec::new();
    for pattern in PHP {
        for folder in folders(inside, pattern) {
            let names = inside.names(&folder).unwrap_or_default();
            for name in names.into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".conf")) {
                let path = format!("{folder}/{name}");
                if let Ok(text) = inside.text(&path) {
                    found.push((path, php_pools(&text)));
                }
            }
        }
    }
    found
}

/// Resolves a path with `*` in a folder's name.
fn folders(inside: &Inside, pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for part in pattern.trim_start_matches('/').split('/') {
        found = match part.split_once('*') {
            None => found.into_iter().map(|folder| format!("{folder}/{part}")).collect(),
            Some((start, end)) => {
                let below = |folder: String| {
                    let names = inside.names(if folder.is_empty() { "/" } else { &folder }).unwrap_or_default();
                    let fits = names.into_iter().map(|(name, _)| name).filter(move |name| name.starts_with(start) && name.ends_with(end));
                    fits.map(move |name| format!("{folder}/{name}")).collect::<Vec<_>>()
                };
                found.into_iter().flat_map(below).collect()
            }
        };
    }
    found
}

/// Finds AWS profiles with keys: they beat the task role in most SDKs (facts C.2).
fn profiles(inside: &Inside, container: &Container) -> Readable<Vec<ProfileFile>> {
    // Docker gives HOME to processes, and doesn't tell it with the container.
    let environments = container.processes.known().into_iter().flatten().filter_map(|process| process.environment.known());
    let mut own: Vec<String> =
        environments.chain([&container.environment]).filter_map(|environment| environment.told("HOME")).map(str::to_owned).collect();
    if own.is_empty() {
        own.push("/root".to_owned());
    }
    let mut homes: Vec<(String, bool)> = own.into_iter().map(|home| (home, true)).collect();
    homes.push(("/root".to_owned(), false));
    match inside.names("/home") {
        Ok(names) => homes.extend(names.into_iter().map(|(name, _)| (format!("/home/{name}"), false))),
        Err(error) if absent(&error) => {}
        Err(error) => return Readable::Unknown(format!("the container's files can't be read: {error}")),
    }
    let mut paths: Vec<(String, bool)> = Vec::new();
    for (variable, name) in [("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")] {
        match container.environment.told(variable).filter(|path| !path.is_empty()) {
            // What is named so stands in the place of every home's.
            Some(path) => paths.push((path.to_owned(), true)),
            None => paths.extend(homes.iter().map(|(home, own)| (format!("{}/.aws/{name}", home.trim_end_matches('/')), *own))),
        }
    }
    let mut found: Vec<ProfileFile> = Vec::new();
    for (path, own) in paths {
        if found.iter().any(|file| file.path == path) {
            continue;
        }
        match inside.text(&path) {
            Ok(text) => {
                let profiles = with_credentials(&text);
                if !profiles.is_empty() {
                    found.push(ProfileFile { path, profiles, own });
                }
            }
            // A device is no file of profiles: /dev/null is there to have none.
            Err(error) if absent(&error) || error.kind() == std::io::ErrorKind::InvalidInput => {}
            Err(error) => return Readable::Unknown(format!("{path} in the container: {error}")),
        }
    }
    Readable::Known(found)
}

fn absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// Names the profiles that give credentials of their own; no value is kept.
fn with_credentials(text: &str) -> Vec<String> {
    let mut profile = String::new();
    let mut found: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            profile = name.trim().trim_start_matches("profile ").trim().to_owned();
        } else if let Some((name, value)) = line.split_once('=') {
            let gives = ["aws_access_key_id", "credential_process", "role_arn", "sso_session", "sso_start_url", "web_identity_token_file"];
            if gives.contains(&name.trim().to_ascii_lowercase().as_str()) && !value.trim().is_empty() && !found.contains(&profile) {
                found.push(profile.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_with_credentials_of_their_own() {
        let text = "[default]\nregion = x\n[profile ci]\nrole_arn=arn\n# aws_access_key_id=1\n[keys]\nAWS_ACCESS_KEY_ID = A\naws_secret_access_key = B\n";
        assert_eq!(with_credentials(text), ["ci", "keys"]);
    }
}
