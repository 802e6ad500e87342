//! The decision over all documents of a request (facts G.1, G.2).
//!
//! Where the facts are silent:
//! - `Principal: "*"` counts as naming the caller itself, also without `aws:PrincipalArn`: within the account it leaves
//!   nothing to boundary and session policy.
//! - Several boundaries, session policies or endpoint policies of one request are one together: one allowing is enough.
//! - RCPs are taken to cover every service: a list of services that grows behind our back would let denies slip.
//! - The management account isn't known here; whoever asks for it leaves the SCPs out.
//! - Root calling `sts:AssumeRole`, KMS grants and S3 ACLs aren't judged.
//! - The account in the ARN of AWS's own managed policies is `aws`, and nobody's.

use super::answer::Missing;
use super::condition::{Place, Tri, holds};
use super::context::Context;
use super::node::Nodes;
use super::parsed::{Choice, Condition, Document, Kind, Quantifier, Statement, Test};
use super::pattern::{self, Filled};
use super::principal::{Caller, Grade, Who};
use super::values::{Network, network};
use serde_json::{Value, json};
use std::borrow::Cow;

/// A request with everything that has a say about it.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) caller: Caller<'a>,
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    /// What a statement's Resource is compared with.
    pub(crate) target: Cow<'a, str>,
    pub(crate) resource_account: &'a str,
    /// Trust or key policies must allow by themselves.
    pub(crate) resource_kind: Kind,
    pub(crate) documents: Vec<Document<'a>>,
    pub(crate) has_boundary: bool,
    pub(crate) has_session: bool,
    pub(crate) has_endpoint: bool,
    pub(crate) scp_levels: usize,
    /// Which levels hold a document.
    pub(crate) rcp_levels: Vec<bool>,
    pub(crate) restricts_public_buckets: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    ExplicitlyDenied,
    ImplicitlyDenied,
}

/// A statement that matches, or that may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match<'q, 'a> {
    pub(crate) document: &'q Document<'a>,
    pub(crate) statement: &'q Statement<'a>,
    pub(crate) holds: Tri,
    grade: Grade,
}

/// A verdict with its reasons.
#[derive(Debug)]
pub(crate) struct Answer<'q, 'a> {
    pub(crate) verdict: Verdict,
    pub(crate) because: Vec<Match<'q, 'a>>,
    pub(crate) missing: Vec<Missing>,
}

/// What is taken of the statements that hang on an unknown key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Allows match, denies don't.
    Best,
    /// Denies match, allows don't.
    Worst,
}

/// The KMS operations that another account may call (facts G.2).
const KMS_ACROSS: [&str; 22] = [
    "Decrypt",
    "DeriveSharedSecret",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "ReEncrypt",
    "ReEncryptFrom",
    "ReEncryptTo",
    "Sign",
    "Verify",
    "VerifyMac",
    "CreateGrant",
    "DescribeKey",
    "GetKeyRotationStatus",
    "GetPublicKey",
    "ListGrants",
    "RetireGrant",
    "RevokeGrant",
    "GenerateRandom",
];

/// The calls that a trust policy decides (facts G.1).
const ROLE_CALLS: [&str; 3] = ["AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"];

fn is_kms(action: &str) -> bool {
    action.get(..4).is_some_and(|service| service.eq_ignore_ascii_case("kms:"))
}

/// Which kind of policy stands on the resource of this call.
pub(crate) fn resource_kind(action: &str, resource: &str) -> Kind {
    let mut parts = resource.splitn(6, ':').skip(2);
    let (service, name) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    let sts = action.get(..4).is_some_and(|service| service.eq_ignore_ascii_case("sts:"));
    match service {
        "iam" if sts && name.starts_with("role/") => Kind::Trust,
        "kms" if is_kms(action) && name.starts_with("key/") => Kind::Key,
        "kms" if is_kms(action) && name.starts_with("alias/") && !is_about_aliases(action) => Kind::Key,
        _ => Kind::Resource,
    }
}

/// Gives what Resource is compared with: an alias stands for a key, and which isn't known, so only what takes every key of
/// its account and region takes it (facts G.2).
pub(crate) fn target<'a>(action: &str, resource: &'a str) -> Cow<'a, str> {
    let of_a_key = is_kms(action) && !is_about_aliases(action);
    match resource.match_indices(':').nth(4).and_then(|(at, _)| resource.split_at_checked(at)) {
        Some((account, name)) if of_a_key && name.starts_with(":alias/") => format!("{account}:key/\u{e000}").into(),
        _ => resource.into(),
    }
}

/// Says what such a call is made on, if a call like this on the resource would bypass the policy that decides it.
pub(crate) fn bypasses(action: &str, kind: Kind) -> Option<&'static str> {
    let (service, name) = action.split_once(':')?;
    if kind == Kind::Resource && service.eq_ignore_ascii_case("sts") && ROLE_CALLS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Some("a role");
    }
    let of_a_key = KMS_ACROSS.iter().any(|own| own.eq_ignore_ascii_case(name)) && !name.eq_ignore_ascii_case("GenerateRandom");
    (kind == Kind::Resource && service.eq_ignore_ascii_case("kms") && of_a_key).then_some("a key")
}

/// The calls that change a role in what a service relies on.
const ROLE_CHANGES: [&str; 9] = [
    "AttachRolePolicy",
    "CreateRole",
    "DeleteRole",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
    "UpdateAssumeRolePolicy",
];
/// The calls that change how a role is described.
const ROLE_DESCRIPTIONS: [&str; 4] = ["TagRole", "UntagRole", "UpdateRole", "UpdateRoleDescription"];
const POLICY_CHANGES: [&str; 6] =
    ["CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "SetDefaultPolicyVersion", "TagPolicy", "UntagPolicy"];
const ALIAS_CHANGES: [&str; 3] = ["CreateAlias", "DeleteAlias", "UpdateAlias"];

/// Says whether a call would change what only AWS changes, whatever policies say (facts G.5): a permission set's role, a
/// service-linked role but for its description, a policy that AWS manages, an alias of a key that AWS manages.
fn is_awss_own(action: &str, resource: &str) -> bool {
    let Some((service, call)) = action.split_once(':') else { return false };
    let is_one_of = |calls: &[&str]| calls.iter().any(|own| own.eq_ignore_ascii_case(call));
    let mut parts = resource.splitn(6, ':').skip(4);
    let (account, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if service.eq_ignore_ascii_case("iam") {
        return match name.split_once('/') {
            Some(("role", path)) if path.starts_with("aws-reserved/") => is_one_of(&ROLE_CHANGES) || is_one_of(&ROLE_DESCRIPTIONS),
            Some(("role", path)) if path.starts_with("aws-service-role/") => is_one_of(&ROLE_CHANGES),
            Some(("policy", _)) if account == "aws" => is_one_of(&POLICY_CHANGES),
            _ => false,
        };
    }
    service.eq_ignore_ascii_case("kms") && name.starts_with("alias/aws/") && is_one_of(&ALIAS_CHANGES)
}

/// Says whether a call needs no permission and can't be denied (facts G.5); it only has to be signed.
pub(crate) fn needs_no_permission(action: &str, caller: &Caller<'_>) -> bool {
    action.eq_ignore_ascii_case("sts:GetCallerIdentity") && caller.who != Who::Anonymous
}

fn is_about_aliases(action: &str) -> bool {
    action.to_ascii_lowercase().ends_with("alias")
}

impl<'a> Question<'a> {
    /// Says whether a document has a say at all.
    fn applies(&self, document: &Document<'_>) -> bool {
        match document.kind {
            Kind::Identity | Kind::Boundary | Kind::Session => self.caller.account.is_some(),
            // Not service-linked roles; a service's own call has no principal account (ORG-SCP, facts G.1).
            Kind::Scp => self.caller.account.is_some() && !self.caller.is_service_linked(),
            Kind::Rcp => self.has_rcps(),
            _ => true,
        }
    }

    fn has_rcps(&self) -> bool {
        !self.caller.is_service_linked() && !self.action.eq_ignore_ascii_case("kms:RetireGrant")
    }

    fn on_resource(&self, pattern: &str, document: &Document<'_>, context: &Context<'_>) -> Filled<bool> {
        // An alias in Resource is the alias itself, never the key behind it (facts G.2).
        if is_kms(self.action) && !is_about_aliases(self.action) && pattern.splitn(6, ':').nth(5).is_some_and(|r| r.starts_with("alias/")) {
            return Filled::Known(false);
        }
        let cut_short = pattern != "*" && pattern.bytes().filter(|byte| *byte == b':').count() < 5;
        if cut_short && matches!(document.kind, Kind::Identity | Kind::Boundary) {
            // The parts that an identity-based policy's ARN lacks are stars (IAM-Grammar).
            return pattern::resource(&format!("{pattern}:*"), &self.target, document.variables, context);
        }
        pattern::resource(pattern, &self.target, document.variables, context)
    }

    fn is_about(&self, element: &Choice<Nodes<'_>>, document: &Document<'_>, context: &Context<'_>) -> Tri {
        let mut found = Tri::No;
        for pattern in element.values.texts() {
            // A variable without a value matches no resource, so that NotResource excludes nothing by it (IAM-Vars).
            found = found.max(Tri::filled(self.on_resource(pattern, document, context)));
            if found == Tri::Yes {
                break;
            }
        }
        if element.negated { found.not() } else { found }
    }

    fn judge<'q>(&'q self, document: &'q Document<'a>, statement: &'q Statement<'a>, context: &Context<'_>) -> Option<Match<'q, 'a>> {
        let grade = match &statement.principal {
            None => Grade::Direct,
            Some(element) => self.caller.matched(element, statement.deny, self.has_boundary)?,
        };
        if statement.action.values.texts().any(|action| pattern::action(action, self.action)) == statement.action.negated {
            return None;
        }
        let mut found = match &statement.resource {
            None => Tri::Yes,
            Some(element) => self.is_about(element, document, context),
        };
        let place = Place { context, variables: document.variables, deny: statement.deny };
        for condition in &statement.conditions {
            if found == Tri::No {
                return None;
            }
            found = found.min(holds(condition, place));
        }
        (found != Tri::No).then_some(Match { document, statement, holds: found, grade })
    }

    /// Lists the statements that match or may match.
    pub(crate) fn matches<'q>(&'q self, context: &Context<'_>) -> Vec<Match<'q, 'a>> {
        let mut found = Vec::new();
        for document in self.documents.iter().filter(|document| self.applies(document)) {
            found.extend(document.statements.iter().filter_map(|statement| self.judge(document, statement, context)));
        }
        found
    }

    /// Lists what is malformed in the documents that have a say.
    pub(crate) fn malformed(&self) -> Vec<String> {
        let documents = self.documents.iter().filter(|document| self.applies(document));
        documents.flat_map(|document| document.malformed.iter().map(|why| format!("{}: {why}", document.name()))).collect()
    }

    /// Lists what AWS would not have saved.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.documents.iter().flat_map(|document| document.warnings.iter().map(|text| format!("{} {text}", document.name()))).collect()
    }

    fn grant(&self, resource: Option<&str>, principal: Option<Value>) -> Value {
        let mut statement = json!({"Effect": "Allow"});
        if let Some(principal) = principal {
            statement["Principal"] = principal;
        }
        statement["Action"] = json!(self.action);
        if let Some(resource) = resource {
            statement["Resource"] = json!(resource);
        }
        statement
    }

    fn lack(&self, side: &'static str, account: Option<&str>, level: Option<usize>, text: String, principal: Option<Value>) -> Missing {
        // A statement for the alias would not help.
        let resource = match &self.target {
            Cow::Borrowed(resource) => (*resource).to_owned(),
            Cow::Owned(key) => key.replace('\u{e000}', "*"),
        };
        let statement = Some(self.grant(Some(&resource), principal));
        Missing { side, account: account.map(str::to_owned), level, text, statement }
    }

    fn lacks_on_resource(&self) -> Missing {
        let principal = match self.caller.who {
            Who::Anonymous => json!("*"),
            Who::Service => json!({"Service": self.caller.text}),
            Who::Provider => json!({"Federated": self.caller.text}),
            Who::Canonical => json!({"CanonicalUser": self.caller.text}),
            _ => json!({"AWS": self.caller.role.as_deref().unwrap_or(self.caller.text)}),
        };
        let (text, resource) = match self.resource_kind {
            Kind::Trust => ("the role's trust policy doesn't allow it", None),
            Kind::Key => ("the key policy doesn't allow it, nor leaves it to the account", Some("*")),
            _ => ("the resource's policy doesn't allow it", Some(self.resource)),
        };
        Missing {
            side: self.resource_kind.word(),
            account: Some(self.resource_account.to_owned()),
            level: None,
            text: text.to_owned(),
            statement: Some(self.grant(resource, Some(principal))),
        }
    }

    /// Decides, given which statements match.
    pub(crate) fn decide<'q>(&'q self, matches: &[Match<'q, 'a>], view: View) -> Answer<'q, 'a> {
        let counts = |found: &Match<'_, '_>| found.holds == Tri::Yes || (view == View::Worst) == found.statement.deny;
        let counting = |deny: bool| matches.iter().filter(move |found| found.statement.deny == deny && counts(found)).copied();
        let because = |deny: bool| {
            let mut found = Vec::with_capacity(counting(deny).count());
            found.extend(counting(deny));
            found
        };
        if counting(true).next().is_some() {
            return Answer { verdict: Verdict::ExplicitlyDenied, because: because(true), missing: Vec::new() };
        }
        let any = |kind: Kind, level: Option<usize>| counting(false).any(|a| a.document.kind == kind && a.document.level == level);
        let account = self.caller.account;
        let mut missing = self.gates(&any);
        let grade = counting(false).filter(|a| a.document.kind.stands_on_a_resource()).map(|a| a.grade).max();
        // The root user has every permission of its account without a policy (IAM-Eval).
        let identity = self.caller.who == Who::Root || any(Kind::Identity, None);
        let boundary = !self.has_boundary || any(Kind::Boundary, None);
        let session = !self.has_session || any(Kind::Session, None);
        let limited = |missing: &mut Vec<Missing>| {
            if !boundary {
                missing.push(self.lack("boundary", account, None, "the permissions boundary doesn't allow it".to_owned(), None));
            }
            if !session {
                missing.push(self.lack("session", account, None, "the session policy doesn't allow it".to_owned(), None));
            }
        };
        let no_identity = || self.lack("identity", account, None, "no identity policy allows it".to_owned(), None);
        let explicit = self.resource_kind != Kind::Resource;
        if account.is_none() {
            if grade.is_none() {
                missing.push(self.lacks_on_resource());
            }
        } else if account == Some(self.resource_account) {
            // Naming the caller itself, or everyone, leaves nothing to the account's own policies; naming the role leaves
            // its limits; naming the account leaves all to them (facts G.1).
            match grade {
                Some(Grade::Direct) => {}
                Some(Grade::Role) => limited(&mut missing),
                _ => {
                    if explicit && grade.is_none() {
                        missing.push(self.lacks_on_resource());
                    }
                    // A policy that names the role would do instead; the shorter way is the identity's own.
                    if !identity && (!explicit || grade.is_some()) {
                        missing.push(no_identity());
                    }
                    limited(&mut missing);
                }
            }
        } else {
            if !identity {
                missing.push(no_identity());
            }
            limited(&mut missing);
            if grade.is_none() {
                missing.push(self.lacks_on_resource());
            }
            if self.resource_kind == Kind::Key && !self.is_kms_across() {
                missing.push(Missing {
                    side: "key",
                    account: Some(self.resource_account.to_owned()),
                    level: None,
                    text: format!("{} can't be called on a key of another account", self.action),
                    statement: None,
                });
            }
        }
        if missing.is_empty() {
            Answer { verdict: Verdict::Allowed, because: because(false), missing }
        } else {
            Answer { verdict: Verdict::ImplicitlyDenied, because: Vec::new(), missing }
        }
    }

    fn is_kms_across(&self) -> bool {
        let name = self.action.get(4..).unwrap_or_default();
        KMS_ACROSS.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// What every call must pass whoever allows it.
    fn gates(&self, any: &dyn Fn(Kind, Option<usize>) -> bool) -> Vec<Missing> {
        let mut missing = Vec::new();
        let account = self.caller.account;
        if self.caller.who != Who::Service && is_awss_own(self.action, self.resource) {
            let text = format!("{} is AWS's own, and nobody can change it", self.resource);
            missing.push(Missing { side: "aws-owned", account: None, level: None, text, statement: None });
        }
        if self.has_rcps() {
            // RCPFullAWSAccess is attached everywhere and can't be detached (ORG-RCP); a level that is given empty lacks it.
            for (level, _) in self.rcp_levels.iter().enumerate().filter(|(_, held)| !**held) {
                let text = "this level of resource control policies allows nothing".to_owned();
                missing.push(self.lack("rcp", Some(self.resource_account), Some(level), text, Some(json!("*"))));
            }
        }
        if account.is_some() && !self.caller.is_service_linked() {
            for level in (0..self.scp_levels).filter(|level| !any(Kind::Scp, Some(*level))) {
                let text = "no service control policy of this level allows it".to_owned();
                missing.push(self.lack("scp", account, Some(level), text, None));
            }
        }
        if self.has_endpoint && !any(Kind::Endpoint, None) {
            missing.push(self.lack("vpc-endpoint", None, None, "the endpoint's policy doesn't allow it".to_owned(), Some(json!("*"))));
        }
        if self.restricts_public_buckets
            && self.caller.who != Who::Service
            && account != Some(self.resource_account)
            && self.resource.split(':').nth(2) == Some("s3")
            && self.documents.iter().any(|document| document.kind == Kind::Resource && is_public(document))
        {
            missing.push(Missing {
                side: "block-public-access",
                account: Some(self.resource_account.to_owned()),
                level: None,
                text: "the bucket's policy is public, and RestrictPublicBuckets keeps all other accounts out".to_owned(),
                statement: None,
            });
        }
        missing
    }
}

/// Says whether S3 calls a bucket policy public: it allows everyone, and nothing fixed confines that (S3-BPA).
fn is_public(document: &Document<'_>) -> bool {
    let everyone = |statement: &Statement<'_>| {
        statement.principal.as_ref().is_some_and(|p| !p.negated && p.values.contains(&super::parsed::Named::Aws("*")))
    };
    document.statements.iter().any(|statement| !statement.deny && everyone(statement) && !statement.conditions.iter().any(confines))
}

fn confines(condition: &Condition<'_>) -> bool {
    const FIXED: [&str; 15] = [
        "aws:sourcearn",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:sourceowner",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:userid",
        "aws:principalarn",
        "aws:principalaccount",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "s3:dataaccesspointarn",
        "s3:dataaccesspointaccount",
    ];
    let operator = condition.operator;
    if operator.negated || operator.if_exists || operator.quantifier == Quantifier::ForAll || condition.values.is_empty() {
        return false;
    }
    let key = condition.key.to_ascii_lowercase();
    match operator.test {
        // Wider than /8, or /32 of IPv6, is public.
        Test::Ip if key == "aws:sourceip" => condition.values.scalars().all(|value| match network(&value) {
            Some(Network::V4(first, last)) => last - first < 1 << 24,
            Some(Network::V6(first, last)) => last - first < 1 << 96,
            None => true,
        }),
        Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike | Test::Arn => {
            FIXED.contains(&key.as_str()) && condition.values.scalars().all(|value| !pattern::is_wild(&value) && !value.contains("${"))
        }
        _ => false,
    }
}
