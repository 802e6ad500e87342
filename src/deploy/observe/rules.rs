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
    let body = KeepBody::default();
    let list = events.list_targets_by_rule().rule(name).customize().interceptor(body.clone());
    let tags = async {
        if !with_tags {
            return Ok(Tags::new());
        }
        let got = dev.call("events:ListTagsForResource", &arn, events.list_tags_for_resource().resource_arn(&arn).send()).await?;
        Ok(got.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect())
    };
    let (tags, _) = tokio::try_join!(tags, dev.call("events:ListTargetsByRule", &arn, list.send()))?;
    let body: Value = serde_json::from_slice(&body.take()).unwrap_or_default();
    let targets = body.get("Targets").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(Some(RuleFound {
        name: name.to_owned(),
        pattern: rule.event_pattern().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
        enabled: rule.state().is_none_or(|state| state.as_str() != "DISABLED"),
        tags,
        targets,
    }))
}

pub(super) async fn other_rules(dev: &Account, region: &str, pipeline_arn: &str, ours: &str) -> ApiResult<Vec<RuleFound>> {
    let events = dev.events(region);
    let got = dev.call("events:ListRuleNamesByTarget", "*", events.list_rule_names_by_target().target_arn(pipeline_arn).send()).await?;
    let names = got.rule_names().iter().filter(|name| *name != ours);
    let rules = try_join_all(names.map(|name| read_rule(dev, region, name, false))).await?;
    Ok(rules.into_iter().flatten().collect())
}

/// Lists the roles with which rules start the pipeline.
pub(super) fn roles_of_rules<'a>(rules: impl Iterator<Item = &'a RuleFound>, pipeline_arn: &str) -> Vec<String> {
    let of_pipeline = |target: &&Value| target.get("Arn").and_then(Value::as_str) == Some(pipeline_arn);
    let targets = rules.flat_map(|rule| rule.targets.iter().filter(of_pipeline));
    targets.filter_map(|target| target.get("RoleArn")?.as_str()).map(str::to_owned).collect()
}
