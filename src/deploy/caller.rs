//! Whether whoever runs a plan may do its writes, decided before the first of them: what the caller's own policies, its boundary and
//! the organisation's policies say of each write as it will be sent.
//!
//! Pure. What can't be read stops nothing: such a write is counted, and tried. The policies of a session can't be read by anybody.

use super::after::stand_in;
use super::names::own_tags;
use super::permissions::{Command, Permission, of_write};
use super::snapshot::{Identity, KeyFound, Organisation, RoleFound, Snapshot, Tags};
use super::write::{Call, Write};
use crate::error::{Error, Result};
use crate::model::{Readable, Side, Verdict, account_of};
use crate::policy::{self, Decided, Decision, Reason};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How many reasons a refusal lists.
const LISTED: usize = 8;

/// A document with its name.
pub type NamedDocument = (String, Value);

/// Who runs a plan in one account, and what its own documents say, as far as they could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct CallerPermissions {
    /// The ARN, as STS gives it.
    pub arn: String,
    /// The ARN of the role of a session, with its path.
    pub role: Option<String>,
    /// The unique id of the user or role.
    pub id: Option<String>,
    /// The tags of a user; a session may bring others than its role has.
    pub tags: Option<Tags>,
    /// The policies of the user or role, and of the user's groups.
    pub policies: Vec<NamedDocument>,
    /// The permissions boundary.
    pub boundary: Option<NamedDocument>,
    /// What could not be read of the policies, and why.
    pub unread: Vec<String>,
    /// Why the boundary could not be read.
    pub boundary_unread: Option<String>,
}

impl CallerPermissions {
    /// Gives a caller of whom nothing was read yet.
    pub fn of(arn: &str) -> CallerPermissions {
        CallerPermissions {
            arn: arn.to_owned(),
            role: None,
            id: None,
            tags: None,
            policies: Vec::new(),
            boundary: None,
            unread: Vec::new(),
            boundary_unread: None,
        }
    }

    fn is_root(&self) -> bool {
        self.arn.ends_with(":root")
    }
}

/// One action of a write that its caller may not do, or of which that can't be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// The account's side.
    pub account: Side,
    /// What the write is, in words.
    pub write: String,
    /// IAM's name of the action.
    pub action: String,
    /// On what: an ARN.
    pub resource: String,
    /// By which document and statement, or what it hangs on.
    pub why: String,
    /// The statement that would allow it, where one of the caller's own would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<Value>,
}

/// What is known of the callers' permissions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// How many writes were looked at.
    pub writes: usize,
    /// How many of them are denied.
    pub denied_writes: usize,
    /// How many of them can't be told.
    pub unknown_writes: usize,
    /// What is denied.
    pub denied: Vec<Undone>,
    /// What can't be told.
    pub unknown: Vec<Undone>,
}

/// The callers and the organisations of the accounts that are written to.
#[derive(Debug, Clone, Default)]
pub struct KnownCallers {
    /// Who writes, by account.
    pub callers: BTreeMap<Side, CallerPermissions>,
    /// What the organisation says of each account, where it was asked.
    pub organisations: BTreeMap<Side, Organisation>,
}

/// Judges every write by what is known of who does it.
pub fn judge(writes: &[Write], snapshot: &Snapshot, callers: &KnownCallers, pipeline_arn: &str) -> Judgement {
    let mut judgement = Judgement::default();
    let tags = own_tags(pipeline_arn);
    let pipeline = pipeline_arn.rsplit(':').next().unwrap_or(pipeline_arn);
    for write in writes {
        let Some(caller) = callers.callers.get(&write.account) else { continue };
        judgement.writes += 1;
        let mut worst = Verdict::Allowed;
        for right in of_write(write, snapshot, pipeline).iter().filter(|right| !right.optional) {
            let organisation = callers.organisations.get(&write.account);
            let asked = AskedRight { write, right, snapshot, writes, caller, organisation, tags: &tags };
            let (verdict, undone) = asked.judged();
            worst = worst.max(verdict);
            match verdict {
                Verdict::Allowed => {}
                Verdict::CannotTell => judgement.unknown.push(undone),
                Verdict::Denied => judgement.denied.push(undone),
            }
        }
        judgement.denied_writes += usize::from(worst == Verdict::Denied);
        judgement.unknown_writes += usize::from(worst == Verdict::CannotTell);
    }
    judgement
}

/// One right of one write, as it will be asked for.
struct AskedRight<'a> {
    write: &'a Write,
    right: &'a Permission,
    snapshot: &'a Snapshot,
    writes: &'a [Write],
    caller: &'a CallerPermissions,
    organisation: Option<&'a Organisation>,
    tags: &'a Tags,
}

/// What a request is made of.
#[derive(Default)]
struct SentRequest {
    members: Map<String, Value>,
    context: Map<String, Value>,
    /// Keys that are certain not to be in the request, in lower case.
    absent: BTreeSet<String>,
    /// Name of each document: kind, level, name.
    papers: Vec<(&'static str, Option<usize>, String)>,
}

impl SentRequest {
    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.context.insert(key.to_owned(), value.into());
    }

    fn lacks(&mut self, keys: &[&str]) {
        self.absent.extend(keys.iter().map(|key| key.to_ascii_lowercase()));
    }

    fn paper(&mut self, member: &str, kind: &'static str, name: &str, document: &Value) {
        if let Some(list) = self.members.entry(member).or_insert_with(|| json!([])).as_array_mut() {
            list.push(document.clone());
        }
        self.papers.push((kind, None, name.to_owned()));
    }

    /// Gives the keys that a document asks for and nobody knows here.
    fn unknown(&self) -> Vec<String> {
        let mut asked = BTreeSet::new();
        policy::each_document(self.members.values(), &mut |document| asked.extend(policy::condition_keys(document)));
        let known: BTreeSet<String> = self.context.keys().map(|key| key.to_ascii_lowercase()).collect();
        // A tag that is asked for and not set is a tag that isn't there, where the tags are known at all.
        let of_known_tags =
            |key: &str| self.absent.iter().any(|absent| absent.ends_with("/*") && key.starts_with(absent.trim_end_matches('*')));
        asked.into_iter().filter(|key| !known.contains(key) && !self.absent.contains(key) && !of_known_tags(key)).collect()
    }
}

impl AskedRight<'_> {
    fn identity(&self) -> &Identity {
        self.snapshot.identity(self.write.account)
    }

    /// Says whether the call only reads.
    fn reads(&self) -> bool {
        let name = self.right.action.split(':').nth(1).unwrap_or_default();
        ["Get", "List", "Describe", "Head"].iter().any(|verb| name.starts_with(verb))
    }

    fn service(&self) -> &str {
        self.right.action.split(':').next().unwrap_or_default()
    }

    /// The resource, with one example where it has no name yet.
    fn resource(&self) -> String {
        let resource = &self.right.resource;
        let Some((start, _)) = resource.split_once(":key/*") else { return resource.clone() };
        let region = start.split(':').nth(3).unwrap_or_default();
        let own = match &self.write.call {
            Call::ReplicateKey { key, .. } => key,
            _ => &self.write.resource,
        };
        if own.contains(":key/") && own.split(':').nth(3) == Some(region) { own.clone() } else { stand_in(&self.snapshot.dev, region) }
    }

    fn judged(&self) -> (Verdict, Undone) {
        let resource = self.resource();
        let mut request = SentRequest::default();
        self.principal(&mut request);
        self.surroundings(&mut request);
        let unread = self.resource_policy(&mut request, &resource);
        self.own_context(&mut request);
        self.organisations(&mut request);
        let unknown = request.unknown();
        let mut whole = request.members.clone();
        whole.insert("action".to_owned(), json!(self.right.action));
        whole.insert("resource".to_owned(), json!(resource));
        whole.insert("resourceAccount".to_owned(), json!(self.identity().account));
        whole.insert("context".to_owned(), Value::Object(request.context.clone()));
        whole.insert("unknownContext".to_owned(), json!(unknown));
        let decision = policy::decide(&Value::Object(whole));
        let gap = |side: &str| match side {
            "identity" => !self.caller.unread.is_empty(),
            "boundary" => self.caller.boundary_unread.is_some(),
            "key" | "resource" => unread.is_some(),
            _ => false,
        };
        let gaps = || {
            let all = self.caller.unread.iter().chain(&self.caller.boundary_unread).chain(&unread);
            all.cloned().collect::<Vec<_>>().join("; ")
        };
        let lacks = decision.missing.iter().any(|missing| !gap(missing.side));
        let open = !self.caller.unread.is_empty() || self.caller.boundary_unread.is_some() || unread.is_some();
        let (verdict, why) = match decision.decided {
            Decided::ExplicitlyDenied => (Verdict::Denied, self.denial(&request, &decision)),
            Decided::ImplicitlyDenied if lacks => (Verdict::Denied, self.denial(&request, &decision)),
            Decided::ImplicitlyDenied => (Verdict::CannotTell, gaps()),
            Decided::Unknown if decision.unknown.is_empty() => (Verdict::CannotTell, gaps()),
            Decided::Unknown => (Verdict::CannotTell, format!("it hangs on {}", decision.unknown.join(", "))),
            Decided::Error => (Verdict::CannotTell, decision.errors.join("; ")),
            // A statement that wasn't read could still deny it.
            Decided::Allowed if open => (Verdict::CannotTell, gaps()),
            Decided::Allowed => (Verdict::Allowed, String::new()),
        };
        // Needed only where the account doesn't have that role yet, which nobody asks; and what is read beside a write is read only where
        // something has to be compared or waited for.
        let perhaps = self.right.action == "iam:CreateServiceLinkedRole" || self.reads();
        let verdict = if perhaps && verdict == Verdict::Denied { Verdict::CannotTell } else { verdict };
        let statement = decision.missing.iter().find(|missing| missing.side == "identity").and_then(|missing| missing.statement.clone());
        let undone = Undone {
            account: self.write.account,
            write: format!("{} {}", self.write.call.verb(), self.write.title),
            action: self.right.action.to_owned(),
            resource,
            why,
            statement: statement.filter(|_| verdict == Verdict::Denied),
        };
        (verdict, undone)
    }

    fn principal(&self, request: &mut SentRequest) {
        let caller = self.caller;
        request.members.insert("principal".to_owned(), json!(caller.arn));
        let account = account_of(&caller.arn);
        let kind = match &caller.arn {
            arn if arn.contains(":assumed-role/") => Some("AssumedRole"),
            _ if caller.is_root() => Some("Account"),
            arn if arn.contains(":user/") => Some("User"),
            _ => None,
        };
        request.set("aws:PrincipalAccount", account);
        if let Some(kind) = kind {
            request.set("aws:PrincipalType", kind);
        }
        // The session of a role that couldn't be read: its path isn't known, nor what hangs on it.
        if let Some(who) = caller.role.as_ref().or_else(|| Some(&caller.arn).filter(|_| matches!(kind, Some("User" | "Account")))) {
            request.set("aws:PrincipalArn", who.as_str());
        }
        if let Some(role) = &caller.role {
            request.members.insert("principalRole".to_owned(), json!(role));
            request.lacks(&["aws:username"]);
            if let (Some(id), Some(session)) = (&caller.id, caller.arn.rsplit('/').next()) {
                request.set("aws:userid", format!("{id}:{session}"));
            }
        } else if kind == Some("User") {
            request.set("aws:username", caller.arn.rsplit('/').next().unwrap_or_default());
            if let Some(id) = &caller.id {
                request.set("aws:userid", id.as_str());
            }
        }
        if let Some(tags) = &caller.tags {
            for (key, value) in tags {
                request.set(&format!("aws:PrincipalTag/{key}"), value.as_str());
            }
            request.lacks(&["aws:PrincipalTag/*"]);
        }
        request.members.insert("identityPolicies".to_owned(), json!([]));
        if caller.is_root() {
            // Nothing of its account limits the root user (facts G.1).
            let everything = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
            request.paper("identityPolicies", "identity", "the root user's own permissions", &everything);
        }
        for (name, document) in &caller.policies {
            request.paper("identityPolicies", "identity", name, document);
        }
        if let Some((name, document)) = &caller.boundary {
            request.paper("permissionBoundaries", "boundary", name, document);
        }
    }

    /// What every request of the caller's says.
    fn surroundings(&self, request: &mut SentRequest) {
        let identity = self.identity();
        request.set("aws:SecureTransport", "true");
        request.set("aws:CurrentTime", self.snapshot.read_at.text());
        request.set("aws:EpochTime", self.snapshot.read_at.text());
        request.set("aws:PrincipalIsAWSService", "false");
        request.set("aws:ViaAWSService", "false");
        request.set("aws:ResourceAccount", identity.account.as_str());
        request.lacks(&[
            "aws:CalledVia",
            "aws:CalledViaFirst",
            "aws:CalledViaLast",
            "aws:SourceArn",
            "aws:SourceAccount",
            "aws:SourceOrgID",
            "aws:SourceOrgPaths",
            "aws:PrincipalServiceName",
            "aws:PrincipalServiceNamesList",
        ]);
        let region = match (self.service(), self.write.resource.split(':').nth(3).filter(|region| !region.is_empty())) {
            // IAM answers in one region of each partition.
            ("iam", _) => (identity.partition == "aws").then(|| "us-east-1".to_owned()),
            (_, Some(region)) => Some(region.to_owned()),
            _ => region_of(&self.write.call).map(str::to_owned),
        };
        if let Some(region) = region {
            request.set("aws:RequestedRegion", region);
        }
        if self.service() == "s3" {
            request.set("s3:ResourceAccount", identity.account.as_str());
        }
        if self.service() == "kms" {
            request.set("kms:CallerAccount", identity.account.as_str());
            request.lacks(&["kms:ViaService", "kms:GrantIsForAWSResource", "kms:GranteePrincipal", "kms:GrantOperations"]);
        }
        if let Some(Readable::Known(id)) = self.organisation.map(|organisation| &organisation.id) {
            match id {
                Some(id) => {
                    request.set("aws:PrincipalOrgID", id.as_str());
                    request.set("aws:ResourceOrgID", id.as_str());
                }
                None => request.lacks(&["aws:PrincipalOrgID", "aws:ResourceOrgID", "aws:PrincipalOrgPaths", "aws:ResourceOrgPaths"]),
            }
        }
    }

    /// Puts in the resource's own policy; gives why it isn't known.
    fn resource_policy(&self, request: &mut SentRequest, resource: &str) -> Option<String> {
        match self.service() {
            "kms" if resource.contains(":key/") => {
                let region = resource.split(':').nth(3).unwrap_or_default();
                match self.key_found(resource) {
                    Some(found) => resource_tags(request, &found.tags),
                    None if self.is_making(region) => request.lacks(&["aws:ResourceTag/*", "kms:ResourceAliases"]),
                    // A key that is made has its tags from the start.
                    None if self.policy_of_new_key(region).is_some() => resource_tags(request, self.tags),
                    None => {}
                }
                let (name, found) = self.key_policy(resource);
                match found {
                    Some(document) => request.paper("resourcePolicy", "key", &name, &document),
                    None => return Some(format!("{name} could not be read")),
                }
            }
            "s3" => {
                let name = resource.split(":::").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
                let slots = self.snapshot.artifact_buckets.values().chain([&self.snapshot.input, &self.snapshot.output]);
                let found = slots.filter(|slot| slot.name == name).find_map(|slot| slot.found.as_ref())?;
                if let Some(document) = &found.policy {
                    request.paper("resourcePolicy", "resource", &format!("policy of bucket {name}"), document);
                }
                return found.policy_unread.as_ref().map(|why| format!("the policy of bucket {name} could not be read: {why}"));
            }
            "codepipeline" => match &self.snapshot.pipeline {
                Some(found) if found.arn == resource => resource_tags(request, &found.tags),
                Some(_) => {}
                None => resource_tags(request, &Tags::new()),
            },
            _ => {}
        }
        None
    }

    fn key_found(&self, arn: &str) -> Option<&KeyFound> {
        let known = self.snapshot.customer_keys.values().filter_map(Readable::known);
        let slots = self.snapshot.keys.values().filter_map(|slot| slot.found.as_ref());
        slots.chain(known).find(|found| found.arn == arn)
    }

    /// The policy with which a key of a region is made.
    fn policy_of_new_key(&self, region: &str) -> Option<&Value> {
        self.writes.iter().find_map(|write| match &write.call {
            Call::CreateKey { region: own, policy, .. } if own == region => Some(policy),
            Call::ReplicateKey { replica_region, policy, .. } if replica_region == region => Some(policy),
            _ => None,
        })
    }

    /// Says whether a key of a region isn't there yet: its tags come with it; all else that a write does with it comes after that.
    fn is_making(&self, region: &str) -> bool {
        self.right.action == "kms:TagResource"
            && match &self.write.call {
                Call::CreateKey { region: own, .. } => own == region,
                Call::ReplicateKey { replica_region, .. } => replica_region == region,
                _ => false,
            }
    }

    /// The policy of a key; of a new one, the policy with which it is made.
    fn key_policy(&self, resource: &str) -> (String, Option<Value>) {
        let region = resource.split(':').nth(3).unwrap_or_default();
        let account = &self.identity().account;
        if let Some(found) = self.key_found(resource) {
            return (format!("policy of key {resource}"), found.policy.clone());
        }
        let name = format!("policy of the new key in {region}");
        match self.policy_of_new_key(region) {
            Some(policy) if !self.is_making(region) => (name, Some(policy.clone())),
            // Before the key is there, the account's own policies decide.
            _ => {
                let own = json!({"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:*", "Resource": "*"});
                (name, Some(json!({"Version": "2012-10-17", "Statement": [own]})))
            }
        }
    }

    fn role(&self, arn: &str) -> Option<&RoleFound> {
        let slots = [&self.snapshot.service_role, &self.snapshot.deploy_role, &self.snapshot.event_role];
        slots.into_iter().flatten().find(|role| role.arn == arn)
    }

    fn request_tags(&self, request: &mut SentRequest, tags: &Tags) {
        for (key, value) in tags {
            request.set(&format!("aws:RequestTag/{key}"), value.as_str());
        }
        request.set("aws:TagKeys", json!(tags.keys().collect::<Vec<_>>()));
        request.lacks(&["aws:RequestTag/*"]);
    }

    /// What the call itself says.
    fn own_context(&self, request: &mut SentRequest) {
        if let Some(passed) = self.right.condition.as_ref().and_then(|condition| condition.pointer("/StringEquals/iam:PassedToService")) {
            request.set("iam:PassedToService", passed.clone());
        }
        if let Some(service) = self.right.condition.as_ref().and_then(|condition| condition.pointer("/StringEquals/iam:AWSServiceName")) {
            request.set("iam:AWSServiceName", service.clone());
        }
        let (tagged, extra) = match &self.write.call {
            Call::CreateKey { .. }
            | Call::ReplicateKey { .. }
            | Call::CreateRole { .. }
            | Call::CreatePolicy { .. }
            | Call::CreateBucket { .. } => (true, None),
            Call::PutRule { tags, .. } | Call::CreatePipeline { tags, .. } => (!tags.is_empty(), Some(tags)),
            _ => (false, None),
        };
        let reads = self.reads();
        let own_service = self.write.call.action().split(':').next() == Some(self.service());
        if tagged && own_service && !reads {
            self.request_tags(request, extra.unwrap_or(self.tags));
        } else if let Call::TagPipeline { key, value, .. } = &self.write.call {
            self.request_tags(request, &Tags::from([(key.clone(), value.clone())]));
        } else {
            request.lacks(&["aws:RequestTag/*", "aws:TagKeys"]);
        }
        match &self.write.call {
            Call::CreateKey { multi_region, .. } if !reads => {
                request.set("kms:KeySpec", "SYMMETRIC_DEFAULT");
                request.set("kms:KeyUsage", "ENCRYPT_DECRYPT");
                request.set("kms:KeyOrigin", "AWS_KMS");
                request.set("kms:MultiRegion", multi_region.to_string());
                request.set("kms:BypassPolicyLockoutSafetyCheck", "false");
            }
            Call::PutKeyPolicy { .. } => request.set("kms:BypassPolicyLockoutSafetyCheck", "false"),
            Call::CreateBucket { region, .. } => match region.as_str() {
                "us-east-1" => request.lacks(&["s3:LocationConstraint"]),
                region => request.set("s3:LocationConstraint", region),
            },
            Call::AttachRolePolicy { arn, .. } | Call::DetachRolePolicy { arn, .. } => request.set("iam:PolicyARN", arn.as_str()),
            Call::PutTargets { target, .. } => {
                if let Some(arn) = target.get("Arn") {
                    request.set("events:TargetArn", arn.clone());
                }
            }
            _ => {}
        }
        if self.service() == "iam" {
            self.of_iam(request);
        }
    }

    /// Boundary and tags of the role that a call is about.
    fn of_iam(&self, request: &mut SentRequest) {
        let arn = &self.right.resource;
        let is_new = self
            .writes
            .iter()
            .any(|write| matches!(write.call, Call::CreateRole { .. } | Call::CreatePolicy { .. }) && write.resource == *arn);
        let makes = matches!(self.right.action, "iam:CreateRole" | "iam:CreatePolicy");
        let role = self.role(arn);
        let given = self.writes.iter().find_map(|write| match &write.call {
            Call::CreateRole { boundary, .. } if write.resource == *arn => boundary.as_deref(),
            _ => None,
        });
        match role.and_then(|role| role.boundary.as_ref()).map(|boundary| boundary.arn.as_str()).or(given) {
            Some(boundary) => request.set("iam:PermissionsBoundary", boundary),
            None if role.is_some() || is_new => request.lacks(&["iam:PermissionsBoundary"]),
            None => {}
        }
        let tags = match (role, self.snapshot.policies.get(arn)) {
            (Some(role), _) => Some(&role.tags),
            (None, Some(policy)) => Some(&policy.tags),
            _ if is_new && !makes => Some(self.tags),
            _ => None,
        };
        for (key, value) in tags.into_iter().flatten() {
            request.set(&format!("aws:ResourceTag/{key}"), value.as_str());
            request.set(&format!("iam:ResourceTag/{key}"), value.as_str());
        }
        if tags.is_some() || makes {
            request.lacks(&["aws:ResourceTag/*", "iam:ResourceTag/*"]);
        }
    }

    fn organisations(&self, request: &mut SentRequest) {
        let Some(organisation) = self.organisation.filter(|organisation| !organisation.management) else { return };
        // Resource control policies are for these services only (ORG-RCP).
        let covered = matches!(self.service(), "s3" | "kms" | "sts");
        for (member, kind, word, levels) in [
            ("scps", "scp", "service control policy", organisation.scps.known()),
            ("rcps", "rcp", "resource control policy", organisation.rcps.known().filter(|_| covered)),
        ] {
            let Some(levels) = levels.filter(|levels| !levels.is_empty()) else { continue };
            let mut list = Vec::new();
            for (number, level) in levels.iter().enumerate() {
                list.push(Value::Array(level.policies.values().cloned().collect()));
                for name in level.policies.keys() {
                    request.papers.push((kind, Some(number), format!("{word} {name} on {}", level.target)));
                }
            }
            request.members.insert(member.to_owned(), Value::Array(list));
        }
    }

    /// Says by which document and statement it is denied, or which one lacks it.
    fn denial(&self, request: &SentRequest, decision: &Decision) -> String {
        let denies = |reason: &Reason| {
            let own = request.papers.iter().filter(|(kind, level, _)| *kind == reason.policy && *level == reason.level);
            let name = own.map(|(_, _, name)| name.as_str()).nth(reason.document).unwrap_or(reason.policy);
            let statement = reason.sid.clone().unwrap_or_else(|| format!("statement {}", reason.index));
            format!("{name}, {statement}: denies it")
        };
        if let Some(reason) = decision.because.iter().find(|reason| reason.deny) {
            return denies(reason);
        }
        let Some(missing) = decision.missing.first() else { return "nothing allows it".to_owned() };
        match missing.side {
            "identity" => "none of the caller's own policies allows it as it is asked for".to_owned(),
            "boundary" => {
                let name = self.caller.boundary.as_ref().map_or("the caller's permissions boundary", |(name, _)| name.as_str());
                format!("{name}: doesn't allow it as it is asked for")
            }
            "scp" | "rcp" => {
                let target = self.organisation.and_then(|organisation| {
                    let levels = if missing.side == "scp" { organisation.scps.known() } else { organisation.rcps.known() };
                    levels?.get(missing.level?).map(|level| level.target.clone())
                });
                let word = if missing.side == "scp" { "service" } else { "resource" };
                format!("no {word} control policy on {} allows it", target.unwrap_or_else(|| "the account".to_owned()))
            }
            _ => missing.text.clone(),
        }
    }
}

/// Puts in all tags that a resource has.
fn resource_tags(request: &mut SentRequest, tags: &Tags) {
    for (key, value) in tags {
        request.set(&format!("aws:ResourceTag/{key}"), value.as_str());
    }
    request.lacks(&["aws:ResourceTag/*"]);
}

fn region_of(call: &Call) -> Option<&str> {
    match call {
        Call::CreateKey { region, .. }
        | Call::CreateBucket { region, .. }
        | Call::DeleteBucket { region, .. }
        | Call::BlockPublicAccess { region, .. }
        | Call::EncryptBucket { region, .. }
        | Call::EnableVersioning { region, .. }
        | Call::PutBucketPolicy { region, .. }
        | Call::DeleteBucketPolicy { region, .. }
        | Call::PutBucketNotification { region, .. }
        | Call::UploadObject { region, .. }
        | Call::PutKeyPolicy { region, .. }
        | Call::CreateAlias { region, .. } => Some(region),
        Call::ReplicateKey { replica_region, .. } => Some(replica_region),
        _ => None,
    }
}

impl Judgement {
    /// Says in a line how many writes could not be looked at, and why; `None` where all could.
    pub fn unknown_line(&self) -> Option<String> {
        let first = self.unknown.first()?;
        let mut reasons: Vec<&str> = Vec::new();
        for undone in &self.unknown {
            if !reasons.contains(&undone.why.as_str()) {
                reasons.push(&undone.why);
            }
        }
        let more = match reasons.len() {
            0 | 1 => String::new(),
            count => format!(" (and {} more)", crate::model::counted(count - 1, "reason", "reasons")),
        };
        (self.unknown_writes > 0).then(|| {
            format!(
                "{} could not be checked: whether the caller may {} can't be told: {}{more}",
                crate::model::counted(self.unknown_writes, "write", "writes"),
                first.action,
                first.why
            )
        })
    }

    /// Lists what is denied, a line each.
    pub fn denied_lines(&self, snapshot: &Snapshot) -> Vec<String> {
        let line = |undone: &Undone| {
            let account = &snapshot.identity(undone.account).account;
            let resource = super::after::without_stand_ins(&undone.resource, snapshot);
            format!("{} ({account}), {}: {} on {resource}: {}", undone.account, undone.write, undone.action, undone.why)
        };
        self.denied.iter().map(line).collect()
    }

    /// Refuses a plan of which a write is denied to its caller.
    ///
    /// # Errors
    /// One is; the error names action, resource, document and statement, and what to do.
    pub fn refuse(&self, snapshot: &Snapshot, callers: &KnownCallers, command: Command, accept: Option<&str>) -> Result<()> {
        if self.denied.is_empty() {
            return Ok(());
        }
        let sides: BTreeSet<Side> = self.denied.iter().map(|undone| undone.account).collect();
        let who: Vec<&str> = sides.iter().filter_map(|side| callers.callers.get(side)).map(|caller| caller.arn.as_str()).collect();
        let permissions: Vec<String> =
            sides.iter().map(|side| format!("`xdeploy permissions --command {command} --side {side}`")).collect();
        let mut error = Error::refused(format!(
            "{} may not do {} of the {} writes of this plan, as far as its permissions can be read; nothing was changed",
            who.join(" and "),
            self.denied_writes,
            self.writes
        ))
        .hint(format!("use a profile that may do it, or have it allowed: {} prints all that is needed", permissions.join(" and ")));
        let lines = self.denied_lines(snapshot);
        for line in lines.iter().take(LISTED) {
            error = error.because(line.clone());
        }
        if lines.len() > LISTED {
            error = error.because(format!("and {} more", lines.len() - LISTED));
        }
        if let Some(statement) = self.denied.iter().find_map(|undone| undone.statement.as_ref()) {
            error = error.hint(format!("what is missing first: {statement}"));
        }
        let makes_roles = self.denied.iter().any(|undone| undone.action == "iam:CreateRole" && undone.statement.is_none());
        if makes_roles {
            error = error.hint(
                "where roles need a permissions boundary or tags there, make the role so first, and name it with `--service-role`, \
                 `--deploy-role` or `--event-role`: setup keeps what it has and puts its own policies beside it",
            );
        }
        if let Some(flag) = accept {
            error = error.hint(format!("pass `{flag}` to try it all the same"));
        }
        Err(error)
    }
}
