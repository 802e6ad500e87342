//! Policy documents: reading every form AWS accepts, comparing grants, putting our statements in and taking them out.
//!
//! Pure: no I/O, no clock, no environment.

mod document;
mod grant;

pub use document::{merge, remove, same_grants, sids, statements, without_statements};
pub use grant::{Grant, covers, delegates_to_root, grants_of, matches_pattern, names_in};
