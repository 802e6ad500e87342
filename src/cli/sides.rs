//! One person, one account: what `--side` and `--handoff` mean for every command that has them.

use super::{mfa, session};
use crate::aws::{Account, Accounts, Login};
use crate::deploy::after::after;
use crate::deploy::handoff::{self, Handoff};
use crate::deploy::observe::{Purpose, observe_side};
use crate::deploy::plan::{Callers, Plan};
use crate::deploy::proof::prove;
use crate::deploy::snapshot::{Half, Identity, Snapshot};
use crate::deploy::write::{Artifact, Step, Write};
use crate::error::{Error, Kind, Result};
use crate::model::{AccountId, Side, Verdict};
use crate::settings::{CommonFlags, DeploymentFlags, Settings};
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

/// How one side is opened.
#[derive(Debug, Clone)]
pub struct How {
    /// Whose part.
    pub side: Side,
    /// The file, where one was named.
    pub file: Option<PathBuf>,
    /// Nothing will be written, so that there must be a file where one was named.
    pub reads_only: bool,
    /// The other side is to be told what is there now.
    pub renew: bool,
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
pub async fn open(ui: &Ui, common: CommonFlags, flags: DeploymentFlags, how: &How) -> Result<OneSide> {
    let side = how.side;
    let path = how.file.clone().unwrap_or_else(|| handoff::DEFAULT_FILE.into());
    let handoff = Handoff::load(&path)?;
    if handoff.is_none() && how.file.is_some() && (side == Side::Prod || how.reads_only) {
        return Err(Error::usage(format!("there is no hand-off {}", path.display()))
            .hint("name the file that the other side sent, or leave `--handoff` out to begin without one"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(Error::usage(format!("there is no folder {} for the hand-off", folder.display()))
            .hint("make it, or name another file with `--handoff`"));
    }
    let other = side.other();
    let accounts = (common.dev_account.clone(), common.prod_account.clone());
    let said = |of: Side| match of {
        Side::Dev => accounts.0.clone(),
        Side::Prod => accounts.1.clone(),
    };
    if let Some(error) = not_said(how, &common, other, &path, handoff.is_some()) {
        return Err(error);
    }
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
        _ => return Err(Error::internal("an account that nobody named")),
    };
    let mut unsaid = Vec::new();
    if side == Side::Prod {
        unsaid.extend(named.is_none().then_some("--dev-account"));
        unsaid.extend(flags.output_bucket.is_none().then_some("--output-bucket"));
    }
    if let Some(file) = handoff.as_ref().filter(|_| side == Side::Dev && !how.reads_only && !how.renew) {
        refuse_forgotten(file, &flags)?;
    }
    let own = flags.clone();
    let (common, flags) = match &handoff {
        Some(file) => file.complete(side, common, flags)?,
        None => (common, flags),
    };
    let mut settings = Settings::of_side(side, common, flags)?;
    settings.told = told_names(side, &own, &settings);
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

/// Production's own names that production didn't say.
fn told_names(side: Side, own: &DeploymentFlags, settings: &Settings) -> Vec<String> {
    let named = [
        // The pipeline that is told may name one.
        ("--deploy-role", own.deploy_role.is_none()),
        ("--output-policy", own.output_policy.is_none() && settings.output_policy.is_some()),
        ("--artifact-policy", own.artifact_policy.is_none() && settings.artifact_policy.is_some()),
        ("--artifact-key", own.artifact_key.is_empty()),
    ];
    named.into_iter().filter(|(_, told)| *told && side == Side::Prod).map(|(flag, _)| flag.to_owned()).collect()
}

/// What development decided before it must say again: it isn't for production's copy of the file to say it.
fn refuse_forgotten(file: &Handoff, flags: &DeploymentFlags) -> Result<()> {
    let forgotten = file.forgotten(flags);
    if forgotten.is_empty() {
        return Ok(());
    }
    Err(Error::refused("development decided more when it wrote the hand-off than this command says")
        .because(format!("it said {}", forgotten.join(" ")))
        .hint(format!("pass {} as well", forgotten.join(" ")))
        .hint("or pass `--renew-handoff`, if it is to be otherwise now"))
}

fn foreign(path: &std::path::Path, side: Side, told: &AccountId, but: &str) -> Error {
    Error::new(Kind::Credentials, format!("{} is for {side} account {told}, but {but}", path.display()))
        .hint("name the right file with `--handoff`, or the right account")
}

/// Names everything that is missing at once; whom development lets in is not for a file to say.
fn not_said(how: &How, flags: &CommonFlags, other: Side, path: &std::path::Path, is_there: bool) -> Option<Error> {
    let side = how.side;
    let (profile, account) = match side {
        Side::Dev => (&flags.dev_profile, &flags.prod_account),
        Side::Prod => (&flags.prod_profile, &flags.dev_account),
    };
    let unnamed = account.is_none() && !(is_there && side == Side::Prod);
    let missing: Vec<String> = [profile.is_none().then(|| format!("--{side}-profile")), unnamed.then(|| format!("--{other}-account"))]
        .into_iter()
        .flatten()
        .collect();
    if missing.is_empty() {
        return None;
    }
    let error = Error::usage(format!("not said: {}", missing.join(", ")))
        .hint(format!("pass them, or set them in xdeploy.toml; --{other}-account takes twelve digits"));
    Some(match (unnamed, is_there) {
        (true, true) => error.because(format!("{} names an account, but whom {side} lets in is not for a file to say", path.display())),
        (true, false) if side == Side::Prod => error.because(format!("there is no hand-off {}", path.display())),
        _ => error,
    })
}

async fn connect(ui: &Ui, side: Side, settings: &Settings, expected: Option<&AccountId>) -> Result<Account> {
    let _busy = ui.busy("asking AWS who the profile is");
    let connector = mfa::connector(ui).await?;
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

    /// Refuses what the other side has built on and isn't so any more, and what this side would put back to an older file's word.
    ///
    /// # Errors
    /// Something moved since the file was written.
    pub fn refuse_moved(&self, plan: &Plan) -> Result<()> {
        let Some(told) = self.handoff.as_ref().and_then(|file| file.half(self.side)) else { return Ok(()) };
        let mut moved = handoff::moved(&told, &plan.snapshot().half(self.side));
        moved.extend(handoff::undone(&told, plan.writes()));
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
        let plan = Plan::make(&self.settings, callers, snapshot, artifact)?;
        handoff::refuse_overstepping(&plan, self.side)?;
        Ok(plan)
    }

    /// Writes down what this side knows now.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn tell(&self, plan: &Plan) -> Result<Handoff> {
        let by = self.accounts.of(self.side).caller.to_string();
        let open = Handoff::tell(&self.settings, plan.snapshot(), self.side, &by, plan.later(), open_links(plan)?, self.handoff.as_ref())?;
        open.save(&self.path)?;
        Ok(open)
    }
}

/// The links that don't hold before whoever is next has done its part.
fn open_links(plan: &Plan) -> Result<Vec<String>> {
    let Some(next) = plan.later().first().map(|write| write.account) else { return Ok(Vec::new()) };
    // The calls are those of a pipeline, so that it is taken as made.
    let is_done = |write: &Write| write.account != next || write.step == Step::Pipeline;
    let done: Vec<Write> = plan.every_write().into_iter().filter(is_done).collect();
    let then = after(plan.snapshot(), &done, &plan.pipeline_arn());
    let Some(proof) = prove(plan.settings(), &then)? else { return Ok(Vec::new()) };
    let needed = proof.links.iter().filter(|link| link.verdict != Verdict::Allowed && !link.may_be_called());
    Ok(needed.map(|link| link.name.clone()).collect())
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
