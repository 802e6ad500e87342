//! The steps of article A: each compares what should be there with what is there and says what to write.
//!
//! All of it is pure. The table's order is the plan's order.

mod artifact;
mod artifact_bucket;
mod assume_role;
mod buckets;
mod change_detection;
mod customer_key;
mod declare;
mod deploy_role;
mod key;
mod key_policy;
mod key_users;
mod least;
mod managed_policy;
mod pipeline;
mod service_role;

pub use artifact_bucket::deny_sids;
pub use change_detection::{has_eventbridge, tells_nobody, without_eventbridge};
pub use key_policy::{ADMINISTRATORS_SID, ROOT_SID};

use super::blueprint::Blueprint;
use super::snapshot::Snapshot;
use super::write::{Artifact, Note, Step, Write};
use crate::error::{Error, Result};
use crate::model::{Policies, Readable, Side};
use crate::policy::{self, Grant};
use crate::settings::Settings;
use serde_json::Value;
use std::collections::BTreeSet;

/// What a step looks at.
#[derive(Debug)]
pub struct Context<'a> {
    /// What the person said.
    pub settings: &'a Settings,
    /// What is there.
    pub snapshot: &'a Snapshot,
    /// What should be there.
    pub blueprint: &'a Blueprint,
    /// The file to upload.
    pub artifact: Option<&'a Artifact>,
}

/// What a step says.
#[derive(Debug, Default)]
pub struct Draft {
    /// What to write.
    pub writes: Vec<Write>,
    /// What to know.
    pub notes: Vec<Note>,
}

/// Says whether those who aren't of ours grant all of this in a document of the development account.
///
/// What is granted to production's account there may as well be granted to the one role of it that needs it.
fn granted_beside_us(context: &Context<'_>, theirs: &Value, statements: &[Value]) -> bool {
    let blueprint = context.blueprint;
    let root = blueprint.prod.root();
    policy::grants_of(statements).into_iter().all(|grant| {
        policy::covers(theirs, &grant)
            || blueprint.policies == Policies::LeastPrivilege
                && grant.principal.as_ref() == Some(&root)
                && policy::covers(theirs, &Grant { principal: Some(blueprint.deploy_role.arn.clone()), ..grant })
    })
}

/// Puts our statements into a document that others write into as well, and takes those of ours out that aren't wanted there
/// (any more): the other style's. `None` if nothing is left.
fn brought_up_to_date(blueprint: &Blueprint, live: &Value, wanted: &[Value], kinds: &[&str]) -> Option<Value> {
    let merged = policy::merge(Some(live), wanted);
    let kept: BTreeSet<&str> = wanted.iter().filter_map(|statement| statement.get("Sid")?.as_str()).collect();
    let stale = kinds.iter().map(|what| blueprint.sid(what)).filter(|sid| !kept.contains(sid.as_str())).collect();
    policy::remove(&merged, &stale)
}

/// Says whether one of these statements of ours is in a document.
fn has_ours(blueprint: &Blueprint, live: &Value, kinds: &[&str]) -> bool {
    let there = policy::sids(live);
    kinds.iter().any(|what| there.contains(blueprint.sid(what).as_str()))
}

/// Gives the permissions boundary of a role that is made in an account.
///
/// # Errors
/// Boundaries were named, and none of them is for that account's roles, or it isn't there.
fn boundary_of_new_role(context: &Context<'_>, side: Side) -> Result<Option<String>> {
    let (settings, account) = (context.settings, &context.snapshot.identity(side).account);
    let Some(named) = settings.permissions_boundary(account) else {
        // The other side names its own; and whose a boundary is isn't known of an account that wasn't said.
        let is_left = settings.side.is_some_and(|own| own != side) || account.contains('*');
        if settings.permissions_boundaries.is_empty() || is_left {
            return Ok(None);
        }
        return Err(Error::refused(format!("a role is made in {side} ({account}), and no permissions boundary was named for it")).hint(
            "give `--permissions-boundary ARN` once for each account, or once with one of AWS's own policies, which are every account's",
        ));
    };
    match context.snapshot.boundaries.get(named.as_str()) {
        Some(Readable::Known(None)) => Err(Error::refused(format!("there is no policy {named} to be the permissions boundary in {side}"))
            .hint("correct `--permissions-boundary`, or make the policy first")),
        _ => Ok(Some(named.to_string())),
    }
}

type StepWants = fn(&Context<'_>, &mut Draft) -> Result<()>;

const TABLE: [StepWants; 11] = [
    buckets::wants,
    key::wants,
    service_role::wants,
    artifact_bucket::wants,
    key_users::wants,
    deploy_role::wants,
    artifact_bucket::wants_policy,
    assume_role::wants,
    change_detection::wants,
    artifact::wants,
    pipeline::wants,
];

/// Asks every step what it wants.
///
/// # Errors
/// The first step that can't go on: what is there can't be adopted, or a flag is needed.
pub fn wants(settings: &Settings, snapshot: &Snapshot, artifact: Option<&Artifact>) -> Result<(Vec<Write>, Vec<Note>)> {
    let blueprint = Blueprint::draw(settings, snapshot)?;
    let context = Context { settings, snapshot, blueprint: &blueprint, artifact };
    let mut draft = Draft::default();
    for step in TABLE {
        step(&context, &mut draft)?;
    }
    if snapshot.pipeline.is_some() {
        // An existing pipeline is made whole before an upload starts it.
        draft.writes.sort_by_key(|write| write.step == Step::Artifact);
    }
    Ok((draft.writes, draft.notes))
}
