//! Reads what both accounts hold, side by side; judges nothing and writes nothing.

use super::blueprint::{Named, Names};
use super::declaration;
use super::names::TAG;
use super::snapshot::{
    BucketFound, BucketSlot, Encryption, Identity, KeyFound, KeySlot, PipelineFound, PolicyFound, RoleFound, RuleFound, Snapshot, Tags,
    is_own,
};
use crate::aws::raw::KeepBody;
use crate::aws::{Account, ApiError, ApiResult, present};
use crate::error::{Error, Kind, Result};
use crate::model::{Arn, Readable};
use crate::settings::Settings;
use aws_sdk_kms::types::{KeyState, MultiRegionKeyType};
use futures_util::future::{join_all, try_join_all};
use futures_util::stream::{self, StreamExt};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::BTreeMap;

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

/// Reads everything that the steps of article A are about.
///
/// # Errors
/// A needed read failed; one that AWS denied names the missing permission.
pub async fn observe(dev: &Account, prod: &Account, settings: &Settings, purpose: Purpose) -> Result<Snapshot> {
    let home = settings.region.as_ref().map_or(dev.region.as_str(), |region| region.as_str()).to_owned();
    let (pipeline, output_region) = tokio::try_join!(
        async { read_pipeline(dev, &home, settings.pipeline.as_str()).await.map_err(Error::from) },
        find_output(prod, settings, &home),
    )?;
    let declaration = pipeline.as_ref().map(|found| found.declaration.clone());
    // A teardown that was stopped goes on without the pipeline, with the default names.
    let or_none = |name: Result<String>| match name {
        Err(error) if purpose == Purpose::Teardown && error.kind == Kind::Usage => Ok(String::new()),
        other => other,
    };
    let output_name = or_none(output_name(settings, declaration.as_ref()))?;
    // Without `--output-bucket` the name came from the pipeline only now, so the place must be asked for now.
    let output_region = match (output_region, &settings.output_bucket) {
        (found, Some(_)) => found,
        (_, None) if output_name.is_empty() => None,
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
    let input_name = or_none(input_name(settings, declaration.as_ref()))?;

    let mut regions = vec![home.clone()];
    if target != home {
        regions.push(target.clone());
    }
    let prefer = settings.pipeline.as_str();
    let pipeline_arn = dev_identity.regional("codepipeline", &home, prefer);
    let exists = pipeline.is_some();
    let declared = declaration.as_ref();

    let roles = async {
        tokio::try_join!(
            read_role(dev, &names.service_role, exists, prefer),
            read_role(prod, &names.deploy_role, exists, prefer),
            read_role(dev, &names.event_role, exists, prefer),
        )
    };
    let policies = async {
        tokio::try_join!(
            read_policy(dev, &names.assume_policy.arn),
            read_policy(prod, &names.output_policy.arn),
            read_policy(prod, &names.artifact_policy.arn),
        )
    };
    let keys = try_join_all(regions.iter().map(|region| async {
        let slot = read_key_slot(dev, region, &home, settings, declared).await?;
        Ok::<_, Error>((region.clone(), slot))
    }));
    let buckets = try_join_all(regions.iter().map(|region| async {
        let slot = read_artifact_bucket(dev, region, &home, settings, declared, purpose).await?;
        Ok::<_, Error>((region.clone(), slot))
    }));
    let input = read_input(dev, &home, &input_name, settings, purpose);
    let output = read_output(prod, output_region.as_deref(), &output_name, settings, purpose);
    let events = async {
        tokio::try_join!(read_rule(dev, &home, &names.event_rule, true), async {
            if exists { other_rules(dev, &home, &pipeline_arn, &names.event_rule).await } else { Ok(Vec::new()) }
        },)
    };
    let extras = async {
        match pipeline {
            Some(found) => Ok(Some(complete_pipeline(dev, &home, found).await?)),
            None => Ok(None),
        }
    };
    let api = |error: Box<ApiError>| Error::from(error);
    let (roles, policies, keys, buckets, input, output, events, pipeline, administrator) = tokio::try_join!(
        async { roles.await.map_err(api) },
        async { policies.await.map_err(api) },
        keys,
        buckets,
        input,
        output,
        async { events.await.map_err(api) },
        async { extras.await.map_err(api) },
        async { Ok::<_, Error>(administrator(dev, settings).await) },
    )?;
    let (service_role, deploy_role, event_role) = roles;
    let (assume, output_policy, artifact_policy) = policies;
    let (rule, other_rules) = events;
    let customer_keys = customer_keys(dev, prod, &home, &target, [&input, &output]).await;
    Ok(Snapshot {
        dev: dev_identity,
        prod: prod_identity,
        administrator,
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
        Some([]) => Err(Error::usage(format!("pipeline {} has no S3 source action", settings.pipeline))
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

/// Gives the region of a bucket of this account; `None` if there is no such bucket.
///
/// # Errors
/// The bucket belongs to somebody else, or the caller may not see it.
pub async fn head_bucket(account: &Account, region: &str, bucket: &str) -> Result<Option<String>> {
    let s3 = account.s3(region);
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let answer = account.call("s3:ListBucket", &arn, s3.head_bucket().bucket(bucket).expected_bucket_owner(&account.id).send()).await;
    match answer {
        Ok(head) => Ok(Some(head.bucket_region().unwrap_or(region).to_owned())),
        Err(error) if error.is(&["NotFound", "NoSuchBucket", "Http404"]) => Ok(None),
        // In another region S3 answers with a redirect that names the region (facts D.1, HeadBucket).
        Err(error) if matches!(error.status, Some(301 | 307 | 400)) && error.bucket_region.as_deref().is_some_and(|r| r != region) => {
            let actual = error.bucket_region.clone().unwrap_or_default();
            let again = account.s3(&actual);
            account
                .call("s3:ListBucket", &arn, again.head_bucket().bucket(bucket).expected_bucket_owner(&account.id).send())
                .await
                .map_err(|e| stranger(bucket, account, e))?;
            Ok(Some(actual))
        }
        Err(error) => Err(stranger(bucket, account, error)),
    }
}

fn stranger(bucket: &str, account: &Account, error: Box<ApiError>) -> Error {
    if !error.is_denied() {
        return Error::from(error);
    }
    Error::new(Kind::Denied, format!("bucket {bucket} is not one that {} ({}) may use", account.side, account.id))
        .because(error.told())
        .hint(format!(
            "it belongs to another account, or {} lacks s3:ListBucket on it: name a bucket of account {}",
            account.caller, account.id
        ))
}

/// Reads a pipeline's declaration as it came over the wire; its tags and runs are left for [`complete_pipeline`].
async fn read_pipeline(dev: &Account, region: &str, name: &str) -> ApiResult<Option<PipelineFound>> {
    read_pipeline_version(dev, region, name, None).await
}

/// Reads one version of a pipeline's declaration, or the newest.
///
/// # Errors
/// Anything but "there is no such pipeline or version".
pub async fn read_pipeline_version(dev: &Account, region: &str, name: &str, version: Option<i32>) -> ApiResult<Option<PipelineFound>> {
    let body = KeepBody::default();
    let arn = format!("arn:{}:codepipeline:{region}:{}:{name}", dev.partition, dev.id);
    let request = dev.codepipeline(region).get_pipeline().name(name).set_version(version).customize().interceptor(body.clone());
    let answer = dev.call("codepipeline:GetPipeline", &arn, request.send()).await;
    if present(answer, &["PipelineNotFoundException", "PipelineVersionNotFoundException"])?.is_none() {
        return Ok(None);
    }
    let whole: Value = serde_json::from_slice(&body.take()).unwrap_or_default();
    let disabled = whole.pointer("/metadata/pollingDisabledAt").is_some_and(|at| !at.is_null());
    let declaration = whole.get("pipeline").cloned().unwrap_or_default();
    Ok(Some(PipelineFound { arn, declaration, tags: Tags::new(), running: Vec::new(), polling_disabled: disabled }))
}

async fn complete_pipeline(dev: &Account, region: &str, mut found: PipelineFound) -> ApiResult<PipelineFound> {
    let client = dev.codepipeline(region);
    let name = found.arn.rsplit(':').next().unwrap_or_default().to_owned();
    let (tags, running) = tokio::try_join!(
        dev.call("codepipeline:ListTagsForResource", &found.arn, client.list_tags_for_resource().resource_arn(&found.arn).send()),
        running_executions(dev, region, &name),
    )?;
    found.tags = tags.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
    found.running = running;
    Ok(found)
}

/// Lists executions that an update would stop.
///
/// # Errors
/// The list can't be read.
pub async fn running_executions(dev: &Account, region: &str, pipeline: &str) -> ApiResult<Vec<String>> {
    use aws_sdk_codepipeline::types::PipelineExecutionStatus as Status;
    let arn = format!("arn:{}:codepipeline:{region}:{}:{pipeline}", dev.partition, dev.id);
    let client = dev.codepipeline(region);
    let list = dev
        .call("codepipeline:ListPipelineExecutions", &arn, client.list_pipeline_executions().pipeline_name(pipeline).max_results(50).send())
        .await?;
    let running =
        list.pipeline_execution_summaries().iter().filter(|run| matches!(run.status(), Some(Status::InProgress | Status::Stopping)));
    Ok(running.filter_map(|run| run.pipeline_execution_id()).map(str::to_owned).collect())
}

fn decoded(document: &str) -> Value {
    // IAM gives documents URL-encoded (facts D.1).
    let text = percent_decode_str(document).decode_utf8_lossy();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn iam_tags(tags: &[aws_sdk_iam::types::Tag]) -> Tags {
    tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

/// Reads a role with its policies; `likely` reads all at once instead of asking first whether it is there.
async fn read_role(account: &Account, named: &Named, likely: bool, pipeline: &str) -> ApiResult<Option<RoleFound>> {
    let absent = &["NoSuchEntity"];
    let iam = account.iam();
    let get = account.call("iam:GetRole", &named.arn, iam.get_role().role_name(&named.name).send());
    let lists = async {
        tokio::try_join!(
            account.call("iam:ListAttachedRolePolicies", &named.arn, iam.list_attached_role_policies().role_name(&named.name).send()),
            account.call("iam:ListRolePolicies", &named.arn, iam.list_role_policies().role_name(&named.name).send()),
        )
    };
    let (role, lists) = if likely {
        let (role, lists) = tokio::join!(get, lists);
        match (present(role, absent)?, present(lists, absent)?) {
            (Some(role), Some(lists)) => (role, lists),
            _ => return Ok(None),
        }
    } else {
        let Some(role) = present(get.await, absent)? else { return Ok(None) };
        (role, lists.await?)
    };
    let Some(role) = role.role() else { return Ok(None) };
    let tags = iam_tags(role.tags());
    let (attached, inline) = lists;
    let attached: Vec<String> = attached.attached_policies().iter().filter_map(|policy| policy.policy_arn()).map(str::to_owned).collect();
    let inline = try_join_all(inline.policy_names().iter().map(|name| {
        let request = iam.get_role_policy().role_name(&named.name).policy_name(name).send();
        async move {
            let got = account.call("iam:GetRolePolicy", &named.arn, request).await?;
            Ok::<_, Box<ApiError>>((name.clone(), decoded(got.policy_document())))
        }
    }));
    // Whose role it is decides whether what others attached can matter to us.
    let others = async {
        if is_own(&tags, pipeline) {
            return Ok(BTreeMap::new());
        }
        let read = attached.iter().map(|arn| async {
            let document = read_policy_document(account, arn).await?;
            Ok::<_, Box<ApiError>>((arn.clone(), document))
        });
        Ok(try_join_all(read).await?.into_iter().filter_map(|(arn, document)| Some((arn, document?))).collect())
    };
    let (inline, attached_documents) = tokio::try_join!(inline, others)?;
    Ok(Some(RoleFound {
        name: role.role_name().to_owned(),
        arn: role.arn().to_owned(),
        trust: role.assume_role_policy_document().map(decoded).unwrap_or_default(),
        tags,
        attached,
        inline: inline.into_iter().collect(),
        attached_documents,
    }))
}

/// Reads the document of a policy that others made; ours belong to one pipeline each and go with it.
async fn read_policy_document(account: &Account, arn: &str) -> ApiResult<Option<Value>> {
    let iam = account.iam();
    let Some(policy) = present(account.call("iam:GetPolicy", arn, iam.get_policy().policy_arn(arn).send()).await, &["NoSuchEntity"])?
    else {
        return Ok(None);
    };
    if policy.policy().is_some_and(|policy| policy.tags().iter().any(|tag| tag.key() == TAG)) {
        return Ok(None);
    }
    let version = policy.policy().and_then(|policy| policy.default_version_id()).unwrap_or("v1");
    let got = account.call("iam:GetPolicyVersion", arn, iam.get_policy_version().policy_arn(arn).version_id(version).send()).await?;
    Ok(got.policy_version().and_then(|version| version.document()).map(decoded))
}

async fn read_policy(account: &Account, arn: &str) -> ApiResult<Option<PolicyFound>> {
    let iam = account.iam();
    let Some(got) = present(account.call("iam:GetPolicy", arn, iam.get_policy().policy_arn(arn).send()).await, &["NoSuchEntity"])? else {
        return Ok(None);
    };
    let Some(policy) = got.policy() else { return Ok(None) };
    let default_version = policy.default_version_id().unwrap_or("v1").to_owned();
    let (version, versions) = tokio::try_join!(
        account.call("iam:GetPolicyVersion", arn, iam.get_policy_version().policy_arn(arn).version_id(&default_version).send()),
        account.call("iam:ListPolicyVersions", arn, iam.list_policy_versions().policy_arn(arn).send()),
    )?;
    let mut versions: Vec<String> = versions.versions().iter().filter_map(|version| version.version_id()).map(str::to_owned).collect();
    // Version ids count upwards and are never used twice, so their number is their age.
    versions.sort_by_key(|version| version.trim_start_matches('v').parse::<u64>().unwrap_or(0));
    Ok(Some(PolicyFound {
        arn: arn.to_owned(),
        document: version.policy_version().and_then(|version| version.document()).map(decoded).unwrap_or_default(),
        versions,
        default_version,
        tags: iam_tags(policy.tags()),
        attachments: policy.attachment_count().unwrap_or(0),
    }))
}

/// Finds the key of a store: what the pipeline names, else the alias, else one that a dead run of ours left (`architecture.md`).
async fn read_key_slot(dev: &Account, region: &str, home: &str, settings: &Settings, declaration: Option<&Value>) -> Result<KeySlot> {
    let named = declaration
        .and_then(|declaration| declaration::store(declaration, region, home))
        .and_then(declaration::store_key)
        .map(str::to_owned);
    let mut replaces_managed_key = false;
    if let Some(named) = named {
        let found = read_key(dev, region, &named).await?;
        if found.is_none() {
            return Err(Error::failed(format!(
                "the artifact store of pipeline {} names key {named}, which does not exist in {region}",
                settings.pipeline
            ))
            .hint("put the ARN of an existing customer managed key of that region into the pipeline's artifact store"));
        }
        // An AWS managed key means the same as none (facts E.7).
        replaces_managed_key = found.as_ref().is_some_and(|key| key.manager == "AWS");
        if !replaces_managed_key {
            return Ok(KeySlot { asked: named, from_pipeline: true, replaces_managed_key, alias_exists: true, found });
        }
    }
    let asked = settings.key_alias_or_default().to_owned();
    if let Some(found) = read_key(dev, region, &asked).await? {
        return Ok(KeySlot { asked, from_pipeline: false, replaces_managed_key, alias_exists: true, found: Some(found) });
    }
    let found = left_by_a_dead_run(dev, region, settings.pipeline.as_str()).await?;
    Ok(KeySlot { asked, from_pipeline: false, replaces_managed_key, alias_exists: false, found })
}

/// Reads a key by ARN, id or alias; `None` if there is none.
async fn read_key(account: &Account, region: &str, key: &str) -> ApiResult<Option<KeyFound>> {
    let kms = account.kms(region);
    let shown = if key.starts_with("arn:") {
        key.to_owned()
    } else {
        format!(
            "arn:{}:kms:{region}:{}:{}",
            account.partition,
            account.id,
            if key.starts_with("alias/") { key.to_owned() } else { format!("key/{key}") }
        )
    };
    let Some(described) =
        present(account.call("kms:DescribeKey", &shown, kms.describe_key().key_id(key).send()).await, &["NotFoundException"])?
    else {
        return Ok(None);
    };
    let Some(metadata) = described.key_metadata() else { return Ok(None) };
    let arn = metadata.arn().unwrap_or_default().to_owned();
    let id = metadata.key_id().to_owned();
    let own = arn.split(':').nth(4) == Some(account.id.as_str());
    let customer = metadata.key_manager().is_some_and(|manager| manager.as_str() == "CUSTOMER");
    let configuration = metadata.multi_region_configuration();
    let replica = configuration.is_some_and(|c| c.multi_region_key_type() == Some(&MultiRegionKeyType::Replica));
    let primary_region =
        configuration.filter(|_| replica).and_then(|c| c.primary_key()).and_then(|primary| primary.region()).map(str::to_owned);
    let dead = matches!(metadata.key_state(), Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion));
    let (policy, tags, rotation) = if own && customer {
        tokio::try_join!(
            account.call("kms:GetKeyPolicy", &arn, kms.get_key_policy().key_id(&id).send()),
            account.call("kms:ListResourceTags", &arn, kms.list_resource_tags().key_id(&id).send()),
            async {
                if dead {
                    return Ok(None);
                }
                // Not every kind of key rotates, and not everybody may ask; that is no reason to fail.
                let got = account.call("kms:GetKeyRotationStatus", &arn, kms.get_key_rotation_status().key_id(&id).send()).await;
                present(got, &["UnsupportedOperationException", "KMSInvalidStateException", "AccessDeniedException"])
            },
        )
        .map(|(policy, tags, rotation)| (Some(policy), Some(tags), rotation))?
    } else {
        (None, None, None)
    };
    Ok(Some(KeyFound {
        arn,
        manager: metadata.key_manager().map_or("CUSTOMER", |manager| manager.as_str()).to_owned(),
        spec: metadata.key_spec().map_or("SYMMETRIC_DEFAULT", |spec| spec.as_str()).to_owned(),
        usage: metadata.key_usage().map_or("ENCRYPT_DECRYPT", |usage| usage.as_str()).to_owned(),
        state: metadata.key_state().map_or("Enabled", |state| state.as_str()).to_owned(),
        multi_region: metadata.multi_region().unwrap_or(false),
        primary_region,
        policy: policy.and_then(|got| got.policy().and_then(|text| serde_json::from_str(text).ok())),
        rotation: rotation.map(|got| got.key_rotation_enabled()),
        tags: tags
            .map(|got| got.tags().iter().map(|tag| (tag.tag_key().to_owned(), tag.tag_value().to_owned())).collect())
            .unwrap_or_default(),
    }))
}

/// Looks for a key with our tag and no alias: CreateKey has no token, so a run that died after it left one behind.
async fn left_by_a_dead_run(dev: &Account, region: &str, pipeline: &str) -> Result<Option<KeyFound>> {
    let kms = dev.kms(region);
    let everything = format!("arn:{}:kms:{region}:{}:key/*", dev.partition, dev.id);
    let keys = async {
        let mut ids = Vec::new();
        let mut marker = None;
        loop {
            let page = dev.call("kms:ListKeys", "*", kms.list_keys().limit(1000).set_marker(marker).send()).await?;
            ids.extend(page.keys().iter().filter_map(|key| key.key_id()).map(str::to_owned));
            marker = page.next_marker().filter(|_| page.truncated()).map(str::to_owned);
            if marker.is_none() {
                return Ok::<_, Box<ApiError>>(ids);
            }
        }
    };
    let aliased = async {
        let mut ids = Vec::new();
        let mut marker = None;
        loop {
            let page = dev.call("kms:ListAliases", "*", kms.list_aliases().limit(100).set_marker(marker).send()).await?;
            ids.extend(page.aliases().iter().filter_map(|alias| alias.target_key_id()).map(str::to_owned));
            marker = page.next_marker().filter(|_| page.truncated()).map(str::to_owned);
            if marker.is_none() {
                return Ok::<_, Box<ApiError>>(ids);
            }
        }
    };
    let (keys, aliased) = tokio::try_join!(keys, aliased)?;
    let unnamed = keys.into_iter().filter(|id| !aliased.contains(id));
    let tagged = stream::iter(unnamed.map(|id| {
        let (kms, everything) = (kms.clone(), everything.clone());
        async move {
            let got = dev.call("kms:ListResourceTags", everything, kms.list_resource_tags().key_id(&id).send()).await;
            // A key whose tags this caller may not read is not one that this caller made.
            let tags = present(got, &["AccessDeniedException", "NotFoundException", "KMSInvalidStateException"])?;
            let ours = tags.is_some_and(|got| got.tags().iter().any(|tag| tag.tag_key() == TAG && tag.tag_value() == pipeline));
            Ok::<_, Box<ApiError>>(ours.then_some(id))
        }
    }))
    .buffer_unordered(8)
    .collect::<Vec<_>>()
    .await;
    let mut found = Vec::new();
    for id in tagged {
        if let Some(id) = id?
            && let Some(key) = read_key(dev, region, &id).await?
            && !key.state.starts_with("Pending")
        {
            found.push(key);
        }
    }
    found.sort_by(|a, b| a.arn.cmp(&b.arn));
    Ok(found.into_iter().next())
}

async fn read_artifact_bucket(
    dev: &Account,
    region: &str,
    home: &str,
    settings: &Settings,
    declaration: Option<&Value>,
    purpose: Purpose,
) -> Result<BucketSlot> {
    let declared = declaration.and_then(|d| declaration::store(d, region, home)).and_then(declaration::store_bucket).map(str::to_owned);
    let asked = settings.artifact_bucket.as_ref().filter(|_| region == home).map(ToString::to_string);
    let default = format!("codepipeline-{region}-{}", dev.id);
    if let (Some(asked), Some(declared)) = (&asked, &declared)
        && asked != declared
    {
        return Err(Error::refused(format!("the artifact bucket of pipeline {} is {declared}, not {asked}", settings.pipeline))
            .hint("leave `--artifact-bucket` out: a pipeline that exists keeps its artifact store"));
    }
    let name = match declared.or(asked) {
        Some(name) => name,
        None => like_the_console(dev, region).await?.unwrap_or_else(|| default.clone()),
    };
    let Some(actual) = head_bucket(dev, region, &name).await? else { return Ok(BucketSlot { name, found: None }) };
    if actual != region {
        return Err(Error::refused(format!("artifact bucket {name} is in {actual}, not in {region}"))
            .hint(format!("an artifact bucket must be in its store's region: name another with `--artifact-bucket`, or set the pipeline's region with `--region {actual}`")));
    }
    let s3 = dev.s3(region);
    let arn = format!("arn:{}:s3:::{name}", dev.partition);
    let owner = &dev.id;
    let (policy, encryption, blocked, tags) = tokio::try_join!(
        async {
            let got = dev.call("s3:GetBucketPolicy", &arn, s3.get_bucket_policy().bucket(&name).expected_bucket_owner(owner).send()).await;
            present(got, &["NoSuchBucketPolicy"])
        },
        async { Ok(read_encryption(dev, region, &name).await) },
        public_access_blocked(dev, region, &name),
        bucket_tags(dev, region, &name),
    )?;
    let empty = if purpose == Purpose::Teardown { Some(is_empty(dev, region, &name).await?) } else { None };
    Ok(BucketSlot {
        found: Some(BucketFound {
            region: actual,
            policy: policy.and_then(|got| got.policy().and_then(|text| serde_json::from_str(text).ok())),
            encryption: Some(encryption),
            public_access_blocked: Some(blocked),
            tags,
            empty,
            ..BucketFound::default()
        }),
        name,
    })
}

/// Finds the artifact bucket that the console would use: the first whose name begins so (facts B.2).
async fn like_the_console(dev: &Account, region: &str) -> Result<Option<String>> {
    let prefix = format!("codepipeline-{region}-");
    let s3 = dev.s3(region);
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let page = dev
            .call("s3:ListAllMyBuckets", "*", s3.list_buckets().prefix(&prefix).max_buckets(1000).set_continuation_token(token).send())
            .await?;
        names.extend(
            page.buckets().iter().filter_map(|bucket| bucket.name()).filter(|name| is_default_name(name, &prefix)).map(str::to_owned),
        );
        token = page.continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    names.sort();
    Ok(names.into_iter().next())
}

/// The console's buckets end in 10 to 12 digits (facts B.2); another bucket that merely begins alike is not taken for one.
fn is_default_name(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| (10..=12).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_digit()))
}

async fn bucket_tags(account: &Account, region: &str, bucket: &str) -> ApiResult<Tags> {
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let s3 = account.s3(region);
    let got =
        account.call("s3:GetBucketTagging", &arn, s3.get_bucket_tagging().bucket(bucket).expected_bucket_owner(&account.id).send()).await;
    let tags = present(got, &["NoSuchTagSet", "NoSuchTagSetError"])?;
    Ok(tags.map(|got| got.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()).unwrap_or_default())
}

async fn read_encryption(account: &Account, region: &str, bucket: &str) -> Readable<Encryption> {
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let s3 = account.s3(region);
    let request = s3.get_bucket_encryption().bucket(bucket).expected_bucket_owner(&account.id).send();
    let got = account.call("s3:GetEncryptionConfiguration", &arn, request).await;
    let none = || Encryption { algorithm: "AES256".to_owned(), key: None };
    match present(got, &["ServerSideEncryptionConfigurationNotFoundError"]) {
        Ok(None) => Readable::Known(none()),
        Ok(Some(got)) => {
            let rules = got.server_side_encryption_configuration().map(|configuration| configuration.rules()).unwrap_or_default();
            let default = rules.iter().find_map(|rule| rule.apply_server_side_encryption_by_default());
            Readable::Known(default.map_or_else(none, |default| Encryption {
                algorithm: default.sse_algorithm().as_str().to_owned(),
                key: default.kms_master_key_id().map(str::to_owned),
            }))
        }
        Err(error) => Readable::Unknown(error.told()),
    }
}

async fn is_empty(account: &Account, region: &str, bucket: &str) -> ApiResult<bool> {
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let s3 = account.s3(region);
    let request = s3.list_object_versions().bucket(bucket).max_keys(1).expected_bucket_owner(&account.id).send();
    let got = account.call("s3:ListBucketVersions", &arn, request).await?;
    Ok(got.versions().is_empty() && got.delete_markers().is_empty())
}

/// Reads tags, and whether it is empty, only where that decides whose bucket it is.
async fn ownership_reads(account: &Account, region: &str, name: &str, settings: &Settings, purpose: Purpose) -> Result<BucketFound> {
    if purpose != Purpose::Teardown && !settings.create_buckets {
        return Ok(BucketFound::default());
    }
    let (tags, blocked, empty) =
        tokio::try_join!(bucket_tags(account, region, name), public_access_blocked(account, region, name), async {
            if purpose == Purpose::Teardown { is_empty(account, region, name).await.map(Some) } else { Ok(None) }
        },)?;
    Ok(BucketFound { tags, public_access_blocked: Some(blocked), empty, ..BucketFound::default() })
}

async fn public_access_blocked(account: &Account, region: &str, bucket: &str) -> ApiResult<bool> {
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let request = account.s3(region).get_public_access_block().bucket(bucket).expected_bucket_owner(&account.id).send();
    let got = present(account.call("s3:GetBucketPublicAccessBlock", &arn, request).await, &["NoSuchPublicAccessBlockConfiguration"])?;
    Ok(got.and_then(|got| got.public_access_block_configuration().cloned()).is_some_and(|switches| {
        [switches.block_public_acls(), switches.ignore_public_acls(), switches.block_public_policy(), switches.restrict_public_buckets()]
            .iter()
            .all(|switch| *switch == Some(true))
    }))
}

async fn read_input(dev: &Account, home: &str, name: &str, settings: &Settings, purpose: Purpose) -> Result<BucketSlot> {
    if name.is_empty() {
        return Ok(BucketSlot { name: String::new(), found: None });
    }
    let Some(region) = head_bucket(dev, home, name).await? else { return Ok(BucketSlot { name: name.to_owned(), found: None }) };
    if region != home {
        return Err(Error::refused(format!("input bucket {name} is in {region}, but the pipeline is in {home}"))
            .hint(format!("an S3 source must be in the pipeline's region: pass `--region {region}`, or name another bucket")));
    }
    let s3 = dev.s3(home);
    let arn = format!("arn:{}:s3:::{name}", dev.partition);
    let owner = &dev.id;
    let (versioning, notification, encryption, owned, source) = tokio::try_join!(
        async {
            let request = s3.get_bucket_versioning().bucket(name).expected_bucket_owner(owner).send();
            dev.call("s3:GetBucketVersioning", &arn, request).await.map_err(Error::from)
        },
        async { read_notification(dev, home, name).await.map_err(Error::from) },
        async { Ok(read_encryption(dev, home, name).await) },
        ownership_reads(dev, home, name, settings, purpose),
        async {
            if purpose == Purpose::WithArtifact {
                read_source(dev, home, name, settings.object_key_or_default()).await.map_err(Error::from)
            } else {
                Ok(None)
            }
        },
    )?;
    Ok(BucketSlot {
        name: name.to_owned(),
        found: Some(BucketFound {
            region,
            versioning: Some(versioning.status().map_or("", |status| status.as_str()).to_owned()),
            notification: Some(notification),
            encryption: Some(encryption),
            source_sha256: source,
            ..owned
        }),
    })
}

/// Gives the SHA-256 that an upload of ours left with the source object.
async fn read_source(dev: &Account, region: &str, bucket: &str, key: &str) -> ApiResult<Option<String>> {
    let arn = format!("arn:{}:s3:::{bucket}/{key}", dev.partition);
    let request = dev.s3(region).head_object().bucket(bucket).key(key).expected_bucket_owner(&dev.id).send();
    let got = present(dev.call("s3:GetObject", &arn, request).await, &["NotFound", "NoSuchKey", "Http404"])?;
    Ok(got.and_then(|head| head.metadata().and_then(|metadata| metadata.get(SOURCE_SHA256)).cloned()))
}

/// The metadata in which an upload of ours carries the file's SHA-256.
pub const SOURCE_SHA256: &str = "xdeploy-sha256";

/// Reads a bucket's notification configuration as the XML that S3 sent.
///
/// # Errors
/// The read failed.
pub async fn read_notification(account: &Account, region: &str, bucket: &str) -> ApiResult<String> {
    let body = KeepBody::default();
    let arn = format!("arn:{}:s3:::{bucket}", account.partition);
    let request = account
        .s3(region)
        .get_bucket_notification_configuration()
        .bucket(bucket)
        .expected_bucket_owner(&account.id)
        .customize()
        .interceptor(body.clone());
    account.call("s3:GetBucketNotification", &arn, request.send()).await?;
    Ok(String::from_utf8_lossy(&body.take()).into_owned())
}

async fn read_output(prod: &Account, region: Option<&str>, name: &str, settings: &Settings, purpose: Purpose) -> Result<BucketSlot> {
    let Some(region) = region else { return Ok(BucketSlot { name: name.to_owned(), found: None }) };
    let s3 = prod.s3(region);
    let arn = format!("arn:{}:s3:::{name}", prod.partition);
    let ownership = async {
        let request = s3.get_bucket_ownership_controls().bucket(name).expected_bucket_owner(&prod.id).send();
        let got = prod.call("s3:GetBucketOwnershipControls", &arn, request).await;
        match present(got, &["OwnershipControlsNotFoundError"]) {
            Ok(got) => {
                let rules = got.as_ref().and_then(|got| got.ownership_controls()).map(|controls| controls.rules()).unwrap_or_default();
                // A bucket without a setting is one from before 2023: its writer owns each object (facts F.2).
                Readable::Known(rules.first().map_or("ObjectWriter", |rule| rule.object_ownership().as_str()).to_owned())
            }
            Err(error) => Readable::Unknown(error.told()),
        }
    };
    let (encryption, ownership, owned) =
        tokio::join!(read_encryption(prod, region, name), ownership, ownership_reads(prod, region, name, settings, purpose));
    let owned = owned?;
    Ok(BucketSlot {
        name: name.to_owned(),
        found: Some(BucketFound { region: region.to_owned(), encryption: Some(encryption), ownership: Some(ownership), ..owned }),
    })
}

async fn read_rule(dev: &Account, region: &str, name: &str, whole: bool) -> ApiResult<Option<RuleFound>> {
    let events = dev.events(region);
    let arn = format!("arn:{}:events:{region}:{}:rule/{name}", dev.partition, dev.id);
    let got = dev.call("events:DescribeRule", &arn, events.describe_rule().name(name).send()).await;
    let Some(rule) = present(got, &["ResourceNotFoundException"])? else { return Ok(None) };
    let (tags, targets) = if whole {
        let body = KeepBody::default();
        let list = events.list_targets_by_rule().rule(name).customize().interceptor(body.clone());
        let (tags, _) = tokio::try_join!(
            dev.call("events:ListTagsForResource", &arn, events.list_tags_for_resource().resource_arn(&arn).send()),
            dev.call("events:ListTargetsByRule", &arn, list.send()),
        )?;
        let tags = tags.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
        let body: Value = serde_json::from_slice(&body.take()).unwrap_or_default();
        (tags, body.get("Targets").and_then(Value::as_array).cloned().unwrap_or_default())
    } else {
        (Tags::new(), Vec::new())
    };
    Ok(Some(RuleFound {
        name: name.to_owned(),
        pattern: rule.event_pattern().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
        enabled: rule.state().is_none_or(|state| state.as_str() != "DISABLED"),
        tags,
        targets,
    }))
}

async fn other_rules(dev: &Account, region: &str, pipeline_arn: &str, ours: &str) -> ApiResult<Vec<RuleFound>> {
    let events = dev.events(region);
    let got = dev.call("events:ListRuleNamesByTarget", "*", events.list_rule_names_by_target().target_arn(pipeline_arn).send()).await?;
    let names = got.rule_names().iter().filter(|name| *name != ours);
    let rules = try_join_all(names.map(|name| read_rule(dev, region, name, false))).await?;
    Ok(rules.into_iter().flatten().collect())
}

/// Finds out who administers a new key by default: the caller's role or user (`architecture.md`, "Who am I").
async fn administrator(dev: &Account, settings: &Settings) -> Readable<Option<String>> {
    if !settings.key_administrators.is_empty() {
        return Readable::Known(None);
    }
    let caller: &Arn = &dev.caller;
    if caller.resource == "root" {
        return Readable::Known(None);
    }
    let Some(name) = caller.role_name() else {
        // STS shows a user with its path (facts G.3), so there is nothing more to ask.
        return match caller.resource.starts_with("user/") {
            true => Readable::Known(Some(caller.to_string())),
            false => Readable::Unknown(format!("{caller} is neither a user nor a role")),
        };
    };
    let iam = dev.iam();
    match dev.call("iam:GetRole", dev.iam_arn(&format!("role/{name}")), iam.get_role().role_name(name).send()).await {
        Ok(got) => Readable::Known(got.role().map(|role| role.arn().to_owned())),
        Err(error) => Readable::Unknown(error.told()),
    }
}

/// Reads the customer managed keys that input and output bucket are encrypted with.
async fn customer_keys(
    dev: &Account,
    prod: &Account,
    home: &str,
    target: &str,
    buckets: [&BucketSlot; 2],
) -> BTreeMap<String, Readable<KeyFound>> {
    let [input, output] = buckets;
    let wanted = [(dev, home, input), (prod, target, output)].into_iter().filter_map(|(account, region, slot)| {
        let encryption = slot.found.as_ref()?.encryption.as_ref()?.known()?;
        let key = encryption.key.clone().filter(|_| encryption.algorithm.starts_with("aws:kms"))?;
        Some((account, region, key))
    });
    let read = wanted.map(|(account, region, key)| async move {
        // The key may be the other side's: whoever owns it can read its policy.
        let owner = key.parse::<Arn>().map(|arn| arn.account).unwrap_or_else(|_| account.id.clone());
        let reader = [dev, prod].into_iter().find(|side| side.id == owner).unwrap_or(account);
        let found = match read_key(reader, region, &key).await {
            Ok(Some(found)) if found.manager == "AWS" => return None,
            Ok(Some(found)) => Readable::Known(found),
            Ok(None) => Readable::Unknown("there is no such key, or it is another account's".to_owned()),
            Err(error) => Readable::Unknown(error.told()),
        };
        Some((key, found))
    });
    join_all(read).await.into_iter().flatten().collect()
}
