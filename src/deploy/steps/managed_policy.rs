//! A customer managed policy that has our name: made, brought up to date, adopted, or refused.

use super::{Context, Draft};
use crate::deploy::blueprint::Named;
use crate::deploy::names;
use crate::deploy::names::TAG;
use crate::deploy::snapshot::{RoleFound, is_own};
use crate::deploy::write::{Call, Note, Step, Write};
use crate::error::{Error, Result};
use crate::model::{Side, quotas};
use crate::policy::{self, Grant};
use serde_json::Value;

/// What one of our policies is to be.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub side: Side,
    pub step: Step,
    pub named: &'a Named,
    pub flag: &'static str,
    pub document: Value,
    /// What the article grants; a policy that somebody else made may lack what we add to it.
    pub article: Vec<Grant>,
    pub description: String,
    pub role: &'a Named,
    pub role_found: Option<&'a RoleFound>,
    pub needs: Vec<String>,
}

fn tag(side: Side, kind: &str, name: &str) -> String {
    format!("{kind}:{side}:{name}")
}

/// Says whether documents of a role that are no pipeline's of ours grant all of this: another pipeline's go with it.
pub fn granted_by_others(context: &Context<'_>, role: Option<&RoleFound>, inline_of_ours: &str, grants: &[Grant]) -> bool {
    let Some(role) = role else { return false };
    let ours = |arn: &str| context.snapshot.policies.get(arn).is_some_and(|policy| is_own(&policy.tags, &context.blueprint.pipeline_arn));
    let documents: Vec<&Value> = role
        .inline
        .iter()
        .filter(|(name, _)| name.as_str() != inline_of_ours && !names::is_inline_name(name))
        .map(|(_, document)| document)
        .chain(role.attached_documents.iter().filter(|(arn, _)| !ours(arn)).map(|(_, document)| document))
        .collect();
    grants.iter().all(|grant| documents.iter().any(|document| policy::covers(document, grant)))
}

pub fn wants(context: &Context<'_>, draft: &mut Draft, wanted: Wanted<'_>) -> Result<()> {
    let arn = &wanted.named.arn;
    let name = &wanted.named.name;
    let found = context.snapshot.policies.get(arn);
    let own = found.is_some_and(|found| is_own(&found.tags, &context.blueprint.pipeline_arn));
    let grants = policy::grants_of(&policy::statements(&wanted.document).into_iter().cloned().collect::<Vec<_>>());
    let attached = wanted.role_found.is_some_and(|role| role.attached.iter().any(|attached| attached == arn));
    // A statement that grants what we need already, written by someone else, is left as it is and counts.
    if !own && !attached && granted_by_others(context, wanted.role_found, "", &grants) {
        return Ok(());
    }
    let token = tag(wanted.side, "policy", name);
    match found {
        None => {
            let call = Call::CreatePolicy { name: name.clone(), document: wanted.document, description: wanted.description };
            draft.writes.push(
                Write::new(wanted.side, wanted.step, arn, arn, format!("policy {name}"), call).needs(wanted.needs).gives(token.clone()),
            );
        }
        Some(found) if own && policy::same_grants(&found.document, &wanted.document) => {}
        Some(found) if own => {
            if found.versions.len() >= quotas::POLICY_VERSIONS
                && let Some(oldest) = found.versions.iter().find(|version| **version != found.default_version)
            {
                let call = Call::DeletePolicyVersion { arn: arn.clone(), version: oldest.clone() };
                draft.writes.push(Write::new(
                    wanted.side,
                    wanted.step,
                    arn,
                    arn,
                    format!("oldest version {oldest} of policy {name}"),
                    call,
                ));
            }
            let call = Call::CreatePolicyVersion { arn: arn.clone(), before: found.document.clone(), document: wanted.document };
            draft.writes.push(
                Write::new(wanted.side, wanted.step, arn, arn, format!("version of policy {name}"), call)
                    .needs(wanted.needs)
                    .gives(token.clone()),
            );
        }
        Some(found)
            if !found.tags.contains_key(TAG)
                && !context.settings.is_told(wanted.flag)
                && wanted.article.iter().all(|grant| policy::covers(&found.document, grant)) =>
        {
            let lacking: Vec<&str> =
                grants.iter().filter(|grant| !policy::covers(&found.document, grant)).map(|grant| grant.action.as_str()).collect();
            if !lacking.is_empty() {
                draft.notes.push(Note::remark(format!(
                    "policy {name} in {} was not made by xdeploy and is left as it is; it lacks {}, which may not be needed (AWS lists it or its article grants it, but AWS doesn't document whether it is called)",
                    wanted.side,
                    lacking.join(", ")
                )));
            }
        }
        Some(_) => {
            let account = match wanted.side {
                Side::Dev => &context.blueprint.dev.account,
                Side::Prod => &context.blueprint.prod.account,
            };
            return Err(Error::refused(format!(
                "policy {name} exists in {} ({account}), grants something else, and was not made by xdeploy for pipeline {}",
                wanted.side, context.blueprint.pipeline
            ))
            .hint(format!("pass `{} NAME` to use another name", wanted.flag)));
        }
    }
    if !attached {
        let role = wanted.role;
        let call = Call::AttachRolePolicy { role: role.name.clone(), arn: arn.clone() };
        draft.writes.push(
            Write::new(wanted.side, wanted.step, &role.arn, &role.arn, format!("policy {name} to {}", role.name), call)
                .needs([token, tag(wanted.side, "role", &role.name)]),
        );
    }
    Ok(())
}
