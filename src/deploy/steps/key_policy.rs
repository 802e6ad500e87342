//! The statements of the key policy (A1.2, A1.3, A3), as the console writes them (facts/codepipeline.md B.4).

use super::{Context, least};
use crate::deploy::blueprint::{Blueprint, Store};
use crate::error::{Error, Result};
use crate::model::{Policies, Readable, account_of};
use crate::policy;
use serde_json::{Value, json};

/// The Sid of the statement without which a key can't be administered by IAM policies (facts/codepipeline.md B.4).
pub const ROOT_SID: &str = "Enable IAM User Permissions";

/// The Sid of a new key's administrators: the console's, since the statement belongs to the key and not to one pipeline.
pub const ADMINISTRATORS_SID: &str = "Allow access for Key Administrators";

/// The statements of a new key's policy. Without the service role where it doesn't exist yet: KMS refuses unknown principals.
pub fn first_policy(context: &Context<'_>, store: &Store) -> Result<Value> {
    let blueprint = context.blueprint;
    let mut statements = vec![json!({
        "Sid": ROOT_SID,
        "Effect": "Allow",
        "Principal": {"AWS": blueprint.dev.root()},
        "Action": "kms:*",
        "Resource": "*",
    })];
    let administrators = administrators(context)?;
    if !administrators.is_empty() {
        statements.push(administrator_statement(&administrators, ADMINISTRATORS_SID));
    }
    statements.extend(user_statements(context, store, context.snapshot.service_role.is_some()));
    Ok(json!({"Version": "2012-10-17", "Id": "xdeploy-key-policy", "Statement": statements}))
}

fn administrators(context: &Context<'_>) -> Result<Vec<String>> {
    if !context.settings.key_administrators.is_empty() {
        return Ok(context.settings.key_administrators.clone());
    }
    match &context.snapshot.administrator {
        Readable::Known(caller) => Ok(caller.iter().cloned().collect()),
        Readable::Unknown(why) => Err(Error::refused("the key's administrator could not be found out")
            .because(why.clone())
            .hint("name one with `--key-administrator ARN`: an IAM user or role of the development account")),
    }
}

/// A1.2, with the actions of the console's statement (facts B.4).
pub fn administrator_statement(administrators: &[String], sid: &str) -> Value {
    json!({
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": administrators},
        "Action": [
            "kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*", "kms:Disable*",
            "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
            "kms:RotateKeyOnDemand", "kms:ReplicateKey", "kms:UpdatePrimaryRegion",
        ],
        "Resource": "*",
    })
}

/// Key users, and the grants that the console gives them beside it (facts/codepipeline.md B.4); or only who needs what (F.2).
pub fn user_statements(context: &Context<'_>, store: &Store, with_service_role: bool) -> Vec<Value> {
    let blueprint = context.blueprint;
    if blueprint.policies == Policies::LeastPrivilege {
        return least::key_statements(blueprint, store, with_service_role);
    }
    let mut users = Vec::new();
    if with_service_role {
        users.push(blueprint.service_role.arn.clone());
    }
    users.push(blueprint.prod.root());
    vec![
        json!({
            "Sid": blueprint.sid("KeyUsers"),
            "Effect": "Allow",
            "Principal": {"AWS": users},
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            "Resource": "*",
        }),
        json!({
            "Sid": blueprint.sid("KeyGrants"),
            "Effect": "Allow",
            "Principal": {"AWS": users},
            "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
            "Resource": "*",
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        }),
    ]
}

/// What the policy of another account's key must hold. It names accounts, since the roles may not be there yet and KMS takes
/// no principal that isn't; their own policies say which role may use the key (KMS guide, "Allowing users in other accounts to
/// use a KMS key").
pub fn of_another_account(blueprint: &Blueprint) -> Value {
    json!({
        "Sid": blueprint.sid("KeyUsers"),
        "Effect": "Allow",
        "Principal": {"AWS": [blueprint.dev.root(), blueprint.prod.root()]},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"],
        "Resource": "*",
    })
}

/// What the service role's own policy needs for a store's key of another account: there the key's policy alone isn't enough.
pub fn own_statements(blueprint: &Blueprint) -> Vec<Value> {
    let foreign = |store: &&Store| store.key_exists && account_of(&store.key) != blueprint.dev.account;
    let statement = |(index, store): (usize, &Store)| {
        let sid = if index == 0 { "AllowArtifactKey".to_owned() } else { format!("AllowArtifactKey{}", index + 1) };
        let mut uses = json!({"Sid": sid, "Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": store.key});
        if blueprint.policies == Policies::LeastPrivilege {
            uses["Condition"] = json!({"StringEquals": least::via_s3(&store.region)});
        }
        let describe = json!({"Sid": format!("{sid}Describe"), "Effect": "Allow", "Action": "kms:DescribeKey", "Resource": store.key});
        [uses, describe]
    };
    blueprint.stores.iter().filter(foreign).enumerate().flat_map(statement).collect()
}

/// Adds administrators to those that a statement names already: who was let in by somebody else stays, dead ids go.
pub fn with_those_there(policy: &Value, sid: &str, wanted: &[String]) -> Vec<String> {
    let there = policy::statements(policy).into_iter().find(|statement| statement.get("Sid").and_then(Value::as_str) == Some(sid));
    let mut all: Vec<String> = there
        .map(|statement| policy::names_in(statement.pointer("/Principal/AWS")))
        .unwrap_or_default()
        .into_iter()
        .filter(|who| who.starts_with("arn:"))
        .map(str::to_owned)
        .collect();
    all.extend(wanted.iter().filter(|who| !all.contains(who)).cloned().collect::<Vec<_>>());
    all
}
