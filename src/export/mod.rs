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
use crate::error::Result;
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

/// Writes a plan's part of one account, or of both, as text.
///
/// # Errors
/// The plan holds something that the format can't say even as a separate step.
pub fn of_plan(plan: &Plan, side: Option<Side>, format: Format) -> Result<Vec<Sheet>> {
    match format {
        Format::Cloudformation => cloudformation::of_plan(plan, side),
        Format::Terraform => terraform::of_plan(plan, side),
        Format::Awscli => awscli::of_plan(plan, side),
    }
}
