//! CloudFormation templates: judged by cfn-lint, deployed by a small deployer of the tests', and then there is nothing left to do.

use crate::needs::{CLOUDFORMATION, NOTHING};
use crate::support::compare::same;
use crate::support::depth::sampled;
use crate::support::scene::Scene;
use crate::support::served::Served;
use crate::support::stacks::Stack;
use crate::support::stage::HOME;
use crate::support::{Bed, tools};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use snapbox::str;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use xdeploy::aws::Accounts;
use xdeploy::model::Policies;
use xdeploy::rehearsal::{DEV, PROD};

/// Two accounts, what is asked for, and a folder with the exported sheets.
struct Export {
    scene: Scene,
    served: Served,
    flags: Vec<&'static str>,
    folder: PathBuf,
}

impl Export {
    fn of(scene: Scene, flags: &[&'static str]) -> Export {
        let served = Served::around(scene.rehearsal.clone());
        let folder = served.dir.path().join("templates");
        let buckets = ["--input-bucket", "in-bucket", "--output-bucket", "out-bucket"];
        let export = Export { scene, served, flags: [&buckets[..], flags].concat(), folder };
        export.run(&["plan", "--out", "plan.json"]);
        export.run(&["export", "--format", "cloudformation", "--out", "templates"]);
        export
    }

    fn run(&self, command: &[&str]) -> String {
        self.served.run(&[command, &self.flags].concat())
    }

    fn sheet(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn template(&self, name: &str) -> Value {
        serde_json::from_str(&self.sheet(name)).unwrap()
    }

    fn templates(&self) -> BTreeMap<String, Value> {
        let names = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".json")).map(|name| (name.clone(), self.template(&name))).collect()
    }

    fn plan(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.served.dir.path().join("plan.json")).unwrap()).unwrap()
    }

    fn accounts(&self) -> Accounts {
        self.served.block_on(self.scene.accounts(&self.scene.rehearsal.line())).unwrap()
    }
}

fn fresh(target: &'static str, policies: Policies) -> Scene {
    tokio::runtime::Runtime::new().unwrap().block_on(Scene::fresh(target, policies))
}

fn adopting() -> Export {
    let scene = tokio::runtime::Runtime::new().unwrap().block_on(Scene::adopting());
    Export::of(scene, &["--change-detection", "eventbridge", "--deploy-role", "prods3role"])
}

/// Every kind of set-up, by name.
fn exports() -> Vec<(&'static str, Export)> {
    let least = ["--policies", "least-privilege"];
    vec![
        ("fresh", Export::of(fresh(HOME, Policies::Article), &[])),
        ("least privilege", Export::of(fresh(HOME, Policies::LeastPrivilege), &least)),
        ("two regions", Export::of(fresh("eu-west-1", Policies::Article), &[])),
        ("two regions, least privilege", Export::of(fresh("eu-west-1", Policies::LeastPrivilege), &least)),
        // What IAM calls a variable isn't CloudFormation's.
        ("a star in the key", Export::of(fresh(HOME, Policies::LeastPrivilege), &[&least[..], &["--object-key", "a*b.zip"]].concat())),
        ("new buckets", {
            let scene = Scene { rehearsal: xdeploy::rehearsal::Rehearsal::new("aws", HOME, HOME), ..fresh(HOME, Policies::Article) };
            Export::of(scene, &["--create-buckets"])
        }),
        ("adopting", adopting()),
    ]
}

/// One separate step, as STEPS.md tells it.
#[derive(Debug)]
struct Step {
    title: String,
    action: String,
    json: Option<Value>,
    merge: bool,
    gone: Vec<String>,
    commands: Vec<String>,
}

/// Gives what stands between two marks, and what comes behind.
fn between<'t>(text: &'t str, open: &str, close: &str) -> Option<(&'t str, &'t str)> {
    let (_, rest) = text.split_once(open)?;
    rest.split_once(close)
}

fn steps(sheet: &str) -> Vec<Step> {
    let sections = sheet.split("\n## Separate step ").skip(1).map(|section| section.split("\n## ").next().unwrap());
    sections
        .map(|section| {
            let (heading, rest) = section.split_once('\n').unwrap();
            let gone = between(rest, "Take these statements out, by Sid: ", ".\n").map(|(sids, _)| sids).unwrap_or_default();
            Step {
                title: heading.split_once(": ").unwrap().1.to_owned(),
                action: between(rest, "`", "`").unwrap().0.to_owned(),
                json: between(rest, "```json\n", "\n```").map(|(text, _)| serde_json::from_str(text).unwrap()),
                merge: rest.contains("Merge these statements"),
                gone: gone.split(", ").filter(|sid| !sid.is_empty()).map(|sid| sid.trim_matches('`').to_owned()).collect(),
                commands: between(rest, "```sh\n", "\n```").unwrap().0.lines().map(str::to_owned).collect(),
            }
        })
        .collect()
}

/// Runs lines of STEPS.md with the AWS CLI against the two accounts, in the folder of the sheets.
fn shell(export: &Export, script: &str) {
    let path = format!("{}:{}", tools().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-eu", "-o", "pipefail", "-c", script]).current_dir(&export.folder).env_clear().env("PATH", path);
    let dir = export.served.dir.path();
    command.env("HOME", dir).env("AWS_CONFIG_FILE", dir.join("config")).env("AWS_SHARED_CREDENTIALS_FILE", dir.join("credentials"));
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", export.served.port));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Does a step as somebody would by hand: saves what is to be saved, merges where the comment says so, and runs the commands.
fn do_step(export: &Export, number: usize, step: &Step, outputs: &BTreeMap<String, String>) {
    let (file, document) = (format!("step-{number}.json"), export.folder.join(format!("document-{number}.json")));
    let known = step.json.as_ref().map(|json| {
        let text = outputs.iter().fold(json.to_string(), |text, (name, value)| text.replace(&format!("<{name}>"), value));
        serde_json::from_str::<Value>(&text).unwrap()
    });
    if let Some(json) = &known {
        assert!(!json.to_string().contains("known after"), "{json}");
        fs::write(export.folder.join(&file), json.to_string()).unwrap();
    }
    let Some(at) = step.commands.iter().position(|line| line.starts_with("# merge")) else {
        return shell(export, &step.commands.join("\n"));
    };
    shell(export, &step.commands[..at].join("\n"));
    let mut there: Value = serde_json::from_str(&fs::read_to_string(&document).unwrap()).unwrap();
    let known = known.unwrap();
    if step.merge {
        let statements = there["Statement"].as_array_mut().unwrap();
        statements.retain(|there| !step.gone.iter().any(|sid| there["Sid"] == sid.as_str()));
        for ours in known.as_array().unwrap() {
            let place = statements.iter().position(|there| there["Sid"].is_string() && there["Sid"] == ours["Sid"]);
            match place {
                Some(place) => statements[place] = ours.clone(),
                None => statements.push(ours.clone()),
            }
        }
    } else {
        let members = known.as_object().unwrap().clone();
        there.as_object_mut().unwrap().extend(members);
    }
    fs::write(&document, there.to_string()).unwrap();
    shell(export, &step.commands[at + 1..].join("\n"));
}

/// The stacks of both accounts, by account, region and name.
type Stacks = BTreeMap<(String, String, String), Stack>;

/// Everything that STEPS.md says, in its order, in accounts without stacks.
fn deploy_all(export: &Export) -> (usize, Vec<String>) {
    deploy_into(export, &mut Stacks::new())
}

/// The stack that STEPS.md says to deploy a template to.
fn stack_of(sheet: &str, name: &str, template: &Value) -> (String, String, String) {
    let about = |what: &str| template["Metadata"]["xdeploy"][what].as_str().unwrap().to_owned();
    let told: BTreeSet<&str> = sheet
        .lines()
        .filter(|line| line.contains(&format!("--template-file {name} ")))
        .map(|line| between(line, "--stack-name ", " ").unwrap().0)
        .collect();
    assert_eq!(told, BTreeSet::from([about("stack").as_str()]), "{name}");
    (about("account"), about("region"), about("stack"))
}

fn deploy_into(export: &Export, stacks: &mut Stacks) -> (usize, Vec<String>) {
    let accounts = export.accounts();
    let templates = export.templates();
    let sheet = export.sheet("STEPS.md");
    let mut outputs: BTreeMap<String, String> = BTreeMap::new();
    let mut made = Vec::new();
    let mut number = 0;
    let all = steps(&sheet);
    for heading in sheet.lines().filter_map(|line| line.strip_prefix("## ")) {
        let stack = templates.iter().find(|(name, _)| heading.contains(&format!(": {name} ")));
        if let Some((name, template)) = stack {
            let account = if name.starts_with("dev") { &accounts.dev } else { &accounts.prod };
            let region = template["Metadata"]["xdeploy"]["region"].as_str().unwrap().to_owned();
            let mut given: Vec<(&str, String)> = Vec::new();
            for (parameter, about) in template["Parameters"].as_object().unwrap() {
                if parameter == "CreatePipeline" {
                    given.extend(heading.contains("with the pipeline").then(|| ("CreatePipeline", "true".to_owned())));
                } else if let Some(output) = outputs.get(parameter).filter(|_| about["Default"].as_str().unwrap_or_default().is_empty()) {
                    given.push((parameter, output.clone()));
                }
            }
            let stack = stacks.entry(stack_of(&sheet, name, template)).or_default();
            made.extend(export.served.block_on(stack.deploy(account, &region, template, &given)));
            outputs.extend(stack.outputs.clone());
            // The same again changes nothing.
            let calls = export.scene.rehearsal.log().len();
            assert_eq!(export.served.block_on(stack.deploy(account, &region, template, &given)), Vec::<String>::new());
            assert_eq!(export.scene.rehearsal.log().len(), calls);
        } else if heading.starts_with("Tags") {
            let section = sheet.split_once("\n## Tags").unwrap().1;
            shell(export, between(section, "```sh\n", "\n```").unwrap().0);
        } else if heading.starts_with("Separate step") {
            do_step(export, number + 1, &all[number], &outputs);
            number += 1;
        }
    }
    assert_eq!(number, all.len());
    // All of it again, from the first template on: nothing is made and nothing goes.
    let calls = export.scene.rehearsal.log().len();
    for (name, template) in &templates {
        let stack = stack_of(&sheet, name, template);
        let region = stack.1.clone();
        let account = if name.starts_with("dev") { &accounts.dev } else { &accounts.prod };
        let stack = stacks.get_mut(&stack).unwrap();
        assert_eq!(export.served.block_on(stack.deploy(account, &region, template, &[])), Vec::<String>::new());
    }
    assert_eq!(export.scene.rehearsal.log().len(), calls);
    (number, made)
}

fn what_is_deployed_as_the_steps_say_is_what_setup_makes() {
    for (name, export) in sampled("set-ups", exports(), 2) {
        let other = export.scene.fork();
        let (apart, made) = deploy_all(&export);
        // The notification of an input bucket that is there is somebody's.
        let expected = match name {
            "new buckets" => 0..1,
            "adopting" => 5..20,
            _ => 1..2,
        };
        assert!(expected.contains(&apart), "{name}: {apart} steps");
        assert!(made.len() > 1, "{name}: {made:?}");
        let said = export.run(&["setup", "--yes"]);
        assert!(said.contains("No changes."), "{name}\n{said}");
        let said = export.run(&["verify"]);
        assert!(said.contains(" calls allowed.\n"), "{name}\n{said}");
        if name == "new buckets" || name == "a star in the key" {
            continue;
        }
        let other = export.served.block_on(async {
            other.set_up(&other.rehearsal.line()).await.unwrap();
            other.state()
        });
        let mut found = Vec::new();
        differences("", &export.scene.state(), &other, &mut found);
        assert_eq!(found, Vec::<String>::new(), "{name}");
    }
}

/// The elements of an XML text that hold something or nothing at all, with what they hold.
fn elements(text: &str) -> BTreeSet<(String, String)> {
    let document = roxmltree::Document::parse(text).unwrap();
    let leaves = document.descendants().filter(|node| node.is_element() && !node.children().any(|child| child.is_element()));
    leaves.map(|node| (node.tag_name().name().to_owned(), node.text().unwrap_or_default().trim().to_owned())).collect()
}

/// Says where two states differ; an empty list is as good as none.
fn differences(path: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(here), Value::Object(there)) => {
            let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
            for name in names {
                differences(&format!("{path}/{name}"), &one[name], &other[name], found);
            }
        }
        (Value::Null, Value::Array(list)) | (Value::Array(list), Value::Null) if list.is_empty() => {}
        (Value::Array(here), Value::Array(there)) if here.len() == there.len() => {
            for (number, (one, other)) in here.iter().zip(there).enumerate() {
                differences(&format!("{path}/{number}"), one, other, found);
            }
        }
        _ if one == other => {}
        // Written by different programs.
        (Value::String(one), Value::String(other)) if path.ends_with("/notification") && elements(one) == elements(other) => {}
        _ => found.push(format!("{path}: {one} and {other}")),
    }
}

fn every_write_of_a_plan_is_in_one_template_or_one_step() {
    for (name, export) in sampled("set-ups", exports(), 3) {
        every_write_has_a_place(&export, name);
    }
}

fn every_write_has_a_place(export: &Export, name: &str) {
    let mut told: Vec<String> = steps(&export.sheet("STEPS.md")).into_iter().map(|step| step.title).collect();
    for template in export.templates().values() {
        for resource in template["Resources"].as_object().unwrap().values() {
            let writes = resource["Metadata"]["xdeploy"]["writes"].as_array().unwrap();
            told.extend(writes.iter().map(|title| title.as_str().unwrap().to_owned()));
        }
    }
    let saved = xdeploy::deploy::plan::Plan::load(&export.served.dir.path().join("plan.json")).unwrap();
    let mut wanted: Vec<String> = saved.writes().iter().map(|write| format!("{} {}", write.call.verb(), write.title)).collect();
    told.sort();
    wanted.sort();
    let actions: Vec<&str> = saved.writes().iter().map(|write| write.call.action()).collect();
    assert!(steps(&export.sheet("STEPS.md")).iter().all(|step| actions.contains(&step.action.as_str())), "{name}");
    assert_eq!(told, wanted, "{name}");
    assert_eq!(wanted.len(), export.plan()["writes"].as_array().unwrap().len());
}

fn cfn_lint_finds_no_error() {
    let mut command = Command::new(tools().join("cfn-lint"));
    let all = sampled("set-ups", exports(), 3);
    let mut checked = 0;
    for (_, export) in &all {
        for name in export.templates().keys() {
            command.arg(export.folder.join(name));
            checked += 1;
        }
    }
    assert!(checked >= 2 * all.len(), "{checked}");
    // W3005: that the pipeline waits for something is said although another thing waits for it as well.
    let output = command.args(["--ignore-checks", "W3005", "--non-zero-exit-code", "warning"]).output().unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // It would find one.
    let bad = all[0].1.folder.join("bad.json");
    let mut template = all[0].1.template("prod.template.json");
    template["Resources"]["DeployRole"]["Properties"]["Nonsense"] = json!(true);
    fs::write(&bad, template.to_string()).unwrap();
    assert!(!Command::new(tools().join("cfn-lint")).arg(&bad).output().unwrap().status.success());
}

fn a_side_s_sheets_are_that_side_s() {
    let export = Export::of(fresh("eu-west-1", Policies::Article), &[]);
    let sheets = |folder: &str| -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(export.served.dir.path().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    // A saved plan says as much, without asking AWS.
    let calls = export.scene.rehearsal.log().len();
    for (side, expected) in [
        ("dev", &["STEPS.md", "dev.eu-west-1.template.json", "dev.template.json"][..]),
        ("prod", &["STEPS.md", "prod.template.json"]),
        ("both", &["STEPS.md", "dev.eu-west-1.template.json", "dev.template.json", "prod.template.json"]),
    ] {
        export.served.run(&["export", "--plan", "plan.json", "--format", "cloudformation", "--side", side, "--out", side]);
        assert_eq!(sheets(side), expected);
        for name in expected {
            let text = fs::read_to_string(export.served.dir.path().join(side).join(name)).unwrap();
            if *name == "STEPS.md" {
                let other = if side == "dev" { "--profile prod" } else { "--profile dev" };
                assert!(side == "both" || !text.contains(other), "{text}");
            } else {
                assert_eq!(text, export.sheet(name), "{side} {name}");
            }
        }
    }
    assert_eq!(export.scene.rehearsal.log().len(), calls);
}

fn a_template_says_what_it_needs_and_what_it_gives() {
    let export = Export::of(fresh("eu-west-1", Policies::Article), &[]);
    let (dev, there, prod) =
        (export.template("dev.template.json"), export.template("dev.eu-west-1.template.json"), export.template("prod.template.json"));
    let defaults = |template: &Value| -> Vec<(String, Option<String>)> {
        let parameters = template["Parameters"].as_object().unwrap();
        parameters.iter().map(|(name, about)| (name.clone(), about["Default"].as_str().map(str::to_owned))).collect()
    };
    let role = format!("arn:aws:iam::{DEV}:role/service-role/AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy");
    let some = |name: &str, default: &str| (name.to_owned(), Some(default.to_owned()));
    let none = |name: &str| (name.to_owned(), None);
    let expected = [
        some("DeployRoleArn", &format!("arn:aws:iam::{PROD}:role/prods3role")),
        some("InputBucket", "in-bucket"),
        some("KeyArnEuWest1", ""),
        some("OutputBucket", "out-bucket"),
        some("CreatePipeline", "false"),
    ];
    let without_store: Vec<_> = defaults(&dev).into_iter().filter(|one| one.0 != "ArtifactBucketEuWest1").collect();
    assert_eq!(without_store, expected);
    assert_eq!(defaults(&there), [none("KeyArn"), some("ServiceRoleArn", &role)]);
    let needed: Vec<_> = defaults(&prod).into_iter().filter(|one| one.1.is_none()).map(|one| one.0).collect();
    assert_eq!(needed, ["KeyArn", "KeyArnEuWest1"]);
    let gives = |template: &Value| template["Outputs"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(gives(&dev), ["KeyArn", "ArtifactBucket", "ServiceRoleArn"]);
    assert_eq!(gives(&there), ["KeyArnEuWest1", "ArtifactBucketEuWest1"]);
    for (template, kind) in [(&dev, "AWS::KMS::Key"), (&there, "AWS::KMS::ReplicaKey"), (&dev, "AWS::S3::Bucket")] {
        let found = template["Resources"].as_object().unwrap().values().find(|one| one["Type"] == kind).unwrap();
        assert_eq!((&found["DeletionPolicy"], &found["UpdateReplacePolicy"]), (&json!("RetainExceptOnCreate"), &json!("Retain")));
    }
    assert_eq!(dev["Resources"]["Pipeline"]["Condition"], "WithPipeline");
}

/// With production's part in place already, the pipeline comes at once.
fn the_pipeline_is_not_put_off_where_production_is_ready() {
    let export = Export::of(fresh(HOME, Policies::Article), &[]);
    assert_eq!(export.template("dev.template.json")["Parameters"]["CreatePipeline"]["Default"], "false");
    deploy_all(&export);
    let dev = export.accounts().dev;
    export.served.block_on(dev.codepipeline(HOME).delete_pipeline().name("crossaccountdeploy").send()).unwrap();
    let again = export.served.dir.path().join("again");
    export.run(&["export", "--format", "cloudformation", "--out", "again"]);
    let read = |name: &str| fs::read_to_string(Path::new(&again).join(name));
    let mut names: Vec<String> = fs::read_dir(&again).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let [sheet, dev] = names.as_slice() else { panic!("{names:?}") };
    assert_eq!(sheet, "STEPS.md");
    let template: Value = serde_json::from_str(&read(dev).unwrap()).unwrap();
    assert_eq!(template["Parameters"]["CreatePipeline"]["Default"], "true");
    assert_eq!(template["Resources"].as_object().unwrap().keys().collect::<Vec<_>>(), ["Pipeline"]);
    assert_eq!(read("STEPS.md").unwrap().matches("aws cloudformation deploy").count(), 1);
    // Nothing to do is no template at all.
    export.run(&["setup", "--yes"]);
    export.run(&["export", "--format", "cloudformation", "--out", "nothing"]);
    let left: Vec<_> = fs::read_dir(export.served.dir.path().join("nothing")).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left, ["STEPS.md"]);
}

/// The templates of a later export have only what is missing: over the first stacks they would delete all else.
fn a_later_export_leaves_the_stacks_of_the_first_alone() {
    let mut export = Export::of(fresh("eu-west-1", Policies::Article), &[]);
    let mut stacks = Stacks::new();
    deploy_into(&export, &mut stacks);
    let first: BTreeSet<String> = stacks.keys().map(|stack| stack.2.clone()).collect();
    assert_eq!(first.len(), 3, "{first:?}");
    let accounts = export.accounts();
    let (dev, prod) = (&accounts.dev, &accounts.prod);
    let rule = "codepipeline-crossaccountdeploy-source";
    export.served.block_on(async {
        let targets = dev.events(HOME).list_targets_by_rule().rule(rule).send().await.unwrap();
        let ids = targets.targets().iter().map(|target| target.id().to_owned()).collect();
        dev.events(HOME).remove_targets().rule(rule).set_ids(Some(ids)).send().await.unwrap();
        dev.events(HOME).delete_rule().name(rule).send().await.unwrap();
        let policy = prod.iam_arn("policy/outputbucketdeployaccess");
        prod.iam().detach_role_policy().role_name("prods3role").policy_arn(&policy).send().await.unwrap();
        prod.iam().delete_policy().policy_arn(&policy).send().await.unwrap();
    });
    export.folder = export.served.dir.path().join("later");
    export.run(&["export", "--format", "cloudformation", "--out", "later"]);
    let (_, made) = deploy_into(&export, &mut stacks);
    assert_eq!(made, ["SourceRule", "OutputPolicy"]);
    assert!(stacks.keys().filter(|stack| !first.contains(&stack.2)).count() == 2, "{:?}", stacks.keys());
    assert!(export.templates().keys().all(|name| !["dev.template.json", "prod.template.json"].contains(&name.as_str())));
    let said = export.run(&["setup", "--yes"]);
    assert!(said.contains("No changes."), "{said}");
}

/// Two pipelines share no stack: names differ in a sign that stacks can't have, or pipelines are called alike in two regions.
fn each_pipeline_has_stacks_of_its_own() {
    let stacks = |name: &'static str| -> BTreeSet<(String, String)> {
        let export = Export::of(fresh("eu-west-1", Policies::Article), &["--pipeline", name]);
        let about = |template: &Value, what: &str| template["Metadata"]["xdeploy"][what].as_str().unwrap().to_owned();
        export.templates().values().map(|template| (about(template, "region"), about(template, "stack"))).collect()
    };
    let (dot, hyphen) = (stacks("a.b"), stacks("a-b"));
    assert_eq!((dot.len(), hyphen.len()), (3, 3));
    assert!(dot.is_disjoint(&hyphen), "{dot:?} {hyphen:?}");
    // What isn't in the pipeline's own region names it.
    let elsewhere = hyphen.iter().filter(|stack| stack.0 != HOME);
    assert!(elsewhere.map(|stack| stack.1.contains(HOME)).collect::<Vec<_>>().contains(&true));
    assert!(hyphen.iter().all(|stack| (stack.0 != HOME) == stack.1.contains(HOME)), "{hyphen:?}");
}

/// A bucket that had no policy when the plan was made may have one when the step is done.
fn a_bucket_policy_that_others_wrote_since_stays() {
    for others in [false, true] {
        let scene = fresh(HOME, Policies::Article);
        let dev = tokio::runtime::Runtime::new().unwrap().block_on(async {
            let dev = scene.accounts(&scene.rehearsal.line()).await.unwrap().dev;
            dev.s3(HOME).create_bucket().bucket("our-artifacts").send().await.unwrap();
            dev
        });
        let export = Export::of(scene, &["--artifact-bucket", "our-artifacts"]);
        let mine = json!({"Sid": "Mine", "Effect": "Allow", "Principal": {"AWS": dev.iam_arn("root")}, "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::our-artifacts/*"});
        if others {
            let policy = json!({"Version": "2012-10-17", "Statement": [mine]}).to_string();
            let dev = export.accounts().dev;
            export.served.block_on(dev.s3(HOME).put_bucket_policy().bucket("our-artifacts").policy(policy).send()).unwrap();
        }
        deploy_all(&export);
        let dev = export.accounts().dev;
        let got = export.served.block_on(dev.s3(HOME).get_bucket_policy().bucket("our-artifacts").send()).unwrap();
        let policy: Value = serde_json::from_str(got.policy().unwrap()).unwrap();
        let sids: Vec<&str> = policy["Statement"].as_array().unwrap().iter().filter_map(|one| one["Sid"].as_str()).collect();
        assert!(sids.len() > usize::from(others) && sids.contains(&"Mine") == others, "{sids:?}");
        let put = "s3api put-bucket-policy --bucket our-artifacts";
        let step = steps(&export.sheet("STEPS.md")).into_iter().find(|step| step.commands.iter().any(|line| line.contains(put))).unwrap();
        assert!(step.commands.iter().any(|line| line.starts_with("# ") && line.contains("stop here")), "{step:?}");
        let said = export.run(&["setup", "--yes"]);
        assert!(said.contains("No changes."), "{said}");
    }
}

/// The flags of each command of the AWS CLI in a text, by service and operation.
fn flags(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let joined = text.replace("\\\n", " ");
    let services = ["kms", "iam", "s3api", "events", "codepipeline"];
    let of = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| services.contains(word))?;
        let flags = words[at..].iter().filter(|word| word.starts_with("--")).map(|word| (*word).to_owned()).collect();
        Some((format!("{} {}", words[at], words.get(at + 1)?), flags))
    };
    joined.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(of).collect()
}

fn a_step_says_as_much_as_the_shell_script() {
    let export = Export::of(fresh(HOME, Policies::Article), &[]);
    export.run(&["setup", "--yes"]);
    let dev = export.accounts().dev;
    let rule = "codepipeline-crossaccountdeploy-source";
    let put = dev.events(HOME).put_rule().name(rule).event_pattern(r#"{"source":["aws.s3"]}"#);
    export.served.block_on(put.send()).unwrap();
    fs::write(export.served.dir.path().join("site.zip"), crate::support::exported::sample()).unwrap();
    export.run(&["plan", "--artifact", "site.zip", "--out", "later.json"]);
    let script = export.served.run(&["export", "--plan", "later.json", "--format", "awscli"]);
    export.served.run(&["export", "--plan", "later.json", "--format", "cloudformation", "--out", "later"]);
    let mut sheets = vec![(script, fs::read_to_string(export.served.dir.path().join("later/STEPS.md")).unwrap())];
    let adopting = adopting();
    sheets.push((adopting.served.run(&["export", "--plan", "plan.json", "--format", "awscli"]), adopting.sheet("STEPS.md")));
    // Where and whose; the script's own.
    let beside = ["--region", "--profile", "--expected-bucket-owner", "--output"];
    let mut compared = BTreeSet::new();
    for (script, sheet) in sheets {
        let script = flags(&script);
        for step in steps(&sheet) {
            for (operation, said) in flags(&step.commands.join("\n")) {
                let of_script: Vec<_> = script.iter().filter(|(of, _)| *of == operation).map(|(_, flags)| flags).collect();
                let missing = |flags: &BTreeSet<String>| flags.iter().all(|flag| said.contains(flag) || beside.contains(&flag.as_str()));
                // The script has one command for new rules and one for others.
                assert!(of_script.is_empty() || of_script.into_iter().any(missing), "{operation}: {said:?}\n{script:#?}");
                assert!(!operation.contains(" get-") || said.contains("--output"), "{operation}: {said:?}");
                compared.insert(operation);
            }
        }
    }
    for operation in ["events put-rule", "s3api put-object", "s3api get-bucket-notification-configuration", "kms put-key-policy"] {
        assert!(compared.contains(operation), "{compared:?}");
    }
}

fn several_sheets_need_a_folder() {
    let export = Export::of(fresh(HOME, Policies::Article), &[]);
    let output = export.served.try_run(&["export", "--plan", "plan.json", "--format", "cloudformation"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0));
    same(
        &String::from_utf8(output.stderr).unwrap(),
        str![[r#"
error: there are several files: dev.template.json, prod.template.json, STEPS.md

hint: pass `--out FOLDER` to write them

"#]],
    );
}

/// An emulator's own CloudFormation, which knows nothing of this program, makes of the templates what setup would.
fn another_cloudformation_takes_the_templates() {
    let bed = Bed::new();
    let input = bed.versioned_bucket(&bed.dev, "input");
    let output = bed.bucket(&bed.prod, "output");
    let flags = ["--input-bucket", &input, "--output-bucket", &output];
    let run = |command: &[&str]| bed.run(&[command, &flags[..]].concat()).success();
    run(&["export", "--format", "cloudformation", "--out", "templates"]);
    let deploy = |account: &crate::support::Account, name: &str, parameters: Value| -> Value {
        let body = fs::read_to_string(bed.dir().join("templates").join(format!("{name}.template.json"))).unwrap();
        let stack = json!({"StackName": name, "TemplateBody": body, "Parameters": parameters, "Capabilities": ["CAPABILITY_NAMED_IAM"]});
        account.call("cloudformation", "create_stack", stack);
        for _ in 0..50 {
            let told = account.call("cloudformation", "describe_stacks", json!({"StackName": name}))["Stacks"][0].clone();
            match told["StackStatus"].as_str().unwrap() {
                "CREATE_COMPLETE" => return told,
                "CREATE_IN_PROGRESS" => std::thread::sleep(std::time::Duration::from_millis(100)),
                other => panic!("{name}: {other}: {}", account.call("cloudformation", "describe_stack_events", json!({"StackName": name}))),
            }
        }
        panic!("{name} is not done");
    };
    let dev = deploy(&bed.dev, "dev", json!([{"ParameterKey": "CreatePipeline", "ParameterValue": "false"}]));
    let key = dev["Outputs"].as_array().unwrap().iter().find(|output| output["OutputKey"] == "KeyArn").unwrap()["OutputValue"].clone();
    deploy(&bed.prod, "prod", json!([{"ParameterKey": "KeyArn", "ParameterValue": key}]));
    run(&["plan", "--out", "plan.json"]);
    let plan = xdeploy::deploy::plan::Plan::load(&bed.dir().join("plan.json")).unwrap();
    let left: Vec<&str> = plan.writes().iter().map(|write| write.call.action()).collect();
    assert_eq!(left, ["s3:PutBucketNotification", "codepipeline:CreatePipeline"], "{:#?}", plan.writes());
}

/// A set-up that was stopped anywhere is finished by what is exported then: what it made is a parameter, or a step beside the templates.
fn what_a_stopped_set_up_left_is_finished() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let first = fresh("eu-west-1", Policies::Article);
    let writes = runtime.block_on(async {
        let accounts = first.accounts(&first.rehearsal.line()).await.unwrap();
        first.plan(&accounts).await.unwrap().writes().len()
    });
    assert!(writes > 25, "{writes}");
    for done in (1..writes).step_by(9) {
        let scene = fresh("eu-west-1", Policies::Article);
        runtime.block_on(async {
            let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
            let plan = scene.plan(&accounts).await.unwrap();
            let stop = std::sync::atomic::AtomicBool::new(false);
            let manner =
                xdeploy::deploy::apply::Manner { pipeline_arn: &plan.pipeline_arn(), wait_for_runs: false, listen: &|_| (), stop: &stop };
            xdeploy::deploy::apply::apply(&accounts, &plan.writes()[..done], &manner).await.unwrap();
        });
        let export = Export::of(scene, &[]);
        every_write_has_a_place(&export, &format!("after {done}"));
        deploy_all(&export);
        let said = export.run(&["setup", "--yes"]);
        assert!(said.contains("No changes."), "after {done}\n{said}");
        export.run(&["verify"]);
    }
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    let mut all = trials![NOTHING;
        several_sheets_need_a_folder,
        a_template_says_what_it_needs_and_what_it_gives,
        a_side_s_sheets_are_that_side_s,
        each_pipeline_has_stacks_of_its_own,
        a_step_says_as_much_as_the_shell_script,
        every_write_of_a_plan_is_in_one_template_or_one_step,
    ];
    all.extend(trials![CLOUDFORMATION;
        what_is_deployed_as_the_steps_say_is_what_setup_makes,
        cfn_lint_finds_no_error,
        the_pipeline_is_not_put_off_where_production_is_ready,
        a_later_export_leaves_the_stacks_of_the_first_alone,
        a_bucket_policy_that_others_wrote_since_stays,
        another_cloudformation_takes_the_templates,
        what_a_stopped_set_up_left_is_finished,
    ]);
    all
}
