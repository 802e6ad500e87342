//! XD-ECS-023: the task role allows what the application needs.

use super::trust::task_roles;
use crate::ecs::facts::{AwsFacts, HostFacts, Need, RoleFacts};
use crate::model::{Check, Finding, Outcome, Readable, Subject};
use crate::policy::{self, CallerKind, Decided, KeysOfCall};
use serde_json::{Map, json};
use std::collections::BTreeSet;

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-023",
    title: "the task role allows what the application needs",
    why: "everything on the host may be right, and the role still lack the permission",
    fix: "add the statement to one of the role's policies",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B"],
};

/// Looks at what `--needs` says: decided on the role's own policies and its boundary, with IAM's simulator as second opinion.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let Some(aws) = facts.aws.known() else {
        return vec![Finding::new(&CHECK, Outcome::CannotTell, facts.aws.unknown().unwrap_or_default())];
    };
    let mut found = Vec::new();
    for arn in task_roles(aws) {
        let role = match aws.roles.get(&arn) {
            Some(Readable::Known(Some(role))) => role,
            Some(Readable::Unknown(why)) if !aws.needs.is_empty() => {
                found.push(Finding::new(&CHECK, Outcome::CannotTell, why.clone()).about(Subject::Role(arn)));
                continue;
            }
            _ => continue,
        };
        found.extend(aws.needs.iter().map(|need| judge(aws, &arn, role, need).about(Subject::Role(arn.clone()))));
    }
    if found.is_empty() {
        found.push(Finding::new(&CHECK, Outcome::NotApplicable, "nothing was said of what the application needs (--needs)"));
    }
    found
}

fn judge(aws: &AwsFacts, arn: &str, role: &RoleFacts, need: &Need) -> Finding {
    let Need { action, resource, second } = need;
    let call = format!("{action} on {resource}");
    let (policies, boundary) = match (&role.policies, &role.boundary) {
        (Readable::Known(policies), Readable::Known(boundary)) => (policies, boundary),
        (Readable::Unknown(why), _) | (_, Readable::Unknown(why)) => {
            return Finding::new(&CHECK, Outcome::CannotTell, format!("{call}: {why}"));
        }
    };
    let name = arn.rsplit('/').next().unwrap_or_default();
    let owner = resource.split(':').nth(4).filter(|account| !account.is_empty()).unwrap_or(&aws.account);
    let mut context = Map::new();
    let given = [("aws:RequestedRegion", json!(aws.region)), ("aws:SecureTransport", json!(true))];
    context.extend(given.map(|(key, value)| (key.to_owned(), value)));
    // What follows from the principal is added by the evaluator.
    const DERIVED: [&str; 4] = ["aws:principalaccount", "aws:principalarn", "aws:principaltype", "aws:resourceaccount"];
    let mut asked: BTreeSet<String> = policies.iter().chain(boundary.iter()).flat_map(policy::condition_keys).collect();
    asked.retain(|key| !DERIVED.contains(&key.as_str()));
    let call_keys = KeysOfCall { caller: CallerKind::ServiceSession, action, by_s3: false, of_pipeline: false };
    let unknown = call_keys.complete(&asked, &mut context);
    let mut request = json!({
        "principal": format!("arn:{}:sts::{}:assumed-role/{name}/task", aws.partition, aws.account),
        "principalRole": arn,
        "action": action,
        "resource": resource,
        "resourceAccount": owner,
        "derive": true,
        "context": context,
        "unknownContext": unknown,
        "identityPolicies": policies,
    });
    if let Some(boundary) = boundary {
        request["permissionBoundaries"] = json!([boundary]);
    }
    let decision = policy::decide(&request);
    let finding = match decision.decided {
        Decided::Allowed if owner != aws.account => {
            let message = format!("the role allows {call}; whether account {owner} does, its own policies say, which can't be read here");
            Finding::new(&CHECK, Outcome::CannotTell, message)
        }
        Decided::Allowed => Finding::new(&CHECK, Outcome::Pass, format!("it allows {call}")),
        Decided::Unknown => {
            Finding::new(&CHECK, Outcome::CannotTell, format!("whether it allows {call} hangs on {}", decision.unknown.join(", ")))
        }
        Decided::Error => Finding::new(&CHECK, Outcome::CannotTell, format!("{call} can't be judged: {}", decision.errors.join("; "))),
        Decided::ExplicitlyDenied => {
            let by = decision.because.iter().find(|reason| reason.deny).map_or_else(String::new, |reason| {
                format!(
                    " (statement {} of its {} policy)",
                    reason.sid.clone().unwrap_or_else(|| (reason.index + 1).to_string()),
                    reason.policy
                )
            });
            Finding::new(&CHECK, Outcome::Fail, format!("it denies {call}{by}")).mend("take the action out of that statement")
        }
        Decided::ImplicitlyDenied => {
            let mut finding = Finding::new(&CHECK, Outcome::Fail, format!("it doesn't allow {call}"));
            for missing in &decision.missing {
                finding = finding.seen(missing.text.clone());
                if let Some(statement) = &missing.statement {
                    finding = finding.mend(format!("add: {statement}"));
                }
            }
            finding
        }
    };
    match second.get(arn) {
        Some(Readable::Known(allowed)) => {
            let word = if *allowed { "allows" } else { "denies" };
            let agrees = *allowed == (finding.outcome == Outcome::Pass);
            let say = if agrees { "agrees" } else { "disagrees (an organisation's policy, or a key that it wasn't told)" };
            finding.seen(format!("IAM's simulator {word} it: it {say}"))
        }
        Some(Readable::Unknown(why)) => finding.seen(format!("IAM's simulator could not be asked: {why}")),
        None => finding,
    }
}
