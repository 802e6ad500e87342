//! The S3 deploy action (facts A.2 rows 8 to 15, A.4).

use super::calls::{Refused, Request, header};
use super::{Artifact, Done, Failure, Run, as_role};
use crate::rehearsal::codepipeline::{items, member, text};
use crate::rehearsal::state::{State, date_time_seconds};
use crate::rehearsal::wire::Caller;
use serde_json::{Value, json};
use std::io::{Cursor, Read};

const ANYTHING: &str = "application/octet-stream";

/// The short table of facts A.4; whatever isn't in it is [`ANYTHING`].
fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("html") => "text/html",
        Some("json") => "application/json",
        Some("js") => "application/x-javascript",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain",
        Some("xml") => "application/xml",
        Some("png") => "image/png",
        Some("jpg") => "image/jpeg",
        _ => ANYTHING,
    }
}

/// What the action is told.
struct Wanted<'w> {
    bucket: &'w str,
    region: &'w str,
    cache: Option<&'w str>,
    acl: Option<&'w str>,
    kms: Option<&'w str>,
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new("ConfigurationError", message)
}

/// Facts E.6, E.7.
fn unreadable(artifact: &Artifact) -> Failure {
    let message = format!(
        "Unable to access the artifact with Amazon S3 object key '{}' located in the Amazon S3 artifact bucket '{}'. The provided role \
         does not have sufficient permissions.",
        artifact.key, artifact.bucket
    );
    Failure::new("PermissionError", message)
}

/// Deploys the input artifact.
pub(super) fn deploy(state: &mut State, run: &Run<'_>, action: &Value, service_role: &Caller) -> Result<Done, Failure> {
    let configuration = member(action, "configuration");
    let region = text(action, "region").unwrap_or(run.home);
    let input = items(member(action, "inputArtifacts")).find_map(|input| text(input, "name")).unwrap_or_default();
    let Some(artifact) = run.artifacts.iter().find(|made| made.name == input).cloned() else {
        return Err(Failure::new("InternalError", ""));
    };
    let artifact = if artifact.region == region { artifact } else { replicated(state, run, &artifact, region, service_role)? };
    let caller = as_role(state, run, action, service_role.clone())?;
    let (extract, given) = (text(configuration, "Extract").unwrap_or_default(), text(configuration, "ObjectKey"));
    if !["true", "false"].contains(&extract) {
        return Err(wrong(format!("Invalid value for configuration property '{extract}': 'Extract'. Valid values are true and false.")));
    }
    let extracts = extract == "true";
    if !extracts && given.is_none() {
        return Err(wrong("When the extract feature is disabled, you must provide an object."));
    }
    let path = given.map(|path| {
        let uuid = state.random.uuid();
        path.replace("{datetime}", &date_time_seconds(state.clock)).replace("{uuid}", &uuid)
    });
    // The name of a key is looked up in the action role's account, which has no such key (facts D.1, E.26). The ARN of an alias says
    // whose it is: KMS takes it from another account, and a run must not fail at what nobody can tell (facts G of `actions.md`).
    let named = run.store(region).key.is_some_and(|key| !key.starts_with("arn:"));
    if named && caller.account != service_role.account {
        return Err(unreadable(&artifact));
    }
    // The artifact's location has no version (facts A.2, row 10).
    let get = Request::new(&caller, region, "GET", &artifact.bucket, &artifact.key);
    let bytes = get.send(state).map_err(|_| unreadable(&artifact))?.body;
    let wanted = Wanted {
        bucket: text(configuration, "BucketName").unwrap_or_default(),
        region,
        cache: text(configuration, "CacheControl"),
        acl: text(configuration, "CannedACL"),
        kms: text(configuration, "KMSEncryptionKeyARN"),
    };
    let external = match (&path, extracts) {
        (Some(path), false) => {
            put(state, &caller, &wanted, path, ANYTHING, bytes)?;
            format!("{}/{path}", wanted.bucket)
        }
        _ => {
            extracted(state, &caller, &wanted, path.as_deref(), bytes)?;
            wanted.bucket.to_owned()
        }
    };
    Ok(Done { external: Some(external), summary: Some("Deployment Succeeded".to_owned()), variables: json!({}), ..Done::default() })
}

/// Writes file by file: what a later one fails at leaves the earlier ones there (facts A.4).
fn extracted(state: &mut State, caller: &Caller, wanted: &Wanted<'_>, prefix: Option<&str>, bytes: Vec<u8>) -> Result<(), Failure> {
    let malformed = || Failure::new("JobFailed", "The archive is malformed.");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| malformed())?;
    for number in 0..archive.len() {
        let mut file = archive.by_index(number).map_err(|_| malformed())?;
        if file.is_dir() {
            continue;
        }
        let name = file.name().map_err(|_| malformed())?.replace('\\', "/");
        if name.split('/').any(|step| step == "..") {
            return Err(wrong(format!("The file name {name} contains invalid sequence: dot-dot-slash.")));
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(|_| malformed())?;
        drop(file);
        // The slash is added whatever the prefix ends with (facts A.4, E.43).
        let key = prefix.map_or_else(|| name.clone(), |prefix| format!("{prefix}/{name}"));
        put(state, caller, wanted, &key, content_type(&name), content)?;
    }
    Ok(())
}

fn put(state: &mut State, caller: &Caller, wanted: &Wanted<'_>, key: &str, content_type: &str, body: Vec<u8>) -> Result<(), Failure> {
    let Wanted { bucket, region, cache, acl, kms } = *wanted;
    let mut request = Request::new(caller, region, "PUT", bucket, key).with("content-type", content_type);
    for (name, value) in [("cache-control", cache), ("x-amz-acl", acl)] {
        if let Some(value) = value {
            request = request.with(name, value);
        }
    }
    if kms.is_some() {
        request = request.sealed(kms);
    }
    request.body = body;
    let there = acl.is_some() && state.buckets.get(bucket).is_some_and(|bucket| bucket.newest(key).is_some());
    let answer = request.send(state).map_err(|refused| refused_put(wanted, &refused))?;
    // With a canned ACL an object that was there before is set anew by its version (facts A.2, row 14).
    if let (true, Some(acl), Some(version)) = (there, acl, header(&answer, "x-amz-version-id")) {
        let again = Request::new(caller, region, "PUT", bucket, key).asking("acl", "").asking("versionId", version).with("x-amz-acl", acl);
        again.send(state).map_err(|refused| refused_put(wanted, &refused))?;
    }
    Ok(())
}

/// Facts C, E.8, E.20.
fn refused_put(wanted: &Wanted<'_>, refused: &Refused) -> Failure {
    let Wanted { bucket, region, .. } = wanted;
    match refused.code.as_str() {
        _ if refused.status == 301 => wrong(format!("The bucket named {bucket} is not located in the '{region}' AWS region")),
        "NoSuchBucket" => wrong(format!("The bucket named {bucket} does not exist.")),
        "AccessControlListNotSupported" => wrong(format!("{}: {}", refused.code, refused.message)),
        _ => Failure::new(
            "PermissionError",
            format!(
                "You do not have sufficient permissions to call s3.putObject for the deployment bucket, {bucket}. Check the permissions of \
                 the role that the action uses. If you choose a canned ACL, the role must also have the permissions s3:PutObjectAcl and \
                 s3:PutObjectVersionAcl."
            ),
        ),
    }
}

/// Copies an artifact into the store of the action's region (facts A.2 row 8, C).
fn replicated(state: &mut State, run: &Run<'_>, artifact: &Artifact, region: &str, caller: &Caller) -> Result<Artifact, Failure> {
    let store = run.store(region);
    let failed = |why: &str| wrong(format!("Failed replicating '{}': {why}", artifact.name));
    // A key of another region is no key there (facts E.28).
    if store.key.as_deref().is_some_and(|key| key.starts_with("arn:") && key.split(':').nth(3) != Some(region)) {
        return Err(failed("Invalid Arn"));
    }
    let denied = |refused: Refused| Failure::new("PermissionError", format!("Failed replicating '{}': {}", artifact.name, refused.message));
    let read = Request::new(caller, &artifact.region, "GET", &artifact.bucket, &artifact.key).send(state).map_err(denied)?;
    let mut copy = Request::new(caller, region, "PUT", &store.bucket, &artifact.key).sealed(store.key.as_deref());
    copy.body = read.body;
    copy.send(state).map_err(denied)?;
    Ok(Artifact { region: region.to_owned(), bucket: store.bucket, ..artifact.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_types_is_short() {
        for (name, expected) in [
            ("index.html", "text/html"),
            ("a/b.JS", "application/x-javascript"),
            ("font.woff2", ANYTHING),
            ("site.css.map", ANYTHING),
            ("dir.html/file", ANYTHING),
        ] {
            assert_eq!(content_type(name), expected, "{name}");
        }
    }
}
