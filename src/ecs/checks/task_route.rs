//! XD-ECS-058: a task's network has a way to the credentials.

use super::about::{Mode, nothing, of_container, tasks};
use super::rules::ENDPOINT;
use crate::ecs::facts::HostFacts;
use crate::ecs::parse::proc_net::route_to;
use crate::model::Readable;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-058",
    title: "a task's network has a way to the credentials",
    why: "an awsvpc task reaches the agent by a route of its own over the host's ecs-bridge; a container without any route reaches nothing",
    fix: "stop the task: the agent lays the route when it starts one",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-networking.html",
    article: &["B6"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in tasks(facts) {
        let mode = Mode::of(facts, container);
        if matches!(mode, Mode::Host | Mode::Nothing) {
            continue;
        }
        let routes = match &container.routes {
            Readable::Known(routes) => routes,
            Readable::Unknown(why) => {
                found.push(of_container(Finding::new(&CHECK, Outcome::CannotTell, why.clone()), container));
                continue;
            }
        };
        let finding = match route_to(routes, ENDPOINT) {
            None => Finding::new(&CHECK, Outcome::Fail, "its network has no route to 169.254.170.2"),
            Some(route) if route.rejects => Finding::new(&CHECK, Outcome::Fail, "a route of its network refuses 169.254.170.2"),
            Some(route) if mode == Mode::Awsvpc && route.mask.is_unspecified() => {
                let message =
                    format!("the task's network lacks the route to 169.254.170.2 over ecs-bridge: it goes out by {}", route.interface);
                Finding::new(&CHECK, Outcome::Fail, message)
            }
            Some(route) => Finding::new(&CHECK, Outcome::Pass, format!("by {}", route.interface)),
        };
        let finding =
            if finding.outcome == Outcome::Fail { finding.mend("stop the task, so that the agent lays its network anew") } else { finding };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(nothing(facts, &CHECK, "no task has a network of its own"));
    }
    found
}
