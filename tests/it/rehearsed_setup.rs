//! Setup on the rehearsal: the real plan and apply through the real SDK clients, and a pipeline that then runs.

use crate::support::stage::{HOME, Stage};
use serde_json::json;
use xdeploy::deploy::kept::{self, Maker};
use xdeploy::deploy::plan::Plan;
use xdeploy::deploy::proof::prove;
use xdeploy::model::Policies;
use xdeploy::rehearsal::PROD;
use xdeploy::settings::DeploymentFlags;

#[tokio::test]
async fn setup_runs_on_the_rehearsal_and_the_pipeline_after_it() {
    for (target, policies) in [
        (HOME, Policies::Article),
        (HOME, Policies::LeastPrivilege),
        ("eu-west-1", Policies::Article),
        ("eu-west-1", Policies::LeastPrivilege),
    ] {
        let stage = Stage::new(target).await;
        let settings = stage.settings(DeploymentFlags { policies: Some(policies), ..DeploymentFlags::default() });
        let there = stage.set_up(&settings).await;
        let before = stage.rehearsal.log().len();
        assert_eq!(stage.release().await, "Succeeded", "{target} {policies}");
        stage.every_call_is_a_link(&settings, &there, before);
        let arrived = stage.arrived().await;
        let owner = &stage.accounts.prod.s3(target).list_buckets().send().await.unwrap().owner().unwrap().id().unwrap().to_owned();
        let expected = [("css/site.css", owner), ("index.html", owner)].map(|(key, owner)| (key.to_owned(), owner.clone()));
        assert_eq!(arrived, expected, "{target} {policies}");
    }
}

/// What the proof says is broken fails the run, and what it says is allowed doesn't.
#[tokio::test]
async fn a_broken_chain_fails_the_run_as_the_proof_says() {
    let stage = Stage::new(HOME).await;
    let settings = stage.settings(DeploymentFlags::default());
    stage.set_up(&settings).await;
    let iam = stage.accounts.prod.iam();
    let policy = format!("arn:aws:iam::{PROD}:policy/devkmss3access");
    iam.detach_role_policy().role_name("prods3role").policy_arn(&policy).send().await.unwrap();
    let proof = prove(&settings, &stage.look(&settings).await).unwrap().unwrap();
    let denied: Vec<&str> = proof.broken().filter(|link| !link.may_be_called()).map(|link| link.name.as_str()).collect();
    assert_eq!(json!(denied), json!(["deploy-read", "deploy-decrypt"]));
    assert_eq!(stage.release().await, "Failed");
    stage.set_up(&settings).await;
    assert_eq!(stage.release().await, "Succeeded");
}

/// What stays is told with who made it, and nothing that a write changes is told to stay.
#[tokio::test]
async fn what_stays_is_what_no_write_changes() {
    let stage = Stage::new(HOME).await;
    let settings = stage.settings(DeploymentFlags::default());
    let there = stage.set_up(&settings).await;
    let told = |plan: &Plan| -> Vec<(String, Maker)> { kept::of_plan(plan).into_iter().map(|one| (one.what, one.maker)).collect() };
    let all = told(&stage.plan(&settings, there));
    for (what, maker) in [
        ("policy devkmss3access", Maker::Xdeploy),
        ("policy devkmss3access is attached to prods3role", Maker::Unsaid),
        ("cross-account role prods3role", Maker::Xdeploy),
        ("pipeline crossaccountdeploy", Maker::Xdeploy),
        ("input bucket in-bucket", Maker::Unsaid),
    ] {
        assert!(all.contains(&(what.to_owned(), maker)), "{what}: {all:#?}");
    }
    let iam = stage.accounts.prod.iam();
    let policy = format!("arn:aws:iam::{PROD}:policy/devkmss3access");
    iam.detach_role_policy().role_name("prods3role").policy_arn(&policy).send().await.unwrap();
    iam.untag_role().role_name("prods3role").tag_keys("xdeploy:pipeline").tag_keys("xdeploy:pipeline-arn").send().await.unwrap();
    let less = told(&stage.plan(&settings, stage.look(&settings).await));
    let gone: Vec<_> = all.iter().filter(|one| !less.contains(one)).map(|(what, _)| what.as_str()).collect();
    assert_eq!(gone, ["cross-account role prods3role", "policy devkmss3access is attached to prods3role"]);
    assert!(less.contains(&("cross-account role prods3role".to_owned(), Maker::Others)), "{less:#?}");
}
