//! XD-ECS-032: Docker goes past its proxy to the instance.

use super::about::unread;
use super::no_proxy::{IMDS, Proxy, WANTED, judge};
use crate::ecs::facts::HostFacts;
use crate::ecs::facts::ProxyOf;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-032",
    title: "Docker goes past its proxy to the instance",
    why: "through a proxy Docker can't ask the instance for what its credential helper needs",
    fix: "set NO_PROXY in the same place",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/http_proxy_config.html",
    article: &["B4"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    if let Some(finding) = unread(facts, &CHECK, &["/etc/systemd/system/docker", "/etc/sysconfig/docker"]) {
        return vec![finding];
    }
    let mut found = Vec::new();
    for place in facts.proxies.iter().filter(|place| matches!(place.whose, ProxyOf::Docker)) {
        let line = place.sets.proxy().and_then(|(name, _)| place.sets.get(name)).map(|variable| variable.line);
        let finding = match judge(&place.sets, &[IMDS], false) {
            Proxy::None => continue,
            Proxy::Past => Finding::new(&CHECK, Outcome::Pass, format!("{}: what must goes past the proxy", place.path)),
            Proxy::Silent(proxy) => Finding::new(&CHECK, Outcome::Warn, format!("{} gives Docker {proxy} and no NO_PROXY", place.path)),
            Proxy::Through(proxy, missing) => {
                let message = format!("{} gives Docker {proxy}, and its NO_PROXY lacks {}", place.path, missing.join(" and "));
                Finding::new(&CHECK, Outcome::Warn, message)
            }
        };
        let finding = finding.at(&place.path, line);
        found.push(if finding.outcome == Outcome::Pass {
            finding
        } else {
            finding
                .mend(format!("NO_PROXY={WANTED} in {}", place.path))
                .mend("sudo systemctl daemon-reload && sudo systemctl restart docker")
        });
    }
    if found.is_empty() {
        found.push(Finding::new(&CHECK, Outcome::NotApplicable, "Docker has no proxy"));
    }
    found
}
