//! Whoever runs a plan is looked at before the first write: what is denied refuses it, what can't be told is counted.

use crate::support::compare::same;
use crate::support::served::Served;
use crate::support::stage::{HOME, Stage};
use serde_json::{Value, json};
use snapbox::str;
use std::collections::BTreeMap;
use xdeploy::aws::{Account, Accounts};
use xdeploy::deploy::caller::{Judgement, KnownCallers, judge};
use xdeploy::deploy::observe::means;
use xdeploy::deploy::permissions::Command;
use xdeploy::deploy::plan::Plan;
use xdeploy::deploy::snapshot::{Level, Organisation};
use xdeploy::model::{Readable, Side};
use xdeploy::rehearsal::DEV;
use xdeploy::settings::DeploymentFlags;

fn policy(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn everything() -> Value {
    json!({"Effect": "Allow", "Action": "*", "Resource": "*"})
}

/// A first set-up, planned.
async fn planned() -> (Stage, Plan) {
    let stage = Stage::new(HOME).await;
    let settings = stage.settings(DeploymentFlags::default());
    let plan = stage.plan(&settings, stage.look(&settings).await);
    (stage, plan)
}

/// Judges the plan for a user of development who holds just this.
async fn judged_for(stage: &Stage, plan: &Plan, policy: &Value) -> (Judgement, KnownCallers) {
    let keys = stage.rehearsal.hire(DEV, "least", policy).unwrap();
    let dev = Account::verified(Side::Dev, "least", stage.rehearsal.config(keys, HOME)).await.unwrap();
    let prod =
        Account::verified(Side::Prod, "admin", stage.rehearsal.config(stage.rehearsal.keys(&stage.accounts.prod.id), HOME)).await.unwrap();
    let accounts = Accounts { dev, prod };
    let callers = means(&accounts, plan.snapshot(), plan.writes()).await.callers;
    (judge(plan.writes(), plan.snapshot(), &callers, &plan.pipeline_arn()), callers)
}

#[tokio::test]
async fn an_administrator_may_do_all_of_it() {
    let (stage, plan) = planned().await;
    let callers = means(&stage.accounts, plan.snapshot(), plan.writes()).await.callers;
    let judgement = judge(plan.writes(), plan.snapshot(), &callers, &plan.pipeline_arn());
    assert_eq!((judgement.writes, judgement.denied_writes, judgement.unknown_writes), (plan.writes().len(), 0, 0), "{judgement:#?}");
    assert_eq!(judgement.unknown_line(), None);
}

#[tokio::test]
async fn what_the_caller_s_own_policies_deny_or_lack_is_refused_with_the_statement() {
    let (stage, plan) = planned().await;
    let tagged = json!({"Sid": "OnlyTagged", "Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*",
        "Condition": {"Null": {"aws:RequestTag/owner": "true"}}});
    let (judgement, callers) = judged_for(&stage, &plan, &policy(json!([everything(), tagged]))).await;
    let roles: Vec<&str> = judgement.denied.iter().map(|undone| undone.action.as_str()).collect();
    assert!(!roles.is_empty() && roles.iter().all(|action| *action == "iam:CreateRole"), "{judgement:#?}");
    assert!(judgement.denied[0].why.contains("OnlyTagged: denies it"), "{}", judgement.denied[0].why);
    let error = judgement.refuse(plan.snapshot(), &callers, Command::Setup, Some("--accept-broken")).unwrap_err();
    let counts = format!("{} of the {} writes", judgement.denied_writes, judgement.writes);
    same(
        &error.message.replace(&counts, "2 of the 30 writes"),
        str![[r#"
arn:aws:iam::111111111111:user/least may not do 2 of the 30 writes of this plan, as far as its permissions can be read; nothing was changed
"#]],
    );
    let hints = error.hints.join("\n");
    assert!(hints.contains("`--service-role`") && hints.contains("pass `--accept-broken`"), "{hints}");
    // Our own tags are in the request.
    let ours = json!({"Sid": "OnlyOurs", "Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:RequestTag/xdeploy:pipeline": "crossaccountdeploy"}}});
    let keys = json!({"Sid": "OnlyOurKeys", "Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*",
        "Condition": {"ForAnyValue:StringNotLike": {"aws:TagKeys": "xdeploy:*"}}});
    let (judgement, _) = judged_for(&stage, &plan, &policy(json!([everything(), ours, keys]))).await;
    assert_eq!((judgement.denied_writes, judgement.unknown_writes), (0, 0), "{judgement:#?}");
    // Whoever lacks an action is told which.
    let most = json!({"Effect": "Allow", "NotAction": ["events:PutRule", "iam:PassRole"], "Resource": "*"});
    let (judgement, _) = judged_for(&stage, &plan, &policy(json!([most]))).await;
    let lacking: std::collections::BTreeSet<&str> = judgement.denied.iter().map(|undone| undone.action.as_str()).collect();
    assert_eq!(lacking, ["events:PutRule", "iam:PassRole"].into(), "{judgement:#?}");
    assert!(judgement.denied.iter().all(|undone| undone.statement.is_some()), "{judgement:#?}");
    // PassRole for the right service is enough.
    let pass = json!({"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*",
        "Condition": {"StringEquals": {"iam:PassedToService": ["events.amazonaws.com", "codepipeline.amazonaws.com"]}}});
    let most = json!({"Effect": "Allow", "NotAction": "iam:PassRole", "Resource": "*"});
    let (judgement, _) = judged_for(&stage, &plan, &policy(json!([most, pass]))).await;
    assert_eq!(judgement.denied_writes, 0, "{judgement:#?}");
}

#[tokio::test]
async fn what_a_group_grants_counts_and_what_a_boundary_withholds_too() {
    let (stage, plan) = planned().await;
    let look = json!({"Effect": "Allow", "Action": ["iam:Get*", "iam:List*"], "Resource": "*"});
    let (judgement, _) = judged_for(&stage, &plan, &policy(json!([look]))).await;
    assert!(judgement.denied_writes > 10, "{}", judgement.denied_writes);
    let iam = stage.accounts.dev.iam();
    iam.create_group().group_name("admins").send().await.unwrap();
    let all = policy(json!([everything()]));
    iam.put_group_policy().group_name("admins").policy_name("all").policy_document(all.to_string()).send().await.unwrap();
    let keys = stage.rehearsal.hire(DEV, "member", &policy(json!([look]))).unwrap();
    iam.add_user_to_group().group_name("admins").user_name("member").send().await.unwrap();
    let dev = Account::verified(Side::Dev, "member", stage.rehearsal.config(keys.clone(), HOME)).await.unwrap();
    let prod =
        Account::verified(Side::Prod, "admin", stage.rehearsal.config(stage.rehearsal.keys(&stage.accounts.prod.id), HOME)).await.unwrap();
    let accounts = Accounts { dev, prod };
    let judged = async || {
        let callers = means(&accounts, plan.snapshot(), plan.writes()).await.callers;
        judge(plan.writes(), plan.snapshot(), &callers, &plan.pipeline_arn())
    };
    let judgement = judged().await;
    assert_eq!((judgement.denied_writes, judgement.unknown_writes), (0, 0), "{judgement:#?}");
    let bounds = policy(json!([{"Effect": "Allow", "NotAction": "kms:*", "Resource": "*"}]));
    let made = iam.create_policy().policy_name("bounds").policy_document(bounds.to_string()).send().await.unwrap();
    let arn = made.policy().unwrap().arn().unwrap().to_owned();
    iam.put_user_permissions_boundary().user_name("member").permissions_boundary(&arn).send().await.unwrap();
    let judgement = judged().await;
    assert!(judgement.denied_writes > 0 && judgement.denied.iter().all(|undone| undone.action.starts_with("kms:")), "{judgement:#?}");
    assert!(judgement.denied[0].why.contains(&format!("permissions boundary {arn}")), "{}", judgement.denied[0].why);
}

fn organisation(statement: Value) -> Organisation {
    let level = |target: &str, name: &str, document: Value| Level {
        target: target.to_owned(),
        policies: BTreeMap::from([(name.to_owned(), document)]),
    };
    let all = policy(json!([everything()]));
    let mut own = level(DEV, "FullAWSAccess", all.clone());
    own.policies.insert("guard".to_owned(), policy(json!([statement])));
    Organisation {
        id: Readable::Known(Some("o-example".to_owned())),
        management: false,
        scps: Readable::Known(vec![level("r-root", "FullAWSAccess", all), own]),
        rcps: Readable::Known(Vec::new()),
    }
}

#[tokio::test]
async fn an_organisation_s_policy_on_new_roles_is_seen_before_the_first_write() {
    let (stage, plan) = planned().await;
    let mut callers = means(&stage.accounts, plan.snapshot(), plan.writes()).await.callers;
    let boundary = json!({"Sid": "Bounded", "Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*",
        "Condition": {"StringNotEquals": {"iam:PermissionsBoundary": format!("arn:aws:iam::{DEV}:policy/bounds")}}});
    let judged = |callers: &KnownCallers| judge(plan.writes(), plan.snapshot(), callers, &plan.pipeline_arn());
    callers.organisations.insert(Side::Dev, organisation(boundary));
    let judgement = judged(&callers);
    assert!(judgement.denied_writes > 0 && judgement.denied.iter().all(|undone| undone.action == "iam:CreateRole"), "{judgement:#?}");
    assert!(judgement.denied[0].why.contains(&format!("service control policy guard on {DEV}, Bounded: denies it")), "{judgement:#?}");
    // Development's organisation has no say in production.
    assert!(judgement.denied.iter().all(|undone| undone.account == Side::Dev));
    // The management account is limited by none.
    callers.organisations.get_mut(&Side::Dev).unwrap().management = true;
    assert_eq!(judged(&callers).denied_writes, 0);
    // A region that isn't allowed: IAM is asked in us-east-1, whatever the region of the pipeline.
    let region = json!({"Sid": "Region", "Effect": "Deny", "NotAction": "s3:*", "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["us-east-1"]}}});
    callers.organisations.insert(Side::Dev, organisation(region));
    assert_eq!(judged(&callers).denied_writes, 0, "{:#?}", judged(&callers));
}

#[tokio::test]
async fn what_hangs_on_what_nobody_knows_is_counted_and_done() {
    let (stage, plan) = planned().await;
    let mfa = json!({"Sid": "Mfa", "Effect": "Deny", "Action": "kms:*", "Resource": "*",
        "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}});
    let (judgement, callers) = judged_for(&stage, &plan, &policy(json!([everything(), mfa]))).await;
    assert!(judgement.denied_writes == 0 && judgement.unknown_writes > 0, "{judgement:#?}");
    let line = judgement.unknown_line().unwrap();
    assert!(line.contains("could not be checked") && line.contains("aws:multifactorauthpresent"), "{line}");
    judgement.refuse(plan.snapshot(), &callers, Command::Setup, None).unwrap();
    // So is all of a caller whose policies can't be read.
    let blind = json!({"Effect": "Deny", "Action": ["iam:GetUser", "iam:ListAttachedUserPolicies"], "Resource": "*"});
    let (judgement, _) = judged_for(&stage, &plan, &policy(json!([everything(), blind]))).await;
    let of_dev = plan.writes().iter().filter(|write| write.account == Side::Dev).count();
    assert_eq!((judgement.denied_writes, judgement.unknown_writes), (0, of_dev), "{judgement:#?}");
}

#[test]
fn setup_refuses_before_the_first_write_and_plan_only_says_it() {
    let served = Served::new();
    let deny = policy(json!([everything(), {"Sid": "NoRoles", "Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*"}]));
    let args = ["--input-bucket", "in-bucket", "--output-bucket", "out-bucket", "--create-buckets"];
    served.narrow_caller(DEV, &deny.to_string());
    let before = served.rehearsal.dump();
    let (code, said) = served.attempt(&[&["setup", "--yes"], &args[..]].concat());
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("NoRoles: denies it") && said.contains("nothing was changed"), "{said}");
    assert_eq!(served.rehearsal.dump(), before);
    let (code, said) = served.attempt(&[&["plan"], &args[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("whoever applies this must be somebody else"), "{said}");
    let (code, said) = served.attempt(&[&["setup", "--dry-run"], &args[..]].concat());
    assert!(code == Some(0) && said.contains("somebody else"), "{code:?} {said}");
}
