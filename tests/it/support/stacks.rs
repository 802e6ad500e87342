//! A small CloudFormation: reads a template, resolves it, and makes the calls that the resources stand for.
//!
//! It knows the types that xdeploy exports and nothing of xdeploy. What is there with the same properties is left alone, and what
//! would have to be replaced is a failure, since a template of xdeploy's never asks for that.

use aws_sdk_codepipeline::types as pipelines;
use aws_sdk_iam::types::Tag;
use aws_sdk_s3::types as s3;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use xdeploy::aws::Account;

/// A stack of one account and region.
#[derive(Default)]
pub struct Stack {
    made: BTreeMap<String, Made>,
    /// What was given the last time is given again, as `aws cloudformation deploy` does.
    given: Parameters,
    pub outputs: BTreeMap<String, String>,
}

struct Made {
    properties: Value,
    /// What `Ref` gives.
    id: String,
    arn: String,
}

type Parameters = BTreeMap<String, String>;

impl Stack {
    /// Deploys a template, and gives the logical ids of the resources that it made.
    pub async fn deploy(&mut self, account: &Account, region: &str, template: &Value, given: &[(&str, String)]) -> Vec<String> {
        let mut parameters = Parameters::new();
        for (name, about) in members(&template["Parameters"]) {
            let said = given.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone());
            let said = said.or_else(|| self.given.get(name).cloned());
            let value = said.or_else(|| about["Default"].as_str().map(str::to_owned));
            parameters.insert(name.clone(), value.unwrap_or_else(|| panic!("parameter {name} has no value")));
        }
        for (name, _) in given {
            assert!(parameters.contains_key(*name), "the template has no parameter {name}");
        }
        self.given.clone_from(&parameters);
        let resources: BTreeMap<&String, &Value> = members(&template["Resources"])
            .filter(|(_, resource)| {
                let condition = resource.get("Condition").and_then(Value::as_str);
                condition.is_none_or(|name| holds(&template["Conditions"][name], &parameters))
            })
            .collect();
        let gone: Vec<&String> = self.made.keys().filter(|id| !resources.contains_key(id)).collect();
        assert!(gone.is_empty(), "{gone:?} would be deleted");
        let mut order = Vec::new();
        let mut left: BTreeSet<&String> = resources.keys().copied().collect();
        // A resource comes as soon as all that it names is there; CloudFormation refuses a circle as well.
        while !left.is_empty() {
            let ready = left.iter().find(|id| waits_for(resources[**id]).iter().all(|other| !left.iter().any(|one| *one == other)));
            let ready = *ready.unwrap_or_else(|| panic!("these depend on each other: {left:?}"));
            left.remove(ready);
            order.push(ready);
        }
        let mut fresh = Vec::new();
        for id in order {
            let resource = resources[id];
            let properties = self.resolved(&resource["Properties"], &parameters);
            if let Some(there) = self.made.get(id) {
                assert_eq!(there.properties, properties, "{id} would be changed");
                continue;
            }
            let (made_id, arn) = make(account, region, resource["Type"].as_str().unwrap(), &properties).await;
            self.made.insert(id.clone(), Made { properties, id: made_id, arn });
            fresh.push(id.clone());
        }
        for (name, output) in members(&template["Outputs"]) {
            let value = self.resolved(&output["Value"], &parameters);
            self.outputs.insert(name.clone(), value.as_str().unwrap().to_owned());
        }
        fresh
    }

    fn resolved(&self, value: &Value, parameters: &Parameters) -> Value {
        match value {
            Value::Object(map) if map.len() == 1 => {
                let (name, argument) = map.iter().next().unwrap();
                match name.as_str() {
                    "Ref" => json!(self.named(argument.as_str().unwrap(), parameters)),
                    "Fn::GetAtt" => json!(self.attribute(argument[0].as_str().unwrap(), argument[1].as_str().unwrap())),
                    "Fn::Sub" => json!(self.substituted(argument.as_str().unwrap(), parameters)),
                    other if other.starts_with("Fn::") => panic!("{other} is not known here"),
                    _ => Value::Object(self.all(map, parameters)),
                }
            }
            Value::Object(map) => Value::Object(self.all(map, parameters)),
            Value::Array(list) => list.iter().map(|one| self.resolved(one, parameters)).collect(),
            other => other.clone(),
        }
    }

    fn all(&self, map: &Map<String, Value>, parameters: &Parameters) -> Map<String, Value> {
        map.iter().map(|(name, value)| (name.clone(), self.resolved(value, parameters))).collect()
    }

    fn named(&self, name: &str, parameters: &Parameters) -> String {
        let value = parameters.get(name).or_else(|| self.made.get(name).map(|made| &made.id));
        value.unwrap_or_else(|| panic!("nothing is called {name}")).clone()
    }

    fn attribute(&self, id: &str, attribute: &str) -> String {
        assert_eq!(attribute, "Arn", "{id}");
        self.made.get(id).unwrap_or_else(|| panic!("{id} is not made")).arn.clone()
    }

    fn substituted(&self, text: &str, parameters: &Parameters) -> String {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, behind) = after.split_once('}').unwrap_or_else(|| panic!("`{text}` has no end"));
            result.push_str(before);
            match (name.strip_prefix('!'), name.split_once('.')) {
                (Some(literal), _) => result.push_str(&format!("${{{literal}}}")),
                (None, Some((id, attribute))) => result.push_str(&self.attribute(id, attribute)),
                (None, None) => result.push_str(&self.named(name, parameters)),
            }
            rest = behind;
        }
        result + rest
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn holds(condition: &Value, parameters: &Parameters) -> bool {
    let sides = condition["Fn::Equals"].as_array().unwrap_or_else(|| panic!("{condition} is not known here"));
    let value = |side: &Value| match side.get("Ref").and_then(Value::as_str) {
        Some(name) => parameters[name].clone(),
        None => side.as_str().unwrap().to_owned(),
    };
    value(&sides[0]) == value(&sides[1])
}

/// Everything that a resource names, also what are no resources.
fn waits_for(resource: &Value) -> BTreeSet<String> {
    let mut found: BTreeSet<String> =
        resource["DependsOn"].as_array().into_iter().flatten().map(|id| id.as_str().unwrap().to_owned()).collect();
    let mut next = vec![&resource["Properties"]];
    while let Some(value) = next.pop() {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    match name.as_str() {
                        "Ref" => drop(found.insert(value.as_str().unwrap().to_owned())),
                        "Fn::GetAtt" => drop(found.insert(value[0].as_str().unwrap().to_owned())),
                        "Fn::Sub" => {
                            let names = value.as_str().unwrap().split("${").skip(1).filter_map(|part| part.split(['}', '.']).next());
                            found.extend(names.filter(|name| !name.starts_with('!')).map(str::to_owned));
                        }
                        _ => next.push(value),
                    }
                }
            }
            Value::Array(list) => next.extend(list),
            _ => {}
        }
    }
    found
}

fn text<'a>(properties: &'a Value, name: &str) -> &'a str {
    properties[name].as_str().unwrap_or_else(|| panic!("{name} of {properties}"))
}

fn tags(properties: &Value) -> Vec<(&str, &str)> {
    properties["Tags"].as_array().into_iter().flatten().map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect()
}

/// Refuses properties that the deployer would leave out without a word.
fn only(kind: &str, properties: &Value, known: &[&str]) {
    for (name, _) in members(properties) {
        assert!(known.contains(&name.as_str()), "{kind} has {name}, which is not known here");
    }
}

async fn make(account: &Account, region: &str, kind: &str, properties: &Value) -> (String, String) {
    match kind {
        "AWS::KMS::Key" | "AWS::KMS::ReplicaKey" => key(account, region, kind, properties).await,
        "AWS::KMS::Alias" => {
            only(kind, properties, &["AliasName", "TargetKeyId"]);
            let (alias, key) = (text(properties, "AliasName"), text(properties, "TargetKeyId"));
            account.kms(region).create_alias().alias_name(alias).target_key_id(key).send().await.unwrap();
            (alias.to_owned(), String::new())
        }
        "AWS::IAM::Role" => role(account, properties).await,
        "AWS::IAM::RolePolicy" => {
            only(kind, properties, &["RoleName", "PolicyName", "PolicyDocument"]);
            let put = account.iam().put_role_policy().role_name(text(properties, "RoleName")).policy_name(text(properties, "PolicyName"));
            put.policy_document(properties["PolicyDocument"].to_string()).send().await.unwrap();
            (text(properties, "PolicyName").to_owned(), String::new())
        }
        "AWS::IAM::ManagedPolicy" => managed_policy(account, properties).await,
        "AWS::S3::Bucket" => bucket(account, region, properties).await,
        "AWS::S3::BucketPolicy" => {
            only(kind, properties, &["Bucket", "PolicyDocument"]);
            let (bucket, policy) = (text(properties, "Bucket"), properties["PolicyDocument"].to_string());
            account.s3(region).put_bucket_policy().bucket(bucket).policy(policy).send().await.unwrap();
            (bucket.to_owned(), String::new())
        }
        "AWS::Events::Rule" => rule(account, region, properties).await,
        "AWS::CodePipeline::Pipeline" => pipeline(account, region, properties).await,
        other => panic!("{other} is not known here"),
    }
}

async fn key(account: &Account, region: &str, kind: &str, properties: &Value) -> (String, String) {
    only(kind, properties, &["Description", "EnableKeyRotation", "KeyPolicy", "MultiRegion", "PrimaryKeyArn", "Tags"]);
    let tag = |(key, value): (&str, &str)| aws_sdk_kms::types::Tag::builder().tag_key(key).tag_value(value).build().unwrap();
    let tags: Vec<_> = tags(properties).into_iter().map(tag).collect();
    let (policy, description) = (properties["KeyPolicy"].to_string(), text(properties, "Description"));
    if let Some(primary) = properties["PrimaryKeyArn"].as_str() {
        let home = primary.split(':').nth(3).unwrap();
        let id = primary.rsplit('/').next().unwrap();
        let replicate = account.kms(home).replicate_key().key_id(id).replica_region(region).policy(policy).description(description);
        let made = replicate.set_tags(Some(tags)).send().await.unwrap();
        let made = made.replica_key_metadata().unwrap();
        // The state is `Creating` for some calls.
        while account
            .kms(region)
            .describe_key()
            .key_id(made.key_id())
            .send()
            .await
            .map_or(true, |got| got.key_metadata().and_then(|key| key.key_state()).is_some_and(|state| state.as_str() == "Creating"))
        {
        }
        return (made.key_id().to_owned(), made.arn().unwrap().to_owned());
    }
    let create = account.kms(region).create_key().policy(policy).description(description).set_tags(Some(tags));
    let made = create.multi_region(properties["MultiRegion"] == true).send().await.unwrap();
    let made = made.key_metadata().unwrap();
    if properties["EnableKeyRotation"] == true {
        account.kms(region).enable_key_rotation().key_id(made.key_id()).send().await.unwrap();
    }
    (made.key_id().to_owned(), made.arn().unwrap().to_owned())
}

async fn role(account: &Account, properties: &Value) -> (String, String) {
    let known = ["RoleName", "Path", "Description", "AssumeRolePolicyDocument", "Policies", "ManagedPolicyArns", "Tags"];
    only("AWS::IAM::Role", properties, &known);
    let (iam, name) = (account.iam(), text(properties, "RoleName"));
    let tag = |(key, value): (&str, &str)| Tag::builder().key(key).value(value).build().unwrap();
    let tags: Vec<Tag> = tags(properties).into_iter().map(tag).collect();
    let create = iam.create_role().role_name(name).path(text(properties, "Path")).description(text(properties, "Description"));
    let create = create.assume_role_policy_document(properties["AssumeRolePolicyDocument"].to_string());
    let made = create.set_tags(Some(tags)).send().await.unwrap();
    for policy in properties["Policies"].as_array().into_iter().flatten() {
        let put = iam.put_role_policy().role_name(name).policy_name(text(policy, "PolicyName"));
        put.policy_document(policy["PolicyDocument"].to_string()).send().await.unwrap();
    }
    for arn in properties["ManagedPolicyArns"].as_array().into_iter().flatten() {
        iam.attach_role_policy().role_name(name).policy_arn(arn.as_str().unwrap()).send().await.unwrap();
    }
    (name.to_owned(), made.role().unwrap().arn().to_owned())
}

async fn managed_policy(account: &Account, properties: &Value) -> (String, String) {
    only("AWS::IAM::ManagedPolicy", properties, &["ManagedPolicyName", "Path", "Description", "PolicyDocument", "Roles"]);
    let iam = account.iam();
    let create = iam.create_policy().policy_name(text(properties, "ManagedPolicyName")).path(text(properties, "Path"));
    let create = create.description(text(properties, "Description")).policy_document(properties["PolicyDocument"].to_string());
    let arn = create.send().await.unwrap().policy().unwrap().arn().unwrap().to_owned();
    for role in properties["Roles"].as_array().into_iter().flatten() {
        iam.attach_role_policy().role_name(role.as_str().unwrap()).policy_arn(&arn).send().await.unwrap();
    }
    (arn.clone(), arn)
}

async fn bucket(account: &Account, region: &str, properties: &Value) -> (String, String) {
    let known = [
        "BucketName",
        "OwnershipControls",
        "PublicAccessBlockConfiguration",
        "BucketEncryption",
        "VersioningConfiguration",
        "NotificationConfiguration",
        "Tags",
    ];
    only("AWS::S3::Bucket", properties, &known);
    let (client, name) = (account.s3(region), text(properties, "BucketName"));
    let tags = tags(properties).into_iter().map(|(key, value)| s3::Tag::builder().key(key).value(value).build().unwrap()).collect();
    let mut configuration = s3::CreateBucketConfiguration::builder().set_tags(Some(tags));
    if region != "us-east-1" {
        configuration = configuration.location_constraint(region.into());
    }
    let create = client.create_bucket().bucket(name).create_bucket_configuration(configuration.build());
    let ownership = text(&properties["OwnershipControls"]["Rules"][0], "ObjectOwnership");
    create.object_ownership(ownership.into()).send().await.unwrap();
    let block = &properties["PublicAccessBlockConfiguration"];
    if block.is_object() {
        let on = |name: &str| block[name] == true;
        let block = s3::PublicAccessBlockConfiguration::builder()
            .block_public_acls(on("BlockPublicAcls"))
            .block_public_policy(on("BlockPublicPolicy"))
            .ignore_public_acls(on("IgnorePublicAcls"))
            .restrict_public_buckets(on("RestrictPublicBuckets"))
            .build();
        client.put_public_access_block().bucket(name).public_access_block_configuration(block).send().await.unwrap();
    }
    let rule = &properties["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
    if rule.is_object() {
        let by_default = &rule["ServerSideEncryptionByDefault"];
        let by_default = s3::ServerSideEncryptionByDefault::builder()
            .sse_algorithm(text(by_default, "SSEAlgorithm").into())
            .kms_master_key_id(text(by_default, "KMSMasterKeyID"))
            .build()
            .unwrap();
        let rule = s3::ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(by_default)
            .bucket_key_enabled(rule["BucketKeyEnabled"] == true)
            .build();
        let all = s3::ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
        client.put_bucket_encryption().bucket(name).server_side_encryption_configuration(all).send().await.unwrap();
    }
    if properties["VersioningConfiguration"]["Status"] == "Enabled" {
        let on = s3::VersioningConfiguration::builder().status(s3::BucketVersioningStatus::Enabled).build();
        client.put_bucket_versioning().bucket(name).versioning_configuration(on).send().await.unwrap();
    }
    if properties["NotificationConfiguration"]["EventBridgeConfiguration"]["EventBridgeEnabled"] == true {
        let on = s3::EventBridgeConfiguration::builder().build();
        let all = s3::NotificationConfiguration::builder().event_bridge_configuration(on).build();
        client.put_bucket_notification_configuration().bucket(name).notification_configuration(all).send().await.unwrap();
    }
    (name.to_owned(), format!("arn:aws:s3:::{name}"))
}

async fn rule(account: &Account, region: &str, properties: &Value) -> (String, String) {
    use aws_sdk_eventbridge::types::{InputTransformer, RuleState, Tag, Target};
    only("AWS::Events::Rule", properties, &["Name", "Description", "State", "EventPattern", "Targets", "Tags"]);
    let (client, name) = (account.events(region), text(properties, "Name"));
    let tags = tags(properties).into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build().unwrap()).collect();
    let put = client.put_rule().name(name).description(text(properties, "Description")).state(RuleState::from(text(properties, "State")));
    let made = put.event_pattern(properties["EventPattern"].to_string()).set_tags(Some(tags)).send().await.unwrap();
    for target in properties["Targets"].as_array().unwrap() {
        only("Target", target, &["Id", "Arn", "RoleArn", "InputTransformer"]);
        let mut built = Target::builder().id(text(target, "Id")).arn(text(target, "Arn")).role_arn(text(target, "RoleArn"));
        if let Some(transformer) = target.get("InputTransformer") {
            let mut input = InputTransformer::builder().input_template(text(transformer, "InputTemplate"));
            for (name, path) in members(&transformer["InputPathsMap"]) {
                input = input.input_paths_map(name, path.as_str().unwrap());
            }
            built = built.input_transformer(input.build().unwrap());
        }
        let put = client.put_targets().rule(name).targets(built.build().unwrap()).send().await.unwrap();
        assert_eq!(put.failed_entry_count(), 0, "{put:?}");
    }
    (name.to_owned(), made.rule_arn().unwrap().to_owned())
}

/// Gives a property's value in the casing of the service's own interface.
fn uncased(value: &Value) -> Value {
    let lower = |name: &str| name[..1].to_ascii_lowercase() + &name[1..];
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| match name.as_str() {
                "Configuration" => ("configuration".to_owned(), value.clone()),
                "ArtifactStores" => {
                    let one = |one: &Value| (text(one, "Region").to_owned(), uncased(&one["ArtifactStore"]));
                    ("artifactStores".to_owned(), Value::Object(value.as_array().unwrap().iter().map(one).collect()))
                }
                _ => (lower(name), uncased(value)),
            })
            .collect(),
        Value::Array(list) => list.iter().map(uncased).collect(),
        other => other.clone(),
    }
}

async fn pipeline(account: &Account, region: &str, properties: &Value) -> (String, String) {
    let mut declared = properties.as_object().unwrap().clone();
    declared.shift_remove("Tags");
    let tags: Vec<Value> = tags(properties).into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let body = json!({"pipeline": uncased(&Value::Object(declared)), "tags": tags}).to_string().into_bytes();
    // The members go as they are: the service says which it doesn't take.
    let name = text(properties, "Name");
    let least = pipelines::PipelineDeclaration::builder().name(name).role_arn(text(properties, "RoleArn")).set_stages(Some(Vec::new()));
    let create = account.codepipeline(region).create_pipeline().pipeline(least.build().unwrap()).customize();
    create.interceptor(xdeploy::aws::raw::SendBody(body)).send().await.unwrap();
    (name.to_owned(), format!("arn:aws:codepipeline:{region}:{}:{name}", account.id))
}
