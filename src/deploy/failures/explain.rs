//! The ranking: text first, code second, and what both accounts hold to tell rows apart that say the same.

use super::evidence::bare;
use super::told::{Cause, Explanation, LinkTold, RuledOut};
use super::{Case, Evidence, Fit, Found, Kind, Place, Row, Symptom, rows};
use crate::deploy::chain::{On, ROWS, Who};
use crate::deploy::proof::Judged;
use crate::model::Verdict;
use regex_lite::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A row's own text.
const OWN: i32 = 60;
/// The text of a row behind which it hides, or a symptom without a text.
const BEHIND: i32 = 30;
/// Its own text stands within the text of a row behind which it hides.
const SAYS_MORE: i32 = 15;
/// Its error code.
const CODE: i32 = 8;
/// It shows where it was seen.
const PLACE: i32 = 6;
/// The accounts show it.
const HOLDS: i32 = 40;
/// The rows whose own text says only that something was denied: any other text beside it says more.
const GENERAL: [u8; 1] = [11];
/// The accounts show one of these.
const HOLDS_GENERAL: i32 = 25;
/// They show it though the text is another row's: what is known beats what a text leaves open.
const HOLDS_BEHIND: i32 = 90;
/// The accounts show that it isn't so now; what AWS said in so many words counts for more.
const OUT: i32 = -25;

static PATTERNS: LazyLock<Vec<Vec<Regex>>> = LazyLock::new(|| {
    let compiled = |row: &&'static Row| row.texts.iter().filter_map(|text| Regex::new(text).ok()).collect();
    rows().iter().map(compiled).collect()
});

/// A row with how far a symptom reaches it.
struct Reached {
    row: &'static Row,
    own: bool,
    score: i32,
}

/// What AWS says of a denial across accounts of different organisations, and no more (facts E, "Message availability").
static BARE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"access ?denied|not authorized|\bforbidden\b|\b403\b").ok());
/// The rows of such denials.
const DENIALS: [u8; 4] = [2, 3, 6, 8];

/// Finds the rows that a symptom may be, by its text. A bare denial may be whatever hides behind denials, as far as the accounts show it.
fn reached(symptom: &Symptom, with_accounts: bool) -> Vec<Reached> {
    let text = symptom.matched();
    let says = |index: usize| PATTERNS.get(index).is_some_and(|patterns| patterns.iter().any(|pattern| pattern.is_match(&text)));
    let own: BTreeSet<u8> = match symptom.kind {
        Kind::Message => rows().iter().enumerate().filter(|(index, _)| says(*index)).map(|(_, row)| row.number).collect(),
        _ => BTreeSet::new(),
    };
    let bare = with_accounts && own.is_empty() && BARE.as_ref().is_some_and(|bare| bare.is_match(&text));
    let mut found = Vec::new();
    for row in rows() {
        let is_own = own.contains(&row.number);
        let hides = row.behind.iter().any(|number| own.contains(number) || (bare && DENIALS.contains(number)));
        let silent = symptom.kind != Kind::Message && row.kinds.contains(&symptom.kind);
        let mut score = match (is_own, hides || silent) {
            (true, _) if GENERAL.contains(&row.number) => BEHIND,
            (true, true) => OWN + SAYS_MORE,
            (true, false) => OWN,
            (false, true) => BEHIND,
            (false, false) => continue,
        };
        if row.codes.iter().any(|code| text.contains(&code.to_lowercase())) {
            score += CODE;
        }
        if symptom.at.is_some_and(|at| row.at.contains(&at) || row.at.contains(&Place::Any)) {
            score += PLACE;
        }
        found.push(Reached { row, own: is_own, score });
    }
    found
}

/// Says whether a link is called by an action of this place.
fn is_at(link: &Judged, at: Option<Place>) -> bool {
    let Some(row) = ROWS.iter().find(|row| row.name == bare(&link.name)) else { return true };
    let before = matches!(row.who, Who::Events | Who::EventRole);
    let deploy = row.name.starts_with("copy-") || row.who == Who::DeployRole || row.on == On::DeployRole;
    match at {
        Some(Place::Trigger) => before,
        Some(Place::Source) => !before && !deploy,
        Some(Place::Deploy) => deploy || row.on == On::ServiceRole,
        Some(Place::Create | Place::PolicyWrite) => matches!(row.on, On::ServiceRole | On::DeployRole | On::SourceRole),
        Some(Place::Any) | None => true,
    }
}

/// Says how well a link fits what the message names: its action, its bucket or key, its caller.
fn named_by(link: &Judged, text: &str) -> usize {
    let name_of = |arn: &str| arn.rsplit(":::").next().and_then(|rest| rest.split('/').next()).unwrap_or_default().to_lowercase();
    let role = link.who.rsplit('/').next().unwrap_or_default().to_lowercase();
    // `s3:PutObject` in IAM's words, `PutObject operation` in an SDK's.
    let verb = link.action.rsplit(':').next().unwrap_or_default().to_lowercase();
    let action = text.match_indices(&verb).any(|(at, _)| !text[at + verb.len()..].starts_with(|next: char| next.is_ascii_alphanumeric()));
    let thing = if link.resource.contains(":s3:::") { name_of(&link.resource) } else { link.resource.to_lowercase() };
    // A bucket's name may be the beginning of another's.
    let named = !thing.is_empty()
        && text
            .match_indices(&thing)
            .any(|(at, _)| !text[at + thing.len()..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-'));
    usize::from(action) * 4 + usize::from(named) * 2 + usize::from(!role.is_empty() && text.contains(&role))
}

/// Lists the links that are not allowed among those that a symptom may be about, the likeliest first.
fn suspects<'a>(question: &Question<'_>, evidence: &Evidence<'a>) -> Vec<&'a Judged> {
    let text = question.symptom.matched();
    let of_question = |link: &&Judged| link.verdict != Verdict::Allowed && question.holds(link);
    let mut found: Vec<&Judged> = evidence.proof.links.iter().filter(of_question).collect();
    let rank = |link: &Judged| match (link.verdict, link.may_be_called()) {
        (Verdict::Denied, false) => 0,
        (Verdict::CannotTell, false) => 1,
        (Verdict::Denied, true) => 2,
        _ => 3,
    };
    found.sort_by_key(|link| (rank(link), usize::MAX - named_by(link, &text)));
    found
}

fn cause(reached: &Reached, fit: Fit, symptom: &Symptom, evidence: Option<&Evidence<'_>>) -> Cause {
    let Row { check, tell, .. } = reached.row;
    let (found, shown, gain, read) = match fit {
        Fit::Holds(found) => {
            let gain = match reached.own {
                true if GENERAL.contains(&reached.row.number) => HOLDS_GENERAL,
                true => HOLDS,
                false => HOLDS_BEHIND,
            };
            (found, true, gain, Vec::new())
        }
        Fit::Open(why) => (Found::default(), false, 0, vec![why]),
        Fit::Out(why) => (Found::default(), false, OUT, vec![why]),
        Fit::Silent => (Found::default(), false, 0, Vec::new()),
    };
    let judged = found.link.as_ref().and_then(|name| {
        let evidence = evidence?;
        let link = evidence.proof.links.iter().find(|link| link.name == *name)?;
        Some(LinkTold::of(link, evidence.resource(link, symptom)))
    });
    let read = if shown || evidence.is_some() || tell.is_empty() { read } else { vec![(*tell).to_owned()] };
    Cause {
        id: Some(check.id),
        title: check.title.to_owned(),
        why: check.why.to_owned(),
        score: reached.score + gain,
        shown,
        link: judged,
        evidence: found.seen,
        run: found.run,
        fix: check.fix.to_owned(),
        read,
        article: check.article.to_vec(),
        docs: check.docs,
    }
}

/// A denied link is the likely cause of what no row knows.
fn by_link(link: &Judged, symptom: &Symptom, evidence: &Evidence<'_>) -> Cause {
    Cause {
        id: None,
        title: format!("the call `{}` is {}", link.name, link.verdict),
        why: format!("{}, {}: {}", link.action, link.who, link.why),
        score: if link.may_be_called() { PLACE } else { BEHIND },
        shown: true,
        link: Some(LinkTold::of(link, evidence.resource(link, symptom))),
        evidence: evidence.told(link, symptom),
        run: evidence.mending(&[link]),
        fix: "allow the call where the proof says what is missing".to_owned(),
        read: Vec::new(),
        article: link.article.split(", ").collect(),
        docs: "https://docs.aws.amazon.com/codepipeline/latest/userguide/troubleshooting.html",
    }
}

/// The rows about regions: what keeps setup and the proof from going on is then the cause itself.
const OF_REGIONS: [&str; 2] = ["XD-CP-027", "XD-CP-035"];

/// Explains a symptom by its text where the accounts could not be read whole or the chain not be proven, with why.
pub fn explain_unread(symptom: &Symptom, why: &str) -> Explanation {
    let mut explanation = explain(symptom, None);
    match explanation.causes.first_mut().filter(|cause| cause.id.is_some_and(|id| OF_REGIONS.contains(&id)) && why.contains(" is in ")) {
        Some(cause) => {
            (cause.shown, cause.read) = (true, Vec::new());
            cause.evidence.push(why.to_owned());
        }
        None => explanation.cannot_tell.push(format!("the calls of the pipeline could not be proven: {why}")),
    }
    explanation
}

/// The links that a symptom may be about.
struct Question<'s> {
    /// Bare names of links; empty where none is named.
    names: BTreeSet<&'static str>,
    symptom: &'s Symptom,
}

impl<'s> Question<'s> {
    /// Takes the links of the rows whose own text it is; of rows without a text of their own, where it has none.
    fn of(symptom: &'s Symptom, reached: &[Reached]) -> Question<'s> {
        let own = || reached.iter().filter(|one| one.own || symptom.kind != Kind::Message);
        let telling = own().any(|one| !is_general(one.row.number));
        let rows = own().filter(|one| !telling || !is_general(one.row.number));
        Question { names: rows.flat_map(|one| one.row.links.iter().copied()).collect(), symptom }
    }

    /// Says whether it may be about a link: by its name, or by the place where it is called.
    fn holds(&self, link: &Judged) -> bool {
        match self.names.is_empty() {
            true => is_at(link, self.symptom.at),
            false => self.names.contains(bare(&link.name)),
        }
    }
}

fn is_general(row: u8) -> bool {
    GENERAL.contains(&row)
}

/// The rows as the accounts sort them.
#[derive(Default)]
struct Sorted {
    causes: Vec<Cause>,
    ruled_out: Vec<RuledOut>,
    cannot_tell: Vec<String>,
}

/// Judges every row that a symptom reaches.
fn sorted(symptom: &Symptom, reached: &[Reached], evidence: Option<&Evidence<'_>>, suspects: &[&Judged]) -> Sorted {
    let mut sorted = Sorted::default();
    for one in reached {
        let fit = match evidence {
            Some(evidence) => (one.row.fits)(&Case { row: one.row, symptom, evidence, suspects }),
            None => Fit::Open(one.row.tell.to_owned()),
        };
        let check = &one.row.check;
        // A row without a text of its own, of which the accounts show nothing, is no cause.
        let behind = !one.own && evidence.is_some();
        match (&fit, behind) {
            (Fit::Out(why), true) => {
                sorted.ruled_out.push(RuledOut { id: check.id, title: check.title.to_owned(), why: why.clone() });
            }
            (Fit::Open(why), true) if symptom.kind != Kind::NotStarted => {
                sorted.cannot_tell.push(format!("{} ({}): {why}", check.title, check.id));
            }
            (Fit::Silent, true) => {}
            _ => sorted.causes.push(cause(one, fit, symptom, evidence)),
        }
    }
    sorted.causes.sort_by(|one, other| other.score.cmp(&one.score).then(one.id.cmp(&other.id)));
    sorted
}

/// The denied links, as causes of what no row knows.
fn unnamed(symptom: &Symptom, evidence: &Evidence<'_>, suspects: &[&Judged]) -> Vec<Cause> {
    // A run that went green did without what isn't confirmed to be called; what else is denied now fails the next.
    let counts = |link: &&&Judged| link.verdict == Verdict::Denied && !(link.may_be_called() && symptom.kind == Kind::Green);
    suspects.iter().filter(counts).map(|link| by_link(link, symptom, evidence)).collect()
}

/// What is known beats a text that leaves it open.
fn prefer_shown(sorted: &mut Sorted) {
    if !sorted.causes.first().is_some_and(|first| first.shown) {
        return;
    }
    let (shown, beaten): (Vec<Cause>, Vec<Cause>) = std::mem::take(&mut sorted.causes).into_iter().partition(|cause| cause.shown);
    sorted.ruled_out.extend(beaten.iter().filter_map(RuledOut::of));
    sorted.causes = shown;
    // Two rows that show the same broken call are told once, unless the second knows more of it.
    let link = sorted.causes.first().and_then(|first| first.link.clone());
    let general = |cause: &Cause| rows().iter().any(|row| Some(row.check.id) == cause.id && is_general(row.number));
    let mut index = 0;
    sorted.causes.retain(|cause| {
        index += 1;
        index == 1 || link.is_none() || cause.link != link || !general(cause)
    });
}

/// Explains a symptom by what is known; without evidence by its text alone.
pub fn explain(symptom: &Symptom, evidence: Option<&Evidence<'_>>) -> Explanation {
    let reached = reached(symptom, evidence.is_some());
    let question = Question::of(symptom, &reached);
    let suspects = evidence.map(|evidence| suspects(&question, evidence)).unwrap_or_default();
    let mut sorted = sorted(symptom, &reached, evidence, &suspects);
    let in_catalogue = !sorted.causes.is_empty();
    if let (Some(evidence), false) = (evidence, in_catalogue) {
        sorted.causes = unnamed(symptom, evidence, &suspects);
    }
    prefer_shown(&mut sorted);
    let Sorted { causes, ruled_out, mut cannot_tell } = sorted;
    let all = evidence.iter().flat_map(|evidence| &evidence.proof.links);
    let links: Vec<&Judged> = all.filter(|link| question.holds(link)).collect();
    let of = |verdict: Verdict| links.iter().filter(|link| link.verdict == verdict).map(|link| link.name.clone()).collect::<Vec<_>>();
    if let Some(evidence) = evidence {
        let told = links.iter().filter(|link| link.verdict == Verdict::CannotTell).map(|link| evidence.told(link, symptom).join("; "));
        cannot_tell.extend(told);
        cannot_tell.extend(evidence.proof.assumptions.iter().map(|assumption| format!("assumed: {assumption}")));
    }
    Explanation {
        symptom: symptom.clone(),
        with_accounts: evidence.is_some(),
        in_catalogue,
        allowed: of(Verdict::Allowed),
        denied: of(Verdict::Denied),
        causes,
        ruled_out,
        cannot_tell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for (row, compiled) in rows().iter().zip(PATTERNS.iter()) {
            assert_eq!(compiled.len(), row.texts.len(), "{}", row.check.id);
            assert!(
                row.texts.iter().all(|text| text.to_lowercase() == **text || text.contains("\\W") || text.contains("\\S")),
                "{}: patterns are lower case",
                row.check.id
            );
        }
    }
}
