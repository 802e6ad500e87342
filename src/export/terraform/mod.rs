//! A plan as Terraform or OpenTofu configuration: resources for what it makes, with the documents as they will be at the end,
//! and steps by hand for what others write into as well.

mod by_hand;
mod hcl;
mod pipeline;
mod resources;

use super::Sheet;
use super::shared::{comment, identity, keys_told, underscored, waits_for, writes_of};
use crate::deploy::after::{after, stand_in};
use crate::deploy::plan::Plan;
use crate::deploy::snapshot::Snapshot;
use crate::deploy::write::{Call, Step, Write, key_placeholder};
use crate::error::Result;
use crate::model::{Side, real_profile};
use ::hcl::expr::{Expression, FuncCall};
use ::hcl::structure::Block;
use hcl::{References, path, written};
use std::collections::{BTreeMap, BTreeSet};

/// Writes a plan's part of one account, or of both, as `main.tf`.
///
/// # Errors
/// The plan holds a call that only teardown makes.
pub fn of_plan(plan: &Plan, side: Option<Side>) -> Result<Vec<Sheet>> {
    let writes = writes_of(plan, side);
    let text = if writes.is_empty() { nothing(plan, side) } else { Draft::of(plan, side, writes)?.whole()? };
    Ok(vec![Sheet { name: "main.tf".to_owned(), text }])
}

fn nothing(plan: &Plan, side: Option<Side>) -> String {
    let whose = side.map(|side| format!(" in {side}")).unwrap_or_default();
    format!("# Pipeline {}: there is nothing to do{whose}.\n", plan.settings().pipeline)
}

/// The variable that says whether the pipeline is made.
const CREATE: &str = "create_pipeline";

/// A configuration on its way.
struct Draft<'a> {
    plan: &'a Plan,
    side: Option<Side>,
    writes: Vec<&'a Write>,
    /// Both accounts at the end.
    after: Snapshot,
    references: References,
    /// Provider aliases that are used: account and region.
    providers: BTreeSet<(Side, String)>,
    /// Variables: name, what for, default.
    variables: BTreeMap<String, (String, Option<String>)>,
    /// Addresses of the resources so far.
    addresses: Vec<String>,
    body: String,
    by_hand: usize,
    /// A step by hand is left that the pipeline's first run needs.
    put_off: bool,
}

impl<'a> Draft<'a> {
    fn of(plan: &'a Plan, side: Option<Side>, writes: Vec<&'a Write>) -> Result<Draft<'a>> {
        let after = after(plan.snapshot(), &plan.every_write(), &plan.pipeline_arn());
        let mut draft = Draft {
            plan,
            side,
            after,
            references: References::default(),
            providers: BTreeSet::new(),
            variables: BTreeMap::new(),
            addresses: Vec::new(),
            body: String::new(),
            by_hand: 0,
            put_off: false,
            writes,
        };
        for write in draft.writes.clone() {
            match &write.call {
                Call::CreateKey { region, .. } => draft.learn_key(region, &format!("aws_kms_key.key_{}.arn", underscored(region)))?,
                Call::ReplicateKey { replica_region: region, .. } => {
                    draft.learn_key(region, &format!("aws_kms_replica_key.key_{}.arn", underscored(region)))?;
                }
                Call::CreateRole { .. } => {
                    draft.references.learn(&write.resource, &format!("aws_iam_role.{}.arn", role_label(write)))?;
                }
                _ => {}
            }
        }
        for region in keys_told(plan, &draft.writes) {
            let name = format!("key_arn_{}", underscored(&region));
            draft.learn_key(&region, &format!("var.{name}"))?;
            draft.variables.insert(name, (format!("ARN of the key in {region}, which the other account's configuration makes"), None));
        }
        Ok(draft)
    }

    fn learn_key(&mut self, region: &str, reference: &str) -> Result<()> {
        self.references.learn(key_placeholder(region), reference)?;
        self.references.learn(stand_in(&self.plan.snapshot().dev, region), reference)
    }

    /// Says whether the pipeline is made in a later run of Terraform, after the steps by hand.
    fn makes_later(&self) -> bool {
        self.put_off && self.makes(|call| matches!(call, Call::CreatePipeline { .. }))
    }

    fn makes(&self, wanted: impl Fn(&Call) -> bool) -> bool {
        self.writes.iter().any(|write| wanted(&write.call))
    }

    /// The provider of an account in a region.
    fn provider(&mut self, side: Side, region: &str) -> Result<Expression> {
        self.providers.insert((side, region.to_owned()));
        path(&format!("aws.{}", self.alias(side, region)))
    }

    fn alias(&self, side: Side, region: &str) -> String {
        if identity(self.plan, side).region == region { side.to_string() } else { format!("{side}_{}", underscored(region)) }
    }

    /// A variable with what was found as its default.
    fn adopted(&mut self, name: &str, what: &str, found: &str) -> Result<Expression> {
        self.variables.insert(name.to_owned(), (what.to_owned(), Some(found.to_owned())));
        path(&format!("var.{name}"))
    }

    fn whole(mut self) -> Result<String> {
        let mut step: Option<(Step, Side)> = None;
        for write in self.writes.clone() {
            let mark = self.body.len();
            self.take(write)?;
            if step != Some((write.step, write.account)) && self.body.len() > mark {
                step = Some((write.step, write.account));
                let account = &identity(self.plan, write.account).account;
                let heading = format!("{}  {}: {} ({account})", write.step.article(), write.step.title(), write.account);
                self.body.insert_str(mark, &format!("\n{}", comment(&heading)));
            }
        }
        let mut text = self.comments();
        text.push('\n');
        text.push_str(&self.settings()?);
        Ok(text + &self.body)
    }

    fn comments(&self) -> String {
        let settings = self.plan.settings();
        let part = self.side.map_or_else(|| "in both accounts".to_owned(), |side| format!("in {side} alone"));
        let mut lines = vec![
            format!("Sets up pipeline {} {part}, as `xdeploy setup` would. For Terraform or OpenTofu.", settings.pipeline),
            "It makes what is not there yet; what is there stays its owner's.".to_owned(),
            "Keep it with its state. A later export has only what is missing by then: in the place of this one, it would have Terraform"
                .to_owned(),
            "destroy all else. Apply it in a folder of its own, with a state of its own.".to_owned(),
        ];
        if self.by_hand > 0 {
            lines.push(format!("Steps by hand, after `terraform apply`: {}. Look for BY HAND.", self.by_hand));
        }
        if self.makes_later() {
            lines.push(format!(
                "The pipeline runs as soon as it is made and needs them: then set the default of {CREATE} to true here, and"
            ));
            lines.push("apply again. It stays true: false would have the pipeline destroyed.".to_owned());
        }
        if let Some(side) = self.side {
            let waits = waits_for(self.plan, side);
            if !waits.is_empty() {
                lines.push(format!("What {} must have done before (its own configuration does it):", side.other()));
                lines.extend(waits.into_iter().map(|line| format!("- {line}")));
            }
        }
        lines.iter().map(|line| comment(line)).collect()
    }

    /// Providers and variables.
    fn settings(&self) -> Result<String> {
        let source = ::hcl::expr::Object::from([
            ("source".to_owned().into(), "hashicorp/aws".into()),
            ("version".to_owned().into(), ">= 5.60".into()),
        ]);
        let required = Block::builder("required_providers").add_attribute(("aws", Expression::Object(source))).build();
        let mut text = written(Block::builder("terraform").add_block(required).build())?;
        let mut variables = self.variables.clone();
        for (side, _) in &self.providers {
            let profile = match side {
                Side::Dev => &self.plan.settings().dev_profile,
                Side::Prod => &self.plan.settings().prod_profile,
            };
            variables.insert(
                format!("{side}_profile"),
                (format!("AWS profile of {side}; empty: the provider decides"), Some(real_profile(profile).to_owned())),
            );
        }
        for (name, (what, default)) in variables {
            let block = Block::builder("variable").add_label(name.as_str()).add_attribute(("type", path("string")?));
            let block = block.add_attribute(("description", what));
            let block = match default {
                Some(default) => block.add_attribute(("default", default)),
                None => block.add_block(self.of_dev_s_key(&name)?),
            };
            text = text + "\n" + &written(block.build())?;
        }
        if self.makes_later() {
            let block = Block::builder("variable")
                .add_label(CREATE)
                .add_attribute(("type", path("bool")?))
                .add_attribute(("description", "true once the steps by hand are done; false again destroys the pipeline"))
                .add_attribute(("default", false));
            text = text + "\n" + &written(block.build())?;
        }
        for (side, region) in &self.providers {
            let account = identity(self.plan, *side).account.clone();
            let block = Block::builder("provider")
                .add_label("aws")
                .add_attribute(("alias", self.alias(*side, region)))
                .add_attribute(("region", region.as_str()))
                .add_attribute(("profile", path(&format!("var.{side}_profile"))?))
                .add_attribute(("allowed_account_ids", Expression::Array(vec![Expression::String(account)])));
            text = text + "\n" + &written(block.build())?;
        }
        Ok(text)
    }
}

impl Draft<'_> {
    /// Refuses an ARN that is not a key's of the development account in the region that the variable is named after.
    fn of_dev_s_key(&self, name: &str) -> Result<Block> {
        let snapshot = self.plan.snapshot();
        let of = |region: &&String| name == format!("key_arn_{}", underscored(region));
        let region = snapshot.keys.keys().find(of).map(String::as_str).unwrap_or_default();
        let begin = snapshot.dev.regional("kms", region, "key/");
        let condition = FuncCall::builder("startswith").arg(path(&format!("var.{name}"))?).arg(begin.clone()).build();
        let block = Block::builder("validation").add_attribute(("condition", Expression::from(condition)));
        Ok(block.add_attribute(("error_message", format!("It must begin with {begin}"))).build())
    }
}

/// Keeps what can't be made again with what is in it: keys and buckets.
fn kept() -> Block {
    Block::builder("lifecycle").add_attribute(("prevent_destroy", true)).build()
}

/// The label of a role that is made.
fn role_label(write: &Write) -> &'static str {
    match (write.account, write.step) {
        (Side::Prod, _) => "deploy_role",
        (Side::Dev, Step::ChangeDetection) => "event_role",
        (Side::Dev, _) => "service_role",
    }
}
