//! What happened, as data. Everything a person or a machine sees while work goes on is told from it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::doctor::fix::Fixed;
use crate::doctor::report::{Remedy, Report};
use crate::error::Error;
use crate::provision::outcome::{Outcome, Up};

/// The version of every document and event that a program reads. A field that goes or changes its meaning raises
/// it; a new field does not.
pub const SCHEMA_VERSION: u32 = 1;

/// One thing that happened during a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run knows its boxes.
    RunStarted {
        /// The subcommand.
        command: String,
        /// As the person would write them, in the order of the summary.
        targets: Vec<String>,
    },
    /// Work on a box begins.
    BoxStarted,
    /// Work on a box is over.
    BoxFinished {
        /// The number that a run of this box alone would end with.
        exit_code: u8,
        /// What came of it, in one sentence.
        summary: String,
        #[serde(rename = "took_ms", serialize_with = "milliseconds")]
        took: Duration,
        result: Arc<BoxResult>,
    },
    /// The run ends without a result.
    RunFailed { error: Error },
    /// A longer step begins: what is being done now, such as `Install docker.io`.
    StepStarted { step: String },
    /// The step is under way. `fraction` runs from 0 to 1 where it is known.
    StepProgress {
        step: String,
        detail: String,
        fraction: Option<f64>,
    },
    StepFinished {
        step: String,
        #[serde(rename = "took_ms", serialize_with = "milliseconds")]
        took: Duration,
    },
    StepFailed {
        step: String,
        #[serde(flatten)]
        failure: Failure,
    },
    /// Something the person should know, and need not act on.
    Note { text: String },
    /// Something the person may have to act on.
    Warning { text: String },
    /// Only with `-v`: commands, counts, timings.
    Detail { text: String },
}

/// What came of one box, whole: the document of a run of this box alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum BoxResult {
    Provision(Outcome),
    Up(Up),
    Doctor(Report),
    Fix(Fixed),
    Error { schema_version: u32, error: Error },
}

impl BoxResult {
    /// Whether doctor looked, and found nothing that keeps the box from being used.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Doctor(report) => report.ready,
            Self::Fix(fixed) => fixed.after.ready,
            Self::Up(up) => up.doctor.as_ref().is_some_and(|report| report.ready),
            Self::Provision(_) | Self::Error { .. } => false,
        }
    }
}

impl From<Error> for BoxResult {
    fn from(error: Error) -> Self {
        Self::Error {
            schema_version: SCHEMA_VERSION,
            error,
        }
    }
}

/// Why a step failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// How it ended, and the last lines that were said before that.
    pub reason: String,
    /// The command that ended it, as it was run in the box; `None` where it was none, or which is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What is recognised in those lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
}

/// A failure that is known: a row of the catalogue, with its names filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// `dwenv explain` takes it.
    pub id: String,
    /// One sentence: why it happens.
    pub cause: String,
    pub remedy: Remedy,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self {
            reason,
            ..Self::default()
        }
    }
}

/// An event, and the box that it is of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// As the person would write it; `None` where it is of no box.
    pub target: Option<Arc<str>>,
    #[serde(flatten)]
    pub event: Event,
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        Self {
            target: None,
            event,
        }
    }
}

/// Where events go. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    sink: Arc<dyn Fn(Told) + Send + Sync>,
    target: Option<Arc<str>>,
}

impl Events {
    /// For who does not care which box an event is of.
    pub fn to(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self::told_to(move |told| sink(told.event))
    }

    pub fn told_to(sink: impl Fn(Told) + Send + Sync + 'static) -> Self {
        Self {
            sink: Arc::new(sink),
            target: None,
        }
    }

    /// Nobody listens.
    #[must_use]
    pub fn nowhere() -> Self {
        Self::to(|_| {})
    }

    /// To the same place, as events of this box.
    #[must_use]
    pub fn of(&self, target: &str) -> Self {
        Self {
            sink: self.sink.clone(),
            target: Some(target.into()),
        }
    }

    /// The box that these are events of.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    pub fn emit(&self, event: Event) {
        self.tell(Told {
            target: self.target.clone(),
            event,
        });
    }

    /// Passes an event on as it is.
    pub fn tell(&self, told: Told) {
        (self.sink)(told);
    }

    pub fn note(&self, text: impl Into<String>) {
        self.emit(Event::Note { text: text.into() });
    }

    pub fn warning(&self, text: impl Into<String>) {
        self.emit(Event::Warning { text: text.into() });
    }

    pub fn detail(&self, text: impl Into<String>) {
        self.emit(Event::Detail { text: text.into() });
    }
}

fn milliseconds<S: Serializer>(took: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}
