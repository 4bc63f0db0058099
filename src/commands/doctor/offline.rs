//! Judges what was seen elsewhere: one file like one's own box, several as a table.

use std::path::Path;

use super::{Saved, reported, shared, write_reports};
use crate::cli;
use crate::commands::Environment;
use crate::doctor;
use crate::doctor::report::Report;
use crate::error::{ExitCode, Result};
use crate::facts::Facts;
use crate::workshop::Workshop;

pub fn run(
    environment: &Environment,
    workshop: &Workshop,
    options: &cli::Doctor,
) -> Result<ExitCode> {
    let mut reports = Vec::new();
    for file in &options.from {
        reports.push(judged(environment, workshop, file, options)?);
    }
    environment.tell(|output| output.people(&reports))?;
    write_reports(environment, options, &reports)?;
    Ok(ExitCode::worst(reports.iter().map(Report::exit_code)))
}

fn judged(
    environment: &Environment,
    workshop: &Workshop,
    file: &Path,
    options: &cli::Doctor,
) -> Result<Report> {
    let saved = Saved::read(&environment.folder.join(file))?;
    let context = saved.context(workshop);
    let facts = Facts::new(saved.records.clone());
    let mut report = reported(context, doctor::judge(context, &facts), options)?;
    report.notes.extend(saved.differs_from(workshop));
    if options.from.len() > 1 {
        // Every attendee's box has the same name; their files have not.
        let name = file.file_stem().unwrap_or(file.as_os_str());
        report.target = name.to_string_lossy().into_owned();
    }
    Ok(shared(report, context, options))
}
