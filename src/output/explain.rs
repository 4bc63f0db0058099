//! How `explain` tells a check, a failure, or what was recognised in a text.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::human::parts::{commands, emphasised, next_step, number, who};
use super::json::document;
use super::style::{Label, Style, put};
use super::text::Text;
use crate::doctor::catalogue::{Coverage, Fix, Place, Row, System};
use crate::doctor::explain::{Reading, Recognised, filled};
use crate::doctor::manual::Section;
use crate::doctor::report::By;
use crate::events::SCHEMA_VERSION;

/// What was asked for.
#[derive(Clone, Debug)]
pub enum Explanation {
    Check {
        section: Section<'static>,
        /// What goes wrong when it fails.
        failures: Vec<&'static Row>,
    },
    Failure(&'static Row),
    Text(Reading),
}

const INDENT: usize = 4;

/// For a person whose laptop, or whose attendee's laptop, has this system.
pub fn human(
    out: &mut dyn Write,
    style: &Style,
    explanation: &Explanation,
    system: System,
) -> io::Result<()> {
    match explanation {
        Explanation::Check { section, failures } => check(out, style, section, failures),
        Explanation::Failure(row) => {
            let title = Text::of(Label::Heading, &row.id).plain(format!(" ({})", place(row)));
            put(out, &style.wrap(0, INDENT, &title))?;
            failure(out, style, row, &BTreeMap::new(), system)?;
            more(out, style, row)
        }
        Explanation::Text(reading) => text(out, style, reading, system),
    }
}

fn check(
    out: &mut dyn Write,
    style: &Style,
    section: &Section,
    failures: &[&Row],
) -> io::Result<()> {
    put(
        out,
        &style.wrap(0, 0, &Text::of(Label::Heading, section.id)),
    )?;
    put(
        out,
        &style.wrap(INDENT, INDENT, &Text::new().plain(&section.what)),
    )?;
    for (name, text) in &section.points {
        point(out, style, name, text)?;
    }
    if !failures.is_empty() {
        point(
            out,
            style,
            "Finds",
            &list(failures.iter().map(|row| &row.id)),
        )?;
    }
    Ok(())
}

fn point(out: &mut dyn Write, style: &Style, name: &str, text: &str) -> io::Result<()> {
    let line = Text::of(Label::Heading, format!("{name}:"))
        .plain(" ")
        .plain(text);
    put(out, &style.wrap(INDENT, INDENT, &line))
}

fn failure(
    out: &mut dyn Write,
    style: &Style,
    row: &Row,
    values: &BTreeMap<String, String>,
    system: System,
) -> io::Result<()> {
    let cause = Text::new().plain(filled(row, &row.cause, values));
    put(out, &style.wrap(INDENT, INDENT, &cause))?;
    let cure = next_step(style)
        .add(Label::Heading, who(row.by))
        .plain(filled(row, &row.cure, values));
    put(out, &style.wrap(INDENT - 2, INDENT, &cure))?;
    let typed: Vec<String> = row
        .commands_on(system)
        .map(|command| filled(row, command, values))
        .collect();
    commands(out, style, &typed, INDENT + 2)?;
    if !row.concerns(system) {
        let systems = list(row.systems.iter().map(|system| system.name()));
        let note = format!("Only on {systems}.");
        put(
            out,
            &style.wrap(INDENT, INDENT, &Text::of(Label::Dim, note)),
        )?;
    }
    if !row.or.is_empty() {
        point(
            out,
            style,
            "The same words can also mean",
            &list(row.or.iter()),
        )?;
    }
    Ok(())
}

/// What is only told of a row that was asked for by its id.
fn more(out: &mut dyn Write, style: &Style, row: &Row) -> io::Result<()> {
    let found = match row.coverage() {
        Coverage::Checked { also_explained } => {
            let checks = list(row.checks.iter());
            let words = if also_explained {
                ", and by its words"
            } else {
                ""
            };
            format!("{checks}{words}")
        }
        Coverage::Explained => "its words, with `dwenv explain FILE`".to_owned(),
        Coverage::OutOfReach(reason) => format!("nothing: {reason}"),
        Coverage::Nothing => "nothing".to_owned(),
    };
    point(out, style, "Found by", &found)?;
    point(
        out,
        style,
        "Mended by dwenv",
        match row.fix {
            Fix::Yes => "it is safe to, unattended",
            Fix::Ask => "after a question only",
            Fix::No => "never",
        },
    )?;
    point(out, style, "Source", &row.source)
}

fn text(out: &mut dyn Write, style: &Style, reading: &Reading, system: System) -> io::Result<()> {
    let recognised = &reading.recognised;
    for one in recognised.iter().filter(|one| one.because.is_none()) {
        let title = Text::of(Label::Fail, format!("line {}", one.line))
            .plain(": ")
            .add(Label::Heading, &one.row.id)
            .add(Label::Dim, format!(" ({})", place(one.row)));
        put(out, &style.wrap(0, INDENT, &title))?;
        put(
            out,
            &style.wrap(INDENT, INDENT, &Text::of(Label::Dim, &one.said)),
        )?;
        failure(out, style, one.row, &one.values, system)?;
        for follower in recognised {
            if follower.because == Some(one.row.id.as_str()) {
                let line = format!(
                    "line {} follows from it: {}",
                    follower.line, follower.row.id
                );
                put(
                    out,
                    &style.wrap(INDENT, INDENT, &Text::of(Label::Skip, line)),
                )?;
            }
        }
        writeln!(out)?;
    }
    let lines = number(reading.lines, "line");
    let causes = recognised
        .iter()
        .filter(|one| one.because.is_none())
        .count();
    let last = match recognised.first() {
        None => emphasised(
            Label::Unknown,
            &format!(
                "Nothing was recognised in {lines}: that is not to say that nothing is wrong. \
                 `dwenv doctor` looks for itself."
            ),
        ),
        Some(first) => emphasised(
            Label::Heading,
            &format!(
                "{} in {lines}: start with {} above.",
                number(causes, "cause"),
                first.row.id
            ),
        ),
    };
    put(out, &style.wrap(0, 0, &last))
}

fn place(row: &Row) -> &'static str {
    match row.place {
        Place::Laptop => "on the laptop",
        Place::Box => "in the box",
        Place::Network => "in the network",
        Place::Workshop => "in the workshop's files",
    }
}

fn list<S: AsRef<str>>(items: impl Iterator<Item = S>) -> String {
    let items: Vec<String> = items.map(|item| item.as_ref().to_owned()).collect();
    items.join(", ")
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    #[serde(flatten)]
    told: Told<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Told<'a> {
    Check {
        id: &'a str,
        what: &'a str,
        points: BTreeMap<&'a str, &'a str>,
        failures: Vec<&'a str>,
    },
    Failure {
        failure: Failure<'a>,
    },
    Text {
        lines: usize,
        recognised: Vec<Line<'a>>,
    },
}

#[derive(Serialize)]
struct Failure<'a> {
    id: &'a str,
    #[serde(rename = "where")]
    place: Place,
    systems: &'a [System],
    cause: String,
    cure: String,
    commands: Vec<String>,
    by: By,
    fix: Fix,
    checks: &'a [String],
    out_of_reach: Option<&'a str>,
    or: &'a [String],
    source: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    line: usize,
    said: &'a str,
    values: &'a BTreeMap<String, String>,
    because: Option<&'a str>,
    failure: Failure<'a>,
}

/// For a program.
pub fn json(out: &mut dyn Write, explanation: &Explanation, system: System) -> io::Result<()> {
    let told = match explanation {
        Explanation::Check { section, failures } => Told::Check {
            id: section.id,
            what: &section.what,
            points: section
                .points
                .iter()
                .map(|(name, text)| (&name[..], &text[..]))
                .collect(),
            failures: failures.iter().map(|row| row.id.as_str()).collect(),
        },
        Explanation::Failure(row) => Told::Failure {
            failure: as_document(row, &BTreeMap::new(), system),
        },
        Explanation::Text(reading) => Told::Text {
            lines: reading.lines,
            recognised: reading
                .recognised
                .iter()
                .map(|one| line(one, system))
                .collect(),
        },
    };
    document(
        out,
        &Document {
            schema_version: SCHEMA_VERSION,
            told,
        },
    )
}

fn line(one: &Recognised, system: System) -> Line<'_> {
    Line {
        line: one.line,
        said: &one.said,
        values: &one.values,
        because: one.because,
        failure: as_document(one.row, &one.values, system),
    }
}

fn as_document<'a>(row: &'a Row, values: &BTreeMap<String, String>, system: System) -> Failure<'a> {
    Failure {
        id: &row.id,
        place: row.place,
        systems: &row.systems,
        cause: filled(row, &row.cause, values),
        cure: filled(row, &row.cure, values),
        commands: row
            .commands_on(system)
            .map(|command| filled(row, command, values))
            .collect(),
        by: row.by,
        fix: row.fix,
        checks: &row.checks,
        out_of_reach: row.out_of_reach.as_deref(),
        or: &row.or,
        source: &row.source,
    }
}
