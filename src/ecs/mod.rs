//! Article B: why a task gets "Access Denied", found out on its container host.
//!
//! `host` gathers, `checks` judge what was gathered, [`verdict`] says which identity each container really uses.

pub mod checks;
pub mod denial;
pub mod environment;
pub mod facts;
pub mod fixes;
pub mod host;
pub mod mend;
pub mod parse;
pub mod remote;
pub mod sdk_table;
pub mod verdict;
