//! Lists whose first page is empty although another follows, as AWS says that they may be.

use super::{Request, Response};
use serde_json::{Value, json};

/// What leads to the page after the empty one: the first that the accounts themselves give.
const TOKEN: &str = "after-an-empty-page";

/// Lists of the JSON services: operation, list, and what the token is called in the request and in the answer.
const JSON: [(&str, &str, &str, &str); 10] = [
    ("ListKeys", "Keys", "Marker", "NextMarker"),
    ("ListAliases", "Aliases", "Marker", "NextMarker"),
    ("ListResourceTags", "Tags", "Marker", "NextMarker"),
    ("ListPipelines", "pipelines", "nextToken", "nextToken"),
    ("ListPipelineExecutions", "pipelineExecutionSummaries", "nextToken", "nextToken"),
    ("ListActionExecutions", "actionExecutionDetails", "nextToken", "nextToken"),
    ("ListRules", "Rules", "NextToken", "NextToken"),
    ("ListTargetsByRule", "Targets", "NextToken", "NextToken"),
    ("ListRuleNamesByTarget", "RuleNames", "NextToken", "NextToken"),
    // CodePipeline's: EventBridge's list of this name has no pages.
    ("ListTagsForResource", "tags", "nextToken", "nextToken"),
];

/// Lists of IAM.
const IAM: [(&str, &str); 3] =
    [("ListAttachedRolePolicies", "AttachedPolicies"), ("ListRolePolicies", "PolicyNames"), ("ListPolicyVersions", "Versions")];

fn answer(kind: &str, body: String) -> Response {
    Response { status: 200, headers: vec![("content-type".to_owned(), kind.to_owned())], body: body.into_bytes() }
}

/// Gives an empty page to who asks for the first one of a list; who comes back with its token asks for the first page then.
pub(super) fn empty_first(request: &mut Request, name: &str) -> Option<Response> {
    let (service, rest) = name.split_once(':')?;
    let operation = rest.split(' ').next().unwrap_or_default();
    match service {
        "kms" | "codepipeline" | "events" => of_json(request, service, operation),
        "iam" => of_iam(request, operation),
        "s3" if operation == "GET" => of_s3(request, rest),
        _ => None,
    }
}

fn of_json(request: &mut Request, service: &str, operation: &str) -> Option<Response> {
    let (.., list, asks, tells) = JSON.iter().find(|(of, ..)| *of == operation)?;
    if (service, operation) == ("events", "ListTagsForResource") {
        return None;
    }
    let mut body: Value = serde_json::from_slice(&request.body).ok()?;
    let members = body.as_object_mut()?;
    match members.get(*asks) {
        None => Some(answer("application/x-amz-json-1.1", json!({(*list): [], (*tells): TOKEN, "Truncated": true}).to_string())),
        Some(token) => {
            if token == TOKEN {
                members.shift_remove(*asks);
                request.body = body.to_string().into_bytes();
            }
            None
        }
    }
}

fn of_iam(request: &mut Request, operation: &str) -> Option<Response> {
    let (_, list) = IAM.iter().find(|(of, _)| *of == operation)?;
    let body = String::from_utf8(request.body.clone()).ok()?;
    let ours = format!("&Marker={TOKEN}");
    if body.contains("&Marker=") {
        request.body = body.replace(&ours, "").into_bytes();
        return None;
    }
    let page = format!("<{list}/><IsTruncated>true</IsTruncated><Marker>{TOKEN}</Marker>");
    let inner = format!("<{operation}Result>{page}</{operation}Result>");
    let xml = format!("<{operation}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">{inner}</{operation}Response>");
    Some(answer("text/xml", xml))
}

fn of_s3(request: &mut Request, name: &str) -> Option<Response> {
    let (_, place) = name.split_once(' ')?;
    let (_, parameters) = place.split_once('?').unwrap_or((place, ""));
    let of_bucket = |wanted: &str| parameters.split('&').any(|parameter| parameter == wanted);
    let more = "<IsTruncated>true</IsTruncated>";
    let (root, asks, page) = if of_bucket("list-type") {
        let next = format!("{more}<NextContinuationToken>{TOKEN}</NextContinuationToken>");
        ("ListBucketResult", "continuation-token", next)
    } else if of_bucket("versions") {
        ("ListVersionsResult", "key-marker", format!("{more}<NextKeyMarker>{TOKEN}</NextKeyMarker>"))
    } else if of_bucket("max-buckets") {
        ("ListAllMyBucketsResult", "continuation-token", format!("<Buckets/><ContinuationToken>{TOKEN}</ContinuationToken>"))
    } else {
        return None;
    };
    if of_bucket(asks) {
        request.target = request.target.replace(&format!("{asks}={TOKEN}"), "");
        return None;
    }
    Some(answer("application/xml", format!("<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{page}</{root}>")))
}
