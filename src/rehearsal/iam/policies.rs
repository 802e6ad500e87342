//! Managed policies and their versions.

use super::{Iam, conflict, exists, limit, malformed, no_such, tag_list, tag_members};
use crate::rehearsal::authorise::Asked;
use crate::rehearsal::grammar::{self, Kind, SIZE, characters};
use crate::rehearsal::state::{ADMINISTRATOR, Policy, Version, account_of, date_time_seconds};
use crate::rehearsal::wire::{Fault, Outcome, element, percent_encode};

/// How many versions it may have (facts D.1).
const VERSIONS: usize = 5;

impl Iam<'_> {
    /// Does what is about managed policies; `None` for anything else.
    pub(super) fn policy(&mut self, operation: &str) -> Option<Outcome<String>> {
        Some(match operation {
            "CreatePolicy" => self.create_policy(),
            "GetPolicy" => self.get_policy(),
            "ListPolicies" => self.list_policies(),
            "DeletePolicy" => self.delete_policy(),
            "CreatePolicyVersion" => self.create_version(),
            "GetPolicyVersion" => self.get_version(),
            "ListPolicyVersions" => self.list_versions(),
            "DeletePolicyVersion" => self.delete_version(),
            "SetDefaultPolicyVersion" => self.set_default_version(),
            "ListEntitiesForPolicy" => self.list_entities(),
            "TagPolicy" => self.tag_policy(),
            "UntagPolicy" => self.untag_policy(),
            "ListPolicyTags" => self.list_policy_tags(),
            _ => return None,
        })
    }

    /// Gives a policy; AWS's own are in no account and can be read only.
    fn found(&self, arn: &str) -> Outcome<Policy> {
        if account_of(arn) == "aws"
            && let Some(document) = self.state.managed_document(arn)
        {
            let created = crate::rehearsal::state::START;
            return Ok(Policy {
                name: ADMINISTRATOR.to_owned(),
                path: "/".to_owned(),
                arn: arn.to_owned(),
                id: "ANPAIWMBCKSKIEE64ZLYK".to_owned(),
                created,
                updated: created,
                versions: vec![Version { number: 1, document: document.to_string(), created }],
                default: 1,
                next: 2,
                ..Policy::default()
            });
        }
        let found = self.state.accounts.get(&self.call.caller.account).and_then(|account| account.policies.get(arn));
        found.cloned().ok_or_else(|| no_such(format!("Policy {arn} was not found.")))
    }

    fn own_policy(&mut self, arn: &str) -> Outcome<&mut Policy> {
        let missing = || no_such(format!("Policy {arn} was not found."));
        self.own()?.policies.get_mut(arn).ok_or_else(missing)
    }

    fn ask_about(&self, action: &'static str, arn: &str) -> Asked<'static> {
        let tags = self.found(arn).map(|policy| policy.tags).unwrap_or_default();
        self.ask(action, arn).shown(format!("policy {arn}")).resource_tags(&tags)
    }

    fn may_policy(&mut self, action: &'static str) -> Outcome<String> {
        let arn = self.form.needed("PolicyArn")?.to_owned();
        if !matches!(arn.splitn(6, ':').collect::<Vec<_>>()[..], ["arn", _, "iam", "", _, name] if name.starts_with("policy/")) {
            return Err(Fault::new(400, "InvalidInput", format!("ARN {arn} is not valid.")));
        }
        let asked = self.ask_about(action, &arn);
        self.may(asked)?;
        Ok(arn)
    }

    fn xml(&self, policy: &Policy, whole: bool) -> String {
        let (roles, users) = self.attached_to(&policy.arn);
        let mut xml = element("PolicyName", &policy.name)
            + &element("PolicyId", &policy.id)
            + &element("Arn", &policy.arn)
            + &element("Path", &policy.path)
            + &element("DefaultVersionId", &format!("v{}", policy.default))
            + &element("AttachmentCount", &(roles.len() + users.len()).to_string())
            + &element("PermissionsBoundaryUsageCount", &self.boundary_of(&policy.arn).to_string())
            + &element("IsAttachable", "true")
            + &element("CreateDate", &date_time_seconds(policy.created))
            + &element("UpdateDate", &date_time_seconds(policy.updated));
        if whole {
            if let Some(description) = &policy.description {
                xml.push_str(&element("Description", description));
            }
            xml.push_str(&tag_list(&policy.tags));
        }
        xml
    }

    fn document(&self) -> Outcome<String> {
        let text = self.document_text("PolicyDocument")?;
        grammar::read(text, Kind::Identity).map_err(malformed)?;
        if characters(text) > SIZE {
            return Err(limit(format!("Cannot exceed quota for PolicySize: {SIZE}")));
        }
        Ok(text.to_owned())
    }

    fn create_policy(&mut self) -> Outcome<String> {
        let (name, path, description, tags) = (self.name("PolicyName", 128)?, self.path()?, self.description()?, self.tags()?);
        self.document_text("PolicyDocument")?;
        let arn = self.arn(&format!("policy{path}{name}"));
        let asked = self.ask("iam:CreatePolicy", &arn).shown(format!("policy {name}")).request_tags(&tags);
        self.may(asked)?;
        if !tags.is_empty() {
            let asked = self.ask("iam:TagPolicy", &arn).shown(format!("policy {name}")).request_tags(&tags);
            self.may(asked)?;
        }
        // Whatever their case and path, names are unique (facts D.1).
        if self.own()?.policies.values().any(|own| own.name.eq_ignore_ascii_case(&name)) {
            return Err(exists(format!("A policy called {name} already exists. Duplicate names are not allowed.")));
        }
        let document = self.document()?;
        let (id, created) = (self.state.random.id("ANPA"), self.state.clock);
        let versions = vec![Version { number: 1, document, created }];
        let policy = Policy { id, created, updated: created, name, path, arn, description, tags, versions, default: 1, next: 2 };
        let xml = self.xml(&policy, true);
        self.own()?.policies.insert(policy.arn.clone(), policy);
        Ok(format!("<Policy>{xml}</Policy>"))
    }

    fn get_policy(&mut self) -> Outcome<String> {
        let arn = self.may_policy("iam:GetPolicy")?;
        Ok(format!("<Policy>{}</Policy>", self.xml(&self.found(&arn)?, true)))
    }

    fn list_policies(&mut self) -> Outcome<String> {
        let asked = self.ask("iam:ListPolicies", self.arn("policy/"));
        self.may(asked)?;
        let mut policies = Vec::new();
        if self.form.get("Scope") != Some("Local") {
            policies.extend(self.found(&format!("arn:{}:iam::aws:policy/{ADMINISTRATOR}", self.state.partition)).ok());
        }
        if self.form.get("Scope") != Some("AWS") {
            policies.extend(self.own()?.policies.values().cloned());
        }
        let prefix = self.form.get("PathPrefix").unwrap_or("/");
        let only_attached = self.form.get("OnlyAttached") == Some("true");
        let attached = |policy: &Policy| {
            let (roles, users) = self.attached_to(&policy.arn);
            !(roles.is_empty() && users.is_empty())
        };
        let policies = policies.iter().filter(|policy| policy.path.starts_with(prefix) && (!only_attached || attached(policy)));
        self.page("Policies", policies.map(|policy| self.xml(policy, false)).collect())
    }

    fn delete_policy(&mut self) -> Outcome<String> {
        let arn = self.may_policy("iam:DeletePolicy")?;
        let policy = self.own_policy(&arn)?;
        let several = policy.versions.len() > 1;
        let (roles, users) = self.attached_to(&arn);
        if !(roles.is_empty() && users.is_empty()) || self.boundary_of(&arn) > 0 {
            return Err(conflict("Cannot delete a policy attached to entities."));
        }
        if several {
            return Err(conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
                 The default version is deleted with the policy.",
            ));
        }
        self.own()?.policies.remove(&arn);
        Ok(String::new())
    }

    fn create_version(&mut self) -> Outcome<String> {
        self.document_text("PolicyDocument")?;
        let arn = self.may_policy("iam:CreatePolicyVersion")?;
        self.own_policy(&arn)?;
        let (document, created) = (self.document()?, self.state.clock);
        let default = self.form.get("SetAsDefault") == Some("true");
        let policy = self.own_policy(&arn)?;
        if policy.versions.len() >= VERSIONS {
            return Err(limit(format!(
                "A managed policy can have up to {VERSIONS} versions. Before you create a new version, you must delete an existing version."
            )));
        }
        let number = policy.next;
        policy.next += 1;
        policy.updated = created;
        policy.versions.push(Version { number, document, created });
        if default {
            policy.default = number;
        }
        Ok(format!("<PolicyVersion>{}</PolicyVersion>", version_xml(policy, number, false)))
    }

    fn version_number(&self, policy: &Policy) -> Outcome<u64> {
        let id = self.form.needed("VersionId")?;
        let number = id.strip_prefix('v').and_then(|number| number.parse::<u64>().ok());
        let there = number.filter(|number| policy.versions.iter().any(|version| version.number == *number));
        there.ok_or_else(|| no_such(format!("Policy {} version {id} does not exist or is not attachable.", policy.arn)))
    }

    fn get_version(&mut self) -> Outcome<String> {
        let arn = self.may_policy("iam:GetPolicyVersion")?;
        let policy = self.found(&arn)?;
        let number = self.version_number(&policy)?;
        Ok(format!("<PolicyVersion>{}</PolicyVersion>", version_xml(&policy, number, true)))
    }

    fn list_versions(&mut self) -> Outcome<String> {
        let arn = self.may_policy("iam:ListPolicyVersions")?;
        let policy = self.found(&arn)?;
        // The newest first, as IAM lists them.
        let versions = policy.versions.iter().rev().map(|version| version_xml(&policy, version.number, false)).collect();
        self.page("Versions", versions)
    }

    fn delete_version(&mut self) -> Outcome<String> {
        let arn = self.may_policy("iam:DeletePolicyVersion")?;
        let policy = self.own_policy(&arn)?.clone();
        let number = self.version_number(&policy)?;
        if number == policy.default {
            return Err(conflict("Cannot delete the default version of a policy."));
        }
        self.own_policy(&arn)?.versions.retain(|version| version.number != number);
        Ok(String::new())
    }

    fn set_default_version(&mut self) -> Outcome<String> {
        let arn = self.may_policy("iam:SetDefaultPolicyVersion")?;
        let policy = self.own_policy(&arn)?.clone();
        let number = self.version_number(&policy)?;
        self.own_policy(&arn)?.default = number;
        Ok(String::new())
    }

    fn list_entities(&mut self) -> Outcome<String> {
        let arn = self.may_policy("iam:ListEntitiesForPolicy")?;
        self.found(&arn)?;
        let (roles, users) = self.attached_to(&arn);
        let list = |name: &str, members: Vec<String>| {
            let members: String = members.iter().map(|member| format!("<member>{member}</member>")).collect();
            format!("<{name}>{members}</{name}>")
        };
        Ok(list("PolicyRoles", roles) + &list("PolicyUsers", users) + &list("PolicyGroups", Vec::new()) + &element("IsTruncated", "false"))
    }

    fn tag_policy(&mut self) -> Outcome<String> {
        let (arn, tags) = (self.form.needed("PolicyArn")?.to_owned(), self.tags()?);
        let asked = self.ask_about("iam:TagPolicy", &arn).request_tags(&tags);
        self.may(asked)?;
        self.own_policy(&arn)?.tags.extend(tags);
        Ok(String::new())
    }

    fn untag_policy(&mut self) -> Outcome<String> {
        let arn = self.may_policy("iam:UntagPolicy")?;
        let keys: Vec<String> = self.form.list("TagKeys").into_iter().map(str::to_owned).collect();
        self.own_policy(&arn)?.tags.retain(|key, _| !keys.contains(key));
        Ok(String::new())
    }

    fn list_policy_tags(&mut self) -> Outcome<String> {
        let arn = self.may_policy("iam:ListPolicyTags")?;
        self.page("Tags", tag_members(&self.found(&arn)?.tags))
    }
}

fn version_xml(policy: &Policy, number: u64, whole: bool) -> String {
    let Some(version) = policy.versions.iter().find(|version| version.number == number) else { return String::new() };
    let document = if whole { element("Document", &percent_encode(&version.document)) } else { String::new() };
    document
        + &element("VersionId", &format!("v{number}"))
        + &element("IsDefaultVersion", if number == policy.default { "true" } else { "false" })
        + &element("CreateDate", &date_time_seconds(version.created))
}
