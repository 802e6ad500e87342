//! Reading objects.

use super::access::{self, permit, permit_object};
use super::bucket::{Content, Version, Versioning};
use super::store::{bucket, http_date};
use super::{Place, not_allowed, sse, xml};
use crate::rehearsal::state::State;
use crate::rehearsal::wire::{Answer, Call, Fault, Outcome};

/// A version that the caller may read.
pub(super) struct Located {
    pub(super) version: Version,
    pub(super) content: Content,
}

fn missing(key: &str, id: Option<&str>) -> Fault {
    match id {
        Some(id) => Fault::new(404, "NoSuchVersion", "The specified version does not exist.").with("Key", key).with("VersionId", id),
        None => Fault::new(404, "NoSuchKey", "The specified key does not exist.").with("Key", key),
    }
}

/// Finds a version, without asking whether the caller may; who may not list doesn't learn that there is none (facts A.3).
pub(super) fn find(state: &mut State, call: &Call, place: &Place, id: Option<&str>) -> Outcome<Version> {
    let Place { bucket: name, key } = place;
    if let Some(version) = bucket(state, name)?.version(key, id) {
        return Ok(version.clone());
    }
    permit(state, call, name, None, "s3:ListBucket", &[])?;
    Err(missing(key, id))
}

/// Finds a version that the caller may read.
pub(super) fn locate(state: &mut State, call: &Call, place: &Place, id: Option<&str>) -> Outcome<Located> {
    let Place { bucket: name, key } = place;
    let action = if id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    let extra: Vec<(&str, String)> = id.map(|id| ("s3:VersionId", id.to_owned())).into_iter().collect();
    let found = bucket(state, name)?.version(key, id).cloned();
    match &found {
        Some(version) => permit_object(state, call, name, key, version, action, &extra)?,
        None => permit(state, call, name, Some(key), action, &extra)?,
    }
    let version = match found {
        Some(version) => version,
        None => find(state, call, place, id)?,
    };
    match (version.content.clone(), id) {
        (Some(content), _) => Ok(Located { version, content }),
        // A delete marker: its id is known to who asks for it, and can't be read.
        (None, Some(_)) => Err(not_allowed().with("x-amz-delete-marker", "true")),
        (None, None) => {
            permit(state, call, name, None, "s3:ListBucket", &[])?;
            Err(missing(key, None).with("x-amz-delete-marker", "true"))
        }
    }
}

/// Answers GET and HEAD.
pub(super) fn object(state: &mut State, call: &Call, place: &Place) -> Outcome<Answer> {
    let Place { bucket: name, key } = place;
    let Located { version, content } = locate(state, call, place, call.parameter("versionId"))?;
    let held = bucket(state, name)?;
    let (region, versioned) = (held.region.clone(), held.versioning != Versioning::Never);
    let mut headers = vec![
        ("etag".to_owned(), format!("\"{}\"", content.etag)),
        ("last-modified".to_owned(), http_date(version.modified)),
        ("accept-ranges".to_owned(), "bytes".to_owned()),
    ];
    headers.extend(content.sealed.headers());
    headers.extend(content.headers);
    headers.extend(content.metadata.into_iter().map(|(name, value)| (format!("x-amz-meta-{name}"), value)));
    if versioned {
        headers.push(("x-amz-version-id".to_owned(), version.id));
    }
    if !content.tags.is_empty() {
        headers.push(("x-amz-tagging-count".to_owned(), content.tags.len().to_string()));
    }
    if call.header("if-none-match").is_some_and(|known| known.trim_matches('"') == content.etag) {
        return Ok(Answer { status: 304, headers, body: Vec::new() });
    }
    if call.header("if-match").is_some_and(|wanted| wanted.trim_matches('"') != content.etag) {
        return Err(Fault::new(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"));
    }
    let range = match call.header("range").map(|text| range(text, content.size)) {
        Some(None) => return Err(Fault::new(416, "InvalidRange", "The requested range is not satisfiable")),
        Some(Some(range)) => Some(range),
        None => None,
    };
    let status = if range.is_some() { 206 } else { 200 };
    if let Some((first, last)) = range {
        headers.push(("content-range".to_owned(), format!("bytes {first}-{last}/{}", content.size)));
    } else if call.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled")) {
        headers.push((format!("x-amz-checksum-{}", content.checksum.0), content.checksum.1));
        headers.push(("x-amz-checksum-type".to_owned(), "FULL_OBJECT".to_owned()));
    }
    let length = range.map_or(content.size, |(first, last)| last + 1 - first);
    headers.push(("content-length".to_owned(), length.to_string()));
    // What HEAD tells needs no key.
    if call.method == "HEAD" {
        return Ok(Answer { status, headers, body: Vec::new() });
    }
    let mut body = sse::open(state, &call.caller, (name, &region), key, &content.sealed)?;
    if let Some((first, last)) = range {
        body = body.get(first..=last).unwrap_or_default().to_vec();
    }
    Ok(Answer { status, headers, body })
}

/// Reads `bytes=first-last`, `bytes=first-` or `bytes=-length`.
fn range(text: &str, size: usize) -> Option<(usize, usize)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = size.checked_sub(1)?;
    if first.is_empty() {
        let length = last.parse::<usize>().ok().filter(|length| *length > 0)?;
        return Some((size.saturating_sub(length), end));
    }
    let first = first.parse::<usize>().ok().filter(|first| *first <= end)?;
    let last = if last.is_empty() { end } else { last.parse::<usize>().ok()?.min(end) };
    (first <= last).then_some((first, last))
}

/// Gives an object's ACL.
pub(super) fn acl(state: &mut State, call: &Call, place: &Place) -> Outcome<Answer> {
    let id = call.parameter("versionId");
    let version = find(state, call, place, id)?;
    let action = if id.is_some() { "s3:GetObjectVersionAcl" } else { "s3:GetObjectAcl" };
    permit_object(state, call, &place.bucket, &place.key, &version, action, &[])?;
    let held = bucket(state, &place.bucket)?;
    let owner = access::owner_of(held, &version);
    let acl = version.content.as_ref().map(|content| content.acl.as_str()).ok_or_else(not_allowed)?;
    Ok(xml::document("AccessControlPolicy", access::control_list(owner, acl, &held.owner)))
}

/// Gives an object's tags.
pub(super) fn tagging(state: &mut State, call: &Call, place: &Place) -> Outcome<Answer> {
    let id = call.parameter("versionId");
    let version = find(state, call, place, id)?;
    let action = if id.is_some() { "s3:GetObjectVersionTagging" } else { "s3:GetObjectTagging" };
    permit_object(state, call, &place.bucket, &place.key, &version, action, &[])?;
    let content = version.content.ok_or_else(not_allowed)?;
    Ok(xml::document("Tagging", xml::tag_set(&content.tags)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_where_the_object_does() {
        assert_eq!(range("bytes=0-3", 10), Some((0, 3)));
        assert_eq!(range("bytes=4-", 10), Some((4, 9)));
        assert_eq!(range("bytes=-4", 10), Some((6, 9)));
        assert_eq!(range("bytes=0-99", 10), Some((0, 9)));
        assert_eq!(range("bytes=10-", 10), None);
        assert_eq!(range("bytes=0-0", 0), None);
    }
}
