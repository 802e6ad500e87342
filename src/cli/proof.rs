//! The proof as text and JSON, and what follows from its verdict.

use super::{ask, session};
use crate::aws::Accounts;
use crate::deploy::after::{after, without_stand_ins};
use crate::deploy::chain::Grade;
use crate::deploy::observe::Organisations;
use crate::deploy::plan::Plan;
use crate::deploy::proof::{Judged, Level, Proof, prove, prove_written};
use crate::deploy::snapshot::Snapshot;
use crate::deploy::write::{Step, Write};
use crate::error::{Error, Kind, Result};
use crate::model::Verdict;
use crate::settings::Settings;
use crate::ui::{Text, Tone, Ui, paint};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long what was written may take to be read as written (facts D.2, "IAM in general"; the time is a guess).
const SEEN_LIMIT: Duration = Duration::from_secs(60);

/// Proves what will be there after a plan.
///
/// # Errors
/// The pipeline that will be there doesn't fit what was asked for.
pub fn of_plan(plan: &Plan) -> Result<Proof> {
    let every = plan.every_write();
    let then = |writes: &[Write]| prove(plan.settings(), &after(plan.snapshot(), writes, &plan.pipeline_arn()));
    let mut proof = then(&every)?.ok_or_else(|| Error::internal("a plan after which there is no pipeline"))?;
    if !every.is_empty() {
        // The calls are those of a pipeline, so that one that waits for the other account is taken as made.
        let waits: Vec<Write> = plan.later().iter().filter(|write| write.step == Step::Pipeline).cloned().collect();
        let own = [plan.writes(), &waits].concat();
        // What can't be proven yet isn't verified.
        let partly = |writes: &[Write]| then(writes).ok().flatten();
        proof.set_apart(partly(&waits).as_ref(), partly(&own).as_ref());
    }
    Ok(proof)
}

/// Lists the links that aren't allowed and would be after a plan; none where there is no plan, since setup would refuse.
///
/// # Errors
/// As [`of_plan`].
pub fn mended(live: &Proof, plan: Option<&Plan>) -> Result<Vec<String>> {
    let Some(plan) = plan else { return Ok(Vec::new()) };
    let next = of_plan(plan)?;
    let allowed = |name: &str| next.links.iter().any(|link| link.name == name && link.verdict == Verdict::Allowed);
    Ok(live.broken().map(|link| link.name.clone()).filter(|name| allowed(name)).collect())
}

/// How a proof is told.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// Where stand-ins for keys come from.
    pub snapshot: &'a Snapshot,
    /// Every link, not just those that are not allowed.
    pub all: bool,
    /// What stands behind the count: " after this plan" or nothing.
    pub when: &'a str,
    /// The links that setup would mend, by name.
    pub mended: &'a [String],
}

/// What stands behind the count of a plan's proof.
pub fn when(plan: &Plan) -> &'static str {
    if plan.is_empty() { "" } else { " after this plan" }
}

fn word(link: &Judged) -> (Tone, &'static str) {
    match (link.verdict, link.may_be_called()) {
        (Verdict::Allowed, _) => (Tone::Added, "allowed"),
        (_, true) => (Tone::Changed, "warning"),
        (Verdict::CannotTell, false) => (Tone::Changed, "unknown"),
        (Verdict::Denied, false) => (Tone::Removed, "denied"),
    }
}

fn side_of(account: &str, snapshot: &Snapshot) -> String {
    match account {
        account if account == snapshot.dev.account => format!("dev ({account})"),
        account if account == snapshot.prod.account => format!("prod ({account})"),
        account => format!("account {account}"),
    }
}

/// What is said below a link that is not allowed.
fn details(link: &Judged, telling: &Telling<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    if link.may_be_called() {
        let word = if link.verdict == Verdict::Denied { "denied" } else { "unknown" };
        lines.push(format!("{word}; may not be needed ({})", link.may_not_be_needed()));
    }
    lines.extend(link.reasons.iter().cloned());
    for reason in &link.because {
        let does = match (link.verdict, reason.effect) {
            (Verdict::Denied, "Deny") => "denies it",
            (Verdict::CannotTell, "Deny") => "may deny it",
            (Verdict::CannotTell, _) => "may allow it",
            _ => continue,
        };
        lines.push(format!("{}, {}: {} {does}", side_of(&reason.account, telling.snapshot), reason.document, reason.statement));
    }
    for lack in &link.missing {
        lines.push(format!("{}, {}: {}", side_of(&lack.account, telling.snapshot), lack.document, lack.text));
        if let Some(statement) = lack.statement.as_ref().filter(|_| !telling.mended.contains(&link.name)) {
            lines.push(format!("  add {statement}"));
        }
    }
    if !link.unknown.is_empty() {
        lines.push(format!("it hangs on {}, which nobody knows before the call is made", link.unknown.join(", ")));
    }
    if telling.mended.contains(&link.name) {
        lines.push("`xdeploy setup` mends it".to_owned());
    }
    lines
}

/// Prints a proof: the links, the findings, the assumptions and the count.
pub fn show(ui: &Ui, proof: &Proof, telling: &Telling<'_>) {
    let say = |text: Text| ui.result(&text.map(|words| without_stand_ins(words, telling.snapshot)));
    let mut who = "";
    ui.result("");
    let shown = proof.links.iter().filter(|link| telling.all || link.verdict != Verdict::Allowed);
    for link in shown {
        if link.who != who {
            who = &link.who;
            let who = if who.is_empty() { "nobody" } else { who };
            say(paint(Tone::Heading, who));
        }
        let (tone, word) = word(link);
        let told = if link.told.is_empty() { "" } else { " (in part told, not read)" };
        let call = format!(" {:<28} {} on {}{told}", link.name, link.action, link.resource);
        say(Text::from("  ") + paint(tone, format!("{word:<10}")) + call);
        if link.verdict != Verdict::Allowed {
            for line in details(link, telling) {
                say(format!("             {line}").into());
            }
        }
    }
    for finding in &proof.findings {
        let word = match finding.level {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Failure => "failure",
        };
        let text = match finding.level {
            Level::Note if !telling.all => finding.text.lines().next().unwrap_or_default(),
            _ => &finding.text,
        };
        for (number, line) in text.lines().enumerate() {
            // What follows the first line begins with blanks, whoever wrote it.
            say(if number == 0 { format!("{word}: {line}") } else { format!("  {}", line.strip_prefix("  ").unwrap_or(line)) }.into());
        }
    }
    for assumption in &proof.assumptions {
        ui.result(&format!("assumed: {assumption}"));
    }
    if telling.all {
        told(ui, proof);
    }
    ui.result(&format!("{}.", count_line(proof, telling.when)));
}

/// Lists the documents that a hand-off told and that have a say.
fn told(ui: &Ui, proof: &Proof) {
    let documents: BTreeSet<&str> = proof.links.iter().flat_map(|link| link.told.iter().map(String::as_str)).collect();
    if !documents.is_empty() {
        ui.result("told, not read:");
        for document in documents {
            ui.result(&format!("  {document}"));
        }
    }
}

/// "30 of 30 calls allowed", with what isn't, each kind by itself. Where one account is not read, what was verified stands apart from
/// what the other account is said to hold or has still to do.
pub fn count_line(proof: &Proof, when: &str) -> String {
    let count = proof.count();
    let all = count.all();
    let mut line = match (proof.told, count.planned) {
        (None, _) => format!("{} of {all} calls allowed{when}", count.allowed()),
        (Some(_), 0) => format!("{} of {all} calls verified", count.verified),
        (Some(_), _) => format!("{} of {all} calls allowed after this plan", count.verified + count.planned),
    };
    let waits_for = proof.told.map_or_else(String::new, |side| format!("pending {}", side.long()));
    let apart = if proof.told.is_some() { (count.from_handoff, count.pending) } else { (0, 0) };
    for (number, what) in [
        (apart.0, "from the hand-off, not verified"),
        (apart.1, waits_for.as_str()),
        (count.denied, "denied"),
        (count.may_not_be_needed, "may not be needed"),
        (count.unknown, "unknown"),
    ] {
        if number > 0 {
            line.push_str(&format!(", {number} {what}"));
        }
    }
    match &proof.unjudged {
        Some(why) if count.unknown > 0 => format!("{line}: {why}"),
        _ => line,
    }
}

/// The proof for people's scripts.
pub fn to_json(proof: &Proof, snapshot: &Snapshot, mended: &[String]) -> Value {
    let count = proof.count();
    let mut document = json!({"verdict": proof.verdict(), "allowed": count.allowed(), "calls": count.all(), "count": count});
    let whole = serde_json::to_string(proof).map(|text| without_stand_ins(&text, snapshot)).unwrap_or_default();
    let whole: Value = serde_json::from_str(&whole).unwrap_or_default();
    if let (Some(members), Value::Object(whole)) = (document.as_object_mut(), whole) {
        members.extend(whole);
    }
    for link in document["links"].as_array_mut().into_iter().flatten() {
        link["mayBeCalled"] = json!(link["grade"] == json!(Grade::MayBeCalled));
        let name = link["name"].as_str().unwrap_or_default().to_owned();
        let verdict: Option<Verdict> = serde_json::from_value(link["verdict"].clone()).ok();
        if verdict != Some(Verdict::Allowed) {
            let lacks = link["missing"].as_array().cloned().unwrap_or_default();
            let add: Vec<Value> = lacks
                .iter()
                .filter_map(|lack| {
                    Some(json!({"document": lack["document"], "account": lack["account"], "statement": lack.get("statement")?}))
                })
                .collect();
            link["fix"] = json!({"setup": mended.contains(&name), "add": add});
        }
    }
    document
}

/// The exit code that a verdict asks for; 0 where the chain is proven.
pub fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allowed => 0,
        Verdict::CannotTell => 5,
        Verdict::Denied => 1,
    }
}

/// Refuses to apply a plan after which the chain would be broken.
///
/// # Errors
/// It would be broken, or with `strict` it can't be told, and that wasn't accepted.
pub fn refuse_broken(proof: &Proof, strict: bool, accepted: bool) -> Result<()> {
    let verdict = if strict { proof.strict_verdict() } else { proof.verdict() };
    let hint = "pass `--accept-broken` to apply the plan all the same";
    match verdict {
        _ if accepted => Ok(()),
        Verdict::Denied => Err(Error::refused("the deployment would still fail after this plan; nothing was changed")
            .hint("the proof above says which call is denied, by what, and what would allow it")
            .hint(hint)),
        Verdict::CannotTell if strict => {
            Err(Error::new(Kind::CannotTell, "whether the deployment would work after this plan can't be told, and --strict was given")
                .hint("the proof above says what could not be read or is not known")
                .hint(hint))
        }
        _ => Ok(()),
    }
}

/// Reads everything again after the writes and proves the chain on that, patiently: AWS may show the old for a moment.
///
/// # Errors
/// What is there now can't be read or doesn't hold the pipeline.
pub async fn again(accounts: &Accounts, settings: &Settings, before: &Proof, ui: &Ui) -> Result<(Proof, Snapshot)> {
    let read = async || {
        let snapshot = session::read(ui, accounts, settings, None, Organisations::Always).await?;
        Ok::<_, Error>((prove_written(settings, &snapshot)?, snapshot))
    };
    let settled = |outcome: &Result<(Proof, Snapshot)>| match outcome {
        // What an organisation's policy denies was not asked before a first set-up, and waiting doesn't change it.
        Ok((proof, _)) => proof.verdict() <= before.verdict() || proof.broken().all(is_organisations),
        // Who may not read it now may not read it in a minute.
        Err(error) => error.kind == Kind::Denied,
    };
    patiently(ui, read, settled).await
}

/// Reads until what was read is settled, or a minute is over.
pub async fn patiently<T>(ui: &Ui, read: impl AsyncFn() -> T, settled: impl Fn(&T) -> bool) -> T {
    let started = Instant::now();
    let mut pause = Duration::from_secs(1);
    loop {
        let outcome = read().await;
        if settled(&outcome) || started.elapsed() + pause > SEEN_LIMIT {
            return outcome;
        }
        if pause == Duration::from_secs(1) {
            ui.status(&format!("waiting for AWS to show what was written, up to {}", humantime::format_duration(SEEN_LIMIT)));
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

fn is_organisations(link: &Judged) -> bool {
    link.may_be_called()
        || link.missing.iter().any(|lack| matches!(lack.side.as_str(), "scp" | "rcp"))
        || link.because.iter().any(|by| by.effect == "Deny" && by.document.contains("control policy"))
}

/// Tells the proof after the writes, and gives the exit code, for what was proven before must still hold, and what was read back.
pub async fn check(
    accounts: &Accounts,
    settings: &Settings,
    before: &Proof,
    strict: bool,
    ui: &Ui,
    document: &mut Value,
) -> (u8, Result<(Proof, Snapshot)>) {
    let back = again(accounts, settings, before, ui).await;
    let code = match &back {
        Ok((proof, snapshot)) => {
            let telling = Telling { snapshot, all: false, when: " as read back", mended: &[] };
            if proof.same_verdicts(before) {
                ui.result(&format!("{}.", count_line(proof, " as read back")));
            } else {
                show(ui, proof, &telling);
            }
            document["proofAfter"] = to_json(proof, snapshot, &[]);
            let verdict = if strict { proof.strict_verdict() } else { proof.verdict() };
            if verdict > before.verdict() { exit_code(verdict) } else { 0 }
        }
        Err(error) => {
            ask::warn(ui, "what was written could not be read back to prove it again: ", error);
            document["proofAfter"] = Value::Null;
            5
        }
    };
    (code, back)
}
