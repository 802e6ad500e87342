//! A4: production's role, its two policies and its trust.

use super::managed_policy::{self, Wanted};
use super::service_role::trusts;
use super::{Context, Draft, boundary_of_new_role, customer_key, least};
use crate::deploy::names;
use crate::deploy::snapshot::is_own;
use crate::deploy::write::{Call, Note, Step, Write};
use crate::error::{Error, Result};
use crate::model::{Policies, Side};
use crate::policy::{self, Grant};
use serde_json::{Value, json};

/// A4.1, and the three read actions that today's action reference asks for (facts/codepipeline.md A.2, row 12).
fn output_document(context: &Context<'_>) -> Value {
    let bucket = context.blueprint.prod.bucket(&context.blueprint.output_bucket);
    let mut statements = vec![
        json!({"Effect": "Allow", "Action": ["s3:Put*"], "Resource": [format!("{bucket}/*")]}),
        json!({"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [bucket]}),
        json!({"Sid": "DeployActionReads", "Effect": "Allow",
            "Action": ["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"], "Resource": [bucket]}),
    ];
    statements.extend(customer_key::output_statement(context));
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A4.2, for each artifact store.
fn artifact_document(context: &Context<'_>) -> Value {
    let blueprint = context.blueprint;
    let keys: Vec<&str> = blueprint.stores.iter().map(|store| store.key.as_str()).collect();
    let buckets: Vec<String> = blueprint.stores.iter().map(|store| blueprint.dev.bucket(&store.bucket)).collect();
    let objects: Vec<String> = buckets.iter().map(|bucket| format!("{bucket}/*")).collect();
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["kms:DescribeKey", "kms:GenerateDataKey*", "kms:Encrypt", "kms:ReEncrypt*", "kms:Decrypt"],
            "Resource": keys},
        {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": objects},
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": buckets},
    ]})
}

fn grants(document: &Value, but: &str) -> Vec<Grant> {
    let statements: Vec<Value> = policy::statements(document)
        .into_iter()
        .filter(|statement| statement.get("Sid").and_then(Value::as_str) != Some(but))
        .cloned()
        .collect();
    policy::grants_of(&statements)
}

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    let role = &blueprint.deploy_role;
    let service_role = &blueprint.service_role;
    let found = context.snapshot.deploy_role.as_ref();
    let token = format!("role:prod:{}", role.name);
    let statement =
        json!({"Sid": blueprint.sid("Trust"), "Effect": "Allow", "Principal": {"AWS": service_role.arn}, "Action": "sts:AssumeRole"});
    let needs_service_role = format!("role:dev:{}", service_role.name);
    match found {
        None => {
            let call = Call::CreateRole {
                name: role.name.clone(),
                path: role.path.clone(),
                trust: json!({"Version": "2012-10-17", "Statement": [statement]}),
                description: format!("CodePipeline {} of account {} deploys with it", blueprint.pipeline, blueprint.dev.account),
                boundary: boundary_of_new_role(context, Side::Prod)?,
            };
            draft.writes.push(
                Write::new(Side::Prod, Step::DeployRole, &role.arn, &role.arn, format!("cross-account role {}", role.name), call)
                    .needs([needs_service_role])
                    .gives(token),
            );
        }
        Some(found) => {
            let ours = is_own(&found.tags, &blueprint.pipeline_arn);
            // A role that names a service role which was deleted and made again holds a dead id instead (facts D.2).
            if !trusts(&names::without_other_pipelines(&found.trust, &blueprint.pipeline), &service_role.arn) {
                if !ours && !role.adopted {
                    return Err(Error::refused(format!(
                        "role {} exists in prod ({}), trusts somebody else, and was not made by xdeploy for pipeline {}",
                        role.name, blueprint.prod.account, blueprint.pipeline
                    ))
                    .hint("pass `--deploy-role NAME` to use another name")
                    .hint(format!("or pass `--deploy-role {}` to use this one: it keeps what it has and gets ours beside it", role.name)));
                }
                let after = policy::merge(Some(&found.trust), &[statement]);
                let call = Call::UpdateAssumeRolePolicy { name: role.name.clone(), before: found.trust.clone(), after };
                let title = format!("trust of {}: service role {}", role.name, service_role.name);
                draft.writes.push(Write::new(Side::Prod, Step::DeployRole, &role.arn, &role.arn, title, call).needs([needs_service_role]));
            }
        }
    }
    let (output, artifact) = match blueprint.policies {
        Policies::Article => (output_document(context), artifact_document(context)),
        Policies::LeastPrivilege => (least::output_document(context), least::artifact_document(blueprint)),
    };
    let keys: Vec<String> = blueprint.stores.iter().map(|store| format!("key:{}", store.region)).collect();
    let named = &blueprint.names;
    managed_policy::wants(
        context,
        draft,
        Wanted {
            side: Side::Prod,
            step: Step::DeployRole,
            named: &named.output_policy,
            flag: "--output-policy",
            // The article grants no end of an upload in parts either (facts A.2, row 16).
            article: grants(&output, "DeployActionReads").into_iter().filter(|grant| grant.action != "s3:AbortMultipartUpload").collect(),
            document: output,
            description: format!("Write to {}", blueprint.output_bucket),
            role,
            role_found: found,
            needs: Vec::new(),
        },
    )?;
    managed_policy::wants(
        context,
        draft,
        Wanted {
            side: Side::Prod,
            step: Step::DeployRole,
            named: &named.artifact_policy,
            flag: "--artifact-policy",
            article: grants(&artifact, ""),
            document: artifact,
            description: format!("Read the artifacts of CodePipeline {} and use their key", blueprint.pipeline),
            role,
            role_found: found,
            needs: keys,
        },
    )?;
    let written = draft.writes.iter().any(|write| write.resource == named.artifact_policy.arn);
    if written && !blueprint.deploy_encrypts_with_dev_key {
        draft.notes.push(Note::remark(format!(
            "{} may only decrypt with the artifact key; should a deploy fail for want of kms:GenerateDataKey on it, pass `--deploy-encrypts-with-dev-key` (AWS doesn't document which key it encrypts with)",
            role.name
        )));
    }
    Ok(())
}
