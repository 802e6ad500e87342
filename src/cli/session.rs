//! What every command begins with: two verified accounts, said out loud.

use super::{Stop, mfa};
use crate::aws::{Account, Accounts, Login};
use crate::deploy::apply::{self, Event, Made, Manner};
use crate::deploy::caller;
use crate::deploy::observe::{Means, Organisations, Purpose, means, observe};
use crate::deploy::permissions::Command;
use crate::deploy::plan::{Callers, Plan};
use crate::deploy::savable;
use crate::deploy::snapshot::Snapshot;
use crate::deploy::write::{Artifact, Step, Write};
use crate::deploy::zipfile;
use crate::error::Result;
use crate::model::counted;
use crate::settings::Settings;
use crate::ui::Ui;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Asks STS who both profiles are.
pub async fn connect(ui: &Ui, settings: &Settings) -> Result<Accounts> {
    let _busy = ui.busy("asking AWS who both profiles are");
    super::panics::provoked("asking");
    let connector = mfa::connector(ui).await?;
    let region = settings.region.as_ref().map(|region| region.as_str());
    let dev = Login { profile: &settings.dev_profile, region, expected: settings.dev_account.as_ref().map(|id| id.as_str()) };
    let prod = Login {
        profile: &settings.prod_profile,
        region: settings.prod_region.as_ref().map(|region| region.as_str()),
        expected: settings.prod_account.as_ref().map(|id| id.as_str()),
    };
    connector.connect_both(&dev, &prod).await
}

/// Says who is who before anything is changed.
pub fn introduce(ui: &Ui, accounts: &Accounts) {
    for account in [&accounts.dev, &accounts.prod] {
        let (region, who) = match account.logged_in {
            true => (account.region.as_str(), format!("{}{}", account.caller, of_environment(account))),
            false => ("", "named, not logged in to".to_owned()),
        };
        ui.status(&format!("{:<4} {}  {region:<12}  {who}", account.side.to_string(), account.id));
    }
}

/// Says aloud that credentials aren't a profile's.
pub fn of_environment(account: &Account) -> &'static str {
    if account.is_of_environment() { "  (credentials from the environment, AWS_ACCESS_KEY_ID)" } else { "" }
}

/// The two accounts, for JSON.
pub fn accounts_json(accounts: &Accounts) -> Value {
    let one = |account: &Account| match account.logged_in {
        true => json!({"account": account.id, "partition": account.partition.0, "region": account.region, "profile": account.profile,
            "caller": account.caller.to_string()}),
        false => json!({"account": account.id, "partition": account.partition.0, "named": true}),
    };
    json!({"dev": one(&accounts.dev), "prod": one(&accounts.prod)})
}

/// Looks at the file that is to be uploaded.
pub fn artifact(path: Option<&Path>, extract: bool) -> Result<Option<Artifact>> {
    let Some(path) = path else { return Ok(None) };
    if extract {
        zipfile::check(path)?;
    }
    let (size, sha256) = zipfile::fingerprint(path)?;
    Ok(Some(Artifact { file: path.display().to_string(), size, sha256 }))
}

/// Reads both accounts.
pub async fn read(
    ui: &Ui,
    accounts: &Accounts,
    settings: &Settings,
    artifact: Option<&Artifact>,
    organisations: Organisations,
) -> Result<Snapshot> {
    let _busy = ui.busy("reading both accounts");
    let purpose = if artifact.is_some() { Purpose::WithArtifact } else { Purpose::Setup };
    observe(&accounts.dev, &accounts.prod, settings, purpose, organisations).await
}

/// Reads both accounts and makes the plan.
pub async fn make_plan(
    ui: &Ui,
    accounts: &Accounts,
    settings: &Settings,
    artifact: Option<Artifact>,
    organisations: Organisations,
) -> Result<Plan> {
    let snapshot = read(ui, accounts, settings, artifact.as_ref(), organisations).await?;
    let callers = Callers { dev: accounts.dev.caller.to_string(), prod: accounts.prod.caller.to_string() };
    Plan::make(settings, callers, snapshot, artifact)
}

/// What becomes of a plan whose caller may not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfDenied {
    /// Nothing is to be written: a warning.
    Warn,
    /// It is tried all the same, with a warning.
    Proceed,
    /// It is refused; the flag, where the command has one, tries it all the same.
    Refuse(Command, Option<&'static str>),
}

impl IfDenied {
    /// Gives what the flags of a command that may apply a plan say.
    pub fn by_flags(dry_run: bool, accept_broken: bool) -> IfDenied {
        match (dry_run, accept_broken) {
            (true, _) => IfDenied::Warn,
            (false, true) => IfDenied::Proceed,
            (false, false) => IfDenied::Refuse(Command::Setup, Some("--accept-broken")),
        }
    }
}

/// Looks before the first write whether the callers may do all of them and the accounts hold what they make, and tells what can't be
/// looked at.
///
/// # Errors
/// A write is denied to its caller, or an account would hold more than it may.
pub async fn check_callers(
    ui: &Ui,
    accounts: &Accounts,
    (writes, snapshot): (&[Write], &Snapshot),
    pipeline_arn: &str,
    if_denied: IfDenied,
    document: &mut Value,
) -> Result<()> {
    if writes.is_empty() {
        return Ok(());
    }
    let reading = ui.busy("reading what the callers may do");
    let Means { callers, usage } = means(accounts, snapshot, writes).await;
    drop(reading);
    for warning in savable::refuse_over_quota(writes, snapshot, &usage)? {
        ui.warning(&warning);
    }
    let judgement = caller::judge(writes, snapshot, &callers, pipeline_arn);
    document["callerPermissions"] = json!(judgement);
    if let Some(line) = judgement.unknown_line() {
        ui.warning(&line);
    }
    match if_denied {
        IfDenied::Warn | IfDenied::Proceed => {
            if !judgement.denied.is_empty() {
                let writes = counted(judgement.denied_writes, "write is", "writes are");
                let then = match if_denied {
                    IfDenied::Proceed => "it is tried all the same",
                    _ => "whoever applies this must be somebody else",
                };
                ui.warning(&format!("{writes} denied to this caller, as far as its permissions can be read; {then}"));
                for line in judgement.denied_lines(snapshot).iter().take(3) {
                    ui.warning(line);
                }
            }
            Ok(())
        }
        IfDenied::Refuse(command, flag) => judgement.refuse(snapshot, &callers, command, flag),
    }
}

/// Applies writes, telling one line a step.
pub async fn apply_writes(
    accounts: &Accounts,
    writes: &[Write],
    pipeline_arn: &str,
    wait_for_runs: bool,
    ui: &Ui,
    stop: &Stop,
) -> Result<Made> {
    let progress = RefCell::new(Progress::of(writes));
    let busy = ui.busy("writing");
    let listen = |event: Event<'_>| match event {
        Event::Started(write) => {
            progress.borrow_mut().started.entry(write.step).or_insert_with(Instant::now);
            busy.now(&format!("{} {}: {} {}", write.step.article(), write.step.title(), write.call.verb(), write.title));
        }
        Event::Done(write) => {
            for line in progress.borrow_mut().done(write.step) {
                ui.status(&line);
            }
        }
        Event::Waiting(write, what, limit) => {
            ui.status(&format!("     {:<11} waiting for {what}, up to {}", write.step.article(), humantime::format_duration(limit)));
            busy.now(&format!("waiting for {what}, up to {}", humantime::format_duration(limit)));
        }
    };
    let manner = Manner { pipeline_arn, wait_for_runs, listen: &listen, stop: &stop.asked };
    stop.applying.store(true, Ordering::SeqCst);
    let made = apply::apply(accounts, writes, &manner).await;
    stop.applying.store(false, Ordering::SeqCst);
    made
}

/// How far the steps are.
#[derive(Debug)]
struct Progress {
    /// How many calls each step has.
    total: BTreeMap<Step, usize>,
    /// How many of them are not done.
    left: BTreeMap<Step, usize>,
    started: BTreeMap<Step, Instant>,
    /// How long the steps took that are done and not yet told.
    took: BTreeMap<Step, Duration>,
}

impl Progress {
    fn of(writes: &[Write]) -> Progress {
        let mut total: BTreeMap<Step, usize> = BTreeMap::new();
        for write in writes {
            *total.entry(write.step).or_default() += 1;
        }
        Progress { left: total.clone(), total, started: BTreeMap::new(), took: BTreeMap::new() }
    }

    /// Counts a call of a step, and gives the lines of the steps that can be told. Steps overlap; they are told in the
    /// article's order all the same.
    fn done(&mut self, step: Step) -> Vec<String> {
        if let Some(count) = self.left.get_mut(&step) {
            *count -= 1;
            if *count == 0 {
                self.took.insert(step, self.started.get(&step).map(Instant::elapsed).unwrap_or_default());
            }
        }
        let mut lines = Vec::new();
        while self.left.first_key_value().is_some_and(|(_, count)| *count == 0) {
            let Some((step, _)) = self.left.pop_first() else { break };
            let calls = self.total.get(&step).copied().unwrap_or_default();
            let took = seconds(self.took.get(&step).copied().unwrap_or_default());
            lines.push(format!("done {:<11} {} ({}, {took})", step.article(), step.title(), counted(calls, "call", "calls")));
        }
        lines
    }
}

/// A time for people, such as `0.4s` or `2m 3.0s`.
pub fn seconds(time: Duration) -> String {
    let (minutes, rest) = (time.as_secs() / 60, time.as_secs_f64() % 60.0);
    if minutes == 0 { format!("{rest:.1}s") } else { format!("{minutes}m {rest:.1}s") }
}
