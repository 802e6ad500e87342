//! A8 whole: the program's own `setup --artifact` and `release`, and what its pipeline puts into the output bucket.

use crate::support::served::Served;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ObjectOwnership, OwnershipControls, OwnershipControlsRule, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, VersioningConfiguration,
};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Output;
use std::time::{Duration, Instant};
use xdeploy::policy::Decided;
use xdeploy::rehearsal::{DEV, Logged, PROD};

const HOME: &str = "us-east-1";
const INPUT: &str = "codepipeline-input-bucket";
const OUTPUT: &str = "codepipeline-output-bucket";
const ANYTHING: &str = "application/octet-stream";

/// Names of an archive with the type that the deploy action gives each (facts A.4), in the order of the archive.
const SITE: [(&str, &str); 12] = [
    ("index.html", "text/html"),
    ("css/site.css", "text/css"),
    ("css/site.css.map", ANYTHING),
    ("js/app.js", "application/x-javascript"),
    ("data.json", "application/json"),
    ("images/logo.svg", "image/svg+xml"),
    ("images/photo.jpg", "image/jpeg"),
    ("images/dot.png", "image/png"),
    ("robots.txt", "text/plain"),
    ("feed.xml", "application/xml"),
    ("fonts/a.woff2", ANYTHING),
    ("LICENSE", ANYTHING),
];

/// Two accounts, and a runtime for the SDK clients that look at them beside the program.
struct World {
    served: Served,
    runtime: tokio::runtime::Runtime,
    target: &'static str,
}

/// The keys of both buckets, where they have one.
#[derive(Debug, Clone, Default)]
struct Keys {
    input: Option<String>,
    output: Option<String>,
}

impl World {
    fn new(target: &'static str) -> World {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        World { served: Served::new(), runtime, target }
    }

    fn s3(&self, account: &str, region: &str) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::new(&self.served.rehearsal.config(self.served.rehearsal.keys(account), region))
    }

    fn kms(&self, account: &str, region: &str) -> aws_sdk_kms::Client {
        aws_sdk_kms::Client::new(&self.served.rehearsal.config(self.served.rehearsal.keys(account), region))
    }

    fn zip(&self, name: &str, files: &[(&str, &[u8])]) {
        let mut archive = zip::ZipWriter::new(std::fs::File::create(self.served.dir.path().join(name)).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        for (name, body) in files {
            if let Some(folder) = name.strip_suffix('/') {
                archive.add_directory(folder, options).unwrap();
                continue;
            }
            archive.start_file(*name, options).unwrap();
            archive.write_all(body).unwrap();
        }
        archive.finish().unwrap();
    }

    /// A bucket with a customer key of its account, whose policy leaves its use to those whom it names.
    fn encrypted(&self, account: &str, region: &str, bucket: &str) -> String {
        self.runtime.block_on(async {
            let who = |name: &str| format!("arn:aws:iam::{account}:{name}");
            let policy = json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "Administrators", "Effect": "Allow", "Principal": {"AWS": who("root")}, "Resource": "*",
                    "Action": ["kms:Create*", "kms:Describe*", "kms:Get*", "kms:List*", "kms:Put*", "kms:TagResource"]},
                {"Sid": "Users of old", "Effect": "Allow", "Principal": {"AWS": who("user/caller")}, "Action": "kms:*", "Resource": "*"}]});
            let made = self.kms(account, region).create_key().policy(policy.to_string()).send().await.unwrap();
            let key = made.key_metadata().unwrap().arn().unwrap().to_owned();
            let s3 = self.s3(account, region);
            let place = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(region.into()).build();
            let elsewhere = (region != HOME).then_some(place);
            s3.create_bucket().bucket(bucket).set_create_bucket_configuration(elsewhere).send().await.unwrap();
            let default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms).kms_master_key_id(&key);
            let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default.build().unwrap());
            let rules = ServerSideEncryptionConfiguration::builder().rules(rule.bucket_key_enabled(true).build()).build().unwrap();
            s3.put_bucket_encryption().bucket(bucket).server_side_encryption_configuration(rules).send().await.unwrap();
            key
        })
    }

    fn versioned(&self, account: &str, region: &str, bucket: &str) {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let request = self.s3(account, region).put_bucket_versioning().bucket(bucket).versioning_configuration(on);
        self.runtime.block_on(request.send()).unwrap();
    }

    fn key_statements(&self, account: &str, region: &str, key: &str) -> Vec<Value> {
        let policy = self.runtime.block_on(self.kms(account, region).get_key_policy().key_id(key).send()).unwrap();
        let policy: Value = serde_json::from_str(policy.policy().unwrap()).unwrap();
        policy["Statement"].as_array().unwrap().clone()
    }

    fn ownership(&self, setting: ObjectOwnership) {
        let rule = OwnershipControlsRule::builder().object_ownership(setting).build().unwrap();
        let controls = OwnershipControls::builder().rules(rule).build().unwrap();
        let request = self.s3(PROD, self.target).put_bucket_ownership_controls().bucket(OUTPUT).ownership_controls(controls);
        self.runtime.block_on(request.send()).unwrap();
    }

    /// A person changes the deploy action's configuration.
    fn edit(&self, name: &str, value: &str) {
        let pipelines = aws_sdk_codepipeline::Client::new(&self.served.rehearsal.config(self.served.rehearsal.keys(DEV), HOME));
        self.runtime.block_on(async {
            let mut pipeline = pipelines.get_pipeline().name("crossaccountdeploy").send().await.unwrap().pipeline.unwrap();
            pipeline.stages[1].actions[0].configuration.as_mut().unwrap().insert(name.to_owned(), value.to_owned());
            pipelines.update_pipeline().pipeline(pipeline).send().await.unwrap();
        });
    }

    fn set_up(&self, options: &[&str]) -> String {
        let args = ["setup", "--yes", "--create-buckets", "--enable-versioning", "--input-bucket", INPUT, "--output-bucket", OUTPUT];
        let region = ["--prod-region", self.target];
        self.served.run(&[&args[..], &region, options].concat())
    }

    /// Releases a file and gives the program's JSON document, and what it said beside it.
    fn release(&self, file: &str, options: &[&str]) -> (Value, String) {
        let started = Instant::now();
        let Output { status, stdout, stderr } = self.served.try_run(&[&["release", file, "--output", "json"], options].concat());
        let said = String::from_utf8_lossy(&stderr).into_owned();
        assert!(status.success(), "{said}");
        println!("released {file} in {:?}", started.elapsed());
        (serde_json::from_slice(&stdout).unwrap(), said)
    }

    /// All objects of the output bucket, as anybody sees them who may look.
    fn arrived(&self) -> Vec<Object> {
        let s3 = self.s3(PROD, self.target);
        self.runtime.block_on(async {
            let owner = s3.list_buckets().send().await.unwrap().owner().unwrap().id().unwrap().to_owned();
            let listed = s3.list_objects_v2().bucket(OUTPUT).fetch_owner(true).send().await.unwrap();
            let mut found = Vec::new();
            for object in listed.contents() {
                let key = object.key().unwrap();
                let got = s3.get_object().bucket(OUTPUT).key(key).send().await.unwrap();
                found.push(Object {
                    key: key.to_owned(),
                    content_type: got.content_type().unwrap().to_owned(),
                    production: object.owner().unwrap().id() == Some(&owner),
                    kms_key: got.ssekms_key_id().map(str::to_owned),
                    cache: got.cache_control().map(str::to_owned),
                    metadata: got.metadata().map_or(0, std::collections::HashMap::len),
                    body: got.body.collect().await.unwrap().to_vec(),
                });
            }
            found
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Object {
    key: String,
    content_type: String,
    production: bool,
    kms_key: Option<String>,
    cache: Option<String>,
    metadata: usize,
    body: Vec<u8>,
}

/// One way to set a pipeline up and what it is to do.
#[derive(Default)]
struct Scene {
    name: &'static str,
    target: Option<&'static str>,
    options: &'static [&'static str],
    /// Input and output bucket have customer keys.
    encrypted: bool,
    /// A folder, or the key of a file that isn't extracted; `*` stands for what CodePipeline fills in.
    path: &'static str,
    whole: bool,
    started_by: &'static str,
}

fn scenes() -> Vec<Scene> {
    let eventbridge = || Scene { started_by: "trigger", ..Scene::default() };
    vec![
        Scene { name: "the article's", ..eventbridge() },
        Scene { name: "least privilege", options: &["--policies", "least-privilege"], ..eventbridge() },
        Scene { name: "another region", target: Some("eu-west-1"), ..eventbridge() },
        Scene { name: "polling", options: &["--change-detection", "polling"], ..eventbridge() },
        Scene { name: "nothing starts it", options: &["--change-detection", "none"], started_by: "xdeploy", ..Scene::default() },
        Scene {
            name: "a folder",
            options: &["--deploy-path", "site/v2", "--policies", "least-privilege"],
            path: "site/v2",
            ..eventbridge()
        },
        Scene {
            name: "a folder of each run's own",
            options: &["--deploy-path", "runs/{uuid}/{datetime}", "--policies", "least-privilege"],
            path: "runs/*/*",
            ..eventbridge()
        },
        Scene { name: "not extracted", options: &["--no-extract"], path: "sample-website.zip", whole: true, ..eventbridge() },
        Scene {
            name: "not extracted, each under its own name",
            options: &["--no-extract", "--deploy-path", "zips/{datetime}.zip", "--policies", "least-privilege"],
            path: "zips/*.zip",
            whole: true,
            ..eventbridge()
        },
        Scene { name: "encrypted buckets", encrypted: true, ..eventbridge() },
        Scene {
            name: "encrypted buckets, another region, least privilege",
            target: Some("eu-west-1"),
            options: &["--policies", "least-privilege"],
            encrypted: true,
            ..eventbridge()
        },
        Scene {
            name: "encrypted buckets, not extracted",
            options: &["--no-extract"],
            encrypted: true,
            path: "sample-website.zip",
            whole: true,
            ..eventbridge()
        },
    ]
}

/// Says whether a key is the expected one, with something in the place of each `*`.
fn is_key(key: &str, expected: &str) -> bool {
    let mut rest = key;
    let parts: Vec<&str> = expected.split('*').collect();
    for (number, part) in parts.iter().enumerate() {
        let at = if number == 0 { rest.starts_with(part).then_some(0) } else { rest.find(part).filter(|at| *at > 0 || part.is_empty()) };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || expected.ends_with('*')
}

/// The calls of one run: all of Source come before all of Deploy, and the files are written one by one in the archive's order.
fn in_order(log: &[Logged], target: &str, files: &[String]) {
    let is = |call: &&Logged, role: &str, action: &str| call.caller.contains(role) && call.action == action;
    let places = |role: &str| -> Vec<usize> {
        log.iter().enumerate().filter(|(_, call)| call.caller.contains(role)).map(|(number, _)| number).collect()
    };
    let took = log.iter().position(|call| call.action == "sts:AssumeRole" && call.resource.ends_with(":role/prods3role")).unwrap();
    let stored = log.iter().position(|call| is(&call, "AWSCodePipelineServiceRole", "s3:PutObject")).unwrap();
    assert!(stored < took, "{log:#?}");
    assert!(places("assumed-role/prods3role").iter().all(|number| *number > took));
    let stores = log.iter().filter(|call| is(call, "AWSCodePipelineServiceRole", "s3:PutObject")).count();
    assert_eq!(stores, if target == HOME { 1 } else { 2 }, "the artifact, and its copy in the other region");
    let written: Vec<&str> = log
        .iter()
        .filter(|call| is(call, "assumed-role/prods3role", "s3:PutObject"))
        .map(|call| call.resource.strip_prefix(&format!("arn:aws:s3:::{OUTPUT}/")).unwrap())
        .collect();
    assert_eq!(written.len(), files.len(), "{written:?}");
    assert!(written.iter().zip(files).all(|(key, expected)| is_key(key, expected)), "{written:?}");
    let refused: Vec<_> = log.iter().filter(|call| call.verdict != Decided::Allowed).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

fn site(text: &str, count: usize) -> Vec<(&'static str, Vec<u8>)> {
    SITE.iter().take(count).map(|(name, _)| (*name, format!("{name} {text}").into_bytes())).collect()
}

impl Scene {
    fn key(&self, name: &str) -> String {
        match (self.whole, self.path) {
            (true, path) => path.to_owned(),
            (false, "") => name.to_owned(),
            (false, path) => format!("{path}/{name}"),
        }
    }

    /// What lies there after an archive of these files: key, type, and content.
    fn expected(&self, archive: &[u8], files: &[(&'static str, Vec<u8>)]) -> Vec<(String, &'static str, Vec<u8>)> {
        if self.whole {
            return vec![(self.key(""), ANYTHING, archive.to_vec())];
        }
        let kind = |name: &str| SITE.iter().find(|(own, _)| *own == name).map(|(_, kind)| *kind).unwrap();
        files.iter().map(|(name, body)| (self.key(name), kind(name), body.clone())).collect()
    }

    fn keys(&self, world: &World) -> Keys {
        if !self.encrypted {
            return Keys::default();
        }
        let input = world.encrypted(DEV, HOME, INPUT);
        world.versioned(DEV, HOME, INPUT);
        Keys { input: Some(input), output: Some(world.encrypted(PROD, world.target, OUTPUT)) }
    }

    /// Everything is there as it should be; with keys that vary, what another run left as well.
    fn check(&self, arrived: &[Object], expected: &[(String, &str, Vec<u8>)], keys: &Keys) {
        for (key, kind, body) in expected {
            let found = arrived.iter().find(|object| is_key(&object.key, key) && object.body == *body);
            let found = found.unwrap_or_else(|| panic!("{}: no {key} among {arrived:#?}", self.name));
            assert_eq!((found.content_type.as_str(), found.production), (*kind, true), "{}: {key}", self.name);
            assert_eq!((&found.kms_key, &found.cache, found.metadata), (&keys.output, &None, 0), "{}: {key}", self.name);
        }
    }

    fn play(&self) {
        let world = World::new(self.target.unwrap_or(HOME));
        let keys = self.keys(&world);
        let first = site("one", SITE.len());
        let files: Vec<(&str, &[u8])> = first.iter().map(|(name, body)| (*name, body.as_slice())).collect();
        world.zip("first.zip", &[&[("css/", &[][..])], &files[..]].concat());
        let archive = |name: &str| std::fs::read(world.served.dir.path().join(name)).unwrap();
        world.set_up(&[self.options, &["--artifact", "first.zip"]].concat());
        let expected = self.expected(&archive("first.zip"), &first);
        let arrived = world.arrived();
        assert_eq!(arrived.len(), expected.len(), "{}: {arrived:#?}", self.name);
        self.check(&arrived, &expected, &keys);
        self.who_may_use_the_keys(&world, &keys);

        // The second archive has other contents, and lacks a file.
        let second = site("two", SITE.len() - 1);
        let files: Vec<(&str, &[u8])> = second.iter().map(|(name, body)| (*name, body.as_slice())).collect();
        world.zip("second.zip", &files);
        let before = world.served.rehearsal.log().len();
        // Without a trigger the program waits for one, for as long as an event may take.
        let start: &[&str] = if self.started_by == "xdeploy" { &["--start-after", "0s"] } else { &[] };
        let (report, said) = world.release("second.zip", start);
        assert_eq!((&report["status"], &report["startedBy"]), (&json!("Succeeded"), &json!(self.started_by)), "{}: {said}", self.name);
        let expected = self.expected(&archive("second.zip"), &second);
        self.check(&world.arrived(), &expected, &keys);
        self.listed(&report, &expected, &keys);
        let log: Vec<Logged> = world.served.rehearsal.log()[before..].to_vec();
        let run: Vec<Logged> = log.into_iter().filter(|call| !call.caller.ends_with(":user/caller")).collect();
        in_order(&run, world.target, &expected.iter().map(|(key, _, _)| key.clone()).collect::<Vec<_>>());
        self.what_stays(&world, &said, &first);
    }

    /// Setup added its statements to the buckets' keys beside those of others.
    fn who_may_use_the_keys(&self, world: &World, keys: &Keys) {
        for (account, region, key, user) in
            [(DEV, HOME, &keys.input, "AWSCodePipelineServiceRole"), (PROD, world.target, &keys.output, "role/prods3role")]
        {
            let Some(key) = key else { continue };
            let statements = world.key_statements(account, region, key);
            assert_eq!(statements.len(), 3, "{}: {statements:#?}", self.name);
            let added = statements.iter().find(|statement| statement["Sid"].as_str().unwrap().starts_with("Xdeploy")).unwrap();
            assert!(added["Principal"]["AWS"].as_str().unwrap().contains(user), "{}: {added}", self.name);
        }
    }

    /// The program's own list is that of the bucket.
    fn listed(&self, report: &Value, expected: &[(String, &str, Vec<u8>)], keys: &Keys) {
        let objects = report["arrival"]["objects"].as_array().unwrap();
        let varies = self.path.contains('*');
        assert_eq!(objects.len(), if varies { 0 } else { expected.len() }, "{}: {objects:#?}", self.name);
        for object in objects {
            let (_, _, body) = expected.iter().find(|(key, _, _)| object["key"] == key.as_str()).unwrap();
            let encryption = if keys.output.is_some() { "aws:kms" } else { "AES256" };
            let shown = json!({"key": object["key"], "size": body.len(), "ownedByProduction": true, "encryption": encryption,
                "kmsKey": keys.output, "fresh": true});
            assert_eq!(*object, shown, "{}", self.name);
        }
        let warned = report["arrival"]["warnings"].to_string();
        assert_eq!(warned.contains("what arrived was not looked for"), varies, "{}: {warned}", self.name);
    }

    /// CodePipeline deletes nothing: the file that the second archive lacks is there still, and the person is told.
    fn what_stays(&self, world: &World, said: &str, first: &[(&str, Vec<u8>)]) {
        let (name, body) = first.last().unwrap();
        let arrived = world.arrived();
        let stays = arrived.iter().any(|object| is_key(&object.key, &self.key(name)) && object.body == *body);
        assert_eq!(stays, !self.whole, "{}: {arrived:#?}", self.name);
        let told = said.contains("1 other object is there, such as ") && said.contains(&self.key(name));
        assert_eq!(told, !self.whole && !self.path.contains('*'), "{}: {said}", self.name);
    }
}

#[test]
fn what_is_released_arrives_in_every_way_of_setting_up() {
    for scene in scenes() {
        let at = Instant::now();
        scene.play();
        println!("{}: {:?}", scene.name, at.elapsed());
        // No run waits for anything: it is over when its trigger has been pulled.
        assert!(at.elapsed() < Duration::from_secs(20), "{}: {:?}", scene.name, at.elapsed());
    }
}

/// A pipeline whose deploy action a person has changed; gives the files of the first archive.
fn edited(ownership: Option<ObjectOwnership>, changes: &[(&str, &str)], options: &[&str]) -> World {
    let world = World::new(HOME);
    world.set_up(options);
    if let Some(setting) = ownership {
        world.ownership(setting);
    }
    for (name, value) in changes {
        world.edit(name, value);
    }
    world.zip("site.zip", &[("index.html", b"<p>"), ("css/site.css", b"p {}")]);
    world
}

#[test]
fn a_canned_acl_is_set_where_the_bucket_takes_it() {
    for (ownership, acl) in [
        (ObjectOwnership::ObjectWriter, "private"),
        (ObjectOwnership::BucketOwnerPreferred, "bucket-owner-full-control"),
        (ObjectOwnership::BucketOwnerEnforced, "bucket-owner-full-control"),
    ] {
        for policies in ["article", "least-privilege"] {
            let world = edited(Some(ownership.clone()), &[("CannedACL", acl)], &["--policies", policies]);
            world.versioned(PROD, world.target, OUTPUT);
            // The role may write, but not with an ACL: least privilege didn't foresee one.
            world.set_up(&["--policies", policies]);
            for _ in 0..2 {
                let (report, _) = world.release("site.zip", &[]);
                assert_eq!(report["arrival"]["ownership"], ownership.as_str());
            }
            let arrived = world.arrived();
            assert!(arrived.len() == 2 && arrived.iter().all(|object| object.production), "{arrived:#?}");
            // A file that is there has the ACL of its version set as well (facts A.2, row 14).
            let log = world.served.rehearsal.log();
            let count = |action: &str| log.iter().filter(|call| call.action == action && call.resource.contains(OUTPUT)).count();
            assert_eq!((count("s3:PutObjectAcl"), count("s3:PutObjectVersionAcl")), (4, 2), "{acl} {policies}");
        }
    }
}

#[test]
fn an_acl_that_the_bucket_refuses_is_foreseen_and_fails_as_aws_fails() {
    let world = edited(Some(ObjectOwnership::BucketOwnerEnforced), &[("CannedACL", "private")], &[]);
    let args = ["verify", "--input-bucket", INPUT, "--output-bucket", OUTPUT];
    let verified = world.served.try_run(&args);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(1), "{said}");
    assert!(said.contains("sets ACL private, but ACLs are off for bucket codepipeline-output-bucket"), "{said}");
    let released = world.served.try_run(&["release", "site.zip"]);
    let said = String::from_utf8_lossy(&released.stderr).into_owned();
    assert_eq!(released.status.code(), Some(1), "{said}");
    assert!(said.contains("The bucket does not allow ACLs"), "{said}");
    assert!(world.arrived().is_empty());
}

#[test]
fn the_actions_own_key_and_cache_control_are_kept_and_what_they_need_is_added() {
    for policies in ["article", "least-privilege"] {
        let world = edited(None, &[("CacheControl", "max-age=60")], &["--policies", policies]);
        let key = world.runtime.block_on(world.kms(PROD, HOME).create_key().send()).unwrap();
        let key = key.key_metadata().unwrap().arn().unwrap().to_owned();
        world.edit("KMSEncryptionKeyARN", &key);
        let refused = world.served.try_run(&["release", "site.zip"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("You do not have sufficient permissions to call s3.putObject"), "{policies}: {said}");
        world.set_up(&[]);
        let (report, _) = world.release("site.zip", &[]);
        assert_eq!(report["arrival"]["objects"][0]["kmsKey"], key.as_str(), "{policies}");
        for object in world.arrived() {
            assert_eq!((object.kms_key.as_deref(), object.cache.as_deref()), (Some(key.as_str()), Some("max-age=60")), "{policies}");
        }
    }
}

/// What a person reads.
#[test]
fn the_list_names_owner_size_and_key() {
    let world = edited(None, &[], &[]);
    let said = world.served.run(&["release", "site.zip"]);
    for line in [
        "2 objects in s3://codepipeline-output-bucket:",
        "  css/site.css  4 bytes, owned by prod (222222222222), AES256",
        "  index.html  3 bytes, owned by prod (222222222222), AES256",
        "Object ownership is BucketOwnerEnforced: production owns every object of the bucket.",
    ] {
        assert!(said.lines().any(|own| own == line), "{line} is not in\n{said}");
    }
}

#[test]
fn names_of_an_archive_become_keys_as_the_deploy_action_makes_them() {
    let world = edited(None, &[], &[]);
    let odd: [(&str, &[u8]); 4] = [("empty/", b""), ("a\\b.txt", b"1"), ("no extension", b"2"), ("photo.jpeg", b"4")];
    world.zip("odd.zip", &odd);
    world.release("odd.zip", &[]);
    let arrived = world.arrived();
    let found: Vec<(&str, &str)> = arrived.iter().map(|object| (object.key.as_str(), object.content_type.as_str())).collect();
    let expected = [("a/b.txt", "text/plain"), ("no extension", ANYTHING), ("photo.jpeg", ANYTHING)];
    assert_eq!(found, expected);
}
