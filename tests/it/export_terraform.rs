//! The Terraform configuration of a plan: every write is in it, with the plan's own documents.

use crate::support::exported::{planned, scenes, strange, with_artifact};
use crate::support::running::at_once;
use crate::support::scene::Scene;
use crate::support::stage::HOME;
use hcl::eval::Evaluate;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use xdeploy::deploy::plan::Plan;
use xdeploy::deploy::write::{Call, Step, Write, key_placeholder};
use xdeploy::export::{Format, of_plan};
use xdeploy::model::{Policies, Side};

/// Puts the references of a configuration in the place of what they give: ARNs of what the plan makes.
fn known(plan: &Plan) -> hcl::eval::Context<'static> {
    let mut given: BTreeMap<String, serde_json::Map<String, Value>> = BTreeMap::new();
    let region = |region: &str| region.replace('-', "_");
    for write in plan.writes() {
        let (kind, label, arn) = match &write.call {
            Call::CreateKey { region: at, .. } => ("aws_kms_key", format!("key_{}", region(at)), key_placeholder(at)),
            Call::ReplicateKey { replica_region: at, .. } => ("aws_kms_replica_key", format!("key_{}", region(at)), key_placeholder(at)),
            Call::CreateRole { .. } => {
                let label = match (write.account, write.step) {
                    (Side::Prod, _) => "deploy_role",
                    (Side::Dev, Step::ChangeDetection) => "event_role",
                    (Side::Dev, _) => "service_role",
                };
                ("aws_iam_role", label.to_owned(), write.resource.clone())
            }
            _ => continue,
        };
        let name = arn.rsplit('/').next().unwrap();
        given.entry(kind.to_owned()).or_default().insert(label, json!({"arn": arn, "name": name}));
    }
    let mut context = hcl::eval::Context::new();
    for (kind, members) in given {
        let value: hcl::Value = serde_json::from_value(Value::Object(members)).unwrap();
        context.declare_var(hcl::Identifier::new(kind).unwrap(), value);
    }
    context
}

/// The text of an attribute, with what its references give.
fn text(block: &hcl::Block, name: &str, context: &hcl::eval::Context<'_>) -> String {
    let attribute = block.body().attributes().find(|attribute| attribute.key() == name).unwrap_or_else(|| panic!("no {name}: {block:#?}"));
    let value = attribute.expr().evaluate(context).unwrap();
    value.as_str().unwrap_or_else(|| panic!("{name}: {value:?}")).to_owned()
}

fn document(block: &hcl::Block, name: &str, context: &hcl::eval::Context<'_>) -> Value {
    serde_json::from_str(&text(block, name, context)).unwrap()
}

fn labels(block: &hcl::Block) -> Vec<&str> {
    block.labels().iter().map(hcl::BlockLabel::as_str).collect()
}

/// The blocks of one kind.
fn of_kind<'b>(body: &'b hcl::Body, kind: &'b str) -> Vec<&'b hcl::Block> {
    body.blocks().filter(|block| labels(block).first() == Some(&kind) || block.identifier() == kind).collect()
}

fn one<'b>(body: &'b hcl::Body, kind: &'b str, fits: impl Fn(&hcl::Block) -> bool) -> &'b hcl::Block {
    let found: Vec<&hcl::Block> = of_kind(body, kind).into_iter().filter(|block| fits(block)).collect();
    let [one] = found.as_slice() else { panic!("{kind}: {found:#?}") };
    one
}

/// The declaration that the provider makes of an `aws_codepipeline`.
fn declaration(block: &hcl::Block, context: &hcl::eval::Context<'_>) -> Value {
    let get = |block: &hcl::Block, name: &str| -> Option<Value> {
        let attribute = block.body().attributes().find(|attribute| attribute.key() == name)?;
        let value = attribute.expr().evaluate(context).unwrap();
        Some(serde_json::to_value(value).unwrap())
    };
    let blocks = |block: &hcl::Block, kind: &str| -> Vec<hcl::Block> {
        block.body().blocks().filter(|inner| inner.identifier() == kind).cloned().collect()
    };
    let store = |store: &hcl::Block| {
        let key = &blocks(store, "encryption_key")[0];
        json!({"type": get(store, "type"), "location": get(store, "location"),
            "encryptionKey": {"id": get(key, "id"), "type": get(key, "type")}})
    };
    let artifacts = |names: Option<Value>| -> Value {
        names.and_then(|names| names.as_array().cloned()).unwrap_or_default().iter().map(|name| json!({"name": name})).collect()
    };
    let action = |action: &hcl::Block| {
        let mut declared = json!({
            "name": get(action, "name"),
            "actionTypeId": {"category": get(action, "category"), "owner": get(action, "owner"),
                "provider": get(action, "provider"), "version": get(action, "version")},
            "runOrder": get(action, "run_order"), "configuration": get(action, "configuration"),
            "inputArtifacts": artifacts(get(action, "input_artifacts")), "outputArtifacts": artifacts(get(action, "output_artifacts")),
        });
        for (from, to) in [("role_arn", "roleArn"), ("region", "region"), ("namespace", "namespace")] {
            if let Some(value) = get(action, from) {
                declared[to] = value;
            }
        }
        declared
    };
    let stages: Vec<Value> = blocks(block, "stage")
        .iter()
        .map(|stage| json!({"name": get(stage, "name"), "actions": blocks(stage, "action").iter().map(action).collect::<Vec<_>>()}))
        .collect();
    let mut declared = json!({"name": get(block, "name"), "roleArn": get(block, "role_arn"), "stages": stages,
        "executionMode": get(block, "execution_mode"), "pipelineType": get(block, "pipeline_type")});
    let stores = blocks(block, "artifact_store");
    match stores.as_slice() {
        [only] => declared["artifactStore"] = store(only),
        several => {
            for one in several {
                declared["artifactStores"][get(one, "region").unwrap().as_str().unwrap()] = store(one);
            }
        }
    }
    declared
}

/// Asserts that a write of the plan is a resource with its document, or a step by hand with it.
fn accounted(plan: &Plan, write: &Write, body: &hcl::Body, text_of_all: &str, by_hand: &mut usize) {
    let context = known(plan);
    let named = |name: &str| {
        let name = name.to_owned();
        move |block: &hcl::Block| text(block, "name", &hcl::eval::Context::new()) == name
    };
    let label = |wanted: String| move |block: &hcl::Block| labels(block)[1] == wanted;
    let key_label = |region: &str| format!("key_{}", region.replace('-', "_"));
    let final_policy = |key: &str| {
        let put = plan.writes().iter().rev().find_map(|write| match &write.call {
            Call::PutKeyPolicy { key: of, after, .. } if of == key => Some(after.clone()),
            _ => None,
        });
        put.unwrap_or_else(|| panic!("no policy of {key}"))
    };
    let bucket = |name: &str| {
        let snapshot = plan.snapshot();
        let artifacts = snapshot.artifact_buckets.iter().find(|(_, slot)| slot.name == name);
        label(match artifacts {
            Some((region, _)) => format!("artifacts_{}", region.replace('-', "_")),
            None if snapshot.input.name == name => "input".to_owned(),
            None => "output".to_owned(),
        })
    };
    let makes_key = |key: &str| plan.snapshot().keys.keys().any(|region| key_placeholder(region) == key);
    let makes_bucket =
        |name: &str| plan.writes().iter().any(|write| matches!(&write.call, Call::CreateBucket { bucket, .. } if bucket == name));
    let mut step_by_hand = |expected: Option<Value>| {
        *by_hand += 1;
        let marked = format!("# BY HAND {by_hand}: {} {}", write.call.verb(), write.title);
        assert!(text_of_all.contains(&marked), "{marked}\n{text_of_all}");
        if let Some(expected) = expected {
            let output = one(body, "output", |block| labels(block) == [format!("by_hand_{by_hand}")]);
            assert_eq!(document(output, "value", &context), expected, "{}", write.title);
        }
    };
    match &write.call {
        Call::CreateKey { region, .. } => {
            let block = one(body, "aws_kms_key", label(key_label(region)));
            assert_eq!(document(block, "policy", &context), final_policy(&key_placeholder(region)));
            assert!(block.body().attributes().any(|on| on.key() == "enable_key_rotation" && on.expr() == &true.into()));
        }
        Call::ReplicateKey { replica_region, .. } => {
            let block = one(body, "aws_kms_replica_key", label(key_label(replica_region)));
            assert_eq!(document(block, "policy", &context), final_policy(&key_placeholder(replica_region)));
        }
        Call::CreateAlias { region, alias, .. } => {
            assert_eq!(text(one(body, "aws_kms_alias", label(key_label(region))), "name", &context), *alias);
        }
        Call::EnableKeyRotation { key, .. } if makes_key(key) => {}
        Call::PutKeyPolicy { key, .. } if makes_key(key) => {}
        Call::PutKeyPolicy { after, .. } => step_by_hand(Some(after.clone())),
        Call::CreateRole { name, trust, path, .. } => {
            let block = one(body, "aws_iam_role", named(name));
            assert_eq!(document(block, "assume_role_policy", &context), *trust);
            assert_eq!(text(block, "path", &context), *path);
        }
        Call::UpdateAssumeRolePolicy { after, .. } | Call::UpdatePipeline { after, .. } => step_by_hand(Some(after.clone())),
        Call::PutRolePolicy { name, document: wanted, .. } => {
            assert_eq!(document(one(body, "aws_iam_role_policy", named(name)), "policy", &context), *wanted);
        }
        Call::CreatePolicy { name, document: wanted, .. } => {
            assert_eq!(document(one(body, "aws_iam_policy", named(name)), "policy", &context), *wanted);
        }
        Call::CreatePolicyVersion { document, .. } => step_by_hand(Some(document.clone())),
        Call::AttachRolePolicy { arn, .. } => {
            let name = format!("{}_{}", write.account, arn.rsplit('/').next().unwrap().replace('-', "_"));
            one(body, "aws_iam_role_policy_attachment", label(name));
        }
        Call::CreateBucket { bucket: name, .. } => drop(one(body, "aws_s3_bucket", bucket(name)).clone()),
        Call::BlockPublicAccess { bucket: name, .. } => drop(one(body, "aws_s3_bucket_public_access_block", bucket(name)).clone()),
        Call::EncryptBucket { bucket: name, .. } => {
            drop(one(body, "aws_s3_bucket_server_side_encryption_configuration", bucket(name)).clone());
        }
        Call::EnableVersioning { bucket: name, .. } => drop(one(body, "aws_s3_bucket_versioning", bucket(name)).clone()),
        Call::PutBucketPolicy { bucket: name, after, .. } if makes_bucket(name) => {
            assert_eq!(document(one(body, "aws_s3_bucket_policy", bucket(name)), "policy", &context), *after);
        }
        Call::PutBucketPolicy { after, .. } => step_by_hand(Some(after.clone())),
        Call::PutBucketNotification { bucket: name, .. } if makes_bucket(name) => {
            drop(one(body, "aws_s3_bucket_notification", bucket(name)).clone());
        }
        Call::PutRule { name, pattern, tags, .. } if !tags.is_empty() => {
            let block = one(body, "aws_cloudwatch_event_rule", named(name));
            assert_eq!(document(block, "event_pattern", &context), *pattern);
        }
        Call::PutTargets { target, .. } => {
            let block = one(body, "aws_cloudwatch_event_target", |_| true);
            assert_eq!(text(block, "arn", &context), target["Arn"]);
            assert_eq!(text(block, "role_arn", &context), target["RoleArn"]);
            if let Some(template) = target.pointer("/InputTransformer/InputTemplate") {
                let inner = block.body().blocks().next().unwrap();
                assert_eq!(text(inner, "input_template", &context), *template);
            }
        }
        Call::CreatePipeline { declaration: wanted, .. } => {
            assert_eq!(declaration(one(body, "aws_codepipeline", |_| true), &context), *wanted);
        }
        Call::UploadObject { key, .. } if plan.snapshot().pipeline.is_none() => {
            assert_eq!(text(one(body, "aws_s3_object", |_| true), "key", &context), *key);
        }
        _ => step_by_hand(None),
    }
}

/// A pipeline runs as soon as it is made: not before the steps by hand that the run needs.
#[test]
fn the_pipeline_waits_for_the_steps_by_hand_that_its_run_needs() {
    let bucket = |there: bool| {
        let scene = at_once(Scene::fresh(HOME, Policies::Article));
        let settings =
            xdeploy::settings::Settings { artifact_bucket: "our-artifacts".parse().ok(), create_buckets: true, ..scene.settings.clone() };
        let scene = Scene { settings, ..scene };
        at_once(async {
            let dev = scene.accounts(&scene.rehearsal.line()).await.unwrap().dev;
            if there {
                dev.s3(HOME).create_bucket().bucket("our-artifacts").send().await.unwrap();
            }
        });
        of_plan(&planned(&scene), None, Format::Terraform).unwrap()[0].text.clone()
    };
    for (text, waits) in [(bucket(true), true), (bucket(false), false)] {
        let body = hcl::parse(&text).unwrap();
        assert_eq!(text.contains("aws s3api put-bucket-policy"), waits, "{text}");
        let pipeline = one(&body, "aws_codepipeline", |_| true);
        let count = pipeline.body().attributes().find(|on| on.key() == "count").map(|on| on.expr().clone());
        let variable = of_kind(&body, "variable").into_iter().find(|block| labels(block) == ["create_pipeline"]);
        assert_eq!((count.is_some(), variable.is_some()), (waits, waits), "{text}");
        let Some((count, variable)) = count.zip(variable) else { continue };
        for (create, expected) in [(true, 1), (false, 0)] {
            let mut context = hcl::eval::Context::new();
            context.declare_var(hcl::Identifier::new("var").unwrap(), hcl::value!({ create_pipeline = create }));
            assert_eq!(count.evaluate(&context).unwrap(), hcl::Value::from(expected));
        }
        let default = variable.body().attributes().find(|on| on.key() == "default").unwrap();
        assert_eq!(default.expr(), &false.into());
        let comments = text.split_once("terraform {").unwrap().0;
        assert!(comments.contains("create_pipeline to true"), "{text}");
    }
}

/// What holds data isn't destroyed by a configuration that lost it.
#[test]
fn keys_and_buckets_are_kept() {
    let [sheet] = of_plan(&planned(&scenes()[2].1), None, Format::Terraform).unwrap().try_into().unwrap();
    let artifact = Plan::load(&with_artifact().dir.path().join("p")).unwrap();
    let buckets = of_plan(&artifact, None, Format::Terraform).unwrap()[0].text.clone();
    for (text, kinds) in [(&sheet.text, &["aws_kms_key", "aws_kms_replica_key", "aws_s3_bucket"][..]), (&buckets, &["aws_s3_bucket"])] {
        let body = hcl::parse(text).unwrap();
        for kind in kinds {
            let found = of_kind(&body, kind);
            assert!(!found.is_empty(), "{kind}");
            for block in found {
                let lifecycle = block.body().blocks().find(|inner| inner.identifier() == "lifecycle").unwrap();
                let (name, value) = lifecycle.body().attributes().map(|on| (on.key(), on.expr())).next().unwrap();
                assert_eq!((name, value), ("prevent_destroy", &true.into()));
            }
        }
        assert!(text.split_once("terraform {").unwrap().0.contains("in the place of this one"), "{text}");
    }
}

#[test]
fn a_side_has_its_own_resources_and_is_told_the_other_s_keys() {
    let plan = planned(&scenes()[2].1);
    let of = |side| of_plan(&plan, Some(side), Format::Terraform).unwrap()[0].text.clone();
    let (dev, prod) = (of(Side::Dev), of(Side::Prod));
    let [whole, half, other] = [of_plan(&plan, None, Format::Terraform).unwrap()[0].text.clone(), dev.clone(), prod.clone()]
        .map(|text| of_kind(&hcl::parse(&text).unwrap(), "resource").len());
    assert_eq!(half + other, whole);
    assert!(!dev.contains("aws.prod") && !dev.contains("aws_iam_role.deploy_role"), "{dev}");
    assert!(!prod.contains("aws.dev") && !prod.contains("aws_iam_role.service_role"), "{prod}");
    let body = hcl::parse(&prod).unwrap();
    for region in ["us_east_1", "eu_west_1"] {
        let told = one(&body, "variable", |block| labels(block) == [format!("key_arn_{region}")]);
        let validation = told.body().blocks().next().unwrap();
        let condition = validation.body().attributes().next().unwrap().expr().to_string();
        let begin = format!("arn:aws:kms:{}:{}:key/", region.replace('_', "-"), xdeploy::rehearsal::DEV);
        assert_eq!(condition, format!("startswith(var.key_arn_{region}, \"{begin}\")"));
    }
    assert!(prod.contains("\"${var.key_arn_us_east_1}\"") && !dev.contains("var.key_arn"), "{dev}{prod}");
}

#[test]
fn every_write_is_a_resource_or_a_step_by_hand_and_every_document_is_the_plan_s() {
    let mut plans: Vec<(&str, Plan)> = scenes().into_iter().map(|(name, scene)| (name, planned(&scene))).collect();
    plans.push(("strange", planned(&strange())));
    plans.push(("artifact", Plan::load(&with_artifact().dir.path().join("p")).unwrap()));
    for (name, plan) in plans {
        let [sheet] = of_plan(&plan, None, Format::Terraform).unwrap().try_into().unwrap();
        let body = hcl::parse(&sheet.text).unwrap();
        let mut by_hand = 0;
        for write in plan.writes() {
            accounted(&plan, write, &body, &sheet.text, &mut by_hand);
        }
        assert_eq!(sheet.text.matches("# BY HAND ").count(), by_hand, "{name}");
        let resources = of_kind(&body, "resource").len();
        println!("{name}: {} writes, {resources} resources, {by_hand} steps by hand", plan.writes().len());
        assert!(!sheet.text.contains("known after apply"), "{name}");
    }
}
