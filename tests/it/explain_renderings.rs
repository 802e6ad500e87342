//! The catalogue's messages as people have them: each row's words in the form of each SDK and tool, dressed as terminals, mails and logs do.

use crate::explain::id_of;
use crate::support::depth;
use std::fmt::Write as _;
use xdeploy::deploy::failures::{Explanation, Symptom, explain, rows};

/// How the tools call a service.
struct Service {
    /// SDK for Java 1, and CloudFormation's older form.
    v1: &'static str,
    /// SDK for Java 2, Go 2, and CloudFormation's newer form.
    v2: &'static str,
    /// The host before `.amazonaws.com`.
    host: &'static str,
    /// Its class in Ruby, .NET and in Java's package.
    class: &'static str,
}

const S3: Service = Service { v1: "Amazon S3", v2: "S3", host: "s3", class: "S3" };
const KMS: Service = Service { v1: "AWSKMS", v2: "Kms", host: "kms", class: "KMS" };
const IAM: Service = Service { v1: "AmazonIdentityManagement", v2: "Iam", host: "iam", class: "IAM" };
const PIPELINE: Service = Service { v1: "AWSCodePipeline", v2: "CodePipeline", host: "codepipeline", class: "CodePipeline" };

/// An error of an API, as AWS's model of it says.
struct ApiCase {
    row: u8,
    service: &'static Service,
    status: u16,
    code: &'static str,
    operation: &'static str,
    says: &'static str,
}

const fn api(row: u8, service: &'static Service, status: u16, code: &'static str, operation: &'static str, says: &'static str) -> ApiCase {
    ApiCase { row, service, status, code, operation, says }
}

static API: [ApiCase; 34] = [
    api(1, &S3, 404, "NoSuchKey", "GetObject", "The specified key does not exist."),
    api(2, &S3, 403, "Forbidden", "HeadObject", "Forbidden"),
    api(
        10,
        &S3,
        403,
        "AccessDenied",
        "GetObject",
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
    ),
    api(
        10,
        &KMS,
        400,
        "AccessDeniedException",
        "Decrypt",
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
    ),
    api(
        10,
        &KMS,
        400,
        "NotFoundException",
        "GenerateDataKey",
        "Key 'arn:aws:kms:us-east-1:111111111111:key/94776b24-4694-4a9a-9b70-17bc7d478e93' does not exist",
    ),
    api(
        11,
        &KMS,
        400,
        "AccessDeniedException",
        "Decrypt",
        "User: arn:aws:sts::222222222222:assumed-role/prods3role/1767225600000 is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:111111111111:key/94776b24-4694-4a9a-9b70-17bc7d478e93 because no resource-based policy allows the kms:Decrypt action",
    ),
    api(
        11,
        &S3,
        403,
        "AccessDenied",
        "PutObject",
        "User: arn:aws:sts::111111111111:assumed-role/codebuild-web-service-role/AWSCodeBuild-8f9dbf1a-58a2-4bc8-b9a5-6d4b36a8fd0f is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::artifacts/web/BuildArtif/XyZ1234\" because no identity-based policy allows the s3:PutObject action",
    ),
    api(
        11,
        &S3,
        403,
        "AccessDenied",
        "PutBucketPolicy",
        "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: s3:PutBucketPolicy on resource: \"arn:aws:s3:::artifacts\" because no identity-based policy allows the s3:PutBucketPolicy action",
    ),
    api(
        12,
        &PIPELINE,
        400,
        "InvalidStructureException",
        "CreatePipeline",
        "CodePipeline is not authorized to perform AssumeRole on role arn:aws:iam::111111111111:role/service-role/AWSCodePipelineServiceRole-us-east-1-web",
    ),
    api(
        13,
        &PIPELINE,
        400,
        "InvalidStructureException",
        "UpdatePipeline",
        "arn:aws:iam::111111111111:role/service-role/AWSCodePipelineServiceRole-us-east-1-web is not authorized to perform AssumeRole on role arn:aws:iam::222222222222:role/prods3role",
    ),
    api(
        14,
        &IAM,
        400,
        "MalformedPolicyDocument",
        "UpdateAssumeRolePolicy",
        "Invalid principal in policy: \"AWS\":\"arn:aws:iam::111111111111:role/AWSCodePipelineServiceRole-us-east-1-web\"",
    ),
    api(15, &S3, 400, "MalformedPolicy", "PutBucketPolicy", "Invalid principal in policy"),
    api(
        16,
        &KMS,
        400,
        "MalformedPolicyDocumentException",
        "PutKeyPolicy",
        "Policy contains a statement with one or more invalid principals.",
    ),
    api(
        17,
        &KMS,
        400,
        "MalformedPolicyDocumentException",
        "PutKeyPolicy",
        "The new key policy will not allow you to update the key policy in the future.",
    ),
    api(18, &S3, 403, "AccessDenied", "PutBucketPolicy", "Access Denied"),
    api(
        18,
        &S3,
        403,
        "AccessDenied",
        "PutBucketPolicy",
        "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: s3:PutBucketPolicy on resource: \"arn:aws:s3:::artifacts\" because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
    ),
    api(20, &S3, 400, "AccessControlListNotSupported", "PutObject", "The bucket does not allow ACLs"),
    api(
        21,
        &S3,
        403,
        "AccessDenied",
        "PutObject",
        "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::artifacts/x.zip\" with an explicit deny in a resource-based policy",
    ),
    api(
        23,
        &S3,
        403,
        "AccessDenied",
        "PutObject",
        "User: arn:aws:sts::222222222222:assumed-role/prods3role/1767225600000 is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::site/index.html\" with an explicit deny in a service control policy: arn:aws:organizations::333333333333:policy/o-abcdefghij/service_control_policy/p-abcd1234",
    ),
    api(
        23,
        &KMS,
        400,
        "AccessDeniedException",
        "Decrypt",
        "User: arn:aws:sts::222222222222:assumed-role/prods3role/1767225600000 is not authorized to perform: kms:Decrypt on this resource with an explicit deny in a resource control policy",
    ),
    api(
        24,
        &S3,
        403,
        "AccessDenied",
        "GetObject",
        "User: arn:aws:sts::222222222222:assumed-role/prods3role/1767225600000 is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::artifacts/web/SourceArti/XyZ1234.zip\" because no permissions boundary allows the s3:GetObject action",
    ),
    api(26, &KMS, 400, "NotFoundException", "DescribeKey", "Alias arn:aws:kms:us-east-1:222222222222:alias/s3deploykey is not found."),
    api(
        27,
        &S3,
        301,
        "PermanentRedirect",
        "GetObject",
        "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
    ),
    api(
        27,
        &PIPELINE,
        400,
        "ValidationException",
        "CreatePipeline",
        "The region eu-north-9 specified in 'pipeline.artifactStores' is not a valid AWS Region",
    ),
    api(
        29,
        &PIPELINE,
        400,
        "InvalidActionDeclarationException",
        "CreatePipeline",
        "Action configuration for action 'Deploy' is missing required configuration 'BucketName'",
    ),
    api(
        30,
        &PIPELINE,
        400,
        "ValidationException",
        "UpdatePipeline",
        "1 validation error detected: Value '' at 'pipeline.stages.1.member.actions.1.member.configuration.ObjectKey' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ),
    api(
        39,
        &PIPELINE,
        400,
        "AccessDeniedException",
        "CreatePipeline",
        "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: iam:PassRole on resource: arn:aws:iam::111111111111:role/service-role/AWSCodePipelineServiceRole-us-east-1-web because no identity-based policy allows the iam:PassRole action",
    ),
    api(
        44,
        &S3,
        403,
        "AccessDenied",
        "GetObjectTagging",
        "User: arn:aws:sts::111111111111:assumed-role/AWSCodePipelineServiceRole-us-east-1-web/1767225600000 is not authorized to perform: s3:GetObjectTagging on resource: \"arn:aws:s3:::source/site.zip\" because no identity-based policy allows the s3:GetObjectTagging action",
    ),
    api(
        46,
        &KMS,
        400,
        "DisabledException",
        "Decrypt",
        "arn:aws:kms:us-east-1:111111111111:key/94776b24-4694-4a9a-9b70-17bc7d478e93 is disabled.",
    ),
    api(
        46,
        &S3,
        400,
        "KMS.DisabledException",
        "PutObject",
        "arn:aws:kms:us-east-1:111111111111:key/94776b24-4694-4a9a-9b70-17bc7d478e93 is disabled.",
    ),
    api(
        46,
        &KMS,
        400,
        "KMSInvalidStateException",
        "GenerateDataKey",
        "arn:aws:kms:us-east-1:111111111111:key/94776b24-4694-4a9a-9b70-17bc7d478e93 is pending deletion.",
    ),
    api(
        49,
        &PIPELINE,
        400,
        "InvalidStructureException",
        "CreatePipeline",
        "An error occurred while validating the artifact bucket 'codepipeline-us-east-1-000000000000': No bucket with the name codepipeline-us-east-1-000000000000 was found. Choose a valid artifact bucket in 'us-east-1', or create a new artifact bucket to use in your pipeline.",
    ),
    api(49, &S3, 404, "NoSuchBucket", "GetBucketLocation", "The specified bucket does not exist"),
    // It says no more than that, and who was denied isn't the pipeline's role.
    api(
        13,
        &PIPELINE,
        400,
        "InvalidStructureException",
        "CreatePipeline",
        "arn:aws:iam::111111111111:role/pipe is not authorized to perform AssumeRole on role arn:aws:iam::222222222222:role/deployer",
    ),
];

type Render = fn(&ApiCase) -> String;

const ID: &str = "P93EQDAT9W9CQ1Q9";
const HOST_ID: &str = "eA==";

/// The forms in which an error of an API shows.
const RENDERINGS: [(&str, Render); 24] = [
    ("SDK for Java 1", |e| {
        let Service { class, .. } = e.service;
        format!("com.amazonaws.services.{}.model.Amazon{class}Exception: {} ({})", class.to_lowercase(), e.says, v1(e, ""))
    }),
    ("SDK for Java 2", |e| {
        let Service { v2, class, .. } = e.service;
        let package = class.to_lowercase();
        format!(
            "software.amazon.awssdk.services.{package}.model.{class}Exception: {} (Service: {v2}, Status Code: {}, Request ID: {ID}, Extended Request ID: {HOST_ID}) (SDK Attempt Count: 1)",
            e.says, e.status
        )
    }),
    ("CloudFormation, old", |e| format!("CREATE_FAILED {} ({})", e.says, v1(e, "; Proxy: null"))),
    ("CloudFormation, new", |e| {
        let handler = if e.status == 403 { "AccessDenied" } else { "InvalidRequest" };
        format!(
            "Resource handler returned message: \"{} (Service: {}, Status Code: {}, Request ID: {ID}, Extended Request ID: {HOST_ID}) (SDK Attempt Count: 1)\" (RequestToken: 4b6b1f4a-2b1b-0f1d-7c7d-0a8b8d9a6c11, HandlerErrorCode: {handler})",
            e.says, e.service.v2, e.status
        )
    }),
    ("CDK", |e| {
        format!(
            "❌  WebStack failed: Error: The stack named WebStack failed creation, it may need to be manually deleted from the AWS console: ROLLBACK_COMPLETE: {} ({})",
            e.says,
            v1(e, "; Proxy: null")
        )
    }),
    ("AWS CLI", cli),
    ("AWS CLI, retried", |e| {
        cli(e).replace(&format!("{} operation:", e.operation), &format!("{} operation (reached max retries: 4):", e.operation))
    }),
    ("botocore", |e| {
        format!(
            "Traceback (most recent call last):\n  File \"/app/deploy.py\", line 12, in <module>\n    main()\n  File \"/usr/lib/python3.12/site-packages/botocore/client.py\", line 1009, in _make_api_call\n    raise error_class(parsed_response, operation_name)\nbotocore.exceptions.ClientError: {}",
            cli(e).trim()
        )
    }),
    ("SDK for Go 1", |e| format!("{}: {}\n\tstatus code: {}, request id: {ID}{}", e.code, e.says, e.status, host_id(e))),
    ("SDK for Go 2", go2),
    ("SDK for Go 2, typed", |e| go2(e).replace(&format!("api error {}:", e.code), &format!("{}:", e.code))),
    ("SDK for JavaScript 3", |e| {
        format!(
            "{}: {}\n    at de_{}CommandError (/app/node_modules/@aws-sdk/client-{}/dist-cjs/index.js:2193:20)\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5) {{\n  '$fault': 'client',\n  '$metadata': {{\n    httpStatusCode: {},\n    requestId: '{ID}',\n    attempts: 1,\n    totalRetryDelay: 0\n  }},\n  Code: '{}'\n}}",
            e.code, e.says, e.operation, e.service.host, e.status, e.code
        )
    }),
    ("SDK for JavaScript 2", |e| {
        format!(
            "{}: {}\n    at Request.extractError (/app/node_modules/aws-sdk/lib/services/{}.js:714:35) {{\n  code: '{}',\n  statusCode: {},\n  retryable: false\n}}",
            e.code, e.says, e.service.host, e.code, e.status
        )
    }),
    ("SDK for Rust", |e| {
        format!(
            "service error: unhandled error ({}): Error {{ code: {:?}, message: {:?}, aws_request_id: {ID:?} }}",
            e.code, e.code, e.says
        )
    }),
    ("SDK for .NET", |e| {
        let class = e.service.class;
        format!(
            "Unhandled exception. Amazon.{class}.Amazon{class}Exception: {}\n ---> Amazon.Runtime.Internal.HttpErrorResponseException: Exception of type 'Amazon.Runtime.Internal.HttpErrorResponseException' was thrown.\n   at Amazon.Runtime.HttpWebRequestMessage.ProcessHttpResponseMessage(HttpResponseMessage responseMessage)\nErrorCode: {}, StatusCode: {}",
            e.says, e.code, e.status
        )
    }),
    ("SDK for PHP", |e| {
        format!(
            "Error executing \"{}\" on \"https://{}.us-east-1.amazonaws.com/x\"; AWS HTTP error: Client error: `PUT https://{}.us-east-1.amazonaws.com/x` resulted in a `{} Client Error` response:\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Me (truncated...)\n {} (client): {} - <?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            e.operation, e.service.host, e.service.host, e.status, e.code, e.says, e.code, e.says
        )
    }),
    ("SDK for Ruby", |e| format!("Aws::{}::Errors::{}: {}", e.service.class, e.code.replace('.', ""), e.says)),
    ("Terraform", |e| boxed(&format!("Error: {} (web): {}", doing(e), go2(e)), 76)),
    ("Terraform, older", |e| {
        boxed(
            &format!(
                "Error: Error {} (web): {}: {}\n\tstatus code: {}, request id: {ID}{}",
                doing(e),
                e.code,
                e.says,
                e.status,
                host_id(e)
            ),
            76,
        )
    }),
    ("XML", |e| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message><RequestId>{ID}</RequestId>{}</Error>",
            e.code,
            e.says,
            if e.service.host == "s3" { "<HostId>eA==</HostId>" } else { "" }
        )
    }),
    ("CloudTrail", |e| {
        let event = serde_json::json!({"eventVersion": "1.11", "eventSource": format!("{}.amazonaws.com", e.service.host),
            "eventName": e.operation, "awsRegion": "us-east-1", "errorCode": e.code, "errorMessage": e.says, "requestID": ID});
        serde_json::to_string_pretty(&event).unwrap()
    }),
    ("CodeBuild", |e| {
        format!(
            "[Container] 2026/11/23 01:00:00.123456 Running command aws s3 sync . s3://site\n{}\n\n[Container] 2026/11/23 01:00:04.654321 Command did not exit successfully aws s3 sync . s3://site exit status 1\n[Container] 2026/11/23 01:00:04.700000 Phase complete: BUILD State: FAILED\n[Container] 2026/11/23 01:00:04.700001 Phase context status code: COMMAND_EXECUTION_ERROR Message: Error while executing command: aws s3 sync . s3://site. Reason: exit status 1",
            cli(e).trim()
        )
    }),
    ("CodeBuild, upload", |e| {
        format!(
            "CLIENT_ERROR: Error in UPLOAD_ARTIFACTS phase: {}: {} status code: {}, request id: {ID}{}",
            e.code,
            e.says,
            e.status,
            host_id(e)
        )
    }),
    ("PowerShell", |e| {
        format!(
            "Write-S3Object : {}\nAt line:1 char:1\n+ Write-S3Object -BucketName site\n+ ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n    + CategoryInfo          : InvalidOperation: (Amazon.PowerShe...Cmdlet:Cmdlet) [], InvalidOperationException\n    + FullyQualifiedErrorId : Amazon.{}.Amazon{}Exception,{}",
            e.says, e.service.class, e.service.class, e.code
        )
    }),
];

fn v1(e: &ApiCase, tail: &str) -> String {
    let extended = if e.service.host == "s3" { format!("; S3 Extended Request ID: {HOST_ID}") } else { String::new() };
    format!("Service: {}; Status Code: {}; Error Code: {}; Request ID: {ID}{extended}{tail}", e.service.v1, e.status, e.code)
}

/// Only S3 has a second id.
fn host_id(e: &ApiCase) -> String {
    if e.service.host == "s3" { format!(", host id: {HOST_ID}") } else { String::new() }
}

fn cli(e: &ApiCase) -> String {
    format!("\nAn error occurred ({}) when calling the {} operation: {}\n", e.code, e.operation, e.says)
}

fn go2(e: &ApiCase) -> String {
    let (service, operation) = (e.service.class, e.operation);
    format!(
        "operation error {service}: {operation}, https response error StatusCode: {}, RequestID: {ID}{}, api error {}: {}",
        e.status,
        host_id(e).replace("host id", "HostID"),
        e.code,
        e.says
    )
}

/// What Terraform says that it was doing.
fn doing(e: &ApiCase) -> &'static str {
    match e.operation {
        "PutBucketPolicy" => "putting S3 Bucket",
        "PutKeyPolicy" => "creating KMS Key",
        "UpdateAssumeRolePolicy" => "creating IAM Role",
        _ => "reading",
    }
}

/// Terraform's frame, wrapped between words.
fn boxed(text: &str, width: usize) -> String {
    let mut lines = String::from("╷\n");
    for line in wrapped(text, width).lines() {
        let _ = writeln!(lines, "│ {line}");
    }
    lines.push_str("│ \n│   with aws_s3_bucket_policy.artifacts,\n│   on main.tf line 12, in resource \"aws_s3_bucket_policy\" \"artifacts\":\n│   12: resource \"aws_s3_bucket_policy\" \"artifacts\" {\n│ \n╵");
    lines
}

/// Wraps between words, as mail programs do.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut now = String::new();
        for word in line.split(' ') {
            if !now.is_empty() && now.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut now));
            }
            if !now.is_empty() {
                now.push(' ');
            }
            now.push_str(word);
        }
        lines.push(now);
    }
    lines.join("\n")
}

/// Cuts lines at a width, inside words too, as terminals do.
fn sliced(text: &str, width: usize) -> String {
    let cut = |line: &str| {
        let letters: Vec<char> = line.chars().collect();
        letters.chunks(width).map(|chunk| chunk.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

fn each_line(text: &str, before: &str) -> String {
    text.lines().map(|line| format!("{before}{line}")).collect::<Vec<_>>().join("\n")
}

/// What is done to a text.
type Dress = fn(&str) -> String;

/// What terminals, mails, logs and tickets do to a text.
const DRESSES: [(&str, Dress); 16] = [
    ("as it is", str::to_owned),
    ("cut at 80 columns", |text| sliced(text, 80)),
    ("cut at 61 columns", |text| sliced(text, 61)),
    ("wrapped at 72 columns", |text| wrapped(text, 72)),
    ("cut at 80 columns and quoted", |text| each_line(&sliced(text, 80), "> ")),
    ("quoted twice", |text| each_line(&wrapped(text, 66), "> > ")),
    ("framed and cut", |text| each_line(&sliced(text, 78), "│ ")),
    ("in colours", |text| {
        let words: Vec<String> = text
            .split(' ')
            .enumerate()
            .map(|(at, word)| match at % 3 {
                1 => format!("\u{1b}[1;31m{word}\u{1b}[0m"),
                _ => word.to_owned(),
            })
            .collect();
        words.join(" ")
    }),
    ("colours inside a word", |text| {
        text.chars()
            .enumerate()
            .map(|(at, letter)| match at % 17 {
                9 => format!("\u{1b}[31m{letter}\u{1b}[39m"),
                _ => letter.to_string(),
            })
            .collect()
    }),
    ("timestamps", |text| each_line(text, "2026-11-23T01:00:00.123Z ")),
    ("timestamps, cut", |text| each_line(&sliced(text, 80), "[2026-11-23 01:00:00,123] ")),
    ("compose", |text| each_line(text, "deploy-1  | ")),
    ("JSON in JSON", |text| serde_json::json!({"level": "error", "msg": text}).to_string()),
    ("JSON twice", |text| {
        let inner = serde_json::json!({"message": text}).to_string();
        serde_json::json!({"level": "error", "log": inner}).to_string()
    }),
    ("HTML", |text| {
        text.replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace(' ', "&nbsp;")
    }),
    ("typeset", |text| format!("FYI:\u{a0}\u{201c}{}\u{201d}\u{2026}", text.replace('\'', "\u{2019}").replace('-', "\u{2011}"))),
];

fn ids(explanation: &Explanation) -> Vec<&'static str> {
    explanation.causes.iter().filter_map(|cause| cause.id).collect()
}

/// Where a row stands among the causes; `None` if it isn't one.
fn place(text: &str, row: u8) -> (Option<usize>, Vec<&'static str>) {
    let found = ids(&explain(&Symptom::pasted(text), None));
    (found.iter().position(|id| *id == id_of(row)), found)
}

struct Missed {
    of: usize,
    list: Vec<String>,
}

impl Missed {
    fn new() -> Missed {
        Missed { of: 0, list: Vec::new() }
    }

    fn check(&mut self, row: u8, what: &str, text: &str, within: usize) {
        self.of += 1;
        let (place, found) = place(text, row);
        if place.is_none_or(|place| place >= within) {
            self.list.push(format!("{} {what}: {found:?}\n{text}", id_of(row)));
        }
    }

    fn end(&self) {
        println!("{} of {} are known", self.of - self.list.len(), self.of);
        assert!(
            self.list.is_empty(),
            "{} of {} are not known:\n{}",
            self.list.len(),
            self.of,
            self.list.iter().take(12).cloned().collect::<Vec<_>>().join("\n\n")
        );
    }
}

/// What a form leaves out: without the operation a bare denial may be of any call, and without service and code S3's words may be IAM's.
fn tells(case: &ApiCase, form: &str) -> bool {
    let names_operation = [
        "AWS CLI",
        "AWS CLI, retried",
        "botocore",
        "SDK for Go 2",
        "SDK for Go 2, typed",
        "SDK for JavaScript 3",
        "SDK for PHP",
        "Terraform",
        "CloudTrail",
        "CodeBuild",
    ];
    let by_operation = case.says == "Access Denied" || case.says == "Forbidden";
    !by_operation || names_operation.contains(&form) || (form == "Terraform, older" && case.row == 18)
}

#[test]
fn every_row_is_known_in_every_form_of_an_api_s_error() {
    let mut missed = Missed::new();
    let all: Vec<_> = API.iter().flat_map(|case| RENDERINGS.map(|(form, render)| (case, form, render))).collect();
    for (case, form, render) in depth::sampled("forms", all, 70) {
        missed.check(case.row, form, &render(case), if tells(case, form) { 1 } else { 12 });
    }
    missed.end();
}

/// Each form in some dresses, each dress on each form: all pairs would say the same at ten times the cost.
#[test]
fn every_form_is_known_in_every_dress() {
    let mut missed = Missed::new();
    let dressed = |(at, case): (usize, &'static ApiCase)| {
        RENDERINGS.iter().enumerate().map(move |(number, form)| (case, form, DRESSES[(at * 5 + number * 7) % DRESSES.len()]))
    };
    for (case, (form, render), (dress, wear)) in depth::sampled("dressed forms", API.iter().enumerate().flat_map(dressed).collect(), 70) {
        missed.check(case.row, &format!("{form}, {dress}"), &wear(&render(case)), if tells(case, form) { 1 } else { 12 });
    }
    missed.end();
}

/// What CodePipeline itself says, and where else the row's words come from nobody's API.
const SAID: [(u8, &str); 24] = [
    (1, "The object with key 'site.zip' does not exist."),
    (2, "The object with key 'site.zip' returned a Forbidden error."),
    (
        3,
        "Insufficient permissions The service role or action role doesn't have the permissions required to access the Amazon S3 bucket named artifacts-1. Update the IAM role permissions, and then try again. Error: Amazon S3:AccessDenied:Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: P93EQDAT9W9CQ1Q9; S3 Extended Request ID: eA==; Proxy: null)",
    ),
    (
        3,
        "The provided role does not have permissions to perform this action. Underlying error: Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: 0000000000000000; S3 Extended Request ID: eA==)",
    ),
    (
        3,
        "Upload to S3 failed with the following error: Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: P93EQDAT9W9CQ1Q9)",
    ),
    (4, "Versioning is not enabled on the source bucket in-bucket."),
    (
        5,
        "CodePipeline service role \"arn:aws:iam::111111111111:role/service-role/AWSCodePipelineServiceRole-us-east-1-web\" is getting S3 access denied for the S3 bucket \"in-bucket\"",
    ),
    (
        6,
        "Unable to access the artifact with Amazon S3 object key 'web/SourceArti/XyZ1234.zip' located in the Amazon S3 artifact bucket 'artifacts-1'. The provided role does not have sufficient permissions.",
    ),
    (
        6,
        "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for artifacts-1/web/SourceArti/XyZ1234. S3 Error Code: AccessDenied. S3 Error Message: Access Denied (Service: AWSLambdaInternal; Status Code: 403; Error Code: AccessDeniedException; Request ID: 94776b24-4694-4a9a-9b70-17bc7d478e93)",
    ),
    (
        8,
        "You do not have sufficient permissions to call s3.putObject for the deployment bucket, site. Check the permissions. If you choose a canned ACL, the role must also have the permissions s3:PutObjectAcl and s3:PutObjectVersionAcl.",
    ),
    (
        13,
        "arn:aws:iam::111111111111:role/pipe is not authorized to perform AssumeRole on role arn:aws:iam::222222222222:role/prods3role (Service: AWSCodePipeline; Status Code: 400; Error Code: InvalidStructureException; Request ID: 94776b24-4694-4a9a-9b70-17bc7d478e93; Proxy: null)",
    ),
    (
        27,
        "The deployment S3 bucket you chose (site) is in an AWS Region different from the action Region. You must use the same Region for your action and the deploy bucket.",
    ),
    (28, "Failed replicating 'SourceArtifact': Invalid Arn"),
    (31, "Invalid value for configuration property 'True': 'Extract'. Valid values are true and false."),
    (32, "When the extract feature is disabled, you must provide an object."),
    (33, "The archive is malformed."),
    (34, "The file name ../etc/passwd contains invalid sequence: dot-dot-slash."),
    (36, "I uploaded a new zip and the pipeline never started"),
    (37, "each upload starts two runs of the pipeline"),
    (41, "old files of the site are still there in the bucket after the deploy"),
    (42, "the trust policy shows \"AWS\": \"AROAEXAMPLE1234567890\""),
    (43, "objects arrive as site//index.html in the bucket"),
    (
        45,
        "Error: Artifact Bucket must have a KMS Key to add cross-account action 'Deploy' (pipeline account: '111111111111', action account: '222222222222'). Create Pipeline with 'crossAccountKeys: true'",
    ),
    (
        48,
        "Replication of artifact 'SourceArtifact' failed: Failed replicating artifact from artifacts-1 in us-east-1 to artifacts-eu in eu-west-1: Check source and destination artifact buckets exist and arn:aws:iam::111111111111:role/pipe has permission to access it.",
    ),
];

#[test]
fn what_codepipeline_says_is_known_in_every_form_and_dress() {
    let forms: [(&str, Dress); 5] = [
        ("console", |says| format!("Deploy\nAmazon S3\nFailed - 3 minutes ago\nAction execution failed\n{says}\nView details")),
        ("get-pipeline-state", |says| {
            serde_json::to_string_pretty(&serde_json::json!({"latestExecution": {"status": "Failed", "lastStatusChange": "2026-11-23T01:00:00+00:00", "errorDetails": {"code": "PermissionError", "message": says}}})).unwrap()
        }),
        ("event", |says| {
            serde_json::json!({"source": "aws.codepipeline", "detail-type": "CodePipeline Action Execution State Change", "detail": {"pipeline": "web", "state": "FAILED", "execution-result": {"external-execution-summary": says, "error-code": "PermissionError"}}}).to_string()
        }),
        ("alone", str::to_owned),
        ("mail", |says| format!("Hi all,\n\nsince Monday our pipeline says\n\n{says}\n\nAny idea?\nThanks, Ann")),
    ];
    let mut missed = Missed::new();
    let all = SAID.iter().flat_map(|said| forms.iter().flat_map(move |form| DRESSES.map(|dress| (said, form, dress)))).collect();
    for ((row, says), (form, render), (dress, wear)) in depth::sampled("sayings", all, 70) {
        missed.check(*row, &format!("{form}, {dress}"), &wear(&render(says)), 1);
    }
    missed.end();
}

/// The beginning or the end of a message is lost in a table, a chat or a log's limit.
#[test]
fn a_message_that_is_cut_at_an_end_is_known() {
    let mut missed = Missed::new();
    let long = API.iter().map(|case| (case.row, case.says)).chain(SAID).filter(|(_, says)| {
        says.len() > 60
            && !says.contains(":key/94776b24-4694-4a9a-9b70-17bc7d478e93 is ")
            && !says.starts_with("Key 'arn")
            && !says.starts_with("Alias ")
    });
    let long = long.filter(|(row, _)| ![21, 23, 24, 39, 41, 44, 18].contains(row)).collect();
    for (row, says) in depth::sampled("cut messages", long, 12) {
        let letters: Vec<char> = says.chars().collect();
        let words = says.split(' ').count();
        let kept = letters.len() * 3 / 4;
        let begin: String = letters[..kept].iter().collect();
        let end: String = letters[letters.len() - kept..].iter().collect();
        // What tells a row may stand at one end alone.
        for (what, text) in [("end cut", begin.clone()), ("end cut…", format!("{begin}…")), ("end cut...", format!("Error: {begin}..."))]
        {
            missed.check(row, what, &text, 3);
        }
        if words > 9 && ![1, 10, 12, 13, 42, 46].contains(&row) {
            for (what, text) in [("start cut", end.clone()), ("…start cut", format!("…{end}"))] {
                missed.check(row, what, &text, 3);
            }
        }
    }
    // Of these the end tells.
    for (row, text) in [
        (11, "…ed-role/prods3role/17672256… is not authorized to perform: s3:PutOb"),
        (11, "User: arn:aws:sts::222222222222:assumed-role/prods3role/1767225… is not authorized to perform: kms:Dec…"),
        (23, "… is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::s… with an explicit deny in a service contr…"),
        (24, "…thorized to perform: s3:GetObject because no permissions boundary allows the s3:GetOb"),
        (44, "…role/x is not authorized to perform: s3:GetObjectTagging on resou"),
        (39, "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: iam:PassRole on reso…"),
    ] {
        missed.check(row, "cut", text, 1);
    }
    missed.end();
}

/// Where only a denial is known, the rows of denials are told with what to read, the likeliest first.
#[test]
fn a_bare_denial_has_the_general_rows() {
    let mut missed = Missed::new();
    for (likeliest, text) in [
        (
            6,
            "Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: 0000000000000000; S3 Extended Request ID: eA==)",
        ),
        (6, "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied"),
        (8, "An error occurred (AccessDenied) when calling the PutObject operation: Access Denied"),
        (
            8,
            "upload failed: ./index.html to s3://site/index.html An error occurred (AccessDenied) when calling the PutObject operation: Access Denied",
        ),
        (6, "AccessDenied: Access Denied\n\tstatus code: 403, request id: P93EQDAT9W9CQ1Q9, host id: eA=="),
        (
            6,
            "software.amazon.awssdk.services.s3.model.S3Exception: Access Denied (Service: S3, Status Code: 403, Request ID: P93EQDAT9W9CQ1Q9)",
        ),
        (
            6,
            "Resource handler returned message: \"Access Denied (Service: S3, Status Code: 403, Request ID: P93EQDAT9W9CQ1Q9)\" (RequestToken: 4b6b1f4a, HandlerErrorCode: AccessDenied)",
        ),
        (6, "Access Denied"),
        (6, "AccessDenied"),
        (6, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"),
        (
            6,
            "CLIENT_ERROR: AccessDenied: Access Denied status code: 403, request id: P93EQDAT9W9CQ1Q9, host id: eA== for primary source and source version arn:aws:s3:::artifacts-1/web/SourceArti/XyZ1234",
        ),
    ] {
        missed.check(likeliest, "bare", text, 1);
        let explanation = explain(&Symptom::pasted(text), None);
        let known = ids(&explanation);
        for row in [2, 3, 6, 8] {
            assert!(known.contains(&id_of(row).as_str()), "{text}: {known:?}");
        }
        assert!(explanation.causes.iter().all(|cause| !cause.read.is_empty() && !cause.shown), "{text}: {explanation:#?}");
        assert!(explanation.ruled_out.is_empty());
    }
    missed.end();
}

/// What is hidden behind a row's text is named with it.
#[test]
fn what_hides_behind_a_text_is_named_with_it() {
    for (text, row) in [(SAID[7].1, 7), (SAID[7].1, 19), (SAID[7].1, 25), (SAID[7].1, 26), (SAID[7].1, 47), (SAID[9].1, 9), (SAID[9].1, 22)]
    {
        for (dress, wear) in depth::sampled("dresses", DRESSES.to_vec(), 3) {
            let (place, found) = place(&wear(text), row);
            assert!(place.is_some(), "{row}, {dress}: {found:?}");
        }
    }
    let named: Vec<u8> = API.iter().map(|case| case.row).chain(SAID.map(|(row, _)| row)).chain([7, 9, 19, 22, 25, 47]).collect();
    // Without a text of their own, or told by people's words alone: tests/it/explain.rs has them.
    let elsewhere = [35, 38, 40];
    let missing: Vec<u8> = rows().iter().map(|row| row.number).filter(|row| !named.contains(row) && !elsewhere.contains(row)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Texts of other programs and services, in dresses too.
#[test]
fn what_is_of_something_else_is_not_explained_in_any_dress() {
    for text in [
        "works fine but the vpc peering is down",
        "It works in staging, and the VPC was made by hand",
        "how do I make a VPC endpoint for my database",
        "our service control policy handbook",
        "invalid zip code",
        "old files are still there",
        "nginx: 403 Forbidden on my website",
        "login success, then 403 forbidden",
        "An internal error occurred, please reload the page",
        "I uploaded a photo and the app does not start",
        "mysql: Access denied for user 'root'@'localhost' (using password: YES)",
        "remote: Permission to ann/repo.git denied to bob. fatal: unable to access: The requested URL returned error: 403",
        "curl: (22) The requested URL returned error: 403",
        "docker: denied: requested access to the resource is denied",
        "An error occurred (ValidationException) when calling the PutItem operation: 1 validation error detected: Value '' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3",
        "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:us-east-1:111111111111:table/t",
        "An error occurred (AccessDeniedException) when calling the RunTask operation: User: arn:aws:iam::111111111111:user/ann is not authorized to perform: iam:PassRole on resource: arn:aws:iam::111111111111:role/app-task",
        "the object of the game does not exist in the cloud",
        "npm ERR! code E403\nnpm ERR! 403 Forbidden - GET https://registry.example.com/foo - access denied",
        "kubectl: Error from server (Forbidden): pods is forbidden: User \"ann\" cannot list resource \"pods\"",
        "terraform: Error: Unsupported argument; a policy may not contain invalid characters",
        "The new policy will not allow pets in the office",
        "pipeline of the refinery burst",
    ] {
        for (dress, wear) in depth::sampled("dresses", DRESSES.to_vec(), 3).into_iter().chain([DRESSES[0]]) {
            let found = ids(&explain(&Symptom::pasted(&wear(text)), None));
            assert!(found.is_empty(), "{text}, {dress}: {found:?}");
        }
    }
}

/// A secret is hidden in whatever dress it comes.
#[test]
fn a_secret_is_hidden_in_every_dress() {
    let secret = "wJalrXUtnFEMIx7MDENGxbPxRfiCYEXAMPLE0123";
    let token = format!("{secret}/{secret}+{secret}==");
    for (number, text) in [
        format!("Access Denied AWS_SECRET_ACCESS_KEY={secret} AWS_SESSION_TOKEN={token}"),
        format!("Access Denied {{\"SecretAccessKey\": \"{secret}\", \"SessionToken\": \"{token}\"}}"),
        format!("An error occurred (AccessDenied) when calling the GetObject operation: Access Denied for the key that I pasted, {secret} and its token {token}"),
        "Access Denied with password=\"hunter4 hunter4\" and https://ann:hunter4@proxy:3128".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        for (dress, wear) in DRESSES {
            let shown = Symptom::pasted(&wear(text)).text;
            let bare: String = shown.chars().filter(|letter| letter.is_ascii_alphanumeric()).collect();
            let part = |whole: &str, from: usize, length: usize| whole[from..from + length].to_owned();
            for piece in [part(secret, 4, 12), part(secret, 14, 12), part(secret, 24, 12), "hunter4".to_owned()] {
                assert!(!bare.contains(&piece), "{number}, {dress}: {piece}\n{shown}");
            }
        }
    }
}
