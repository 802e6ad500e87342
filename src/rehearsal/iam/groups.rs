//! Groups of users, and what an account holds and may hold.

use super::policies::VERSIONS;
use super::principals::{ATTACHED, TRUST};
use super::{Iam, exists, limit, malformed, no_such};
use crate::rehearsal::grammar::{self, Kind, SIZE};
use crate::rehearsal::state::{UserGroup, date_time_seconds};
use crate::rehearsal::wire::{Outcome, element, escape, percent_encode};

/// How many roles an account may have (IAM-Quotas).
pub(super) const ROLES: usize = 1_000;
/// How many customer managed policies an account may have (IAM-Quotas).
pub(super) const POLICIES: usize = 1_500;
/// How many groups a user may be in (IAM-Quotas).
const GROUPS_OF_A_USER: usize = 10;

fn group_xml(group: &UserGroup) -> String {
    element("Path", "/")
        + &element("GroupName", &group.name)
        + &element("GroupId", &group.id)
        + &element("Arn", &group.arn)
        + &element("CreateDate", &date_time_seconds(group.created))
}

impl Iam<'_> {
    /// Does what is about groups and the whole account; `None` for anything else.
    pub(super) fn group(&mut self, operation: &str) -> Option<Outcome<String>> {
        Some(match operation {
            "CreateGroup" => self.create_group(),
            "AddUserToGroup" => self.add_to_group(),
            "ListGroupsForUser" => self.groups_of_user(),
            "PutGroupPolicy" => self.put_group_policy(),
            "AttachGroupPolicy" => self.attach_to_group(),
            "ListGroupPolicies" => self.group_policies(),
            "GetGroupPolicy" => self.group_policy(),
            "ListAttachedGroupPolicies" => self.attached_to_group(),
            "GetAccountSummary" => self.account_summary(),
            _ => return None,
        })
    }

    fn permitted_group(&mut self, action: &'static str) -> Outcome<String> {
        let name = self.name("GroupName", 128)?;
        let asked = self.ask(action, self.arn(&format!("group/{name}")));
        self.may(asked)?;
        Ok(name)
    }

    fn held_group(&mut self, name: &str) -> Outcome<&mut UserGroup> {
        let missing = || no_such(format!("The group with name {name} cannot be found."));
        self.own()?.groups.get_mut(name).ok_or_else(missing)
    }

    fn create_group(&mut self) -> Outcome<String> {
        let name = self.permitted_group("iam:CreateGroup")?;
        if self.own()?.groups.contains_key(&name) {
            return Err(exists(format!("Group with name {name} already exists.")));
        }
        let (id, created, arn) = (self.state.random.id("AGPA"), self.state.clock, self.arn(&format!("group/{name}")));
        let group = UserGroup { name: name.clone(), arn, id, created, ..UserGroup::default() };
        let xml = group_xml(&group);
        self.own()?.groups.insert(name, group);
        Ok(format!("<Group>{xml}</Group>"))
    }

    fn add_to_group(&mut self) -> Outcome<String> {
        let (user, name) = (self.name("UserName", 64)?, self.permitted_group("iam:AddUserToGroup")?);
        self.held_group(&name)?;
        let own = self.own()?;
        if !own.users.contains_key(&user) {
            return Err(no_such(format!("The user with name {user} cannot be found.")));
        }
        if own.groups.values().filter(|group| group.members.contains(&user)).count() >= GROUPS_OF_A_USER {
            return Err(limit(format!("Cannot exceed quota for GroupsPerUser: {GROUPS_OF_A_USER}")));
        }
        self.held_group(&name)?.members.insert(user);
        Ok(String::new())
    }

    fn groups_of_user(&mut self) -> Outcome<String> {
        let user = self.name("UserName", 64)?;
        let arn = self.own()?.users.get(&user).map(|user| user.arn.clone());
        let asked = self.ask("iam:ListGroupsForUser", arn.clone().unwrap_or_else(|| self.arn(&format!("user/{user}"))));
        self.may(asked)?;
        if arn.is_none() {
            return Err(no_such(format!("The user with name {user} cannot be found.")));
        }
        let groups = self.own()?.groups.values().filter(|group| group.members.contains(&user)).map(group_xml).collect();
        self.page("Groups", groups)
    }

    fn put_group_policy(&mut self) -> Outcome<String> {
        let (policy, text) = (self.name("PolicyName", 128)?, self.form.needed("PolicyDocument")?.to_owned());
        let name = self.permitted_group("iam:PutGroupPolicy")?;
        grammar::read(&text, Kind::Identity).map_err(malformed)?;
        self.held_group(&name)?.inline.insert(policy, text);
        Ok(String::new())
    }

    fn attach_to_group(&mut self) -> Outcome<String> {
        let name = self.permitted_group("iam:AttachGroupPolicy")?;
        let arn = self.form.needed("PolicyArn")?.to_owned();
        if self.state.managed_document(&arn).is_none() {
            return Err(no_such(format!("Policy {arn} does not exist or is not attachable.")));
        }
        let group = self.held_group(&name)?;
        if !group.attached.contains(&arn) {
            group.attached.push(arn);
        }
        Ok(String::new())
    }

    fn group_policies(&mut self) -> Outcome<String> {
        let name = self.permitted_group("iam:ListGroupPolicies")?;
        let names = self.held_group(&name)?.inline.keys().map(|name| escape(name)).collect();
        self.page("PolicyNames", names)
    }

    fn group_policy(&mut self) -> Outcome<String> {
        let policy = self.name("PolicyName", 128)?;
        let name = self.permitted_group("iam:GetGroupPolicy")?;
        let missing = || no_such(format!("The group policy with name {policy} cannot be found."));
        let text = self.held_group(&name)?.inline.get(&policy).cloned().ok_or_else(missing)?;
        Ok(element("GroupName", &name) + &element("PolicyName", &policy) + &element("PolicyDocument", &percent_encode(&text)))
    }

    fn attached_to_group(&mut self) -> Outcome<String> {
        let name = self.permitted_group("iam:ListAttachedGroupPolicies")?;
        let one = |arn: &String| element("PolicyName", arn.rsplit('/').next().unwrap_or_default()) + &element("PolicyArn", arn);
        let attached = self.held_group(&name)?.attached.iter().map(one).collect();
        self.page("AttachedPolicies", attached)
    }

    fn account_summary(&mut self) -> Outcome<String> {
        let asked = self.ask("iam:GetAccountSummary", "*");
        self.may(asked)?;
        let own = self.own()?;
        let counts = [
            ("Users", own.users.len()),
            ("Groups", own.groups.len()),
            ("Roles", own.roles.len()),
            ("RolesQuota", ROLES),
            ("Policies", own.policies.len()),
            ("PoliciesQuota", POLICIES),
            ("PolicySizeQuota", SIZE),
            ("VersionsPerPolicyQuota", VERSIONS),
            ("AttachedPoliciesPerRoleQuota", ATTACHED),
            ("AssumeRolePolicySizeQuota", TRUST),
        ];
        let entry = |(key, count): (&str, usize)| format!("<entry>{}{}</entry>", element("key", key), element("value", &count.to_string()));
        Ok(format!("<SummaryMap>{}</SummaryMap>", counts.into_iter().map(entry).collect::<String>()))
    }
}

#[cfg(test)]
mod tests {
    use crate::rehearsal::{DEV, Rehearsal};
    use aws_sdk_iam::types::SummaryKeyType;
    use serde_json::json;

    #[tokio::test]
    async fn a_user_may_what_its_groups_may() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
        let nothing = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:GetUser", "Resource": "*"}]});
        let keys = rehearsal.hire(DEV, "member", &nothing).unwrap();
        let iam = aws_sdk_iam::Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"));
        let own = aws_sdk_iam::Client::new(&rehearsal.config(keys, "us-east-1"));
        own.list_roles().send().await.unwrap_err();
        iam.create_group().group_name("readers").send().await.unwrap();
        iam.add_user_to_group().group_name("readers").user_name("member").send().await.unwrap();
        let may = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:List*", "Resource": "*"}]});
        iam.put_group_policy().group_name("readers").policy_name("read").policy_document(may.to_string()).send().await.unwrap();
        own.list_roles().send().await.unwrap();
        let groups = own.list_groups_for_user().user_name("member").send().await.unwrap();
        assert_eq!(groups.groups()[0].arn(), format!("arn:aws:iam::{DEV}:group/readers"));
        assert_eq!(iam.list_group_policies().group_name("readers").send().await.unwrap().policy_names(), ["read"]);
    }

    #[tokio::test]
    async fn an_account_has_the_quotas_that_aws_publishes() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
        let iam = aws_sdk_iam::Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"));
        let summary = iam.get_account_summary().send().await.unwrap().summary_map.unwrap();
        assert_eq!(summary.get(&SummaryKeyType::Users), Some(&1));
        assert_eq!(summary.get(&SummaryKeyType::AssumeRolePolicySizeQuota), Some(&2048));
        assert_eq!(summary.get(&SummaryKeyType::AttachedPoliciesPerRoleQuota), Some(&10));
        assert_eq!(summary.get(&"RolesQuota".into()), Some(&1000));
        assert_eq!(summary.get(&SummaryKeyType::PoliciesQuota), Some(&1500));
    }
}
