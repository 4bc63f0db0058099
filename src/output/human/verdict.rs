//! The one thing to know about a target, and about several.

use std::io::{self, Write};

use super::parts::{bracketed, label, number, number_were, symbol, table};
use crate::doctor::report::{Counts, Mending, Report, Status};
use crate::output::style::{Label, Style};
use crate::output::text::Text;

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

/// Who can mend how many problems, as "2 you, 1 company's IT"; empty where no remedy is known.
#[must_use]
pub fn mending(to_mend: Mending) -> String {
    let whose = [
        (to_mend.you, "you"),
        (to_mend.organiser, "organiser"),
        (to_mend.it, "company's IT"),
    ];
    let whose: Vec<String> = whose
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, who)| format!("{count} {who}"))
        .collect();
    whose.join(", ")
}

/// The one thing to know about a target, whose findings are told `above` or `below`.
#[must_use]
pub fn verdict(report: &Report, place: &str) -> (Label, String) {
    let Counts {
        warn,
        skip,
        unknown,
        ..
    } = report.counts;
    match report.first_problem() {
        Some(first) if report.has_failed() => {
            let Mending { organiser, it, .. } = report.to_mend;
            // That all of it is the reader's own goes without saying.
            let whose = match organiser + it {
                0 => String::new(),
                _ => format!(" ({})", mending(report.to_mend)),
            };
            let verdict = format!(
                "{} to solve before the workshop{whose}: start with {} {place}.",
                number(report.problems(), "problem"),
                bracketed(&first.id)
            );
            (Label::Fail, verdict)
        }
        Some(first) => (
            Label::Unknown,
            format!(
                "Could not tell: {} no answer, start with {} {place}.",
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

/// How bad it is: what is known to be wrong before what is not known, then by how much.
fn gravity(report: &Report) -> (bool, bool, usize) {
    (report.has_failed(), !report.ready, report.problems())
}

/// The one thing to know about several targets, and where to read more of it.
pub(super) fn verdict_on_all(reports: &[Report], above: &str) -> (Label, String) {
    let Some(worst) = reports
        .iter()
        .filter(|report| !report.ready)
        .rev()
        .max_by_key(|report| gravity(report))
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
    let start = match worst.first_problem() {
        Some(first) => format!(" with {}", bracketed(&first.id)),
        None => String::new(),
    };
    let (label, what) = match not_ready {
        _ if !worst.has_failed() => (Label::Unknown, "could not be judged"),
        1 => (Label::Fail, "is not ready"),
        _ => (Label::Fail, "are not ready"),
    };
    let sum = |of: fn(&Mending) -> usize| reports.iter().map(|report| of(&report.to_mend)).sum();
    let to_mend = Mending {
        you: sum(|by| by.you),
        organiser: sum(|by| by.organiser),
        it: sum(|by| by.it),
    };
    let whose = match to_mend.organiser + to_mend.it {
        0 => String::new(),
        _ => format!(" (to mend: {})", mending(to_mend)),
    };
    let verdict = format!(
        "{not_ready} of {} {what}{whose}: start{start} of {}{above}.",
        number(reports.len(), "target"),
        worst.target
    );
    (label, verdict)
}

/// A row for each, the worst first.
pub(super) fn reports_table(
    out: &mut dyn Write,
    style: &Style,
    reports: &[Report],
) -> io::Result<()> {
    let mut reports: Vec<&Report> = reports.iter().collect();
    reports.sort_by_key(|report| std::cmp::Reverse(gravity(report)));
    let rows: Vec<[Text; 5]> = reports
        .iter()
        .map(|report| {
            let (status, word) = match report.counts {
                _ if report.ready && report.counts.warn > 0 => (Status::Warn, "ready"),
                _ if report.ready => (Status::Pass, "ready"),
                _ if report.has_failed() => (Status::Fail, "not ready"),
                _ => (Status::Unknown, "unknown"),
            };
            let verdict = format!("{} {word}", style.symbol(symbol(status)));
            let first = report.first_problem();
            // What is skipped follows from the rest.
            let problems = Counts {
                skip: 0,
                ..report.counts
            };
            [
                Text::of(label(status), verdict),
                Text::new().plain(&report.target),
                Text::new().plain(tally(problems, false)),
                Text::of(Label::Dim, first.map_or("", |check| check.id.as_str())),
                Text::new().plain(mending(report.to_mend)),
            ]
        })
        .collect();
    table(
        out,
        style,
        ["Result", "Target", "Not passed", "Start with", "Mended by"],
        &rows,
    )
}
