//! What the rules in force do to a packet, by walking them as the kernel does.

use crate::ecs::facts::Netfilter;
use crate::ecs::parse::iptables::{Match, Rule, Ruleset, Table};
use crate::model::Readable;
use std::net::Ipv4Addr;

/// The credentials' address, seen by a task.
pub const ENDPOINT: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
/// The port that the agent serves them on.
pub const PORT: u16 = 51679;

/// The first packet of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'p> {
    /// Where it comes from.
    pub source: Ipv4Addr,
    /// Where it goes.
    pub destination: Ipv4Addr,
    /// The port that it goes to.
    pub port: u16,
    /// The interface that it came in by.
    pub input: Option<&'p str>,
    /// The interface that it leaves by.
    pub output: Option<&'p str>,
    /// What conntrack says of it.
    pub states: &'p [&'p str],
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Nothing stops it, and nothing sends it elsewhere.
    Passes,
    /// This rule, or the policy of this chain, drops it.
    Dropped(String, Option<Box<Rule>>),
    /// This rule sends it elsewhere: address (`None` for the host itself) and port.
    Sent {
        /// The address.
        to: Option<Ipv4Addr>,
        /// The port, if it changes.
        port: Option<u16>,
        /// The rule.
        rule: String,
    },
    /// It hangs on a rule that asks for something that isn't judged here.
    Unclear(String),
}

/// What a chain did.
enum Step {
    /// It came to the end.
    Ended,
    /// It went back to whoever called.
    Returned,
    /// It is decided.
    Done(Fate),
    /// It is accepted for this table.
    Accepted,
}

/// Chains don't call each other deeper than this.
const DEEPEST: usize = 32;

fn holds<T>(wanted: Option<&Match<T>>, holds: impl Fn(&T) -> bool) -> bool {
    wanted.is_none_or(|wanted| holds(&wanted.value) != wanted.not)
}

/// Says whether a rule's interface is this one; unknown where the packet's isn't known.
fn on_interface(wanted: Option<&Match<String>>, interface: Option<&str>) -> Option<bool> {
    let Some(wanted) = wanted else { return Some(true) };
    let interface = interface?;
    let same = match wanted.value.strip_suffix('+') {
        Some(start) => interface.starts_with(start),
        None => wanted.value == interface,
    };
    Some(same != wanted.not)
}

/// Says whether a rule is met; `None` if that hangs on something that isn't judged.
fn meets(rule: &Rule, packet: &Packet<'_>) -> Option<bool> {
    let local = packet.destination.is_loopback();
    let plain = holds(rule.source.as_ref(), |net| net.has(packet.source))
        && holds(rule.destination.as_ref(), |net| net.has(packet.destination))
        && holds(rule.protocol.as_ref(), |protocol| ["tcp", "all", "6", "0"].contains(&protocol.as_str()))
        && holds(rule.ports.as_ref(), |ports| ports.iter().any(|(first, last)| (*first..=*last).contains(&packet.port)))
        && holds(rule.states.as_ref(), |states| states.iter().any(|state| packet.states.contains(&state.as_str())))
        && holds(rule.destination_type.as_ref(), |kind| kind == "LOCAL" && local || kind == "UNICAST" && !local);
    if !plain {
        return Some(false);
    }
    // No interface at all is what a packet has that never had one: `-i` can't hold on its way out.
    let input = match (packet.input, packet.output) {
        (None, Some(_)) => Some(rule.input.as_ref().is_none_or(|wanted| wanted.not)),
        (input, _) => on_interface(rule.input.as_ref(), input),
    };
    let output = match (packet.output, packet.input) {
        (None, Some(_)) => Some(rule.output.as_ref().is_none_or(|wanted| wanted.not)),
        (output, _) => on_interface(rule.output.as_ref(), output),
    };
    match (input, output, rule.other.is_empty()) {
        (Some(false), ..) | (_, Some(false), _) => Some(false),
        (Some(true), Some(true), true) => Some(true),
        _ => None,
    }
}

/// What a target does by itself; `None` for one that changes nothing here, or for another chain.
fn decided(rule: &Rule, chain: &str) -> Option<Step> {
    let text = || format!("-A {chain} {}", rule.text);
    match rule.target.as_deref()? {
        "ACCEPT" => Some(Step::Accepted),
        "RETURN" => Some(Step::Returned),
        "DROP" | "REJECT" | "TARPIT" => Some(Step::Done(Fate::Dropped(text(), Some(Box::new(rule.clone()))))),
        "DNAT" => {
            let (address, port) = rule.to_destination.as_deref().unwrap_or_default().rsplit_once(':').map_or_else(
                || (rule.to_destination.clone().unwrap_or_default(), None),
                |(address, port)| (address.to_owned(), port.parse().ok()),
            );
            Some(Step::Done(match address.parse() {
                Ok(to) => Fate::Sent { to: Some(to), port, rule: text() },
                Err(_) => Fate::Unclear(text()),
            }))
        }
        "REDIRECT" => {
            let port = rule.to_ports.as_deref().and_then(|port| port.parse().ok());
            Some(Step::Done(Fate::Sent { to: None, port, rule: text() }))
        }
        _ => None,
    }
}

fn walk(table: &Table, chain: &str, packet: &Packet<'_>, depth: usize, from: usize) -> Step {
    let Some(rules) = table.0.get(chain).map(|chain| &chain.rules) else { return Step::Ended };
    for (at, rule) in rules.iter().enumerate().skip(from) {
        let met = meets(rule, packet);
        if met == Some(false) {
            continue;
        }
        let calls = rule.target.as_deref().filter(|target| depth < DEEPEST && table.0.contains_key(*target));
        let step = match (decided(rule, chain), calls) {
            (Some(step), _) => step,
            (None, Some(called)) => match walk(table, called, packet, depth + 1, 0) {
                Step::Ended | Step::Returned if rule.goes => return Step::Returned,
                Step::Ended | Step::Returned => continue,
                step => step,
            },
            (None, None) => continue,
        };
        if met == Some(true) {
            return step;
        }
        // It may or may not be met: only if both ways end alike is it told.
        let rest = walk(table, chain, packet, depth, at + 1);
        return match (&step, &rest) {
            (Step::Done(one), Step::Done(other)) if same(one, other) => rest,
            (Step::Accepted | Step::Returned, Step::Accepted | Step::Ended | Step::Returned) => rest,
            _ => Step::Done(Fate::Unclear(format!("-A {chain} {}", rule.text))),
        };
    }
    Step::Ended
}

fn same(one: &Fate, other: &Fate) -> bool {
    match (one, other) {
        (Fate::Dropped(..), Fate::Dropped(..)) => true,
        (Fate::Sent { to, port, .. }, Fate::Sent { to: other_to, port: other_port, .. }) => to == other_to && port == other_port,
        _ => false,
    }
}

/// Says what one chain of one backend does to a packet.
pub fn fate(rules: &Ruleset, table: &str, chain: &str, packet: &Packet<'_>) -> Fate {
    let Some(table) = rules.0.get(table) else { return Fate::Passes };
    match walk(table, chain, packet, 0, 0) {
        Step::Done(fate) => fate,
        Step::Accepted => Fate::Passes,
        Step::Ended | Step::Returned => match table.0.get(chain).and_then(|chain| chain.policy.as_deref()) {
            Some(policy @ ("DROP" | "REJECT")) => Fate::Dropped(format!("the policy of {chain} is {policy}"), None),
            _ => Fate::Passes,
        },
    }
}

/// Says what a chain does in both backends: whatever one of them does counts (facts/ecs.md B.3); `Err` for what could not be read.
pub fn both(netfilter: &Netfilter, table: &str, chain: &str, packet: &Packet<'_>) -> Result<Fate, String> {
    let mut unread = None;
    let mut unclear = None;
    for backend in [&netfilter.nft, &netfilter.legacy] {
        match backend {
            Readable::Unknown(why) => unread = Some(why.clone()),
            Readable::Known(None) => {}
            Readable::Known(Some(rules)) => match fate(rules, table, chain, packet) {
                Fate::Passes => {}
                Fate::Unclear(rule) => unclear = Some(Fate::Unclear(rule)),
                decided => return Ok(decided),
            },
        }
    }
    match (unclear, unread) {
        (Some(fate), _) => Ok(fate),
        (None, Some(why)) => Err(why),
        (None, None) => Ok(Fate::Passes),
    }
}

/// Says whether a rule is there that would lead a packet to the agent, if no other one came before it.
pub fn hidden(netfilter: &Netfilter, chain: &str, packet: &Packet<'_>) -> bool {
    let leads = |rule: &Rule| {
        meets(rule, packet) == Some(true) && matches!(decided(rule, chain), Some(Step::Done(Fate::Sent { port: Some(PORT), .. })))
    };
    let there =
        |rules: &Ruleset| rules.0.get("nat").and_then(|table| table.0.get(chain)).is_some_and(|chain| chain.rules.iter().any(leads));
    [&netfilter.nft, &netfilter.legacy].into_iter().any(|backend| matches!(backend, Readable::Known(Some(rules)) if there(rules)))
}

/// The first packet of a task's question for its credentials, as it comes in by an interface.
pub fn question(source: Ipv4Addr, interface: &str) -> Packet<'_> {
    Packet { source, destination: ENDPOINT, port: 80, input: Some(interface), output: None, states: &["NEW"] }
}

/// The same packet once a rule has led it to the agent.
pub fn led(source: Ipv4Addr, interface: &str) -> Packet<'_> {
    Packet { source, destination: Ipv4Addr::LOCALHOST, port: PORT, input: Some(interface), output: None, states: &["NEW", "DNAT"] }
}

/// The packet of a process with the host's own network; `interface` is the one of its route.
pub fn own_question(interface: &str) -> Packet<'_> {
    // The address is the host's, which no rule here asks for; any that is none of a loopback does.
    Packet { source: Ipv4Addr::new(10, 0, 0, 1), destination: ENDPOINT, port: 80, input: None, output: Some(interface), states: &["NEW"] }
}

/// The same packet once it was led to the agent: it comes back by `lo`, and keeps its source. That is an address of the host's, which a
/// filter of 127/8 takes for a stranger's, unless the endpoint is routed to `lo` from the start (facts A.3).
pub fn own_led(interface: &str) -> Packet<'static> {
    let source = if interface == "lo" { Ipv4Addr::LOCALHOST } else { own_question("").source };
    Packet { source, destination: Ipv4Addr::LOCALHOST, port: PORT, input: Some("lo"), output: None, states: &["NEW", "DNAT"] }
}

/// Gives the address that a container's packets come from.
pub fn address(addresses: &[String], interface: &str) -> Ipv4Addr {
    let default = if interface == "ecs-bridge" { Ipv4Addr::new(169, 254, 172, 2) } else { Ipv4Addr::new(172, 17, 0, 2) };
    // A task of awsvpc asks from its address on the bridge, whatever its own is.
    if interface == "ecs-bridge" { default } else { addresses.iter().find_map(|address| address.parse().ok()).unwrap_or(default) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecs::parse::iptables::save;

    const NAT: &str = "*nat\n:PREROUTING ACCEPT\n:DOCKER -\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n";
    const DNAT: &str = "-A PREROUTING -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:51679\n";

    fn prerouting(rules: &str) -> Fate {
        fate(&save(&format!("{NAT}{rules}COMMIT\n")), "nat", "PREROUTING", &question(Ipv4Addr::new(172, 17, 0, 2), "docker0"))
    }

    fn input(rules: &str) -> Fate {
        fate(&save(&format!("*filter\n{rules}COMMIT\n")), "filter", "INPUT", &led(Ipv4Addr::new(172, 17, 0, 2), "docker0"))
    }

    #[test]
    fn where_a_question_is_led() {
        assert!(matches!(prerouting(DNAT), Fate::Sent { to: Some(Ipv4Addr::LOCALHOST), port: Some(PORT), .. }));
        assert_eq!(prerouting(""), Fate::Passes);
        let first = "-A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 3128\n";
        assert!(matches!(prerouting(&format!("{first}{DNAT}")), Fate::Sent { to: None, port: Some(3128), .. }));
        assert!(matches!(prerouting(&format!("{DNAT}{first}")), Fate::Sent { port: Some(PORT), .. }));
        let elsewhere = "-A PREROUTING -d 169.254.170.2/32 -i eth0 -p tcp --dport 80 -j DNAT --to-destination 127.0.0.1:51679\n";
        assert_eq!(prerouting(elsewhere), Fate::Passes);
        assert_eq!(prerouting(&format!("-A PREROUTING -p tcp --dport 80 -j ACCEPT\n{DNAT}")), Fate::Passes);
        let owner = "-A PREROUTING -m set --match-set web dst -j REDIRECT --to-ports 3128\n";
        assert!(matches!(prerouting(&format!("{owner}{DNAT}")), Fate::Unclear(_)));
        assert!(matches!(prerouting(&format!("-A PREROUTING -m limit --limit 3/s -j LOG\n{DNAT}")), Fate::Sent { .. }));
    }

    #[test]
    fn what_the_filter_lets_in() {
        let ours = "-A INPUT ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP\n";
        let old = "-A INPUT ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP\n";
        assert_eq!(input(ours), Fate::Passes);
        assert!(matches!(input(old), Fate::Dropped(_, Some(_))));
        assert!(matches!(input(":INPUT DROP\n"), Fate::Dropped(_, None)));
        let open = "-A INPUT -i docker0 -d 127.0.0.0/8 -p tcp -m tcp --dport 51679 -j ACCEPT\n";
        assert_eq!(input(&format!(":INPUT DROP\n{open}")), Fate::Passes);
        assert!(matches!(input(&format!("{old}{open}")), Fate::Dropped(..)));
        let chains = ":INPUT ACCEPT\n:ufw -\n-A INPUT -j ufw\n-A ufw -i lo -j ACCEPT\n-A ufw -j REJECT\n";
        assert!(matches!(input(chains), Fate::Dropped(..)));
        let back = ":INPUT DROP\n:ufw -\n-A INPUT -j ufw\n-A INPUT -j ACCEPT\n-A ufw -i docker+ -j RETURN\n-A ufw -j REJECT\n";
        assert_eq!(input(back), Fate::Passes);
        assert!(matches!(input("-A INPUT -m recent --name x -j DROP\n"), Fate::Unclear(_)));
        assert_eq!(input(":INPUT ACCEPT\n:a -\n-A INPUT -j a\n-A a -j a\n"), Fate::Passes);
        let host = |interface| fate(&save(&format!("*filter\n{old}")), "filter", "INPUT", &own_led(interface));
        assert!(matches!(host("eth0"), Fate::Dropped(..)));
        assert_eq!(host("lo"), Fate::Passes);
    }
}
