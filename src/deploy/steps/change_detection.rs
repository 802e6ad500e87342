//! A2.3: a new version of the source object starts the pipeline.

use super::service_role::{self, ServiceRole};
use super::{Context, Draft};
use crate::deploy::blueprint::Detection;
use crate::deploy::names::{self, NOTIFICATION_TAG};
use crate::deploy::snapshot::is_own;
use crate::deploy::write::{Call, Note, Step, Write};
use crate::error::{Error, Result};
use crate::model::Side;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The id of our target.
const TARGET_ID: &str = "pipeline";

pub fn wants(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    match &context.blueprint.detection {
        Detection::Eventbridge => {
            role(context, draft)?;
            rule(context, draft)?;
            notification(context, draft)
        }
        Detection::Kept(what) => {
            draft.notes.push(Note::remark(format!("change detection is left as it is: {what}")));
            remove_rule(context, draft);
            Ok(())
        }
        Detection::Polling | Detection::None => {
            remove_rule(context, draft);
            Ok(())
        }
    }
}

/// A rule of ours beside another trigger would start every release twice (facts/codepipeline.md E.37).
fn remove_rule(context: &Context<'_>, draft: &mut Draft) {
    let blueprint = context.blueprint;
    let Some(found) = context.snapshot.rule.as_ref().filter(|rule| is_own(&rule.tags, &blueprint.pipeline_arn)) else { return };
    let arn = blueprint.dev.regional("events", &blueprint.home, &format!("rule/{}", found.name));
    let ids: Vec<String> = found.targets.iter().filter_map(|target| target.get("Id")?.as_str()).map(str::to_owned).collect();
    if !ids.is_empty() {
        let call = Call::RemoveTargets { region: blueprint.home.clone(), rule: found.name.clone(), ids };
        draft.writes.push(Write::new(Side::Dev, Step::ChangeDetection, &arn, &arn, format!("targets of rule {}", found.name), call));
    }
    let call = Call::DeleteRule { region: blueprint.home.clone(), name: found.name.clone() };
    draft.writes.push(Write::new(Side::Dev, Step::ChangeDetection, &arn, &arn, format!("rule {}", found.name), call));
}

/// Says whether S3 tells EventBridge about this bucket.
pub fn has_eventbridge(notification: &str) -> bool {
    roxmltree::Document::parse(notification)
        .is_ok_and(|document| document.root_element().children().any(|node| node.tag_name().name() == "EventBridgeConfiguration"))
}

/// Says whether a notification configuration holds nothing at all.
pub fn tells_nobody(notification: &str) -> bool {
    let read = roxmltree::Document::parse(notification);
    notification.trim().is_empty() || read.is_ok_and(|document| document.root_element().first_element_child().is_none())
}

/// Puts EventBridge into a notification configuration; the rest stays letter for letter.
fn with_eventbridge(notification: &str) -> Option<String> {
    const EMPTY: &str = "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></NotificationConfiguration>";
    let text = if notification.trim().is_empty() { EMPTY } else { notification };
    let document = roxmltree::Document::parse(text).ok()?;
    let root = document.root_element();
    let range = root.range();
    let element = &text[range.clone()];
    let new = "<EventBridgeConfiguration></EventBridgeConfiguration>";
    let changed = match element.rfind("</") {
        Some(close) => format!("{}{new}{}", &element[..close], &element[close..]),
        None => {
            let open = element.strip_suffix("/>")?.trim_end();
            let name = open.trim_start_matches('<').split_whitespace().next()?;
            format!("{open}>{new}</{name}>")
        }
    };
    Some(format!("{}{changed}{}", &text[..range.start], &text[range.end..]))
}

/// Takes EventBridge out again.
pub fn without_eventbridge(notification: &str) -> Option<String> {
    let document = roxmltree::Document::parse(notification).ok()?;
    let node = document.root_element().children().find(|node| node.tag_name().name() == "EventBridgeConfiguration")?;
    let range = node.range();
    Some(format!("{}{}", &notification[..range.start], &notification[range.end..]))
}

fn notification(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let bucket = &context.blueprint.input_bucket;
    let before = context.snapshot.input.found.as_ref().and_then(|found| found.notification.clone()).unwrap_or_default();
    if has_eventbridge(&before) {
        return Ok(());
    }
    let after = with_eventbridge(&before).ok_or_else(|| {
        Error::failed(format!("the notification configuration of {bucket} could not be understood"))
            .hint("turn EventBridge on by hand in the bucket's properties, then run setup again")
    })?;
    let arn = context.blueprint.dev.bucket(bucket);
    let call = Call::PutBucketNotification { bucket: bucket.clone(), region: context.blueprint.home.clone(), before, after };
    draft.writes.push(
        Write::new(
            Side::Dev,
            Step::ChangeDetection,
            &arn,
            &arn,
            format!("notification of {bucket}: EventBridge hears of new objects"),
            call,
        )
        // The rule comes first: its tag remembers who turned this on, also for a run that is stopped in between.
        .needs([format!("bucket:{bucket}"), "rule".to_owned()]),
    );
    Ok(())
}

fn role(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    let role = &blueprint.event_role;
    service_role::role_of_service(
        context,
        draft,
        ServiceRole {
            step: Step::ChangeDetection,
            role,
            found: context.snapshot.event_role.as_ref(),
            service: "events.amazonaws.com",
            inline: names::event_inline_name(&blueprint.home, &blueprint.pipeline),
            // The console's inline policy has the same name.
            inline_is_ours: false,
            document: json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["codepipeline:StartPipelineExecution"], "Resource": [blueprint.pipeline_arn]}]}),
            title: format!("EventBridge's role {}", role.name),
            description: format!("EventBridge starts CodePipeline {} with it", blueprint.pipeline),
            hints: vec!["pass `--event-role NAME` to use another name".to_owned()],
        },
    )
}

/// The rule's pattern, with the object's key, which AWS's sample omits (facts B.3).
fn pattern(context: &Context<'_>) -> Value {
    json!({
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [context.blueprint.input_bucket]}, "object": {"key": [context.blueprint.object_key]}},
    })
}

fn target(context: &Context<'_>) -> Value {
    let blueprint = context.blueprint;
    let mut target = json!({"Id": TARGET_ID, "Arn": blueprint.pipeline_arn, "RoleArn": blueprint.event_role.arn});
    if blueprint.v2 {
        let action = blueprint.source_action(context.snapshot);
        target["InputTransformer"] = json!({
            "InputPathsMap": {"revisionValue": "$.detail.object.version-id"},
            "InputTemplate": format!(
                r#"{{"sourceRevisions":[{{"actionName":"{action}","revisionType":"S3_OBJECT_VERSION_ID","revisionValue":<revisionValue>}}]}}"#
            ),
        });
    }
    target
}

fn rule(context: &Context<'_>, draft: &mut Draft) -> Result<()> {
    let blueprint = context.blueprint;
    let name = &blueprint.names.event_rule;
    let arn = blueprint.dev.regional("events", &blueprint.home, &format!("rule/{name}"));
    let (pattern, target) = (pattern(context), target(context));
    let found = context.snapshot.rule.as_ref();
    let same = |found: &Value, wanted: &Value| wanted.as_object().into_iter().flatten().all(|(key, value)| found.get(key) == Some(value));
    let aimed = found.is_some_and(|rule| rule.targets.iter().any(|there| same(there, &target)));
    let right = found.is_some_and(|rule| rule.enabled && rule.pattern == pattern);
    if let Some(rule) = found
        && !is_own(&rule.tags, &blueprint.pipeline_arn)
        && !(aimed && right)
    {
        return Err(Error::refused(format!(
            "EventBridge rule {name} exists in dev ({}) and was not made by xdeploy for pipeline {}",
            blueprint.dev.account, blueprint.pipeline
        ))
        .hint("pass `--event-rule NAME` to use another name"));
    }
    let lane = format!("rule:{name}");
    let needs = [format!("role:dev:{}", blueprint.event_role.name)];
    if !right {
        let mut tags = BTreeMap::new();
        if found.is_none() {
            tags = names::own_tags(&blueprint.pipeline_arn);
            let before = context.snapshot.input.found.as_ref().and_then(|found| found.notification.as_deref()).unwrap_or_default();
            if !has_eventbridge(before) {
                tags.insert(NOTIFICATION_TAG.to_owned(), blueprint.input_bucket.clone());
            }
        }
        let call = Call::PutRule {
            region: blueprint.home.clone(),
            name: name.clone(),
            pattern,
            description: format!("Starts CodePipeline {} when its source object changes", blueprint.pipeline),
            tags,
        };
        draft
            .writes
            .push(Write::new(Side::Dev, Step::ChangeDetection, &lane, &arn, format!("EventBridge rule {name}"), call).gives("rule"));
    }
    if !aimed {
        let call = Call::PutTargets { region: blueprint.home.clone(), rule: name.clone(), target };
        let title = format!("target of rule {name}: pipeline {}", blueprint.pipeline);
        draft.writes.push(Write::new(Side::Dev, Step::ChangeDetection, &lane, &arn, title, call).needs(needs).needs(["rule"]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eventbridge_comes_in_and_goes_out_without_touching_the_rest() {
        let others = "<?xml version=\"1.0\"?>\n<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><QueueConfiguration><Id>q</Id><New unknown=\"1\"/></QueueConfiguration></NotificationConfiguration>\n";
        let with = with_eventbridge(others).unwrap();
        assert!(has_eventbridge(&with) && !has_eventbridge(others));
        assert_eq!(without_eventbridge(&with).unwrap(), others);
        for empty in ["", "<NotificationConfiguration/>", "<NotificationConfiguration xmlns=\"x\" />"] {
            let with = with_eventbridge(empty).unwrap();
            assert!(has_eventbridge(&with), "{with}");
        }
    }
}
