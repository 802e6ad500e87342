//! Article B: why does a task get Access Denied?

pub mod host;
pub mod parse;
