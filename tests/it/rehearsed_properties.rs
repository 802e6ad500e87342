//! Whatever is asked for, and whatever strangers have put there: setup makes what its proof promises, a second run finds nothing to
//! do, a release arrives whole and is production's, and every call of the pipeline was foreseen.

use crate::support::depth;
use crate::support::stage::Stage;
use aws_sdk_s3::types::{
    BucketVersioningStatus, CreateBucketConfiguration, ObjectOwnership, OwnershipControls, OwnershipControlsRule, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule, VersioningConfiguration,
};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};
use xdeploy::aws::{Account, Accounts};
use xdeploy::deploy::after::after;
use xdeploy::deploy::apply::{self, Manner};
use xdeploy::deploy::arrival;
use xdeploy::deploy::observe::{Organisations, Purpose, observe};
use xdeploy::deploy::proof::{links, prove};
use xdeploy::deploy::release::{self, Source};
use xdeploy::deploy::snapshot::Snapshot;
use xdeploy::deploy::zipfile;
use xdeploy::model::{ChangeDetection, Policies, Side, Verdict};
use xdeploy::policy::{Decided, matches_pattern};
use xdeploy::rehearsal::{DEV, PROD, Rehearsal};
use xdeploy::settings::{CommonFlags, DeploymentFlags, Settings};

/// How many rehearsals there are: in less than a minute on two processors (issue 4).
const CASES: u32 = 1000;
/// How many a quick run plays.
const QUICK: u32 = 30;
const THREADS: u8 = 2;
/// How long a thread may be on a processor: what others do on the machine meanwhile doesn't count, what they take from its caches does.
const LIMIT: Duration = Duration::from_secs(60);

const REGIONS: [(&str, &[&str]); 3] = [
    ("aws", &["us-east-1", "us-west-2", "eu-west-1", "eu-central-2", "ap-southeast-7"]),
    ("aws-cn", &["cn-north-1", "cn-northwest-1"]),
    ("aws-us-gov", &["us-gov-west-1", "us-gov-east-1"]),
];

/// A bucket's key, and what its policy leaves to its account's IAM policies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum OwnKey {
    None,
    LeftToIam { bucket_key: bool },
    AdministratorsOnly { bucket_key: bool },
}

/// What a person adds to the deploy action of the pipeline that setup made.
#[derive(Debug, Clone, PartialEq)]
enum Edit {
    Nothing,
    Acl(&'static str),
    Key,
    Cache(String),
}

/// What is in the accounts before.
#[derive(Debug, Clone)]
struct Before {
    place: (&'static str, &'static str, &'static str),
    buckets: bool,
    versioned: bool,
    ownership: Option<ObjectOwnership>,
    input_key: OwnKey,
    output_key: OwnKey,
    /// An artifact bucket with a stranger's statements.
    artifact_bucket: Option<Vec<Value>>,
    /// A key under the alias with a stranger's statements.
    key: Option<Vec<Value>>,
}

/// What is asked for.
#[derive(Debug, Clone)]
struct Asked {
    pipeline: String,
    buckets: (String, String, String),
    object_key: String,
    alias: String,
    deploy_role: Option<String>,
    service_role: Option<String>,
    deploy_path: Option<String>,
    no_extract: bool,
    detection: Option<ChangeDetection>,
    policies: Option<Policies>,
    dev_key: bool,
}

#[derive(Debug, Clone)]
struct Case {
    before: Before,
    asked: Asked,
    edit: Edit,
    files: BTreeMap<String, String>,
    /// The source object has a tag.
    tagged: bool,
}

fn place() -> impl Strategy<Value = (&'static str, &'static str, &'static str)> {
    // Most are of the partition that most have.
    (select(vec![0, 0, 0, 0, 1, 2]), any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(partition, home, target)| {
        let (partition, regions) = REGIONS[partition];
        (partition, *home.get(regions), *target.get(regions))
    })
}

fn own_key() -> impl Strategy<Value = OwnKey> {
    let with = |make: fn(bool) -> OwnKey| any::<bool>().prop_map(make);
    prop_oneof![
        4 => Just(OwnKey::None),
        1 => with(|bucket_key| OwnKey::LeftToIam { bucket_key }),
        1 => with(|bucket_key| OwnKey::AdministratorsOnly { bucket_key }),
    ]
}

/// Statements of a role `stranger` of the development account; `RESOURCE` stands for the resource.
fn strangers(service: &'static str) -> impl Strategy<Value = Vec<Value>> {
    let actions = if service == "s3" { vec!["s3:GetObject", "s3:PutObject", "s3:*"] } else { vec!["kms:Decrypt", "kms:Encrypt", "kms:*"] };
    let who = select(vec![format!("arn:PARTITION:iam::{DEV}:role/stranger"), DEV.to_owned()]);
    let conditions = select(vec![
        json!({}),
        json!({"StringEquals": {"aws:PrincipalTag/team": "web"}}),
        json!({"Bool": {"aws:SecureTransport": "true"}}),
        json!({"StringNotLike": {"aws:PrincipalArn": "*nobody*"}}),
    ]);
    let allow = (select(actions), who, conditions).prop_map(|(action, who, condition)| {
        json!({"Effect": "Allow", "Principal": {"AWS": who}, "Action": action, "Resource": "RESOURCE", "Condition": condition})
    });
    let deny = select(vec![json!({"Bool": {"aws:SecureTransport": "false"}}), json!({"StringNotEquals": {"aws:PrincipalAccount": [DEV, PROD]},
        "Bool": {"aws:PrincipalIsAWSService": "false"}})])
    .prop_map(move |condition| {
        json!({"Effect": "Deny", "Principal": "*", "Action": format!("{service}:*"), "Resource": "RESOURCE", "Condition": condition})
    });
    let sid = proptest::option::of("[A-Za-z0-9]{1,12}");
    proptest::collection::vec((prop_oneof![3 => allow, 1 => deny], sid), 1..4).prop_map(|statements| {
        let numbered = statements.into_iter().enumerate().map(|(number, (mut statement, sid))| {
            if let Some(sid) = sid {
                statement["Sid"] = json!(format!("{sid}{number}"));
            }
            statement
        });
        numbered.collect()
    })
}

fn before() -> impl Strategy<Value = Before> {
    let ownership = select(vec![
        None,
        Some(ObjectOwnership::BucketOwnerEnforced),
        Some(ObjectOwnership::BucketOwnerPreferred),
        Some(ObjectOwnership::ObjectWriter),
    ]);
    let there = (any::<bool>(), any::<bool>(), ownership);
    let shared = (proptest::option::weighted(0.3, strangers("s3")), proptest::option::weighted(0.3, strangers("kms")));
    (place(), there, own_key(), own_key(), shared).prop_map(
        |(place, (buckets, versioned, ownership), input_key, output_key, (artifact_bucket, key))| Before {
            place,
            buckets,
            versioned,
            ownership,
            input_key,
            output_key,
            artifact_bucket,
            key,
        },
    )
}

const KEY: &str = "[a-zA-Z0-9 äß!._*'()&$@=;:+,?{}|~^-][a-zA-Z0-9 äß!._*'()&$@=;:+,?/{}|~^-]{0,30}[a-z]";

fn asked() -> impl Strategy<Value = Asked> {
    let bucket = || "b[a-z0-9]{1,12}([.-][a-z0-9]{1,8}){0,2}";
    let role = || proptest::option::weighted(0.3, "[A-Za-z0-9_+=,.@-]{1,60}");
    let variable = select(vec!["", "", "", "{datetime}", "{uuid}"]);
    let path = proptest::option::of((KEY, variable).prop_map(|(path, variable)| format!("{path}{variable}")));
    let detection = select(vec![None, Some(ChangeDetection::Eventbridge), Some(ChangeDetection::Polling), Some(ChangeDetection::None)]);
    let policies = select(vec![None, Some(Policies::Article), Some(Policies::LeastPrivilege), Some(Policies::LeastPrivilege)]);
    let names = ("[A-Za-z0-9.@_-]{1,100}", (bucket(), bucket(), bucket()), KEY, "[a-zA-Z0-9/_-]{1,40}", role(), role());
    (names, path, any::<bool>(), detection, policies, any::<bool>()).prop_map(
        |(
            (pipeline, (input, output, artifacts), object_key, alias, deploy, service),
            deploy_path,
            no_extract,
            detection,
            policies,
            dev_key,
        )| Asked {
            pipeline,
            buckets: (format!("{input}-in"), format!("{output}-out"), format!("{artifacts}-art")),
            object_key,
            alias: format!("k{alias}"),
            deploy_role: deploy.map(|name| format!("d{name}")),
            service_role: service.map(|name| format!("s{name}")),
            deploy_path,
            no_extract,
            detection,
            policies,
            dev_key,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let edit = prop_oneof![
        24 => Just(Edit::Nothing),
        1 => select(vec!["bucket-owner-full-control", "private"]).prop_map(Edit::Acl),
        1 => Just(Edit::Key),
        1 => "[a-z0-9=, -]{1,20}".prop_map(|text| Edit::Cache(format!("max-age{text}x"))),
    ];
    let files = proptest::collection::btree_map(
        "[a-zA-Z0-9 ä_.+-]{1,12}[a-z](/[a-z]{1,5}){0,2}(\\.(html|css|js|png|woff2|JSON))?",
        "[ -~]{0,200}",
        1..5,
    );
    (before(), asked(), edit, files, any::<bool>()).prop_map(|(mut before, asked, mut edit, files, tagged)| {
        if before.buckets && edit == Edit::Acl("private") {
            // Without ACLs only the one is taken (facts A.4).
            before.ownership = before.ownership.filter(|setting| *setting != ObjectOwnership::BucketOwnerEnforced);
        }
        if edit == Edit::Acl("private") && (!before.buckets || before.ownership.is_none()) {
            edit = Edit::Nothing;
        }
        Case { before, asked, edit, files, tagged }
    })
}

/// One case under way.
struct World<'c> {
    case: &'c Case,
    stage: Stage,
    settings: Settings,
    /// The customer keys of input and output bucket, and one that an edit names.
    output_key: Option<String>,
}

fn document(statements: &[Value], partition: &str, resource: &Value) -> Value {
    let text = Value::Array(statements.to_vec()).to_string().replace("PARTITION", partition);
    let mut statements: Value = serde_json::from_str(&text).unwrap();
    for statement in statements.as_array_mut().unwrap() {
        statement["Resource"] = resource.clone();
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

async fn bucket(s3: &aws_sdk_s3::Client, name: &str, region: &str) {
    let place = CreateBucketConfiguration::builder().location_constraint(region.into()).build();
    let elsewhere = (region != "us-east-1").then_some(place);
    s3.create_bucket().bucket(name).set_create_bucket_configuration(elsewhere).send().await.unwrap();
}

async fn encrypt(account: &Account, region: &str, bucket: &str, kind: OwnKey) -> Option<String> {
    let (bucket_key, actions) = match kind {
        OwnKey::None => return None,
        OwnKey::LeftToIam { bucket_key } => (bucket_key, json!("kms:*")),
        OwnKey::AdministratorsOnly { bucket_key } => (bucket_key, json!(["kms:Get*", "kms:Put*", "kms:Describe*", "kms:List*"])),
    };
    let allow = |who: &str, actions: &Value| {
        let who = format!("arn:{}:iam::{}:{who}", account.partition, account.id);
        json!({"Effect": "Allow", "Principal": {"AWS": who}, "Action": actions})
    };
    // Who uploads and who looks may use the key.
    let policy = document(&[allow("root", &actions), allow("user/caller", &json!("kms:*"))], "", &json!("*"));
    let key = account.kms(region).create_key().policy(policy.to_string()).send().await.unwrap();
    let key = key.key_metadata().unwrap().arn().unwrap().to_owned();
    let default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms).kms_master_key_id(&key).build();
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default.unwrap()).bucket_key_enabled(bucket_key);
    let configuration = ServerSideEncryptionConfiguration::builder().rules(rule.build()).build().unwrap();
    account.s3(region).put_bucket_encryption().bucket(bucket).server_side_encryption_configuration(configuration).send().await.unwrap();
    Some(key)
}

impl<'c> World<'c> {
    async fn new(case: &'c Case) -> World<'c> {
        let (partition, home, target) = case.before.place;
        let rehearsal = Rehearsal::new(partition, home, target);
        let account = async |side, id: &str, region: &str| {
            Account::verified(side, "rehearsal", rehearsal.config(rehearsal.keys(id), region)).await.unwrap()
        };
        let accounts = Accounts { dev: account(Side::Dev, DEV, home).await, prod: account(Side::Prod, PROD, target).await };
        let settings = settings(case);
        let stage = Stage { rehearsal, accounts, target };
        let mut world = World { case, stage, settings, output_key: None };
        world.buckets(home, target).await;
        world.shared(partition, home).await;
        world
    }

    async fn buckets(&mut self, home: &str, target: &str) {
        let Before { buckets, versioned, ownership, input_key, output_key, .. } = &self.case.before;
        if !buckets {
            return;
        }
        let (input, output, _) = &self.case.asked.buckets;
        let Accounts { dev, prod } = &self.stage.accounts;
        bucket(&dev.s3(home), input, home).await;
        bucket(&prod.s3(target), output, target).await;
        if *versioned {
            let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
            dev.s3(home).put_bucket_versioning().bucket(input).versioning_configuration(on).send().await.unwrap();
        }
        if let Some(setting) = ownership {
            let rule = OwnershipControlsRule::builder().object_ownership(setting.clone()).build().unwrap();
            let controls = OwnershipControls::builder().rules(rule).build().unwrap();
            prod.s3(target).put_bucket_ownership_controls().bucket(output).ownership_controls(controls).send().await.unwrap();
        }
        encrypt(dev, home, input, *input_key).await;
        self.output_key = encrypt(prod, target, output, *output_key).await;
    }

    /// What the pipeline shares with strangers.
    async fn shared(&self, partition: &str, home: &str) {
        let dev = &self.stage.accounts.dev;
        let Before { artifact_bucket, key, .. } = &self.case.before;
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
        dev.iam().create_role().role_name("stranger").assume_role_policy_document(trust.to_string()).send().await.unwrap();
        if let Some(statements) = artifact_bucket {
            let name = &self.case.asked.buckets.2;
            bucket(&dev.s3(home), name, home).await;
            let policy = document(statements, partition, &json!(format!("arn:{partition}:s3:::{name}/*")));
            dev.s3(home).put_bucket_policy().bucket(name).policy(policy.to_string()).send().await.unwrap();
        }
        if let Some(statements) = key {
            let root = json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:{partition}:iam::{DEV}:root")}, "Action": "kms:*"});
            let all: Vec<Value> = statements.iter().cloned().chain([root]).collect();
            let policy = document(&all, partition, &json!("*"));
            let crosses = self.case.before.place.2 != home;
            let made = dev.kms(home).create_key().multi_region(crosses).policy(policy.to_string()).send().await.unwrap();
            let id = made.key_metadata().unwrap().key_id();
            dev.kms(home).create_alias().alias_name(format!("alias/{}", self.case.asked.alias)).target_key_id(id).send().await.unwrap();
        }
    }

    /// Whether every statement of the strangers stands where it stood.
    fn keeps_what_is_others(&self, there: &Snapshot) -> bool {
        let (partition, home, _) = self.case.before.place;
        let holds = |policy: Option<&Value>, statements: &Option<Vec<Value>>, resource: Value| {
            let Some(statements) = statements else { return true };
            let wanted = document(statements, partition, &resource);
            let live = policy.and_then(|policy| policy["Statement"].as_array()).cloned().unwrap_or_default();
            wanted["Statement"].as_array().unwrap().iter().all(|statement| live.contains(statement))
        };
        let bucket = there.artifact_buckets[home].found.as_ref().and_then(|found| found.policy.as_ref());
        let key = there.keys[home].found.as_ref().and_then(|found| found.policy.as_ref());
        let objects = json!(format!("arn:{partition}:s3:::{}/*", self.case.asked.buckets.2));
        holds(bucket, &self.case.before.artifact_bucket, objects) && holds(key, &self.case.before.key, json!("*"))
    }

    /// As `setup` looks, which asks for the organisations' policies once there is a pipeline.
    async fn look(&self) -> Snapshot {
        let Accounts { dev, prod } = &self.stage.accounts;
        observe(dev, prod, &self.settings, Purpose::Setup, Organisations::OfExisting).await.unwrap()
    }

    async fn set_up(&self) -> Result<Snapshot, TestCaseError> {
        let Stage { accounts, .. } = &self.stage;
        let plan = self.stage.plan(&self.settings, self.look().await);
        let arn = plan.pipeline_arn();
        let promised = prove(&self.settings, &after(plan.snapshot(), plan.writes(), &arn)).unwrap().unwrap();
        prop_assert_eq!(promised.verdict(), Verdict::Allowed, "{:#?}", promised.broken().collect::<Vec<_>>());
        let manner = Manner { pipeline_arn: &arn, wait_for_runs: false, listen: &|_| (), stop: &AtomicBool::new(false) };
        let applied = apply::apply(accounts, plan.writes(), &manner).await;
        prop_assert!(applied.is_ok(), "{:?}", applied.err());
        let there = self.look().await;
        let kept = prove(&self.settings, &there).unwrap().unwrap();
        prop_assert!(kept.same_verdicts(&promised), "{:#?}", kept.broken().collect::<Vec<_>>());
        let again = self.stage.plan(&self.settings, there.clone());
        prop_assert!(again.is_empty(), "{:#?}", again.writes());
        prop_assert!(self.keeps_what_is_others(&there), "a statement of others is gone");
        Ok(there)
    }

    /// A person changes the deploy action.
    async fn edit(&self) {
        let (name, value) = match &self.case.edit {
            Edit::Nothing => return,
            Edit::Acl(acl) => ("CannedACL", (*acl).to_owned()),
            Edit::Cache(text) => ("CacheControl", text.clone()),
            Edit::Key => {
                let prod = &self.stage.accounts.prod;
                let made = prod.kms(self.stage.target).create_key().send().await.unwrap();
                ("KMSEncryptionKeyARN", made.key_metadata().unwrap().arn().unwrap().to_owned())
            }
        };
        let pipelines = self.stage.accounts.dev.codepipeline(self.case.before.place.1);
        let mut pipeline = pipelines.get_pipeline().name(&self.case.asked.pipeline).send().await.unwrap().pipeline.unwrap();
        let deploy = &mut pipeline.stages[1].actions[0];
        deploy.configuration.as_mut().unwrap().insert(name.to_owned(), value);
        pipelines.update_pipeline().pipeline(pipeline).send().await.unwrap();
    }

    /// Releases the files and looks at what arrives.
    async fn release(&self) -> Result<(), TestCaseError> {
        let accounts = &self.stage.accounts;
        let zip = packed(&self.case.files);
        let route = release::route(accounts, &self.settings).await.unwrap();
        let contents = zipfile::check_bytes(&zip).unwrap();
        let version = if self.case.tagged {
            let put = accounts.dev.s3(&route.home).put_object().bucket(&route.input_bucket).key(&route.object_key);
            put.tagging("team=web").body(zip.clone().into()).send().await.unwrap().version_id().unwrap().to_owned()
        } else {
            release::upload(accounts, &route, &Source::Sample(zip.clone())).await.unwrap()
        };
        let (id, started) = release::find_or_start(accounts, &route, &version, Duration::ZERO).await.unwrap();
        let by_xdeploy = self.case.asked.detection == Some(ChangeDetection::None);
        prop_assert_eq!(started == release::StartedBy::Xdeploy, by_xdeploy);
        let outcome = release::follow(accounts, &route, &id, Duration::ZERO, &|_| ()).await.unwrap();
        prop_assert_eq!(&outcome.status, "Succeeded", "{:#?}", outcome.actions);
        let wanted = route.keys(Some(&contents));
        let arrival = arrival::arrival(accounts, &route, &wanted, SystemTime::UNIX_EPOCH).await.unwrap();
        prop_assert!(arrival.missing.is_empty(), "{:?}", arrival.missing);
        prop_assert!(arrival.objects.iter().all(|object| object.owned_by_production == Some(true)), "{arrival:#?}");
        self.arrived(&route, zip).await
    }

    /// What the output bucket holds is what was uploaded, byte for byte, and production's.
    async fn arrived(&self, route: &release::Route, zip: Vec<u8>) -> Result<(), TestCaseError> {
        let s3 = self.stage.accounts.prod.s3(&route.target_region);
        let owner = s3.list_buckets().send().await.unwrap().owner().and_then(|owner| owner.id()).map(str::to_owned);
        let listed = s3.list_objects_v2().bucket(&route.output_bucket).fetch_owner(true).send().await.unwrap();
        let mut bodies = Vec::new();
        for object in listed.contents() {
            prop_assert_eq!(object.owner().and_then(|owner| owner.id()), owner.as_deref());
            let got = s3.get_object().bucket(&route.output_bucket).key(object.key().unwrap()).send().await.unwrap();
            bodies.push((object.key().unwrap().to_owned(), got.body.collect().await.unwrap().to_vec()));
        }
        let under = |key: &str| match &route.path {
            Some(path) => pattern(path).map_or_else(|| format!("{path}/{key}"), |_| String::new()),
            None => key.to_owned(),
        };
        let expected: Vec<(String, Vec<u8>)> = match route.extract {
            true => self.case.files.iter().map(|(name, body)| (under(name), body.clone().into_bytes())).collect(),
            false => vec![(route.path.clone().unwrap_or_default(), zip)],
        };
        let bytes = |list: &[(String, Vec<u8>)]| {
            let mut all: Vec<Vec<u8>> = list.iter().map(|(_, body)| body.clone()).collect();
            all.sort();
            all
        };
        prop_assert_eq!(bytes(&bodies), bytes(&expected));
        if !route.keys_vary() {
            let names = |list: &[(String, Vec<u8>)]| list.iter().map(|(name, _)| name.clone()).collect::<std::collections::BTreeSet<_>>();
            prop_assert_eq!(names(&bodies), names(&expected));
        }
        Ok(())
    }

    /// Each call of the pipeline was allowed, and the proof had it as a link on that very resource.
    fn every_call_was_foreseen(&self, there: &Snapshot, since: usize) -> Result<(), TestCaseError> {
        let links = links(&self.settings, there).unwrap();
        let log = self.stage.rehearsal.log();
        let own: Vec<_> = log[since..].iter().filter(|call| !call.caller.ends_with(":user/caller")).collect();
        prop_assert!(own.len() > 8, "{own:#?}");
        let of_s3 = |resource: &str| resource.split_once(":s3:::").map(|(_, rest)| rest.split('/').next().unwrap_or_default().to_owned());
        for call in own {
            let session = call.caller.split("assumed-role/").nth(1).and_then(|session| session.split('/').next());
            let caller = |who: &str| session.map_or(who == call.caller, |name| who.ends_with(&format!("/{name}")));
            let on = |link: &xdeploy::deploy::chain::Link| match (&link.all, of_s3(&call.resource)) {
                (Some(all), _) if !self.varies() => matches_pattern(all, &call.resource),
                (_, Some(bucket)) => of_s3(&link.resource) == Some(bucket),
                _ => link.resource == call.resource,
            };
            let foreseen = links.iter().any(|link| caller(&link.who) && link.row.action == call.action && on(link));
            prop_assert!(foreseen && call.verdict == Decided::Allowed, "{call:#?}");
        }
        Ok(())
    }

    fn varies(&self) -> bool {
        self.case.asked.deploy_path.as_deref().is_some_and(|path| path.contains('{'))
    }
}

/// Says whether CodePipeline fills something into a path.
fn pattern(path: &str) -> Option<()> {
    ["{datetime}", "{uuid}"].iter().any(|variable| path.contains(variable)).then_some(())
}

fn settings(case: &Case) -> Settings {
    let Asked { pipeline, buckets: (input, output, artifacts), object_key, alias, .. } = &case.asked;
    let (_, _, target) = case.before.place;
    let common = CommonFlags {
        dev_profile: Some("d".into()),
        prod_profile: Some("p".into()),
        prod_region: target.parse().ok(),
        ..CommonFlags::default()
    };
    let flags = DeploymentFlags {
        pipeline: Some(pipeline.parse().unwrap()),
        input_bucket: Some(input.parse().unwrap()),
        output_bucket: Some(output.parse().unwrap()),
        artifact_bucket: case.before.artifact_bucket.as_ref().map(|_| artifacts.parse().unwrap()),
        object_key: Some(object_key.parse().unwrap()),
        key_alias: Some(alias.parse().unwrap()),
        deploy_role: case.asked.deploy_role.as_ref().map(|name| name.parse().unwrap()),
        service_role: case.asked.service_role.clone(),
        deploy_path: case.asked.deploy_path.clone(),
        no_extract: case.asked.no_extract,
        change_detection: case.asked.detection,
        policies: case.asked.policies,
        deploy_encrypts_with_dev_key: case.asked.dev_key,
        create_buckets: !case.before.buckets,
        enable_versioning: true,
        ..DeploymentFlags::default()
    };
    Settings::resolve(&common, &flags).unwrap()
}

fn packed(files: &BTreeMap<String, String>) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, body) in files {
        zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, body.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

async fn holds(case: &Case) -> Result<(), TestCaseError> {
    let world = World::new(case).await;
    let mut there = world.set_up().await?;
    if case.edit != Edit::Nothing {
        world.edit().await;
        there = world.set_up().await?;
    }
    let before = world.stage.rehearsal.log().len();
    world.release().await?;
    world.every_call_was_foreseen(&there, before)
}

fn cases() -> u32 {
    if depth::full() { CASES } else { QUICK }
}

/// The seed of all cases: fixed, unless `XDEPLOY_TEST_SEED` varies it.
fn seed() -> u64 {
    std::env::var(depth::SEED).map_or(4, |_| depth::seed())
}

/// The time that the calling thread has had on a processor, where the system says so: other programs don't count.
fn on_a_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Works off one thread's share of the cases and gives the time that it took.
fn share(thread: u8) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut bytes = [thread; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    let config = Config { cases: cases() / u32::from(THREADS), failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let (started, before) = (Instant::now(), on_a_processor());
    match runner.run(&case(), |case| runtime.block_on(holds(&case))) {
        Ok(()) => {}
        Err(TestError::Fail(why, case)) => panic!("{why}\n{case:#?}"),
        Err(error) => panic!("{error}"),
    }
    on_a_processor().zip(before).map_or_else(|| started.elapsed(), |(after, before)| after - before)
}

#[test]
fn a_thousand_rehearsals_keep_every_promise() {
    let started = Instant::now();
    let threads: Vec<_> = (0..THREADS).map(|thread| std::thread::spawn(move || share(thread))).collect();
    let times: Vec<Duration> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let longest = times.iter().max().unwrap();
    println!("{} rehearsals on {THREADS} threads in {:?}; on a processor {times:?}", cases(), started.elapsed());
    assert!(*longest < LIMIT, "{longest:?}");
}
