//! What is kept of a failed call, and how it becomes an error with advice.

use super::Account;
use super::http::{Reach, innermost};
use super::skew::{self, Skew};
use crate::error::{Error, Kind, chain_of};
use crate::model::Side;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use std::time::{Duration, SystemTime};

/// The result of one AWS call.
pub type ApiResult<T> = Result<T, Box<ApiError>>;

/// The code of an answer that isn't the service's, though its status says that all went well.
pub(super) const UNUSABLE: &str = "UnusableAnswer";

/// How a call is refused that was signed at another time; S3's answer to HEAD is the bare status. `AccessDenied` comes after that.
const FOR_ITS_TIME: [&str; 7] = [
    "Http403",
    "RequestTimeTooSkewed",
    "RequestExpired",
    "RequestInTheFuture",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
];

/// A failed AWS call.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// IAM's name of the call, such as `iam:GetRole`.
    pub action: &'static str,
    /// The resource's ARN, or `*`.
    pub resource: String,
    /// Where it was tried.
    pub side: Side,
    /// The account's id.
    pub account: String,
    /// Who tried.
    pub caller: String,
    /// The profile that tried.
    pub profile: String,
    /// AWS's error code; a bare HTTP status of S3's HEAD answers is given as `Http404`.
    pub code: String,
    /// AWS's message, or the transport's.
    pub message: String,
    /// AWS's request id.
    pub request_id: Option<String>,
    /// `x-amz-bucket-region` of an S3 answer.
    pub bucket_region: Option<String>,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The profile gave no credentials at all.
    pub no_credentials: bool,
    /// The status says that all went well, but what came isn't an answer of the service's.
    pub is_unusable: bool,
    /// The clock here is so far from the service's that this may be why it refused.
    pub skew: Option<Skew>,
    /// The host that couldn't be reached, where that was all.
    pub reach: Option<Reach>,
}

impl ApiError {
    pub(super) fn new<E>(account: &Account, action: &'static str, resource: String, error: SdkError<E, HttpResponse>) -> Box<ApiError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let request_id = error.request_id().map(str::to_owned);
        let raw = error.raw_response();
        let status = raw.map(|raw| raw.status().as_u16());
        let bucket_region = raw.and_then(|raw| raw.headers().get("x-amz-bucket-region")).map(str::to_owned);
        let (mut code, mut message) = match &error {
            SdkError::ServiceError(service) => {
                (service.err().code().map(str::to_owned), service.err().message().map(str::to_owned).unwrap_or_default())
            }
            _ => (None, String::new()),
        };
        let is_unusable = code.is_none() && status.is_some_and(|status| (200..300).contains(&status));
        let reach = Reach::of(&error).filter(|reach| !reach.is_link_local());
        if let Some(reach) = &reach {
            message = format!("cannot reach {}: {}", reach.way(), reach.why);
        } else if message.is_empty() && (is_unusable || !matches!(error, SdkError::ServiceError(_))) {
            message = innermost(&error);
        }
        if is_unusable {
            code = Some(UNUSABLE.to_owned());
        }
        let credentials = credentials_error(&error).filter(|_| reach.is_none());
        if let Some(why) = credentials {
            code = Some("NoCredentials".to_owned());
            message = told_credentials(why);
        }
        if code.as_deref().is_none_or(str::is_empty) {
            code = status.map(|status| format!("Http{status}"));
        }
        let code = code.unwrap_or_else(|| "NoAnswer".to_owned());
        let date = raw.and_then(|raw| raw.headers().get("date")).filter(|_| FOR_ITS_TIME.contains(&code.as_str()));
        let skew = date.and_then(|date| Skew::of(date, SystemTime::now()));
        Box::new(ApiError {
            action,
            resource,
            side: account.side,
            account: account.id.clone(),
            caller: account.caller.to_string(),
            profile: account.profile.clone(),
            code,
            message,
            request_id,
            bucket_region,
            status,
            no_credentials: credentials.is_some(),
            is_unusable,
            skew,
            reach,
        })
    }

    /// Says whether AWS gave one of these codes.
    pub fn is(&self, codes: &[&str]) -> bool {
        codes.contains(&self.code.as_str())
    }

    /// Gives the name of the service that was asked.
    pub fn service(&self) -> &'static str {
        service_of(self.action)
    }

    /// Says whether the caller may not do this.
    pub fn is_denied(&self) -> bool {
        self.is(&["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Http403", "Forbidden", "AllAccessDisabled"])
    }

    /// Says whether the credentials themselves were refused.
    pub fn is_credentials(&self) -> bool {
        self.no_credentials
            || self.is(&[
                "ExpiredToken",
                "ExpiredTokenException",
                "RequestExpired",
                "InvalidClientTokenId",
                "InvalidAccessKeyId",
                "UnrecognizedClientException",
                "SignatureDoesNotMatch",
                "InvalidToken",
                "TokenRefreshRequired",
                "InvalidSignatureException",
                "IncompleteSignature",
            ])
    }

    /// One line: code and message as AWS gave them, with the request id; a denial that doesn't say what was denied (S3 never
    /// does) with that before it.
    pub fn told(&self) -> String {
        match self.is_denied() && missing(&self.message).is_none() {
            true => format!("{} on {}: {}", self.action, self.resource, self.as_given()),
            false => self.as_given(),
        }
    }

    pub(super) fn as_given(&self) -> String {
        let id = self.request_id.as_deref().map(|id| format!(" (request id {id})")).unwrap_or_default();
        if self.message.is_empty() { format!("{}{id}", self.code) } else { format!("{}: {}{id}", self.code, self.message) }
    }
}

/// Gives the name of the service that an action is of, such as `EventBridge`.
pub fn service_of(action: &str) -> &'static str {
    match action.split_once(':').map(|(service, _)| service) {
        Some("iam") => "IAM",
        Some("kms") => "KMS",
        Some("s3") => "S3",
        Some("events") => "EventBridge",
        Some("codepipeline") => "CodePipeline",
        Some("organizations") => "Organizations",
        Some("sts") => "STS",
        Some("ecs") => "ECS",
        _ => "AWS",
    }
}

/// Says why credentials that ran out could not be got again: our own words where we got them.
fn told_credentials(why: &(dyn std::error::Error + 'static)) -> String {
    let mut next = Some(why);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<Error>() {
            return [std::slice::from_ref(&error.message), &error.causes].concat().join(": ");
        }
        next = error.source();
    }
    chain_of(why).join(": ")
}

/// Finds why the profile gave no credentials, without what the SDK wraps around it.
fn credentials_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<CredentialsError>().is_some() {
            return Some(error);
        }
        next = error.source();
    }
    None
}

/// Gives the action and the resource that AWS's own message names: a call may need more permissions than the one it is called
/// after (`iam:CreatePolicy` with tags needs `iam:TagPolicy`), and the missing one is what must be allowed.
fn missing(message: &str) -> Option<(&str, Option<&str>)> {
    let rest = message.split_once("is not authorized to perform: ")?.1;
    let (action, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let named = action.contains(':') && action.chars().all(|c| c.is_ascii_alphanumeric() || c == ':' || c == '-');
    let resource = rest.split_once("on resource: ").and_then(|(_, rest)| rest.split(' ').next());
    named.then_some((action, resource.map(|resource| resource.trim_matches('"')).filter(|resource| resource.starts_with("arn:"))))
}

/// Says which host can't be reached, on which way, and what to look at.
pub(super) fn unreached(reach: &Reach, profile: &str, action: Option<&str>) -> Error {
    let why = match action {
        Some(action) => format!("{action} got no answer: {}", reach.why),
        None => reach.why.clone(),
    };
    let hint = match &reach.proxy {
        _ if reach.is_untrusted => {
            "name the certificates to trust, such as those of a proxy that opens TLS, with AWS_CA_BUNDLE or `ca_bundle` in the profile"
        }
        Some(_) => {
            "check that the proxy is the right one and lets this host through: user and password stand before its host, as in \
             `http://USER:PASSWORD@HOST:PORT`, and NO_PROXY lists what goes past it"
        }
        None => {
            "check the network, the region, and any AWS_ENDPOINT_URL variable or `endpoint_url` of the profile; HTTPS_PROXY names a proxy \
             where one is needed"
        }
    };
    Error::failed(format!("cannot reach {} with profile `{profile}`", reach.way())).because(why).hint(hint)
}

impl From<Box<ApiError>> for Error {
    fn from(error: Box<ApiError>) -> Error {
        if let Some(reach) = &error.reach {
            return unreached(reach, &error.profile, Some(error.action));
        }
        let what = format!("{} on {} failed in {} ({})", error.action, error.resource, error.side, error.account);
        if let Some(skew) = error.skew {
            return Error::failed(what).because(error.as_given()).because(skew.to_string()).hint(skew::HINT);
        }
        if error.is_credentials() {
            return Error::new(Kind::Credentials, what)
                .because(error.told())
                .hint(format!("renew the credentials of profile `{}` and run the same command again", error.profile));
        }
        if error.is_unusable {
            let told = format!(
                "{} on {} in {} ({}) got an answer that isn't one of {}'s",
                error.action,
                error.resource,
                error.side,
                error.account,
                error.service()
            );
            let is_read = error.action.split_once(':').is_some_and(|(_, operation)| super::answers::is_read(operation));
            let effect = if is_read { "nothing was changed on its word" } else { "whether it was done isn't known" };
            return Error::failed(told).because(error.message).hint(format!(
                "{effect}: look at what answers in the place of AWS, such as a proxy or what AWS_ENDPOINT_URL names, then run the same \
                 command again"
            ));
        }
        if error.is_denied() {
            let (action, resource) = missing(&error.message).unwrap_or((error.action, None));
            let resource = resource.unwrap_or(&error.resource);
            let statement = format!(r#"{{"Effect": "Allow", "Action": "{action}", "Resource": "{resource}"}}"#);
            return Error::new(
                Kind::Denied,
                format!("{} may not call {} on {} in {} ({})", error.caller, error.action, error.resource, error.side, error.account),
            )
            .because(error.as_given())
            .hint(format!("allow it in an identity policy of the caller: {statement}"))
            .hint("if the caller has it, look for a deny in the resource's own policy, a permissions boundary or an organisation policy");
        }
        let hint = match (error.code.as_str(), error.status) {
            ("NoAnswer", _) => {
                "check the network, the region and any AWS_ENDPOINT_URL variable, then run the same command again".to_owned()
            }
            (_, Some(status)) if status >= 500 => "AWS has a fault of its own; run the same command again in a while".to_owned(),
            ("LimitExceeded" | "LimitExceededException", _) => {
                "an AWS quota is used up; raise it or remove what is no longer needed, then run the same command again".to_owned()
            }
            _ => "mend what the message names and run the same command again: what is already done stays done".to_owned(),
        };
        Error::failed(what).because(error.told()).hint(hint)
    }
}

/// Turns the "not there" answers of a read into `None`.
///
/// # Errors
/// Any other failure.
pub fn present<T>(result: ApiResult<T>, absent: &[&str]) -> ApiResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is(absent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tries again while AWS hasn't settled, with growing pauses, up to a limit; says so the first time.
///
/// # Errors
/// The first error that `late` doesn't recognise, or the last one when the limit is reached.
pub async fn retry_while<T, F>(
    limit: Duration,
    late: impl Fn(&ApiError) -> bool,
    mut told: impl FnMut(&ApiError),
    mut attempt: impl FnMut() -> F,
) -> ApiResult<T>
where
    F: Future<Output = ApiResult<T>>,
{
    let started = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(500);
    let mut said = false;
    loop {
        match attempt().await {
            Err(error) if late(&error) && started.elapsed() + pause < limit => {
                if !said {
                    told(&error);
                    said = true;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(8));
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_right_is_the_one_that_aws_names() {
        let message = "User: arn:aws:iam::111111111111:user/me is not authorized to perform: iam:TagPolicy on resource: policy x because no identity-based policy allows the iam:TagPolicy action";
        assert_eq!(missing(message), Some(("iam:TagPolicy", None)));
        let message = "User: arn:aws:sts::111111111111:assumed-role/a/b is not authorized to perform: kms:TagResource on resource: arn:aws:kms:us-east-1:111111111111:key/* with an explicit deny";
        assert_eq!(missing(message), Some(("kms:TagResource", Some("arn:aws:kms:us-east-1:111111111111:key/*"))));
        assert_eq!(missing("Access Denied"), None);
        assert_eq!(missing("x is not authorized to perform: "), None);
    }

    #[test]
    fn a_denial_says_what_was_denied_even_where_aws_does_not() {
        let mut error = ApiError {
            action: "s3:GetBucketPolicy",
            resource: "arn:aws:s3:::b".to_owned(),
            side: Side::Dev,
            account: "111111111111".to_owned(),
            caller: "arn:aws:iam::111111111111:user/me".to_owned(),
            profile: "dev".to_owned(),
            code: "AccessDenied".to_owned(),
            message: "Access Denied".to_owned(),
            request_id: None,
            bucket_region: None,
            status: Some(403),
            no_credentials: false,
            is_unusable: false,
            skew: None,
            reach: None,
        };
        assert_eq!(error.told(), "s3:GetBucketPolicy on arn:aws:s3:::b: AccessDenied: Access Denied");
        "x is not authorized to perform: s3:GetBucketPolicy on resource: \"arn:aws:s3:::b\"".clone_into(&mut error.message);
        assert!(error.told().starts_with("AccessDenied: x is not"));
        "NoSuchBucket".clone_into(&mut error.code);
        "There is none".clone_into(&mut error.message);
        assert_eq!(error.told(), "NoSuchBucket: There is none");
    }
}
