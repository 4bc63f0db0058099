//! Checks that everything is ready, and says how to mend what is not.

mod fix;
mod look;
mod offline;

use super::Environment;
use super::boxes::Remote;
use super::room::{Ended, Room, Turn};
use crate::cli;
use crate::doctor::report::{Finding, Report};
use crate::doctor::saved::Saved;
use crate::doctor::select::Selection;
use crate::doctor::share::shareable;
use crate::doctor::unknown;
use crate::error::{Error, ErrorKind, ExitCode, Result};
use crate::events::BoxResult;
use crate::output::{Format, can_be_written, to_file};
use crate::resources::Context;
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
    check_files(environment, options)?;
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
        let is_alone = turn.is_alone();
        let looked = look::until_ready(environment, &workshop, target, is_alone, options).await;
        drop(turn);
        looked
    };
    let ended = |target: &Target, looked: &Result<Looked>| {
        let (exit_code, summary) = match looked {
            Ok(looked) => (looked.told.exit_code(), look::reason(&looked.told)),
            Err(error) => (error.exit_code(), error.to_string()),
        };
        let result = match report_of(&target.to_string(), looked) {
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
        .iter()
        .map(|(target, looked)| report_of(target, looked));
    let reports: Vec<Report> = told.collect::<Result<_>>()?;
    environment.tell(|output| output.doctor(&reports))?;
    let saved = looked.iter().find_map(|(_, looked)| looked.as_ref().ok());
    write_files(environment, options, &reports, saved.map(|it| &it.saved))?;
    Ok(code)
}

/// The report of one look, as it is told. What was not tried has one, too.
fn report_of(target: &str, looked: &Result<Looked>) -> Result<Report> {
    match looked {
        Ok(looked) => Ok(looked.told.clone()),
        Err(error) if error.kind == ErrorKind::NotTried => Ok(unknown(target, error)),
        Err(error) => Err(error.clone()),
    }
}

/// A report of what was found, narrowed and counted as the options have it.
fn reported(context: Context, findings: Vec<Finding>, options: &cli::Doctor) -> Result<Report> {
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
    if matches!(environment.global.format, Format::Junit | Format::Markdown) {
        return Err(
            Error::usage("the list of checks has no such format").hint("take `--format json`")
        );
    }
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

/// Refuses what `--report` and `--save` could not write at the end, before anything is asked.
fn check_files(environment: &Environment, options: &cli::Doctor) -> Result<()> {
    let reports = options.report.iter().map(|(_, file)| file);
    for file in reports.chain(&options.save) {
        can_be_written(&environment.folder.join(file))?;
    }
    Ok(())
}

/// Writes the files of `--report` and `--save`.
fn write_files(
    environment: &Environment,
    options: &cli::Doctor,
    reports: &[Report],
    saved: Option<&Saved>,
) -> Result<()> {
    for (format, file) in &options.report {
        let file = environment.folder.join(file);
        to_file(&file, *format, reports, environment.global.verbose)?;
    }
    if let (Some(file), Some(saved)) = (&options.save, saved) {
        saved.write(&environment.folder.join(file))?;
    }
    Ok(())
}
