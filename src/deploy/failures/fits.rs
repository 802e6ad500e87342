//! What both accounts say of a row: a predicate each, pure.

use super::evidence::bare;
use super::{Case, Fit, Found, Place};
use crate::deploy::chain::{FileKey, StoreKey};
use crate::deploy::proof::Judged;
use crate::deploy::snapshot::KeyFound;
use crate::deploy::steps;
use crate::model::{Readable, Verdict, account_of};
use crate::policy;
use serde_json::Value;

fn holds(seen: impl Into<String>, run: impl IntoIterator<Item = String>) -> Fit {
    Fit::Holds(Found { link: None, seen: vec![seen.into()], run: run.into_iter().collect() })
}

fn out(why: impl Into<String>) -> Fit {
    Fit::Out(why.into())
}

fn open(why: impl Into<String>) -> Fit {
    Fit::Open(why.into())
}

fn unread(what: &str, why: &str) -> Fit {
    open(format!("{what} could not be read: {why}"))
}

/// A link as what shows that a row holds, with sentences before its own.
fn by_link(case: &Case<'_, '_>, link: &Judged, before: Vec<String>, run: Vec<String>) -> Fit {
    let evidence = case.evidence;
    Fit::Holds(Found {
        link: Some(link.name.clone()),
        seen: before.into_iter().chain(evidence.told(link)).collect(),
        run: run.into_iter().chain(evidence.mending(link)).collect(),
    })
}

/// A change of the pipeline's declaration, which only a person can make.
fn edit(case: &Case<'_, '_>, what: &str) -> Vec<String> {
    let name = case.evidence.pipeline();
    vec![format!(
        "aws codepipeline get-pipeline --name {name} --query pipeline > {name}.json, {what}, then aws codepipeline update-pipeline --pipeline file://{name}.json"
    )]
}

/// Only the text says it.
pub fn silent(_: &Case<'_, '_>) -> Fit {
    Fit::Silent
}

/// One of the row's links is denied.
pub fn denied(case: &Case<'_, '_>) -> Fit {
    let own = |link: &&&Judged| case.row.links.contains(&bare(&link.name));
    match case.suspects.iter().find(own) {
        Some(link) if link.verdict == Verdict::Denied => by_link(case, link, Vec::new(), Vec::new()),
        Some(link) => open(case.evidence.told(link).join("; ")),
        None if case.evidence.links(case.row.links).is_empty() => open("the pipeline makes none of the calls that could be denied so"),
        None => open("every call that could fail so is allowed as things stand now: release again; IAM and KMS may take minutes to settle"),
    }
}

/// E.1: there is no source object.
pub fn no_object(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    let (bucket, key) = (course.source_bucket, course.source_object);
    match &case.evidence.readings.source {
        Readable::Known(None) => {
            holds(format!("bucket {bucket} holds no {key}"), [format!("xdeploy release FILE --pipeline {}", case.evidence.pipeline())])
        }
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
        let run = vec![format!("xdeploy release FILE --pipeline {}", case.evidence.pipeline())];
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
    let status = case.evidence.course.snapshot.input.found.as_ref().and_then(|found| found.versioning.as_deref());
    match status {
        Some("Enabled") => out(format!("versioning of bucket {bucket} is on")),
        Some(status) => holds(
            format!("versioning of bucket {bucket} is {}", if status.is_empty() { "off" } else { "suspended" }),
            [
                format!("aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"),
                "upload again: what was uploaded before is no version".to_owned(),
            ],
        ),
        None => open(format!("versioning of bucket {bucket} was not read")),
    }
}

/// E.7: the store names no customer key, or the run's artifact is from before it did.
pub fn managed_key(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    // Across regions CodePipeline tells the artifact of the home store, of which the deploy action gets a copy.
    let of_home = |used: &str| matches!(course.store_key(course.home), StoreKey::Customer(key) if same_key(used, key));
    match course.store_key(course.action) {
        StoreKey::Managed => {
            let seen = match course.action.declared_key {
                None => format!("the artifact store in {} names no encryptionKey", course.action.region),
                Some(key) => format!("the artifact store in {} names {key}, an AWS managed key", course.action.region),
            };
            holds(seen, [case.evidence.setup(), format!("xdeploy release FILE --pipeline {}", case.evidence.pipeline())])
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

/// E.9: the deploy action runs with a role of the pipeline's own account.
pub fn no_role(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    let account = account_of(course.deploy_role);
    if !course.assumes {
        return holds(format!("the deploy action names no role, so it ran as {}", course.service_role), [case.evidence.setup()]);
    }
    if account == course.snapshot.dev.account {
        return holds(format!("the deploy action's roleArn {} is of the development account", course.deploy_role), [case.evidence.setup()]);
    }
    out(format!("the deploy action ran as {}", course.deploy_role))
}

/// E.19: the bucket's policy is public by another statement, and RestrictPublicBuckets keeps other accounts out.
pub fn restricted(case: &Case<'_, '_>) -> Fit {
    let hit = |link: &&&Judged| link.missing.iter().any(|lack| lack.side == "block-public-access");
    match case.suspects.iter().find(hit) {
        Some(link) => by_link(case, link, Vec::new(), Vec::new()),
        None if case.suspects.iter().any(|link| link.reasons.iter().any(|reason| reason.contains("Block Public Access"))) => {
            open("Block Public Access of the account is not read, and the bucket's policy is public")
        }
        None => out("no bucket policy of these calls is public under RestrictPublicBuckets"),
    }
}

/// E.20: a canned ACL where ACLs are off.
pub fn acl_refused(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    let ownership = course.snapshot.output.found.as_ref().and_then(|found| found.ownership.as_ref());
    match (course.canned_acl, ownership) {
        (None, _) => out("the deploy action sets no CannedACL"),
        (Some("bucket-owner-full-control"), _) => out("CannedACL bucket-owner-full-control is taken by every bucket"),
        (Some(acl), Some(Readable::Known(setting))) if setting == "BucketOwnerEnforced" => holds(
            format!("the deploy action sets ACL {acl}, and object ownership of bucket {} is BucketOwnerEnforced", course.output_bucket),
            edit(case, "take CannedACL out of the deploy action's configuration"),
        ),
        (Some(_), Some(Readable::Known(setting))) => out(format!("object ownership of bucket {} is {setting}", course.output_bucket)),
        (Some(_), _) => open(format!("object ownership of bucket {} could not be read", course.output_bucket)),
    }
}

/// Lists the statements of artifact buckets that deny an upload for its encryption header.
fn header_denials(case: &Case<'_, '_>) -> Vec<String> {
    let mut found = Vec::new();
    for slot in case.evidence.course.snapshot.artifact_buckets.values() {
        let Some(policy) = slot.found.as_ref().and_then(|found| found.policy.as_ref()) else { continue };
        for (index, statement) in policy::statements(policy).into_iter().enumerate() {
            let denies = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
            if denies
                && statement.get("Condition").is_some_and(|condition| condition.to_string().contains("s3:x-amz-server-side-encryption"))
            {
                found.push(format!("{} of bucket {}", policy::statement_name(statement, index), slot.name));
            }
        }
    }
    found
}

/// E.21: the artifact bucket refuses what isn't sent with an encryption header.
pub fn unencrypted_upload(case: &Case<'_, '_>) -> Fit {
    let writes = case.evidence.links(&["artifact-write"]);
    if let Some(link) = writes.iter().find(|link| link.verdict == Verdict::Denied) {
        return out(format!("{} itself is denied, which sends the header", link.name));
    }
    match header_denials(case).first() {
        Some(denial) => holds(
            format!(
                "{denial} denies every upload without the header x-amz-server-side-encryption: aws:kms; CodePipeline's own uploads send it"
            ),
            ["aws s3 cp FILE s3://BUCKET/KEY --sse aws:kms --sse-kms-key-id KEY-ARN".to_owned()],
        ),
        None => out("no artifact bucket asks for an encryption header"),
    }
}

fn of_organisation(link: &Judged) -> bool {
    link.missing.iter().any(|lack| matches!(lack.side.as_str(), "scp" | "rcp"))
        || link.because.iter().any(|by| by.effect == "Deny" && by.document.contains("control policy"))
}

/// E.22: an organisation's policy looks at the key's header of each upload.
pub fn header_by_scp(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    let writes = |link: &&&Judged| bare(&link.name) == "output-write" && of_organisation(link);
    let Some(link) = case.suspects.iter().find(writes) else { return organisation_out(case) };
    if course.declared_output_key.is_some() {
        return out("the deploy action sets KMSEncryptionKeyARN, so its uploads carry the header");
    }
    let policies = course.snapshot.prod_organisation.as_ref().and_then(|found| found.scps.known());
    let asks = policies.into_iter().flatten().flat_map(|level| level.policies.values());
    if !asks.map(ToString::to_string).any(|text| text.contains("s3:x-amz-server-side-encryption")) {
        return out("the organisation's policies don't look at encryption headers");
    }
    let seen =
        "the organisation's policy looks at the encryption headers of each upload; a bucket's default encryption sends none".to_owned();
    by_link(case, link, vec![seen], edit(case, "add KMSEncryptionKeyARN to the deploy action's configuration"))
}

fn organisation_out(case: &Case<'_, '_>) -> Fit {
    let snapshot = case.evidence.course.snapshot;
    let unknown = [&snapshot.dev_organisation, &snapshot.prod_organisation]
        .into_iter()
        .any(|found| found.as_ref().is_none_or(|found| found.scps.unknown().is_some() || found.rcps.unknown().is_some()));
    if unknown {
        return open("the organisation's policies could not be read: ask who runs the organisation");
    }
    out("no policy of the organisation denies these calls")
}

/// E.23: an organisation's policy denies it.
pub fn organisation(case: &Case<'_, '_>) -> Fit {
    match case.suspects.iter().find(|link| link.verdict == Verdict::Denied) {
        Some(link) if of_organisation(link) => by_link(case, link, Vec::new(), Vec::new()),
        _ => organisation_out(case),
    }
}

/// E.24: a permissions boundary denies it.
pub fn boundary(case: &Case<'_, '_>) -> Fit {
    let bound = |link: &&&Judged| {
        link.missing.iter().any(|lack| lack.side == "boundary")
            || link.because.iter().any(|by| by.effect == "Deny" && by.document.contains("permissions boundary"))
    };
    if let Some(link) = case.suspects.iter().find(|link| link.verdict == Verdict::Denied).filter(bound) {
        return by_link(case, link, Vec::new(), Vec::new());
    }
    let snapshot = case.evidence.course.snapshot;
    let roles = [&snapshot.service_role, &snapshot.deploy_role];
    match roles.into_iter().flatten().find_map(|role| role.boundary.as_ref()) {
        Some(boundary) => match boundary.document.unknown() {
            Some(why) => unread(&format!("permissions boundary {}", boundary.arn), why),
            None => out(format!("permissions boundary {} allows these calls", boundary.arn)),
        },
        None => out("neither role has a permissions boundary"),
    }
}

/// Keys that say by which network a request comes; CodePipeline's comes by AWS's own (facts A.2).
const NETWORK: [&str; 4] = ["aws:sourcevpce", "aws:sourcevpc", "aws:sourceip", "aws:vpcsourceip"];

/// E.25: a policy asks for a network that CodePipeline doesn't come from.
pub fn network(case: &Case<'_, '_>) -> Fit {
    let hangs = |link: &&&Judged| link.unknown.iter().any(|key| NETWORK.contains(&key.to_ascii_lowercase().as_str()));
    let first_denied = case.suspects.first().is_some_and(|link| link.verdict == Verdict::Denied && !link.may_be_called);
    match case.suspects.iter().find(hangs) {
        Some(link) if !first_denied => {
            let who = &link.who;
            let run =
                format!("let the statement except {who}, by StringNotEquals aws:PrincipalArn: CodePipeline comes by AWS's own network");
            by_link(case, link, Vec::new(), vec![run])
        }
        Some(_) => out("another statement denies the call for certain"),
        None => out("no policy of these calls asks for a network"),
    }
}

/// E.26: the store names its key by alias or bare id.
pub fn key_by_name(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    match course.action.declared_key {
        Some(key) if !key.starts_with("arn:") || key.contains(":alias/") => holds(
            format!(
                "the artifact store in {} names its key as `{key}`, which is looked up in the production account",
                course.action.region
            ),
            edit(case, "put the key's own ARN into encryptionKey.id of the artifact store"),
        ),
        Some(key) => out(format!("the artifact store names its key by ARN, {key}")),
        None => out("the artifact store names no key"),
    }
}

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

/// E.31: Extract is neither `true` nor `false`.
pub fn extract_value(case: &Case<'_, '_>) -> Fit {
    match case.evidence.course.declared_extract {
        Some("true" | "false") => out("the deploy action's Extract is fine now"),
        Some(value) => holds(format!("the deploy action's Extract is `{value}`"), edit(case, "set Extract to \"true\" or \"false\"")),
        None => holds("the deploy action has no Extract", edit(case, "set Extract to \"true\" or \"false\"")),
    }
}

/// E.32: neither extracted nor named.
pub fn no_object_key(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    match (course.extract, course.path) {
        (false, None) => holds(
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

/// E.36: nothing hears of the upload, or hears it and does nothing.
pub fn no_trigger(case: &Case<'_, '_>) -> Fit {
    let evidence = case.evidence;
    let course = &evidence.course;
    let name = evidence.pipeline();
    if course.polls {
        return open("CodePipeline polls: it looks about once a minute");
    }
    let of_pipeline = |target: &Value| target.get("Arn").and_then(Value::as_str) == Some(course.pipeline.arn.as_str());
    let rules = || course.snapshot.rule.iter().chain(&course.snapshot.other_rules);
    if let Some(rule) = rules().find(|rule| !rule.enabled && (rule.targets.iter().any(of_pipeline) || rule.targets.is_empty())) {
        return holds(
            format!("rule {} is disabled", rule.name),
            [format!("aws events enable-rule --name {} --region {}", rule.name, course.home.region)],
        );
    }
    if course.triggers.is_empty() {
        if course.pipeline.polling_disabled {
            return holds(
                "CodePipeline has switched polling off after 30 idle days",
                [format!("xdeploy setup --pipeline {name} --change-detection eventbridge")],
            );
        }
        let seen = match rules().find(|rule| rule.targets.iter().any(of_pipeline)) {
            Some(rule) => {
                format!("rule {} doesn't match s3://{}/{}: {}", rule.name, course.source_bucket, course.source_object, rule.pattern)
            }
            None => match rules().next() {
                Some(rule) => format!("rule {} has no target that is the pipeline", rule.name),
                None => "neither a rule nor polling starts the pipeline".to_owned(),
            },
        };
        return holds(seen, [format!("xdeploy setup --pipeline {name} --change-detection eventbridge")]);
    }
    let notification = course.snapshot.input.found.as_ref().and_then(|found| found.notification.as_deref());
    let by_s3 = |pattern: &Value| !policy::names_in(pattern.get("detail-type")).iter().any(|kind| kind.contains("CloudTrail"));
    if notification.is_some_and(|text| !steps::has_eventbridge(text)) && course.triggers.iter().all(|trigger| by_s3(trigger.pattern)) {
        return holds(format!("bucket {} doesn't tell EventBridge of uploads", course.source_bucket), [evidence.setup()]);
    }
    if let Some(trigger) = course.triggers.iter().find(|trigger| trigger.role.is_none()) {
        return holds(format!("the target of rule {} names no role", trigger.rule), [evidence.setup()]);
    }
    if evidence.links(&["start-role", "start-run"]).iter().any(|link| link.verdict == Verdict::Denied) {
        return out("a rule hears of the upload, and is denied what it wants to start");
    }
    open("rule, target, role and the bucket's notification are as they should be: S3 may take 5 minutes after its first set-up")
}

/// E.38: EventBridge is denied what it needs.
pub fn event_role(case: &Case<'_, '_>) -> Fit {
    let links = case.evidence.links(&["start-role", "start-run"]);
    match links.iter().find(|link| link.verdict == Verdict::Denied) {
        Some(link) => by_link(case, link, Vec::new(), Vec::new()),
        None if links.is_empty() => out("no rule that is on hears of the upload"),
        None => out("the role of the rule's target may start the pipeline"),
    }
}

/// E.37: two things start the pipeline.
pub fn twice(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    let rules: Vec<&str> = course.triggers.iter().map(|trigger| trigger.rule).collect();
    let taken = case
        .evidence
        .readings
        .taken_twice
        .as_ref()
        .map(|version| format!("; version {version} was taken by several runs"))
        .unwrap_or_default();
    if course.polls && !rules.is_empty() {
        return holds(
            format!("CodePipeline polls beside rule {}{taken}", rules.join(", ")),
            [format!("xdeploy setup --pipeline {} --change-detection eventbridge", case.evidence.pipeline())],
        );
    }
    if rules.len() > 1 {
        let run = rules.iter().skip(1).map(|rule| format!("aws events disable-rule --name {rule} --region {}", course.home.region));
        return holds(format!("rules {} all start the pipeline{taken}", rules.join(", ")), run.take(1));
    }
    out("one thing starts the pipeline")
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
        return holds(seen, [case.evidence.setup(), format!("xdeploy release FILE --pipeline {}", case.evidence.pipeline())]);
    }
    match (&case.evidence.readings.output_key, &case.evidence.readings.strangers) {
        (Readable::Unknown(why), _) | (_, Readable::Unknown(why)) => unread("the deployed files", why),
        _ => out("the deployed files are production's, under no key of development's"),
    }
}

/// E.41: what a deploy leaves.
pub fn leftovers(case: &Case<'_, '_>) -> Fit {
    let bucket = case.evidence.course.output_bucket;
    match &case.evidence.readings.older {
        Readable::Known(older) => match older.first() {
            Some(first) => holds(
                format!("{} files of bucket {bucket} are older than the last run, such as {first}", older.len()),
                [format!("aws s3 rm s3://{bucket}/{first}")],
            ),
            None => out(format!("every file of bucket {bucket} is from the last run")),
        },
        Readable::Unknown(why) => unread(&format!("bucket {bucket}"), why),
    }
}

/// E.42: a document names a principal that is gone.
pub fn dead_principal(case: &Case<'_, '_>) -> Fit {
    let dead: Vec<&str> = case
        .evidence
        .proof
        .findings
        .iter()
        .map(|finding| finding.text.as_str())
        .filter(|text| text.contains("AROA") || text.contains("AIDA"))
        .collect();
    let names = |link: &&&Judged| link.missing.iter().any(|lack| dead.iter().any(|text| text.starts_with(&format!("{} (", lack.document))));
    match case.suspects.iter().find(names) {
        Some(link) => {
            let of_link = |text: &&&str| link.missing.iter().any(|lack| text.starts_with(&lack.document));
            by_link(case, link, dead.iter().filter(of_link).map(|text| (*text).to_owned()).collect(), Vec::new())
        }
        None if dead.is_empty() => out("no document names a principal that is gone"),
        None => open(dead.join("; ")),
    }
}

/// E.43: a folder that ends in a slash.
pub fn double_slash(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    match course.path.filter(|path| course.extract && path.ends_with('/')) {
        Some(path) => holds(
            format!("the deploy action's ObjectKey `{path}` ends in a slash, and CodePipeline adds its own"),
            edit(case, &format!("set ObjectKey to \"{}\"", path.trim_end_matches('/'))),
        ),
        None => out("the deploy action's ObjectKey doesn't end in a slash"),
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
    let needed = case.suspects.iter().any(|link| !link.may_be_called && link.verdict == Verdict::Denied);
    match case.suspects.iter().find(own) {
        _ if tags == 0 => out("the source object has no tags"),
        Some(_) if needed => out("a call that every run makes is denied"),
        Some(link) => by_link(case, link, vec![format!("the source object has {tags} tags, and a copy keeps them")], Vec::new()),
        None => out("the service role may read and write tags"),
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
    let mut found = vec![store(course.store_key(course.home)), store(course.store_key(course.action))];
    if case.symptom.at != Some(Place::Deploy) {
        found.push(file(course.source_key()));
    }
    if case.symptom.at != Some(Place::Source) {
        found.push(file(course.output_key()));
    }
    found.into_iter().flatten().collect()
}

/// E.46: a key that can't be used.
pub fn key_state(case: &Case<'_, '_>) -> Fit {
    let Some(key) = keys(case).into_iter().find(|key| key.state != "Enabled") else {
        return out("every key that these calls use is enabled");
    };
    let region = key.arn.split(':').nth(3).unwrap_or_default();
    let enable = format!("aws kms enable-key --key-id {} --region {region}", key.arn);
    let run = match key.state.as_str() {
        "Disabled" => vec![enable],
        state if state.starts_with("Pending") => {
            vec![format!("aws kms cancel-key-deletion --key-id {} --region {region}", key.arn), enable]
        }
        _ => Vec::new(),
    };
    let seen = format!("key {} is {}", key.arn, key.state);
    let link = case.suspects.iter().find(|link| link.resource == key.arn).map(|link| link.name.clone());
    Fit::Holds(Found { link, seen: vec![seen], run })
}

/// E.47: a bucket that makes the asker pay.
pub fn requester_pays(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    let at = match case.symptom.at {
        Some(Place::Source) => vec![course.source_bucket, course.home.bucket],
        Some(Place::Deploy) => vec![course.action.bucket, course.output_bucket],
        _ => vec![course.source_bucket, course.home.bucket, course.action.bucket, course.output_bucket],
    };
    let readings = &case.evidence.readings.requester_pays;
    let mut unknown = None;
    for bucket in at {
        match readings.get(bucket) {
            Some(Readable::Known(true)) => {
                return holds(
                    format!("bucket {bucket} is Requester Pays, and CodePipeline doesn't say that it pays"),
                    [format!("aws s3api put-bucket-request-payment --bucket {bucket} --request-payment-configuration Payer=BucketOwner")],
                );
            }
            Some(Readable::Known(false)) => {}
            Some(Readable::Unknown(why)) => unknown = Some(format!("whether bucket {bucket} is Requester Pays could not be read: {why}")),
            None => unknown = Some(format!("whether bucket {bucket} is Requester Pays was not read")),
        }
    }
    unknown.map_or_else(|| out("no bucket of these calls is Requester Pays"), open)
}
