//! Who: the two profiles, and the pipeline's region.

use super::{Place, Wizard};
use crate::aws::Account;
use crate::aws::choices::ProfileSeen;
use crate::cli::ask;
use crate::error::{Error, Kind, Result};
use crate::model::{RegionName, Side};
use crate::settings::variable;
use crate::ui::Choice;

impl Wizard<'_> {
    /// Asks for both profiles and the region, and who they are.
    pub(super) async fn accounts(&mut self) -> Result<Place> {
        let said = self.answers.common.dev_profile.is_some() && self.answers.common.prod_profile.is_some();
        let seen = match said {
            true => Vec::new(),
            false => {
                self.begin();
                let _busy = self.ui.busy("asking AWS who your profiles are");
                self.connector.profiles_seen().await
            }
        };
        if seen.is_empty() && !said {
            return Err(Error::new(Kind::Credentials, "there are no AWS profiles to choose from").hint(
                "make one for each account with `aws configure sso` or `aws configure --profile NAME`, then run the same command again",
            ));
        }
        let dev = self.account(Side::Dev, &seen, None).await?;
        let region = self.region(&dev)?;
        let prod = self.account(Side::Prod, &seen, Some(&dev)).await?;
        Ok(Place { dev, prod, region })
    }

    /// Asks for a profile until one works and fits.
    async fn account(&mut self, side: Side, seen: &[ProfileSeen], other: Option<&Account>) -> Result<Account> {
        let asked = self.profile_of(side).is_none();
        loop {
            let profile = match self.profile_of(side).clone() {
                Some(said) => said,
                None => self.choose(side, seen, other)?,
            };
            let fits = match self.connect(side, &profile).await {
                Ok(account) => fits(&account, other).map(|()| account),
                Err(error) => Err(error),
            };
            match fits {
                Ok(account) => {
                    self.ui.status(&format!("{:<4} {}  {}", side.to_string(), account.id, account.caller));
                    *self.profile_of(side) = Some(profile);
                    return Ok(account);
                }
                Err(error) if asked => self.show(&error),
                Err(error) => return Err(error),
            }
        }
    }

    async fn connect(&self, side: Side, profile: &str) -> Result<Account> {
        let _busy = self.ui.busy(&format!("asking AWS who profile {profile} is"));
        let common = &self.answers.common;
        let said = match side {
            Side::Dev => common.region.as_ref(),
            Side::Prod => common.prod_region.as_ref().or(common.region.as_ref()),
        };
        let region = said.map(|region| region.as_str().to_owned()).or_else(|| region_by_itself(self, profile));
        // Who somebody is can be asked anywhere; where the pipeline is to be comes next.
        self.connector.connect(side, profile, Some(region.as_deref().unwrap_or("us-east-1"))).await
    }

    fn choose(&self, side: Side, seen: &[ProfileSeen], other: Option<&Account>) -> Result<String> {
        let fitting: Vec<&ProfileSeen> = seen
            .iter()
            .filter(|profile| !other.is_some_and(|other| profile.who.as_ref().is_ok_and(|who| who.account == other.id)))
            .collect();
        if fitting.is_empty() {
            return Err(Error::new(Kind::Credentials, "all profiles are of the development account")
                .hint("make a profile of the production account with `aws configure sso` or `aws configure --profile NAME`"));
        }
        let width = fitting.iter().map(|profile| profile.name.len()).max().unwrap_or_default();
        let at = fitting.iter().position(|profile| profile.name.to_lowercase().contains(&side.to_string())).unwrap_or_default();
        let choices = fitting.iter().map(|profile| Choice::new(label(profile, width), profile.name.clone())).collect();
        let question = match side {
            Side::Dev => "Profile of the development account (pipeline, key, artifacts)?",
            Side::Prod => "Profile of the production account (output bucket)?",
        };
        ask::given(self.ui.select(question, choices, at), question, &format!("pass `--{side}-profile`"))
    }

    /// A1.1: the region of key and pipeline.
    fn region(&mut self, dev: &Account) -> Result<String> {
        if let Some(said) = &self.answers.common.region {
            return Ok(said.to_string());
        }
        let default = region_by_itself(self, &dev.profile);
        // Who named both profiles has said where, too.
        if let Some(default) = default.as_ref().filter(|_| !self.asked) {
            return Ok(default.clone());
        }
        self.begin();
        let question = "Region of the pipeline:";
        let region: RegionName = self.parsed(question, default.as_deref(), "", "pass `--region`")?;
        let name = region.to_string();
        if default.as_deref() != Some(name.as_str()) {
            self.answers.common.region = Some(region);
        }
        Ok(name)
    }
}

/// The region that a profile has without a flag.
fn region_by_itself(wizard: &Wizard<'_>, profile: &str) -> Option<String> {
    variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).or_else(|| wizard.connector.region_of(profile))
}

fn label(profile: &ProfileSeen, width: usize) -> String {
    let who = match &profile.who {
        Ok(who) => format!("{}  {}", who.account, who.caller),
        Err(why) => format!("({why})"),
    };
    format!("{:<width$}  {who}", profile.name)
}

/// Refuses a pair that can't be meant.
fn fits(account: &Account, other: Option<&Account>) -> Result<()> {
    match other {
        Some(other) if other.id == account.id => Err(Error::new(
            Kind::Credentials,
            format!("profiles `{}` and `{}` are the same account, {}", other.profile, account.profile, account.id),
        )
        .hint("take a profile of the production account")),
        Some(other) if other.partition != account.partition => Err(Error::new(
            Kind::Credentials,
            format!(
                "dev is in partition `{}` and prod in `{}`; a role can't be assumed across partitions",
                other.partition, account.partition
            ),
        )
        .hint("take two accounts of one partition")),
        _ => Ok(()),
    }
}
