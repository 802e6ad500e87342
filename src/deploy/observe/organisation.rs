//! Reads what an account's organisation allows, as far as the callers may: mostly only the management account may.

use crate::aws::{Account, ApiError, ApiResult};
use crate::deploy::snapshot::{Level, Organisation};
use crate::model::Readable;
use aws_sdk_organizations::types::PolicyType;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

/// An organisation has five levels of units at most (ORG quotas), so a longer way up is no way up.
const LEVELS: usize = 10;

/// Reads the organisation of `account`; where its own caller may not, the `other` side's may.
pub(super) async fn read_organisation(account: &Account, other: &Account) -> Organisation {
    let request = account.organizations().describe_organization().send();
    let (described, own) = tokio::join!(account.call("organizations:DescribeOrganization", "*", request), policies(account, &account.id));
    let unlimited = |id, management| Organisation { id, management, scps: Readable::Known(Vec::new()), rcps: Readable::Known(Vec::new()) };
    let id = match described {
        Ok(got) => {
            let found = got.organization();
            let id = Readable::Known(found.and_then(|found| found.id()).map(str::to_owned));
            if found.and_then(|found| found.master_account_id()) == Some(account.id.as_str()) {
                return unlimited(id, true);
            }
            id
        }
        Err(error) if error.is(&["AWSOrganizationsNotInUseException"]) => return unlimited(Readable::Known(None), false),
        Err(error) => Readable::Unknown(error.told()),
    };
    let (mut scps, mut rcps) = own;
    if scps.known().is_none() || rcps.known().is_none() {
        let (their_scps, their_rcps) = policies(other, &account.id).await;
        scps = or(scps, their_scps);
        rcps = or(rcps, their_rcps);
    }
    Organisation { id, management: false, scps, rcps }
}

/// Takes the other side's reading where one's own failed; its reason counts if both did.
fn or(own: Readable<Vec<Level>>, other: Readable<Vec<Level>>) -> Readable<Vec<Level>> {
    if own.known().is_some() || other.known().is_none() { own } else { other }
}

/// Reads both kinds of policies, each by itself: a caller may be let see only one.
async fn policies(reader: &Account, account: &str) -> (Readable<Vec<Level>>, Readable<Vec<Level>>) {
    let targets = match targets(reader, account).await {
        Ok(targets) => targets,
        Err(why) => return (Readable::Unknown(why.clone()), Readable::Unknown(why)),
    };
    let (scps, rcps) = tokio::join!(
        levels(reader, &targets, PolicyType::ServiceControlPolicy),
        levels(reader, &targets, PolicyType::ResourceControlPolicy)
    );
    let told = |read: ApiResult<Vec<Level>>| match read {
        Ok(levels) => Readable::Known(levels),
        Err(error) => Readable::Unknown(error.told()),
    };
    (told(scps), told(rcps))
}

/// Lists the root, the units and the account, in this order.
async fn targets(reader: &Account, account: &str) -> Result<Vec<String>, String> {
    let mut targets = vec![account.to_owned()];
    while targets.len() < LEVELS {
        let child = targets.last().cloned().unwrap_or_default();
        if child.starts_with("r-") {
            targets.reverse();
            return Ok(targets);
        }
        let mut token = None;
        let parent = loop {
            let request = reader.organizations().list_parents().child_id(&child).set_next_token(token).send();
            let page = reader.call("organizations:ListParents", &child, request).await.map_err(|error| error.told())?;
            token = page.next_token().map(str::to_owned);
            // A page may be empty although another follows.
            match page.parents().first().and_then(|parent| parent.id()) {
                Some(parent) => break parent.to_owned(),
                None if token.is_none() => return Err(format!("{child} has no parent in the organisation")),
                None => {}
            }
        };
        targets.push(parent);
    }
    Err(format!("the way from {account} to the organisation's root has no end"))
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
