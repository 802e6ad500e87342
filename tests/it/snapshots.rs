//! Snapshots of two accounts that were never there, for tests and benches of what is pure.

use serde_json::{Value, json};
use xdeploy::deploy::after::after;
use xdeploy::deploy::chain::Link;
use xdeploy::deploy::proof::{Proof, links, prove};
use xdeploy::deploy::snapshot::Snapshot;
use xdeploy::deploy::steps;
use xdeploy::model::Policies;
use xdeploy::settings::{CommonFlags, DeploymentFlags, Settings};

pub const DEV: &str = "111111111111";
pub const PROD: &str = "222222222222";
const HOME: &str = "us-east-1";
const PIPELINE_ARN: &str = "arn:aws:codepipeline:us-east-1:111111111111:crossaccountdeploy";

/// What is there after a set-up, without any AWS.
pub struct Built {
    pub name: &'static str,
    pub settings: Settings,
    pub snapshot: Snapshot,
}

fn built(name: &'static str, flags: DeploymentFlags, change: impl Fn(&mut Value)) -> Built {
    let common = CommonFlags { dev_profile: Some("d".into()), prod_profile: Some("p".into()), ..CommonFlags::default() };
    let flags = DeploymentFlags { input_bucket: "in-bucket".parse().ok(), output_bucket: "out-bucket".parse().ok(), ..flags };
    let settings = Settings::resolve(&common, &flags).unwrap();
    let mut empty = serde_json::to_value(nothing_there("aws", HOME)).unwrap();
    change(&mut empty);
    let empty: Snapshot = serde_json::from_value(empty).unwrap();
    let (writes, _) = steps::wants(&settings, &empty, None).unwrap();
    Built { name, snapshot: after(&empty, &writes, PIPELINE_ARN), settings }
}

fn customer_key(account: &str, id: &str) -> Value {
    json!({"known": {
        "arn": format!("arn:aws:kms:{HOME}:{account}:key/{id}"), "manager": "CUSTOMER", "spec": "SYMMETRIC_DEFAULT",
        "usage": "ENCRYPT_DECRYPT", "state": "Enabled", "multi_region": false, "primary_region": null, "rotation": true, "tags": {},
        "policy": {"Version": "2012-10-17", "Statement": [{"Sid": "Theirs", "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{account}:role/somebody")}, "Action": "kms:*", "Resource": "*"}]},
    }})
}

/// The set-ups whose links are broken.
pub fn set_ups() -> Vec<Built> {
    let plain = DeploymentFlags::default;
    let two_regions = |empty: &mut Value| {
        empty["prod"]["region"] = json!("eu-west-1");
        empty["output"]["found"]["region"] = json!("eu-west-1");
        empty["keys"]["eu-west-1"] = empty["keys"][HOME].clone();
        empty["artifact_buckets"]["eu-west-1"] = json!({"name": "codepipeline-eu-west-1-111111111111", "found": null});
    };
    let customer_keys = |empty: &mut Value| {
        for (bucket, account, id) in [("input", DEV, "in"), ("output", PROD, "out")] {
            let arn = format!("arn:aws:kms:{HOME}:{account}:key/{id}");
            empty[bucket]["found"]["encryption"] = json!({"known": {"algorithm": "aws:kms", "key": arn, "bucket_key": id == "out"}});
            empty["customer_keys"][&arn] = customer_key(account, id);
        }
    };
    let least = || DeploymentFlags { policies: Some(Policies::LeastPrivilege), ..plain() };
    vec![
        built("article", plain(), |_| ()),
        built("two regions", plain(), two_regions),
        built("customer keys", plain(), customer_keys),
        built("least privilege", least(), |_| ()),
        built("least privilege, two regions", DeploymentFlags { deploy_path: Some("site/v2".into()), ..least() }, two_regions),
        built("least privilege, customer keys", least(), customer_keys),
        built("least privilege, artifact key", DeploymentFlags { deploy_encrypts_with_dev_key: true, ..least() }, |_| ()),
        declared(built("least privilege, canned ACL", DeploymentFlags { no_extract: true, ..least() }, |_| ()), |snapshot| {
            snapshot["pipeline"]["declaration"]["stages"][1]["actions"][0]["configuration"]["CannedACL"] =
                json!("bucket-owner-full-control");
        }),
        declared(built("least privilege, the action's key", least(), |_| ()), |snapshot| {
            let arn = format!("arn:aws:kms:{HOME}:{PROD}:key/action");
            snapshot["customer_keys"][&arn] = customer_key(PROD, "action");
            snapshot["pipeline"]["declaration"]["stages"][1]["actions"][0]["configuration"]["KMSEncryptionKeyARN"] = json!(arn);
        }),
    ]
}

/// A pipeline of others, as far as its tags go, that declares something of its own.
fn declared(built: Built, change: impl Fn(&mut Value)) -> Built {
    let mut snapshot = serde_json::to_value(&built.snapshot).unwrap();
    snapshot["pipeline"]["tags"] = json!({});
    change(&mut snapshot);
    let snapshot: Snapshot = serde_json::from_value(snapshot).unwrap();
    let (writes, _) = steps::wants(&built.settings, &snapshot, None).unwrap();
    assert!(!writes.is_empty());
    Built { snapshot: after(&snapshot, &writes, PIPELINE_ARN), ..built }
}

impl Built {
    pub fn proof(&self) -> Proof {
        self.proof_of(&self.snapshot)
    }

    pub fn proof_of(&self, snapshot: &Snapshot) -> Proof {
        prove(&self.settings, snapshot).unwrap().unwrap()
    }

    pub fn value(&self) -> Value {
        serde_json::to_value(&self.snapshot).unwrap()
    }

    pub fn broken(&self, value: Value) -> Proof {
        self.proof_of(&serde_json::from_value(value).unwrap())
    }

    pub fn links(&self) -> Vec<Link> {
        links(&self.settings, &self.snapshot).unwrap()
    }

    pub fn links_of(&self, value: &Value) -> Vec<Link> {
        links(&self.settings, &serde_json::from_value(value.clone()).unwrap()).unwrap()
    }
}

/// What setup reads where nothing is there but both buckets.
pub fn nothing_there(partition: &str, region: &str) -> Snapshot {
    let identity = |account: &str| json!({"account": account, "partition": partition, "region": region});
    let bucket = |name: &str| {
        json!({"name": name, "found": {"region": region, "versioning": "Enabled", "policy": null, "tags": {},
            "encryption": {"known": {"algorithm": "AES256", "key": null}}, "ownership": {"known": "BucketOwnerEnforced"},
            "public_access_blocked": true, "notification": "", "empty": null}})
    };
    let artifacts = format!("codepipeline-{region}-111111111111");
    let slot =
        json!({"asked": "alias/s3deploykey", "from_pipeline": false, "replaces_managed_key": false, "alias_exists": false, "found": null});
    let snapshot = json!({
        "dev": identity("111111111111"), "prod": identity("222222222222"),
        "administrator": {"known": format!("arn:{partition}:iam::111111111111:user/a/ann")},
        "pipeline": null, "service_role": null, "deploy_role": null, "event_role": null, "policies": {}, "keys": {region: slot},
        "artifact_buckets": {region: {"name": artifacts, "found": null}}, "input": bucket("in-bucket"), "output": bucket("out-bucket"),
        "rule": null, "other_rules": [], "customer_keys": {},
    });
    serde_json::from_value(snapshot).unwrap()
}
