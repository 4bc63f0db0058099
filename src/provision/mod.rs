//! From drifts to changes, and from changes to a box that is as declared.

pub mod apply;
pub mod outcome;
pub mod plan;
mod pull;
mod script;
