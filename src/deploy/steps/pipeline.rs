//! A2 and A7: the pipeline, made whole with `roleArn` in place, or patched.

use super::{Context, Draft, declare};
use crate::deploy::blueprint::Detection;
use crate::deploy::declaration::{self, Place};
use crate::deploy::names::{DETECTION_TAG, own_tags};
use crate::deploy::write::{Call, EVERYTHING, Note, Step, Write};
use crate::error::{Error, Result};
use crate::model::{ChangeDetection, Side};
use serde_json::Value;

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    let arn = &blueprint.pipeline_arn;
    let region = blueprint.home.clone();
    let detection = match &blueprint.detection {
        Detection::Eventbridge => ChangeDetection::Eventbridge,
        Detection::Polling => ChangeDetection::Polling,
        Detection::None | Detection::Kept(_) => ChangeDetection::None,
    };
    let Some(found) = &context.snapshot.pipeline else {
        let mut tags = own_tags(arn);
        tags.insert(DETECTION_TAG.to_owned(), detection.to_string());
        let call = Call::CreatePipeline { region, declaration: declare::new(blueprint), tags };
        draft
            .writes
            .push(Write::new(Side::Dev, Step::Pipeline, arn, arn, format!("pipeline {}", blueprint.pipeline), call).needs([EVERYTHING]));
        return Ok(());
    };
    let place = blueprint.deploy_place.ok_or_else(|| Error::internal("a pipeline without a chosen action"))?;
    let (after, patch) = declare::patched(&found.declaration, blueprint, place, blueprint.source_place, blueprint.own_pipeline)?;
    if !patch.changes.is_empty() {
        warn_of_a_new_key(context, draft, &found.declaration, place, &patch.changes);
        if !found.running.is_empty() {
            draft.notes.push(Note::warning(format!(
                "pipeline {} is running ({}); an update would stop it",
                blueprint.pipeline,
                found.running.join(", ")
            )));
        }
        let call = Call::UpdatePipeline { region: region.clone(), before: found.declaration.clone(), after };
        let title = format!("pipeline {}: {}", blueprint.pipeline, patch.changes.join(", "));
        draft.writes.push(Write::new(Side::Dev, Step::Pipeline, arn, arn, title, call).needs([EVERYTHING]));
    }
    // Only an answer that was given is remembered; what was found stays what it is.
    if blueprint.own_pipeline
        && let Some(said) = context.settings.change_detection
        && found.tags.get(DETECTION_TAG).map(String::as_str) != Some(&said.to_string())
    {
        let call = Call::TagPipeline { region, arn: arn.clone(), key: DETECTION_TAG.to_owned(), value: said.to_string() };
        draft.writes.push(Write::new(Side::Dev, Step::Pipeline, arn, arn, format!("tag {DETECTION_TAG}={said}"), call).needs([EVERYTHING]));
    }
    said_in_vain(context, draft);
    let source = blueprint.source_place.and_then(|place| declaration::action_at(&found.declaration, place));
    if source.is_some_and(declaration::polls) && found.polling_disabled {
        draft.notes.push(Note::warning(format!(
            "CodePipeline has switched polling of {} off after 30 idle days; pass `--change-detection eventbridge`",
            blueprint.pipeline
        )));
    }
    Ok(())
}

/// A customer key on a store that had none: every other action's role must be able to use it too (facts/codepipeline.md E.6).
fn warn_of_a_new_key(context: &Context<'_>, draft: &mut Draft, declared: &Value, place: Place, changes: &[String]) {
    if !changes.iter().any(|change| change.starts_with("the encryption key")) {
        return;
    }
    let others: Vec<&str> = declaration::actions(declared)
        .into_iter()
        .filter(|(at, action)| *at != place && Some(*at) != context.blueprint.source_place && uses_artifacts(action))
        .map(|(_, action)| declaration::name_of(action))
        .collect();
    if !others.is_empty() {
        draft.notes.push(Note::warning(format!(
            "the artifacts of pipeline {} will be encrypted with the customer key: the roles that {} run with need kms:Decrypt and kms:GenerateDataKey on it",
            context.blueprint.pipeline,
            others.join(", ")
        )));
    }
}

fn uses_artifacts(action: &Value) -> bool {
    let any = |member: &str| action.get(member).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    any("inputArtifacts") || any("outputArtifacts")
}

/// Says which answers have no effect on a pipeline that exists (`architecture.md`, "Whose is it").
fn said_in_vain(context: &Context<'_>, draft: &mut Draft) {
    let (settings, blueprint) = (context.settings, context.blueprint);
    let mut keeps = |flag: &str, what: String| {
        draft.notes.push(Note::warning(format!("{flag} has no effect: pipeline {} keeps {what}", blueprint.pipeline)));
    };
    if !blueprint.own_pipeline && (settings.deploy_path.is_some() || settings.no_extract) {
        keeps("--deploy-path or --no-extract", "how it deploys, since xdeploy did not make it".to_owned());
    }
    if !blueprint.own_pipeline && settings.object_key.as_ref().is_some_and(|said| said.as_str() != blueprint.object_key) {
        keeps("--object-key", format!("its source object {}", blueprint.object_key));
    }
}
