//! XD-ECS-033: containers ask for credentials past their proxy.

use super::about::{nothing, of_container, tasks};
use super::no_proxy::{CREDENTIALS, Proxy, judge};
use crate::ecs::facts::HostFacts;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-033",
    title: "containers ask for credentials past their proxy",
    why: "an SDK that honours HTTP_PROXY sends its question for credentials to the proxy, which can't answer it",
    fix: "add 169.254.170.2 to the container's NO_PROXY in the task definition",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/http_proxy_config.html",
    article: &["B4"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in tasks(facts) {
        let message = match judge(&container.environment, &[CREDENTIALS], false) {
            Proxy::None => continue,
            Proxy::Past => {
                found.push(of_container(Finding::new(&CHECK, Outcome::Pass, "169.254.170.2 goes past its proxy"), container));
                continue;
            }
            Proxy::Silent(proxy) => format!("it has {proxy} and no NO_PROXY"),
            Proxy::Through(proxy, _) => format!("it has {proxy}, and its NO_PROXY lacks 169.254.170.2"),
        };
        // botocore and both JavaScript SDKs don't care; .NET and curl do (facts A.4).
        let message = format!("{message}: .NET's SDK and curl then ask the proxy for credentials; Python's and JavaScript's don't");
        found.push(of_container(
            Finding::new(&CHECK, Outcome::Warn, message)
                .mend("NO_PROXY=169.254.170.2,169.254.169.254 in the task definition's environment"),
            container,
        ));
    }
    if found.is_empty() {
        found.push(nothing(facts, &CHECK, "no container of a task has a proxy"));
    }
    found
}
