//! A second evaluator for the tests.
pub mod evaluator;
mod compare;
mod generator;
