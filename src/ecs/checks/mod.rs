//! The checks: one file each, a pure function of the facts. The order is the order of the article.

pub mod about;
pub mod rules;

mod agent_health;
mod agent_log;
mod agent_network;
mod agent_port;
mod agent_registered;
mod agent_running;
mod agent_supervised;
mod agent_version;
mod both_uris;
mod config_text;
mod endpoint;
mod execution_role;
mod flag_task_eni;
mod flag_task_role;
mod flag_task_role_host;
mod flags;
mod imds_open;
mod input_filter;
mod instance_attributes;
mod loopback_guard;
mod network_none;
mod never_fetched;
pub mod no_proxy;
pub mod other_credentials;
pub mod php_fpm;
pub mod process_variable;
mod proxy_agent;
mod proxy_container;
mod proxy_docker;
mod proxy_ecs_init;
mod restart_needed;
mod role_allows;
mod role_exists;
mod route_localnet;
mod rule_output;
mod rule_prerouting;
mod saved_rules;
mod saved_twice;
mod sdk_falls_back;
mod sdk_version;
mod task_role_missing;
mod task_route;
mod throttled;
pub mod trust;
mod trust_conditions;

use super::facts::HostFacts;
use crate::model::{Check, Finding, Outcome, Subject};
use about::{Flavour, Mode};

/// A check with its function.
pub type Row = (&'static Check, fn(&HostFacts) -> Vec<Finding>);

/// Every check.
pub static ALL: [Row; 40] = [
    (&agent_running::CHECK, agent_running::look),
    (&agent_supervised::CHECK, agent_supervised::look),
    (&agent_registered::CHECK, agent_registered::look),
    (&agent_network::CHECK, agent_network::look),
    (&agent_version::CHECK, agent_version::look),
    (&agent_health::CHECK, agent_health::look),
    (&flag_task_role::CHECK, flag_task_role::look),
    (&flag_task_role_host::CHECK, flag_task_role_host::look),
    (&flag_task_eni::CHECK, flag_task_eni::look),
    (&config_text::CHECK, config_text::look),
    (&restart_needed::CHECK, restart_needed::look),
    (&instance_attributes::CHECK, instance_attributes::look),
    (&role_exists::CHECK, role_exists::look),
    (&trust::CHECK, trust::look),
    (&trust_conditions::CHECK, trust_conditions::look),
    (&proxy_agent::CHECK, proxy_agent::look),
    (&proxy_ecs_init::CHECK, proxy_ecs_init::look),
    (&proxy_docker::CHECK, proxy_docker::look),
    (&proxy_container::CHECK, proxy_container::look),
    (&sdk_version::CHECK, sdk_version::look),
    (&sdk_falls_back::CHECK, sdk_falls_back::look),
    (&rule_prerouting::CHECK, rule_prerouting::look),
    (&rule_output::CHECK, rule_output::look),
    (&route_localnet::CHECK, route_localnet::look),
    (&input_filter::CHECK, input_filter::look),
    (&agent_port::CHECK, agent_port::look),
    (&saved_rules::CHECK, saved_rules::look),
    (&saved_twice::CHECK, saved_twice::look),
    (&loopback_guard::CHECK, loopback_guard::look),
    (&task_route::CHECK, task_route::look),
    (&process_variable::CHECK, process_variable::look),
    (&php_fpm::CHECK, php_fpm::look),
    (&task_role_missing::CHECK, task_role_missing::look),
    (&execution_role::CHECK, execution_role::look),
    (&role_allows::CHECK, role_allows::look),
    (&other_credentials::CHECK, other_credentials::look),
    (&both_uris::CHECK, both_uris::look),
    (&network_none::CHECK, network_none::look),
    (&imds_open::CHECK, imds_open::look),
    (&never_fetched::CHECK, never_fetched::look),
];

/// The checks whose findings come last: what they see follows from others, or is told by the agent itself.
pub static LAST: [Row; 3] =
    [(&throttled::CHECK, throttled::look), (&agent_log::CHECK, agent_log::look), (&endpoint::CHECK, endpoint::look)];

/// Gives every check, in the order in which they are told.
pub fn every() -> impl Iterator<Item = &'static Row> {
    ALL.iter().chain(&LAST)
}

/// Finds a check by its id.
pub fn find(id: &str) -> Option<&'static Check> {
    every().map(|(check, _)| *check).find(|check| check.id.eq_ignore_ascii_case(id))
}

/// Judges everything, and marks what follows from something else.
pub fn judge(facts: &HostFacts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = every().flat_map(|(_, look)| look(facts)).collect();
    if facts.in_task {
        // From inside, only the container is to be seen, and its network mode isn't.
        findings.retain(|finding| matches!(finding.subject, Subject::Container(_)) && !OUTSIDE.contains(&finding.check.id));
    }
    trace(facts, &mut findings);
    // Causes first, then what follows from them, then what works but should be known; each in the order of the article.
    findings.sort_by_key(|finding| match finding.outcome {
        Outcome::Fail if finding.is_cause() => 0,
        Outcome::Fail => 1,
        Outcome::Warn => 2,
        Outcome::CannotTell => 3,
        Outcome::Pass => 4,
        Outcome::NotApplicable => 5,
    });
    findings
}

/// What only the host, its engine or AWS can say of a container.
const OUTSIDE: [&str; 6] = ["XD-ECS-058", "XD-ECS-071", "XD-ECS-075", "XD-ECS-077", "XD-ECS-020", "XD-ECS-023"];

/// What a failure may follow from: the check, and the checks that explain it where they fail.
const EXPLAINED: [(&str, &[&str]); 12] = [
    // A unit that was stopped took the rules and the setting along; an agent that ended with it did so too.
    ("XD-ECS-050", &["XD-ECS-002", "XD-ECS-001"]),
    ("XD-ECS-051", &["XD-ECS-002", "XD-ECS-001"]),
    ("XD-ECS-052", &["XD-ECS-002", "XD-ECS-001"]),
    ("XD-ECS-054", &["XD-ECS-001", "XD-ECS-004"]),
    ("XD-ECS-001", &["XD-ECS-004"]),
    ("XD-ECS-003", &["XD-ECS-030", "XD-ECS-031"]),
    ("XD-ECS-010", &["XD-ECS-013", "XD-ECS-014"]),
    ("XD-ECS-011", &["XD-ECS-013", "XD-ECS-014"]),
    ("XD-ECS-012", &["XD-ECS-013", "XD-ECS-014"]),
    ("XD-ECS-070", &["XD-ECS-071"]),
    ("XD-ECS-015", &["XD-ECS-010", "XD-ECS-011", "XD-ECS-013", "XD-ECS-014"]),
    ("XD-ECS-014", &[]),
];

fn trace(facts: &HostFacts, findings: &mut [Finding]) {
    let brings = Flavour::of(facts).brings_rules();
    let failing: Vec<(&'static str, Subject)> = findings
        .iter()
        .filter(|finding| finding.outcome == Outcome::Fail)
        .map(|finding| (finding.check.id, finding.subject.clone()))
        .collect();
    let fails =
        |id: &str, subject: &Subject| failing.iter().any(|(failed, whose)| *failed == id && (*whose == Subject::Host || whose == subject));
    let fails_by = |id: &str, mode: &Mode| {
        let by = |whose: &Subject| matches!(whose, Subject::Interface(interface) if mode.is_by(interface));
        failing.iter().any(|(failed, whose)| *failed == id && by(whose))
    };
    for finding in findings.iter_mut().filter(|finding| finding.outcome == Outcome::Fail) {
        let id = finding.check.id;
        // By hand, rules and agent come and go without each other.
        let rules = ["XD-ECS-050", "XD-ECS-051", "XD-ECS-052"].contains(&id);
        if rules && !brings {
            continue;
        }
        let causes = EXPLAINED.iter().find(|(explained, _)| *explained == id).map_or(&[][..], |(_, causes)| causes);
        finding.follows_from = causes.iter().copied().filter(|cause| fails(cause, &finding.subject)).collect();
    }
    // A filter that drops what comes in by `lo` keeps the host itself from the agent as well.
    let shut = failing.contains(&(input_filter::CHECK.id, Subject::Interface("lo".to_owned())));
    for finding in
        findings.iter_mut().filter(|finding| shut && finding.check.id == agent_port::CHECK.id && finding.outcome == Outcome::Fail)
    {
        finding.follows_from.push(input_filter::CHECK.id);
    }
    for finding in findings.iter_mut().filter(|finding| finding.check.id == endpoint::CHECK.id && finding.outcome == Outcome::Fail) {
        let Subject::Container(name) = &finding.subject else { continue };
        let container = about::tasks(facts).into_iter().find(|container| container.name == *name);
        let Some(mode) = container.map(|container| Mode::of(facts, container)) else { continue };
        let causes: &[&'static str] = match mode {
            Mode::Nothing => &["XD-ECS-075"],
            Mode::Host => &["XD-ECS-001", "XD-ECS-004", "XD-ECS-054", "XD-ECS-051", "XD-ECS-053"],
            Mode::Bridge(_) | Mode::Awsvpc => {
                &["XD-ECS-001", "XD-ECS-004", "XD-ECS-054", "XD-ECS-050", "XD-ECS-052", "XD-ECS-053", "XD-ECS-058"]
            }
        };
        finding.follows_from = causes.iter().copied().filter(|cause| fails(cause, &finding.subject) || fails_by(cause, &mode)).collect();
    }
}
