//! Who calls, and whether a policy names them (facts G.3).

use super::parsed::{Choice, Named, dead};
use super::pattern::is_wild;
use crate::model::Arn;
use std::borrow::Cow;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Root,
    User,
    /// A role, or a session of it: policies judge the session.
    Role,
    FederatedUser,
    Service,
    /// An identity provider, as in AssumeRoleWithSAML.
    Provider,
    Canonical,
    Anonymous,
}

/// The principal of a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller<'a> {
    pub(crate) who: Who,
    /// The text of the request.
    pub(crate) text: &'a str,
    /// The account, for principals whose account has a say.
    pub(crate) account: Option<&'a str>,
    partition: &'a str,
    /// The ARN of the role with its path.
    pub(crate) role: Option<Cow<'a, str>>,
    pub(crate) canonical: Option<&'a str>,
}

/// How closely a resource policy names a caller; the closer, the fewer others have a say (facts G.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// Its account: a delegation to the account's own policies.
    Account,
    /// Its role.
    Role,
    /// Itself, or everyone.
    Direct,
}

/// The parts of an ARN, without the region, by the rules of [`Arn`].
struct Parts<'a> {
    partition: &'a str,
    service: &'a str,
    account: &'a str,
    resource: &'a str,
}

fn parts(text: &str) -> Result<Parts<'_>, String> {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, _, account, resource) = (next(), next(), next(), next(), next(), next());
    if arn != "arn" || partition.is_empty() || service.is_empty() || resource.is_empty() {
        return Err(text.parse::<Arn>().err().unwrap_or_default());
    }
    Ok(Parts { partition, service, account, resource })
}

impl<'a> Caller<'a> {
    /// Reads a principal; `role` is a session's role with its path.
    pub(crate) fn read(text: &'a str, role: Option<&'a str>, canonical: Option<&'a str>) -> Result<Caller<'a>, String> {
        let plain = |who| Caller { who, text, account: None, partition: "", role: None, canonical };
        if text == "anonymous" {
            return Ok(plain(Who::Anonymous));
        }
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Caller { canonical: Some(text), ..plain(Who::Canonical) });
        }
        if !text.starts_with("arn:") {
            return match text.rsplit_once('.') {
                _ if text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn") => Ok(plain(Who::Service)),
                Some((left, right)) if !left.is_empty() && !right.is_empty() => Ok(plain(Who::Provider)),
                _ => Err(format!("`{text}` is not a principal")),
            };
        }
        let arn = parts(text)?;
        let not = || Err(format!("`{text}` is not the ARN of a user, a role, a session or an account's root"));
        if arn.account.len() != 12 || !arn.account.bytes().all(|b| b.is_ascii_digit()) || is_wild(text) {
            return not();
        }
        let with = |who, role| Caller { account: Some(arn.account), partition: arn.partition, role, ..plain(who) };
        let (kind, name) = arn.resource.split_once('/').unwrap_or((arn.resource, ""));
        match (arn.service, kind) {
            ("iam", "root") if name.is_empty() => Ok(with(Who::Root, None)),
            ("iam", "user") if !name.is_empty() => Ok(with(Who::User, None)),
            ("iam", "role") if !name.is_empty() => Ok(with(Who::Role, Some(text.into()))),
            ("iam", "saml-provider" | "oidc-provider") => Ok(Caller { partition: arn.partition, ..plain(Who::Provider) }),
            ("sts", "federated-user") if !name.is_empty() => Ok(with(Who::FederatedUser, None)),
            ("sts", "assumed-role") => match name.split_once('/') {
                Some((own, session)) if !own.is_empty() && !session.is_empty() => {
                    let role = match role {
                        None => format!("arn:{}:iam::{}:role/{own}", arn.partition, arn.account).into(),
                        Some(role) => {
                            let given = parts(role)?;
                            let is_it = given.resource.starts_with("role/") && given.resource.rsplit('/').next() == Some(own);
                            if given.service != "iam" || given.account != arn.account || !is_it {
                                return Err(format!("`{role}` is not the role of the session `{text}`"));
                            }
                            role.into()
                        }
                    };
                    Ok(with(Who::Role, Some(role)))
                }
                _ => not(),
            },
            _ => not(),
        }
    }

    /// Says whether organisation policies leave the caller alone (ORG-SCP).
    pub(crate) fn is_service_linked(&self) -> bool {
        self.role.as_ref().is_some_and(|role| role.contains(":role/aws-service-role/"))
    }

    fn is_account(&self, text: &str) -> bool {
        let Some(account) = self.account else { return false };
        text == account
            || text
                .strip_suffix(":root")
                .and_then(|rest| rest.strip_suffix(account))
                .and_then(|rest| rest.strip_prefix("arn:"))
                .and_then(|rest| rest.strip_suffix(":iam::"))
                .is_some_and(|partition| partition == self.partition)
    }

    /// Says whether and how closely one entry names the caller.
    fn named(&self, name: Named<'_>) -> Option<Grade> {
        if name == Named::Aws("*") {
            return Some(Grade::Direct);
        }
        let direct = |yes: bool| yes.then_some(Grade::Direct);
        let grade = match name {
            Named::Aws(text) if self.is_account(text) => Some(if self.who == Who::Root { Grade::Direct } else { Grade::Account }),
            // A provider's ARN under AWS names nobody.
            Named::Aws(text) if self.account.is_some() && text == self.text && self.role.as_deref() != Some(text) => Some(Grade::Direct),
            Named::Aws(text) => (self.role.as_deref() == Some(text)).then_some(Grade::Role),
            Named::Service(text) => direct(self.who == Who::Service && text == self.text),
            Named::Federated(text) => direct(self.who == Who::Provider && text == self.text),
            // S3 takes a canonical id for the account that it belongs to.
            Named::Canonical(text) if self.canonical == Some(text) => {
                Some(if self.who == Who::Canonical { Grade::Direct } else { Grade::Account })
            }
            Named::Canonical(_) => None,
        };
        grade.filter(|_| dead(name).is_none())
    }

    /// Says whether and how closely a `Principal` or `NotPrincipal` element matches the caller.
    pub(crate) fn matched(&self, element: &Choice<Vec<Named<'_>>>, deny: bool, has_boundary: bool) -> Option<Grade> {
        if !element.negated {
            return element.values.iter().filter_map(|name| self.named(*name)).max();
        }
        // NotPrincipal is for Deny only, hits everyone with a boundary, and spares only who is named with account, role
        // and session (IAM-NotPrincipal).
        if !deny {
            return None;
        }
        let listed = |test: &dyn Fn(Named<'_>) -> bool| element.values.iter().any(|name| test(*name) && dead(*name).is_none());
        let everyone = listed(&|name| name == Named::Aws("*"));
        let spared = match self.who {
            _ if everyone => true,
            _ if self.account.is_some() && has_boundary => false,
            Who::Service | Who::Provider | Who::Canonical => element.values.iter().any(|name| self.named(*name).is_some()),
            Who::Anonymous => false,
            _ => {
                let account = listed(&|name| matches!(name, Named::Aws(text) if self.is_account(text)));
                let itself = self.who == Who::Root || listed(&|name| matches!(name, Named::Aws(text) if text == self.text));
                let role = self.role.as_ref().is_none_or(|role| listed(&|name| matches!(name, Named::Aws(text) if text == role)));
                account && itself && role
            }
        };
        (!spared).then_some(Grade::Direct)
    }
}
