//! Rows about what starts a run: facts E.36 to E.38.

use super::{by_link, holds, open, out};
use crate::deploy::failures::{Case, Fit};
use crate::deploy::steps;
use crate::model::Verdict;
use crate::policy;
use serde_json::Value;

/// E.36: nothing hears of the upload, or hears it and does nothing.
pub fn no_trigger(case: &Case<'_, '_>) -> Fit {
    let evidence = case.evidence;
    let course = &evidence.course;
    let flags = evidence.aws(&course.snapshot.dev.account, course.home.region);
    if course.polls {
        return open("CodePipeline polls: it looks about once a minute");
    }
    let of_pipeline = |target: &Value| target.get("Arn").and_then(Value::as_str) == Some(course.pipeline.arn.as_str());
    let rules = || course.snapshot.rule.iter().chain(&course.snapshot.other_rules);
    if let Some(rule) = rules().find(|rule| !rule.enabled && (rule.targets.iter().any(of_pipeline) || rule.targets.is_empty())) {
        return holds(format!("rule {} is disabled", rule.name), [format!("aws events enable-rule --name {}{flags}", rule.name)]);
    }
    if course.triggers.is_empty() {
        if course.pipeline.polling_disabled {
            return holds(
                "CodePipeline has switched polling off after 30 idle days",
                [evidence.xdeploy("setup --change-detection eventbridge")],
            );
        }
        let seen = match rules().find(|rule| rule.targets.iter().any(of_pipeline)) {
            Some(rule) => {
                format!("rule {} doesn't match s3://{}/{}: {}", rule.name, course.source_bucket, course.source_object, rule.pattern)
            }
            None => match rules().next() {
                Some(rule) => format!("rule {} has no target that is the pipeline", rule.name),
                None => "neither a rule nor polling starts the pipeline".to_owned(),
            },
        };
        return holds(seen, [evidence.xdeploy("setup --change-detection eventbridge")]);
    }
    let notification = course.snapshot.input.found.as_ref().and_then(|found| found.notification.as_deref());
    let by_s3 = |pattern: &Value| !policy::names_in(pattern.get("detail-type")).iter().any(|kind| kind.contains("CloudTrail"));
    if notification.is_some_and(|text| !steps::has_eventbridge(text)) && course.triggers.iter().all(|trigger| by_s3(trigger.pattern)) {
        return holds(format!("bucket {} doesn't tell EventBridge of uploads", course.source_bucket), [evidence.setup()]);
    }
    if let Some(trigger) = course.triggers.iter().find(|trigger| trigger.role.is_none()) {
        return holds(format!("the target of rule {} names no role", trigger.rule), [evidence.setup()]);
    }
    if evidence.links(&["start-role", "start-run"]).iter().any(|link| link.verdict == Verdict::Denied) {
        return out("a rule hears of the upload, and is denied what it wants to start");
    }
    open("rule, target, role and the bucket's notification are as they should be: S3 may take 5 minutes after its first set-up")
}

/// E.38: EventBridge is denied what it needs.
pub fn event_role(case: &Case<'_, '_>) -> Fit {
    let links = case.evidence.links(&["start-role", "start-run"]);
    match links.iter().find(|link| link.verdict == Verdict::Denied) {
        Some(link) => by_link(case, link, Vec::new(), Vec::new()),
        None if links.is_empty() => out("no rule that is on hears of the upload"),
        None => out("the role of the rule's target may start the pipeline"),
    }
}

/// E.37: two things start the pipeline.
pub fn twice(case: &Case<'_, '_>) -> Fit {
    let course = &case.evidence.course;
    let rules: Vec<&str> = course.triggers.iter().map(|trigger| trigger.rule).collect();
    let taken = case
        .evidence
        .readings
        .taken_twice
        .as_ref()
        .map(|version| format!("; version {version} was taken by several runs"))
        .unwrap_or_default();
    if course.polls && !rules.is_empty() {
        return holds(
            format!("CodePipeline polls beside rule {}{taken}", rules.join(", ")),
            [case.evidence.xdeploy("setup --change-detection eventbridge")],
        );
    }
    if rules.len() > 1 {
        let flags = case.evidence.aws(&course.snapshot.dev.account, course.home.region);
        let run = rules.iter().skip(1).map(|rule| format!("aws events disable-rule --name {rule}{flags}"));
        return holds(format!("rules {} all start the pipeline{taken}", rules.join(", ")), run.take(1));
    }
    out("one thing starts the pipeline")
}
