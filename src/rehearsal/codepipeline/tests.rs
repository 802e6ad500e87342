use super::super::{DEV, PROD, Rehearsal};
use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_codepipeline::types::{
    ActionCategory, ActionDeclaration, ActionExecutionFilter, ActionOwner, ActionTypeId, ArtifactStore, ArtifactStoreType, InputArtifact,
    OutputArtifact, PipelineDeclaration, StageDeclaration, Tag,
};
use serde_json::{Value, json};

const SERVICE_ROLE: &str = "arn:aws:iam::111111111111:role/service-role/pipes";
const DEPLOY_ROLE: &str = "arn:aws:iam::222222222222:role/deploy";

fn told<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> String {
    let error = result.err().expect("an error");
    format!("{}: {}", error.code().unwrap_or_default(), error.message().unwrap_or_default())
}

fn action(
    name: &str,
    category: ActionCategory,
    configuration: &[(&str, &str)],
) -> aws_sdk_codepipeline::types::builders::ActionDeclarationBuilder {
    let kind = ActionTypeId::builder().category(category).owner(ActionOwner::Aws).provider("S3").version("1").build().unwrap();
    configuration
        .iter()
        .fold(ActionDeclaration::builder().name(name).action_type_id(kind), |action, (key, value)| action.configuration(*key, *value))
}

fn source() -> ActionDeclaration {
    action("Source", ActionCategory::Source, &[("S3Bucket", "input"), ("S3ObjectKey", "site.zip"), ("PollForSourceChanges", "false")])
        .output_artifacts(OutputArtifact::builder().name("SourceArtifact").build().unwrap())
        .build()
        .unwrap()
}

fn deploy(configuration: &[(&str, &str)], role: Option<&str>) -> ActionDeclaration {
    action("Deploy", ActionCategory::Deploy, configuration)
        .input_artifacts(InputArtifact::builder().name("SourceArtifact").build().unwrap())
        .set_role_arn(role.map(str::to_owned))
        .build()
        .unwrap()
}

fn pipeline(name: &str, deploy: ActionDeclaration) -> PipelineDeclaration {
    let store = ArtifactStore::builder().r#type(ArtifactStoreType::S3).location("artifacts").build().unwrap();
    let stage = |name: &str, action| StageDeclaration::builder().name(name).actions(action).build().unwrap();
    let declaration = PipelineDeclaration::builder().name(name).role_arn(SERVICE_ROLE).artifact_store(store);
    declaration.stages(stage("Source", source())).stages(stage("Deploy", deploy)).build().unwrap()
}

const TARGET: [(&str, &str); 2] = [("BucketName", "output"), ("Extract", "true")];

async fn role(rehearsal: &Rehearsal, account: &str, path: &str, name: &str, trust: Value, allow: Value) {
    let iam = aws_sdk_iam::Client::new(&rehearsal.config(rehearsal.keys(account), "us-east-1"));
    let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}});
    iam.create_role().role_name(name).path(path).assume_role_policy_document(trust.to_string()).send().await.unwrap();
    let policy = json!({"Version": "2012-10-17", "Statement": allow});
    iam.put_role_policy().role_name(name).policy_name("all").policy_document(policy.to_string()).send().await.unwrap();
}

#[tokio::test]
async fn a_pipeline_needs_roles_that_can_be_assumed_and_keeps_its_versions() {
    let rehearsal = Rehearsal::new("aws", "us-east-1", "us-east-1");
    rehearsal.make_bucket(DEV, "us-east-1", "artifacts", false).await.unwrap();
    let client = Client::new(&rehearsal.config(rehearsal.keys(DEV), "us-east-1"));
    let create = |declaration: PipelineDeclaration| client.create_pipeline().pipeline(declaration).send();
    let ours = || pipeline("web", deploy(&TARGET, Some(DEPLOY_ROLE)));
    let service = "InvalidStructureException: CodePipeline is not authorized to perform AssumeRole on role";
    assert_eq!(told(create(ours()).await), format!("{service} {SERVICE_ROLE}"));
    let everything = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    role(&rehearsal, DEV, "/service-role/", "pipes", json!({"Service": "codepipeline.amazonaws.com"}), everything.clone()).await;
    let hop = format!("InvalidStructureException: {SERVICE_ROLE} is not authorized to perform AssumeRole on role {DEPLOY_ROLE}");
    assert_eq!(told(create(ours()).await), hop);
    role(&rehearsal, PROD, "/", "deploy", json!({"AWS": SERVICE_ROLE}), everything).await;

    let missing = pipeline("web", deploy(&TARGET[..1], None));
    assert!(told(create(missing).await).contains("is missing required configuration 'Extract'"));
    let unknown = pipeline("web", deploy(&[TARGET[0], TARGET[1], ("extract", "x")], None));
    assert!(told(create(unknown).await).contains("contains unknown configuration 'extract'"));
    assert!(told(create(pipeline("we b", deploy(&TARGET, None))).await).starts_with("ValidationException: 1 validation error"));

    let tag = Tag::builder().key("a").value("b").build().unwrap();
    let made = client.create_pipeline().pipeline(ours()).tags(tag.clone()).send().await.unwrap();
    assert_eq!(made.pipeline().unwrap().version(), Some(1));
    assert!(told(create(ours()).await).starts_with("PipelineNameInUseException"));
    let got = client.get_pipeline().name("web").send().await.unwrap();
    let arn = got.metadata().unwrap().pipeline_arn().unwrap().to_owned();
    assert_eq!(arn, "arn:aws:codepipeline:us-east-1:111111111111:web");
    assert_eq!(client.list_tags_for_resource().resource_arn(&arn).send().await.unwrap().tags(), [tag]);
    let updated = client.update_pipeline().pipeline(got.pipeline().unwrap().clone()).send().await.unwrap();
    assert_eq!(updated.pipeline().unwrap().version(), Some(2));
    assert_eq!(client.get_pipeline().name("web").version(1).send().await.unwrap().pipeline().unwrap().version(), Some(1));
    assert!(told(client.get_pipeline().name("web").version(3).send().await).starts_with("PipelineVersionNotFoundException"));
    assert_eq!(client.list_pipelines().send().await.unwrap().pipelines().len(), 1);

    // The first run began when the pipeline was made, and found no bucket.
    let runs = client.list_pipeline_executions().pipeline_name("web").send().await.unwrap();
    let run = &runs.pipeline_execution_summaries()[0];
    assert_eq!(run.status().map(|status| status.as_str()), Some("Failed"));
    assert_eq!(run.trigger().and_then(|trigger| trigger.trigger_type()).map(|kind| kind.as_str()), Some("CreatePipeline"));
    let start = || client.start_pipeline_execution().name("web").client_request_token("token").send();
    let id = start().await.unwrap().pipeline_execution_id().unwrap().to_owned();
    assert_eq!(start().await.unwrap().pipeline_execution_id(), Some(id.as_str()));
    let filter = ActionExecutionFilter::builder().pipeline_execution_id(&id).build();
    let actions = client.list_action_executions().pipeline_name("web").filter(filter).send().await.unwrap();
    assert_eq!(actions.action_execution_details().len(), 1);
    let state = client.get_pipeline_state().name("web").send().await.unwrap();
    assert_eq!(state.stage_states()[0].latest_execution().unwrap().pipeline_execution_id(), id);
    assert!(state.stage_states()[1].latest_execution().is_none());
    client.delete_pipeline().name("web").send().await.unwrap();
    assert!(told(client.get_pipeline().name("web").send().await).starts_with("PipelineNotFoundException"));
}
