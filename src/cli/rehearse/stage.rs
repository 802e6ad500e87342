//! Two accounts in memory, and what is played on them.

use super::{Args, Around, REGION, now};
use crate::aws::{Account, Accounts, Unverified};
use crate::cli::release::{self as releasing, Uploaded};
use crate::cli::reports::ReportFlags;
use crate::cli::sides::SideFlags;
use crate::cli::{ask, proof, session, setup, verify};
use crate::deploy::apply::{self, Manner};
use crate::deploy::breaking::{self, Break};
use crate::deploy::chain::{Grade, Link};
use crate::deploy::observe::Organisations;
use crate::deploy::proof::{Judged, Proof, links};
use crate::deploy::release::{self, Source};
use crate::deploy::write::Artifact;
use crate::deploy::zipfile;
use crate::error::{Error, Result};
use crate::model::{ChangeDetection, Side};
use crate::policy::Decided;
use crate::rehearsal::{DEV, Logged, PROD, Rehearsal};
use crate::settings::Settings;
use crate::ui::{Text, Tone, Ui, paint};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, UNIX_EPOCH};

/// The names of the two administrators, also for `--serve`.
pub const PROFILES: [(&str, &str); 2] = [("rehearsal-dev", DEV), ("rehearsal-prod", PROD)];
/// Runs are over when the call that starts them is answered.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The two accounts in memory, and who works on them.
#[derive(Debug)]
pub struct Stage {
    pub rehearsal: Rehearsal,
    pub accounts: Accounts,
}

impl Stage {
    /// Founds the accounts, with the buckets that the article takes for granted.
    pub async fn build(settings: &Settings, settle: u64, served: bool) -> Result<Stage> {
        let dev_region = settings.region.as_ref().map_or(REGION, |region| region.as_str());
        let prod_region = settings.prod_region.as_ref().map_or(dev_region, |region| region.as_str());
        let partition = match dev_region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        let mut rehearsal = Rehearsal::new(partition, dev_region, prod_region).at(now()).settle(settle);
        if served {
            rehearsal = rehearsal.signed();
        }
        let account = async |side, (profile, id): (&str, &str), region| {
            let config = rehearsal.config(rehearsal.keys(id), region);
            Account::verified(side, profile, config).await.map_err(|error| match error {
                Unverified::Asking(error) => Error::from(error),
                Unverified::Answer(error) => error,
            })
        };
        let [dev, prod] = PROFILES;
        let accounts = Accounts { dev: account(Side::Dev, dev, dev_region).await?, prod: account(Side::Prod, prod, prod_region).await? };
        let stage = Stage { rehearsal, accounts };
        if !settings.create_buckets {
            stage.make_buckets(settings).await?;
        }
        Ok(stage)
    }

    async fn make_buckets(&self, settings: &Settings) -> Result<()> {
        let Accounts { dev, prod } = &self.accounts;
        for (account, bucket) in [(dev, &settings.input_bucket), (prod, &settings.output_bucket)] {
            let Some(bucket) = bucket else { continue };
            let versioned = account.side == Side::Dev && !settings.enable_versioning;
            let made = self.rehearsal.make_bucket(&account.id, &account.region, bucket.as_str(), versioned).await;
            // The settings refuse the names that S3 refuses, and nobody else has buckets here.
            made.map_err(|why| Error::internal(format!("the rehearsal could not make bucket {bucket}")).because(why))?;
        }
        Ok(())
    }

    /// Proves the chain that this set-up would have.
    async fn planned(&self, settings: &Settings, ui: &Ui) -> Result<Proof> {
        proof::of_plan(&session::make_plan(ui, &self.accounts, settings, None, Organisations::OfExisting).await?)
    }

    /// Makes sure that the chain of this set-up has a link of this name.
    ///
    /// # Errors
    /// It hasn't.
    pub async fn knows(&self, settings: &Settings, link: &str, ui: &Ui) -> Result<()> {
        let proof = self.planned(settings, ui).await?;
        let names: Vec<&str> = proof.links.iter().map(|judged| judged.name.as_str()).collect();
        if names.contains(&link) {
            return Ok(());
        }
        let mut error = Error::usage(format!("the chain of this set-up has no link `{link}`"));
        let nearest = names.iter().max_by(|one, other| strsim::jaro(one, link).total_cmp(&strsim::jaro(other, link)));
        if let Some(name) = nearest.filter(|name| strsim::jaro(name, link) > 0.7) {
            error = error.hint(format!("did you mean `{name}`?"));
        }
        Err(error.hint("`xdeploy rehearse --break list` names them all"))
    }

    /// Names the links of the chain that this set-up would have.
    pub async fn list(&self, settings: &Settings, ui: &Ui) -> Result<Value> {
        let proof = self.planned(settings, ui).await?;
        let show = |proof: &Proof, may_be_called: bool| {
            for link in proof.links.iter().filter(|link| link.may_be_called() == may_be_called) {
                ui.result(&format!("  {:<28} {:<36} {}", link.name, link.action, link.why));
            }
        };
        ui.result("Links that the pipeline needs:");
        show(&proof, false);
        ui.section("Links of calls that may not be needed (without one the run goes on, and verify warns):");
        show(&proof, true);
        let link = |link: &Judged| json!({"name": link.name, "action": link.action, "who": link.who, "why": link.why, "article": link.article, "needed": !link.may_be_called(), "grade": link.grade, "restsOn": link.rests_on});
        let all: Vec<Value> = proof.links.iter().map(link).collect();
        Ok(json!({"schema": "xdeploy.rehearse/1", "links": all}))
    }

    /// Releases, and shows that all is well.
    pub async fn green(&self, settings: &Settings, artifact: Option<Artifact>, ui: &Ui, document: &mut Value) -> Result<u8> {
        let (uploaded, ended) = match artifact {
            // Setup has uploaded it, and the pipeline ran when it was made.
            Some(artifact) => {
                let uploaded = self.given(settings, &artifact).await?;
                let ended = self.follow(settings, &uploaded, Before::default(), ui, document).await?;
                (uploaded, ended)
            }
            None => self.sample(settings, ui, document).await?,
        };
        ended?;
        releasing::arrival(&self.accounts, &uploaded, ui, &mut document["release"]).await?;
        Ok(0)
    }

    /// Uploads the sample and tells what comes of it; the inner result says whether the pipeline went green.
    async fn sample(&self, settings: &Settings, ui: &Ui, document: &mut Value) -> Result<(Uploaded, Result<()>)> {
        let route = release::route(&self.accounts, settings).await?;
        let before = Before { executions: release::executions(&self.accounts, &route).await?, calls: self.rehearsal.log().len() };
        self.rehearsal.wait();
        let uploaded = releasing::upload(&self.accounts, settings, &Source::Sample(release::sample()?), ui).await?;
        let ended = self.follow(settings, &uploaded, before, ui, document).await?;
        Ok((uploaded, ended))
    }

    async fn given(&self, settings: &Settings, artifact: &Artifact) -> Result<Uploaded> {
        let route = release::route(&self.accounts, settings).await?;
        let file = PathBuf::from(&artifact.file);
        let contents = if route.extract { Some(zipfile::check(&file)?) } else { None };
        let dev = &self.accounts.dev;
        let request = dev.s3(&route.home).head_object().bucket(&route.input_bucket).key(&route.object_key);
        let head = dev.call("s3:GetObject", format!("{}/{}", route.input_bucket, route.object_key), request.send()).await?;
        let version = head.version_id().unwrap_or_default().to_owned();
        Ok(Uploaded { wanted: route.keys(contents.as_ref()), route, version, since: UNIX_EPOCH })
    }

    /// Follows the execution that an upload started, and tells its calls; the inner result says whether it succeeded.
    async fn follow(&self, settings: &Settings, uploaded: &Uploaded, before: Before, ui: &Ui, document: &mut Value) -> Result<Result<()>> {
        let Uploaded { route, version, .. } = uploaded;
        let runs = release::executions(&self.accounts, route).await?;
        let started = match runs.into_iter().find(|id| !before.executions.contains(id)) {
            None if settings.change_detection == Some(ChangeDetection::None) => {
                Some(release::find_or_start(&self.accounts, route, version, Duration::ZERO).await?.0)
            }
            started => started,
        };
        let mut told = releasing::document(&self.accounts, uploaded, started.as_deref().unwrap_or_default());
        let ended = match &started {
            Some(id) => {
                ui.status(&format!("execution {id}"));
                let outcome = releasing::follow(&self.accounts, route, id, TIMEOUT, ui, &mut told).await?;
                releasing::succeeded(route, id, &outcome)
            }
            None => Err(Error::failed(format!("nothing started pipeline {} for version {version} of the source", route.pipeline))
                .because("EventBridge was denied something, which it tells nobody")
                .hint("the proof below says what")),
        };
        document["release"] = told;
        document["calls"] = self.calls(settings, before.calls, ui).await?;
        Ok(ended)
    }

    /// Breaks a link, releases, lets verify find it, and mends it if that was asked for.
    pub async fn broken(&self, settings: &Settings, args: &Args, link: &str, around: &Around<'_>, document: &mut Value) -> Result<u8> {
        let Around { ui, stop, reports } = *around;
        let snapshot = session::read(ui, &self.accounts, settings, None, Organisations::Always).await?;
        let Break { writes, text, denied } = breaking::breaking(settings, &snapshot, link)?;
        let manner = Manner { pipeline_arn: "", wait_for_runs: false, listen: &|_| (), stop: &AtomicBool::new(false) };
        apply::apply(&self.accounts, &writes, &manner).await?;
        ui.section(&(paint(Tone::Removed, "Broken on purpose:") + format!(" {text}.")));
        ui.result("");
        document["broken"] = json!({"link": link, "what": text, "denied": denied});
        let failed = self.sample(settings, ui, document).await?.1.err();
        document["failure"] = failed.as_ref().map(ask::error_document).unwrap_or_default();
        if let Some(error) = &failed {
            ui.result("");
            ui.failure(&error.message, &error.causes, &[]);
        }
        ui.section("xdeploy verify says:");
        let arguments = verify::Args {
            deployment: args.setup.deployment.clone(),
            detailed_exitcode: false,
            strict: false,
            second_opinion: false,
            of_side: SideFlags::default(),
            reports: ReportFlags::default(),
        };
        let (code, told) = verify::on(&self.accounts, settings, &arguments, ui, reports).await?;
        document["verify"] = told;
        around.released(settings, &document["release"]);
        match (&failed, code) {
            (None, 0) => ui.section(&format!("The pipeline went green without `{link}`, which may not be needed.")),
            (None, _) => return Err(Error::internal(format!("verify calls `{link}` broken, but the pipeline went green"))),
            (Some(_), 0) => return Err(Error::internal(format!("the pipeline fails without `{link}`, but verify finds nothing"))),
            (Some(_), _) => {}
        }
        if !args.fix {
            return Ok(code);
        }
        ui.section("xdeploy setup, once more:");
        let again = setup::Args { yes: true, artifact: None, ..args.setup.clone() };
        let (code, told) = setup::on(&self.accounts, settings, &again, None, ui, stop, reports).await?;
        let mut mended = json!({"setup": told});
        let outcome = if code == 0 { self.green(settings, None, ui, &mut mended).await } else { Ok(code) };
        around.released(settings, &mended["release"]);
        document["mended"] = mended;
        outcome
    }

    /// Tells each call that the pipeline made.
    async fn calls(&self, settings: &Settings, since: usize, ui: &Ui) -> Result<Value> {
        let snapshot = session::read(ui, &self.accounts, settings, None, Organisations::OfExisting).await?;
        let links = links(settings, &snapshot)?;
        let log = self.rehearsal.log();
        let own = log.get(since..).unwrap_or_default().iter().filter(|call| !is_ours(call));
        let (mut told, mut who) = (Vec::new(), String::new());
        let mut allowed = 0;
        ui.section("The calls that the pipeline made:");
        for call in own {
            let link = link_of(&links, call).map_or("", |link| link.name.as_str());
            if call.caller != who {
                who.clone_from(&call.caller);
                ui.result(&paint(Tone::Heading, &who));
            }
            let tone = if call.verdict == Decided::Allowed { Tone::Added } else { Tone::Removed };
            let word = if call.verdict == Decided::Allowed { "allowed" } else { "denied" };
            allowed += usize::from(call.verdict == Decided::Allowed);
            ui.result(
                &(Text::from("  ") + paint(tone, format!("{word:<7}")) + format!(" {link:<20} {} on {}", call.action, call.resource)),
            );
            told.push(json!({"link": link, "caller": call.caller, "action": call.action, "resource": call.resource, "verdict": call.verdict.word()}));
        }
        ui.result(&format!("{allowed} of {} calls allowed.", told.len()));
        Ok(Value::Array(told))
    }

    /// Says how to come in from outside.
    pub fn serving(&self, listener: &tokio::net::TcpListener, ui: &Ui) -> Result<Value> {
        let address = listener.local_addr().map_err(|error| Error::internal(error.to_string()))?;
        let url = format!("http://{address}");
        let mut profiles = Vec::new();
        let mut text = String::new();
        for (name, account) in PROFILES {
            let (id, secret) = self.rehearsal.keys(account);
            let region = self.rehearsal.region(account);
            text.push_str(&format!(
                "[profile {name}]\nregion = {region}\nendpoint_url = {url}\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n\n"
            ));
            profiles.push(json!({"name": name, "account": account, "region": region, "accessKeyId": id, "secretAccessKey": secret}));
        }
        ui.section(&format!("Both accounts are served on {url} until Ctrl-C. Two profiles for ~/.aws/config:"));
        ui.result("");
        ui.lines(text.trim_end());
        Ok(json!({"url": url, "profiles": profiles}))
    }
}

/// What there was before an upload.
#[derive(Debug, Default)]
struct Before {
    /// The ids of the executions.
    executions: Vec<String>,
    /// How many calls were logged.
    calls: usize,
}

/// Says whether a call is ours, and not the pipeline's.
fn is_ours(call: &Logged) -> bool {
    call.caller.ends_with(":user/caller")
}

/// Finds the link that a call of the pipeline is.
fn link_of<'l>(links: &'l [Link], call: &Logged) -> Option<&'l Link> {
    let role = call.caller.split("assumed-role/").nth(1).and_then(|session| session.split('/').next());
    let calls = |link: &&Link| role.map_or(link.who == call.caller, |role| link.who.ends_with(&format!("/{role}")));
    let thing = |arn: &str| arn.split_once(":s3:::").map_or_else(|| arn.to_owned(), |(_, rest)| rest.split('/').take(1).collect());
    let same = |link: &&Link| link.row.action == call.action && thing(&link.resource) == thing(&call.resource);
    let mut found: Vec<&Link> = links.iter().filter(calls).filter(same).collect();
    found.sort_by_key(|link| link.row.grade() == Grade::MayBeCalled);
    found.into_iter().next()
}
