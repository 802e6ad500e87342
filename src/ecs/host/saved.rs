//! What a reboot would bring back: saved rules, sysctl files, units that start by themselves (facts/ecs.md A.7).

use super::source::Source;
use crate::ecs::facts::{Network, Saved, SavedRules};
use crate::ecs::parse::{iptables, proc_net, settings};
use crate::model::Readable;
use std::collections::BTreeMap;

/// Files that `iptables-restore` reads, and the unit that lets it.
const RULES: [(&str, &str); 3] =
    [("/etc/sysconfig/iptables", "iptables"), ("/etc/iptables/rules.v4", "netfilter-persistent"), ("/etc/ufw/before.rules", "ufw")];
/// Files in another language.
const OTHER: [(&str, &str); 3] =
    [("/etc/firewalld/direct.xml", "firewalld"), ("/etc/nftables.conf", "nftables"), ("/etc/sysconfig/nftables.conf", "nftables")];
/// Where sysctl looks, the first with a name wins.
const SYSCTL: [&str; 4] = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"];
/// The setting of B6.
pub const ROUTE_LOCALNET: &str = "net.ipv4.conf.all.route_localnet";
const ENDPOINT: &str = "169.254.170.2";

/// Reads what is saved.
pub fn gather(source: &Source) -> Saved {
    let mut rules = Vec::new();
    for (path, unit) in RULES {
        if let Readable::Known(Some(text)) = source.text(path) {
            rules.push(SavedRules { path: path.into(), unit, names_endpoint: text.contains(ENDPOINT), rules: Some(iptables::save(&text)) });
        }
    }
    for (path, unit) in OTHER {
        if let Readable::Known(Some(text)) = source.text(path) {
            rules.push(SavedRules { path: path.into(), unit, names_endpoint: text.contains(ENDPOINT), rules: None });
        }
    }
    Saved { rules, route_localnet: sysctl(source), enabled: enabled(source) }
}

/// Sorts by file name over all folders; `/etc/sysctl.conf` comes last.
fn sysctl(source: &Source) -> Vec<(String, usize, String)> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for folder in SYSCTL {
        for name in source.names(folder).into_iter().filter(|name| name.ends_with(".conf")) {
            files.entry(name.clone()).or_insert_with(|| format!("{folder}/{name}"));
        }
    }
    let mut found = Vec::new();
    for path in files.into_values().chain(["/etc/sysctl.conf".to_owned()]) {
        let lines = settings::sysctl(&source.text_or_nothing(&path));
        found.extend(lines.into_iter().filter(|(name, _, _)| name == ROUTE_LOCALNET).map(|(_, value, line)| (path.clone(), line, value)));
    }
    // `99-sysctl.conf` is Debian's link to the file that comes last: the same line twice.
    found.dedup_by(|later, before| later.0 == before.0 && later.1 == before.1);
    found
}

/// Lists the units that something wants at the start.
fn enabled(source: &Source) -> Vec<String> {
    let folder = "/etc/systemd/system";
    let wants = source.names(folder).into_iter().filter(|name| name.ends_with(".wants") || name.ends_with(".requires"));
    let mut units: Vec<String> = wants.flat_map(|name| source.names(&format!("{folder}/{name}"))).collect();
    // AL1's own way.
    units.extend(
        source
            .names("/etc/rc3.d")
            .into_iter()
            .filter_map(|name| name.strip_prefix('S').map(|rest| rest.trim_start_matches(char::is_numeric).to_owned())),
    );
    units.iter_mut().for_each(|unit| *unit = unit.trim_end_matches(".service").to_owned());
    units.sort();
    units.dedup();
    units
}

/// Says of each interface and socket why it can't be told.
pub fn unread(why: &str) -> Network {
    let why = || why.to_owned();
    Network { route_localnet: Readable::Unknown(why()), routes: Readable::Unknown(why()), on_51679: Readable::Unknown(why()) }
}

/// Reads the host's interfaces and sockets.
pub fn network(source: &Source) -> Network {
    let folder = "/proc/sys/net/ipv4/conf";
    let one = |name: String| {
        let text = source.text(&format!("{folder}/{name}/route_localnet")).known().cloned().flatten()?;
        Some((name, text.trim() == "1"))
    };
    let values: BTreeMap<String, bool> = source.names(folder).into_iter().filter_map(one).collect();
    let route_localnet = match values.is_empty() {
        true => Readable::Unknown(format!("{folder} can't be read")),
        false => Readable::Known(values),
    };
    let routes = match source.text("/proc/net/route") {
        Readable::Known(Some(text)) => Readable::Known(proc_net::routes(&text)),
        Readable::Known(None) => Readable::Unknown("/proc/net/route isn't there".into()),
        Readable::Unknown(why) => Readable::Unknown(why),
    };
    Network { route_localnet, routes, on_51679: on_51679(source) }
}

fn on_51679(source: &Source) -> Readable<Option<String>> {
    let Readable::Known(Some(text)) = source.text("/proc/net/tcp") else {
        return Readable::Unknown("/proc/net/tcp can't be read".into());
    };
    let mut listeners = proc_net::listeners(&text);
    listeners.extend(proc_net::listeners(&source.text_or_nothing("/proc/net/tcp6")));
    let listener = listeners.into_iter().find(|listener| listener.port == 51679 && listener.loopback);
    Readable::Known(listener.map(|listener| super::processes::holder(source, listener.inode).unwrap_or_default()))
}
