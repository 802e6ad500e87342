//! A1.3 and A3: production and the service role may use the key.

use super::{Context, Draft, customer_key, key_policy};
use crate::deploy::names;
use crate::deploy::write::{Call, Step, Write};
use crate::error::Result;
use crate::model::Side;
use crate::policy;

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    let role_token = format!("role:dev:{}", blueprint.service_role.name);
    for store in &blueprint.stores {
        let found = context.snapshot.keys.get(&store.region).and_then(|slot| slot.found.as_ref()).filter(|_| store.key_exists);
        let (before, after) = match found {
            None if context.snapshot.service_role.is_some() => continue,
            None => {
                let first = key_policy::first_policy(context)?;
                let whole = policy::merge(Some(&first), &key_policy::user_statements(context, true));
                (None, whole)
            }
            Some(found) => {
                let Some(live) = &found.policy else { continue };
                let mut wanted = Vec::new();
                let theirs = names::by_others(live);
                let users = key_policy::user_statements(context, true);
                let granted = policy::grants_of(&users[..1]).iter().all(|grant| policy::covers(&theirs, grant));
                let ours_there = policy::sids(live).contains(blueprint.sid("KeyUsers").as_str());
                if !granted || ours_there {
                    wanted.extend(users);
                }
                if !context.settings.key_administrators.is_empty() {
                    let made_by_us = found.tags.contains_key(names::TAG) && policy::sids(live).contains(key_policy::ADMINISTRATORS_SID);
                    let sid = if made_by_us { key_policy::ADMINISTRATORS_SID.to_owned() } else { blueprint.sid("KeyAdministrators") };
                    let administrators = key_policy::with_those_there(live, &sid, &context.settings.key_administrators);
                    wanted.push(key_policy::administrator_statement(&administrators, &sid));
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
