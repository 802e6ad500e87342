//! IAM's own simulator: the identity side of a principal of the account, and no more (facts G.6).

use super::{Iam, no_such};
use crate::policy::{self, Decided};
use crate::rehearsal::authorise::judged_alone;
use crate::rehearsal::wire::{Outcome, element};
use serde_json::{Map, Value, json};

impl Iam<'_> {
    /// Does what is about simulations; `None` for anything else.
    pub(super) fn simulation(&mut self, operation: &str) -> Option<Outcome<String>> {
        (operation == "SimulatePrincipalPolicy").then(|| self.simulate())
    }

    fn context_entries(&self) -> Map<String, Value> {
        let mut context = Map::new();
        for number in 1.. {
            let entry = format!("ContextEntries.member.{number}");
            let Some(key) = self.form.get(&format!("{entry}.ContextKeyName")) else { break };
            let values = self.form.list(&format!("{entry}.ContextKeyValues"));
            let several = self.form.get(&format!("{entry}.ContextKeyType")).is_some_and(|kind| kind.ends_with("List"));
            let value = if several { json!(values) } else { json!(values.first().copied().unwrap_or_default()) };
            context.insert(key.to_owned(), value);
        }
        context
    }

    fn simulate(&mut self) -> Outcome<String> {
        let arn = self.form.needed("PolicySourceArn")?.to_owned();
        let asked = self.ask("iam:SimulatePrincipalPolicy", &arn);
        self.may(asked)?;
        let Some(alone) = judged_alone(self.state, &self.call.caller.account, &arn) else {
            return Err(no_such(format!("The policy source {arn} cannot be found.")));
        };
        let (actions, resources) = (self.form.list("ActionNames"), self.form.list("ResourceArns"));
        let resources = if resources.is_empty() { vec!["*"] } else { resources };
        let context = self.context_entries();
        let mut results = Vec::new();
        for action in &actions {
            for resource in &resources {
                let mut request = alone.clone();
                request["action"] = json!(action);
                request["resource"] = json!(resource);
                request["context"] = Value::Object(context.clone());
                // The resource leaves everything to the account, because the simulator doesn't look at it.
                let mut leaves = json!({"Effect": "Allow", "Principal": {"AWS": self.call.caller.account}, "Action": "*"});
                if *action != "sts:AssumeRole" {
                    leaves["Resource"] = json!("*");
                }
                request["resourcePolicy"] = json!({"Version": "2012-10-17", "Statement": [leaves]});
                request["resourceAccount"] = json!(self.call.caller.account);
                let decision = match policy::decide(&request).decided {
                    Decided::Allowed => "allowed",
                    Decided::ExplicitlyDenied => "explicitDeny",
                    _ => "implicitDeny",
                };
                let parts = element("EvalActionName", action) + &element("EvalResourceName", resource) + &element("EvalDecision", decision);
                results.push(format!("{parts}<MatchedStatements/><MissingContextValues/>"));
            }
        }
        self.page("EvaluationResults", results)
    }
}
