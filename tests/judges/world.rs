//! What tests of setup seed and compare: a development and a production account with their buckets,
//! grants normalised without the program's own normaliser, and what is not the program's in a dump.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{Account, Action, Bed, Checked, Output, REGION};

pub const PIPELINE: &str = "crossaccountdeploy";
pub const TAG: &str = "xdeploy:pipeline";

/// Two accounts with the article's input and output bucket.
pub struct World {
    pub bed: Bed,
    pub input: String,
    pub output: String,
}

/// Where an article's set-up can be made by hand.
pub trait Ground {
    fn dev(&self) -> &Account;
    fn prod(&self) -> &Account;
    fn input(&self) -> &str;
    fn output(&self) -> &str;

    fn artifact_bucket(&self) -> String {
        format!("codepipeline-{REGION}-{}", self.dev().id)
    }

    fn prod_arn(&self, what: &str) -> String {
        format!("arn:aws:iam::{}:{what}", self.prod().id)
    }
}

impl Ground for World {
    fn dev(&self) -> &Account {
        &self.bed.dev
    }

    fn prod(&self) -> &Account {
        &self.bed.prod
    }

    fn input(&self) -> &str {
        &self.input
    }

    fn output(&self) -> &str {
        &self.output
    }
}

impl World {
    pub fn new() -> World {
        World::of(Bed::new())
    }

    pub fn of(bed: Bed) -> World {
        World::with_output_in(bed, REGION)
    }

    pub fn with_output_in(bed: Bed, region: &str) -> World {
        let input = bed.versioned_bucket(&bed.dev, "codepipeline-input-bucket");
        let output = bed.bucket_in(&bed.prod, "codepipeline-output-bucket", region, false);
        World { bed, input, output }
    }

    pub fn dev(&self) -> &Account {
        &self.bed.dev
    }

    pub fn prod(&self) -> &Account {
        &self.bed.prod
    }

    pub fn command(&self, command: &str, more: &[&str]) -> Output {
        let mut args = vec![command, "--input-bucket", &self.input, "--output-bucket", &self.output];
        args.extend(more);
        self.bed.run(&args)
    }

    pub fn setup(&self, more: &[&str]) -> Output {
        self.command("setup", &[&["--yes"], more].concat())
    }

    /// Runs setup, which must find nothing to do and write nothing.
    #[track_caller]
    pub fn settled(&self, more: &[&str]) -> Checked {
        self.bed.proxy.clear_hook();
        self.bed.proxy.clear();
        let output = self.setup(more).success();
        self.nothing_written();
        assert!(output.stdout.contains("No changes."), "{}", output.report());
        output
    }

    #[track_caller]
    pub fn nothing_written(&self) {
        assert!(self.bed.proxy.writes().is_empty(), "{}", self.bed.proxy.table());
    }

    /// Runs setup, which must refuse before it writes anything, and name this in a hint.
    #[track_caller]
    pub fn refused(&self, more: &[&str], hint: &str) -> Checked {
        self.bed.proxy.clear();
        let output = self.setup(more).code(3);
        self.nothing_written();
        let hints: String = output.stderr.lines().filter(|line| line.starts_with("hint:")).collect();
        assert!(hints.contains(hint), "no hint with {hint}\n{}", output.report());
        output
    }

    pub fn artifact_bucket(&self) -> String {
        format!("codepipeline-{REGION}-{}", self.dev().id)
    }

    pub fn service_role(&self) -> String {
        self.dev_arn(&format!("role/service-role/AWSCodePipelineServiceRole-{REGION}-{PIPELINE}"))
    }

    pub fn deploy_role(&self) -> String {
        self.prod_arn("role/prods3role")
    }

    pub fn dev_arn(&self, what: &str) -> String {
        format!("arn:aws:iam::{}:{what}", self.dev().id)
    }

    pub fn prod_arn(&self, what: &str) -> String {
        format!("arn:aws:iam::{}:{what}", self.prod().id)
    }

    pub fn pipeline_arn(&self, name: &str) -> String {
        format!("arn:aws:codepipeline:{REGION}:{}:{name}", self.dev().id)
    }

    /// The tags of what the program made.
    pub fn tags(&self) -> Value {
        json!({TAG: PIPELINE, "xdeploy:pipeline-arn": self.pipeline_arn(PIPELINE)})
    }

    /// The key that an alias names, from a dump.
    #[track_caller]
    pub fn key<'a>(&self, dump: &'a Value, region: &str, alias: &str) -> &'a Value {
        let keys = dump["dev"]["keys"][region].as_object().unwrap();
        let alias = format!("alias/{alias}");
        keys.values().find(|key| strings(&key["aliases"]).contains(&alias)).unwrap_or_else(|| panic!("no {alias} in {region}: {keys:#?}"))
    }

    /// Does this right before the n-th call (from 0) of an operation is forwarded, once.
    pub fn before_call(&self, operation: &str, n: usize, then: impl Fn() + Send + Sync + 'static) {
        let operation = operation.to_owned();
        let seen = Arc::new(AtomicUsize::new(0));
        self.bed.proxy.on_request(move |request| {
            if request.is(&operation) && seen.fetch_add(1, Ordering::SeqCst) == n {
                then();
            }
            Action::Forward
        });
    }
}

pub fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Every statement of a document taken apart: one principal, one action, one resource, one condition set a line.
/// Order, scalars for lists, Sids and empty conditions make no difference.
pub fn grants(document: &Value) -> BTreeSet<String> {
    let statements = match &document["Statement"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let or_none = |list: Vec<String>| if list.is_empty() { vec!["-".to_owned()] } else { list };
    let mut grants = BTreeSet::new();
    for statement in statements {
        let principals: Vec<String> = match &statement["Principal"] {
            Value::Object(kinds) => {
                kinds.iter().flat_map(|(kind, who)| strings(who).into_iter().map(move |who| format!("{kind}:{who}"))).collect()
            }
            other => strings(other),
        };
        let mut conditions = BTreeSet::new();
        for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
            for (key, values) in keys.as_object().into_iter().flatten() {
                let mut values = strings(values);
                values.sort();
                conditions.insert(format!("{operator} {key} {values:?}"));
            }
        }
        for principal in or_none(principals) {
            for action in or_none(strings(&statement["Action"])) {
                for resource in or_none(strings(&statement["Resource"])) {
                    grants.insert(format!("{} {principal} {action} {resource} {conditions:?}", statement["Effect"]));
                }
            }
        }
    }
    grants
}

#[track_caller]
pub fn same_grants(found: &Value, wanted: &Value) {
    let (found_grants, wanted_grants) = (grants(found), grants(wanted));
    let more: Vec<_> = found_grants.difference(&wanted_grants).collect();
    let less: Vec<_> = wanted_grants.difference(&found_grants).collect();
    assert!(more.is_empty() && less.is_empty(), "too much: {more:#?}\nmissing: {less:#?}\nin {found:#}");
}

pub fn document(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A dump without what is the program's: things with its tag, its statements, its inline policies, its attachments, and
/// EventBridge in notifications.
pub fn foreign(dump: &Value) -> Value {
    let mut dump = dump.clone();
    for side in ["dev", "prod"] {
        let account = dump[side].as_object_mut().unwrap();
        let tagged = |thing: &Value| thing["tags"].get(TAG).is_some();
        let ours: BTreeSet<String> = account["policies"]
            .as_object()
            .unwrap()
            .values()
            .filter(|policy| tagged(policy))
            .map(|policy| strings(&policy["arn"]).concat())
            .collect();
        let mut kinds: Vec<&mut Value> = Vec::new();
        for (kind, things) in account.iter_mut() {
            if ["keys", "rules", "pipelines"].contains(&kind.as_str()) {
                kinds.extend(things.as_object_mut().unwrap().values_mut());
            } else {
                kinds.push(things);
            }
        }
        for things in kinds {
            let things = things.as_object_mut().unwrap();
            things.retain(|_, thing| !tagged(thing));
            for thing in things.values_mut() {
                for member in ["policy", "trust"] {
                    if thing.get(member).is_some() {
                        thing[member] = without_ours(&thing[member]);
                    }
                }
                if let Some(inline) = thing.get_mut("inline").and_then(Value::as_object_mut) {
                    inline.retain(|name, _| !name.starts_with("xdeploy-"));
                }
                if let Some(attached) = thing.get_mut("attached").and_then(Value::as_array_mut) {
                    attached.retain(|arn| !ours.contains(arn.as_str().unwrap()));
                }
                if let Some(notification) = thing.get_mut("notification").and_then(Value::as_object_mut) {
                    notification.shift_remove("EventBridgeConfiguration");
                }
            }
        }
    }
    dump
}

/// A document without the program's statements; null if nothing is left.
fn without_ours(document: &Value) -> Value {
    let mut kept = document.clone();
    let Value::Array(statements) = &mut kept["Statement"] else { return document.clone() };
    statements.retain(|statement| !strings(&statement["Sid"]).concat().starts_with("Xdeploy"));
    if statements.is_empty() { Value::Null } else { kept }
}

/// Checks that two values are the same as ordered JSON, and says where they differ.
#[track_caller]
pub fn same(before: &Value, after: &Value) {
    let mut found = Vec::new();
    differences("", before, after, &mut found);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn differences(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            for (key, value) in one {
                match other.get(key) {
                    Some(there) => differences(&format!("{path}/{key}"), value, there, found),
                    None => found.push(format!("{path}/{key} is gone: {value}")),
                }
            }
            for (key, value) in other.iter().filter(|(key, _)| !one.contains_key(*key)) {
                found.push(format!("{path}/{key} is new: {value}"));
            }
            if one.len() == other.len() && !one.keys().eq(other.keys()) {
                found.push(format!("{path}: members are in another order"));
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (value, there)) in one.iter().zip(other).enumerate() {
                differences(&format!("{path}/{index}"), value, there, found);
            }
        }
        _ if before == after => {}
        _ => found.push(format!("{path} was\n  {before}\nis\n  {after}")),
    }
}
