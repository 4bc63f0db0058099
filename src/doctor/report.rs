//! What doctor found, as data. `output` tells it; nothing here prints.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::date::Date;
use crate::error::ExitCode;
use crate::events::SCHEMA_VERSION;

/// The five outcomes of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pass,
    /// Works, but will not for long, or not for everybody.
    Warn,
    Fail,
    /// Not judged, because of a named check.
    Skip,
    /// Could not be determined: never a pass, never a fail.
    Unknown,
}

/// Where a check looks from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Laptop,
    Box,
}

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    You,
    Organiser,
    It,
}

impl By {
    /// As a sentence about a remedy begins.
    #[must_use]
    pub fn who(self) -> &'static str {
        match self {
            Self::You => "You can mend this",
            Self::Organiser => "The organiser has to do this",
            Self::It => "Your company's IT has to do this",
        }
    }
}

/// How a finding is mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// One sentence: what to do.
    pub text: String,
    /// Commands to type, each complete and with its real values; none where typing does not help.
    pub commands: Vec<String>,
    pub by: By,
}

/// That the author of the workshop wants a check not to be counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ignored {
    pub reason: String,
    /// The last day on which that holds.
    pub until: Option<Date>,
    /// Whether that day is over: then the check counts again.
    pub expired: bool,
}

/// The verdict on one check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Stable: `scope.subject.aspect`.
    pub id: String,
    /// What is true when the check passes, such as "Docker's daemon runs".
    pub title: String,
    pub scope: Scope,
    pub status: Status,
    /// What was seen, one line, or a few where a list is needed.
    pub summary: String,
    /// For a skipped check: the check that must pass first.
    pub because: Option<String>,
    pub remedy: Option<Remedy>,
    /// `None` for a check that passed, too: there is nothing to ignore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<Ignored>,
    #[serde(rename = "duration_ms", serialize_with = "as_milliseconds")]
    pub duration: Duration,
}

impl Finding {
    /// Whether it is shown and not counted.
    #[must_use]
    pub fn is_ignored(&self) -> bool {
        self.ignored
            .as_ref()
            .is_some_and(|ignored| !ignored.expired)
    }

    /// Whether something is to be found out or mended here: it failed, or could not be determined.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        matches!(self.status, Status::Fail | Status::Unknown) && !self.is_ignored()
    }
}

fn as_milliseconds<S: serde::Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// How many findings ended in each outcome; those that are ignored are counted apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub pass: usize,
    pub warn: usize,
    pub fail: usize,
    pub skip: usize,
    pub unknown: usize,
    pub ignored: usize,
}

/// How many problems each can mend, by their remedies. What has none is told by nobody's count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mending {
    pub you: usize,
    pub organiser: usize,
    pub it: usize,
}

impl Mending {
    fn count(&mut self, finding: &Finding) {
        match finding.remedy.as_ref().map(|remedy| remedy.by) {
            None => {}
            Some(By::You) => self.you += 1,
            Some(By::Organiser) => self.organiser += 1,
            Some(By::It) => self.it += 1,
        }
    }
}

/// Everything doctor found on one target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub schema_version: u32,
    pub target: String,
    pub ready: bool,
    pub counts: Counts,
    pub to_mend: Mending,
    /// What to know of the whole, such as that the facts were saved with another declaration.
    pub notes: Vec<String>,
    /// Whether warnings are problems here.
    pub strict: bool,
    /// In the order of `needs`: a cause stands before what follows from it.
    pub checks: Vec<Finding>,
}

impl Report {
    #[must_use]
    pub fn new(target: impl Into<String>, checks: Vec<Finding>) -> Self {
        let mut counts = Counts::default();
        let mut to_mend = Mending::default();
        for check in &checks {
            *match check.status {
                _ if check.is_ignored() => &mut counts.ignored,
                Status::Pass => &mut counts.pass,
                Status::Warn => &mut counts.warn,
                Status::Fail => &mut counts.fail,
                Status::Skip => &mut counts.skip,
                Status::Unknown => &mut counts.unknown,
            } += 1;
            if check.is_wrong() {
                to_mend.count(check);
            }
        }
        Self {
            schema_version: SCHEMA_VERSION,
            target: target.into(),
            ready: counts.fail == 0 && counts.unknown == 0 && counts.skip == 0,
            counts,
            to_mend,
            notes: Vec::new(),
            strict: false,
            checks,
        }
    }

    /// The same report with warnings counted as problems: ready is only what has none.
    #[must_use]
    pub fn strictly(mut self) -> Self {
        self.strict = true;
        self.ready &= self.counts.warn == 0;
        let counts = |check: &&Finding| check.status == Status::Warn && !check.is_ignored();
        for check in self.checks.iter().filter(counts) {
            self.to_mend.count(check);
        }
        self
    }

    /// Whether this finding keeps the target from being ready.
    #[must_use]
    pub fn is_problem(&self, finding: &Finding) -> bool {
        finding.is_wrong() || self.strict && finding.status == Status::Warn && !finding.is_ignored()
    }

    /// How many findings keep the target from being ready, beside what is skipped because of them.
    #[must_use]
    pub fn problems(&self) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| self.is_problem(check)).count()
    }

    /// The problem to begin with: in the order of `needs`, a failure or what has no answer before a warning.
    #[must_use]
    pub fn first_problem(&self) -> Option<&Finding> {
        let wrong = self.checks.iter().find(|check| check.is_wrong());
        wrong.or_else(|| self.checks.iter().find(|check| self.is_problem(check)))
    }

    /// Whether something is known to be wrong, rather than not known at all.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.counts.fail > 0 || self.strict && self.counts.warn > 0
    }

    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.has_failed() {
            ExitCode::Failed
        } else if self.ready {
            ExitCode::Ready
        } else {
            ExitCode::Undetermined
        }
    }
}
