//! `xdeploy ecs-check`.

use super::reports::{ReportFlags, Reports, Told};
use super::{Stop, ask, mfa, panics};
use crate::deploy::failures::redact_pasted;
use crate::ecs::checks;
use crate::ecs::checks::about::{Flavour, tasks};
use crate::ecs::denial::{Denial, explain};
use crate::ecs::facts::{Answer, AwsFacts, HostFacts, Introspection};
use crate::ecs::fixes::{self, Change, Fix};
use crate::ecs::host::probe;
use crate::ecs::host::source::Source;
use crate::ecs::host::{TASK_LABEL, Wanted, gather, gather_inside, is_inside};
use crate::ecs::mend;
use crate::ecs::remote::{self, Asked};
use crate::ecs::verdict::{self, Identity, Verdict};
use crate::error::{Error, Kind, Result};
use crate::model::{Finding, Outcome, Readable, Subject};
use crate::report;
use crate::settings::CommonFlags;
use crate::ui::{Text, Tone, Ui, paint};
use clap::ValueEnum;
use clap::builder::FalseyValueParser;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// When to ask from inside the containers' networks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Probe {
    /// On a running host.
    #[default]
    Auto,
    /// Never: only files, rules and Docker are read.
    Never,
}

/// Reads `ACTION=RESOURCE`.
fn need(text: &str) -> std::result::Result<(String, String), String> {
    let (action, resource) = text.split_once('=').ok_or("a need is ACTION=RESOURCE, such as s3:GetObject=arn:aws:s3:::my-bucket/*")?;
    let named = action.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty());
    if !named || action.contains('*') {
        return Err(format!("`{action}` is no single action such as s3:GetObject"));
    }
    if resource != "*" && !resource.starts_with("arn:") {
        return Err(format!("`{resource}` is no ARN"));
    }
    Ok((action.to_owned(), resource.to_owned()))
}

/// What makes the command fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// What keeps a task from its role.
    #[default]
    Fail,
    /// That, and what works but should be known.
    Warn,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Run it as root on the container host: without, what it can't read it says. It changes nothing without --fix.")]
pub struct Args {
    /// Read this folder instead of the running host: a mounted disk, or an unpacked bundle
    #[arg(long, value_name = "DIR", env = "XDEPLOY_ROOT")]
    pub root: Option<PathBuf>,
    /// Look from inside a container of a task, as on Fargate [default: found out from ECS's own variables]
    #[arg(long, env = "XDEPLOY_IN_TASK", value_parser = FalseyValueParser::new(), conflicts_with_all = ["root", "docker_host", "task", "fix"])]
    pub in_task: bool,
    /// Where Docker or Podman answers [default: /var/run/docker.sock, else Podman's]
    #[arg(long, value_name = "URL", env = "XDEPLOY_DOCKER_HOST")]
    pub docker_host: Option<String>,
    /// Judge only this task: its id or its ARN
    #[arg(long, value_name = "TASK", env = "XDEPLOY_TASK")]
    pub task: Option<String>,
    /// AWS profile of the account that the tasks run in: with it, task definitions, roles and trust policies are judged too
    #[arg(long, value_name = "NAME", env = "XDEPLOY_PROFILE")]
    pub profile: Option<String>,
    /// Ask nothing of AWS, whatever the environment names
    #[arg(long, env = "XDEPLOY_NO_AWS", value_parser = FalseyValueParser::new())]
    pub no_aws: bool,
    /// The cluster, where the tasks' ARNs don't say it [default: the agent's]
    #[arg(long, value_name = "NAME", env = "XDEPLOY_CLUSTER")]
    pub cluster: Option<String>,
    /// What the application must be allowed, such as s3:GetObject=arn:aws:s3:::my-bucket/*; may be given several times
    #[arg(long, value_name = "ACTION=RESOURCE", env = "XDEPLOY_NEEDS", value_delimiter = ' ', value_parser = need)]
    pub needs: Vec<(String, String)>,
    /// Whether to ask for credentials, without an id, from inside the containers' networks
    #[arg(long, value_name = "WHEN", env = "XDEPLOY_PROBE", default_value = "auto")]
    pub probe: Probe,
    /// How long to look for SDKs in all containers together
    #[arg(long, value_name = "TIME", env = "XDEPLOY_SDK_SEARCH", default_value = "150ms", value_parser = humantime::parse_duration)]
    pub sdk_search: Duration,
    /// Mend what the article prescribes: flags, NO_PROXY, rules, sysctl, what is saved, a restart; each is shown first, and asked for
    #[arg(long, env = "XDEPLOY_FIX", value_parser = FalseyValueParser::new())]
    pub fix: bool,
    /// With --fix, don't ask
    #[arg(long, env = "XDEPLOY_YES", value_parser = FalseyValueParser::new())]
    pub yes: bool,
    /// Pass over a check, such as XD-ECS-070; may be given several times
    #[arg(long, value_name = "ID", env = "XDEPLOY_IGNORE", value_delimiter = ',')]
    pub ignore: Vec<String>,
    /// What makes the command fail
    #[arg(long, value_name = "WHAT", env = "XDEPLOY_FAIL_ON", default_value = "fail")]
    pub fail_on: FailOn,
    #[command(flatten)]
    pub reports: ReportFlags,
    /// Say of a pasted "Access Denied" whose credentials were used, and look at nothing
    #[arg(long, value_name = "TEXT", env = "XDEPLOY_EXPLAIN_ERROR", conflicts_with_all = ["root", "docker_host", "task"])]
    pub explain_error: Option<String>,
}

pub async fn run(common: &CommonFlags, args: &Args, ui: &Ui, stop: &Stop) -> Result<u8> {
    if let Some(text) = &args.explain_error {
        return Ok(tell_denial(ui, &explain(&redact_pasted(text))));
    }
    let reports = Reports::ready(&args.reports, "ecs-check")?;
    let outcome = panics::finished(on(common, args, ui, stop, &reports)).await;
    reports.finish(ui, outcome)
}

/// Looks, tells, mends what was asked for, and gives the exit code.
async fn on(common: &CommonFlags, args: &Args, ui: &Ui, stop: &Stop, reports: &Reports) -> Result<u8> {
    let ignored = ignored(&args.ignore)?;
    let source = source(args)?;
    let wanted = Wanted { docker: args.docker_host.clone(), probe: args.probe == Probe::Auto, sdk_search: args.sdk_search };
    let inside = args.in_task || source.live && args.docker_host.is_none() && is_inside(&source);
    let look = async || -> Result<Seen> {
        let mut facts = match inside {
            true => gather_inside(&source, &wanted).await,
            false => gather(&source, &wanted).await,
        };
        if let Some(task) = &args.task {
            only(&mut facts, task)?;
        }
        facts.aws = match ask_aws(ui, common, args, &facts).await? {
            Some(aws) => Readable::Known(aws),
            None => facts.aws,
        };
        let mut findings = checks::judge(&facts);
        findings.retain(|finding| !ignored.contains(finding.check.id));
        for finding in &mut findings {
            finding.follows_from.retain(|id| !ignored.contains(id));
        }
        let verdicts = verdict::judge(&facts, &findings);
        Ok(Seen { facts, findings, verdicts })
    };
    let mut seen = look().await?;
    tell(ui, &seen.facts, &seen.findings, &seen.verdicts);
    let mut fixed = Vec::new();
    if args.fix {
        let changed = mend_all(ui, args, &source, &seen, &look, &mut fixed, stop).await;
        stop.applying.store(false, Ordering::SeqCst);
        let changed = match changed {
            Ok(changed) => changed,
            Err(error) => {
                let code = verdict::exit_code(&seen.facts, &seen.findings, &seen.verdicts, args.fail_on == FailOn::Warn);
                reports.say(told(&seen.findings, &seen.verdicts, &document(&seen.facts, &seen.findings, &seen.verdicts, code)));
                return Err(error);
            }
        };
        if changed {
            seen = look().await?;
            ui.section("After that:");
            ui.result("");
            tell(ui, &seen.facts, &seen.findings, &seen.verdicts);
        }
    }
    let Seen { facts, findings, verdicts } = seen;
    let code = verdict::exit_code(&facts, &findings, &verdicts, args.fail_on == FailOn::Warn);
    let mut document = document(&facts, &findings, &verdicts, code);
    if args.fix {
        document["fixes"] = Value::Array(fixed);
    }
    ui.json(&document);
    reports.say(told(&findings, &verdicts, &document));
    Ok(code)
}

/// What one look saw.
struct Seen {
    facts: HostFacts,
    findings: Vec<Finding>,
    verdicts: Vec<Verdict>,
}

/// Shows what would be changed, asks, changes, looks again after each, and puts back what made it worse; says whether anything was kept.
async fn mend_all(
    ui: &Ui,
    args: &Args,
    source: &Source,
    seen: &Seen,
    look: &impl AsyncFn() -> Result<Seen>,
    fixed: &mut Vec<Value>,
    stop: &Stop,
) -> Result<bool> {
    let fixes = fixes::plan(&seen.facts, &seen.findings);
    if fixes.is_empty() {
        ui.section("Nothing here is for --fix to mend.");
        return Ok(false);
    }
    ui.section(&paint(Tone::Heading, "To mend it:"));
    for fix in &fixes {
        ui.result(&format!("  {} ({})", fix.what, fix.checks.join(", ")));
        for change in &fix.changes {
            ui.result(&format!("    {}", change.told()));
        }
    }
    let root = args.root.clone().unwrap_or_else(|| "/".into());
    let is_file = |change: &Change| matches!(change, Change::File { .. });
    if !source.live {
        ui.result("Only files are changed in a folder; the commands are for its host.");
    } else {
        mend::may(args.docker_host.as_deref(), seen.facts.root)?;
    }
    if !args.yes && !ask::confirm(ui, "Change this?", "pass --yes, or leave --fix out")? {
        return Err(Error::refused("nothing was changed").hint("run the same command again when you are ready"));
    }
    let mut before = seen.findings.clone();
    let mut kept = false;
    // From here on Ctrl-C waits until a fix is whole, and looked at.
    stop.applying.store(true, Ordering::SeqCst);
    for fix in fixes {
        if stop.asked.load(Ordering::SeqCst) {
            return Err(Error::new(Kind::Interrupted, "interrupted between two changes")
                .hint("run the same command again: what is done stays done"));
        }
        let fix = match source.live {
            true => fix,
            false => Fix { changes: fix.changes.iter().filter(|change| is_file(change)).cloned().collect(), ..fix },
        };
        if fix.changes.is_empty() {
            continue;
        }
        ui.status(&format!("{} …", fix.what));
        let told = fix.changes.iter().map(Change::told).collect::<Vec<_>>();
        let mut record = json!({"checks": fix.checks, "what": fix.what, "changes": told, "kept": false, "backups": []});
        let done = match mend::apply(&root, &fix, &mut mend::Own) {
            Ok(done) => done,
            Err(error) => {
                ask::warn(ui, "", &error);
                record["error"] = json!(error.message);
                fixed.push(record);
                continue;
            }
        };
        if fix.restarts() && source.live {
            answers_again().await;
        }
        let backups: Vec<String> = done.backups.iter().map(|path| path.display().to_string()).collect();
        let (worse, after) = match look().await {
            Ok(after) => (fixes::worse(&before, &after.findings), Some(after)),
            Err(error) => (vec![format!("what came of it can't be read: {}", error.message)], None),
        };
        if worse.is_empty() {
            for backup in &backups {
                ui.status(&format!("  what was there: {backup}"));
            }
            before = after.map_or(before, |after| after.findings);
            kept = true;
            record["kept"] = json!(true);
            record["backups"] = json!(backups);
        } else if done.is_final() {
            ui.warning(&format!("after that it is worse ({}), and it can't be taken back", worse.join(", ")));
            kept = true;
            record["kept"] = json!(true);
            record["worse"] = json!(worse);
        } else {
            ui.warning(&format!("that made it worse ({}): it is put back", worse.join(", ")));
            for left in mend::undo(done, &mut mend::Own) {
                ui.warning(&format!("could not be put back: {left}"));
            }
            record["worse"] = json!(worse);
        }
        fixed.push(record);
    }
    Ok(kept)
}

/// Waits until an agent that was started again answers, or a minute is over.
async fn answers_again() {
    let ready = async || {
        let (says, gives) = tokio::join!(probe::introspection(), probe::credentials(None, probe::AGENT));
        matches!((says, gives), (Readable::Known(Introspection::Agent { instance: Some(_), .. }), Readable::Known(Answer::Agent)))
    };
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    while tokio::time::Instant::now() < until {
        // The old one may still answer for a moment.
        tokio::time::sleep(Duration::from_secs(1)).await;
        if ready().await {
            return;
        }
    }
}

/// Asks AWS about the tasks that were found, if a profile was given.
async fn ask_aws(ui: &Ui, common: &CommonFlags, args: &Args, facts: &HostFacts) -> Result<Option<AwsFacts>> {
    let profile = match &args.profile {
        Some(profile) if !args.no_aws => profile,
        _ if args.needs.is_empty() => return Ok(None),
        _ => {
            return Err(
                Error::usage("--needs is decided on the roles' policies, which AWS has to be asked for").hint("pass --profile as well")
            );
        }
    };
    let region = common.region.as_ref().map(|region| region.as_str());
    let account = mfa::connector(ui).await?.connect_alone(profile, region).await?;
    let (cluster, instance) = match facts.agent.introspection.known() {
        Some(Introspection::Agent { cluster, instance, .. }) => (Some(cluster.clone()), instance.clone()),
        _ => (None, None),
    };
    let found = tasks(facts);
    let label = |name: &str| found.first().and_then(|container| container.labels.get(name).cloned());
    let asked = Asked {
        tasks: found.iter().filter_map(|container| container.labels.get(TASK_LABEL).cloned()).collect(),
        cluster: args.cluster.clone().or(cluster).or(label("com.amazonaws.ecs.cluster")),
        instance,
        needs: args.needs.clone(),
    };
    Ok(Some(remote::gather(&account, &asked).await))
}

/// What the reports are made of.
fn told(findings: &[Finding], verdicts: &[Verdict], document: &Value) -> Told {
    Told {
        command: "ecs-check",
        document: document.clone(),
        findings: findings.to_vec(),
        checks: checks::every().map(|(check, _)| *check).collect(),
        verdicts: verdicts.iter().map(|verdict| (verdict.container.clone(), verdict.text())).collect(),
        markdown: None,
    }
}

fn source(args: &Args) -> Result<Source> {
    match &args.root {
        Some(root) if root.as_os_str() != "/" => match root.is_dir() {
            true => Ok(Source::folder(root.clone())),
            false => Err(Error::usage(format!("--root: {} is no folder", root.display()))
                .hint("name the folder that a host's `/` is mounted on, or an unpacked bundle")),
        },
        _ => Ok(Source::live()),
    }
}

/// Reads the ids to pass over.
fn ignored(ids: &[String]) -> Result<BTreeSet<&'static str>> {
    let one = |id: &String| {
        checks::find(id.trim()).map(|check| check.id).ok_or_else(|| {
            let all: Vec<&str> = checks::every().map(|(check, _)| check.id).collect();
            let near = all.iter().min_by_key(|known| strsim::levenshtein(known, &id.to_uppercase())).copied().unwrap_or_default();
            Error::usage(format!("--ignore: there is no check {id}")).hint(format!(
                "the nearest is {near}; there are {} to {}",
                all.first().copied().unwrap_or_default(),
                all.iter().max().copied().unwrap_or_default()
            ))
        })
    };
    ids.iter().map(one).collect()
}

/// Keeps the containers of one task, and those that are none's.
fn only(facts: &mut HostFacts, wanted: &str) -> Result<()> {
    let Readable::Known(containers) = &mut facts.containers else { return Ok(()) };
    let is = |arn: &str| arn == wanted || arn.rsplit('/').next() == Some(wanted);
    let known: BTreeSet<String> = containers.iter().filter_map(|container| container.labels.get(TASK_LABEL).cloned()).collect();
    if !known.iter().any(|arn| is(arn)) {
        let ids: Vec<&str> = known.iter().filter_map(|arn| arn.rsplit('/').next()).collect();
        let hint = if ids.is_empty() { "no task runs here".to_owned() } else { format!("here run {}", ids.join(", ")) };
        return Err(Error::failed(format!("task {wanted} doesn't run on this host")).hint(hint));
    }
    containers.retain(|container| container.labels.get(TASK_LABEL).is_none_or(|arn| is(arn)));
    Ok(())
}

/// Says whose credentials were used, and gives the exit code: where that can't be told, it isn't 0.
fn tell_denial(ui: &Ui, denial: &Denial) -> u8 {
    let code = if denial.is_conclusive() { 0 } else { Kind::CannotTell.exit_code() };
    ui.result(&denial.meaning);
    if let Some(arn) = &denial.arn {
        ui.result(&format!("  principal: {arn}"));
    }
    for (name, value) in [("action", &denial.action), ("resource", &denial.resource)] {
        if let Some(value) = value {
            ui.result(&format!("  {name}: {value}"));
        }
    }
    for advice in &denial.advice {
        ui.result(&format!("  do: {advice}"));
    }
    let mut document = json!(denial);
    document["schema"] = json!("xdeploy.ecs-denial/1");
    document["exitCode"] = json!(code);
    ui.json(&document);
    code
}

/// Says in one line what host it is.
fn host(facts: &HostFacts) -> String {
    if facts.in_task {
        let system = if facts.platform.name.is_empty() { "unknown system" } else { &facts.platform.name };
        let on =
            facts.containers.known().and_then(|containers| containers.first()?.environment.told("AWS_EXECUTION_ENV").map(str::to_owned));
        return format!("The inside of a container: {system}{}", on.map_or_else(String::new, |on| format!(", {on}")));
    }
    let platform = match facts.platform.name.as_str() {
        "" => "unknown system",
        name => name,
    };
    let agent = match facts.agent.introspection.known() {
        Some(Introspection::Agent { version, cluster, .. }) => format!("agent {version} of cluster {cluster}"),
        _ => "no agent that answers".to_owned(),
    };
    let how = match Flavour::of(facts) {
        Flavour::EcsInit | Flavour::Suse | Flavour::Upstart => "run by ecs-init",
        Flavour::Bottlerocket => "run by Bottlerocket",
        Flavour::ByHand => "run by hand",
        Flavour::Absent => "not installed",
    };
    format!("{platform}, {agent}, {how}")
}

fn tell(ui: &Ui, facts: &HostFacts, findings: &[Finding], verdicts: &[Verdict]) {
    ui.result(&host(facts));
    match &facts.containers {
        Readable::Unknown(why) => ui.result(&format!("The containers can't be listed: {why}")),
        Readable::Known(_) if verdicts.is_empty() => ui.result("No task runs here."),
        Readable::Known(_) => {}
    }
    for verdict in verdicts {
        let task = verdict.task.rsplit('/').next().unwrap_or_default();
        match facts.in_task {
            true => ui.section(&paint(Tone::Heading, "this container")),
            false => ui
                .section(&(paint(Tone::Heading, format!("container {}", verdict.container)) + format!(" (task {task}, {})", verdict.mode))),
        }
        let tone = match verdict.identity {
            Identity::TaskRole => Tone::Added,
            Identity::CannotTell => Tone::Changed,
            _ => Tone::Removed,
        };
        ui.result(&(Text::from("  ") + paint(tone, verdict.text())));
        if !verdict.findings.is_empty() {
            ui.result(&format!("  see {}", verdict.findings.join(", ")));
        }
    }
    for finding in findings.iter().filter(|finding| matches!(finding.outcome, Outcome::Fail | Outcome::Warn)) {
        tell_finding(ui, finding);
    }
    tell_unknown(ui, findings);
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    let causes = findings.iter().filter(|finding| finding.is_cause()).count();
    ui.section(&format!(
        "{} pass, {} fail ({causes} of them a cause), {} to know of, {} can't be told, {} don't apply.",
        count(Outcome::Pass),
        count(Outcome::Fail),
        count(Outcome::Warn),
        count(Outcome::CannotTell),
        count(Outcome::NotApplicable),
    ));
    if !facts.root && facts.live {
        ui.warning("not run as root: what other users' processes and networks hold can't be read; run it with sudo");
    }
}

/// Tells what can't be told, each reason once: one socket that isn't there keeps many checks from an answer.
fn tell_unknown(ui: &Ui, findings: &[Finding]) {
    let unknown: Vec<&Finding> = findings.iter().filter(|finding| finding.outcome == Outcome::CannotTell).collect();
    let mut reasons: Vec<&str> = Vec::new();
    for finding in &unknown {
        if !reasons.contains(&finding.message.as_str()) {
            reasons.push(&finding.message);
        }
    }
    if !reasons.is_empty() {
        ui.section(&paint(Tone::Heading, "Can't be told:"));
    }
    for reason in reasons {
        ui.result(&format!("  {reason}"));
        for finding in unknown.iter().filter(|finding| finding.message == reason) {
            let subject = if finding.subject == Subject::Host { String::new() } else { format!(", {}", finding.subject) };
            ui.result(&format!("    {} {}{subject}", finding.check.id, finding.check.title));
        }
    }
}

fn tell_finding(ui: &Ui, finding: &Finding) {
    let (word, tone) = match finding.outcome {
        Outcome::Fail if finding.is_cause() => ("FAIL", Tone::Removed),
        Outcome::Fail => ("fail", Tone::Removed),
        _ => ("warn", Tone::Changed),
    };
    let check = finding.check;
    let article: String = if check.article == ["B"] { String::new() } else { format!(" ({})", check.article.join(", ")) };
    ui.section(&(paint(tone, word) + format!(" {} {}{article}", check.id, check.title)));
    ui.result(&format!("  {}: {}", finding.subject, finding.message));
    for line in &finding.evidence {
        ui.result(&format!("    {line}"));
    }
    if !finding.follows_from.is_empty() {
        ui.result(&format!("  follows from {}", finding.follows_from.join(", ")));
        return;
    }
    if finding.outcome == Outcome::Fail {
        ui.result(&format!("  why: {}", check.why));
    }
    for fix in &finding.fix {
        ui.result(&format!("  do: {fix}"));
    }
}

/// The JSON document `xdeploy.ecs-check/1`.
fn document(facts: &HostFacts, findings: &[Finding], verdicts: &[Verdict], code: u8) -> Value {
    let agent = match facts.agent.introspection.known() {
        Some(Introspection::Agent { version, cluster, instance }) => {
            json!({"version": version, "cluster": cluster, "containerInstance": instance})
        }
        _ => Value::Null,
    };
    let verdict = |verdict: &Verdict| {
        json!({
            "name": verdict.container,
            "task": verdict.task,
            "networkMode": if facts.in_task { Value::Null } else { json!(verdict.mode) },
            "verdict": {"identity": verdict.identity, "role": verdict.role, "because": verdict.because, "text": verdict.text()},
            "findings": verdict.findings,
        })
    };
    json!({
        "schema": "xdeploy.ecs-check/1",
        "host": {
            "system": facts.platform.name,
            "flavour": Flavour::of(facts).word(),
            "agent": agent,
            "live": facts.live,
            "inTask": facts.in_task,
            "root": facts.root,
            "tasks": tasks(facts).iter().filter_map(|container| container.labels.get(TASK_LABEL)).collect::<BTreeSet<_>>().len(),
        },
        "containers": verdicts.iter().map(verdict).collect::<Vec<_>>(),
        "findings": findings.iter().map(report::finding_json).collect::<Vec<_>>(),
        "exitCode": code,
    })
}
