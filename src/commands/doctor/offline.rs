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
    let judged: Vec<(Report, Option<u64>)> = files
        .map(|(file, name)| judged(environment, workshop, file, name, options))
        .collect::<Result<_>>()?;
    let (mut reports, old): (Vec<_>, Vec<_>) = judged.into_iter().unzip();
    tell_age(&mut reports, &old);
    environment.tell(|output| output.people(&reports))?;
    write_files(environment, options, &reports, None)?;
    Ok(ExitCode::worst(reports.iter().map(Report::exit_code)))
}

/// Says of the oldest facts that are not of this hour when they were taken, each in seconds since 1970.
fn tell_age(reports: &mut [Report], old: &[Option<u64>]) {
    let count = old.iter().flatten().count();
    let dated = reports
        .iter_mut()
        .zip(old)
        .filter_map(|(report, taken)| Some((report, (*taken)?)));
    let Some((report, taken)) = dated.min_by_key(|(_, taken)| *taken) else {
        return;
    };
    let among = match count {
        1 => String::new(),
        count => format!(", the oldest of {count} that are not of this hour"),
    };
    let taken = date::minute(taken);
    let note = format!("Facts of {taken}{among}; what changed since is not seen.");
    report.notes.push(note);
}

/// A file's report, and when its facts were taken, where they are not of this hour.
fn judged(
    environment: &Environment,
    workshop: &Workshop,
    file: &Path,
    name: &str,
    options: &cli::Doctor,
) -> Result<(Report, Option<u64>)> {
    let saved = match Saved::read(&environment.folder.join(file)) {
        // One wrong file of forty hides none of the others.
        Err(error) if options.from.len() > 1 && !options.share => {
            return Ok((unknown(name, &error), None));
        }
        saved => saved?,
    };
    let context = saved.context(workshop);
    let facts = Facts::new(saved.records.clone());
    let mut report = reported(context, doctor::judge(context, &facts), options)?;
    report.notes.extend(saved.differs_from(workshop));
    if options.from.len() > 1 {
        name.clone_into(&mut report.target);
    }
    let taken = saved.records.taken_at;
    let is_old = saved.is_old(date::seconds_since_1970());
    Ok((shared(report, context, options), is_old.then_some(taken)))
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
