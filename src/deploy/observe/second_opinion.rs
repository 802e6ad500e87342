//! Asks IAM's own simulator about the identity side of each link: it knows neither resource policies of roles nor other accounts
//! (facts G.6), so it is a second opinion on that side and no more.

use crate::aws::{Account, Accounts};
use crate::deploy::chain::Link;
use crate::model::Readable;
use crate::policy::{self, Decided};
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use serde_json::{Value, json};

/// How many questions are asked at once: IAM throttles its simulator early.
const AT_ONCE: usize = 4;

/// What both say about the identity side of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Opinion {
    /// The link.
    pub link: String,
    /// The role that was asked about.
    pub role: String,
    /// What xdeploy says of the role's own policies, boundary and organisation policies.
    pub ours: &'static str,
    /// What IAM says, or why it said nothing.
    pub theirs: Readable<String>,
}

impl Opinion {
    /// Says whether both agree; `None` where one of them can't tell.
    pub fn agrees(&self) -> Option<bool> {
        match (&self.theirs, self.ours) {
            (Readable::Unknown(_), _) | (_, "unknown" | "error") => None,
            (Readable::Known(theirs), ours) => Some((theirs == "allowed") == (ours == "allowed")),
        }
    }
}

/// Gives the evaluator's word for what a role's own side says, as if the resource left everything to the role's account.
fn own_side(request: &Value, account: &str) -> &'static str {
    let mut alone = request.clone();
    for member in ["blockPublicAccess", "rcps"] {
        alone[member] = Value::Null;
    }
    let mut leaves_it = json!({"Effect": "Allow", "Principal": {"AWS": account}, "Action": "*"});
    if alone["action"] != "sts:AssumeRole" {
        leaves_it["Resource"] = json!("*");
    }
    alone["resourcePolicy"] = json!({"Version": "2012-10-17", "Statement": [leaves_it]});
    alone["resourceAccount"] = json!(account);
    let decided = policy::decide(&alone).decided;
    if decided == Decided::Error { "error" } else { decided.word() }
}

/// The context of a request as IAM's simulator takes it.
fn entries(request: &Value) -> Vec<ContextEntry> {
    let context = request.get("context").and_then(Value::as_object);
    let entry = |(key, value): (&String, &Value)| {
        let (kind, values) = match value {
            Value::Array(list) => (ContextKeyTypeEnum::StringList, list.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            one => (ContextKeyTypeEnum::String, vec![one.as_str()?.to_owned()]),
        };
        Some(ContextEntry::builder().context_key_name(key).context_key_type(kind).set_context_key_values(Some(values)).build())
    };
    context.into_iter().flatten().filter_map(entry).collect()
}

async fn ask(account: &Account, link: &Link, request: &Value) -> Readable<String> {
    let call = account
        .iam()
        .simulate_principal_policy()
        .policy_source_arn(&link.who)
        .action_names(link.row.action)
        .resource_arns(request["resource"].as_str().unwrap_or("*"))
        .set_context_entries(Some(entries(request)));
    match account.call("iam:SimulatePrincipalPolicy", &link.who, call.send()).await {
        Ok(got) => match got.evaluation_results().first().map(|result| result.eval_decision()) {
            Some(PolicyEvaluationDecisionType::Allowed) => Readable::Known("allowed".to_owned()),
            Some(PolicyEvaluationDecisionType::ExplicitDeny) => Readable::Known("explicitly-denied".to_owned()),
            Some(PolicyEvaluationDecisionType::ImplicitDeny) => Readable::Known("implicitly-denied".to_owned()),
            other => Readable::Unknown(format!("IAM answered {}", other.map_or("nothing", PolicyEvaluationDecisionType::as_str))),
        },
        Err(error) => Readable::Unknown(error.told()),
    }
}

/// Asks about every link whose caller is a role of one of the two accounts.
pub async fn second_opinion(accounts: &Accounts, links: &[Link]) -> Vec<Opinion> {
    let asked = links.iter().filter_map(|link| {
        let account = [&accounts.dev, &accounts.prod]
            .into_iter()
            .find(|account| link.who.split(':').nth(2) == Some("iam") && link.who.split(':').nth(4) == Some(account.id.as_str()))?;
        Some((account, link, link.requests.first()?))
    });
    stream::iter(asked.map(|(account, link, request)| async move {
        Opinion {
            link: link.name.clone(),
            role: link.who.clone(),
            ours: own_side(request, &account.id),
            theirs: ask(account, link, request).await,
        }
    }))
    .buffered(AT_ONCE)
    .collect()
    .await
}
