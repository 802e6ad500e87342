//! XD-ECS-080: the agent answers from inside the task.

use super::about::{Mode, no_tasks, of_container, reaches_agent, tasks};
use crate::ecs::facts::Answer;
use crate::ecs::facts::HostFacts;
use crate::model::Readable;
use crate::model::{Check, Finding, Outcome};

/// The row of this check.
pub static CHECK: Check = Check {
    id: "XD-ECS-080",
    title: "the agent answers from inside the task",
    why: "whatever the settings say: if 169.254.170.2 doesn't answer from the container's own network, its SDK gets no task role",
    fix: "mend what the other findings name; where none does, look for a firewall that this program can't read",
    docs: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshoot-task-iam-roles.html",
    article: &["B6"],
};

/// Looks at what the probe got: no rule, no file and no setting is as good a witness (facts/ecs.md 0.7).
pub fn look(facts: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in tasks(facts) {
        let mode = Mode::of(facts, container);
        let finding = match &container.probe {
            Readable::Known(Answer::Agent) => Finding::new(&CHECK, Outcome::Pass, "the agent answers"),
            Readable::Known(Answer::Throttled) => Finding::new(&CHECK, Outcome::Warn, "the agent answers that it is asked too often (429)"),
            Readable::Known(_) if reaches_agent(container) => Finding::new(&CHECK, Outcome::Pass, "Fargate answers"),
            Readable::Known(answer) => Finding::new(&CHECK, Outcome::Fail, told(answer, &mode)),
            Readable::Unknown(why) => Finding::new(&CHECK, Outcome::CannotTell, format!("it wasn't asked from inside: {why}")),
        };
        found.push(of_container(finding, container));
    }
    if found.is_empty() {
        found.push(no_tasks(facts, &CHECK));
    }
    found
}

/// Says what an answer means (facts/ecs.md B.5).
fn told(answer: &Answer, mode: &Mode) -> String {
    match (answer, mode) {
        (Answer::TimedOut, Mode::Host) => {
            "nothing comes back from 169.254.170.2: no rule of OUTPUT leads it to the agent, or the host drops what was led there"
                .to_owned()
        }
        (Answer::TimedOut, _) => {
            "nothing comes back from 169.254.170.2: no rule leads it to the agent, or the host drops what was led there".to_owned()
        }
        (Answer::Refused, _) => "169.254.170.2 refuses the connection: no agent listens, or a filter of the host rejects it".to_owned(),
        (Answer::Unreachable, _) => "there is no way to 169.254.170.2 from its network".to_owned(),
        (Answer::Introspection, _) => "169.254.170.2 leads to port 51678 instead of 51679".to_owned(),
        (Answer::SomethingElse(status), _) => format!("something that isn't the agent answers at 169.254.170.2 (status {status})"),
        (Answer::Agent | Answer::Throttled, _) => "the agent answers".to_owned(),
    }
}
