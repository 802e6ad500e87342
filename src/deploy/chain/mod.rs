//! The chain: every call that a pipeline makes at run time (facts/codepipeline.md A.2), each with a name, drawn from what the
//! two accounts hold.
//!
//! Each call becomes the request that the evaluator judges, in the format of `xdeploy simulate`, with all documents that have a
//! say. What the context doesn't say for certain is unknown: every condition key that one of the documents asks for and that
//! isn't known here is listed as such, so that a verdict that hangs on it is never guessed.

mod drawing;
mod producer;
mod rows;

pub use producer::Producer;
pub use rows::{Grade, Grounds, On, ROWS, Row, Who};

use super::blueprint::{Blueprint, Names, watches};
use super::declaration::{self, Extract, KeyName};
use super::snapshot::{BucketSlot, KeyFound, KeySlot, Organisation, PipelineFound, Snapshot};
use crate::model::{Policies, Readable, account_of};
use drawing::Drawing;
use serde_json::Value;

/// One artifact store, as the pipeline declares it.
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    /// Its region.
    pub region: &'a str,
    /// Its bucket; empty where the pipeline names none.
    pub bucket: &'a str,
    /// The key that it names, in whatever form.
    pub declared_key: Option<&'a str>,
}

/// What is known of a store's key.
#[derive(Debug, Clone, Copy)]
pub enum StoreKey<'a> {
    /// A customer managed key.
    Customer(&'a KeyFound),
    /// None is named, or an AWS managed one, which is the same (facts E.7).
    Managed,
    /// There is none of that name in the store's region.
    Absent,
    /// It was not read.
    Unread,
}

/// What is known of the key of files that are not artifacts.
#[derive(Debug, Clone)]
pub enum FileKey<'a> {
    /// None of a customer's.
    None,
    /// A customer managed key, with the name that it was asked for by.
    Customer {
        /// ARN, id or alias.
        named: &'a str,
        /// The key.
        found: &'a KeyFound,
    },
    /// Whether there is one, or what its policy says, could not be read.
    Unread {
        /// ARN, id or alias, as far as it is known.
        named: &'a str,
        /// Why.
        why: String,
    },
}

/// A rule that starts the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a> {
    /// The rule.
    pub rule: &'a str,
    /// The role that its target names.
    pub role: Option<&'a str>,
    /// What it listens to.
    pub pattern: &'a Value,
}

/// What the pipeline is about to do.
#[derive(Debug, Clone)]
pub struct Course<'a> {
    /// What there is.
    pub snapshot: &'a Snapshot,
    /// The pipeline.
    pub pipeline: &'a PipelineFound,
    /// Its service role, as it names it.
    pub service_role: &'a str,
    /// The role that the source action runs with.
    pub source_role: &'a str,
    /// The role that the deploy action runs with.
    pub deploy_role: &'a str,
    /// The deploy action names a role of its own.
    pub assumes: bool,
    /// The store of the pipeline's region.
    pub home: Store<'a>,
    /// The store of the deploy action's region.
    pub action: Store<'a>,
    /// The name of the artifact that the deploy action reads.
    pub artifact: &'a str,
    /// The name of the artifact that the source action writes.
    pub source_artifact: &'a str,
    /// Who writes the artifact that the deploy action reads.
    pub producer: Producer<'a>,
    /// The source bucket.
    pub source_bucket: &'a str,
    /// The source object.
    pub source_object: &'a str,
    /// The bucket that is deployed to.
    pub output_bucket: &'a str,
    /// Whether the zip is extracted, as the action says it.
    pub extract: Extract<'a>,
    /// The folder, or the object's key.
    pub path: Option<&'a str>,
    /// The action's `CannedACL`.
    pub canned_acl: Option<&'a str>,
    /// The action's `KMSEncryptionKeyARN`.
    pub declared_output_key: Option<&'a str>,
    /// CodePipeline itself looks for new versions of the source.
    pub polls: bool,
    /// The rules that start it.
    pub triggers: Vec<Trigger<'a>>,
    /// Where setup puts what a role needs.
    pub names: Names,
    /// Which policies setup writes.
    pub policies: Policies,
    /// The files may be written with the artifact key (facts A.2, the open question).
    pub deploy_encrypts_with_dev_key: bool,
}

impl<'a> Course<'a> {
    /// Draws the course of a pipeline that exists, or will after a plan; `None` if there is none.
    pub fn of(snapshot: &'a Snapshot, blueprint: &Blueprint) -> Option<Course<'a>> {
        let pipeline = snapshot.pipeline.as_ref()?;
        let declared = &pipeline.declaration;
        let deploy = declaration::action_at(declared, blueprint.deploy_place?)?;
        let source_place = blueprint.source_place?;
        let source = declaration::action_at(declared, source_place)?;
        let home = snapshot.dev.region.as_str();
        let region = declaration::region_of(deploy, home);
        let store = |region: &'a str| {
            let declared = declaration::store(declared, region, home);
            Store {
                region,
                bucket: declared.and_then(declaration::store_bucket).unwrap_or_default(),
                declared_key: declared.and_then(declaration::store_key),
            }
        };
        let own_role = declaration::own_role(deploy);
        let service_role = declaration::role_arn(declared).unwrap_or_default();
        let source_bucket = declaration::configured(source, "S3Bucket").unwrap_or_default();
        let source_object = declaration::configured(source, "S3ObjectKey").unwrap_or_default();
        let of_pipeline = |target: &&Value| target.get("Arn").and_then(Value::as_str) == Some(pipeline.arn.as_str());
        let triggers = snapshot
            .rule
            .iter()
            .chain(&snapshot.other_rules)
            .filter(|rule| rule.enabled && watches(&rule.pattern, source_bucket, source_object))
            .flat_map(|rule| rule.targets.iter().filter(of_pipeline).map(move |target| (rule, target)))
            .map(|(rule, target)| Trigger { rule: &rule.name, role: target.get("RoleArn").and_then(Value::as_str), pattern: &rule.pattern })
            .collect();
        Some(Course {
            snapshot,
            pipeline,
            service_role,
            source_role: declaration::own_role(source).unwrap_or(service_role),
            deploy_role: own_role.unwrap_or(service_role),
            assumes: own_role.is_some(),
            home: store(home),
            action: store(region),
            artifact: declaration::inputs(deploy).next().unwrap_or_default(),
            source_artifact: declaration::outputs(source).next().unwrap_or_default(),
            producer: Producer::find(declared, deploy, source_place, home),
            source_bucket,
            source_object,
            output_bucket: declaration::configured(deploy, "BucketName").unwrap_or_default(),
            extract: declaration::extract(deploy),
            path: declaration::configured(deploy, "ObjectKey").filter(|path| !path.is_empty()),
            canned_acl: declaration::canned_acl(deploy),
            declared_output_key: declaration::output_key(deploy),
            polls: declaration::polls(source) && !pipeline.polling_disabled,
            triggers,
            names: blueprint.names.clone(),
            policies: blueprint.policies,
            deploy_encrypts_with_dev_key: blueprint.deploy_encrypts_with_dev_key,
        })
    }

    /// Lists the links that this pipeline has.
    pub fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        for row in ROWS.iter().filter(|row| (row.applies)(self)) {
            match row.who {
                Who::Events | Who::EventRole => {
                    for (index, trigger) in self.triggers.iter().enumerate() {
                        let mut link = Drawing::new(self, row, Some(*trigger)).link();
                        if index > 0 {
                            link.name = format!("{}:{}", row.name, trigger.rule);
                        }
                        links.push(link);
                    }
                }
                _ => links.push(Drawing::new(self, row, None).link()),
            }
        }
        links
    }

    /// Gives what is known of a store's key.
    pub fn store_key(&self, store: Store<'a>) -> StoreKey<'a> {
        let Some(declared) = store.declared_key else { return StoreKey::Managed };
        let slot: Option<&'a KeySlot> = self.snapshot.keys.get(store.region);
        let found = slot.and_then(|slot| slot.found.as_ref());
        let named = |found: &KeyFound| {
            found.arn == declared || found.id() == declared || slot.is_some_and(|slot| slot.from_pipeline && slot.asked == declared)
        };
        match found {
            Some(found) if named(found) && found.manager == "AWS" => StoreKey::Managed,
            Some(found) if named(found) => StoreKey::Customer(found),
            _ if slot.is_some_and(|slot| slot.replaces_managed_key) => StoreKey::Managed,
            None if slot.is_some_and(|slot| slot.from_pipeline) => StoreKey::Absent,
            _ => StoreKey::Unread,
        }
    }

    /// Gives what is known of the customer key of the input bucket.
    pub fn source_key(&self) -> FileKey<'a> {
        self.bucket_key(&self.snapshot.input)
    }

    /// Gives what is known of the customer key that the deployed files get, from the action or from the bucket.
    pub fn output_key(&self) -> FileKey<'a> {
        match self.declared_output_key {
            Some(key) => self.customer_key(key),
            None => self.bucket_key(&self.snapshot.output),
        }
    }

    fn bucket_key(&self, slot: &'a BucketSlot) -> FileKey<'a> {
        match slot.found.as_ref().and_then(|found| found.encryption.as_ref()) {
            None => FileKey::None,
            Some(Readable::Unknown(why)) => {
                FileKey::Unread { named: "", why: format!("how bucket {} is encrypted could not be read: {why}", slot.name) }
            }
            Some(Readable::Known(encryption)) => match encryption.key.as_deref().filter(|_| encryption.algorithm.starts_with("aws:kms")) {
                None => FileKey::None,
                Some(key) => self.customer_key(key),
            },
        }
    }

    fn customer_key(&self, named: &'a str) -> FileKey<'a> {
        match self.snapshot.customer_keys.get(named) {
            // What isn't listed is AWS's own key, whose policy lets whoever may use the bucket (S3-KMS).
            None => FileKey::None,
            Some(Readable::Known(found)) => FileKey::Customer { named, found },
            Some(Readable::Unknown(why)) => FileKey::Unread { named, why: format!("key {named} could not be read: {why}") },
        }
    }

    /// Says where the store of the deploy action's region names its key by the ARN of an alias, of which nobody can tell whether
    /// another account may use it so: the store's region and the name.
    pub fn key_by_alias_arn(&self) -> Option<(&'a str, &'a str)> {
        let named = self.action.declared_key.filter(|key| KeyName::of(key) == KeyName::AliasArn)?;
        self.crosses_accounts().then_some((self.action.region, named))
    }

    /// Gives the name of the store's key, where it is one that each account looks up in itself and another account's role reads.
    pub fn key_by_bare_name(&self) -> Option<&'a str> {
        let named = self.action.declared_key.filter(|key| KeyName::of(key) == KeyName::Bare)?;
        self.crosses_accounts().then_some(named)
    }

    fn crosses_accounts(&self) -> bool {
        account_of(self.deploy_role) != self.snapshot.dev.account
    }

    /// Says why a call can't be judged because nobody here knows who writes the artifact that it reads; `None` where it can.
    fn unjudged(&self, row: &Row) -> Option<String> {
        let elsewhere = row.copies_artifact() && self.producer.is_elsewhere(self.home.region);
        if row.reads_artifact() || elsewhere { self.producer.unjudged() } else { None }
    }

    /// Gives the objects that stand for all that a call is on: names are partly random, and files are whatever the zip holds.
    fn objects(&self, on: On, who: Who) -> Vec<String> {
        let artifact = |store: Store<'_>| {
            let written = if who == Who::SourceRole { self.source_artifact } else { self.artifact };
            let short = |text: &str, length: usize| text.chars().take(length).collect::<String>();
            let name = self.pipeline.declaration.get("name").and_then(Value::as_str).unwrap_or_default();
            let folder = format!("{}/{}/{}", store.bucket, short(name, 20), short(written, 10));
            vec![format!("{folder}/AbCdEfG"), format!("{folder}/AbCdEfG.zip"), format!("{folder}/\u{e000}")]
        };
        match on {
            On::SourceBucket => vec![self.source_bucket.to_owned()],
            On::SourceObject => vec![format!("{}/{}", self.source_bucket, self.source_object)],
            On::HomeBucket => vec![self.home.bucket.to_owned()],
            On::ActionBucket => vec![self.action.bucket.to_owned()],
            On::HomeArtifact => artifact(self.home),
            On::ActionArtifact => artifact(self.action),
            On::OutputBucket => vec![self.output_bucket.to_owned()],
            On::OutputObject => {
                let path = self.path.map(filled_in);
                match (self.extract.is_wide(), path) {
                    (false, path) => vec![format!("{}/{}", self.output_bucket, path.unwrap_or_default())],
                    (true, path) => {
                        let folder = path.map(|path| format!("{path}/")).unwrap_or_default();
                        ["index.html", "assets/logo.png", "\u{e000}"].map(|file| format!("{}/{folder}{file}", self.output_bucket)).to_vec()
                    }
                }
            }
            _ => Vec::new(),
        }
    }

    /// Gives the beginning of the names of all objects that a call may be on, where there are several.
    fn folder(&self, on: On, who: Who) -> Option<String> {
        match on {
            On::HomeArtifact | On::ActionArtifact => {
                let object = self.objects(on, who).into_iter().next()?;
                // The artifact's folder is the pipeline's; its own name is cut and random (facts A.2, row 6).
                let mut parts = object.splitn(3, '/');
                Some(format!("{}/{}/", parts.next()?, parts.next()?))
            }
            On::OutputObject if self.extract.is_wide() => {
                let folder = self.path.map(|path| format!("{}/", filled_in(path))).unwrap_or_default();
                Some(format!("{}/{folder}", self.output_bucket))
            }
            _ => None,
        }
    }

    fn organisation(&self, account: &str) -> Option<&'a Organisation> {
        if account == self.snapshot.dev.account {
            self.snapshot.dev_organisation.as_ref()
        } else if account == self.snapshot.prod.account {
            self.snapshot.prod_organisation.as_ref()
        } else {
            None
        }
    }
}

/// Puts something in the place of what CodePipeline fills in (facts A.4, A.5).
fn filled_in(path: &str) -> String {
    let mut text = path.replace("{datetime}", "2026-01-01-00-00-00").replace("{uuid}", "0a1b2c3d");
    while let Some(start) = text.find("#{")
        && let Some(length) = text.get(start..).and_then(|rest| rest.find('}'))
    {
        text.replace_range(start..=start + length, "0a1b2c3d");
    }
    text
}

/// A document that has a say about a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// Its kind, in the evaluator's word.
    pub kind: &'static str,
    /// Its level, for organisation policies.
    pub level: Option<usize>,
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub account: String,
}

/// What is there but couldn't be read, and which side it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The evaluator's word.
    pub side: &'static str,
    /// What, and why.
    pub text: String,
}

/// Why a call fails, or can't be judged, whatever the policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// It fails for certain; otherwise it can't be told.
    pub certain: bool,
    /// Why.
    pub text: String,
    /// On whose side.
    pub account: String,
    /// What it is about.
    pub thing: String,
}

/// One call, ready to be judged.
#[derive(Debug, Clone)]
pub struct Link {
    /// The row that it comes from.
    pub row: &'static Row,
    /// Its name: the row's, with the rule's behind it for a second rule.
    pub name: String,
    /// Who calls: an ARN, or a service.
    pub who: String,
    /// On what: an ARN.
    pub resource: String,
    /// The account of the resource.
    pub account: String,
    /// What the evaluator is asked; several requests where several names stand for all. None where it makes no sense to ask.
    pub requests: Vec<Value>,
    /// The pattern of all objects that the call may be on, where that is more than one.
    pub all: Option<String>,
    /// What may be asked as well: other values of keys that aren't known, or an object that may be among those of the call. A denial
    /// here can't be told.
    pub perhaps: Vec<Value>,
    /// The documents in the requests, in their order within a kind and level.
    pub papers: Vec<Paper>,
    /// What to call the side that lacks something, and whose it is.
    pub sides: Vec<Paper>,
    /// What couldn't be read.
    pub gaps: Vec<Gap>,
    /// What stops it before any policy.
    pub stop: Option<Stop>,
    /// Why nobody can tell what becomes of it: it reads an artifact of an action that isn't judged.
    pub unjudged: Option<String>,
    /// The bucket's own switch is off, and the account's isn't read: it decides if the bucket's policy is public.
    pub public_access_unread: bool,
}
