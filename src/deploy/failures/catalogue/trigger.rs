//! What starts no run, or too many (facts E.36 to E.38).

use super::super::{Kind, Place, Row, fits};
use super::codepipeline;
use crate::model::Check;

const AT: &[Place] = &[Place::Trigger];
const EVENTS: &str = codepipeline!("create-S3-source-events.html");

pub(super) static ROWS: [Row; 3] = [
    Row {
        number: 36,
        check: Check {
            id: "XD-CP-036",
            title: "nothing hears of the upload",
            why: "the rule is disabled, has no target or role, or matches another key; the bucket doesn't tell EventBridge; polling is off after 30 idle days; or S3's notification is less than 5 minutes old",
            fix: "put the trigger right: rule, target with its role, the bucket's EventBridge notification, PollForSourceChanges false",
            docs: EVENTS,
            article: &["A2.3"],
        },
        says: "(no run after an upload)",
        at: AT,
        kinds: &[Kind::Message, Kind::NotStarted],
        texts: &[
            r"\b(no|without a) (new )?(pipeline )?(runs?|executions?)\b.{0,80}\b(upload\w*|pipeline|zip)\b",
            r"\b(upload\w*|pipeline|zip)\b.{0,80}\b(no|without a) (new )?(pipeline )?(runs?|executions?)\b",
            r"\b(pipeline|execution)\b.{0,120}\b(does not|doesn't|did not|didn't|never|not|isn't|wasn't) (being |be |get )?(start|started|starts|run|runs|trigger|triggers|triggered|execute|executed)\b",
            r"\b(pipeline|upload\w*)\b.{0,120}\bnothing (starts|started|happens|happened|runs|ran)\b",
            r"\bnothing (starts|started|happens|happened|runs|ran)\b.{0,120}\b(pipeline|upload\w*)\b",
        ],
        codes: &[],
        behind: &[],
        links: &["start-role", "start-run"],
        tell: "DescribeRule and ListTargetsByRule, GetBucketNotification of the source bucket, metadata.pollingDisabledAt of GetPipeline",
        fits: fits::no_trigger,
    },
    Row {
        number: 37,
        check: Check {
            id: "XD-CP-037",
            title: "an upload starts two runs",
            why: "CodePipeline polls, which it does unless PollForSourceChanges is false, beside a rule that starts it as well; or two rules do",
            fix: "set PollForSourceChanges to false in the source action, or disable one of the rules",
            docs: codepipeline!("create-cloudtrail-S3-source-cli.html"),
            article: &["A2.3"],
        },
        says: "(two runs for an upload)",
        at: AT,
        kinds: &[Kind::Message, Kind::Green],
        texts: &[
            r"\b(upload\w*|pipeline)\b.{0,80}\b(two|double|duplicate|both|several|multiple|second)\b.{0,30}\b(runs?|executions?|starts?)\b",
            r"\b(two|double|duplicate|both|several|multiple|second)\b.{0,30}\b(runs?|executions?|starts?)\b.{0,80}\b(upload\w*|pipeline)\b",
            r"\b(upload\w*|pipeline)\b.{0,80}\b(runs?|starts?|started|executed|triggered)\b.{0,30}\btwice\b",
        ],
        codes: &[],
        behind: &[],
        links: &[],
        tell: "PollForSourceChanges of the source action (absent means true), and ListRuleNamesByTarget of the pipeline",
        fits: fits::twice,
    },
    Row {
        number: 38,
        check: Check {
            id: "XD-CP-038",
            title: "EventBridge may not start the pipeline",
            why: "the role of the rule's target lacks codepipeline:StartPipelineExecution on this pipeline, doesn't trust events.amazonaws.com, or the target names another pipeline",
            fix: "let the role of the target start this pipeline, and let events.amazonaws.com take it on",
            docs: codepipeline!("create-cloudtrail-S3-source-cli.html"),
            article: &["A2.3"],
        },
        says: "EventBridge's metric FailedInvocations goes up",
        at: AT,
        kinds: &[Kind::Message, Kind::NotStarted],
        texts: &[r"failed ?invocations?", r"codepipeline:startpipelineexecution"],
        codes: &[],
        behind: &[36],
        links: &["start-role", "start-run"],
        tell: "the metric FailedInvocations of the rule; prove start-role and start-run",
        fits: fits::event_role,
    },
];
