//! Says of a pasted error whose credentials were used and what is in the way: its principal, its action and its reason tell
//! (facts/ecs.md 00, C.1).

use crate::model::{ApiService, AwsMessage, DenialReason, PolicyKind, SessionOwner, account_of};
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
    /// A build of CodeBuild.
    CodeBuild,
    /// CodePipeline.
    CodePipeline,
    /// CloudFormation.
    CloudFormation,
    /// A target of EventBridge.
    EventBridge,
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
    #[serde(skip)]
    conclusive: bool,
}

impl Denial {
    /// Returns true if the message tells whose credentials were used, or what else is in the way.
    pub fn is_conclusive(&self) -> bool {
        self.conclusive
    }
}

/// What ECS says where it is itself that was denied, before a container runs (facts/ecs.md 00).
const AT_START: [&str; 6] = [
    "resourceinitializationerror",
    "cannotpullcontainererror",
    "cannotpullecrcontainererror",
    "unable to pull secrets or registry auth",
    "execution resource retrieval failed",
    "failed to validate logger args",
];

/// What the errors of SDKs and of ECS say that name nobody, with what each means and what to do (facts/ecs.md A.5, C.5).
const NAMELESS: [(&[&str], &str, &str); 6] = [
    (
        &["credentials not found", "invalididinrequest"],
        "the agent doesn't know the credentials id of this task: it was restarted or lost its state, or the task is another host's",
        "start the task anew; `sudo xdeploy ecs-check` on the host says what the agent holds",
    ),
    (
        &["169.254.169.254", "instance profile metadata service"],
        "the SDK asks the instance's metadata for credentials, and not the agent: the process has no AWS_CONTAINER_CREDENTIALS_RELATIVE_URI (php-fpm takes it away unless `clear_env = no`), or the task has no task role",
        "run `sudo xdeploy ecs-check` on the host: XD-ECS-060, XD-ECS-061 and XD-ECS-070 look at that",
    ),
    (
        &["is missing an attribute required by your task"],
        "no instance has told ECS that it takes tasks with roles: the agent's ECS_ENABLE_TASK_IAM_ROLE is off, or it has not registered again since",
        "run `sudo xdeploy ecs-check` on the instances: XD-ECS-010, XD-ECS-011 and XD-ECS-015 look at that",
    ),
    (
        &["ecs was unable to assume the role"],
        "the role that the task definition names doesn't exist, or its trust policy doesn't let ecs-tasks.amazonaws.com in",
        "correct the role's ARN in the task definition, or let ecs-tasks.amazonaws.com take it on in its trust policy (XD-ECS-020, XD-ECS-022)",
    ),
    (
        &["unable to locate credentials"],
        "the SDK found no credentials at all: the task has no task role, or the process doesn't have AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "run `sudo xdeploy ecs-check` on the host: XD-ECS-060 and XD-ECS-070 look at that",
    ),
    (
        &["nocredentialproviders", "no valid providers in chain"],
        "the SDK found no credentials at all: the task has no task role, or the process doesn't have AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "run `sudo xdeploy ecs-check` on the host: XD-ECS-060 and XD-ECS-070 look at that",
    ),
];

fn whose(message: &AwsMessage) -> Principal {
    let Some(arn) = message.principal.as_deref() else { return Principal::Unnamed };
    match message.session_owner() {
        Some(SessionOwner::Task) => Principal::Task,
        Some(SessionOwner::Instance) => Principal::Instance,
        Some(SessionOwner::ManagedInstance) => Principal::ManagedInstance,
        Some(SessionOwner::CodeBuild) => Principal::CodeBuild,
        Some(SessionOwner::CodePipeline) => Principal::CodePipeline,
        Some(SessionOwner::CloudFormation) => Principal::CloudFormation,
        Some(SessionOwner::EventBridge) => Principal::EventBridge,
        Some(SessionOwner::Other) => Principal::OtherSession,
        None if arn.ends_with(":root") => Principal::Root,
        None if message.role().is_some() => Principal::OtherSession,
        None => Principal::User,
    }
}

/// Says on which policy it hangs, where the message does, and what to do to it.
fn by_reason(reason: DenialReason, role: &str, what: &str, on: &str) -> (String, String) {
    use DenialReason::{ExplicitDeny, NoAllow, PublicPolicy};
    match reason {
        NoAllow(PolicyKind::Identity) => {
            (format!("which no policy of its own allows {what}"), format!("allow {what} in a policy of {role}"))
        }
        NoAllow(PolicyKind::Resource) => (
            format!("which the resource-based policy of {on} doesn't allow {what}"),
            format!(
                "let {role} in by the resource's own policy: for a key the key policy, for a bucket the bucket policy, for a role the trust policy; across accounts a policy of the role must allow it as well"
            ),
        ),
        ExplicitDeny(PolicyKind::Resource) => (
            format!("which the resource-based policy of {on} denies {what}"),
            format!("except {role} from the Deny of the resource's own policy: no policy of the role helps"),
        ),
        NoAllow(PolicyKind::Boundary) | ExplicitDeny(PolicyKind::Boundary) => (
            format!("whose permissions boundary keeps it from {what}"),
            format!("let the permissions boundary of {role} allow {what}: a policy of the role alone won't help"),
        ),
        NoAllow(PolicyKind::Session) | ExplicitDeny(PolicyKind::Session) => (
            format!("whose session policy keeps it from {what}"),
            "look at who made the session: its AssumeRole call passes a policy".to_owned(),
        ),
        NoAllow(PolicyKind::Endpoint) | ExplicitDeny(PolicyKind::Endpoint) => {
            (format!("which the policy of the VPC endpoint keeps from {what}"), format!("allow {what} in the VPC endpoint's policy"))
        }
        NoAllow(PolicyKind::ServiceControl) | ExplicitDeny(PolicyKind::ServiceControl) => (
            format!("which a service control policy of the organisation keeps from {what}"),
            "ask who runs the organisation: no policy of the role helps".to_owned(),
        ),
        NoAllow(PolicyKind::ResourceControl) | ExplicitDeny(PolicyKind::ResourceControl) => (
            format!("which a resource control policy of the organisation keeps from {what}"),
            "ask who runs the organisation of the resource's account: no policy of the role helps".to_owned(),
        ),
        ExplicitDeny(PolicyKind::Identity) => (
            format!("which a Deny of its own policies keeps from {what}"),
            format!("take the Deny out of the policies of {role}, or narrow it"),
        ),
        PublicPolicy => (format!("which Block Public Access keeps from {what}"), "name who may in the policy instead of `*`".to_owned()),
    }
}

/// The role that an ARN names, by its name and account.
fn named_role(arn: &str) -> Option<(&str, &str)> {
    let (_, path) = arn.split_once(":role/").or_else(|| arn.split_once(":assumed-role/"))?;
    let name = if arn.contains(":assumed-role/") { path.split('/').next() } else { path.rsplit('/').next() };
    Some((account_of(arn), name?))
}

/// What a message means whoever signed the call: ECS itself, who starts a task, a role that takes itself on, an error that names nobody.
fn special(message: &AwsMessage) -> Option<(String, Vec<String>)> {
    let says = |part: &str| message.texts.iter().any(|text| text.contains(part));
    let role = message.role();
    let action = message.action.as_deref();
    let what = action.unwrap_or("the action");
    if AT_START.iter().any(|part| says(part)) && message.denied {
        let name = role.unwrap_or("of the task definition");
        let managed = if what.starts_with("ecr:") || what.starts_with("logs:") { " (AmazonECSTaskExecutionRolePolicy does)" } else { "" };
        return Some((
            format!(
                "ECS itself was denied {what}, with the execution role {name}, before the container ran: the task role is not concerned"
            ),
            vec![format!("allow {what} in a policy of {name}{managed}, the executionRoleArn of the task definition")],
        ));
    }
    if action.is_some_and(|action| action.eq_ignore_ascii_case("iam:PassRole")) {
        let who = message.principal.as_deref().unwrap_or("whoever starts the task");
        let on = message.resource.as_deref().unwrap_or("the role of the task definition");
        if !message.may_be_of(&[ApiService::Ecs]) {
            return Some((
                format!("{who} may not hand the role {on} on to the service that it calls: no container is concerned"),
                vec![format!("allow {who} iam:PassRole on {on}")],
            ));
        }
        return Some((
            format!(
                "{who} may not hand the role {on} on: it is whoever starts the task or makes its service that lacks iam:PassRole, and no container is concerned"
            ),
            vec![format!("allow {who} iam:PassRole on {on}, with iam:PassedToService ecs-tasks.amazonaws.com")],
        ));
    }
    let itself = message.principal.as_deref().and_then(named_role);
    if itself.is_some()
        && action.is_some_and(|action| action.eq_ignore_ascii_case("sts:AssumeRole"))
        && itself == message.resource.as_deref().and_then(named_role)
    {
        let name = role.unwrap_or_default();
        return Some((
            format!("{name} assumes itself, which its trust policy must allow by name"),
            vec![format!("take the AssumeRole call out: the credentials of {name} are there already; or let its trust policy name it")],
        ));
    }
    let nameless = || NAMELESS.iter().find(|(parts, ..)| parts.iter().any(|part| says(part)));
    message.principal.is_none().then(nameless).flatten().map(|(_, meaning, advice)| ((*meaning).to_owned(), vec![(*advice).to_owned()]))
}

/// Says whose credentials they were, and what to do.
fn by_principal(principal: Principal, message: &AwsMessage) -> (String, Vec<String>) {
    let name = message.role().unwrap_or_default();
    let what = message.action.as_deref().unwrap_or("the action");
    let on = message.resource.as_deref().unwrap_or("the resource");
    // Where the message names no policy, the role's own is looked at first.
    let by_its_reason =
        || message.reason.map_or_else(|| format!("allow {what} in a policy of {name}"), |reason| by_reason(reason, name, what, on).1);
    match principal {
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
        Principal::Task => match message.reason {
            Some(reason) => {
                let (why, advice) = by_reason(reason, name, what, on);
                let host = if reason == DenialReason::NoAllow(PolicyKind::Identity) { "; everything on the host works" } else { "" };
                (format!("the application uses the task role {name}, {why}"), vec![format!("{advice}{host}")])
            }
            None => (
                format!(
                    "the application uses the task role {name}, which doesn't allow {what} (or a boundary, a service control policy or the resource's own policy denies it)"
                ),
                vec![format!("allow {what} in a policy of {name}; everything on the host works")],
            ),
        },
        Principal::CodeBuild => (
            format!("a build of CodeBuild uses the role {name} of its project, which is denied {what}: no ECS task is concerned"),
            vec![format!("{}; `xdeploy explain -` looks such messages of pipelines up", by_its_reason())],
        ),
        Principal::CodePipeline => (
            format!("CodePipeline uses {name}, by its session's name a role of a pipeline: no ECS task is concerned"),
            vec!["paste the message to `xdeploy explain -`".to_owned()],
        ),
        Principal::CloudFormation => {
            (format!("CloudFormation uses the role {name} of a stack: no ECS task is concerned"), vec![by_its_reason()])
        }
        Principal::EventBridge => (
            format!("EventBridge uses the role {name} of a rule's target, which is denied {what}: no container is concerned"),
            vec![by_its_reason()],
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
    }
}

/// Explains a pasted error.
pub fn explain(text: &str) -> Denial {
    let message = AwsMessage::read(text);
    let principal = whose(&message);
    let special = special(&message);
    let conclusive = special.is_some() || principal != Principal::Unnamed;
    let (meaning, advice) = special.unwrap_or_else(|| by_principal(principal, &message));
    let role = message.session().map(|(role, _)| role.to_owned());
    Denial { principal, role, meaning, advice, conclusive, arn: message.principal, action: message.action, resource: message.resource }
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
    fn what_ecs_and_others_do_is_not_taken_for_the_application_s() {
        let session =
            "User: arn:aws:sts::111122223333:assumed-role/app-task/0123456789abcdef0123456789abcdef is not authorized to perform:";
        let pulls =
            explain(&format!("CannotPullECRContainerError: AccessDeniedException: {session} ecr:GetAuthorizationToken on resource: *"));
        assert!(pulls.meaning.contains("ECS itself") && pulls.advice[0].contains("executionRoleArn"), "{pulls:?}");
        let passes = explain(
            "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: iam:PassRole on resource: arn:aws:iam::111122223333:role/app-task",
        );
        assert!(passes.meaning.contains("starts the task") && !passes.advice[0].contains("AWS_ACCESS_KEY_ID"), "{passes:?}");
        let itself = explain(&format!("{session} sts:AssumeRole on resource: arn:aws:iam::111122223333:role/team/app-task"));
        assert!(itself.meaning.contains("assumes itself"), "{itself:?}");
        let other = explain(&format!("{session} sts:AssumeRole on resource: arn:aws:iam::444455556666:role/app-task"));
        assert!(!other.meaning.contains("itself"), "{other:?}");
        for (reason, part) in [
            ("because no resource-based policy allows the kms:Decrypt action", "key policy"),
            ("because no permissions boundary allows the kms:Decrypt action", "permissions boundary"),
            ("with an explicit deny in a service control policy", "organisation"),
            ("because no identity-based policy allows the kms:Decrypt action", "everything on the host works"),
        ] {
            let said = explain(&format!("{session} kms:Decrypt on resource: arn:aws:kms:eu-west-1:444455556666:key/1 {reason}"));
            assert!(said.advice[0].contains(part), "{said:?}");
            assert_eq!(said.advice[0].contains("everything on the host works"), reason.contains("identity"), "{said:?}");
        }
        for (session, principal) in [
            ("codebuild-web-service-role/AWSCodeBuild-8f9dbf1a-58a2-4bc8-b9a5-6d4b36a8fd0f", Principal::CodeBuild),
            ("pipe/1790620314627", Principal::CodePipeline),
            ("cwe-role-us-east-1-web/ae48e92617b5f5c7f22e502be8dd8d16", Principal::EventBridge),
        ] {
            let said = explain(&format!("User: arn:aws:sts::1:assumed-role/{session} is not authorized to perform: s3:GetObject"));
            assert_eq!(said.principal, principal);
        }
        assert_eq!(explain("arn:aws:sts::1:assumed-role/ecsInstanceRole/i-0abc…").principal, Principal::Instance);
    }

    #[test]
    fn an_error_without_a_principal_says_what_it_can() {
        for (text, part) in [
            ("CredentialsV2Request: Credentials not found", "the agent doesn't know"),
            ("cURL error 7: for http://169.254.169.254/latest/meta-data/iam/security-credentials/", "clear_env"),
            ("container-instance 0123 is missing an attribute required by your task.", "ECS_ENABLE_TASK_IAM_ROLE"),
            ("ECS was unable to assume the role 'arn:aws:iam::1:role/x'", "trust policy"),
            ("Unable to locate credentials. You can configure credentials by running \"aws configure\".", "no credentials at all"),
        ] {
            let said = explain(text);
            assert!(said.is_conclusive() && said.meaning.contains(part), "{text}: {said:?}");
        }
        assert!(!explain("Access Denied").is_conclusive());
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
