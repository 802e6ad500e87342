//! What a person or CodePipeline brings: a message, or that nothing happened.

use super::redact::{redact, redact_pasted};
use crate::model::AwsMessage;
use serde::Serialize;

/// Where a failure shows (facts E, "Where").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// When the pipeline is created or updated.
    Create,
    /// In the source action.
    Source,
    /// In the deploy action, or after it.
    Deploy,
    /// Before a run.
    Trigger,
    /// When a policy is written.
    PolicyWrite,
    /// Anywhere.
    Any,
}

impl Place {
    /// Gives the word for tables.
    pub fn word(self) -> &'static str {
        match self {
            Place::Create => "create, update",
            Place::Source => "Source",
            Place::Deploy => "Deploy",
            Place::Trigger => "trigger",
            Place::PolicyWrite => "policy write",
            Place::Any => "any",
        }
    }
}

/// What sort of symptom it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// There is a message.
    Message,
    /// An upload started nothing.
    NotStarted,
    /// The run succeeded, and something may be wrong all the same.
    Green,
}

/// A symptom. Its text holds no secret: what looks like one is taken out where it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Symptom {
    /// What sort.
    pub kind: Kind,
    /// Where, as far as it is known.
    pub at: Option<Place>,
    /// The error code that came beside the text.
    pub code: Option<String>,
    /// The text, without secrets and control characters.
    pub text: String,
}

impl Symptom {
    /// Takes a message that somebody pasted.
    pub fn pasted(text: &str) -> Symptom {
        Symptom { kind: Kind::Message, at: None, code: None, text: redact_pasted(text.trim()) }
    }

    /// Takes what a failed action says; `category` is CodePipeline's.
    pub fn of_action(category: &str, code: Option<&str>, message: &str) -> Symptom {
        let at = match category {
            "Source" => Some(Place::Source),
            "Deploy" => Some(Place::Deploy),
            _ => None,
        };
        Symptom { kind: Kind::Message, at, code: code.map(redact), text: redact(message.trim()) }
    }

    /// An upload that started nothing.
    pub fn not_started() -> Symptom {
        Symptom { kind: Kind::NotStarted, at: Some(Place::Trigger), code: None, text: String::new() }
    }

    /// A run that succeeded.
    pub fn green() -> Symptom {
        Symptom { kind: Kind::Green, at: None, code: None, text: String::new() }
    }

    /// Takes code and text apart.
    pub(super) fn message(&self) -> AwsMessage {
        let code = self.code.as_deref().map(|code| format!("{code}: ")).unwrap_or_default();
        AwsMessage::read(&format!("{code}{}", self.text))
    }
}
