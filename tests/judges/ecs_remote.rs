//! `ecs-check --profile` against an emulator's ECS and IAM: the tasks of a host's folder are tasks of the emulated account.

use super::tree::{Kind, METRICS, Tree, WEB};
use crate::needs::EMULATORS;
use crate::support::Bed;
use libtest_mimic::Trial;
use serde_json::{Value, json};

/// A task of the emulated account with a role, and the folder of a host that runs it.
struct Scene {
    bed: Bed,
    tree: Tree,
}

const PASS: &str = "ecs-tasks.amazonaws.com";

fn trust(service: &str) -> String {
    let allow = json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"});
    json!({"Version": "2012-10-17", "Statement": [allow]}).to_string()
}

impl Scene {
    fn new(service: &str, definition: &Value, overrides: &Value) -> Scene {
        let bed = Bed::new();
        for name in ["app", "other", "execution"] {
            let trust = if name == "app" { trust(service) } else { trust(PASS) };
            bed.dev.call("iam", "create_role", json!({"RoleName": name, "AssumeRolePolicyDocument": trust, "Path": "/apps/"}));
        }
        bed.dev.call("ecs", "create_cluster", json!({"clusterName": "web"}));
        let text = definition.to_string().replace("ACCOUNT", &bed.dev.id);
        let mut definition: Value = serde_json::from_str(&text).unwrap();
        definition["family"] = json!("web");
        definition["containerDefinitions"] = json!([{"name": "app", "image": "app:1", "memory": 64}]);
        bed.dev.call("ecs", "register_task_definition", definition);
        let overrides: Value = serde_json::from_str(&overrides.to_string().replace("ACCOUNT", &bed.dev.id)).unwrap();
        let started = bed.dev.call("ecs", "run_task", json!({"cluster": "web", "taskDefinition": "web", "overrides": overrides}));
        let task = started["tasks"][0]["taskArn"].as_str().unwrap().to_owned();
        let tree = Tree::healthy(Kind::AmazonLinux2023);
        tree.container(WEB.0, |document| document["Config"]["Labels"]["com.amazonaws.ecs.task-arn"] = json!(task));
        // This host runs one task.
        for name in [METRICS.0, super::tree::API.0] {
            tree.container(name, |document| document["State"]["Running"] = json!(false));
        }
        Scene { bed, tree }
    }

    fn check(&self, more: &[&str]) -> Value {
        let root = self.tree.path().to_str().unwrap().to_owned();
        let mut arguments = vec!["ecs-check", "--root", &root, "--profile", "dev", "--output", "json"];
        arguments.extend(more);
        let output = self.bed.xdeploy(&arguments);
        let document = output.json();
        let _ = output.code(i32::try_from(document["exitCode"].as_i64().unwrap()).unwrap());
        document
    }
}

fn finding<'d>(document: &'d Value, id: &str) -> &'d Value {
    document["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("{id}: {document:#}"))
}

fn outcome(document: &Value, id: &str) -> String {
    finding(document, id)["outcome"].as_str().unwrap().to_owned()
}

fn a_task_role_is_read_and_judged() {
    let scene = Scene::new(
        "ec2.amazonaws.com",
        &json!({"taskRoleArn": "arn:aws:iam::ACCOUNT:role/apps/app", "executionRoleArn": "arn:aws:iam::ACCOUNT:role/apps/execution"}),
        &json!({}),
    );
    let needs = ["--needs", "s3:GetObject=arn:aws:s3:::assets/x"];
    let document = scene.check(&needs);
    assert_eq!(outcome(&document, "XD-ECS-022"), "pass");
    assert_eq!(outcome(&document, "XD-ECS-020"), "fail", "{document:#}");
    assert!(finding(&document, "XD-ECS-020")["evidence"][0].as_str().unwrap().contains("an instance's role"));
    assert_eq!(outcome(&document, "XD-ECS-071"), "pass");
    assert_eq!(outcome(&document, "XD-ECS-023"), "fail");
    assert_eq!(document["containers"][0]["verdict"]["identity"], "task-role");
    let role = format!("arn:aws:iam::{}:role/apps/app", scene.bed.dev.id);
    assert_eq!(document["containers"][0]["verdict"]["role"], json!(role));

    // Mended: trusted, and allowed inline and by an attached policy.
    scene.bed.dev.call("iam", "update_assume_role_policy", json!({"RoleName": "app", "PolicyDocument": trust(PASS)}));
    let allow =
        |action: &str| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}).to_string();
    scene.bed.dev.call("iam", "put_role_policy", json!({"RoleName": "app", "PolicyName": "read", "PolicyDocument": allow("s3:Get*")}));
    let made = scene.bed.dev.call("iam", "create_policy", json!({"PolicyName": "queue", "PolicyDocument": allow("sqs:SendMessage")}));
    scene.bed.dev.call("iam", "attach_role_policy", json!({"RoleName": "app", "PolicyArn": made["Policy"]["Arn"]}));
    let queue = format!("sqs:SendMessage=arn:aws:sqs:us-east-1:{}:jobs", scene.bed.dev.id);
    let document = scene.check(&["--needs", "s3:GetObject=arn:aws:s3:::assets/x", "--needs", &queue]);
    assert_eq!(outcome(&document, "XD-ECS-020"), "pass", "{document:#}");
    let allowed: Vec<&Value> = document["findings"].as_array().unwrap().iter().filter(|finding| finding["id"] == "XD-ECS-023").collect();
    assert!(allowed.len() == 2 && allowed.iter().all(|finding| finding["outcome"] == "pass"), "{allowed:#?}");
}

fn an_override_wins_and_a_missing_role_is_named() {
    let scene = Scene::new(
        PASS,
        &json!({"taskRoleArn": "arn:aws:iam::ACCOUNT:role/apps/app"}),
        &json!({"taskRoleArn": "arn:aws:iam::ACCOUNT:role/gone"}),
    );
    let document = scene.check(&[]);
    assert_eq!(outcome(&document, "XD-ECS-022"), "fail", "{document:#}");
    assert!(finding(&document, "XD-ECS-071")["message"].as_str().unwrap().contains("override"), "{document:#}");
}

fn an_execution_role_alone_is_the_commonest_mistake() {
    let scene = Scene::new(PASS, &json!({"executionRoleArn": "arn:aws:iam::ACCOUNT:role/apps/execution"}), &json!({}));
    scene.tree.without_variable(WEB, "AWS_CONTAINER");
    let document = scene.check(&[]);
    assert_eq!(outcome(&document, "XD-ECS-071"), "fail", "{document:#}");
    assert_eq!(finding(&document, "XD-ECS-070")["followsFrom"], json!(["XD-ECS-071"]));
}

fn what_may_not_be_read_is_told_and_stops_nothing() {
    let scene = Scene::new(PASS, &json!({"taskRoleArn": "arn:aws:iam::ACCOUNT:role/apps/app"}), &json!({}));
    scene.bed.proxy.on_request(|request| match request.is("DescribeTaskDefinition") {
        true => crate::support::Action::DropBefore,
        false => crate::support::Action::Forward,
    });
    let document = scene.check(&[]);
    assert_eq!(outcome(&document, "XD-ECS-071"), "cannot-tell", "{document:#}");
    assert_eq!(document["containers"][0]["verdict"]["identity"], "task-role");
}

fn a_profile_that_is_none_is_exit_4() {
    let bed = Bed::new();
    let tree = Tree::healthy(Kind::AmazonLinux2023);
    let root = tree.path().to_str().unwrap();
    let out = bed.xdeploy(&["ecs-check", "--root", root, "--profile", "deb"]).code(4);
    snapbox::assert_data_eq!(
        out.stderr.clone(),
        snapbox::str![[r#"
error: there is no AWS profile `deb`

hint: did you mean `--profile dev`?

"#]]
    );
    // What isn't asked for needs no profile, and what is can't do without.
    let _ = bed.xdeploy(&["ecs-check", "--root", root, "--profile", "deb", "--no-aws"]).code(0);
    let _ = bed.xdeploy(&["ecs-check", "--root", root, "--needs", "s3:GetObject=arn:aws:s3:::x/y"]).code(64);
    for wrong in ["s3:GetObject", "s3:Get*=*", "getobject=*", "s3:GetObject=bucket"] {
        let _ = bed.xdeploy(&["ecs-check", "--root", root, "--profile", "dev", "--needs", wrong]).code(64);
    }
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        a_task_role_is_read_and_judged,
        an_override_wins_and_a_missing_role_is_named,
        an_execution_role_alone_is_the_commonest_mistake,
        what_may_not_be_read_is_told_and_stops_nothing,
        a_profile_that_is_none_is_exit_4,
    ]
}
