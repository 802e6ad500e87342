//! Through company proxies: a real proxy that counts, plain and with CONNECT, and certificates of one's own.

use crate::support::compare::same;
use crate::support::served::{self, Served};
use snapbox::file;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::thread;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, ServerConfig, ServerConnection, StreamOwned};

const PROFILES: [&str; 4] = ["--dev-profile", "dev", "--prod-profile", "prod"];

/// An address that nobody has (RFC 5737): an S3 bucket is asked for by path there, as the emulator knows it.
const FAR: &str = "198.51.100.7";

/// What a proxy does with whoever comes.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Opens every connection, to where everything is here.
    Opens,
    /// Wants to know who asks.
    Asks,
    /// Lets nobody through.
    Refuses,
}

/// A proxy that writes down the first line of each request that it gets, with who asks.
struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts one before a server of this machine; whatever host is asked for is taken to be that.
    fn before(target: u16, manner: Manner) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let written = Arc::clone(&written);
                thread::spawn(move || {
                    let _ = pass(client, target, manner, &written);
                });
            }
        });
        Proxy { port, seen }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Takes what was seen since the last time.
    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Reads the head of a request.
fn head(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    Ok(head)
}

fn pass(mut client: TcpStream, target: u16, manner: Manner, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let head = head(&mut client)?;
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut line = text.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let user = text.lines().find_map(|line| {
        line.to_ascii_lowercase().starts_with("proxy-authorization: ").then(|| line["proxy-authorization: ".len()..].to_owned())
    });
    if let Some(user) = &user {
        line.push_str(&format!(" as {user}"));
    }
    if !line.is_empty() {
        seen.lock().unwrap().push(line.clone());
    }
    match manner {
        Manner::Asks if user.is_none() => return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        Manner::Refuses => return client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        _ => {}
    }
    let mut server = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, target)))?;
    if line.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        // In the origin's form, and one request a connection, so that each is seen.
        let (first, rest) = text.split_once("\r\n").unwrap_or_default();
        let (method, url) = first.split_once(' ').unwrap_or_default();
        let path = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or(url);
        let rest: String =
            rest.split_inclusive("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("proxy-") && *line != "\r\n").collect();
        server.write_all(format!("{method} {path}\r\n{rest}Connection: close\r\n\r\n").as_bytes())?;
    }
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = up.join();
    Ok(())
}

/// A server that speaks TLS before one that doesn't, and the certificate to trust.
struct Tls {
    port: u16,
    pem: String,
}

impl Tls {
    fn before(target: u16) -> Tls {
        let names = ["aws.test", "*.aws.test", "*.us-east-1.amazonaws.com", FAR].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    let _ = answer(StreamOwned::new(connection, client), target);
                });
            }
        });
        Tls { port, pem: made.cert.pem() }
    }
}

/// Hands requests on to a server without TLS, one after the other.
fn answer(mut client: StreamOwned<ServerConnection, TcpStream>, target: u16) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if client.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let length = text.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ").and_then(|length| length.trim().parse::<usize>().ok())
        });
        let mut body = vec![0; length.unwrap_or_default()];
        client.read_exact(&mut body)?;
        let mut server = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, target)))?;
        let head = text.trim_end_matches("\r\n");
        server.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes())?;
        server.write_all(&body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        client.write_all(&answer)?;
        client.flush()?;
        if String::from_utf8_lossy(&answer).to_ascii_lowercase().contains("connection: close") {
            client.conn.send_close_notify();
            return client.flush();
        }
    }
}

/// Two accounts behind names that only a proxy knows.
struct Far {
    served: Served,
    tls: Tls,
}

impl Far {
    fn new() -> Far {
        let served = served::served();
        let tls = Tls::before(served.port);
        fs::write(served.dir.path().join("ca.pem"), &tls.pem).unwrap();
        Far { served, tls }
    }

    /// Runs with these variables alone; `AWS_CA_BUNDLE` trusts the TLS server.
    fn run(&self, args: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = self.served.command(args);
        command.args(PROFILES).env("AWS_CA_BUNDLE", self.served.dir.path().join("ca.pem")).env("AWS_MAX_ATTEMPTS", "1");
        command.envs(variables.iter().copied()).output().unwrap()
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const HTTPS: (&str, &str) = ("AWS_ENDPOINT_URL", "https://aws.test");

#[test]
fn everything_goes_through_the_proxy_that_the_variables_name() {
    let far = Far::new();
    let proxy = Proxy::before(far.tls.port, Manner::Opens);
    let url = proxy.url();
    let bare = url.trim_start_matches("http://");
    for variables in [
        &[("HTTPS_PROXY", url.as_str())][..],
        &[("https_proxy", &url)],
        &[("ALL_PROXY", &url)],
        &[("all_proxy", &url)],
        &[("HTTPS_PROXY", bare)],
        &[("HTTPS_PROXY", "http://127.0.0.1:1"), ("https_proxy", &url)],
        &[("ALL_PROXY", "http://127.0.0.1:1"), ("HTTPS_PROXY", &url), ("HTTP_PROXY", "http://127.0.0.1:1")],
        &[("HTTPS_PROXY", &url), ("NO_PROXY", "example.com,127.0.0.1,.internal,aws.test:8443")],
    ] {
        let output = far.run(&["who-am-i"], &[&[HTTPS], variables].concat());
        assert_eq!(output.status.code(), Some(0), "{variables:?}\n{}", said(&output));
        // Both accounts share the client, and each asks once; a connection may serve both.
        let seen = proxy.seen();
        assert!((1..=2).contains(&seen.len()) && seen.iter().all(|line| line == "CONNECT aws.test:443"), "{variables:?}: {seen:?}");
    }
    // A whole set-up and its undoing: nothing goes past it, for nobody here knows the name.
    let args = [&["setup", "--yes"][..], &served::BUCKETS].concat();
    let output = far.run(&args, &[("AWS_ENDPOINT_URL", &format!("https://{FAR}")), ("HTTPS_PROXY", &url)]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let seen = proxy.seen();
    assert!(!seen.is_empty() && seen.iter().all(|line| *line == format!("CONNECT {FAR}:443")), "{seen:?}");
    // Through a plain proxy each request is seen, with its host.
    let plain = Proxy::before(far.served.port, Manner::Opens);
    let output = far.run(&["verify"], &[("AWS_ENDPOINT_URL", &format!("http://{FAR}:4566")), ("HTTP_PROXY", &plain.url())]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let seen = plain.seen();
    assert!(seen.len() > 10 && seen.iter().all(|line| line.contains(&format!(" http://{FAR}:4566/"))), "{seen:?}");
}

#[test]
fn aws_itself_is_asked_through_the_proxy_for_every_service() {
    let far = Far::new();
    let proxy = Proxy::before(far.tls.port, Manner::Opens);
    let url = proxy.url();
    // No endpoint is named: these are AWS's own hosts, and the proxy takes each for the TLS server here.
    let output = far.run(&["who-am-i"], &[("AWS_ENDPOINT_URL", ""), ("HTTPS_PROXY", &url)]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(proxy.seen().iter().all(|line| line == "CONNECT sts.us-east-1.amazonaws.com:443"));
    // Single sign-on and roles are asked for on the same way.
    let config = "[profile dev]\nregion = us-east-1\nrole_arn = arn:aws:iam::111111111111:role/r\nsource_profile = prod\n\
                  [profile prod]\nregion = us-east-1\n";
    fs::write(far.served.dir.path().join("config"), config).unwrap();
    let mut command = far.served.command(&["who-am-i"]);
    command
        .args(PROFILES)
        .env_remove("AWS_ENDPOINT_URL")
        .env("AWS_CA_BUNDLE", far.served.dir.path().join("ca.pem"))
        .env("HTTPS_PROXY", &url);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let seen = proxy.seen();
    assert!(!seen.is_empty() && seen.iter().all(|line| line == "CONNECT sts.us-east-1.amazonaws.com:443"), "{seen:?}");
}

#[test]
fn some_hosts_are_never_asked_through_a_proxy() {
    let far = Far::new();
    let proxy = Proxy::before(far.served.port, Manner::Opens);
    let url = proxy.url();
    // The loopback, however it is written.
    for host in ["127.0.0.1", "localhost"] {
        let here = format!("http://{host}:{}", far.served.port);
        let output = far.run(&["who-am-i"], &[("AWS_ENDPOINT_URL", &here), ("HTTP_PROXY", &url), ("ALL_PROXY", &url)]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert_eq!(proxy.seen(), [] as [&str; 0], "{host}");
    }
    // What NO_PROXY lists, at an address that is this machine's and no loopback.
    let (any, here) = (format!("0.0.0.0:{}", far.served.port), format!("http://0.0.0.0:{}", far.served.port));
    for list in ["0.0.0.0", "*", "example.com, 0.0.0.0", "0.0.0.0/8", &any] {
        for name in ["NO_PROXY", "no_proxy"] {
            let output = far.run(&["who-am-i"], &[("AWS_ENDPOINT_URL", &here), ("HTTP_PROXY", &url), (name, list)]);
            assert_eq!(output.status.code(), Some(0), "{name}={list}: {}", said(&output));
            assert_eq!(proxy.seen(), [] as [&str; 0], "{name}={list}");
        }
    }
    let output = far.run(&["who-am-i"], &[("AWS_ENDPOINT_URL", &here), ("HTTP_PROXY", &url), ("NO_PROXY", "0.0.0.1")]);
    assert_eq!((output.status.code(), proxy.seen().is_empty()), (Some(0), false), "{}", said(&output));
    // The container's and the instance's own addresses: nothing answers there, and the proxy isn't asked.
    let config = fs::read_to_string(far.served.dir.path().join("config")).unwrap();
    let more = "[profile dev]\nrole_arn = arn:aws:iam::111111111111:role/r\ncredential_source = EcsContainer\n";
    fs::write(far.served.dir.path().join("config"), config.replace("[profile dev]\n", more)).unwrap();
    for (address, code) in [("http://169.254.170.2/creds", 4), ("http://169.254.170.23/v1/credentials", 4), ("http://127.0.0.1:1/creds", 1)]
    {
        let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", address), ("HTTP_PROXY", url.as_str()), ("ALL_PROXY", url.as_str())];
        let output = far.run(&["who-am-i"], &variables);
        assert_eq!(output.status.code(), Some(code), "{address}: {}", said(&output));
        assert_eq!(proxy.seen(), [] as [&str; 0], "{address}");
    }
}

#[test]
fn a_proxy_is_told_who_asks_and_nobody_else_is() {
    let far = Far::new();
    let proxy = Proxy::before(far.tls.port, Manner::Asks);
    let with_user = format!("http://ann:p%40ss%2Fword@127.0.0.1:{}", proxy.port);
    // ann:p@ss/word
    let output = far.run(&["who-am-i"], &[HTTPS, ("HTTPS_PROXY", &with_user)]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(proxy.seen().iter().all(|line| line == "CONNECT aws.test:443 as Basic YW5uOnBAc3Mvd29yZA=="));
    let plain = Proxy::before(far.served.port, Manner::Asks);
    let with_user = format!("ann:p@ss%2Fword@127.0.0.1:{}", plain.port);
    let output = far.run(&["who-am-i"], &[("AWS_ENDPOINT_URL", "http://aws.test:4566"), ("HTTP_PROXY", &with_user)]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(plain.seen().iter().all(|line| line == "POST http://aws.test:4566/ as Basic YW5uOnBAc3Mvd29yZA=="));
}

#[test]
fn the_profile_s_bundle_is_trusted_and_the_variable_goes_before_it() {
    let far = Far::new();
    let proxy = Proxy::before(far.tls.port, Manner::Opens);
    let (dir, url) = (far.served.dir.path(), proxy.url());
    let other = rcgen::generate_simple_self_signed(["aws.test".to_owned()]).unwrap().cert.pem();
    fs::write(dir.join("other.pem"), other).unwrap();
    let config = fs::read_to_string(dir.join("config")).unwrap();
    let run = |bundle: &str, variable: Option<&str>| {
        let lines = |name: &str| format!("[profile {name}]\nca_bundle = {bundle}\n");
        let config = config.replace("[profile dev]\n", &lines("dev")).replace("[profile prod]\n", &lines("prod"));
        fs::write(dir.join("config"), config).unwrap();
        let mut command = far.served.command(&["who-am-i"]);
        command.args(PROFILES).env("AWS_ENDPOINT_URL", "https://aws.test").env("HTTPS_PROXY", &url).env("AWS_MAX_ATTEMPTS", "1");
        command.envs(variable.map(|path| ("AWS_CA_BUNDLE", dir.join(path)))).output().unwrap()
    };
    let trusted = dir.join("ca.pem").display().to_string();
    let foreign = dir.join("other.pem").display().to_string();
    for (bundle, variable, code) in [
        (trusted.as_str(), None, 0),
        ("~/ca.pem", None, 0),
        (&foreign, None, 1),
        (&foreign, Some("ca.pem"), 0),
        (&trusted, Some("other.pem"), 1),
        ("", Some("ca.pem"), 0),
    ] {
        let output = run(bundle, variable);
        assert_eq!(output.status.code(), Some(code), "{bundle} {variable:?}\n{}", said(&output));
        if code == 1 {
            assert!(said(&output).contains("AWS_CA_BUNDLE or `ca_bundle`"), "{}", said(&output));
        }
    }
}

#[test]
fn network_errors_name_the_host_and_the_proxy_without_its_password() {
    let far = Far::new();
    let mut told = String::new();
    let mut take = |asked: &str, variables: &[(&str, &str)], ports: &[(u16, &str)]| {
        let output = far.run(&["who-am-i"], variables);
        let text = said(&output);
        assert!(!text.contains("secret"), "{text}");
        for debug in ["SdkBody", "dispatch failure", "Connect)", "client error", "Interceptor", "Request {", "source:"] {
            assert!(!text.contains(debug), "{text}");
        }
        let text = ports.iter().fold(text, |text, (port, name)| text.replace(&format!(":{port}"), name));
        told.push_str(&format!("{asked}\n{}\nexit {}\n\n", text.trim_end(), output.status.code().unwrap_or(-1)));
    };
    let dead = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let (asks, refuses) = (Proxy::before(far.tls.port, Manner::Asks), Proxy::before(far.tls.port, Manner::Refuses));
    let ports = [(dead, ":DEAD"), (asks.port, ":ASKS"), (refuses.port, ":REFUSES")];
    let of = |port: u16| format!("http://ann:secret@127.0.0.1:{port}");
    let nothing = format!("http://127.0.0.1:{dead}");
    take("an endpoint where nothing listens", &[("AWS_ENDPOINT_URL", &nothing)], &ports);
    take("a proxy where nothing listens", &[HTTPS, ("HTTPS_PROXY", &of(dead))], &ports);
    take("a proxy that wants a password", &[HTTPS, ("HTTPS_PROXY", &asks.url())], &ports);
    take("the same without TLS", &[("AWS_ENDPOINT_URL", "http://aws.test"), ("ALL_PROXY", &asks.url())], &ports);
    take("a proxy that refuses", &[HTTPS, ("https_proxy", &of(refuses.port))], &ports);
    let open = Proxy::before(far.tls.port, Manner::Opens);
    let foreign = far.served.dir.path().join("foreign.pem");
    fs::write(&foreign, rcgen::generate_simple_self_signed(["aws.test".to_owned()]).unwrap().cert.pem()).unwrap();
    let ports = [(open.port, ":OPEN")];
    take(
        "a certificate that isn't trusted",
        &[HTTPS, ("HTTPS_PROXY", &open.url()), ("AWS_CA_BUNDLE", &foreign.display().to_string())],
        &ports,
    );
    same(&told, file!["../snapshots/proxies/network_errors_name_the_host_and_the_proxy_without_its_password.txt"]);
    // Why a name isn't known depends on the machine.
    let output = far.run(&["who-am-i"], &[("AWS_ENDPOINT_URL", "https://nowhere.invalid:8443")]);
    let text = said(&output);
    assert!(output.status.code() == Some(1) && text.contains("error: cannot reach nowhere.invalid:8443 with profile `dev`"), "{text}");
}
