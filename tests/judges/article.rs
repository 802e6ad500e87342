//! A new set-up holds what the article describes, step by step, and a second run finds nothing to do.

use crate::needs::{EMULATORS, NOTHING};
use libtest_mimic::Trial;
use std::time::Duration;

use serde_json::{Value, json};
use xdeploy::deploy::steps;
use xdeploy::settings::{CommonFlags, DeploymentFlags, Settings};

use crate::snapshots::nothing_there;
use crate::support::{Bed, Caller, REGION};
use crate::world::{PIPELINE, TAG, World, document, same, same_grants, strings};

/// The console's Sid: the statement belongs to the key, not to one pipeline.
const ADMINISTRATORS: &str = "Allow access for Key Administrators";
const RULE: &str = "codepipeline-crossaccountdeploy-source";

fn a_new_setup_makes_what_the_article_describes_then_finds_no_changes() {
    let world = World::new();
    let plan = world.command("plan", &["--detailed-exitcode"]).code(2);
    assert!(plan.stdout.contains("to add"), "{}", plan.report());
    world.nothing_written();
    world.setup(&["--dry-run"]).success();
    world.nothing_written();

    world.setup(&[]).success();
    let dump = world.bed.dump();
    key(&world, &dump);
    service_role(&world, &dump);
    artifact_bucket(&world, &dump);
    cross_account_role(&world, &dump);
    change_detection(&world, &dump);
    pipeline(&world, &dump);

    world.settled(&[]);
    world.command("plan", &["--detailed-exitcode"]).code(0);
    world.nothing_written();
    same(&dump, &world.bed.dump());
}

/// A1, A1.2, A1.3 and A3.
fn key(world: &World, dump: &Value) {
    let key = world.key(dump, REGION, "s3deploykey");
    assert_eq!((&key["spec"], &key["usage"], &key["state"]), (&json!("SYMMETRIC_DEFAULT"), &json!("ENCRYPT_DECRYPT"), &json!("Enabled")));
    assert_eq!((&key["multi_region"], &key["rotation"], &key["tags"]), (&json!(false), &json!(true), &world.tags()));
    assert_eq!(dump["dev"]["keys"][REGION].as_object().unwrap().len(), 1);
    let users = json!({"AWS": [world.service_role(), world.prod_arn("root")]});
    same_grants(
        &key["policy"],
        &document(json!([
            {"Effect": "Allow", "Principal": {"AWS": world.dev_arn("root")}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Allow", "Principal": {"AWS": world.dev().caller_arn}, "Resource": "*", "Action": [
                "kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*", "kms:Disable*",
                "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
                "kms:RotateKeyOnDemand", "kms:ReplicateKey", "kms:UpdatePrimaryRegion"]},
            {"Effect": "Allow", "Principal": users, "Resource": "*",
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]},
            {"Effect": "Allow", "Principal": users, "Resource": "*", "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}},
        ])),
    );
    let sids: Vec<&Value> = key["policy"]["Statement"].as_array().unwrap().iter().map(|statement| &statement["Sid"]).collect();
    let ours = |what: &str| format!("Xdeploycrossaccountdeploy{what}");
    assert_eq!(json!(sids), json!(["Enable IAM User Permissions", ADMINISTRATORS, ours("KeyUsers"), ours("KeyGrants")]));
}

/// A2.1 and A6.
fn service_role(world: &World, dump: &Value) {
    let role = &dump["dev"]["roles"]["AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy"];
    assert_eq!((&role["arn"], &role["path"]), (&json!(world.service_role()), &json!("/service-role/")));
    assert_eq!(role["tags"], world.tags());
    same_grants(
        &role["trust"],
        &document(json!({"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"})),
    );
    assert_eq!(role["attached"], json!([world.dev_arn("policy/assumeprods3role")]));
    same_grants(
        &dump["dev"]["policies"]["assumeprods3role"]["document"],
        &document(json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [world.deploy_role()]})),
    );
    assert_eq!(dump["dev"]["policies"]["assumeprods3role"]["tags"], world.tags());
    // The action reference's baseline of every pipeline and of an S3 source.
    let (artifacts, input) = (format!("arn:aws:s3:::{}", world.artifact_bucket()), format!("arn:aws:s3:::{}", world.input));
    let own = json!({"StringEquals": {"aws:ResourceAccount": world.dev().id}});
    same_grants(
        &role["inline"]["xdeploy-crossaccountdeploy"],
        &document(json!([
            {"Effect": "Allow", "Condition": own, "Resource": artifacts,
                "Action": ["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"]},
            {"Effect": "Allow", "Condition": own, "Resource": format!("{artifacts}/*"), "Action": ["s3:PutObject", "s3:PutObjectAcl",
                "s3:GetObject", "s3:GetObjectVersion", "s3:PutObjectTagging", "s3:GetObjectTagging", "s3:GetObjectVersionTagging"]},
            {"Effect": "Allow", "Condition": own, "Resource": input,
                "Action": ["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation", "s3:ListBucket"]},
            {"Effect": "Allow", "Condition": own, "Resource": format!("{input}/*"),
                "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging"]},
        ])),
    );
}

/// A2.2 and A5.
fn artifact_bucket(world: &World, dump: &Value) {
    let name = world.artifact_bucket();
    let bucket = &dump["dev"]["buckets"][&name];
    assert_eq!((&bucket["region"], &bucket["versioning"]), (&json!(REGION), &Value::Null));
    assert_eq!(bucket["tags"], world.tags());
    assert!(bucket["public_access_block"].as_object().unwrap().values().all(|on| on == true), "{bucket:#}");
    let encryption = &bucket["encryption"][0]["ApplyServerSideEncryptionByDefault"];
    assert_eq!(*encryption, json!({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": world.key(dump, REGION, "s3deploykey")["arn"]}));
    same_grants(&bucket["policy"], &document(artifact_bucket_statements(world, &name)));
    assert_eq!(bucket["policy"]["Id"], "SSEAndSSLPolicy");
}

fn artifact_bucket_statements(world: &World, name: &str) -> Value {
    let (arn, prod) = (format!("arn:aws:s3:::{name}"), json!({"AWS": world.prod_arn("root")}));
    json!([
        {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": format!("{arn}/*"),
            "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": format!("{arn}/*"),
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Sid": "", "Effect": "Allow", "Principal": prod, "Action": ["s3:Get*", "s3:Put*"], "Resource": format!("{arn}/*")},
        {"Sid": "", "Effect": "Allow", "Principal": prod, "Action": "s3:ListBucket", "Resource": arn},
    ])
}

/// A4.
fn cross_account_role(world: &World, dump: &Value) {
    let role = &dump["prod"]["roles"]["prods3role"];
    assert_eq!((&role["arn"], &role["tags"]), (&json!(world.deploy_role()), &world.tags()));
    same_grants(
        &role["trust"],
        &document(json!([{"Effect": "Allow", "Principal": {"AWS": [world.service_role()]}, "Action": "sts:AssumeRole", "Condition": {}}])),
    );
    assert_eq!(role["attached"], json!([world.prod_arn("policy/devkmss3access"), world.prod_arn("policy/outputbucketdeployaccess")]));
    assert_eq!(role["inline"], json!({}));
    let output = format!("arn:aws:s3:::{}", world.output);
    let policies = &dump["prod"]["policies"];
    same_grants(
        &policies["outputbucketdeployaccess"]["document"],
        &document(json!([
            {"Effect": "Allow", "Action": ["s3:Put*"], "Resource": [format!("{output}/*")]},
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [output]},
            // Today's action reference asks for these beside the article's.
            {"Effect": "Allow", "Action": ["s3:GetBucketVersioning", "s3:GetBucketAcl", "s3:GetBucketLocation"], "Resource": [output]},
        ])),
    );
    let artifacts = format!("arn:aws:s3:::{}", world.artifact_bucket());
    same_grants(
        &policies["devkmss3access"]["document"],
        &document(json!([
            {"Effect": "Allow", "Action": ["kms:DescribeKey", "kms:GenerateDataKey*", "kms:Encrypt", "kms:ReEncrypt*", "kms:Decrypt"],
                "Resource": [world.key(dump, REGION, "s3deploykey")["arn"]]},
            {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": [format!("{artifacts}/*")]},
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [artifacts]},
        ])),
    );
    for name in ["outputbucketdeployaccess", "devkmss3access"] {
        assert_eq!(policies[name]["tags"], world.tags());
    }
}

/// A2.3.
fn change_detection(world: &World, dump: &Value) {
    assert_eq!(dump["dev"]["buckets"][&world.input]["notification"], json!({"EventBridgeConfiguration": {}}));
    let rule = &dump["dev"]["rules"][REGION][RULE];
    let mut rule_tags = world.tags();
    rule_tags["xdeploy:eventbridge"] = json!(world.input);
    assert_eq!((&rule["state"], &rule["tags"]), (&json!("ENABLED"), &rule_tags));
    let detail = json!({"bucket": {"name": [world.input]}, "object": {"key": ["sample-website.zip"]}});
    assert_eq!(rule["pattern"], json!({"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}));
    let role = &dump["dev"]["roles"]["cwe-role-us-east-1-crossaccountdeploy"];
    let [target] = rule["targets"].as_array().unwrap().as_slice() else { panic!("{rule:#}") };
    assert_eq!((&target["Arn"], &target["RoleArn"]), (&json!(world.pipeline_arn(PIPELINE)), &role["arn"]));
    let template: Value =
        serde_json::from_str(&strings(&target["InputTransformer"]["InputTemplate"]).concat().replace("<revisionValue>", "\"v\"")).unwrap();
    let revision = json!({"actionName": "Source", "revisionType": "S3_OBJECT_VERSION_ID", "revisionValue": "v"});
    assert_eq!(template, json!({"sourceRevisions": [revision]}));
    assert_eq!(target["InputTransformer"]["InputPathsMap"], json!({"revisionValue": "$.detail.object.version-id"}));
    same_grants(
        &role["trust"],
        &document(json!({"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"})),
    );
    let start = json!({"Effect": "Allow", "Action": "codepipeline:StartPipelineExecution", "Resource": world.pipeline_arn(PIPELINE)});
    same_grants(&role["inline"]["start-pipeline-execution-us-east-1-crossaccountdeploy"], &document(start));
}

/// A2 and A7.
fn pipeline(world: &World, dump: &Value) {
    let found = &dump["dev"]["pipelines"][REGION][PIPELINE];
    assert_eq!(found["tags"][TAG], PIPELINE);
    let pipeline = &found["pipeline"];
    assert_eq!((&pipeline["version"], &pipeline["roleArn"]), (&json!(1), &json!(world.service_role())));
    let store = json!({"type": "S3", "location": world.artifact_bucket(),
        "encryptionKey": {"id": world.key(dump, REGION, "s3deploykey")["arn"], "type": "KMS"}});
    assert_eq!(pipeline["artifactStore"], store);
    let stages = pipeline["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 2, "no build stage (A2.4): {pipeline:#}");
    let source = json!({"S3Bucket": world.input, "S3ObjectKey": "sample-website.zip", "PollForSourceChanges": "false"});
    assert_eq!(stages[0]["actions"][0]["configuration"], source);
    assert_eq!(stages[0]["actions"][0]["actionTypeId"], json!({"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"}));
    // A7's text with our names.
    let text = r#"{"name":"Deploy","actions":[{"name":"Deploy","actionTypeId":{"category":"Deploy","owner":"AWS","provider":"S3","version":"1"},"runOrder":1,"configuration":{"BucketName":"codepipeline-output-bucket","Extract":"true"},"outputArtifacts":[],"inputArtifacts":[{"name":"SourceArtifact"}],"roleArn":"arn:aws:iam::<prod-account-id>:role/prods3role","region":"us-east-1","namespace":"DeployVariables"}]}"#;
    let text = text.replace("codepipeline-output-bucket", &world.output).replace("<prod-account-id>", &world.prod().id);
    same(&serde_json::from_str(&text).unwrap(), &stages[1]);
}

/// The statement with this end of its Sid in the policy of the default key.
fn key_statement(world: &World, what: &str) -> Option<Value> {
    let dump = world.bed.dump();
    let statements = world.key(&dump, REGION, "s3deploykey")["policy"]["Statement"].as_array().unwrap().clone();
    statements.into_iter().find(|statement| strings(&statement["Sid"]).concat().ends_with(what))
}

fn a_root_caller_needs_no_administrator_statement() {
    let world = World::of(Bed::with_callers(Caller::Root, Caller::Root));
    world.setup(&[]).success();
    assert_eq!(key_statement(&world, ADMINISTRATORS), None);
    world.settled(&[]);
}

fn the_administrator_is_the_callers_user_or_role_with_its_path() {
    let user = || Caller::User { path: "/team/web/".to_owned() };
    for (caller, path) in [(user(), ":user/team/web/"), (Caller::sso(), ":role/aws-reserved/sso.amazonaws.com/")] {
        let world = World::of(Bed::with_callers(caller.clone(), caller));
        world.setup(&[]).success();
        let administrators = key_statement(&world, ADMINISTRATORS).unwrap()["Principal"]["AWS"].clone();
        assert_eq!(strings(&administrators), [world.dev().caller_arn.as_str()]);
        assert!(world.dev().caller_arn.contains(path), "{}", world.dev().caller_arn);
        world.settled(&[]);
    }
}

fn administrators_that_were_named_take_the_callers_place() {
    let world = World::new();
    let trust = document(json!({"Effect": "Allow", "Principal": {"AWS": world.dev_arn("root")}, "Action": "sts:AssumeRole"}));
    world.dev().call("iam", "create_role", json!({"RoleName": "admins", "Path": "/a/", "AssumeRolePolicyDocument": trust}));
    world.dev().call("iam", "create_user", json!({"UserName": "ann", "Path": "/b/"}));
    let (role, user) = (world.dev_arn("role/a/admins"), world.dev_arn("user/b/ann"));
    let flags = ["--key-administrator", &role, "--key-administrator", &user];
    world.setup(&flags).success();
    let statement = key_statement(&world, ADMINISTRATORS).unwrap();
    assert_eq!(strings(&statement["Principal"]["AWS"]), [role.clone(), user.clone()]);
    world.settled(&flags);
    // Left out, they stay.
    world.settled(&[]);
    // Who was let in stays, so that two pipelines with one key never take each other's administrators away.
    world.settled(&["--key-administrator", &user]);
    let third = world.dev_arn("user/caller");
    world.setup(&["--key-administrator", &third]).success();
    assert_eq!(strings(&key_statement(&world, ADMINISTRATORS).unwrap()["Principal"]["AWS"]), [role, user, third]);
}

fn source_polls(world: &World) -> Value {
    let pipeline = world.dev().get_pipeline(REGION, PIPELINE).unwrap()["pipeline"].clone();
    pipeline["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"].clone()
}

fn polling_or_nothing_makes_no_trigger_and_is_remembered() {
    for (how, polls) in [("polling", "true"), ("none", "false")] {
        let world = World::new();
        world.setup(&["--change-detection", how]).success();
        let dump = world.bed.dump();
        assert_eq!(dump["dev"]["rules"][REGION], json!({}));
        assert_eq!(dump["dev"]["buckets"][&world.input]["notification"], json!({}));
        assert_eq!(dump["dev"]["roles"].get("cwe-role-us-east-1-crossaccountdeploy"), None);
        assert_eq!(source_polls(&world), polls);
        world.settled(&["--change-detection", how]);
        world.settled(&[]);
    }
}

fn change_detection_can_be_changed_later() {
    let world = World::new();
    world.setup(&["--change-detection", "polling"]).success();
    world.setup(&["--change-detection", "eventbridge"]).success();
    assert_eq!(source_polls(&world), "false");
    change_detection(&world, &world.bed.dump());
    world.settled(&[]);
    world.setup(&["--change-detection", "none"]).success();
    assert_eq!(world.bed.dump()["dev"]["rules"][REGION], json!({}));
    world.settled(&[]);
}

fn where_to_deploy_is_the_actions_configuration() {
    for (flags, configuration) in [
        (&["--deploy-path", "site/"][..], json!({"Extract": "true", "ObjectKey": "site"})),
        (&["--no-extract"], json!({"Extract": "false", "ObjectKey": "sample-website.zip"})),
        (&["--no-extract", "--deploy-path", "a/b.zip"], json!({"Extract": "false", "ObjectKey": "a/b.zip"})),
    ] {
        let world = World::new();
        world.setup(flags).success();
        let pipeline = world.dev().get_pipeline(REGION, PIPELINE).unwrap()["pipeline"].clone();
        let mut found = pipeline["stages"][1]["actions"][0]["configuration"].clone();
        assert_eq!(found.as_object_mut().unwrap().shift_remove("BucketName"), Some(json!(world.output)));
        assert_eq!(found, configuration);
        world.settled(flags);
    }
}

fn missing_buckets_are_made_only_when_asked() {
    let bed = Bed::new();
    let world = World { input: bed.unique_name("made-input"), output: bed.unique_name("made-output"), bed };
    world.refused(&[], "--create-buckets");
    let artifacts = world.bed.unique_name("made-artifacts");
    let flags = ["--create-buckets", "--artifact-bucket", &artifacts];
    world.setup(&flags).success();
    let dump = world.bed.dump();
    for (side, name, versioning) in
        [("dev", &world.input, json!("Enabled")), ("prod", &world.output, Value::Null), ("dev", &artifacts, Value::Null)]
    {
        let bucket = &dump[side]["buckets"][name];
        assert_eq!((&bucket["versioning"], &bucket["tags"]), (&versioning, &world.tags()), "{name}");
        assert!(bucket["public_access_block"].as_object().unwrap().values().all(|on| on == true), "{bucket:#}");
        assert_eq!(bucket["ownership"][0]["ObjectOwnership"], "BucketOwnerEnforced");
    }
    world.settled(&flags);
    world.settled(&[]);
}

fn versioning_is_turned_on_only_when_asked() {
    let bed = Bed::new();
    let (input, output) = (bed.bucket(&bed.dev, "input"), bed.bucket(&bed.prod, "output"));
    let world = World { bed, input, output };
    world.refused(&[], "--enable-versioning");
    world.setup(&["--enable-versioning"]).success();
    assert_eq!(world.bed.dump()["dev"]["buckets"][&world.input]["versioning"], "Enabled");
    world.settled(&[]);
}

fn another_pipelines_names_carry_its_name() {
    let world = World::new();
    let flags = ["--pipeline", "web.site-2", "--object-key", "site/web.zip"];
    world.setup(&flags).success();
    let dump = world.bed.dump();
    let names = |side: &str, kind: &str| -> Vec<String> {
        let things = if ["rules", "pipelines"].contains(&kind) { &dump[side][kind][REGION] } else { &dump[side][kind] };
        things.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names("dev", "roles"), ["AWSCodePipelineServiceRole-us-east-1-web.site-2", "cwe-role-us-east-1-web.site-2"]);
    assert_eq!(names("dev", "policies"), ["assumeprods3role-web.site-2"]);
    assert_eq!(names("prod", "roles"), ["prods3role-web.site-2"]);
    assert_eq!(names("prod", "policies"), ["devkmss3access-web.site-2", "outputbucketdeployaccess-web.site-2"]);
    assert_eq!(names("dev", "rules"), ["codepipeline-web.site-2-source"]);
    assert_eq!(names("dev", "pipelines"), ["web.site-2"]);
    assert_eq!(
        dump["dev"]["rules"][REGION]["codepipeline-web.site-2-source"]["pattern"]["detail"]["object"]["key"],
        json!(["site/web.zip"])
    );
    world.settled(&flags);
}

fn principals_that_settle_late_are_waited_for() {
    let world = World::new();
    world.bed.proxy.set_propagation(Duration::from_secs(3));
    let output = world.setup(&[]).success();
    assert!(output.stderr.contains("waiting for"), "{}", output.report());
    world.bed.proxy.set_propagation(Duration::ZERO);
    world.settled(&[]);
}

fn the_region_may_be_another_than_the_profiles() {
    let bed = Bed::new();
    let input = bed.bucket_in(&bed.dev, "input", "eu-west-1", true);
    let output = bed.bucket_in(&bed.prod, "output", "eu-west-1", false);
    let world = World { bed, input, output };
    let flags = ["--region", "eu-west-1"];
    world.setup(&flags).success();
    let dump = world.bed.dump();
    let pipeline = &dump["dev"]["pipelines"]["eu-west-1"][PIPELINE]["pipeline"];
    let bucket = format!("codepipeline-eu-west-1-{}", world.dev().id);
    assert_eq!(pipeline["artifactStore"]["location"], json!(bucket));
    assert_eq!(pipeline["artifactStore"]["encryptionKey"]["id"], world.key(&dump, "eu-west-1", "s3deploykey")["arn"]);
    assert_eq!(pipeline["stages"][1]["actions"][0]["region"], "eu-west-1");
    assert_eq!(dump["dev"]["buckets"][&bucket]["region"], "eu-west-1");
    assert_eq!(dump["dev"]["keys"][REGION], json!({}));
    assert_eq!(dump["dev"]["rules"]["eu-west-1"].as_object().unwrap().len(), 1);
    assert!(dump["dev"]["roles"].get("AWSCodePipelineServiceRole-eu-west-1-crossaccountdeploy").is_some());
    world.settled(&flags);
}

/// A2.6.
fn an_output_bucket_elsewhere_gets_a_replica_key_and_a_second_store() {
    let world = World::with_output_in(Bed::new(), "eu-west-1");
    world.setup(&[]).success();
    let dump = world.bed.dump();
    let (home, away) = (world.key(&dump, REGION, "s3deploykey"), world.key(&dump, "eu-west-1", "s3deploykey"));
    assert_eq!((&home["multi_region"], &away["multi_region"]), (&json!(true), &json!(true)));
    assert_eq!(strings(&away["arn"]).concat(), strings(&home["arn"]).concat().replace(REGION, "eu-west-1"));
    same_grants(&away["policy"], &home["policy"]);
    assert_eq!((&away["tags"], &home["rotation"]), (&world.tags(), &json!(true)));

    let pipeline = &dump["dev"]["pipelines"][REGION][PIPELINE]["pipeline"];
    assert_eq!(pipeline.get("artifactStore"), None);
    let bucket = format!("codepipeline-eu-west-1-{}", world.dev().id);
    let store = |bucket: &str, key: &Value| json!({"type": "S3", "location": bucket, "encryptionKey": {"id": key["arn"], "type": "KMS"}});
    assert_eq!(pipeline["artifactStores"], json!({REGION: store(&world.artifact_bucket(), home), "eu-west-1": store(&bucket, away)}));
    assert_eq!(pipeline["stages"][1]["actions"][0]["region"], "eu-west-1");
    assert_eq!(dump["dev"]["buckets"][&bucket]["region"], "eu-west-1");
    for name in [&bucket, &world.artifact_bucket()] {
        same_grants(&dump["dev"]["buckets"][name]["policy"], &document(artifact_bucket_statements(&world, name)));
    }
    let keys = strings(&dump["prod"]["policies"]["devkmss3access"]["document"]["Statement"][0]["Resource"]);
    assert_eq!(json!(keys), json!([home["arn"], away["arn"]]));
    world.settled(&[]);
}

fn every_arn_is_of_the_callers_partition() {
    for (partition, region) in [("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-northwest-1"), ("aws", "us-east-1")] {
        let (common, flags) =
            (CommonFlags { dev_profile: Some("d".into()), prod_profile: Some("p".into()), ..CommonFlags::default() }, flags());
        let settings = Settings::resolve(&common, &flags).unwrap();
        let (writes, _) = steps::wants(&settings, &nothing_there(partition, region), None).unwrap();
        let text = serde_json::to_string(&writes).unwrap();
        let prefix = format!("arn:{partition}:");
        let wrong: Vec<&str> = text.match_indices("arn:").map(|(at, _)| &text[at..]).filter(|arn| !arn.starts_with(&prefix)).collect();
        assert!(wrong.is_empty(), "{}", wrong[0]);
        for arn in [
            "iam::111111111111:user/a/ann",
            "iam::222222222222:root",
            &format!("iam::111111111111:role/service-role/AWSCodePipelineServiceRole-{region}-crossaccountdeploy"),
            &format!("codepipeline:{region}:111111111111:crossaccountdeploy"),
            &format!("s3:::codepipeline-{region}-111111111111/*"),
            "s3:::out-bucket/*",
        ] {
            assert!(text.contains(&format!("\"{prefix}{arn}\"")), "no {prefix}{arn}");
        }
        // Services have one name in all partitions.
        assert!(text.contains("\"codepipeline.amazonaws.com\"") && text.contains("\"events.amazonaws.com\""), "{partition}");
    }
}

fn a_replica_is_not_made_without_its_administrators_and_users() {
    let mut value = serde_json::to_value(nothing_there("aws", REGION)).unwrap();
    let primary = json!({"arn": "arn:aws:kms:us-east-1:111111111111:key/mrk-1", "manager": "CUSTOMER", "spec": "SYMMETRIC_DEFAULT",
        "usage": "ENCRYPT_DECRYPT", "state": "Enabled", "multi_region": true, "primary_region": null, "policy": null, "rotation": true, "tags": {}});
    value["keys"][REGION]["found"] = primary;
    value["keys"]["eu-west-1"] = json!({"asked": "alias/s3deploykey", "from_pipeline": false, "replaces_managed_key": false,
        "alias_exists": false, "found": null});
    value["artifact_buckets"]["eu-west-1"] = json!({"name": "codepipeline-eu-west-1-111111111111", "found": null});
    value["prod"]["region"] = json!("eu-west-1");
    value["administrator"] = json!({"unknown": "iam:GetRole was denied"});
    let common = CommonFlags { dev_profile: Some("d".into()), prod_profile: Some("p".into()), ..CommonFlags::default() };
    let settings = Settings::resolve(&common, &flags()).unwrap();
    let error = steps::wants(&settings, &serde_json::from_value(value).unwrap(), None).unwrap_err();
    crate::support::compare::same(
        &crate::support::compare::printed(&error),
        snapbox::str![[r#"
error: the key's administrator could not be found out
  caused by: iam:GetRole was denied

hint: name one with `--key-administrator ARN`: an IAM user or role of the development account

"#]],
    );
}

pub fn flags() -> DeploymentFlags {
    DeploymentFlags { input_bucket: "in-bucket".parse().ok(), output_bucket: "out-bucket".parse().ok(), ..DeploymentFlags::default() }
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let mut all = trials![NOTHING;
        every_arn_is_of_the_callers_partition,
        a_replica_is_not_made_without_its_administrators_and_users,
    ];
    all.extend(trials![EMULATORS;
        a_new_setup_makes_what_the_article_describes_then_finds_no_changes,
        a_root_caller_needs_no_administrator_statement,
        the_administrator_is_the_callers_user_or_role_with_its_path,
        administrators_that_were_named_take_the_callers_place,
        polling_or_nothing_makes_no_trigger_and_is_remembered,
        change_detection_can_be_changed_later,
        where_to_deploy_is_the_actions_configuration,
        missing_buckets_are_made_only_when_asked,
        versioning_is_turned_on_only_when_asked,
        another_pipelines_names_carry_its_name,
        principals_that_settle_late_are_waited_for,
        the_region_may_be_another_than_the_profiles,
        an_output_bucket_elsewhere_gets_a_replica_key_and_a_second_store,
    ]);
    all
}
