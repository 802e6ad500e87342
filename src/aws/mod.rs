//! A named profile becomes a verified account: id, partition, caller, region, SDK clients.

mod answers;
mod api_error;
mod aws_files;
mod certificates;
pub mod choices;
mod credential_chain;
mod credential_errors;
mod credential_process;
mod credentials;
mod http;
mod keys;
mod mfa;
pub mod profile;
pub mod proxy;
pub mod raw;
pub mod role;
mod sdk_settings;
mod session_cache;
mod skew;

pub use answers::decoded_key;
pub use api_error::{ApiError, ApiResult, present, retry_while, service_of};
pub use http::Reach;
pub use mfa::{AskForCode, MfaQuestion};
pub use skew::Skew;

use crate::error::{Error, Kind, Result};
use crate::model::{Arn, ENVIRONMENT_PROFILE, MfaCode, Partition, Side};
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use credential_chain::Chain;
use credentials::{ConnectedProfile, LogIn, ProfileCredentials};
use http::Bundle;
use mfa::{Codes, Used};
use profile::Profiles;
use proxy::Proxies;
use sdk_settings::SdkSettings;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one call may take from its first byte sent to its answer's head; the body sent counts, so an upload is without
/// it ([`unhurried`]).
const READ_TIMEOUT: Duration = Duration::from_secs(120);

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build()
}

/// Gives what an upload is to be sent with: it takes as long as it takes.
///
/// The SDK's read timeout is one for the whole exchange, the body sent included, so it would end every upload that is larger
/// than the line sends meanwhile. An upload that stands still is ended by the SDK's stalled-stream protection, which stays.
pub fn unhurried() -> aws_sdk_s3::config::Builder {
    // An override without a connect timeout would take that away as well.
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).disable_read_timeout().build();
    aws_sdk_s3::config::Builder::new().timeout_config(timeouts)
}

/// An account whose identity STS has confirmed.
#[derive(Debug, Clone)]
pub struct Account {
    /// Which of the two it is.
    pub side: Side,
    /// Twelve digits.
    pub id: String,
    /// From the caller's ARN.
    pub partition: Partition,
    /// The caller's ARN as STS gives it; a role session's lacks the role's path.
    pub caller: Arn,
    /// The profile it came from.
    pub profile: String,
    /// The region of its regional calls unless one is given.
    pub region: String,
    /// Somebody is logged in to it; otherwise it is only named, and nothing can be asked of it.
    pub logged_in: bool,
    config: SdkConfig,
    clients: Clients,
}

/// What a profile was given for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    /// One of two accounts.
    Side(Side),
    /// The only account that a command asks.
    Alone,
}

impl Asked {
    fn side(self) -> Side {
        match self {
            Asked::Side(side) => side,
            // One account is one to itself; nothing that it says to the user names a side.
            Asked::Alone => Side::Dev,
        }
    }

    /// The flag that names the profile.
    fn flag(self) -> String {
        match self {
            Asked::Side(side) => format!("--{side}-profile"),
            Asked::Alone => "--profile".to_owned(),
        }
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Asked::Side(side) => write!(f, " ({side})"),
            Asked::Alone => Ok(()),
        }
    }
}

/// What a connection needs before anybody has been asked who they are.
#[derive(Debug)]
pub struct Connector<'a> {
    environment: BTreeMap<String, String>,
    proxies: Proxies,
    /// By the bundle of certificates that is trusted.
    http: Mutex<BTreeMap<Option<Bundle>, SharedHttpClient>>,
    profiles: Arc<Profiles>,
    codes: Codes<'a>,
    /// One profile at a time: who is asked for a code looks at one device, and a code serves once.
    used: tokio::sync::Mutex<Used>,
    /// More profiles will be connected than anybody knows of yet.
    one_by_one: bool,
}

impl<'a> Connector<'a> {
    /// Reads the AWS files, and what the environment says of proxies.
    ///
    /// # Errors
    /// The AWS files can't be parsed.
    pub async fn new(environment: BTreeMap<String, String>) -> Result<Connector<'a>> {
        let proxies = Proxies::from_environment(&environment);
        let profiles = Arc::new(Profiles::load().await?);
        let (codes, used) = (Codes::default(), tokio::sync::Mutex::default());
        Ok(Connector { environment, proxies, http: Mutex::default(), profiles, codes, used, one_by_one: false })
    }

    /// Takes codes of MFA devices that were given, and who asks for others.
    #[must_use]
    pub fn asking(mut self, given: Vec<MfaCode>, ask: Box<AskForCode<'a>>) -> Connector<'a> {
        self.codes = Codes { given, ask: Some(ask) };
        self
    }

    /// Says that profiles are chosen one after the other, so that one code must do for all whose device it is.
    #[must_use]
    pub fn one_by_one(mut self) -> Connector<'a> {
        self.one_by_one = true;
        self
    }

    /// Gives the HTTP client of a profile: `AWS_CA_BUNDLE`, or else its `ca_bundle`, says which certificates are trusted. Profiles that
    /// trust the same ones share a client.
    fn http(&self, profile: &str) -> Result<SharedHttpClient> {
        let variable = self.environment.get("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
        let bundle = match variable {
            Some(path) => Some(Bundle { path: path.into(), named_by: "AWS_CA_BUNDLE".to_owned() }),
            None => self.profiles.get(profile, "ca_bundle").filter(|path| !path.is_empty()).map(|path| Bundle {
                path: self.profiles.files.below_home(&path),
                named_by: format!("`ca_bundle` of profile `{profile}`,"),
            }),
        };
        let mut made = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&bundle) {
            return Ok(client.clone());
        }
        let client = http::client(self.proxies.clone(), bundle.as_ref())?;
        made.insert(bundle, client.clone());
        Ok(client)
    }

    /// Asks STS who the profile is.
    ///
    /// Credentials come from the named profile alone: the SDK's default chain would prefer `AWS_ACCESS_KEY_ID`, and then
    /// both accounts would silently be one (`conventions.md`). [`ENVIRONMENT_PROFILE`] in its place asks for just those.
    ///
    /// # Errors
    /// The profile is missing, its credentials don't work, or no region is set for it.
    pub async fn connect(&self, side: Side, profile: &str, region: Option<&str>) -> Result<Account> {
        self.connect_as(Asked::Side(side), profile, region, self.one_by_one).await
    }

    /// The same, for a command that has one account: ecs-check's `--profile`.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn connect_alone(&self, profile: &str, region: Option<&str>) -> Result<Account> {
        self.connect_as(Asked::Alone, profile, region, self.one_by_one).await
    }

    fn chain(&self, asked: Asked, profile: &str) -> Result<Chain> {
        if profile == ENVIRONMENT_PROFILE {
            return Ok(Chain::of_environment());
        }
        self.profiles.require(asked, profile)?;
        Chain::of(&self.profiles, profile, credentials::now()).map_err(|trouble| trouble.of(asked, profile))
    }

    /// Says whether one code does for both: the same keys of a user, and the same device.
    fn share_a_code(&self, dev: &str, prod: &str) -> bool {
        let chains = (self.chain(Asked::Side(Side::Dev), dev), self.chain(Asked::Side(Side::Prod), prod));
        let (Ok(dev), Ok(prod)) = chains else { return false };
        dev.shared_device().is_some() && dev.shared_device() == prod.shared_device()
    }

    async fn connect_as(&self, asked: Asked, profile: &str, region: Option<&str>, shared: bool) -> Result<Account> {
        let chain = self.chain(asked, profile)?;
        let wants_code = chain.wants_code();
        // Who asks for the environment's credentials has its other settings as well.
        let settings_of = match profile {
            ENVIRONMENT_PROFILE => self.environment.get("AWS_PROFILE").filter(|name| !name.is_empty()).map_or("default", String::as_str),
            named => named,
        };
        let settings = SdkSettings::of(&self.environment, &self.profiles, settings_of, region)?;
        keys::check(&self.environment, &self.profiles, profile)?;
        let http = self.http(settings_of)?;
        let provider_config = settings.on_provider(ProviderConfig::without_region().with_http_client(http.clone()));
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .no_credentials()
            .profile_name(settings_of)
            .timeout_config(timeouts());
        if let Ok(name) = AppName::new("xdeploy") {
            loader = loader.app_name(name);
        }
        let config = settings.on_loader(loader).load().await;
        let config = settings.on_config(config);
        if config.region().is_none_or(|region| region.as_ref().is_empty()) {
            return Err(Error::usage(match profile {
                ENVIRONMENT_PROFILE => format!("the environment{asked} names no region"),
                _ => format!("profile `{profile}`{asked} has no region"),
            })
            .hint("pass `--region us-east-1`, or set `region` in the profile or AWS_REGION"));
        }
        let credentials = ProfileCredentials::new(asked, profile, chain, self.profiles.clone(), &provider_config, &config);
        let (mut shared_use, mut own) = (None, Used::default());
        if wants_code {
            shared_use = Some(self.used.lock().await);
        }
        let used = shared_use.as_deref_mut().unwrap_or(&mut own);
        credentials.log_in(LogIn { codes: &self.codes, used, shared }).await?;
        drop(shared_use);
        let credentials = Arc::new(credentials);
        let provider = SharedCredentialsProvider::new(ConnectedProfile(credentials.clone()));
        let config = config.into_builder().credentials_provider(provider).build();
        Account::verified(asked.side(), profile, config).await.map_err(|error| match error {
            Unverified::Asking(error) if error.is_credentials() => credentials.refused(&error),
            Unverified::Asking(error) => Error::from(error),
            Unverified::Answer(error) => error,
        })
    }

    /// Asks one account, where the other one is only named.
    ///
    /// # Errors
    /// It can't be verified, or isn't the account that was expected.
    pub async fn connect_one(&self, side: Side, login: &Login<'_>) -> Result<Account> {
        let account = self.connect(side, login.profile, login.region).await?;
        expect(&account, login.expected)?;
        Ok(account)
    }

    /// Asks both accounts at once, and refuses a pair that can't be meant.
    ///
    /// # Errors
    /// Either account can't be verified; both are one; one isn't the account that was expected; partitions differ.
    pub async fn connect_both(&self, dev: &Login<'_>, prod: &Login<'_>) -> Result<Accounts> {
        let shared = self.one_by_one || self.share_a_code(dev.profile, prod.profile);
        let (dev_account, prod_account) = tokio::join!(
            self.connect_as(Asked::Side(Side::Dev), dev.profile, dev.region, shared),
            self.connect_as(Asked::Side(Side::Prod), prod.profile, prod.region.or(dev.region), shared)
        );
        let (dev_account, prod_account) = (dev_account?, prod_account?);
        expect(&dev_account, dev.expected)?;
        expect(&prod_account, prod.expected)?;
        if dev_account.id == prod_account.id {
            return Err(Error::new(
                Kind::Credentials,
                format!("profiles `{}` and `{}` are the same account, {}", dev.profile, prod.profile, dev_account.id),
            )
            .hint("name a profile of the production account with `--prod-profile`; xdeploy works across two accounts"));
        }
        if dev_account.partition != prod_account.partition {
            return Err(Error::new(
                Kind::Credentials,
                format!(
                    "dev is in partition `{}` and prod in `{}`; a role can't be assumed across partitions",
                    dev_account.partition, prod_account.partition
                ),
            )
            .hint("use two accounts of one partition"));
        }
        Ok(Accounts { dev: dev_account, prod: prod_account })
    }
}

/// Refuses an account that isn't the expected one.
fn expect(account: &Account, expected: Option<&str>) -> Result<()> {
    match expected {
        Some(expected) if expected != account.id => Err(Error::new(
            Kind::Credentials,
            format!("profile `{}` is account {}, but {expected} was expected for {}", account.profile, account.id, account.side),
        )
        .hint(format!("name the right profile with `--{}-profile`, or correct `--{}-account`", account.side, account.side))),
        _ => Ok(()),
    }
}

/// Both accounts.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// The development account.
    pub dev: Account,
    /// The production account.
    pub prod: Account,
}

impl Accounts {
    /// Gives one of the two.
    pub fn of(&self, side: Side) -> &Account {
        match side {
            Side::Dev => &self.dev,
            Side::Prod => &self.prod,
        }
    }

    /// Gives the side that is only named, if one is.
    pub fn named_only(&self) -> Option<Side> {
        [&self.dev, &self.prod].into_iter().find(|account| !account.logged_in).map(|account| account.side)
    }
}

/// How one side is to be reached.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The named profile.
    pub profile: &'a str,
    /// The region, where one was given.
    pub region: Option<&'a str>,
    /// The account it must be, where one was given.
    pub expected: Option<&'a str>,
}

/// Clients by region: to make one costs more than a call does.
#[derive(Debug, Clone)]
struct Made<C>(Arc<Mutex<BTreeMap<String, C>>>);

impl<C> Default for Made<C> {
    fn default() -> Self {
        Made(Arc::default())
    }
}

impl<C: Clone> Made<C> {
    fn get_or_make(&self, region: &str, make: impl FnOnce() -> C) -> C {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(region) {
            return client.clone();
        }
        let client = make();
        made.insert(region.to_owned(), client.clone());
        client
    }
}

macro_rules! clients {
    ($($(#[$doc:meta])* $visible:vis $name:ident: $krate:ident;)*) => {
        /// The clients of one account's configuration, made when they are first asked for.
        #[derive(Debug, Clone, Default)]
        struct Clients {
            $($name: Made<$krate::Client>,)*
        }

        impl Account {
            $(
                $(#[$doc])*
                $visible fn $name(&self, region: &str) -> $krate::Client {
                    self.clients.$name.get_or_make(region, || {
                        let config = $krate::config::Builder::from(&self.config).region(Region::new(region.to_owned()));
                        let config = config.interceptor(answers::OnlyAnswers);
                        $krate::Client::from_conf(config.build())
                    })
                }
            )*
        }
    };
}

clients! {
    /// Gives a KMS client.
    pub kms: aws_sdk_kms;
    /// Gives an S3 client.
    pub s3: aws_sdk_s3;
    /// Gives an EventBridge client.
    pub events: aws_sdk_eventbridge;
    /// Gives an ECS client.
    pub ecs: aws_sdk_ecs;
    /// Gives a CodePipeline client.
    pub codepipeline: aws_sdk_codepipeline;
    /// Gives an IAM client; the region only says whose endpoint is asked.
    iam_in: aws_sdk_iam;
    /// Gives an Organizations client, likewise.
    organizations_in: aws_sdk_organizations;
}

/// Why nobody knows whose credentials these are.
#[derive(Debug)]
pub enum Unverified {
    /// STS could not be asked.
    Asking(Box<ApiError>),
    /// What it said is no identity.
    Answer(Error),
}

impl Account {
    /// Asks STS whose credentials a configuration has; the configuration must have a region.
    ///
    /// # Errors
    /// The call failed, or its answer is no identity.
    pub async fn verified(side: Side, profile: &str, config: SdkConfig) -> std::result::Result<Account, Unverified> {
        let unknown = |what: &str| {
            Unverified::Answer(
                Error::failed(format!("STS did not give {what} for profile `{profile}`"))
                    .hint("if AWS_ENDPOINT_URL is set, what answers there is no STS"),
            )
        };
        let mut account = Account::unknown(side, profile, config);
        let sts = aws_sdk_sts::Client::new(&account.config);
        let identity = account.call("sts:GetCallerIdentity", "*", sts.get_caller_identity().send()).await.map_err(Unverified::Asking)?;
        let arn = identity.arn().ok_or_else(|| unknown("an ARN"))?;
        account.caller = arn
            .parse::<Arn>()
            .map_err(|why| Unverified::Answer(Error::failed(why).hint("if AWS_ENDPOINT_URL is set, what answers there is no STS")))?;
        account.id = identity.account().ok_or_else(|| unknown("an account id"))?.to_owned();
        account.partition = Partition(account.caller.partition.clone());
        Ok(account)
    }

    /// Gives an account before anybody has said whose it is.
    fn unknown(side: Side, profile: &str, config: SdkConfig) -> Account {
        let caller = Arn {
            partition: "aws".to_owned(),
            service: "sts".to_owned(),
            region: String::new(),
            account: "unknown".to_owned(),
            resource: format!("profile {profile}"),
        };
        Account {
            side,
            id: "unknown".to_owned(),
            partition: Partition("aws".to_owned()),
            caller,
            profile: profile.to_owned(),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            logged_in: true,
            config,
            clients: Clients::default(),
        }
    }

    /// Says whether its credentials are the environment's, which was asked for by name.
    pub fn is_of_environment(&self) -> bool {
        self.profile == ENVIRONMENT_PROFILE
    }

    /// Gives an account that is named and not logged in to. Its clients have no credentials, so every call fails.
    pub fn named(side: Side, id: &str, partition: &Partition, region: &str) -> Account {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::new(region.to_owned()));
        let caller = Arn {
            partition: partition.0.clone(),
            service: "iam".to_owned(),
            region: String::new(),
            account: id.to_owned(),
            resource: "root".to_owned(),
        };
        Account {
            side,
            id: id.to_owned(),
            partition: partition.clone(),
            caller,
            profile: String::new(),
            region: region.to_owned(),
            logged_in: false,
            config: config.build(),
            clients: Clients::default(),
        }
    }

    /// Gives an IAM client; IAM is global.
    pub fn iam(&self) -> aws_sdk_iam::Client {
        self.iam_in(&self.region)
    }

    /// Gives an Organizations client; Organizations is global.
    pub fn organizations(&self) -> aws_sdk_organizations::Client {
        self.organizations_in(&self.region)
    }

    /// Gives the ARN of a role or policy of this account.
    pub fn iam_arn(&self, kind_and_path: &str) -> String {
        format!("arn:{}:iam::{}:{kind_and_path}", self.partition, self.id)
    }

    /// Gives the error of a call that AWS answered as done although a part of it was refused.
    pub fn refused(&self, action: &'static str, resource: &str, code: &str, message: &str) -> ApiError {
        ApiError {
            action,
            resource: resource.to_owned(),
            side: self.side,
            account: self.id.clone(),
            caller: self.caller.to_string(),
            profile: self.profile.clone(),
            code: code.to_owned(),
            message: message.to_owned(),
            request_id: None,
            bucket_region: None,
            status: None,
            no_credentials: false,
            is_unusable: false,
            skew: None,
            reach: None,
        }
    }

    /// Makes one call and keeps, if it fails, everything that an explanation needs.
    ///
    /// The future is boxed: the SDK's are large, and many are joined.
    ///
    /// # Errors
    /// An [`ApiError`] with the action, resource, caller, AWS's code, message and request id.
    pub fn call<'a, T, E>(
        &'a self,
        action: &'static str,
        resource: impl Into<String>,
        request: impl Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>> + 'a,
    ) -> Pin<Box<dyn Future<Output = ApiResult<T>> + 'a>>
    where
        T: 'a,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let (request, resource) = (Box::pin(request), resource.into());
        Box::pin(async move { request.await.map_err(|error| ApiError::new(self, action, resource, error)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use std::sync::{Arc, Mutex};

    /// Connect and read timeout of a call.
    type Asked = (Option<Duration>, Option<Duration>);

    /// Answers everything with 200 and keeps the timeouts that it was asked for.
    #[derive(Debug, Clone, Default)]
    struct Recorder(Arc<Mutex<Vec<Asked>>>);

    impl HttpClient for Recorder {
        fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
            self.0.lock().unwrap().push((settings.connect_timeout(), settings.read_timeout()));
            SharedHttpConnector::new(self.clone())
        }
    }

    impl HttpConnector for Recorder {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::ready(Ok(HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::empty())))
        }
    }

    #[tokio::test]
    async fn an_upload_longer_than_the_read_timeout_is_not_ended() {
        let recorder = Recorder::default();
        let keys = aws_credential_types::Credentials::new("AKIAEXAMPLE", "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .http_client(recorder.clone())
            .timeout_config(timeouts())
            .build();
        let s3 = aws_sdk_s3::Client::new(&config);
        let put = || s3.put_object().bucket("bucket").key("key").body(aws_sdk_s3::primitives::ByteStream::from_static(b"body"));
        put().send().await.unwrap();
        put().customize().config_override(unhurried()).send().await.unwrap();
        let seen = recorder.0.lock().unwrap().clone();
        assert_eq!(seen, [(Some(CONNECT_TIMEOUT), Some(READ_TIMEOUT)), (Some(CONNECT_TIMEOUT), None)]);
    }
}
