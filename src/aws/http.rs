//! The HTTP client that every client of the SDK shares: past or through a proxy, and its failures name the host.

use super::proxy::{Proxies, Proxy};
use crate::error::{Error, Result};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use hyper::Uri;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A file of certificates, and who named it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bundle {
    /// The file.
    pub path: PathBuf,
    /// Who named it, such as `AWS_CA_BUNDLE`.
    pub named_by: String,
}

impl Bundle {
    /// Reads the certificates, which alone are trusted then.
    fn trusted(&self) -> Result<TlsContext> {
        let Bundle { path, named_by } = self;
        let pem = std::fs::read(path).map_err(|error| crate::error::file_error(&format!("read {named_by}"), path, &error))?;
        let unusable = |why: String| {
            Error::usage(format!("{named_by} {} is not usable", path.display())).because(why).hint("it must hold certificates as PEM")
        };
        super::certificates::check(&pem).map_err(unusable)?;
        let trusted = TrustStore::empty().with_pem_certificate(pem);
        TlsContext::builder().with_trust_store(trusted).build().map_err(|error| unusable(error.to_string()))
    }
}

/// Makes the client.
///
/// # Errors
/// The bundle can't be used.
pub(super) fn client(proxies: Proxies, bundle: Option<&Bundle>) -> Result<SharedHttpClient> {
    let tls = bundle.map_or_else(|| Ok(TlsContext::default()), Bundle::trusted)?;
    Ok(SharedHttpClient::new(Client(Arc::new(Shared { proxies, tls, made: Mutex::default() }))))
}

/// One connector, with its pool of connections, for each way and each pair of timeouts.
type Made = BTreeMap<(Option<Proxy>, Option<Duration>, Option<Duration>), SharedHttpConnector>;

struct Shared {
    proxies: Proxies,
    tls: TlsContext,
    made: Mutex<Made>,
}

impl Shared {
    fn connector(&self, proxy: Option<&Proxy>, settings: &HttpConnectorSettings) -> std::result::Result<SharedHttpConnector, BoxError> {
        let key = (proxy.cloned(), settings.connect_timeout(), settings.read_timeout());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = made.get(&key) {
            return Ok(there.clone());
        }
        let mut builder = aws_smithy_http_client::Connector::builder()
            .connector_settings(settings.clone())
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .tls_context(self.tls.clone());
        if let Some(proxy) = proxy {
            builder = builder.proxy_config(ProxyConfig::all(proxy.url())?);
        }
        let connector = SharedHttpConnector::new(builder.build());
        made.insert(key, connector.clone());
        Ok(connector)
    }
}

#[derive(Clone)]
struct Client(Arc<Shared>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.proxies).finish()
    }
}

impl HttpClient for Client {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector { shared: Arc::clone(&self.0), settings: settings.clone() })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some(Cow::Borrowed("1.x"))))
    }
}

struct Connector {
    shared: Arc<Shared>,
    settings: HttpConnectorSettings,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = match request.uri().parse::<Uri>() {
            Ok(uri) => uri,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let proxy = match self.shared.proxies.of(&uri) {
            Ok(proxy) => proxy.cloned(),
            Err(unusable) => return HttpConnectorFuture::ready(Err(ConnectorError::user(unusable.error().into()))),
        };
        let connector = match self.shared.connector(proxy.as_ref(), &self.settings) {
            Ok(connector) => connector,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error))),
        };
        HttpConnectorFuture::new(async move {
            let to = |why: BoxError| Box::new(Unreachable { host: authority(&uri), proxy: proxy.clone(), why });
            match connector.call(request).await {
                // Only a proxy answers so; AWS never does.
                Ok(answer) if answer.status().as_u16() == 407 => {
                    Err(ConnectorError::other(to("407 Proxy Authentication Required".into()), None))
                }
                Ok(answer) => Ok(answer),
                Err(error) => Err(named(error, to)),
            }
        })
    }
}

/// Host and port as the URL has them.
fn authority(uri: &Uri) -> String {
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", uri.host().unwrap_or_default())
}

/// Puts the host into a failure, which stays of its kind, so that the SDK tries again as before.
fn named(error: ConnectorError, name: impl FnOnce(BoxError) -> Box<Unreachable>) -> ConnectorError {
    let connection = error.connection_metadata().cloned();
    let make: Box<dyn FnOnce(BoxError) -> ConnectorError> = match (error.is_io(), error.is_timeout(), error.is_user(), error.as_other()) {
        (true, ..) => Box::new(ConnectorError::io),
        (_, true, ..) => Box::new(ConnectorError::timeout),
        (_, _, true, _) => Box::new(ConnectorError::user),
        (.., kind) => Box::new(move |why| ConnectorError::other(why, kind)),
    };
    let made = make(name(error.into_source()));
    match connection {
        Some(connection) => made.with_connection(connection),
        None => made,
    }
}

/// Nothing answered at a host.
#[derive(Debug)]
pub(super) struct Unreachable {
    /// The host, with the port if the URL has one.
    pub host: String,
    /// The proxy in between.
    pub proxy: Option<Proxy>,
    why: BoxError,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer from {}", self.host)
    }
}

impl std::error::Error for Unreachable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.why.as_ref())
    }
}

/// What is told of a host that can't be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The host, with the port if the URL has one.
    pub host: String,
    /// The proxy in between, without its password, and the variable that names it.
    pub proxy: Option<String>,
    /// The other side's certificate isn't trusted.
    pub is_untrusted: bool,
    /// The innermost reason.
    pub why: String,
}

impl Reach {
    /// The host, and the proxy in between.
    pub fn way(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("{} through the proxy {proxy}", self.host),
            None => self.host.clone(),
        }
    }

    /// Says whether it is where only a container or an instance gets credentials: elsewhere nothing answers there, and that isn't the
    /// network's fault.
    pub(super) fn is_link_local(&self) -> bool {
        self.host.starts_with("169.254.") || self.host.starts_with("[fd00:ec2::")
    }

    /// Finds a host that couldn't be reached in a failure.
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Option<Reach> {
        let chain: Vec<_> = chain(error).collect();
        let at = chain.iter().find_map(|error| error.downcast_ref::<Unreachable>())?;
        let is_untrusted = chain.iter().any(|error| error.is::<rustls::Error>());
        let is_timeout = chain.iter().filter_map(|error| error.downcast_ref::<ConnectorError>()).any(ConnectorError::is_timeout);
        // Neither the network nor the certificates failed.
        let is_refused = at.proxy.is_some() && !is_untrusted && !is_timeout && !chain.iter().any(|error| error.is::<std::io::Error>());
        let why = match is_refused {
            true => format!("the proxy opened no connection ({})", innermost(error)),
            false => innermost(error),
        };
        Some(Reach { host: at.host.clone(), proxy: at.proxy.as_ref().map(ToString::to_string), is_untrusted, why })
    }
}

/// The text of an error's last cause: what the libraries wrap around it says only through which of them it went.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// Lists an error and its causes, those within an I/O error as well, which it doesn't give as its source.
fn chain<'a>(error: &'a (dyn std::error::Error + 'static)) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => {
            let inner: &(dyn std::error::Error + 'static) = inner;
            Some(inner)
        }
        None => error.source(),
    })
}
