//! The documents of `--policies least-privilege` (facts/codepipeline.md F.2): the calls of one run (A.2), and nothing else.
//!
//! Each takes the place of one of the article's, and a set-up goes from one style to the other in both directions.

use super::{Context, customer_key};
use crate::deploy::blueprint::{Blueprint, Store, object_pattern};
use crate::deploy::names;
use serde_json::{Value, json};

/// S3 calls KMS for whoever reads or writes; the name is the same in every partition (facts F.3).
pub fn via_s3(region: &str) -> Value {
    json!({"kms:ViaService": format!("s3.{region}.amazonaws.com")})
}

/// The artifacts of this pipeline in a store (facts A.2, row 6).
pub fn artifacts(blueprint: &Blueprint, store: &Store) -> String {
    format!("{}/{}/*", blueprint.dev.bucket(&store.bucket), blueprint.artifact_prefix())
}

/// The source object.
pub fn source_object(blueprint: &Blueprint) -> String {
    format!("{}/{}", blueprint.dev.bucket(&blueprint.input_bucket), object_pattern(&blueprint.object_key, &[]))
}

/// A4.1: rows 12 to 15, and the end of an upload in parts that failed (row 16).
pub fn output_document(context: &Context<'_>) -> Value {
    let blueprint = context.blueprint;
    let bucket = blueprint.prod.bucket(&blueprint.output_bucket);
    let objects: Vec<String> = blueprint.deployed.iter().map(|pattern| format!("{bucket}/{pattern}")).collect();
    let own = json!({"StringEquals": {"aws:ResourceAccount": blueprint.prod.account}});
    let mut actions = vec!["s3:PutObject", "s3:AbortMultipartUpload"];
    if blueprint.sets_acl {
        actions.extend(["s3:PutObjectAcl", "s3:PutObjectVersionAcl"]);
    }
    let mut statements = vec![
        json!({"Sid": names::DEPLOY_OBJECTS, "Effect": "Allow", "Action": actions, "Resource": objects, "Condition": own}),
        json!({"Sid": "DeployActionReads", "Effect": "Allow",
            "Action": ["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"], "Resource": [bucket], "Condition": own}),
    ];
    statements.extend(customer_key::output_statement(context));
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A4.2: rows 10 and 11, of the store that the deploy action reads.
pub fn artifact_document(blueprint: &Blueprint) -> Value {
    let mut statements = Vec::new();
    if let Some(store) = blueprint.read_store() {
        let via_s3 = json!({"StringEquals": via_s3(&store.region)});
        statements = vec![
            json!({"Sid": names::READ_ARTIFACTS, "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                "Resource": [artifacts(blueprint, store)],
                "Condition": {"StringEquals": {"aws:ResourceAccount": blueprint.dev.account}}}),
            json!({"Sid": "DecryptArtifacts", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": [store.key], "Condition": via_s3}),
            // Whoever describes the key does it without S3.
            json!({"Sid": "DescribeArtifactKey", "Effect": "Allow", "Action": ["kms:DescribeKey"], "Resource": [store.key]}),
        ];
        if blueprint.deploy_encrypts_with_dev_key {
            statements.push(json!({"Sid": names::ENCRYPT_WITH_ARTIFACT_KEY, "Effect": "Allow", "Action": ["kms:GenerateDataKey"],
                "Resource": [store.key], "Condition": via_s3}));
        }
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Production's role by its account and its ARN: KMS and S3 take it before the role exists, and it survives the role's being
/// made anew (facts F.2).
fn production(blueprint: &Blueprint) -> (Value, Value) {
    (json!({"AWS": blueprint.prod.root()}), json!({"aws:PrincipalArn": blueprint.deploy_role.arn}))
}

/// A1.3 and A3: rows 7 and 8 for the service role, row 11 for production's role where it reads; no grants, since S3 makes none
/// (facts B.4).
pub fn key_statements(blueprint: &Blueprint, store: &Store, with_service_role: bool) -> Vec<Value> {
    let mut statements = Vec::new();
    if with_service_role {
        let service = json!({"AWS": blueprint.service_role.arn});
        let mut condition = via_s3(&store.region);
        condition["kms:CallerAccount"] = json!(blueprint.dev.account);
        statements.extend([
            json!({"Sid": blueprint.sid("KeyServiceUse"), "Effect": "Allow", "Principal": service,
                "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*", "Condition": {"StringEquals": condition}}),
            json!({"Sid": blueprint.sid("KeyServiceDescribe"), "Effect": "Allow", "Principal": service,
                "Action": "kms:DescribeKey", "Resource": "*"}),
        ]);
    }
    if blueprint.read_store() != Some(store) {
        return statements;
    }
    let (who, role) = production(blueprint);
    // Of the objects of one bucket; S3 names the bucket itself where it uses a bucket key (row 7).
    let of = |bucket: String| json!({"kms:EncryptionContext:aws:s3:arn": [bucket, format!("{bucket}/*")]});
    statements.extend([
        json!({"Sid": blueprint.sid("KeyProductionDecrypt"), "Effect": "Allow", "Principal": who, "Action": "kms:Decrypt", "Resource": "*",
            "Condition": {"ArnEquals": role, "StringEquals": via_s3(&store.region), "StringLike": of(blueprint.dev.bucket(&store.bucket))}}),
        json!({"Sid": blueprint.sid("KeyProductionDescribe"), "Effect": "Allow", "Principal": who, "Action": "kms:DescribeKey",
            "Resource": "*", "Condition": {"ArnEquals": role}}),
    ]);
    if blueprint.deploy_encrypts_with_dev_key {
        // An upload in parts also decrypts (row 15).
        statements.push(json!({"Sid": blueprint.sid(names::ENCRYPT_IN_KEY), "Effect": "Allow", "Principal": who,
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*",
            "Condition": {"ArnEquals": role, "StringEquals": via_s3(&store.region),
                "StringLike": of(blueprint.prod.bucket(&blueprint.output_bucket))}}));
    }
    statements
}

/// A5: row 10, in the store that the deploy action reads.
pub fn bucket_statements(blueprint: &Blueprint, store: &Store) -> Vec<Value> {
    if blueprint.read_store() != Some(store) {
        return Vec::new();
    }
    let (who, role) = production(blueprint);
    vec![json!({"Sid": blueprint.sid("ArtifactRead"), "Effect": "Allow", "Principal": who,
        "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": artifacts(blueprint, store), "Condition": {"ArnEquals": role}})]
}
