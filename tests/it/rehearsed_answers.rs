//! Reads that somebody on the way answers in the place of AWS, lists that begin with an empty page, answers that come late, keys that
//! no XML can hold and a clock that is off: nothing of others is lost, and what is done is right.

use crate::support::compare::{difference, printed, same};
use crate::support::depth;
use crate::support::running::{at_once, side_by_side};
use crate::support::scene::{PIPELINE, Scene};
use crate::support::stage::HOME;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use serde_json::Value;
use snapbox::str;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use xdeploy::aws::{Account, Accounts};
use xdeploy::deploy::apply::{self, Manner};
use xdeploy::deploy::arrival;
use xdeploy::deploy::observe::{Organisations, Purpose, head_bucket, observe};
use xdeploy::deploy::plan::{Callers, Plan};
use xdeploy::deploy::release;
use xdeploy::deploy::teardown::{look_back, undo};
use xdeploy::deploy::write::Write;
use xdeploy::error::{Error, Kind, Result};
use xdeploy::model::{Policies, Side};
use xdeploy::rehearsal::{DEV, Fault, Line, Rehearsal, Stranger};

/// How many of a world's answers a quick run tries.
const QUICK: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Setup,
    Plan,
    Teardown,
}

/// What a command did or would do.
#[derive(Debug, Default, PartialEq)]
struct Done {
    planned: Vec<Write>,
    /// A teardown left something of which it couldn't tell who needs it.
    unsure: bool,
}

async fn run(scene: &Scene, line: &Line, command: Command) -> Result<Done> {
    match command {
        Command::Setup => scene.set_up(line).await.map(|()| Done::default()),
        Command::Plan => {
            let plan = scene.plan(&scene.accounts(line).await?).await?;
            Ok(Done { planned: plan.writes().to_vec(), ..Done::default() })
        }
        Command::Teardown => torn_down(scene, line).await,
    }
}

async fn torn_down(scene: &Scene, line: &Line) -> Result<Done> {
    let accounts = scene.accounts(line).await?;
    let Accounts { dev, prod } = &accounts;
    let there = observe(dev, prod, &scene.settings, Purpose::Teardown, Organisations::Never).await?;
    let past = look_back(&accounts, &scene.settings, &there).await?;
    let undo = undo(&scene.settings, &there, &past, false)?;
    let stop = AtomicBool::new(false);
    if there.pipeline.is_some() {
        apply::quiet(dev, HOME, PIPELINE, false, &stop, |_, _| ()).await?;
    }
    let arn = there.dev.regional("codepipeline", HOME, PIPELINE);
    let manner = Manner { pipeline_arn: &arn, wait_for_runs: false, listen: &|_| (), stop: &stop };
    apply::apply(&accounts, &undo.writes, &manner).await?;
    Ok(Done { unsure: undo.left.iter().any(|left| left.why.contains("could not be read")), ..Done::default() })
}

/// A set-up with statements of others in every document, and what is done to it.
struct World {
    name: &'static str,
    command: Command,
    scene: Scene,
}

/// A set-up of one made by hand.
async fn adopted() -> Scene {
    let scene = Scene::adopting().await;
    scene.set_up(&scene.rehearsal.line()).await.unwrap();
    scene
}

/// A set-up of nothing, whose key another pipeline names by its alias.
async fn shared() -> Scene {
    let scene = Scene::fresh(HOME, Policies::Article).await;
    let line = scene.rehearsal.line();
    scene.set_up(&line).await.unwrap();
    let pipelines = scene.accounts(&line).await.unwrap().dev.codepipeline(HOME);
    let mut theirs = pipelines.get_pipeline().name(PIPELINE).send().await.unwrap().pipeline.unwrap();
    "theirs".clone_into(&mut theirs.name);
    let key = theirs.artifact_store.as_mut().unwrap().encryption_key.as_mut().unwrap();
    "alias/s3deploykey".clone_into(&mut key.id);
    pipelines.create_pipeline().pipeline(theirs).send().await.unwrap();
    scene
}

/// A set-up with a key of somebody's, in whose policy are statements about a role that goes with the set-up.
async fn with_a_key() -> Scene {
    let scene = Scene::fresh(HOME, Policies::Article).await;
    let line = scene.rehearsal.line();
    let kms = scene.accounts(&line).await.unwrap().dev.kms(HOME);
    let made = kms.create_key().description("theirs").send().await.unwrap();
    let id = made.key_metadata().unwrap().key_id();
    kms.create_alias().alias_name("alias/s3deploykey").target_key_id(id).send().await.unwrap();
    scene.set_up(&line).await.unwrap();
    scene
}

fn worlds() -> Vec<World> {
    let adopted = at_once(adopted());
    let mut changed = adopted.fork();
    changed.settings.policies = Some(Policies::LeastPrivilege);
    let world = |name, command, scene| World { name, command, scene };
    vec![
        world("a plan of a change", Command::Plan, changed.fork()),
        world("a change", Command::Setup, changed),
        world("the way back from an adoption", Command::Teardown, adopted),
        world("the way back beside another pipeline", Command::Teardown, at_once(shared())),
    ]
}

/// The texts of a state, each with the names of the members that lead to it.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| leaves(value, &format!("{path}/{name}"), found)),
        Value::Array(list) if path.ends_with("/Statement") => found.extend(list.iter().map(|one| format!("{path}: {one}"))),
        Value::Array(list) => list.iter().for_each(|value| leaves(value, path, found)),
        other => found.extend([format!("{path}: {other}")]),
    }
}

fn all_leaves(state: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    leaves(state, "", &mut found);
    found
}

/// A command that nobody disturbs: its calls, what it did, and its end.
async fn undisturbed(world: &World) -> (Vec<String>, Done, Value) {
    let scene = world.scene.fork();
    let line = scene.rehearsal.line();
    let done = run(&scene, &line, world.command).await.unwrap();
    (line.calls(), done, scene.state())
}

/// Runs a command with somebody answering one kind of its reads, and then again with nobody.
async fn answered(
    world: &World,
    call: &str,
    stranger: Stranger,
    expected: &(Done, Value),
    failed: &AtomicUsize,
) -> std::result::Result<(), String> {
    let (right, end) = expected;
    let scene = world.scene.fork();
    let before = scene.state();
    let line = scene.rehearsal.line().answered_by(call, stranger);
    let outcome = run(&scene, &line, world.command).await;
    let after = scene.state();
    let (were, are) = (all_leaves(&before), all_leaves(&after));
    let lost: Vec<String> = all_leaves(end).intersection(&were).filter(|leaf| !are.contains(*leaf)).cloned().collect();
    if !lost.is_empty() {
        return Err(format!("lost: {lost:#?}"));
    }
    match &outcome {
        Ok(done) if done.unsure => return Ok(()),
        Ok(done) if done.planned != right.planned => return Err("another plan, and no error".to_owned()),
        Ok(_) if after != *end => return Err(format!("another end, and no error:\n{}", difference(end, &after))),
        Ok(_) => {}
        Err(error) => {
            if error.kind == Kind::Internal || error.hints.is_empty() {
                return Err(format!("no clear error: {error:#?}"));
            }
            failed.fetch_add(1, Ordering::SeqCst);
        }
    }
    run(&scene, &scene.rehearsal.line(), world.command).await.map_err(|error| format!("the next run: {error:#?}"))?;
    let found = scene.state();
    if found == *end { Ok(()) } else { Err(format!("another end after the next run:\n{}", difference(end, &found))) }
}

/// Says whether a call of this name reads something, and its answer has a body.
fn is_read(call: &str) -> bool {
    let operation = call.split_once(':').unwrap().1;
    ["Get", "List", "Describe", "GET "].iter().any(|word| operation.starts_with(word)) && !call.starts_with("sts:")
}

#[test]
fn what_somebody_else_answers_is_never_taken_for_nothing() {
    let mut wrong = Vec::new();
    for world in worlds() {
        let (calls, done, end) = at_once(undisturbed(&world));
        let kinds: BTreeSet<&String> = calls.iter().filter(|call| is_read(call)).collect();
        let tries: Vec<(&String, Stranger)> = kinds.iter().flat_map(|call| Stranger::ALL.map(|stranger| (*call, stranger))).collect();
        let all = tries.len();
        let tries = depth::sampled(world.name, tries, QUICK);
        let (expected, failed) = ((done, end), AtomicUsize::new(0));
        wrong.extend(side_by_side(&tries, |(call, stranger)| {
            at_once(answered(&world, call, *stranger, &expected, &failed))
                .map_err(|why| format!("{}: {stranger:?} for {call}: {why}", world.name))
        }));
        let failed = failed.into_inner();
        println!("{}: {} kinds of reads, {} of {all} answers, {failed} runs ended with an error", world.name, kinds.len(), tries.len());
        assert!(kinds.len() > 20 && failed > tries.len() / 2, "{}: {} kinds, {failed} failed", world.name, kinds.len());
    }
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The case that was seen: a proxy that answers the one read of a policy with nothing.
#[test]
fn an_empty_answer_for_a_bucket_policy_is_an_error_before_any_write() {
    let world = worlds().into_iter().find(|world| world.command == Command::Setup).unwrap();
    let call = format!("s3:GET {}/?policy", crate::support::scene::ARTIFACTS);
    for stranger in Stranger::ALL {
        let scene = world.scene.fork();
        let before = scene.state();
        let line = scene.rehearsal.line().answered_by(&call, stranger);
        let error = at_once(scene.set_up(&line)).unwrap_err();
        let told = printed(&error);
        let names =
            ["s3:GetBucketPolicy on arn:aws:s3:::codepipeline-us-east-1-999999999999 in dev", "isn't one of S3's", "nothing was changed"];
        assert!(names.iter().all(|name| told.contains(name)), "{told}");
        assert_eq!(scene.state(), before);
    }
}

#[test]
fn a_page_that_is_empty_is_not_the_last() {
    for world in worlds() {
        let (_, done, end) = at_once(undisturbed(&world));
        let scene = world.scene.fork();
        let line = scene.rehearsal.line().with_empty_first_pages();
        let found = at_once(run(&scene, &line, world.command)).unwrap_or_else(|error| panic!("{}: {error:#?}", world.name));
        assert_eq!(found, done, "{}", world.name);
        let state = scene.state();
        assert!(state == end, "{}: {}", world.name, difference(&end, &state));
    }
}

/// What names a role is written before the role goes: as soon as it is gone, AWS shows its id in its place (facts D.2).
#[test]
fn a_teardown_with_late_or_lost_answers_ends_like_any_other() {
    let world = World { name: "late answers", command: Command::Teardown, scene: at_once(with_a_key()) };
    let (calls, _, end) = at_once(undisturbed(&world));
    let all: Vec<(usize, Fault)> = (1..=calls.len())
        .flat_map(|number| [Fault::Delayed(Duration::from_secs(20)), Fault::ResetAfter].map(|fault| (number, fault)))
        .collect();
    let wrong = side_by_side(&depth::sampled(world.name, all, QUICK), |(number, fault)| {
        let scene = world.scene.fork();
        let line = scene.rehearsal.line().fault(*number, *fault);
        let what = format!("{fault:?} of {}", calls[number - 1]);
        at_once(run(&scene, &line, world.command)).map_err(|error| format!("{what}: {error:#?}"))?;
        let found = scene.state();
        if found == end { Ok(()) } else { Err(format!("{what}: {}", difference(&end, &found))) }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_key_that_no_xml_can_hold_stops_neither_release_nor_teardown() {
    let scene = at_once(Scene::fresh(HOME, Policies::Article));
    let line = scene.rehearsal.line();
    at_once(async {
        scene.set_up(&line).await.unwrap();
        let accounts = scene.accounts(&line).await.unwrap();
        let strange = "bell\u{7}/a +b%20~é*.txt";
        accounts.prod.s3(HOME).put_object().bucket("out-bucket").key(strange).body(b"x".to_vec().into()).send().await.unwrap();
        let route = release::route(&accounts, &scene.settings).await.unwrap();
        let left = arrival::left_behind(&accounts, &route, &["index.html".to_owned()]).await;
        assert_eq!((left.keys, left.more), (vec![strange.to_owned()], false));
        let there = observe(&accounts.dev, &accounts.prod, &scene.settings, Purpose::Teardown, Organisations::Never).await.unwrap();
        let past = look_back(&accounts, &scene.settings, &there).await.unwrap();
        assert!(past.output_keys.is_some(), "the object was asked for its key");
        run(&scene, &line, Command::Teardown).await.unwrap();
    });
}

/// No answer brings it any more; a file that another person wrote may.
#[test]
fn a_notification_that_is_no_xml_is_refused() {
    let scene = at_once(Scene::fresh(HOME, Policies::Article));
    let error = at_once(async {
        let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
        let mut there = scene.look(&accounts).await.unwrap();
        there.input.found.as_mut().unwrap().notification = Some("<NotificationConfiguration><".to_owned());
        let callers = Callers { dev: accounts.dev.caller.to_string(), prod: accounts.prod.caller.to_string() };
        Plan::make(&scene.settings, callers, there, None).unwrap_err()
    });
    same(
        &printed(&error),
        str![[r#"
error: the notification configuration of in-bucket could not be understood

hint: turn EventBridge on by hand in the bucket's properties, then run setup again

"#]],
    );
}

/// Accounts whose S3 refuses HEAD as it does what is signed at another time: without a body.
#[derive(Debug, Clone)]
struct Ahead(Rehearsal, Duration);

impl HttpClient for Ahead {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Ahead {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.method() != "HEAD" {
            return HttpConnector::call(&self.0, request);
        }
        let mut answer = HttpResponse::new(StatusCode::try_from(403_u16).unwrap(), SdkBody::empty());
        let date = DateTime::from(SystemTime::now() + self.1).fmt(Format::HttpDate).unwrap();
        answer.headers_mut().insert("date", date);
        HttpConnectorFuture::ready(Ok(answer))
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_named_where_s3_refuses_without_a_word() {
    let told = async |ahead: Duration| {
        let rehearsal = Rehearsal::new("aws", HOME, HOME);
        let config = rehearsal.config(rehearsal.keys(DEV), HOME).into_builder().http_client(Ahead(rehearsal, ahead)).build();
        let account = Account::verified(Side::Dev, "d", config).await.unwrap();
        let error: Error = head_bucket(&account, HOME, "in-bucket").await.unwrap_err();
        printed(&error)
    };
    let off = told(Duration::from_secs(20 * 60)).await;
    assert!(off.contains("the clock here is 20 minutes off: it says ") && off.contains("set the clock"), "{off}");
    assert!(!off.contains("another account"), "{off}");
    let right = told(Duration::from_secs(60)).await;
    assert!(right.contains("it belongs to another account") && !right.contains("clock"), "{right}");
}
