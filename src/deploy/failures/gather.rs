//! Reads what an explanation needs and a snapshot doesn't hold; judges nothing and writes nothing.

use super::evidence::{Readings, Source};
use crate::aws::{Account, Accounts, ApiError, decoded_key, present};
use crate::deploy::release::{self, ActionState, Route};
use crate::deploy::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::model::Readable;
use aws_sdk_codepipeline::types::{PipelineExecutionStatus as Status, PipelineExecutionSummary};
use aws_sdk_s3::types::{EncodingType, Payer, RequestPayer};
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::BTreeMap;

/// How a run ended, and what started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// `Failed`, `Succeeded`, …
    pub status: String,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// The version of the source object that it took; `None` where it never got that far.
    pub took: Option<String>,
    /// Its failed action, where one failed.
    pub failed: Option<Failed>,
}

/// What a run has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// An action failed, and the run with it.
    Failed(&'a Failed),
    /// The run succeeded, at the last attempt if not at the first.
    Succeeded,
    /// The run failed without an action that did.
    Unexplained,
    /// It neither failed nor succeeded: what became of it, in words.
    Neither(&'static str),
}

impl Run {
    /// Says what the run has to tell, by its status first (facts D.1).
    pub fn outcome(&self) -> Outcome<'_> {
        match (self.status.as_str(), &self.failed) {
            ("Failed", Some(failed)) => Outcome::Failed(failed),
            ("Failed", None) => Outcome::Unexplained,
            ("Succeeded", _) => Outcome::Succeeded,
            ("InProgress", _) => Outcome::Neither("it is under way, and nothing is decided yet"),
            ("Stopping", _) => Outcome::Neither("somebody is stopping it"),
            ("Stopped", _) => Outcome::Neither("somebody stopped it, or an update of the pipeline did"),
            ("Superseded", _) => Outcome::Neither("a newer execution overtook it, and it went no further"),
            ("Cancelled", _) => Outcome::Neither("it was cancelled, for the pipeline was changed under it"),
            _ => Outcome::Neither("it neither failed nor succeeded"),
        }
    }
}

/// A failed action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// How it stands.
    pub state: ActionState,
    /// Its category in the pipeline's declaration: `Source`, `Deploy`, …; empty where it isn't there any more.
    pub category: String,
}

/// The runs that an explanation looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    /// The run in question: the one that was asked for, or the newest that failed or succeeded.
    pub run: Option<Run>,
    /// When the newest run began, whatever became of it, in seconds since 1970.
    pub newest: Option<i64>,
    /// A version of the source object that several runs took.
    pub taken_twice: Option<String>,
}

fn took(run: &PipelineExecutionSummary, route: &Route) -> Option<String> {
    let mut revisions = run.source_revisions().iter();
    revisions.find(|revision| revision.action_name() == route.source_action)?.revision_id().map(str::to_owned)
}

fn started(run: &PipelineExecutionSummary) -> i64 {
    run.start_time().map(aws_sdk_s3::primitives::DateTime::secs).unwrap_or_default()
}

/// Finds the run to explain.
///
/// # Errors
/// The runs can't be read, or there is none with this id.
pub async fn runs(accounts: &Accounts, route: &Route, declaration: Option<&Value>, wanted: Option<&str>) -> Result<Runs> {
    let all = release::summaries(accounts, route).await?;
    let ended = |run: &&PipelineExecutionSummary| matches!(run.status(), Some(Status::Failed | Status::Succeeded));
    let found = match wanted {
        Some(id) => Some(all.iter().find(|run| run.pipeline_execution_id() == Some(id)).ok_or_else(|| {
            Error::failed(format!("pipeline {} has no execution {id} among its newest {}", route.pipeline, all.len()))
                .hint("leave `--execution` out to take the newest, or look up its id in the console")
        })?),
        None => all.iter().find(ended),
    };
    let versions: Vec<String> = all.iter().filter_map(|run| took(run, route)).collect();
    let newest_version = versions.first().filter(|first| versions.iter().filter(|other| other == first).count() > 1);
    let mut runs = Runs { run: None, newest: all.first().map(started), taken_twice: newest_version.cloned() };
    if let Some(found) = found {
        let id = found.pipeline_execution_id().unwrap_or_default().to_owned();
        let actions = release::actions_of(accounts, route, &id).await?;
        let failed = last_failed(actions);
        runs.run = Some(Run {
            id,
            status: found.status().map_or("", Status::as_str).to_owned(),
            started: started(found),
            took: took(found, route),
            failed: failed.map(|state| Failed { category: category(declaration, &state.action), state }),
        });
    }
    Ok(runs)
}

/// Finds the action that failed last, of actions in the order in which they began. A retried action is what its newest attempt is.
fn last_failed(actions: Vec<ActionState>) -> Option<ActionState> {
    let again = |at: usize, action: &ActionState| {
        actions[at + 1..].iter().any(|later| (&later.stage, &later.action) == (&action.stage, &action.action))
    };
    let at = actions.iter().enumerate().rposition(|(at, action)| action.status == "Failed" && !again(at, action))?;
    actions.into_iter().nth(at)
}

fn category(declaration: Option<&Value>, action: &str) -> String {
    let all = declaration.map(crate::deploy::declaration::actions).unwrap_or_default();
    let found = all.into_iter().find(|(_, declared)| crate::deploy::declaration::name_of(declared) == action);
    let category = found.and_then(|(_, declared)| declared.pointer("/actionTypeId/category")?.as_str());
    category.unwrap_or_default().to_owned()
}

/// Reads what a snapshot doesn't hold. What can't be read is no error: the rows that need it say so.
pub async fn readings(accounts: &Accounts, route: &Route, snapshot: &Snapshot, runs: &Runs) -> Readings {
    let (source, requester_pays, artifact_key, deployed) = tokio::join!(
        source(&accounts.dev, route),
        requester_pays(accounts, route, snapshot),
        artifact_key(accounts, route, runs.run.as_ref()),
        deployed(accounts, route, runs.run.as_ref()),
    );
    let Deployed { output_key, strangers, older, cut_at } = deployed;
    Readings { source, requester_pays, artifact_key, output_key, strangers, older, cut_at, taken_twice: runs.taken_twice.clone() }
}

async fn source(dev: &Account, route: &Route) -> Readable<Option<Source>> {
    let (s3, bucket, key) = (dev.s3(&route.home), &route.input_bucket, &route.object_key);
    let arn = format!("arn:{}:s3:::{bucket}/{key}", dev.partition);
    // Its owner may ask a bucket that makes others pay.
    let head = s3.head_object().bucket(bucket).key(key).expected_bucket_owner(&dev.id).request_payer(RequestPayer::Requester);
    let head = match present(dev.call("s3:GetObject", &arn, head.send()).await, &["NotFound", "NoSuchKey", "Http404"]) {
        Ok(Some(head)) => head,
        Ok(None) => return Readable::Known(None),
        Err(error) => return Readable::Unknown(error.told()),
    };
    let tags = s3.get_object_tagging().bucket(bucket).key(key).expected_bucket_owner(&dev.id).send();
    let tags = match dev.call("s3:GetObjectTagging", &arn, tags).await {
        Ok(tags) => tags.tag_set().len(),
        Err(error) => return Readable::Unknown(error.told()),
    };
    let modified = head.last_modified().map(aws_sdk_s3::primitives::DateTime::secs).unwrap_or_default();
    Readable::Known(Some(Source { version: head.version_id().unwrap_or("null").to_owned(), tags, modified }))
}

async fn requester_pays(accounts: &Accounts, route: &Route, snapshot: &Snapshot) -> BTreeMap<String, Readable<bool>> {
    let Accounts { dev, prod } = accounts;
    let artifacts = snapshot.artifact_buckets.iter().map(|(region, slot)| (dev, region.as_str(), slot.name.as_str()));
    let buckets = [(dev, route.home.as_str(), route.input_bucket.as_str()), (prod, &route.target_region, &route.output_bucket)];
    let asked = buckets.into_iter().chain(artifacts).map(|(account, region, bucket)| async move {
        let request = account.s3(region).get_bucket_request_payment().bucket(bucket).expected_bucket_owner(&account.id).send();
        let arn = format!("arn:{}:s3:::{bucket}", account.partition);
        let payer = match account.call("s3:GetBucketRequestPayment", arn, request).await {
            Ok(got) => match got.payer() {
                Some(payer) => Readable::Known(*payer == Payer::Requester),
                None => Readable::Unknown("S3 didn't say who pays".to_owned()),
            },
            Err(error) => Readable::Unknown(error.told()),
        };
        (bucket.to_owned(), payer)
    });
    join_all(asked).await.into_iter().collect()
}

/// The key of the artifact that the failed action was given.
async fn artifact_key(accounts: &Accounts, route: &Route, run: Option<&Run>) -> Readable<Option<String>> {
    let Some(run) = run else { return Readable::Unknown("there is no run".to_owned()) };
    let dev = &accounts.dev;
    let places = match release::artifacts_of(accounts, route, &run.id, &route.deploy_action).await {
        Ok(places) => places,
        Err(error) => return Readable::Unknown(error.told()),
    };
    let Some((bucket, key)) = places.into_iter().next() else { return Readable::Unknown("the run made no artifact".to_owned()) };
    let arn = format!("arn:{}:s3:::{bucket}/{key}", dev.partition);
    let head = dev.s3(&route.home).head_object().bucket(&bucket).key(&key).expected_bucket_owner(&dev.id).send();
    match dev.call("s3:GetObject", arn, head).await {
        Ok(head) => Readable::Known(head.ssekms_key_id().map(str::to_owned)),
        Err(error) => Readable::Unknown(error.told()),
    }
}

struct Deployed {
    output_key: Readable<Option<String>>,
    strangers: Readable<Option<String>>,
    older: Readable<Vec<String>>,
    cut_at: Option<usize>,
}

/// Looks at what lies in the output bucket after a run that succeeded.
async fn deployed(accounts: &Accounts, route: &Route, run: Option<&Run>) -> Deployed {
    let unread = |why: &str| Deployed {
        output_key: Readable::Unknown(why.to_owned()),
        strangers: Readable::Unknown(why.to_owned()),
        older: Readable::Unknown(why.to_owned()),
        cut_at: None,
    };
    let Some(run) = run.filter(|run| run.status == "Succeeded") else { return unread("the run didn't succeed") };
    let prod = &accounts.prod;
    let (s3, bucket) = (prod.s3(&route.target_region), &route.output_bucket);
    let arn = format!("arn:{}:s3:::{bucket}", prod.partition);
    let prefix = route.path.as_deref().filter(|_| !route.keys_vary()).unwrap_or_default();
    let page = async {
        let mut token = None;
        loop {
            let request = s3.list_objects_v2().bucket(bucket).prefix(prefix).fetch_owner(true).encoding_type(EncodingType::Url);
            let request = request.set_continuation_token(token).expected_bucket_owner(&prod.id).send();
            let page = prod.call("s3:ListBucket", &arn, request).await?;
            token = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true)).map(str::to_owned);
            // A page may be empty although another follows.
            if token.is_none() || !page.contents().is_empty() {
                return Ok::<_, Box<ApiError>>(page);
            }
        }
    };
    let (page, ownership, owner) = tokio::join!(
        page,
        prod.call(
            "s3:GetBucketOwnershipControls",
            &arn,
            s3.get_bucket_ownership_controls().bucket(bucket).expected_bucket_owner(&prod.id).send()
        ),
        prod.call("s3:ListAllMyBuckets", "*", s3.list_buckets().max_buckets(1).send()),
    );
    let page = match page {
        Ok(page) => page,
        Err(error) => return unread(&error.told()),
    };
    let cut_at = (page.is_truncated() == Some(true)).then(|| page.contents().len());
    let of_run = |object: &&aws_sdk_s3::types::Object| object.last_modified().is_none_or(|at| at.secs() + 1 >= run.started);
    let key_of = |object: &aws_sdk_s3::types::Object| object.key().map(|key| decoded_key(key, page.encoding_type()));
    let older = Readable::Known(page.contents().iter().filter(|object| !of_run(object)).filter_map(key_of).collect());
    let enforced = ownership
        .as_ref()
        .ok()
        .and_then(|got| got.ownership_controls())
        .is_some_and(|controls| controls.rules().iter().any(|rule| rule.object_ownership().as_str() == "BucketOwnerEnforced"));
    let own = owner.ok().and_then(|list| list.owner().and_then(|owner| owner.id().map(str::to_owned)));
    let strangers = match (enforced, own) {
        (true, _) => Readable::Known(None),
        (false, None) => Readable::Unknown("who production is to S3 could not be read".to_owned()),
        (false, Some(own)) => {
            let strange = |object: &&aws_sdk_s3::types::Object| object.owner().and_then(|owner| owner.id()).is_some_and(|id| id != own);
            Readable::Known(page.contents().iter().find(strange).and_then(key_of))
        }
    };
    let Some(key) = page.contents().iter().filter(of_run).find_map(key_of) else {
        let output_key = match cut_at {
            Some(count) => Readable::Unknown(format!("none of the first {count} files is of the last run")),
            None => Readable::Known(None),
        };
        return Deployed { output_key, strangers, older, cut_at };
    };
    let head = s3.head_object().bucket(bucket).key(&key).expected_bucket_owner(&prod.id).send();
    let output_key = match prod.call("s3:GetObject", format!("{arn}/{key}"), head).await {
        Ok(head) => Readable::Known(head.ssekms_key_id().map(str::to_owned)),
        Err(error) => Readable::Unknown(error.told()),
    };
    Deployed { output_key, strangers, older, cut_at }
}

/// Says whether the newest upload started nothing: it is newer than every run, and no run took it.
pub fn started_nothing(runs: &Runs, source: &Readable<Option<Source>>) -> bool {
    let Readable::Known(Some(source)) = source else { return false };
    let taken = runs.run.as_ref().is_some_and(|run| run.took.as_deref() == Some(source.version.as_str()));
    // Both are whole seconds, cut off: of two within a second nobody can tell which was first.
    !taken && runs.newest.is_none_or(|newest| newest < source.modified)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(action: &str, status: &str) -> ActionState {
        ActionState { stage: "Deploy".to_owned(), action: action.to_owned(), status: status.to_owned(), code: None, message: None }
    }

    #[test]
    fn a_retried_action_is_what_its_newest_attempt_is() {
        let retried = vec![attempt("Deploy", "Failed"), attempt("Deploy", "Succeeded")];
        assert_eq!(last_failed(retried), None);
        let other = vec![attempt("Copy", "Failed"), attempt("Deploy", "Failed"), attempt("Deploy", "Succeeded")];
        assert_eq!(last_failed(other), Some(attempt("Copy", "Failed")));
        let again = vec![attempt("Deploy", "Failed"), attempt("Deploy", "Succeeded"), attempt("Deploy", "Failed")];
        assert_eq!(last_failed(again), Some(attempt("Deploy", "Failed")));
    }

    #[test]
    fn a_run_is_judged_by_its_status_first() {
        let run = |status: &str, failed: bool| Run {
            id: "1".to_owned(),
            status: status.to_owned(),
            started: 1,
            took: None,
            failed: failed.then(|| Failed { state: attempt("Deploy", "Failed"), category: "Deploy".to_owned() }),
        };
        assert!(matches!(run("Failed", true).outcome(), Outcome::Failed(_)));
        assert_eq!(run("Failed", false).outcome(), Outcome::Unexplained);
        assert_eq!(run("Succeeded", true).outcome(), Outcome::Succeeded);
        for status in ["InProgress", "Stopping", "Stopped", "Superseded", "Cancelled", "SomethingNew"] {
            assert!(matches!(run(status, true).outcome(), Outcome::Neither(_)), "{status}");
        }
    }
}
