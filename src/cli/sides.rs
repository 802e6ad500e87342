//! One person, one account: what `--side` and `--handoff` mean for every command that has them.

use super::session;
use crate::aws::{Account, Accounts, Connector, Login};
use crate::deploy::after::after;
use crate::deploy::handoff::{self, Handoff};
use crate::deploy::observe::{Purpose, observe_side};
use crate::deploy::plan::{Callers, Plan};
use crate::deploy::proof::prove;
use crate::deploy::snapshot::{Half, Identity, Snapshot};
use crate::deploy::write::{Artifact, Step, Write};
use crate::error::{Error, Kind, Result};
use crate::model::{AccountId, Side, Verdict};
use crate::settings::{CommonFlags, DeploymentFlags, Settings, variable};
use crate::ui::Ui;
use std::path::PathBuf;

/// The flags of a run for one side.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SideFlags {
    /// Do one account's part alone; the other account is only named, and a hand-off file goes between the two
    #[arg(long, value_name = "SIDE", env = "XDEPLOY_SIDE")]
    pub side: Option<Side>,
    /// The file that goes between the two sides [default: handoff.json]
    #[arg(long, value_name = "FILE", env = "XDEPLOY_HANDOFF", requires = "side")]
    pub handoff: Option<PathBuf>,
}

/// One side, logged in, and what the other one told.
#[derive(Debug)]
pub struct OneSide {
    /// Whose part.
    pub side: Side,
    /// Both accounts; the other one is only named.
    pub accounts: Accounts,
    /// What this side says, completed by what the other one decided.
    pub settings: Settings,
    /// The file, if it is there.
    pub handoff: Option<Handoff>,
    /// Where it is, or will be.
    pub path: PathBuf,
    /// What this side must have said itself before anything is written without a question, as flags.
    pub unsaid: Vec<&'static str>,
}

/// Reads the hand-off, logs in to one account, and makes sure that both are about the same.
///
/// # Errors
/// The file can't be used or is for other accounts or another pipeline; the other account isn't named; the profile doesn't work.
pub async fn open(ui: &Ui, common: CommonFlags, flags: DeploymentFlags, side: Side, file: Option<PathBuf>) -> Result<OneSide> {
    let path = file.unwrap_or_else(|| handoff::DEFAULT_FILE.into());
    let handoff = Handoff::load(&path)?;
    let other = side.other();
    let accounts = (common.dev_account.clone(), common.prod_account.clone());
    let said = |of: Side| match of {
        Side::Dev => accounts.0.clone(),
        Side::Prod => accounts.1.clone(),
    };
    let named = said(other);
    if let Some(file) = &handoff {
        for of in [Side::Dev, Side::Prod] {
            if let Some(said) = said(of).filter(|said| said != file.account(of)) {
                return Err(foreign(&path, of, file.account(of), &format!("`--{of}-account` says {said}")));
            }
        }
    }
    // Development lets production in, so it is never the file alone that says whom.
    let other_account = match (&named, &handoff, side) {
        (Some(named), ..) => named.clone(),
        (None, Some(file), Side::Prod) => file.account(other).clone(),
        (None, file, _) => return Err(not_named(other, &path, file.is_some())),
    };
    let mut unsaid = Vec::new();
    if side == Side::Prod {
        unsaid.extend(named.is_none().then_some("--dev-account"));
        unsaid.extend(flags.output_bucket.is_none().then_some("--output-bucket"));
    }
    let deploy_role_told = side == Side::Prod && flags.deploy_role.is_none();
    let (common, flags) = match &handoff {
        Some(file) => file.complete(side, common, flags)?,
        None => (common, flags),
    };
    let mut settings = Settings::of_side(side, common, flags)?;
    settings.deploy_role_told = deploy_role_told;
    // With a file, who it is for says more than what was expected.
    let expected = said(side).filter(|_| handoff.is_none());
    let account = connect(ui, side, &settings, expected.as_ref()).await?;
    if let Some(file) = handoff.as_ref().filter(|file| file.account(side).as_str() != account.id) {
        return Err(foreign(&path, side, file.account(side), &format!("profile `{}` is account {}", account.profile, account.id)));
    }
    if account.id == other_account.as_str() {
        return Err(Error::new(
            Kind::Credentials,
            format!("profile `{}` is account {}, which was named as {other}", account.profile, account.id),
        )
        .hint(format!("name the account of {other} with `--{other}-account`; xdeploy works across two accounts")));
    }
    let told = handoff.as_ref().and_then(|file| file.half(other)).map(|half| match half {
        Half::Dev(half) => half.identity,
        Half::Prod(half) => half.identity,
    });
    if let Some(told) = told.as_ref().filter(|told| told.partition != account.partition.0) {
        return Err(Error::new(
            Kind::Credentials,
            format!(
                "{side} is in partition `{}` and {other} in `{}`; a role can't be assumed across partitions",
                account.partition, told.partition
            ),
        )
        .hint("use two accounts of one partition"));
    }
    let asked = match other {
        Side::Dev => &settings.region,
        Side::Prod => &settings.prod_region,
    };
    let home = settings.region.as_ref().map_or(account.region.as_str(), |region| region.as_str());
    let region = told.map(|told| told.region).or_else(|| asked.as_ref().map(ToString::to_string)).unwrap_or_else(|| home.to_owned());
    let named = Account::named(other, other_account.as_str(), &account.partition, &region);
    let accounts = match side {
        Side::Dev => Accounts { dev: account, prod: named },
        Side::Prod => Accounts { dev: named, prod: account },
    };
    Ok(OneSide { side, accounts, settings, handoff, path, unsaid })
}

fn foreign(path: &std::path::Path, side: Side, told: &AccountId, but: &str) -> Error {
    Error::refused(format!("{} is for {side} account {told}, but {but}", path.display()))
        .hint("name the right file with `--handoff`, or the right account")
}

fn not_named(other: Side, path: &std::path::Path, is_there: bool) -> Error {
    let error = Error::usage(format!("not said which account {other} is: --{other}-account missing"))
        .hint(format!("pass `--{other}-account ID`, twelve digits"));
    match is_there {
        true => error.because(format!("{} names one, but whom {} lets in is not for a file to say", path.display(), other.other())),
        false if other == Side::Dev => error.because(format!("there is no hand-off {}", path.display())),
        false => error,
    }
}

async fn connect(ui: &Ui, side: Side, settings: &Settings, expected: Option<&AccountId>) -> Result<Account> {
    let _busy = ui.busy("asking AWS who the profile is");
    let connector = Connector::new(variable("AWS_CA_BUNDLE").map(Into::into)).await?;
    let home = settings.region.as_ref().map(|region| region.as_str());
    let (profile, region) = match side {
        Side::Dev => (&settings.dev_profile, home),
        Side::Prod => (&settings.prod_profile, settings.prod_region.as_ref().map(|region| region.as_str()).or(home)),
    };
    let expected = expected.map(AccountId::as_str);
    connector.connect_one(side, &Login { profile, region, expected }).await
}

impl OneSide {
    /// Reads this side's half, and takes the other one from the file.
    ///
    /// # Errors
    /// A needed read failed, or what the other side told can't be so.
    pub async fn read(&self, ui: &Ui, purpose: Purpose) -> Result<Snapshot> {
        let _busy = ui.busy("reading the account");
        let other = self.side.other();
        let named = self.accounts.of(other);
        let half = self.handoff.as_ref().and_then(|file| file.half(other));
        let half = half.unwrap_or_else(|| handoff::assumed(other, Identity::of(named, &named.region), &self.settings));
        let told = handoff::told(other, self.handoff.as_ref());
        observe_side(&self.accounts.dev, &self.accounts.prod, &self.settings, purpose, &half, told).await
    }

    /// Refuses what the other side has built on and isn't so any more.
    ///
    /// # Errors
    /// Something moved since the file was written.
    pub fn refuse_moved(&self, snapshot: &Snapshot) -> Result<()> {
        let Some(told) = self.handoff.as_ref().and_then(|file| file.half(self.side)) else { return Ok(()) };
        let moved = handoff::moved(&told, &snapshot.half(self.side));
        if moved.is_empty() {
            return Ok(());
        }
        let error = Error::refused(format!("{} is stale: what it tells of {} has moved", self.path.display(), self.side))
            .hint("pass `--renew-handoff` to tell the other side what is there now; it must run its command again then");
        Err(moved.into_iter().fold(error, Error::because))
    }

    /// Makes the plan of this side, with what is left for later.
    ///
    /// # Errors
    /// As [`Plan::make`].
    pub fn plan(&self, snapshot: Snapshot, artifact: Option<Artifact>) -> Result<Plan> {
        let callers = Callers { dev: self.accounts.dev.caller.to_string(), prod: self.accounts.prod.caller.to_string() };
        Plan::make(&self.settings, callers, snapshot, artifact)
    }

    /// Writes down what this side knows now.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn tell(&self, plan: &Plan) -> Result<Handoff> {
        let by = self.accounts.of(self.side).caller.to_string();
        let open = Handoff::tell(&self.settings, plan.snapshot(), self.side, &by, plan.later(), open_links(plan), self.handoff.as_ref())?;
        open.save(&self.path)?;
        Ok(open)
    }
}

/// The links that don't hold before whoever is next has done its part.
fn open_links(plan: &Plan) -> Vec<String> {
    let Some(next) = plan.later().first().map(|write| write.account) else { return Vec::new() };
    // The calls are those of a pipeline, so that it is taken as made.
    let is_done = |write: &Write| write.account != next || write.step == Step::Pipeline;
    let done: Vec<Write> = plan.every_write().into_iter().filter(is_done).collect();
    let then = after(plan.snapshot(), &done, &plan.pipeline_arn());
    let Ok(Some(proof)) = prove(plan.settings(), &then) else { return Vec::new() };
    proof.links.iter().filter(|link| link.verdict != Verdict::Allowed && !link.may_be_called).map(|link| link.name.clone()).collect()
}

/// Says who is who: the caller, and the account that is only named.
pub fn introduce(ui: &Ui, one: &OneSide) {
    session::introduce(ui, &one.accounts);
    let other = one.side.other();
    match one.handoff.as_ref().and_then(|file| file.told_by(other)) {
        Some(by) => ui.status(&format!("what {other} holds is told by {}, written by {by}: told, not read", one.path.display())),
        None => ui.status(&format!("{other} has told nothing yet")),
    }
}
