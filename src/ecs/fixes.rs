//! What `--fix` does: only what the article and the facts prescribe (facts/ecs.md A.2, A.4, A.7, B.3). Pure: it says which changes, and
//! how a text changes; `mend` makes them.

use super::checks::about::{Flavour, agent_container, agent_runs};
use super::checks::no_proxy::{CREDENTIALS, IMDS, Proxy, WANTED, judge};
use super::environment::{TASK_ENI, TASK_ROLE, TASK_ROLE_HOST, exported, meant};
use super::facts::{HostFacts, ProxyOf};
use super::host::ROUTE_LOCALNET;
use super::parse::settings::sysctl;
use crate::model::{Finding, Outcome, Subject};

/// The rule of PREROUTING, without its verb.
const PREROUTING: &str = "PREROUTING -p tcp -d 169.254.170.2 --dport 80 -j DNAT --to-destination 127.0.0.1:51679";
/// The rule of OUTPUT.
const OUTPUT: &str = "OUTPUT -p tcp -d 169.254.170.2 --dport 80 -j REDIRECT --to-ports 51679";
/// The filter of 127/8 as ecs-init has it today.
const GUARD: &str = "INPUT --dst 127.0.0.0/8 ! --src 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP";
/// Where `route_localnet` is saved.
const SYSCTL_FILE: &str = "/etc/sysctl.d/99-zz-ecs-route-localnet.conf";

/// How a file writes its variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `NAME=value`.
    EnvFile,
    /// `Environment="NAME=value"`, below `[Service]`.
    Unit,
    /// `export NAME=value`.
    Shell,
    /// `env NAME=value`.
    Upstart,
}

impl Dialect {
    fn line(self, name: &str, value: &str) -> String {
        match self {
            Dialect::EnvFile => format!("{name}={value}"),
            Dialect::Unit => format!("Environment=\"{name}={value}\""),
            Dialect::Shell => format!("export {name}={value}"),
            Dialect::Upstart => format!("env {name}={value}"),
        }
    }
}

/// How a text changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Sets a variable: lines that set it go, one that sets it is added.
    Set {
        /// How the file writes it.
        dialect: Dialect,
        /// The variable.
        name: String,
        /// Its value.
        value: String,
    },
    /// Writes names and values as every reader takes them: without `export`, blanks and quotes.
    Clean,
    /// Takes out the lines of saved rules that have the endpoint's address in them.
    WithoutEndpoint,
    /// Sets `route_localnet` of `all` in the lines that set it.
    RouteLocalnet,
    /// The whole text.
    Whole(String),
}

impl Edit {
    /// Gives the text that a text becomes.
    pub fn apply(&self, text: &str) -> String {
        match self {
            Edit::Whole(text) => text.clone(),
            Edit::WithoutEndpoint => {
                text.split_inclusive('\n').filter(|line| !line.contains("169.254.170.2/") && !line.contains("169.254.170.2 ")).collect()
            }
            Edit::RouteLocalnet => text.split_inclusive('\n').map(route_localnet).collect(),
            Edit::Clean => text.split_inclusive('\n').map(clean).collect(),
            Edit::Set { dialect, name, value } => {
                let mut kept: String = text.split_inclusive('\n').filter(|line| !sets(*dialect, line, name)).collect();
                if !kept.is_empty() && !kept.ends_with('\n') {
                    kept.push('\n');
                }
                if *dialect == Dialect::Unit && !kept.lines().any(|line| line.trim() == "[Service]") {
                    kept.push_str("[Service]\n");
                }
                kept.push_str(&dialect.line(name, value));
                kept.push('\n');
                kept
            }
        }
    }
}

/// Says whether a line sets a variable; a comment doesn't.
fn sets(dialect: Dialect, line: &str, name: &str) -> bool {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return false;
    }
    let assigned = match dialect {
        Dialect::EnvFile => line,
        Dialect::Unit => match line.strip_prefix("Environment=") {
            // A line that sets others as well stays: the last one counts.
            Some(rest) => rest.trim_matches(['"', '\'']),
            None => return false,
        },
        // `meant` takes `export` off.
        Dialect::Shell => line,
        Dialect::Upstart => line.strip_prefix("env").filter(|rest| rest.starts_with([' ', '\t'])).unwrap_or_default(),
    };
    assigned.split_once('=').is_some_and(|(found, rest)| meant(found) == name && (dialect != Dialect::Unit || !rest.contains('=')))
}

fn route_localnet(line: &str) -> String {
    match sysctl(line).first() {
        Some((name, value, _)) if name == ROUTE_LOCALNET && value != "1" => format!("{ROUTE_LOCALNET}=1\n"),
        _ => line.to_owned(),
    }
}

fn clean(line: &str) -> String {
    let trimmed = line.trim_start();
    if trimmed.starts_with(['#', ';']) {
        return line.to_owned();
    }
    match trimmed.split_once('=') {
        Some((name, value)) if name.len() < 80 && (meant(name) != name || meant(name).starts_with("ECS_")) => {
            let ended = value.trim_end_matches(['\r', '\n']);
            let bare = ['"', '\''].iter().find_map(|quote| ended.trim().strip_prefix(*quote)?.strip_suffix(*quote));
            // What has quotes within is more than a quoted word, and is left as it is.
            let bare = bare.filter(|bare| meant(name).starts_with("ECS_") && !bare.contains(['"', '\'']));
            format!("{}={}{}", meant(name), bare.unwrap_or(ended.trim()), &value[ended.len()..])
        }
        // A name alone: its value is taken from whoever starts the container.
        None if exported(trimmed).is_some_and(|name| !name.trim().is_empty()) => {
            let ended = trimmed.trim_end_matches(['\r', '\n']);
            format!("{}{}", meant(ended), &trimmed[ended.len()..])
        }
        _ => line.to_owned(),
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A file's text; what was there is kept beside it.
    File {
        /// The path on the host.
        path: String,
        /// What becomes of its text.
        edit: Edit,
    },
    /// A program.
    Run {
        /// The program and its arguments.
        command: Vec<String>,
        /// What takes it back.
        back: Option<Vec<String>>,
    },
    /// A program whose output becomes a file, as `iptables-save` has to.
    Save {
        /// The program.
        program: String,
        /// The file.
        path: String,
    },
}

/// What mends one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The checks that it is for.
    pub checks: Vec<&'static str>,
    /// What it does, in words.
    pub what: String,
    /// The changes, in order.
    pub changes: Vec<Change>,
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn run(command: &str, back: Option<&str>) -> Change {
    Change::Run { command: words(command), back: back.map(words) }
}

impl Fix {
    /// Says whether it starts the agent again: then it takes a while until it answers.
    pub fn restarts(&self) -> bool {
        let starts = |change: &Change| matches!(change, Change::Run { command, .. } if command.iter().any(|word| word == "restart" || word == "start"));
        self.changes.iter().any(starts)
    }
}

impl Change {
    /// Says it as a person would type it.
    pub fn told(&self) -> String {
        match self {
            Change::Run { command, .. } => command.join(" "),
            Change::Save { program, path } => format!("{program} > {path}"),
            Change::File { path, edit } => match edit {
                Edit::Set { name, value, dialect } => format!("{path}: {}", dialect.line(name, value)),
                Edit::Clean => format!("{path}: names without `export`, blanks and quotes"),
                Edit::WithoutEndpoint => format!("{path}: without the rules for 169.254.170.2"),
                Edit::RouteLocalnet => format!("{path}: {ROUTE_LOCALNET}=1"),
                Edit::Whole(text) => format!("{path}: {}", text.trim_end()),
            },
        }
    }
}

/// What one check objects to.
fn bad<'f>(findings: &'f [Finding], id: &'static str) -> impl Iterator<Item = &'f Finding> {
    findings.iter().filter(move |finding| finding.check.id == id && matches!(finding.outcome, Outcome::Fail | Outcome::Warn))
}

/// Says what mends what was found; what isn't here a person has to mend.
pub fn plan(facts: &HostFacts, findings: &[Finding]) -> Vec<Fix> {
    let flavour = Flavour::of(facts);
    let fails = |id: &'static str| bad(findings, id).any(|finding| finding.outcome == Outcome::Fail);
    let mut fixes = Vec::new();
    let mut restart: Vec<&'static str> = Vec::new();
    configuration(facts, flavour, findings, &mut fixes, &mut restart);
    proxies(facts, flavour, findings, &mut fixes, &mut restart);
    for id in ["XD-ECS-001", "XD-ECS-002", "XD-ECS-014", "XD-ECS-054"] {
        // What another program holds isn't given back by a restart.
        // Nor does one open a filter.
        let taken = id == "XD-ECS-054"
            && bad(findings, id).any(|finding| finding.message.starts_with("something") || finding.follows_from.contains(&"XD-ECS-053"));
        if fails(id) && !taken {
            restart.push(id);
        }
    }
    let rules_gone = ["XD-ECS-050", "XD-ECS-051"]
        .iter()
        .any(|id| bad(findings, id).any(|finding| finding.outcome == Outcome::Fail && finding.message.starts_with("no rule")));
    if flavour.brings_rules() && rules_gone {
        restart.push("XD-ECS-050");
    }
    if fails("XD-ECS-052") {
        let change = run("sysctl -w net.ipv4.conf.all.route_localnet=1", Some("sysctl -w net.ipv4.conf.all.route_localnet=0"));
        fixes.push(Fix {
            checks: vec!["XD-ECS-052"],
            what: "let the kernel route to 127.0.0.1 from a bridge".into(),
            changes: vec![change],
        });
    }
    let changes = restarts(facts, flavour);
    if !restart.is_empty() && !changes.is_empty() {
        restart.sort_unstable();
        restart.dedup();
        fixes.push(Fix { checks: restart, what: "start the agent again".into(), changes });
    }
    // After the restart, which puts its own rules where they belong and takes one copy out first.
    rules(flavour, findings, &mut fixes);
    saved(facts, flavour, findings, &mut fixes);
    fixes
}

/// Names what fails after a change and didn't before. What a mended file leaves to do, a restart, is no worse than the file was.
pub fn worse(before: &[Finding], after: &[Finding]) -> Vec<String> {
    let failed = |finding: &&Finding| finding.outcome == Outcome::Fail;
    let known =
        |finding: &Finding| before.iter().filter(failed).any(|old| old.check.id == finding.check.id && old.subject == finding.subject);
    // A task that came meanwhile is nobody's fault.
    let there = |finding: &Finding| finding.subject == Subject::Host || before.iter().any(|old| old.subject == finding.subject);
    let new = after.iter().filter(failed).filter(|finding| !known(finding) && there(finding) && finding.check.id != "XD-ECS-014");
    new.map(|finding| format!("{} ({})", finding.check.id, finding.subject)).collect()
}

/// What starts the agent again; by hand it is a whole `docker run`, which nobody here knows.
fn restarts(facts: &HostFacts, flavour: Flavour) -> Vec<Change> {
    match flavour {
        Flavour::EcsInit | Flavour::Bottlerocket => vec![run("systemctl --no-block restart ecs", None)],
        Flavour::Suse => vec![run("systemctl --no-block restart amazon-ecs", None)],
        Flavour::Upstart if agent_runs(facts) == Some(true) => vec![run("stop ecs", None), run("start ecs", None)],
        Flavour::Upstart => vec![run("start ecs", None)],
        // A container that has ended has what it was given: starting it is enough.
        Flavour::ByHand => {
            let ended = agent_container(facts).filter(|agent| !agent.running);
            ended.map(|agent| run(&format!("docker start {}", agent.name), None)).into_iter().collect()
        }
        Flavour::Absent => Vec::new(),
    }
}

const ETC: &str = "/etc/ecs/ecs.config";

fn configuration(facts: &HostFacts, flavour: Flavour, findings: &[Finding], fixes: &mut Vec<Fix>, restart: &mut Vec<&'static str>) {
    if flavour == Flavour::Bottlerocket || flavour == Flavour::Absent {
        return;
    }
    let mut changes = Vec::new();
    let mut checks = Vec::new();
    // Docker refuses a whole file for one name; under ecs-init a name that counts for nothing today might change the cluster tomorrow.
    let refused = facts
        .config
        .iter()
        .filter(|file| flavour == Flavour::ByHand && file.docker.is_err() && bad(findings, "XD-ECS-013").next().is_some());
    for file in refused {
        changes.push(Change::File { path: file.path.clone(), edit: Edit::Clean });
        checks.push("XD-ECS-013");
    }
    for (id, name) in [("XD-ECS-010", TASK_ROLE), ("XD-ECS-011", TASK_ROLE_HOST), ("XD-ECS-012", TASK_ENI)] {
        let failing = bad(findings, id).any(|finding| finding.outcome == Outcome::Fail && !finding.follows_from.contains(&"XD-ECS-014"));
        let written = bad(findings, "XD-ECS-013").filter(|finding| finding.outcome == Outcome::Fail && finding.variable.as_deref() == Some(name));
        // What is written wrongly is written rightly where it stands.
        let mut files: Vec<&str> = written.filter_map(|finding| finding.place.as_ref()).map(|(path, _)| path.as_str()).collect();
        if failing {
            files.push(ETC);
        }
        files.sort_unstable();
        files.dedup();
        if !files.is_empty() {
            checks.push(if failing { id } else { "XD-ECS-013" });
        }
        changes.extend(files.into_iter().map(|path| Change::File {
            path: path.into(),
            edit: Edit::Set { dialect: Dialect::EnvFile, name: name.into(), value: "true".into() },
        }));
    }
    if let Some(finding) = bad(findings, "XD-ECS-078").find(|finding| finding.place.is_some()) {
        let edit = Edit::Set { dialect: Dialect::EnvFile, name: "ECS_TASK_METADATA_RPS_LIMIT".into(), value: "40,60".into() };
        changes.push(Change::File { path: ETC.into(), edit });
        checks.push(finding.check.id);
    }
    if !changes.is_empty() {
        restart.extend(&checks);
        checks.dedup();
        fixes.push(Fix { checks, what: "write the agent's configuration as its reader takes it, with task roles on".into(), changes });
    }
}

/// Adds to a list what must go past the proxy.
fn past(list: Option<&str>) -> String {
    let mut entries: Vec<&str> = list.unwrap_or_default().split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    entries.extend(WANTED.split(',').filter(|wanted| !list.unwrap_or_default().split(',').any(|entry| entry.trim() == *wanted)));
    entries.join(",")
}

fn proxies(facts: &HostFacts, flavour: Flavour, findings: &[Finding], fixes: &mut Vec<Fix>, restart: &mut Vec<&'static str>) {
    let file = facts.config.iter().rev().find(|file| file.path == ETC).map(|file| match flavour {
        Flavour::ByHand => file.docker.clone().unwrap_or_default(),
        _ => file.ecs_init.clone(),
    });
    // Where the file is right already, only the agent's next start is missing.
    let right = file.is_some_and(|sets| judge(&sets, &[IMDS, CREDENTIALS], true) == Proxy::Past);
    if bad(findings, "XD-ECS-030").next().is_some() && flavour != Flavour::Bottlerocket && !right {
        let list = facts.config.iter().rev().find_map(|file| file.ecs_init.no_proxy());
        let edit = Edit::Set { dialect: Dialect::EnvFile, name: "NO_PROXY".into(), value: past(list) };
        let changes = vec![Change::File { path: ETC.into(), edit }];
        fixes.push(Fix { checks: vec!["XD-ECS-030"], what: "let the agent go past its proxy".into(), changes });
        restart.push("XD-ECS-030");
    }
    for (id, docker) in [("XD-ECS-031", false), ("XD-ECS-032", true)] {
        for finding in bad(findings, id) {
            let Some(place) = facts.proxies.iter().find(|place| finding.place.as_ref().is_some_and(|(path, _)| *path == place.path)) else {
                continue;
            };
            // Bottlerocket's files are its own: `apiclient set` writes them.
            if place.whose == ProxyOf::Everybody {
                continue;
            }
            let dialect = match place.path.as_str() {
                path if path.ends_with(".conf") => Dialect::Unit,
                path if path.starts_with("/etc/init/") => Dialect::Upstart,
                _ => Dialect::Shell,
            };
            let edit = Edit::Set { dialect, name: "NO_PROXY".into(), value: past(place.sets.no_proxy()) };
            let mut changes = vec![Change::File { path: place.path.clone(), edit }];
            if dialect == Dialect::Unit {
                changes.push(run("systemctl daemon-reload", None));
            }
            // Docker itself isn't started again: that would end every container here.
            let whose = if docker { "Docker (from its next start on)" } else { "ecs-init" };
            fixes.push(Fix { checks: vec![finding.check.id], what: format!("let {whose} go past its proxy"), changes });
            if !docker {
                restart.push(finding.check.id);
            }
        }
    }
}

fn rules(flavour: Flavour, findings: &[Finding], fixes: &mut Vec<Fix>) {
    let rule = |verb: &str, table: &str, rule: &str| words(&format!("iptables -t {table} {verb} {rule}"));
    let add = |verb: &str, table: &str, text: &str| Change::Run { command: rule(verb, table, text), back: Some(rule("-D", table, text)) };
    let failing = |id: &'static str| bad(findings, id).filter(|finding| finding.outcome == Outcome::Fail);
    // By hand nobody else brings them; what leads elsewhere is somebody's rule, and ours goes before it.
    for (id, text) in [("XD-ECS-050", PREROUTING), ("XD-ECS-051", OUTPUT)] {
        let Some(finding) = failing(id).next() else { continue };
        let gone = finding.message.starts_with("no rule");
        if !flavour.brings_rules() || !gone {
            let verb = if gone { "-A" } else { "-I" };
            fixes.push(Fix {
                checks: vec![finding.check.id],
                what: "lead 169.254.170.2 to the agent".into(),
                changes: vec![add(verb, "nat", text)],
            });
        }
    }
    for finding in failing("XD-ECS-053") {
        let Subject::Interface(interface) = &finding.subject else { continue };
        // What `raw` or `mangle` drops, no rule of the filter lets in.
        if finding.message.starts_with("table ") {
            continue;
        }
        let old = finding.message.starts_with("an old filter");
        let changes = match (old, finding.evidence.first().and_then(|rule| rule.strip_prefix("-A INPUT "))) {
            (true, Some(text)) => {
                let text = format!("INPUT {text}");
                let taken = Change::Run { command: rule("-D", "filter", &text), back: Some(rule("-I", "filter", &text)) };
                vec![add("-I", "filter", GUARD), taken]
            }
            _ if interface == "lo" => vec![add("-I", "filter", "INPUT -i lo -j ACCEPT")],
            _ => vec![add("-I", "filter", &format!("INPUT -i {interface} -d 127.0.0.0/8 -p tcp --dport 51679 -j ACCEPT"))],
        };
        let fix = Fix { checks: vec![finding.check.id], what: format!("let what was led to the agent in by {interface}"), changes };
        // The old filter is one for all interfaces.
        if !fixes.iter().any(|other: &Fix| other.changes == fix.changes) {
            fixes.push(fix);
        }
    }
}

fn saved(facts: &HostFacts, flavour: Flavour, findings: &[Finding], fixes: &mut Vec<Fix>) {
    if bad(findings, "XD-ECS-056").next().is_some() {
        let files = facts.saved.rules.iter().filter(|file| file.names_endpoint && file.rules.is_some());
        let changes: Vec<Change> = files.map(|file| Change::File { path: file.path.clone(), edit: Edit::WithoutEndpoint }).collect();
        if !changes.is_empty() {
            fixes.push(Fix { checks: vec!["XD-ECS-056"], what: "save no rule that ecs-init brings itself".into(), changes });
        }
    }
    if bad(findings, "XD-ECS-055").next().is_none() || flavour != Flavour::ByHand {
        return;
    }
    let mut changes = Vec::new();
    let lacks = |text: &str| bad(findings, "XD-ECS-055").any(|finding| finding.evidence.iter().any(|line| line.contains(text)));
    let debian = facts.platform.id == "debian" || facts.platform.like.contains("debian");
    let (path, unit) = if debian { ("/etc/iptables/rules.v4", "netfilter-persistent") } else { ("/etc/sysconfig/iptables", "iptables") };
    // Two that bring rules back at a boot undo each other; and without systemd the way is another one.
    let others = facts.saved.enabled.iter().any(|enabled| ["firewalld", "ufw"].contains(&enabled.as_str()));
    if (lacks("rule of") || lacks("the one of")) && !others && facts.platform.systemd {
        changes.push(Change::Save { program: "iptables-save".into(), path: path.into() });
        if !facts.saved.enabled.iter().any(|enabled| enabled == unit) {
            changes.push(run(&format!("systemctl enable {unit}"), Some(&format!("systemctl disable {unit}"))));
        }
    }
    if lacks("route_localnet") {
        changes.push(match facts.saved.route_localnet.last() {
            // The one that is read last wins, whatever others say.
            Some((file, _, _)) => Change::File { path: file.clone(), edit: Edit::RouteLocalnet },
            None => Change::File { path: SYSCTL_FILE.into(), edit: Edit::Whole(format!("{ROUTE_LOCALNET}=1\n")) },
        });
    }
    if !changes.is_empty() {
        fixes.push(Fix { checks: vec!["XD-ECS-055"], what: "let a reboot bring the rules back".into(), changes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(dialect: Dialect, name: &str, value: &str) -> Edit {
        Edit::Set { dialect, name: name.into(), value: value.into() }
    }

    #[test]
    fn a_variable_is_set_once_and_nothing_else_changes() {
        let text = "# ECS_A=no\nexport ECS_A=\"x\"\nB=1\nECS_A =2";
        assert_eq!(set(Dialect::EnvFile, "ECS_A", "true").apply(text), "# ECS_A=no\nB=1\nECS_A=true\n");
        let unit = "[Service]\nEnvironment=\"HTTP_PROXY=http://p:1\" \"NO_PROXY=x\"\nEnvironment=NO_PROXY=y\n";
        let wanted = "[Service]\nEnvironment=\"HTTP_PROXY=http://p:1\" \"NO_PROXY=x\"\nEnvironment=\"NO_PROXY=z\"\n";
        assert_eq!(set(Dialect::Unit, "NO_PROXY", "z").apply(unit), wanted);
        assert_eq!(set(Dialect::Shell, "NO_PROXY", "z").apply("export NO_PROXY=a\n"), "export NO_PROXY=z\n");
        assert_eq!(set(Dialect::Upstart, "NO_PROXY", "z").apply("env NO_PROXY=a\nscript\n"), "script\nenv NO_PROXY=z\n");
        assert_eq!(Edit::Clean.apply("export A=1\nB =2\n#C =3\nD\nECS_E=\"x\"\nF=\"x\""), "A=1\nB=2\n#C =3\nD\nECS_E=x\nF=\"x\"");
        assert_eq!(past(Some("a, 169.254.170.2")), "a,169.254.170.2,169.254.169.254,/var/run/docker.sock");
    }

    #[test]
    fn export_said_twice_is_taken_out_whole() {
        assert_eq!(Edit::Clean.apply("export export A="), "A=");
        assert_eq!(Edit::Clean.apply("export  A=1\nexport\tB=2\n declare -x C=3\ntypeset\t-x  D =4\nexport E\r\n"), "A=1\nB=2\nC=3\nD=4\nE\r\n");
        for line in ["export  A=1", "export\tA=1", "\texport \t A = 1", "declare -x A=1"] {
            for dialect in [Dialect::EnvFile, Dialect::Shell] {
                assert_eq!(set(dialect, "A", "2").apply(line), format!("{}\n", dialect.line("A", "2")), "{line:?}");
            }
        }
        assert_eq!(set(Dialect::Upstart, "A", "2").apply("env\t A=1"), "env A=2\n");
    }

    proptest! {
        #[test]
        fn setting_twice_is_setting_once(text in "([A-C]{1,2} ?=[a-z\" ]{0,4}\r?\n|#|export |export\t|Environment=|env |env\t|\\PC){0,12}", value in "[a-z0-9]{1,6}") {
            for dialect in [Dialect::EnvFile, Dialect::Unit, Dialect::Shell, Dialect::Upstart] {
                let edit = set(dialect, "AB", &value);
                let once = edit.apply(&text);
                prop_assert_eq!(edit.apply(&once), once.clone());
                // What isn't about the variable stays, in its order.
                let others = |text: &str| text.lines().map(str::to_owned).filter(|line| !sets(dialect, line, "AB") && line != "[Service]").collect::<Vec<_>>();
                prop_assert_eq!(others(&once), others(&text));
            }
            let clean = Edit::Clean.apply(&text);
            prop_assert_eq!(Edit::Clean.apply(&clean), clean);
        }
    }
}
