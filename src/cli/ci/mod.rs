//! `xdeploy ci`.

mod program;
mod roles;
mod workflow;

use self::program::Program;
use super::wizard::command_line::said;
use crate::error::{Error, Result};
use crate::model::{Arn, Side};
use crate::settings::{CommonFlags, DEFAULT_PIPELINE, DeploymentFlags, with_file};
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use serde_json::json;

/// Where the jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Service {
    /// GitHub Actions.
    Github,
    /// GitLab CI/CD of gitlab.com.
    Gitlab,
}

#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Asks AWS nothing. What flags and variables say becomes the jobs' variables; what xdeploy.toml says stays there, since the jobs read it from \
the repository.\n\nThe jobs take a role for each account from the CI variables XDEPLOY_DEV_ROLE and XDEPLOY_PROD_ROLE: set them for the whole repository to roles that \
may read, and once more for the environment to roles that may write, so that a pull request never gets the latter. `--dev-role` and `--prod-role` write one role into \
every job instead.\n\nExamples:\n  xdeploy ci github > .github/workflows/deployment.yml    # with the settings of xdeploy.toml\n  xdeploy ci gitlab --region us-east-1 \
--input-bucket codepipeline-input-bucket \\\n    --output-bucket codepipeline-output-bucket > .gitlab-ci.yml\n  xdeploy ci github --roles --repository example/website"
)]
pub struct Args {
    /// Where the jobs run
    #[arg(value_name = "SERVICE")]
    pub service: Service,
    /// Role of the development account that the jobs assume [default: their variable XDEPLOY_DEV_ROLE]
    #[arg(long, value_name = "ARN", env = "XDEPLOY_DEV_ROLE")]
    pub dev_role: Option<String>,
    /// Role of the production account that the jobs assume [default: their variable XDEPLOY_PROD_ROLE]
    #[arg(long, value_name = "ARN", env = "XDEPLOY_PROD_ROLE")]
    pub prod_role: Option<String>,
    /// Repository whose jobs the roles trust, such as OWNER/NAME
    #[arg(long, value_name = "PATH", env = "XDEPLOY_REPOSITORY")]
    pub repository: Option<String>,
    /// Branch that is applied
    #[arg(long, value_name = "NAME", env = "XDEPLOY_BRANCH", default_value = "main")]
    pub branch: String,
    /// Default branch of the repository, on which GitHub runs the schedule [default: the branch that is applied]
    #[arg(long, value_name = "NAME", env = "XDEPLOY_DEFAULT_BRANCH")]
    pub default_branch: Option<String>,
    /// Environment that apply runs in, whose protection is the approval
    #[arg(long, value_name = "NAME", env = "XDEPLOY_ENVIRONMENT", default_value = "production")]
    pub environment: String,
    /// SHA-256 of the release's binary for Linux on x86_64, which the jobs download [default: of this program, if it is that binary]
    #[arg(long, value_name = "HEX", env = "XDEPLOY_SHA256")]
    pub sha256: Option<String>,
    /// Print the trust policies of the roles instead, and the commands that print what they may do
    #[arg(long, env = "XDEPLOY_ROLES", value_parser = FalseyValueParser::new())]
    pub roles: bool,
    #[command(flatten)]
    pub deployment: DeploymentFlags,
}

/// What the jobs are made of.
#[derive(Debug)]
struct Wanted<'a> {
    args: &'a Args,
    pipeline: String,
    region: String,
    prod_region: String,
    dev_account: Option<String>,
    prod_account: Option<String>,
    /// Flags and their values, as the job's `xdeploy` is to have them.
    said: Vec<(&'static str, String)>,
    /// Who administers a new key, as far as it was said.
    administrators: Vec<String>,
    program: Program,
}

impl Wanted<'_> {
    /// Gives an account's id, as far as it is known.
    fn account(&self, side: Side) -> Option<&str> {
        match side {
            Side::Dev => self.dev_account.as_deref(),
            Side::Prod => self.prod_account.as_deref(),
        }
    }
}

pub fn run(common: &CommonFlags, args: &Args, ui: &Ui) -> Result<u8> {
    let wanted = wanted(common, args)?;
    let roles = roles::all(&wanted);
    let (file, text) = match args.roles {
        true => (None, roles::told(&wanted, &roles)),
        false => (Some(workflow::file(args.service, &wanted.pipeline)), workflow::of(&wanted)),
    };
    ui.document(&text);
    if let Some(file) = &file {
        ui.status(&format!("its place is {file}; `xdeploy ci {} --roles` says which roles it needs", args.service.word()));
    }
    if wanted.administrators.is_empty() {
        ui.warning(
            "without `--key-administrator ARN` a key that is made names no administrator: a job's role is none, and the account's IAM policies say who administers it",
        );
    }
    if args.dev_role.is_some() || args.prod_role.is_some() {
        ui.warning("one role is for all jobs: a branch that somebody pushes can do with it whatever it may, without any approval");
    }
    if !args.roles && wanted.program == Program::Compiled {
        ui.warning(&format!(
            "this program is no release, so the jobs compile v{version} from its tag, which is there once v{version} is released: a release's `xdeploy ci` has them \
             download its binary and compare its SHA-256, as does `--sha256 HEX`",
            version = env!("CARGO_PKG_VERSION")
        ));
    }
    let roles: Vec<_> = roles.iter().map(roles::Role::json).collect();
    let sha256 = match &wanted.program {
        Program::Released { sha256 } => Some(sha256),
        Program::Compiled => None,
    };
    ui.json(
        &json!({"schema": "xdeploy.ci/1", "service": args.service.word(), "file": file, "text": text, "sha256": sha256, "roles": roles}),
    );
    Ok(0)
}

impl Service {
    /// Gives the word on the command line.
    fn word(self) -> &'static str {
        match self {
            Service::Github => "github",
            Service::Gitlab => "gitlab",
        }
    }

    /// Gives what people call it.
    fn name(self) -> &'static str {
        match self {
            Service::Github => "GitHub",
            Service::Gitlab => "GitLab",
        }
    }
}

/// Checks what was said, and puts the settings file in where nothing was.
fn wanted<'a>(common: &CommonFlags, args: &'a Args) -> Result<Wanted<'a>> {
    let (whole, flags) = with_file(common, &args.deployment)?;
    let dev_account = account(Side::Dev, args.dev_role.as_deref(), whole.dev_account.as_ref().map(ToString::to_string))?;
    let prod_account = account(Side::Prod, args.prod_role.as_deref(), whole.prod_account.as_ref().map(ToString::to_string))?;
    if let (Some(dev), Some(prod)) = (&dev_account, &prod_account)
        && dev == prod
    {
        return Err(Error::usage(format!("both roles are of account {dev}"))
            .hint("`--dev-role` is of the account of the pipeline, `--prod-role` of that of the output bucket"));
    }
    if let Some(repository) = &args.repository {
        let slashes = repository.matches('/').count();
        let letters = |part: &str| !part.is_empty() && part.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one));
        let deep = args.service == Service::Gitlab && slashes > 1;
        if !(repository.split('/').all(letters) && (slashes == 1 || deep)) {
            return Err(Error::usage(format!("`{repository}` is not a repository's path"))
                .hint("`--repository` takes OWNER/NAME, at GitLab also GROUP/SUBGROUP/NAME, without an address or `.git`"));
        }
    }
    let default = args.default_branch.iter().map(|name| ("--default-branch", name));
    for (flag, name) in [("--branch", &args.branch), ("--environment", &args.environment)].into_iter().chain(default) {
        // What stands in a trust policy's condition must name one thing.
        if name.is_empty() || !name.chars().all(|one| one.is_ascii_alphanumeric() || "-_./".contains(one)) {
            return Err(Error::usage(format!("`{name}` can't be used in a workflow and a trust policy"))
                .hint(format!("`{flag}` takes letters, digits and `-_./`")));
        }
    }
    let region = whole.region.as_ref().map(ToString::to_string).ok_or_else(|| {
        Error::usage("not said in which region the pipeline is")
            .hint("pass `--region`, or set `region` under [dev] in xdeploy.toml: a job has no profile to take it from")
    })?;
    let prod_region = whole.prod_region.as_ref().map_or_else(|| region.clone(), ToString::to_string);
    // What the file says, the jobs read there.
    let mut said = said(common, &args.deployment);
    said.retain(|(flag, _)| !["--dev-profile", "--prod-profile"].contains(flag));
    let mut known = |flag: &'static str, account: &Option<String>, in_file: bool| {
        if let Some(id) = account.as_ref().filter(|_| !in_file && said.iter().all(|(there, _)| *there != flag)) {
            said.insert(0, (flag, id.clone()));
        }
    };
    known("--prod-account", &prod_account, whole.prod_account.is_some());
    known("--dev-account", &dev_account, whole.dev_account.is_some());
    let pipeline = flags.pipeline.as_ref().map_or(DEFAULT_PIPELINE, |name| name.as_str()).to_owned();
    let administrators = flags.key_administrator;
    let program = Program::chosen(args.sha256.as_deref())?;
    Ok(Wanted { args, pipeline, region, prod_region, dev_account, prod_account, said, administrators, program })
}

/// Gives the account of a side, from the role or from what was said.
fn account(side: Side, role: Option<&str>, said: Option<String>) -> Result<Option<String>> {
    let Some(role) = role else { return Ok(said) };
    let parsed = role.parse::<Arn>().ok().filter(|arn| arn.service == "iam" && arn.resource.starts_with("role/"));
    let plain = |arn: &Arn| arn.account.len() == 12 && role.chars().all(|one| one.is_ascii_alphanumeric() || ":/_+=,.@-".contains(one));
    let arn = parsed.filter(plain).ok_or_else(|| {
        Error::usage(format!("`{role}` is not the ARN of an IAM role"))
            .hint(format!("`--{side}-role` looks like `arn:aws:iam::111111111111:role/ci`"))
    })?;
    match said {
        Some(said) if said != arn.account => {
            Err(Error::usage(format!("`--{side}-role` is of account {}, and {side} is account {said}", arn.account))
                .hint(format!("correct `--{side}-role` or `--{side}-account`")))
        }
        _ => Ok(Some(arn.account)),
    }
}
