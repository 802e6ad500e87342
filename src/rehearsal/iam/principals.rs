//! Users and roles, and what hangs on them.

use super::{Iam, Tags, conflict, exists, invalid, limit, malformed, no_such, tag_list, tag_members};
use crate::rehearsal::authorise::Asked;
use crate::rehearsal::document::{Document, first_absent};
use crate::rehearsal::grammar::{self, Kind, characters};
use crate::rehearsal::state::{Holder, Role, User, date_time_seconds};
use crate::rehearsal::wire::{Fault, Outcome, element, percent_encode};

/// What a role and a user have in common.
struct Held<'s> {
    arn: &'s str,
    path: &'s str,
    tags: &'s mut Tags,
    inline: &'s mut Tags,
    attached: &'s mut Vec<String>,
    boundary: &'s mut Option<String>,
}

/// Whether a call is about roles or users; operations and parameters are named after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Role,
    User,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            What::Role => "role",
            What::User => "user",
        }
    }

    fn title(self) -> &'static str {
        match self {
            What::Role => "Role",
            What::User => "User",
        }
    }

    /// How much the inline policies may have in all (facts D.1; IAM-Quotas for users).
    fn inline_limit(self) -> usize {
        match self {
            What::Role => 10_240,
            What::User => 2_048,
        }
    }
}

/// How much a trust policy may have (facts D.1).
const TRUST: usize = 2_048;
/// How many managed policies may be attached (facts D.1).
const ATTACHED: usize = 10;

fn role_xml(role: &Role, trust: &str, whole: bool) -> String {
    let mut xml = element("Path", &role.path)
        + &element("RoleName", &role.name)
        + &element("RoleId", &role.id)
        + &element("Arn", &role.arn)
        + &element("CreateDate", &date_time_seconds(role.created))
        + &element("AssumeRolePolicyDocument", &percent_encode(trust))
        + &element("MaxSessionDuration", &role.longest_session.to_string());
    if let Some(description) = &role.description {
        xml.push_str(&element("Description", description));
    }
    if whole {
        xml.push_str(&tag_list(&role.tags));
        xml.push_str(&boundary_xml(role.boundary.as_ref()));
        xml.push_str("<RoleLastUsed/>");
    }
    xml
}

fn user_xml(user: &User, whole: bool) -> String {
    let mut xml = element("Path", &user.path)
        + &element("UserName", &user.name)
        + &element("UserId", &user.id)
        + &element("Arn", &user.arn)
        + &element("CreateDate", &date_time_seconds(user.created));
    if whole {
        xml.push_str(&tag_list(&user.tags));
        xml.push_str(&boundary_xml(user.boundary.as_ref()));
    }
    xml
}

fn boundary_xml(boundary: Option<&String>) -> String {
    let inside = |arn: &String| element("PermissionsBoundaryType", "Policy") + &element("PermissionsBoundaryArn", arn);
    boundary.map(|arn| format!("<PermissionsBoundary>{}</PermissionsBoundary>", inside(arn))).unwrap_or_default()
}

impl Iam<'_> {
    /// Does what is about users and roles; `None` for anything else.
    pub(super) fn principal(&mut self, operation: &str) -> Option<Outcome<String>> {
        use What::{Role, User};
        Some(match operation {
            "CreateRole" => self.create_role(),
            "GetRole" => self.get_role(),
            "ListRoles" => self.list_roles(),
            "UpdateRole" => self.update_role(),
            "UpdateRoleDescription" => self.update_role(),
            "UpdateAssumeRolePolicy" => self.update_trust(),
            "DeleteRole" => self.delete(Role, "iam:DeleteRole"),
            "TagRole" => self.tag(Role, "iam:TagRole"),
            "UntagRole" => self.untag(Role, "iam:UntagRole"),
            "ListRoleTags" => self.list_tags(Role, "iam:ListRoleTags"),
            "PutRolePolicy" => self.put_inline(Role, "iam:PutRolePolicy"),
            "GetRolePolicy" => self.get_inline(Role, "iam:GetRolePolicy"),
            "ListRolePolicies" => self.list_inline(Role, "iam:ListRolePolicies"),
            "DeleteRolePolicy" => self.delete_inline(Role, "iam:DeleteRolePolicy"),
            "AttachRolePolicy" => self.attach(Role, "iam:AttachRolePolicy"),
            "DetachRolePolicy" => self.detach(Role, "iam:DetachRolePolicy"),
            "ListAttachedRolePolicies" => self.list_attached(Role, "iam:ListAttachedRolePolicies"),
            "PutRolePermissionsBoundary" => self.put_boundary(Role, "iam:PutRolePermissionsBoundary"),
            "DeleteRolePermissionsBoundary" => self.delete_boundary(Role, "iam:DeleteRolePermissionsBoundary"),
            "ListInstanceProfilesForRole" => self.list_instance_profiles(),
            "CreateUser" => self.create_user(),
            "GetUser" => self.get_user(),
            "ListUsers" => self.list_users(),
            "DeleteUser" => self.delete(User, "iam:DeleteUser"),
            "TagUser" => self.tag(User, "iam:TagUser"),
            "UntagUser" => self.untag(User, "iam:UntagUser"),
            "ListUserTags" => self.list_tags(User, "iam:ListUserTags"),
            "PutUserPolicy" => self.put_inline(User, "iam:PutUserPolicy"),
            "GetUserPolicy" => self.get_inline(User, "iam:GetUserPolicy"),
            "ListUserPolicies" => self.list_inline(User, "iam:ListUserPolicies"),
            "DeleteUserPolicy" => self.delete_inline(User, "iam:DeleteUserPolicy"),
            "AttachUserPolicy" => self.attach(User, "iam:AttachUserPolicy"),
            "DetachUserPolicy" => self.detach(User, "iam:DetachUserPolicy"),
            "ListAttachedUserPolicies" => self.list_attached(User, "iam:ListAttachedUserPolicies"),
            "PutUserPermissionsBoundary" => self.put_boundary(User, "iam:PutUserPermissionsBoundary"),
            "DeleteUserPermissionsBoundary" => self.delete_boundary(User, "iam:DeleteUserPermissionsBoundary"),
            "CreateAccessKey" => self.create_access_key(),
            "ListAccessKeys" => self.list_access_keys(),
            "DeleteAccessKey" => self.delete_access_key(),
            _ => return None,
        })
    }

    fn held(&mut self, what: What, name: &str) -> Outcome<Held<'_>> {
        let account = self.own()?;
        let found = match what {
            What::Role => account.roles.get_mut(name).map(|role| Held {
                arn: &role.arn,
                path: &role.path,
                tags: &mut role.tags,
                inline: &mut role.inline,
                attached: &mut role.attached,
                boundary: &mut role.boundary,
            }),
            What::User => account.users.get_mut(name).map(|user| Held {
                arn: &user.arn,
                path: &user.path,
                tags: &mut user.tags,
                inline: &mut user.inline,
                attached: &mut user.attached,
                boundary: &mut user.boundary,
            }),
        };
        found.ok_or_else(|| no_such(format!("The {} with name {name} cannot be found.", what.word())))
    }

    /// Says what is asked for of a role or user; one that isn't there has no path.
    fn ask_of(&mut self, what: What, action: &'static str, name: &str) -> Asked<'static> {
        let found = self.held(what, name).map(|held| (held.arn.to_owned(), held.tags.clone())).ok();
        let (arn, tags) = found.unwrap_or_else(|| (self.arn(&format!("{}/{name}", what.word())), Tags::new()));
        self.ask(action, arn).shown(format!("{} {name}", what.word())).resource_tags(&tags)
    }

    /// Asks whether this may be done to a role or user, and gives its name.
    fn permitted(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let name = self.name(&format!("{}Name", what.title()), 64)?;
        let asked = self.ask_of(what, action, &name);
        self.may(asked)?;
        Ok(name)
    }

    /// Asks whether a role or user may be changed like this. What AWS made for itself only AWS changes.
    fn may_change(&mut self, what: What, asked: Asked<'_>, name: &str) -> Outcome<()> {
        self.may(asked)?;
        let protected = self.held(what, name).is_ok_and(|held| held.path.starts_with("/aws-service-role/"));
        let message = format!("Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS");
        if protected { Err(Fault::new(400, "UnmodifiableEntity", message)) } else { Ok(()) }
    }

    /// Asks whether this may be changed of a role or user, and gives its name.
    fn changeable(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let name = self.name(&format!("{}Name", what.title()), 64)?;
        let asked = self.ask_of(what, action, &name);
        self.may_change(what, asked, &name)?;
        Ok(name)
    }

    /// Reads a trust policy (facts D.1, E.14).
    fn trust(&self, text: &str) -> Outcome<Document> {
        let value = grammar::read(text, Kind::Trust).map_err(malformed)?;
        if characters(text) > TRUST {
            return Err(limit(format!("Cannot exceed quota for ACLSizePerRole: {TRUST}")));
        }
        match first_absent(self.state, &value) {
            Some((kind, principal)) => Err(malformed(format!("Invalid principal in policy: \"{kind}\":\"{principal}\""))),
            None => Ok(Document::new(self.state, text)),
        }
    }

    fn boundary(&self) -> Outcome<Option<String>> {
        let Some(arn) = self.form.get("PermissionsBoundary") else { return Ok(None) };
        let there = self.state.managed_document(arn).is_some();
        there.then(|| Some(arn.to_owned())).ok_or_else(|| no_such(format!("Scope ARN: {arn} does not exist or is not attachable.")))
    }

    fn session_length(&self) -> Outcome<Option<u64>> {
        let Some(text) = self.form.get("MaxSessionDuration") else { return Ok(None) };
        let length = text.parse::<u64>().ok().filter(|length| (3600..=43_200).contains(length));
        length.map(Some).ok_or_else(|| invalid(text, "maxSessionDuration", "Member must have value between 3600 and 43200"))
    }

    fn create_role(&mut self) -> Outcome<String> {
        let (name, path, description, tags) = (self.name("RoleName", 64)?, self.path()?, self.description()?, self.tags()?);
        let text = self.document_text("AssumeRolePolicyDocument")?.to_owned();
        let longest_session = self.session_length()?.unwrap_or(3600);
        let arn = self.arn(&format!("role{path}{name}"));
        let mut asked = self.ask("iam:CreateRole", &arn).request_tags(&tags);
        if let Some(boundary) = self.form.get("PermissionsBoundary") {
            asked = asked.with("iam:PermissionsBoundary", boundary);
        }
        self.may(asked)?;
        if !tags.is_empty() {
            let asked = self.ask("iam:TagRole", &arn).request_tags(&tags);
            self.may(asked)?;
        }
        // Whatever their case, names are unique (facts D.1).
        if self.own()?.roles.keys().any(|own| own.eq_ignore_ascii_case(&name)) {
            return Err(exists(format!("Role with name {name} already exists.")));
        }
        let (trust, boundary) = (self.trust(&text)?, self.boundary()?);
        let role = Role {
            id: self.state.random.id("AROA"),
            created: self.state.clock,
            name: name.clone(),
            path,
            arn,
            description,
            longest_session,
            trust,
            tags,
            boundary,
            ..Role::default()
        };
        let xml = role_xml(&role, &text, true);
        self.own()?.roles.insert(name, role);
        Ok(format!("<Role>{xml}</Role>"))
    }

    fn role(&self, name: &str) -> Outcome<&Role> {
        let found = self.state.accounts.get(&self.call.caller.account).and_then(|account| account.roles.get(name));
        found.ok_or_else(|| no_such(format!("The role with name {name} cannot be found.")))
    }

    fn get_role(&mut self) -> Outcome<String> {
        let name = self.permitted(What::Role, "iam:GetRole")?;
        let role = self.role(&name)?;
        Ok(format!("<Role>{}</Role>", role_xml(role, &role.trust.text(self.state), true)))
    }

    fn list_roles(&mut self) -> Outcome<String> {
        let asked = self.ask("iam:ListRoles", self.arn("role/"));
        self.may(asked)?;
        let prefix = self.form.get("PathPrefix").unwrap_or("/");
        let roles = self.state.accounts.get(&self.call.caller.account).into_iter().flat_map(|account| account.roles.values());
        let roles = roles.filter(|role| role.path.starts_with(prefix));
        self.page("Roles", roles.map(|role| role_xml(role, &role.trust.text(self.state), false)).collect())
    }

    fn update_role(&mut self) -> Outcome<String> {
        let (description, length) = (self.description()?, self.session_length()?);
        let name = self.changeable(What::Role, "iam:UpdateRole")?;
        self.role(&name)?;
        if let Some(role) = self.own()?.roles.get_mut(&name) {
            role.description = description.or(role.description.take());
            role.longest_session = length.unwrap_or(role.longest_session);
        }
        Ok(String::new())
    }

    fn update_trust(&mut self) -> Outcome<String> {
        let text = self.document_text("PolicyDocument")?.to_owned();
        let name = self.changeable(What::Role, "iam:UpdateAssumeRolePolicy")?;
        self.role(&name)?;
        let trust = self.trust(&text)?;
        if let Some(role) = self.own()?.roles.get_mut(&name) {
            role.trust = trust;
        }
        Ok(String::new())
    }

    fn delete(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let name = self.changeable(what, action)?;
        let held = self.held(what, &name)?;
        if !held.attached.is_empty() {
            return Err(conflict("Cannot delete entity, must detach all policies first."));
        }
        if !held.inline.is_empty() {
            return Err(conflict("Cannot delete entity, must delete policies first."));
        }
        let of_user = |holder: &Holder| matches!(holder, Holder::User(own) if *own == name);
        let account = self.account();
        if what == What::User && self.state.access_keys.values().any(|key| key.account == account && of_user(&key.holder)) {
            return Err(conflict("Cannot delete entity, must delete access keys first."));
        }
        match what {
            What::Role => drop(self.own()?.roles.remove(&name)),
            What::User => drop(self.own()?.users.remove(&name)),
        }
        Ok(String::new())
    }

    fn tag(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let (name, tags) = (self.name(&format!("{}Name", what.title()), 64)?, self.tags()?);
        let asked = self.ask_of(what, action, &name).request_tags(&tags);
        self.may(asked)?;
        let held = self.held(what, &name)?;
        if held.tags.keys().chain(tags.keys().filter(|key| !held.tags.contains_key(*key))).count() > 50 {
            return Err(limit("The number of tags has reached the maximum limit."));
        }
        held.tags.extend(tags);
        Ok(String::new())
    }

    fn untag(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let name = self.permitted(what, action)?;
        let keys: Vec<String> = self.form.list("TagKeys").into_iter().map(str::to_owned).collect();
        let held = self.held(what, &name)?;
        held.tags.retain(|key, _| !keys.contains(key));
        Ok(String::new())
    }

    fn list_tags(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let name = self.permitted(what, action)?;
        let members = tag_members(self.held(what, &name)?.tags);
        self.page("Tags", members)
    }

    fn put_inline(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let (policy, text) = (self.name("PolicyName", 128)?, self.document_text("PolicyDocument")?.to_owned());
        let name = self.changeable(what, action)?;
        let held = self.held(what, &name)?;
        grammar::read(&text, Kind::Identity).map_err(malformed)?;
        let others = held.inline.iter().filter(|(own, _)| **own != policy).map(|(_, text)| characters(text)).sum::<usize>();
        let most = what.inline_limit();
        if others + characters(&text) > most {
            return Err(limit(format!("Maximum policy size of {most} bytes exceeded for {} {name}", what.word())));
        }
        held.inline.insert(policy, text);
        Ok(String::new())
    }

    fn get_inline(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let policy = self.name("PolicyName", 128)?;
        let name = self.permitted(what, action)?;
        let held = self.held(what, &name)?;
        let missing = || no_such(format!("The {} policy with name {policy} cannot be found.", what.word()));
        let text = held.inline.get(&policy).ok_or_else(missing)?;
        let who = element(&format!("{}Name", what.title()), &name);
        Ok(who + &element("PolicyName", &policy) + &element("PolicyDocument", &percent_encode(text)))
    }

    fn list_inline(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let name = self.permitted(what, action)?;
        let names = self.held(what, &name)?.inline.keys().map(|name| crate::rehearsal::wire::escape(name)).collect();
        self.page("PolicyNames", names)
    }

    fn delete_inline(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let policy = self.name("PolicyName", 128)?;
        let name = self.changeable(what, action)?;
        let gone = self.held(what, &name)?.inline.remove(&policy);
        let missing = || no_such(format!("The {} policy with name {policy} cannot be found.", what.word()));
        gone.map(|_| String::new()).ok_or_else(missing)
    }

    fn policy_arn(&self) -> Outcome<String> {
        let arn = self.form.needed("PolicyArn")?;
        let right = matches!(arn.splitn(6, ':').collect::<Vec<_>>()[..], ["arn", _, "iam", "", _, name] if name.starts_with("policy/"));
        right.then(|| arn.to_owned()).ok_or_else(|| Fault::new(400, "InvalidInput", format!("ARN {arn} is not valid.")))
    }

    fn attach(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let (name, arn) = (self.name(&format!("{}Name", what.title()), 64)?, self.policy_arn()?);
        let asked = self.ask_of(what, action, &name).with("iam:PolicyARN", arn.as_str());
        self.may_change(what, asked, &name)?;
        self.held(what, &name)?;
        if self.state.managed_document(&arn).is_none() {
            return Err(no_such(format!("Policy {arn} does not exist or is not attachable.")));
        }
        let held = self.held(what, &name)?;
        if held.attached.contains(&arn) {
            return Ok(String::new());
        }
        if held.attached.len() >= ATTACHED {
            return Err(limit(format!("Cannot exceed quota for PoliciesPer{}: {ATTACHED}", what.title())));
        }
        held.attached.push(arn);
        Ok(String::new())
    }

    fn detach(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let (name, arn) = (self.name(&format!("{}Name", what.title()), 64)?, self.policy_arn()?);
        let asked = self.ask_of(what, action, &name).with("iam:PolicyARN", arn.as_str());
        self.may_change(what, asked, &name)?;
        let held = self.held(what, &name)?;
        if !held.attached.contains(&arn) {
            return Err(no_such(format!("Policy {arn} was not found.")));
        }
        held.attached.retain(|own| *own != arn);
        Ok(String::new())
    }

    fn list_attached(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let name = self.permitted(what, action)?;
        let attached = self.held(what, &name)?.attached.clone();
        let member = |arn: &String| element("PolicyName", arn.rsplit('/').next().unwrap_or_default()) + &element("PolicyArn", arn);
        self.page("AttachedPolicies", attached.iter().map(member).collect())
    }

    fn put_boundary(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let name = self.name(&format!("{}Name", what.title()), 64)?;
        let arn = self.form.needed("PermissionsBoundary")?.to_owned();
        let asked = self.ask_of(what, action, &name).with("iam:PermissionsBoundary", arn.as_str());
        self.may_change(what, asked, &name)?;
        self.held(what, &name)?;
        let boundary = self.boundary()?;
        *self.held(what, &name)?.boundary = boundary;
        Ok(String::new())
    }

    fn delete_boundary(&mut self, what: What, action: &'static str) -> Outcome<String> {
        let name = self.changeable(what, action)?;
        let held = self.held(what, &name)?;
        let gone = held.boundary.take();
        gone.map(|_| String::new()).ok_or_else(|| no_such(format!("{} has no permissions boundary", what.title())))
    }

    fn list_instance_profiles(&mut self) -> Outcome<String> {
        let name = self.permitted(What::Role, "iam:ListInstanceProfilesForRole")?;
        self.held(What::Role, &name)?;
        self.page("InstanceProfiles", Vec::new())
    }

    fn create_user(&mut self) -> Outcome<String> {
        let (name, path, tags) = (self.name("UserName", 64)?, self.path()?, self.tags()?);
        let arn = self.arn(&format!("user{path}{name}"));
        let asked = self.ask("iam:CreateUser", &arn).request_tags(&tags);
        self.may(asked)?;
        if !tags.is_empty() {
            let asked = self.ask("iam:TagUser", &arn).request_tags(&tags);
            self.may(asked)?;
        }
        if self.own()?.users.keys().any(|own| own.eq_ignore_ascii_case(&name)) {
            return Err(exists(format!("User with name {name} already exists.")));
        }
        let boundary = self.boundary()?;
        let (id, created) = (self.state.random.id("AIDA"), self.state.clock);
        let user = User { id, created, name: name.clone(), path, arn, tags, boundary, ..User::default() };
        let xml = user_xml(&user, true);
        self.own()?.users.insert(name, user);
        Ok(format!("<User>{xml}</User>"))
    }

    /// Gives the user that is named, or the caller.
    fn user_or_caller(&self) -> Outcome<String> {
        if self.form.get("UserName").is_some() {
            return self.name("UserName", 64);
        }
        let arn = &self.call.caller.arn;
        match arn.contains(":user/") {
            true => Ok(arn.rsplit('/').next().unwrap_or_default().to_owned()),
            false => Err(Fault::new(400, "ValidationError", "Must specify userName when calling with non-User credentials")),
        }
    }

    fn get_user(&mut self) -> Outcome<String> {
        let name = self.user_or_caller()?;
        let asked = self.ask_of(What::User, "iam:GetUser", &name);
        self.may(asked)?;
        self.held(What::User, &name)?;
        Ok(format!("<User>{}</User>", self.own()?.users.get(&name).map(|user| user_xml(user, true)).unwrap_or_default()))
    }

    fn list_users(&mut self) -> Outcome<String> {
        let asked = self.ask("iam:ListUsers", self.arn("user/"));
        self.may(asked)?;
        let prefix = self.form.get("PathPrefix").unwrap_or("/").to_owned();
        let users = self.own()?.users.values().filter(|user| user.path.starts_with(&prefix));
        let users = users.map(|user| user_xml(user, false)).collect();
        self.page("Users", users)
    }

    fn create_access_key(&mut self) -> Outcome<String> {
        let name = self.user_or_caller()?;
        let asked = self.ask_of(What::User, "iam:CreateAccessKey", &name);
        self.may(asked)?;
        self.held(What::User, &name)?;
        let account = self.account();
        if self.keys_of(&name).len() >= 2 {
            return Err(limit("Cannot exceed quota for AccessKeysPerUser: 2"));
        }
        let id = self.state.new_key(&account, Holder::User(name.clone()), None);
        let secret = self.state.access_keys.get(&id).map(|key| key.secret.clone()).unwrap_or_default();
        let created = date_time_seconds(self.state.clock);
        let inside = element("UserName", &name) + &element("AccessKeyId", &id) + &element("Status", "Active");
        Ok(format!("<AccessKey>{inside}{}{}</AccessKey>", element("SecretAccessKey", &secret), element("CreateDate", &created)))
    }

    fn keys_of(&self, name: &str) -> Vec<String> {
        let own = |holder: &Holder| matches!(holder, Holder::User(own) if own == name);
        let keys = self.state.access_keys.iter().filter(|(_, key)| key.account == self.call.caller.account && own(&key.holder));
        keys.map(|(id, _)| id.clone()).collect()
    }

    fn list_access_keys(&mut self) -> Outcome<String> {
        let name = self.user_or_caller()?;
        let asked = self.ask_of(What::User, "iam:ListAccessKeys", &name);
        self.may(asked)?;
        self.held(What::User, &name)?;
        let created = element("CreateDate", &date_time_seconds(crate::rehearsal::state::START));
        let member = |id: &String| element("UserName", &name) + &element("AccessKeyId", id) + &element("Status", "Active") + &created;
        self.page("AccessKeyMetadata", self.keys_of(&name).iter().map(member).collect())
    }

    fn delete_access_key(&mut self) -> Outcome<String> {
        let (name, id) = (self.user_or_caller()?, self.form.needed("AccessKeyId")?.to_owned());
        let asked = self.ask_of(What::User, "iam:DeleteAccessKey", &name);
        self.may(asked)?;
        if !self.keys_of(&name).contains(&id) {
            return Err(no_such(format!("The Access Key with id {id} cannot be found.")));
        }
        self.state.access_keys.remove(&id);
        Ok(String::new())
    }

    /// Counts who has a managed policy attached, and lists them for `ListEntitiesForPolicy`.
    pub(super) fn attached_to(&self, arn: &str) -> (Vec<String>, Vec<String>) {
        let Some(account) = self.state.accounts.get(&self.call.caller.account) else { return (Vec::new(), Vec::new()) };
        let roles = account.roles.values().filter(|role| role.attached.iter().any(|own| own == arn));
        let users = account.users.values().filter(|user| user.attached.iter().any(|own| own == arn));
        let member = |kind: &str, name: &str, id: &str| element(&format!("{kind}Name"), name) + &element(&format!("{kind}Id"), id);
        let roles = roles.map(|role| member("Role", &role.name, &role.id)).collect();
        (roles, users.map(|user| member("User", &user.name, &user.id)).collect())
    }

    /// Counts whose boundary a managed policy is.
    pub(super) fn boundary_of(&self, arn: &str) -> usize {
        let Some(account) = self.state.accounts.get(&self.call.caller.account) else { return 0 };
        let roles = account.roles.values().filter(|role| role.boundary.as_deref() == Some(arn)).count();
        roles + account.users.values().filter(|user| user.boundary.as_deref() == Some(arn)).count()
    }
}
