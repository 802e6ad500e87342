//! Whether AWS saves what a plan writes: a plan that can't be saved is no plan.
//!
//! Pure. An orphaned principal makes AWS refuse the whole document (facts/codepipeline.md D.2), and so does a size above its quota
//! (`model/quotas.rs`): both are known before the first write, and a run that found out at the write would stop half-way.

use super::after::stand_in;
use super::names;
use super::snapshot::{RoleFound, Snapshot};
use super::write::{Call, Note, Write, key_placeholder};
use crate::error::{Error, Result};
use crate::model::quotas::{self, Adjustable};
use crate::model::{Readable, Side};
use crate::policy::{self, Orphan, Stays};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The flag that takes orphaned principals out of others' statements.
pub const REMOVE: &str = "--remove-dead-principal";

/// What a document is, which decides what AWS allows it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    KeyPolicy,
    BucketPolicy,
    Trust,
    Inline,
    Managed,
}

/// A document that a write saves.
struct SavedDocument<'a> {
    write: &'a Write,
    sort: Sort,
    /// As people call it, such as `policy of key arn:…`.
    name: String,
    /// Whose account it is in.
    account: &'a str,
    before: Option<&'a Value>,
    after: &'a Value,
}

fn saved<'a>(write: &'a Write, snapshot: &'a Snapshot) -> Option<SavedDocument<'a>> {
    let (sort, name, before, after) = match &write.call {
        Call::CreateKey { region, policy, .. } => (Sort::KeyPolicy, format!("policy of the new key in {region}"), None, policy),
        Call::ReplicateKey { replica_region, policy, .. } => {
            (Sort::KeyPolicy, format!("policy of the new key in {replica_region}"), None, policy)
        }
        Call::PutKeyPolicy { key, before, after, .. } => (Sort::KeyPolicy, format!("policy of key {key}"), before.as_ref(), after),
        Call::PutBucketPolicy { bucket, before, after, .. } => {
            (Sort::BucketPolicy, format!("policy of bucket {bucket}"), before.as_ref(), after)
        }
        Call::CreateRole { name, trust, .. } => (Sort::Trust, format!("trust policy of role {name}"), None, trust),
        Call::UpdateAssumeRolePolicy { name, before, after } => (Sort::Trust, format!("trust policy of role {name}"), Some(before), after),
        Call::PutRolePolicy { role, name, before, document } => {
            (Sort::Inline, format!("inline policy {name} of role {role}"), before.as_ref(), document)
        }
        Call::CreatePolicy { name, document, .. } => (Sort::Managed, format!("policy {name}"), None, document),
        Call::CreatePolicyVersion { arn, before, document } => (Sort::Managed, format!("policy {arn}"), Some(before), document),
        _ => return None,
    };
    Some(SavedDocument { write, sort, name, account: &snapshot.identity(write.account).account, before, after })
}

/// The document that a write puts in the place of one that may name principals.
fn replaced(call: &mut Call) -> Option<&mut Value> {
    match call {
        Call::PutKeyPolicy { after, .. } | Call::PutBucketPolicy { after, .. } | Call::UpdateAssumeRolePolicy { after, .. } => Some(after),
        _ => None,
    }
}

/// Takes the orphaned principals that the person named out of what is written, where that changes nothing for anybody else, and says
/// what becomes of each orphaned principal that goes.
pub fn take_out(writes: &mut [Write], snapshot: &Snapshot, ids: &[String]) -> Vec<Note> {
    for write in writes.iter_mut() {
        if let Some(after) = replaced(&mut write.call).filter(|_| !ids.is_empty()) {
            *after = policy::without_orphans(after, ids);
        }
    }
    let mut notes = Vec::new();
    let mut met: BTreeSet<String> = BTreeSet::new();
    for document in writes.iter().filter_map(|write| saved(write, snapshot)) {
        let left = policy::orphans(document.after);
        met.extend(left.iter().map(|orphan| orphan.id.clone()));
        for orphan in document.before.map(policy::orphans).unwrap_or_default() {
            if left.iter().any(|other| same_place(other, &orphan)) {
                continue;
            }
            met.insert(orphan.id.clone());
            notes.push(Note::remark(gone(&document, &orphan)));
        }
    }
    for id in ids.iter().filter(|id| !met.contains(*id)) {
        notes.push(Note::warning(format!("`{REMOVE} {id}`: no document that this plan writes names it as a principal")));
    }
    notes
}

fn same_place(one: &Orphan, other: &Orphan) -> bool {
    (&one.statement, &one.id) == (&other.statement, &other.id)
}

/// Says what becomes of an orphaned principal that isn't there any more afterwards.
fn gone(document: &SavedDocument<'_>, orphan: &Orphan) -> String {
    let SavedDocument { name, account, .. } = document;
    let Orphan { statement, id, .. } = orphan;
    let named = |document: &Value| -> BTreeSet<String> {
        let own =
            policy::statements(document).into_iter().enumerate().filter(|(index, own)| policy::statement_name(own, *index) == *statement);
        own.flat_map(|(_, own)| policy::names_in(own.pointer("/Principal/AWS"))).map(str::to_owned).collect()
    };
    let now = named(document.after);
    let before = document.before.map(named).unwrap_or_default();
    let new: Vec<&str> = now.difference(&before).map(String::as_str).collect();
    let fate = match (now.is_empty(), new.as_slice()) {
        (true, _) => "goes with the statement".to_owned(),
        (false, []) => "is taken out".to_owned(),
        (false, new) => format!("is replaced by {}", new.join(" and ")),
    };
    format!("{name} ({account}), {statement}: `{id}`, what is left of a deleted role or user, {fate}")
}

/// Why AWS would refuse a document.
struct Obstacle {
    document: String,
    account: String,
    why: String,
    /// What to do, most useful first.
    advice: Vec<String>,
}

fn of_orphans(document: &SavedDocument<'_>) -> Vec<Obstacle> {
    let obstacle = |orphan: Orphan| {
        let Orphan { statement, id, stays, .. } = orphan;
        let (reason, advice) = match stays {
            None => (
                "its list names others as well",
                format!("pass `{REMOVE} {id}` to take it out of the list; whom it stood for nobody can tell by the id"),
            ),
            Some(Stays::Last) => (
                "its list names nobody else, so whom the statement is for is for its owner to say",
                format!("let the owner of {} name the role that is meant now in {statement}, or take the statement out", document.name),
            ),
            Some(Stays::Deny) => (
                "it stands in a Deny, which is for its owner to change",
                format!("let the owner of {} name whom {statement} is to deny now, or take the id out", document.name),
            ),
            Some(Stays::NotPrincipal) => (
                "it stands in a NotPrincipal, which is for its owner to change",
                format!("let the owner of {} name whom {statement} is to except now, or take the id out", document.name),
            ),
        };
        Obstacle {
            document: document.name.clone(),
            account: document.account.to_owned(),
            why: format!("{statement} names `{id}`, what is left of a deleted role or user, and AWS saves no document with it; {reason}"),
            advice: vec![advice],
        }
    };
    policy::orphans(document.after).into_iter().map(obstacle).collect()
}

/// Gives the text that is sent, with what isn't known yet as long as it will be.
fn text(document: &Value, snapshot: &Snapshot) -> String {
    let text = document.to_string();
    snapshot.keys.keys().fold(text, |text, region| text.replace(&key_placeholder(region), &stand_in(&snapshot.dev, region)))
}

/// Says which statements of a document are this pipeline's, and how large they are.
fn ours(document: &Value, pipeline: &str, snapshot: &Snapshot) -> String {
    let own = names::own_sids(pipeline);
    let all = policy::statements(document);
    let sid = |statement: &Value| statement.get("Sid").and_then(Value::as_str).map(str::to_owned);
    let mine: Vec<&&Value> = all.iter().filter(|statement| sid(statement).is_some_and(|sid| own.contains(&sid))).collect();
    let size: usize = mine.iter().map(|statement| text(statement, snapshot).len()).sum();
    let others =
        all.iter().filter(|statement| sid(statement).is_some_and(|sid| names::is_xdeploy_sid(&sid) && !own.contains(&sid))).count();
    let names: Vec<String> = mine.iter().filter_map(|statement| sid(statement)).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!(
        "of its {} statements {names} {} this pipeline's ({size} bytes), {others} are of other pipelines that xdeploy set up, the rest is of others",
        all.len(),
        if mine.len() == 1 { "is" } else { "are" },
    )
}

/// What makes room, by document.
fn room(document: &SavedDocument<'_>, snapshot: &Snapshot) -> Vec<String> {
    let others = "or take statements out that nobody needs any more; `xdeploy teardown` takes those of a pipeline out that is given up";
    match document.sort {
        Sort::KeyPolicy => {
            let declared = snapshot
                .keys
                .values()
                .any(|slot| slot.from_pipeline && slot.found.as_ref().is_some_and(|found| found.arn == document.write.resource));
            let own = match declared {
                true => "give the pipeline's artifact store a key of its own, or share this one with fewer pipelines",
                false => "give this pipeline a key of its own: pass `--key-alias ALIAS` with a new name",
            };
            vec![own.to_owned(), others.to_owned()]
        }
        Sort::BucketPolicy => {
            let own = match snapshot.pipeline {
                Some(_) => "give the pipeline an artifact bucket of its own, or share this one with fewer pipelines",
                None => "give this pipeline an artifact bucket of its own: pass `--artifact-bucket BUCKET --create-buckets`",
            };
            vec![own.to_owned(), others.to_owned()]
        }
        Sort::Trust => {
            let flag = if document.write.account == Side::Prod { "--deploy-role" } else { "--service-role" };
            vec![format!("pass `{flag} NAME` to give this pipeline a role of its own"), others.to_owned()]
        }
        Sort::Inline => vec![
            "pass `--service-role NAME` to give this pipeline a role of its own, or make managed policies of the role's other inline ones"
                .to_owned(),
        ],
        Sort::Managed => vec!["use shorter names for what the policy names, such as buckets and the deployment path".to_owned()],
    }
}

fn role<'a>(snapshot: &'a Snapshot, side: Side, name: &str) -> Option<&'a RoleFound> {
    let slots = match side {
        Side::Dev => vec![&snapshot.service_role, &snapshot.event_role],
        Side::Prod => vec![&snapshot.deploy_role],
    };
    slots.into_iter().flatten().find(|role| role.name == name)
}

/// The characters of all inline policies that a role will have.
fn inline_size(writes: &[Write], snapshot: &Snapshot, side: Side, name: &str) -> usize {
    let mut all: BTreeMap<&str, &Value> = BTreeMap::new();
    all.extend(
        role(snapshot, side, name).into_iter().flat_map(|role| role.inline.iter().map(|(name, document)| (name.as_str(), document))),
    );
    for write in writes.iter().filter(|write| write.account == side) {
        match &write.call {
            Call::PutRolePolicy { role, name: policy, document, .. } if role == name => drop(all.insert(policy, document)),
            Call::DeleteRolePolicy { role, name: policy } if role == name => drop(all.remove(policy.as_str())),
            _ => {}
        }
    }
    all.values().map(|document| quotas::characters(&text(document, snapshot))).sum()
}

fn of_size(document: &SavedDocument<'_>, writes: &[Write], snapshot: &Snapshot, pipeline: &str) -> Option<Obstacle> {
    let whole = text(document.after, snapshot);
    let (size, limit, unit, of) = match (document.sort, &document.write.call) {
        (Sort::KeyPolicy, _) => (whole.len(), quotas::KEY_POLICY, "bytes", "a key policy"),
        (Sort::BucketPolicy, _) => (whole.len(), quotas::BUCKET_POLICY, "bytes", "a bucket policy"),
        (Sort::Trust, _) => (quotas::characters(&whole), quotas::TRUST_POLICY.most, "characters", "a trust policy"),
        (Sort::Managed, _) => (quotas::characters(&whole), quotas::MANAGED_POLICY, "characters", "a managed policy"),
        (Sort::Inline, Call::PutRolePolicy { role, .. }) => {
            let size = inline_size(writes, snapshot, document.write.account, role);
            (size, quotas::INLINE_POLICIES, "characters", "all inline policies of a role together")
        }
        (Sort::Inline, _) => return None,
    };
    // What a write makes shorter is never held against it.
    let shrinks = document.before.is_some_and(|before| text(before, snapshot).len() >= whole.len());
    if size <= limit || shrinks {
        return None;
    }
    let certain = match document.sort {
        Sort::BucketPolicy => "; up to that S3 takes it for certain, and what it counts above can't be computed",
        _ => "",
    };
    let statements = match document.sort {
        Sort::Inline | Sort::Managed => String::new(),
        _ => format!("; {}", ours(document.after, pipeline, snapshot)),
    };
    Some(Obstacle {
        document: document.name.clone(),
        account: document.account.to_owned(),
        why: format!("it would have {size} {unit}, and {of} may have {limit}{certain}{statements}"),
        advice: room(document, snapshot),
    })
}

/// Puts all that stands in the way into one refusal.
fn refusal(obstacles: Vec<Obstacle>) -> Result<()> {
    if obstacles.is_empty() {
        return Ok(());
    }
    let mut documents: Vec<String> = Vec::new();
    for obstacle in &obstacles {
        let name = format!("{} ({})", obstacle.document, obstacle.account);
        if !documents.contains(&name) {
            documents.push(name);
        }
    }
    let mut error = Error::refused(format!("AWS would not save what this plan writes: {}; nothing was changed", documents.join(", ")));
    for obstacle in obstacles {
        error = error.because(format!("{} ({}): {}", obstacle.document, obstacle.account, obstacle.why));
        for advice in obstacle.advice {
            if !error.hints.contains(&advice) {
                error = error.hint(advice);
            }
        }
    }
    Err(error)
}

/// Refuses writes that AWS is certain to refuse: a document that names an orphaned principal, or is larger than nobody can raise.
///
/// # Errors
/// There is one; the error names each document with its account, what is wrong with it and what to do.
pub fn refuse_unsavable(writes: &[Write], snapshot: &Snapshot, pipeline: &str) -> Result<()> {
    let documents = writes.iter().filter_map(|write| saved(write, snapshot));
    let obstacles = documents.flat_map(|document| {
        let mut found = of_orphans(&document);
        found.extend(of_size(&document, writes, snapshot, pipeline));
        found
    });
    let mut obstacles: Vec<Obstacle> = obstacles.collect();
    for (side, name, count) in attached(writes, snapshot) {
        if count > quotas::ATTACHED_POLICIES.most {
            obstacles.push(too_many_attached(&name, &snapshot.identity(side).account, count, quotas::ATTACHED_POLICIES.most, None));
        }
    }
    refusal(obstacles)
}

/// Warns of what is saved only where a quota was raised, and of what the other side will not be able to save.
pub fn warnings(writes: &[Write], later: &[Write], snapshot: &Snapshot) -> Vec<Note> {
    let mut notes = Vec::new();
    for document in writes.iter().filter_map(|write| saved(write, snapshot)).filter(|document| document.sort == Sort::Trust) {
        let size = quotas::characters(&text(document.after, snapshot));
        if size > quotas::TRUST_POLICY.default {
            notes.push(Note::warning(raised(
                &format!("{} ({}) will have {size} characters", document.name, document.account),
                quotas::TRUST_POLICY,
                "Role trust policy length",
            )));
        }
    }
    for (side, name, count) in attached(writes, snapshot) {
        if count > quotas::ATTACHED_POLICIES.default {
            notes.push(Note::warning(raised(
                &format!("role {name} ({}) will have {count} managed policies", snapshot.identity(side).account),
                quotas::ATTACHED_POLICIES,
                "Managed policies per role",
            )));
        }
    }
    for document in later.iter().filter_map(|write| saved(write, snapshot)) {
        for obstacle in of_orphans(&document) {
            notes.push(Note::warning(format!("left for later: {} ({}): {}", obstacle.document, obstacle.account, obstacle.why)));
        }
    }
    notes
}

fn raised(what: &str, quota: Adjustable, name: &str) -> String {
    format!("{what}; every account may have {}, and more only where its quota `{name}` was raised (up to {})", quota.default, quota.most)
}

/// How many managed policies each role will have that gets one: side, name, count.
fn attached(writes: &[Write], snapshot: &Snapshot) -> Vec<(Side, String, usize)> {
    let mut roles: BTreeMap<(Side, &str), BTreeSet<&str>> = BTreeMap::new();
    for write in writes {
        if let Call::AttachRolePolicy { role: name, arn } = &write.call {
            let there = || role(snapshot, write.account, name).map(|role| role.attached.iter().map(String::as_str).collect());
            roles.entry((write.account, name)).or_insert_with(|| there().unwrap_or_default()).insert(arn);
        }
    }
    for write in writes {
        if let Call::DetachRolePolicy { role: name, arn } = &write.call
            && let Some(all) = roles.get_mut(&(write.account, name.as_str()))
        {
            all.remove(arn.as_str());
        }
    }
    roles.into_iter().map(|((side, name), all)| (side, name.to_owned(), all.len())).collect()
}

fn too_many_attached(name: &str, account: &str, count: usize, quota: usize, raise: Option<String>) -> Obstacle {
    let detach = format!("detach a policy from {name} that it doesn't need, or have another role made for this pipeline");
    Obstacle {
        document: format!("the policies of role {name}"),
        account: account.to_owned(),
        why: format!("it would have {count} managed policies, and may have {quota}"),
        advice: [Some(detach), raise].into_iter().flatten().collect(),
    }
}

/// What an account holds and may hold, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// IAM's counts and quotas by IAM's names, such as `Roles` and `RolesQuota`.
    pub iam: Readable<BTreeMap<String, usize>>,
    /// The pipelines of the region where one is to be made, up to the quota; `None` where none is.
    pub pipelines: Option<Readable<usize>>,
    /// The rules of the default bus where one is to be made, up to the quota; `None` where none is.
    pub rules: Option<Readable<usize>>,
}

/// What a count is about: the call that adds one, IAM's names of count and quota, AWS's name of the quota.
struct Counted {
    what: &'static str,
    adds: fn(&Call) -> bool,
    used: &'static str,
    quota: &'static str,
    name: &'static str,
}

const COUNTED: [Counted; 2] = [
    Counted {
        what: "roles",
        adds: |call| matches!(call, Call::CreateRole { .. }),
        used: "Roles",
        quota: "RolesQuota",
        name: "Roles per account",
    },
    Counted {
        what: "customer managed policies",
        adds: |call| matches!(call, Call::CreatePolicy { .. }),
        used: "Policies",
        quota: "PoliciesQuota",
        name: "Customer managed policies per account",
    },
];

/// Judges what a plan adds against what an account may hold; gives what to warn of.
///
/// # Errors
/// A quota that was read is exceeded; the error names it, how much there is, and what to do.
pub fn refuse_over_quota(writes: &[Write], snapshot: &Snapshot, usage: &BTreeMap<Side, Usage>) -> Result<Vec<String>> {
    let mut obstacles = Vec::new();
    let mut warnings = Vec::new();
    for (side, usage) in usage {
        let account = &snapshot.identity(*side).account;
        let own: Vec<&Write> = writes.iter().filter(|write| write.account == *side).collect();
        match &usage.iam {
            Readable::Known(iam) => obstacles.extend(of_iam(&own, writes, snapshot, *side, iam)),
            Readable::Unknown(why) => {
                let adds = COUNTED.iter().filter(|counted| own.iter().any(|write| (counted.adds)(&write.call)));
                let adds: Vec<&str> = adds.map(|counted| counted.what).collect();
                if !adds.is_empty() {
                    warnings.push(format!("how many {} account {account} may still make could not be read: {why}", adds.join(" and ")));
                }
            }
        }
        for (count, most, what, name) in [
            (&usage.pipelines, quotas::PIPELINES, "pipelines in the region", "Maximum number of pipelines in an AWS Region"),
            (&usage.rules, quotas::RULES, "rules on its default bus", "Number of rules"),
        ] {
            match count {
                Some(Readable::Known(count)) if *count >= most => warnings.push(format!(
                    "account {account} has {count} {what} or more already, and another one is made only where its quota `{name}` was raised"
                )),
                Some(Readable::Unknown(why)) => {
                    warnings.push(format!("how many {what} account {account} has could not be read: {why}"));
                }
                _ => {}
            }
        }
    }
    refusal(obstacles).map(|()| warnings)
}

fn of_iam(own: &[&Write], writes: &[Write], snapshot: &Snapshot, side: Side, iam: &BTreeMap<String, usize>) -> Vec<Obstacle> {
    let account = snapshot.identity(side).account.clone();
    let raise = |name: &str| format!("ask AWS to raise the quota `{name}` of IAM in account {account} (Service Quotas)");
    let mut found = Vec::new();
    for counted in &COUNTED {
        let adds = own.iter().filter(|write| (counted.adds)(&write.call)).count();
        let (Some(used), Some(quota)) = (iam.get(counted.used), iam.get(counted.quota)) else { continue };
        if adds > 0 && used + adds > *quota {
            found.push(Obstacle {
                document: format!("{adds} new {}", counted.what),
                account: account.clone(),
                why: format!("the account has {used} {} and may have {quota}", counted.what),
                advice: vec![format!("delete some that nobody needs, or {}", raise(counted.name))],
            });
        }
    }
    if let Some(quota) = iam.get("AssumeRolePolicySizeQuota") {
        let documents = own.iter().filter_map(|write| saved(write, snapshot)).filter(|document| document.sort == Sort::Trust);
        for document in documents {
            let size = quotas::characters(&text(document.after, snapshot));
            if size > *quota {
                let mut advice = room(&document, snapshot);
                advice.push(format!("or {}, up to {}", raise("Role trust policy length"), quotas::TRUST_POLICY.most));
                let why = format!("it would have {size} characters, and a trust policy may have {quota} there");
                found.push(Obstacle { document: document.name, account: account.clone(), why, advice });
            }
        }
    }
    if let Some(quota) = iam.get("AttachedPoliciesPerRoleQuota") {
        for (_, name, count) in attached(writes, snapshot).into_iter().filter(|(own, _, _)| *own == side) {
            if count > *quota {
                let raise = format!("or {}, up to {}", raise("Managed policies per role"), quotas::ATTACHED_POLICIES.most);
                found.push(too_many_attached(&name, &account, count, *quota, Some(raise)));
            }
        }
    }
    found
}
