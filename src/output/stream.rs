//! What happens, line by line as it happens: one JSON document each for a program, one sentence each for a log.

use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::human::duration;
use super::text::clean;
use crate::date::moment;
use crate::error::{Error, Result};
use crate::events::{Event, Failure, SCHEMA_VERSION, Told};

/// One line of `--format ndjson`.
#[derive(Serialize)]
struct Line<'a> {
    schema_version: u32,
    time: String,
    #[serde(flatten)]
    told: &'a Told,
}

/// The last line of a run that has a result.
#[derive(Serialize)]
struct Last {
    schema_version: u32,
    time: String,
    event: &'static str,
    /// What `--format json` would have told.
    document: serde_json::Value,
}

/// An event as a line of its own; `now` is the time since 1970.
pub fn event(out: &mut dyn Write, now: Duration, told: &Told) -> std::io::Result<()> {
    let line = Line {
        schema_version: SCHEMA_VERSION,
        time: moment(now),
        told,
    };
    writeln!(out, "{}", serde_json::to_string(&line)?)
}

/// The result as a line of its own; `json` is the document that `--format json` would have told.
pub fn result(out: &mut dyn Write, now: Duration, json: &[u8]) -> std::io::Result<()> {
    let line = Last {
        schema_version: SCHEMA_VERSION,
        time: moment(now),
        event: "result",
        document: serde_json::from_slice(json)?,
    };
    writeln!(out, "{}", serde_json::to_string(&line)?)
}

/// An event as it stands in a log; nothing where a log is better without.
#[must_use]
pub fn log_line(now: Duration, told: &Told) -> Option<String> {
    let text = match &told.event {
        Event::RunStarted { command, targets } => {
            let version = env!("CARGO_PKG_VERSION");
            format!("dwenv {version} {command} of {}", targets.join(", "))
        }
        Event::RunFailed { error } => {
            let hints = error.hints.iter().map(|hint| format!("\nhint: {hint}"));
            format!("error: {error}{}", hints.collect::<String>())
        }
        Event::BoxStarted => "begins".to_owned(),
        Event::BoxFinished {
            exit_code,
            summary,
            took,
            ..
        } => format!("ends with {exit_code} after {}: {summary}", duration(*took)),
        Event::StepStarted { step } => format!("{step}..."),
        // Every line that a program says is there as a detail.
        Event::StepProgress { .. } => return None,
        Event::StepFinished { step, took } => format!("done: {step} ({})", duration(*took)),
        Event::StepFailed { step, failure } => failed(step, failure),
        Event::Note { text } => format!("note: {text}"),
        Event::Warning { text } => format!("warning: {text}"),
        Event::Detail { text } => text.clone(),
    };
    let place = told.target.as_deref().unwrap_or("-");
    let lead = format!("{} {place} ", moment(now));
    let lines = clean(&text).trim_end().replace('\n', &format!("\n{lead}"));
    Some(format!("{lead}{lines}\n"))
}

fn failed(step: &str, failure: &Failure) -> String {
    let mut text = format!("failed: {step}: {}", failure.reason);
    if let Some(command) = &failure.command {
        text.push_str(&format!("\ncommand: {command}"));
    }
    if let Some(known) = &failure.known {
        let (cause, remedy) = (&known.cause, &known.remedy);
        text.push_str(&format!(
            "\ncause: {cause} [{}]\nremedy: {}",
            known.id, remedy.text
        ));
        for command in &remedy.commands {
            text.push_str(&format!("\n  {command}"));
        }
    }
    text
}

/// The file of `--log`.
#[derive(Debug)]
pub struct Log(Mutex<std::fs::File>);

impl Log {
    /// Lines are added to what is there already.
    ///
    /// # Errors
    /// When the file cannot be written to.
    pub fn open(file: &Path) -> Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        let opened = options.append(true).create(true).open(file);
        opened.map(|file| Self(Mutex::new(file))).map_err(|error| {
            Error::usage(format!("the log {} cannot be written to", file.display())).because(error)
        })
    }

    pub fn tell(&self, told: &Told) {
        if let Some(line) = log_line(now(), told) {
            let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk here is no reason to leave a box half made.
            let _ = file.write_all(line.as_bytes());
        }
    }
}

/// The time since 1970.
pub fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
