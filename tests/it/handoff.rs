//! The hand-off between two users who can't see each other's account: every order and every stop come to the same end; what is
//! forged is refused or harmless; no secret is in it.

use crate::support::compare::difference;
use crate::support::depth;
use crate::support::running::{at_once, side_by_side};
use crate::support::scene::Scene;
use crate::support::stage::HOME;
use aws_sdk_s3::types as s3;
use serde_json::{Value, json};
use xdeploy::aws::{Account, Accounts, Unverified};
use xdeploy::deploy::apply::{self, Manner};
use xdeploy::deploy::handoff::{self, Handoff};
use xdeploy::deploy::observe::{Purpose, observe_side};
use xdeploy::deploy::plan::{Callers, Plan};
use xdeploy::deploy::snapshot::{Half, Identity};
use xdeploy::deploy::write::Call;
use xdeploy::error::{Error, Kind, Result};
use xdeploy::model::{Policies, Side};
use xdeploy::rehearsal::{DEV, Fault, Line, PROD};
use xdeploy::settings::{CommonFlags, DeploymentFlags, Settings};

/// What a user says for one side: the pipeline is development's, the role's name is production's.
fn flags(scene: &Scene, side: Side) -> (CommonFlags, DeploymentFlags) {
    let settings = &scene.settings;
    let common = CommonFlags {
        dev_profile: (side == Side::Dev).then(|| "d".to_owned()),
        prod_profile: (side == Side::Prod).then(|| "p".to_owned()),
        dev_account: DEV.parse().ok(),
        prod_account: PROD.parse().ok(),
        ..CommonFlags::default()
    };
    let flags = DeploymentFlags { output_bucket: settings.output_bucket.clone(), ..DeploymentFlags::default() };
    let flags = match side {
        Side::Dev => DeploymentFlags {
            input_bucket: settings.input_bucket.clone(),
            policies: settings.policies,
            change_detection: settings.change_detection,
            ..flags
        },
        Side::Prod => DeploymentFlags { deploy_role: settings.deploy_role.clone(), ..flags },
    };
    (common, flags)
}

/// One side, logged in over a line, with the file that it was sent.
struct Seat {
    side: Side,
    accounts: Accounts,
    settings: Settings,
    file: Option<Handoff>,
}

impl Seat {
    async fn take(scene: &Scene, line: &Line, side: Side, file: Option<&Handoff>) -> Result<Seat> {
        let (common, flags) = flags(scene, side);
        let own = flags.clone();
        let (common, flags) = match file {
            Some(file) => file.complete(side, common, flags)?,
            None => (common, flags),
        };
        let mut settings = Settings::of_side(side, common, flags)?;
        let names = [
            ("--deploy-role", own.deploy_role.is_none()),
            ("--output-policy", own.output_policy.is_none() && settings.output_policy.is_some()),
            ("--artifact-policy", own.artifact_policy.is_none() && settings.artifact_policy.is_some()),
        ];
        let told = names.into_iter().filter(|(_, told)| *told && side == Side::Prod).map(|(flag, _)| flag.to_owned());
        settings.told = told.collect();
        let (own, other, region) = match side {
            Side::Dev => (DEV, PROD, HOME),
            Side::Prod => (PROD, DEV, scene.target),
        };
        let config = line.config(scene.rehearsal.keys(own), region);
        let account = Account::verified(side, "rehearsal", config).await.map_err(|error| match error {
            Unverified::Asking(error) => Error::from(error),
            Unverified::Answer(error) => error,
        })?;
        let place = match (file.and_then(|file| file.half(side.other())), side) {
            (Some(Half::Dev(half)), _) => half.identity.region,
            (Some(Half::Prod(half)), _) => half.identity.region,
            (None, _) => HOME.to_owned(),
        };
        let named = Account::named(side.other(), other, &account.partition, &place);
        let accounts = match side {
            Side::Dev => Accounts { dev: account, prod: named },
            Side::Prod => Accounts { dev: named, prod: account },
        };
        Ok(Seat { side, accounts, settings, file: file.cloned() })
    }

    async fn plan(&self) -> Result<Plan> {
        let other = self.side.other();
        let named = self.accounts.of(other);
        let half = self.file.as_ref().and_then(|file| file.half(other));
        let half = half.unwrap_or_else(|| handoff::assumed(other, Identity::of(named, &named.region), &self.settings));
        let told = handoff::told(other, self.file.as_ref());
        let snapshot = observe_side(&self.accounts.dev, &self.accounts.prod, &self.settings, Purpose::Setup, &half, told).await?;
        let callers = Callers { dev: self.accounts.dev.caller.to_string(), prod: self.accounts.prod.caller.to_string() };
        let plan = Plan::make(&self.settings, callers, snapshot, None)?;
        handoff::refuse_overstepping(&plan, self.side)?;
        Ok(plan)
    }
}

/// One side's turn, from the first call to the file.
async fn turn(scene: &Scene, line: &Line, side: Side, file: Option<&Handoff>) -> Result<Handoff> {
    let seat = Seat::take(scene, line, side, file).await?;
    let plan = seat.plan().await?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let manner = Manner { pipeline_arn: &plan.pipeline_arn(), wait_for_runs: false, listen: &|_| (), stop: &stop };
    apply::apply(&seat.accounts, plan.writes(), &manner).await?;
    let again = seat.plan().await?;
    assert!(again.is_empty(), "{:#?}", again.writes());
    let by = seat.accounts.of(side).caller.to_string();
    let told = Handoff::tell(&seat.settings, again.snapshot(), side, &by, again.later(), Vec::new(), file)?;
    // It goes as text.
    Handoff::parse(&told.text(), "handoff.json")
}

/// Takes turns one after another, the file going with them.
async fn turns(scene: &Scene, order: &[Side]) -> Result<Option<Handoff>> {
    let mut file = None;
    for side in order {
        file = Some(turn(scene, &scene.rehearsal.line(), *side, file.as_ref()).await?);
    }
    Ok(file)
}

/// The worlds: what there is, and how it is to be.
const WORLDS: [&str; 7] = [
    "fresh",
    "least privilege",
    "two regions",
    "least privilege in two regions",
    "adopting",
    "production's own key on the output bucket",
    "AWS's own key on the output bucket",
];

async fn world(name: &str) -> Scene {
    match name {
        "fresh" => Scene::fresh(HOME, Policies::Article).await,
        "least privilege" => Scene::fresh(HOME, Policies::LeastPrivilege).await,
        "two regions" => Scene::fresh("eu-west-1", Policies::Article).await,
        "least privilege in two regions" => Scene::fresh("eu-west-1", Policies::LeastPrivilege).await,
        "adopting" => Scene::adopting().await,
        name => {
            let scene = Scene::fresh(HOME, Policies::LeastPrivilege).await;
            let Accounts { prod, .. } = scene.accounts(&scene.rehearsal.line()).await.unwrap();
            let key = match name.starts_with("AWS") {
                true => "alias/aws/s3".to_owned(),
                false => {
                    let made = prod.kms(HOME).create_key().description("of the output bucket").send().await.unwrap();
                    made.key_metadata().unwrap().arn().unwrap().to_owned()
                }
            };
            let default =
                s3::ServerSideEncryptionByDefault::builder().sse_algorithm(s3::ServerSideEncryption::AwsKms).kms_master_key_id(key);
            let rule = s3::ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default.build().unwrap());
            let rules = s3::ServerSideEncryptionConfiguration::builder().rules(rule.build()).build().unwrap();
            let client = prod.s3(HOME);
            client.put_bucket_encryption().bucket("out-bucket").server_side_encryption_configuration(rules).send().await.unwrap();
            scene
        }
    }
}

/// What one user with both profiles comes to.
async fn expected(scene: &Scene) -> Value {
    let scene = scene.fork();
    scene.set_up(&scene.rehearsal.line()).await.unwrap();
    scene.state()
}

/// Every order of so many turns.
fn orders(length: u32) -> Vec<Vec<Side>> {
    let side = |bits: u32, at: u32| if bits >> at & 1 == 0 { Side::Dev } else { Side::Prod };
    (0..2_u32.pow(length)).map(|bits| (0..length).map(|at| side(bits, at)).collect()).collect()
}

#[test]
fn every_order_comes_to_the_same_end() {
    let mut tried = 0;
    for name in WORLDS {
        let scene = at_once(world(name));
        let expected = at_once(expected(&scene));
        let all = depth::sampled(name, orders(if ["fresh", "two regions", "adopting"].contains(&name) { 4 } else { 3 }), 2);
        tried += all.len();
        let wrong = side_by_side(&all, |order| {
            // Whoever comes last sees the other's last answer.
            let whole: Vec<Side> = order.iter().copied().chain([Side::Dev, Side::Prod, Side::Dev]).collect();
            let scene = scene.fork();
            let file = at_once(turns(&scene, &whole)).map_err(|error| format!("{whole:?}: {error:#?}"))?;
            let found = scene.state();
            if found != expected {
                return Err(format!("{whole:?}: another end:\n{}", difference(&expected, &found)));
            }
            match file.filter(|file| file.open.writes.is_empty()) {
                Some(_) => Ok(()),
                None => Err(format!("{whole:?}: something is still to be done")),
            }
        });
        assert!(wrong.is_empty(), "{name}: {} of {} orders:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    }
    println!("{tried} orders in {} worlds", WORLDS.len());
}

#[test]
fn three_turns_are_enough_from_development_and_four_from_production() {
    use Side::{Dev, Prod};
    for name in WORLDS {
        let scene = at_once(world(name));
        let expected = at_once(expected(&scene));
        let enough: [&[Side]; 2] = [&[Dev, Prod, Dev], &[Prod, Dev, Prod, Dev]];
        for order in enough {
            let scene = scene.fork();
            at_once(turns(&scene, order)).unwrap_or_else(|error| panic!("{name}, {order:?}: {error:#?}"));
            let found = scene.state();
            assert!(found == expected, "{name}, {order:?}:\n{}", difference(&expected, &found));
        }
    }
}

/// Stops one turn at one call, takes it again, and goes on to the end.
async fn stopped_at(scene: &Scene, file: Option<&Handoff>, order: &[Side], number: usize, fault: Fault) -> std::result::Result<(), String> {
    let line = scene.rehearsal.line().fault(number, fault);
    tokio::select! {
        biased;
        () = line.gone() => {}
        done = turn(scene, &line, order[0], file) => return Err(format!("it ended: {:?}", done.map(|_| ()))),
    }
    let mut file = file.cloned();
    for side in order {
        let next = turn(scene, &scene.rehearsal.line(), *side, file.as_ref()).await;
        file = Some(next.map_err(|error| format!("{side} again: {error:#?}"))?);
    }
    Ok(())
}

#[test]
fn a_turn_that_was_stopped_anywhere_is_finished_by_the_next_one() {
    let mut tried = 0;
    for (name, order) in [
        ("fresh", [Side::Dev, Side::Prod, Side::Dev].as_slice()),
        ("least privilege in two regions", &[Side::Prod, Side::Dev, Side::Prod, Side::Dev]),
        ("adopting", &[Side::Dev, Side::Prod, Side::Dev]),
    ] {
        let scene = at_once(world(name));
        let expected = at_once(expected(&scene));
        let mut file: Option<Handoff> = None;
        for at in 0..order.len() {
            let before = scene.fork();
            let line = scene.rehearsal.line();
            let next = at_once(turn(&scene, &line, order[at], file.as_ref())).unwrap();
            let calls = line.calls();
            // A third of the calls, another one in each turn; all of them were tried once.
            // Gone after a call and gone before the next one are the same to whoever comes then, but for calls side by side.
            let stops: Vec<(usize, Fault)> = (1..=calls.len())
                .filter(|number| number % 3 == at % 3)
                .map(|number| (number, if number % 2 == 0 { Fault::GoneBefore } else { Fault::GoneAfter }))
                .collect();
            let stops = depth::sampled(name, stops, 4);
            tried += stops.len();
            let wrong = side_by_side(&stops, |(number, fault)| {
                let scene = before.fork();
                let place = format!("{name}, turn {at}, {fault:?} at call {number}, {}", calls[number - 1]);
                at_once(stopped_at(&scene, file.as_ref(), &order[at..], *number, *fault)).map_err(|why| format!("{place}: {why}"))?;
                let found = scene.state();
                if found == expected { Ok(()) } else { Err(format!("{place}: another end:\n{}", difference(&expected, &found))) }
            });
            assert!(wrong.is_empty(), "{} of {} stops went wrong:\n{}", wrong.len(), stops.len(), wrong.join("\n"));
            file = Some(next);
        }
    }
    println!("{tried} stops");
    assert!(tried > if depth::full() { 150 } else { 35 }, "{tried}");
}

/// Lists every place in a document: members, elements, and names of members.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| places(value, &format!("{path}/{}", escaped(name)), found)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, value)| places(value, &format!("{path}/{index}"), found)),
        _ => {}
    }
}

/// How many forgeries of a file a quick run tries.
const QUICK: usize = 100;

/// What a forger would like to stand somewhere.
fn forgeries(prod_key: &str) -> Vec<Value> {
    let everything = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]});
    vec![
        Value::Null,
        json!(true),
        json!(false),
        json!(""),
        json!("*"),
        json!("999999999999"),
        json!("arn:aws:iam::999999999999:role/service-role/AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy"),
        json!("arn:aws:iam::999999999999:root"),
        json!("arn:aws:iam::111111111111:role/*"),
        json!("arn:aws:iam::222222222222:role/Admin"),
        json!("Admin"),
        json!("prods-secrets"),
        json!("arn:aws:s3:::prods-secrets"),
        json!(prod_key),
        json!("arn:aws:kms:us-east-1:999999999999:key/00000000-0000-0000-0000-000000000001"),
        json!("arn:aws:kms:us-east-1:111111111111:key/*"),
        json!("arn:aws:iam::222222222222:policy/outputbucketdeployaccess"),
        json!({}),
        json!([]),
        everything,
    ]
}

/// Puts something in a place, and makes the checksums right, as a forger would; none where it doesn't even parse.
fn forged(file: &Value, places: &[(&str, Value)]) -> Option<Handoff> {
    let mut next = file.clone();
    for (place, with) in places {
        match place.split_once("//") {
            // A member by another name, or one more.
            Some((place, name)) => {
                next.pointer_mut(place)?.as_object_mut()?.insert(name.to_owned(), with.clone());
            }
            None => *next.pointer_mut(place)? = with.clone(),
        }
    }
    let parsed: Handoff = serde_json::from_value(next).ok()?;
    Handoff::parse(&parsed.sealed().text(), "handoff.json").ok()
}

/// Adds members by other names to every object that is a map: what is told by a name that is another thing's.
fn renamed<'p>(file: &Value, all: &'p [String], forgeries: &[Value]) -> Vec<Vec<(&'p str, Value)>> {
    let maps = ["keys", "artifactBuckets", "policies", "customerKeys", "otherRoles"];
    let mut found = Vec::new();
    for place in all.iter().filter(|place| maps.iter().any(|map| place.ends_with(&format!("/holds/{map}")))) {
        let members = file.pointer(place).unwrap().as_object().unwrap();
        for name in forgeries.iter().filter_map(Value::as_str).filter(|name| name.starts_with("arn:")) {
            // The place lives as long as the test.
            let place: &'static str = format!("{place}//{name}").leak();
            found.extend(members.values().map(|value| vec![(place, value.clone())]));
            found.push(vec![(place, json!({"known": null}))]);
            found.push(vec![(place, json!({"unknown": "not told"}))]);
        }
    }
    found
}

/// Forgeries that need more than one place.
fn together(file: &Value, prod_key: &str) -> Vec<Vec<(&'static str, Value)>> {
    let bucket = json!({"name": "prods-secrets", "found": null});
    let encrypted = json!({"known": {"algorithm": "aws:kms", "key": prod_key, "bucket_key": false}});
    let mut key = file.pointer("/dev/holds/keys/us-east-1/found").cloned().unwrap();
    key["arn"] = json!(prod_key);
    vec![
        vec![("/dev/holds/artifactBuckets/us-east-1", bucket.clone())],
        vec![("/dev/holds/artifactBuckets/us-east-1", bucket), ("/deployment/artifactBucket", json!("prods-secrets"))],
        vec![("/dev/holds/artifactBuckets/us-east-1/name", json!("prods-secrets"))],
        vec![("/dev/holds/input/found/encryption", encrypted.clone())],
        vec![("/dev/holds/input/found/encryption", encrypted), ("/dev/holds/keys/us-east-1/found", key)],
        vec![("/deployment/outputPolicy", json!("everything"))],
        vec![("/deployment/artifactPolicy", json!("everything"))],
        vec![("/deployment/outputPolicy", json!("everything")), ("/deployment/artifactPolicy", json!("everything"))],
        vec![("/deployment/deployRole", json!("Admin")), ("/deployment/outputPolicy", json!("everything"))],
        vec![("/dev/by", json!("arn:aws:iam::111111111111:user/bob\u{1b}[2J"))],
    ]
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Says what production's writes would give away: to whom, on what.
fn given_away(plan: &Plan, prod_key: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for write in plan.writes() {
        if write.account != Side::Prod {
            wrong.push(format!("a write of the other side: {write:?}"));
        }
        // A role or policy that is made by such a name is nobody's yet.
        if write.resource.ends_with(":role/Admin") || write.resource.starts_with("arn:aws:s3:::prods-secrets") || write.resource == prod_key
        {
            wrong.push(format!("it touches {}", write.resource));
        }
        if let Call::AttachRolePolicy { arn, .. } = &write.call
            && arn.ends_with("policy/everything")
        {
            wrong.push(format!("it attaches {arn}"));
        }
        let (before, Some(after)) = write.call.documents() else { continue };
        let there = before.as_ref().and_then(|before| before["Statement"].as_array().cloned()).unwrap_or_default();
        for statement in after["Statement"].as_array().into_iter().flatten().filter(|statement| !there.contains(statement)) {
            for principal in statement.get("Principal").map(texts).unwrap_or_default() {
                let of_dev = principal.strip_prefix("arn:aws:iam::111111111111:role/").is_some_and(|name| !name.contains(['*', '?']));
                if !of_dev {
                    wrong.push(format!("{} lets {principal} in", write.title));
                }
            }
            for resource in statement.get("Resource").map(texts).unwrap_or_default() {
                let output = resource == "arn:aws:s3:::out-bucket" || resource.starts_with("arn:aws:s3:::out-bucket/");
                let key = resource.starts_with("arn:aws:kms:") && resource.contains(":111111111111:key/") && !resource.contains(['*', '?']);
                let objects = resource.strip_prefix("arn:aws:s3:::").is_some_and(|rest| {
                    let bucket = rest.split('/').next().unwrap_or_default();
                    !bucket.contains(['*', '?']) && bucket.len() > 2 && bucket != "prods-secrets"
                });
                if !(output || key || objects) || resource == prod_key {
                    wrong.push(format!("{} gives {resource}", write.title));
                }
            }
        }
    }
    wrong
}

/// A key, a bucket and a role of production's own that no hand-off may reach.
async fn treasures(scene: &Scene) -> String {
    let Accounts { prod, .. } = scene.accounts(&scene.rehearsal.line()).await.unwrap();
    prod.s3(HOME).create_bucket().bucket("prods-secrets").send().await.unwrap();
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Action": "sts:AssumeRole"}]});
    prod.iam().create_role().role_name("Admin").assume_role_policy_document(trust.to_string()).send().await.unwrap();
    let everything = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    prod.iam().create_policy().policy_name("everything").policy_document(everything.to_string()).send().await.unwrap();
    let key = prod.kms(HOME).create_key().description("production's own").send().await.unwrap();
    key.key_metadata().unwrap().arn().unwrap().to_owned()
}

#[test]
fn a_forged_file_is_refused_or_harmless_to_production() {
    let (mut refused, mut harmless) = (0, 0);
    for name in ["least privilege", "adopting"] {
        let scene = at_once(world(name));
        let prod_key = at_once(treasures(&scene));
        let file = at_once(turn(&scene, &scene.rehearsal.line(), Side::Dev, None)).unwrap();
        let text: Value = serde_json::from_str(&file.text()).unwrap();
        let mut all = Vec::new();
        places(&text, "", &mut all);
        // What is open is told to people; nothing is decided by it.
        all.retain(|place| !place.starts_with("/seals") && !place.starts_with("/open") && !place.is_empty());
        // A statement has many places, and all of them are read by the same rules.
        let likely = |number: usize, place: &str, at: usize| match place.contains("/Statement/") {
            true => (number + at).is_multiple_of(16),
            // Half of them in each world; all of them were tried once.
            false => (number + at) % 2 == usize::from(name == "adopting"),
        };
        let forgeries = forgeries(&prod_key);
        let mut attempts: Vec<Vec<(&str, Value)>> = all
            .iter()
            .enumerate()
            .flat_map(|(number, place)| forgeries.iter().enumerate().map(move |(at, with)| (number, place, at, with)))
            .filter(|(number, place, at, _)| likely(*number, place, *at))
            .map(|(_, place, _, with)| vec![(place.as_str(), with.clone())])
            .collect();
        attempts.extend(renamed(&text, &all, &forgeries));
        attempts.extend(together(&text, &prod_key));
        let attempts = depth::sampled(name, attempts, QUICK);
        let good = std::sync::atomic::AtomicUsize::new(0);
        let wrong = side_by_side(&attempts, |changes| {
            let Some(file) = forged(&text, changes) else { return Ok(()) };
            let plan = at_once(async {
                let seat = Seat::take(&scene, &scene.rehearsal.line(), Side::Prod, Some(&file)).await?;
                // Whoever is connected is compared with what the file says.
                if file.account(Side::Prod).as_str() != PROD || file.account(Side::Dev).as_str() != DEV {
                    return Err(Error::refused("foreign"));
                }
                seat.plan().await
            });
            let plan = match plan {
                Ok(plan) => plan,
                Err(error) if error.kind == Kind::Internal => return Err(format!("{changes:?}: {error:#?}")),
                Err(_) => return Ok(()),
            };
            // What a person must look at is told, and never taken with --yes.
            if !handoff::trusted(plan.settings(), plan.snapshot()).unwrap().is_empty() {
                return Ok(());
            }
            good.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let wrong = given_away(&plan, &prod_key);
            if wrong.is_empty() { Ok(()) } else { Err(format!("{name}: {changes:?}: {}", wrong.join("; "))) }
        });
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attempts.len(), wrong.join("\n"));
        let good = good.into_inner();
        harmless += good;
        refused += attempts.len() - good;
    }
    println!("{refused} forgeries refused, {harmless} harmless");
    let least = if depth::full() { 400 } else { QUICK / 10 };
    assert!(refused > least && harmless > least, "{refused} {harmless}");
}

/// Says what development's writes would give away on production's word: who is let in, and which role the pipeline takes.
fn let_in(plan: &Plan) -> Vec<String> {
    let mut wrong = Vec::new();
    for write in plan.writes().iter().filter(|write| write.account == Side::Dev) {
        let (_, Some(after)) = write.call.documents() else { continue };
        for text in texts(&after) {
            let arn = text.starts_with("arn:").then(|| text.split(':').collect::<Vec<_>>());
            let Some(parts) = arn.filter(|parts| parts.len() > 5 && parts[2] != "s3") else { continue };
            if ![DEV, PROD, ""].contains(&parts[4]) {
                wrong.push(format!("{} names {text}", write.title));
            }
            if parts[2] == "iam" && parts[4] == PROD && text.contains(['*', '?']) {
                wrong.push(format!("{} names {text}", write.title));
            }
        }
    }
    wrong.extend(plan.writes().iter().filter(|write| write.account != Side::Dev).map(|write| format!("the other side's: {}", write.title)));
    wrong
}

#[test]
fn a_forged_file_is_refused_or_harmless_to_development() {
    let scene = at_once(world("least privilege"));
    let prod_key = at_once(treasures(&scene));
    let file = at_once(turns(&scene, &[Side::Dev, Side::Prod])).unwrap().unwrap();
    let text: Value = serde_json::from_str(&file.text()).unwrap();
    let mut all = Vec::new();
    places(&text, "", &mut all);
    all.retain(|place| place.starts_with("/prod") || place.starts_with("/deployment") || place.starts_with("/devAccount"));
    let forgeries = forgeries(&prod_key);
    let mut attempts: Vec<Vec<(&str, Value)>> =
        all.iter().flat_map(|place| forgeries.iter().map(|with| vec![(place.as_str(), with.clone())])).collect();
    attempts.extend(renamed(&text, &all, &forgeries));
    let dev_key = at_once(async {
        let Accounts { dev, .. } = scene.accounts(&scene.rehearsal.line()).await.unwrap();
        dev.kms(HOME).create_key().description("development's own").send().await.unwrap().key_metadata().unwrap().arn().unwrap().to_owned()
    });
    let encrypted = json!({"known": {"algorithm": "aws:kms", "key": dev_key, "bucket_key": false}});
    let mut attempts = depth::sampled("forgeries", attempts, QUICK);
    attempts.push(vec![("/prod/holds/output/found/encryption", encrypted)]);
    let harmless = std::sync::atomic::AtomicUsize::new(0);
    let wrong = side_by_side(&attempts, |changes| {
        let Some(file) = forged(&text, changes) else { return Ok(()) };
        if file.account(Side::Prod).as_str() != PROD || file.account(Side::Dev).as_str() != DEV {
            return Ok(());
        }
        let plan = at_once(async { Seat::take(&scene, &scene.rehearsal.line(), Side::Dev, Some(&file)).await?.plan().await });
        match plan {
            Ok(plan) => {
                harmless.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let mut wrong = let_in(&plan);
                wrong.extend(plan.writes().iter().filter(|write| write.resource == dev_key).map(|write| write.title.clone()));
                if wrong.is_empty() { Ok(()) } else { Err(format!("{changes:?}: {}", wrong.join("; "))) }
            }
            Err(error) if error.kind == Kind::Internal => Err(format!("{changes:?}: {error:#?}")),
            Err(_) => Ok(()),
        }
    });
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attempts.len(), wrong.join("\n"));
    let harmless = harmless.into_inner();
    println!("{} forgeries refused, {harmless} harmless", attempts.len() - harmless);
    let least = if depth::full() { 50 } else { QUICK / 20 };
    assert!(harmless > least && attempts.len() - harmless > least, "{harmless} of {}", attempts.len());
}

/// Whoever finds this in a file has found a secret.
const CANARY: &str = "CANARY-do-not-tell-7Qz";

#[test]
fn no_secret_is_told() {
    let scene = at_once(world("adopting"));
    at_once(async {
        let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
        let mut snapshot = scene.look(&accounts).await.unwrap();
        let tag = ("owner".to_owned(), CANARY.to_owned());
        let secret = json!({"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "*", "Condition": {
            "StringNotEquals": {"aws:Referer": CANARY, "sts:ExternalId": [CANARY]},
            "StringLike": {"aws:UserAgent": CANARY, "aws:PrincipalOrgID": "o-told"}}});
        let hide = |document: &mut Value| document["Statement"].as_array_mut().unwrap().push(secret.clone());
        for role in [&mut snapshot.service_role, &mut snapshot.deploy_role, &mut snapshot.event_role].into_iter().flatten() {
            role.tags.extend([tag.clone()]);
            hide(&mut role.trust);
            role.inline.insert("theirs".to_owned(), json!({"Statement": [secret]}));
            role.other_documents.insert("arn:aws:iam::111111111111:policy/theirs".to_owned(), json!({"Statement": [secret]}));
        }
        for found in snapshot.policies.values_mut() {
            found.tags.extend([tag.clone()]);
        }
        for found in snapshot.keys.values_mut().filter_map(|slot| slot.found.as_mut()) {
            found.tags.extend([tag.clone()]);
            hide(found.policy.as_mut().unwrap());
        }
        let buckets = snapshot.artifact_buckets.values_mut().chain([&mut snapshot.input, &mut snapshot.output]);
        for found in buckets.filter_map(|slot| slot.found.as_mut()) {
            found.tags.extend([tag.clone()]);
            hide(found.policy.get_or_insert_with(|| json!({"Version": "2012-10-17", "Statement": []})));
            found.source_sha256 = Some(CANARY.to_owned());
            found.notification = found.notification.as_ref().map(|_| format!("<NotificationConfiguration><EventBridgeConfiguration/><QueueConfiguration><Id>{CANARY}</Id></QueueConfiguration></NotificationConfiguration>"));
        }
        let pipeline = snapshot.pipeline.as_mut().unwrap();
        pipeline.tags.extend([tag]);
        pipeline.running.push(CANARY.to_owned());
        pipeline.declaration["variables"] = json!([{"name": "token", "defaultValue": CANARY}]);
        for stage in pipeline.declaration["stages"].as_array_mut().unwrap() {
            for action in stage["actions"].as_array_mut().unwrap() {
                action["configuration"]["EnvironmentVariables"] = json!(format!("[{{\"value\":\"{CANARY}\"}}]"));
                action["namespace"] = json!(CANARY);
            }
            let other = json!({"name": "Build", "actionTypeId": {"category": "Source", "owner": "ThirdParty", "provider": "GitHub", "version": "1"},
                "configuration": {"OAuthToken": CANARY, "S3Bucket": CANARY}});
            stage["actions"].as_array_mut().unwrap().push(other);
        }
        let mut rule = snapshot.other_rules.pop().or(snapshot.rule.take()).unwrap_or_else(|| xdeploy::deploy::snapshot::RuleFound {
            name: "theirs".to_owned(),
            pattern: Value::Null,
            enabled: true,
            tags: Default::default(),
            targets: Vec::new(),
        });
        let arn = pipeline.arn.clone();
        rule.targets.push(json!({"Id": "1", "Arn": arn, "RoleArn": "arn:aws:iam::111111111111:role/r", "Input": CANARY}));
        rule.targets.push(json!({"Id": "2", "Arn": "arn:aws:events:us-east-1:111111111111:api-destination/x", "HttpParameters": {"HeaderParameters": {"k": CANARY}}}));
        snapshot.rule = Some(rule.clone());
        snapshot.other_rules = vec![rule];
        let whole = serde_json::to_string(&snapshot).unwrap();
        assert!(whole.matches(CANARY).count() > 40, "{}", whole.matches(CANARY).count());
        for side in [Side::Dev, Side::Prod] {
            let by = accounts.of(side).caller.to_string();
            let told = Handoff::tell(&scene.settings, &snapshot, side, &by, &[], Vec::new(), None).unwrap();
            assert!(
                !told.text().contains("CANARY"),
                "{side}: {}",
                told.text().lines().filter(|line| line.contains("CANARY")).collect::<Vec<_>>().join("\n")
            );
            assert!(told.text().contains("o-told") && told.text().contains("(withheld)"), "what is no secret is told");
        }
    });
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    /// What is written is read back the same, whatever stands in it, or refused.
    #[test]
    fn what_is_written_is_read_back_the_same(place in 0_usize..10_000, with in "\\PC{0,40}|[a-z0-9.-]{3,30}") {
        static FILE: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| {
            let scene = at_once(world("adopting"));
            let file = at_once(turns(&scene, &[Side::Dev, Side::Prod])).unwrap().unwrap();
            serde_json::from_str(&file.text()).unwrap()
        });
        let mut all = Vec::new();
        places(&FILE, "", &mut all);
        let place = &all[place % all.len()];
        if let Some(file) = forged(&FILE, &[(place.as_str(), json!(with))]) {
            let again = Handoff::parse(&file.text(), "handoff.json").unwrap();
            proptest::prop_assert_eq!(&again, &file);
            proptest::prop_assert_eq!(again.text(), file.text());
            // An edited file is seen to be one, wherever it was edited.
            let mut edited: Value = serde_json::from_str(&file.text()).unwrap();
            if let Some(value) = edited.pointer_mut(place).filter(|value| value.is_string()) {
                *value = json!(format!("{}x", value.as_str().unwrap()));
                let refused = Handoff::parse(&edited.to_string(), "handoff.json");
                proptest::prop_assert!(refused.is_err());
            }
        }
    }
}
