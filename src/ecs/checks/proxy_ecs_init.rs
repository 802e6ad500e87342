//! XD-ECS-031: ecs-init goes past its proxy where it must.

use super::about::{Flavour, unread};
use super::no_proxy::{CREDENTIALS, IMDS, places};
use crate::ecs::environment::Environment;
use crate::ecs::facts::{HostFacts, ProxyOf, ProxyPlace};
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
    // systemd gives ecs-init its configuration's file as well; upstart doesn't (facts A.2).
    let files = facts.config.iter().filter(|_| facts.platform.systemd).flat_map(|file| file.systemd.0.clone());
    let before = Environment(files.collect());
    let set: Vec<&ProxyPlace> = facts.proxies.iter().filter(|place| matches!(place.whose, ProxyOf::EcsInit | ProxyOf::Everybody)).collect();
    places(
        &CHECK,
        &before,
        &set,
        ("ecs-init", &[IMDS, CREDENTIALS], Outcome::Fail),
        &if facts.platform.systemd {
            format!("sudo systemctl daemon-reload; {}", Flavour::of(facts).restart(facts))
        } else {
            Flavour::of(facts).restart(facts)
        },
    )
}
