//! What a person sees: problems first, each with what was seen and what to do, and one last line that says
//! the one thing.

mod others;
mod outcome;
pub(super) mod parts;
mod plan;
mod report;
mod verdict;

pub use others::{done, error, targets, up};
pub use outcome::{provision, results};
pub use parts::duration;
pub use plan::plan;
pub use report::{report, reports};
