//! Reads roles and policies, and who the caller is.

use crate::aws::{Account, ApiError, ApiResult, present};
use crate::deploy::blueprint::Named;
use crate::deploy::names::TAG;
use crate::deploy::snapshot::{Boundary, PolicyFound, RoleFound, Tags, is_own};
use crate::model::{Arn, Readable};
use crate::policy;
use crate::settings::{Settings, variable};
use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn iam_tags(tags: &[aws_sdk_iam::types::Tag]) -> Tags {
    tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

/// What reading a role hangs on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    /// Read all at once instead of asking first whether it is there.
    pub(super) likely: bool,
    /// Whose roles are ours.
    pub(super) pipeline_arn: &'a str,
    /// Policies with our names, which are read by themselves.
    pub(super) ours: &'a [&'a str],
}

/// Reads a role with its policies and its boundary.
pub(super) async fn read_role(account: &Account, named: &Named, reading: Reading<'_>) -> ApiResult<Option<RoleFound>> {
    let Reading { likely, pipeline_arn, ours } = reading;
    let absent = &["NoSuchEntity"];
    let iam = account.iam();
    let get = account.call("iam:GetRole", &named.arn, iam.get_role().role_name(&named.name).send());
    // Both to their end: which permissions are needed is not to hang on which answer comes first.
    let lists = async {
        let (attached, inline) = tokio::join!(attached_policies(account, named), inline_policies(account, named));
        Ok((attached?, inline?))
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
    let role = role.role().ok_or_else(|| account.unusable("iam:GetRole", &named.arn, "the answer has no role"))?;
    let trust = account.iam_document("iam:GetRole", &named.arn, role.assume_role_policy_document())?;
    let tags = iam_tags(role.tags());
    let (attached, inline) = lists;
    let inline = try_join_all(inline.into_iter().map(|name| {
        let request = iam.get_role_policy().role_name(&named.name).policy_name(&name).send();
        async move {
            let got = account.call("iam:GetRolePolicy", &named.arn, request).await?;
            let document = account.iam_document("iam:GetRolePolicy", &named.arn, Some(got.policy_document()))?;
            Ok::<_, Box<ApiError>>((name, document))
        }
    }));
    // Whose role it is decides whether what others attached can stand in for what we would write.
    let own = is_own(&tags, pipeline_arn);
    let others = try_join_all(attached.iter().filter(|arn| !own || !ours.contains(&arn.as_str())).map(|arn| async {
        let found = read_policy_document(account, arn).await?;
        Ok::<_, Box<ApiError>>((arn.clone(), found))
    }));
    let limit = role.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn());
    let boundary = async {
        let Some(arn) = limit else { return Ok(None) };
        let document = match read_policy_document(account, arn).await {
            Ok(Some((document, _))) => Readable::Known(document),
            Ok(None) => Readable::Unknown("there is no such policy".to_owned()),
            Err(error) => Readable::Unknown(error.told()),
        };
        Ok(Some(Boundary { arn: arn.to_owned(), document }))
    };
    let (inline, others, boundary) = tokio::try_join!(inline, others, boundary)?;
    let (mut attached_documents, mut other_documents) = (BTreeMap::new(), BTreeMap::new());
    for (arn, found) in others {
        let Some((document, of_a_set_up)) = found else { continue };
        if own || of_a_set_up { &mut other_documents } else { &mut attached_documents }.insert(arn, document);
    }
    Ok(Some(RoleFound {
        name: role.role_name().to_owned(),
        arn: role.arn().to_owned(),
        id: Some(role.role_id().to_owned()).filter(|id| !id.is_empty()),
        trust,
        tags,
        attached,
        inline: inline.into_iter().collect(),
        attached_documents,
        other_documents,
        boundary,
    }))
}

/// IAM may give fewer than there are and say that there are more.
pub(super) async fn attached_policies(account: &Account, named: &Named) -> ApiResult<Vec<String>> {
    let (mut found, mut marker) = (Vec::new(), None);
    loop {
        let request = account.iam().list_attached_role_policies().role_name(&named.name).set_marker(marker);
        let page = account.call("iam:ListAttachedRolePolicies", &named.arn, request.send()).await?;
        found.extend(page.attached_policies().iter().filter_map(|policy| policy.policy_arn()).map(str::to_owned));
        marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
        if marker.is_none() {
            return Ok(found);
        }
    }
}

pub(super) async fn inline_policies(account: &Account, named: &Named) -> ApiResult<Vec<String>> {
    let (mut found, mut marker) = (Vec::new(), None);
    loop {
        let request = account.iam().list_role_policies().role_name(&named.name).set_marker(marker);
        let page = account.call("iam:ListRolePolicies", &named.arn, request.send()).await?;
        found.extend(page.policy_names().iter().cloned());
        marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
        if marker.is_none() {
            return Ok(found);
        }
    }
}

/// Reads roles by their ARNs: the proof needs them, nothing else does, so that one that can't be read stops nothing.
pub(super) async fn read_other_roles(
    accounts: [&Account; 2],
    arns: BTreeSet<String>,
    reading: Reading<'_>,
) -> BTreeMap<String, Readable<Option<RoleFound>>> {
    let read = arns.into_iter().map(|arn| async move {
        let Ok(parsed) = arn.parse::<Arn>() else { return (arn, Readable::Known(None)) };
        let Some(account) = accounts.into_iter().find(|account| account.id == parsed.account) else {
            return (arn, Readable::Unknown(format!("it is of account {}, which is neither dev nor prod", parsed.account)));
        };
        if !account.logged_in {
            return (arn, Readable::Unknown(format!("nobody is logged in to account {}", parsed.account)));
        }
        let name = parsed.bare_name().to_owned();
        let named = Named { name, path: String::new(), arn: arn.clone(), adopted: true, must_exist: false };
        let found = match read_role(account, &named, reading).await {
            Ok(found) => Readable::Known(found.filter(|found| found.arn == arn)),
            Err(error) => Readable::Unknown(error.told()),
        };
        (arn, found)
    });
    join_all(read).await.into_iter().collect()
}

/// Reads a policy's document, and whether some pipeline's set-up made it: such a policy goes with its pipeline.
async fn read_policy_document(account: &Account, arn: &str) -> ApiResult<Option<(Value, bool)>> {
    let iam = account.iam();
    let Some(policy) = present(account.call("iam:GetPolicy", arn, iam.get_policy().policy_arn(arn).send()).await, &["NoSuchEntity"])?
    else {
        return Ok(None);
    };
    let of_a_set_up = policy.policy().is_some_and(|policy| policy.tags().iter().any(|tag| tag.key() == TAG));
    let version = policy.policy().and_then(|policy| policy.default_version_id()).unwrap_or("v1");
    let got = account.call("iam:GetPolicyVersion", arn, iam.get_policy_version().policy_arn(arn).version_id(version).send()).await?;
    let text = got.policy_version().and_then(|version| version.document());
    Ok(Some((account.iam_document("iam:GetPolicyVersion", arn, text)?, of_a_set_up)))
}

pub(super) async fn read_policy(account: &Account, arn: &str) -> ApiResult<Option<PolicyFound>> {
    let iam = account.iam();
    let Some(got) = present(account.call("iam:GetPolicy", arn, iam.get_policy().policy_arn(arn).send()).await, &["NoSuchEntity"])? else {
        return Ok(None);
    };
    let policy = got.policy().ok_or_else(|| account.unusable("iam:GetPolicy", arn, "the answer has no policy"))?;
    let default_version = policy.default_version_id().unwrap_or("v1").to_owned();
    let (version, mut versions) = tokio::try_join!(
        account.call("iam:GetPolicyVersion", arn, iam.get_policy_version().policy_arn(arn).version_id(&default_version).send()),
        policy_versions(account, arn),
    )?;
    // Version ids count upwards and are never used twice, so their number is their age.
    versions.sort_by_key(|version| version.trim_start_matches('v').parse::<u64>().unwrap_or(0));
    Ok(Some(PolicyFound {
        arn: arn.to_owned(),
        document: account.iam_document("iam:GetPolicyVersion", arn, version.policy_version().and_then(|version| version.document()))?,
        versions,
        default_version,
        tags: iam_tags(policy.tags()),
        attachments: policy.attachment_count().unwrap_or(0),
    }))
}

/// Reads the permissions boundaries that were named: the proof needs them, and one that isn't there is refused.
pub(super) async fn read_boundaries(accounts: [&Account; 2], settings: &Settings) -> BTreeMap<String, Readable<Option<Value>>> {
    let read = settings.permissions_boundaries.iter().filter_map(|policy| {
        let account = accounts.into_iter().find(|account| account.logged_in && policy.is_for(&account.id))?;
        Some(async move {
            let document = match read_policy_document(account, policy.as_str()).await {
                Ok(found) => Readable::Known(found.map(|(document, _)| document)),
                Err(error) => Readable::Unknown(error.told()),
            };
            (policy.to_string(), document)
        })
    });
    join_all(read).await.into_iter().collect()
}

async fn policy_versions(account: &Account, arn: &str) -> ApiResult<Vec<String>> {
    let (mut found, mut marker) = (Vec::new(), None);
    loop {
        let request = account.iam().list_policy_versions().policy_arn(arn).set_marker(marker).send();
        let page = account.call("iam:ListPolicyVersions", arn, request).await?;
        found.extend(page.versions().iter().filter_map(|version| version.version_id()).map(str::to_owned));
        marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
        if marker.is_none() {
            return Ok(found);
        }
    }
}

/// Says whether a role is a job's or a machine's: a web identity may assume it, or services alone may.
fn is_a_machines(trust: &Value) -> bool {
    let allowing = || policy::statements(trust).into_iter().filter(|statement| statement.get("Effect") == Some(&json!("Allow")));
    let by_web_identity = |statement: &Value| {
        policy::names_in(statement.get("Action")).iter().any(|action| action.eq_ignore_ascii_case("sts:AssumeRoleWithWebIdentity"))
    };
    let by_services = |statement: &Value| {
        let principal = statement.get("Principal").and_then(Value::as_object);
        principal.is_some_and(|kinds| !kinds.is_empty() && kinds.keys().all(|kind| kind == "Service"))
    };
    allowing().any(by_web_identity) || allowing().next().is_some() && allowing().all(by_services)
}

/// Finds out who administers a new key by default: the caller's role or user (`architecture.md`, "Who am I"). A role that doesn't
/// last is no administrator, and its name comes second: IAM Identity Center makes its roles anew, with another name, and a key
/// policy that names a role of old can't be administered by its successor.
pub(super) async fn administrator(dev: &Account, settings: &Settings) -> (Readable<Option<String>>, Option<String>) {
    if !settings.key_administrators.is_empty() {
        return (Readable::Known(None), None);
    }
    let caller: &Arn = &dev.caller;
    if caller.resource == "root" {
        return (Readable::Known(None), None);
    }
    let in_ci = variable("CI").is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    let passing = caller.role_name().filter(|name| name.starts_with("AWSReservedSSO_") || in_ci);
    if let Some(name) = passing {
        return (Readable::Known(None), Some(name.to_owned()));
    }
    let Some(name) = caller.role_name() else {
        // STS shows a user with its path (facts G.3), so there is nothing more to ask.
        let known = match caller.resource.starts_with("user/") {
            true => Readable::Known(Some(caller.to_string())),
            false => Readable::Unknown(format!("{caller} is neither a user nor a role")),
        };
        return (known, None);
    };
    let iam = dev.iam();
    let resource = dev.iam_arn(&format!("role/{name}"));
    let read = async {
        let got = dev.call("iam:GetRole", &resource, iam.get_role().role_name(name).send()).await?;
        let role = got.role().ok_or_else(|| dev.unusable("iam:GetRole", &resource, "the answer has no role"))?;
        let trust = dev.iam_document("iam:GetRole", &resource, role.assume_role_policy_document())?;
        Ok::<_, Box<ApiError>>((role.arn().to_owned(), trust))
    };
    match read.await {
        Ok((_, trust)) if is_a_machines(&trust) => (Readable::Known(None), Some(name.to_owned())),
        Ok((arn, _)) => (Readable::Known(Some(arn)), None),
        Err(error) => (Readable::Unknown(error.told()), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_assume_a_role_tells_whether_it_is_a_machines() {
        let trust = |principals: &[Value], action: &str| {
            let statements: Vec<Value> =
                principals.iter().map(|principal| json!({"Effect": "Allow", "Principal": principal, "Action": action})).collect();
            json!({"Version": "2012-10-17", "Statement": statements})
        };
        let (account, service) = (json!({"AWS": "111111111111"}), json!({"Service": "codebuild.amazonaws.com"}));
        let saml = json!({"Federated": "arn:aws:iam::111111111111:saml-provider/company"});
        let oidc = json!({"Federated": "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com"});
        assert!(is_a_machines(&trust(std::slice::from_ref(&oidc), "sts:AssumeRoleWithWebIdentity")));
        assert!(is_a_machines(&trust(std::slice::from_ref(&service), "sts:AssumeRole")));
        assert!(!is_a_machines(&trust(&[service, account.clone()], "sts:AssumeRole")));
        assert!(!is_a_machines(&trust(&[account], "sts:AssumeRole")));
        assert!(!is_a_machines(&trust(&[saml], "sts:AssumeRoleWithSAML")));
        assert!(!is_a_machines(&Value::Null));
    }
}
