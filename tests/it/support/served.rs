//! The rehearsal over HTTP, for programs of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use xdeploy::rehearsal::{DEV, PROD, Rehearsal};

/// The time, in milliseconds since 1970.
pub fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Both profiles, as flags.
pub const PROFILES: [&str; 4] = ["--dev-profile", "dev", "--prod-profile", "prod"];

/// Two accounts in memory behind a port of the loopback, with profiles `dev` and `prod`.
pub struct Served {
    pub rehearsal: Rehearsal,
    pub port: u16,
    pub dir: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Served {
    pub fn new() -> Served {
        Served::of("aws", "us-east-1")
    }

    /// The same in a partition.
    pub fn of(partition: &str, region: &str) -> Served {
        Served::around(Rehearsal::new(partition, region, region).at(now()).signed())
    }

    /// Puts two accounts that are there already behind a port.
    pub fn around(rehearsal: Rehearsal) -> Served {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = rehearsal.clone();
        runtime.spawn(async move { served.serve(listener, now).await });
        let dir = tempfile::tempdir().unwrap();
        let (mut credentials, mut config) = (String::new(), String::new());
        for (name, account) in [("dev", DEV), ("prod", PROD)] {
            let (id, secret) = rehearsal.keys(account);
            credentials.push_str(&format!("[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"));
            config.push_str(&format!("[profile {name}]\nregion = {}\n", rehearsal.region(account)));
        }
        std::fs::write(dir.path().join("credentials"), credentials).unwrap();
        std::fs::write(dir.path().join("config"), config).unwrap();
        Served { rehearsal, port, dir, _runtime: runtime }
    }

    /// Runs the program, which must succeed, and gives both its streams.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> String {
        let (code, said) = self.attempt(args);
        assert_eq!(code, Some(0), "{args:?}\n{said}");
        said
    }

    /// Runs the program, and gives its exit code and both its streams.
    pub fn attempt(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.try_run(args);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), said)
    }

    /// Runs the program, whatever becomes of it.
    pub fn try_run(&self, args: &[&str]) -> Output {
        self.command(args).args(PROFILES).output().unwrap()
    }

    /// Runs the program with one more variable in its environment.
    pub fn with_variable(&self, args: &[&str], name: &str, value: impl AsRef<std::ffi::OsStr>) -> Output {
        self.command(args).args(PROFILES).env(name, value).output().unwrap()
    }

    /// The program with these arguments and its environment, and no profile named.
    pub fn command(&self, args: &[&str]) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_xdeploy"));
        command
            .args(args)
            .current_dir(dir)
            .env_clear()
            .env("HOME", dir)
            .env("AWS_CONFIG_FILE", dir.join("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", dir.join("credentials"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port));
        command
    }

    /// Gives a role another trust policy, as a colleague would.
    pub fn change_trust(&self, account: &str, role: &str, document: &str) {
        let config = self.rehearsal.config(self.rehearsal.keys(account), "us-east-1");
        let request = aws_sdk_iam::Client::new(&config).update_assume_role_policy().role_name(role).policy_document(document);
        self._runtime.block_on(request.send()).unwrap();
    }

    /// Gives the caller of an account these permissions alone, as its root would.
    pub fn narrow_caller(&self, account: &str, document: &str) {
        let iam = aws_sdk_iam::Client::new(&self.rehearsal.config(self.rehearsal.root_keys(account), "us-east-1"));
        self._runtime.block_on(async {
            let _ = iam.detach_user_policy().user_name("caller").policy_arn("arn:aws:iam::aws:policy/AdministratorAccess").send().await;
            iam.put_user_policy().user_name("caller").policy_name("narrow").policy_document(document).send().await.unwrap();
        });
    }

    /// Gives a bucket a policy, as its owner would.
    pub fn put_bucket_policy(&self, account: &str, bucket: &str, document: &str) {
        let config = self.rehearsal.config(self.rehearsal.root_keys(account), "us-east-1");
        let request = aws_sdk_s3::Client::new(&config).put_bucket_policy().bucket(bucket).policy(document);
        self._runtime.block_on(request.send()).unwrap();
    }

    /// Waits for work on the same two accounts.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self._runtime.block_on(work)
    }

    /// Makes a bucket, as its owner would.
    pub fn bucket(&self, account: &str, region: &str, name: &str, versioned: bool) {
        self._runtime.block_on(self.rehearsal.make_bucket(account, region, name, versioned)).unwrap();
    }
}

pub const BUCKETS: [&str; 4] = ["--input-bucket", "in-bucket", "--output-bucket", "out-bucket"];

/// The buckets of the article, made in two accounts in memory.
pub fn served() -> Served {
    let served = Served::new();
    let buckets = [("dev", "in-bucket", true), ("prod", "out-bucket", false)];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (side, bucket, versioned) in buckets {
        let account = if side == "dev" { DEV } else { PROD };
        runtime.block_on(served.rehearsal.make_bucket(account, "us-east-1", bucket, versioned)).unwrap();
    }
    served
}

pub fn remove_policy(served: &Served, name: &str) {
    let config = served.rehearsal.config(served.rehearsal.keys(PROD), "us-east-1");
    let iam = aws_sdk_iam::Client::from_conf(aws_sdk_iam::config::Builder::from(&config).build());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let arn = format!("arn:aws:iam::{}:policy/{name}", PROD);
    runtime.block_on(iam.detach_role_policy().role_name("prods3role").policy_arn(arn).send()).unwrap();
}

pub fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&args[..1], &BUCKETS[..], &args[1..]].concat()
}

/// Puts a build behind the source of a pipeline: what is deployed is what it makes of the source's artifact.
pub fn put_build_between(pipeline: &mut aws_sdk_codepipeline::types::PipelineDeclaration) {
    use aws_sdk_codepipeline::types as pipelines;
    let kind = pipelines::ActionTypeId::builder()
        .category(pipelines::ActionCategory::Build)
        .owner(pipelines::ActionOwner::Aws)
        .provider("CodeBuild")
        .version("1");
    let build = pipelines::ActionDeclaration::builder()
        .name("Build")
        .action_type_id(kind.build().unwrap())
        .configuration("ProjectName", "site")
        .input_artifacts(pipelines::InputArtifact::builder().name("SourceArtifact").build().unwrap())
        .output_artifacts(pipelines::OutputArtifact::builder().name("BuildArtifact").build().unwrap());
    for deploy in &mut pipeline.stages[1].actions {
        deploy.input_artifacts = Some(vec![pipelines::InputArtifact::builder().name("BuildArtifact").build().unwrap()]);
    }
    pipeline.stages.insert(1, pipelines::StageDeclaration::builder().name("Build").actions(build.build().unwrap()).build().unwrap());
}

/// The credentials of a session that STS gave.
pub fn of_session(credentials: &aws_sdk_sts::types::Credentials) -> aws_credential_types::provider::SharedCredentialsProvider {
    let token = Some(credentials.session_token().to_owned());
    let (id, secret) = (credentials.access_key_id(), credentials.secret_access_key());
    aws_credential_types::provider::SharedCredentialsProvider::new(aws_credential_types::Credentials::new(id, secret, token, None, "test"))
}
