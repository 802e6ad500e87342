//! What a `NO_PROXY` lets pass, as Go reads it (facts/ecs.md A.4): exact addresses, networks, `*`.

use crate::ecs::environment::Environment;
use crate::ecs::facts::ProxyPlace;
use crate::ecs::parse::iptables::Net;
use crate::model::{Check, Finding, Outcome};
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
    let Some((name, value)) = environment.http_proxy() else { return Proxy::None };
    let proxy = format!("{name}={value}");
    let Some(list) = environment.no_proxy() else { return Proxy::Silent(proxy) };
    let mut missing: Vec<String> = addresses.iter().filter(|address| !passes(list, **address)).map(Ipv4Addr::to_string).collect();
    let has_socket = list.split(',').any(|entry| entry.trim() == "*" || entry.trim().ends_with("docker.sock"));
    if socket && !has_socket {
        missing.push("/var/run/docker.sock".to_owned());
    }
    if missing.is_empty() { Proxy::Past } else { Proxy::Through(proxy, missing) }
}

/// Judges the places where somebody's proxy is set, after what it has `before` them; `bad` is what it is if something is missing, and `then` what to run after the mend.
pub fn places(
    check: &'static Check,
    before: &Environment,
    places: &[&ProxyPlace],
    (name, addresses, bad): (&str, &[Ipv4Addr], Outcome),
    then: &str,
) -> Vec<Finding> {
    let mut found = Vec::new();
    // Whoever runs with several of them has them all: a proxy in one, and what goes past it in another.
    let all = Environment(before.0.iter().chain(places.iter().flat_map(|place| &place.sets.0)).cloned().collect());
    for place in places.iter().filter(|place| place.sets.http_proxy().is_some()) {
        let line = place.sets.http_proxy().and_then(|(name, _)| place.sets.get(name)).map(|variable| variable.line);
        let mend =
            |message: String| Finding::new(check, bad, message).mend(format!("NO_PROXY={WANTED} in {}", place.path)).mend(then.to_owned());
        let finding = match judge(&all, addresses, false) {
            Proxy::None => continue,
            Proxy::Past => Finding::new(check, Outcome::Pass, format!("{}: what must goes past the proxy", place.path)),
            Proxy::Silent(proxy) => mend(format!("{} gives {name} {proxy} and no NO_PROXY", place.path)),
            Proxy::Through(proxy, missing) => {
                mend(format!("{} gives {name} {proxy}, and its NO_PROXY lacks {}", place.path, missing.join(" and ")))
            }
        };
        found.push(finding.at(&place.path, line));
    }
    if found.is_empty() {
        found.push(Finding::new(check, Outcome::NotApplicable, format!("{name} has no proxy")));
    }
    found
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
