//! XD-ECS-020: the task role trusts ECS tasks.

use crate::ecs::facts::{AwsFacts, HostFacts};
use crate::model::{Check, Finding, Outcome, Readable, Subject};
use crate::policy::{self, CallerKind, Decided, Decision, KeysOfCall};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The service that starts tasks.
pub const ECS_TASKS: &str = "ecs-tasks.amazonaws.com";

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-020",
    title: "the task role trusts ECS tasks",
    why: "ECS can't assume a role that doesn't trust ecs-tasks.amazonaws.com: the next task doesn't start, and a running one loses its role when its credentials run out",
    fix: "let ecs-tasks.amazonaws.com assume it",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B3"],
};

/// Looks: the policy is decided, and not searched for words.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let aws = match &facts.aws {
        Readable::Known(aws) => aws,
        Readable::Unknown(why) => return vec![Finding::new(&CHECK, Outcome::CannotTell, why.clone())],
    };
    let mut found = Vec::new();
    for arn in task_roles(aws) {
        let finding = match aws.roles.get(&arn) {
            Some(Readable::Known(Some(role))) => judge(aws, &arn, &role.trust),
            Some(Readable::Known(None)) | None => continue,
            Some(Readable::Unknown(why)) => Finding::new(&CHECK, Outcome::CannotTell, why.clone()),
        };
        found.push(finding.about(Subject::Role(arn)));
    }
    if found.is_empty() {
        found.push(Finding::new(&CHECK, Outcome::NotApplicable, "no task here has a role"));
    }
    found
}

/// Lists the task roles of the tasks here.
pub fn task_roles(aws: &AwsFacts) -> BTreeSet<String> {
    aws.tasks.values().filter_map(|task| task.known()?.task_role.clone()).collect()
}

fn decided(aws: &AwsFacts, arn: &str, trust: &Value, source: &str) -> Decision {
    let AwsFacts { account, region, partition, .. } = aws;
    let mut context = Map::new();
    for (key, value) in [
        ("aws:SourceAccount", account.clone()),
        ("aws:SourceArn", format!("arn:{partition}:ecs:{region}:{account}:{source}")),
        ("aws:PrincipalServiceName", ECS_TASKS.to_owned()),
        ("aws:ResourceAccount", account.clone()),
    ] {
        context.insert(key.to_owned(), json!(value));
    }
    let keys = KeysOfCall { caller: CallerKind::Service, action: "sts:AssumeRole", by_s3: false, of_pipeline: false };
    let unknown = keys.complete(&policy::condition_keys(trust), &mut context);
    policy::decide(&json!({
        "principal": ECS_TASKS,
        "action": "sts:AssumeRole",
        "resource": arn,
        "resourceAccount": account,
        "context": context,
        "unknownContext": unknown,
        "resourcePolicy": trust,
    }))
}

/// Which resource's ARN ECS gives isn't known, only that no single cluster's or task's can be told (facts/ecs.md E): both must agree.
fn judge(aws: &AwsFacts, arn: &str, trust: &Value) -> Finding {
    let task = aws.tasks.keys().next().and_then(|arn| arn.splitn(6, ':').nth(5)).unwrap_or("task/x");
    let (one, other) = (decided(aws, arn, trust, task), decided(aws, arn, trust, "*"));
    let AwsFacts { account, region, partition, .. } = aws;
    let wanted = json!({
        "Effect": "Allow",
        "Principal": {"Service": ECS_TASKS},
        "Action": "sts:AssumeRole",
        "Condition": {
            "ArnLike": {"aws:SourceArn": format!("arn:{partition}:ecs:{region}:{account}:*")},
            "StringEquals": {"aws:SourceAccount": account},
        },
    });
    match (one.decided, other.decided) {
        (Decided::Allowed, Decided::Allowed) => Finding::new(&CHECK, Outcome::Pass, "ecs-tasks.amazonaws.com may assume it"),
        (Decided::Error, _) | (_, Decided::Error) => {
            Finding::new(&CHECK, Outcome::CannotTell, format!("its trust policy can't be read: {}", one.errors.join("; ")))
        }
        (Decided::Unknown, _) | (_, Decided::Unknown) => {
            let keys: BTreeSet<String> = one.unknown.into_iter().chain(other.unknown).collect();
            let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
            Finding::new(&CHECK, Outcome::CannotTell, format!("whether its trust policy lets ECS in hangs on {keys}, which isn't known"))
        }
        (Decided::Allowed, _) | (_, Decided::Allowed) => {
            let message = "whether its trust policy lets ECS in hangs on the ARN that ECS gives, which isn't documented: use a wildcard";
            Finding::new(&CHECK, Outcome::CannotTell, message)
                .mend(format!("\"ArnLike\": {{\"aws:SourceArn\": \"arn:{partition}:ecs:{region}:{account}:*\"}}"))
        }
        (denied, _) => {
            let denies = one.because.iter().find(|reason| reason.deny);
            let mut finding = Finding::new(
                &CHECK,
                Outcome::Fail,
                match denies {
                    Some(reason) => format!(
                        "statement {} of its trust policy denies ecs-tasks.amazonaws.com",
                        reason.sid.clone().unwrap_or_else(|| (reason.index + 1).to_string())
                    ),
                    None => "its trust policy doesn't let ecs-tasks.amazonaws.com assume it".to_owned(),
                },
            );
            for hint in hints(trust) {
                finding = finding.seen(hint);
            }
            if denied == Decided::ImplicitlyDenied {
                finding = finding.mend(format!("add to the trust policy of {arn}: {wanted}"));
            }
            finding
        }
    }
}

/// Says what somebody may have meant (facts/ecs.md E).
fn hints(trust: &Value) -> Vec<String> {
    let meant = [
        ("ec2.amazonaws.com", "it trusts ec2.amazonaws.com: that is an instance's role"),
        ("ecs.amazonaws.com", "it trusts ecs.amazonaws.com: that is ECS's own service, not its tasks"),
        ("ssm.amazonaws.com", "it trusts ssm.amazonaws.com: that is the role of an ECS Anywhere host"),
        ("lambda.amazonaws.com", "it trusts lambda.amazonaws.com: that is a function's role"),
    ];
    let mut found = Vec::new();
    for statement in policy::statements(trust) {
        let services = policy::names_in(statement["Principal"].get("Service"));
        found.extend(meant.iter().filter(|(service, _)| services.contains(service)).map(|(_, hint)| (*hint).to_owned()));
        if !policy::names_in(statement["Principal"].get("AWS")).is_empty() && services.is_empty() {
            found.push("a statement trusts a user, role or account: ECS is none of them".to_owned());
        }
        for operator in statement["Condition"].as_object().into_iter().flat_map(|condition| condition.values()) {
            for key in operator.as_object().into_iter().flat_map(|keys| keys.keys()) {
                match key.to_ascii_lowercase().as_str() {
                    "sts:externalid" => found.push("a condition asks for an external id, which ECS never gives".to_owned()),
                    "aws:multifactorauthpresent" => found.push("a condition asks for MFA, which ECS never gives".to_owned()),
                    "aws:sourcearn" => {
                        found.push("a condition on aws:SourceArn: one cluster or task can't be told, only a wildcard".to_owned())
                    }
                    "aws:sourceaccount" => found.push("a condition on aws:SourceAccount: it must be this account".to_owned()),
                    _ => {}
                }
            }
        }
    }
    found.dedup();
    found
}
