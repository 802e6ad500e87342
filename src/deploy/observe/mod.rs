//! Reads what both accounts hold, side by side; judges nothing and writes nothing.

mod buckets;
mod caller;
mod iam;
mod keys;
mod organisation;
mod pipeline;
mod rules;
mod second_opinion;

pub use buckets::{SOURCE_SHA256, head_bucket, read_notification};
pub use caller::{Means, means};
pub use keys::key_tags;
pub use pipeline::{read_pipeline_version, running_executions};
pub use second_opinion::second_opinion;

use super::blueprint::Names;
use super::declaration;
use super::snapshot::{BucketFound, BucketSlot, DevHalf, Half, Identity, Organisation, ProdHalf, ReadAt, Snapshot, Told};
use crate::aws::{Account, ApiError};
use crate::error::{Error, Kind, Result};
use crate::model::{Readable, Side};
use crate::settings::Settings;
use buckets::{look_at_told_buckets, read_artifact_bucket, read_input, read_output, stranger_s_region};
use futures_util::future::try_join_all;
use iam::{Reading, administrator, read_boundaries, read_other_roles, read_policy, read_role};
use keys::{customer_keys, read_key_slot};
use organisation::read_organisation;
use pipeline::{complete_pipeline, read_pipeline};
use rules::{other_rules, read_rule, roles_of_rules};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the reading is for; it decides which extra reads are worth their request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// setup, plan, apply, verify.
    Setup,
    /// The same, with a file to upload: what is in the input bucket matters.
    WithArtifact,
    /// teardown also needs to know which buckets are ours and empty.
    Teardown,
}

/// Whether the organisation is asked what it allows: most callers may not know, and a first set-up has to be quick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Organisations {
    /// Not at all.
    Never,
    /// Only where the pipeline is there already.
    OfExisting,
    /// Always.
    Always,
}

/// Reads everything that the steps of article A are about.
///
/// # Errors
/// A needed read failed; one that AWS denied names the missing permission.
pub async fn observe(
    dev: &Account,
    prod: &Account,
    settings: &Settings,
    purpose: Purpose,
    organisations: Organisations,
) -> Result<Snapshot> {
    let always = async { if organisations == Organisations::Always { read_organisations(dev, prod).await } else { (None, None) } };
    let ((of_dev, of_prod), snapshot) =
        tokio::join!(always, observe_accounts(dev, prod, settings, purpose, organisations, Others::default()));
    let mut snapshot = snapshot?;
    if organisations == Organisations::Always {
        (snapshot.dev_organisation, snapshot.prod_organisation) = (of_dev, of_prod);
    }
    Ok(snapshot)
}

/// Reads one account's half, where the other one is only named: its half is what a hand-off tells, or what is assumed of it.
///
/// # Errors
/// As [`observe`], or what was told can't be so.
pub async fn observe_side(
    dev: &Account,
    prod: &Account,
    settings: &Settings,
    purpose: Purpose,
    other: &Half,
    told: Told,
) -> Result<Snapshot> {
    let untold = match other {
        Half::Dev(half) => look_at_told_buckets(prod, half).await?,
        Half::Prod(_) => Vec::new(),
    };
    let (nothing_told, side) = (!told.by_handoff, told.side);
    let others = match other {
        Half::Dev(half) => Others { dev: Some(half), prod: None, nothing_told },
        Half::Prod(half) => Others { dev: None, prod: Some(half), nothing_told },
    };
    let mut snapshot = observe_accounts(dev, prod, settings, purpose, Organisations::Never, others).await?;
    let own = match side {
        Side::Dev => read_organisation(prod, prod).await,
        Side::Prod => read_organisation(dev, dev).await,
    };
    match side {
        Side::Dev => snapshot.prod_organisation = Some(own),
        Side::Prod => snapshot.dev_organisation = Some(own),
    }
    snapshot.told = Some(Told { untold, ..told });
    Ok(snapshot)
}

/// The halves that nobody reads.
#[derive(Debug, Clone, Copy, Default)]
struct Others<'a> {
    dev: Option<&'a DevHalf>,
    prod: Option<&'a ProdHalf>,
    /// They are assumed.
    nothing_told: bool,
}

/// Finds out from development where production's bucket is, before production has told anything.
async fn untold_region(dev: &Account, settings: &Settings, home: &str, bucket: &str) -> Result<String> {
    if let Some(said) = &settings.prod_region {
        return Ok(said.to_string());
    }
    stranger_s_region(dev, home, bucket).await?.ok_or_else(|| {
        Error::refused(format!("there is no bucket {bucket} yet, and its region decides what kind of key is made"))
            .hint("pass `--prod-region REGION`, where production will make it, or let production begin with `--side prod`")
    })
}

/// Takes what was told, or reads.
async fn told_or<T, E>(told: Option<T>, read: impl Future<Output = std::result::Result<T, E>>) -> std::result::Result<T, E> {
    match told {
        Some(told) => Ok(told),
        None => read.await,
    }
}

async fn read_organisations(dev: &Account, prod: &Account) -> (Option<Organisation>, Option<Organisation>) {
    let (of_dev, of_prod) = tokio::join!(read_organisation(dev, prod), read_organisation(prod, dev));
    (Some(of_dev), Some(of_prod))
}

async fn observe_accounts(
    dev: &Account,
    prod: &Account,
    settings: &Settings,
    purpose: Purpose,
    organisations: Organisations,
    others: Others<'_>,
) -> Result<Snapshot> {
    let home = settings.region.as_ref().map_or(dev.region.as_str(), |region| region.as_str()).to_owned();
    let (pipeline, output_region) = tokio::try_join!(
        told_or(others.dev.map(|half| half.pipeline.clone()), async {
            read_pipeline(dev, &home, settings.pipeline.as_str()).await.map_err(Error::from)
        }),
        told_or(others.prod.map(|half| half.output.found.as_ref().map(|found| found.region.clone())), find_output(prod, settings, &home)),
    )?;
    let declaration = pipeline.as_ref().map(|found| found.declaration.clone());
    // A teardown that was stopped goes on without the pipeline, with the default names.
    let or_none = |name: Result<String>| match name {
        Err(error) if purpose == Purpose::Teardown && matches!(error.kind, Kind::Usage | Kind::Refused) => Ok(String::new()),
        other => other,
    };
    let output_name = or_none(output_name(settings, declaration.as_ref()))?;
    // Without `--output-bucket` the name came from the pipeline only now, so the place must be asked for now.
    let output_region = match (output_region, &settings.output_bucket) {
        // Whether there will be two regions decides what kind of key is made, and that can't be changed.
        _ if others.nothing_told && others.prod.is_some() => Some(untold_region(dev, settings, &home, &output_name).await?),
        (found, Some(_)) => found,
        (_, None) if output_name.is_empty() => None,
        (found, None) if others.prod.is_some() => found,
        (_, None) => head_bucket(prod, settings.prod_region.as_ref().map_or(&home, |r| r.as_str()), &output_name).await?,
    };
    if let (Some(actual), Some(said)) = (&output_region, &settings.prod_region)
        && actual != said.as_str()
    {
        return Err(Error::refused(format!("bucket {output_name} is in {actual}, not in {said}"))
            .hint(format!("pass `--prod-region {actual}`, or leave it out: xdeploy finds the bucket's region")));
    }
    let target = output_region.clone().or_else(|| settings.prod_region.as_ref().map(ToString::to_string)).unwrap_or_else(|| home.clone());
    let dev_identity = Identity::of(dev, &home);
    let prod_identity = Identity::of(prod, &target);
    let names = Names::resolve(settings, &dev_identity, &prod_identity, declaration.as_ref())?;
    let input_name = match others.dev {
        Some(half) => half.input.name.clone(),
        None => or_none(input_name(settings, declaration.as_ref()))?,
    };

    let mut regions = vec![home.clone()];
    if target != home {
        regions.push(target.clone());
    }
    let pipeline_arn = dev_identity.regional("codepipeline", &home, settings.pipeline.as_str());
    let exists = pipeline.is_some();
    let declared = declaration.as_ref();

    let ours = [names.assume_policy.arn.as_str(), names.output_policy.arn.as_str(), names.artifact_policy.arn.as_str()];
    let reading = Reading { likely: exists, pipeline_arn: &pipeline_arn, ours: &ours };
    let roles = async {
        tokio::try_join!(
            told_or(others.dev.map(|half| half.service_role.clone()), read_role(dev, &names.service_role, reading)),
            told_or(others.prod.map(|half| half.deploy_role.clone()), read_role(prod, &names.deploy_role, reading)),
            told_or(others.dev.map(|half| half.event_role.clone()), read_role(dev, &names.event_role, reading)),
        )
    };
    let policies = async {
        tokio::try_join!(
            told_or(
                others.dev.map(|half| half.policies.get(&names.assume_policy.arn).cloned()),
                read_policy(dev, &names.assume_policy.arn)
            ),
            told_or(
                others.prod.map(|half| half.policies.get(&names.output_policy.arn).cloned()),
                read_policy(prod, &names.output_policy.arn)
            ),
            told_or(
                others.prod.map(|half| half.policies.get(&names.artifact_policy.arn).cloned()),
                read_policy(prod, &names.artifact_policy.arn)
            ),
        )
    };
    let keys = try_join_all(regions.iter().map(|region| async {
        let told = others.dev.map(|half| half.key_slot(region, settings));
        let slot = told_or(told, read_key_slot(dev, region, &home, settings, declared)).await?;
        Ok::<_, Error>((region.clone(), slot))
    }));
    let buckets = try_join_all(regions.iter().map(|region| async {
        let told = others.dev.map(|half| half.artifact_bucket(region));
        let slot = told_or(told, read_artifact_bucket(dev, region, &home, settings, declared, purpose)).await?;
        Ok::<_, Error>((region.clone(), slot))
    }));
    let input = told_or(others.dev.map(|half| half.input.clone()), read_input(dev, &home, &input_name, settings, declared, purpose));
    let told_output = others.prod.map(|half| {
        let found = half.output.found.clone().map(|found| BucketFound { region: target.clone(), ..found });
        BucketSlot { name: output_name.clone(), found }
    });
    let output = told_or(told_output, read_output(prod, output_region.as_deref(), &output_name, settings, purpose));
    let events = async {
        tokio::try_join!(
            told_or(others.dev.map(|half| half.rule.clone()), read_rule(dev, &home, &names.event_rule, true)),
            told_or(others.dev.map(|half| half.other_rules.clone()), async {
                if exists { other_rules(dev, &home, &pipeline_arn, &names.event_rule).await } else { Ok(Vec::new()) }
            }),
        )
    };
    let extras = async {
        match pipeline {
            Some(found) if others.dev.is_none() => Ok(Some(complete_pipeline(dev, &home, found).await?)),
            other => Ok(other),
        }
    };
    let api = |error: Box<ApiError>| Error::from(error);
    let (roles, policies, keys, buckets, input, output, events, pipeline, (administrator, passing_role), organisations) = tokio::try_join!(
        async { roles.await.map_err(api) },
        async { policies.await.map_err(api) },
        keys,
        buckets,
        input,
        output,
        async { events.await.map_err(api) },
        async { extras.await.map_err(api) },
        async {
            // Whose key it will be is for its own side to find out.
            Ok::<_, Error>(if others.dev.is_some() { (Readable::Known(None), None) } else { administrator(dev, settings).await })
        },
        async {
            let ask = organisations == Organisations::OfExisting && exists;
            Ok::<_, Error>(if ask { read_organisations(dev, prod).await } else { (None, None) })
        },
    )?;
    let (service_role, deploy_role, event_role) = roles;
    let (assume, output_policy, artifact_policy) = policies;
    let (rule, other_rules) = events;
    let known: Vec<&str> = [&service_role, &deploy_role, &event_role].into_iter().flatten().map(|role| role.arn.as_str()).collect();
    let deploy = declared.and_then(|declared| {
        let place = declaration::choose_deploy(declared, Some(&output_name), settings.stage.as_deref(), settings.action.as_deref()).ok()?;
        declaration::action_at(declared, place)
    });
    let declared_key = deploy.and_then(declaration::output_key);
    let of_deploy = deploy.and_then(|action| action.get("roleArn")?.as_str()).map(str::to_owned);
    let of_sources = declared.map(declaration::sources).unwrap_or_default();
    let of_sources = of_sources.into_iter().filter_map(|(_, source)| source.get("roleArn")?.as_str()).map(str::to_owned);
    let of_rules = roles_of_rules(rule.iter().chain(&other_rules), &pipeline_arn);
    let wanted_roles = of_rules.into_iter().chain(of_sources).chain(of_deploy).filter(|arn| !known.contains(&arn.as_str())).collect();
    let (mut customer_keys, mut other_roles, boundaries) = tokio::join!(
        customer_keys(dev, prod, &home, &target, [&input, &output], declared_key),
        read_other_roles([dev, prod], wanted_roles, reading),
        // What is undone makes no role.
        async { if purpose == Purpose::Teardown { BTreeMap::new() } else { read_boundaries([dev, prod], settings).await } }
    );
    let told_keys = others.dev.map(|half| &half.customer_keys).into_iter().chain(others.prod.map(|half| &half.customer_keys));
    // What was read is never replaced by what was told.
    for (name, key) in told_keys.flatten() {
        customer_keys.entry(name.clone()).or_insert_with(|| key.clone());
    }
    let told_roles = others.dev.map(|half| &half.other_roles).into_iter().chain(others.prod.map(|half| &half.other_roles));
    for (arn, role) in told_roles.flatten() {
        if !matches!(other_roles.get(arn), Some(Readable::Known(_))) {
            other_roles.insert(arn.clone(), role.clone());
        }
    }
    let (dev_organisation, prod_organisation) = organisations;
    Ok(Snapshot {
        dev: dev_identity,
        prod: prod_identity,
        administrator,
        passing_role,
        pipeline,
        service_role,
        deploy_role,
        event_role,
        policies: [assume, output_policy, artifact_policy].into_iter().flatten().map(|found| (found.arn.clone(), found)).collect(),
        keys: keys.into_iter().collect(),
        artifact_buckets: buckets.into_iter().collect(),
        input,
        output,
        rule,
        other_rules,
        customer_keys,
        other_roles,
        boundaries,
        dev_organisation,
        prod_organisation,
        told: None,
        read_at: ReadAt(SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())),
    })
}

fn output_name(settings: &Settings, declaration: Option<&Value>) -> Result<String> {
    if let Some(bucket) = &settings.output_bucket {
        return Ok(bucket.to_string());
    }
    let Some(declaration) = declaration else {
        if settings.input_bucket.is_none() {
            return Err(Error::usage("not said which buckets to deploy from and to").hint(
                "pass `--input-bucket BUCKET` (of development) and `--output-bucket BUCKET` (of production), or set `input-bucket` under [dev] and `output-bucket` under [[target]] in xdeploy.toml",
            ));
        }
        return Err(Error::usage("not said which bucket of production to deploy to")
            .hint("pass `--output-bucket BUCKET`, or set `output-bucket` under [[target]] in xdeploy.toml"));
    };
    let place = declaration::choose_deploy(declaration, None, settings.stage.as_deref(), settings.action.as_deref())?;
    let bucket = declaration::action_at(declaration, place).and_then(|action| declaration::configured(action, "BucketName"));
    Ok(bucket.unwrap_or_default().to_owned())
}

fn input_name(settings: &Settings, declaration: Option<&Value>) -> Result<String> {
    if let Some(bucket) = &settings.input_bucket {
        return Ok(bucket.to_string());
    }
    match declaration.map(declaration::sources).as_deref() {
        // To name a bucket would not help.
        Some([]) => Err(Error::refused(format!("pipeline {} has no S3 source action", settings.pipeline))
            .hint("xdeploy sets up pipelines whose source is an S3 object (article A2.3); name another pipeline with `--pipeline`")),
        Some([(_, source)]) => Ok(declaration::configured(source, "S3Bucket").unwrap_or_default().to_owned()),
        _ => Err(Error::usage("not said which bucket of development the source zip is uploaded to")
            .hint("pass `--input-bucket BUCKET`, or set `input-bucket` under [dev] in xdeploy.toml")),
    }
}

async fn find_output(prod: &Account, settings: &Settings, home: &str) -> Result<Option<String>> {
    match &settings.output_bucket {
        None => Ok(None),
        Some(bucket) => head_bucket(prod, settings.prod_region.as_ref().map_or(home, |r| r.as_str()), bucket.as_str()).await,
    }
}
