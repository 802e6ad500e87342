//! What is there before a set-up, and the set-up itself over a line that may go wrong.

use aws_sdk_codepipeline::types as pipelines;
use aws_sdk_iam::types::Tag;
use aws_sdk_s3::types as s3;
use serde_json::{Map, Value, json};
use std::sync::atomic::AtomicBool;
use xdeploy::aws::{Account, Accounts, Unverified};
use xdeploy::deploy::apply::{self, Manner};
use xdeploy::deploy::observe::{Organisations, Purpose, observe};
use xdeploy::deploy::plan::{Callers, Plan};
use xdeploy::deploy::snapshot::Snapshot;
use xdeploy::deploy::teardown::{look_back, undo};
use xdeploy::error::{Error, Result};
use xdeploy::model::{ChangeDetection, Policies, Side};
use xdeploy::rehearsal::{DEV, Line, PROD, Rehearsal};
use xdeploy::settings::{CommonFlags, DeploymentFlags, Settings};

use super::stage::HOME;

/// The pipeline of every scene.
pub const PIPELINE: &str = "crossaccountdeploy";
pub const SERVICE_ROLE: &str = "AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy";
pub const ARTIFACTS: &str = "codepipeline-us-east-1-999999999999";

/// Two accounts as a set-up finds them, and what it is asked for.
pub struct Scene {
    pub rehearsal: Rehearsal,
    pub settings: Settings,
    pub target: &'static str,
}

impl Scene {
    /// Input and output bucket and nothing else.
    pub async fn fresh(target: &'static str, policies: Policies) -> Scene {
        let rehearsal = Rehearsal::new("aws", HOME, target);
        let flags = DeploymentFlags { policies: Some(policies), ..DeploymentFlags::default() };
        let scene = Scene { settings: settings(flags), rehearsal, target };
        let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
        let input = accounts.dev.s3(HOME);
        input.create_bucket().bucket("in-bucket").send().await.unwrap();
        let on = s3::VersioningConfiguration::builder().status(s3::BucketVersioningStatus::Enabled).build();
        input.put_bucket_versioning().bucket("in-bucket").versioning_configuration(on).send().await.unwrap();
        let place = s3::CreateBucketConfiguration::builder().location_constraint(target.into()).build();
        let place = (target != HOME).then_some(place);
        let output = accounts.prod.s3(target);
        output.create_bucket().bucket("out-bucket").set_create_bucket_configuration(place).send().await.unwrap();
        scene
    }

    /// A pipeline that somebody made by hand, without the article's last steps, with others' statements in every document, and
    /// policies of ours that somebody changed.
    pub async fn adopting() -> Scene {
        let mut scene = Scene::fresh(HOME, Policies::Article).await;
        scene.settings = settings(DeploymentFlags {
            change_detection: Some(ChangeDetection::Eventbridge),
            deploy_role: "prods3role".parse().ok(),
            ..DeploymentFlags::default()
        });
        let Accounts { dev, prod } = scene.accounts(&scene.rehearsal.line()).await.unwrap();
        for account in [&dev, &prod] {
            account.iam().create_user().user_name("auditor").send().await.unwrap();
        }
        key_by_hand(&dev).await;
        bucket_by_hand(&dev).await;
        roles_by_hand(&dev, &prod).await;
        drifted(&dev, "assumeprods3role", 1).await;
        drifted(&prod, "outputbucketdeployaccess", 5).await;
        notification_by_hand(&dev).await;
        pipeline_by_hand(&dev).await;
        scene
    }

    /// Gives the same scene in a world of its own.
    pub fn fork(&self) -> Scene {
        Scene { rehearsal: self.rehearsal.fork(), settings: self.settings.clone(), target: self.target }
    }

    /// Asks both accounts over a line who is there.
    pub async fn accounts(&self, line: &Line) -> Result<Accounts> {
        let account = |side, id: &str, region: &str| {
            let config = line.config(self.rehearsal.keys(id), region);
            async move {
                Account::verified(side, "rehearsal", config).await.map_err(|error| match error {
                    Unverified::Asking(error) => Error::from(error),
                    Unverified::Answer(error) => error,
                })
            }
        };
        Ok(Accounts { dev: account(Side::Dev, DEV, HOME).await?, prod: account(Side::Prod, PROD, self.target).await? })
    }

    /// Reads what setup reads.
    pub async fn look(&self, accounts: &Accounts) -> Result<Snapshot> {
        observe(&accounts.dev, &accounts.prod, &self.settings, Purpose::Setup, Organisations::Never).await
    }

    /// Plans from what is there.
    pub async fn plan(&self, accounts: &Accounts) -> Result<Plan> {
        let callers = Callers { dev: accounts.dev.caller.to_string(), prod: accounts.prod.caller.to_string() };
        Plan::make(&self.settings, callers, self.look(accounts).await?, None)
    }

    /// Does what was planned.
    pub async fn apply(&self, accounts: &Accounts, plan: &Plan) -> Result<()> {
        let stop = AtomicBool::new(false);
        let manner = Manner { pipeline_arn: &plan.pipeline_arn(), wait_for_runs: false, listen: &|_| (), stop: &stop };
        apply::apply(accounts, plan.writes(), &manner).await.map(drop)
    }

    /// Sets up over a line, from the first call to the last write.
    pub async fn set_up(&self, line: &Line) -> Result<()> {
        let accounts = self.accounts(line).await?;
        let plan = self.plan(&accounts).await?;
        self.apply(&accounts, &plan).await
    }

    /// Tears down over a line, from the first call to the last write.
    pub async fn tear_down(&self, line: &Line) -> Result<()> {
        let accounts = self.accounts(line).await?;
        let there = observe(&accounts.dev, &accounts.prod, &self.settings, Purpose::Teardown, Organisations::Never).await?;
        let past = look_back(&accounts, &self.settings, &there).await?;
        let undo = undo(&self.settings, &there, &past, false)?;
        let stop = AtomicBool::new(false);
        let arn = there.dev.regional("codepipeline", HOME, self.settings.pipeline.as_str()).to_string();
        let manner = Manner { pipeline_arn: &arn, wait_for_runs: false, listen: &|_| (), stop: &stop };
        apply::apply(&accounts, &undo.writes, &manner).await.map(drop)
    }

    /// Has the keys that are to be deleted and still have an alias stay, as a refused set-up says.
    pub async fn keep_named_keys(&self, line: &Line) {
        let kms = self.accounts(line).await.unwrap().dev.kms(HOME);
        let aliases = kms.list_aliases().send().await.unwrap();
        for id in aliases.aliases().iter().filter_map(|alias| alias.target_key_id()) {
            if kms.cancel_key_deletion().key_id(id).send().await.is_ok() {
                kms.enable_key().key_id(id).send().await.unwrap();
            }
        }
    }

    /// Counts the keys that are to be deleted: nothing may use them, and the state leaves them out.
    pub fn keys_that_go(&self) -> usize {
        let dump = self.rehearsal.dump();
        let keys = dump["accounts"].as_object().unwrap().values().flat_map(|account| account["keys"].as_object().unwrap().values());
        keys.filter(|key| goes(key)).count()
    }

    /// Gives what both accounts hold, the same for every set-up that came to the same end.
    pub fn state(&self) -> Value {
        normal(&self.rehearsal.dump())
    }
}

fn settings(flags: DeploymentFlags) -> Settings {
    let common = CommonFlags { dev_profile: Some("d".into()), prod_profile: Some("p".into()), ..CommonFlags::default() };
    let flags = DeploymentFlags { input_bucket: "in-bucket".parse().ok(), output_bucket: "out-bucket".parse().ok(), ..flags };
    Settings::resolve(&common, &flags).unwrap()
}

pub fn document(statements: Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// The user that other people's statements are about.
pub fn auditor(account: &Account) -> String {
    account.iam_arn("user/auditor")
}

async fn key_by_hand(dev: &Account) {
    let policy = document(json!([
        {"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {"AWS": dev.iam_arn("root")}, "Action": "kms:*", "Resource": "*"},
        {"Sid": "Auditors", "Effect": "Allow", "Principal": {"AWS": auditor(dev)}, "Action": "kms:Decrypt", "Resource": "*"},
    ]));
    let made = dev.kms(HOME).create_key().description("made by hand").policy(policy).send().await.unwrap();
    let id = made.key_metadata().unwrap().key_id();
    dev.kms(HOME).create_alias().alias_name("alias/s3deploykey").target_key_id(id).send().await.unwrap();
}

async fn bucket_by_hand(dev: &Account) {
    let client = dev.s3(HOME);
    client.create_bucket().bucket(ARTIFACTS).send().await.unwrap();
    let objects = format!("arn:aws:s3:::{ARTIFACTS}/*");
    let policy = document(json!([
        {"Sid": "DenyInsecureConnections", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": objects,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Sid": "Auditors", "Effect": "Allow", "Principal": {"AWS": auditor(dev)}, "Action": "s3:GetObject", "Resource": objects},
    ]));
    client.put_bucket_policy().bucket(ARTIFACTS).policy(policy).send().await.unwrap();
    for bucket in [ARTIFACTS, "in-bucket"] {
        let tag = s3::Tag::builder().key("cost-center").value("7").build().unwrap();
        let tags = s3::Tagging::builder().tag_set(tag).build().unwrap();
        client.put_bucket_tagging().bucket(bucket).tagging(tags).send().await.unwrap();
    }
}

async fn roles_by_hand(dev: &Account, prod: &Account) {
    let trusted = |account: &Account, service: Value| {
        document(json!([
            {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"},
            {"Sid": "Auditors", "Effect": "Allow", "Principal": {"AWS": auditor(account)}, "Action": "sts:AssumeRole"},
        ]))
    };
    let iam = dev.iam();
    let trust = trusted(dev, json!({"Service": "codepipeline.amazonaws.com"}));
    iam.create_role().role_name(SERVICE_ROLE).path("/service-role/").assume_role_policy_document(trust).send().await.unwrap();
    let broad = document(json!([{"Effect": "Allow", "Action": "cloudwatch:*", "Resource": "*"}]));
    iam.put_role_policy().role_name(SERVICE_ROLE).policy_name("console").policy_document(&broad).send().await.unwrap();
    let ours = iam.put_role_policy().role_name(SERVICE_ROLE).policy_name(format!("xdeploy-{PIPELINE}"));
    ours.policy_document(&broad).send().await.unwrap();
    let trust = trusted(prod, json!({"Service": "ec2.amazonaws.com"}));
    let iam = prod.iam();
    iam.create_role().role_name("prods3role").assume_role_policy_document(trust).send().await.unwrap();
    iam.put_role_policy().role_name("prods3role").policy_name("theirs").policy_document(&broad).send().await.unwrap();
}

/// A policy with our tags and as many versions, none of which grants what it should.
async fn drifted(account: &Account, name: &str, versions: usize) {
    let arn = format!("arn:aws:codepipeline:{HOME}:{DEV}:{PIPELINE}");
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().unwrap();
    let version = |number: usize| document(json!([{"Effect": "Allow", "Action": format!("s3:Old{number}"), "Resource": "*"}]));
    let iam = account.iam();
    let make = iam.create_policy().policy_name(name).policy_document(version(1)).tags(tag("xdeploy:pipeline", PIPELINE));
    make.tags(tag("xdeploy:pipeline-arn", &arn)).send().await.unwrap();
    for number in 2..=versions {
        let make = iam.create_policy_version().policy_arn(account.iam_arn(&format!("policy/{name}")));
        make.policy_document(version(number)).set_as_default(true).send().await.unwrap();
    }
}

async fn notification_by_hand(dev: &Account) {
    let queue = s3::QueueConfiguration::builder().id("theirs").events(s3::Event::S3ObjectRemovedDelete);
    let queue = queue.queue_arn(format!("arn:aws:sqs:{HOME}:{DEV}:theirs")).build().unwrap();
    let put = dev.s3(HOME).put_bucket_notification_configuration().bucket("in-bucket").skip_destination_validation(true);
    put.notification_configuration(s3::NotificationConfiguration::builder().queue_configurations(queue).build()).send().await.unwrap();
}

async fn pipeline_by_hand(dev: &Account) {
    let kind = |category: pipelines::ActionCategory| {
        let kind = pipelines::ActionTypeId::builder().category(category).owner(pipelines::ActionOwner::Aws);
        kind.provider("S3").version("1").build().unwrap()
    };
    let source = pipelines::ActionDeclaration::builder().name("Source").action_type_id(kind(pipelines::ActionCategory::Source));
    let source = source.configuration("S3Bucket", "in-bucket").configuration("S3ObjectKey", "sample-website.zip");
    let source = source.configuration("PollForSourceChanges", "false");
    let source = source.output_artifacts(pipelines::OutputArtifact::builder().name("SourceArtifact").build().unwrap());
    let deploy = pipelines::ActionDeclaration::builder().name("Deploy").action_type_id(kind(pipelines::ActionCategory::Deploy));
    let deploy = deploy.configuration("BucketName", "out-bucket").configuration("Extract", "true");
    let deploy = deploy.input_artifacts(pipelines::InputArtifact::builder().name("SourceArtifact").build().unwrap());
    let stage = |name: &str, action: pipelines::ActionDeclaration| {
        pipelines::StageDeclaration::builder().name(name).actions(action).build().unwrap()
    };
    let store = pipelines::ArtifactStore::builder().r#type(pipelines::ArtifactStoreType::S3).location(ARTIFACTS).build().unwrap();
    let declared = pipelines::PipelineDeclaration::builder().name(PIPELINE).artifact_store(store);
    let declared = declared.role_arn(dev.iam_arn(&format!("role/service-role/{SERVICE_ROLE}")));
    let declared = declared.stages(stage("Source", source.build().unwrap())).stages(stage("Deploy", deploy.build().unwrap()));
    let tag = pipelines::Tag::builder().key("team").value("web").build().unwrap();
    dev.codepipeline(HOME).create_pipeline().pipeline(declared.build().unwrap()).tags(tag).send().await.unwrap();
}

/// Takes out what differs between two worlds that are the same: unique ids, times, numbers of versions, what history says.
pub fn normal(dump: &Value) -> Value {
    let mut text = without(dump).to_string();
    for (number, (id, label)) in key_ids(dump).iter().enumerate() {
        text = text.replace(id, &format!("{label}-{number}"));
    }
    serde_json::from_str(&text).unwrap()
}

/// Lists the ids of all keys, each with what names it: its region and its description, which no id decides the order of.
fn key_ids(dump: &Value) -> Vec<(String, String)> {
    let keys = dump["accounts"].as_object().unwrap().values().flat_map(|account| account["keys"].as_object().unwrap());
    let mut found: Vec<(String, String)> = keys
        .map(|(place, key)| {
            let (_, id) = place.split_once('/').unwrap();
            let label = if goes(key) { "~ A KEY THAT GOES".to_owned() } else { format!("KEY {}", key["description"].as_str().unwrap()) };
            (id.to_owned(), label)
        })
        .collect();
    found.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(&b.0)));
    found.dedup();
    found
}

fn goes(key: &Value) -> bool {
    key["state"].as_str().is_some_and(|state| state.starts_with("Pending"))
}

fn without(value: &Value) -> Value {
    let history = ["uniqueId", "executionId", "created", "updated", "started", "modified"];
    let members = |map: &Map<String, Value>| {
        let kept = map.iter().filter(|(_, value)| !(value.get("awsManaged").is_some() && goes(value)));
        let kept = kept.filter(|(name, _)| !history.contains(&name.as_str()));
        kept.map(|(name, value)| (name.clone(), without(value))).collect::<Map<_, _>>()
    };
    match value {
        Value::Object(map) if map.contains_key("default") && map.contains_key("versions") => {
            let mut policy = members(map);
            policy.insert("versions".to_owned(), map["versions"][map["default"].as_str().unwrap()].clone());
            policy.shift_remove("default");
            Value::Object(policy)
        }
        // A pipeline: what its newest version declares.
        Value::Object(map) if map.get("versions").is_some_and(Value::is_array) => {
            let mut pipeline = members(map);
            let mut declared = map["versions"].as_array().unwrap().last().unwrap().clone();
            declared.as_object_mut().unwrap().shift_remove("version");
            pipeline.insert("versions".to_owned(), declared);
            Value::Object(pipeline)
        }
        Value::Object(map) => {
            let mut members = members(map);
            // Attachments are a set, and so are the statements of a document.
            for name in ["attached", "Statement"] {
                if let Some(Value::Array(list)) = members.get_mut(name) {
                    list.sort_by_key(ToString::to_string);
                }
            }
            Value::Object(members)
        }
        Value::Array(list) => Value::Array(list.iter().map(without).collect()),
        other => other.clone(),
    }
}
