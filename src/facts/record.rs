//! Raw answers of probes, as they are saved and judged again elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Observed, Unobserved, program};

/// How asking one probe ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordStatus {
    /// It ran to its end with this exit status (0 for questions that are no commands).
    Done(i32),
    /// Whoever had to answer refused, in these words.
    Refused(String),
    /// It could not be asked at all, for this reason.
    Failed(String),
    /// It did not end within its deadline.
    TimedOut,
    /// The program to be asked is not there, or the record never came.
    Missing,
}

/// The raw answer of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub status: RecordStatus,
    pub output: String,
    /// How long the probe took, in milliseconds.
    pub duration_ms: u64,
}

impl Record {
    #[must_use]
    pub fn done(output: impl Into<String>) -> Self {
        Self {
            status: RecordStatus::Done(0),
            output: output.into(),
            duration_ms: 0,
        }
    }

    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Self {
        Self {
            status: RecordStatus::Refused(reason.into()),
            output: String::new(),
            duration_ms: 0,
        }
    }

    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self {
            status: RecordStatus::Failed(reason.into()),
            ..Self::refused("")
        }
    }

    #[must_use]
    pub fn timed_out() -> Self {
        Self {
            status: RecordStatus::TimedOut,
            output: String::new(),
            duration_ms: 0,
        }
    }
}

/// Every record of one target, with the laptop's clock at the time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// The laptop's clock when the box's records arrived, in seconds since 1970 (UTC).
    pub taken_at: u64,
    /// Whether the answers to the deep probes are among them.
    #[serde(default)]
    pub deep: bool,
    pub records: BTreeMap<String, Record>,
}

impl Records {
    pub fn insert(&mut self, probe: impl Into<String>, record: Record) {
        self.records.insert(probe.into(), record);
    }

    /// Adds the answers of a second asking. What was answered before stays as it was.
    pub fn add(&mut self, later: Self) {
        self.deep |= later.deep;
        for (probe, record) in later.records {
            self.records.entry(probe).or_insert(record);
        }
    }

    /// Whether the box's time was over before all was answered there.
    #[must_use]
    pub fn are_late(&self) -> bool {
        self.get(program::OVERDUE).is_some()
    }

    #[must_use]
    pub fn get(&self, probe: &str) -> Option<&Record> {
        self.records.get(probe)
    }

    #[must_use]
    pub fn duration(&self, probe: &str) -> Duration {
        Duration::from_millis(self.get(probe).map_or(0, |record| record.duration_ms))
    }

    /// The output of a probe that ran to its end successfully.
    pub fn text(&self, probe: &str) -> Observed<&str> {
        let unobserved = |reason: String| Err(Unobserved(reason));
        match self.get(probe) {
            None => unobserved(format!("no answer to the probe `{probe}`")),
            Some(record) => match &record.status {
                RecordStatus::Done(0) => Ok(&record.output),
                RecordStatus::Done(status) => unobserved(format!(
                    "the probe `{probe}` ended with status {status}: {}",
                    last_line(&record.output)
                )),
                RecordStatus::Refused(reason) | RecordStatus::Failed(reason) => {
                    unobserved(reason.clone())
                }
                RecordStatus::TimedOut => {
                    unobserved(format!("the probe `{probe}` did not end in time"))
                }
                RecordStatus::Missing => unobserved(format!(
                    "the program that the probe `{probe}` asks is not there"
                )),
            },
        }
    }

    /// The output of a probe that answers in JSON.
    pub fn json<T: DeserializeOwned>(&self, probe: &str) -> Observed<T> {
        let text = self.text(probe)?;
        serde_json::from_str(text).map_err(|error| {
            Unobserved(format!(
                "the answer to the probe `{probe}` is not understood: {error}"
            ))
        })
    }
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().last().unwrap_or("no output")
}
