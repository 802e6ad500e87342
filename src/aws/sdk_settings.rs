//! The settings that the SDK takes from the environment and from a profile, read and checked before the SDK reads them: it ends the
//! program at some values that it doesn't know, and takes its default at others without a word.
//!
//! A variable goes before the profile's key; one that is empty counts as unset, as in AWS's common runtime, for CI writes such
//! variables. An empty key of a profile is a mistake, as somebody wrote it down.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>

use super::aws_files::Section;
use super::profile::Profiles;
use super::proxy::{Proxies, host_and_port};
use crate::error::{Error, Result};
use crate::model::{RegionName, printable};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::{RetryConfig, RetryMode};
use aws_config::{ConfigLoader, Region, SdkConfig};
use aws_smithy_runtime_api::client::auth::{AuthSchemeId, AuthSchemePreference};
use aws_smithy_types::checksum_config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_types::endpoint_config::AccountIdEndpointMode;
use aws_types::region::SigningRegionSet;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use hyper::Uri;
use std::collections::BTreeMap;

/// A setting that is one value: the variable, the profile's key, what it may be in words, and the value as it is handed on.
struct Row {
    variable: &'static str,
    key: &'static str,
    may_be: &'static str,
    read: fn(&str) -> Option<Value>,
}

/// A value that was read.
#[derive(Debug, Clone)]
enum Value {
    RetryMode(RetryMode),
    Attempts(u32),
    Fips(bool),
    DualStack(bool),
    IgnoreEndpoints(bool),
    NoCompression(bool),
    NoClockCorrection(bool),
    CompressFrom(u32),
    RequestChecksums(RequestChecksumCalculation),
    ResponseChecksums(ResponseChecksumValidation),
    AccountIdEndpoints(AccountIdEndpointMode),
    AuthSchemes(AuthSchemePreference),
    SigningRegions(SigningRegionSet),
    /// Only looked at: the SDK reads it again where it is needed.
    Fine,
}

const YES_OR_NO: &str = "`true` or `false`";
const A_URL: &str = "a URL such as `https://HOST` or `http://HOST:PORT`";

/// Every such setting that the SDK reads for its clients, but for the region and the endpoints.
const ROWS: [Row; 15] = [
    Row {
        variable: "AWS_RETRY_MODE",
        key: "retry_mode",
        may_be: "`standard`, `adaptive` or `legacy` (taken for `standard`)",
        read: retry_mode,
    },
    Row { variable: "AWS_MAX_ATTEMPTS", key: "max_attempts", may_be: "a whole number from 1 on", read: attempts },
    Row { variable: "AWS_USE_FIPS_ENDPOINT", key: "use_fips_endpoint", may_be: YES_OR_NO, read: |text| yes_or_no(text).map(Value::Fips) },
    Row {
        variable: "AWS_USE_DUALSTACK_ENDPOINT",
        key: "use_dualstack_endpoint",
        may_be: YES_OR_NO,
        read: |text| yes_or_no(text).map(Value::DualStack),
    },
    Row {
        variable: "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        key: "ignore_configured_endpoint_urls",
        may_be: YES_OR_NO,
        read: |text| yes_or_no(text).map(Value::IgnoreEndpoints),
    },
    Row {
        variable: "AWS_DISABLE_REQUEST_COMPRESSION",
        key: "disable_request_compression",
        may_be: YES_OR_NO,
        read: |text| yes_or_no(text).map(Value::NoCompression),
    },
    Row {
        variable: "AWS_DISABLE_CLOCK_SKEW_CORRECTION",
        key: "disable_clock_skew_correction",
        may_be: YES_OR_NO,
        read: |text| yes_or_no(text).map(Value::NoClockCorrection),
    },
    Row {
        variable: "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES",
        key: "request_min_compression_size_bytes",
        may_be: "a whole number from 0 to 10485760",
        read: |text| text.parse().ok().filter(|size| *size <= 10_485_760).map(Value::CompressFrom),
    },
    Row {
        variable: "AWS_REQUEST_CHECKSUM_CALCULATION",
        key: "request_checksum_calculation",
        may_be: "`when_supported` or `when_required`",
        read: |text| text.parse().ok().map(Value::RequestChecksums),
    },
    Row {
        variable: "AWS_RESPONSE_CHECKSUM_VALIDATION",
        key: "response_checksum_validation",
        may_be: "`when_supported` or `when_required`",
        read: |text| text.parse().ok().map(Value::ResponseChecksums),
    },
    Row {
        variable: "AWS_ACCOUNT_ID_ENDPOINT_MODE",
        key: "account_id_endpoint_mode",
        may_be: "`preferred`, `disabled` or `required`",
        read: |text| text.parse().ok().map(Value::AccountIdEndpoints),
    },
    Row {
        variable: "AWS_AUTH_SCHEME_PREFERENCE",
        key: "auth_scheme_preference",
        may_be: "names with commas between them",
        read: auth_schemes,
    },
    Row {
        variable: "AWS_SIGV4A_SIGNING_REGION_SET",
        key: "sigv4a_signing_region_set",
        may_be: "regions with commas between them",
        read: signing_regions,
    },
    Row {
        variable: "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        key: "ec2_metadata_service_endpoint",
        may_be: A_URL,
        read: |text| is_url(text).then_some(Value::Fine),
    },
    Row {
        variable: "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
        key: "ec2_metadata_service_endpoint_mode",
        may_be: "`IPv4` or `IPv6`",
        read: |text| ["ipv4", "ipv6"].iter().any(|mode| text.eq_ignore_ascii_case(mode)).then_some(Value::Fine),
    },
];

/// The services that are asked, by the SDK's name, which the endpoints' variables and keys are made from.
const SERVICES: [&str; 11] =
    ["S3", "KMS", "IAM", "STS", "EventBridge", "CodePipeline", "ECS", "Organizations", "SSO", "SSO OIDC", "Signin"];

/// Those of them that the SDK asks by itself for a profile's credentials, with the keys of a profile that make it do so. What it reads
/// there can't be put right for it.
const ASKED_BY_THE_SDK: [(&str, &[&str]); 4] =
    [("STS", &["role_arn"]), ("SSO", &["sso_session", "sso_start_url"]), ("SSO OIDC", &["sso_session"]), ("Signin", &["login_session"])];

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn retry_mode(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        // What `legacy` does is each SDK's own, and this one has only the other two.
        // https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
        "standard" | "legacy" => Some(Value::RetryMode(RetryMode::Standard)),
        "adaptive" => Some(Value::RetryMode(RetryMode::Adaptive)),
        _ => None,
    }
}

fn attempts(text: &str) -> Option<Value> {
    text.parse().ok().filter(|number| *number > 0).map(Value::Attempts)
}

fn auth_schemes(text: &str) -> Option<Value> {
    let names: Vec<String> = text.split(',').map(|name| name.split_whitespace().collect()).collect();
    let id = |name: &String| AuthSchemeId::from(std::borrow::Cow::Owned(name.split('#').next_back().unwrap_or_default().to_owned()));
    let ids: Vec<AuthSchemeId> = names.iter().map(id).collect();
    (!names.iter().any(String::is_empty)).then(|| Value::AuthSchemes(AuthSchemePreference::from(ids)))
}

fn signing_regions(text: &str) -> Option<Value> {
    let regions: Vec<&str> = text.split(',').map(str::trim).filter(|region| !region.is_empty()).collect();
    (!regions.is_empty()).then(|| Value::SigningRegions(regions.into_iter().collect()))
}

/// Says whether a text is an `http` or `https` URL with a host.
fn is_url(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && host_and_port(&uri).is_some())
}

/// Where a value comes from.
#[derive(Debug)]
enum Origin<'a> {
    Variable(String),
    Key(Section<'a>, String),
}

/// The settings of one profile.
#[derive(Debug)]
pub(super) struct SdkSettings {
    /// Where calls go, unless a flag or a variable says so: the profile's.
    region: Option<String>,
    values: Vec<Value>,
    endpoints: Endpoints,
}

/// The environment and the profile, for whoever looks something up.
struct Lookup<'a> {
    environment: &'a BTreeMap<String, String>,
    profiles: &'a Profiles,
    profile: &'a str,
}

impl<'a> Lookup<'a> {
    fn variable(&self, name: &str) -> Option<(String, Origin<'a>)> {
        let value = self.environment.get(name)?.trim();
        (!value.is_empty()).then(|| (value.to_owned(), Origin::Variable(name.to_owned())))
    }

    fn key(&self, key: &str) -> Option<(String, Origin<'a>)> {
        let value = self.profiles.get(self.profile, key)?;
        Some((value.trim().to_owned(), Origin::Key(Section::Profile(self.profile), key.to_owned())))
    }

    /// Says that a value can't be used, where it stands, and what it may be.
    fn refused(&self, value: &str, from: &Origin<'_>, may_be: &str) -> Error {
        // A URL may hold a password.
        let shown = match value.rsplit_once('@') {
            Some((_, host)) => format!("…@{host}"),
            None => value.to_owned(),
        };
        let shown: String = printable(shown).chars().take(80).collect();
        let shown = if shown.is_empty() { "empty".to_owned() } else { format!("`{shown}`") };
        match from {
            Origin::Variable(name) => {
                Error::usage(format!("{name} is {shown}, which can't be used")).hint(format!("set {name} to {may_be}, or unset it"))
            }
            Origin::Key(section, key) => {
                let whose = match section {
                    Section::Profile(name) => format!("profile `{name}`"),
                    Section::Services(name) => format!("services `{name}`"),
                };
                let line = self.profiles.files.line_of(*section, key, value.lines().next().unwrap_or_default());
                let line = line.map(|line| format!(" ({line})")).unwrap_or_default();
                Error::usage(format!("`{key}` of {whose} is {shown}, which can't be used{line}"))
                    .hint(format!("set it to {may_be}, or take the line out"))
            }
        }
    }

    /// Refuses what no header can hold: the SDK tells in each request where it runs.
    fn check_execution_environment(&self) -> Result<()> {
        match self.variable("AWS_EXECUTION_ENV") {
            Some((value, from)) if !value.chars().all(|one| (' '..='~').contains(&one)) => {
                Err(self.refused(&value, &from, "printable ASCII"))
            }
            _ => Ok(()),
        }
    }

    fn value(&self, row: &Row) -> Result<Option<Value>> {
        let Some((value, from)) = self.variable(row.variable).or_else(|| self.key(row.key)) else { return Ok(None) };
        (row.read)(&value).map(Some).ok_or_else(|| self.refused(&value, &from, row.may_be))
    }

    fn region(&self) -> Result<Option<String>> {
        let named = self.variable("AWS_REGION").or_else(|| self.variable("AWS_DEFAULT_REGION")).or_else(|| self.key("region"));
        let Some((value, from)) = named else { return Ok(None) };
        match value.parse::<RegionName>() {
            Ok(_) => Ok(Some(value)),
            Err(_) => Err(self.refused(&value, &from, "a region such as `us-east-1`")),
        }
    }

    /// Gives the endpoint of a service, or of all.
    fn endpoint(&self, service: Option<&str>) -> Option<(String, Origin<'a>)> {
        let variable = |service: &str| self.variable(&format!("AWS_ENDPOINT_URL_{}", service.to_uppercase().replace(' ', "_")));
        let named = service.and_then(variable).or_else(|| self.variable("AWS_ENDPOINT_URL"));
        named.or_else(|| service.and_then(|service| self.of_services(service))).or_else(|| self.key("endpoint_url"))
    }

    /// What the `[services]` section that the profile names says of a service.
    fn of_services(&self, service: &str) -> Option<(String, Origin<'a>)> {
        let (value, section) = self.profiles.service_endpoint(self.profile, &service.to_lowercase().replace(' ', "-"))?;
        Some((value.trim().to_owned(), Origin::Key(Section::Services(section), "endpoint_url".to_owned())))
    }

    fn endpoints(&self) -> Result<Endpoints> {
        let mut endpoints = Endpoints { general: None, of: BTreeMap::new() };
        for service in [None].into_iter().chain(SERVICES.into_iter().map(Some)) {
            let Some((value, from)) = self.endpoint(service) else { continue };
            if !is_url(&value) {
                return Err(self.refused(&value, &from, A_URL));
            }
            match service {
                Some(service) => {
                    endpoints.of.insert(service, value);
                }
                None => endpoints.general = Some(value),
            }
        }
        Ok(endpoints)
    }

    /// Refuses an empty variable that the SDK will read by itself and stop at.
    fn refuse_empty(&self) -> Result<()> {
        for (service, keys) in ASKED_BY_THE_SDK {
            let special = format!("AWS_ENDPOINT_URL_{}", service.to_uppercase().replace(' ', "_"));
            let is_needed = keys.iter().any(|key| self.profiles.inherited(self.profile, key).is_some());
            let name = [special.as_str(), "AWS_ENDPOINT_URL"].into_iter().find(|name| self.environment.contains_key(*name));
            if let Some(name) = name.filter(|name| is_needed && self.variable(name).is_none()) {
                return Err(self.refused("", &Origin::Variable(name.to_owned()), A_URL));
            }
        }
        Ok(())
    }
}

impl SdkSettings {
    /// Reads and checks the settings of a profile.
    ///
    /// # Errors
    /// A value that isn't one of its setting's, with the variable or the line that it stands in; a proxy that is none.
    pub(super) fn of(
        environment: &BTreeMap<String, String>,
        profiles: &Profiles,
        profile: &str,
        region: Option<&str>,
    ) -> Result<SdkSettings> {
        let lookup = Lookup { environment, profiles, profile };
        let values = ROWS.iter().map(|row| lookup.value(row)).collect::<Result<Vec<_>>>()?;
        let mut values: Vec<Value> = values.into_iter().flatten().collect();
        // The SDK would read an empty variable by itself, and end the program.
        let is_empty = |name: &str| environment.contains_key(name) && lookup.variable(name).is_none();
        if ["AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS"].into_iter().any(is_empty) {
            values.insert(0, Value::RetryMode(RetryMode::Standard));
        }
        let are_ignored = values.iter().any(|value| matches!(value, Value::IgnoreEndpoints(true)));
        let endpoints = match are_ignored {
            true => Endpoints::default(),
            false => lookup.endpoints()?,
        };
        lookup.refuse_empty()?;
        lookup.check_execution_environment()?;
        let region = match region {
            Some(region) => Some(region.to_owned()),
            None => lookup.region()?,
        };
        let settings = SdkSettings { region, values, endpoints };
        settings.check_proxies(&Proxies::from_environment(environment))?;
        Ok(settings)
    }

    /// Refuses a variable that a service would be asked through and that names no proxy.
    fn check_proxies(&self, proxies: &Proxies) -> Result<()> {
        let aws = format!("https://sts.{}.amazonaws.com", self.region.as_deref().unwrap_or("us-east-1"));
        let general = self.endpoints.general.as_ref().unwrap_or(&aws);
        for url in SERVICES.iter().map(|service| self.endpoints.of.get(service).unwrap_or(general)) {
            if let Ok(uri) = url.parse::<Uri>() {
                proxies.of(&uri).map_err(|unusable| unusable.error())?;
            }
        }
        Ok(())
    }

    fn retries(&self) -> Option<RetryConfig> {
        self.values.iter().fold(None, |config: Option<RetryConfig>, value| match value {
            Value::RetryMode(mode) => Some(config.unwrap_or_else(RetryConfig::standard).with_retry_mode(*mode)),
            Value::Attempts(number) => Some(config.unwrap_or_else(RetryConfig::standard).with_max_attempts(*number)),
            _ => config,
        })
    }

    /// Hands the settings to what the SDK asks for credentials with.
    pub(super) fn on_provider(&self, config: ProviderConfig) -> ProviderConfig {
        let config = config.with_region(self.region.clone().map(Region::new));
        let config = match self.retries() {
            Some(retries) => config.with_retry_config(retries),
            None => config,
        };
        self.values.iter().fold(config, |config, value| match value {
            Value::Fips(is_on) => config.with_use_fips(Some(*is_on)),
            Value::DualStack(is_on) => config.with_use_dual_stack(Some(*is_on)),
            _ => config,
        })
    }

    /// Hands the settings to the loader of the clients' configuration.
    pub(super) fn on_loader(&self, loader: ConfigLoader) -> ConfigLoader {
        let loader = match &self.region {
            Some(region) => loader.region(Region::new(region.clone())),
            None => loader,
        };
        let loader = match self.retries() {
            Some(retries) => loader.retry_config(retries),
            None => loader,
        };
        self.values.iter().fold(loader, |loader, value| match value.clone() {
            Value::Fips(is_on) => loader.use_fips(is_on),
            Value::DualStack(is_on) => loader.use_dual_stack(is_on),
            Value::NoCompression(is_on) => loader.disable_request_compression(is_on),
            Value::NoClockCorrection(is_on) => loader.disable_clock_skew_correction(is_on),
            Value::CompressFrom(size) => loader.request_min_compression_size_bytes(size),
            Value::RequestChecksums(when) => loader.request_checksum_calculation(when),
            Value::ResponseChecksums(when) => loader.response_checksum_validation(when),
            Value::AccountIdEndpoints(mode) => loader.account_id_endpoint_mode(mode),
            Value::AuthSchemes(names) => loader.auth_scheme_preference(names),
            Value::SigningRegions(regions) => loader.sigv4a_signing_region_set(regions),
            // Retries and endpoints are handed over as a whole.
            Value::RetryMode(_) | Value::Attempts(_) | Value::IgnoreEndpoints(_) | Value::Fine => loader,
        })
    }

    /// Puts the endpoints that were read in the place of those that the SDK read.
    pub(super) fn on_config(self, config: SdkConfig) -> SdkConfig {
        let mut builder = config.into_builder().service_config(self.endpoints.clone());
        builder.set_endpoint_url(self.endpoints.general);
        builder.build()
    }
}

/// Where services are asked instead of at AWS.
#[derive(Debug, Clone, Default)]
struct Endpoints {
    general: Option<String>,
    of: BTreeMap<&'static str, String>,
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        // The endpoint is all that the SDK reads for a service alone, but for a kind of bucket that isn't used here.
        (key.profile() == "endpoint_url").then(|| self.of.get(key.service_id()).cloned()).flatten()
    }
}
