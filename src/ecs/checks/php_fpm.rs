//! XD-ECS-061: php-fpm hands the variable on.

use super::about::{nothing, of_container, tasks};
use crate::ecs::environment::RELATIVE_URI;
use crate::ecs::facts::{Container, HostFacts};
use crate::ecs::parse::settings::Pool;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-061",
    title: "php-fpm hands the variable on",
    why: "php-fpm clears the environment of its workers unless it is told not to (clear_env), so that PHP knows nothing of the task role",
    fix: "hand the variable on in the pool's file",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshoot-task-iam-roles.html",
    article: &["B7"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    let given = tasks(facts).into_iter().filter(|container| container.environment.has(RELATIVE_URI));
    for container in given {
        if !runs(container) {
            continue;
        }
        let pools = pools(container);
        let clearing = clearing(container);
        let finding = match (clearing.first(), pools.is_empty()) {
            _ if container.php.unknown().is_some() => {
                let why = container.php.unknown().unwrap_or_default();
                Finding::new(&CHECK, Outcome::CannotTell, format!("php-fpm runs, and its pools can't be told: {why}"))
            }
            (_, true) => Finding::new(
                &CHECK,
                Outcome::CannotTell,
                "php-fpm runs, and no file of its pools was found: by default it clears the environment",
            ),
            (None, false) => Finding::new(&CHECK, Outcome::Pass, "its pools hand the variable on"),
            (Some((path, pool)), false) => {
                Finding::new(&CHECK, Outcome::Fail, format!("pool {} of php-fpm clears the environment of its workers", pool.name))
                    .at(*path, None)
                    .seen(format!("{path} in the container has neither `clear_env = no` nor the variable"))
                    .mend(format!("in {path}: env[{RELATIVE_URI}] = ${RELATIVE_URI}"))
                    .mend("or, if every variable may be handed on: clear_env = no")
            }
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(nothing(facts, &CHECK, "no php-fpm runs in a task"));
    }
    found
}

fn pools(container: &Container) -> Vec<(&str, &Pool)> {
    container.php.known().into_iter().flatten().flat_map(|(path, pools)| pools.iter().map(move |pool| (path.as_str(), pool))).collect()
}

/// Lists the pools that keep the variable from their workers. Several files may speak of one pool: what one of them says counts.
pub fn clearing(container: &Container) -> Vec<(&str, &Pool)> {
    let pools = pools(container);
    let passes = |pool: &Pool| !pool.clears || pool.passes.iter().any(|passed| passed == RELATIVE_URI);
    let hands_on = |name: &str| pools.iter().any(|(_, pool)| pool.name == name && passes(pool));
    pools.iter().copied().filter(|(_, pool)| !hands_on(&pool.name)).collect()
}

/// Says whether php-fpm runs in a container.
pub fn runs(container: &Container) -> bool {
    container.processes.known().is_some_and(|processes| processes.iter().any(|process| process.name.starts_with("php-fpm")))
}
