//! Where a profile's credentials come from: a source, and the roles that are assumed from it, one after the other.
//!
//! The SDK's own chain knows no MFA device and no `duration_seconds`, and says neither which step failed nor where it is written;
//! what the sources are and which of them wins is as it has them (aws-config, `profile::credentials::repr`).

use super::credential_errors::Trouble;
use super::profile::Profiles;
use crate::model::ENVIRONMENT_PROFILE;
use aws_config::web_identity_token::StaticConfiguration;
use aws_credential_types::Credentials;

/// The first credentials, which need no others.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Keys that stand in the files.
    Keys(Credentials),
    /// A program that prints them.
    Process(String),
    /// A token of an identity provider, for which STS gives a role.
    WebIdentity(StaticConfiguration),
    /// IAM Identity Center.
    IdentityCenter,
    /// `aws login`.
    ConsoleLogin,
    /// The variables of this process.
    Environment,
    /// The instance's role.
    Instance,
    /// The task's role.
    Container,
}

/// A role that is assumed with what the step before it gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleStep {
    /// The profile that names it.
    pub profile: String,
    pub role_arn: String,
    pub external_id: Option<String>,
    pub session_name: Option<String>,
    /// Seconds.
    pub duration: Option<i32>,
    pub mfa_serial: Option<String>,
}

/// All of it, in the order in which it is done.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub source: Source,
    /// The profile that names the source.
    pub source_profile: String,
    pub steps: Vec<RoleStep>,
    /// The device of a profile that has nothing but long-term keys: with a code they get a session.
    pub session_serial: Option<String>,
}

impl Source {
    /// Says whether these are keys of a user, which get a session with a code; sessions don't.
    pub(super) fn is_long_term(&self) -> bool {
        matches!(self, Source::Keys(keys) if keys.session_token().is_none())
    }
}

fn keys(profiles: &Profiles, profile: &str) -> Result<Option<Credentials>, Trouble> {
    let (id, secret) = (profiles.get(profile, "aws_access_key_id"), profiles.get(profile, "aws_secret_access_key"));
    let token = profiles.get(profile, "aws_session_token");
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let mut builder = Credentials::builder().access_key_id(id).secret_access_key(secret).provider_name("ProfileFile");
            builder.set_session_token(token);
            builder.set_account_id(profiles.get(profile, "aws_account_id").map(Into::into));
            Ok(Some(builder.build()))
        }
        (None, None) if token.is_none() => Ok(None),
        (Some(_), None) => Err(Trouble::half_a_key(profiles, profile, "aws_access_key_id", "aws_secret_access_key")),
        (None, Some(_)) => Err(Trouble::half_a_key(profiles, profile, "aws_secret_access_key", "aws_access_key_id")),
        (None, None) => Err(Trouble::half_a_key(profiles, profile, "aws_session_token", "aws_access_key_id")),
    }
}

/// The source that a profile names by itself.
fn source(profiles: &Profiles, profile: &str, now: u64) -> Result<Source, Trouble> {
    let get = |key: &str| profiles.get(profile, key);
    if let Some(name) = get("credential_source") {
        return match name.to_ascii_lowercase().as_str() {
            "environment" => Ok(Source::Environment),
            "ec2instancemetadata" => Ok(Source::Instance),
            "ecscontainer" => Ok(Source::Container),
            _ => Err(Trouble::unknown_source(profiles, profile, &name)),
        };
    }
    if let Some(file) = get("web_identity_token_file") {
        let Some(role_arn) = get("role_arn") else { return Err(Trouble::token_without_role(profiles, profile)) };
        check_role(profiles, profile, &role_arn)?;
        let session_name = get("role_session_name").unwrap_or_else(|| session_name(now));
        return Ok(Source::WebIdentity(StaticConfiguration { web_identity_token_file: file.into(), role_arn, session_name }));
    }
    if ["sso_session", "sso_start_url", "sso_account_id", "sso_role_name", "sso_region"].iter().any(|key| get(key).is_some()) {
        check_identity_center(profiles, profile)?;
        return Ok(Source::IdentityCenter);
    }
    if get("login_session").is_some() {
        return Ok(Source::ConsoleLogin);
    }
    if let Some(command) = get("credential_process") {
        return Ok(Source::Process(command));
    }
    keys(profiles, profile)?.map(Source::Keys).ok_or_else(|| Trouble::nothing(profiles, profile))
}

/// What the SDK would only say in its own words.
fn check_identity_center(profiles: &Profiles, profile: &str) -> Result<(), Trouble> {
    let has = |key: &str| profiles.get(profile, key).is_some();
    let missing = |key| Err(Trouble::half_identity_center(profiles, profile, key));
    if let Some(session) = profiles.get(profile, "sso_session") {
        let Some(keys) = profiles.identity_center_session(&session) else {
            return Err(Trouble::no_identity_center_session(profiles, profile, &session));
        };
        if let Some(key) = ["sso_start_url", "sso_region"].into_iter().find(|key| has(key)) {
            return Err(Trouble::identity_center_twice(profiles, profile, key, &session));
        }
        if let Some(key) = ["sso_start_url", "sso_region"].into_iter().zip(keys).find_map(|(key, there)| (!there).then_some(key)) {
            return Err(Trouble::half_identity_center_session(profiles, profile, &session, key));
        }
    } else if let Some(key) = ["sso_start_url", "sso_region"].into_iter().find(|key| !has(key)) {
        return missing(key);
    }
    match ["sso_account_id", "sso_role_name"].into_iter().find(|key| !has(key)) {
        Some(key) => missing(key),
        None => Ok(()),
    }
}

/// What a session is called where nobody said it: who looks into CloudTrail sees who it was.
pub(super) fn session_name(now: u64) -> String {
    format!("xdeploy-{now}")
}

fn check_role(profiles: &Profiles, profile: &str, role_arn: &str) -> Result<(), Trouble> {
    let parts: Vec<&str> = role_arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "iam", "", account, resource]
            if account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty()) =>
        {
            Ok(())
        }
        _ => Err(Trouble::no_role_arn(profiles, profile, role_arn)),
    }
}

fn role_step(profiles: &Profiles, profile: &str, role_arn: String) -> Result<RoleStep, Trouble> {
    check_role(profiles, profile, &role_arn)?;
    let duration = match profiles.get(profile, "duration_seconds") {
        None => None,
        Some(text) => match text.parse::<i32>() {
            Ok(seconds) if (900..=43_200).contains(&seconds) => Some(seconds),
            _ => return Err(Trouble::no_duration(profiles, profile, &text)),
        },
    };
    Ok(RoleStep {
        role_arn,
        external_id: profiles.get(profile, "external_id"),
        session_name: profiles.get(profile, "role_session_name"),
        mfa_serial: profiles.get(profile, "mfa_serial"),
        duration,
        profile: profile.to_owned(),
    })
}

impl Chain {
    /// The environment's own credentials, where they are asked for by name.
    pub(super) fn of_environment() -> Chain {
        Chain { source: Source::Environment, source_profile: ENVIRONMENT_PROFILE.to_owned(), steps: Vec::new(), session_serial: None }
    }

    /// Follows a profile to its source; `now` is in seconds since 1970.
    pub(super) fn of(profiles: &Profiles, named: &str, now: u64) -> Result<Chain, Trouble> {
        let mut steps: Vec<RoleStep> = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        let mut profile = named.to_owned();
        let source = loop {
            if seen.contains(&profile) {
                return Err(Trouble::circle(profiles, &seen, &profile));
            }
            seen.push(profile.clone());
            // Behind the first profile keys win over a role.
            if let (true, Some(keys)) = (seen.len() > 1, keys(profiles, &profile)?) {
                break Source::Keys(keys);
            }
            let role_arn = profiles.get(&profile, "role_arn").filter(|_| profiles.get(&profile, "web_identity_token_file").is_none());
            let Some(role_arn) = role_arn else { break source(profiles, &profile, now)? };
            steps.push(role_step(profiles, &profile, role_arn)?);
            match (profiles.get(&profile, "source_profile"), profiles.get(&profile, "credential_source")) {
                (Some(_), Some(_)) => return Err(Trouble::two_sources(profiles, &profile)),
                (None, None) => return Err(Trouble::role_without_source(profiles, &profile)),
                (None, Some(_)) => break source(profiles, &profile, now)?,
                (Some(next), None) if next == profile => break source(profiles, &profile, now)?,
                (Some(next), None) if profiles.has(&next) => profile = next,
                (Some(next), None) => return Err(Trouble::no_source_profile(profiles, &profile, &next)),
            }
        };
        steps.reverse();
        let serial = profiles.get(named, "mfa_serial").filter(|_| steps.is_empty() && source.is_long_term());
        Ok(Chain { source, source_profile: profile, steps, session_serial: serial })
    }

    /// Says whether somebody may have to be asked for a code.
    pub(super) fn wants_code(&self) -> bool {
        self.session_serial.is_some() || self.steps.iter().any(|step| step.mfa_serial.is_some())
    }

    /// The device whose code the first role is assumed with, where the source is a user's keys; with it they can get one session
    /// for several roles.
    pub(super) fn shared_device(&self) -> Option<(&str, &str)> {
        let Source::Keys(keys) = &self.source else { return None };
        let serial = self.steps.first()?.mfa_serial.as_deref()?;
        self.source.is_long_term().then(|| (serial, keys.access_key_id()))
    }
}
