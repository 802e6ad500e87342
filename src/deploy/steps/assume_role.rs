//! A6: the service role may assume production's role.

use super::managed_policy::{self, Wanted};
use super::{Context, Draft};
use crate::deploy::write::Step;
use crate::error::Result;
use crate::model::Side;
use crate::policy;
use serde_json::json;

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [blueprint.deploy_role.arn]}]});
    let article = policy::grants_of(&policy::statements(&document).into_iter().cloned().collect::<Vec<_>>());
    managed_policy::wants(
        context,
        draft,
        Wanted {
            side: Side::Dev,
            step: Step::AssumeRole,
            named: &blueprint.names.assume_policy,
            flag: "--assume-policy",
            article,
            document,
            description: format!("Assume {} of account {}", blueprint.deploy_role.name, blueprint.prod.account),
            role: &blueprint.service_role,
            role_found: context.snapshot.service_role.as_ref(),
            needs: Vec::new(),
        },
    )
}
