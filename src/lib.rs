//! xdeploy sets up, checks, uses and undoes cross-account S3 deployments with AWS CodePipeline.
//!
//! Data flows one way: settings become a blueprint (what should be there), two verified accounts become a
//! snapshot (what is there), the difference is a plan of writes, and `apply` is the one place that writes.

pub mod aws;
pub mod cli;
pub mod deploy;
pub mod ecs;
pub mod error;
pub mod export;
pub mod files;
pub mod model;
pub mod policy;
pub mod rehearsal;
pub mod report;
pub mod settings;
pub mod ui;
