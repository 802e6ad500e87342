//! STS: who am I, and becoming a role.

use super::authorise::{Asked, authorise};
use super::state::{Holder, State, account_of, date_time_seconds};
use super::wire::{Answer, Call, Caller, Fault, Form, Outcome, element, query_answer};
use serde_json::{Value, json};

/// The namespace of its answers.
pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// What somebody wants to be.
#[derive(Debug, Default)]
struct Wanted<'a> {
    role: &'a str,
    session: &'a str,
    /// Seconds.
    duration: u64,
    policy: Option<Value>,
    external_id: Option<&'a str>,
}

/// Lets a caller assume a role, and gives who it is then; the session's access key is [`Caller::key`].
pub(crate) fn assume(state: &mut State, caller: &Caller, region: &str, role: &str, session: &str) -> Outcome<Caller> {
    let wanted = Wanted { role, session, duration: 3600, ..Wanted::default() };
    let asked = Asked::new("sts:AssumeRole", role, account_of(role), region);
    become_role(state, caller, asked, wanted)
}

fn become_role(state: &mut State, caller: &Caller, mut asked: Asked<'_>, wanted: Wanted<'_>) -> Outcome<Caller> {
    if caller.arn.ends_with(":root") && caller.role.is_none() {
        return Err(Fault::new(403, "AccessDenied", "Roles may not be assumed by root accounts."));
    }
    asked = asked.with("sts:RoleSessionName", wanted.session);
    if let Some(id) = wanted.external_id {
        asked = asked.with("sts:ExternalId", id);
    }
    let Some(role) = state.role(wanted.role).cloned() else {
        // The same as a denial: nobody learns which roles there are.
        return Err(Fault::denied(caller, "sts:AssumeRole", wanted.role, ""));
    };
    asked = asked.under(Some(role.trust.shown(state))).resource_tags(&role.tags);
    authorise(state, caller, asked)?;
    // A session that comes from a session lasts an hour at most (facts A.1).
    if caller.role.is_some() && wanted.duration > 3600 {
        let message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(Fault::new(400, "ValidationError", message));
    }
    if wanted.duration > role.longest_session {
        let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(Fault::new(400, "ValidationError", message));
    }
    let account = account_of(&role.arn).to_owned();
    let holder = Holder::Session {
        role: role.name.clone(),
        id: role.id.clone(),
        session: wanted.session.to_owned(),
        policy: wanted.policy,
        issued: state.clock,
        by_service: caller.service.is_some(),
    };
    let key = state.new_key(&account, holder, Some(state.clock + wanted.duration * 1000));
    Ok(Caller {
        arn: format!("arn:{}:sts::{account}:assumed-role/{}/{}", state.partition, role.name, wanted.session),
        account,
        id: format!("{}:{}", role.id, wanted.session),
        role: Some(role.arn),
        key: Some(key),
        ..Caller::default()
    })
}

fn invalid(value: &str, member: &str, constraint: &str) -> Fault {
    let message = format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}");
    Fault::new(400, "ValidationError", message)
}

fn assume_role(state: &mut State, call: &Call, form: &Form) -> Outcome<String> {
    let (role, session) = (form.needed("RoleArn")?, form.needed("RoleSessionName")?);
    let right = |character: char| character.is_ascii_alphanumeric() || "_+=,.@-".contains(character);
    if session.len() < 2 || session.len() > 64 || !session.chars().all(right) {
        return Err(invalid(session, "roleSessionName", "Member must satisfy regular expression pattern: [\\w+=,.@-]*"));
    }
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    if !matches!(parts[..], ["arn", _, "iam", "", _, resource] if resource.starts_with("role/")) {
        return Err(Fault::new(400, "ValidationError", format!("{role} is invalid")));
    }
    let duration = form.get("DurationSeconds").unwrap_or("3600");
    let seconds = duration.parse::<u64>().ok().filter(|seconds| (900..=43_200).contains(seconds));
    let seconds = seconds.ok_or_else(|| invalid(duration, "durationSeconds", "Member must have value between 900 and 43200"))?;
    let mut policies = Vec::new();
    if let Some(text) = form.get("Policy") {
        let document = super::grammar::read(text, super::grammar::Kind::Identity);
        policies.push(document.map_err(|why| Fault::new(400, "MalformedPolicyDocument", why))?);
    }
    for number in 1.. {
        let Some(arn) = form.get(&format!("PolicyArns.member.{number}.arn")) else { break };
        let missing = || Fault::new(400, "MalformedPolicyDocument", format!("Policy {arn} is not there"));
        policies.push(state.visible_document(arn).ok_or_else(missing)?);
    }
    let wanted = Wanted {
        role,
        session,
        duration: seconds,
        policy: (!policies.is_empty()).then(|| json!(policies)),
        external_id: form.get("ExternalId"),
    };
    let became = become_role(state, &call.caller, Asked::by(call, "sts:AssumeRole", role, account_of(role)), wanted)?;
    let id = became.key.clone().unwrap_or_default();
    let Some(key) = state.access_keys.get(&id) else { return Err(Fault::new(500, "InternalFailure", "")) };
    let credentials = element("AccessKeyId", &id)
        + &element("SecretAccessKey", &key.secret)
        + &element("SessionToken", key.token.as_deref().unwrap_or_default())
        + &element("Expiration", &date_time_seconds(key.expires.unwrap_or_default()));
    let user = element("AssumedRoleId", &became.id) + &element("Arn", &became.arn);
    Ok(format!("<Credentials>{credentials}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>"))
}

/// Answers a call.
pub(crate) fn answer(state: &mut State, call: &Call) -> Answer {
    let form = call.form();
    let operation = form.get("Action").unwrap_or_default();
    let outcome = match operation {
        // Nobody can be forbidden to ask.
        "GetCallerIdentity" => {
            let caller = &call.caller;
            Ok(element("Arn", &caller.arn) + &element("UserId", &caller.id) + &element("Account", &caller.account))
        }
        "AssumeRole" => assume_role(state, call, &form),
        other => Err(Fault::new(400, "InvalidAction", format!("Could not find operation {other} for version 2011-06-15"))),
    };
    query_answer(call, operation, NAMESPACE, outcome)
}

#[cfg(test)]
mod tests {
    use crate::rehearsal::{DEV, PROD, Rehearsal};
    use aws_sdk_iam::types::Tag;
    use aws_smithy_types::error::metadata::ProvideErrorMetadata;
    use serde_json::json;

    fn trust(principal: &str) -> String {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}]})
            .to_string()
    }

    fn clients(rehearsal: &Rehearsal, keys: (String, String)) -> (aws_sdk_iam::Client, aws_sdk_sts::Client) {
        let config = rehearsal.config(keys, "us-east-1");
        (aws_sdk_iam::Client::new(&config), aws_sdk_sts::Client::new(&config))
    }

    fn session(rehearsal: &Rehearsal, credentials: &aws_sdk_sts::types::Credentials) -> aws_sdk_sts::Client {
        let (key, secret, token) = (credentials.access_key_id(), credentials.secret_access_key(), credentials.session_token());
        let keys = aws_credential_types::Credentials::new(key, secret, Some(token.to_owned()), None, "test");
        let config = rehearsal.config(Default::default(), "us-east-1").into_builder();
        let provider = aws_credential_types::provider::SharedCredentialsProvider::new(keys);
        aws_sdk_sts::Client::new(&config.credentials_provider(provider).build())
    }

    #[tokio::test]
    async fn each_key_is_somebody() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "eu-west-1");
        for account in [DEV, PROD] {
            let (_, sts) = clients(&rehearsal, rehearsal.keys(account));
            let who = sts.get_caller_identity().send().await.unwrap();
            assert_eq!(who.account(), Some(account));
            assert_eq!(who.arn(), Some(format!("arn:aws:iam::{account}:user/caller").as_str()));
            assert!(who.user_id().unwrap().starts_with("AIDA"));
            let (_, sts) = clients(&rehearsal, rehearsal.root_keys(account));
            let who = sts.get_caller_identity().send().await.unwrap();
            assert_eq!(who.arn(), Some(format!("arn:aws:iam::{account}:root").as_str()));
        }
        let (_, sts) = clients(&rehearsal, ("AKIASTRANGER".to_owned(), "secret".to_owned()));
        let error = sts.get_caller_identity().send().await.unwrap_err();
        assert_eq!(error.code(), Some("InvalidClientTokenId"));
        use aws_types::request_id::RequestId;
        assert_eq!(error.request_id().map(str::len), Some(36));
    }

    #[tokio::test]
    async fn a_role_of_another_account_needs_both_sides() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
        let (dev, dev_sts) = clients(&rehearsal, rehearsal.keys(DEV));
        let (prod, _) = clients(&rehearsal, rehearsal.keys(PROD));
        let mut request = dev.create_role().role_name("builder").path("/service-role/");
        request = request.assume_role_policy_document(trust(DEV)).tags(Tag::builder().key("a").value("b").build().unwrap());
        let builder = request.send().await.unwrap().role.unwrap();
        assert_eq!(builder.arn(), "arn:aws:iam::111111111111:role/service-role/builder");
        prod.create_role().role_name("deployer").assume_role_policy_document(trust(builder.arn())).send().await.unwrap();

        let first = dev_sts.assume_role().role_arn(builder.arn()).role_session_name("one").send().await.unwrap();
        assert_eq!(first.assumed_role_user().unwrap().arn(), "arn:aws:sts::111111111111:assumed-role/builder/one");
        let as_builder = session(&rehearsal, first.credentials().unwrap());
        let who = as_builder.get_caller_identity().send().await.unwrap();
        assert_eq!(who.user_id(), Some(format!("{}:one", builder.role_id()).as_str()));

        let deployer = "arn:aws:iam::222222222222:role/deployer";
        let assume = || as_builder.assume_role().role_arn(deployer).role_session_name("two");
        let error = assume().send().await.unwrap_err();
        assert_eq!(error.code(), Some("AccessDenied"));
        let message = "User: arn:aws:sts::111111111111:assumed-role/builder/one is not authorized to perform: sts:AssumeRole \
                       on resource: arn:aws:iam::222222222222:role/deployer";
        assert_eq!(error.message(), Some(message));

        let may = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": deployer}]});
        dev.put_role_policy().role_name("builder").policy_name("may").policy_document(may.to_string()).send().await.unwrap();
        assume().send().await.unwrap();
        let error = assume().duration_seconds(7200).send().await.unwrap_err();
        assert!(error.message().unwrap().contains("role chaining"));

        // The name is another role's now.
        dev.delete_role_policy().role_name("builder").policy_name("may").send().await.unwrap();
        dev.delete_role().role_name("builder").send().await.unwrap();
        let error = as_builder.get_caller_identity().send().await.unwrap_err();
        assert_eq!(error.code(), Some("InvalidClientTokenId"));
        let got = prod.get_role().role_name("deployer").send().await.unwrap().role.unwrap();
        assert!(got.assume_role_policy_document().unwrap().contains(builder.role_id()));
        let mut request = dev.create_role().role_name("builder").path("/service-role/");
        request = request.assume_role_policy_document(trust(DEV));
        request.send().await.unwrap();
        let got = prod.get_role().role_name("deployer").send().await.unwrap().role.unwrap();
        assert!(got.assume_role_policy_document().unwrap().contains(builder.role_id()));
    }

    #[tokio::test]
    async fn within_an_account_a_denial_says_why() {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
        let (iam, sts) = clients(&rehearsal, rehearsal.keys(DEV));
        iam.create_role().role_name("other").assume_role_policy_document(trust(PROD)).send().await.unwrap();
        let arn = "arn:aws:iam::111111111111:role/other";
        let error = sts.assume_role().role_arn(arn).role_session_name("me").send().await.unwrap_err();
        assert!(error.message().unwrap().ends_with("because no role trust policy allows the sts:AssumeRole action"), "{error:?}");
        let deny = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}]}).to_string();
        iam.put_user_policy().user_name("caller").policy_name("none").policy_document(deny).send().await.unwrap();
        let error = iam.get_role().role_name("other").send().await.unwrap_err();
        let message = "User: arn:aws:iam::111111111111:user/caller is not authorized to perform: iam:GetRole on resource: role other \
                       with an explicit deny in an identity-based policy";
        assert_eq!((error.code(), error.message()), (Some("AccessDenied"), Some(message)));
        // Root has no policies, and can't assume a role.
        let (iam, sts) = clients(&rehearsal, rehearsal.root_keys(DEV));
        iam.get_role().role_name("other").send().await.unwrap();
        let error = sts.assume_role().role_arn(arn).role_session_name("me").send().await.unwrap_err();
        assert_eq!(error.message(), Some("Roles may not be assumed by root accounts."));
    }
}
