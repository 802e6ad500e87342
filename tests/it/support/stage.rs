//! Two accounts in memory, worked on in this process through the real SDK clients.

use std::sync::atomic::AtomicBool;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use xdeploy::aws::{Account, Accounts};
use xdeploy::deploy::after::after;
use xdeploy::deploy::apply::{self, Manner};
use xdeploy::deploy::observe::{Organisations, Purpose, observe};
use xdeploy::deploy::plan::{Callers, Plan};
use xdeploy::deploy::proof::{links, prove};
use xdeploy::deploy::snapshot::Snapshot;
use xdeploy::model::{Side, Verdict};
use xdeploy::policy::Decided;
use xdeploy::rehearsal::{DEV, PROD, Rehearsal};
use xdeploy::settings::{CommonFlags, DeploymentFlags, Settings};

/// The region of the development account.
pub const HOME: &str = "us-east-1";

/// Two accounts in memory with an input and an output bucket.
pub struct Stage {
    pub rehearsal: Rehearsal,
    pub accounts: Accounts,
    pub target: &'static str,
}

impl Stage {
    pub async fn new(target: &'static str) -> Stage {
        let rehearsal = Rehearsal::new("aws", HOME, target);
        let account = |side, id: &str, region: &str| {
            let config = rehearsal.config(rehearsal.keys(id), region);
            async move { Account::verified(side, "rehearsal", config).await.unwrap() }
        };
        let accounts = Accounts { dev: account(Side::Dev, DEV, HOME).await, prod: account(Side::Prod, PROD, target).await };
        let stage = Stage { rehearsal, accounts, target };
        let input = stage.accounts.dev.s3(HOME);
        input.create_bucket().bucket("in-bucket").send().await.unwrap();
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        input.put_bucket_versioning().bucket("in-bucket").versioning_configuration(on).send().await.unwrap();
        let place = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(target.into()).build();
        let output = stage.accounts.prod.s3(target).create_bucket().bucket("out-bucket");
        if target == HOME {
            output.send().await.unwrap()
        } else {
            output.create_bucket_configuration(place).send().await.unwrap()
        };
        stage
    }

    pub fn settings(&self, flags: DeploymentFlags) -> Settings {
        let common = CommonFlags { dev_profile: Some("d".into()), prod_profile: Some("p".into()), ..CommonFlags::default() };
        let flags = DeploymentFlags { input_bucket: "in-bucket".parse().ok(), output_bucket: "out-bucket".parse().ok(), ..flags };
        Settings::resolve(&common, &flags).unwrap()
    }

    pub async fn look(&self, settings: &Settings) -> Snapshot {
        observe(&self.accounts.dev, &self.accounts.prod, settings, Purpose::Setup, Organisations::Always).await.unwrap()
    }

    pub fn plan(&self, settings: &Settings, snapshot: Snapshot) -> Plan {
        let callers = Callers { dev: self.accounts.dev.caller.to_string(), prod: self.accounts.prod.caller.to_string() };
        Plan::make(settings, callers, snapshot, None).unwrap()
    }

    /// Plans, proves, applies, reads again, and finds nothing more to do.
    pub async fn set_up(&self, settings: &Settings) -> Snapshot {
        let plan = self.plan(settings, self.look(settings).await);
        let arn = plan.pipeline_arn();
        let before = prove(settings, &after(plan.snapshot(), plan.writes(), &arn)).unwrap().unwrap();
        assert_eq!(before.verdict(), Verdict::Allowed);
        let stop = AtomicBool::new(false);
        let manner = Manner { pipeline_arn: &arn, wait_for_runs: false, listen: &|_| (), stop: &stop };
        apply::apply(&self.accounts, plan.writes(), &manner).await.unwrap();
        let there = self.look(settings).await;
        let proof = prove(settings, &there).unwrap().unwrap();
        assert!(proof.same_verdicts(&before), "{:#?}", proof.broken().collect::<Vec<_>>());
        let again = self.plan(settings, there.clone());
        assert!(again.is_empty(), "{:#?}", again.writes());
        there
    }

    /// Uploads a website and gives the status of the run that it starts.
    pub async fn release(&self) -> String {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, text) in [("index.html", "<p>hello"), ("css/site.css", "p {}")] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut zip, text.as_bytes()).unwrap();
        }
        let body = zip.finish().unwrap().into_inner();
        self.accounts.dev.s3(HOME).put_object().bucket("in-bucket").key("sample-website.zip").body(body.into()).send().await.unwrap();
        let runs =
            self.accounts.dev.codepipeline(HOME).list_pipeline_executions().pipeline_name("crossaccountdeploy").send().await.unwrap();
        runs.pipeline_execution_summaries()[0].status().unwrap().as_str().to_owned()
    }

    /// Each call that the pipeline made was allowed, and the proof had it as a link.
    pub fn every_call_is_a_link(&self, settings: &Settings, there: &Snapshot, since: usize) {
        let links = links(settings, there).unwrap();
        let log = self.rehearsal.log();
        let own: Vec<_> = log[since..].iter().filter(|call| !call.caller.ends_with(":user/caller")).collect();
        assert!(own.len() > 11, "{own:#?}");
        for call in own {
            let name = call.caller.split("assumed-role/").nth(1).and_then(|session| session.split('/').next());
            let caller = |who: &str| name.map_or(who == call.caller, |name| who.ends_with(&format!("/{name}")));
            let link = links.iter().any(|link| caller(&link.who) && link.row.action == call.action);
            assert!(link && call.verdict == Decided::Allowed, "{call:#?}");
        }
    }

    pub async fn arrived(&self) -> Vec<(String, String)> {
        let listed = self.accounts.prod.s3(self.target).list_objects_v2().bucket("out-bucket").fetch_owner(true).send().await.unwrap();
        let name = |object: &aws_sdk_s3::types::Object| {
            (object.key().unwrap().to_owned(), object.owner().and_then(|owner| owner.id()).unwrap_or_default().to_owned())
        };
        listed.contents().iter().map(name).collect()
    }
}
