//! What is known of a request's condition keys by who calls, from the "Availability" of each key in IAM's guide: for each key
//! whether it is there, and what it is.
//!
//! The sources: `reference_policies_condition-keys` (the keys that begin with `aws:`, and those that services put into the sessions of
//! their own roles), `reference_policies_iam-condition-keys` (`sts:`, `saml:`, those of identity providers), the S3 and KMS pages
//! `list_amazons3` and `conditions-kms` of their own keys; facts F.2, F.3 and G.5 where AWS's pages leave it to the service.
//! What stands in no row, or has `None`, is not known.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// How a caller came to its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    /// An AWS service as itself.
    Service,
    /// A role's session that a service made for itself.
    ServiceSession,
    /// A role's session that such a session made (role chaining).
    ChainedSession,
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It isn't in the request.
    Absent,
    /// It is this.
    Is(&'static str),
    /// It isn't in the request, or it is this.
    AbsentOr(&'static str),
    /// It is there, and a moment later than the one at which the accounts were read: a session yet to come, a call yet to be made.
    Later,
}

use Known::{Absent, AbsentOr, Is, Later};

/// A key, or the beginning of keys if it ends with a star, in lower case; then what it is for a service, a service's session and a
/// chained one.
type Row = (&'static str, Option<Known>, Option<Known>, Option<Known>);

/// A row for a key that no caller of these has.
const fn never(key: &'static str) -> Row {
    (key, Some(Absent), Some(Absent), Some(Absent))
}

/// A row for a key that only a service as itself may have.
const fn services_own(key: &'static str) -> Row {
    (key, None, Some(Absent), Some(Absent))
}

const ROWS: &[Row] = &[
    // "Only when the call to your resource is being made directly by an AWS service principal."
    services_own("aws:sourcearn"),
    services_own("aws:sourceaccount"),
    services_own("aws:sourceorgid"),
    services_own("aws:sourceorgpaths"),
    services_own("aws:principalservicename"),
    services_own("aws:principalservicenameslist"),
    ("aws:principalisawsservice", Some(Is("true")), Some(Is("false")), Some(Is("false"))),
    ("aws:principaltype", None, Some(Is("AssumedRole")), Some(Is("AssumedRole"))),
    // "If the principal is using an IAM user … a role": a role's are read with the role.
    ("aws:principaltag/*", Some(Absent), None, None),
    // "Requests that are made using … IAM roles do not include this key."
    never("aws:username"),
    // "Only when the principal uses temporary credentials."
    ("aws:tokenissuetime", None, Some(Later), Some(Later)),
    // A service has no device (facts G.5). For a chained session AWS's page leaves open whether the key is missing or `false`.
    ("aws:multifactorauthpresent", Some(Absent), Some(Absent), Some(AbsentOr("false"))),
    never("aws:multifactorauthage"),
    // Of sessions made another way: by AssumeRoot, by an identity provider, for a chat, an instance, a function, a job, a person.
    never("aws:assumedroot"),
    never("aws:federatedprovider"),
    never("aws:chatbotsourcearn"),
    never("aws:ec2instancesourcevpc"),
    never("aws:ec2instancesourceprivateipv4"),
    never("ec2:roledelivery"),
    never("ec2:sourceinstancearn"),
    never("glue:roleassumedby"),
    never("glue:credentialissuingservice"),
    never("lambda:sourcefunctionarn"),
    never("ssm:sourceinstancearn"),
    never("identitystore:userid"),
    never("saml:*"),
    // Who sets a source identity or tags a session needs sts:SetSourceIdentity or sts:TagSession in the trust policy, and the one that
    // AWS documents for CodePipeline and for its actions' roles has neither (facts A.1, F.2).
    never("aws:sourceidentity"),
    never("sts:sourceidentity"),
    never("sts:transitivetagkeys"),
    // Facts F.2: CodePipeline can't send one.
    never("sts:externalid"),
    // Of other calls of STS: AssumeRoot, GetFederationToken, GetServiceBearerToken.
    never("sts:taskpolicyarn"),
    never("sts:awsservicename"),
    never("sts:durationseconds"),
    // "Not included for programmatic requests."
    never("aws:referer"),
    // "Always included." The call is made after the reading.
    ("aws:currenttime", Some(Later), Some(Later), Some(Later)),
    ("aws:epochtime", Some(Later), Some(Later), Some(Later)),
];

/// Those that hold unless S3 makes the call for the caller (forward access session).
const DIRECT: &[Row] = &[
    // "Not present if the service uses a service role", "nor when the principal makes the call directly".
    never("aws:calledvia"),
    never("aws:calledviafirst"),
    never("aws:calledvialast"),
    ("aws:viaawsservice", Some(Is("false")), Some(Is("false")), Some(Is("false"))),
];

/// Those of calls that S3 makes to KMS for the caller.
const BY_S3: &[Row] = &[
    // "Uses forward access sessions to make a request on behalf of the original IAM principal": so S3 asks KMS (KMS-ViaService).
    ("aws:viaawsservice", None, Some(Is("true")), Some(Is("true"))),
    // S3 sends no other encryption context than the object's or bucket's ARN (S3-KMS), which is known where the bucket is.
    ("kms:encryptioncontext:aws:s3:arn", None, None, None),
    never("kms:encryptioncontext:*"),
];

/// Those of S3's reads: headers that only writes have, and parameters that only lists have.
const S3_READS: &[Row] = &[
    never("s3:x-amz-acl"),
    never("s3:x-amz-copy-source"),
    never("s3:x-amz-grant-*"),
    never("s3:x-amz-metadata-directive"),
    never("s3:x-amz-server-side-encryption*"),
    never("s3:x-amz-storage-class"),
    never("s3:x-amz-website-redirect-location"),
    never("s3:object-lock-*"),
    never("s3:requestobjecttag*"),
];

/// Those of every call of S3 that the chain makes: it lists nothing, and names buckets and no access points.
const S3: &[Row] = &[
    never("s3:prefix"),
    never("s3:delimiter"),
    never("s3:max-keys"),
    never("s3:locationconstraint"),
    never("s3:dataaccesspointarn"),
    never("s3:dataaccesspointaccount"),
    never("s3:accesspointnetworkorigin"),
];

/// Those of every call of KMS that the chain makes: about no grant, from no enclave.
const KMS: &[Row] = &[
    never("kms:grantisforawsresource"),
    never("kms:granteeprincipal"),
    never("kms:grantoperations"),
    never("kms:grantconstrainttype"),
    never("kms:retiringprincipal"),
    never("kms:recipientattestation:*"),
    never("aws:requesttag/*"),
    never("aws:tagkeys"),
];

/// Those of calls that bring no tags and are about no tags.
const UNTAGGED: &[Row] = &[never("aws:requesttag/*"), never("aws:tagkeys")];

/// A moment that is past for whoever runs this, in seconds since 1970: 2026-11-30, when it was written.
pub const WRITTEN: u64 = 1_795_996_800;

/// What of a call decides about the keys that it has.
#[derive(Debug, Clone, Copy)]
pub struct KeysOfCall<'a> {
    /// Who makes it.
    pub caller: CallerKind,
    /// IAM's name of the action.
    pub action: &'a str,
    /// S3 makes it for the caller.
    pub by_s3: bool,
    /// It is one of a pipeline, of which more is known than of an application's.
    pub of_pipeline: bool,
}

impl KeysOfCall<'_> {
    fn tables(self) -> impl Iterator<Item = &'static [Row]> {
        let is = |service: &str| self.action.starts_with(service);
        let reads = is("s3:Get") || is("s3:List") || is("s3:Head");
        [
            Some(ROWS),
            self.by_s3.then_some(BY_S3),
            // An application's call to KMS may be made by another service for it.
            (!self.by_s3 && (self.of_pipeline || !is("kms:"))).then_some(DIRECT),
            (self.of_pipeline && is("s3:")).then_some(S3),
            (self.of_pipeline && reads).then_some(S3_READS),
            (self.of_pipeline && is("kms:")).then_some(KMS),
            (self.of_pipeline && (is("sts:") || is("codepipeline:"))).then_some(UNTAGGED),
        ]
        .into_iter()
        .flatten()
    }

    /// Puts into a request's context what is known of the keys that are asked for and that it doesn't have, and gives the others as
    /// `unknownContext` takes them.
    pub fn complete(self, asked: &BTreeSet<String>, context: &mut Map<String, Value>) -> Vec<Value> {
        let mut unknown = Vec::new();
        for key in asked {
            if context.keys().any(|own| own.eq_ignore_ascii_case(key)) {
                continue;
            }
            match self.known(key) {
                Some(Absent) => {}
                Some(Is(text)) => {
                    context.insert(key.clone(), json!(text));
                }
                Some(Later) => unknown.push(json!({"key": key, "after": WRITTEN.to_string()})),
                Some(AbsentOr(_)) | None => unknown.push(json!(key)),
            }
        }
        unknown
    }

    /// Gives what is known of a key, in lower case, for this call.
    pub fn known(self, key: &str) -> Option<Known> {
        // An identity provider's keys begin with its host: nobody here came from one.
        let of_provider = key.split_once(':').is_some_and(|(prefix, _)| prefix.contains('.'));
        if of_provider {
            return Some(Absent);
        }
        let is = |name: &str| name.strip_suffix('*').map_or(name == key, |start| key.starts_with(start));
        let row = self.tables().flatten().find(|(name, ..)| is(name))?;
        match self.caller {
            CallerKind::Service => row.1,
            CallerKind::ServiceSession => row.2,
            CallerKind::ChainedSession => row.3,
        }
    }
}

/// Says what is likely of a key that isn't known, where something is.
pub fn likely_of_key(key: &str) -> Option<&'static str> {
    const NETWORK: [&str; 7] = [
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:vpcsourceip",
        "aws:sourceip",
        "aws:vpceaccount",
        "aws:vpceorgid",
        "aws:vpceorgpaths",
    ];
    // Facts G.5, A.2 row 4; that it holds of every call is inferred, so it stays unknown.
    let text = "CodePipeline's own calls come by AWS's internal endpoint and not through yours, so this is probably not your network";
    NETWORK.contains(&key.to_ascii_lowercase().as_str()).then_some(text)
}

impl Known {
    /// Gives the values that the key may have, null for absence; none for a moment that isn't known.
    pub fn values(self) -> Vec<Value> {
        match self {
            Absent => vec![Value::Null],
            Is(text) => vec![json!(text)],
            AbsentOr(text) => vec![Value::Null, json!(text)],
            Later => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_looked_up_by_name_and_by_beginning() {
        let call = |caller, action, by_s3| KeysOfCall { caller, action, by_s3, of_pipeline: true };
        let assume = call(CallerKind::ServiceSession, "sts:AssumeRole", false);
        assert_eq!(assume.known("aws:sourcearn"), Some(Absent));
        assert_eq!(assume.known("token.actions.githubusercontent.com:sub"), Some(Absent));
        assert_eq!(assume.known("aws:requesttag/team"), Some(Absent));
        assert_eq!(assume.known("aws:tokenissuetime"), Some(Later));
        assert_eq!(assume.known("aws:sourcevpce"), None);
        assert_eq!(call(CallerKind::Service, "sts:AssumeRole", false).known("aws:sourcearn"), None);
        let opens = call(CallerKind::ChainedSession, "kms:Decrypt", true);
        assert_eq!(opens.known("aws:viaawsservice"), Some(Is("true")));
        assert_eq!(opens.known("aws:calledvia"), None);
        assert_eq!(opens.known("kms:encryptioncontext:team"), Some(Absent));
        assert_eq!(opens.known("aws:multifactorauthpresent").map(Known::values), Some(vec![Value::Null, json!("false")]));
    }

    #[test]
    fn no_key_has_two_rows_in_one_call() {
        for table in [&[ROWS, DIRECT, S3, S3_READS].concat(), &[ROWS, BY_S3, KMS].concat(), &[ROWS, DIRECT, UNTAGGED].concat()] {
            for (at, (key, ..)) in table.iter().enumerate() {
                assert!(key.to_ascii_lowercase() == *key && table.iter().skip(at + 1).all(|(other, ..)| other != key), "{key}");
            }
        }
    }
}
