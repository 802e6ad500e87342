//! The proof: a verdict for each link of the chain, by which statement of which document, and what would mend a broken one.
//!
//! Pure: the same snapshot gives the same proof, be it what is there or what will be there after a plan.

use super::blueprint::Blueprint;
use super::chain::{Course, Grade, Grounds, Link, Paper, Row, Trigger};
use super::count::{CallStatus, Count};
use super::declaration::Extract;
use super::excess;
use super::snapshot::{Organisation, Snapshot, Told};
use super::{rules, steps};
use crate::error::{Error, Result};
use crate::model::{Policies, Readable, Side, Verdict, account_of};
use crate::policy::{self, Decided, Decision, Missing, Reason};
use crate::settings::Settings;
use serde::Serialize;
use serde_json::{Value, json};

/// A statement that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deciding {
    /// The document, as people call it.
    pub document: String,
    /// Whose account it is in.
    pub account: String,
    /// The statement's Sid, or its place counted from 0.
    pub statement: String,
    /// `Allow` or `Deny`.
    pub effect: &'static str,
}

/// What a side lacks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lack {
    /// The evaluator's word: `identity`, `key`, `resource`, …
    pub side: String,
    /// The document that lacks it, as people call it.
    pub document: String,
    /// Whose account it is in.
    pub account: String,
    /// In words.
    pub text: String,
    /// The smallest statement that would mend it, where one can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<Value>,
}

/// A link with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// The id of its rule: `XD-CALL-0NN`.
    pub id: &'static str,
    /// The link's name.
    pub name: String,
    /// The row of facts A.2.
    pub fact: u8,
    /// The steps of the article that grant it.
    pub article: &'static str,
    /// Who calls: an ARN, or a service.
    pub who: String,
    /// IAM's name of the action.
    pub action: &'static str,
    /// On what: an ARN; one example where several names stand for all.
    pub resource: String,
    /// The account of the resource.
    pub account: String,
    /// What the call is for.
    pub why: &'static str,
    /// How sure it is that the call is made, and that its verdict can be known.
    pub grade: Grade,
    /// What the grade of a call that is modelled rests on.
    pub rests_on: Grounds,
    /// What its verdict counts as.
    pub status: CallStatus,
    /// The verdict.
    pub verdict: Verdict,
    /// What stands in the way besides policies, or why it can't be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The deciding statements: the allowing ones of an allowed call, the denying ones of a denied one.
    pub because: Vec<Deciding>,
    /// What is missing.
    pub missing: Vec<Lack>,
    /// Condition keys that the answer hangs on.
    pub unknown: Vec<String>,
    /// Documents with a say that a hand-off told and nobody read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
}

impl Judged {
    /// Says whether the call may not be needed, so that a denial is a warning.
    pub fn may_be_called(&self) -> bool {
        self.grade == Grade::MayBeCalled
    }

    /// Says why the call may not be needed.
    pub fn may_not_be_needed(&self) -> &'static str {
        match self.rests_on.grade {
            Grade::MayBeCalled => self.rests_on.text,
            _ => "something else starts the pipeline",
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Note,
    /// It works, but not as it should.
    Warning,
    /// The deployment fails.
    Failure,
}

/// Something that is no call, but matters to the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule that it is of: `XD-PROOF-0NN`.
    pub id: &'static str,
    /// How bad.
    pub level: Level,
    /// One or two sentences, with what they are about in lines below.
    pub text: String,
}

/// The proof.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proof {
    /// All links, in the order of the calls.
    pub links: Vec<Judged>,
    /// What else was found.
    pub findings: Vec<Finding>,
    /// What is taken for granted because it could not be read.
    pub assumptions: Vec<String>,
    /// Why the calls that read the artifact can't be judged, where they can't.
    #[serde(skip)]
    pub unjudged: Option<String>,
    /// Some assumption is about the organisation's policies.
    #[serde(skip)]
    pub trusts_organisation: bool,
    /// The account whose half is told, not read, if one's is.
    #[serde(skip)]
    pub told: Option<Side>,
}

impl Proof {
    /// Sums up: denied if a call that is made is denied or something else makes the deployment fail; can't tell if one can't be told.
    pub fn verdict(&self) -> Verdict {
        if self.findings.iter().any(|finding| finding.level == Level::Failure) {
            return Verdict::Denied;
        }
        self.links.iter().filter(|link| !link.may_be_called()).map(|link| link.verdict).max().unwrap_or(Verdict::CannotTell)
    }

    /// The same, where neither assumptions about the organisation's policies nor a hand-off's word pass, nor what may be needed after
    /// all, nor a warning about what can't be told.
    pub fn strict_verdict(&self) -> Verdict {
        let untold = |finding: &Finding| finding.id == rules::KEY_BY_ALIAS;
        let open = self.trusts_organisation || self.told.is_some() || self.broken().next().is_some() || self.findings.iter().any(untold);
        self.verdict().max(if open { Verdict::CannotTell } else { Verdict::Allowed })
    }

    /// Counts the calls by what is known of them.
    pub fn count(&self) -> Count {
        Count::of(self.links.iter().map(|link| link.status))
    }

    /// Sets apart what isn't so yet: what `own`, the proof after the writes of one's own, allows and today's doesn't is planned, and
    /// what neither allows is pending.
    pub fn set_apart(&mut self, today: Option<&Proof>, own: Option<&Proof>) {
        let allows = |proof: Option<&Proof>, name: &str| {
            let mut links = proof.into_iter().flat_map(|proof| &proof.links);
            links.any(|link| link.name == name && link.verdict == Verdict::Allowed)
        };
        for link in &mut self.links {
            link.status = match (link.status, allows(today, &link.name), allows(own, &link.name)) {
                (CallStatus::Verified, false, true) => CallStatus::Planned,
                (CallStatus::Verified | CallStatus::FromHandoff, false, false) => CallStatus::Pending,
                // What rests on somebody's word does so after the plan too.
                (status, ..) => status,
            };
        }
    }

    /// Lists the links that are not allowed.
    pub fn broken(&self) -> impl Iterator<Item = &Judged> {
        self.links.iter().filter(|link| link.verdict != Verdict::Allowed)
    }

    /// Says whether both proofs judge every link the same.
    pub fn same_verdicts(&self, other: &Proof) -> bool {
        let verdicts =
            |proof: &Proof| -> Vec<(String, Verdict)> { proof.links.iter().map(|link| (link.name.clone(), link.verdict)).collect() };
        verdicts(self) == verdicts(other)
    }
}

/// Proves the chain of the pipeline that a snapshot holds; `None` if it holds none.
///
/// # Errors
/// The pipeline doesn't fit what was asked for, for instance has no S3 deploy action to the bucket.
pub fn prove(settings: &Settings, snapshot: &Snapshot) -> Result<Option<Proof>> {
    if snapshot.pipeline.is_none() {
        return Ok(None);
    }
    let blueprint = Blueprint::draw(settings, snapshot)?;
    Ok(Course::of(snapshot, &blueprint).map(|course| of_course(&course)))
}

/// Proves the chain of a pipeline that was written a moment ago, as far as AWS shows it already.
///
/// # Errors
/// As [`prove`], or the pipeline isn't there.
pub fn prove_written(settings: &Settings, snapshot: &Snapshot) -> Result<Proof> {
    prove(settings, snapshot)?.ok_or_else(|| Error::failed("the pipeline isn't to be seen").hint("`xdeploy verify` looks again"))
}

/// Gives the links of the chain as they are judged, for a second opinion.
///
/// # Errors
/// As [`prove`].
pub fn links(settings: &Settings, snapshot: &Snapshot) -> Result<Vec<Link>> {
    let blueprint = Blueprint::draw(settings, snapshot)?;
    Ok(Course::of(snapshot, &blueprint).map(|course| course.links()).unwrap_or_default())
}

/// Proves a course.
pub fn of_course(course: &Course<'_>) -> Proof {
    let links = course.links();
    let excess = excess::note(&links).map(|text| {
        let advice = match course.policies {
            Policies::Article => "; `--policies least-privilege` narrows what setup wrote",
            Policies::LeastPrivilege => "",
        };
        Finding { id: "XD-PROOF-013", level: Level::Note, text: format!("more is granted than these calls need{advice}\n{text}") }
    });
    let judged = |link: Link| {
        let told = told_documents(&link, course.snapshot);
        Judged { told, ..judge(link) }
    };
    let mut links: Vec<Judged> = links.into_iter().map(judged).collect();
    let (mut assumptions, trusts_organisation) = organisation_assumptions(course.snapshot);
    assumptions.splice(0..0, told_assumption(course.snapshot));
    if course.policies == Policies::LeastPrivilege && !course.deploy_encrypts_with_dev_key {
        assumptions.push(
            "deployed files are taken to be encrypted as the output bucket says, not with the artifact key; if a release shows otherwise, pass `--deploy-encrypts-with-dev-key` (not confirmed)"
                .to_owned(),
        );
    }
    let findings = findings(course, &mut links).into_iter().chain(excess).collect();
    for link in &mut links {
        link.status = CallStatus::of(link, course.snapshot);
    }
    let unjudged = course.producer.unjudged();
    Proof { links, findings, assumptions, unjudged, trusts_organisation, told: course.snapshot.told.as_ref().map(|told| told.side) }
}

/// Who the half belongs to that nobody read: the side's name and its account.
fn told_side(snapshot: &Snapshot) -> Option<(&Told, &str)> {
    let told = snapshot.told.as_ref()?;
    Some((told, &snapshot.identity(told.side).account))
}

fn told_documents(link: &Link, snapshot: &Snapshot) -> Vec<String> {
    let Some((_, account)) = told_side(snapshot) else { return Vec::new() };
    let mut names: Vec<String> = link.papers.iter().filter(|paper| paper.account == account).map(|paper| paper.name.clone()).collect();
    names.dedup();
    names
}

fn told_assumption(snapshot: &Snapshot) -> Option<String> {
    let (told, account) = told_side(snapshot)?;
    let side = told.side;
    Some(match told.by_handoff {
        true => format!("what {side} ({account}) holds is as the hand-off says: told, not read"),
        false => format!("{side} ({account}) has told nothing yet: it will do its part, and nothing else there stands in the way"),
    })
}

fn organisation_assumptions(snapshot: &Snapshot) -> (Vec<String>, bool) {
    let mut found: Vec<(String, &str)> = Vec::new();
    let mut assume = |who: String, why| match found.iter_mut().find(|(_, same)| *same == why) {
        Some((all, _)) => all.push_str(&format!(" and {who}")),
        None => found.push((who, why)),
    };
    for (side, identity, organisation) in
        [("dev", &snapshot.dev, &snapshot.dev_organisation), ("prod", &snapshot.prod, &snapshot.prod_organisation)]
    {
        let who = format!("{side} ({})", identity.account);
        match organisation {
            None if told_side(snapshot).is_some_and(|(_, account)| account == identity.account) => {
                assume(who, "nobody is logged in to ask");
            }
            None => assume(who, "not asked for before a first set-up without `--strict`"),
            Some(Organisation { scps: Readable::Unknown(scps), rcps: Readable::Unknown(rcps), .. }) if scps == rcps => assume(who, scps),
            Some(Organisation { scps, rcps, .. }) => {
                for (kind, read) in [("service", scps), ("resource", rcps)] {
                    if let Readable::Unknown(why) = read {
                        assume(format!("{who}, {kind} control policies"), why);
                    }
                }
            }
        }
    }
    let texts = found.iter().map(|(who, why)| format!("the organisation's policies for {who} allow everything: {why}")).collect();
    (texts, !found.is_empty())
}

/// Finds a document by its kind, level and number within them.
fn paper<'p>(papers: &'p [Paper], kind: &str, level: Option<usize>, number: usize) -> Option<&'p Paper> {
    papers.iter().filter(|paper| paper.kind == kind && paper.level == level).nth(number)
}

fn deciding(link: &Link, reason: &Reason) -> Deciding {
    let found = paper(&link.papers, reason.policy, reason.level, reason.document);
    Deciding {
        document: found.map_or_else(|| format!("{} document {}", reason.policy, reason.document), |paper| paper.name.clone()),
        account: found.map(|paper| paper.account.clone()).unwrap_or_default(),
        statement: reason.sid.clone().unwrap_or_else(|| format!("statement {}", reason.index)),
        effect: if reason.deny { "Deny" } else { "Allow" },
    }
}

fn lack(link: &Link, missing: &Missing) -> Lack {
    let side = paper(&link.sides, missing.side, missing.level, 0);
    Lack {
        side: missing.side.to_owned(),
        document: side.map_or_else(|| missing.side.to_owned(), |side| side.name.clone()),
        account: side.map(|side| side.account.clone()).or_else(|| missing.account.clone()).unwrap_or_default(),
        // Of what wasn't read nobody knows what it lacks.
        text: match link.gaps.iter().any(|gap| gap.side == missing.side) {
            true => "not all of it could be read, and what was read doesn't allow it".to_owned(),
            false => missing.text.clone(),
        },
        statement: missing.statement.clone().map(|statement| for_all(link, statement)),
    }
}

/// A statement for one object, made one for all that the call may be on.
fn for_all(link: &Link, mut statement: Value) -> Value {
    if let (Some(all), Some(resource)) = (&link.all, statement.get_mut("Resource"))
        && resource != "*"
    {
        *resource = json!(all);
    }
    statement
}

/// Within an account a key policy that names the role would do as well as the role's own policies (facts G.2).
fn or_by_the_key(link: &Link, missing: &[Lack]) -> Option<Lack> {
    let key = paper(&link.sides, "key", None, 0)?;
    if missing.iter().any(|lack| lack.side != "identity") || missing.iter().all(|lack| lack.account != key.account) {
        return None;
    }
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": link.who}, "Action": link.row.action, "Resource": "*"});
    Some(Lack {
        side: "key".to_owned(),
        document: key.name.clone(),
        account: key.account.clone(),
        text: "it doesn't name the role itself, which would do as well".to_owned(),
        statement: Some(statement),
    })
}

/// Puts the documents' names in the place of the evaluator's numbers.
fn named(link: &Link, text: &str) -> String {
    let mut counted: Vec<(&str, Option<usize>)> = Vec::new();
    for paper in &link.papers {
        let number = counted.iter().filter(|(kind, level)| *kind == paper.kind && *level == paper.level).count();
        counted.push((paper.kind, paper.level));
        let level = paper.level.map(|level| format!(" level {level}")).unwrap_or_default();
        let prefix = format!("{}{level} document {number}", paper.kind);
        if let Some(rest) = text.strip_prefix(&prefix).filter(|rest| !rest.starts_with(|next: char| next.is_ascii_digit())) {
            return format!("{} ({}){rest}", paper.name, paper.account);
        }
    }
    text.to_owned()
}

/// What one request of a link says.
struct Said {
    verdict: Verdict,
    reasons: Vec<String>,
    decision: Decision,
}

fn said(link: &Link, request: &Value) -> Said {
    let decision = policy::decide(request);
    let gap = |side: &str| link.gaps.iter().any(|gap| gap.side == side);
    let gaps = || link.gaps.iter().map(|gap| gap.text.clone()).collect::<Vec<_>>();
    let (verdict, reasons) = match decision.decided {
        Decided::ExplicitlyDenied => (Verdict::Denied, Vec::new()),
        Decided::ImplicitlyDenied if decision.missing.iter().any(|missing| !gap(missing.side)) => (Verdict::Denied, Vec::new()),
        Decided::ImplicitlyDenied => (Verdict::CannotTell, gaps()),
        Decided::Unknown => {
            let likely = decision.unknown.iter().filter_map(|key| Some(format!("{key} isn't known: {}", policy::likely_of_key(key)?)));
            (Verdict::CannotTell, likely.chain(gaps()).collect())
        }
        Decided::Error => (Verdict::CannotTell, decision.errors.iter().map(|text| named(link, text)).collect()),
        Decided::Allowed if link.gaps.is_empty() => (Verdict::Allowed, Vec::new()),
        Decided::Allowed => (Verdict::CannotTell, gaps()),
    };
    Said { verdict, reasons, decision }
}

/// The account's own Block Public Access isn't read: if it could keep the call out, nobody can tell.
fn with_public_access(link: &Link, request: &Value, said: Said) -> Said {
    if !link.public_access_unread || said.verdict != Verdict::Allowed {
        return said;
    }
    let mut blocked = request.clone();
    blocked["blockPublicAccess"] = json!(true);
    if policy::decide(&blocked).decided == Decided::Allowed {
        return said;
    }
    let why = "the bucket's policy is public, and whether Block Public Access of the account keeps other accounts out is not read";
    Said { verdict: Verdict::CannotTell, reasons: vec![why.to_owned()], ..said }
}

/// What may be asked besides: if it isn't allowed, nobody can tell whether it is asked.
fn said_perhaps(link: &Link, request: &Value) -> Said {
    let said = said(link, request);
    if said.verdict != Verdict::Denied {
        return said;
    }
    let asked = request.get("resource").and_then(Value::as_str).unwrap_or_default();
    let same = link.requests.iter().any(|request| request.get("resource").and_then(Value::as_str) == Some(asked));
    let why = if same {
        "it hangs on what AWS says of this call, which isn't documented for certain".to_owned()
    } else {
        format!("it is denied for some names, such as {asked}")
    };
    Said { verdict: Verdict::CannotTell, reasons: vec![why], ..said }
}

/// Judges one link.
pub fn judge(link: Link) -> Judged {
    let perhaps = link.perhaps.iter().map(|request| said_perhaps(&link, request));
    let certain = link.requests.iter().map(|request| with_public_access(&link, request, said(&link, request)));
    let mut all: Vec<Said> = certain.collect();
    let certain = all.iter().map(|said| said.verdict).max();
    all.extend(perhaps);
    // What is denied as it is asked for certain may still be allowed the other way.
    let mut other_way = None;
    if certain == Some(Verdict::Denied) && hangs_on_variants(&link) {
        other_way = Some("it hangs on what AWS says of this call, which isn't documented for certain".to_owned());
    }
    let worst = all.into_iter().reduce(|worst, next| if next.verdict > worst.verdict { next } else { worst });
    let mut judged = Judged {
        id: link.row.id(),
        name: link.name.clone(),
        fact: link.row.fact,
        article: link.row.article,
        who: link.who.clone(),
        action: link.row.action,
        resource: link.resource.clone(),
        account: link.account.clone(),
        why: link.row.why,
        grade: link.row.grade(),
        rests_on: link.row.grounds,
        status: CallStatus::Unknown,
        verdict: Verdict::CannotTell,
        reasons: Vec::new(),
        because: Vec::new(),
        missing: Vec::new(),
        unknown: Vec::new(),
        told: Vec::new(),
    };
    if let Some(said) = worst {
        judged.verdict = said.verdict;
        judged.reasons = said.reasons;
        judged.because = said.decision.because.iter().map(|reason| deciding(&link, reason)).collect();
        if said.verdict != Verdict::Allowed {
            judged.missing = said.decision.missing.iter().map(|missing| lack(&link, missing)).collect();
            judged.missing.extend(or_by_the_key(&link, &judged.missing));
        }
        judged.unknown = said.decision.unknown;
    }
    if let Some(why) = other_way {
        judged.verdict = Verdict::CannotTell;
        judged.reasons.insert(0, why);
    }
    if let Some(stop) = &link.stop {
        let verdict = if stop.certain { Verdict::Denied } else { Verdict::CannotTell };
        if verdict > judged.verdict {
            // What allowed it isn't why it fails.
            judged.because.clear();
        }
        judged.verdict = judged.verdict.max(verdict);
        judged.reasons.insert(0, format!("{} ({}): {}", stop.thing, stop.account, stop.text));
    }
    match link.unjudged {
        Some(why) => unjudged(link.row, why, judged),
        None if judged.verdict == Verdict::CannotTell && judged.grade == Grade::Certain => Judged { grade: Grade::Unknown, ..judged },
        None => judged,
    }
}

/// What reads an artifact whose writer isn't judged is never allowed: who may read the bucket is known, and what that denies is
/// denied; with which key the artifact is encrypted is not.
fn unjudged(row: &Row, why: String, judged: Judged) -> Judged {
    if judged.verdict == Verdict::Denied && !row.action.starts_with("kms:") {
        return judged;
    }
    let (because, missing, unknown) = (Vec::new(), Vec::new(), Vec::new());
    Judged { grade: Grade::Unknown, verdict: Verdict::CannotTell, reasons: vec![why], because, missing, unknown, ..judged }
}

/// Says whether every request is allowed with the other values of what isn't known.
fn hangs_on_variants(link: &Link) -> bool {
    let asked = |request: &Value| request.get("resource").cloned();
    let others = |request: &Value| link.perhaps.iter().filter(|other| asked(other) == asked(request)).collect::<Vec<_>>();
    link.requests.iter().all(|request| others(request).into_iter().any(|other| said(link, other).verdict == Verdict::Allowed))
}

fn findings(course: &Course<'_>, links: &mut [Judged]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |id: &'static str, level: Level, text: String| found.push(Finding { id, level, text });
    let snapshot = course.snapshot;
    let input = snapshot.input.found.as_ref();
    if let Some(versioning) = input.and_then(|found| found.versioning.as_deref()).filter(|status| *status != "Enabled") {
        let state = if versioning.is_empty() { "off" } else { "suspended" };
        say(
            "XD-PROOF-001",
            Level::Failure,
            format!("versioning of input bucket {} is {state}, and an S3 source needs it", course.source_bucket),
        );
    }
    let ownership = snapshot.output.found.as_ref().and_then(|found| found.ownership.as_ref());
    if let (Some(acl), Some(Readable::Unknown(why))) = (course.canned_acl, ownership) {
        let text =
            format!("the deploy action sets ACL {acl}, and whether bucket {} allows ACLs could not be read: {why}", course.output_bucket);
        say("XD-PROOF-002", Level::Warning, text);
    }
    if let Some(wrong) = course.extract.wrong() {
        say("XD-PROOF-003", Level::Failure, wrong);
    }
    if course.extract == Extract::No && course.path.is_none() {
        say("XD-PROOF-004", Level::Failure, "the deploy action neither extracts nor names an object key".to_owned());
    }
    if let Some(acl) = course.canned_acl.filter(|acl| *acl != "bucket-owner-full-control")
        && ownership.and_then(Readable::known).is_some_and(|ownership| ownership == "BucketOwnerEnforced")
    {
        let text = format!("the deploy action sets ACL {acl}, but ACLs are off for bucket {}", course.output_bucket);
        say("XD-PROOF-005", Level::Failure, text);
    }
    if !course.assumes {
        let text = format!("the deploy action names no role, so it runs with the service role {} (A7)", course.service_role);
        say("XD-PROOF-006", Level::Warning, text);
    }
    if let Some((region, key)) = course.key_by_alias_arn() {
        let text = format!(
            "the artifact store in {region} names its key by the ARN of an alias, {key}: KMS takes that from another account, CodePipeline's guide says key id or key ARN only, so it can't be told; the key's own ARN is safe"
        );
        say(rules::KEY_BY_ALIAS, Level::Warning, text);
    }
    if let Some(why) = course.producer.unknown() {
        say("XD-PROOF-021", Level::Warning, why);
    }
    triggers(course, links, &mut say);
    for (document, account, policy) in documents(snapshot) {
        for (statement, why) in policy::dead_principals(policy) {
            say("XD-PROOF-007", Level::Warning, format!("{document} ({account}), {statement}: {why}"));
        }
    }
    found
}

/// Says whether a rule hears of uploads: S3's own events need the bucket's notification, CloudTrail's don't (facts B.3).
fn hears(course: &Course<'_>, trigger: &Trigger<'_>) -> bool {
    let kinds = policy::names_in(trigger.pattern.get("detail-type"));
    let notification = course.snapshot.input.found.as_ref().and_then(|found| found.notification.as_deref());
    kinds.iter().any(|kind| kind.contains("CloudTrail")) || notification.is_none_or(steps::has_eventbridge)
}

/// Judges what starts the pipeline: a trigger that doesn't work fails the deployment only if no other does.
fn triggers(course: &Course<'_>, links: &mut [Judged], say: &mut impl FnMut(&'static str, Level, String)) {
    let polls = course.polls;
    let rules: Vec<&str> = course.triggers.iter().map(|trigger| trigger.rule).collect();
    let of_rule = |index: usize, link: &Judged| {
        let name = |row: &str| if index == 0 { row.to_owned() } else { format!("{row}:{}", rules[index]) };
        link.name == name("start-role") || link.name == name("start-run")
    };
    let works: Vec<bool> = (0..rules.len())
        .map(|index| {
            hears(course, &course.triggers[index]) && links.iter().all(|link| !of_rule(index, link) || link.verdict != Verdict::Denied)
        })
        .collect();
    let started = polls || works.contains(&true);
    for (index, _) in works.iter().enumerate().filter(|(_, works)| !**works) {
        for link in links.iter_mut().filter(|link| of_rule(index, link)) {
            if started {
                link.grade = Grade::MayBeCalled;
            }
        }
        if !hears(course, &course.triggers[index]) {
            let level = if started { Level::Warning } else { Level::Failure };
            let text = format!("rule {} never hears of an upload: bucket {} doesn't tell EventBridge", rules[index], course.source_bucket);
            say("XD-PROOF-008", level, text);
        }
    }
    let working: Vec<&str> = rules.iter().zip(&works).filter(|(_, works)| **works).map(|(rule, _)| *rule).collect();
    match (polls, working.as_slice()) {
        (true, [_, ..]) => {
            say(
                "XD-PROOF-009",
                Level::Warning,
                format!("CodePipeline polls beside rule {}: each upload starts two runs", working.join(", ")),
            );
        }
        (false, [_, _, ..]) => {
            say(
                "XD-PROOF-010",
                Level::Warning,
                format!("rules {} all start the pipeline: each upload starts several runs", working.join(", ")),
            );
        }
        (false, []) if rules.is_empty() && course.pipeline.polling_disabled => {
            say(
                "XD-PROOF-011",
                Level::Warning,
                "CodePipeline has switched polling off after 30 idle days: an upload starts nothing".to_owned(),
            );
        }
        (false, []) if rules.is_empty() => {
            say("XD-PROOF-012", Level::Note, "no upload starts the pipeline by itself; `xdeploy release` does".to_owned());
        }
        _ => {}
    }
}

/// Lists the documents in which a principal can be named.
fn documents(snapshot: &Snapshot) -> Vec<(String, &str, &Value)> {
    let mut found = Vec::new();
    let others = snapshot.other_roles.values().filter_map(Readable::known).flatten();
    for role in [&snapshot.service_role, &snapshot.deploy_role, &snapshot.event_role].into_iter().flatten().chain(others) {
        found.push((format!("trust policy of role {}", role.name), account_of(&role.arn), &role.trust));
    }
    let keys = snapshot.keys.values().filter_map(|slot| slot.found.as_ref());
    let customer = snapshot.customer_keys.values().filter_map(Readable::known);
    for key in keys.chain(customer) {
        found.extend(key.policy.as_ref().map(|policy| (format!("policy of key {}", key.arn), key.account(), policy)));
    }
    let dev = snapshot.artifact_buckets.values().chain([&snapshot.input]).map(|slot| (slot, snapshot.dev.account.as_str()));
    for (slot, account) in dev.chain([(&snapshot.output, snapshot.prod.account.as_str())]) {
        let policy = slot.found.as_ref().and_then(|found| found.policy.as_ref());
        found.extend(policy.map(|policy| (format!("policy of bucket {}", slot.name), account, policy)));
    }
    found
}

/// What both say about the identity side of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Opinion {
    /// The link.
    pub link: String,
    /// The role that was asked about.
    pub role: String,
    /// What xdeploy says of the role's own policies, boundary and organisation policies.
    pub ours: &'static str,
    /// What IAM says, or why it said nothing.
    pub theirs: Readable<String>,
}

impl Opinion {
    /// Says whether both agree; `None` where one of them can't tell.
    pub fn agrees(&self) -> Option<bool> {
        match (&self.theirs, self.ours) {
            (Readable::Unknown(_), _) | (_, "unknown" | "error") => None,
            (Readable::Known(theirs), ours) => Some((theirs == "allowed") == (ours == "allowed")),
        }
    }
}

/// Gives the evaluator's word for what a role's own side says, as if the resource left everything to the role's account.
fn own_side(link: &Link) -> &'static str {
    let Some(request) = link.requests.first() else { return Decided::Error.word() };
    let account = account_of(&link.who);
    let mut alone = request.clone();
    for member in ["blockPublicAccess", "rcps"] {
        alone[member] = Value::Null;
    }
    let mut leaves_it = json!({"Effect": "Allow", "Principal": {"AWS": account}, "Action": "*"});
    if alone["action"] != "sts:AssumeRole" {
        leaves_it["Resource"] = json!("*");
    }
    alone["resourcePolicy"] = json!({"Version": "2012-10-17", "Statement": [leaves_it]});
    alone["resourceAccount"] = json!(account);
    policy::decide(&alone).decided.word()
}

impl Opinion {
    /// Puts IAM's answer beside ours.
    pub fn of(link: &Link, theirs: Readable<String>) -> Opinion {
        Opinion { link: link.name.clone(), role: link.who.clone(), ours: own_side(link), theirs }
    }
}
