//! A verdict with its reasons, as a type and as the JSON that `xdeploy simulate` prints.

use serde_json::{Map, Value};

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
    /// The kind of policy as in [`Reason`], or `block-public-access`.
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
    /// What AWS would not have saved, and what therefore matches nothing.
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
    pub(crate) fn into_json(self, id: Value) -> Value {
        let mut answer = Map::new();
        let texts = |list: Vec<String>| Value::Array(list.into_iter().map(Value::String).collect());
        answer.insert("id".to_owned(), id);
        answer.insert("decision".to_owned(), self.decided.word().into());
        answer.insert("because".to_owned(), Value::Array(self.because.into_iter().map(Reason::into_json).collect()));
        answer.insert("missing".to_owned(), Value::Array(self.missing.into_iter().map(Missing::into_json).collect()));
        answer.insert("unknown".to_owned(), texts(self.unknown));
        if !self.warnings.is_empty() {
            answer.insert("warnings".to_owned(), texts(self.warnings));
        }
        if !self.errors.is_empty() {
            answer.insert("errors".to_owned(), texts(self.errors));
        }
        Value::Object(answer)
    }
}

impl Reason {
    fn into_json(self) -> Value {
        let mut reason = Map::new();
        reason.insert("policy".to_owned(), self.policy.into());
        if let Some(level) = self.level {
            reason.insert("level".to_owned(), level.into());
        }
        reason.insert("document".to_owned(), self.document.into());
        reason.insert("statement".to_owned(), self.sid.map_or(Value::from(self.index), Value::String));
        reason.insert("index".to_owned(), self.index.into());
        reason.insert("effect".to_owned(), if self.deny { "Deny" } else { "Allow" }.into());
        Value::Object(reason)
    }
}

impl Missing {
    fn into_json(self) -> Value {
        let mut lack = Map::new();
        lack.insert("side".to_owned(), self.side.into());
        lack.insert("text".to_owned(), self.text.into());
        if let Some(account) = self.account {
            lack.insert("account".to_owned(), account.into());
        }
        if let Some(level) = self.level {
            lack.insert("level".to_owned(), level.into());
        }
        if let Some(statement) = self.statement {
            lack.insert("statement".to_owned(), statement);
        }
        Value::Object(lack)
    }
}
