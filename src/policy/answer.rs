//! A verdict with its reasons, as a type and as the JSON that `xdeploy simulate` prints.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// Says what became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// Every side that has a say allows it.
    Allowed,
    /// A statement denies it.
    ExplicitlyDenied,
    /// A side that has a say doesn't allow it.
    ImplicitlyDenied,
    /// It hangs on a key whose value isn't known.
    Unknown,
    /// The request, or a document that has a say, can't be read.
    Error,
}

impl Decided {
    /// Gives the word that stands in the JSON.
    pub fn word(self) -> &'static str {
        match self {
            Decided::Allowed => "allowed",
            Decided::ExplicitlyDenied => "explicitly-denied",
            Decided::ImplicitlyDenied => "implicitly-denied",
            Decided::Unknown => "unknown",
            Decided::Error => "error",
        }
    }
}

/// A statement that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The kind of policy: `identity`, `boundary`, `session`, `scp`, `rcp`, `vpc-endpoint`, `resource`, `trust` or `key`.
    pub policy: &'static str,
    /// The level of an organisation policy, the root first.
    pub level: Option<usize>,
    /// The number of the document within its kind and level, from 0.
    pub document: usize,
    /// The statement's Sid, if it isn't empty.
    pub sid: Option<String>,
    /// The number of the statement within its document, from 0.
    pub index: usize,
    /// The statement denies.
    pub deny: bool,
}

/// What a side lacks.
#[derive(Debug, Clone, PartialEq)]
pub struct Missing {
    /// The kind of policy as in [`Reason`], `block-public-access`, or `aws-owned`: nobody can change what is AWS's own.
    pub side: &'static str,
    /// The account whose side it is, where it is known.
    pub account: Option<String>,
    /// The level of an organisation policy, the root first.
    pub level: Option<usize>,
    /// The lack in words.
    pub text: String,
    /// A statement that would mend it, if one can.
    pub statement: Option<Value>,
}

/// A decision with everything that led to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What became of the request.
    pub decided: Decided,
    /// The statements that decided.
    pub because: Vec<Reason>,
    /// What must be added for the request to be allowed.
    pub missing: Vec<Missing>,
    /// The keys that the answer hangs on.
    pub unknown: Vec<String>,
    /// Principals that are nobody any more, and therefore match nothing.
    pub warnings: Vec<String>,
    /// Why the request, or a document that has a say, can't be read.
    pub errors: Vec<String>,
}

impl Decision {
    /// Gives the decision on a request that can't be judged.
    pub(crate) fn error(errors: Vec<String>, warnings: Vec<String>) -> Decision {
        Decision { decided: Decided::Error, because: Vec::new(), missing: Vec::new(), unknown: Vec::new(), warnings, errors }
    }

    /// Gives the JSON of `xdeploy simulate`, under the request's own `id`.
    pub(crate) fn to_json(&self, id: &Value) -> Value {
        // Writing texts and numbers into memory doesn't fail.
        serde_json::to_value(Answer { id, decision: self }).unwrap_or_default()
    }

    /// Gives the same as the text of a line.
    pub(crate) fn to_line(&self, id: &Value) -> String {
        serde_json::to_string(&Answer { id, decision: self }).unwrap_or_default()
    }
}

struct Answer<'d> {
    id: &'d Value,
    decision: &'d Decision,
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Decision { decided, because, missing, unknown, warnings, errors } = self.decision;
        let mut answer = serializer.serialize_map(None)?;
        answer.serialize_entry("id", self.id)?;
        answer.serialize_entry("decision", decided.word())?;
        answer.serialize_entry("because", because)?;
        answer.serialize_entry("missing", missing)?;
        answer.serialize_entry("unknown", unknown)?;
        for (name, texts) in [("warnings", warnings), ("errors", errors)] {
            if !texts.is_empty() {
                answer.serialize_entry(name, texts)?;
            }
        }
        answer.end()
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut reason = serializer.serialize_map(None)?;
        reason.serialize_entry("policy", self.policy)?;
        if let Some(level) = self.level {
            reason.serialize_entry("level", &level)?;
        }
        reason.serialize_entry("document", &self.document)?;
        match &self.sid {
            Some(sid) => reason.serialize_entry("statement", sid)?,
            None => reason.serialize_entry("statement", &self.index)?,
        }
        reason.serialize_entry("index", &self.index)?;
        reason.serialize_entry("effect", if self.deny { "Deny" } else { "Allow" })?;
        reason.end()
    }
}

impl Serialize for Missing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut lack = serializer.serialize_map(None)?;
        lack.serialize_entry("side", self.side)?;
        lack.serialize_entry("text", &self.text)?;
        if let Some(account) = &self.account {
            lack.serialize_entry("account", account)?;
        }
        if let Some(level) = self.level {
            lack.serialize_entry("level", &level)?;
        }
        if let Some(statement) = &self.statement {
            lack.serialize_entry("statement", statement)?;
        }
        lack.end()
    }
}
