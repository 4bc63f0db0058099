//! What the other commands did, and why a run ended.

use std::io::{self, Write};

use super::outcome::{failure, on_all, result, results, results_table};
use super::parts::{INDENT, emphasised, next_step, table};
use super::report;
use super::several::{Section, sections};
use super::verdict::verdict;
use crate::error::{Advice, Error, Result};
use crate::output::Done;
use crate::output::style::{Label, Style, put};
use crate::output::text::{Text, UNBROKEN};
use crate::provision::outcome::Up;
use crate::target::TargetRow;

/// What `up` did: the changes, the checks, and where the server answers.
pub fn up(
    out: &mut dyn Write,
    style: &Style,
    boxes: &[(String, Result<Up>)],
    verbose: bool,
) -> io::Result<()> {
    if let [(_, up)] = boxes {
        return one_up(out, style, up, verbose);
    }
    let mut to_tell = Vec::new();
    for (target, up) in boxes {
        let well = matches!(up, Ok(up) if up_result(up).0 == Label::Pass);
        if verbose || !well {
            to_tell.push(Section::new(target, move |out, style| {
                one_up(out, style, up, verbose)
            })?);
        }
    }
    sections(out, style, to_tell)?;
    let results: Vec<_> = boxes
        .iter()
        .map(|(target, up)| {
            let result = match up {
                Ok(up) => up_result(up),
                Err(error) => failure(error),
            };
            (target.as_str(), result)
        })
        .collect();
    results_table(out, style, &results)?;
    writeln!(out)?;
    let (label, text) = on_all(&results, "up");
    put(out, &style.wrap(0, 0, &emphasised(label, &text)))
}

/// The one thing to know about a box after `up`.
#[must_use]
pub fn up_result(up: &Up) -> (Label, String) {
    let (label, text) = match (&up.doctor, &up.provision) {
        (Some(report), _) => verdict(report, "above"),
        (None, Some(outcome)) => result(outcome),
        (None, None) => (Label::Unknown, "Nothing is known of it.".to_owned()),
    };
    match &up.address {
        Some(address) => (label, format!("{text} {address}")),
        None => (label, text),
    }
}

fn one_up(out: &mut dyn Write, style: &Style, up: &Result<Up>, verbose: bool) -> io::Result<()> {
    let up = match up {
        Ok(up) => up,
        Err(failure) => return error(out, style, failure),
    };
    if let Some(outcome) = &up.provision {
        results(out, style, outcome, verbose)?;
    }
    if let Some(report) = &up.doctor {
        if verbose || report.counts.pass < report.checks.len() {
            writeln!(out)?;
        }
        report::report(out, style, report, verbose)?;
    }
    if let Some(address) = &up.address {
        let line = Text::new()
            .plain("The workshop's server answers at ")
            .add(Label::Path, address);
        put(out, &style.wrap(0, 0, &line))?;
    }
    Ok(())
}

/// The targets that this folder knows.
pub fn targets(out: &mut dyn Write, style: &Style, targets: &[TargetRow]) -> io::Result<()> {
    if targets.is_empty() {
        return put(
            out,
            "No targets are known in this folder. `dwenv init` writes the workshop's files, and `dwenv up` makes its box.\n",
        );
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
