//! A1.3 and A3: production and the service role may use the key.

use super::{Context, Draft, customer_key, key};
use crate::deploy::names;
use crate::deploy::plan::{Call, Step, Write};
use crate::error::Result;
use crate::model::Side;
use crate::policy;
use serde_json::{Value, json};

/// Key users, and the grants that the console gives them beside it (facts/codepipeline.md B.4).
pub fn statements(context: &Context<'_>, with_service_role: bool) -> Vec<Value> {
    let blueprint = context.blueprint;
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

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    let role_token = format!("role:dev:{}", blueprint.service_role.name);
    for store in &blueprint.stores {
        let found = context.snapshot.keys.get(&store.region).and_then(|slot| slot.found.as_ref()).filter(|_| store.key_exists);
        let (before, after) = match found {
            None if context.snapshot.service_role.is_some() => continue,
            None => {
                let first = key::first_policy(context)?;
                let whole = policy::merge(Some(&first), &statements(context, true));
                (None, whole)
            }
            Some(found) => {
                let Some(live) = &found.policy else { continue };
                let mut wanted = Vec::new();
                let theirs = names::by_others(live);
                let users = statements(context, true);
                let granted = policy::grants_of(&users[..1]).iter().all(|grant| policy::covers(&theirs, grant));
                let ours_there = policy::sids(live).contains(blueprint.sid("KeyUsers").as_str());
                if !granted || ours_there {
                    wanted.extend(users);
                }
                if !context.settings.key_administrators.is_empty() {
                    let made_by_us = found.tags.contains_key(names::TAG) && policy::sids(live).contains(key::ADMINISTRATORS_SID);
                    let sid = if made_by_us { key::ADMINISTRATORS_SID.to_owned() } else { blueprint.sid("KeyAdministrators") };
                    wanted.push(key::administrator_statement(&context.settings.key_administrators, &sid));
                }
                let merged = policy::merge(Some(live), &wanted);
                if merged == *live {
                    continue;
                }
                (Some(live.clone()), merged)
            }
        };
        let call = Call::PutKeyPolicy { side: Side::Dev, region: store.region.clone(), key: store.key.clone(), before, after };
        let title = format!("policy of the key in {}: users are the service role and account {}", store.region, blueprint.prod.account);
        draft.writes.push(
            Write::new(Side::Dev, Step::KeyUsers, format!("key:{}", store.region), &store.key, title, call)
                .needs([format!("key:{}", store.region), role_token.clone()]),
        );
    }
    customer_key::wants(context, draft);
    Ok(())
}
