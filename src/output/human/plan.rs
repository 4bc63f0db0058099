//! What is about to be done to a box.

use std::io::{self, Write};

use super::outcome::{left_alone, nothing_planned};
use super::parts::{bracketed, emphasised, heading, number};
use crate::output::style::{Label, Style, put};
use crate::output::text::{Text, columns};
use crate::provision::outcome::{Difference, Outcome};

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
    left_alone(out, style, &outcome.unchanged)
}

/// The last line of a run that only planned.
pub(super) fn plan_only(out: &mut dyn Write, style: &Style, outcome: &Outcome) -> io::Result<()> {
    let text = if outcome.changes.is_empty() {
        let (label, text) = nothing_planned(outcome);
        emphasised(label, &text)
    } else {
        let text = "Nothing was changed: run this again without --plan to make these changes.";
        emphasised(Label::Heading, text)
    };
    put(out, &style.wrap(0, 0, &text))
}

pub(super) fn difference(
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
