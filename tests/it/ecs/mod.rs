//! `ecs-check` on host trees: folders with the files of a container host and with what its servers answered.

mod article;
mod fixing;
mod mutations;
mod output;
pub mod tree;
