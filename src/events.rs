//! What happened, as data. Everything a person or a machine sees while work goes on is told from it.

use std::sync::Arc;
use std::time::Duration;

/// One thing that happened during a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A longer step begins: what is being done now, in the present participle.
    StepStarted {
        step: String,
    },
    /// The step is under way. `fraction` runs from 0 to 1 where it is known.
    StepProgress {
        step: String,
        detail: String,
        fraction: Option<f64>,
    },
    StepFinished {
        step: String,
        took: Duration,
    },
    StepFailed {
        step: String,
        reason: String,
    },
    /// Something the person should know, and need not act on.
    Note {
        text: String,
    },
    /// Something the person may have to act on.
    Warning {
        text: String,
    },
    /// Only with `-v`: commands, counts, timings.
    Detail {
        text: String,
    },
}

/// Where events go. Cheap to clone.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    pub fn to(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Nobody listens.
    #[must_use]
    pub fn nowhere() -> Self {
        Self::to(|_| {})
    }

    pub fn emit(&self, event: Event) {
        (self.0)(event);
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
