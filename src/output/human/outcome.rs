//! What provision did.

use std::io::{self, Write};

use super::others;
use super::parts::{
    INDENT, bracketed, emphasised, label, marked, number, number_were, table, why_failed,
};
use super::plan::{plan, plan_only};
use super::several::{Section, sections, together};
use crate::doctor::report::Status;
use crate::error::{Error, ExitCode, Result};
use crate::output::style::{Label, Style, Symbol, put};
use crate::output::text::{Text, without_name};
use crate::provision::outcome::{ChangeStatus, Outcome, PlannedChange, Unchanged};

/// What provision did on every target, or would do where it was only asked to plan.
pub fn provision(
    out: &mut dyn Write,
    style: &Style,
    outcomes: &[(String, Result<Outcome>)],
    differences: bool,
    verbose: bool,
) -> io::Result<()> {
    if let [(_, outcome)] = outcomes {
        return one(out, style, outcome, differences, verbose);
    }
    let only_planned = |outcome: &&Outcome| !outcome.applied && !outcome.changes.is_empty();
    let done = outcomes
        .iter()
        .filter_map(|(_, outcome)| outcome.as_ref().ok());
    let planned: Vec<Outcome> = done.filter(only_planned).cloned().collect();
    room_plan(out, style, &planned, differences)?;
    let mut to_tell = Vec::new();
    for (target, outcome) in outcomes {
        let planned = matches!(outcome, Ok(outcome) if only_planned(&outcome));
        if !planned && (verbose || !is_told_by_its_row(outcome)) {
            to_tell.push(Section::new(target, move |out, style| {
                one(out, style, outcome, differences, verbose)
            })?);
        }
    }
    sections(out, style, to_tell)?;
    let results: Vec<_> = outcomes
        .iter()
        .map(|(target, outcome)| (target.as_str(), told(outcome)))
        .collect();
    results_table(out, style, &results)?;
    writeln!(out)?;
    if !planned.is_empty() {
        return plan_only(out, style, &planned[0]);
    }
    let (label, text) = on_all(&results, "provision");
    put(out, &style.wrap(0, 0, &emphasised(label, &text)))
}

fn one(
    out: &mut dyn Write,
    style: &Style,
    outcome: &Result<Outcome>,
    differences: bool,
    verbose: bool,
) -> io::Result<()> {
    match outcome {
        Ok(outcome) if outcome.applied => results(out, style, outcome, verbose),
        Ok(outcome) => {
            plan(out, style, outcome, differences)?;
            notes(out, style, outcome)?;
            plan_only(out, style, outcome)
        }
        Err(error) => others::error(out, style, error),
    }
}

/// What is about to be done to several boxes; those that need the same share one plan.
pub fn room_plan(
    out: &mut dyn Write,
    style: &Style,
    plans: &[Outcome],
    differences: bool,
) -> io::Result<()> {
    let same = |one: &&Outcome, other: &&Outcome| {
        one.changes == other.changes && one.unchanged == other.unchanged
    };
    for group in together(plans, same) {
        let targets: Vec<&str> = group.iter().map(|plan| plan.target.as_str()).collect();
        if let [_, _, ..] = targets[..] {
            let shared = Outcome {
                target: format!("each of {}", number(targets.len(), "target")),
                ..group[0].clone()
            };
            plan(out, style, &shared, differences)?;
            let line = Text::of(Label::Dim, format!("These are: {}", targets.join(", ")));
            put(out, &style.wrap(0, INDENT, &line))?;
            writeln!(out)?;
        } else {
            plan(out, style, group[0], differences)?;
        }
    }
    Ok(())
}

/// Whether the summary's row says all there is to say of it.
fn is_told_by_its_row(outcome: &Result<Outcome>) -> bool {
    matches!(outcome, Ok(outcome) if outcome.notes.is_empty() && result(outcome).0 == Label::Pass)
}

/// A row for each target, in the order of the run.
pub(super) fn results_table(
    out: &mut dyn Write,
    style: &Style,
    results: &[(&str, (Label, String))],
) -> io::Result<()> {
    let rows: Vec<[Text; 3]> = results
        .iter()
        .map(|(target, (label, text))| {
            let symbol = match label {
                Label::Fail => Symbol::Fail,
                Label::Unknown => Symbol::Unknown,
                Label::Pass => Symbol::Pass,
                _ => Symbol::Next,
            };
            [
                Text::of(*label, style.symbol(symbol)),
                Text::new().plain(*target),
                // The row has that name already.
                Text::new().plain(without_name(text, target)),
            ]
        })
        .collect();
    table(out, style, ["", "Target", "Result"], &rows)
}

/// The one thing to know about several targets after `command`.
pub(super) fn on_all(results: &[(&str, (Label, String))], command: &str) -> (Label, String) {
    let all = number(results.len(), "target");
    let of = |wanted| {
        results
            .iter()
            .filter(|(_, (label, _))| *label == wanted)
            .count()
    };
    let (failed, unknown) = (of(Label::Fail), of(Label::Unknown));
    let label = match (failed, unknown) {
        (0, 0) => return (Label::Pass, format!("All {all} ended well.")),
        (0, _) => Label::Unknown,
        _ => Label::Fail,
    };
    let text = format!(
        "{} of {all} did not end well: mend the causes, then run `dwenv {command} --limit failed`.",
        failed + unknown
    );
    (label, text)
}

fn told(outcome: &Result<Outcome>) -> (Label, String) {
    match outcome {
        Ok(outcome) => result(outcome),
        Err(error) => failure(error),
    }
}

/// Why a target of several has no result.
pub(super) fn failure(error: &Error) -> (Label, String) {
    let label = match error.exit_code() {
        ExitCode::Undetermined => Label::Unknown,
        _ => Label::Fail,
    };
    (label, format!("{}.", error.message))
}

/// The one thing to know about a box of several that was provisioned, or planned.
#[must_use]
pub fn result(outcome: &Outcome) -> (Label, String) {
    if let Some(problem) = first_problem(outcome) {
        problem
    } else if outcome.applied {
        conclusion(outcome)
    } else if outcome.changes.is_empty() {
        nothing_planned(outcome)
    } else {
        let count = number(outcome.changes.len(), "change");
        (Label::Heading, format!("{count} to make."))
    }
}

/// What went wrong first, for who does not see it above.
fn first_problem(outcome: &Outcome) -> Option<(Label, String)> {
    let failed = |change: &&PlannedChange| matches!(change.status, ChangeStatus::Failed(_));
    if let Some(change) = outcome.changes.iter().find(failed) {
        let ids = bracketed(&change.checks.join(", "));
        return Some((Label::Fail, format!("Failed: {} {ids}.", change.title)));
    }
    if !outcome.remaining.is_empty() {
        return None;
    }
    let left = |status| {
        outcome
            .unchanged
            .iter()
            .find(move |left| left.status == status)
    };
    if let Some(first) = left(Status::Fail) {
        let text = format!("{} is not for provision to solve.", bracketed(&first.check));
        return Some((Label::Fail, text));
    }
    left(Status::Unknown).map(|first| {
        let text = format!("{} could not be judged.", bracketed(&first.check));
        (Label::Unknown, text)
    })
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
            change_result(out, style, change)?;
            told = true;
        }
    }
    if told {
        writeln!(out)?;
    }
    left_alone(out, style, &outcome.unchanged)?;
    notes(out, style, outcome)?;
    let (label, text) = conclusion(outcome);
    put(out, &style.wrap(0, 0, &emphasised(label, &text)))
}

fn change_result(out: &mut dyn Write, style: &Style, change: &PlannedChange) -> io::Result<()> {
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
        ChangeStatus::Failed(why) => why_failed(out, style, why),
        _ => Ok(()),
    }
}

/// What is not as declared, and why nothing is done about it.
pub(super) fn left_alone(
    out: &mut dyn Write,
    style: &Style,
    unchanged: &[Unchanged],
) -> io::Result<()> {
    for unchanged in unchanged {
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
pub(super) fn nothing_planned(outcome: &Outcome) -> (Label, String) {
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
