//! A rule or a call of the chain, looked up by its name.

use crate::deploy::chain::{Grade, ROWS, Row as Call};
use crate::deploy::failures::{self, Row, redact};
use crate::error::{Error, Result};
use crate::model::Check;
use crate::report::rules;
use crate::ui::{Tone, Ui, paint};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Tells a rule by its id, or a call by its name.
///
/// # Errors
/// There is none of that name.
pub fn explain(ui: &Ui, what: &str) -> Result<u8> {
    // A second rule's calls have its name behind theirs.
    let name = what.split(':').next().unwrap_or(what);
    if let Some(call) = ROWS.iter().find(|row| row.name.eq_ignore_ascii_case(name) || row.id().eq_ignore_ascii_case(what)) {
        ui.json(&of_call(ui, call));
        return Ok(0);
    }
    if let Some(rule) = rules::find(what) {
        ui.json(&of_rule(ui, rule));
        return Ok(0);
    }
    Err(unknown(what))
}

/// How many characters of what was asked for are repeated; no rule and no call has a name as long.
const REPEATED: usize = 60;

const PIPED: &str = "a message goes on standard input: `xdeploy explain - < message.txt`";

fn unknown(what: &str) -> Error {
    // It may be a message all the same, with what messages hold.
    let clean = redact(what);
    let shown: String = clean.chars().take(REPEATED).collect();
    let cut = shown.len() < clean.len();
    let error = Error::usage(format!("there is no rule and no call `{shown}{}`", if cut { " …" } else { "" }));
    if cut || what.contains(char::is_whitespace) {
        return error.hint(PIPED).hint("the README lists all rules and calls");
    }
    let error = match meant(what) {
        Some(hint) => error.hint(hint),
        None => error,
    };
    error.hint(format!("the README lists all rules and calls; {PIPED}"))
}

/// Guesses what was meant: a rule of the family that was named, or a call whose name is alike.
fn meant(what: &str) -> Option<String> {
    let what = what.to_ascii_uppercase();
    if !what.starts_with("XD-") {
        let like = |name: &str| strsim::jaro_winkler(&name.to_ascii_uppercase(), &what);
        let nearest = ROWS.iter().map(|row| row.name).max_by(|one, other| like(one).total_cmp(&like(other)));
        return nearest.filter(|name| like(name) > 0.8).map(|name| format!("did you mean `{name}`?"));
    }
    let (family, number) = what.rsplit_once('-')?;
    // `XD-CP-6` is no typing error but a number without its zeros.
    if let Some(rule) = number.parse::<u16>().ok().and_then(|number| rules::find(&format!("{family}-{number:03}"))) {
        return Some(format!("did you mean `{}`?", rule.id));
    }
    let mut families: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for rule in rules::rules() {
        families.entry(rule.id.rsplit_once('-').map_or(rule.id, |(family, _)| family)).or_default().push(rule.id);
    }
    if let Some((first, last)) = families.get(family).and_then(|own| Some((own.iter().min()?, own.iter().max()?))) {
        return Some(format!("the rules of {family} lie between `{first}` and `{last}`"));
    }
    Some(format!("the rules begin with {}", families.into_keys().collect::<Vec<_>>().join(", ")))
}

fn ids(numbers: impl Iterator<Item = &'static Row>) -> Vec<&'static str> {
    numbers.map(|row| row.check.id).collect()
}

fn of_rule(ui: &Ui, rule: &'static Check) -> Value {
    let mut document = json!({
        "schema": "xdeploy.explain/1", "kind": "rule", "id": rule.id, "title": rule.title, "why": rule.why, "fix": rule.fix,
        "article": rule.article, "docs": rule.docs,
    });
    ui.result(&paint(Tone::Heading, format!("{} {}", rule.id, rule.title)));
    let row = failures::rows().iter().find(|row| row.check.id == rule.id);
    if let Some(row) = row {
        let at: Vec<&str> = row.at.iter().map(|place| place.word()).collect();
        ui.result(&format!("  says:  {}", row.says));
        ui.result(&format!("  where: {}", at.join(", ")));
        document["says"] = json!(row.says);
        document["where"] = json!(row.at);
    }
    ui.result(&format!("  why:   {}", rule.why));
    ui.result(&format!("  fix:   {}", rule.fix));
    if let Some(row) = row {
        let neighbours =
            ids(failures::rows().iter().copied().filter(|other| other.behind.contains(&row.number) || row.behind.contains(&other.number)));
        ui.result(&format!("  tell:  {}", row.tell));
        for (word, list) in [("calls: ", row.links.to_vec()), ("like:  ", neighbours.clone())] {
            if !list.is_empty() {
                ui.result(&format!("  {word}{}", list.join(", ")));
            }
        }
        document["tell"] = json!(row.tell);
        document["links"] = json!(row.links);
        document["like"] = json!(neighbours);
    }
    ui.result(&format!("  {}; {}", rule.article.join(", "), rule.docs));
    document
}

fn of_call(ui: &Ui, call: &'static Call) -> Value {
    let rows = ids(failures::rows().iter().copied().filter(|row| row.links.contains(&call.name)));
    let made = match call.grade() {
        Grade::MayBeCalled => "may not be needed: without it `xdeploy verify` warns",
        _ => "every run that it applies to makes it: without it the deployment fails",
    };
    ui.result(&paint(Tone::Heading, format!("{} {}", call.id(), call.name)));
    ui.result(&format!("  who:   {}", call.who.words()));
    ui.result(&format!("  what:  {} on {}", call.action, call.on.words()));
    ui.result(&format!("  for:   {}", call.why));
    ui.result(&format!("  grade: {}; {made}", call.grade().words()));
    ui.result(&format!("  since: {}; {}", call.grounds.text, call.grounds.docs));
    ui.result(&format!("  where: {} grants it", call.article));
    if !rows.is_empty() {
        ui.result(&format!("  fails: {}", rows.join(", ")));
    }
    ui.section("`xdeploy verify` says whether it is allowed, by which statement, and what would allow it.");
    json!({
        "schema": "xdeploy.explain/1", "kind": "link", "id": call.id(), "name": call.name, "who": call.who.words(), "action": call.action,
        "on": call.on.words(), "why": call.why, "mayBeCalled": call.grade() == Grade::MayBeCalled, "grade": call.grade(), "restsOn": call.grounds, "article": call.article.split(", ").collect::<Vec<_>>(),
        "fact": call.fact, "failures": rows,
    })
}
