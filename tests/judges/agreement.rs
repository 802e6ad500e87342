//! The same scenarios on the emulators and on the rehearsal, read back by boto3 with the same code: what differs is listed
//! here, with its reason.

use crate::adoption::by_hand;
use crate::needs::EMULATORS;
use crate::support::served::Served;
use crate::support::{Account, Bed, REGION, emulators, normalised};
use crate::world::{Ground, World};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use xdeploy::rehearsal::{DEV, PROD};

/// The regions that are read back.
const REGIONS: [&str; 2] = [REGION, "eu-west-1"];
/// The suffix that the emulators' buckets have once it is made the same everywhere.
const SUFFIX: &str = "0000000000";

/// Two accounts, and the program in them.
trait Place: Ground {
    /// Runs the program with both profiles; it must succeed.
    fn run(&self, args: &[&str]);
    /// All that both accounts hold, with what differs from run to run made the same.
    fn dump(&self) -> Value;
    fn name(&self) -> &'static str;
}

/// ministack and moto.
impl Place for World {
    fn run(&self, args: &[&str]) {
        let _ = self.bed.run(args).success();
    }

    fn dump(&self) -> Value {
        serde_json::from_str(&self.bed.normalise(&self.bed.dump_regions(&REGIONS).to_string())).unwrap()
    }

    fn name(&self) -> &'static str {
        "the emulators"
    }
}

/// The rehearsal over a port.
struct Rehearsed {
    served: Served,
    endpoint: Value,
    accounts: [Account; 2],
    input: String,
    output: String,
}

impl Rehearsed {
    fn new() -> Rehearsed {
        let served = Served::new();
        let root = |account| served.rehearsal.root_keys(account);
        let endpoint = json!({"port": served.port, "keys": {DEV: root(DEV), PROD: root(PROD)}});
        let accounts = [("dev", DEV), ("prod", PROD)].map(|(profile, id)| {
            let (access_key, secret_key) = served.rehearsal.keys(id);
            Account {
                id: id.to_owned(),
                profile: profile.to_owned(),
                caller_arn: format!("arn:aws:iam::{id}:user/caller"),
                access_key,
                secret_key,
                session_token: None,
                endpoint: Some(endpoint.clone()),
            }
        });
        let named = |name: &str| format!("{name}-{SUFFIX}");
        Rehearsed { served, endpoint, accounts, input: named("codepipeline-input-bucket"), output: named("codepipeline-output-bucket") }
    }
}

impl Ground for Rehearsed {
    fn dev(&self) -> &Account {
        &self.accounts[0]
    }

    fn prod(&self) -> &Account {
        &self.accounts[1]
    }

    fn input(&self) -> &str {
        &self.input
    }

    fn output(&self) -> &str {
        &self.output
    }
}

impl Place for Rehearsed {
    fn run(&self, args: &[&str]) {
        self.served.run(args);
    }

    fn dump(&self) -> Value {
        let asked = json!({"op": "dump", "accounts": [DEV, PROD], "regions": REGIONS, "endpoint": self.endpoint});
        let found = emulators().ask(asked).unwrap_or_else(|error| panic!("{error}"));
        let both = json!({"dev": found[DEV], "prod": found[PROD]});
        serde_json::from_str(&normalised(&both.to_string())).unwrap()
    }

    fn name(&self) -> &'static str {
        "the rehearsal"
    }
}

/// What is done in both places.
struct Scenario {
    name: &'static str,
    /// The region of the output bucket.
    target: &'static str,
    play: fn(&dyn Place),
}

impl Ground for &dyn Place {
    fn dev(&self) -> &Account {
        (**self).dev()
    }

    fn prod(&self) -> &Account {
        (**self).prod()
    }

    fn input(&self) -> &str {
        (**self).input()
    }

    fn output(&self) -> &str {
        (**self).output()
    }
}

fn setup(place: &dyn Place, options: &[&str]) {
    let buckets = ["setup", "--yes", "--input-bucket", place.input(), "--output-bucket", place.output()];
    place.run(&[&buckets, options].concat());
}

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "fresh", target: REGION, play: |place| setup(place, &[]) },
    Scenario { name: "least privilege", target: REGION, play: |place| setup(place, &["--policies", "least-privilege"]) },
    Scenario { name: "cross-region", target: "eu-west-1", play: |place| setup(place, &[]) },
    Scenario {
        name: "cross-region, least privilege",
        target: "eu-west-1",
        play: |place| setup(place, &["--policies", "least-privilege", "--deploy-path", "site", "--object-key", "a b/web.zip"]),
    },
    Scenario { name: "polling", target: REGION, play: |place| setup(place, &["--change-detection", "polling"]) },
    Scenario { name: "adoption", target: REGION, play: adopt },
    Scenario {
        name: "twice",
        target: REGION,
        play: |place| {
            setup(place, &[]);
            setup(place, &[]);
        },
    },
    Scenario {
        name: "narrowed",
        target: REGION,
        play: |place| {
            setup(place, &["--change-detection", "polling"]);
            setup(place, &["--policies", "least-privilege", "--change-detection", "eventbridge"]);
        },
    },
    Scenario {
        name: "teardown",
        target: REGION,
        play: |place| {
            setup(place, &[]);
            place.run(&["teardown", "--confirm", "crossaccountdeploy"]);
        },
    },
    Scenario {
        name: "release",
        target: REGION,
        play: |place| {
            setup(place, &[]);
            place.run(&["release", "--sample", "--no-wait", "--start-after", "0s"]);
        },
    },
];

/// The article's pipeline, made by hand, and then set up.
fn adopt(place: &dyn Place) {
    let pipeline = by_hand(&place);
    place.dev().put_pipeline(REGION, &pipeline);
    setup(place, &["--change-detection", "eventbridge"]);
}

fn buckets(place: &dyn Place, target: &str) {
    let make = |account: &Account, region: &str, name: &str| {
        let mut arguments = json!({"Bucket": name});
        if region != REGION {
            arguments["CreateBucketConfiguration"] = json!({"LocationConstraint": region});
        }
        account.call_in(region, "s3", "create_bucket", arguments);
    };
    make(place.dev(), REGION, place.input());
    place.dev().call("s3", "put_bucket_versioning", json!({"Bucket": place.input(), "VersioningConfiguration": {"Status": "Enabled"}}));
    make(place.prod(), target, place.output());
}

/// What both show differently.
struct Difference {
    /// Members of the dump from the account on, numbers of lists included; `*` stands for any one.
    at: &'static str,
    /// The scenarios in which it is seen; empty for all.
    of: &'static [&'static str],
    /// What the emulators show, as JSON.
    emulated: &'static str,
    /// What the rehearsal shows, as JSON.
    rehearsed: &'static str,
    /// Why, and who is as AWS is.
    why: &'static str,
}

const ACROSS: &[&str] = &["cross-region", "cross-region, least privilege"];
const LINKED: &str = "AWS makes a service-linked role with the first multi-Region key (facts D.1); ministack makes none";
const CALLER: &str = "who runs the program is the test's own matter: the bed gives its user a policy, the rehearsal an AWS managed one";
const DESCRIBED: &str = "a role made without a description has none (botocore: an optional member); ministack shows an empty one";
const GONE: &str = "a principal that was deleted shows as its unique id (facts D.2); the emulators keep its ARN (facts/emulators.md)";
const RUN: &str = "no emulator runs a pipeline (facts/emulators.md)";

const DIFFERENCES: &[Difference] = &[
    Difference {
        at: "*/users/caller/attached/0",
        of: &[],
        emulated: "null",
        rehearsed: "\"arn:aws:iam::aws:policy/AdministratorAccess\"",
        why: CALLER,
    },
    Difference { at: "*/users/caller/inline/administrator/Version", of: &[], emulated: "\"2012-10-17\"", rehearsed: "null", why: CALLER },
    Difference {
        at: "*/users/caller/inline/administrator/Statement/0/Effect",
        of: &[],
        emulated: "\"Allow\"",
        rehearsed: "null",
        why: CALLER,
    },
    Difference { at: "*/users/caller/inline/administrator/Statement/0/Action", of: &[], emulated: "\"*\"", rehearsed: "null", why: CALLER },
    Difference {
        at: "*/users/caller/inline/administrator/Statement/0/Resource",
        of: &[],
        emulated: "\"*\"",
        rehearsed: "null",
        why: CALLER,
    },
    Difference {
        at: "dev/keys/eu-west-1/*/rotation",
        of: ACROSS,
        emulated: "false",
        rehearsed: "true",
        why: "rotation is set on the primary for all replicas (facts D.1, KMS-MRK); ministack keeps it for each",
    },
    Difference {
        at: "dev/roles/AWSServiceRoleForKeyManagementServiceMultiRegionKeys/arn",
        of: ACROSS,
        emulated: "null",
        rehearsed: "\"arn:aws:iam::111111111111:role/aws-service-role/mrk.kms.amazonaws.com/AWSServiceRoleForKeyManagementServiceMultiRegionKeys\"",
        why: LINKED,
    },
    Difference {
        at: "dev/roles/AWSServiceRoleForKeyManagementServiceMultiRegionKeys/path",
        of: ACROSS,
        emulated: "null",
        rehearsed: "\"/aws-service-role/mrk.kms.amazonaws.com/\"",
        why: LINKED,
    },
    Difference {
        at: "dev/roles/AWSServiceRoleForKeyManagementServiceMultiRegionKeys/max_session_duration",
        of: ACROSS,
        emulated: "null",
        rehearsed: "3600",
        why: LINKED,
    },
    Difference {
        at: "dev/roles/AWSServiceRoleForKeyManagementServiceMultiRegionKeys/trust/Version",
        of: ACROSS,
        emulated: "null",
        rehearsed: "\"2012-10-17\"",
        why: LINKED,
    },
    Difference {
        at: "dev/roles/AWSServiceRoleForKeyManagementServiceMultiRegionKeys/trust/Statement/0/Effect",
        of: ACROSS,
        emulated: "null",
        rehearsed: "\"Allow\"",
        why: LINKED,
    },
    Difference {
        at: "dev/roles/AWSServiceRoleForKeyManagementServiceMultiRegionKeys/trust/Statement/0/Action",
        of: ACROSS,
        emulated: "null",
        rehearsed: "\"sts:AssumeRole\"",
        why: LINKED,
    },
    Difference {
        at: "dev/roles/AWSServiceRoleForKeyManagementServiceMultiRegionKeys/trust/Statement/0/Principal/Service",
        of: ACROSS,
        emulated: "null",
        rehearsed: "\"mrk.kms.amazonaws.com\"",
        why: LINKED,
    },
    Difference {
        at: "dev/roles/AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy/description",
        of: &["adoption"],
        emulated: "\"\"",
        rehearsed: "null",
        why: DESCRIBED,
    },
    Difference { at: "prod/roles/prods3role/description", of: &["adoption"], emulated: "\"\"", rehearsed: "null", why: DESCRIBED },
    Difference {
        at: "dev/keys/us-east-1/*/rotation_period_in_days",
        of: &["adoption"],
        emulated: "365",
        rehearsed: "null",
        why: "the key doesn't rotate; whether AWS tells the default period all the same isn't in the facts, and nothing asks for it",
    },
    Difference {
        at: "dev/pipelines/us-east-1/crossaccountdeploy/executions",
        of: &["adoption"],
        emulated: "0",
        rehearsed: "1",
        why: "CreatePipeline starts a run at once (facts A.5); moto starts none, and the test makes this pipeline past the proxy that does",
    },
    Difference {
        at: "dev/keys/us-east-1/*/policy/Statement/2/Principal/AWS/0",
        of: &["teardown"],
        emulated: "\"arn:aws:iam::111111111111:role/service-role/AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy\"",
        rehearsed: "\"AROAXXXXXXXXXXXXXXXX\"",
        why: GONE,
    },
    Difference {
        at: "dev/keys/us-east-1/*/policy/Statement/3/Principal/AWS/0",
        of: &["teardown"],
        emulated: "\"arn:aws:iam::111111111111:role/service-role/AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy\"",
        rehearsed: "\"AROAXXXXXXXXXXXXXXXX\"",
        why: GONE,
    },
    Difference {
        at: "dev/buckets/codepipeline-us-east-1-111111111111/objects/*",
        of: &["release"],
        emulated: "null",
        rehearsed: "1",
        why: RUN,
    },
    Difference {
        at: "prod/buckets/codepipeline-output-bucket-0000000000/objects/*",
        of: &["release"],
        emulated: "null",
        rehearsed: "1",
        why: RUN,
    },
    Difference {
        at: "source/ServerSideEncryption",
        of: &["release"],
        emulated: "null",
        rehearsed: "\"AES256\"",
        why: "S3 encrypts every object by default since 2023 and says so (facts B.2); ministack says so of the bucket alone",
    },
];

/// Takes a dump apart: the path of each value that is neither an object nor a list.
fn leaves(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| leaves(&format!("{path}/{}", name.replace('/', "~")), value, found));
        }
        Value::Array(list) => list.iter().enumerate().for_each(|(number, value)| leaves(&format!("{path}/{number}"), value, found)),
        // What isn't there is as good as null.
        Value::Null => {}
        _ => {
            found.insert(path.to_owned(), value.clone());
        }
    }
}

impl Difference {
    fn explains(&self, scenario: &str, path: &str, emulated: &Value, rehearsed: &Value) -> bool {
        let at: Vec<&str> = path.split('/').skip(1).collect();
        let wanted: Vec<&str> = self.at.split('/').collect();
        let there = at.len() == wanted.len() && wanted.iter().zip(&at).all(|(name, own)| *name == "*" || name == own);
        let shows = |text: &str, value: &Value| serde_json::from_str::<Value>(text).unwrap() == *value;
        (self.of.is_empty() || self.of.contains(&scenario)) && there && shows(self.emulated, emulated) && shows(self.rehearsed, rehearsed)
    }
}

/// What there is to be seen of the source object beside its version; null before the first upload.
fn uploaded(place: &dyn Place) -> Value {
    let asked = json!({"Bucket": place.input(), "Key": "sample-website.zip"});
    let Ok(head) = place.dev().try_call("s3", "head_object", asked) else { return Value::Null };
    let shown = ["ContentType", "ContentLength", "Metadata", "ServerSideEncryption", "ETag"];
    Value::Object(shown.iter().map(|name| ((*name).to_owned(), head[*name].clone())).collect())
}

/// Plays a scenario in both places and gives the paths where they differ, with both values.
fn compare(scenario: &Scenario) -> BTreeMap<String, [Value; 2]> {
    let bed = Bed::new();
    let (input, output) = (bed.unique_name("codepipeline-input-bucket"), bed.unique_name("codepipeline-output-bucket"));
    let (emulated, rehearsed) = (World { bed, input, output }, Rehearsed::new());
    let places: [&dyn Place; 2] = [&emulated, &rehearsed];
    let found = places.map(|place| {
        buckets(place, scenario.target);
        (scenario.play)(place);
        let mut found = BTreeMap::new();
        leaves("", &place.dump(), &mut found);
        leaves("/source", &uploaded(place), &mut found);
        assert!(found.len() > 40, "{}: {} holds nothing: {found:#?}", scenario.name, place.name());
        found
    });
    let paths: BTreeSet<&String> = found.iter().flat_map(BTreeMap::keys).collect();
    let both = paths.into_iter().map(|path| (path.clone(), [0, 1].map(|place| found[place].get(path).cloned().unwrap_or_default())));
    both.filter(|(_, [one, other])| one != other).collect()
}

fn the_emulators_and_the_rehearsal_agree_but_for_what_is_listed() {
    let mut unexplained = Vec::new();
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    for scenario in SCENARIOS {
        for (path, [emulated, rehearsed]) in compare(scenario) {
            let explained: Vec<_> = DIFFERENCES.iter().filter(|one| one.explains(scenario.name, &path, &emulated, &rehearsed)).collect();
            if explained.is_empty() {
                unexplained.push(format!("{}: {path}\n  emulators: {emulated}\n  rehearsal: {rehearsed}", scenario.name));
            }
            seen.extend(explained.iter().map(|one| (one.at, scenario.name)));
        }
    }
    assert!(unexplained.is_empty(), "{} differences that aren't listed:\n{}", unexplained.len(), unexplained.join("\n"));
    for Difference { at, of, why, .. } in DIFFERENCES {
        let scenarios = SCENARIOS.iter().map(|scenario| scenario.name).filter(|name| of.is_empty() || of.contains(name));
        let gone: Vec<&str> = scenarios.filter(|name| !seen.contains(&(*at, *name))).collect();
        assert!(gone.is_empty(), "{at} is listed ({why}), but both agree on it in {gone:?}");
    }
}

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![EMULATORS;
        the_emulators_and_the_rehearsal_agree_but_for_what_is_listed,
    ]
}
