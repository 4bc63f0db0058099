//! Several people's facts, the list of checks, and what was mended.

use std::io::{self, Write};

use super::others;
use super::outcome::left_alone;
use super::parts::{
    INDENT, bracketed, emphasised, heading, label, marked, number, symbol, table, why_failed, word,
};
use super::plan::difference;
use super::report::{report, reports};
use super::verdict::{reports_table, verdict_on_all};
use crate::doctor::fix::{Fixed, Mended, Offer};
use crate::doctor::report::{Report, Status};
use crate::doctor::select::ListedCheck;
use crate::error::Result;
use crate::output::style::{Label, Style, Symbol, put};
use crate::output::text::Text;
use crate::provision::outcome::ChangeStatus;

/// A row for each file, and one line for all.
pub fn people(
    out: &mut dyn Write,
    style: &Style,
    people: &[Report],
    verbose: bool,
) -> io::Result<()> {
    if verbose {
        return reports(out, style, people, verbose);
    }
    reports_table(out, style, people)?;
    writeln!(out)?;
    for person in people {
        for note in &person.notes {
            let line =
                Text::of(Label::Heading, "note:").plain(format!(" {}: {note}", person.target));
            put(out, &style.wrap(0, "note: ".len(), &line))?;
        }
    }
    let (label, verdict) = verdict_on_all(people, "");
    put(out, &style.wrap(0, 0, &emphasised(label, &verdict)))
}

/// The checks that there are.
pub fn checks(out: &mut dyn Write, style: &Style, checks: &[ListedCheck]) -> io::Result<()> {
    let rows: Vec<[Text; 2]> = checks
        .iter()
        .map(|check| {
            let needs = match &check.needs[..] {
                [] => String::new(),
                needs => format!(" (needs {})", needs.join(", ")),
            };
            [
                Text::of(Label::Heading, &check.id),
                Text::new().plain(&check.title).add(Label::Dim, needs),
            ]
        })
        .collect();
    table(out, style, ["Check", "What is true when it passes"], &rows)
}

/// One change that could be made, before somebody is asked.
pub fn offer(out: &mut dyn Write, style: &Style, offer: &Offer) -> io::Result<()> {
    let line = Text::of(Label::Heading, style.symbol(Symbol::Next))
        .plain(" ")
        .plain(&offer.title)
        .plain(" ")
        .add(Label::Dim, bracketed(&offer.checks.join(", ")));
    put(out, &style.wrap(0, INDENT, &line))?;
    if !offer.containers.is_empty() {
        let line = Text::of(Label::Warn, containers(offer));
        put(out, &style.wrap(INDENT, INDENT, &line))?;
    }
    for shown in &offer.differences {
        difference(out, style, shown, INDENT)?;
    }
    Ok(())
}

fn containers(offer: &Offer) -> String {
    let running = if offer.containers.len() == 1 {
        "A container runs that may lose its service meanwhile"
    } else {
        "Containers run that may lose their service meanwhile"
    };
    format!("{running}: {}.", offer.containers.join(", "))
}

/// What was mended on each target, what still needs a yes, and how the target is now.
pub fn fixed(
    out: &mut dyn Write,
    style: &Style,
    fixed: &[(String, Result<Fixed>)],
    verbose: bool,
) -> io::Result<()> {
    for (index, (target, one)) in fixed.iter().enumerate() {
        if fixed.len() > 1 {
            if index > 0 {
                writeln!(out)?;
            }
            heading(out, style, target)?;
        }
        match one {
            Ok(one) => fixed_one(out, style, one, verbose)?,
            Err(error) => others::error(out, style, error)?,
        }
    }
    Ok(())
}

fn fixed_one(out: &mut dyn Write, style: &Style, one: &Fixed, verbose: bool) -> io::Result<()> {
    for change in &one.changes {
        mended(out, style, change)?;
    }
    for offer in &one.needs_yes {
        let line = Text::of(Label::Warn, style.symbol(Symbol::Skip))
            .add(Label::Warn, " needs your yes: ")
            .plain(&offer.title)
            .plain(" ")
            .add(Label::Dim, bracketed(&offer.checks.join(", ")));
        put(out, &style.wrap(0, INDENT, &line))?;
        if !offer.containers.is_empty() {
            let line = Text::new().plain(containers(offer));
            put(out, &style.wrap(INDENT, INDENT, &line))?;
        }
    }
    if !one.changes.is_empty() || !one.needs_yes.is_empty() {
        writeln!(out)?;
    }
    left_alone(out, style, &one.unchanged)?;
    for note in &one.notes {
        let line = Text::of(Label::Heading, "note:").plain(format!(" {note}"));
        put(out, &style.wrap(0, "note: ".len(), &line))?;
    }
    let done = one
        .changes
        .iter()
        .filter(|change| change.status == ChangeStatus::Done);
    let line = format!("{} made. Now:", number(done.count(), "change"));
    put(out, &style.wrap(0, 0, &Text::of(Label::Heading, line)))?;
    report(out, style, &one.after, verbose)
}

fn mended(out: &mut dyn Write, style: &Style, change: &Mended) -> io::Result<()> {
    let (status, what) = match &change.status {
        ChangeStatus::Done => (Status::Pass, "done"),
        ChangeStatus::Failed(_) => (Status::Fail, "failed"),
        ChangeStatus::Planned | ChangeStatus::NotTried => (Status::Skip, "not tried"),
    };
    let line = Text::of(
        label(status),
        format!("{} {what}", style.symbol(symbol(status))),
    )
    .plain(": ")
    .plain(&change.title);
    put(out, &style.wrap(0, INDENT, &line))?;
    if let ChangeStatus::Failed(why) = &change.status {
        why_failed(out, style, why)?;
    }
    for check in &change.checks {
        let line = Text::of(Label::Dim, bracketed(&check.id))
            .plain(format!(" before: {}, now: ", word(check.before)))
            .add(label(check.after), marked(style, check.after));
        put(out, &style.wrap(INDENT, INDENT, &line))?;
    }
    Ok(())
}
