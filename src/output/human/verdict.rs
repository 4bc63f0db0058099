//! The one thing to know about a target, and about several.

use std::io::{self, Write};

use super::parts::{bracketed, label, number, number_were, symbol, table};
use super::report::blocks;
use crate::doctor::report::{Counts, Report, Status};
use crate::output::style::{Label, Style, Text};

pub(super) fn total(counts: Counts) -> String {
    let judged = counts.pass + counts.warn + counts.fail + counts.skip + counts.unknown;
    let all = judged + counts.ignored;
    format!("{}: {}", number(all, "check"), tally(counts, true))
}

/// The outcomes that occurred, as "20 pass, 1 fail".
fn tally(counts: Counts, with_passes: bool) -> String {
    let words = [
        (counts.pass * usize::from(with_passes), "pass"),
        (counts.warn, "warn"),
        (counts.fail, "fail"),
        (counts.unknown, "unknown"),
        (counts.skip, "skip"),
        (counts.ignored, "ignored"),
    ];
    let words: Vec<String> = words
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    words.join(", ")
}

/// The one thing to know about a target.
pub(super) fn verdict(report: &Report) -> (Label, String) {
    let Counts {
        warn,
        fail,
        skip,
        unknown,
        ..
    } = report.counts;
    let first = report.checks.iter().find(|check| blocks(check));
    match first {
        Some(first) if fail > 0 => (
            Label::Fail,
            format!(
                "{} to solve before the workshop: start with {} above.",
                number(fail + unknown, "problem"),
                bracketed(&first.id)
            ),
        ),
        Some(first) => (
            Label::Unknown,
            format!(
                "Could not tell: {} no answer, start with {} above.",
                if unknown == 1 {
                    "1 check has".to_owned()
                } else {
                    format!("{unknown} checks have")
                },
                bracketed(&first.id)
            ),
        ),
        None if skip > 0 => (
            Label::Unknown,
            format!("Could not tell: {} skipped.", number_were(skip, "check")),
        ),
        None if warn > 0 => (
            Label::Warn,
            format!("Ready for the workshop, with {}.", number(warn, "warning")),
        ),
        None => (Label::Pass, "Ready for the workshop.".to_owned()),
    }
}

/// The one thing to know about several targets.
pub(super) fn verdict_on_all(reports: &[Report]) -> (Label, String) {
    let Some(worst) = reports
        .iter()
        .filter(|report| !report.ready)
        .rev()
        .max_by_key(|report| (report.counts.fail > 0, report.counts.unknown > 0))
    else {
        let warnings = reports.iter().map(|report| report.counts.warn).sum();
        let all = format!(
            "Ready for the workshop: all {}",
            number(reports.len(), "target")
        );
        return if warnings == 0 {
            (Label::Pass, format!("{all}."))
        } else {
            (
                Label::Warn,
                format!("{all}, with {}.", number(warnings, "warning")),
            )
        };
    };
    let not_ready = reports.iter().filter(|report| !report.ready).count();
    let start = match worst.checks.iter().find(|check| blocks(check)) {
        Some(first) => format!(" with {}", bracketed(&first.id)),
        None => String::new(),
    };
    let (label, what) = match not_ready {
        _ if worst.counts.fail == 0 => (Label::Unknown, "could not be judged"),
        1 => (Label::Fail, "is not ready"),
        _ => (Label::Fail, "are not ready"),
    };
    let verdict = format!(
        "{not_ready} of {} {what}: start{start} of {} above.",
        number(reports.len(), "target"),
        worst.target
    );
    (label, verdict)
}

pub(super) fn reports_table(
    out: &mut dyn Write,
    style: &Style,
    reports: &[Report],
) -> io::Result<()> {
    let rows: Vec<[Text; 4]> = reports
        .iter()
        .map(|report| {
            let first = report.checks.iter().find(|check| blocks(check));
            let (status, word) = match report.counts {
                _ if report.ready && report.counts.warn > 0 => (Status::Warn, "ready"),
                _ if report.ready => (Status::Pass, "ready"),
                counts if counts.fail > 0 => (Status::Fail, "not ready"),
                _ => (Status::Unknown, "unknown"),
            };
            let verdict = format!("{} {word}", style.symbol(symbol(status)));
            [
                Text::of(label(status), verdict),
                Text::new().plain(&report.target),
                Text::new().plain(tally(report.counts, false)),
                Text::of(Label::Dim, first.map_or("", |check| check.id.as_str())),
            ]
        })
        .collect();
    table(
        out,
        style,
        ["Result", "Target", "Not passed", "Start with"],
        &rows,
    )
}
