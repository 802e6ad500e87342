//! A1.3 and A3: production and the service role may use the key.

use super::{Context, Draft, brought_up_to_date, customer_key, granted_beside_us, has_ours, key_policy};
use crate::deploy::names;
use crate::deploy::write::{Call, Step, Write};
use crate::error::Result;
use crate::model::{Policies, Side};
use crate::policy;

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    let role_token = format!("role:dev:{}", blueprint.service_role.name);
    for store in &blueprint.stores {
        let found = context.snapshot.keys.get(&store.region).and_then(|slot| slot.found.as_ref()).filter(|_| store.key_exists);
        let (before, after) = match found {
            None if context.snapshot.service_role.is_some() => continue,
            None => {
                let first = key_policy::first_policy(context, store)?;
                let whole = policy::merge(Some(&first), &key_policy::user_statements(context, store, true));
                (None, whole)
            }
            Some(found) => {
                let Some(live) = &found.policy else { continue };
                let mut wanted = Vec::new();
                let theirs = names::by_others(live);
                let users = key_policy::user_statements(context, store, true);
                // S3 makes no grants, so who may make them doesn't decide (facts B.4).
                let grants = blueprint.sid("KeyGrants");
                let used: Vec<_> = users.iter().filter(|s| s.get("Sid").is_none_or(|sid| *sid != grants)).cloned().collect();
                if !granted_beside_us(context, &theirs, &used) || has_ours(blueprint, live, &names::OF_THE_KEY) {
                    wanted.extend(users);
                }
                if !context.settings.key_administrators.is_empty() {
                    let made_by_us = found.tags.contains_key(names::TAG) && policy::sids(live).contains(key_policy::ADMINISTRATORS_SID);
                    let sid = if made_by_us { key_policy::ADMINISTRATORS_SID.to_owned() } else { blueprint.sid("KeyAdministrators") };
                    let administrators = key_policy::with_those_there(live, &sid, &context.settings.key_administrators);
                    wanted.push(key_policy::administrator_statement(&administrators, &sid));
                }
                match brought_up_to_date(blueprint, live, &wanted, &names::OF_THE_KEY) {
                    Some(after) if after != *live => (Some(live.clone()), after),
                    _ => continue,
                }
            }
        };
        let call = Call::PutKeyPolicy { side: Side::Dev, region: store.region.clone(), key: store.key.clone(), before, after };
        let users = match blueprint.policies {
            Policies::Article => format!("users are the service role and account {}", blueprint.prod.account),
            Policies::LeastPrivilege if blueprint.read_store() == Some(store) => {
                format!("users are the service role and {}", blueprint.deploy_role.name)
            }
            Policies::LeastPrivilege => "its user is the service role".to_owned(),
        };
        let title = format!("policy of the key in {}: {users}", store.region);
        draft.writes.push(
            Write::new(Side::Dev, Step::KeyUsers, format!("key:{}", store.region), &store.key, title, call)
                .needs([format!("key:{}", store.region), role_token.clone()]),
        );
    }
    customer_key::wants(context, draft);
    Ok(())
}
