//! A1: the customer managed key of each artifact store.

use super::{Context, Draft, key_policy};
use crate::deploy::blueprint::Store;
use crate::deploy::declaration::KeyName;
use crate::deploy::names::TAG;
use crate::deploy::snapshot::{KeyFound, KeySlot};
use crate::deploy::write::{Call, Note, Step, Write, key_placeholder, new_key};
use crate::error::{Error, Result};
use crate::model::Side;

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let multi_region = context.blueprint.stores.len() > 1;
    for (index, store) in context.blueprint.stores.iter().enumerate() {
        let slot = context.snapshot.keys.get(&store.region).ok_or_else(|| Error::internal("no key was looked for"))?;
        if slot.from_pipeline && slot.found.is_none() {
            return Err(Error::failed(format!(
                "the artifact store of pipeline {} names key {}, which does not exist in {}",
                context.blueprint.pipeline, slot.asked, store.region
            ))
            .hint("put the ARN of an existing customer managed key of that region into the pipeline's artifact store"));
        }
        match slot.found.as_ref().filter(|_| store.key_exists) {
            Some(found) => adopt(context, draft, store, slot, found)?,
            None if context.settings.no_create_key => {
                return Err(Error::refused(format!("there is no key {} in {}, and none may be made", slot.asked, store.region))
                    .because("--no-create-key is set")
                    .hint("name the alias of a key that is there with `--key-alias`, let whoever owns the keys make it, or leave `--no-create-key` out"));
            }
            None if index > 0 && primary(context).is_none_or(|primary| primary.multi_region) => replicate(context, draft, store)?,
            None => {
                if index > 0 {
                    draft.notes.push(Note::remark(format!(
                        "the key in {} is not a multi-Region key, so {} gets a key of its own: S3 treats both kinds alike (facts C)",
                        context.blueprint.home, store.region
                    )));
                }
                create(context, draft, store, multi_region && index == 0)?;
            }
        }
        if !slot.alias_exists {
            alias(context, draft, store, slot);
        }
    }
    Ok(())
}

fn primary<'a>(context: &Context<'a>) -> Option<&'a KeyFound> {
    let slot = context.snapshot.keys.get(&context.blueprint.home)?;
    slot.found.as_ref().filter(|_| context.blueprint.stores.first().is_some_and(|store| store.key_exists))
}

fn lane(store: &Store) -> String {
    format!("key:{}", store.region)
}

fn create(context: &Context<'_>, draft: &mut Draft, store: &Store, multi_region: bool) -> Result<()> {
    let resource = key_placeholder(&store.region);
    let kind = if multi_region { "multi-Region KMS key" } else { "KMS key" };
    let call = Call::CreateKey {
        region: store.region.clone(),
        multi_region,
        policy: key_policy::first_policy(context, store)?,
        description: format!("Artifacts of CodePipeline {}", context.blueprint.pipeline),
    };
    if let Some(role) = &context.snapshot.passing_role {
        let note = Note::remark(format!(
            "the new key names no administrator: the caller's role {role} is one of IAM Identity Center's, a job's or a machine's and may be gone \
             one day, so that the account's IAM policies say who administers the key; `--key-administrator ARN` names somebody"
        ));
        if !draft.notes.contains(&note) {
            draft.notes.push(note);
        }
    }
    draft.writes.push(
        Write::new(Side::Dev, Step::Key, lane(store), &resource, format!("{kind} in {}", store.region), call).gives(new_key(&store.region)),
    );
    rotate(draft, store);
    Ok(())
}

fn rotate(draft: &mut Draft, store: &Store) {
    let call = Call::EnableKeyRotation { region: store.region.clone(), key: store.key.clone() };
    draft.writes.push(
        Write::new(Side::Dev, Step::Key, lane(store), &store.key, format!("yearly rotation of the key in {}", store.region), call)
            .needs([new_key(&store.region)]),
    );
}

/// A2.6: policy, tags and alias are not copied to a replica (facts C), so they are given again.
fn replicate(context: &Context<'_>, draft: &mut Draft, store: &Store) -> Result<()> {
    let home = &context.blueprint.home;
    let (primary_key, primary_region) = match (primary(context), context.blueprint.stores.first()) {
        // Only the primary can be replicated; our home key may itself be a replica.
        (Some(found), _) => (found.arn.clone(), found.primary_region.clone().unwrap_or_else(|| home.clone())),
        (None, Some(first)) => (first.key.clone(), home.clone()),
        (None, None) => return Ok(()),
    };
    let call = Call::ReplicateKey {
        key: primary_key,
        region: primary_region,
        replica_region: store.region.clone(),
        policy: key_policy::first_policy(context, store)?,
        description: format!("Artifacts of CodePipeline {}", context.blueprint.pipeline),
    };
    let title = format!("the key to {}", store.region);
    draft.writes.push(
        Write::new(Side::Dev, Step::Key, lane(store), key_placeholder(&store.region), title, call)
            .needs([format!("key:{home}")])
            .gives(format!("replica-key:{}", store.region)),
    );
    Ok(())
}

/// The name decides which key is used: until then another set-up of the same pipeline may have made one as well.
fn alias(context: &Context<'_>, draft: &mut Draft, store: &Store, slot: &KeySlot) {
    let alias = slot.asked.clone();
    let resource = context.blueprint.dev.regional("kms", &store.region, &alias);
    let call = Call::CreateAlias { region: store.region.clone(), alias: alias.clone(), key: store.key.clone() };
    draft.writes.push(
        Write::new(Side::Dev, Step::Key, lane(store), resource, format!("{alias} in {}", store.region), call)
            .needs([new_key(&store.region), format!("replica-key:{}", store.region)])
            .gives(format!("key:{}", store.region)),
    );
}

fn adopt(context: &Context<'_>, draft: &mut Draft, store: &Store, slot: &KeySlot, found: &KeyFound) -> Result<()> {
    let asked = &slot.asked;
    let refuse = |why: &str, hint: &str| {
        let whose = if slot.from_pipeline { "the pipeline's artifact store names" } else { "the alias is of" };
        Err(Error::refused(format!("{asked} can't be used: {whose} {why}")).because(found.arn.clone()).hint(hint))
    };
    let another = "name another key with `--key-alias`; a new alias makes a new key";
    if found.manager == "AWS" {
        return refuse("an AWS managed key, which another account can never use (A1)", another);
    }
    if found.spec != "SYMMETRIC_DEFAULT" || found.usage != "ENCRYPT_DECRYPT" {
        return refuse(&format!("a key of spec {} for {}; S3 needs a symmetric encryption key (A1.1)", found.spec, found.usage), another);
    }
    match found.state.as_str() {
        "Enabled" => {}
        "Disabled" => return refuse("a key that is disabled", "enable it with `aws kms enable-key`, or name another with `--key-alias`"),
        state if state.starts_with("Pending") => {
            return refuse(
                &format!("a key that will be deleted (state {state})"),
                "keep it with `aws kms cancel-key-deletion` and `aws kms enable-key`, or name another with `--key-alias`",
            );
        }
        state => return refuse(&format!("a key in state {state}"), another),
    }
    if found.arn.split(':').nth(3) != Some(store.region.as_str()) {
        return refuse(&format!("a key of another region than {}", store.region), another);
    }
    let note = match KeyName::of(asked) {
        _ if !slot.from_pipeline => None,
        KeyName::Arn => None,
        KeyName::AliasArn => Some(format!("the pipeline names its key by an alias ({asked}); put the key's ARN there ({})", found.arn)),
        KeyName::Bare => Some(format!(
            "the pipeline names its key as {asked}: production's role would look for it in its own account; put the key's ARN there ({})",
            found.arn
        )),
    };
    draft.notes.extend(note.map(Note::warning));
    if found.account() != context.blueprint.dev.account {
        draft.notes.push(Note::warning(format!(
            "key {} is of account {}, whose key policies xdeploy can neither read nor change; if it isn't there yet, that account must add {}",
            found.arn,
            found.account(),
            key_policy::of_another_account(context.blueprint)
        )));
    }
    let made_by_us = found.tags.contains_key(TAG);
    if made_by_us && found.rotation == Some(false) && found.primary_region.is_none() {
        rotate(draft, store);
    }
    if !made_by_us && found.policy.as_ref().is_some_and(|document| !crate::policy::orphans(document).is_empty()) {
        draft.notes.push(Note::warning(format!("the policy of {} names a role or user that was deleted", found.arn)));
    }
    Ok(())
}
