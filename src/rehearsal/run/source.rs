//! The S3 source action (facts A.2 rows 3 to 7, A.3).

use super::calls::{Refused, Request, header};
use super::{Artifact, Done, Failure, Revision, Run};
use crate::rehearsal::codepipeline::{items, member, text};
use crate::rehearsal::s3::xml;
use crate::rehearsal::state::State;
use crate::rehearsal::wire::{Caller, percent_encode};
use serde_json::{Value, json};

/// Facts E.3.
fn no_access(refused: &Refused) -> Failure {
    let message = format!(
        "Insufficient permissions The service role or action role doesn't have the permissions required to access the Amazon S3 bucket \
         named {}. Update the IAM role permissions, and then try again. Error: Amazon S3:{}:{}",
        refused.bucket, refused.code, refused.message
    );
    Failure::new("PermissionError", message)
}

/// What went wrong with a bucket.
fn failed(refused: &Refused) -> Failure {
    match refused.code.as_str() {
        _ if refused.is_denied() => no_access(refused),
        "NoSuchBucket" => Failure::new("ConfigurationError", format!("The bucket named {} does not exist.", refused.bucket)),
        // KMS's own words about a key that is disabled, gone or another region's (facts E.46).
        code if code.starts_with("KMS.") => no_access(refused),
        // Facts E.35: a bucket of another region gives no detail.
        _ => Failure::new("InternalError", ""),
    }
}

/// Takes the newest version of the source object, or the one that the execution was started with, into the artifact store.
pub(super) fn take(state: &mut State, run: &Run<'_>, action: &Value, caller: &Caller) -> Result<Done, Failure> {
    let configuration = member(action, "configuration");
    let name = text(action, "name").unwrap_or_default();
    let asked = |kind: &str| {
        let ours =
            run.asked.iter().find(|revision| text(revision, "actionName") == Some(name) && text(revision, "revisionType") == Some(kind));
        ours.and_then(|revision| text(revision, "revisionValue"))
    };
    let bucket = text(configuration, "S3Bucket").unwrap_or_default();
    let key = asked("S3_OBJECT_KEY").or_else(|| text(configuration, "S3ObjectKey")).unwrap_or_default();
    let store = run.store(run.home);
    // What else AWS lists for either bucket, its ACL and its location, working set-ups don't grant (facts A.2, row 3): nobody has seen
    // those calls, and a run must not fail at them.
    let answer = Request::new(caller, run.home, "GET", bucket, "").asking("versioning", "").send(state);
    let answer = answer.map_err(|refused| failed(&refused))?;
    let enabled = xml::read(&answer.body, |root| xml::text(root, "Status").filter(|status| *status == "Enabled").map(|_| ())).is_ok();
    // The artifact bucket need not be versioned (facts E.4).
    if bucket != store.bucket && !enabled {
        return Err(Failure::new("ConfigurationError", format!("Versioning is not enabled on the source bucket {bucket}.")));
    }
    let head = Request::new(caller, run.home, "HEAD", bucket, key).send(state).map_err(|refused| match refused.status {
        404 => Failure::new("ConfigurationError", format!("The object with key '{key}' does not exist.")),
        403 => Failure::new("PermissionError", format!("The object with key '{key}' returned a Forbidden error.")),
        _ => failed(&refused),
    })?;
    let newest = header(&head, "x-amz-version-id").unwrap_or("null").to_owned();
    let version = asked("S3_OBJECT_VERSION_ID").map_or(newest, str::to_owned);
    let artifact = items(member(action, "outputArtifacts")).find_map(|artifact| text(artifact, "name")).unwrap_or_default();
    let target = run.new_key(state, artifact);
    let source = format!("/{bucket}/{}?versionId={version}", percent_encode(key).replace("%2F", "/"));
    let copy = Request::new(caller, run.home, "PUT", &store.bucket, &target).with("x-amz-copy-source", &source);
    copy.sealed(store.key.as_deref()).send(state).map_err(|refused| match refused.code.as_str() {
        "NoSuchVersion" => {
            Failure::new("ConfigurationError", format!("The object with key '{key}' and version '{version}' does not exist."))
        }
        _ => failed(&refused),
    })?;
    let made = Artifact { name: artifact.to_owned(), region: run.home.to_owned(), bucket: store.bucket.clone(), key: target };
    let etag = header(&head, "etag").unwrap_or_default().trim_matches('"');
    let revision = Revision {
        action: name.to_owned(),
        artifact: artifact.to_owned(),
        id: version.clone(),
        url: format!("https://console.aws.amazon.com/s3/object/{bucket}?prefix={}&versionId={version}", percent_encode(key)),
        created: state.clock,
        summary: String::new(),
    };
    Ok(Done {
        outputs: vec![made],
        external: Some(version.clone()),
        summary: Some(format!("Amazon S3 version id: {version}")),
        variables: json!({"BucketName": bucket, "ETag": etag, "ObjectKey": key, "VersionId": version}),
        revision: Some(revision),
    })
}
