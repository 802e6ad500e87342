//! All that the two accounts hold, to be compared.

use super::state::{Account, Policy, Role, State, User};
use serde_json::{Map, Value, json};

/// Reads a document that may be kept as text.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn named<'a>(things: impl Iterator<Item = (String, Value)> + 'a) -> Value {
    Value::Object(things.collect::<Map<_, _>>())
}

/// Gives everything but secrets, key material and what objects contain; the clock and the log of calls aren't held by an account.
pub(super) fn dump(state: &State) -> Value {
    let accounts = state.accounts.iter().map(|(id, account)| (id.clone(), of_account(state, account)));
    json!({"accounts": named(accounts), "buckets": buckets(state)})
}

fn of_account(state: &State, account: &Account) -> Value {
    let at = |place: &(String, String)| format!("{}/{}", place.0, place.1);
    let keys = account.keys.iter().map(|(place, key)| {
        let shown = json!({"arn": key.arn, "awsManaged": key.aws_managed, "description": key.description,
            "state": format!("{:?}", key.state(state.clock)), "primary": key.primary, "policy": key.policy.shown(state), "tags": key.tags,
            "rotation": key.rotation, "created": key.created});
        (at(place), shown)
    });
    let rules = account.rules.iter().map(|(place, rule)| {
        let shown = json!({"pattern": rule.pattern.as_deref().map(parsed), "schedule": rule.schedule, "description": rule.description,
            "role": rule.role, "disabled": rule.disabled, "tags": rule.tags, "targets": rule.targets});
        (at(place), shown)
    });
    let pipelines = account.pipelines.iter().map(|(place, pipeline)| {
        (at(place), json!({"versions": pipeline.versions, "tags": pipeline.tags, "created": pipeline.created, "updated": pipeline.updated}))
    });
    let executions = account.executions.iter().map(|run| {
        json!({"executionId": run.id, "pipeline": format!("{}/{}", run.region, run.pipeline), "status": run.status, "trigger": run.trigger,
            "started": run.started})
    });
    json!({
        "users": named(account.users.iter().map(|(name, user)| (name.clone(), of_user(user)))),
        "roles": named(account.roles.iter().map(|(name, role)| (name.clone(), of_role(state, role)))),
        "policies": named(account.policies.iter().map(|(arn, policy)| (arn.clone(), of_policy(policy)))),
        "keys": named(keys),
        "aliases": named(account.aliases.iter().map(|(place, alias)| (at(place), json!(alias.key)))),
        "rules": named(rules),
        "pipelines": named(pipelines),
        "executions": executions.collect::<Vec<_>>(),
    })
}

fn of_user(user: &User) -> Value {
    let inline = named(user.inline.iter().map(|(name, text)| (name.clone(), parsed(text))));
    json!({"arn": user.arn, "uniqueId": user.id, "tags": user.tags, "inline": inline, "attached": user.attached, "boundary": user.boundary})
}

fn of_role(state: &State, role: &Role) -> Value {
    let inline = named(role.inline.iter().map(|(name, text)| (name.clone(), parsed(text))));
    json!({"arn": role.arn, "uniqueId": role.id, "description": role.description, "longestSession": role.longest_session,
        "trust": role.trust.shown(state), "tags": role.tags, "inline": inline, "attached": role.attached, "boundary": role.boundary,
        "created": role.created})
}

fn of_policy(policy: &Policy) -> Value {
    let versions = policy.versions.iter().map(|version| (format!("v{}", version.number), parsed(&version.document)));
    json!({"uniqueId": policy.id, "description": policy.description, "tags": policy.tags, "versions": named(versions),
        "default": format!("v{}", policy.default), "created": policy.created, "updated": policy.updated})
}

fn buckets(state: &State) -> Value {
    named(state.buckets.iter().map(|(name, bucket)| {
        let objects = bucket.objects.iter().map(|(key, versions)| {
            let shown = versions.iter().map(|version| {
                let content = version.content.as_ref();
                json!({"version": version.id, "owner": version.owner, "size": content.map(|content| content.size),
                    "key": content.and_then(|content| content.sealed.key.clone()), "modified": version.modified})
            });
            (key.clone(), Value::Array(shown.collect()))
        });
        let blocked = bucket.public_access_block.map(|block| {
            json!({"blockAcls": block.block_acls, "ignoreAcls": block.ignore_acls, "blockPolicy": block.block_policy,
                "restrictBuckets": block.restrict_buckets})
        });
        let encryption = &bucket.encryption;
        let shown = json!({
            "owner": bucket.owner, "region": bucket.region, "tags": bucket.tags,
            "policy": bucket.policy.as_ref().map(|policy| policy.shown(state)),
            "versioning": format!("{:?}", bucket.versioning),
            "encryption": {"algorithm": encryption.algorithm, "key": encryption.key, "bucketKey": encryption.bucket_key},
            "publicAccessBlock": blocked,
            "ownership": bucket.ownership.map(|ownership| format!("{ownership:?}")),
            "notification": bucket.notification.as_ref().map(|xml| String::from_utf8_lossy(xml).into_owned()),
            "objects": named(objects),
            "created": bucket.created,
        });
        (name.clone(), shown)
    }))
}
