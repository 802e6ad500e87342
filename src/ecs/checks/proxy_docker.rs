//! XD-ECS-032: Docker goes past its proxy to the instance.

use super::about::unread;
use super::no_proxy::{IMDS, places};
use crate::ecs::environment::Environment;
use crate::ecs::facts::{HostFacts, ProxyOf, ProxyPlace};
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
    let set: Vec<&ProxyPlace> = facts.proxies.iter().filter(|place| matches!(place.whose, ProxyOf::Docker)).collect();
    places(
        &CHECK,
        &Environment::default(),
        &set,
        ("Docker", &[IMDS], Outcome::Warn),
        if facts.platform.systemd {
            "sudo systemctl daemon-reload, and `sudo systemctl restart docker` when its containers may end"
        } else {
            "sudo service docker restart, when its containers may end"
        },
    )
}
