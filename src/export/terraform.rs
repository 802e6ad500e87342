//! A plan as terraform.

use super::Sheet;
use crate::deploy::plan::Plan;
use crate::error::{Error, Result};
use crate::model::Side;

/// Writes a plan's part of one account, or of both.
pub fn of_plan(_plan: &Plan, _side: Option<Side>) -> Result<Vec<Sheet>> {
    Err(Error::internal("not built yet"))
}
