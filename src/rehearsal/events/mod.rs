//! EventBridge (awsJson 1.1): rules, their targets, and S3's events that start pipelines.

mod delivery;
mod pattern;
#[cfg(test)]
mod tests;

pub(crate) use delivery::{Created, object_created};

use super::authorise::{Asked, authorise};
use super::document::texts;
use super::run::may_assume;
use super::state::State;
use super::wire::{Answer, Call, Caller, Fault, Outcome, json_answer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The service, as trust policies name it.
const SERVICE: &str = "events.amazonaws.com";
/// How many targets a rule may have (facts B.3).
const TARGETS: usize = 5;
/// How many targets a request may bring (facts B.3).
const TARGETS_A_REQUEST: usize = 10;

/// How many characters a pattern may have before somebody asked for more (facts/actions.md D, EB-Quota).
const PATTERN: usize = 2_048;
/// How many it may have whatever was asked for (the API's model).
const PATTERN_OF_MODEL: usize = 4_096;

/// A rule of the default event bus.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rule {
    pub name: String,
    pub arn: String,
    pub pattern: Option<String>,
    pub schedule: Option<String>,
    pub description: Option<String>,
    pub role: Option<String>,
    pub disabled: bool,
    pub tags: BTreeMap<String, String>,
    /// As they were put, in order.
    pub targets: Vec<Value>,
}

impl Rule {
    /// Gives the rule as AWS tells of it.
    fn shown(&self) -> Value {
        let mut shown = json!({"Name": self.name, "Arn": self.arn, "EventBusName": "default"});
        shown["State"] = json!(if self.disabled { "DISABLED" } else { "ENABLED" });
        let optional = [
            ("EventPattern", &self.pattern),
            ("ScheduleExpression", &self.schedule),
            ("Description", &self.description),
            ("RoleArn", &self.role),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                shown[name] = json!(value);
            }
        }
        shown
    }
}

/// Answers a call.
pub(crate) fn answer(state: &mut State, call: &Call) -> Answer {
    json_answer(serve(state, call))
}

fn serve(state: &mut State, call: &Call) -> Outcome<Value> {
    let input = call.json()?;
    if let Some(bus) = text(&input, "EventBusName")
        && bus != "default"
    {
        return Err(Fault::new(400, "ResourceNotFoundException", format!("Event bus {bus} does not exist.")));
    }
    match call.target() {
        "PutRule" => put_rule(state, call, &input),
        "DescribeRule" => with_rule(state, call, "events:DescribeRule", needed(&input, "Name")?, |rule| Ok(rule.shown())),
        "EnableRule" => with_rule(state, call, "events:EnableRule", needed(&input, "Name")?, |rule| {
            rule.disabled = false;
            Ok(Value::Null)
        }),
        "DisableRule" => with_rule(state, call, "events:DisableRule", needed(&input, "Name")?, |rule| {
            rule.disabled = true;
            Ok(Value::Null)
        }),
        "ListRules" => {
            permit(state, call, "events:ListRules", "*", &BTreeMap::new())?;
            let prefix = text(&input, "NamePrefix").unwrap_or_default();
            let rules = rules(state, call).filter(|rule| rule.name.starts_with(prefix)).map(Rule::shown);
            page(&input, "Rules", rules.collect())
        }
        "ListRuleNamesByTarget" => {
            permit(state, call, "events:ListRuleNamesByTarget", "*", &BTreeMap::new())?;
            let wanted = needed(&input, "TargetArn")?;
            let aims = |rule: &&Rule| rule.targets.iter().any(|target| text(target, "Arn") == Some(wanted));
            page(&input, "RuleNames", rules(state, call).filter(aims).map(|rule| json!(rule.name)).collect())
        }
        "PutTargets" => put_targets(state, call, &input),
        "ListTargetsByRule" => {
            with_rule(state, call, "events:ListTargetsByRule", needed(&input, "Rule")?, |rule| Ok(json!({"Targets": rule.targets})))
        }
        "RemoveTargets" => {
            let ids = texts(input.get("Ids"));
            with_rule(state, call, "events:RemoveTargets", needed(&input, "Rule")?, |rule| {
                rule.targets.retain(|target| !ids.iter().any(|id| text(target, "Id") == Some(id)));
                Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
            })
        }
        "DeleteRule" => {
            let name = needed(&input, "Name")?;
            with_rule(state, call, "events:DeleteRule", name, |rule| match rule.targets.is_empty() {
                true => Ok(()),
                false => Err(invalid("Rule can't be deleted since it has targets.")),
            })?;
            if let Some(account) = state.accounts.get_mut(&call.caller.account) {
                account.rules.remove(&(call.region.clone(), name.to_owned()));
            }
            Ok(Value::Null)
        }
        "ListTagsForResource" => {
            let name = named_by(&input)?;
            with_rule(state, call, "events:ListTagsForResource", name, |rule| Ok(json!({"Tags": tag_list(&rule.tags)})))
        }
        "TagResource" => {
            let (name, tags) = (named_by(&input)?, tags_of(&input));
            permit(state, call, "events:TagResource", name, &tags)?;
            rule_mut(state, call, name)?.tags.extend(tags);
            Ok(json!({}))
        }
        "UntagResource" => {
            let keys = texts(input.get("TagKeys"));
            with_rule(state, call, "events:UntagResource", named_by(&input)?, |rule| {
                rule.tags.retain(|key, _| !keys.contains(key));
                Ok(json!({}))
            })
        }
        other => Err(Fault::new(400, "UnknownOperationException", format!("The rehearsal's EventBridge has no {other}."))),
    }
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "ValidationException", message)
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn needed<'v>(input: &'v Value, name: &str) -> Outcome<&'v str> {
    let member = format!("{}{}", name.get(..1).unwrap_or_default().to_lowercase(), name.get(1..).unwrap_or_default());
    text(input, name).ok_or_else(|| {
        invalid(format!("1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"))
    })
}

/// Gives the rule whose ARN is asked about.
fn named_by(input: &Value) -> Outcome<&str> {
    let arn = needed(input, "ResourceARN")?;
    arn.split_once(":rule/").map(|(_, name)| name).ok_or_else(|| invalid("Provided Arn is not in correct format."))
}

fn tags_of(input: &Value) -> BTreeMap<String, String> {
    let tags = input.get("Tags").and_then(Value::as_array).into_iter().flatten();
    tags.filter_map(|tag| Some((text(tag, "Key")?.to_owned(), text(tag, "Value")?.to_owned()))).collect()
}

fn tag_list(tags: &BTreeMap<String, String>) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// Gives a page of a list; the token is the number of what came before.
fn page(input: &Value, name: &str, all: Vec<Value>) -> Outcome<Value> {
    let start = match text(input, "NextToken") {
        Some(token) => token.parse::<usize>().map_err(|_| invalid("Invalid NextToken."))?,
        None => 0,
    };
    let most = input.get("Limit").and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok()).unwrap_or(100).clamp(1, 100);
    let mut answer = json!({});
    if start + most < all.len() {
        answer["NextToken"] = json!((start + most).to_string());
    }
    answer[name] = all.into_iter().skip(start).take(most).collect();
    Ok(answer)
}

fn arn(state: &State, call: &Call, name: &str) -> String {
    if name == "*" {
        return name.to_owned();
    }
    format!("arn:{}:events:{}:{}:rule/{name}", state.partition, call.region, call.caller.account)
}

fn permit(state: &mut State, call: &Call, action: &str, name: &str, tags: &BTreeMap<String, String>) -> Outcome<()> {
    let asked = Asked::by(call, action, arn(state, call, name), &call.caller.account).request_tags(tags);
    let held = state.accounts.get(&call.caller.account).and_then(|account| account.rules.get(&(call.region.clone(), name.to_owned())));
    let asked = match held {
        Some(rule) => asked.resource_tags(&rule.tags).with("events:creatorAccount", call.caller.account.as_str()),
        None => asked,
    };
    authorise(state, &call.caller, asked)
}

fn rules<'s>(state: &'s State, call: &Call) -> impl Iterator<Item = &'s Rule> {
    let region = call.region.clone();
    let account = state.accounts.get(&call.caller.account).into_iter();
    account.flat_map(|account| account.rules.iter()).filter(move |((own, _), _)| *own == region).map(|(_, rule)| rule)
}

fn rule_mut<'s>(state: &'s mut State, call: &Call, name: &str) -> Outcome<&'s mut Rule> {
    let account = state.accounts.get_mut(&call.caller.account);
    let found = account.and_then(|account| account.rules.get_mut(&(call.region.clone(), name.to_owned())));
    let message = format!("Rule {name} does not exist on EventBus default.");
    found.ok_or_else(|| Fault::new(400, "ResourceNotFoundException", message))
}

fn with_rule<T>(state: &mut State, call: &Call, action: &str, name: &str, change: impl FnOnce(&mut Rule) -> Outcome<T>) -> Outcome<T> {
    permit(state, call, action, name, &BTreeMap::new())?;
    change(rule_mut(state, call, name)?)
}

/// The caller hands a role to EventBridge.
fn pass_role(state: &mut State, call: &Call, role: &str) -> Outcome<()> {
    let asked = Asked::by(call, "iam:PassRole", role, super::state::account_of(role)).with("iam:PassedToService", SERVICE);
    authorise(state, &call.caller, asked)
}

fn put_rule(state: &mut State, call: &Call, input: &Value) -> Outcome<Value> {
    let (name, tags) = (needed(input, "Name")?, tags_of(input));
    if !(1..=64).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must satisfy regular expression \
             pattern: [\\.\\-_A-Za-z0-9]+"
        )));
    }
    permit(state, call, "events:PutRule", name, &tags)?;
    if !tags.is_empty() {
        permit(state, call, "events:TagResource", name, &tags)?;
    }
    let role = text(input, "RoleArn").map(str::to_owned);
    if let Some(role) = &role {
        pass_role(state, call, role)?;
    }
    let (pattern, schedule) = (text(input, "EventPattern").map(str::to_owned), text(input, "ScheduleExpression").map(str::to_owned));
    if pattern.is_none() && schedule.is_none() {
        return Err(invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
    }
    if let Some(pattern) = &pattern {
        if pattern.chars().count() > PATTERN_OF_MODEL {
            return Err(invalid(format!(
                "1 validation error detected: Value at 'eventPattern' failed to satisfy constraint: Member must have length less than or \
                 equal to {PATTERN_OF_MODEL}"
            )));
        }
        if pattern.chars().count() > PATTERN {
            return Err(Fault::new(400, "LimitExceededException", "The requested resource exceeds the maximum number allowed."));
        }
        pattern::check(pattern)
            .map_err(|why| Fault::new(400, "InvalidEventPatternException", format!("Event pattern is not valid. Reason: {why}")))?;
    }
    let arn = arn(state, call, name);
    let Some(account) = state.accounts.get_mut(&call.caller.account) else { return Err(Fault::new(500, "InternalException", "")) };
    let key = (call.region.clone(), name.to_owned());
    let there = account.rules.remove(&key);
    // What is left out goes back to its default, but for targets; tags are for a new rule only (facts B.3).
    let (tags, targets) = there.map_or((tags, Vec::new()), |rule| (rule.tags, rule.targets));
    let rule = Rule {
        name: name.to_owned(),
        arn: arn.clone(),
        pattern,
        schedule,
        description: text(input, "Description").map(str::to_owned),
        role,
        disabled: text(input, "State") == Some("DISABLED"),
        tags,
        targets,
    };
    account.rules.insert(key, rule);
    Ok(json!({"RuleArn": arn}))
}

fn put_targets(state: &mut State, call: &Call, input: &Value) -> Outcome<Value> {
    let name = needed(input, "Rule")?;
    permit(state, call, "events:PutTargets", name, &BTreeMap::new())?;
    rule_mut(state, call, name)?;
    let targets = input.get("Targets").and_then(Value::as_array).cloned().unwrap_or_default();
    if targets.is_empty() || targets.len() > TARGETS_A_REQUEST {
        return Err(invalid(
            "1 validation error detected: Value at 'targets' failed to satisfy constraint: Member must have length between 1 and 10",
        ));
    }
    for target in &targets {
        let (_, aim) = (needed(target, "Id")?, needed(target, "Arn")?);
        let Some(role) = text(target, "RoleArn") else {
            // A pipeline has no policy of its own, so only a role can start it.
            if aim.split(':').nth(2) == Some("codepipeline") {
                return Err(invalid(format!("RoleArn is required for target {aim}.")));
            }
            continue;
        };
        pass_role(state, call, role)?;
        if !may_assume(state, &Caller::service(SERVICE), role, &call.region) {
            return Err(invalid(format!("Provided role '{role}' cannot be assumed by principal '{SERVICE}'.")));
        }
    }
    let rule = rule_mut(state, call, name)?;
    let mut all = rule.targets.clone();
    for target in targets {
        match all.iter_mut().find(|there| there["Id"] == target["Id"]) {
            Some(there) => *there = target,
            None => all.push(target),
        }
    }
    if all.len() > TARGETS {
        return Err(Fault::new(400, "LimitExceededException", "The requested resource exceeds the maximum number allowed."));
    }
    rule.targets = all;
    Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
}
