//! Reads EventBridge rules.

use crate::aws::raw::KeepBody;
use crate::aws::{Account, ApiResult, present};
use crate::deploy::snapshot::{RuleFound, Tags};
use futures_util::future::try_join_all;
use serde_json::Value;

/// Reads a rule with its targets, and its tags where they matter.
pub(super) async fn read_rule(dev: &Account, region: &str, name: &str, with_tags: bool) -> ApiResult<Option<RuleFound>> {
    let events = dev.events(region);
    let arn = format!("arn:{}:events:{region}:{}:rule/{name}", dev.partition, dev.id);
    let got = dev.call("events:DescribeRule", &arn, events.describe_rule().name(name).send()).await;
    let Some(rule) = present(got, &["ResourceNotFoundException"])? else { return Ok(None) };
    let tags = async {
        if !with_tags {
            return Ok(Tags::new());
        }
        let got = dev.call("events:ListTagsForResource", &arn, events.list_tags_for_resource().resource_arn(&arn).send()).await?;
        Ok(got.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect())
    };
    let pattern = rule.event_pattern().map(|text| dev.kept_json("events:DescribeRule", &arn, text.as_bytes())).transpose()?;
    let (tags, targets) = tokio::try_join!(tags, read_targets(dev, region, name, &arn))?;
    Ok(Some(RuleFound {
        name: name.to_owned(),
        pattern: pattern.unwrap_or_default(),
        enabled: rule.state().is_none_or(|state| state.as_str() != "DISABLED"),
        tags,
        targets,
    }))
}

/// Reads a rule's targets as they came over the wire.
async fn read_targets(dev: &Account, region: &str, name: &str, arn: &str) -> ApiResult<Vec<Value>> {
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let body = KeepBody::default();
        let request = dev.events(region).list_targets_by_rule().rule(name).set_next_token(token).customize().interceptor(body.clone());
        let page = dev.call("events:ListTargetsByRule", arn, request.send()).await?;
        let raw = dev.kept_json("events:ListTargetsByRule", arn, &body.take())?;
        let targets = raw.get("Targets").and_then(Value::as_array).cloned();
        found.extend(targets.ok_or_else(|| dev.unusable("events:ListTargetsByRule", arn, "the answer has no targets"))?);
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok(found);
        }
    }
}

pub(super) async fn other_rules(dev: &Account, region: &str, pipeline_arn: &str, ours: &str) -> ApiResult<Vec<RuleFound>> {
    let events = dev.events(region);
    let (mut names, mut token) = (Vec::new(), None);
    loop {
        let request = events.list_rule_names_by_target().target_arn(pipeline_arn).set_next_token(token);
        let page = dev.call("events:ListRuleNamesByTarget", "*", request.send()).await?;
        names.extend(page.rule_names().iter().filter(|name| *name != ours).cloned());
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let rules = try_join_all(names.iter().map(|name| read_rule(dev, region, name, false))).await?;
    Ok(rules.into_iter().flatten().collect())
}

/// Lists the roles with which rules start the pipeline.
pub(super) fn roles_of_rules<'a>(rules: impl Iterator<Item = &'a RuleFound>, pipeline_arn: &str) -> Vec<String> {
    let of_pipeline = |target: &&Value| target.get("Arn").and_then(Value::as_str) == Some(pipeline_arn);
    let targets = rules.flat_map(|rule| rule.targets.iter().filter(of_pipeline));
    targets.filter_map(|target| target.get("RoleArn")?.as_str()).map(str::to_owned).collect()
}
