//! XD-ECS-030: the agent asks for credentials past its proxy.

use super::about::{CONFIG, Flavour, unread};
use super::no_proxy::{CREDENTIALS, IMDS, Proxy, WANTED, judge};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-030",
    title: "the agent asks for credentials past its proxy",
    why: "through a proxy the agent can't get the instance's own credentials, and can't register",
    fix: "set NO_PROXY beside HTTP_PROXY",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/http_proxy_config.html",
    article: &["B4"],
};

/// Looks: at what the agent got, and at what its file gives it at the next start.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    if let Some(finding) = unread(facts, &CHECK, CONFIG) {
        return vec![finding];
    }
    let flavour = Flavour::of(facts);
    let given = crate::ecs::host::agent::given(facts).map(|environment| ("the running agent".to_owned(), None, environment));
    let files = facts.config.iter().rev().filter_map(|file| {
        let read = if flavour == Flavour::ByHand { file.docker.as_ref().ok() } else { Some(&file.ecs_init) };
        read.map(|environment| (file.path.clone(), Some(file.path.clone()), environment))
    });
    let mut worst: Option<Finding> = None;
    for (whose, path, environment) in given.into_iter().chain(files) {
        let line = environment.http_proxy().and_then(|(name, _)| environment.get(name)).map(|variable| variable.line);
        let finding = match judge(environment, &[IMDS, CREDENTIALS], true) {
            Proxy::None => continue,
            Proxy::Past => Finding::new(&CHECK, Outcome::Pass, format!("{whose}: everything that must goes past the proxy")),
            // Newer agents set it themselves where it is empty (facts A.4).
            Proxy::Silent(proxy) => {
                Finding::new(&CHECK, Outcome::Warn, format!("{whose} has {proxy} and no NO_PROXY: only newer agents set one themselves"))
            }
            Proxy::Through(proxy, missing) => {
                let outcome = if missing.iter().any(|entry| entry.starts_with("169")) { Outcome::Fail } else { Outcome::Warn };
                Finding::new(&CHECK, outcome, format!("{whose} has {proxy}, and its NO_PROXY lacks {}", missing.join(" and ")))
            }
        };
        let finding = match path {
            Some(path) => finding.at(path, line),
            None => finding,
        };
        if worst.as_ref().is_none_or(|worst| worst.outcome < finding.outcome) {
            worst = Some(finding);
        }
    }
    let finding = worst.unwrap_or_else(|| Finding::new(&CHECK, Outcome::NotApplicable, "the agent has no proxy"));
    if finding.outcome > Outcome::NotApplicable {
        return vec![finding.mend(format!("NO_PROXY={WANTED} in /etc/ecs/ecs.config")).mend(flavour.restart(facts))];
    }
    vec![finding]
}
