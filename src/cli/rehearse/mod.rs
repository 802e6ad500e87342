//! `xdeploy rehearse`: the real commands on two accounts in memory.

mod stage;

use super::reports::Reports;
use super::{Stop, panics, session, setup, telling};
use crate::deploy::write::Artifact;
use crate::error::{Error, Result};
use crate::model::BucketName;
use crate::settings::{CommonFlags, Settings};
use crate::ui::Ui;
use clap::builder::FalseyValueParser;
use serde_json::{Value, json};
use stage::{PROFILES, Stage};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// The article's example regions and buckets.
const REGION: &str = "us-east-1";
const INPUT_BUCKET: &str = "codepipeline-input-bucket";
const OUTPUT_BUCKET: &str = "codepipeline-output-bucket";

#[derive(Debug, clap::Args)]
#[group(id = "rehearsal")]
#[command(
    after_long_help = "Nothing is asked of AWS, no profile is needed, and nothing is kept but what --write-config writes. --dev-profile, --prod-profile and expected account ids have no effect.\n\nExamples:\n  xdeploy rehearse\n  xdeploy rehearse --break list\n  xdeploy rehearse --break deploy-decrypt --fix\n  xdeploy rehearse --prod-region eu-west-1 --policies least-privilege --serve 127.0.0.1:4599"
)]
pub struct Args {
    #[command(flatten)]
    pub setup: setup::Args,
    /// Break a link of the chain after the set-up; `list` names them
    #[arg(long = "break", value_name = "LINK", env = "XDEPLOY_BREAK", help_heading = "The rehearsal")]
    pub link: Option<String>,
    /// Run setup again after the break, and release again
    #[arg(long, env = "XDEPLOY_FIX", value_parser = FalseyValueParser::new(), help_heading = "The rehearsal")]
    pub fix: bool,
    /// Let new users, roles, policies and keys be seen only after so many further calls, 20 at the most; setup waits as it does on AWS
    #[arg(long, value_name = "CALLS", env = "XDEPLOY_SETTLE", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=20), help_heading = "The rehearsal")]
    pub settle: u64,
    /// Then keep both accounts up for the AWS CLI and SDKs on this address of the loopback, until Ctrl-C
    #[arg(long, value_name = "ADDRESS:PORT", env = "XDEPLOY_SERVE", help_heading = "The rehearsal")]
    pub serve: Option<SocketAddr>,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui, stop: &Stop) -> Result<u8> {
    sensible(args)?;
    let reports = Reports::ready(&args.setup.reports, "rehearse")?;
    let up = match panics::finished(up(common, args, ui, stop, &reports)).await {
        Ok(up) => up,
        Err(error) => return reports.finish(ui, Err(error)),
    };
    let code = reports.finish(ui, Ok(up.code))?;
    if let Some(listener) = up.listener {
        let _ = stop.serving.set(code);
        up.stage.rehearsal.serve(listener, now).await;
    }
    Ok(code)
}

/// Where everything is told, and what stops it.
#[derive(Clone, Copy)]
struct Around<'a> {
    ui: &'a Ui,
    stop: &'a Stop,
    reports: &'a Reports,
}

impl Around<'_> {
    /// Adds what came of a release, as far as there was one.
    fn released(&self, settings: &Settings, document: &Value) {
        if document.is_object() {
            self.reports.add(&telling::of_release(self.reports.command(), settings.pipeline.as_str(), document));
        }
    }
}

/// What is left when everything is told.
struct Up {
    stage: Stage,
    listener: Option<tokio::net::TcpListener>,
    code: u8,
}

/// Founds the accounts, plays on them, and tells it.
async fn up(common: &CommonFlags, args: &Args, ui: &Ui, stop: &Stop, reports: &Reports) -> Result<Up> {
    let settings = settings(common, args)?;
    let listener = match args.serve {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let artifact = session::artifact(args.setup.artifact.as_deref(), !settings.no_extract)?;
    let stage = Stage::build(&settings, args.settle, listener.is_some()).await?;
    if args.link.as_deref() == Some("list") {
        let document = stage.list(&settings, ui).await?;
        return Ok(Up { stage, listener: None, code: reports.result(ui, 0, &document) });
    }
    if let Some(link) = &args.link {
        stage.knows(&settings, link, ui).await?;
    }
    if let Some(path) = &args.setup.write_config {
        settings.write_file(path)?;
    }
    ui.status("rehearsal: two accounts in memory; nothing is asked of AWS");
    session::introduce(ui, &stage.accounts);
    let mut document = json!({"schema": "xdeploy.rehearse/1"});
    let around = Around { ui, stop, reports };
    let played = played(&stage, &settings, args, artifact, &around, &mut document).await;
    let code = match played {
        Ok(code) => code,
        Err(error) => {
            reports.amend(&document);
            return Err(error);
        }
    };
    if let Some(listener) = &listener {
        document["serving"] = stage.serving(listener, ui)?;
    }
    let code = reports.result(ui, code, &document);
    Ok(Up { stage, listener, code })
}

/// Sets up, releases or breaks, fills the JSON document, and gives the exit code.
async fn played(
    stage: &Stage,
    settings: &Settings,
    args: &Args,
    artifact: Option<Artifact>,
    around: &Around<'_>,
    document: &mut Value,
) -> Result<u8> {
    let Around { ui, stop, reports } = *around;
    let setup = setup::Args { yes: true, ..args.setup.clone() };
    let (mut code, told) = setup::on(&stage.accounts, settings, &setup, artifact.clone(), ui, stop, reports).await?;
    document["setup"] = told;
    if !args.setup.dry_run && code == 0 {
        code = match &args.link {
            Some(link) => stage.broken(settings, args, link, around, document).await?,
            None => {
                let outcome = stage.green(settings, artifact, ui, document).await;
                around.released(settings, &document["release"]);
                outcome?
            }
        };
    }
    Ok(code)
}

/// Refuses options that have no meaning together.
fn sensible(args: &Args) -> Result<()> {
    let wrong = |one: &str, other: &str| Err(Error::usage(format!("`{one}` {other}")).hint("leave one of them out"));
    match &args.link {
        None if args.fix => {
            Err(Error::usage("`--fix` without `--break`: nothing is broken").hint("pass `--break LINK`, or `--break list`"))
        }
        Some(_) if args.setup.dry_run => wrong("--break", "breaks nothing with `--dry-run`"),
        Some(_) if args.setup.artifact.is_some() => wrong("--break", "uploads its own sample and doesn't go with `--artifact`"),
        _ => Ok(()),
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The settings of setup, with the article's buckets and a region where none is named.
fn settings(common: &CommonFlags, args: &Args) -> Result<Settings> {
    let [(dev, _), (prod, _)] = PROFILES;
    let named = CommonFlags { dev_profile: Some(dev.to_owned()), prod_profile: Some(prod.to_owned()), ..common.clone() };
    let mut settings = Settings::resolve(&named, &args.setup.deployment)?;
    (settings.dev_account, settings.prod_account) = (None, None);
    let bucket = |name: &str| name.parse::<BucketName>().map_err(Error::internal);
    settings.input_bucket = Some(settings.input_bucket.map_or_else(|| bucket(INPUT_BUCKET), Ok)?);
    settings.output_bucket = Some(settings.output_bucket.map_or_else(|| bucket(OUTPUT_BUCKET), Ok)?);
    if settings.input_bucket == settings.output_bucket {
        return Err(Error::usage(format!(
            "input and output bucket are the same: {}",
            settings.input_bucket.iter().map(ToString::to_string).collect::<String>()
        ))
        .hint("name both, or another with `--input-bucket` or `--output-bucket`"));
    }
    settings.region = Some(settings.region.map_or_else(|| REGION.parse().map_err(Error::internal), Ok)?);
    Ok(settings)
}

/// Takes the port before anything is told, so that one that is taken is known at once.
async fn listen(address: SocketAddr) -> Result<tokio::net::TcpListener> {
    if !address.ip().is_loopback() {
        return Err(Error::usage(format!("`--serve {address}` is not an address of the loopback"))
            .hint("the rehearsal's keys are no secret: serve it on 127.0.0.1, such as `--serve 127.0.0.1:4599`"));
    }
    tokio::net::TcpListener::bind(address).await.map_err(|error| {
        Error::failed(format!("could not listen on {address}")).because(error.to_string()).hint("name another port; 0 takes a free one")
    })
}
