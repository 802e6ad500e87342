//! The credentials of a profile: got when somebody is connected, and got again when they run out.

use super::api_error::unreached;
use super::credential_chain::{Chain, RoleStep, Source, session_name};
use super::credential_errors::Trouble;
use super::http::Reach;
use super::mfa::{Codes, Used};
use super::profile::Profiles;
use super::session_cache::{Key, SessionCache};
use super::{Account, ApiError, Asked, credential_process, keys};
use crate::error::{Error, Result};
use aws_config::SdkConfig;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::Env;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long credentials must still last to be used once more.
const SPARE: Duration = Duration::from_secs(60);

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn has_container_variables() -> bool {
    let env = Env::real();
    ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"].iter().any(|name| env.get(name).is_ok())
}

fn lasts(credentials: &Credentials) -> bool {
    credentials.expiry().is_none_or(|expiry| expiry > SystemTime::now() + SPARE)
}

/// Where codes come from while somebody is connected.
pub(super) struct LogIn<'a, 'b> {
    pub codes: &'a Codes<'b>,
    pub used: &'a mut Used,
    /// Another profile will want a code of the same device.
    pub shared: bool,
}

/// A profile's credentials.
#[derive(Debug)]
pub(super) struct ProfileCredentials {
    asked: Asked,
    profile: String,
    chain: Chain,
    profiles: Arc<Profiles>,
    provider: Option<SharedCredentialsProvider>,
    cache: SessionCache,
    /// What errors are made with.
    account: Account,
    /// Without credentials.
    config: SdkConfig,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// What the whole chain gave last.
    last: Option<Credentials>,
    /// Sessions that were got with a code, by step; the one of a profile that assumes no role has none.
    sessions: BTreeMap<Option<usize>, Credentials>,
}

impl ProfileCredentials {
    pub(super) fn new(
        asked: Asked,
        profile: &str,
        chain: Chain,
        profiles: Arc<Profiles>,
        provider_config: &ProviderConfig,
        config: &SdkConfig,
    ) -> ProfileCredentials {
        let provider = match &chain.source {
            Source::Keys(_) | Source::Process(_) | Source::Environment => None,
            Source::WebIdentity(role) => Some(SharedCredentialsProvider::new(
                WebIdentityTokenCredentialsProvider::builder().static_configuration(role.clone()).configure(provider_config).build(),
            )),
            Source::Instance => Some(SharedCredentialsProvider::new(ImdsCredentialsProvider::builder().configure(provider_config).build())),
            Source::Container => Some(SharedCredentialsProvider::new(EcsCredentialsProvider::builder().configure(provider_config).build())),
            Source::IdentityCenter | Source::ConsoleLogin => {
                // The profile alone: with its role the SDK would assume that as well.
                let text = profiles.of_login(&chain.source_profile);
                let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, text).build();
                let builder = ProfileFileCredentialsProvider::builder().profile_name(chain.source_profile.clone());
                Some(SharedCredentialsProvider::new(builder.configure(provider_config).profile_files(files).build()))
            }
        };
        let cache = SessionCache::below(profiles.files.home.as_deref());
        let account = Account::unknown(asked.side(), profile, config.clone());
        ProfileCredentials {
            asked,
            profile: profile.to_owned(),
            chain,
            profiles,
            provider,
            cache,
            account,
            config: config.clone(),
            kept: Mutex::default(),
        }
    }

    /// Gets the credentials for the first time, with a code where a device must show one.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) async fn log_in(&self, by: LogIn<'_, '_>) -> Result<()> {
        let got = self.get(Some(by)).await?;
        self.kept().last = Some(got);
        Ok(())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self, trouble: Trouble) -> Error {
        trouble.of(self.asked, &self.profile)
    }

    /// Explains credentials that AWS refused.
    pub(super) fn refused(&self, error: &ApiError) -> Error {
        self.trouble(Trouble::refused(&self.profiles, &self.chain, error))
    }

    /// Gives a session that was got with a code and lasts: of this run, or of the AWS CLI.
    fn session(&self, at: Option<usize>, key: &Key) -> Option<Credentials> {
        let ours = self.kept().sessions.get(&at).filter(|session| lasts(session)).cloned();
        let found = ours.or_else(|| self.cache.read(key))?;
        self.kept().sessions.insert(at, found.clone());
        Some(found)
    }

    fn keep(&self, at: Option<usize>, key: &Key, session: &Credentials) {
        self.cache.write(key, session);
        self.kept().sessions.insert(at, session.clone());
    }

    async fn get(&self, mut by: Option<LogIn<'_, '_>>) -> Result<Credentials> {
        // What was got with a code spares everything before it.
        let mut begin = 0;
        let mut credentials = None;
        for (at, step) in self.chain.steps.iter().enumerate().rev().filter(|(_, step)| step.mfa_serial.is_some()) {
            credentials = self.session(Some(at), &Key::of_role(step));
            if credentials.is_some() {
                begin = at + 1;
                break;
            }
        }
        let mut credentials = match credentials {
            Some(credentials) => credentials,
            None => self.with_session(self.source().await?, by.as_mut()).await?,
        };
        for (at, step) in self.chain.steps.iter().enumerate().skip(begin) {
            credentials = match &step.mfa_serial {
                None => self.assume(at, step, credentials, None).await?,
                Some(serial) => {
                    let session = self.assume_with_code(at, step, serial, credentials, by.as_mut()).await?;
                    self.keep(Some(at), &Key::of_role(step), &session);
                    session
                }
            };
        }
        Ok(credentials)
    }

    /// The first credentials.
    async fn source(&self) -> Result<Credentials> {
        let profile = self.chain.source_profile.as_str();
        let got = match (&self.chain.source, &self.provider) {
            (Source::Keys(keys), _) => keys.clone(),
            (Source::Process(command), _) => credential_process::run(command, credential_process::LIMIT)
                .await
                .map_err(|why| self.trouble(Trouble::process(&self.profiles, profile, command, &why)))?,
            (Source::Environment, _) => self.environment()?,
            (Source::WebIdentity(role), Some(provider)) => {
                let why = match std::fs::read_to_string(&role.web_identity_token_file) {
                    Ok(token) if token.trim().is_empty() => Some("is empty".to_owned()),
                    Ok(_) => None,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some("isn't there".to_owned()),
                    Err(error) => Some(format!("could not be read: {error}")),
                };
                if let Some(why) = why {
                    let file = role.web_identity_token_file.display().to_string();
                    return Err(self.trouble(Trouble::token_file(&self.profiles, profile, &file, &why)));
                }
                self.provided(provider).await?
            }
            (Source::Container, _) if !has_container_variables() => return Err(self.trouble(Trouble::no_task(&self.profiles, profile))),
            (_, Some(provider)) => self.provided(provider).await?,
            (_, None) => return Err(Error::internal("a source of credentials without a provider")),
        };
        if keys::are_usable(&got) { Ok(got) } else { Err(self.trouble(Trouble::odd_key(&self.profiles, &self.chain))) }
    }

    async fn provided(&self, provider: &SharedCredentialsProvider) -> Result<Credentials> {
        let got = provider.provide_credentials().await;
        got.map_err(|error| match Reach::of(&error).filter(|reach| !reach.is_link_local()) {
            Some(reach) => unreached(&reach, &self.profile, None),
            None => self.trouble(Trouble::source(&self.profiles, &self.chain, &error)),
        })
    }

    fn environment(&self) -> Result<Credentials> {
        let env = Env::real();
        let get = |name: &str| env.get(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => Ok(Credentials::new(id, secret, get("AWS_SESSION_TOKEN"), None, "Environment")),
            (id, secret) => {
                let missing = [("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)];
                let missing: Vec<&str> = missing.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
                Err(self.trouble(Trouble::no_variables(&self.profiles, &missing, &self.chain.source_profile)))
            }
        }
    }

    fn sts(&self, credentials: Credentials) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::config::Builder::from(&self.config).credentials_provider(credentials);
        aws_sdk_sts::Client::from_conf(config.build())
    }

    /// Gives a user's keys a session, where the profile names their device and somebody has a code.
    async fn with_session(&self, keys: Credentials, by: Option<&mut LogIn<'_, '_>>) -> Result<Credentials> {
        let Some(serial) = &self.chain.session_serial else { return Ok(keys) };
        let key = Key::of_session(serial, keys.access_key_id());
        if let Some(session) = self.session(None, &key) {
            return Ok(session);
        }
        let Some(by) = by else { return Ok(keys) };
        // The AWS CLI goes on without a code here, and so does who has none.
        let Some(code) = by.codes.get(by.used, &self.profile, serial, true)? else { return Ok(keys) };
        let session = self.session_token(keys, serial, &code).await;
        let session = session.map_err(|error| self.answered(&error, Trouble::session(&self.profiles, &self.chain, serial, &error)))?;
        self.keep(None, &key, &session);
        Ok(session)
    }

    async fn session_token(&self, keys: Credentials, serial: &str, code: &str) -> std::result::Result<Credentials, Box<ApiError>> {
        let request = self.sts(keys.clone()).get_session_token().serial_number(serial).token_code(code);
        let got = request.send().await;
        let got = got.map_err(|error| ApiError::new(&self.account, "sts:GetSessionToken", "*".to_owned(), error))?;
        Ok(got.credentials.map_or(keys, |credentials| session_of(credentials, None)))
    }

    async fn assume_with_code(
        &self,
        at: usize,
        step: &RoleStep,
        serial: &str,
        source: Credentials,
        by: Option<&mut LogIn<'_, '_>>,
    ) -> Result<Credentials> {
        let place = self.profiles.files.place(&step.profile, Some("mfa_serial"));
        let Some(by) = by else { return Err(self.trouble(Trouble::needs_code(serial, true, &place))) };
        // One session for both profiles: the keys of a user get it, and the roles see in it that there was a code.
        let shared =
            (by.shared && at == 0 && self.chain.source.is_long_term()).then(|| (serial.to_owned(), source.access_key_id().to_owned()));
        if let Some(session) = shared.as_ref().and_then(|key| by.used.sessions.get(key)).filter(|session| lasts(session)) {
            return self.assume(at, step, session.clone(), None).await;
        }
        let given = by.codes.has(&self.profile);
        let Some(code) = by.codes.get(by.used, &self.profile, serial, false)? else {
            return Err(self.trouble(Trouble::needs_code(serial, given, &place).with_login_hint(&self.profile)));
        };
        if let Some(key) = shared {
            match self.session_token(source.clone(), serial, &code).await {
                Ok(session) => {
                    by.used.sessions.insert(key, session.clone());
                    return self.assume(at, step, session, None).await;
                }
                // Somebody may be let into the role alone, and the code isn't used by a call that was denied.
                Err(error) if error.is_denied() => {}
                Err(error) => return Err(self.answered(&error, Trouble::session(&self.profiles, &self.chain, serial, &error))),
            }
        }
        self.assume(at, step, source, Some(&code)).await
    }

    async fn assume(&self, at: usize, step: &RoleStep, source: Credentials, code: Option<&str>) -> Result<Credentials> {
        let request = self
            .sts(source)
            .assume_role()
            .role_arn(&step.role_arn)
            .role_session_name(step.session_name.clone().unwrap_or_else(|| session_name(now())))
            .set_external_id(step.external_id.clone())
            .set_duration_seconds(step.duration)
            .set_serial_number(code.and(step.mfa_serial.clone()))
            .set_token_code(code.map(str::to_owned));
        match request.send().await {
            Ok(got) => match got.credentials {
                Some(credentials) => Ok(session_of(credentials, step.role_arn.split(':').nth(4))),
                None => Err(self.trouble(Trouble::no_answer(step))),
            },
            Err(error) => {
                let error = ApiError::new(&self.account, "sts:AssumeRole", step.role_arn.clone(), error);
                Err(self.answered(&error, Trouble::role(&self.profiles, &self.chain, at, &error)))
            }
        }
    }

    /// What STS answered is the profile's trouble; that it didn't is the network's.
    fn answered(&self, error: &ApiError, trouble: Trouble) -> Error {
        match error.status {
            Some(status) if status < 500 && error.reach.is_none() => self.trouble(trouble),
            _ => Error::from(Box::new(error.clone())),
        }
    }
}

fn session_of(credentials: aws_sdk_sts::types::Credentials, account: Option<&str>) -> Credentials {
    let mut builder = Credentials::builder()
        .access_key_id(credentials.access_key_id)
        .secret_access_key(credentials.secret_access_key)
        .session_token(credentials.session_token)
        .provider_name("AssumeRole");
    builder.set_expiry(SystemTime::try_from(credentials.expiration).ok());
    builder.set_account_id(account.map(Into::into));
    builder.build()
}

/// The credentials of a profile that somebody is connected with, for the SDK.
#[derive(Debug, Clone)]
pub(super) struct ConnectedProfile(pub Arc<ProfileCredentials>);

impl ProvideCredentials for ConnectedProfile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let last = self.0.kept().last.clone().filter(lasts);
            match last {
                Some(credentials) => Ok(credentials),
                None => self.0.again().await,
            }
        })
    }
}

impl ProfileCredentials {
    /// Gets what ran out; there is nobody to ask for a code then.
    async fn again(&self) -> provider::Result {
        let got = self.get(None).await.map_err(CredentialsError::provider_error)?;
        self.kept().last = Some(got.clone());
        Ok(got)
    }
}
