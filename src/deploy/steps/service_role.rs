//! A2.1: the pipeline's service role with what CodePipeline needs at the least (facts/codepipeline.md A.3, A.5).

use super::managed_policy::granted_by_others;
use super::{Context, Draft, boundary_of_new_role, customer_key, key_policy, least};
use crate::deploy::blueprint::Named;
use crate::deploy::names;
use crate::deploy::snapshot::{RoleFound, is_own};
use crate::deploy::write::{Call, Note, Step, Write};
use crate::error::{Error, Result};
use crate::model::{Policies, Side};
use crate::policy::{self, Grant};
use serde_json::{Value, json};

/// The baseline of every pipeline and of an S3 source; the artifact key comes from the key policy (A3), once.
fn baseline(context: &Context<'_>) -> Value {
    let blueprint = context.blueprint;
    let buckets: Vec<String> = blueprint.stores.iter().map(|store| blueprint.dev.bucket(&store.bucket)).collect();
    let input = blueprint.dev.bucket(&blueprint.input_bucket);
    let (objects, source): (Vec<String>, String) = match blueprint.policies {
        Policies::Article => (buckets.iter().map(|bucket| format!("{bucket}/*")).collect(), format!("{input}/*")),
        Policies::LeastPrivilege => {
            (blueprint.stores.iter().map(|store| least::artifacts(blueprint, store)).collect(), least::source_object(blueprint))
        }
    };
    let ours = json!({"StringEquals": {"aws:ResourceAccount": blueprint.dev.account}});
    let mut statements = vec![
        json!({"Sid": "AllowS3BucketAccess", "Effect": "Allow",
            "Action": ["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"],
            "Resource": buckets, "Condition": ours}),
        json!({"Sid": "AllowS3ObjectAccess", "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObjectTagging",
                "s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
            "Resource": objects, "Condition": ours}),
        // ListBucket makes a missing source object read as the article says, not as "Forbidden" (A2.7, facts A.3).
        json!({"Sid": "AllowSourceBucketAccess", "Effect": "Allow",
            "Action": ["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation", "s3:ListBucket"],
            "Resource": input, "Condition": ours}),
        json!({"Sid": "AllowSourceObjectAccess", "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
            "Resource": source, "Condition": ours}),
    ];
    statements.extend(key_policy::own_statements(blueprint));
    statements.extend(customer_key::source_statement(context));
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn trust_of_service(service: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})
}

fn names_service(trust: &Value, service: &str) -> bool {
    policy::statements(trust).into_iter().any(|statement| {
        statement.get("Effect").and_then(Value::as_str) == Some("Allow")
            && statement.pointer("/Principal/Service").is_some_and(|who| policy::names_in(Some(who)).contains(&service))
    })
}

pub fn trusts(trust: &Value, principal: &str) -> bool {
    policy::covers(trust, &Grant { principal: Some(principal.to_owned()), action: "sts:AssumeRole".to_owned(), resource: String::new() })
}

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    let role = &blueprint.service_role;
    if role.must_exist && context.snapshot.service_role.is_none() {
        return Err(Error::refused(format!("there is no role {}", role.arn))
            .hint("correct the ARN, or give only a name with `--service-role` to have the role made"));
    }
    role_of_service(
        context,
        draft,
        ServiceRole {
            step: Step::ServiceRole,
            role,
            found: context.snapshot.service_role.as_ref(),
            service: "codepipeline.amazonaws.com",
            inline: names::inline_name(&blueprint.pipeline),
            inline_is_ours: true,
            document: baseline(context),
            title: format!("service role {}", role.name),
            description: format!("Service role of CodePipeline {}", blueprint.pipeline),
            hints: vec![
                format!("pass `--service-role {}` to use it: it keeps its policies and gets ours beside them", role.name),
                "or pass `--service-role NAME` to have another one made".to_owned(),
            ],
        },
    )
}

/// A role that an AWS service assumes, with one inline policy of ours.
#[derive(Debug)]
pub struct ServiceRole<'a> {
    pub step: Step,
    pub role: &'a Named,
    pub found: Option<&'a RoleFound>,
    pub service: &'static str,
    pub inline: String,
    /// The inline policy's name can only be ours; otherwise, in a role of others, it is theirs.
    pub inline_is_ours: bool,
    pub document: Value,
    pub title: String,
    pub description: String,
    /// What to do where the role is somebody else's.
    pub hints: Vec<String>,
}

/// Makes the role, brings ours up to date, adopts one that does what is needed, or refuses.
///
/// # Errors
/// The role is somebody else's, was not named by the person or the pipeline, and doesn't do what is needed.
pub fn role_of_service(context: &Context<'_>, draft: &mut Draft, wanted: ServiceRole<'_>) -> Result<()> {
    let ServiceRole { step, role, found, service, inline, inline_is_ours, document, title, description, hints } = wanted;
    let blueprint = context.blueprint;
    let token = format!("role:dev:{}", role.name);
    let own = found.is_none_or(|found| is_own(&found.tags, &blueprint.pipeline_arn));
    let counts_as_ours = own || inline_is_ours;
    let grants = policy::grants_of(&policy::statements(&document).into_iter().cloned().collect::<Vec<_>>());
    let granted = granted_by_others(context, found, if counts_as_ours { &inline } else { "" }, &grants);
    let mut push = |title: String, call: Call| {
        let made = matches!(call, Call::CreateRole { .. });
        let write = Write::new(Side::Dev, step, &role.arn, &role.arn, title, call);
        draft.writes.push(if made { write.gives(token.clone()) } else { write.needs([token.clone()]) });
    };
    match found {
        None => {
            let trust = trust_of_service(service);
            let boundary = boundary_of_new_role(context, Side::Dev)?;
            push(title, Call::CreateRole { name: role.name.clone(), path: role.path.clone(), trust, description, boundary });
        }
        Some(found) => {
            let trusted = trusts(&found.trust, service);
            if !(own || role.adopted || trusted && granted) {
                let message = format!(
                    "role {} exists in dev ({}) and was not made by xdeploy for pipeline {}",
                    role.name, blueprint.dev.account, blueprint.pipeline
                );
                return Err(hints.into_iter().fold(Error::refused(message), Error::hint));
            }
            if !trusted && names_service(&found.trust, service) {
                draft.notes.push(Note::warning(format!(
                    "role {} trusts {service} only under a condition; it is left as it is, and whether that is met is not documented",
                    role.name
                )));
            } else if !trusted {
                let mut statement = policy::statements(&trust_of_service(service))[0].clone();
                statement["Sid"] = json!(blueprint.sid("Trust"));
                let after = policy::merge(Some(&found.trust), &[statement]);
                let call = Call::UpdateAssumeRolePolicy { name: role.name.clone(), before: found.trust.clone(), after };
                push(format!("trust of {}: {service}", role.name), call);
            }
        }
    }
    let live = found.and_then(|found| found.inline.get(&inline));
    let needed = match live {
        Some(live) if counts_as_ours => !policy::same_grants(live, &document),
        _ => !granted,
    };
    if needed {
        let title = format!("inline policy {inline} of {}", role.name);
        push(title, Call::PutRolePolicy { role: role.name.clone(), name: inline, before: live.cloned(), document });
    }
    Ok(())
}
