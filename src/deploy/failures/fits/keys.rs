//! Rows about the keys of artifacts and files: facts E.7, E.26, E.28, E.46.

use super::{edit, holds, open, out, steps};
use crate::deploy::chain::{FileKey, StoreKey};
use crate::deploy::declaration::KeyName;
use crate::deploy::failures::{Case, Fit, Found, Place};
use crate::deploy::snapshot::KeyFound;
use crate::model::{Readable, account_of};

/// E.7: the store names no customer key, or the run's artifact is from before it did.
pub fn managed_key(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    // Across regions CodePipeline tells the artifact of the home store, of which the deploy action gets a copy.
    let of_home = |used: &str| matches!(course.store_key(course.home), StoreKey::Customer(key) if same_key(used, key));
    if let Some(why) = course.producer.unjudged() {
        return match (&case.evidence.readings.artifact_key, course.store_key(course.action)) {
            (Readable::Known(Some(used)), StoreKey::Customer(key)) if same_key(used, key) => {
                out(format!("the run's artifact is encrypted with the store's customer key {}", key.arn))
            }
            (Readable::Known(Some(used)), _) => open(format!("{why}; it is encrypted with {used}, which isn't the store's customer key")),
            _ => open(why),
        };
    }
    match course.store_key(course.action) {
        StoreKey::Managed => {
            let seen = match course.action.declared_key {
                None => format!("the artifact store in {} names no encryptionKey", course.action.region),
                Some(key) => format!("the artifact store in {} names {key}, an AWS managed key", course.action.region),
            };
            holds(seen, [steps([case.evidence.setup(), case.evidence.release()])])
        }
        StoreKey::Customer(key) => match &case.evidence.readings.artifact_key {
            Readable::Known(Some(used)) if !same_key(used, key) && !of_home(used) => holds(
                format!(
                    "the run's artifact is encrypted with {used}, and not with the store's key {}: it is older than the store's key",
                    key.arn
                ),
                ["start a new run instead of a retry: the old artifact keeps its key".to_owned()],
            ),
            _ => out(format!("the artifact store names the customer key {}", key.arn)),
        },
        _ => open("the key of the artifact store could not be read"),
    }
}

fn same_key(used: &str, key: &KeyFound) -> bool {
    used == key.arn || used == key.id()
}

/// E.26: the store names its key by alias or bare id.
pub fn key_by_name(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    if let Some((region, key)) = course.key_by_alias_arn() {
        return open(format!(
            "the artifact store in {region} names its key by the ARN of an alias, {key}: KMS takes that from another account, CodePipeline's \
             guide says key id or key ARN only; the key's own ARN in encryptionKey.id rules it out"
        ));
    }
    if let Some(key) = course.key_by_bare_name() {
        return holds(
            format!(
                "the artifact store in {} names its key as `{key}`, which is looked up in the production account",
                course.action.region
            ),
            edit(case, "put the key's own ARN into encryptionKey.id of the artifact store"),
        );
    }
    match course.action.declared_key {
        Some(key) if KeyName::of(key) == KeyName::Arn => out(format!("the artifact store names its key by ARN, {key}")),
        Some(key) => out(format!("the artifact store names its key as {key}, and the deploy action's role is of the same account")),
        None => out("the artifact store names no key"),
    }
}

fn key_region(key: Option<&str>) -> Option<&str> {
    key.filter(|key| key.starts_with("arn:")).and_then(|key| key.split(':').nth(3))
}

/// E.28: a store names another region's key.
pub fn foreign_key(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    match (key_region(course.action.declared_key), course.action.declared_key) {
        (Some(region), Some(key)) if region != course.action.region => holds(
            format!("the artifact store in {} names {key}, a key of {region}", course.action.region),
            edit(case, &format!("put a key of {} into that store", course.action.region)),
        ),
        _ => out("every artifact store names a key of its own region"),
    }
}

/// Lists the keys that the calls at this place use.
fn keys<'a>(case: &Case<'_, 'a>) -> Vec<&'a KeyFound> {
    let course = &case.evidence.course;
    let store = |key: StoreKey<'a>| match key {
        StoreKey::Customer(key) => Some(key),
        _ => None,
    };
    let file = |key: FileKey<'a>| match key {
        FileKey::Customer { found, .. } => Some(found),
        _ => None,
    };
    let (home, action) = (store(course.store_key(course.home)), store(course.store_key(course.action)));
    let (source, output) = (file(course.source_key()), file(course.output_key()));
    let crosses = course.action.region != course.home.region;
    let found = match case.symptom.at {
        Some(Place::Source) => vec![source, home],
        Some(Place::Deploy) => vec![action, output, home.filter(|_| crosses)],
        _ => vec![source, home, action, output],
    };
    found.into_iter().flatten().collect()
}

/// E.46: a key that can't be used.
pub fn key_state(case: &Case<'_, '_>) -> Fit {
    let Some(key) = keys(case).into_iter().find(|key| key.state != "Enabled") else {
        return out("every key that these calls use is enabled");
    };
    let region = key.arn.split(':').nth(3).unwrap_or_default();
    let flags = case.evidence.aws(account_of(&key.arn), region);
    let enable = format!("aws kms enable-key --key-id {}{flags}", key.arn);
    let run = match key.state.as_str() {
        "Disabled" => vec![enable],
        "PendingImport" => vec!["import the key's material again, or make a key whose material is KMS's own and name that one".to_owned()],
        "PendingDeletion" | "PendingReplicaDeletion" => {
            vec![steps([format!("aws kms cancel-key-deletion --key-id {}{flags}", key.arn), enable])]
        }
        _ => Vec::new(),
    };
    let seen = format!("key {} is {}", key.arn, key.state);
    let link = case.suspects.iter().find(|link| link.resource == key.arn).map(|link| link.name.clone());
    Fit::Holds(Found { link, seen: vec![seen], run })
}
