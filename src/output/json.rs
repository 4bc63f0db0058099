//! What a program sees: exactly one JSON document a run, on stdout.

use std::io::{self, Write};

use serde::Serialize;

use super::{Done, Linted, Listed, Up};
use crate::doctor::fix::Fixed;
use crate::doctor::report::Report;
use crate::doctor::select::Listed as ListedCheck;
use crate::error::{Error, Result};
use crate::provision::outcome::Outcome;

/// The version of every document here. A field that goes or changes its meaning raises it; a new field
/// does not.
pub const SCHEMA_VERSION: u32 = 1;

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
enum OfTarget<'a, T> {
    Done(&'a T),
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

/// What doctor mended on each target, with what it found afterwards.
pub fn fixed(out: &mut dyn Write, fixed: &[(String, Result<Fixed>)]) -> io::Result<()> {
    let is_ready = |fixed: &Result<Fixed>| matches!(fixed, Ok(fixed) if fixed.after.ready);
    match fixed {
        [(_, Ok(fixed))] => document(out, fixed),
        [(_, Err(error))] => self::error(out, error),
        _ => {
            let targets: Vec<OfTarget<'_, Fixed>> = fixed.iter().map(of_target).collect();
            document(
                out,
                &Several {
                    schema_version: SCHEMA_VERSION,
                    ready: Some(fixed.iter().all(|(_, fixed)| is_ready(fixed))),
                    targets: &targets,
                },
            )
        }
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

/// What provision planned or did, target by target; a target that could not be worked on has its error.
pub fn provision(out: &mut dyn Write, outcomes: &[(String, Result<Outcome>)]) -> io::Result<()> {
    match outcomes {
        [(_, Ok(outcome))] => document(out, outcome),
        [(_, Err(error))] => self::error(out, error),
        _ => {
            let targets: Vec<OfTarget<'_, Outcome>> = outcomes.iter().map(of_target).collect();
            several(out, &targets)
        }
    }
}

/// What `up` did.
pub fn up(out: &mut dyn Write, boxes: &[(String, Result<Up>)]) -> io::Result<()> {
    match boxes {
        [(_, Ok(up))] => document(out, up),
        [(_, Err(error))] => self::error(out, error),
        _ => {
            let targets: Vec<OfTarget<'_, Up>> = boxes.iter().map(of_target).collect();
            several(out, &targets)
        }
    }
}

fn of_target<T>((target, ended): &(String, Result<T>)) -> OfTarget<'_, T> {
    match ended {
        Ok(done) => OfTarget::Done(done),
        Err(error) => OfTarget::Error { target, error },
    }
}

/// The targets that this folder knows.
pub fn targets(out: &mut dyn Write, targets: &[Listed]) -> io::Result<()> {
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
