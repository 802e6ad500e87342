//! What a template refers to in the place of a literal: its own resources, and parameters for what it finds or is told.

use super::places::{EVENT_ROLE, KEY, SERVICE_ROLE, StackId};
use super::{Work, makes_key, regional};
use crate::model::Side;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Members whose value is a bucket's bare name.
const BUCKET_MEMBERS: [&str; 4] = ["BucketName", "S3Bucket", "Location", "name"];

/// What stands for a literal.
#[derive(Debug, Clone)]
enum Stands {
    /// The ARN of a resource of this template.
    Arn(&'static str),
    /// A parameter.
    Parameter { name: String, default: Option<String>, what: String },
}

impl Stands {
    fn whole(&self) -> Value {
        match self {
            Stands::Arn(id) => json!({"Fn::GetAtt": [id, "Arn"]}),
            Stands::Parameter { name, .. } => json!({"Ref": name}),
        }
    }

    /// Gives it as a part of an `Fn::Sub`.
    fn part(&self) -> String {
        match self {
            Stands::Arn(id) => format!("${{{id}.Arn}}"),
            Stands::Parameter { name, .. } => format!("${{{name}}}"),
        }
    }
}

#[derive(Debug)]
struct Row {
    literal: String,
    /// The literal is a bucket's name, which counts behind `arn:…:s3:::` only, or alone where a bucket is named.
    bucket: bool,
    stands: Stands,
}

/// A template's references, and which of them it uses.
#[derive(Debug)]
pub struct References {
    rows: Vec<Row>,
    used: BTreeSet<usize>,
    buckets: String,
}

impl References {
    /// Lists what a template may refer to.
    pub fn of(work: &Work<'_>, stack: &StackId) -> References {
        let (blueprint, home) = (&work.blueprint, &work.blueprint.home);
        let own = |side: Side| stack.side == side && stack.is_main(work);
        let mut rows = Vec::new();
        let mut add = |literal: String, bucket: bool, stands: Stands| rows.push(Row { literal, bucket, stands });
        for store in &blueprint.stores {
            let made = makes_key(work.writes, &store.region);
            let stands = if made && stack.side == Side::Dev && stack.region == store.region {
                Stands::Arn(KEY)
            } else {
                let name = regional("KeyArn", &store.region, home);
                let what = format!("ARN of the artifact key in {}", store.region);
                // Only the pipeline needs a later template's key, and it comes last.
                let later = (made && own(Side::Dev)).then(String::new);
                Stands::Parameter { name, what, default: if made { later } else { Some(work.key(&store.region)) } }
            };
            add(work.key(&store.region), false, stands);
            let here = stack.side == Side::Dev && stack.region == store.region;
            if !(here && work.made.bucket(&store.bucket)) {
                let name = regional("ArtifactBucket", &store.region, home);
                let what = format!("Artifact bucket in {}", store.region);
                add(store.bucket.clone(), true, Stands::Parameter { name, what, default: Some(store.bucket.clone()) });
            }
        }
        let roles = [
            (Side::Dev, &blueprint.service_role, SERVICE_ROLE, "ServiceRoleArn", "ARN of the pipeline's service role"),
            (Side::Dev, &blueprint.event_role, EVENT_ROLE, "EventRoleArn", "ARN of the role with which EventBridge starts the pipeline"),
            (Side::Prod, &blueprint.deploy_role, super::places::DEPLOY_ROLE, "DeployRoleArn", "ARN of production's role"),
        ];
        for (side, role, id, name, what) in roles {
            let parameter = Stands::Parameter { name: name.to_owned(), what: what.to_owned(), default: Some(role.arn.clone()) };
            add(role.arn.clone(), false, if own(side) && work.made.role(side, &role.name) { Stands::Arn(id) } else { parameter });
        }
        for (side, bucket, name) in
            [(Side::Dev, &blueprint.input_bucket, "InputBucket"), (Side::Prod, &blueprint.output_bucket, "OutputBucket")]
        {
            if !(stack.side == side && work.made.bucket(bucket)) {
                let what = format!("{} bucket", if side == Side::Dev { "Input" } else { "Output" });
                add(bucket.clone(), true, Stands::Parameter { name: name.to_owned(), what, default: Some(bucket.clone()) });
            }
        }
        // Of two buckets or roles one of which begins with the other's name, the longer one is meant where both fit.
        rows.sort_by_key(|row| std::cmp::Reverse(row.literal.len()));
        References { rows, used: BTreeSet::new(), buckets: blueprint.dev.bucket("") }
    }

    /// Puts references in the place of literals.
    pub fn refer(&mut self, value: &Value) -> Value {
        self.within("", value)
    }

    fn within(&mut self, member: &str, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(member, text),
            Value::Array(list) => Value::Array(list.iter().map(|one| self.within(member, one)).collect()),
            Value::Object(members) => Value::Object(members.iter().map(|(name, one)| (name.clone(), self.within(name, one))).collect()),
            other => other.clone(),
        }
    }

    fn text(&mut self, member: &str, text: &str) -> Value {
        let alone = |row: &Row| row.literal == text && (!row.bucket || BUCKET_MEMBERS.contains(&member));
        if let Some(at) = self.rows.iter().position(alone) {
            self.used.insert(at);
            return self.rows[at].stands.whole();
        }
        let Some((at, start)) = self.rows.iter().enumerate().find_map(|(at, row)| Some((at, self.found(row, text)?))) else {
            return json!(text);
        };
        self.used.insert(at);
        let row = &self.rows[at];
        let (before, behind) = (&text[..start], &text[start + row.literal.len()..]);
        // What IAM calls a variable, `${*}`, is not CloudFormation's.
        let literal = |text: &str| text.replace("${", "${!");
        json!({"Fn::Sub": format!("{}{}{}", literal(before), row.stands.part(), literal(behind))})
    }

    /// Finds a literal within a text, as a whole name.
    fn found(&self, row: &Row, text: &str) -> Option<usize> {
        let start = if row.bucket { self.buckets.len() } else { 0 };
        let fits = text.get(start..)?.starts_with(&row.literal) && (!row.bucket || text.starts_with(&self.buckets));
        let behind = text.get(start + row.literal.len()..)?;
        (fits && (behind.is_empty() || behind.starts_with('/'))).then_some(start)
    }

    /// Gives the parameters that were used.
    pub fn parameters(&self) -> Map<String, Value> {
        let mut parameters = Map::new();
        let mut used: Vec<&Stands> = self.used.iter().map(|at| &self.rows[*at].stands).collect();
        used.sort_by_key(|stands| stands.part().replace('}', ""));
        for stands in used {
            if let Stands::Parameter { name, default, what } = stands {
                let mut parameter = json!({"Type": "String", "Description": what});
                if let Some(default) = default {
                    parameter["Default"] = json!(default);
                }
                parameters.insert(name.clone(), parameter);
            }
        }
        parameters
    }
}
