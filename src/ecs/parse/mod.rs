//! What stands in the files of a container host.

pub mod audit_log;
