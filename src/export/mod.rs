//! A plan as text that people can review and run without xdeploy.
//!
//! Pure: a plan, and for what a plan makes in several calls the state after it, become CloudFormation templates, Terraform
//! configuration or a shell script. What a format can't say without owning a document that others write into as well (the
//! policies of keys and buckets that exist, a bucket's notification) is a separate step, marked as such, with the statements
//! to merge.

mod awscli;
mod cloudformation;
mod notification;
mod shared;
mod terraform;

use crate::deploy::plan::Plan;
use crate::deploy::redaction::holds_hash;
use crate::error::{Error, Result};
use crate::model::Side;

/// What to write a plan as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A CloudFormation template for each account, as JSON.
    Cloudformation,
    /// Terraform or OpenTofu configuration with a provider for each account.
    Terraform,
    /// A shell script of AWS CLI calls that may be run again.
    Awscli,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Its name, such as `dev.template.json`.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// Writes a plan's part of one account, or of both, as text. What may be a secret isn't written.
///
/// # Errors
/// The plan holds something that the format can't say even as a separate step, or not without what may be a secret.
pub fn of_plan(plan: &Plan, side: Option<Side>, format: Format) -> Result<Vec<Sheet>> {
    let plan = &plan.redacted()?;
    let sheets = match format {
        Format::Cloudformation => cloudformation::of_plan(plan, side),
        Format::Terraform => terraform::of_plan(plan, side),
        Format::Awscli => awscli::of_plan(plan, side),
    }?;
    match sheets.iter().find(|sheet| holds_hash(&sheet.text)) {
        None => Ok(sheets),
        // Run as it is, it would put the hash in the place of the value.
        Some(sheet) => Err(Error::refused(format!("{} would hold what may be a secret", sheet.name))
            .because(format!("it has to write the whole of: {}", shared::withheld(plan).join("; ")))
            .hint("`xdeploy setup`, or `xdeploy plan --out FILE` and `xdeploy apply FILE`, write it without showing it")),
    }
}
