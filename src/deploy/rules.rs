//! The rules of article A, as every report and the reference name them: the calls of the chain, what else the proof looks at,
//! what setup would write, and what a release must show.

use super::chain::{ROWS, Row, Who};
use super::write::Step;
use crate::model::Check;
use std::sync::LazyLock;

const CROSS_ACCOUNT: &str = "https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-create-cross-account.html";
const S3_SOURCE: &str = "https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html";
const S3_DEPLOY: &str = "https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3Deploy.html";
const S3_EVENTS: &str = "https://docs.aws.amazon.com/codepipeline/latest/userguide/create-S3-source-events.html";
const PRINCIPALS: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html";
const ORGANISATIONS: &str = "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html";
const MANUAL: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "#exit-codes");
const OWNERSHIP: &str = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html";

/// What one rule says: id, title, why, fix, where AWS describes it, steps of the article.
type Rule = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

/// What the proof looks at beside the calls.
const PROOF: [Rule; 16] = [
    (
        "XD-PROOF-001",
        "the input bucket has versioning",
        "an S3 source action needs a version to run on",
        "turn versioning on: `xdeploy setup --enable-versioning`",
        S3_SOURCE,
        &["A2.3"],
    ),
    (
        "XD-PROOF-002",
        "whether the output bucket takes ACLs is known",
        "the deploy action sets an ACL, which a bucket with BucketOwnerEnforced refuses",
        "let the production profile call s3:GetBucketOwnershipControls",
        OWNERSHIP,
        &["A2.5"],
    ),
    (
        "XD-PROOF-003",
        "the deploy action's Extract is true or false",
        "CodePipeline fails the action with any other value",
        "set Extract to `true` or `false`",
        S3_DEPLOY,
        &["A2.5"],
    ),
    (
        "XD-PROOF-004",
        "the deploy action extracts or names an object key",
        "a zip that isn't extracted needs a name",
        "set Extract to `true`, or name ObjectKey",
        S3_DEPLOY,
        &["A2.5"],
    ),
    (
        "XD-PROOF-005",
        "the output bucket takes the ACL that the deploy action sets",
        "a bucket with BucketOwnerEnforced refuses every ACL but bucket-owner-full-control",
        "take CannedACL out of the action, or set it to bucket-owner-full-control",
        OWNERSHIP,
        &["A2.5"],
    ),
    (
        "XD-PROOF-006",
        "the deploy action runs with a role of production",
        "with the service role, the development account owns what is deployed unless the bucket takes it over",
        "`xdeploy setup` names the cross-account role in the action",
        CROSS_ACCOUNT,
        &["A7"],
    ),
    (
        "XD-PROOF-007",
        "no policy names a principal that is gone",
        "a principal that was deleted stays in a policy as a bare id, and one made anew with its name isn't it",
        "name the principal again, or take the statement out",
        PRINCIPALS,
        &["A1.3", "A4.3"],
    ),
    (
        "XD-PROOF-008",
        "each rule hears of uploads",
        "without the bucket's notification S3 tells EventBridge nothing, and the pipeline doesn't start",
        "`xdeploy setup` turns the bucket's EventBridge notification on",
        S3_EVENTS,
        &["A2.3"],
    ),
    (
        "XD-PROOF-009",
        "CodePipeline doesn't poll beside a rule",
        "each upload starts two runs",
        "`xdeploy setup --change-detection eventbridge` switches polling off",
        S3_EVENTS,
        &["A2.3"],
    ),
    (
        "XD-PROOF-010",
        "one rule starts the pipeline",
        "each upload starts a run for each rule",
        "delete the rules that aren't needed",
        S3_EVENTS,
        &["A2.3"],
    ),
    (
        "XD-PROOF-011",
        "polling has not been switched off",
        "CodePipeline stops polling after 30 idle days, and an upload then starts nothing",
        "`xdeploy setup --change-detection eventbridge`",
        S3_EVENTS,
        &["A2.3"],
    ),
    (
        "XD-PROOF-012",
        "an upload starts the pipeline",
        "nothing watches the source object; `xdeploy release` starts the pipeline itself",
        "`xdeploy setup --change-detection eventbridge`, if an upload is to start it",
        S3_EVENTS,
        &["A2.3"],
    ),
    (
        "XD-PROOF-013",
        "no more is granted than the calls need",
        "what is granted beyond the calls is open to whoever holds the role",
        "`xdeploy setup --policies least-privilege` narrows what setup wrote",
        CROSS_ACCOUNT,
        &["A4", "A5"],
    ),
    (
        "XD-PROOF-014",
        "the organisation's policies are known",
        "a service or resource control policy can deny what everything else allows",
        "let the profiles call organizations:ListPoliciesForTarget, or take them on trust without `--strict`",
        ORGANISATIONS,
        &["A4"],
    ),
    (
        KEY_BY_ALIAS,
        "no store names its key by the ARN of an alias",
        "KMS takes the ARN of an alias from another account, and AWS CDK writes it; CodePipeline's guide says key id or key ARN only",
        "name the key's own ARN in the artifact store's encryptionKey.id",
        CROSS_ACCOUNT,
        &["A1.3", "A2.6"],
    ),
    (
        "XD-PROOF-021",
        "the artifact that the deploy action reads is the judged source's own",
        "what another action puts out is encrypted with a key that it chooses, so that nobody can say whether the deploy action can read it",
        "look at the role and the key of the action that puts the artifact out",
        CROSS_ACCOUNT,
        &["A5"],
    ),
];

/// The rule about a store's key whose name nobody can be sure of.
pub const KEY_BY_ALIAS: &str = "XD-PROOF-020";

/// The rule about organisation policies, which is about an assumption.
pub const ORGANISATION: &str = "XD-PROOF-014";

/// What a release must show.
const RELEASE: [Rule; 4] = [
    (
        "XD-RELEASE-001",
        "the upload starts a run",
        "nothing is deployed without one",
        "`xdeploy verify` says what starts the pipeline",
        S3_EVENTS,
        &["A8.1"],
    ),
    (
        "XD-RELEASE-002",
        "every action succeeds",
        "a failed action deploys nothing, or a part",
        "`xdeploy verify` names the call that is denied",
        CROSS_ACCOUNT,
        &["A8.1"],
    ),
    (
        "XD-RELEASE-003",
        "every file of the zip arrives",
        "the website is served without it",
        "look at the action's ObjectKey and Extract, and release again",
        S3_DEPLOY,
        &["A8.3"],
    ),
    (
        "XD-RELEASE-004",
        "production owns what arrives",
        "what the development account owns, production can't manage",
        "set the bucket's object ownership to BucketOwnerEnforced",
        OWNERSHIP,
        &["A8.3"],
    ),
];

/// The id of the rule about the command itself.
pub const RUN: &str = "XD-RUN-001";

/// What holds of every command.
const COMMAND: Rule = (
    RUN,
    "the command did what it was asked",
    "it ended with an error, and a report has only what was known by then",
    "do what the finding says, then run the command again",
    MANUAL,
    &["A"],
);

/// The rule that setup could go on at all.
pub const REFUSED: &str = "XD-DRIFT-011";

/// The id of the rule that setup has nothing to write in a step.
pub fn drift_id(step: Step) -> &'static str {
    match step {
        Step::Buckets => "XD-DRIFT-001",
        Step::Key => "XD-DRIFT-002",
        Step::ServiceRole => "XD-DRIFT-003",
        Step::KeyUsers => "XD-DRIFT-004",
        Step::DeployRole => "XD-DRIFT-005",
        Step::BucketPolicy => "XD-DRIFT-006",
        Step::AssumeRole => "XD-DRIFT-007",
        Step::ChangeDetection => "XD-DRIFT-008",
        Step::Artifact => "XD-DRIFT-009",
        Step::Pipeline => "XD-DRIFT-010",
    }
}

fn check((id, title, why, fix, docs, article): Rule) -> Check {
    Check { id, title, why, fix, docs, article }
}

/// The steps that a text names, such as `A4.2, A5`.
fn steps(article: &'static str) -> &'static [&'static str] {
    article.split(", ").collect::<Vec<_>>().leak()
}

fn of_call(row: &'static Row) -> Check {
    let docs = match row.who {
        Who::Events | Who::EventRole => S3_EVENTS,
        Who::SourceRole => S3_SOURCE,
        Who::CodePipeline | Who::ServiceRole => CROSS_ACCOUNT,
        Who::DeployRole => S3_DEPLOY,
    };
    Check {
        id: row.id(),
        title: format!("{}: {} is allowed", row.name, row.action).leak(),
        why: row.why,
        fix: "`xdeploy setup` grants it where xdeploy wrote the policies; else add the statement that the finding names",
        docs,
        article: steps(row.article),
    }
}

fn of_step(step: Step) -> Check {
    Check {
        id: drift_id(step),
        title: format!("{}: nothing differs from what setup would make", step.title()).leak(),
        why: "somebody changed it after the set-up, or another version of xdeploy would make it otherwise",
        fix: "`xdeploy plan` shows the difference, `xdeploy setup` mends it",
        docs: CROSS_ACCOUNT,
        article: steps(step.article()),
    }
}

static REFUSAL: Rule = (
    REFUSED,
    "setup would not refuse what is there",
    "something is there that setup may not take over, so that it can't be compared with what setup would make",
    "do what the finding says, then run `xdeploy plan`",
    CROSS_ACCOUNT,
    &["A2"],
);

/// Made once: titles are put together, and a rule lives as long as the program.
static ALL: LazyLock<Vec<Check>> = LazyLock::new(|| {
    let calls = ROWS.iter().map(of_call);
    let drift = Step::ALL.into_iter().map(of_step).chain([check(REFUSAL)]);
    calls.chain(PROOF.map(check)).chain(drift).chain(RELEASE.map(check)).chain([check(COMMAND)]).collect()
});

/// All rules, in the order of the table.
pub fn all() -> Vec<&'static Check> {
    ALL.iter().collect()
}

/// Finds a rule by its id, whatever the case.
pub fn find(id: &str) -> Option<&'static Check> {
    ALL.iter().find(|check| check.id.eq_ignore_ascii_case(id))
}

/// The rules whose ids begin so, such as `XD-RELEASE`.
pub fn of(prefix: &str) -> Vec<&'static Check> {
    ALL.iter().filter(|check| check.id.starts_with(prefix)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_rule_has_an_id_of_its_own_and_something_to_say() {
        let ids: BTreeSet<&str> = all().iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), all().len());
        for rule in all() {
            let texts = [rule.title, rule.why, rule.fix];
            assert!(texts.iter().all(|text| !text.is_empty()) && rule.docs.starts_with("https://"), "{rule:?}");
            assert!(rule.article.iter().all(|step| step.starts_with('A')), "{rule:?}");
        }
        assert!(Step::ALL.into_iter().all(|step| find(drift_id(step)).is_some()));
        assert_eq!(find("xd-call-001").map(|rule| rule.id), Some("XD-CALL-001"));
    }

    #[test]
    fn what_the_proof_says_is_of_a_rule() {
        for id in include_str!("proof.rs").split('"').filter(|text| text.starts_with("XD-PROOF")) {
            assert!(find(id).is_some(), "{id}");
        }
    }
}
