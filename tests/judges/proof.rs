//! The proof on the emulated accounts: printed before a change, held against what is read afterwards, and broken by hand.

use crate::needs::EMULATORS;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use snapbox::{file, str};

use crate::support::compare::same;
use crate::support::{Action, REGION};
use crate::world::{PIPELINE, World, document};

/// The proof of a JSON document, without what only its moment has: the key's ARN that nobody knew before.
fn proof(document: &Value, member: &str, key: &str) -> Value {
    let text = document[member].to_string().replace("(known after apply: key in us-east-1)", key);
    let mut proof: Value = serde_json::from_str(&text).unwrap();
    proof.as_object_mut().unwrap().remove("assumptions");
    // What is planned before is verified after.
    proof.as_object_mut().unwrap().remove("count");
    for link in proof["links"].as_array_mut().unwrap() {
        link.as_object_mut().unwrap().remove("status");
    }
    proof
}

fn the_proof_before_apply_is_the_proof_after_it() {
    let world = World::new();
    let plan = world.command("plan", &["--output", "json"]).success().json();
    let setup = world.setup(&["--output", "json"]).success().json();
    let verify = world.command("verify", &["--output", "json"]).success().json();
    let key = setup["made"]["keys"][0].as_str().unwrap();
    let before = proof(&setup, "proof", key);
    assert_eq!(proof(&plan, "proof", key), before);
    assert_eq!(proof(&setup, "proofAfter", key), before);
    assert_eq!(proof(&verify, "proof", key), before);
    assert_eq!((&before["verdict"], &before["calls"], &before["allowed"]), (&json!("allowed"), &json!(35), &json!(35)));
    let link = before["links"].as_array().unwrap().iter().find(|link| link["name"] == "deploy-decrypt").unwrap();
    let documents: Vec<&Value> = link["because"].as_array().unwrap().iter().map(|by| &by["document"]).collect();
    let policy = format!("policy {}", world.prod_arn("policy/devkmss3access"));
    assert_eq!(json!(documents), json!([policy, format!("policy of key {key}")]));
}

fn a_default_set_up_reads_like_this() {
    let world = World::new();
    let mut told = String::new();
    for output in [world.command("plan", &[]), world.setup(&[]), world.command("verify", &[])] {
        told.push_str(&world.bed.normalise(&output.success().stdout));
        told.push_str("────\n");
    }
    assert!(!told.contains("warning") && !told.contains("failure"), "{told}");
    same(&told, file!["../snapshots/proof/a_default_set_up_reads_like_this.txt"]);
}

/// Runs verify, which must name all of this and exit so.
#[track_caller]
fn verify(world: &World, code: i32, named: &[&str]) -> String {
    let output = world.command("verify", &[]).code(code);
    for text in named {
        assert!(output.stdout.contains(text), "no `{text}`\n{}", output.stdout);
    }
    output.stdout.clone()
}

fn side(world: &World, side: &str) -> String {
    match side {
        "dev" => format!("dev ({})", world.dev().id),
        _ => format!("prod ({})", world.prod().id),
    }
}

fn what_is_broken_by_hand_is_named_and_mended() {
    let world = World::new();
    world.setup(&[]).success();
    let (dev, prod) = (world.dev().clone(), world.prod().clone());
    let (of_dev, of_prod) = (side(&world, "dev"), side(&world, "prod"));
    let settled = |named: &[&str]| {
        let text = verify(&world, 1, named);
        assert!(text.contains("`xdeploy setup` mends it"), "{text}");
        world.setup(&[]).success();
        verify(&world, 0, &["35 of 35 calls allowed."]);
    };

    let policy = json!({"RoleName": "prods3role", "PolicyArn": world.prod_arn("policy/devkmss3access")});
    prod.call("iam", "detach_role_policy", policy);
    let lacks = format!("{of_prod}, the policies of role prods3role (setup's is devkmss3access): no identity policy allows it");
    settled(&["denied     deploy-read ", "denied     deploy-decrypt ", &lacks]);

    let bucket = world.artifact_bucket();
    let policy = document(json!([{"Sid": "Mine", "Effect": "Allow", "Principal": {"AWS": world.dev_arn("root")}, "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{bucket}/*")}]));
    dev.call("s3", "put_bucket_policy", json!({"Bucket": bucket, "Policy": policy}));
    settled(&["denied     deploy-read ", &format!("{of_dev}, policy of bucket {bucket}: the resource's policy doesn't allow it")]);

    let key = dev.call("kms", "describe_key", json!({"KeyId": "alias/s3deploykey"}));
    let key = key["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let root = json!({"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {"AWS": world.dev_arn("root")},
        "Action": "kms:*", "Resource": "*"});
    dev.call("kms", "put_key_policy", json!({"KeyId": key, "PolicyName": "default", "Policy": document(json!([root]))}));
    settled(&[
        "denied     artifact-encrypt ",
        "denied     deploy-decrypt ",
        &format!("{of_dev}, policy of key {key}: the key policy doesn't allow"),
    ]);

    let trust = document(json!({"Effect": "Allow", "Principal": {"AWS": world.dev_arn("root")}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "x"}}}));
    prod.call("iam", "update_assume_role_policy", json!({"RoleName": "prods3role", "PolicyDocument": trust}));
    settled(&["denied     deploy-role ", &format!("{of_prod}, trust policy of role prods3role: the role's trust policy doesn't allow it")]);
}

fn what_setup_cannot_mend_is_named_too() {
    let world = World::new();
    world.setup(&[]).success();
    let (dev, prod) = (world.dev().clone(), world.prod().clone());
    let (of_dev, of_prod) = (side(&world, "dev"), side(&world, "prod"));

    let deny = json!({"Sid": "OnlyOurNetwork", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
        "Resource": format!("arn:aws:s3:::{}/*", world.output)});
    prod.call("s3", "put_bucket_policy", json!({"Bucket": world.output, "Policy": document(json!([deny]))}));
    let denies = format!("{of_prod}, policy of bucket {}: OnlyOurNetwork denies it", world.output);
    verify(&world, 1, &["denied     output-write ", &denies]);
    // Nothing to change, and still broken.
    let output = world.setup(&[]).code(1);
    assert!(output.stdout.contains("No changes.") && output.stdout.contains(&denies), "{}", output.report());

    // What hangs on the network that CodePipeline comes from can't be told.
    let mut unsure = deny.clone();
    unsure["Condition"] = json!({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}});
    prod.call("s3", "put_bucket_policy", json!({"Bucket": world.output, "Policy": document(json!([unsure]))}));
    verify(&world, 5, &["unknown    output-write ", "it hangs on aws:sourcevpce"]);
    world.setup(&[]).success();
    prod.call("s3", "delete_bucket_policy", json!({"Bucket": world.output}));

    let limit = document(json!({"Effect": "Allow", "NotAction": "sts:AssumeRole", "Resource": "*"}));
    let made = dev.call("iam", "create_policy", json!({"PolicyName": "limit", "PolicyDocument": limit}));
    let arn = made["Policy"]["Arn"].as_str().unwrap();
    let role = world.service_role().rsplit('/').next().unwrap().to_owned();
    dev.call("iam", "put_role_permissions_boundary", json!({"RoleName": role, "PermissionsBoundary": arn}));
    verify(&world, 1, &["denied     deploy-role ", &format!("{of_dev}, permissions boundary {arn} of role {role}")]);
    dev.call("iam", "delete_role_permissions_boundary", json!({"RoleName": role}));

    // A policy that somebody attached to a role of ours counts.
    let deny = document(json!({"Sid": "Guard", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}));
    let made = prod.call("iam", "create_policy", json!({"PolicyName": "guard", "PolicyDocument": deny}));
    let arn = made["Policy"]["Arn"].as_str().unwrap();
    prod.call("iam", "attach_role_policy", json!({"RoleName": "prods3role", "PolicyArn": arn}));
    verify(&world, 1, &["denied     output-write ", &format!("{of_prod}, policy {arn}: Guard denies it")]);
    prod.call("iam", "detach_role_policy", json!({"RoleName": "prods3role", "PolicyArn": arn}));

    dev.call("s3", "put_bucket_versioning", json!({"Bucket": world.input, "VersioningConfiguration": {"Status": "Suspended"}}));
    verify(&world, 1, &["failure: versioning of input bucket", "is suspended", "`xdeploy setup` would refuse to change anything"]);
    dev.call("s3", "put_bucket_versioning", json!({"Bucket": world.input, "VersioningConfiguration": {"Status": "Enabled"}}));

    let key = dev.call("kms", "describe_key", json!({"KeyId": "alias/s3deploykey"}));
    let key = key["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    dev.call("kms", "disable_key", json!({"KeyId": key}));
    verify(&world, 1, &["denied     deploy-decrypt ", &format!("key {key} ({}): key {key} is Disabled", dev.id)]);
    dev.call("kms", "enable_key", json!({"KeyId": key}));
    verify(&world, 0, &["35 of 35 calls allowed."]);

    // The store names a key of another region, where the pipeline's has none of that id.
    let whole = dev.get_pipeline(REGION, PIPELINE).unwrap()["pipeline"].clone();
    let mut pipeline = whole.clone();
    let elsewhere = key.replace(REGION, "eu-west-1");
    pipeline["artifactStore"]["encryptionKey"]["id"] = json!(elsewhere);
    dev.put_pipeline(REGION, &pipeline);
    let absent = format!("key of the artifact store in {REGION} ({}): there is no key {elsewhere} in {REGION}", dev.id);
    verify(&world, 1, &["denied     deploy-decrypt ", &absent, "`xdeploy setup` would refuse to change anything"]);
    dev.put_pipeline(REGION, &whole);

    // The role of the deploy action is not what it was.
    let mut pipeline = dev.get_pipeline(REGION, PIPELINE).unwrap()["pipeline"].clone();
    pipeline["stages"][1]["actions"][0]["roleArn"] = json!(world.prod_arn("role/service-role/prods3role"));
    dev.put_pipeline(REGION, &pipeline);
    let real = format!("its real ARN is {}", world.deploy_role());
    verify(&world, 1, &["denied     deploy-role ", &real]);
}

fn a_plan_that_would_not_work_is_not_applied_unasked() {
    let world = World::new();
    let deny = json!({"Sid": "Locked", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
        "Resource": format!("arn:aws:s3:::{}/*", world.output)});
    world.prod().call("s3", "put_bucket_policy", json!({"Bucket": world.output, "Policy": document(json!([deny]))}));
    let plan = world.command("plan", &["--out", "plan", "--detailed-exitcode"]).code(1);
    assert!(plan.stdout.contains("34 of 35 calls allowed after this plan, 1 denied."), "{}", plan.report());
    for output in [world.setup(&[]).code(3), world.bed.run(&["apply", "plan"]).code(3)] {
        let error = output.stderr.find("error: ").unwrap_or_else(|| panic!("{}", output.report()));
        same(
            &output.stderr[error..],
            str![[r#"
error: the deployment would still fail after this plan; nothing was changed

hint: the proof above says which call is denied, by what, and what would allow it
hint: pass `--accept-broken` to apply the plan all the same

"#]],
        );
        assert!(output.stdout.contains("Locked denies it"), "{}", output.report());
    }
    world.nothing_written();
    world.setup(&["--dry-run"]).code(1);
    let output = world.bed.run(&["apply", "plan", "--accept-broken"]).success();
    assert!(output.stdout.contains("34 of 35 calls allowed as read back, 1 denied."), "{}", output.report());
    world.command("verify", &[]).code(1);
}

fn what_the_organisation_says_counts_where_it_can_be_read() {
    let world = World::new();
    world.setup(&[]).success();
    let prod = world.prod().clone();
    // In the emulator each account has an organisation of its own and may read it.
    let limit = document(json!({"Sid": "NoUploads", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}));
    let made = prod.call(
        "organizations",
        "create_policy",
        json!({"Name": "no-uploads", "Description": "x", "Type": "SERVICE_CONTROL_POLICY", "Content": limit.to_string()}),
    );
    let id = made["Policy"]["PolicySummary"]["Id"].clone();
    let root = prod.call("organizations", "list_roots", json!({}));
    let root = root["Roots"][0]["Id"].as_str().unwrap().to_owned();
    prod.call("organizations", "attach_policy", json!({"PolicyId": id, "TargetId": root}));
    // Its management account is itself, which no policy limits, unless nobody may say so.
    verify(&world, 0, &["35 of 35 calls allowed."]);
    world.bed.proxy.on_request(|request| match request.is("DescribeOrganization") {
        true => Action::json_error(400, "AccessDeniedException", "You don't have permissions to access this resource."),
        false => Action::Forward,
    });
    let of_prod = side(&world, "prod");
    verify(
        &world,
        1,
        &["denied     output-write ", &format!("{of_prod}, service control policy no-uploads on {root}: NoUploads denies it")],
    );
    prod.call("organizations", "detach_policy", json!({"PolicyId": id, "TargetId": root}));
    verify(&world, 0, &["35 of 35 calls allowed."]);

    // Mostly it can't: then that is an assumption, and not good enough for --strict.
    world.bed.proxy.on_request(|request| match request.service == "organizations" {
        true => Action::json_error(400, "AccessDeniedException", "You don't have permissions to access this resource."),
        false => Action::Forward,
    });
    let text = verify(&world, 0, &["35 of 35 calls allowed."]);
    let assumed: Vec<&str> = text.lines().filter(|line| line.starts_with("assumed: ")).collect();
    assert!(!assumed.is_empty() && assumed[0].contains("AccessDeniedException"), "{text}");
    let output = world.command("verify", &["--strict", "--output", "json"]).code(5).json();
    assert_eq!(output["proof"]["verdict"], "allowed");
    world.command("plan", &["--strict"]).code(5);
}

fn iams_own_simulator_is_a_second_opinion() {
    let world = World::new();
    world.setup(&[]).success();
    let output = world.command("verify", &["--second-opinion", "--output", "json"]).success().json();
    let opinions = output["secondOpinion"].as_array().unwrap().clone();
    let of_role = |role: &str| opinions.iter().filter(|opinion| opinion["role"] == role).cloned().collect::<Vec<_>>();
    let deploy = of_role(&world.deploy_role());
    assert!(deploy.len() > 10 && deploy.iter().all(|opinion| opinion["agrees"] == true), "{deploy:#?}");
    // The emulator's simulator doesn't find the policies of a role with a path: that is printed and not hidden.
    let service = of_role(&world.service_role());
    assert!(service.iter().any(|opinion| opinion["agrees"] == false), "the emulator has learnt paths: {service:#?}");
    let text = verify_with(&world, &["--second-opinion"], 0);
    let told = format!("second opinion: deploy-role: IAM says implicitly-denied of {}, xdeploy says allowed", world.service_role());
    assert!(text.contains(&told), "{text}");

    // A role that lost a policy: both see it.
    let policy = json!({"RoleName": "prods3role", "PolicyArn": world.prod_arn("policy/devkmss3access")});
    world.prod().call("iam", "detach_role_policy", policy);
    let output = world.command("verify", &["--second-opinion", "--output", "json"]).code(1).json();
    let both = json!({"link": "deploy-read", "role": world.deploy_role(), "ours": "implicitly-denied",
        "theirs": {"known": "implicitly-denied"}, "agrees": true});
    assert!(output["secondOpinion"].as_array().unwrap().contains(&both), "{output:#}");

    // Nobody to ask is said, and fails nothing.
    world.setup(&[]).success();
    world.bed.proxy.on_request(|request| match request.is("SimulatePrincipalPolicy") {
        true => Action::query_error(403, "AccessDenied", "User is not authorized to perform: iam:SimulatePrincipalPolicy"),
        false => Action::Forward,
    });
    let text = verify_with(&world, &["--second-opinion"], 0);
    assert!(text.contains("second opinion: IAM could not be asked: ") && text.contains("agrees on the roles' side of 0 of"), "{text}");
}

fn verify_with(world: &World, more: &[&str], code: i32) -> String {
    world.command("verify", more).code(code).stdout.clone()
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        the_proof_before_apply_is_the_proof_after_it,
        a_default_set_up_reads_like_this,
        what_is_broken_by_hand_is_named_and_mended,
        what_setup_cannot_mend_is_named_too,
        a_plan_that_would_not_work_is_not_applied_unasked,
        what_the_organisation_says_counts_where_it_can_be_read,
        iams_own_simulator_is_a_second_opinion,
    ]
}
