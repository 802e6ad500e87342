//! What an error of AWS says, taken out of a text as people paste it: in whatever order, form and dress it comes, the same facts.

mod session;
mod text;

pub use session::SessionOwner;
pub use text::{plain, uncut};

use regex_lite::Regex;
use serde::Serialize;
use std::sync::LazyLock;
use text::{lines, pattern};

/// Who answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApiService {
    /// Amazon S3.
    S3,
    /// AWS KMS.
    Kms,
    /// AWS IAM.
    Iam,
    /// AWS STS.
    Sts,
    /// AWS CodePipeline.
    CodePipeline,
    /// AWS CodeBuild.
    CodeBuild,
    /// AWS CloudFormation.
    CloudFormation,
    /// Amazon EventBridge.
    EventBridge,
    /// Amazon ECS.
    Ecs,
    /// Another.
    Other,
}

/// Which kind of policy a denial names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyKind {
    /// The caller's own.
    Identity,
    /// The resource's: a bucket's, a key's, a role's trust policy.
    Resource,
    /// The caller's permissions boundary.
    Boundary,
    /// The policy that a session was made with.
    Session,
    /// A service control policy.
    ServiceControl,
    /// A resource control policy.
    ResourceControl,
    /// A VPC endpoint's.
    Endpoint,
}

/// Why a call was denied, where the message says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DenialReason {
    /// No policy of this kind allows it.
    NoAllow(PolicyKind),
    /// A policy of this kind denies it.
    ExplicitDeny(PolicyKind),
    /// S3 Block Public Access refuses a public policy.
    PublicPolicy,
}

/// What an error of AWS says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsMessage {
    /// The text on one line in lower case; a second time where a terminal may have cut words.
    pub texts: Vec<String>,
    /// Who answered, as far as the text says it.
    pub services: Vec<ApiService>,
    /// Error codes, as AWS spells them.
    pub codes: Vec<String>,
    /// What was called: `PutBucketPolicy`.
    pub operations: Vec<String>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The request's id.
    pub request_id: Option<String>,
    /// The ARN of who was denied.
    pub principal: Option<String>,
    /// The action that was denied, in IAM's words.
    pub action: Option<String>,
    /// What it was denied on.
    pub resource: Option<String>,
    /// Why.
    pub reason: Option<DenialReason>,
    /// It says that something was denied.
    pub denied: bool,
    /// The reason is in an encoded authorization message.
    pub encoded: bool,
    /// The name of the caller's session may go on where the text ends.
    cut: bool,
}

/// Error codes that are told from other words wherever they stand.
const CODES: [&str; 36] = [
    "AccessControlListNotSupported",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationHeaderMalformed",
    "ConfigurationError",
    "DisabledException",
    "IncorrectKeyException",
    "InternalError",
    "InvalidActionDeclarationException",
    "InvalidArnException",
    "InvalidBucketAclWithObjectOwnership",
    "InvalidKeyUsageException",
    "InvalidPolicyDocument",
    "InvalidStructureException",
    "JobFailed",
    "KMS.AccessDeniedException",
    "KMS.DisabledException",
    "KMS.KMSInvalidStateException",
    "KMS.NotFoundException",
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
    "KeyUnavailableException",
    "MalformedPolicy",
    "MalformedPolicyDocument",
    "MalformedPolicyDocumentException",
    "NoSuchBucket",
    "NoSuchEntity",
    "NoSuchKey",
    "NotFoundException",
    "ParamValidationError",
    "PermanentRedirect",
    "PermissionError",
    "PipelineNotFoundException",
    "UnauthorizedOperation",
    "ValidationException",
];

/// The services whose operations these are.
const OPERATIONS: [(ApiService, &[&str]); 7] = [
    (
        ApiService::S3,
        &[
            "PutBucketPolicy",
            "PutObject",
            "GetObject",
            "HeadObject",
            "HeadBucket",
            "CopyObject",
            "UploadPart",
            "CreateMultipartUpload",
            "CompleteMultipartUpload",
            "ListObjects",
            "ListObjectsV2",
            "GetObjectTagging",
            "PutObjectTagging",
            "PutObjectAcl",
            "GetBucketLocation",
            "GetBucketVersioning",
            "GetBucketAcl",
            "GetBucketPolicy",
            "CreateBucket",
            "DeleteObject",
        ],
    ),
    (
        ApiService::Kms,
        &[
            "PutKeyPolicy",
            "CreateKey",
            "Decrypt",
            "Encrypt",
            "GenerateDataKey",
            "GenerateDataKeyWithoutPlaintext",
            "ReEncrypt",
            "DescribeKey",
            "ReplicateKey",
        ],
    ),
    (
        ApiService::Iam,
        &["CreateRole", "UpdateAssumeRolePolicy", "PutRolePolicy", "CreatePolicy", "CreatePolicyVersion", "AttachRolePolicy", "GetRole"],
    ),
    (ApiService::Sts, &["AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"]),
    (ApiService::CodePipeline, &["CreatePipeline", "UpdatePipeline", "GetPipeline", "StartPipelineExecution"]),
    (ApiService::Ecs, &["RunTask", "StartTask", "CreateService", "UpdateService", "RegisterTaskDefinition"]),
    (ApiService::EventBridge, &["PutRule", "PutTargets"]),
];

/// Where a text names a service, in its group `service`.
static SERVICES: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    vec![
        pattern(r"(?i)\(?\bservice: ?(?<service>[a-z0-9 ]+?)[;,)]"),
        pattern(r"(?i)\boperation error (?<service>[a-z0-9 ]+?):"),
        pattern(r"(?i)\b(?:com\.amazonaws|software\.amazon\.awssdk)\.services\.(?<service>[a-z0-9]+)"),
        pattern(r"(?i)\baws::(?<service>[a-z0-9]+)::"),
        pattern(r"(?i)\bamazon\.(?<service>[a-z0-9]+)\.amazon"),
        pattern(r"(?i)@aws-sdk/client-(?<service>[a-z0-9-]+)"),
        pattern(r"(?i)/aws-sdk/lib/services/(?<service>[a-z0-9]+)\.js"),
        pattern(r"(?i)\baws_sdk_(?<service>[a-z0-9]+)"),
        pattern(r#"(?i)"?event_?source"?\s*[:=]\s*"?(?<service>[a-z0-9]+)\.amazonaws\.com"#),
        pattern(r#"(?i)on "https?://(?:[a-z0-9.-]+\.)?(?<service>s3|kms|iam|sts|codepipeline|events|ecs)[a-z0-9.-]*\.amazonaws\.com"#),
        pattern(r"(?i)\berror: (?<service>amazon s3):"),
        pattern(r"(?i)\bapi: (?<service>[a-z0-9]+):[a-z]"),
        pattern(r"(?i)\b(?:putting|setting|creating|updating|reading|deleting) (?<service>s3|kms|iam|codepipeline|eventbridge)\b"),
        pattern(r"(?i)\b(?<service>kms)\.[a-z]+exception\b"),
        pattern(
            r"(?i)\b(?<service>ecr|eks|lambda|dynamodb|sqs|sns|logs|ssm|secretsmanager|ec2|cloudformation)\.[a-z0-9-]+\.amazonaws\.com",
        ),
    ]
});

/// Where a text names an operation, in its group `operation`.
static CALLS: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    vec![
        pattern(r"(?i)\bwhen calling the (?<operation>[a-z0-9]+) operation"),
        pattern(r"(?i)\boperation error [a-z0-9 ]+: (?<operation>[a-z0-9]+)[,:]"),
        pattern(r#"(?i)\berror executing "(?<operation>[a-z0-9]+)" on "#),
        pattern(r#"(?i)"?event_?name"?\s*[:=]\s*"?(?<operation>[a-z0-9]+)"#),
        pattern(r"(?i)\bapi: [a-z0-9]+:(?<operation>[a-z0-9]+)"),
        pattern(r"(?i)\bde_(?<operation>[a-z0-9]+)commanderror\b"),
        pattern(r"(?i)\bfailed on the following [a-z0-9 ]+ operation: (?<operation>[a-z0-9]+)"),
        pattern(r"(?i)\bcall (?:s3|kms|iam)[.:](?<operation>[a-z]+)\b"),
    ]
});

static BUCKET_POLICY: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"(?i)\b(?:putting|setting) s3 (?:bucket\b.{0,80}?\bpolicy|policy|bucket \([^)]*\))"));
static STATUS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r#"(?i)(?:status ?code"?|\bstatus|http status)\s*[:=]?\s*"?(?<status>[1-5]\d\d)\b|\berror occurred \((?<code>[345]\d\d)\)|\((?<bare>[345]\d\d)\)"#,
    )
});
static REQUEST: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r#"(?i)\brequest ?id"?\s*[:=]\s*["']?(?<id>[a-z0-9-]{8,64})"#));
/// Who, as the sentence and as CloudTrail's events say it.
static PRINCIPAL: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    vec![
        pattern(r#"(?i)\buser:? "?(?<arn>arn:[^\s"',;]+)"#),
        pattern(r#"(?i)(?<arn>arn:[^\s"',;]+)"?:? (?:is not|isn't) authorized"#),
        pattern(r#"(?i)(?<arn>arn:[a-z-]+:(?:sts|iam)::[0-9]*:(?:assumed-role/|user/|federated-user/|root\b)[^\s"',;()]*)"#),
    ]
});
static ACTION: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    vec![
        pattern(r#"(?i)(?:not|n't) authorized to perform:? ?(?:the )?(?:action )?"?(?<action>[a-z][a-z0-9-]*:[a-z*]+)"#),
        pattern(r"(?i)(?:allows the|perform:?) (?<action>[a-z][a-z0-9-]*:[a-z*]+)"),
    ]
});
static ASSUMES: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"(?i)(?:not|n't) authorized to (?:perform:? ?)?assume ?role\b"));
static RESOURCE: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r#"(?i)\bon (?:the )?(?:resource|role):? ?"?(?<resource>(?:arn:|\*)[^\s"',;)]*)"#));
static NO_ALLOW: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"\bbecause no (?<kind>[a-z -]+?) (?:polic(?:y|ies) )?(?:allow|permit)|\bbecause no (?<cut>identity|resource|session|permissions|service control|resource control|vpc endpoint)\b",
    )
});
static DENY: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"\bexplicit(?:ly)? den(?:y|ied) (?:in|by) (?:an? |the )?(?<kind>[a-z -]+)"));
static PUBLIC: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"\bpublic (?:bucket )?policies are (?:prevented|blocked)|\bblockpublicpolicy\b"));
static DENIED: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"access ?denied|access has been denied|(?:not|n't) authorized|\bforbidden\b|\b403\b|unauthorizedoperation"));
static NOTHING_ELSE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"^(?:error|code|message|exception|api|\W)*access ?denied(?:exception)?(?:error|message|access ?denied|\W)*$")
});
static ARN: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"\barn:aws[a-z-]*:|\.amazonaws\.com|\bbotocore\b|\baws-sdk\b|\baws_request_id\b|\bx-amz-"));
/// S3's second id of a request, which no other service has.
static HOST_ID: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"(?i)\bhost ?id\b|\bextended request id\b"));

fn service(name: &str) -> ApiService {
    let plain: String = name.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.trim_start_matches("amazon").trim_start_matches("aws") {
        "s3" | "simplestorageservice" => ApiService::S3,
        "kms" | "keymanagementservice" => ApiService::Kms,
        "iam" | "identitymanagement" | "identityandaccessmanagement" => ApiService::Iam,
        "sts" | "securitytoken" | "securitytokenservice" => ApiService::Sts,
        "codepipeline" => ApiService::CodePipeline,
        "codebuild" => ApiService::CodeBuild,
        "cloudformation" => ApiService::CloudFormation,
        "cloudwatchevents" | "events" | "eventbridge" => ApiService::EventBridge,
        "ecs" => ApiService::Ecs,
        _ => ApiService::Other,
    }
}

fn kind(words: &str) -> Option<PolicyKind> {
    let of = [
        ("service control", PolicyKind::ServiceControl),
        ("resource control", PolicyKind::ResourceControl),
        ("service contr", PolicyKind::ServiceControl),
        ("resource contr", PolicyKind::ResourceControl),
        ("permissions boundar", PolicyKind::Boundary),
        ("permission boundar", PolicyKind::Boundary),
        ("permissions", PolicyKind::Boundary),
        ("vpc endpoint", PolicyKind::Endpoint),
        ("session", PolicyKind::Session),
        ("identity", PolicyKind::Identity),
        ("resource", PolicyKind::Resource),
        ("scp", PolicyKind::ServiceControl),
        ("rcp", PolicyKind::ResourceControl),
    ];
    of.into_iter().find(|(start, _)| words.starts_with(start)).map(|(_, kind)| kind)
}

/// Finds a word that stands alone.
fn has_word(text: &str, word: &str) -> bool {
    let of_word = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    text.match_indices(word).any(|(at, _)| !of_word(text[..at].chars().next_back()) && !of_word(text[at + word.len()..].chars().next()))
}

fn first<'t>(patterns: &[Option<Regex>], group: &str, text: &'t str) -> Option<regex_lite::Match<'t>> {
    patterns.iter().flatten().find_map(|pattern| pattern.captures(text)?.name(group))
}

fn push<T: PartialEq>(list: &mut Vec<T>, one: T) {
    if !list.contains(&one) {
        list.push(one);
    }
}

fn reason(text: &str) -> Option<DenialReason> {
    let of = |pattern: &LazyLock<Option<Regex>>, group: &str| {
        pattern.as_ref().and_then(|pattern| pattern.captures(text)).and_then(|found| kind(found.name(group)?.as_str()))
    };
    if PUBLIC.as_ref().is_some_and(|public| public.is_match(text)) {
        return Some(DenialReason::PublicPolicy);
    }
    let no_allow = of(&NO_ALLOW, "kind").or_else(|| of(&NO_ALLOW, "cut")).map(DenialReason::NoAllow);
    no_allow.or_else(|| of(&DENY, "kind").map(DenialReason::ExplicitDeny))
}

impl AwsMessage {
    /// Reads a text.
    pub fn read(text: &str) -> AwsMessage {
        let views = lines(text);
        let mut message = AwsMessage::default();
        for view in &views {
            message.add(view);
        }
        message.services.sort_unstable();
        message
    }

    /// Adds what one view of the text says. What the first said stays: it is the one that mended what was cut.
    fn add(&mut self, view: &str) {
        let lower = view.to_lowercase();
        for pattern in SERVICES.iter().flatten() {
            for found in pattern.captures_iter(view) {
                push(&mut self.services, service(found.name("service").map_or("", |name| name.as_str())));
            }
        }
        for found in CALLS.iter().flatten().flat_map(|pattern| pattern.captures_iter(view)) {
            let name = found.name("operation").map_or("", |name| name.as_str());
            let known =
                OPERATIONS.iter().find_map(|(service, all)| Some((*service, *all.iter().find(|one| one.eq_ignore_ascii_case(name))?)));
            push(&mut self.operations, known.map_or(name, |(_, name)| name).to_owned());
            push(&mut self.services, known.map_or(ApiService::Other, |(service, _)| service));
        }
        if self.services.is_empty() && HOST_ID.as_ref().is_some_and(|pattern| pattern.is_match(view)) {
            push(&mut self.services, ApiService::S3);
        }
        if BUCKET_POLICY.as_ref().is_some_and(|pattern| pattern.is_match(view)) {
            push(&mut self.operations, "PutBucketPolicy".to_owned());
        }
        // Where capitals are lost any will do; elsewhere `access` and `denied` of two lines are no code.
        let capitals = view.contains(char::is_lowercase) && view.contains(char::is_uppercase);
        let named = |code: &&&str| if capitals { has_word(view, code) } else { has_word(&lower, &code.to_ascii_lowercase()) };
        for code in CODES.iter().filter(named) {
            push(&mut self.codes, (*code).to_owned());
        }
        let taken = |pattern: &LazyLock<Option<Regex>>, groups: &[&str]| {
            let found = pattern.as_ref().and_then(|pattern| pattern.captures(view))?;
            groups.iter().find_map(|group| Some(found.name(group)?.as_str().to_owned()))
        };
        self.status = self.status.or_else(|| taken(&STATUS, &["status", "code", "bare"])?.parse().ok());
        self.request_id = self.request_id.take().or_else(|| taken(&REQUEST, &["id"]));
        if self.principal.is_none() {
            let arn = first(&PRINCIPAL, "arn", view);
            self.cut = arn.is_some_and(|arn| arn.end() == view.len() || arn.as_str().ends_with(['…', '.']));
            self.principal =
                arn.map(|arn| arn.as_str().trim_end_matches(['.', ':', '…', ')', ']', '}', '>']).to_owned()).filter(|arn| !arn.is_empty());
        }
        if self.action.is_none() {
            let assumes = ASSUMES.as_ref().is_some_and(|pattern| pattern.is_match(view));
            self.action = first(&ACTION, "action", view)
                .map(|action| action.as_str().to_owned())
                .or_else(|| assumes.then(|| "sts:AssumeRole".to_owned()));
        }
        let resource = || taken(&RESOURCE, &["resource"]).map(|arn| arn.trim_end_matches(['.', '…', ':']).to_owned());
        self.resource = self.resource.take().or_else(resource).filter(|arn| !arn.is_empty());
        self.reason = self.reason.or_else(|| reason(&lower));
        self.denied |= DENIED.as_ref().is_some_and(|pattern| pattern.is_match(&lower));
        self.encoded |= lower.contains("encoded authorization");
        self.texts.push(lower);
    }

    /// Says whether it has one of these error codes.
    pub fn has_code(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.iter().any(|wanted| wanted.eq_ignore_ascii_case(code)))
    }

    /// Says whether one of these was called.
    pub fn calls(&self, operations: &[&str]) -> bool {
        self.operations.iter().any(|operation| operations.iter().any(|wanted| wanted.eq_ignore_ascii_case(operation)))
    }

    /// Says whether the denied action is one of these; one that the text cuts off is what it may be.
    pub fn denies(&self, actions: &[&str]) -> bool {
        let Some(action) = self.action.as_deref() else { return false };
        let ended = self.texts.first().is_some_and(|text| text.trim_end_matches(['…', '.', ' ']).ends_with(&action.to_ascii_lowercase()));
        actions.iter().any(|wanted| {
            let start = wanted.get(..action.len()).is_some_and(|start| start.eq_ignore_ascii_case(action));
            start && (wanted.len() == action.len() || ended && action.len() * 4 >= wanted.len() * 3)
        })
    }

    /// Says whether it may be one of these services' message: it is, or the text names none.
    pub fn may_be_of(&self, services: &[ApiService]) -> bool {
        self.services.is_empty() || self.services.iter().any(|service| services.contains(service))
    }

    /// Says whether it is AWS's at all.
    pub fn is_of_aws(&self) -> bool {
        let named = ARN.as_ref().is_some_and(|arn| self.texts.iter().any(|text| arn.is_match(text)));
        named || !self.services.is_empty() || !self.codes.is_empty()
    }

    /// Says whether the text has nothing to say but that something was denied.
    pub fn says_only_denied(&self) -> bool {
        NOTHING_ELSE.as_ref().is_some_and(|pattern| self.texts.iter().any(|text| pattern.is_match(text)))
    }

    /// Gives the role of the caller's session, and the session's name.
    pub fn session(&self) -> Option<(&str, &str)> {
        let (_, rest) = self.principal.as_deref()?.split_once(":assumed-role/")?;
        Some(rest.split_once('/').unwrap_or((rest, "")))
    }

    /// Says whose session was denied; `None` where the text names none.
    pub fn session_owner(&self) -> Option<SessionOwner> {
        let (role, session) = self.session().filter(|(_, session)| !session.is_empty())?;
        Some(SessionOwner::of(session, role, self.action.as_deref(), self.cut))
    }

    /// Gives the name of the role that was denied, by its session or by its own ARN.
    pub fn role(&self) -> Option<&str> {
        let own = || self.principal.as_deref().and_then(|arn| arn.split_once(":role/")).and_then(|(_, path)| path.rsplit('/').next());
        self.session().map(|(role, _)| role).or_else(own).filter(|role| !role.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_pattern_compiles() {
        assert!([&SERVICES, &CALLS, &PRINCIPAL, &ACTION].iter().all(|all| all.iter().all(Option::is_some)));
        let single =
            [&BUCKET_POLICY, &STATUS, &REQUEST, &ASSUMES, &RESOURCE, &NO_ALLOW, &DENY, &PUBLIC, &DENIED, &NOTHING_ELSE, &ARN, &HOST_ID];
        assert!(single.iter().all(|pattern| pattern.is_some()));
    }

    #[test]
    fn a_message_is_taken_apart() {
        let says = "An error occurred (AccessDenied) when calling the PutObject operation: User: arn:aws:sts::111111111111:assumed-role/codebuild-web/AWSCodeBuild-8f9dbf1a is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::b/k\" because no identity-based policy allows the s3:PutObject action (Service: S3, Status Code: 403, Request ID: P93EQDAT9W9CQ1Q9)";
        let message = AwsMessage::read(says);
        assert_eq!((message.services.as_slice(), message.status), (&[ApiService::S3][..], Some(403)));
        assert_eq!(
            (message.operations.as_slice(), message.codes.as_slice()),
            (&["PutObject".to_owned()][..], &["AccessDenied".to_owned()][..])
        );
        assert_eq!((message.action.as_deref(), message.resource.as_deref()), (Some("s3:PutObject"), Some("arn:aws:s3:::b/k")));
        assert_eq!(message.session(), Some(("codebuild-web", "AWSCodeBuild-8f9dbf1a")));
        assert_eq!((message.session_owner(), message.role()), (Some(SessionOwner::CodeBuild), Some("codebuild-web")));
        assert_eq!((message.reason, message.denied), (Some(DenialReason::NoAllow(PolicyKind::Identity)), true));
        assert_eq!(message.request_id.as_deref(), Some("P93EQDAT9W9CQ1Q9"));
    }

    #[test]
    fn every_reason_that_aws_gives_is_known() {
        use DenialReason::{ExplicitDeny, NoAllow, PublicPolicy};
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
        for (text, wanted) in [
            ("because no service control policy allows the s3:GetObject action", NoAllow(PolicyKind::ServiceControl)),
            ("with an explicit deny in a service control policy", ExplicitDeny(PolicyKind::ServiceControl)),
            ("because no resource control policy allows the s3:GetObject action", NoAllow(PolicyKind::ResourceControl)),
            ("with an explicit deny in a resource control policy", ExplicitDeny(PolicyKind::ResourceControl)),
            ("because no VPC endpoint policy allows the s3:GetObject action", NoAllow(PolicyKind::Endpoint)),
            ("with an explicit deny in a VPC endpoint policy", ExplicitDeny(PolicyKind::Endpoint)),
            ("because no permissions boundary allows the s3:GetObject action", NoAllow(PolicyKind::Boundary)),
            ("with an explicit deny in a permissions boundary", ExplicitDeny(PolicyKind::Boundary)),
            ("because no session policy allows the s3:GetObject action", NoAllow(PolicyKind::Session)),
            ("with an explicit deny in a session policy", ExplicitDeny(PolicyKind::Session)),
            ("because no resource-based policy allows the s3:GetObject action", NoAllow(PolicyKind::Resource)),
            ("with an explicit deny in a resource-based policy", ExplicitDeny(PolicyKind::Resource)),
            ("because no identity-based policy allows the s3:GetObject action", NoAllow(PolicyKind::Identity)),
            ("with an explicit deny in an identity-based policy", ExplicitDeny(PolicyKind::Identity)),
            ("because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access", PublicPolicy),
        ] {
            assert_eq!(AwsMessage::read(text).reason, Some(wanted), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "(arn:aws:sts::1:assumed-role/|not authorized to perform: |\\(Service: |explicit deny in a |…|\n|\\PC){0,12}") {
            let message = AwsMessage::read(&text);
            let _ = (message.session_owner(), message.role(), message.denies(&["s3:PutObject"]), message.says_only_denied());
        }
    }
}
