//! Gathers what a container host tells; never judges.

pub mod inside;
pub mod sdks;
