//! A plan as CloudFormation: a template for each account and region, and a sheet of what no template may own.
//!
//! What the plan makes anew becomes a resource with its final documents; what it finds becomes a parameter with the found value
//! as its default. Documents that others write into as well are never owned by a template: those of keys, buckets, roles, rules
//! and pipelines that exist are separate steps. The pipeline comes last, in a second deployment of development's template, since
//! CodePipeline checks that the service role can assume production's role (facts/codepipeline.md D.2).

mod apart;
mod declaration;
mod places;
mod references;
mod resources;
mod steps;

use super::Sheet;
use crate::deploy::after::{after, stand_in};
use crate::deploy::blueprint::Blueprint;
use crate::deploy::plan::Plan;
use crate::deploy::snapshot::Snapshot;
use crate::deploy::write::{Call, Write};
use crate::error::{Error, Result};
use crate::model::Side;
use places::{Made, Place, StackId};
use references::References;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The parameter that says whether the pipeline is made.
const CREATE: &str = "CreatePipeline";

/// A plan with what follows from it.
#[derive(Debug)]
struct Work<'a> {
    plan: &'a Plan,
    /// What can be done now and what is left for later: a template is deployed when it is its turn.
    writes: &'a [Write],
    blueprint: Blueprint,
    after: Snapshot,
    made: Made<'a>,
}

impl Work<'_> {
    /// Gives the account and the main region of a side.
    fn identity(&self, side: Side) -> &crate::deploy::snapshot::Identity {
        self.after.identity(side)
    }

    /// Says whether the pipeline can be made with the rest of its template, since all else is there.
    fn at_once(&self) -> bool {
        self.writes.iter().all(|write| {
            let place = self.place(write);
            place.is_ok_and(|place| matches!(place, Place::Resource(stack, _) if stack.side == Side::Dev && stack.is_main(self)))
        })
    }

    /// Gives the ARN of a region's key, or what stands for it.
    fn key(&self, region: &str) -> String {
        let found = self.after.keys.get(region).and_then(|slot| slot.found.as_ref());
        found.map_or_else(|| stand_in(&self.after.dev, region), |key| key.arn.clone())
    }
}

/// Gives a region's name as a part of a logical id: `EuWest1` of `eu-west-1`.
fn camel(region: &str) -> String {
    let word = |part: &str| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    region.split('-').map(word).collect()
}

/// Gives the name that something of a region has in parameters and outputs; the pipeline's own region goes without saying.
fn regional(what: &str, region: &str, home: &str) -> String {
    if region == home { what.to_owned() } else { format!("{what}{}", camel(region)) }
}

/// Writes a plan's part of one account, or of both: templates, then `STEPS.md`.
///
/// # Errors
/// The plan holds something that neither a template nor a step can say.
pub fn of_plan(plan: &Plan, side: Option<Side>) -> Result<Vec<Sheet>> {
    let blueprint = Blueprint::draw(plan.settings(), plan.snapshot())?;
    let writes = plan.every_write();
    let after = after(plan.snapshot(), &writes, &plan.pipeline_arn());
    let made = Made::of(&writes);
    let work = Work { plan, writes: &writes, blueprint, after, made };
    let mut stacks: BTreeMap<StackId, BTreeMap<&'static str, Vec<&Write>>> = BTreeMap::new();
    let mut apart: Vec<&Write> = Vec::new();
    for write in &writes {
        match work.place(write)? {
            Place::Resource(stack, id) => stacks.entry(stack).or_default().entry(id).or_default().push(write),
            Place::Step => apart.push(write),
        }
    }
    let mut sheets = Vec::new();
    for (stack, resources) in &stacks {
        let text = template(&work, stack, resources)?;
        sheets.push(Sheet { name: stack.file(&work), text });
    }
    sheets.push(Sheet { name: steps::NAME.to_owned(), text: steps::sheet(&work, side, &sheets, &apart)? });
    let of_side: Vec<String> =
        stacks.keys().filter(|stack| side.is_none_or(|side| stack.side == side)).map(|one| one.file(&work)).collect();
    sheets.retain(|sheet| sheet.name == steps::NAME || of_side.contains(&sheet.name));
    Ok(sheets)
}

fn template(work: &Work<'_>, stack: &StackId, writes: &BTreeMap<&'static str, Vec<&Write>>) -> Result<String> {
    let mut references = References::of(work, stack);
    let mut resources = Map::new();
    for (id, writes) in writes {
        resources.insert((*id).to_owned(), resources::of(work, stack, id, writes, &mut references)?);
    }
    let with_pipeline = writes.contains_key(places::PIPELINE);
    if with_pipeline {
        come_last(&mut resources);
    }
    let outputs = outputs(work, stack, &resources);
    let mut parameters = references.parameters();
    let mut conditions = Map::new();
    if with_pipeline {
        parameters.insert(
            CREATE.to_owned(),
            json!({"Type": "String", "AllowedValues": ["true", "false"], "Default": work.at_once().to_string(),
                "Description": "true once production's template and the separate steps are done; false again deletes the pipeline"}),
        );
        conditions.insert("WithPipeline".to_owned(), json!({"Fn::Equals": [{"Ref": CREATE}, "true"]}));
    }
    let identity = work.identity(stack.side);
    let mut whole = Map::new();
    whole.insert("AWSTemplateFormatVersion".to_owned(), json!("2010-09-09"));
    let description = format!(
        "CodePipeline {}: the part of {} ({}) in {}. Stack {}; STEPS.md has the order of all stacks and what no template may own.",
        work.blueprint.pipeline,
        stack.side,
        identity.account,
        stack.region,
        stack.name(work)
    );
    whole.insert("Description".to_owned(), json!(description));
    let about = json!({"xdeploy": {"pipeline": work.blueprint.pipeline_arn, "account": identity.account, "region": stack.region,
        "stack": stack.name(work), "order": steps::order(work)}});
    whole.insert("Metadata".to_owned(), about);
    for (name, members) in [("Parameters", parameters), ("Conditions", conditions), ("Resources", resources), ("Outputs", outputs)] {
        if !members.is_empty() {
            whole.insert(name.to_owned(), Value::Object(members));
        }
    }
    let text = serde_json::to_string_pretty(&whole).map_err(|error| Error::internal(format!("the template can't be written: {error}")))?;
    Ok(text + "\n")
}

/// The pipeline runs as soon as it is made, so that all of its template must be there; what it refers to is there anyway.
fn come_last(resources: &mut Map<String, Value>) {
    let others: Vec<String> = resources.keys().filter(|id| *id != places::PIPELINE).cloned().collect();
    let Some(pipeline) = resources.get_mut(places::PIPELINE) else { return };
    let text = pipeline.to_string();
    let named = |id: &String| text.contains(&format!("{{\"Ref\":\"{id}\"}}")) || text.contains(&format!("[\"{id}\",\"Arn\"]"));
    let waited: Vec<&String> = others.iter().filter(|id| !named(id)).collect();
    if !waited.is_empty() {
        pipeline["DependsOn"] = json!(waited);
    }
}

/// What another template, or a step, needs of this one.
fn outputs(work: &Work<'_>, stack: &StackId, resources: &Map<String, Value>) -> Map<String, Value> {
    let home = &work.blueprint.home;
    let rows = [
        (places::KEY, regional("KeyArn", &stack.region, home), true, "The key that artifacts are encrypted with"),
        (places::BUCKET, regional("ArtifactBucket", &stack.region, home), false, "The bucket that artifacts are kept in"),
        (places::SERVICE_ROLE, "ServiceRoleArn".to_owned(), true, "The pipeline's service role, which production's role trusts"),
        (places::DEPLOY_ROLE, "DeployRoleArn".to_owned(), true, "The role that the deploy action runs with"),
    ];
    let mut outputs = Map::new();
    for (id, name, arn, what) in rows.into_iter().filter(|row| resources.contains_key(row.0)) {
        let value = if arn { json!({"Fn::GetAtt": [id, "Arn"]}) } else { json!({"Ref": id}) };
        outputs.insert(name, json!({"Description": what, "Value": value}));
    }
    outputs
}

/// Says whether this run of the plan makes a key in a region.
fn makes_key(writes: &[Write], region: &str) -> bool {
    writes.iter().any(|write| match &write.call {
        Call::CreateKey { region: there, .. } => there == region,
        Call::ReplicateKey { replica_region, .. } => replica_region == region,
        _ => false,
    })
}
