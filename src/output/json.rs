//! What a program sees: exactly one JSON document a run, on stdout.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;

use super::{Done, Linted};
use crate::doctor::report::Report;
use crate::doctor::select::ListedCheck;
use crate::error::Error;
use crate::events::{BoxResult, Event, SCHEMA_VERSION, Told};
use crate::target::TargetRow;

#[derive(Serialize)]
struct Several<'a, T> {
    schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<bool>,
    targets: &'a [T],
}

#[derive(Serialize)]
struct Ended<'a> {
    schema_version: u32,
    error: &'a Error,
}

/// One target of several that something was done to.
#[derive(Serialize)]
#[serde(untagged)]
enum OfTarget<'a> {
    Done(&'a BoxResult),
    Error { target: &'a str, error: &'a Error },
}

/// What doctor found: the report itself for one target, a list for several.
pub fn reports(out: &mut dyn Write, reports: &[Report]) -> io::Result<()> {
    match reports {
        [report] => document(out, report),
        _ => document(
            out,
            &Several {
                schema_version: SCHEMA_VERSION,
                ready: Some(reports.iter().all(|report| report.ready)),
                targets: reports,
            },
        ),
    }
}

/// The checks that there are.
pub fn checks(out: &mut dyn Write, checks: &[ListedCheck]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Checks<'a> {
        schema_version: u32,
        checks: &'a [ListedCheck],
    }
    document(
        out,
        &Checks {
            schema_version: SCHEMA_VERSION,
            checks,
        },
    )
}

/// What a run over boxes has told of its result so far.
#[derive(Debug, Default)]
pub struct Run {
    command: String,
    /// In the order of the summary.
    targets: Vec<Arc<str>>,
    results: HashMap<Arc<str>, Arc<BoxResult>>,
}

impl Run {
    /// Takes notice of an event.
    pub fn hear(&mut self, told: &Told) {
        match (&told.event, &told.target) {
            (Event::RunStarted { command, targets }, _) => {
                self.command.clone_from(command);
                self.targets = targets.iter().map(|it| it.as_str().into()).collect();
            }
            (Event::BoxFinished { result, .. }, Some(target)) => {
                self.results.insert(target.clone(), result.clone());
            }
            _ => {}
        }
    }

    fn boxes(&self) -> impl Iterator<Item = (&str, &BoxResult)> {
        self.targets.iter().filter_map(|target| {
            let result = self.results.get(target)?;
            Some((&**target, &**result))
        })
    }
}

/// What came of a run over boxes: the document of the one box, or a list for several.
pub fn run(out: &mut dyn Write, run: &Run) -> io::Result<()> {
    let boxes: Vec<_> = run.boxes().collect();
    debug_assert_eq!(boxes.len(), run.targets.len(), "every box has ended");
    match &boxes[..] {
        [(_, BoxResult::Error { error, .. })] => self::error(out, error),
        [(_, result)] => document(out, result),
        _ => {
            let is_ready = || boxes.iter().all(|(_, result)| result.is_ready());
            let targets = boxes.iter().map(|(target, result)| match result {
                BoxResult::Error { error, .. } => OfTarget::Error { target, error },
                done => OfTarget::Done(done),
            });
            let targets: Vec<_> = targets.collect();
            document(
                out,
                &Several {
                    schema_version: SCHEMA_VERSION,
                    ready: (run.command == "doctor").then(is_ready),
                    targets: &targets,
                },
            )
        }
    }
}

/// The targets that this folder knows.
pub fn targets(out: &mut dyn Write, targets: &[TargetRow]) -> io::Result<()> {
    several(out, targets)
}

/// What is wrong with the workshop itself.
pub fn lint(out: &mut dyn Write, linted: &Linted) -> io::Result<()> {
    document(out, linted)
}

/// What a command did that has no more to tell.
pub fn done(out: &mut dyn Write, done: &Done) -> io::Result<()> {
    document(out, done)
}

/// An error, as the one document of a run that ended with it.
pub fn error(out: &mut dyn Write, error: &Error) -> io::Result<()> {
    document(
        out,
        &Ended {
            schema_version: SCHEMA_VERSION,
            error,
        },
    )
}

fn several<T: Serialize>(out: &mut dyn Write, targets: &[T]) -> io::Result<()> {
    document(
        out,
        &Several {
            schema_version: SCHEMA_VERSION,
            ready: None,
            targets,
        },
    )
}

pub(super) fn document(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    // Rendered whole before the first byte is written: a document is there, or it is not.
    let mut rendered = serde_json::to_vec_pretty(value)?;
    rendered.push(b'\n');
    out.write_all(&rendered)
}
