//! What is about to be done to a box.

use std::io::{self, Write};

use super::outcome::{left_alone, nothing_planned};
use super::parts::{bracketed, emphasised, heading, number, size};
use crate::output::style::{Label, Style, Symbol, put};
use crate::output::text::{Text, columns};
use crate::provision::outcome::{Difference, Foreseen, Outcome};

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
        if let Some(foreseen) = &change.packages {
            packages(out, style, foreseen, differences, hang)?;
        }
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

/// What apt would do: how much, and with `each` every package.
fn packages(
    out: &mut dyn Write,
    style: &Style,
    foreseen: &Foreseen,
    each: bool,
    indent: usize,
) -> io::Result<()> {
    let mut dim = |indent, text| {
        put(
            out,
            &style.wrap(indent, indent, &Text::of(Label::Dim, text)),
        )
    };
    let transaction = match foreseen {
        Foreseen::Unknown { unknown } => {
            return dim(
                indent,
                format!("Versions and sizes are not known: {unknown}"),
            );
        }
        Foreseen::Transaction(transaction) => transaction,
    };
    let disk = transaction.disk_bytes;
    dim(
        indent,
        format!(
            "{}: {} to download, {} {} on disk (lists of {})",
            number(transaction.packages.len(), "package"),
            size(transaction.download_bytes),
            size(disk.unsigned_abs()),
            if disk < 0 { "less" } else { "more" },
            transaction.lists_of,
        ),
    )?;
    let arrow = style.symbol(Symbol::Next);
    for package in transaction.packages.iter().filter(|_| each) {
        let (label, versions) = match (&package.from, &package.to) {
            (None, Some(to)) => (Label::Added, to.clone()),
            (Some(from), None) => (Label::Removed, format!("{from}, removed")),
            (from, to) => {
                let version = |version: &Option<String>| version.clone().unwrap_or_default();
                let versions = format!("{} {arrow} {}", version(from), version(to));
                (Label::Plain, versions)
            }
        };
        let line = format!("{} {versions}", package.name);
        put(out, &style.verbatim(indent + 2, label, &line))?;
    }
    Ok(())
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
