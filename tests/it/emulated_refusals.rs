//! What the emulator refuses as AWS does: sub-resources that it doesn't have, regions, event patterns, policy documents, and pipelines
//! whose artifact bucket isn't there. Judged from outside, by raw requests and by the SDK.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use serde_json::{Value, json};
use xdeploy::rehearsal::{DEV, PROD, Rehearsal, Request, Response};

fn rehearsal() -> Rehearsal {
    Rehearsal::new("aws", "us-east-1", "us-east-1")
}

fn told<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> String {
    match result {
        Ok(_) => "taken".to_owned(),
        Err(error) => format!("{}: {}", error.code().unwrap_or_default(), error.message().unwrap_or_default()),
    }
}

/// Sends a request to S3 as whoever has the development account's keys.
fn s3(rehearsal: &Rehearsal, method: &str, target: &str, body: &str) -> Response {
    let credential = format!("{}/20261130/us-east-1/s3/aws4_request", rehearsal.keys(DEV).0);
    let signed = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0");
    rehearsal.answer(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        host: "s3.us-east-1.amazonaws.com".to_owned(),
        headers: vec![("authorization".to_owned(), signed)],
        body: body.as_bytes().to_vec(),
    })
}

/// Every parameter that names a sub-resource in S3's API reference, of buckets or of objects.
const SUB_RESOURCES: [&str; 41] = [
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "annotation",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
];

/// What the emulator does with them: method, of a bucket or of an object, name.
const ANSWERED: [(&str, bool, &[&str]); 6] = [
    (
        "GET",
        true,
        &[
            "acl",
            "cors",
            "encryption",
            "lifecycle",
            "location",
            "notification",
            "ownershipControls",
            "policy",
            "policyStatus",
            "publicAccessBlock",
            "requestPayment",
            "tagging",
            "versioning",
            "versions",
        ],
    ),
    ("PUT", true, &["acl", "encryption", "notification", "ownershipControls", "policy", "publicAccessBlock", "tagging", "versioning"]),
    ("DELETE", true, &["encryption", "ownershipControls", "policy", "publicAccessBlock", "tagging"]),
    ("POST", true, &["delete"]),
    ("GET", false, &["acl", "tagging"]),
    ("PUT", false, &["acl", "tagging"]),
];

/// `PUT ?retention` wrote a new object, `DELETE ?tagging` deleted one, and `DELETE ?intelligent-tiering` the bucket.
#[tokio::test]
async fn a_sub_resource_that_is_not_there_changes_nothing() {
    let rehearsal = rehearsal();
    assert_eq!(s3(&rehearsal, "PUT", "/site-bucket", "").status, 200);
    assert_eq!(s3(&rehearsal, "PUT", "/full-bucket", "").status, 200);
    assert_eq!(s3(&rehearsal, "PUT", "/full-bucket/a.txt", "first").status, 200);
    let before = rehearsal.dump();
    let mut refused = 0;
    for name in SUB_RESOURCES.iter().chain(&["website"]) {
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
            for (target, of_bucket) in [
                ("/site-bucket", true),
                ("/full-bucket", true),
                ("/full-bucket/a.txt", false),
                ("/full-bucket/new", false),
                ("/no-bucket", true),
            ] {
                let is = |(own, bucket, names): &(&str, bool, &[&str])| *own == method && *bucket == of_bucket && names.contains(name);
                if ANSWERED.iter().any(is) || (*name, method, of_bucket) == ("website", "GET", true) {
                    continue;
                }
                for query in [(*name).to_owned(), format!("{name}=1&versionId=x"), format!("x-id=X&id=a&{name}=")] {
                    let answer = s3(&rehearsal, method, &format!("{target}?{query}"), "<Any/>");
                    assert_eq!(answer.status, 501, "{method} {target}?{query}: {}", String::from_utf8_lossy(&answer.body));
                    assert_eq!(answer.body.is_empty(), method == "HEAD");
                    refused += 1;
                }
            }
        }
    }
    println!("{refused} requests refused");
    assert_eq!(rehearsal.dump()["buckets"], before["buckets"]);
    // Those that are there are answered, be it with a fault of their own.
    for (method, of_bucket, names) in ANSWERED {
        for name in names {
            let target = if of_bucket { "/site-bucket" } else { "/full-bucket/a.txt" };
            assert_ne!(s3(&rehearsal, method, &format!("{target}?{name}"), "").status, 501, "{method} {target}?{name}");
        }
    }
    // A parameter that names nothing of S3's leaves the request what it is.
    assert_eq!(s3(&rehearsal, "PUT", "/full-bucket/b.txt?x-id=PutObject&utm=1", "x").status, 200);
    assert_eq!(s3(&rehearsal, "GET", "/full-bucket/b.txt?response-content-type=text%2Fhtml", "").body, b"x");
    assert_eq!(s3(&rehearsal, "DELETE", "/full-bucket/b.txt?x-id=DeleteObject", "").status, 204);
    assert_eq!(s3(&rehearsal, "GET", "/full-bucket/a.txt", "").body, b"first");
}

#[tokio::test]
async fn the_sdk_hears_that_a_sub_resource_is_not_there() {
    let rehearsal = rehearsal();
    let s3 = aws_sdk_s3::Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"));
    s3.create_bucket().bucket("site-bucket").send().await.unwrap();
    s3.put_object().bucket("site-bucket").key("a").body(b"first".to_vec().into()).send().await.unwrap();
    let refused = [
        told(s3.put_object_retention().bucket("site-bucket").key("a").send().await),
        told(s3.put_object_legal_hold().bucket("site-bucket").key("a").send().await),
        told(s3.delete_object_tagging().bucket("site-bucket").key("a").send().await),
        told(s3.delete_bucket_intelligent_tiering_configuration().bucket("site-bucket").id("x").send().await),
        told(s3.delete_bucket_metrics_configuration().bucket("site-bucket").id("x").send().await),
        told(s3.delete_bucket_lifecycle().bucket("site-bucket").send().await),
        told(s3.create_multipart_upload().bucket("site-bucket").key("a").send().await),
        told(s3.upload_part().bucket("site-bucket").key("a").upload_id("u").part_number(1).send().await),
        told(s3.abort_multipart_upload().bucket("site-bucket").key("a").upload_id("u").send().await),
        told(s3.get_object_attributes().bucket("site-bucket").key("a").object_attributes("ETag".into()).send().await),
        told(s3.get_bucket_logging().bucket("site-bucket").send().await),
        told(s3.list_multipart_uploads().bucket("site-bucket").send().await),
    ];
    for told in refused {
        assert!(told.starts_with("NotImplemented: "), "{told}");
    }
    assert_eq!(s3.get_object().bucket("site-bucket").key("a").send().await.unwrap().body.collect().await.unwrap().to_vec(), b"first");
}

/// A signed query is in the order of its names, then of its values (SigV4); the SDK signs, and the emulator checks.
#[tokio::test]
async fn a_signed_query_is_sorted_by_name_and_then_by_value() {
    let rehearsal = rehearsal().signed();
    let s3 = aws_sdk_s3::Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"));
    s3.create_bucket().bucket("site-bucket").send().await.unwrap();
    for query in ["a-b=1&a=2&a=10", "a=1&a%2B=2&a.b=3&a~=4", "b=%20&b=%2F&b=A&b=a", "a=&a-=&A=&%C3%A9=1"] {
        let request = s3.list_objects_v2().bucket("site-bucket").customize().mutate_request(move |request| {
            let uri = format!("{}&{query}", request.uri());
            request.set_uri(uri).unwrap();
        });
        request.send().await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    }
}

#[tokio::test]
async fn a_key_is_replicated_only_to_a_region_of_its_partition() {
    for (partition, home, there, nowhere) in [
        (
            "aws",
            "us-east-1",
            &["eu-west-1", "ap-southeast-7"][..],
            &["us-gov-west-1", "cn-north-1", "xx-south-1", "us-east-9", "us-iso-east-1", "us-east-1", "us-east-1a", "eu"][..],
        ),
        ("aws-cn", "cn-north-1", &["cn-northwest-1"], &["us-east-1", "cn-south-1"]),
        ("aws-us-gov", "us-gov-west-1", &["us-gov-east-1"], &["us-east-1", "us-gov-north-1"]),
    ] {
        let rehearsal = Rehearsal::new(partition, home, home);
        let kms = aws_sdk_kms::Client::new(&rehearsal.config(rehearsal.keys(DEV), home));
        let made = kms.create_key().multi_region(true).send().await.unwrap();
        let id = made.key_metadata().unwrap().key_id().to_owned();
        for region in nowhere {
            let told = told(kms.replicate_key().key_id(&id).replica_region(*region).send().await);
            assert!(told.starts_with("ValidationException: "), "{region}: {told}");
        }
        for region in there {
            assert_eq!(told(kms.replicate_key().key_id(&id).replica_region(*region).send().await), "taken", "{region}");
        }
    }
}

/// Patterns that PutRule refuses, by EventBridge's guide (patterns, comparison operators) and AWS's own rule engine.
#[tokio::test]
async fn a_pattern_that_eventbridge_refuses_makes_no_rule() {
    let rehearsal = rehearsal();
    let events = aws_sdk_eventbridge::Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"));
    let put = |pattern: &str| events.put_rule().name("rule").event_pattern(pattern).send();
    for (pattern, why) in [
        ("{", ""),
        ("", ""),
        ("[]", "Filter is not an object"),
        ("\"a\"", "Filter is not an object"),
        ("{}", "Empty objects are not allowed"),
        (r#"{"a": {}}"#, "Empty objects are not allowed"),
        (r#"{"a": "b"}"#, "\"a\" must be an object or an array"),
        (r#"{"a": null}"#, "\"a\" must be an object or an array"),
        (r#"{"detail": {"a": 1}}"#, "\"a\" must be an object or an array"),
        (r#"{"a": []}"#, "Empty arrays are not allowed"),
        (r#"{"a": [["b"]]}"#, "Match value must be String, number, true, false, or null"),
        (r#"{"a": [{}]}"#, "Match expression name not found"),
        (r#"{"a": [{"starts-with": "b"}]}"#, "Unrecognized match type starts-with"),
        (r#"{"a": [{"Prefix": "b"}]}"#, "Unrecognized match type Prefix"),
        (r#"{"a": [{"prefix": "b", "suffix": "c"}]}"#, "Only one key allowed in match expression"),
        (r#"{"a": [{"prefix": 1}]}"#, "prefix match pattern must be a string"),
        (r#"{"a": [{"suffix": ["c"]}]}"#, "suffix match pattern must be a string"),
        (r#"{"a": [{"prefix": {"wildcard": "b"}}]}"#, "prefix match pattern must be a string"),
        (r#"{"a": [{"equals-ignore-case": ["b"]}]}"#, "equals-ignore-case match pattern must be a string"),
        (r#"{"a": [{"exists": "true"}]}"#, "exists match pattern must be either true or false."),
        (r#"{"a": [{"wildcard": "a**b"}]}"#, ""),
        (r#"{"a": [{"wildcard": "a\\b"}]}"#, "Invalid escape character"),
        (r#"{"a": [{"numeric": "="}]}"#, "Value of numeric must be an array."),
        (r#"{"a": [{"numeric": []}]}"#, "Invalid member in numeric match"),
        (r#"{"a": [{"numeric": ["!=", 1]}]}"#, "Unrecognized numeric range operator: !="),
        (r#"{"a": [{"numeric": ["=", "1"]}]}"#, "Value of equals must be numeric"),
        (r#"{"a": [{"numeric": ["=", 1, 2]}]}"#, "Too many elements in numeric expression"),
        (r#"{"a": [{"numeric": [">", 1, ">", 2]}]}"#, "Bad numeric range operator: >"),
        (r#"{"a": [{"numeric": [">", 1, "<", 2, "<", 3]}]}"#, "Too many terms in numeric range expression"),
        (r#"{"a": [{"numeric": [">", 2, "<", 1]}]}"#, ""),
        (r#"{"a": [{"numeric": [">", 1e10]}]}"#, "between -5.0E9 and 5.0E9"),
        (r#"{"a": [{"cidr": "10.0.0.0"}]}"#, "CIDR"),
        (r#"{"a": [{"cidr": "10.0.0.0/33"}]}"#, "CIDR"),
        (r#"{"a": [{"cidr": "bucket/8"}]}"#, "CIDR"),
        (r#"{"a": [{"anything-but": true}]}"#, "Value of anything-but must be an array or single string/number value."),
        (r#"{"a": [{"anything-but": ["b", 1]}]}"#, "mixed type is not supported"),
        (r#"{"a": [{"anything-but": []}]}"#, ""),
        (r#"{"a": [{"anything-but": [{"wildcard": "*"}]}]}"#, "start|null|boolean is not supported"),
        (r#"{"a": [{"anything-but": {"numeric": ["=", 1]}}]}"#, "Unsupported anything-but pattern: numeric"),
        (r#"{"a": [{"anything-but": {"prefix": ""}}]}"#, "Null prefix/suffix not allowed"),
        (r#"{"$or": {"a": [1]}}"#, "It must be an Array followed with $or."),
        (r#"{"$or": [{"a": [1]}]}"#, "at least 2 Objects"),
        (r#"{"$or": [{"a": [1]}, "b"]}"#, "Only JSON object is allowed in array of $or relationship."),
        (r#"{"$or": [{"prefix": [1]}, {"b": [1]}]}"#, "prefix is Ruler reserved fieldName"),
    ] {
        let told = told(put(pattern).await);
        assert!(
            told.starts_with("InvalidEventPatternException: Event pattern is not valid. Reason: ") && told.contains(why),
            "{pattern}: {told}"
        );
    }
    assert!(told(events.describe_rule().name("rule").send().await).starts_with("ResourceNotFoundException"));
    // At the quota, behind it, and behind what the API takes of anybody.
    let long = |length: usize| {
        let filled = length - json!({"source": [""]}).to_string().len();
        json!({"source": ["a".repeat(filled)]}).to_string()
    };
    assert_eq!((long(2048).len(), told(put(&long(2048)).await)), (2048, "taken".to_owned()));
    assert!(told(put(&long(2049)).await).starts_with("LimitExceededException: "));
    assert!(told(put(&long(4097)).await).starts_with("ValidationException: "));
    assert_eq!(told(put(r#"{"source": ["aws.s3"], "detail": {"object": {"key": [{"prefix": "a"}, "b", 1, null, true]}}}"#).await), "taken");
}

/// A policy with one statement, made of what every policy has and of changes to it.
fn with(change: impl Fn(&mut Value)) -> String {
    let mut document = json!({"Version": "2012-10-17", "Statement": [{"Sid": "A", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}]});
    change(&mut document);
    document.to_string()
}

fn statement(name: &str, value: Value) -> String {
    with(|document| document["Statement"][0][name] = value.clone())
}

fn without(name: &str) -> String {
    with(|document| {
        document["Statement"][0].as_object_mut().unwrap().remove(name);
    })
}

/// What IAM refuses in an identity policy (IAM-Grammar; the words by moto's validator, whose writers observed them, where that has them).
fn refused_by_iam() -> Vec<(String, &'static str)> {
    vec![
        ("{".to_owned(), "Syntax errors in policy."),
        ("[]".to_owned(), "Syntax errors in policy."),
        (with(|document| document["Version"] = json!("2012-10-18")), "Syntax errors in policy."),
        (with(|document| document["Version"] = json!(2012)), "Syntax errors in policy."),
        (with(|document| document["Extra"] = json!("x")), "Syntax errors in policy."),
        (with(|document| document["Statement"] = json!([])), "Syntax errors in policy."),
        (with(|document| document["Statement"] = json!("x")), "Syntax errors in policy."),
        (
            with(|document| document["Statement"] = json!([document["Statement"][0], document["Statement"][0]])),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
        (statement("Sid", json!("a b")), "Statement IDs (SID) must be alpha-numeric."),
        (statement("Extra", json!("x")), "Syntax errors in policy."),
        (statement("Effect", json!("Permit")), "Syntax errors in policy."),
        (statement("NotAction", json!("s3:PutObject")), "Syntax errors in policy."),
        (statement("NotResource", json!("*")), "Syntax errors in policy."),
        (statement("Principal", json!("*")), "Policy document should not specify a principal."),
        (statement("Principal", json!({"AWS": "*"})), "Policy document should not specify a principal."),
        (without("Effect"), "Syntax errors in policy."),
        (without("Action"), "Policy statement must contain actions."),
        (without("Resource"), "Policy statement must contain resources."),
        (statement("Action", json!("GetObject")), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        (statement("Action", json!("s3:Get:Object")), "Actions/Condition can contain only one colon."),
        (statement("Action", json!("s3*:GetObject")), "Vendor s3* is not valid"),
        (statement("Action", json!(["s3:GetObject", "s_3:GetObject"])), "Vendor s_3 is not valid"),
        (statement("Action", json!({"a": "b"})), "Syntax errors in policy."),
        (statement("Resource", json!("bucket")), "Resource bucket must be in ARN format or \"*\"."),
        (statement("Resource", json!("arn:foo:s3:::b")), "Partition \"foo\" is not valid for resource \"arn:foo:s3:::b\"."),
        (statement("Resource", json!("arn:aws:s*:::b")), "Resource vendor must be fully qualified and cannot contain regexes."),
        (statement("Resource", json!("arn:aws:s3:us-east-1::b")), "Resource arn:aws:s3:us-east-1::b can not contain region information."),
        (
            statement("Resource", json!("arn:aws:iam:us-east-1:111111111111:role/x")),
            "IAM resource arn:aws:iam:us-east-1:111111111111:role/x cannot contain region information.",
        ),
        (statement("Resource", json!("arn:aws:iam::111111111111:roles/x")), "IAM resource path must either be \"*\" or start with user/, "),
        (statement("Condition", json!({"StringIs": {"aws:PrincipalTag/a": "b"}})), "Syntax errors in policy."),
        (statement("Condition", json!({"NullIfExists": {"aws:PrincipalTag/a": "true"}})), "Syntax errors in policy."),
        (statement("Condition", json!({"StringEquals": "x"})), "Syntax errors in policy."),
        (statement("Condition", json!({"StringEquals": {"aws:PrincipalTag/a": {"b": "c"}}})), "Syntax errors in policy."),
        (statement("Condition", json!({"DateLessThan": {"aws:CurrentTime": "tomorrow"}})), "The policy failed legacy parsing"),
        (
            statement("Condition", json!({"DateGreaterThanIfExists": {"aws:CurrentTime": ["2026-13-01T00:00:00Z"]}})),
            "The policy failed legacy parsing",
        ),
        (
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Effect":"Deny","Action":"s3:*","Resource":"*"}]}"#.to_owned(),
            "Syntax errors in policy.",
        ),
    ]
}

/// What IAM takes, however odd it looks.
fn taken_by_iam() -> Vec<String> {
    vec![
        with(|_| {}),
        with(|document| {
            document.as_object_mut().unwrap().remove("Version");
        }),
        with(|document| document["Version"] = json!("2008-10-17")),
        with(|document| document["Statement"] = document["Statement"][0].clone()),
        statement("Sid", json!("")),
        statement("Action", json!("*")),
        statement("Action", json!(["s3:*", "S3:get*", "execute-api:Invoke", "unknown:Thing"])),
        statement("Resource", json!("*")),
        statement(
            "Resource",
            json!(["arn:*:s3:::b", "arn:aws-cn:s3:::b", "arn:aws:s3:us-east-1:111111111111:accesspoint/x", "arn:aws:s3:*:*:job/*"]),
        ),
        statement(
            "Resource",
            json!(["arn:aws:iam::111111111111:*", "arn:aws:iam::*:role/${aws:PrincipalTag/a}", "arn:aws:kms:us-east-1:111111111111:key/x"]),
        ),
        statement("Condition", json!({})),
        statement(
            "Condition",
            json!({"ForAnyValue:StringLikeIfExists": {"aws:TagKeys": ["a*"]}, "Null": {"aws:PrincipalTag/a": true}, "NumericLessThan": {"s3:max-keys": 5}}),
        ),
        statement(
            "Condition",
            json!({"DateLessThan": {"aws:CurrentTime": ["2030-01-01T00:00:00Z", "2030-01-01", "2030-01-01T00:00:00.5+01:00", "1893456000", "+1893456000", "2030"]}}),
        ),
    ]
}

#[tokio::test]
async fn iam_refuses_a_document_wherever_it_is_to_stand() {
    let rehearsal = rehearsal();
    let iam = aws_sdk_iam::Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"));
    let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": DEV}, "Action": "sts:AssumeRole"}});
    iam.create_role().role_name("role").assume_role_policy_document(trust.to_string()).send().await.unwrap();
    let first = iam.create_policy().policy_name("first").policy_document(with(|_| {})).send().await.unwrap();
    let arn = first.policy().unwrap().arn().unwrap().to_owned();
    for (document, why) in refused_by_iam() {
        let wanted = format!("MalformedPolicyDocument: {why}");
        for told in [
            told(iam.create_policy().policy_name("other").policy_document(&document).send().await),
            told(iam.create_policy_version().policy_arn(&arn).policy_document(&document).send().await),
            told(iam.put_role_policy().role_name("role").policy_name("inline").policy_document(&document).send().await),
        ] {
            assert!(told.starts_with(&wanted), "{document}\n{told}\n{wanted}");
        }
    }
    for document in taken_by_iam() {
        assert_eq!(
            told(iam.put_role_policy().role_name("role").policy_name("inline").policy_document(&document).send().await),
            "taken",
            "{document}"
        );
    }
    // Letters that the API doesn't take, whatever they mean.
    for document in [statement("Sid", json!("ж")), String::new()] {
        let told = told(iam.create_policy().policy_name("other").policy_document(&document).send().await);
        assert!(told.starts_with("ValidationError: 1 validation error detected: Value at 'policyDocument' failed"), "{told}");
    }
    // Sizes: white space is free, and one character more is one too many.
    let sized = |characters: usize| {
        let bare = statement("Sid", json!("")).split_whitespace().collect::<String>().len();
        format!("{}\n  ", statement("Sid", json!("A".repeat(characters - bare))))
    };
    assert_eq!(told(iam.create_policy().policy_name("large").policy_document(sized(6_144)).send().await), "taken");
    let larger = told(iam.create_policy().policy_name("larger").policy_document(sized(6_145)).send().await);
    assert!(larger.starts_with("LimitExceeded: Cannot exceed quota for PolicySize: 6144"), "{larger}");
}

#[tokio::test]
async fn trust_key_and_bucket_refuse_what_is_not_theirs() {
    let rehearsal = rehearsal();
    let config = rehearsal.config(rehearsal.keys(DEV), "us-east-1");
    let (iam, kms, s3) = (aws_sdk_iam::Client::new(&config), aws_sdk_kms::Client::new(&config), aws_sdk_s3::Client::new(&config));
    let trust = |name: &str, value: Value| {
        let mut document =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": DEV}, "Action": "sts:AssumeRole"}]});
        document["Statement"][0][name] = value;
        document.to_string()
    };
    for (document, why) in [
        (trust("Resource", json!("*")), "Has prohibited field Resource"),
        (trust("Action", json!("s3:GetObject")), "AssumeRole policy may only specify STS AssumeRole actions."),
        (trust("Principal", json!("arn:aws:iam::111111111111:root")), "Syntax errors in policy."),
        (trust("Principal", json!({"Aws": DEV})), "Syntax errors in policy."),
        (trust("Condition", json!({"StringIs": {"a": "b"}})), "Syntax errors in policy."),
        (trust("Condition", json!({"DateLessThan": {"aws:CurrentTime": "soon"}})), "The policy failed legacy parsing"),
        (trust("Principal", json!({"AWS": "arn:aws:iam::111111111111:role/absent"})), "Invalid principal in policy"),
    ] {
        let told = told(iam.create_role().role_name("role").assume_role_policy_document(&document).send().await);
        assert!(told.starts_with(&format!("MalformedPolicyDocument: {why}")), "{document}\n{told}");
    }
    let key = kms.create_key().send().await.unwrap().key_metadata().unwrap().key_id().to_owned();
    s3.create_bucket().bucket("b-bucket").send().await.unwrap();
    let resource = |action: &str, resource: &str, name: &str, value: Value| {
        let mut document = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": DEV}, "Action": action, "Resource": resource}]});
        document["Statement"][0][name] = value;
        document.to_string()
    };
    let broken = [
        ("Principal", json!({"AWS": "arn:aws:iam::333333333333:role/absent"})),
        ("Action", json!("iam:GetRole")),
        ("Effect", json!("allow")),
        ("Extra", json!("x")),
        ("NotAction", json!("x:y")),
        ("Condition", json!({"StringIs": {"a": "b"}})),
        ("Principal", json!({"Who": DEV})),
    ];
    for (name, value) in broken {
        let told_kms = told(kms.put_key_policy().key_id(&key).policy(resource("kms:*", "*", name, value.clone())).send().await);
        assert!(told_kms.starts_with("MalformedPolicyDocumentException: "), "{name}: {told_kms}");
        let document = resource("s3:GetObject", "arn:aws:s3:::b-bucket/*", name, value);
        let told_s3 = told(s3.put_bucket_policy().bucket("b-bucket").policy(document).send().await);
        assert!(told_s3.starts_with("MalformedPolicy: "), "{name}: {told_s3}");
    }
    let large = resource("s3:GetObject", "arn:aws:s3:::b-bucket/*", "Sid", json!("A".repeat(20_480)));
    assert!(told(s3.put_bucket_policy().bucket("b-bucket").policy(large).send().await).starts_with("MalformedPolicy: Policy exceeds"));
    let large = resource("kms:*", "*", "Sid", json!("A".repeat(32_768)));
    assert!(told(kms.put_key_policy().key_id(&key).policy(large).send().await).starts_with("LimitExceededException"));
}

/// CreatePipeline itself says so (observed: aws-ecs-anywhere-workshop-samples #4, aws-deployment-framework #95).
#[tokio::test]
async fn a_pipeline_without_its_artifact_bucket_is_not_made() {
    use aws_sdk_codepipeline::types::{
        ActionCategory, ActionDeclaration, ActionOwner, ActionTypeId, ArtifactStore, ArtifactStoreType, InputArtifact, OutputArtifact,
        PipelineDeclaration, StageDeclaration,
    };
    let rehearsal = rehearsal();
    let config = rehearsal.config(rehearsal.keys(DEV), "us-east-1");
    let (iam, s3, pipelines) =
        (aws_sdk_iam::Client::new(&config), aws_sdk_s3::Client::new(&config), aws_sdk_codepipeline::Client::new(&config));
    let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"}});
    iam.create_role().role_name("service").assume_role_policy_document(trust.to_string()).send().await.unwrap();
    let action = |name: &str, category: ActionCategory, configuration: &[(&str, &str)]| {
        let kind = ActionTypeId::builder().category(category).owner(ActionOwner::Aws).provider("S3").version("1").build().unwrap();
        configuration
            .iter()
            .fold(ActionDeclaration::builder().name(name).action_type_id(kind), |action, (key, value)| action.configuration(*key, *value))
    };
    let declaration = |store: &str| {
        let source = action("Source", ActionCategory::Source, &[("S3Bucket", "input"), ("S3ObjectKey", "a.zip")])
            .output_artifacts(OutputArtifact::builder().name("A").build().unwrap());
        let deploy = action("Deploy", ActionCategory::Deploy, &[("BucketName", "output"), ("Extract", "true")])
            .input_artifacts(InputArtifact::builder().name("A").build().unwrap());
        let stage = |name: &str, action: ActionDeclaration| StageDeclaration::builder().name(name).actions(action).build().unwrap();
        PipelineDeclaration::builder()
            .name("web")
            .role_arn(format!("arn:aws:iam::{DEV}:role/service"))
            .artifact_store(ArtifactStore::builder().r#type(ArtifactStoreType::S3).location(store).build().unwrap())
            .stages(stage("Source", source.build().unwrap()))
            .stages(stage("Deploy", deploy.build().unwrap()))
            .build()
            .unwrap()
    };
    let create = |store: &str| pipelines.create_pipeline().pipeline(declaration(store)).send();
    let refused = "InvalidStructureException: An error occurred while validating the artifact bucket 'no-store': No bucket with the name no-store was \
                   found. Choose a valid artifact bucket in 'us-east-1', or create a new artifact bucket to use in your pipeline.";
    assert_eq!(told(create("no-store").await), refused);
    assert!(told(pipelines.get_pipeline().name("web").send().await).starts_with("PipelineNotFoundException"));
    // Another region's is none either.
    let far = aws_sdk_s3::Client::new(&rehearsal.config(rehearsal.keys(PROD), "eu-west-1"));
    let there = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
    far.create_bucket().bucket("far-store").create_bucket_configuration(there).send().await.unwrap();
    assert_eq!(
        told(create("far-store").await),
        "InvalidStructureException: The bucket named far-store is not located in the 'us-east-1' AWS region."
    );
    s3.create_bucket().bucket("the-store").send().await.unwrap();
    assert_eq!(told(create("the-store").await), "taken");
    // A change of a pipeline that is there is judged like it.
    assert_eq!(told(pipelines.update_pipeline().pipeline(declaration("no-store")).send().await), refused);
}
