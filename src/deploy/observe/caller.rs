//! Reads who the caller is and what its own policies say, and what the account may still hold: all of it may be denied and stops
//! nothing then.

use super::iam::{attached_policies, inline_policies};
use super::organisation::read_organisation;
use crate::aws::role::policy;
use crate::aws::{Account, Accounts, ApiResult};
use crate::deploy::blueprint::Named;
use crate::deploy::caller::{CallerPermissions, KnownCallers};
use crate::deploy::savable::Usage;
use crate::deploy::snapshot::{Organisation, Snapshot};
use crate::deploy::write::{Call, Write};
use crate::model::{Readable, Side, quotas};
use futures_util::future::{join, join_all};
use serde_json::json;
use std::collections::BTreeMap;

/// What decides whether a plan's writes are let through, beside what they write.
#[derive(Debug, Clone, Default)]
pub struct Means {
    /// Who writes, and what limits them.
    pub callers: KnownCallers,
    /// What the accounts hold and may hold.
    pub usage: BTreeMap<Side, Usage>,
}

/// Reads the callers of the accounts that are written to, and how much those accounts may still hold.
pub async fn means(accounts: &Accounts, snapshot: &Snapshot, writes: &[Write]) -> Means {
    let of = |side: Side| writes.iter().any(|write| write.account == side) && accounts.of(side).logged_in;
    let sides: Vec<Side> = [Side::Dev, Side::Prod].into_iter().filter(|side| of(*side)).collect();
    let read = sides.into_iter().map(|side| async move {
        let account = accounts.of(side);
        let known = match side {
            Side::Dev => &snapshot.dev_organisation,
            Side::Prod => &snapshot.prod_organisation,
        };
        let organisation = async {
            match known {
                Some(known) => known.clone(),
                None => organisation(accounts, side).await,
            }
        };
        let own: Vec<&Write> = writes.iter().filter(|write| write.account == side).collect();
        let (caller, (organisation, usage)) = join(caller(account), join(organisation, usage(account, &own))).await;
        (side, caller, organisation, usage)
    });
    let mut means = Means::default();
    for (side, caller, organisation, usage) in join_all(read).await {
        means.callers.callers.insert(side, caller);
        means.callers.organisations.insert(side, organisation);
        means.usage.insert(side, usage);
    }
    means
}

async fn organisation(accounts: &Accounts, side: Side) -> Organisation {
    let (own, other) = (accounts.of(side), accounts.of(side.other()));
    read_organisation(own, if other.logged_in { other } else { own }).await
}

/// The one policy of AWS's that most administrators have; what it says needs no request.
const ADMINISTRATOR: &str = ":iam::aws:policy/AdministratorAccess";

/// Reads the caller's own policies.
async fn caller(account: &Account) -> CallerPermissions {
    let arn = &account.caller;
    let mut found = CallerPermissions::of(&arn.to_string());
    if arn.resource == "root" {
        return found;
    }
    let (attached, boundary) = if let Some(name) = arn.role_name() {
        of_role(account, name, &mut found).await
    } else if arn.resource.starts_with("user/") {
        of_user(account, arn.bare_name(), &mut found).await
    } else {
        found.unread.push(format!("what {arn} may is not read: it is neither a user nor a role's session"));
        return found;
    };
    let boundary_document = async {
        match &boundary {
            Some(arn) => Some(policy(account, arn).await),
            None => None,
        }
    };
    let documents = join_all(attached.iter().map(|arn| async move {
        if arn.ends_with(ADMINISTRATOR) {
            let everything = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
            return Ok(Some(everything));
        }
        policy(account, arn).await
    }));
    let (documents, boundary_document) = join(documents, boundary_document).await;
    for (arn, document) in attached.iter().zip(documents) {
        match document {
            Ok(Some(document)) => found.policies.push((format!("policy {arn}"), document)),
            Ok(None) => {}
            Err(error) => found.unread.push(format!("the caller's policy {arn} could not be read: {}", error.told())),
        }
    }
    if let (Some(arn), Some(document)) = (boundary, boundary_document) {
        match document {
            Ok(Some(document)) => found.boundary = Some((format!("permissions boundary {arn}"), document)),
            Ok(None) => found.boundary_unread = Some(format!("the caller's permissions boundary {arn} isn't there")),
            Err(error) => {
                found.boundary_unread = Some(format!("the caller's permissions boundary {arn} could not be read: {}", error.told()))
            }
        }
    }
    found
}

/// Notes what could not be read.
fn unread<T>(found: &mut CallerPermissions, what: &str, result: ApiResult<T>) -> Option<T> {
    match result {
        Ok(got) => Some(got),
        Err(error) => {
            let why = format!("{what} could not be read: {}", error.told());
            if !found.unread.contains(&why) {
                found.unread.push(why);
            }
            None
        }
    }
}

type CallerLimits = (Vec<String>, Option<String>);

async fn of_role(account: &Account, name: &str, found: &mut CallerPermissions) -> CallerLimits {
    let arn = account.iam_arn(&format!("role/{name}"));
    let named = Named { name: name.to_owned(), path: String::new(), arn: arn.clone(), adopted: true, must_exist: false };
    let iam = account.iam();
    let get = account.call("iam:GetRole", &arn, iam.get_role().role_name(name).send());
    let (role, (attached, inline)) = join(get, join(attached_policies(account, &named), inline_policies(account, &named))).await;
    let mut boundary = None;
    match unread(found, &format!("the caller's role {name}"), role).and_then(|got| got.role) {
        Some(role) => {
            boundary = role.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn()).map(str::to_owned);
            found.id = Some(role.role_id().to_owned());
            found.role = Some(role.arn().to_owned());
        }
        // Its path and boundary aren't known then.
        None => found.boundary_unread = Some(format!("whether the caller's role {name} has a permissions boundary could not be read")),
    }
    let names = unread(found, &format!("the inline policies of the caller's role {name}"), inline).unwrap_or_default();
    let (iam, resource) = (&iam, arn.as_str());
    let documents = join_all(names.iter().map(|policy| async move {
        let got = account.call("iam:GetRolePolicy", resource, iam.get_role_policy().role_name(name).policy_name(policy).send()).await?;
        account.iam_document("iam:GetRolePolicy", resource, Some(got.policy_document()))
    }));
    for (policy, document) in names.iter().zip(documents.await) {
        if let Some(document) = unread(found, &format!("inline policy {policy} of the caller's role {name}"), document) {
            found.policies.push((format!("inline policy {policy} of role {name}"), document));
        }
    }
    (unread(found, &format!("the policies of the caller's role {name}"), attached).unwrap_or_default(), boundary)
}

async fn of_user(account: &Account, name: &str, found: &mut CallerPermissions) -> CallerLimits {
    let arn = account.caller.to_string();
    let iam = account.iam();
    // One page holds more than a user may have of each (IAM-Quotas: 10 groups, 20 managed policies).
    let get = account.call("iam:GetUser", &arn, iam.get_user().user_name(name).send());
    let attached = account.call("iam:ListAttachedUserPolicies", &arn, iam.list_attached_user_policies().user_name(name).send());
    let inline = account.call("iam:ListUserPolicies", &arn, iam.list_user_policies().user_name(name).send());
    let groups = account.call("iam:ListGroupsForUser", &arn, iam.list_groups_for_user().user_name(name).send());
    let ((user, attached), (inline, groups)) = join(join(get, attached), join(inline, groups)).await;
    let mut boundary = None;
    match unread(found, &format!("the caller's user {name}"), user).and_then(|got| got.user) {
        Some(user) => {
            boundary = user.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn()).map(str::to_owned);
            found.id = Some(user.user_id().to_owned());
            found.tags = Some(user.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect());
        }
        None => found.boundary_unread = Some(format!("whether the caller's user {name} has a permissions boundary could not be read")),
    }
    let attached = unread(found, &format!("the policies of the caller's user {name}"), attached);
    let mut arns: Vec<String> =
        attached.iter().flat_map(|got| got.attached_policies()).filter_map(|one| one.policy_arn()).map(str::to_owned).collect();
    let inline = unread(found, &format!("the inline policies of the caller's user {name}"), inline);
    let names: Vec<String> = inline.map(|got| got.policy_names).unwrap_or_default();
    let (iam, resource) = (&iam, arn.as_str());
    let documents = join_all(names.iter().map(|policy| async move {
        let got = account.call("iam:GetUserPolicy", resource, iam.get_user_policy().user_name(name).policy_name(policy).send()).await?;
        account.iam_document("iam:GetUserPolicy", resource, Some(got.policy_document()))
    }));
    let groups = unread(found, &format!("the groups of the caller's user {name}"), groups).map(|got| got.groups).unwrap_or_default();
    let (documents, groups) =
        join(documents, join_all(groups.iter().map(|group| of_group(account, group.group_name(), group.arn())))).await;
    for (policy, document) in names.iter().zip(documents) {
        if let Some(document) = unread(found, &format!("inline policy {policy} of the caller's user {name}"), document) {
            found.policies.push((format!("inline policy {policy} of user {name}"), document));
        }
    }
    for (attached, inline, why) in groups {
        arns.extend(attached);
        found.policies.extend(inline);
        found.unread.extend(why);
    }
    arns.sort();
    arns.dedup();
    (arns, boundary)
}

/// Reads a group's policies: the attached ones' ARNs, the inline ones, and what could not be read.
async fn of_group(account: &Account, name: &str, arn: &str) -> (Vec<String>, Vec<(String, serde_json::Value)>, Vec<String>) {
    let iam = account.iam();
    let attached = account.call("iam:ListAttachedGroupPolicies", arn, iam.list_attached_group_policies().group_name(name).send());
    let inline = account.call("iam:ListGroupPolicies", arn, iam.list_group_policies().group_name(name).send());
    let (attached, inline) = join(attached, inline).await;
    let mut lost = CallerPermissions::of(arn);
    let attached = unread(&mut lost, &format!("the policies of the caller's group {name}"), attached);
    let arns = attached.iter().flat_map(|got| got.attached_policies()).filter_map(|one| one.policy_arn()).map(str::to_owned).collect();
    let inline = unread(&mut lost, &format!("the inline policies of the caller's group {name}"), inline);
    let names: Vec<String> = inline.map(|got| got.policy_names).unwrap_or_default();
    let (iam, resource) = (&iam, arn);
    let documents = join_all(names.iter().map(|policy| async move {
        let got = account.call("iam:GetGroupPolicy", resource, iam.get_group_policy().group_name(name).policy_name(policy).send()).await?;
        account.iam_document("iam:GetGroupPolicy", resource, Some(got.policy_document()))
    }));
    for (policy, document) in names.iter().zip(documents.await) {
        if let Some(document) = unread(&mut lost, &format!("inline policy {policy} of the caller's group {name}"), document) {
            lost.policies.push((format!("inline policy {policy} of group {name}"), document));
        }
    }
    (arns, lost.policies, lost.unread)
}

/// Reads how much an account may still hold, as far as the writes add to it.
async fn usage(account: &Account, writes: &[&Write]) -> Usage {
    let adds = |call: &Call| matches!(call, Call::CreateRole { .. } | Call::CreatePolicy { .. } | Call::AttachRolePolicy { .. });
    let makes = writes.iter().find_map(|write| match &write.call {
        Call::CreatePipeline { region, .. } => Some(region.as_str()),
        _ => None,
    });
    let iam = async {
        if !writes.iter().any(|write| adds(&write.call)) {
            return Readable::Known(BTreeMap::new());
        }
        match account.call("iam:GetAccountSummary", "*", account.iam().get_account_summary().send()).await {
            Ok(got) => {
                let summary = got.summary_map().cloned().unwrap_or_default();
                let one =
                    |(key, count): (aws_sdk_iam::types::SummaryKeyType, i32)| Some((key.as_str().to_owned(), usize::try_from(count).ok()?));
                Readable::Known(summary.into_iter().filter_map(one).collect())
            }
            Err(error) => Readable::Unknown(error.told()),
        }
    };
    let counts = async {
        let Some(region) = makes else { return (None, None) };
        let (pipelines, rules) = join(pipelines(account, region), rules(account, region)).await;
        let told = |count: ApiResult<usize>| match count {
            Ok(count) => Readable::Known(count),
            Err(error) => Readable::Unknown(error.told()),
        };
        let new_rule = writes.iter().any(|write| matches!(&write.call, Call::PutRule { tags, .. } if !tags.is_empty()));
        (Some(told(pipelines)), new_rule.then(|| told(rules)))
    };
    let (iam, (pipelines, rules)) = join(iam, counts).await;
    Usage { iam, pipelines, rules }
}

async fn pipelines(account: &Account, region: &str) -> ApiResult<usize> {
    let client = account.codepipeline(region);
    let (mut count, mut token) = (0, None);
    loop {
        let page = account.call("codepipeline:ListPipelines", "*", client.list_pipelines().set_next_token(token).send()).await?;
        count += page.pipelines().len();
        token = page.next_token().map(str::to_owned);
        if token.is_none() || count >= quotas::PIPELINES {
            return Ok(count);
        }
    }
}

async fn rules(account: &Account, region: &str) -> ApiResult<usize> {
    let client = account.events(region);
    let (mut count, mut token) = (0, None);
    loop {
        let page = account.call("events:ListRules", "*", client.list_rules().set_next_token(token).send()).await?;
        count += page.rules().len();
        token = page.next_token().map(str::to_owned);
        if token.is_none() || count >= quotas::RULES {
            return Ok(count);
        }
    }
}
