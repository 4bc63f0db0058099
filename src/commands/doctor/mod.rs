//! Checks that everything is ready, and says how to mend what is not.

mod fix;
mod look;
mod offline;

use std::path::PathBuf;
use std::time::Duration;

use super::Environment;
use super::boxes::Remote;
use super::room::{Ended, Room, Turn};
use crate::cli;
use crate::doctor::report::{Finding, Report, Scope, Status};
use crate::doctor::saved::Saved;
use crate::doctor::select::Selection;
use crate::doctor::share::shareable;
use crate::error::{Error, ErrorKind, ExitCode, Result};
use crate::events::BoxResult;
use crate::output::to_file;
use crate::resources::Context;
use crate::resources::system::REACHED;
use crate::target::{Purpose, Target};
use crate::workshop::{Secrets, Workshop};
use look::Looked;

/// Only who logs in to the box's database needs its password.
fn secrets(options: &cli::Doctor) -> Secrets {
    if options.before || options.list || !options.from.is_empty() {
        Secrets::Leave
    } else {
        Secrets::Read
    }
}

pub async fn run(environment: &Environment, options: &cli::Doctor) -> Result<ExitCode> {
    let workshop = environment.workshop(secrets(options)).await?;
    if !options.from.is_empty() {
        return offline::run(environment, &workshop, options);
    }
    let targets = environment.several_targets(&workshop, Purpose::Use, &options.several)?;
    if options.list {
        return list(environment, &workshop, &targets, options).await;
    }
    if options.save.is_some() && targets.len() > 1 {
        return Err(Error::usage(
            "--save takes one --target only: a file is one machine's",
        ));
    }
    if options.fix {
        return fix::run(environment, &workshop, &targets, options).await;
    }
    let room = Room::new(environment, &targets, &options.several);
    let work = async |target, turn: Turn<'_>| {
        let looked = look::until_ready(environment, &workshop, target, options).await;
        drop(turn);
        told(looked?, options)
    };
    // What was not tried has a report too, but where somebody stopped the run.
    let as_told = |target: &str, report: Result<Report>| match report {
        Err(error)
            if error.kind == ErrorKind::Interrupted && environment.interrupts.asked() == 0 =>
        {
            Ok(not_tried(target, &error))
        }
        report => report,
    };
    let ended = |target: &Target, report: &Result<Report>| {
        let (exit_code, summary) = match report {
            Ok(report) => (report.exit_code(), look::reason(report)),
            Err(error) => (error.exit_code(), error.to_string()),
        };
        let result = match as_told(&target.to_string(), report.clone()) {
            Ok(report) => BoxResult::Doctor(report),
            Err(error) => error.into(),
        };
        Ended {
            exit_code,
            summary,
            result,
        }
    };
    let (looked, code) = room.each("doctor", work, ended).await;
    let told = looked
        .into_iter()
        .map(|(target, report)| as_told(&target, report));
    let reports: Vec<Report> = told.collect::<Result<_>>()?;
    environment.tell(|output| output.doctor(&reports))?;
    write_reports(environment, options, &reports)?;
    Ok(code)
}

/// The report on a box that nobody looked at, because too many others had failed.
fn not_tried(target: &str, error: &Error) -> Report {
    let finding = Finding {
        id: REACHED.id.to_owned(),
        title: REACHED.title.to_owned(),
        scope: Scope::Box,
        status: Status::Unknown,
        summary: error.to_string(),
        because: None,
        remedy: None,
        ignored: None,
        duration: Duration::ZERO,
    };
    Report::new(target, vec![finding])
}

/// The report of one look, as it is told; what was seen is saved beside it.
fn told(looked: Looked, options: &cli::Doctor) -> Result<Report> {
    if let Some(file) = &options.save {
        looked.saved.write(file)?;
    }
    Ok(looked.told)
}

/// A report of what was found, narrowed and counted as the options have it.
fn reported(
    context: Context,
    findings: Vec<crate::doctor::report::Finding>,
    options: &cli::Doctor,
) -> Result<Report> {
    let selection = Selection::new(&options.only, &options.skip, context)?;
    if context.before && findings.is_empty() {
        return Err(Error::usage(format!(
            "{} asks nothing of the laptop ahead of the workshop",
            context.target
        ))
        .hint("for a box of Vagrant's: `dwenv doctor --before --target vagrant`"));
    }
    let report = Report::new(context.target, selection.of(findings)?);
    Ok(if options.strict {
        report.strictly()
    } else {
        report
    })
}

fn shared(report: Report, context: Context, options: &cli::Doctor) -> Report {
    if options.share {
        shareable(&report, context)
    } else {
        report
    }
}

async fn list(
    environment: &Environment,
    workshop: &Workshop,
    targets: &[Target],
    options: &cli::Doctor,
) -> Result<ExitCode> {
    let [target] = targets else {
        return Err(Error::usage("--list takes one --target only"));
    };
    let remote = Remote::not_yet(environment, workshop, target, options.deadline).await;
    let context = Context {
        before: options.before,
        // Everything that can be asked, whenever it is.
        deep: true,
        ..remote.context()
    };
    let selection = Selection::new(&options.only, &options.skip, context)?;
    let checks = selection.list(context)?;
    environment.tell(|output| output.checks(&checks))?;
    Ok(ExitCode::Ready)
}

/// Writes the files of `--report`.
fn write_reports(
    environment: &Environment,
    options: &cli::Doctor,
    reports: &[Report],
) -> Result<()> {
    for (format, file) in &options.report {
        let file: PathBuf = environment.folder.join(file);
        to_file(&file, *format, reports, environment.global.verbose)?;
    }
    Ok(())
}
