//! Why a profile gives no credentials: what is wrong, where it is written, and what helps against that and nothing else.

use super::ApiError;
use super::Asked;
use super::credential_chain::{Chain, RoleStep, Source};
use super::credential_process::program;
use super::profile::Profiles;
use crate::error::{Error, Kind, chain_of};
use crate::model::ENVIRONMENT_PROFILE;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::error::ErrorMetadata;
use std::io::ErrorKind;

/// What is wrong with a profile, before it is said whose it is.
#[derive(Debug)]
pub(super) struct Trouble {
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Trouble {
    fn new(cause: impl Into<String>, hint: impl Into<String>) -> Trouble {
        Trouble { causes: vec![cause.into()], hints: vec![hint.into()] }
    }

    fn because(mut self, cause: impl Into<String>) -> Trouble {
        self.causes.push(cause.into());
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Trouble {
        self.hints.push(hint.into());
        self
    }

    /// Says whose trouble it is.
    pub(super) fn of(self, asked: Asked, profile: &str) -> Error {
        let message = match profile {
            ENVIRONMENT_PROFILE => format!("the environment{asked} has no usable credentials"),
            _ => format!("profile `{profile}`{asked} has no usable credentials"),
        };
        let error = Error::new(Kind::Credentials, message);
        let error = self.causes.into_iter().fold(error, Error::because);
        self.hints.into_iter().fold(error, Error::hint)
    }

    pub(super) fn half_a_key(profiles: &Profiles, profile: &str, there: &str, missing: &str) -> Trouble {
        Trouble::new(
            format!("{} has `{there}` without `{missing}`", profiles.files.place(profile, Some(there))),
            format!("put `{missing}` beside it: `aws configure --profile {profile}` asks for both"),
        )
    }

    pub(super) fn unknown_source(profiles: &Profiles, profile: &str, name: &str) -> Trouble {
        Trouble::new(
            format!("`credential_source = {name}` in {} is no source", profiles.files.place(profile, Some("credential_source"))),
            "the sources are Environment, Ec2InstanceMetadata and EcsContainer",
        )
    }

    pub(super) fn token_without_role(profiles: &Profiles, profile: &str) -> Trouble {
        let place = profiles.files.place(profile, Some("web_identity_token_file"));
        Trouble::new(format!("{place} has `web_identity_token_file` without `role_arn`"), "put `role_arn` of the role beside it")
    }

    pub(super) fn no_role_arn(profiles: &Profiles, profile: &str, role: &str) -> Trouble {
        Trouble::new(
            format!("`role_arn = {role}` in {} is not the ARN of a role", profiles.files.place(profile, Some("role_arn"))),
            "a role's ARN looks like `arn:aws:iam::111111111111:role/name`",
        )
    }

    pub(super) fn no_duration(profiles: &Profiles, profile: &str, text: &str) -> Trouble {
        Trouble::new(
            format!("`duration_seconds = {text}` in {} is no duration", profiles.files.place(profile, Some("duration_seconds"))),
            "it takes a number of seconds from 900 to 43200",
        )
    }

    pub(super) fn circle(profiles: &Profiles, seen: &[String], again: &str) -> Trouble {
        let last = seen.last().map_or(again, String::as_str);
        Trouble::new(
            format!("the source profiles lead in a circle: {} -> {again}", seen.join(" -> ")),
            format!("let {} name a profile that has credentials of its own", profiles.files.place(last, Some("source_profile"))),
        )
    }

    pub(super) fn two_sources(profiles: &Profiles, profile: &str) -> Trouble {
        Trouble::new(
            format!("{} has `source_profile` and `credential_source`", profiles.files.place(profile, Some("source_profile"))),
            "take one of the two out",
        )
    }

    pub(super) fn role_without_source(profiles: &Profiles, profile: &str) -> Trouble {
        let place = profiles.files.place(profile, Some("role_arn"));
        let hint = match ["aws_access_key_id", "credential_process", "sso_session", "sso_start_url", "login_session"]
            .into_iter()
            .find(|key| profiles.get(profile, key).is_some())
        {
            Some(own) => format!("put `source_profile = {profile}` beside it, if its own `{own}` may assume the role"),
            None => "put `source_profile = NAME` beside it: the profile whose credentials may assume the role".to_owned(),
        };
        Trouble::new(format!("{place} has `role_arn` without `source_profile`, `credential_source` or `web_identity_token_file`"), hint)
    }

    pub(super) fn no_source_profile(profiles: &Profiles, profile: &str, missing: &str) -> Trouble {
        let place = profiles.files.place(profile, Some("source_profile"));
        if let Some(unreadable) = profiles.files.unreadable() {
            return Trouble::new(
                format!("`source_profile = {missing}` in {place} could not be looked up"),
                "make the file readable, or name another with AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE",
            )
            .because(unreadable);
        }
        let trouble = |hint: String| Trouble::new(format!("there is no profile `{missing}`, which {place} names as its source"), hint);
        if let Some((cause, hint)) = profiles.files.wrongly_headed(missing) {
            return trouble(hint).because(cause);
        }
        match profiles.nearest(missing) {
            Some(near) => trouble(format!("did you mean `source_profile = {near}`?")),
            None => trouble(format!("make it with `aws configure --profile {missing}`, or name another")),
        }
        .because(format!("looked in {}", profiles.files.described()))
    }

    pub(super) fn half_identity_center(profiles: &Profiles, profile: &str, missing: &str) -> Trouble {
        Trouble::new(
            format!("{} has no `{missing}`, which IAM Identity Center needs", profiles.files.place(profile, None)),
            format!("`aws configure sso --profile {profile}` asks for all of it"),
        )
    }

    pub(super) fn no_identity_center_session(profiles: &Profiles, profile: &str, session: &str) -> Trouble {
        let place = profiles.files.place(profile, Some("sso_session"));
        Trouble::new(
            format!("there is no section [sso-session {session}], which {place} names"),
            format!("`aws configure sso-session` makes it; then `aws sso login --profile {profile}`"),
        )
        .because(format!("looked in {}", profiles.files.described()))
    }

    pub(super) fn half_identity_center_session(profiles: &Profiles, profile: &str, session: &str, missing: &str) -> Trouble {
        let place = profiles.files.place(profile, Some("sso_session"));
        Trouble::new(
            format!("section [sso-session {session}], which {place} names, has no `{missing}`"),
            "`aws configure sso-session` asks for all of it",
        )
    }

    pub(super) fn identity_center_twice(profiles: &Profiles, profile: &str, key: &str, session: &str) -> Trouble {
        Trouble::new(
            format!("{} has `{key}` beside `sso_session`", profiles.files.place(profile, Some(key))),
            format!("take it out of the profile: it belongs to [sso-session {session}]"),
        )
    }

    pub(super) fn nothing(profiles: &Profiles, profile: &str) -> Trouble {
        let keys = format!(
            "{} has no access key, `role_arn`, IAM Identity Center, `login_session` or `credential_process`",
            profiles.files.place(profile, None)
        );
        let trouble = match profiles.files.wrongly_headed(profile) {
            Some((cause, hint)) => Trouble::new(keys, hint).because(cause),
            None => Trouble::new(keys, format!("give it some: `aws configure --profile {profile}`, or `aws configure sso`")),
        };
        match profiles.files.unreadable() {
            Some(unreadable) => trouble.because(unreadable),
            None => trouble,
        }
    }

    pub(super) fn no_variables(profiles: &Profiles, missing: &[&str], profile: &str) -> Trouble {
        let unset = format!("{} {} not set", missing.join(" and "), if missing.len() == 1 { "is" } else { "are" });
        let cause = match profile {
            ENVIRONMENT_PROFILE => unset,
            _ => format!("{unset}, which `credential_source` of {} takes", profiles.files.place(profile, Some("credential_source"))),
        };
        match profile {
            ENVIRONMENT_PROFILE => Trouble::new(
                cause,
                format!("start xdeploy where the variables are set, or name a profile in the place of `{ENVIRONMENT_PROFILE}`"),
            ),
            _ => Trouble::new(cause, "set the variables, or let the profile name a `source_profile` in the place of `credential_source`"),
        }
    }

    pub(super) fn odd_key(profiles: &Profiles, chain: &Chain) -> Trouble {
        let whose = match &chain.source {
            Source::Keys(_) => profiles.files.place(&chain.source_profile, Some("aws_access_key_id")),
            Source::Process(command) => program(command).to_owned(),
            _ => "the environment".to_owned(),
        };
        Trouble::new(
            format!("the access key of {whose} holds a character that no key has, such as a blank or a control character"),
            "copy key and secret again",
        )
    }

    pub(super) fn process(profiles: &Profiles, profile: &str, command: &str, why: &str) -> Trouble {
        Trouble::new(
            format!("`credential_process` of {} {why}", profiles.files.place(profile, Some("credential_process"))),
            format!("run what it names by hand and see what it says ({})", program(command)),
        )
    }

    pub(super) fn token_file(profiles: &Profiles, profile: &str, file: &str, why: &str) -> Trouble {
        Trouble::new(
            format!("the token file {file}, which {} names, {why}", profiles.files.place(profile, Some("web_identity_token_file"))),
            "let the job write its identity provider's token there first, or correct the path",
        )
    }

    pub(super) fn no_task(profiles: &Profiles, profile: &str) -> Trouble {
        Trouble::new(
            format!(
                "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set, which `credential_source` of {} \
                 takes",
                profiles.files.place(profile, Some("credential_source"))
            ),
            "it works in a task or pod with a role of its own alone; name a `source_profile` elsewhere",
        )
    }

    pub(super) fn needs_code(serial: &str, given: bool, at: &str) -> Trouble {
        let cause = match given {
            true => format!("{at} wants another code of MFA device {serial}: AWS takes none twice"),
            false => format!("{at} wants a code of MFA device {serial}, and there is no terminal to ask for it"),
        };
        match given {
            true => Trouble::new(cause, "run the same command again with the next code: what was got with this one is kept"),
            false => Trouble::new(cause, "pass the code that it shows: `--mfa-code CODE`"),
        }
    }

    pub(super) fn with_login_hint(self, profile: &str) -> Trouble {
        self.hint(format!(
            "or let the AWS CLI ask for it in a terminal, `aws sts get-caller-identity --profile {profile}`: its session is used here too"
        ))
    }

    /// What came of asking the SDK for a source.
    pub(super) fn source(profiles: &Profiles, chain: &Chain, error: &CredentialsError) -> Trouble {
        let profile = chain.source_profile.as_str();
        let answer = answer(error);
        let at = |key: &str| profiles.files.place(profile, Some(key));
        match &chain.source {
            Source::WebIdentity(role) => {
                let cause = format!("{} can't be assumed with the token of {}", role.role_arn, role.web_identity_token_file.display());
                let trouble = Trouble::new(cause, "let the role's trust policy admit the token: its issuer, and its `sub` and `aud`");
                trouble.because(answer).because(format!("they stand in {}", at("role_arn")))
            }
            Source::IdentityCenter => Trouble::new(
                format!("{} has no session at IAM Identity Center: {answer}", profiles.files.place(profile, None)),
                format!("log in: `aws sso login --profile {profile}`"),
            ),
            Source::ConsoleLogin => Trouble::new(
                format!("{} has no session of `aws login`: {answer}", at("login_session")),
                format!("log in: `aws login --profile {profile}`"),
            ),
            Source::Instance => Trouble::new(
                format!("`credential_source = Ec2InstanceMetadata` of {} gives nothing: {answer}", at("credential_source")),
                "it works on an EC2 instance with an instance profile alone; name a `source_profile` elsewhere",
            ),
            Source::Container => Trouble::new(
                format!("`credential_source = EcsContainer` of {} gives nothing: {answer}", at("credential_source")),
                "it works in a task or pod with a role of its own alone; name a `source_profile` elsewhere",
            ),
            Source::Keys(_) | Source::Process(_) | Source::Environment => {
                Trouble::new(format!("{}: {answer}", profiles.files.place(profile, None)), "check the profile")
            }
        }
    }

    /// A role that STS doesn't give.
    pub(super) fn role(profiles: &Profiles, chain: &Chain, at: usize, error: &ApiError) -> Trouble {
        let Some(step) = chain.steps.get(at) else { return Trouble::new(error.told(), "check the profile") };
        let cause = format!("{} can't be assumed ({})", step.role_arn, step_place(profiles, chain, at, step));
        if error.is_credentials() && at == 0 {
            return Trouble { causes: vec![cause, error.as_given()], hints: Trouble::renew(profiles, chain).hints };
        }
        let trouble = Trouble { causes: vec![cause, error.as_given()], hints: Vec::new() };
        if !error.is_denied() {
            return trouble.hint("correct what the message names in the profile or in the role");
        }
        let who = match at.checked_sub(1).and_then(|before| chain.steps.get(before)) {
            Some(before) => before.role_arn.clone(),
            None => format!("the credentials of profile `{}`", chain.source_profile),
        };
        let trouble = trouble.hint(format!(
            "let {who} assume it: the role's trust policy must admit it, and its own policies must allow sts:AssumeRole on the role"
        ));
        match (&step.mfa_serial, profiles.get(&chain.source_profile, "mfa_serial")) {
            (Some(serial), _) => trouble.hint(format!("or the code was wrong or used before: wait for the next one of {serial}")),
            (None, Some(serial)) => trouble.hint(format!(
                "if the trust policy wants MFA, put `mfa_serial = {serial}` into [profile {}]: of the source profile it isn't taken, as with the AWS CLI",
                step.profile
            )),
            (None, None) => trouble,
        }
    }

    /// An STS that answers without credentials.
    pub(super) fn no_answer(step: &RoleStep) -> Trouble {
        Trouble::new(format!("STS gave no credentials for {}", step.role_arn), "if AWS_ENDPOINT_URL is set, what answers there is no STS")
    }

    /// A session that long-term keys don't get.
    pub(super) fn session(profiles: &Profiles, chain: &Chain, serial: &str, error: &ApiError) -> Trouble {
        let cause = format!("no session for a code of MFA device {serial} ({})", profiles.files.place(&chain.source_profile, None));
        let mut trouble = Trouble { causes: vec![cause, error.as_given()], hints: Vec::new() };
        if error.is_credentials() {
            trouble.hints = Trouble::renew(profiles, chain).hints;
            return trouble;
        }
        trouble.hint("the code was wrong or used before: wait for the next one; or the device isn't the user's")
    }

    /// Credentials that AWS doesn't know, or not any more.
    pub(super) fn refused(profiles: &Profiles, chain: &Chain, error: &ApiError) -> Trouble {
        Trouble { causes: vec![error.told()], hints: Trouble::renew(profiles, chain).hints }
    }

    fn renew(profiles: &Profiles, chain: &Chain) -> Trouble {
        let profile = chain.source_profile.as_str();
        let hint = match &chain.source {
            Source::Keys(keys) if keys.session_token().is_some() => {
                format!("the session in {} is over or was never valid: fetch a new one and try again", profiles.files.place(profile, None))
            }
            Source::Keys(_) => format!(
                "check the access key in {}: `aws sts get-caller-identity --profile {profile}` must work",
                profiles.files.place(profile, Some("aws_access_key_id"))
            ),
            Source::Process(command) => format!("run what `credential_process` names by hand and see what it says ({})", program(command)),
            Source::WebIdentity(_) => "let the job fetch a new token of its identity provider".to_owned(),
            Source::IdentityCenter => format!("log in again: `aws sso login --profile {profile}`"),
            Source::ConsoleLogin => format!("log in again: `aws login --profile {profile}`"),
            Source::Environment => {
                "the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are over or were never valid: fetch new ones".to_owned()
            }
            Source::Instance | Source::Container => {
                "run the same command again; if it stays so, look at the role of instance or task".to_owned()
            }
        };
        Trouble { causes: Vec::new(), hints: vec![hint] }
    }
}

/// Names a step: which of how many, and where it is written.
fn step_place(profiles: &Profiles, chain: &Chain, at: usize, step: &RoleStep) -> String {
    let place = profiles.files.place(&step.profile, Some("role_arn"));
    match chain.steps.len() {
        1 => place,
        all => format!("step {} of {all}, {place}", at + 1),
    }
}

/// Says in the words of who answered why a source gave nothing: what the SDK wraps around it is nobody's business.
fn answer(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    let mut connecting = false;
    loop {
        if let Some(metadata) = deepest.downcast_ref::<ErrorMetadata>() {
            let id = metadata.extra("aws_request_id").map(|id| format!(" (request id {id})")).unwrap_or_default();
            let (code, message) = (metadata.code().unwrap_or("no code"), metadata.message().unwrap_or("no message"));
            return format!("{code}: {message}{id}");
        }
        connecting |= deepest.downcast_ref::<ConnectorError>().is_some();
        let Some(next) = deepest.source() else { break };
        deepest = next;
    }
    if connecting {
        return format!("could not connect: {}", chain_of(deepest).join(": "));
    }
    match deepest.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(ErrorKind::NotFound) => "its file isn't there".to_owned(),
        Some(ErrorKind::PermissionDenied) => "its file may not be read".to_owned(),
        _ if deepest.downcast_ref::<CredentialsError>().is_some() => "there is nothing".to_owned(),
        _ => deepest.to_string(),
    }
}
