//! IAM: users, roles and policies.

mod policies;
mod principals;
mod simulate;

use super::authorise::{Asked, authorise};
use super::grammar::is_latin;
use super::state::State;
use super::wire::{Answer, Call, Fault, Form, Outcome, element, query_answer};
use std::collections::BTreeMap;

/// The namespace of its answers.
pub(crate) const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// A call to IAM, with what all operations need.
struct Iam<'a> {
    state: &'a mut State,
    call: &'a Call,
    form: Form,
}

type Tags = BTreeMap<String, String>;

fn no_such(text: String) -> Fault {
    Fault::new(404, "NoSuchEntity", text)
}

/// How many characters the API takes of a document, whatever its quota is (the API's model).
const DOCUMENT: usize = 131_072;

fn conflict(text: &str) -> Fault {
    Fault::new(409, "DeleteConflict", text)
}

fn limit(text: impl Into<String>) -> Fault {
    Fault::new(409, "LimitExceeded", text)
}

fn exists(text: String) -> Fault {
    Fault::new(409, "EntityAlreadyExists", text)
}

fn malformed(text: impl Into<String>) -> Fault {
    Fault::new(400, "MalformedPolicyDocument", text)
}

fn invalid(value: &str, member: &str, constraint: &str) -> Fault {
    let message = format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}");
    Fault::new(400, "ValidationError", message)
}

fn is_name(text: &str) -> bool {
    text.chars().all(|character| character.is_ascii_alphanumeric() || "_+=,.@-".contains(character))
}

impl Iam<'_> {
    /// Gives a name that keeps to IAM's letters and length (facts D.1).
    fn name(&self, parameter: &str, longest: usize) -> Outcome<String> {
        let name = self.form.needed(parameter)?;
        let member = format!("{}{}", parameter.get(..1).unwrap_or_default().to_lowercase(), parameter.get(1..).unwrap_or_default());
        if name.is_empty() {
            return Err(invalid(name, &member, "Member must have length greater than or equal to 1"));
        }
        if name.chars().count() > longest {
            return Err(invalid(name, &member, &format!("Member must have length less than or equal to {longest}")));
        }
        if !is_name(name) {
            let message = format!(
                "The specified value for {member} is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-"
            );
            return Err(Fault::new(400, "ValidationError", message));
        }
        Ok(name.to_owned())
    }

    /// Gives a document that has letters which IAM's API takes, and not too many of them.
    fn document_text(&self, parameter: &str) -> Outcome<&str> {
        let text = self.form.needed(parameter)?;
        let member = format!("{}{}", parameter.get(..1).unwrap_or_default().to_lowercase(), parameter.get(1..).unwrap_or_default());
        let wrong = match text.chars().count() {
            0 => "Member must have length greater than or equal to 1",
            count if count > DOCUMENT => "Member must have length less than or equal to 131072",
            _ if !is_latin(text) => r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+",
            _ => return Ok(text),
        };
        let message = format!("1 validation error detected: Value at '{member}' failed to satisfy constraint: {wrong}");
        Err(Fault::new(400, "ValidationError", message))
    }

    fn path(&self) -> Outcome<String> {
        let path = self.form.get("Path").unwrap_or("/");
        let right = path.starts_with('/') && path.ends_with('/') && path.len() <= 512 && path.bytes().all(|byte| byte.is_ascii_graphic());
        let message = "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.";
        right.then(|| path.to_owned()).ok_or_else(|| Fault::new(400, "ValidationError", message))
    }

    fn description(&self) -> Outcome<Option<String>> {
        let Some(text) = self.form.get("Description") else { return Ok(None) };
        let right = |character: char| matches!(character, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
        if text.chars().count() > 1000 {
            return Err(invalid(text, "description", "Member must have length less than or equal to 1000"));
        }
        if !text.chars().all(right) {
            let pattern = r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*";
            return Err(invalid(text, "description", pattern));
        }
        Ok(Some(text.to_owned()))
    }

    fn tags(&self) -> Outcome<Tags> {
        let given = self.form.tags();
        let tags: Tags = given.iter().cloned().collect();
        if tags.len() != given.len() {
            return Err(Fault::new(400, "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive."));
        }
        if tags.len() > 50 {
            return Err(limit("The number of tags has reached the maximum limit."));
        }
        let wrong = |(key, value): (&String, &String)| key.is_empty() || key.len() > 128 || value.len() > 256 || key.starts_with("aws:");
        match tags.iter().find(|(key, value)| wrong((key, value))) {
            Some((key, _)) => Err(invalid(key, "tags", "Member must satisfy regular expression pattern")),
            None => Ok(tags),
        }
    }

    fn account(&self) -> String {
        self.call.caller.account.clone()
    }

    fn arn(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:{resource}", self.state.partition, self.call.caller.account)
    }

    fn ask(&self, action: &'static str, arn: impl Into<String>) -> Asked<'static> {
        Asked::by(self.call, action, arn, &self.call.caller.account)
    }

    fn may(&mut self, asked: Asked<'_>) -> Outcome<()> {
        authorise(self.state, &self.call.caller, asked)
    }

    /// Gives the account's own part of the state.
    fn own(&mut self) -> Outcome<&mut super::state::Account> {
        // A service that calls by itself has no account.
        self.state.accounts.get_mut(&self.call.caller.account).ok_or_else(|| Fault::new(403, "AccessDenied", "Access Denied"))
    }

    /// Writes a page of a list, from `Marker` on and `MaxItems` long.
    fn page(&self, name: &str, members: Vec<String>) -> Outcome<String> {
        let from = match self.form.get("Marker") {
            None => 0,
            Some(marker) => marker.parse::<usize>().map_err(|_| Fault::new(400, "ValidationError", "Invalid Marker."))?,
        };
        let most = self.form.get("MaxItems").map_or(Ok(100), str::parse::<usize>);
        let most = most.map_err(|_| Fault::new(400, "ValidationError", "Invalid MaxItems."))?;
        let more = members.len() > from + most;
        let inside: String = members.iter().skip(from).take(most).map(|member| format!("<member>{member}</member>")).collect();
        let marker = if more { element("Marker", &(from + most).to_string()) } else { String::new() };
        Ok(format!("<{name}>{inside}</{name}>{}{marker}", element("IsTruncated", if more { "true" } else { "false" })))
    }
}

fn tag_members(tags: &Tags) -> Vec<String> {
    tags.iter().map(|(key, value)| element("Key", key) + &element("Value", value)).collect()
}

fn tag_list(tags: &Tags) -> String {
    if tags.is_empty() {
        return String::new();
    }
    let members: String = tag_members(tags).iter().map(|tag| format!("<member>{tag}</member>")).collect();
    format!("<Tags>{members}</Tags>")
}

/// Answers a call.
pub(crate) fn answer(state: &mut State, call: &Call) -> Answer {
    let form = call.form();
    let operation = form.get("Action").unwrap_or_default().to_owned();
    let mut iam = Iam { state, call, form };
    let outcome = iam.principal(&operation).or_else(|| iam.policy(&operation)).or_else(|| iam.simulation(&operation));
    let unknown = || Err(Fault::new(400, "InvalidAction", format!("Could not find operation {operation} for version 2010-05-08")));
    query_answer(call, &operation, NAMESPACE, outcome.unwrap_or_else(unknown))
}

#[cfg(test)]
mod tests {
    use crate::rehearsal::{DEV, Rehearsal};
    use aws_sdk_iam::Client;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::client::result::SdkError;
    use aws_smithy_types::error::metadata::ProvideErrorMetadata;
    use percent_encoding::percent_decode_str;
    use serde_json::json;

    fn iam() -> (Rehearsal, Client) {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
        let client = Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"));
        (rehearsal, client)
    }

    fn allow(action: &str) -> String {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}).to_string()
    }

    fn trust() -> String {
        let principal = json!({"Service": "codepipeline.amazonaws.com"});
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}).to_string()
    }

    fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(result: Result<T, SdkError<E, HttpResponse>>) -> String {
        let error = result.unwrap_err();
        format!("{}: {}", error.code().unwrap_or_default(), error.message().unwrap_or_default())
    }

    #[tokio::test]
    async fn a_role_is_read_back_as_it_was_made() {
        let (_, iam) = iam();
        let tag = aws_sdk_iam::types::Tag::builder().key("xdeploy:pipeline").value("a & b").build().unwrap();
        let made = iam.create_role().role_name("Service").path("/service-role/").description("d <e>").tags(tag.clone());
        made.assume_role_policy_document(trust()).send().await.unwrap();
        iam.put_role_policy().role_name("Service").policy_name("p").policy_document(allow("s3:*")).send().await.unwrap();
        let role = iam.get_role().role_name("Service").send().await.unwrap().role.unwrap();
        assert_eq!((role.description(), role.tags(), role.path()), (Some("d <e>"), &[tag][..], "/service-role/"));
        let document = role.assume_role_policy_document().unwrap();
        assert!(document.starts_with("%7B%22Version%22"), "{document}");
        assert_eq!(percent_decode_str(document).decode_utf8().unwrap(), trust());
        let names = iam.list_role_policies().role_name("Service").send().await.unwrap();
        assert_eq!(names.policy_names(), ["p"]);
        let inline = iam.get_role_policy().role_name("Service").policy_name("p").send().await.unwrap();
        assert_eq!(percent_decode_str(inline.policy_document()).decode_utf8().unwrap(), allow("s3:*"));
        assert_eq!(
            code(iam.delete_role().role_name("Service").send().await),
            "DeleteConflict: Cannot delete entity, must delete policies first."
        );
        iam.delete_role_policy().role_name("Service").policy_name("p").send().await.unwrap();
        iam.update_role().role_name("Service").max_session_duration(7200).send().await.unwrap();
        iam.delete_role().role_name("Service").send().await.unwrap();
        assert_eq!(code(iam.get_role().role_name("Service").send().await), "NoSuchEntity: The role with name Service cannot be found.");
    }

    #[tokio::test]
    async fn what_a_setup_can_get_wrong_is_refused() {
        let (_, iam) = iam();
        let make = |name: &str, trust: String| iam.create_role().role_name(name).assume_role_policy_document(trust).send();
        make("Role", trust()).await.unwrap();
        assert_eq!(code(make("ROLE", trust()).await), "EntityAlreadyExists: Role with name ROLE already exists.");
        assert!(code(make(&"r".repeat(65), trust()).await).starts_with("ValidationError: 1 validation error detected: Value 'rrr"));
        assert!(code(make("a/b", trust()).await).starts_with("ValidationError: The specified value for roleName is invalid."));
        let by = |principal: &str| trust().replace("\"Service\":\"codepipeline.amazonaws.com\"", &format!("\"AWS\":\"{principal}\""));
        let absent = "arn:aws:iam::111111111111:role/absent";
        let expected = format!("MalformedPolicyDocument: Invalid principal in policy: \"AWS\":\"{absent}\"");
        assert_eq!(code(make("x", by(absent)).await), expected);
        assert!(code(make("x", by("333333333333")).await).contains("Invalid principal in policy"));
        assert!(code(make("x", by("AROAAAAAAAAAAAAAAAAAA")).await).contains("Invalid principal in policy"));
        make("x", by("arn:aws:iam::111111111111:role/Role")).await.unwrap();
        let long = trust().replace("2012-10-17\"", &format!("2012-10-17\",\"Id\":\"{}\"", "i".repeat(2000)));
        assert_eq!(code(make("y", long).await), "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048");
        let put = |name: &str, text: String| iam.put_role_policy().role_name("Role").policy_name(name).policy_document(text).send();
        put("one", allow(&format!("s3:{}", "a".repeat(9_000)))).await.unwrap();
        let refused = code(put("two", allow(&format!("s3:{}", "a".repeat(2_000)))).await);
        assert_eq!(refused, "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role Role");
        assert_eq!(code(put("two", trust()).await), "MalformedPolicyDocument: Policy document should not specify a principal.");
    }

    #[tokio::test]
    async fn a_managed_policy_has_five_versions() {
        let (_, iam) = iam();
        let made = iam.create_policy().policy_name("Access").policy_document(allow("s3:GetObject")).send().await.unwrap();
        let arn = made.policy().unwrap().arn().unwrap().to_owned();
        let again = iam.create_policy().policy_name("ACCESS").path("/x/").policy_document(allow("s3:*")).send().await;
        assert!(code(again).starts_with("EntityAlreadyExists: A policy called ACCESS"));
        let version =
            |action: &str| iam.create_policy_version().policy_arn(&arn).policy_document(allow(action)).set_as_default(true).send();
        for number in 2..=5 {
            let made = version("s3:PutObject").await.unwrap();
            assert_eq!(made.policy_version().unwrap().version_id(), Some(format!("v{number}").as_str()));
        }
        assert!(code(version("s3:*").await).starts_with("LimitExceeded: A managed policy can have up to 5 versions."));
        assert!(code(iam.delete_policy_version().policy_arn(&arn).version_id("v5").send().await).starts_with("DeleteConflict"));
        iam.delete_policy_version().policy_arn(&arn).version_id("v1").send().await.unwrap();
        assert_eq!(version("s3:*").await.unwrap().policy_version().unwrap().version_id(), Some("v6"));
        let got = iam.get_policy().policy_arn(&arn).send().await.unwrap();
        assert_eq!(got.policy().unwrap().default_version_id(), Some("v6"));
        let got = iam.get_policy_version().policy_arn(&arn).version_id("v6").send().await.unwrap();
        let document = got.policy_version().unwrap().document().unwrap().to_owned();
        assert_eq!(percent_decode_str(&document).decode_utf8().unwrap(), allow("s3:*"));

        iam.create_role().role_name("Role").assume_role_policy_document(trust()).send().await.unwrap();
        let absent = "arn:aws:iam::111111111111:policy/absent";
        let refused = code(iam.attach_role_policy().role_name("Role").policy_arn(absent).send().await);
        assert_eq!(refused, format!("NoSuchEntity: Policy {absent} does not exist or is not attachable."));
        iam.attach_role_policy().role_name("Role").policy_arn(&arn).send().await.unwrap();
        iam.attach_role_policy().role_name("Role").policy_arn(&arn).send().await.unwrap();
        let listed = iam.list_attached_role_policies().role_name("Role").send().await.unwrap();
        assert_eq!(listed.attached_policies().len(), 1);
        assert_eq!(code(iam.delete_policy().policy_arn(&arn).send().await), "DeleteConflict: Cannot delete a policy attached to entities.");
        iam.detach_role_policy().role_name("Role").policy_arn(&arn).send().await.unwrap();
        assert!(code(iam.delete_policy().policy_arn(&arn).send().await).contains("more than one version"));
        let listed = iam.list_policy_versions().policy_arn(&arn).send().await.unwrap();
        for version in listed.versions().iter().filter(|version| !version.is_default_version()) {
            iam.delete_policy_version().policy_arn(&arn).version_id(version.version_id().unwrap()).send().await.unwrap();
        }
        iam.delete_policy().policy_arn(&arn).send().await.unwrap();
        assert_eq!(code(iam.get_policy().policy_arn(&arn).send().await), format!("NoSuchEntity: Policy {arn} was not found."));
    }

    #[tokio::test]
    async fn a_user_may_what_its_policies_and_its_boundary_say() {
        let (rehearsal, iam) = iam();
        iam.create_user().user_name("least").send().await.unwrap();
        let key = iam.create_access_key().user_name("least").send().await.unwrap().access_key.unwrap();
        let keys = (key.access_key_id().to_owned(), key.secret_access_key().to_owned());
        let least = Client::new(&rehearsal.config(keys, "us-east-1"));
        let denied = code(least.list_roles().send().await);
        assert!(denied.starts_with("AccessDenied: User: arn:aws:iam::111111111111:user/least"), "{denied}");
        assert!(denied.ends_with("because no identity-based policy allows the iam:ListRoles action"), "{denied}");
        iam.put_user_policy().user_name("least").policy_name("a").policy_document(allow("iam:List*")).send().await.unwrap();
        least.list_roles().send().await.unwrap();
        let boundary = iam.create_policy().policy_name("Only").policy_document(allow("s3:*")).send().await.unwrap();
        let boundary = boundary.policy().unwrap().arn().unwrap().to_owned();
        iam.put_user_permissions_boundary().user_name("least").permissions_boundary(&boundary).send().await.unwrap();
        assert!(code(least.list_roles().send().await).ends_with("because no permissions boundary allows the iam:ListRoles action"));
        let simulated =
            iam.simulate_principal_policy().policy_source_arn("arn:aws:iam::111111111111:user/least").action_names("iam:ListRoles");
        let simulated = simulated.send().await.unwrap();
        assert_eq!(simulated.evaluation_results()[0].eval_decision().as_str(), "implicitDeny");
        // Tags need a right of their own.
        iam.delete_user_permissions_boundary().user_name("least").send().await.unwrap();
        iam.put_user_policy().user_name("least").policy_name("a").policy_document(allow("iam:CreateRole")).send().await.unwrap();
        let tag = aws_sdk_iam::types::Tag::builder().key("a").value("b").build().unwrap();
        let denied = code(least.create_role().role_name("r").assume_role_policy_document(trust()).tags(tag).send().await);
        assert!(denied.contains("is not authorized to perform: iam:TagRole on resource: arn:aws:iam::111111111111:role/r"), "{denied}");
    }
}
