//! Buckets themselves, and their settings.

use super::access::{self, permit};
use super::bucket::{Bucket, Encryption, Ownership, PublicAccessBlock, Versioning};
use super::store::{bucket, bucket_mut, now};
use super::xml::{self, element, leaf};
use super::{empty, not_allowed, not_implemented, policy};
use crate::model::BucketName;
use crate::rehearsal::state::State;
use crate::rehearsal::wire::{Answer, Call, Fault, Outcome};

/// Sub-resources of a bucket: parameter, action that reads, action that writes (the same for taking away, but for the policy).
const SETTINGS: [(&str, &str, &str); 14] = [
    ("policy", "s3:GetBucketPolicy", "s3:PutBucketPolicy"),
    ("policyStatus", "s3:GetBucketPolicyStatus", ""),
    ("versioning", "s3:GetBucketVersioning", "s3:PutBucketVersioning"),
    ("encryption", "s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration"),
    ("publicAccessBlock", "s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("ownershipControls", "s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls"),
    ("tagging", "s3:GetBucketTagging", "s3:PutBucketTagging"),
    ("notification", "s3:GetBucketNotification", "s3:PutBucketNotification"),
    ("acl", "s3:GetBucketAcl", "s3:PutBucketAcl"),
    ("location", "s3:GetBucketLocation", ""),
    ("requestPayment", "s3:GetBucketRequestPayment", "s3:PutBucketRequestPayment"),
    // Nobody can set these here, so there is none to be read.
    ("lifecycle", "s3:GetLifecycleConfiguration", ""),
    ("cors", "s3:GetBucketCORS", ""),
    ("website", "s3:GetBucketWebsite", ""),
];

/// Says whether a parameter of the query names a sub-resource of a bucket.
pub(super) fn is_setting(name: &str) -> bool {
    SETTINGS.iter().any(|(known, _, _)| *known == name)
}

/// Reads, writes or takes away a setting.
pub(super) fn answer(state: &mut State, call: &Call, name: &str, method: &str, setting: &str) -> Outcome<Answer> {
    let Some((_, reads, writes)) = SETTINGS.iter().find(|(known, _, _)| *known == setting) else { return Err(not_implemented()) };
    let action = match method {
        "GET" => *reads,
        "DELETE" if setting == "policy" => "s3:DeleteBucketPolicy",
        "PUT" | "DELETE" if !writes.is_empty() => *writes,
        "PUT" | "DELETE" if ["lifecycle", "cors", "website"].contains(&setting) => return Err(not_implemented()),
        _ => return Err(not_allowed()),
    };
    permit(state, call, name, None, action, &[])?;
    match (method, setting) {
        ("GET", _) => read(state, call, name, setting),
        ("PUT", "policy") => policy::put(state, call, name),
        ("PUT", _) => write(state, call, name, setting),
        _ => take_away(state, call, name, setting),
    }
}

/// Says whether a bucket is there and may be seen.
pub(super) fn head(state: &mut State, call: &Call, name: &str) -> Outcome<Answer> {
    permit(state, call, name, None, "s3:ListBucket", &[])?;
    Ok(empty(200))
}

/// Makes a bucket.
pub(super) fn create(state: &mut State, call: &Call, name: &str) -> Outcome<Answer> {
    if name.parse::<BucketName>().is_err() {
        return Err(Fault::new(400, "InvalidBucketName", "The specified bucket is not valid."));
    }
    let (constraint, tags) = if call.body.is_empty() {
        (None, Vec::new())
    } else {
        let bytes = super::body::read(call)?.bytes;
        xml::read(&bytes, |root| {
            let tags = xml::child(root, "Tags").map_or(Some(Vec::new()), xml::tags)?;
            Some((xml::text(root, "LocationConstraint").map(str::to_owned), tags))
        })?
    };
    let location = constraint.clone().into_iter().map(|region| ("s3:LocationConstraint", region)).collect::<Vec<_>>();
    access::permit_creation(state, call, name, "s3:CreateBucket", &location)?;
    let ownership = call.header("x-amz-object-ownership");
    for (needed, action) in [
        (!tags.is_empty(), "s3:TagResource"),
        (ownership.is_some(), "s3:PutBucketOwnershipControls"),
        (call.header("x-amz-acl").is_some(), "s3:PutBucketAcl"),
    ] {
        if needed {
            access::permit_creation(state, call, name, action, &[])?;
        }
    }
    let wrong = |given: &str| {
        let message = format!("The {given} location constraint is incompatible for the region specific endpoint this request was sent to.");
        Err(Fault::new(400, "IllegalLocationConstraintException", message))
    };
    match constraint.as_deref().filter(|region| !region.is_empty()) {
        // The one region that may not be named.
        Some("us-east-1") => return Err(Fault::new(400, "InvalidLocationConstraint", "The specified location-constraint is not valid")),
        Some(region) if region != call.region => return wrong(region),
        None if call.region != "us-east-1" => return wrong("unspecified"),
        _ => {}
    }
    let owner = call.caller.account.clone();
    if let Some(there) = state.buckets.get(name) {
        // us-east-1 answers as if it had made it (facts D.1).
        if there.owner == owner && there.region == "us-east-1" && call.region == "us-east-1" {
            return Ok(located(name, "us-east-1"));
        }
        return Err(if there.owner == owner {
            Fault::new(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
        } else {
            Fault::new(
                409,
                "BucketAlreadyExists",
                "The requested bucket name is not available. The bucket namespace is shared by all users of the system. \
                 Please select a different name and try again.",
            )
        });
    }
    let mut made = Bucket::new(name, &owner, &call.region, now(state));
    made.tags = tags;
    if let Some(word) = ownership {
        made.ownership = Some(Ownership::read(word).ok_or_else(malformed)?);
    }
    state.buckets.insert(name.to_owned(), made);
    Ok(located(name, &call.region))
}

fn located(name: &str, region: &str) -> Answer {
    let location = if region == "us-east-1" { format!("/{name}") } else { format!("http://{name}.s3.amazonaws.com/") };
    Answer { status: 200, headers: vec![("location".to_owned(), location)], body: Vec::new() }
}

/// Takes a bucket away.
pub(super) fn delete(state: &mut State, call: &Call, name: &str) -> Outcome<Answer> {
    permit(state, call, name, None, "s3:DeleteBucket", &[])?;
    if !bucket(state, name)?.objects.is_empty() {
        let mut full = Fault::new(409, "BucketNotEmpty", "The bucket you tried to delete is not empty");
        if bucket(state, name)?.versioning != Versioning::Never {
            full.message.push_str(". You must delete all versions in the bucket.");
        }
        full.members.push(("BucketName".to_owned(), name.to_owned()));
        return Err(full);
    }
    state.buckets.remove(name);
    Ok(empty(204))
}

fn malformed() -> Fault {
    Fault::new(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}

fn absent(code: &str, message: &str, name: &str) -> Fault {
    let mut fault = Fault::new(404, code, message);
    fault.members.push(("BucketName".to_owned(), name.to_owned()));
    fault
}

fn read(state: &State, call: &Call, name: &str, setting: &str) -> Outcome<Answer> {
    let held = bucket(state, name)?;
    Ok(match setting {
        "policy" => {
            policy::of_owner(state, call, name)?;
            let missing = || absent("NoSuchBucketPolicy", "The bucket policy does not exist", name);
            let body = held.policy.as_ref().ok_or_else(missing)?.text(state).into_bytes();
            Answer { status: 200, headers: vec![("content-type".to_owned(), "application/json".to_owned())], body }
        }
        "policyStatus" => {
            let missing = || absent("NoSuchBucketPolicy", "The bucket policy does not exist", name);
            let document = held.policy.as_ref().ok_or_else(missing)?.shown(state);
            xml::document("PolicyStatus", leaf("IsPublic", policy::is_public(held, &document)))
        }
        "versioning" => {
            let status = match held.versioning {
                Versioning::Never => String::new(),
                Versioning::Enabled => leaf("Status", "Enabled"),
                Versioning::Suspended => leaf("Status", "Suspended"),
            };
            xml::document("VersioningConfiguration", status)
        }
        "encryption" => {
            let Encryption { algorithm, key, bucket_key } = &held.encryption;
            let key = key.as_ref().map(|key| leaf("KMSMasterKeyID", key)).unwrap_or_default();
            let default = element("ApplyServerSideEncryptionByDefault", leaf("SSEAlgorithm", algorithm) + &key);
            let rule = element("Rule", default + &leaf("BucketKeyEnabled", bucket_key));
            xml::document("ServerSideEncryptionConfiguration", rule)
        }
        "publicAccessBlock" => {
            let missing = || absent("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found", name);
            let block = held.public_access_block.ok_or_else(missing)?;
            let switches = leaf("BlockPublicAcls", block.block_acls)
                + &leaf("IgnorePublicAcls", block.ignore_acls)
                + &leaf("BlockPublicPolicy", block.block_policy)
                + &leaf("RestrictPublicBuckets", block.restrict_buckets);
            xml::document("PublicAccessBlockConfiguration", switches)
        }
        "ownershipControls" => {
            let missing = || absent("OwnershipControlsNotFoundError", "The bucket ownership controls were not found", name);
            let ownership = held.ownership.ok_or_else(missing)?;
            xml::document("OwnershipControls", element("Rule", leaf("ObjectOwnership", ownership.word())))
        }
        "tagging" => {
            if held.tags.is_empty() {
                return Err(absent("NoSuchTagSet", "The TagSet does not exist", name));
            }
            xml::document("Tagging", xml::tag_set(&held.tags))
        }
        "notification" => match &held.notification {
            Some(body) => {
                Answer { status: 200, headers: vec![("content-type".to_owned(), "application/xml".to_owned())], body: body.clone() }
            }
            None => xml::document("NotificationConfiguration", ""),
        },
        "acl" => xml::document("AccessControlPolicy", access::control_list(&held.owner, "private", &held.owner)),
        "location" => {
            // us-east-1 has no name here.
            let region = if held.region == "us-east-1" { "" } else { &held.region };
            xml::document("LocationConstraint", region)
        }
        "requestPayment" => xml::document("RequestPaymentConfiguration", leaf("Payer", "BucketOwner")),
        "lifecycle" => return Err(absent("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", name)),
        "cors" => return Err(absent("NoSuchCORSConfiguration", "The CORS configuration does not exist", name)),
        "website" => {
            return Err(absent("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration", name));
        }
        _ => return Err(not_implemented()),
    })
}

fn write(state: &mut State, call: &Call, name: &str, setting: &str) -> Outcome<Answer> {
    let bytes = super::body::read(call)?.bytes;
    let held = bucket_mut(state, name)?;
    match setting {
        "versioning" => {
            held.versioning = xml::read(&bytes, |root| match xml::text(root, "Status") {
                Some("Enabled") => Some(Versioning::Enabled),
                Some("Suspended") => Some(Versioning::Suspended),
                _ => None,
            })?;
        }
        "encryption" => {
            let read = xml::read(&bytes, |root| {
                let rule = xml::child(root, "Rule")?;
                let default = xml::child(rule, "ApplyServerSideEncryptionByDefault")?;
                Some(Encryption {
                    algorithm: xml::text(default, "SSEAlgorithm")?.to_owned(),
                    key: xml::text(default, "KMSMasterKeyID").map(str::to_owned),
                    bucket_key: xml::text(rule, "BucketKeyEnabled") == Some("true"),
                })
            })?;
            // The key itself isn't looked at (facts D.1).
            match (read.algorithm.as_str(), &read.key) {
                ("aws:kms" | "aws:kms:dsse", _) | ("AES256", None) => held.encryption = read,
                ("AES256", Some(_)) => {
                    let message = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse";
                    return Err(Fault::new(400, "InvalidArgument", message));
                }
                _ => return Err(malformed()),
            }
        }
        "publicAccessBlock" => {
            held.public_access_block = Some(xml::read(&bytes, |root| {
                let on = |switch: &str| xml::text(root, switch) == Some("true");
                Some(PublicAccessBlock {
                    block_acls: on("BlockPublicAcls"),
                    ignore_acls: on("IgnorePublicAcls"),
                    block_policy: on("BlockPublicPolicy"),
                    restrict_buckets: on("RestrictPublicBuckets"),
                })
            })?);
        }
        "ownershipControls" => {
            held.ownership = Some(xml::read(&bytes, |root| Ownership::read(xml::text(xml::child(root, "Rule")?, "ObjectOwnership")?))?);
        }
        "tagging" => {
            let tags = xml::read(&bytes, |root| xml::tags(xml::child(root, "TagSet")?))?;
            let mut keys: Vec<&String> = tags.iter().map(|(key, _)| key).collect();
            keys.sort();
            keys.dedup();
            if keys.len() != tags.len() {
                return Err(Fault::new(400, "InvalidTag", "Cannot provide multiple Tags with the same key"));
            }
            if tags.len() > 50 {
                return Err(Fault::new(400, "BadRequest", "Bucket tag count cannot be greater than 50"));
            }
            held.tags = tags;
            return Ok(empty(204));
        }
        "notification" => {
            xml::read(&bytes, |root| (root.tag_name().name() == "NotificationConfiguration").then_some(()))?;
            held.notification = Some(bytes);
        }
        "acl" => {
            let canned = call.header("x-amz-acl").unwrap_or("private");
            if held.ownership == Some(Ownership::Enforced) && canned != "bucket-owner-full-control" {
                return Err(access::no_acls());
            }
        }
        _ => return Err(not_implemented()),
    }
    Ok(empty(200))
}

fn take_away(state: &mut State, call: &Call, name: &str, setting: &str) -> Outcome<Answer> {
    if setting == "policy" {
        policy::of_owner(state, call, name)?;
    }
    let held = bucket_mut(state, name)?;
    match setting {
        "policy" => held.policy = None,
        "encryption" => held.encryption = Encryption::default(),
        "publicAccessBlock" => held.public_access_block = None,
        "ownershipControls" => held.ownership = None,
        "tagging" => held.tags.clear(),
        _ => return Err(not_allowed()),
    }
    Ok(empty(204))
}
