//! Says of a pasted "Access Denied" whose credentials were used: its principal tells (facts/ecs.md C.1).

use serde::Serialize;

/// Whose credentials a denied call was signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Principal {
    /// A session named like a task: the task role's, or the execution role's.
    Task,
    /// A session named like an instance: the instance's role.
    Instance,
    /// A session named like a managed instance: the role of an ECS Anywhere host.
    ManagedInstance,
    /// Another session.
    OtherSession,
    /// Keys of an IAM user.
    User,
    /// The account's root.
    Root,
    /// The error names none.
    Unnamed,
}

/// What a pasted error says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// Whose credentials they were.
    pub principal: Principal,
    /// The principal's ARN.
    pub arn: Option<String>,
    /// The role's name, without its path, which such an ARN doesn't have.
    pub role: Option<String>,
    /// The action that was denied.
    pub action: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// What it means.
    pub meaning: String,
    /// What to do.
    pub advice: Vec<String>,
}

impl Denial {
    /// Says whether it could be told whose credentials were used.
    pub fn is_told(&self) -> bool {
        self.principal != Principal::Unnamed
    }
}

fn hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Task ids are 32 hexadecimal digits, or a UUID for the short ARNs of old.
fn names_task(session: &str) -> bool {
    let plain: String = session.split('-').collect();
    plain.len() == 32 && hexadecimal(&plain) && (session.len() == 32 || session.len() == 36)
}

fn names_instance(session: &str) -> bool {
    session.strip_prefix("i-").is_some_and(|id| (8..=17).contains(&id.len()) && hexadecimal(id))
}

fn names_managed_instance(session: &str) -> bool {
    session.strip_prefix("mi-").is_some_and(|id| id.len() == 17 && hexadecimal(id))
}

/// Finds the word that follows some text, without what a sentence puts behind it.
fn after<'t>(text: &'t str, sign: &str) -> Option<&'t str> {
    let at = text.find(sign)? + sign.len();
    let word = text[at..].split_whitespace().next()?;
    Some(word.trim_matches(|letter: char| ['"', '\'', ',', '.', ';', ')', '('].contains(&letter))).filter(|word| !word.is_empty())
}

/// Finds the principal's ARN: an STS or an IAM one.
fn principal(text: &str) -> Option<&str> {
    let words = text.split(|letter: char| letter.is_whitespace() || ['"', '\'', ',', '(', ')'].contains(&letter));
    let arns = words.filter(|word| word.starts_with("arn:")).map(|word| word.trim_end_matches(['.', ':', ';']));
    let mut arns = arns.filter(|arn| {
        arn.contains(":assumed-role/") || arn.contains(":user/") || arn.ends_with(":root") || arn.contains(":federated-user/")
    });
    arns.next()
}

/// Explains a pasted error.
pub fn explain(text: &str) -> Denial {
    let arn = principal(text);
    let action = after(text, "not authorized to perform: ").or_else(|| after(text, "not authorized to perform "));
    let resource = after(text, "on resource: ").or_else(|| after(text, "on resource "));
    let parts: Option<(&str, &str)> = arn.and_then(|arn| arn.split_once(":assumed-role/")).and_then(|(_, rest)| rest.split_once('/'));
    let principal = match (arn, parts) {
        (None, _) => Principal::Unnamed,
        (Some(_), Some((_, session))) if names_task(session) => Principal::Task,
        (Some(_), Some((_, session))) if names_instance(session) => Principal::Instance,
        (Some(_), Some((_, session))) if names_managed_instance(session) => Principal::ManagedInstance,
        (Some(_), Some(_)) => Principal::OtherSession,
        (Some(arn), None) if arn.ends_with(":root") => Principal::Root,
        (Some(_), None) => Principal::User,
    };
    let role = parts.map(|(role, _)| role.to_owned());
    let name = role.as_deref().unwrap_or_default();
    let what = action.unwrap_or("the action");
    let (meaning, advice) = match principal {
        Principal::Instance => (
            format!("the application uses the instance's role {name}, and not a task role"),
            vec!["run `sudo xdeploy ecs-check` on that instance: it says what stands between the task and its role".to_owned()],
        ),
        Principal::ManagedInstance => (
            format!("the application uses the role {name} of an ECS Anywhere host, and not a task role"),
            vec!["run `sudo xdeploy ecs-check` on that host: it says what stands between the task and its role".to_owned()],
        ),
        Principal::Task if name.to_ascii_lowercase().contains("execution") => (
            format!("the application uses {name}, by its name the execution role, in the task role's place"),
            vec!["look at the task definition: taskRoleArn must be the application's role, executionRoleArn the agent's".to_owned()],
        ),
        Principal::Task => (
            format!(
                "the application uses the task role {name}, which doesn't allow {what} (or a boundary, a service control policy or the resource's own policy denies it)"
            ),
            vec![format!("allow {what} in a policy of {name}; everything on the host works")],
        ),
        Principal::OtherSession => (
            format!(
                "the application uses a session of {name} that no task's and no instance's is: it assumes that role itself, or a profile does"
            ),
            vec!["look for an AssumeRole call, a profile or a web identity in the application".to_owned()],
        ),
        Principal::User => (
            "the application uses the keys of an IAM user, and not a task role".to_owned(),
            vec!["look for AWS_ACCESS_KEY_ID in the task definition, and for ~/.aws/credentials in the image".to_owned()],
        ),
        Principal::Root => ("the application uses the keys of the account's root user".to_owned(), vec!["delete those keys".to_owned()]),
        Principal::Unnamed => (
            "the error doesn't name who was denied".to_owned(),
            vec!["log what `aws sts get-caller-identity` says in the container, and paste its Arn".to_owned()],
        ),
    };
    Denial {
        principal,
        arn: arn.map(str::to_owned),
        role,
        action: action.map(str::to_owned),
        resource: resource.map(str::to_owned),
        meaning,
        advice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(session: &str) -> Principal {
        let text = format!(
            "An error occurred (AccessDenied) when calling the GetObject operation: User: arn:aws:sts::111122223333:assumed-role/{session} is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\" because no identity-based policy allows the s3:GetObject action"
        );
        explain(&text).principal
    }

    #[test]
    fn the_session_tells_whose_credentials_they_were() {
        assert_eq!(of("ecsInstanceRole/i-0abcdef1234567890"), Principal::Instance);
        assert_eq!(of("ecsInstanceRole/i-0abcdef1"), Principal::Instance);
        assert_eq!(of("anywhere/mi-0abcdef1234567890"), Principal::ManagedInstance);
        assert_eq!(of("app-role/0123456789abcdef0123456789abcdef"), Principal::Task);
        assert_eq!(of("app-role/01234567-89ab-cdef-0123-456789abcdef"), Principal::Task);
        assert_eq!(of("app-role/i-am-somebody"), Principal::OtherSession);
        let user = explain("User: arn:aws:iam::111122223333:user/ci/bob is not authorized to perform: s3:PutObject");
        assert_eq!((user.principal, user.action.as_deref()), (Principal::User, Some("s3:PutObject")));
        assert_eq!(explain("Access Denied").principal, Principal::Unnamed);
        assert_eq!(explain("{\"Arn\": \"arn:aws:iam::111122223333:root\"}").principal, Principal::Root);
        let swapped = explain("arn:aws:sts::1:assumed-role/ecsTaskExecutionRole/0123456789abcdef0123456789abcdef is not authorized");
        assert!(swapped.meaning.contains("execution role"), "{swapped:?}");
    }

    #[test]
    fn what_was_denied_is_taken_from_the_text() {
        let denial = explain(
            "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\" because",
        );
        assert_eq!((denial.action.as_deref(), denial.resource.as_deref()), (Some("s3:GetObject"), Some("arn:aws:s3:::b/k")));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "(arn:aws:sts::1:assumed-role/|i-|mi-|[0-9a-f]{0,33}|not authorized to perform: |\\PC){0,12}") {
            let _ = explain(&text);
        }
    }
}
