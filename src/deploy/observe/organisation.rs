//! Reads what an account's organisation allows, as far as the callers may: mostly only the management account may.

use crate::aws::{Account, ApiError, ApiResult};
use crate::deploy::snapshot::{Level, Organisation, OrganisationPolicies};
use crate::model::Readable;
use aws_sdk_organizations::types::PolicyType;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

/// The organisation is five levels deep at most (ORG quotas), so a longer way up is no way up.
const LEVELS: usize = 10;

/// Reads the organisation of `account`; where its own caller may not, the `other` side's may.
pub(super) async fn read_organisation(account: &Account, other: &Account) -> Organisation {
    let request = account.organizations().describe_organization().send();
    let (described, own) = tokio::join!(account.call("organizations:DescribeOrganization", "*", request), policies(account, &account.id));
    let none = || Readable::Known(OrganisationPolicies::default());
    let (id, management) = match described {
        Ok(got) => {
            let found = got.organization();
            let management = found.and_then(|found| found.master_account_id()) == Some(account.id.as_str());
            (Readable::Known(found.and_then(|found| found.id()).map(str::to_owned)), management)
        }
        Err(error) if error.is(&["AWSOrganizationsNotInUseException"]) => {
            return Organisation { id: Readable::Known(None), management: false, policies: none() };
        }
        Err(error) => (Readable::Unknown(error.told()), false),
    };
    if management {
        return Organisation { id, management, policies: none() };
    }
    let policies = match own {
        Ok(policies) => Readable::Known(policies),
        Err(own) => match policies(other, &account.id).await {
            Ok(policies) => Readable::Known(policies),
            Err(_) => Readable::Unknown(own.told()),
        },
    };
    Organisation { id, management, policies }
}

async fn policies(reader: &Account, account: &str) -> ApiResult<OrganisationPolicies> {
    let mut targets = vec![account.to_owned()];
    while targets.len() < LEVELS {
        let child = targets.last().cloned().unwrap_or_default();
        let request = reader.organizations().list_parents().child_id(&child).send();
        let parents = reader.call("organizations:ListParents", &child, request).await?;
        match parents.parents().first().and_then(|parent| parent.id()) {
            Some(parent) => targets.push(parent.to_owned()),
            None => break,
        }
        if targets.last().is_some_and(|target| target.starts_with("r-")) {
            break;
        }
    }
    targets.reverse();
    let (scps, rcps) = tokio::try_join!(
        levels(reader, &targets, PolicyType::ServiceControlPolicy),
        levels(reader, &targets, PolicyType::ResourceControlPolicy)
    )?;
    Ok(OrganisationPolicies { scps, rcps })
}

/// Reads the policies of each level; a kind of policy that is switched off limits nothing and has no level.
async fn levels(reader: &Account, targets: &[String], kind: PolicyType) -> ApiResult<Vec<Level>> {
    let kind = &kind;
    let read = targets.iter().map(|target| {
        async move {
            let mut ids = Vec::new();
            let mut token = None;
            loop {
                let request = reader.organizations().list_policies_for_target().target_id(target).filter(kind.clone());
                let page = reader.call("organizations:ListPoliciesForTarget", target, request.set_next_token(token).send()).await?;
                let found = page.policies().iter().filter_map(|policy| {
                    let name = policy.name()?;
                    let everything = policy.aws_managed() && matches!(name, "FullAWSAccess" | "RCPFullAWSAccess");
                    Some((policy.id()?.to_owned(), name.to_owned(), everything))
                });
                ids.extend(found);
                token = page.next_token().map(str::to_owned);
                if token.is_none() {
                    break;
                }
            }
            let documents = try_join_all(ids.into_iter().map(|(id, name, everything)| async move {
                // AWS's own two, which are attached by default, allow everything (facts G.1).
                if everything {
                    return Ok((name, full_access(kind)));
                }
                let request = reader.organizations().describe_policy().policy_id(&id).send();
                let got = reader.call("organizations:DescribePolicy", &id, request).await?;
                let text = got.policy().and_then(|policy| policy.content()).unwrap_or_default();
                // What can't be read as JSON must not be taken to allow or deny anything: the evaluator calls it malformed.
                Ok::<_, Box<ApiError>>((name, serde_json::from_str::<Value>(text).unwrap_or_default()))
            }))
            .await?;
            Ok::<_, Box<ApiError>>(Level { target: target.clone(), policies: documents.into_iter().collect() })
        }
    });
    let found: Vec<Level> = try_join_all(read).await?;
    Ok(if found.iter().all(|level| level.policies.is_empty()) { Vec::new() } else { found })
}

fn full_access(kind: &PolicyType) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    if *kind == PolicyType::ResourceControlPolicy {
        statement["Principal"] = json!("*");
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}
