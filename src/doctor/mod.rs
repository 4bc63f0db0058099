//! Findings in the order of their `needs`: what doctor says.

pub mod report;
