//! What an explanation says, as data.

use super::Symptom;
use crate::deploy::proof::Judged;
use crate::model::{AwsMessage, SessionOwner, Verdict};
use serde::Serialize;

/// A link, as far as an explanation tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkTold {
    /// Its name.
    pub name: String,
    /// IAM's name of the action.
    pub action: String,
    /// Who calls.
    pub who: String,
    /// On what; `*` stands for names that nobody knows before.
    pub resource: String,
    /// The verdict.
    pub verdict: Verdict,
}

impl LinkTold {
    pub(super) fn of(link: &Judged, resource: String) -> LinkTold {
        LinkTold { name: link.name.clone(), action: link.action.to_owned(), who: link.who.clone(), resource, verdict: link.verdict }
    }
}

/// Something that may be the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The row's id; `None` where the text is in no row and a denied link is the cause.
    pub id: Option<&'static str>,
    /// In a few words.
    pub title: String,
    /// What it means.
    pub why: String,
    /// How well it fits; only the order counts.
    pub score: i32,
    /// Both accounts show it; otherwise it is the text alone.
    pub shown: bool,
    /// The broken link.
    pub link: Option<LinkTold>,
    /// What was seen in the accounts.
    pub evidence: Vec<String>,
    /// Ways to mend it, of which one is enough. One of several lines is done line by line.
    pub run: Vec<String>,
    /// What to do, in words.
    pub fix: String,
    /// What to read where the accounts don't decide.
    pub read: Vec<String>,
    /// The steps of the article.
    pub article: Vec<&'static str>,
    /// Where AWS describes it.
    pub docs: &'static str,
}

/// A row that has the same text, or hides behind it, and is not the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuledOut {
    /// The row's id.
    pub id: &'static str,
    /// In a few words.
    pub title: String,
    /// Why it isn't.
    pub why: String,
}

/// Who was denied, as far as a message says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallerTold {
    /// The ARN.
    pub arn: String,
    /// The role's name, without its path.
    pub role: Option<String>,
    /// Whose session it is.
    pub session: Option<SessionOwner>,
    /// In words.
    pub text: String,
}

impl CallerTold {
    pub(super) fn of(message: &AwsMessage) -> Option<CallerTold> {
        let arn = message.principal.clone()?;
        let session = message.session_owner();
        let role = message.role();
        let of_role = role.map_or_else(|| arn.clone(), |role| format!("role {role}"));
        let text = match session {
            Some(SessionOwner::CodeBuild) => {
                format!("{of_role}, in a build of CodeBuild: the role of the build project")
            }
            Some(SessionOwner::CodePipeline) => format!("{of_role}, in a session of CodePipeline's"),
            Some(SessionOwner::EventBridge) => format!("{of_role}, in a session of EventBridge's: the role of a rule's target"),
            Some(SessionOwner::CloudFormation) => format!("{of_role}, in a session of CloudFormation's"),
            Some(SessionOwner::Task) => format!("{of_role}, in a session that is named like an ECS task's"),
            Some(SessionOwner::Instance | SessionOwner::ManagedInstance) => format!("{of_role}, on an instance"),
            Some(SessionOwner::Other) | None => of_role,
        };
        Some(CallerTold { arn, role: role.map(str::to_owned), session, text })
    }

    /// Says whether it is certain that the pipeline's own actions don't run as this.
    pub(super) fn is_a_stranger(&self) -> bool {
        use SessionOwner::{CloudFormation, CodeBuild, Instance, ManagedInstance, Task};
        matches!(self.session, Some(CodeBuild | CloudFormation | Task | Instance | ManagedInstance))
    }
}

/// What an explanation says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What was seen.
    pub symptom: Symptom,
    /// Both accounts were looked at.
    pub with_accounts: bool,
    /// A row of the catalogue has this text, is shown by the accounts behind a bare denial, or is one of the general rows of such denials.
    pub in_catalogue: bool,
    /// The text says no more than that something was denied.
    pub denial_only: bool,
    /// Who was denied, where the text says it.
    pub caller: Option<CallerTold>,
    /// What may be the cause, the likeliest first.
    pub causes: Vec<Cause>,
    /// What isn't, and why.
    pub ruled_out: Vec<RuledOut>,
    /// The links in question that are allowed.
    pub allowed: Vec<String>,
    /// The links in question that are denied.
    pub denied: Vec<String>,
    /// What can't be told, and why.
    pub cannot_tell: Vec<String>,
}
