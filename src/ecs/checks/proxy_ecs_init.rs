//! XD-ECS-031: ecs-init goes past its proxy where it must.

use super::about::{Flavour, unread};
use super::no_proxy::{CREDENTIALS, IMDS, Proxy, WANTED, judge};
use crate::ecs::facts::HostFacts;
use crate::ecs::facts::ProxyOf;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-031",
    title: "ecs-init goes past its proxy where it must",
    why: "through a proxy ecs-init can't ask the instance for its credentials, or Docker on its socket",
    fix: "set NO_PROXY in the same drop-in",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/http_proxy_config.html",
    article: &["B4"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    if let Some(finding) = unread(
        facts,
        &CHECK,
        &["/etc/systemd/system/ecs", "/etc/systemd/system/amazon-ecs", "/etc/init/ecs.override", "/etc/network/proxy.env"],
    ) {
        return vec![finding];
    }
    let mut found = Vec::new();
    for place in facts.proxies.iter().filter(|place| matches!(place.whose, ProxyOf::EcsInit | ProxyOf::Everybody)) {
        let line = place.sets.proxy().and_then(|(name, _)| place.sets.get(name)).map(|variable| variable.line);
        let finding = match judge(&place.sets, &[IMDS, CREDENTIALS], false) {
            Proxy::None => continue,
            Proxy::Past => Finding::new(&CHECK, Outcome::Pass, format!("{}: what must goes past the proxy", place.path)),
            Proxy::Silent(proxy) => Finding::new(&CHECK, Outcome::Fail, format!("{} gives ecs-init {proxy} and no NO_PROXY", place.path)),
            Proxy::Through(proxy, missing) => {
                let message = format!("{} gives ecs-init {proxy}, and its NO_PROXY lacks {}", place.path, missing.join(" and "));
                Finding::new(&CHECK, Outcome::Fail, message)
            }
        };
        let finding = finding.at(&place.path, line);
        found.push(if finding.outcome == Outcome::Pass {
            finding
        } else {
            finding
                .mend(format!("NO_PROXY={WANTED} in {}", place.path))
                .mend(format!("sudo systemctl daemon-reload; {}", Flavour::of(facts).restart(facts)))
        });
    }
    if found.is_empty() {
        found.push(Finding::new(&CHECK, Outcome::NotApplicable, "ecs-init has no proxy"));
    }
    found
}
