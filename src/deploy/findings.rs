//! What a proof, a comparison and a release found, in the one shape that every report takes.

use super::after::without_stand_ins;
use super::plan::Plan;
use super::proof::{Judged, Level, Proof};
use super::rules;
use super::snapshot::Snapshot;
use super::write::Step;
use crate::error::Error;
use crate::model::{Finding, Outcome, Subject, Verdict, counted};
use serde_json::Value;

/// Makes a finding about a pipeline; `None` if there is no such rule.
fn about(id: &str, pipeline: &str, outcome: Outcome, message: impl Into<String>) -> Option<Finding> {
    Some(Finding::new(rules::find(id)?, outcome, message).about(Subject::Pipeline(pipeline.to_owned())))
}

/// Gives a finding for each call and for everything else that the proof looks at.
///
/// A call that is allowed passes; one that is denied fails, or warns where it may not be needed. `mended` are the links
/// that setup would mend, by name.
pub fn of_proof(proof: &Proof, snapshot: &Snapshot, pipeline: &str, mended: &[String]) -> Vec<Finding> {
    let calls = proof.links.iter().filter_map(|link| of_link(link, snapshot, pipeline, mended.contains(&link.name)));
    let named = rules::of("XD-PROOF").into_iter().filter(|rule| rule.id != rules::ORGANISATION);
    let others = named.flat_map(|rule| {
        let told: Vec<_> = proof.findings.iter().filter(|finding| finding.id == rule.id).collect();
        match told.is_empty() {
            true => about(rule.id, pipeline, Outcome::Pass, "nothing to say").into_iter().collect::<Vec<_>>(),
            false => told.into_iter().filter_map(|finding| of_other(finding, snapshot, pipeline)).collect(),
        }
    });
    calls.chain(others).chain(of_organisation(proof, pipeline)).collect()
}

fn of_link(link: &Judged, snapshot: &Snapshot, pipeline: &str, mended: bool) -> Option<Finding> {
    let plain = |text: &str| without_stand_ins(text, snapshot);
    let outcome = match (link.verdict, link.may_be_called()) {
        (Verdict::Allowed, _) => Outcome::Pass,
        (_, true) => Outcome::Warn,
        (Verdict::CannotTell, false) => Outcome::CannotTell,
        (Verdict::Denied, false) => Outcome::Fail,
    };
    let who = if link.who.is_empty() { "nobody" } else { &link.who };
    let message = plain(&format!("{}: {who} calls {} on {}", link.verdict, link.action, link.resource));
    let mut finding = about(link.id, pipeline, outcome, message)?;
    if link.verdict == Verdict::Allowed {
        return Some(finding);
    }
    if link.may_be_called() {
        finding = finding.seen(format!("may not be needed: {}", link.may_not_be_needed()));
    }
    for reason in &link.reasons {
        finding = finding.seen(plain(reason));
    }
    for by in &link.because {
        finding = finding.seen(plain(&format!("{} ({}): {} has effect {}", by.document, by.account, by.statement, by.effect)));
    }
    for lack in &link.missing {
        finding = finding.seen(plain(&format!("{} ({}): {}", lack.document, lack.account, lack.text)));
        if let Some(statement) = lack.statement.as_ref().filter(|_| !mended) {
            finding = finding.mend(plain(&format!("add to {} ({}): {statement}", lack.document, lack.account)));
        }
    }
    if !link.unknown.is_empty() {
        finding = finding.seen(format!("it hangs on {}", link.unknown.join(", ")));
    }
    Some(if mended { finding.mend("xdeploy setup") } else { finding })
}

fn of_other(found: &super::proof::Finding, snapshot: &Snapshot, pipeline: &str) -> Option<Finding> {
    let outcome = match found.level {
        Level::Note => Outcome::Pass,
        Level::Warning => Outcome::Warn,
        Level::Failure => Outcome::Fail,
    };
    let text = without_stand_ins(&found.text, snapshot);
    let mut lines = text.lines();
    let finding = about(found.id, pipeline, outcome, lines.next().unwrap_or_default())?;
    Some(lines.fold(finding, |finding, line| finding.seen(line.trim())))
}

fn of_organisation(proof: &Proof, pipeline: &str) -> Option<Finding> {
    let (outcome, message) = match proof.trusts_organisation || proof.told.is_some() {
        true => (Outcome::CannotTell, "taken on trust, because they could not be read"),
        false => (Outcome::Pass, "read"),
    };
    let finding = about(rules::ORGANISATION, pipeline, outcome, message)?;
    let assumed = proof.assumptions.iter().filter(|_| proof.trusts_organisation || proof.told.is_some());
    Some(assumed.fold(finding, |finding, text| finding.seen(text.clone())))
}

/// Gives a finding for each step: it warns where setup would write something, and never fails. `plan` may be the reason why setup
/// would refuse.
pub fn of_drift(plan: Result<&Plan, &Error>, pipeline: &str) -> Vec<Finding> {
    let steps = Step::ALL.into_iter();
    match plan {
        Ok(plan) => {
            let refused = about(rules::REFUSED, pipeline, Outcome::Pass, "it would go on");
            steps.filter_map(|step| of_step(plan, step, pipeline)).chain(refused).collect()
        }
        Err(error) => {
            let finding = about(rules::REFUSED, pipeline, Outcome::Warn, error.message.clone());
            let finding = finding.map(|finding| error.causes.iter().fold(finding, |finding, cause| finding.seen(cause.clone())));
            let finding = finding.map(|finding| error.hints.iter().fold(finding, |finding, hint| finding.mend(hint.clone())));
            let skipped = |step| about(rules::drift_id(step), pipeline, Outcome::NotApplicable, "setup would refuse");
            steps.filter_map(skipped).chain(finding).collect()
        }
    }
}

fn of_step(plan: &Plan, step: Step, pipeline: &str) -> Option<Finding> {
    let every = plan.every_write();
    let writes: Vec<_> = every.iter().filter(|write| write.step == step).collect();
    if writes.is_empty() {
        return about(rules::drift_id(step), pipeline, Outcome::Pass, "as it should be");
    }
    let titles: Vec<String> = writes.iter().map(|write| format!("{} {}", write.call.verb(), write.title)).collect();
    let finding = about(rules::drift_id(step), pipeline, Outcome::Warn, format!("setup would {}", titles.join("; ")))?;
    let told = |finding: Finding, write: &&super::write::Write| finding.seen(format!("{} {}", write.call.action(), write.resource));
    Some(writes.iter().fold(finding, told).mend("xdeploy setup"))
}

/// Says whether a command did what it was asked; it fails with the message, the causes and the hints of its error.
pub fn of_command(command: &str, error: Option<&Error>) -> Option<Finding> {
    let (outcome, message) = match error {
        Some(error) => (Outcome::Fail, error.message.as_str()),
        None => (Outcome::Pass, "it did"),
    };
    let finding = Finding::new(rules::find(rules::RUN)?, outcome, message).about(Subject::Command(command.to_owned()));
    let finding = error.iter().flat_map(|error| &error.causes).fold(finding, |finding, cause| finding.seen(cause.clone()));
    Some(error.iter().flat_map(|error| &error.hints).fold(finding, |finding, hint| finding.mend(hint.clone())))
}

/// Gives a finding for each of source, deploy, arrival and ownership, from the document `xdeploy.release/1` as far as the release came;
/// what nobody looked at can't be told.
pub fn of_release(document: &Value, pipeline: &str) -> Vec<Finding> {
    let unseen = || (Outcome::CannotTell, "it didn't come to that".to_owned());
    let text = |member: &str| document.get(member).and_then(Value::as_str);
    let list = |pointer: &str| document.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let source = match text("executionId").filter(|id| !id.is_empty()) {
        Some(id) => (Outcome::Pass, format!("execution {id}")),
        None => (Outcome::Fail, "no execution was found or started".to_owned()),
    };
    let deploy = text("status").map_or_else(unseen, |status| match status {
        "Succeeded" => (Outcome::Pass, "the execution succeeded".to_owned()),
        status => (Outcome::Fail, format!("the execution ended as {status}")),
    });
    let (missing, objects) = (list("/arrival/missing"), list("/arrival/objects"));
    let looked = document.get("arrival").is_some_and(Value::is_object);
    let unforeseen = document.pointer("/arrival/notLookedFor").and_then(Value::as_str);
    let unknown = |why: &str| (Outcome::CannotTell, format!("what arrived was not looked for: {why}"));
    let arrived = match missing.first() {
        _ if !looked => unseen(),
        _ if unforeseen.is_some() => unknown(unforeseen.unwrap_or_default()),
        Some(first) => (Outcome::Fail, format!("{}, such as {first}", counted(missing.len(), "file is missing", "files are missing"))),
        None => (Outcome::Pass, counted(objects.len(), "object", "objects")),
    };
    let owned = |wanted: Option<bool>| objects.iter().filter(|object| object["ownedByProduction"].as_bool() == wanted).count();
    let ownership = match (owned(Some(false)), owned(None)) {
        _ if !looked => unseen(),
        _ if unforeseen.is_some() => unknown(unforeseen.unwrap_or_default()),
        (0, 0) => (Outcome::Pass, "production owns every object".to_owned()),
        (0, unknown) => (Outcome::CannotTell, format!("the owner of {} could not be read", counted(unknown, "object", "objects"))),
        (strangers, _) => (Outcome::Fail, counted(strangers, "object is not owned by production", "objects are not owned by production")),
    };
    let failed = list("/actions").into_iter().filter(|action| action["status"] == "Failed");
    let failed: Vec<String> = failed.map(|action| format!("{}/{}: {}", action["stage"], action["action"], action["message"])).collect();
    let rows = rules::of("XD-RELEASE").into_iter().zip([source, deploy, arrived, ownership]);
    rows.filter_map(|(rule, (outcome, message))| {
        let finding = about(rule.id, pipeline, outcome, message)?;
        let of_deploy = failed.iter().filter(|_| rule.id == "XD-RELEASE-002");
        Some(of_deploy.fold(finding, |finding, line| finding.seen(line.replace('"', ""))))
    })
    .collect()
}
