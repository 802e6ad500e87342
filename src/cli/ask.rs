//! Questions and failures: between the rooms that know what they mean and the one that draws them.

use crate::error::{Error, Kind, Result};
use crate::ui::{Answer, Objection, Ui};
use serde_json::{Value, json};

/// Asks a question whose default is no.
///
/// # Errors
/// There is nobody to ask (`flag` says what to pass instead), or Ctrl-C.
pub fn confirm(ui: &Ui, question: &str, flag: &str) -> Result<bool> {
    Ok(answered(ui.confirm(question), question, flag)? == Some(true))
}

/// Asks for a name to be typed, for what can't be undone.
///
/// # Errors
/// As [`confirm`].
pub fn confirm_by_name(ui: &Ui, question: &str, name: &str, flag: &str) -> Result<bool> {
    Ok(answered(ui.text(question), question, flag)?.is_some_and(|typed| typed.trim() == name))
}

/// Esc is a no; Ctrl-C is an interruption.
fn answered<T>(answer: Answer<T>, question: &str, flag: &str) -> Result<Option<T>> {
    match answer {
        Answer::Given(answer) => Ok(Some(answer)),
        Answer::Cancelled => Ok(None),
        Answer::Interrupted => Err(Error::new(Kind::Interrupted, "interrupted at the question").hint("nothing was changed")),
        Answer::NobodyToAsk => Err(Error::refused(format!("an answer is needed and there is nobody to ask: {question}")).hint(flag)),
        Answer::Failed(why) => Err(Error::refused("the question could not be asked").because(why).hint(flag)),
    }
}

/// Takes the answer to one question of several; Esc ends them all.
///
/// # Errors
/// There is no answer; `flag` says what to pass instead.
pub fn given<T>(answer: Answer<T>, question: &str, flag: &str) -> Result<T> {
    answered(answer, question, flag)?.ok_or_else(cancelled)
}

/// Asks one question of several, whose default is no; Esc ends them all.
///
/// # Errors
/// As [`given`].
pub fn yes(ui: &Ui, question: &str, flag: &str) -> Result<bool> {
    given(ui.confirm(question), question, flag)
}

/// The error after a no.
pub fn cancelled() -> Error {
    Error::refused("cancelled: nothing was changed").hint("run the same command again when you are ready")
}

/// Prints an error, also as JSON where that was asked for.
pub fn show_error(ui: &Ui, error: &Error) {
    ui.failure(&error.message, &error.causes, &error.hints);
    ui.json(&error_document(error));
}

/// Prints an error that does not end the command, behind what it came in the way of.
pub fn warn(ui: &Ui, before: &str, error: &Error) {
    ui.caution(&format!("{before}{}", error.message), &error.causes, &error.hints);
}

/// Turns an error into what is said of an answer that won't do.
pub fn objection(error: Error) -> Objection {
    Objection { message: error.message, causes: error.causes, hints: error.hints }
}

/// An error as the JSON document that stands in the place of a result.
pub fn error_document(error: &Error) -> Value {
    json!({
        "schema": "xdeploy.error/1",
        "kind": error.kind.word(),
        "exit": error.kind.exit_code(),
        "message": error.message,
        "causes": error.causes,
        "hints": error.hints,
    })
}
