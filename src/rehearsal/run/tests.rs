use super::super::{DEV, PROD, Rehearsal};
use aws_sdk_codepipeline::types::{
    ActionCategory, ActionDeclaration, ActionExecutionFilter, ActionOwner, ActionTypeId, ArtifactStore, ArtifactStoreType, EncryptionKey,
    EncryptionKeyType, InputArtifact, OutputArtifact, PipelineDeclaration, PipelineType, StageDeclaration,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, EventBridgeConfiguration, NotificationConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, VersioningConfiguration,
};
use serde_json::{Value, json};
use std::io::Write;

const SERVICE_ROLE: &str = "arn:aws:iam::111111111111:role/service-role/pipes";
const DEPLOY_ROLE: &str = "arn:aws:iam::222222222222:role/deploy";
const EVENT_ROLE: &str = "arn:aws:iam::111111111111:role/events";
const PIPELINE: &str = "arn:aws:codepipeline:us-east-1:111111111111:web";

struct World {
    rehearsal: Rehearsal,
    dev: aws_sdk_s3::Client,
    prod: aws_sdk_s3::Client,
    kms: aws_sdk_kms::Client,
    pipelines: aws_sdk_codepipeline::Client,
    key: String,
}

fn document(statements: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn allow(actions: Value, resources: Value) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resources})
}

fn key_policy(users: &[&str]) -> String {
    document(json!([
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": users}, "Action": ["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"], "Resource": "*"}
    ]))
}

async fn role(rehearsal: &Rehearsal, arn: &str, trust: Value, statements: Value) {
    let (account, resource) = (arn.split(':').nth(4).unwrap(), arn.split(":role").nth(1).unwrap());
    let (path, name) = resource.split_at(resource.rfind('/').unwrap() + 1);
    let iam = aws_sdk_iam::Client::new(&rehearsal.config(rehearsal.keys(account), "us-east-1"));
    let trust = document(json!({"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}));
    iam.create_role().role_name(name).path(path).assume_role_policy_document(trust).send().await.unwrap();
    iam.put_role_policy().role_name(name).policy_name("own").policy_document(document(statements)).send().await.unwrap();
}

async fn versioned(s3: &aws_sdk_s3::Client, name: &str) {
    s3.create_bucket().bucket(name).send().await.unwrap();
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    s3.put_bucket_versioning().bucket(name).versioning_configuration(enabled).send().await.unwrap();
}

impl World {
    /// Everything but the pipeline, with no right too many.
    async fn new() -> World {
        let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
        let (dev_config, prod_config) =
            (rehearsal.config(rehearsal.keys(DEV), "us-east-1"), rehearsal.config(rehearsal.keys(PROD), "us-east-1"));
        let (dev, prod) = (aws_sdk_s3::Client::new(&dev_config), aws_sdk_s3::Client::new(&prod_config));
        let kms = aws_sdk_kms::Client::new(&dev_config);
        versioned(&dev, "input").await;
        dev.create_bucket().bucket("artifacts").send().await.unwrap();
        versioned(&prod, "output").await;
        let made = kms.create_key().send().await.unwrap();
        let key = made.key_metadata().unwrap().arn().unwrap().to_owned();
        let bucket_reads = json!(["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"]);
        let service = json!([
            allow(bucket_reads, json!(["arn:aws:s3:::input", "arn:aws:s3:::artifacts"])),
            allow(json!(["s3:GetObject", "s3:GetObjectVersion"]), json!("arn:aws:s3:::input/*")),
            allow(json!("s3:PutObject"), json!("arn:aws:s3:::artifacts/*")),
            allow(json!(["kms:GenerateDataKey", "kms:Decrypt"]), json!(key)),
            allow(json!("sts:AssumeRole"), json!(DEPLOY_ROLE)),
        ]);
        role(&rehearsal, SERVICE_ROLE, json!({"Service": "codepipeline.amazonaws.com"}), service).await;
        let deploy = json!([
            allow(json!(["s3:GetObject", "s3:GetObjectVersion"]), json!("arn:aws:s3:::artifacts/*")),
            allow(json!("s3:PutObject"), json!("arn:aws:s3:::output/*")),
            allow(json!("kms:Decrypt"), json!(key)),
        ]);
        role(&rehearsal, DEPLOY_ROLE, json!({"AWS": SERVICE_ROLE}), deploy).await;
        let policy = document(json!([
            {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::artifacts/*",
                "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}},
            {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::artifacts/*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Effect": "Allow", "Principal": {"AWS": DEPLOY_ROLE}, "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                "Resource": "arn:aws:s3:::artifacts/*"},
        ]));
        dev.put_bucket_policy().bucket("artifacts").policy(policy).send().await.unwrap();
        kms.put_key_policy().key_id(&key).policy(key_policy(&[DEPLOY_ROLE, SERVICE_ROLE])).send().await.unwrap();
        let pipelines = aws_sdk_codepipeline::Client::new(&dev_config);
        World { rehearsal, dev, prod, kms, pipelines, key }
    }

    fn pipeline(&self, key: Option<&str>, configuration: &[(&str, &str)], polls: &str) -> PipelineDeclaration {
        let of = |category, configuration: &[(&str, &str)], name: &str| {
            let kind = ActionTypeId::builder().category(category).owner(ActionOwner::Aws).provider("S3").version("1").build().unwrap();
            configuration.iter().fold(ActionDeclaration::builder().name(name).action_type_id(kind), |action, (key, value)| {
                action.configuration(*key, *value)
            })
        };
        let source = [("S3Bucket", "input"), ("S3ObjectKey", "site.zip"), ("PollForSourceChanges", polls)];
        let source = of(ActionCategory::Source, &source, "Source")
            .output_artifacts(OutputArtifact::builder().name("SourceArtifact").build().unwrap())
            .build();
        let deploy = of(ActionCategory::Deploy, configuration, "Deploy")
            .input_artifacts(InputArtifact::builder().name("SourceArtifact").build().unwrap())
            .role_arn(DEPLOY_ROLE)
            .build();
        let key = key.map(|key| EncryptionKey::builder().id(key).r#type(EncryptionKeyType::Kms).build().unwrap());
        let store = ArtifactStore::builder().r#type(ArtifactStoreType::S3).location("artifacts").set_encryption_key(key).build().unwrap();
        let stage = |name: &str, action| StageDeclaration::builder().name(name).actions(action).build().unwrap();
        let declaration = PipelineDeclaration::builder().name("web").role_arn(SERVICE_ROLE).artifact_store(store);
        let declaration = declaration.pipeline_type(PipelineType::V2);
        declaration.stages(stage("Source", source.unwrap())).stages(stage("Deploy", deploy.unwrap())).build().unwrap()
    }

    async fn create(&self, configuration: &[(&str, &str)]) {
        self.pipelines.create_pipeline().pipeline(self.pipeline(Some(&self.key), configuration, "false")).send().await.unwrap();
    }

    async fn upload(&self, body: Vec<u8>) -> String {
        let put = self.dev.put_object().bucket("input").key("site.zip").body(ByteStream::from(body)).send().await.unwrap();
        put.version_id().unwrap().to_owned()
    }

    /// Starts the pipeline; gives the execution's status and what became of its last action.
    async fn start(&self) -> (String, String) {
        let id = self.pipelines.start_pipeline_execution().name("web").send().await.unwrap();
        self.outcome(id.pipeline_execution_id().unwrap()).await
    }

    async fn outcome(&self, id: &str) -> (String, String) {
        let run = self.pipelines.get_pipeline_execution().pipeline_name("web").pipeline_execution_id(id).send().await.unwrap();
        let filter = ActionExecutionFilter::builder().pipeline_execution_id(id).build();
        let actions = self.pipelines.list_action_executions().pipeline_name("web").filter(filter).send().await.unwrap();
        let last = &actions.action_execution_details()[0];
        let result = last.output().unwrap().execution_result().unwrap();
        let text = match result.error_details() {
            Some(error) => format!("{}: {}", error.code().unwrap(), error.message().unwrap()),
            None => result.external_execution_summary().unwrap_or_default().to_owned(),
        };
        (run.pipeline_execution().unwrap().status().unwrap().as_str().to_owned(), text)
    }

    async fn newest(&self) -> (String, Option<String>) {
        let runs = self.pipelines.list_pipeline_executions().pipeline_name("web").send().await.unwrap();
        let run = &runs.pipeline_execution_summaries()[0];
        let revision = run.source_revisions().first().and_then(|revision| revision.revision_id()).map(str::to_owned);
        (run.trigger().unwrap().trigger_type().unwrap().as_str().to_owned(), revision)
    }
}

fn website() -> Vec<u8> {
    archive(&[("index.html", "<h1>It works</h1>"), ("css/site.css", "h1 {}"), ("fonts/a.woff2", "x")])
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

const SITE: [(&str, &str); 2] = [("BucketName", "output"), ("Extract", "true")];

fn succeeded() -> (String, String) {
    ("Succeeded".to_owned(), "Deployment Succeeded".to_owned())
}

#[tokio::test]
async fn a_site_goes_from_one_account_to_the_other() {
    let world = World::new().await;
    world.create(&[SITE[0], SITE[1], ("ObjectKey", "site"), ("CacheControl", "no-cache")]).await;
    let first = world.pipelines.list_pipeline_executions().pipeline_name("web").send().await.unwrap();
    let id = first.pipeline_execution_summaries()[0].pipeline_execution_id().unwrap().to_owned();
    // Without s3:ListBucket nobody learns that the object is absent (facts A.3).
    let forbidden = "PermissionError: The object with key 'site.zip' returned a Forbidden error.".to_owned();
    assert_eq!(world.outcome(&id).await, ("Failed".to_owned(), forbidden));

    let version = world.upload(website()).await;
    assert_eq!(world.start().await, succeeded());
    assert_eq!(world.newest().await, ("StartPipelineExecution".to_owned(), Some(version)));
    let artifacts = world.dev.list_objects_v2().bucket("artifacts").send().await.unwrap();
    let key = artifacts.contents()[0].key().unwrap();
    assert!(key.starts_with("web/SourceArti/") && key.ends_with(".zip") && key.len() == "web/SourceArti/1234567.zip".len(), "{key}");
    let head = world.dev.head_object().bucket("artifacts").key(key).send().await.unwrap();
    assert_eq!((head.ssekms_key_id(), head.server_side_encryption()), (Some(world.key.as_str()), Some(&ServerSideEncryption::AwsKms)));
    let expected =
        [("site/css/site.css", "text/css"), ("site/fonts/a.woff2", "application/octet-stream"), ("site/index.html", "text/html")];
    let arrived = world.prod.list_objects_v2().bucket("output").fetch_owner(true).send().await.unwrap();
    let owner = world.prod.list_buckets().send().await.unwrap().owner().unwrap().id().unwrap().to_owned();
    assert_eq!(arrived.contents().len(), expected.len());
    for (object, (key, content_type)) in arrived.contents().iter().zip(expected) {
        assert_eq!((object.key(), object.owner().unwrap().id()), (Some(key), Some(owner.as_str())));
        let got = world.prod.get_object().bucket("output").key(key).send().await.unwrap();
        assert_eq!((got.content_type(), got.cache_control()), (Some(content_type), Some("no-cache")));
    }
}

#[tokio::test]
async fn what_is_not_extracted_arrives_as_it_is() {
    let world = World::new().await;
    world.create(&[SITE[0], ("Extract", "false"), ("ObjectKey", "release.zip")]).await;
    world.upload(website()).await;
    assert_eq!(world.start().await, succeeded());
    let got = world.prod.get_object().bucket("output").key("release.zip").send().await.unwrap();
    assert_eq!(got.content_type(), Some("application/octet-stream"));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), website());
}

#[tokio::test]
async fn who_may_not_use_the_key_gets_nothing() {
    let world = World::new().await;
    world.create(&SITE).await;
    world.upload(website()).await;
    let put = async |users: &[&str]| {
        world.kms.put_key_policy().key_id(&world.key).policy(key_policy(users)).send().await.unwrap();
    };
    put(&[SERVICE_ROLE]).await;
    let (status, text) = world.start().await;
    assert!(status == "Failed" && text.starts_with("PermissionError: Unable to access the artifact with Amazon S3 object key"), "{text}");
    put(&[SERVICE_ROLE, DEPLOY_ROLE]).await;
    // A retry takes the artifact that is there.
    let runs = world.pipelines.list_pipeline_executions().pipeline_name("web").send().await.unwrap();
    let id = runs.pipeline_execution_summaries()[0].pipeline_execution_id().unwrap().to_owned();
    let retry = || {
        let request = world.pipelines.retry_stage_execution().pipeline_name("web").stage_name("Deploy").pipeline_execution_id(&id);
        request.retry_mode(aws_sdk_codepipeline::types::StageRetryMode::FailedActions).send()
    };
    retry().await.unwrap();
    assert_eq!(world.outcome(&id).await, succeeded());
    let again = retry().await.unwrap_err();
    assert_eq!(aws_sdk_codepipeline::error::ProvideErrorMetadata::code(&again), Some("StageNotRetryableException"));
    assert_eq!(world.start().await, succeeded());
    // The artifact stays sealed for whoever may read the bucket but not use the key.
    let policy =
        document(json!({"Effect": "Allow", "Principal": {"AWS": PROD}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::artifacts/*"}));
    world.dev.put_bucket_policy().bucket("artifacts").policy(policy).send().await.unwrap();
    let key = world.dev.list_objects_v2().bucket("artifacts").send().await.unwrap().contents()[0].key().unwrap().to_owned();
    let denied = world.prod.get_object().bucket("artifacts").key(key).send().await.unwrap_err();
    assert_eq!(aws_sdk_s3::error::ProvideErrorMetadata::code(&denied), Some("AccessDenied"));
}

#[tokio::test]
async fn with_the_key_of_aws_the_other_account_reads_nothing() {
    let world = World::new().await;
    world.pipelines.create_pipeline().pipeline(world.pipeline(None, &SITE, "false")).send().await.unwrap();
    world.upload(website()).await;
    let (status, text) = world.start().await;
    assert!(status == "Failed" && text.contains("Unable to access the artifact"), "{text}");
}

#[tokio::test]
async fn a_key_by_its_bare_id_means_nothing_in_the_other_account() {
    let world = World::new().await;
    let id = world.key.rsplit('/').next().unwrap();
    world.pipelines.create_pipeline().pipeline(world.pipeline(Some(id), &SITE, "false")).send().await.unwrap();
    world.upload(website()).await;
    let (status, text) = world.start().await;
    assert!(status == "Failed" && text.contains("Unable to access the artifact"), "{text}");
}

#[tokio::test]
async fn the_output_key_is_asked_for_too() {
    let world = World::new().await;
    world.create(&SITE).await;
    world.upload(website()).await;
    let default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms).kms_master_key_id(&world.key);
    let rule =
        ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default.build().unwrap()).bucket_key_enabled(true);
    let configuration = ServerSideEncryptionConfiguration::builder().rules(rule.build()).build().unwrap();
    world.prod.put_bucket_encryption().bucket("output").server_side_encryption_configuration(configuration).send().await.unwrap();
    let (status, text) = world.start().await;
    let expected = "PermissionError: You do not have sufficient permissions to call s3.putObject for the deployment bucket, output.";
    assert!(status == "Failed" && text.starts_with(expected), "{text}");
    let iam = aws_sdk_iam::Client::new(&world.rehearsal.config(world.rehearsal.keys(PROD), "us-east-1"));
    let may = document(allow(json!("kms:GenerateDataKey"), json!(world.key)));
    iam.put_role_policy().role_name("deploy").policy_name("seal").policy_document(may).send().await.unwrap();
    assert_eq!(world.start().await, succeeded());
    let head = world.prod.head_object().bucket("output").key("index.html").send().await.unwrap();
    assert_eq!((head.ssekms_key_id(), head.bucket_key_enabled()), (Some(world.key.as_str()), Some(true)));
}

#[tokio::test]
async fn bad_archives_and_configurations_fail_as_aws_fails() {
    let world = World::new().await;
    world.create(&SITE).await;
    world.upload(b"no archive".to_vec()).await;
    assert_eq!(world.start().await, ("Failed".to_owned(), "JobFailed: The archive is malformed.".to_owned()));
    world.upload(archive(&[("index.html", "x"), ("../evil", "x")])).await;
    let slip = "ConfigurationError: The file name ../evil contains invalid sequence: dot-dot-slash.";
    assert_eq!(world.start().await, ("Failed".to_owned(), slip.to_owned()));
    // What came before it is there.
    world.prod.head_object().bucket("output").key("index.html").send().await.unwrap();
    for (configuration, text) in [
        (vec![SITE[0], ("Extract", "yes")], "ConfigurationError: Invalid value for configuration property 'yes': 'Extract'."),
        (vec![SITE[0], ("Extract", "false")], "ConfigurationError: When the extract feature is disabled, you must provide an object."),
        (vec![SITE[0], SITE[1], ("CannedACL", "public-read")], "PermissionError: You do not have sufficient permissions"),
    ] {
        world.upload(website()).await;
        let declaration = world.pipeline(Some(&world.key), &configuration, "false");
        world.pipelines.update_pipeline().pipeline(declaration).send().await.unwrap();
        let (status, told) = world.start().await;
        assert!(status == "Failed" && told.starts_with(text), "{told}");
    }
}

#[tokio::test]
async fn an_upload_starts_the_pipeline_if_the_rule_and_its_role_say_so() {
    let world = World::new().await;
    world.create(&SITE).await;
    let start = json!(allow(json!("codepipeline:StartPipelineExecution"), json!(PIPELINE)));
    role(&world.rehearsal, EVENT_ROLE, json!({"Service": "events.amazonaws.com"}), start).await;
    let events = aws_sdk_eventbridge::Client::new(&world.rehearsal.config(world.rehearsal.keys(DEV), "us-east-1"));
    let pattern = json!({"source": ["aws.s3"], "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["input"]}, "object": {"key": ["site.zip"]}}});
    events.put_rule().name("start").event_pattern(pattern.to_string()).send().await.unwrap();
    let input = aws_sdk_eventbridge::types::InputTransformer::builder()
        .input_paths_map("revisionValue", "$.detail.object.version-id")
        .input_template(
            "{\"sourceRevisions\":[{\"actionName\":\"Source\",\"revisionType\":\"S3_OBJECT_VERSION_ID\",\"revisionValue\":<revisionValue>}]}",
        );
    let target = aws_sdk_eventbridge::types::Target::builder().id("1").arn(PIPELINE).role_arn(EVENT_ROLE);
    let target = target.input_transformer(input.build().unwrap()).build().unwrap();
    events.put_targets().rule("start").targets(target).send().await.unwrap();
    world.upload(website()).await;
    // The bucket doesn't tell yet.
    assert_eq!(world.newest().await.0, "CreatePipeline");
    let told = NotificationConfiguration::builder().event_bridge_configuration(EventBridgeConfiguration::builder().build()).build();
    world.dev.put_bucket_notification_configuration().bucket("input").notification_configuration(told).send().await.unwrap();
    let version = world.upload(website()).await;
    assert_eq!(world.newest().await, ("CloudWatchEvent".to_owned(), Some(version)));
    world.prod.head_object().bucket("output").key("index.html").send().await.unwrap();
}

#[tokio::test]
async fn a_pipeline_that_polls_sees_an_upload() {
    let world = World::new().await;
    world.pipelines.create_pipeline().pipeline(world.pipeline(Some(&world.key), &SITE, "true")).send().await.unwrap();
    let version = world.upload(website()).await;
    assert_eq!(world.newest().await, ("PollForSourceChanges".to_owned(), Some(version)));
}
