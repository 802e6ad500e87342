//! XD-ECS-076: tasks can't reach the instance's own role.

use super::about::{Mode, nothing, of_container, tasks};
use crate::ecs::facts::HostFacts;
use crate::model::Readable;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-076",
    title: "tasks can't reach the instance's own role",
    why: "a task that reaches the instance metadata service can use the instance's role, by mistake or on purpose",
    fix: "require tokens with a hop limit of 1, or drop the packets in DOCKER-USER; ECS_AWSVPC_BLOCK_IMDS for awsvpc",
    docs: "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-options.html",
    article: &["B"],
};

/// Looks: host mode shares the host's network and can't be kept from it so.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in tasks(facts) {
        let mode = Mode::of(facts, container);
        let finding = match (&mode, &container.reaches_imds) {
            (Mode::Host | Mode::Nothing, _) => continue,
            (_, Readable::Known(false)) => Finding::new(&CHECK, Outcome::Pass, "the instance metadata service doesn't answer it"),
            (_, Readable::Known(true)) => {
                let finding = Finding::new(
                    &CHECK,
                    Outcome::Warn,
                    "the instance metadata service answers it: the instance's role is within its reach",
                );
                match mode {
                    Mode::Awsvpc => finding.mend("ECS_AWSVPC_BLOCK_IMDS=true in /etc/ecs/ecs.config, and start the agent again"),
                    _ => finding
                        .mend("sudo iptables -I DOCKER-USER -i docker+ -d 169.254.169.254/32 -j DROP")
                        .mend("or: aws ec2 modify-instance-metadata-options --http-tokens required --http-put-response-hop-limit 1"),
                }
            }
            (_, Readable::Unknown(why)) => Finding::new(&CHECK, Outcome::CannotTell, why.clone()),
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(nothing(facts, &CHECK, "no task has a network of its own"));
    }
    found
}
