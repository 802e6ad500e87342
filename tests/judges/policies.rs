//! The two styles of policies: the article's, and the least that works; and the way from each to the other.

use crate::needs::{EMULATORS, NOTHING};
use libtest_mimic::Trial;
use std::collections::BTreeSet;

use serde_json::{Value, json};
use xdeploy::deploy::steps;
use xdeploy::deploy::write::Call;
use xdeploy::model::Policies;
use xdeploy::policy;
use xdeploy::settings::{CommonFlags, DeploymentFlags, Settings};

use crate::adoption::{allow, by_hand, key, others_pipeline, pipeline, put, root_statement};
use crate::article;
use crate::support::{Bed, REGION};
use crate::world::{PIPELINE, World, document, foreign, same, same_grants, strings};
use crate::worlds;

const LEAST: [&str; 2] = ["--policies", "least-privilege"];
const ARTICLE: [&str; 2] = ["--policies", "article"];
const ENCRYPTS: &str = "--deploy-encrypts-with-dev-key";

/// Every document that setup writes, by where it stands.
fn documents(world: &World, dump: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let dev = &dump["dev"];
    for (region, keys) in dev["keys"].as_object().unwrap() {
        all.extend(keys.as_object().unwrap().values().map(|key| (format!("key in {region}"), key["policy"].clone())));
    }
    let buckets = dev["buckets"].as_object().unwrap().iter().filter(|(_, bucket)| !bucket["policy"].is_null());
    all.extend(buckets.map(|(name, bucket)| (name.replace(&world.dev().id, "DEV"), bucket["policy"].clone())));
    for side in ["dev", "prod"] {
        for (name, role) in dump[side]["roles"].as_object().unwrap() {
            all.push((format!("trust of {name}"), role["trust"].clone()));
            all.extend(role["inline"].as_object().unwrap().iter().map(|(inline, document)| (inline.clone(), document.clone())));
        }
        all.extend(dump[side]["policies"].as_object().unwrap().iter().map(|(name, found)| (name.clone(), found["document"].clone())));
    }
    all
}

#[track_caller]
fn same_documents(world: &World, wanted: &Value) {
    let (found, wanted) = (documents(world, &world.bed.dump()), documents(world, wanted));
    let names = |list: &[(String, Value)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found), names(&wanted));
    for ((name, found), (_, wanted)) in found.iter().zip(&wanted) {
        let (found, wanted) = (without_tls(found), without_tls(wanted));
        assert!(policy::same_grants(&found, &wanted), "{name}: {found:#}\nis not {wanted:#}");
    }
}

/// Once a bucket's TLS rule is wide it stays so: another pipeline may want it.
fn without_tls(document: &Value) -> Value {
    policy::without_statements(document, &BTreeSet::from(["DenyInsecureConnections".to_owned()]))
}

fn via_s3(region: &str) -> Value {
    json!({"StringEquals": {"kms:ViaService": format!("s3.{region}.amazonaws.com")}})
}

/// F.2's grants of a key, of the artifact bucket, and of production's role, for a store that is read.
struct Least<'a> {
    world: &'a World,
    region: &'a str,
    store: String,
    key: Value,
    objects: Vec<&'a str>,
    acl: bool,
    encrypts: bool,
}

impl Least<'_> {
    fn key_policy(&self, reads: bool) -> Value {
        let (world, via) = (self.world, format!("s3.{}.amazonaws.com", self.region));
        let service = json!({"AWS": world.service_role()});
        let prod = json!({"AWS": world.prod_arn("root")});
        let role = json!({"aws:PrincipalArn": world.deploy_role()});
        let of = |bucket: &str| json!({"kms:EncryptionContext:aws:s3:arn": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")]});
        let mut statements = vec![
            json!({"Effect": "Allow", "Principal": {"AWS": world.dev_arn("root")}, "Action": "kms:*", "Resource": "*"}),
            json!({"Effect": "Allow", "Principal": service, "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*",
                "Condition": {"StringEquals": {"kms:ViaService": via, "kms:CallerAccount": world.dev().id}}}),
            json!({"Effect": "Allow", "Principal": service, "Action": "kms:DescribeKey", "Resource": "*"}),
        ];
        if reads {
            statements.push(json!({"Effect": "Allow", "Principal": prod, "Action": "kms:Decrypt", "Resource": "*",
                "Condition": {"ArnEquals": role, "StringEquals": {"kms:ViaService": via}, "StringLike": of(&self.store)}}));
            statements.push(json!({"Effect": "Allow", "Principal": prod, "Action": "kms:DescribeKey", "Resource": "*",
                "Condition": {"ArnEquals": role}}));
        }
        if self.encrypts {
            statements
                .push(json!({"Effect": "Allow", "Principal": prod, "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*",
                "Condition": {"ArnEquals": role, "StringEquals": {"kms:ViaService": via}, "StringLike": of(&world.output)}}));
        }
        document(json!(statements))
    }

    fn bucket_policy(&self, bucket: &str, reads: bool) -> Value {
        let arn = format!("arn:aws:s3:::{bucket}");
        let mut statements = vec![
            json!({"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": format!("{arn}/*"),
                "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}}),
            json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, format!("{arn}/*")],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
        ];
        if reads {
            statements.push(json!({"Effect": "Allow", "Principal": {"AWS": self.world.prod_arn("root")},
                "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": format!("{arn}/{PIPELINE}/*"),
                "Condition": {"ArnEquals": {"aws:PrincipalArn": self.world.deploy_role()}}}));
        }
        document(json!(statements))
    }

    /// A4.1 and A4.2.
    #[track_caller]
    fn of_production(&self, dump: &Value) {
        let world = self.world;
        let own = |account: &str| json!({"StringEquals": {"aws:ResourceAccount": account}});
        let output = format!("arn:aws:s3:::{}", world.output);
        let objects: Vec<String> = self.objects.iter().map(|objects| format!("{output}/{objects}")).collect();
        let mut actions = vec!["s3:PutObject", "s3:AbortMultipartUpload"];
        if self.acl {
            actions.extend(["s3:PutObjectAcl", "s3:PutObjectVersionAcl"]);
        }
        let policies = &dump["prod"]["policies"];
        same_grants(
            &policies["outputbucketdeployaccess"]["document"],
            &document(json!([
                {"Effect": "Allow", "Action": actions, "Resource": objects, "Condition": own(&world.prod().id)},
                {"Effect": "Allow", "Action": ["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"], "Resource": output,
                    "Condition": own(&world.prod().id)},
            ])),
        );
        let mut statements = vec![
            json!({"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                "Resource": format!("arn:aws:s3:::{}/{PIPELINE}/*", self.store), "Condition": own(&world.dev().id)}),
            json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": self.key, "Condition": via_s3(self.region)}),
            json!({"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": self.key}),
        ];
        if self.encrypts {
            let write = json!({"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": self.key, "Condition": via_s3(self.region)});
            statements.push(write);
        }
        same_grants(&policies["devkmss3access"]["document"], &document(json!(statements)));
    }
}

fn default_least<'a>(world: &'a World, dump: &Value, encrypts: bool) -> Least<'a> {
    let key = world.key(dump, REGION, "s3deploykey")["arn"].clone();
    Least { world, region: REGION, store: world.artifact_bucket(), key, objects: vec!["*"], acl: false, encrypts }
}

/// The key's policy without its administrators, who have nothing to do with it.
fn without_administrators(key: &Value) -> Value {
    policy::without_statements(&key["policy"], &BTreeSet::from(["Allow access for Key Administrators".to_owned()]))
}

fn least_privilege_grants_the_calls_of_a_run_and_nothing_else() {
    let world = World::new();
    world.setup(&LEAST).success();
    let dump = world.bed.dump();
    let least = default_least(&world, &dump, false);
    same_grants(&without_administrators(world.key(&dump, REGION, "s3deploykey")), &least.key_policy(true));
    same_grants(&dump["dev"]["buckets"][&least.store]["policy"], &least.bucket_policy(&least.store, true));
    least.of_production(&dump);
    let own = json!({"StringEquals": {"aws:ResourceAccount": world.dev().id}});
    let (artifacts, input) = (format!("arn:aws:s3:::{}", least.store), format!("arn:aws:s3:::{}", world.input));
    same_grants(
        &dump["dev"]["roles"][format!("AWSCodePipelineServiceRole-{REGION}-{PIPELINE}")]["inline"]["xdeploy-crossaccountdeploy"],
        &document(json!([
            {"Effect": "Allow", "Condition": own, "Resource": artifacts,
                "Action": ["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"]},
            {"Effect": "Allow", "Condition": own, "Resource": format!("{artifacts}/{PIPELINE}/*"), "Action": ["s3:PutObject",
                "s3:PutObjectAcl", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObjectTagging", "s3:GetObjectTagging",
                "s3:GetObjectVersionTagging"]},
            {"Effect": "Allow", "Condition": own, "Resource": input,
                "Action": ["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation", "s3:ListBucket"]},
            {"Effect": "Allow", "Condition": own, "Resource": format!("{input}/sample-website.zip"),
                "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging"]},
        ])),
    );
    // No grant to a whole account without a condition on who it is.
    for (name, document) in documents(&world, &dump) {
        for statement in policy::statements(&document) {
            let root = statement.pointer("/Principal/AWS").is_some_and(|who| strings(who).contains(&world.prod_arn("root")));
            assert!(!root || statement.pointer("/Condition/ArnEquals/aws:PrincipalArn").is_some(), "{name}: {statement}");
        }
    }
    world.settled(&LEAST);
    // What is there is recognised without being told.
    world.settled(&[]);
    world.command("verify", &["--detailed-exitcode"]).code(0);
    world.command("verify", &[&["--detailed-exitcode"], &ARTICLE[..]].concat()).code(2);
    same(&dump, &world.bed.dump());
}

fn a_set_up_goes_from_each_style_to_the_other_and_back() {
    let world = World::new();
    world.setup(&[]).success();
    let article = world.bed.dump();
    let key = world.key(&article, REGION, "s3deploykey");
    let (artifacts, dev) = (world.artifact_bucket(), world.dev());
    // Statements of others, in the form that only they would write.
    let (bucket_policy, key_policy) = (&article["dev"]["buckets"][&artifacts]["policy"], &key["policy"]);
    let with_theirs = |policy: &Value, at: usize, statement: Value| {
        let mut policy = policy.clone();
        policy["Statement"].as_array_mut().unwrap().insert(at, statement);
        policy
    };
    let theirs = json!({"Sid": "", "Effect": "Deny", "Principal": {"AWS": ["*"]}, "Action": ["s3:DeleteBucket"],
        "Resource": [format!("arn:aws:s3:::{artifacts}")], "Condition": {}});
    let policy = with_theirs(bucket_policy, 3, theirs);
    dev.call("s3", "put_bucket_policy", json!({"Bucket": artifacts, "Policy": policy}));
    let theirs =
        json!({"Sid": "of others", "Effect": "Allow", "Principal": {"AWS": dev.caller_arn}, "Action": ["kms:Decrypt"], "Resource": ["*"]});
    let policy = with_theirs(key_policy, 2, theirs);
    dev.call("kms", "put_key_policy", json!({"KeyId": key["arn"], "PolicyName": "default", "Policy": policy}));
    let others = |dump: &Value| {
        let untouched = |policy: &Value| {
            let ours: BTreeSet<String> = policy::sids(policy)
                .into_iter()
                .filter(|sid| sid.starts_with("Xdeploy") || *sid == "DenyInsecureConnections")
                .map(str::to_owned)
                .collect();
            policy::without_statements(policy, &ours)
        };
        let key = world.key(dump, REGION, "s3deploykey");
        (untouched(&dump["dev"]["buckets"][&artifacts]["policy"]).to_string(), untouched(&key["policy"]).to_string())
    };
    let before = world.bed.dump();
    world.settled(&[]);

    let plan = world.command("plan", &LEAST).success();
    assert!(plan.stdout.contains("prods3role may read artifacts") && plan.stdout.contains(ENCRYPTS), "{}", plan.report());
    world.setup(&LEAST).success();
    world.settled(&LEAST);
    world.settled(&[]);
    let least = world.bed.dump();
    assert_eq!(others(&before), others(&least));
    for gone in ["KeyUsers", "KeyGrants", "ArtifactObjects", "ArtifactList"] {
        assert!(!least.to_string().contains(&format!("Xdeploy{PIPELINE}{gone}")), "{gone}");
    }
    default_least(&world, &least, false).of_production(&least);

    world.setup(&ARTICLE).success();
    world.settled(&ARTICLE);
    world.settled(&[]);
    assert_eq!(others(&before), others(&world.bed.dump()));
    same_documents(&world, &before);

    world.setup(&LEAST).success();
    same_documents(&world, &least);
    same(&foreign(&before), &foreign(&world.bed.dump()));
}

fn a_fresh_set_up_is_the_same_as_one_that_was_switched() {
    let world = World::new();
    world.setup(&LEAST).success();
    let fresh = world.bed.dump();
    world.setup(&ARTICLE).success();
    world.setup(&LEAST).success();
    same_documents(&world, &fresh);
    world.settled(&[]);
}

fn production_encrypts_with_the_artifact_key_only_where_the_flag_says_so() {
    let world = World::new();
    let with_flag = [&LEAST[..], &[ENCRYPTS]].concat();
    world.setup(&with_flag).success();
    let dump = world.bed.dump();
    let least = default_least(&world, &dump, true);
    same_grants(&without_administrators(world.key(&dump, REGION, "s3deploykey")), &least.key_policy(true));
    least.of_production(&dump);
    world.settled(&with_flag);
    world.settled(&[]);
    // A style that is asked for without the flag means no; without either, what is there stays.
    world.setup(&LEAST).success();
    let dump = world.bed.dump();
    let least = default_least(&world, &dump, false);
    same_grants(&without_administrators(world.key(&dump, REGION, "s3deploykey")), &least.key_policy(true));
    least.of_production(&dump);
    world.settled(&[]);
    world.setup(&[ENCRYPTS]).success();
    default_least(&world, &world.bed.dump(), true).of_production(&world.bed.dump());
    world.settled(&[]);
}

/// A2.6: only what the output's region needs, where it needs it.
fn of_two_regions_production_gets_only_the_one_it_reads_from() {
    let world = World::with_output_in(Bed::new(), "eu-west-1");
    let check = || {
        let dump = world.bed.dump();
        let (home, away) = (world.key(&dump, REGION, "s3deploykey"), world.key(&dump, "eu-west-1", "s3deploykey"));
        let bucket = format!("codepipeline-eu-west-1-{}", world.dev().id);
        let least = |region, store: &str, key: &Value| Least {
            world: &world,
            region,
            store: store.to_owned(),
            key: key["arn"].clone(),
            objects: vec!["*"],
            acl: false,
            encrypts: false,
        };
        let (at_home, abroad) = (least(REGION, &world.artifact_bucket(), home), least("eu-west-1", &bucket, away));
        same_grants(&without_administrators(home), &at_home.key_policy(false));
        same_grants(&without_administrators(away), &abroad.key_policy(true));
        same_grants(&dump["dev"]["buckets"][&at_home.store]["policy"], &at_home.bucket_policy(&at_home.store, false));
        same_grants(&dump["dev"]["buckets"][&abroad.store]["policy"], &abroad.bucket_policy(&abroad.store, true));
        abroad.of_production(&dump);
        world.settled(&[]);
    };
    world.setup(&LEAST).success();
    check();
    world.setup(&ARTICLE).success();
    world.settled(&[]);
    world.setup(&LEAST).success();
    check();
}

fn an_adopted_pipeline_says_where_it_deploys_and_whether_it_sets_acls() {
    let world = World::new();
    let mut theirs = others_pipeline(&world);
    theirs["stages"][1]["actions"][0]["configuration"] =
        json!({"BucketName": world.output, "Extract": "true", "ObjectKey": "site/{uuid}/a*b", "CannedACL": "bucket-owner-full-control"});
    put(&world, &theirs);
    let flags = [&LEAST[..], &["--deploy-path", "elsewhere"]].concat();
    world.setup(&flags).success();
    let dump = world.bed.dump();
    let mut least = default_least(&world, &dump, false);
    (least.objects, least.acl) = (vec!["site/*/a${*}b/*"], true);
    least.of_production(&dump);
    // The bucket isn't ours: its denies stay as the console wrote them, and the read comes beside them.
    let narrow = format!("arn:aws:s3:::{}/*", least.store);
    let statements = &dump["dev"]["buckets"][&least.store]["policy"]["Statement"];
    assert_eq!((statements.as_array().unwrap().len(), &statements[1]["Resource"]), (3, &json!(narrow)));
    // The service role may do everything of S3 already, so it gets nothing for that.
    assert_eq!(dump["dev"]["roles"][format!("AWSCodePipelineServiceRole-{REGION}-{PIPELINE}")]["inline"], json!({}));
    world.settled(&[]);

    // A zip that stays whole is one object.
    let mut theirs = pipeline(&world);
    theirs["stages"][1]["actions"][0]["configuration"] = json!({"BucketName": world.output, "Extract": "false", "ObjectKey": "site/a.zip"});
    put(&world, &theirs);
    world.setup(&[]).success();
    let dump = world.bed.dump();
    let mut least = default_least(&world, &dump, false);
    least.objects = vec!["site/a.zip"];
    least.of_production(&dump);

    // A second action with the same role writes with the same policy.
    let mut theirs = pipeline(&world);
    let mut second = theirs["stages"][1]["actions"][0].clone();
    (second["name"], second["configuration"]["ObjectKey"]) = (json!("Second"), json!("second.zip"));
    theirs["stages"][1]["actions"].as_array_mut().unwrap().push(second);
    put(&world, &theirs);
    for action in ["Deploy", "Second"] {
        world.setup(&["--action", action]).success();
        let dump = world.bed.dump();
        let mut least = default_least(&world, &dump, false);
        least.objects = vec!["second.zip", "site/a.zip"];
        least.of_production(&dump);
    }
}

fn a_pipeline_of_ours_is_granted_what_it_is_asked_to_deploy() {
    let world = World::new();
    for (flags, objects) in [
        (vec!["--deploy-path", "site/"], "site/*"),
        (vec!["--deploy-path", "other"], "other/*"),
        (vec!["--no-extract", "--deploy-path", "kept/a.zip"], "kept/a.zip"),
        (vec![], "kept/a.zip"),
        (vec!["--no-extract"], "sample-website.zip"),
    ] {
        world.setup(&[&flags, &LEAST[..]].concat()).success();
        let dump = world.bed.dump();
        let mut least = default_least(&world, &dump, false);
        least.objects = vec![objects];
        least.of_production(&dump);
        world.settled(&flags);
    }
}

fn what_others_grant_already_counts_for_least_privilege_too() {
    let world = World::new();
    put(&world, &by_hand(&world));
    let before = world.bed.dump();
    let plan = world.command("plan", &[&["--detailed-exitcode"], &LEAST[..]].concat()).code(0);
    assert!(plan.stdout.contains("s3:AbortMultipartUpload"), "{}", plan.report());
    same(&before, &world.bed.dump());

    // So does what they grant to the role itself rather than to its account.
    let world = World::new();
    let role = world.deploy_role();
    world.setup(&LEAST).success();
    let arn = world.key(&world.bed.dump(), REGION, "s3deploykey")["arn"].clone();
    let users = [json!({"Effect": "Allow", "Principal": {"AWS": [role, world.service_role()]}, "Resource": "*",
        "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]})];
    let policy = document(json!([root_statement(world.dev()), users[0]]));
    world.dev().call("kms", "put_key_policy", json!({"KeyId": arn, "PolicyName": "default", "Policy": policy}));
    world.settled(&[]);
}

fn keys_of_both_buckets_are_used_through_s3_only() {
    let world = World::new();
    let closed = |account| {
        key(
            account,
            None,
            &document(json!([{"Sid": "administration only", "Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{}:root", account.id)}, "Resource": "*",
        "Action": ["kms:Describe*", "kms:List*", "kms:Get*", "kms:Put*", "kms:ScheduleKeyDeletion"]}])),
        )
    };
    let keys = [(world.dev(), &world.input, closed(world.dev())), (world.prod(), &world.output, closed(world.prod()))];
    for (account, bucket, key) in &keys {
        let rule = json!({"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]});
        account.call("s3", "put_bucket_encryption", json!({"Bucket": bucket, "ServerSideEncryptionConfiguration": rule}));
    }
    let conditions = || -> Vec<Value> {
        let dump = world.bed.dump();
        let sids = ["InputKey", "OutputKey"].map(|what| format!("Xdeploy{PIPELINE}{what}"));
        ["dev", "prod"]
            .iter()
            .flat_map(|side| dump[side]["keys"][REGION].as_object().unwrap().values())
            .flat_map(|key| policy::statements(&key["policy"]).into_iter().cloned().collect::<Vec<_>>())
            .filter(|statement| sids.contains(&strings(&statement["Sid"]).concat()))
            .map(|statement| statement["Condition"].clone())
            .collect()
    };
    world.setup(&[]).success();
    assert_eq!(conditions(), [Value::Null, Value::Null]);
    world.setup(&LEAST).success();
    assert_eq!(conditions(), [via_s3(REGION), via_s3(REGION)]);
    world.settled(&[]);
    world.setup(&ARTICLE).success();
    assert_eq!(conditions(), [Value::Null, Value::Null]);
    world.settled(&[]);
}

fn an_output_bucket_that_encrypts_with_the_artifact_key_needs_no_flag() {
    let world = World::new();
    let policy =
        document(json!([root_statement(world.dev()), {"Sid": "prod", "Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*",
        "Principal": {"AWS": world.prod_arn("root")}}]));
    let key = key(world.dev(), Some("s3deploykey"), &policy);
    let rule = json!({"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]});
    let arguments = json!({"Bucket": world.output, "ServerSideEncryptionConfiguration": rule});
    world.prod().call("s3", "put_bucket_encryption", arguments);
    world.setup(&LEAST).success();
    let dump = world.bed.dump();
    default_least(&world, &dump, true).of_production(&dump);
    world.settled(&LEAST);
}

/// Pipelines of both styles share a key and an artifact bucket, and neither takes anything from the other.
fn two_pipelines_of_different_styles_leave_each_other_alone() {
    let world = World::new();
    let second = ["--pipeline", "web", "--object-key", "web.zip"];
    world.setup(&LEAST).success();
    world.setup(&second).success();
    world.settled(&[]);
    world.settled(&second);
    world.setup(&ARTICLE).success();
    world.setup(&[&second, &LEAST[..]].concat()).success();
    world.settled(&[]);
    world.settled(&second);
    let dump = world.bed.dump();
    let policy = &dump["dev"]["buckets"][world.artifact_bucket()]["policy"];
    let ours: Vec<&str> = policy::sids(policy).into_iter().filter(|sid| sid.starts_with("Xdeploy")).collect();
    assert_eq!(ours, ["XdeploycrossaccountdeployArtifactList", "XdeploycrossaccountdeployArtifactObjects", "XdeploywebArtifactRead"]);
}

fn a_statement_taken_out_by_hand_does_not_make_the_rest_wider() {
    let world = World::new();
    world.setup(&LEAST).success();
    let before = world.bed.dump();
    let wider = document(json!([allow("s3:Get*", "*")]));
    let arguments = json!({"PolicyArn": world.prod_arn("policy/devkmss3access"), "PolicyDocument": wider, "SetAsDefault": true});
    world.prod().call("iam", "create_policy_version", arguments);
    world.setup(&[]).success();
    same_documents(&world, &before);
}

fn the_style_may_stand_in_the_settings_file_or_a_variable() {
    let bed = Bed::new();
    let mut args = worlds::empty(&bed);
    let path = bed.dir().join("xdeploy.toml");
    std::fs::write(&path, "[pipeline]\npolicies = \"least-privilege\"\ndeploy-encrypts-with-dev-key = true\n").unwrap();
    let run = |args: &[String]| bed.run(&args.iter().map(String::as_str).collect::<Vec<_>>()).success();
    let _ = run(&args);
    assert!(bed.dump()["prod"]["policies"]["devkmss3access"].to_string().contains("EncryptWithArtifactKey"));
    args.extend(ARTICLE.map(str::to_owned));
    let _ = run(&args);
    assert!(!bed.dump()["prod"]["policies"]["devkmss3access"].to_string().contains("EncryptWithArtifactKey"));
}

/// The documents of a first set-up, without any account.
fn first_documents(partition: &str, region: &str, flags: DeploymentFlags) -> Vec<(&'static str, Value)> {
    let common = CommonFlags { dev_profile: Some("d".into()), prod_profile: Some("p".into()), ..CommonFlags::default() };
    let settings = Settings::resolve(&common, &flags).unwrap();
    let (writes, _) = steps::wants(&settings, &crate::snapshots::nothing_there(partition, region), None).unwrap();
    writes
        .into_iter()
        .filter_map(|write| match write.call {
            Call::CreateKey { policy, .. } | Call::PutKeyPolicy { after: policy, .. } => Some(("key", policy)),
            Call::CreateRole { trust, .. } => Some(("trust", trust)),
            Call::PutRolePolicy { document, .. } => Some(("inline", document)),
            Call::CreatePolicy { document, .. } => Some(("managed", document)),
            Call::PutBucketPolicy { after, .. } => Some(("bucket", after)),
            _ => None,
        })
        .collect()
}

fn every_document_of_both_styles_fits_and_is_of_the_callers_partition() {
    for policies in [Policies::Article, Policies::LeastPrivilege] {
        for (partition, region) in [("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-northwest-1"), ("aws", "us-east-1")] {
            let flags = DeploymentFlags {
                pipeline: "p.".repeat(50).parse().ok(),
                object_key: format!("{}.zip", "?".repeat(1000)).parse().ok(),
                deploy_path: Some("*".repeat(900)),
                deploy_role: "r".repeat(64).parse().ok(),
                policies: Some(policies),
                deploy_encrypts_with_dev_key: true,
                ..article::flags()
            };
            let all = first_documents(partition, region, flags);
            assert_eq!(all.len(), 11, "key twice, three trusts, two inline, three managed, one bucket: {all:#?}");
            for (kind, document) in all {
                let text = document.to_string();
                let size = text.chars().filter(|c| !c.is_whitespace()).count();
                let limit = match kind {
                    "trust" => 2048,
                    "managed" => 6144,
                    "inline" => 10_240,
                    "bucket" => 20_480,
                    _ => 32_768,
                };
                assert!(size <= limit, "{kind} of {size} characters: {document:#}");
                let wrong = text.match_indices("arn:").find(|(at, _)| !text[*at..].starts_with(&format!("arn:{partition}:")));
                assert_eq!(wrong, None, "{document:#}");
                if policies == Policies::LeastPrivilege && text.contains("kms:ViaService") {
                    assert!(text.contains(&format!("\"s3.{region}.amazonaws.com\"")), "{document:#}");
                }
            }
        }
    }
}

fn a_bucket_policy_that_was_only_ours_goes_where_nothing_is_needed_of_it() {
    let world = World::with_output_in(Bed::new(), "eu-west-1");
    let bucket = world.bed.bucket(world.dev(), "artifacts");
    let setup = |style: &[&str; 2]| {
        let flags = ["--artifact-bucket", &bucket, style[0], style[1]];
        world.setup(&flags).success();
        world.settled(&flags[..2]);
        world.bed.dump()["dev"]["buckets"][&bucket]["policy"].clone()
    };
    assert_eq!(setup(&LEAST), Value::Null);
    assert_eq!(policy::statements(&setup(&ARTICLE)).len(), 2);
    assert_eq!(setup(&LEAST), Value::Null);
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let mut all = trials![NOTHING;
        every_document_of_both_styles_fits_and_is_of_the_callers_partition,
    ];
    all.extend(trials![EMULATORS;
        least_privilege_grants_the_calls_of_a_run_and_nothing_else,
        a_set_up_goes_from_each_style_to_the_other_and_back,
        a_fresh_set_up_is_the_same_as_one_that_was_switched,
        production_encrypts_with_the_artifact_key_only_where_the_flag_says_so,
        of_two_regions_production_gets_only_the_one_it_reads_from,
        an_adopted_pipeline_says_where_it_deploys_and_whether_it_sets_acls,
        a_pipeline_of_ours_is_granted_what_it_is_asked_to_deploy,
        what_others_grant_already_counts_for_least_privilege_too,
        keys_of_both_buckets_are_used_through_s3_only,
        an_output_bucket_that_encrypts_with_the_artifact_key_needs_no_flag,
        two_pipelines_of_different_styles_leave_each_other_alone,
        a_statement_taken_out_by_hand_does_not_make_the_rest_wider,
        the_style_may_stand_in_the_settings_file_or_a_variable,
        a_bucket_policy_that_was_only_ours_goes_where_nothing_is_needed_of_it,
    ]);
    all
}
