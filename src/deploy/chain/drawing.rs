//! One link drawn: who calls what on what, with every document that has a say and what is known of the request.

use super::{Course, FileKey, Gap, Link, On, Paper, Row, Stop, Store, StoreKey, Trigger, Who};
use crate::deploy::declaration::KeyName;
use crate::deploy::names;
use crate::deploy::snapshot::{BucketSlot, Level, RoleFound, Tags};
use crate::model::{Arn, Readable, account_of};
use crate::policy::{self, CallerKind, KeysOfCall, Known};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A role as the chain needs it.
enum Role<'a> {
    Read(&'a RoleFound),
    Absent(String),
    Unread(String),
}

/// Draws one link.
pub(super) struct Drawing<'c, 'a> {
    course: &'c Course<'a>,
    row: &'static Row,
    trigger: Option<Trigger<'a>>,
    link: Link,
    request: Map<String, Value>,
    context: Map<String, Value>,
    /// Keys that are certain not to be in the request.
    absent: Vec<&'static str>,
    /// Groups of keys that may have one of several values, all of a group the first, or all the second, …; null is absence.
    variants: Vec<Vec<(String, Vec<Value>)>>,
    /// Keys that are a moment after the accounts were read.
    later: Vec<String>,
    /// The tags of the caller's role.
    caller_tags: Option<&'a Tags>,
    /// The tags of the resource, where it is one whose tags count and were read.
    resource_tags: Option<&'a Tags>,
}

impl<'c, 'a> Drawing<'c, 'a> {
    pub(super) fn new(course: &'c Course<'a>, row: &'static Row, trigger: Option<Trigger<'a>>) -> Drawing<'c, 'a> {
        let link = Link {
            row,
            name: row.name.to_owned(),
            who: String::new(),
            resource: String::new(),
            account: String::new(),
            requests: Vec::new(),
            papers: Vec::new(),
            sides: Vec::new(),
            all: None,
            perhaps: Vec::new(),
            gaps: Vec::new(),
            stop: None,
            unjudged: course.unjudged(row),
            public_access_unread: false,
        };
        Drawing {
            course,
            row,
            trigger,
            link,
            request: Map::new(),
            context: Map::new(),
            absent: Vec::new(),
            variants: Vec::new(),
            later: Vec::new(),
            caller_tags: None,
            resource_tags: None,
        }
    }

    fn stop(&mut self, certain: bool, account: &str, thing: impl Into<String>, text: impl Into<String>) {
        // A certain reason counts for more than an uncertain one, and the first for more than the next.
        if self.link.stop.as_ref().is_none_or(|there| certain && !there.certain) {
            self.link.stop = Some(Stop { certain, text: text.into(), account: account.to_owned(), thing: thing.into() });
        }
    }

    fn role(&self, arn: &str) -> Role<'a> {
        let snapshot = self.course.snapshot;
        let slots = [&snapshot.service_role, &snapshot.deploy_role, &snapshot.event_role];
        if let Some(found) = slots.into_iter().flatten().find(|role| role.arn == arn) {
            return Role::Read(found);
        }
        let Ok(parsed) = arn.parse::<Arn>() else { return Role::Absent(format!("`{arn}` is not the ARN of a role")) };
        let namesake = |role: &&RoleFound| account_of(&role.arn) == parsed.account && role.name == parsed.bare_name();
        if let Some(found) = slots.into_iter().flatten().find(namesake) {
            return Role::Absent(format!("there is no role {arn}; its real ARN is {}", found.arn));
        }
        match snapshot.other_roles.get(arn) {
            Some(Readable::Known(Some(found))) => return Role::Read(found),
            Some(Readable::Known(None)) => return Role::Absent(format!("there is no role {arn}")),
            Some(Readable::Unknown(why)) => return Role::Unread(format!("role {arn} could not be read: {why}")),
            None => {}
        }
        if parsed.account == snapshot.dev.account || parsed.account == snapshot.prod.account {
            Role::Absent(format!("there is no role {arn}"))
        } else {
            Role::Unread(format!("role {arn} is of account {}, which is neither dev nor prod", parsed.account))
        }
    }

    fn paper(&mut self, member: &str, kind: &'static str, name: String, account: &str, document: &Value) {
        let list = self.request.entry(member).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(document.clone());
        }
        self.link.papers.push(Paper { kind, level: None, name, account: account.to_owned() });
    }

    fn side(&mut self, kind: &'static str, level: Option<usize>, name: impl Into<String>, account: &str) {
        self.link.sides.push(Paper { kind, level, name: name.into(), account: account.to_owned() });
    }

    fn gap(&mut self, side: &'static str, text: impl Into<String>) {
        self.link.gaps.push(Gap { side, text: text.into() });
    }

    fn caller_role(&mut self, arn: &str) {
        let account = account_of(arn).to_owned();
        arn.clone_into(&mut self.link.who);
        self.context.insert("aws:PrincipalArn".to_owned(), json!(arn));
        self.context.insert("aws:PrincipalAccount".to_owned(), json!(account));
        self.context.insert("aws:PrincipalType".to_owned(), json!("AssumedRole"));
        self.context.insert("aws:PrincipalIsAWSService".to_owned(), json!("false"));
        let role = match self.role(arn) {
            Role::Read(role) => role,
            Role::Absent(text) => return self.stop(true, &account, format!("role {arn}"), text),
            Role::Unread(text) => return self.stop(false, &account, format!("role {arn}"), text),
        };
        // A policy can't pin the session's name (facts A.1).
        let session = format!("{}/1700000000000", role.name);
        let partition = arn.split(':').nth(1).unwrap_or("aws");
        self.request.insert("principal".to_owned(), json!(format!("arn:{partition}:sts::{account}:assumed-role/{session}")));
        self.request.insert("principalRole".to_owned(), json!(role.arn));
        self.caller_tags = Some(&role.tags);
        if let Some(id) = &role.id {
            self.context.insert("aws:userid".to_owned(), json!(format!("{id}:1700000000000")));
        }
        self.request.insert("identityPolicies".to_owned(), json!([]));
        let home = self.home(role).map(|home| format!(" (setup's is {home})")).unwrap_or_default();
        self.side("identity", None, format!("the policies of role {}{home}", role.name), &account);
        for (name, document) in &role.inline {
            self.paper("identityPolicies", "identity", format!("inline policy {name} of role {}", role.name), &account, document);
        }
        for arn in &role.attached {
            let ours = self.course.snapshot.policies.get(arn).map(|policy| &policy.document);
            let document = ours.or_else(|| role.attached_documents.get(arn)).or_else(|| role.other_documents.get(arn));
            match document {
                Some(document) => self.paper("identityPolicies", "identity", format!("policy {arn}"), &account, document),
                None => self.gap("identity", format!("policy {arn} of role {} could not be read", role.name)),
            }
        }
        if let Some(boundary) = &role.boundary {
            self.side("boundary", None, format!("permissions boundary {} of role {}", boundary.arn, role.name), &account);
            match &boundary.document {
                Readable::Known(document) => {
                    self.paper("permissionBoundaries", "boundary", format!("permissions boundary {}", boundary.arn), &account, document);
                }
                Readable::Unknown(why) => {
                    self.gap("boundary", format!("permissions boundary {} of role {} could not be read: {why}", boundary.arn, role.name));
                }
            }
        }
    }

    /// The policy in which setup writes what this call needs; none for a role that setup leaves alone.
    fn home(&self, role: &RoleFound) -> Option<String> {
        let course = self.course;
        let names = &course.names;
        let pipeline = course.pipeline.declaration.get("name").and_then(Value::as_str).unwrap_or_default();
        let (named, policy) = match (self.row.who, self.row.on) {
            (Who::EventRole, _) => (&names.event_role, names::event_inline_name(&course.snapshot.dev.region, pipeline)),
            (Who::ServiceRole, On::DeployRole) => (&names.service_role, names.assume_policy.name.clone()),
            (Who::DeployRole, On::ActionArtifact | On::ActionKey) => (&names.deploy_role, names.artifact_policy.name.clone()),
            (Who::DeployRole, _) => (&names.deploy_role, names.output_policy.name.clone()),
            _ => (&names.service_role, names::inline_name(pipeline)),
        };
        (named.name == role.name && account_of(&named.arn) == account_of(&role.arn)).then_some(policy)
    }

    fn caller_service(&mut self, service: &'static str) {
        service.clone_into(&mut self.link.who);
        self.request.insert("principal".to_owned(), json!(service));
        self.context.insert("aws:PrincipalIsAWSService".to_owned(), json!("true"));
        self.context.insert("aws:PrincipalServiceName".to_owned(), json!(service));
        self.absent.extend(["aws:principalaccount", "aws:principalorgid"]);
        // Whether the service says for whom it calls isn't confirmed (facts F.3): it does all of it, or nothing.
        let dev = &self.course.snapshot.dev;
        let or_absent = |key: &str, value: Value| (key.to_owned(), vec![Value::Null, value]);
        let mut told = vec![or_absent("aws:SourceAccount", json!(dev.account))];
        let source = match (self.row.who, self.trigger) {
            (Who::Events, Some(trigger)) => dev.regional("events", &dev.region, &format!("rule/{}", trigger.rule)),
            _ => self.course.pipeline.arn.clone(),
        };
        told.push(or_absent("aws:SourceArn", json!(source)));
        match self.course.snapshot.dev_organisation.as_ref().and_then(|organisation| organisation.id.known()) {
            Some(Some(id)) => told.push(or_absent("aws:SourceOrgID", json!(id))),
            Some(None) => self.absent.extend(["aws:sourceorgid", "aws:sourceorgpaths"]),
            None => {}
        }
        self.variants.push(told);
    }

    fn caller(&mut self) {
        match self.row.who {
            Who::Events => self.caller_service("events.amazonaws.com"),
            Who::CodePipeline => self.caller_service("codepipeline.amazonaws.com"),
            Who::EventRole => match self.trigger.and_then(|trigger| trigger.role) {
                Some(arn) => self.caller_role(arn),
                None => self.no_event_role(),
            },
            Who::ServiceRole => self.caller_role(self.course.service_role),
            Who::SourceRole => self.caller_role(self.course.source_role),
            Who::DeployRole => self.caller_role(self.course.deploy_role),
        }
    }

    fn no_event_role(&mut self) {
        let rule = self.trigger.map_or("", |trigger| trigger.rule);
        let account = self.course.snapshot.dev.account.clone();
        self.stop(true, &account, format!("rule {rule}"), format!("the target of rule {rule} names no role"));
    }

    fn on_role(&mut self, arn: &str) {
        let account = account_of(arn).to_owned();
        arn.clone_into(&mut self.link.resource);
        self.link.account.clone_from(&account);
        self.context.insert("aws:ResourceAccount".to_owned(), json!(account));
        // CodePipeline can't send an external id (facts F.2).
        self.absent.push("sts:externalid");
        if self.row.who == Who::ServiceRole {
            self.context.insert("aws:ViaAWSService".to_owned(), json!("false"));
        }
        let role = match self.role(arn) {
            Role::Read(role) => role,
            Role::Absent(text) => return self.stop(true, &account, format!("role {arn}"), text),
            Role::Unread(text) => return self.stop(false, &account, format!("role {arn}"), text),
        };
        let name = format!("trust policy of role {}", role.name);
        self.side("trust", None, name.clone(), &account);
        self.paper("resourcePolicy", "trust", name, &account, &role.trust);
        self.resource_tags = Some(&role.tags);
        self.endpoints();
        self.ask(arn);
    }

    /// Where STS is asked: at a region's endpoint or at the global one, which is in us-east-1 (facts G.5); there is none in other
    /// partitions than `aws`.
    fn endpoints(&mut self) {
        let dev = &self.course.snapshot.dev;
        let mut regions = vec![json!(dev.region)];
        if self.row.on == On::DeployRole {
            regions.push(json!(self.course.action.region));
        }
        if dev.partition == "aws" {
            regions.push(json!("us-east-1"));
        }
        let mut seen = BTreeSet::new();
        regions.retain(|region| seen.insert(region.to_string()));
        self.variants.push(vec![("aws:RequestedRegion".to_owned(), regions)]);
        if !self.is_service() {
            self.context.insert("aws:SecureTransport".to_owned(), json!("true"));
        }
    }

    fn is_service(&self) -> bool {
        matches!(self.row.who, Who::Events | Who::CodePipeline)
    }

    /// The slot of a bucket in the snapshot, with whose account it is.
    fn bucket(&self) -> (Option<&'a BucketSlot>, &'a str, &'a str) {
        let course = self.course;
        let snapshot = course.snapshot;
        let artifact = |store: Store<'a>| {
            let slot = snapshot.artifact_buckets.get(store.region).filter(|slot| slot.name == store.bucket);
            (slot, store.region, snapshot.dev.account.as_str())
        };
        match self.row.on {
            On::SourceBucket | On::SourceObject => {
                (Some(&snapshot.input).filter(|slot| slot.name == course.source_bucket), course.home.region, &snapshot.dev.account)
            }
            On::HomeBucket | On::HomeArtifact => artifact(course.home),
            On::ActionBucket | On::ActionArtifact => artifact(course.action),
            _ => (Some(&snapshot.output).filter(|slot| slot.name == course.output_bucket), course.action.region, &snapshot.prod.account),
        }
    }

    fn on_s3(&mut self) {
        let (slot, region, account) = self.bucket();
        let objects = self.course.objects(self.row.on, self.row.who);
        let arns: Vec<String> = objects.iter().map(|name| self.course.snapshot.dev.bucket(name)).collect();
        self.link.resource = arns.first().cloned().unwrap_or_default();
        account.clone_into(&mut self.link.account);
        let Some(slot) = slot else {
            let text = "the bucket that the pipeline names was not read";
            return self.stop(false, account, "bucket", text);
        };
        let name = format!("bucket {}", slot.name);
        let Some(found) = &slot.found else { return self.stop(true, account, name, format!("there is no bucket {}", slot.name)) };
        self.side("resource", None, format!("policy of bucket {}", slot.name), account);
        if let Some(policy) = &found.policy {
            self.paper("resourcePolicy", "resource", format!("policy of bucket {}", slot.name), account, policy);
        }
        if let Some(why) = &found.policy_unread {
            self.gap("resource", format!("the policy of bucket {} could not be read: {why}", slot.name));
        }
        for key in ["aws:ResourceAccount", "s3:ResourceAccount"] {
            self.context.insert(key.to_owned(), json!(account));
        }
        self.context.insert("aws:SecureTransport".to_owned(), json!("true"));
        self.context.insert("aws:RequestedRegion".to_owned(), json!(region));
        self.headers();
        // Everything newer than 1.1 is spoken by what calls from within AWS; which of the two isn't in the facts.
        self.variants.push(vec![("s3:TlsVersion".to_owned(), vec![json!("1.3"), json!("1.2")])]);
        if account_of(&self.link.who) != account {
            self.side("block-public-access", None, format!("Block Public Access of bucket {}", slot.name), account);
            match found.restricts_public {
                Some(true) => {
                    self.request.insert("blockPublicAccess".to_owned(), json!(true));
                }
                _ => self.link.public_access_unread = true,
            }
        }
        self.link.all =
            self.course.folder(self.row.on, self.row.who).map(|folder| format!("{}*", self.course.snapshot.dev.bucket(&folder)));
        for arn in arns {
            self.ask(&arn);
        }
    }

    /// Objects that some Deny is about and that may be among those of the call: then it can't be told whether one is hit.
    fn denied_instances(&mut self) {
        let Some(all) = self.link.all.clone() else { return };
        let folder = all.trim_end_matches('*');
        let mut found = BTreeSet::new();
        policy::each_document(self.request.values(), &mut |document| {
            for statement in policy::statements(document).into_iter().filter(|statement| statement["Effect"] == "Deny") {
                for pattern in policy::names_in(statement.get("Resource")) {
                    if !policy::matches_pattern(pattern, &all) {
                        found.extend(policy::names_below(pattern, folder));
                    }
                }
            }
        });
        for instance in found {
            self.link.perhaps.push(json!({"id": self.link.name, "action": self.row.action, "resource": instance}));
        }
    }

    /// What the headers of an S3 request put into its context (facts A.2, rows 6, 13 and 14).
    fn headers(&mut self) {
        const ENCRYPTION: &str = "s3:x-amz-server-side-encryption";
        const KEY: &str = "s3:x-amz-server-side-encryption-aws-kms-key-id";
        const ACL: &str = "s3:x-amz-acl";
        let writes = self.row.action.starts_with("s3:PutObject");
        match (self.row.on, self.course.canned_acl) {
            _ if !writes => self.absent.push(ACL),
            (On::OutputObject, Some(acl)) => {
                self.context.insert(ACL.to_owned(), json!(acl));
            }
            (On::OutputObject, None) => self.absent.push(ACL),
            // Whether artifacts are written with an ACL is not in the facts: row 6 lists the permission.
            _ => {}
        }
        if self.row.action != "s3:PutObject" {
            self.absent.extend([ENCRYPTION, KEY]);
            return;
        }
        let key = match self.row.on {
            On::HomeArtifact => self.course.home.declared_key,
            On::ActionArtifact => self.course.action.declared_key,
            _ => self.course.declared_output_key,
        };
        if key.is_some() || self.row.on != On::OutputObject {
            self.context.insert(ENCRYPTION.to_owned(), json!("aws:kms"));
        }
        // What S3 makes of any other name in the header is not known.
        if let Some(key) = key.filter(|key| KeyName::of(key) == KeyName::Arn) {
            self.context.insert(KEY.to_owned(), json!(key));
        }
    }

    fn on_key(&mut self) {
        let course = self.course;
        let store = match self.row.on {
            On::HomeKey => Some(course.home),
            On::ActionKey => Some(course.action),
            _ => None,
        };
        let (key, region, declared) = match store {
            Some(store) => {
                let account = course.snapshot.dev.account.as_str();
                let thing = format!("key of the artifact store in {}", store.region);
                let across = account_of(&self.link.who) != account;
                let declared = store.declared_key.unwrap_or_default();
                declared.clone_into(&mut self.link.resource);
                account.clone_into(&mut self.link.account);
                let key = match course.store_key(store) {
                    StoreKey::Customer(key) => key,
                    StoreKey::Managed if across => {
                        let text = "artifacts are encrypted with an AWS managed key, which no other account can use";
                        return self.stop(true, account, thing, text);
                    }
                    StoreKey::Managed => {
                        return self.stop(false, account, thing, "the policy of an AWS managed key is not read");
                    }
                    StoreKey::Absent => {
                        return self.stop(true, account, thing, format!("there is no key {declared} in {}", store.region));
                    }
                    StoreKey::Unread => return self.stop(false, account, thing, format!("key {declared} was not read")),
                };
                if across && KeyName::of(declared) == KeyName::Bare {
                    let text = format!("the store names its key as `{declared}`, which the other account looks up in itself");
                    self.stop(true, account, thing, text);
                }
                (key, store.region, declared)
            }
            None => {
                let (asked, region) = match self.row.on {
                    On::SourceKey => (course.source_key(), course.home.region),
                    _ => (course.output_key(), course.action.region),
                };
                match asked {
                    FileKey::None => return,
                    FileKey::Customer { named, found } => (found, region, named),
                    FileKey::Unread { named, why } => {
                        let account = match (account_of(named), self.row.on) {
                            ("", On::SourceKey) => &course.snapshot.dev.account,
                            ("", _) => &course.snapshot.prod.account,
                            (account, _) => account,
                        };
                        named.clone_into(&mut self.link.resource);
                        account.clone_into(&mut self.link.account);
                        return self.stop(false, account, "key", why);
                    }
                }
            }
        };
        let account = key.account().to_owned();
        key.arn.clone_into(&mut self.link.resource);
        self.link.account.clone_from(&account);
        let thing = format!("key {}", key.arn);
        if key.state != "Enabled" {
            self.stop(true, &account, &thing, format!("key {} is {}", key.arn, key.state));
        }
        let in_region = key.arn.split(':').nth(3).unwrap_or_default();
        if in_region != region {
            self.stop(true, &account, &thing, format!("key {declared} is in {in_region}, but what it encrypts is in {region}"));
        }
        let name = format!("policy of key {}", key.arn);
        self.side("key", None, &name, &account);
        match &key.policy {
            Some(policy) => self.paper("resourcePolicy", "key", name, &account, policy),
            None => self.gap("key", format!("the policy of key {} of account {account} could not be read", key.arn)),
        }
        self.context.insert("aws:ResourceAccount".to_owned(), json!(account));
        self.context.insert("aws:RequestedRegion".to_owned(), json!(in_region));
        self.context.insert("aws:SecureTransport".to_owned(), json!("true"));
        self.context.insert("kms:CallerAccount".to_owned(), json!(account_of(&self.link.who)));
        for (name, value) in [("kms:KeySpec", &key.spec), ("kms:KeyUsage", &key.usage)] {
            self.context.insert(name.to_owned(), json!(value));
        }
        self.context.insert("kms:MultiRegion".to_owned(), json!(key.multi_region));
        // Of a key whose policy could not be read, tags weren't either.
        self.resource_tags = key.policy.as_ref().map(|_| &key.tags);
        if self.row.action == "kms:DescribeKey" {
            // It isn't S3 that would ask, so there is neither of these.
            self.absent.extend(["kms:viaservice", "kms:encryptioncontext:aws:s3:arn", "kms:encryptioncontextkeys"]);
        } else {
            self.context.insert("kms:ViaService".to_owned(), json!(format!("s3.{region}.amazonaws.com")));
            self.context.insert("kms:EncryptionContextKeys".to_owned(), json!(["aws:s3:arn"]));
            self.encryption_context();
        }
        // They are part of KMS requests that are not these.
        self.absent.extend(["kms:grantisforawsresource", "kms:granteeprincipal", "kms:grantoperations"]);
        self.ask(&key.arn);
    }

    /// The object, or its bucket where that uses an S3 Bucket Key (facts A.2, row 7).
    fn encryption_context(&mut self) {
        const KEY: &str = "kms:EncryptionContext:aws:s3:arn";
        let course = self.course;
        let artifact = |store: Store<'a>| course.snapshot.artifact_buckets.get(store.region).filter(|slot| slot.name == store.bucket);
        let (slot, on) = match self.row.on {
            On::SourceKey => (Some(&course.snapshot.input), On::SourceObject),
            On::HomeKey => (artifact(course.home), On::HomeArtifact),
            On::ActionKey if self.row.name.starts_with("output-encrypt-dev-key") => (Some(&course.snapshot.output), On::OutputObject),
            On::ActionKey => (artifact(course.action), On::ActionArtifact),
            _ => (Some(&course.snapshot.output), On::OutputObject),
        };
        let Some(slot) = slot else { return };
        let Some(Readable::Known(encryption)) = slot.found.as_ref().and_then(|found| found.encryption.as_ref()) else { return };
        let object = course.objects(on, self.row.who).first().cloned().unwrap_or_default();
        let name = if encryption.bucket_key { slot.name.clone() } else { object };
        self.context.insert(KEY.to_owned(), json!(course.snapshot.dev.bucket(&name)));
    }

    fn on_pipeline(&mut self) {
        let snapshot = self.course.snapshot;
        let arn = &self.course.pipeline.arn;
        self.link.resource.clone_from(arn);
        self.link.account.clone_from(&snapshot.dev.account);
        self.context.insert("aws:ResourceAccount".to_owned(), json!(snapshot.dev.account));
        self.context.insert("aws:RequestedRegion".to_owned(), json!(snapshot.dev.region));
        self.context.insert("aws:SecureTransport".to_owned(), json!("true"));
        self.resource_tags = Some(&self.course.pipeline.tags);
        self.ask(arn);
    }

    fn organisation(&mut self) {
        let (caller, owner) = (account_of(&self.link.who).to_owned(), self.link.account.clone());
        for (account, key) in [(&caller, "aws:PrincipalOrgID"), (&owner, "aws:ResourceOrgID")] {
            if let Some(Readable::Known(id)) = self.course.organisation(account).map(|organisation| &organisation.id) {
                match id {
                    Some(id) => {
                        self.context.insert(key.to_owned(), json!(id));
                    }
                    None if key == "aws:PrincipalOrgID" => self.absent.extend(["aws:principalorgid", "aws:principalorgpaths"]),
                    None => self.absent.extend(["aws:resourceorgid", "aws:resourceorgpaths"]),
                }
            }
        }
        let course = self.course;
        let limits = |account: &str| course.organisation(account).filter(|organisation| !organisation.management);
        if let Some(scps) = limits(&caller).and_then(|organisation| organisation.scps.known()) {
            self.levels("scps", "scp", "service control policy", &caller, scps);
        }
        // Resource control policies are for these services only (ORG-RCP; facts G.5).
        let covered =
            ["s3:", "sts:", "kms:", "sqs:", "secretsmanager:", "ecr:", "aoss:"].iter().any(|service| self.row.action.starts_with(service));
        if let Some(rcps) = limits(&owner).filter(|_| covered).and_then(|organisation| organisation.rcps.known()) {
            self.levels("rcps", "rcp", "resource control policy", &owner, rcps);
        }
    }

    fn levels(&mut self, member: &str, kind: &'static str, word: &str, account: &str, levels: &[Level]) {
        let mut list = Vec::new();
        for (number, level) in levels.iter().enumerate() {
            self.side(kind, Some(number), format!("the {word} on {}", level.target), account);
            list.push(Value::Array(level.policies.values().cloned().collect()));
            for name in level.policies.keys() {
                let name = format!("{word} {name} on {}", level.target);
                self.link.papers.push(Paper { kind, level: Some(number), name, account: account.to_owned() });
            }
        }
        if !list.is_empty() {
            self.request.insert(member.to_owned(), Value::Array(list));
        }
    }

    fn ask(&mut self, resource: &str) {
        let request = json!({"id": self.link.name, "action": self.row.action, "resource": resource});
        self.link.requests.push(request);
    }

    pub(super) fn link(mut self) -> Link {
        self.caller();
        match self.row.on {
            On::EventRole => match self.trigger.and_then(|trigger| trigger.role) {
                Some(arn) => self.on_role(arn),
                None => self.no_event_role(),
            },
            On::ServiceRole => self.on_role(self.course.service_role),
            On::SourceRole => self.on_role(self.course.source_role),
            On::DeployRole => self.on_role(self.course.deploy_role),
            On::Pipeline => self.on_pipeline(),
            On::SourceKey | On::HomeKey | On::ActionKey | On::OutputKey => self.on_key(),
            _ => self.on_s3(),
        }
        self.organisation();
        self.denied_instances();
        let asked = self.asked_keys();
        self.fill(&asked);
        let unknown = self.unknown_keys(&asked);
        let contexts = self.contexts(&asked);
        let (shared, account, mut link) = (self.request, self.link.account.clone(), self.link);
        if !shared.contains_key("principal") {
            // A caller that isn't there can't be asked about; the link is stopped anyway.
            link.requests.clear();
            link.perhaps.clear();
        }
        let whole = |mut request: Value, shared: Map<String, Value>, context: &Map<String, Value>| {
            if let Some(members) = request.as_object_mut() {
                members.extend(shared);
                members.insert("resourceAccount".to_owned(), json!(account));
                members.insert("context".to_owned(), Value::Object(context.clone()));
                members.insert("unknownContext".to_owned(), json!(unknown));
            }
            request
        };
        let (requests, perhaps) = (std::mem::take(&mut link.requests), std::mem::take(&mut link.perhaps));
        let others = contexts.iter().skip(1);
        let all = requests.iter().map(|request| (request, contexts.first(), true));
        let all = all.chain(contexts.iter().flat_map(|context| perhaps.iter().map(move |request| (request, Some(context), false))));
        let all = all.chain(others.flat_map(|context| requests.iter().map(move |request| (request, Some(context), false))));
        let mut all = all.peekable();
        let mut shared = Some(shared);
        while let Some((request, context, certain)) = all.next() {
            let Some(context) = context else { continue };
            // Documents are large, and most links are asked about once.
            let documents = if all.peek().is_some() { shared.clone() } else { shared.take() };
            let list = if certain { &mut link.requests } else { &mut link.perhaps };
            list.push(whole(request.clone(), documents.unwrap_or_default(), context));
        }
        link
    }

    /// Sets what is known of the keys that are asked for and that no part of the call has set.
    fn fill(&mut self, asked: &BTreeSet<String>) {
        let set = self.settled();
        let course = self.course;
        let caller = match self.row.who {
            Who::Events | Who::CodePipeline => CallerKind::Service,
            Who::EventRole | Who::ServiceRole => CallerKind::ServiceSession,
            Who::SourceRole if course.source_role == course.service_role => CallerKind::ServiceSession,
            Who::DeployRole if course.deploy_role == course.service_role => CallerKind::ServiceSession,
            Who::SourceRole | Who::DeployRole => CallerKind::ChainedSession,
        };
        let by_s3 = self.row.action.starts_with("kms:") && self.row.action != "kms:DescribeKey";
        let call = KeysOfCall { caller, action: self.row.action, by_s3, of_pipeline: true };
        for key in asked.difference(&set) {
            let tagged = ["aws:principaltag/", "aws:resourcetag/", "iam:resourcetag/"].into_iter().find_map(|start| {
                let tags = if start == "aws:principaltag/" { self.caller_tags } else { self.resource_tags };
                tag(tags?, key.strip_prefix(start)?)
            });
            let values = match (tagged, call.known(key)) {
                (Some(value), _) => vec![value],
                (None, Some(Known::Later)) => {
                    self.later.push(key.clone());
                    continue;
                }
                (None, Some(known)) => known.values(),
                (None, None) => continue,
            };
            self.variants.push(vec![(key.clone(), values)]);
        }
    }

    /// The keys that are set or known to be absent, in lower case.
    fn settled(&self) -> BTreeSet<String> {
        let variants = self.variants.iter().flatten().map(|(key, _)| key.as_str());
        let set = self.context.keys().map(String::as_str).chain(self.absent.iter().copied()).chain(variants);
        set.chain(self.later.iter().map(String::as_str)).map(str::to_ascii_lowercase).collect()
    }

    /// Every context that the request may have: one of each combination of the values that some document asks for.
    fn contexts(&self, asked: &BTreeSet<String>) -> Vec<Map<String, Value>> {
        let mut contexts = vec![self.context.clone()];
        for group in &self.variants {
            let is_asked = group.iter().any(|(key, _)| asked.contains(&key.to_ascii_lowercase()));
            let count = group.iter().map(|(_, values)| values.len()).max().filter(|_| is_asked).unwrap_or(1);
            let with = |context: &Map<String, Value>, at: usize| {
                let mut context = context.clone();
                for (key, values) in group {
                    if let Some(value) = values.get(at).filter(|value| !value.is_null()) {
                        context.insert(key.clone(), value.clone());
                    }
                }
                context
            };
            contexts = (0..count).flat_map(|at| contexts.iter().map(move |context| with(context, at)).collect::<Vec<_>>()).collect();
        }
        contexts
    }

    /// Lists the keys that some document asks for, in lower case.
    fn asked_keys(&self) -> BTreeSet<String> {
        let mut asked = BTreeSet::new();
        policy::each_document(self.request.values(), &mut |document| asked.extend(policy::condition_keys(document)));
        asked
    }

    /// Lists those that nobody knows here, and those of which only is known that they are later than the reading.
    fn unknown_keys(&self, asked: &BTreeSet<String>) -> Vec<Value> {
        let after = self.course.snapshot.read_at.text();
        let later = self.later.iter().map(|key| json!({"key": key, "after": after}));
        asked.difference(&self.settled()).map(|key| json!(key)).chain(later).collect()
    }
}

/// Gives the value of a tag whose key is this but for its case, null where there is none; nothing where several are.
fn tag(tags: &Tags, key: &str) -> Option<Value> {
    let mut found = tags.iter().filter(|(own, _)| own.eq_ignore_ascii_case(key)).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (None, _) => Some(Value::Null),
        (Some(value), None) => Some(json!(value)),
        _ => None,
    }
}
