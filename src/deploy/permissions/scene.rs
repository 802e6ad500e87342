//! What a command would find, drawn up from the settings alone; what nobody can know before is `*`.

use super::{Permission, Scenario};
use crate::deploy::blueprint::Names;
use crate::deploy::snapshot::{
    BucketFound, BucketSlot, Encryption, Identity, KeyFound, KeySlot, PipelineFound, ReadAt, RoleFound, RuleFound, Snapshot, Tags,
};
use crate::error::{Error, Result};
use crate::model::{Arn, KeyArn, Readable};
use crate::settings::Settings;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What isn't known of the development side.
const ANY: &str = "*";
/// What isn't known of the production side: the two are never taken for the same. It is written as one `*`.
const ANY_OTHER: &str = "**";

/// The longest name of a region has 14 characters, and the longest name of a role 64.
const LONGEST_BESIDE_A_REGION: usize = 50;

/// Gives what is there before setup.
///
/// # Errors
/// The regions don't fit the scenario, or the service role's ARN isn't the development account's.
pub fn before(settings: &Settings, scenario: Scenario) -> Result<Snapshot> {
    let (dev, prod) = identities(settings, scenario)?;
    let regions: Vec<&str> = if prod.region == dev.region { vec![&dev.region] } else { vec![&dev.region, &prod.region] };
    let key = |region: &str| {
        let named = settings.artifact_key(region);
        let asked = named.map_or_else(|| settings.key_alias_or_default().to_owned(), ToString::to_string);
        // The policy of an own key is read, and brought up to date.
        let policy = |key: &KeyArn| (key.account() == dev.account).then(|| json!({"Version": "2012-10-17", "Statement": []}));
        let found = named.map(|key| KeyFound { policy: policy(key), ..KeyFound::named(key.as_str()) });
        let slot = KeySlot { asked, from_pipeline: false, replaces_managed_key: false, alias_exists: named.is_some(), found };
        (region.to_owned(), slot)
    };
    let input = settings.input_bucket.as_ref().map_or(ANY, |bucket| bucket.as_str());
    let output = settings.output_bucket.as_ref().map_or(ANY_OTHER, |bucket| bucket.as_str());
    let versioning = if settings.enable_versioning { "" } else { "Enabled" };
    let found = |region: &str| Some(bucket(region, versioning)).filter(|_| !settings.create_buckets);
    let mut snapshot = Snapshot {
        keys: regions.iter().map(|region| key(region)).collect(),
        artifact_buckets: regions.iter().map(|region| ((*region).to_owned(), artifacts(settings, &dev, region, scenario))).collect(),
        input: BucketSlot { name: input.to_owned(), found: found(&dev.region) },
        output: BucketSlot { name: output.to_owned(), found: found(&prod.region) },
        passing_role: None,
        administrator: Readable::Known(Some(caller(&dev)).filter(|_| settings.key_administrators.is_empty())),
        dev,
        prod,
        pipeline: None,
        service_role: None,
        deploy_role: None,
        event_role: None,
        policies: BTreeMap::new(),
        rule: None,
        other_rules: Vec::new(),
        customer_keys: BTreeMap::new(),
        other_roles: BTreeMap::new(),
        boundaries: BTreeMap::new(),
        dev_organisation: None,
        prod_organisation: None,
        told: None,
        read_at: ReadAt::default(),
    };
    if scenario == Scenario::Adopt {
        by_the_console(settings, &mut snapshot)?;
    }
    Ok(snapshot)
}

/// Stands for who runs setup, and so administers the key that it makes; no user can be called so.
pub fn caller(dev: &Identity) -> String {
    dev.iam("user/(caller)")
}

fn identities(settings: &Settings, scenario: Scenario) -> Result<(Identity, Identity)> {
    let home = settings.region.as_ref().map_or(ANY, |region| region.as_str());
    let asked = settings.prod_region.as_ref().map(|region| region.as_str());
    let target = match (asked, scenario) {
        (Some(target), Scenario::CrossRegion) if target == home => {
            return Err(Error::usage(format!("both regions are {home}, so that nothing crosses regions"))
                .hint("name the output bucket's region with `--prod-region`, or leave `--scenario cross-region` out"));
        }
        (Some(target), _) => target,
        (None, Scenario::CrossRegion) => ANY_OTHER,
        (None, _) => home,
    };
    // The region tells the partition: its name begins so in all of them.
    let partition = match home.split('-').next() {
        Some("cn") => "aws-cn",
        Some("us") if home.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    let of_role = settings.service_role.as_ref().and_then(|role| role.parse::<Arn>().ok()).map(|role| role.account);
    let dev = settings.dev_account.as_ref().map(ToString::to_string).or(of_role);
    let prod = settings.prod_account.as_ref().map(ToString::to_string);
    let identity = |account: Option<String>, unknown: &str, region: &str| Identity {
        account: account.unwrap_or_else(|| unknown.to_owned()),
        partition: partition.to_owned(),
        region: region.to_owned(),
    };
    Ok((identity(dev, ANY, home), identity(prod, ANY_OTHER, target)))
}

/// A bucket of somebody's as AWS makes them today (S3-Own, S3-BPA).
fn bucket(region: &str, versioning: &str) -> BucketFound {
    BucketFound {
        region: region.to_owned(),
        versioning: Some(versioning.to_owned()),
        encryption: Some(Readable::Known(Encryption { algorithm: "AES256".to_owned(), key: None, bucket_key: false })),
        ownership: Some(Readable::Known("BucketOwnerEnforced".to_owned())),
        public_access_blocked: Some(true),
        restricts_public: Some(true),
        notification: Some(String::new()),
        ..BucketFound::default()
    }
}

/// The place of an artifact bucket: the one that was named, the console's in an account where it made one (facts B.2), or ours.
fn artifacts(settings: &Settings, dev: &Identity, region: &str, scenario: Scenario) -> BucketSlot {
    let asked = settings.artifact_bucket.as_ref().filter(|_| region == dev.region);
    let consoles = scenario == Scenario::Adopt && region == dev.region;
    let there = consoles || asked.is_some() && !settings.create_buckets;
    let name = match asked {
        Some(asked) => asked.to_string(),
        None if consoles => format!("codepipeline-{region}-{ANY}"),
        None => format!("codepipeline-{region}-{}", dev.account),
    };
    BucketSlot { name, found: there.then(|| bucket(region, "")) }
}

/// Puts in what the console makes: service role, artifact bucket's policy, rule with its role, and the pipeline (facts B).
fn by_the_console(settings: &Settings, snapshot: &mut Snapshot) -> Result<()> {
    let names = Names::resolve(settings, &snapshot.dev, &snapshot.prod, None)?;
    let dev = snapshot.dev.clone();
    let pipeline = settings.pipeline.as_str();
    let role = |arn: &str, name: &str, service: &str, policy: &str| RoleFound {
        name: name.to_owned(),
        arn: arn.to_owned(),
        id: None,
        trust: json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}),
        tags: Tags::new(),
        attached: vec![dev.iam(&format!("policy/service-role/{policy}"))],
        inline: BTreeMap::new(),
        attached_documents: BTreeMap::new(),
        other_documents: BTreeMap::new(),
        boundary: None,
    };
    let (service, event) = (&names.service_role, &names.event_role);
    snapshot.service_role = Some(role(&service.arn, &service.name, "codepipeline.amazonaws.com", &service.name));
    let starts = crate::deploy::names::event_inline_name(&dev.region, pipeline);
    snapshot.event_role = Some(role(&event.arn, &event.name, "events.amazonaws.com", &starts));
    let arn = dev.regional("codepipeline", &dev.region, pipeline);
    snapshot.other_rules = vec![RuleFound {
        // The name that the console gives isn't documented (facts B.3).
        name: ANY.to_owned(),
        pattern: json!({"source": ["aws.s3"], "detail-type": ["AWS API Call via CloudTrail"]}),
        enabled: true,
        tags: Tags::new(),
        targets: vec![json!({"Id": "codepipeline", "Arn": arn, "RoleArn": event.arn})],
    }];
    let declaration = declared(settings, snapshot, &service.arn);
    for slot in snapshot.artifact_buckets.values_mut() {
        let denies = json!({"Sid": "DenyInsecureConnections", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": format!("{}/*", dev.bucket(&slot.name)), "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
        let policy = json!({"Version": "2012-10-17", "Id": "SSEAndSSLPolicy", "Statement": [denies]});
        slot.found.iter_mut().for_each(|found| found.policy = Some(policy.clone()));
    }
    snapshot.pipeline = Some(PipelineFound { arn, declaration, tags: Tags::new(), running: Vec::new(), polling_disabled: false });
    Ok(())
}

/// A declaration as the console writes it: the deploy action has no role of its own, the store no key.
fn declared(settings: &Settings, snapshot: &Snapshot, role: &str) -> Value {
    let (home, target) = (&snapshot.dev.region, &snapshot.prod.region);
    let kind = |category: &str| json!({"category": category, "owner": "AWS", "provider": "S3", "version": "1"});
    let name = |asked: &Option<String>, default: &str| asked.clone().unwrap_or_else(|| default.to_owned());
    let store = |slot: &BucketSlot| json!({"type": "S3", "location": slot.name});
    let mut deploy = json!({"name": name(&settings.action, "Deploy"), "actionTypeId": kind("Deploy"), "runOrder": 1,
        "configuration": {"BucketName": snapshot.output.name, "Extract": "true"},
        "inputArtifacts": [{"name": "SourceArtifact"}], "outputArtifacts": []});
    let source = json!({"name": "Source", "actionTypeId": kind("Source"), "runOrder": 1,
        "configuration": {"S3Bucket": snapshot.input.name, "S3ObjectKey": settings.object_key_or_default(), "PollForSourceChanges": "false"},
        "inputArtifacts": [], "outputArtifacts": [{"name": "SourceArtifact"}]});
    let mut pipeline =
        json!({"name": settings.pipeline, "roleArn": role, "version": 1, "pipelineType": "V2", "executionMode": "SUPERSEDED"});
    if home == target {
        pipeline["artifactStore"] = snapshot.artifact_buckets.get(home).map(store).unwrap_or_default();
    } else {
        deploy["region"] = json!(target);
        pipeline["artifactStores"] = snapshot.artifact_buckets.iter().map(|(region, slot)| (region.clone(), store(slot))).collect();
    }
    pipeline["stages"] = json!([{"name": "Source", "actions": [source]}, {"name": name(&settings.stage, "Deploy"), "actions": [deploy]}]);
    pipeline
}

/// Writes a permission as IAM takes it.
pub fn tidy(permission: &mut Permission, names: &Names) {
    for role in [&names.service_role, &names.event_role] {
        // A name that is cut to IAM's length, or ends in a hash, ends where the region that isn't known begins.
        if let Some((start, _)) = role.name.split_once(ANY).filter(|_| role.name.len() > LONGEST_BESIDE_A_REGION) {
            permission.resource = permission.resource.replace(&role.name, &format!("{start}{ANY}"));
        }
    }
    while permission.resource.contains(ANY_OTHER) {
        permission.resource = permission.resource.replace(ANY_OTHER, ANY);
    }
    if let Some(condition) = &mut permission.condition
        && condition.to_string().contains(ANY_OTHER)
        && let Ok(tidied) = serde_json::from_str(&condition.to_string().replace(ANY_OTHER, ANY))
    {
        *condition = tidied;
    }
}
