//! Asks IAM's own simulator about the identity side of each link: it knows neither resource policies of roles nor other accounts
//! (facts G.6), so it is a second opinion on that side and no more.

use crate::aws::{Account, Accounts};
use crate::deploy::chain::Link;
use crate::model::{Readable, account_of};
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;

/// How many questions are asked at once: IAM throttles its simulator early.
const AT_ONCE: usize = 4;

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

/// Asks about every link whose caller is a role of one of the two accounts; the answer is IAM's word, or why it gave none.
pub async fn second_opinion<'l>(accounts: &Accounts, links: &'l [Link]) -> Vec<(&'l Link, Readable<String>)> {
    let asked = links.iter().filter_map(|link| {
        let of_iam = link.who.split(':').nth(2) == Some("iam");
        let account = [&accounts.dev, &accounts.prod]
            .into_iter()
            .find(|account| account.logged_in && of_iam && account_of(&link.who) == account.id)?;
        Some((account, link, link.requests.first()?))
    });
    stream::iter(asked.map(|(account, link, request)| async move { (link, ask(account, link, request).await) }))
        .buffered(AT_ONCE)
        .collect()
        .await
}
