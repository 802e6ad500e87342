//! What may be there before the program comes.

use crate::support::{Bed, REGION};
use serde_json::{Value, json};

/// Input and output bucket and nothing else; gives the arguments of a first set-up.
pub fn empty(bed: &Bed) -> Vec<String> {
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    ["setup", "--input-bucket", &input, "--output-bucket", &output, "--yes"].map(str::to_owned).to_vec()
}

/// What a team that followed the console has: a key with an alias and statements of its own, the
/// console's artifact bucket with its SSEAndSSLPolicy, and a pipeline without `encryptionKey` and
/// `roleArn` of the deploy action, whose service role can't assume anything yet.
pub fn console(bed: &Bed) -> Vec<String> {
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let artifacts = bed.bucket(&bed.dev, &format!("codepipeline-{REGION}"));
    let artifacts_arn = format!("arn:aws:s3:::{artifacts}");
    let key = bed.dev.call("kms", "create_key", json!({"Description": "made by hand"}));
    let key = key["KeyMetadata"]["KeyId"].as_str().unwrap();
    bed.dev.call("kms", "create_alias", json!({"AliasName": "alias/s3deploykey", "TargetKeyId": key}));
    let key_policy = policy(json!([
        {"Sid": "Enable IAM User Permissions", "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{}:root", bed.dev.id)}, "Action": "kms:*", "Resource": "*"},
        {"Sid": "Backup of others", "Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"},
            "Action": ["kms:Decrypt"], "Resource": "*"},
    ]));
    bed.dev.call("kms", "put_key_policy", json!({"KeyId": key, "PolicyName": "default", "Policy": key_policy.to_string()}));
    let bucket_policy = policy(json!([
        {"Sid": "DenyUnEncryptedObjectUploads", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("{artifacts_arn}/*"),
            "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}},
        {"Sid": "DenyInsecureConnections", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": format!("{artifacts_arn}/*"), "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    ]));
    bed.dev.call("s3", "put_bucket_policy", json!({"Bucket": artifacts, "Policy": bucket_policy.to_string()}));
    let role = service_role(bed);
    bed.dev.put_pipeline(REGION, &pipeline(&role, &artifacts, &input, &output));
    ["setup", "--input-bucket", &input, "--output-bucket", &output, "--change-detection", "eventbridge", "--yes"]
        .map(str::to_owned)
        .to_vec()
}

/// A document.
pub fn policy(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// The console's service role with a policy of its own; gives the ARN.
pub fn service_role(bed: &Bed) -> String {
    let name = format!("AWSCodePipelineServiceRole-{REGION}-crossaccountdeploy");
    let trust = policy(json!([
        {"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ]));
    let made = bed.dev.call("iam", "create_role", json!({"RoleName": name, "Path": "/service-role/", "AssumeRolePolicyDocument": trust}));
    let broad = policy(json!([{"Effect": "Allow", "Action": ["s3:*", "codebuild:*", "kms:*"], "Resource": "*"}]));
    bed.dev.call("iam", "put_role_policy", json!({"RoleName": name, "PolicyName": "console", "PolicyDocument": broad}));
    made["Role"]["Arn"].as_str().unwrap().to_owned()
}

/// The console's pipeline, before article A7.
pub fn pipeline(role: &str, artifacts: &str, input: &str, output: &str) -> Value {
    let kind = |category: &str| json!({"category": category, "owner": "AWS", "provider": "S3", "version": "1"});
    json!({
        "name": "crossaccountdeploy",
        "roleArn": role,
        "artifactStore": {"type": "S3", "location": artifacts},
        "stages": [
            {"name": "Source", "actions": [{
                "name": "Source", "actionTypeId": kind("Source"), "runOrder": 1,
                "configuration": {"S3Bucket": input, "S3ObjectKey": "sample-website.zip", "PollForSourceChanges": "false"},
                "outputArtifacts": [{"name": "SourceArtifact"}], "inputArtifacts": [], "region": REGION,
                "namespace": "SourceVariables",
            }]},
            {"name": "Deploy", "actions": [{
                "name": "Deploy", "actionTypeId": kind("Deploy"), "runOrder": 1,
                "configuration": {"BucketName": output, "Extract": "true"},
                "outputArtifacts": [], "inputArtifacts": [{"name": "SourceArtifact"}], "region": REGION,
                "namespace": "DeployVariables",
            }]},
        ],
        "pipelineType": "V2",
    })
}
