//! The processes of containers, by `/proc`: what each was started with, and the files that decide which identity it uses.

use super::inside::{Budget, Inside};
use super::source::Source;
use crate::ecs::environment::Environment;
use crate::ecs::facts::{Process, ProfileFile};
use crate::ecs::parse::proc_net::{self, Route};
use crate::ecs::parse::settings::{Pool, php_pools};
use crate::model::Readable;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// Where php-fpm's pools are (facts/ecs.md A.9); a `*` stands for one folder.
const PHP: [&str; 6] = [
    "/etc/php/*/fpm/pool.d",
    "/etc/php-fpm.d",
    "/usr/local/etc/php-fpm.d",
    "/etc/php*/php-fpm.d",
    "/etc/php/php-fpm.d",
    "/usr/local/etc/php/pool.d",
];

/// The largest environment or command line that is read, in bytes: a process can make its own as large as its memory.
const LARGEST: usize = 1 << 20;
/// The largest of the kernel's own files.
const LARGEST_OF_KERNEL: usize = 1 << 20;
/// The most processes of one container that are looked at.
const MOST_PROCESSES: usize = 2_000;
/// The most variables of all processes of a container.
const MOST_VARIABLES: usize = 50_000;
/// What is read of one container's processes and files altogether: bytes, and names in folders.
const BUDGET: (u64, u64) = (8 << 20, 50_000);
/// The largest file of php-fpm's, and the most pools that are kept of a container.
const LARGEST_PHP: usize = 256 << 10;
const MOST_POOLS: usize = 1_000;
/// The largest file of AWS profiles.
const LARGEST_PROFILES: usize = 1 << 20;
/// How long all of it may take for one container.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Finds the processes of each container by the container's id in their control group: one walk over `/proc` for all. A control
/// group is the kernel's word, which no process can hold up.
pub fn of_containers(source: &Source, ids: &[String]) -> BTreeMap<String, Vec<u32>> {
    let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for pid in source.names("/proc").iter().filter_map(|name| name.parse::<u32>().ok()) {
        let group = of_kernel(source, pid, "cgroup").unwrap_or_default();
        if let Some(id) = owner(&group, ids) {
            found.entry(id.clone()).or_default().push(pid);
        }
    }
    found
}

/// Says whose control group it is: the container's that is named first, since what is below is of its own making.
fn owner<'a>(group: &str, ids: &'a [String]) -> Option<&'a String> {
    let of_line = |line: &str| {
        let places = ids.iter().filter(|id| id.len() >= 32).filter_map(|id| Some((line.find(id.as_str())?, id)));
        places.min_by_key(|(place, _)| *place).map(|(_, id)| id)
    };
    group.lines().find_map(of_line)
}

fn of_kernel(source: &Source, pid: u32, name: &str) -> Option<String> {
    let bytes = source.of_process(pid, name, LARGEST_OF_KERNEL).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads some processes; those that have ended meanwhile are left out.
///
/// # Errors
/// They are too many, or hold too much: half of them would tell something else than all.
pub fn all(source: &Source, pids: &[u32]) -> Result<Vec<Process>, String> {
    if pids.len() > MOST_PROCESSES {
        return Err(format!("there are more than {MOST_PROCESSES} processes"));
    }
    let too_large = || "the environments of its processes are too large".to_owned();
    let (mut found, mut bytes, mut variables) = (Vec::new(), BUDGET.0, MOST_VARIABLES);
    for pid in pids {
        let environment = source.of_process(*pid, "environ", LARGEST);
        if let Ok(text) = &environment {
            bytes = bytes.checked_sub(text.len() as u64).ok_or_else(too_large)?;
            variables = variables.checked_sub(text.iter().filter(|byte| **byte == 0).count()).ok_or_else(too_large)?;
        }
        found.extend(process(source, *pid, environment));
    }
    Ok(found)
}

fn process(source: &Source, pid: u32, environment: std::io::Result<Vec<u8>>) -> Option<Process> {
    let status = of_kernel(source, pid, "status")?;
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
        overwritten: environment.as_ref().is_ok_and(|text| overwritten(text)),
        environment: known(pid, environment),
    })
}

/// The program by its first argument, without folder and without what follows: arguments may hold secrets.
fn name(source: &Source, pid: u32) -> Option<String> {
    let line = source.head_of_process(pid, "cmdline", 4096).ok()?;
    let line = String::from_utf8_lossy(&line);
    let first = line.split('\0').next()?;
    // php-fpm writes `php-fpm: pool www` over it.
    let first = first.split(' ').next()?.trim_end_matches(':');
    let name: String = first.rsplit('/').next()?.chars().filter(|letter| !letter.is_control()).take(64).collect();
    Some(name).filter(|name| !name.is_empty())
}

/// Says whether nothing of an environment is left: no program starts without any variable unless somebody wants it so.
fn overwritten(environment: &[u8]) -> bool {
    let first = environment.split(|byte| *byte == 0).find(|part| !part.is_empty()).unwrap_or_default();
    let name = first.split(|byte| *byte == b'=').next().unwrap_or_default();
    !first.contains(&b'=') || name.is_empty() || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-%".contains(byte))
}

/// What a process was started with.
pub fn environment(source: &Source, pid: u32) -> Readable<Environment> {
    known(pid, source.of_process(pid, "environ", LARGEST))
}

fn known(pid: u32, environment: std::io::Result<Vec<u8>>) -> Readable<Environment> {
    match environment {
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
        of_kernel(source, *pid, "comm").is_some_and(|comm| !comm.is_empty() && wanted.starts_with(comm.trim()))
            && name(source, *pid).as_deref() == Some(wanted)
    })
}

/// Finds who holds a socket, by its inode: the program's name.
pub fn holder(source: &Source, inode: u64) -> Option<String> {
    let target = format!("socket:[{inode}]");
    let pids = source.names("/proc");
    pids.iter().filter_map(|name| name.parse::<u32>().ok()).find_map(|pid| {
        let names = source.names_of_process(pid, "fd");
        let mut links = names.iter().filter_map(|name| source.link_of_process(pid, &format!("fd/{name}")));
        links.any(|link| link == target).then(|| name(source, pid)).flatten()
    })
}

/// Lists every process that is to be seen.
pub fn every(source: &Source) -> Vec<u32> {
    source.names("/proc").iter().filter_map(|name| name.parse().ok()).collect()
}

/// What the files of a container say, as one of its processes sees them.
#[derive(Debug)]
pub struct Files {
    pub routes: Readable<Vec<Route>>,
    pub profiles: Readable<Vec<ProfileFile>>,
    pub php: Readable<Vec<(String, Vec<Pool>)>>,
}

impl Files {
    /// Says of each why it can't be told.
    pub fn unknown(why: &str) -> Files {
        let why = || why.to_owned();
        Files { routes: Readable::Unknown(why()), profiles: Readable::Unknown(why()), php: Readable::Unknown(why()) }
    }

    /// Reads them.
    pub fn read(source: &Source, pid: u32, given: &Environment, processes: &[Process]) -> Files {
        let routes = match of_kernel(source, pid, "net/route") {
            Some(text) => Readable::Known(proc_net::routes(&text)),
            None => Readable::Unknown(format!("/proc/{pid}/net/route can't be read")),
        };
        let (bytes, names) = BUDGET;
        let inside = source.root_of(pid).limited(Arc::new(Budget::new(bytes, names, PATIENCE)));
        Files { routes, profiles: profiles(&inside, given, processes), php: php(&inside) }
    }
}

/// Reads php-fpm's pools.
fn php(inside: &Inside) -> Readable<Vec<(String, Vec<Pool>)>> {
    let mut found: Vec<(String, Vec<Pool>)> = Vec::new();
    let mut pools = 0;
    for pattern in PHP {
        for folder in folders(inside, pattern) {
            let names = match inside.names(&folder) {
                Ok(names) => names,
                Err(error) if is_spent(&error) => return Readable::Unknown(format!("{folder} in the container: {error}")),
                Err(_) => continue,
            };
            for name in names.into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".conf")) {
                let path = format!("{folder}/{name}");
                match inside.read(&path, LARGEST_PHP) {
                    Ok(bytes) => {
                        let own = php_pools(&String::from_utf8_lossy(&bytes));
                        pools += own.len();
                        found.push((path, own));
                    }
                    Err(error) if is_spent(&error) => return Readable::Unknown(format!("{path} in the container: {error}")),
                    Err(_) => {}
                }
                if pools > MOST_POOLS {
                    return Readable::Unknown(format!("php-fpm has more than {MOST_POOLS} pools"));
                }
            }
        }
    }
    Readable::Known(found)
}

/// Says whether it wasn't read because there was too much of it.
fn is_spent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::QuotaExceeded | ErrorKind::TimedOut | ErrorKind::FileTooLarge)
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
fn profiles(inside: &Inside, given: &Environment, processes: &[Process]) -> Readable<Vec<ProfileFile>> {
    // Docker gives HOME to processes, and doesn't tell it with the container.
    let environments = processes.iter().filter_map(|process| process.environment.known());
    let mut own: Vec<String> = environments.chain([given]).filter_map(|environment| environment.told("HOME")).map(str::to_owned).collect();
    if own.is_empty() {
        own.push("/root".to_owned());
    }
    let mut seen = BTreeSet::new();
    own.retain(|home| seen.insert(home.clone()));
    let mut homes: Vec<(String, bool)> = own.into_iter().map(|home| (home, true)).collect();
    homes.push(("/root".to_owned(), false));
    match inside.names("/home") {
        Ok(names) => homes.extend(names.into_iter().map(|(name, _)| (format!("/home/{name}"), false))),
        Err(error) if absent(&error) => {}
        Err(error) => return Readable::Unknown(format!("the container's files can't be read: {error}")),
    }
    let mut paths: Vec<(String, bool)> = Vec::new();
    for (variable, name) in [("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")] {
        match given.told(variable).filter(|path| !path.is_empty()) {
            // What is named so stands in the place of every home's.
            Some(path) => paths.push((path.to_owned(), true)),
            None => paths.extend(homes.iter().map(|(home, own)| (format!("{}/.aws/{name}", home.trim_end_matches('/')), *own))),
        }
    }
    let (mut found, mut read): (Vec<ProfileFile>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
    for (path, own) in paths {
        if !read.insert(path.clone()) {
            continue;
        }
        match inside.read(&path, LARGEST_PROFILES) {
            Ok(bytes) => {
                let profiles = with_credentials(&String::from_utf8_lossy(&bytes));
                if !profiles.is_empty() {
                    found.push(ProfileFile { path, profiles, own });
                }
            }
            // A device is no file of profiles: /dev/null is there to have none.
            Err(error) if absent(&error) || error.kind() == ErrorKind::InvalidInput => {}
            Err(error) => return Readable::Unknown(format!("{path} in the container: {error}")),
        }
    }
    Readable::Known(found)
}

fn absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Names the profiles that give credentials of their own; no value is kept.
fn with_credentials(text: &str) -> Vec<String> {
    let mut profile = "";
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            profile = name.trim().trim_start_matches("profile ").trim();
        } else if let Some((name, value)) = line.split_once('=') {
            let gives = ["aws_access_key_id", "credential_process", "role_arn", "sso_session", "sso_start_url", "web_identity_token_file"];
            let name = name.trim();
            if !value.trim().is_empty() && gives.iter().any(|known| known.eq_ignore_ascii_case(name)) && seen.insert(profile) {
                found.push(profile.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_the_outermost_container_s() {
        let ids = ["a".repeat(64), "b".repeat(64)];
        let line = |first: &str, second: &str| format!("0::/system.slice/docker-{first}.scope/x/docker-{second}.scope\n");
        assert_eq!(owner(&line(&ids[0], &ids[1]), &ids), Some(&ids[0]));
        assert_eq!(owner(&line(&ids[1], &ids[0]), &ids), Some(&ids[1]));
        assert_eq!(owner("0::/user.slice\n", &ids), None);
    }

    #[test]
    fn profiles_with_credentials_of_their_own() {
        let text = "[default]\nregion = x\n[profile ci]\nrole_arn=arn\n# aws_access_key_id=1\n[keys]\nAWS_ACCESS_KEY_ID = A\naws_secret_access_key = B\n";
        assert_eq!(with_credentials(text), ["ci", "keys"]);
    }
}
