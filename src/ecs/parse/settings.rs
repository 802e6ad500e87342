//! Settings in the files of others: sysctl, os-release, php-fpm's pools.

use std::collections::BTreeMap;

/// Reads `sysctl.conf` lines: name with dots, value, line. A `-` before a name and slashes instead of dots are the same.
pub fn sysctl(text: &str) -> Vec<(String, String, usize)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some((name, value)) = line.split_once('=') {
            let name = name.trim().trim_start_matches('-');
            // The first separator says which of the two it is; the other then stands for itself.
            let name = match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
                Some(b'/') => name.replace('.', "\u{0}").replace('/', ".").replace('\u{0}', "/"),
                _ => name.to_owned(),
            };
            found.push((name, value.trim().to_owned(), at + 1));
        }
    }
    found
}

/// Reads `NAME=value` of `/etc/os-release`, quotes taken off.
pub fn os_release(text: &str) -> BTreeMap<String, String> {
    super::env_files::shell(text).into_iter().map(|entry| (entry.name, entry.value)).collect()
}

/// What a php-fpm pool does with the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// The environment is cleared for its workers, which is the default.
    pub clears: bool,
    /// The variables that it hands on by `env[NAME] = …`.
    pub passes: Vec<String>,
}

/// Reads the pools of a php-fpm configuration (facts/ecs.md A.9).
pub fn php_pools(text: &str) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(';') && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if name != "global" {
                pools.push(Pool { name: name.to_owned(), clears: true, passes: Vec::new() });
            }
            continue;
        }
        let (Some(pool), Some((name, value))) = (pools.last_mut(), line.split_once('=')) else { continue };
        let value = value.split(';').next().unwrap_or_default().trim().trim_matches('"');
        match name.trim() {
            "clear_env" => pool.clears = !matches!(value.to_ascii_lowercase().as_str(), "no" | "off" | "0" | "false"),
            name => {
                if let Some(variable) = name.strip_prefix("env[").and_then(|rest| rest.strip_suffix(']')) {
                    pool.passes.push(variable.to_owned());
                }
            }
        }
    }
    pools
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sysctl_spellings() {
        let text = "# c\nnet.ipv4.conf.all.route_localnet = 1\n-net/ipv4/conf/eth0.1/route_localnet=0\n;x=1\n";
        let found = sysctl(text);
        assert_eq!(found[0], ("net.ipv4.conf.all.route_localnet".to_owned(), "1".to_owned(), 2));
        assert_eq!(found[1], ("net.ipv4.conf.eth0/1.route_localnet".to_owned(), "0".to_owned(), 3));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn pools_of_php() {
        let text = "[global]\nerror_log = x\n[www]\nuser = www-data\n;clear_env = no\nenv[PATH] = /bin\n[api]\nclear_env = no ; why\n\
                    env[AWS_CONTAINER_CREDENTIALS_RELATIVE_URI] = $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI\n";
        let pools = php_pools(text);
        assert_eq!((pools[0].clears, pools[0].passes.as_slice()), (true, ["PATH".to_owned()].as_slice()));
        assert!(!pools[1].clears && pools[1].passes == ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]);
    }

    proptest! {
        #[test]
        fn nothing_makes_them_panic(text in "([a-z.\\[\\]=;#/\n -]|\\PC){0,80}") {
            let _ = (sysctl(&text), os_release(&text), php_pools(&text));
        }
    }
}
