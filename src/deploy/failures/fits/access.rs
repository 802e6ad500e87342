//! Rows about who is kept out by which document: facts E.9, E.19 to E.25, E.42, E.47.

use super::{by_link, edit, holds, open, out, unread};
use crate::deploy::failures::evidence::bare;
use crate::deploy::failures::{Case, Fit, Found, Place};
use crate::deploy::proof::Judged;
use crate::deploy::snapshot::{BucketSlot, RoleFound};
use crate::model::{Readable, Verdict, account_of};
use crate::policy;
use serde_json::Value;

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
fn header_denials(case: &Case<'_, '_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for slot in case.evidence.course.snapshot.artifact_buckets.values() {
        let Some(policy) = slot.found.as_ref().and_then(|found| found.policy.as_ref()) else { continue };
        for (index, statement) in policy::statements(policy).into_iter().enumerate() {
            let denies = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
            if denies
                && statement.get("Condition").is_some_and(|condition| condition.to_string().contains("s3:x-amz-server-side-encryption"))
            {
                found.push((format!("{} of bucket {}", policy::statement_name(statement, index), slot.name), slot.name.clone()));
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
    let course = &case.evidence.course;
    let flags = case.evidence.aws(&course.snapshot.dev.account, course.home.region);
    match header_denials(case).first() {
        Some((denial, bucket)) => holds(
            format!(
                "{denial} denies every upload without the header x-amz-server-side-encryption: aws:kms; CodePipeline's own uploads send it"
            ),
            [format!("aws s3 cp FILE s3://{bucket}/KEY --sse aws:kms --sse-kms-key-id KEY-ARN{flags}")],
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
    let first_denied = case.suspects.first().is_some_and(|link| link.verdict == Verdict::Denied && !link.may_be_called());
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

/// Orphaned principals in documents: AWS refuses every save of a document that still holds one, and says the same then as of a
/// principal that never was (E.14 to E.16, E.42).
fn orphan_in(case: &Case<'_, '_>, documents: Vec<(String, &str, Option<&Value>)>) -> Fit {
    let mut seen = Vec::new();
    let mut run = Vec::new();
    for (name, account, document) in documents {
        for orphan in document.map(policy::orphans).unwrap_or_default() {
            let id = &orphan.id;
            let fix = match orphan.stays {
                None => {
                    let command = format!("{} --remove-dead-principal {id}", case.evidence.setup());
                    if !run.contains(&command) {
                        run.push(command);
                    }
                    ""
                }
                Some(_) => "; its owner must name the role that is meant now in the id's place, or take the statement out",
            };
            seen.push(format!(
                "{name} ({account}), {}: `{id}` is what is left of a deleted role or user, and AWS saves no document with it{fix}",
                orphan.statement
            ));
        }
    }
    if seen.is_empty() { Fit::Silent } else { Fit::Holds(Found { link: None, seen, run }) }
}

/// E.14: a trust policy still names a role or user that was deleted.
pub fn orphan_in_trust(case: &Case<'_, '_>) -> Fit {
    let snapshot = case.evidence.course.snapshot;
    let own = [&snapshot.service_role, &snapshot.deploy_role, &snapshot.event_role].into_iter().flatten();
    let others = snapshot.other_roles.values().filter_map(Readable::known).flatten();
    let trust = |role: &'_ RoleFound| format!("trust policy of role {}", role.name);
    // IAM says which principal it doesn't know.
    let named = |role: &&RoleFound| policy::orphans(&role.trust).iter().any(|orphan| case.symptom.text.contains(&orphan.id));
    orphan_in(case, own.chain(others).filter(named).map(|role| (trust(role), account_of(&role.arn), Some(&role.trust))).collect())
}

/// E.15: a bucket policy still names a role or user that was deleted.
pub fn orphan_in_bucket(case: &Case<'_, '_>) -> Fit {
    let snapshot = case.evidence.course.snapshot;
    let dev = snapshot.artifact_buckets.values().chain([&snapshot.input]).map(|slot| (slot, snapshot.dev.account.as_str()));
    let all = dev.chain([(&snapshot.output, snapshot.prod.account.as_str())]);
    let policy = |slot: &'_ BucketSlot| format!("policy of bucket {}", slot.name);
    orphan_in(
        case,
        all.map(|(slot, account)| (policy(slot), account, slot.found.as_ref().and_then(|found| found.policy.as_ref()))).collect(),
    )
}

/// E.16: a key policy still names a role or user that was deleted.
pub fn orphan_in_key(case: &Case<'_, '_>) -> Fit {
    let snapshot = case.evidence.course.snapshot;
    let stores = snapshot.keys.values().filter_map(|slot| slot.found.as_ref());
    let keys = stores.chain(snapshot.customer_keys.values().filter_map(Readable::known));
    orphan_in(case, keys.map(|key| (format!("policy of key {}", key.arn), key.account(), key.policy.as_ref())).collect())
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
            // That CodePipeline fails at it isn't confirmed, and a denial is certain.
            Some(Readable::Known(true))
                if case.suspects.first().is_some_and(|link| link.verdict == Verdict::Denied && !link.may_be_called()) =>
            {
                unknown = Some(format!("bucket {bucket} is Requester Pays, which may be in the way as well"));
            }
            Some(Readable::Known(true)) => {
                let (account, region) = match bucket == course.output_bucket {
                    true => (&course.snapshot.prod.account, course.action.region),
                    false if bucket == course.action.bucket => (&course.snapshot.dev.account, course.action.region),
                    false => (&course.snapshot.dev.account, course.home.region),
                };
                let flags = case.evidence.aws(account, region);
                return holds(
                    format!("bucket {bucket} is Requester Pays, and CodePipeline doesn't say that it pays"),
                    [format!(
                        "aws s3api put-bucket-request-payment --bucket {bucket} --request-payment-configuration Payer=BucketOwner{flags}"
                    )],
                );
            }
            Some(Readable::Known(false)) => {}
            Some(Readable::Unknown(why)) => unknown = Some(format!("whether bucket {bucket} is Requester Pays could not be read: {why}")),
            None => unknown = Some(format!("whether bucket {bucket} is Requester Pays was not read")),
        }
    }
    unknown.map_or_else(|| out("no bucket of these calls is Requester Pays"), open)
}
