//! Rows of the source action: facts E.1, E.2, E.4, E.44.

use super::{by_link, denied, holds, open, out, steps, unread};
use crate::deploy::failures::evidence::bare;
use crate::deploy::failures::{Case, Fit};
use crate::deploy::proof::Judged;
use crate::model::{Readable, Verdict};

/// E.1: there is no source object.
pub fn no_object(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    let (bucket, key) = (course.source_bucket, course.source_object);
    match &case.evidence.readings.source {
        Readable::Known(None) => holds(format!("bucket {bucket} holds no {key}"), [case.evidence.release()]),
        Readable::Known(Some(found)) => open(format!("s3://{bucket}/{key} is there now, as version {}: start a new run", found.version)),
        Readable::Unknown(why) => unread(&format!("s3://{bucket}/{key}"), why),
    }
}

/// E.2: absent and unlisted, or denied.
pub fn forbidden(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    let absent = case.evidence.readings.source == Readable::Known(None);
    let listed = case.evidence.links(&["source-list"]).iter().all(|link| link.verdict == Verdict::Allowed);
    let read = case.evidence.links(&["source-read", "source-decrypt"]).iter().all(|link| link.verdict != Verdict::Denied);
    if absent && read && !listed {
        let list = case.evidence.links(&["source-list"]);
        let seen = format!(
            "bucket {} holds no {}, and without s3:ListBucket S3 answers 403 instead of 404",
            course.source_bucket, course.source_object
        );
        let run = vec![case.evidence.release()];
        return match list.first() {
            Some(link) => by_link(case, link, vec![seen], run),
            None => holds(seen, run),
        };
    }
    denied(case)
}

/// E.4: versioning of the source bucket.
pub fn versioning(case: &Case<'_, '_>) -> Fit {
    let bucket = case.evidence.course.source_bucket;
    let (account, region) = (&case.evidence.course.snapshot.dev.account, case.evidence.course.home.region);
    let flags = case.evidence.aws(account, region);
    let status = case.evidence.course.snapshot.input.found.as_ref().and_then(|found| found.versioning.as_deref());
    match status {
        Some("Enabled") => out(format!("versioning of bucket {bucket} is on")),
        Some(status) => holds(
            format!("versioning of bucket {bucket} is {}", if status.is_empty() { "off" } else { "suspended" }),
            [steps([
                format!("aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled{flags}"),
                "# then upload again: what was uploaded before is no version".to_owned(),
            ])],
        ),
        None => open(format!("versioning of bucket {bucket} was not read")),
    }
}

/// E.44: a tagged source object.
pub fn tagging(case: &Case<'_, '_>) -> Fit {
    let tags = match &case.evidence.readings.source {
        Readable::Known(Some(source)) => source.tags,
        Readable::Known(None) => return out("there is no source object"),
        Readable::Unknown(why) => return unread("the source object's tags", why),
    };
    let own = |link: &&&Judged| case.row.links.contains(&bare(&link.name)) && link.verdict == Verdict::Denied;
    let needed = case.suspects.iter().any(|link| !link.may_be_called() && link.verdict == Verdict::Denied);
    match case.suspects.iter().find(own) {
        _ if tags == 0 => out("the source object has no tags"),
        Some(_) if needed => out("a call that every run makes is denied"),
        Some(link) => by_link(case, link, vec![format!("the source object has {tags} tags, and a copy keeps them")], Vec::new()),
        None => out("the service role may read and write tags"),
    }
}
