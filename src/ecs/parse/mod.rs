//! Readers of the texts that a container host has: text in, plain data out; they never fail on what they don't know.

pub mod audit_log;
pub mod env_files;
pub mod iptables;
pub mod proc_net;
pub mod settings;
