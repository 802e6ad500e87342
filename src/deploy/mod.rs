//! Article A: what should be there, what is there, the plan between them, and the one place that writes.

pub mod after;
pub mod apply;
pub mod arrival;
pub mod blueprint;
pub mod breaking;
pub mod chain;
pub mod count;
pub mod declaration;
pub mod difference;
pub mod excess;
pub mod failures;
pub mod findings;
pub mod handoff;
pub mod kept;
pub mod names;
pub mod observe;
pub mod plan;
pub mod proof;
pub mod release;
pub mod rights;
pub mod rules;
pub mod snapshot;
pub mod steps;
pub mod teardown;
pub mod write;
pub mod zipfile;
