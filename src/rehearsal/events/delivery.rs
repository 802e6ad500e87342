//! How an upload starts a pipeline.

use super::super::codepipeline;
use super::super::s3::xml;
use super::super::state::{State, date_time_seconds};
use super::super::sts;
use super::super::wire::{Call, Caller};
use super::{Rule, SERVICE, pattern, text};
use serde_json::{Value, json};

/// An object that S3 tells of.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    pub bucket: String,
    pub key: String,
    pub size: usize,
    pub etag: String,
    /// None where the bucket has never been versioned.
    pub version: Option<String>,
    /// The call that made it.
    pub reason: String,
}

/// Tells the bucket owner's rules that an object was made, if the bucket tells EventBridge, and the pipelines that look for
/// themselves. On AWS the event comes after seconds; here all of it happens at once.
pub(crate) fn object_created(state: &mut State, call: &Call, created: &Created) {
    let Some(bucket) = state.buckets.get(&created.bucket) else { return };
    let (owner, region) = (bucket.owner.clone(), bucket.region.clone());
    let told = bucket
        .notification
        .as_ref()
        .is_some_and(|body| xml::read(body, |root| xml::child(root, "EventBridgeConfiguration").map(|_| ())).is_ok());
    if told {
        let mut object = json!({"key": created.key, "size": created.size, "etag": created.etag});
        if let Some(version) = &created.version {
            object["version-id"] = json!(version);
        }
        object["sequencer"] = json!(format!("00{:016X}", state.clock));
        let event = json!({
            "version": "0",
            "id": state.random.uuid(),
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": owner,
            "time": date_time_seconds(state.clock),
            "region": region,
            "resources": [format!("arn:{}:s3:::{}", state.partition, created.bucket)],
            "detail": {
                "version": "0",
                "bucket": {"name": created.bucket},
                "object": object,
                "request-id": call.request_id,
                "requester": call.caller.account,
                "source-ip-address": "192.0.2.1",
                "reason": created.reason,
            },
        });
        deliver(state, &owner, &region, &event);
    }
    codepipeline::poll(state, &owner, &region, &created.bucket, &created.key);
}

fn deliver(state: &mut State, account: &str, region: &str, event: &Value) {
    let fits = |rule: &&Rule| {
        let pattern = rule.pattern.as_ref().and_then(|pattern| serde_json::from_str::<Value>(pattern).ok());
        !rule.disabled && pattern.is_some_and(|pattern| pattern::fits(&pattern, event))
    };
    let Some(held) = state.accounts.get(account) else { return };
    let in_region = held.rules.iter().filter(|((own, _), _)| own == region).map(|(_, rule)| rule);
    let aims: Vec<(String, Value)> =
        in_region.filter(fits).flat_map(|rule| rule.targets.iter().map(|target| (rule.arn.clone(), target.clone()))).collect();
    for (rule, target) in aims {
        let (Some(aim), Some(role)) = (text(&target, "Arn"), text(&target, "RoleArn")) else { continue };
        let Some((_, name)) = aim.rsplit_once(':').filter(|_| aim.split(':').nth(2) == Some("codepipeline")) else { continue };
        let session = state.random.hex(32);
        // A role that can't be assumed, or may not start the pipeline, is a failed invocation: nobody is told (facts E.38).
        let Ok(caller) = sts::assume(state, &Caller::service(SERVICE), region, role, &session) else { continue };
        let mut input = pattern::transformed(&target, event);
        if input.get("sourceRevisions").is_none() {
            input = json!({});
        }
        input["name"] = json!(name);
        let started = Call {
            method: "POST".to_owned(),
            service: "codepipeline".to_owned(),
            region: aim.split(':').nth(3).unwrap_or_default().to_owned(),
            caller,
            request_id: state.random.uuid(),
            ..Call::default()
        };
        let _ = codepipeline::start(state, &started, &input, ("CloudWatchEvent", &rule));
    }
}
