//! XD-ECS-052: the kernel routes to 127.0.0.1 from a bridge.

use super::about::{Flavour, modes};
use crate::ecs::facts::HostFacts;
use crate::model::Readable;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-052",
    title: "the kernel routes to 127.0.0.1 from a bridge",
    why: "a rule that leads a container's packet to 127.0.0.1 is of no use where the kernel drops such packets",
    fix: "set net.ipv4.conf.all.route_localnet=1",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B6"],
};

/// Looks. Host mode doesn't need it (facts/ecs.md A.3); `all` or the interface's own value is enough (facts B.3).
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let flavour = Flavour::of(facts);
    if flavour == Flavour::Absent {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "no agent is here")];
    }
    let values = match &facts.network.route_localnet {
        Readable::Known(values) => values,
        Readable::Unknown(why) => return vec![Finding::new(&CHECK, Outcome::CannotTell, why.clone())],
    };
    let on = |name: &str| values.get(name).copied().unwrap_or(false);
    let modes = modes(facts);
    let used: Vec<&str> = modes.iter().filter_map(|(mode, _)| mode.interface()).collect();
    let off: Vec<&str> = used.iter().copied().filter(|interface| !on("all") && !on(interface)).collect();
    let mend = |finding: Finding| {
        let finding = finding.mend("sudo sysctl -w net.ipv4.conf.all.route_localnet=1");
        if flavour.brings_rules() { finding.mend(flavour.restart(facts)) } else { finding }
    };
    let finding = match (off.as_slice(), used.as_slice()) {
        ([], []) if !on("all") && !on("docker0") => {
            mend(Finding::new(&CHECK, Outcome::Warn, "route_localnet is 0; no task here needs it now"))
        }
        ([], _) => Finding::new(
            &CHECK,
            Outcome::Pass,
            if on("all") { "net.ipv4.conf.all.route_localnet is 1" } else { "the bridge's own route_localnet is 1" },
        ),
        (off, _) => {
            let message = format!("route_localnet is 0 for all and for {}: the kernel drops what is led to 127.0.0.1", off.join(" and "));
            let finding = Finding::new(&CHECK, Outcome::Fail, message);
            mend(if on("default") { finding.seen("only `default` is 1, which counts for interfaces that are made later") } else { finding })
        }
    };
    vec![finding]
}
