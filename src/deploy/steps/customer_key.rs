//! Input or output bucket encrypted with a customer managed key: the chain needs that key too (facts/codepipeline.md A.2, rows 5 and 15).

use super::{Context, Draft, has_ours, least};
use crate::deploy::names;
use crate::deploy::snapshot::{BucketSlot, KeyFound};
use crate::deploy::write::{Call, Note, Step, Write};
use crate::model::{Arn, Policies, Readable, Side};
use crate::policy::{self, Grant};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What one of the two roles needs of a bucket's key.
#[derive(Debug)]
struct Need<'a> {
    role: &'a str,
    role_token: String,
    side: Side,
    actions: &'static [&'static str],
    what: &'static str,
    /// Both buckets may have one key, so each need has a statement of its own.
    sid: &'static str,
}

/// How that is given.
#[derive(Debug)]
enum Given {
    /// By the key's own policy, already.
    Already,
    /// By a statement of the role's own policy, since the key's policy leaves it to IAM or names the role already.
    Identity,
    /// By a statement in the key's policy (with the role's own statement beside it where the key is another account's).
    KeyPolicy { also_identity: bool },
    /// Somebody else must do it.
    Told { why: String },
}

fn source_key<'a>(context: &Context<'a>) -> Option<(&'a str, &'a Readable<KeyFound>)> {
    read(context, bucket_key(&context.snapshot.input)?)
}

/// The key of the files: the action's own, else the bucket's.
fn output_key<'a>(context: &Context<'a>) -> Option<(&'a str, &'a Readable<KeyFound>)> {
    let declared = context.blueprint.declared_output_key.as_deref();
    read(context, declared.or_else(|| bucket_key(&context.snapshot.output))?)
}

fn bucket_key(slot: &BucketSlot) -> Option<&str> {
    slot.found.as_ref()?.encryption.as_ref()?.known()?.key.as_deref()
}

fn read<'a>(context: &Context<'a>, key: &str) -> Option<(&'a str, &'a Readable<KeyFound>)> {
    context.snapshot.customer_keys.get_key_value(key).map(|(asked, found)| (asked.as_str(), found))
}

fn source_need<'a>(context: &Context<'a>) -> Need<'a> {
    let role = &context.blueprint.service_role;
    Need {
        role: &role.arn,
        role_token: format!("role:dev:{}", role.name),
        side: Side::Dev,
        actions: &["kms:Decrypt"],
        what: "input",
        sid: "InputKey",
    }
}

fn output_need<'a>(context: &Context<'a>) -> Need<'a> {
    let role = &context.blueprint.deploy_role;
    Need {
        role: &role.arn,
        role_token: format!("role:prod:{}", role.name),
        side: Side::Prod,
        actions: &["kms:GenerateDataKey", "kms:Decrypt"],
        what: "output",
        sid: "OutputKey",
    }
}

fn given(context: &Context<'_>, need: &Need<'_>, asked: &str, found: &Readable<KeyFound>) -> Given {
    // The artifact key has its users by A3 and A4.2.
    let arn = found.known().map_or(asked, |found| &found.arn);
    if context.blueprint.stores.iter().any(|store| store.key == arn) {
        return Given::Already;
    }
    let found = match found {
        Readable::Unknown(why) => return Given::Told { why: why.clone() },
        Readable::Known(found) => found,
    };
    let role_account = match need.side {
        Side::Dev => &context.blueprint.dev.account,
        Side::Prod => &context.blueprint.prod.account,
    };
    let Some(live) = &found.policy else {
        return Given::Told { why: format!("the key belongs to account {}", found.account()) };
    };
    let theirs = names::by_others(live);
    let all = |principal: &str| {
        need.actions.iter().all(|action| {
            policy::covers(
                &theirs,
                &Grant { principal: Some(principal.to_owned()), action: (*action).to_owned(), resource: "*".to_owned() },
            )
        })
    };
    let same_account = found.account() == role_account;
    match (same_account, all(need.role)) {
        (true, true) => Given::Already,
        (true, false) if all(role_account) => Given::Identity,
        (true, false) => Given::KeyPolicy { also_identity: false },
        (false, true) => Given::Identity,
        (false, false) if all(role_account) => Given::Identity,
        (false, false) => Given::KeyPolicy { also_identity: true },
    }
}

fn statement(context: &Context<'_>, need: &Need<'_>) -> Value {
    let statement = json!({
        "Sid": context.blueprint.sid(need.sid),
        "Effect": "Allow",
        "Principal": {"AWS": need.role},
        "Action": need.actions,
        "Resource": "*",
    });
    through_s3(context, need, statement)
}

/// With least privilege the key is only used through S3, in the bucket's own region.
fn through_s3(context: &Context<'_>, need: &Need<'_>, mut statement: Value) -> Value {
    let region = match need.side {
        Side::Dev => &context.blueprint.home,
        Side::Prod => &context.blueprint.target_region,
    };
    if context.blueprint.policies == Policies::LeastPrivilege {
        statement["Condition"] = json!({"StringEquals": least::via_s3(region)});
    }
    statement
}

fn identity(context: &Context<'_>, need: &Need<'_>, key: (&str, &Readable<KeyFound>), sid: &str) -> Option<Value> {
    let (asked, found) = key;
    let arn = match found {
        Readable::Known(found) => found.arn.clone(),
        // Only a key's ARN means anything in a policy; an alias or bare id can't be granted blindly.
        Readable::Unknown(_) => asked.parse::<Arn>().ok().filter(|arn| arn.resource.starts_with("key/"))?.to_string(),
    };
    let wanted = match given(context, need, asked, found) {
        Given::Already => false,
        Given::Identity | Given::Told { .. } => true,
        Given::KeyPolicy { also_identity } => also_identity,
    };
    wanted.then(|| through_s3(context, need, json!({"Sid": sid, "Effect": "Allow", "Action": need.actions, "Resource": arn})))
}

/// The statement that the service role's own policy needs.
pub fn source_statement(context: &Context<'_>) -> Option<Value> {
    identity(context, &source_need(context), source_key(context)?, "AllowSourceKey")
}

/// The statement that production's role's own policy needs.
pub fn output_statement(context: &Context<'_>) -> Option<Value> {
    identity(context, &output_need(context), output_key(context)?, "AllowOutputKey")
}

pub fn wants(context: &Context<'_>, draft: &mut Draft) {
    // Two writes of one policy would each be refused as soon as the other is done.
    let mut changed: BTreeMap<&str, (&KeyFound, Vec<Need<'_>>)> = BTreeMap::new();
    let (input, output) = (&context.snapshot.input, &context.snapshot.output);
    for (need, slot, key) in [(source_need(context), input, source_key(context)), (output_need(context), output, output_key(context))] {
        if key.is_none()
            && let Some(Readable::Unknown(why)) = slot.found.as_ref().and_then(|found| found.encryption.as_ref())
        {
            draft.notes.push(Note::warning(format!(
                "how the {} bucket {} is encrypted could not be read ({why}); if it is with a customer key, {} needs {} on that key",
                need.what,
                slot.name,
                need.role,
                need.actions.join(" and ")
            )));
        }
        let Some((asked, found)) = key else { continue };
        match (given(context, &need, asked, found), found) {
            // Ours is brought up to date also where others have granted the same since.
            (given, Readable::Known(found))
                if matches!(given, Given::KeyPolicy { .. })
                    || !matches!(given, Given::Already)
                        && found.policy.as_ref().is_some_and(|live| has_ours(context.blueprint, live, &[need.sid])) =>
            {
                changed.entry(&found.arn).or_insert_with(|| (found, Vec::new())).1.push(need);
            }
            (Given::Told { why }, _) => {
                let mut statement = statement(context, &need);
                if let Some(members) = statement.as_object_mut() {
                    members.shift_remove("Sid");
                }
                draft.notes.push(Note::warning(format!(
                    "the {} bucket {} is encrypted with {asked}, whose policy xdeploy can't change ({why}); its owner must add {statement}",
                    need.what, slot.name
                )));
            }
            _ => {}
        }
    }
    for (found, needs) in changed.into_values() {
        let Some(live) = &found.policy else { continue };
        let statements: Vec<Value> = needs.iter().map(|need| statement(context, need)).collect();
        let after = policy::merge(Some(live), &statements);
        if after == *live {
            continue;
        }
        let side = if found.account() == context.blueprint.dev.account { Side::Dev } else { Side::Prod };
        let region = found.arn.split(':').nth(3).unwrap_or_default().to_owned();
        let call = Call::PutKeyPolicy { side, region, key: found.arn.clone(), before: Some(live.clone()), after };
        let buckets: Vec<&str> = needs.iter().map(|need| need.what).collect();
        let roles: Vec<&str> = needs.iter().map(|need| need.role).collect();
        let title = format!("policy of the {} bucket's key: {} may use it", buckets.join(" and "), roles.join(" and "));
        draft.writes.push(
            Write::new(side, Step::KeyUsers, format!("key:{}", found.arn), &found.arn, title, call)
                .needs(needs.into_iter().map(|need| need.role_token)),
        );
    }
}
