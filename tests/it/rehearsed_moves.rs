//! A world that changes under a set-up: what a stranger writes between any two of its calls is not lost.

use crate::support::compare::{printed, same};
use crate::support::depth;
use crate::support::normalised;
use crate::support::running::{at_once, side_by_side};
use crate::support::scene::{PIPELINE, Scene};
use crate::support::stage::HOME;
use serde_json::{Value, json};
use snapbox::file;
use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use xdeploy::aws::Accounts;
use xdeploy::error::{Error, Kind, Result};

const SERVICE_ROLE: &str = "AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy";
const ARTIFACTS: &str = "codepipeline-us-east-1-999999999999";
/// What a stranger's statements and members are called.
const MARK: &str = "Stranger";

/// A document that a stranger writes to.
struct Moved {
    what: &'static str,
    /// How the calls begin that read it just before it is written, and that write it.
    read: &'static str,
    write: &'static str,
    /// It is ours alone: the next run brings it up to date, so a stranger's change only has to be told of.
    ours: bool,
}

const DOCUMENTS: [Moved; 7] = [
    Moved { what: "key policy", read: "kms:GetKeyPolicy", write: "kms:PutKeyPolicy", ours: false },
    Moved {
        what: "bucket policy",
        read: "s3:GET codepipeline-us-east-1-999999999999/?policy",
        write: "s3:PUT codepipeline-us-east-1-999999999999/?policy",
        ours: false,
    },
    Moved { what: "trust policy", read: "iam:GetRole prods3role", write: "iam:UpdateAssumeRolePolicy prods3role", ours: false },
    Moved { what: "notification", read: "s3:GET in-bucket/?notification", write: "s3:PUT in-bucket/?notification", ours: false },
    Moved {
        what: "managed policy",
        read: "iam:GetPolicyVersion arn:aws:iam::111111111111:policy/assumeprods3role",
        write: "iam:CreatePolicyVersion arn:aws:iam::111111111111:policy/assumeprods3role",
        ours: true,
    },
    Moved {
        what: "inline policy",
        read: "iam:GetRolePolicy AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy",
        write: "iam:PutRolePolicy AWSCodePipelineServiceRole-us-east-1-crossaccountdeploy",
        ours: true,
    },
    Moved { what: "pipeline", read: "codepipeline:GetPipeline", write: "codepipeline:UpdatePipeline", ours: false },
];

/// Puts one statement more into a document.
fn with_statement(text: &str, statement: Value) -> String {
    let mut policy: Value = serde_json::from_str(text).unwrap();
    policy["Statement"].as_array_mut().unwrap().push(statement);
    policy.to_string()
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// Adds a stranger's part to a document, and tags wherever there are tags.
async fn meddle(accounts: &Accounts, what: &str) {
    let Accounts { dev, prod } = accounts;
    let may = |principal: Value, action: &str, resource: &str| json!({"Sid": MARK, "Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource});
    let statement = json!({"Sid": MARK, "Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"});
    match what {
        "key policy" => {
            let kms = dev.kms(HOME);
            let there = kms.describe_key().key_id("alias/s3deploykey").send().await.unwrap();
            let id = there.key_metadata().unwrap().key_id();
            let there = kms.get_key_policy().key_id(id).send().await.unwrap();
            let policy = with_statement(there.policy().unwrap(), may(json!({"AWS": dev.iam_arn("user/auditor")}), "kms:Encrypt", "*"));
            kms.put_key_policy().key_id(id).policy(policy).send().await.unwrap();
            let tag = aws_sdk_kms::types::Tag::builder().tag_key(MARK).tag_value("1").build().unwrap();
            kms.tag_resource().key_id(id).tags(tag).send().await.unwrap();
        }
        "bucket policy" => {
            let there = dev.s3(HOME).get_bucket_policy().bucket(ARTIFACTS).send().await.unwrap();
            let objects = format!("arn:aws:s3:::{ARTIFACTS}/*");
            let policy =
                with_statement(there.policy().unwrap(), may(json!({"AWS": dev.iam_arn("user/auditor")}), "s3:GetObjectTagging", &objects));
            dev.s3(HOME).put_bucket_policy().bucket(ARTIFACTS).policy(policy).send().await.unwrap();
        }
        "trust policy" => {
            let there = prod.iam().get_role().role_name("prods3role").send().await.unwrap();
            let trust = decoded(there.role().unwrap().assume_role_policy_document().unwrap());
            let mut statement = may(json!({"Service": "lambda.amazonaws.com"}), "sts:AssumeRole", "");
            statement.as_object_mut().unwrap().remove("Resource");
            let trust = with_statement(&trust, statement);
            prod.iam().update_assume_role_policy().role_name("prods3role").policy_document(trust).send().await.unwrap();
            let tag = aws_sdk_iam::types::Tag::builder().key(MARK).value("1").build().unwrap();
            prod.iam().tag_role().role_name("prods3role").tags(tag).send().await.unwrap();
        }
        "notification" => {
            use aws_sdk_s3::types::{Event, NotificationConfiguration, TopicConfiguration};
            let there = dev.s3(HOME).get_bucket_notification_configuration().bucket("in-bucket").send().await.unwrap();
            let topic = TopicConfiguration::builder().id(MARK).topic_arn("arn:aws:sns:us-east-1:111111111111:topic");
            let topic = topic.events(Event::S3ObjectRemovedDelete).build().unwrap();
            let whole = NotificationConfiguration::builder()
                .set_queue_configurations(Some(there.queue_configurations().to_vec()))
                .set_event_bridge_configuration(there.event_bridge_configuration().cloned())
                .topic_configurations(topic);
            let put = dev.s3(HOME).put_bucket_notification_configuration().bucket("in-bucket").skip_destination_validation(true);
            put.notification_configuration(whole.build()).send().await.unwrap();
        }
        "notification off" => {
            let put = dev.s3(HOME).put_bucket_notification_configuration().bucket("in-bucket").skip_destination_validation(true);
            let empty = aws_sdk_s3::types::NotificationConfiguration::builder().build();
            put.notification_configuration(empty).send().await.unwrap();
        }
        "managed policy" => {
            let (iam, arn) = (dev.iam(), dev.iam_arn("policy/assumeprods3role"));
            let there = iam.get_policy().policy_arn(&arn).send().await.unwrap();
            let version = there.policy().unwrap().default_version_id().unwrap();
            let there = iam.get_policy_version().policy_arn(&arn).version_id(version).send().await.unwrap();
            let document = with_statement(&decoded(there.policy_version().unwrap().document().unwrap()), statement);
            iam.create_policy_version().policy_arn(&arn).policy_document(document).set_as_default(true).send().await.unwrap();
        }
        "inline policy" => {
            let (iam, name) = (dev.iam(), format!("xdeploy-{PIPELINE}"));
            let there = iam.get_role_policy().role_name(SERVICE_ROLE).policy_name(&name).send().await.unwrap();
            let document = with_statement(&decoded(there.policy_document()), statement);
            iam.put_role_policy().role_name(SERVICE_ROLE).policy_name(&name).policy_document(document).send().await.unwrap();
        }
        _ => {
            let there = dev.codepipeline(HOME).get_pipeline().name(PIPELINE).send().await.unwrap();
            let mut pipeline = there.pipeline.unwrap();
            let action = &mut pipeline.stages[1].actions[0];
            action.configuration.get_or_insert_default().insert("CacheControl".to_owned(), MARK.to_owned());
            dev.codepipeline(HOME).update_pipeline().pipeline(pipeline).send().await.unwrap();
            let arn = format!("arn:aws:codepipeline:{HOME}:{}:{PIPELINE}", dev.id);
            let tag = aws_sdk_codepipeline::types::Tag::builder().key(MARK).value("1").build().unwrap();
            dev.codepipeline(HOME).tag_resource().resource_arn(arn).tags(tag).send().await.unwrap();
        }
    }
}

/// What a run did, and where the stranger came.
struct Played {
    ended: Result<()>,
    calls: Vec<String>,
}

/// Runs a set-up call by call, the newest first, so that what was read is written at once; a stranger comes just before the
/// call of that number, or when all is over.
async fn played(scene: &Scene, what: &str, before: usize) -> Played {
    let line = scene.rehearsal.line().gated();
    let stranger = scene.accounts(&scene.rehearsal.line()).await.unwrap();
    let (over, passed) = (Cell::new(false), RefCell::new(Vec::new()));
    let run = async {
        let ended = scene.set_up(&line).await;
        over.set(true);
        ended
    };
    let gate = async {
        while !over.get() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let Some(call) = line.waiting().last().copied() else { continue };
            passed.borrow_mut().push(call);
            if passed.borrow().len() == before {
                meddle(&stranger, what).await;
            }
            line.pass(call);
        }
    };
    let (ended, ()) = tokio::join!(run, gate);
    let names = line.calls();
    let calls: Vec<String> = passed.into_inner().into_iter().map(|number| names[number - 1].clone()).collect();
    if before > calls.len() {
        meddle(&stranger, what).await;
    }
    Played { ended, calls }
}

/// Counts how often a stranger's mark is in what both accounts hold.
fn marks(scene: &Scene) -> usize {
    scene.state().to_string().matches(MARK).count()
}

fn told(error: &Error) -> bool {
    let texts = ["has changed since the plan was made", "is not what was written a moment ago"];
    let says = format!("{error:?}");
    error.kind == Kind::Conflict && !error.hints.is_empty() && texts.iter().any(|text| says.contains(text))
}

/// What came of one stranger.
#[derive(Debug, Default)]
struct Tally {
    kept: AtomicUsize,
    refused: AtomicUsize,
    in_the_window: AtomicUsize,
}

async fn moved(scene: &Scene, moved: &Moved, before: usize, tally: &Tally) -> std::result::Result<(), String> {
    let scene = scene.fork();
    let expected = {
        let other = scene.fork();
        meddle(&other.accounts(&other.rehearsal.line()).await.unwrap(), moved.what).await;
        marks(&other)
    };
    let Played { ended, calls } = played(&scene, moved.what, before).await;
    let write = calls.iter().position(|call| call.starts_with(moved.write)).map_or(0, |index| index + 1);
    let read = calls.iter().take(write).rposition(|call| call.starts_with(moved.read)).map_or(0, |index| index + 1);
    // AWS has no compare-and-swap: who comes between the comparing read and the write isn't seen (architecture.md).
    if write > 0 && read < before && before <= write {
        tally.in_the_window.fetch_add(1, Ordering::SeqCst);
        return if write - read == 1 { Ok(()) } else { Err(format!("{:#?} between read and write", &calls[read..write])) };
    }
    match &ended {
        Ok(()) => tally.kept.fetch_add(1, Ordering::SeqCst),
        Err(error) if told(error) => tally.refused.fetch_add(1, Ordering::SeqCst),
        Err(error) => return Err(format!("{error:#?}")),
    };
    let found = marks(&scene);
    if found != expected {
        return Err(format!("{found} marks of {expected} are left: {ended:?}"));
    }
    if ended.is_ok() || moved.ours {
        return Ok(());
    }
    scene.set_up(&scene.rehearsal.line()).await.map_err(|error| format!("the next run: {error:#?}"))?;
    let found = marks(&scene);
    if found == expected { Ok(()) } else { Err(format!("the next run left {found} marks of {expected}")) }
}

/// What is said where a stranger wrote before the comparing read, and where one wrote right after us.
#[test]
fn a_stranger_at_the_same_document_is_told_of() {
    let scene = at_once(Scene::adopting());
    let calls = at_once(played(&scene.fork(), "pipeline", usize::MAX)).calls;
    let mut said = String::new();
    let mut tell = |document: &Moved, what: &str, before: usize| {
        let error = at_once(played(&scene.fork(), what, before)).ended.unwrap_err();
        let _ = writeln!(said, "# {what}, before {}\n{}", calls[before - 1], printed(&error));
        assert!(told(&error), "{}: {error:?}", document.what);
    };
    for document in &DOCUMENTS {
        let write = calls.iter().position(|call| call.starts_with(document.write)).unwrap();
        let read = calls[..write].iter().rposition(|call| call.starts_with(document.read)).unwrap();
        tell(document, document.what, read + 1);
        match document.what {
            // Ours alone, and written whole; the pipeline's answer says what was stored.
            "managed policy" | "inline policy" | "pipeline" => {}
            // Only what we wrote into it is read back.
            "notification" => tell(document, "notification off", write + 2),
            what => tell(document, what, write + 2),
        }
    }
    same(&normalised(&said), file!["../snapshots/rehearsed_moves/a_stranger_at_the_same_document_is_told_of.txt"]);
}

#[test]
fn nothing_that_a_stranger_adds_meanwhile_is_lost() {
    let started = Instant::now();
    let scene = at_once(Scene::adopting());
    let calls = {
        let scene = scene.fork();
        let undisturbed = at_once(played(&scene, "pipeline", usize::MAX));
        undisturbed.ended.unwrap();
        undisturbed.calls
    };
    // From the last call that only looks, so that the first stranger comes between plan and apply.
    let writes = ["Create", "Put", "Update", "Attach", "Delete", "PUT"];
    let first = calls.iter().position(|call| writes.iter().any(|word| call.contains(&format!(":{word}")))).unwrap() + 1;
    let strangers: Vec<(&Moved, usize)> =
        DOCUMENTS.iter().flat_map(|moved| (first..=calls.len() + 1).map(move |call| (moved, call))).collect();
    let strangers = depth::sampled("strangers", strangers, 40);
    let tally: Vec<Tally> = DOCUMENTS.iter().map(|_| Tally::default()).collect();
    let wrong = side_by_side(&strangers, |(document, before)| {
        let index = DOCUMENTS.iter().position(|one| one.what == document.what).unwrap();
        let ended = at_once(moved(&scene, document, *before, &tally[index]));
        let call = calls.get(before - 1).map_or("the end", String::as_str);
        ended.map_err(|why| format!("{} before call {before}, {call}: {why}", document.what))
    });
    println!("{} strangers in {:.1?}", strangers.len(), started.elapsed());
    for (document, tally) in DOCUMENTS.iter().zip(&tally) {
        println!("{}: {tally:?}", document.what);
    }
    let some: Vec<&String> = wrong.iter().take(5).collect();
    assert!(wrong.is_empty(), "{} of {} went wrong: {some:#?}", wrong.len(), strangers.len());
    // Each document was changed under a run that refused for it, and under one that had written already.
    for (document, tally) in DOCUMENTS.iter().zip(&tally).filter(|_| depth::full()) {
        let (kept, refused) = (tally.kept.load(Ordering::SeqCst), tally.refused.load(Ordering::SeqCst));
        assert!(refused > 0 && kept > 0, "{}: {tally:?}", document.what);
    }
}
