//! Everything that a person or a program sees, told from data. Nothing here decides an exit code.
//!
//! Results go to stdout, progress and messages to stderr; with `--format json` stdout holds exactly one
//! document. The renderers in [`human`] and [`json`] write to any [`io::Write`]; [`Output`] gives them the
//! real streams.

pub mod confirm;
pub mod explain;
mod hidden;
pub mod human;
pub mod json;
pub mod junit;
pub mod lint;
pub mod markdown;
pub mod progress;
pub mod stream;
pub mod style;
pub mod text;

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::ValueEnum;
use serde::Serialize;

use crate::doctor::catalogue::System;
use crate::doctor::fix::{self, Fixed, Offer};
use crate::doctor::report::Report;
use crate::doctor::select::ListedCheck;
use crate::error::{Error, Result};
use crate::events::{Event, Events, SCHEMA_VERSION};
use crate::provision::outcome::{Outcome, Up};
use crate::secret::Secret;
use crate::target::TargetRow;
pub use lint::Linted;
use progress::Progress;
use style::{ColorWhen, Stream, Style};

/// Whom the results are for: the values of `--format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for a person
    #[default]
    Human,
    /// One JSON document for a program
    Json,
    /// One JSON document a line, as things happen; the result is the last
    Ndjson,
    /// JUnit's XML, for a build server
    Junit,
    /// Markdown, to paste into a page or an issue
    Markdown,
}

/// How much is told: `-q`, nothing, `-v`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// No progress and no notes: warnings and errors only.
    Quiet,
    #[default]
    Normal,
    /// All checks, commands, counts and timings.
    Verbose,
}

/// What a command did that has no more to tell: `init`, `down`, `destroy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    pub schema_version: u32,
    /// The subcommand.
    pub command: String,
    pub target: Option<String>,
    /// One sentence.
    pub message: String,
    /// Files that were written, and what else the sentence is about.
    pub paths: Vec<String>,
    /// What to do next, in the manner of [`Error::hints`].
    pub hints: Vec<String>,
}

impl Done {
    pub fn new(command: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            command: command.into(),
            target: None,
            message: message.into(),
            paths: Vec::new(),
            hints: Vec::new(),
        }
    }
}

/// Where everything is told, in the format and the colours that were asked for.
#[derive(Clone, Debug)]
pub struct Output {
    format: Format,
    verbosity: Verbosity,
    stdout: Style,
    stderr: Style,
    /// Whether stdout has its JSON document: there is only one.
    told: Arc<AtomicBool>,
    /// What the run's events have told of its result.
    run: Arc<Mutex<json::Run>>,
}

impl Output {
    #[must_use]
    pub fn new(format: Format, color: ColorWhen, verbosity: Verbosity) -> Self {
        Self {
            format,
            verbosity,
            stdout: Style::detect(color, Stream::Stdout),
            stderr: Style::detect(color, Stream::Stderr),
            told: Arc::default(),
            run: Arc::default(),
        }
    }

    /// Tells on stderr how work goes, until it is dropped.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress::on_stderr(self.stderr, self.verbosity)
    }

    /// Where events go: to the terminal, to stdout where they were asked for there, and into the log.
    #[must_use]
    pub fn events(&self, progress: &Progress, log: Option<stream::Log>) -> Events {
        let (terminal, told) = (progress.events(), self.told.clone());
        let streams = self.format == Format::Ndjson;
        let run = self.run.clone();
        Events::told_to(move |event| {
            locked(&run).hear(&event);
            if let Some(log) = &log {
                log.tell(&event);
            }
            if streams {
                let ends = matches!(event.event, Event::RunFailed { .. });
                if !(ends && told.swap(true, Ordering::Relaxed)) {
                    // Where stdout is gone the work goes on, and its result cannot be told either.
                    let _ = to_stdout(|out| stream::event(out, stream::now(), &event));
                }
            }
            terminal.tell(event);
        })
    }

    /// Events of which nothing but the result is told.
    #[must_use]
    pub fn result_events(&self) -> Events {
        let run = self.run.clone();
        Events::told_to(move |told| locked(&run).hear(&told))
    }

    /// What doctor found, on one target or several.
    pub fn doctor(&self, reports: &[Report]) -> Result<()> {
        self.run_result(|out| told(out, self.format, &self.stdout, reports, self.verbose()))
    }

    /// What was found in people's files: one like one's own box, several as a table, with `-v` each of them too.
    pub fn people(&self, reports: &[Report]) -> Result<()> {
        self.result(|out| match self.format {
            Format::Human if reports.len() > 1 => {
                human::people(out, &self.stdout, reports, self.verbose())
            }
            format => told(out, format, &self.stdout, reports, self.verbose()),
        })
    }

    /// What doctor mended on each target and what it found afterwards, or why it could not.
    pub fn fixed(&self, fixed: &[(String, Result<Fixed>)]) -> Result<()> {
        let told_here = self.format == Format::Human || self.is_for_programs();
        for (_, ended) in fixed {
            if let (false, Err(error)) = (told_here, ended) {
                self.error(error);
            }
        }
        let reports = || -> Vec<Report> {
            let report = |(target, fixed): &(String, _)| fix::report_of(target, fixed);
            fixed.iter().map(report).collect()
        };
        self.run_result(|out| match self.format {
            Format::Human => human::fixed(out, &self.stdout, fixed, self.verbose()),
            format => told(out, format, &self.stdout, &reports(), self.verbose()),
        })
    }

    /// One change that doctor could make, before it asks.
    pub fn proposal(&self, offer: &Offer) -> Result<()> {
        let render = |out: &mut dyn Write, style: &Style| human::offer(out, style, offer);
        if self.format == Format::Human {
            to_stdout(|out| render(out, &self.stdout))
        } else {
            to_stderr(|out| render(out, &self.stderr));
            Ok(())
        }
    }

    /// The checks that there are.
    pub fn checks(&self, checks: &[ListedCheck]) -> Result<()> {
        self.result(|out| match self.format {
            Format::Json | Format::Ndjson => json::checks(out, checks),
            _ => human::checks(out, &self.stdout, checks),
        })
    }

    /// What `explain` has to say, with the commands of this system.
    pub fn explain(&self, explanation: &explain::Explanation, system: System) -> Result<()> {
        self.result(|out| match self.format {
            Format::Json | Format::Ndjson => explain::json(out, explanation, system),
            _ => explain::human(out, &self.stdout, explanation, system),
        })
    }

    /// What provision is about to do. With `--format json` it goes to stderr: stdout is for the one
    /// document that [`Output::provision`] writes.
    pub fn plan(&self, outcome: &Outcome, differences: bool) -> Result<()> {
        match self.format {
            Format::Human => to_stdout(|out| human::plan(out, &self.stdout, outcome, differences)),
            _ => {
                to_stderr(|out| human::plan(out, &self.stderr, outcome, differences));
                Ok(())
            }
        }
    }

    /// The same for several boxes, before the one question about all of them.
    pub fn room_plan(&self, plans: &[Outcome], differences: bool) -> Result<()> {
        match self.format {
            Format::Human => {
                to_stdout(|out| human::room_plan(out, &self.stdout, plans, differences))
            }
            _ => {
                to_stderr(|out| human::room_plan(out, &self.stderr, plans, differences));
                Ok(())
            }
        }
    }

    /// What provision did, or what it would do where an outcome was not applied.
    pub fn provision(
        &self,
        outcomes: &[(String, Result<Outcome>)],
        differences: bool,
    ) -> Result<()> {
        let verbose = self.verbose();
        self.run_result(|out| human::provision(out, &self.stdout, outcomes, differences, verbose))
    }

    /// What `up` did.
    pub fn up(&self, boxes: &[(String, Result<Up>)]) -> Result<()> {
        self.run_result(|out| human::up(out, &self.stdout, boxes, self.verbose()))
    }

    /// The targets that this folder knows.
    pub fn targets(&self, targets: &[TargetRow]) -> Result<()> {
        self.result(|out| match self.format {
            Format::Json | Format::Ndjson => json::targets(out, targets),
            _ => human::targets(out, &self.stdout, targets),
        })
    }

    /// What is wrong with the workshop itself.
    pub fn lint(&self, linted: &Linted) -> Result<()> {
        self.result(|out| match self.format {
            Format::Json | Format::Ndjson => json::lint(out, linted),
            _ => lint::linted(out, &self.stdout, linted),
        })
    }

    /// What a command did that has no more to tell.
    pub fn done(&self, done: &Done) -> Result<()> {
        self.result(|out| match self.format {
            Format::Json | Format::Ndjson => json::done(out, done),
            _ => human::done(out, &self.stdout, done),
        })
    }

    /// Why the run ended. People read it on stderr; with `--format json` it is also the document on stdout,
    /// unless a result stands there already.
    pub fn error(&self, error: &Error) {
        to_stderr(|out| human::error(out, &self.stderr, error));
        if self.is_for_programs() && !self.told.swap(true, Ordering::Relaxed) {
            let failed = Event::RunFailed {
                error: error.clone(),
            };
            // Where stdout is gone as well, nobody is left to tell.
            let _ = to_stdout(|out| match self.format {
                Format::Ndjson => stream::event(out, stream::now(), &failed.into()),
                _ => json::error(out, error),
            });
        }
    }

    /// A yes or no from the person at the terminal; `None` where nobody is there.
    #[must_use]
    pub fn confirm(&self, question: &str) -> Option<bool> {
        confirm::ask(&self.stderr, question)
    }

    /// Whether a question would be seen by somebody who can answer it.
    #[must_use]
    pub fn somebody_is_there(&self) -> bool {
        confirm::somebody_is_there()
    }

    /// A passphrase from the person at the terminal, not shown; `None` where nobody is there.
    #[must_use]
    pub fn passphrase(&self, question: &str) -> Option<Secret> {
        confirm::passphrase(&self.stderr, question)
    }

    /// The result of a run over boxes: for a program the document that its events make.
    fn run_result(&self, render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        self.result(|out| match self.is_for_programs() {
            true => json::run(out, &locked(&self.run)),
            false => render(out),
        })
    }

    fn result(&self, render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let told = self.told.swap(true, Ordering::Relaxed);
        debug_assert!(
            self.format == Format::Human || !told,
            "a run tells one document"
        );
        to_stdout(|out| match self.format {
            Format::Ndjson => stream::result(out, stream::now(), &buffered(render)?),
            _ => render(out),
        })
    }

    /// Whether a result is a JSON document, or holds one.
    fn is_for_programs(&self) -> bool {
        matches!(self.format, Format::Json | Format::Ndjson)
    }

    fn verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }
}

fn locked(run: &Mutex<json::Run>) -> MutexGuard<'_, json::Run> {
    run.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What doctor found, in any of the formats.
pub fn told(
    out: &mut dyn Write,
    format: Format,
    style: &Style,
    reports: &[Report],
    verbose: bool,
) -> io::Result<()> {
    match format {
        Format::Human => human::reports(out, style, reports, verbose),
        Format::Json | Format::Ndjson => json::reports(out, reports),
        Format::Junit => junit::reports(out, reports),
        Format::Markdown => markdown::reports(out, reports),
    }
}

/// Tells before a run, which may be long, whether it will be able to write this file at its end.
///
/// # Errors
/// Where it will not.
pub fn can_be_written(file: &Path) -> Result<()> {
    let is_new = match std::fs::metadata(file) {
        Ok(found) if !found.is_file() && !found.is_dir() => return Ok(()), // A pipe waits for its reader.
        found => found.is_err(),
    };
    let opened = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(file);
    opened.map_err(|error| {
        Error::usage(format!("{} cannot be written", file.display()))
            .because(error)
            .hint("name a file in a folder that is there and that you may write to")
    })?;
    if is_new {
        // Whatever keeps it from going is in nobody's way: the run writes it.
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}

/// Writes what doctor found into a file, beside what is told.
pub fn to_file(file: &Path, format: Format, reports: &[Report], verbose: bool) -> Result<()> {
    buffered(|out| told(out, format, &Style::PLAIN, reports, verbose))
        .and_then(|bytes| std::fs::write(file, bytes))
        .map_err(|error| {
            Error::failed(format!("{} could not be written", file.display())).because(error)
        })
}

/// Writes a result to stdout at one go. A reader that went away, such as `head`, is no error.
pub fn to_stdout(render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let written = buffered(render).and_then(|bytes| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&bytes)?;
        stdout.flush()
    });
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::failed("The result could not be written to stdout").because(error))
        }
        _ => Ok(()),
    }
}

/// Writes a message to stderr. Where that fails nobody is left to tell.
pub fn to_stderr(render: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let _ = buffered(render).and_then(|bytes| io::stderr().lock().write_all(&bytes));
}

fn buffered(render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    render(&mut bytes)?;
    Ok(bytes)
}
