//! The named profiles of the AWS files, and what to tell a person whose profile doesn't work.

use super::{ApiError, Asked};
use crate::error::{Error, Kind, Result};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_runtime::env_config::property::PropertiesKey;
use aws_runtime::env_config::section::EnvConfigSections;
use aws_types::os_shim_internal::{Env, Fs};

/// All profiles of the shared configuration and credentials files.
#[derive(Debug)]
pub struct Profiles {
    sections: EnvConfigSections,
}

impl Profiles {
    /// Reads the files that `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` name, or the default ones.
    ///
    /// # Errors
    /// A file can't be parsed.
    pub async fn load() -> Result<Profiles> {
        let sections = aws_config::profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None).await.map_err(|error| {
            Error::new(Kind::Credentials, "the AWS configuration files can't be read")
                .because(crate::error::chain_of(&error).join(": "))
                .hint("mend the file; `aws configure list-profiles` reads the same ones")
        })?;
        Ok(Profiles { sections })
    }

    /// Lists the names, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.sections.profiles().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Says whether the profile's credentials come without a program that is run or a code that is typed.
    pub fn is_quiet(&self, profile: &str) -> bool {
        ["credential_process", "mfa_serial"].iter().all(|property| self.inherited(profile, property).is_none())
    }

    /// Gives the region that the profile sets.
    pub fn region(&self, profile: &str) -> Option<String> {
        self.get(profile, "region")
    }

    pub(super) fn get(&self, profile: &str, property: &str) -> Option<String> {
        self.sections.get_profile(profile).and_then(|found| found.get(property)).map(str::to_owned)
    }

    /// Gives the endpoint of a service in the `[services]` section that the profile names, and that section's name.
    pub(super) fn service_endpoint(&self, profile: &str, service: &str) -> Option<(String, &str)> {
        let section = self.sections.get_profile(profile)?.get("services")?;
        let key = PropertiesKey::builder().section_key("services").section_name(section).property_name(service);
        let key = key.sub_property_name("endpoint_url").build().ok()?;
        self.sections.other_sections().get(&key).map(|value| (value.clone(), section))
    }

    /// Looks a property up in the profile and in the ones it takes its credentials from.
    pub(super) fn inherited(&self, profile: &str, property: &str) -> Option<String> {
        let mut name = profile.to_owned();
        for _ in 0..10 {
            if let Some(value) = self.get(&name, property) {
                return Some(value);
            }
            let next = self.get(&name, "source_profile")?;
            if next == name {
                return None;
            }
            name = next;
        }
        None
    }

    /// Lists the profile and the ones that it takes its credentials from.
    pub(super) fn sources(&self, profile: &str) -> Vec<String> {
        let mut found = vec![profile.to_owned()];
        while let Some(next) = found.last().and_then(|name| self.get(name, "source_profile")).filter(|next| !found.contains(next)) {
            found.push(next);
        }
        found
    }

    /// Makes sure that the profile exists.
    ///
    /// # Errors
    /// It doesn't; the error names the nearest one.
    pub(crate) fn require(&self, asked: Asked, profile: &str) -> Result<()> {
        if self.sections.get_profile(profile).is_some() {
            return Ok(());
        }
        let names = self.names();
        let near = names.iter().map(|name| (strsim::jaro_winkler(name, profile), name)).filter(|(score, _)| *score > 0.75);
        let near = near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name.clone());
        let error =
            Error::new(Kind::Credentials, format!("there is no AWS profile `{profile}`{}", asked.to_string().replace('(', "(given for ")));
        Err(match (near, names.is_empty()) {
            (Some(name), _) => error.hint(format!("did you mean `{} {name}`?", asked.flag())),
            (None, true) => error.hint(format!("make it with `aws configure --profile {profile}` or `aws configure sso`")),
            (None, false) => error.hint(format!("the profiles are: {}", names.join(", "))),
        })
    }

    /// Turns a failed who-am-I into an error that says how to log in.
    pub(crate) fn explain(&self, asked: Asked, profile: &str, error: Box<ApiError>) -> Error {
        if !error.is_credentials() {
            return Error::from(error);
        }
        let told = error.told();
        let base = Error::new(Kind::Credentials, format!("profile `{profile}`{asked} has no usable credentials")).because(told);
        if let Some(serial) = self.inherited(profile, "mfa_serial") {
            return base
                .because(format!("the profile asks for a code of the MFA device {serial}, which xdeploy can't ask for"))
                .hint("log in with a tool that asks for the code and hands the session on, for example a profile with `credential_process`, or `aws sts get-session-token` into a profile of its own");
        }
        if self.inherited(profile, "sso_session").is_some() || self.inherited(profile, "sso_start_url").is_some() {
            return base.hint(format!("log in again: `aws sso login --profile {profile}`"));
        }
        if self.inherited(profile, "login_session").is_some() {
            return base.hint(format!("log in again: `aws login --profile {profile}`"));
        }
        if let Some(process) = self.inherited(profile, "credential_process") {
            let program = process.split_whitespace().next().unwrap_or("the program").to_owned();
            return base.hint(format!("run what `credential_process` names by hand and see what it says ({program})"));
        }
        if self.inherited(profile, "aws_session_token").is_some() {
            return base.hint(format!("the session of profile `{profile}` is over or was never valid: fetch a new one and try again"));
        }
        base.hint(format!("check the access key of profile `{profile}`: `aws sts get-caller-identity --profile {profile}` must work"))
    }
}
