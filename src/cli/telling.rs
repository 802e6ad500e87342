//! What the commands of article A have to report: their findings, and their Markdown.

use super::reports::Told;
use super::{proof, show};
use crate::deploy::findings;
use crate::deploy::kept::{self, Kept};
use crate::deploy::plan::Plan;
use crate::deploy::proof::Proof;
use crate::deploy::rules;
use crate::deploy::snapshot::Snapshot;
use crate::deploy::write::{Note, Write};
use crate::error::Error;
use crate::model::{Finding, counted};
use crate::report::{Sheet, pull_request};
use serde_json::Value;

/// One command's changes, with what is said of them.
struct Page<'a> {
    command: &'static str,
    pipeline: &'a str,
    snapshot: &'a Snapshot,
    writes: &'a [Write],
    kept: &'a [Kept],
    count: String,
    proof: String,
    findings: &'a [Finding],
    notes: &'a [Note],
}

impl Page<'_> {
    fn markdown(&self) -> String {
        let place = |identity: &crate::deploy::snapshot::Identity| (identity.account.clone(), identity.region.clone());
        let ((dev, dev_region), (prod, prod_region)) = (place(&self.snapshot.dev), place(&self.snapshot.prod));
        pull_request(&Sheet {
            command: self.command,
            pipeline: self.pipeline,
            dev: (&dev, &dev_region),
            prod: (&prod, &prod_region),
            writes: self.writes,
            kept: self.kept,
            count: &self.count,
            proof: &self.proof,
            findings: self.findings,
            notes: self.notes,
        })
    }
}

fn count_of(plan: &Plan, kept: usize) -> String {
    match plan.is_empty() {
        true => format!("No changes. {}", counted(kept, "thing is as it should be.", "things are as they should be.")),
        false => show::count_line(plan.writes(), kept),
    }
}

/// What `plan`, `setup` and `apply` report: the proof after the plan, and the changes.
pub fn of_plan(command: &'static str, plan: &Plan, proven: &Proof, document: &Value) -> Told {
    let found = findings::of_proof(proven, plan.snapshot(), plan.settings().pipeline.as_str(), &[]);
    page_of_plan(command, plan, found, format!("{}.", proof::count_line(proven, proof::when(plan))), document)
}

fn page_of_plan(command: &'static str, plan: &Plan, findings: Vec<Finding>, proof: String, document: &Value) -> Told {
    let kept = kept::of_plan(plan);
    let page = Page {
        command,
        pipeline: plan.settings().pipeline.as_str(),
        snapshot: plan.snapshot(),
        writes: plan.writes(),
        kept: &kept,
        count: count_of(plan, kept.len()),
        proof,
        findings: &findings,
        notes: plan.notes(),
    };
    let markdown = Some(page.markdown());
    let checks = [rules::of("XD-CALL"), rules::of("XD-PROOF")].concat();
    Told { command, document: document.clone(), findings, checks, verdicts: Vec::new(), markdown }
}

/// What `setup` and `apply` report after the writes: the proof as read back, or that nothing could be read back.
pub fn of_writes(command: &'static str, plan: &Plan, before: &Proof, back: &Result<(Proof, Snapshot), Error>, document: &Value) -> Told {
    match back {
        Ok((proof, snapshot)) => {
            let pipeline = plan.settings().pipeline.as_str();
            let found = findings::of_proof(proof, snapshot, pipeline, &[]);
            page_of_plan(command, plan, found, format!("{}.", proof::count_line(proof, " as read back")), document)
        }
        Err(error) => {
            let mut told = of_plan(command, plan, before, document);
            let message = format!("what was written could not be read back to prove it again: {}", error.message);
            told.fail(&Error { message, kind: error.kind, causes: error.causes.clone(), hints: error.hints.clone() });
            told
        }
    }
}

/// What `verify` reports: the proof on what is there, and what setup would write.
pub fn of_verify(
    command: &'static str,
    pipeline: &str,
    snapshot: &Snapshot,
    live: &Proof,
    mended: &[String],
    plan: Result<&Plan, &Error>,
    document: &Value,
) -> Told {
    let mut findings = findings::of_proof(live, snapshot, pipeline, mended);
    findings.extend(findings::of_drift(plan, pipeline));
    let kept = plan.map(kept::of_plan).unwrap_or_default();
    let (writes, notes) = plan.map_or((&[][..], &[][..]), |plan| (plan.writes(), plan.notes()));
    let count = match plan {
        Ok(plan) if plan.is_empty() => count_of(plan, kept.len()),
        Ok(plan) => {
            let differences = counted(plan.writes().len(), "difference", "differences");
            format!(
                "{differences} from what setup would make, {}",
                counted(kept.len(), "thing is as it should be.", "things are as they should be.")
            )
        }
        Err(error) => format!("setup would refuse to change anything: {}", error.message),
    };
    let proof = format!("{}.", proof::count_line(live, ""));
    let page = Page { command, pipeline, snapshot, writes, kept: &kept, count, proof, findings: &findings, notes };
    let markdown = Some(page.markdown());
    let checks = [rules::of("XD-CALL"), rules::of("XD-PROOF"), rules::of("XD-DRIFT")].concat();
    Told { command, document: document.clone(), findings, checks, verdicts: Vec::new(), markdown }
}

/// What `release` reports, as far as it came.
pub fn of_release(command: &'static str, pipeline: &str, document: &Value) -> Told {
    let findings = findings::of_release(document, pipeline);
    let checks = rules::of("XD-RELEASE");
    Told { command, document: document.clone(), findings, checks, verdicts: Vec::new(), markdown: None }
}

/// What `teardown` reports: what goes, and what is left.
pub fn of_teardown(pipeline: &str, snapshot: &Snapshot, writes: &[Write], left: &[(String, String)], document: &Value) -> Told {
    let (_, change, remove) = crate::deploy::write::counts(writes);
    let notes: Vec<Note> = left.iter().map(|(what, why)| Note::remark(format!("left as it is: {what} ({why})"))).collect();
    let count = format!("Teardown: {change} to change, {remove} to remove, {} left.", left.len());
    let page =
        Page { command: "teardown", pipeline, snapshot, writes, kept: &[], count, proof: String::new(), findings: &[], notes: &notes };
    let markdown = Some(page.markdown());
    let findings = findings::of_command("teardown", None).into_iter().collect();
    let checks = rules::of(rules::RUN);
    Told { command: "teardown", document: document.clone(), findings, checks, verdicts: Vec::new(), markdown }
}
