//! The way back: what xdeploy made goes, its statements leave what others own, and everything else stays and is listed.
//!
//! A pipeline of ours goes last: it says what the rest is called, so that a teardown that was stopped can be run again. A
//! pipeline of others is put back first: if that can't be done, nothing else is touched.

use super::blueprint::{Named, Names};
use super::declaration;
use super::names::{self, NOTIFICATION_TAG, TAG};
use super::observe;
use super::savable;
use super::snapshot::{BucketSlot, KeyFound, RoleFound, Snapshot, Tags, is_own};
use super::steps;
use super::write::{Call, EVERYTHING, Note, Step, Write};
use crate::aws::{Account, Accounts, decoded_key};
use crate::error::Result;
use crate::model::{Readable, Side};
use crate::policy;
use crate::settings::Settings;
use aws_sdk_s3::types::EncodingType;
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How long KMS keeps a key that is to be deleted, in days: its longest (facts/codepipeline.md D.1).
pub const KEY_DAYS: i32 = 30;

/// How many versions of an adopted pipeline are looked through for the one before ours.
const VERSIONS: usize = 50;

/// Something that stays, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// What stays.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What else a teardown must know: read by [`look_back`].
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// Declarations of a pipeline of others that holds our `roleArn`, newest first, down to the last one without it; empty if
    /// it doesn't hold ours, or no version without it is found.
    pub versions: Vec<Value>,
    /// Patterns of other rules on the default bus; `None` if they can't be read.
    pub patterns: Option<Vec<Value>>,
    /// Pipelines that made a shared key or bucket, as far as they still exist.
    pub living: BTreeSet<String>,
    /// The aliases of each key that may go, by ARN.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// Declarations of all other pipelines of the stores' regions, as text; `None` if they can't be read.
    pub other_pipelines: Option<Vec<String>>,
    /// Keys that some objects of the output bucket are encrypted with; `None` if they can't be read.
    pub output_keys: Option<BTreeSet<String>>,
}

/// Reads what only a teardown needs.
///
/// # Errors
/// A read failed.
pub async fn look_back(accounts: &Accounts, settings: &Settings, snapshot: &Snapshot) -> Result<Past> {
    let dev = &accounts.dev;
    let home = &snapshot.dev.region;
    let name = settings.pipeline.as_str();
    let arn = snapshot.dev.regional("codepipeline", home, name);
    let mut past = Past::default();
    if let Some(found) = snapshot.pipeline.as_ref().filter(|found| !is_own(&found.tags, &arn)) {
        past.versions = versions(dev, home, name, &found.declaration, settings, snapshot).await?;
    }
    if snapshot.rule.as_ref().is_some_and(|rule| rule.tags.contains_key(NOTIFICATION_TAG)) {
        past.patterns = other_patterns(dev, home, snapshot).await;
    }
    let keys: Vec<(&String, &KeyFound)> = snapshot.keys.iter().filter_map(|(region, slot)| Some((region, slot.found.as_ref()?))).collect();
    let makers = keys
        .iter()
        .filter_map(|(_, key)| key.tags.get(TAG))
        .chain(snapshot.artifact_buckets.values().filter_map(|slot| slot.found.as_ref()?.tags.get(TAG)));
    for maker in makers.filter(|maker| *maker != name).collect::<BTreeSet<_>>() {
        if observe::read_pipeline_version(dev, home, maker, None).await?.is_some() {
            past.living.insert(maker.clone());
        }
    }
    // What is asked only before a key is scheduled or a bucket is deleted costs a request for each pipeline of the region.
    if keys.iter().any(|(_, key)| key.tags.contains_key(TAG)) {
        for (region, key) in &keys {
            past.aliases.insert(key.arn.clone(), aliases(dev, region, key).await?);
        }
        past.output_keys = output_keys(accounts, snapshot).await;
    }
    let buckets = snapshot.artifact_buckets.values().filter_map(|slot| slot.found.as_ref());
    if keys.iter().any(|(_, key)| key.tags.contains_key(TAG)) || buckets.into_iter().any(|bucket| bucket.tags.contains_key(TAG)) {
        // A store's key and bucket are their region's, and so are the pipelines that may share them.
        let mut others = Some(Vec::new());
        for region in snapshot.keys.keys() {
            let here = other_pipelines(dev, region, Some(name).filter(|_| region == home)).await;
            others = others.zip(here).map(|(all, here)| [all, here].concat());
        }
        past.other_pipelines = others;
    }
    Ok(past)
}

async fn aliases(dev: &Account, region: &str, key: &KeyFound) -> Result<Vec<String>> {
    let kms = dev.kms(region);
    let (mut found, mut marker) = (Vec::new(), None);
    loop {
        let request = kms.list_aliases().key_id(key.id()).limit(100).set_marker(marker).send();
        let page = dev.call("kms:ListAliases", &key.arn, request).await?;
        let ours = page.aliases().iter().filter(|alias| alias.target_key_id() == Some(key.id()));
        found.extend(ours.filter_map(|alias| alias.alias_name()).map(str::to_owned));
        marker = page.next_marker().filter(|_| page.truncated()).map(str::to_owned);
        if marker.is_none() {
            return Ok(found);
        }
    }
}

async fn other_pipelines(dev: &Account, home: &str, but: Option<&str>) -> Option<Vec<String>> {
    let client = dev.codepipeline(home);
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let page = dev.call("codepipeline:ListPipelines", "*", client.list_pipelines().set_next_token(token).send()).await.ok()?;
        names.extend(page.pipelines().iter().filter_map(|pipeline| pipeline.name()).filter(|other| Some(*other) != but).map(str::to_owned));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let read = stream::iter(names.into_iter().map(|name| async move { observe::read_pipeline_version(dev, home, &name, None).await }));
    let found: Vec<_> = read.buffer_unordered(8).collect().await;
    found.into_iter().map(|found| found.ok().map(|found| found.map(|found| found.declaration.to_string()).unwrap_or_default())).collect()
}

/// Asks some objects of the output bucket for their key: whether CodePipeline encrypts what it deploys with the store's key is
/// not documented (facts A.2), and a key that is to be deleted decrypts nothing from that moment on.
async fn output_keys(accounts: &Accounts, snapshot: &Snapshot) -> Option<BTreeSet<String>> {
    let prod = &accounts.prod;
    let Some(found) = &snapshot.output.found else { return Some(BTreeSet::new()) };
    let bucket = &snapshot.output.name;
    let s3 = prod.s3(&found.region);
    let arn = snapshot.prod.bucket(bucket);
    let mut token = None;
    let page = loop {
        let request = s3.list_objects_v2().bucket(bucket).max_keys(20).encoding_type(EncodingType::Url).set_continuation_token(token);
        let page = prod.call("s3:ListBucket", &arn, request.expected_bucket_owner(&prod.id).send()).await.ok()?;
        token = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true)).map(str::to_owned);
        // A page may be empty although another follows.
        if token.is_none() || !page.contents().is_empty() {
            break page;
        }
    };
    let mut keys = BTreeSet::new();
    for key in page.contents().iter().filter_map(|object| object.key()) {
        let key = decoded_key(key, page.encoding_type());
        let request = s3.head_object().bucket(bucket).key(&key).expected_bucket_owner(&prod.id).send();
        let head = prod.call("s3:GetObject", format!("{arn}/{key}"), request).await.ok()?;
        keys.extend(head.ssekms_key_id().map(str::to_owned));
    }
    Some(keys)
}

async fn versions(dev: &Account, home: &str, name: &str, current: &Value, settings: &Settings, snapshot: &Snapshot) -> Result<Vec<Value>> {
    let Some(role) = our_role(current, settings, snapshot) else { return Ok(Vec::new()) };
    let mut versions = vec![current.clone()];
    let newest = current.get("version").and_then(Value::as_i64).unwrap_or(1);
    for version in (1..newest).rev().take(VERSIONS) {
        let found = observe::read_pipeline_version(dev, home, name, i32::try_from(version).ok()).await?;
        let Some(found) = found else { break };
        let before_ours = deploy_role_of(&found.declaration, settings, snapshot) != Some(&role);
        versions.push(found.declaration);
        if before_ours {
            return Ok(versions);
        }
    }
    Ok(Vec::new())
}

fn deploy_role_of<'a>(declaration: &'a Value, settings: &Settings, snapshot: &Snapshot) -> Option<&'a str> {
    let bucket = Some(snapshot.output.name.as_str()).filter(|name| !name.is_empty());
    let place = declaration::choose_deploy(declaration, bucket, settings.stage.as_deref(), settings.action.as_deref()).ok()?;
    declaration::action_at(declaration, place)?.get("roleArn")?.as_str()
}

/// Gives the `roleArn` of a pipeline of others if setup wrote it: the role is ours, or trusts the pipeline by our statement.
/// A role that a person put there by hand, as the article says, stays theirs.
fn our_role(declaration: &Value, settings: &Settings, snapshot: &Snapshot) -> Option<String> {
    let role = deploy_role_of(declaration, settings, snapshot)?;
    let found = snapshot.deploy_role.as_ref().filter(|found| found.arn == role)?;
    let arn = snapshot.dev.regional("codepipeline", &snapshot.dev.region, settings.pipeline.as_str());
    let statement = format!("{}Trust", names::sid_prefix(settings.pipeline.as_str()));
    (is_own(&found.tags, &arn) || policy::sids(&found.trust).contains(statement.as_str())).then(|| role.to_owned())
}

async fn other_patterns(dev: &Account, home: &str, snapshot: &Snapshot) -> Option<Vec<Value>> {
    let ours = snapshot.rule.as_ref().map(|rule| rule.name.as_str());
    let events = dev.events(home);
    let mut patterns = Vec::new();
    let mut token = None;
    loop {
        let page = dev.call("events:ListRules", "*", events.list_rules().set_next_token(token).send()).await.ok()?;
        let others = page.rules().iter().filter(|rule| rule.name() != ours);
        // One that can't be read may be the one that listens.
        let read: std::result::Result<Vec<Value>, serde_json::Error> =
            others.filter_map(|rule| rule.event_pattern()).map(serde_json::from_str).collect();
        patterns.extend(read.ok()?);
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Some(patterns);
        }
    }
}

/// What a teardown will do and leave.
#[derive(Debug, Default)]
pub struct Undo {
    /// The writes, in order.
    pub writes: Vec<Write>,
    /// What stays.
    pub left: Vec<Left>,
    /// What else to know.
    pub notes: Vec<Note>,
}

impl Undo {
    fn leave(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.left.push(Left { what: what.into(), why: why.into() });
    }
}

/// Lets a role go only after the documents that name it: as soon as it is gone, AWS shows its unique id in the ARN's place (facts
/// D.2), and what was read before would seem to have been changed by somebody.
fn documents_first(writes: &mut [Write]) {
    let roles: Vec<String> =
        writes.iter().filter(|write| matches!(write.call, Call::DeleteRole { .. })).map(|write| write.resource.clone()).collect();
    let named = |write: &Write| -> Vec<String> {
        let before = write.call.documents().0.unwrap_or_default();
        let principals = policy::statements(&before).into_iter().flat_map(|statement| {
            let of = |member: &str| policy::names_in(statement.get(member).and_then(|principal| principal.get("AWS")));
            [of("Principal"), of("NotPrincipal")].concat()
        });
        let principals: Vec<&str> = principals.collect();
        roles.iter().filter(|role| principals.contains(&role.as_str())).cloned().collect()
    };
    let token = |role: &str| format!("unnamed:{role}");
    for write in writes.iter_mut() {
        let named = named(write);
        write.gives.extend(named.iter().map(|role| token(role)));
        if matches!(write.call, Call::DeleteRole { .. }) {
            write.needs.push(token(&write.resource));
        }
    }
    // A write waits only for those before it.
    writes.sort_by_key(|write| match write.call {
        Call::UpdatePipeline { .. } => 0,
        _ if write.gives.iter().any(|given| given.starts_with("unnamed:")) => 1,
        _ => 2,
    });
}

/// Judges what is to be undone.
///
/// # Errors
/// The names can't be resolved, or AWS would not save a document without our statements.
pub fn undo(settings: &Settings, snapshot: &Snapshot, past: &Past, keep_key: bool) -> Result<Undo> {
    let declaration = snapshot.pipeline.as_ref().map(|found| &found.declaration);
    let names = Names::resolve(settings, &snapshot.dev, &snapshot.prod, declaration)?;
    let scene = Scene { settings, snapshot, past, names: &names, own: names::own_sids(settings.pipeline.as_str()), keep_key };
    let mut undo = Undo::default();
    scene.put_back(&mut undo);
    scene.rule(&mut undo);
    scene.roles(&mut undo);
    scene.artifact_buckets(&mut undo);
    scene.keys(&mut undo);
    scene.customer_keys(&mut undo);
    scene.user_buckets(&mut undo);
    scene.pipeline(&mut undo);
    documents_first(&mut undo.writes);
    undo.notes = savable::take_out(&mut undo.writes, snapshot, &settings.remove_dead_principals);
    savable::refuse_unsavable(&undo.writes, snapshot, settings.pipeline.as_str())?;
    // If a pipeline of others can't be put back, nothing else goes.
    for write in undo.writes.iter_mut().filter(|write| !matches!(write.call, Call::UpdatePipeline { .. })) {
        write.needs.push("put back".to_owned());
    }
    Ok(undo)
}

struct Scene<'a> {
    settings: &'a Settings,
    snapshot: &'a Snapshot,
    past: &'a Past,
    names: &'a Names,
    own: BTreeSet<String>,
    keep_key: bool,
}

impl Scene<'_> {
    fn pipeline_name(&self) -> &str {
        self.settings.pipeline.as_str()
    }

    fn owns(&self, tags: &Tags) -> bool {
        is_own(tags, &self.snapshot.dev.regional("codepipeline", self.home(), self.pipeline_name()))
    }

    fn home(&self) -> &str {
        &self.snapshot.dev.region
    }

    fn has_ours(&self, document: &Value) -> bool {
        policy::sids(document).into_iter().any(|sid| self.own.contains(sid))
    }

    /// Says whether statements of other pipelines that xdeploy set up are in a document.
    fn shared(&self, document: Option<&Value>) -> bool {
        document.is_some_and(|document| policy::sids(document).into_iter().any(|sid| names::is_xdeploy_sid(sid) && !self.own.contains(sid)))
    }

    fn rule(&self, undo: &mut Undo) {
        let Some(found) = &self.snapshot.rule else { return };
        if !self.owns(&found.tags) {
            undo.leave(format!("EventBridge rule {}", found.name), "xdeploy did not make it");
            return;
        }
        let arn = self.snapshot.dev.regional("events", self.home(), &format!("rule/{}", found.name));
        let lane = format!("rule:{}", found.name);
        let region = self.home().to_owned();
        self.notification(undo, found.tags.get(NOTIFICATION_TAG).map(String::as_str));
        let ids: Vec<String> = found.targets.iter().filter_map(|target| target.get("Id")?.as_str()).map(str::to_owned).collect();
        if !ids.is_empty() {
            let call = Call::RemoveTargets { region: region.clone(), rule: found.name.clone(), ids };
            undo.writes.push(Write::new(Side::Dev, Step::ChangeDetection, &lane, &arn, format!("targets of rule {}", found.name), call));
        }
        let call = Call::DeleteRule { region, name: found.name.clone() };
        undo.writes.push(Write::new(Side::Dev, Step::ChangeDetection, &lane, &arn, format!("rule {}", found.name), call).needs(["quiet"]));
    }

    /// Turns the bucket's EventBridge notification off where setup turned it on and no other rule listens.
    fn notification(&self, undo: &mut Undo, turned_on: Option<&str>) {
        let slot = &self.snapshot.input;
        let Some(before) = slot.found.as_ref().and_then(|found| found.notification.clone()).filter(|xml| steps::has_eventbridge(xml))
        else {
            return;
        };
        let what = format!("EventBridge notification of {}", slot.name);
        if turned_on != Some(slot.name.as_str()) {
            undo.leave(what, "it was on before xdeploy came");
            return;
        }
        let heard = self.past.patterns.as_ref().map(|patterns| patterns.iter().any(|pattern| listens(pattern, &slot.name)));
        match heard {
            Some(false) => {}
            Some(true) => return undo.leave(what, "other rules listen to it"),
            None => return undo.leave(what, "whether other rules listen to it could not be read"),
        }
        let Some(after) = steps::without_eventbridge(&before) else { return };
        let arn = self.snapshot.dev.bucket(&slot.name);
        let call = Call::PutBucketNotification { bucket: slot.name.clone(), region: self.home().to_owned(), before, after };
        undo.writes.push(Write::new(Side::Dev, Step::ChangeDetection, &arn, &arn, format!("{what}: off"), call).gives("quiet"));
    }

    fn roles(&self, undo: &mut Undo) {
        let pipeline = self.pipeline_name();
        let service_inline = names::inline_name(pipeline);
        let event_inline = names::event_inline_name(self.home(), pipeline);
        let names = self.names;
        self.role(undo, Side::Dev, Step::ChangeDetection, self.snapshot.event_role.as_ref(), &event_inline, &[]);
        self.role(undo, Side::Dev, Step::AssumeRole, self.snapshot.service_role.as_ref(), &service_inline, &[&names.assume_policy]);
        let prod = [&names.output_policy, &names.artifact_policy];
        self.role(undo, Side::Prod, Step::DeployRole, self.snapshot.deploy_role.as_ref(), "", &prod);
        self.policy(undo, Side::Dev, Step::AssumeRole, &names.assume_policy);
        self.policy(undo, Side::Prod, Step::DeployRole, &names.output_policy);
        self.policy(undo, Side::Prod, Step::DeployRole, &names.artifact_policy);
    }

    fn own_policy(&self, named: &Named) -> bool {
        self.snapshot.policies.get(&named.arn).is_some_and(|found| self.owns(&found.tags))
    }

    fn role(&self, undo: &mut Undo, side: Side, step: Step, found: Option<&RoleFound>, inline: &str, policies: &[&Named]) {
        let Some(found) = found else { return };
        let lane = format!("role:{side}:{}", found.name);
        let push = |undo: &mut Undo, title: String, call: Call, gives: Option<String>| {
            let write = Write::new(side, step, &lane, &found.arn, title, call);
            undo.writes.push(match gives {
                Some(token) => write.gives(token),
                None => write,
            });
        };
        for named in policies.iter().filter(|named| self.own_policy(named) && found.attached.contains(&named.arn)) {
            let call = Call::DetachRolePolicy { role: found.name.clone(), arn: named.arn.clone() };
            push(undo, format!("policy {} from {}", named.name, found.name), call, Some(format!("detached:{}", named.arn)));
        }
        let own = self.owns(&found.tags);
        // In a role of others only the name that nobody else gives is ours: the console's event policy has the other one.
        if found.inline.contains_key(inline) && (own || names::is_inline_name(inline)) {
            let call = Call::DeleteRolePolicy { role: found.name.clone(), name: inline.to_owned() };
            push(undo, format!("inline policy {inline} of {}", found.name), call, None);
        }
        let others_attached = found.attached.iter().any(|arn| !policies.iter().any(|named| named.arn == *arn && self.own_policy(named)));
        let others_inline = found.inline.keys().any(|name| name != inline);
        if own && !others_attached && !others_inline {
            push(undo, format!("role {}", found.name), Call::DeleteRole { name: found.name.clone() }, None);
            return;
        }
        if self.has_ours(&found.trust)
            && let Some(after) = policy::remove(&found.trust, &self.own)
        {
            let call = Call::UpdateAssumeRolePolicy { name: found.name.clone(), before: found.trust.clone(), after };
            push(undo, format!("trust of {}: without our statement", found.name), call, None);
        }
        let why = if own { "others gave it policies" } else { "xdeploy did not make it" };
        undo.leave(format!("role {} in {side}", found.name), why);
    }

    fn policy(&self, undo: &mut Undo, side: Side, step: Step, named: &Named) {
        let Some(found) = self.snapshot.policies.get(&named.arn) else { return };
        if !self.own_policy(named) {
            undo.leave(format!("policy {} in {side}", named.name), "xdeploy did not make it");
            return;
        }
        let detached =
            undo.writes.iter().filter(|write| matches!(&write.call, Call::DetachRolePolicy { arn, .. } if *arn == named.arn)).count();
        if usize::try_from(found.attachments).unwrap_or(0) > detached {
            undo.leave(format!("policy {} in {side}", named.name), "it is attached to something else as well");
            return;
        }
        for version in found.versions.iter().filter(|version| **version != found.default_version) {
            let call = Call::DeletePolicyVersion { arn: named.arn.clone(), version: version.clone() };
            let title = format!("version {version} of policy {}", named.name);
            undo.writes.push(Write::new(side, step, &named.arn, &named.arn, title, call));
        }
        let call = Call::DeletePolicy { arn: named.arn.clone() };
        undo.writes.push(
            Write::new(side, step, &named.arn, &named.arn, format!("policy {}", named.name), call)
                .needs([format!("detached:{}", named.arn)]),
        );
    }

    /// Says whether a key or bucket was made for another pipeline that may still need it: that pipeline exists, or we have no part in it.
    fn made_for_others(&self, tags: &Tags, document: Option<&Value>) -> Option<String> {
        let maker = tags.get(TAG).filter(|maker| *maker != self.pipeline_name())?;
        let no_part = !document.is_some_and(|document| self.has_ours(document));
        (no_part || self.past.living.contains(maker)).then(|| format!("it was made for pipeline {maker}"))
    }

    /// Says whether another pipeline of the region names this; `None` if they can't be read.
    fn named_elsewhere(&self, words: &[&str]) -> Option<bool> {
        let others = self.past.other_pipelines.as_ref()?;
        Some(others.iter().any(|text| words.iter().any(|word| text.contains(&format!("\"{word}\"")))))
    }

    fn artifact_buckets(&self, undo: &mut Undo) {
        for (region, slot) in &self.snapshot.artifact_buckets {
            let Some(found) = &slot.found else { continue };
            let arn = self.snapshot.dev.bucket(&slot.name);
            let what = format!("artifact bucket {}", slot.name);
            let made_by_us = found.tags.contains_key(TAG);
            let named = self.named_elsewhere(&[&slot.name]);
            let shared = self.shared(found.policy.as_ref())
                || self.made_for_others(&found.tags, found.policy.as_ref()).is_some()
                || named == Some(true);
            if made_by_us && !shared && named.is_some() && found.empty == Some(true) {
                let call = Call::DeleteBucket { bucket: slot.name.clone(), region: region.clone() };
                undo.writes.push(Write::new(Side::Dev, Step::BucketPolicy, &arn, &arn, what, call));
                continue;
            }
            if let Some(live) = found.policy.as_ref().filter(|live| self.has_ours(live)) {
                let bucket = slot.name.clone();
                let call = match policy::remove(live, &self.own) {
                    Some(after) => Call::PutBucketPolicy { bucket, region: region.clone(), before: Some(live.clone()), after },
                    None => Call::DeleteBucketPolicy { bucket, region: region.clone(), before: live.clone() },
                };
                let title = format!("policy of {}: without our statements", slot.name);
                undo.writes.push(Write::new(Side::Dev, Step::BucketPolicy, &arn, &arn, title, call));
            }
            let why = match (made_by_us, shared) {
                (false, _) => "xdeploy did not make it",
                (true, true) => "another pipeline uses it",
                (true, false) if named.is_none() => "whether another pipeline names it could not be read",
                (true, false) => {
                    "it holds objects, which can't be read once the key is deleted; empty it and delete it by hand, or keep the key with `--keep-key`"
                }
            };
            undo.leave(what, why);
        }
    }

    /// Says whether the pipeline will still name the key when everything is undone.
    fn still_named(&self, key: &str) -> bool {
        let Some(found) = self.snapshot.pipeline.as_ref().filter(|found| !self.owns(&found.tags)) else { return false };
        let after = self.restored().map_or_else(|| found.declaration.clone(), |(after, _)| after);
        after.to_string().contains(key)
    }

    fn keys(&self, undo: &mut Undo) {
        // A primary goes after its replicas (facts C).
        let mut slots: Vec<_> = self.snapshot.keys.iter().filter_map(|(region, slot)| Some((region, slot.found.as_ref()?))).collect();
        slots.sort_by_key(|(_, found)| found.primary_region.is_none());
        for (region, found) in slots {
            if found.manager == "AWS" || found.state.starts_with("Pending") {
                continue;
            }
            let lane = format!("key:{region}");
            let what = format!("key {}", found.arn);
            let why = self.why_kept(found);
            let Some(why) = why else {
                for alias in self.past.aliases.get(&found.arn).into_iter().flatten() {
                    let resource = self.snapshot.dev.regional("kms", region, alias);
                    let call = Call::DeleteAlias { region: region.clone(), alias: alias.clone() };
                    undo.writes.push(Write::new(Side::Dev, Step::Key, &lane, resource, format!("{alias} in {region}"), call));
                }
                let call = Call::ScheduleKeyDeletion { region: region.clone(), key: found.arn.clone(), days: KEY_DAYS };
                let title = format!("deletion of {what} in {KEY_DAYS} days");
                undo.writes.push(
                    Write::new(Side::Dev, Step::Key, &lane, &found.arn, title, call)
                        .needs(if found.primary_region.is_none() { vec!["replicas"] } else { Vec::new() })
                        .gives(if found.primary_region.is_some() { "replicas" } else { "primary" }),
                );
                continue;
            };
            self.statements_out(undo, Side::Dev, region, found);
            undo.leave(what, why);
        }
    }

    fn why_kept(&self, found: &KeyFound) -> Option<String> {
        if !found.tags.contains_key(TAG) {
            return Some("xdeploy did not make it".to_owned());
        }
        if self.keep_key {
            return Some("`--keep-key`".to_owned());
        }
        if self.shared(found.policy.as_ref()) {
            return Some("another pipeline uses it".to_owned());
        }
        if let Some(why) = self.made_for_others(&found.tags, found.policy.as_ref()) {
            return Some(why);
        }
        let mut words = vec![found.arn.as_str(), found.id()];
        words.extend(self.past.aliases.get(&found.arn).into_iter().flatten().map(String::as_str));
        match self.named_elsewhere(&words) {
            Some(false) => {}
            Some(true) => return Some("another pipeline names it".to_owned()),
            None => return Some("whether another pipeline names it could not be read".to_owned()),
        }
        let encrypts = |slot: &BucketSlot| {
            let key = slot.found.as_ref().and_then(|bucket| bucket.encryption.as_ref()?.known()?.key.clone());
            key.is_some_and(|key| words.iter().any(|word| key == *word || key.ends_with(&format!(":{word}"))))
        };
        if let Some(slot) = [&self.snapshot.input, &self.snapshot.output].into_iter().find(|slot| encrypts(slot)) {
            return Some(format!("{} is encrypted with it", slot.name));
        }
        match &self.past.output_keys {
            None => return Some("whether deployed objects are encrypted with it could not be read".to_owned()),
            Some(keys) if keys.iter().any(|key| words.iter().any(|word| key == word)) => {
                return Some(format!("objects of {} are encrypted with it", self.snapshot.output.name));
            }
            Some(_) => {}
        }
        let others = found.policy.as_ref().is_some_and(|live| {
            policy::statements(live).into_iter().any(|statement| {
                let sid = statement.get("Sid").and_then(Value::as_str).unwrap_or_default();
                ![steps::ROOT_SID, steps::ADMINISTRATORS_SID].contains(&sid) && !self.own.contains(sid)
            })
        });
        if others {
            return Some("others have statements in its policy".to_owned());
        }
        self.still_named(&found.arn).then(|| "the pipeline still names it".to_owned())
    }

    fn statements_out(&self, undo: &mut Undo, side: Side, region: &str, found: &KeyFound) {
        let Some(live) = &found.policy else { return };
        if let Some(after) = policy::remove(live, &self.own).filter(|after| after != live) {
            let call = Call::PutKeyPolicy { side, region: region.to_owned(), key: found.arn.clone(), before: Some(live.clone()), after };
            let title = format!("policy of {}: without our statements", found.arn);
            undo.writes.push(Write::new(side, Step::KeyUsers, format!("key:{}", found.arn), &found.arn, title, call));
        }
    }

    fn customer_keys(&self, undo: &mut Undo) {
        let stores: BTreeSet<&str> = self.snapshot.keys.values().filter_map(|slot| Some(slot.found.as_ref()?.arn.as_str())).collect();
        for found in self.snapshot.customer_keys.values().filter_map(Readable::known) {
            if stores.contains(found.arn.as_str()) || !found.policy.as_ref().is_some_and(|live| self.has_ours(live)) {
                continue;
            }
            let side = if found.account() == self.snapshot.dev.account { Side::Dev } else { Side::Prod };
            let region = found.arn.split(':').nth(3).unwrap_or_default().to_owned();
            self.statements_out(undo, side, &region, found);
        }
    }

    fn user_buckets(&self, undo: &mut Undo) {
        let buckets: [(Side, &str, &BucketSlot); 2] =
            [(Side::Dev, "input", &self.snapshot.input), (Side::Prod, "output", &self.snapshot.output)];
        for (side, kind, slot) in buckets {
            let Some(found) = &slot.found else { continue };
            let identity = if side == Side::Dev { &self.snapshot.dev } else { &self.snapshot.prod };
            let arn = identity.bucket(&slot.name);
            let what = format!("{kind} bucket {}", slot.name);
            if self.owns(&found.tags) && found.empty == Some(true) {
                let call = Call::DeleteBucket { bucket: slot.name.clone(), region: found.region.clone() };
                undo.writes.push(Write::new(side, Step::Buckets, &arn, &arn, what, call));
            } else if self.owns(&found.tags) {
                undo.leave(what, "it holds objects; empty it and delete it by hand");
            } else {
                let versioned = if side == Side::Dev { ", with versioning as it is" } else { "" };
                undo.leave(what, format!("xdeploy did not make it{versioned}"));
            }
        }
    }

    fn pipeline(&self, undo: &mut Undo) {
        let Some(found) = self.snapshot.pipeline.as_ref().filter(|found| self.owns(&found.tags)) else { return };
        let (name, region) = (self.pipeline_name(), self.home().to_owned());
        let call = Call::DeletePipeline { region, name: name.to_owned() };
        undo.writes
            .push(Write::new(Side::Dev, Step::Pipeline, &found.arn, &found.arn, format!("pipeline {name}"), call).needs([EVERYTHING]));
    }

    fn put_back(&self, undo: &mut Undo) {
        let Some(found) = self.snapshot.pipeline.as_ref().filter(|found| !self.owns(&found.tags)) else { return };
        let (name, arn, region) = (self.pipeline_name(), &found.arn, self.home().to_owned());
        undo.leave(format!("pipeline {name}"), "xdeploy did not make it");
        match self.restored() {
            Some((after, changed)) => {
                for (field, why) in changed.kept {
                    undo.leave(format!("{field} of pipeline {name}"), why);
                }
                if !changed.back.is_empty() {
                    let call = Call::UpdatePipeline { region, before: found.declaration.clone(), after };
                    let title = format!("pipeline {name}: {} as before", changed.back.join(", "));
                    undo.writes.push(Write::new(Side::Dev, Step::Pipeline, arn, arn, title, call).gives("put back"));
                }
            }
            None if our_role(&found.declaration, self.settings, self.snapshot).is_some() => {
                undo.leave(format!("roleArn of pipeline {name}"), "no version of the pipeline without it was found");
            }
            None if deploy_role_of(&found.declaration, self.settings, self.snapshot).is_some() => {
                undo.leave(
                    format!("roleArn of pipeline {name}"),
                    "it names a role that xdeploy did not make, so who put it there isn't known",
                );
            }
            None => {}
        }
    }

    /// Puts an adopted pipeline's fields back from its own history, each only where nobody changed it since.
    fn restored(&self) -> Option<(Value, Restored)> {
        let (current, rest) = self.past.versions.split_first()?;
        let before = rest.last()?;
        // The version right after `before` is the one that we wrote first.
        let ours = self.past.versions.get(self.past.versions.len() - 2)?;
        let bucket = Some(self.snapshot.output.name.as_str()).filter(|name| !name.is_empty());
        let choose = |declaration: &Value| {
            declaration::choose_deploy(declaration, bucket, self.settings.stage.as_deref(), self.settings.action.as_deref()).ok()
        };
        let mut after = current.clone();
        let mut restored = Restored::default();
        let (place, old_place) = (choose(current)?, choose(before)?);
        let mut fields = Vec::new();
        if place == old_place && choose(ours) == Some(place) {
            fields.push(vec![format!("/stages/{}/actions/{}/roleArn", place.stage, place.action)]);
        } else {
            restored.kept.push(("roleArn".to_owned(), "its stages were moved since".to_owned()));
        }
        // The two forms exclude each other, so they go back together (facts C).
        fields.push(vec!["/artifactStore".to_owned(), "/artifactStores".to_owned()]);
        let our_rule = self.snapshot.rule.as_ref().is_some_and(|rule| self.owns(&rule.tags));
        for (place, _) in declaration::sources(current) {
            fields.push(vec![format!("/stages/{}/actions/{}/configuration/PollForSourceChanges", place.stage, place.action)]);
        }
        for paths in fields {
            let all = |document: &Value| -> Vec<Option<Value>> { paths.iter().map(|path| document.pointer(path).cloned()).collect() };
            let (was, wrote, is) = (all(before), all(ours), all(current));
            let field = paths[0].rsplit('/').next().unwrap_or_default().to_owned();
            if was == is {
                continue;
            }
            // A later setup may have turned polling off: our own rule says so, if only one value came after the old one.
            let later = field == "PollForSourceChanges" && our_rule && {
                let values: Vec<_> = self.past.versions.iter().map(all).collect();
                values.windows(2).filter(|pair| pair[0] != pair[1]).count() == 1
            };
            if wrote == is || later {
                for (path, value) in paths.iter().zip(was) {
                    set(&mut after, path, value);
                }
                restored.back.push(field);
            } else if wrote != was {
                restored.kept.push((field, "somebody changed it since".to_owned()));
            } else if field == "PollForSourceChanges" {
                restored.kept.push((field, "it was changed after setup, and by whom isn't known".to_owned()));
            }
        }
        Some((after, restored))
    }
}

/// What goes back, and what can't.
#[derive(Debug, Default)]
struct Restored {
    back: Vec<String>,
    kept: Vec<(String, String)>,
}

fn set(document: &mut Value, path: &str, value: Option<Value>) {
    let Some((parent, key)) = path.rsplit_once('/') else { return };
    let Some(Value::Object(members)) = document.pointer_mut(parent) else { return };
    match value {
        Some(value) => {
            members.insert(key.to_owned(), value);
        }
        None => {
            members.shift_remove(key);
        }
    }
}

/// Says whether a rule may live on S3's own events of this bucket.
fn listens(pattern: &Value, bucket: &str) -> bool {
    // A filter instead of a name may well match.
    let may_name = |value: Option<&Value>, wanted: &str| match value {
        None => true,
        Some(Value::Array(list)) => list.iter().any(|one| one.is_object() || one == wanted),
        Some(_) => true,
    };
    let may_be_s3 = may_name(pattern.get("source"), "aws.s3");
    let details = policy::names_in(pattern.get("detail-type"));
    let only_trail = !details.is_empty() && details.iter().all(|detail| *detail == "AWS API Call via CloudTrail");
    may_be_s3 && !only_trail && may_name(pattern.pointer("/detail/bucket/name"), bucket)
}
