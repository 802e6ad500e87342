//! Says whose a session is: each service names the sessions of the roles that it takes on in its own way.

use serde::Serialize;

/// Who took a role on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionOwner {
    /// A task of ECS: its id (facts/ecs.md C.1).
    Task,
    /// An instance of EC2: its id.
    Instance,
    /// A managed instance of Systems Manager, as an ECS Anywhere host is.
    ManagedInstance,
    /// CodePipeline: milliseconds since 1970 (facts A.1).
    CodePipeline,
    /// A build of CodeBuild: `AWSCodeBuild-` and a UUID.
    CodeBuild,
    /// CloudFormation.
    CloudFormation,
    /// A target of EventBridge: 32 hexadecimal digits, as a task's.
    EventBridge,
    /// Somebody else: a person, an SDK, another service.
    Other,
}

/// How short a cut name may be and still tell.
const SHORTEST: usize = 8;

/// What EventBridge does with a target's role and applications hardly do.
const OF_EVENTS: [&str; 6] = [
    "codepipeline:startpipelineexecution",
    "codebuild:startbuild",
    "ecs:runtask",
    "states:startexecution",
    "events:putevents",
    "batch:submitjob",
];

/// How the consoles, the CDK and CodePipeline name such roles.
const EVENT_ROLES: [&str; 5] = ["cwe-role-", "amazon_eventbridge_invoke_", "aws_events_invoke_", "eventsrole", "events-role"];

fn hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Task ids are 32 hexadecimal digits, or a UUID for the short ARNs of old.
fn names_task(session: &str, cut: bool) -> bool {
    let plain: String = session.split('-').collect();
    let whole = plain.len() == 32 && (session.len() == 32 || session.len() == 36);
    hexadecimal(&plain) && (whole || cut && (SHORTEST..32).contains(&plain.len()) && plain.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

impl SessionOwner {
    /// Tells by a session's name, with the role and the action beside it where the name alone leaves it open. `cut` says that the
    /// text ends within the name.
    pub fn of(session: &str, role: &str, action: Option<&str>, cut: bool) -> SessionOwner {
        let id = |prefix: &str, lengths: std::ops::RangeInclusive<usize>| {
            let id = session.strip_prefix(prefix);
            id.is_some_and(|id| hexadecimal(id) && (lengths.contains(&id.len()) || cut && (1..*lengths.end()).contains(&id.len())))
        };
        let digits = session.bytes().all(|byte| byte.is_ascii_digit());
        if session.get(..13).is_some_and(|name| name.eq_ignore_ascii_case("AWSCodeBuild-")) {
            return SessionOwner::CodeBuild;
        }
        if session.eq_ignore_ascii_case("AWSCloudFormation") {
            return SessionOwner::CloudFormation;
        }
        if id("i-", 8..=17) {
            return SessionOwner::Instance;
        }
        if id("mi-", 17..=17) {
            return SessionOwner::ManagedInstance;
        }
        if digits && (session.len() == 13 || cut && (SHORTEST..13).contains(&session.len())) {
            return SessionOwner::CodePipeline;
        }
        if names_task(session, cut) {
            let role = role.to_ascii_lowercase();
            let of_events = EVENT_ROLES.iter().any(|name| role.contains(name))
                || action.is_some_and(|action| OF_EVENTS.contains(&action.to_ascii_lowercase().as_str()));
            return if of_events && !session.contains('-') { SessionOwner::EventBridge } else { SessionOwner::Task };
        }
        SessionOwner::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_s_name_tells_whose_it_is() {
        use SessionOwner::*;
        for (session, owner) in [
            ("i-0abcdef1234567890", Instance),
            ("i-0abcdef1", Instance),
            ("mi-0abcdef1234567890", ManagedInstance),
            ("0123456789abcdef0123456789abcdef", Task),
            ("01234567-89ab-cdef-0123-456789abcdef", Task),
            ("1790620314627", CodePipeline),
            ("AWSCodeBuild-8f9dbf1a-58a2-4bc8-b9a5-6d4b36a8fd0f", CodeBuild),
            ("AWSCodeBuild-8f9", CodeBuild),
            ("AWSCloudFormation", CloudFormation),
            ("i-am-somebody", Other),
            ("ann@example.com", Other),
            ("botocore-session-1767225600", Other),
            ("12345", Other),
        ] {
            assert_eq!(SessionOwner::of(session, "r", None, false), owner, "{session}");
        }
        for (session, owner) in
            [("i-0abc", Instance), ("mi-0a", ManagedInstance), ("0123456789ab", Task), ("17672256000", CodePipeline), ("ann", Other)]
        {
            assert_eq!(SessionOwner::of(session, "r", None, true), owner, "{session}");
        }
        let hex = "ae48e92617b5f5c7f22e502be8dd8d16";
        assert_eq!(SessionOwner::of(hex, "cwe-role-us-east-1-web", Some("s3:GetObject"), false), EventBridge);
        assert_eq!(SessionOwner::of(hex, "start", Some("codepipeline:StartPipelineExecution"), false), EventBridge);
        assert_eq!(SessionOwner::of(hex, "app", Some("s3:GetObject"), false), Task);
    }
}
