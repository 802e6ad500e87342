//! What should be there: names, ARNs and places, from the settings and from what must be adopted.

use super::declaration::{self, Place};
use super::names::{self, DETECTION_TAG};
use super::snapshot::{Identity, Snapshot, is_own};
use super::write::key_placeholder;
use crate::error::{Error, Result};
use crate::model::{Arn, ChangeDetection, Policies, Readable};
use crate::policy;
use crate::settings::Settings;
use serde_json::Value;

/// A role or policy by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its bare name.
    pub name: String,
    /// Its path, `/` or `/service-role/`; only used when it is made.
    pub path: String,
    /// Its ARN.
    pub arn: String,
    /// The person or the pipeline named it, so it may be somebody else's: it keeps what it has and gets ours beside it.
    pub adopted: bool,
    /// The person gave a whole ARN, so it must exist.
    pub must_exist: bool,
}

/// Names that must be known before most of the reading, because they say what to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The pipeline's service role.
    pub service_role: Named,
    /// The cross-account role.
    pub deploy_role: Named,
    /// EventBridge's role.
    pub event_role: Named,
    /// A4.1's policy.
    pub output_policy: Named,
    /// A4.2's policy.
    pub artifact_policy: Named,
    /// A6's policy.
    pub assume_policy: Named,
    /// The rule.
    pub event_rule: String,
}

fn adopted_role(arn: &str) -> Option<(String, String)> {
    let arn: Arn = arn.parse().ok()?;
    let rest = arn.resource.strip_prefix("role/")?;
    let name = arn.bare_name().to_owned();
    let path = format!("/{}", rest.strip_suffix(&name)?);
    Some((name, path))
}

impl Names {
    /// Resolves names: what the person said, else what the pipeline says, else the default.
    ///
    /// # Errors
    /// A given ARN belongs to another account.
    pub fn resolve(settings: &Settings, dev: &Identity, prod: &Identity, declaration: Option<&Value>) -> Result<Names> {
        let pipeline = settings.pipeline.as_str();
        let home = &dev.region;
        let role = |identity: &Identity, path: &str, name: String, adopted: bool| Named {
            arn: identity.iam(&format!("role{path}{name}")),
            path: path.to_owned(),
            name,
            adopted,
            must_exist: false,
        };
        let policy = |identity: &Identity, asked: &Option<String>, base: &str| {
            let name = asked.clone().unwrap_or_else(|| names::for_pipeline(base, pipeline, 128));
            Named { arn: identity.iam(&format!("policy/{name}")), path: "/".to_owned(), name, adopted: false, must_exist: false }
        };

        let declared_service_role = declaration.and_then(declaration::role_arn).and_then(adopted_role);
        if let (Some(asked), Some(declared)) = (&settings.service_role, declaration.and_then(declaration::role_arn))
            && asked != declared
            && declared.parse::<Arn>().is_ok_and(|declared| declared.bare_name() != asked)
        {
            return Err(Error::refused(format!("the service role of pipeline {pipeline} is {declared}, not {asked}"))
                .hint("leave `--service-role` out: a pipeline that exists keeps its service role"));
        }
        let service_role = match (&settings.service_role, declared_service_role) {
            (_, Some((name, path))) => role(dev, &path, name, true),
            (Some(arn), None) if arn.starts_with("arn:") => {
                let parsed: Arn = arn.parse().map_err(|why: String| {
                    Error::usage(why).hint("it looks like arn:aws:iam::111111111111:role/name; a bare name will do too")
                })?;
                if parsed.account != dev.account {
                    return Err(Error::refused(format!("service role {arn} is not of the development account {}", dev.account))
                        .hint("CodePipeline can only use a service role of its own account; name one with `--service-role`"));
                }
                // The settings take no other ARN.
                let (name, path) = adopted_role(arn).ok_or_else(|| Error::internal(format!("`{arn}` is not a role's ARN")))?;
                Named { must_exist: true, ..role(dev, &path, name, true) }
            }
            (Some(name), None) => role(dev, "/service-role/", name.clone(), true),
            (None, None) => role(dev, "/service-role/", names::service_role(home, pipeline), false),
        };
        let declared_deploy_role = declaration
            .and_then(|declaration| {
                let bucket = settings.output_bucket.as_ref().map(|bucket| bucket.as_str());
                let place = declaration::choose_deploy(declaration, bucket, settings.stage.as_deref(), settings.action.as_deref()).ok()?;
                declaration::action_at(declaration, place)?.get("roleArn")?.as_str()
            })
            .filter(|arn| arn.parse::<Arn>().is_ok_and(|arn| arn.account == prod.account))
            .and_then(adopted_role);
        let deploy_role = match (&settings.deploy_role, declared_deploy_role) {
            (Some(name), Some((declared, path))) if *name.as_str() == declared => role(prod, &path, declared, true),
            (Some(name), _) => role(prod, "/", name.as_str().to_owned(), true),
            (None, Some((name, path))) => role(prod, &path, name, true),
            (None, None) => role(prod, "/", names::for_pipeline("prods3role", pipeline, 64), false),
        };
        Ok(Names {
            service_role,
            // What production didn't name itself isn't taken over there, and is made where such roles are.
            deploy_role: if settings.is_told("--deploy-role") { role(prod, "/", deploy_role.name, false) } else { deploy_role },
            event_role: match &settings.event_role {
                Some(name) => role(dev, "/service-role/", name.as_str().to_owned(), false),
                None => role(dev, "/service-role/", names::event_role(home, pipeline), false),
            },
            output_policy: policy(prod, &settings.output_policy, "outputbucketdeployaccess"),
            artifact_policy: policy(prod, &settings.artifact_policy, "devkmss3access"),
            assume_policy: policy(dev, &settings.assume_policy, "assumeprods3role"),
            event_rule: settings.event_rule.clone().unwrap_or_else(|| names::event_rule(pipeline)),
        })
    }
}

/// One artifact store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Its region.
    pub region: String,
    /// Its bucket.
    pub bucket: String,
    /// The bucket exists.
    pub bucket_exists: bool,
    /// Its key's ARN, or the placeholder of a key to be made.
    pub key: String,
    /// The key exists.
    pub key_exists: bool,
    /// The store names an AWS managed key, which means the same as none (facts E.7).
    pub replaces_managed_key: bool,
}

/// What starts the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detection {
    /// Our rule.
    Eventbridge,
    /// CodePipeline itself.
    Polling,
    /// Nothing.
    None,
    /// What an existing pipeline has; the text says what that is.
    Kept(String),
}

/// What should be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's ARN.
    pub pipeline_arn: String,
    /// The development side.
    pub dev: Identity,
    /// The production side.
    pub prod: Identity,
    /// The pipeline's region.
    pub home: String,
    /// The output bucket's region.
    pub target_region: String,
    /// The source bucket.
    pub input_bucket: String,
    /// The source object.
    pub object_key: String,
    /// The deploy bucket.
    pub output_bucket: String,
    /// Deploy the zip itself.
    pub no_extract: bool,
    /// Where to, within the output bucket.
    pub deploy_path: Option<String>,
    /// What the deploy actions of this role write in the output bucket, as patterns of object keys: the article's `*` is wider.
    pub deployed: Vec<String>,
    /// One of them sets an ACL (facts A.2, row 14).
    pub sets_acl: bool,
    /// The `KMSEncryptionKeyARN` of the chosen action, which goes before the bucket's own key.
    pub declared_output_key: Option<String>,
    /// How much the policies grant.
    pub policies: Policies,
    /// Production's role may encrypt with the artifact key; always true with the article's policies.
    pub deploy_encrypts_with_dev_key: bool,
    /// All names.
    pub names: Names,
    /// The service role (a copy of `names.service_role`, with the real ARN where it exists).
    pub service_role: Named,
    /// The cross-account role, likewise.
    pub deploy_role: Named,
    /// EventBridge's role, likewise.
    pub event_role: Named,
    /// The artifact stores, the pipeline's region first.
    pub stores: Vec<Store>,
    /// What starts the pipeline.
    pub detection: Detection,
    /// What `PollForSourceChanges` must be; `None` leaves it.
    pub polling: Option<bool>,
    /// The deploy action of a pipeline that exists.
    pub deploy_place: Option<Place>,
    /// The source action of a pipeline that exists.
    pub source_place: Option<Place>,
    /// xdeploy made the pipeline, or will.
    pub own_pipeline: bool,
    /// The pipeline's type is V2, so that a rule may say which version to deploy (facts A.5).
    pub v2: bool,
}

impl Blueprint {
    /// Draws what should be there.
    ///
    /// # Errors
    /// A needed bucket isn't said, or the pipeline that exists doesn't fit what was asked for.
    pub fn draw(settings: &Settings, snapshot: &Snapshot) -> Result<Blueprint> {
        let pipeline = settings.pipeline.as_str().to_owned();
        let home = snapshot.dev.region.clone();
        let pipeline_arn = snapshot.dev.regional("codepipeline", &home, &pipeline);
        let declaration = snapshot.pipeline.as_ref().map(|found| &found.declaration);
        let own_pipeline = snapshot.pipeline.as_ref().is_none_or(|found| is_own(&found.tags, &pipeline_arn));
        let names = Names::resolve(settings, &snapshot.dev, &snapshot.prod, declaration)?;

        let output_bucket = snapshot.output.name.clone();
        let mut deploy_place = None;
        let mut source_place = None;
        let mut input_bucket = snapshot.input.name.clone();
        let mut object_key = settings.object_key_or_default().to_owned();
        if let Some(declaration) = declaration {
            let place =
                declaration::choose_deploy(declaration, Some(&output_bucket), settings.stage.as_deref(), settings.action.as_deref())?;
            deploy_place = Some(place);
            let (place, source) = choose_source(settings, declaration, declaration::action_at(declaration, place))?;
            source_place = Some(place);
            input_bucket = declaration::configured(source, "S3Bucket").unwrap_or_default().to_owned();
            let declared_key = declaration::configured(source, "S3ObjectKey").unwrap_or_default();
            if !own_pipeline || settings.object_key.is_none() {
                object_key = declared_key.to_owned();
            }
        }
        if input_bucket == output_bucket {
            return Err(Error::usage(format!("input and output bucket are the same: {input_bucket}"))
                .hint("the input bucket belongs to the development account, the output bucket to the production account"));
        }

        let target_region = snapshot.prod.region.clone();
        if let (Some(declaration), Some(place)) = (declaration, deploy_place) {
            let action_region =
                declaration::action_at(declaration, place).map_or(home.as_str(), |action| declaration::region_of(action, &home));
            if action_region != target_region {
                return Err(Error::refused(format!(
                    "the deploy action of pipeline {pipeline} is in {action_region}, but bucket {output_bucket} is in {target_region}"
                ))
                .hint("an S3 deploy action must be in its bucket's region: correct the action's region in the pipeline"));
            }
        }
        let mut regions = vec![home.clone()];
        if target_region != home {
            regions.push(target_region.clone());
        }
        let mut stores = Vec::new();
        for region in regions {
            let bucket = snapshot.artifact_buckets.get(&region).ok_or_else(|| Error::internal("no artifact bucket was looked for"))?;
            let slot = snapshot.keys.get(&region).ok_or_else(|| Error::internal("no key was looked for"))?;
            let key = slot.found.as_ref();
            stores.push(Store {
                bucket: bucket.name.clone(),
                bucket_exists: bucket.found.is_some(),
                key: key.map_or_else(|| key_placeholder(&region), |key| key.arn.clone()),
                key_exists: key.is_some(),
                replaces_managed_key: slot.replaces_managed_key,
                region,
            });
        }

        let source = source_place.and_then(|place| declaration::action_at(declaration?, place));
        let (detection, polling) = detection(settings, snapshot, source, own_pipeline, &input_bucket, &object_key);
        let service_role = Named {
            arn: snapshot.service_role.as_ref().map_or_else(|| names.service_role.arn.clone(), |role| role.arn.clone()),
            ..names.service_role.clone()
        };
        let deploy_role = Named {
            arn: snapshot.deploy_role.as_ref().map_or_else(|| names.deploy_role.arn.clone(), |role| role.arn.clone()),
            ..names.deploy_role.clone()
        };
        let event_role = Named {
            arn: snapshot.event_role.as_ref().map_or_else(|| names.event_role.arn.clone(), |role| role.arn.clone()),
            ..names.event_role.clone()
        };
        let v2 = declaration.is_none_or(declaration::is_v2);
        let there = policies_there(snapshot, &names, &pipeline, &pipeline_arn);
        let policies = settings.policies.unwrap_or(there.policies);
        // The flag can only say yes; a style that is asked for without it says no.
        let encrypts = policies == Policies::Article
            || settings.deploy_encrypts_with_dev_key
            || settings.policies.is_none() && there.encrypts
            || declared_keys(declaration, deploy_place).chain(output_key(snapshot)).any(|key| stores.iter().any(|store| store.key == key));
        let mut blueprint = Blueprint {
            pipeline_arn,
            pipeline,
            dev: snapshot.dev.clone(),
            prod: snapshot.prod.clone(),
            home,
            target_region,
            input_bucket,
            object_key,
            output_bucket,
            no_extract: settings.no_extract,
            deploy_path: settings.deploy_path.clone(),
            deployed: Vec::new(),
            sets_acl: false,
            declared_output_key: None,
            policies,
            deploy_encrypts_with_dev_key: encrypts,
            names,
            service_role,
            deploy_role,
            event_role,
            stores,
            detection,
            polling,
            deploy_place,
            source_place,
            own_pipeline,
            v2,
        };
        blueprint.look_at_deploys(declaration);
        Ok(blueprint)
    }

    /// Gives the configuration's `Extract` and `ObjectKey` as they were asked for (facts A.4: the service adds the `/` itself).
    pub fn asked_deploy(&self) -> (bool, Option<String>) {
        let path = self.deploy_path.as_deref().map(|path| path.trim_end_matches('/').to_owned());
        if self.no_extract {
            let file = self.object_key.rsplit('/').next().unwrap_or(&self.object_key).to_owned();
            (false, Some(path.unwrap_or(file)))
        } else {
            (true, path)
        }
    }

    /// Finds out what is written: by the chosen action, and by every other that deploys to the bucket with the same role.
    fn look_at_deploys(&mut self, declaration: Option<&Value>) {
        let (asked_extract, asked_key) = self.asked_deploy();
        let Some(declaration) = declaration else {
            self.deployed = vec![deployed(asked_extract, asked_key.as_deref())];
            return;
        };
        let mut patterns = Vec::new();
        for (place, action) in declaration::deploys(declaration, Some(&self.output_bucket)) {
            let chosen = self.deploy_place == Some(place);
            if !chosen && action.get("roleArn").and_then(Value::as_str) != Some(&self.deploy_role.arn) {
                continue;
            }
            let (mut extract, mut key) = (declaration::extract(action).is_wide(), declaration::configured(action, "ObjectKey"));
            if chosen {
                self.declared_output_key = declaration::output_key(action).map(str::to_owned);
            }
            // As the pipeline step patches it.
            if chosen && self.own_pipeline && (self.no_extract || self.deploy_path.is_some()) {
                extract = extract && asked_extract;
                key = asked_key.as_deref();
            }
            patterns.push(deployed(extract, key));
            self.sets_acl |= declaration::canned_acl(action).is_some();
        }
        // A managed policy holds 6,144 characters (facts D.1).
        self.deployed = if patterns.iter().map(String::len).sum::<usize>() > 4000 { vec!["*".to_owned()] } else { patterns };
        self.deployed.sort();
        self.deployed.dedup();
    }

    /// The beginning of the keys of the pipeline's artifacts (facts A.2, row 6).
    pub fn artifact_prefix(&self) -> String {
        self.pipeline.chars().take(20).collect()
    }

    /// The store from which the deploy action reads: its region's (facts A.2, rows 8 and 10).
    pub fn read_store(&self) -> Option<&Store> {
        self.stores.iter().find(|store| store.region == self.target_region)
    }

    /// Gives the Sid of one of our statements.
    pub fn sid(&self, what: &str) -> String {
        format!("{}{what}", names::sid_prefix(&self.pipeline))
    }

    /// Gives the source action's name, which a rule's source revision refers to.
    pub fn source_action<'a>(&self, snapshot: &'a Snapshot) -> &'a str {
        let declared = snapshot.pipeline.as_ref().zip(self.source_place);
        declared.and_then(|(found, place)| declaration::action_at(&found.declaration, place)).map_or("Source", declaration::name_of)
    }
}

/// What the documents that are there say of their style.
#[derive(Debug)]
struct PoliciesThere {
    policies: Policies,
    encrypts: bool,
}

/// Recognises the style by the Sids of what is ours: no other state is kept. One document of least privilege is enough, so
/// that neither a run that was stopped nor a statement that was taken out by hand widens the others.
fn policies_there(snapshot: &Snapshot, names: &Names, pipeline: &str, pipeline_arn: &str) -> PoliciesThere {
    let prefix = names::sid_prefix(pipeline);
    let own =
        |named: &Named| snapshot.policies.get(&named.arn).filter(|found| is_own(&found.tags, pipeline_arn)).map(|found| &found.document);
    let has = |document: Option<&Value>, wanted: &str| document.is_some_and(|document| policy::sids(document).contains(wanted));
    let keys = snapshot.keys.values().filter_map(|slot| slot.found.as_ref()?.policy.as_ref());
    let buckets = snapshot.artifact_buckets.values().filter_map(|slot| slot.found.as_ref()?.policy.as_ref());
    let shared: Vec<&Value> = keys.chain(buckets).collect();
    let in_shared = |what: &str| shared.iter().any(|document| has(Some(document), &format!("{prefix}{what}")));
    let (output, artifact) = (own(&names.output_policy), own(&names.artifact_policy));
    let least = has(artifact, names::READ_ARTIFACTS)
        || has(output, names::DEPLOY_OBJECTS)
        || names::OF_LEAST_PRIVILEGE.iter().any(|what| in_shared(what));
    PoliciesThere {
        policies: if least { Policies::LeastPrivilege } else { Policies::Article },
        encrypts: has(artifact, names::ENCRYPT_WITH_ARTIFACT_KEY) || in_shared(names::ENCRYPT_IN_KEY),
    }
}

/// The key that the deploy action itself names for what it writes (facts A.4).
fn declared_keys(declaration: Option<&Value>, place: Option<Place>) -> impl Iterator<Item = &str> {
    let action = declaration.zip(place).and_then(|(declaration, place)| declaration::action_at(declaration, place));
    action.and_then(declaration::output_key).into_iter()
}

/// The customer key that the output bucket encrypts with (facts A.2, row 15).
fn output_key(snapshot: &Snapshot) -> Option<&str> {
    let key = snapshot.output.found.as_ref()?.encryption.as_ref()?.known()?.key.as_ref()?;
    snapshot.customer_keys.get(key).and_then(Readable::known).map(|found| found.arn.as_str())
}

/// Gives the pattern of what one deploy action writes.
fn deployed(extract: bool, key: Option<&str>) -> String {
    match (extract, key.filter(|key| !key.is_empty()).map(|key| object_pattern(key, &["{datetime}", "{uuid}"]))) {
        (true, Some(folder)) => format!("{folder}/*"),
        (false, Some(object)) => object,
        (_, None) => "*".to_owned(),
    }
}

/// Gives the pattern that matches exactly this object key, but for what CodePipeline puts into it (facts A.4, A.5) and for
/// characters that a policy can't hold.
pub fn object_pattern(key: &str, substituted: &[&str]) -> String {
    let mut pattern = String::new();
    let mut rest = key;
    while let Some(first) = rest.chars().next() {
        let variable = rest.strip_prefix("#{").and_then(|after| after.split_once('}')).map(|(_, after)| after);
        let replaced = variable.or_else(|| substituted.iter().find_map(|word| rest.strip_prefix(word)));
        let writable = (' '..='\u{ff}').contains(&first) && first != '\u{7f}';
        rest = replaced.unwrap_or(&rest[first.len_utf8()..]);
        match first {
            _ if replaced.is_some() || !writable => {
                if !pattern.ends_with('*') {
                    pattern.push('*');
                }
            }
            '*' | '?' => pattern.extend(["${", &first.to_string(), "}"]),
            '$' if rest.starts_with('{') => pattern.push_str("${$}"),
            _ => pattern.push(first),
        }
    }
    pattern
}

/// Finds the S3 source action that is meant.
fn choose_source<'a>(settings: &Settings, declaration: &'a Value, deploy: Option<&Value>) -> Result<(Place, &'a Value)> {
    let pipeline = settings.pipeline.as_str();
    let all = declaration::sources(declaration);
    let bucket = settings.input_bucket.as_ref().map(|bucket| bucket.as_str());
    // Several sources may read one bucket; the key tells them apart. A single one's key may be changed where we own the pipeline.
    let mut fitting: Vec<_> =
        all.iter().copied().filter(|(_, a)| bucket.is_none_or(|b| declaration::configured(a, "S3Bucket") == Some(b))).collect();
    if fitting.len() > 1
        && let Some(key) = &settings.object_key
    {
        fitting.retain(|(_, action)| declaration::configured(action, "S3ObjectKey") == Some(key.as_str()));
    }
    let fitting = declaration::narrowed(fitting, deploy.unwrap_or(&Value::Null));
    let listed = all
        .iter()
        .map(|(_, a)| {
            format!(
                "{}/{}",
                declaration::configured(a, "S3Bucket").unwrap_or("?"),
                declaration::configured(a, "S3ObjectKey").unwrap_or("?")
            )
        })
        .collect::<Vec<_>>()
        .join(", ");
    match fitting.as_slice() {
        [(place, action)] => Ok((*place, action)),
        [] if all.is_empty() => Err(Error::refused(format!("pipeline {pipeline} has no S3 source action"))
            .hint("xdeploy sets up pipelines whose source is an S3 object (article A2.3); name another pipeline with `--pipeline`")),
        [] => Err(Error::refused(format!("pipeline {pipeline} does not read {}", bucket.unwrap_or("the given object")))
            .hint(format!("it reads {listed}: name that with `--input-bucket`, or another pipeline with `--pipeline`"))),
        _ => Err(Error::refused(format!("pipeline {pipeline} has several S3 source actions: {listed}"))
            .hint("say which with `--input-bucket` and `--object-key`")),
    }
}

/// Decides what starts the pipeline (`architecture.md`, "Whose is it").
fn detection(
    settings: &Settings,
    snapshot: &Snapshot,
    source: Option<&Value>,
    own: bool,
    bucket: &str,
    key: &str,
) -> (Detection, Option<bool>) {
    let pipeline_arn = snapshot.dev.regional("codepipeline", &snapshot.dev.region, settings.pipeline.as_str());
    // A rule of others may have our name.
    let arn = snapshot.pipeline.as_ref().map(|found| found.arn.as_str());
    let namesake = snapshot.rule.as_ref().filter(|rule| {
        let aims = |target: &Value| target.get("Arn").and_then(Value::as_str) == arn;
        !is_own(&rule.tags, &pipeline_arn) && arn.is_some() && rule.targets.iter().any(aims)
    });
    let foreign = snapshot.other_rules.iter().chain(namesake).find(|rule| rule.enabled && watches(&rule.pattern, bucket, key));
    let kept = |text: String| (Detection::Kept(text), None);
    match (settings.change_detection, source) {
        (Some(ChangeDetection::Polling), _) => (Detection::Polling, Some(true)),
        (Some(ChangeDetection::None), _) => (Detection::None, Some(false)),
        (Some(ChangeDetection::Eventbridge), _) => match foreign {
            Some(rule) => (Detection::Kept(format!("rule {} starts it", rule.name)), Some(false)),
            None => (Detection::Eventbridge, Some(false)),
        },
        (None, None) => (Detection::Eventbridge, Some(false)),
        (None, Some(source)) => {
            // A pipeline of ours remembers in a tag what it was set up with, so that a rule that went missing is seen.
            let remembered = own.then(|| snapshot.pipeline.as_ref()?.tags.get(DETECTION_TAG).map(String::as_str)).flatten();
            match remembered {
                Some("none") => return (Detection::None, Some(false)),
                Some("polling") => return (Detection::Polling, Some(true)),
                Some("eventbridge") if foreign.is_none() => return (Detection::Eventbridge, Some(false)),
                _ => {}
            }
            if let Some(rule) = foreign {
                return kept(format!("rule {} starts it", rule.name));
            }
            if snapshot.rule.as_ref().is_some_and(|rule| is_own(&rule.tags, &pipeline_arn)) {
                return (Detection::Eventbridge, None);
            }
            if declaration::polls(source) {
                return kept("CodePipeline polls".to_owned());
            }
            kept("nothing starts it; pass `--change-detection eventbridge` to change that".to_owned())
        }
    }
}

/// Says whether a rule's pattern is about this object: S3's own events, or CloudTrail's (facts B.3).
pub fn watches(pattern: &Value, bucket: &str, key: &str) -> bool {
    let of_s3 = match pattern.get("source") {
        // A filter instead of a name may well match.
        Some(Value::Array(list)) => list.iter().any(|one| one.is_object() || one == "aws.s3"),
        _ => false,
    };
    let may_be = |path: &str, wanted: &str| match pattern.pointer(path) {
        None => true,
        Some(Value::Array(list)) => list.iter().any(|one| match one {
            Value::String(text) => text == wanted,
            Value::Object(filter) => match filter.get("prefix").and_then(Value::as_str) {
                Some(prefix) => wanted.starts_with(prefix),
                None => true,
            },
            _ => false,
        }),
        Some(_) => false,
    };
    of_s3
        && may_be("/detail/bucket/name", bucket)
        && may_be("/detail/object/key", key)
        && may_be("/detail/requestParameters/bucketName", bucket)
        && may_be("/detail/requestParameters/key", key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_s_pattern_matches_it_and_what_codepipeline_makes_of_it() {
        for (key, pattern) in [
            ("site/v2", "site/v2"),
            ("a {datetime}-{uuid}.zip", "a *-*.zip"),
            ("{uuid}{datetime}/x", "*/x"),
            ("#{SourceVariables.VersionId}/x", "*/x"),
            ("#{open", "#{open"),
            ("a*b?c${d}$", "a${*}b${?}c${$}{d}$"),
            ("サイト/é", "*/é"),
        ] {
            assert_eq!(object_pattern(key, &["{datetime}", "{uuid}"]), pattern);
        }
        assert_eq!(object_pattern("{uuid}", &[]), "{uuid}");
        assert_eq!(deployed(true, None), "*");
        assert_eq!(deployed(true, Some("site/")), "site//*", "the service adds a slash of its own");
        assert_eq!(deployed(false, Some("site/a.zip")), "site/a.zip");
    }
}
