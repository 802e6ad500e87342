//! The rules in force, read without changing the host (facts/ecs.md 0.10).

use super::source::Source;
use crate::ecs::facts::Netfilter;
use crate::ecs::parse::iptables::{Ruleset, save};
use crate::model::Readable;

/// The kernel's list of legacy tables; reading it makes none.
const LEGACY_TABLES: &str = "/proc/net/ip_tables_names";

/// Reads both backends.
pub fn gather(source: &Source) -> Netfilter {
    if !source.live {
        return Netfilter { nft: captured(source, "iptables-nft-save.txt"), legacy: captured(source, "iptables-legacy-save.txt") };
    }
    // `iptables-save` is the one of the two that the host has chosen; each may also be there by its own name.
    let version = || match source.output("iptables", &["--version"], "") {
        Readable::Known(version) if version.contains("nf_tables") => "nft",
        Readable::Known(_) => "legacy",
        Readable::Unknown(_) => "",
    };
    let chosen = if source.has_program("iptables-save") { version() } else { "" };
    let program = |own: &'static str, kind: &str| match source.has_program(own) {
        true => Some(own),
        false => (chosen == kind).then_some("iptables-save"),
    };
    let rules = |program: &str| match source.output(program, &[], "") {
        Readable::Known(text) => Readable::Known(Some(save(&text)).filter(|set| *set != Ruleset::default())),
        Readable::Unknown(why) => Readable::Unknown(why),
    };
    let legacy = match source.text(LEGACY_TABLES) {
        // Without the kernel's module, or with no table made, there is nothing to read, and nothing may be made.
        Readable::Known(None) => Readable::Known(None),
        Readable::Known(Some(tables)) if tables.trim().is_empty() => Readable::Known(None),
        Readable::Known(Some(_)) => match program("iptables-legacy-save", "legacy") {
            Some(program) => rules(program),
            None => Readable::Unknown("there are legacy tables, and iptables-legacy-save is not installed".into()),
        },
        Readable::Unknown(why) => Readable::Unknown(format!("{why} (run as root)")),
    };
    let nft = match program("iptables-nft-save", "nft") {
        Some(program) => rules(program),
        // Where iptables is the legacy one, it is the only one that ever wrote.
        None if chosen == "legacy" => Readable::Known(None),
        None => Readable::Unknown("iptables-nft-save is not installed".into()),
    };
    Netfilter { nft, legacy }
}

fn captured(source: &Source, name: &str) -> Readable<Option<Ruleset>> {
    match source.output("", &[], name) {
        Readable::Known(text) => Readable::Known(Some(save(&text)).filter(|set| *set != Ruleset::default())),
        Readable::Unknown(why) => Readable::Unknown(why),
    }
}
