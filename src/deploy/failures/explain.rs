//! The ranking: text first, code second, and what both accounts hold to tell rows apart that say the same.

use super::evidence::bare;
use super::signs::told_by;
use super::told::{CallerTold, Cause, Explanation, LinkTold, RuledOut};
use super::{Case, Evidence, Fit, Found, Kind, Place, Row, Symptom, rows};
use crate::deploy::chain::{On, ROWS, Who};
use crate::deploy::proof::Judged;
use crate::model::{ApiService, AwsMessage, Verdict};
use regex_lite::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A row's own text.
const OWN: i32 = 60;
/// The text of a row behind which it hides, or a symptom without a text.
const BEHIND: i32 = 30;
/// The likeliest of the rows of denials, where the text says no more than that something was denied.
const DENIAL: i32 = 40;
/// What hides behind those.
const BEHIND_DENIAL: i32 = 10;
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

/// The rows of denials of which AWS says no more, as across accounts of different organisations (facts E, "Message availability").
const DENIALS: [u8; 4] = [2, 3, 6, 8];
/// What writes objects.
const UPLOADS: [&str; 5] = ["PutObject", "CopyObject", "UploadPart", "CreateMultipartUpload", "CompleteMultipartUpload"];

/// Says whether a message is a denial of a call that a pipeline makes, and says no more.
fn is_bare_denial(symptom: &Symptom, message: &AwsMessage) -> bool {
    use ApiService::{CloudFormation, CodeBuild, CodePipeline, Kms, S3};
    let of_pipeline = || {
        let action = message.action.as_deref().map(str::to_ascii_lowercase);
        message.is_of_aws()
            && message.may_be_of(&[S3, Kms, CodePipeline, CodeBuild, CloudFormation])
            && action.is_none_or(|action| action.starts_with("s3:") || action.starts_with("kms:"))
    };
    message.denied && (symptom.at.is_some() || message.says_only_denied() || of_pipeline())
}

/// Lists the rows of denials on buckets and keys, the likeliest first.
fn likeliest(message: &AwsMessage) -> &'static [u8] {
    match () {
        () if message.calls(&UPLOADS) || message.denies(&["s3:PutObject"]) => &[8, 3, 6, 2],
        () if message.calls(&["GetObject"]) || message.denies(&["s3:GetObject"]) => &[6, 2, 3, 8],
        () if message.services.contains(&ApiService::Kms) => &[10, 6, 3, 8, 2],
        // Without an operation it may be the writing of the bucket's policy.
        () if message.operations.is_empty() => &[6, 3, 8, 2, 18],
        () => &[6, 3, 8, 2],
    }
}

/// Finds the rows that a symptom may be, by its text; of a bare denial what may hide behind it, and without accounts the general rows.
fn reached(symptom: &Symptom, message: &AwsMessage, with_accounts: bool) -> (Vec<Reached>, bool) {
    let says = |index: usize| {
        let matches = |pattern: &Regex| message.texts.iter().any(|text| pattern.is_match(text));
        PATTERNS.get(index).is_some_and(|patterns| patterns.iter().any(matches))
    };
    let own: BTreeSet<u8> = match symptom.kind {
        Kind::Message => {
            let by_text = rows().iter().enumerate().filter(|(index, _)| says(*index)).map(|(_, row)| row.number);
            by_text.chain(told_by(message)).collect()
        }
        _ => BTreeSet::new(),
    };
    let bare = symptom.kind == Kind::Message && own.is_empty() && is_bare_denial(symptom, message);
    let general: &[u8] = if bare && !with_accounts { likeliest(message) } else { &[] };
    let mut found = Vec::new();
    for row in rows() {
        let is_own = own.contains(&row.number);
        let hides = row.behind.iter().any(|number| own.contains(number) || (bare && DENIALS.contains(number)));
        let silent = symptom.kind != Kind::Message && row.kinds.contains(&symptom.kind);
        let place = general.iter().position(|number| *number == row.number).and_then(|place| i32::try_from(place).ok());
        let mut score = match (is_own, place, hides || silent) {
            (true, ..) if GENERAL.contains(&row.number) => BEHIND,
            (true, _, true) => OWN + SAYS_MORE,
            (true, ..) => OWN,
            (false, Some(place), _) => DENIAL - place,
            (false, None, true) if bare && !with_accounts => BEHIND_DENIAL,
            (false, None, true) => BEHIND,
            (false, None, false) => continue,
        };
        if place.is_none() && message.has_code(row.codes) {
            score += CODE;
        }
        if symptom.at.is_some_and(|at| row.at.contains(&at) || row.at.contains(&Place::Any)) {
            score += PLACE;
        }
        found.push(Reached { row, own: is_own, score });
    }
    (found, bare)
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
fn suspects<'a>(question: &Question<'_>, message: &AwsMessage, evidence: &Evidence<'a>) -> Vec<&'a Judged> {
    let name = |link: &Judged| link.who.rsplit('/').next().unwrap_or_default().to_owned();
    // Where the message names one of the pipeline's roles, the others' calls are not in question.
    let role = message.role().filter(|role| evidence.proof.links.iter().any(|link| name(link).eq_ignore_ascii_case(role)));
    let of_question = |link: &&Judged| {
        link.verdict != Verdict::Allowed && question.holds(link) && role.is_none_or(|role| name(link).eq_ignore_ascii_case(role))
    };
    let mut found: Vec<&Judged> = evidence.proof.links.iter().filter(of_question).collect();
    let rank = |link: &Judged| match (link.verdict, link.may_be_called()) {
        (Verdict::Denied, false) => 0,
        (Verdict::CannotTell, false) => 1,
        (Verdict::Denied, true) => 2,
        _ => 3,
    };
    found.sort_by_key(|link| (rank(link), usize::MAX - message.texts.iter().map(|text| named_by(link, text)).max().unwrap_or_default()));
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

/// A cause, with what the accounts said of it.
struct Weighed {
    cause: Cause,
    /// The accounts show that it isn't so.
    out: bool,
    /// What the accounts leave open.
    open: bool,
}

/// The rows as the accounts sort them.
#[derive(Default)]
struct Sorted {
    causes: Vec<Weighed>,
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
            _ => {
                let (out, open) = (matches!(fit, Fit::Out(_)), matches!(fit, Fit::Open(_)));
                sorted.causes.push(Weighed { cause: cause(one, fit, symptom, evidence), out, open });
            }
        }
    }
    sorted.causes.sort_by(|one, other| other.cause.score.cmp(&one.cause.score).then(one.cause.id.cmp(&other.cause.id)));
    sorted
}

/// The denied links, as causes of what no row knows.
fn unnamed(symptom: &Symptom, evidence: &Evidence<'_>, suspects: &[&Judged]) -> Vec<Weighed> {
    // A run that went green did without what isn't confirmed to be called; what else is denied now fails the next.
    let counts = |link: &&&Judged| link.verdict == Verdict::Denied && !(link.may_be_called() && symptom.kind == Kind::Green);
    let weighed = |link: &&Judged| Weighed { cause: by_link(link, symptom, evidence), out: false, open: false };
    suspects.iter().filter(counts).map(weighed).collect()
}

/// What is known beats a text that leaves it open: what the accounts speak against is ruled out, what they leave open is told as that, and
/// what the text alone says stays behind it.
fn prefer_shown(sorted: &mut Sorted) {
    if !sorted.causes.first().is_some_and(|first| first.cause.shown) {
        return;
    }
    for Weighed { cause, out, open } in std::mem::take(&mut sorted.causes) {
        match (cause.id.filter(|_| !cause.shown), out, open) {
            (Some(id), true, _) => sorted.ruled_out.push(RuledOut { id, title: cause.title, why: cause.read.join("; ") }),
            (Some(id), _, true) => sorted.cannot_tell.push(format!("{} ({id}): {}", cause.title, cause.read.join("; "))),
            _ => sorted.causes.push(Weighed { cause, out, open }),
        }
    }
    // Two rows that show the same broken call are told once, unless the second knows more of it.
    let link = sorted.causes.first().and_then(|first| first.cause.link.clone());
    let general = |cause: &Cause| rows().iter().any(|row| Some(row.check.id) == cause.id && is_general(row.number));
    let mut index = 0;
    sorted.causes.retain(|weighed| {
        index += 1;
        index == 1 || link.is_none() || weighed.cause.link != link || !general(&weighed.cause)
    });
}

/// Explains a symptom by what is known; without evidence by its text alone.
pub fn explain(symptom: &Symptom, evidence: Option<&Evidence<'_>>) -> Explanation {
    let message = symptom.message();
    let caller = CallerTold::of(&message).filter(|_| message.denied);
    // What the accounts hold was judged for the pipeline's roles: of another caller it says nothing.
    let stranger = caller.as_ref().filter(|caller| evidence.is_some() && caller.is_a_stranger());
    if let Some(caller) = stranger {
        let mut explanation = explain(symptom, None);
        let why = format!("who was denied is none of the pipeline's roles but {}: its policies were not read", caller.text);
        explanation.cannot_tell.push(why);
        return explanation;
    }
    let (reached, denial_only) = reached(symptom, &message, evidence.is_some());
    let question = Question::of(symptom, &reached);
    let suspects = evidence.map(|evidence| suspects(&question, &message, evidence)).unwrap_or_default();
    let mut sorted = sorted(symptom, &reached, evidence, &suspects);
    let in_catalogue = !sorted.causes.is_empty();
    if let (Some(evidence), false) = (evidence, in_catalogue) {
        sorted.causes = unnamed(symptom, evidence, &suspects);
    }
    prefer_shown(&mut sorted);
    let Sorted { causes, ruled_out, mut cannot_tell } = sorted;
    if message.encoded {
        cannot_tell.push("the reason is encoded: `aws sts decode-authorization-message --encoded-message` with the text tells it, in the account that was asked".to_owned());
    }
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
        denial_only,
        caller,
        allowed: of(Verdict::Allowed),
        denied: of(Verdict::Denied),
        causes: causes.into_iter().map(|weighed| weighed.cause).collect(),
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
