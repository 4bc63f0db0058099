//! From drifts to changes, and from changes to a box that is as declared.

pub mod outcome;
pub mod plan;
