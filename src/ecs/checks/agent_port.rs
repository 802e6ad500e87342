//! XD-ECS-054: the agent listens on port 51679.

use super::about::Flavour;
use crate::ecs::facts::Answer;
use crate::ecs::facts::HostFacts;
use crate::model::Readable;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-054",
    title: "the agent listens on port 51679",
    why: "what the rules lead to 127.0.0.1:51679 is refused where nothing listens, and lost where something else does",
    fix: "free the port and start the agent again",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
    article: &["B1", "B6"],
};

/// Looks.
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let flavour = Flavour::of(facts);
    if flavour == Flavour::Absent {
        return vec![Finding::new(&CHECK, Outcome::NotApplicable, "no agent is here")];
    }
    let holder = facts.network.on_51679.known().and_then(Option::as_deref).filter(|name| !name.is_empty());
    let who = holder.map_or_else(String::new, |name| format!(" (program `{name}`)"));
    let finding = match &facts.agent.endpoint {
        Readable::Known(Answer::Agent) => Finding::new(&CHECK, Outcome::Pass, "the agent answers on 127.0.0.1:51679"),
        Readable::Known(Answer::Throttled) => {
            Finding::new(&CHECK, Outcome::Pass, "the agent answers on 127.0.0.1:51679, and is asked too often")
        }
        Readable::Known(Answer::Refused | Answer::Unreachable) => {
            Finding::new(&CHECK, Outcome::Fail, "nothing listens on 127.0.0.1:51679").mend(flavour.restart(facts))
        }
        Readable::Known(Answer::TimedOut) => {
            Finding::new(&CHECK, Outcome::Fail, format!("what listens on 127.0.0.1:51679 doesn't answer{who}")).mend(flavour.restart(facts))
        }
        Readable::Known(Answer::Introspection | Answer::SomethingElse(_)) => {
            let message = format!("something that isn't the agent answers on 127.0.0.1:51679{who}");
            Finding::new(&CHECK, Outcome::Fail, message)
                .mend("stop that program: sudo ss -ltnp sport = :51679")
                .mend(flavour.restart(facts))
        }
        Readable::Unknown(why) => Finding::new(&CHECK, Outcome::CannotTell, why.clone()),
    };
    vec![finding]
}
