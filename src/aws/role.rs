//! A role of IAM's with everything that it is granted.

use super::{Account, ApiResult, present};
use futures_util::future::try_join_all;
use serde_json::Value;

/// A role's trust policy, and its boundary's ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The ARN, with its path.
    pub arn: String,
    /// Who may assume it.
    pub trust: Value,
    /// The policy that bounds it.
    pub boundary: Option<String>,
}

/// Reads a role by its name; `None` if there is none.
///
/// # Errors
/// What AWS answered.
pub async fn role(account: &Account, name: &str) -> ApiResult<Option<Role>> {
    let resource = account.iam_arn(&format!("role/{name}"));
    let request = account.iam().get_role().role_name(name).send();
    let Some(found) = present(account.call("iam:GetRole", &resource, request).await, &["NoSuchEntity"])? else { return Ok(None) };
    let role = found.role().ok_or_else(|| account.unusable("iam:GetRole", &resource, "the answer has no role"))?;
    Ok(Some(Role {
        arn: role.arn().to_owned(),
        trust: account.iam_document("iam:GetRole", &resource, role.assume_role_policy_document())?,
        boundary: role.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn()).map(str::to_owned),
    }))
}

/// Reads a managed policy's document; `None` if it is gone.
///
/// # Errors
/// What AWS answered.
pub async fn policy(account: &Account, arn: &str) -> ApiResult<Option<Value>> {
    let iam = account.iam();
    let found = present(account.call("iam:GetPolicy", arn, iam.get_policy().policy_arn(arn).send()).await, &["NoSuchEntity"])?;
    let Some(found) = found else { return Ok(None) };
    let version = found.policy().and_then(|policy| policy.default_version_id());
    let version = version.ok_or_else(|| account.unusable("iam:GetPolicy", arn, "the answer has no policy"))?;
    let request = iam.get_policy_version().policy_arn(arn).version_id(version).send();
    let got = account.call("iam:GetPolicyVersion", arn, request).await?;
    account.iam_document("iam:GetPolicyVersion", arn, got.policy_version().and_then(|version| version.document())).map(Some)
}

/// Reads every policy of a role, inline and attached.
///
/// # Errors
/// What AWS answered.
pub async fn policies(account: &Account, name: &str) -> ApiResult<Vec<Value>> {
    let arn = account.iam_arn(&format!("role/{name}"));
    let inline = async {
        let (mut names, mut marker) = (Vec::new(), None);
        loop {
            let request = account.iam().list_role_policies().role_name(name).set_marker(marker);
            let page = account.call("iam:ListRolePolicies", &arn, request.send()).await?;
            names.extend(page.policy_names().iter().cloned());
            marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
            if marker.is_none() {
                break;
            }
        }
        let read = names.into_iter().map(|policy| {
            let request = account.iam().get_role_policy().role_name(name).policy_name(policy).send();
            let arn = &arn;
            async move {
                let got = account.call("iam:GetRolePolicy", arn, request).await?;
                account.iam_document("iam:GetRolePolicy", arn, Some(got.policy_document()))
            }
        });
        try_join_all(read).await
    };
    let attached = async {
        let (mut arns, mut marker) = (Vec::new(), None);
        loop {
            let request = account.iam().list_attached_role_policies().role_name(name).set_marker(marker);
            let page = account.call("iam:ListAttachedRolePolicies", &arn, request.send()).await?;
            arns.extend(page.attached_policies().iter().filter_map(|policy| policy.policy_arn()).map(str::to_owned));
            marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
            if marker.is_none() {
                break;
            }
        }
        try_join_all(arns.iter().map(|arn| policy(account, arn))).await
    };
    let (mut inline, attached) = tokio::try_join!(inline, attached)?;
    inline.extend(attached.into_iter().flatten());
    Ok(inline)
}
