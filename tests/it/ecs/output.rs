//! What the command prints.

use super::tree::{CANARY, KINDS, Kind, Tree, WEB};
use crate::support::cli;
