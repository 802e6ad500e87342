//! Article B: why does a task get Access Denied?

pub mod host;
pub mod parse;
pub mod sdk_table;
