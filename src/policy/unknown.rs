//! Keys whose value isn't known: tries one value of every kind that the statements can tell apart.
//!
//! Where the kinds are complete, an answer that is the same for all of them is certain; where they can't be listed, it is
//! left unknown.

use super::condition::{Place, Tri, one};
use super::context::{Context, Found, Held};
use super::decision::{Match, Question, Verdict, View};
use super::parsed::{Condition, Quantifier, Statement, Test};
use super::pattern::{self, Filled, Piece, Token};
use super::values::{self, Network};
use std::collections::{BTreeSet, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

/// How many combinations of values are tried at most.
const TRIES: usize = 4096;
/// How many lists of values are tried for a key at most.
const LISTS: usize = 512;
/// How many states of all patterns of one key are followed at most.
const STATES: usize = 2000;
/// How many steps of a pattern are worth an answer.
const STEPS: usize = 20_000_000;

fn has_variable(text: &str, key: &str) -> bool {
    pattern::pieces(text, true).iter().any(|piece| matches!(piece, Piece::Variable { key: own, .. } if own.eq_ignore_ascii_case(key)))
}

fn resources<'s>(statement: &'s Statement<'_>) -> impl Iterator<Item = &'s str> {
    statement.resource.iter().flat_map(|resource| resource.values.texts())
}

fn mentions(found: &Match<'_, '_>, key: &str) -> bool {
    let variables = found.document.variables;
    let in_condition = |condition: &Condition<'_>| {
        condition.key.eq_ignore_ascii_case(key) || (variables && condition.values.scalars().any(|value| has_variable(&value, key)))
    };
    found.statement.conditions.iter().any(in_condition) || (variables && resources(found.statement).any(|text| has_variable(text, key)))
}

/// Lists the unknown keys that undecided statements hang on.
pub(crate) fn keys<'a>(context: &Context<'a>, matches: &[Match<'_, '_>]) -> Vec<&'a str> {
    let unsure: Vec<_> = matches.iter().filter(|found| found.holds == Tri::Maybe).collect();
    context.unknown().iter().filter(|key| unsure.iter().any(|found| mentions(found, key))).copied().collect()
}

/// Gives the verdict if it is the same whatever the unknown keys are; denials of both kinds are an implicit one.
pub(crate) fn settle(question: &Question<'_>, context: &Context<'_>, matches: &[Match<'_, '_>]) -> Option<Verdict> {
    let keys = keys(context, matches);
    let mut tries = vec![context.clone()];
    for key in &keys {
        let (values, complete) = candidates(question, context, matches, key);
        if !complete || values.len().saturating_mul(tries.len()) > TRIES {
            return None;
        }
        tries = tries.iter().flat_map(|one| values.iter().map(|value| one.suppose(key, value.clone()))).collect();
    }
    let mut verdict = None;
    for context in &tries {
        let own = question.decide(&question.matches(context), View::Worst).verdict;
        verdict = match (verdict, own) {
            (None, own) => Some(own),
            (Some(before), own) if before == own => Some(own),
            (Some(Verdict::Allowed), _) | (_, Verdict::Allowed) => return None,
            _ => Some(Verdict::ImplicitlyDenied),
        };
    }
    verdict
}

/// What the statements ask of one key.
#[derive(Default)]
struct Asked {
    patterns: Vec<Vec<Token>>,
    numbers: Vec<String>,
    dates: Vec<i64>,
    networks: Vec<Network>,
    binaries: Vec<String>,
    boolean: bool,
    date: bool,
    number: bool,
    address: bool,
    incomplete: bool,
}

/// Says whether no other letter than an ASCII one is equal to this one but for its case.
fn is_plain(letter: char) -> bool {
    // A dot above is left when a Turkish I is made small.
    let caseless = || letter.to_lowercase().eq([letter]) && letter.to_uppercase().eq([letter]) && letter != '\u{307}';
    letter.is_ascii() || caseless()
}

fn any_case(text: &str) -> Vec<Token> {
    text.encode_utf16().map(|unit| if unit < 128 { Token::AnyCase(unit) } else { Token::Unit(unit) }).collect()
}

fn units(text: &str) -> Vec<Token> {
    text.encode_utf16().map(Token::Unit).collect()
}

impl Asked {
    fn of_key(&mut self, condition: &Condition<'_>, variables: bool, context: &Context<'_>) {
        if condition.operator.test == Test::Arn {
            // Whether a value is an ARN at all decides too.
            self.patterns.push([units("arn:"), vec![Token::Star]].concat());
            let colon = [Token::Star, Token::Unit(u16::from(b':'))];
            self.patterns.push([units("arn"), colon.repeat(5), vec![Token::Star]].concat());
        }
        for value in condition.values.scalars() {
            let value = value.as_ref();
            match condition.operator.test {
                Test::Null => {}
                Test::StringEquals | Test::StringEqualsIgnoreCase => match pattern::literal(value, variables, context) {
                    Filled::Known(text) if condition.operator.test == Test::StringEquals => self.patterns.push(units(&text)),
                    Filled::Known(text) if text.chars().all(is_plain) => {
                        self.patterns.push(any_case(&text));
                    }
                    Filled::Nothing => {}
                    _ => self.incomplete = true,
                },
                Test::StringLike => match pattern::like(value, variables, context) {
                    Filled::Known(tokens) => self.patterns.push(tokens),
                    Filled::Nothing => {}
                    Filled::Unknown => self.incomplete = true,
                },
                Test::Arn => match pattern::arn(value, variables, context) {
                    Filled::Known(tokens) => self.patterns.extend(tokens),
                    Filled::Nothing => {}
                    Filled::Unknown => self.incomplete = true,
                },
                Test::Bool => {
                    self.boolean = true;
                    self.incomplete |= variables && value.contains("${");
                }
                Test::Numeric(_) => {
                    self.number = true;
                    self.numbers.extend(values::decimal(value).is_some().then(|| value.to_string()));
                    // Written out, so that longer neighbours can be made of it.
                    self.incomplete |= value.contains(['e', 'E']);
                }
                Test::Date(_) => {
                    self.date = true;
                    self.dates.extend(values::date(value));
                }
                Test::Ip => {
                    self.address = true;
                    self.networks.extend(values::network(value));
                }
                Test::Binary => self.binaries.push(value.to_string()),
            }
        }
    }

    /// The key fills a variable of something that is compared with a known text: only parts of that text can make it match.
    fn of_variable(
        &mut self,
        text: &str,
        key: &str,
        context: &Context<'_>,
        tokens: fn(&str) -> Vec<Token>,
        matched: impl Fn(&Context<'_>) -> Tri,
    ) {
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        if ends.len() > 120 {
            self.incomplete = true;
            return;
        }
        let parts: BTreeSet<&str> =
            ends.iter().flat_map(|from| ends.iter().filter_map(|to| text.get(*from..*to)).collect::<Vec<_>>()).collect();
        for part in parts {
            match matched(&context.suppose(key, Some(Held::One(part.into())))) {
                Tri::Yes => self.patterns.push(tokens(part)),
                Tri::Maybe => self.incomplete = true,
                Tri::No => {}
            }
            if self.patterns.len() > 60 {
                self.incomplete = true;
                return;
            }
        }
    }

    /// The values of a key that is a moment later than `after`.
    fn moments(&mut self, after: i64) -> Vec<String> {
        let others = !self.patterns.is_empty() || self.number || self.address || self.boolean || !self.binaries.is_empty();
        self.incomplete |= others;
        let around = |date: &i64| [date - 1, *date, date + 1];
        let dates: BTreeSet<i64> = self.dates.iter().flat_map(around).chain([after + 1]).filter(|date| *date > after).collect();
        dates.into_iter().map(|date| format!("{}.{:03}", date / 1000, date % 1000)).collect()
    }

    fn scalars(&mut self) -> Vec<String> {
        let families = [!self.patterns.is_empty(), self.number, self.date, self.address, self.boolean, !self.binaries.is_empty()];
        if families.iter().filter(|used| **used).count() > 1 {
            self.incomplete = true;
        }
        let mut found: Vec<String> = vec!["\u{e000}".to_owned()];
        match witnesses(&self.patterns) {
            Some(texts) => found.extend(texts),
            None => self.incomplete = true,
        }
        if self.boolean {
            found.extend(["true".to_owned(), "false".to_owned()]);
        }
        if !self.binaries.is_empty() {
            found.extend(self.binaries.iter().cloned());
            found.push("eGRlcGxveQ==".to_owned());
        }
        if self.number {
            found.extend(numbers(&self.numbers));
        }
        if self.date {
            self.incomplete |= self.dates.iter().any(|date| *date < 1);
            let around = |date: &i64| [date - 1, *date, date + 1];
            let near = self.dates.iter().flat_map(around).chain([0]).filter(|date| *date >= 0);
            found.extend(near.map(|date| format!("{}.{:03}", date / 1000, date % 1000)));
        }
        if self.address {
            found.extend(["0.0.0.0".to_owned(), "::".to_owned()]);
            for network in &self.networks {
                match network {
                    Network::V4(first, last) => {
                        found.push(Ipv4Addr::from(*first).to_string());
                        found.extend(last.checked_add(1).map(|next| Ipv4Addr::from(next).to_string()));
                    }
                    Network::V6(first, last) => {
                        for address in [Some(*first), last.checked_add(1)].into_iter().flatten() {
                            // An address that stands for an IPv4 one is judged as that.
                            self.incomplete |= address >> 32 == 0xffff;
                            found.push(Ipv6Addr::from(address).to_string());
                        }
                    }
                }
            }
        }
        let mut seen = HashSet::new();
        found.retain(|text| seen.insert(text.clone()));
        found
    }
}

/// One number of each stretch between the numbers of the policies, and those numbers.
fn numbers(texts: &[String]) -> Vec<String> {
    let longest = texts.iter().map(String::len).max().unwrap_or(1) + 1;
    let (far, near) = ("9".repeat(longest), format!("{}1", "0".repeat(longest)));
    let mut found = vec!["0".to_owned(), far.clone(), format!("-{far}"), format!("0.{near}"), format!("-0.{near}")];
    for text in texts {
        let dot = if text.contains('.') { "" } else { "." };
        found.push(text.clone());
        // A little further from zero.
        found.push(format!("{text}{dot}{near}"));
    }
    found
}

/// One text for every set of patterns that a text can match at once; `None`: too many to follow.
fn witnesses(patterns: &[Vec<Token>]) -> Option<Vec<String>> {
    if patterns.is_empty() {
        return Some(Vec::new());
    }
    // A unit of private use stands for all that no pattern names, alone for a letter of one unit and twice for one of two.
    let mut alphabet = BTreeSet::from([vec![0xe000_u16], vec![u16::from(b':')]]);
    for tokens in patterns {
        for (at, token) in tokens.iter().enumerate() {
            match (token, tokens.get(at + 1)) {
                // Half of a pair can't be tried by itself.
                (Token::Unit(first @ 0xd800..0xdc00), Some(Token::Unit(second @ 0xdc00..0xe000))) => {
                    alphabet.insert(vec![*first, *second]);
                }
                (Token::Unit(0xdc00..0xe000), _) => {}
                (Token::Unit(unit), _) => {
                    alphabet.insert(vec![*unit]);
                }
                (Token::AnyCase(unit), _) => {
                    let byte = u8::try_from(*unit).ok()?;
                    alphabet.extend([byte.to_ascii_lowercase(), byte.to_ascii_uppercase()].map(|byte| vec![u16::from(byte)]));
                }
                _ => {}
            }
        }
    }
    let length: usize = patterns.iter().map(|tokens| tokens.len() + 1).sum();
    let states = STATES.min(STEPS / (alphabet.len() * length));
    let start: Vec<pattern::Places> = patterns.iter().map(|tokens| pattern::begin(tokens)).collect();
    let mut seen = HashSet::from([start.clone()]);
    let mut queue = std::collections::VecDeque::from([(start, Vec::<u16>::new())]);
    let mut kinds: HashSet<Vec<bool>> = HashSet::new();
    let mut found = Vec::new();
    while let Some((state, text)) = queue.pop_front() {
        if kinds.insert(state.iter().map(pattern::ends).collect()) {
            found.push(String::from_utf16_lossy(&text));
        }
        for letter in &alphabet {
            let next: Vec<_> = patterns.iter().zip(&state).map(|(tokens, places)| pattern::steps(tokens, places, letter)).collect();
            if !seen.contains(&next) {
                if seen.len() >= states {
                    return None;
                }
                seen.insert(next.clone());
                queue.push_back((next, [text.as_slice(), letter].concat()));
            }
        }
    }
    Some(found)
}

/// Lists a value of each kind that a key may have, its absence included, and says whether that is all kinds.
fn candidates(question: &Question<'_>, context: &Context<'_>, matches: &[Match<'_, '_>], key: &str) -> (Vec<Option<Held<'static>>>, bool) {
    let mut asked = Asked::default();
    // Also a statement that doesn't match says what kind of key it is.
    let mut conditions = question.documents.iter().flat_map(|document| &document.statements).flat_map(|statement| &statement.conditions);
    let listed = conditions.any(|own| own.key.eq_ignore_ascii_case(key) && own.operator.quantifier != Quantifier::Scalar);
    for found in matches.iter().filter(|found| found.holds == Tri::Maybe) {
        let variables = found.document.variables;
        for condition in &found.statement.conditions {
            if condition.key.eq_ignore_ascii_case(key) {
                asked.of_key(condition, variables, context);
            }
            for value in condition.values.scalars().filter(|value| variables && has_variable(value, key)) {
                let value = value.as_ref();
                let known: Vec<&str> = match context.find(condition.key) {
                    Found::Absent => Vec::new(),
                    Found::One(text) => vec![text],
                    Found::Many(texts) => texts.iter().map(AsRef::as_ref).collect(),
                    Found::Unknown => {
                        asked.incomplete = true;
                        continue;
                    }
                };
                for text in known {
                    match condition.operator.test {
                        Test::StringEquals => asked.of_variable(text, key, context, units, |context| equals(value, text, context)),
                        Test::StringLike => asked.of_variable(text, key, context, units, |context| likes(value, text, context)),
                        Test::StringEqualsIgnoreCase if value.is_ascii() && text.is_ascii() => {
                            let same = |own: String| own.eq_ignore_ascii_case(text);
                            let matched = |context: &Context<'_>| Tri::filled(pattern::literal(value, true, context).map(same));
                            asked.of_variable(text, key, context, any_case, matched);
                        }
                        Test::StringEqualsIgnoreCase | Test::Arn | Test::Bool => asked.incomplete = true,
                        // Variables are text there.
                        Test::Numeric(_) | Test::Date(_) | Test::Binary | Test::Ip | Test::Null => {}
                    }
                }
            }
        }
        for pattern in resources(found.statement).filter(|text| variables && has_variable(text, key)) {
            let matched = |context: &Context<'_>| Tri::filled(pattern::resource(pattern, &question.target, true, context));
            asked.of_variable(&question.target, key, context, units, matched);
        }
    }
    if let Some(after) = context.later_than(key) {
        let moments = asked.moments(after.max(0));
        return (moments.into_iter().map(|text| Some(Held::One(text.into()))).collect(), !asked.incomplete);
    }
    let scalars = asked.scalars();
    let mut found: Vec<Option<Held<'static>>> = vec![None];
    found.extend(scalars.iter().map(|text| Some(Held::One(text.clone().into()))));
    if listed {
        match lists(&scalars, context, matches, key) {
            Some(lists) => found.extend(lists.into_iter().map(|list| Some(Held::Many(list)))),
            None => asked.incomplete = true,
        }
    }
    (found, !asked.incomplete)
}

/// Gives a list for each way in which the set operators can turn out, from the empty one on; `None`: too many.
///
/// A set operator is true of a list as it is of the members, all or any of them, so lists are grown member by member until
/// nothing turns out in a new way.
fn lists(
    scalars: &[String],
    context: &Context<'_>,
    matches: &[Match<'_, '_>],
    key: &str,
) -> Option<Vec<Vec<std::borrow::Cow<'static, str>>>> {
    let mut asked = Vec::new();
    for found in matches.iter().filter(|found| found.holds == Tri::Maybe) {
        let of_sets = |own: &&Condition<'_>| own.key.eq_ignore_ascii_case(key) && own.operator.quantifier != Quantifier::Scalar;
        asked.extend(found.statement.conditions.iter().filter(of_sets).map(|own| (own, found.document.variables, found.statement.deny)));
    }
    // A list fills no variable, whatever is in it.
    let context = context.suppose(key, Some(Held::Many(Vec::new())));
    let mut passed = Vec::new();
    for text in scalars {
        let mut row = Vec::new();
        for (condition, variables, deny) in &asked {
            match one(condition, text, Place { context: &context, variables: *variables, deny: *deny }) {
                Tri::Maybe => return None,
                found => row.push(found == Tri::Yes),
            }
        }
        passed.push(row);
    }
    let start: Vec<bool> = asked.iter().map(|(condition, ..)| condition.operator.quantifier == Quantifier::ForAll).collect();
    let mut seen: HashSet<Vec<bool>> = HashSet::new();
    let mut found = vec![(Vec::new(), start.clone())];
    let mut at = 0;
    while let Some((members, outcome)) = found.get(at).cloned() {
        at += 1;
        for (text, row) in scalars.iter().zip(&passed) {
            let grown =
                outcome.iter().zip(row).zip(&start).map(|((so_far, own), all)| if *all { *so_far && *own } else { *so_far || *own });
            let grown: Vec<bool> = grown.collect();
            if seen.insert(grown.clone()) {
                if found.len() >= LISTS {
                    return None;
                }
                found.push(([members.as_slice(), &[text.clone().into()]].concat(), grown));
            }
        }
    }
    Some(found.into_iter().map(|(members, _)| members).collect())
}

fn equals(value: &str, text: &str, context: &Context<'_>) -> Tri {
    Tri::filled(pattern::literal(value, true, context).map(|own| own == text))
}

fn likes(value: &str, text: &str, context: &Context<'_>) -> Tri {
    Tri::filled(pattern::is_like(value, true, context, text))
}
