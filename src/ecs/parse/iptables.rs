//! The text of `iptables-save`, rule by rule, by meaning and not by its order of words (facts/ecs.md B.3).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// What one backend holds: its tables by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset(pub BTreeMap<String, Table>);

/// A table: its chains by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table(pub BTreeMap<String, Chain>);

/// A chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// What happens at its end, for a chain of the kernel's own: `ACCEPT` or `DROP`.
    pub policy: Option<String>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// A value that a match may be turned round for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<T> {
    /// `!` stood before it.
    pub not: bool,
    /// What it is compared with.
    pub value: T,
}

/// IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    address: u32,
    bits: u32,
}

impl Net {
    /// Reads `1.2.3.4`, `1.2.3.0/24` or `1.2.3.0/255.255.255.0`; `None` for anything else, such as a host's name.
    pub fn parse(text: &str) -> Option<Net> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address = address.parse::<Ipv4Addr>().ok()?.to_bits();
        let bits = match prefix {
            None => 32,
            Some(prefix) if prefix.contains('.') => prefix.parse::<Ipv4Addr>().ok()?.to_bits().leading_ones(),
            Some(prefix) => prefix.parse::<u32>().ok().filter(|bits| *bits <= 32)?,
        };
        Some(Net { address, bits })
    }

    /// Says whether an address is one of them.
    pub fn has(self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
        self.address & mask == address.to_bits() & mask
    }
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// As it was printed, without its chain and its counters.
    pub text: String,
    /// How many packets it has met, where the counters were printed.
    pub packets: Option<u64>,
    /// Where packets come from.
    pub source: Option<Match<Net>>,
    /// Where packets go.
    pub destination: Option<Match<Net>>,
    /// The interface that they come in by; a `+` at the end stands for anything.
    pub input: Option<Match<String>>,
    /// The interface that they leave by.
    pub output: Option<Match<String>>,
    /// `tcp`, `udp`, …
    pub protocol: Option<Match<String>>,
    /// Ports that they go to, from and to.
    pub ports: Option<Match<Vec<(u16, u16)>>>,
    /// Connection states.
    pub states: Option<Match<Vec<String>>>,
    /// The kind of address that they go to: `LOCAL`, …
    pub destination_type: Option<Match<String>>,
    /// What is asked for besides, which isn't judged here.
    pub other: Vec<String>,
    /// Where the rule leads: `ACCEPT`, `DROP`, `DNAT`, another chain …
    pub target: Option<String>,
    /// A `-g`: what follows that chain follows this one's caller.
    pub goes: bool,
    /// Where `DNAT` leads.
    pub to_destination: Option<String>,
    /// Where `REDIRECT` leads.
    pub to_ports: Option<String>,
}

/// Reads what `iptables-save` prints; lines that it doesn't know are passed over.
pub fn save(text: &str) -> Ruleset {
    let mut set = Ruleset::default();
    let mut table = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('*') {
            set.0.entry(name.to_owned()).or_default();
            table = Some(name.to_owned());
            continue;
        }
        let Some(chains) = table.as_ref().and_then(|name| set.0.get_mut(name)).map(|table| &mut table.0) else { continue };
        if let Some(rest) = line.strip_prefix(':') {
            let mut parts = rest.split(' ');
            if let (Some(name), Some(policy)) = (parts.next(), parts.next()) {
                chains.entry(name.to_owned()).or_default().policy = Some(policy.to_owned()).filter(|policy| policy != "-");
            }
        } else if let Some((chain, rule)) = rule(line) {
            chains.entry(chain).or_default().rules.push(rule);
        }
    }
    set
}

/// Reads one line `-A CHAIN …`, with or without counters before it.
pub fn rule(line: &str) -> Option<(String, Rule)> {
    let (packets, line) = match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((counters, rest)) => (counters.split(':').next().and_then(|count| count.parse().ok()), rest.trim_start()),
        None => (None, line),
    };
    let rest = line.strip_prefix("-A ")?;
    let (chain, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut rule = Rule { text: text.to_owned(), packets, ..Rule::default() };
    let words = words(text);
    let mut words = words.iter().map(String::as_str).peekable();
    let mut not = false;
    while let Some(word) = words.next() {
        if word == "!" {
            not = true;
            continue;
        }
        let take = |words: &mut std::iter::Peekable<_>| Iterator::next(words).unwrap_or_default();
        match word {
            "-s" | "--source" | "--src" => rule.source = net(not, take(&mut words), &mut rule.other),
            "-d" | "--destination" | "--dst" => rule.destination = net(not, take(&mut words), &mut rule.other),
            "-i" | "--in-interface" => rule.input = Some(Match { not, value: take(&mut words).to_owned() }),
            "-o" | "--out-interface" => rule.output = Some(Match { not, value: take(&mut words).to_owned() }),
            "-p" | "--protocol" => rule.protocol = Some(Match { not, value: take(&mut words).to_lowercase() }),
            "--dport" | "--destination-port" | "--dports" | "--destination-ports" => {
                rule.ports = Some(Match { not, value: ports(take(&mut words)) });
            }
            "--ctstate" | "--state" => {
                rule.states = Some(Match { not, value: take(&mut words).split(',').map(str::to_owned).collect() });
            }
            "--dst-type" => rule.destination_type = Some(Match { not, value: take(&mut words).to_owned() }),
            "-m" | "--match" => {
                let known = ["tcp", "udp", "conntrack", "state", "multiport", "addrtype", "comment"];
                let name = take(&mut words);
                if !known.contains(&name) {
                    rule.other.push(format!("-m {name}"));
                }
            }
            "--comment" => _ = take(&mut words),
            "-j" | "--jump" | "-g" | "--goto" => {
                rule.target = Some(take(&mut words).to_owned());
                rule.goes = word.starts_with("-g") || word == "--goto";
            }
            "--to-destination" => rule.to_destination = Some(take(&mut words).to_owned()),
            "--to-ports" | "--to-port" => rule.to_ports = Some(take(&mut words).to_owned()),
            other => {
                // What stands behind the target belongs to it and asks for nothing.
                if rule.target.is_none() {
                    rule.other.push(if not { format!("! {other}") } else { other.to_owned() });
                }
            }
        }
        not = false;
    }
    Some((chain.to_owned(), rule))
}

fn net(not: bool, text: &str, other: &mut Vec<String>) -> Option<Match<Net>> {
    let value = Net::parse(text);
    if value.is_none() {
        other.push(text.to_owned());
    }
    value.map(|value| Match { not, value })
}

fn ports(text: &str) -> Vec<(u16, u16)> {
    let one = |text: &str| {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let number = |text: &str, default: u16| match text {
            "" => Some(default),
            "http" => Some(80),
            other => other.parse().ok(),
        };
        Some((number(first, 0)?, number(last, u16::MAX)?))
    };
    text.split(',').filter_map(one).collect()
}

/// Splits at blanks that no quote holds together.
fn words(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quoted = false;
    let mut escaped = false;
    for character in text.chars() {
        let Some(word) = found.last_mut() else { break };
        match character {
            _ if escaped => {
                word.push(character);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => found.push(String::new()),
            other => word.push(other),
        }
    }
    found.retain(|word| !word.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAVED: &str = r#"# Generated by iptables-save v1.8.9 (nf_tables) on Sun
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
[5:300] -A PREROUTING -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:51679
-A OUTPUT -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -m comment --comment "a -j \"DROP\"" -j REDIRECT --to-ports 51679
COMMIT
*filter
:INPUT DROP [1:2]
-A INPUT ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A INPUT -i docker+ -p tcp -m multiport --dports 80,51000:52000 -m limit --limit 3/sec -g OTHER
COMMIT
"#;

    #[test]
    fn the_rules_of_facts_b3() {
        let set = save(SAVED);
        let nat = &set.0["nat"].0;
        let prerouting = &nat["PREROUTING"];
        assert_eq!(prerouting.policy.as_deref(), Some("ACCEPT"));
        assert_eq!(nat["DOCKER"], Chain::default());
        let dnat = &prerouting.rules[0];
        assert_eq!(
            (dnat.packets, dnat.target.as_deref(), dnat.to_destination.as_deref()),
            (Some(5), Some("DNAT"), Some("127.0.0.1:51679"))
        );
        assert_eq!(dnat.destination, Some(Match { not: false, value: Net::parse("169.254.170.2").unwrap() }));
        let redirect = &nat["OUTPUT"].rules[0];
        assert_eq!((redirect.target.as_deref(), redirect.to_ports.as_deref()), (Some("REDIRECT"), Some("51679")));
        let input = &set.0["filter"].0["INPUT"];
        assert_eq!(input.policy.as_deref(), Some("DROP"));
        let states = ["RELATED", "ESTABLISHED", "DNAT"].map(str::to_owned).to_vec();
        assert_eq!(input.rules[0].states, Some(Match { not: true, value: states }));
        assert!(input.rules[0].source.as_ref().unwrap().not && !input.rules[0].destination.as_ref().unwrap().not);
        let last = &input.rules[1];
        assert_eq!(last.ports.as_ref().unwrap().value, [(80, 80), (51000, 52000)]);
        assert!(last.goes && last.other == ["-m limit", "--limit", "3/sec"], "{last:?}");
    }

    #[test]
    fn networks() {
        let has = |net: &str, address: &str| Net::parse(net).unwrap().has(address.parse().unwrap());
        assert!(has("127.0.0.0/8", "127.9.9.9") && !has("127.0.0.0/8", "128.0.0.1") && has("0.0.0.0/0", "1.2.3.4"));
        assert!(has("10.0.0.0/255.0.0.0", "10.1.1.1") && has("1.2.3.4", "1.2.3.4") && !has("1.2.3.4", "1.2.3.5"));
        assert_eq!(["1.2.3.4/33", "host", "1.2.3"].map(Net::parse), [None; 3]);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            lines in proptest::collection::vec("(\\*|:|-A |\\[)?(nat|INPUT|! |-s |-d |-m |-j |--dport |1.2.3.4/8 |\"|\\\\|\\PC){0,12}", 0..12),
        ) {
            let _ = save(&lines.join("\n"));
        }

        #[test]
        fn the_order_of_words_does_not_matter(order in Just(vec![0, 1, 2, 3]).prop_shuffle(), slash in any::<bool>(), long in any::<bool>()) {
            let parts = [
                format!("{} 169.254.170.2{}", if long { "--destination" } else { "-d" }, if slash { "/32" } else { "" }),
                "-p tcp -m tcp".to_owned(),
                "--dport 80".to_owned(),
                "-i docker0".to_owned(),
            ];
            let text: Vec<String> = order.iter().map(|at| parts[*at].clone()).collect();
            let (chain, mut rule) = rule(&format!("-A PREROUTING {} -j DNAT --to-destination 127.0.0.1:51679", text.join(" "))).unwrap();
            let (_, mut straight) = super::rule(
                "-A X -d 169.254.170.2/32 -p tcp --dport 80 -i docker0 -j DNAT --to-destination 127.0.0.1:51679").unwrap();
            rule.text.clear();
            straight.text.clear();
            prop_assert_eq!(chain, "PREROUTING");
            prop_assert_eq!(rule, straight);
        }
    }
}
