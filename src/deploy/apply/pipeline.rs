//! Writes of the pipeline and of what starts it.

use super::worker::{NONE, PASSING, Worker, moved};
use super::{ASSUME_LIMIT, quiet};
use crate::aws::raw::{KeepBody, SendBody};
use crate::aws::{ApiError, ApiResult, present, retry_while};
use crate::deploy::observe;
use crate::error::{Error, Kind, Result};
use aws_config::retry::RetryConfig;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Worker<'_> {
    pub(super) async fn put_targets(&self, region: &str, rule: &str, target: &Value) -> Result<()> {
        use aws_sdk_eventbridge::types::{InputTransformer, Target};
        let text = |path: &str| target.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let bad = |error: aws_smithy_types::error::operation::BuildError| Error::internal(error.to_string());
        let mut built = Target::builder().id(text("/Id")).arn(text("/Arn")).role_arn(text("/RoleArn"));
        if let Some(transformer) = target.get("InputTransformer") {
            let mut input = InputTransformer::builder().input_template(text("/InputTransformer/InputTemplate"));
            for (name, path) in transformer.get("InputPathsMap").and_then(Value::as_object).into_iter().flatten() {
                input = input.input_paths_map(name, path.as_str().unwrap_or_default());
            }
            built = built.input_transformer(input.build().map_err(bad)?);
        }
        let request = self.account.events(region).put_targets().rule(rule).targets(built.build().map_err(bad)?);
        self.settled(NONE, || async {
            let answer = self.account.call("events:PutTargets", &self.write.resource, request.clone().send()).await?;
            match answer.failed_entries().first() {
                None => Ok(()),
                Some(entry) => Err(self.entry_failed("events:PutTargets", entry.error_code(), entry.error_message())),
            }
        })
        .await?;
        Ok(())
    }

    pub(super) async fn remove_targets(&self, region: &str, rule: &str, ids: &[String]) -> Result<()> {
        let request = self.account.events(region).remove_targets().rule(rule).set_ids(Some(ids.to_vec()));
        let removed = self
            .settled(NONE, || async {
                let answer = self.account.call("events:RemoveTargets", &self.write.resource, request.clone().send()).await?;
                match answer.failed_entries().first() {
                    None => Ok(()),
                    Some(entry) => Err(self.entry_failed("events:RemoveTargets", entry.error_code(), entry.error_message())),
                }
            })
            .await;
        present(removed, &["ResourceNotFoundException"])?;
        Ok(())
    }

    /// EventBridge answers 200 although an entry failed (facts B.3); it is a failed call like any other.
    fn entry_failed(&self, action: &'static str, code: Option<&str>, message: Option<&str>) -> Box<ApiError> {
        let code = code.unwrap_or("no code");
        Box::new(self.account.refused(action, &self.write.resource, code, message.unwrap_or("no message")))
    }

    async fn assumable<T, F>(&self, attempt: impl FnMut() -> F) -> ApiResult<T>
    where
        F: Future<Output = ApiResult<T>>,
    {
        let late = |error: &ApiError| {
            let hop = error.is(&["InvalidStructureException"]) && error.message.contains("is not authorized to perform AssumeRole on role");
            !self.stopped() && (hop || error.is(PASSING))
        };
        let waiting = |_: &ApiError| self.waiting("CodePipeline to be able to assume the roles", ASSUME_LIMIT);
        retry_while(ASSUME_LIMIT, late, waiting, attempt).await
    }

    pub(super) async fn create_pipeline(&self, region: &str, declaration: &Value, tags: &BTreeMap<String, String>) -> Result<()> {
        let account = self.account;
        let client = account.codepipeline(region);
        let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let body = json!({"pipeline": declaration, "tags": tags}).to_string().into_bytes();
        let stub = stub(declaration)?;
        let answer = KeepBody::default();
        let made = self.assumable(|| {
            // CreatePipeline has no token either (facts D.1).
            let once = aws_sdk_codepipeline::config::Builder::new().retry_config(RetryConfig::disabled());
            let request = client
                .create_pipeline()
                .pipeline(stub.clone())
                .customize()
                .config_override(once)
                .interceptor(SendBody(body.clone()))
                .interceptor(answer.clone());
            account.call("codepipeline:CreatePipeline", &self.write.resource, request.send())
        });
        if let Err(error) = made.await {
            return self.made_meanwhile(region, declaration, error).await;
        }
        // The answer is the pipeline as CodePipeline stored it: nobody could have changed it in between.
        let stored: Value = serde_json::from_slice(&answer.take()).unwrap_or_default();
        pipeline_is(declaration, stored.get("pipeline").unwrap_or(&Value::Null))
    }

    /// A pipeline that is there already is fine if it is what was wanted: another run made it at the same time.
    async fn made_meanwhile(&self, region: &str, declaration: &Value, error: Box<ApiError>) -> Result<()> {
        if !error.is(&["PipelineNameInUseException"]) {
            return Err(error.into());
        }
        let name = declaration.get("name").and_then(Value::as_str).unwrap_or_default();
        let live = observe::read_pipeline_version(self.account, region, name, None).await?;
        if live.is_some_and(|live| contains(&live.declaration, declaration)) {
            return Ok(());
        }
        Err(Error::new(Kind::Conflict, format!("pipeline {name} was made by somebody else since the plan was made"))
            .because(error.told())
            .hint("make the plan again: it adopts the pipeline"))
    }

    pub(super) async fn update_pipeline(&self, region: &str, before: &Value, after: &Value) -> Result<()> {
        let account = self.account;
        let name = after.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        quiet(self.dev, region, &name, self.manner.wait_for_runs, self.manner.stop, |what, limit| self.waiting(what, limit)).await?;
        let live = observe::read_pipeline_version(account, region, &name, None).await?.map(|found| found.declaration);
        if live.as_ref() != Some(before) {
            // Another run may have written the same.
            let written = live.as_ref().is_some_and(|live| contains(live, after));
            return if written { Ok(()) } else { Err(moved(&format!("pipeline {name}"))) };
        }
        let client = account.codepipeline(region);
        let body = json!({"pipeline": after}).to_string().into_bytes();
        let stub = stub(after)?;
        let answer = KeepBody::default();
        self.assumable(|| {
            let request = client.update_pipeline().pipeline(stub.clone()).customize();
            let request = request.interceptor(SendBody(body.clone())).interceptor(answer.clone());
            account.call("codepipeline:UpdatePipeline", &self.write.resource, request.send())
        })
        .await?;
        // The answer, not another read: GetPipeline may lag behind.
        let whole: Value = serde_json::from_slice(&answer.take()).unwrap_or_default();
        let stored = whole.get("pipeline").unwrap_or(&Value::Null);
        pipeline_is(after, stored)?;
        // UpdatePipeline has no precondition, but each counts the version up (facts D.1): a gap is somebody else's.
        for version in between(before, stored) {
            let theirs = observe::read_pipeline_version(account, region, &name, i32::try_from(version).ok()).await?;
            // Or ours, if an answer was lost and the SDK asked again.
            if theirs.is_none_or(|theirs| !contains(&theirs.declaration, after)) {
                return Err(overwritten(&name, version, stored));
            }
        }
        Ok(())
    }
}

/// Lists the versions between the one that was read and the one that was written.
fn between(read: &Value, written: &Value) -> std::ops::Range<i64> {
    let version = |declaration: &Value| declaration.get("version").and_then(Value::as_i64);
    match (version(read), version(written)) {
        (Some(read), Some(written)) => read + 1..written,
        _ => 0..0,
    }
}

fn overwritten(name: &str, version: i64, written: &Value) -> Error {
    let written = written.get("version").unwrap_or(&Value::Null);
    let what = format!("somebody else changed pipeline {name} at the same time: version {written} overwrote their version {version}");
    Error::new(Kind::Conflict, what).hint(format!(
        "look at theirs with `aws codepipeline get-pipeline --name {name} --pipeline-version {version}` and put back what is missing"
    ))
}

fn pipeline_is(wanted: &Value, stored: &Value) -> Result<()> {
    if contains(stored, wanted) {
        return Ok(());
    }
    let name = wanted.get("name").and_then(Value::as_str).unwrap_or_default();
    Err(Error::new(Kind::Conflict, format!("pipeline {name} is not what was written a moment ago")).hint(format!(
        "somebody else changed it at the same time; look at it with `aws codepipeline get-pipeline --name {name}`, and at its earlier versions with `--pipeline-version N`"
    )))
}

/// Says whether `stored` holds all of `wanted`; what AWS adds by itself (version, defaults) may be more.
fn contains(stored: &Value, wanted: &Value) -> bool {
    match (stored, wanted) {
        (Value::Object(stored), Value::Object(wanted)) => wanted.iter().all(|(key, value)| {
            key == "version"
                || stored.get(key).is_some_and(|there| contains(there, value))
                || (!stored.contains_key(key) && is_nothing(value))
        }),
        (Value::Array(stored), Value::Array(wanted)) => {
            stored.len() == wanted.len() && stored.iter().zip(wanted).all(|(stored, wanted)| contains(stored, wanted))
        }
        _ => stored == wanted,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// The least typed input that the SDK lets pass; the raw body replaces it.
fn stub(declaration: &Value) -> Result<aws_sdk_codepipeline::types::PipelineDeclaration> {
    aws_sdk_codepipeline::types::PipelineDeclaration::builder()
        .name(declaration.get("name").and_then(Value::as_str).unwrap_or_default())
        .role_arn(declaration.get("roleArn").and_then(Value::as_str).unwrap_or_default())
        .set_stages(Some(Vec::new()))
        .build()
        .map_err(|error| Error::internal(error.to_string()))
}
