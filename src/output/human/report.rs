//! What doctor found: problems first, each with what was seen and what to do.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::parts::{
    INDENT, bracketed, commands, duration, emphasised, heading, label, marked, next_step, number,
    word,
};
use super::several::{Section, sections};
use super::verdict::{reports_table, total, verdict, verdict_on_all};
use crate::doctor::report::{By, Finding, Ignored, Report, Scope, Status};
use crate::output::style::{Label, Style, Symbol, put};
use crate::output::text::{Text, UNBROKEN, columns};

/// What doctor found on every target; several targets get sections and a table at the end.
pub fn reports(
    out: &mut dyn Write,
    style: &Style,
    reports: &[Report],
    verbose: bool,
) -> io::Result<()> {
    if let [report] = reports {
        return self::report(out, style, report, verbose);
    }
    // Of what passes the table says enough.
    let is_told_by_its_row =
        |report: &Report| report.counts.pass == report.checks.len() && report.notes.is_empty();
    let mut to_tell = Vec::new();
    for report in reports {
        if verbose || !is_told_by_its_row(report) {
            to_tell.push(Section::new(&report.target, move |out, style| {
                self::report(out, style, report, verbose)
            })?);
        }
    }
    sections(out, style, to_tell)?;
    reports_table(out, style, reports)?;
    writeln!(out)?;
    let (label, verdict) = verdict_on_all(reports, " above");
    put(out, &style.wrap(0, 0, &emphasised(label, &verdict)))
}

/// What doctor found on one target: only what is wrong, or everything with `verbose`.
pub fn report(
    out: &mut dyn Write,
    style: &Style,
    report: &Report,
    verbose: bool,
) -> io::Result<()> {
    if verbose {
        all_checks(out, style, report)?;
    } else {
        problems(out, style, report)?;
    }
    for note in &report.notes {
        let line = Text::of(Label::Heading, "note:").plain(format!(" {note}"));
        put(out, &style.wrap(0, "note: ".len(), &line))?;
    }
    put(
        out,
        &style.wrap(0, 0, &Text::of(Label::Dim, total(report.counts))),
    )?;
    let (label, verdict) = verdict(report, "above");
    put(out, &style.wrap(0, 0, &emphasised(label, &verdict)))
}

fn problems(out: &mut dyn Write, style: &Style, report: &Report) -> io::Result<()> {
    let mut skipped = skipped_by_cause(report);
    for finding in in_order_of_urgency(report) {
        put(out, &problem_heading(style, finding))?;
        details(out, style, finding, INDENT)?;
        if let Some(count) = skipped.remove(finding.id.as_str()) {
            let line = skipped_line(count, &finding.id);
            put(
                out,
                &style.wrap(INDENT, INDENT, &Text::of(Label::Skip, line)),
            )?;
        }
        writeln!(out)?;
    }
    for (cause, count) in &skipped {
        let line = Text::of(Label::Skip, marked(style, Status::Skip))
            .plain(": ")
            .plain(skipped_line(*count, cause));
        put(out, &style.wrap(0, INDENT, &line))?;
    }
    if !skipped.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

/// What is wrong or has no answer, in the order of `needs`, then what is only a warning, then what is ignored.
fn in_order_of_urgency(report: &Report) -> impl Iterator<Item = &Finding> {
    let blocking = report.checks.iter().filter(|check| check.is_wrong());
    let warnings = report
        .checks
        .iter()
        .filter(|check| check.status == Status::Warn && !check.is_ignored());
    let ignored = report.checks.iter().filter(|check| check.is_ignored());
    blocking.chain(warnings).chain(ignored)
}

/// How many checks each root cause keeps from being judged.
fn skipped_by_cause(report: &Report) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for check in &report.checks {
        if check.status == Status::Skip && !check.is_ignored() {
            *counts.entry(root_cause(report, check)).or_default() += 1;
        }
    }
    counts
}

/// The check at the end of the chain of `because`; empty where there is none.
fn root_cause<'a>(report: &'a Report, skipped: &'a Finding) -> &'a str {
    let mut cause = skipped.because.as_deref().unwrap_or_default();
    // The chain cannot be longer than the list, unless it runs in a circle.
    for _ in &report.checks {
        let next = report
            .checks
            .iter()
            .find(|check| check.id == cause && check.status == Status::Skip)
            .and_then(|check| check.because.as_deref());
        match next {
            Some(next) => cause = next,
            None => break,
        }
    }
    cause
}

fn skipped_line(count: usize, cause: &str) -> String {
    let skipped = format!("{} skipped", number(count, "check"));
    if cause.is_empty() {
        skipped
    } else {
        format!("{skipped} because of {cause}")
    }
}

fn problem_heading(style: &Style, finding: &Finding) -> String {
    let (label, word) = if finding.is_ignored() {
        let word = format!("{} ignored", style.symbol(Symbol::Skip));
        (Label::Skip, word)
    } else {
        (label(finding.status), marked(style, finding.status))
    };
    let text = Text::of(label, word)
        .plain(": ")
        .add(Label::Heading, &finding.title)
        .plain(" ")
        .add(Label::Dim, bracketed(&finding.id));
    style.wrap(0, INDENT, &text)
}

/// What was seen, and what to do about it.
fn details(out: &mut dyn Write, style: &Style, finding: &Finding, indent: usize) -> io::Result<()> {
    if !finding.summary.is_empty() {
        let seen = Text::new().plain(&finding.summary);
        put(out, &style.wrap(indent, indent, &seen))?;
    }
    if let Some(ignored) = &finding.ignored {
        let line = Text::of(Label::Skip, why_ignored(ignored, finding.status));
        put(out, &style.wrap(indent, indent, &line))?;
    }
    let Some(remedy) = finding.remedy.as_ref().filter(|_| !finding.is_ignored()) else {
        return Ok(());
    };
    let who = match remedy.by {
        By::You => String::new(),
        by => format!("{}: ", by.who()),
    };
    let what = next_step(style)
        .add(Label::Heading, who)
        .plain(&remedy.text);
    put(out, &style.wrap(indent - 2, indent, &what))?;
    commands(out, style, &remedy.commands, indent + 2)
}

/// Why a check is not counted, and until when; or that this is over.
fn why_ignored(ignored: &Ignored, status: Status) -> String {
    let reason = &ignored.reason;
    match ignored.until {
        Some(until) if ignored.expired => {
            format!("It was ignored until {until} ({reason}), and counts again.")
        }
        Some(until) => format!("This {} is ignored until {until}: {reason}", word(status)),
        None => format!("This {} is ignored: {reason}", word(status)),
    }
}

fn all_checks(out: &mut dyn Write, style: &Style, report: &Report) -> io::Result<()> {
    let mut scopes: Vec<Scope> = Vec::new();
    for check in &report.checks {
        if !scopes.contains(&check.scope) {
            scopes.push(check.scope);
        }
    }
    for scope in scopes {
        heading(
            out,
            style,
            match scope {
                Scope::Laptop => "On this laptop",
                Scope::Box => "In the box",
            },
        )?;
        for check in report.checks.iter().filter(|check| check.scope == scope) {
            one_check(out, style, check)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn one_check(out: &mut dyn Write, style: &Style, check: &Finding) -> io::Result<()> {
    // The longest word is "unknown".
    const HANG: usize = 10;
    let word = marked(style, check.status);
    let gap = " ".repeat(HANG.saturating_sub(columns(&word)));
    let line = Text::of(label(check.status), word)
        .plain(gap)
        .plain(&check.title)
        .plain(" ")
        .add(Label::Dim, bracketed(&check.id));
    if check.status == Status::Skip {
        let line = match &check.because {
            Some(because) => line.plain(format!(" because of {because}")),
            None => line,
        };
        put(out, &style.wrap(0, HANG, &line))?;
        return match check.is_ignored() {
            true => details(out, style, check, HANG),
            false => Ok(()),
        };
    }
    let took = duration(check.duration).replace(' ', &UNBROKEN.to_string());
    let line = line.add(Label::Dim, format!(" {took}"));
    put(out, &style.wrap(0, HANG, &line))?;
    details(out, style, check, HANG)
}
