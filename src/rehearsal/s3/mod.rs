//! S3 (restXml): buckets, their settings, and versioned objects.

mod access;
mod body;
mod bucket;
mod listing;
mod objects;
mod policy;
mod reading;
mod settings;
mod sse;
mod store;
mod sub_resources;
#[cfg(test)]
mod tests;
pub(crate) mod xml;

pub(crate) use bucket::Bucket;
pub(crate) use store::instant;

use super::state::State;
use super::wire::{Answer, Call, Fault, Outcome, rest_fault};

/// What a request is about: the address is virtual-hosted or path-style, since clients use either.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    bucket: String,
    key: String,
}

impl Place {
    fn of(call: &Call) -> Place {
        let host = call.host.split(':').next().unwrap_or_default();
        let path = call.path.strip_prefix('/').unwrap_or(&call.path);
        // A bucket's name may hold dots, so the last `.s3.` parts it from the endpoint.
        if host.contains(".amazonaws.com")
            && let Some(end) = host.rfind(".s3.").or_else(|| host.rfind(".s3-"))
        {
            return Place { bucket: host[..end].to_owned(), key: path.to_owned() };
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Place { bucket: bucket.to_owned(), key: key.to_owned() }
    }
}

/// Answers a call.
pub(crate) fn answer(state: &mut State, call: &Call) -> Answer {
    let place = Place::of(call);
    let answered = serve(state, call, &place);
    let region = state.buckets.get(&place.bucket).map(|bucket| bucket.region.clone());
    let of_bucket = call.method == "HEAD" && place.key.is_empty();
    let mut answer = answered.unwrap_or_else(|fault| {
        let mut answer = rest_fault(call, &fault);
        answer.headers.extend(fault.members.into_iter().filter(|(name, _)| name == "x-amz-delete-marker"));
        answer
    });
    // Also where the caller may not see the bucket (facts D.1, HeadBucket).
    if of_bucket || answer.status == 301 {
        answer.headers.extend(region.map(|region| ("x-amz-bucket-region".to_owned(), region)));
    }
    answer
}

fn serve(state: &mut State, call: &Call, place: &Place) -> Outcome<Answer> {
    let Place { bucket, key } = place;
    if bucket.is_empty() {
        return match call.method.as_str() {
            "GET" => listing::buckets(state, call),
            _ => Err(not_allowed()),
        };
    }
    // Whatever isn't there must not be taken for the object or the bucket that it belongs to.
    if let Some(name) = sub_resources::lacking(&call.method, key.is_empty(), call.query.iter().map(|(name, _)| name.as_str())) {
        let mut fault = not_implemented();
        fault.members.push(("Query".to_owned(), name.to_owned()));
        return Err(fault);
    }
    let has = |name: &str| call.parameter(name).is_some();
    if key.is_empty() && call.method == "PUT" && !call.query.iter().any(|(name, _)| settings::is_setting(name)) {
        return settings::create(state, call, bucket);
    }
    reachable(state, call, bucket)?;
    match (call.method.as_str(), key.is_empty()) {
        ("HEAD", true) => settings::head(state, call, bucket),
        (method, true) => match call.query.iter().map(|(name, _)| name.as_str()).find(|name| settings::is_setting(name)) {
            Some(setting) => settings::answer(state, call, bucket, method, setting),
            None if method == "DELETE" => settings::delete(state, call, bucket),
            None if method == "GET" && has("versions") => listing::versions(state, call, bucket),
            None if method == "GET" => listing::objects(state, call, bucket),
            None if method == "POST" && has("delete") => objects::delete_many(state, call, bucket),
            None => Err(not_allowed()),
        },
        ("GET", false) if has("acl") => reading::acl(state, call, place),
        ("PUT", false) if has("acl") => objects::put_acl(state, call, place),
        ("GET", false) if has("tagging") => reading::tagging(state, call, place),
        ("PUT", false) if has("tagging") => objects::put_tagging(state, call, place),
        ("GET" | "HEAD", false) => reading::object(state, call, place),
        ("PUT", false) if call.header("x-amz-copy-source").is_some() => objects::copy(state, call, place),
        ("PUT", false) => objects::put(state, call, place),
        ("DELETE", false) => objects::delete(state, call, place),
        _ => Err(not_implemented()),
    }
}

fn not_allowed() -> Fault {
    Fault::new(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
}

fn not_implemented() -> Fault {
    Fault::new(501, "NotImplemented", "A header or query you provided implies functionality that is not implemented")
}

/// Refuses a bucket that isn't there, is another region's, or isn't its whom the caller expects.
fn reachable(state: &State, call: &Call, name: &str) -> Outcome<()> {
    let Some(bucket) = state.buckets.get(name) else {
        let mut missing = Fault::new(404, "NoSuchBucket", "The specified bucket does not exist");
        missing.members.push(("BucketName".to_owned(), name.to_owned()));
        return Err(missing);
    };
    // Every region knows where a bucket is, and none serves another's.
    if bucket.region != call.region && call.parameter("location").is_none() {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                       Please send all future requests to this endpoint.";
        let mut elsewhere = Fault::new(301, "PermanentRedirect", message);
        elsewhere.members.push(("Endpoint".to_owned(), format!("{name}.s3.{}.amazonaws.com", bucket.region)));
        elsewhere.members.push(("Bucket".to_owned(), name.to_owned()));
        return Err(elsewhere);
    }
    match call.header("x-amz-expected-bucket-owner") {
        Some(expected) if expected != bucket.owner => Err(Fault::new(403, "AccessDenied", "Access Denied")),
        _ => Ok(()),
    }
}

/// Gives an answer without a body.
fn empty(status: u16) -> Answer {
    Answer { status, headers: Vec::new(), body: Vec::new() }
}
