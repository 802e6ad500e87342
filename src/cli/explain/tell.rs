//! An explanation as text and JSON.

use crate::deploy::failures::gather::Run;
use crate::deploy::failures::{Cause, Explanation, Kind};
use crate::deploy::release::Route;
use crate::ui::{Text, Tone, Ui, paint};
use serde_json::{Value, json};

/// How many causes are told; of the rest only the ids are.
const CAUSES: usize = 4;

/// How many characters of a pasted message are repeated; the JSON has all.
const SHOWN: usize = 2_000;

/// Gives the JSON document.
pub fn document(explanation: &Explanation) -> Value {
    let mut document = json!({"schema": "xdeploy.explain/1", "kind": "failure"});
    if let (Some(members), Value::Object(told)) = (document.as_object_mut(), json!(explanation)) {
        members.extend(told);
    }
    document
}

/// Tells why a run ended as it did.
pub fn run(ui: &Ui, route: &Route, run: Option<&Run>, explanation: &Explanation) {
    let unheard = explanation.symptom.kind == Kind::NotStarted;
    if let Some(run) = run.filter(|_| !unheard) {
        ui.result(&format!("Pipeline {}, execution {}: {}", route.pipeline, run.id, run.status));
    }
    match explanation.symptom.kind {
        Kind::NotStarted => {
            let last = run.map_or_else(String::new, |run| format!(" after its last run ({}, {})", run.id, run.status));
            let object = format!("s3://{}/{}", route.input_bucket, route.object_key);
            ui.result(&format!("Pipeline {}: {object} was uploaded{last}, and that started nothing.", route.pipeline));
        }
        Kind::Green if explanation.causes.is_empty() => {
            ui.result("It succeeded, and nothing is found that a green run hides; `--execution ID` explains an older one.");
        }
        Kind::Green if !explanation.in_catalogue => ui.result("It succeeded, but as things stand now the next run would fail:"),
        Kind::Green => ui.result("It succeeded; what is found all the same:"),
        Kind::Message => {
            let place = run.and_then(|run| run.failed.as_ref()).map(|failed| format!("{}/{}: ", failed.state.stage, failed.state.action));
            let code = explanation.symptom.code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
            ui.lines(&format!("{}{code}{}", place.unwrap_or_default(), explanation.symptom.text));
        }
    }
    rest(ui, explanation);
}

/// Tells what a pasted message means.
pub fn pasted(ui: &Ui, explanation: &Explanation) {
    let text = &explanation.symptom.text;
    let shown: String = text.chars().take(SHOWN).collect();
    ui.lines(&format!("{shown}{}", if shown.len() < text.len() { " …" } else { "" }));
    rest(ui, explanation);
}

fn rest(ui: &Ui, explanation: &Explanation) {
    if let Some(caller) = &explanation.caller {
        ui.section(&format!("Who was denied: {}", caller.text));
    }
    if explanation.denial_only && !explanation.with_accounts && !explanation.causes.is_empty() {
        ui.section(
            "The text says that something was denied, and no more. These are the rows of such denials, the likeliest first; with both profiles the calls are proven:",
        );
    }
    if !explanation.in_catalogue && explanation.symptom.kind == Kind::Message {
        let then = match (explanation.with_accounts, explanation.causes.is_empty()) {
            (false, _) => "with both profiles the calls of the pipeline are proven, and what is denied is told",
            (true, true) => "nothing that could fail here is denied as far as it can be told",
            (true, false) => "but a call that could fail here is denied",
        };
        ui.section(&format!("This text is not in the catalogue; {then}."));
    }
    for (index, cause) in explanation.causes.iter().take(CAUSES).enumerate() {
        tell_cause(ui, cause, index, explanation.symptom.kind);
    }
    let rest: Vec<&str> = explanation.causes.iter().skip(CAUSES).filter_map(|cause| cause.id).collect();
    if !rest.is_empty() {
        ui.section(&(paint(Tone::Heading, "May also be:") + format!(" {}; `xdeploy explain ID` tells each", rest.join(", "))));
    }
    let first = explanation.causes.first().and_then(|cause| cause.link.as_ref()).map(|link| link.name.as_str());
    let more: Vec<&str> = explanation.denied.iter().map(String::as_str).filter(|name| first.is_some_and(|first| first != *name)).collect();
    if !more.is_empty() {
        ui.section(&(paint(Tone::Heading, "Denied as well:") + format!(" {}; `xdeploy verify` says what each lacks", more.join(", "))));
    }
    if !explanation.ruled_out.is_empty() || (!explanation.allowed.is_empty() && explanation.symptom.kind == Kind::Message) {
        ui.section(&paint(Tone::Heading, "Ruled out:"));
    }
    for out in &explanation.ruled_out {
        ui.result(&format!("  {} {}: {}", out.id, out.title, out.why));
    }
    if explanation.symptom.kind == Kind::Message && !explanation.allowed.is_empty() {
        ui.result(&format!("  allowed as things stand: {}", explanation.allowed.join(", ")));
    }
    if !explanation.cannot_tell.is_empty() {
        ui.section(&paint(Tone::Heading, "Can't be told:"));
    }
    for text in &explanation.cannot_tell {
        ui.result(&format!("  {text}"));
    }
}

fn tell_cause(ui: &Ui, cause: &Cause, index: usize, kind: Kind) {
    let word = match (index, cause.shown) {
        // Nothing failed, so there is nothing that this is the cause of.
        _ if kind == Kind::Green && cause.id.is_some() => "Found:",
        (0, true) => "Cause:",
        (0, false) => "Likely:",
        _ => "Or:",
    };
    let id = cause.id.map(|id| format!(" ({id})")).unwrap_or_default();
    ui.section(&(paint(Tone::Heading, word) + format!(" {}{id}", cause.title)));
    ui.result(&format!("  {}", cause.why));
    for seen in &cause.evidence {
        ui.result(&format!("  seen: {seen}"));
    }
    for read in &cause.read {
        ui.result(&format!("  look at: {read}"));
    }
    ui.result(&(Text::from("  ") + paint(Tone::Added, "fix:") + format!(" {}", cause.fix)));
    for (number, run) in cause.run.iter().enumerate() {
        let word = if number == 0 { "- " } else { "or " };
        for (line, text) in run.lines().enumerate() {
            ui.result(&format!("    {}{text}", if line == 0 { word } else { "  " }));
        }
    }
    ui.result(&format!("  {}; {}", cause.article.join(", "), cause.docs));
}
