//! Errors of one moment: what AWS shows late, what another answers, and Ctrl-C while the program waits. Each is brought about on
//! the two accounts in memory, with single answers put in the place of theirs, where waiting takes no time.

use crate::support::compare::{printed, same};
use crate::support::running::at_once;
use crate::support::scene::{PIPELINE, Scene};
use crate::support::stage::HOME;
use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use serde_json::json;
use snapbox::str;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use xdeploy::aws::{Account, Accounts, Unverified};
use xdeploy::deploy::apply::{self, Manner};
use xdeploy::deploy::proof::prove_written;
use xdeploy::error::{Error, Kind, Result};
use xdeploy::model::{Policies, Side};
use xdeploy::rehearsal::{DEV, PROD, Rehearsal};

/// What a call is about: `TrentService.DescribeKey` and the like, S3's method and address; and the host.
struct Asked {
    what: String,
    host: String,
}

type Instead = dyn Fn(&Asked) -> Option<String> + Send + Sync;

/// Stands before the accounts and answers some calls itself, always with 200.
#[derive(Clone)]
struct Between {
    rehearsal: Rehearsal,
    instead: Arc<Instead>,
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Between")
    }
}

impl HttpClient for Between {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Between {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = request.uri().to_owned();
        let what = match request.headers().get("x-amz-target") {
            Some(target) => target.to_owned(),
            None => format!("{} {uri}", request.method()),
        };
        let host = uri.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
        match (self.instead)(&Asked { what, host }) {
            Some(body) => HttpConnectorFuture::ready(Ok(HttpResponse::new(200_u16.try_into().unwrap(), body.into()))),
            None => self.rehearsal.call(request),
        }
    }
}

/// The accounts of a scene with something between them and the program.
async fn accounts(scene: &Scene, instead: impl Fn(&Asked) -> Option<String> + Send + Sync + 'static) -> Accounts {
    let between = Between { rehearsal: scene.rehearsal.clone(), instead: Arc::new(instead) };
    let account = async |side, id: &str, region: &str| {
        let config: SdkConfig = scene.rehearsal.config(scene.rehearsal.keys(id), region);
        let config = config.into_builder().http_client(between.clone()).build();
        Account::verified(side, "rehearsal", config).await.map_err(|error| match error {
            Unverified::Asking(error) => Error::from(error),
            Unverified::Answer(error) => error,
        })
    };
    Accounts { dev: account(Side::Dev, DEV, HOME).await.unwrap(), prod: account(Side::Prod, PROD, scene.target).await.unwrap() }
}

/// Plans and applies, with a hand on the brake.
async fn set_up(scene: &Scene, accounts: &Accounts, stop: &AtomicBool) -> Result<()> {
    let plan = scene.plan(accounts).await.unwrap();
    let manner = Manner { pipeline_arn: &plan.pipeline_arn(), wait_for_runs: true, listen: &|_| (), stop };
    apply::apply(accounts, plan.writes(), &manner).await.map(drop)
}

#[test]
fn ctrl_c_while_a_document_is_not_to_be_seen_yet() {
    let error = at_once(async {
        let scene = Scene::fresh(HOME, Policies::Article).await;
        let stop = Arc::new(AtomicBool::new(false));
        let (written, pressed) = (AtomicBool::new(false), Arc::clone(&stop));
        let accounts = accounts(&scene, move |asked| {
            let notification = asked.what.contains("in-bucket") && asked.what.contains("?notification");
            if notification && asked.what.starts_with("PUT") {
                written.store(true, Ordering::SeqCst);
            }
            // As long as S3 shows the old one, the program waits; and then Ctrl-C.
            let late = notification && asked.what.starts_with("GET") && written.load(Ordering::SeqCst);
            if late {
                pressed.store(true, Ordering::SeqCst);
            }
            late.then(|| "<NotificationConfiguration/>".to_owned())
        })
        .await;
        set_up(&scene, &accounts, &stop).await.unwrap_err()
    });
    assert_eq!(error.kind, Kind::Interrupted);
    same(
        &printed(&error),
        str![[r#"
error: interrupted after 16 of 23 writes
  caused by: Change detection: notification of in-bucket: EventBridge hears of new objects
  caused by: interrupted while waiting for arn:aws:s3:::in-bucket

hint: run the same command again: it goes on from here

"#]],
    );
}

#[test]
fn ctrl_c_while_a_run_is_waited_for() {
    let error = at_once(async {
        let scene = Scene::adopting().await;
        let accounts = accounts(&scene, |asked| {
            let runs = json!({"pipelineExecutionSummaries": [{"pipelineExecutionId": "under-way", "status": "InProgress"}]});
            asked.what.ends_with(".ListPipelineExecutions").then(|| runs.to_string())
        })
        .await;
        let stop = AtomicBool::new(false);
        let wait = apply::quiet(&accounts.dev, HOME, PIPELINE, true, &stop, |_, _| ());
        let press = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            stop.store(true, Ordering::SeqCst);
        };
        tokio::join!(wait, press).0.unwrap_err()
    });
    assert_eq!(error.kind, Kind::Interrupted);
    same(
        &printed(&error),
        str![[r#"
error: interrupted while waiting for the pipeline's run

hint: run the same command again: it goes on from here

"#]],
    );
}

#[test]
fn a_replica_that_never_gets_ready() {
    let error = at_once(async {
        let scene = Scene::fresh("eu-west-1", Policies::Article).await;
        let made = AtomicBool::new(false);
        let accounts = accounts(&scene, move |asked| {
            made.fetch_or(asked.what.ends_with(".ReplicateKey"), Ordering::SeqCst);
            let there = made.load(Ordering::SeqCst) && asked.host.contains("eu-west-1") && asked.what.ends_with(".DescribeKey");
            there.then(|| {
                let arn = format!("arn:aws:kms:eu-west-1:{DEV}:key/mrk-1");
                json!({"KeyMetadata": {"KeyId": "mrk-1", "Arn": arn, "KeyState": "Creating"}}).to_string()
            })
        })
        .await;
        set_up(&scene, &accounts, &AtomicBool::new(false)).await.unwrap_err()
    });
    same(
        &crate::support::normalised(&printed(&error)),
        str![[r#"
error: KMS key: the key to eu-west-1
  caused by: the replica arn:aws:kms:eu-west-1:111111111111:key/mrk-00000000000000000000000000000001 is still Creating

hint: run the same command again in a while
hint: run the same command again: what is done stays done

"#]],
    );
}

#[test]
fn a_pipeline_that_is_not_to_be_seen_after_it_was_made() {
    let error = at_once(async {
        let scene = Scene::fresh(HOME, Policies::Article).await;
        let accounts = scene.accounts(&scene.rehearsal.line()).await.unwrap();
        let before = scene.look(&accounts).await.unwrap();
        set_up(&scene, &accounts, &AtomicBool::new(false)).await.unwrap();
        let after = scene.look(&accounts).await.unwrap();
        assert!(prove_written(&scene.settings, &after).is_ok());
        // As a read shows it that doesn't see the writes yet.
        prove_written(&scene.settings, &before).unwrap_err()
    });
    same(
        &printed(&error),
        str![[r#"
error: the pipeline isn't to be seen

hint: `xdeploy verify` looks again

"#]],
    );
}
