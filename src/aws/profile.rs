//! The named profiles of the AWS files, and what to tell a person whose profile doesn't work.

use super::Asked;
use super::aws_files::AwsFiles;
use crate::error::{Error, Kind, Result};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_runtime::env_config::property::PropertiesKey;
use aws_runtime::env_config::section::EnvConfigSections;
use aws_types::os_shim_internal::{Env, Fs};

/// All profiles of the shared configuration and credentials files.
#[derive(Debug)]
pub struct Profiles {
    sections: EnvConfigSections,
    pub(super) files: AwsFiles,
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
        Ok(Profiles { sections, files: AwsFiles::read() })
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

    /// Says whether the profile exists.
    pub(super) fn has(&self, profile: &str) -> bool {
        self.sections.get_profile(profile).is_some()
    }

    /// Says of a `[sso-session NAME]` section, if there is one, whether it has its start URL and its region.
    pub(super) fn identity_center_session(&self, name: &str) -> Option<[bool; 2]> {
        let section = self.sections.sso_session(name)?;
        Some(["sso_start_url", "sso_region"].map(|key| section.get(key).is_some()))
    }

    /// Writes what the SDK needs of a profile to get at its session, and nothing of the roles that are assumed with it.
    pub(super) fn of_login(&self, profile: &str) -> String {
        let keys = ["sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name", "login_session", "region"];
        let line = |key: &str, value: Option<&str>| value.map(|value| format!("{key} = {value}\n")).unwrap_or_default();
        let mut text = format!("[profile {profile}]\n");
        text.extend(keys.iter().map(|key| line(key, self.get(profile, key).as_deref())));
        let session = self.get(profile, "sso_session");
        if let Some((name, section)) = session.as_ref().and_then(|name| Some((name, self.sections.sso_session(name)?))) {
            text.push_str(&format!("[sso-session {name}]\n"));
            text.extend(["sso_start_url", "sso_region", "sso_registration_scopes"].iter().map(|key| line(key, section.get(key))));
        }
        text
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
    /// It doesn't, or a file that may hold it can't be read.
    pub(crate) fn require(&self, asked: Asked, profile: &str) -> Result<()> {
        if self.has(profile) {
            return Ok(());
        }
        let given = asked.to_string().replace('(', "(given for ");
        // What could not be read is no absence.
        if let Some(unreadable) = self.files.unreadable() {
            return Err(Error::new(Kind::Credentials, format!("AWS profile `{profile}`{given} could not be looked up"))
                .because(unreadable)
                .hint("make the file readable, or name another with AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE"));
        }
        let error = Error::new(Kind::Credentials, format!("there is no AWS profile `{profile}`{given}"));
        if let Some((cause, hint)) = self.files.wrongly_headed(profile) {
            return Err(error.because(cause).hint(hint));
        }
        let error = error.because(format!("looked in {}", self.files.described()));
        if self.files.misnamed().is_some() {
            return Err(error.hint("correct the variable, or unset it: the files below the home are read then"));
        }
        let names = self.names();
        Err(match (self.nearest(profile), names.is_empty()) {
            (Some(name), _) => error.hint(format!("did you mean `{} {name}`?", asked.flag())),
            (None, true) => error.hint(format!("make it with `aws configure --profile {profile}` or `aws configure sso`")),
            (None, false) => error.hint(format!("the profiles are: {}", names.join(", "))),
        })
    }

    /// Gives the profile whose name is nearest, if one is near.
    pub(super) fn nearest(&self, profile: &str) -> Option<String> {
        let names = self.names().into_iter().map(|name| (strsim::jaro_winkler(&name, profile), name));
        names.filter(|(score, _)| *score > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
    }
}
