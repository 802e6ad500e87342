//! Writing, copying and taking away objects.

use super::access::{self, permit, permit_object};
use super::bucket::{Content, Version, Versioning};
use super::reading::{self, Located};
use super::store::{bucket, bucket_mut, now, version_id};
use super::xml::{self, element, leaf};
use super::{Place, empty, not_allowed, sse};
use crate::rehearsal::events;
use crate::rehearsal::state::State;
use crate::rehearsal::wire::{Answer, Call, Fault, Outcome};
use percent_encoding::percent_decode_str;

/// Headers that stay with an object.
const KEPT: [&str; 6] = ["content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires"];
/// What an object is when nobody says.
const UNKNOWN_TYPE: &str = "binary/octet-stream";

type Pairs = Vec<(String, String)>;

/// Gives the headers that stay with an object, and its metadata.
fn kept_of(call: &Call) -> (Pairs, Pairs) {
    let mut headers: Pairs = call.headers.iter().filter(|(name, _)| KEPT.contains(&name.as_str())).cloned().collect();
    for (name, value) in &mut headers {
        if name == "content-encoding" {
            // The transfer's, not the object's.
            let own: Vec<&str> = value.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked" && !coding.is_empty()).collect();
            *value = own.join(",");
        }
    }
    headers.retain(|(_, value)| !value.is_empty());
    if !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push(("content-type".to_owned(), UNKNOWN_TYPE.to_owned()));
    }
    let metadata = call.headers.iter().filter_map(|(name, value)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.clone())));
    (headers, metadata.collect())
}

fn tags_of(call: &Call) -> Pairs {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pair = |part: &str| part.split_once('=').map_or_else(|| (decode(part), String::new()), |(key, value)| (decode(key), decode(value)));
    call.header("x-amz-tagging").into_iter().flat_map(|text| text.split('&')).filter(|part| !part.is_empty()).map(pair).collect()
}

/// Asks for all that writing an object needs (facts A.2, rows 6 and 14).
fn permit_writing(state: &mut State, call: &Call, place: &Place, tags: &Pairs) -> Outcome<()> {
    let Place { bucket: name, key } = place;
    let tags: Vec<(String, String)> = access::object_tags(tags).into_iter().collect();
    let extra: Vec<(&str, String)> = tags.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    permit(state, call, name, Some(key), "s3:PutObject", &extra)?;
    if call.headers.iter().any(|(name, _)| name == "x-amz-acl" || name.starts_with("x-amz-grant-")) {
        permit(state, call, name, Some(key), "s3:PutObjectAcl", &[])?;
    }
    if !tags.is_empty() {
        permit(state, call, name, Some(key), "s3:PutObjectTagging", &extra)?;
    }
    access::check_acl(bucket(state, name)?, call.header("x-amz-acl"))
}

fn check_preconditions(state: &State, call: &Call, place: &Place) -> Outcome<()> {
    let there = bucket(state, &place.bucket)?.newest(&place.key).and_then(|version| version.content.as_ref());
    let failed = |condition: &str| {
        let message = "At least one of the pre-conditions you specified did not hold";
        Err(Fault::new(412, "PreconditionFailed", message).with("Condition", condition))
    };
    if call.header("if-none-match").is_some() && there.is_some() {
        return failed("If-None-Match");
    }
    match (call.header("if-match"), there) {
        (Some(_), None) => Err(Fault::new(404, "NoSuchKey", "The specified key does not exist.").with("Key", &place.key)),
        (Some(wanted), Some(there)) if wanted.trim_matches('"') != there.etag => failed("If-Match"),
        _ => Ok(()),
    }
}

/// What an object is made of before it is sealed.
struct Raw {
    bytes: Vec<u8>,
    headers: Pairs,
    metadata: Pairs,
    tags: Pairs,
    md5: String,
    checksum: (String, String),
}

/// Seals an object and adds it as the newest version; gives the version's id and the headers of the answer.
fn store(state: &mut State, call: &Call, place: &Place, raw: Raw, reason: &str) -> Outcome<(String, Pairs)> {
    let Place { bucket: name, key } = place;
    let held = bucket(state, name)?;
    let (region, versioning) = (held.region.clone(), held.versioning);
    let wanted = sse::wanted(call, &held.encryption)?;
    let acl = call.header("x-amz-acl");
    let owner = access::new_owner(held, &call.caller.account, acl);
    let size = raw.bytes.len();
    let sealed = sse::seal(state, &call.caller, (name, &region), key, &wanted, raw.bytes)?;
    // What lies there under a KMS key has no MD5 for all to see.
    let etag = if sealed.key.is_some() { state.random.hex(32) } else { raw.md5 };
    let id = if versioning == Versioning::Enabled { version_id(state) } else { "null".to_owned() };
    let mut headers = vec![("etag".to_owned(), format!("\"{etag}\""))];
    headers.push((format!("x-amz-checksum-{}", raw.checksum.0), raw.checksum.1.clone()));
    headers.push(("x-amz-checksum-type".to_owned(), "FULL_OBJECT".to_owned()));
    headers.extend(sealed.headers());
    if versioning != Versioning::Never {
        headers.push(("x-amz-version-id".to_owned(), id.clone()));
    }
    let content = Content {
        sealed,
        size,
        etag: etag.clone(),
        headers: raw.headers,
        metadata: raw.metadata,
        checksum: raw.checksum,
        tags: raw.tags,
        acl: acl.unwrap_or("private").to_owned(),
    };
    let modified = now(state);
    bucket_mut(state, name)?.add(key, Version { id: id.clone(), modified, owner, content: Some(content) });
    let version = (versioning != Versioning::Never).then_some(id.clone());
    let created = events::Created { bucket: name.clone(), key: key.clone(), size, etag, version, reason: reason.to_owned() };
    events::object_created(state, call, &created);
    Ok((id, headers))
}

/// Writes an object.
pub(super) fn put(state: &mut State, call: &Call, place: &Place) -> Outcome<Answer> {
    let tags = tags_of(call);
    permit_writing(state, call, place, &tags)?;
    check_key(&place.key)?;
    let body = super::body::read(call)?;
    check_preconditions(state, call, place)?;
    let (headers, metadata) = kept_of(call);
    let raw = Raw { bytes: body.bytes, headers, metadata, tags, md5: body.md5, checksum: body.checksum };
    let (_, headers) = store(state, call, place, raw, "PutObject")?;
    Ok(Answer { status: 200, headers, body: Vec::new() })
}

fn check_key(key: &str) -> Outcome<()> {
    if key.len() <= 1024 {
        return Ok(());
    }
    Err(Fault::new(400, "KeyTooLongError", "Your key is too long"))
}

/// Copies an object: reads it and writes it as the caller (facts A.2, row 5).
pub(super) fn copy(state: &mut State, call: &Call, place: &Place) -> Outcome<Answer> {
    let given = call.header("x-amz-copy-source").unwrap_or_default();
    let (path, id) = given.split_once("?versionId=").map_or((given, None), |(path, id)| (path, Some(id)));
    let path = percent_decode_str(path.trim_start_matches('/')).decode_utf8_lossy().into_owned();
    let Some((name, key)) = path.split_once('/').filter(|(name, key)| !name.is_empty() && !key.is_empty()) else {
        let message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
        return Err(Fault::new(400, "InvalidArgument", message));
    };
    let source = Place { bucket: name.to_owned(), key: key.to_owned() };
    if !state.buckets.contains_key(name) {
        return Err(Fault::new(404, "NoSuchBucket", "The specified bucket does not exist").with("BucketName", name));
    }
    let Located { version, content } = reading::locate(state, call, &source, id)?;
    let replaces = |directive: &str| call.header(directive) == Some("REPLACE");
    let tags = if replaces("x-amz-tagging-directive") { tags_of(call) } else { content.tags.clone() };
    if !content.tags.is_empty() && !replaces("x-amz-tagging-directive") {
        let action = if id.is_some() { "s3:GetObjectVersionTagging" } else { "s3:GetObjectTagging" };
        permit_object(state, call, name, key, &version, action, &[])?;
    }
    permit_writing(state, call, place, &tags)?;
    let region = bucket(state, name)?.region.clone();
    let bytes = sse::open(state, &call.caller, (name, &region), key, &content.sealed)?;
    let (headers, metadata) = if replaces("x-amz-metadata-directive") { kept_of(call) } else { (content.headers, content.metadata) };
    if source == *place && !replaces("x-amz-metadata-directive") && call.header("x-amz-server-side-encryption").is_none() {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
                       metadata, storage class, website redirect location or encryption attributes.";
        return Err(Fault::new(400, "InvalidRequest", message));
    }
    let (md5, checksum) = (super::body::md5(&bytes), content.checksum);
    let (_, mut headers) = store(state, call, place, Raw { bytes, headers, metadata, tags, md5, checksum }, "CopyObject")?;
    if bucket(state, name)?.versioning != Versioning::Never {
        headers.push(("x-amz-copy-source-version-id".to_owned(), version.id));
    }
    let etag = headers.iter().find(|(name, _)| name == "etag").map(|(_, value)| value.clone()).unwrap_or_default();
    let modified = super::instant(now(state));
    let answer = xml::document("CopyObjectResult", leaf("ETag", etag) + &leaf("LastModified", modified));
    headers.retain(|(name, _)| name != "etag" && !name.starts_with("x-amz-checksum-"));
    headers.extend(answer.headers);
    Ok(Answer { headers, ..answer })
}

/// What became of a key that was to be taken away.
struct Deleted {
    version: Option<String>,
    marker: Option<String>,
}

fn delete_one(state: &mut State, call: &Call, name: &str, key: &str, id: Option<&str>) -> Outcome<Deleted> {
    let (action, extra) = match id {
        Some(id) => ("s3:DeleteObjectVersion", vec![("s3:VersionId", id.to_owned())]),
        None => ("s3:DeleteObject", Vec::new()),
    };
    permit(state, call, name, Some(key), action, &extra)?;
    if let Some(id) = id {
        let removed = bucket_mut(state, name)?.remove(key, id);
        let marker = removed.filter(|version| version.content.is_none()).map(|version| version.id);
        return Ok(Deleted { version: Some(id.to_owned()), marker });
    }
    let versioning = bucket(state, name)?.versioning;
    if versioning == Versioning::Never {
        bucket_mut(state, name)?.objects.remove(key);
        return Ok(Deleted { version: None, marker: None });
    }
    let id = if versioning == Versioning::Enabled { version_id(state) } else { "null".to_owned() };
    let (modified, owner) = (now(state), bucket(state, name)?.owner.clone());
    bucket_mut(state, name)?.add(key, Version { id: id.clone(), modified, owner, content: None });
    Ok(Deleted { version: None, marker: Some(id) })
}

/// Takes an object away, or marks it as deleted.
pub(super) fn delete(state: &mut State, call: &Call, place: &Place) -> Outcome<Answer> {
    let Deleted { version, marker } = delete_one(state, call, &place.bucket, &place.key, call.parameter("versionId"))?;
    let mut answer = empty(204);
    if marker.is_some() {
        answer.headers.push(("x-amz-delete-marker".to_owned(), "true".to_owned()));
    }
    if let Some(id) = version.or(marker) {
        answer.headers.push(("x-amz-version-id".to_owned(), id));
    }
    Ok(answer)
}

/// Takes up to a thousand objects away; each is judged by itself.
pub(super) fn delete_many(state: &mut State, call: &Call, name: &str) -> Outcome<Answer> {
    let bytes = super::body::read(call)?.bytes;
    let (quiet, asked) = xml::read(&bytes, |root| {
        let one = |node| Some((xml::text(node, "Key")?.to_owned(), xml::text(node, "VersionId").map(str::to_owned)));
        let asked: Option<Vec<_>> = xml::children(root, "Object").map(one).collect();
        Some((xml::text(root, "Quiet") == Some("true"), asked.filter(|asked| !asked.is_empty() && asked.len() <= 1000)?))
    })?;
    let mut inner = String::new();
    for (key, id) in asked {
        let id = id.as_deref();
        let of = leaf("Key", &key) + &id.map(|id| leaf("VersionId", id)).unwrap_or_default();
        match delete_one(state, call, name, &key, id) {
            Ok(_) if quiet => {}
            Ok(Deleted { marker, .. }) => {
                let marker = marker.map(|id| leaf("DeleteMarker", true) + &leaf("DeleteMarkerVersionId", id)).unwrap_or_default();
                inner.push_str(&element("Deleted", of + &marker));
            }
            Err(fault) => inner.push_str(&element("Error", of + &leaf("Code", &fault.code) + &leaf("Message", &fault.message))),
        }
    }
    Ok(xml::document("DeleteResult", inner))
}

/// Changes an object's canned ACL.
pub(super) fn put_acl(state: &mut State, call: &Call, place: &Place) -> Outcome<Answer> {
    let id = call.parameter("versionId");
    let action = if id.is_some() { "s3:PutObjectVersionAcl" } else { "s3:PutObjectAcl" };
    change(state, call, place, action, |held, content| {
        access::check_acl(held, Some(call.header("x-amz-acl").unwrap_or("private")))?;
        content.acl = call.header("x-amz-acl").unwrap_or("private").to_owned();
        Ok(())
    })
}

/// Changes an object's tags.
pub(super) fn put_tagging(state: &mut State, call: &Call, place: &Place) -> Outcome<Answer> {
    let bytes = super::body::read(call)?.bytes;
    let tags = xml::read(&bytes, |root| xml::tags(xml::child(root, "TagSet")?))?;
    let action = if call.parameter("versionId").is_some() { "s3:PutObjectVersionTagging" } else { "s3:PutObjectTagging" };
    change(state, call, place, action, |_, content| {
        content.tags = tags;
        Ok(())
    })
}

fn change(
    state: &mut State,
    call: &Call,
    place: &Place,
    action: &str,
    change: impl FnOnce(&super::Bucket, &mut Content) -> Outcome<()>,
) -> Outcome<Answer> {
    let Place { bucket: name, key } = place;
    let found = reading::find(state, call, place, call.parameter("versionId"))?;
    permit_object(state, call, name, key, &found, action, &[])?;
    let Some(mut content) = found.content else { return Err(not_allowed()) };
    let held = bucket_mut(state, name)?;
    change(held, &mut content)?;
    let version = held.objects.get_mut(key).and_then(|versions| versions.iter_mut().find(|version| version.id == found.id));
    if let Some(version) = version {
        version.content = Some(content);
    }
    Ok(empty(200))
}
