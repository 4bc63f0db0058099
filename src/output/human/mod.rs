//! What a person sees: problems first, each with what was seen and what to do, and one last line that says
//! the one thing.

mod others;
mod outcome;
pub(super) mod parts;
mod people;
mod plan;
mod report;
mod several;
mod verdict;

pub use others::{done, error, targets, up, up_result};
pub use outcome::{provision, result, room_plan};
pub use parts::{duration, word};
pub use people::{checks, fixed, offer, people};
pub use plan::plan;
pub use report::{report, reports};
pub use verdict::{mending, verdict};
