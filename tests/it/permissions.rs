//! What `xdeploy permissions` prints is enough, and none of it is too much: users who hold exactly that run the commands on the
//! rehearsal, which refuses what isn't allowed.

use crate::support::served::Served;
use crate::support::stage::{HOME, Stage};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};
use xdeploy::aws::{Account, Accounts};
use xdeploy::deploy::after::after;
use xdeploy::deploy::apply::{self, Manner};
use xdeploy::deploy::arrival;
use xdeploy::deploy::caller;
use xdeploy::deploy::failures::gather;
use xdeploy::deploy::observe::{Organisations, Purpose, means, observe, second_opinion};
use xdeploy::deploy::permissions::{Command, OPTIONAL, Scenario, permissions, policy};
use xdeploy::deploy::plan::{Callers, Plan};
use xdeploy::deploy::proof::{links, prove};
use xdeploy::deploy::release::{self, Source};
use xdeploy::deploy::snapshot::Snapshot;
use xdeploy::deploy::teardown::{look_back, undo};
use xdeploy::deploy::write::Artifact;
use xdeploy::deploy::zipfile;
use xdeploy::error::Error;
use xdeploy::model::{ChangeDetection, Policies, Side, Verdict};
use xdeploy::policy::{Decided, matches_pattern, simulate};
use xdeploy::rehearsal::{DEV, PROD, Rehearsal};
use xdeploy::settings::{CommonFlags, DeploymentFlags, Settings};

const NAME: &str = "crossaccountdeploy";
const CONSOLES_BUCKET: &str = "codepipeline-us-east-1-123456789012";
const EVERYTHING: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;

/// Neither account is in an organisation here, so that nobody has policies to ask for; and the callers are users without groups and
/// without inline policies.
const NEVER_ASKED: [&str; 6] = [
    "organizations:DescribePolicy",
    "organizations:ListPoliciesForTarget",
    "iam:GetUserPolicy",
    "iam:GetGroupPolicy",
    "iam:ListAttachedGroupPolicies",
    "iam:ListGroupPolicies",
];

/// Everything that an error says.
fn told(error: Error) -> String {
    [vec![error.message], error.causes, error.hints].concat().join("\n")
}

/// One world that a command is run in.
#[derive(Clone)]
struct World {
    rehearsal: Rehearsal,
    settings: Settings,
    target: &'static str,
    artifact: Option<Artifact>,
}

fn settings(scenario: Scenario, flags: DeploymentFlags) -> Settings {
    let common = CommonFlags {
        dev_profile: Some("d".into()),
        prod_profile: Some("p".into()),
        dev_account: DEV.parse().ok(),
        prod_account: PROD.parse().ok(),
        region: HOME.parse().ok(),
        prod_region: target(scenario).parse().ok(),
        ..CommonFlags::default()
    };
    let flags = DeploymentFlags { input_bucket: "in-bucket".parse().ok(), output_bucket: "out-bucket".parse().ok(), ..flags };
    Settings::resolve(&common, &flags).unwrap()
}

fn target(scenario: Scenario) -> &'static str {
    if scenario == Scenario::CrossRegion { "eu-west-1" } else { HOME }
}

impl World {
    async fn new(scenario: Scenario, flags: DeploymentFlags) -> World {
        let target = target(scenario);
        let stage = Stage::new(target).await;
        if scenario == Scenario::Adopt {
            console(&stage.accounts.dev).await;
        }
        if flags.create_buckets {
            stage.accounts.dev.s3(HOME).delete_bucket().bucket("in-bucket").send().await.unwrap();
            stage.accounts.prod.s3(target).delete_bucket().bucket("out-bucket").send().await.unwrap();
        }
        World { rehearsal: stage.rehearsal.clone(), settings: settings(scenario, flags), target, artifact: None }
    }

    fn copy(&self) -> World {
        World { rehearsal: self.rehearsal.fork(), ..self.clone() }
    }

    /// The accounts, worked in by users of this name who hold just these policies.
    async fn accounts(&self, name: &str, dev: &Value, prod: &Value) -> Accounts {
        let account = |side, id: &str, policy: &Value, region: &str| {
            let keys = self.rehearsal.hire(id, name, policy).unwrap();
            let config = self.rehearsal.config(keys, region);
            async move { Account::verified(side, "least", config).await.unwrap() }
        };
        Accounts { dev: account(Side::Dev, DEV, dev, HOME).await, prod: account(Side::Prod, PROD, prod, self.target).await }
    }

    async fn after_an_administrator_s(self, command: Command) -> World {
        let all: Value = serde_json::from_str(EVERYTHING).unwrap();
        run(&self, command, &self.accounts(&format!("who-{command}s"), &all, &all).await).await.unwrap();
        self
    }

    /// Runs a command in a copy of this world, and gives what was asked there and how it ended.
    async fn tried(&self, command: Command, dev: &Value, prod: &Value) -> (World, Result<(), String>) {
        let world = self.copy();
        let accounts = world.accounts("least", dev, prod).await;
        let outcome = run(&world, command, &accounts).await;
        (world, outcome)
    }

    /// What the two users asked for: account, action, resource, whether it was allowed.
    fn asked(&self) -> Vec<(String, String, String, bool)> {
        let own = |caller: &str| caller.ends_with(":user/least");
        let account = |caller: &str| caller.split(':').nth(4).unwrap().to_owned();
        let log = self.rehearsal.log();
        let calls = log.iter().filter(|call| own(&call.caller));
        calls.map(|call| (account(&call.caller), call.action.clone(), call.resource.clone(), call.verdict == Decided::Allowed)).collect()
    }
}

async fn run(world: &World, command: Command, accounts: &Accounts) -> Result<(), String> {
    match command {
        Command::Setup => setup(world, accounts).await,
        Command::Plan => planned(world, accounts).await,
        Command::Verify => verify(world, accounts).await,
        Command::Release => released(world, accounts).await,
        Command::Explain => explained(world, accounts).await,
        Command::Teardown => torn_down(world, accounts).await,
    }
}

/// As `cli/setup.rs` does it: reads, plans, proves, applies, reads again and proves again.
async fn setup(world: &World, accounts: &Accounts) -> Result<(), String> {
    let settings = &world.settings;
    let purpose = if world.artifact.is_some() { Purpose::WithArtifact } else { Purpose::Setup };
    let snapshot = observe(&accounts.dev, &accounts.prod, settings, purpose, Organisations::OfExisting).await.map_err(told)?;
    let callers = Callers { dev: accounts.dev.caller.to_string(), prod: accounts.prod.caller.to_string() };
    let plan = Plan::make(settings, callers, snapshot, world.artifact.clone()).map_err(told)?;
    let arn = plan.pipeline_arn();
    let before = prove(settings, &after(plan.snapshot(), plan.writes(), &arn)).map_err(told)?.unwrap();
    assert_ne!(before.verdict(), Verdict::Denied, "{:#?}", before.broken().collect::<Vec<_>>());
    agreed(accounts, plan.snapshot(), plan.writes(), &arn).await?;
    let there = observe(&accounts.dev, &accounts.prod, settings, Purpose::Setup, Organisations::Always).await.map_err(told)?;
    let proof = prove(settings, &there).map_err(told)?.unwrap();
    if proof.verdict() > before.verdict() { Err(format!("{:#?}", proof.broken().collect::<Vec<_>>())) } else { Ok(()) }
}

/// As `cli/plan.rs` does it.
async fn planned(world: &World, accounts: &Accounts) -> Result<(), String> {
    let settings = &world.settings;
    let snapshot = observe(&accounts.dev, &accounts.prod, settings, Purpose::Setup, Organisations::Always).await.map_err(told)?;
    let callers = Callers { dev: accounts.dev.caller.to_string(), prod: accounts.prod.caller.to_string() };
    let plan = Plan::make(settings, callers, snapshot, None).map_err(told)?;
    means(accounts, plan.snapshot(), plan.writes()).await;
    let proof = prove(settings, &after(plan.snapshot(), plan.writes(), &plan.pipeline_arn())).map_err(told)?.unwrap();
    if proof.verdict() != Verdict::Denied { Ok(()) } else { Err(format!("{:#?}", proof.broken().collect::<Vec<_>>())) }
}

/// Applies, and holds what was judged of the callers before against what the accounts then said.
async fn agreed(accounts: &Accounts, snapshot: &Snapshot, writes: &[xdeploy::deploy::write::Write], arn: &str) -> Result<(), String> {
    let callers = means(accounts, snapshot, writes).await.callers;
    let judged = caller::judge(writes, snapshot, &callers, arn);
    let outcome = applied(accounts, writes, arn).await;
    assert!(judged.denied.is_empty() || outcome.is_err(), "judged denied, and done: {:#?}", judged.denied);
    let denied = outcome.as_ref().is_err_and(|error| error.contains("not authorized") || error.contains("AccessDenied"));
    assert!(!denied || !judged.denied.is_empty() || !judged.unknown.is_empty(), "denied, and judged allowed: {outcome:?}");
    outcome
}

async fn applied(accounts: &Accounts, writes: &[xdeploy::deploy::write::Write], arn: &str) -> Result<(), String> {
    let stop = AtomicBool::new(false);
    let manner = Manner { pipeline_arn: arn, wait_for_runs: false, listen: &|_| (), stop: &stop };
    apply::apply(accounts, writes, &manner).await.map(drop).map_err(told)
}

/// As `cli/verify.rs` does it, with `--second-opinion`.
async fn verify(world: &World, accounts: &Accounts) -> Result<(), String> {
    let settings = &world.settings;
    let there = observe(&accounts.dev, &accounts.prod, settings, Purpose::Setup, Organisations::Always).await.map_err(told)?;
    let proof = prove(settings, &there).map_err(told)?.unwrap();
    second_opinion(accounts, &links(settings, &there).unwrap()).await;
    if proof.verdict() == Verdict::Allowed { Ok(()) } else { Err(format!("{:#?}", proof.broken().collect::<Vec<_>>())) }
}

/// As `cli/release.rs` does it.
async fn released(world: &World, accounts: &Accounts) -> Result<(), String> {
    let route = release::route(accounts, &world.settings).await.map_err(told)?;
    let bytes = release::sample().unwrap();
    let wanted = route.keys(Some(&zipfile::check_bytes(&bytes).unwrap()));
    let version = release::upload(accounts, &route, &Source::Sample(bytes)).await.map_err(told)?;
    let (id, _) = release::find_or_start(accounts, &route, &version, Duration::ZERO).await.map_err(told)?;
    let outcome = release::follow(accounts, &route, &id, Duration::from_secs(5), &|_| ()).await.map_err(told)?;
    assert_eq!(outcome.status, "Succeeded", "{outcome:#?}");
    let arrival = arrival::arrival(accounts, &route, &wanted, SystemTime::UNIX_EPOCH).await.map_err(told)?;
    assert_eq!((arrival.objects.len(), arrival.missing.len()), (4, 0));
    Ok(())
}

/// As `cli/explain` does it; without the proof it would have the text alone.
async fn explained(world: &World, accounts: &Accounts) -> Result<(), String> {
    let route = release::route(accounts, &world.settings).await.map_err(told)?;
    let runs = gather::runs(accounts, &route, None, None).await.map_err(told)?;
    let there = observe(&accounts.dev, &accounts.prod, &world.settings, Purpose::Setup, Organisations::Always).await.map_err(told)?;
    let proof = prove(&world.settings, &there).map_err(told)?.unwrap();
    gather::readings(accounts, &route, &there, &runs).await;
    if proof.verdict() == Verdict::Allowed { Ok(()) } else { Err(format!("{:#?}", proof.broken().collect::<Vec<_>>())) }
}

/// As `cli/teardown.rs` does it.
async fn torn_down(world: &World, accounts: &Accounts) -> Result<(), String> {
    let settings = &world.settings;
    let there = observe(&accounts.dev, &accounts.prod, settings, Purpose::Teardown, Organisations::Never).await.map_err(told)?;
    let past = look_back(accounts, settings, &there).await.map_err(told)?;
    let undo = undo(settings, &there, &past, false).map_err(told)?;
    apply::quiet(&accounts.dev, HOME, settings.pipeline.as_str(), false, &AtomicBool::new(false), |_, _| ()).await.map_err(told)?;
    agreed(accounts, &there, &undo.writes, &there.dev.regional("codepipeline", HOME, settings.pipeline.as_str())).await
}

fn trust(service: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})
    .to_string()
}

/// Makes what the console makes (facts B.1 to B.3), and the start is CloudTrail's.
async fn console(dev: &Account) {
    let (iam, s3) = (dev.iam(), dev.s3(HOME));
    let service = format!("AWSCodePipelineServiceRole-{HOME}-{NAME}");
    let objects = format!("arn:aws:s3:::{CONSOLES_BUCKET}/*");
    let baseline = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"], "Resource": [objects]}]});
    let pipeline = format!("arn:aws:codepipeline:{HOME}:{DEV}:{NAME}");
    let start = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "codepipeline:StartPipelineExecution", "Resource": pipeline}]});
    let event = format!("cwe-role-{HOME}-{NAME}");
    for (role, principal, policy, document) in [
        (&service, "codepipeline.amazonaws.com", service.clone(), baseline),
        (&event, "events.amazonaws.com", format!("start-pipeline-execution-{HOME}-{NAME}"), start),
    ] {
        let made = iam.create_policy().policy_name(policy).path("/service-role/").policy_document(document.to_string());
        let arn = made.send().await.unwrap().policy().unwrap().arn().unwrap().to_owned();
        let made = iam.create_role().role_name(role).path("/service-role/").assume_role_policy_document(trust(principal));
        made.send().await.unwrap();
        iam.attach_role_policy().role_name(role).policy_arn(arn).send().await.unwrap();
    }
    s3.create_bucket().bucket(CONSOLES_BUCKET).send().await.unwrap();
    let denies = json!({"Version": "2012-10-17", "Id": "SSEAndSSLPolicy", "Statement": [
        {"Sid": "DenyUnEncryptedObjectUploads", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": objects,
            "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}},
        {"Sid": "DenyInsecureConnections", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": objects,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]});
    s3.put_bucket_policy().bucket(CONSOLES_BUCKET).policy(denies.to_string()).send().await.unwrap();
    make_pipeline(dev, HOME, NAME, &format!("arn:aws:iam::{DEV}:role/service-role/{service}"), CONSOLES_BUCKET).await;
    let events = dev.events(HOME);
    let pattern = json!({"source": ["aws.s3"], "detail-type": ["AWS API Call via CloudTrail"], "detail": {
        "eventSource": ["s3.amazonaws.com"], "eventName": ["PutObject", "CompleteMultipartUpload", "CopyObject"],
        "requestParameters": {"bucketName": ["in-bucket"], "key": ["sample-website.zip"]}}});
    events.put_rule().name("codepipeline-source-rule").event_pattern(pattern.to_string()).send().await.unwrap();
    let role = format!("arn:aws:iam::{DEV}:role/service-role/{event}");
    let target = aws_sdk_eventbridge::types::Target::builder().id("codepipeline").arn(&pipeline).role_arn(role).build().unwrap();
    events.put_targets().rule("codepipeline-source-rule").targets(target).send().await.unwrap();
}

async fn make_pipeline(dev: &Account, region: &str, name: &str, role: &str, artifacts: &str) {
    use aws_sdk_codepipeline::types::{
        ActionCategory, ActionDeclaration, ActionOwner, ActionTypeId, ArtifactStore, ArtifactStoreType, InputArtifact, OutputArtifact,
        PipelineDeclaration, PipelineType, StageDeclaration,
    };
    let action = |name: &str, category: ActionCategory| {
        let kind = ActionTypeId::builder().category(category).owner(ActionOwner::Aws).provider("S3").version("1").build().unwrap();
        ActionDeclaration::builder().name(name).action_type_id(kind)
    };
    let source = action("Source", ActionCategory::Source)
        .configuration("S3Bucket", "in-bucket")
        .configuration("S3ObjectKey", "sample-website.zip")
        .configuration("PollForSourceChanges", "false")
        .output_artifacts(OutputArtifact::builder().name("SourceArtifact").build().unwrap());
    let deploy = action("Deploy", ActionCategory::Deploy)
        .configuration("BucketName", "out-bucket")
        .configuration("Extract", "true")
        .input_artifacts(InputArtifact::builder().name("SourceArtifact").build().unwrap());
    let stage = |name: &str, action: aws_sdk_codepipeline::types::builders::ActionDeclarationBuilder| {
        StageDeclaration::builder().name(name).actions(action.build().unwrap()).build().unwrap()
    };
    let store = ArtifactStore::builder().r#type(ArtifactStoreType::S3).location(artifacts).build().unwrap();
    let pipeline = PipelineDeclaration::builder()
        .name(name)
        .role_arn(role)
        .artifact_store(store)
        .pipeline_type(PipelineType::V2)
        .stages(stage("Source", source))
        .stages(stage("Deploy", deploy));
    dev.codepipeline(region).create_pipeline().pipeline(pipeline.build().unwrap()).send().await.unwrap();
}

async fn administrator(world: &World) -> Account {
    Account::verified(Side::Dev, "d", world.rehearsal.config(world.rehearsal.keys(DEV), HOME)).await.unwrap()
}

/// A pipeline of somebody else's in each region.
async fn other_pipelines(world: &World) {
    let dev = administrator(world).await;
    let role = format!("arn:aws:iam::{DEV}:role/service-role/AWSCodePipelineServiceRole-{HOME}-{NAME}");
    for region in BTreeSet::from([HOME, world.target]) {
        let artifacts = format!("their-artifacts-{region}");
        world.rehearsal.make_bucket(DEV, region, &artifacts, false).await.unwrap();
        make_pipeline(&dev, region, "theirs", &role, &artifacts).await;
    }
}

/// Somebody else's statement in each key's policy.
async fn share_keys(world: &World) {
    let dev = administrator(world).await;
    for region in BTreeSet::from([HOME, world.target]) {
        let kms = dev.kms(region);
        let key = kms
            .describe_key()
            .key_id(world.settings.key_alias_or_default())
            .send()
            .await
            .unwrap()
            .key_metadata()
            .unwrap()
            .key_id()
            .to_owned();
        let policy = kms.get_key_policy().key_id(&key).send().await.unwrap().policy().unwrap().to_owned();
        let mut policy: Value = serde_json::from_str(&policy).unwrap();
        let theirs = json!({"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{DEV}:root")},
            "Action": "kms:Decrypt", "Resource": "*"});
        policy["Statement"].as_array_mut().unwrap().push(theirs);
        kms.put_key_policy().key_id(&key).policy(policy.to_string()).send().await.unwrap();
    }
}

/// The worlds in which a command may find itself, of which each right is needed in one at least.
async fn worlds(command: Command, scenario: Scenario, flags: &DeploymentFlags) -> Vec<World> {
    let made = World::new(scenario, flags.clone()).await;
    if command == Command::Setup {
        return vec![made];
    }
    let there = made.after_an_administrator_s(Command::Setup).await;
    match command {
        // A plan is made before and after, of what is there and of what isn't.
        Command::Plan => vec![World::new(scenario, flags.clone()).await, there],
        // Empty artifact buckets go, others are left; so are keys in whose policy others have a part.
        Command::Teardown => {
            other_pipelines(&there).await;
            let shared = there.copy();
            share_keys(&shared).await;
            vec![there.copy(), there.after_an_administrator_s(Command::Release).await, shared]
        }
        // A run that failed is explained, and what a green one left is looked at.
        Command::Explain => vec![there.copy(), there.after_an_administrator_s(Command::Release).await],
        // What nothing starts is started by the release.
        Command::Release if scenario != Scenario::Adopt => {
            let quiet = DeploymentFlags { change_detection: Some(ChangeDetection::None), ..flags.clone() };
            vec![there, World::new(scenario, quiet).await.after_an_administrator_s(Command::Setup).await]
        }
        _ => vec![there],
    }
}

/// The policy of each side.
fn printed(settings: &Settings, command: Command, scenario: Scenario, artifact: bool, required_only: bool) -> [Value; 2] {
    let all = permissions(settings, command, scenario, artifact).unwrap();
    [Side::Dev, Side::Prod].map(|side| {
        let of_side: Vec<_> = all.iter().filter(|right| right.side == side).cloned().collect();
        policy(&of_side, required_only)
    })
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Every action of a policy on each of its resources.
fn pairs(policy: &Value) -> Vec<(String, String)> {
    let statements = policy["Statement"].as_array().unwrap();
    let of = |statement: &Value| {
        let actions: Vec<String> = strings(&statement["Action"]).into_iter().map(str::to_owned).collect();
        let resources: Vec<String> = strings(&statement["Resource"]).into_iter().map(str::to_owned).collect();
        actions.into_iter().flat_map(move |action| resources.clone().into_iter().map(move |resource| (action.clone(), resource)))
    };
    statements.iter().flat_map(of).collect()
}

/// The policy without each of its required actions, one at a time, with that action.
fn weaker(policy: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (at, statement) in policy["Statement"].as_array().unwrap().iter().enumerate() {
        if statement["Sid"].as_str().unwrap().starts_with(OPTIONAL) {
            continue;
        }
        for action in strings(&statement["Action"]) {
            let mut weaker = policy.clone();
            let all = weaker["Statement"].as_array_mut().unwrap();
            for (other, there) in all.iter_mut().enumerate() {
                // An optional read may name more of the same.
                let wider = strings(&there["Resource"])
                    .iter()
                    .any(|wide| strings(&statement["Resource"]).iter().any(|narrow| matches_pattern(wide, narrow)));
                if other == at || there["Sid"].as_str().unwrap().starts_with(OPTIONAL) && wider {
                    there["Action"].as_array_mut().unwrap().retain(|own| own != action);
                }
            }
            all.retain(|statement| statement["Action"] != json!([]));
            found.push((format!("{action} of {}", statement["Sid"].as_str().unwrap()), weaker));
        }
    }
    found
}

/// What is tried.
#[derive(Clone)]
struct Trial {
    command: Command,
    scenario: Scenario,
    /// What the command is told.
    flags: DeploymentFlags,
    /// What is printed is told as much, or less.
    printed: [Value; 2],
    least: [Value; 2],
    worlds: Vec<World>,
}

impl Trial {
    async fn new(command: Command, scenario: Scenario, flags: DeploymentFlags) -> Trial {
        let told = settings(scenario, flags.clone());
        let print = |required_only| printed(&told, command, scenario, false, required_only);
        let worlds = worlds(command, scenario, &flags).await;
        Trial { command, scenario, printed: print(false), least: print(true), flags, worlds }
    }

    fn what(&self) -> String {
        format!("{} {:?} {:?}", self.command, self.scenario, self.flags)
    }

    /// Who holds what is printed gets through with nothing denied, and also without the optional reads; and each right is asked for.
    async fn is_enough_and_asked_for(&self) {
        let [dev, prod] = &self.printed;
        let mut asked = BTreeSet::new();
        for world in &self.worlds {
            let (world, outcome) = world.tried(self.command, dev, prod).await;
            assert_eq!(outcome, Ok(()), "{}", self.what());
            let denied: Vec<_> = world.asked().into_iter().filter(|(.., allowed)| !allowed).collect();
            assert!(denied.is_empty(), "{}: {denied:#?}", self.what());
            asked.extend(world.asked().into_iter().map(|(account, action, resource, _)| (account, action, resource)));
        }
        assert!(asked.iter().all(|(_, action, _)| !NEVER_ASKED.contains(&action.as_str())), "an exception that is none");
        for (account, policy) in [(DEV, dev), (PROD, prod)] {
            // A caller that is a role is asked for its inline policies; these are users.
            let spare = |(action, resource): &(String, String)| {
                let is_asked = asked.iter().any(|(own, was, on)| own == account && was == action && matches_pattern(resource, on));
                let of_a_role = action == "iam:GetRolePolicy" && resource.ends_with(":role/*");
                !is_asked && !of_a_role && !NEVER_ASKED.contains(&action.as_str())
            };
            let spare: Vec<_> = pairs(policy).into_iter().filter(spare).collect();
            assert!(spare.is_empty(), "nobody asks for this: {} {account} {spare:#?}", self.what());
        }
        for world in &self.worlds {
            assert_eq!(world.tried(self.command, &self.least[0], &self.least[1]).await.1, Ok(()), "{}", self.what());
        }
    }

    /// Takes each required action away, those that are meant, and gives how many were.
    async fn each_is_needed(&self, meant: impl Fn(&str) -> bool) -> usize {
        let [dev, prod] = &self.printed;
        let without = weaker(dev).into_iter().map(|(what, dev)| (what, dev, prod.clone()));
        let without = without.chain(weaker(prod).into_iter().map(|(what, prod)| (what, dev.clone(), prod)));
        let without: Vec<_> = without.filter(|(what, ..)| meant(what)).collect();
        let mut wrong = Vec::new();
        for (what, dev, prod) in &without {
            let action = what.split(' ').next().unwrap();
            let mut failed = None;
            for world in &self.worlds {
                failed = world.tried(self.command, dev, prod).await.1.err();
                if failed.is_some() {
                    break;
                }
            }
            match failed {
                None => wrong.push(format!("{what} is not needed")),
                Some(error) if !error.contains(action) => wrong.push(format!("{what}: the error doesn't name it: {error}")),
                Some(_) => {}
            }
        }
        assert!(wrong.is_empty(), "{}: {wrong:#?}", self.what());
        without.len()
    }
}

/// Every command in one scenario, a test each, so that they run side by side.
macro_rules! each_right_is_needed {
    ($($name:ident: $command:ident, $scenario:ident;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let started = Instant::now();
                let trial = Trial::new(Command::$command, Scenario::$scenario, DeploymentFlags::default()).await;
                trial.is_enough_and_asked_for().await;
                let count = trial.each_is_needed(|_| true).await;
                let what = (Command::$command, Scenario::$scenario);
                println!("{what:?}: each of {count} required actions was missed when it was taken away ({:.1?})", started.elapsed());
            }
        )*
    };
}

each_right_is_needed! {
    setup_fresh: Setup, Fresh;
    setup_adopt: Setup, Adopt;
    setup_cross_region: Setup, CrossRegion;
    plan_fresh: Plan, Fresh;
    plan_adopt: Plan, Adopt;
    plan_cross_region: Plan, CrossRegion;
    verify_fresh: Verify, Fresh;
    verify_adopt: Verify, Adopt;
    verify_cross_region: Verify, CrossRegion;
    release_fresh: Release, Fresh;
    release_adopt: Release, Adopt;
    release_cross_region: Release, CrossRegion;
    explain_fresh: Explain, Fresh;
    explain_adopt: Explain, Adopt;
    explain_cross_region: Explain, CrossRegion;
    teardown_fresh: Teardown, Fresh;
    teardown_adopt: Teardown, Adopt;
    teardown_cross_region: Teardown, CrossRegion;
}

/// What other flags make of a setup.
#[tokio::test]
async fn flags_of_setup_change_its_permissions() {
    let set_ups = [
        DeploymentFlags { create_buckets: true, enable_versioning: true, ..DeploymentFlags::default() },
        DeploymentFlags { change_detection: Some(ChangeDetection::Polling), ..DeploymentFlags::default() },
        DeploymentFlags { policies: Some(Policies::LeastPrivilege), key_alias: "own".parse().ok(), ..DeploymentFlags::default() },
    ];
    for flags in set_ups {
        for command in [Command::Setup, Command::Teardown] {
            let trial = Trial::new(command, Scenario::Fresh, flags.clone()).await;
            trial.is_enough_and_asked_for().await;
            if flags.create_buckets {
                assert!(trial.each_is_needed(|what| what.ends_with(" of InputBucket") || what.ends_with(" of OutputBucket")).await > 10);
            }
        }
    }
    Trial::new(Command::Setup, Scenario::CrossRegion, DeploymentFlags { create_buckets: true, ..DeploymentFlags::default() })
        .await
        .is_enough_and_asked_for()
        .await;
}

/// Whoever isn't the key's administrator needs IAM's leave for everything that is done to it. Time passes by itself: a call on a new
/// key that is denied is tried until AWS must have seen its tags.
#[tokio::test(start_paused = true)]
async fn setup_with_another_key_administrator() {
    let administrator = format!("arn:aws:iam::{DEV}:user/caller");
    let flags = DeploymentFlags { key_administrator: vec![administrator], ..DeploymentFlags::default() };
    let trial = Trial::new(Command::Setup, Scenario::Fresh, flags).await;
    trial.is_enough_and_asked_for().await;
    assert_eq!(trial.each_is_needed(|what| what.rsplit(' ').next().unwrap().contains("Keys")).await, 8);
}

/// A role that keeps a set-up makes it, and changes it more often than IAM keeps versions, without being the key's administrator.
#[tokio::test]
async fn a_change_needs_no_more_than_is_printed() {
    let article = DeploymentFlags::default;
    let least = || DeploymentFlags { policies: Some(Policies::LeastPrivilege), ..article() };
    let polling = || DeploymentFlags { change_detection: Some(ChangeDetection::Polling), ..article() };
    let elsewhere = || DeploymentFlags { deploy_path: Some("site".to_owned()), deploy_encrypts_with_dev_key: true, ..article() };
    for scenario in [Scenario::Fresh, Scenario::CrossRegion] {
        let of_another = DeploymentFlags { key_administrator: vec![format!("arn:aws:iam::{DEV}:user/caller")], ..article() };
        let first = Box::pin(World::new(scenario, of_another)).await;
        let [dev, prod] = printed(&settings(scenario, article()), Command::Setup, Scenario::Change, false, true);
        let accounts = first.accounts("keeper", &dev, &prod).await;
        Box::pin(run(&first, Command::Setup, &accounts)).await.unwrap();
        for flags in [least(), article(), polling(), elsewhere(), least(), elsewhere(), least(), article(), least(), polling()] {
            let what = format!("{scenario:?} {flags:?}");
            let world = World { settings: settings(scenario, flags), ..first.clone() };
            Box::pin(run(&world, Command::Setup, &accounts)).await.unwrap_or_else(|why| panic!("{what}: {why}"));
        }
        // What somebody undid is put back.
        let all: Value = serde_json::from_str(EVERYTHING).unwrap();
        let other = first.accounts("vandal", &all, &all).await;
        let nobody = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole"}]});
        let iam = other.prod.iam();
        iam.update_assume_role_policy().role_name("prods3role").policy_document(nobody.to_string()).send().await.unwrap();
        Box::pin(run(&first, Command::Setup, &accounts)).await.unwrap();
        let log = first.rehearsal.log();
        let done = |action: &str| log.iter().any(|call| call.caller.ends_with("user/keeper") && call.action == action);
        for action in ["iam:DeletePolicyVersion", "iam:UpdateAssumeRolePolicy", "codepipeline:UpdatePipeline", "events:DeleteRule"] {
            assert!(done(action), "{action}");
        }
    }
}

/// What a policy says of an action that is asked for without anything that a condition wants.
fn decision(policy: &Value, account: &str, action: &str, resource: &str) -> String {
    let resource = if resource == "*" { "*".to_owned() } else { resource.replace('*', "x") };
    let root = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:*", "Resource": "*"}]});
    let mut request = json!({"id": 1, "principal": format!("arn:aws:iam::{account}:user/least"), "action": action, "resource": resource,
        "resourceAccount": account, "context": {}, "identityPolicies": policy});
    if resource.contains(":key/") {
        request["resourcePolicy"] = root;
    }
    simulate(&request)["decision"].as_str().unwrap().to_owned()
}

/// What a condition keeps out, no other statement lets in.
#[test]
fn no_condition_is_void_beside_a_wider_statement() {
    let boundaries = [DEV, PROD].map(|account| format!("arn:aws:iam::{account}:policy/limits").parse().unwrap());
    let all_flags = [
        DeploymentFlags::default(),
        DeploymentFlags { permissions_boundary: boundaries.to_vec(), create_buckets: true, ..DeploymentFlags::default() },
        DeploymentFlags { key_administrator: vec![format!("arn:aws:iam::{DEV}:user/caller")], ..DeploymentFlags::default() },
    ];
    let commands = [Command::Setup, Command::Plan, Command::Verify, Command::Release, Command::Explain, Command::Teardown];
    let scenarios = [Scenario::Fresh, Scenario::Adopt, Scenario::CrossRegion, Scenario::Change];
    let (mut conditioned, mut wrong) = (BTreeSet::new(), BTreeSet::new());
    for (command, scenario, flags) in
        commands.iter().flat_map(|command| scenarios.iter().flat_map(|scenario| all_flags.iter().map(|flags| (*command, *scenario, flags))))
    {
        let told = settings(scenario, flags.clone());
        for (account, policy) in [DEV, PROD].iter().zip(printed(&told, command, scenario, true, false)) {
            for (at, statement) in policy["Statement"].as_array().unwrap().iter().enumerate() {
                if statement.get("Condition").is_none() {
                    continue;
                }
                let mut open = policy.clone();
                open["Statement"][at].as_object_mut().unwrap().shift_remove("Condition");
                for (action, resource) in pairs(&json!({"Statement": [statement]})) {
                    let what = format!("{command} {scenario:?} {account}: {action} on {resource}");
                    assert_eq!(decision(&open, account, &action, &resource), "allowed", "{what}");
                    if decision(&policy, account, &action, &resource) != "implicitly-denied" {
                        wrong.insert(what);
                    }
                    conditioned.insert(action);
                }
            }
            // Whoever may give any key another policy, our tag, or a replica, can use it.
            for (action, resource) in pairs(&policy) {
                let opens =
                    ["kms:PutKeyPolicy", "kms:TagResource", "kms:ReplicateKey", "kms:ScheduleKeyDeletion"].contains(&action.as_str());
                if opens && decision(&policy, account, &action, &resource) == "allowed" {
                    wrong.insert(format!("{command} {scenario:?} {account}: any key may have {action}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let expected = [
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:CreateServiceLinkedRole",
        "iam:DetachRolePolicy",
        "iam:PassRole",
        "kms:CreateKey",
        "kms:PutKeyPolicy",
        "kms:ReplicateKey",
        "kms:ScheduleKeyDeletion",
        "kms:TagResource",
    ];
    assert_eq!(conditioned.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

/// A policy in each account, to be the permissions boundary of the roles that are made.
async fn bounded() -> (DeploymentFlags, World) {
    let flags = DeploymentFlags {
        permissions_boundary: [DEV, PROD].map(|account| format!("arn:aws:iam::{account}:policy/limits").parse().unwrap()).to_vec(),
        ..DeploymentFlags::default()
    };
    let world = World::new(Scenario::Fresh, flags.clone()).await;
    for account in [DEV, PROD] {
        let iam = aws_sdk_iam::Client::new(&world.rehearsal.config(world.rehearsal.keys(account), HOME));
        iam.create_policy().policy_name("limits").policy_document(EVERYTHING).send().await.unwrap();
    }
    (flags, world)
}

#[tokio::test]
async fn every_role_that_setup_makes_has_the_permissions_boundary() {
    let (flags, world) = bounded().await;
    let told = settings(Scenario::Fresh, flags.clone());
    let print = |required_only| printed(&told, Command::Setup, Scenario::Fresh, false, required_only);
    let (command, scenario) = (Command::Setup, Scenario::Fresh);
    let trial = Trial { command, scenario, printed: print(false), least: print(true), flags, worlds: vec![world] };
    trial.is_enough_and_asked_for().await;
    assert_eq!(trial.each_is_needed(|what| what.starts_with("iam:CreateRole ")).await, 3);
    let [dev, prod] = &trial.printed;
    let (made, outcome) = trial.worlds[0].tried(Command::Setup, dev, prod).await;
    assert_eq!(outcome, Ok(()));
    let dump = made.rehearsal.dump();
    for (account, count) in [(DEV, 2), (PROD, 1)] {
        let roles = dump["accounts"][account]["roles"].as_object().unwrap();
        let limits = json!(format!("arn:aws:iam::{account}:policy/limits"));
        assert!(roles.len() == count && roles.values().all(|role| role["boundary"] == limits), "{roles:#?}");
    }
    // Without the boundary the same permissions make no role.
    let unlimited = World { settings: settings(Scenario::Fresh, DeploymentFlags::default()), ..trial.worlds[0].copy() };
    let denied = run(&unlimited, Command::Setup, &unlimited.accounts("unlimited", dev, prod).await).await.unwrap_err();
    assert!(denied.contains("iam:CreateRole"), "{denied}");
}

/// An upload from within setup.
#[tokio::test]
async fn setup_with_an_artifact() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.zip");
    std::fs::write(&file, release::sample().unwrap()).unwrap();
    let (size, sha256) = zipfile::fingerprint(&file).unwrap();
    let mut trial = Trial::new(Command::Setup, Scenario::Fresh, DeploymentFlags::default()).await;
    trial.worlds[0].artifact = Some(Artifact { file: file.display().to_string(), size, sha256 });
    let told = settings(Scenario::Fresh, DeploymentFlags::default());
    trial.printed = printed(&told, Command::Setup, Scenario::Fresh, true, false);
    trial.least = printed(&told, Command::Setup, Scenario::Fresh, true, true);
    trial.is_enough_and_asked_for().await;
    assert_eq!(trial.each_is_needed(|what| what.starts_with("s3:PutObject ")).await, 1);
}

/// Who says nothing gets a policy that is wide, and enough.
#[tokio::test]
async fn what_is_not_said_is_a_star() {
    let long = "a-pipeline-with-a-name-that-no-role-can-hold-as-a-whole-and-no-rule";
    for pipeline in [NAME, long] {
        let flags = DeploymentFlags { pipeline: pipeline.parse().ok(), ..DeploymentFlags::default() };
        let common = CommonFlags { dev_profile: Some("d".into()), prod_profile: Some("p".into()), ..CommonFlags::default() };
        let nothing = Settings::resolve(&common, &flags).unwrap();
        for scenario in [Scenario::Fresh, Scenario::CrossRegion] {
            let mut trial = Trial::new(Command::Setup, scenario, flags.clone()).await;
            trial.printed = printed(&nothing, Command::Setup, scenario, false, false);
            trial.least = printed(&nothing, Command::Setup, scenario, false, true);
            let text = trial.printed[0].to_string() + &trial.printed[1].to_string();
            assert!(!text.contains(DEV) && !text.contains(HOME) && !text.contains("**"), "{text}");
            trial.is_enough_and_asked_for().await;
        }
    }
}

fn permissions_of(args: &[&str]) -> std::process::Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_xdeploy"));
    command.arg("permissions").args(args).current_dir(folder.path()).env_clear().output().unwrap()
}

/// The policy that the program prints for a command in the served accounts.
fn policy_for(command: &str, side: &str) -> Value {
    let known =
        ["--dev-account", DEV, "--prod-account", PROD, "--region", HOME, "--input-bucket", "in-bucket", "--output-bucket", "out-bucket"];
    let output = permissions_of(&[&["--command", command, "--side", side], &known[..]].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The profiles `dev` and `prod` become users who hold just these policies.
fn hire(served: &Served, policies: [&Value; 2]) {
    let mut credentials = String::new();
    for (name, account, policy) in [("dev", DEV, policies[0]), ("prod", PROD, policies[1])] {
        let (id, secret) = served.rehearsal.hire(account, "least", policy).unwrap();
        credentials.push_str(&format!("[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"));
    }
    std::fs::write(served.dir.path().join("credentials"), credentials).unwrap();
}

const BUCKETS: [&str; 4] = ["--input-bucket", "in-bucket", "--output-bucket", "out-bucket"];

fn served_with_buckets() -> Served {
    let served = Served::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = |account| aws_sdk_s3::Client::new(&served.rehearsal.config(served.rehearsal.keys(account), HOME));
        client(DEV).create_bucket().bucket("in-bucket").send().await.unwrap();
        client(PROD).create_bucket().bucket("out-bucket").send().await.unwrap();
        let on = aws_sdk_s3::types::VersioningConfiguration::builder().status("Enabled".into()).build();
        client(DEV).put_bucket_versioning().bucket("in-bucket").versioning_configuration(on).send().await.unwrap();
    });
    served
}

/// The program itself: what it prints is what it needs.
#[test]
fn the_program_runs_on_what_it_prints() {
    let served = served_with_buckets();
    for (command, args) in [
        ("setup", &["setup", "--yes"][..]),
        ("verify", &["verify", "--second-opinion"]),
        ("release", &["release", "--sample"]),
        ("explain", &["explain"]),
        ("teardown", &["teardown", "--confirm", NAME]),
    ] {
        let (dev, prod) = (policy_for(command, "dev"), policy_for(command, "prod"));
        hire(&served, [&dev, &prod]);
        let before = served.rehearsal.log().len();
        served.run(&[args, if command == "release" { &[] } else { &BUCKETS }].concat());
        let log = served.rehearsal.log();
        let denied: Vec<_> = log[before..].iter().filter(|call| call.verdict != Decided::Allowed).collect();
        assert!(log.len() > before + 10 && denied.is_empty(), "{command}: {denied:#?}");
    }
}

#[test]
fn the_program_names_the_action_that_it_lacks() {
    let served = served_with_buckets();
    // S3 says "Access Denied" and no more; and what may not be read back is not waited for.
    let (dev, prod) = (policy_for("setup", "dev"), policy_for("setup", "prod"));
    let started = Instant::now();
    for (action, code) in [("s3:GetBucketVersioning", 1), ("iam:GetRolePolicy", 5)] {
        let trial = weaker(&dev).into_iter().find(|(what, _)| what.starts_with(action)).unwrap();
        hire(&served, [&trial.1, &prod]);
        let (exit, said) = served.attempt(&[&["setup", "--yes"], &BUCKETS[..]].concat());
        assert!(exit == Some(code) && said.contains(action), "{said}");
    }
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
}

#[test]
fn permissions_are_printed_without_any_profile_or_network() {
    let output = permissions_of(&["--command", "verify", "--side", "prod", "--output", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["schema"], &document["scenario"]), (&json!("xdeploy.permissions/1"), &json!("fresh")));
    assert_eq!(document["policies"], json!([document["policy"]]));
    assert!(!document["optional"].as_array().unwrap().is_empty());
    let least = permissions_of(&["--command", "verify", "--side", "prod", "--required-only"]);
    let least: Value = serde_json::from_slice(&least.stdout).unwrap();
    let sids: Vec<&str> = least["Statement"].as_array().unwrap().iter().map(|statement| statement["Sid"].as_str().unwrap()).collect();
    assert!(!sids.is_empty() && sids.iter().all(|sid| !sid.starts_with(OPTIONAL)), "{sids:?}");
    let nonsense = ["--command", "setup", "--side", "dev", "--scenario", "cross-region", "--region", HOME, "--prod-region", HOME];
    assert_eq!(permissions_of(&nonsense).status.code(), Some(64));
}
