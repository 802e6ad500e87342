//! Who may do what to a bucket and its objects: policies, ACLs, Block Public Access, Object Ownership.

use super::bucket::{Bucket, Ownership, Version};
use super::xml::{element, leaf};
use crate::model::hex;
use crate::policy::statements;
use crate::rehearsal::authorise::{Asked, authorise};
use crate::rehearsal::state::State;
use crate::rehearsal::wire::{Call, Fault, Outcome};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Headers of calls that write, which policies can ask for (facts A.2, G.5).
const WRITING: [&str; 13] = [
    "x-amz-acl",
    "x-amz-server-side-encryption",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-storage-class",
    "x-amz-object-ownership",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "if-none-match",
    "if-match",
];

/// Gives the id by which ACLs know an account: 64 hexadecimal digits.
pub(crate) fn canonical_id(account: &str) -> String {
    hex(Sha256::digest(format!("canonical user of {account}")))
}

/// Gives the ARN of a bucket or an object.
pub(super) fn arn(state: &State, name: &str, key: Option<&str>) -> String {
    let key = key.map(|key| format!("/{key}")).unwrap_or_default();
    format!("arn:{}:s3:::{name}{key}", state.partition)
}

/// Gives what a request says about itself in the names of S3's condition keys.
fn said<'a>(state: &State, call: &Call, asked: Asked<'a>, key: Option<&str>) -> Asked<'a> {
    let mut asked = asked.with("s3:authType", "REST-HEADER").with("s3:signatureversion", "AWS4-HMAC-SHA256").with("s3:TlsVersion", "1.3");
    let account = asked.account.clone();
    asked = asked.with("s3:ResourceAccount", account);
    if let Some(hash) = call.header("x-amz-content-sha256") {
        asked = asked.with("s3:x-amz-content-sha256", hash);
    }
    // A copy reads as well, and what it asks for of the new object is no key of that.
    let writes = ["s3:Put", "s3:Create"].iter().any(|prefix| asked.action.starts_with(prefix));
    for name in WRITING.iter().filter(|_| writes) {
        if let Some(value) = call.header(name) {
            asked = asked.with(&format!("s3:{name}"), value);
        }
    }
    if let Some(id) = call.header("x-amz-server-side-encryption-aws-kms-key-id").filter(|_| writes) {
        // Policies compare the ARN; a bare id is one of the caller's account.
        let id = if id.starts_with("arn:") || id.starts_with("alias/") {
            id.to_owned()
        } else {
            format!("arn:{}:kms:{}:{}:key/{id}", state.partition, call.region, call.caller.account)
        };
        asked = asked.with("s3:x-amz-server-side-encryption-aws-kms-key-id", id);
    }
    let parameters: &[(&str, &str)] = match key {
        Some(_) => &[("versionId", "s3:VersionId")],
        None if asked.action.starts_with("s3:ListBucket") => {
            &[("prefix", "s3:prefix"), ("delimiter", "s3:delimiter"), ("max-keys", "s3:max-keys")]
        }
        None => &[],
    };
    for (name, key) in parameters {
        if let Some(value) = call.parameter(name) {
            asked = asked.with(key, value);
        }
    }
    asked
}

/// Lets a call on a bucket, or on a key in it, pass.
pub(super) fn permit(state: &mut State, call: &Call, name: &str, key: Option<&str>, action: &str, extra: &[(&str, String)]) -> Outcome<()> {
    let bucket = super::store::bucket(state, name)?;
    let policy = bucket.policy.as_ref().map(|policy| policy.shown(state));
    let asked = Asked::by(call, action, arn(state, name, key), &bucket.owner).under(policy);
    decide(state, call, bucket_restricts(bucket), asked, key, extra)
}

/// Lets a bucket be made.
pub(super) fn permit_creation(state: &mut State, call: &Call, name: &str, action: &str, extra: &[(&str, String)]) -> Outcome<()> {
    let asked = Asked::by(call, action, arn(state, name, None), &call.caller.account);
    decide(state, call, false, asked, None, extra)
}

/// Lets an account's buckets be listed.
pub(super) fn permit_list(state: &mut State, call: &Call) -> Outcome<()> {
    let asked = Asked::by(call, "s3:ListAllMyBuckets", "*", &call.caller.account);
    decide(state, call, false, asked, None, &[])
}

/// Lets a call on an object that is there pass.
///
/// A bucket's policy allows nothing on an object that another account owns, though it denies; there the ACL that the object was
/// put with has the say (S3-Own, facts F.2).
pub(super) fn permit_object(
    state: &mut State,
    call: &Call,
    name: &str,
    key: &str,
    version: &Version,
    action: &str,
    extra: &[(&str, String)],
) -> Outcome<()> {
    let bucket = super::store::bucket(state, name)?;
    let (owner, resource) = (owner_of(bucket, version).to_owned(), arn(state, name, Some(key)));
    let mut policy = bucket.policy.as_ref().map(|policy| policy.shown(state));
    let foreign = owner != bucket.owner;
    let granted = granted_by_acl(state, bucket, version, &resource);
    if foreign || !granted.is_empty() {
        let kept = |statement: &&Value| !foreign || statement.get("Effect").and_then(Value::as_str) == Some("Deny");
        let own: Vec<Value> = policy.iter().flat_map(|policy| statements(policy)).filter(kept).cloned().collect();
        let all = [own, granted].concat();
        policy = Some(json!({"Version": "2012-10-17", "Statement": all}));
    }
    let asked = Asked::by(call, action, resource, &owner).under(policy);
    decide(state, call, bucket_restricts(bucket), asked, Some(key), extra)
}

fn bucket_restricts(bucket: &Bucket) -> bool {
    bucket.public_access_block.is_some_and(|block| block.restrict_buckets)
}

fn decide(
    state: &mut State,
    call: &Call,
    restricts_public: bool,
    asked: Asked<'_>,
    key: Option<&str>,
    extra: &[(&str, String)],
) -> Outcome<()> {
    let mut asked = said(state, call, asked, key);
    asked.restricts_public = restricts_public;
    for (name, value) in extra {
        asked = asked.with(name, value.as_str());
    }
    authorise(state, &call.caller, asked)
}

/// Gives who owns a version: with ACLs disabled the bucket's owner, whoever wrote it (facts F.2).
pub(super) fn owner_of<'b>(bucket: &'b Bucket, version: &'b Version) -> &'b str {
    if bucket.ownership == Some(Ownership::Enforced) { &bucket.owner } else { &version.owner }
}

/// Gives what an object's ACL allows others, as statements.
fn granted_by_acl(state: &State, bucket: &Bucket, version: &Version, resource: &str) -> Vec<Value> {
    if bucket.ownership == Some(Ownership::Enforced) {
        return Vec::new();
    }
    let acl = version.content.as_ref().map_or("private", |content| content.acl.as_str());
    let read = json!(["s3:GetObject", "s3:GetObjectVersion"]);
    let full = json!([
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:GetObjectAcl",
        "s3:GetObjectVersionAcl",
        "s3:PutObjectAcl",
        "s3:PutObjectVersionAcl"
    ]);
    let root = json!({"AWS": format!("arn:{}:iam::{}:root", state.partition, bucket.owner)});
    let ignored = bucket.public_access_block.is_some_and(|block| block.ignore_acls);
    let (principal, actions) = match acl {
        "bucket-owner-full-control" if version.owner != bucket.owner => (root, full),
        "bucket-owner-read" if version.owner != bucket.owner => (root, read),
        "public-read" | "public-read-write" if !ignored => (json!("*"), read),
        "authenticated-read" if !ignored => (json!({"AWS": "*"}), read),
        _ => return Vec::new(),
    };
    vec![json!({"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": resource})]
}

/// Refuses an ACL where ACLs are disabled.
pub(super) fn no_acls() -> Fault {
    Fault::new(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")
}

/// Refuses a canned ACL that the bucket doesn't take.
pub(super) fn check_acl(bucket: &Bucket, acl: Option<&str>) -> Outcome<()> {
    const CANNED: [&str; 8] = [
        "private",
        "public-read",
        "public-read-write",
        "authenticated-read",
        "aws-exec-read",
        "bucket-owner-read",
        "bucket-owner-full-control",
        "log-delivery-write",
    ];
    let Some(acl) = acl else { return Ok(()) };
    if !CANNED.contains(&acl) {
        return Err(Fault::new(400, "InvalidArgument", "").with("ArgumentName", "x-amz-acl").with("ArgumentValue", acl));
    }
    if bucket.ownership == Some(Ownership::Enforced) && acl != "bucket-owner-full-control" {
        return Err(no_acls());
    }
    let public = acl.starts_with("public-") || acl == "authenticated-read";
    if public && bucket.public_access_block.is_some_and(|block| block.block_acls) {
        return Err(Fault::new(403, "AccessDenied", "Access Denied"));
    }
    Ok(())
}

/// Gives who owns what a caller writes (facts F.2).
pub(super) fn new_owner(bucket: &Bucket, writer: &str, acl: Option<&str>) -> String {
    match bucket.ownership {
        Some(Ownership::Enforced) => bucket.owner.clone(),
        Some(Ownership::Preferred) if acl == Some("bucket-owner-full-control") => bucket.owner.clone(),
        _ => writer.to_owned(),
    }
}

/// Writes owner and grants of a canned ACL.
pub(super) fn control_list(owner: &str, acl: &str, bucket_owner: &str) -> String {
    let instance = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
    let grant = |grantee: String, right: &str| element("Grant", grantee + &leaf("Permission", right));
    let user = |account: &str| format!("<Grantee {instance} xsi:type=\"CanonicalUser\">{}</Grantee>", leaf("ID", canonical_id(account)));
    let group = |name: &str| {
        let uri = leaf("URI", format!("http://acs.amazonaws.com/groups/global/{name}"));
        format!("<Grantee {instance} xsi:type=\"Group\">{uri}</Grantee>")
    };
    let mut grants = grant(user(owner), "FULL_CONTROL");
    match acl {
        "bucket-owner-full-control" if owner != bucket_owner => grants.push_str(&grant(user(bucket_owner), "FULL_CONTROL")),
        "bucket-owner-read" if owner != bucket_owner => grants.push_str(&grant(user(bucket_owner), "READ")),
        "public-read" | "public-read-write" => grants.push_str(&grant(group("AllUsers"), "READ")),
        "authenticated-read" => grants.push_str(&grant(group("AuthenticatedUsers"), "READ")),
        _ => {}
    }
    element("Owner", leaf("ID", canonical_id(owner))) + &element("AccessControlList", grants)
}

/// Gives tags that come with a request as condition keys.
pub(super) fn object_tags(tags: &[(String, String)]) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| (format!("s3:RequestObjectTag/{key}"), value.clone())).collect()
}
