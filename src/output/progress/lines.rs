//! What one line says: a step, a box of several, all boxes.

use std::sync::Arc;
use std::time::Duration;

use crate::output::text::{clean, columns};

/// How much of a step's name is repeated in each line about it, in columns.
pub const LONGEST_NAME: usize = 40;
/// Fewer columns than these tell no name from another.
const SHORTEST_NAME: usize = 16;

/// What is being done, to one box or before there is any.
pub struct Step {
    pub target: Option<Arc<str>>,
    pub name: String,
    pub detail: String,
    pub fraction: Option<f64>,
    pub since: Duration,
    /// When the last line about it was written; only in plain mode.
    pub told: Duration,
}

impl Step {
    fn percent(&self) -> Option<String> {
        let fraction = self.fraction.filter(|fraction| fraction.is_finite())?;
        Some(format!("{:.0} %", fraction.clamp(0.0, 1.0) * 100.0))
    }

    /// A long name leaves room for what happens now.
    pub fn short_name(&self, columns: usize, ellipsis: &str) -> String {
        console::truncate_str(&self.name, columns, ellipsis).into_owned()
    }

    /// The detail comes last: it is what a narrow terminal may cut.
    pub fn live(&self, name: &str, now: Duration, others: &str) -> String {
        let mut parts = vec![format!("{name} ({}{others})", elapsed(self.since, now))];
        parts.extend(self.percent().map(|percent| format!("{percent:>5}")));
        if !self.detail.is_empty() {
            parts.push(format!(" {}", self.detail));
        }
        clean(&parts.join(" ")).replace('\n', " ")
    }

    pub fn plain(&self, name: &str, now: Duration) -> String {
        let mut what: Vec<String> = self.percent().into_iter().collect();
        if !self.detail.is_empty() {
            what.push(self.detail.clone());
        }
        let colon = if what.is_empty() { "" } else { ": " };
        let line = format!(
            "{name}{colon}{} ({})",
            what.join(", "),
            elapsed(self.since, now)
        );
        format!("{}\n", clean(&line).replace('\n', " "))
    }
}

/// The boxes of a run over several.
#[derive(Default)]
pub struct Boxes {
    pub all: usize,
    pub since: Duration,
    pub ended: usize,
    /// How many of these did not end well.
    pub failed: usize,
    pub at_work: Vec<(Arc<str>, Duration)>,
}

impl Boxes {
    pub fn are_several(&self) -> bool {
        self.all > 1
    }

    /// How far all of them are.
    pub fn summary(&self, now: Duration) -> String {
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {failed} of them not well"),
        };
        let waiting = match self.all.saturating_sub(self.ended + self.at_work.len()) {
            0 => String::new(),
            waiting => format!(", {waiting} waiting"),
        };
        format!(
            "{} of {} boxes done{failed}, {} at work{waiting} ({})",
            self.ended,
            self.all,
            self.at_work.len(),
            elapsed(self.since, now)
        )
    }

    /// What is being done to how many boxes, the most common first.
    pub fn steps(&self, steps: &[Step], ellipsis: &str) -> String {
        let mut counts: Vec<(String, usize)> = Vec::new();
        for (target, _) in &self.at_work {
            let Some(step) = step_of(steps, target) else {
                continue;
            };
            let name = clean(&step.short_name(LONGEST_NAME, ellipsis));
            match counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => counts.push((name, 1)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let counts: Vec<String> = counts
            .into_iter()
            .map(|(name, count)| format!("{name} ({count})"))
            .collect();
        match &counts[..] {
            [] => String::new(),
            counts => format!(": {}", counts.join(", ")),
        }
    }

    /// A line for each box that is worked on, the longest at work first.
    /// Names are cut to `most` columns: what happens now is worth more.
    pub fn lines(&self, steps: &[Step], now: Duration, most: usize, ellipsis: &str) -> Vec<String> {
        let most = most.clamp(SHORTEST_NAME, LONGEST_NAME);
        let name = |target: &str| console::truncate_str(target, most, ellipsis).into_owned();
        let names: Vec<String> = self
            .at_work
            .iter()
            .map(|(target, _)| name(target))
            .collect();
        let longest = names.iter().map(|name| columns(name)).max().unwrap_or(0);
        self.at_work
            .iter()
            .zip(&names)
            .map(|((target, since), name)| {
                let filler = " ".repeat(longest - columns(name));
                let what = match step_of(steps, target) {
                    Some(step) => step.live(&step.short_name(most, ellipsis), now, ""),
                    None => format!("looking ({})", elapsed(*since, now)),
                };
                format!("{}{filler}  {what}", clean(name))
            })
            .collect()
    }
}

/// What is done to a box now: the step that began last.
fn step_of<'a>(steps: &'a [Step], target: &Arc<str>) -> Option<&'a Step> {
    steps
        .iter()
        .rfind(|step| step.target.as_ref() == Some(target))
}

fn elapsed(since: Duration, now: Duration) -> String {
    let seconds = now.saturating_sub(since).as_secs();
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}
