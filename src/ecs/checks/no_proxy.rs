//! What a `NO_PROXY` lets pass, as Go reads it (facts/ecs.md A.4): exact addresses, networks, `*`.

use crate::ecs::environment::Environment;
use crate::ecs::parse::iptables::Net;
use std::net::Ipv4Addr;

/// The instance metadata service.
pub const IMDS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The tasks' credentials.
pub const CREDENTIALS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
/// What the article writes (B4).
pub const WANTED: &str = "169.254.169.254,169.254.170.2,/var/run/docker.sock";

/// Says whether an address goes past the proxy.
pub fn passes(list: &str, address: Ipv4Addr) -> bool {
    list.split(',').map(str::trim).any(|entry| {
        let entry = entry.strip_suffix(":80").unwrap_or(entry);
        entry == "*" || Net::parse(entry).is_some_and(|net| net.has(address))
    })
}

/// A proxy, and which of some addresses don't go past it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// There is none.
    None,
    /// All go past it.
    Past,
    /// There is no `NO_PROXY` at all.
    Silent(String),
    /// These don't go past it: by way of which proxy, and what is missing.
    Through(String, Vec<String>),
}

/// Judges what an environment says.
pub fn judge(environment: &Environment, addresses: &[Ipv4Addr], socket: bool) -> Proxy {
    let Some((name, value)) = environment.proxy() else { return Proxy::None };
    let proxy = format!("{name}={value}");
    let Some(list) = environment.no_proxy() else { return Proxy::Silent(proxy) };
    let mut missing: Vec<String> = addresses.iter().filter(|address| !passes(list, **address)).map(Ipv4Addr::to_string).collect();
    let has_socket = list.split(',').any(|entry| entry.trim() == "*" || entry.trim().ends_with("docker.sock"));
    if socket && !has_socket {
        missing.push("/var/run/docker.sock".to_owned());
    }
    if missing.is_empty() { Proxy::Past } else { Proxy::Through(proxy, missing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_it() {
        for list in ["169.254.170.2", "a, 169.254.170.2 ,b", "169.254.0.0/16", "*", "169.254.170.2:80"] {
            assert!(passes(list, CREDENTIALS), "{list}");
        }
        for list in ["", "169.254.170.20", "169.254.169.254", ".170.2", "169.254.170.2:8080", "169.254.170.0/30x"] {
            assert!(!passes(list, CREDENTIALS), "{list}");
        }
    }
}
