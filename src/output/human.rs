//! What a person sees: problems first, each with what was seen and what to do, and one last line that says
//! the one thing.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use super::style::{Label, Style, Symbol, Text, UNBROKEN, columns, put};
use super::{Done, Listed, Up};
use crate::doctor::report::{By, Counts, Finding, Report, Scope, Status};
use crate::error::{Advice, Error, Result};
use crate::provision::outcome::{ChangeStatus, Difference, Outcome, PlannedChange};

/// Columns before what belongs to a heading.
const INDENT: usize = 4;

/// What doctor found on every target; several targets get a section each and a table at the end.
pub fn reports(
    out: &mut dyn Write,
    style: &Style,
    reports: &[Report],
    verbose: bool,
) -> io::Result<()> {
    if let [report] = reports {
        return self::report(out, style, report, verbose);
    }
    for report in reports {
        heading(out, style, &report.target)?;
        self::report(out, style, report, verbose)?;
        writeln!(out)?;
    }
    reports_table(out, style, reports)?;
    writeln!(out)?;
    let (label, verdict) = verdict_on_all(reports);
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
    put(
        out,
        &style.wrap(0, 0, &Text::of(Label::Dim, total(report.counts))),
    )?;
    let (label, verdict) = verdict(report);
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

/// What is wrong or has no answer, in the order of `needs`, then what is only a warning.
fn in_order_of_urgency(report: &Report) -> impl Iterator<Item = &Finding> {
    let blocking = report.checks.iter().filter(|check| blocks(check));
    let warnings = report
        .checks
        .iter()
        .filter(|check| check.status == Status::Warn);
    blocking.chain(warnings)
}

fn blocks(finding: &Finding) -> bool {
    matches!(finding.status, Status::Fail | Status::Unknown)
}

/// How many checks each root cause keeps from being judged.
fn skipped_by_cause(report: &Report) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for check in &report.checks {
        if check.status == Status::Skip {
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
    let text = Text::of(label(finding.status), marked(style, finding.status))
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
    let Some(remedy) = &finding.remedy else {
        return Ok(());
    };
    let who = match remedy.by {
        By::You => "",
        By::Organiser => "The organiser has to do this: ",
        By::It => "Your company's IT has to do this: ",
    };
    let what = next_step(style)
        .add(Label::Heading, who)
        .plain(&remedy.text);
    put(out, &style.wrap(indent - 2, indent, &what))?;
    commands(out, style, &remedy.commands, indent + 2)
}

pub(super) fn next_step(style: &Style) -> Text {
    Text::of(Label::Heading, style.symbol(Symbol::Next)).plain(UNBROKEN.to_string())
}

pub(super) fn commands(
    out: &mut dyn Write,
    style: &Style,
    commands: &[String],
    indent: usize,
) -> io::Result<()> {
    for command in commands {
        put(out, &style.verbatim(indent, Label::Command, command))?;
    }
    Ok(())
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
        return put(out, &style.wrap(0, HANG, &line));
    }
    let took = duration(check.duration).replace(' ', &UNBROKEN.to_string());
    let line = line.add(Label::Dim, format!(" {took}"));
    put(out, &style.wrap(0, HANG, &line))?;
    details(out, style, check, HANG)
}

fn total(counts: Counts) -> String {
    let all = counts.pass + counts.warn + counts.fail + counts.skip + counts.unknown;
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
    ];
    let words: Vec<String> = words
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    words.join(", ")
}

/// The one thing to know about a target.
fn verdict(report: &Report) -> (Label, String) {
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
fn verdict_on_all(reports: &[Report]) -> (Label, String) {
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

fn reports_table(out: &mut dyn Write, style: &Style, reports: &[Report]) -> io::Result<()> {
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

/// What is about to be done: a numbered list, and what will stay as it is.
pub fn plan(
    out: &mut dyn Write,
    style: &Style,
    outcome: &Outcome,
    differences: bool,
) -> io::Result<()> {
    if !outcome.changes.is_empty() {
        let title = format!(
            "{} to make on {}",
            number(outcome.changes.len(), "change"),
            outcome.target
        );
        heading(out, style, &title)?;
    }
    let digits = outcome.changes.len().to_string().len();
    for (index, change) in outcome.changes.iter().enumerate() {
        let position = format!("{:>digits$}. ", index + 1);
        let hang = columns(&position);
        let line = Text::of(Label::Dim, position)
            .plain(&change.title)
            .plain(" ")
            .add(Label::Dim, bracketed(&change.checks.join(", ")));
        put(out, &style.wrap(0, hang, &line))?;
        if differences {
            for difference in &change.differences {
                self::difference(out, style, difference, hang)?;
            }
        }
    }
    if !outcome.changes.is_empty() {
        writeln!(out)?;
    }
    left_alone(out, style, outcome)
}

/// The last line of a run that only planned.
fn plan_only(out: &mut dyn Write, style: &Style, outcome: &Outcome) -> io::Result<()> {
    let text = if outcome.changes.is_empty() {
        let (label, text) = nothing_planned(outcome);
        emphasised(label, &text)
    } else {
        let text = "Nothing was changed: run this again without --plan to make these changes.";
        emphasised(Label::Heading, text)
    };
    put(out, &style.wrap(0, 0, &text))
}

fn difference(
    out: &mut dyn Write,
    style: &Style,
    difference: &Difference,
    indent: usize,
) -> io::Result<()> {
    put(
        out,
        &style.verbatim(indent, Label::Path, &difference.subject),
    )?;
    let unified = difference.text.lines().any(|line| line.starts_with("@@"));
    for line in difference.text.lines() {
        let label = match line.as_bytes().first() {
            _ if !unified => Label::Plain,
            Some(b'+') => Label::Added,
            Some(b'-') => Label::Removed,
            Some(b'@') => Label::Dim,
            _ => Label::Plain,
        };
        if line.trim().is_empty() {
            writeln!(out)?;
        } else {
            put(out, &style.verbatim(indent + 2, label, line))?;
        }
    }
    Ok(())
}

/// What provision did on every target, or would do where it was only asked to plan.
pub fn provision(
    out: &mut dyn Write,
    style: &Style,
    outcomes: &[(String, Result<Outcome>)],
    differences: bool,
    verbose: bool,
) -> io::Result<()> {
    for (index, (target, outcome)) in outcomes.iter().enumerate() {
        if outcomes.len() > 1 {
            if index > 0 {
                writeln!(out)?;
            }
            heading(out, style, target)?;
        }
        match outcome {
            Ok(outcome) if outcome.applied => results(out, style, outcome, verbose)?,
            Ok(outcome) => {
                plan(out, style, outcome, differences)?;
                notes(out, style, outcome)?;
                plan_only(out, style, outcome)?;
            }
            Err(error) => self::error(out, style, error)?,
        }
    }
    if outcomes.len() > 1 {
        writeln!(out)?;
        outcomes_table(out, style, outcomes)?;
    }
    Ok(())
}

fn outcomes_table(
    out: &mut dyn Write,
    style: &Style,
    outcomes: &[(String, Result<Outcome>)],
) -> io::Result<()> {
    let rows: Vec<[Text; 3]> = outcomes
        .iter()
        .map(|(target, outcome)| {
            let (label, text) = match outcome {
                Ok(outcome) if outcome.applied => conclusion(outcome),
                Ok(outcome) if outcome.changes.is_empty() => nothing_planned(outcome),
                Ok(outcome) => (
                    Label::Heading,
                    format!("{} to make.", number(outcome.changes.len(), "change")),
                ),
                Err(error) => (Label::Fail, format!("{}.", error.message)),
            };
            let status = match label {
                Label::Fail => Symbol::Fail,
                Label::Unknown => Symbol::Unknown,
                Label::Pass => Symbol::Pass,
                _ => Symbol::Next,
            };
            [
                Text::of(label, style.symbol(status)),
                Text::new().plain(target),
                Text::new().plain(text),
            ]
        })
        .collect();
    table(out, style, ["", "Target", "Result"], &rows)
}

/// What was done on one target.
pub fn results(
    out: &mut dyn Write,
    style: &Style,
    outcome: &Outcome,
    verbose: bool,
) -> io::Result<()> {
    let mut told = false;
    for change in &outcome.changes {
        if verbose || change.status != ChangeStatus::Done {
            result(out, style, change)?;
            told = true;
        }
    }
    if told {
        writeln!(out)?;
    }
    left_alone(out, style, outcome)?;
    notes(out, style, outcome)?;
    let (label, text) = conclusion(outcome);
    put(out, &style.wrap(0, 0, &emphasised(label, &text)))
}

fn result(out: &mut dyn Write, style: &Style, change: &PlannedChange) -> io::Result<()> {
    let (label, symbol, word) = match change.status {
        ChangeStatus::Planned => (Label::Dim, Symbol::Next, "planned"),
        ChangeStatus::Done => (Label::Pass, Symbol::Pass, "done"),
        ChangeStatus::Failed(_) => (Label::Fail, Symbol::Fail, "failed"),
        ChangeStatus::NotTried => (Label::Skip, Symbol::Skip, "not tried"),
    };
    let line = Text::of(label, format!("{} {word}", style.symbol(symbol)))
        .plain(": ")
        .plain(&change.title)
        .plain(" ")
        .add(Label::Dim, bracketed(&change.checks.join(", ")));
    put(out, &style.wrap(0, INDENT, &line))?;
    match &change.status {
        // What a program on the box said: its lines are left as they are.
        ChangeStatus::Failed(reason) if reason.contains('\n') => {
            put(out, &style.verbatim(INDENT, Label::Plain, reason))
        }
        ChangeStatus::Failed(reason) => {
            put(out, &style.wrap(INDENT, INDENT, &Text::new().plain(reason)))
        }
        _ => Ok(()),
    }
}

/// What is not as declared, and why nothing is done about it.
fn left_alone(out: &mut dyn Write, style: &Style, outcome: &Outcome) -> io::Result<()> {
    for unchanged in &outcome.unchanged {
        let status = unchanged.status;
        let what = match status {
            Status::Unknown => "could not be judged, and was left as it is",
            _ => "is not as declared, and was left as it is",
        };
        let line = Text::of(label(status), marked(style, status))
            .plain(": ")
            .add(Label::Heading, bracketed(&unchanged.check))
            .plain(format!(" {what}"));
        put(out, &style.wrap(0, INDENT, &line))?;
        let reason = Text::new().plain(&unchanged.reason);
        put(out, &style.wrap(INDENT, INDENT, &reason))?;
        writeln!(out)?;
    }
    Ok(())
}

fn notes(out: &mut dyn Write, style: &Style, outcome: &Outcome) -> io::Result<()> {
    for note in &outcome.notes {
        let line = Text::of(Label::Heading, "note:").plain(" ").plain(note);
        put(out, &style.wrap(0, "note: ".len(), &line))?;
    }
    if !outcome.notes.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

/// The one thing to know about a box that was provisioned.
fn conclusion(outcome: &Outcome) -> (Label, String) {
    let count = |wanted: fn(&ChangeStatus) -> bool| {
        let matching = outcome.changes.iter().filter(|c| wanted(&c.status));
        matching.count()
    };
    let done = count(|status| *status == ChangeStatus::Done);
    let failed = count(|status| matches!(status, ChangeStatus::Failed(_)));
    let not_tried = outcome.changes.len() - done - failed;
    if failed + not_tried > 0 {
        let rest = match not_tried {
            0 => String::new(),
            _ => format!(", {not_tried} not tried"),
        };
        let text = format!(
            "{} failed{rest}: mend the cause above, then run `dwenv provision` again.",
            number(failed, "change"),
        );
        return (Label::Fail, text);
    }
    if !outcome.remaining.is_empty() {
        let ids: Vec<String> = outcome.remaining.iter().map(|id| bracketed(id)).collect();
        let text = format!(
            "{} made, and the box is still not as declared: {}. `dwenv doctor` says more.",
            number_were(done, "change"),
            ids.join(", "),
        );
        return (Label::Fail, text);
    }
    if outcome.unchanged.is_empty() {
        let text = if done == 0 {
            "Nothing to do: the box is as declared.".to_owned()
        } else {
            let made = number(done, "change");
            format!("Done: {made} made, the box is as declared.")
        };
        return (Label::Pass, text);
    }
    left_over(outcome)
}

/// The last line of a plan without changes.
fn nothing_planned(outcome: &Outcome) -> (Label, String) {
    if outcome.unchanged.is_empty() {
        let text = "Nothing to do: the box is as declared.";
        (Label::Pass, text.to_owned())
    } else {
        left_over(outcome)
    }
}

fn left_over(outcome: &Outcome) -> (Label, String) {
    let of = |status| {
        outcome
            .unchanged
            .iter()
            .filter(move |left| left.status == status)
    };
    if let Some(first) = of(Status::Fail).next() {
        let text = format!(
            "{} that provision does not solve: start with {} above.",
            number(of(Status::Fail).count(), "problem"),
            bracketed(&first.check),
        );
        return (Label::Fail, text);
    }
    if let Some(first) = of(Status::Unknown).next() {
        let text = format!(
            "Could not tell whether the box is as declared: start with {} above.",
            bracketed(&first.check)
        );
        return (Label::Unknown, text);
    }
    let text = format!(
        "Nothing to do, with {} that provision does not solve.",
        number(outcome.unchanged.len(), "warning")
    );
    (Label::Warn, text)
}

/// What `up` did: the changes, the checks, and where the server answers.
pub fn up(out: &mut dyn Write, style: &Style, boxes: &[Up], verbose: bool) -> io::Result<()> {
    for (index, up) in boxes.iter().enumerate() {
        if boxes.len() > 1 {
            if index > 0 {
                writeln!(out)?;
            }
            heading(out, style, &up.target)?;
        }
        if let Some(outcome) = &up.provision {
            results(out, style, outcome, verbose)?;
        }
        if let Some(report) = &up.doctor {
            if verbose || report.counts.pass < report.checks.len() {
                writeln!(out)?;
            }
            self::report(out, style, report, verbose)?;
        }
        if let Some(address) = &up.address {
            let line = Text::new()
                .plain("The workshop's server answers at ")
                .add(Label::Path, address);
            put(out, &style.wrap(0, 0, &line))?;
        }
    }
    Ok(())
}

/// The targets that this folder knows.
pub fn targets(out: &mut dyn Write, style: &Style, targets: &[Listed]) -> io::Result<()> {
    if targets.is_empty() {
        return put(out, "No targets are known in this folder.\n");
    }
    let rows: Vec<[Text; 4]> = targets
        .iter()
        .map(|target| {
            let mark = if target.default { " (default)" } else { "" };
            [
                Text::of(Label::Heading, &target.name).add(Label::Dim, mark),
                Text::new().plain(&target.provider),
                Text::new().plain(&target.state),
                Text::of(Label::Path, target.address.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    table(
        out,
        style,
        ["Target", "Provider", "State", "Address"],
        &rows,
    )
}

/// What a command did that has no more to tell.
pub fn done(out: &mut dyn Write, style: &Style, done: &Done) -> io::Result<()> {
    put(
        out,
        &style.wrap(0, INDENT, &Text::new().plain(&done.message)),
    )?;
    for path in &done.paths {
        put(out, &style.verbatim(INDENT, Label::Path, path))?;
    }
    for hint in &done.hints {
        put(out, &self::hint(style, 0, next_step(style), 2, hint))?;
    }
    Ok(())
}

/// Why the run ended, for stderr.
pub fn error(out: &mut dyn Write, style: &Style, error: &Error) -> io::Result<()> {
    let line = Text::of(Label::Fail, "error:")
        .plain(" ")
        .add(Label::Heading, &error.message);
    put(out, &style.wrap(0, "error: ".len(), &line))?;
    if let Some(cause) = &error.cause {
        let label = Text::of(Label::Heading, "cause:");
        match cause.trim_end() {
            // A picture of the place in a file, or what another program said: its lines stay as they are.
            lines if lines.contains('\n') => {
                put(out, &style.wrap(2, 2, &label))?;
                put(out, &style.verbatim(INDENT, Label::Plain, lines))?;
            }
            line => {
                let text = label.plain(" ").plain(line);
                put(out, &style.wrap(2, "  cause: ".len(), &text))?;
            }
        }
    }
    for hint in &error.hints {
        let lead = Text::of(Label::Heading, "hint:").plain(UNBROKEN.to_string());
        put(out, &self::hint(style, 2, lead, "  hint: ".len(), hint))?;
    }
    Ok(())
}

/// A hint: a sentence, or a command, which is never broken.
fn hint(style: &Style, indent: usize, lead: Text, hang: usize, hint: &str) -> String {
    let command = match Advice::of(hint) {
        Advice::Sentence(sentence) => return style.wrap(indent, hang, &lead.plain(sentence)),
        Advice::Command(command) => command,
    };
    // The command begins where a sentence would.
    let lead = style.wrap(indent, hang, &lead);
    let command = style.verbatim(hang, Label::Command, command);
    format!("{} {}", lead.trim_end(), command.trim_start())
}

/// A title, underlined.
fn heading(out: &mut dyn Write, style: &Style, title: &str) -> io::Result<()> {
    put(out, &style.wrap(0, 0, &Text::of(Label::Heading, title)))?;
    let rule = "-".repeat(columns(title).min(style.width));
    put(out, &style.wrap(0, 0, &Text::of(Label::Dim, rule)))
}

/// Columns as wide as their widest cell; only the last one wraps.
fn table<const N: usize>(
    out: &mut dyn Write,
    style: &Style,
    titles: [&str; N],
    rows: &[[Text; N]],
) -> io::Result<()> {
    let titles = titles.map(|title| Text::of(Label::Dim, title));
    let all = || std::iter::once(&titles).chain(rows);
    let widths: [usize; N] =
        std::array::from_fn(|column| all().map(|row| row[column].width()).max().unwrap_or(0));
    let last: usize = widths[..N - 1].iter().map(|width| width + 2).sum();
    for row in all() {
        let mut line = Text::new();
        for (column, cell) in row.iter().enumerate() {
            line = if column + 1 < N {
                let filler = widths[column] + 2 - cell.width();
                line.join(&cell.unbroken())
                    .plain(UNBROKEN.to_string().repeat(filler - 1))
                    .plain(" ")
            } else {
                line.join(cell)
            };
        }
        put(out, &style.wrap(0, last, &line))?;
    }
    Ok(())
}

/// A last line: what stands before its first colon or comma is what catches the eye.
pub(super) fn emphasised(label: Label, text: &str) -> Text {
    let end = text.find([':', ',']).unwrap_or(text.len());
    Text::of(label, &text[..end]).plain(&text[end..])
}

fn bracketed(id: &str) -> String {
    format!("[{id}]")
}

fn marked(style: &Style, status: Status) -> String {
    let word = match status {
        Status::Pass => "pass",
        Status::Warn => "warn",
        Status::Fail => "fail",
        Status::Skip => "skip",
        Status::Unknown => "unknown",
    };
    format!("{} {word}", style.symbol(symbol(status)))
}

fn symbol(status: Status) -> Symbol {
    match status {
        Status::Pass => Symbol::Pass,
        Status::Warn => Symbol::Warn,
        Status::Fail => Symbol::Fail,
        Status::Skip => Symbol::Skip,
        Status::Unknown => Symbol::Unknown,
    }
}

fn label(status: Status) -> Label {
    match status {
        Status::Pass => Label::Pass,
        Status::Warn => Label::Warn,
        Status::Fail => Label::Fail,
        Status::Skip => Label::Skip,
        Status::Unknown => Label::Unknown,
    }
}

/// "1 check", "2 checks".
pub(super) fn number(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// "1 check was", "2 checks were".
fn number_were(count: usize, noun: &str) -> String {
    let were = if count == 1 { "was" } else { "were" };
    format!("{} {were}", number(count, noun))
}

/// A duration as people say it.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{:.1} s", (duration.as_secs_f64() * 10.0).floor() / 10.0),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}
