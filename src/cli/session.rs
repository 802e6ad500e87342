//! What every command begins with: two verified accounts, said out loud.

use super::Stop;
use crate::aws::{Accounts, Connector, Login};
use crate::deploy::apply::{self, Event, Made, Manner};
use crate::deploy::observe::{Organisations, Purpose, observe};
use crate::deploy::plan::{Callers, Plan};
use crate::deploy::snapshot::Snapshot;
use crate::deploy::write::{Artifact, Step, Write};
use crate::deploy::zipfile;
use crate::error::Result;
use crate::settings::{Settings, variable};
use crate::ui::Ui;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Asks STS who both profiles are.
pub async fn connect(settings: &Settings) -> Result<Accounts> {
    let connector = Connector::new(variable("AWS_CA_BUNDLE").map(Into::into)).await?;
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
        ui.status(&format!("{:<4} {}  {:<12}  {}", account.side.to_string(), account.id, account.region, account.caller));
    }
}

/// The two accounts, for JSON.
pub fn accounts_json(accounts: &Accounts) -> Value {
    let one = |account: &crate::aws::Account| {
        json!({"account": account.id, "partition": account.partition.0, "region": account.region, "profile": account.profile,
            "caller": account.caller.to_string()})
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
pub async fn read(accounts: &Accounts, settings: &Settings, artifact: Option<&Artifact>, organisations: Organisations) -> Result<Snapshot> {
    let purpose = if artifact.is_some() { Purpose::WithArtifact } else { Purpose::Setup };
    observe(&accounts.dev, &accounts.prod, settings, purpose, organisations).await
}

/// Reads both accounts and makes the plan.
pub async fn make_plan(accounts: &Accounts, settings: &Settings, artifact: Option<Artifact>, organisations: Organisations) -> Result<Plan> {
    let snapshot = read(accounts, settings, artifact.as_ref(), organisations).await?;
    let callers = Callers { dev: accounts.dev.caller.to_string(), prod: accounts.prod.caller.to_string() };
    Plan::make(settings, callers, snapshot, artifact)
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
    let mut total: BTreeMap<Step, usize> = BTreeMap::new();
    for write in writes {
        *total.entry(write.step).or_default() += 1;
    }
    let left = RefCell::new(total.clone());
    let listen = |event: Event<'_>| match event {
        Event::Started(_) => {}
        Event::Done(write) => {
            let mut left = left.borrow_mut();
            if let Some(count) = left.get_mut(&write.step) {
                *count -= 1;
            }
            // Steps overlap; they are told in the article's order all the same.
            while left.first_key_value().is_some_and(|(_, count)| *count == 0) {
                let Some((step, _)) = left.pop_first() else { break };
                let calls = total.get(&step).copied().unwrap_or_default();
                let plural = if calls == 1 { "" } else { "s" };
                ui.status(&format!("done {:<11} {} ({calls} call{plural})", step.article(), step.title()));
            }
        }
        Event::Waiting(write, what, limit) => {
            ui.status(&format!("     {:<11} waiting for {what}, up to {}", write.step.article(), humantime::format_duration(limit)));
        }
    };
    let manner = Manner { pipeline_arn, wait_for_runs, listen: &listen, stop: &stop.asked };
    stop.applying.store(true, Ordering::SeqCst);
    let made = apply::apply(accounts, writes, &manner).await;
    stop.applying.store(false, Ordering::SeqCst);
    made
}
