//! What AWS says of the tasks of a host: their definitions with their overrides, their roles, the instance's attributes.
//! Whatever may not be read is told, and never stops the rest (facts/ecs.md E).

use super::facts::{AwsFacts, Need, RoleFacts, TaskFacts};
use crate::aws::{Account, role};
use crate::model::Readable;
use aws_sdk_iam::types::PolicyEvaluationDecisionType;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use std::collections::{BTreeMap, BTreeSet};

/// So many tasks are described at once.
const TASKS: usize = 100;
/// How many questions are asked IAM's simulator at once, which is throttled early.
const AT_ONCE: usize = 4;

/// What to ask about.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The tasks, by their ARNs.
    pub tasks: BTreeSet<String>,
    /// The cluster, where the tasks' ARNs don't say it.
    pub cluster: Option<String>,
    /// The container instance, by its ARN.
    pub instance: Option<String>,
    /// What the applications need: action and resource.
    pub needs: Vec<(String, String)>,
}

/// The cluster of a task's ARN: only the long ones have it (`task/CLUSTER/ID`).
fn cluster_of(task: &str) -> Option<&str> {
    let mut parts = task.split(':').nth(5)?.split('/');
    let (_, cluster, id) = (parts.next()?, parts.next()?, parts.next());
    id.map(|_| cluster)
}

/// Asks ECS and IAM.
pub async fn gather(account: &Account, asked: &Asked) -> AwsFacts {
    let region = asked.tasks.first().or(asked.instance.as_ref()).and_then(|arn| arn.split(':').nth(3));
    let region = region.unwrap_or(&account.region).to_owned();
    let (tasks, attributes) = tokio::join!(tasks(account, &region, asked), attributes(account, &region, asked));
    let roles: BTreeSet<String> = tasks.values().filter_map(|task| task.known()?.task_role.clone()).collect();
    let roles: BTreeMap<String, Readable<Option<RoleFacts>>> =
        join_all(roles.into_iter().map(|arn| async move { (arn.clone(), read(account, &arn).await) })).await.into_iter().collect();
    let there: Vec<String> =
        roles.iter().filter(|(_, role)| matches!(role, Readable::Known(Some(_)))).map(|(arn, _)| arn.clone()).collect();
    let needs = asked.needs.iter().map(|(action, resource)| opinion(account, &region, &there, action, resource));
    let needs = stream::iter(needs).buffered(AT_ONCE).collect().await;
    AwsFacts { account: account.id.clone(), region, partition: account.partition.0.clone(), tasks, roles, attributes, needs }
}

async fn tasks(account: &Account, region: &str, asked: &Asked) -> BTreeMap<String, Readable<TaskFacts>> {
    let mut clusters: BTreeMap<Option<&str>, Vec<&String>> = BTreeMap::new();
    for task in &asked.tasks {
        clusters.entry(cluster_of(task).or(asked.cluster.as_deref())).or_default().push(task);
    }
    let mut found = BTreeMap::new();
    for (cluster, arns) in clusters {
        for some in arns.chunks(TASKS) {
            let request = account.ecs(region).describe_tasks().set_cluster(cluster.map(str::to_owned));
            let request = request.set_tasks(Some(some.iter().map(|arn| (*arn).clone()).collect())).send();
            match account.call("ecs:DescribeTasks", cluster.unwrap_or("default"), request).await {
                Err(error) => found.extend(some.iter().map(|arn| ((*arn).clone(), Readable::Unknown(error.told())))),
                Ok(answer) => {
                    for task in answer.tasks() {
                        let overrides = task.overrides();
                        let facts = TaskFacts {
                            definition: task.task_definition_arn().unwrap_or_default().to_owned(),
                            task_role: overrides.and_then(|overrides| given(overrides.task_role_arn())),
                            overridden: overrides.is_some_and(|overrides| given(overrides.task_role_arn()).is_some()),
                            execution_role: overrides.and_then(|overrides| given(overrides.execution_role_arn())),
                        };
                        found.insert(task.task_arn().unwrap_or_default().to_owned(), Readable::Known(facts));
                    }
                    for failure in answer.failures() {
                        let why = format!("ECS doesn't know it: {}", failure.reason().unwrap_or("no reason given"));
                        found.insert(failure.arn().unwrap_or_default().to_owned(), Readable::Unknown(why));
                    }
                }
            }
        }
    }
    let definitions: BTreeSet<String> = found.values().filter_map(|task| task.known().map(|task| task.definition.clone())).collect();
    let read = definitions.into_iter().map(|arn| async move {
        let request = account.ecs(region).describe_task_definition().task_definition(&arn).send();
        let answer = account.call("ecs:DescribeTaskDefinition", &arn, request).await;
        (arn, answer.map_err(|error| error.told()))
    });
    let definitions: BTreeMap<_, _> = join_all(read).await.into_iter().collect();
    for task in found.values_mut() {
        let Readable::Known(facts) = &*task else { continue };
        *task = match definitions.get(&facts.definition) {
            Some(Ok(answer)) => {
                let definition = answer.task_definition();
                let role = definition.and_then(|definition| given(definition.task_role_arn()));
                let execution = definition.and_then(|definition| given(definition.execution_role_arn()));
                Readable::Known(TaskFacts {
                    definition: facts.definition.rsplit('/').next().unwrap_or_default().to_owned(),
                    // A task's override wins over its definition (facts E).
                    task_role: facts.task_role.clone().or(role.map(|role| full(account, &role))),
                    overridden: facts.overridden,
                    execution_role: facts.execution_role.clone().or(execution.map(|role| full(account, &role))),
                })
            }
            Some(Err(why)) => Readable::Unknown(why.clone()),
            None => Readable::Unknown("its task definition isn't known".to_owned()),
        };
    }
    found
}

/// No role may also be an empty text.
fn given(arn: Option<&str>) -> Option<String> {
    arn.filter(|arn| !arn.is_empty()).map(str::to_owned)
}

/// A definition may name its role shortly (facts E).
fn full(account: &Account, role: &str) -> String {
    if role.starts_with("arn:") { role.to_owned() } else { account.iam_arn(&format!("role/{role}")) }
}

async fn attributes(account: &Account, region: &str, asked: &Asked) -> Readable<Vec<String>> {
    let Some(instance) = &asked.instance else {
        return Readable::Unknown("the agent doesn't say which container instance it is".to_owned());
    };
    let cluster = cluster_of(instance).map(str::to_owned).or(asked.cluster.clone());
    let request = account.ecs(region).describe_container_instances().set_cluster(cluster).container_instances(instance).send();
    match account.call("ecs:DescribeContainerInstances", instance, request).await {
        Ok(answer) => match answer.container_instances().first() {
            Some(found) => Readable::Known(found.attributes().iter().map(|attribute| attribute.name().to_owned()).collect()),
            None => Readable::Unknown("ECS doesn't know this container instance".to_owned()),
        },
        Err(error) => Readable::Unknown(error.told()),
    }
}

async fn read(account: &Account, arn: &str) -> Readable<Option<RoleFacts>> {
    let owner = arn.split(':').nth(4).unwrap_or_default();
    if owner != account.id {
        return Readable::Unknown(format!("it is of account {owner}, and the profile is of {}", account.id));
    }
    let name = arn.rsplit('/').next().unwrap_or_default();
    let (found, policies) = tokio::join!(role::role(account, name), role::policies(account, name));
    match found {
        Err(error) => Readable::Unknown(error.told()),
        // Another role of the same name, with another path, isn't it.
        Ok(found) => match found.filter(|found| found.arn == arn) {
            None => Readable::Known(None),
            Some(found) => {
                let boundary = match &found.boundary {
                    None => Readable::Known(None),
                    Some(arn) => match role::policy(account, arn).await {
                        Ok(Some(document)) => Readable::Known(Some(document)),
                        Ok(None) => Readable::Unknown(format!("its boundary {arn} is gone")),
                        Err(error) => Readable::Unknown(error.told()),
                    },
                };
                let policies = policies.map_or_else(|error| Readable::Unknown(error.told()), Readable::Known);
                Readable::Known(Some(RoleFacts { trust: found.trust, policies, boundary }))
            }
        },
    }
}

/// Asks IAM's own simulator: a second opinion, which knows neither a resource's policy nor every key (facts E).
async fn opinion(account: &Account, region: &str, roles: &[String], action: &str, resource: &str) -> Need {
    let asked = roles.iter().map(|role| async move {
        let entry = aws_sdk_iam::types::ContextEntry::builder()
            .context_key_name("aws:RequestedRegion")
            .context_key_type(aws_sdk_iam::types::ContextKeyTypeEnum::String)
            .context_key_values(region)
            .build();
        let request = account.iam().simulate_principal_policy().policy_source_arn(role).action_names(action).resource_arns(resource);
        let answer = account.call("iam:SimulatePrincipalPolicy", role, request.context_entries(entry).send()).await;
        let word = match answer {
            Ok(answer) => match answer.evaluation_results().first().map(|result| result.eval_decision()) {
                Some(PolicyEvaluationDecisionType::Allowed) => Readable::Known(true),
                Some(_) => Readable::Known(false),
                None => Readable::Unknown("IAM's simulator gave no answer".to_owned()),
            },
            Err(error) => Readable::Unknown(error.told()),
        };
        (role.clone(), word)
    });
    Need { action: action.to_owned(), resource: resource.to_owned(), second: join_all(asked).await.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::cluster_of;

    #[test]
    fn only_long_arns_name_their_cluster() {
        assert_eq!(cluster_of("arn:aws:ecs:eu-west-1:1:task/web/0123"), Some("web"));
        assert_eq!(cluster_of("arn:aws:ecs:eu-west-1:1:task/0123"), None);
        assert_eq!(cluster_of("arn:aws:ecs:eu-west-1:1:container-instance/web/0123"), Some("web"));
    }
}
