//! Rows about what the pipeline declares, and what lies there after a green run: facts E.27, E.31, E.32, E.35, E.40, E.41, E.43.

use super::{edit, holds, open, out, steps, unread};
use crate::deploy::declaration::Extract;
use crate::deploy::failures::{Case, Fit};
use crate::model::{Readable, account_of};

/// E.27: the regions of buckets and actions.
pub fn regions(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    let home = &course.snapshot.dev.region;
    let buckets = [(&course.snapshot.output, course.action.region), (&course.snapshot.input, home.as_str())];
    for (slot, wanted) in buckets {
        if let Some(found) = slot.found.as_ref().filter(|found| found.region != wanted) {
            let seen = format!("bucket {} is in {}, but the action is in {wanted}", slot.name, found.region);
            return holds(seen, edit(case, &format!("set the action's region to {}, with an artifact store there", found.region)));
        }
    }
    if course.action.bucket.is_empty() {
        return holds(format!("there is no artifact store in {}, where the action is", course.action.region), [case.evidence.setup()]);
    }
    Fit::Silent
}

/// E.31: Extract is neither `true` nor `false`.
pub fn extract_value(case: &Case<'_, '_>) -> Fit {
    match case.evidence.course.extract.wrong() {
        None => out("the deploy action's Extract is fine now"),
        Some(wrong) => holds(wrong, edit(case, "set Extract to \"true\" or \"false\"")),
    }
}

/// E.32: neither extracted nor named.
pub fn no_object_key(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    match (course.extract, course.path) {
        (Extract::No, None) => holds(
            "the deploy action neither extracts nor names an ObjectKey",
            edit(case, "add ObjectKey to the deploy action's configuration"),
        ),
        _ => out("the deploy action extracts, or names an ObjectKey"),
    }
}

/// E.35: the artifact bucket's region.
pub fn artifact_region(case: &Case<'_, '_>) -> Fit {
    for (region, slot) in &case.evidence.course.snapshot.artifact_buckets {
        if let Some(found) = slot.found.as_ref().filter(|found| found.region != *region) {
            return holds(
                format!("artifact bucket {} is in {}, but its store is in {region}", slot.name, found.region),
                edit(case, &format!("name a bucket in {region} as the store's location")),
            );
        }
    }
    open("the artifact buckets are in their stores' regions: look at the AWS Health Dashboard, then retry the stage")
}

/// E.40: readers of what was deployed.
pub fn readers(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    let dev = course.snapshot.dev.account.as_str();
    if let Readable::Known(Some(key)) = &case.evidence.readings.output_key {
        let store = [course.home.declared_key, course.action.declared_key].contains(&Some(key.as_str()));
        if store || account_of(key) == dev {
            return holds(
                format!("the deployed files are encrypted with {key}, a key of the development account"),
                edit(case, "add KMSEncryptionKeyARN with a key of production to the deploy action's configuration"),
            );
        }
    }
    if let Readable::Known(Some(key)) = &case.evidence.readings.strangers {
        let seen = format!("production doesn't own s3://{}/{key}", course.output_bucket);
        return holds(seen, [steps([case.evidence.setup(), case.evidence.release()])]);
    }
    let readings = &case.evidence.readings;
    match (&readings.output_key, &readings.strangers, readings.cut_at) {
        (Readable::Unknown(why), _, _) | (_, Readable::Unknown(why), _) => unread("the deployed files", why),
        (_, _, Some(count)) => open(format!(
            "the first {count} files are production's, and the one that was looked at is under no key of development's; the others were not looked at"
        )),
        _ => out("the files are production's, and the one that was looked at is under no key of development's"),
    }
}

/// E.41: what a deploy leaves. Who wrote an older file nobody can tell, so nothing here says to delete one.
pub fn leftovers(case: &Case<'_, '_>) -> Fit {
    let bucket = case.evidence.course.output_bucket;
    let cut_at = case.evidence.readings.cut_at;
    let of = cut_at.map(|count| format!("of the first {count} files ")).unwrap_or_default();
    match &case.evidence.readings.older {
        Readable::Known(older) => match (older.as_slice(), cut_at) {
            ([first, ..], _) => holds(
                format!(
                    "{of}in bucket {bucket} {} older than the last run, such as {first}: they may be left-overs of an earlier archive, or somebody else's",
                    if older.len() == 1 { "1 is".to_owned() } else { format!("{} are", older.len()) }
                ),
                [],
            ),
            ([], Some(_)) => open(format!("{of}in bucket {bucket} none is older than the last run; the others were not looked at")),
            ([], None) => out(format!("every file of bucket {bucket} is from the last run")),
        },
        Readable::Unknown(why) => unread(&format!("bucket {bucket}"), why),
    }
}

/// E.43: a folder that ends in a slash.
pub fn double_slash(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    match course.path.filter(|path| course.extract.is_wide() && path.ends_with('/')) {
        Some(path) => holds(
            format!("the deploy action's ObjectKey `{path}` ends in a slash, and CodePipeline adds its own"),
            edit(case, &format!("set ObjectKey to \"{}\"", path.trim_end_matches('/'))),
        ),
        None => out("the deploy action's ObjectKey doesn't end in a slash"),
    }
}
