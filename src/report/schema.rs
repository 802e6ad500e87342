//! The published JSON Schemas (draft 2020-12), each whole by itself.

use serde_json::{Map, Value, json};

/// The documents with a schema: name, what prints it, the schema's own part.
const OWN: [(&str, &str, &str); 21] = [
    ("plan", "plan --output json, and the format of a saved plan", include_str!("schemas/plan.json")),
    ("setup", "setup --output json", include_str!("schemas/setup.json")),
    ("apply", "apply --output json", include_str!("schemas/apply.json")),
    ("verify", "verify --output json", include_str!("schemas/verify.json")),
    ("release", "release --output json", include_str!("schemas/release.json")),
    ("explain", "explain --output json", include_str!("schemas/explain.json")),
    ("teardown", "teardown --output json", include_str!("schemas/teardown.json")),
    ("rehearse", "rehearse --output json", include_str!("schemas/rehearse.json")),
    ("export", "export --output json", include_str!("schemas/export.json")),
    ("permissions", "permissions --output json", include_str!("schemas/permissions.json")),
    ("ci", "ci --output json", include_str!("schemas/ci.json")),
    ("simulate", "a line of simulate", include_str!("schemas/simulate.json")),
    ("ecs-check", "ecs-check --output json", super::ECS_CHECK_SCHEMA),
    ("ecs-denial", "ecs-check --explain-error --output json", include_str!("schemas/ecs-denial.json")),
    ("who-am-i", "who-am-i --output json", include_str!("schemas/who-am-i.json")),
    ("schema", "schema --output json", include_str!("schemas/schema.json")),
    ("completions", "completions --output json", include_str!("schemas/completions.json")),
    ("man", "man --output json", include_str!("schemas/man.json")),
    ("config", "xdeploy.toml", include_str!("schemas/config.json")),
    ("handoff", "the file between the two sides of setup --side", include_str!("schemas/handoff.json")),
    ("error", "any command with --output json that fails", include_str!("schemas/error.json")),
];

/// What several documents share.
const COMMON: &str = include_str!("schemas/common.json");

/// Lists the documents by name, with what prints them.
pub fn schemas() -> impl Iterator<Item = (&'static str, &'static str)> {
    OWN.iter().map(|(name, what, _)| (*name, *what))
}

/// Gives the schema of a document, with all that it refers to; `None` if there is no such document.
pub fn schema(name: &str) -> Option<Value> {
    let (.., text) = OWN.iter().find(|(known, ..)| *known == name)?;
    let mut schema: Value = serde_json::from_str(text).ok()?;
    let common: Value = serde_json::from_str(COMMON).ok()?;
    let mut needed = Map::new();
    collect(&schema, &common["$defs"], &mut needed);
    if !needed.is_empty() {
        let mut own = schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
        own.extend(needed);
        schema["$defs"] = json!(own);
    }
    Some(schema)
}

/// Collects the shared parts that a schema refers to, and those that they refer to.
fn collect(schema: &Value, common: &Value, needed: &mut Map<String, Value>) {
    match schema {
        Value::Object(members) => {
            let named = members.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
            if let Some((name, part)) = named.and_then(|name| Some((name, common.get(name)?)))
                && !needed.contains_key(name)
            {
                needed.insert(name.to_owned(), part.clone());
                collect(part, common, needed);
            }
            members.values().for_each(|value| collect(value, common, needed));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, common, needed)),
        _ => {}
    }
}
