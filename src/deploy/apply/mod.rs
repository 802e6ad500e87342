//! The one place that turns a write into SDK calls.
//!
//! A write starts as soon as what it needs is there; writes that touch one bucket, role or key never overlap. A document
//! that others may write too is compared with what the plan saw just before it is written, and read back once.
//!
//! Two set-ups of one pipeline at the same time, on two machines, end as one: names are unique, so what the other has made is
//! taken as our own if its tags say so; a document that the other has written already isn't written again. Keys have no names
//! of their own, so the alias decides: all that needs the key waits for it, and who comes second takes the first's key and
//! schedules the deletion of its own, which nothing uses.

mod buckets;
mod keys;
mod pipeline;
mod worker;

use super::observe;
use super::write::{Call, EVERYTHING, Write};
use crate::aws::{Account, Accounts};
use crate::error::{Error, Kind, Result};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use worker::Worker;

/// How long AWS may take to see a principal that was just made (facts/codepipeline.md D.2).
const PRINCIPAL_LIMIT: Duration = Duration::from_secs(120);
/// The same for one that this run didn't make: another run may have made it a moment ago.
const OLD_PRINCIPAL_LIMIT: Duration = Duration::from_secs(30);
/// How long is waited for the tags of a new key to count in what is allowed. KMS may take five minutes (facts D.2), but a refusal
/// doesn't say whether it is for that; whoever may do it goes on with the next run.
const TAGS_LIMIT: Duration = Duration::from_secs(120);
/// How long CodePipeline may take to be able to assume a role that was just made (facts D.2).
const ASSUME_LIMIT: Duration = Duration::from_secs(180);
/// How long a replica key may be `Creating` (facts C).
const REPLICA_LIMIT: Duration = Duration::from_secs(180);
/// How long a read may lag behind a write (facts D.2, KMS).
const READ_LIMIT: Duration = Duration::from_secs(60);
/// How long AWS may take to forget what was just removed: a rule's targets, a policy's attachments. IAM is eventually
/// consistent (facts D.2); neither a time nor anything on EventBridge is in the facts, so this is a guess, and short, since
/// it is also how long a run waits for what somebody else left there.
const REMOVAL_LIMIT: Duration = Duration::from_secs(30);
/// How long IAM may take to show what it has just said is there (facts D.2, "IAM in general"; the time is a guess).
const ENTITY_LIMIT: Duration = Duration::from_secs(5);
/// How long versioning that was just turned on may take to work (facts D.1, PutBucketVersioning).
const VERSIONING_LIMIT: Duration = Duration::from_secs(15 * 60);

/// What apply tells while it works.
#[derive(Debug)]
pub enum Event<'a> {
    /// A write was started.
    Started(&'a Write),
    /// A write is done.
    Done(&'a Write),
    /// AWS hasn't settled; the text says what is waited for.
    Waiting(&'a Write, String, Duration),
}

/// How apply is to behave.
pub struct Manner<'a> {
    /// The pipeline's ARN, for tags.
    pub pipeline_arn: &'a str,
    /// Wait for executions that an update would stop.
    pub wait_for_runs: bool,
    /// Hears what is done.
    pub listen: &'a dyn Fn(Event<'_>),
    /// Set by Ctrl-C: calls under way are finished, no new one is started.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Manner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manner").field("pipeline_arn", &self.pipeline_arn).finish_non_exhaustive()
    }
}

/// What was made whose name nobody could know before.
#[derive(Debug, Default)]
pub struct Made {
    /// Placeholder -> ARN.
    known: BTreeMap<String, String>,
    /// How many writes were done.
    pub done: usize,
}

impl Made {
    /// Puts what is known now in the place of "(known after apply …)".
    pub fn resolve_text(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }

    /// The keys that were made.
    pub fn keys(&self) -> Vec<&str> {
        self.known.values().map(String::as_str).collect()
    }

    fn resolve(&self, call: &Call) -> Result<Call> {
        let text = serde_json::to_string(call).map_err(|error| Error::internal(error.to_string()))?;
        serde_json::from_str(&self.resolve_text(&text)).map_err(|error| Error::internal(error.to_string()))
    }
}

/// Says what each write waits for: indices of earlier writes.
fn dependencies(writes: &[Write]) -> Vec<Vec<usize>> {
    let waits = |index: usize, write: &Write, earlier: usize| {
        let before = &writes[earlier];
        earlier < index
            && (before.lane == write.lane
                || write.needs.iter().any(|need| need == EVERYTHING || before.gives.iter().any(|given| given == need)))
    };
    writes.iter().enumerate().map(|(index, write)| (0..index).filter(|earlier| waits(index, write, *earlier)).collect()).collect()
}

/// Does the writes.
///
/// # Errors
/// The first write that failed, after those under way have finished; or the interruption. What is done stays done: the same
/// command run again goes on from there.
pub async fn apply(accounts: &Accounts, writes: &[Write], manner: &Manner<'_>) -> Result<Made> {
    let depends = dependencies(writes);
    let fresh: BTreeSet<&str> =
        writes.iter().filter(|write| is_creation(&write.call)).flat_map(|write| write.gives.iter().map(String::as_str)).collect();
    let mut made = Made::default();
    let mut done = vec![false; writes.len()];
    let mut started = vec![false; writes.len()];
    let mut running = FuturesUnordered::new();
    let mut failure: Option<Error> = None;
    loop {
        if failure.is_none() && !manner.stop.load(Ordering::SeqCst) {
            for index in 0..writes.len() {
                if started[index] || !depends[index].iter().all(|earlier| done[*earlier]) {
                    continue;
                }
                started[index] = true;
                let write = &writes[index];
                let call = made.resolve(&write.call)?;
                (manner.listen)(Event::Started(write));
                let (fresh, first_policy) = (&fresh, first_policy(&writes[..index], write));
                running.push(async move {
                    let worker = Worker { account: accounts.of(write.account), dev: &accounts.dev, write, manner, fresh, first_policy };
                    (index, worker.execute(&call).await)
                });
            }
        }
        let Some((index, outcome)) = running.next().await else { break };
        match outcome {
            Ok(learned) => {
                done[index] = true;
                made.done += 1;
                made.known.extend(learned);
                (manner.listen)(Event::Done(&writes[index]));
            }
            Err(error) => {
                let error = error.hint("run the same command again: what is done stays done");
                failure.get_or_insert(error.context(format!("{}: {}", writes[index].step.title(), writes[index].title)));
            }
        }
    }
    let interrupted = || {
        Error::new(Kind::Interrupted, format!("interrupted after {} of {} writes", made.done, writes.len()))
            .hint("run the same command again: it goes on from here")
    };
    let stopped = manner.stop.load(Ordering::SeqCst);
    match failure {
        // What was being waited for is not seen yet, which is no failure of its own.
        Some(error) if stopped => {
            let told = interrupted().because(error.message);
            Err(error.causes.into_iter().fold(told, Error::because))
        }
        Some(error) => Err(error),
        None if stopped && !done.iter().all(|done| *done) => Err(interrupted()),
        None => Ok(made),
    }
}

/// Finds the policy with which this run makes the key that a write is about.
fn first_policy<'w>(earlier: &'w [Write], write: &Write) -> Option<&'w Value> {
    earlier.iter().filter(|before| before.lane == write.lane).find_map(|before| match &before.call {
        Call::CreateKey { policy, .. } | Call::ReplicateKey { policy, .. } => Some(policy),
        _ => None,
    })
}

fn is_creation(call: &Call) -> bool {
    matches!(
        call,
        Call::CreateKey { .. }
            | Call::ReplicateKey { .. }
            | Call::CreateAlias { .. }
            | Call::CreateRole { .. }
            | Call::CreatePolicy { .. }
            | Call::CreateBucket { .. }
    )
}

/// Waits until a pipeline's executions have finished, or refuses: an update or a removal would stop them (facts A.5).
///
/// # Errors
/// It runs and `wait` is off, it runs for two hours more, or the wait was interrupted.
pub async fn quiet(
    dev: &Account,
    region: &str,
    pipeline: &str,
    wait: bool,
    stop: &AtomicBool,
    told: impl Fn(&str, Duration),
) -> Result<()> {
    let limit = Duration::from_secs(2 * 60 * 60);
    let started = Instant::now();
    let mut said = false;
    loop {
        let running = observe::running_executions(dev, region, pipeline).await?;
        if running.is_empty() {
            return Ok(());
        }
        if !wait || started.elapsed() > limit {
            return Err(Error::refused(format!("pipeline {pipeline} is running ({}), and this would stop it", running.join(", ")))
                .hint("pass `--wait-for-runs`, or run the same command again when it has finished"));
        }
        if stop.load(Ordering::SeqCst) {
            return Err(Error::new(Kind::Interrupted, "interrupted while waiting for the pipeline's run")
                .hint("run the same command again: it goes on from here"));
        }
        if !said {
            told("the pipeline's run to finish", limit);
            said = true;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
