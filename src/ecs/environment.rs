//! Environment variables of others: every name is kept, a value only if it is on the list of those that hold no secret.

use super::parse::env_files::Entry;
use serde::Serialize;

/// The variable that leads an SDK to the task role (facts/ecs.md A.9).
pub const RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
/// Its longer sister, of EKS Pod Identity and of local endpoints (facts B.6).
pub const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

/// The flag of B2 for bridge, default and awsvpc.
pub const TASK_ROLE: &str = "ECS_ENABLE_TASK_IAM_ROLE";
/// The flag of B2 for host mode.
pub const TASK_ROLE_HOST: &str = "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST";
/// The flag of awsvpc.
pub const TASK_ENI: &str = "ECS_ENABLE_TASK_ENI";

/// The variables whose values are kept: switches, names and addresses.
const TOLD: [&str; 33] = [
    TASK_ROLE,
    TASK_ROLE_HOST,
    TASK_ENI,
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EXECUTION_ENV",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS",
    "ECS_AUDIT_LOGFILE",
    "ECS_AUDIT_LOGFILE_DISABLED",
    "ECS_AWSVPC_BLOCK_IMDS",
    "ECS_CLUSTER",
    "ECS_DATADIR",
    "ECS_EXTERNAL",
    "ECS_INSTANCE_IP_COMPATIBILITY",
    "ECS_LOGFILE",
    "ECS_LOG_DRIVER",
    "ECS_SKIP_LOCALHOST_TRAFFIC_FILTER",
    "ECS_TASK_METADATA_RPS_LIMIT",
    "ECS_UPDATES_ENABLED",
    "HOME",
    "NO_PROXY",
    "no_proxy",
    "ECS_ALTERNATE_CREDENTIAL_PROFILE",
    "ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE",
    "ECS_LOGLEVEL",
    "ECS_LOGLEVEL_ON_INSTANCE",
];

/// Variables that name a proxy; who logs in there is taken out.
pub const PROXIES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// A value, or that there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// It holds no secret.
    Told(String),
    /// It isn't kept; `true` if it was empty.
    Hidden {
        /// There was nothing in it.
        empty: bool,
    },
}

/// A variable of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name, as whoever reads it takes it.
    pub name: String,
    /// Its value, if that may be told.
    pub value: Value,
    /// The line of its file, from 1; 0 where there is no file.
    pub line: usize,
}

impl Variable {
    /// Keeps what may be kept.
    pub fn new(name: &str, value: &str, line: usize) -> Variable {
        // `export NAME` and `NAME ` are names that readers take literally; what they stand for decides.
        let meant = meant(name);
        let value = if TOLD.contains(&meant) {
            Value::Told(value.to_owned())
        } else if PROXIES.contains(&meant) {
            Value::Told(without_login(value))
        } else {
            Value::Hidden { empty: value.is_empty() }
        };
        // A name may be a secret's first half where a line was written wrongly; only names are kept that look like one.
        let fine = name.len() <= 128 && name.chars().all(|letter| letter.is_ascii_alphanumeric() || " \t_#;.-".contains(letter));
        let name = if fine { name.to_owned() } else { "(not a name)".to_owned() };
        Variable { name, value, line }
    }

    /// Gives the value if it may be told.
    pub fn told(&self) -> Option<&str> {
        match &self.value {
            Value::Told(value) => Some(value),
            Value::Hidden { .. } => None,
        }
    }

    /// Says whether there is something in it.
    pub fn is_set(&self) -> bool {
        match &self.value {
            Value::Told(value) => !value.is_empty(),
            Value::Hidden { empty } => !empty,
        }
    }
}

/// The words that a shell exports a variable with.
const EXPORTS: [&str; 3] = ["export", "declare", "typeset"];

/// Gives the name that a name was meant to be: without `#`, `export` and blanks.
pub fn meant(name: &str) -> &str {
    let mut name = name.trim_start_matches(['#', ';', ' ', '\t']);
    while let Some(rest) = exported(name) {
        name = rest;
    }
    name.trim()
}

/// Takes one `export`, with its options, from before a name; `None` where none is.
pub fn exported(name: &str) -> Option<&str> {
    let (_, rest) = name.trim_start().split_once([' ', '\t']).filter(|(word, _)| EXPORTS.contains(word))?;
    let mut rest = rest.trim_start();
    while let Some((_, more)) = rest.split_once([' ', '\t']).filter(|(option, _)| option.starts_with('-')) {
        rest = more.trim_start();
    }
    Some(rest)
}

/// Takes user and password out of a proxy's address.
fn without_login(url: &str) -> String {
    let url = url.split_whitespace().next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // What comes after the host isn't needed, and the last `@` ends the login.
    let host = authority.rsplit('@').next().unwrap_or_default();
    // A value that an `@` follows somewhere behind a `/` may still be a password: then nothing of it is kept.
    if rest.len() > authority.len() && rest[authority.len()..].contains('@') {
        return "(hidden)".to_owned();
    }
    let login = if host.len() < authority.len() { "(login hidden)@" } else { "" };
    if scheme.is_empty() { format!("{login}{host}") } else { format!("{scheme}://{login}{host}") }
}

/// A list of variables; of two with one name the last counts, as everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Environment(pub Vec<Variable>);

impl Environment {
    /// Takes what a reader read.
    pub fn of(entries: &[Entry]) -> Environment {
        Environment(entries.iter().map(|entry| Variable::new(&entry.name, &entry.value, entry.line)).collect())
    }

    /// Takes `NAME=value` texts, as Docker gives them and `/proc/PID/environ` has them.
    pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Environment {
        let pairs = texts.into_iter().filter_map(|text| text.split_once('='));
        Environment(pairs.map(|(name, value)| Variable::new(name, value, 0)).collect())
    }

    /// Finds a variable.
    pub fn get(&self, name: &str) -> Option<&Variable> {
        self.0.iter().rev().find(|variable| variable.name == name)
    }

    /// Finds a variable's value, if it may be told.
    pub fn told(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Variable::told)
    }

    /// Says whether a variable is there with something in it.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(Variable::is_set)
    }

    /// Finds a proxy: the variable's name and its value.
    pub fn proxy(&self) -> Option<(&str, &str)> {
        PROXIES
            .iter()
            .filter_map(|name| self.get(name))
            .filter(|variable| variable.is_set())
            .find_map(|variable| variable.told().map(|value| (variable.name.as_str(), value)))
    }

    /// Finds the proxy of plain HTTP, as Go does: the addresses in question are asked so.
    pub fn http_proxy(&self) -> Option<(&str, &str)> {
        let set = ["HTTP_PROXY", "http_proxy"].iter().filter_map(|name| self.get(name)).find(|variable| variable.is_set())?;
        set.told().map(|value| (set.name.as_str(), value))
    }

    /// Gives what needs no proxy, by either name.
    pub fn no_proxy(&self) -> Option<&str> {
        ["NO_PROXY", "no_proxy"].iter().filter_map(|name| self.told(name)).find(|value| !value.trim().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_kept() {
        let kept = Environment::of_texts([
            "DB_PASSWORD=canary",
            "AWS_SECRET_ACCESS_KEY=canary",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/canary",
            "HTTP_PROXY=http://user:canary@proxy:3128/canary",
            "https_proxy=user:canary@proxy:1",
            "ALL_PROXY=http://user:ca/nary@proxy:1",
            "NO_PROXY=169.254.170.2",
            "canary\u{1}=x",
        ]);
        let text = serde_json::to_string(&kept).unwrap();
        assert!(!text.contains("canary") && !text.contains("nary"), "{text}");
        assert_eq!(kept.told("HTTP_PROXY"), Some("http://(login hidden)@proxy:3128"));
        assert_eq!(kept.told("https_proxy"), Some("(login hidden)@proxy:1"));
        assert!(kept.has("DB_PASSWORD") && kept.has(RELATIVE_URI) && kept.told(RELATIVE_URI).is_none());
        assert_eq!(Variable::new("export ECS_ENABLE_TASK_IAM_ROLE", "true", 1).told(), Some("true"));
        assert_eq!(Variable::new("#ECS_ENGINE_AUTH_DATA", "{secret}", 1).told(), None);
    }
}
