//! The rehearsal over HTTP, for programs of their own.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use xdeploy::rehearsal::{DEV, PROD, Rehearsal, Request};

async fn handle(rehearsal: Rehearsal, request: hyper::Request<Incoming>) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    // The program compares what it reads with its own clock.
    rehearsal.not_before(now());
    let (head, body) = request.into_parts();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let answer = rehearsal.answer(Request {
        method: head.method.to_string(),
        target: head.uri.path_and_query().unwrap().to_string(),
        host: String::new(),
        headers: headers.collect(),
        body: body.collect().await.unwrap().to_bytes().to_vec(),
    });
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(answer.body))).unwrap())
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Two accounts in memory behind a port of the loopback, with profiles `dev` and `prod`.
pub struct Served {
    pub rehearsal: Rehearsal,
    pub port: u16,
    pub dir: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Served {
    pub fn new() -> Served {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1").at(now()).signed();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = rehearsal.clone();
        runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let served = served.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| handle(served.clone(), request));
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let (mut credentials, mut config) = (String::new(), String::new());
        for (name, account) in [("dev", DEV), ("prod", PROD)] {
            let (id, secret) = rehearsal.keys(account);
            credentials.push_str(&format!("[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"));
            config.push_str(&format!("[profile {name}]\nregion = us-east-1\n"));
        }
        std::fs::write(dir.path().join("credentials"), credentials).unwrap();
        std::fs::write(dir.path().join("config"), config).unwrap();
        Served { rehearsal, port, dir, _runtime: runtime }
    }

    /// Runs the program, which must succeed, and gives both its streams.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.try_run(args);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {:?}\n{said}", output.status);
        said
    }

    /// Runs the program, whatever becomes of it.
    pub fn try_run(&self, args: &[&str]) -> Output {
        let dir = self.dir.path();
        Command::new(env!("CARGO_BIN_EXE_xdeploy"))
            .args(args)
            .args(["--dev-profile", "dev", "--prod-profile", "prod"])
            .current_dir(dir)
            .env_clear()
            .env("HOME", dir)
            .env("AWS_CONFIG_FILE", dir.join("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", dir.join("credentials"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
            .output()
            .unwrap()
    }
}
