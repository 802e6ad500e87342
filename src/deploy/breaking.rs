//! Breaking a link on purpose, as a colleague who tightens a policy does: the smallest change after which the call is denied.

use super::chain::ROWS;
use super::proof::{Proof, prove};
use super::snapshot::{KeyFound, RoleFound, Snapshot};
use super::write::{Call, Step, Write};
use crate::error::{Error, Result};
use crate::model::{Readable, Side, Verdict};
use crate::policy::{matches_pattern, names_in, statement_name, statements};
use crate::settings::Settings;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A document that grants something to the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Trust(Role),
    Inline(Role, String),
    /// By ARN.
    Policy(String),
    /// The key of a region's artifact store.
    Key(String),
    /// A customer's key, by ARN.
    CustomerKey(String),
    /// The artifact bucket of a region.
    Bucket(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Service,
    Deploy,
    Event,
}

impl Role {
    const ALL: [Role; 3] = [Role::Service, Role::Deploy, Role::Event];

    fn side(self) -> Side {
        if self == Role::Deploy { Side::Prod } else { Side::Dev }
    }

    fn find(self, snapshot: &Snapshot) -> Option<&RoleFound> {
        match self {
            Role::Service => snapshot.service_role.as_ref(),
            Role::Deploy => snapshot.deploy_role.as_ref(),
            Role::Event => snapshot.event_role.as_ref(),
        }
    }

    fn find_mut(self, snapshot: &mut Snapshot) -> Option<&mut RoleFound> {
        match self {
            Role::Service => snapshot.service_role.as_mut(),
            Role::Deploy => snapshot.deploy_role.as_mut(),
            Role::Event => snapshot.event_role.as_mut(),
        }
    }
}

/// Lists the documents that have a say, those of the callers first.
fn places(snapshot: &Snapshot) -> Vec<Place> {
    let mut places = Vec::new();
    for role in Role::ALL {
        let inline = role.find(snapshot).into_iter().flat_map(|found| found.inline.keys());
        places.extend(inline.map(|name| Place::Inline(role, name.clone())));
    }
    places.extend(snapshot.policies.keys().cloned().map(Place::Policy));
    places.extend(Role::ALL.map(Place::Trust));
    places.extend(snapshot.keys.keys().cloned().map(Place::Key));
    places.extend(snapshot.artifact_buckets.keys().cloned().map(Place::Bucket));
    places.extend(snapshot.customer_keys.keys().cloned().map(Place::CustomerKey));
    places
}

fn known(key: &mut Readable<KeyFound>) -> Option<&mut KeyFound> {
    match key {
        Readable::Known(found) => Some(found),
        Readable::Unknown(_) => None,
    }
}

impl Place {
    fn document<'s>(&self, snapshot: &'s mut Snapshot) -> Option<&'s mut Value> {
        match self {
            Place::Trust(role) => role.find_mut(snapshot).map(|found| &mut found.trust),
            Place::Inline(role, name) => role.find_mut(snapshot)?.inline.get_mut(name),
            Place::Policy(arn) => snapshot.policies.get_mut(arn).map(|found| &mut found.document),
            Place::Key(region) => snapshot.keys.get_mut(region)?.found.as_mut()?.policy.as_mut(),
            Place::CustomerKey(arn) => known(snapshot.customer_keys.get_mut(arn)?)?.policy.as_mut(),
            Place::Bucket(region) => snapshot.artifact_buckets.get_mut(region)?.found.as_mut()?.policy.as_mut(),
        }
    }

    /// Makes the write that puts another document here.
    fn write(&self, snapshot: &Snapshot, before: &Value, after: &Value) -> Option<Write> {
        let (before, after) = (before.clone(), after.clone());
        let side_of = |account: &str| if account == snapshot.prod.account { Side::Prod } else { Side::Dev };
        let of_key = |key: &KeyFound, before: Value, after: Value| {
            let region = key.arn.split(':').nth(3).unwrap_or_default().to_owned();
            let call = Call::PutKeyPolicy { side: side_of(key.account()), region, key: key.arn.clone(), before: Some(before), after };
            Write::new(side_of(key.account()), Step::KeyUsers, &key.arn, &key.arn, format!("policy of key {}", key.arn), call)
        };
        Some(match self {
            Place::Trust(role) => {
                let found = role.find(snapshot)?;
                let call = Call::UpdateAssumeRolePolicy { name: found.name.clone(), before, after };
                Write::new(role.side(), Step::DeployRole, &found.arn, &found.arn, format!("trust policy of role {}", found.name), call)
            }
            Place::Inline(role, name) => {
                let found = role.find(snapshot)?;
                let call = Call::PutRolePolicy { role: found.name.clone(), name: name.clone(), before: Some(before), document: after };
                let title = format!("inline policy {name} of role {}", found.name);
                Write::new(role.side(), Step::ServiceRole, &found.arn, &found.arn, title, call)
            }
            Place::Policy(arn) => {
                let side = side_of(arn.split(':').nth(4)?);
                let call = Call::CreatePolicyVersion { arn: arn.clone(), before, document: after };
                Write::new(side, Step::DeployRole, arn, arn, format!("policy {}", arn.rsplit('/').next().unwrap_or(arn)), call)
            }
            Place::Key(region) => of_key(snapshot.keys.get(region)?.found.as_ref()?, before, after),
            Place::CustomerKey(arn) => match snapshot.customer_keys.get(arn)? {
                Readable::Known(found) => of_key(found, before, after),
                Readable::Unknown(_) => return None,
            },
            Place::Bucket(region) => {
                let bucket = &snapshot.artifact_buckets.get(region)?.name;
                let (arn, title) = (snapshot.dev.bucket(bucket), format!("policy of bucket {bucket}"));
                let call = Call::PutBucketPolicy { bucket: bucket.clone(), region: region.clone(), before: Some(before), after };
                Write::new(Side::Dev, Step::BucketPolicy, &arn, &arn, title, call)
            }
        })
    }
}

fn same_action(pattern: &str, action: &str) -> bool {
    matches_pattern(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}

/// Takes an action out of an Allow statement: a pattern gives way to the chain's other calls that it stood for. What would be
/// empty then is kept for somebody or something else. `None` if the statement doesn't allow the action.
fn without(statement: &Value, action: &str) -> Option<Value> {
    let allows = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
    let patterns = names_in(statement.get("Action"));
    if !allows || !patterns.iter().any(|pattern| same_action(pattern, action)) {
        return None;
    }
    let mut left: Vec<&str> = Vec::new();
    for pattern in patterns {
        if !same_action(pattern, action) {
            left.push(pattern);
            continue;
        }
        let others: BTreeSet<&str> = ROWS.iter().map(|row| row.action).filter(|other| *other != action).collect();
        left.extend(others.into_iter().filter(|other| pattern.contains('*') && same_action(pattern, other)));
    }
    let mut thin = statement.clone();
    if !left.is_empty() {
        thin["Action"] = json!(left);
    } else if statement.get("Resource").is_some() {
        let elsewhere = |arn: &str| Value::String(format!("{arn}-old"));
        thin["Resource"] = names_in(statement.get("Resource")).into_iter().map(elsewhere).collect();
    } else {
        thin["Principal"] = json!({"Service": "ec2.amazonaws.com"});
    }
    Some(thin)
}

/// One way to break a link.
#[derive(Debug, Clone)]
struct Way {
    changes: Vec<(Place, Value)>,
    /// The statements that it takes the action out of.
    statements: Vec<String>,
}

/// Puts other statements in the place of one.
fn replaced(document: &Value, index: usize, with: Vec<Value>) -> Value {
    let mut list: Vec<Value> = statements(document).into_iter().cloned().collect();
    list.splice(index..=index, with);
    let mut changed = document.clone();
    changed["Statement"] = json!(list);
    changed
}

/// Splits a statement: as it is for all its resources but one, and without the action for that one.
fn split(statement: &Value, thin: &Value) -> Vec<Vec<Value>> {
    let resources = names_in(statement.get("Resource"));
    let apart = |one: &&str| {
        let others: Vec<&&str> = resources.iter().filter(|other| other != &one).collect();
        let (mut kept, mut less) = (statement.clone(), thin.clone());
        kept["Resource"] = json!(others);
        less["Resource"] = json!(one);
        // A Sid stands once in a policy.
        if let Some(members) = less.as_object_mut() {
            members.remove("Sid");
        }
        vec![kept, less]
    };
    if resources.len() > 1 && thin.get("Resource") == statement.get("Resource") {
        resources.iter().map(apart).collect()
    } else {
        Vec::new()
    }
}

/// Gives the ways to deny an action: one statement, one resource of it, one document, all documents.
fn ways(snapshot: &Snapshot, action: &str) -> Vec<Way> {
    let mut scratch = snapshot.clone();
    let (mut single, mut whole) = (Vec::new(), Vec::new());
    for place in places(snapshot) {
        let Some(document) = place.document(&mut scratch) else { continue };
        let all: Vec<Value> = statements(document).into_iter().cloned().collect();
        let (mut thinned, mut named) = (document.clone(), Vec::new());
        for (index, statement) in all.iter().enumerate() {
            let Some(thin) = without(statement, action) else { continue };
            let name = statement_name(statement, index);
            let mut way = |with: Vec<Value>| {
                let changes = vec![(place.clone(), replaced(document, index, with))];
                single.push(Way { changes, statements: vec![name.clone()] });
            };
            way(vec![thin.clone()]);
            split(statement, &thin).into_iter().for_each(&mut way);
            thinned = replaced(&thinned, index, vec![thin]);
            named.push(name);
        }
        if !named.is_empty() {
            whole.push(Way { changes: vec![(place.clone(), thinned)], statements: named });
        }
    }
    let everywhere = Way {
        changes: whole.iter().flat_map(|way| way.changes.clone()).collect(),
        statements: whole.iter().flat_map(|way| way.statements.clone()).collect(),
    };
    single.into_iter().chain(whole).chain([everywhere]).collect()
}

/// What breaks a link.
#[derive(Debug, Clone)]
pub struct Break {
    /// The calls that do it.
    pub writes: Vec<Write>,
    /// What they do, for people.
    pub text: String,
    /// The links that are denied after it, among them the one that was asked for.
    pub denied: Vec<String>,
}

fn denied(proof: &Proof) -> Vec<String> {
    proof.links.iter().filter(|link| link.verdict == Verdict::Denied).map(|link| link.name.clone()).collect()
}

/// Finds the smallest change of a policy after which a link is denied.
///
/// # Errors
/// There is no link of that name, it isn't allowed as it is, or no change of a policy that setup writes denies it.
pub fn breaking(settings: &Settings, snapshot: &Snapshot, link: &str) -> Result<Break> {
    let proof = prove(settings, snapshot)?.ok_or_else(|| Error::internal("there is no pipeline whose chain could be broken"))?;
    let Some(wanted) = proof.links.iter().find(|judged| judged.name == link) else {
        return Err(Error::internal(format!("the chain of this pipeline has no link `{link}`")));
    };
    let mut best: Option<(Vec<String>, Way)> = None;
    for way in ways(snapshot, wanted.action) {
        let mut changed = snapshot.clone();
        for (place, document) in &way.changes {
            if let Some(there) = place.document(&mut changed) {
                *there = document.clone();
            }
        }
        let Some(after) = prove(settings, &changed)? else { continue };
        let hit = denied(&after);
        if hit.iter().any(|name| name == link) && best.as_ref().is_none_or(|(least, _)| hit.len() < least.len()) {
            best = Some((hit, way));
        }
    }
    let (denied, way) = best.ok_or_else(|| Error::internal(format!("nothing in the policies that setup writes allows `{link}` alone")))?;
    let mut scratch = snapshot.clone();
    let mut writes = Vec::new();
    for (place, after) in &way.changes {
        let Some(before) = place.document(&mut scratch).cloned() else { continue };
        writes.extend(place.write(snapshot, &before, after));
    }
    let documents: Vec<String> = writes.iter().map(|write| format!("{} in {}", write.title, write.account)).collect();
    let text = format!("{} taken out of {} ({})", wanted.action, documents.join(", "), way.statements.join(", "));
    Ok(Break { writes, text, denied })
}
