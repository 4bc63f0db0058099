//! Judges what was seen elsewhere: one file like one's own box, several as a table.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Saved, reported, shared, write_files};
use crate::cli;
use crate::commands::Environment;
use crate::date;
use crate::doctor::report::Report;
use crate::doctor::{self, unknown};
use crate::error::{ExitCode, Result};
use crate::facts::Facts;
use crate::workshop::Workshop;

pub fn run(
    environment: &Environment,
    workshop: &Workshop,
    options: &cli::Doctor,
) -> Result<ExitCode> {
    let names = names(&options.from);
    let files = options.from.iter().zip(&names);
    let reports: Vec<Report> = files
        .map(|(file, name)| judged(environment, workshop, file, name, options))
        .collect::<Result<_>>()?;
    environment.tell(|output| output.people(&reports))?;
    write_files(environment, options, &reports, None)?;
    Ok(ExitCode::worst(reports.iter().map(Report::exit_code)))
}

fn judged(
    environment: &Environment,
    workshop: &Workshop,
    file: &Path,
    name: &str,
    options: &cli::Doctor,
) -> Result<Report> {
    let saved = match Saved::read(&environment.folder.join(file)) {
        // One wrong file of forty hides none of the others.
        Err(error) if options.from.len() > 1 && !options.share => return Ok(unknown(name, &error)),
        saved => saved?,
    };
    let context = saved.context(workshop);
    let facts = Facts::new(saved.records.clone());
    let mut report = reported(context, doctor::judge(context, &facts), options)?;
    report.notes.extend(saved.differs_from(workshop));
    if options.from.len() > 1 {
        name.clone_into(&mut report.target);
    }
    let mut report = shared(report, context, options);
    report.notes.extend(saved.age(date::seconds_since_1970()));
    Ok(report)
}

/// What each file is called in a table: every attendee's box has the same name, and their files have not. Those that
/// have come with their folder.
fn names(files: &[PathBuf]) -> Vec<String> {
    let stem = |file: &PathBuf| file.file_stem().unwrap_or(file.as_os_str()).to_owned();
    let stems: Vec<_> = files.iter().map(stem).collect();
    let name = |(file, stem): (&PathBuf, &OsString)| {
        let is_alone = stems.iter().filter(|other| *other == stem).count() == 1;
        match is_alone {
            true => stem.to_string_lossy().into_owned(),
            false => file.with_extension("").display().to_string(),
        }
    };
    files.iter().zip(&stems).map(name).collect()
}
