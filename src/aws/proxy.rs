//! Which requests go through a proxy, from the variables that the AWS CLI reads too.
//!
//! The rules are those of the AWS CLI (botocore, which asks Python's `urllib`): a name in lower case goes before the same in upper
//! case, and takes it away where it is empty; `https` requests go through `HTTPS_PROXY`, `http` requests through `HTTP_PROXY`; a proxy
//! without a scheme is an `http` one; user and password before the host are sent as Basic authorization; `NO_PROXY` lists hosts, with
//! all that is below them. Beyond that, as in curl: `ALL_PROXY` where the other isn't set, and networks in `NO_PROXY`.
//! <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-proxy.html>

use crate::error::{Error, Result};
use hyper::Uri;
use ipnet::IpNet;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// Where no proxy can answer: the credentials of a container and of an instance.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>
const CREDENTIALS: [&str; 5] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23", "169.254.169.254", "fd00:ec2::254"];

/// One proxy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proxy {
    /// With user and password, if there are any; never printed.
    url: String,
    /// Host and port.
    address: String,
    /// The variable that named it.
    variable: String,
}

impl Proxy {
    /// What the HTTP client is given; it holds the password.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address, self.variable)
    }
}

/// What `NO_PROXY` lists.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exempt {
    /// `*`: every host.
    All,
    Network(IpNet),
    /// A host in lower case, without a leading dot; and a port, if only that one is meant.
    Host(String, Option<u16>),
}

/// The proxies, and what goes past them.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exempt: Vec<Exempt>,
}

impl Proxies {
    /// Reads the variables.
    ///
    /// # Errors
    /// One that is used names no proxy.
    pub fn from_environment(environment: &BTreeMap<String, String>) -> Result<Proxies> {
        // Whoever asks a CGI script chooses the value of HTTP_PROXY there, by a header `Proxy:`.
        let is_cgi = environment.contains_key("REQUEST_METHOD");
        let of = |kind: &str| match (kind, is_cgi) {
            ("HTTP_PROXY", true) => lower(environment, kind),
            _ => either(environment, kind),
        };
        // The AWS CLI doesn't read ALL_PROXY, so that one that is no HTTP proxy is no reason to stop.
        let all = of("ALL_PROXY").and_then(|(name, value)| proxy(&name, &value).ok());
        let named = |kind: &str| match of(kind) {
            Some((name, value)) => proxy(&name, &value).map(Some),
            None => Ok(all.clone()),
        };
        let exempt = of("NO_PROXY").map(|(_, value)| value.split(',').filter_map(exempt).collect()).unwrap_or_default();
        Ok(Proxies { http: named("HTTP_PROXY")?, https: named("HTTPS_PROXY")?, exempt })
    }

    /// Gives the proxy that a request goes through, if it goes through one.
    pub fn of(&self, uri: &Uri) -> Option<&Proxy> {
        let is_https = uri.scheme_str() == Some("https");
        let proxy = if is_https { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = uri.host()?.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        match is_near(&host) || self.exempt.iter().any(|exempt| exempt.covers(&host, port)) {
            true => None,
            false => Some(proxy),
        }
    }
}

fn lower(environment: &BTreeMap<String, String>, name: &str) -> Option<(String, String)> {
    let name = name.to_ascii_lowercase();
    environment.get(&name).filter(|value| !value.trim().is_empty()).map(|value| (name.clone(), value.trim().to_owned()))
}

/// Gives a variable by its name in lower or upper case.
fn either(environment: &BTreeMap<String, String>, name: &str) -> Option<(String, String)> {
    match environment.contains_key(&name.to_ascii_lowercase()) {
        true => lower(environment, name),
        false => environment.get(name).filter(|value| !value.trim().is_empty()).map(|value| (name.to_owned(), value.trim().to_owned())),
    }
}

/// The loopback, and the addresses of [`CREDENTIALS`].
fn is_near(host: &str) -> bool {
    let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    host == "localhost"
        || address.is_some_and(|address| address.is_loopback())
        || CREDENTIALS.iter().any(|near| near.parse::<IpAddr>().ok() == address && address.is_some())
}

fn exempt(entry: &str) -> Option<Exempt> {
    let entry = entry.trim().to_ascii_lowercase();
    if entry == "*" {
        return Some(Exempt::All);
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return Some(Exempt::Network(network));
    }
    if let Ok(address) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Exempt::Network(address.into()));
    }
    let (host, port) = match entry.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) {
        Some((host, port)) => (host, Some(port)),
        None => (entry.as_str(), None),
    };
    let host = host.strip_prefix('*').unwrap_or(host).trim_start_matches('.').trim_matches(['[', ']']).trim_end_matches('.');
    (!host.is_empty()).then(|| Exempt::Host(host.to_owned(), port))
}

impl Exempt {
    fn covers(&self, host: &str, port: u16) -> bool {
        match self {
            Exempt::All => true,
            Exempt::Network(network) => host.parse::<IpAddr>().is_ok_and(|address| network.contains(&address.to_canonical())),
            Exempt::Host(name, only) => {
                let is_below = host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                is_below && only.is_none_or(|only| only == port)
            }
        }
    }
}

/// Reads `[http://][user[:password]@]host[:port]`.
fn proxy(variable: &str, value: &str) -> Result<Proxy> {
    let refused = |why: &str| {
        Err(Error::usage(format!("{variable} names no proxy that can be used: {why}"))
            .hint("write it as `http://HOST:PORT`, with `USER:PASSWORD@` before the host if the proxy asks for them, or unset it"))
    };
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => ("http".to_owned(), value.trim_start_matches('/')),
    };
    if !matches!(scheme.as_str(), "http" | "https") {
        return refused("only `http` and `https` proxies are spoken to");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let Ok(uri) = format!("{scheme}://{host}/").parse::<Uri>() else { return refused("its host and port can't be read") };
    let default = if scheme == "https" { 443 } else { 80 };
    let port = match uri.port() {
        Some(port) => port.as_str().parse::<u16>().ok(),
        None => Some(default),
    };
    let (Some(name), Some(port)) = (uri.host().filter(|name| !name.is_empty()), port) else {
        return refused("its host and port can't be read");
    };
    let address = format!("{name}:{port}");
    // Written anew, so that nothing in a password can be taken for a part of the address.
    let coded = |text: &str| utf8_percent_encode(&percent_decode_str(text).decode_utf8_lossy(), NON_ALPHANUMERIC).to_string();
    let url = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
        Some((user, password)) if !user.is_empty() => format!("{scheme}://{}:{}@{address}", coded(user), coded(password)),
        _ => format!("{scheme}://{address}"),
    };
    Ok(Proxy { url, address, variable: variable.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Proxies::from_environment(&environment).unwrap()
    }

    fn through(proxies: &Proxies, uri: &str) -> Option<String> {
        proxies.of(&uri.parse().unwrap()).map(ToString::to_string)
    }

    const STS: &str = "https://sts.us-east-1.amazonaws.com/";

    #[test]
    fn each_scheme_has_its_variable() {
        let both = proxies(&[("HTTP_PROXY", "http://a:1"), ("HTTPS_PROXY", "http://b:2")]);
        assert_eq!(through(&both, "http://aws.test:4566/").as_deref(), Some("a:1 (HTTP_PROXY)"));
        assert_eq!(through(&both, STS).as_deref(), Some("b:2 (HTTPS_PROXY)"));
        let plain = proxies(&[("HTTP_PROXY", "http://a:1")]);
        assert_eq!(through(&plain, STS), None);
        let all = proxies(&[("ALL_PROXY", "http://c:3"), ("HTTPS_PROXY", "http://b:2")]);
        assert_eq!(through(&all, STS).as_deref(), Some("b:2 (HTTPS_PROXY)"));
        assert_eq!(through(&all, "http://aws.test/").as_deref(), Some("c:3 (ALL_PROXY)"));
    }

    #[test]
    fn lower_case_goes_first_and_takes_away_what_it_empties() {
        let lower = proxies(&[("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "http://lower:2")]);
        assert_eq!(through(&lower, STS).as_deref(), Some("lower:2 (https_proxy)"));
        assert_eq!(through(&proxies(&[("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "")]), STS), None);
        let spared = proxies(&[("HTTPS_PROXY", "http://upper:1"), ("NO_PROXY", "*"), ("no_proxy", "")]);
        assert_eq!(through(&spared, STS).as_deref(), Some("upper:1 (HTTPS_PROXY)"));
        let cgi = proxies(&[("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(through(&cgi, "http://aws.test/"), None);
    }

    #[test]
    fn a_proxy_is_written_in_many_ways() {
        for (value, address, url) in [
            ("http://proxy.corp:3128", "proxy.corp:3128", "http://proxy.corp:3128"),
            ("http://proxy.corp:3128/", "proxy.corp:3128", "http://proxy.corp:3128"),
            ("proxy.corp:3128", "proxy.corp:3128", "http://proxy.corp:3128"),
            ("//proxy.corp", "proxy.corp:80", "http://proxy.corp:80"),
            (" HTTPS://proxy.corp ", "proxy.corp:443", "https://proxy.corp:443"),
            ("10.0.0.1:8080", "10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("http://[fd00::1]:8080", "[fd00::1]:8080", "http://[fd00::1]:8080"),
            ("http://ann:p%40ss%2Fw@proxy.corp:1", "proxy.corp:1", "http://ann:p%40ss%2Fw@proxy.corp:1"),
            ("ann:p@s:s@proxy.corp:1", "proxy.corp:1", "http://ann:p%40s%3As@proxy.corp:1"),
            ("http://ann@proxy.corp:1", "proxy.corp:1", "http://ann:@proxy.corp:1"),
        ] {
            let proxy = proxy("HTTPS_PROXY", value.trim()).unwrap();
            assert_eq!((proxy.address.as_str(), proxy.url.as_str()), (address, url), "{value}");
            assert_eq!(format!("{proxy:?}"), format!("Proxy({address} (HTTPS_PROXY))"));
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for value in ["socks5://ann:secret@proxy:1080", "http://ann:secret@", "http://ann:secret@proxy:99999", "ann:secret@a b", "http://"]
        {
            let error = proxy("HTTPS_PROXY", value).unwrap_err();
            assert_eq!(error.kind.exit_code(), 64, "{value}");
            assert!(error.message.starts_with("HTTPS_PROXY names no proxy"), "{error}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
        // The AWS CLI knows no ALL_PROXY, and desktops set it to a SOCKS proxy.
        assert_eq!(through(&proxies(&[("ALL_PROXY", "socks5://proxy:1080")]), STS), None);
    }

    #[test]
    fn the_loopback_and_credential_addresses_go_past_every_proxy() {
        let all = proxies(&[("ALL_PROXY", "http://proxy:1")]);
        for near in [
            "http://127.0.0.1:4566/",
            "http://127.8.9.10/",
            "http://[::1]:4566/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost:4566/",
            "https://LOCALHOST/",
            "http://169.254.170.2/creds",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://169.254.169.254/latest",
            "http://[fd00:ec2::254]/latest",
        ] {
            assert_eq!(through(&all, near), None, "{near}");
        }
        for far in
            ["http://localhost.example.com/", "http://10.0.0.1/", "http://169.254.170.3/", "http://[fd00::1]/", "http://notlocalhost/"]
        {
            assert!(through(&all, far).is_some(), "{far}");
        }
    }

    #[test]
    fn no_proxy_names_hosts_suffixes_addresses_networks_and_ports() {
        for (list, uri, past) in [
            ("amazonaws.com", STS, true),
            (".amazonaws.com", STS, true),
            ("*.amazonaws.com", STS, true),
            ("AmazonAWS.com", STS, true),
            ("sts.us-east-1.amazonaws.com", STS, true),
            ("aws.com", STS, false),
            ("east-1.amazonaws.com", STS, false),
            ("example.com, amazonaws.com ", STS, true),
            ("example.com", STS, false),
            ("amazonaws.com:443", STS, true),
            ("amazonaws.com:8443", STS, false),
            ("aws.test:4566", "http://s3.aws.test:4566/b", true),
            ("aws.test:4566", "http://s3.aws.test/b", false),
            ("*", STS, true),
            ("example.com,*", STS, true),
            ("10.1.2.3", "http://10.1.2.3:4566/", true),
            ("10.1.2.3", "http://10.1.2.30:4566/", false),
            ("10.0.0.0/8", "http://10.1.2.3:4566/", true),
            ("10.0.0.0/8", "http://11.1.2.3:4566/", false),
            ("fd00::/8", "http://[fd00::1]/", true),
            ("[fd00::1]", "http://[fd00::1]/", true),
            ("fd00::2", "http://[fd00::1]/", false),
            ("", STS, false),
            (",", STS, false),
        ] {
            let proxies = proxies(&[("ALL_PROXY", "http://proxy:1"), ("NO_PROXY", list)]);
            assert_eq!(through(&proxies, uri).is_none(), past, "NO_PROXY={list} {uri}");
        }
    }
}
